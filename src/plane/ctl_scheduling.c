/*
 * Pods that have no node get one: the first whose filters (plane/node_fit.h) let them in. One pass
 * looks at all nodes, counts what the pods on them use, and places those that wait, important ones
 * first and then the oldest. Who fits nowhere says so in its PodScheduled condition and in an
 * event, and is tried again when a node changes or a pod leaves one, and after a while unasked.
 * Nobody is preempted.
 */
#include "plane/controllers_internal.h"

#include "plane/node_fit.h"
#include "plane/pod_condition.h"
#include "plane/rest_internal.h"

#include "base/log.h"

#define DEFAULT_SCHEDULER "default-scheduler"
/* Upstream's podMaxInUnschedulablePodsDuration: a wake that was missed costs this much. */
#define UNASKED_PERIOD_NS (300 * NS_PER_SEC)
/* A binding that went wrong; nothing is known that would mend it. */
#define FAULT_PERIOD_NS (10 * NS_PER_SEC)

static const struct store_key pass_key = {.resource = "pods", .namespace_ = "", .name = ""};

static bool is_pending(const Core__Pod *pod)
{
    const Core__PodSpec *spec = pod->spec;
    if (!spec || pod->metadata->deletion_timestamp || (spec->node_name && *spec->node_name) ||
        spec->n_scheduling_gates > 0)
        return false;
    return !spec->scheduler_name || strcmp(spec->scheduler_name, DEFAULT_SCHEDULER) == 0;
}

static bool is_using_node(const Core__Pod *pod)
{
    const char *phase = pod->status ? pod->status->phase : NULL;
    return pod->spec && pod->spec->node_name && *pod->spec->node_name &&
           !text_eq(phase, "Succeeded") && !text_eq(phase, "Failed");
}

/* --- what is news --- */

static bool same_labels(const Meta__ObjectMeta *a, const Meta__ObjectMeta *b)
{
    Meta__ObjectMeta left = META__OBJECT_META__INIT, right = META__OBJECT_META__INIT;
    left.labels = a->labels;
    left.n_labels = a->n_labels;
    right.labels = b->labels;
    right.n_labels = b->n_labels;
    return kube_message_eq(&left.base, &right.base);
}

static bool same_allocatable(const Core__NodeStatus *a, const Core__NodeStatus *b)
{
    Core__NodeStatus left = CORE__NODE_STATUS__INIT, right = CORE__NODE_STATUS__INIT;
    left.allocatable = a ? a->allocatable : NULL;
    left.n_allocatable = a ? a->n_allocatable : 0;
    right.allocatable = b ? b->allocatable : NULL;
    right.n_allocatable = b ? b->n_allocatable : 0;
    return kube_message_eq(&left.base, &right.base);
}

/* Heartbeats come often and change nothing here. */
static bool node_is_news(struct ctl_change *change)
{
    const Core__Node *before = (const Core__Node *)ctl_before(change);
    const Core__Node *after = (const Core__Node *)ctl_object(change);
    if (change->row->type != STORE_UPDATED || !before || !after || !before->spec || !after->spec)
        return true;
    return !kube_message_eq(&before->spec->base, &after->spec->base) ||
           !same_labels(before->metadata, after->metadata) ||
           !same_allocatable(before->status, after->status);
}

static void on_pod(struct controllers *controllers, struct ctl_change *change)
{
    const Core__Pod *before = (const Core__Pod *)ctl_before(change);
    const Core__Pod *after = (const Core__Pod *)ctl_object(change);
    bool is_gone = change->row->type == STORE_DELETED;
    bool was_tried = before && is_pending(before) && after &&
                     kube_message_eq(&before->spec->base, &after->spec->base);
    if (after && !is_gone && is_pending(after) && !was_tried)
        ctl_enqueue(controllers, &concern_scheduling, &pass_key);
    /* Room for others, if there are any: the pass has an appointment while some wait. */
    if (before && is_using_node(before) && (is_gone || !after || !is_using_node(after)))
        ctl_hurry(controllers, &concern_scheduling, &pass_key);
}

static void on_change(struct controllers *controllers, struct ctl_change *change)
{
    if (ctl_is_about(change, "pods"))
        on_pod(controllers, change);
    else if (ctl_is_about(change, "nodes") && node_is_news(change))
        ctl_enqueue(controllers, &concern_scheduling, &pass_key);
}

/* --- a pass --- */

struct pending {
    const char *namespace_, *name;
    int32_t priority;
    int64_t created_ns;
};

struct pass {
    const struct ctl_run *run;
    struct node_room **rooms;
    size_t room_count;
    struct pending *pending;
    size_t pending_count;
    bool has_leftover;
    bool has_fault;
};

static Meta__Status *add_room(void *ctx, ProtobufCMessage *object)
{
    struct pass *pass = ctx;
    struct arena *arena = pass->run->env->arena;
    const Core__Node *node = (const Core__Node *)object;
    if (node->metadata->deletion_timestamp)
        return NULL;
    struct node_room **grown = arena_alloc(arena, (pass->room_count + 1) * sizeof(void *));
    for (size_t i = 0; i < pass->room_count; i++)
        grown[i] = pass->rooms[i];
    grown[pass->room_count++] = node_room_new(node, arena);
    pass->rooms = grown;
    return NULL;
}

