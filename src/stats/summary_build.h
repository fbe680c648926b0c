/*
 * Makes a summary (spec server.md §4.2-§4.7, the shape of upstream's CRI provider) from what was
 * gathered: what the runtime lists, the records of the cgroups, answers about the disk, figures of
 * volumes. Pure, but for the arena. Any thread.
 */
#pragma once

#include "base/arena.h"
#include "stats/records.h"
#include "stats/summary.h"
#include "stats/summary_disk.h"
#include "stats/summary_listing.h"
#include "stats/volume_stats.h"

struct summary_paths {
    const char *root_dir;     /* "/var/lib/kubelet" */
    const char *pod_logs_dir; /* "/var/log/pods" */
    const char *proc_root;    /* "/proc" */
};

/** The questions that a full summary of @listing has about the disk; the caller frees them. */
struct summary_disk *summary_build_questions(const struct summary_listing *listing,
                                             const struct summary_paths *paths);

/** All borrowed: the summary refers to the listing, the volumes and to nothing else. */
struct summary_parts {
    const char *node_name;
    int64_t now_ns; /* wall */
    const struct summary_listing *listing;
    const struct stats_records *records;
    /* The answers to summary_build_questions(); NULL makes a summary of SUMMARY_CPU_AND_MEMORY. */
    const struct summary_disk *disk;
    /* One for each pod of the listing, or NULL as long as it has none; NULL without @disk. */
    const struct volume_stats_pod *const *volumes;
};

/**
 * The summary, in @arena. Errors with upstream's texts, since a client sees them: the root cgroup
 * has no record, the runtime knows no image file system, or the root directory's file system or the
 * kernel's limits could not be read.
 */
MUST_CHECK struct error *summary_build(const struct summary_parts *parts, struct arena *arena,
                                       const struct summary **ret);
