#include "server/endpoint.h"

#include "base/buf.h"
#include "tests/lib/test.h"

/* One line of what comes of a request: outcome, endpoint, parameters, location, allow. */
static const char *found(enum endpoint_port port, const char *method, const char *target,
                         const char *accept, struct arena *arena)
{
    static const char *const outcomes[] = {"found",    "redirect",  "unknown",
                                           "no route", "no method", "not acceptable"};
    struct http_field field = {"accept", accept};
    struct http_request request = {.method = method,
                                   .fields = {.items = &field, .count = accept ? 1 : 0}};
    assert_null(http_target_parse(str_from(target), arena, &request.target));
    struct endpoint_match match;
    endpoint_find(port, &request, arena, &match);
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * KiB);
    buf_add_text(&out, outcomes[match.outcome]);
    if (match.outcome == ENDPOINT_FOUND)
        buf_printf(&out, " %d", (int)match.endpoint);
    for (size_t i = 0; i < ENDPOINT_MAX_PARAMS; i++) {
        if (match.params[i])
            buf_printf(&out, " %zu=%s", i, match.params[i]);
    }
    if (match.location)
        buf_printf(&out, " to %s", match.location);
    if (match.allow)
        buf_printf(&out, " allow %s", match.allow);
    return arena_strdup(arena, buf_text(&out));
}

struct row {
    const char *method, *target, *want;
};

static void check_rows(enum endpoint_port port, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const char *got = found(port, rows[i].method, rows[i].target, NULL, arena);
        if (!text_eq(got, rows[i].want))
            fail_msg("%s %s: %s, not %s", rows[i].method, rows[i].target, got, rows[i].want);
    }
}

static const char *found_text(enum endpoint endpoint, const char *params, struct arena *arena)
{
    return arena_printf(arena, "found %d%s", (int)endpoint, params);
}

