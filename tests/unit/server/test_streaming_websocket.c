/* What ends here of a client's WebSocket: a command's channels, and SPDY in a tunnel. The case is
 * both the client and the runtime's streaming server. */
#include "streaming_bench.h"
#include "wire/spdy.h"
#include "wire/websocket.h"

#define HANDSHAKE                                                                                  \
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define CHANNELS HANDSHAKE "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n"
#define TUNNEL HANDSHAKE "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n"
#define EXEC "GET /exec/default/web-n/a?command=ls&input=1&output=1"
#define FORWARD "GET /portForward/default/web-n"
#define ACCEPTED(protocol)                                                                         \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"            \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"                                       \
    "Sec-WebSocket-Protocol: " protocol "\r\n\r\n"
#define AGREED                                                                                     \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"             \
    "X-Stream-Protocol-Version: %s\r\n\r\n"
#define MASK "\0\0\0\0"
#define LARGE_BYTES (12 * MiB) /* more than the kernel keeps */
enum { ERROR_ID = 1, STDIN_ID = 3, STDOUT_ID = 5 };

static bool client_got(const struct desk *desk, struct str want)
{
    return memmem(buf_text(&desk->client_got), desk->client_got.len, want.ptr, want.len) != NULL;
}

static void backend_agrees(struct desk *desk, const char *protocol)
{
    AUTO(free) char *text = xasprintf(AGREED, protocol);
    DESK_UNTIL(desk, backend_has(desk, "\r\n\r\n"));
    buf_clear(&desk->backend_got);
    backend_says(desk, text);
}

static void backend_sends(struct desk *desk, const struct buf *bytes)
{
    desk_send(desk, desk->backend, buf_str(bytes));
}

/* The runtime takes the three streams. */
static void backend_replies(struct desk *desk)
{
    static const struct http_fields none = {0};
    AUTO(spdy) struct spdy *spdy = spdy_new();
    AUTO(buf) struct buf out;
    buf_init(&out, MiB);
    DESK_UNTIL(desk, desk->backend_got.len > 0);
    for (uint32_t id = ERROR_ID; id <= STDOUT_ID; id += 2)
        spdy_add_headers(spdy, &out, SPDY_SYN_REPLY, id, &none);
    buf_clear(&desk->backend_got);
    backend_sends(desk, &out);
}

static void backend_writes(struct desk *desk, uint32_t id, struct str bytes, bool is_last)
{
    AUTO(buf) struct buf out;
    buf_init(&out, 2 * LARGE_BYTES);
    spdy_add_data(&out, id, bytes, is_last);
    backend_sends(desk, &out);
}

/* A command whose streams are there. */
static struct desk *desk_open(void)
{
    struct desk *desk = desk_new(0);
    client_asks(desk, EXEC, CHANNELS);
    backend_agrees(desk, "v4.channel.k8s.io");
    backend_replies(desk);
    desk_settle(desk);
    return desk;
}

/* As recorded/http/errors.txt has it, byte for byte. */
TEST_CASE(a_command_is_answered_as_by_a_kubelet)
{
    AUTO(desk) struct desk *desk = desk_new(0);
    client_asks(desk, EXEC, CHANNELS);
    DESK_UNTIL(desk, backend_has(desk, "\r\n\r\n"));
    AUTO(free)
    char *want = xasprintf("POST /exec/TOKEN HTTP/1.1\r\nhost: 127.0.0.1:%u\r\n"
                           "connection: Upgrade\r\nupgrade: SPDY/3.1\r\n"
                           "x-stream-protocol-version: v5.channel.k8s.io\r\n"
                           "x-stream-protocol-version: v4.channel.k8s.io\r\n"
                           "x-stream-protocol-version: v3.channel.k8s.io\r\n"
                           "x-stream-protocol-version: v2.channel.k8s.io\r\n"
                           "x-stream-protocol-version: channel.k8s.io\r\n\r\n",
                           (unsigned)desk->port);
    assert_string_equal(buf_text(&desk->backend_got), want);
    backend_agrees(desk, "v4.channel.k8s.io");
    backend_replies(desk);
    desk_send(desk, desk->client, STR_LITERAL("\x82\x83" MASK "\0hi\x82\x82" MASK "\xff\0"));
    DESK_UNTIL(desk, desk->backend_got.len >= 18);
    assert_memory_equal(buf_text(&desk->backend_got), "\0\0\0\3\0\0\0\2hi\0\0\0\3\1\0\0\0", 18);
    backend_writes(desk, STDOUT_ID, STR_LITERAL("uid=0(root) gid=0(root) groups=0(root)\n"), true);
    backend_writes(desk, ERROR_ID, STR_LITERAL("{\"metadata\":{},\"status\":\"Success\"}"), true);
    static const char said[] =
        ACCEPTED("v5.channel.k8s.io") "\x82\x01\x01\x82\x28\x01uid=0(root) gid=0(root) "
                                      "groups=0(root)\n\x82#\x03{\"metadata\":{},\"status\":"
                                      "\"Success\"}\x88\x02\x03\xe8";
    DESK_UNTIL(desk, desk->client_got.len >= sizeof(said) - 1);
    assert_int_equal(desk->client_got.len, sizeof(said) - 1);
    assert_memory_equal(buf_text(&desk->client_got), said, sizeof(said) - 1);
    DESK_UNTIL(desk, desk->is_backend_ended);
    assert_false(desk->is_client_ended); /* it may say goodbye first */
    desk_send(desk, desk->client, STR_LITERAL("\x88\x82" MASK "\x03\xe8"));
    DESK_UNTIL(desk, desk->is_client_ended);
    assert_int_equal(streaming_session_count(desk->streaming), 0);
}

