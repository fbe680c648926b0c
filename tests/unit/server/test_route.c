#include "server/route.h"
#include "tests/lib/test.h"

TEST_CASE(paths_match_patterns_segment_by_segment)
{
    static const struct {
        const char *pattern, *path;
        bool match;
        const char *params[ROUTE_MAX_PARAMS];
    } rows[] = {
        {"/pods", "/pods", true, {NULL}},
        {"/pods", "/pods/", true, {NULL}},
        {"/pods", "/podsx", false, {NULL}},
        {"/pods", "/", false, {NULL}},
        {"/pods", "", false, {NULL}},
        {"/pods", "/pods/x", false, {NULL}},
        {"/pods", "/p%6Fds", true, {NULL}},
        {"/logs/:ns/:pod", "/logs/default/web", true, {"default", "web"}},
        {"/logs/:ns/:pod", "/logs/default/web/", false, {NULL}},
        {"/logs/:ns/:pod/:container", "/logs/default/web/", true, {"default", "web", ""}},
        {"/logs/:ns/:pod/:container", "/logs/default/web/a%2Fb", true, {"default", "web", "a/b"}},
        {"/logs/:ns/:pod/:container", "/logs/default/web/a%2", false, {NULL}},
        {"/logs/:ns/:pod/:container", "/logs/default/web/a%00", false, {NULL}},
        {"/logs/:ns/:pod/:container", "/logs/default/web/c/d", false, {NULL}},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *params[ROUTE_MAX_PARAMS] = {NULL};
        bool match = route_match(rows[i].pattern, str_from(rows[i].path), arena, params);
        if (match != rows[i].match)
            fail_msg("%s with %s", rows[i].pattern, rows[i].path);
        for (size_t k = 0; match && k < ROUTE_MAX_PARAMS; k++)
            assert_true(text_eq(params[k], rows[i].params[k]));
    }
}

TEST_CASE(queries_are_decoded_by_key)
{
    static const struct {
        const char *query, *key;
        bool decodes;
        const char *want;
    } rows[] = {
        {NULL, "a", true, NULL},
        {"", "a", true, NULL},
        {"a", "a", true, ""},
        {"a=", "a", true, ""},
        {"a=1", "a", true, "1"},
        {"b=2&a=1&a=3", "a", true, "1"},
        {"a=x+y%20z%3D", "a", true, "x y z="},
        {"%61=1", "a", true, "1"},
        {"a=%zz", "a", false, NULL},
        {"a=%4", "a", false, NULL},
        {"a=%", "a", false, NULL},
        {"b=%zz&a=1", "a", true, "1"},
        {"ab=1", "a", true, NULL},
        {"a=1=2", "a", true, "1=2"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *value = NULL;
        bool decodes = route_query_get(rows[i].query, rows[i].key, arena, &value);
        if (decodes != rows[i].decodes || (decodes && !text_eq(value, rows[i].want)))
            fail_msg("%s: %s", rows[i].query, value ? value : "(absent)");
    }
}

TEST_CASE(booleans_are_read_as_kubernetes_does)
{
    assert_false(route_query_bool(NULL));
    assert_false(route_query_bool("0"));
    assert_false(route_query_bool("false"));
    assert_true(route_query_bool(""));
    assert_true(route_query_bool("no"));
    assert_true(route_query_bool("true"));
}

TEST_MAIN(TEST(paths_match_patterns_segment_by_segment), TEST(queries_are_decoded_by_key),
          TEST(booleans_are_read_as_kubernetes_does))