static void add_pending(struct pass *pass, const Core__Pod *pod)
{
    struct arena *arena = pass->run->env->arena;
    if ((pass->pending_count & (pass->pending_count - 1)) == 0) { /* a power of two: it is full */
        size_t capacity = pass->pending_count ? 2 * pass->pending_count : 1;
        struct pending *grown = arena_calloc(arena, capacity, sizeof(*grown));
        for (size_t i = 0; i < pass->pending_count; i++)
            grown[i] = pass->pending[i];
        pass->pending = grown;
    }
    pass->pending[pass->pending_count++] =
        (struct pending){.namespace_ = arena_strdup(arena, pod->metadata->namespace_),
                         .name = arena_strdup(arena, pod->metadata->name),
                         .priority = pod->spec->priority,
                         .created_ns = object_time_ns(pod->metadata->creation_timestamp)};
}

static Meta__Status *add_pod(void *ctx, ProtobufCMessage *object)
{
    struct pass *pass = ctx;
    const Core__Pod *pod = (const Core__Pod *)object;
    if (is_pending(pod)) {
        add_pending(pass, pod);
        return NULL;
    }
    for (size_t i = 0; i < pass->room_count && is_using_node(pod); i++) {
        if (text_eq(node_room_name(pass->rooms[i]), pod->spec->node_name))
            node_room_add(pass->rooms[i], pod);
    }
    return NULL;
}

static int compare_pending(const void *a, const void *b)
{
    const struct pending *left = a, *right = b;
    if (left->priority != right->priority)
        return left->priority > right->priority ? -1 : 1;
    if (left->created_ns != right->created_ns)
        return left->created_ns < right->created_ns ? -1 : 1;
    int order = strcmp(left->namespace_, right->namespace_);
    return order ? order : strcmp(left->name, right->name);
}

/* --- what becomes of a pod --- */

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
    Meta__Status *failure =
        binding->create(&context, pod->metadata->namespace_, pod->metadata->name, &body->base,
                        &answer, &answer_kind);
    if (failure)
        return failure;
    const struct ctl_event event = {
        .controller = DEFAULT_SCHEDULER,
        .action = "Binding",
        .type = "Normal",
        .reason = "Scheduled",
        .message = arena_printf(arena, "Successfully assigned %s/%s to %s",
                                pod->metadata->namespace_, pod->metadata->name, node)};
    ctl_tell(run, "Pod", &pod->base, &event);
    return NULL;
}

static Meta__Status *say_unschedulable(const struct ctl_run *run, Core__Pod *pod,
                                       const char *message)
{
    const struct pod_condition condition = {
        .type = "PodScheduled", .status = "False", .reason = "Unschedulable", .message = message};
    const struct ctl_event event = {.controller = DEFAULT_SCHEDULER,
                                    .action = "Scheduling",
                                    .type = "Warning",
                                    .reason = "FailedScheduling",
                                    .message = message};
    ctl_tell(run, "Pod", &pod->base, &event);
    if (!pod_set_condition(pod, &condition, run->env->now_wall_ns, run->env->arena))
        return NULL;
    return ctl_update(run, "pods", "status", &pod->base);
}

static Meta__Status *place(struct pass *pass, const struct ctl_run *run, Core__Pod *pod)
{
    struct fit_reasons reasons = {.arena = run->env->arena};
    for (size_t i = 0; i < pass->room_count; i++) {
        if (!node_room_fits(pass->rooms[i], pod, &reasons))
            continue;
        Meta__Status *failure = bind_pod(run, pod, node_room_name(pass->rooms[i]));
        if (!failure)
            node_room_add(pass->rooms[i], pod);
        return failure;
    }
    pass->has_leftover = true;
    return say_unschedulable(run, pod, fit_reasons_text(&reasons, pass->room_count));
}

/* One pod that cannot be written must not keep the others waiting. A write is the last thing that
 * can fail in it, so nothing is left half done. */
static void place_pending(struct pass *pass, const struct pending *pending)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    struct rest_env env = *pass->run->env;
    env.arena = scratch;
    struct ctl_run run = *pass->run;
    run.env = &env;
    ProtobufCMessage *object = NULL;
    Meta__Status *failure = ctl_read(&run, "", "pods", pending->namespace_, pending->name, &object);
    if (!failure && object)
        failure = place(pass, &run, (Core__Pod *)object);
    if (!failure)
        return;
    pass->has_fault = true;
    log_warning("Could not schedule pod, will try again",
                LOG_POD(pending->namespace_, pending->name), LOG_STR("err", failure->message));
}

static Meta__Status *reconcile(struct ctl_run *run, const struct store_key *key)
{
    (void)key;
    struct pass pass = {.run = run};
    Meta__Status *failure =
        rest_each_object(run->env, resource_find("", "v1", "nodes"), NULL, add_room, &pass);
    if (!failure)
        failure = rest_each_object(run->env, resource_find("", "v1", "pods"), NULL, add_pod, &pass);
    if (failure)
        return failure;
    if (pass.pending_count > 0)
        qsort(pass.pending, pass.pending_count, sizeof(*pass.pending), compare_pending);
    for (size_t i = 0; i < pass.pending_count; i++)
        place_pending(&pass, &pass.pending[i]);
    if (pass.has_leftover || pass.has_fault)
        run->again_after_ns = pass.has_fault ? FAULT_PERIOD_NS : UNASKED_PERIOD_NS;
    return NULL;
}

const struct concern concern_scheduling = {
    .name = "scheduling", .on_change = on_change, .reconcile = reconcile};
