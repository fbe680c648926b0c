/* The client against a server that is a script: plain sockets at 127.0.0.1, and every byte by hand.
 */
#include "wire/http_client.h"

#include "base/fd.h"
#include "tests/lib/http_calls.h"
#include "tests/lib/loopback.h"

#include <errno.h>

#define SHORT_NS (20 * NS_PER_MS)
#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

struct bed {
    struct http_bench bench;
    int listener;
    uint16_t port;
};

static void bed_init_limited(struct bed *bed, size_t max_connections)
{
    *bed = (struct bed){0};
    bed->listener = loopback_listen(16, &bed->port);
    http_bench_init(&bed->bench,
                    &(struct http_client_options){.host = "127.0.0.1",
                                                  .port = bed->port,
                                                  .max_http1_connections = max_connections});
}

static void bed_init(struct bed *bed)
{
    bed_init_limited(bed, 0);
}

static void auto_release_bed(struct bed *bed)
{
    if (bed->bench.loop)
        http_bench_done(&bed->bench);
    fd_close(&bed->listener);
}

/* --- the server's part --- */

static int serve_accept(struct bed *bed)
{
    int fd = -1;
    TURN_UNTIL(&bed->bench, (fd = loopback_accept(bed->listener)) >= 0);
    return fd;
}

/* Reads until there is a whole head; returns it, with what came behind it. */
static char *serve_read_head(struct bed *bed, int fd)
{
    struct buf all;
    buf_init(&all, 16 * MiB);
    while (!strstr(buf_text(&all), "\r\n\r\n")) {
        char bytes[4096];
        ssize_t len = read(fd, bytes, sizeof(bytes));
        if (len > 0) {
            buf_add(&all, bytes, (size_t)len);
            continue;
        }
        if (len == 0)
            fail_msg("the client has closed");
        loop_turn(bed->bench.loop, HTTP_BENCH_WAIT_NS);
    }
    return buf_take(&all);
}

static void serve_skip_head(struct bed *bed, int fd)
{
    free(serve_read_head(bed, fd));
}

/* The client may have gone: that is its right. */
static void serve_write_pieces(struct bed *bed, int fd, struct str text, size_t piece)
{
    for (size_t at = 0; at < text.len;) {
        ssize_t sent = send(fd, text.ptr + at, min_size(piece, text.len - at), MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return;
        if (sent < 0)
            loop_turn(bed->bench.loop, HTTP_BENCH_WAIT_NS);
        at += sent > 0 ? (size_t)sent : 0;
        if (piece < text.len)
            loop_turn(bed->bench.loop, 0);
    }
}

static void serve_write(struct bed *bed, int fd, const char *text)
{
    serve_write_pieces(bed, fd, str_from(text), SIZE_MAX);
}

static bool is_closed_by_client(int fd)
{
    char byte;
    ssize_t len = recv(fd, &byte, 1, MSG_DONTWAIT);
    return len == 0 || (len < 0 && errno == ECONNRESET);
}

/* --- requests and responses --- */

TEST_CASE(a_connection_is_kept_for_the_next_call)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    AUTO(http_record) struct http_record first = {0}, second = {0};
    const struct http_field fields[] = {{"accept", "application/json"}, {"x-a", "b"}};
    http_bench_start_with(
        &bed.bench, &first,
        &(struct http_call_options){.method = "POST",
                                    .target = "/api?x=1",
                                    .fields = {.items = fields, .count = ARRAY_SIZE(fields)},
                                    .body = STR_LITERAL("{}")});
    AUTO(fd) int fd = serve_accept(&bed);
    AUTO(free) char *head = serve_read_head(&bed, fd);
    AUTO(free)
    char *want = xasprintf("POST /api?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                           "accept: application/json\r\nx-a: b\r\nContent-Length: 2\r\n\r\n{}",
                           bed.port);
    assert_string_equal(head, want);
    serve_write(&bed, fd, "HTTP/1.1 201 Created\r\nX-Test: yes\r\nContent-Length: 5\r\n\r\nhello");
    TURN_UNTIL(&bed.bench, first.ends == 1);
    assert_null(first.error);
    assert_int_equal(first.status, 201);
    assert_string_equal(first.field, "yes");
    assert_string_equal(buf_text(&first.data), "hello");
    assert_int_equal(http_client_connection_count(bed.bench.client), 1);

    http_bench_start(&bed.bench, &second, "GET", "/");
    AUTO(free) char *get = serve_read_head(&bed, fd);
    AUTO(free) char *want_get = xasprintf("GET / HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", bed.port);
    assert_string_equal(get, want_get);
    serve_write(&bed, fd, OK_EMPTY);
    TURN_UNTIL(&bed.bench, second.ends == 1);
    assert_null(second.error);
    assert_int_equal(http_client_connects(bed.bench.client), 1);
}

