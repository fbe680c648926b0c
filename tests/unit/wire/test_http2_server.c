/* The server session without any socket: its bytes go to our client session, or to nghttp2's where
 * a peer must misbehave. */
#include "wire/http2_server.h"

#include "tests/lib/test.h"

#include <nghttp2/nghttp2.h>

#define MAX_STREAMS 300

struct answer {
    char status[8];
    struct buf body;
    size_t ends;
    enum http2_end_kind kind;
    uint32_t error_code;
};

struct bench {
    struct http2_server *server;
    struct http2_session *client;
    size_t piece;
    int64_t now_ns;
    struct http2_server_stream *streams[MAX_STREAMS]; /* as handed out */
    size_t requests, gone, sent;
    unsigned refusal;
    struct buf seen; /* the last request, as a text */
    struct answer answers[MAX_STREAMS];
    size_t started;
};

/* --- server --- */

static void on_request(void *ctx, struct http2_server_stream *stream)
{
    struct bench *bench = ctx;
    struct http2_fields fields = http2_server_stream_fields(stream);
    struct buf body;
    http2_server_stream_take_body(stream, &body);
    buf_clear(&bench->seen);
    bench->refusal = http2_server_stream_refusal(stream);
    const char *method = http2_fields_get(&fields, ":method");
    buf_printf(&bench->seen, "%s [%.*s]", method ? method : "-", STR_ARG(buf_str(&body)));
    buf_done(&body);
    assert_true(bench->requests < MAX_STREAMS);
    http2_server_stream_set_ctx(stream, bench);
    bench->streams[bench->requests++] = stream;
}

static void on_sent(void *stream_ctx)
{
    ((struct bench *)stream_ctx)->sent++;
}

static void on_gone(void *stream_ctx)
{
    ((struct bench *)stream_ctx)->gone++;
}

static const struct http2_server_events server_events = {
    .on_request = on_request, .on_sent = on_sent, .on_gone = on_gone};

static void answer(struct http2_server_stream *stream, const char *status, bool has_body)
{
    const struct http2_field fields[] = {{":status", status}, {"x-a", "b"}};
    http2_server_stream_begin(stream, fields, ARRAY_SIZE(fields), has_body);
}

/* --- client --- */

static void on_settings(UNUSED void *ctx) {}

static const struct http2_session_events client_events = {.on_settings = on_settings,
                                                          .on_goaway = on_settings};

static void on_fields(void *ctx, const struct http2_fields *fields, UNUSED bool is_trailer)
{
    struct answer *got = ctx;
    const char *status = http2_fields_get(fields, ":status");
    (void)snprintf(got->status, sizeof(got->status), "%s", status ? status : "");
}

static void on_data(void *ctx, struct str bytes)
{
    buf_add_str(&((struct answer *)ctx)->body, bytes);
}

static void on_end(void *ctx, const struct http2_end *end)
{
    struct answer *got = ctx;
    got->ends++;
    got->kind = end->kind;
    got->error_code = end->error_code;
}

static const struct http2_stream_events stream_events = {
    .on_fields = on_fields, .on_data = on_data, .on_end = on_end};

static struct http2_stream *ask(struct bench *bench, const char *method, struct str body)
{
    const struct http2_field fields[] = {
        {":method", method}, {":scheme", "http"}, {":path", "/x"}, {":authority", "h"}};
    const struct http2_request request = {
        .fields = fields, .field_count = ARRAY_SIZE(fields), .body = body};
    struct http2_stream *stream = NULL;
    assert_no_error(http2_stream_start(bench->client, &request, &stream_events,
                                       &bench->answers[bench->started++], &stream));
    return stream;
}

/* --- the wire between --- */

static bool client_to_server(struct bench *bench)
{
    struct str bytes = {0};
    assert_no_error(http2_session_send(bench->client, &bytes));
    for (size_t at = 0; at < bytes.len; at += bench->piece) {
        struct str piece = {.ptr = bytes.ptr + at, .len = min_size(bench->piece, bytes.len - at)};
        assert_no_error(http2_server_receive(bench->server, bench->now_ns, piece));
        (void)http2_server_dispatch(bench->server);
    }
    return bytes.len > 0;
}

