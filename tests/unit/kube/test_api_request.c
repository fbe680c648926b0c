#include "kube/api_request.h"

#include "tests/lib/test.h"

static const struct kube_kind *kind_named(const char *api_version, const char *name)
{
    const struct kube_kind *kind = kube_kind_find(api_version, name);
    assert_non_null(kind);
    return kind;
}

TEST_CASE(paths_are_those_the_real_kubelet_asks_for)
{
    static const struct {
        enum api_verb verb;
        const char *api_version, *kind, *namespace, *name, *subresource, *want;
    } rows[] = {
        {API_GET, "v1", "Node", NULL, "node-a", NULL, "/api/v1/nodes/node-a"},
        {API_CREATE, "v1", "Node", NULL, NULL, NULL, "/api/v1/nodes"},
        {API_LIST, "v1", "Pod", NULL, NULL, NULL, "/api/v1/pods"},
        {API_LIST, "v1", "Pod", "", NULL, NULL, "/api/v1/pods"},
        {API_LIST, "v1", "Secret", "default", NULL, NULL, "/api/v1/namespaces/default/secrets"},
        {API_PATCH_STRATEGIC, "v1", "Pod", "default", "web", "status",
         "/api/v1/namespaces/default/pods/web/status"},
        {API_CREATE, "v1", "ServiceAccount", "default", "sa", "token",
         "/api/v1/namespaces/default/serviceaccounts/sa/token"},
        {API_UPDATE, "coordination.k8s.io/v1", "Lease", "kube-node-lease", "node-a", NULL,
         "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-a"},
        {API_CREATE, "authorization.k8s.io/v1", "SubjectAccessReview", NULL, NULL, NULL,
         "/apis/authorization.k8s.io/v1/subjectaccessreviews"},
        {API_GET, "v1", "Pod", "a b", "ü", NULL, "/api/v1/namespaces/a%20b/pods/%C3%BC"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct api_request request = {.verb = rows[i].verb,
                                            .kind = kind_named(rows[i].api_version, rows[i].kind),
                                            .namespace_ = rows[i].namespace,
                                            .name = rows[i].name,
                                            .subresource = rows[i].subresource};
        const char *path = NULL;
        assert_no_error(api_request_path(&request, arena, &path));
        assert_string_equal(path, rows[i].want);
    }
}

TEST_CASE(what_is_no_path_is_refused)
{
    static const struct {
        enum api_verb verb;
        const char *kind, *namespace, *name, *subresource, *want;
    } rows[] = {
        {API_GET, "Pod", "default", NULL, NULL, "resource name may not be empty"},
        {API_GET, "Pod", "default", "", NULL, "resource name may not be empty"},
        {API_CREATE, "Pod", "default", NULL, "binding", "resource name may not be empty"},
        {API_GET, "Pod", NULL, "web", NULL,
         "an empty namespace may not be set when a resource name is provided"},
        {API_CREATE, "Pod", NULL, NULL, NULL, "an empty namespace may not be set during creation"},
        {API_GET, "Node", "default", "a", NULL, "nodes have no namespace"},
        {API_GET, "Pod", "default", "..", NULL, "invalid resource name \"..\": [may not be '..']"},
        {API_GET, "Pod", "default", "a/b", NULL,
         "invalid resource name \"a/b\": [may not contain '/']"},
        {API_GET, "Pod", "de%66", "a", NULL, "invalid namespace \"de%66\": [may not contain '%']"},
        {API_GET, "Pod", "default", "a", "../b",
         "invalid subresource \"../b\": [may not contain '/']"},
        {API_GET, "Status", NULL, "a", NULL, "Status is not a resource"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct api_request request = {.verb = rows[i].verb,
                                            .kind = kind_named("v1", rows[i].kind),
                                            .namespace_ = rows[i].namespace,
                                            .name = rows[i].name,
                                            .subresource = rows[i].subresource};
        const char *path = NULL;
        assert_error_message(api_request_path(&request, arena, &path), rows[i].want);
        assert_null(path);
    }
}

TEST_CASE(queries_are_sorted_by_name_as_go_writes_them)
{
    static const struct api_param watch[] = {
        {"timeout", "8m7s"}, {"timeoutSeconds", "487"}, {"watch", "true"}};
    static const struct api_param odd[] = {{"b c", "ü&"}, {"none", NULL}};
    AUTO(arena) struct arena *arena = arena_new(0);
    assert_string_equal(
        api_target("/api/v1/nodes",
                   "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks="
                   "true&fieldSelector=metadata.name%3Dnode-a",
                   watch, ARRAY_SIZE(watch), arena),
        "/api/v1/nodes?allowWatchBookmarks=true&fieldSelector=metadata.name%3Dnode-a&"
        "resourceVersionMatch=NotOlderThan&sendInitialEvents=true&timeout=8m7s&timeoutSeconds=487&"
        "watch=true");
    assert_string_equal(api_target("/x", NULL, NULL, 0, arena), "/x");
    assert_string_equal(api_target("/x", "", NULL, 0, arena), "/x");
    assert_string_equal(api_target("/x", "&&b=2&b=1&a&", odd, ARRAY_SIZE(odd), arena),
                        "/x?a&b=2&b=1&b%20c=%C3%BC%26");
}

TEST_CASE(a_server_is_taken_apart)
{
    static const struct {
        const char *server;
        bool prefers_tls, is_tls;
        const char *host;
        unsigned port;
        const char *base_path, *text;
    } rows[] = {
        {"https://10.0.0.1:6443", false, true, "10.0.0.1", 6443, "", "https://10.0.0.1:6443"},
        {"https://api.example/", false, true, "api.example", 443, "", "https://api.example"},
        {"http://localhost", true, false, "localhost", 80, "", "http://localhost"},
        {"https://rancher/k8s/clusters/c-1//", true, true, "rancher", 443, "/k8s/clusters/c-1",
         "https://rancher"},
        {"https://[fd00::1]:6443/a", true, true, "fd00::1", 6443, "/a", "https://[fd00::1]:6443"},
        {"https://[fd00::1]", true, true, "fd00::1", 443, "", "https://[fd00::1]"},
        {"10.0.0.1:6443", true, true, "10.0.0.1", 6443, "", "https://10.0.0.1:6443"},
        {"10.0.0.1", false, false, "10.0.0.1", 80, "", "http://10.0.0.1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct api_origin origin;
        assert_no_error(api_origin_parse(rows[i].server, rows[i].prefers_tls, arena, &origin));
        assert_int_equal(origin.is_tls, rows[i].is_tls);
        assert_string_equal(origin.host, rows[i].host);
        assert_int_equal(origin.port, rows[i].port);
        assert_string_equal(origin.base_path, rows[i].base_path);
        assert_string_equal(origin.text, rows[i].text);
    }
}

TEST_CASE(what_is_no_server_is_refused)
{
    static const char *const servers[] = {
        "",
        "https://",
        "ftp://a",
        "https://a:0",
        "https://a:x",
        "https://a:",
        "https://u:p@a",
        "https://[::1",
        "https://[::1]x",
        "https://a?b=c",
        "https://a#b",
        "https://a b",
        "https://:1",
        "https://a:70000",
        "https://a\r\nb",
    };
    for (size_t i = 0; i < ARRAY_SIZE(servers); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct api_origin origin;
        AUTO(error) struct error *err = api_origin_parse(servers[i], true, arena, &origin);
        if (!error_is(err, ERROR_INVALID_ARGUMENT))
            fail_msg("\"%s\" was taken", servers[i]);
        assert_true(text_has_prefix(err->message, "host must be a URL or a host:port pair: \""));
    }
}

TEST_MAIN(TEST(paths_are_those_the_real_kubelet_asks_for), TEST(what_is_no_path_is_refused),
          TEST(queries_are_sorted_by_name_as_go_writes_them), TEST(a_server_is_taken_apart),
          TEST(what_is_no_server_is_refused))