struct response_row {
    const char *name, *method, *bytes;
    bool is_closed; /* behind the bytes */
    unsigned status;
    const char *body;
    const char *error; /* its end; NULL: complete */
    bool is_kept;      /* the connection */
};

static const struct response_row response_rows[] = {
    {"length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", false, 200, "abc", NULL,
     true},
    {"chunks", "GET",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\nT: "
     "v\r\n\r\n",
     false, 200, "abc", NULL, true},
    {"until close", "GET", "HTTP/1.1 200 OK\r\n\r\nabc", true, 200, "abc", NULL, false},
    {"until close, empty", "GET", "HTTP/1.1 200 OK\r\n\r\n", true, 200, "", NULL, false},
    {"no content", "GET", "HTTP/1.1 204 No Content\r\n\r\n", false, 204, "", NULL, true},
    {"not modified", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, 304,
     "", NULL, true},
    {"head", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", false, 200, "", NULL, true},
    {"informational ones first", "GET",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 "
     "OK\r\nContent-Length: 1\r\n\r\nx",
     false, 200, "x", NULL, true},
    {"will close", "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
     false, 200, "x", NULL, false},
    {"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", false, 200, "x", NULL,
     false},
    {"something behind", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1", false, 200,
     "x", NULL, false},
    {"an error is a response", "GET", "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", false, 503,
     "", NULL, true},
    {"cut length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", true, 200, "abc",
     ": unexpected EOF", false},
    {"cut chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", true, 200,
     "ab", ": unexpected EOF", false},
    {"no last chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
     true, 200, "a", ": unexpected EOF", false},
    {"cut head", "GET", "HTTP/1.1 200 OK\r\nContent-Len", true, 0, "", ": unexpected EOF", false},
    {"nothing", "GET", "", true, 0, "", ": EOF", false},
    {"only informational", "GET", "HTTP/1.1 100 Continue\r\n\r\n", true, 0, "", ": EOF", false},
    {"no HTTP", "GET", "SSH-2.0-x\r\n", false, 0, "", NULL, false},
    {"another protocol", "GET",
     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", false, 0, "",
     ": unexpected response: 101 Switching Protocols", false},
    {"two lengths", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
     false, 0, "", NULL, false},
    {"bad chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false, 200,
     "", NULL, false},
};

static void check_response(const struct response_row *row, size_t piece)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    AUTO(http_record) struct http_record record = {0};
    http_bench_start(&bed.bench, &record, row->method, "/x");
    AUTO(fd) int fd = serve_accept(&bed);
    serve_skip_head(&bed, fd);
    serve_write_pieces(&bed, fd, str_from(row->bytes), piece);
    if (row->is_closed)
        fd_close(&fd);
    TURN_UNTIL(&bed.bench, record.ends == 1);
    http_bench_settle(&bed.bench);
    bool is_malformed = row->status == 0 || text_eq(row->name, "bad chunk");
    if ((record.error == NULL) != (!row->error && !is_malformed) ||
        (row->error && !text_has_suffix(record.error, row->error)))
        fail_msg("%s: %s", row->name, record.error ? record.error : "complete");
    if (record.error) {
        AUTO(free) char *begin = xasprintf("Get \"http://127.0.0.1:%u/x\": ", bed.port);
        assert_true(text_has_prefix(record.error, begin));
        assert_int_equal(record.code, ERROR_UNAVAILABLE);
        assert_false(record.is_unsent);
    }
    assert_int_equal(record.responses, row->status != 0);
    assert_int_equal(record.status, row->status);
    if (!text_eq(buf_text(&record.data), row->body))
        fail_msg("%s: %s", row->name, buf_text(&record.data));
    /* In pieces, what comes behind a response meets a connection that is idle already. */
    assert_int_equal(http_client_connection_count(bed.bench.client), row->is_kept);
}

