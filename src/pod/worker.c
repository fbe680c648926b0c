/*
 * One pod. A pass reads what is known, writes the status, moves the life on, plans, and starts what
 * the plan says: the first chained action when nothing chained is under way (and, for actions that
 * load the node, a start slot is free), and every parallel action whose target is not being worked
 * on already. What is left of the plan is dropped; the end of each operation wakes the worker and
 * the pod is planned anew.
 *
 *   SYNC ──(removed, or phase terminal)──► TERMINATING
 *   TERMINATING ──(nothing runs)──► TERMINATED ──(removed, and all is gone)──► freed
 */
#include "pod/op.h"
#include "pod/probing.h"

#include "base/time.h"

/* --- life and death of a worker --- */

static void on_timer(void *ctx)
{
    pod_worker_wake(ctx);
}

struct pod_worker *pod_worker_new(struct pods *pods, const char *uid, const char *namespace,
                                  const char *name)
{
    struct pod_worker *worker = xcalloc(1, sizeof(*worker));
    worker->pods = pods;
    worker->uid = xstrdup(uid);
    worker->namespace = xstrdup(namespace);
    worker->name = xstrdup(name);
    worker->want.uid = worker->uid;
    worker->timer = loop_timer_new(pods->env.loop, "pod next look", on_timer, worker);
    HASH_ADD_KEYPTR(hh, pods->workers, worker->uid, strlen(worker->uid), worker);
    return worker;
}

void pod_worker_release_slot(struct pod_worker *worker)
{
    if (!worker->holds_slot)
        return;
    worker->holds_slot = false;
    worker->pods->slots_used--;
    pods_slot_released(worker->pods);
}

void pod_worker_free(struct pod_worker *worker)
{
    struct pods *pods = worker->pods;
    while (worker->ops)
        pod_op_cancel(worker->ops);
    for (const struct container_observed *c = worker->have.containers; c; c = c->next)
        pods->env.runtime->vtable->unwatch_exit(pods->env.runtime, c->id);
    if (worker->queued)
        DL_DELETE2(pods->woken, worker, wake_prev, wake_next);
    HASH_DEL(pods->workers, worker);
    pod_worker_release_slot(worker);
    if (worker->was_offered_slot)
        pods_slot_released(pods);
    pods_wake_name(pods, worker->namespace, worker->name);
    loop_timer_free(worker->timer);
    probing_stop(worker);
    pod_refs_unregister(worker);
    pod_observed_clear(&worker->have);
    pod_worker_forget(worker);
    volume_set_free(worker->volumes);
    arena_free(worker->status_arena);
    free(worker->forced.reason);
    free(worker->forced.message);
    free(worker->forced.disruption);
    for (size_t i = 0; i < worker->n_victims; i++)
        free(worker->victims[i]);
    free(worker->victims);
    timeline_done(&worker->timeline);
    pod_object_unref(worker->object);
    pod_object_unref(worker->again);
    free(worker->uid);
    free(worker->name);
    free(worker->namespace);
    free(worker);
}

void pod_worker_keep_object(struct pod_worker *worker, struct pod_object *object)
{
    struct pod_object *old = worker->object;
    probing_prepare(worker, object->pod);
    worker->object = pod_object_ref(object);
    worker->want.pod = object->pod;
    pod_worker_renew_notes(worker); /* while the old names are still there */
    probing_follow(worker);
    pod_object_unref(old);
}

/* What a kill has that nobody has asked to be quicker. */
static int64_t own_grace(const struct pod_worker *worker)
{
    const Core__PodSpec *spec = worker->object ? worker->object->pod->spec : NULL;
    return spec && spec->has_termination_grace_period_seconds
               ? max_i64(spec->termination_grace_period_seconds, 1)
               : INT64_MAX;
}

/* Spec pods.md §3.3: what the deletion and a killer ask for, whichever is less. Without either the
 * plan takes the pod's own. True when there is less time now than before. */
