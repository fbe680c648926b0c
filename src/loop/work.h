/*
 * The worker pool: up to four threads for calls that block (mounts, directory walks, fsync). A job
 * is a self-contained struct: inputs copied in, results inside, no pointer to shared objects (STYLE
 * §2.8). Threads start when first needed and end after a minute without work. Loop thread.
 */
#pragma once

#include "loop/loop.h"

struct work_pool; /* opaque */
struct work;      /* opaque: a job under way */

/** @max_threads 0 runs jobs inline at the next turn of the loop, for deterministic tests. */
struct work_pool *work_pool_new(struct loop *loop, size_t max_threads);
/**
 * Waits for running jobs at most @limit_ns, then leaves stuck threads behind; such a thread
 * releases its job itself if it ever ends. Unstarted jobs are released unrun. No on_done runs any
 * more. NULL is fine.
 */
void work_pool_free(struct work_pool *pool, int64_t limit_ns);

enum work_class {
    WORK_NORMAL,
    WORK_SLOW /* may wait for a network or disk: at most half the pool */
};

struct work_vtable {
    const char *name;
    enum work_class class;
    void (*run_blocking)(void *job);       /* on a worker */
    void (*on_done)(void *ctx, void *job); /* on the loop; not after work_cancel() */
    void (*release)(void *job);            /* on the loop, after on_done or when cancelled */
};

/**
 * Queues @job_owned (released through the vtable). on_done runs exactly once, never from inside
 * this call. The handle is valid until on_done returns or work_cancel().
 */
struct work *work_start(struct work_pool *pool, const struct work_vtable *vtable, void *job_owned,
                        void *ctx);
/** Silence: on_done will not run. A job that is already running finishes unheard and is then
 * released. NULL is fine. */
void work_cancel(struct work *work);

/** Jobs waiting and running now; jobs running longer than 60 s. */
size_t work_pool_busy(const struct work_pool *pool);
size_t work_pool_stuck(const struct work_pool *pool);
