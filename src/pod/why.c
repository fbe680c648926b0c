#include "pod/why.h"

#include "kube/resources.h"
#include "pod/op_start.h"

/* The list that grows, and what every rule reads. */
struct why {
    const struct pod_worker *worker;
    struct arena *arena;
    struct pod_wait *waits;
    size_t count, capacity;
    int64_t now_ns;
};

static struct pod_wait *add(struct why *why, const char *container, const char *reason,
                            const char *message)
{
    if (why->count == why->capacity) {
        size_t capacity = why->capacity * 2 + 8;
        struct pod_wait *waits = arena_calloc(why->arena, capacity, sizeof(*waits));
        for (size_t i = 0; i < why->count; i++)
            waits[i] = why->waits[i];
        why->waits = waits;
        why->capacity = capacity;
    }
    struct pod_wait *wait = &why->waits[why->count++];
    *wait = (struct pod_wait){.container = container, .reason = reason, .message = message};
    return wait;
}

/* The newest warning about @container (NULL: the pod as a whole); @reason NULL: whatever it says.
 */
static const struct timeline_entry *newest_warning(const struct why *why, const char *container,
                                                   const char *reason)
{
    const struct timeline *timeline = &why->worker->timeline;
    for (size_t i = timeline->count; i > 0; i--) {
        const struct timeline_entry *entry = timeline_at(timeline, i - 1);
        if (entry->type == TIMELINE_WARNING && text_eq(entry->container, container) &&
            (!reason || text_eq(entry->reason, reason)))
            return entry;
    }
    return NULL;
}

/* --- whether it may run here --- */

static void add_admission(struct why *why)
{
    const struct pod_worker *worker = why->worker;
    const Core__PodStatus *status = worker->status;
    switch (worker->admission) {
    case POD_WAITS_NODE:
        add(why, NULL, "Admission", "the node's labels are read again before it is refused");
        return;
    case POD_WAITS_VICTIMS:
        add(why, NULL, "Admission",
            arena_printf(why->arena, "%zu less important pods are making room for it",
                         worker->n_victims))
            ->until_ns = worker->victims_until_ns;
        return;
    case POD_REJECTED:
        add(why, NULL, status && status->reason ? status->reason : "Rejected",
            status && status->message ? status->message : "it may not run on this node");
        return;
    case POD_NEW:
    case POD_ADMITTED:
        return;
    }
}

/* --- what is under way --- */

static const char *const action_words[] = {
    [POD_ACTION_ENSURE_CGROUP] = "its cgroup is being made",
    [POD_ACTION_ENSURE_VOLUMES] = "its volumes are being mounted",
    [POD_ACTION_CREATE_SANDBOX] = "its sandbox is being made",
    [POD_ACTION_START_CONTAINER] = "it is being started",
    [POD_ACTION_CLEAN_DISK] = "its volumes, cgroup and folders are being cleaned up",
    [POD_ACTION_FINISH] = "it is being forgotten",
    [POD_ACTION_BEGIN_STOP] = "its preStop hook runs",
    [POD_ACTION_KILL_CONTAINER] = "it is being stopped",
    [POD_ACTION_STOP_SANDBOX] = "its sandbox is being stopped",
    [POD_ACTION_REMOVE_CONTAINER] = "an instance that has ended is being removed",
    [POD_ACTION_REMOVE_SANDBOX] = "an old sandbox is being removed",
};
_Static_assert(ARRAY_SIZE(action_words) == POD_ACTION_KIND_COUNT, "say what each action is");

/* The name of the container that @op is about; NULL: it is about the pod. */
static const char *container_of(const struct why *why, const struct pod_op *op)
{
    if (op->kind == POD_ACTION_START_CONTAINER)
        return op->target;
    if (op->kind != POD_ACTION_BEGIN_STOP && op->kind != POD_ACTION_KILL_CONTAINER &&
        op->kind != POD_ACTION_REMOVE_CONTAINER)
        return NULL;
    const struct container_observed *instance =
        pod_observed_container(&why->worker->have, op->target);
    return instance ? instance->name : NULL;
}

static const char *turn_text(const struct why *why, const struct start *start)
{
    size_t ahead = pull_ticket_ahead(start->ticket);
    return arena_printf(why->arena, "it waits for its turn to pull image \"%s\": %zu %s before it",
                        start->image, ahead, ahead == 1 ? "pull is" : "pulls are");
}

