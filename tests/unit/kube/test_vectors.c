/* Every golden object reads the same from JSON, YAML and protobuf, and leaves as it came. */
#include "kube/watch_frame.h"
#include "tests/lib/test.h"
#include "wire/json.h"

#include "authentication.pb-c.h"
#include "authorization.pb-c.h"
#include "certificates.pb-c.h"
#include "coordination.pb-c.h"
#include "core.pb-c.h"
#include "events.pb-c.h"
#include "node.pb-c.h"
#include "resource.pb-c.h"
#include "storage.pb-c.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

struct vector {
    const char *name; /* of the files, without suffix */
    const char *api_version;
    const char *kind;
    const ProtobufCMessageDescriptor *type;
};

static const struct vector vectors[] = {
    {"authentication.k8s.io.v1.TokenRequest", "authentication.k8s.io/v1", "TokenRequest",
     &authentication__token_request__descriptor},
    {"authentication.k8s.io.v1.TokenReview", "authentication.k8s.io/v1", "TokenReview",
     &authentication__token_review__descriptor},
    {"authorization.k8s.io.v1.SubjectAccessReview", "authorization.k8s.io/v1",
     "SubjectAccessReview", &authorization__subject_access_review__descriptor},
    {"certificates.k8s.io.v1.CertificateSigningRequest", "certificates.k8s.io/v1",
     "CertificateSigningRequest", &certificates__certificate_signing_request__descriptor},
    {"coordination.k8s.io.v1.Lease", "coordination.k8s.io/v1", "Lease",
     &coordination__lease__descriptor},
    {"core.v1.ConfigMap", "v1", "ConfigMap", &core__config_map__descriptor},
    {"core.v1.Event", "v1", "Event", &core__event__descriptor},
    {"core.v1.Namespace", "v1", "Namespace", &core__namespace__descriptor},
    {"core.v1.Node", "v1", "Node", &core__node__descriptor},
    {"core.v1.PersistentVolume", "v1", "PersistentVolume", &core__persistent_volume__descriptor},
    {"core.v1.PersistentVolumeClaim", "v1", "PersistentVolumeClaim",
     &core__persistent_volume_claim__descriptor},
    {"core.v1.Pod", "v1", "Pod", &core__pod__descriptor},
    {"core.v1.PodStatusResult", "v1", "PodStatusResult", &core__pod_status_result__descriptor},
    {"core.v1.Secret", "v1", "Secret", &core__secret__descriptor},
    {"core.v1.Service", "v1", "Service", &core__service__descriptor},
    {"core.v1.ServiceAccount", "v1", "ServiceAccount", &core__service_account__descriptor},
    {"events.k8s.io.v1.Event", "events.k8s.io/v1", "Event", &events__event__descriptor},
    {"node.k8s.io.v1.RuntimeClass", "node.k8s.io/v1", "RuntimeClass",
     &node__runtime_class__descriptor},
    {"resource.k8s.io.v1.ResourceClaim", "resource.k8s.io/v1", "ResourceClaim",
     &resource__resource_claim__descriptor},
    {"storage.k8s.io.v1.CSIDriver", "storage.k8s.io/v1", "CSIDriver",
     &storage__csidriver__descriptor},
    {"storage.k8s.io.v1.CSINode", "storage.k8s.io/v1", "CSINode", &storage__csinode__descriptor},
    {"storage.k8s.io.v1.VolumeAttachment", "storage.k8s.io/v1", "VolumeAttachment",
     &storage__volume_attachment__descriptor},
};

static const struct kube_decode_options strict = {.unknown = KUBE_UNKNOWN_STRICT};
static const struct doc_parse_options parse_options = {.max_bytes = MiB};

static char *vector_path(const struct vector *vector, const char *suffix)
{
    const char *shared = getenv("CUBELET_SHARED");
    return xasprintf("%s/vectors/%s.%s", shared ? shared : ".", vector->name, suffix);
}

