#include "stats/idle_metrics.h"

static const double alignment_bounds_ms[] = {0.05, 0.1,  0.2,  0.4,   0.8,   1.6,   3.2,  6.4,
                                             12.8, 25.6, 51.2, 102.4, 204.8, 409.6, 819.2};

static const struct metric_info infos[] = {
    {.name = "kubelet_cpu_manager_exclusive_cpu_allocation_count",
     .help = "[ALPHA] The total number of CPUs exclusively allocated to containers running on this "
             "node",
     .type = METRIC_GAUGE},
    {.name = "kubelet_cpu_manager_pinning_errors_total",
     .help = "[ALPHA] The number of cpu core allocations which required pinning failed.",
     .type = METRIC_COUNTER},
    {.name = "kubelet_cpu_manager_pinning_requests_total",
     .help = "[ALPHA] The number of cpu core allocations which required pinning.",
     .type = METRIC_COUNTER},
    {.name = "kubelet_cpu_manager_shared_pool_size_millicores",
     .help = "[ALPHA] The size of the shared CPU pool for non-guaranteed QoS pods, in millicores.",
     .type = METRIC_GAUGE},
    {.name = "kubelet_graceful_shutdown_end_time_seconds",
     .help = "[ALPHA] Last graceful shutdown end time since unix epoch in seconds",
     .type = METRIC_GAUGE},
    {.name = "kubelet_graceful_shutdown_start_time_seconds",
     .help = "[ALPHA] Last graceful shutdown start time since unix epoch in seconds",
     .type = METRIC_GAUGE},
    {.name = "kubelet_image_volume_mounted_errors_total",
     .help = "[BETA] Number of failed image volume mounts.",
     .type = METRIC_COUNTER},
    {.name = "kubelet_image_volume_mounted_succeed_total",
     .help = "[BETA] Number of successful image volume mounts.",
     .type = METRIC_COUNTER},
    {.name = "kubelet_image_volume_requested_total",
     .help = "[BETA] Number of requested image volumes.",
     .type = METRIC_COUNTER},
    {.name = "kubelet_memory_manager_pinning_errors_total",
     .help = "[ALPHA] The number of memory pages allocations which required pinning that failed.",
     .type = METRIC_COUNTER},
    {.name = "kubelet_memory_manager_pinning_requests_total",
     .help = "[ALPHA] The number of memory pages allocations which required pinning.",
     .type = METRIC_COUNTER},
    {.name = "kubelet_pleg_discard_events",
     .help = "[ALPHA] The number of discard events in PLEG.",
     .type = METRIC_COUNTER},
    {.name = "kubelet_pod_in_progress_resizes",
     .help = "[ALPHA] Number of in-progress resizes for pods.",
     .type = METRIC_GAUGE},
    {.name = "kubelet_pod_watch_events_dropped_total",
     .help = "[ALPHA] Cumulative number of pod watch events dropped.",
     .type = METRIC_COUNTER},
    {.name = "kubelet_topology_manager_admission_duration_ms",
     .help = "[ALPHA] Duration in milliseconds to serve a pod admission request.",
     .type = METRIC_HISTOGRAM,
     METRIC_BOUNDS(alignment_bounds_ms)},
    {.name = "kubelet_topology_manager_admission_errors_total",
     .help =
         "[ALPHA] The number of admission request failures where resources could not be aligned.",
     .type = METRIC_COUNTER},
    {.name = "kubelet_topology_manager_admission_requests_total",
     .help = "[ALPHA] The number of admission requests where resources have to be aligned.",
     .type = METRIC_COUNTER},
    {.name = "disabled_metrics_total",
     .help = "[BETA] The count of disabled metrics.",
     .type = METRIC_COUNTER},
    {.name = "hidden_metrics_total",
     .help = "[BETA] The count of hidden metrics.",
     .type = METRIC_COUNTER},
    {.name = "force_cleaned_failed_volume_operation_errors_total",
     .help = "[ALPHA] The number of volumes that failed force cleanup after their reconstruction "
             "failed during kubelet startup.",
     .type = METRIC_COUNTER},
    {.name = "force_cleaned_failed_volume_operations_total",
     .help = "[ALPHA] The number of volumes that were force cleaned after their reconstruction "
             "failed during kubelet startup. This includes both successful and failed cleanups.",
     .type = METRIC_COUNTER},
    {.name = "reconstruct_volume_operations_errors_total",
     .help = "[ALPHA] The number of volumes that failed reconstruction from the operating system "
             "during kubelet startup.",
     .type = METRIC_COUNTER},
    {.name = "reconstruct_volume_operations_total",
     .help =
         "[ALPHA] The number of volumes that were attempted to be reconstructed from the operating "
         "system during kubelet startup. This includes both successful and failed reconstruction.",
     .type = METRIC_COUNTER},
};

static const struct metric_info claims = {
    .name = "dra_resource_claims_in_use",
    .help = "[ALPHA] The number of ResourceClaims that are currently in use on the node, by driver "
            "name (driver_name label value) and across all drivers (special value <any> for "
            "driver_name). Note that the sum of all by-driver counts is not the total number of "
            "in-use ResourceClaims because the same ResourceClaim might use devices from different "
            "drivers. Instead, use the count for the <any> driver_name.",
    .type = METRIC_GAUGE,
    .labels = {"driver_name"}};

void idle_metrics_add(struct metrics *metrics)
{
    struct metric_family *families[ARRAY_SIZE(infos)];
    metrics_families(metrics, infos, ARRAY_SIZE(infos), families);
    metric_set(metrics_family(metrics, &claims), 0, "<any>");
}
