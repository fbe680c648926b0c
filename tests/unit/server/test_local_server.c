/* The server on its socket, over the pod engine on its bench. One thread: the client never blocks,
 * the loop is turned. */
#include "server/local_internal.h"
#include "server/streaming.h"
#include "stats/summary_collector.h"
#include "tests/unit/pod/pods_bench.h"
#include "wire/json.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#define REPLY_MAX_BYTES (16 * MiB)
#define TURNS 20000
#define WEB                                                                                        \
    "containers: [{name: a, image: 'img:1'}, {name: b, image: 'img:1'}], "                         \
    "terminationGracePeriodSeconds: 1"
#define LINE "2026-11-21T03:00:00Z stdout F "

struct desk {
    struct bench bench;
    struct local_server *server;
    struct local_server_options options;
};

static void desk_init(struct desk *desk)
{
    bench_init(&desk->bench);
    bench_start(&desk->bench);
    desk->options = (struct local_server_options){
        .socket_path = bench_path(&desk->bench, "run/cubelet.sock"),
        .node_name = "n",
        .version = "v1",
        .runtime_name = "fake",
        .runtime_version = "0",
        .pod_logs_dir = bench_path(&desk->bench, "logs"),
    };
    assert_no_error(local_server_new(desk->bench.loop, desk->bench.pool, desk->bench.pods, NULL,
                                     &desk->options, &desk->server));
}

static void desk_done(struct desk *desk)
{
    local_server_free(desk->server);
    bench_done(&desk->bench);
}

/* --- a client --- */

static int dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static int ask(struct desk *desk, const char *request_line)
{
    int fd = dial(desk->options.socket_path);
    AUTO(free) char *request = xasprintf("%s\r\nHost: x\r\n\r\n", request_line);
    assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    return fd;
}

/* Takes what is there. True at the end. */
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
        if (text ? strstr(buf_text(reply), text) != NULL : ended)
            return;
        if (ended)
            break;
        loop_turn(desk->bench.loop, NS_PER_MS);
    }
    fail_msg("never: %s in '%s'", text ? text : "(end)", buf_text(reply));
}

/* The whole reply to @request_line, ended by the server. */
static void reply_to(struct desk *desk, const char *request_line, struct buf *ret)
{
    AUTO(fd) int fd = ask(desk, request_line);
    read_until(desk, fd, ret, NULL);
}

static void assert_reply(struct desk *desk, const char *request_line, const char *status,
                         const char *body)
{
    AUTO(buf) struct buf reply;
    buf_init(&reply, REPLY_MAX_BYTES);
    reply_to(desk, request_line, &reply);
    const char *split = strstr(buf_text(&reply), "\r\n\r\n");
    assert_non_null(split);
    if (!strstr(buf_text(&reply), status) || strcmp(split + 4, body) != 0)
        fail_msg("%s: %s", request_line, buf_text(&reply));
}

/* @request: method and path. */
static void assert_refusal(struct desk *desk, const char *request, int code, const char *reason,
                           const char *message)
{
    AUTO(buf) struct buf body;
    buf_init(&body, 4 * KiB);
    buf_add_text(
        &body, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
               "\"message\":");
    json_add_string(&body, str_from(message));
    buf_printf(&body, ",\"reason\":\"%s\",\"code\":%d}\n", reason, code);
    AUTO(free) char *status = xasprintf(" %d ", code);
    AUTO(free) char *request_line = xasprintf("%s HTTP/1.0", request);
    assert_reply(desk, request_line, status, buf_text(&body));
}

/* --- what it says --- */

