/* /logs/ over a folder of the test's own, with a script in the place of journalctl. The page of a
 * folder is that of recorded/http/logs.txt. */
#include "server/node_logs.h"

#include "base/fd.h"
#include "base/path.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"
#include "wire/http_server_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <zlib.h>

#define REPLY_MAX_BYTES (64 * MiB)
#define TURNS 20000
#define MODIFIED "Sun, 06 Nov 1994 08:49:37 GMT"
#define MODIFIED_S 784111777

struct desk {
    char *dir, *root, *journalctl;
    struct loop *loop;
    struct work_pool *pool;
    struct node_logs *logs;
    struct http_server *http;
    struct arena *arena;
};

static void on_request(void *ctx, struct http_exchange *exchange)
{
    node_logs_serve(((struct desk *)ctx)->logs, exchange);
}

static const char *in(struct desk *desk, const char *name)
{
    return arena_printf(desk->arena, "%s/%s", desk->root, name);
}

static void set_time(struct desk *desk, const char *name)
{
    const struct timeval times[2] = {{.tv_sec = MODIFIED_S}, {.tv_sec = MODIFIED_S}};
    assert_int_equal(utimes(in(desk, name), times), 0);
}

static void write_file(struct desk *desk, const char *name, const char *text)
{
    assert_no_error(fd_write_file_blocking(in(desk, name), str_from(text), 0644));
    set_time(desk, name);
}

static void desk_init(struct desk *desk, struct node_logs_options options)
{
    static const struct http_server_options http = {0};
    *desk = (struct desk){.dir = tempdir_new(), .arena = arena_new(0)};
    desk->root = path_join(desk->dir, "log");
    desk->journalctl = path_join(desk->dir, "journalctl");
    assert_int_equal(mkdir(desk->root, 0755), 0);
    assert_no_error(loop_new(&desk->loop));
    desk->pool = work_pool_new(desk->loop, 0);
    options.root = desk->root;
    options.journalctl = desk->journalctl;
    desk->logs = node_logs_new(desk->loop, desk->pool, &options);
    desk->http = http_server_new(desk->loop, &http, on_request, desk);
}

static void desk_done(struct desk *desk)
{
    node_logs_free(desk->logs);
    http_server_free(desk->http);
    loop_turn(desk->loop, 0); /* reaps */
    work_pool_free(desk->pool, NS_PER_SEC);
    loop_free(desk->loop);
    free(desk->root);
    free(desk->journalctl);
    tempdir_free(desk->dir);
    arena_free(desk->arena);
}

/* --- a client --- */

static int ask(struct desk *desk, const char *target, const char *fields)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    http_server_serve_fd(desk->http, fds[0], NULL);
    const char *request = arena_printf(
        desk->arena, "GET %s HTTP/1.1\r\nhost: h\r\nconnection: close\r\n%s\r\n", target, fields);
    assert_int_equal(write(fds[1], request, strlen(request)), (ssize_t)strlen(request));
    return fds[1];
}

/* Takes what is there. True at the end. */
static bool take(int fd, struct buf *reply)
{
    static char piece[64 * KiB];
    ssize_t got = 0;
    while ((got = recv(fd, piece, sizeof(piece), 0)) > 0)
        buf_add(reply, piece, (size_t)got);
    return got == 0 || errno != EAGAIN;
}

static void read_all(struct desk *desk, int fd, struct buf *reply)
{
    for (int i = 0; i < TURNS; i++) {
        loop_turn(desk->loop, NS_PER_MS);
        if (take(fd, reply))
            return;
    }
    fail_msg("never ends: %s", buf_text(reply));
}

/* @at begins the body; there is no trailer. */
static void join_chunks(const char *at, struct buf *out)
{
    for (unsigned long len = 1; len > 0;) {
        char *text = NULL;
        len = strtoul(at, &text, 16);
        buf_add(out, text + 2, len);
        at = text + 2 + len + 2;
    }
}

