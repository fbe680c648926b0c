/*
 * Nodes: one that has not been heard of for the grace period, neither by its lease nor by its
 * status, is Unknown in all its conditions, and its pods are not ready. What follows from that
 * (taints, evictions) is the business of plane/ctl_taints.c.
 */
#include "plane/controllers_internal.h"

#include "plane/taints.h"

#include "coordination.pb-c.h"

#define LEASE_NAMESPACE "kube-node-lease"
#define CONTROLLER "node-controller"
/* So that a node's lease, its status and what follows from both cost one look. */
#define SETTLING_NS (1 * NS_PER_SEC)

static void on_change(struct controllers *controllers, struct ctl_change *change)
{
    const struct store_key *changed = &change->row->key;
    bool is_lease = ctl_is_about(change, "leases.coordination.k8s.io") &&
                    strcmp(changed->namespace_, LEASE_NAMESPACE) == 0;
    if (change->row->type == STORE_DELETED || (!is_lease && !ctl_is_about(change, "nodes")))
        return;
    const struct store_key key = {.resource = "nodes", .namespace_ = "", .name = changed->name};
    ctl_enqueue_after(controllers, &concern_nodes, &key, SETTLING_NS);
}

/* --- when it was heard of --- */

static const Core__NodeCondition *ready_condition(const Core__Node *node)
{
    for (size_t i = 0; node->status && i < node->status->n_conditions; i++) {
        if (text_eq(node->status->conditions[i]->type, "Ready"))
            return node->status->conditions[i];
    }
    return NULL;
}

/* 0: never. */
static Meta__Status *last_heard_ns(const struct ctl_run *run, const Core__Node *node, int64_t *ret)
{
    ProtobufCMessage *object = NULL;
    Meta__Status *failure = ctl_read(run, "coordination.k8s.io", "leases", LEASE_NAMESPACE,
                                     node->metadata->name, &object);
    const Coordination__Lease *lease = (const Coordination__Lease *)object;
    const Core__NodeCondition *ready = ready_condition(node);
    *ret = ready ? object_time_ns(ready->last_heartbeat_time) : 0;
    if (failure || !lease || !lease->spec || !lease->spec->renew_time)
        return failure;
    const Meta__MicroTime *renewed = lease->spec->renew_time;
    *ret = max_i64(*ret, sat_add_i64(sat_mul_i64(renewed->seconds, NS_PER_SEC), renewed->nanos));
    return NULL;
}

/* --- a node that is silent --- */

static Core__NodeCondition *find_or_add(Core__NodeStatus *status, const char *type,
                                        struct arena *arena)
{
    for (size_t i = 0; i < status->n_conditions; i++) {
        if (text_eq(status->conditions[i]->type, type))
            return status->conditions[i];
    }
    Core__NodeCondition **conditions =
        arena_alloc(arena, (status->n_conditions + 1) * sizeof(void *));
    for (size_t i = 0; i < status->n_conditions; i++)
        conditions[i] = status->conditions[i];
    Core__NodeCondition *condition =
        (Core__NodeCondition *)kube_message_new(&core__node_condition__descriptor, arena);
    condition->type = arena_strdup(arena, type);
    conditions[status->n_conditions++] = condition;
    status->conditions = conditions;
    return condition;
}

static bool make_unknown(Core__NodeCondition *condition, Meta__Time *now, struct arena *arena)
{
    if (text_eq(condition->status, "Unknown"))
        return false;
    bool was_posted = condition->status != NULL;
    condition->status = arena_strdup(arena, "Unknown");
    condition->reason =
        arena_strdup(arena, was_posted ? "NodeStatusUnknown" : "NodeStatusNeverUpdated");
    condition->message = arena_strdup(arena, was_posted ? "Kubelet stopped posting node status."
                                                        : "Kubelet never posted node status.");
    condition->last_transition_time = now;
    return true;
}

static Meta__Status *make_pod_unready(void *ctx, ProtobufCMessage *object)
{
    const struct ctl_run *run = ctx;
    Core__Pod *pod = (Core__Pod *)object;
    bool has_changed = false;
    for (size_t i = 0; pod->status && i < pod->status->n_conditions; i++) {
        Core__PodCondition *condition = pod->status->conditions[i];
        if (!text_eq(condition->type, "Ready") || !text_eq(condition->status, "True"))
            continue;
        condition->status = arena_strdup(run->env->arena, "False");
        condition->last_transition_time = object_time(run->env->now_wall_ns, run->env->arena);
        has_changed = true;
    }
    if (!has_changed)
        return NULL;
    const struct ctl_event event = {.controller = CONTROLLER,
                                    .type = "Warning",
                                    .reason = "NodeNotReady",
                                    .message = "Node is not ready"};
    ctl_tell(run, "Pod", &pod->base, &event);
    return ctl_update(run, "pods", "status", &pod->base);
}

static void tell_not_ready(const struct ctl_run *run, const Core__Node *node)
{
    const struct ctl_event event = {.controller = CONTROLLER,
                                    .type = "Normal",
                                    .reason = "NodeNotReady",
                                    .message = arena_printf(run->env->arena,
                                                            "Node %s status is now: NodeNotReady",
                                                            node->metadata->name)};
    ctl_tell(run, "Node", &node->base, &event);
}

static Meta__Status *mark_silent(const struct ctl_run *run, Core__Node *node)
{
    static const char *const judged[] = {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"};
    struct arena *arena = run->env->arena;
    Meta__Time *now = object_time(run->env->now_wall_ns, arena);
    bool was_ready = node_is_ready(node), has_changed = false;
    if (!node->status)
        node->status = (Core__NodeStatus *)kube_message_new(&core__node_status__descriptor, arena);
    for (size_t i = 0; i < ARRAY_SIZE(judged); i++)
        has_changed =
            make_unknown(find_or_add(node->status, judged[i], arena), now, arena) || has_changed;
    if (!has_changed)
        return NULL;
    Meta__Status *failure = ctl_update(run, "nodes", "status", &node->base);
    if (failure || !was_ready)
        return failure;
    tell_not_ready(run, node);
    struct ctl_run each = *run;
    return ctl_each_pod_on(run, node->metadata->name, make_pod_unready, &each);
}

static Meta__Status *judge(struct ctl_run *run, Core__Node *node)
{
    int64_t heard_ns = 0;
    Meta__Status *failure = last_heard_ns(run, node, &heard_ns);
    if (failure || heard_ns == 0)
        return failure; /* made by hand, and nobody speaks for it: nothing to judge by */
    int64_t silent_ns = sat_sub_i64(run->env->now_wall_ns, heard_ns);
    if (silent_ns >= run->options->node_grace_ns)
        return mark_silent(run, node);
    /* A lease from the future (a clock that was set back) is judged like one of now. */
    run->again_after_ns = run->options->node_grace_ns - max_i64(silent_ns, 0);
    return NULL;
}

static Meta__Status *reconcile(struct ctl_run *run, const struct store_key *key)
{
    ProtobufCMessage *object = NULL;
    Meta__Status *failure = ctl_read(run, "", "nodes", NULL, key->name, &object);
    return failure || !object ? failure : judge(run, (Core__Node *)object);
}

const struct concern concern_nodes = {
    .name = "nodes", .on_change = on_change, .reconcile = reconcile};
