#include "image/pull_metrics.h"

static const struct metric_info infos[] = {
    [PULL_METRIC_CHECKS] =
        {.name = "kubelet_imagemanager_image_mustpull_checks_total",
         .help = "[ALPHA] Counter for how many times kubelet checked whether credentials "
                 "need to be re-verified to access an image",
         .type = METRIC_COUNTER,
         .labels = {"result"}},
    [PULL_METRIC_RECORDS_USAGE] =
        {.name = "kubelet_imagemanager_inmemory_pulledrecords_usage_percent",
         .help = "[ALPHA] The ImagePulledRecords in-memory cache usage in percent.",
         .type = METRIC_GAUGE},
    [PULL_METRIC_INTENTS_USAGE] =
        {.name = "kubelet_imagemanager_inmemory_pullintents_usage_percent",
         .help = "[ALPHA] The ImagePullIntents in-memory cache usage in percent.",
         .type = METRIC_GAUGE},
    [PULL_METRIC_RECORDS_ON_DISK] = {.name = "kubelet_imagemanager_ondisk_pulledrecords",
                                     .help = "[ALPHA] Number of ImagePulledRecords stored on disk.",
                                     .type = METRIC_GAUGE},
    [PULL_METRIC_INTENTS_ON_DISK] = {.name = "kubelet_imagemanager_ondisk_pullintents",
                                     .help = "[ALPHA] Number of ImagePullIntents stored on disk.",
                                     .type = METRIC_GAUGE},
};
_Static_assert(ARRAY_SIZE(infos) == PULL_METRIC_COUNT, "describe every family");

void pull_metrics_init(struct pull_metrics *ret, struct metrics *metrics)
{
    metrics_families(metrics, infos, PULL_METRIC_COUNT, ret->families);
}
