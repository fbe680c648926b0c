#include "load.h"

#define INVALID "failed to validate kubelet configuration, error: invalid configuration: "

TEST_CASE(each_rule_has_its_words)
{
    static const struct {
        const char *yaml, *want;
    } rows[] = {
        {"port: -1", INVALID "port (--port) -1 must be between 1 and 65535, inclusive"},
        {"readOnlyPort: 70000",
         INVALID "readOnlyPort (--read-only-port) 70000 must be between 0 and 65535, inclusive"},
        {"healthzPort: 70000", INVALID "healthzPort (--healthz-port) 70000 must be between 1 and"},
        {"nodeLeaseDurationSeconds: -1", INVALID "nodeLeaseDurationSeconds must be greater than 0"},
        {"imageGCLowThresholdPercent: 90",
         INVALID "imageGCLowThresholdPercent (--image-gc-low-threshold) 90 must be less than "
                 "imageGCHighThresholdPercent (--image-gc-high-threshold) 85"},
        {"imageGCHighThresholdPercent: 101", "imageGCHighThresholdPercent"},
        {"imageMinimumGCAge: -1s", "imageMinimumGCAge {-1s} must not be negative"},
        {"imageMaximumGCAge: 1m", "imageMaximumGCAge {1m0s} must be greater than imageMinimumGCAge "
                                  "{2m0s}"},
        {"oomScoreAdj: 2000",
         INVALID "oomScoreAdj (--oom-score-adj) 2000 must be between -1000 and 1000, inclusive"},
        {"eventBurst: -1", "eventBurst (--event-burst) -1 must not be a negative number"},
        {"eventRecordQPS: -1", "eventRecordQPS (--event-qps) -1 must not be a negative number"},
        {"kubeAPIQPS: -1", "kubeAPIQPS (--kube-api-qps) -1 must not be a negative number"},
        {"kubeAPIBurst: -1", "kubeAPIBurst (--kube-api-burst) -1 must not be"},
        {"maxPods: -1", "maxPods (--max-pods) -1 must not be a negative number"},
        {"podsPerCore: -1", "podsPerCore (--pods-per-core) -1 must not be a negative number"},
        {"maxOpenFiles: -1", "maxOpenFiles (--max-open-files) -1 must not be a negative number"},
        {"registryPullQPS: -1", "registryPullQPS (--registry-qps) -1 must not be"},
        {"registryBurst: -1", "registryBurst (--registry-burst) -1 must not be"},
        {"nodeStatusMaxImages: -2", "nodeStatusMaxImages (--node-status-max-images) -2 must be -1 "
                                    "or greater"},
        {"iptablesDropBit: 32", "iptablesDropBit"},
        {"maxParallelImagePulls: 0", "maxParallelImagePulls 0 must be a positive number"},
        {"maxParallelImagePulls: 2\nserializeImagePulls: true",
         "maxParallelImagePulls cannot be larger than 1 unless SerializeImagePulls"},
        {"enforceNodeAllocatable: [x]",
         INVALID "option \"x\" specified for enforceNodeAllocatable (--enforce-node-allocatable). "
                 "Valid options are \"pods\", \"system-reserved\", "
                 "\"system-reserved-compressible\", \"kube-reserved\", "
                 "\"kube-reserved-compressible\" or \"none\""},
        {"enforceNodeAllocatable: [pods, pods]", "duplicated enforcements \"pods\""},
        {"enforceNodeAllocatable: [pods, none]", "may not contain additional enforcements"},
        {"enforceNodeAllocatable: [kube-reserved]", "kubeReservedCgroup (--kube-reserved-cgroup)"},
        {"cgroupsPerQOS: false", "is not supported unless cgroupsPerQOS (--cgroups-per-qos)"},
        {"systemCgroups: /sys", "systemCgroups (--system-cgroups) was specified and cgroupRoot"},
        {"topologyManagerPolicy: x", INVALID
         "topologyManagerPolicy (--topology-manager-policy) \"x\" must be one of: [\"none\" "
         "\"best-effort\" \"restricted\" \"single-numa-node\"]"},
        {"topologyManagerScope: x", "topologyManagerScope (--topology-manager-scope) \"x\""},
        {"runOnce: true", INVALID "runOnce (--runonce) true, Runonce mode has been deprecated and "
                                  "should not be set"},
        {"shutdownGracePeriod: 10s\nshutdownGracePeriodCriticalPods: 20s",
         INVALID "shutdownGracePeriodCriticalPods {20s} must be <= shutdownGracePeriod {10s}"},
        {"shutdownGracePeriod: 10ms", "shutdownGracePeriod {10ms} must be either zero or"},
        {"shutdownGracePeriod: 10s\nshutdownGracePeriodByPodPriority: [{priority: 1, "
         "shutdownGracePeriodSeconds: 1}]",
         "cannot specify both shutdownGracePeriodByPodPriority"},
        {"memorySwap: {swapBehavior: X}",
         INVALID "memorySwap.swapBehavior \"X\" must be one of: \"\", \"LimitedSwap\" or "
                 "\"NoSwap\""},
        {"registerWithTaints: [{key: k, value: v, effect: Never}]",
         "error: invalid taint: {k v Never <nil>}"},
        {"registerWithTaints: [{key: k, effect: NoSchedule, timeAdded: \"2026-01-01T00:00:00Z\"}]",
         INVALID "taint.TimeAdded is not nil"},
        {"podLogsDir: /x//y", INVALID "pod logs path \"/x//y\" must be normalized"},
        {"podLogsDir: /x\xc3\xa9", "mut contains ASCII characters only"},
        {"logging: {format: xml}",
         "error: logging.format: Invalid value: \"xml\": Unsupported log format"},
        {"logging: {flushFrequency: -1s}", "logging.flushFrequency: Invalid value: -1s: Must be "
                                           "greater than zero"},
        {"logging: {flushFrequency: soon}", "logging.flushFrequency: expected a duration"},
        {"logging: {options: {json: {splitStream: true}}}", "logging.options.json.splitStream: "
                                                            "Forbidden"},
        {"tracing: {samplingRatePerMillion: -1}",
         "error: tracing.samplingRatePerMillion: Invalid value: -1: sampling rate must be "
         "positive"},
        {"tracing: {endpoint: \"http://x\"}", "tracing.endpoint: Invalid value"},
        {"showHiddenMetricsForVersion: \"1.30\"",
         "error: invalid showHiddenMetricsForVersion: showHiddenMetricsForVersion: Invalid value: "
         "\"1.30\": must be omitted or have the value '1.35'; only the previous minor version is "
         "allowed"},
        {"hairpinMode: x", "option \"x\" specified for hairpinMode (--hairpin-mode)"},
        {"cpuCFSQuotaPeriod: 2s",
         "cpuCFSQuotaPeriod (--cpu-cfs-quota-period) {2s} must be between"},
        {"cpuCFSQuotaPeriod: 0s",
         "cpuCFSQuotaPeriod (--cpu-cfs-quota-period) {0s} must be between"},
        {"containerLogMaxFiles: 1", "containerLogMaxFiles (--container-log-max-files) 1 must be "
                                    "greater than 1"},
        {"containerLogMaxWorkers: 0", "containerLogMaxWorkers must be greater"},
        {"containerLogMonitorInterval: 1s", "containerLogMonitorInterval must be"},
        {"crashLoopBackOff: {maxContainerRestartPeriod: 10m}", "must be between 1s and 300s"},
        {"featureGates: {KubeletCrashLoopBackOffMax: false}\n"
         "crashLoopBackOff: {maxContainerRestartPeriod: 10s}",
         "requires feature gate KubeletCrashLoopBackOffMax"},
        {"memoryThrottlingFactor: 1.5", "memoryThrottlingFactor 1.5 must be greater than 0"},
        {"memoryReservationPolicy: TieredReservation", "requires feature gate MemoryQoS"},
        {"userNamespaces: {idsPerPod: 70000}", "userNamespaces.idsPerPod 70000"},
        {"reservedSystemCPUs: a-b", "unable to parse reservedSystemCPUs (--reserved-cpus) a-b"},
        {"reservedSystemCPUs: \"0\"\nkubeReservedCgroup: /k", "can't use reservedSystemCPUs"},
        {"reservedMemory: [{numaNode: 0, limits: {cpu: 1}}]", "the limit type \"cpu\""},
        {"reservedMemory: [{numaNode: 0, limits: {memory: 0}}]", "may not be zero"},
        {"imagePullCredentialsVerificationPolicy: x",
         "imagePullCredentialsVerificationPolicy \"x\""},
        {"preloadedImagesVerificationAllowlist: [a]", "can only be set when"},
        {"imagePullCredentialsVerificationPolicy: NeverVerifyAllowlistedImages\n"
         "preloadedImagesVerificationAllowlist: [\"a:1\"]",
         "without tag or digest"},
        {"serverTLSBootstrap: true\nfeatureGates: {RotateKubeletServerCertificate: false}",
         "serverTLSBootstrap true requires feature gate"},
        /* found while upstream starts */
        {"tlsCipherSuites: [X]", "Cipher suite X not supported or doesn't exist"},
        {"tlsMinVersion: X", "unknown tls version \"X\""},
        {"tlsCurvePreferences: [29, 29]", "curve 29 is listed twice"},
        {"authorization: {mode: X}", "unknown authorization mode \"X\""},
        {"systemReserved: {gpu: 1m}", "cannot reserve \"gpu\" resource"},
        {"systemReserved: {cpu: x}", "failed to parse quantity \"x\" for \"cpu\" resource"},
        {"kubeReserved: {memory: -1Gi}",
         "resource quantity for \"memory\" cannot be negative: -1Gi"},
        {"evictionHard: {disk: 1Gi}", "unsupported eviction signal disk"},
        {"evictionHard: {memory.available: \"0\"}", "eviction threshold memory.available must be "
                                                    "positive: 0"},
        {"evictionHard: {memory.available: 101%}", "must be <= 100%: 101%"},
        {"evictionHard: {memory.available: -1%}", "must be >= 0%"},
        {"evictionSoft: {memory.available: 1Gi}", "grace period must be specified for the soft "
                                                  "eviction threshold memory.available"},
        {"allowedUnsafeSysctls: [\"vm.swappiness\"]", "the sysctl \"vm.swappiness\""},
        {"allowedUnsafeSysctls: [\"net.*x\"]", "the sysctl \"net.*x\""},
        {"containerLogMaxSize: much", "containerLogMaxSize (--container-log-max-size) \"much\""},
        {"syncFrequency: -1s", "syncFrequency (--sync-frequency) must be greater than 0"},
        {"configMapAndSecretChangeDetectionStrategy: X", "must be Watch, Cache or Get"},
        {"cpuManagerPolicy: X", "unknown cpu manager policy: \"X\""},
        {"memoryManagerPolicy: X", "unknown memory manager policy: \"X\""},
        {"cgroupDriver: X", "cgroupDriver (--cgroup-driver)"},
    };
    char *dir = make_dir();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(free) char *text = xasprintf(LOAD_HEADER "%s\n", rows[i].yaml);
        write_file(dir, "config.yaml", text);
        assert_load_fails("--config=%/config.yaml", dir, rows[i].want);
    }
    remove_dir(dir);
}

