/* The parser alone: bytes in pieces of every size, events as a text. */
#include "wire/http1.h"

#include "base/buf.h"
#include "tests/lib/test.h"

static void render_head(const struct http1_head *head, struct buf *out)
{
    if (head->method)
        buf_printf(out, "%s %s", head->method, head->target);
    else
        buf_printf(out, "%u", head->status);
    for (size_t i = 0; i < head->fields.count; i++)
        buf_printf(out, " %s=<%s>", head->fields.items[i].name, head->fields.items[i].value);
    buf_printf(out, " |%s%s%s%s%s", head->is_http10 ? " 1.0" : "",
               head->is_keep_alive ? " keep" : "", head->is_upgrade ? " upgrade" : "",
               head->is_continue_wanted ? " continue" : "", head->has_body ? " body" : "");
    if (head->has_body && head->body_length >= 0)
        buf_printf(out, " %lld", (long long)head->body_length);
    buf_add_text(out, "\n");
}

/* Everything the parser says about @all, offered in pieces of @piece bytes. */
struct run {
    enum http1_side side;
    enum http1_answers answers;
    size_t piece, max_head_bytes;
    struct buf out;
    unsigned error_status;
    bool is_in_body;
};

static void note(struct run *run, const struct http1_event *event)
{
    if (run->is_in_body && event->kind != HTTP1_BODY && event->kind != HTTP1_NONE) {
        buf_add_text(&run->out, ">\n");
        run->is_in_body = false;
    }
    switch (event->kind) {
    case HTTP1_NONE:
        break;
    case HTTP1_HEAD:
        render_head(event->head, &run->out);
        break;
    case HTTP1_BODY:
        buf_add_text(&run->out, run->is_in_body ? "" : "<");
        run->is_in_body = true;
        buf_add_str(&run->out, event->bytes);
        break;
    case HTTP1_COMPLETE:
        buf_add_text(&run->out, "end\n");
        break;
    }
}

/* Takes what it can from @input; false on an error. */
static bool take(struct run *run, struct http1_parser *parser, struct str *input)
{
    struct http1_event event;
    do {
        AUTO(error) struct error *err = http1_parser_next(parser, input, &event);
        if (err) {
            run->error_status = http1_parser_error_status(parser);
            assert_true(run->error_status >= 400);
            assert_error_code(http1_parser_next(parser, input, &event), ERROR_INVALID_ARGUMENT);
            return false;
        }
        note(run, &event);
    } while (event.kind != HTTP1_NONE);
    return true;
}

static void parse(struct run *run, struct str all, bool is_ended)
{
    AUTO(http1_parser)
    struct http1_parser *parser = http1_parser_new(run->side, run->max_head_bytes);
    http1_parser_expect(parser, run->answers);
    struct str input = {.ptr = all.ptr, .len = 0};
    while ((size_t)(input.ptr - all.ptr) + input.len < all.len) {
        size_t rest = all.len - (size_t)(input.ptr - all.ptr) - input.len;
        input.len += min_size(run->piece, rest);
        if (!take(run, parser, &input))
            return;
    }
    if (input.len > 0)
        buf_printf(&run->out, "left <%.*s>\n", STR_ARG(input));
    if (!is_ended)
        return;
    struct http1_event event;
    AUTO(error) struct error *err = http1_parser_end(parser, &event);
    if (err)
        buf_printf(&run->out, "%s\n", err->message);
    else
        note(run, &event);
}

struct row {
    const char *name, *input, *wanted; /* wanted NULL: refused with status */
    unsigned status;
    enum http1_answers answers;
};

