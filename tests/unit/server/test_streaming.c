#include "streaming_bench.h"

#include <fcntl.h>

#define UPGRADE                                                                                    \
    "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n"
#define EXEC "POST /exec/default/web-n/a?command=ls&output=1"
#define AGREED                                                                                     \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"             \
    "X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n"
#define LARGE_BYTES (12 * MiB) /* more than the kernel keeps */

/* --- refusals, in order --- */

struct refusal {
    const char *line, *fields;
    unsigned status;
    const char *body;
};

static void check_refusal(struct desk *desk, const struct refusal *row)
{
    client_asks(desk, row->line, row->fields);
    DESK_UNTIL(desk, client_has(desk, "\r\n\r\n"));
    desk_settle(desk);
    AUTO(free) char *status = xasprintf("HTTP/1.1 %u ", row->status);
    const char *body = strstr(buf_text(&desk->client_got), "\r\n\r\n") + 4;
    if (!text_has_prefix(buf_text(&desk->client_got), status) || strcmp(body, row->body) != 0)
        fail_msg("%s: %s", row->line, buf_text(&desk->client_got));
}

TEST_CASE(what_cannot_be_is_refused_in_a_kubelet_s_words)
{
    static const struct refusal rows[] = {
        {"POST /exec/default/none/a", "", 400,
         "you must specify at least 1 of stdin, stdout, stderr"},
        {"POST /exec/default/web-n/a?error=1&tty=1", "", 400,
         "you must specify at least 1 of stdin, stdout, stderr"},
        {"POST /exec/default/none/a?output=1", "", 404, "pod does not exist"},
        {"POST /exec/other/web-n/a?output=1", "", 404, "pod does not exist"},
        {"POST /exec/default/web-n/x?output=1", "", 500, "container not found (\"x\")"},
        {"POST /exec/default/web-n/u-other/a?output=1", "", 500, "container not found (\"a\")"},
        {"POST /attach/default/web-n/a", "", 400,
         "you must specify at least 1 of stdin, stdout, stderr"},
        {"POST /attach/default/none/a?output=1", "", 404, "pod does not exist"},
        {"POST /attach/default/web-n/x?output=1", "", 500,
         "container x not found in pod web-n_default"},
        {"POST /attach/default/web-n/u-other/a?output=1", "", 500, "container not found (\"a\")"},
        {"POST /portForward/default/none", "", 404, "pod does not exist"},
        {"POST /portForward/default/web-n/u-other", "", 404, "pod not found"},
        {"GET /portForward/default/none",
         "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: "
         "v4.channel.k8s.io\r\n",
         400, "query parameter \"port\" is required"},
        {"POST /run/default/none/a?cmd=ls", "", 404, "pod does not exist"},
        {"POST /run/default/web-n/x?cmd=ls", "", 500, "container not found (\"x\")"},
    };
    AUTO(desk) struct desk *desk = desk_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        check_refusal(desk, &rows[i]);
    assert_null(desk->asked);
}

TEST_CASE(without_an_upgrade_the_runtime_is_asked_all_the_same)
{
    static const char *const lines[] = {EXEC, "GET /exec/default/web-n/" DESK_UID "/a?output=1",
                                        "GET /attach/default/web-n/" DESK_API_UID "/t?output=1",
                                        "GET /portForward/default/web-n"};
    AUTO(desk) struct desk *desk = desk_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        free(TAKE(desk->asked));
        check_refusal(desk, &(struct refusal){lines[i], "", 500, "Upgrade request required\n"});
        assert_non_null(desk->asked);
        assert_true(client_has(desk, "content-type: text/plain; charset=utf-8\r\n"));
        assert_true(client_has(desk, "x-content-type-options: nosniff\r\n"));
    }
}