static bool renew_grace(struct pod_worker *worker)
{
    struct pod_desired *want = &worker->want;
    const Meta__ObjectMeta *meta = worker->object ? worker->object->pod->metadata : NULL;
    bool is_deleted = meta && meta->has_deletion_grace_period_seconds;
    int64_t grace_s = INT64_MAX;
    if (is_deleted)
        grace_s = meta->deletion_grace_period_seconds;
    if (worker->forced.has_grace)
        grace_s = min_i64(grace_s, worker->forced.grace_s);
    grace_s = max_i64(grace_s, 1);
    bool has_grace = is_deleted || worker->forced.has_grace;
    if (!has_grace || (want->has_grace && grace_s >= want->grace_s))
        return false;
    int64_t before_s = want->has_grace ? want->grace_s : own_grace(worker);
    want->has_grace = true;
    want->grace_s = grace_s;
    return grace_s < before_s;
}

/* Kills that are under way with more time than there is now are begun anew. */
static void hurry_kills(struct pod_worker *worker)
{
    struct pod_op *op, *next;
    DL_FOREACH_SAFE(worker->ops, op, next) {
        if (op->kind == POD_ACTION_BEGIN_STOP) {
            struct container_observed *instance = pod_observed_container(&worker->have, op->target);
            if (instance)
                instance->stop_begun = false;
            pod_op_cancel(op);
        } else if (op->kind == POD_ACTION_KILL_CONTAINER) {
            pod_op_cancel(op);
            worker->inspect_again = true;
        }
    }
}

void pod_worker_set_object(struct pod_worker *worker, struct pod_object *object)
{
    bool had_one = worker->object;
    worker->times.is_updated = had_one;
    if (!had_one || !pod_spec_has_same_volumes(worker->object->pod->spec, object->pod->spec)) {
        worker->spec_round++;
        worker->volumes_ready = false;
    }
    worker->volumes_stale =
        worker->volumes_stale || had_one; /* labels may have changed with the spec */
    pod_worker_keep_object(worker, object);
    if (!had_one && !pod_object_is_static(object) && object->pod->status)
        pod_worker_recover_status(worker, object->pod->status);
    if (object->pod->metadata->deletion_timestamp)
        pod_worker_terminate(worker, false);
    if (worker->admission == POD_ADMITTED && worker->want.life == POD_LIFE_SYNC)
        pod_refs_register(worker);
    pod_worker_changed(worker);
}

void pod_worker_terminate(struct pod_worker *worker, bool removed)
{
    struct pod_desired *want = &worker->want;
    if (removed && !want->removed) {
        worker->disk_clean = false; /* what was kept for a pod that is wanted goes, too */
        want->removed = true;
        pod_worker_changed(worker);
    }
    if (renew_grace(worker))
        hurry_kills(worker);
    pod_worker_wake(worker);
    if (want->life != POD_LIFE_SYNC)
        return;
    struct pod_op *op, *next;
    DL_FOREACH_SAFE(worker->ops, op, next) {
        if (!op->may_abandon)
            continue;
        worker->inspect_again = true; /* what it had started is looked for */
        pod_op_cancel(op);
    }
    want->life = POD_LIFE_TERMINATING;
    want->terminating_since_ns = loop_now_wall_ns(worker->pods->env.loop);
    pod_worker_changed(worker);
    log_info("Terminating pod", LOG_POD(worker->namespace, worker->name),
             LOG_STR("podUID", worker->uid), LOG_BOOL("removed", want->removed));
}

void pod_worker_kill(struct pod_worker *worker, const struct pod_kill *kill)
{
    struct pod_forced_end *forced = &worker->forced;
    if (worker->want.life == POD_LIFE_TERMINATED)
        return;            /* it has ended as it has ended */
    if (!forced->reason) { /* the first killer is the one who is told of */
        forced->reason = xstrdup(kill->reason);
        forced->message = xstrdup(kill->message);
        forced->disruption = kill->disruption ? xstrdup(kill->disruption) : NULL;
    }
    worker->want.evicted = worker->want.evicted || kill->is_eviction;
    if (kill->has_grace && (!forced->has_grace || kill->grace_s < forced->grace_s)) {
        forced->has_grace = true;
        forced->grace_s = kill->grace_s;
    }
    pod_worker_terminate(worker, false);
}

