/*
 * The manager and its operations. Each pod has a lane while something is going on for it:
 *
 *     waiting ──(first in line)──► gathering (mounts only) ──► on a worker ──► done
 *
 * The lane is busy from the moment an operation leaves the line until its job is released. A
 * cancelled operation is gone at once, but a worker that has begun its job finishes it, and only
 * then the next one begins. So two jobs never meet in one pod's directory.
 */
#include "volume/volume.h"

#include "base/hash.h"
#include "kube/jitter.h"
#include "kube/token_cache.h"
#include "volume/content_gather.h"
#include "volume/volume_jobs.h"
#include "volume/volume_metrics.h"
#include "volume/volume_plugin.h"

/* pkg/util/goroutinemap/exponentialbackoff: initialDurationBeforeRetry, maxDurationBeforeRetry. */
static const struct growing_wait_policy retry_policy = {.initial_ns = 500 * NS_PER_MS,
                                                        .max_ns = 122 * NS_PER_SEC};

struct volume_manager {
    struct loop *loop;
    struct work_pool *pool;
    struct volume_options options; /* root_dir is owned through root_dir below */
    char *root_dir;
    struct volume_metrics metrics;
    struct volume_op *ops; /* list head; each op is the manager's until it is done or cancelled */
    struct volume_lane *lanes; /* hash head by uid */
};

/* Lives while it is busy, has a line or remembers failures. A busy one outlives the manager: the
 * job frees it. */
struct volume_lane {
    struct volume_manager *manager; /* NULL: gone */
    char *uid;
    bool busy;
    struct volume_op *waiting;
    struct growing_wait retry; /* failures in a row */
    UT_hash_handle hh;
};

/* Which callback is set tells the kind; the vtable given to the pool is the one that reads it. */
struct volume_op {
    struct volume_manager *manager;
    struct volume_lane *lane; /* NULL: it is no pod's */
    bool waits;               /* in the lane's line */
    const Core__Pod *pod;     /* to mount; borrowed */
    enum volume_teardown what;
    struct volume_mount_job *job; /* owned until it is the pool's */
    struct content_gather *gather;
    struct work *work;
    volume_on_mounted *on_mounted;
    void (*on_torn_down)(void *ctx, struct error *err_owned);
    void (*on_listed)(void *ctx, const char *const *uids, size_t count, struct error *err_owned);
    void *ctx;
    struct volume_op *prev, *next;
    struct volume_op *lane_prev, *lane_next;
};

struct volume_manager *volume_manager_new(struct loop *loop, struct work_pool *pool,
                                          const struct volume_options *options)
{
    struct volume_manager *manager = xcalloc(1, sizeof(*manager));
    manager->loop = loop;
    manager->pool = pool;
    manager->root_dir = xstrdup(options->root_dir);
    manager->options = *options;
    manager->options.root_dir = manager->root_dir;
    volume_metrics_init(&manager->metrics, options->metrics);
    return manager;
}

void volume_set_free(struct volume_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++) {
        free(set->volumes[i].name);
        free(set->volumes[i].host_path);
        free(set->volumes[i].inner_name);
    }
    free(set->volumes);
    free(set);
}

/* --- lanes --- */

static struct volume_lane *lane_get(struct volume_manager *manager, const char *uid)
{
    struct volume_lane *lane;
    HASH_FIND_STR(manager->lanes, uid, lane);
    if (lane)
        return lane;
    lane = xcalloc(1, sizeof(*lane));
    lane->manager = manager;
    lane->uid = xstrdup(uid);
    HASH_ADD_KEYPTR(hh, manager->lanes, lane->uid, strlen(lane->uid), lane);
    return lane;
}

static void lane_free(struct volume_lane *lane)
{
    free(lane->uid);
    free(lane);
}

static void begin(struct volume_op *op);

/* Lets the first in line begin, unless somebody is at it; forgets a lane that nobody needs. */
static void lane_advance(struct volume_lane *lane)
{
    struct volume_op *op = lane->waiting;
    if (lane->busy)
        return;
    if (op) {
        DL_DELETE2(lane->waiting, op, lane_prev, lane_next);
        op->waits = false;
        lane->busy = true;
        begin(op);
    } else if (lane->retry.next_ns == 0) {
        HASH_DEL(lane->manager->lanes, lane);
        lane_free(lane);
    }
}

