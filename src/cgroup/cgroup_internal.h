/*
 * Shared inside the cgroup room only: the tree, the values a cgroup may carry, and the steps of
 * making and removing one. A "cgroup" here is its path below the hierarchy's mount point, such as
 * "/kubepods/burstable".
 */
#pragma once

#include "cgroup/cgroup.h"
#include "cgroup/cgroup_fs.h"

#define CGROUP_TIER_COUNT 3

struct cgroup_tree {
    const struct cgroup_fs *fs;
    char *mount_root;
    struct cgroup_facts facts;
    char *v2_controllers; /* v2: words of the root's cgroup.controllers; else NULL */
    bool has_swap;
    bool cgroups_per_qos;
    bool cpu_cfs_quota;
    int64_t cpu_cfs_period_us;
    int64_t pids_limit;
    char *tiers[CGROUP_TIER_COUNT]; /* by enum pod_qos: kubepods, burstable, besteffort */
};

/* --- cgroup_dir.c: directories --- */

/** The mount point that serves @controller, or NULL when none does. Borrowed. */
const char *cgroup_mount_of(const struct cgroup_tree *tree, enum cgroup_controller controller);
/**
 * Walks the distinct mount points: start with *cursor = 0; NULL ends. On v2 there is one.
 */
const char *cgroup_next_mount(const struct cgroup_tree *tree, size_t *cursor);

/** NULL when @cgroup is complete (spec §2.4); FAILED_PRECONDITION names what is missing. */
MUST_CHECK struct error *cgroup_dir_check(const struct cgroup_tree *tree, const char *cgroup);
/** Makes @cgroup and its parents in every hierarchy; what a failed call made is removed again. */
MUST_CHECK struct error *cgroup_dir_make(const struct cgroup_tree *tree, const char *cgroup);
/** Kills and removes @cgroup with everything below it. Missing is fine. */
MUST_CHECK struct error *cgroup_dir_destroy_blocking(const struct cgroup_tree *tree,
                                                     const char *cgroup);
/** Names of the directories in @path (not below), in @arena; a missing @path has none. */
MUST_CHECK struct error *cgroup_dir_children(const char *path, struct arena *arena,
                                             const char ***ret_names, size_t *ret_count);

/* --- cgroup_values.c: control files --- */

#define CGROUP_UNLIMITED INT64_C(-1)

/** 0 always means "not written". */
struct cgroup_values {
    int64_t memory_bytes; /* or CGROUP_UNLIMITED */
    int64_t cpu_shares;   /* v1 unit; converted to a weight on v2 */
    int64_t cpu_quota_us; /* or CGROUP_UNLIMITED */
    int64_t cpu_period_us;
    int64_t pids;
};

/** Writes @values to @cgroup in the order of spec §2.6. Stops at the first error. */
MUST_CHECK struct error *cgroup_values_apply(const struct cgroup_tree *tree, const char *cgroup,
                                             const struct cgroup_values *values);
/** The values of a pod's cgroup (spec §2.8). Pure. */
struct cgroup_values cgroup_values_of_pod(const struct cgroup_tree *tree, const Core__Pod *pod);

/** `["kubepods" "burstable"]`, as upstream prints a cgroup's name. Owned. */
char *cgroup_name_text(const char *cgroup);
