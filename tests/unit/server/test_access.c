#include "server/access.h"

#include "tests/lib/test.h"

TEST_CASE(a_path_is_below_one_root_and_wants_its_subresources)
{
    static const struct {
        const char *path, *first, *second;
    } rows[] = {
        {"/stats", "stats", NULL},
        {"/stats/", "stats", NULL},
        {"/stats/summary", "stats", NULL},
        {"/statsx", "proxy", NULL},
        {"/Stats", "proxy", NULL},
        {"/metrics", "metrics", NULL},
        {"/metrics/cadvisor", "metrics", NULL},
        {"/metrics/slis", "metrics", NULL},
        {"/metrics/probes", "metrics", NULL},
        {"/metrics/resource", "metrics", NULL},
        {"/logs", "log", NULL},
        {"/logs/", "log", NULL},
        {"/logs/syslog", "log", NULL},
        {"/checkpoint", "checkpoint", NULL},
        {"/checkpoint/ns/pod/c", "checkpoint", NULL},
        {"/statusz", "statusz", NULL},
        {"/flagz", "configz", NULL},
        {"/pods", "pods", "proxy"},
        {"/pods/", "pods", "proxy"},
        {"/podsx", "proxy", NULL},
        {"/runningpods/", "pods", "proxy"},
        {"/healthz", "healthz", "proxy"},
        {"/healthz/ping", "healthz", "proxy"},
        {"/configz", "configz", "proxy"},
        {"/run/ns/pod/c", "proxy", NULL},
        {"/exec/ns/pod/c", "proxy", NULL},
        {"/attach/ns/pod/c", "proxy", NULL},
        {"/portForward/ns/pod", "proxy", NULL},
        {"/containerLogs/ns/pod/c", "proxy", NULL},
        {"/debug/pprof/heap", "proxy", NULL},
        {"/debug/flags/v", "proxy", NULL},
        {"/", "proxy", NULL},
        {"", "proxy", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct access access = access_of("GET", rows[i].path);
        if (!text_eq(access.subresources[0], rows[i].first) ||
            !text_eq(access.subresources[1], rows[i].second) ||
            access.count != (rows[i].second ? 2 : 1))
            fail_msg("%s: %s", rows[i].path, access.subresources[0]);
    }
}

TEST_CASE(a_method_has_a_verb_or_none)
{
    static const char *const rows[][2] = {
        {"GET", "get"},       {"POST", "create"}, {"PUT", "update"}, {"PATCH", "patch"},
        {"DELETE", "delete"}, {"HEAD", ""},       {"OPTIONS", ""},   {"CONNECT", ""},
        {"get", ""},          {"PROPFIND", ""},   {"", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(access_of(rows[i][0], "/pods").verb, rows[i][1]);
}

TEST_MAIN(TEST(a_path_is_below_one_root_and_wants_its_subresources),
          TEST(a_method_has_a_verb_or_none))
