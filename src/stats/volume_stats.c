/*
 * A pod's entry: wanted ──► in line ──► measured on a worker ──► remembered ──(a later ask)──► …
 *
 * What a job needs is copied out of the pod when it is asked for; the job owns its arena, and the
 * entry takes that over with the results. A volume that is measured once takes its figures along
 * from the entry's last job. One that cannot be measured is left out until the next time.
 */
#include "stats/volume_stats.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/time.h"
#include "kube/jitter.h"
#include "stats/dir_usage.h"
#include "stats/fs_totals.h"
#include "volume/volume.h"

#define JITTER_PERMILLE 1000 /* up to a period on top */

struct item {
    const struct volume_measurable *volume;
    bool known;
    struct summary_fs fs;
    char *failure;   /* owned; why it is not known */
    int64_t took_ns; /* for this job; 0: it was known before */
};

struct job {
    struct arena *arena; /* owned */
    int64_t now_ns;      /* wall; when it was begun */
    size_t count;
    struct item *items;
};

struct entry {
    struct volume_stats *stats;
    struct job *last;    /* the last one that was done; NULL: not measured yet */
    struct job *next;    /* waits in line; owned until it is the pool's */
    struct work *work;   /* under way */
    int64_t measured_ns; /* mono */
    int64_t due_ns;      /* mono */
    uint64_t asked;      /* the ask that wanted it last */
    struct entry *line_prev, *line_next;
    UT_hash_handle hh;
    char uid[];
};

struct volume_stats_ask {
    struct volume_stats *stats;
    struct loop_timer *timer;
    void (*on_done)(void *ctx);
    void *ctx;
    struct volume_stats_ask *prev, *next;
};

struct volume_stats {
    struct loop *loop;
    struct work_pool *pool;
    char *root_dir;
    int64_t period_ns;
    struct entry *entries; /* hash head by uid */
    struct entry *line;    /* those that wait for the worker */
    struct entry *current; /* the one that is measured now */
    struct volume_stats_ask *asks;
    struct metric_family *seconds;
    uint64_t asked;
};

const struct metric_info volume_stats_seconds = {
    .name = "kubelet_volume_metric_collection_duration_seconds",
    .help = "[ALPHA] Duration in seconds to calculate volume stats",
    .type = METRIC_HISTOGRAM,
    .labels = {"metric_source"},
    METRIC_DEFAULT_BOUNDS};

/* --- the job --- */

static void job_free(struct job *job)
{
    if (!job)
        return;
    for (size_t i = 0; i < job->count; i++)
        free(job->items[i].failure);
    arena_free(job->arena);
    free(job);
}

static const struct item *find_known(const struct job *job, const char *name)
{
    for (size_t i = 0; job && i < job->count; i++) {
        if (job->items[i].known && text_eq(job->items[i].volume->name, name))
            return &job->items[i];
    }
    return NULL;
}

/* @last: what was measured of the same pod before, or NULL. */
static struct job *job_new(const char *root_dir, const Core__Pod *pod, const struct job *last)
{
    struct job *job = xcalloc(1, sizeof(*job));
    job->arena = arena_new(0);
    const struct volume_measurable *volumes = NULL;
    job->count = volume_measurables(root_dir, pod, job->arena, &volumes);
    job->items = arena_calloc(job->arena, job->count + 1, sizeof(*job->items));
    for (size_t i = 0; i < job->count; i++) {
        struct item *item = &job->items[i];
        item->volume = &volumes[i];
        const struct item *before = volumes[i].measure == VOLUME_MEASURE_WALK_ONCE
                                        ? find_known(last, volumes[i].name)
                                        : NULL;
        if (before) {
            item->known = true;
            item->fs = before->fs;
        }
    }
    return job;
}

static struct error *measure(const char *path, int64_t now_ns, struct summary_fs *ret)
{
    struct dir_usage usage;
    struct fs_totals totals;
    struct error *err = dir_usage_measure_blocking(path, &usage);
    if (!err)
        err = fs_totals_read_blocking(path, &totals);
    if (err)
        return err;
    *ret = (struct summary_fs){.time_ns = now_ns,
                               .available_bytes = summary_known(totals.available_bytes),
                               .capacity_bytes = summary_known(totals.capacity_bytes),
                               .used_bytes = summary_known(usage.bytes),
                               .inodes_free = summary_known(totals.inodes_free),
                               .inodes = summary_known(totals.inodes),
                               .inodes_used = summary_known(usage.inodes)};
    return NULL;
}