/* A start says what it is about at this moment, where that may take long. */
static void describe_start(const struct why *why, const struct pod_op *op, struct pod_wait *wait)
{
    const struct start *start = op->state;
    int64_t mono_ns = loop_now_mono_ns(why->worker->pods->env.loop);
    switch (op->step) {
    case START_PULL_SECRETS:
    case START_OBJECTS:
        wait->message = "the Secrets and ConfigMaps that it refers to are being read";
        return;
    case START_PLUGIN_LOGINS:
        wait->message = "credential provider plugins are asked for its image's logins";
        return;
    case START_PULL_TURN:
        wait->reason = "PullImage";
        wait->message = turn_text(why, start);
        wait->since_ns = sat_sub_i64(why->now_ns, sat_sub_i64(mono_ns, start->wait_began_ns));
        return;
    case START_PULL:
        wait->reason = "PullImage";
        wait->message = arena_printf(why->arena, "image \"%s\" is being pulled", start->image);
        wait->since_ns = sat_sub_i64(why->now_ns, sat_sub_i64(mono_ns, start->pull_began_ns));
        return;
    case START_HOOK:
        wait->message = "its postStart hook runs";
        return;
    }
}

/* Tidying up beside a pod that runs keeps nothing from its place. */
static bool is_waited_for(const struct why *why, const struct pod_op *op)
{
    bool is_aside = op->kind == POD_ACTION_REMOVE_CONTAINER ||
                    op->kind == POD_ACTION_REMOVE_SANDBOX || op->kind == POD_OP_INSPECT ||
                    op->kind == POD_OP_REFRESH;
    return !is_aside || !why->worker->observed || why->worker->want.life != POD_LIFE_SYNC;
}

static void add_under_way(struct why *why)
{
    const struct pod_op *op;
    DL_FOREACH(why->worker->ops, op) {
        if (!is_waited_for(why, op))
            continue;
        bool is_action = op->kind < POD_ACTION_KIND_COUNT;
        struct pod_wait *wait =
            is_action ? add(why, container_of(why, op),
                            pod_action_name((enum pod_action_kind)op->kind), action_words[op->kind])
            : op->kind == POD_OP_INSPECT
                ? add(why, NULL, "Inspect", "it is being read from the runtime")
                : add(why, NULL, "RefreshVolumes", "the content of its volumes is being renewed");
        wait->since_ns = op->since_ns;
        if (op->kind == POD_ACTION_START_CONTAINER)
            describe_start(why, op, wait);
    }
}

static bool is_under_way(const struct why *why, const char *container)
{
    const struct pod_op *op;
    DL_FOREACH(why->worker->ops, op) {
        if (is_waited_for(why, op) && text_eq(container_of(why, op), container))
            return true;
    }
    return false;
}

/* --- the pod as a whole --- */

/* What failed is in the newest warning about the pod. */
static void add_retry(struct why *why, const char *reason, const char *message, int64_t until_ns)
{
    if (until_ns <= why->now_ns)
        return;
    const struct timeline_entry *failure = newest_warning(why, NULL, NULL);
    struct pod_wait *wait =
        add(why, NULL, failure ? failure->reason : reason, failure ? failure->message : message);
    wait->since_ns = failure ? failure->first_ns : 0;
    wait->until_ns = until_ns;
}

static void add_pod_waits(struct why *why)
{
    const struct pod_worker *worker = why->worker;
    const struct pods *pods = worker->pods;
    bool is_sync = worker->want.life == POD_LIFE_SYNC;
    if (worker->want.life == POD_LIFE_TERMINATING)
        add(why, NULL, "Terminating", "it is to end")->since_ns = worker->want.terminating_since_ns;
    if (is_sync && worker->admission == POD_ADMITTED && !pods->runtime_ready)
        add(why, NULL, "ContainerRuntimeNotReady", pods->runtime_message);
    else if (is_sync && worker->network_event_sent)
        add(why, NULL, "NetworkNotReady",
            arena_printf(why->arena, "network is not ready: %s", pods->runtime_message));
    if (worker->waits_for_slot)
        add(why, NULL, "StartSlot",
            arena_printf(why->arena, "%zu other pods are being started", pods->slots_used));
    add_retry(why, "Setup", "its volumes, cgroup or sandbox could not be made",
              is_sync ? worker->setup_retry_at_ns : 0);
    add_retry(why, "RefreshVolumes", "the content of its volumes could not be renewed",
              is_sync ? worker->volumes_retry_at_ns : 0);
    add_retry(why, "CleanUp", "it could not be cleaned up", worker->cleanup_retry_at_ns);
}

