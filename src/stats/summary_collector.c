/*
 * A gathering, one for each scope:
 *
 *     idle ──► listing ──► measuring ──► done ──(a second later)──► idle
 *                 └────────(short)────────┘
 *
 *   listing    the runtime is asked for sandboxes, containers, their figures and its images, the
 *              cgroups for their records, all at the same time
 *   measuring  a worker looks at the logs and file systems of what is listed; the volumes of its
 *              pods are waited for, within a limit. A short summary does without both.
 *   done       the summary is there, for whoever waits and for those who ask soon
 *
 * The first failure ends it for everybody who waits. When the last one who waits goes, it is
 * dropped.
 */
#include "stats/summary_collector.h"

#include "base/hash.h"
#include "stats/summary_build.h"
#include "stats/summary_listing.h"

#define SCOPE_COUNT (SUMMARY_CPU_AND_MEMORY + 1)
#define ARENA_BYTES (16 * KiB)

enum gather_state { GATHER_IDLE, GATHER_LISTING, GATHER_MEASURING, GATHER_DONE };

struct summary_request {
    struct gathering *gathering;
    summary_on_done *on_done;
    void *ctx;
    bool is_served; /* it is in the list of those being told */
    struct summary_request *prev, *next;
};

/* --- what the runtime is asked --- */

enum list_call { LIST_SANDBOXES, LIST_CONTAINERS, LIST_STATS, LIST_IMAGE_FS };
#define LIST_CALL_COUNT (LIST_IMAGE_FS + 1)

struct list_reply {
    struct gathering *gathering;
    struct runtime_call *call; /* NULL: not under way */
};

struct gathering {
    struct summary_collector *collector;
    enum summary_scope scope;
    enum gather_state state;
    struct summary_request *requests; /* wait */
    struct summary_request *served;   /* are being told */
    struct loop_timer *timer;         /* done: serves late comers, and lets go */
    int64_t began_ns;                 /* mono */
    int64_t measured_ns;              /* wall: when the disk was looked at */
    /* While it is under way; the arena also holds the summary. */
    struct arena *arena;
    struct listing_builder *builder;
    const struct summary_listing *listing;
    struct list_reply replies[LIST_CALL_COUNT];
    struct stats_ask *stats_ask;
    struct stats_records *records;
    struct work *work;
    struct summary_disk *disk;
    struct volume_stats_ask *volume_ask;
    const struct summary *summary; /* done */
};

struct summary_collector {
    struct summary_collector_options options; /* its texts are in the arena */
    struct arena *texts;
    struct gathering gatherings[SCOPE_COUNT];
};

static void take_sandboxes(struct gathering *gathering, const ProtobufCMessage *reply)
{
    listing_builder_sandboxes(gathering->builder, (const Cri__ListPodSandboxResponse *)reply);
}

static void take_containers(struct gathering *gathering, const ProtobufCMessage *reply)
{
    listing_builder_containers(gathering->builder, (const Cri__ListContainersResponse *)reply);
}

static void take_stats(struct gathering *gathering, const ProtobufCMessage *reply)
{
    listing_builder_stats(gathering->builder, (const Cri__ListContainerStatsResponse *)reply,
                          loop_now_wall_ns(gathering->collector->options.loop));
}

static void take_image_fs(struct gathering *gathering, const ProtobufCMessage *reply)
{
    listing_builder_image_fs(gathering->builder, (const Cri__ImageFsInfoResponse *)reply);
}

static const Cri__ListPodSandboxRequest all_sandboxes = CRI__LIST_POD_SANDBOX_REQUEST__INIT;
static const Cri__ListContainersRequest all_containers = CRI__LIST_CONTAINERS_REQUEST__INIT;
static const Cri__ListContainerStatsRequest all_stats = CRI__LIST_CONTAINER_STATS_REQUEST__INIT;

static const struct {
    enum runtime_method method;
    const ProtobufCMessage *request; /* NULL: a message without fields */
    void (*take)(struct gathering *gathering, const ProtobufCMessage *reply);
    const char *failure; /* upstream's words */
    bool only_full;
} list_calls[] = {
    [LIST_SANDBOXES] = {RUNTIME_LIST_POD_SANDBOX, &all_sandboxes.base, take_sandboxes,
                        "failed to list pod stats: failed to list all pod sandboxes", false},
    [LIST_CONTAINERS] = {RUNTIME_LIST_CONTAINERS, &all_containers.base, take_containers,
                         "failed to list pod stats: failed to list all containers", false},
    [LIST_STATS] = {RUNTIME_LIST_CONTAINER_STATS, &all_stats.base, take_stats,
                    "failed to list pod stats: failed to list all container stats", false},
    [LIST_IMAGE_FS] = {IMAGE_IMAGE_FS_INFO, NULL, take_image_fs, "failed to get imageFs stats",
                       true},
};
_Static_assert(ARRAY_SIZE(list_calls) == LIST_CALL_COUNT, "describe every call");

/* --- beginning and ending --- */

