/*
 * A token bucket: so many requests at once, so many a second over time. It keeps the time at which
 * the bucket would be full again, so that integers suffice. No clock: time is passed in,
 * monotonic nanoseconds. Pure. Any thread.
 */
#pragma once

#include "base/base.h"

struct rate_limit {
    int64_t interval_ns; /* in which one token comes */
    int64_t depth_ns;    /* the bucket, as time: (burst - 1) × interval */
    int64_t full_ns;     /* when it is full again */
};

/** A full bucket of @burst (at least 1) tokens, to which @qps (> 0) come every second. */
void rate_limit_init(struct rate_limit *limit, double qps, unsigned burst);

/** Takes a token: true. Without one, false: *ret_wait_ns, which is > 0, is how long until there is
 * one. */
MUST_CHECK bool rate_limit_take(struct rate_limit *limit, int64_t now_ns, int64_t *ret_wait_ns);
