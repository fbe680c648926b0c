/*
 * What a pass over the cgroups remembers for the next: when a cgroup was made, and its CPU total,
 * from which a rate follows. An entry that a pass does not note is forgotten at its end, so there
 * are never more than cgroups. One holder at a time; any thread.
 */
#pragma once

#include "base/base.h"

struct stats_kept; /* opaque */

struct stats_kept *stats_kept_new(void);
void stats_kept_free(struct stats_kept *kept); /* NULL is fine */
DEFINE_AUTO(stats_kept, struct stats_kept *, stats_kept_free)

/** The inode of the cgroup that was @path when last noted; 0: none. */
uint64_t stats_kept_inode(const struct stats_kept *kept, const char *path);

struct stats_sample {
    const char *path;
    uint64_t inode;
    int64_t created_ns; /* wall clock; 0: as kept */
    int64_t read_ns;    /* when it was read, monotonic */
    bool has_cpu;
    uint64_t cpu_total_ns;
};
/**
 * Notes @sample. Returns nanocores since the one before: 0 when there is none of the same inode, or
 * when time or the counter have not advanced. *ret_created_ns: when the cgroup was made.
 */
uint64_t stats_kept_note(struct stats_kept *kept, const struct stats_sample *sample,
                         int64_t *ret_created_ns);
/** Ends a pass: what was not noted since the last end is forgotten. */
void stats_kept_end(struct stats_kept *kept);
size_t stats_kept_count(const struct stats_kept *kept);
