/* Container logs as the node's own API gives them, over the pod engine on its bench and the HTTP
 * server on one end of a socket pair. What a kubelet answered is in tests/data/recorded. */
#include "server/log_server.h"
#include "tests/unit/pod/pods_bench.h"
#include "wire/http_server_internal.h"

#include <errno.h>
#include <sys/socket.h>

#define REPLY_MAX_BYTES (16 * MiB)
#define TURNS 20000
#define WEB                                                                                        \
    "containers: [{name: web, image: 'img:1'}, {name: b, image: 'img:1'}], "                       \
    "initContainers: [{name: init, image: 'img:1', restartPolicy: Always}], "                      \
    "terminationGracePeriodSeconds: 1"
#define LINE "2026-11-21T03:19:25.248692920Z stdout F "
#define ERR_LINE "2026-11-21T03:19:26.250086451Z stderr F "

struct desk {
    struct bench bench;
    struct log_server *logs;
    struct http_server *http;
    char *path; /* of the log of web/web */
};

/* /<namespace>/<pod>/<container> */
static void on_request(void *ctx, struct http_exchange *exchange)
{
    struct desk *desk = ctx;
    const struct http_target *target = &http_exchange_request(exchange)->target;
    assert_int_equal(target->segment_count, 3);
    const struct log_name name = {target->segments[0], target->segments[1], target->segments[2]};
    log_server_serve(desk->logs, exchange, &name, LOG_FORM_KUBELET);
}

static void desk_init(struct desk *desk, bool has_split_streams)
{
    static const struct http_server_options http = {0};
    *desk = (struct desk){0};
    bench_init(&desk->bench);
    bench_start(&desk->bench);
    const struct log_server_options options = {.pod_logs_dir = bench_path(&desk->bench, "logs"),
                                               .has_split_streams = has_split_streams,
                                               .max_streams = 3};
    desk->logs = log_server_new(desk->bench.loop, desk->bench.pool, desk->bench.pods, &options);
    desk->http = http_server_new(desk->bench.loop, &http, on_request, desk);
    bench_want(&desk->bench, "web", WEB);
    bench_tell(&desk->bench);
    bench_rest(&desk->bench);
    desk->path = pods_log_path(desk->bench.pods, "u-web", "web", false);
    assert_non_null(desk->path);
    AUTO(free) char *dir = path_dir(desk->path);
    assert_no_error(fd_mkdir_all(dir, 0755));
}

static void desk_done(struct desk *desk)
{
    log_server_free(desk->logs);
    http_server_free(desk->http);
    free(desk->path);
    bench_done(&desk->bench);
}

static void append(const char *path, const char *text)
{
    AUTO(fd) int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static int ask(struct desk *desk, const char *target)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    http_server_serve_fd(desk->http, fds[0], NULL);
    AUTO(free) char *request = xasprintf("GET %s HTTP/1.1\r\nhost: h\r\n\r\n", target);
    assert_int_equal(write(fds[1], request, strlen(request)), (ssize_t)strlen(request));
    return fds[1];
}

