/*
 * A turn is one event_base_loop(EVLOOP_ONCE): wait, run every callback that is ready, return. After
 * it, outside every callback's frame, deferred frees run. Posts from other threads queue under a
 * mutex, the only one of the loop, and wake it through an eventfd.
 *
 * `now`: libevent keeps a time of its own per turn and drops it while it waits. It serves as the
 * turn's stamp: our clocks are read again when it has changed, lazily, so that callbacks which
 * libevent calls directly (its HTTP code) see the right time as well. Outside a turn there is no
 * stamp and every call reads the clock.
 *
 * Timers: libevent's clock is a coarse one and may be some milliseconds behind ours, hence a timer
 * can ring early. It is then armed again for the rest, so that on_due never sees a `now` before the
 * deadline.
 */
#include "loop/loop.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/time.h"
#include "loop/loop_internal.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

/* STYLE 2.7: a callback that holds the loop longer is counted and logged. */
#define SLOW_CALLBACK_NS (50 * NS_PER_MS)
#define SLOW_LOG_INTERVAL_NS NS_PER_SEC
/* A delay beyond this (a century) is the same as never. */
#define MAX_DELAY_NS (INT64_C(100) * 365 * 86400 * NS_PER_SEC)

struct post {
    struct post *next;
    void (*run)(void *ctx);
    void *ctx;
};

struct deferred {
    struct deferred *next;
    void (*release)(void *object);
    void *object;
};

/* Apart from the loop, because reading the time of a const loop may refresh it. */
struct turn_clock {
    struct timeval stamp; /* libevent's time of the turn */
    int64_t wall_ns, mono_ns;
};

struct loop {
    struct event_base *base;
    struct turn_clock *clock; /* owned */
    struct event wake;        /* on wake_fd */
    struct event limit;       /* ends the wait of loop_turn() */
    int wake_fd;
    bool stopping, turning;
    size_t live; /* timers and ios not freed yet */
    uint64_t slow_callbacks;
    int64_t slow_logged_ns;
    struct deferred *deferred; /* owned; the newest first */
    pthread_t owner;
    atomic_uint_fast64_t progress;
    _Atomic(const char *) current; /* static name of the running callback */
    pthread_mutex_t posts_lock;    /* guards the next two */
    struct post *posts;            /* owned; in order */
    struct post **posts_end;
};

struct loop_timer {
    struct loop *loop; /* borrowed */
    const char *name;
    void (*on_due)(void *ctx);
    void *ctx;
    int64_t due_ns; /* mono */
    bool armed;
    struct event event;
};

struct loop_io {
    struct loop *loop; /* borrowed */
    const char *name;
    void (*on_ready)(void *ctx, unsigned events);
    void *ctx;
    int fd; /* borrowed */
    unsigned wanted;
    struct event event;
};

/* --- measuring --- */

static int64_t callback_begin(struct loop *loop, const char *name)
{
    atomic_store_explicit(&loop->current, name, memory_order_relaxed);
    return time_mono_ns();
}

static void callback_end(struct loop *loop, const char *name, int64_t began_ns)
{
    atomic_store_explicit(&loop->current, NULL, memory_order_relaxed);
    int64_t now_ns = time_mono_ns();
    if (now_ns - began_ns <= SLOW_CALLBACK_NS)
        return;
    loop->slow_callbacks++;
    if (loop->slow_callbacks > 1 && now_ns - loop->slow_logged_ns < SLOW_LOG_INTERVAL_NS)
        return;
    loop->slow_logged_ns = now_ns;
    log_warning("Callback held the loop", LOG_STR("callback", name),
                LOG_INT("durationMilliseconds", (now_ns - began_ns) / NS_PER_MS),
                LOG_INT("slowCallbacks", loop->slow_callbacks));
}

uint64_t loop_progress(const struct loop *loop)
{
    return atomic_load_explicit(&loop->progress, memory_order_relaxed);
}

const char *loop_current_callback(const struct loop *loop)
{
    return atomic_load_explicit(&loop->current, memory_order_relaxed);
}

