#include "plane/discovery.h"

#include "tests/lib/test.h"
#include "wire/json.h"

#define V2 "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
#define V2BETA1 "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
#define PROTOBUF "application/vnd.kubernetes.protobuf"

static const struct doc_node *parse(const struct buf *json, struct arena *arena)
{
    const struct doc_parse_options options = {.max_bytes = 16 * MiB, .reject_duplicates = true};
    const struct doc_node *node;
    assert_no_error(json_parse(buf_str(json), &options, arena, &node));
    return node;
}

/* NULL when it is answered; *ret->body is the caller's to release. */
static Meta__Status *ask(const char *path, const char *accept, struct arena *arena,
                         struct discovery_reply *ret)
{
    struct http_target target;
    assert_no_error(http_target_parse(str_from(path), arena, &target));
    *ret = (struct discovery_reply){0};
    buf_init(&ret->body, 16 * MiB);
    return discovery_reply(&target, accept, "https://10.0.0.1:6443", arena, ret);
}

static const struct doc_node *get(const char *path, const char *accept, struct arena *arena)
{
    struct discovery_reply reply;
    assert_null(ask(path, accept, arena, &reply));
    assert_int_equal(reply.code, 200);
    const struct doc_node *node = parse(&reply.body, arena);
    buf_done(&reply.body);
    return node;
}

static const char *text_at(const struct doc_node *node, const char *key)
{
    const struct doc_node *value = doc_get(node, key);
    return value && value->kind == DOC_STRING ? value->string.ptr : "(none)";
}

/* The item of an array whose @key is @value. */
static const struct doc_node *find(const struct doc_node *array, const char *key, const char *value)
{
    assert_non_null(array);
    for (size_t i = 0; i < array->array.count; i++) {
        if (strcmp(text_at(array->array.items[i], key), value) == 0)
            return array->array.items[i];
    }
    return NULL;
}

static const char *joined(const struct doc_node *array, struct arena *arena)
{
    const char *text = "";
    for (size_t i = 0; array && i < array->array.count; i++)
        text = arena_printf(arena, "%s%s%s", text, i > 0 ? "," : "",
                            array->array.items[i]->string.ptr);
    return text;
}

/* --- the plain form --- */

TEST_CASE(the_core_group_names_its_versions_and_the_server)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *node = get("/api", "", arena);
    assert_string_equal(text_at(node, "kind"), "APIVersions");
    assert_string_equal(joined(doc_get(node, "versions"), arena), "v1");
    const struct doc_node *address = doc_get(node, "serverAddressByClientCIDRs")->array.items[0];
    assert_string_equal(text_at(address, "clientCIDR"), "0.0.0.0/0");
    assert_string_equal(text_at(address, "serverAddress"), "10.0.0.1:6443");
}

TEST_CASE(groups_are_listed_and_found)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *list = get("/apis/", "application/json", arena);
    assert_string_equal(text_at(list, "kind"), "APIGroupList");
    const struct doc_node *groups = doc_get(list, "groups");
    assert_null(find(groups, "name", ""));
    const struct doc_node *listed = find(groups, "name", "coordination.k8s.io");
    assert_non_null(listed);
    const struct doc_node *found = get("/apis/coordination.k8s.io", "*/*", arena);
    assert_string_equal(text_at(found, "kind"), "APIGroup");
    assert_string_equal(text_at(doc_get(listed, "preferredVersion"), "groupVersion"),
                        "coordination.k8s.io/v1");
    assert_string_equal(text_at(doc_get(found, "preferredVersion"), "version"), "v1");
    assert_int_equal(doc_get(found, "versions")->array.count, 1);
}

TEST_CASE(resources_say_what_may_be_done_with_them)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *list = get("/api/v1", "application/json", arena);
    assert_string_equal(text_at(list, "kind"), "APIResourceList");
    assert_string_equal(text_at(list, "groupVersion"), "v1");
    const struct doc_node *resources = doc_get(list, "resources");

    const struct doc_node *pods = find(resources, "name", "pods");
    assert_string_equal(text_at(pods, "kind"), "Pod");
    assert_string_equal(text_at(pods, "singularName"), "pod");
    assert_true(doc_get(pods, "namespaced")->boolean);
    assert_string_equal(joined(doc_get(pods, "verbs"), arena),
                        "create,delete,deletecollection,get,list,patch,update,watch");
    assert_string_equal(joined(doc_get(pods, "shortNames"), arena), "po");
    assert_string_equal(joined(doc_get(pods, "categories"), arena), "all");
    /* As a real server says it. */
    assert_string_equal(text_at(pods, "storageVersionHash"), "xPOwRZ+Yhw8=");
    assert_string_equal(text_at(find(resources, "name", "configmaps"), "storageVersionHash"),
                        "qFsyl6wFWjQ=");
    assert_false(doc_get(find(resources, "name", "nodes"), "namespaced")->boolean);
}

