#include "volume/volume_metrics.h"

#include "base/time.h"

static const double operation_bounds[] = {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600};

static const struct metric_info infos[] = {
    [VOLUME_STORAGE_SECONDS] = {.name = "storage_operation_duration_seconds",
                                .help = "[ALPHA] Storage operation duration",
                                .type = METRIC_HISTOGRAM,
                                .labels = {"migrated", "operation_name", "status", "volume_plugin"},
                                METRIC_BOUNDS(operation_bounds)},
    [VOLUME_OPERATION_SECONDS] = {.name = "volume_operation_total_seconds",
                                  .help =
                                      "[ALPHA] Storage operation end to end duration in seconds",
                                  .type = METRIC_HISTOGRAM,
                                  .labels = {"operation_name", "plugin_name"},
                                  METRIC_BOUNDS(operation_bounds)},
};
_Static_assert(ARRAY_SIZE(infos) == VOLUME_METRIC_COUNT, "describe every family");

void volume_metrics_init(struct volume_metrics *ret, struct metrics *metrics)
{
    metrics_families(metrics, infos, VOLUME_METRIC_COUNT, ret->families);
}

static void count_operation(const struct volume_metrics *metrics, const char *operation,
                            const char *plugin, int64_t took_ns, bool has_failed)
{
    metric_observe(metrics->families[VOLUME_STORAGE_SECONDS], time_seconds(took_ns), "false",
                   operation, has_failed ? "fail-unknown" : "success", plugin);
}

void volume_metrics_mounted(const struct volume_metrics *metrics, const char *plugin,
                            int64_t took_ns, bool has_failed)
{
    count_operation(metrics, "volume_mount", plugin, took_ns, has_failed);
    if (!has_failed)
        metric_observe(metrics->families[VOLUME_OPERATION_SECONDS], time_seconds(took_ns),
                       "overall_volume_mount", plugin);
}

void volume_metrics_unmounted(const struct volume_metrics *metrics, const char *plugin,
                              int64_t took_ns, bool has_failed)
{
    count_operation(metrics, "volume_unmount", plugin, took_ns, has_failed);
}
