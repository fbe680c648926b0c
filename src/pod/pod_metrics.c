#include "pod/pod_metrics.h"

#include "base/time.h"
#include "pod/op.h"

#include <stdio.h>

static const double start_bounds[] = {0.5, 1,   2,   3,    4,    5,    6,   8,   10,
                                      20,  30,  45,  60,   120,  180,  240, 300, 360,
                                      480, 600, 900, 1200, 1800, 2700, 3600};
static const double pull_bounds[] = {1,   5,   10,  20,  30,  60,   120,  180,  240,
                                     300, 360, 480, 600, 900, 1200, 1800, 2700, 3600};
static const double container_bounds[] = {1, 2, 4, 8, 16};

static const struct metric_info infos[] = {
    [POD_METRIC_RUNNING_PODS] = {.name = "kubelet_running_pods",
                                 .help = "[ALPHA] Number of pods that have a running pod sandbox",
                                 .type = METRIC_GAUGE},
    [POD_METRIC_RUNNING_CONTAINERS] = {.name = "kubelet_running_containers",
                                       .help = "[ALPHA] Number of containers currently running",
                                       .type = METRIC_GAUGE,
                                       .labels = {"container_state"}},
    [POD_METRIC_DESIRED_PODS] = {.name = "kubelet_desired_pods",
                                 .help =
                                     "[ALPHA] The number of pods the kubelet is being instructed "
                                     "to run. static is true if the pod is not from the apiserver.",
                                 .type = METRIC_GAUGE,
                                 .labels = {"static"}},
    [POD_METRIC_ACTIVE_PODS] = {.name = "kubelet_active_pods",
                                .help = "[ALPHA] The number of pods the kubelet considers active "
                                        "and which are being considered when admitting new pods. "
                                        "static is true if the pod is not from the apiserver.",
                                .type = METRIC_GAUGE,
                                .labels = {"static"}},
    [POD_METRIC_MIRROR_PODS] = {.name = "kubelet_mirror_pods",
                                .help = "[ALPHA] The number of mirror pods the kubelet will try to "
                                        "create (one per admitted static pod)",
                                .type = METRIC_GAUGE},
    [POD_METRIC_WORKING_PODS] =
        {.name = "kubelet_working_pods",
         .help =
             "[ALPHA] Number of pods the kubelet is actually running, broken down by lifecycle "
             "phase, whether the pod is desired, orphaned, or runtime only (also orphaned), and "
             "whether the pod is static. An orphaned pod has been removed from local configuration "
             "or force deleted in the API and consumes resources that are not otherwise visible.",
         .type = METRIC_GAUGE,
         .labels = {"config", "lifecycle", "static"}},
    [POD_METRIC_EPHEMERAL_CONTAINERS] =
        {.name = "kubelet_managed_ephemeral_containers",
         .help = "[ALPHA] Current number of ephemeral containers in pods managed by this kubelet.",
         .type = METRIC_GAUGE},
    [POD_METRIC_VOLUMES] = {.name = "volume_manager_total_volumes",
                            .help = "[ALPHA] Number of volumes in Volume Manager",
                            .type = METRIC_GAUGE,
                            .labels = {"plugin_name", "state"}},
    [POD_METRIC_ORPHANED_PODS] =
        {.name = "kubelet_orphaned_runtime_pods_total",
         .help = "[ALPHA] Number of pods that have been detected in the container runtime without "
                 "being already known to the pod worker. This typically indicates the kubelet was "
                 "restarted while a pod was force deleted in the API or in the local "
                 "configuration, which is unusual.",
         .type = METRIC_COUNTER},
    [POD_METRIC_CLEANED_ORPHANS] = {.name = "kubelet_orphan_pod_cleaned_volumes",
                                    .help = "[ALPHA] The total number of orphaned Pods whose "
                                            "volumes were cleaned in the last periodic sweep.",
                                    .type = METRIC_GAUGE},
    [POD_METRIC_CLEANED_ORPHAN_ERRORS] = {.name = "kubelet_orphan_pod_cleaned_volumes_errors",
                                          .help =
                                              "[ALPHA] The number of orphaned Pods whose volumes "
                                              "failed to be cleaned in the last periodic sweep.",
                                          .type = METRIC_GAUGE},
    [POD_METRIC_RESTARTED_PODS] =
        {.name = "kubelet_restarted_pods_total",
         .help = "[ALPHA] Number of pods that have been restarted because they were deleted and "
                 "recreated with the same UID while the kubelet was watching them (common for "
                 "static pods, extremely uncommon for API pods)",
         .type = METRIC_COUNTER,
         .labels = {"static"}},
    [POD_METRIC_CONTAINERS_PER_POD] = {.name = "kubelet_containers_per_pod_count",
                                       .help = "[ALPHA] The number of containers per pod.",
                                       .type = METRIC_HISTOGRAM,
                                       METRIC_BOUNDS(container_bounds)},
    [POD_METRIC_WORKER_SECONDS] = {.name = "kubelet_pod_worker_duration_seconds",
                                   .help = "[ALPHA] Duration in seconds to sync a single pod. "
                                           "Broken down by operation type: create, update, or sync",
                                   .type = METRIC_HISTOGRAM,
                                   .labels = {"operation_type"},
                                   METRIC_DEFAULT_BOUNDS},
    [POD_METRIC_WORKER_START_SECONDS] =
        {.name = "kubelet_pod_worker_start_duration_seconds",
         .help = "[ALPHA] Duration in seconds from kubelet seeing a pod to starting a worker.",
         .type = METRIC_HISTOGRAM,
         METRIC_DEFAULT_BOUNDS},
    [POD_METRIC_START_SECONDS] = {.name = "kubelet_pod_start_duration_seconds",
                                  .help = "[ALPHA] Duration in seconds from kubelet seeing a pod "
                                          "for the first time to the pod starting to run",
                                  .type = METRIC_HISTOGRAM,
                                  METRIC_BOUNDS(start_bounds)},
    [POD_METRIC_START_SLI_SECONDS] =
        {.name = "kubelet_pod_start_sli_duration_seconds",
         .help = "[ALPHA] Duration in seconds to start a pod, excluding time to pull images and "
                 "run init containers, measured from pod creation timestamp to when all its "
                 "containers are reported as started and observed via watch",
         .type = METRIC_HISTOGRAM,
         METRIC_BOUNDS(start_bounds)},
    [POD_METRIC_START_TOTAL_SECONDS] =
        {.name = "kubelet_pod_start_total_duration_seconds",
         .help = "[ALPHA] Duration in seconds to start a pod since creation, including time to "
                 "pull images and run init containers, measured from pod creation timestamp to "
                 "when all its containers are reported as started and observed via watch",
         .type = METRIC_HISTOGRAM,
         METRIC_BOUNDS(start_bounds)},
    [POD_METRIC_FIRST_NETWORK_START] =
        {.name = "kubelet_first_network_pod_start_sli_duration_seconds",
         .help = "[INTERNAL] Duration in seconds to start the first network pod, excluding time to "
                 "pull images and run init containers, measured from pod creation timestamp to "
                 "when all its containers are reported as started and observed via watch",
         .type = METRIC_GAUGE},
    [POD_METRIC_RELIST_SECONDS] = {.name = "kubelet_pleg_relist_duration_seconds",
                                   .help =
                                       "[ALPHA] Duration in seconds for relisting pods in PLEG.",
                                   .type = METRIC_HISTOGRAM,
                                   METRIC_DEFAULT_BOUNDS},
    [POD_METRIC_RELIST_INTERVAL] = {.name = "kubelet_pleg_relist_interval_seconds",
                                    .help =
                                        "[ALPHA] Interval in seconds between relisting in PLEG.",
                                    .type = METRIC_HISTOGRAM,
                                    METRIC_DEFAULT_BOUNDS},
    [POD_METRIC_RELIST_LAST] = {.name = "kubelet_pleg_last_seen_seconds",
                                .help =
                                    "[ALPHA] Timestamp in seconds when PLEG was last seen active.",
                                .type = METRIC_GAUGE},
    [POD_METRIC_POD_RELIST_SECONDS] =
        {.name = "kubelet_pleg_pod_relist_duration_seconds",
         .help = "[ALPHA] Duration in seconds for relisting a single pod in PLEG.",
         .type = METRIC_HISTOGRAM,
         METRIC_DEFAULT_BOUNDS},
    [POD_METRIC_STARTED_PODS] = {.name = "kubelet_started_pods_total",
                                 .help = "[ALPHA] Cumulative number of pods started",
                                 .type = METRIC_COUNTER},
    [POD_METRIC_STARTED_POD_ERRORS] = {.name = "kubelet_started_pods_errors_total",
                                       .help =
                                           "[ALPHA] Cumulative number of errors when starting pods",
                                       .type = METRIC_COUNTER},
    [POD_METRIC_STARTED_USERNS_PODS] =
        {.name = "kubelet_started_user_namespaced_pods_total",
         .help = "[ALPHA] Cumulative number of pods with user namespaces started. This metric will "
                 "only be collected on Linux.",
         .type = METRIC_COUNTER},
    [POD_METRIC_STARTED_USERNS_POD_ERRORS] =
        {.name = "kubelet_started_user_namespaced_pods_errors_total",
         .help = "[ALPHA] Cumulative number of errors when starting pods with user namespaces. "
                 "This metric will only be collected on Linux.",
         .type = METRIC_COUNTER},
    [POD_METRIC_STARTED_CONTAINERS] = {.name = "kubelet_started_containers_total",
                                       .help = "[ALPHA] Cumulative number of containers started",
                                       .type = METRIC_COUNTER,
                                       .labels = {"container_type"}},
    [POD_METRIC_STARTED_CONTAINER_ERRORS] =
        {.name = "kubelet_started_containers_errors_total",
         .help = "[ALPHA] Cumulative number of errors when starting containers",
         .type = METRIC_COUNTER,
         .labels = {"code", "container_type"}},
    [POD_METRIC_TERMINATED_CONTAINERS] =
        {.name = "kubelet_terminated_containers_total",
         .help = "[ALPHA] Cumulative number of container terminations.",
         .type = METRIC_COUNTER,
         .labels = {"container_type", "exit_code", "reason"}},
    [POD_METRIC_ADMISSION_REJECTIONS] =
        {.name = "kubelet_admission_rejections_total",
         .help = "[ALPHA] Cumulative number pod admission rejections by the Kubelet.",
         .type = METRIC_COUNTER,
         .labels = {"reason"}},
    [POD_METRIC_PREEMPTIONS] = {.name = "kubelet_preemptions",
                                .help = "[ALPHA] Number of pods ended to make room for a critical "
                                        "one, by the resource that was short.",
                                .type = METRIC_COUNTER,
                                .labels = {"preemption_signal"}},
    [POD_METRIC_SLEEPS_CUT] = {.name = "kubelet_sleep_action_terminated_early_total",
                               .help = "[ALPHA] The number of times lifecycle sleep handler got "
                                       "terminated before it finishes",
                               .type = METRIC_COUNTER},
    [POD_METRIC_HOOK_FALLBACKS] = {.name = "kubelet_lifecycle_handler_http_fallbacks_total",
                                   .help = "[ALPHA] The number of times lifecycle handlers "
                                           "successfully fell back to http from https.",
                                   .type = METRIC_COUNTER},
    [POD_METRIC_CGROUP_SECONDS] =
        {.name = "kubelet_cgroup_manager_duration_seconds",
         .help =
             "[ALPHA] Duration in seconds for cgroup manager operations. Broken down by method.",
         .type = METRIC_HISTOGRAM,
         .labels = {"operation_type"},
         METRIC_DEFAULT_BOUNDS},
    [POD_METRIC_IMAGE_PULL_SECONDS] =
        {.name = "kubelet_image_pull_duration_seconds",
         .help =
             "[ALPHA] Duration in seconds of image pulls that succeeded, by the size of the image.",
         .type = METRIC_HISTOGRAM,
         .labels = {"image_size_in_bytes"},
         METRIC_BOUNDS(pull_bounds)},
    [POD_METRIC_IMAGE_REQUESTS] =
        {.name = "kubelet_image_manager_ensure_image_requests_total",
         .help = "[ALPHA] Number of ensure-image requests processed by the kubelet.",
         .type = METRIC_COUNTER,
         .labels = {"present_locally", "pull_policy", "pull_required"}},
};
_Static_assert(ARRAY_SIZE(infos) == POD_METRIC_COUNT, "describe every family");