/* Before anything is allocated, because skip() does not return. */
static void skip_without_vectors(void)
{
    char *path = vector_path(&vectors[0], "json");
    bool is_there = access(path, R_OK) == 0;
    free(path);
    if (!is_there) {
        print_message("no golden objects in $CUBELET_SHARED/vectors\n");
        skip();
    }
}

/* Reads vectors/<name>.<suffix> of the shared data into @out. */
static struct str read_vector(const struct vector *vector, const char *suffix, struct buf *out)
{
    AUTO(free) char *path = vector_path(vector, suffix);
    FILE *file = fopen(path, "rbe");
    if (!file)
        fail_msg("cannot open %s", path);
    char chunk[4096];
    for (size_t got; (got = fread(chunk, 1, sizeof(chunk), file)) > 0;)
        buf_add(out, chunk, got);
    fclose(file);
    return buf_str(out);
}

static bool doc_eq(const struct doc_node *a, const struct doc_node *b)
{
    if (!a || !b || a->kind != b->kind)
        return false;
    switch (a->kind) {
    case DOC_NULL:
        return true;
    case DOC_BOOL:
        return a->boolean == b->boolean;
    case DOC_INTEGER:
        return a->integer == b->integer;
    case DOC_REAL:
        return memcmp(&a->real, &b->real, sizeof(a->real)) == 0;
    case DOC_STRING:
        return str_eq(a->string, b->string);
    case DOC_ARRAY:
        for (size_t i = 0; i < a->array.count && i < b->array.count; i++) {
            if (!doc_eq(a->array.items[i], b->array.items[i]))
                return false;
        }
        return a->array.count == b->array.count;
    case DOC_OBJECT:
        for (size_t i = 0; i < a->object.count; i++) {
            if (!doc_eq(a->object.members[i].value, doc_get(b, a->object.members[i].key.ptr))) {
                print_message("member %s\n", a->object.members[i].key.ptr);
                return false;
            }
        }
        return a->object.count == b->object.count;
    }
    return false;
}

TEST_CASE(json_yaml_and_protobuf_give_the_same_message)
{
    skip_without_vectors();
    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
        const struct vector *vector = &vectors[i];
        AUTO(arena) struct arena *arena = arena_new(0);
        AUTO(buf) struct buf json, yaml, pb;
        ProtobufCMessage *from_json, *from_yaml, *from_pb, *from_text;
        struct kube_type_meta type;
        struct str raw;
        buf_init(&json, MiB);
        buf_init(&yaml, MiB);
        buf_init(&pb, MiB);
        print_message("%s\n", vector->name);
        read_vector(vector, "json", &json);
        read_vector(vector, "yaml", &yaml);
        read_vector(vector, "pb", &pb);
        assert_no_error(kube_decode_json(buf_str(&json), vector->type, &strict, arena, &from_json));
        assert_no_error(kube_decode_yaml(buf_str(&yaml), vector->type, &strict, arena, &from_yaml));
        assert_no_error(kube_decode_text(buf_str(&yaml), vector->type, &strict, arena, &from_text));
        assert_no_error(kube_decode_envelope(buf_str(&pb), arena, &type, &raw));
        assert_string_equal(type.kind, vector->kind);
        assert_string_equal(type.api_version, vector->api_version);
        assert_no_error(kube_decode_protobuf(raw, vector->type, arena, &from_pb));
        assert_true(kube_message_eq(from_json, from_yaml));
        assert_true(kube_message_eq(from_json, from_text));
        assert_true(kube_message_eq(from_json, from_pb));
        assert_no_error(kube_decode_type_meta(buf_str(&yaml), &strict, arena, &type));
        assert_string_equal(type.kind, vector->kind);
    }
}

