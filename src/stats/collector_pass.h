/*
 * One pass over the cgroups, on a worker: everything it needs was copied into its arena, which
 * becomes the snapshot's. What the pass before remembered is lent to it and handed back.
 */
#pragma once

#include "cgroup/cgroup_reader.h"
#include "stats/host_read.h"
#include "stats/kept_samples.h"

#define STATS_MAX_PATHS 3 /* of a pod whose tier is not known */

/** A sandbox or container that is looked for below its pod's cgroup. Texts are never NULL. */
struct stats_member {
    bool is_sandbox;
    const char *id, *container, *image;
    uint32_t attempt;
};

/** A cgroup to be read. Texts are never NULL. */
struct stats_target {
    enum stats_kind kind; /* ROOT, SLICE or POD */
    unsigned roles;
    size_t n_paths;
    const char *paths[STATS_MAX_PATHS]; /* the first that is there */
    const char *pod_uid, *pod, *namespace;
    size_t n_members;
    const struct stats_member *members;
};

struct stats_pass {
    struct arena *arena; /* owned, until stats_pass_take() */
    struct cgroup_layout layout;
    const char *proc_root, *sys_root;
    size_t n_targets;
    const struct stats_target *targets; /* the root is one of them */
    struct stats_kept *kept;            /* owned for the pass */
    struct stats_topology topology;     /* cores 0: to be read */
    struct stats_records content;       /* taken_ns and the machine's texts are set by the asker */

    struct stats_record *items; /* content.count of them */
    struct error *err;          /* owned; UNAVAILABLE: there is no root */
};

void stats_pass_run_blocking(struct stats_pass *pass);
/** Frees what the pass still owns. */
void stats_pass_free(struct stats_pass *pass); /* NULL is fine */