TEST_CASE(what_the_runtime_refuses_has_a_status_of_its_own)
{
    static const struct {
        enum error_code code;
        unsigned status;
        const char *body;
    } rows[] = {
        {ERROR_NOT_FOUND, 404, "rpc error: code = NotFound desc = why"},
        {ERROR_RESOURCE_EXHAUSTED, 429, "rpc error: code = ResourceExhausted desc = why"},
        {ERROR_INVALID_ARGUMENT, 500, "rpc error: code = InvalidArgument desc = why"},
        {ERROR_UNKNOWN, 500, "rpc error: code = Unknown desc = why"},
    };
    AUTO(desk) struct desk *desk = desk_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        desk->script = (struct desk_script){.error = "why", .code = rows[i].code};
        check_refusal(desk, &(struct refusal){EXEC, UPGRADE, rows[i].status, rows[i].body});
        assert_int_equal(client_has(desk, "retry-after: 60\r\n"), rows[i].status == 429);
    }
}

TEST_CASE(a_url_that_is_none_is_told_of)
{
    static const struct {
        const char *url, *body;
    } rows[] = {
        {"/exec/TOKEN", "the runtime's streaming URL \"/exec/TOKEN\" has no host"},
        {"", "URL is not set"},
    };
    AUTO(desk) struct desk *desk = desk_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        desk->script.url = rows[i].url;
        check_refusal(desk, &(struct refusal){EXEC, UPGRADE, 500, rows[i].body});
    }
}

TEST_CASE(what_is_asked_of_the_runtime)
{
    static const struct {
        const char *line, *fields, *want;
    } rows[] = {
        {"GET /exec/default/web-n/a?command=sh&command=-c&command=echo%20hi&input=1&output=1&"
         "error=1",
         "", "Exec tty=0 stdin=1 stdout=1 stderr=1 [sh] [-c] [echo hi]"},
        {"GET /exec/default/web-n/a?command=&output=1&error=1&tty=1", "",
         "Exec tty=1 stdin=0 stdout=1 stderr=0 []"},
        {"GET /exec/default/web-n/a?output=true&error=1", "",
         "Exec tty=0 stdin=0 stdout=0 stderr=1"},
        /* The spec knows better whether there is a terminal. */
        {"GET /attach/default/web-n/a?input=1&output=1&tty=1", "",
         "Attach tty=0 stdin=1 stdout=1 stderr=0"},
        {"GET /attach/default/web-n/t?output=1", "", "Attach tty=1 stdin=0 stdout=1 stderr=0"},
        {"GET /portForward/default/web-n?port=80", "", "PortForward"},
        {"GET /portForward/default/web-n?port=80,81&port=82",
         "Connection: upgrade\r\nUpgrade: websocket\r\n", "PortForward 80 81 82"},
        {"GET /portForward/default/web-n?port=80",
         "Connection: upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Protocol: x, "
         "SPDY/3.1+portforward.k8s.io\r\n",
         "PortForward"},
        {"POST /run/default/web-n/a?cmd=echo%20a++b", "", "ExecSync timeout=0 [echo] [a] [] [b]"},
        {"POST /run/default/web-n/a", "", "ExecSync timeout=0 []"},
    };
    AUTO(desk) struct desk *desk = desk_new(0);
    desk->script = (struct desk_script){.error = "no", .code = ERROR_UNKNOWN};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        client_asks(desk, rows[i].line, rows[i].fields);
        DESK_UNTIL(desk, client_has(desk, "\r\n\r\n"));
        assert_string_equal(desk->asked, rows[i].want);
    }
}

/* --- run --- */

TEST_CASE(run_answers_with_what_the_command_said)
{
    static const struct {
        struct desk_script script;
        unsigned status;
        const char *type, *body;
    } rows[] = {
        {{.output = "out\n", .errors = "err\n"}, 200, "application/json", "out\nerr\n"},
        {{.output = ""}, 200, "application/json", ""},
        {{.errors = "why\n", .output = "x", .exit_code = 3},
         500,
         "text/plain; charset=utf-8",
         "command 'ls -l' exited with 3: why\n"},
        {{.error = "failed to exec", .code = ERROR_NOT_FOUND},
         500,
         "text/plain; charset=utf-8",
         "rpc error: code = NotFound desc = failed to exec"},
    };
    AUTO(desk) struct desk *desk = desk_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        desk->script = rows[i].script;
        check_refusal(desk, &(struct refusal){"POST /run/default/web-n/a?cmd=ls%20-l", "",
                                              rows[i].status, rows[i].body});
        AUTO(free) char *type = xasprintf("content-type: %s\r\n", rows[i].type);
        assert_true(client_has(desk, type));
    }
}