static bool server_to_client(struct bench *bench)
{
    struct str bytes = {0};
    assert_no_error(http2_server_send(bench->server, bench->now_ns, &bytes));
    if (bytes.len > 0)
        assert_no_error(http2_session_receive(bench->client, bytes.ptr, bytes.len));
    return http2_server_dispatch(bench->server) || bytes.len > 0;
}

static void run(struct bench *bench)
{
    bool is_busy = true;
    while (is_busy) {
        is_busy = client_to_server(bench);
        is_busy = server_to_client(bench) || is_busy;
        is_busy = http2_session_dispatch(bench->client) || is_busy;
    }
}

static void bench_init(struct bench *bench, size_t piece)
{
    static const struct http2_server_limits limits = {.max_header_bytes = 2 * KiB,
                                                      .max_body_bytes = 100 * KiB};
    *bench = (struct bench){.piece = piece, .now_ns = 1000 * NS_PER_SEC};
    buf_init(&bench->seen, MiB);
    for (size_t i = 0; i < MAX_STREAMS; i++)
        buf_init(&bench->answers[i].body, 4 * MiB);
    bench->server = http2_server_new(&limits, &server_events, bench);
    bench->client = http2_session_new(&client_events, bench);
}

static void bench_done(struct bench *bench)
{
    http2_server_free(bench->server);
    http2_session_free(bench->client);
    buf_done(&bench->seen);
    for (size_t i = 0; i < MAX_STREAMS; i++)
        buf_done(&bench->answers[i].body);
}

TEST_CASE(a_request_is_handed_out_whole_however_it_is_cut)
{
    static const size_t pieces[] = {1, 2, 7, 16384};
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        struct bench bench;
        bench_init(&bench, pieces[i]);
        ask(&bench, "POST", STR_LITERAL("question"));
        run(&bench);
        assert_int_equal(bench.requests, 1);
        assert_string_equal(buf_text(&bench.seen), "POST [question]");
        answer(bench.streams[0], "200", true);
        http2_server_stream_write(bench.streams[0], bench.now_ns, STR_LITERAL("ans"));
        run(&bench);
        assert_int_equal(bench.sent, 1);
        assert_int_equal(http2_server_stream_backlog(bench.streams[0]), 0);
        http2_server_stream_write(bench.streams[0], bench.now_ns, STR_LITERAL("wer"));
        http2_server_stream_finish(bench.streams[0]);
        run(&bench);
        assert_string_equal(bench.answers[0].status, "200");
        assert_string_equal(buf_text(&bench.answers[0].body), "answer");
        assert_int_equal(bench.answers[0].kind, HTTP2_END_COMPLETE);
        assert_int_equal(http2_server_stream_count(bench.server), 0);
        assert_int_equal(http2_server_held_bytes(bench.server), 0);
        assert_true(http2_server_is_alive(bench.server));
        bench_done(&bench);
    }
}

TEST_CASE(an_answer_without_a_body_ends_with_its_head)
{
    struct bench bench;
    bench_init(&bench, 16384);
    ask(&bench, "HEAD", STR_LITERAL(""));
    run(&bench);
    answer(bench.streams[0], "204", false);
    http2_server_stream_finish(bench.streams[0]);
    run(&bench);
    assert_string_equal(bench.answers[0].status, "204");
    assert_int_equal(bench.answers[0].kind, HTTP2_END_COMPLETE);
    assert_int_equal(http2_server_stream_count(bench.server), 0);
    bench_done(&bench);
}

