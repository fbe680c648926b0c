#include "kube/kinds.h"

#include "kube/codec_internal.h"
#include "tests/lib/test.h"

#include "core.pb-c.h"
#include "policy.pb-c.h"

static const struct kube_decode_options strict = {.unknown = KUBE_UNKNOWN_STRICT};

TEST_CASE(every_kind_is_found_by_its_names)
{
    size_t count;
    const struct kube_kind *kinds = kube_kinds(&count);
    for (size_t i = 0; i < count; i++) {
        const struct kube_kind *kind = &kinds[i];
        print_message("%s %s\n", kind->api_version, kind->kind);
        assert_ptr_equal(kube_kind_find(kind->api_version, kind->kind), kind);
        assert_string_equal(kube_kind_meta(kind).kind, kind->kind);
        assert_non_null(kind->singular);
        assert_non_null(kind->short_names);
        assert_non_null(kind->categories);
        if (kind->resource)
            assert_ptr_equal(kube_kind_of_resource(kind->group, kind->version, kind->resource),
                             kind);
        AUTO(free)
        char *version = kind->group[0] ? xasprintf("%s/%s", kind->group, kind->version)
                                       : xstrdup(kind->version);
        assert_string_equal(version, kind->api_version);
    }
    assert_null(kube_kind_find("v1", "Deployment"));
    assert_null(kube_kind_find("v2", "Pod"));
    assert_null(kube_kind_find("", ""));
    assert_null(kube_kind_of_resource("", "v1", "pod"));
    assert_null(kube_kind_of_resource("", "v1", NULL));
}

TEST_CASE(a_list_and_its_items_lead_to_each_other)
{
    size_t count;
    const struct kube_kind *kinds = kube_kinds(&count);
    for (size_t i = 0; i < count; i++) {
        const struct kube_kind *kind = &kinds[i], *item = kube_kind_item(kind);
        const ProtobufCFieldDescriptor *items = codec_list_items(kind->type);
        assert_int_equal(kind->is_list, items != NULL);
        assert_int_equal(kind->is_list, item != NULL);
        if (!item)
            continue;
        assert_ptr_equal(kube_kind_list(item), kind);
        assert_ptr_equal(items->descriptor, item->type);
        AUTO(free) char *name = xasprintf("%sList", item->kind);
        assert_string_equal(name, kind->kind);
        assert_string_equal(item->api_version, kind->api_version);
        assert_null(kind->resource);
    }
    assert_null(kube_kind_list(kube_kind_find("v1", "Status")));
    assert_null(kube_kind_list(kube_kind_find("v1", "APIGroup")));
    assert_null(kube_kind_list(&kinds[count - 1]));
}

TEST_CASE(options_of_a_deletion_have_the_version_of_any_group)
{
    const struct kube_kind *kind = kube_kind_find("v1", "DeleteOptions");
    assert_non_null(kind);
    assert_ptr_equal(kube_kind_find("coordination.k8s.io/v1", "DeleteOptions"), kind);
    assert_ptr_equal(kube_kind_find("meta.k8s.io/v1", "DeleteOptions"), kind);
    assert_null(kube_kind_find("example.com/v1", "DeleteOptions"));
}

TEST_CASE(metadata_is_found_and_made)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    ProtobufCMessage *pod = kube_message_new(&core__pod__descriptor, arena);
    assert_null(kube_object_meta(pod));
    Meta__ObjectMeta *meta = kube_object_ensure_meta(pod, arena);
    assert_non_null(meta);
    assert_ptr_equal(kube_object_meta(pod), meta);
    assert_ptr_equal(kube_object_ensure_meta(pod, arena), meta);

    ProtobufCMessage *status = kube_message_new(&meta__status__descriptor, arena);
    assert_null(kube_object_ensure_meta(status, arena));
    size_t count;
    const struct kube_kind *kinds = kube_kinds(&count);
    for (size_t i = 0; i < count; i++) {
        if (kinds[i].resource)
            assert_non_null(kube_object_ensure_meta(kube_message_new(kinds[i].type, arena), arena));
    }
}