/* Up to nine for each container with probes, which go with it: a node with 500 pods of two such is
 * well within. */
#define MAX_PROBE_SERIES 16384

static const struct metric_info probe_infos[] = {
    [PROBE_METRIC_TOTAL] = {.name = "prober_probe_total",
                            .help = "[BETA] Cumulative number of a liveness, readiness or startup "
                                    "probe for a container by result.",
                            .type = METRIC_COUNTER,
                            .labels = {"container", "namespace", "pod", "pod_uid", "probe_type",
                                       "result"},
                            .max_series = MAX_PROBE_SERIES},
    [PROBE_METRIC_SECONDS] = {.name = "prober_probe_duration_seconds",
                              .help = "[ALPHA] Duration in seconds for a probe response.",
                              .type = METRIC_HISTOGRAM,
                              .labels = {"container", "namespace", "pod", "probe_type"},
                              METRIC_DEFAULT_BOUNDS,
                              .max_series = MAX_PROBE_SERIES},
};
_Static_assert(ARRAY_SIZE(probe_infos) == PROBE_METRIC_COUNT, "describe every family");

void pod_metrics_init(struct pod_metrics *ret, struct metrics *metrics,
                      struct metrics *probe_metrics)
{
    metrics_families(metrics, infos, POD_METRIC_COUNT, ret->families);
    metrics_families(probe_metrics, probe_infos, PROBE_METRIC_COUNT, ret->probes);
    /* Known from the start, unlike what other labels have. */
    metric_add(ret->families[POD_METRIC_RESTARTED_PODS], 0, "");
    metric_add(ret->families[POD_METRIC_RESTARTED_PODS], 0, "true");
}