/* The whole reply but its date and `connection: close`, with chunks joined; in the desk's arena. */
static const char *reply_to(struct desk *desk, const char *target, const char *fields)
{
    AUTO(fd) int fd = ask(desk, target, fields);
    AUTO(buf) struct buf reply, out;
    buf_init(&reply, REPLY_MAX_BYTES);
    buf_init(&out, REPLY_MAX_BYTES);
    read_all(desk, fd, &reply);
    const char *end = strstr(buf_text(&reply), "\r\n\r\n");
    assert_non_null(end);
    struct str head = {.ptr = buf_text(&reply), .len = (size_t)(end - buf_text(&reply))}, line;
    while (str_split_next(&head, '\n', &line)) {
        line = str_trim(line);
        if (!str_has_prefix(line, "date:") && !str_has_prefix(line, "connection:"))
            buf_printf(&out, "%.*s\n", STR_ARG(line));
    }
    buf_add_char(&out, '\n');
    if (!strstr(buf_text(&out), "transfer-encoding: chunked")) {
        buf_add_text(&out, end + 4);
        return arena_strdup(desk->arena, buf_text(&out));
    }
    join_chunks(end + 4, &out);
    return arena_strdup(desk->arena, buf_text(&out));
}

static void assert_reply(struct desk *desk, const char *target, const char *fields,
                         const char *want)
{
    const char *got = reply_to(desk, target, fields);
    if (strcmp(got, want) != 0)
        fail_msg("%s %s:\n%s\nbut:\n%s", target, fields, want, got);
    assert_int_equal(node_logs_transfer_count(desk->logs), 0);
}

/* --- files --- */

#define NOSNIFF "content-type: text/plain; charset=utf-8\nx-content-type-options: nosniff\n"
#define LOG_FIELDS                                                                                 \
    "content-type: text/plain; charset=utf-8\naccept-ranges: bytes\nlast-modified: " MODIFIED "\n"

static const struct node_logs_options plain = {0}, querying = {.has_query = true};

TEST_CASE(files_and_folders_are_served_as_gos_file_server_does)
{
    static const struct {
        const char *target, *fields, *want;
    } rows[] = {
        {"/logs/a.log", "", "HTTP/1.1 200 OK\n" LOG_FIELDS "content-length: 11\n\nhello world"},
        {"/logs/a.log?query=kubelet", "", /* queries are off */
         "HTTP/1.1 200 OK\n" LOG_FIELDS "content-length: 11\n\nhello world"},
        {"/logs/a.log", "range: bytes=6-\r\n",
         "HTTP/1.1 206 Partial Content\n" LOG_FIELDS
         "content-range: bytes 6-10/11\ncontent-length: 5\n\nworld"},
        {"/logs/a.log", "range: bytes=11-\r\n",
         "HTTP/1.1 416 Range Not Satisfiable\n" NOSNIFF
         "content-range: bytes */11\ncontent-length: 33\n\ninvalid range: failed to overlap\n"},
        {"/logs/a.log", "range: lines=1\r\n",
         "HTTP/1.1 416 Range Not Satisfiable\n" NOSNIFF "content-length: 14\n\ninvalid range\n"},
        {"/logs/a.log", "if-modified-since: " MODIFIED "\r\n",
         "HTTP/1.1 304 Not Modified\nlast-modified: " MODIFIED "\n\n"},
        {"/logs/a.log", "if-match: \"x\"\r\n",
         "HTTP/1.1 412 Precondition Failed\nlast-modified: " MODIFIED "\ncontent-length: 0\n\n"},
        {"/logs/empty", "", "HTTP/1.1 200 OK\n" LOG_FIELDS "content-length: 0\n\n"},
        {"/logs/a.json", "",
         "HTTP/1.1 200 OK\ncontent-type: application/json\naccept-ranges: bytes\n"
         "last-modified: " MODIFIED "\ncontent-length: 2\n\n{}"},
        {"/logs/link", "", "HTTP/1.1 200 OK\n" LOG_FIELDS "content-length: 7\n\noutside"},
        {"/logs/pods/%2e%2e/a.log", "",
         "HTTP/1.1 200 OK\n" LOG_FIELDS "content-length: 11\n\nhello world"},
        {"/logs/..%2F..%2F..%2Foutside", "",
         "HTTP/1.1 404 Not Found\n" NOSNIFF "content-length: 19\n\n404 page not found\n"},
        {"/logs/none", "",
         "HTTP/1.1 404 Not Found\n" NOSNIFF "content-length: 19\n\n404 page not found\n"},
        {"/logs/a.log/none", "",
         "HTTP/1.1 404 Not Found\n" NOSNIFF "content-length: 19\n\n404 page not found\n"},
        {"/logs/fifo", "",
         "HTTP/1.1 500 Internal Server Error\n" NOSNIFF
         "content-length: 26\n\n500 Internal Server Error\n"},
        {"/logs/pods", "",
         "HTTP/1.1 301 Moved Permanently\nlocation: pods/\ncontent-length: 0\n\n"},
        {"/logs/pods/d%20e?x=1", "",
         "HTTP/1.1 301 Moved Permanently\nlocation: d%20e/?x=1\ncontent-length: 0\n\n"},
        {"/logs/pods/%2e", "", /* resolved by the client against what it asked for */
         "HTTP/1.1 301 Moved Permanently\nlocation: ./\ncontent-length: 0\n\n"},
        {"/logs/pods/%2e%2e", "",
         "HTTP/1.1 301 Moved Permanently\nlocation: ../\ncontent-length: 0\n\n"},
        {"/logs/a.log/", "",
         "HTTP/1.1 301 Moved Permanently\nlocation: ../a.log\ncontent-length: 0\n\n"},
        {"/logs/web/index.html", "",
         "HTTP/1.1 301 Moved Permanently\nlocation: ./\ncontent-length: 0\n\n"},
        {"/logs/web/", "",
         "HTTP/1.1 200 OK\ncontent-type: text/html; charset=utf-8\naccept-ranges: bytes\n"
         "last-modified: " MODIFIED "\ncontent-length: 4\n\n<p>x"},
        {"/logs/pods/", "",
         "HTTP/1.1 200 OK\ncontent-type: text/html; charset=utf-8\nlast-modified: " MODIFIED
         "\ncontent-length: 151\n\n<!doctype html>\n"
         "<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n"
         "<a href=\"d%20e/\">d e/</a>\n<a href=\"file\">file</a>\n<a href=\"up\">up</a>\n"
         "</pre>\n"},
        {"/logs/pods/", "if-modified-since: " MODIFIED "\r\n", "HTTP/1.1 304 Not Modified\n\n"},
    };
    struct desk desk;
    desk_init(&desk, plain);
    write_file(&desk, "a.log", "hello world");
    write_file(&desk, "empty", "");
    write_file(&desk, "a.json", "{}");
    write_file(&desk, "../outside", "outside");
    assert_int_equal(symlink("../outside", in(&desk, "link")), 0);
    assert_int_equal(mkfifo(in(&desk, "fifo"), 0600), 0);
    assert_int_equal(mkdir(in(&desk, "web"), 0755), 0);
    write_file(&desk, "web/index.html", "<p>x");
    assert_int_equal(mkdir(in(&desk, "pods"), 0755), 0);
    assert_int_equal(mkdir(in(&desk, "pods/d e"), 0755), 0);
    write_file(&desk, "pods/file", "");
    assert_int_equal(symlink("..", in(&desk, "pods/up")), 0);
    set_time(&desk, "pods");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_reply(&desk, rows[i].target, rows[i].fields, rows[i].want);
    desk_done(&desk);
}

