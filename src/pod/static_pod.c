#include "pod/static_pod.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/path.h"
#include "base/time.h"
#include "kube/codec.h"
#include "kube/defaults.h"
#include "kube/message_map.h"
#include "kube/validate.h"

#include <ctype.h>

#define MANIFEST_ARENA_BYTES (4 * KiB)

static struct error *check_kind(const struct static_pod_input *input, struct arena *arena)
{
    struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT, .file = input->path};
    struct kube_type_meta type = {0};
    struct error *err = kube_decode_type_meta(input->text, &options, arena, &type);
    if (err)
        return err;
    if (!text_eq(type.kind, "Pod") || !text_eq(type.api_version, "v1"))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "%s: expected apiVersion \"v1\" and kind \"Pod\", found \"%s\" and \"%s\"",
                         input->path, type.api_version ? type.api_version : "",
                         type.kind ? type.kind : "");
    return NULL;
}

/* Any change of content, node or path gives another pod. */
static const char *content_uid(const Core__Pod *pod, const struct static_pod_input *input,
                               struct arena *arena)
{
    struct buf text;
    buf_init(&text, 2 * KUBE_OBJECT_MAX_BYTES);
    kube_encode_protobuf(&pod->base, &text);
    buf_printf(&text, "host:%sfile:%s", input->node_name, input->path);
    struct hash128 hash = hash_fnv1a_128(text.data, text.len);
    buf_done(&text);
    return arena_printf(arena, "%016llx%016llx", (unsigned long long)hash.high,
                        (unsigned long long)hash.low);
}

static void set_annotation(Meta__ObjectMeta *meta, const char *key, const char *value,
                           struct arena *arena)
{
    message_map_set(&meta->base, "annotations", key, value, arena);
}

/* {operator: Exists, effect: NoExecute}: no taint evicts a static pod. */
static void add_toleration(Core__PodSpec *spec, struct arena *arena)
{
    for (size_t i = 0; i < spec->n_tolerations; i++) {
        const Core__Toleration *has = spec->tolerations[i];
        bool no_key = !has->key || has->key[0] == '\0';
        if (no_key && text_eq(has->operator_, "Exists") && text_eq(has->effect, "NoExecute"))
            return;
    }
    Core__Toleration **grown = arena_calloc(arena, spec->n_tolerations + 1, sizeof(void *));
    if (spec->n_tolerations > 0)
        memcpy(grown, spec->tolerations, spec->n_tolerations * sizeof(void *));
    Core__Toleration *all =
        (Core__Toleration *)kube_message_new(&core__toleration__descriptor, arena);
    all->operator_ = arena_strdup(arena, "Exists");
    all->effect = arena_strdup(arena, "NoExecute");
    grown[spec->n_tolerations++] = all;
    spec->tolerations = grown;
}

/* Steps 2 to 9 of spec pods.md §1.5. */
static struct error *normalise(Core__Pod *pod, const struct static_pod_input *input,
                               struct arena *arena)
{
    Meta__ObjectMeta *meta = pod->metadata;
    if (!meta || !meta->name || meta->name[0] == '\0')
        return error_new(ERROR_INVALID_ARGUMENT,
                         "%s: metadata.name: invalid pod: name is needed for the pod", input->path);
    if (!pod->spec)
        return error_new(ERROR_INVALID_ARGUMENT, "%s: spec: Required value", input->path);
    if (!meta->uid || meta->uid[0] == '\0')
        meta->uid = arena_strdup(arena, content_uid(pod, input, arena));
    if (strchr(meta->uid, '/') || meta->uid[0] == '.')
        return error_new(
            ERROR_INVALID_ARGUMENT,
            "%s: metadata.uid: Invalid value: \"%s\": it names folders, so it must not "
            "contain '/' or begin with '.'",
            input->path, meta->uid);
    meta->name =
        arena_printf(arena, "%s-%s", meta->name, arena_strlower(arena, str_from(input->node_name)));
    if (!meta->namespace_ || meta->namespace_[0] == '\0')
        meta->namespace_ = arena_strdup(arena, "default");
    pod->spec->node_name = arena_strdup(arena, input->node_name);
    char seen[TIME_TEXT_SIZE];
    set_annotation(meta, ANNOTATION_CONFIG_HASH, meta->uid, arena);
    set_annotation(meta, ANNOTATION_CONFIG_SEEN, time_format_rfc3339_nano(input->seen_ns, seen),
                   arena);
    set_annotation(meta, ANNOTATION_CONFIG_SOURCE, "file", arena);
    add_toleration(pod->spec, arena);
    if (!pod->status)
        pod->status = (Core__PodStatus *)kube_message_new(&core__pod_status__descriptor, arena);
    pod->status->phase = arena_strdup(arena, "Pending");
    return NULL;
}

static struct error *validate(const Core__Pod *pod, const struct static_pod_input *input,
                              struct arena *arena)
{
    struct field_errors *errors = arena_alloc(arena, sizeof(*errors));
    errors->arena = arena;
    pod_validate_create(pod, errors);
    const char *text = field_errors_text(errors, arena);
    if (text)
        return error_new(ERROR_INVALID_ARGUMENT, "%s: %s", input->path, text);
    const char *reference = pod_static_reference_error(pod);
    if (reference)
        return error_new(ERROR_INVALID_ARGUMENT, "%s: %s", input->path, reference);
    return NULL;
}

struct error *static_pod_read(const struct static_pod_input *input, struct pod_object **ret)
{
    AUTO(arena) struct arena *arena = arena_new(MANIFEST_ARENA_BYTES);
    struct error *err = check_kind(input, arena);
    if (err)
        return err;
    struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT, .file = input->path};
    ProtobufCMessage *message = NULL;
    err = kube_decode_text(input->text, &core__pod__descriptor, &options, arena, &message);
    if (err)
        return err;
    Core__Pod *pod = (Core__Pod *)message;
    if (pod->spec)
        pod_set_defaults(pod, arena);
    err = normalise(pod, input, arena);
    if (!err)
        err = validate(pod, input, arena);
    if (err)
        return err;

    /* What decoding and validation left behind stays out of the object that lives on. */
    AUTO(arena) struct arena *kept = arena_new(MANIFEST_ARENA_BYTES);
    Core__Pod *copy = (Core__Pod *)kube_message_dup(&pod->base, kept);
    const char *origin = arena_strdup(kept, input->path);
    *ret = pod_object_new(TAKE(kept), copy, origin);
    return NULL;
}
