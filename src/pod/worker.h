/*
 * The worker of one pod: everything that is known of it and done about it. Shared inside the pod
 * room only. Loop thread.
 *
 *   worker.c         plan, dispatch of actions, life cycle
 *   worker_status.c  its status, and who is told
 *   worker_refs.c    the ConfigMaps and Secrets it refers to
 *   worker_memory.c  what it remembers of what went wrong
 *
 * The set it belongs to is in pods_internal.h; what it has under way is in op.h.
 */
#pragma once

#include "base/hash.h"
#include "pod/pods.h"
#include "pod/status.h"

struct pod_op; /* op.h */

/** A step on one instance or sandbox failed: leave it alone until then. */
struct pod_cooldown {
    char *id;
    int64_t until_ns;
};
struct pod_pull_failure; /* opaque: the last failed pull of an image */

/** Whether it may run here; admit.c. */
enum pod_admission {
    POD_NEW, /* not asked yet: an orphan, or about to be */
    POD_WAITS_NODE,
    POD_WAITS_VICTIMS,
    POD_ADMITTED,
    POD_REJECTED, /* keeps the status it got then */
};

/** Why it was ended before its time; texts owned, reason NULL: it was not. */
struct pod_forced_end {
    char *reason, *message;
    char *disruption; /* NULL: no condition DisruptionTarget */
    bool has_grace;
    int64_t grace_s;
};

struct pod_worker {
    struct pods *pods;
    char *uid, *name, *namespace;
    struct pod_object *object; /* NULL for an orphan */
    struct pod_object
        *again;          /* wanted anew under the same uid once this removed one is gone, or NULL */
    uint64_t spec_round; /* counts the specs it was given */
    struct pod_desired want;
    struct pod_observed have;
    bool observed;       /* the runtime was read at least once; before that nothing is planned */
    bool inspect_again;  /* something changed while an inspection was under way */
    bool inspect_failed; /* the last one did, which was told */
    enum pod_admission admission;
    char **victims; /* uids of those that make room for it; owned */
    size_t n_victims;
    int64_t victims_until_ns; /* wall clock: it is admitted then at the latest */
    bool makes_room;          /* it is a victim: its room is another's */
    struct pod_forced_end forced;
    bool network_event_sent; /* NetworkNotReady was noted for the present wait */
    bool sandbox_event_sent; /* SandboxChanged was noted for the replacement under way */

    struct container_note *notes; /* per container of the spec: init, regular, ephemeral */
    struct start_result *results; /* same index; texts are owned */
    size_t n_notes;
    struct pod_probe *probes; /* three per note; NULL: no container has a probe; probing.c */
    char **probed;            /* per note: the instance its results are about, or NULL */

    bool cgroup_ready, volumes_ready, disk_clean, kill_failed;
    bool volumes_stale;          /* what their content is made of has changed since */
    int64_t volumes_retry_at_ns; /* a refresh failed: not before this; 0: none */
    bool is_registered;          /* with the caches of ConfigMaps and Secrets; worker_refs.c */
    int64_t setup_retry_at_ns, cleanup_retry_at_ns;
    struct pod_cooldown *cooldowns;
    size_t n_cooldowns;
    struct pod_pull_failure *pull_failures; /* worker_memory.c */
    struct volume_set *volumes;

    Core__PodStatus *status;
    struct arena *status_arena;
    struct timeline timeline;
    struct pod_times times;

    struct pod_op *ops; /* under way; at most one is chained */
    bool holds_slot;    /* counts among the parallel starts */
    bool waits_for_slot;
    bool was_offered_slot;    /* woken by pods_slot_released() */
    struct loop_timer *timer; /* next look */
    bool is_changed;          /* the listener has yet to be told */
    bool queued;              /* linked into the wake queue */
    struct pod_worker *wake_prev, *wake_next;
    UT_hash_handle hh; /* pods->workers by uid */
};

/** Makes a worker for @uid and links it into the set. @name and @namespace may be "" for an orphan
 * on disk. */
struct pod_worker *pod_worker_new(struct pods *pods, const char *uid, const char *namespace,
                                  const char *name);
void pod_worker_free(struct pod_worker *worker); /* cancels its operations, unlinks it */
/** Gives the worker its (new) desired pod, which may be one that is to end. */
void pod_worker_set_object(struct pod_worker *worker, struct pod_object *object);
/** The same when nothing has changed that the pod's containers are made of. */
void pod_worker_keep_object(struct pod_worker *worker, struct pod_object *object);
/** Starts termination; a second call may only shorten the grace period. */
void pod_worker_terminate(struct pod_worker *worker, bool removed);
/** As pods_kill(). */
void pod_worker_kill(struct pod_worker *worker, const struct pod_kill *kill);
/** Whatever waits for a retry is tried in the next pass. */
void pod_worker_retry_now(struct pod_worker *worker);
/** Promises at least one later pass. Idempotent. */
void pod_worker_wake(struct pod_worker *worker);
/** One pass: status, plan, dispatch. May free the worker (when it is finished). */
void pod_worker_run(struct pod_worker *worker);
/** Begins to remove the dead instance @id, unless it must be left alone for now. */
void pod_worker_remove_container(struct pod_worker *worker, const char *id);
/** Adds to the timeline and logs. */
void pod_worker_event(struct pod_worker *worker, enum timeline_type type, const char *reason,
                      const char *container, const char *message);
/** Something others see of it has changed: the listener is told in the next pass. */
void pod_worker_changed(struct pod_worker *worker);
/** Tells it now. */
void pod_worker_tell(struct pod_worker *worker);
/** Computes its status anew, and tells when it is another; worker_status.c. */
void pod_worker_renew_status(struct pod_worker *worker, int64_t now_ns);
/** Its status is @status, which lives in @arena_owned. */
void pod_worker_take_status(struct pod_worker *worker, Core__PodStatus *status,
                            struct arena *arena_owned);
/** Begins with what the API server knew of it before the agent's start (copied). */
void pod_worker_recover_status(struct pod_worker *worker, const Core__PodStatus *status);
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

/* --- what it refers to: worker_refs.c --- */

/** Tells the caches of ConfigMaps and Secrets what the present object refers to, so that it is
 * watched and can be got. Without effect on static pods and without an API server. */
void pod_refs_register(struct pod_worker *worker);
/** It refers to nothing any more. */
void pod_refs_unregister(struct pod_worker *worker);

/* --- whether it may run here: admit.c --- */

/** True for a pod that counts against the node's room. */
bool pod_worker_is_active(const struct pod_worker *worker);
/** False: it must go on waiting, until *next_ns at the latest. */
bool pod_worker_is_admitted(struct pod_worker *worker, int64_t *next_ns);
