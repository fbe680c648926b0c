/*
 * What the kernel does behind the cgroup file system: mounting, making and removing directories
 * that come with control files, and killing. The room reads and writes control files as files.
 * Tests replace this by a folder. Any thread.
 */
#pragma once

#include "cgroup/cgroup.h"

#include <sys/types.h>

/** Kernel controllers that the room knows by name; on v1 each may have its own hierarchy. */
enum cgroup_controller {
    CGROUP_CPU,
    CGROUP_CPUACCT,
    CGROUP_CPUSET,
    CGROUP_MEMORY,
    CGROUP_PIDS,
    CGROUP_HUGETLB,
    CGROUP_SYSTEMD, /* v1 name=systemd, no controller */
    CGROUP_BLKIO,
    CGROUP_DEVICES,
    CGROUP_FREEZER,
    CGROUP_NET_CLS,
    CGROUP_NET_PRIO,
    CGROUP_PERF_EVENT,
    CGROUP_RDMA,
    CGROUP_MISC,
    CGROUP_UNIFIED, /* the cgroup2 mount beside v1 ones (hybrid), without controllers */
    CGROUP_CONTROLLER_COUNT,
};

/** "cpu", …, "systemd", "unified". */
const char *cgroup_controller_name(enum cgroup_controller controller);

/** What the machine offers. */
struct cgroup_facts {
    enum cgroup_version version;
    /* v1: the mount point of each controller or NULL. v2: all NULL, the mount root serves. Owned.
     */
    char *mounts[CGROUP_CONTROLLER_COUNT];
    char *own_path; /* v2: this process's cgroup, such as "/system.slice/cubelet.service"; else
                       NULL. Owned. */
};
void cgroup_facts_done(struct cgroup_facts *facts);

struct cgroup_fs {
    void *ctx;
    MUST_CHECK struct error *(*look)(void *ctx, const char *mount_root, struct cgroup_facts *ret);
    /* These return 0 or an errno value. */
    int (*make_dir)(void *ctx, const char *path);
    int (*remove_dir)(void *ctx, const char *path);
    int (*kill_process)(void *ctx, pid_t pid);
};

/** The kernel's. */
extern const struct cgroup_fs cgroup_fs_kernel;