TEST_CASE(a_huge_file_waits_for_a_slow_client)
{
    enum { HUGE_BYTES = 20 * MiB };
    struct desk desk;
    desk_init(&desk, plain);
    write_file(&desk, "huge", "");
    assert_int_equal(truncate(in(&desk, "huge"), HUGE_BYTES), 0);
    AUTO(fd) int fd = ask(&desk, "/logs/huge", "");
    AUTO(buf) struct buf reply;
    buf_init(&reply, REPLY_MAX_BYTES);
    for (int i = 0; i < 200; i++)
        loop_turn(desk.loop, 0); /* it reads nothing for a while */
    assert_int_equal(node_logs_transfer_count(desk.logs), 1);
    assert_true(truncate(in(&desk, "huge"), HUGE_BYTES + 5) == 0); /* grows meanwhile */
    read_all(&desk, fd, &reply);
    const char *end = memmem(buf_text(&reply), reply.len, "\r\n\r\n", 4);
    assert_int_equal(reply.len - (size_t)(end + 4 - buf_text(&reply)), HUGE_BYTES);
    desk_done(&desk);
}

TEST_CASE(a_file_that_is_cut_breaks_the_answer_off)
{
    struct desk desk;
    desk_init(&desk, plain);
    write_file(&desk, "huge", "");
    assert_int_equal(truncate(in(&desk, "huge"), 8 * MiB), 0);
    AUTO(fd) int fd = ask(&desk, "/logs/huge", "");
    AUTO(buf) struct buf reply;
    buf_init(&reply, REPLY_MAX_BYTES);
    for (int i = 0; i < 50; i++)
        loop_turn(desk.loop, 0);
    assert_int_equal(truncate(in(&desk, "huge"), 10), 0);
    read_all(&desk, fd, &reply);
    assert_true(reply.len < 8 * MiB);
    assert_int_equal(node_logs_transfer_count(desk.logs), 0);
    desk_done(&desk);
}

