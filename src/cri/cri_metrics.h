/*
 * What is counted of the runtime (spec server.md §5.2). Room-private, but for its test. Loop
 * thread.
 */
#pragma once

#include "base/metrics.h"
#include "pod/runtime.h"

enum cri_metric {
    CRI_OPERATIONS,
    CRI_OPERATION_ERRORS,
    CRI_OPERATION_SECONDS,
    CRI_SANDBOX_SECONDS,
    CRI_SANDBOX_ERRORS,
    CRI_EVENT_STREAMS,
    CRI_EVENT_STREAM_ERRORS,
    CRI_EVENT_SECONDS,
    CRI_METRIC_COUNT
};

struct cri_metrics {
    struct metric_family *families[CRI_METRIC_COUNT]; /* all NULL: nothing is counted */
};

void cri_metrics_init(struct cri_metrics *ret, struct metrics *metrics);
/** A call has ended. */
void cri_metrics_call(const struct cri_metrics *metrics, enum runtime_method method,
                      int64_t took_ns, bool has_failed);
/** A call that makes a sandbox has ended. */
void cri_metrics_sandbox(const struct cri_metrics *metrics, const char *runtime_handler,
                         int64_t took_ns, bool has_failed);
