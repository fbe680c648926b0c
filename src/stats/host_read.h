/*
 * What the machine says of its processors, disks and file systems. Blocking: on a worker.
 */
#pragma once

#include "base/arena.h"
#include "stats/records.h"

struct stats_topology {
    uint64_t cores, physical_cores, sockets;
};
/** Processors that are online, by <@sys_root>/devices/system/cpu. A machine that does not say how
 * they belong together has one core each, and one socket. */
void stats_read_topology_blocking(const char *sys_root, struct stats_topology *ret);

/** <@proc_root>/diskstats, in @arena; none when it cannot be read. */
size_t stats_read_disks_blocking(const char *proc_root, struct arena *arena,
                                 const struct stats_disk **ret);
/** The host's file systems with their sizes, by device, in @arena; *ret refers to @disks. */
size_t stats_read_filesystems_blocking(const struct stats_disk *disks, size_t disk_count,
                                       struct arena *arena, const struct stats_filesystem **ret);