TEST_CASE(responses_of_every_shape_are_read_however_they_are_cut)
{
    for (size_t i = 0; i < ARRAY_SIZE(response_rows); i++) {
        check_response(&response_rows[i], SIZE_MAX);
        check_response(&response_rows[i], 1);
        check_response(&response_rows[i], 7);
    }
}

TEST_CASE(a_cut_at_every_byte_ends_the_call_once)
{
    static const char whole[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-Test: "
                                "1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for (size_t cut = 0; cut < sizeof(whole); cut++) {
        AUTO(bed) struct bed bed;
        bed_init(&bed);
        AUTO(http_record) struct http_record record = {0};
        http_bench_start(&bed.bench, &record, "GET", "/");
        int fd = serve_accept(&bed);
        serve_skip_head(&bed, fd);
        serve_write_pieces(&bed, fd, (struct str){.ptr = whole, .len = cut}, SIZE_MAX);
        fd_close(&fd);
        TURN_UNTIL(&bed.bench, record.ends == 1);
        assert_int_equal(record.error == NULL, cut == sizeof(whole) - 1);
        if (record.error && !text_has_suffix(record.error, "EOF"))
            fail_msg("after %zu bytes: %s", cut, record.error);
        http_bench_settle(&bed.bench);
        assert_int_equal(record.ends, 1);
    }
}

TEST_CASE(a_head_beyond_the_cap_is_an_error)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    AUTO(http_record) struct http_record record = {0};
    http_bench_start(&bed.bench, &record, "GET", "/");
    AUTO(fd) int fd = serve_accept(&bed);
    serve_skip_head(&bed, fd);
    serve_write(&bed, fd, "HTTP/1.1 200 OK\r\n");
    for (size_t i = 0; i < 100000 && record.ends == 0; i++) {
        serve_write(&bed, fd, "X-Filler: 0123456789012345678901234567890123456789\r\n");
        loop_turn(bed.bench.loop, 0);
    }
    TURN_UNTIL(&bed.bench, record.ends == 1);
    assert_non_null(strstr(record.error, "the header fields are too large"));
}

/* --- connections --- */

TEST_CASE(a_connection_that_the_server_closed_is_not_used)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    AUTO(http_record) struct http_record first = {0}, second = {0};
    http_bench_start(&bed.bench, &first, "GET", "/");
    int fd = serve_accept(&bed);
    serve_skip_head(&bed, fd);
    serve_write(&bed, fd, OK_EMPTY);
    TURN_UNTIL(&bed.bench, first.ends == 1);
    fd_close(&fd);
    http_bench_start(&bed.bench, &second, "GET", "/"); /* before the loop has seen the end */
    fd = serve_accept(&bed);
    serve_skip_head(&bed, fd);
    serve_write(&bed, fd, OK_EMPTY);
    TURN_UNTIL(&bed.bench, second.ends == 1);
    assert_null(second.error);
    assert_int_equal(http_client_connects(bed.bench.client), 2);
    fd_close(&fd);
    TURN_UNTIL(&bed.bench, http_client_connection_count(bed.bench.client) == 0);
}

TEST_CASE(calls_beyond_the_limit_wait_for_a_connection)
{
    AUTO(bed) struct bed bed;
    bed_init_limited(&bed, 2);
    struct http_record records[5] = {0};
    for (size_t i = 0; i < ARRAY_SIZE(records); i++)
        http_bench_start(&bed.bench, &records[i], "GET", "/");
    int fds[2] = {serve_accept(&bed), serve_accept(&bed)};
    http_bench_settle(&bed.bench);
    assert_int_equal(loopback_accept(bed.listener), -1);
    for (size_t i = 0, served = 0; served < ARRAY_SIZE(records); i++) {
        char byte;
        if (recv(fds[i % 2], &byte, 1, MSG_PEEK) == 1) {
            serve_skip_head(&bed, fds[i % 2]);
            serve_write(&bed, fds[i % 2], OK_EMPTY);
            served++;
        }
        loop_turn(bed.bench.loop, 0);
        assert_true(i < HTTP_BENCH_MAX_TURNS);
    }
    for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
        TURN_UNTIL(&bed.bench, records[i].ends == 1);
        assert_null(records[i].error);
        http_record_done(&records[i]);
    }
    assert_int_equal(http_client_connects(bed.bench.client), 2);
    fd_close(&fds[0]);
    fd_close(&fds[1]);
}

