/*
 * The set of all pods on the node. Shared inside the pod room only. Loop thread.
 *
 *   pods.c           the set: first observation, audit, the wake queue
 *   desired.c        what the sources want, merged; orphans
 *   admit.c          admission of new pods, and the pods that make room for others
 *   runtime_state.c  whether the runtime and its network are ready
 *
 * One pod is in worker.h.
 */
#pragma once

#include "base/log.h"
#include "pod/pod_metrics.h"
#include "pod/worker.h"

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

/** Decides about a worker that has just got its first object. */
void pods_admit(struct pod_worker *worker);
/** A pod has stopped: who waits for its room looks again. */
void pods_look_for_room(struct pods *pods);

/* --- the runtime's state: runtime_state.c --- */

void pods_runtime_init(struct pods *pods);
void pods_runtime_done(struct pods *pods);
/** Asks for the runtime's status. */
void pods_read_status(struct pods *pods);
/** The runtime has stopped answering: it is looked at often. */
void pods_runtime_failing(struct pods *pods);
