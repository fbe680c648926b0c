/*
 * What this machine is: capacity, addresses, name, and the facts that container configurations
 * depend on. Read once at start from /proc and /sys; blocking, but only kernel files. Start-up
 * only.
 */
#pragma once

#include "base/arena.h"
#include "cgroup/cgroup.h"
#include "config/config.h"
#include "pod/cri_config.h"

/** hostnameOverride, or the host's name in lower case; in @arena. INVALID_ARGUMENT when it is
 * empty. */
MUST_CHECK struct error *node_name_of(const struct config *config, struct arena *arena,
                                      const char **ret);

/**
 * Fills @ret for this machine and @config; everything it refers to lives in @arena or in @config.
 * @cgroups tells version and swap. @systemd_driver: the cgroup driver in force, which the runtime
 * may have chosen.
 */
MUST_CHECK struct error *node_facts_read(const struct config *config,
                                         const struct cgroup_tree *cgroups, bool systemd_driver,
                                         const char *node_name, struct arena *arena,
                                         struct node_facts *ret);

/** Takes systemReserved and kubeReserved (cpu, memory, pid) off @limits, floored at 0. */
void node_subtract_reserved(const struct config *config, struct cgroup_node_limits *limits);

/** MemTotal of /proc/meminfo in bytes. */
MUST_CHECK struct error *node_memory_bytes(int64_t *ret);
/** Logical CPUs that are online. */
int64_t node_cpu_count(void);
/** min(kernel.pid_max, kernel.threads-max). */
int64_t node_max_pids(void);
/** True when some swap is on (/proc/swaps). */
bool node_has_swap(void);
/** True when /sys/fs/cgroup is no cgroup2 file system (hybrid counts as v1, spec resources.md
 * §2.1). */
bool node_has_cgroup_v1(void);

/** The sizes of huge pages this kernel offers, in KiB and no order. Returns how many. */
#define NODE_MAX_HUGEPAGES 16
size_t node_hugepage_sizes(int64_t ret_kib[static NODE_MAX_HUGEPAGES]);
/** The number that a kernel file holds; 0 when it cannot be told. */
int64_t node_read_number(const char *path);
/** Size of the file system that holds @path; 0 when it cannot be told. */
int64_t node_filesystem_bytes(const char *path);
