/* Passing requests on: the client on a socket pair, a scripted node on loopback, which speaks no
 * TLS. */
#include "plane/proxy_internal.h"
#include "tests/lib/loopback.h"
#include "tests/unit/plane/plane_bed.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#define ADMIN "authorization: Bearer admin\r\n"
#define UPGRADE ADMIN "connection: upgrade\r\nupgrade: SPDY/3.1\r\nx-stream: v4\r\n"
#define PROXY "/api/v1/nodes/n/proxy/"
#define POD "/api/v1/namespaces/default/pods/p"
#define LOG POD "/log"
#define EXEC POD "/exec?command=ls&stdout=1"
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
    bool is_node_paused; /* does not read */
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
    while (scene->node >= 0 && !scene->is_node_ended && !scene->is_node_paused &&
           (len = recv(scene->node, bytes, sizeof(bytes), 0)) > 0) {
        buf_add(&scene->got, bytes, (size_t)len);
        is_any = true;
    }
    if (scene->node >= 0 && !scene->is_node_paused && (len == 0 || (len < 0 && errno != EAGAIN)))
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
    struct plane_client *client =
        plane_ask_with(scene->bed, "GET", PROXY "logs/?a=b",
                       ADMIN "x-mine: 1\r\nconnection: x-hop\r\nx-hop: 1\r\n"
                             "impersonate-user: admin\r\nimpersonate-group: system:masters\r\n",
                       NULL);
    SETTLE_UNTIL(scene, node_has(scene, "\r\n\r\n"));
    assert_true(node_has(scene, "GET /logs/?a=b HTTP/1.1\r\n"));
    assert_true(node_has(scene, "x-mine: 1\r\n"));
    assert_false(node_has(scene, "x-hop"));
    assert_false(node_has(scene, "Bearer"));
    assert_false(node_has(scene, "impersonate"));
    assert_int_equal(client->status, 0);
    node_say(scene, "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n"
                    "transfer-encoding: chunked\r\n\r\n4\r\none\n\r\n");
    SETTLE_UNTIL(scene, client_has(client, "one\n"));
    assert_int_equal(client->status, 200);
    assert_string_equal(client->content_type, "text/html");
    assert_false(client->is_complete);
    node_say(scene, "4\r\ntwo\n\r\n0\r\n\r\n");
    SETTLE_UNTIL(scene, client->is_complete);
    assert_string_equal(buf_text(&client->body), "one\ntwo\n");
}

/* Nothing of the asker's request but what makes a log's address; nor does it become a pipe. */
TEST_CASE(a_log_is_asked_for_in_our_words)
{
    AUTO(scene) struct scene *scene = scene_new();
    struct plane_client *client = plane_ask_with(scene->bed, "GET", LOG "?follow=true",
                                                 UPGRADE "accept: application/json\r\n", NULL);
    SETTLE_UNTIL(scene, node_has(scene, "\r\n\r\n"));
    assert_true(node_has(scene, "GET /containerLogs/default/p/c?follow=true HTTP/1.1\r\n"));
    assert_false(node_has(scene, "x-stream"));
    assert_false(node_has(scene, "application/json"));
    node_say(scene, "HTTP/1.1 200 OK\r\nx-node: 1\r\ncontent-length: 4\r\n\r\none\n");
    SETTLE_UNTIL(scene, client->is_complete);
    assert_int_equal(client->status, 200);
    assert_string_equal(client->content_type, "text/plain");
    assert_string_equal(buf_text(&client->body), "one\n");
}

TEST_CASE(the_node_s_refusal_is_the_answer)
{
    AUTO(scene) struct scene *scene = scene_new();
    struct plane_client *client = plane_ask(scene->bed, "GET", PROXY, NULL);
    SETTLE_UNTIL(scene, node_has(scene, "\r\n\r\n"));
    node_say(scene, "HTTP/1.1 400 Bad Request\r\ncontent-length: 4\r\n\r\nnope");
    SETTLE_UNTIL(scene, client->is_complete);
    assert_int_equal(client->status, 400);
    assert_string_equal(buf_text(&client->body), "nope");
}

