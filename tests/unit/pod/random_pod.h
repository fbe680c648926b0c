/*
 * Pods made at random, and what befalls them: all from one seed, so that each can be replayed
 * alone.
 */
#pragma once

#include "tests/unit/pod/virtual_node.h"

struct random_pod {
    uint64_t state; /* of the generator */
    struct buf yaml;
    struct virtual_node node;
};

/** Makes the pod of @seed on a node of its own, with all that is going to befall it. */
void random_pod_init(struct random_pod *pod, uint32_t seed);
void random_pod_done(struct random_pod *pod);
/** Its whole life: until it rests or two hours are over, and then its end. */
void random_pod_live(struct random_pod *pod);
