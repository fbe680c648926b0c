/* The server and its HTTP/2, by prior knowledge, against our own client session on the other end of
 * a socket pair. */
#include "http_server_bench.h"

#include "wire/http2.h"

#define MAX_ASKED 300

struct asked {
    char status[8], type[32];
    struct buf body;
    size_t ends;
    enum http2_end_kind kind;
    uint32_t error_code;
    struct http2_stream *stream;
};

struct client {
    struct bench bench;
    struct http2_session *session;
    struct asked asked[MAX_ASKED];
    size_t asked_count;
    bool has_goaway, is_deaf; /* deaf: does not read */
};

static void on_settings(UNUSED void *ctx) {}

static void on_goaway(void *ctx)
{
    ((struct client *)ctx)->has_goaway = true;
}

static const struct http2_session_events session_events = {.on_settings = on_settings,
                                                           .on_goaway = on_goaway};

static void copy(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text ? text : "");
}

static void on_fields(void *ctx, const struct http2_fields *fields, UNUSED bool is_trailer)
{
    struct asked *asked = ctx;
    copy(asked->status, sizeof(asked->status), http2_fields_get(fields, ":status"));
    copy(asked->type, sizeof(asked->type), http2_fields_get(fields, "content-type"));
    assert_non_null(http2_fields_get(fields, "date"));
    assert_null(http2_fields_get(fields, "connection"));
    assert_null(http2_fields_get(fields, "transfer-encoding"));
}

static void on_data(void *ctx, struct str bytes)
{
    buf_add_str(&((struct asked *)ctx)->body, bytes);
}

static void on_end(void *ctx, const struct http2_end *end)
{
    struct asked *asked = ctx;
    asked->ends++;
    asked->kind = end->kind;
    asked->error_code = end->error_code;
    asked->stream = NULL;
}

static const struct http2_stream_events stream_events = {
    .on_fields = on_fields, .on_data = on_data, .on_end = on_end};

static struct asked *ask(struct client *client, const char *method, const char *path,
                         struct str body)
{
    const struct http2_field fields[] = {
        {":method", method}, {":scheme", "http"}, {":path", path}, {":authority", "there"}};
    const struct http2_request request = {
        .fields = fields, .field_count = ARRAY_SIZE(fields), .body = body};
    struct asked *asked = &client->asked[client->asked_count++];
    assert_no_error(
        http2_stream_start(client->session, &request, &stream_events, asked, &asked->stream));
    return asked;
}

/* One turn of everything; true when something moved at the client. */
static bool move(struct client *client)
{
    struct bench *bench = &client->bench;
    struct str bytes = {.len = 1};
    bool is_any = false;
    while (bytes.len > 0) {
        assert_no_error(http2_session_send(client->session, &bytes));
        if (bytes.len > 0) /* the socket of a pair takes more than these cases send */
            assert_int_equal(send(bench->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL), bytes.len);
        is_any = is_any || bytes.len > 0;
        loop_turn(bench->loop, 0);
    }
    if (client->is_deaf)
        return is_any;
    buf_clear(&bench->got);
    if (bench_read(bench)) {
        assert_no_error(http2_session_receive(client->session, bench->got.data, bench->got.len));
        is_any = true;
    }
    return is_any;
}

static void settle(struct client *client)
{
    for (int quiet = 0; quiet < 4; quiet++)
        quiet = move(client) ? 0 : quiet;
}

static struct client *client_new(const struct http_server_options *options)
{
    struct client *client = xcalloc(1, sizeof(*client));
    bench_init(&client->bench, options);
    for (size_t i = 0; i < MAX_ASKED; i++)
        buf_init(&client->asked[i].body, 16 * MiB);
    client->session = http2_session_new(&session_events, client);
    return client;
}

static void client_free(struct client *client)
{
    http2_session_free(client->session);
    bench_done(&client->bench);
    for (size_t i = 0; i < MAX_ASKED; i++)
        buf_done(&client->asked[i].body);
    free(client);
}

TEST_CASE(requests_are_answered)
{
    static const struct {
        const char *method, *path, *body, *status, *wanted;
    } cases[] = {
        {"GET", "/a%20b?c", "", "200", "GET /a b []"},
        {"POST", "/a", "xyz", "200", "POST /a [xyz]"},
        {"HEAD", "/a", "", "200", ""},
        {"GET", "/%", "", "400", "400 Bad Request: malformed request target\n"},
        {"OPTIONS", "*", "", "400", "400 Bad Request: malformed request target\n"},
        {"POST", "/a", "12345678901", "413", "413 Payload Too Large: the body is too large\n"},
        {"HEAD", "/%", "", "400", ""},
    };
    static const struct http_server_options options = {.max_body_bytes = 10};
    struct client *client = client_new(&options);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct asked *asked = ask(client, cases[i].method, cases[i].path, str_from(cases[i].body));
        settle(client);
        assert_string_equal(asked->status, cases[i].status);
        assert_string_equal(buf_text(&asked->body), cases[i].wanted);
        assert_true(text_has_prefix(asked->type, "text/plain"));
        assert_int_equal(asked->ends, 1);
    }
    assert_int_equal(client->bench.server->request_bytes, 0);
    assert_int_equal(client->bench.gone, 0);
    assert_int_equal(http_server_connection_count(client->bench.server), 1);
    client_free(client);
}