/* What made it busy is over. When the manager is gone nobody else knows the lane, and this may be
 * any thread. */
static void lane_leave(struct volume_lane *lane)
{
    lane->busy = false;
    if (lane->manager)
        lane_advance(lane);
    else
        lane_free(lane);
}

static void lane_enter(struct volume_op *op, const char *uid)
{
    op->lane = lane_get(op->manager, uid ? uid : "");
    op->waits = true;
    DL_APPEND2(op->lane->waiting, op, lane_prev, lane_next);
    lane_advance(op->lane);
}

/* --- operations --- */

static struct volume_op *op_new(struct volume_manager *manager, void *ctx)
{
    struct volume_op *op = xcalloc(1, sizeof(*op));
    op->manager = manager;
    op->ctx = ctx;
    DL_APPEND(manager->ops, op);
    return op;
}

/* Before the callback runs: it may free the manager. */
static struct volume_op op_end(struct volume_op *op)
{
    struct volume_op copy = *op;
    DL_DELETE(op->manager->ops, op);
    free(op);
    return copy;
}

/* Frees what it still owns. */
static void op_drop(struct volume_op *op)
{
    content_gather_cancel(op->gather);
    volume_mount_job_free(op->job);
    free(op);
}

void volume_op_cancel(struct volume_op *op)
{
    if (!op)
        return;
    struct volume_lane *lane = op->lane;
    struct work *work = op->work;
    bool waits = op->waits, gathers = op->gather != NULL;
    DL_DELETE(op->manager->ops, op);
    if (waits)
        DL_DELETE2(lane->waiting, op, lane_prev, lane_next);
    op_drop(op);
    work_cancel(work); /* its release leaves the lane, now or when the worker is done */
    if (gathers)
        lane_leave(lane);
}

void volume_manager_free(struct volume_manager *manager)
{
    if (!manager)
        return;
    struct volume_lane *lane, *next_lane;
    HASH_ITER(hh, manager->lanes, lane, next_lane) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash unlinks it, unseen */
        HASH_DEL(manager->lanes, lane);
        lane->manager = NULL;
        if (!lane->busy)
            lane_free(lane);
    }
    struct volume_op *op, *next;
    DL_FOREACH_SAFE(manager->ops, op, next) {
        struct work *work = op->work;
        if (op->gather)
            lane_leave(op->lane);
        op_drop(op);
        work_cancel(work);
    }
    free(manager->root_dir);
    free(manager);
}

/* --- mount --- */

static void run_mount(void *job)
{
    volume_mount_job_run_blocking(job);
}

static void count_mounts(const struct volume_manager *manager, const struct volume_mount_job *job)
{
    for (size_t i = 0; i < job->count; i++) {
        const struct volume_mount_item *item = &job->items[i];
        if (item->took_ns > 0)
            volume_metrics_mounted(&manager->metrics, item->plugin->name, item->took_ns,
                                   item->failure != NULL);
    }
}

static void on_mount_done(void *ctx, void *job)
{
    struct volume_mount_job *done = job;
    struct volume_op op = op_end(ctx);
    struct volume_manager *manager = op.manager;
    count_mounts(manager, done);
    struct volume_mount_result result = {.set_owned = TAKE(done->set),
                                         .failures = done->failures,
                                         .failure_count = done->failure_count};
    if (result.set_owned)
        op.lane->retry = (struct growing_wait){0};
    else
        result.retry_delay_ns =
            growing_wait_next(&op.lane->retry, &retry_policy, loop_now_mono_ns(manager->loop), 0);
    op.on_mounted(op.ctx, &result);
}

static void release_mount(void *job)
{
    struct volume_lane *lane = ((struct volume_mount_job *)job)->lane;
    volume_mount_job_free(job);
    lane_leave(lane);
}

static const struct work_vtable mount_work = {.name = "mount volumes",
                                              .class = WORK_NORMAL,
                                              .run_blocking = run_mount,
                                              .on_done = on_mount_done,
                                              .release = release_mount};
/* One that may wait for a dead server must not take the whole pool with it. */
static const struct work_vtable slow_mount_work = {.name = "mount volumes (slow)",
                                                   .class = WORK_SLOW,
                                                   .run_blocking = run_mount,
                                                   .on_done = on_mount_done,
                                                   .release = release_mount};