TEST_CASE(a_list_shows_its_items_and_metadata)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Meta__ListMeta meta = META__LIST_META__INIT;
    Core__Pod pod = CORE__POD__INIT, *pods[] = {&pod};
    Core__PodList list = CORE__POD_LIST__INIT;
    size_t count = 7;
    assert_null(kube_list_items(&list.base, &count));
    assert_int_equal(count, 0);
    assert_null(kube_list_meta(&list.base));
    list.metadata = &meta;
    list.items = pods;
    list.n_items = 1;
    assert_ptr_equal(kube_list_items(&list.base, &count)[0], &pod);
    assert_int_equal(count, 1);
    assert_ptr_equal(kube_list_meta(&list.base), &meta);
    Meta__Status status = META__STATUS__INIT; /* has a ListMeta, yet is no list */
    status.metadata = &meta;
    assert_null(kube_list_meta(&status.base));
    assert_null(kube_list_items(&status.base, &count));
    assert_int_equal(count, 0);
}

/* --- every field of every kind --- */

static void fill(ProtobufCMessage *message, struct arena *arena);

static void fill_special(ProtobufCMessage *message, enum codec_special special, struct arena *arena)
{
    switch (special) {
    case CODEC_TIME:
    case CODEC_MICRO_TIME: {
        Meta__Time *time = (Meta__Time *)message;
        time->has_seconds = time->has_nanos = true;
        time->seconds = 1600000000;
        break;
    }
    case CODEC_DURATION:
        ((Meta__Duration *)message)->has_duration = true;
        ((Meta__Duration *)message)->duration = 90 * NS_PER_SEC;
        break;
    case CODEC_QUANTITY:
        codec_set_pointer(codec_member(message, &message->descriptor->fields[0]),
                          arena_strdup(arena, "64Mi"));
        break;
    case CODEC_INT_OR_STRING: {
        ProtobufCMessage *made;
        assert_no_error(
            kube_decode_json(STR_LITERAL("80"), message->descriptor, &strict, arena, &made));
        memcpy(message, made, message->descriptor->sizeof_message);
        break;
    }
    case CODEC_RAW_JSON: {
        ProtobufCBinaryData raw = {.data = (uint8_t *)arena_strdup(arena, "{\"f:a\":{}}"),
                                   .len = 10};
        memcpy(codec_member(message, &message->descriptor->fields[0]), &raw, sizeof(raw));
        codec_set_present(message, &message->descriptor->fields[0], true);
        break;
    }
    case CODEC_OBJECT:
    case CODEC_STRING_LIST:
        fill(message, arena);
        break;
    }
}

static void fill_element(void *element, const ProtobufCFieldDescriptor *field, size_t index,
                         struct arena *arena)
{
    static const unsigned char one = 1;
    enum codec_storage storage = codec_storage_of(field);
    ProtobufCBinaryData bytes = {.data = (uint8_t *)arena_strdup(arena, "a\nb"), .len = 3};
    float single = 0.5F;
    double real = 0.25;
    ProtobufCMessage *inner;
    switch (storage) {
    case CODEC_STORE_FLOAT:
        memcpy(element, &single, sizeof(single));
        break;
    case CODEC_STORE_DOUBLE:
        memcpy(element, &real, sizeof(real));
        break;
    case CODEC_STORE_TEXT:
        codec_set_pointer(element, arena_printf(arena, "%s-%zu", field->name, index));
        break;
    case CODEC_STORE_BYTES:
        memcpy(element, &bytes, sizeof(bytes));
        break;
    case CODEC_STORE_MESSAGE:
        inner = kube_message_new(field->descriptor, arena);
        codec_set_pointer(element, inner);
        fill_special(inner, codec_special_of(field->descriptor), arena);
        break;
    case CODEC_STORE_I32:
    case CODEC_STORE_U32:
    case CODEC_STORE_I64:
    case CODEC_STORE_U64:
    case CODEC_STORE_BOOL:
        memcpy(element, &one, sizeof(one));
        break;
    }
}

/* One element for a list or map is enough to see its name and type. */
static void fill(ProtobufCMessage *message, struct arena *arena)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        void *element = codec_member(message, field);
        if (codec_is_list(field)) {
            size_t one = 1;
            element = arena_alloc(arena, sizeof(ProtobufCBinaryData));
            codec_set_pointer(codec_member(message, field), element);
            memcpy(codec_quantifier(message, field), &one, sizeof(one));
        }
        fill_element(element, field, i, arena);
        if (!codec_is_list(field))
            codec_set_present(message, field, true);
    }
}

