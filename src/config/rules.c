/*
 * Validation as upstream does it: every rule is looked at, in a fixed order, and all findings are
 * reported together. pkg/kubelet/apis/config/validation.
 */
#include "config/rules.h"

#include "base/path.h"
#include "base/time.h"
#include "config/field.h"
#include "kube/validate.h"

#include <stdio.h>

#define PORT_MAX 65535
#define CFS_PERIOD_MIN_NS NS_PER_MS
#define CFS_PERIOD_MAX_NS NS_PER_SEC
#define CFS_PERIOD_DEFAULT_NS (100 * NS_PER_MS)
#define LOG_MONITOR_MIN_NS (3 * NS_PER_SEC)
#define CRASH_LOOP_MIN_NS NS_PER_SEC
#define CRASH_LOOP_MAX_NS (300 * NS_PER_SEC)
#define HIDDEN_METRICS_VERSION "1.35" /* the previous minor release */
#define IDS_PER_POD_UNIT INT64_C(65536)

#define FINDINGS_MIN_CAPACITY 8

static void add_text(struct rules_findings *findings, const char *text)
{
    for (size_t i = 0; i < findings->count; i++) {
        if (text_eq(findings->texts[i], text))
            return;
    }
    if (findings->count == findings->capacity) {
        size_t capacity = findings->capacity ? 2 * findings->capacity : FINDINGS_MIN_CAPACITY;
        const char **grown = arena_calloc(findings->arena, capacity, sizeof(char *));
        if (findings->count)
            memcpy(grown, findings->texts, findings->count * sizeof(char *));
        findings->texts = grown;
        findings->capacity = capacity;
    }
    findings->texts[findings->count++] = text;
}

void rules_add(struct rules_findings *findings, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_text(findings, arena_vprintf(findings->arena, format, args));
    va_end(args);
}

void rules_add_invalid(struct rules_findings *findings, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(findings->arena, format, args);
    va_end(args);
    add_text(findings, arena_printf(findings->arena, "invalid configuration: %s", text));
}

/* A metav1.Duration in a message prints as a struct: {10s}. */
static const char *braced(const Meta__Duration *duration, struct arena *arena)
{
    char text[TIME_TEXT_SIZE];
    return arena_printf(arena, "{%s}",
                        time_format_duration(duration ? duration->duration : 0, text));
}

static int64_t ns_of(const Meta__Duration *duration)
{
    return duration ? duration->duration : 0;
}

bool rules_is_one_of(const char *value, const char *const *allowed, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (text_eq(value, allowed[i]))
            return true;
    }
    return false;
}

/* A label value is empty or spelled like the name part of a label key. */
bool rules_is_label_value(const char *text)
{
    return !text || !text[0] || (!strchr(text, '/') && !name_check_qualified(str_from(text)));
}

static bool is_on(const struct rules_subject *subject, enum feature_gate gate)
{
    return gate_is_enabled(subject->gates, gate);
}

/* A number with a range and the words for it; rows run in upstream's order. */
struct range_rule {
    const char *path;
    const char *name; /* as messages call it */
    int64_t low, high;
    const char *says;
};

#define NOT_NEGATIVE 0, INT64_MAX, "must not be a negative number"

static const struct range_rule early_ranges[] = {
    {"config.event_burst", "eventBurst (--event-burst)", NOT_NEGATIVE},
    {"config.event_record_qps", "eventRecordQPS (--event-qps)", NOT_NEGATIVE},
    {"config.healthz_port", "healthzPort (--healthz-port)", 0, PORT_MAX,
     "must be between 1 and 65535, inclusive"},
};

static const struct range_rule gc_ranges[] = {
    {"config.image_gc_high_threshold_percent",
     "imageGCHighThresholdPercent (--image-gc-high-threshold)", 0, 100,
     "must be between 0 and 100, inclusive"},
    {"config.image_gc_low_threshold_percent",
     "imageGCLowThresholdPercent (--image-gc-low-threshold)", 0, 100,
     "must be between 0 and 100, inclusive"},
};

