/*
 * What a real kubelet told its runtime, against what we would tell it: every recorded sandbox and
 * container whose pod needs no API server, field by field. The pods are those of the recording's
 * input; what the recording's API server and kubectl added to them is taken from the recording.
 *
 * Differences that are not ours to make are taken out of the recording first:
 * - service variables (KUBERNETES_*, WEB_*): they come from an API server;
 * - the mount below /var/run/secrets/kubernetes.io/serviceaccount: added to the pod at admission;
 * - the sysctls net.ipv4.ip_unprivileged_port_start and net.ipv4.ping_group_range of `secure`:
 * containerd writes them into the map it was given (both are its defaults for pods with an own
 * network). Uid, restart count, image reference, the id of a target and the random name of the
 * termination log are taken over as inputs.
 */
#include "pod_fixture.h"

#include "base/buf.h"
#include "base/path.h"
#include "kube/resources.h"

#include <jansson.h>
#include <stdio.h>

#define RECORDED_FILE_MAX (1 * MiB)
#define SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

static const struct {
    const char *pod, *container; /* container NULL: the sandbox */
    const char *file;
} recordings[] = {
    {"bad-pull", NULL, "bad-pull_sandbox_1f1df7"},
    {"crash", NULL, "crash_sandbox_ba0fbc"},
    {"crash", "c", "crash_container_c_a21959"},
    {"deadline", NULL, "deadline_sandbox_b5e77b"},
    {"deadline", "c", "deadline_container_c_c947ff"},
    {"done", NULL, "done_sandbox_f6e28f"},
    {"done", "c", "done_container_c_ce251a"},
    {"failed", NULL, "failed_sandbox_5b256c"},
    {"failed", "c", "failed_container_c_e8abb8"},
    {"guaranteed", NULL, "guaranteed_sandbox_1e708a"},
    {"guaranteed", "c", "guaranteed_container_c_7be4b7"},
    {"hooks", NULL, "hooks_sandbox_321096"},
    {"hooks", "c", "hooks_container_c_a30205"},
    {"hooks", "debugger-n4kqm", "hooks_container_debugger-n4kqm_88aab2"},
    {"hostnet", NULL, "hostnet_sandbox_3875ff"},
    {"hostnet", "c", "hostnet_container_c_ef377b"},
    {"non-root", NULL, "non-root_sandbox_95768e"},
    {"oom", NULL, "oom_sandbox_a805e1"},
    {"oom", "c", "oom_container_c_4e4842"},
    {"secure", NULL, "secure_sandbox_c3d7b4"},
    {"secure", "c", "secure_container_c_56fbc2"},
    {"sidecar", NULL, "sidecar_sandbox_63a17b"},
    {"sidecar", "prepare", "sidecar_container_prepare_95bb13"},
    {"sidecar", "proxy", "sidecar_container_proxy_9a0400"},
    {"sidecar", "main", "sidecar_container_main_7d536a"},
    {"static-web-node-a", NULL, "static-web-node-a_sandbox_b95420"},
    {"static-web-node-a", "c", "static-web-node-a_container_c_3be3bf"},
    {"unhealthy", NULL, "unhealthy_sandbox_680421"},
    {"unhealthy", "c", "unhealthy_container_c_25cd13"},
    {"unhealthy", "c", "unhealthy_container_c_54735c"},
    {"web", NULL, "web_sandbox_b312c7"},
    {"web", "web", "web_container_web_ca469a"},
};

/* --- a CRI message in the form of the recording --- */

static json_t *message_to_json(const ProtobufCMessage *message);

static const ProtobufCFieldDescriptor *map_part(const ProtobufCFieldDescriptor *field,
                                                unsigned number)
{
    return protobuf_c_message_descriptor_get_field(field->descriptor, number);
}

static bool is_map(const ProtobufCFieldDescriptor *field)
{
    return field->label == PROTOBUF_C_LABEL_REPEATED && field->type == PROTOBUF_C_TYPE_MESSAGE &&
           text_has_suffix(((const ProtobufCMessageDescriptor *)field->descriptor)->short_name,
                           "Entry");
}

