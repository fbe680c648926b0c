/*
 * Shared inside the pod room only: the worker of one pod and the set of all workers. Loop thread.
 *
 *   pods.c      the set: sources, first observation, audit, orphans, the wake queue
 *   worker.c    one pod: plan, dispatch of actions, life cycle, status
 *   worker_memory.c  what it remembers of what went wrong
 *
 * What a worker has under way is in op.h.
 */
#pragma once

#include "base/hash.h"
#include "base/log.h"
#include "pod/pods.h"
#include "pod/status.h"

struct pod_op; /* op.h */

/* --- the worker of one pod --- */

/** A step on one instance or sandbox failed: leave it alone until then. */
struct pod_cooldown {
    char *id;
    int64_t until_ns;
};
struct pod_pull_failure; /* opaque: the last failed pull of an image */

struct pod_worker {
    struct pods *pods;
    char *uid, *name, *namespace;
    struct pod_object *object; /* NULL for an orphan */
    struct pod_object
        *again; /* wanted anew under the same uid once this removed one is gone, or NULL */
    struct pod_desired want;
    struct pod_observed have;
    bool observed;       /* the runtime was read at least once; before that nothing is planned */
    bool inspect_again;  /* something changed while an inspection was under way */
    bool inspect_failed; /* the last one did, which was told */
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
    struct pod_pull_failure *pull_failures; /* worker_memory.c */
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
    int64_t failing_since_ns;       /* mono: when the runtime began not to answer; 0: it answers */
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
/** Adds to the timeline and logs. */
void pod_worker_event(struct pod_worker *worker, enum timeline_type type, const char *reason,
                      const char *container, const char *message);
/** What others may see of it now; borrows from the worker. */
void pod_worker_view(const struct pod_worker *worker, struct pod_view *ret);
bool pod_worker_has_name(const struct pod_worker *worker, const char *namespace, const char *name);
/** Gives its start slot back, if it holds one. */
void pod_worker_release_slot(struct pod_worker *worker);

/* --- what a worker remembers: worker_memory.c --- */

/** Makes notes and results follow the spec of worker->object; what is known of a container whose
 * name stays is kept. The object before must still be there. */
void pod_worker_renew_notes(struct pod_worker *worker);
/** The note of container @name; NULL when the spec does not name it. */
struct container_note *pod_worker_note(struct pod_worker *worker, const char *name);
/** Why container @name was not started (texts are copied); @reason NULL: it was. */
void pod_worker_set_result(struct pod_worker *worker, const char *name, const char *reason,
                           const char *message);
/** Leaves @id, an instance, a sandbox or "" for reading the runtime, alone for @delay_ns. */
void pod_worker_cool_down(struct pod_worker *worker, const char *id, int64_t delay_ns);
/** When @id may be touched again (wall clock); 0: now. */
int64_t pod_worker_cools_until(const struct pod_worker *worker, const char *id);
/** Forgets the cooldowns that are over; after the last one a failed kill no longer counts. */
void pod_worker_end_cooldowns(struct pod_worker *worker, int64_t now_ns);
/** Remembers why @image could not be pulled (both copied); @text NULL: it could. */
void pod_worker_set_pull_failure(struct pod_worker *worker, const char *image, const char *text);
/** That text, borrowed; NULL when the last pull of @image did not fail. */
const char *pod_worker_pull_failure(const struct pod_worker *worker, const char *image);
/** Forgets everything, before the worker is freed. */
void pod_worker_forget(struct pod_worker *worker);

/* --- the set of all workers --- */

/** The pause after a failed step, with upstream's jitter of up to half; @soon: a tenth of it (spec
 * pods.md §3.6). */
int64_t pods_retry_delay(const struct pods *pods, bool soon);
/** The worker of the pod with @uid, or NULL. */
struct pod_worker *pods_find(struct pods *pods, const char *uid);
/**
 * Lists the runtime's sandboxes and containers, makes workers for pods nobody knew and has those
 * inspected whose list differs from what was seen; relist.c. One at a time: a second wish is
 * remembered. @audit: differences were missed by events and pidfds and are counted.
 */
void pods_relist_start(struct pods *pods, bool audit);
/** Ends what pods_relist_start() began, silently. */
void pods_relist_cancel(struct pods *pods);
/** The first list is known: what has no entry in it is known to have nothing in the runtime. */
void pods_on_listed(struct pods *pods);
/** Looks for pod folders, cgroups and log folders that belong to no pod and has them cleaned;
 * sweep.c. */
void pods_sweep_start(struct pods *pods);
/** Ends it silently. */
void pods_sweep_cancel(struct pods *pods);
/** Wakes the pods of this full name, e.g. because one of them made room for the next. */
void pods_wake_name(struct pods *pods, const char *namespace, const char *name);
/** Writes the QoS tiers' cpu shares when the sum of requests has changed. */
void pods_update_qos(struct pods *pods);
/** A worker gave its start slot back. */
void pods_slot_released(struct pods *pods);
/** One of the objects of pods_set_desired(). */
void pods_want_object(struct pods *pods, struct pod_object *object);