/* --- who goes away --- */

TEST_CASE(a_client_that_goes_takes_its_call_with_it)
{
    static const char *const lines[] = {EXEC, "POST /run/default/web-n/a?cmd=ls"};
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        AUTO(desk) struct desk *desk = desk_new(0);
        desk->script.is_held = true;
        client_asks(desk, lines[i], "");
        DESK_UNTIL(desk, desk->asked);
        assert_int_equal(streaming_session_count(desk->streaming), 1);
        client_leaves(desk);
        DESK_UNTIL(desk, desk->cancelled == 1);
        assert_int_equal(streaming_session_count(desk->streaming), 0);
    }
}

TEST_CASE(the_server_may_end_while_the_runtime_is_asked)
{
    AUTO(desk) struct desk *desk = desk_new(0);
    desk->script.is_held = true;
    client_asks(desk, EXEC, UPGRADE);
    DESK_UNTIL(desk, desk->asked);
    streaming_free(TAKE(desk->streaming));
    DESK_UNTIL(desk, desk->is_client_ended);
    assert_int_equal(desk->cancelled, 1);
}

TEST_CASE(there_is_a_limit_to_streams_at_once)
{
    AUTO(desk) struct desk *desk = desk_new(1);
    client_asks(desk, EXEC, UPGRADE);
    DESK_UNTIL(desk, backend_has(desk, "\r\n\r\n"));
    int first = desk->client;
    desk->client = -1;
    check_refusal(desk, &(struct refusal){EXEC, UPGRADE, 429,
                                          "too many streams at once (1), please try again later"});
    assert_true(client_has(desk, "retry-after: 60\r\n"));
    fd_close(&first);
    DESK_UNTIL(desk, streaming_session_count(desk->streaming) == 0);
    desk->script = (struct desk_script){.error = "asked", .code = ERROR_UNKNOWN};
    check_refusal(desk,
                  &(struct refusal){EXEC, UPGRADE, 500, "rpc error: code = Unknown desc = asked"});
}

/* --- passing on --- */

TEST_CASE(an_upgrade_is_passed_on_as_it_is)
{
    AUTO(desk) struct desk *desk = desk_new(0);
    client_asks(desk, EXEC,
                UPGRADE "X-Forwarded-For: 10.0.0.9\r\nX-Mine: 1\r\nContent-Length: 0\r\n");
    DESK_UNTIL(desk, backend_has(desk, "\r\n\r\n"));
    assert_string_equal(buf_text(&desk->backend_got),
                        "POST /exec/TOKEN HTTP/1.1\r\nhost: node:10250\r\n"
                        "connection: Upgrade\r\nupgrade: SPDY/3.1\r\n"
                        "x-stream-protocol-version: v4.channel.k8s.io\r\nx-mine: 1\r\n"
                        "x-forwarded-for: 10.0.0.9\r\n\r\n");
    client_says(desk, "early");
    assert_false(backend_has(desk, "early"));
    backend_says(desk, AGREED "hello");
    DESK_UNTIL(desk, client_has(desk, "hello"));
    assert_true(text_has_prefix(buf_text(&desk->client_got),
                                "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n"
                                "upgrade: SPDY/3.1\r\n"
                                "x-stream-protocol-version: v4.channel.k8s.io\r\n\r\nhello"));
    client_says(desk, " and later");
    DESK_UNTIL(desk, backend_has(desk, "early and later"));
    backend_says(desk, ", bye");
    backend_leaves(desk);
    DESK_UNTIL(desk, desk->is_client_ended);
    assert_true(client_has(desk, "hello, bye"));
    client_leaves(desk);
    DESK_UNTIL(desk, streaming_session_count(desk->streaming) == 0);
}