TEST_CASE(pods_status_and_events_are_served_as_json)
{
    struct desk desk;
    desk_init(&desk);
    assert_reply(&desk, "GET /pods HTTP/1.0", "HTTP/1.1 200 OK",
                 "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[]}\n");
    bench_want(&desk.bench, "web", WEB);
    bench_tell(&desk.bench);
    bench_rest(&desk.bench);

    AUTO(buf) struct buf reply;
    buf_init(&reply, REPLY_MAX_BYTES);
    reply_to(&desk, "GET /pods?all=1 HTTP/1.0", &reply);
    assert_non_null(strstr(buf_text(&reply), "content-type: application/json"));
    assert_non_null(strstr(buf_text(&reply), "\"name\":\"web-n\""));
    assert_non_null(strstr(buf_text(&reply), "\"phase\":\"Running\""));
    assert_null(strstr(buf_text(&reply), "deletionTimestamp"));
    buf_clear(&reply);
    reply_to(&desk, "GET /status HTTP/1.0", &reply);
    assert_non_null(strstr(buf_text(&reply), "\"nodeName\":\"n\",\"version\":\"v1\""));
    assert_non_null(strstr(
        buf_text(&reply), "\"pods\":{\"desired\":1,\"running\":1,\"orphans\":0},\"settled\":true"));
    assert_non_null(strstr(buf_text(&reply),
                           "\"type\":\"Ready\",\"status\":\"True\",\"reason\":\"KubeletReady\""));
    buf_clear(&reply);
    reply_to(&desk, "GET /events?namespace=default&pod=web-n HTTP/1.0", &reply);
    assert_non_null(strstr(buf_text(&reply), "\"fieldPath\":\"spec.containers{a}\""));
    assert_non_null(strstr(buf_text(&reply), "\"reason\":\"Started\""));
    assert_reply(&desk, "GET /events?pod=other HTTP/1.0", " 200 ",
                 "{\"kind\":\"EventList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[]}\n");
    desk_done(&desk);
}

TEST_CASE(what_pods_wait_for_is_told)
{
    struct desk desk;
    desk_init(&desk);
    bench_want(&desk.bench, "web", WEB);
    bench_want(&desk.bench, "ill", "containers: [{name: c, image: 'absent:1'}]");
    bench_tell(&desk.bench);
    bench_rest(&desk.bench);
    assert_reply(&desk, "GET /why?namespace=default&pod=web-n HTTP/1.0", " 200 ",
                 "{\"pods\":[{\"namespace\":\"default\",\"name\":\"web-n\",\"uid\":\"u-web\","
                 "\"phase\":\"Running\",\"ready\":true,\"waits\":[]}]}\n");
    assert_reply(&desk, "GET /why?pod=other HTTP/1.0", " 200 ", "{\"pods\":[]}\n");
    AUTO(buf) struct buf reply;
    buf_init(&reply, REPLY_MAX_BYTES);
    reply_to(&desk, "GET /why?pod=ill-n HTTP/1.0", &reply);
    assert_non_null(strstr(buf_text(&reply), "\"phase\":\"Pending\",\"ready\":false"));
    assert_non_null(
        strstr(buf_text(&reply), "\"container\":\"c\",\"reason\":\"ImagePullBackOff\""));
    assert_non_null(strstr(buf_text(&reply), "\"until\":\"20"));
    desk_done(&desk);
}

