#include "plane/route.h"
#include "tests/lib/test.h"

static struct route parse(const char *method, const char *raw, struct arena *arena)
{
    struct http_target *target = arena_calloc(arena, 1, sizeof(*target));
    struct route route;
    assert_no_error(http_target_parse(str_from(raw), arena, target));
    route_parse(method, target, &route);
    return route;
}

static void assert_text(const char *got, const char *want)
{
    assert_string_equal(got ? got : "(none)", want ? want : "(none)");
}

TEST_CASE(a_path_and_a_method_are_a_verb_on_a_resource)
{
    static const struct {
        const char *method, *target;
        unsigned verb;
        const char *key, *namespace_, *name, *subresource;
    } rows[] = {
        {"GET", "/api/v1/pods", VERB_LIST, "pods", NULL, NULL, NULL},
        {"HEAD", "/api/v1/pods", VERB_LIST, "pods", NULL, NULL, NULL},
        {"GET", "/api/v1/pods?watch=true", VERB_WATCH, "pods", NULL, NULL, NULL},
        {"GET", "/api/v1/pods?watch=True", VERB_WATCH, "pods", NULL, NULL, NULL},
        {"GET", "/api/v1/pods?watch", VERB_WATCH, "pods", NULL, NULL, NULL},
        {"GET", "/api/v1/pods?watch=False", VERB_LIST, "pods", NULL, NULL, NULL},
        {"GET", "/api/v1/pods?watch=0", VERB_LIST, "pods", NULL, NULL, NULL},
        {"GET", "/api/v1/namespaces/a/pods/b", VERB_GET, "pods", "a", "b", NULL},
        {"GET", "/api/v1/namespaces/a/pods/b?watch=1", VERB_GET, "pods", "a", "b", NULL},
        {"GET", "/api/v1/namespaces/a/pods/b/", VERB_GET, "pods", "a", "b", NULL},
        {"GET", "//api//v1/namespaces/a/pods/b", VERB_GET, "pods", "a", "b", NULL},
        {"GET", "/api/v1/namespaces/a/pods/b%20c", VERB_GET, "pods", "a", "b c", NULL},
        {"POST", "/api/v1/namespaces/a/pods", VERB_CREATE, "pods", "a", NULL, NULL},
        {"PUT", "/api/v1/namespaces/a/pods/b/status", VERB_UPDATE, "pods", "a", "b", "status"},
        {"PATCH", "/api/v1/nodes/n", VERB_PATCH, "nodes", NULL, "n", NULL},
        {"DELETE", "/api/v1/nodes/n", VERB_DELETE, "nodes", NULL, "n", NULL},
        {"DELETE", "/api/v1/nodes", VERB_DELETE_COLLECTION, "nodes", NULL, NULL, NULL},
        {"GET", "/api/v1/namespaces", VERB_LIST, "namespaces", NULL, NULL, NULL},
        {"GET", "/api/v1/namespaces/a", VERB_GET, "namespaces", NULL, "a", NULL},
        {"PUT", "/api/v1/namespaces/a/finalize", VERB_UPDATE, "namespaces", NULL, "a", "finalize"},
        {"PUT", "/api/v1/namespaces/a/status", VERB_UPDATE, "namespaces", NULL, "a", "status"},
        {"GET", "/apis/coordination.k8s.io/v1/namespaces/a/leases/b", VERB_GET,
         "leases.coordination.k8s.io", "a", "b", NULL},
        {"POST", "/api/v1/namespaces/a/serviceaccounts/b/token", VERB_CREATE, "serviceaccounts",
         "a", "b", "token"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s %s\n", rows[i].method, rows[i].target);
        const struct route route = parse(rows[i].method, rows[i].target, arena);
        assert_int_equal(route.kind, ROUTE_RESOURCE);
        assert_int_equal(route.verb, rows[i].verb);
        assert_non_null(route.resource);
        assert_string_equal(route.resource->key, rows[i].key);
        assert_text(route.namespace_, rows[i].namespace_);
        assert_text(route.name, rows[i].name);
        assert_text(route.subresource_name, rows[i].subresource);
        assert_true(!route.subresource == !rows[i].subresource);
        assert_string_equal(route.rest, "");
    }
}

TEST_CASE(what_is_not_served_still_says_what_was_asked_for)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct route route = parse("GET", "/apis/apps/v1/namespaces/a/deployments/b", arena);
    assert_int_equal(route.kind, ROUTE_RESOURCE);
    assert_null(route.resource);
    assert_string_equal(route.group, "apps");
    assert_string_equal(route.resource_name, "deployments");
    assert_string_equal(route.namespace_, "a");
    assert_string_equal(route.name, "b");

    route = parse("GET", "/api/v1/namespaces/a/pods/b/nothing", arena);
    assert_int_equal(route.kind, ROUTE_RESOURCE);
    assert_null(route.subresource);
    assert_string_equal(route.subresource_name, "nothing");
}

