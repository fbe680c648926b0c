/*
 * Pods and a node for the tests of the pod room: pods are YAML flow text, defaulted as a static pod
 * is.
 */
#pragma once

#include "kube/codec.h"
#include "kube/defaults.h"
#include "pod/cri_config.h"
#include "tests/lib/test.h"

/** A pod from YAML, with defaults. Fails the test when it cannot be read. */
static inline UNUSED Core__Pod *pod_from_yaml(const char *yaml, struct arena *arena)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *message = NULL;
    assert_no_error(
        kube_decode_yaml(str_from(yaml), &core__pod__descriptor, &options, arena, &message));
    Core__Pod *pod = (Core__Pod *)message;
    pod_set_defaults(pod, arena);
    return pod;
}

/** Pod web/default with uid u-1 and the given parts of its metadata, spec and container "c" (flow
 * text, may be ""). */
static inline UNUSED Core__Pod *pod_with(const char *metadata, const char *spec,
                                         const char *container, struct arena *arena)
{
    return pod_from_yaml(arena_printf(arena,
                                      "{metadata: {name: web, namespace: default, uid: u-1%s%s}, "
                                      "spec: {%s%scontainers: [{name: c, image: busybox%s%s}]}}",
                                      *metadata ? ", " : "", metadata, spec, *spec ? ", " : "",
                                      *container ? ", " : "", container),
                         arena);
}

/** A node with cgroup v1, the cgroupfs driver, cluster DNS and 1000 MiB of memory. */
static inline UNUSED struct node_facts node_for_tests(void)
{
    static const char *const dns[] = {"10.0.0.10", NULL};
    static const char *const ips[] = {"192.0.2.1", "2001:db8::1", NULL};
    static const char *const sizes[] = {"2MB", "1GB", NULL};
    return (struct node_facts){
        .node_name = "node-a",
        .root_dir = "/var/lib/kubelet",
        .pod_logs_dir = "/var/log/pods",
        .cluster_domain = "cluster.local",
        .cluster_dns = dns,
        .node_ips = ips,
        .memory_capacity_bytes = 1000 * (int64_t)MiB,
        .cpu_capacity_millis = 4000,
        .allocatable_memory_bytes = 900 * (int64_t)MiB,
        .allocatable_cpu_millis = 3500,
        .allocatable_ephemeral_bytes = 5000,
        .cgroups_per_qos = true,
        .cgroup_root = "/",
        .cpu_cfs_quota = true,
        .cpu_cfs_period_us = 100000,
        .single_process_oom_kill = true,
        .hugepage_sizes = sizes,
        .pids_limit = -1,
    };
}
