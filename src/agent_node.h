/*
 * What the rooms say about this node, gathered: for its Node object, and for admission. Belongs to
 * agent.c. Loop thread.
 */
#pragma once

#include "node/csi_node.h"
#include "node/image_list.h"
#include "node/node_keeper.h"
#include "pod/pods.h"

/** Filled by agent.c; everything borrowed but the last two members. */
struct agent_node {
    const struct config *config;
    const struct node_facts *facts;
    const struct node_machine *machine;
    const char *runtime_name, *runtime_version;
    bool is_limited;           /* kubepods has the limits of enforceNodeAllocatable: pods */
    const char *limit_failure; /* why it has not, though it should; NULL */
    const struct pods *pods;   /* once they are there */
    /* In a cluster; else NULL. */
    struct image_list *images;
    struct csi_node *csi;
    struct node_keeper *keeper;

    const char *not_ready[PODS_MAX_NOT_READY + 1]; /* the texts that agent_node_fill() lends */
    struct pods_gate gate;                         /* agent_node_init() sets it */
    struct arena *made_arena; /* of the node made up when there is no cluster; owned */
};

/** Makes the gate usable. */
void agent_node_init(struct agent_node *node);
void agent_node_done(struct agent_node *node);
/** Has the form of node_keeper_options.fill: @ctx is a struct agent_node. */
void agent_node_fill(void *ctx, struct node_status_input *input);
