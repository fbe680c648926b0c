/*
 * All pods of the node: merges what the sources want with what the runtime holds, admits pods,
 * gives each a worker, and keeps going until both agree. The one place where pods are woken,
 * planned and acted upon. Loop thread.
 */
#pragma once

#include "pod/object.h"
#include "pod/observed.h"
#include "pod/pods_environment.h"
#include "pod/timeline.h"

#include "core.pb-c.h"

struct pods; /* opaque: one per node */

struct pods *pods_new(const struct pods_environment *environment);
/** Cancels everything under way; containers go on running. NULL is fine. */
void pods_free(struct pods *pods);
DEFINE_AUTO(pods, struct pods *, pods_free)

/** Begins: lists the runtime, adopts what runs, then plans. Until that is done nothing is started
 * or killed. */
void pods_start(struct pods *pods);

/*
 * What the sources want. Objects are borrowed, references are taken as needed. A pod that leaves is
 * terminated with its full grace period; one with a deletionTimestamp with the one it names. Once
 * all sources of the environment are ready, pods nobody wants are orphans, which are killed.
 */

/** Replaces the desired set of @source, which is ready from then on. */
void pods_set_desired(struct pods *pods, enum pod_source source, struct pod_object *const *objects,
                      size_t count);
/** One pod was added or has changed; its source is @object's. */
void pods_put(struct pods *pods, struct pod_object *object);
/** @source no longer has pod @uid. */
void pods_drop(struct pods *pods, enum pod_source source, const char *uid);
/** @source has told all it has. */
void pods_source_ready(struct pods *pods, enum pod_source source);
bool pods_sources_are_ready(const struct pods *pods);

/**
 * What the API server shows of static pod @uid, whose status of before the agent's start is taken
 * up when it has none of its own yet. Without effect on other pods.
 */
void pods_recover_status(struct pods *pods, const char *uid, const Core__PodStatus *status);

/** ConfigMap or Secret @name has come, changed or gone: pods that refer to it look again. */
void pods_object_changed(struct pods *pods, bool is_secret, const char *namespace_,
                         const char *name);
/** The node has other addresses, NULL-terminated and borrowed from now on. */
void pods_set_host_ips(struct pods *pods, const char *const *host_ips);
/** Something has come that any pod may have waited for: all of them look again at once. */
void pods_retry(struct pods *pods);

/** Ends a pod before its time: preemption, eviction, shutdown. Texts are copied. */
struct pod_kill {
    bool has_grace; /* else the pod's own */
    int64_t grace_s;
    const char *reason, *message; /* of the status, phase Failed */
    const char *disruption; /* message of condition DisruptionTarget; NULL: no such condition */
    bool is_eviction;       /* for its room: once stopped, nothing of it stays but its status */
};
void pods_kill(struct pods *pods, const char *uid, const struct pod_kill *kill);

/** One pod as others may see it; borrowed until the next turn of the loop. */
struct pod_view {
    const Core__Pod *pod;      /* NULL for an orphan */
    struct pod_object *object; /* the same with its source; NULL for an orphan */
    const char *uid, *name, *namespace;
    const Core__PodStatus *status; /* NULL before the first one */
    const char *doing;             /* "StartContainer web", … or "" */
    int64_t doing_since_ns;
    const struct timeline *timeline;
    const struct pod_observed *observed; /* what the runtime holds of it */
    bool terminating;
    bool removed;   /* no source wants it any more */
    bool could_run; /* containers may be running, or may yet be started */
    bool finished;  /* stopped for good, volumes unmounted, cgroup gone */
};
/** The pod with @uid; false: there is none. */
bool pods_view(const struct pods *pods, const char *uid, struct pod_view *ret);
/** Calls @visit for each pod, by namespace and name. */
void pods_visit(const struct pods *pods, void (*visit)(void *ctx, const struct pod_view *view),
                void *ctx);

/** Who is told. Not called from inside a function of this header. Each may be NULL. */
struct pods_listener {
    /** Its status, its object or its life is another. */
    void (*on_change)(void *ctx, const struct pod_view *view);
    /** Nothing is left of it and nobody wants it; @view is what it was. */
    void (*on_gone)(void *ctx, const struct pod_view *view);
    /** The runtime or its network became ready, or no longer is. */
    void (*on_runtime)(void *ctx);
    /** An image was pulled. */
    void (*on_image)(void *ctx);
    void *ctx;
};
/** One more who is told (copied), in the order of asking; none may go from inside a callback. */
void pods_listen(struct pods *pods, const struct pods_listener *listener);
/** The one with @ctx is told no more. */
void pods_unlisten(struct pods *pods, const void *ctx);

/** Host path of the log of container @name's newest (or @previous) instance; NULL when there is
 * none. Owned. */
char *pods_log_path(const struct pods *pods, const char *uid, const char *name, bool previous);

/** The id of container @name's instance that runs now, as the runtime knows it; NULL: none does.
 * Borrowed until the next turn. */
const char *pods_running_container(const struct pods *pods, const char *uid, const char *name);
/** The id of the pod's newest sandbox when it is READY, else NULL. Borrowed until the next turn. */
const char *pods_ready_sandbox(const struct pods *pods, const char *uid);

struct pods_summary {
    size_t desired, running, orphans;
    bool settled; /* every pod is observed and nothing is under way */
    bool runtime_ready, network_ready;
    const char *runtime_message; /* why not, or "" */
    uint64_t missed_changes;     /* found by the audit alone */
};
void pods_summarize(const struct pods *pods, struct pods_summary *ret);

/** What the runtime last said of itself, borrowed until the next turn; NULL: nothing yet. */
const Cri__StatusResponse *pods_runtime_status(const struct pods *pods);
/** Why the runtime keeps the node from being ready, in upstream's words and order (spec node.md
 * §7): up to PODS_MAX_NOT_READY texts, borrowed until the next turn. Returns their number. */
#define PODS_MAX_NOT_READY 3
size_t pods_not_ready(const struct pods *pods, const char *ret[static PODS_MAX_NOT_READY]);
