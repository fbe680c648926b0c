/* The way of a request through the node's own API: which endpoint answers on which port, who is
 * asked first, what is said of what is not there, and what is counted. */
#include "node_bench.h"
#include "server/streaming.h"
#include "tests/lib/loopback.h"

#include <sys/mman.h>

#define JSON_ERROR "406: Not Acceptable\n\nAvailable representations: application/json"
#define PLAIN_404 "404 page not found\n"

/* A server with all three ports. */
static struct node_bench *start_all(bool has_debug)
{
    struct node_bench *bench = node_bench_new();
    bench->config.enable_debugging_handlers = has_debug;
    bench->config.read_only_port = loopback_free_port();
    bench->config.healthz_port = loopback_free_port();
    node_bench_start(bench);
    return bench;
}

/* Lets whoever waits behind @fd have what they wait for, and takes the reply. */
static struct node_reply finish(struct node_bench *bench, int fd)
{
    static const struct summary nothing = {.node = {.name = "n"}};
    if (bench->summaries.request)
        node_bench_summary(bench, &nothing, NULL);
    if (bench->records.ask)
        node_bench_records(bench, NULL);
    return node_bench_reply(bench, fd);
}

/* --- routes --- */

/* The beginning of a body tells who wrote it. */
static const struct route {
    const char *line, *wish; /* NULL: the guard is not asked */
    unsigned status;
    const char *body;
} routes[] = {
    {"GET /healthz", "get healthz proxy", 200, "ok"},
    {"DELETE /healthz/ping", "delete healthz proxy", 200, "ok"},
    {"GET /healthz/log", "get healthz proxy", 200, "ok"},
    {"GET /healthz/syncloop", "get healthz proxy", 200, "ok"},
    {"GET /metrics", "get metrics", 200, "# HELP kubelet_http_inflight_requests"},
    {"GET /metrics/cadvisor", "get metrics", 200, "# HELP cadvisor_version_info"},
    {"GET /metrics/resource", "get metrics", 200, "# HELP "},
    {"GET /metrics/probes", "get metrics", 200, ""},
    {"GET /metrics/slis", "get metrics", 200, "# HELP process_start_time_seconds"},
    {"GET /pods", "get pods proxy", 200, "{\"kind\":\"PodList\""},
    {"GET /pods/", "get pods proxy", 200, "{\"kind\":\"PodList\""},
    {"GET /stats/summary", "get stats", 200, "{\n \"node\": {"},
    {"POST /stats/summary", "create stats", 200, "{\n \"node\": {"},
    {"POST /run/ns/none/c?cmd=ls", "create proxy", 404, "pod does not exist"},
    {"POST /run/ns/none/uid/c?cmd=ls", "create proxy", 404, "pod does not exist"},
    {"POST /exec/ns/none/c?output=1", "create proxy", 404, "pod does not exist"},
    {"GET /exec/ns/none/uid/c?output=1", "get proxy", 404, "pod does not exist"},
    {"POST /attach/ns/none/c?output=1", "create proxy", 404, "pod does not exist"},
    {"POST /portForward/ns/none", "create proxy", 404, "pod does not exist"},
    {"GET /containerLogs/ns/none/c", "get proxy", 404, "pod \"none\" does not exist"},
    {"POST /checkpoint/ns/none/c", "create checkpoint", 404, "pod does not exist"},
    {"GET /runningpods/", "get pods proxy", 200, "{\"kind\":\"PodList\""},
    {"GET /logs/", "get log", 200, "<!doctype html>"},
    {"GET /debug/pprof/cmdline", "get proxy", 200, "build"},
    {"PUT /debug/flags/v", "update proxy", 400, "failed set klog.logging.verbosity"},
    {"GET /configz", "get configz proxy", 200, "{\"kubeletconfig\":{\"kind\":\"KubeletConf"},
    {"GET /flagz", "get configz", 200, "\nkubelet flagz\n"},
    {"GET /statusz", "get statusz", 200, "\nkubelet statusz\n"},
    /* in a service, though nothing is there: not everybody is told */
    {"GET /stats/nothing", "get stats", 404, "404: Page Not Found"},
    {"GET /exec", "get proxy", 404, "404: Page Not Found"},
    {"POST /pods", "create pods proxy", 405, "405: Method Not Allowed"},
    {"HEAD /pods", " pods proxy", 405, ""},
    {"OPTIONS /runningpods/", " pods proxy", 405, "405: Method Not Allowed"},
    /* to anybody */
    {"GET /", NULL, 404, PLAIN_404},
    {"GET /nope", NULL, 404, PLAIN_404},
    {"GET /metrics/", NULL, 404, PLAIN_404},
    {"GET /metrics/none", NULL, 404, PLAIN_404},
    {"GET /spec", NULL, 404, PLAIN_404},
    {"GET /stats", NULL, 307, "<a href=\"/stats/\">Temporary Redirect</a>.\n\n"},
    {"POST /logs", NULL, 307, ""},
};