static int32_t narrow_at(const void *value)
{
    int32_t number;
    memcpy(&number, value, sizeof(number));
    return number;
}

static int64_t wide_at(const void *value)
{
    int64_t number;
    memcpy(&number, value, sizeof(number));
    return number;
}

static const void *pointer_at(const void *value)
{
    const void *pointer;
    memcpy(&pointer, value, sizeof(pointer));
    return pointer;
}

/* NULL for a zero value. */
static json_t *scalar_to_json(ProtobufCType type, const void *value)
{
    if (type == PROTOBUF_C_TYPE_STRING) {
        const char *text = pointer_at(value);
        assert_non_null(text);
        return *text ? json_string(text) : NULL;
    }
    if (type == PROTOBUF_C_TYPE_MESSAGE)
        return pointer_at(value) ? message_to_json(pointer_at(value)) : NULL;
    if (type == PROTOBUF_C_TYPE_BOOL)
        return narrow_at(value) ? json_true() : NULL;
    if (type == PROTOBUF_C_TYPE_INT64 || type == PROTOBUF_C_TYPE_UINT64)
        return wide_at(value) ? json_integer(wide_at(value)) : NULL;
    if (type == PROTOBUF_C_TYPE_BYTES) {
        ProtobufCBinaryData bytes;
        memcpy(&bytes, value, sizeof(bytes));
        return bytes.len ? json_stringn((const char *)bytes.data, bytes.len) : NULL;
    }
    return narrow_at(value) ? json_integer(narrow_at(value)) : NULL;
}

static size_t scalar_size(ProtobufCType type)
{
    return type == PROTOBUF_C_TYPE_INT32 || type == PROTOBUF_C_TYPE_ENUM ? 4 : 8;
}

static json_t *map_to_json(const ProtobufCFieldDescriptor *field, ProtobufCMessage *const *entries,
                           size_t count)
{
    json_t *object = json_object();
    for (size_t i = 0; i < count; i++) {
        const char *key, *value;
        memcpy(&key, (const char *)entries[i] + map_part(field, 1)->offset, sizeof(key));
        memcpy(&value, (const char *)entries[i] + map_part(field, 2)->offset, sizeof(value));
        assert_null(json_object_get(object, key)); /* no key twice */
        json_object_set_new(object, key, json_string(value));
    }
    return object;
}

static json_t *repeated_to_json(const ProtobufCFieldDescriptor *field,
                                const ProtobufCMessage *message)
{
    size_t count;
    memcpy(&count, (const char *)message + field->quantifier_offset, sizeof(count));
    const char *items;
    memcpy(&items, (const char *)message + field->offset, sizeof(items));
    if (count == 0)
        return NULL;
    if (is_map(field))
        return map_to_json(field, (ProtobufCMessage *const *)(const void *)items, count);
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *item = scalar_to_json(field->type, items + i * scalar_size(field->type));
        json_array_append_new(array, item ? item : json_integer(0));
    }
    return array;
}

static json_t *message_to_json(const ProtobufCMessage *message)
{
    json_t *object = json_object();
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        json_t *value = field->label == PROTOBUF_C_LABEL_REPEATED
                            ? repeated_to_json(field, message)
                            : scalar_to_json(field->type, (const char *)message + field->offset);
        if (value)
            json_object_set_new(object, field->name, value);
    }
    return object;
}

/* --- the recording --- */

static char *read_test_file(const char *folder, const char *name)
{
    const char *root = getenv("CUBELET_TEST_DATA");
    assert_non_null(root);
    AUTO(free) char *path = path_join_all(root, "recorded", folder, name, NULL);
    FILE *file = fopen(path, "re");
    if (!file)
        fail_msg("cannot open %s", path);
    char *text = xcalloc(1, RECORDED_FILE_MAX + 1);
    size_t len = fread(text, 1, RECORDED_FILE_MAX, file);
    assert_true(len > 0 && len < RECORDED_FILE_MAX);
    assert_int_equal(fclose(file), 0);
    return text;
}

