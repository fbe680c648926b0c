/*
 * Gathers summaries (stats/summary.h) when somebody asks: what the runtime lists, the records of
 * the cgroups, the disk, the pods' volumes. A summary serves whoever asks for the same within a
 * second; those who ask while it is being made share it; then it is gone, and nothing is kept. Loop
 * thread.
 */
#pragma once

#include "loop/work.h"
#include "pod/pods.h"
#include "pod/runtime.h"
#include "stats/collector.h"
#include "stats/summary.h"
#include "stats/volume_stats.h"

struct summary_collector; /* opaque: one per node */
struct summary_request;   /* opaque: somebody who waits */

/** How long a summary is as good as a new one. */
#define SUMMARY_MAX_AGE_NS NS_PER_SEC
/** How long a summary waits for volumes that were never measured before it does without. */
#define SUMMARY_VOLUME_LIMIT_NS (2 * NS_PER_SEC)

/** All borrowed and outliving the collector but the texts, which are copied. */
struct summary_collector_options {
    struct loop *loop;
    struct work_pool *pool;
    struct pod_runtime *runtime;
    const struct pods *pods;
    struct stats_collector *stats;
    struct volume_stats *volumes;
    const char *node_name;
    const char *root_dir;     /* "/var/lib/kubelet" */
    const char *pod_logs_dir; /* "/var/log/pods" */
    const char *proc_root;    /* "/proc"; tests pass a folder */
};

struct summary_collector *summary_collector_new(const struct summary_collector_options *options);
/** Silence for everybody who waits. Not from inside a callback of its own. NULL is fine. */
void summary_collector_free(struct summary_collector *collector);
DEFINE_AUTO(summary_collector, struct summary_collector *, summary_collector_free)

/**
 * @summary (borrowed until this returns) or @err_owned, with upstream's text behind what failed.
 * Exactly once, on the loop, never from inside summary_collect_start().
 */
typedef void summary_on_done(void *ctx, const struct summary *summary, struct error *err_owned);

/** Asks for a summary that is at most SUMMARY_MAX_AGE_NS old. The handle is valid until @on_done.
 */
struct summary_request *summary_collect_start(struct summary_collector *collector,
                                              enum summary_scope scope, summary_on_done *on_done,
                                              void *ctx);
/** Silence: @on_done will not run. What was begun goes on as long as others wait for it, and ends
 * with the last one. NULL is fine. */
void summary_collect_cancel(struct summary_request *request);
