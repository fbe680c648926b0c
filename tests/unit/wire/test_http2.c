/* The session without any socket: its bytes go to nghttp2's server session, and back in pieces. */
#include "wire/http2.h"

#include "base/buf.h"
#include "tests/lib/test.h"

#include <nghttp2/nghttp2.h>

struct bench {
    struct http2_session *session;
    nghttp2_session *server;
    size_t piece; /* bytes handed over at a time */
    size_t settings, new_limits, goaways;

    /* of the one stream */
    struct http2_stream *stream;
    size_t fields, trailers, ends;
    struct buf data;
    enum http2_end_kind end;
    uint32_t error_code;
    char status[8], trailer[16];
    bool reset_on_data, pause_on_fields, is_unsent;

    /* at the server */
    int32_t server_stream;
    struct buf request;
    bool is_whole;
    size_t server_data_frames, server_pings;
    uint32_t server_reset;
};

/* --- client --- */

static void on_settings(void *ctx)
{
    ((struct bench *)ctx)->settings++;
}

static void on_new_limit(void *ctx)
{
    ((struct bench *)ctx)->new_limits++;
}

static void on_goaway(void *ctx)
{
    ((struct bench *)ctx)->goaways++;
}

static const struct http2_session_events session_events = {
    .on_settings = on_settings, .on_new_limit = on_new_limit, .on_goaway = on_goaway};

static void copy_text(char *out, size_t size, const char *text)
{
    size_t len = min_size(strlen(text), size - 1);
    memcpy(out, text, len);
    out[len] = '\0';
}

static void on_fields(void *ctx, const struct http2_fields *fields, bool is_trailer)
{
    struct bench *bench = ctx;
    if (is_trailer) {
        bench->trailers++;
        copy_text(bench->trailer, sizeof(bench->trailer), http2_fields_get(fields, "x-sum"));
        return;
    }
    bench->fields++;
    if (bench->pause_on_fields)
        http2_stream_pause(bench->stream, true); /* a wish that a dead session does not grant */
    copy_text(bench->status, sizeof(bench->status), http2_fields_get(fields, ":status"));
    assert_null(http2_fields_get(fields, "x-none"));
    assert_null(http2_fields_get(fields, "200")); /* a value is no name */
}

static void on_data(void *ctx, struct str bytes)
{
    struct bench *bench = ctx;
    buf_add_str(&bench->data, bytes);
    if (bench->reset_on_data)
        http2_stream_reset(TAKE(bench->stream), HTTP2_CANCEL);
}

static void on_end(void *ctx, const struct http2_end *end)
{
    struct bench *bench = ctx;
    bench->ends++;
    bench->end = end->kind;
    bench->is_unsent = end->is_unsent;
    bench->error_code = end->error_code;
    bench->stream = NULL;
    if (end->kind == HTTP2_END_LOST)
        assert_string_equal(end->cause->message, "gone");
}

static const struct http2_stream_events stream_events = {
    .on_fields = on_fields, .on_data = on_data, .on_end = on_end};

/* --- server --- */

static int on_server_frame(UNUSED nghttp2_session *server, const nghttp2_frame *frame,
                           void *user_data)
{
    struct bench *bench = user_data;
    if (frame->hd.type == NGHTTP2_HEADERS)
        bench->server_stream = frame->hd.stream_id;
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        bench->server_reset = frame->rst_stream.error_code;
    bool is_message = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (is_message && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        bench->is_whole = true;
    bench->server_data_frames += frame->hd.type == NGHTTP2_DATA;
    bench->server_pings += frame->hd.type == NGHTTP2_PING;
    return 0;
}

static int on_server_data(UNUSED nghttp2_session *server, UNUSED uint8_t flags,
                          UNUSED int32_t stream_id, const uint8_t *data, size_t len,
                          void *user_data)
{
    buf_add(&((struct bench *)user_data)->request, data, len);
    return 0;
}

static nghttp2_session *server_new(struct bench *bench)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_session *server = NULL;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_server_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_server_data);
    assert_int_equal(nghttp2_session_server_new(&server, callbacks, bench), 0);
    nghttp2_session_callbacks_del(callbacks);
    assert_int_equal(nghttp2_submit_settings(server, 0, NULL, 0), 0);
    return server;
}

