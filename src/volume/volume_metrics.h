/*
 * What is counted of volumes (spec server.md §5.2). Inside the volume room only, but for its test.
 * Loop thread.
 */
#pragma once

#include "base/metrics.h"

enum volume_metric { VOLUME_STORAGE_SECONDS, VOLUME_OPERATION_SECONDS, VOLUME_METRIC_COUNT };

struct volume_metrics {
    struct metric_family *families[VOLUME_METRIC_COUNT]; /* all NULL: nothing is counted */
};

void volume_metrics_init(struct volume_metrics *ret, struct metrics *metrics);
/** A volume of @plugin was set up, or could not be. */
void volume_metrics_mounted(const struct volume_metrics *metrics, const char *plugin,
                            int64_t took_ns, bool has_failed);
/** The same for taking it down. */
void volume_metrics_unmounted(const struct volume_metrics *metrics, const char *plugin,
                              int64_t took_ns, bool has_failed);