TEST_CASE(clients_may_go_and_so_may_the_server)
{
    struct desk desk;
    desk_init(&desk, plain);
    write_file(&desk, "huge", "");
    assert_int_equal(truncate(in(&desk, "huge"), 20 * MiB), 0);
    int early = ask(&desk, "/logs/huge", ""), late = ask(&desk, "/logs/huge", "");
    loop_turn(desk.loop, 0);
    fd_close(&early);
    for (int i = 0; i < 50; i++)
        loop_turn(desk.loop, 0);
    assert_int_equal(node_logs_transfer_count(desk.logs), 1);
    fd_close(&late);
    for (int i = 0; i < 50; i++)
        loop_turn(desk.loop, 0);
    assert_int_equal(node_logs_transfer_count(desk.logs), 0);
    AUTO(fd) int reading = ask(&desk, "/logs/huge", "");
    for (int i = 0; i < 50; i++)
        loop_turn(desk.loop, 0);
    AUTO(fd) int opening = ask(&desk, "/logs/huge", "");
    loop_turn(desk.loop, 0);
    desk_done(&desk);
}

TEST_CASE(there_is_a_limit_to_what_is_read_at_once)
{
    struct desk desk;
    desk_init(&desk, (struct node_logs_options){.max_transfers = 1});
    write_file(&desk, "huge", "");
    assert_int_equal(truncate(in(&desk, "huge"), 20 * MiB), 0);
    AUTO(fd) int first = ask(&desk, "/logs/huge", "");
    for (int i = 0; i < 50; i++)
        loop_turn(desk.loop, 0);
    const char *got = reply_to(&desk, "/logs/huge", "");
    assert_non_null(strstr(got, "HTTP/1.1 429 "));
    assert_non_null(strstr(got, "\n\n1 logs are being read already"));
    desk_done(&desk);
}

/* --- queries --- */

static void script(struct desk *desk, const char *text)
{
    AUTO(free) char *whole = xasprintf("#!/bin/sh\n%s\n", text);
    assert_no_error(fd_write_file_blocking(desk->journalctl, str_from(whole), 0755));
}

#define UNITS "if [ \"$1\" = --field ]; then echo a.service; echo b.service; exit 0; fi; "
#define QUERY_HEAD                                                                                 \
    "HTTP/1.1 200 OK\ncontent-type: text/plain;charset=UTF-8\ntransfer-encoding: chunked\n\n"

TEST_CASE(queries_are_answered_by_the_journal_and_files)
{
    static const struct {
        const char *script, *target, *want;
    } rows[] = {
        {UNITS "echo \"$@\"; echo err >&2; exit 1", "/logs/?query=a&query=b&tailLines=3",
         QUERY_HEAD "--utc --no-pager --output=short-precise --pager-end --lines=3 --unit=a "
                    "--unit=b\nerr\n"},
        {UNITS "echo \"$@\"", "/logs/?query=plain&query=a",
         QUERY_HEAD "--utc --no-pager --output=short-precise --unit=a\nplain text\n"},
        {UNITS "echo no", "/logs/?query=dotted&query=nested&query=none&query=..",
         QUERY_HEAD "dotted text\nnested text\n\nlog not found for none\n\nlog not found for ..\n"},
        {UNITS "echo no", "/logs/?query=outside", QUERY_HEAD "\nlog not found for outside\n"},
        {"exit 1", "/logs/?query=a", QUERY_HEAD "\nlog not found for a\n"},
        {UNITS "echo \"$8\"", "/logs/?query=plain&query=a&query=dotted&pattern=x",
         QUERY_HEAD "\n\noptions present and query resolved to log files for [plain dotted]\n"
                    "try without specifying options\n"},
        {"exit 1", "/logs/?query=%2Fplain",
         "HTTP/1.1 200 OK\n" LOG_FIELDS "content-length: 11\n\nplain text\n"},
        {"exit 1", "/logs/plain",
         "HTTP/1.1 200 OK\n" LOG_FIELDS "content-length: 11\n\nplain text\n"},
    };
    struct desk desk;
    desk_init(&desk, querying);
    write_file(&desk, "plain", "plain text\n");
    write_file(&desk, "dotted.log", "dotted text\n");
    assert_int_equal(mkdir(in(&desk, "nested"), 0755), 0);
    write_file(&desk, "nested/nested.log", "nested text\n");
    write_file(&desk, "../outside", "outside\n");
    assert_int_equal(symlink("../outside", in(&desk, "outside")), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        script(&desk, rows[i].script);
        assert_reply(&desk, rows[i].target, "", rows[i].want);
    }
    desk_done(&desk);
}

