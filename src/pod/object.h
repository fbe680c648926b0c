/*
 * A desired pod as one immutable, shared thing: the decoded message and the arena it lives in. Loop
 * thread.
 */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

struct kube_object; /* kube/object.h */

/** Where desired pods come from. */
enum pod_source {
    POD_SOURCE_FILE, /* staticPodPath */
    POD_SOURCE_API,  /* the API server */
    POD_SOURCE_COUNT
};

struct pod_object {
    const Core__Pod *pod; /* metadata and spec are never NULL, name, namespace and uid are set */
    const char *origin;   /* where it came from, for logs: a file name, "api"; lives in the arena */
    enum pod_source source;
    const struct kube_object *api; /* source api: what the server has, a reference; else NULL */
    struct arena *arena;
    size_t refs;
};

/** A static pod is one that does not come from the API server. */
static inline bool pod_object_is_static(const struct pod_object *object)
{
    return object->source != POD_SOURCE_API;
}

/** Takes over @arena_owned, in which @pod and @origin live. One reference, the caller's. */
struct pod_object *pod_object_new(struct arena *arena_owned, const Core__Pod *pod,
                                  const char *origin);
struct pod_object *pod_object_ref(struct pod_object *object);
void pod_object_unref(struct pod_object *object); /* NULL is fine; the last one frees */
DEFINE_AUTO(pod_object, struct pod_object *, pod_object_unref)
