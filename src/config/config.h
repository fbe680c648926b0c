/*
 * The configuration: flags, the KubeletConfiguration file, its drop-ins and feature gates, made
 * into one validated value that never changes while the process lives. Reads files at start-up
 * only; does not log: what deserves a log line is returned as data. Once loaded it may be read from
 * any thread.
 *
 * Names and meanings are those of KubeletConfiguration v1beta1 and of the kubelet's flags; a field
 * that is nullable there, and whose absence means something, carries a has_ bit here.
 */
#pragma once

#include "base/arena.h"

#include "config/config_cluster.h"
#include "config/config_server.h"
#include "config/config_values.h"
#include "config/gates.h"

#include <stdio.h>

#define CONFIG_KUBERNETES_VERSION "v1.36.2" /* the release whose behaviour is offered */
#define CONFIG_VERSION CONFIG_KUBERNETES_VERSION "+cubelet." CUBELET_VERSION

enum config_cgroup_driver { CONFIG_CGROUP_DRIVER_CGROUPFS, CONFIG_CGROUP_DRIVER_SYSTEMD };
enum config_swap_behavior { CONFIG_SWAP_NO_SWAP, CONFIG_SWAP_LIMITED_SWAP };
enum config_log_format { CONFIG_LOG_TEXT, CONFIG_LOG_JSON };
enum config_pull_policy {
    CONFIG_PULL_NEVER_VERIFY,
    CONFIG_PULL_NEVER_VERIFY_PRELOADED_IMAGES,
    CONFIG_PULL_NEVER_VERIFY_ALLOWLISTED_IMAGES,
    CONFIG_PULL_ALWAYS_VERIFY,
};

/** enforceNodeAllocatable as bits; none of them for [none]. */
enum config_enforce {
    CONFIG_ENFORCE_PODS = 1 << 0,
    CONFIG_ENFORCE_SYSTEM_RESERVED = 1 << 1,
    CONFIG_ENFORCE_SYSTEM_RESERVED_COMPRESSIBLE = 1 << 2,
    CONFIG_ENFORCE_KUBE_RESERVED = 1 << 3,
    CONFIG_ENFORCE_KUBE_RESERVED_COMPRESSIBLE = 1 << 4,
};

/** A flag or field that was given a value of its own, but that this build does not act on yet. */
struct config_inert {
    const char *name;   /* "--hairpin-mode", or "evictionSoft" for a field of a file */
    const char *source; /* "command line", or the path of the file */
};

struct config {
    /* The node and its directories. Paths are absolute and clean, except where said. */
    const char *config_path;       /* --config, absolute; "" without one */
    const char *config_dir;        /* --config-dir; "" without one */
    const char *hostname_override; /* trimmed, lower case; "" = the host's name */
    struct config_list node_ips;   /* --node-ip: none, one, or an IPv4/IPv6 pair; checked */
    const char *root_dir;
    const char *cert_dir;
    const char *pod_logs_dir;
    const char *local_socket_path; /* --local-socket, cubelet's own */

    /* Sources of pods. */
    const char *static_pod_path; /* file or directory; "" = none */
    int64_t file_check_frequency_ns;
    const char *static_pod_url; /* "" = none; without effect yet */
    int64_t http_check_frequency_ns;
    int64_t sync_frequency_ns; /* > 0 */

    /* The runtime and its images. */
    const char *runtime_endpoint; /* as given, e.g. "unix:///run/containerd/containerd.sock" */
    const char *image_endpoint;   /* never "": the runtime's when none was given */
    int64_t runtime_request_timeout_ns;
    bool serialize_image_pulls;
    bool has_max_parallel_image_pulls; /* absent: no limit */
    int32_t max_parallel_image_pulls;
    int32_t registry_pull_qps; /* 0 = unlimited */
    int32_t registry_burst;
    enum config_pull_policy image_pull_credentials_verification_policy;
    struct config_list preloaded_images_verification_allowlist;
    /* Credential provider plugins, as given; "": none, unless only one of the two is given. */
    const char *image_credential_provider_config; /* file or directory */
    const char *image_credential_provider_bin_dir;
    int64_t image_minimum_gc_age_ns;
    int64_t image_maximum_gc_age_ns; /* 0 = off */
    int32_t image_gc_high_threshold_percent;
    int32_t image_gc_low_threshold_percent;
    int64_t container_log_max_size_bytes; /* negative: no rotation */
    int32_t container_log_max_files;
    int32_t container_log_max_workers;
    int64_t container_log_monitor_interval_ns;
    int64_t minimum_container_ttl_ns;
    int32_t maximum_dead_containers_per_container;
    int32_t maximum_dead_containers; /* negative: no limit */
    int64_t crash_loop_max_ns;       /* crashLoopBackOff.maxContainerRestartPeriod */
    bool seccomp_default;

