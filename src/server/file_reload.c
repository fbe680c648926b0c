/*
 *     job: trace the paths, read the files ──► watch what the trace names ──► tell what is new
 *      ▲                                            │ it names more than before
 *      └──── a moment ◄── something changed         └──► job: what happened before it began
 *
 * The moment lets a writer finish and makes one reading of many changes. A watch that cannot be
 * made leaves nothing else than looking again now and then.
 */
#include "server/file_reload.h"

#include "base/fd.h"
#include "base/hash.h"
#include "base/log.h"
#include "loop/inotify.h"
#include "server/path_trace.h"

#define SETTLE_NS (100 * NS_PER_MS)
#define UNWATCHED_NS (60 * NS_PER_SEC)

struct job {
    struct arena *arena;
    char *paths[FILE_RELOAD_MAX];
    size_t count;
    struct path_trace trace;
    struct buf contents[FILE_RELOAD_MAX];
    struct error *err;
};

/* A directory that is watched. */
struct lookout {
    struct lookout *prev, *next;
    struct file_reload *reload;
    char *dir;
    struct inotify_watch *watch;
};

struct file_reload {
    struct loop *loop;
    struct work_pool *pool;
    char *paths[FILE_RELOAD_MAX];
    size_t count, max_bytes;
    file_reload_on_read *on_read;
    void *ctx;

    struct work *work;
    bool is_stale;   /* something has changed since the job began */
    bool has_warned; /* of what cannot be watched */
    struct loop_timer *moment;
    struct lookout *lookouts;
    struct path_trace trace; /* of the last job, in the arena */
    struct arena *arena;

    bool has_told;
    char *told_error; /* NULL: contents were told, and these: */
    struct hash128 told[FILE_RELOAD_MAX];
};

static void start_job(struct file_reload *reload);

/* --- the job --- */

static void job_run_blocking(void *object)
{
    struct job *job = object;
    for (size_t i = 0; i < job->count; i++)
        path_trace_blocking(job->paths[i], job->arena, &job->trace);
    for (size_t i = 0; i < job->count && !job->err; i++)
        job->err = fd_read_file_blocking(job->paths[i], &job->contents[i]);
}

static void job_release(void *object)
{
    struct job *job = object;
    for (size_t i = 0; i < job->count; i++) {
        if (job->contents[i].data)
            explicit_bzero(job->contents[i].data, job->contents[i].len);
        buf_done(&job->contents[i]);
    }
    error_free(job->err);
    arena_free(job->arena);
    free(job);
}

/* --- watching --- */

static void on_moment(void *ctx)
{
    struct file_reload *reload = ctx;
    if (reload->work)
        reload->is_stale = true;
    else
        start_job(reload);
}

static void look_soon(struct file_reload *reload, int64_t wait_ns)
{
    if (!loop_timer_is_armed(reload->moment))
        loop_timer_start(reload->moment, wait_ns);
}

static void drop(struct lookout *lookout)
{
    DL_DELETE(lookout->reload->lookouts, lookout);
    inotify_watch_free(lookout->watch);
    free(lookout->dir);
    free(lookout);
}

static bool is_spot(const struct path_trace *trace, const char *dir, const char *name)
{
    for (size_t i = 0; i < trace->count; i++) {
        if (text_eq(trace->spots[i].dir, dir) && text_eq(trace->spots[i].name, name))
            return true;
    }
    return false;
}

static void on_change(void *ctx, enum inotify_change change, const char *name)
{
    struct lookout *lookout = ctx;
    struct file_reload *reload = lookout->reload;
    bool is_whole = change == INOTIFY_GONE || change == INOTIFY_OVERFLOW || !name[0];
    if (!is_whole && !is_spot(&reload->trace, lookout->dir, name))
        return;
    /* Whatever was to come later comes now. */
    loop_timer_cancel(reload->moment);
    look_soon(reload, SETTLE_NS);
    if (change == INOTIFY_GONE)
        drop(lookout);
}

static struct lookout *find(const struct file_reload *reload, const char *dir)
{
    struct lookout *lookout;
    DL_FOREACH(reload->lookouts, lookout) {
        if (text_eq(lookout->dir, dir))
            return lookout;
    }
    return NULL;
}

static bool is_traced(const struct path_trace *trace, const char *dir)
{
    for (size_t i = 0; i < trace->count; i++) {
        if (text_eq(trace->spots[i].dir, dir))
            return true;
    }
    return false;
}

static struct error *watch(struct file_reload *reload, const char *dir)
{
    struct lookout *lookout = xcalloc(1, sizeof(*lookout));
    lookout->reload = reload;
    struct error *err = inotify_watch_new(reload->loop, dir, on_change, lookout, &lookout->watch);
    if (err) {
        free(lookout);
        return err;
    }
    lookout->dir = xstrdup(dir);
    DL_APPEND(reload->lookouts, lookout);
    return NULL;
}