static void check_rows(enum http1_side side, const struct row *rows, size_t count, bool is_ended)
{
    static const size_t pieces[] = {1, 2, 3, 5, 7, 16, 1000000};
    for (size_t i = 0; i < count * ARRAY_SIZE(pieces); i++) {
        const struct row *row = &rows[i / ARRAY_SIZE(pieces)];
        struct run run = {.side = side,
                          .answers = row->answers,
                          .piece = pieces[i % ARRAY_SIZE(pieces)],
                          .max_head_bytes = 256};
        buf_init(&run.out, 64 * KiB);
        parse(&run, str_from(row->input), is_ended);
        if (run.error_status != row->status ||
            (row->wanted && strcmp(buf_text(&run.out), row->wanted) != 0))
            fail_msg("%s (pieces of %zu): status %u, got\n%s", row->name, run.piece,
                     run.error_status, buf_text(&run.out));
        buf_done(&run.out);
    }
}

#define READ(name_, input_, wanted_)                                                               \
    {                                                                                              \
        .name = (name_), .input = (input_), .wanted = (wanted_)                                    \
    }
#define ANSWERED(answers_, name_, input_, wanted_)                                                 \
    {                                                                                              \
        .name = (name_), .input = (input_), .wanted = (wanted_), .answers = (answers_)             \
    }
#define REFUSED(status_, name_, input_)                                                            \
    {                                                                                              \
        .name = (name_), .input = (input_), .status = (status_)                                    \
    }

#define HOST "Host: h\r\n"

TEST_CASE(requests_are_read_as_they_were_meant)
{
    static const struct row rows[] = {
        READ("plain", "GET /a?b HTTP/1.1\r\n" HOST "\r\n", "GET /a?b host=<h> | keep\nend\n"),
        READ("names are lowered, values trimmed",
             "GET / HTTP/1.1\r\nHOST:  h \t\r\nX-Y:\r\nz: a  b\r\n\r\n",
             "GET / host=<h> x-y=<> z=<a  b> | keep\nend\n"),
        READ("empty lines before", "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
             "GET / host=<h> | keep\nend\n"),
        READ("close", "GET / HTTP/1.1\r\n" HOST "Connection: x, Close\r\n\r\n",
             "GET / host=<h> connection=<x, Close> |\nend\n"),
        READ("1.0", "GET / HTTP/1.0\r\n\r\n", "GET / | 1.0\nend\n"),
        READ("1.0 kept alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
             "GET / connection=<Keep-Alive> | 1.0 keep\nend\n"),
        READ("a body", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\na\nb\rc",
             "POST / host=<h> content-length=<5> | keep body 5\n<a\nb\rc>\nend\n"),
        READ("no body", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
             "POST / host=<h> content-length=<0> | keep\nend\n"),
        READ("pipelined",
             "POST /1 HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nxGET /2 HTTP/1.1\r\n" HOST
             "\r\n",
             "POST /1 host=<h> content-length=<1> | keep body 1\n<x>\nend\n"
             "GET /2 host=<h> | keep\nend\n"),
        READ("chunks",
             "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n"
             "A;x=y\r\n0\r\n3456\r\n9\r\n00\r\nT: v\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
             "POST / host=<h> transfer-encoding=<Chunked> | keep body\n<abc0\r\n3456\r\n9>\nend\n"
             "GET / host=<h> | keep\nend\n"),
        READ("a body that begins with a blank",
             "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\n \t\r\n0\r\n\r\n",
             "POST / host=<h> transfer-encoding=<chunked> | keep body\n< \t>\nend\n"),
        READ("expecting",
             "PUT / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n",
             "PUT / host=<h> expect=<100-Continue> content-length=<2> | keep continue body 2\n"),
        READ("expecting without a body", "PUT / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n",
             "PUT / host=<h> expect=<100-continue> | keep\nend\n"),
        READ("an upgrade, refused",
             "POST / HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
             "Content-Length: 0\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
             "POST / host=<h> connection=<Upgrade> upgrade=<SPDY/3.1> content-length=<0> | keep "
             "upgrade\nend\nGET / host=<h> | keep\nend\n"),
        READ("an upgrade with a body is none",
             "POST / HTTP/1.1\r\n" HOST
             "Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\n"
             "aGET / HTTP/1.1\r\n" HOST "\r\n",
             "POST / host=<h> connection=<Upgrade> upgrade=<x> content-length=<1> | keep body "
             "1\n<a>\n"
             "end\nGET / host=<h> | keep\nend\n"),
        READ("half", "GET / HTTP/1.1\r\nHo", ""),
    };
    check_rows(HTTP1_REQUESTS, rows, ARRAY_SIZE(rows), false);
}

