#include "tests/unit/volume/fake_work.h"

#include "base/hash.h"

struct work {
    struct work *prev, *next;
    const struct work_vtable *vtable;
    void *job, *ctx;
    bool was_run, cancelled, delivering;
};

static struct work *jobs;

size_t fake_work_count(void)
{
    size_t count = 0;
    const struct work *work;
    DL_COUNT(jobs, work, count);
    return count;
}

static void release(struct work *work)
{
    work->vtable->release(work->job);
    free(work);
}

void fake_work_run(void)
{
    struct work *work;
    DL_FOREACH(jobs, work) {
        if (work->was_run)
            continue;
        work->was_run = true;
        work->vtable->run_blocking(work->job);
        return;
    }
    base_die("there is no job to run");
}

void fake_work_deliver(void)
{
    struct work *work;
    DL_FOREACH(jobs, work) {
        if (!work->was_run)
            continue;
        DL_DELETE(jobs, work);
        work->delivering = true;
        if (!work->cancelled)
            work->vtable->on_done(work->ctx, work->job);
        release(work);
        return;
    }
    base_die("there is no job to deliver");
}

struct work *work_start(UNUSED struct work_pool *pool, const struct work_vtable *vtable,
                        void *job_owned, void *ctx)
{
    struct work *work = xcalloc(1, sizeof(*work));
    *work = (struct work){.vtable = vtable, .job = job_owned, .ctx = ctx};
    DL_APPEND(jobs, work);
    return work;
}

void work_cancel(struct work *work)
{
    if (!work || work->delivering)
        return;
    if (work->was_run) {
        work->cancelled = true; /* as if it were still running */
        return;
    }
    DL_DELETE(jobs, work);
    release(work);
}