static nghttp2_nv nv(const char *name, const char *value)
{
    nghttp2_nv field = {.namelen = strlen(name), .valuelen = strlen(value)};
    memcpy(&field.name, &name, sizeof(field.name));
    memcpy(&field.value, &value, sizeof(field.value));
    return field;
}

static ssize_t read_hello(nghttp2_session *server, int32_t stream_id, uint8_t *out,
                          UNUSED size_t size, uint32_t *flags, UNUSED nghttp2_data_source *source,
                          UNUSED void *user_data)
{
    memcpy(out, "hello", 5);
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    const nghttp2_nv trailer = nv("x-sum", "5");
    assert_int_equal(nghttp2_submit_trailer(server, stream_id, &trailer, 1), 0);
    return 5;
}

static void server_answer(struct bench *bench)
{
    const nghttp2_nv early = nv(":status", "103"), status = nv(":status", "200");
    const nghttp2_data_provider body = {.read_callback = read_hello};
    assert_int_equal(
        nghttp2_submit_headers(bench->server, 0, bench->server_stream, NULL, &early, 1, NULL), 0);
    assert_int_equal(
        nghttp2_submit_response(bench->server, bench->server_stream, &status, 1, &body), 0);
}

/* --- the wire between --- */

static bool client_to_server(struct bench *bench)
{
    struct str bytes = {0};
    assert_no_error(http2_session_send(bench->session, &bytes));
    if (bytes.len > 0)
        assert_int_equal(
            nghttp2_session_mem_recv(bench->server, (const uint8_t *)bytes.ptr, bytes.len),
            bytes.len);
    return bytes.len > 0;
}

static bool server_to_client(struct bench *bench)
{
    const uint8_t *bytes = NULL;
    ssize_t len = nghttp2_session_mem_send(bench->server, &bytes);
    assert_true(len >= 0);
    for (size_t at = 0; at < (size_t)len; at += bench->piece)
        assert_no_error(http2_session_receive(bench->session, bytes + at,
                                              min_size(bench->piece, (size_t)len - at)));
    return len > 0;
}

static void exchange(struct bench *bench)
{
    bool is_busy = true;
    while (is_busy) {
        is_busy = client_to_server(bench);
        is_busy = server_to_client(bench) || is_busy;
        is_busy = http2_session_dispatch(bench->session) || is_busy;
    }
}

static void bench_init(struct bench *bench, size_t piece)
{
    *bench = (struct bench){.piece = piece};
    buf_init(&bench->data, KiB);
    buf_init(&bench->request, MiB);
    bench->session = http2_session_new(&session_events, bench);
    bench->server = server_new(bench);
}

static void bench_done(struct bench *bench)
{
    http2_session_free(bench->session);
    nghttp2_session_del(bench->server);
    buf_done(&bench->data);
    buf_done(&bench->request);
}

static struct error *start(struct bench *bench, struct str body)
{
    static const struct http2_field fields[] = {
        {":method", "POST"}, {":scheme", "http"}, {":path", "/x"}, {":authority", "localhost"}};
    const struct http2_request request = {
        .fields = fields, .field_count = ARRAY_SIZE(fields), .body = body};
    return http2_stream_start(bench->session, &request, &stream_events, bench, &bench->stream);
}

TEST_CASE(a_response_arrives_in_order_however_it_is_cut)
{
    static const size_t pieces[] = {1, 2, 7, 16384};
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        struct bench bench;
        bench_init(&bench, pieces[i]);
        assert_no_error(start(&bench, STR_LITERAL("question")));
        exchange(&bench);
        assert_int_equal(bench.settings, 1);
        assert_true(bench.is_whole);
        assert_true(str_eq_c(buf_str(&bench.request), "question"));
        server_answer(&bench);
        exchange(&bench);
        assert_int_equal(bench.fields, 1); /* the early one does not count */
        assert_string_equal(bench.status, "200");
        assert_true(str_eq_c(buf_str(&bench.data), "hello"));
        assert_int_equal(bench.trailers, 1);
        assert_string_equal(bench.trailer, "5");
        assert_int_equal(bench.ends, 1);
        assert_int_equal(bench.end, HTTP2_END_COMPLETE);
        assert_int_equal(http2_session_stream_count(bench.session), 0);
        assert_true(http2_session_is_alive(bench.session));
        bench_done(&bench);
    }
}