bool loop_is_own_thread(const struct loop *loop)
{
    return pthread_equal(loop->owner, pthread_self()) != 0;
}

/* --- the loop --- */

static void on_libevent_log(int severity, const char *message)
{
    if (severity >= EVENT_LOG_WARN)
        log_warning("Event library complains", LOG_STR("details", message));
}

static void on_libevent_fatal(int code)
{
    base_die("the event library gave up with code %d", code);
}

static struct post *take_posts(struct loop *loop)
{
    (void)pthread_mutex_lock(&loop->posts_lock);
    struct post *posts = TAKE(loop->posts);
    loop->posts_end = &loop->posts;
    (void)pthread_mutex_unlock(&loop->posts_lock);
    return posts;
}

static void on_wake(evutil_socket_t fd, UNUSED short what, void *ctx)
{
    struct loop *loop = ctx;
    uint64_t count;
    /* Emptied before the queue is taken: a post that comes in between wakes us again. */
    ssize_t got = read(fd, &count, sizeof(count));
    (void)got; /* EAGAIN: somebody else emptied it, which is as good */
    atomic_fetch_add_explicit(&loop->progress, 1, memory_order_relaxed);
    struct post *post = take_posts(loop);
    while (post) {
        struct post *next = post->next;
        int64_t began_ns = callback_begin(loop, "post");
        post->run(post->ctx);
        callback_end(loop, "post", began_ns);
        free(post);
        post = next;
    }
}

static void on_limit(UNUSED evutil_socket_t fd, UNUSED short what, UNUSED void *ctx)
{
    /* That it ran is all it is for: the turn has had an event and returns. */
}

static struct event_base *base_new(void)
{
    struct event_config *config = event_config_new();
    if (!config)
        return NULL;
    struct event_base *base = NULL;
    if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV) == 0 &&
        event_config_require_features(config, EV_FEATURE_O1) == 0)
        base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

struct error *loop_new(struct loop **ret_loop)
{
    event_set_log_callback(on_libevent_log);
    event_set_fatal_callback(on_libevent_fatal);
    AUTO(fd) int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0)
        return error_new(ERROR_INTERNAL, "making an eventfd: %s", strerrorname_np(errno));
    struct event_base *base = base_new();
    if (!base)
        return error_new(ERROR_INTERNAL, "making an event loop: epoll is not available");

    struct loop *loop = xcalloc(1, sizeof(*loop));
    loop->base = base;
    loop->clock = xcalloc(1, sizeof(*loop->clock));
    loop->wake_fd = wake_fd;
    loop->posts_end = &loop->posts;
    loop->owner = pthread_self();
    (void)pthread_mutex_init(&loop->posts_lock, NULL);
    (void)event_assign(&loop->limit, base, -1, 0, on_limit, loop);
    (void)event_assign(&loop->wake, base, wake_fd, EV_READ | EV_PERSIST, on_wake, loop);
    wake_fd = -1; /* the loop owns it now */
    if (event_add(&loop->wake, NULL) < 0) {
        loop_free(loop);
        return error_new(ERROR_INTERNAL, "making an event loop: epoll refuses an eventfd");
    }
    *ret_loop = loop;
    return NULL;
}

static void run_deferred(struct loop *loop)
{
    while (loop->deferred) {
        /* Turned round: released in the order of deferring. */
        struct deferred *ordered = NULL, *at = TAKE(loop->deferred);
        while (at) {
            struct deferred *next = at->next;
            at->next = ordered;
            ordered = at;
            at = next;
        }
        while (ordered) {
            struct deferred *next = ordered->next;
            int64_t began_ns = callback_begin(loop, "deferred free");
            ordered->release(ordered->object);
            callback_end(loop, "deferred free", began_ns);
            free(ordered);
            ordered = next;
        }
    }
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    run_deferred(loop);
    DEBUG_ASSERT(loop->live == 0);
    struct post *post = take_posts(loop);
    while (post) {
        struct post *next = post->next;
        free(post);
        post = next;
    }
    (void)event_del(&loop->wake);
    (void)event_del(&loop->limit);
    event_debug_unassign(&loop->wake);
    event_debug_unassign(&loop->limit);
    event_base_free(loop->base);
    fd_close(&loop->wake_fd);
    (void)pthread_mutex_destroy(&loop->posts_lock);
    free(loop->clock);
    free(loop);
}

