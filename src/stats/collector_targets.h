/*
 * What a pass is to read: the root, the slices the agent knows, and the pods' cgroups with what the
 * runtime was seen to hold of them. Copied out of the rooms into the pass's arena. Loop thread.
 */
#pragma once

#include "pod/pods.h"
#include "stats/collector_pass.h"

/** Configured cgroups by role; NULL or "": not configured. PODS is the tree's own. */
struct stats_slices {
    const char *paths[STATS_ROLE_COUNT];
};

/**
 * Sets pass->targets. @image says what sandbox @id was made from (borrowed, never NULL), and so
 * learns which sandboxes there are.
 */
void stats_targets_gather(struct stats_pass *pass, const struct pods *pods,
                          const struct cgroup_tree *cgroups, const struct stats_slices *slices,
                          const char *(*image)(void *ctx, const char *id), void *ctx);
