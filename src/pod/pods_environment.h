/*
 * What the pods of a node need from around them: the rooms they use, the services they ask others
 * for, and how the configuration wants them. Values and vtables only; whoever makes the pods fills
 * them. Loop thread.
 */
#pragma once

#include "base/base.h"
#include "cgroup/cgroup.h"
#include "image/pull_queue.h"
#include "loop/work.h"
#include "pod/admission.h"
#include "pod/cri_config.h"
#include "pod/runtime.h"
#include "volume/volume.h"

#define PODS_RETRY_NS (10 * NS_PER_SEC) /* pkg/kubelet/pod_workers.go: backOffPeriod */

struct credential_providers; /* image/credential_provider.h */
struct event_recorder;       /* kube/event_recorder.h */
struct metrics;              /* base/metrics.h */
struct object_watch;         /* kube/object_watch.h */
struct pull_records;         /* image/pull_records.h */
struct reflector;            /* kube/reflector.h */
struct token_cache;          /* kube/token_cache.h */

/** What the pods use of an API server; all borrowed and outliving the pods. */
struct pods_api {
    struct object_watch *config_maps, *secrets;
    struct token_cache *tokens;
    const struct reflector *services;        /* those with a cluster IP */
    const struct reflector *runtime_classes; /* all */
    struct event_recorder *events;
};

/** Who knows the node that pods are admitted to; implemented by agent.c. */
struct pods_gate;
struct pods_gate_vtable {
    /** Fills @ret; what it refers to is borrowed until the next turn of the loop. */
    void (*node)(struct pods_gate *self, struct admission_node *ret);
    /** Reads the node's labels past what is known; @on_done runs once, later. NULL: cannot. */
    void (*reread)(struct pods_gate *self, void (*on_done)(void *ctx), void *ctx);
};
struct pods_gate {
    const struct pods_gate_vtable *vtable;
};

/** What becomes of container logs (spec runtime.md §6.3). */
struct pods_log_policy {
    int64_t max_bytes;   /* at which a log is rotated; negative: never, and logs outlive their
                            containers */
    int32_t max_files;   /* per container, > 1 */
    int32_t max_workers; /* rotations at a time */
    int64_t period_ns;   /* between two looks at the sizes; 0: nobody looks */
};

/** The rooms around it, all borrowed and outliving the pods. */
struct pods_environment {
    const struct pods_api *api; /* NULL: standalone */
    struct pods_gate *gate;     /* NULL: every pod is admitted */
    unsigned sources;           /* bits 1 << enum pod_source: those that will speak */
    struct loop *loop;
    struct work_pool *pool;
    struct pod_runtime *runtime;
    struct volume_manager *volumes;
    struct cgroup_tree *cgroups;
    struct pull_queue *pulls;
    struct credential_providers *credential_providers; /* NULL: there are none */
    struct pull_records *pull_records; /* NULL: every pod may use every image that is there */
    const struct node_facts *node;
    struct userns *userns;       /* NULL: no pod gets a user namespace */
    const char *runtime_name;    /* "containerd" */
    const char *resolv_conf;     /* path; "" : none */
    const char *etc_hosts;       /* "/etc/hosts" */
    const char *container_links; /* "/var/log/containers" */
    int64_t backoff_max_ns;
    int64_t retry_ns; /* pause after a failed step; PODS_RETRY_NS but in tests */
    int32_t max_dead_per_container;
    int32_t max_dead_containers; /* on the node; negative: no limit */
    int64_t min_dead_age_ns;     /* for what the two limits remove */
    struct pods_log_policy logs;
    int64_t audit_period_ns;     /* relist of what events and pidfds may have missed */
    size_t max_parallel_starts;  /* pods that make sandboxes or start containers at the same time */
    const char *const *host_ips; /* NULL-terminated */
    struct pods_journal *journal;  /* keeps what must survive a restart; NULL: nothing does */
    struct metrics *metrics;       /* where pods are counted; NULL: nowhere */
    struct metrics *probe_metrics; /* and their probes, which have a page of their own; likewise */
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
