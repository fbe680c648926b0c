/*
 * The kernel gives one watch number per directory, however often it is added; numbers are not used
 * again, so what was still queued for a removed one finds nobody. Events only mark who is to be
 * woken: the calls come after the whole read has been taken apart, each wake once, and a call may
 * free any of them, which is why the walk begins anew after each.
 */
#include "loop/inotify_hub.h"

#include "base/fd.h"
#include "base/hash.h"

#include <errno.h>
#include <limits.h>
#include <sys/inotify.h>
#include <unistd.h>

#define GONE_MASK (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)
#define WATCHED_MASK                                                                               \
    (IN_CREATE | IN_MOVED_TO | IN_MODIFY | IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM |            \
     IN_DELETE_SELF | IN_MOVE_SELF)

#define READ_BYTES (4 * KiB)
_Static_assert(READ_BYTES >= sizeof(struct inotify_event) + NAME_MAX + 1, "one event must fit");

struct inotify_wake {
    struct inotify_hub *hub; /* parent */
    struct inotify_wake *prev, *next;
    int watch; /* the kernel's number; -1: its directory is gone */
    bool is_due;
    void (*on_wake)(void *ctx, bool is_gone);
    void *ctx;
};

struct inotify_hub {
    struct loop *loop; /* borrowed */
    int fd;            /* owned; -1: none yet */
    struct loop_io *io;
    struct inotify_wake *wakes; /* list */
};

struct inotify_hub *inotify_hub_new(struct loop *loop)
{
    struct inotify_hub *hub = xcalloc(1, sizeof(*hub));
    hub->loop = loop;
    hub->fd = -1;
    return hub;
}

void inotify_hub_free(struct inotify_hub *hub)
{
    if (!hub)
        return;
    ASSERT(!hub->wakes);
    loop_io_free(hub->io);
    fd_close(&hub->fd);
    free(hub);
}

static void note(struct inotify_hub *hub, const struct inotify_event *event)
{
    bool is_lost = (event->mask & IN_Q_OVERFLOW) != 0;
    struct inotify_wake *wake;
    DL_FOREACH(hub->wakes, wake) {
        if (!is_lost && (wake->watch < 0 || wake->watch != event->wd))
            continue;
        wake->is_due = true;
        if (event->mask & GONE_MASK)
            wake->watch = -1;
    }
    /* A directory that was moved away would go on being reported. */
    if (event->mask & IN_MOVE_SELF)
        (void)inotify_rm_watch(hub->fd, event->wd);
}

static struct inotify_wake *next_due(const struct inotify_hub *hub)
{
    struct inotify_wake *wake;
    DL_FOREACH(hub->wakes, wake) {
        if (wake->is_due)
            return wake;
    }
    return NULL;
}

static void on_ready(void *ctx, UNUSED unsigned events)
{
    struct inotify_hub *hub = ctx;
    _Alignas(struct inotify_event) char bytes[READ_BYTES];
    ssize_t got = read(hub->fd, bytes, sizeof(bytes));
    if (got <= 0)
        return; /* nothing yet, or interrupted: the loop calls again */
    size_t len = (size_t)got;
    for (size_t at = 0; at + sizeof(struct inotify_event) <= len;) {
        const struct inotify_event *event = (const void *)(bytes + at);
        at += sizeof(*event) + event->len;
        if (at <= len)
            note(hub, event);
    }
    struct inotify_wake *wake;
    while ((wake = next_due(hub))) {
        wake->is_due = false;
        wake->on_wake(wake->ctx, wake->watch < 0);
    }
}

static struct error *open_hub(struct inotify_hub *hub)
{
    if (hub->fd >= 0)
        return NULL;
    hub->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (hub->fd < 0)
        return error_from_errno(errno, "making an inotify instance");
    hub->io = loop_io_new(hub->loop, "inotify hub", hub->fd, on_ready, hub);
    loop_io_want(hub->io, LOOP_IO_READ);
    return NULL;
}

struct error *inotify_wake_new(struct inotify_hub *hub, const char *directory,
                               void (*on_wake)(void *ctx, bool is_gone), void *ctx,
                               struct inotify_wake **ret)
{
    struct error *err = open_hub(hub);
    if (err)
        return err;
    int watch = inotify_add_watch(hub->fd, directory, WATCHED_MASK | IN_ONLYDIR);
    if (watch < 0)
        return error_from_errno(errno, "watching %s", directory);
    struct inotify_wake *wake = xcalloc(1, sizeof(*wake));
    *wake = (struct inotify_wake){.hub = hub, .watch = watch, .on_wake = on_wake, .ctx = ctx};
    DL_APPEND(hub->wakes, wake);
    *ret = wake;
    return NULL;
}

static bool is_watched(const struct inotify_hub *hub, int watch)
{
    const struct inotify_wake *other;
    DL_FOREACH(hub->wakes, other) {
        if (other->watch == watch)
            return true;
    }
    return false;
}

void inotify_wake_free(struct inotify_wake *wake)
{
    if (!wake)
        return;
    struct inotify_hub *hub = wake->hub;
    DL_DELETE(hub->wakes, wake);
    if (wake->watch >= 0 && !is_watched(hub, wake->watch))
        (void)inotify_rm_watch(hub->fd, wake->watch);
    free(wake);
}