TEST_CASE(every_route_has_its_handler_and_asks_for_its_right)
{
    AUTO(node_bench) struct node_bench *bench = start_all(true);
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        const struct route *route = &routes[i];
        size_t asked = bench->guard.asked;
        int fd = node_bench_send(bench, NODE_PORT_MAIN, route->line, "");
        const struct node_reply reply = finish(bench, fd);
        if (reply.status != route->status || !strstr(reply.body, route->body))
            fail_msg("%s: %u %s", route->line, reply.status, reply.body);
        assert_int_equal(bench->guard.asked - asked, route->wish ? 1 : 0);
        if (route->wish)
            assert_string_equal(bench->guard.wish, route->wish);
    }
}

TEST_CASE(who_may_not_gets_the_guards_answer_and_no_handler_runs)
{
    static const struct {
        unsigned status;
        const char *text;
    } verdicts[] = {{401, "Unauthorized"},
                    {403, "Forbidden (user=bob, verb=get, resource=nodes, subresource(s)=[x])\n"},
                    {500, "Authorization error (user=bob, verb=get, resource=nodes, x)"}};
    AUTO(node_bench) struct node_bench *bench = start_all(true);
    for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
        bench->guard.status = verdicts[i].status;
        bench->guard.text = verdicts[i].text;
        for (size_t k = 0; k < ARRAY_SIZE(routes); k++) {
            if (!routes[k].wish)
                continue;
            const struct node_reply reply =
                node_bench_ask(bench, NODE_PORT_MAIN, routes[k].line, "");
            assert_int_equal(reply.status, verdicts[i].status);
            bool is_head = text_has_prefix(routes[k].line, "HEAD");
            assert_string_equal(reply.body, is_head ? "" : verdicts[i].text);
            assert_string_equal(node_reply_field(bench, &reply, "content-type"),
                                "text/plain; charset=utf-8");
            assert_null(node_reply_field(bench, &reply, "www-authenticate"));
        }
    }
    assert_int_equal(bench->summaries.asked + bench->records.asked, 0);
    assert_null(bench->runtime.asked);
}

TEST_CASE(a_verdict_may_take_its_time)
{
    AUTO(node_bench) struct node_bench *bench = start_all(true);
    bench->guard.is_slow = true;
    int fd = node_bench_send(bench, NODE_PORT_MAIN, "GET /healthz", "");
    assert_non_null(bench->guard.call);
    node_bench_judge(bench);
    assert_string_equal(node_bench_reply(bench, fd).body, "ok");

    bench->guard.status = 403;
    bench->guard.text = "Forbidden";
    fd = node_bench_send(bench, NODE_PORT_MAIN, "GET /healthz", "");
    node_bench_judge(bench);
    assert_int_equal(node_bench_reply(bench, fd).status, 403);
    assert_int_equal(bench->guard.cancelled, 0);
}

