/*
 * Takes the records of the node's cgroups when somebody asks, and only then: no housekeeping, no
 * inotify. What there is to read comes from the pods (their sandboxes and containers as observed)
 * and the cgroup tree; reading happens on the worker pool. A snapshot serves whoever asks within a
 * second; those who ask while a pass is under way share it. Between passes only what rates need is
 * kept: one CPU total per cgroup, forgotten when the cgroup is gone. Loop thread.
 */
#pragma once

#include "cgroup/cgroup.h"
#include "loop/work.h"
#include "pod/pods.h"
#include "stats/records.h"

struct stats_collector; /* opaque: one per node */
struct stats_ask;       /* opaque: somebody who waits */

/** How long a snapshot is as good as a new one. */
#define STATS_MAX_AGE_NS NS_PER_SEC

struct oom_log; /* stats/oom_log.h */

/** All borrowed and outliving the collector but the cgroup names, which are copied. */
struct stats_collector_options {
    struct loop *loop;
    struct work_pool *pool;
    const struct pods *pods;
    struct pod_runtime *runtime; /* asked once per sandbox for its image; NULL: those stay blank */
    const struct cgroup_tree *cgroups;
    /* kubeletCgroups, runtimeCgroups, systemCgroups; NULL or "": not configured. */
    const char *kubelet_cgroup, *runtime_cgroup, *system_cgroup;
    const struct oom_log *ooms; /* NULL: OOM kills are not counted */
    /* The machine's identities and versions; cores, sockets, memory and swap are read. */
    struct stats_machine machine;
    const char *proc_root; /* "/proc"; tests pass a folder */
    const char *sys_root;  /* "/sys" */
};

struct stats_collector *stats_collector_new(const struct stats_collector_options *options);
/** Silence for everybody who waits. Snapshots that others hold stay. NULL is fine. */
void stats_collector_free(struct stats_collector *collector);
DEFINE_AUTO(stats_collector, struct stats_collector *, stats_collector_free)

/**
 * @records (borrowed until this returns: take a reference to keep them) or @err_owned: UNAVAILABLE
 * when the root cgroup cannot be read. Exactly once, on the loop, never from inside
 * stats_collect_start().
 */
typedef void stats_on_records(void *ctx, const struct stats_records *records,
                              struct error *err_owned);

/** Asks for records that are at most STATS_MAX_AGE_NS old. The handle is valid until @on_done. */
struct stats_ask *stats_collect_start(struct stats_collector *collector, stats_on_records *on_done,
                                      void *ctx);
/** Silence: @on_done will not run. NULL is fine. */
void stats_collect_cancel(struct stats_ask *ask);