void pod_worker_retry_now(struct pod_worker *worker)
{
    worker->setup_retry_at_ns = worker->volumes_retry_at_ns = 0;
    for (size_t i = 0; i < worker->n_notes; i++)
        worker->notes[i].retry_at_ns = 0;
    pod_worker_wake(worker);
}

void pod_worker_wake(struct pod_worker *worker)
{
    struct pods *pods = worker->pods;
    if (worker->queued)
        return;
    pod_metrics_woken(worker);
    worker->queued = true;
    DL_APPEND2(pods->woken, worker, wake_prev, wake_next);
    loop_timer_start(pods->turn, 0);
}

/* --- the pass --- */

static bool is_under_way(const struct pod_worker *worker, const struct pod_action *action)
{
    const struct pod_op *op;
    DL_FOREACH(worker->ops, op) {
        if (op->kind < POD_ACTION_KIND_COUNT && action->id && strcmp(op->target, action->id) == 0)
            return true;
    }
    return false;
}

static bool has_chained(const struct pod_worker *worker)
{
    const struct pod_op *op;
    DL_FOREACH(worker->ops, op) {
        if (op->kind < POD_ACTION_KIND_COUNT &&
            pod_action_is_chained((enum pod_action_kind)op->kind))
            return true;
    }
    return false;
}

static bool has_op(const struct pod_worker *worker, unsigned kind)
{
    const struct pod_op *op;
    DL_FOREACH(worker->ops, op) {
        if (op->kind == kind)
            return true;
    }
    return false;
}

/* Sandboxes and starts load the node: only so many pods may be at it at once. */
static bool take_slot(struct pod_worker *worker)
{
    struct pods *pods = worker->pods;
    if (worker->holds_slot)
        return true;
    if (pods->slots_used >= pods->env.max_parallel_starts) {
        worker->waits_for_slot = true;
        return false;
    }
    pods->slots_used++;
    worker->holds_slot = true;
    worker->waits_for_slot = false;
    return true;
}

/* A static pod waits until an older one of the same full name has left the runtime, which may be
 * an orphan of before a restart. A pod of the API server has that name for itself (spec pods.md
 * §3.4). */
static bool name_is_free(const struct pod_worker *worker)
{
    if (!pod_object_is_static(worker->object))
        return true;
    const struct pod_worker *other, *next;
    HASH_ITER(hh, worker->pods->workers, other, next) {
        if (other != worker && (!other->object || pod_object_is_static(other->object)) &&
            pod_worker_has_name(other, worker->namespace, worker->name) &&
            (other->want.life == POD_LIFE_TERMINATING ||
             (other->want.life == POD_LIFE_SYNC && pod_observed_is_running(&other->have))))
            return false;
    }
    return true;
}

bool pod_worker_has_name(const struct pod_worker *worker, const char *namespace, const char *name)
{
    return strcmp(worker->namespace, namespace) == 0 && strcmp(worker->name, name) == 0;
}

/* True when the action was FINISH: the worker is gone. */
static bool start_chained(struct pod_worker *worker, const struct pod_action *action)
{
    if (has_chained(worker))
        return false;
    bool heavy =
        action->kind == POD_ACTION_CREATE_SANDBOX || action->kind == POD_ACTION_START_CONTAINER;
    if (heavy && !take_slot(worker))
        return false;
    if (action->kind == POD_ACTION_CREATE_SANDBOX)
        op_create_sandbox_start(worker, action);
    else if (action->kind == POD_ACTION_START_CONTAINER)
        op_start_container_start(worker, action);
    else if (action->kind == POD_ACTION_ENSURE_CGROUP)
        op_ensure_cgroup_start(worker);
    else if (action->kind == POD_ACTION_ENSURE_VOLUMES)
        op_ensure_volumes_start(worker);
    else if (action->kind == POD_ACTION_CLEAN_DISK)
        op_clean_disk_start(worker);
    else
        return !worker->ops;
    return false;
}