TEST_CASE(a_log_that_the_node_refuses_is_a_status)
{
    static const struct {
        unsigned code;
        const char *reason, *message;
    } rows[] = {
        {400, "BadRequest", "\"no \\\"c\\\" here\""},
        {403, "Forbidden", "\"no \\\"c\\\" here ( pods/log p)\""},
        {404, "NotFound", "\"the server could not find the requested resource ( pods/log p)\""},
        {418, "",
         "\"the server responded with the status code 418 but did not return more "
         "information ( pods/log p)\""},
        {500, "InternalError", "\"Internal error occurred: no \\\"c\\\" here\""},
        {502, "InternalError",
         "\"an error on the server (\\\"no \\\"c\\\" here\\\") has prevented "
         "the request from succeeding ( pods/log p)\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%u\n", rows[i].code);
        AUTO(scene) struct scene *scene = scene_new();
        struct arena *arena = scene->bed->rest->arena;
        struct plane_client *client = plane_ask(scene->bed, "GET", LOG, NULL);
        SETTLE_UNTIL(scene, node_has(scene, "\r\n\r\n"));
        node_say(scene,
                 arena_printf(arena, "HTTP/1.1 %u x\r\ncontent-length: 11\r\n\r\nno \"c\" here",
                              rows[i].code));
        SETTLE_UNTIL(scene, client->is_complete);
        assert_int_equal(client->status, rows[i].code);
        if (!client_has(client, rows[i].message))
            fail_msg("%s", buf_text(&client->body));
        if (*rows[i].reason)
            assert_true(
                client_has(client, arena_printf(arena, "\"reason\":\"%s\"", rows[i].reason)));
    }
}

TEST_CASE(a_refusal_of_any_length_is_quoted_in_part)
{
    AUTO(scene) struct scene *scene = scene_new();
    struct plane_client *client = plane_ask(scene->bed, "GET", LOG, NULL);
    SETTLE_UNTIL(scene, node_has(scene, "\r\n\r\n"));
    node_say(scene, "HTTP/1.1 400 x\r\ncontent-length: 60000\r\n\r\n");
    char *said = arena_calloc(scene->bed->rest->arena, 1, 60001);
    memset(said, 1, 60000);
    node_say(scene, said);
    SETTLE_UNTIL(scene, client->is_complete);
    assert_int_equal(client->status, 400);
    assert_in_range(client->body.len, 6 * 50000, 6 * 50000 + 200);
}

TEST_CASE(a_stream_needs_an_upgrade)
{
    static const char *const targets[] = {EXEC, POD "/attach?stdout=1", POD "/portforward?ports=1"};
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
        AUTO(scene) struct scene *scene = scene_new();
        struct plane_client *client = plane_ask(scene->bed, "POST", targets[i], NULL);
        SETTLE_UNTIL(scene, client->is_complete);
        assert_int_equal(client->status, 400);
        assert_true(client_has(client, "\"message\":\"Upgrade request required\""));
        assert_int_equal(scene->node, -1);
    }
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

/* In the middle of a chunk's length: there is nothing to wait for any more. */
TEST_CASE(a_refusal_that_breaks_off_ends)
{
    AUTO(scene) struct scene *scene = scene_new();
    struct plane_client *client = plane_ask_with(scene->bed, "GET", EXEC, UPGRADE, NULL);
    SETTLE_UNTIL(scene, node_has(scene, "\r\n\r\n"));
    node_say(scene, "HTTP/1.1 403 x\r\ntransfer-encoding: chunked\r\n\r\n4\r\nnope\r\n1");
    node_close(scene);
    SETTLE_UNTIL(scene, client->is_ended);
    assert_int_equal(client->status, 403);
}

/* Joins @scene's client and node. */
static struct plane_client *join(struct scene *scene)
{
    struct plane_client *client = plane_ask_with(scene->bed, "POST", EXEC, UPGRADE, NULL);
    SETTLE_UNTIL(scene, node_has(scene, "\r\n\r\n"));
    node_say(scene, AGREED);
    SETTLE_UNTIL(scene, client->is_upgraded);
    return client;
}

/* Lets the client send until nobody takes any more; returns how much that was. */
static size_t client_flood(struct scene *scene, struct plane_client *client, const char *text)
{
    size_t sent = 0;
    for (int refused = 0; refused < 10;) {
        ssize_t len = send(client->fd, text, 10000, MSG_NOSIGNAL);
        sent += len > 0 ? (size_t)len : 0;
        refused = len > 0 ? 0 : refused + 1;
        settle(scene);
    }
    return sent;
}

