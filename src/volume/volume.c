#include "volume/volume.h"

#include "base/hash.h"
#include "volume/volume_jobs.h"

struct volume_manager {
    struct work_pool *pool;
    struct volume_options options; /* root_dir is owned through root_dir below */
    char *root_dir;
    struct volume_op *ops; /* list head; each op is the manager's until it is done or cancelled */
};

/* Which callback is set tells the kind; the vtable given to the pool is the one that reads it. */
struct volume_op {
    struct volume_manager *manager;
    struct work *work;
    void (*on_mounted)(void *ctx, struct volume_set *set_owned, struct error *err_owned);
    void (*on_torn_down)(void *ctx, struct error *err_owned);
    void (*on_listed)(void *ctx, const char *const *uids, size_t count, struct error *err_owned);
    void *ctx;
    struct volume_op *prev, *next;
};

struct volume_manager *volume_manager_new(UNUSED struct loop *loop, struct work_pool *pool,
                                          const struct volume_options *options)
{
    struct volume_manager *manager = xcalloc(1, sizeof(*manager));
    manager->pool = pool;
    manager->root_dir = xstrdup(options->root_dir);
    manager->options = *options;
    manager->options.root_dir = manager->root_dir;
    return manager;
}

void volume_manager_free(struct volume_manager *manager)
{
    if (!manager)
        return;
    struct volume_op *op, *next;
    DL_FOREACH_SAFE(manager->ops, op, next) {
        work_cancel(op->work);
        free(op);
    }
    free(manager->root_dir);
    free(manager);
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

void volume_op_cancel(struct volume_op *op)
{
    if (!op)
        return;
    work_cancel(op->work);
    (void)op_end(op);
}

/* --- mount --- */

static void run_mount(void *job)
{
    volume_mount_job_run_blocking(job);
}

static void on_mount_done(void *ctx, void *job)
{
    struct volume_mount_job *done = job;
    struct volume_op op = op_end(ctx);
    op.on_mounted(op.ctx, TAKE(done->set), TAKE(done->err));
}

static void release_mount(void *job)
{
    volume_mount_job_free(job);
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

struct volume_op *volume_mount_start(struct volume_manager *manager, const Core__Pod *pod,
                                     void (*on_done)(void *ctx, struct volume_set *set_owned,
                                                     struct error *err_owned),
                                     void *ctx)
{
    struct volume_mount_job *job = volume_mount_job_new(&manager->options, pod);
    struct volume_op *op = op_new(manager, ctx);
    op->on_mounted = on_done;
    op->work = work_start(manager->pool, job->may_hang ? &slow_mount_work : &mount_work, job, op);
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
    op.on_torn_down(op.ctx, TAKE(done->err));
}

static void release_teardown(void *job)
{
    volume_teardown_job_free(job);
}

/* Slow: the pod decides how much there is to remove. */
static const struct work_vtable teardown_work = {.name = "tear down volumes",
                                                 .class = WORK_SLOW,
                                                 .run_blocking = run_teardown,
                                                 .on_done = on_teardown_done,
                                                 .release = release_teardown};

struct volume_op *volume_teardown_start(struct volume_manager *manager, const char *uid,
                                        enum volume_teardown what,
                                        void (*on_done)(void *ctx, struct error *err_owned),
                                        void *ctx)
{
    struct volume_op *op = op_new(manager, ctx);
    op->on_torn_down = on_done;
    op->work = work_start(manager->pool, &teardown_work,
                          volume_teardown_job_new(manager->root_dir, uid, what), op);
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
