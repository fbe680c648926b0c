/*
 * Ending containers: preStop hook within the grace period, StopContainer with what is left of it,
 * then a look at the result. Removing dead ones: logs and link first, then RemoveContainer.
 * NotFound is success in both.
 */
#include "kube/resources.h"
#include "pod/cri_request.h"
#include "pod/hook.h"
#include "pod/start_files.h"
#include "pod/termination.h"

/* --- kill --- */

enum { KILL_HOOK, KILL_STOP, KILL_STATUS, KILL_MESSAGE };

#define KILL_GRACE_FLOOR_S 2 /* kuberuntime_manager.go minimumGracePeriodInSeconds */

struct kill {
    int64_t grace_s;
    int64_t began_ns; /* monotonic */
};

/* --- what begins a stop --- */

/* @message NULL: the usual one. */
static void tell_killing(struct pod_op *op, const char *name, const char *message)
{
    pod_worker_event(op->worker, TIMELINE_NORMAL, "Killing", arena_strdup(op->arena, name),
                     message ? message : arena_printf(op->arena, "Stopping container %s", name));
}

static const Core__LifecycleHandler *pre_stop_of(const Core__Container *container)
{
    return container && container->lifecycle ? container->lifecycle->pre_stop : NULL;
}

static void end_hook(struct pod_op *op)
{
    AUTO(error) struct error *err = hook_result(op);
    if (err)
        pod_worker_event(op->worker, TIMELINE_WARNING, "FailedPreStopHook",
                         op->container ? op->container->name : NULL, "PreStopHook failed");
}

static void begin_stop_advance(struct pod_op *op)
{
    end_hook(op);
    pod_op_end(op);
}

void op_begin_stop_start(struct pod_worker *worker, const struct pod_action *action)
{
    struct container_observed *instance = pod_observed_container(&worker->have, action->id);
    struct pod_op *op = pod_op_new(worker, POD_ACTION_BEGIN_STOP, action->id);
    op->advance = begin_stop_advance;
    op->container = op->object ? pod_container_find(op->object->pod->spec, instance->name) : NULL;
    instance->stop_begun = true;
    tell_killing(op, instance->name, NULL);
    const Core__LifecycleHandler *hook = pre_stop_of(op->container);
    if (hook && action->hook_grace_s > 0)
        hook_start(op, hook, op->target, sat_mul_i64(action->hook_grace_s, NS_PER_SEC));
    else
        pod_op_end(op);
}

/* --- the stop itself --- */

static void stop_container(struct pod_op *op)
{
    const struct kill *kill = op->state;
    int64_t used_ns = loop_now_mono_ns(op->worker->pods->env.loop) - kill->began_ns;
    int64_t grace_s = max_i64(kill->grace_s - used_ns / NS_PER_SEC, KILL_GRACE_FLOOR_S);
    Cri__StopContainerRequest request = CRI__STOP_CONTAINER_REQUEST__INIT;
    request.container_id = cri_borrow(op->target);
    request.timeout = grace_s;
    op->step = KILL_STOP;
    pod_op_call(op, RUNTIME_STOP_CONTAINER, &request.base, sat_mul_i64(grace_s, NS_PER_SEC));
}

static void kill_failed(struct pod_op *op)
{
    struct pod_worker *worker = op->worker;
    AUTO(error) struct error *err = TAKE(op->err);
    pod_worker_event(worker, TIMELINE_WARNING, "FailedKillPod", NULL,
                     arena_printf(op->arena, "error killing pod: %s", err->message));
    worker->kill_failed = true;
    worker->inspect_again = true;
    pod_worker_cool_down(worker, op->target, pods_retry_delay(worker->pods, false));
    pod_op_end(op);
}

/* Exited, or gone. A runtime that stopped a container which still runs is asked again later. */
static void killed(struct pod_op *op)
{
    struct pod_worker *worker = op->worker;
    const Cri__ContainerStatusResponse *reply = (const Cri__ContainerStatusResponse *)op->reply;
    if (!reply) {
        pods_sweep_again(worker->pods); /* its link is left */
        pod_observed_drop_container(&worker->have, op->target);
        pod_op_end(op);
        return;
    }
    const struct container_observed *known = pod_observed_container(&worker->have, op->target);
    bool could_run = known && known->state != CONTAINER_EXITED;
    struct container_observed *instance =
        pod_observed_put_container(&worker->have, "", reply->status);
    if (could_run && instance->state == CONTAINER_EXITED)
        pod_metrics_exited(worker, instance);
    if (instance->state == CONTAINER_RUNNING) {
        op->err =
            error_new(ERROR_INTERNAL,
                      "detected running containers after a successful KillPod, CRI violation: [%s]",
                      instance->id);
        kill_failed(op);
        return;
    }
    if (instance->state == CONTAINER_UNKNOWN) /* stopped, and nobody can tell: not at once again */
        pod_worker_cool_down(worker, op->target, pods_retry_delay(worker->pods, false));
    op->step = KILL_MESSAGE;
    if (!termination_start(op, instance))
        pod_op_end(op);
}

static void kill_advance(struct pod_op *op)
{
    bool gone = op->err && op->err->code == ERROR_NOT_FOUND;
    switch (op->step) {
    case KILL_HOOK:
        end_hook(op);
        stop_container(op);
        return;
    case KILL_STOP:
        if (op->err && !gone) {
            kill_failed(op);
            return;
        }
        {
            Cri__ContainerStatusRequest request = CRI__CONTAINER_STATUS_REQUEST__INIT;
            request.container_id = cri_borrow(op->target);
            op->step = KILL_STATUS;
            pod_op_call(op, RUNTIME_CONTAINER_STATUS, &request.base, 0);
        }
        return;
    case KILL_STATUS:
        if (op->err && !gone)
            kill_failed(op);
        else
            killed(op);
        return;
    case KILL_MESSAGE:
        termination_finish(op, op->target);
        pod_op_end(op);
        return;
    }
}

