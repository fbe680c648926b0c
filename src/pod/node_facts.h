/*
 * What the configurations of sandboxes and containers must know of the node; src/node finds it out.
 * A plain value. Any thread.
 */
#pragma once

#include "base/base.h"

/** Facts about this node that no pod changes; filled once at start (and on reload). Borrowed. */
struct node_facts {
    const char *node_name;
    const char *root_dir;           /* "/var/lib/kubelet" */
    const char *pod_logs_dir;       /* "/var/log/pods" */
    const char *cluster_domain;     /* "" when unset */
    const char *const *cluster_dns; /* NULL-terminated, validated */
    const char *const *node_ips; /* NULL-terminated: status.hostIPs order, primary family first */
    int64_t memory_capacity_bytes;
    int64_t cpu_capacity_millis;
    int64_t allocatable_memory_bytes;
    int64_t allocatable_cpu_millis;
    int64_t allocatable_ephemeral_bytes;
    bool cgroup_v2;
    bool cgroups_per_qos;
    bool cgroup_systemd_driver;
    const char *cgroup_root; /* "/" */
    bool swap_controller;    /* spec §3.14 */
    bool limited_swap;
    int64_t swap_capacity_bytes;
    bool cpu_cfs_quota;
    int64_t cpu_cfs_period_us;
    bool single_process_oom_kill;
    bool seccomp_default;
    bool stop_signals; /* gate ContainerStopSignals */
    bool selinux_enabled;
    const char *const *hugepage_sizes; /* NULL-terminated "2MB", "1GB", … in directory order */
    const char *const *masked_paths_extra; /* NULL-terminated thermal_throttle paths that exist */
    int64_t pids_limit;                    /* podPidsLimit, -1 none */
};
