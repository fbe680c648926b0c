/*
 * Nodes: one that has not renewed its lease for the grace period is Unknown in all its conditions.
 * Its pods stay: there is no other node to take them.
 */
#include "plane/controllers_internal.h"

#include "coordination.pb-c.h"
#include "core.pb-c.h"

#define LEASE_NAMESPACE "kube-node-lease"
/* So that a node's lease, its status and what follows from both cost one look. */
#define SETTLING_NS (1 * NS_PER_SEC)

static void on_change(struct controllers *controllers, const struct store_change *change)
{
    bool is_lease = strcmp(change->key.resource, "leases.coordination.k8s.io") == 0 &&
                    strcmp(change->key.namespace_, LEASE_NAMESPACE) == 0;
    bool is_node = strcmp(change->key.resource, "nodes") == 0;
    if (change->type == STORE_DELETED || (!is_lease && !is_node))
        return;
    const struct store_key key = {.resource = "nodes", .namespace_ = "", .name = change->key.name};
    ctl_enqueue_after(controllers, &concern_nodes, &key, SETTLING_NS);
}

/* --- a node that is silent --- */

static bool make_unknown(Core__NodeCondition *condition, Meta__Time *now, struct arena *arena)
{
    static const char *const judged[] = {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"};
    bool is_judged = false;
    for (size_t i = 0; i < ARRAY_SIZE(judged); i++)
        is_judged = is_judged || text_eq(condition->type, judged[i]);
    if (!is_judged || text_eq(condition->status, "Unknown"))
        return false;
    condition->status = arena_strdup(arena, "Unknown");
    condition->reason = arena_strdup(arena, "NodeStatusUnknown");
    condition->message = arena_strdup(arena, "Kubelet stopped posting node status.");
    condition->last_transition_time = now;
    return true;
}

static Meta__Status *mark_silent(const struct ctl_run *run, Core__Node *node)
{
    struct arena *arena = run->env->arena;
    Meta__Time *now = object_time(run->env->now_wall_ns, arena);
    bool has_changed = false;
    for (size_t i = 0; node->status && i < node->status->n_conditions; i++)
        has_changed = make_unknown(node->status->conditions[i], now, arena) || has_changed;
    if (!has_changed)
        return NULL;
    return rest_update(run->env, run->user, resource_find("", "v1", "nodes"), "status", &node->base,
                       NULL);
}

static Meta__Status *judge(struct ctl_run *run, Core__Node *node)
{
    ProtobufCMessage *object = NULL;
    Meta__Status *failure = ctl_read(run, "coordination.k8s.io", "leases", LEASE_NAMESPACE,
                                     node->metadata->name, &object);
    const Coordination__Lease *lease = (const Coordination__Lease *)object;
    if (failure || !lease || !lease->spec || !lease->spec->renew_time)
        return failure; /* it has never been heard of by lease: nothing to judge by */
    const Meta__MicroTime *renewed = lease->spec->renew_time;
    int64_t renewed_ns = sat_add_i64(sat_mul_i64(renewed->seconds, NS_PER_SEC), renewed->nanos);
    int64_t silent_ns = sat_sub_i64(run->env->now_wall_ns, renewed_ns);
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