TEST_CASE(subresources_say_the_kind_of_their_body)
{
    static const struct {
        const char *name, *kind, *group, *verbs;
    } rows[] = {
        {"pods/status", "Pod", "(none)", "get,patch,update"},
        {"pods/log", "Pod", "(none)", "get"},
        {"pods/exec", "PodExecOptions", "(none)", "create,get"},
        {"pods/binding", "Binding", "(none)", "create"},
        {"pods/eviction", "Eviction", "policy", "create"},
        {"serviceaccounts/token", "TokenRequest", "authentication.k8s.io", "create"},
        {"nodes/proxy", "NodeProxyOptions", "(none)", "create,delete,get,patch,update"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *resources = doc_get(get("/api/v1", "", arena), "resources");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct doc_node *part = find(resources, "name", rows[i].name);
        assert_non_null(part);
        assert_string_equal(text_at(part, "kind"), rows[i].kind);
        assert_string_equal(text_at(part, "group"), rows[i].group);
        assert_string_equal(text_at(part, "singularName"), "");
        assert_string_equal(joined(doc_get(part, "verbs"), arena), rows[i].verbs);
    }
}

TEST_CASE(resources_are_ordered_by_name)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *resources = doc_get(get("/api/v1", "", arena), "resources");
    for (size_t i = 1; i < resources->array.count; i++)
        assert_true(strcmp(text_at(resources->array.items[i - 1], "name"),
                           text_at(resources->array.items[i], "name")) < 0);
}

TEST_CASE(discovery_is_said_in_protobuf_and_yaml_as_well)
{
    static const char *const paths[] = {"/api", "/apis", "/apis/storage.k8s.io", "/api/v1",
                                        "/apis/storage.k8s.io/v1"};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct discovery_reply json, protobuf, yaml;
        assert_null(ask(paths[i], "application/json", arena, &json));
        assert_null(ask(paths[i], PROTOBUF ", application/json", arena, &protobuf));
        assert_null(ask(paths[i], "application/yaml", arena, &yaml));
        assert_string_equal(protobuf.content_type, PROTOBUF);
        const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
        const struct kube_kind *kinds[3];
        ProtobufCMessage *objects[3];
        assert_no_error(kube_decode_any(buf_str(&json.body), KUBE_JSON, &options, arena, &kinds[0],
                                        &objects[0]));
        assert_no_error(kube_decode_any(buf_str(&protobuf.body), KUBE_PROTOBUF, &options, arena,
                                        &kinds[1], &objects[1]));
        assert_no_error(kube_decode_any(buf_str(&yaml.body), KUBE_YAML, &options, arena, &kinds[2],
                                        &objects[2]));
        assert_ptr_equal(kinds[0], kinds[1]);
        assert_true(kube_message_eq(objects[0], objects[1]));
        assert_true(kube_message_eq(objects[0], objects[2]));
        buf_done(&json.body);
        buf_done(&protobuf.body);
        buf_done(&yaml.body);
    }
}

/* --- the aggregated form --- */