static void add_gates(struct why *why)
{
    const Core__PodStatus *status = why->worker->status;
    for (size_t i = 0; status && i < status->n_conditions; i++) {
        const Core__PodCondition *condition = status->conditions[i];
        if (text_eq(condition->type, "Ready") &&
            text_eq(condition->reason, "ReadinessGatesNotReady"))
            add(why, NULL, condition->reason, condition->message ? condition->message : "");
    }
}

/* --- containers --- */

/* When the back-off of @container is over; 0: it is in none. */
static int64_t backoff_end(const struct why *why, const Core__Container *container)
{
    const struct container_observed *newest =
        pod_observed_newest(&why->worker->have, container->name);
    if (!newest || newest->state != CONTAINER_EXITED)
        return 0;
    const char *key = container_backoff_key(why->worker->object->pod, container, why->arena);
    int64_t left_ns =
        backoff_remaining(why->worker->pods->backoff, key, newest->finished_ns, why->now_ns);
    return left_ns > 0 ? sat_add_i64(why->now_ns, left_ns) : 0;
}

/* Container @index of the notes was not started, and why. */
static struct pod_wait *add_result(struct why *why, size_t index)
{
    const struct start_result *result = &why->worker->results[index];
    const struct container_note *note = &why->worker->notes[index];
    struct pod_wait *wait =
        add(why, note->name, result->reason, result->message ? result->message : "");
    const struct timeline_entry *failure = newest_warning(why, note->name, NULL);
    wait->since_ns = failure ? failure->first_ns : 0;
    wait->until_ns = note->retry_at_ns > why->now_ns ? note->retry_at_ns : 0;
    return wait;
}

static void add_probe(struct why *why, const struct container_observed *instance,
                      const char *reason, const char *what)
{
    const struct timeline_entry *failure = newest_warning(why, instance->name, "Unhealthy");
    bool is_of_it = failure && failure->last_ns >= instance->started_ns;
    add(why, instance->name, reason,
        is_of_it ? arena_printf(why->arena, "%s: %s", what, failure->message) : what)
        ->since_ns = instance->started_ns;
}

static void add_running(struct why *why, const struct container_observed *instance,
                        const struct container_note *note, bool is_init, bool is_sidecar)
{
    if (note->has_startup && note->startup != PROBE_SUCCESS)
        add_probe(why, instance, "StartupProbe", "its startup probe has not succeeded yet");
    else if (note->has_readiness && note->readiness != PROBE_SUCCESS)
        add_probe(why, instance, "ReadinessProbe", "its readiness probe does not succeed");
    else if (is_init && !is_sidecar)
        add(why, instance->name, "Initializing", "it runs, and what comes after it waits")
            ->since_ns = instance->started_ns;
}

static void add_container(struct why *why, size_t index)
{
    const struct pod_worker *worker = why->worker;
    const Core__PodSpec *spec = worker->object->pod->spec;
    bool is_init = index < spec->n_init_containers;
    const Core__Container *container = pod_container_at(spec, index);
    if (is_under_way(why, container->name))
        return;
    const struct container_observed *newest = pod_observed_newest(&worker->have, container->name);
    if (newest && newest->state == CONTAINER_RUNNING)
        add_running(why, newest, &worker->notes[index], is_init,
                    is_init && text_eq(container->restart_policy, "Always"));
    else if (text_eq(worker->results[index].reason, "CrashLoopBackOff"))
        add_result(why, index)->until_ns = backoff_end(why, container);
    else if (worker->results[index].reason)
        add_result(why, index);
}

static void add_containers(struct why *why)
{
    const Core__PodSpec *spec = why->worker->object->pod->spec;
    size_t count = spec->n_init_containers + spec->n_containers;
    for (size_t i = 0; i < count; i++)
        add_container(why, i);
    for (size_t i = count; i < why->worker->n_notes; i++) { /* ephemeral ones: once or never */
        if (why->worker->results[i].reason && !is_under_way(why, why->worker->notes[i].name))
            add_result(why, i);
    }
}

size_t pods_why(const struct pods *pods, const char *uid, struct arena *arena,
                struct pod_wait **ret)
{
    struct pod_worker *worker;
    HASH_FIND_STR(pods->workers, uid, worker);
    *ret = NULL;
    if (!worker)
        return 0;
    struct why why = {.worker = worker, .arena = arena, .now_ns = loop_now_wall_ns(pods->env.loop)};
    bool runs = worker->object && worker->want.life == POD_LIFE_SYNC;
    add_pod_waits(&why);
    if (runs)
        add_admission(&why);
    add_under_way(&why);
    if (runs && worker->admission == POD_ADMITTED) {
        add_gates(&why);
        add_containers(&why);
    }
    *ret = why.waits;
    return why.count;
}
