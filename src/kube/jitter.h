/*
 * Random shares of time, so that the clients of one server do not all come at once. The arithmetic
 * is pure and takes the random number as a value; jitter_draw() is the one that makes them. Any
 * thread.
 */
#pragma once

#include "base/base.h"

/** A random number for the functions below: not for secrets. Never fails, never waits. */
uint64_t jitter_draw(void);

/** Uniform in [@low, @high); @low when the range is empty. */
int64_t jitter_between(int64_t low, int64_t high, uint64_t random);

/** @base plus up to @permille thousandths of it; saturates. */
int64_t jitter_above(int64_t base, int64_t permille, uint64_t random);

/**
 * Waits that grow: the first is initial_ns, each twice the one before up to max_ns, and each with
 * up to jitter_permille thousandths on top. Not asked for reset_ns (0: never), it starts over.
 */
struct growing_wait_policy {
    int64_t initial_ns, max_ns, jitter_permille, reset_ns;
};

/** Zeroed at the start, and to start over. */
struct growing_wait {
    int64_t next_ns; /* without jitter; 0: the first */
    int64_t used_ns; /* mono; when it was asked last */
};

/** The next wait, asked for at @now_ns (mono). */
int64_t growing_wait_next(struct growing_wait *wait, const struct growing_wait_policy *policy,
                          int64_t now_ns, uint64_t random);