static struct metric_family *family(const struct pod_worker *worker, enum pod_metric metric)
{
    return worker->pods->metrics.families[metric];
}

static int64_t now_ns(const struct pod_worker *worker)
{
    return loop_now_mono_ns(worker->pods->env.loop);
}

/* --- the worker --- */

void pod_metrics_added(struct pod_worker *worker)
{
    worker->times.seen_ns = now_ns(worker);
    metric_observe(family(worker, POD_METRIC_CONTAINERS_PER_POD),
                   (double)worker->object->pod->spec->n_containers, NULL);
}

void pod_metrics_woken(struct pod_worker *worker)
{
    if (worker->times.busy_since_ns == 0)
        worker->times.busy_since_ns = now_ns(worker);
}

void pod_metrics_pass(struct pod_worker *worker)
{
    struct pod_times *times = &worker->times;
    if (times->has_run || times->seen_ns == 0)
        return;
    times->has_run = true;
    metric_observe(family(worker, POD_METRIC_WORKER_START_SECONDS),
                   time_seconds(now_ns(worker) - times->seen_ns), NULL);
}

static bool was_killed(const struct pod_worker *worker)
{
    return worker->want.removed || worker->forced.reason ||
           worker->object->pod->metadata->deletion_timestamp;
}

/* What a kubelet's worker would call what it did while its pod was in @life. NULL: nothing, it is
 * over and that was told. */
