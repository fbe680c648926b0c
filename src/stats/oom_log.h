/*
 * Counts the kernel's OOM kills by cgroup, from its log: a line is read when the kernel writes it,
 * and nothing runs otherwise. What was in the log before the start is not counted. Loop thread.
 */
#pragma once

#include "loop/loop.h"

struct oom_log; /* opaque */

/** Cgroups remembered; the one whose last kill is the longest ago makes room for the next. */
#define OOM_MAX_CGROUPS 512

/**
 * Opens @path ("/dev/kmsg"; tests pass a FIFO). UNAVAILABLE with the reason when it cannot be
 * watched: kills are not counted then, which the caller tells once.
 */
MUST_CHECK struct error *oom_log_new(struct loop *loop, const char *path, struct oom_log **ret);
void oom_log_free(struct oom_log *log); /* NULL is fine */
DEFINE_AUTO(oom_log, struct oom_log *, oom_log_free)

/** Kills of processes in cgroup @path itself since the start. */
uint64_t oom_log_count(const struct oom_log *log, const char *path);