static void cancel_inputs(struct gathering *gathering)
{
    const struct summary_collector_options *options = &gathering->collector->options;
    for (size_t i = 0; i < LIST_CALL_COUNT; i++)
        runtime_call_cancel(options->runtime, TAKE(gathering->replies[i].call));
    stats_collect_cancel(TAKE(gathering->stats_ask));
    work_cancel(TAKE(gathering->work));
    volume_stats_ask_cancel(TAKE(gathering->volume_ask));
    if (gathering->builder)
        listing_builder_drop(TAKE(gathering->builder));
    stats_records_unref(TAKE(gathering->records));
    summary_disk_free(TAKE(gathering->disk));
}

/* Idle again, and nothing is held. */
static void clear(struct gathering *gathering)
{
    cancel_inputs(gathering);
    loop_timer_cancel(gathering->timer);
    gathering->listing = NULL;
    gathering->summary = NULL;
    arena_free(TAKE(gathering->arena));
    gathering->state = GATHER_IDLE;
}

static void request_free(struct summary_request *request)
{
    struct gathering *gathering = request->gathering;
    if (request->is_served)
        DL_DELETE(gathering->served, request);
    else
        DL_DELETE(gathering->requests, request);
    free(request);
}

/* Whoever asks again from its callback is not among those served now. */
static void serve(struct gathering *gathering, const struct summary *summary,
                  const struct error *err)
{
    struct summary_request *request;
    while ((request = gathering->requests) != NULL) {
        DL_DELETE(gathering->requests, request);
        DL_APPEND(gathering->served, request);
        request->is_served = true;
    }
    while ((request = gathering->served) != NULL) {
        summary_on_done *on_done = request->on_done;
        void *ctx = request->ctx;
        DL_DELETE(gathering->served, request);
        free(request);
        on_done(ctx, summary, error_dup(err));
    }
}

static void fail(struct gathering *gathering, struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    clear(gathering);
    serve(gathering, NULL, err);
}

static int64_t age_ns(const struct gathering *gathering)
{
    return sat_sub_i64(loop_now_mono_ns(gathering->collector->options.loop), gathering->began_ns);
}

static void finish(struct gathering *gathering)
{
    const struct summary_listing *listing = gathering->listing;
    const struct volume_stats_pod **volumes =
        arena_calloc(gathering->arena, listing->pod_count + 1, sizeof(struct volume_stats_pod *));
    for (size_t i = 0; gathering->disk && i < listing->pod_count; i++)
        volumes[i] = volume_stats_get(gathering->collector->options.volumes, listing->pods[i].uid,
                                      gathering->arena);
    const struct summary_parts parts = {.node_name = gathering->collector->options.node_name,
                                        .now_ns = gathering->measured_ns,
                                        .listing = listing,
                                        .records = gathering->records,
                                        .disk = gathering->disk,
                                        .volumes = volumes};
    struct error *err = summary_build(&parts, gathering->arena, &gathering->summary);
    if (err) {
        fail(gathering, err);
        return;
    }
    cancel_inputs(gathering);
    gathering->state = GATHER_DONE;
    loop_timer_start(gathering->timer, sat_sub_i64(SUMMARY_MAX_AGE_NS, age_ns(gathering)));
    serve(gathering, gathering->summary, NULL);
}

/* --- the steps --- */

static void advance(struct gathering *gathering);

static void on_disk(void *ctx, struct summary_disk *disk_owned)
{
    struct gathering *gathering = ctx;
    gathering->work = NULL;
    gathering->disk = disk_owned;
    advance(gathering);
}

static void on_volumes(void *ctx)
{
    struct gathering *gathering = ctx;
    gathering->volume_ask = NULL;
    advance(gathering);
}

static void ask_for_volumes(struct gathering *gathering)
{
    const struct summary_collector_options *options = &gathering->collector->options;
    const struct summary_listing *listing = gathering->listing;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    const Core__Pod **pods = xcalloc(listing->pod_count + 1, sizeof(*pods));
    size_t count = 0;
    for (size_t i = 0; i < listing->pod_count; i++) {
        struct pod_view view;
        if (pods_view(options->pods, listing->pods[i].uid, &view) && view.pod)
            pods[count++] = view.pod;
    }
    gathering->volume_ask = volume_stats_ask_start(options->volumes, pods, count,
                                                   SUMMARY_VOLUME_LIMIT_NS, on_volumes, gathering);
    free(pods);
}

static void measure(struct gathering *gathering)
{
    const struct summary_collector_options *options = &gathering->collector->options;
    const struct summary_paths paths = {.root_dir = options->root_dir,
                                        .pod_logs_dir = options->pod_logs_dir,
                                        .proc_root = options->proc_root};
    gathering->state = GATHER_MEASURING;
    gathering->measured_ns = loop_now_wall_ns(options->loop);
    gathering->work = summary_disk_start(summary_build_questions(gathering->listing, &paths),
                                         options->pool, on_disk, gathering);
    ask_for_volumes(gathering);
}

static bool is_listed(const struct gathering *gathering)
{
    for (size_t i = 0; i < LIST_CALL_COUNT; i++) {
        if (gathering->replies[i].call)
            return false;
    }
    return !gathering->stats_ask;
}