TEST_CASE(aggregated_discovery_says_everything_at_once)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *core = get("/api", V2 "," V2BETA1 ",application/json", arena);
    assert_string_equal(text_at(core, "kind"), "APIGroupDiscoveryList");
    assert_string_equal(text_at(core, "apiVersion"), "apidiscovery.k8s.io/v2");
    assert_int_equal(doc_get(core, "items")->array.count, 1);
    const struct doc_node *group = doc_get(core, "items")->array.items[0];
    assert_null(doc_get(doc_get(group, "metadata"), "name"));
    const struct doc_node *version = find(doc_get(group, "versions"), "version", "v1");
    assert_string_equal(text_at(version, "freshness"), "Current");
    const struct doc_node *pods = find(doc_get(version, "resources"), "resource", "pods");
    assert_string_equal(text_at(pods, "scope"), "Namespaced");
    assert_string_equal(text_at(pods, "singularResource"), "pod");
    assert_string_equal(text_at(doc_get(pods, "responseKind"), "kind"), "Pod");
    const struct doc_node *eviction =
        find(doc_get(pods, "subresources"), "subresource", "eviction");
    assert_string_equal(text_at(doc_get(eviction, "responseKind"), "group"), "policy");
    assert_string_equal(joined(doc_get(eviction, "verbs"), arena), "create");

    const struct doc_node *groups = doc_get(get("/apis", V2BETA1, arena), "items");
    assert_true(groups->array.count > 1);
    for (size_t i = 0; i < groups->array.count; i++)
        assert_non_null(doc_get(doc_get(groups->array.items[i], "metadata"), "name"));
}

TEST_CASE(the_form_of_discovery_is_the_clients_choice)
{
    static const struct {
        const char *path, *accept, *want;
    } rows[] = {
        {"/api", V2 "," V2BETA1 ",application/json", V2},
        {"/apis", V2BETA1 "," V2, V2BETA1},
        {"/apis", "application/json;v=v3;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList," V2, V2},
        {"/api", "application/json," V2, "application/json"},
        {"/api", PROTOBUF "," V2, PROTOBUF},
        {"/api", "", "application/json"},
        {"/api/v1", V2 ",application/json", "application/json"},
        {"/apis/storage.k8s.io", V2 ",application/json", "application/json"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct discovery_reply reply;
        assert_null(ask(rows[i].path, rows[i].accept, arena, &reply));
        assert_string_equal(reply.content_type, rows[i].want);
        buf_done(&reply.body);
    }
}

TEST_CASE(what_is_not_there_or_not_offered_is_refused)
{
    static const struct {
        const char *path, *accept;
        int code;
    } rows[] = {
        {"/api/v2", "", 404},
        {"/api/v1/pods", "", 404},
        {"/apis/example.com", "", 404},
        {"/apis/storage.k8s.io/v2", "", 404},
        {"/apis/storage.k8s.io/v1/x", "", 404},
        {"/other", "", 404},
        {"/api/v1", "text/html", 406},
        {"/api/v1", "application/json;as=Table;g=meta.k8s.io;v=v1", 406},
        {"/api/v1", V2, 406},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct discovery_reply reply;
        Meta__Status *failure = ask(rows[i].path, rows[i].accept, arena, &reply);
        assert_non_null(failure);
        assert_int_equal(failure->code, rows[i].code);
        buf_done(&reply.body);
    }
}

/* --- at the root --- */

TEST_CASE(the_version_is_that_of_the_release_offered)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf out;
    buf_init(&out, 64 * KiB);
    discovery_version(&out);
    const struct doc_node *version = parse(&out, arena);
    assert_string_equal(text_at(version, "major"), "1");
    assert_string_equal(text_at(version, "minor"), "36");
    assert_true(text_has_prefix(text_at(version, "gitVersion"), "v1.36.2+cubelet."));
    assert_true(text_has_prefix(text_at(version, "platform"), "linux/"));
}

TEST_CASE(the_root_names_the_paths_there_are)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf out;
    buf_init(&out, 64 * KiB);
    discovery_paths(&out);
    const char *paths = joined(doc_get(parse(&out, arena), "paths"), arena);
    assert_non_null(strstr(paths, "/api/v1,/apis,"));
    assert_non_null(strstr(paths, ",/apis/storage.k8s.io,/apis/storage.k8s.io/v1,"));
    assert_non_null(strstr(paths, ",/version"));
}

TEST_MAIN(TEST(the_core_group_names_its_versions_and_the_server), TEST(groups_are_listed_and_found),
          TEST(resources_say_what_may_be_done_with_them),
          TEST(subresources_say_the_kind_of_their_body), TEST(resources_are_ordered_by_name),
          TEST(discovery_is_said_in_protobuf_and_yaml_as_well),
          TEST(aggregated_discovery_says_everything_at_once),
          TEST(the_form_of_discovery_is_the_clients_choice),
          TEST(what_is_not_there_or_not_offered_is_refused),
          TEST(the_version_is_that_of_the_release_offered),
          TEST(the_root_names_the_paths_there_are))