static json_t *load_recording(const char *name)
{
    AUTO(free) char *file = xasprintf("%s.json", name);
    AUTO(free) char *text = read_test_file("cri", file);
    json_error_t why;
    json_t *whole = json_loads(text, 0, &why);
    if (!whole)
        fail_msg("%s: %s", name, why.text);
    json_t *metadata = json_object_get(json_object_get(whole, "cri"), "Metadata");
    json_t *config = json_incref(json_object_get(metadata, "Config"));
    json_decref(whole);
    assert_non_null(config);
    return config;
}

static const char *text_at(const json_t *config, const char *object, const char *key)
{
    const char *text = json_string_value(json_object_get(json_object_get(config, object), key));
    return text ? text : "";
}

/* The head of this file says why. */
static void remove_accepted_differences(json_t *config)
{
    json_t *sysctls = json_object_get(json_object_get(config, "linux"), "sysctls");
    json_object_del(sysctls, "net.ipv4.ip_unprivileged_port_start");
    json_object_del(sysctls, "net.ipv4.ping_group_range");
    json_t *mounts = json_object_get(config, "mounts");
    for (size_t i = json_array_size(mounts); i-- > 0;) {
        const char *path =
            json_string_value(json_object_get(json_array_get(mounts, i), "container_path"));
        if (text_eq(path, SERVICE_ACCOUNT_DIR))
            json_array_remove(mounts, i);
    }
    json_t *envs = json_object_get(config, "envs");
    for (size_t i = json_array_size(envs); i-- > 0;) {
        const char *key = json_string_value(json_object_get(json_array_get(envs, i), "key"));
        if (text_has_prefix(key, "KUBERNETES_") || text_has_prefix(key, "WEB_"))
            json_array_remove(envs, i);
    }
    if (envs && json_array_size(envs) == 0)
        json_object_del(config, "envs");
}

/* --- the pods --- */

/* The document of @stream that is a Pod named @name, decoded; NULL when there is none. */
static Core__Pod *find_pod(const char *stream, const char *name, struct arena *arena)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    while (*stream) {
        const char *end = strstr(stream, "\n---\n");
        struct str document = {.ptr = stream,
                               .len = end ? (size_t)(end - stream) + 1 : strlen(stream)};
        struct kube_type_meta type;
        assert_no_error(kube_decode_type_meta(document, &options, arena, &type));
        if (text_eq(type.kind, "Pod")) {
            ProtobufCMessage *message = NULL;
            assert_no_error(
                kube_decode_yaml(document, &core__pod__descriptor, &options, arena, &message));
            Core__Pod *pod = (Core__Pod *)message;
            if (text_eq(pod->metadata->name, name))
                return pod;
        }
        stream = end ? end + strlen("\n---\n") : "";
    }
    return NULL;
}

/* What kubectl and the kubelet's pod source write into a pod on its way. */
static void take_annotations(Core__Pod *pod, json_t *annotations, struct arena *arena)
{
    Meta__ObjectMeta *meta = pod->metadata;
    Meta__ObjectMeta__AnnotationsEntry **all =
        arena_calloc(arena, meta->n_annotations + json_object_size(annotations) + 1, sizeof(*all));
    for (size_t i = 0; i < meta->n_annotations; i++)
        all[i] = meta->annotations[i];
    meta->annotations = all;
    const char *key;
    json_t *value;
    json_object_foreach(annotations, key, value)
    {
        if (!text_has_prefix(key, "kubectl.kubernetes.io/") &&
            !text_has_prefix(key, "kubernetes.io/config."))
            continue;
        Meta__ObjectMeta__AnnotationsEntry *entry = arena_alloc(arena, sizeof(*entry));
        meta__object_meta__annotations_entry__init(entry);
        entry->key = arena_strdup(arena, key);
        entry->value = arena_strdup(arena, json_string_value(value));
        all[meta->n_annotations++] = entry;
    }
}

