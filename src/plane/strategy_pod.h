/*
 * The changes pods allow, a function each way in. For strategy_pod*.c only. Pure. Any thread.
 */
#pragma once

#include "plane/strategy_internal.h"

/** The old and the new state of a pod that is changed; both have spec and metadata. */
struct pod_change {
    const Core__Pod *pod;
    const Core__Pod *old;
};

/** Validates the pod as a new one, but for its ephemeral containers, which have rules of their own.
 */
void pod_validate_whole(struct validation *v, const Core__Pod *pod);
/** PUT and PATCH of the pod itself: images, deadline, tolerations, scheduling gates. */
void pod_validate_update(struct validation *v, const struct pod_change *change);
/** Through status. */
void pod_validate_status(struct validation *v, const struct pod_change *change);
/** Through ephemeralcontainers: only additions. */
void pod_validate_ephemeral(struct validation *v, const struct pod_change *change);
/** Through resize: only cpu and memory. */
void pod_validate_resize(struct validation *v, const struct pod_change *change);

/** Annotations that cannot be changed: that of a mirror pod. */
void pod_validate_annotation_change(struct validation *v, const struct pod_change *change);
/** The spec of @old with the containers' resources of @pod; @pod's own when containers were added,
 * removed or renamed, for validation to say so. */
Core__PodSpec *pod_resized_spec(const Core__PodSpec *spec, const Core__PodSpec *old,
                                struct arena *arena);
