/*
 * The objects of a reflector: those that are known and told, and those of the next complete set
 * while it is being collected. Finds what has changed and tells each change once. Room-private.
 * Loop thread.
 */
#pragma once

#include "kube/object_store.h"
#include "kube/reflector.h"
#include "kube/watch_frame.h"

struct object_mirror {
    const struct kube_kind *kind;
    struct object_store_limits limits;
    bool drops_managed_fields;
    const struct reflector_listener *listener;
    void *ctx;
    bool is_silent; /* nobody is told any more, not even in the middle of several changes */
    struct object_store *store;
    struct object_store *collected; /* NULL: nothing is being collected */
};

/** With kind, limits and listener set: makes the empty store. */
void object_mirror_init(struct object_mirror *mirror);
void object_mirror_done(struct object_mirror *mirror);

/** Begins a new set; drops one that was begun. */
void object_mirror_begin(struct object_mirror *mirror);
void object_mirror_abandon(struct object_mirror *mirror);

/*
 * An object, which has a name, was added, modified or deleted: in the set that is being collected,
 * or in what is known, which is told. @message is the caller's scratch, copied if it is kept; what
 * is not kept of it may be cut off. RESOURCE_EXHAUSTED: no room for it, nothing changed.
 */
MUST_CHECK struct error *object_mirror_collect(struct object_mirror *mirror,
                                               ProtobufCMessage *message,
                                               enum watch_event_type type);
MUST_CHECK struct error *object_mirror_apply(struct object_mirror *mirror,
                                             ProtobufCMessage *message, enum watch_event_type type);
/** What was collected becomes what is known; then the differences are told. Listeners may do
 * anything but object_mirror_done(). */
void object_mirror_replace(struct object_mirror *mirror);
