#include "kube/codec_internal.h"
#include "tests/lib/test.h"

#include "core.pb-c.h"
#include "cri.pb-c.h"
#include "meta.pb-c.h"

static const struct kube_decode_options strict = {.unknown = KUBE_UNKNOWN_STRICT,
                                                  .file = "web.yaml"};
static const struct kube_decode_options tolerant = {.unknown = KUBE_UNKNOWN_TOLERANT};

static Core__Pod *pod_from(const char *text, struct arena *arena)
{
    ProtobufCMessage *message = NULL;
    assert_no_error(
        kube_decode_text(str_from(text), &core__pod__descriptor, &strict, arena, &message));
    return (Core__Pod *)message;
}

static void assert_json(const ProtobufCMessage *message, const char *want)
{
    AUTO(buf) struct buf out;
    buf_init(&out, MiB);
    kube_encode_json(message, NULL, &out);
    assert_string_equal(buf_text(&out), want);
}

static const char minimal_pod[] = "apiVersion: v1\n"
                                  "kind: Pod\n"
                                  "metadata:\n"
                                  "  name: web\n"
                                  "  labels: {b: \"2\", a: \"1\"}\n"
                                  "spec:\n"
                                  "  hostPID: true\n"
                                  "  containers:\n"
                                  "  - name: main\n"
                                  "    image: nginx\n"
                                  "    ports:\n"
                                  "    - containerPort: 80\n"
                                  "    resources:\n"
                                  "      requests: {cpu: 0.5, memory: 1024Mi}\n"
                                  "    livenessProbe:\n"
                                  "      httpGet: {path: /, port: http}\n"
                                  "      periodSeconds: 3\n"
                                  "  volumes:\n"
                                  "  - name: tmp\n"
                                  "    emptyDir: {}\n";

TEST_CASE(a_pod_from_yaml_has_its_fields_where_c_expects_them)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Pod *pod = pod_from(minimal_pod, arena);
    const Core__Container *container = pod->spec->containers[0];
    assert_string_equal(pod->metadata->name, "web");
    assert_int_equal(pod->metadata->n_labels, 2);
    assert_true(pod->spec->has_host_pid && pod->spec->host_pid);
    assert_false(pod->spec->has_host_network);
    assert_null(pod->spec->restart_policy);
    assert_int_equal(container->ports[0]->container_port, 80);
    assert_string_equal(container->resources->requests[0]->value->string, "500m");
    assert_string_equal(container->resources->requests[1]->value->string, "1Gi");
    assert_non_null(container->liveness_probe->handler->http_get);
    assert_int_equal(container->liveness_probe->handler->http_get->port->type, 1);
    assert_string_equal(container->liveness_probe->handler->http_get->port->str_val, "http");
    assert_non_null(pod->spec->volumes[0]->volume_source->empty_dir);
}

TEST_CASE(inlined_fields_stay_in_the_outer_object_and_maps_are_sorted)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Pod *pod = pod_from(minimal_pod, arena);
    assert_json(&pod->base, "{\"metadata\":{\"name\":\"web\",\"labels\":{\"a\":\"1\",\"b\":\"2\"}},"
                            "\"spec\":{\"volumes\":[{\"name\":\"tmp\",\"emptyDir\":{}}],"
                            "\"containers\":[{\"name\":\"main\",\"image\":\"nginx\","
                            "\"ports\":[{\"containerPort\":80}],"
                            "\"resources\":{\"requests\":{\"cpu\":\"500m\",\"memory\":\"1Gi\"}},"
                            "\"livenessProbe\":{\"httpGet\":{\"path\":\"/\",\"port\":\"http\"},"
                            "\"periodSeconds\":3}}],"
                            "\"hostPID\":true}}");
}