static void start_parallel(struct pod_worker *worker, const struct pod_action *action)
{
    if (is_under_way(worker, action))
        return;
    if (action->kind == POD_ACTION_BEGIN_STOP)
        op_begin_stop_start(worker, action);
    else if (action->kind == POD_ACTION_KILL_CONTAINER)
        op_kill_container_start(worker, action);
    else if (action->kind == POD_ACTION_STOP_SANDBOX)
        op_stop_sandbox_start(worker, action);
    else if (action->kind == POD_ACTION_REMOVE_CONTAINER)
        op_remove_container_start(worker, action);
    else
        op_remove_sandbox_start(worker, action);
}

void pod_worker_remove_container(struct pod_worker *worker, const char *id)
{
    if (pod_worker_cools_until(worker, id) == 0)
        start_parallel(worker, &(struct pod_action){.kind = POD_ACTION_REMOVE_CONTAINER, .id = id});
}

static bool is_starting(const struct pod_worker *worker, const char *name)
{
    const struct pod_op *op;
    DL_FOREACH(worker->ops, op) {
        if (op->kind == POD_ACTION_START_CONTAINER && strcmp(op->target, name) == 0)
            return true;
    }
    return false;
}

/* A container in back-off says so in its status and once in the timeline. */
static void show_waiting(struct pod_worker *worker, const struct pod_plan *plan)
{
    for (size_t i = 0; i < plan->n_waiting; i++) {
        const struct pod_waiting *waiting = &plan->waiting[i];
        const char *name = waiting->container->name;
        if (is_starting(worker, name))
            continue; /* the back-off is that of the start under way, for the one after it */
        const char *pod = pod_text(worker->object->pod, plan->arena);
        char wait[TIME_TEXT_SIZE];
        time_format_duration(waiting->backoff_ns, wait);
        const char *text = arena_printf(
            plan->arena, "back-off %s restarting failed container=%s pod=%s", wait, name, pod);
        for (size_t n = 0; n < worker->n_notes; n++) {
            const struct start_result *result = &worker->results[n];
            if (!text_eq(result->container, name) || text_eq(result->message, text))
                continue;
            pod_worker_event(worker, TIMELINE_WARNING, "BackOff", name,
                             arena_printf(plan->arena,
                                          "Back-off restarting failed container %s in pod %s", name,
                                          pod));
            pod_worker_set_result(worker, name, "CrashLoopBackOff", text);
        }
    }
}

/* What the plan says about the pod as a whole, once for as long as it holds. */
static void note_changes(struct pod_worker *worker, const struct pod_plan *plan)
{
    if (plan->sandbox_changed && !worker->sandbox_event_sent) {
        worker->sandbox_event_sent = true;
        pod_worker_event(worker, TIMELINE_NORMAL, "SandboxChanged", NULL,
                         "Pod sandbox changed, it will be killed and re-created.");
    }
    /* Before the first status nothing is known, and that is nothing to tell. */
    bool no_network = plan->waits_for_network && worker->pods->runtime_ready;
    if (no_network && !worker->network_event_sent)
        pod_worker_event(
            worker, TIMELINE_WARNING, "NetworkNotReady", NULL,
            arena_printf(plan->arena, "network is not ready: %s", worker->pods->runtime_message));
    worker->network_event_sent = no_network;
}

