/* Passing requests on: the client on a socket pair, a scripted node on loopback without TLS. */
#include "plane/proxy_internal.h"
#include "tests/lib/loopback.h"
#include "tests/unit/plane/plane_bed.h"

#define ADMIN "authorization: Bearer admin\r\n"
#define UPGRADE ADMIN "connection: upgrade\r\nupgrade: SPDY/3.1\r\nx-stream: v4\r\n"
#define LOG "/api/v1/namespaces/default/pods/p/log"
#define EXEC "/api/v1/namespaces/default/pods/p/exec?command=ls&stdout=1"
#define AGREED                                                                                     \
    "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: SPDY/3.1\r\n\r\n"
#define TURNS_MAX 20000
#define LARGE_BYTES (4 * MiB)

struct scene {
    struct plane_bed *bed;
    int listener;
    int node;       /* the plane's connection at the node; -1: none */
    struct buf got; /* at the node */
    bool is_node_ended;
};

static struct scene *scene_new(void)
{
    struct scene *scene = xcalloc(1, sizeof(*scene));
    uint16_t port = 0;
    scene->listener = loopback_listen(4, &port);
    scene->node = -1;
    scene->bed = plane_bed_new();
    buf_init(&scene->got, 64 * MiB);
    struct rest_bed *rest = scene->bed->rest;
    rest_must(rest, "POST", "/api/v1/nodes",
              arena_printf(rest->arena,
                           "{\"metadata\":{\"name\":\"n\"},\"status\":{\"addresses\":["
                           "{\"type\":\"InternalIP\",\"address\":\"127.0.0.1\"}],"
                           "\"daemonEndpoints\":{\"kubeletEndpoint\":{\"Port\":%u}}}}",
                           (unsigned)port));
    rest_must(rest, "POST", "/api/v1/namespaces/default/pods",
              "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"nodeName\":\"n\",\"containers\":["
              "{\"name\":\"c\",\"image\":\"i\"}]}}");
    return scene;
}

static void scene_free(struct scene *scene)
{
    fd_close(&scene->node);
    fd_close(&scene->listener);
    buf_done(&scene->got);
    plane_bed_free(scene->bed);
    free(scene);
}
DEFINE_AUTO(scene, struct scene *, scene_free)

/* The node takes what has come, a connection first. */
static bool node_read(struct scene *scene)
{
    char bytes[16 * 1024];
    ssize_t len = 0;
    bool is_any = false;
    if (scene->node < 0 && scene->listener >= 0)
        scene->node = loopback_accept(scene->listener);
    while (scene->node >= 0 && !scene->is_node_ended &&
           (len = recv(scene->node, bytes, sizeof(bytes), 0)) > 0) {
        buf_add(&scene->got, bytes, (size_t)len);
        is_any = true;
    }
    if (scene->node >= 0 && (len == 0 || (len < 0 && errno != EAGAIN)))
        scene->is_node_ended = true;
    return is_any;
}

static void settle(struct scene *scene)
{
    for (int quiet = 0; quiet < 8; quiet++) {
        plane_settle(scene->bed);
        if (node_read(scene))
            quiet = 0;
    }
}

#define SETTLE_UNTIL(scene, condition)                                                             \
    do {                                                                                           \
        for (int turns = 0; !(condition); turns++) {                                               \
            assert_true(turns < TURNS_MAX);                                                        \
            settle(scene);                                                                         \
        }                                                                                          \
    } while (0)

static void node_say(struct scene *scene, const char *text)
{
    size_t len = strlen(text);
    assert_int_equal(send(scene->node, text, len, MSG_NOSIGNAL), (ssize_t)len);
    settle(scene);
}

static void node_close(struct scene *scene)
{
    fd_close(&scene->node);
    scene->node = -1;
    fd_close(&scene->listener);
    settle(scene);
}

static bool node_has(const struct scene *scene, const char *text)
{
    return strstr(buf_text(&scene->got), text) != NULL;
}

static bool client_has(const struct plane_client *client, const char *text)
{
    return strstr(buf_text(&client->body), text) || strstr(buf_text(&client->raw), text);
}