TEST_CASE(many_watches_share_a_connection)
{
    struct client *client = client_new(NULL);
    for (size_t i = 0; i < 200; i++)
        ask(client, "GET", "/hold", STR_LITERAL(""));
    struct asked *quick = ask(client, "GET", "/a", STR_LITERAL(""));
    settle(client);
    assert_int_equal(client->bench.held_count, 200);
    assert_string_equal(buf_text(&quick->body), "GET /a []");
    const struct http_request *request = http_exchange_request(client->bench.held[0]);
    assert_true(request->is_http2);
    assert_false(request->is_upgrade);
    assert_string_equal(request->remote_address, "@");
    assert_string_equal(http_fields_get(&request->fields, "host"), "there");
    for (size_t i = 0; i < 200; i++) {
        http_exchange_begin(client->bench.held[i], 200, NULL);
        http_exchange_write(client->bench.held[i], STR_LITERAL("event 1\n"));
    }
    settle(client);
    for (size_t i = 0; i < 200; i++) {
        assert_string_equal(buf_text(&client->asked[i].body), "event 1\n");
        http_exchange_write(client->bench.held[i], STR_LITERAL("event 2\n"));
        if (i % 2 == 0)
            http_exchange_finish(client->bench.held[i]);
        else
            http_exchange_abort(client->bench.held[i]);
    }
    settle(client);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(client->asked[i].kind, i % 2 == 0 ? HTTP2_END_COMPLETE : HTTP2_END_RESET);
        if (i % 2 == 0)
            assert_string_equal(buf_text(&client->asked[i].body), "event 1\nevent 2\n");
    }
    assert_int_equal(client->bench.gone, 0);
    client_free(client);
}

TEST_CASE(a_client_that_resets_or_goes_away_is_told_of)
{
    struct client *client = client_new(NULL);
    struct asked *first = ask(client, "GET", "/hold", STR_LITERAL(""));
    ask(client, "GET", "/hold", STR_LITERAL(""));
    settle(client);
    http2_stream_reset(first->stream, HTTP2_CANCEL);
    settle(client);
    assert_int_equal(client->bench.gone, 1);
    fd_close(&client->bench.fd);
    loop_turn(client->bench.loop, 0);
    loop_turn(client->bench.loop, 0);
    assert_int_equal(client->bench.gone, 2);
    assert_int_equal(http_server_connection_count(client->bench.server), 0);
    client_free(client);
}

static void end_the_other(void *ctx)
{
    struct client *client = ctx;
    client->bench.gone++;
    http_exchange_reply(client->bench.held[1], 200, NULL, STR_LITERAL("x"));
}

TEST_CASE(others_may_be_ended_while_a_connection_goes)
{
    struct client *client = client_new(NULL);
    for (int i = 0; i < 3; i++)
        ask(client, "GET", "/hold", STR_LITERAL(""));
    settle(client);
    http_exchange_on_gone(client->bench.held[0], end_the_other, client);
    fd_close(&client->bench.fd);
    loop_turn(client->bench.loop, 0);
    assert_int_equal(client->bench.gone, 2);
    client_free(client);
}

TEST_CASE(a_connection_is_not_taken_over)
{
    struct client *client = client_new(NULL);
    struct asked *asked = ask(client, "GET", "/hold", STR_LITERAL(""));
    settle(client);
    struct byte_stream *stream = NULL;
    struct arena *arena = NULL;
    struct str early = {0};
    assert_error_code(http_exchange_take(client->bench.held[0], &stream, &early, &arena),
                      ERROR_INVALID_ARGUMENT);
    http_exchange_reply(client->bench.held[0], 400, NULL, STR_LITERAL("no"));
    settle(client);
    assert_string_equal(asked->status, "400");
    client_free(client);
}

/* --- back-pressure --- */

#define PIECE_BYTES (64 * KiB)
#define LIMIT_BYTES (256 * KiB)
#define WHOLE_BYTES (8 * MiB)

struct producer {
    struct http_exchange *exchange;
    size_t produced;
};