TEST_CASE(every_endpoint_is_found_on_the_main_port)
{
    static const struct {
        const char *method, *target;
        enum endpoint endpoint;
        const char *params;
    } rows[] = {
        {"GET", "/healthz", ENDPOINT_HEALTHZ, " 0="},
        {"DELETE", "/healthz/syncloop?verbose", ENDPOINT_HEALTHZ, " 0=syncloop"},
        {"GET", "/metrics", ENDPOINT_METRICS, ""},
        {"HEAD", "/metrics/cadvisor", ENDPOINT_METRICS_CADVISOR, ""},
        {"GET", "/metrics/resource", ENDPOINT_METRICS_RESOURCE, ""},
        {"GET", "/metrics/probes", ENDPOINT_METRICS_PROBES, ""},
        {"DELETE", "/metrics/slis", ENDPOINT_METRICS_SLIS, ""},
        {"GET", "/pods", ENDPOINT_PODS, ""},
        {"GET", "/pods/", ENDPOINT_PODS, ""},
        {"GET", "/stats/summary", ENDPOINT_STATS_SUMMARY, ""},
        {"POST", "/stats/summary", ENDPOINT_STATS_SUMMARY, ""},
        {"POST", "/run/ns/web/c", ENDPOINT_RUN, " 0=ns 1=web 2=c"},
        {"POST", "/run/ns/web/uid/c", ENDPOINT_RUN, " 0=ns 1=web 2=c 3=uid"},
        {"GET", "/exec/ns/web/c?command=ls", ENDPOINT_EXEC, " 0=ns 1=web 2=c"},
        {"POST", "/exec/ns/web/uid/c", ENDPOINT_EXEC, " 0=ns 1=web 2=c 3=uid"},
        {"POST", "/attach/ns/web/c/", ENDPOINT_ATTACH, " 0=ns 1=web 2=c"},
        {"POST", "/portForward/ns/web", ENDPOINT_PORT_FORWARD, " 0=ns 1=web"},
        {"GET", "/portForward/ns/web/uid", ENDPOINT_PORT_FORWARD, " 0=ns 1=web 3=uid"},
        {"GET", "/containerLogs/n%2Fs/web/c", ENDPOINT_CONTAINER_LOGS, " 0=n/s 1=web 2=c"},
        {"POST", "/checkpoint/ns/web/c", ENDPOINT_CHECKPOINT, " 0=ns 1=web 2=c"},
        {"GET", "/runningpods/", ENDPOINT_RUNNING_PODS, ""},
        {"GET", "/logs/", ENDPOINT_LOGS, " 0="},
        {"GET", "/logs/apt/a%20b.log", ENDPOINT_LOGS, " 0=apt/a%20b.log"},
        {"GET", "/%6cogs/apt/", ENDPOINT_LOGS, " 0=apt/"},
        {"GET", "/debug/pprof/heap", ENDPOINT_PPROF, " 0=heap"},
        {"PUT", "/debug/flags/v", ENDPOINT_DEBUG_FLAGS, ""},
        {"GET", "/configz", ENDPOINT_CONFIGZ, ""},
        {"GET", "/flagz", ENDPOINT_FLAGZ, ""},
        {"GET", "/statusz", ENDPOINT_STATUSZ, ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const char *want = found_text(rows[i].endpoint, rows[i].params, arena);
        const char *got = found(ENDPOINT_PORT_MAIN, rows[i].method, rows[i].target, NULL, arena);
        if (!text_eq(got, want))
            fail_msg("%s %s: %s, not %s", rows[i].method, rows[i].target, got, want);
    }
}

TEST_CASE(what_is_not_there_is_told_apart)
{
    static const struct row rows[] = {
        {"GET", "/", "unknown"},
        {"GET", "/nope", "unknown"},
        {"GET", "/spec", "unknown"},
        {"GET", "/metrics/", "unknown"},
        {"GET", "/healthz/", "unknown"},
        {"GET", "/healthz/nope", "unknown"},
        {"GET", "/podsx", "unknown"},
        {"GET", "/debug/nope", "unknown"},
        {"GET", "/Pods", "unknown"},
        {"GET", "/debug%2fpprof%2fheap", "unknown"},
        {"GET", "/debug%2fpprof", "unknown"},
        {"GET", "/metrics%2fcadvisor", "unknown"},
        {"GET", "/pods%2f", "unknown"},
        {"GET", "/stats%2fsummary", "unknown"},
        {"GET", "/%2f", "unknown"},
        {"GET", "/pods/a", "no route"},
        {"GET", "/exec", "no route"},
        {"GET", "/exec/ns/web", "no route"},
        {"GET", "/exec/ns/web/u/c/d", "no route"},
        {"GET", "/stats/", "no route"},
        {"GET", "/stats/container", "no route"},
        {"GET", "/debug/pprof/", "no route"},
        {"HEAD", "/pods", "no method allow GET"},
        {"GET", "/run/ns/web/c", "no method allow POST"},
        {"PUT", "/exec/ns/web/c", "no method allow GET, POST"},
        {"GET", "/checkpoint/ns/web/c", "no method allow POST"},
    };
    check_rows(ENDPOINT_PORT_MAIN, rows, ARRAY_SIZE(rows));
}

TEST_CASE(roots_and_unclean_paths_are_redirected)
{
    static const struct row rows[] = {
        {"GET", "/stats", "redirect to /stats/"},
        {"POST", "/logs?query=a&b", "redirect to /logs/?query=a&b"},
        {"GET", "/runningpods", "redirect to /runningpods/"},
        {"GET", "/checkpoint", "redirect to /checkpoint/"},
        {"GET", "/debug/pprof", "redirect to /debug/pprof/"},
        {"GET", "//pods", "redirect to /pods"},
        {"GET", "/a/../pods?x=1", "redirect to /pods?x=1"},
        {"GET", "/logs/../../etc/", "redirect to /etc/"},
        {"GET", "/logs/./a", "redirect to /logs/a"},
        {"GET", "/nope//x", "redirect to /nope/x"},
        {"CONNECT", "/nope//x", "unknown"},
    };
    check_rows(ENDPOINT_PORT_MAIN, rows, ARRAY_SIZE(rows));
}

TEST_CASE(without_debug_handlers_their_prefixes_say_so)
{
    static const char *const disabled[] = {
        "/run/a",  "/exec/a/b/c",          "/attach/",          "/portForward/a",
        "/logs/x", "/containerLogs/a/b/c", "/debug/pprof/heap", "/runningpods/"};
    for (size_t i = 0; i < ARRAY_SIZE(disabled); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const char *got = found(ENDPOINT_PORT_MAIN_NO_DEBUG, "PATCH", disabled[i], NULL, arena);
        assert_true(text_has_prefix(got, found_text(ENDPOINT_DISABLED, "", arena)));
    }
    static const struct row rows[] = {
        {"GET", "/configz", "unknown"},       {"GET", "/flagz", "unknown"},
        {"GET", "/statusz", "unknown"},       {"POST", "/checkpoint/a/b/c", "unknown"},
        {"PUT", "/debug/flags/v", "unknown"}, {"GET", "/exec", "redirect to /exec/"},
    };
    check_rows(ENDPOINT_PORT_MAIN_NO_DEBUG, rows, ARRAY_SIZE(rows));
}

TEST_CASE(the_health_port_has_nothing_but_health)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    static const struct row rows[] = {{"GET", "/healthz/syncloop", "unknown"},
                                      {"GET", "/pods", "unknown"},
                                      {"GET", "/metrics", "unknown"}};
    check_rows(ENDPOINT_PORT_HEALTHZ, rows, ARRAY_SIZE(rows));
    assert_string_equal(found(ENDPOINT_PORT_HEALTHZ, "GET", "/healthz", NULL, arena),
                        found_text(ENDPOINT_HEALTHZ, " 0=", arena));
}