TEST_CASE(a_client_that_goes_ends_what_it_waited_for)
{
    AUTO(node_bench) struct node_bench *bench = start_all(true);
    fd_close(&(int){node_bench_send(bench, NODE_PORT_MAIN, "GET /stats/summary", "")});
    node_bench_settle(bench);
    assert_int_equal(bench->summaries.cancelled, 1);
    fd_close(&(int){node_bench_send(bench, NODE_PORT_MAIN, "GET /metrics/cadvisor", "")});
    node_bench_settle(bench);
    assert_int_equal(bench->records.cancelled, 1);
    bench->guard.is_slow = true;
    fd_close(&(int){node_bench_send(bench, NODE_PORT_MAIN, "GET /pods", "")});
    node_bench_settle(bench);
    assert_int_equal(bench->guard.cancelled, 1);
    /* The one that does not go is served all the same. */
    bench->guard.is_slow = false;
    assert_int_equal(node_bench_ask(bench, NODE_PORT_MAIN, "GET /pods", "").status, 200);
}

TEST_CASE(a_server_that_ends_leaves_nobody_waiting)
{
    AUTO(node_bench) struct node_bench *bench = start_all(true);
    AUTO(fd) int summary = node_bench_send(bench, NODE_PORT_MAIN, "GET /metrics", "");
    AUTO(fd) int records = node_bench_send(bench, NODE_PORT_MAIN, "GET /metrics/cadvisor", "");
    bench->guard.is_slow = true;
    AUTO(fd) int guarded = node_bench_send(bench, NODE_PORT_MAIN, "GET /pods", "");
    node_server_free(TAKE(bench->server));
    assert_int_equal(bench->summaries.cancelled, 1);
    assert_int_equal(bench->records.cancelled, 1);
    assert_int_equal(bench->guard.cancelled, 1);
}

/* --- what does not fit --- */

TEST_CASE(a_wrong_method_is_told_which_are_right)
{
    static const struct {
        const char *line, *allow;
    } rows[] = {{"POST /pods", "GET"},
                {"HEAD /pods", "GET"},
                {"PUT /stats/summary", "GET, POST"},
                {"GET /run/ns/p/c", "POST"},
                {"DELETE /exec/ns/p/c", "GET, POST"},
                {"GET /checkpoint/ns/p/c", "POST"},
                {"HEAD /logs/", "GET"},
                {"POST /debug/pprof/heap", "GET"}};
    AUTO(node_bench) struct node_bench *bench = start_all(true);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct node_reply reply = node_bench_ask(bench, NODE_PORT_MAIN, rows[i].line, "");
        assert_int_equal(reply.status, 405);
        assert_string_equal(node_reply_field(bench, &reply, "allow"), rows[i].allow);
        assert_string_equal(node_reply_field(bench, &reply, "content-length"), "23");
        assert_null(node_reply_field(bench, &reply, "x-content-type-options"));
    }
}

TEST_CASE(who_does_not_take_json_is_refused_where_there_is_nothing_else)
{
    AUTO(node_bench) struct node_bench *bench = start_all(true);
    static const char *const lines[] = {"GET /pods", "GET /runningpods/", "POST /stats/summary",
                                        "POST /checkpoint/ns/p/c"};
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        const struct node_reply reply =
            node_bench_ask(bench, NODE_PORT_MAIN, lines[i], "accept: text/plain\r\n");
        assert_int_equal(reply.status, 406);
        assert_string_equal(reply.body, JSON_ERROR);
    }
    /* Everywhere else the field says nothing. */
    assert_int_equal(
        node_bench_ask(bench, NODE_PORT_MAIN, "GET /configz", "accept: text/plain\r\n").status,
        200);
}

