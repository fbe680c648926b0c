#include "kube/object.h"

/* The message is one piece; the arena makes a block of its own for what is larger. */
#define FIRST_BLOCK_BYTES 128

static const char *text(const char *value)
{
    return value ? value : "";
}

struct kube_object *kube_object_new(const struct kube_kind *kind, const ProtobufCMessage *message)
{
    struct arena *arena = arena_new(FIRST_BLOCK_BYTES);
    ProtobufCMessage *copy = kube_message_dup(message, arena);
    struct kube_object *object = xcalloc(1, sizeof(*object));
    *object = (struct kube_object){.kind = kind,
                                   .message = copy,
                                   .meta = kube_object_ensure_meta(copy, arena),
                                   .arena = arena,
                                   .references = 1};
    object->bytes = sizeof(*object) + arena_held(arena);
    return object;
}

struct kube_object *kube_object_ref(const struct kube_object *object)
{
    struct kube_object *counted = (struct kube_object *)object;
    if (counted)
        counted->references++;
    return counted;
}

void kube_object_unref(const struct kube_object *object)
{
    struct kube_object *counted = (struct kube_object *)object;
    if (!counted || --counted->references > 0)
        return;
    arena_free(counted->arena);
    free(counted);
}

const char *kube_object_name(const struct kube_object *object)
{
    return text(object->meta->name);
}

const char *kube_object_namespace(const struct kube_object *object)
{
    return text(object->meta->namespace_);
}

const char *kube_object_uid(const struct kube_object *object)
{
    return text(object->meta->uid);
}

const char *kube_object_version(const struct kube_object *object)
{
    return text(object->meta->resource_version);
}

bool kube_object_is_same(const struct kube_object *object, const Meta__ObjectMeta *meta)
{
    return object->meta->resource_version && *object->meta->resource_version &&
           text_eq(object->meta->resource_version, meta->resource_version) &&
           text_eq(object->meta->uid, meta->uid);
}
