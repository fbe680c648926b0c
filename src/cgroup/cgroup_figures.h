/*
 * The figures of one cgroup at one moment, the same for cgroup v1 and v2 (spec server.md §4.5).
 * Plain data: counters since the cgroup was made, gauges, limits. What the kernel does not offer is
 * told by a presence bit, or is 0 where the table of the spec says so.
 */
#pragma once

#include "base/base.h"

/** Limits above this are none: v1 says "unlimited" by a number near 2^63, v2 by "max". */
#define CGROUP_LIMIT_MAX (UINT64_C(1) << 62)

struct cgroup_cpu_figures {
    uint64_t total_ns, user_ns, system_ns;
    uint64_t periods, throttled_periods, throttled_ns; /* CFS; 0 without a quota */
    uint64_t burst_periods, burst_ns;
    uint64_t shares;    /* v1 unit, converted from a weight on v2; 0: unknown */
    uint64_t period_us; /* 0: unknown */
    bool has_quota;
    uint64_t quota_us;
};

struct cgroup_memory_figures {
    uint64_t usage_bytes, max_usage_bytes;
    uint64_t working_set_bytes; /* usage less inactive file pages, at least 0 */
    uint64_t rss_bytes, cache_bytes, mapped_file_bytes, swap_bytes, kernel_bytes;
    uint64_t active_file_bytes, inactive_file_bytes;
    uint64_t failcnt;
    uint64_t page_faults, major_page_faults;           /* of the cgroup itself */
    uint64_t tree_page_faults, tree_major_page_faults; /* with what is below it */
    /* As the kernel has them; UINT64_MAX for "max". More than CGROUP_LIMIT_MAX: none. */
    uint64_t limit_bytes, reservation_bytes;
    uint64_t swap_limit_bytes; /* v1: memory and swap together; v2: swap alone */
};

/** One line "some" or "full": averages in percent, the total in microseconds. */
struct cgroup_pressure_line {
    double avg10, avg60, avg300;
    uint64_t total_us;
};
struct cgroup_pressure {
    struct cgroup_pressure_line some, full;
};

/** What the kernel counts per device: v1 tells all of them, v2 READ and WRITE. */
enum cgroup_io_kind {
    CGROUP_IO_READ,
    CGROUP_IO_WRITE,
    CGROUP_IO_SYNC,
    CGROUP_IO_ASYNC,
    CGROUP_IO_DISCARD,
    CGROUP_IO_TOTAL,
};
#define CGROUP_IO_KIND_COUNT (CGROUP_IO_TOTAL + 1)
/** "Read", "Write", …: as v1 writes them. */
const char *cgroup_io_kind_name(enum cgroup_io_kind kind);

/** io.cost of v2, in microseconds. */
enum cgroup_io_cost {
    CGROUP_COST_USAGE,
    CGROUP_COST_WAIT,
    CGROUP_COST_INDEBT,
    CGROUP_COST_INDELAY
};
#define CGROUP_IO_COST_COUNT (CGROUP_COST_INDELAY + 1)

/** What one block device did for the cgroup and everything below it. */
struct cgroup_io_device {
    uint64_t major, minor;
    unsigned has_bytes, has_operations; /* bits 1 << enum cgroup_io_kind */
    uint64_t bytes[CGROUP_IO_KIND_COUNT], operations[CGROUP_IO_KIND_COUNT];
    unsigned has_cost; /* bits 1 << enum cgroup_io_cost */
    uint64_t cost_us[CGROUP_IO_COST_COUNT];
};

struct cgroup_figures {
    uint64_t inode;     /* of its directory: another cgroup of the same name has another */
    int64_t created_ns; /* wall clock; 0: unknown, or not asked for */
    bool has_cpu, has_memory, has_io, has_pids, has_pressure, has_processes, has_open_files;
    struct cgroup_cpu_figures cpu;
    struct cgroup_memory_figures memory;
    size_t n_io_devices;
    const struct cgroup_io_device *io_devices; /* in the kernel's order; in the caller's arena */
    uint64_t tasks;                            /* pids.current */
    uint64_t tasks_max;                        /* 0: no limit */
    struct cgroup_pressure cpu_pressure, memory_pressure, io_pressure; /* v2 */
    uint64_t processes;                                                /* of this cgroup alone */
    int64_t first_pid;             /* of them; 0: there is none */
    uint64_t descriptors, sockets; /* has_open_files: only when asked for */
    bool has_ulimit;               /* a process was there to be asked */
    int64_t open_files_limit;      /* soft; -1: none */
};