static void on_gathered(void *ctx)
{
    struct volume_op *op = ctx;
    struct volume_manager *manager = op->manager;
    struct volume_mount_job *job = TAKE(op->job);
    op->gather = NULL;
    volume_mount_job_build(job, &manager->options.sources, op->pod,
                           loop_now_wall_ns(manager->loop));
    op->pod = NULL;
    op->work = work_start(manager->pool, job->may_hang ? &slow_mount_work : &mount_work, job, op);
}

static void begin_mount(struct volume_op *op)
{
    struct volume_manager *manager = op->manager;
    size_t count;
    op->job = volume_mount_job_new(&manager->options, op->pod);
    op->job->lane = op->lane;
    struct content **contents = volume_mount_job_contents(op->job, &count);
    op->gather =
        content_gather_start(&manager->options.sources, op->pod, contents, count, on_gathered, op);
    if (!op->gather)
        on_gathered(op);
}

struct volume_op *volume_mount_start(struct volume_manager *manager, const Core__Pod *pod,
                                     volume_on_mounted *on_done, void *ctx)
{
    struct volume_op *op = op_new(manager, ctx);
    op->on_mounted = on_done;
    op->pod = pod;
    lane_enter(op, pod->metadata ? pod->metadata->uid : NULL);
    return op;
}

/* --- teardown --- */

static void run_teardown(void *job)
{
    volume_teardown_job_run_blocking(job);
}

static void on_teardown_done(void *ctx, void *job)
{
    struct volume_teardown_job *done = job;
    struct volume_op op = op_end(ctx);
    for (size_t i = 0; i < done->volume_count; i++)
        volume_metrics_unmounted(&op.manager->metrics, done->volumes[i].plugin->name,
                                 done->volumes[i].took_ns, done->volumes[i].has_failed);
    op.on_torn_down(op.ctx, TAKE(done->err));
}

static void release_teardown(void *job)
{
    struct volume_lane *lane = ((struct volume_teardown_job *)job)->lane;
    volume_teardown_job_free(job);
    lane_leave(lane);
}

/* Slow: the pod decides how much there is to remove. */
static const struct work_vtable teardown_work = {.name = "tear down volumes",
                                                 .class = WORK_SLOW,
                                                 .run_blocking = run_teardown,
                                                 .on_done = on_teardown_done,
                                                 .release = release_teardown};

static void begin_teardown(struct volume_op *op)
{
    struct volume_manager *manager = op->manager;
    struct volume_lane *lane = op->lane;
    lane->retry = (struct growing_wait){0};
    if (manager->options.sources.tokens)
        token_cache_forget_pod(manager->options.sources.tokens, lane->uid);
    struct volume_teardown_job *job =
        volume_teardown_job_new(manager->root_dir, lane->uid, op->what);
    job->lane = lane;
    op->work = work_start(manager->pool, &teardown_work, job, op);
}

static void begin(struct volume_op *op)
{
    if (op->on_mounted)
        begin_mount(op);
    else
        begin_teardown(op);
}

struct volume_op *volume_teardown_start(struct volume_manager *manager, const char *uid,
                                        enum volume_teardown what,
                                        void (*on_done)(void *ctx, struct error *err_owned),
                                        void *ctx)
{
    struct volume_op *op = op_new(manager, ctx);
    op->on_torn_down = on_done;
    op->what = what;
    lane_enter(op, uid);
    return op;
}

/* --- listing --- */

static void run_list(void *job)
{
    volume_list_job_run_blocking(job);
}

static void on_list_done(void *ctx, void *job)
{
    struct volume_list_job *done = job;
    struct volume_op op = op_end(ctx);
    op.on_listed(op.ctx, done->uids.names, done->uids.count, TAKE(done->err));
}

static void release_list(void *job)
{
    volume_list_job_free(job);
}

static const struct work_vtable list_work = {.name = "list pod directories",
                                             .class = WORK_NORMAL,
                                             .run_blocking = run_list,
                                             .on_done = on_list_done,
                                             .release = release_list};

struct volume_op *volume_list_pods_start(struct volume_manager *manager,
                                         void (*on_done)(void *ctx, const char *const *uids,
                                                         size_t count, struct error *err_owned),
                                         void *ctx)
{
    struct volume_op *op = op_new(manager, ctx);
    op->on_listed = on_done;
    op->work = work_start(manager->pool, &list_work, volume_list_job_new(manager->root_dir), op);
    return op;
}