TEST_CASE(errors_name_file_line_path_and_what_was_found)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"spec:\n  containers:\n  - name: a\n    imagee: x\n",
         "web.yaml:4: unknown field \"spec.containers[0].imagee\""},
        {"spec:\n  containers:\n  - ports:\n    - containerPort: http\n",
         "web.yaml:4: spec.containers[0].ports[0].containerPort: expected an integer, found string "
         "\"http\""},
        {"metadata: {name: 8080}",
         "web.yaml:1: metadata.name: expected a string, found number 8080"},
        {"metadata: {name: yes}",
         "web.yaml:1: metadata.name: expected a string, found boolean true"},
        {"metadata:\n  labels:\n    a: 1\n",
         "web.yaml:3: metadata.labels[a]: expected a string, found number 1"},
        {"spec: {hostPID: \"true\"}",
         "web.yaml:1: spec.hostPID: expected a boolean, found string \"true\""},
        {"spec: {priority: 5000000000}", "web.yaml:1: spec.priority: expected an integer from "
                                         "-2147483648 to 2147483647, found number 5000000000"},
        {"spec: {priority: 1.5}",
         "web.yaml:1: spec.priority: expected an integer, found number 1.5"},
        {"spec: {containers: {}}",
         "web.yaml:1: spec.containers: expected an array, found an object"},
        {"spec: []", "web.yaml:1: spec: expected an object, found an array"},
        {"metadata: {labels: [a]}",
         "web.yaml:1: metadata.labels: expected an object, found an array"},
        {"spec: {containers: [1]}",
         "web.yaml:1: spec.containers[0]: expected an object, found number 1"},
        {"spec: {overhead: {cpu: lots}}",
         "web.yaml:1: spec.overhead[cpu]: quantity \"lots\": quantities must match the regular "
         "expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"},
        {"metadata: {creationTimestamp: today}",
         "web.yaml:1: metadata.creationTimestamp: expected a time such as "
         "\"2006-01-02T15:04:05Z\", found string \"today\""},
        {"spec: {a: 1, a: 2}", "web.yaml:1: duplicate key \"a\""},
        {"spec: {volumes: [{volumeSource: {}}]}",
         "web.yaml:1: unknown field \"spec.volumes[0].volumeSource\""},
        {"spec: {kind: Pod}", "web.yaml:1: unknown field \"spec.kind\""},
        {"a string", "web.yaml:1: expected an object, found string \"a string\""},
        {"", "web.yaml:1: expected an object, found null"},
        {"{\"spec\": {\"nodeName\": 3}}",
         "web.yaml: spec.nodeName: expected a string, found number 3"},
        {"{\"spec\": \n{\"nodeName\": }}", "web.yaml:2: invalid JSON: unexpected token near '}'"},
        {"{\"a\": 1, \"a\": 2}", "web.yaml:1: invalid JSON: duplicate object key near '\"a\"'"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        ProtobufCMessage *message = NULL;
        assert_error_message(kube_decode_text(str_from(rows[i].text), &core__pod__descriptor,
                                              &strict, arena, &message),
                             rows[i].want);
        assert_null(message);
    }
}

TEST_CASE(a_tolerant_reader_drops_unknown_and_takes_the_last_duplicate)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    ProtobufCMessage *message = NULL;
    assert_no_error(kube_decode_json(
        STR_LITERAL("{\"new\":{\"x\":[1]},\"spec\":{\"nodeName\":\"a\",\"nodeName\":\"b\"}}"),
        &core__pod__descriptor, &tolerant, arena, &message));
    assert_json(message, "{\"spec\":{\"nodeName\":\"b\"}}");
}