    /* cgroups and resources. */
    enum config_cgroup_driver cgroup_driver; /* the runtime's own answer overrides it */
    const char *cgroup_root;                 /* "/" when none was given and cgroups_per_qos */
    bool cgroups_per_qos;
    bool cpu_cfs_quota;
    int64_t cpu_cfs_quota_period_us;
    int64_t pod_pids_limit; /* -1 = no limit */
    bool fail_cgroup_v1;
    bool fail_swap_on;
    enum config_swap_behavior memory_swap_behavior;
    bool has_single_process_oom_kill; /* absent: true on cgroup v1, false on v2 */
    bool single_process_oom_kill;
    int32_t oom_score_adj;
    int64_t max_open_files;
    int32_t max_pods;
    int32_t pods_per_core;             /* 0 = no such limit */
    struct config_map system_reserved; /* resource → quantity, both checked */
    struct config_map kube_reserved;
    const char *system_reserved_cgroup;
    const char *kube_reserved_cgroup;
    const char *reserved_system_cpus;  /* cpuset list, checked; "" = none */
    unsigned enforce_node_allocatable; /* enum config_enforce bits */
    struct config_map eviction_hard;   /* signal → quantity or percentage, both checked */
    bool allocatable_ignores_eviction; /* --experimental-allocatable-ignore-eviction */
    struct config_list allowed_unsafe_sysctls;
    bool protect_kernel_defaults;
    bool local_storage_capacity_isolation;
    int64_t housekeeping_interval_ns;
    int64_t volume_stats_agg_period_ns; /* negative: off */
    int64_t user_namespace_ids_per_pod;

    /* Pod networking. */
    const char *cluster_domain;     /* "" = none */
    struct config_list cluster_dns; /* as given; invalid ones are skipped by the user of it */
    const char *resolv_conf;        /* "" = no resolver file at all */

    struct config_cluster cluster; /* what makes the node a member of one */

    struct config_server server; /* the node's own API */

    /* Node information. */
    struct config_list boot_id_files;
    struct config_list machine_id_files;

    /* Logs. */
    int log_verbosity;
    enum config_log_format log_format;

    struct gate_set gates;

    /* What start-up should say. */
    size_t inert_count;
    const struct config_inert *inert; /* in the order of the option table, no name twice */
    struct config_list deprecated; /* "Flag --x has been deprecated, …": stderr, one line each */
    struct config_list
        warnings; /* texts for warning lines: GA gates that were set, a missing reservation … */
    struct config_list flag_values; /* every flag as --name="value", for V(1) lines */

    /** The KubeletConfiguration in force, as /configz shows it: a
     * Kubeletconfig__KubeletConfiguration. */
    const struct ProtobufCMessage *kubelet_configuration;

    struct arena *arena; /* owns all of the above; owned */
};

enum config_outcome {
    CONFIG_RUN,          /* *ret is the configuration to run with */
    CONFIG_HELP,         /* --help was given: config_print_help(), exit 0 */
    CONFIG_VERSION_TEXT, /* --version was given: print version_text and a newline, exit 0 */
};

struct config_result {
    enum config_outcome outcome;
    struct config *config; /* CONFIG_RUN: owned by the caller */
    char *version_text;    /* CONFIG_VERSION_TEXT: owned by the caller */
};

/**
 * Parses @argv (argv[0] is the program), reads --config and --config-dir, applies defaults and
 * precedence, validates. Reads files and the working directory, nothing else; what depends on the
 * host (cgroup version, swap, addresses) is checked by config_check_host(). On error *ret is
 * untouched. Errors carry the whole text for the user, remedy included: INVALID_ARGUMENT  an
 * unknown flag, command or field, a malformed value, or a rule that does not hold; for files with
 * file, line and field path NOT_FOUND, PERMISSION_DENIED, …  a file that cannot be read
 * FAILED_PRECONDITION  --bootstrap-kubeconfig without an existing file of --kubeconfig
 */
MUST_CHECK struct error *config_load(int argc, const char *const *argv, struct config_result *ret);
void config_free(struct config *config); /* NULL is fine */
DEFINE_AUTO(config, struct config *, config_free)

/** Facts of this host that validation needs. */
struct config_host {
    bool cgroup_v1; /* the host runs on cgroup v1 (legacy or hybrid) */
};

/**
 * The rules of validation that depend on the host: failCgroupV1, LimitedSwap and
 * singleProcessOOMKill on cgroup v1. Error FAILED_PRECONDITION with upstream's words and the
 * remedy.
 */
MUST_CHECK struct error *config_check_host(const struct config *config,
                                           const struct config_host *host);

/** Writes the text of --help to @out: the long text, usage, and every flag with type, default and
 * meaning. */
void config_print_help(FILE *out);