TEST_CASE(redirects_come_from_before_the_guard)
{
    static const struct {
        const char *line, *location, *body;
    } rows[] = {
        {"GET /logs", "/logs/", "<a href=\"/logs/\">Temporary Redirect</a>.\n\n"},
        {"GET /stats?a=1&b=%22%3C", "/stats/?a=1&b=%22%3C",
         "<a href=\"/stats/?a=1&amp;b=%22%3C\">Temporary Redirect</a>.\n\n"},
        {"GET /checkpoint?'\"<>", "/checkpoint/?'\"<>",
         "<a href=\"/checkpoint/?&#39;&#34;&lt;&gt;\">Temporary Redirect</a>.\n\n"},
        {"GET //pods/./x/..", "/pods", "<a href=\"/pods\">Temporary Redirect</a>.\n\n"},
        {"HEAD /runningpods", "/runningpods/", ""},
        {"PUT /debug/pprof", "/debug/pprof/", ""},
    };
    AUTO(node_bench) struct node_bench *bench = start_all(true);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct node_reply reply = node_bench_ask(bench, NODE_PORT_MAIN, rows[i].line, "");
        const char *type = node_reply_field(bench, &reply, "content-type");
        assert_int_equal(reply.status, 307);
        assert_string_equal(node_reply_field(bench, &reply, "location"), rows[i].location);
        assert_string_equal(reply.body, rows[i].body);
        if (text_has_prefix(rows[i].line, "PUT"))
            assert_null(type);
        else
            assert_string_equal(type, "text/html; charset=utf-8");
    }
    assert_int_equal(bench->guard.asked, 0);
}

TEST_CASE(an_unknown_path_is_nobodys_secret)
{
    AUTO(node_bench) struct node_bench *bench = start_all(true);
    bench->guard.status = 401;
    bench->guard.text = "Unauthorized";
    const struct node_reply reply = node_bench_ask(bench, NODE_PORT_MAIN, "GET /nope", "");
    assert_int_equal(reply.status, 404);
    assert_string_equal(reply.body, PLAIN_404);
    assert_string_equal(node_reply_field(bench, &reply, "content-type"),
                        "text/plain; charset=utf-8");
    assert_string_equal(node_reply_field(bench, &reply, "x-content-type-options"), "nosniff");
}

TEST_CASE(a_head_has_the_fields_of_a_get_and_no_body)
{
    AUTO(node_bench) struct node_bench *bench = start_all(true);
    const struct node_reply reply = node_bench_ask(bench, NODE_PORT_MAIN, "HEAD /healthz", "");
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "");
    assert_string_equal(node_reply_field(bench, &reply, "content-length"), "2");
    assert_string_equal(bench->guard.wish, " healthz proxy");
}

TEST_CASE(a_command_may_be_a_script)
{
    AUTO(node_bench) struct node_bench *bench = start_all(true);
    struct arena *arena = bench->pods.arena;
    char *script = arena_alloc(arena, 40 * KiB + 1);
    memset(script, 'a', 40 * KiB);
    const char *line =
        arena_printf(arena, "POST /exec/ns/none/c?output=1&command=sh&command=%s", script);
    const struct node_reply reply = node_bench_ask(bench, NODE_PORT_MAIN, line, "");
    assert_int_equal(reply.status, 404);
    assert_string_equal(reply.body, "pod does not exist");
}

/* --- ports and switches --- */

