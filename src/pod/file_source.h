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

struct file_source_options {
    const char *path;      /* folder or file; copied, trailing slashes trimmed */
    const char *node_name; /* copied */
    int64_t resync_ns;     /* fileCheckFrequency */
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