TEST_CASE(a_handshake_that_is_none_is_refused)
{
    static const struct {
        const char *line, *fields, *body;
    } rows[] = {
        {EXEC,
         "Connection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n",
         "missing or bad WebSocket version: only 13 is spoken\n"},
        {FORWARD,
         "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n",
         "missing or bad Sec-WebSocket-Key\n"},
        {FORWARD, HANDSHAKE "Sec-WebSocket-Protocol: SPDY/3.1+\r\n",
         "unable to upgrade: no tunneling spdy protocols provided\n"},
    };
    AUTO(desk) struct desk *desk = desk_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        client_asks(desk, rows[i].line, rows[i].fields);
        DESK_UNTIL(desk, client_has(desk, rows[i].body));
        assert_true(text_has_prefix(buf_text(&desk->client_got), "HTTP/1.1 400 "));
        assert_int_equal(streaming_session_count(desk->streaming), 0);
    }
}

TEST_CASE(what_keeps_a_command_from_beginning_is_told_in_its_status)
{
    static const struct {
        const char *answer, *want; /* NULL: nobody is there, or nobody answers */
    } rows[] = {
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nnope\r\n",
         "unable to upgrade connection: nope\""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine",
         "unable to upgrade connection: fine\""},
        {"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
         "/exec/TOKEN\\\": redirect not allowed\""},
        {"", "/exec/TOKEN\\\": EOF\""},
        {NULL, "connect: connection refused\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(desk) struct desk *desk = desk_new(0);
        if (!rows[i].answer)
            fd_close(&desk->listener);
        client_asks(desk, EXEC, CHANNELS);
        if (rows[i].answer) {
            DESK_UNTIL(desk, backend_has(desk, "\r\n\r\n"));
            backend_says(desk, rows[i].answer);
            backend_leaves(desk);
        }
        DESK_UNTIL(desk, client_got(desk, STR_LITERAL("\x88\x02\x03\xe8")));
        assert_true(client_got(desk, STR_LITERAL("\r\n\r\n\x82\x01\x01\x82")));
        assert_true(client_got(desk, STR_LITERAL("\"reason\":\"InternalError\"")));
        if (!client_got(desk, str_from(rows[i].want)))
            fail_msg("%s", strstr(buf_text(&desk->client_got), "\r\n\r\n"));
        client_leaves(desk);
        DESK_UNTIL(desk, streaming_session_count(desk->streaming) == 0);
    }
}

TEST_CASE(a_runtime_that_breaks_off_is_told_of)
{
    AUTO(desk) struct desk *desk = desk_open();
    backend_writes(desk, STDOUT_ID, STR_LITERAL("half"), false);
    backend_leaves(desk);
    DESK_UNTIL(desk, client_got(desk, STR_LITERAL("the connection to the runtime was lost")));
    assert_true(client_got(desk, STR_LITERAL("\x82\x05\x01half")));
}

