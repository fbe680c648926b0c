#include "tests/unit/kube/fake_loop.h"

#include "base/hash.h"
#include "kube/jitter.h"

struct loop_timer {
    struct loop_timer *prev, *next; /* in the loop's list, in the order of making */
    struct loop *loop;
    void (*on_due)(void *ctx);
    void *ctx;
    int64_t due_ns;
    uint64_t order; /* of arming, for equal times */
    bool is_armed;
};

struct deferred {
    struct deferred *prev, *next;
    void (*release)(void *object);
    void *object;
};

struct loop {
    int64_t now_ns;
    uint64_t orders;
    struct loop_timer *timers;
    struct deferred *deferred;
};

static uint64_t fake_random;

void fake_random_set(uint64_t random)
{
    fake_random = random;
}

uint64_t jitter_draw(void)
{
    return fake_random;
}

struct error *loop_new(struct loop **ret_loop)
{
    *ret_loop = xcalloc(1, sizeof(**ret_loop));
    (*ret_loop)->now_ns = 1000 * NS_PER_SEC;
    fake_random = 0;
    return NULL;
}

static void run_deferred(struct loop *loop)
{
    while (loop->deferred) {
        struct deferred *first = loop->deferred;
        DL_DELETE(loop->deferred, first);
        first->release(first->object);
        free(first);
    }
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    run_deferred(loop);
    ASSERT(!loop->timers);
    free(loop);
}

int64_t loop_now_mono_ns(const struct loop *loop)
{
    return loop->now_ns;
}

int64_t loop_now_wall_ns(const struct loop *loop)
{
    return FAKE_LOOP_WALL_START_NS + loop->now_ns;
}

void loop_defer_free(struct loop *loop, void (*release)(void *object), void *object)
{
    struct deferred *deferred = xcalloc(1, sizeof(*deferred));
    deferred->release = release;
    deferred->object = object;
    DL_APPEND(loop->deferred, deferred);
}

struct loop_timer *loop_timer_new(struct loop *loop, UNUSED const char *name,
                                  void (*on_due)(void *ctx), void *ctx)
{
    struct loop_timer *timer = xcalloc(1, sizeof(*timer));
    timer->loop = loop;
    timer->on_due = on_due;
    timer->ctx = ctx;
    DL_APPEND(loop->timers, timer);
    return timer;
}

void loop_timer_free(struct loop_timer *timer)
{
    if (!timer)
        return;
    DL_DELETE(timer->loop->timers, timer);
    free(timer);
}

void loop_timer_start(struct loop_timer *timer, int64_t delay_ns)
{
    timer->is_armed = true;
    timer->due_ns = sat_add_i64(timer->loop->now_ns, max_i64(delay_ns, 0));
    timer->order = timer->loop->orders++;
}

void loop_timer_cancel(struct loop_timer *timer)
{
    timer->is_armed = false;
}

bool loop_timer_is_armed(const struct loop_timer *timer)
{
    return timer->is_armed;
}

static struct loop_timer *earliest(const struct loop *loop)
{
    struct loop_timer *timer, *found = NULL;
    DL_FOREACH(loop->timers, timer) {
        bool is_first =
            timer->is_armed && (!found || timer->due_ns < found->due_ns ||
                                (timer->due_ns == found->due_ns && timer->order < found->order));
        if (is_first)
            found = timer;
    }
    return found;
}

void fake_loop_advance(struct loop *loop, int64_t duration_ns)
{
    int64_t end_ns = loop->now_ns + duration_ns;
    run_deferred(loop);
    /* As in a turn of the loop: what a callback arms for now is for the next turn. */
    struct loop_timer *timer = earliest(loop);
    while (timer && timer->due_ns <= end_ns) {
        loop->now_ns = max_i64(loop->now_ns, timer->due_ns);
        timer->is_armed = false;
        timer->on_due(timer->ctx);
        run_deferred(loop);
        timer = earliest(loop);
    }
    loop->now_ns = end_ns;
}

int64_t fake_loop_next(const struct loop *loop)
{
    const struct loop_timer *timer = earliest(loop);
    return timer ? timer->due_ns - loop->now_ns : -1;
}

size_t fake_loop_armed(const struct loop *loop)
{
    size_t count = 0;
    const struct loop_timer *timer;
    DL_FOREACH(loop->timers, timer) {
        count += timer->is_armed;
    }
    return count;
}

size_t fake_loop_live(const struct loop *loop)
{
    size_t count = 0;
    const struct loop_timer *timer;
    const struct deferred *deferred;
    DL_FOREACH(loop->timers, timer) {
        count++;
    }
    DL_FOREACH(loop->deferred, deferred) {
        count++;
    }
    return count;
}