TEST_CASE(what_is_too_large_is_refused_and_stopped)
{
    struct bench bench;
    bench_init(&bench, 16384);
    AUTO(free) char *body = xcalloc(1, 200 * KiB);
    ask(&bench, "POST", (struct str){.ptr = body, .len = 200 * KiB});
    while (bench.requests == 0) {
        bool is_moving = client_to_server(&bench);
        assert_true(server_to_client(&bench) || is_moving);
    }
    assert_int_equal(bench.refusal, 413);
    assert_int_equal(http2_server_held_bytes(bench.server), 0);
    answer(bench.streams[0], "413", true);
    http2_server_stream_finish(bench.streams[0]);
    run(&bench);
    assert_string_equal(bench.answers[0].status, "413");
    assert_int_equal(bench.answers[0].ends, 1);
    assert_int_equal(http2_server_stream_count(bench.server), 0);
    assert_int_equal(bench.gone, 0);
    bench_done(&bench);
}

TEST_CASE(too_many_fields_are_refused)
{
    struct bench bench;
    bench_init(&bench, 16384);
    AUTO(free) char *value = xcalloc(1, 3 * KiB);
    memset(value, 'a', 3 * KiB - 1);
    const struct http2_field fields[] = {{":method", "GET"},
                                         {":scheme", "http"},
                                         {":path", "/x"},
                                         {":authority", "h"},
                                         {"x-long", value}};
    const struct http2_request request = {.fields = fields, .field_count = ARRAY_SIZE(fields)};
    struct http2_stream *stream = NULL;
    assert_no_error(
        http2_stream_start(bench.client, &request, &stream_events, &bench.answers[0], &stream));
    run(&bench);
    assert_int_equal(bench.refusal, 431);
    assert_string_equal(buf_text(&bench.seen), "- []");
    bench_done(&bench);
}

TEST_CASE(a_reset_by_the_peer_is_told_once)
{
    struct bench bench;
    bench_init(&bench, 16384);
    struct http2_stream *asked = ask(&bench, "GET", STR_LITERAL(""));
    run(&bench);
    answer(bench.streams[0], "200", true);
    http2_server_stream_write(bench.streams[0], bench.now_ns, STR_LITERAL("x"));
    run(&bench);
    http2_stream_reset(asked, HTTP2_CANCEL);
    run(&bench);
    assert_int_equal(bench.gone, 1);
    assert_int_equal(http2_server_stream_count(bench.server), 0);

    /* Before it is handed out nobody hears of it. */
    bench.started++;
    asked = ask(&bench, "GET", STR_LITERAL(""));
    struct str bytes = {0};
    assert_no_error(http2_session_send(bench.client, &bytes));
    assert_no_error(http2_server_receive(bench.server, bench.now_ns, bytes));
    http2_stream_reset(asked, HTTP2_CANCEL);
    assert_no_error(http2_session_send(bench.client, &bytes));
    assert_no_error(http2_server_receive(bench.server, bench.now_ns, bytes));
    run(&bench);
    assert_int_equal(bench.requests, 1);
    assert_int_equal(bench.gone, 1);
    bench_done(&bench);
}

TEST_CASE(our_reset_is_silent_here_and_heard_there)
{
    struct bench bench;
    bench_init(&bench, 16384);
    ask(&bench, "GET", STR_LITERAL(""));
    run(&bench);
    answer(bench.streams[0], "200", true);
    http2_server_stream_write(bench.streams[0], bench.now_ns, STR_LITERAL("x"));
    http2_server_stream_reset(bench.streams[0], HTTP2_INTERNAL_ERROR);
    run(&bench);
    assert_int_equal(bench.answers[0].kind, HTTP2_END_RESET);
    assert_int_equal(bench.answers[0].error_code, HTTP2_INTERNAL_ERROR);
    assert_int_equal(bench.gone, 0);
    assert_int_equal(http2_server_stream_count(bench.server), 0);
    bench_done(&bench);
}

