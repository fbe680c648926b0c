/*
 * A node's taints follow from its conditions: pods that are to be placed keep away from a node that
 * is not well, and, where there are others that are, pods on it leave in time (plane/taints.h).
 * All nodes are looked at together, since what one's condition means depends on the others.
 */
#include "plane/controllers_internal.h"

#include "plane/taints.h"

static const char *status_of(const Core__Node *node, const char *type)
{
    for (size_t i = 0; node->status && i < node->status->n_conditions; i++) {
        if (text_eq(node->status->conditions[i]->type, type))
            return node->status->conditions[i]->status ? node->status->conditions[i]->status : "";
    }
    return "";
}

/* Heartbeats come often and change nothing here. */
static bool is_news(struct ctl_change *change)
{
    static const char *const types[] = {"Ready", "MemoryPressure", "DiskPressure",
                                        "NetworkUnavailable", "PIDPressure"};
    const Core__Node *before = (const Core__Node *)ctl_before(change);
    const Core__Node *after = (const Core__Node *)ctl_object(change);
    if (change->row->type != STORE_UPDATED || !before || !after || !before->spec || !after->spec)
        return true;
    bool is_same = kube_message_eq(&before->spec->base, &after->spec->base);
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        is_same = is_same && text_eq(status_of(before, types[i]), status_of(after, types[i]));
    return !is_same;
}

static void on_change(struct controllers *controllers, struct ctl_change *change)
{
    static const struct store_key key = {.resource = "nodes", .namespace_ = "", .name = ""};
    if (ctl_is_about(change, "nodes") && is_news(change))
        ctl_enqueue(controllers, &concern_taints, &key);
}

struct survey {
    const struct ctl_run *run;
    size_t ready;
};

static Meta__Status *count_ready(void *ctx, ProtobufCMessage *object)
{
    struct survey *survey = ctx;
    survey->ready += node_is_ready((const Core__Node *)object);
    return NULL;
}

static Meta__Status *taint_node(void *ctx, ProtobufCMessage *object)
{
    const struct survey *survey = ctx;
    const struct taint_env env = {.now_wall_ns = survey->run->env->now_wall_ns,
                                  .is_disrupted = survey->ready == 0};
    if (!taint_by_conditions((Core__Node *)object, &env, survey->run->env->arena))
        return NULL;
    return ctl_update(survey->run, "nodes", NULL, object);
}

static Meta__Status *reconcile(struct ctl_run *run, const struct store_key *key)
{
    const struct resource *nodes = resource_find("", "v1", "nodes");
    struct survey survey = {.run = run};
    (void)key;
    Meta__Status *failure = rest_each_object(run->env, nodes, NULL, count_ready, &survey);
    return failure ? failure : rest_each_object(run->env, nodes, NULL, taint_node, &survey);
}

const struct concern concern_taints = {
    .name = "taints", .on_change = on_change, .reconcile = reconcile};