TEST_CASE(every_field_of_every_kind_survives_each_encoding)
{
    static const enum kube_encoding encodings[] = {KUBE_JSON, KUBE_YAML, KUBE_PROTOBUF};
    size_t count;
    const struct kube_kind *kinds = kube_kinds(&count);
    for (size_t i = 0; i < count; i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        ProtobufCMessage *object = kube_message_new(kinds[i].type, arena);
        fill(object, arena);
        for (size_t k = 0; k < ARRAY_SIZE(encodings); k++) {
            AUTO(buf) struct buf text;
            const struct kube_kind *kind = NULL;
            ProtobufCMessage *back = NULL;
            buf_init(&text, MiB);
            kube_encode_any(object, &kinds[i], encodings[k], &text);
            assert_no_error(buf_error(&text, kinds[i].kind));
            assert_no_error(
                kube_decode_any(buf_str(&text), encodings[k], &strict, arena, &kind, &back));
            assert_ptr_equal(kind, &kinds[i]);
            if (!kube_message_eq(object, back))
                fail_msg("%s changed in encoding %zu: %s", kinds[i].kind, k, buf_text(&text));
        }
    }
}

static void assert_json(const struct kube_kind *kind, const ProtobufCMessage *object,
                        const char *want)
{
    AUTO(buf) struct buf text;
    buf_init(&text, MiB);
    kube_encode_any(object, kind, KUBE_JSON, &text);
    assert_string_equal(buf_text(&text), want);
}

/* As the API server writes them; what clients read must not be missing. */
TEST_CASE(objects_without_golden_files_read_and_write_as_in_kubernetes)
{
    static const char *const objects[] = {
        "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"7\","
        "\"continue\":\"x\",\"remainingItemCount\":3},\"items\":[]}",
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
        "\"message\":\"pods \\\"a\\\" not found\",\"reason\":\"NotFound\",\"details\":{\"name\":"
        "\"a\",\"kind\":\"pods\"},\"code\":404}",
        "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"gracePeriodSeconds\":0,"
        "\"preconditions\":{\"uid\":\"u\"},\"propagationPolicy\":\"Background\"}",
        "{\"kind\":\"APIVersions\",\"apiVersion\":\"v1\",\"versions\":[\"v1\"],"
        "\"serverAddressByClientCIDRs\":[{\"clientCIDR\":\"0.0.0.0/0\",\"serverAddress\":"
        "\"10.0.0.1:6443\"}]}",
        "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[{\"name\":\"apps\","
        "\"versions\":[{\"groupVersion\":\"apps/v1\",\"version\":\"v1\"}],\"preferredVersion\":"
        "{\"groupVersion\":\"apps/v1\",\"version\":\"v1\"}}]}",
        "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"v1\","
        "\"resources\":[{\"name\":\"pods\",\"namespaced\":true,\"kind\":\"Pod\",\"verbs\":["
        "\"get\"],\"shortNames\":[\"po\"],\"singularName\":\"pod\",\"categories\":[\"all\"],"
        "\"storageVersionHash\":\"h=\"}]}",
        "{\"kind\":\"Binding\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\"},\"target\":{"
        "\"kind\":\"Node\",\"name\":\"n\"}}",
        "{\"kind\":\"Eviction\",\"apiVersion\":\"policy/v1\",\"metadata\":{\"name\":\"a\"},"
        "\"deleteOptions\":{\"gracePeriodSeconds\":5}}",
        "{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{"
        "\"resourceVersion\":\"1\"},\"items\":[{\"metadata\":{\"name\":\"a\"}}]}",
        "{\"kind\":\"SelfSubjectReview\",\"apiVersion\":\"authentication.k8s.io/v1\",\"status\":{"
        "\"userInfo\":{\"username\":\"u\",\"uid\":\"1\",\"groups\":[\"g\"],\"extra\":{\"k\":["
        "\"v\"]}}}}",
        "{\"kind\":\"TokenRequest\",\"apiVersion\":\"authentication.k8s.io/v1\",\"spec\":{"
        "\"audiences\":[\"a\"],\"boundObjectRef\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\","
        "\"name\":\"p\",\"uid\":\"u\"},\"expirationSeconds\":600},\"status\":{\"token\":\"t\","
        "\"expirationTimestamp\":\"2026-11-21T03:24:00Z\"}}",
        "{\"kind\":\"SelfSubjectRulesReview\",\"apiVersion\":\"authorization.k8s.io/v1\","
        "\"spec\":{\"namespace\":\"n\"},\"status\":{\"resourceRules\":[{\"verbs\":[\"*\"],"
        "\"apiGroups\":[\"\"],\"resources\":[\"pods\"],\"resourceNames\":[\"a\"]}],"
        "\"nonResourceRules\":[{\"verbs\":[\"get\"],\"nonResourceURLs\":[\"/healthz\"]}],"
        "\"incomplete\":false}}",
        "{\"kind\":\"EndpointSlice\",\"apiVersion\":\"discovery.k8s.io/v1\",\"metadata\":{"
        "\"name\":\"a\"},\"endpoints\":[{\"addresses\":[\"10.0.0.1\"],\"conditions\":{\"ready\":"
        "false},\"targetRef\":{\"kind\":\"Pod\",\"name\":\"p\"},\"nodeName\":\"n\"}],\"ports\":["
        "{\"name\":\"\",\"protocol\":\"TCP\",\"port\":80}],\"addressType\":\"IPv4\"}",
        "{\"kind\":\"StorageClass\",\"apiVersion\":\"storage.k8s.io/v1\",\"metadata\":{\"name\":"
        "\"s\"},\"provisioner\":\"p\",\"reclaimPolicy\":\"Delete\",\"allowVolumeExpansion\":false,"
        "\"volumeBindingMode\":\"Immediate\"}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct kube_kind *kind;
        ProtobufCMessage *object;
        assert_no_error(
            kube_decode_any(str_from(objects[i]), KUBE_JSON, &strict, arena, &kind, &object));
        assert_json(kind, object, objects[i]);
    }
}