static Core__Pod *recorded_pod(const char *name, json_t *config, struct arena *arena)
{
    bool is_static = text_eq(name, "static-web-node-a");
    AUTO(free) char *stream = read_test_file("input", is_static ? "static-web.yaml" : "pods.yaml");
    Core__Pod *pod = find_pod(stream, is_static ? "static-web" : name, arena);
    if (!pod)
        fail_msg("no pod %s in the input", name);
    pod->metadata->name = arena_strdup(arena, name);
    pod->metadata->namespace_ = arena_strdup(arena, is_static ? "default" : "rec");
    pod->metadata->uid = arena_strdup(arena, text_at(config, "labels", "io.kubernetes.pod.uid"));
    assert_true(*pod->metadata->uid);
    pod_set_defaults(pod, arena);
    return pod;
}

/* The pods that `kubectl debug` was used on have their ephemeral containers in the API alone. */
static const Core__Container *debugger_named(const char *pod, const char *name, struct arena *arena)
{
    AUTO(free) char *text = read_test_file("api", "pods.json");
    json_t *list = json_loads(text, 0, NULL);
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    const Core__Container *found = NULL;
    size_t i, k;
    json_t *item, *one;
    json_array_foreach(json_object_get(list, "items"), i, item)
    {
        if (!text_eq(text_at(item, "metadata", "name"), pod))
            continue;
        json_t *debuggers = json_object_get(json_object_get(item, "spec"), "ephemeralContainers");
        json_array_foreach(debuggers, k, one)
        {
            char *json = json_dumps(one, 0);
            ProtobufCMessage *message = NULL;
            assert_no_error(kube_decode_text(str_from(json), &core__ephemeral_container__descriptor,
                                             &options, arena, &message));
            free(json);
            const Core__EphemeralContainer *ephemeral = (const Core__EphemeralContainer *)message;
            if (text_eq(ephemeral_container_name(ephemeral), name))
                found = ephemeral_as_container(ephemeral, arena);
        }
    }
    json_decref(list);
    return found;
}

static const Core__Container *container_named(const Core__Pod *pod, const char *name,
                                              struct arena *arena)
{
    for (size_t i = 0; i < pod->spec->n_containers; i++) {
        if (text_eq(pod->spec->containers[i]->name, name))
            return pod->spec->containers[i];
    }
    for (size_t i = 0; i < pod->spec->n_init_containers; i++) {
        if (text_eq(pod->spec->init_containers[i]->name, name))
            return pod->spec->init_containers[i];
    }
    const Core__Container *debugger = debugger_named(pod->metadata->name, name, arena);
    if (!debugger)
        fail_msg("no container %s", name);
    return debugger;
}

/* --- the machine of the recording --- */

static struct node_facts recorded_node(void)
{
    struct node_facts node = node_for_tests();
    static const char *const ips[] = {"10.255.255.1", NULL};
    node.node_ips = ips;
    node.memory_capacity_bytes = INT64_C(24684092) * 1024;
    node.allocatable_memory_bytes = INT64_C(24581692) * 1024;
    /* cgroup v1 with memory.memsw: the recorded swap limits say so. */
    node.swap_controller = true;
    return node;
}

static Cri__PodSandboxConfig *build_sandbox(const Core__Pod *pod, struct arena *arena)
{
    static const char *const servers[] = {"10.255.255.53", NULL};
    static const char *const none[] = {NULL};
    const struct resolv_conf resolv = {.servers = servers, .searches = none, .options = none};
    struct node_facts node = recorded_node();
    const struct sandbox_config_input input = {.pod = pod, .node = &node, .resolv = &resolv};
    struct config_notices notices;
    Cri__PodSandboxConfig *config = NULL;
    assert_no_error(sandbox_config_build(&input, arena, &notices, &config));
    assert_int_equal(notices.count, 0);
    return config;
}

/* The number behind the last slash of the termination log's host path. */
static uint64_t recorded_random(const json_t *config)
{
    const json_t *mounts = json_object_get(config, "mounts");
    const json_t *last = json_array_get(mounts, json_array_size(mounts) - 1);
    const char *path = json_string_value(json_object_get(last, "host_path"));
    assert_non_null(path);
    return strtoull(path_base(path), NULL, 16);
}