TEST_CASE(a_refused_connection_says_that_nothing_was_sent)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    fd_close(&bed.listener);
    struct http_record records[3] = {0};
    for (size_t i = 0; i < ARRAY_SIZE(records); i++)
        http_bench_start(&bed.bench, &records[i], "DELETE", "/a");
    AUTO(free)
    char *want = xasprintf("Delete \"http://127.0.0.1:%u/a\": dial tcp 127.0.0.1:%u: connect: "
                           "connection refused",
                           bed.port, bed.port);
    for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
        TURN_UNTIL(&bed.bench, records[i].ends == 1);
        assert_string_equal(records[i].error, want);
        assert_int_equal(records[i].code, ERROR_UNAVAILABLE);
        assert_true(records[i].is_unsent);
        http_record_done(&records[i]);
    }
}

TEST_CASE(a_call_may_be_made_again_from_its_end)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    fd_close(&bed.listener);
    AUTO(http_record) struct http_record record = {.restart_on = HTTP_ON_END};
    http_bench_start(&bed.bench, &record, "GET", "/");
    TURN_UNTIL(&bed.bench, record.ends == 2);
    http_bench_settle(&bed.bench);
    assert_int_equal(record.ends, 2);
}

TEST_CASE(a_reset_lets_calls_finish_and_begins_anew)
{
    AUTO(bed) struct bed bed;
    bed_init_limited(&bed, 1);
    AUTO(http_record) struct http_record idle = {0}, busy = {0}, next = {0};
    http_bench_start(&bed.bench, &idle, "GET", "/");
    AUTO(fd) int fd = serve_accept(&bed);
    serve_skip_head(&bed, fd);
    serve_write(&bed, fd, OK_EMPTY);
    TURN_UNTIL(&bed.bench, idle.ends == 1);
    http_client_reset(bed.bench.client);
    assert_int_equal(http_client_connection_count(bed.bench.client), 0);

    http_bench_start(&bed.bench, &busy, "GET", "/");
    AUTO(fd) int busy_fd = serve_accept(&bed);
    serve_skip_head(&bed, busy_fd);
    http_client_reset(bed.bench.client);
    http_bench_start(&bed.bench, &next, "GET", "/"); /* does not wait for the old one */
    AUTO(fd) int next_fd = serve_accept(&bed);
    serve_skip_head(&bed, next_fd);
    serve_write(&bed, next_fd, OK_EMPTY);
    TURN_UNTIL(&bed.bench, next.ends == 1);
    assert_int_equal(busy.ends, 0);
    serve_write(&bed, busy_fd, OK_EMPTY);
    TURN_UNTIL(&bed.bench, busy.ends == 1);
    assert_null(busy.error);
    http_bench_settle(&bed.bench);
    assert_int_equal(http_client_connection_count(bed.bench.client), 1);
    assert_true(is_closed_by_client(busy_fd));
}

/* --- time --- */

TEST_CASE(a_server_that_stalls_meets_the_deadline)
{
    static const char *const said[] = {"", "HTTP/1.1 200 OK\r\n",
                                       "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"};
    for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
        AUTO(bed) struct bed bed;
        bed_init(&bed);
        AUTO(http_record) struct http_record record = {0};
        http_bench_start_with(
            &bed.bench, &record,
            &(struct http_call_options){.method = "GET", .target = "/", .deadline_ns = SHORT_NS});
        AUTO(fd) int fd = serve_accept(&bed);
        serve_write(&bed, fd, said[i]);
        TURN_UNTIL(&bed.bench, record.ends == 1);
        assert_true(text_has_suffix(record.error, "/\": context deadline exceeded"));
        assert_int_equal(record.code, ERROR_DEADLINE_EXCEEDED);
        assert_false(record.is_unsent);
        http_bench_settle(&bed.bench);
        assert_int_equal(http_client_connection_count(bed.bench.client), 0);
    }
}