TEST_CASE(who_does_not_want_json_is_refused_where_there_is_nothing_else)
{
    static const struct {
        const char *target, *accept;
        bool want;
    } rows[] = {
        {"/pods", "text/plain", false},
        {"/pods", "text/html, application/*;q=0.5", true},
        {"/pods", "*/*", true},
        {"/stats/summary", "application/vnd.kubernetes.protobuf", false},
        {"/containerLogs/a/b/c", "text/plain", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const char *got = found(ENDPOINT_PORT_MAIN, "GET", rows[i].target, rows[i].accept, arena);
        if (text_has_prefix(got, "found") != rows[i].want)
            fail_msg("%s for %s: %s", rows[i].target, rows[i].accept, got);
    }
}

TEST_CASE(figures_are_kept_by_a_known_name)
{
    static const struct {
        enum endpoint_port port;
        const char *path, *want;
    } rows[] = {
        {ENDPOINT_PORT_MAIN, "/exec/a/b/c", "exec"},
        {ENDPOINT_PORT_MAIN, "/metrics", "metrics"},
        {ENDPOINT_PORT_MAIN, "/metrics/cadvisor", "metrics/cadvisor"},
        {ENDPOINT_PORT_MAIN, "/metrics/slis", "other"},
        {ENDPOINT_PORT_MAIN, "/debug/pprof/heap", "debug"},
        {ENDPOINT_PORT_MAIN, "/", "other"},
        {ENDPOINT_PORT_MAIN, "/healthzx", "other"},
        {ENDPOINT_PORT_MAIN, "/stats/summary", "stats"},
        {ENDPOINT_PORT_MAIN_NO_DEBUG, "/debug/pprof/heap", "other"},
        {ENDPOINT_PORT_MAIN_NO_DEBUG, "/configz", "other"},
        {ENDPOINT_PORT_MAIN_NO_DEBUG, "/run/a", "run"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(endpoint_bucket(rows[i].port, rows[i].path), rows[i].want);
    assert_true(endpoint_is_long_running("exec"));
    assert_false(endpoint_is_long_running("portForward"));
}

TEST_MAIN(TEST(every_endpoint_is_found_on_the_main_port), TEST(what_is_not_there_is_told_apart),
          TEST(roots_and_unclean_paths_are_redirected),
          TEST(without_debug_handlers_their_prefixes_say_so),
          TEST(the_health_port_has_nothing_but_health),
          TEST(who_does_not_want_json_is_refused_where_there_is_nothing_else),
          TEST(figures_are_kept_by_a_known_name))
