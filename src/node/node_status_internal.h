/*
 * What the files that make the Node object share. They work on a branch of an object: its own
 * structs are theirs to alter, everything below is shared with the object it was made of, so lists
 * are replaced and never written to. What leaves is a copy in one piece. Any thread.
 */
#pragma once

#include "node/node_status.h"

#define NODE_CONDITION_READY "Ready"

/** protobuf-c has no const: for texts in messages that are copied before anyone could write. */
static inline char *node_text(const char *text)
{
    return (char *)(uintptr_t)text;
}

/** @node with metadata, spec and status of its own, made when they are missing. */
Core__Node *node_branch(const Core__Node *node, struct arena *arena);
/** The object in one piece that borrows nothing. */
Core__Node *node_object_copy(const Core__Node *node, struct arena *arena);

/** All that is computed anew of a branch: status and the address annotation. Not the labels. */
void node_status_fill(const struct node_status_input *input, Core__Node *branch,
                      struct arena *arena);

/** status.nodeInfo (spec node.md §5.3). */
void node_info_update(const struct node_status_input *input, Core__NodeStatus *status,
                      struct arena *arena);
/** nodeInfo.containerRuntimeVersion: "containerd://2.1.9". @version may be NULL: unknown. */
const char *node_runtime_version(const char *name, const char *version, struct arena *arena);

/** Capacity and allocatable (§5.4). */
void node_capacity_update(const struct node_status_input *input, Core__NodeStatus *status,
                          struct arena *arena);
/** Both as they should be on a node that is there already (§4.3): @initial is what it would be
 * registered with. */
void node_capacity_reconcile(const Core__NodeStatus *initial, Core__NodeStatus *status,
                             struct arena *arena);

/** The four conditions of a node agent (§5.5). Reads the capacity, so it comes after it. */
void node_conditions_update(const struct node_status_input *input, Core__NodeStatus *status,
                            struct arena *arena);