TEST_CASE(a_call_that_waits_in_vain_is_unsent)
{
    AUTO(bed) struct bed bed;
    bed_init_limited(&bed, 1);
    AUTO(http_record) struct http_record first = {0}, second = {0};
    http_bench_start(&bed.bench, &first, "GET", "/");
    AUTO(fd) int fd = serve_accept(&bed);
    http_bench_start_with(
        &bed.bench, &second,
        &(struct http_call_options){.method = "POST", .target = "/", .deadline_ns = SHORT_NS});
    TURN_UNTIL(&bed.bench, second.ends == 1);
    assert_int_equal(second.code, ERROR_DEADLINE_EXCEEDED);
    assert_true(second.is_unsent);
}

TEST_CASE(silence_counts_once_the_server_has_answered)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    AUTO(http_record) struct http_record record = {0};
    http_bench_start_with(
        &bed.bench, &record,
        &(struct http_call_options){.method = "GET", .target = "/", .idle_timeout_ns = SHORT_NS});
    AUTO(fd) int fd = serve_accept(&bed);
    serve_skip_head(&bed, fd);
    loop_turn(bed.bench.loop, 2 * SHORT_NS); /* no answer yet: no matter */
    assert_int_equal(record.ends, 0);
    serve_write(&bed, fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    TURN_UNTIL(&bed.bench, record.ends == 1);
    assert_true(text_has_suffix(record.error, ": the server has fallen silent"));
    assert_int_equal(record.code, ERROR_DEADLINE_EXCEEDED);
    assert_string_equal(buf_text(&record.data), "a");
}

/* --- cancelling, freeing --- */