static const char *work_of(const struct pod_worker *worker, enum pod_life life)
{
    const struct pod_times *times = &worker->times;
    switch (life) {
    case POD_LIFE_SYNC:
        return !times->is_created ? "create" : times->is_updated ? "update" : "sync";
    case POD_LIFE_TERMINATING:
        return was_killed(worker) ? "kill" : "sync";
    case POD_LIFE_TERMINATED:
        return times->is_terminated_told ? NULL : "terminated";
    }
    return NULL;
}

static void end_work(struct pod_worker *worker, enum pod_life life)
{
    struct pod_times *times = &worker->times;
    const char *work = worker->object ? work_of(worker, life) : NULL;
    if (times->busy_since_ns == 0 || !work)
        return;
    metric_observe(family(worker, POD_METRIC_WORKER_SECONDS),
                   time_seconds(now_ns(worker) - times->busy_since_ns), work);
    times->is_created = true;
    times->is_updated = false;
    times->is_terminated_told = life == POD_LIFE_TERMINATED;
}

void pod_metrics_rest(struct pod_worker *worker)
{
    if (worker->ops || worker->queued)
        return;
    end_work(worker, worker->want.life);
    worker->times.busy_since_ns = 0;
}

void pod_metrics_stopped(struct pod_worker *worker)
{
    end_work(worker, POD_LIFE_TERMINATING);
    worker->times.busy_since_ns = now_ns(worker);
}

