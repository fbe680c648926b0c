#include "cri/cri_metrics.h"

#include "base/time.h"

/* 5 ms, and two and a half times as much for each further one. */
static const double operation_bounds[] = {0.005,
                                          0.0125,
                                          0.03125,
                                          0.078125,
                                          0.1953125,
                                          0.48828125,
                                          1.220703125,
                                          3.0517578125,
                                          7.62939453125,
                                          19.073486328125,
                                          47.6837158203125,
                                          119.20928955078125,
                                          298.0232238769531,
                                          745.0580596923828};

static const struct metric_info infos[] = {
    [CRI_OPERATIONS] = {.name = "kubelet_runtime_operations_total",
                        .help =
                            "[ALPHA] Cumulative number of runtime operations by operation type.",
                        .type = METRIC_COUNTER,
                        .labels = {"operation_type"}},
    [CRI_OPERATION_ERRORS] =
        {.name = "kubelet_runtime_operations_errors_total",
         .help = "[ALPHA] Cumulative number of runtime operation errors by operation type.",
         .type = METRIC_COUNTER,
         .labels = {"operation_type"}},
    [CRI_OPERATION_SECONDS] =
        {.name = "kubelet_runtime_operations_duration_seconds",
         .help =
             "[ALPHA] Duration in seconds of runtime operations. Broken down by operation type.",
         .type = METRIC_HISTOGRAM,
         .labels = {"operation_type"},
         METRIC_BOUNDS(operation_bounds)},
    [CRI_SANDBOX_SECONDS] = {.name = "kubelet_run_podsandbox_duration_seconds",
                             .help = "[ALPHA] Duration in seconds of the run_podsandbox "
                                     "operations. Broken down by RuntimeClass.Handler.",
                             .type = METRIC_HISTOGRAM,
                             .labels = {"runtime_handler"},
                             METRIC_DEFAULT_BOUNDS},
    [CRI_SANDBOX_ERRORS] = {.name = "kubelet_run_podsandbox_errors_total",
                            .help = "[ALPHA] Cumulative number of run_podsandbox operations that "
                                    "failed, by RuntimeClass.Handler.",
                            .type = METRIC_COUNTER,
                            .labels = {"runtime_handler"}},
    [CRI_EVENT_STREAMS] =
        {.name = "kubelet_evented_pleg_connection_success_count",
         .help =
             "[ALPHA] The number of times a streaming client was obtained to receive CRI Events.",
         .type = METRIC_COUNTER},
    [CRI_EVENT_STREAM_ERRORS] = {.name = "kubelet_evented_pleg_connection_error_count",
                                 .help =
                                     "[ALPHA] The number of errors encountered during the "
                                     "establishment of streaming connection with the CRI runtime.",
                                 .type = METRIC_COUNTER},
    [CRI_EVENT_SECONDS] = {.name = "kubelet_evented_pleg_connection_latency_seconds",
                           .help = "[ALPHA] The latency of streaming connection with the CRI "
                                   "runtime, measured in seconds.",
                           .type = METRIC_HISTOGRAM,
                           METRIC_DEFAULT_BOUNDS},
};
_Static_assert(ARRAY_SIZE(infos) == CRI_METRIC_COUNT, "describe every family");

/* Operation types are those of a kubelet (spec server.md §5.2). */
static const char *const operations[] = {
    [RUNTIME_VERSION] = "version",
    [RUNTIME_RUNTIME_CONFIG] = "runtime_config",
    [RUNTIME_STATUS] = "status",
    [RUNTIME_UPDATE_RUNTIME_CONFIG] = "update_runtime_config",
    [RUNTIME_RUN_POD_SANDBOX] = "run_podsandbox",
    [RUNTIME_STOP_POD_SANDBOX] = "stop_podsandbox",
    [RUNTIME_REMOVE_POD_SANDBOX] = "remove_podsandbox",
    [RUNTIME_POD_SANDBOX_STATUS] = "podsandbox_status",
    [RUNTIME_LIST_POD_SANDBOX] = "list_podsandbox",
    [RUNTIME_CREATE_CONTAINER] = "create_container",
    [RUNTIME_START_CONTAINER] = "start_container",
    [RUNTIME_STOP_CONTAINER] = "stop_container",
    [RUNTIME_REMOVE_CONTAINER] = "remove_container",
    [RUNTIME_LIST_CONTAINERS] = "list_containers",
    [RUNTIME_CONTAINER_STATUS] = "container_status",
    [RUNTIME_UPDATE_CONTAINER_RESOURCES] = "update_container",
    [RUNTIME_UPDATE_POD_SANDBOX_RESOURCES] = "update_podsandbox_resources",
    [RUNTIME_REOPEN_CONTAINER_LOG] = "reopen_container_log",
    [RUNTIME_EXEC_SYNC] = "exec_sync",
    [RUNTIME_EXEC] = "exec",
    [RUNTIME_ATTACH] = "attach",
    [RUNTIME_PORT_FORWARD] = "port_forward",
    [RUNTIME_CONTAINER_STATS] = "container_stats",
    [RUNTIME_LIST_CONTAINER_STATS] = "list_container_stats",
    [RUNTIME_POD_SANDBOX_STATS] = "podsandbox_stats",
    [RUNTIME_LIST_POD_SANDBOX_STATS] = "list_podsandbox_stats",
    [RUNTIME_LIST_METRIC_DESCRIPTORS] = "list_metric_descriptors",
    [RUNTIME_LIST_POD_SANDBOX_METRICS] = "list_podsandbox_metrics",
    [RUNTIME_CHECKPOINT_CONTAINER] = "checkpoint_container",
    [IMAGE_LIST_IMAGES] = "list_images",
    [IMAGE_IMAGE_STATUS] = "image_status",
    [IMAGE_PULL_IMAGE] = "pull_image",
    [IMAGE_REMOVE_IMAGE] = "remove_image",
    [IMAGE_IMAGE_FS_INFO] = "image_fs_info",
};
_Static_assert(ARRAY_SIZE(operations) == RUNTIME_METHOD_COUNT, "name every operation");

void cri_metrics_init(struct cri_metrics *ret, struct metrics *metrics)
{
    metrics_families(metrics, infos, CRI_METRIC_COUNT, ret->families);
}

void cri_metrics_call(const struct cri_metrics *metrics, enum runtime_method method,
                      int64_t took_ns, bool has_failed)
{
    struct metric_family *const *families = metrics->families;
    const char *operation = operations[method];
    metric_add(families[CRI_OPERATIONS], 1, operation);
    if (has_failed)
        metric_add(families[CRI_OPERATION_ERRORS], 1, operation);
    metric_observe(families[CRI_OPERATION_SECONDS], time_seconds(took_ns), operation);
}

void cri_metrics_sandbox(const struct cri_metrics *metrics, const char *runtime_handler,
                         int64_t took_ns, bool has_failed)
{
    struct metric_family *const *families = metrics->families;
    metric_observe(families[CRI_SANDBOX_SECONDS], time_seconds(took_ns), runtime_handler);
    if (has_failed)
        metric_add(families[CRI_SANDBOX_ERRORS], 1, runtime_handler);
}
