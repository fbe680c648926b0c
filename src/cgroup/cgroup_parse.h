/*
 * The texts of control files and of the /proc files that go with them, as numbers. Pure; any
 * thread. A text that is cut or not what this code knows yields what could be read of it: the
 * kernel adds lines and columns, and a figure that is missing is better than none at all.
 */
#pragma once

#include "base/arena.h"
#include "cgroup/cgroup.h"
#include "cgroup/cgroup_figures.h"

/** A number, or "max" for UINT64_MAX; surrounding blanks do not matter. False: neither. */
MUST_CHECK bool cgroup_parse_number(struct str text, uint64_t *ret);
/** As above, but a negative number (v1's way to say "none") is UINT64_MAX as well. */
MUST_CHECK bool cgroup_parse_limit(struct str text, uint64_t *ret);
/** v2 cpu.max, "<quota or max> <period>". */
void cgroup_parse_cpu_max(struct str text, struct cgroup_cpu_figures *ret);

/** A line "<name> <number>" and the uint64_t at @offset of the struct that it fills. */
struct cgroup_key {
    const char *name;
    size_t offset;
};
/** Fills what the lines of @text name; returns how many of @keys were found. */
size_t cgroup_parse_keys(struct str text, const struct cgroup_key *keys, size_t count, void *ret);

/** cpu.pressure and its like. False, and @ret untouched, without a line "some". */
MUST_CHECK bool cgroup_parse_pressure(struct str text, struct cgroup_pressure *ret);

#define CGROUP_MAX_IO_DEVICES 256 /* further ones are left out */

struct cgroup_io_list {
    size_t count;
    struct cgroup_io_device *items; /* in the arena given with each text */
};
/** v1 blkio.throttle.io_service_bytes_recursive (@are_bytes) or …io_serviced_recursive: adds to
 * @list, whose items live in @arena. */
void cgroup_parse_blkio(struct str text, bool are_bytes, struct arena *arena,
                        struct cgroup_io_list *list);
/** v2 io.stat. */
void cgroup_parse_io_stat(struct str text, struct arena *arena, struct cgroup_io_list *list);

/** Takes the next process id off the front of @rest (cgroup.procs); false: there is none left. What
 * is no pid is passed over. */
MUST_CHECK bool cgroup_next_pid(struct str *rest, int64_t *ret);

/** The soft limit "Max open files" of /proc/<pid>/limits; -1: unlimited. */
MUST_CHECK bool cgroup_parse_open_files_limit(struct str text, int64_t *ret);

struct cgroup_meminfo {
    uint64_t total_bytes, swap_total_bytes, swap_free_bytes;
};
/** /proc/meminfo. */
void cgroup_parse_meminfo(struct str text, struct cgroup_meminfo *ret);

/**
 * /proc/<pid>/cgroup: the one cgroup of the process, in @arena. v1: that of its cpu and memory
 * hierarchies, FAILED_PRECONDITION when those differ; where systemd has a hierarchy, it is the one
 * in there.
 */
MUST_CHECK struct error *cgroup_parse_own_path(struct str text, enum cgroup_version version,
                                               struct arena *arena, const char **ret);