TEST_CASE(a_body_larger_than_the_window_is_sent_whole)
{
    struct bench bench;
    bench_init(&bench, 16384);
    AUTO(free) char *body = xcalloc(300, KiB);
    assert_no_error(start(&bench, (struct str){.ptr = body, .len = 300 * KiB}));
    exchange(&bench);
    assert_true(bench.is_whole);
    assert_int_equal(bench.request.len, 300 * KiB);
    bench_done(&bench);
}

TEST_CASE(a_stream_may_be_reset_in_its_own_callback)
{
    struct bench bench;
    bench_init(&bench, 16384);
    bench.reset_on_data = true;
    assert_no_error(start(&bench, STR_LITERAL("x")));
    exchange(&bench);
    server_answer(&bench);
    exchange(&bench);
    assert_int_equal(bench.data.len, 5);
    assert_int_equal(bench.trailers, 0);
    assert_int_equal(bench.ends, 0);
    assert_int_equal(http2_session_stream_count(bench.session), 0);
    bench_done(&bench);
}

TEST_CASE(resets_by_the_peer_tell_their_code)
{
    static const struct {
        uint32_t code;
        enum http2_end_kind wanted;
    } cases[] = {{NGHTTP2_INTERNAL_ERROR, HTTP2_END_RESET},
                 {NGHTTP2_REFUSED_STREAM, HTTP2_END_REFUSED}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bench bench;
        bench_init(&bench, 16384);
        assert_no_error(start(&bench, STR_LITERAL("x")));
        exchange(&bench);
        assert_int_equal(
            nghttp2_submit_rst_stream(bench.server, 0, bench.server_stream, cases[i].code), 0);
        exchange(&bench);
        assert_int_equal(bench.ends, 1);
        assert_int_equal(bench.end, cases[i].wanted);
        assert_int_equal(bench.error_code, cases[i].code);
        bench_done(&bench);
    }
}

TEST_CASE(goaway_refuses_what_the_peer_did_not_see)
{
    struct bench bench;
    bench_init(&bench, 16384);
    assert_no_error(start(&bench, STR_LITERAL("x")));
    exchange(&bench);
    assert_true(http2_session_can_start(bench.session));
    assert_int_equal(nghttp2_submit_goaway(bench.server, 0, 0, NGHTTP2_NO_ERROR, NULL, 0), 0);
    exchange(&bench);
    assert_int_equal(bench.goaways, 1);
    assert_int_equal(bench.end, HTTP2_END_REFUSED);
    assert_false(http2_session_can_start(bench.session));
    assert_error_code(start(&bench, STR_LITERAL("x")), ERROR_UNAVAILABLE);
    bench_done(&bench);
}

TEST_CASE(a_failed_session_ends_every_stream)
{
    struct bench bench;
    bench_init(&bench, 16384);
    assert_no_error(start(&bench, STR_LITERAL("x")));
    assert_no_error(start(&bench, STR_LITERAL("y")));
    exchange(&bench);
    AUTO(error) struct error *cause = error_new(ERROR_UNAVAILABLE, "gone");
    http2_session_fail(bench.session, cause);
    assert_int_equal(bench.ends, 2);
    assert_int_equal(bench.end, HTTP2_END_LOST);
    assert_false(http2_session_is_alive(bench.session));
    struct str bytes = {0};
    assert_error_code(http2_session_send(bench.session, &bytes), ERROR_UNAVAILABLE);
    assert_error_code(start(&bench, STR_LITERAL("z")), ERROR_UNAVAILABLE);
    bench_done(&bench);
}

TEST_CASE(what_arrives_during_a_pause_is_told_afterwards)
{
    static const size_t pieces[] = {1, 16384};
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        struct bench bench;
        bench_init(&bench, pieces[i]);
        bench.pause_on_fields = true;
        assert_no_error(start(&bench, STR_LITERAL("x")));
        exchange(&bench);
        server_answer(&bench);
        exchange(&bench);
        assert_int_equal(bench.fields, 1);
        assert_int_equal(bench.data.len + bench.trailers + bench.ends, 0);
        http2_stream_pause(bench.stream, false);
        assert_int_equal(bench.data.len + bench.trailers + bench.ends, 0);
        exchange(&bench);
        assert_true(str_eq_c(buf_str(&bench.data), "hello"));
        assert_int_equal(bench.trailers, 1);
        assert_int_equal(bench.ends, 1);
        assert_int_equal(bench.end, HTTP2_END_COMPLETE);
        bench_done(&bench);
    }
}