TEST_CASE(lists_of_discovery_are_shown_when_empty)
{
    Meta__APIResourceList resources = META__APIRESOURCE_LIST__INIT;
    assert_json(kube_kind_find("v1", "APIResourceList"), &resources.base,
                "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"resources\":[]}");
    Meta__APIGroupList groups = META__APIGROUP_LIST__INIT;
    assert_json(kube_kind_find("v1", "APIGroupList"), &groups.base,
                "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[]}");
    /* "items" elsewhere are just a field. */
    Core__ConfigMapVolumeSource source = CORE__CONFIG_MAP_VOLUME_SOURCE__INIT;
    Core__VolumeSource volume_source = CORE__VOLUME_SOURCE__INIT;
    volume_source.config_map = &source;
    AUTO(buf) struct buf text;
    buf_init(&text, KiB);
    kube_encode_json(&volume_source.base, NULL, &text);
    assert_string_equal(buf_text(&text), "{\"configMap\":{}}");
}

/* Field numbers that are in no file of the wire contract. */
TEST_CASE(an_eviction_has_upstreams_field_numbers)
{
    char name[] = "a";
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    Meta__DeleteOptions options = META__DELETE_OPTIONS__INIT;
    Policy__Eviction eviction = POLICY__EVICTION__INIT;
    AUTO(buf) struct buf bytes;
    buf_init(&bytes, KiB);
    meta.name = name;
    options.has_grace_period_seconds = true;
    options.grace_period_seconds = 5;
    eviction.metadata = &meta;
    eviction.delete_options = &options;
    kube_encode_protobuf(&eviction.base, &bytes);
    assert_true(str_eq(buf_str(&bytes), STR_LITERAL("\x0a\x03\x0a\x01\x61\x12\x02\x08\x05")));
}