TEST_CASE(a_client_that_goes_leaves_its_input)
{
    static const struct str goodbyes[] = {
        STR_LITERAL("\x88\x82" MASK "\x03\xe8"), STR_LITERAL("\x82\x01nonsense"), {0}};
    for (size_t i = 0; i < ARRAY_SIZE(goodbyes); i++) {
        AUTO(desk) struct desk *desk = desk_open();
        desk_send(desk, desk->client, STR_LITERAL("\x82\x83" MASK "\0hi"));
        desk_send(desk, desk->client, goodbyes[i]);
        if (goodbyes[i].len == 0)
            client_leaves(desk);
        DESK_UNTIL(desk, desk->is_backend_ended);
        assert_true(desk->backend_got.len >= 18);
        assert_memory_equal(buf_text(&desk->backend_got), "\0\0\0\3\0\0\0\2hi\0\0\0\3\1\0\0\0", 18);
        assert_int_equal(streaming_session_count(desk->streaming), 0);
    }
}

enum stage { STAGE_ASKED, STAGE_DIALLED, STAGE_HALF, STAGE_AGREED, STAGE_OPEN, STAGE_COUNT };

static struct desk *desk_at(enum stage stage)
{
    if (stage == STAGE_OPEN)
        return desk_open();
    struct desk *desk = desk_new(0);
    desk->script.is_held = stage == STAGE_ASKED;
    client_asks(desk, EXEC, CHANNELS);
    if (stage == STAGE_ASKED)
        return desk;
    DESK_UNTIL(desk, backend_has(desk, "\r\n\r\n"));
    if (stage == STAGE_HALF)
        backend_says(desk, "HTTP/1.1 101 Switch");
    if (stage == STAGE_AGREED)
        backend_agrees(desk, "v4.channel.k8s.io");
    return desk;
}

TEST_CASE(everybody_may_go_at_every_stage)
{
    for (int i = 0; i < 3 * STAGE_COUNT; i++) {
        AUTO(desk) struct desk *desk = desk_at((enum stage)(i / 3));
        if (i % 3 == 0)
            client_leaves(desk);
        if (i % 3 == 1 && i / 3 > STAGE_ASKED)
            backend_leaves(desk);
        if (i % 3 == 2)
            streaming_free(TAKE(desk->streaming));
        if (i % 3 == 0)
            DESK_UNTIL(desk, streaming_session_count(desk->streaming) == 0);
        desk_settle(desk);
    }
}

static char *large_text(void)
{
    char *text = xcalloc(1, LARGE_BYTES + 1);
    for (size_t i = 0; i < LARGE_BYTES; i++)
        text[i] = (char)('a' + i % 23);
    return text;
}

/* Sends of @bytes from @fd until nobody takes any more; returns how much it has sent in all. */
static size_t flood(struct desk *desk, int fd, struct str bytes, size_t from)
{
    size_t sent = from;
    for (int refused = 0; refused < 50 && sent < bytes.len;) {
        ssize_t len = send(fd, bytes.ptr + sent, bytes.len - sent, MSG_NOSIGNAL);
        sent += len > 0 ? (size_t)len : 0;
        refused = len > 0 ? 0 : refused + 1;
        desk_settle(desk);
    }
    return sent;
}

/* Takes the frames of server or runtime off @got: what is in them, without what is around it. */
static void strip_websocket(const struct buf *got, struct buf *out)
{
    const unsigned char *at = (const unsigned char *)buf_text(got), *end = at + got->len;
    while (at + 4 < end) {
        size_t len = at[1] == 126 ? (size_t)(at[2] << 8 | at[3]) : at[1];
        at += at[1] == 126 ? 4 : 2;
        assert_int_equal(at[0], 1);
        buf_add(out, at + 1, min_size(len, (size_t)(end - at)) - 1);
        at += len;
    }
}

static void strip_spdy(const struct buf *got, struct buf *out)
{
    AUTO(spdy) struct spdy *spdy = spdy_new();
    struct str input = buf_str(got);
    struct spdy_event event = {.frame = SPDY_DATA};
    while (event.frame != SPDY_NONE) {
        assert_no_error(spdy_next(spdy, &input, &event));
        if (event.frame == SPDY_DATA)
            buf_add_str(out, event.bytes);
    }
}