TEST_CASE(large_answers_wait_for_the_window_and_stall)
{
    struct bench bench;
    bench_init(&bench, 16384);
    AUTO(free) char *body = xcalloc(1, 3 * MiB);
    ask(&bench, "GET", STR_LITERAL(""));
    run(&bench);
    answer(bench.streams[0], "200", true);
    http2_server_stream_write(bench.streams[0], bench.now_ns,
                              (struct str){.ptr = body, .len = 3 * MiB});
    assert_int_equal(http2_server_oldest_backlog_ns(bench.server), bench.now_ns);
    /* The client's bytes are not taken, so its windows (1 MiB of the stream) run out. */
    struct str bytes = {.len = 1};
    while (bytes.len > 0)
        assert_no_error(http2_server_send(bench.server, bench.now_ns + 5, &bytes));
    size_t backlog = http2_server_stream_backlog(bench.streams[0]);
    assert_true(backlog > MiB && backlog < 3 * MiB);
    assert_int_equal(http2_server_oldest_backlog_ns(bench.server), bench.now_ns + 5);
    http2_server_reset_stalled(bench.server, bench.now_ns + 4);
    assert_int_equal(http2_server_stream_backlog(bench.streams[0]), backlog);
    http2_server_reset_stalled(bench.server, bench.now_ns + 5);
    bytes.len = 1;
    while (bytes.len > 0)
        assert_no_error(http2_server_send(bench.server, bench.now_ns + 6, &bytes));
    (void)http2_server_dispatch(bench.server);
    assert_int_equal(bench.gone, 1);
    assert_int_equal(http2_server_oldest_backlog_ns(bench.server), INT64_MAX);
    bench_done(&bench);
}

TEST_CASE(a_large_answer_arrives_whole)
{
    struct bench bench;
    bench_init(&bench, 16384);
    AUTO(free) char *body = xcalloc(1, 3 * MiB);
    ask(&bench, "GET", STR_LITERAL(""));
    run(&bench);
    answer(bench.streams[0], "200", true);
    http2_server_stream_write(bench.streams[0], bench.now_ns,
                              (struct str){.ptr = body, .len = 3 * MiB});
    http2_server_stream_finish(bench.streams[0]);
    run(&bench);
    assert_int_equal(bench.answers[0].body.len, 3 * MiB);
    assert_int_equal(bench.answers[0].kind, HTTP2_END_COMPLETE);
    bench_done(&bench);
}

TEST_CASE(slow_requests_are_known_and_refused)
{
    struct bench bench;
    bench_init(&bench, 16384);
    assert_int_equal(http2_server_oldest_request_ns(bench.server), INT64_MAX);
    AUTO(free) char *body = xcalloc(1, 90 * KiB);
    ask(&bench, "POST", (struct str){.ptr = body, .len = 90 * KiB});
    while (http2_server_held_bytes(bench.server) == 0)
        assert_true(client_to_server(&bench));
    assert_int_equal(http2_server_oldest_request_ns(bench.server), bench.now_ns);
    http2_server_refuse_requests(bench.server, bench.now_ns - 1, 408);
    (void)http2_server_dispatch(bench.server);
    assert_int_equal(bench.requests, 0);
    http2_server_refuse_requests(bench.server, bench.now_ns, 408);
    (void)http2_server_dispatch(bench.server);
    assert_int_equal(bench.requests, 1);
    assert_int_equal(bench.refusal, 408);
    assert_int_equal(http2_server_held_bytes(bench.server), 0);
    assert_int_equal(http2_server_oldest_request_ns(bench.server), INT64_MAX);
    bench_done(&bench);
}

TEST_CASE(only_so_many_streams_are_served_at_a_time)
{
    struct bench bench;
    bench_init(&bench, 16384);
    run(&bench); /* the settings are known before the first request */
    for (size_t i = 0; i < HTTP2_SERVER_MAX_STREAMS + 10; i++)
        ask(&bench, "GET", STR_LITERAL(""));
    run(&bench);
    assert_int_equal(bench.requests, HTTP2_SERVER_MAX_STREAMS);
    answer(bench.streams[7], "200", false);
    http2_server_stream_finish(bench.streams[7]);
    run(&bench);
    assert_int_equal(bench.requests, HTTP2_SERVER_MAX_STREAMS + 1);
    assert_int_equal(bench.gone, 0);
    bench_done(&bench);
}