TEST_CASE(zero_is_kept_exactly_where_kubernetes_can_tell_it_from_absent)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"{\"spec\":{\"hostNetwork\":false,\"nodeName\":\"\"}}", "{\"spec\":{}}"},
        {"{\"spec\":{\"terminationGracePeriodSeconds\":0,\"hostUsers\":false}}",
         "{\"spec\":{\"terminationGracePeriodSeconds\":0,\"hostUsers\":false}}"},
        {"{\"spec\":{\"securityContext\":{\"runAsUser\":0}}}",
         "{\"spec\":{\"securityContext\":{\"runAsUser\":0}}}"},
        {"{\"status\":{\"containerStatuses\":[{\"ready\":false,\"restartCount\":0}]}}",
         "{\"status\":{\"containerStatuses\":[{\"ready\":false,\"restartCount\":0}]}}"},
        {"{\"metadata\":{\"generation\":0,\"labels\":{\"a\":\"\"}}}",
         "{\"metadata\":{\"labels\":{\"a\":\"\"}}}"},
        {"{\"metadata\":{\"labels\":{\"a\":null},\"annotations\":{},\"name\":null}}",
         "{\"metadata\":{\"labels\":{\"a\":\"\"}}}"},
        {"{\"metadata\":{\"creationTimestamp\":null,"
         "\"deletionTimestamp\":\"0001-01-01T00:00:00Z\"}}",
         "{\"metadata\":{}}"},
        {"{\"spec\":{\"containers\":[{\"resources\":{},\"env\":[]}]}}",
         "{\"spec\":{\"containers\":[{\"resources\":{}}]}}"},
        {"{\"spec\":{\"overhead\":{\"cpu\":null}}}", "{\"spec\":{\"overhead\":{\"cpu\":\"0\"}}}"},
        {"{\"spec\":{\"volumes\":[{\"name\":\"a\"}]}}",
         "{\"spec\":{\"volumes\":[{\"name\":\"a\"}]}}"},
        {"{\"spec\":{\"containers\":[{\"args\":[\"a\",null]}],\"imagePullSecrets\":[null]}}",
         "{\"spec\":{\"containers\":[{\"args\":[\"a\",\"\"]}],\"imagePullSecrets\":[{}]}}"},
        {"{\"spec\":{\"securityContext\":{\"supplementalGroups\":[null,1]}}}",
         "{\"spec\":{\"securityContext\":{\"supplementalGroups\":[0,1]}}}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        AUTO(buf) struct buf pb;
        ProtobufCMessage *from_pb = NULL;
        const Core__Pod *pod = pod_from(rows[i].text, arena);
        assert_json(&pod->base, rows[i].want);
        buf_init(&pb, MiB);
        kube_encode_protobuf(&pod->base, &pb);
        assert_no_error(
            kube_decode_protobuf(buf_str(&pb), &core__pod__descriptor, arena, &from_pb));
        assert_true(kube_message_eq(&pod->base, from_pb));
    }
}

/* Go writes every field that is no pointer: here hostNetwork false, nodeName "", an empty
 * creationTimestamp. */
TEST_CASE(zeros_that_go_writes_to_protobuf_mean_absent)
{
    static const char bytes[] = "\x0a\x02"                  /* metadata */
                                "\x42\x00"                  /* creationTimestamp {} */
                                "\x12\x09"                  /* spec */
                                "\x0a\x05\x0a\x01v\x12\x00" /* volumes: name v, empty source */
                                "\x58\x00";                 /* hostNetwork false */
    AUTO(arena) struct arena *arena = arena_new(0);
    ProtobufCMessage *message = NULL;
    assert_no_error(kube_decode_protobuf((struct str){.ptr = bytes, .len = sizeof(bytes) - 1},
                                         &core__pod__descriptor, arena, &message));
    assert_json(message, "{\"metadata\":{},\"spec\":{\"volumes\":[{\"name\":\"v\"}]}}");
    assert_null(((Core__Pod *)message)->spec->volumes[0]->volume_source);
}

TEST_CASE(numbers_stand_for_ports_and_quantities_as_in_kubernetes)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Pod *pod = pod_from("spec:\n"
                                    "  overhead: {a: 1, b: 0.1, c: 1e3, d: \" 2 \"}\n"
                                    "  securityContext: {runAsUser: 0x10, fsGroup: 0644}\n"
                                    "  containers:\n"
                                    "  - readinessProbe: {tcpSocket: {port: 80}}\n",
                                    arena);
    assert_json(&pod->base,
                "{\"spec\":{\"containers\":[{\"readinessProbe\":{\"tcpSocket\":{\"port\":80}}}],"
                "\"securityContext\":{\"runAsUser\":16,\"fsGroup\":420},"
                "\"overhead\":{\"a\":\"1\",\"b\":\"100m\",\"c\":\"1k\",\"d\":\"2\"}}}");
}