/* --- becoming to run --- */

/* By the definition of the SLI: one with volumes that are more than files made by the node. */
static bool is_stateful(const Core__PodSpec *spec)
{
    for (size_t i = 0; i < spec->n_volumes; i++) {
        const Core__VolumeSource *source = spec->volumes[i]->volume_source;
        if (source && !source->secret && !source->config_map && !source->downward_api &&
            !source->empty_dir && !source->projected)
            return true;
    }
    return false;
}

/* From the first start of an init container to the end of the last one. */
static int64_t init_ns(const struct pod_worker *worker)
{
    const Core__PodSpec *spec = worker->object->pod->spec;
    int64_t first_ns = INT64_MAX, last_ns = INT64_MIN;
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        const char *name = spec->init_containers[i]->name;
        for (const struct container_observed *c = worker->have.containers; c; c = c->next) {
            if (!text_eq(c->name, name) || c->state != CONTAINER_EXITED)
                continue;
            first_ns = min_i64(first_ns, c->started_ns);
            last_ns = max_i64(last_ns, c->finished_ns);
        }
    }
    return max_i64(sat_sub_i64(last_ns, first_ns), 0);
}

/* From creation, with all (total), or without what depends on images and init containers (SLI). */
static void observe_start(struct pod_worker *worker, const Meta__Time *created)
{
    const Core__PodSpec *spec = worker->object->pod->spec;
    int64_t created_ns = sat_add_i64(sat_mul_i64(created->seconds, NS_PER_SEC), created->nanos);
    int64_t total_ns =
        max_i64(sat_sub_i64(loop_now_wall_ns(worker->pods->env.loop), created_ns), 0);
    int64_t pull_ns = max_i64(worker->times.last_pull_ns - worker->times.first_pull_ns, 0);
    metric_observe(family(worker, POD_METRIC_START_TOTAL_SECONDS), time_seconds(total_ns), NULL);
    if (is_stateful(spec))
        return;
    double sli = time_seconds(max_i64(total_ns - pull_ns - init_ns(worker), 0));
    metric_observe(family(worker, POD_METRIC_START_SLI_SECONDS), sli, NULL);
    struct pod_metrics *metrics = &worker->pods->metrics;
    if (!metrics->has_network_start && !spec->host_network) {
        metrics->has_network_start = true;
        metric_set(family(worker, POD_METRIC_FIRST_NETWORK_START), sli, NULL);
    }
}

void pod_metrics_running(struct pod_worker *worker)
{
    const Meta__Time *created = worker->object->pod->metadata->creation_timestamp;
    metric_observe(family(worker, POD_METRIC_START_SECONDS),
                   time_seconds(now_ns(worker) - worker->times.seen_ns), NULL);
    if (created && !pod_object_is_static(worker->object))
        observe_start(worker, created);
}

/* --- containers --- */

static const char *container_type(const struct pod_worker *worker, const char *name)
{
    const Core__PodSpec *spec = worker->object ? worker->object->pod->spec : NULL;
    for (size_t i = 0; spec && i < spec->n_init_containers; i++) {
        if (text_eq(spec->init_containers[i]->name, name))
            return "init_container";
    }
    for (size_t i = 0; spec && i < spec->n_ephemeral_containers; i++) {
        const Core__EphemeralContainerCommon *common =
            spec->ephemeral_containers[i]->ephemeral_container_common;
        if (common && text_eq(common->name, name))
            return "ephemeral_container";
    }
    return "container";
}

