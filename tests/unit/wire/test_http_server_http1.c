/* The server and its HTTP/1.1: requests as bytes in, answers as bytes out. */
#include "http_server_bench.h"

#define HOST "host: h\r\n"
#define ECHO_HEAD "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-host: h\r\n"

/* What the client got, without the dates. */
static char *answers(const struct bench *bench)
{
    struct buf out;
    buf_init(&out, 64 * MiB);
    struct str rest = buf_str(&bench->got);
    while (rest.len > 0) {
        size_t line = str_find(rest, '\n');
        struct str text = {.ptr = rest.ptr, .len = min_size(line + 1, rest.len)};
        if (!str_has_prefix(text, "date: "))
            buf_add_str(&out, text);
        rest = (struct str){.ptr = rest.ptr + text.len, .len = rest.len - text.len};
    }
    return buf_take(&out);
}

static void assert_answers(const struct bench *bench, const char *wanted)
{
    AUTO(free) char *got = answers(bench);
    assert_string_equal(got, wanted);
}

static void assert_has(const struct bench *bench, const char *text)
{
    if (!strstr(buf_text(&bench->got), text))
        fail_msg("no \"%s\" in:\n%s", text, buf_text(&bench->got));
}

TEST_CASE(raw_requests_have_raw_answers)
{
    static const struct {
        const char *name, *input, *wanted;
        bool is_ended;
    } cases[] = {
        {"get", "GET /a%20b?c HTTP/1.1\r\n" HOST "\r\n",
         ECHO_HEAD "content-length: 11\r\n\r\nGET /a b []", false},
        {"head", "HEAD /a HTTP/1.1\r\n" HOST "\r\n", ECHO_HEAD "content-length: 10\r\n\r\n", false},
        {"post", "POST /a HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nxy",
         ECHO_HEAD "content-length: 12\r\n\r\nPOST /a [xy]", false},
        {"chunks",
         "PUT /a HTTP/1.1\r\n" HOST
         "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n2\r\nyz\r\n0\r\n\r\n",
         ECHO_HEAD "content-length: 12\r\n\r\nPUT /a [xyz]", false},
        {"absolute form", "GET http://other/a HTTP/1.1\r\n" HOST "\r\n",
         ECHO_HEAD "content-length: 9\r\n\r\nGET /a []", false},
        {"close", "GET /a HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
         ECHO_HEAD "content-length: 9\r\nconnection: close\r\n\r\nGET /a []", true},
        {"1.0", "GET /a HTTP/1.0\r\n" HOST "\r\n",
         ECHO_HEAD "content-length: 9\r\nconnection: close\r\n\r\nGET /a []", true},
        {"1.0 kept alive", "GET /a HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n",
         ECHO_HEAD "content-length: 9\r\nconnection: keep-alive\r\n\r\nGET /a []", false},
        {"pipelined",
         "GET /1 HTTP/1.1\r\n" HOST "\r\nPOST /2 HTTP/1.1\r\n" HOST
         "Content-Length: 1\r\n\r\nxGET /3 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\nGET /4",
         ECHO_HEAD "content-length: 9\r\n\r\nGET /1 []" ECHO_HEAD
                   "content-length: 11\r\n\r\nPOST /2 [x]" ECHO_HEAD
                   "content-length: 9\r\nconnection: close\r\n\r\nGET /3 []",
         true},
        {"continue", "PUT /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n",
         "HTTP/1.1 100 Continue\r\n\r\n", false},
        {"dropped", "GET /drop HTTP/1.1\r\n" HOST "\r\n", "", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (size_t piece = 1; piece < 2000; piece *= 11) {
            print_message("%s in pieces of %zu\n", cases[i].name, piece);
            struct bench bench;
            bench_init(&bench, NULL);
            struct str rest = str_from(cases[i].input);
            while (rest.len > 0 && !bench.is_ended) {
                struct str part = {.ptr = rest.ptr, .len = min_size(piece, rest.len)};
                bench_send(&bench, part);
                rest = (struct str){.ptr = rest.ptr + part.len, .len = rest.len - part.len};
            }
            assert_answers(&bench, cases[i].wanted);
            assert_int_equal(bench.is_ended, cases[i].is_ended);
            assert_int_equal(http_server_connection_count(bench.server), !cases[i].is_ended);
            bench_done(&bench);
        }
    }
}

TEST_CASE(bad_requests_are_answered_and_cut_off)
{
    static const struct {
        const char *input, *start;
    } cases[] = {
        {"GET a HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400 Bad Request\r\n"},
        {"GET /% HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400 Bad Request\r\n"},
        {"GET /%00 HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400 Bad Request\r\n"},
        {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400 Bad Request\r\n"},
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
        {"GET / HTTP/1.1\nHost: h\n\n", "HTTP/1.1 400 Bad Request\r\n"},
        {"GET / HTTP/3.0\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported\r\n"},
        {"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
        {"\x16\x03\x01\x02\x00\x01\x00", "HTTP/1.1 400 Bad Request\r\n"},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n",
         "HTTP/1.1 413 Payload Too Large\r\n"},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
         "6\r\nabcdef\r\n6\r\nabcdef\r\n",
         "HTTP/1.1 413 Payload Too Large\r\n"},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n",
         "HTTP/1.1 501 Not Implemented\r\n"},
        {"GET / HTTP/1.1\r\n" HOST "Expect: more\r\n\r\n", "HTTP/1.1 417 Expectation Failed\r\n"},
        {"GET / HTTP/1.1\r\n" HOST "A: "
         "0123456789012345678901234567890123456789012345678901234567890123456789\r\n\r\n",
         "HTTP/1.1 431 Request Header Fields Too Large\r\n"},
    };
    static const struct http_server_options options = {.max_header_bytes = 90,
                                                       .max_body_bytes = 10};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bench bench;
        bench_init(&bench, &options);
        bench_send(&bench, str_from(cases[i].input));
        assert_has(&bench, cases[i].start);
        assert_has(&bench, "\r\nconnection: close\r\n");
        assert_int_equal(bench.requests, 0);
        /* What comes now is thrown away, so that the answer is not lost to a reset. */
        assert_false(bench.is_ended);
        size_t len = bench.got.len;
        bench_send(&bench, STR_LITERAL("GET / HTTP/1.1\r\n" HOST "\r\n"));
        assert_int_equal(bench.got.len, len);
        assert_int_equal(shutdown(bench.fd, SHUT_WR), 0);
        bench_settle(&bench);
        assert_true(bench.is_ended);
        assert_int_equal(bench.server->request_bytes, 0);
        bench_done(&bench);
    }
}

