/*
 * Texts of /proc and the mount table about the machine and about a pod's network, as the records
 * need them. A pod may have the right to name its interfaces and to mount, so names and numbers of
 * entries are not trusted: lists have an end. Pure; any thread.
 */
#pragma once

#include "base/arena.h"
#include "stats/records.h"
#include "volume/mountinfo.h"

#define STATS_MAX_INTERFACES 64 /* of one network; further ones are left out */
#define STATS_MAX_DISKS 512
#define STATS_MAX_FILESYSTEMS 64

/** /proc/<pid>/net/dev without lo, veth*, docker*, nerdctl*. Returns how many are in *ret, which
 * lives in @arena. */
size_t stats_parse_net_dev(struct str text, struct arena *arena, struct stats_interface **ret);

/** /proc/diskstats. */
size_t stats_parse_diskstats(struct str text, struct arena *arena, struct stats_disk **ret);
/** The disk of that number; NULL: there is none. */
const struct stats_disk *stats_find_disk(const struct stats_disk *disks, size_t count,
                                         uint64_t major, uint64_t minor);

/** A file system of the host that is worth a figure. */
struct stats_mount {
    const char *device;            /* as it is shown */
    const char *mount_point;       /* where it is asked */
    const struct stats_disk *disk; /* NULL: it has none */
};
/**
 * The host's file systems on disks and its tmpfs, each once, by device. Left out are those that
 * come and go with containers and pods, which a kubelet shows when they happen to be there at its
 * start, and network file systems, whose statfs may hang. Texts are borrowed from @table.
 */
size_t stats_choose_mounts(const struct mountinfo_table *table, const struct stats_disk *disks,
                           size_t disk_count, struct arena *arena, struct stats_mount **ret);

/** The id in a cgroup's name: without ".scope" and what stands before the last '-'. */
struct str stats_id_of_cgroup(const char *name);