TEST_CASE(encoded_json_equals_the_golden_json)
{
    skip_without_vectors();
    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
        const struct vector *vector = &vectors[i];
        const struct kube_type_meta type = {.api_version = vector->api_version,
                                            .kind = vector->kind};
        AUTO(arena) struct arena *arena = arena_new(0);
        AUTO(buf) struct buf golden, encoded, pretty;
        ProtobufCMessage *message;
        const struct doc_node *want, *have, *have_pretty;
        buf_init(&golden, MiB);
        buf_init(&encoded, MiB);
        buf_init(&pretty, MiB);
        struct str text = read_vector(vector, "json", &golden);
        assert_no_error(kube_decode_json(text, vector->type, &strict, arena, &message));
        kube_encode_json(message, &type, &encoded);
        kube_encode_json_pretty(message, &type, &pretty);
        assert_no_error(json_parse(text, &parse_options, arena, &want));
        assert_no_error(json_parse(buf_str(&encoded), &parse_options, arena, &have));
        assert_no_error(json_parse(buf_str(&pretty), &parse_options, arena, &have_pretty));
        print_message("%s\n", vector->name);
        assert_true(doc_eq(want, have));
        assert_true(doc_eq(want, have_pretty));
    }
}

TEST_CASE(what_is_encoded_decodes_to_the_same_message)
{
    skip_without_vectors();
    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
        const struct vector *vector = &vectors[i];
        const struct kube_type_meta type = {.api_version = vector->api_version,
                                            .kind = vector->kind};
        struct kube_type_meta have_type;
        struct str raw;
        AUTO(arena) struct arena *arena = arena_new(0);
        AUTO(buf) struct buf golden, yaml, envelope;
        ProtobufCMessage *message, *from_yaml, *from_pb;
        buf_init(&golden, MiB);
        buf_init(&yaml, MiB);
        buf_init(&envelope, MiB);
        struct str text = read_vector(vector, "json", &golden);
        assert_no_error(kube_decode_json(text, vector->type, &strict, arena, &message));
        kube_encode_yaml(message, &type, &yaml);
        kube_encode_envelope(message, &type, &envelope);
        assert_no_error(kube_decode_yaml(buf_str(&yaml), vector->type, &strict, arena, &from_yaml));
        assert_no_error(kube_decode_envelope(buf_str(&envelope), arena, &have_type, &raw));
        assert_no_error(kube_decode_protobuf(raw, vector->type, arena, &from_pb));
        assert_string_equal(have_type.kind, type.kind);
        assert_true(kube_message_eq(message, from_yaml));
        assert_true(kube_message_eq(message, from_pb));
        assert_true(kube_message_eq(message, kube_message_dup(message, arena)));
    }
}

/* What is fully populated has no zeros that Go would write and we leave out. */
TEST_CASE(protobuf_is_equal_to_the_byte)
{
    skip_without_vectors();
    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
        const struct vector *vector = &vectors[i];
        const struct kube_type_meta type = {.api_version = vector->api_version,
                                            .kind = vector->kind};
        AUTO(arena) struct arena *arena = arena_new(0);
        AUTO(buf) struct buf golden, pb, encoded;
        ProtobufCMessage *message;
        buf_init(&golden, MiB);
        buf_init(&pb, MiB);
        buf_init(&encoded, MiB);
        struct str text = read_vector(vector, "json", &golden);
        struct str want = read_vector(vector, "pb", &pb);
        assert_no_error(kube_decode_json(text, vector->type, &strict, arena, &message));
        kube_encode_envelope(message, &type, &encoded);
        print_message("%s\n", vector->name);
        assert_true(str_eq(want, buf_str(&encoded)));
    }
}

static bool has_vector(const char *file)
{
    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
        AUTO(free) char *name = xasprintf("%s.json", vectors[i].name);
        if (text_eq(name, file))
            return true;
    }
    return false;
}

