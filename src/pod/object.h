/*
 * A desired pod as one immutable, shared thing: the decoded message and the arena it lives in. Loop
 * thread.
 */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

struct pod_object {
    const Core__Pod *pod; /* metadata and spec are never NULL, name, namespace and uid are set */
    const char *origin;   /* where it came from, for logs: a file name; lives in the arena */
    struct arena *arena;
    size_t refs;
};

/** Takes over @arena_owned, in which @pod and @origin live. One reference, the caller's. */
struct pod_object *pod_object_new(struct arena *arena_owned, const Core__Pod *pod,
                                  const char *origin);
struct pod_object *pod_object_ref(struct pod_object *object);
void pod_object_unref(struct pod_object *object); /* NULL is fine; the last one frees */
DEFINE_AUTO(pod_object, struct pod_object *, pod_object_unref)
