/*
 * The life of a job: QUEUED → RUNNING → DONE → delivered. The queue, the running list and the done
 * list belong to the pool under its lock; a worker touches nothing else but the job's own struct. A
 * finished job goes to the done list and the pool's eventfd wakes the loop, which delivers.
 *
 *   cancelled while QUEUED or DONE: released at once.
 *   cancelled while RUNNING: marked; delivery then only releases it.
 *   pool freed while RUNNING: the pool waits with a limit. Afterwards the worker, which nobody
 * hears any more, releases the job itself when it ends, and the last one out frees the pool's
 * memory.
 *
 * Slow jobs may occupy half the threads. A worker takes the first job of the queue that may run
 * now; a slow job that had to wait is taken by the very worker that ends the slow job before it.
 *
 * Of the threads without work the one that rested last is woken first: what is not needed rests
 * long enough to end, however often there is a little to do.
 *
 * Without threads (max_threads 0) a timer runs the queue on the loop, one turn after the start.
 */
#include "loop/work.h"

#include "base/fd.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/time.h"
#include "loop/loop_internal.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STACK_BYTES (256 * KiB)
#define IDLE_EXIT_NS (60 * NS_PER_SEC)
#define STUCK_AFTER_NS (60 * NS_PER_SEC)
/* When the system refuses a thread and none is left to take the queue. */
#define THREAD_RETRY_NS (100 * NS_PER_MS)

enum work_state { WORK_QUEUED, WORK_RUNNING, WORK_DONE, WORK_DELIVERING };

struct work {
    struct work_pool *pool; /* borrowed */
    const struct work_vtable *vtable;
    void *job; /* owned */
    void *ctx;
    enum work_state state;
    bool cancelled;
    int64_t started_ns; /* mono; when RUNNING */
    struct work *prev, *next;
};

/* A thread without work; on its own stack. */
struct idler {
    pthread_cond_t wake;
    bool is_woken; /* and no longer in the list */
    struct idler *prev, *next;
};

struct work_pool {
    struct loop *loop;        /* borrowed; loop thread only */
    struct loop_timer *timer; /* owned; inline runs, or retries of starting a thread */
    struct loop_io *io;       /* owned; on wake_fd */
    size_t max_threads, max_slow;

    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t thread_ended;
    int wake_fd;
    bool closed;    /* takes no more jobs */
    bool abandoned; /* the loop's side is gone: nobody delivers */
    size_t refs;    /* the loop's side, each thread, and a delivery under way */
    size_t threads, n_idle, running_slow;
    size_t n_woken;                       /* on their way from idle to the queue */
    struct idler *idle;                   /* the one that rested last first */
    struct work *queued, *running, *done; /* owned lists */
};

/* --- both sides --- */

static void lock(const struct work_pool *pool)
{
    (void)pthread_mutex_lock((pthread_mutex_t *)&pool->lock);
}

static void unlock(const struct work_pool *pool)
{
    (void)pthread_mutex_unlock((pthread_mutex_t *)&pool->lock);
}

/* Called locked, returns unlocked; the last one frees. */
static void unref_and_unlock(struct work_pool *pool)
{
    bool last = --pool->refs == 0;
    unlock(pool);
    if (!last)
        return;
    fd_close(&pool->wake_fd);
    (void)pthread_cond_destroy(&pool->thread_ended);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}

static void work_release(struct work *work)
{
    work->vtable->release(work->job);
    free(work);
}

static void release_list(struct work *list)
{
    while (list) {
        struct work *work = list;
        DL_DELETE(list, work);
        work_release(work);
    }
}

static bool may_run(const struct work_pool *pool, const struct work *work)
{
    return work->vtable->class == WORK_NORMAL || pool->running_slow < pool->max_slow;
}

/* Moves the first job that may run now from the queue to the running list; NULL when there is none.
 */
static struct work *take_runnable(struct work_pool *pool, int64_t now_ns)
{
    struct work *work;
    DL_FOREACH(pool->queued, work) {
        if (!may_run(pool, work))
            continue;
        DL_DELETE(pool->queued, work);
        DL_APPEND(pool->running, work);
        work->state = WORK_RUNNING;
        work->started_ns = now_ns;
        if (work->vtable->class == WORK_SLOW)
            pool->running_slow++;
        return work;
    }
    return NULL;
}

/* --- the workers' side --- */

