/*
 * What the volumes of pods take (spec server.md §4.6). Walking them is dear, so a kubelet does it
 * in the background, once a period for each pod. Here nothing runs while nobody asks: figures are
 * remembered for a period after an ask, and renewed in the background by the next ask after it; who
 * asks for what was never measured, or not for two periods, waits. One pod is measured at a time,
 * so that a large volume takes one worker of the pool and not all of them. Loop thread.
 */
#pragma once

#include "base/arena.h"
#include "base/metrics.h"
#include "loop/work.h"
#include "stats/summary.h"

#include "core.pb-c.h"

struct volume_stats;     /* opaque: one per node */
struct volume_stats_ask; /* opaque: somebody who waits */

struct volume_stats_options {
    struct loop *loop; /* borrowed, outliving it; so the pool */
    struct work_pool *pool;
    const char *root_dir;    /* copied */
    int64_t period_ns;       /* volumeStatsAggPeriod; <= 0: no volume has figures */
    struct metrics *metrics; /* how long each volume took; NULL: nobody counts */
};

/** kubelet_volume_metric_collection_duration_seconds. */
extern const struct metric_info volume_stats_seconds;

struct volume_stats *volume_stats_new(const struct volume_stats_options *options);
/** Silence for everybody who waits; a walk under way ends unheard. NULL is fine. */
void volume_stats_free(struct volume_stats *stats);
DEFINE_AUTO(volume_stats, struct volume_stats *, volume_stats_free)

/**
 * Says that the figures of these @count pods (borrowed for the call) are wanted; those of others
 * are forgotten. @on_done runs once, later: when each of them has figures, or after @limit_ns
 * without those that are not there yet. The handle is valid until it runs.
 */
struct volume_stats_ask *volume_stats_ask_start(struct volume_stats *stats,
                                                const Core__Pod *const *pods, size_t count,
                                                int64_t limit_ns, void (*on_done)(void *ctx),
                                                void *ctx);
/** Silence: on_done will not run. What was begun goes on. NULL is fine. */
void volume_stats_ask_cancel(struct volume_stats_ask *ask);

/** The volumes of one pod, those of its local ephemeral storage first. */
struct volume_stats_pod {
    size_t count, local_count;
    const struct summary_volume *volumes;
};
/** What is remembered of pod @uid, copied into @arena; NULL: nothing yet. */
const struct volume_stats_pod *volume_stats_get(const struct volume_stats *stats, const char *uid,
                                                struct arena *arena);