TEST_CASE(every_golden_object_is_in_the_table_and_of_a_known_kind)
{
    skip_without_vectors();
    AUTO(free) char *path = xasprintf("%s/vectors", getenv("CUBELET_SHARED"));
    DIR *directory = opendir(path);
    assert_non_null(directory);
    size_t missing = 0, seen = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (!text_has_suffix(entry->d_name, ".json"))
            continue;
        seen++;
        if (has_vector(entry->d_name))
            continue;
        print_error("%s is not in the table\n", entry->d_name);
        missing++;
    }
    closedir(directory);
    assert_int_equal(missing, 0);
    assert_int_equal(seen, ARRAY_SIZE(vectors));
    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
        const struct kube_kind *kind = kube_kind_find(vectors[i].api_version, vectors[i].kind);
        assert_non_null(kind);
        assert_ptr_equal(kind->type, vectors[i].type);
    }
}

static const enum kube_encoding encodings[] = {KUBE_JSON, KUBE_YAML, KUBE_PROTOBUF};

TEST_CASE(lists_of_golden_objects_come_back_from_every_encoding)
{
    skip_without_vectors();
    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        AUTO(buf) struct buf golden;
        const struct kube_kind *kind, *back_kind;
        ProtobufCMessage *object, *back;
        buf_init(&golden, MiB);
        assert_no_error(kube_decode_any(read_vector(&vectors[i], "pb", &golden), KUBE_PROTOBUF,
                                        &strict, arena, &kind, &object));
        const struct kube_kind *list_kind = kube_kind_list(kind);
        if (!list_kind)
            continue;
        AUTO(free)
        char *json = xasprintf(
            "{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"metadata\":{\"resourceVersion\":\"7\"},"
            "\"items\":[{},{}]}",
            list_kind->kind, list_kind->api_version);
        assert_no_error(
            kube_decode_any(str_from(json), KUBE_JSON, &strict, arena, &back_kind, &back));
        size_t count;
        ProtobufCMessage **items = (ProtobufCMessage **)(uintptr_t)kube_list_items(back, &count);
        items[0] = items[1] = object;
        for (size_t k = 0; k < ARRAY_SIZE(encodings); k++) {
            AUTO(buf) struct buf text;
            ProtobufCMessage *list;
            buf_init(&text, MiB);
            kube_encode_any(back, list_kind, encodings[k], &text);
            assert_no_error(
                kube_decode_any(buf_str(&text), encodings[k], &strict, arena, &back_kind, &list));
            assert_ptr_equal(back_kind, list_kind);
            assert_string_equal(kube_list_meta(list)->resource_version, "7");
            assert_true(kube_message_eq(kube_list_items(list, &count)[1], object));
            assert_int_equal(count, 2);
        }
    }
}

TEST_CASE(golden_objects_pass_through_watches)
{
    static const enum kube_encoding watchable[] = {KUBE_JSON, KUBE_PROTOBUF};
    skip_without_vectors();
    for (size_t k = 0; k < ARRAY_SIZE(watchable); k++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        AUTO(watch_decoder) struct watch_decoder *decoder = watch_decoder_new(watchable[k]);
        struct watch_event event, back;
        for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
            AUTO(buf) struct buf golden, frame;
            bool has;
            buf_init(&golden, MiB);
            buf_init(&frame, MiB);
            event.type = WATCH_MODIFIED;
            assert_no_error(kube_decode_any(read_vector(&vectors[i], "json", &golden), KUBE_JSON,
                                            &strict, arena, &event.kind, &event.object));
            watch_frame_encode(&event, watchable[k], &frame);
            assert_no_error(watch_decoder_feed(decoder, buf_str(&frame)));
            assert_no_error(watch_decoder_next(decoder, arena, &has, &back));
            assert_true(has);
            assert_ptr_equal(back.kind, event.kind);
            assert_true(kube_message_eq(back.object, event.object));
        }
    }
}

TEST_MAIN(TEST(json_yaml_and_protobuf_give_the_same_message),
          TEST(encoded_json_equals_the_golden_json),
          TEST(what_is_encoded_decodes_to_the_same_message), TEST(protobuf_is_equal_to_the_byte),
          TEST(every_golden_object_is_in_the_table_and_of_a_known_kind),
          TEST(lists_of_golden_objects_come_back_from_every_encoding),
          TEST(golden_objects_pass_through_watches))
