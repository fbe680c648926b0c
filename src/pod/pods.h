/*
 * All pods of the node: merges what the sources want with what the runtime holds, gives each pod a
 * worker, and keeps going until both agree. The one place where pods are woken, planned and acted
 * upon. Loop thread.
 */
#pragma once

#include "base/base.h"
#include "cgroup/cgroup.h"
#include "image/pull_queue.h"
#include "loop/work.h"
#include "pod/cri_config.h"
#include "pod/object.h"
#include "pod/runtime.h"
#include "pod/timeline.h"
#include "volume/volume.h"

#include "core.pb-c.h"

struct pods; /* opaque: one per node */

#define PODS_RETRY_NS (10 * NS_PER_SEC) /* pkg/kubelet/pod_workers.go: backOffPeriod */

/** The rooms around it, all borrowed and outliving the pods. */
struct pods_environment {
    struct loop *loop;
    struct work_pool *pool;
    struct pod_runtime *runtime;
    struct volume_manager *volumes;
    struct cgroup_tree *cgroups;
    struct pull_queue *pulls;
    const struct node_facts *node;
    const char *runtime_name;    /* "containerd" */
    const char *resolv_conf;     /* path; "" : none */
    const char *etc_hosts;       /* "/etc/hosts" */
    const char *container_links; /* "/var/log/containers" */
    int64_t backoff_max_ns;
    int64_t retry_ns; /* pause after a failed step; PODS_RETRY_NS but in tests */
    int32_t max_dead_per_container;
    int64_t audit_period_ns;     /* relist of what events and pidfds may have missed */
    size_t max_parallel_starts;  /* pods that make sandboxes or start containers at the same time */
    const char *const *host_ips; /* NULL-terminated */
    struct pods_journal *journal; /* keeps what must survive a restart; NULL: nothing does */
};

/** What the pods need kept over a restart of the agent; src/journal implements it through agent.c.
 */
struct pods_journal_vtable {
    /** Notes the back-off of container @key ("" wait and time 0: forget it). Batches and writes on
     * its own. */
    void (*note_backoff)(struct pods_journal *self, const char *key, int64_t wait_ns,
                         int64_t restarted_ns);
    /** Calls @each for every back-off kept. */
    void (*load_backoffs)(struct pods_journal *self,
                          void (*each)(void *ctx, const char *key, int64_t wait_ns,
                                       int64_t restarted_ns),
                          void *ctx);
};
struct pods_journal {
    const struct pods_journal_vtable *vtable;
};

struct pods *pods_new(const struct pods_environment *environment);
/** Cancels everything under way; containers go on running. NULL is fine. */
void pods_free(struct pods *pods);
DEFINE_AUTO(pods, struct pods *, pods_free)

/** Begins: lists the runtime, adopts what runs, then plans. Until that is done nothing is started
 * or killed. */
void pods_start(struct pods *pods);

/**
 * Replaces the desired set of source "file": @objects (@count, references are taken as needed).
 * Pods that left the set are terminated with their full grace period; the first set also makes pods
 * nobody wants orphans, which are killed.
 */
void pods_set_desired(struct pods *pods, struct pod_object *const *objects, size_t count);

/** One pod as others may see it; borrowed until the next turn of the loop. */
struct pod_view {
    const Core__Pod *pod; /* NULL for an orphan */
    const char *uid, *name, *namespace;
    const Core__PodStatus *status; /* NULL before the first one */
    const char *doing;             /* "StartContainer web", … or "" */
    int64_t doing_since_ns;
    const struct timeline *timeline;
    bool terminating;
};
/** Calls @visit for each pod, by namespace and name. */
void pods_visit(const struct pods *pods, void (*visit)(void *ctx, const struct pod_view *view),
                void *ctx);

/** Calls @on_change (one listener) after a pod's status changed or the pod is gone (status NULL).
 */
void pods_listen(struct pods *pods, void (*on_change)(void *ctx, const struct pod_view *view),
                 void *ctx);

/** Host path of the log of container @name's newest (or @previous) instance; NULL when there is
 * none. Owned. */
char *pods_log_path(const struct pods *pods, const char *uid, const char *name, bool previous);

struct pods_summary {
    size_t desired, running, orphans;
    bool settled; /* every pod is observed and nothing is under way */
    bool runtime_ready, network_ready;
    const char *runtime_message; /* why not, or "" */
    uint64_t missed_changes;     /* found by the audit alone */
};
void pods_summarize(const struct pods *pods, struct pods_summary *ret);