TEST_CASE(an_answer_is_passed_on_as_it_comes)
{
    AUTO(scene) struct scene *scene = scene_new();
    struct plane_client *client = plane_ask_with(scene->bed, "GET", LOG "?follow=true",
                                                 ADMIN "x-mine: 1\r\nimpersonate-user: admin\r\n"
                                                       "impersonate-group: system:masters\r\n",
                                                 NULL);
    SETTLE_UNTIL(scene, node_has(scene, "\r\n\r\n"));
    assert_true(node_has(scene, "GET /containerLogs/default/p/c?follow=true HTTP/1.1\r\n"));
    assert_true(node_has(scene, "x-mine: 1\r\n"));
    assert_false(node_has(scene, "Bearer"));
    assert_false(node_has(scene, "impersonate"));
    assert_int_equal(client->status, 0);
    node_say(scene, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
                    "transfer-encoding: chunked\r\n\r\n4\r\none\n\r\n");
    SETTLE_UNTIL(scene, client_has(client, "one\n"));
    assert_int_equal(client->status, 200);
    assert_string_equal(client->content_type, "text/plain");
    assert_false(client->is_complete);
    node_say(scene, "4\r\ntwo\n\r\n0\r\n\r\n");
    SETTLE_UNTIL(scene, client->is_complete);
    assert_string_equal(buf_text(&client->body), "one\ntwo\n");
}

TEST_CASE(the_node_s_refusal_is_the_answer)
{
    AUTO(scene) struct scene *scene = scene_new();
    struct plane_client *client = plane_ask(scene->bed, "GET", LOG, NULL);
    SETTLE_UNTIL(scene, node_has(scene, "\r\n\r\n"));
    node_say(scene, "HTTP/1.1 400 Bad Request\r\ncontent-length: 4\r\n\r\nnope");
    SETTLE_UNTIL(scene, client->is_complete);
    assert_int_equal(client->status, 400);
    assert_string_equal(buf_text(&client->body), "nope");
}

TEST_CASE(an_answer_that_breaks_off_is_seen_to)
{
    AUTO(scene) struct scene *scene = scene_new();
    struct plane_client *client = plane_ask(scene->bed, "GET", LOG, NULL);
    SETTLE_UNTIL(scene, node_has(scene, "\r\n\r\n"));
    node_say(scene, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
    SETTLE_UNTIL(scene, client_has(client, "half"));
    node_close(scene);
    SETTLE_UNTIL(scene, client->is_ended);
    assert_false(client->is_complete);
}

TEST_CASE(a_node_that_is_not_there_is_told_of)
{
    static const struct {
        const char *target, *fields;
        unsigned code;
        const char *message;
    } rows[] = {
        {LOG, ADMIN, 500, "connect: connection refused"},
        {"/api/v1/nodes/n/proxy/", ADMIN, 503, "error trying to reach service: dial tcp 127.0.0.1"},
        {EXEC, UPGRADE, 500, "error dialing backend: dial tcp 127.0.0.1"},
    };
    AUTO(scene) struct scene *scene = scene_new();
    fd_close(&scene->listener);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].target);
        struct plane_client *client =
            plane_ask_with(scene->bed, "GET", rows[i].target, rows[i].fields, NULL);
        SETTLE_UNTIL(scene, client->is_complete);
        assert_int_equal(client->status, rows[i].code);
        if (!client_has(client, rows[i].message))
            fail_msg("%s", buf_text(&client->body));
        assert_true(client_has(client, "\"kind\":\"Status\""));
    }
}

/* Bytes enough to fill every buffer on the way. */
static char *large_text(struct arena *arena)
{
    char *text = arena_alloc(arena, LARGE_BYTES + 1);
    for (size_t i = 0; i < LARGE_BYTES; i++)
        text[i] = (char)('a' + i % 23);
    return text;
}