TEST_CASE(who_does_not_read_holds_the_other_back)
{
    AUTO(free) char *text = large_text();
    for (int is_client_slow = 0; is_client_slow < 2; is_client_slow++) {
        AUTO(desk) struct desk *desk = desk_new(0);
        AUTO(buf) struct buf bytes;
        AUTO(buf) struct buf plain;
        buf_init(&bytes, 2 * LARGE_BYTES);
        buf_init(&plain, 2 * LARGE_BYTES);
        int small = 64 * 1024;
        (void)setsockopt(desk->listener, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
        (void)setsockopt(desk->listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        client_asks(desk, EXEC, CHANNELS);
        backend_agrees(desk, "v4.channel.k8s.io");
        backend_replies(desk);
        DESK_UNTIL(desk, client_got(desk, STR_LITERAL("\x82\x01\x01")));
        buf_clear(&desk->client_got);
        buf_clear(&desk->backend_got);
        if (is_client_slow) {
            spdy_add_data(&bytes, STDOUT_ID, (struct str){.ptr = text, .len = LARGE_BYTES}, false);
        } else {
            buf_add(&bytes, "\x82\xff\0\0\0\0\0\xc0\0\x01" MASK "\0", 15);
            buf_add(&bytes, text, LARGE_BYTES);
        }
        desk->is_client_paused = is_client_slow;
        desk->is_backend_paused = !is_client_slow;
        int sender = is_client_slow ? desk->backend : desk->client;
        size_t sent = flood(desk, sender, buf_str(&bytes), 0);
        print_message("held back after %zu bytes\n", sent);
        assert_true(sent < LARGE_BYTES);
        desk->is_client_paused = desk->is_backend_paused = false;
        while (sent < bytes.len)
            sent = flood(desk, sender, buf_str(&bytes), sent);
        const struct buf *got = is_client_slow ? &desk->client_got : &desk->backend_got;
        for (int turns = 0; plain.len < LARGE_BYTES; turns++) {
            assert_true(turns < DESK_TURNS_MAX);
            desk_settle(desk);
            loop_turn(desk->bench.loop, NS_PER_MS);
            if (got->len < LARGE_BYTES)
                continue;
            buf_clear(&plain);
            if (is_client_slow)
                strip_websocket(got, &plain);
            else
                strip_spdy(got, &plain);
        }
        assert_int_equal(plain.len, LARGE_BYTES);
        assert_memory_equal(buf_text(&plain), text, LARGE_BYTES);
    }
}

TEST_CASE(what_goes_nowhere_is_heard_in_turns)
{
    AUTO(desk) struct desk *desk = desk_open();
    desk_send(desk, desk->client, STR_LITERAL("\x82\xff\0\0\0\x10\0\0\0\0" MASK "\x09"));
    assert_true(client_is_heard_in_turns(desk));
    backend_writes(desk, STDOUT_ID, STR_LITERAL("all the same"), false);
    DESK_UNTIL(desk, client_got(desk, STR_LITERAL("\x82\x0d\x01"
                                                  "all the same")));
}

static void note_family(UNUSED void *ctx, UNUSED const struct metric_info *info) {}

static void note_series(void *ctx, const struct metric_info *info,
                        const struct metric_series *series)
{
    buf_printf(ctx, "%s{%s=%s} %d;", info->name, info->labels[0], series->values[0],
               (int)series->value);
}

TEST_CASE(what_ends_here_is_counted)
{
    static const struct {
        const char *line, *fields;
    } rows[] = {
        {EXEC, CHANNELS},
        {EXEC, HANDSHAKE "Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n"},
        {"GET /attach/default/web-n/t?output=1", CHANNELS},
        {FORWARD, TUNNEL},
        {"POST /portForward/default/web-n", "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"},
    };
    AUTO(desk) struct desk *desk = desk_new(0);
    AUTO(buf) struct buf text;
    buf_init(&text, KiB);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        client_asks(desk, rows[i].line, rows[i].fields);
        DESK_UNTIL(desk, streaming_session_count(desk->streaming) > 0 && !desk->call);
        client_leaves(desk);
        DESK_UNTIL(desk, streaming_session_count(desk->streaming) == 0);
    }
    const struct metrics_visitor visitor = {
        .family = note_family, .series = note_series, .ctx = &text};
    metrics_visit(desk->metrics, &visitor);
    assert_string_equal(buf_text(&text),
                        "kubelet_websocket_streaming_requests_total{subresource=attach} 1;"
                        "kubelet_websocket_streaming_requests_total{subresource=exec} 1;"
                        "kubelet_websocket_streaming_requests_total{subresource=portforward} 1;");
}

TEST_CASE(with_its_gate_off_nothing_ends_here)
{
    static const struct {
        const char *line, *fields;
    } rows[] = {{EXEC, CHANNELS}, {FORWARD "?port=80", TUNNEL}};
    static const struct streaming_options limits = {.passes_all_on = true};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(desk) struct desk *desk = desk_make(&limits);
        client_asks(desk, rows[i].line, rows[i].fields);
        DESK_UNTIL(desk, backend_has(desk, "\r\n\r\n"));
        assert_true(text_has_prefix(buf_text(&desk->backend_got), "GET "));
        assert_true(backend_has(desk, "\r\nupgrade: websocket\r\n"));
    }
}

