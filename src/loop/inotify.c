/*
 * One inotify instance a watch: few are made, and freeing one can so never leave events for another
 * behind. A watch that is freed from its own callback stays in memory until the end of the turn,
 * because a read brings several events and the walk over them must notice that its watch has
 * closed.
 */
#include "loop/inotify.h"

#include "base/fd.h"

#include <errno.h>
#include <limits.h>
#include <sys/inotify.h>
#include <unistd.h>

#define GONE_MASK (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)
#define WATCHED_MASK                                                                               \
    (IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE | IN_MOVED_FROM |            \
     IN_DELETE_SELF | IN_MOVE_SELF)

/* Room for a good number of events; one with the longest name always fits. */
#define READ_BYTES (4 * KiB)
_Static_assert(READ_BYTES >= sizeof(struct inotify_event) + NAME_MAX + 1, "one event must fit");

struct inotify_watch {
    struct loop *loop;  /* borrowed */
    struct loop_io *io; /* owned */
    int fd;             /* owned; -1 once closed */
    void (*on_change)(void *ctx, enum inotify_change change, const char *name);
    void *ctx;
};

static const struct {
    uint32_t mask;
    enum inotify_change change;
} changes[] = {
    {IN_Q_OVERFLOW, INOTIFY_OVERFLOW},
    {GONE_MASK, INOTIFY_GONE},
    {IN_CREATE | IN_MOVED_TO, INOTIFY_CREATED},
    {IN_DELETE | IN_MOVED_FROM, INOTIFY_DELETED},
    {IN_CLOSE_WRITE | IN_ATTRIB | IN_MODIFY, INOTIFY_MODIFIED},
};

static void tell(struct inotify_watch *watch, const struct inotify_event *event)
{
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        if (!(event->mask & changes[i].mask))
            continue;
        /* Gone is said once: IN_IGNORED follows IN_DELETE_SELF, and what was moved away lives on
         * elsewhere. */
        if (changes[i].change == INOTIFY_GONE) {
            loop_io_want(watch->io, 0);
            fd_close(&watch->fd);
        }
        watch->on_change(watch->ctx, changes[i].change, event->len ? event->name : "");
        return;
    }
}

static void on_ready(void *ctx, UNUSED unsigned events)
{
    struct inotify_watch *watch = ctx;
    _Alignas(struct inotify_event) char bytes[READ_BYTES];
    ssize_t got = read(watch->fd, bytes, sizeof(bytes));
    if (got <= 0)
        return; /* nothing yet, or interrupted: the loop calls again */
    size_t len = (size_t)got;
    for (size_t at = 0; watch->fd >= 0 && at + sizeof(struct inotify_event) <= len;) {
        const struct inotify_event *event = (const void *)(bytes + at);
        at += sizeof(*event) + event->len;
        if (at <= len)
            tell(watch, event);
    }
}

struct error *inotify_watch_new(struct loop *loop, const char *path,
                                void (*on_change)(void *ctx, enum inotify_change change,
                                                  const char *name),
                                void *ctx, struct inotify_watch **ret)
{
    AUTO(fd) int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0)
        return error_from_errno(errno, "watching %s", path);
    if (inotify_add_watch(fd, path, WATCHED_MASK) < 0)
        return error_from_errno(errno, "watching %s", path);

    struct inotify_watch *watch = xcalloc(1, sizeof(*watch));
    *watch = (struct inotify_watch){.loop = loop, .fd = fd, .on_change = on_change, .ctx = ctx};
    watch->io = loop_io_new(loop, "inotify", fd, on_ready, watch);
    loop_io_want(watch->io, LOOP_IO_READ);
    fd = -1; /* the watch owns it now */
    *ret = watch;
    return NULL;
}

void inotify_watch_free(struct inotify_watch *watch)
{
    if (!watch)
        return;
    loop_io_free(TAKE(watch->io));
    fd_close(&watch->fd);
    loop_defer_free(watch->loop, free, watch);
}
