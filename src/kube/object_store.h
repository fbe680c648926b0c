/*
 * Objects of one kind by namespace and name, at most so many and so much. Holds a reference to
 * each. No I/O, no listeners. Loop thread.
 */
#pragma once

#include "kube/object.h"

struct object_store; /* opaque */

struct object_store_limits {
    size_t max_objects;
    size_t max_bytes; /* of the objects' memory */
};

struct object_store *object_store_new(const struct object_store_limits *limits);
void object_store_free(struct object_store *store); /* NULL is fine */
DEFINE_AUTO(object_store, struct object_store *, object_store_free)

/**
 * Puts @object in (a reference is taken), instead of the one of its name, whose reference the
 * caller gets in *ret_old (NULL: there was none). RESOURCE_EXHAUSTED beyond the limits: nothing
 * changed.
 */
MUST_CHECK struct error *object_store_put(struct object_store *store,
                                          const struct kube_object *object,
                                          struct kube_object **ret_old);
/** Takes one out; the caller owns the reference. NULL when there is none. */
struct kube_object *object_store_take(struct object_store *store, const char *namespace_,
                                      const char *name);
void object_store_clear(struct object_store *store);

/** The object, borrowed until the store changes; NULL when there is none. @namespace_ is NULL or ""
 * for objects without. */
const struct kube_object *object_store_find(const struct object_store *store,
                                            const char *namespace_, const char *name);
/** All objects in the order in which their names came: NULL gives the first, NULL is the end.
 * @after is one of the store's. */
const struct kube_object *object_store_next(const struct object_store *store,
                                            const struct kube_object *after);
size_t object_store_count(const struct object_store *store);
size_t object_store_bytes(const struct object_store *store);