void pod_metrics_exited(struct pod_worker *worker, const struct container_observed *instance)
{
    char code[16];
    (void)snprintf(code, sizeof(code), "%d", (int)instance->exit_code);
    metric_add(family(worker, POD_METRIC_TERMINATED_CONTAINERS), 1,
               container_type(worker, instance->name), code, instance->reason);
}

void pod_metrics_starting(struct pod_worker *worker, const char *name)
{
    metric_add(family(worker, POD_METRIC_STARTED_CONTAINERS), 1, container_type(worker, name));
}

void pod_metrics_start_failed(struct pod_worker *worker, const char *name, const char *code)
{
    metric_add(family(worker, POD_METRIC_STARTED_CONTAINER_ERRORS), 1, code,
               container_type(worker, name));
}

void pod_metrics_sandbox(struct pod_worker *worker, bool is_failure)
{
    const Core__PodSpec *spec = worker->object->pod->spec;
    metric_add(family(worker, is_failure ? POD_METRIC_STARTED_POD_ERRORS : POD_METRIC_STARTED_PODS),
               1, NULL);
    if (spec->has_host_users && !spec->host_users)
        metric_add(family(worker, is_failure ? POD_METRIC_STARTED_USERNS_POD_ERRORS
                                             : POD_METRIC_STARTED_USERNS_PODS),
                   1, NULL);
}

void pod_metrics_pulled(struct pod_worker *worker, int64_t began_ns, uint64_t bytes)
{
    static const struct {
        uint64_t below_mib;
        const char *label;
    } sizes[] = {
        {10, "0-10MB"},       {100, "10MB-100MB"},  {500, "100MB-500MB"},   {1024, "500MB-1GB"},
        {5120, "1GB-5GB"},    {10240, "5GB-10GB"},  {20480, "10GB-20GB"},   {30720, "20GB-30GB"},
        {40960, "30GB-40GB"}, {61440, "40GB-60GB"}, {102400, "60GB-100GB"},
    };
    size_t i = 0;
    while (i < ARRAY_SIZE(sizes) && bytes / MiB >= sizes[i].below_mib)
        i++;
    const char *size = bytes == 0 ? "N/A" : i < ARRAY_SIZE(sizes) ? sizes[i].label : "GT100GB";
    struct pod_times *times = &worker->times;
    if (times->first_pull_ns == 0)
        times->first_pull_ns = began_ns;
    times->last_pull_ns = now_ns(worker);
    metric_observe(family(worker, POD_METRIC_IMAGE_PULL_SECONDS),
                   time_seconds(times->last_pull_ns - began_ns), size);
}

/* --- the set --- */

void pod_metrics_rejected(const struct pods *pods, const char *reason)
{
    /* The others are one, so that nobody outside chooses labels. */
    static const char *const known[] = {
        "AppArmor",
        "Evicted",
        "InvalidNodeInfo",
        "NodeShutdown",
        "OutOfcpu",
        "OutOfephemeral-storage",
        "OutOfmemory",
        "OutOfpods",
        "PodOSNotSupported",
        "PodOSSelectorNodeLabelDoesNotMatch",
        "SupplementalGroupsPolicyNotSupported",
        "SysctlForbidden",
        "TopologyAffinityError",
        "UnexpectedAdmissionError",
    };
    const char *label = text_has_prefix(reason, "OutOf") ? "OutOfExtendedResources" : "Other";
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (text_eq(known[i], reason))
            label = known[i];
    }
    metric_add(pods->metrics.families[POD_METRIC_ADMISSION_REJECTIONS], 1, label);
}

void pod_metrics_cgroup(const struct pods *pods, const char *operation, int64_t took_ns)
{
    metric_observe(pods->metrics.families[POD_METRIC_CGROUP_SECONDS], time_seconds(took_ns),
                   operation);
}
