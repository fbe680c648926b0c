/*
 * Sandboxes: making one (log folder and resolv.conf, RunPodSandbox, PodSandboxStatus), stopping one
 * (StopPodSandbox, PodSandboxStatus; NotFound is success), removing one (StopPodSandbox,
 * RemovePodSandbox).
 */
#include "pod/cri_request.h"
#include "pod/prepare.h"

/* --- create --- */

enum { CREATE_PREPARE, CREATE_RUN, CREATE_STATUS };

struct create {
    uint32_t attempt;
};

static void creation_failed(struct pod_op *op, const char *reason, const char *what)
{
    struct pod_worker *worker = op->worker;
    pod_metrics_sandbox(worker, true);
    AUTO(error) struct error *err = TAKE(op->err);
    const char *text = arena_printf(op->arena, "%s: %s", what, err->message);
    /* A kill that was asked for meanwhile is the reason, not a failure worth telling (spec
     * runtime.md §2.2). */
    if (worker->want.life == POD_LIFE_SYNC)
        pod_worker_event(worker, TIMELINE_WARNING, reason, NULL, text);
    bool network = strstr(err->message, "network is not ready");
    worker->setup_retry_at_ns = sat_add_i64(loop_now_wall_ns(worker->pods->env.loop),
                                            pods_retry_delay(worker->pods, network));
    pod_op_end(op);
}

static void run_pod_sandbox(struct pod_op *op)
{
    const struct prepare_job *job = prepare_result(op);
    const struct create *create = op->state;
    struct sandbox_setup setup = {0};
    if (job->err)
        op->err = error_dup(job->err);
    else
        op->err = prepare_sandbox(op, job, create->attempt, &setup);
    if (op->err) {
        creation_failed(op, "FailedCreatePodSandBox", "Failed to create pod sandbox");
        return;
    }
    Cri__RunPodSandboxRequest request = CRI__RUN_POD_SANDBOX_REQUEST__INIT;
    request.config = setup.config;
    request.runtime_handler = cri_borrow(setup.handler.name);
    op->step = CREATE_RUN;
    pod_op_call(op, RUNTIME_RUN_POD_SANDBOX, &request.base, 0);
}

static void read_new_sandbox(struct pod_op *op)
{
    const Cri__RunPodSandboxResponse *reply = (const Cri__RunPodSandboxResponse *)op->reply;
    Cri__PodSandboxStatusRequest request = CRI__POD_SANDBOX_STATUS_REQUEST__INIT;
    request.pod_sandbox_id = cri_borrow(reply->pod_sandbox_id);
    op->step = CREATE_STATUS;
    pod_op_call(op, RUNTIME_POD_SANDBOX_STATUS, &request.base, 0);
}

static void create_advance(struct pod_op *op)
{
    switch (op->step) {
    case CREATE_PREPARE:
        run_pod_sandbox(op);
        return;
    case CREATE_RUN:
        if (op->err) {
            op->worker->inspect_again = true; /* only the answer may have been lost */
            pod_op_error_as_rpc(op);
            creation_failed(op, "FailedCreatePodSandBox", "Failed to create pod sandbox");
            return;
        }
        read_new_sandbox(op);
        return;
    case CREATE_STATUS:
        if (op->err) {
            op->worker->inspect_again = true; /* it exists, so it must be found */
            pod_op_error_as_rpc(op);
            creation_failed(op, "FailedPodSandBoxStatus", "Unable to get pod sandbox status");
            return;
        }
        pod_observed_put_sandbox(&op->worker->have,
                                 ((const Cri__PodSandboxStatusResponse *)op->reply)->status);
        op->worker->sandbox_event_sent = false;
        /* What failed in the old sandbox may well succeed in this one. */
        for (size_t i = 0; i < op->worker->n_notes; i++)
            op->worker->notes[i].retry_at_ns = 0;
        pod_op_end(op);
        return;
    }
}