TEST_CASE(a_node_without_a_journal_has_files)
{
    struct desk desk;
    desk_init(&desk, querying);
    write_file(&desk, "plain", "plain text\n");
    assert_reply(&desk, "/logs/?query=plain", "", QUERY_HEAD "plain text\n");
    desk_done(&desk);
}

TEST_CASE(queries_that_may_not_be_are_refused)
{
    static const struct {
        const char *target, *status, *body;
    } rows[] = {
        {"/logs/?query=", "400 Bad Request", "query: Invalid value: [\"\"]: query cannot be empty"},
        {"/logs/?query=x&boot=y", "400 Bad Request",
         "boot: Invalid value: \"y\": strconv.Atoi: parsing \"y\": invalid syntax"},
        {"/logs/a?query=x", "406 Not Acceptable", "path not allowed in query mode"},
        {"/logs/?boot=0", "406 Not Acceptable",
         "query: Required value: cannot be empty with options"},
        {"/logs/?query=/none", "406 Not Acceptable",
         "query: Invalid value: [\"/none\"]: stat %s/none: no such file or directory"},
        {"/logs/?query=/outside", "406 Not Acceptable",
         "query: Invalid value: [\"/outside\"]: stat %s/outside: no such file or directory"},
        {"/logs/?query=/../../outside", "406 Not Acceptable",
         "query: Invalid value: [\"/../../outside\"]: stat %s/outside: no such file or directory"},
    };
    struct desk desk;
    desk_init(&desk, querying);
    write_file(&desk, "../outside", "outside");
    assert_int_equal(symlink("../outside", in(&desk, "outside")), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *hole = strstr(rows[i].body, "%s");
        const char *body = hole ? arena_printf(desk.arena, "%.*s%s%s", (int)(hole - rows[i].body),
                                               rows[i].body, desk.root, hole + 2)
                                : rows[i].body;
        const char *want =
            arena_printf(desk.arena, "HTTP/1.1 %s\n" NOSNIFF "content-length: %zu\n\n%s\n",
                         rows[i].status, strlen(body) + 1, body);
        assert_reply(&desk, rows[i].target, "", want);
    }
    desk_done(&desk);
}

TEST_CASE(an_answer_is_compressed_for_who_wants_nothing_else)
{
    struct desk desk;
    desk_init(&desk, querying);
    script(&desk, UNITS "echo from the journal");
    assert_reply(&desk, "/logs/?query=a", "accept-encoding: gzip, deflate\r\n",
                 QUERY_HEAD "from the journal\n");
    AUTO(fd) int fd = ask(&desk, "/logs/?query=a", "accept-encoding: gzip\r\n");
    AUTO(buf) struct buf reply;
    buf_init(&reply, REPLY_MAX_BYTES);
    read_all(&desk, fd, &reply);
    assert_non_null(strstr(buf_text(&reply), "content-encoding: gzip\r\n"));
    AUTO(buf) struct buf packed;
    buf_init(&packed, REPLY_MAX_BYTES);
    join_chunks(strstr(buf_text(&reply), "\r\n\r\n") + 4, &packed);
    unsigned char text[100] = "";
    z_stream z = {.next_in = (unsigned char *)packed.data,
                  .avail_in = (unsigned)packed.len,
                  .next_out = text,
                  .avail_out = sizeof(text) - 1};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(inflateEnd(&z), Z_OK);
    assert_string_equal((const char *)text, "from the journal\n");
    desk_done(&desk);
}

TEST_CASE(a_journal_that_takes_too_long_is_killed)
{
    struct desk desk;
    desk_init(&desk,
              (struct node_logs_options){.has_query = true, .query_timeout_ns = 50 * NS_PER_MS});
    script(&desk, UNITS "echo some; exec sleep 100");
    assert_reply(&desk, "/logs/?query=a", "", QUERY_HEAD "some\n");
    assert_reply(&desk, "/logs/?query=a&query=none", "",
                 QUERY_HEAD "some\n\ncontext error: context deadline exceeded\n");
    script(&desk, "exec sleep 100");
    assert_reply(&desk, "/logs/?query=a", "",
                 QUERY_HEAD "\ncontext error: context deadline exceeded\n");
    desk_done(&desk);
}

