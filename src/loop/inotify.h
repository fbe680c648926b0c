/* Watching one directory or file for changes. Loop thread. */
#pragma once

#include "loop/loop.h"

struct inotify_watch; /* opaque */

enum inotify_change {
    INOTIFY_CREATED,  /* created or moved in */
    INOTIFY_MODIFIED, /* written and closed, or attributes changed */
    INOTIFY_DELETED,  /* deleted or moved away */
    INOTIFY_GONE,     /* the watched path itself went away: free the watch and try again later */
    INOTIFY_OVERFLOW, /* events were lost: list anew */
};

/**
 * Watches @path. @on_change gets the entry's name ("" for the path itself), borrowed for the call.
 * NOT_FOUND when there is no such path.
 */
MUST_CHECK struct error *inotify_watch_new(struct loop *loop, const char *path,
                                           void (*on_change)(void *ctx, enum inotify_change change,
                                                             const char *name),
                                           void *ctx, struct inotify_watch **ret);
/** NULL is fine; may be called from on_change. */
void inotify_watch_free(struct inotify_watch *watch);
DEFINE_AUTO(inotify_watch, struct inotify_watch *, inotify_watch_free)
