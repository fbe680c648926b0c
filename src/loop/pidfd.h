/* Noticing that a foreign process ended, through pidfd_open(2). Loop thread. */
#pragma once

#include "loop/loop.h"

struct pidfd_watch; /* opaque */

/**
 * Calls @on_exit once, when process @pid has ended. NOT_FOUND: there is no such process (it is gone
 * already). The caller owns the watch; freeing it cancels.
 */
MUST_CHECK struct error *pidfd_watch_new(struct loop *loop, int64_t pid, void (*on_exit)(void *ctx),
                                         void *ctx, struct pidfd_watch **ret);
void pidfd_watch_free(struct pidfd_watch *watch); /* NULL is fine; may be called from on_exit */
DEFINE_AUTO(pidfd_watch, struct pidfd_watch *, pidfd_watch_free)