TEST_CASE(a_paused_stream_may_be_reset_or_lost)
{
    for (size_t i = 0; i < 2; i++) {
        struct bench bench;
        bench_init(&bench, 16384);
        bench.pause_on_fields = true;
        assert_no_error(start(&bench, STR_LITERAL("x")));
        exchange(&bench);
        server_answer(&bench);
        exchange(&bench);
        AUTO(error) struct error *cause = error_new(ERROR_UNAVAILABLE, "gone");
        if (i == 0)
            http2_stream_reset(bench.stream, HTTP2_CANCEL);
        else
            http2_session_fail(bench.session, cause);
        assert_int_equal(bench.ends, i);
        assert_int_equal(bench.data.len, i == 0 ? 0 : 5); /* it was complete: no loss */
        assert_int_equal(bench.end, HTTP2_END_COMPLETE);
        bench_done(&bench);
    }
}

TEST_CASE(a_request_without_a_body_ends_with_its_fields)
{
    struct bench bench;
    bench_init(&bench, 16384);
    assert_no_error(start(&bench, (struct str){0}));
    exchange(&bench);
    assert_true(bench.is_whole);
    assert_int_equal(bench.server_data_frames, 0);
    bench_done(&bench);
}

TEST_CASE(a_lost_request_that_never_left_is_unsent)
{
    struct bench bench;
    for (size_t exchanges = 0; exchanges < 2; exchanges++) {
        bench_init(&bench, 16384);
        assert_no_error(start(&bench, STR_LITERAL("x")));
        if (exchanges > 0)
            exchange(&bench);
        AUTO(error) struct error *cause = error_new(ERROR_UNAVAILABLE, "gone");
        http2_session_fail(bench.session, cause);
        assert_int_equal(bench.ends, 1);
        assert_int_equal(bench.is_unsent, exchanges == 0);
        bench_done(&bench);
    }
}

TEST_CASE(the_peers_limit_is_one_stream_until_it_says_otherwise)
{
    struct bench bench;
    bench_init(&bench, 16384);
    assert_int_equal(http2_session_stream_limit(bench.session), 1);
    exchange(&bench);
    assert_true(http2_session_stream_limit(bench.session) >= INT32_MAX); /* none */
    for (uint32_t limit = 0; limit < 3; limit++) {
        const nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limit};
        assert_int_equal(nghttp2_submit_settings(bench.server, 0, &entry, 1), 0);
        exchange(&bench);
        assert_int_equal(http2_session_stream_limit(bench.session), limit);
        assert_int_equal(bench.new_limits, limit + 1);
    }
    assert_int_equal(bench.settings, 1);
    bench_done(&bench);
}

TEST_CASE(a_ping_reaches_the_peer)
{
    struct bench bench;
    bench_init(&bench, 16384);
    exchange(&bench);
    http2_session_ping(bench.session);
    exchange(&bench);
    assert_int_equal(bench.server_pings, 1);
    bench_done(&bench);
}

TEST_CASE(what_is_no_http2_ends_the_session)
{
    struct bench bench;
    bench_init(&bench, 16384);
    static const char http1[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    struct error *err = http2_session_receive(bench.session, http1, sizeof(http1) - 1);
    if (err) {
        assert_int_equal(err->code, ERROR_UNAVAILABLE);
        error_free(err);
    } else {
        struct str bytes = {.len = 1};
        while (bytes.len > 0)
            assert_no_error(http2_session_send(bench.session, &bytes));
        assert_false(http2_session_is_alive(bench.session));
    }
    assert_int_equal(bench.settings, 0);
    bench_done(&bench);
}

TEST_MAIN(TEST(a_response_arrives_in_order_however_it_is_cut),
          TEST(the_peers_limit_is_one_stream_until_it_says_otherwise),
          TEST(a_body_larger_than_the_window_is_sent_whole),
          TEST(a_stream_may_be_reset_in_its_own_callback), TEST(resets_by_the_peer_tell_their_code),
          TEST(goaway_refuses_what_the_peer_did_not_see), TEST(a_failed_session_ends_every_stream),
          TEST(what_arrives_during_a_pause_is_told_afterwards),
          TEST(a_paused_stream_may_be_reset_or_lost),
          TEST(a_request_without_a_body_ends_with_its_fields),
          TEST(a_lost_request_that_never_left_is_unsent), TEST(a_ping_reaches_the_peer),
          TEST(what_is_no_http2_ends_the_session))