/* Rounded up: a timer that rings early only has to be armed again. */
static struct timeval to_timeval(int64_t delay_ns)
{
    int64_t us = (clamp_i64(delay_ns, 0, MAX_DELAY_NS) + NS_PER_US - 1) / NS_PER_US;
    return (struct timeval){.tv_sec = us / 1000000, .tv_usec = us % 1000000};
}

static void turn(struct loop *loop, int flags)
{
    ASSERT(!loop->turning);
    DEBUG_ASSERT(loop_is_own_thread(loop));
    loop->turning = true;
    atomic_fetch_add_explicit(&loop->progress, 1, memory_order_relaxed);
    if (event_base_loop(loop->base, flags) < 0)
        base_die("the event loop broke");
    loop->turning = false;
    run_deferred(loop);
}

void loop_run(struct loop *loop)
{
    while (!loop->stopping)
        turn(loop, EVLOOP_ONCE);
    loop->stopping = false;
}

void loop_stop(struct loop *loop)
{
    DEBUG_ASSERT(loop_is_own_thread(loop));
    loop->stopping = true;
}

void loop_turn(struct loop *loop, int64_t wait_ns)
{
    if (wait_ns <= 0) {
        turn(loop, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        return;
    }
    struct timeval wait = to_timeval(wait_ns);
    if (event_add(&loop->limit, &wait) < 0)
        base_die("the event loop cannot wait");
    turn(loop, EVLOOP_ONCE);
    (void)event_del(&loop->limit);
}

static const struct turn_clock *clock_now(const struct loop *loop)
{
    struct turn_clock *clock = loop->clock;
    struct timeval stamp = {0};
    (void)event_base_gettimeofday_cached(loop->base, &stamp);
    if (!loop->turning || clock->stamp.tv_sec != stamp.tv_sec ||
        clock->stamp.tv_usec != stamp.tv_usec)
        *clock = (struct turn_clock){
            .stamp = stamp, .wall_ns = time_wall_ns(), .mono_ns = time_mono_ns()};
    return clock;
}

int64_t loop_now_wall_ns(const struct loop *loop)
{
    return clock_now(loop)->wall_ns;
}

int64_t loop_now_mono_ns(const struct loop *loop)
{
    return clock_now(loop)->mono_ns;
}

uint64_t loop_slow_callbacks(const struct loop *loop)
{
    return loop->slow_callbacks;
}

struct event_base *loop_event_base(struct loop *loop)
{
    return loop->base;
}

void loop_defer_free(struct loop *loop, void (*release)(void *object), void *object)
{
    DEBUG_ASSERT(loop_is_own_thread(loop));
    struct deferred *deferred = xcalloc(1, sizeof(*deferred));
    *deferred = (struct deferred){.next = loop->deferred, .release = release, .object = object};
    loop->deferred = deferred;
}

void loop_post(struct loop *loop, void (*run)(void *ctx), void *ctx)
{
    struct post *post = xcalloc(1, sizeof(*post));
    *post = (struct post){.run = run, .ctx = ctx};
    (void)pthread_mutex_lock(&loop->posts_lock);
    bool was_empty = !loop->posts;
    *loop->posts_end = post;
    loop->posts_end = &post->next;
    /* Under the lock, so that the loop cannot be woken, deliver and be freed before the write. */
    if (was_empty) {
        uint64_t one = 1;
        ssize_t done = write(loop->wake_fd, &one, sizeof(one));
        (void)done; /* EAGAIN: the counter is full and the loop thus awake */
    }
    (void)pthread_mutex_unlock(&loop->posts_lock);
}

/* --- timers --- */

static void timer_arm(struct loop_timer *timer, int64_t delay_ns)
{
    struct timeval delay = to_timeval(delay_ns);
    if (event_add(&timer->event, &delay) < 0)
        base_die("timer %s cannot be armed", timer->name);
    timer->armed = true;
}

static void on_timer(UNUSED evutil_socket_t fd, UNUSED short what, void *ctx)
{
    struct loop_timer *timer = ctx;
    struct loop *loop = timer->loop;
    const char *name = timer->name;
    int64_t early_ns = sat_sub_i64(timer->due_ns, loop_now_mono_ns(loop));
    if (early_ns > 0) {
        timer_arm(timer, early_ns);
        return;
    }
    timer->armed = false;
    int64_t began_ns = callback_begin(loop, name);
    timer->on_due(timer->ctx); /* may free the timer */
    callback_end(loop, name, began_ns);
}

struct loop_timer *loop_timer_new(struct loop *loop, const char *name, void (*on_due)(void *ctx),
                                  void *ctx)
{
    DEBUG_ASSERT(loop_is_own_thread(loop));
    struct loop_timer *timer = xcalloc(1, sizeof(*timer));
    timer->loop = loop;
    timer->name = name;
    timer->on_due = on_due;
    timer->ctx = ctx;
    (void)event_assign(&timer->event, loop->base, -1, 0, on_timer, timer);
    loop->live++;
    return timer;
}

void loop_timer_free(struct loop_timer *timer)
{
    if (!timer)
        return;
    loop_timer_cancel(timer);
    event_debug_unassign(&timer->event);
    timer->loop->live--;
    free(timer);
}

void loop_timer_start(struct loop_timer *timer, int64_t delay_ns)
{
    DEBUG_ASSERT(loop_is_own_thread(timer->loop));
    delay_ns = max_i64(delay_ns, 0);
    timer->due_ns = sat_add_i64(loop_now_mono_ns(timer->loop), delay_ns);
    timer_arm(timer, delay_ns);
}

void loop_timer_cancel(struct loop_timer *timer)
{
    DEBUG_ASSERT(loop_is_own_thread(timer->loop));
    (void)event_del(&timer->event);
    timer->armed = false;
}

bool loop_timer_is_armed(const struct loop_timer *timer)
{
    return timer->armed;
}

/* --- descriptors --- */

static void on_io(UNUSED evutil_socket_t fd, short what, void *ctx)
{
    struct loop_io *io = ctx;
    struct loop *loop = io->loop;
    const char *name = io->name;
    unsigned events = (what & EV_READ ? LOOP_IO_READ : 0U) | (what & EV_WRITE ? LOOP_IO_WRITE : 0U);
    int64_t began_ns = callback_begin(loop, name);
    io->on_ready(io->ctx, events); /* may free the io */
    callback_end(loop, name, began_ns);
}

struct loop_io *loop_io_new(struct loop *loop, const char *name, int fd,
                            void (*on_ready)(void *ctx, unsigned events), void *ctx)
{
    DEBUG_ASSERT(loop_is_own_thread(loop));
    struct loop_io *io = xcalloc(1, sizeof(*io));
    io->loop = loop;
    io->name = name;
    io->on_ready = on_ready;
    io->ctx = ctx;
    io->fd = fd;
    (void)event_assign(&io->event, loop->base, fd, EV_PERSIST, on_io, io);
    loop->live++;
    return io;
}

void loop_io_free(struct loop_io *io)
{
    if (!io)
        return;
    (void)event_del(&io->event);
    event_debug_unassign(&io->event);
    io->loop->live--;
    free(io);
}

void loop_io_want(struct loop_io *io, unsigned events)
{
    DEBUG_ASSERT(loop_is_own_thread(io->loop));
    if (events == io->wanted)
        return;
    io->wanted = events;
    (void)event_del(&io->event);
    if (!events)
        return;
    int mask = EV_PERSIST | (events & LOOP_IO_READ ? EV_READ : 0) |
               (events & LOOP_IO_WRITE ? EV_WRITE : 0);
    event_debug_unassign(&io->event);
    (void)event_assign(&io->event, io->loop->base, io->fd, (short)mask, on_io, io);
    if (event_add(&io->event, NULL) < 0)
        base_die("descriptor %d of %s cannot be watched", io->fd, io->name);
}
