#include "stats/process_metrics.h"

#include "stats/process_stat.h"

#include <sys/resource.h>
#include <unistd.h>

#ifdef __clang__
#define COMPILER "clang"
#else
#define COMPILER "gcc"
#endif
#define NO_GO "none" /* where a kubelet has Go's version */
/* What a kubelet says whose build was not told its date. */
#define NO_BUILD_DATE "1970-01-01T00:00:00Z"

enum process_metric {
    PROCESS_BUILD_INFO,
    PROCESS_FEATURE_ENABLED,
    PROCESS_NODE_NAME,
    PROCESS_CGROUP_VERSION,
    PROCESS_GOROUTINES,
    PROCESS_THREADS,
    PROCESS_GO_INFO,
    PROCESS_CPU_SECONDS,
    PROCESS_MAX_FDS,
    PROCESS_OPEN_FDS,
    PROCESS_RECEIVED_BYTES,
    PROCESS_SENT_BYTES,
    PROCESS_RESIDENT_BYTES,
    PROCESS_START,
    PROCESS_VIRTUAL_BYTES,
    PROCESS_MAX_VIRTUAL_BYTES,
    PROCESS_REGISTERED,
    PROCESS_DROPPED,
    PROCESS_METRIC_COUNT
};

static const struct metric_info infos[] = {
    [PROCESS_BUILD_INFO] =
        {.name = "kubernetes_build_info",
         .help = "[BETA] A metric with a constant '1' value labeled by major, minor, git version, "
                 "git commit, git tree state, build date, Go version, and compiler from which "
                 "Kubernetes was built, and platform on which it is running.",
         .type = METRIC_GAUGE,
         .labels = {"build_date", "compiler", "git_commit", "git_tree_state", "git_version",
                    "go_version", "major", "minor", "platform"}},
    [PROCESS_FEATURE_ENABLED] =
        {.name = "kubernetes_feature_enabled",
         .help =
             "[BETA] This metric records the data about the stage and enablement of a k8s feature.",
         .type = METRIC_GAUGE,
         .labels = {"name", "stage"}},
    [PROCESS_NODE_NAME] = {.name = "kubelet_node_name",
                           .help = "[ALPHA] The node's name. The count is always 1.",
                           .type = METRIC_GAUGE,
                           .labels = {"node"}},
    [PROCESS_CGROUP_VERSION] = {.name = "kubelet_cgroup_version",
                                .help = "[ALPHA] cgroup version on the hosts.",
                                .type = METRIC_GAUGE},
    [PROCESS_GOROUTINES] = {.name = "go_goroutines",
                            .help = "Number of goroutines that currently exist.",
                            .type = METRIC_GAUGE},
    [PROCESS_THREADS] = {.name = "go_threads",
                         .help = "Number of OS threads created.",
                         .type = METRIC_GAUGE},
    [PROCESS_GO_INFO] = {.name = "go_info",
                         .help = "Information about the Go environment.",
                         .type = METRIC_GAUGE,
                         .labels = {"version"}},
    [PROCESS_CPU_SECONDS] = {.name = "process_cpu_seconds_total",
                             .help = "Total user and system CPU time spent in seconds.",
                             .type = METRIC_COUNTER},
    [PROCESS_MAX_FDS] = {.name = "process_max_fds",
                         .help = "Maximum number of open file descriptors.",
                         .type = METRIC_GAUGE},
    [PROCESS_OPEN_FDS] = {.name = "process_open_fds",
                          .help = "Number of open file descriptors.",
                          .type = METRIC_GAUGE},
    [PROCESS_RECEIVED_BYTES] = {.name = "process_network_receive_bytes_total",
                                .help = "Number of bytes received by the process over the network.",
                                .type = METRIC_COUNTER},
    [PROCESS_SENT_BYTES] = {.name = "process_network_transmit_bytes_total",
                            .help = "Number of bytes sent by the process over the network.",
                            .type = METRIC_COUNTER},
    [PROCESS_RESIDENT_BYTES] = {.name = "process_resident_memory_bytes",
                                .help = "Resident memory size in bytes.",
                                .type = METRIC_GAUGE},
    [PROCESS_START] = {.name = "process_start_time_seconds",
                       .help = "Start time of the process since unix epoch in seconds.",
                       .type = METRIC_GAUGE},
    [PROCESS_VIRTUAL_BYTES] = {.name = "process_virtual_memory_bytes",
                               .help = "Virtual memory size in bytes.",
                               .type = METRIC_GAUGE},
    [PROCESS_MAX_VIRTUAL_BYTES] = {.name = "process_virtual_memory_max_bytes",
                                   .help = "Maximum amount of virtual memory available in bytes.",
                                   .type = METRIC_GAUGE},
    [PROCESS_REGISTERED] = {.name = "registered_metrics_total",
                            .help = "[BETA] The count of registered metrics broken by stability "
                                    "level and deprecation version.",
                            .type = METRIC_COUNTER,
                            .labels = {"deprecated_version", "stability_level"}},
    [PROCESS_DROPPED] =
        {.name = "cardinality_enforcement_unexpected_categorizations_total",
         .help = "[ALPHA] The count of unexpected categorizations during cardinality enforcement.",
         .type = METRIC_COUNTER},
};
_Static_assert(ARRAY_SIZE(infos) == PROCESS_METRIC_COUNT, "describe every family");