static void advance(struct gathering *gathering)
{
    switch (gathering->state) {
    case GATHER_LISTING:
        if (!is_listed(gathering))
            return;
        gathering->listing = listing_builder_finish(TAKE(gathering->builder));
        if (gathering->scope == SUMMARY_FULL)
            measure(gathering);
        else
            finish(gathering);
        return;
    case GATHER_MEASURING:
        if (!gathering->work && !gathering->volume_ask)
            finish(gathering);
        return;
    case GATHER_IDLE:
    case GATHER_DONE:
        return;
    }
}

static void on_list_reply(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    struct list_reply *mine = ctx;
    struct gathering *gathering = mine->gathering;
    size_t index = (size_t)(mine - gathering->replies);
    mine->call = NULL;
    if (err_owned) {
        fail(gathering, error_wrap(err_owned, "%s", list_calls[index].failure));
        return;
    }
    list_calls[index].take(gathering, reply);
    advance(gathering);
}

static void on_records(void *ctx, const struct stats_records *records, struct error *err_owned)
{
    struct gathering *gathering = ctx;
    gathering->stats_ask = NULL;
    if (err_owned) {
        fail(gathering, error_wrap(err_owned, "failed to get root cgroup stats"));
        return;
    }
    gathering->records = stats_records_ref(records);
    advance(gathering);
}

static void begin(struct gathering *gathering)
{
    const struct summary_collector_options *options = &gathering->collector->options;
    clear(gathering);
    gathering->state = GATHER_LISTING;
    gathering->began_ns = loop_now_mono_ns(options->loop);
    gathering->measured_ns = loop_now_wall_ns(options->loop);
    gathering->arena = arena_new(ARENA_BYTES);
    gathering->builder = listing_builder_new(gathering->arena);
    for (size_t i = 0; i < LIST_CALL_COUNT; i++) {
        struct list_reply *reply = &gathering->replies[i];
        reply->gathering = gathering;
        if (list_calls[i].only_full && gathering->scope != SUMMARY_FULL)
            continue;
        reply->call = runtime_call_start(options->runtime, list_calls[i].method,
                                         list_calls[i].request, 0, on_list_reply, reply);
    }
    gathering->stats_ask = stats_collect_start(options->stats, on_records, gathering);
}

/* The summary is there: somebody has asked for it since, or it has aged. */
static void on_timer(void *ctx)
{
    struct gathering *gathering = ctx;
    int64_t left_ns = sat_sub_i64(SUMMARY_MAX_AGE_NS, age_ns(gathering));
    if (left_ns > 0) {
        loop_timer_start(gathering->timer, left_ns);
        serve(gathering, gathering->summary, NULL);
    } else if (gathering->requests) {
        begin(gathering);
    } else {
        clear(gathering);
    }
}

/* --- the door --- */

struct summary_collector *summary_collector_new(const struct summary_collector_options *options)
{
    struct summary_collector *collector = xcalloc(1, sizeof(*collector));
    collector->texts = arena_new(0);
    collector->options = *options;
    collector->options.node_name = arena_strdup(collector->texts, options->node_name);
    collector->options.root_dir = arena_strdup(collector->texts, options->root_dir);
    collector->options.pod_logs_dir = arena_strdup(collector->texts, options->pod_logs_dir);
    collector->options.proc_root = arena_strdup(collector->texts, options->proc_root);
    for (size_t i = 0; i < SCOPE_COUNT; i++) {
        struct gathering *gathering = &collector->gatherings[i];
        gathering->collector = collector;
        gathering->scope = (enum summary_scope)i;
        gathering->timer = loop_timer_new(options->loop, "summary", on_timer, gathering);
    }
    return collector;
}

void summary_collector_free(struct summary_collector *collector)
{
    if (!collector)
        return;
    for (size_t i = 0; i < SCOPE_COUNT; i++) {
        struct gathering *gathering = &collector->gatherings[i];
        struct summary_request *request, *next;
        DL_FOREACH_SAFE(gathering->requests, request, next)
            request_free(request);
        DL_FOREACH_SAFE(gathering->served, request, next)
            request_free(request);
        clear(gathering);
        loop_timer_free(gathering->timer);
    }
    arena_free(collector->texts);
    free(collector);
}

struct summary_request *summary_collect_start(struct summary_collector *collector,
                                              enum summary_scope scope, summary_on_done *on_done,
                                              void *ctx)
{
    struct gathering *gathering = &collector->gatherings[scope];
    struct summary_request *request = xcalloc(1, sizeof(*request));
    *request = (struct summary_request){.gathering = gathering, .on_done = on_done, .ctx = ctx};
    DL_APPEND(gathering->requests, request);
    if (gathering->state == GATHER_DONE)
        loop_timer_start(gathering->timer, 0);
    else if (gathering->state == GATHER_IDLE)
        begin(gathering);
    return request;
}

void summary_collect_cancel(struct summary_request *request)
{
    if (!request)
        return;
    struct gathering *gathering = request->gathering;
    request_free(request);
    bool is_busy = gathering->state == GATHER_LISTING || gathering->state == GATHER_MEASURING;
    if (is_busy && !gathering->requests && !gathering->served)
        clear(gathering);
}