/* Lets the node send until nobody takes any more; returns how much that was. */
static size_t node_flood(struct scene *scene, const char *text, size_t from)
{
    size_t sent = from;
    for (int refused = 0; refused < 50 && sent < LARGE_BYTES;) {
        ssize_t len = send(scene->node, text + sent, LARGE_BYTES - sent, MSG_NOSIGNAL);
        if (len > 0)
            sent += (size_t)len;
        refused = len > 0 ? 0 : refused + 1;
        settle(scene);
    }
    return sent;
}

TEST_CASE(a_slow_client_holds_the_node_back)
{
    static const struct {
        const char *target, *fields, *answer;
    } rows[] = {
        {LOG, ADMIN, "HTTP/1.1 200 OK\r\ncontent-length: 4194304\r\n\r\n"},
        {EXEC, UPGRADE, AGREED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].target);
        AUTO(scene) struct scene *scene = scene_new();
        char *text = large_text(scene->bed->rest->arena);
        int small = 4096;
        struct plane_client *client =
            plane_ask_with(scene->bed, "GET", rows[i].target, rows[i].fields, NULL);
        SETTLE_UNTIL(scene, node_has(scene, "\r\n\r\n"));
        (void)setsockopt(scene->node, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
        node_say(scene, rows[i].answer);
        SETTLE_UNTIL(scene, client->status != 0);
        client->is_paused = true;
        size_t sent = node_flood(scene, text, 0);
        print_message("held back after %zu bytes\n", sent);
        client->is_paused = false;
        while (sent < LARGE_BYTES)
            sent = node_flood(scene, text, sent);
        const struct buf *got = client->is_upgraded ? &client->raw : &client->body;
        SETTLE_UNTIL(scene, got->len >= LARGE_BYTES);
        assert_memory_equal(buf_text(got), text, LARGE_BYTES);
    }
}

TEST_CASE(an_upgrade_becomes_a_pipe)
{
    AUTO(scene) struct scene *scene = scene_new();
    struct plane_client *client = plane_ask_with(scene->bed, "POST", EXEC, UPGRADE, NULL);
    SETTLE_UNTIL(scene, node_has(scene, "\r\n\r\n"));
    assert_true(node_has(scene, "POST /exec/default/p/c?output=1&command=ls HTTP/1.1\r\n"));
    assert_true(node_has(scene, "connection: upgrade\r\nupgrade: SPDY/3.1\r\nx-stream: v4\r\n"));
    assert_false(node_has(scene, "Bearer"));
    /* Impatient: what it says is kept until the node has agreed. */
    plane_client_send(client, STR_LITERAL("early"));
    settle(scene);
    assert_false(node_has(scene, "early"));
    node_say(scene, AGREED "hello");
    SETTLE_UNTIL(scene, client_has(client, "hello"));
    assert_int_equal(client->status, 101);
    assert_true(client->is_upgraded);
    plane_client_send(client, STR_LITERAL(" and later"));
    SETTLE_UNTIL(scene, node_has(scene, "early and later"));
    node_say(scene, ", bye");
    node_close(scene);
    SETTLE_UNTIL(scene, client->is_ended);
    assert_string_equal(buf_text(&client->raw), "hello, bye");
}

/* Whoever may ask for an upgrade may not thereby ask the node for everything. */
TEST_CASE(a_refused_upgrade_is_no_way_to_the_node)
{
    static const char *const answers[] = {
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 4\r\nconnection: keep-alive\r\n\r\nnope",
        "HTTP/1.1 403 Forbidden\r\ntransfer-encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnope",
    };
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        print_message("%s\n", answers[i]);
        AUTO(scene) struct scene *scene = scene_new();
        struct plane_client *client = plane_ask_with(scene->bed, "GET", EXEC, UPGRADE, NULL);
        SETTLE_UNTIL(scene, node_has(scene, "\r\n\r\n"));
        plane_client_send(client, STR_LITERAL("GET /secret1 HTTP/1.1\r\nhost: h\r\n\r\n"));
        node_say(scene, answers[i]);
        SETTLE_UNTIL(scene, client->is_complete);
        assert_true(client->status == 400 || client->status == 403 || client->status == 200);
        assert_string_equal(buf_text(&client->body), "nope");
        /* The connection ends, whatever the node wanted. */
        (void)send(client->fd, "GET /secret2 HTTP/1.1\r\n\r\n", 25, MSG_NOSIGNAL);
        SETTLE_UNTIL(scene, client->is_ended);
        assert_false(node_has(scene, "secret"));
    }
}