TEST_CASE(bytes_times_and_raw_json_keep_their_forms)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    ProtobufCMessage *message = NULL;
    static const char secret[] =
        "{\"metadata\":{\"creationTimestamp\":\"2026-11-21T05:24:00.7+02:00\","
        "\"managedFields\":[{\"fieldsV1\":{ \"f:a\" : [1, 2.5, null, \"\\u00e4\"]}}]},"
        "\"data\":{\"a\":\"aGk=\",\"b\":\"\",\"c\":\"AA==\"}}";
    assert_no_error(
        kube_decode_json(STR_LITERAL(secret), &core__secret__descriptor, &strict, arena, &message));
    assert_json(message, "{\"metadata\":{\"creationTimestamp\":\"2026-11-21T03:24:00Z\","
                         "\"managedFields\":[{\"fieldsV1\":{\"f:a\":[1,2.5,null,\"ä\"]}}]},"
                         "\"data\":{\"a\":\"aGk=\",\"b\":\"\",\"c\":\"AA==\"}}");
    Core__Secret *decoded = (Core__Secret *)message;
    assert_int_equal(decoded->data[0]->value.len, 2);
    assert_memory_equal(decoded->data[0]->value.data, "hi", 2);

    assert_no_error(
        kube_decode_json(STR_LITERAL("{\"eventTime\":\"2026-11-21T03:24:00.123456789Z\"}"),
                         &core__event__descriptor, &strict, arena, &message));
    assert_json(message, "{\"eventTime\":\"2026-11-21T03:24:00.123456Z\"}");

    static const char *const bad[] = {"a", "aGk", "aGk=a", "a===", "aG k=", "====", "aGk=\\u0001"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        const char *text = arena_printf(arena, "{\"data\":{\"a\":\"%s\"}}", bad[i]);
        assert_error_message(
            kube_decode_json(str_from(text), &core__secret__descriptor, &tolerant, arena, &message),
            "data[a]: expected a base64 string, found other characters");
    }
}

TEST_CASE(raw_bytes_that_are_no_json_become_null)
{
    Meta__FieldsV1 fields = META__FIELDS_V1__INIT;
    fields.has_raw = true;
    fields.raw = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t) "{\"a\":", .len = 5};
    assert_json(&fields.base, "null");
}

TEST_CASE(strings_are_escaped_as_go_does_without_html)
{
    Core__Namespace object = CORE__NAMESPACE__INIT;
    Meta__ObjectMeta metadata = META__OBJECT_META__INIT;
    metadata.name = (char *)(uintptr_t) "\"\\\n\t\b\f\r\x01<&>\x7fä\xe2\x80\xa8\xff\xc3";
    object.metadata = &metadata;
    assert_json(&object.base, "{\"metadata\":{\"name\":\"\\\"\\\\\\n\\t\\b\\f\\r\\u0001<&>\x7f"
                              "ä\\u2028\\ufffd\\ufffd\"}}");
}

TEST_CASE(kind_is_accepted_at_the_top_and_in_the_items_of_a_list)
{
    static const char list[] = "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},"
                               "\"items\":[{\"kind\":\"Pod\",\"apiVersion\":\"v1\"}]}";
    AUTO(arena) struct arena *arena = arena_new(0);
    ProtobufCMessage *message = NULL;
    const struct doc_node *document = NULL;
    struct kube_type_meta type;
    assert_no_error(
        kube_decode_text(STR_LITERAL(list), &core__pod_list__descriptor, &strict, arena, &message));
    assert_json(message, "{\"metadata\":{},\"items\":[{}]}");
    assert_no_error(kube_decode_type_meta(STR_LITERAL(list), &strict, arena, &type));
    assert_string_equal(type.kind, "PodList");
    assert_string_equal(type.api_version, "v1");
    assert_no_error(kube_parse_text(STR_LITERAL("a: b"), &strict, arena, &document));
    assert_no_error(kube_document_type_meta(document, &strict, arena, &type));
    assert_string_equal(type.kind, "");
    assert_error_message(
        kube_decode_document(document, &core__pod__descriptor, &strict, arena, &message),
        "web.yaml:1: unknown field \"a\"");
    assert_error_message(kube_decode_type_meta(STR_LITERAL("kind: 1"), &strict, arena, &type),
                         "web.yaml:1: kind: expected a string, found number 1");
}