static void make_plan(struct pod_worker *worker, int64_t now_ns, struct arena *arena,
                      struct pod_plan *plan)
{
    const struct pods *pods = worker->pods;
    struct pod_plan_env env = {.now_ns = now_ns,
                               .backoff = pods->backoff,
                               .notes = worker->notes,
                               .n_notes = worker->n_notes,
                               .volumes_ready = worker->volumes_ready,
                               .cgroup_ready = worker->cgroup_ready,
                               .network_ready = pods->network_ready,
                               .setup_retry_at_ns = worker->setup_retry_at_ns,
                               .kill_failed = worker->kill_failed,
                               .disk_clean = worker->disk_clean,
                               .cleanup_retry_at_ns = worker->cleanup_retry_at_ns,
                               .max_dead_per_container = pods->env.max_dead_per_container,
                               .is_starting = has_op(worker, POD_ACTION_START_CONTAINER),
                               .status = worker->status};
    pod_plan(&worker->want, &worker->have, &env, arena, plan);
}

/* Nothing is left of the pod. When the same uid is wanted again it begins anew. */
static void finish(struct pod_worker *worker)
{
    struct pods *pods = worker->pods;
    pods_tell_gone(worker);
    AUTO(pod_object) struct pod_object *again = TAKE(worker->again); /* the listener may want it */
    pod_metrics_rest(worker);
    pod_worker_free(worker);
    if (!again)
        return;
    metric_add(pods->metrics.families[POD_METRIC_RESTARTED_PODS], 1,
               pod_object_is_static(again) ? "true" : "");
    pods_put(pods, again);
}

/* Starts what may start. True when the worker is gone. */
static bool dispatch(struct pod_worker *worker, const struct pod_plan *plan, int64_t *next_ns)
{
    bool wants_slot = false;
    for (size_t i = 0; i < plan->n_actions; i++) {
        const struct pod_action *action = &plan->actions[i];
        int64_t cooling_ns = action->id ? pod_worker_cools_until(worker, action->id) : 0;
        if (cooling_ns > 0) {
            *next_ns = min_i64(*next_ns, cooling_ns);
            continue;
        }
        if (!pod_action_is_chained(action->kind)) {
            start_parallel(worker, action);
            continue;
        }
        wants_slot = true;
        if (start_chained(worker, action)) {
            finish(worker);
            return true;
        }
    }
    if (!wants_slot && !has_chained(worker))
        pod_worker_release_slot(worker);
    return false;
}

/* The life moves on when the phase is terminal, and when nothing runs any more. */
static void move_life(struct pod_worker *worker, const struct pod_plan *plan)
{
    if (worker->want.life == POD_LIFE_SYNC && worker->status && status_is_terminal(worker->status))
        pod_worker_terminate(worker, false);
    if (worker->want.life == POD_LIFE_TERMINATING && plan->stopped && !worker->ops) {
        worker->want.life = POD_LIFE_TERMINATED;
        pod_metrics_stopped(worker);
        log_info("Pod has stopped", LOG_POD(worker->namespace, worker->name),
                 LOG_STR("podUID", worker->uid));
        pods_wake_name(worker->pods, worker->namespace, worker->name);
        pods_look_for_room(worker->pods);
        pod_refs_unregister(worker);
        pod_worker_changed(worker);
    }
}

/* Content of volumes follows what it is made of, beside whatever else the pod does. Of a pod that
 * was found running they are taken up first, once there is nothing else to do for it. */
static void refresh_volumes(struct pod_worker *worker, const struct pod_plan *plan, int64_t now_ns,
                            int64_t *next_ns)
{
    if (worker->want.life != POD_LIFE_SYNC || worker->admission != POD_ADMITTED ||
        has_op(worker, POD_OP_REFRESH))
        return;
    bool is_ready = worker->volumes_ready;
    if (!is_ready &&
        (plan->n_actions > 0 || has_chained(worker) || !pod_observed_is_running(&worker->have)))
        return;
    int64_t due_ns = is_ready ? INT64_MAX : worker->setup_retry_at_ns;
    if (is_ready && worker->volumes->refresh_at_ns > 0)
        due_ns = worker->volumes->refresh_at_ns;
    if (is_ready && worker->volumes_stale)
        due_ns = now_ns;
    if (is_ready)
        due_ns = max_i64(due_ns, worker->volumes_retry_at_ns);
    if (due_ns > now_ns) {
        *next_ns = min_i64(*next_ns, due_ns);
        return;
    }
    worker->volumes_stale = false;
    if (is_ready)
        op_refresh_volumes_start(worker);
    else
        op_ensure_volumes_start(worker);
}