static bool take(int fd, struct buf *reply)
{
    char piece[16 * KiB];
    ssize_t got = recv(fd, piece, sizeof(piece), 0);
    if (got > 0)
        buf_add(reply, piece, (size_t)got);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

static void read_until(struct desk *desk, int fd, struct buf *reply, const char *text)
{
    for (int i = 0; i < TURNS; i++) {
        bool ended = take(fd, reply);
        if (strstr(buf_text(reply), text))
            return;
        if (ended)
            break;
        loop_turn(desk->bench.loop, NS_PER_MS);
    }
    fail_msg("never: %s in '%s'", text, buf_text(reply));
}

/* The reply without its date, its end being @end. */
static char *reply_to(struct desk *desk, const char *target, const char *end)
{
    AUTO(fd) int fd = ask(desk, target);
    AUTO(buf) struct buf reply, out;
    buf_init(&reply, REPLY_MAX_BYTES);
    buf_init(&out, REPLY_MAX_BYTES);
    read_until(desk, fd, &reply, end);
    const char *date = strstr(buf_text(&reply), "date: ");
    assert_non_null(date);
    buf_add(&out, buf_text(&reply), (size_t)(date - buf_text(&reply)));
    buf_add_text(&out, strstr(date, "\r\n") + 2);
    return buf_take(&out);
}

static void assert_answer(struct desk *desk, const char *target, const char *want, const char *end)
{
    AUTO(free) char *got = reply_to(desk, target, end);
    if (strcmp(got, want) != 0)
        fail_msg("%s:\n%s\nbut:\n%s", target, want, got);
}

static void assert_text(struct desk *desk, const char *target, const char *status, const char *body)
{
    AUTO(free)
    char *want = xasprintf("HTTP/1.1 %s\r\ncontent-type: text/plain; "
                           "charset=utf-8\r\ncontent-length: %zu\r\n\r\n%s",
                           status, strlen(body), body);
    assert_answer(desk, target, want, body);
}

/* In one chunk, and without a type. */
static void assert_chunked(struct desk *desk, const char *target, const char *status,
                           const char *body)
{
    AUTO(free) char *chunk = body[0] ? xasprintf("%zx\r\n%s\r\n", strlen(body), body) : xstrdup("");
    AUTO(free)
    char *want =
        xasprintf("HTTP/1.1 %s\r\ntransfer-encoding: chunked\r\n\r\n%s0\r\n\r\n", status, chunk);
    assert_answer(desk, target, want, "0\r\n\r\n");
}

/* recorded/http/errors.txt, and the rows of spec server.md §2.9 that it has not. */
#define CHUNKED NULL /* a 400 */
TEST_CASE(what_cannot_be_shown_is_refused_as_a_kubelet_does)
{
    static const struct {
        const char *target, *status, *body;
    } rows[] = {
        {"/rec/none/web", "404 Not Found", "pod \"none\" does not exist"},
        {"/default/web-n/none", "404 Not Found", "container \"none\" not found in pod \"web-n\""},
        {"/default/web-n/-", "404 Not Found", "container \"-\" not found in pod \"web-n\""},
        {"/default/web-n/web?tailLines=x", "400 Bad Request",
         "{\"message\": \"Unable to decode query.\"}"},
        {"/default/web-n/web?tailLines=-1", "422 Unprocessable Entity",
         "{\"message\": \"Invalid request.\"}"},
        {"/default/web-n/web?limitBytes=0", "422 Unprocessable Entity",
         "{\"message\": \"Invalid request.\"}"},
        {"/default/web-n/web?stream=Stdout", "400 Bad Request",
         "unable to return the given log stream: \"Stdout\". Please enable "
         "PodLogsQuerySplitStreams feature gate in kubelet"},
        {"/default/web-n/web?previous=true", CHUNKED,
         "previous terminated container \"web\" in pod \"web-n\" not found"},
        /* In which order. */
        {"/rec/none/web?tailLines=x", "400 Bad Request",
         "{\"message\": \"Unable to decode query.\"}"},
        {"/rec/none/web?tailLines=-1", "422 Unprocessable Entity",
         "{\"message\": \"Invalid request.\"}"},
        {"/default/web-n/none?stream=Stdout", "404 Not Found",
         "container \"none\" not found in pod \"web-n\""},
        {"/default/web-n/web?stream=Stdout&previous=true", "400 Bad Request",
         "unable to return the given log stream: \"Stdout\". Please enable "
         "PodLogsQuerySplitStreams feature gate in kubelet"},
    };
    struct desk desk;
    desk_init(&desk, false);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].status)
            assert_text(&desk, rows[i].target, rows[i].status, rows[i].body);
        else
            assert_chunked(&desk, rows[i].target, "400 Bad Request", rows[i].body);
    }
    desk_done(&desk);
}