TEST_CASE(draining_ends_the_session_behind_the_last_stream)
{
    struct bench bench;
    bench_init(&bench, 16384);
    ask(&bench, "GET", STR_LITERAL(""));
    run(&bench);
    http2_server_drain(bench.server);
    run(&bench);
    assert_false(http2_session_can_start(bench.client));
    assert_true(http2_server_is_alive(bench.server));
    answer(bench.streams[0], "200", false);
    http2_server_stream_finish(bench.streams[0]);
    run(&bench);
    assert_int_equal(bench.answers[0].kind, HTTP2_END_COMPLETE);
    assert_false(http2_server_is_alive(bench.server));
    bench_done(&bench);
}

/* A request arrives in one read, with its body behind an expectation. */
TEST_CASE(who_need_not_be_told_to_continue_is_not_told)
{
    static const char start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
                                "\x00\x00\x1b\x01\x04\x00\x00\x00\x01\x83\x86\x84\x41\x01h"
                                "\x00\x06"
                                "expect\x0c"
                                "100-continue"
                                "\x00\x00\x01\x00\x01\x00\x00\x00\x01x";
    struct bench bench;
    bench_init(&bench, 16384);
    assert_no_error(http2_server_receive(bench.server, 0, STR_LITERAL(start)));
    (void)http2_server_dispatch(bench.server);
    assert_int_equal(bench.requests, 1);
    assert_string_equal(buf_text(&bench.seen), "POST [x]");
    answer(bench.streams[0], "200", true);
    http2_server_stream_write(bench.streams[0], 0, STR_LITERAL("answer"));
    size_t heads = 0;
    struct str bytes = {.len = 1};
    while (bytes.len > 0) {
        assert_no_error(http2_server_send(bench.server, 0, &bytes));
        heads += bytes.len > 9 && bytes.ptr[3] == NGHTTP2_HEADERS;
        (void)http2_server_dispatch(bench.server);
    }
    assert_int_equal(heads, 1);
    assert_int_equal(bench.sent, 1);
    bench_done(&bench);
}

/* Its GOAWAY is written but has not left: the peer will be told that the request was not looked
 * at, so it must not be. */
TEST_CASE(what_comes_behind_draining_is_not_looked_at)
{
    struct bench bench;
    bench_init(&bench, 16384);
    ask(&bench, "GET", STR_LITERAL(""));
    run(&bench);
    ask(&bench, "POST", STR_LITERAL("twice?"));
    http2_server_drain(bench.server);
    (void)client_to_server(&bench);
    run(&bench);
    assert_int_equal(bench.requests, 1);
    assert_int_equal(bench.answers[1].ends, 1);
    assert_int_not_equal(bench.answers[1].kind, HTTP2_END_COMPLETE);
    answer(bench.streams[0], "200", false);
    http2_server_stream_finish(bench.streams[0]);
    run(&bench);
    assert_false(http2_server_is_alive(bench.server));
    bench_done(&bench);
}

/* --- hostile peers --- */

static ssize_t no_body(UNUSED nghttp2_session *ng, UNUSED int32_t id, UNUSED uint8_t *out,
                       UNUSED size_t size, UNUSED uint32_t *flags,
                       UNUSED nghttp2_data_source *source, UNUSED void *user_data)
{
    return NGHTTP2_ERR_DEFERRED;
}

static nghttp2_nv nv(const char *name, const char *value)
{
    nghttp2_nv field = {.namelen = strlen(name), .valuelen = strlen(value)};
    memcpy(&field.name, &name, sizeof(field.name));
    memcpy(&field.value, &value, sizeof(field.value));
    return field;
}

struct attacker {
    nghttp2_session *ng;
    uint32_t goaway_code;
    bool has_goaway;
};

