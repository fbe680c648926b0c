/*
 * Watching many directories for what grows in them, with one inotify instance for all: a user has
 * few of those (fs.inotify.max_user_instances). For who wants to be woken, not told what happened.
 * Loop thread.
 */
#pragma once

#include "loop/loop.h"

struct inotify_hub;  /* opaque */
struct inotify_wake; /* opaque: one who wants to be woken */

/** No descriptor is taken before the first wake. Never fails. */
struct inotify_hub *inotify_hub_new(struct loop *loop);
/** All its wakes have been freed before. NULL is fine; not from inside a wake. */
void inotify_hub_free(struct inotify_hub *hub);
DEFINE_AUTO(inotify_hub, struct inotify_hub *, inotify_hub_free)

/**
 * Calls @on_wake whenever a file in @directory is created, written, renamed or deleted, and when
 * events were lost: at least once after the last change, not once per change. Several may watch one
 * directory. When the directory itself has gone, @on_wake is called once more with @is_gone, after
 * which the wake hears nothing and is to be freed. Errors: the errno's.
 */
MUST_CHECK struct error *inotify_wake_new(struct inotify_hub *hub, const char *directory,
                                          void (*on_wake)(void *ctx, bool is_gone), void *ctx,
                                          struct inotify_wake **ret);
void inotify_wake_free(struct inotify_wake *wake); /* NULL is fine; may be called from on_wake */
DEFINE_AUTO(inotify_wake, struct inotify_wake *, inotify_wake_free)