TEST_CASE(what_the_runtime_s_server_refuses_is_the_answer)
{
    static const struct {
        const char *answer;
        unsigned status;
        const char *body;
    } rows[] = {
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope", 404, "nope"},
        {"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n", 403,
         "nope"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope", 500,
         "invalid upgrade response: status code 200\n"},
        {"SSH-2.0-what\r\n\r\n", 500, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(desk) struct desk *desk = desk_new(0);
        client_asks(desk, EXEC, UPGRADE);
        DESK_UNTIL(desk, backend_has(desk, "\r\n\r\n"));
        client_says(desk, "GET /secret HTTP/1.1\r\n\r\n");
        backend_says(desk, rows[i].answer);
        DESK_UNTIL(desk, desk->is_client_ended);
        AUTO(free) char *status = xasprintf("HTTP/1.1 %u ", rows[i].status);
        assert_true(text_has_prefix(buf_text(&desk->client_got), status));
        assert_true(client_has(desk, "connection: close\r\n"));
        if (rows[i].body)
            assert_string_equal(strstr(buf_text(&desk->client_got), "\r\n\r\n") + 4, rows[i].body);
        assert_false(backend_has(desk, "secret"));
    }
}

TEST_CASE(what_a_refused_client_says_is_dropped_in_turns)
{
    AUTO(desk) struct desk *desk = desk_new(0);
    client_asks(desk, EXEC, UPGRADE);
    DESK_UNTIL(desk, backend_has(desk, "\r\n\r\n"));
    backend_says(desk, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nno");
    DESK_UNTIL(desk, client_has(desk, "\r\n\r\nno"));
    assert_true(client_is_heard_in_turns(desk));
    backend_says(desk, "pe");
    DESK_UNTIL(desk, desk->is_client_ended);
    assert_true(client_has(desk, "\r\n\r\nnope"));
}

TEST_CASE(a_runtime_s_server_that_is_not_there_is_told_of)
{
    AUTO(desk) struct desk *desk = desk_new(0);
    fd_close(&desk->listener);
    desk->listener = -1;
    client_asks(desk, EXEC, UPGRADE);
    DESK_UNTIL(desk, desk->is_client_ended);
    assert_true(text_has_prefix(buf_text(&desk->client_got), "HTTP/1.1 500 "));
    assert_true(client_has(desk, "x-content-type-options: nosniff\r\n"));
    AUTO(free)
    char *want = xasprintf("\r\n\r\nerror dialing backend: dial tcp 127.0.0.1:%u: connect: "
                           "connection refused\n",
                           (unsigned)desk->port);
    assert_true(client_has(desk, want));
}

/* Lets @fd send of @text until nobody takes any more; returns how much it has sent in all. */
static size_t flood(struct desk *desk, int fd, const char *text, size_t from)
{
    size_t sent = from;
    for (int refused = 0; refused < 50 && sent < LARGE_BYTES;) {
        ssize_t len = send(fd, text + sent, LARGE_BYTES - sent, MSG_NOSIGNAL);
        sent += len > 0 ? (size_t)len : 0;
        refused = len > 0 ? 0 : refused + 1;
        desk_settle(desk);
    }
    return sent;
}

static char *large_text(void)
{
    char *text = xcalloc(1, LARGE_BYTES + 1);
    for (size_t i = 0; i < LARGE_BYTES; i++)
        text[i] = (char)('a' + i % 23);
    return text;
}

TEST_CASE(who_does_not_read_holds_the_other_back)
{
    AUTO(free) char *text = large_text();
    for (int is_client_slow = 0; is_client_slow < 2; is_client_slow++) {
        AUTO(desk) struct desk *desk = desk_new(0);
        int small = 64 * 1024; /* connections get it from their listener */
        (void)setsockopt(desk->listener, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
        (void)setsockopt(desk->listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        client_asks(desk, EXEC, UPGRADE);
        DESK_UNTIL(desk, backend_has(desk, "\r\n\r\n"));
        backend_says(desk, AGREED);
        DESK_UNTIL(desk, client_has(desk, "\r\n\r\n"));
        buf_clear(&desk->client_got);
        buf_clear(&desk->backend_got);
        desk->is_client_paused = is_client_slow;
        desk->is_backend_paused = !is_client_slow;
        int sender = is_client_slow ? desk->backend : desk->client;
        size_t sent = flood(desk, sender, text, 0);
        assert_true(sent < LARGE_BYTES);
        desk->is_client_paused = desk->is_backend_paused = false;
        while (sent < LARGE_BYTES)
            sent = flood(desk, sender, text, sent);
        const struct buf *got = is_client_slow ? &desk->client_got : &desk->backend_got;
        DESK_UNTIL(desk, got->len >= LARGE_BYTES);
        assert_memory_equal(buf_text(got), text, LARGE_BYTES);
    }
}

/* A client over TCP, where a connection that is closed while it is spoken to is reset, and what was
 * still on its way is lost. */
static void client_asks_over_tcp(struct desk *desk)
{
    uint16_t port = 0;
    int listener = loopback_listen(1, &port);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    desk->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(desk->client, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(fcntl(desk->client, F_SETFL, O_NONBLOCK), 0);
    http_server_serve_fd(desk->server, loopback_accept(listener), NULL);
    fd_close(&listener);
    client_says(desk, EXEC " HTTP/1.1\r\nHost: node\r\n" UPGRADE "\r\n");
}

TEST_CASE(what_was_said_last_reaches_a_client_that_still_speaks)
{
    AUTO(free) char *text = large_text();
    AUTO(desk) struct desk *desk = desk_new(0);
    char bytes[8 * 1024];
    client_asks_over_tcp(desk);
    DESK_UNTIL(desk, backend_has(desk, "\r\n\r\n"));
    backend_says(desk, AGREED);
    DESK_UNTIL(desk, client_has(desk, "\r\n\r\n"));
    buf_clear(&desk->client_got);
    desk->is_client_paused = true;
    size_t sent = flood(desk, desk->backend, text, 0);
    assert_int_equal(shutdown(desk->backend, SHUT_WR),
                     0); /* it still listens, so it loses nothing */
    for (ssize_t len = 1; len != 0; desk_settle(desk)) {
        (void)send(desk->client, "x", 1, MSG_NOSIGNAL);
        len = recv(desk->client, bytes, sizeof(bytes), 0);
        if (len < 0)
            assert_int_equal(errno, EAGAIN);
        else
            buf_add(&desk->client_got, bytes, (size_t)len);
    }
    assert_int_equal(desk->client_got.len, sent);
    assert_memory_equal(buf_text(&desk->client_got), text, sent);
    client_leaves(desk);
    DESK_UNTIL(desk, streaming_session_count(desk->streaming) == 0);
}

TEST_MAIN(TEST(what_cannot_be_is_refused_in_a_kubelet_s_words),
          TEST(without_an_upgrade_the_runtime_is_asked_all_the_same),
          TEST(what_the_runtime_refuses_has_a_status_of_its_own),
          TEST(a_url_that_is_none_is_told_of), TEST(what_is_asked_of_the_runtime),
          TEST(run_answers_with_what_the_command_said),
          TEST(a_client_that_goes_takes_its_call_with_it),
          TEST(the_server_may_end_while_the_runtime_is_asked),
          TEST(there_is_a_limit_to_streams_at_once), TEST(an_upgrade_is_passed_on_as_it_is),
          TEST(what_the_runtime_s_server_refuses_is_the_answer),
          TEST(what_a_refused_client_says_is_dropped_in_turns),
          TEST(a_runtime_s_server_that_is_not_there_is_told_of),
          TEST(who_does_not_read_holds_the_other_back),
          TEST(what_was_said_last_reaches_a_client_that_still_speaks))