TEST_CASE(what_names_no_known_kind_is_refused)
{
    static const struct {
        enum kube_encoding encoding;
        const char *text, *message;
    } rows[] = {
        {KUBE_JSON, "{\"apiVersion\":\"v1\"}", "Object 'Kind' is missing"},
        {KUBE_JSON, "{\"kind\":\"Pod\"}", "Object 'apiVersion' is missing"},
        {KUBE_JSON, "{\"kind\":\"Pod\",\"apiVersion\":\"v2\"}",
         "no kind \"Pod\" is registered for version \"v2\""},
        {KUBE_YAML, "\nkind: Foo\napiVersion: v1\n",
         "line 2: no kind \"Foo\" is registered for version \"v1\""},
        {KUBE_YAML, "kind: 7\napiVersion: v1\n", "line 1: kind: expected a string, found number 7"},
        {KUBE_YAML, "- a\n", "line 1: expected an object, found an array"},
        {KUBE_JSON, "[]", "expected an object, found an array"},
        {KUBE_JSON, "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[]}",
         "no kind \"List\" is registered for version \"v1\""},
        {KUBE_PROTOBUF, "x", "no protobuf envelope: the bytes do not begin with \"k8s\\0\""},
        {KUBE_JSON, "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"spec\":{\"containerz\":[]}}",
         "unknown field \"spec.containerz\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct kube_kind *kind;
        ProtobufCMessage *object;
        assert_error_message(kube_decode_any(str_from(rows[i].text), rows[i].encoding, &strict,
                                             arena, &kind, &object),
                             rows[i].message);
    }
}

/* --- several objects in one input --- */

struct seen {
    struct buf text; /* "Pod/a Node/b " */
};

static struct error *note(void *ctx, const struct kube_kind *kind, ProtobufCMessage *object)
{
    struct seen *seen = ctx;
    const Meta__ObjectMeta *meta = kube_object_meta(object);
    if (meta && text_eq(meta->name, "stop"))
        return error_new(ERROR_ABORTED, "stopped");
    buf_printf(&seen->text, "%s/%s ", kind->kind, meta && meta->name ? meta->name : "");
    return NULL;
}

#define POD(name) "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"" name "\"}}"
#define YAML_POD(name) "kind: Pod\napiVersion: v1\nmetadata: {name: " name "}\n"

TEST_CASE(all_objects_of_an_input_are_handed_out_in_order)
{
    static const struct {
        const char *name;
        enum kube_encoding encoding;
        const char *text, *want;
    } rows[] = {
        {"one", KUBE_JSON, POD("a"), "Pod/a "},
        {"JSON one after the other", KUBE_JSON, POD("a") "\n" POD("b") " ", "Pod/a Pod/b "},
        {"typed list", KUBE_JSON,
         "{\"kind\":\"NodeList\",\"apiVersion\":\"v1\",\"items\":[{\"metadata\":{\"name\":\"n\"}},"
         "{\"metadata\":{\"name\":\"m\"}}]}",
         "Node/n Node/m "},
        {"v1 List", KUBE_JSON,
         "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[" POD(
             "a") ","
                  "{\"kind\":\"Lease\",\"apiVersion\":\"coordination.k8s.io/v1\"},"
                  "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"items\":[{}]}]}",
         "Pod/a Lease/ Pod/ "},
        {"v1 List of nothing", KUBE_JSON, "{\"kind\":\"List\",\"apiVersion\":\"v1\"}", ""},
        {"YAML stream", KUBE_YAML, YAML_POD("a") "---\n" YAML_POD("b"), "Pod/a Pod/b "},
        {"separator first", KUBE_YAML, "---\n" YAML_POD("a") "---\n", "Pod/a "},
        {"comments", KUBE_YAML, "# one\n---\n# two\n" YAML_POD("a") "---\n# three\n", "Pod/a "},
        {"directive", KUBE_YAML, "%YAML 1.1\n---\n" YAML_POD("a") "...\n" YAML_POD("b"),
         "Pod/a Pod/b "},
        {"document on the separator", KUBE_YAML, "--- " POD("a") "\n--- \n" YAML_POD("b"),
         "Pod/a Pod/b "},
        {"dashes in a text", KUBE_YAML,
         "kind: ConfigMap\napiVersion: v1\ndata:\n  a: |\n    x\n    ---\n    y\n---\n" YAML_POD(
             "b"),
         "ConfigMap/ Pod/b "},
        {"JSON in a YAML stream", KUBE_YAML, POD("a") "\n---\n" POD("b") "\n" POD("c"),
         "Pod/a Pod/b Pod/c "},
        {"nothing", KUBE_YAML, "", ""},
        {"only separators", KUBE_YAML, "---\n---\n---", ""},
        {"CRLF", KUBE_YAML,
         "kind: Pod\r\napiVersion: v1\r\n---\r\nkind: Node\r\napiVersion: v1\r\n", "Pod/ Node/ "},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct seen seen;
        buf_init(&seen.text, KiB);
        print_message("%s\n", rows[i].name);
        assert_no_error(kube_decode_items(str_from(rows[i].text), rows[i].encoding, &strict, arena,
                                          note, &seen));
        assert_string_equal(buf_text(&seen.text), rows[i].want);
        buf_done(&seen.text);
    }
}

TEST_CASE(the_first_error_ends_the_reading_and_says_where)
{
    static const struct {
        enum kube_encoding encoding;
        const char *text, *message, *seen;
    } rows[] = {
        {KUBE_YAML, YAML_POD("a") "---\n" YAML_POD("b") "spec: {x: 1}\n---\n" YAML_POD("c"),
         "document 2, which begins in line 4: line 5: unknown field \"spec.x\"", "Pod/a "},
        {KUBE_YAML, YAML_POD("stop") "---\n" YAML_POD("b"), "stopped", ""},
        {KUBE_JSON, "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[" POD("a") ",{}]}",
         "items[1]: Object 'Kind' is missing", ""},
        {KUBE_JSON, "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":{}}",
         "items: expected a list, found an object", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct seen seen;
        buf_init(&seen.text, KiB);
        assert_error_message(kube_decode_items(str_from(rows[i].text), rows[i].encoding, &strict,
                                               arena, note, &seen),
                             rows[i].message);
        assert_string_equal(buf_text(&seen.text), rows[i].seen);
        buf_done(&seen.text);
    }
    AUTO(arena) struct arena *arena = arena_new(0);
    struct seen seen;
    buf_init(&seen.text, KiB);
    assert_error_code(
        kube_decode_items(STR_LITERAL(POD("a") "x"), KUBE_JSON, &strict, arena, note, &seen),
        ERROR_INVALID_ARGUMENT);
    assert_error_code(kube_decode_items(STR_LITERAL(""), KUBE_JSON, &strict, arena, note, &seen),
                      ERROR_INVALID_ARGUMENT);
    buf_done(&seen.text);
}

TEST_CASE(a_protobuf_list_of_raw_items_is_handed_out)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf pod_bytes, list_bytes;
    buf_init(&pod_bytes, KiB);
    buf_init(&list_bytes, KiB);
    char name[] = "a";
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    Core__Pod pod = CORE__POD__INIT;
    meta.name = name;
    pod.metadata = &meta;
    kube_encode_any(&pod.base, kube_kind_find("v1", "Pod"), KUBE_PROTOBUF, &pod_bytes);
    Runtime__RawExtension enveloped = RUNTIME__RAW_EXTENSION__INIT;
    Runtime__RawExtension json = RUNTIME__RAW_EXTENSION__INIT, *items[] = {&enveloped, &json};
    enveloped.has_raw = json.has_raw = true;
    enveloped.raw = (ProtobufCBinaryData){.data = (uint8_t *)pod_bytes.data, .len = pod_bytes.len};
    json.raw.data = (uint8_t *)arena_strdup(arena, POD("b"));
    json.raw.len = strlen(POD("b"));
    Core__List list = CORE__LIST__INIT;
    list.items = items;
    list.n_items = 2;
    kube_encode_envelope(&list.base, &(struct kube_type_meta){.api_version = "v1", .kind = "List"},
                         &list_bytes);
    struct seen seen;
    buf_init(&seen.text, KiB);
    assert_no_error(
        kube_decode_items(buf_str(&list_bytes), KUBE_PROTOBUF, &strict, arena, note, &seen));
    assert_no_error(
        kube_decode_items(buf_str(&pod_bytes), KUBE_PROTOBUF, &strict, arena, note, &seen));
    assert_string_equal(buf_text(&seen.text), "Pod/a Pod/b Pod/a ");
    buf_done(&seen.text);
}