static int on_attacker_frame(UNUSED nghttp2_session *ng, const nghttp2_frame *frame,
                             void *user_data)
{
    struct attacker *attacker = user_data;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        attacker->has_goaway = true;
        attacker->goaway_code = frame->goaway.error_code;
    }
    return 0;
}

static void attacker_init(struct attacker *attacker)
{
    nghttp2_session_callbacks *callbacks = NULL;
    *attacker = (struct attacker){0};
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_attacker_frame);
    assert_int_equal(nghttp2_session_client_new(&attacker->ng, callbacks, attacker), 0);
    nghttp2_session_callbacks_del(callbacks);
    assert_int_equal(nghttp2_submit_settings(attacker->ng, 0, NULL, 0), 0);
}

/* One way and back; false when the session is dead. */
static bool attack(struct attacker *attacker, struct bench *bench)
{
    const uint8_t *bytes = NULL;
    ssize_t len = 0;
    while ((len = nghttp2_session_mem_send(attacker->ng, &bytes)) > 0) {
        AUTO(error)
        struct error *err = http2_server_receive(bench->server, bench->now_ns,
                                                 (struct str){(const char *)bytes, (size_t)len});
        (void)http2_server_dispatch(bench->server);
        if (err)
            return false;
    }
    struct str back = {.len = 1};
    while (back.len > 0) {
        assert_no_error(http2_server_send(bench->server, bench->now_ns, &back));
        (void)nghttp2_session_mem_recv(attacker->ng, (const uint8_t *)back.ptr, back.len);
        (void)http2_server_dispatch(bench->server);
    }
    return http2_server_is_alive(bench->server);
}

static int32_t attacker_ask(struct attacker *attacker, bool has_body)
{
    const nghttp2_nv fields[] = {nv(":method", "POST"), nv(":scheme", "http"), nv(":path", "/"),
                                 nv(":authority", "h")};
    const nghttp2_data_provider body = {.read_callback = no_body};
    int32_t id = nghttp2_submit_request(attacker->ng, NULL, fields, ARRAY_SIZE(fields),
                                        has_body ? &body : NULL, NULL);
    assert_true(id > 0);
    return id;
}

TEST_CASE(a_flood_of_resets_ends_the_session)
{
    static const struct {
        const char *name;
        int64_t between_ns;
        size_t most; /* 0: goes on for ever */
    } cases[] = {{"rapid", 0, HTTP2_SERVER_MAX_STREAMS + 1},
                 {"fast", NS_PER_SEC / 50, 2 * HTTP2_SERVER_MAX_STREAMS},
                 {"at leisure", NS_PER_SEC / 25, 0}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        print_message("%s\n", cases[i].name);
        struct bench bench;
        struct attacker attacker;
        bench_init(&bench, 16384);
        attacker_init(&attacker);
        size_t count = 0;
        bool is_alive = attack(&attacker, &bench);
        while (is_alive && count < 1000) {
            int32_t id = attacker_ask(&attacker, true);
            (void)attack(&attacker, &bench);
            assert_int_equal(nghttp2_submit_rst_stream(attacker.ng, 0, id, NGHTTP2_CANCEL), 0);
            is_alive = attack(&attacker, &bench);
            bench.now_ns += cases[i].between_ns;
            count++;
        }
        assert_int_equal(attacker.has_goaway, cases[i].most != 0);
        assert_int_equal(count, cases[i].most != 0 ? cases[i].most : 1000);
        if (attacker.has_goaway)
            assert_int_equal(attacker.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
        assert_int_equal(bench.requests, 0);
        nghttp2_session_del(attacker.ng);
        bench_done(&bench);
    }
}

/* The peer does not read, so that answers to what it sends would pile up. */
TEST_CASE(floods_that_want_answers_end_the_session)
{
    static const struct {
        const char *name, *frame;
        size_t len;
    } cases[] = {
        {"pings",
         "\x00\x00\x08\x06\x00\x00\x00\x00\x00"
         "12345678",
         17},
        {"settings", "\x00\x00\x00\x04\x00\x00\x00\x00\x00", 9},
    };
    static const char start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                "\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        print_message("%s\n", cases[i].name);
        struct bench bench;
        bench_init(&bench, 16384);
        assert_no_error(http2_server_receive(bench.server, 0, STR_LITERAL(start)));
        struct error *err = NULL;
        size_t count = 0;
        while (!err && count++ < 10000)
            err = http2_server_receive(bench.server, 0, (struct str){cases[i].frame, cases[i].len});
        assert_non_null(err);
        assert_true(count < 1000);
        error_free(err);
        bench_done(&bench);
    }
}

