/*
 * Pods leave a node with NoExecute taints they do not tolerate, or tolerate no longer. When each
 * has to go follows from the taints' timeAdded, the pods and the clock alone (plane/taints.h), so a
 * restart forgets no appointment; a taint that goes in time takes the reason with it.
 */
#include "plane/controllers_internal.h"

#include "plane/pod_condition.h"
#include "plane/taints.h"

#define CONTROLLER "taint-eviction-controller"

static bool drives_away(const Core__Node *node)
{
    for (size_t i = 0; node && node->spec && i < node->spec->n_taints; i++) {
        if (text_eq(node->spec->taints[i]->effect, "NoExecute"))
            return true;
    }
    return false;
}

static void enqueue_node(struct controllers *controllers, const char *name)
{
    const struct store_key key = {.resource = "nodes", .namespace_ = "", .name = name};
    ctl_enqueue(controllers, &concern_evictions, &key);
}

static bool same_tolerations(const Core__PodSpec *a, const Core__PodSpec *b)
{
    bool is_same = a->n_tolerations == b->n_tolerations;
    for (size_t i = 0; is_same && i < a->n_tolerations; i++)
        is_same = kube_message_eq(&a->tolerations[i]->base, &b->tolerations[i]->base);
    return is_same;
}

/* A pod that has come to its node, or tolerates other things than before. */
static bool pod_is_news(const Core__Pod *pod, const Core__Pod *before)
{
    if (!pod || !pod->spec || !pod->spec->node_name || !*pod->spec->node_name)
        return false;
    return !before || !before->spec || !text_eq(before->spec->node_name, pod->spec->node_name) ||
           !same_tolerations(before->spec, pod->spec);
}

static void on_change(struct controllers *controllers, struct ctl_change *change)
{
    if (change->row->type == STORE_DELETED)
        return;
    if (ctl_is_about(change, "nodes") && drives_away((const Core__Node *)ctl_object(change)))
        enqueue_node(controllers, change->row->key.name);
    const Core__Pod *pod =
        ctl_is_about(change, "pods") ? (const Core__Pod *)ctl_object(change) : NULL;
    if (pod && pod_is_news(pod, (const Core__Pod *)ctl_before(change)))
        enqueue_node(controllers, pod->spec->node_name);
}

/* --- a node --- */

struct eviction {
    struct ctl_run *run;
    const Core__Node *node;
    int64_t next_ns; /* wall; INT64_MAX: none */
};

static Meta__Status *evict(const struct ctl_run *run, Core__Pod *pod)
{
    static const struct pod_condition disruption = {
        .type = "DisruptionTarget",
        .status = "True",
        .reason = "DeletionByTaintManager",
        .message = "Taint manager: deleting due to NoExecute taint"};
    struct arena *arena = run->env->arena;
    const Meta__ObjectMeta *meta = pod->metadata;
    const struct ctl_event event = {.controller = CONTROLLER,
                                    .type = "Normal",
                                    .reason = "TaintManagerEviction",
                                    .message = arena_printf(arena, "Marking for deletion Pod %s/%s",
                                                            meta->namespace_, meta->name)};
    ctl_tell(run, "Pod", &pod->base, &event);
    Meta__Status *failure = NULL;
    if (pod_set_condition(pod, &disruption, run->env->now_wall_ns, arena))
        failure = ctl_update(run, "pods", "status", &pod->base);
    return failure
               ? failure
               : ctl_delete(run, resource_find("", "v1", "pods"), meta->namespace_, meta->name, -1);
}

static Meta__Status *look_at_pod(void *ctx, ProtobufCMessage *object)
{
    struct eviction *eviction = ctx;
    Core__Pod *pod = (Core__Pod *)object;
    int64_t due_ns = taint_eviction_ns(eviction->node, pod);
    if (pod->metadata->deletion_timestamp || due_ns == INT64_MAX)
        return NULL;
    if (due_ns <= eviction->run->env->now_wall_ns)
        return evict(eviction->run, pod);
    eviction->next_ns = min_i64(eviction->next_ns, due_ns);
    return NULL;
}

static Meta__Status *reconcile(struct ctl_run *run, const struct store_key *key)
{
    ProtobufCMessage *object = NULL;
    Meta__Status *failure = ctl_read(run, "", "nodes", NULL, key->name, &object);
    struct eviction eviction = {
        .run = run, .node = (const Core__Node *)object, .next_ns = INT64_MAX};
    if (failure || !drives_away(eviction.node))
        return failure;
    failure = ctl_each_pod_on(run, key->name, look_at_pod, &eviction);
    if (!failure && eviction.next_ns < INT64_MAX)
        run->again_after_ns = sat_sub_i64(eviction.next_ns, run->env->now_wall_ns);
    return failure;
}

const struct concern concern_evictions = {
    .name = "evictions", .on_change = on_change, .reconcile = reconcile};
