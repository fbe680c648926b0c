/*
 * Which dead containers are too many on the node (spec runtime.md §7.1, flags
 * maximum-dead-containers-per-container, maximum-dead-containers, minimum-container-ttl-duration).
 * Pure. Any thread. What a pod has no use for any more it removes itself (pod/plan.h); this is what
 * only all pods together can tell.
 */
#pragma once

#include "base/base.h"

struct gc_policy {
    int64_t now_ns;            /* wall, as all times here */
    int64_t min_age_ns;        /* younger ones are left alone */
    int32_t max_per_container; /* negative: no limit */
    int32_t max_containers;    /* negative: no limit */
};

/** A container that does not run. Texts are borrowed. */
struct gc_container {
    const char *pod_uid, *name, *id;
    int64_t created_ns;
    bool is_needed; /* counts, but stays: its pod's next steps depend on it */
    bool is_surplus;
};

/**
 * Sorts @dead and says of each whether it is surplus: of each pod's container the newest
 * max_per_container stay; when these are more than max_containers, as many of each as make
 * max_containers evenly, at least one; when they still are, the oldest of all go.
 */
void gc_plan(struct gc_container *dead, size_t count, const struct gc_policy *policy);