TEST_CASE(type_meta_is_written_first)
{
    static const struct kube_type_meta type = {.api_version = "v1", .kind = "Namespace"};
    Core__Namespace object = CORE__NAMESPACE__INIT;
    Core__NamespaceSpec spec = CORE__NAMESPACE_SPEC__INIT;
    char *finalizers[] = {(char *)(uintptr_t) "yes", (char *)(uintptr_t) "a: b"};
    spec.n_finalizers = 2;
    spec.finalizers = finalizers;
    object.spec = &spec;
    AUTO(buf) struct buf out;
    buf_init(&out, KiB);
    kube_encode_json_pretty(&object.base, &type, &out);
    assert_string_equal(buf_text(&out), "{\n"
                                        "  \"kind\": \"Namespace\",\n"
                                        "  \"apiVersion\": \"v1\",\n"
                                        "  \"spec\": {\n"
                                        "    \"finalizers\": [\n"
                                        "      \"yes\",\n"
                                        "      \"a: b\"\n"
                                        "    ]\n"
                                        "  }\n"
                                        "}");
    buf_clear(&out);
    kube_encode_yaml(&object.base, &type, &out);
    assert_string_equal(buf_text(&out), "kind: Namespace\n"
                                        "apiVersion: v1\n"
                                        "spec:\n"
                                        "  finalizers:\n"
                                        "  - \"yes\"\n"
                                        "  - 'a: b'\n");
}

TEST_CASE(what_does_not_fit_is_seen_in_the_buffer)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Pod *pod = pod_from(minimal_pod, arena);
    AUTO(buf) struct buf out;
    buf_init(&out, 20);
    kube_encode_json(&pod->base, NULL, &out);
    assert_error_code(buf_error(&out, "a pod"), ERROR_RESOURCE_EXHAUSTED);
    buf_clear(&out);
    kube_encode_yaml(&pod->base, NULL, &out);
    assert_error_code(buf_error(&out, "a pod"), ERROR_RESOURCE_EXHAUSTED);
}

TEST_CASE(input_beyond_the_caps_is_refused)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    ProtobufCMessage *message = NULL;
    size_t size = KUBE_OBJECT_MAX_BYTES + 1;
    AUTO(free) char *big = xcalloc(1, size);
    memset(big, ' ', size);
    struct str text = {.ptr = big, .len = size};
    assert_error_code(kube_decode_json(text, &core__pod__descriptor, &strict, arena, &message),
                      ERROR_RESOURCE_EXHAUSTED);
    assert_error_code(kube_decode_yaml(text, &core__pod__descriptor, &strict, arena, &message),
                      ERROR_RESOURCE_EXHAUSTED);
    assert_error_code(kube_decode_protobuf(text, &core__pod__descriptor, arena, &message),
                      ERROR_RESOURCE_EXHAUSTED);

    char deep[400];
    memset(deep, '[', sizeof(deep));
    memcpy(deep, "{\"x\":", 5);
    memset(deep + 200, ']', 195);
    memset(deep + 395, '}', 5);
    assert_error_code(kube_decode_json((struct str){.ptr = deep, .len = 396},
                                       &core__pod__descriptor, &strict, arena, &message),
                      ERROR_RESOURCE_EXHAUSTED);
}