static const struct range_rule late_ranges[] = {
    {"config.iptables_drop_bit", "iptablesDropBit (--iptables-drop-bit)", 0, 31,
     "must be between 0 and 31, inclusive"},
    {"config.iptables_masquerade_bit", "iptablesMasqueradeBit (--iptables-masquerade-bit)", 0, 31,
     "must be between 0 and 31, inclusive"},
    {"config.kube_api_burst", "kubeAPIBurst (--kube-api-burst)", NOT_NEGATIVE},
    {"config.kube_api_qps", "kubeAPIQPS (--kube-api-qps)", NOT_NEGATIVE},
    {"config.node_status_max_images", "nodeStatusMaxImages (--node-status-max-images)", -1,
     INT64_MAX, "must be -1 or greater"},
    {"config.max_open_files", "maxOpenFiles (--max-open-files)", NOT_NEGATIVE},
    {"config.max_pods", "maxPods (--max-pods)", NOT_NEGATIVE},
    {"config.oom_score_adj", "oomScoreAdj (--oom-score-adj)", -1000, 1000,
     "must be between -1000 and 1000, inclusive"},
    {"config.pods_per_core", "podsPerCore (--pods-per-core)", NOT_NEGATIVE},
    {"config.port", "port (--port)", 1, PORT_MAX, "must be between 1 and 65535, inclusive"},
    {"config.read_only_port", "readOnlyPort (--read-only-port)", 0, PORT_MAX,
     "must be between 0 and 65535, inclusive"},
    {"config.registry_burst", "registryBurst (--registry-burst)", NOT_NEGATIVE},
    {"config.registry_pull_qps", "registryPullQPS (--registry-qps)", NOT_NEGATIVE},
    {"config.max_parallel_image_pulls", "maxParallelImagePulls", 1, INT64_MAX,
     "must be a positive number"},
};

static void check_ranges(const struct rules_subject *subject, const struct range_rule *rules,
                         size_t count, struct rules_findings *findings)
{
    for (size_t i = 0; i < count; i++) {
        ProtobufCMessage *root = (ProtobufCMessage *)(uintptr_t)&subject->options->base;
        struct field field = field_find(root, rules[i].path);
        int64_t value = field_integer(&field);
        if (field_is_present(&field) && (value < rules[i].low || value > rules[i].high))
            rules_add_invalid(findings, "%s %lld %s", rules[i].name, (long long)value,
                              rules[i].says);
    }
}

static void check_cgroups(const struct rules_subject *subject, struct rules_findings *findings)
{
    const Kubeletconfig__KubeletConfiguration *config = subject->options->config;
    if (config->node_lease_duration_seconds <= 0)
        rules_add_invalid(findings, "nodeLeaseDurationSeconds must be greater than 0");
    bool enforces = false;
    for (size_t i = 0; i < config->n_enforce_node_allocatable; i++)
        enforces = enforces || !text_eq(config->enforce_node_allocatable[i], "none");
    if (!config->cgroups_per_qos && enforces)
        rules_add_invalid(findings,
                          "enforceNodeAllocatable (--enforce-node-allocatable) is not supported "
                          "unless cgroupsPerQOS (--cgroups-per-qos) is set to true");
    if (config->system_cgroups && config->system_cgroups[0] &&
        !(config->cgroup_root && config->cgroup_root[0]))
        rules_add_invalid(findings, "systemCgroups (--system-cgroups) was specified and cgroupRoot "
                                    "(--cgroup-root) was not specified");
}

static void check_cfs_period(const struct rules_subject *subject, struct rules_findings *findings)
{
    const Kubeletconfig__KubeletConfiguration *config = subject->options->config;
    int64_t period_ns = ns_of(config->cpu_cfs_quota_period);
    const char *period = braced(config->cpu_cfs_quota_period, subject->arena);
    bool is_custom = is_on(subject, GATE_CustomCPUCFSQuotaPeriod);
    if (!is_custom && period_ns != CFS_PERIOD_DEFAULT_NS)
        rules_add_invalid(findings,
                          "cpuCFSQuotaPeriod (--cpu-cfs-quota-period) %s requires feature gate "
                          "CustomCPUCFSQuotaPeriod",
                          period);
    if (is_custom && (period_ns < CFS_PERIOD_MIN_NS || period_ns > CFS_PERIOD_MAX_NS))
        rules_add_invalid(findings,
                          "cpuCFSQuotaPeriod (--cpu-cfs-quota-period) %s must be between 1ms and "
                          "1sec, inclusive",
                          period);
}

