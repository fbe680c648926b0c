/*
 * Tells the API server the statuses of this node's pods, and deletes there what has ended for good.
 * A change is sent at once; changes that come while a pod's request is under way are sent together
 * afterwards; nothing waits for an answer but the next request for the same pod. While the server
 * is away only which pods are out of date is kept (their statuses are read from the pods when they
 * are sent): final deletes go first, then terminal phases, then critical pods, then the others,
 * oldest change first. Rules: spec pods.md §8.7-§8.9. Loop thread.
 *
 * Unlike the kubelet it does not GET a pod before each PATCH: what the server has is known from the
 * watch or from the last PATCH's answer, whichever is newer; a GET follows a refusal only.
 */
#pragma once

#include "kube/api_client.h"
#include "kube/object.h"

#include "core.pb-c.h"

struct metrics;        /* base/metrics.h */
struct status_manager; /* opaque */

/** What there is to be told of a pod; everything borrowed for the call. */
struct status_report {
    const char *namespace_, *name;
    const Core__PodStatus *status; /* NULL: nothing yet */
    const struct kube_object *api; /* as the API source last saw it: the pod, or the mirror of a
                                      static one; NULL: the server has none, nothing can be sent */
    bool is_static;
    bool is_critical;
    bool could_run; /* see status_patch.h */
    bool finished;  /* stopped, volumes unmounted, cgroup gone: may be deleted for good */
};

struct status_manager_options {
    struct loop *loop;
    struct api_client *client;
    /** The present state of pod @uid (the node's own uid of it); false: there is no such pod, and
     * what is known of it is forgotten. Calls nothing of this header. */
    bool (*report)(void *ctx, const char *uid, struct status_report *ret);
    void *ctx;
    size_t max_parallel;     /* pods whose requests are under way at the same time; 0: 32 */
    struct metrics *metrics; /* borrowed; NULL: nothing is counted */
};

struct status_manager *status_manager_new(const struct status_manager_options *options);
/** Cancels what is under way. NULL is fine. */
void status_manager_free(struct status_manager *manager);
DEFINE_AUTO(status_manager, struct status_manager *, status_manager_free)

/**
 * Something about pod @uid may have changed: its status, its life, or what the server has of it (a
 * watch event). Cheap; looks in the next turn of the loop, and sends only what the server lacks.
 */
void status_manager_wake(struct status_manager *manager, const char *uid);
/** The pod is gone: forget it. */
void status_manager_forget(struct status_manager *manager, const char *uid);

/** Pods whose state is not known to be the server's; without those the server has no object of. */
size_t status_manager_pending(const struct status_manager *manager);
/** Why the last request failed; NULL when it did not. */
const struct error *status_manager_error(const struct status_manager *manager);
