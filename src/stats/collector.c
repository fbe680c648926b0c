/*
 * A pass: gather (loop) → read (worker) → wait for the images of new sandboxes, which are asked for
 * meanwhile → publish (loop). Whoever asks while one is under way waits for it; whoever asks within
 * a second after it gets the same snapshot in the next turn. The snapshot is let go after that
 * second, so that nothing is held while nobody asks.
 */
#include "stats/collector.h"

#include "base/hash.h"
#include "base/log.h"
#include "stats/collector_targets.h"
#include "stats/oom_log.h"
#include "stats/records_build.h"
#include "stats/sandbox_images.h"

/* A runtime that does not answer must not keep the figures back. */
#define IMAGE_WAIT_NS (2 * NS_PER_SEC)
#define PASS_ARENA_BYTES (64 * KiB)

struct stats_ask {
    struct stats_collector *collector;
    stats_on_records *on_done;
    void *ctx;
    struct stats_ask **list; /* the one it is in */
    struct stats_ask *prev, *next;
};

struct stats_collector {
    struct stats_collector_options options;
    char *slice_paths[STATS_ROLE_COUNT]; /* owned; NULL: not configured */
    struct stats_ask *asks;              /* wait for a snapshot */
    struct stats_ask *served;            /* are being told */
    struct work *work;                   /* the pass is on a worker */
    struct stats_pass *pass;             /* it is back and waits for images */
    struct stats_kept *kept;             /* lent to the pass while one is on a worker */
    struct stats_topology topology;
    struct sandbox_images *images;
    struct loop_timer *image_limit;
    struct loop_timer *turn; /* serves those for whom the snapshot is fresh enough */
    struct loop_timer *expiry;
    struct stats_records *last;
    int64_t last_ns; /* mono: when its pass began */
    int64_t began_ns;
};

static void publish(struct stats_collector *collector);
static void begin(struct stats_collector *collector);

/* --- telling --- */

static void ask_free(struct stats_ask *ask)
{
    DL_DELETE(*ask->list, ask);
    free(ask);
}

/* Whoever asks again from its callback waits for the next turn. */
static void serve(struct stats_collector *collector, const struct stats_records *records,
                  const struct error *err)
{
    struct stats_ask *ask;
    while ((ask = collector->asks) != NULL) {
        DL_DELETE(collector->asks, ask);
        DL_APPEND(collector->served, ask);
        ask->list = &collector->served;
    }
    while ((ask = collector->served) != NULL) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): utlist has unlinked what was freed, unseen */
        stats_on_records *on_done = ask->on_done;
        void *ctx = ask->ctx;
        ask_free(ask);
        on_done(ctx, records, error_dup(err));
    }
}

static bool is_fresh(const struct stats_collector *collector)
{
    int64_t now_ns = loop_now_mono_ns(collector->options.loop);
    return collector->last &&
           sat_sub_i64(now_ns, collector->last_ns) <= collector->options.max_age_ns;
}

static bool is_busy(const struct stats_collector *collector)
{
    return collector->work || collector->pass;
}

static void on_turn(void *ctx)
{
    struct stats_collector *collector = ctx;
    if (is_busy(collector) || !collector->asks)
        return;
    if (!is_fresh(collector)) {
        begin(collector);
        return;
    }
    AUTO(stats_records) struct stats_records *records = stats_records_ref(collector->last);
    serve(collector, records, NULL);
}

static void on_expiry(void *ctx)
{
    struct stats_collector *collector = ctx;
    if (!is_fresh(collector))
        stats_records_unref(TAKE(collector->last));
    else
        loop_timer_start(collector->expiry, collector->options.max_age_ns);
}

/* --- publishing --- */

/* What became known while the worker was reading. */
static void complete_records(struct stats_collector *collector, struct stats_pass *pass)
{
    for (size_t i = 0; i < pass->content.count; i++) {
        struct stats_record *record = &pass->items[i];
        if (record->kind == STATS_SANDBOX && record->image[0] == '\0')
            record->image =
                arena_strdup(pass->arena, sandbox_images_get(collector->images, record->id));
        if (collector->options.ooms)
            record->oom_kills = oom_log_count(collector->options.ooms, record->path);
    }
}

static void publish(struct stats_collector *collector)
{
    struct stats_pass *pass = TAKE(collector->pass);
    loop_timer_cancel(collector->image_limit);
    stats_records_unref(TAKE(collector->last));
    if (pass->err) {
        AUTO(error) struct error *err = TAKE(pass->err);
        stats_pass_free(pass);
        serve(collector, NULL, err);
        return;
    }
    complete_records(collector, pass);
    struct stats_records *records = stats_records_build(&pass->content, pass->items, pass->arena);
    collector->last = records;
    collector->last_ns = collector->began_ns;
    loop_timer_start(collector->expiry, collector->options.max_age_ns);
    AUTO(stats_records) struct stats_records *held = stats_records_ref(records);
    serve(collector, held, NULL);
}

static void on_images_settled(void *ctx)
{
    struct stats_collector *collector = ctx;
    if (collector->pass)
        publish(collector);
}