TEST_CASE(a_call_may_be_cancelled_and_the_client_freed_anywhere)
{
    for (size_t i = 0; i < 12; i++) {
        AUTO(bed) struct bed bed;
        bed_init_limited(&bed, 1);
        enum http_record_event event = (enum http_record_event)(i % 4);
        bool is_free = i / 4 == 1;
        AUTO(http_record)
        struct http_record record = {.cancel_on = i / 4 == 0 && i % 4 != 3 ? event : 0,
                                     .free_on = is_free ? event : 0};
        AUTO(http_record) struct http_record waiting = {0};
        http_bench_start(&bed.bench, &record, "GET", "/");
        http_bench_start(&bed.bench, &waiting, "GET", "/");
        AUTO(fd) int fd = serve_accept(&bed);
        serve_skip_head(&bed, fd);
        serve_write(&bed, fd, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
        http_bench_settle(&bed.bench);
        if (record.call && bed.bench.client)
            http_call_cancel(TAKE(record.call));
        assert_true(record.ends <= 1);
        if (is_free && event != HTTP_ON_NOTHING)
            assert_int_equal(waiting.ends + waiting.responses, 0);
    }
}

TEST_CASE(a_cancelled_call_is_silent_at_every_stage)
{
    for (size_t stage = 0; stage < 8; stage++) {
        AUTO(bed) struct bed bed;
        bed_init(&bed);
        AUTO(http_record) struct http_record record = {0}, next = {0};
        http_bench_start(&bed.bench, &record, "GET", "/");
        for (size_t i = 0; i < stage; i++)
            loop_turn(bed.bench.loop, 0);
        http_call_cancel(TAKE(record.call));
        http_bench_start(&bed.bench, &next, "GET", "/next"); /* the client goes on */
        for (bool is_served = false; !is_served;) {
            int fd = serve_accept(&bed);
            http_bench_settle(&bed.bench);
            char bytes[512] = {0};
            ssize_t len = read(fd, bytes, sizeof(bytes) - 1);
            is_served = len > 0 && strstr(bytes, "/next");
            if (is_served)
                serve_write(&bed, fd, OK_EMPTY);
            http_bench_settle(&bed.bench);
            fd_close(&fd);
        }
        TURN_UNTIL(&bed.bench, next.ends == 1);
        assert_null(next.error);
        assert_int_equal(record.responses + record.ends, 0);
    }
}

/* --- flow --- */

TEST_CASE(a_paused_call_hears_nothing_until_it_is_resumed)
{
    static const char whole[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
                                "1\r\nb\r\n1\r\nc\r\n0\r\n\r\n";
    for (enum http_record_event at = HTTP_ON_RESPONSE; at <= HTTP_ON_DATA; at++) {
        AUTO(bed) struct bed bed;
        bed_init(&bed);
        AUTO(http_record) struct http_record record = {.pause_on = at};
        http_bench_start(&bed.bench, &record, "GET", "/");
        AUTO(fd) int fd = serve_accept(&bed);
        serve_skip_head(&bed, fd);
        serve_write(&bed, fd, whole);
        TURN_UNTIL(&bed.bench, record.responses == 1);
        http_bench_settle(&bed.bench);
        assert_int_equal(record.pieces, at == HTTP_ON_DATA);
        assert_int_equal(record.ends, 0);
        record.pause_on = HTTP_ON_DATA; /* once more, in what was kept */
        http_call_pause(record.call, false);
        http_bench_settle(&bed.bench);
        assert_int_equal(record.ends, 0);
        http_call_pause(record.call, false);
        TURN_UNTIL(&bed.bench, record.ends == 1);
        assert_null(record.error);
        assert_string_equal(buf_text(&record.data), "abc");
    }
}

TEST_CASE(a_pause_holds_the_server_back)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    AUTO(http_record) struct http_record record = {.pause_on = HTTP_ON_RESPONSE};
    http_bench_start(&bed.bench, &record, "GET", "/");
    AUTO(fd) int fd = serve_accept(&bed);
    serve_skip_head(&bed, fd);
    serve_write(&bed, fd, "HTTP/1.1 200 OK\r\n\r\n");
    char bytes[4096];
    memset(bytes, 'x', sizeof(bytes));
    size_t sent = 0;
    for (size_t idle = 0; idle < 20;) {
        ssize_t len = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
        sent += len > 0 ? (size_t)len : 0;
        idle = len > 0 ? 0 : idle + 1;
        loop_turn(bed.bench.loop, 0);
        assert_true(sent < 64 * MiB);
    }
    assert_int_equal(record.data.len, 0);
    http_call_pause(record.call, false);
    fd_close(&fd);
    TURN_UNTIL(&bed.bench, record.ends == 1);
    assert_null(record.error);
    assert_int_equal(record.data.len, sent);
}

static char *make_body(size_t len)
{
    char *body = xcalloc(1, len + 1);
    for (size_t i = 0; i < len; i++)
        body[i] = (char)('a' + i % 23);
    return body;
}

TEST_CASE(a_big_body_is_uploaded)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    size_t len = 5 * MiB;
    AUTO(free) char *body = make_body(len);
    AUTO(http_record) struct http_record record = {0};
    http_bench_start_with(&bed.bench, &record,
                          &(struct http_call_options){
                              .method = "PUT", .target = "/", .body = {.ptr = body, .len = len}});
    AUTO(fd) int fd = serve_accept(&bed);
    AUTO(free) char *head = serve_read_head(&bed, fd);
    const char *begin = strstr(head, "\r\n\r\n") + 4;
    AUTO(buf) struct buf got = {0};
    buf_init(&got, 16 * MiB);
    buf_add_text(&got, begin);
    while (got.len < len) {
        static char bytes[64 * 1024];
        ssize_t now = read(fd, bytes, sizeof(bytes));
        if (now > 0)
            buf_add(&got, bytes, (size_t)now);
        else
            loop_turn(bed.bench.loop, HTTP_BENCH_WAIT_NS);
    }
    assert_true(str_eq_c(buf_str(&got), body));
    serve_write(&bed, fd, OK_EMPTY);
    TURN_UNTIL(&bed.bench, record.ends == 1);
    assert_null(record.error);
    assert_int_equal(http_client_connection_count(bed.bench.client), 1);
}