TEST_CASE(a_proxied_path_is_kept_as_it_was_sent)
{
    static const struct {
        const char *target, *rest;
    } rows[] = {
        {"/api/v1/nodes/n/proxy", ""},
        {"/api/v1/nodes/n/proxy/", "/"},
        {"/api/v1/nodes/n/proxy/a%2Fb//c?d=e", "/a%2Fb//c"},
        {"//api/v1//nodes/n/proxy/logs/", "/logs/"},
        {"/api/v1/namespaces/a/pods/b:80/proxy/x", "/x"},
        {"/api/v1/namespaces/a/services/b/proxy/x", "/x"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].target);
        const struct route route = parse("GET", rows[i].target, arena);
        assert_int_equal(route.kind, ROUTE_RESOURCE);
        assert_true(route.subresource->is_proxied);
        assert_string_equal(route.rest, rows[i].rest);
    }
}

TEST_CASE(the_other_endpoints_have_kinds)
{
    static const struct {
        const char *method, *target;
        enum route_kind kind;
    } rows[] = {
        {"GET", "/", ROUTE_ROOT},
        {"GET", "/api", ROUTE_DISCOVERY},
        {"GET", "/api/", ROUTE_DISCOVERY},
        {"GET", "/api/v1", ROUTE_DISCOVERY},
        {"GET", "/apis", ROUTE_DISCOVERY},
        {"GET", "/apis/apps", ROUTE_DISCOVERY},
        {"GET", "/apis/apps/v1", ROUTE_DISCOVERY},
        {"POST", "/api/v1", ROUTE_UNKNOWN},
        {"GET", "/openapi/v2", ROUTE_OPENAPI},
        {"GET", "/openapi/v2/x", ROUTE_UNKNOWN},
        {"GET", "/openapi/v3", ROUTE_OPENAPI},
        {"GET", "/openapi/v3/api/v1", ROUTE_OPENAPI},
        {"GET", "/version", ROUTE_VERSION},
        {"GET", "/version/", ROUTE_VERSION},
        {"GET", "/versions", ROUTE_UNKNOWN},
        {"GET", "/healthz", ROUTE_HEALTH},
        {"GET", "/livez/ping", ROUTE_HEALTH},
        {"GET", "/readyz", ROUTE_HEALTH},
        {"GET", "/.well-known/openid-configuration", ROUTE_OIDC},
        {"GET", "/openid/v1/jwks", ROUTE_OIDC},
        {"GET", "/metrics", ROUTE_UNKNOWN},
        {"TRACE", "/version", ROUTE_UNKNOWN},
        {"TRACE", "/api/v1/pods", ROUTE_UNKNOWN},
        {"GET", "/api/v1/namespaces/a/pods/b/status/more", ROUTE_UNKNOWN},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s %s\n", rows[i].method, rows[i].target);
        assert_int_equal(parse(rows[i].method, rows[i].target, arena).kind, rows[i].kind);
    }
}

TEST_MAIN(TEST(a_path_and_a_method_are_a_verb_on_a_resource),
          TEST(what_is_not_served_still_says_what_was_asked_for),
          TEST(a_proxied_path_is_kept_as_it_was_sent), TEST(the_other_endpoints_have_kinds))
