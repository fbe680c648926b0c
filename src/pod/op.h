/*
 * What a pod has under way, for the pod room only: op.c is what all operations share (calls, jobs,
 * ending), op_*.c one kind of operation each, a state machine with one _advance(). Loop thread.
 */
#pragma once

#include "pod/pods_internal.h"

/** Kinds beside those of the plan. */
#define POD_OP_INSPECT POD_ACTION_KIND_COUNT
#define POD_OP_REFRESH (POD_ACTION_KIND_COUNT + 1U) /* content of volumes, beside the chain */

/**
 * Something under way for one pod. Its arena holds all it needs; ending it frees everything. A
 * callback stores what came and calls advance(); all logic is in there.
 */
struct pod_op {
    struct pod_worker *worker;
    unsigned kind;             /* enum pod_action_kind or POD_OP_… */
    const char *target;        /* instance or sandbox id, container name, or "" */
    struct pod_object *object; /* keeps `container` and the spec alive; NULL for an orphan */
    const Core__Container *container;
    uint64_t spec_round; /* of the worker when it began */
    int64_t since_ns;    /* wall */
    int step;            /* of the state machine in op_*.c */
    void (*advance)(struct pod_op *op);
    void (*release)(struct pod_op *op); /* what cannot live in the arena; may be NULL */
    void *state;                        /* the kind's own struct, in the arena */
    struct arena *arena;

    struct runtime_call *call; /* one of these is pending between two steps */
    struct work *work;
    struct volume_op *volume;
    struct loop_timer *timer;
    struct hook *hook;                     /* hook.c: an httpGet hook that waits */
    const Core__LifecycleHandler *handler; /* hook.c: what runs; of `object` */
    const ProtobufCMessage *reply;         /* valid inside advance() only, as is job */
    void *job;
    struct error *err; /* of the step that just ended; advance() takes it or it is dropped */
    bool may_abandon;  /* see pod_op_idles() */
    struct pod_op *prev, *next;
};

/** The wall-clock time of this turn. */
static inline int64_t pod_op_now(const struct pod_op *op)
{
    return loop_now_wall_ns(op->worker->pods->env.loop);
}

/** Links a new operation into its worker. The caller then sets advance and calls it. */
struct pod_op *pod_op_new(struct pod_worker *worker, unsigned kind, const char *target);
/** Starts an RPC whose end calls advance(). */
void pod_op_call(struct pod_op *op, enum runtime_method method, const ProtobufCMessage *request,
                 int64_t extra_ns);
/** A kind of job: what runs on the pool, and what frees the job on the loop. */
struct pod_job {
    const char *name;
    void (*run_blocking)(void *job);
    void (*release)(void *job);
};
/** Runs @job_owned on the pool; its end calls advance(), which finds it in op->job, and then frees
 * it. */
void pod_op_job(struct pod_op *op, const struct pod_job *kind, void *job_owned);
/** op->err, which must be set and the runtime's, in gRPC's words, as upstream shows some of them.
 */
void pod_op_error_as_rpc(struct pod_op *op);
/** Calls advance() after @delay_ns. Unlike the others it keeps op->err for it. */
void pod_op_wait(struct pod_op *op, int64_t delay_ns);
/**
 * The step that was just started waits for something that may take any time (a pull, a hook): the
 * pod's start slot is given back, and the operation is cancelled when the pod ends meanwhile.
 */
void pod_op_idles(struct pod_op *op);
/** Ends the operation: unlinks, wakes the worker, frees at the end of the turn. Cancels what is
 * pending. */
void pod_op_end(struct pod_op *op);
/** Cancels silently, e.g. because the worker goes away. */
void pod_op_cancel(struct pod_op *op);

/* Begin one operation each; they never fail from the caller's view. */
void op_create_sandbox_start(struct pod_worker *worker, const struct pod_action *action);
void op_start_container_start(struct pod_worker *worker, const struct pod_action *action);
void op_ensure_cgroup_start(struct pod_worker *worker);
void op_ensure_volumes_start(struct pod_worker *worker);
/** Publishes content of volumes that is another by now; the pod goes on with what it has meanwhile.
 */
void op_refresh_volumes_start(struct pod_worker *worker);
void op_clean_disk_start(struct pod_worker *worker);
void op_begin_stop_start(struct pod_worker *worker, const struct pod_action *action);
void op_kill_container_start(struct pod_worker *worker, const struct pod_action *action);
void op_stop_sandbox_start(struct pod_worker *worker, const struct pod_action *action);
void op_remove_container_start(struct pod_worker *worker, const struct pod_action *action);
void op_remove_sandbox_start(struct pod_worker *worker, const struct pod_action *action);
/** Reads the pod, or only container @container_id (NULL: all), from the runtime. */
void op_inspect_start(struct pod_worker *worker, const char *container_id);