TEST_CASE(without_debug_handlers_the_rest_says_so_or_is_not_there)
{
    static const struct {
        const char *line;
        unsigned status;
        const char *body;
    } rows[] = {
        {"GET /pods", 200, "{\"kind\":\"PodList\""},
        {"GET /healthz", 200, "ok"},
        {"GET /run/", 405, "Debug endpoints are disabled.\n"},
        {"POST /exec/ns/p/c", 405, "Debug endpoints are disabled.\n"},
        {"GET /attach/x", 405, "Debug endpoints are disabled.\n"},
        {"GET /portForward/x", 405, "Debug endpoints are disabled.\n"},
        {"GET /containerLogs/ns/p/c", 405, "Debug endpoints are disabled.\n"},
        {"PATCH /runningpods/", 405, "Debug endpoints are disabled.\n"},
        {"GET /debug/pprof/", 405, "Debug endpoints are disabled.\n"},
        {"GET /logs/", 405, "Debug endpoints are disabled.\n"},
        {"GET /configz", 404, PLAIN_404},
        {"GET /flagz", 404, PLAIN_404},
        {"GET /statusz", 404, PLAIN_404},
        {"POST /checkpoint/ns/p/c", 404, PLAIN_404},
        {"PUT /debug/flags/v", 404, PLAIN_404},
        {"GET /exec", 307, "<a href=\"/exec/\">"},
    };
    AUTO(node_bench) struct node_bench *bench = start_all(false);
    static const enum node_port ports[] = {NODE_PORT_MAIN, NODE_PORT_READ_ONLY};
    for (size_t k = 0; k < ARRAY_SIZE(ports); k++) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
            const struct node_reply reply = node_bench_ask(bench, ports[k], rows[i].line, "");
            if (reply.status != rows[i].status || !text_has_prefix(reply.body, rows[i].body))
                fail_msg("%s: %u %s", rows[i].line, reply.status, reply.body);
            if (reply.status == 405)
                assert_null(node_reply_field(bench, &reply, "allow"));
        }
    }
    /* On 10250 they are found out first. */
    bench->guard.status = 401;
    bench->guard.text = "Unauthorized";
    assert_int_equal(node_bench_ask(bench, NODE_PORT_MAIN, "GET /run/", "").status, 401);
    assert_int_equal(node_bench_ask(bench, NODE_PORT_READ_ONLY, "GET /run/", "").status, 405);
}

TEST_CASE(the_read_only_port_asks_nobody_and_never_has_debug_handlers)
{
    AUTO(node_bench) struct node_bench *bench = start_all(true);
    bench->guard.status = 401;
    bench->guard.text = "Unauthorized";
    static const struct {
        const char *line;
        unsigned status;
    } rows[] = {{"GET /healthz", 200},          {"GET /pods", 200},
                {"GET /metrics", 200},          {"GET /metrics/cadvisor", 200},
                {"GET /metrics/resource", 200}, {"GET /metrics/probes", 200},
                {"GET /metrics/slis", 200},     {"GET /stats/summary", 200},
                {"POST /run/ns/p/c", 405},      {"GET /logs/", 405},
                {"GET /configz", 404},          {"GET /statusz", 404}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int fd = node_bench_send(bench, NODE_PORT_READ_ONLY, rows[i].line, "");
        const struct node_reply reply = finish(bench, fd);
        if (reply.status != rows[i].status)
            fail_msg("%s: %u %s", rows[i].line, reply.status, reply.body);
    }
    assert_int_equal(bench->guard.asked, 0);
}

TEST_CASE(the_health_port_proves_that_the_process_lives_and_no_more)
{
    AUTO(node_bench) struct node_bench *bench = start_all(true);
    /* The runtime has been away for long: nothing that a restart of the agent would help. */
    bench->server->is_runtime_lost = true;
    bench->server->runtime_lost_ns = loop_now_mono_ns(bench->pods.loop) - 3600 * NS_PER_SEC;
    static const struct {
        const char *line;
        unsigned status;
        const char *body;
    } rows[] = {{"GET /healthz", 200, "ok"},
                {"GET /healthz/ping", 200, "ok"},
                {"GET /healthz?verbose", 200, "[+]ping ok\nhealthz check passed\n"},
                {"GET /healthz/syncloop", 404, PLAIN_404},
                {"GET /metrics", 404, PLAIN_404},
                {"GET /pods", 404, PLAIN_404}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct node_reply reply = node_bench_ask(bench, NODE_PORT_HEALTHZ, rows[i].line, "");
        assert_int_equal(reply.status, rows[i].status);
        assert_string_equal(reply.body, rows[i].body);
    }
    assert_int_equal(bench->guard.asked, 0);
    AUTO(free) char *text = metrics_text(bench->metrics);
    assert_string_equal(text, "");
}