static void check_image_gc(const struct rules_subject *subject, struct rules_findings *findings)
{
    const Kubeletconfig__KubeletConfiguration *config = subject->options->config;
    struct arena *arena = subject->arena;
    int64_t minimum_ns = ns_of(config->image_minimum_gc_age),
            maximum_ns = ns_of(config->image_maximum_gc_age);
    if (config->image_gc_low_threshold_percent >= config->image_gc_high_threshold_percent)
        rules_add_invalid(findings,
                          "imageGCLowThresholdPercent (--image-gc-low-threshold) %d must be less "
                          "than imageGCHighThresholdPercent (--image-gc-high-threshold) %d",
                          config->image_gc_low_threshold_percent,
                          config->image_gc_high_threshold_percent);
    if (maximum_ns < 0)
        rules_add_invalid(findings, "imageMaximumGCAge %s must not be negative",
                          braced(config->image_maximum_gc_age, arena));
    if (minimum_ns < 0)
        rules_add_invalid(findings, "imageMinimumGCAge %s must not be negative",
                          braced(config->image_minimum_gc_age, arena));
    if (maximum_ns > 0 && maximum_ns <= minimum_ns)
        rules_add_invalid(findings,
                          "imageMaximumGCAge %s must be greater than imageMinimumGCAge %s",
                          braced(config->image_maximum_gc_age, arena),
                          braced(config->image_minimum_gc_age, arena));
}

static void check_pulls(const struct rules_subject *subject, struct rules_findings *findings)
{
    const Kubeletconfig__KubeletConfiguration *config = subject->options->config;
    if (config->serialize_image_pulls && config->has_max_parallel_image_pulls &&
        config->max_parallel_image_pulls > 1)
        rules_add_invalid(findings,
                          "maxParallelImagePulls cannot be larger than 1 unless "
                          "SerializeImagePulls (--serialize-image-pulls) is set to false");
    if (config->server_tls_bootstrap && !is_on(subject, GATE_RotateKubeletServerCertificate))
        rules_add_invalid(findings, "serverTLSBootstrap true requires feature gate "
                                    "RotateKubeletServerCertificate");
}

static const char *taint_problem(const Core__Taint *taint)
{
    static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", ""};
    const char *effect = taint->effect ? taint->effect : "";
    if (name_check_qualified(str_from(taint->key)))
        return "key";
    if (!rules_is_label_value(taint->value))
        return "value";
    return rules_is_one_of(effect, effects, ARRAY_SIZE(effects)) ? NULL : "effect";
}

static void check_taints(const struct rules_subject *subject, struct rules_findings *findings)
{
    const Kubeletconfig__KubeletConfiguration *config = subject->options->config;
    for (size_t i = 0; i < config->n_register_with_taints; i++) {
        const Core__Taint *taint = config->register_with_taints[i];
        if (taint_problem(taint))
            rules_add(findings, "invalid taint: {%s %s %s <nil>}", taint->key ? taint->key : "",
                      taint->value ? taint->value : "", taint->effect ? taint->effect : "");
        if (taint->time_added)
            rules_add_invalid(findings, "taint.TimeAdded is not nil");
    }
}

static void check_topology(const struct rules_subject *subject, struct rules_findings *findings)
{
    static const char *const policies[] = {"none", "best-effort", "restricted", "single-numa-node"};
    static const char *const scopes[] = {"container", "pod"};
    const Kubeletconfig__KubeletConfiguration *config = subject->options->config;
    if (!rules_is_one_of(config->topology_manager_policy, policies, ARRAY_SIZE(policies)))
        rules_add_invalid(
            findings,
            "topologyManagerPolicy (--topology-manager-policy) \"%s\" must be one of: "
            "[\"none\" \"best-effort\" \"restricted\" \"single-numa-node\"]",
            config->topology_manager_policy);
    if (!rules_is_one_of(config->topology_manager_scope, scopes, ARRAY_SIZE(scopes)))
        rules_add_invalid(findings,
                          "topologyManagerScope (--topology-manager-scope) \"%s\" must be one of: "
                          "[\"container\" \"pod\"]",
                          config->topology_manager_scope);
}