struct process_metrics {
    struct metrics *metrics; /* borrowed */
    struct metric_family *families[PROCESS_METRIC_COUNT];
};

/* --- told once --- */

/* "1" and "36" of "v1.36.2+…". */
static void set_build_info(struct metric_family *family,
                           const struct process_metrics_options *options)
{
    struct str rest = str_from(options->version), part = {0};
    if (str_has_prefix(rest, "v"))
        rest = (struct str){.ptr = rest.ptr + 1, .len = rest.len - 1};
    (void)str_split_next(&rest, '.', &part);
    AUTO(free) char *major = str_dup(part);
    part.len = 0;
    (void)str_split_next(&rest, '.', &part);
    AUTO(free) char *minor = str_dup(part);
    AUTO(free) char *platform = xasprintf("linux/%s", options->architecture);
    metric_set(family, 1, NO_BUILD_DATE, COMPILER, "", "", options->version, NO_GO, major, minor,
               platform);
}

static void set_features(struct metric_family *family, const struct gate_set *gates)
{
    for (int i = 0; i < GATE_COUNT; i++) {
        enum feature_gate gate = (enum feature_gate)i;
        const struct gate_info *info = gate_info(gate);
        metric_set(family, gate_is_enabled(gates, gate), info->name, gate_stage_name(info->stage));
    }
}

static double limit_of(rlim_t limit)
{
    return limit == RLIM_INFINITY ? (double)UINT64_MAX : (double)limit;
}

/* --- told when asked --- */

static void collect_limits(const struct process_metrics *process)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        metric_set(process->families[PROCESS_MAX_FDS], limit_of(limit.rlim_cur), NULL);
    if (getrlimit(RLIMIT_AS, &limit) == 0)
        metric_set(process->families[PROCESS_MAX_VIRTUAL_BYTES], limit_of(limit.rlim_cur), NULL);
}

static void collect_stat(const struct process_metrics *process)
{
    struct process_stat stat;
    if (!process_stat_read(&stat))
        return;
    struct metric_family *const *families = process->families;
    metric_set(families[PROCESS_CPU_SECONDS], (double)stat.cpu_ticks / (double)sysconf(_SC_CLK_TCK),
               NULL);
    /* What runs beside each other here is threads. */
    metric_set(families[PROCESS_GOROUTINES], (double)stat.threads, NULL);
    metric_set(families[PROCESS_THREADS], (double)stat.threads, NULL);
    metric_set(families[PROCESS_VIRTUAL_BYTES], (double)stat.virtual_bytes, NULL);
    metric_set(families[PROCESS_RESIDENT_BYTES],
               (double)stat.resident_pages * (double)sysconf(_SC_PAGESIZE), NULL);
}

static void collect_traffic(const struct process_metrics *process)
{
    int64_t in, out;
    if (!process_traffic_read(&in, &out))
        return;
    metric_set(process->families[PROCESS_RECEIVED_BYTES], (double)in, NULL);
    metric_set(process->families[PROCESS_SENT_BYTES], (double)out, NULL);
}

/* Help texts begin with their stability in brackets; what has none is no metric of Kubernetes. */
static void count_registered(void *ctx, const struct metric_info *info)
{
    struct str help = str_from(info->help);
    if (!str_has_prefix(help, "["))
        return;
    AUTO(free) char *level = xstrndup(help.ptr + 1, str_find(help, ']') - 1);
    metric_add(ctx, 1, "", level);
}

static void collect(void *ctx, struct metrics *metrics)
{
    const struct process_metrics *process = ctx;
    collect_limits(process);
    collect_stat(process);
    collect_traffic(process);
    int64_t fds = process_open_fds();
    if (fds >= 0)
        metric_set(process->families[PROCESS_OPEN_FDS], (double)fds, NULL);
    metric_set(process->families[PROCESS_DROPPED], (double)metrics_dropped(metrics), NULL);
    metric_clear(process->families[PROCESS_REGISTERED]);
    metrics_each_family(metrics, count_registered, process->families[PROCESS_REGISTERED]);
}

struct process_metrics *process_metrics_new(struct metrics *metrics,
                                            const struct process_metrics_options *options)
{
    struct process_metrics *process = xcalloc(1, sizeof(*process));
    process->metrics = metrics;
    struct metric_family **families = process->families;
    metrics_families(metrics, infos, PROCESS_METRIC_COUNT, families);
    set_build_info(families[PROCESS_BUILD_INFO], options);
    set_features(families[PROCESS_FEATURE_ENABLED], &options->gates);
    metric_set(families[PROCESS_NODE_NAME], 1, options->node_name);
    metric_set(families[PROCESS_CGROUP_VERSION], options->cgroup_version, NULL);
    metric_set(families[PROCESS_GO_INFO], 1, NO_GO);
    metric_set(families[PROCESS_START], process_start_seconds(), NULL);
    metrics_add_collector(metrics, collect, process);
    return process;
}

void process_metrics_free(struct process_metrics *process)
{
    if (!process)
        return;
    metrics_remove_collector(process->metrics, process);
    free(process);
}

void process_metrics_add_start(struct metrics *metrics)
{
    /* On these pages it is Kubernetes' own, on /metrics that of the Prometheus client. */
    static const struct metric_info start = {
        .name = "process_start_time_seconds",
        .help = "[ALPHA] Start time of the process since unix epoch in seconds.",
        .type = METRIC_GAUGE};
    metric_set(metrics_family(metrics, &start), process_start_seconds(), NULL);
}
