/*
 * Shared inside the pod room only: the worker of one pod, the operations it has under way, and the
 * set of all workers.
 *
 *   pods.c      the set: sources, first observation, audit, orphans, the wake queue
 *   worker.c    one pod: plan, dispatch of actions, life cycle, status
 *   op.c        what all operations share: calls, jobs, ending
 *   op_*.c      one kind of operation each, a state machine with one _advance()
 */
#pragma once

#include "base/hash.h"
#include "base/log.h"
#include "pod/pods.h"
#include "pod/status.h"

struct pod_worker;
struct pod_op;

/* --- operations --- */

/** Kinds beside those of the plan. */
#define POD_OP_INSPECT POD_ACTION_KIND_COUNT

/**
 * Something under way for one pod. Its arena holds all it needs; ending it frees everything. A
 * callback stores what came and calls advance(); all logic is in there.
 */
struct pod_op {
    struct pod_worker *worker;
    unsigned kind;             /* enum pod_action_kind or POD_OP_INSPECT */
    const char *target;        /* instance or sandbox id, container name, or "" */
    struct pod_object *object; /* keeps `container` and the spec alive; NULL for an orphan */
    const Core__Container *container;
    struct pod_action action; /* as planned; its texts are copied */
    int64_t since_ns;         /* wall */
    int step;                 /* of the state machine in op_*.c */
    void (*advance)(struct pod_op *op);
    void (*release)(struct pod_op *op); /* what cannot live in the arena; may be NULL */
    void *state;                        /* the kind's own struct, in the arena */
    struct arena *arena;

    struct runtime_call *call; /* one of these is pending between two steps */
    struct work *work;
    struct volume_op *volume;
    struct loop_timer *timer;
    const ProtobufCMessage *reply; /* valid inside advance() only, as is job */
    void *job;
    struct error *err; /* of the step that just ended; advance() takes it or it is dropped */
    bool may_abandon;  /* see pod_op_idles() */
    struct pod_op *prev, *next;
};

/** Links a new operation into its worker. The caller then sets advance and calls it. */
struct pod_op *pod_op_new(struct pod_worker *worker, unsigned kind, const char *target);
/** Starts an RPC whose end calls advance(). */
void pod_op_call(struct pod_op *op, enum runtime_method method, const ProtobufCMessage *request,
                 int64_t extra_ns);
/**
 * Runs @job_owned with @run on the pool and frees it with @release after advance(), which finds it
 * in op->job.
 */
struct pod_job {
    const char *name;
    void (*run_blocking)(void *job);
    void (*release)(void *job);
};
void pod_op_job(struct pod_op *op, const struct pod_job *kind, void *job_owned);
/** Calls advance() after @delay_ns. */
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
void op_clean_disk_start(struct pod_worker *worker);
void op_kill_container_start(struct pod_worker *worker, const struct pod_action *action);
void op_stop_sandbox_start(struct pod_worker *worker, const struct pod_action *action);
void op_remove_container_start(struct pod_worker *worker, const struct pod_action *action);
void op_remove_sandbox_start(struct pod_worker *worker, const struct pod_action *action);
/** Reads the pod, or only container @container_id (NULL: all), from the runtime. */
void op_inspect_start(struct pod_worker *worker, const char *container_id);

/* --- the worker of one pod --- */

/** A step on one instance or sandbox failed: leave it alone until then. */
struct pod_cooldown {
    char *id;
    int64_t until_ns;
};

struct pod_worker {
    struct pods *pods;
    char *uid, *name, *namespace;
    struct pod_object *object; /* NULL for an orphan */
    struct pod_object
        *again; /* wanted anew under the same uid once this removed one is gone, or NULL */
    struct pod_desired want;
    struct pod_observed have;
    bool observed;      /* the runtime was read at least once; before that nothing is planned */
    bool inspect_again; /* something changed while an inspection was under way */
    bool network_event_sent; /* NetworkNotReady was noted for the present wait */
    bool sandbox_event_sent; /* SandboxChanged was noted for the replacement under way */

    struct container_note *notes; /* per container of the spec: init, then regular */
    struct start_result *results; /* same index; texts are owned */
    size_t n_notes;
    struct pod_probe *probes; /* three per note; NULL: no container has a probe; probing.c */
    char **probed;            /* per note: the instance its results are about, or NULL */

    bool cgroup_ready, volumes_ready, disk_clean, kill_failed;
    int64_t setup_retry_at_ns, cleanup_retry_at_ns;
    struct pod_cooldown *cooldowns;
    size_t n_cooldowns;
    struct volume_set *volumes;

    Core__PodStatus *status;
    struct arena *status_arena;
    struct timeline timeline;

