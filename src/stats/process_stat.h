/*
 * What the kernel tells of this process. The readers block, but only on /proc. The parsers are
 * pure: what is malformed is "not there".
 */
#pragma once

#include "base/base.h"

/** Of /proc/<pid>/stat. */
struct process_stat {
    int64_t cpu_ticks; /* user and system */
    int64_t threads;
    int64_t start_ticks; /* since boot */
    int64_t virtual_bytes;
    int64_t resident_pages;
};
MUST_CHECK bool process_stat_parse(struct str text, struct process_stat *ret);
/** The line "btime 1795230413" of /proc/stat: when the machine was started, in wall seconds. */
MUST_CHECK bool process_boot_parse(struct str text, int64_t *ret_wall_s);
/** The bytes in and out of IpExt in /proc/net/netstat, all of the network namespace's. */
MUST_CHECK bool process_traffic_parse(struct str text, int64_t *ret_in, int64_t *ret_out);

MUST_CHECK bool process_stat_read(struct process_stat *ret);
MUST_CHECK bool process_traffic_read(int64_t *ret_in, int64_t *ret_out);
/** Descriptors this process has open; -1 when that cannot be told. */
int64_t process_open_fds(void);
/** When this process was started, counted from the machine's start (mono); 0 when that cannot be
 * told. */
int64_t process_start_mono_ns(void);
/** When this process was started, in wall seconds, as `Process-Start-Time-Unix` and
 * process_start_time_seconds have it; 0 when that cannot be told. */
double process_start_seconds(void);
