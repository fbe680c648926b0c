/*
 * What a pass over the cgroups remembers for the next: the figures of each, from which a rate
 * follows and what need not be read again. An entry that a pass does not note is forgotten at its
 * end, so there are never more than cgroups. One holder at a time; any thread.
 */
#pragma once

#include "cgroup/cgroup_figures.h"

struct stats_kept; /* opaque */

struct stats_kept *stats_kept_new(void);
void stats_kept_free(struct stats_kept *kept); /* NULL is fine */
DEFINE_AUTO(stats_kept, struct stats_kept *, stats_kept_free)

/** What was last noted of the cgroup at @path, without its io_devices, until the next is noted;
 * NULL: nothing. */
const struct cgroup_figures *stats_kept_find(const struct stats_kept *kept, const char *path);
/**
 * Notes what was read of @path at @read_ns, monotonic. Returns nanocores since the time before: 0
 * when there is none of the same inode, or when time or the counter have not advanced.
 */
uint64_t stats_kept_note(struct stats_kept *kept, const char *path, int64_t read_ns,
                         const struct cgroup_figures *figures);
/** Ends a pass: what was not noted since the last end is forgotten. */
void stats_kept_end(struct stats_kept *kept);
size_t stats_kept_count(const struct stats_kept *kept);