/* The instance that an ephemeral container was aimed at; NULL: none. */
static const char *recorded_target(const json_t *config)
{
    const json_t *security = json_object_get(json_object_get(config, "linux"), "security_context");
    const char *id = text_at(security, "namespace_options", "target_id");
    return *id ? id : NULL;
}

static Cri__ContainerConfig *build_container(const Core__Pod *pod, const char *name,
                                             const json_t *recorded, struct arena *arena)
{
    static const char *const pod_ips[] = {"10.88.2.45", NULL};
    struct node_facts node = recorded_node();
    const struct mounted_volume work = {
        .name = "work",
        .inner_name = "work",
        .host_path =
            arena_printf(arena, "/var/lib/kubelet/pods/%s/volumes/kubernetes.io~empty-dir/work",
                         pod->metadata->uid),
    };
    const json_t *attempt = json_object_get(json_object_get(recorded, "metadata"), "attempt");
    const struct container_config_input input = {
        .pod = pod,
        .container = container_named(pod, name, arena),
        .node = &node,
        .volumes = &work,
        .n_volumes = 1,
        .pod_ips = pod_ips,
        .image_ref = text_at(recorded, "image", "image"),
        .target_id = recorded_target(recorded),
        .restart_count = (uint32_t)json_integer_value(attempt),
        .random = recorded_random(recorded),
    };
    struct container_files files;
    Cri__ContainerConfig *config = NULL;
    assert_no_error(container_config_build(&input, arena, &files, &config));
    return config;
}

/* --- comparing --- */

static unsigned report(const char *path, const json_t *want, const json_t *got)
{
    char *want_text = want ? json_dumps(want, JSON_ENCODE_ANY | JSON_SORT_KEYS) : NULL;
    char *got_text = got ? json_dumps(got, JSON_ENCODE_ANY | JSON_SORT_KEYS) : NULL;
    print_error("%s: recorded %s, built %s\n", path, want_text ? want_text : "(none)",
                got_text ? got_text : "(none)");
    free(want_text);
    free(got_text);
    return 1;
}

/* The number of fields that differ, each reported with its path. The depth is that of CRI's own
 * types. */
static unsigned differences(const char *path, json_t *want, json_t *got, struct arena *arena)
{
    if (!want || !got || json_typeof(want) != json_typeof(got) || json_is_array(want)) {
        bool same = want && got && json_equal(want, got);
        return same ? 0 : report(path, want, got);
    }
    if (!json_is_object(want))
        return json_equal(want, got) ? 0 : report(path, want, got);
    unsigned count = 0;
    const char *key;
    json_t *value;
    json_object_foreach(want, key, value)
    {
        count += differences(arena_printf(arena, "%s.%s", path, key), value,
                             json_object_get(got, key), arena);
    }
    json_object_foreach(got, key, value)
    {
        if (!json_object_get(want, key))
            count += report(arena_printf(arena, "%s.%s", path, key), NULL, value);
    }
    return count;
}

static unsigned compare(size_t row)
{
    AUTO(arena) struct arena *arena = arena_new(64 * KiB);
    json_t *recorded = load_recording(recordings[row].file);
    Core__Pod *pod = recorded_pod(recordings[row].pod, recorded, arena);
    const ProtobufCMessage *built;
    if (recordings[row].container) {
        built = &build_container(pod, recordings[row].container, recorded, arena)->base;
    } else {
        take_annotations(pod, json_object_get(recorded, "annotations"), arena);
        built = &build_sandbox(pod, arena)->base;
    }
    remove_accepted_differences(recorded);
    json_t *got = message_to_json(built);
    unsigned count = differences(recordings[row].file, recorded, got, arena);
    json_decref(got);
    json_decref(recorded);
    return count;
}

TEST_CASE(configurations_are_those_of_a_real_kubelet)
{
    unsigned count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(recordings); i++)
        count += compare(i);
    assert_int_equal(count, 0);
}

TEST_MAIN(TEST(configurations_are_those_of_a_real_kubelet))