TEST_CASE(several_findings_are_told_together_and_once)
{
    char *dir = make_dir();
    write_file(dir, "c.yaml",
               LOAD_HEADER "port: -1\neventBurst: -1\n"
                           "registerWithTaints: [{key: \"\"}, {key: \"\"}]\n");
    assert_load_fails(
        "--config=%/c.yaml", dir,
        "failed to validate kubelet configuration, error: [invalid configuration: eventBurst "
        "(--event-burst) -1 must not be a negative number, invalid configuration: port (--port) -1 "
        "must be between 1 and 65535, inclusive, invalid taint: {   <nil>}], path: ");
    remove_dir(dir);
}

TEST_CASE(a_cgroup_v1_host_needs_consent)
{
    static const struct {
        const char *line, *want; /* NULL: fine */
    } rows[] = {
        {"", "kubelet is configured to not run on a host using cgroup v1. cgroup v1 support is "
             "unsupported and will be removed in a future release"},
        {"--fail-cgroupv1=false", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(config) struct config *config = load_config(rows[i].line, NULL);
        assert_no_error(config_check_host(config, &(struct config_host){.cgroup_v1 = false}));
        AUTO(error)
        struct error *err = config_check_host(config, &(struct config_host){.cgroup_v1 = true});
        assert_int_equal(err == NULL, rows[i].want == NULL);
        assert_true(!err || text_has_prefix(err->message, rows[i].want));
    }
}

TEST_MAIN(TEST(each_rule_has_its_words), TEST(several_findings_are_told_together_and_once),
          TEST(a_cgroup_v1_host_needs_consent))