void op_create_sandbox_start(struct pod_worker *worker, const struct pod_action *action)
{
    struct pod_op *op = pod_op_new(worker, POD_ACTION_CREATE_SANDBOX, NULL);
    struct create *create = arena_alloc(op->arena, sizeof(*create));
    create->attempt = action->attempt;
    pod_metrics_sandbox(worker, false);
    op->state = create;
    op->advance = create_advance;
    op->step = CREATE_PREPARE;
    prepare_start(op, NULL);
}

/* --- stop --- */

enum { STOP_CALL, STOP_STATUS };

static void stop_failed(struct pod_op *op)
{
    AUTO(error) struct error *err = TAKE(op->err);
    pod_worker_event(op->worker, TIMELINE_WARNING, "FailedKillPod", NULL,
                     arena_printf(op->arena, "error killing pod: %s", err->message));
    pod_worker_cool_down(op->worker, op->target, pods_retry_delay(op->worker->pods, false));
    pod_op_end(op);
}

static void stop_advance(struct pod_op *op)
{
    struct pod_observed *have = &op->worker->have;
    bool gone = op->err && op->err->code == ERROR_NOT_FOUND;
    if (op->err && !gone) {
        stop_failed(op);
        return;
    }
    if (gone) {
        pod_observed_drop_sandbox(have, op->target);
        pod_op_end(op);
        return;
    }
    switch (op->step) {
    case STOP_CALL: {
        Cri__PodSandboxStatusRequest request = CRI__POD_SANDBOX_STATUS_REQUEST__INIT;
        request.pod_sandbox_id = cri_borrow(op->target);
        op->step = STOP_STATUS;
        pod_op_call(op, RUNTIME_POD_SANDBOX_STATUS, &request.base, 0);
        return;
    }
    case STOP_STATUS:
        pod_observed_put_sandbox(have, ((const Cri__PodSandboxStatusResponse *)op->reply)->status);
        /* Whatever still ran in it is dead now; its exit is read before anything else is decided.
         */
        op->worker->inspect_again = true;
        pod_op_end(op);
        return;
    }
}

static void stop_call(struct pod_op *op)
{
    Cri__StopPodSandboxRequest request = CRI__STOP_POD_SANDBOX_REQUEST__INIT;
    request.pod_sandbox_id = cri_borrow(op->target);
    pod_op_call(op, RUNTIME_STOP_POD_SANDBOX, &request.base, 0);
}

void op_stop_sandbox_start(struct pod_worker *worker, const struct pod_action *action)
{
    struct pod_op *op = pod_op_new(worker, POD_ACTION_STOP_SANDBOX, action->id);
    op->advance = stop_advance;
    op->step = STOP_CALL;
    stop_call(op);
}

/* --- remove --- */

enum { REMOVE_STOP, REMOVE_CALL };

static void remove_advance(struct pod_op *op)
{
    if (op->err && op->err->code != ERROR_NOT_FOUND) {
        AUTO(error) struct error *err = TAKE(op->err);
        log_warning("Could not remove a sandbox, will try again",
                    LOG_POD(op->worker->namespace, op->worker->name),
                    LOG_STR("podSandboxID", op->target), LOG_ERR(err));
        pod_worker_cool_down(op->worker, op->target, pods_retry_delay(op->worker->pods, false));
        pod_op_end(op);
        return;
    }
    if (op->step == REMOVE_STOP && !op->err) {
        Cri__RemovePodSandboxRequest request = CRI__REMOVE_POD_SANDBOX_REQUEST__INIT;
        request.pod_sandbox_id = cri_borrow(op->target);
        op->step = REMOVE_CALL;
        pod_op_call(op, RUNTIME_REMOVE_POD_SANDBOX, &request.base, 0);
        return;
    }
    pod_observed_drop_sandbox(&op->worker->have, op->target);
    pod_op_end(op);
}

void op_remove_sandbox_start(struct pod_worker *worker, const struct pod_action *action)
{
    struct pod_op *op = pod_op_new(worker, POD_ACTION_REMOVE_SANDBOX, action->id);
    op->advance = remove_advance;
    op->step = REMOVE_STOP;
    stop_call(op);
}