/* Called and returns locked. */
static void run_job(struct work_pool *pool, struct work *work)
{
    unlock(pool);
    work->vtable->run_blocking(work->job);
    lock(pool);
    if (work->vtable->class == WORK_SLOW)
        pool->running_slow--;
    DL_DELETE(pool->running, work); /* NOLINT(clang-analyzer-core.NullDereference): it is in it */
    if (pool->abandoned) {
        unlock(pool);
        work_release(work);
        lock(pool);
        return;
    }
    work->state = WORK_DONE;
    DL_APPEND(pool->done, work);
    if (pool->max_threads == 0)
        return; /* on the loop already, which delivers next */
    uint64_t one = 1;
    ssize_t wrote = write(pool->wake_fd, &one, sizeof(one));
    (void)wrote; /* EAGAIN: the loop is awake already */
}

/* Called and returns locked. False: nobody needed this thread for a minute. */
static bool wait_for_work(struct work_pool *pool)
{
    struct idler self = {0};
    struct timespec until = loop_cond_deadline(IDLE_EXIT_NS);
    int code = 0;
    loop_cond_init(&self.wake);
    DL_PREPEND(pool->idle, &self);
    pool->n_idle++;
    while (!self.is_woken && code == 0)
        code = pthread_cond_timedwait(&self.wake, &pool->lock, &until);
    if (self.is_woken) {
        pool->n_woken--;
    } else {
        DL_DELETE(pool->idle, &self);
        pool->n_idle--;
    }
    (void)pthread_cond_destroy(&self.wake);
    return self.is_woken;
}

static void *worker(void *ctx)
{
    struct work_pool *pool = ctx;
    bool is_needed = true;
    lock(pool);
    while (is_needed && !pool->closed) {
        struct work *work = take_runnable(pool, time_mono_ns());
        if (work)
            run_job(pool, work);
        else
            is_needed = wait_for_work(pool);
    }
    pool->threads--;
    (void)pthread_cond_signal(&pool->thread_ended);
    unref_and_unlock(pool);
    return NULL;
}

/* --- the loop's side --- */

/* Called and returns locked. True when a job waits that nobody will come for. */
static bool needs_thread(const struct work_pool *pool)
{
    size_t runnable = 0, slow = 0;
    const struct work *work;
    DL_FOREACH(pool->queued, work) {
        if (work->vtable->class == WORK_NORMAL || pool->running_slow + slow < pool->max_slow)
            runnable++;
        if (work->vtable->class == WORK_SLOW)
            slow++;
    }
    return runnable > pool->n_idle + pool->n_woken && pool->threads < pool->max_threads;
}

/* Called and returns locked. */
static void wake_one(struct work_pool *pool)
{
    struct idler *idler = pool->idle;
    if (!idler)
        return;
    DL_DELETE(pool->idle, idler);
    pool->n_idle--;
    pool->n_woken++;
    idler->is_woken = true;
    (void)pthread_cond_signal(&idler->wake);
}

/* Called and returns locked. */
static void add_threads(struct work_pool *pool)
{
    if (!needs_thread(pool))
        return;
    pool->threads++;
    pool->refs++;
    int code = loop_thread_start(STACK_BYTES, worker, pool, NULL);
    if (!code)
        return;
    pool->threads--;
    pool->refs--;
    if (pool->threads > 0)
        return; /* those who run will come for it */
    log_warning("Worker thread cannot be started", LOG_STR("err", strerrordesc_np(code)));
    loop_timer_start(pool->timer, THREAD_RETRY_NS);
}

/* Delivers the jobs that were done when the turn came here; on_done may start, cancel or free at
 * will. */
static void deliver(struct work_pool *pool)
{
    lock(pool);
    pool->refs++;
    size_t count = 0;
    struct work *work;
    DL_COUNT(pool->done, work, count);
    for (; count > 0 && pool->done; count--) {
        work = pool->done;
        DL_DELETE(pool->done, work);
        work->state = WORK_DELIVERING;
        unlock(pool);
        if (!work->cancelled)
            work->vtable->on_done(work->ctx, work->job);
        work_release(work);
        lock(pool);
    }
    /* Cancelling took some of them away meanwhile; newer ones were announced by their own wake. */
    unref_and_unlock(pool);
}

static void on_wake(void *ctx, UNUSED unsigned events)
{
    struct work_pool *pool = ctx;
    uint64_t count;
    ssize_t got = read(pool->wake_fd, &count, sizeof(count));
    (void)got; /* whatever it says, the list is the truth */
    deliver(pool);
}