static void produce(void *ctx)
{
    struct producer *producer = ctx;
    AUTO(free) char *piece = xcalloc(1, PIECE_BYTES);
    while (producer->produced < WHOLE_BYTES &&
           http_exchange_backlog(producer->exchange) + PIECE_BYTES <= LIMIT_BYTES) {
        http_exchange_write(producer->exchange, (struct str){.ptr = piece, .len = PIECE_BYTES});
        producer->produced += PIECE_BYTES;
    }
    if (producer->produced >= WHOLE_BYTES && producer->exchange)
        http_exchange_finish(TAKE(producer->exchange));
}

TEST_CASE(a_producer_is_told_when_there_is_room_again)
{
    struct client *client = client_new(NULL);
    struct asked *asked = ask(client, "GET", "/hold", STR_LITERAL(""));
    settle(client);
    struct producer producer = {.exchange = client->bench.held[0]};
    http_exchange_begin(producer.exchange, 200, NULL);
    http_exchange_on_drain(producer.exchange, LIMIT_BYTES, produce, &producer);
    produce(&producer);
    client->is_deaf = true;
    settle(client);
    assert_true(producer.produced < WHOLE_BYTES);
    client->is_deaf = false;
    settle(client);
    assert_null(producer.exchange);
    assert_int_equal(asked->body.len, WHOLE_BYTES);
    assert_int_equal(asked->kind, HTTP2_END_COMPLETE);
    client_free(client);
}

TEST_CASE(large_bodies_share_a_budget)
{
    static const struct http_server_options options = {.max_body_bytes = 20 * KiB};
    struct client *client = client_new(&options);
    AUTO(free) char *body = xcalloc(1, 20 * KiB);
    for (size_t i = 0; i < 30; i++) {
        ask(client, "POST", "/hold", (struct str){.ptr = body, .len = 20 * KiB});
        settle(client);
    }
    size_t refused = 0;
    for (size_t i = 0; i < 30; i++)
        refused += text_eq(client->asked[i].status, "503");
    assert_int_equal(client->bench.held_count + refused, 30);
    assert_int_equal(client->bench.held_count, 24);
    for (size_t i = 0; i < client->bench.held_count; i++)
        http_exchange_reply(client->bench.held[i], 200, NULL, STR_LITERAL(""));
    settle(client);
    assert_int_equal(client->bench.server->request_bytes, 0);
    client_free(client);
}

/* Requests whose fields are large and whose bodies do not come. */
TEST_CASE(fields_of_requests_that_arrive_share_it_too)
{
    static const char start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                "\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    static const char head[] = "\x00\x03\xf9\x01\x04\x00\x00\x00"; /* HEADERS without END_STREAM */
    static const char fields[] = "\x83\x86\x84\x41\x01h\x00\x06"
                                 "x-long\x7f\xe9\x06"; /* a value of 1000 bytes */
    static const struct http_server_options options = {.max_body_bytes = 100};
    char value[1000];
    memset(value, 'a', sizeof(value));
    struct bench bench;
    bench_init(&bench, &options);
    bench_send(&bench, STR_LITERAL(start));
    for (size_t i = 0; i < 10; i++) {
        AUTO(buf) struct buf frame;
        buf_init(&frame, 2 * KiB);
        buf_add_str(&frame, STR_LITERAL(head));
        buf_add_char(&frame, (char)(2 * i + 1));
        buf_add_str(&frame, STR_LITERAL(fields));
        buf_add(&frame, value, sizeof(value));
        bench_send(&bench, buf_str(&frame));
        assert_true(bench.server->request_bytes <= http_server_request_budget(bench.server));
    }
    size_t refused = 0;
    static const char refusal[] = "503 Service Unavailable";
    const char *at = bench.got.data, *end = at + bench.got.len;
    while ((at = memmem(at, (size_t)(end - at), refusal, sizeof(refusal) - 1)) != NULL) {
        at += sizeof(refusal) - 1;
        refused++;
    }
    assert_true(refused >= 8);
    assert_int_equal(bench.requests, 0);
    assert_false(bench.is_ended);
    bench_done(&bench);
}

/* --- time --- */

#define SHORT_NS (2 * NS_PER_MS)
/* Long enough for a request to be read on a busy machine, short enough to be waited for. */
#define WATCH_NS (50 * NS_PER_MS)

TEST_CASE(an_idle_connection_is_closed_with_a_word)
{
    static const struct http_server_options options = {.idle_timeout_ns = SHORT_NS};
    struct client *client = client_new(&options);
    ask(client, "GET", "/a", STR_LITERAL(""));
    for (int i = 0; i < 500 && !client->bench.is_ended; i++) {
        loop_turn(client->bench.loop, SHORT_NS);
        settle(client);
    }
    assert_true(client->bench.is_ended);
    assert_true(client->has_goaway);
    assert_int_equal(client->asked[0].kind, HTTP2_END_COMPLETE);
    assert_int_equal(http_server_connection_count(client->bench.server), 0);
    client_free(client);
}