TEST_CASE(a_port_that_is_taken_is_named)
{
    AUTO(node_bench) struct node_bench *bench = node_bench_new();
    uint16_t port = 0;
    AUTO(fd) int taken = loopback_listen(1, &port);
    const struct node_server_parts parts = {
        .loop = bench->pods.loop, .pods = bench->pods.pods, .metrics = bench->metrics};
    struct node_server *server = NULL;
    bench->config.port = port;
    AUTO(error) struct error *err = node_server_new(&parts, &bench->options, &server);
    assert_non_null(err);
    assert_non_null(strstr(err->message, "address already in use"));
    assert_true(text_has_prefix(err->message, "port: listen tcp 127.0.0.1:"));
    assert_null(server);

    /* Health is tried again. */
    bench->config.port = 0;
    bench->config.healthz_port = port;
    node_bench_start(bench);
    assert_true(loop_timer_is_armed(bench->server->healthz_retry));
    assert_int_equal(node_bench_ask(bench, NODE_PORT_MAIN, "GET /healthz", "").status, 200);
}

TEST_CASE(enable_server_false_takes_the_main_port_alone)
{
    AUTO(node_bench) struct node_bench *bench = node_bench_new();
    bench->options.is_main_served = false;
    bench->config.read_only_port = loopback_free_port();
    node_bench_start(bench);
    assert_null(bench->server->listeners[NODE_PORT_MAIN].http);
    assert_null(bench->server->listeners[NODE_PORT_HEALTHZ].http);
    node_server_set_tls(bench->server, NULL);
    assert_int_equal(node_bench_ask(bench, NODE_PORT_READ_ONLY, "GET /pods", "").status, 200);
}

/* --- figures --- */

static const char *counted(struct node_bench *bench)
{
    AUTO(free) char *text = metrics_text(bench->metrics);
    return arena_strdup(bench->pods.arena, text);
}

TEST_CASE(requests_are_counted_by_what_they_are_for)
{
    static const struct {
        enum node_port port;
        const char *line, *labels;
    } rows[] = {
        {NODE_PORT_MAIN, "GET /pods", "long_running=false,method=GET,path=pods,"},
        {NODE_PORT_MAIN, "GET /metrics/slis", "long_running=false,method=GET,path=other,"},
        {NODE_PORT_MAIN, "GET /metrics/probes",
         "long_running=false,method=GET,path=metrics/probes"},
        {NODE_PORT_MAIN, "PATCH /nope/a/b", "long_running=false,method=other,path=other,"},
        {NODE_PORT_MAIN, "PUT /debug/flags/v", "long_running=true,method=PUT,path=debug,"},
        {NODE_PORT_MAIN, "POST /exec/a/b/c", "long_running=true,method=POST,path=exec,"},
        {NODE_PORT_MAIN, "POST /attach/a/b/c", "long_running=true,method=POST,path=attach,"},
        {NODE_PORT_MAIN, "POST /portForward/a/b", "long_running=false,method=POST,path=portForwar"},
        {NODE_PORT_MAIN, "GET /logs", "long_running=false,method=GET,path=logs,"},
        {NODE_PORT_READ_ONLY, "GET /healthz", "long_running=false,method=GET,path=healthz,"},
    };
    AUTO(node_bench) struct node_bench *bench = start_all(true);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        (void)node_bench_ask(bench, rows[i].port, rows[i].line, "");
        const char *type = rows[i].port == NODE_PORT_MAIN ? "readwrite" : "readonly";
        const char *text = counted(bench);
        const char *found =
            strstr(text, arena_printf(bench->pods.arena, "_total{%s", rows[i].labels));
        if (!found || !strstr(found, arena_printf(bench->pods.arena, "server_type=%s} 1\n", type)))
            fail_msg("%s: %s", rows[i].line, text);
    }
}