/* Runs what is queued now, in order, as if by a single thread. */
static void run_inline(struct work_pool *pool)
{
    size_t count = 0;
    struct work *work;
    lock(pool);
    DL_COUNT(pool->queued, work, count);
    for (; count > 0 && (work = take_runnable(pool, loop_now_mono_ns(pool->loop))); count--)
        run_job(pool, work);
    unlock(pool);
    deliver(pool);
}

static void on_timer(void *ctx)
{
    struct work_pool *pool = ctx;
    if (pool->max_threads == 0) {
        run_inline(pool);
        return;
    }
    lock(pool);
    add_threads(pool);
    unlock(pool);
}

struct work_pool *work_pool_new(struct loop *loop, size_t max_threads)
{
    struct work_pool *pool = xcalloc(1, sizeof(*pool));
    pool->loop = loop;
    pool->max_threads = max_threads;
    pool->max_slow = max_threads > 1 ? max_threads / 2 : 1;
    pool->refs = 1;
    (void)pthread_mutex_init(&pool->lock, NULL);
    loop_cond_init(&pool->thread_ended);
    pool->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->wake_fd < 0)
        base_die("making the worker pool's eventfd: %s", strerrordesc_np(errno));
    pool->timer = loop_timer_new(loop, "worker pool", on_timer, pool);
    pool->io = loop_io_new(loop, "worker pool", pool->wake_fd, on_wake, pool);
    loop_io_want(pool->io, LOOP_IO_READ);
    return pool;
}

void work_pool_free(struct work_pool *pool, int64_t limit_ns)
{
    if (!pool)
        return;
    DEBUG_ASSERT(loop_is_own_thread(pool->loop));
    loop_timer_free(TAKE(pool->timer));
    loop_io_free(TAKE(pool->io));
    struct timespec until = loop_cond_deadline(limit_ns);
    lock(pool);
    pool->closed = true;
    while (pool->idle)
        wake_one(pool);
    struct work *unheard = TAKE(pool->queued);
    int code = 0;
    while (pool->threads > 0 && code == 0)
        code = pthread_cond_timedwait(&pool->thread_ended, &pool->lock, &until);
    DL_CONCAT(unheard, pool->done);
    pool->done = NULL;
    pool->abandoned = true;
    unref_and_unlock(pool);
    release_list(unheard);
}

struct work *work_start(struct work_pool *pool, const struct work_vtable *vtable, void *job_owned,
                        void *ctx)
{
    DEBUG_ASSERT(loop_is_own_thread(pool->loop));
    struct work *work = xcalloc(1, sizeof(*work));
    *work = (struct work){
        .pool = pool, .vtable = vtable, .job = job_owned, .ctx = ctx, .state = WORK_QUEUED};
    if (pool->max_threads == 0 && !pool->queued)
        loop_timer_start(pool->timer, 0);
    lock(pool);
    DL_APPEND(pool->queued, work);
    add_threads(pool);
    wake_one(pool);
    unlock(pool);
    return work;
}

void work_cancel(struct work *work)
{
    if (!work)
        return;
    struct work_pool *pool = work->pool;
    DEBUG_ASSERT(loop_is_own_thread(pool->loop));
    bool release = false;
    lock(pool);
    switch (work->state) {
    case WORK_QUEUED:
        DL_DELETE(pool->queued, work);
        release = true;
        break;
    case WORK_RUNNING:
        work->cancelled = true;
        break;
    case WORK_DONE:
        DL_DELETE(pool->done, work);
        release = true;
        break;
    case WORK_DELIVERING:
        break; /* from its own on_done: released when that returns */
    }
    unlock(pool);
    if (release)
        work_release(work);
}

size_t work_pool_busy(const struct work_pool *pool)
{
    size_t queued = 0, running = 0;
    const struct work *work;
    lock(pool);
    DL_COUNT(pool->queued, work, queued);
    DL_COUNT(pool->running, work, running);
    unlock(pool);
    return queued + running;
}

size_t work_pool_stuck(const struct work_pool *pool)
{
    int64_t now_ns = loop_now_mono_ns(pool->loop);
    size_t stuck = 0;
    const struct work *work;
    lock(pool);
    DL_FOREACH(pool->running, work) {
        if (sat_sub_i64(now_ns, work->started_ns) > STUCK_AFTER_NS)
            stuck++;
    }
    unlock(pool);
    return stuck;
}