TEST_CASE(a_larger_limit_is_for_lists)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf text;
    const struct kube_kind *kind;
    ProtobufCMessage *object;
    struct kube_decode_options options = strict;
    buf_init(&text, 2 * KUBE_OBJECT_MAX_BYTES);
    buf_add_text(&text, "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"data\":{\"a\":\"");
    while (text.len < KUBE_OBJECT_MAX_BYTES)
        buf_add_text(&text, "0123456789012345678901234567890123456789");
    buf_add_text(&text, "\"}}");
    assert_error_code(kube_decode_any(buf_str(&text), KUBE_JSON, &options, arena, &kind, &object),
                      ERROR_RESOURCE_EXHAUSTED);
    options.max_bytes = 2 * KUBE_OBJECT_MAX_BYTES;
    assert_no_error(kube_decode_any(buf_str(&text), KUBE_JSON, &options, arena, &kind, &object));
}

TEST_MAIN(TEST(every_kind_is_found_by_its_names), TEST(a_list_and_its_items_lead_to_each_other),
          TEST(options_of_a_deletion_have_the_version_of_any_group),
          TEST(metadata_is_found_and_made), TEST(a_list_shows_its_items_and_metadata),
          TEST(every_field_of_every_kind_survives_each_encoding),
          TEST(objects_without_golden_files_read_and_write_as_in_kubernetes),
          TEST(lists_of_discovery_are_shown_when_empty),
          TEST(an_eviction_has_upstreams_field_numbers), TEST(what_names_no_known_kind_is_refused),
          TEST(all_objects_of_an_input_are_handed_out_in_order),
          TEST(the_first_error_ends_the_reading_and_says_where),
          TEST(a_protobuf_list_of_raw_items_is_handed_out), TEST(a_larger_limit_is_for_lists))