TEST_CASE(requests_under_way_are_counted_as_such_and_their_time_when_they_end)
{
    static const char series[] = "{long_running=false,method=GET,path=stats,server_type=readwrite}";
    static const struct summary nothing = {.node = {.name = "n"}};
    AUTO(node_bench) struct node_bench *bench = start_all(true);
    struct arena *arena = bench->pods.arena;
    const char *in_flight = arena_printf(arena, "kubelet_http_inflight_requests%s ", series);
    const char *ended = arena_printf(arena, "duration_seconds%s ", series);
    int fd = node_bench_send(bench, NODE_PORT_MAIN, "GET /stats/summary", "");
    assert_non_null(strstr(counted(bench), arena_printf(arena, "%s1\n", in_flight)));
    assert_null(strstr(counted(bench), ended));
    node_bench_summary(bench, &nothing, NULL);
    (void)node_bench_reply(bench, fd);
    assert_non_null(strstr(counted(bench), arena_printf(arena, "%s0\n", in_flight)));
    assert_non_null(strstr(counted(bench), arena_printf(arena, "%s1 sum ", ended)));

    /* So it is when the client goes. */
    fd_close(&(int){node_bench_send(bench, NODE_PORT_MAIN, "GET /stats/summary", "")});
    node_bench_settle(bench);
    assert_non_null(strstr(counted(bench), arena_printf(arena, "%s0\n", in_flight)));
    assert_non_null(strstr(counted(bench), arena_printf(arena, "%s2 sum ", ended)));
}

TEST_CASE(a_stream_is_under_way_until_it_is_closed)
{
    static const char series[] =
        "{long_running=true,method=POST,path=attach,server_type=readwrite}";
    AUTO(node_bench) struct node_bench *bench = start_all(true);
    struct arena *arena = bench->pods.arena;
    const char *in_flight = arena_printf(arena, "kubelet_http_inflight_requests%s ", series);
    const char *ended = arena_printf(arena, "duration_seconds%s ", series);
    bench_want(&bench->pods, "web", BENCH_WEB);
    bench_tell(&bench->pods);
    bench_rest(&bench->pods);
    uint16_t port = 0;
    AUTO(fd) int listener = loopback_listen(1, &port);
    Cri__AttachResponse reply = CRI__ATTACH_RESPONSE__INIT;
    reply.url = arena_printf(arena, "http://127.0.0.1:%u/attach/TOKEN", (unsigned)port);
    AUTO(fd)
    int client = node_bench_send(bench, NODE_PORT_MAIN, "POST /attach/default/web-n/c?output=1",
                                 "connection: upgrade\r\nupgrade: SPDY/3.1\r\n");
    node_bench_runtime(bench, &reply.base, NULL);
    node_bench_settle(bench);
    assert_int_equal(streaming_session_count(bench->streaming), 1);
    assert_non_null(strstr(counted(bench), arena_printf(arena, "%s1\n", in_flight)));
    assert_null(strstr(counted(bench), ended));
    fd_close(&client);
    bench_until(&bench->pods, streaming_session_count(bench->streaming) == 0);
    node_bench_settle(bench);
    assert_non_null(strstr(counted(bench), arena_printf(arena, "%s0\n", in_flight)));
    assert_non_null(strstr(counted(bench), arena_printf(arena, "%s1 sum ", ended)));
}

