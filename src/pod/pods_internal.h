/*
 * Shared inside the pod room only: the worker of one pod and the set of all workers. Loop thread.
 *
 *   pods.c      the set: first observation, audit, the wake queue
 *   desired.c   what the sources want, merged; orphans
 *   admit.c     admission of new pods, and the pods that make room for others
 *   runtime_state.c  whether the runtime and its network are ready
 *   worker.c    one pod: plan, dispatch of actions, life cycle
 *   worker_status.c  its status, and who is told
 *   worker_refs.c    the ConfigMaps and Secrets it refers to
 *   worker_memory.c  what it remembers of what went wrong
 *
 * What a worker has under way is in op.h.
 */
#pragma once

#include "base/hash.h"
#include "base/log.h"
#include "pod/pod_metrics.h"
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

struct pods {
    struct pods_environment env;
    struct pod_worker *workers; /* hash head by uid */
    struct pod_worker *woken;   /* queue */
    struct loop_timer *turn;    /* drains the queue */
    struct loop_timer *audit;
    struct backoff *backoff;       /* containers */
    struct backoff *image_backoff; /* "<uid>_<image>" */
    size_t slots_used;
    int64_t started_ns;
    bool listed;            /* the first relist is done */
    unsigned ready_sources; /* bits 1 << enum pod_source */
    bool rereads_node;      /* for those that wait for it */
    bool swept;             /* leftovers on disk were looked for */
    bool relist_again, relist_again_audit;
    struct probe_exec *probe_exec; /* probing.c */
    struct probe_net *probe_net;   /* of probes and hooks */
    struct pods_relist *relist;    /* under way; relist.c */
    struct pods_sweep *sweep;      /* under way; sweep.c */
    struct log_monitor *logs;      /* log_monitor.h */
    struct pods_images *images;    /* under way; pods_images.c */
    /* runtime_state.c */
    struct loop_timer *status_poll; /* only while the runtime or its network is not ready */
    struct runtime_call *status_call;
    int64_t failing_since_ns; /* mono: when the runtime began not to answer; 0: it answers */
    bool runtime_ready, network_ready;
    bool was_runtime_ready;            /* at some time since the agent's start */
    char *runtime_message;             /* the more important reason, or "" */
    char *runtime_text, *network_text; /* for the node's condition; NULL: ready */
    struct arena *runtime_arena;
    const Cri__StatusResponse *runtime_status; /* in runtime_arena */

    bool qos_known; /* the tiers' shares were written for burstable_millis */
    int64_t burstable_millis;
    uint64_t missed_changes;
    struct pod_metrics metrics;
    int64_t relist_began_ns;          /* mono; the last one; 0: there was none */
    struct pods_listening *listeners; /* listeners.c */
};

/* --- listeners.c: who is told --- */

void pods_tell_changed(const struct pod_worker *worker);
void pods_tell_gone(const struct pod_worker *worker); /* unless it is wanted again */
void pods_tell_runtime(const struct pods *pods);
void pods_tell_image(const struct pods *pods);
void pods_listeners_free(struct pods *pods);

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
/** Looks for pod folders, cgroups, log folders and links to logs that belong to no pod and has them
 * cleaned, if that is due; sweep.c. */
void pods_sweep_start(struct pods *pods);
/** The next audit does: something may have been left. */
void pods_sweep_again(struct pods *pods);
/** Ends it silently. */
void pods_sweep_cancel(struct pods *pods);
/** Removes the dead containers that are too many on the node; gc_pass.c. */
void pods_collect_garbage(struct pods *pods);
/** An event on the node: what is to be collected could not be read. */
void pods_tell_gc_failed(const struct pods *pods, const char *message);
/** Tells the pull records once which images the runtime has, if they have anything to compare that
 * with; pods_images.c. */
void pods_images_start(struct pods *pods);
/** Ends it silently. */
void pods_images_cancel(struct pods *pods);
/** Wakes the pods of this full name, e.g. because one of them made room for the next. */
void pods_wake_name(struct pods *pods, const char *namespace, const char *name);
/** Writes the QoS tiers' cpu shares when the sum of requests has changed. */
void pods_update_qos(struct pods *pods);
/** A worker gave its start slot back. */
void pods_slot_released(struct pods *pods);
void pods_wake_all(struct pods *pods);
/** True when both have the same volumes, mounted by the same containers, for the same readers. */
bool pod_spec_has_same_volumes(const Core__PodSpec *a, const Core__PodSpec *b);
/** Ends the pods nobody wants, if that can be known already; desired.c. */
void pods_end_orphans(struct pods *pods);

/* --- admission: admit.c --- */

/** True for a pod that counts against the node's room. */
bool pod_worker_is_active(const struct pod_worker *worker);
/** Decides about a worker that has just got its first object. */
void pods_admit(struct pod_worker *worker);
/** False: it must go on waiting, until *next_ns at the latest. */
bool pod_worker_is_admitted(struct pod_worker *worker, int64_t *next_ns);
/** A pod has stopped: who waits for its room looks again. */
void pods_look_for_room(struct pods *pods);

/* --- the runtime's state: runtime_state.c --- */

void pods_runtime_init(struct pods *pods);
void pods_runtime_done(struct pods *pods);
/** Asks for the runtime's status. */
void pods_read_status(struct pods *pods);
/** The runtime has stopped answering: it is looked at often. */
void pods_runtime_failing(struct pods *pods);