/* Like somebody who is killed: something said to it lies unread, so its end is a reset. */
TEST_CASE(what_a_client_said_before_it_broke_off_arrives)
{
    AUTO(scene) struct scene *scene = scene_new();
    char *text = large_text(scene->bed->rest->arena);
    struct plane_client *client = join(scene);
    size_t head = scene->got.len, sent = 0;
    scene->is_node_paused = true;
    client->is_paused = true;
    /* A word of the node's has the plane try again, until even that moves nothing. */
    for (size_t more = 1; more > 0; sent += more) {
        node_say(scene, "unread");
        more = client_flood(scene, client, text);
    }
    fd_close(&client->fd);
    settle(scene);
    scene->is_node_paused = false;
    SETTLE_UNTIL(scene, scene->is_node_ended);
    assert_int_equal(scene->got.len - head, sent);
}

static int node_unsent(const struct scene *scene)
{
    int bytes = 0;
    assert_int_equal(ioctl(scene->node, SIOCOUTQ, &bytes), 0);
    return bytes;
}

/* A command ends with its input unread, and says so: the reset must not take the word with it. */
TEST_CASE(what_a_node_said_before_it_broke_off_arrives)
{
    AUTO(scene) struct scene *scene = scene_new();
    char *text = large_text(scene->bed->rest->arena);
    struct plane_client *client = join(scene);
    client->is_paused = true;
    scene->is_node_paused = true;
    size_t sent = 0;
    for (; sent < 304 * KiB; sent += 4 * KiB) {
        assert_int_equal(send(scene->node, text + sent, 4 * KiB, MSG_NOSIGNAL), 4 * KiB);
        settle(scene);
    }
    SETTLE_UNTIL(scene, node_unsent(scene) == 0); /* it is here, if not read */
    plane_client_send(client, STR_LITERAL("unread"));
    settle(scene);
    node_close(scene);
    plane_client_send(client, STR_LITERAL("more"));
    settle(scene);
    client->is_paused = false;
    SETTLE_UNTIL(scene, client->is_ended);
    assert_int_equal(client->raw.len, sent);
    assert_memory_equal(buf_text(&client->raw), text, sent);
}

/* Both in one turn. */
TEST_CASE(the_client_may_go_while_the_handshake_fails)
{
    static const struct tls_options options = {.alpn = "http/1.1", .insecure_skip_verify = true};
    AUTO(tls_context) struct tls_context *tls = NULL;
    assert_no_error(tls_context_new_client(&options, &tls));
    AUTO(scene) struct scene *scene = scene_new();
    struct plane *plane = &scene->bed->plane;
    node_proxy_free(plane->proxy);
    plane->proxy = node_proxy_new(plane->loop, scene->bed->rest->pool, tls);
    struct plane_client *client = plane_ask_with(scene->bed, "POST", EXEC, UPGRADE, NULL);
    SETTLE_UNTIL(scene, scene->got.len > 100); /* the client's hello */
    fd_close(&client->fd);
    assert_int_equal(send(scene->node, "SSH-2.0-what\r\n", 14, MSG_NOSIGNAL), 14);
    SETTLE_UNTIL(scene, scene->is_node_ended);
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

TEST_MAIN(TEST(an_answer_is_passed_on_as_it_comes), TEST(a_log_is_asked_for_in_our_words),
          TEST(the_node_s_refusal_is_the_answer), TEST(a_log_that_the_node_refuses_is_a_status),
          TEST(a_refusal_of_any_length_is_quoted_in_part), TEST(a_stream_needs_an_upgrade),
          TEST(an_answer_that_breaks_off_is_seen_to), TEST(a_node_that_is_not_there_is_told_of),
          TEST(a_slow_client_holds_the_node_back), TEST(an_upgrade_becomes_a_pipe),
          TEST(a_refused_upgrade_is_no_way_to_the_node), TEST(an_answer_that_is_no_http_is_refused),
          TEST(a_refusal_that_breaks_off_ends),
          TEST(what_a_client_said_before_it_broke_off_arrives),
          TEST(what_a_node_said_before_it_broke_off_arrives),
          TEST(the_client_may_go_while_the_handshake_fails), TEST(the_client_may_go_at_every_stage),
          TEST(the_node_may_go_at_every_stage), TEST(the_plane_may_end_at_every_stage))
