/*
 * Pods that have no node get one: the first that is there, schedulable and whose taints they
 * tolerate. What else a pod asks of a node is for the node's own admission to judge: there is
 * nowhere else to go. A pod that fits nowhere says so in its PodScheduled condition, and is looked
 * at again when a node changes.
 */
#include "plane/controllers_internal.h"

#include "plane/rest_internal.h"

#include "core.pb-c.h"

#define DEFAULT_SCHEDULER "default-scheduler"

static bool is_pending(const Core__Pod *pod)
{
    const Core__PodSpec *spec = pod->spec;
    if (!spec || pod->metadata->deletion_timestamp || (spec->node_name && *spec->node_name) ||
        spec->n_scheduling_gates > 0)
        return false;
    return !spec->scheduler_name || strcmp(spec->scheduler_name, DEFAULT_SCHEDULER) == 0;
}

/* Statuses come often and change nothing here. */
static bool node_is_news(const struct store_change *change, struct arena *arena)
{
    if (change->type != STORE_UPDATED)
        return change->type == STORE_CREATED;
    const Core__Node *before = (const Core__Node *)ctl_decode(change, change->before, arena);
    const Core__Node *after = (const Core__Node *)ctl_decode(change, change->bytes, arena);
    if (!before || !after || !before->spec != !after->spec)
        return true;
    return after->spec && !kube_message_eq(&before->spec->base, &after->spec->base);
}

static void on_change(struct controllers *controllers, const struct store_change *change)
{
    bool is_pod = strcmp(change->key.resource, "pods") == 0;
    bool is_node = strcmp(change->key.resource, "nodes") == 0;
    if (change->type == STORE_DELETED || (!is_pod && !is_node))
        return;
    AUTO(arena) struct arena *scratch = arena_new(16 * KiB);
    if (is_node) {
        if (node_is_news(change, scratch))
            ctl_enqueue(controllers, &concern_scheduling, &change->key);
        return;
    }
    const Core__Pod *pod = (const Core__Pod *)ctl_decode(change, change->bytes, scratch);
    if (pod && is_pending(pod))
        ctl_enqueue(controllers, &concern_scheduling, &change->key);
}

/* --- which node --- */

static bool tolerates(const Core__PodSpec *spec, const Core__Taint *taint)
{
    for (size_t i = 0; i < spec->n_tolerations; i++) {
        const Core__Toleration *toleration = spec->tolerations[i];
        bool has_key = toleration->key && *toleration->key;
        bool exists = text_eq(toleration->operator_, "Exists");
        if (toleration->effect && *toleration->effect &&
            !text_eq(toleration->effect, taint->effect))
            continue;
        if (!has_key ? exists : text_eq(toleration->key, taint->key)) {
            const char *have = taint->value ? taint->value : "";
            const char *want = toleration->value ? toleration->value : "";
            if (exists || strcmp(have, want) == 0)
                return true;
        }
    }
    return false;
}

struct search {
    const struct ctl_run *run;
    const Core__Pod *pod;
    const char *node; /* NULL until one fits */
    size_t node_count;
    size_t unschedulable;
    size_t tainted;
    const char *taint; /* an example, "{key: value}" */
};

static const Core__Taint *repelling_taint(const Core__Node *node, const Core__PodSpec *spec)
{
    for (size_t i = 0; node->spec && i < node->spec->n_taints; i++) {
        const Core__Taint *taint = node->spec->taints[i];
        bool repels = text_eq(taint->effect, "NoSchedule") || text_eq(taint->effect, "NoExecute");
        if (repels && !tolerates(spec, taint))
            return taint;
    }
    return NULL;
}

static Meta__Status *try_node(void *ctx, ProtobufCMessage *object)
{
    struct search *search = ctx;
    const Core__Node *node = (const Core__Node *)object;
    search->node_count++;
    if (search->node || node->metadata->deletion_timestamp)
        return NULL;
    const Core__Taint *taint = repelling_taint(node, search->pod->spec);
    if (node->spec && node->spec->unschedulable) {
        search->unschedulable++;
    } else if (taint) {
        search->tainted++;
        search->taint = arena_printf(search->run->env->arena, "{%s: %s}", taint->key,
                                     taint->value ? taint->value : "");
    } else {
        search->node = arena_strdup(search->run->env->arena, node->metadata->name);
    }
    return NULL;
}

/* --- what becomes of the pod --- */

