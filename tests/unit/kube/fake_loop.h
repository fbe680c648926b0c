/*
 * loop/loop.h on virtual time, and the random numbers of kube/jitter.h as the test wants them:
 * linked instead of the real ones. Only timers and deferred frees: nothing here waits.
 */
#pragma once

#include "loop/loop.h"

#define FAKE_LOOP_WALL_START_NS INT64_C(1800000000000000000)

/** Lets @duration_ns pass: what is due runs at its time, in order. 0: runs what is due now. */
void fake_loop_advance(struct loop *loop, int64_t duration_ns);
/** How long until the next timer; -1: none is armed. */
int64_t fake_loop_next(const struct loop *loop);
/** Timers armed now; timers and deferred frees that were not released yet. */
size_t fake_loop_armed(const struct loop *loop);
size_t fake_loop_live(const struct loop *loop);
/** What jitter_draw() gives from now on; 0 at the start. */
void fake_random_set(uint64_t random);
