/*
 * Ends a process whose loop has stopped turning, so that its supervisor restarts it (containers outlive it).
 * A thread that sleeps; the loop stamps each turn and is pinged by a timer while idle.
 */
#pragma once

#include "loop/loop.h"

struct watchdog; /* opaque */

/** Aborts the process when no turn began for @limit_ns. @check_ns between looks (e.g. limit / 2). */
struct watchdog *watchdog_new(struct loop *loop, int64_t limit_ns);
void watchdog_free(struct watchdog *watchdog);