TEST_CASE(envelopes_that_are_broken_are_refused)
{
    static const struct {
        const char *bytes;
        size_t len;
        enum error_code want;
    } rows[] = {
        {"", 0, ERROR_INVALID_ARGUMENT},
        {"k8s", 3, ERROR_INVALID_ARGUMENT},
        {"k9s\0", 4, ERROR_INVALID_ARGUMENT},
        {"k8s\0\x12\x05"
         "ab",
         8, ERROR_INVALID_ARGUMENT},
        {"k8s\0\x12", 5, ERROR_INVALID_ARGUMENT},
        {"k8s\0\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 16, ERROR_INVALID_ARGUMENT},
        {"k8s\0\x0b", 5, ERROR_INVALID_ARGUMENT},
        {"k8s\0\x0a\x02\x0a\x09", 8, ERROR_INVALID_ARGUMENT},
        {"k8s\0\x1a\x04gzip", 10, ERROR_UNIMPLEMENTED},
        {"k8s\0\x22\x04json", 10, ERROR_UNIMPLEMENTED},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct kube_type_meta type;
    struct str raw;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_error_code(
            kube_decode_envelope((struct str){.ptr = rows[i].bytes, .len = rows[i].len}, arena,
                                 &type, &raw),
            rows[i].want);
    assert_no_error(kube_decode_envelope((struct str){.ptr = "k8s\0\x28\x01\x12\x01x", .len = 9},
                                         arena, &type, &raw));
    assert_true(str_eq_c(raw, "x"));
    assert_string_equal(type.kind, "");
}

TEST_CASE(small_protobuf_that_stands_for_much_memory_is_refused)
{
    static const char pod[] = "\x12\x06"                  /* a list's item, a pod */
                              "\x12\x04\x12\x00\x12\x00"; /* spec: two empty containers */
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_TOLERANT, .max_bytes = KiB};
    AUTO(arena) struct arena *arena = arena_new(0);
    ProtobufCMessage *message = NULL;
    char bytes[100 * (sizeof(pod) - 1)];
    for (size_t i = 0; i < sizeof(bytes); i += sizeof(pod) - 1)
        memcpy(bytes + i, pod, sizeof(pod) - 1);
    const struct str text = {.ptr = bytes, .len = sizeof(bytes)};
    assert_error_message(
        codec_decode_protobuf(text, &core__pod_list__descriptor, &options, arena, &message),
        "core.PodList takes too much memory when decoded");
    assert_null(message);
}

/* labels: b=1 a=1 b=2 a=2 b=3 */
TEST_CASE(the_last_of_a_key_in_a_protobuf_map_counts_as_in_go)
{
    static const char bytes[] = "\x0a\x28"
                                "\x5a\x06\x0a\x01"
                                "b\x12\x01"
                                "1"
                                "\x5a\x06\x0a\x01"
                                "a\x12\x01"
                                "1"
                                "\x5a\x06\x0a\x01"
                                "b\x12\x01"
                                "2"
                                "\x5a\x06\x0a\x01"
                                "a\x12\x01"
                                "2"
                                "\x5a\x06\x0a\x01"
                                "b\x12\x01"
                                "3";
    AUTO(arena) struct arena *arena = arena_new(0);
    ProtobufCMessage *message = NULL;
    assert_no_error(kube_decode_protobuf((struct str){.ptr = bytes, .len = sizeof(bytes) - 1},
                                         &core__pod__descriptor, arena, &message));
    assert_json(message, "{\"metadata\":{\"labels\":{\"a\":\"2\",\"b\":\"3\"}}}");
    assert_int_equal(((Core__Pod *)message)->metadata->n_labels, 2);
}

TEST_CASE(broken_protobuf_and_broken_quantities_in_it_are_refused)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    ProtobufCMessage *message = NULL;
    assert_error_code(
        kube_decode_protobuf(STR_LITERAL("\x0a\x05"), &core__pod__descriptor, arena, &message),
        ERROR_INVALID_ARGUMENT);
    /* hard: cpu = "x" */
    assert_error_message(
        kube_decode_protobuf(STR_LITERAL("\x0a\x0a\x0a\x03"
                                         "cpu"
                                         "\x12\x03\x0a\x01x"),
                             &core__resource_quota_spec__descriptor, arena, &message),
        "core.ResourceQuotaSpec: hard: value: quantity \"x\": quantities must match the regular "
        "expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
    assert_null(message);
}

TEST_CASE(copies_are_equal_and_differences_are_seen)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod = pod_from(minimal_pod, arena);
    Core__Pod *copy = (Core__Pod *)kube_message_dup(&pod->base, arena);
    assert_true(kube_message_eq(&pod->base, &copy->base));
    assert_ptr_not_equal(pod->metadata, copy->metadata);

    /* Maps may come in any order. */
    Meta__ObjectMeta__LabelsEntry *first = copy->metadata->labels[0];
    copy->metadata->labels[0] = copy->metadata->labels[1];
    copy->metadata->labels[1] = first;
    assert_true(kube_message_eq(&pod->base, &copy->base));

    first->value = (char *)(uintptr_t) "other";
    assert_false(kube_message_eq(&pod->base, &copy->base));
    copy = (Core__Pod *)kube_message_dup(&pod->base, arena);
    copy->spec->has_host_ipc = true;
    assert_false(kube_message_eq(&pod->base, &copy->base));
    copy = (Core__Pod *)kube_message_dup(&pod->base, arena);
    copy->spec->n_containers = 0;
    assert_false(kube_message_eq(&pod->base, &copy->base));
    assert_false(kube_message_eq(&pod->base, NULL));
    assert_true(kube_message_eq(NULL, NULL));
    assert_false(kube_message_eq(&pod->base, &pod->spec->base));
}