    struct pod_op *ops; /* under way; at most one is chained */
    bool holds_slot;    /* counts among the parallel starts */
    bool waits_for_slot;
    bool was_offered_slot;    /* woken by pods_slot_released() */
    struct loop_timer *timer; /* next look */
    bool queued;              /* linked into the wake queue */
    struct pod_worker *wake_prev, *wake_next;
    UT_hash_handle hh; /* pods->workers by uid */
};

struct pods {
    struct pods_environment env;
    struct pod_worker *workers; /* hash head by uid */
    struct pod_worker *woken;   /* queue */
    struct loop_timer *turn;    /* drains the queue */
    struct loop_timer *audit;
    struct loop_timer *status_poll; /* only while the runtime or its network is not ready */
    struct backoff *backoff;        /* containers */
    struct backoff *image_backoff;  /* "<uid>_<image>" */
    size_t slots_used;
    int64_t started_ns;
    bool listed; /* the first relist is done */
    bool sources_ready;
    bool swept; /* leftovers on disk were looked for */
    bool relist_again, relist_again_audit;
    struct probe_exec *probe_exec; /* probing.c */
    struct pods_relist *relist;    /* under way; relist.c */
    struct runtime_call *status_call;
    struct pods_sweep *sweep; /* under way; sweep.c */
    bool runtime_ready, network_ready;
    char *runtime_message;
    bool qos_known; /* the tiers' shares were written for burstable_millis */
    int64_t burstable_millis;
    uint64_t missed_changes;
    void (*on_change)(void *ctx, const struct pod_view *view);
    void *on_change_ctx;
};

/** Makes a worker for @uid and links it into the set. @name and @namespace may be "" for an orphan
 * on disk. */
struct pod_worker *pod_worker_new(struct pods *pods, const char *uid, const char *namespace,
                                  const char *name);
void pod_worker_free(struct pod_worker *worker); /* cancels its operations, unlinks it */
/** Gives the worker its (new) desired pod. */
void pod_worker_set_object(struct pod_worker *worker, struct pod_object *object);
/** Starts termination; a second call may only shorten the grace period. */
void pod_worker_terminate(struct pod_worker *worker, bool removed);
/** Promises at least one later pass. Idempotent. */
void pod_worker_wake(struct pod_worker *worker);
/** One pass: status, plan, dispatch. May free the worker (when it is finished). */
void pod_worker_run(struct pod_worker *worker);
/** Leaves @id alone for @delay_ns. */
void pod_worker_cool_down(struct pod_worker *worker, const char *id, int64_t delay_ns);
/** The note and the start result of container @name; NULL when the spec does not name it. */
struct container_note *pod_worker_note(struct pod_worker *worker, const char *name);
void pod_worker_set_result(struct pod_worker *worker, const char *name, const char *reason,
                           const char *message);
/** Adds to the timeline and logs. */
void pod_worker_event(struct pod_worker *worker, enum timeline_type type, const char *reason,
                      const char *container, const char *message);
void pod_worker_view(const struct pod_worker *worker, struct pod_view *ret);
bool pod_worker_has_name(const struct pod_worker *worker, const char *namespace, const char *name);

/** The pause after a failed step, with upstream's jitter of up to half; @soon: a tenth of it (spec
 * pods.md §3.6). */
int64_t pods_retry_delay(const struct pods *pods, bool soon);
struct pod_worker *pods_find(struct pods *pods, const char *uid);
/**
 * Lists the runtime's sandboxes and containers, makes workers for pods nobody knew and has those
 * inspected whose list differs from what was seen; relist.c. One at a time: a second wish is
 * remembered. @audit: differences were missed by events and pidfds and are counted.
 */
void pods_relist_start(struct pods *pods, bool audit);
void pods_relist_cancel(struct pods *pods);
/** The first list is known: what has no entry in it is known to have nothing in the runtime. */
void pods_on_listed(struct pods *pods);
/** Looks for pod folders, cgroups and log folders that belong to no pod and has them cleaned;
 * sweep.c. */
void pods_sweep_start(struct pods *pods);
void pods_sweep_cancel(struct pods *pods);
/** Wakes the pods of this full name, e.g. because one of them made room for the next. */
void pods_wake_name(struct pods *pods, const char *namespace, const char *name);
/** Writes the QoS tiers' cpu shares when the sum of requests has changed. */
void pods_update_qos(struct pods *pods);
/** A worker gave its start slot back. */
void pods_slot_released(struct pods *pods);
/** Gives @worker's start slot back, if it holds one. */
void pod_worker_release_slot(struct pod_worker *worker);
/** One of the objects of pods_set_desired(). */
void pods_want_object(struct pods *pods, struct pod_object *object);