static Meta__Status *bind_pod(const struct ctl_run *run, const Core__Pod *pod, const char *node)
{
    struct arena *arena = run->env->arena;
    const struct resource *pods = resource_find("", "v1", "pods");
    const struct subresource *binding = resource_subresource(pods, "binding");
    const struct rest_write write = {.env = run->env,
                                     .user = run->user,
                                     .resource = pods,
                                     .subresource = "binding",
                                     .manager = "nodeplane"};
    const struct strategy_context context = rest_context(&write);
    Core__Binding *body = (Core__Binding *)kube_message_new(&core__binding__descriptor, arena);
    ctl_name(&body->base, pod->metadata->namespace_, pod->metadata->name, arena);
    body->target =
        (Core__ObjectReference *)kube_message_new(&core__object_reference__descriptor, arena);
    body->target->kind = arena_strdup(arena, "Node");
    body->target->name = arena_strdup(arena, node);
    ProtobufCMessage *answer = NULL;
    const struct kube_kind *answer_kind = NULL;
    return binding->create(&context, pod->metadata->namespace_, pod->metadata->name, &body->base,
                           &answer, &answer_kind);
}

/* As kube-scheduler says it. */
static char *why_not(const struct search *search)
{
    struct arena *arena = search->run->env->arena;
    if (search->node_count == 0)
        return arena_strdup(arena, "no nodes available to schedule pods");
    const char *tainted =
        search->tainted == 0
            ? ""
            : arena_printf(arena, "%s%zu node(s) had untolerated taint %s",
                           search->unschedulable > 0 ? ", " : "", search->tainted, search->taint);
    const char *unschedulable =
        search->unschedulable == 0
            ? ""
            : arena_printf(arena, "%zu node(s) were unschedulable", search->unschedulable);
    return arena_printf(arena, "0/%zu nodes are available: %s%s.", search->node_count,
                        unschedulable, tainted);
}

static Core__PodCondition *scheduled_condition(Core__Pod *pod, struct arena *arena)
{
    if (!pod->status)
        pod->status = (Core__PodStatus *)kube_message_new(&core__pod_status__descriptor, arena);
    Core__PodStatus *status = pod->status;
    for (size_t i = 0; i < status->n_conditions; i++) {
        if (text_eq(status->conditions[i]->type, "PodScheduled"))
            return status->conditions[i];
    }
    Core__PodCondition **conditions =
        arena_alloc(arena, (status->n_conditions + 1) * sizeof(void *));
    for (size_t i = 0; i < status->n_conditions; i++)
        conditions[i] = status->conditions[i];
    Core__PodCondition *condition =
        (Core__PodCondition *)kube_message_new(&core__pod_condition__descriptor, arena);
    condition->type = arena_strdup(arena, "PodScheduled");
    conditions[status->n_conditions++] = condition;
    status->conditions = conditions;
    return condition;
}

static Meta__Status *say_unschedulable(const struct ctl_run *run, Core__Pod *pod, char *message)
{
    struct arena *arena = run->env->arena;
    Core__PodCondition *condition = scheduled_condition(pod, arena);
    if (text_eq(condition->status, "False") && text_eq(condition->message, message))
        return NULL;
    if (!text_eq(condition->status, "False"))
        condition->last_transition_time = object_time(run->env->now_wall_ns, arena);
    condition->status = arena_strdup(arena, "False");
    condition->reason = arena_strdup(arena, "Unschedulable");
    condition->message = message;
    return rest_update(run->env, run->user, resource_find("", "v1", "pods"), "status", &pod->base,
                       NULL);
}

static Meta__Status *reconcile_pod(const struct ctl_run *run, const struct store_key *key)
{
    ProtobufCMessage *object = NULL;
    Meta__Status *failure = ctl_read(run, "", "pods", key->namespace_, key->name, &object);
    Core__Pod *pod = (Core__Pod *)object;
    if (failure || !pod || !is_pending(pod))
        return failure;
    struct search search = {.run = run, .pod = pod};
    failure = rest_each_object(run->env, resource_find("", "v1", "nodes"), NULL, try_node, &search);
    if (failure)
        return failure;
    return search.node ? bind_pod(run, pod, search.node)
                       : say_unschedulable(run, pod, why_not(&search));
}

static Meta__Status *enqueue_pending(void *ctx, ProtobufCMessage *object)
{
    const struct ctl_run *run = ctx;
    const Core__Pod *pod = (const Core__Pod *)object;
    const struct store_key key = {
        .resource = "pods", .namespace_ = pod->metadata->namespace_, .name = pod->metadata->name};
    if (is_pending(pod))
        ctl_enqueue(run->controllers, &concern_scheduling, &key);
    return NULL;
}

static Meta__Status *reconcile(struct ctl_run *run, const struct store_key *key)
{
    if (strcmp(key->resource, "pods") == 0)
        return reconcile_pod(run, key);
    return rest_each_object(run->env, resource_find("", "v1", "pods"), NULL, enqueue_pending, run);
}

const struct concern concern_scheduling = {
    .name = "scheduling", .on_change = on_change, .reconcile = reconcile};