TEST_CASE(an_early_answer_is_heard_though_the_upload_breaks)
{
    for (size_t closes = 0; closes < 2; closes++) {
        AUTO(bed) struct bed bed;
        bed_init(&bed);
        size_t len = 8 * MiB;
        AUTO(free) char *body = make_body(len);
        AUTO(http_record) struct http_record record = {0};
        http_bench_start_with(&bed.bench, &record,
                              &(struct http_call_options){.method = "PUT",
                                                          .target = "/",
                                                          .body = {.ptr = body, .len = len}});
        AUTO(fd) int fd = serve_accept(&bed);
        serve_skip_head(&bed, fd);
        serve_write(&bed, fd, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
        if (closes > 0)
            assert_int_equal(shutdown(fd, SHUT_RDWR), 0);
        TURN_UNTIL(&bed.bench, record.ends == 1);
        assert_null(record.error);
        assert_int_equal(record.status, 413);
        http_bench_settle(&bed.bench);
        assert_int_equal(http_client_connection_count(bed.bench.client), 0);
    }
}

/* --- arguments --- */

TEST_CASE(a_request_that_could_be_read_as_two_is_refused)
{
    static const struct {
        const char *method, *target, *name, *value;
    } rows[] = {
        {"GE T", "/", NULL, NULL},
        {"", "/", NULL, NULL},
        {"GET\r\n", "/", NULL, NULL},
        {"GET", "", NULL, NULL},
        {"GET", "x", NULL, NULL},
        {"GET", "/a b", NULL, NULL},
        {"GET", "/\r\nx: y", NULL, NULL},
        {"GET", "/\xc3\xa4", NULL, NULL},
        {"GET", "/", "", "x"},
        {"GET", "/", "a b", "x"},
        {"GET", "/", "Upper", "x"},
        {"GET", "/", "a:", "x"},
        {"GET", "/", "a", "x\r\nHost: y"},
        {"GET", "/", "a", "x\ny"},
        {"GET", "/", "a", "\x7f"},
    };
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct http_field field = {rows[i].name, rows[i].value};
        AUTO(http_record) struct http_record record = {0};
        http_bench_start_with(
            &bed.bench, &record,
            &(struct http_call_options){.method = rows[i].method,
                                        .target = rows[i].target,
                                        .fields = {.items = &field, .count = field.name != NULL}});
        TURN_UNTIL(&bed.bench, record.ends == 1);
        assert_int_equal(record.code, ERROR_INVALID_ARGUMENT);
        assert_true(record.is_unsent);
    }
    assert_int_equal(http_client_connects(bed.bench.client), 0);
}

TEST_CASE(a_proxy_that_is_none_is_refused)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    struct http_client *client = NULL;
    const struct http_client_options options = {.host = "a", .port = 1, .proxy_url = "https://x"};
    assert_error_code(http_client_new(bed.bench.loop, bed.bench.pool, &options, &client),
                      ERROR_INVALID_ARGUMENT);
    assert_null(client);
}

TEST_MAIN(TEST(a_connection_is_kept_for_the_next_call),
          TEST(responses_of_every_shape_are_read_however_they_are_cut),
          TEST(a_cut_at_every_byte_ends_the_call_once), TEST(a_head_beyond_the_cap_is_an_error),
          TEST(a_connection_that_the_server_closed_is_not_used),
          TEST(calls_beyond_the_limit_wait_for_a_connection),
          TEST(a_refused_connection_says_that_nothing_was_sent),
          TEST(a_call_may_be_made_again_from_its_end),
          TEST(a_reset_lets_calls_finish_and_begins_anew),
          TEST(a_server_that_stalls_meets_the_deadline), TEST(a_call_that_waits_in_vain_is_unsent),
          TEST(silence_counts_once_the_server_has_answered),
          TEST(a_call_may_be_cancelled_and_the_client_freed_anywhere),
          TEST(a_cancelled_call_is_silent_at_every_stage),
          TEST(a_paused_call_hears_nothing_until_it_is_resumed),
          TEST(a_pause_holds_the_server_back), TEST(a_big_body_is_uploaded),
          TEST(an_early_answer_is_heard_though_the_upload_breaks),
          TEST(a_request_that_could_be_read_as_two_is_refused),
          TEST(a_proxy_that_is_none_is_refused))