static void run_job(void *ctx)
{
    struct job *job = ctx;
    for (size_t i = 0; i < job->count; i++) {
        struct item *item = &job->items[i];
        if (item->known)
            continue;
        int64_t began_ns = time_mono_ns();
        AUTO(error) struct error *err = measure(item->volume->path, job->now_ns, &item->fs);
        item->took_ns = max_i64(time_mono_ns() - began_ns, 1);
        item->known = !err;
        item->failure = err ? xstrdup(err->message) : NULL;
    }
}

/* --- entries --- */

static struct entry *find(const struct volume_stats *stats, const char *uid)
{
    struct entry *entry;
    HASH_FIND_STR(stats->entries, uid, entry);
    return entry;
}

static struct entry *add(struct volume_stats *stats, const char *uid)
{
    size_t len = strlen(uid);
    struct entry *entry = xcalloc(1, sizeof(*entry) + len + 1);
    entry->stats = stats;
    memcpy(entry->uid, uid, len);
    HASH_ADD_KEYPTR(hh, stats->entries, entry->uid, len, entry);
    return entry;
}

static bool waits_in_line(const struct entry *entry)
{
    return entry->next != NULL;
}

static void leave_line(struct entry *entry)
{
    if (waits_in_line(entry))
        DL_DELETE2(entry->stats->line, entry, line_prev, line_next);
}

static void drop(struct entry *entry)
{
    struct volume_stats *stats = entry->stats;
    HASH_DEL(stats->entries, entry);
    leave_line(entry);
    if (stats->current == entry)
        stats->current = NULL;
    work_cancel(entry->work);
    job_free(entry->next);
    job_free(entry->last);
    free(entry);
}

/* Whether its figures are there and not so old that a kubelet would have newer ones. */
static bool has_figures(const struct entry *entry, int64_t now_ns)
{
    int64_t longest_ns = sat_mul_i64(entry->stats->period_ns, 2);
    return entry->last && sat_sub_i64(now_ns, entry->measured_ns) <= longest_ns;
}

/* --- one after the other --- */

static void advance(struct volume_stats *stats);

static void tell_items(const struct entry *entry)
{
    for (size_t i = 0; i < entry->last->count; i++) {
        const struct item *item = &entry->last->items[i];
        if (item->took_ns > 0) /* a walk is what the kubelet has du(1) for */
            metric_observe(entry->stats->seconds, time_seconds(item->took_ns), "du");
        if (item->failure)
            log_v(4, "A volume could not be measured", LOG_STR("podUID", entry->uid),
                  LOG_STR("volumeName", item->volume->name), LOG_STR("err", item->failure));
    }
}

static void on_measured(void *ctx, void *job)
{
    struct entry *entry = ctx;
    struct volume_stats *stats = entry->stats;
    entry->work = NULL;
    job_free(entry->last);
    entry->last = xcalloc(1, sizeof(*entry->last));
    *entry->last = *(struct job *)job;
    *(struct job *)job = (struct job){0}; /* nothing is left for release() to free */
    entry->measured_ns = loop_now_mono_ns(stats->loop);
    entry->due_ns = sat_add_i64(entry->measured_ns,
                                jitter_above(stats->period_ns, JITTER_PERMILLE, jitter_draw()));
    tell_items(entry);
    stats->current = NULL;
    advance(stats);
}

static void release_job(void *job)
{
    job_free(job);
}

/* Slow: the pod decides how much there is to walk. */
static const struct work_vtable measure_work = {.name = "measure volumes",
                                                .class = WORK_SLOW,
                                                .run_blocking = run_job,
                                                .on_done = on_measured,
                                                .release = release_job};

static bool all_have_figures(const struct volume_stats *stats)
{
    int64_t now_ns = loop_now_mono_ns(stats->loop);
    for (const struct entry *entry = stats->entries; entry; entry = entry->hh.next) {
        if (!has_figures(entry, now_ns))
            return false;
    }
    return true;
}

static void advance(struct volume_stats *stats)
{
    struct entry *entry = stats->line;
    if (!stats->current && entry) {
        leave_line(entry);
        struct job *job = TAKE(entry->next);
        job->now_ns = loop_now_wall_ns(stats->loop);
        stats->current = entry;
        entry->work = work_start(stats->pool, &measure_work, job, entry);
    }
    if (!all_have_figures(stats))
        return;
    struct volume_stats_ask *ask;
    DL_FOREACH(stats->asks, ask)
        loop_timer_start(ask->timer, 0);
}