void op_kill_container_start(struct pod_worker *worker, const struct pod_action *action)
{
    struct pod_op *op = pod_op_new(worker, POD_ACTION_KILL_CONTAINER, action->id);
    const struct container_observed *instance = pod_observed_container(&worker->have, action->id);
    struct kill *kill = arena_alloc(op->arena, sizeof(*kill));
    kill->grace_s = action->grace_s;
    kill->began_ns = loop_now_mono_ns(worker->pods->env.loop);
    op->state = kill;
    op->advance = kill_advance;
    const char *name = instance ? instance->name : "";
    op->container = op->object ? pod_container_find(op->object->pod->spec, name) : NULL;
    struct container_note *note = pod_worker_note(worker, name);
    if (note && action->restart)
        note->restart_wanted = true;
    if (!instance || !instance->stop_begun || action->message)
        tell_killing(op, name, action->message);

    const Core__LifecycleHandler *hook = pre_stop_of(op->container);
    if (hook && action->hook_grace_s > 0 && instance && instance->state == CONTAINER_RUNNING) {
        op->step = KILL_HOOK;
        hook_start(op, hook, op->target, sat_mul_i64(action->hook_grace_s, NS_PER_SEC));
    } else {
        stop_container(op);
    }
}

/* --- remove --- */

enum { REMOVE_STOP, REMOVE_LOGS, REMOVE_CALL };

struct remove {
    bool keeps_logs;
};

static void remove_call(struct pod_op *op)
{
    Cri__RemoveContainerRequest request = CRI__REMOVE_CONTAINER_REQUEST__INIT;
    request.container_id = cri_borrow(op->target);
    op->step = REMOVE_CALL;
    pod_op_call(op, RUNTIME_REMOVE_CONTAINER, &request.base, 0);
}

static void remove_logs(struct pod_op *op)
{
    const struct container_observed *instance =
        pod_observed_container(&op->worker->have, op->target);
    const struct remove *remove = op->state;
    if (!instance || remove->keeps_logs || instance->log_path[0] == '\0') {
        remove_call(op);
        return;
    }
    op->step = REMOVE_LOGS;
    start_delete_logs(op, instance->log_path, op->target);
}

/* A container whose logs stay begins anew: what kept it from starting is forgotten. */
static void removed(struct pod_op *op)
{
    struct pod_worker *worker = op->worker;
    const struct remove *remove = op->state;
    const struct container_observed *instance = pod_observed_container(&worker->have, op->target);
    if (remove->keeps_logs && instance) {
        struct container_note *note = pod_worker_note(worker, instance->name);
        if (note)
            note->retry_at_ns = 0;
        pod_worker_set_result(worker, instance->name, NULL, NULL);
    }
    pod_observed_drop_container(&worker->have, op->target);
    pod_op_end(op);
}

static void remove_advance(struct pod_op *op)
{
    if (op->step == REMOVE_LOGS)
        op->err = start_delete_logs_result(op);
    if (op->err && op->err->code != ERROR_NOT_FOUND) {
        AUTO(error) struct error *err = TAKE(op->err);
        log_warning("Could not remove a container, will try again",
                    LOG_POD(op->worker->namespace, op->worker->name),
                    LOG_STR("containerID", op->target), LOG_ERR(err));
        pod_worker_cool_down(op->worker, op->target, pods_retry_delay(op->worker->pods, false));
        pod_op_end(op);
        return;
    }
    switch (op->step) {
    case REMOVE_STOP:
        remove_logs(op);
        return;
    case REMOVE_LOGS:
        remove_call(op);
        return;
    case REMOVE_CALL:
        removed(op);
        return;
    }
}

/* It may run, for all the runtime knows. */
static void stop_unknown(struct pod_op *op, const struct container_observed *instance)
{
    int64_t grace_s = max_i64(instance->has_grace ? instance->grace_s : 0, KILL_GRACE_FLOOR_S);
    pod_worker_event(op->worker, TIMELINE_NORMAL, "Killing",
                     arena_strdup(op->arena, instance->name),
                     "Container is in unknown state, try killing it before removal");
    Cri__StopContainerRequest request = CRI__STOP_CONTAINER_REQUEST__INIT;
    request.container_id = cri_borrow(op->target);
    request.timeout = grace_s;
    op->step = REMOVE_STOP;
    pod_op_call(op, RUNTIME_STOP_CONTAINER, &request.base, sat_mul_i64(grace_s, NS_PER_SEC));
}

void op_remove_container_start(struct pod_worker *worker, const struct pod_action *action)
{
    struct pod_op *op = pod_op_new(worker, POD_ACTION_REMOVE_CONTAINER, action->id);
    op->advance = remove_advance;
    struct remove *remove = arena_alloc(op->arena, sizeof(*remove));
    remove->keeps_logs = action->keeps_logs;
    op->state = remove;
    const struct container_observed *instance = pod_observed_container(&worker->have, action->id);
    if (instance && instance->state == CONTAINER_UNKNOWN) {
        stop_unknown(op, instance);
        return;
    }
    remove_logs(op);
}