/* Reads the runtime first when that was asked for; true when the plan has to wait for it. */
static bool inspect_first(struct pod_worker *worker, int64_t *next_ns)
{
    if (has_op(worker, POD_OP_INSPECT))
        return true;
    if (!worker->inspect_again)
        return !worker->observed;
    int64_t cooling_ns = pod_worker_cools_until(worker, "");
    if (cooling_ns > 0) {
        *next_ns = min_i64(*next_ns, cooling_ns);
        return !worker->observed;
    }
    worker->inspect_again = false;
    op_inspect_start(worker, NULL);
    return true;
}

/* A listener may bring another object or end the pod: what was planned for the old one is dropped
 * then, as it is when the life moves on. */
static bool is_outdated(const struct pod_worker *worker, enum pod_life life,
                        const struct pod_object *object)
{
    return worker->want.life != life || worker->object != object;
}

static void pass(struct pod_worker *worker)
{
    struct pods *pods = worker->pods;
    int64_t now_ns = loop_now_wall_ns(pods->env.loop);
    int64_t next_ns = INT64_MAX;
    pod_worker_end_cooldowns(worker, now_ns);
    if (inspect_first(worker, &next_ns)) {
        if (next_ns != INT64_MAX)
            loop_timer_start(worker->timer, sat_sub_i64(next_ns, now_ns));
        return;
    }

    probing_sync(worker);
    AUTO(arena) struct arena *arena = arena_new(0);
    struct pod_plan plan = {0};
    enum pod_life life = worker->want.life;
    /* Held, so that what comes in its place cannot be taken for it. */
    AUTO(pod_object)
    struct pod_object *object = worker->object ? pod_object_ref(worker->object) : NULL;
    bool may_plan = pods->listed && (worker->object || pods_sources_are_ready(pods));
    bool blocked = worker->want.life == POD_LIFE_SYNC && worker->object &&
                   (!name_is_free(worker) || !pod_worker_is_admitted(worker, &next_ns));
    if (may_plan && !blocked) {
        make_plan(worker, now_ns, arena, &plan);
        if (worker->object)
            show_waiting(worker, &plan);
        note_changes(worker, &plan);
    }
    pod_worker_renew_status(worker, now_ns);
    if (!is_outdated(worker, life, object))
        move_life(worker, &plan);
    if (is_outdated(worker, life, object)) {
        pod_worker_wake(worker);
        return;
    }
    if (plan.has_next_look)
        next_ns = min_i64(next_ns, plan.next_look_ns);
    int64_t due_ns = 0;
    if (worker->object && worker->want.life == POD_LIFE_SYNC &&
        !status_deadline_exceeded(worker->object->pod, worker->status, now_ns, &due_ns) &&
        due_ns > 0)
        next_ns = min_i64(next_ns, due_ns);
    refresh_volumes(worker, &plan, now_ns, &next_ns);
    if (dispatch(worker, &plan, &next_ns))
        return;
    if (next_ns == INT64_MAX)
        loop_timer_cancel(worker->timer);
    else
        loop_timer_start(worker->timer, sat_sub_i64(next_ns, now_ns));
    pod_metrics_rest(worker);
}

void pod_worker_run(struct pod_worker *worker)
{
    struct pods *pods = worker->pods;
    bool was_offered_slot = worker->was_offered_slot;
    worker->was_offered_slot = false;
    if (worker->is_changed)
        pod_worker_tell(worker);
    pod_metrics_pass(worker);
    pass(worker); /* may free it */
    if (was_offered_slot && pods->slots_used < pods->env.max_parallel_starts)
        pods_slot_released(pods);
}