/* proto3, as the CRI has it: an empty text is absent on the wire, yet it is never NULL. */
TEST_CASE(a_copy_of_a_proto3_message_borrows_nothing)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct arena *original = arena_new(0);
    Cri__ImageSpec spec = CRI__IMAGE_SPEC__INIT;
    Cri__ImageSpec__AnnotationsEntry entry = CRI__IMAGE_SPEC__ANNOTATIONS_ENTRY__INIT;
    Cri__ImageSpec__AnnotationsEntry *entries[] = {&entry};
    spec.image = arena_strdup(original, "busybox");
    spec.user_specified_image = arena_strdup(original, "");
    spec.runtime_handler = NULL;
    entry.key = arena_strdup(original, "key");
    entry.value = arena_strdup(original, "");
    spec.n_annotations = ARRAY_SIZE(entries);
    spec.annotations = entries;
    const Cri__ImageSpec *copy = (const Cri__ImageSpec *)kube_message_dup(&spec.base, arena);
    arena_free(original);
    assert_string_equal(copy->image, "busybox");
    assert_ptr_equal(copy->user_specified_image, protobuf_c_empty_string);
    assert_ptr_equal(copy->runtime_handler, protobuf_c_empty_string);
    assert_int_equal(copy->n_annotations, 1);
    assert_string_equal(copy->annotations[0]->key, "key");
    assert_ptr_equal(copy->annotations[0]->value, protobuf_c_empty_string);
}

TEST_CASE(only_the_first_document_of_a_stream_is_read)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Pod *pod =
        pod_from("# comment\n---\nmetadata: {name: a}\n---\nmetadata: [\n", arena);
    assert_string_equal(pod->metadata->name, "a");
}

TEST_MAIN(TEST(a_pod_from_yaml_has_its_fields_where_c_expects_them),
          TEST(inlined_fields_stay_in_the_outer_object_and_maps_are_sorted),
          TEST(errors_name_file_line_path_and_what_was_found),
          TEST(a_tolerant_reader_drops_unknown_and_takes_the_last_duplicate),
          TEST(zero_is_kept_exactly_where_kubernetes_can_tell_it_from_absent),
          TEST(zeros_that_go_writes_to_protobuf_mean_absent),
          TEST(numbers_stand_for_ports_and_quantities_as_in_kubernetes),
          TEST(bytes_times_and_raw_json_keep_their_forms),
          TEST(raw_bytes_that_are_no_json_become_null),
          TEST(strings_are_escaped_as_go_does_without_html),
          TEST(kind_is_accepted_at_the_top_and_in_the_items_of_a_list),
          TEST(type_meta_is_written_first), TEST(what_does_not_fit_is_seen_in_the_buffer),
          TEST(input_beyond_the_caps_is_refused), TEST(envelopes_that_are_broken_are_refused),
          TEST(small_protobuf_that_stands_for_much_memory_is_refused),
          TEST(the_last_of_a_key_in_a_protobuf_map_counts_as_in_go),
          TEST(broken_protobuf_and_broken_quantities_in_it_are_refused),
          TEST(copies_are_equal_and_differences_are_seen),
          TEST(a_copy_of_a_proto3_message_borrows_nothing),
          TEST(only_the_first_document_of_a_stream_is_read))