TEST_CASE(a_chatty_journal_waits_for_a_slow_client)
{
    enum { MANY_BYTES = 8 * MiB };
    struct desk desk;
    desk_init(&desk, querying);
    script(&desk, UNITS "head -c 8388608 /dev/zero | tr '\\0' x");
    AUTO(fd) int fd = ask(&desk, "/logs/?query=a", "");
    AUTO(buf) struct buf reply;
    buf_init(&reply, REPLY_MAX_BYTES);
    for (int i = 0; i < 100; i++)
        loop_turn(desk.loop, NS_PER_MS);
    assert_int_equal(node_logs_transfer_count(desk.logs), 1);
    read_all(&desk, fd, &reply);
    size_t count = 0;
    for (size_t i = 0; i < reply.len; i++)
        count += reply.data[i] == 'x';
    assert_int_equal(count, MANY_BYTES + 1); /* and that of text/plain */
    desk_done(&desk);
}

TEST_CASE(a_client_that_reads_nothing_does_not_keep_a_query_for_ever)
{
    static const char *const targets[] = {"/logs/?query=a", "/logs/?query=huge"};
    struct desk desk;
    desk_init(&desk,
              (struct node_logs_options){.has_query = true, .query_timeout_ns = 50 * NS_PER_MS});
    script(&desk, UNITS "head -c 8388608 /dev/zero | tr '\\0' x");
    write_file(&desk, "huge", "");
    assert_int_equal(truncate(in(&desk, "huge"), 20 * MiB), 0);
    for (size_t k = 0; k < ARRAY_SIZE(targets); k++) {
        AUTO(fd) int fd = ask(&desk, targets[k], "");
        loop_turn(desk.loop, 0);
        assert_int_equal(node_logs_transfer_count(desk.logs), 1);
        for (int i = 0; i < 1000 && node_logs_transfer_count(desk.logs) > 0; i++)
            loop_turn(desk.loop, NS_PER_MS);
        assert_int_equal(node_logs_transfer_count(desk.logs), 0);
    }
    desk_done(&desk);
}

TEST_CASE(a_query_ends_with_its_client_or_the_server)
{
    struct desk desk;
    desk_init(&desk, querying);
    script(&desk, UNITS "echo some; exec sleep 100");
    AUTO(buf) struct buf reply;
    buf_init(&reply, REPLY_MAX_BYTES);
    int fds[4];
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fds[i] = ask(&desk, "/logs/?query=a", "");
    for (int i = 0; i < TURNS && !strstr(buf_text(&reply), "some"); i++) {
        loop_turn(desk.loop, NS_PER_MS);
        (void)take(fds[3], &reply);
    }
    assert_int_equal(node_logs_transfer_count(desk.logs), 4);
    const char *got = reply_to(&desk, "/logs/?query=a", "");
    assert_non_null(strstr(got, "\n\n4 log queries are being answered already"));
    for (size_t i = 0; i < 3; i++)
        fd_close(&fds[i]);
    for (int i = 0; i < TURNS && node_logs_transfer_count(desk.logs) > 1; i++)
        loop_turn(desk.loop, NS_PER_MS);
    assert_int_equal(node_logs_transfer_count(desk.logs), 1);
    desk_done(&desk);
    fd_close(&fds[3]);
}

TEST_MAIN(TEST(files_and_folders_are_served_as_gos_file_server_does),
          TEST(a_huge_file_waits_for_a_slow_client), TEST(a_file_that_is_cut_breaks_the_answer_off),
          TEST(clients_may_go_and_so_may_the_server),
          TEST(there_is_a_limit_to_what_is_read_at_once),
          TEST(queries_are_answered_by_the_journal_and_files),
          TEST(a_node_without_a_journal_has_files), TEST(queries_that_may_not_be_are_refused),
          TEST(an_answer_is_compressed_for_who_wants_nothing_else),
          TEST(a_journal_that_takes_too_long_is_killed),
          TEST(a_chatty_journal_waits_for_a_slow_client),
          TEST(a_client_that_reads_nothing_does_not_keep_a_query_for_ever),
          TEST(a_query_ends_with_its_client_or_the_server))