/* Each of them is refused with RST_STREAM, because the peer has not acknowledged our limit; it does
 * not read them either. */
TEST_CASE(requests_beyond_the_limit_do_not_pile_up)
{
    static const char start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                "\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    struct bench bench;
    bench_init(&bench, 16384);
    assert_no_error(http2_server_receive(bench.server, 0, STR_LITERAL(start)));
    struct error *err = NULL;
    uint32_t id = 1;
    for (; !err && id < 200000; id += 2) {
        const char frame[] = {
            0,      0,      6,      1,      4, 0,  (char)(id >> 16), (char)(id >> 8), (char)id,
            '\x83', '\x86', '\x84', '\x41', 1, 'h'};
        err = http2_server_receive(bench.server, 0, (struct str){frame, sizeof(frame)});
        (void)http2_server_dispatch(bench.server);
    }
    assert_non_null(err);
    assert_true(id < 10000);
    assert_true(http2_server_stream_count(bench.server) <= HTTP2_SERVER_MAX_STREAMS);
    error_free(err);
    bench_done(&bench);
}

/* A field of 1000 bytes goes into the peer's table once and is then two bytes of any request. */
TEST_CASE(fields_are_counted_as_large_as_they_become)
{
    struct bench bench;
    struct attacker attacker;
    bench_init(&bench, 16384);
    attacker_init(&attacker);
    assert_true(attack(&attacker, &bench));
    char value[1001];
    memset(value, 'a', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    const nghttp2_nv fields[] = {nv(":method", "POST"), nv(":scheme", "http"), nv(":path", "/"),
                                 nv(":authority", "h"), nv("x-long", value)};
    const nghttp2_data_provider body = {.read_callback = no_body};
    for (size_t i = 0; i < 200; i++)
        assert_true(
            nghttp2_submit_request(attacker.ng, NULL, fields, ARRAY_SIZE(fields), &body, NULL) > 0);
    assert_true(attack(&attacker, &bench));
    assert_int_equal(bench.requests, 0);
    assert_true(http2_server_held_bytes(bench.server) > 200 * 1000);
    /* Refused, they are given back. */
    http2_server_refuse_requests(bench.server, INT64_MAX, 503);
    assert_true(attack(&attacker, &bench));
    assert_int_equal(bench.requests, 200);
    assert_int_equal(bench.refusal, 503);
    assert_int_equal(http2_server_held_bytes(bench.server), 0);
    nghttp2_session_del(attacker.ng);
    bench_done(&bench);
}

/* There is no room for it, which is not its fault: the rest of its fields is waited for. */
TEST_CASE(who_is_refused_within_its_fields_is_answered)
{
    static const char start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
                                "\x00\x00\x01\x01\x00\x00\x00\x00\x01\x83";
    static const char rest[] = "\x00\x00\x05\x09\x04\x00\x00\x00\x01\x86\x84\x41\x01h";
    struct bench bench;
    bench_init(&bench, 16384);
    assert_no_error(http2_server_receive(bench.server, 7, STR_LITERAL(start)));
    http2_server_refuse_requests(bench.server, INT64_MAX, 503);
    (void)http2_server_dispatch(bench.server);
    assert_int_equal(bench.requests, 0);
    assert_int_equal(http2_server_held_bytes(bench.server), 0);
    assert_no_error(http2_server_receive(bench.server, 8, STR_LITERAL(rest)));
    (void)http2_server_dispatch(bench.server);
    assert_int_equal(bench.requests, 1);
    assert_int_equal(bench.refusal, 503);
    bench_done(&bench);
}

TEST_CASE(endless_continuations_end_the_session)
{
    static const char start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
                                "\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82";
    static const char more[] = "\x00\x00\x01\x09\x00\x00\x00\x00\x01\x84";
    struct bench bench;
    bench_init(&bench, 16384);
    assert_no_error(http2_server_receive(bench.server, 7, STR_LITERAL(start)));
    assert_int_equal(http2_server_oldest_request_ns(bench.server), 7);
    struct error *err = NULL;
    for (size_t i = 0; !err && i < 1000 && http2_server_is_alive(bench.server); i++) {
        err = http2_server_receive(bench.server, 7, STR_LITERAL(more));
        (void)http2_server_dispatch(bench.server);
        struct str bytes = {.len = err ? 0 : 1};
        while (bytes.len > 0)
            assert_no_error(http2_server_send(bench.server, 7, &bytes));
    }
    assert_true(err || !http2_server_is_alive(bench.server));
    error_free(err);
    bench_done(&bench);
}

TEST_CASE(fields_that_never_end_are_waited_for_so_long)
{
    static const char start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
                                "\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82";
    struct bench bench;
    bench_init(&bench, 16384);
    assert_no_error(http2_server_receive(bench.server, 7, STR_LITERAL(start)));
    http2_server_refuse_requests(bench.server, 7, 408);
    (void)http2_server_dispatch(bench.server);
    assert_int_equal(http2_server_oldest_request_ns(bench.server), INT64_MAX);
    struct str bytes = {.len = 1};
    while (bytes.len > 0)
        assert_no_error(http2_server_send(bench.server, 8, &bytes));
    assert_false(http2_server_is_alive(bench.server));
    assert_int_equal(bench.requests, 0);
    bench_done(&bench);
}

TEST_CASE(what_is_no_http2_ends_the_session)
{
    struct bench bench;
    bench_init(&bench, 16384);
    assert_error_code(
        http2_server_receive(bench.server, 0, STR_LITERAL("GET / HTTP/1.1\r\nhost: h\r\n\r\n")),
        ERROR_UNAVAILABLE);
    assert_false(http2_server_is_alive(bench.server));
    struct str bytes = {0};
    assert_error_code(http2_server_receive(bench.server, 0, bytes), ERROR_UNAVAILABLE);
    assert_error_code(http2_server_send(bench.server, 0, &bytes), ERROR_UNAVAILABLE);
    assert_false(http2_server_dispatch(bench.server));
    bench_done(&bench);
}

TEST_MAIN(TEST(a_request_is_handed_out_whole_however_it_is_cut),
          TEST(an_answer_without_a_body_ends_with_its_head),
          TEST(what_is_too_large_is_refused_and_stopped), TEST(too_many_fields_are_refused),
          TEST(a_reset_by_the_peer_is_told_once), TEST(our_reset_is_silent_here_and_heard_there),
          TEST(large_answers_wait_for_the_window_and_stall), TEST(a_large_answer_arrives_whole),
          TEST(slow_requests_are_known_and_refused),
          TEST(only_so_many_streams_are_served_at_a_time),
          TEST(draining_ends_the_session_behind_the_last_stream),
          TEST(who_need_not_be_told_to_continue_is_not_told),
          TEST(what_comes_behind_draining_is_not_looked_at),
          TEST(a_flood_of_resets_ends_the_session), TEST(requests_beyond_the_limit_do_not_pile_up),
          TEST(fields_are_counted_as_large_as_they_become),
          TEST(who_is_refused_within_its_fields_is_answered),
          TEST(floods_that_want_answers_end_the_session),
          TEST(endless_continuations_end_the_session),
          TEST(fields_that_never_end_are_waited_for_so_long),
          TEST(what_is_no_http2_ends_the_session))
