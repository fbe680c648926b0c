/*
 * Whether a pod fits on a node: kube-scheduler's filters that depend on the node and the pods on
 * it, with its words. What of the cluster a single node has none of (volumes' places, pod affinity,
 * topology) is not judged. Pure. Any thread.
 */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

/** A node and what the pods on it use. Lives in the arena given. */
struct node_room;

/** Copies what it needs of @node. */
struct node_room *node_room_new(const Core__Node *node, struct arena *arena);
const char *node_room_name(const struct node_room *room);
/** Counts a pod that is on the node; one that has finished uses nothing. Copies what it needs. */
void node_room_add(struct node_room *room, const Core__Pod *pod);

/** Why pods do not fit, counted: how many nodes gave which reason. */
struct fit_reasons {
    struct arena *arena;
    struct fit_reason {
        const char *text;
        size_t nodes;
    } * items;
    size_t count;
};

/** True when @pod fits; else the node's reasons are added. The first filter that says no is the
 * only one that speaks. */
bool node_room_fits(const struct node_room *room, const Core__Pod *pod,
                    struct fit_reasons *reasons);

/** "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable." */
char *fit_reasons_text(const struct fit_reasons *reasons, size_t node_count);
