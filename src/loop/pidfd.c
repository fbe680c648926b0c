#include "loop/pidfd.h"

#include "base/fd.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

struct pidfd_watch {
    struct loop_io *io; /* owned */
    int fd;             /* owned */
    void (*on_exit)(void *ctx);
    void *ctx;
};

static void on_ready(void *ctx, UNUSED unsigned events)
{
    struct pidfd_watch *watch = ctx;
    loop_io_want(watch->io, 0); /* the descriptor stays ready for ever */
    watch->on_exit(watch->ctx); /* may free the watch */
}

struct error *pidfd_watch_new(struct loop *loop, int64_t pid, void (*on_exit)(void *ctx), void *ctx,
                              struct pidfd_watch **ret)
{
    int32_t number;
    if (pid <= 0 || !to_i32_checked(pid, &number))
        return error_new(ERROR_INVALID_ARGUMENT, "%lld is not a process ID", (long long)pid);
    int fd = (int)syscall(SYS_pidfd_open, number, 0); /* close-on-exec by definition */
    if (fd < 0)
        return error_from_errno(errno, "watching process %d", (int)number);

    struct pidfd_watch *watch = xcalloc(1, sizeof(*watch));
    *watch = (struct pidfd_watch){.fd = fd, .on_exit = on_exit, .ctx = ctx};
    watch->io = loop_io_new(loop, "process exit", fd, on_ready, watch);
    loop_io_want(watch->io, LOOP_IO_READ);
    *ret = watch;
    return NULL;
}

void pidfd_watch_free(struct pidfd_watch *watch)
{
    if (!watch)
        return;
    loop_io_free(watch->io);
    fd_close(&watch->fd);
    free(watch);
}
