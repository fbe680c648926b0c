/* What all operations share: the pending call, job or timer, and the way an operation ends. */
#include "pod/op.h"

#include "pod/hook.h"

/* What the step before left and advance() did not take. */
static void drop_result(struct pod_op *op)
{
    op->reply = NULL;
    op->job = NULL;
    error_free(op->err);
    op->err = NULL;
}

struct pod_op *pod_op_new(struct pod_worker *worker, unsigned kind, const char *target)
{
    struct arena *arena = arena_new(0);
    struct pod_op *op = arena_alloc(arena, sizeof(*op));
    op->arena = arena;
    op->worker = worker;
    op->kind = kind;
    op->target = arena_strdup(arena, target ? target : "");
    op->spec_round = worker->spec_round;
    op->object = worker->object ? pod_object_ref(worker->object) : NULL;
    op->since_ns = loop_now_wall_ns(worker->pods->env.loop);
    DL_APPEND(worker->ops, op);
    log_v(4, "Operation begins", LOG_POD(worker->namespace, worker->name),
          LOG_STR("operation", kind < POD_ACTION_KIND_COUNT
                                   ? pod_action_name((enum pod_action_kind)kind)
                                   : "Inspect"),
          LOG_STR("target", op->target));
    return op;
}

/* The step that was pending has ended: run the state machine. */
static void step(struct pod_op *op)
{
    op->may_abandon = false;
    op->advance(op);
}

static void on_reply(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    struct pod_op *op = ctx;
    op->call = NULL;
    op->reply = reply;
    op->err = err_owned;
    step(op);
}

void pod_op_call(struct pod_op *op, enum runtime_method method, const ProtobufCMessage *request,
                 int64_t extra_ns)
{
    drop_result(op);
    op->call =
        runtime_call_start(op->worker->pods->env.runtime, method, request, extra_ns, on_reply, op);
}

void pod_op_error_as_rpc(struct pod_op *op)
{
    struct error *err = op->err;
    op->err = error_new(err->code, "rpc error: code = %s desc = %s", error_code_name(err->code),
                        err->message);
    error_free(err);
}

/* --- jobs: the pool's job is the operation's job with its kind --- */

struct op_job {
    const struct pod_job *kind;
    void *job;
};

static void op_job_run(void *job)
{
    struct op_job *wrapped = job;
    wrapped->kind->run_blocking(wrapped->job);
}

static void op_job_release(void *job)
{
    struct op_job *wrapped = job;
    wrapped->kind->release(wrapped->job);
    free(wrapped);
}

static void on_job_done(void *ctx, void *job)
{
    struct pod_op *op = ctx;
    op->work = NULL;
    op->job = ((struct op_job *)job)->job;
    step(op);
}

static const struct work_vtable op_job_vtable = {
    .name = "pod operation",
    .class = WORK_NORMAL,
    .run_blocking = op_job_run,
    .on_done = on_job_done,
    .release = op_job_release,
};

void pod_op_job(struct pod_op *op, const struct pod_job *kind, void *job_owned)
{
    struct op_job *wrapped = xcalloc(1, sizeof(*wrapped));
    *wrapped = (struct op_job){.kind = kind, .job = job_owned};
    drop_result(op);
    op->work = work_start(op->worker->pods->env.pool, &op_job_vtable, wrapped, op);
}

static void on_timer(void *ctx)
{
    step(ctx);
}

void pod_op_wait(struct pod_op *op, int64_t delay_ns)
{
    op->reply = NULL;
    op->job = NULL;
    if (!op->timer)
        op->timer = loop_timer_new(op->worker->pods->env.loop, "pod operation", on_timer, op);
    loop_timer_start(op->timer, delay_ns);
}

void pod_op_idles(struct pod_op *op)
{
    op->may_abandon = true;
    pod_worker_release_slot(op->worker);
}

/* --- the end --- */

static void op_free(void *object)
{
    struct pod_op *op = object;
    error_free(op->err);
    pod_object_unref(op->object);
    arena_free(op->arena);
}

void pod_op_cancel(struct pod_op *op)
{
    struct pod_worker *worker = op->worker;
    runtime_call_cancel(worker->pods->env.runtime, op->call);
    work_cancel(op->work);
    volume_op_cancel(op->volume);
    hook_cancel(op->hook);
    loop_timer_free(op->timer);
    op->call = NULL;
    op->work = NULL;
    op->volume = NULL;
    op->hook = NULL;
    op->timer = NULL;
    if (op->release)
        op->release(op);
    DL_DELETE(worker->ops, op);
    /* An operation usually ends below its own callback, so its memory goes at the end of the turn.
     */
    loop_defer_free(worker->pods->env.loop, op_free, op);
}

void pod_op_end(struct pod_op *op)
{
    struct pod_worker *worker = op->worker;
    pod_op_cancel(op);
    pod_worker_wake(worker);
}