TEST_CASE(requests_that_others_may_read_differently_are_refused)
{
#define START "POST / HTTP/1.1\r\n" HOST
#define CHUNKED START "Transfer-Encoding: chunked\r\n\r\n"
    static const struct row rows[] = {
        REFUSED(400, "bare LF in the head", "GET / HTTP/1.1\nHost: h\n\n"),
        REFUSED(400, "bare LF at the end of the head", START "\n"),
        REFUSED(400, "bare LF behind a field", "GET / HTTP/1.1\r\nHost: h\n\r\n"),
        REFUSED(400, "bare CR behind the request line", "GET / HTTP/1.1\rHost: h\r\n\r\n"),
        REFUSED(400, "CR without LF at the end", START "\rX"),
        REFUSED(400, "a folded line", START "A: b\r\n c\r\n\r\n"),
        REFUSED(400, "a folded line with a tab", START "A: b\r\n\tc\r\n\r\n"),
        REFUSED(400, "a blank before the first field", "GET / HTTP/1.1\r\n Host: h\r\n\r\n"),
        REFUSED(400, "a blank before the colon", START "A : b\r\n\r\n"),
        REFUSED(400, "no colon", START "A\r\n\r\n"),
        REFUSED(400, "no name", START ": x\r\n\r\n"),
        REFUSED(400, "control in a name", START "A\x01: x\r\n\r\n"),
        REFUSED(400, "control in a value", START "A: x\x01y\r\n\r\n"),
        REFUSED(400, "delete in a value", START "A: x\x7fy\r\n\r\n"),
        REFUSED(400, "two lengths", START "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"),
        REFUSED(400, "length list", START "Content-Length: 1, 1\r\n\r\n"),
        REFUSED(400, "length with a sign", START "Content-Length: +1\r\n\r\n"),
        REFUSED(400, "negative length", START "Content-Length: -1\r\n\r\n"),
        REFUSED(400, "negative nothing", START "Content-Length: -0\r\n\r\n"),
        REFUSED(400, "hexadecimal length", START "Content-Length: 0x1\r\n\r\n"),
        REFUSED(400, "empty length", START "Content-Length:\r\n\r\n"),
        REFUSED(400, "length beyond counting",
                START "Content-Length: 99999999999999999999\r\n\r\n"),
        REFUSED(400, "length and encoding",
                START "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        REFUSED(400, "encoding and length",
                START "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"),
        REFUSED(400, "two encodings",
                START "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
        REFUSED(400, "encoding with a vertical tab",
                START "Transfer-Encoding: \x0b"
                      "chunked\r\n\r\n"),
        REFUSED(501, "compressed chunks", START "Transfer-Encoding: gzip, chunked\r\n\r\n"),
        REFUSED(501, "not chunked last", START "Transfer-Encoding: chunked, gzip\r\n\r\n"),
        REFUSED(501, "almost chunked", START "Transfer-Encoding: xchunked\r\n\r\n"),
        REFUSED(400, "chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        REFUSED(400, "chunk size without LF", CHUNKED "3\rXabc\r\n0\r\n\r\n"),
        REFUSED(400, "chunk size with bare LF", CHUNKED "3\nabc\r\n0\r\n\r\n"),
        REFUSED(400, "bare LF in a chunk's extension", CHUNKED "3;a\nb\r\nabc\r\n0\r\n\r\n"),
        REFUSED(400, "chunk without its end", CHUNKED "3\r\nabcXY0\r\n\r\n"),
        REFUSED(400, "chunk longer than it says", CHUNKED "3\r\nabcd\r\n0\r\n\r\n"),
        REFUSED(400, "chunk that ends in bare LF", CHUNKED "3\r\nabc\n0\r\n\r\n"),
        REFUSED(400, "no chunk size", CHUNKED "\r\nabc\r\n0\r\n\r\n"),
        REFUSED(400, "negative chunk size", CHUNKED "-3\r\nabc\r\n0\r\n\r\n"),
        REFUSED(400, "chunk size beyond counting", CHUNKED "FFFFFFFFFFFFFFFFF\r\n"),
        REFUSED(400, "last chunk without CRLF", CHUNKED "0\r\nX\r\n"),
        REFUSED(400, "bare LF behind the last chunk", CHUNKED "0\r\n\n"),
        REFUSED(400, "folded trailer", CHUNKED "0\r\nA: b\r\n c\r\n\r\n"),
        REFUSED(400, "a body in CONNECT",
                "CONNECT h:80 HTTP/1.1\r\n" HOST "Content-Length: 27\r\n\r\n"
                "GET / HTTP/1.1\r\n" HOST "\r\n"),
        REFUSED(400, "no host", "GET / HTTP/1.1\r\n\r\n"),
        REFUSED(400, "two hosts", START "Host: h\r\n\r\n"),
        REFUSED(400, "odd host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        REFUSED(400, "unknown method", "BREW / HTTP/1.1\r\n" HOST "\r\n"),
        REFUSED(400, "lower-case method", "get / HTTP/1.1\r\n" HOST "\r\n"),
        REFUSED(400, "blank in the target", "GET /a b HTTP/1.1\r\n" HOST "\r\n"),
        REFUSED(400, "high bytes in the target", "GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"),
        REFUSED(400, "0.9", "GET /\r\n\r\n"),
        REFUSED(400, "two blanks", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"),
        REFUSED(400, "two later blanks", "GET /  HTTP/1.1\r\nHost: h\r\n\r\n"),
        REFUSED(400, "two blanks behind an empty line", "\r\nGET /  HTTP/1.1\r\nHost: h\r\n\r\n"),
        REFUSED(505, "2.0", "GET / HTTP/2.0\r\n\r\n"),
        REFUSED(505, "1.2", "GET / HTTP/1.2\r\n\r\n"),
        REFUSED(400, "no version", "GET / HTTQ/1.1\r\n\r\n"),
        REFUSED(400, "TLS", "\x16\x03\x01\x02"),
        REFUSED(417, "unknown expectation", START "Expect: a-lot\r\nContent-Length: 1\r\n\r\n"),
    };
    check_rows(HTTP1_REQUESTS, rows, ARRAY_SIZE(rows), false);
}

TEST_CASE(responses_end_where_they_say)
{
#define OK "HTTP/1.1 200 OK\r\n"
    static const struct row rows[] = {
        READ("a length", OK "Content-Length: 2\r\n\r\nab",
             "200 content-length=<2> | keep body 2\n<ab>\nend\n"),
        READ("without a reason", "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n",
             "404 content-length=<0> | keep\nend\n"),
        READ("chunks", OK "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
             "200 transfer-encoding=<chunked> | keep body\n<ab>\nend\n"),
        READ("until the connection closes", OK "\r\nab", "200 | body\n<ab>\nend\n"),
        READ("until the connection closes at once", OK "\r\n", "200 | body\nend\n"),
        READ("cut in the body", OK "Content-Length: 3\r\n\r\nab",
             "200 content-length=<3> | keep body 3\n<abunexpected EOF\n"),
        READ("cut in the head", OK "Con", "unexpected EOF\n"),
        READ("cut in a chunk", OK "Transfer-Encoding: chunked\r\n\r\n2\r\na",
             "200 transfer-encoding=<chunked> | keep body\n<aunexpected EOF\n"),
        READ("nothing", "", ""),
        ANSWERED(HTTP1_ANSWERS_HEAD, "informational first",
                 "HTTP/1.1 103 Early Hints\r\nL: x\r\n\r\n" OK "Content-Length: 9\r\n\r\n",
                 "103 l=<x> | keep\nend\n200 content-length=<9> | keep\nend\n"),
        ANSWERED(HTTP1_ANSWERS_HEAD, "to HEAD with chunks", OK "Transfer-Encoding: chunked\r\n\r\n",
                 "200 transfer-encoding=<chunked> | keep\nend\n"),
        ANSWERED(HTTP1_ANSWERS_HEAD, "to HEAD without a length", OK "\r\n", "200 | keep\nend\n"),
        ANSWERED(
            HTTP1_ANSWERS_HEAD, "only the first answers HEAD",
            OK "Content-Length: 9\r\n\r\n" OK "Content-Length: 1\r\n\r\na",
            "200 content-length=<9> | keep\nend\n200 content-length=<1> | keep body 1\n<a>\nend\n"),
        READ("not modified", "HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n",
             "304 content-length=<9> | keep\nend\n"),
        READ("no content", "HTTP/1.1 204 X\r\n\r\n", "204 | keep\nend\n"),
        READ("switching", "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: y\r\n\r\nHTTP?",
             "101 connection=<Upgrade> upgrade=<y> | upgrade\nend\nleft <HTTP?>\n"),
        ANSWERED(HTTP1_ANSWERS_CONNECT, "connected", OK "\r\n\x16\x03",
                 "200 | upgrade\nend\nleft <\x16\x03>\n"),
        ANSWERED(HTTP1_ANSWERS_CONNECT, "not connected",
                 "HTTP/1.1 407 X\r\nContent-Length: 1\r\n\r\na",
                 "407 content-length=<1> | keep body 1\n<a>\nend\n"),
        READ("1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
             "200 content-length=<1> | 1.0 body 1\n<a>\nend\n"),
        REFUSED(400, "no status", "HTTP/1.1 OK\r\n\r\n"),
        REFUSED(502, "short status", "HTTP/1.1 20 OK\r\n\r\n"),
        REFUSED(400, "bare LF", "HTTP/1.1 200 OK\n\n"),
        REFUSED(400, "two lengths", OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
    };
    check_rows(HTTP1_RESPONSES, rows, ARRAY_SIZE(rows), true);
}

static void fill(struct buf *out, const char *before, size_t count, const char *behind)
{
    buf_add_text(out, before);
    for (size_t i = 0; i < count; i++)
        buf_add_char(out, 'a');
    buf_add_text(out, behind);
}

TEST_CASE(what_is_too_large_is_refused_whether_it_ends_or_not)
{
    static const struct {
        const char *name, *before, *behind;
        size_t count;
        unsigned status;
    } cases[] = {
        {"fields", "GET / HTTP/1.1\r\nA: ", "", 4096, 431},
        {"fields that end", "GET / HTTP/1.1\r\nHost: h\r\nA: ", "\r\n\r\n", 4096, 431},
        {"fields that fit", "GET / HTTP/1.1\r\nHost: h\r\nA: ", "\r\n\r\n", 3000, 0},
        {"a target", "GET /", "", HTTP_TARGET_MAX_BYTES, 414},
        {"a trailer", CHUNKED "0\r\nA: ", "", 4096, 431},
        {"a chunk's extension", CHUNKED "1;", "", 4096, 431},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (size_t piece = 100; piece <= 100000; piece *= 1000) {
            print_message("%s\n", cases[i].name);
            struct run run = {.piece = piece,
                              .max_head_bytes = cases[i].status == 414 ? 64 * KiB : 4096};
            AUTO(buf) struct buf input;
            buf_init(&input, 64 * KiB);
            buf_init(&run.out, 64 * KiB);
            fill(&input, cases[i].before, cases[i].count, cases[i].behind);
            parse(&run, buf_str(&input), false);
            assert_int_equal(run.error_status, cases[i].status);
            buf_done(&run.out);
        }
    }
}

TEST_MAIN(TEST(requests_are_read_as_they_were_meant),
          TEST(requests_that_others_may_read_differently_are_refused),
          TEST(responses_end_where_they_say),
          TEST(what_is_too_large_is_refused_whether_it_ends_or_not))
