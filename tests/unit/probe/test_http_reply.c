#include "probe/http_reply.h"

#include "tests/lib/test.h"

#define BROKEN "net/http: HTTP/1.x transport connection broken: "

static const struct row {
    const char *name, *text;
    enum http_reply_state state; /* when the server has closed behind it */
    unsigned status;
    const char *body, *location, *problem;
} rows[] = {
    {"a length", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbodyREST", HTTP_REPLY_DONE, 200,
     "body", NULL, NULL},
    {"until the end", "HTTP/1.1 200 OK\r\n\r\nbody", HTTP_REPLY_DONE, 200, "body", NULL, NULL},
    {"chunks",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nbo\r\n2\r\ndy\r\n0\r\n"
     "T: r\r\n\r\n",
     HTTP_REPLY_DONE, 200, "body", NULL, NULL},
    {"HTTP/1.0 knows no chunks", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nbody",
     HTTP_REPLY_DONE, 200, "body", NULL, NULL},
    {"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 4\n\nbody", HTTP_REPLY_DONE, 200, "body",
     NULL, NULL},
    {"no reason", "HTTP/1.1 204\r\n\r\n", HTTP_REPLY_DONE, 204, "", NULL, NULL},
    {"no more than that", "HTTP/1.1\r\n\r\n", HTTP_REPLY_BAD, 0, "", NULL,
     BROKEN "malformed HTTP response \"HTTP/1.1\""},
    {"an empty reason", "HTTP/1.1 204 \r\n\r\n", HTTP_REPLY_DONE, 204, "", NULL, NULL},
    {"no body with 304", "HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n", HTTP_REPLY_DONE, 304, "",
     NULL, NULL},
    {"informational", "HTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx", HTTP_REPLY_DONE,
     200, "x", NULL, NULL},
    {"moved", "HTTP/1.1 302 Found\r\nlocation:  /other \r\n\r\n", HTTP_REPLY_DONE, 302, "",
     "/other", NULL},
    {"folded", "HTTP/1.1 302 Found\r\nLocation: /a\r\n /b\r\n\r\n", HTTP_REPLY_DONE, 302, "",
     "/a /b", NULL},
    {"nothing", "", HTTP_REPLY_BAD, 0, "", NULL, "EOF"},
    {"half a head", "HTTP/1.1 200 OK\r\nA: b\r\n", HTTP_REPLY_BAD, 0, "", NULL,
     BROKEN "unexpected EOF"},
    {"no HTTP", "SSH-2.0-x\r\n", HTTP_REPLY_BAD, 0, "", NULL,
     BROKEN "malformed HTTP response \"SSH-2.0-x\""},
    {"no code", "HTTP/1.1 20x OK\r\n\r\n", HTTP_REPLY_BAD, 0, "", NULL,
     BROKEN "malformed HTTP status code \"20x\""},
    {"no version", "HTTPS/1.1 200 OK\r\n\r\n", HTTP_REPLY_BAD, 0, "", NULL,
     BROKEN "malformed HTTP version \"HTTPS/1.1\""},
    {"no field", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", HTTP_REPLY_BAD, 0, "", NULL,
     BROKEN "malformed MIME header line: nonsense"},
    {"a fold first", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n", HTTP_REPLY_BAD, 0, "", NULL,
     BROKEN "malformed MIME header initial line:  A: b"},
    {"an odd length", "HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n", HTTP_REPLY_BAD, 0, "", NULL,
     BROKEN "bad Content-Length \"-4\""},
    {"an odd coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", HTTP_REPLY_BAD, 0, "",
     NULL, BROKEN "unsupported transfer encoding: \"gzip\""},
    {"too short", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody", HTTP_REPLY_BAD, 200, "body",
     NULL, "unexpected EOF"},
    {"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nbody",
     HTTP_REPLY_BAD, 200, "body", NULL, "unexpected EOF"},
    {"no chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", HTTP_REPLY_BAD, 200,
     "", NULL, "invalid byte in chunk length"},
    {"a huge chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n",
     HTTP_REPLY_BAD, 200, "", NULL, "http chunk length too large"},
    {"bytes behind a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n",
     HTTP_REPLY_BAD, 200, "x", NULL, "malformed chunked encoding"},
};

static void check(const struct row *row, size_t piece)
{
    struct http_reply reply;
    http_reply_init(&reply);
    for (size_t at = 0, len = strlen(row->text); at < len; at += piece)
        (void)http_reply_take(
            &reply, (struct str){.ptr = row->text + at, .len = min_size(piece, len - at)});
    (void)http_reply_take_end(&reply);
    if (reply.state != row->state || reply.status != row->status ||
        !text_eq(reply.location, row->location) || !text_eq(reply.problem, row->problem) ||
        !text_eq(buf_text(&reply.body), row->body))
        fail_msg("%s by %zu: %d %u %s [%s] %s", row->name, piece, (int)reply.state, reply.status,
                 reply.location ? reply.location : "-", buf_text(&reply.body),
                 reply.problem ? reply.problem : "-");
    http_reply_done(&reply);
}

TEST_CASE(a_reply_is_read_as_go_reads_it_however_it_comes)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        check(&rows[i], 1);
        check(&rows[i], 7);
        check(&rows[i], SIZE_MAX / 2);
    }
}

TEST_CASE(ten_kibibytes_of_a_body_are_enough)
{
    struct http_reply reply;
    http_reply_init(&reply);
    (void)http_reply_take(&reply, STR_LITERAL("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"));
    AUTO(free) char *body = xcalloc(1, 20 * KiB);
    memset(body, 'x', 20 * KiB);
    assert_int_equal(http_reply_take(&reply, (struct str){body, HTTP_REPLY_BODY_MAX_BYTES - 1}),
                     HTTP_REPLY_BODY);
    assert_int_equal(http_reply_take(&reply, (struct str){body, 20 * KiB}), HTTP_REPLY_DONE);
    assert_int_equal(reply.body.len, HTTP_REPLY_BODY_MAX_BYTES);
    http_reply_done(&reply);
}

TEST_CASE(a_head_without_end_is_given_up)
{
    static const char *const starts[] = {"HTTP/1.1 200 OK\r\nA: ", "HTTP/1.1 200 OK\r\nA: b\r\n",
                                         ""};
    for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
        struct http_reply reply;
        http_reply_init(&reply);
        (void)http_reply_take(&reply, str_from(starts[i]));
        for (size_t n = 0; n < HTTP_REPLY_HEAD_MAX_BYTES && reply.state == HTTP_REPLY_HEAD; n += 3)
            (void)http_reply_take(&reply, i == 1 ? STR_LITERAL("B:\n") : STR_LITERAL("xxx"));
        assert_int_equal(reply.state, HTTP_REPLY_BAD);
        assert_string_equal(reply.problem,
                            "net/http: server response headers exceeded 65536 bytes; aborted");
        http_reply_done(&reply);
    }
}

TEST_CASE(informational_answers_come_to_an_end)
{
    struct http_reply reply;
    http_reply_init(&reply);
    for (int i = 0; i < 6; i++)
        (void)http_reply_take(&reply, STR_LITERAL("HTTP/1.1 100 Continue\r\n\r\n"));
    assert_int_equal(reply.state, HTTP_REPLY_BAD);
    assert_string_equal(reply.problem, BROKEN "net/http: too many 1xx informational responses");
    http_reply_done(&reply);
}

TEST_MAIN(TEST(a_reply_is_read_as_go_reads_it_however_it_comes),
          TEST(ten_kibibytes_of_a_body_are_enough), TEST(a_head_without_end_is_given_up),
          TEST(informational_answers_come_to_an_end))