static void check_shutdown(const struct rules_subject *subject, struct rules_findings *findings)
{
    const Kubeletconfig__KubeletConfiguration *config = subject->options->config;
    const Meta__Duration *total = config->shutdown_grace_period,
                         *critical = config->shutdown_grace_period_critical_pods;
    int64_t total_ns = ns_of(total), critical_ns = ns_of(critical);
    if (is_on(subject, GATE_GracefulNodeShutdown)) {
        if (total_ns != 0 && total_ns < NS_PER_SEC)
            rules_add_invalid(findings,
                              "shutdownGracePeriod %s must be either zero or otherwise >= 1 sec",
                              braced(total, subject->arena));
        if (critical_ns != 0 && critical_ns < NS_PER_SEC)
            rules_add_invalid(
                findings,
                "shutdownGracePeriodCriticalPods %s must be either zero or otherwise >= 1 sec",
                braced(critical, subject->arena));
        if (critical_ns > total_ns)
            rules_add_invalid(
                findings, "shutdownGracePeriodCriticalPods %s must be <= shutdownGracePeriod %s",
                braced(critical, subject->arena), braced(total, subject->arena));
    } else if (total_ns > 0 || critical_ns > 0) {
        rules_add_invalid(findings, "specifying shutdownGracePeriod or "
                                    "shutdownGracePeriodCriticalPods requires feature gate "
                                    "GracefulNodeShutdown");
    }
    if (config->n_shutdown_grace_period_by_pod_priority == 0)
        return;
    if (!is_on(subject, GATE_GracefulNodeShutdownBasedOnPodPriority))
        rules_add_invalid(findings, "specifying shutdownGracePeriodByPodPriority requires feature "
                                    "gate GracefulNodeShutdownBasedOnPodPriority");
    else if (total_ns > 0 || critical_ns > 0)
        rules_add_invalid(findings, "cannot specify both shutdownGracePeriodByPodPriority and "
                                    "shutdownGracePeriod at the same time");
}

static void check_container_settings(const struct rules_subject *subject,
                                     struct rules_findings *findings)
{
    static const char *const hairpin_modes[] = {"none", "hairpin-veth", "promiscuous-bridge"};
    static const char *const swap_behaviors[] = {"", "LimitedSwap", "NoSwap"};
    const Kubeletconfig__KubeletConfiguration *config = subject->options->config;
    const char *swap = config->memory_swap && config->memory_swap->swap_behavior
                           ? config->memory_swap->swap_behavior
                           : "";
    if (!rules_is_one_of(swap, swap_behaviors, ARRAY_SIZE(swap_behaviors)))
        rules_add_invalid(findings,
                          "memorySwap.swapBehavior \"%s\" must be one of: \"\", \"LimitedSwap\" or "
                          "\"NoSwap\"",
                          swap);
    if (config->run_once)
        rules_add_invalid(findings, "runOnce (--runonce) true, Runonce mode has been deprecated "
                                    "and should not be set");
    if (!rules_is_one_of(config->hairpin_mode, hairpin_modes, ARRAY_SIZE(hairpin_modes)))
        rules_add_invalid(findings,
                          "option \"%s\" specified for hairpinMode (--hairpin-mode). Valid options "
                          "are \"none\", \"hairpin-veth\" or \"promiscuous-bridge\"",
                          config->hairpin_mode);
    if (!config->container_runtime_endpoint || !config->container_runtime_endpoint[0])
        rules_add_invalid(findings, "the containerRuntimeEndpoint was not specified or empty");
    if (config->enable_system_log_query && !config->enable_system_log_handler)
        rules_add_invalid(findings, "enableSystemLogHandler is required for enableSystemLogQuery");
    if (config->memory_throttling_factor <= 0 || config->memory_throttling_factor > 1.0)
        rules_add_invalid(findings,
                          "memoryThrottlingFactor %g must be greater than 0 and less than or equal "
                          "to 1.0",
                          config->memory_throttling_factor);
    if (config->show_hidden_metrics_for_version && config->show_hidden_metrics_for_version[0] &&
        !text_eq(config->show_hidden_metrics_for_version, HIDDEN_METRICS_VERSION))
        rules_add(findings,
                  "invalid showHiddenMetricsForVersion: showHiddenMetricsForVersion: Invalid "
                  "value: \"%s\": must be omitted or have the value '%s'; only the previous minor "
                  "version is allowed",
                  config->show_hidden_metrics_for_version, HIDDEN_METRICS_VERSION);
}

