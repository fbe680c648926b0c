/*
 * A local copy of the objects of one kind that a selector names, kept true by listing and watching
 * (kube/reflector_plan.h has the rules). A listener hears of every change once. Loop thread.
 *
 * Everything heard comes from callbacks of the client or the timer, never from inside a function of
 * this header. A listener may call all of them, reflector_free() too.
 */
#pragma once

#include "kube/api_client.h"
#include "kube/object.h"

struct reflector; /* opaque */

struct reflector_options {
    const struct kube_kind *kind;
    const char *namespace_;        /* NULL: all, or none */
    const char *field_selector;    /* as in kube/selector.h, not escaped; NULL: everything. Of our
                                      making: both are to be less than 16 KiB when escaped */
    const char *label_selector;    /* the same */
    int64_t min_watch_ns;          /* time asked of the server for one watch is drawn from … */
    int64_t max_watch_ns;          /* … [min, max); 0: 300 s and 600 s */
    size_t max_objects, max_bytes; /* of memory; 0: REFLECTOR_MAX_… */
    /* Rests while nobody answers grow up to this, and as much again at random; 0: a second, for
     * what is wanted within 5 s of the server's return. */
    int64_t max_unreached_ns;
    bool drops_managed_fields; /* metadata.managedFields, half of many objects, are not kept */
    bool is_streaming_off;     /* list at once, without trying a watch-list */
};

#define REFLECTOR_MAX_OBJECTS 20000
#define REFLECTOR_MAX_BYTES (256 * MiB)

/**
 * Who hears. Objects are borrowed, kube_object_ref() keeps one. When a list finds several changes,
 * all are in the store before the first is told. Each may be NULL.
 */
struct reflector_listener {
    void (*on_added)(void *ctx, const struct kube_object *object);
    /** The same uid with another resourceVersion. Another uid is a deletion and an addition. */
    void (*on_updated)(void *ctx, const struct kube_object *old, const struct kube_object *object);
    /** @object is the last state known. */
    void (*on_deleted)(void *ctx, const struct kube_object *object);
    /** All objects there are have been told. Once after each start. */
    void (*on_synced)(void *ctx);
    /** A cycle has failed and another begins later: what the server said, or RESOURCE_EXHAUSTED for
     * objects beyond the limits, which leaves the store as it was. Logged already. */
    void (*on_failed)(void *ctx, const struct error *err);
};

/** @options' texts are copied, @listener is borrowed for the reflector's life. Nothing is asked
 * yet.
 */
struct reflector *reflector_new(struct loop *loop, struct api_client *client,
                                const struct reflector_options *options,
                                const struct reflector_listener *listener, void *ctx);
/** Silence. The objects are let go. NULL is fine. */
void reflector_free(struct reflector *reflector);
DEFINE_AUTO(reflector, struct reflector *, reflector_free)

/** Begins to list and watch; nothing when it runs already. */
void reflector_start(struct reflector *reflector);
/** Ends it. Objects and version stay; the next start compares with them. In a callback: what else
 * that list has found is told to its end, as it would not be found again. */
void reflector_stop(struct reflector *reflector);
/** Somebody waits: a rest because nobody has answered ends now. Else nothing. */
void reflector_hurry(struct reflector *reflector);
bool reflector_is_running(const struct reflector *reflector);

/** True when the copy has been true once since the last start. */
bool reflector_has_synced(const struct reflector *reflector);
/** As object_store_find(), object_store_next(), …_count(). */
const struct kube_object *reflector_find(const struct reflector *reflector, const char *namespace_,
                                         const char *name);
const struct kube_object *reflector_next(const struct reflector *reflector,
                                         const struct kube_object *after);
size_t reflector_count(const struct reflector *reflector);
/** The resourceVersion the copy is at; "" before the first list. */
const char *reflector_version(const struct reflector *reflector);
/** Why the last cycle failed; NULL while all is well. */
const struct error *reflector_error(const struct reflector *reflector);