TEST_CASE(each_request_is_a_line_in_the_log_for_who_wants_that)
{
    AUTO(node_bench) struct node_bench *bench = start_all(true);
    AUTO(fd) int log = memfd_create("log", MFD_CLOEXEC);
    assert_true(log >= 0);
    log_set_fd(log);
    (void)node_bench_ask(bench, NODE_PORT_MAIN, "GET /healthz", "");
    assert_int_equal(lseek(log, 0, SEEK_CUR), 0);
    log_set_verbosity(3);
    (void)node_bench_ask(bench, NODE_PORT_MAIN, "PUT /logs/a%20b?x=1&y=%22",
                         "user-agent: kubectl/v1\r\n");
    log_set_verbosity(0);
    log_set_fd(bench->pods.log_fd);
    char text[KiB] = "";
    assert_true(pread(log, text, sizeof(text) - 1, 0) > 0);
    assert_non_null(strstr(text, "\"HTTP\" verb=\"PUT\" URI=\"/logs/a%20b?x=1&y=%22\" "));
    assert_non_null(strstr(text, " userAgent=\"kubectl/v1\" srcIP=\"@\" resp=405\n"));
}

static void note_work(void *ctx)
{
    size_t *count = ctx;
    (*count)++;
}

TEST_CASE(the_end_of_work_is_told_and_health_is_no_work)
{
    AUTO(node_bench) struct node_bench *bench = start_all(true);
    size_t count = 0;
    bench->server->options.on_work = note_work;
    bench->server->options.ctx = &count;
    (void)node_bench_ask(bench, NODE_PORT_HEALTHZ, "GET /healthz", "");
    assert_int_equal(count, 0);
    bench->guard.is_slow = true;
    AUTO(fd) int fd = node_bench_send(bench, NODE_PORT_MAIN, "GET /pods", "");
    node_bench_settle(bench);
    assert_int_equal(count, 0);
    node_bench_judge(bench);
    node_bench_settle(bench);
    assert_int_equal(count, 1);
}

TEST_CASE(no_client_can_make_more_series)
{
    AUTO(node_bench) struct node_bench *bench = start_all(true);
    static const char *const methods[] = {"PROPFIND", "REPORT", "PATCH", "MKCOL"};
    for (unsigned i = 0; i < 200; i++) {
        const char *line =
            arena_printf(bench->pods.arena, "%s /nope%u/%s", methods[i % ARRAY_SIZE(methods)], i,
                         i % 2 == 0 ? "exec" : "metrics");
        assert_int_equal(node_bench_ask(bench, NODE_PORT_MAIN, line, "").status, 404);
    }
    const char *text = counted(bench);
    size_t lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    assert_int_equal(lines, 3); /* one of each family */
}

TEST_MAIN(TEST(every_route_has_its_handler_and_asks_for_its_right),
          TEST(who_may_not_gets_the_guards_answer_and_no_handler_runs),
          TEST(a_verdict_may_take_its_time), TEST(a_client_that_goes_ends_what_it_waited_for),
          TEST(a_server_that_ends_leaves_nobody_waiting),
          TEST(a_wrong_method_is_told_which_are_right),
          TEST(who_does_not_take_json_is_refused_where_there_is_nothing_else),
          TEST(redirects_come_from_before_the_guard), TEST(an_unknown_path_is_nobodys_secret),
          TEST(a_head_has_the_fields_of_a_get_and_no_body), TEST(a_command_may_be_a_script),
          TEST(without_debug_handlers_the_rest_says_so_or_is_not_there),
          TEST(the_read_only_port_asks_nobody_and_never_has_debug_handlers),
          TEST(the_health_port_proves_that_the_process_lives_and_no_more),
          TEST(a_port_that_is_taken_is_named), TEST(enable_server_false_takes_the_main_port_alone),
          TEST(requests_are_counted_by_what_they_are_for),
          TEST(requests_under_way_are_counted_as_such_and_their_time_when_they_end),
          TEST(a_stream_is_under_way_until_it_is_closed),
          TEST(each_request_is_a_line_in_the_log_for_who_wants_that),
          TEST(the_end_of_work_is_told_and_health_is_no_work), TEST(no_client_can_make_more_series))