static void check_container_logs(const struct rules_subject *subject,
                                 struct rules_findings *findings)
{
    const Kubeletconfig__KubeletConfiguration *config = subject->options->config;
    if (config->container_log_max_files <= 1)
        rules_add_invalid(findings,
                          "containerLogMaxFiles (--container-log-max-files) %d must be greater "
                          "than 1",
                          config->container_log_max_files);
    if (config->container_log_max_workers < 1)
        rules_add_invalid(findings, "containerLogMaxWorkers must be greater than or equal to 1");
    if (ns_of(config->container_log_monitor_interval) < LOG_MONITOR_MIN_NS)
        rules_add_invalid(findings, "containerLogMonitorInterval must be a positive time duration "
                                    "greater than or equal to 3s");
    const char *dir = config->pod_logs_dir;
    if (!dir || !dir[0]) {
        rules_add_invalid(findings, "podLogsDir was not specified");
        return;
    }
    if (!path_is_absolute(dir))
        rules_add_invalid(findings, "pod logs path \"%s\" must be absolute path", dir);
    AUTO(free) char *clean = path_clean(dir);
    if (!text_eq(clean, dir))
        rules_add_invalid(findings, "pod logs path \"%s\" must be normalized", dir);
    for (const char *at = dir; *at; at++) {
        if ((unsigned char)*at >= 0x80) {
            rules_add_invalid(findings, "pod logs path \"%s\" mut contains ASCII characters only",
                              dir);
            break;
        }
    }
}

static void check_restarts_and_users(const struct rules_subject *subject,
                                     struct rules_findings *findings)
{
    const Kubeletconfig__KubeletConfiguration *config = subject->options->config;
    const Meta__Duration *most = config->crash_loop_back_off
                                     ? config->crash_loop_back_off->max_container_restart_period
                                     : NULL;
    bool is_gated = is_on(subject, GATE_KubeletCrashLoopBackOffMax);
    if (is_gated && !most)
        rules_add_invalid(findings, "crashLoopBackOff.maxContainerRestartPeriod must be set when "
                                    "feature gate KubeletCrashLoopBackOffMax is enabled");
    else if (is_gated && (most->duration < CRASH_LOOP_MIN_NS || most->duration > CRASH_LOOP_MAX_NS))
        rules_add_invalid(findings,
                          "crashLoopBackOff.maxContainerRestartPeriod %s must be between 1s and "
                          "300s, inclusive",
                          braced(most, subject->arena));
    else if (!is_gated && most)
        rules_add_invalid(findings, "crashLoopBackOff.maxContainerRestartPeriod requires feature "
                                    "gate KubeletCrashLoopBackOffMax");
    if (!config->user_namespaces || !config->user_namespaces->has_ids_per_pod)
        return;
    int64_t ids = config->user_namespaces->ids_per_pod;
    if (ids < IDS_PER_POD_UNIT || ids % IDS_PER_POD_UNIT != 0 || ids > UINT32_MAX)
        rules_add_invalid(findings,
                          "userNamespaces.idsPerPod %lld must be a multiple of 65536 between 65536 "
                          "and 4294967295",
                          (long long)ids);
}

static struct error *aggregate(const struct rules_findings *findings)
{
    if (findings->count == 0)
        return NULL;
    if (findings->count == 1)
        return error_new(ERROR_INVALID_ARGUMENT, "%s", findings->texts[0]);
    const char *all = "[";
    for (size_t i = 0; i < findings->count; i++)
        all = arena_printf(findings->arena, "%s%s%s", all, i ? ", " : "", findings->texts[i]);
    return error_new(ERROR_INVALID_ARGUMENT, "%s]", all);
}

struct error *rules_check(const struct rules_subject *subject)
{
    struct rules_findings findings = {.arena = subject->arena};
    check_cgroups(subject, &findings);
    check_ranges(subject, early_ranges, ARRAY_SIZE(early_ranges), &findings);
    check_cfs_period(subject, &findings);
    check_ranges(subject, gc_ranges, ARRAY_SIZE(gc_ranges), &findings);
    check_image_gc(subject, &findings);
    check_ranges(subject, late_ranges, ARRAY_SIZE(late_ranges), &findings);
    check_pulls(subject, &findings);
    check_taints(subject, &findings);
    check_topology(subject, &findings);
    check_shutdown(subject, &findings);
    check_container_settings(subject, &findings);
    rules_resources(subject, &findings);
    check_container_logs(subject, &findings);
    check_restarts_and_users(subject, &findings);
    rules_logging(subject, &findings);
    return aggregate(&findings);
}
