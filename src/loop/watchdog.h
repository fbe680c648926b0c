/*
 * Ends a process whose loop has stopped turning, so that its supervisor restarts it (containers
 * outlive it). A thread that wakes twice per limit; only a loop that has not turned since (it may
 * be idle) is woken with it, so an idle process is not kept busy.
 */
#pragma once

#include "loop/loop.h"

struct watchdog; /* opaque */

/**
 * Aborts the process, with a log line that names the callback, when the loop has not turned for
 * @limit_ns; at the latest after one and a half limits. The caller owns it. Never fails.
 */
struct watchdog *watchdog_new(struct loop *loop, int64_t limit_ns);
void watchdog_free(struct watchdog *watchdog); /* before loop_free(); NULL is fine */
DEFINE_AUTO(watchdog, struct watchdog *, watchdog_free)
