#include "cli/local_client.h"

#include "base/fd.h"
#include "tests/lib/tempdir.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

TEST_CASE(texts_are_encoded_for_a_path)
{
    AUTO(buf) struct buf out;
    buf_init(&out, KiB);
    local_client_add_encoded(&out, "a-Z_0.~/?&= \xc3\xa9");
    assert_string_equal(buf_text(&out), "a-Z_0.~%2F%3F%26%3D%20%C3%A9");
}

TEST_CASE(the_head_of_a_reply_is_read_once_it_is_complete)
{
    static const struct {
        const char *bytes;
        bool complete, bad;
        int64_t code;
        size_t len;
    } rows[] = {
        {"", false, false, 0, 0},
        {"HTTP/1.0 200 OK\r\nA: b\r\n", false, false, 0, 0},
        {"HTTP/1.0 200 OK\r\n\r\nbody", true, false, 200, 19},
        {"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n", true, false, 404, 32},
        {"HTTP/1.1 204\r\n\r\n", true, false, 204, 16},
        {"SSH-2.0\r\n\r\n", false, true, 0, 0},
        {"HTTP/1.1 abc\r\n\r\n", false, true, 0, 0},
        {"HTTP/1.1\r\n\r\n", false, true, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct reply_head head = {0};
        AUTO(error) struct error *err = NULL;
        assert_int_equal(local_client_parse_head(str_from(rows[i].bytes), &head, &err),
                         rows[i].complete);
        assert_int_equal(err != NULL, rows[i].bad);
        assert_int_equal(head.code, rows[i].code);
        assert_int_equal(head.len, rows[i].len);
    }
}

TEST_CASE(an_absent_socket_is_explained)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *path = path_join(dir, "cubelet.sock");
    AUTO(free)
    char *want = xasprintf(
        "cannot reach the node agent at %s: No such file or directory (is cubelet running? "
        "--local-socket names another socket)",
        path);
    AUTO(buf) struct buf out;
    buf_init(&out, KiB);
    assert_error_message(local_client_get(path, "/pods", &out), want);
}

/* An agent that says the same to everybody: a thread, because the client blocks. */
struct agent {
    char *dir, *path;
    int listener;
    struct str reply;
    struct buf asked;
    pthread_t thread;
};

static void *answer_once(void *ctx)
{
    struct agent *agent = ctx;
    AUTO(fd) int fd = accept4(agent->listener, NULL, NULL, SOCK_CLOEXEC);
    char piece[1024];
    while (!strstr(buf_text(&agent->asked), "\r\n\r\n")) {
        ssize_t got = recv(fd, piece, sizeof(piece), 0);
        if (got <= 0)
            return NULL;
        buf_add(&agent->asked, piece, (size_t)got);
    }
    (void)!write(fd, agent->reply.ptr, agent->reply.len);
    return NULL;
}

static void agent_start(struct agent *agent, struct str reply)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *agent = (struct agent){.dir = tempdir_new(), .reply = reply};
    agent->path = path_join(agent->dir, "s");
    buf_init(&agent->asked, 64 * KiB);
    assert_true(strlen(agent->path) < sizeof(address.sun_path));
    memcpy(address.sun_path, agent->path, strlen(agent->path));
    agent->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(agent->listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(agent->listener, 1), 0);
    assert_int_equal(pthread_create(&agent->thread, NULL, answer_once, agent), 0);
}

static void agent_end(struct agent *agent)
{
    assert_int_equal(pthread_join(agent->thread, NULL), 0);
    fd_close(&agent->listener);
    buf_done(&agent->asked);
    auto_release_tempdir(&agent->dir);
    free(agent->path);
}

TEST_CASE(a_refusal_is_told_in_the_agents_words)
{
    static const struct {
        struct str reply;
        const char *err;
    } rows[] = {
        {STR_LITERAL("HTTP/1.1 404 Not Found\r\n\r\n{\"message\":\"no such pod\"}"), "no such pod"},
        {STR_LITERAL("HTTP/1.1 500 Error\r\n\r\ncontainer not found (\"c\")\n"),
         "container not found (\"c\")"},
        {STR_LITERAL("HTTP/1.1 500 Error\r\n\r\n<html>\n</html>"),
         "the node agent answers with HTTP status 500"},
        {STR_LITERAL("HTTP/1.1 503 Error\r\n\r\n"), "the node agent answers with HTTP status 503"},
        {STR_LITERAL("HTTP/1.1 500 Error\r\n\r\n[]"),
         "the node agent answers with HTTP status 500"},
        {STR_LITERAL(""), "the node agent closed the connection"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct agent agent;
        AUTO(buf) struct buf out;
        buf_init(&out, KiB);
        agent_start(&agent, rows[i].reply);
        assert_error_message(local_client_get(agent.path, "/x", &out), rows[i].err);
        agent_end(&agent);
    }
}

TEST_CASE(a_websocket_begins_behind_the_agreement)
{
    static const char agreed[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nearly";
    struct agent agent;
    AUTO(buf) struct buf early;
    AUTO(fd) int fd = -1;
    buf_init(&early, KiB);
    agent_start(&agent, str_from(agreed));
    assert_no_error(local_client_upgrade(agent.path, "/exec/a/b/c?x=1", "p", &fd, &early));
    assert_true(fd >= 0);
    AUTO(free) char *asked = xstrdup(buf_text(&agent.asked));
    assert_string_equal(asked, "GET /exec/a/b/c?x=1 HTTP/1.1\r\nHost: localhost\r\n"
                               "Connection: Upgrade, close\r\nUpgrade: websocket\r\n"
                               "Sec-WebSocket-Version: 13\r\n"
                               "Sec-WebSocket-Key: Y3ViZWxldC1vbi1sb2NhbA==\r\n"
                               "Sec-WebSocket-Protocol: p\r\n\r\n");
    agent_end(&agent);
    assert_true(str_has_prefix(STR_LITERAL("early"), buf_text(&early)));

    fd_close(&fd);
    agent_start(&agent, STR_LITERAL("HTTP/1.1 200 OK\r\n\r\n"));
    assert_error_message(local_client_upgrade(agent.path, "/", "p", &fd, &early),
                         "the node agent answers with HTTP status 200");
    assert_int_equal(fd, -1);
    agent_end(&agent);
}

TEST_MAIN(TEST(texts_are_encoded_for_a_path), TEST(the_head_of_a_reply_is_read_once_it_is_complete),
          TEST(an_absent_socket_is_explained), TEST(a_refusal_is_told_in_the_agents_words),
          TEST(a_websocket_begins_behind_the_agreement))
