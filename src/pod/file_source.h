/*
 * Source "file": static pods from a folder of manifests or from one manifest (staticPodPath). Files
 * are read and parsed on a worker; inotify tells what to read, a periodic resync catches what
 * inotify missed. Loop thread.
 *
 * A manifest that cannot be used is reported once, with file and field, and leaves every other pod
 * alone; the pod it described before goes on as it was (upstream drops it at the next listing).
 */
#pragma once

#include "loop/work.h"
#include "pod/object.h"

struct file_source; /* opaque */

/**
 * Keeps the last usable content of each manifest over a restart of the agent, so that a pod whose
 * manifest is bad by then still goes on. Implemented by agent.c over the journal; may be absent.
 */
struct manifest_store;
struct manifest_store_vtable {
    /** Calls @each for every manifest kept: its file name and the bytes given to put(). */
    void (*load)(struct manifest_store *self,
                 void (*each)(void *ctx, const char *file, struct str pod), void *ctx);
    void (*put)(struct manifest_store *self, const char *file, struct str pod);
    void (*remove)(struct manifest_store *self, const char *file);
};
struct manifest_store {
    const struct manifest_store_vtable *vtable;
};

struct file_source_options {
    const char *path;             /* folder or file; copied, trailing slashes trimmed */
    const char *node_name;        /* copied */
    int64_t resync_ns;            /* fileCheckFrequency */
    struct manifest_store *store; /* borrowed; NULL: nothing is kept */
};

/** A manifest that cannot be used now. */
struct manifest_problem {
    const char *file;
    const char *message;
};

/**
 * Begins to watch and list. @on_set gets the whole desired set (borrowed) after the first listing
 * and after each change; references are the receiver's to take.
 */
struct file_source *file_source_new(
    struct loop *loop, struct work_pool *pool, const struct file_source_options *options,
    void (*on_set)(void *ctx, struct pod_object *const *objects, size_t count), void *ctx);
void file_source_free(struct file_source *source); /* NULL is fine */
DEFINE_AUTO(file_source, struct file_source *, file_source_free)

/** Visits the manifests that cannot be used now. */
void file_source_visit_problems(const struct file_source *source,
                                void (*visit)(void *ctx, const struct manifest_problem *problem),
                                void *ctx);
