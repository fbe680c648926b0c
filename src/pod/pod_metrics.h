/*
 * What is counted of pods (spec server.md §5.2, §5.4): the families, and what a worker has to note
 * so that its times can be told. Gauges of the whole set are collected when asked: pods_collect.c.
 * Inside the pod room only. Loop thread.
 */
#pragma once

#include "base/metrics.h"

struct container_observed;
struct pod_worker;
struct pods;

enum pod_metric {
    POD_METRIC_RUNNING_PODS,
    POD_METRIC_RUNNING_CONTAINERS,
    POD_METRIC_DESIRED_PODS,
    POD_METRIC_ACTIVE_PODS,
    POD_METRIC_MIRROR_PODS,
    POD_METRIC_WORKING_PODS,
    POD_METRIC_EPHEMERAL_CONTAINERS,
    POD_METRIC_VOLUMES,
    POD_METRIC_ORPHANED_PODS,
    POD_METRIC_CLEANED_ORPHANS,
    POD_METRIC_CLEANED_ORPHAN_ERRORS,
    POD_METRIC_RESTARTED_PODS,
    POD_METRIC_CONTAINERS_PER_POD,
    POD_METRIC_WORKER_SECONDS,
    POD_METRIC_WORKER_START_SECONDS,
    POD_METRIC_START_SECONDS,
    POD_METRIC_START_SLI_SECONDS,
    POD_METRIC_START_TOTAL_SECONDS,
    POD_METRIC_FIRST_NETWORK_START,
    POD_METRIC_RELIST_SECONDS,
    POD_METRIC_RELIST_INTERVAL,
    POD_METRIC_RELIST_LAST,
    POD_METRIC_POD_RELIST_SECONDS,
    POD_METRIC_STARTED_PODS,
    POD_METRIC_STARTED_POD_ERRORS,
    POD_METRIC_STARTED_USERNS_PODS,
    POD_METRIC_STARTED_USERNS_POD_ERRORS,
    POD_METRIC_STARTED_CONTAINERS,
    POD_METRIC_STARTED_CONTAINER_ERRORS,
    POD_METRIC_TERMINATED_CONTAINERS,
    POD_METRIC_ADMISSION_REJECTIONS,
    POD_METRIC_PREEMPTIONS,
    POD_METRIC_SLEEPS_CUT,
    POD_METRIC_HOOK_FALLBACKS,
    POD_METRIC_CGROUP_SECONDS,
    POD_METRIC_IMAGE_PULL_SECONDS,
    POD_METRIC_IMAGE_REQUESTS,
    POD_METRIC_COUNT
};

/* On a page of its own, /metrics/probes. */
enum probe_metric { PROBE_METRIC_TOTAL, PROBE_METRIC_SECONDS, PROBE_METRIC_COUNT };

struct pod_metrics {
    struct metric_family *families[POD_METRIC_COUNT]; /* all NULL: nothing is counted */
    struct metric_family *probes[PROBE_METRIC_COUNT];
    bool has_network_start; /* POD_METRIC_FIRST_NETWORK_START is set */
};

/** @metrics and @probe_metrics may be NULL. */
void pod_metrics_init(struct pod_metrics *ret, struct metrics *metrics,
                      struct metrics *probe_metrics);

/** What a worker notes. Times are mono unless said. */
struct pod_times {
    int64_t seen_ns;         /* when its object was first seen; 0: it has none yet */
    int64_t busy_since_ns;   /* woken, and not at rest since; 0: at rest */
    int64_t first_pull_ns;   /* when its first image pull began; 0: none did */
    int64_t last_pull_ns;    /* when its last image pull ended */
    bool has_run;            /* it had its first pass with an object */
    bool is_created;         /* it was at rest once */
    bool is_updated;         /* it was given another object since it was at rest */
    bool is_terminated_told; /* its end was told */
};

/** A source has added the pod. */
void pod_metrics_added(struct pod_worker *worker);
/** It was woken. */
void pod_metrics_woken(struct pod_worker *worker);
/** Its pass begins. */
void pod_metrics_pass(struct pod_worker *worker);
/** Its pass has ended: when nothing is under way and nothing is to be looked at, it rests. */
void pod_metrics_rest(struct pod_worker *worker);
/** All of it has stopped: what follows is taking down what it stood on. */
void pod_metrics_stopped(struct pod_worker *worker);
/** Its phase is Running from now on, and was Pending. */
void pod_metrics_running(struct pod_worker *worker);
/** An instance that ran, or might have run, has exited. */
void pod_metrics_exited(struct pod_worker *worker, const struct container_observed *instance);
/** A sandbox is about to be made (@is_failure: could not be). */
void pod_metrics_sandbox(struct pod_worker *worker, bool is_failure);
/** Container @name is about to be started. */
void pod_metrics_starting(struct pod_worker *worker, const char *name);
/** It could not be; @code is the waiting reason. */
void pod_metrics_start_failed(struct pod_worker *worker, const char *name, const char *code);
/** An image of @bytes was pulled since @began_ns. */
void pod_metrics_pulled(struct pod_worker *worker, int64_t began_ns, uint64_t bytes);
/** The pod was refused with @reason. */
void pod_metrics_rejected(const struct pods *pods, const char *reason);
/** A cgroup operation ("create", "update", "destroy") took so long. */
void pod_metrics_cgroup(const struct pods *pods, const char *operation, int64_t took_ns);

/** Adds the gauges of the whole set to what @metrics (NULL is fine) collects; and ends that. */
void pods_collect_start(struct pods *pods, struct metrics *metrics);
void pods_collect_stop(struct pods *pods, struct metrics *metrics);