static void want(struct volume_stats *stats, const Core__Pod *pod)
{
    const char *uid = pod->metadata ? pod->metadata->uid : NULL;
    if (!uid)
        return;
    struct entry *entry = find(stats, uid);
    if (!entry)
        entry = add(stats, uid);
    entry->asked = stats->asked;
    if (waits_in_line(entry) || entry->work ||
        (entry->last && loop_now_mono_ns(stats->loop) < entry->due_ns))
        return;
    entry->next = job_new(stats->root_dir, pod, entry->last);
    DL_APPEND2(stats->line, entry, line_prev, line_next);
}

static void forget_others(struct volume_stats *stats)
{
    struct entry *entry, *next;
    HASH_ITER(hh, stats->entries, entry, next) {
        if (entry->asked != stats->asked)
            drop(entry);
    }
}

/* --- the door --- */

struct volume_stats *volume_stats_new(const struct volume_stats_options *options)
{
    struct volume_stats *stats = xcalloc(1, sizeof(*stats));
    stats->loop = options->loop;
    stats->pool = options->pool;
    stats->root_dir = xstrdup(options->root_dir);
    stats->period_ns = options->period_ns;
    stats->seconds = metrics_family(options->metrics, &volume_stats_seconds);
    return stats;
}

void volume_stats_free(struct volume_stats *stats)
{
    if (!stats)
        return;
    struct volume_stats_ask *ask, *next;
    DL_FOREACH_SAFE(stats->asks, ask, next)
        volume_stats_ask_cancel(ask);
    stats->asked++;
    forget_others(stats);
    free(stats->root_dir);
    free(stats);
}

static void on_ask_due(void *ctx)
{
    struct volume_stats_ask *ask = ctx;
    void (*on_done)(void *ctx) = ask->on_done;
    void *done_ctx = ask->ctx;
    volume_stats_ask_cancel(ask);
    on_done(done_ctx);
}

struct volume_stats_ask *volume_stats_ask_start(struct volume_stats *stats,
                                                const Core__Pod *const *pods, size_t count,
                                                int64_t limit_ns, void (*on_done)(void *ctx),
                                                void *ctx)
{
    stats->asked++;
    for (size_t i = 0; stats->period_ns > 0 && i < count; i++)
        want(stats, pods[i]);
    forget_others(stats);
    struct volume_stats_ask *ask = xcalloc(1, sizeof(*ask));
    *ask = (struct volume_stats_ask){.stats = stats, .on_done = on_done, .ctx = ctx};
    ask->timer = loop_timer_new(stats->loop, "figures of volumes", on_ask_due, ask);
    loop_timer_start(ask->timer, limit_ns);
    DL_APPEND(stats->asks, ask);
    advance(stats);
    return ask;
}

void volume_stats_ask_cancel(struct volume_stats_ask *ask)
{
    if (!ask)
        return;
    DL_DELETE(ask->stats->asks, ask);
    loop_timer_free(ask->timer);
    free(ask);
}

static size_t copy_kind(const struct job *job, bool local, struct summary_volume *to,
                        struct arena *arena)
{
    size_t count = 0;
    for (size_t i = 0; i < job->count; i++) {
        const struct item *item = &job->items[i];
        if (item->known && item->volume->is_local_ephemeral == local)
            to[count++] = (struct summary_volume){.name = arena_strdup(arena, item->volume->name),
                                                  .fs = item->fs};
    }
    return count;
}

const struct volume_stats_pod *volume_stats_get(const struct volume_stats *stats, const char *uid,
                                                struct arena *arena)
{
    const struct entry *entry = find(stats, uid);
    if (!entry || !has_figures(entry, loop_now_mono_ns(stats->loop)))
        return NULL;
    struct volume_stats_pod *pod = arena_alloc(arena, sizeof(*pod));
    struct summary_volume *volumes = arena_calloc(arena, entry->last->count + 1, sizeof(*volumes));
    pod->local_count = copy_kind(entry->last, true, volumes, arena);
    pod->count =
        pod->local_count + copy_kind(entry->last, false, volumes + pod->local_count, arena);
    pod->volumes = volumes;
    return pod;
}