TEST_CASE(a_watch_with_nothing_to_say_is_left_alone)
{
    static const struct http_server_options options = {.header_timeout_ns = WATCH_NS,
                                                       .body_timeout_ns = WATCH_NS,
                                                       .idle_timeout_ns = WATCH_NS,
                                                       .write_timeout_ns = WATCH_NS};
    struct client *client = client_new(&options);
    ask(client, "GET", "/hold", STR_LITERAL(""));
    (void)move(client);
    (void)move(client);
    assert_int_equal(client->bench.held_count, 1);
    http_exchange_begin(client->bench.held[0], 200, NULL);
    for (int i = 0; i < 5; i++) {
        loop_turn(client->bench.loop, WATCH_NS);
        settle(client);
    }
    assert_false(client->bench.is_ended);
    assert_int_equal(client->bench.gone, 0);
    client_free(client);
}

TEST_CASE(a_body_that_does_not_come_is_not_waited_for)
{
    /* HEADERS without END_STREAM: POST / */
    static const char start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
                                "\x00\x00\x06\x01\x04\x00\x00\x00\x01\x83\x86\x84\x41\x01h";
    static const struct http_server_options options = {.body_timeout_ns = SHORT_NS,
                                                       .idle_timeout_ns = SHORT_NS};
    struct bench bench;
    bench_init(&bench, &options);
    bench_send(&bench, STR_LITERAL(start));
    bench_wait_end(&bench); /* answered with 408, reset, and idle since */
    assert_int_equal(bench.requests, 0);
    AUTO(free) char *got = xcalloc(1, bench.got.len + 1);
    for (size_t i = 0; i < bench.got.len; i++)
        got[i] = bench.got.data[i] == '\0' ? ' ' : bench.got.data[i];
    assert_non_null(strstr(got, "408 Request Timeout"));
    bench_done(&bench);
}

TEST_CASE(a_client_that_does_not_read_is_cut_off)
{
    static const struct http_server_options options = {.write_timeout_ns = 10 * NS_PER_MS};
    struct client *client = client_new(&options);
    ask(client, "GET", "/hold", STR_LITERAL(""));
    settle(client);
    AUTO(free) char *bytes = xcalloc(1, WHOLE_BYTES);
    http_exchange_begin(client->bench.held[0], 200, NULL);
    http_exchange_write(client->bench.held[0], (struct str){.ptr = bytes, .len = WHOLE_BYTES});
    for (int i = 0; i < 500 && client->bench.gone == 0; i++)
        loop_turn(client->bench.loop, 5 * NS_PER_MS);
    assert_int_equal(client->bench.gone, 1);
    client_free(client);
}

TEST_CASE(draining_says_goaway_and_lets_what_is_under_way_end)
{
    struct client *client = client_new(NULL);
    struct asked *asked = ask(client, "GET", "/hold", STR_LITERAL(""));
    settle(client);
    http_server_drain(client->bench.server);
    settle(client);
    assert_true(client->has_goaway);
    assert_false(client->bench.is_ended);
    http_exchange_reply(client->bench.held[0], 200, NULL, STR_LITERAL("last"));
    settle(client);
    assert_string_equal(buf_text(&asked->body), "last");
    assert_true(client->bench.is_ended);
    assert_int_equal(http_server_connection_count(client->bench.server), 0);
    client_free(client);
}

TEST_CASE(what_is_no_http2_is_cut_off)
{
    struct bench bench;
    bench_init(&bench, NULL);
    bench_send(&bench, STR_LITERAL("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET / HTTP/1.1\r\n\r\n"));
    assert_true(bench.is_ended);
    assert_int_equal(http_server_connection_count(bench.server), 0);
    bench_done(&bench);
}

TEST_MAIN(TEST(requests_are_answered), TEST(many_watches_share_a_connection),
          TEST(a_client_that_resets_or_goes_away_is_told_of),
          TEST(others_may_be_ended_while_a_connection_goes), TEST(a_connection_is_not_taken_over),
          TEST(a_producer_is_told_when_there_is_room_again), TEST(large_bodies_share_a_budget),
          TEST(fields_of_requests_that_arrive_share_it_too),
          TEST(an_idle_connection_is_closed_with_a_word),
          TEST(a_watch_with_nothing_to_say_is_left_alone),
          TEST(a_body_that_does_not_come_is_not_waited_for),
          TEST(a_client_that_does_not_read_is_cut_off),
          TEST(draining_says_goaway_and_lets_what_is_under_way_end),
          TEST(what_is_no_http2_is_cut_off))
