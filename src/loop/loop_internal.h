/*
 * What the loop's own room shares: the view of a turning loop that the watchdog has, and the thread
 * check.
 */
#pragma once

#include "loop/loop.h"

#include <pthread.h>
#include <time.h>

/** Counts up while the loop turns. Any thread. */
uint64_t loop_progress(const struct loop *loop);
/** The name of the callback that runs now, or NULL between callbacks. Any thread. */
const char *loop_current_callback(const struct loop *loop);
/** True on the thread that made the loop; for DEBUG_ASSERT(). Any thread. */
bool loop_is_own_thread(const struct loop *loop);
/**
 * Starts a thread with a small stack and all signals blocked; detached, unless @ret_joinable is
 * given. Returns an errno value, 0 on success.
 */
int loop_thread_start(size_t stack_bytes, void *(*run)(void *ctx), void *ctx,
                      pthread_t *ret_joinable);
/** Makes a condition that waits on CLOCK_MONOTONIC; a deadline @delay_ns from now. Any thread. */
void loop_cond_init(pthread_cond_t *cond);
struct timespec loop_cond_deadline(int64_t delay_ns);
