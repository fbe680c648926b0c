/*
 * Who may pull now: serial or parallel pulls with a cap, and the registry token bucket (spec
 * pods.md §6.2). Decides only; the pull itself is the caller's. Loop thread.
 */
#pragma once

#include "base/base.h"

struct pull_queue;  /* opaque: one per node */
struct pull_ticket; /* opaque: a place in the queue, then a running pull */

struct pull_queue_options {
    size_t max_parallel; /* 1: serial (serializeImagePulls); 0: no limit */
    int32_t qps;         /* registryPullQPS; 0: off */
    int32_t burst;
};

struct pull_queue *pull_queue_new(const struct pull_queue_options *options);
void pull_queue_free(struct pull_queue *queue); /* no ticket may be left */

/**
 * Takes a place. *ret_may_begin tells whether the pull may begin at once; otherwise @on_turn runs
 * once when it may, from inside pull_queue_leave() of another. The ticket must be given back with
 * pull_queue_leave() in every case. RESOURCE_EXHAUSTED "pull QPS exceeded": the bucket is empty,
 * nothing was queued.
 */
MUST_CHECK struct error *pull_queue_enter(struct pull_queue *queue, int64_t now_mono_ns,
                                          void (*on_turn)(void *ctx), void *ctx,
                                          struct pull_ticket **ret_ticket, bool *ret_may_begin);
/** Ends a pull or gives up waiting; NULL is fine. */
void pull_queue_leave(struct pull_ticket *ticket);

/** Pulls running and waiting. */
size_t pull_queue_running(const struct pull_queue *queue);
size_t pull_queue_waiting(const struct pull_queue *queue);
/** How many pulls run or wait before @ticket (not NULL). */
size_t pull_ticket_ahead(const struct pull_ticket *ticket);