TEST_CASE(an_answer_that_is_no_http_is_refused)
{
    static const char *const answers[] = {"SSH-2.0-what\r\n\r\n",
                                          "HTTP/1.1 101 x\r\nbroken\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        AUTO(scene) struct scene *scene = scene_new();
        struct plane_client *client = plane_ask_with(scene->bed, "GET", EXEC, UPGRADE, NULL);
        SETTLE_UNTIL(scene, node_has(scene, "\r\n\r\n"));
        node_say(scene, answers[i]);
        SETTLE_UNTIL(scene, client->is_complete);
        assert_int_equal(client->status, 500);
        assert_true(client_has(client, "error dialing backend"));
    }
}

enum stage { STAGE_DIALLED, STAGE_ASKED, STAGE_HALF, STAGE_BEGUN, STAGE_COUNT };

/* Brings a request to @stage. */
static struct plane_client *bring_to(struct scene *scene, bool is_upgrade, enum stage stage)
{
    struct plane_client *client = plane_connect(scene->bed);
    const char *text = arena_printf(scene->bed->rest->arena, "GET %s HTTP/1.1\r\nhost: h\r\n%s\r\n",
                                    is_upgrade ? EXEC : LOG, is_upgrade ? UPGRADE : ADMIN);
    plane_client_send(client, str_from(text));
    if (stage == STAGE_DIALLED) {
        for (int i = 0; i < 4; i++)
            loop_turn(scene->bed->rest->loop, 0);
        return client;
    }
    SETTLE_UNTIL(scene, node_has(scene, "\r\n\r\n"));
    if (stage >= STAGE_HALF)
        node_say(scene, is_upgrade ? "HTTP/1.1 101 Switch" : "HTTP/1.1 200 O");
    if (stage >= STAGE_BEGUN)
        node_say(scene, is_upgrade ? "ing\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nbytes"
                                   : "K\r\ncontent-length: 100\r\n\r\nbytes");
    settle(scene);
    return client;
}

TEST_CASE(the_client_may_go_at_every_stage)
{
    for (int i = 0; i < 2 * STAGE_COUNT; i++) {
        AUTO(scene) struct scene *scene = scene_new();
        plane_client_hang_up(bring_to(scene, i % 2 == 0, (enum stage)(i / 2)));
        if (i / 2 > STAGE_DIALLED)
            SETTLE_UNTIL(scene, scene->is_node_ended);
        settle(scene);
    }
}

TEST_CASE(the_node_may_go_at_every_stage)
{
    for (int i = 0; i < 2 * STAGE_COUNT; i++) {
        AUTO(scene) struct scene *scene = scene_new();
        struct plane_client *client = bring_to(scene, i % 2 == 0, (enum stage)(i / 2));
        settle(scene);
        node_close(scene);
        SETTLE_UNTIL(scene, client->is_complete || client->is_ended);
    }
}

TEST_CASE(the_plane_may_end_at_every_stage)
{
    for (int i = 0; i < 2 * STAGE_COUNT; i++) {
        AUTO(scene) struct scene *scene = scene_new();
        (void)bring_to(scene, i % 2 == 0, (enum stage)(i / 2));
    }
}

TEST_MAIN(TEST(an_answer_is_passed_on_as_it_comes), TEST(the_node_s_refusal_is_the_answer),
          TEST(an_answer_that_breaks_off_is_seen_to), TEST(a_node_that_is_not_there_is_told_of),
          TEST(a_slow_client_holds_the_node_back), TEST(an_upgrade_becomes_a_pipe),
          TEST(a_refused_upgrade_is_no_way_to_the_node), TEST(an_answer_that_is_no_http_is_refused),
          TEST(the_client_may_go_at_every_stage), TEST(the_node_may_go_at_every_stage),
          TEST(the_plane_may_end_at_every_stage))
