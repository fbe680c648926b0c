/*
 * What this process tells of itself: process_*, what of go_* has a meaning in C, its build, its
 * feature gates, its node (spec server.md §5.1). What changes is told when asked, by a collector.
 * Loop thread.
 */
#pragma once

#include "base/metrics.h"
#include "config/gates.h"

struct process_metrics; /* opaque */

struct process_metrics_options {
    const char *node_name;    /* copied */
    const char *version;      /* "v1.36.2+cubelet.0.1.0"; borrowed for ever */
    const char *architecture; /* as Go calls it: "amd64"; borrowed for ever */
    unsigned cgroup_version;  /* 1 or 2 */
    struct gate_set gates;
};

/** Adds the families to @metrics, which must outlive it. The caller owns it. */
struct process_metrics *process_metrics_new(struct metrics *metrics,
                                            const struct process_metrics_options *options);
void process_metrics_free(struct process_metrics *process); /* NULL is fine */
DEFINE_AUTO(process_metrics, struct process_metrics *, process_metrics_free)

/** Adds process_start_time_seconds alone, as /metrics/probes and /metrics/slis have it. */
void process_metrics_add_start(struct metrics *metrics);
