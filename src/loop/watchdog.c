/*
 * The thread looks twice per limit. When the loop has made no progress since the last look it may
 * just be idle, so the thread posts an empty call, which makes an idle loop turn. An unanswered
 * post is a loop that stands still; after the second look in vain the process ends.
 *
 * Looks are counted, not time: a machine that was suspended, or a process that was frozen, finds
 * hours gone by at its first look, and deserves a second one.
 */
#include "loop/watchdog.h"

#include "base/log.h"
#include "loop/loop_internal.h"

#define LOOKS_PER_LIMIT 2
#define STACK_BYTES (128 * KiB)

struct watchdog {
    struct loop
        *loop; /* borrowed; only loop_post() and the atomic getters are used on the thread */
    int64_t limit_ns;
    pthread_t thread;
    pthread_mutex_t lock; /* guards `stopping` */
    pthread_cond_t changed;
    bool stopping;
};

static void do_nothing(UNUSED void *ctx) {}

NORETURN static void give_up(const struct watchdog *watchdog)
{
    const char *name = loop_current_callback(watchdog->loop);
    log_write(
        LOG_SEVERITY_FATAL, __FILE__, __LINE__, "Loop has stopped turning",
        (const struct log_field[]){LOG_INT("limitMilliseconds", watchdog->limit_ns / NS_PER_MS),
                                   LOG_STR("callback", name),
                                   {.key = NULL}});
    abort();
}

/* Sleeps until the next look. False when the watchdog is to end. */
static bool sleep_on(struct watchdog *watchdog)
{
    struct timespec look = loop_cond_deadline(watchdog->limit_ns / LOOKS_PER_LIMIT);
    int code = 0;
    while (!watchdog->stopping && code == 0)
        code = pthread_cond_timedwait(&watchdog->changed, &watchdog->lock, &look);
    return !watchdog->stopping;
}

static void *watch(void *ctx)
{
    struct watchdog *watchdog = ctx;
    uint64_t seen = loop_progress(watchdog->loop);
    int unanswered = 0;
    (void)pthread_mutex_lock(&watchdog->lock);
    while (sleep_on(watchdog)) {
        uint64_t progress = loop_progress(watchdog->loop);
        if (progress != seen) {
            seen = progress;
            unanswered = 0;
            continue;
        }
        if (unanswered == LOOKS_PER_LIMIT)
            give_up(watchdog);
        if (unanswered++ == 0)
            loop_post(watchdog->loop, do_nothing, NULL);
    }
    (void)pthread_mutex_unlock(&watchdog->lock);
    return NULL;
}

struct watchdog *watchdog_new(struct loop *loop, int64_t limit_ns)
{
    struct watchdog *watchdog = xcalloc(1, sizeof(*watchdog));
    watchdog->loop = loop;
    watchdog->limit_ns = max_i64(limit_ns, LOOKS_PER_LIMIT);
    (void)pthread_mutex_init(&watchdog->lock, NULL);
    loop_cond_init(&watchdog->changed);
    int code = loop_thread_start(STACK_BYTES, watch, watchdog, &watchdog->thread);
    if (code)
        base_die("the watchdog's thread cannot be started: error %d", code);
    return watchdog;
}

void watchdog_free(struct watchdog *watchdog)
{
    if (!watchdog)
        return;
    (void)pthread_mutex_lock(&watchdog->lock);
    watchdog->stopping = true;
    (void)pthread_cond_broadcast(&watchdog->changed);
    (void)pthread_mutex_unlock(&watchdog->lock);
    (void)pthread_join(watchdog->thread, NULL); /* it never blocks on anything else */
    (void)pthread_cond_destroy(&watchdog->changed);
    (void)pthread_mutex_destroy(&watchdog->lock);
    free(watchdog);
}
