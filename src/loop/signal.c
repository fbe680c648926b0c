#include "loop/signal.h"

#include "base/fd.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct loop_signals {
    struct loop_io *io; /* owned */
    int fd;             /* owned */
    void (*on_signal)(void *ctx, int number);
    void *ctx;
};

static void on_ready(void *ctx, UNUSED unsigned events)
{
    struct loop_signals *signals = ctx;
    struct signalfd_siginfo info;
    /* One at a time: the callback may free us, and what is left keeps the descriptor ready. */
    if (read(signals->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    signals->on_signal(signals->ctx, (int)info.ssi_signo);
}

struct error *loop_signals_new(struct loop *loop, const int *numbers,
                               void (*on_signal)(void *ctx, int number), void *ctx,
                               struct loop_signals **ret)
{
    sigset_t set;
    (void)sigemptyset(&set);
    for (; *numbers; numbers++) {
        if (sigaddset(&set, *numbers) < 0)
            return error_new(ERROR_INVALID_ARGUMENT, "%d is not a signal", *numbers);
    }
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return error_from_errno(errno, "making a signalfd");
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL); /* cannot fail with a valid set */

    struct loop_signals *signals = xcalloc(1, sizeof(*signals));
    *signals = (struct loop_signals){.fd = fd, .on_signal = on_signal, .ctx = ctx};
    signals->io = loop_io_new(loop, "signals", fd, on_ready, signals);
    loop_io_want(signals->io, LOOP_IO_READ);
    *ret = signals;
    return NULL;
}

void loop_signals_free(struct loop_signals *signals)
{
    if (!signals)
        return;
    loop_io_free(signals->io);
    fd_close(&signals->fd);
    free(signals);
}