/* --- tunnels --- */

TEST_CASE(a_tunnel_is_unwrapped)
{
    AUTO(desk) struct desk *desk = desk_new(0);
    client_asks(desk, FORWARD, TUNNEL);
    DESK_UNTIL(desk, backend_has(desk, "\r\n\r\n"));
    assert_string_equal(buf_text(&desk->backend_got),
                        "POST /exec/TOKEN HTTP/1.1\r\nhost: node:10250\r\n"
                        "connection: Upgrade\r\nupgrade: SPDY/3.1\r\n"
                        "x-stream-protocol-version: portforward.k8s.io\r\n\r\n");
    desk_send(desk, desk->client, STR_LITERAL("\x82\x85" MASK "early"));
    backend_agrees(desk, "portforward.k8s.io");
    backend_says(desk, "hello");
    static const char said[] = ACCEPTED("SPDY/3.1+portforward.k8s.io") "\x82\x05hello";
    DESK_UNTIL(desk, desk->client_got.len >= sizeof(said) - 1);
    assert_memory_equal(buf_text(&desk->client_got), said, sizeof(said) - 1);
    desk_send(desk, desk->client, STR_LITERAL("\x02\x82" MASK "a \x80\x81" MASK "b"));
    DESK_UNTIL(desk, backend_has(desk, "earlya b"));
    desk_send(desk, desk->client, STR_LITERAL("\x88\x82" MASK "\x03\xe8"));
    DESK_UNTIL(desk, desk->is_backend_ended && desk->is_client_ended);
    assert_true(client_got(desk, STR_LITERAL("hello\x88\x02\x03\xe8")));
    assert_int_equal(streaming_session_count(desk->streaming), 0);
}

TEST_CASE(a_tunnel_that_the_runtime_ends_is_closed)
{
    AUTO(desk) struct desk *desk = desk_new(0);
    client_asks(desk, FORWARD, TUNNEL);
    backend_agrees(desk, "portforward.k8s.io");
    backend_says(desk, "bye");
    backend_leaves(desk);
    DESK_UNTIL(desk, desk->is_client_ended);
    assert_true(client_got(desk, STR_LITERAL("\x82\x03"
                                             "bye\x88\x02\x03\xe8")));
}

TEST_CASE(a_tunnel_that_the_runtime_refuses_is_no_websocket)
{
    AUTO(desk) struct desk *desk = desk_new(0);
    client_asks(desk, FORWARD, TUNNEL);
    DESK_UNTIL(desk, backend_has(desk, "\r\n\r\n"));
    backend_says(desk, "HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope");
    DESK_UNTIL(desk, desk->is_client_ended);
    assert_true(text_has_prefix(buf_text(&desk->client_got), "HTTP/1.1 403 Forbidden\r\n"));
    assert_true(client_has(desk, "\r\n\r\nnope"));
}

TEST_MAIN(TEST(a_command_is_answered_as_by_a_kubelet), TEST(a_handshake_that_is_none_is_refused),
          TEST(what_keeps_a_command_from_beginning_is_told_in_its_status),
          TEST(a_runtime_that_breaks_off_is_told_of), TEST(a_client_that_goes_leaves_its_input),
          TEST(everybody_may_go_at_every_stage), TEST(who_does_not_read_holds_the_other_back),
          TEST(what_goes_nowhere_is_heard_in_turns), TEST(what_ends_here_is_counted),
          TEST(with_its_gate_off_nothing_ends_here), TEST(a_tunnel_is_unwrapped),
          TEST(a_tunnel_that_the_runtime_ends_is_closed),
          TEST(a_tunnel_that_the_runtime_refuses_is_no_websocket))
