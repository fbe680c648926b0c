/*
 * Taints: who tolerates which, which a node has because of its conditions, and when they drive a
 * pod away. The rules of kube-controller-manager's node-lifecycle and taint-eviction controllers.
 * Pure. Any thread.
 */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

#define TAINT_NOT_READY "node.kubernetes.io/not-ready"
#define TAINT_UNREACHABLE "node.kubernetes.io/unreachable"
#define TAINT_UNSCHEDULABLE "node.kubernetes.io/unschedulable"

/** The first taint that keeps @spec off a node (NoSchedule, NoExecute); NULL: none. */
const Core__Taint *taint_in_the_way(const Core__NodeSpec *node, const Core__PodSpec *spec);
/** True when the spec tolerates node.kubernetes.io/unschedulable: a cordon means others. */
bool pod_tolerates_cordon(const Core__PodSpec *spec);

/** What a new node has until somebody has seen that it is ready: not-ready:NoSchedule. */
void taint_new_node(Core__Node *node, struct arena *arena);

/** True when the node's condition Ready is True. */
bool node_is_ready(const Core__Node *node);

struct taint_env {
    int64_t now_wall_ns;
    /* Not one node is ready: whoever judges them may be the one who is ill, and pods would have
     * nowhere else to go. Nobody is driven away then (upstream's master disruption mode). */
    bool is_disrupted;
};
/**
 * Puts in order the taints that follow from conditions and spec.unschedulable, and notes when a
 * NoExecute taint was first seen (timeAdded), from which tolerationSeconds count. Others' taints
 * stay. True when something changed.
 */
bool taint_by_conditions(Core__Node *node, const struct taint_env *env, struct arena *arena);

/** The wall time at which the NoExecute taints drive @pod off @node; INT64_MAX: never. A taint
 * without timeAdded drives nobody away yet. */
int64_t taint_eviction_ns(const Core__Node *node, const Core__Pod *pod);
