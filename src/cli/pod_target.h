/* Which pod and which of its containers a command means. Pure. Any thread. */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

/** Texts borrowed from the list. */
struct pod_target {
    const Core__Pod *pod;
    const char *namespace, *name;
    const char *container;
    bool has_input, has_tty; /* what its spec gives the container */
    bool is_default;         /* it was not named, and there are others */
};

/**
 * Finds pod @name ("web", "pod/web") of @namespace (NULL: any) in @list: it is called so, or so
 * with "-<node>" behind, as static pods are. Leaves the container open. NOT_FOUND names the pod,
 * and the namespace in which there is one of that name.
 */
MUST_CHECK struct error *pod_target_find(const Core__PodList *list, const char *namespace,
                                         const char *name, struct pod_target *ret);

/** Chooses container @name of the target's pod; NULL: the one that its annotation
 * kubectl.kubernetes.io/default-container names, or the first. NOT_FOUND names those there are. */
MUST_CHECK struct error *pod_target_choose(struct pod_target *target, const char *name);

/** "a, b, c (init)": all containers of the target's pod. Lives in @arena. */
const char *pod_target_containers(const struct pod_target *target, struct arena *arena);

/** FAILED_PRECONDITION tells why nothing can be done in the container now: it does not run. */
MUST_CHECK struct error *pod_target_check_running(const struct pod_target *target);