TEST_CASE(streamed_answers_come_in_chunks)
{
    struct bench bench;
    bench_init(&bench, NULL);
    bench_send(&bench, STR_LITERAL("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    static const struct http_field fields[] = {{"x-odd", "a\r\nb"}};
    http_exchange_begin(bench.held[0], 200, &(struct http_fields){.items = fields, .count = 1});
    bench_settle(&bench);
    assert_answers(&bench, "HTTP/1.1 200 OK\r\nx-odd: a  b\r\ntransfer-encoding: chunked\r\n\r\n");
    buf_clear(&bench.got);
    http_exchange_write(bench.held[0], STR_LITERAL("hello"));
    http_exchange_write(bench.held[0], STR_LITERAL(""));
    http_exchange_write(bench.held[0], STR_LITERAL("hello hello hello"));
    bench_settle(&bench);
    assert_answers(&bench, "5\r\nhello\r\n11\r\nhello hello hello\r\n");
    buf_clear(&bench.got);
    http_exchange_finish(bench.held[0]);
    bench_settle(&bench);
    assert_answers(&bench, "0\r\n\r\n");
    bench_send(&bench, STR_LITERAL("GET /a HTTP/1.1\r\n" HOST "\r\n"));
    assert_has(&bench, "GET /a []");
    assert_int_equal(bench.gone, 0);
    bench_done(&bench);
}

TEST_CASE(a_streamed_answer_without_chunks_ends_with_the_connection)
{
    struct bench bench;
    bench_init(&bench, NULL);
    bench_send(&bench, STR_LITERAL("GET /hold HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    http_exchange_begin(bench.held[0], 200, NULL);
    http_exchange_write(bench.held[0], STR_LITERAL("hello"));
    http_exchange_finish(bench.held[0]);
    bench_settle(&bench);
    assert_answers(&bench, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello");
    assert_true(bench.is_ended);
    bench_done(&bench);
}

TEST_CASE(a_streamed_answer_of_known_length_says_it)
{
    struct bench bench;
    bench_init(&bench, NULL);
    bench_send(&bench, STR_LITERAL("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    http_exchange_begin_sized(bench.held[0], 206, NULL, 5);
    http_exchange_write(bench.held[0], STR_LITERAL("one"));
    bench_settle(&bench);
    http_exchange_write(bench.held[0], STR_LITERAL("23"));
    http_exchange_finish(bench.held[0]);
    bench_settle(&bench);
    assert_answers(&bench, "HTTP/1.1 206 Partial Content\r\ncontent-length: 5\r\n\r\none23");
    assert_false(bench.is_ended);
    bench_done(&bench);
}

TEST_CASE(who_connected_to_a_unix_socket_is_known)
{
    struct bench bench;
    bench_init(&bench, NULL);
    bench_send(&bench, STR_LITERAL("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    const struct http_request *request = http_exchange_request(bench.held[0]);
    assert_true(request->has_peer_uid);
    assert_int_equal(request->peer_uid, geteuid());
    bench_done(&bench);
}

TEST_CASE(answers_without_a_body_have_none)
{
    static const struct {
        const char *method;
        unsigned status;
        bool is_streamed;
        const char *wanted;
    } cases[] = {
        {"GET", 204, false, "HTTP/1.1 204 No Content\r\n\r\n"},
        {"GET", 304, true, "HTTP/1.1 304 Not Modified\r\n\r\n"},
        {"HEAD", 200, true, "HTTP/1.1 200 OK\r\n\r\n"},
        {"HEAD", 200, false, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"},
        {"GET", 200, false, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nxy"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bench bench;
        bench_init(&bench, NULL);
        AUTO(free) char *request = xasprintf("%s /hold HTTP/1.1\r\n" HOST "\r\n", cases[i].method);
        bench_send(&bench, str_from(request));
        if (cases[i].is_streamed) {
            http_exchange_begin(bench.held[0], cases[i].status, NULL);
            http_exchange_write(bench.held[0], STR_LITERAL("xy"));
            http_exchange_finish(bench.held[0]);
        } else {
            http_exchange_reply(bench.held[0], cases[i].status, NULL, STR_LITERAL("xy"));
        }
        bench_settle(&bench);
        assert_answers(&bench, cases[i].wanted);
        bench_done(&bench);
    }
}

TEST_CASE(a_client_that_goes_away_is_told_of)
{
    struct bench bench;
    bench_init(&bench, NULL);
    bench_send(&bench, STR_LITERAL("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    http_exchange_begin(bench.held[0], 200, NULL);
    bench_settle(&bench);
    assert_int_equal(bench.gone, 0);
    fd_close(&bench.fd);
    bench_settle(&bench);
    assert_int_equal(bench.gone, 1);
    assert_int_equal(http_server_connection_count(bench.server), 0);
    bench_done(&bench);
}

struct ends {
    size_t count;
    unsigned status;
};

static void on_end(void *ctx, unsigned status)
{
    struct ends *ends = ctx;
    ends->count++;
    ends->status = status;
}

TEST_CASE(an_end_is_told_once_with_what_was_answered)
{
    enum way { REPLIED, BROKEN_OFF, TAKEN, GONE };
    static const struct {
        enum way way;
        unsigned status;
    } rows[] = {{REPLIED, 404}, {BROKEN_OFF, 200}, {TAKEN, 101}, {GONE, 0}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct bench bench;
        bench_init(&bench, NULL);
        bench_send(&bench, STR_LITERAL("GET /hold HTTP/1.1\r\n" HOST "Connection: Upgrade\r\n"
                                       "Upgrade: x\r\n\r\n"));
        struct http_exchange *exchange = bench.held[0];
        struct ends ends = {0};
        http_exchange_on_end(exchange, on_end, &ends);
        AUTO(byte_stream) struct byte_stream *stream = NULL;
        AUTO(arena) struct arena *arena = NULL;
        struct str early = {0};
        switch (rows[i].way) {
        case REPLIED:
            http_exchange_reply(exchange, 404, NULL, STR_LITERAL("no"));
            break;
        case BROKEN_OFF:
            http_exchange_begin(exchange, 200, NULL);
            http_exchange_abort(exchange);
            break;
        case TAKEN: /* as long as there is a connection */
            assert_no_error(http_exchange_take(exchange, &stream, &early, &arena));
            bench_settle(&bench);
            assert_int_equal(ends.count, 0);
            byte_stream_free(TAKE(stream));
            break;
        case GONE:
            fd_close(&bench.fd);
            break;
        }
        bench_settle(&bench);
        assert_int_equal(ends.count, 1);
        assert_int_equal(ends.status, rows[i].status);
        bench_done(&bench);
    }
}

TEST_CASE(who_asks_and_ends_is_answered_at_once_or_not)
{
    struct bench bench;
    bench_init(&bench, NULL);
    static const char input[] = "GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n";
    assert_int_equal(send(bench.fd, input, sizeof(input) - 1, MSG_NOSIGNAL), sizeof(input) - 1);
    assert_int_equal(shutdown(bench.fd, SHUT_WR), 0);
    bench_settle(&bench);
    assert_has(&bench, "GET /1 []");
    assert_has(&bench, "GET /2 []");
    assert_true(bench.is_ended);
    assert_int_equal(bench.gone, 0);
    bench_done(&bench);
}

/* The end is seen while the first answer is on its way; nobody answers the second request. */
TEST_CASE(who_has_ended_is_not_waited_for)
{
    struct bench bench;
    bench_init(&bench, NULL);
    bench_send(&bench,
               STR_LITERAL("GET /hold HTTP/1.1\r\n" HOST "\r\nGET /hold HTTP/1.1\r\n" HOST "\r\n"));
    AUTO(free) char *bytes = xcalloc(1, MiB);
    http_exchange_reply(bench.held[0], 200, NULL, (struct str){.ptr = bytes, .len = MiB});
    assert_int_equal(shutdown(bench.fd, SHUT_WR), 0);
    for (int i = 0; i < 4; i++)
        loop_turn(bench.loop, 0);
    assert_int_equal(bench.held_count, 1);
    bench_settle(&bench);
    assert_true(bench.got.len > MiB);
    assert_int_equal(bench.held_count, 2);
    assert_int_equal(bench.gone, 1);
    assert_int_equal(http_server_connection_count(bench.server), 0);
    bench_done(&bench);
}

TEST_CASE(an_abort_after_the_beginning_breaks_the_connection)
{
    struct bench bench;
    bench_init(&bench, NULL);
    bench_send(&bench, STR_LITERAL("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    http_exchange_begin(bench.held[0], 200, NULL);
    http_exchange_write(bench.held[0], STR_LITERAL("hello"));
    bench_settle(&bench);
    http_exchange_abort(bench.held[0]);
    bench_settle(&bench);
    assert_true(bench.is_ended);
    assert_null(strstr(buf_text(&bench.got), "0\r\n\r\n"));
    assert_int_equal(bench.gone, 0);
    bench_done(&bench);
}

/* --- taking over --- */

TEST_CASE(a_connection_may_be_taken_over_with_what_came_early)
{
    for (int is_late = 0; is_late < 2; is_late++) {
        struct bench bench;
        bench_init(&bench, NULL);
        bench_send(
            &bench,
            STR_LITERAL("POST /hold HTTP/1.1\r\n" HOST
                        "Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 0\r\n\r\nGET "));
        if (is_late)
            bench_send(&bench, STR_LITERAL("/more"));
        assert_true(http_exchange_request(bench.held[0])->is_upgrade);
        struct ends ends = {0};
        if (is_late) /* then it is another stream */
            http_exchange_on_end(bench.held[0], on_end, &ends);
        AUTO(byte_stream) struct byte_stream *stream = NULL;
        AUTO(arena) struct arena *arena = NULL;
        struct str early = {0};
        assert_no_error(http_exchange_take(bench.held[0], &stream, &early, &arena));
        assert_true(str_eq_c(early, is_late ? "GET /more" : "GET "));
        assert_int_equal(http_server_connection_count(bench.server), 0);
        bench_settle(&bench);
        assert_false(bench.is_ended);

        size_t written = 0, len = 0;
        bool is_end = false;
        char bytes[8];
        assert_no_error(stream->vtable->write(stream, "raw", 3, &written));
        bench_send(&bench, STR_LITERAL("back"));
        assert_true(str_eq_c(buf_str(&bench.got), "raw"));
        assert_no_error(stream->vtable->read(stream, bytes, sizeof(bytes), &len, &is_end));
        assert_int_equal(len, 4);
        assert_true(stream->vtable->end(stream));
        bench_settle(&bench);
        assert_true(bench.is_ended);
        bench_send(&bench, STR_LITERAL("late"));
        assert_no_error(stream->vtable->read(stream, bytes, sizeof(bytes), &len, &is_end));
        assert_int_equal(len, 4);
        assert_int_equal(bench.gone, 0);
        byte_stream_free(TAKE(stream));
        bench_done(&bench);
    }
}

TEST_CASE(an_upgrade_may_be_refused_and_the_connection_goes_on)
{
    struct bench bench;
    bench_init(&bench, NULL);
    bench_send(&bench, STR_LITERAL("GET /hold HTTP/1.1\r\n" HOST
                                   "Connection: Upgrade\r\nUpgrade: x\r\n\r\nGET /a HTTP/1.1\r\n"));
    http_exchange_reply(bench.held[0], 403, NULL, STR_LITERAL("no"));
    struct byte_stream *stream = NULL;
    struct arena *arena = NULL;
    struct str early = {0};
    assert_error_code(http_exchange_take(bench.held[0], &stream, &early, &arena),
                      ERROR_INVALID_ARGUMENT);
    bench_send(&bench, STR_LITERAL(HOST "\r\n"));
    assert_has(&bench, "403 Forbidden");
    assert_has(&bench, "GET /a []");
    bench_done(&bench);
}

/* --- back-pressure --- */

#define PIECE_BYTES (64 * KiB)
#define LIMIT_BYTES (256 * KiB)
#define WHOLE_BYTES (8 * MiB)

struct producer {
    struct http_exchange *exchange;
    size_t produced, most;
    int runs;
};

static void produce(void *ctx)
{
    struct producer *producer = ctx;
    AUTO(free) char *piece = xcalloc(1, PIECE_BYTES);
    producer->runs++;
    while (producer->produced < WHOLE_BYTES &&
           http_exchange_backlog(producer->exchange) + PIECE_BYTES <= LIMIT_BYTES) {
        http_exchange_write(producer->exchange, (struct str){.ptr = piece, .len = PIECE_BYTES});
        producer->produced += PIECE_BYTES;
        size_t backlog = http_exchange_backlog(producer->exchange);
        producer->most = backlog > producer->most ? backlog : producer->most;
    }
    if (producer->produced >= WHOLE_BYTES && producer->exchange)
        http_exchange_finish(TAKE(producer->exchange));
}

TEST_CASE(a_producer_is_told_when_there_is_room_again)
{
    struct bench bench;
    bench_init(&bench, NULL);
    bench_send(&bench, STR_LITERAL("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    struct producer producer = {.exchange = bench.held[0]};
    http_exchange_begin(bench.held[0], 200, NULL);
    http_exchange_on_drain(bench.held[0], LIMIT_BYTES, produce, &producer);
    produce(&producer);
    for (int i = 0; i < 20; i++)
        loop_turn(bench.loop, 0);
    assert_true(producer.produced < WHOLE_BYTES); /* the client has not read yet */
    int runs = producer.runs;
    for (int i = 0; i < 20; i++)
        loop_turn(bench.loop, 0);
    assert_int_equal(producer.runs, runs);
    bench_settle(&bench);
    assert_null(producer.exchange);
    assert_true(producer.most <= LIMIT_BYTES);
    assert_true(bench.got.len > WHOLE_BYTES);
    assert_true(str_has_suffix(buf_str(&bench.got), "\r\n0\r\n\r\n"));
    bench_done(&bench);
}

TEST_CASE(who_sends_much_and_reads_nothing_is_not_read_either)
{
    struct bench bench;
    bench_init(&bench, NULL);
    AUTO(buf) struct buf many;
    buf_init(&many, 8 * MiB);
    while (many.len < 4 * MiB)
        buf_add_text(&many, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    struct str rest = buf_str(&many);
    for (int quiet = 0; quiet < 4; quiet++) {
        ssize_t sent = send(bench.fd, rest.ptr, rest.len, MSG_NOSIGNAL);
        if (sent > 0)
            rest = (struct str){.ptr = rest.ptr + sent, .len = rest.len - (size_t)sent};
        quiet = sent > 0 ? 0 : quiet;
        loop_turn(bench.loop, 0);
    }
    assert_true(rest.len > 2 * MiB);
    assert_int_equal(bench.held_count, 1);
    assert_true(bench.server->conns->h1.early.len < 128 * KiB);
    bench_done(&bench);
}

/* --- time --- */

#define SHORT_NS (2 * NS_PER_MS)
/* Long enough for a request to be read on a busy machine, short enough to be waited for. */
#define WATCH_NS (50 * NS_PER_MS)

TEST_CASE(slow_clients_are_cut_off)
{
    static const struct {
        const char *name, *input, *wanted;
        struct http_server_options options;
    } cases[] = {
        {"says nothing", "", NULL, {.header_timeout_ns = SHORT_NS}},
        {"half the preface", "PRI * HT", NULL, {.header_timeout_ns = SHORT_NS}},
        {"half a head", "GET / HT", "HTTP/1.1 408 ", {.header_timeout_ns = SHORT_NS}},
        {"half a body",
         "POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nx",
         "HTTP/1.1 408 ",
         {.body_timeout_ns = SHORT_NS}},
        {"idle", "GET / HTTP/1.1\r\n" HOST "\r\n", ECHO_HEAD, {.idle_timeout_ns = SHORT_NS}},
        {"half the second head",
         "GET / HTTP/1.1\r\n" HOST "\r\nGET /",
         "HTTP/1.1 408 ",
         {.header_timeout_ns = 100 * NS_PER_MS}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        print_message("%s\n", cases[i].name);
        struct bench bench;
        bench_init(&bench, &cases[i].options);
        bench_send(&bench, str_from(cases[i].input));
        bench_wait_end(&bench);
        AUTO(free) char *got = answers(&bench);
        if (cases[i].wanted)
            assert_non_null(strstr(got, cases[i].wanted));
        else
            assert_string_equal(got, "");
        assert_int_equal(http_server_connection_count(bench.server), 0);
        bench_done(&bench);
    }
}

TEST_CASE(a_watch_with_nothing_to_say_is_left_alone)
{
    static const struct http_server_options options = {.header_timeout_ns = WATCH_NS,
                                                       .body_timeout_ns = WATCH_NS,
                                                       .idle_timeout_ns = WATCH_NS,
                                                       .write_timeout_ns = WATCH_NS};
    struct bench bench;
    bench_init(&bench, &options);
    bench_send(&bench, STR_LITERAL("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    http_exchange_begin(bench.held[0], 200, NULL);
    for (int i = 0; i < 5; i++)
        loop_turn(bench.loop, WATCH_NS);
    (void)bench_read(&bench);
    assert_false(bench.is_ended);
    assert_int_equal(bench.gone, 0);
    bench_done(&bench);
}

TEST_CASE(a_client_that_does_not_read_is_cut_off)
{
    static const struct http_server_options options = {.write_timeout_ns = 20 * NS_PER_MS};
    struct bench bench;
    bench_init(&bench, &options);
    bench_send(&bench, STR_LITERAL("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    AUTO(free) char *bytes = xcalloc(1, WHOLE_BYTES);
    http_exchange_begin(bench.held[0], 200, NULL);
    http_exchange_write(bench.held[0], (struct str){.ptr = bytes, .len = WHOLE_BYTES});
    for (int i = 0; i < 500 && bench.gone == 0; i++)
        loop_turn(bench.loop, 10 * NS_PER_MS);
    assert_int_equal(bench.gone, 1);
    assert_int_equal(http_server_connection_count(bench.server), 0);
    bench_done(&bench);
}

TEST_CASE(an_exchange_may_have_more_patience_with_its_client)
{
    static const struct http_server_options options = {.write_timeout_ns = 20 * NS_PER_MS};
    struct bench bench;
    bench_init(&bench, &options);
    bench_send(&bench, STR_LITERAL("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    AUTO(free) char *bytes = xcalloc(1, WHOLE_BYTES);
    http_exchange_set_patience(bench.held[0], INT64_MAX);
    http_exchange_begin(bench.held[0], 200, NULL);
    http_exchange_write(bench.held[0], (struct str){.ptr = bytes, .len = WHOLE_BYTES});
    for (int i = 0; i < 6; i++)
        loop_turn(bench.loop, 10 * NS_PER_MS);
    assert_int_equal(bench.gone, 0);
    http_exchange_finish(bench.held[0]);
    bench_settle(&bench);
    /* The next answer has the server's again. */
    bench_send(&bench, STR_LITERAL("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    http_exchange_begin(bench.held[1], 200, NULL);
    http_exchange_write(bench.held[1], (struct str){.ptr = bytes, .len = WHOLE_BYTES});
    for (int i = 0; i < 500 && bench.gone == 0; i++)
        loop_turn(bench.loop, 10 * NS_PER_MS);
    assert_int_equal(bench.gone, 1);
    bench_done(&bench);
}

/* --- the server --- */

static bool is_closed(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK) == 0;
}

TEST_CASE(there_is_room_for_so_many_connections)
{
    static const struct http_server_options options = {.max_connections = 2};
    struct bench bench;
    bench_init(&bench, &options);
    AUTO(fd) int first = bench.fd;
    bench_send(&bench, STR_LITERAL("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    AUTO(fd) int second = bench.fd = bench_connect(&bench);
    bench_send(&bench, STR_LITERAL("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    assert_int_equal(bench.held_count, 2);

    /* Both are needed. */
    AUTO(fd) int third = bench_connect(&bench);
    assert_true(is_closed(third));
    assert_int_equal(http_server_connection_count(bench.server), 2);

    /* Those that are not make room, the oldest first: an idle one, one that says nothing, and one
     * that says little. */
    http_exchange_reply(bench.held[1], 200, NULL, STR_LITERAL(""));
    bench_settle(&bench);
    AUTO(fd) int fourth = bench_connect(&bench);
    loop_turn(bench.loop, 0);
    assert_true(is_closed(second) && !is_closed(fourth));
    AUTO(fd) int fifth = bench.fd = bench_connect(&bench);
    loop_turn(bench.loop, 0);
    assert_true(is_closed(fourth) && !is_closed(fifth));
    bench_send(&bench, STR_LITERAL("GET / HTTP/1.1\r\n"));
    AUTO(fd) int sixth = bench_connect(&bench);
    loop_turn(bench.loop, 0);
    assert_true(is_closed(fifth) && !is_closed(sixth) && !is_closed(first));
    assert_int_equal(http_server_connection_count(bench.server), 2);
    assert_int_equal(bench.gone, 0);
    bench.fd = -1;
    bench_done(&bench);
}

TEST_CASE(large_bodies_share_a_budget)
{
    static const struct http_server_options options = {.max_body_bytes = 1000};
    struct bench bench;
    bench_init(&bench, &options);
    AUTO(free) char *body = xcalloc(1, 1000);
    int fds[30];
    size_t refused = 0;
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = bench.fd;
        bench_send(&bench,
                   STR_LITERAL("POST /hold HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n"));
        bench_send(&bench, (struct str){.ptr = body, .len = 1000});
        refused += strstr(buf_text(&bench.got), "HTTP/1.1 503 ") != NULL;
        buf_clear(&bench.got);
        bench.fd = bench_connect(&bench);
    }
    assert_int_equal(refused, ARRAY_SIZE(fds) - 24);
    assert_int_equal(bench.held_count, 24);
    assert_int_equal(bench.server->request_bytes, 24 * 1000);
    for (size_t i = 0; i < bench.held_count; i++)
        http_exchange_reply(bench.held[i], 200, NULL, STR_LITERAL(""));
    assert_int_equal(bench.server->request_bytes, 0);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fd_close(&fds[i]);
    bench_done(&bench);
}

/* Four bytes of the wire each, but a good deal more once taken apart. */
TEST_CASE(large_heads_share_the_budget_too)
{
    static const struct http_server_options options = {.max_body_bytes = 1000};
    struct bench bench;
    bench_init(&bench, &options);
    AUTO(buf) struct buf head;
    buf_init(&head, MiB);
    buf_add_text(&head, "GET /hold HTTP/1.1\r\n" HOST);
    for (size_t i = 0; i < 500; i++)
        buf_add_text(&head, "a:\r\n");
    buf_add_text(&head, "\r\n");
    int fds[5];
    size_t refused = 0;
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = bench.fd;
        bench_send(&bench, buf_str(&head));
        refused += strstr(buf_text(&bench.got), "HTTP/1.1 503 ") != NULL;
        buf_clear(&bench.got);
        bench.fd = bench_connect(&bench);
    }
    assert_int_equal(bench.held_count + refused, 5);
    assert_true(bench.held_count >= 1 && refused >= 1);
    assert_true(bench.server->request_bytes <= http_server_request_budget(bench.server));
    /* Who asks for little is served all the same. */
    bench_send(&bench, STR_LITERAL("GET /a HTTP/1.1\r\n" HOST "\r\n"));
    assert_has(&bench, "GET /a []");
    for (size_t i = 0; i < bench.held_count; i++)
        http_exchange_reply(bench.held[i], 200, NULL, STR_LITERAL(""));
    assert_int_equal(bench.server->request_bytes, 0);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fd_close(&fds[i]);
    bench_done(&bench);
}

TEST_CASE(draining_lets_what_is_under_way_end)
{
    struct bench bench;
    bench_init(&bench, NULL);
    AUTO(fd) int idle = bench_connect(&bench);
    bench_send(&bench, STR_LITERAL("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    http_server_drain(bench.server);
    bench_settle(&bench);
    char byte;
    assert_int_equal(recv(idle, &byte, 1, 0), 0);
    assert_int_equal(http_server_connection_count(bench.server), 1);
    AUTO(fd) int late = bench_connect(&bench);
    assert_int_equal(recv(late, &byte, 1, 0), 0);
    http_exchange_reply(bench.held[0], 200, NULL, STR_LITERAL("last"));
    bench_settle(&bench);
    assert_answers(&bench, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nlast");
    assert_true(bench.is_ended);
    assert_int_equal(http_server_connection_count(bench.server), 0);
    bench_done(&bench);
}

static void free_the_server(void *ctx)
{
    struct bench *bench = ctx;
    bench->gone++;
    http_server_free(TAKE(bench->server));
}

TEST_CASE(the_server_may_be_freed_when_a_client_is_gone)
{
    struct bench bench;
    bench_init(&bench, NULL);
    AUTO(fd) int other = bench.fd;
    bench_send(&bench, STR_LITERAL("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    bench.fd = bench_connect(&bench);
    bench_send(&bench, STR_LITERAL("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    http_exchange_on_gone(bench.held[1], free_the_server, &bench);
    fd_close(&bench.fd);
    bench_settle(&bench);
    assert_int_equal(bench.gone, 1); /* the other one went in silence */
    assert_null(bench.server);
    bench_done(&bench);
}

TEST_CASE(addresses_to_listen_at_are_checked)
{
    static const struct {
        const char *address, *message;
    } cases[] = {
        {"127.0.0.1", "listen tcp 127.0.0.1: no port in the address"},
        {"127.0.0.1:", "listen tcp 127.0.0.1:: no port in the address"},
        {"127.0.0.1:65536", "listen tcp 127.0.0.1:65536: no port in the address"},
        {"localhost:80", "listen tcp localhost:80: the host is no IP address"},
        {"::1:80", "listen tcp ::1:80: the host is no IP address"},
        {"[127.0.0.1]:80", "listen tcp [127.0.0.1]:80: the host is no IP address"},
        {"192.0.2.1:10250", "listen tcp 192.0.2.1:10250: bind: cannot assign requested address"},
    };
    struct bench bench;
    bench_init(&bench, NULL);
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *bound = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_error_message(
            http_server_listen(bench.server, cases[i].address, NULL, arena, &bound),
            cases[i].message);
    bench_done(&bench);
}

TEST_MAIN(TEST(raw_requests_have_raw_answers), TEST(bad_requests_are_answered_and_cut_off),
          TEST(streamed_answers_come_in_chunks),
          TEST(a_streamed_answer_without_chunks_ends_with_the_connection),
          TEST(answers_without_a_body_have_none), TEST(a_streamed_answer_of_known_length_says_it),
          TEST(who_connected_to_a_unix_socket_is_known),
          TEST(an_exchange_may_have_more_patience_with_its_client),
          TEST(a_client_that_goes_away_is_told_of),
          TEST(an_end_is_told_once_with_what_was_answered),
          TEST(who_asks_and_ends_is_answered_at_once_or_not),
          TEST(an_abort_after_the_beginning_breaks_the_connection),
          TEST(a_connection_may_be_taken_over_with_what_came_early),
          TEST(an_upgrade_may_be_refused_and_the_connection_goes_on),
          TEST(a_producer_is_told_when_there_is_room_again),
          TEST(who_sends_much_and_reads_nothing_is_not_read_either), TEST(slow_clients_are_cut_off),
          TEST(a_watch_with_nothing_to_say_is_left_alone),
          TEST(a_client_that_does_not_read_is_cut_off), TEST(there_is_room_for_so_many_connections),
          TEST(large_bodies_share_a_budget), TEST(large_heads_share_the_budget_too),
          TEST(who_has_ended_is_not_waited_for), TEST(draining_lets_what_is_under_way_end),
          TEST(the_server_may_be_freed_when_a_client_is_gone),
          TEST(addresses_to_listen_at_are_checked))
