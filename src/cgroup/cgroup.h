/*
 * The cgroup tree of the node: kubepods, its QoS tiers and one cgroup per pod, on cgroup v1 and v2,
 * with the cgroupfs driver (the systemd driver is refused until its issue). Formulas of spec
 * resources.md §2. Functions touch /sys/fs/cgroup directly (microseconds); those named _blocking
 * wait for processes to die. Nothing is changed outside <cgroup_root>/kubepods, but that on v2
 * controllers are enabled on the way there.
 *
 * Hugepage limits are left alone: upstream rewrites hugetlb on every update and so zeroes limits it
 * was not asked about; here a cgroup keeps what it has (unlimited when new) as long as no limit is
 * supplied.
 */
#pragma once

#include "base/arena.h"
#include "kube/resources.h"

#include "core.pb-c.h"

struct cgroup_fs; /* cgroup/cgroup_fs.h: what the kernel does; tests put a folder in its place */

enum cgroup_version { CGROUP_V1, CGROUP_V2 };
enum cgroup_driver { CGROUP_DRIVER_CGROUPFS, CGROUP_DRIVER_SYSTEMD };

struct cgroup_tree; /* opaque: one per process */

struct cgroup_options {
    enum cgroup_driver driver;
    const char *mount_root;  /* "/sys/fs/cgroup"; tests pass a folder */
    const char *cgroup_root; /* "/" or --cgroup-root; kubepods is made below it */
    bool cgroups_per_qos;
    bool cpu_cfs_quota;
    int64_t cpu_cfs_period_us;
    int64_t pids_limit;         /* podPidsLimit; <= 0: none */
    const struct cgroup_fs *fs; /* NULL: the kernel's */
};

/**
 * Looks at the machine; everything in @options is copied but `fs`, which must outlive the tree.
 * FAILED_PRECONDITION with the remedy when the driver is not supported, controllers are missing
 * ("system validation failed - Following Cgroup subsystem not mounted: [..]") or the root does not
 * exist; INVALID_ARGUMENT when cgroups_per_qos comes without a cgroup root or the root is no clean
 * absolute path.
 */
MUST_CHECK struct error *cgroup_tree_new(const struct cgroup_options *options,
                                         struct cgroup_tree **ret);
void cgroup_tree_free(struct cgroup_tree *tree); /* NULL is fine; cgroups stay */
DEFINE_AUTO(cgroup_tree, struct cgroup_tree *, cgroup_tree_free)
enum cgroup_version cgroup_tree_version(const struct cgroup_tree *tree);
/** Whether a swap controller exists (spec runtime.md §3.14); looked up once, by cgroup_tree_new().
 */
bool cgroup_tree_has_swap(const struct cgroup_tree *tree);

/** The cgroup of a tier, "/kubepods/burstable"; @tier POD_QOS_GUARANTEED is the root of them all.
 * NULL without cgroups_per_qos. Borrowed from @tree. */
const char *cgroup_tier_path(const struct cgroup_tree *tree, enum pod_qos tier);
/** The cgroup that pod @uid has in @tier, in @arena; NULL without cgroups_per_qos or when the uid
 * cannot name a cgroup. */
const char *cgroup_pod_path(const struct cgroup_tree *tree, enum pod_qos tier, const char *uid,
                            struct arena *arena);
/**
 * The cgroup this process runs in, in @arena. FAILED_PRECONDITION when it has no single one: on v1
 * its cpu and memory hierarchies differ. Reads /proc/self/cgroup.
 */
MUST_CHECK struct error *cgroup_own_path(const struct cgroup_tree *tree, struct arena *arena,
                                         const char **ret);

/** Node allocatable limits of kubepods; 0 leaves a value unwritten. */
struct cgroup_node_limits {
    int64_t memory_bytes;
    int64_t cpu_millis;
    int64_t pids;
};

/**
 * Makes kubepods, burstable and besteffort where they are missing and writes @limits to kubepods.
 * Does nothing without cgroups_per_qos. An error with reason FailedNodeAllocatableEnforcement means
 * that all three exist but a limit could not be written (memory in use above it, on v1): pods can
 * run, try again later. Any other error means that pods cannot run.
 */
MUST_CHECK struct error *cgroup_setup_node(struct cgroup_tree *tree,
                                           const struct cgroup_node_limits *limits);
/** Writes the tiers' cpu shares: burstable from the sum of its pods' requests, besteffort 2. */
MUST_CHECK struct error *cgroup_update_qos(struct cgroup_tree *tree,
                                           int64_t burstable_request_millis);

/**
 * Makes the pod's cgroup with the values of §2.8, or leaves an existing one alone (*ret_created
 * false, also without cgroups_per_qos). A value that the kernel refuses is logged and does not fail
 * the call, as upstream has it: the containers carry their own limits. INVALID_ARGUMENT: the uid
 * cannot name a cgroup.
 */
MUST_CHECK struct error *cgroup_pod_create(struct cgroup_tree *tree, const Core__Pod *pod,
                                           bool *ret_created);
/** True when all hierarchies (v1) or controllers (v2) of the pod's cgroup are there, or none are
 * asked for. */
bool cgroup_pod_exists(struct cgroup_tree *tree, const Core__Pod *pod);
/**
 * Kills what is left in the pod's cgroup (any tier) and removes it. A missing one is fine. Errors:
 * a process cannot be killed, or a cgroup stays busy for a second after that. On a worker; needs
 * nothing from the loop:
 * @tree is only read.
 */
MUST_CHECK struct error *cgroup_pod_destroy_blocking(const struct cgroup_tree *tree,
                                                     const char *uid);
/** Uids that have a pod cgroup in some tier, sorted; array and texts in @arena. */
MUST_CHECK struct error *cgroup_list_pods(struct cgroup_tree *tree, struct arena *arena,
                                          const char ***ret_uids, size_t *ret_count);

/* The formulas (spec resources.md §2.7), for whoever builds CRI messages. All saturate. */

/** 0 → 2, else millis·1024/1000 within [2, 262144]. */
int64_t cgroup_shares_from_millis(int64_t millis);
/** 0 → 0 (no quota), else millis·period/1000, at least 1000 µs. */
int64_t cgroup_quota_from_millis(int64_t millis, int64_t period_us);
/** The linear formula the kubelet itself writes: 2 → 1, 1024 → 39, 262144 and more → 10000. */
int64_t cgroup_weight_from_shares(int64_t shares);
