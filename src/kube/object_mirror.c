#include "kube/object_mirror.h"

void object_mirror_init(struct object_mirror *mirror)
{
    mirror->store = object_store_new(&mirror->limits);
}

void object_mirror_done(struct object_mirror *mirror)
{
    object_mirror_abandon(mirror);
    object_store_free(TAKE(mirror->store));
}

void object_mirror_begin(struct object_mirror *mirror)
{
    object_mirror_abandon(mirror);
    mirror->collected = object_store_new(&mirror->limits);
}

void object_mirror_abandon(struct object_mirror *mirror)
{
    object_store_free(TAKE(mirror->collected));
}

/* --- telling --- */

static void tell_added(const struct object_mirror *mirror, const struct kube_object *object)
{
    if (mirror->listener->on_added && !mirror->is_silent)
        mirror->listener->on_added(mirror->ctx, object);
}

static void tell_deleted(const struct object_mirror *mirror, const struct kube_object *object)
{
    if (mirror->listener->on_deleted && !mirror->is_silent)
        mirror->listener->on_deleted(mirror->ctx, object);
}

/* @old is NULL or another state of what has this name. */
static void tell_put(const struct object_mirror *mirror, const struct kube_object *old,
                     const struct kube_object *object)
{
    if (old && text_eq(kube_object_uid(old), kube_object_uid(object))) {
        if (mirror->listener->on_updated && !mirror->is_silent)
            mirror->listener->on_updated(mirror->ctx, old, object);
        return;
    }
    if (old)
        tell_deleted(mirror, old);
    tell_added(mirror, object);
}

/* --- one object --- */

/* A reference to the object as it is known, when @message is the same state, or to a copy. */
static const struct kube_object *object_of(const struct object_mirror *mirror,
                                           ProtobufCMessage *message)
{
    Meta__ObjectMeta *meta = kube_object_meta(message);
    const struct kube_object *known =
        object_store_find(mirror->store, meta->namespace_, meta->name);
    if (known && kube_object_is_same(known, meta))
        return kube_object_ref(known);
    if (mirror->drops_managed_fields)
        meta->n_managed_fields = 0;
    return kube_object_new(mirror->kind, message);
}

struct error *object_mirror_collect(struct object_mirror *mirror, ProtobufCMessage *message,
                                    enum watch_event_type type)
{
    const Meta__ObjectMeta *meta = kube_object_meta(message);
    struct kube_object *old = NULL;
    struct error *err = NULL;
    if (type == WATCH_DELETED) {
        old = object_store_take(mirror->collected, meta->namespace_, meta->name);
    } else {
        AUTO(kube_object) const struct kube_object *object = object_of(mirror, message);
        err = object_store_put(mirror->collected, object, &old);
    }
    kube_object_unref(old);
    return err;
}

struct error *object_mirror_apply(struct object_mirror *mirror, ProtobufCMessage *message,
                                  enum watch_event_type type)
{
    const Meta__ObjectMeta *meta = kube_object_meta(message);
    AUTO(kube_object) const struct kube_object *object = object_of(mirror, message);
    struct kube_object *replaced = NULL;
    if (type == WATCH_DELETED) {
        AUTO(kube_object)
        const struct kube_object *gone =
            object_store_take(mirror->store, meta->namespace_, meta->name);
        if (gone)
            tell_deleted(mirror, object);
        return NULL;
    }
    struct error *err = object_store_put(mirror->store, object, &replaced);
    if (err)
        return err;
    AUTO(kube_object) const struct kube_object *old = replaced;
    if (old != object)
        tell_put(mirror, old, object);
    return NULL;
}

/* --- all of them --- */

static const struct kube_object *counterpart(const struct object_store *store,
                                             const struct kube_object *object)
{
    return object_store_find(store, kube_object_namespace(object), kube_object_name(object));
}

/* References to the objects of @store that are not, in this state, in @other. */
static struct kube_object **difference(const struct object_store *store,
                                       const struct object_store *other, size_t *ret_count)
{
    size_t count = 0;
    struct kube_object **objects =
        xcalloc(object_store_count(store) + 1, sizeof(struct kube_object *));
    const struct kube_object *object = NULL;
    while ((object = object_store_next(store, object)) != NULL) {
        if (counterpart(other, object) != object)
            objects[count++] = kube_object_ref(object);
    }
    *ret_count = count;
    return objects;
}

/* All that is told is gathered first: while it is told the stores may change once more. */
void object_mirror_replace(struct object_mirror *mirror)
{
    AUTO(object_store) struct object_store *old = mirror->store;
    size_t left_count, came_count;
    mirror->store = TAKE(mirror->collected);
    struct kube_object **left = difference(old, mirror->store, &left_count);
    struct kube_object **came = difference(mirror->store, old, &came_count);
    for (size_t i = 0; i < left_count; i++) {
        if (counterpart(mirror->store, left[i])) { /* changed: told below */
            kube_object_unref(left[i]);
            left[i] = NULL;
        }
    }
    for (size_t i = 0; i < left_count; i++) {
        if (left[i])
            tell_deleted(mirror, left[i]);
        kube_object_unref(left[i]);
    }
    for (size_t i = 0; i < came_count; i++) {
        tell_put(mirror, counterpart(old, came[i]), came[i]);
        kube_object_unref(came[i]);
    }
    free(left);
    free(came);
}