static void on_image_limit(void *ctx)
{
    struct stats_collector *collector = ctx;
    log_v(2, "The runtime is slow to tell the images of sandboxes");
    publish(collector);
}

/* --- reading --- */

struct pass_job {
    struct stats_pass *pass; /* NULL once it was taken back */
};

static void run_job_blocking(void *job)
{
    stats_pass_run_blocking(((struct pass_job *)job)->pass);
}

static void release_job(void *job)
{
    stats_pass_free(((struct pass_job *)job)->pass);
    free(job);
}

static void on_job_done(void *ctx, void *job)
{
    struct stats_collector *collector = ctx;
    struct stats_pass *pass = TAKE(((struct pass_job *)job)->pass);
    collector->work = NULL;
    collector->kept = TAKE(pass->kept);
    collector->topology = pass->topology;
    collector->pass = pass;
    if (sandbox_images_is_settled(collector->images) || pass->err)
        publish(collector);
    else
        loop_timer_start(collector->image_limit, IMAGE_WAIT_NS);
}

static const struct work_vtable pass_vtable = {
    .name = "stats pass",
    .class = WORK_NORMAL,
    .run_blocking = run_job_blocking,
    .on_done = on_job_done,
    .release = release_job,
};

static const char *image_of(void *ctx, const char *id)
{
    struct stats_collector *collector = ctx;
    sandbox_images_want(collector->images, id);
    return sandbox_images_get(collector->images, id);
}

static void begin(struct stats_collector *collector)
{
    const struct stats_collector_options *options = &collector->options;
    struct arena *arena = arena_new(PASS_ARENA_BYTES);
    struct stats_pass *pass = arena_alloc(arena, sizeof(*pass));
    pass->arena = arena;
    pass->proc_root = arena_strdup(arena, options->proc_root);
    pass->sys_root = arena_strdup(arena, options->sys_root);
    pass->topology = collector->topology;
    pass->kept = TAKE(collector->kept);
    pass->content.taken_ns = loop_now_wall_ns(options->loop);
    pass->content.machine = options->machine;
    cgroup_layout_copy(options->cgroups, arena, &pass->layout);
    struct stats_slices slices = {0};
    for (size_t i = 0; i < STATS_ROLE_COUNT; i++)
        slices.paths[i] = collector->slice_paths[i];
    stats_targets_gather(pass, options->pods, options->cgroups, &slices, image_of, collector);
    sandbox_images_forget_unwanted(collector->images);
    collector->began_ns = loop_now_mono_ns(options->loop);
    struct pass_job *job = xcalloc(1, sizeof(*job));
    job->pass = pass;
    collector->work = work_start(options->pool, &pass_vtable, job, collector);
}

/* --- the door --- */

struct stats_collector *stats_collector_new(const struct stats_collector_options *options)
{
    struct stats_collector *collector = xcalloc(1, sizeof(*collector));
    collector->options = *options;
    collector->slice_paths[STATS_ROLE_KUBELET] = xstrdup(options->kubelet_cgroup);
    collector->slice_paths[STATS_ROLE_RUNTIME] = xstrdup(options->runtime_cgroup);
    collector->slice_paths[STATS_ROLE_MISC] = xstrdup(options->system_cgroup);
    collector->kept = stats_kept_new();
    collector->images = sandbox_images_new(options->runtime, on_images_settled, collector);
    struct loop *loop = options->loop;
    collector->image_limit = loop_timer_new(loop, "sandbox images", on_image_limit, collector);
    collector->turn = loop_timer_new(loop, "stats", on_turn, collector);
    collector->expiry = loop_timer_new(loop, "stats expiry", on_expiry, collector);
    return collector;
}

void stats_collector_free(struct stats_collector *collector)
{
    if (!collector)
        return;
    work_cancel(collector->work);
    while (collector->asks)
        ask_free(collector->asks); /* NOLINT(clang-analyzer-unix.Malloc): as in serve() */
    while (collector->served)
        ask_free(collector->served); /* NOLINT(clang-analyzer-unix.Malloc): as in serve() */
    stats_pass_free(collector->pass);
    stats_kept_free(collector->kept);
    sandbox_images_free(collector->images);
    loop_timer_free(collector->image_limit);
    loop_timer_free(collector->turn);
    loop_timer_free(collector->expiry);
    stats_records_unref(collector->last);
    for (size_t i = 0; i < STATS_ROLE_COUNT; i++)
        free(collector->slice_paths[i]);
    free(collector);
}

struct stats_ask *stats_collect_start(struct stats_collector *collector, stats_on_records *on_done,
                                      void *ctx)
{
    struct stats_ask *ask = xcalloc(1, sizeof(*ask));
    ask->collector = collector;
    ask->on_done = on_done;
    ask->ctx = ctx;
    ask->list = &collector->asks;
    DL_APPEND(collector->asks, ask);
    if (!is_busy(collector) && !loop_timer_is_armed(collector->turn))
        loop_timer_start(collector->turn, -1);
    return ask;
}

void stats_collect_cancel(struct stats_ask *ask)
{
    if (ask)
        ask_free(ask);
}