/* Watches @dir. True when that is new. */
static bool watch_too(struct file_reload *reload, const char *dir)
{
    AUTO(error) struct error *err = watch(reload, dir);
    if (!err)
        return true;
    /* One that has gone since is nothing to speak of. */
    bool is_gone = error_is(err, ERROR_NOT_FOUND);
    if (!is_gone && !reload->has_warned)
        log_warning("Cannot watch for changes, looking every minute instead", LOG_STR("dir", dir),
                    LOG_ERR(err));
    reload->has_warned = reload->has_warned || !is_gone;
    look_soon(reload, is_gone ? SETTLE_NS : UNWATCHED_NS);
    return false;
}

/* Watches what the new trace names and nothing else. True when that is more than before: what
 * happened to it while the job ran was nobody's affair yet. */
static bool follow(struct file_reload *reload, struct job *job)
{
    struct lookout *lookout, *next;
    bool has_more = false;
    for (size_t i = 0; i < job->trace.count; i++) {
        const struct path_spot *spot = &job->trace.spots[i];
        has_more = has_more ||
                   (find(reload, spot->dir) && !is_spot(&reload->trace, spot->dir, spot->name));
    }
    arena_free(reload->arena);
    reload->arena = TAKE(job->arena);
    reload->trace = job->trace;
    DL_FOREACH_SAFE(reload->lookouts, lookout, next) {
        if (!is_traced(&reload->trace, lookout->dir))
            drop(lookout);
    }
    for (size_t i = 0; i < reload->trace.count; i++) {
        if (!find(reload, reload->trace.spots[i].dir))
            has_more = watch_too(reload, reload->trace.spots[i].dir) || has_more;
    }
    return has_more;
}

/* --- telling --- */

static bool is_news(const struct file_reload *reload, const struct job *job)
{
    if (!reload->has_told || (job->err != NULL) != (reload->told_error != NULL))
        return true;
    if (job->err)
        return !text_eq(job->err->message, reload->told_error);
    for (size_t i = 0; i < reload->count; i++) {
        struct hash128 hash = hash_fnv1a_128(job->contents[i].data, job->contents[i].len);
        if (hash.high != reload->told[i].high || hash.low != reload->told[i].low)
            return true;
    }
    return false;
}

static void tell(struct file_reload *reload, const struct job *job)
{
    struct str contents[FILE_RELOAD_MAX] = {{0}};
    reload->has_told = true;
    free(reload->told_error);
    reload->told_error = job->err ? xstrdup(job->err->message) : NULL;
    for (size_t i = 0; i < reload->count && !job->err; i++) {
        contents[i] = buf_str(&job->contents[i]);
        reload->told[i] = hash_fnv1a_128(contents[i].ptr, contents[i].len);
    }
    reload->on_read(reload->ctx, job->err ? NULL : contents, job->err); /* may free */
}

static void on_done(void *ctx, void *object)
{
    struct file_reload *reload = ctx;
    struct job *job = object;
    reload->work = NULL;
    bool must_read_again = follow(reload, job) || reload->is_stale;
    reload->is_stale = false;
    if (must_read_again)
        start_job(reload);
    if (is_news(reload, job))
        tell(reload, job);
}

static void start_job(struct file_reload *reload)
{
    static const struct work_vtable vtable = {.name = "certificate files",
                                              .class = WORK_NORMAL,
                                              .run_blocking = job_run_blocking,
                                              .on_done = on_done,
                                              .release = job_release};
    struct job *job = xcalloc(1, sizeof(*job));
    job->arena = arena_new(0);
    job->count = reload->count;
    for (size_t i = 0; i < reload->count; i++) {
        job->paths[i] = arena_strdup(job->arena, reload->paths[i]);
        buf_init(&job->contents[i], reload->max_bytes);
    }
    reload->work = work_start(reload->pool, &vtable, job, reload);
}

/* --- life --- */

struct file_reload *file_reload_new(struct loop *loop, struct work_pool *pool,
                                    const struct file_reload_options *options,
                                    file_reload_on_read *on_read, void *ctx)
{
    ASSERT(options->count <= FILE_RELOAD_MAX);
    struct file_reload *reload = xcalloc(1, sizeof(*reload));
    *reload = (struct file_reload){.loop = loop,
                                   .pool = pool,
                                   .count = options->count,
                                   .max_bytes = options->max_bytes,
                                   .on_read = on_read,
                                   .ctx = ctx};
    for (size_t i = 0; i < options->count; i++)
        reload->paths[i] = xstrdup(options->paths[i]);
    reload->moment = loop_timer_new(loop, "certificate files", on_moment, reload);
    start_job(reload);
    return reload;
}

void file_reload_free(struct file_reload *reload)
{
    if (!reload)
        return;
    work_cancel(reload->work);
    loop_timer_free(reload->moment);
    while (reload->lookouts)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): utlist has unlinked what was freed, unseen */
        drop(reload->lookouts);
    for (size_t i = 0; i < reload->count; i++)
        free(reload->paths[i]);
    arena_free(reload->arena);
    free(reload->told_error);
    free(reload);
}
