#include "loop/loop_internal.h"

#include <signal.h>

int loop_thread_start(size_t stack_bytes, void *(*run)(void *ctx), void *ctx,
                      pthread_t *ret_joinable)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    int code = pthread_attr_init(&attr);
    if (code)
        return code;
    code = pthread_attr_setstacksize(&attr, stack_bytes);
    if (!code && !ret_joinable)
        code = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (!code) {
        /* A new thread inherits the mask; signals belong to the loop's signalfd. */
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        code = pthread_create(&thread, &attr, run, ctx);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    (void)pthread_attr_destroy(&attr);
    if (!code && ret_joinable)
        *ret_joinable = thread;
    return code;
}

void loop_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attr);
    (void)pthread_condattr_destroy(&attr);
}

struct timespec loop_cond_deadline(int64_t delay_ns)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t at_ns = sat_add_i64(sat_mul_i64(now.tv_sec, NS_PER_SEC), now.tv_nsec);
    at_ns = sat_add_i64(at_ns, max_i64(delay_ns, 0));
    return (struct timespec){.tv_sec = at_ns / NS_PER_SEC, .tv_nsec = at_ns % NS_PER_SEC};
}