TEST_CASE(a_log_comes_in_chunks_and_without_a_type)
{
    struct desk desk;
    desk_init(&desk, true);
    append(desk.path, LINE "line 5\n" ERR_LINE "line 6\n");
    static const struct {
        const char *query, *body;
    } rows[] = {
        {"", "line 5\nline 6\n"},
        {"?tailLines=1", "line 6\n"},
        {"?tailLines=0", ""},
        {"?tailLines=2&timestamps=true",
         "2026-11-21T03:19:25.248692920Z line 5\n2026-11-21T03:19:26.250086451Z line 6\n"},
        {"?stream=Stderr", "line 6\n"},
        {"?stream=Stdout&limitBytes=3", "lin"},
        {"?sinceTime=2026-11-21T03:19:26Z", "line 6\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(free) char *target = xasprintf("/default/web-n/web%s", rows[i].query);
        assert_chunked(&desk, target, "200 OK", rows[i].body);
    }
    assert_int_equal(log_server_stream_count(desk.logs), 0);
    desk_done(&desk);
}

TEST_CASE(what_goes_wrong_after_the_200_is_text_in_the_body)
{
    struct desk desk;
    desk_init(&desk, false);
    AUTO(free)
    char *missing = xasprintf("failed to try resolving symlinks in path \"%s\": lstat %s: no such "
                              "file or directory",
                              desk.path, desk.path);
    assert_int_equal(unlink(desk.path), 0);
    assert_chunked(&desk, "/default/web-n/web", "200 OK", missing);
    assert_chunked(&desk, "/default/web-n/web?follow=true", "200 OK", missing);
    append(desk.path, "no log line\n");
    assert_chunked(&desk, "/default/web-n/web?follow=true", "200 OK",
                   "failed to get parse function: unsupported log format: \"no log line\\n\"");
    desk_done(&desk);
}

TEST_CASE(a_follower_of_an_empty_log_sees_that_it_is_connected)
{
    struct desk desk;
    desk_init(&desk, false);
    append(desk.path, "");
    AUTO(buf) struct buf reply;
    buf_init(&reply, REPLY_MAX_BYTES);
    AUTO(fd) int fd = ask(&desk, "/default/web-n/web?follow=true");
    read_until(&desk, fd, &reply, "chunked\r\n\r\n");
    append(desk.path, LINE "one\n");
    read_until(&desk, fd, &reply, "4\r\none\n\r\n");
    desk_done(&desk);
}

TEST_CASE(a_follower_sees_a_rotation_whose_new_file_comes_late)
{
    struct desk desk;
    desk_init(&desk, false);
    append(desk.path, LINE "one\n");
    AUTO(free) char *rotated = xasprintf("%s.20261121-030000", desk.path);
    AUTO(buf) struct buf reply;
    buf_init(&reply, REPLY_MAX_BYTES);
    AUTO(fd) int fd = ask(&desk, "/default/web-n/web?follow=true");
    read_until(&desk, fd, &reply, "one\n");
    assert_int_equal(rename(desk.path, rotated), 0);
    for (int i = 0; i < 20; i++)
        loop_turn(desk.bench.loop, 0); /* it is missing for a while */
    assert_int_equal(log_server_stream_count(desk.logs), 1);
    append(rotated, LINE "two\n");
    append(desk.path, LINE "three\n");
    read_until(&desk, fd, &reply, "three\n");
    assert_non_null(strstr(buf_text(&reply), "two\n"));
    desk_done(&desk);
}

/* Without the pods' word the look of every half minute would, long after this case has given up. */
TEST_CASE(a_follower_ends_with_its_container)
{
    struct desk desk;
    desk_init(&desk, false);
    append(desk.path, LINE "one\n");
    AUTO(buf) struct buf reply;
    buf_init(&reply, REPLY_MAX_BYTES);
    AUTO(fd) int fd = ask(&desk, "/default/web-n/web?follow=true");
    read_until(&desk, fd, &reply, "one\n");
    bench_drop(&desk.bench, "u-web");
    bench_tell(&desk.bench);
    read_until(&desk, fd, &reply, "\r\n0\r\n\r\n");
    desk_done(&desk);
}

TEST_CASE(a_follower_that_waits_costs_nothing)
{
    struct desk desk;
    desk_init(&desk, false);
    append(desk.path, LINE "one\n");
    AUTO(buf) struct buf reply;
    buf_init(&reply, REPLY_MAX_BYTES);
    AUTO(fd) int fd = ask(&desk, "/default/web-n/web?follow=true");
    read_until(&desk, fd, &reply, "one\n");
    bench_rest(&desk.bench);
    for (int i = 0; i < 20; i++)
        loop_turn(desk.bench.loop, 0);
    assert_int_equal(work_pool_busy(desk.bench.pool), 0);
    int64_t before_ns = loop_now_mono_ns(desk.bench.loop);
    loop_turn(desk.bench.loop, 50 * NS_PER_MS);
    loop_turn(desk.bench.loop, 0); /* nothing woke it before its time */
    assert_true(loop_now_mono_ns(desk.bench.loop) - before_ns >= 45 * NS_PER_MS);
    desk_done(&desk);
}

TEST_CASE(there_is_a_limit_to_logs_being_read)
{
    struct desk desk;
    desk_init(&desk, false);
    append(desk.path, LINE "one\n");
    int fds[3];
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = ask(&desk, "/default/web-n/web?follow=true");
        bench_until(&desk.bench, log_server_stream_count(desk.logs) == i + 1);
    }
    AUTO(free)
    char *got = reply_to(&desk, "/default/web-n/web", "3 logs are being read already");
    assert_non_null(strstr(got, "HTTP/1.1 429 "));
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fd_close(&fds[i]);
    bench_until(&desk.bench, log_server_stream_count(desk.logs) == 0);
    desk_done(&desk);
}

TEST_MAIN(TEST(what_cannot_be_shown_is_refused_as_a_kubelet_does),
          TEST(a_log_comes_in_chunks_and_without_a_type),
          TEST(what_goes_wrong_after_the_200_is_text_in_the_body),
          TEST(a_follower_of_an_empty_log_sees_that_it_is_connected),
          TEST(a_follower_sees_a_rotation_whose_new_file_comes_late),
          TEST(a_follower_ends_with_its_container), TEST(a_follower_that_waits_costs_nothing),
          TEST(there_is_a_limit_to_logs_being_read))