TEST_CASE(what_is_not_served_is_refused_as_kubernetes_does)
{
    static const struct {
        const char *request;
        int code;
        const char *reason, *message;
    } rows[] = {
        {"GET /nothing", 404, "NotFound", "the local socket has no path /nothing"},
        {"DELETE /pods", 405, "MethodNotAllowed", "the local socket takes nothing but GET"},
        {"GET /pods/web", 404, "NotFound", "the local socket has no path /pods/web"},
        {"GET /logs/default", 404, "NotFound", "the local socket has no path /logs/default"},
        {"GET /exec/default/web-n", 404, "NotFound",
         "the local socket has no path /exec/default/web-n"},
        {"GET /stats/other", 404, "NotFound", "the local socket has no path /stats/other"},
        {"POST /exec/default/web-n/a", 405, "MethodNotAllowed",
         "the local socket takes nothing but GET"},
        {"GET /exec/default/web-n/a?output=1", 503, "ServiceUnavailable",
         "the node agent is still starting"},
        {"GET /attach/default/web-n/a?output=1", 503, "ServiceUnavailable",
         "the node agent is still starting"},
        {"GET /stats/summary", 503, "ServiceUnavailable", "the node agent is still starting"},
        {"GET /logs/default/web-n/a?tailLines=x", 400, "BadRequest", "Unable to decode query."},
        {"GET /logs/default/db-n/a", 404, "NotFound", "pod \"db-n\" does not exist"},
        {"GET /logs/other/web-n/a", 404, "NotFound", "pod \"web-n\" does not exist"},
        {"GET /logs/default/web-n/x", 404, "NotFound",
         "container \"x\" not found in pod \"web-n\""},
        {"GET /logs/default/web-n/a?tailLines=-1", 422, "Invalid", "Invalid request."},
        {"GET /logs/default/web-n/a?previous=true", 400, "BadRequest",
         "previous terminated container \"a\" in pod \"web-n\" not found"},
        {"GET /logs/default/stuck-n/a", 400, "BadRequest",
         "container \"a\" in pod \"stuck-n\" is waiting to start: ErrImageNeverPull"},
    };
    struct desk desk;
    desk_init(&desk);
    bench_want(&desk.bench, "web", WEB);
    bench_want(&desk.bench, "stuck",
               "containers: [{name: a, image: 'absent:1', imagePullPolicy: Never}]");
    bench_tell(&desk.bench);
    bench_until(&desk.bench,
                strcmp(bench_state(&desk.bench, "u-stuck", "a"), "ErrImageNeverPull") == 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_refusal(&desk, rows[i].request, rows[i].code, rows[i].reason, rows[i].message);
    desk_done(&desk);
}

TEST_CASE(commands_are_answered_as_by_the_nodes_own_api)
{
    static const struct {
        const char *request, *status, *body;
    } rows[] = {
        {"GET /exec/default/web-n/a HTTP/1.0", " 400 ",
         "you must specify at least 1 of stdin, stdout, stderr"},
        {"GET /exec/default/db-n/a?output=1 HTTP/1.0", " 404 ", "pod does not exist"},
        {"GET /exec/default/web-n/x?output=1 HTTP/1.0", " 500 ", "container not found (\"x\")"},
        {"GET /attach/default/web-n/x?output=1 HTTP/1.0", " 500 ",
         "container x not found in pod web-n_default"},
    };
    struct desk desk;
    desk_init(&desk);
    bench_want(&desk.bench, "web", WEB);
    bench_tell(&desk.bench);
    bench_rest(&desk.bench);
    const struct streaming_options options = {
        .loop = desk.bench.loop, .pool = desk.bench.pool, .pods = desk.bench.pods};
    AUTO(streaming) struct streaming *streaming = streaming_new(&options);
    const struct local_server_engines engines = {.streaming = streaming};
    local_server_set_engines(desk.server, &engines);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_reply(&desk, rows[i].request, rows[i].status, rows[i].body);
    desk_done(&desk);
}

/* --- figures: a collector that answers when the case says so --- */

struct summary_collector {
    struct summary_request *request; /* under way */
    enum summary_scope scope;
    size_t cancelled;
};

struct summary_request {
    struct summary_collector *collector;
    summary_on_done *on_done;
    void *ctx;
};

struct summary_request *summary_collect_start(struct summary_collector *collector,
                                              enum summary_scope scope, summary_on_done *on_done,
                                              void *ctx)
{
    assert_null(collector->request);
    collector->scope = scope;
    collector->request = xcalloc(1, sizeof(*collector->request));
    *collector->request =
        (struct summary_request){.collector = collector, .on_done = on_done, .ctx = ctx};
    return collector->request;
}

void summary_collect_cancel(struct summary_request *request)
{
    request->collector->cancelled++;
    free(TAKE(request->collector->request));
}

static void answer_summary(struct summary_collector *collector, struct error *err)
{
    static const struct summary summary = {.node.name = "n"};
    const struct summary_request request = *collector->request;
    free(TAKE(collector->request));
    request.on_done(request.ctx, err ? NULL : &summary, err);
}

TEST_CASE(figures_are_told_when_they_have_been_collected)
{
    struct desk desk;
    desk_init(&desk);
    struct summary_collector collector = {0};
    const struct local_server_engines engines = {.summaries = &collector};
    local_server_set_engines(desk.server, &engines);
    AUTO(buf) struct buf reply;
    buf_init(&reply, REPLY_MAX_BYTES);
    AUTO(fd) int whole = ask(&desk, "GET /stats/summary HTTP/1.0");
    bench_until(&desk.bench, collector.request != NULL);
    assert_int_equal(collector.scope, SUMMARY_FULL);
    answer_summary(&collector, NULL);
    read_until(&desk, whole, &reply, NULL);
    assert_non_null(strstr(buf_text(&reply), " 200 "));
    assert_non_null(strstr(buf_text(&reply), "\"nodeName\": \"n\""));

    buf_clear(&reply);
    AUTO(fd) int part = ask(&desk, "GET /stats/summary?only_cpu_and_memory=true HTTP/1.0");
    bench_until(&desk.bench, collector.request != NULL);
    assert_int_equal(collector.scope, SUMMARY_CPU_AND_MEMORY);
    answer_summary(&collector, error_new(ERROR_UNAVAILABLE, "no figures"));
    read_until(&desk, part, &reply, NULL);
    assert_non_null(strstr(buf_text(&reply), " 503 "));
    assert_non_null(strstr(buf_text(&reply), "\"message\":\"no figures\""));
    assert_int_equal(collector.cancelled, 0);
    desk_done(&desk);
}

TEST_CASE(who_goes_away_waits_for_no_figures)
{
    struct desk desk;
    desk_init(&desk);
    struct summary_collector collector = {0};
    const struct local_server_engines engines = {.summaries = &collector};
    local_server_set_engines(desk.server, &engines);
    AUTO(fd) int fd = ask(&desk, "GET /stats/summary HTTP/1.0");
    bench_until(&desk.bench, collector.request != NULL);
    fd_close(&fd);
    bench_until(&desk.bench, collector.cancelled == 1);
    desk_done(&desk);
}

/* --- the socket --- */

TEST_CASE(the_socket_is_for_its_owner_and_goes_with_the_server)
{
    struct desk desk;
    desk_init(&desk);
    struct stat made;
    assert_int_equal(lstat(desk.options.socket_path, &made), 0);
    assert_int_equal(made.st_mode, S_IFSOCK | 0600);
    assert_int_equal(stat(bench_path(&desk.bench, "run"), &made), 0);
    assert_int_equal(made.st_mode & 0777, 0700);

    struct local_server *second = NULL;
    AUTO(free)
    char *want = xasprintf("local socket %s is in use by another cubelet (pid %d); stop it or give "
                           "--local-socket",
                           desk.options.socket_path, getpid());
    assert_error_message(local_server_new(desk.bench.loop, desk.bench.pool, desk.bench.pods, NULL,
                                          &desk.options, &second),
                         want);
    assert_null(second);
    local_server_free(TAKE(desk.server));
    assert_int_equal(lstat(desk.options.socket_path, &made), -1);
    desk_done(&desk);
}

TEST_CASE(a_socket_that_nobody_answers_is_replaced_but_a_file_is_not)
{
    struct desk desk;
    desk_init(&desk);
    struct local_server_options options = desk.options;
    options.socket_path = bench_path(&desk.bench, "run/stale.sock");
    int stale;
    uint64_t inode;
    assert_no_error(local_socket_listen(options.socket_path, &stale, &inode));
    fd_close(&stale);
    struct local_server *second = NULL;
    assert_no_error(local_server_new(desk.bench.loop, desk.bench.pool, desk.bench.pods, NULL,
                                     &options, &second));
    local_server_free(TAKE(second));

    options.socket_path = bench_path(&desk.bench, "run/file");
    bench_write(options.socket_path, "precious");
    assert_error_code(local_server_new(desk.bench.loop, desk.bench.pool, desk.bench.pods, NULL,
                                       &options, &second),
                      ERROR_FAILED_PRECONDITION);
    assert_true(bench_exists(&desk.bench, "run/file"));
    desk_done(&desk);
}

/* --- logs --- */

static char *log_path(struct desk *desk, const char *container)
{
    char *path = pods_log_path(desk->bench.pods, "u-web", container, false);
    assert_non_null(path);
    AUTO(free) char *dir = path_dir(path);
    assert_no_error(fd_mkdir_all(dir, 0755));
    return path;
}

static void append(const char *path, const char *text)
{
    AUTO(fd) int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* A desk with pod web that runs; returns the path of the log of its first container. */
static char *desk_with_web(struct desk *desk)
{
    desk_init(desk);
    bench_want(&desk->bench, "web", WEB);
    bench_tell(&desk->bench);
    bench_rest(&desk->bench);
    return log_path(desk, "a");
}

TEST_CASE(a_log_is_shown_without_its_headers)
{
    static const struct {
        const char *request, *status, *body;
    } rows[] = {
        {"GET /logs/default/web-n/a HTTP/1.0", "HTTP/1.1 200 OK", "one\ntwo\n"},
        {"GET /logs/default/web-n HTTP/1.0", " 200 ", "one\ntwo\n"},
        {"GET /logs/default/web-n/- HTTP/1.0", " 200 ", "one\ntwo\n"},
        {"GET /logs/default/web-n/b HTTP/1.0", " 200 ", "other\n"},
        {"GET /logs/default/web-n/a?tailLines=1&timestamps=1 HTTP/1.0", " 200 ",
         "2026-11-21T03:00:00.000000000Z two\n"},
        {"GET /logs/default/web-n/a?limitBytes=5 HTTP/1.0", " 200 ", "one\nt"},
        {"GET /logs/default/web-n/a HTTP/1.1", "HTTP/1.1 200 OK", "8\r\none\ntwo\n\r\n0\r\n\r\n"},
    };
    struct desk desk;
    AUTO(free) char *path = desk_with_web(&desk);
    AUTO(free) char *other = log_path(&desk, "b");
    append(path, LINE "one\n" LINE "two\n");
    append(other, LINE "other\n");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_reply(&desk, rows[i].request, rows[i].status, rows[i].body);
    assert_int_equal(truncate(path, 0), 0);
    assert_reply(&desk, "GET /logs/default/web-n/a HTTP/1.0", " 200 ", "");
    append(path, "no log line\n");
    assert_refusal(&desk, "GET /logs/default/web-n/a", 500, "InternalError",
                   "failed to get parse function: unsupported log format: \"no log line\\n\"");
    assert_int_equal(log_server_stream_count(desk.server->logs), 0);
    desk_done(&desk);
}

TEST_CASE(a_long_log_reaches_a_slow_client_whole)
{
    enum { LINES = 40000 };
    struct desk desk;
    AUTO(free) char *path = desk_with_web(&desk);
    AUTO(buf) struct buf text, reply;
    buf_init(&text, REPLY_MAX_BYTES);
    buf_init(&reply, REPLY_MAX_BYTES);
    for (int i = 0; i < LINES; i++)
        buf_printf(&text, LINE "line %05d of a long log\n", i);
    append(path, buf_text(&text));
    AUTO(fd) int fd = ask(&desk, "GET /logs/default/web-n/a HTTP/1.0");
    for (int i = 0; i < 200; i++)
        loop_turn(desk.bench.loop, 0); /* it reads nothing for a while */
    assert_int_equal(log_server_stream_count(desk.server->logs), 1);
    read_until(&desk, fd, &reply, NULL);
    const char *body = strstr(buf_text(&reply), "\r\n\r\n") + 4;
    assert_int_equal(strlen(body), LINES * strlen("line 00000 of a long log\n"));
    assert_non_null(strstr(body, "line 39999 of a long log\n"));
    desk_done(&desk);
}

TEST_CASE(a_follower_sees_lines_as_they_come_through_a_rotation_to_the_end)
{
    struct desk desk;
    AUTO(free) char *path = desk_with_web(&desk);
    AUTO(free) char *rotated = xasprintf("%s.1", path);
    AUTO(buf) struct buf reply;
    buf_init(&reply, REPLY_MAX_BYTES);
    append(path, LINE "one\n" LINE "two\n");
    AUTO(fd) int fd = ask(&desk, "GET /logs/default/web-n/a?follow=true&tailLines=1 HTTP/1.0");
    read_until(&desk, fd, &reply, "\r\n\r\ntwo\n");
    append(path, LINE "three\n" LINE "fo");
    read_until(&desk, fd, &reply, "two\nthree\nfo");
    append(path, "ur\n");
    read_until(&desk, fd, &reply, "three\nfour\n");
    assert_int_equal(rename(path, rotated), 0);
    append(path, LINE "five\n");
    read_until(&desk, fd, &reply, "four\nfive\n");

    bench_drop(&desk.bench, "u-web");
    bench_tell(&desk.bench);
    bench_until(&desk.bench, fake_runtime_running(desk.bench.fake, "web-n", NULL) == 0);
    struct stat there;
    if (stat(path, &there) == 0)
        append(path, LINE "last\n");
    read_until(&desk, fd, &reply, NULL);
    assert_int_equal(log_server_stream_count(desk.server->logs), 0);
    desk_done(&desk);
}

TEST_CASE(a_client_that_goes_away_ends_its_stream)
{
    struct desk desk;
    AUTO(free) char *path = desk_with_web(&desk);
    AUTO(buf) struct buf reply;
    buf_init(&reply, REPLY_MAX_BYTES);
    append(path, LINE "one\n");
    AUTO(fd) int fd = ask(&desk, "GET /logs/default/web-n/a?follow=true HTTP/1.1");
    read_until(&desk, fd, &reply, "one\n");
    assert_int_equal(log_server_stream_count(desk.server->logs), 1);
    fd_close(&fd);
    bench_until(&desk.bench, log_server_stream_count(desk.server->logs) == 0);
    desk_done(&desk);
}

TEST_CASE(the_server_can_go_while_logs_are_followed)
{
    struct desk desk;
    AUTO(free) char *path = desk_with_web(&desk);
    AUTO(buf) struct buf reply;
    buf_init(&reply, REPLY_MAX_BYTES);
    append(path, LINE "one\n");
    AUTO(fd) int waiting = ask(&desk, "GET /logs/default/web-n/a?follow=true HTTP/1.0");
    read_until(&desk, waiting, &reply, "one\n");
    AUTO(fd) int just_begun = ask(&desk, "GET /logs/default/web-n/a?follow=true HTTP/1.0");
    bench_until(&desk.bench, log_server_stream_count(desk.server->logs) == 2);
    desk_done(&desk);
}

TEST_CASE(there_is_a_limit_to_logs_being_read)
{
    struct desk desk;
    AUTO(free) char *path = desk_with_web(&desk);
    append(path, LINE "one\n");
    int fds[LOCAL_MAX_LOG_STREAMS];
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = ask(&desk, "GET /logs/default/web-n/a?follow=true HTTP/1.0");
        bench_until(&desk.bench, log_server_stream_count(desk.server->logs) == i + 1);
    }
    assert_refusal(&desk, "GET /logs/default/web-n/a", 429, "TooManyRequests",
                   "32 logs are being read already");
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fd_close(&fds[i]);
    bench_until(&desk.bench, log_server_stream_count(desk.server->logs) == 0);
    desk_done(&desk);
}

TEST_MAIN(TEST(pods_status_and_events_are_served_as_json), TEST(what_pods_wait_for_is_told),
          TEST(what_is_not_served_is_refused_as_kubernetes_does),
          TEST(commands_are_answered_as_by_the_nodes_own_api),
          TEST(figures_are_told_when_they_have_been_collected),
          TEST(who_goes_away_waits_for_no_figures),
          TEST(the_socket_is_for_its_owner_and_goes_with_the_server),
          TEST(a_socket_that_nobody_answers_is_replaced_but_a_file_is_not),
          TEST(a_log_is_shown_without_its_headers), TEST(a_long_log_reaches_a_slow_client_whole),
          TEST(a_follower_sees_lines_as_they_come_through_a_rotation_to_the_end),
          TEST(a_client_that_goes_away_ends_its_stream),
          TEST(the_server_can_go_while_logs_are_followed),
          TEST(there_is_a_limit_to_logs_being_read))
