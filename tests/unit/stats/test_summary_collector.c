/* The collector over a runtime, a collector of records and pods that exist only here. */
#include "stats/summary_collector.h"

#include "base/hash.h"
#include "stats/records_build.h"
#include "tests/unit/kube/fake_loop.h"
#include "tests/unit/volume/fake_work.h"
#include "tests/unit/volume/volume_test.h"

/* --- a runtime that answers when the test says so --- */

struct runtime_call {
    struct runtime_call *prev, *next;
    enum runtime_method method;
    runtime_on_reply *on_reply;
    void *ctx;
};

struct stats_ask {
    stats_on_records *on_done;
    void *ctx;
};

static struct bench {
    struct pod_runtime runtime;
    struct scratch *scratch;
    struct loop *loop;
    struct volume_stats *volumes;
    struct summary_collector *collector;
    struct runtime_call *calls;
    size_t call_count; /* begun so far */
    struct stats_ask *ask;
    size_t ask_count;
    const Core__Pod *pod;
    size_t answers, errors, pods, volume_count; /* told to those who asked; of the last summary */
    bool is_short;
    const char *message;
    void (*on_answer)(void); /* what the next one told does */
} * bench;

static struct runtime_call *call(UNUSED struct pod_runtime *self, enum runtime_method method,
                                 UNUSED const ProtobufCMessage *request, UNUSED int64_t extra_ns,
                                 runtime_on_reply *on_reply, void *ctx)
{
    struct runtime_call *made = xcalloc(1, sizeof(*made));
    *made = (struct runtime_call){.method = method, .on_reply = on_reply, .ctx = ctx};
    DL_APPEND(bench->calls, made);
    bench->call_count++;
    return made;
}

static void cancel(UNUSED struct pod_runtime *self, struct runtime_call *made)
{
    if (!made)
        return;
    DL_DELETE(bench->calls, made);
    free(made);
}

static const struct pod_runtime_vtable runtime_vtable = {.call = call, .cancel = cancel};

static size_t pending_calls(void)
{
    size_t count = 0;
    const struct runtime_call *made;
    DL_COUNT(bench->calls, made, count);
    return count;
}

static void answer(enum runtime_method method, const ProtobufCMessage *reply, struct error *err)
{
    struct runtime_call *made;
    DL_FOREACH(bench->calls, made) {
        if (made->method == method)
            break;
    }
    assert_non_null(made);
    runtime_on_reply *on_reply = made->on_reply;
    void *ctx = made->ctx;
    cancel(NULL, made);
    on_reply(ctx, reply, err);
}

/* --- the collector of records and the pods, instead of the real ones --- */

struct stats_ask *stats_collect_start(UNUSED struct stats_collector *collector,
                                      stats_on_records *on_done, void *ctx)
{
    assert_null(bench->ask);
    bench->ask = xcalloc(1, sizeof(*bench->ask));
    *bench->ask = (struct stats_ask){.on_done = on_done, .ctx = ctx};
    bench->ask_count++;
    return bench->ask;
}

void stats_collect_cancel(struct stats_ask *ask)
{
    if (!ask)
        return;
    assert_ptr_equal(ask, bench->ask);
    free(TAKE(bench->ask));
}

static void answer_records(struct error *err)
{
    const struct stats_ask ask = *bench->ask;
    free(TAKE(bench->ask));
    if (err) {
        ask.on_done(ask.ctx, NULL, err);
        return;
    }
    struct arena *arena = arena_new(0);
    struct stats_record *root = arena_alloc(arena, sizeof(*root));
    *root = (struct stats_record){.kind = STATS_ROOT, .path = "/", .id = "", .pod_uid = ""};
    AUTO(stats_records)
    struct stats_records *records =
        stats_records_build(&(struct stats_records){.count = 1}, root, arena);
    ask.on_done(ask.ctx, records, NULL);
}

bool pods_view(UNUSED const struct pods *pods, const char *uid, struct pod_view *ret)
{
    if (!bench->pod || !text_eq(bench->pod->metadata->uid, uid))
        return false;
    *ret = (struct pod_view){.pod = bench->pod, .uid = uid};
    return true;
}

/* --- the bench --- */

static struct bench *bench_new(void)
{
    bench = xcalloc(1, sizeof(*bench));
    bench->runtime.vtable = &runtime_vtable;
    bench->scratch = scratch_new();
    assert_no_error(loop_new(&bench->loop));
    const struct volume_stats_options volume_options = {
        .loop = bench->loop, .root_dir = bench->scratch->dir, .period_ns = 60 * NS_PER_SEC};
    bench->volumes = volume_stats_new(&volume_options);
    const struct summary_collector_options options = {.loop = bench->loop,
                                                      .runtime = &bench->runtime,
                                                      .volumes = bench->volumes,
                                                      .node_name = "node-a",
                                                      .root_dir = bench->scratch->dir,
                                                      .pod_logs_dir = bench->scratch->dir,
                                                      .proc_root = "/proc"};
    bench->collector = summary_collector_new(&options);
    Core__Pod *pod = pod_new(bench->scratch->arena, "u");
    (void)pod_add_empty_dir(bench->scratch->arena, pod, "work", "");
    container_mount(bench->scratch->arena, pod_add_container(bench->scratch->arena, pod), "work");
    (void)make_dir_at(bench->scratch, "pods/u/volumes/kubernetes.io~empty-dir/work");
    bench->pod = pod;
    return bench;
}

static void bench_free(struct bench *old)
{
    summary_collector_free(old->collector);
    volume_stats_free(old->volumes);
    while (fake_work_count() > 0)
        fake_work_deliver();
    assert_int_equal(pending_calls(), 0);
    assert_null(old->ask);
    assert_int_equal(fake_loop_live(old->loop), 0);
    loop_free(old->loop);
    scratch_free(old->scratch);
    free(old);
    bench = NULL;
}
DEFINE_AUTO(bench, struct bench *, bench_free)

static void on_done(UNUSED void *ctx, const struct summary *summary, struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    assert_true((summary == NULL) == (err != NULL));
    bench->answers++;
    if (err) {
        bench->errors++;
        bench->message = arena_strdup(bench->scratch->arena, err->message);
    } else {
        assert_string_equal(summary->node.name, "node-a");
        bench->pods = summary->pod_count;
        bench->volume_count = summary->pod_count > 0 ? summary->pods[0].volume_count : 0;
        bench->is_short = !summary->node.fs;
    }
    if (bench->on_answer)
        TAKE(bench->on_answer)();
}

static struct summary_request *ask(enum summary_scope scope)
{
    return summary_collect_start(bench->collector, scope, on_done, NULL);
}

/* --- what the runtime says: one pod of one container --- */

static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant;
}

static void answer_sandboxes(void)
{
    Cri__PodSandboxMetadata metadata = CRI__POD_SANDBOX_METADATA__INIT;
    metadata.name = text("p");
    metadata.namespace_ = text("ns");
    metadata.uid = text("u");
    Cri__PodSandbox sandbox = CRI__POD_SANDBOX__INIT, *items[] = {&sandbox};
    sandbox.id = text("s");
    sandbox.metadata = &metadata;
    Cri__ListPodSandboxResponse reply = CRI__LIST_POD_SANDBOX_RESPONSE__INIT;
    reply.n_items = 1;
    reply.items = items;
    answer(RUNTIME_LIST_POD_SANDBOX, &reply.base, NULL);
}

static void answer_containers(void)
{
    Cri__Container container = CRI__CONTAINER__INIT, *items[] = {&container};
    container.id = text("c");
    container.pod_sandbox_id = text("s");
    container.state = CRI__CONTAINER_STATE__CONTAINER_RUNNING;
    Cri__ListContainersResponse reply = CRI__LIST_CONTAINERS_RESPONSE__INIT;
    reply.n_containers = 1;
    reply.containers = items;
    answer(RUNTIME_LIST_CONTAINERS, &reply.base, NULL);
}

static void answer_stats(void)
{
    Cri__ContainerAttributes attributes = CRI__CONTAINER_ATTRIBUTES__INIT;
    attributes.id = text("c");
    Cri__ContainerStats stats = CRI__CONTAINER_STATS__INIT, *items[] = {&stats};
    stats.attributes = &attributes;
    Cri__ListContainerStatsResponse reply = CRI__LIST_CONTAINER_STATS_RESPONSE__INIT;
    reply.n_stats = 1;
    reply.stats = items;
    answer(RUNTIME_LIST_CONTAINER_STATS, &reply.base, NULL);
}

static void answer_images(void)
{
    Cri__FilesystemUsage usage = CRI__FILESYSTEM_USAGE__INIT, *items[] = {&usage};
    Cri__ImageFsInfoResponse reply = CRI__IMAGE_FS_INFO_RESPONSE__INIT;
    reply.n_image_filesystems = 1;
    reply.image_filesystems = items;
    answer(IMAGE_IMAGE_FS_INFO, &reply.base, NULL);
}

static void answer_lists(enum summary_scope scope)
{
    if (scope == SUMMARY_FULL)
        answer_images();
    answer_stats();
    answer_containers();
    answer_sandboxes();
    answer_records(NULL);
}

static void run_one_job(void)
{
    fake_work_run();
    fake_work_deliver();
    fake_loop_advance(bench->loop, 0);
}

/* --- the tests --- */

TEST_CASE(a_full_summary_takes_the_lists_the_disk_and_the_volumes)
{
    AUTO(bench) struct bench *made = bench_new();
    (void)ask(SUMMARY_FULL);
    assert_int_equal(pending_calls(), 4);
    answer_lists(SUMMARY_FULL);
    assert_int_equal(pending_calls(), 0);
    assert_int_equal(fake_work_count(), 2); /* the disk, and a pod's volumes */
    run_one_job();
    assert_int_equal(made->answers, 0);
    run_one_job();
    assert_int_equal(made->answers, 1);
    assert_int_equal(made->errors, 0);
    assert_int_equal(made->pods, 1);
    assert_int_equal(made->volume_count, 1);
    assert_false(made->is_short);
}

TEST_CASE(a_short_summary_takes_the_lists_alone)
{
    AUTO(bench) struct bench *made = bench_new();
    (void)ask(SUMMARY_CPU_AND_MEMORY);
    assert_int_equal(pending_calls(), 3);
    answer_lists(SUMMARY_CPU_AND_MEMORY);
    assert_int_equal(made->answers, 1);
    assert_int_equal(made->pods, 1);
    assert_true(made->is_short);
    assert_int_equal(fake_work_count(), 0);
}

TEST_CASE(volumes_that_take_too_long_are_done_without)
{
    AUTO(bench) struct bench *made = bench_new();
    (void)ask(SUMMARY_FULL);
    answer_lists(SUMMARY_FULL);
    run_one_job();
    fake_loop_advance(made->loop, SUMMARY_VOLUME_LIMIT_NS - 1);
    assert_int_equal(made->answers, 0);
    fake_loop_advance(made->loop, 1);
    assert_int_equal(made->answers, 1);
    assert_int_equal(made->volume_count, 0);
    run_one_job();
    /* They are there by the next time. */
    fake_loop_advance(made->loop, SUMMARY_MAX_AGE_NS);
    (void)ask(SUMMARY_FULL);
    answer_lists(SUMMARY_FULL);
    run_one_job();
    assert_int_equal(made->answers, 2);
    assert_int_equal(made->volume_count, 1);
}

TEST_CASE(pods_that_nobody_wants_have_no_volumes)
{
    AUTO(bench) struct bench *made = bench_new();
    made->pod = NULL;
    (void)ask(SUMMARY_FULL);
    answer_lists(SUMMARY_FULL);
    assert_int_equal(fake_work_count(), 1);
    run_one_job();
    assert_int_equal(made->answers, 1);
    assert_int_equal(made->pods, 1);
    assert_int_equal(made->volume_count, 0);
}

TEST_CASE(those_who_ask_meanwhile_and_soon_after_share_a_summary)
{
    AUTO(bench) struct bench *made = bench_new();
    (void)ask(SUMMARY_CPU_AND_MEMORY);
    (void)ask(SUMMARY_CPU_AND_MEMORY);
    answer_lists(SUMMARY_CPU_AND_MEMORY);
    assert_int_equal(made->answers, 2);
    fake_loop_advance(made->loop, SUMMARY_MAX_AGE_NS - 1);
    (void)ask(SUMMARY_CPU_AND_MEMORY);
    assert_int_equal(made->answers, 2);
    fake_loop_advance(made->loop, 0);
    assert_int_equal(made->answers, 3);
    assert_int_equal(made->call_count, 3);
    assert_int_equal(made->ask_count, 1);
}

TEST_CASE(after_a_second_it_is_gone_and_made_anew)
{
    AUTO(bench) struct bench *made = bench_new();
    (void)ask(SUMMARY_CPU_AND_MEMORY);
    answer_lists(SUMMARY_CPU_AND_MEMORY);
    fake_loop_advance(made->loop, SUMMARY_MAX_AGE_NS);
    assert_int_equal(fake_loop_armed(made->loop), 0);
    (void)ask(SUMMARY_CPU_AND_MEMORY);
    assert_int_equal(pending_calls(), 3);
    answer_lists(SUMMARY_CPU_AND_MEMORY);
    assert_int_equal(made->answers, 2);
}

TEST_CASE(the_scopes_do_not_share)
{
    AUTO(bench) struct bench *made = bench_new();
    (void)ask(SUMMARY_CPU_AND_MEMORY);
    answer_lists(SUMMARY_CPU_AND_MEMORY);
    (void)ask(SUMMARY_FULL);
    assert_int_equal(pending_calls(), 4);
    answer_lists(SUMMARY_FULL);
    run_one_job();
    run_one_job();
    assert_int_equal(made->answers, 2);
    assert_false(made->is_short);
}

static void ask_again(void)
{
    (void)ask(SUMMARY_CPU_AND_MEMORY);
}

TEST_CASE(whoever_asks_from_its_callback_is_told_in_the_next_turn)
{
    AUTO(bench) struct bench *made = bench_new();
    made->on_answer = ask_again;
    (void)ask(SUMMARY_CPU_AND_MEMORY);
    answer_lists(SUMMARY_CPU_AND_MEMORY);
    assert_int_equal(made->answers, 1);
    fake_loop_advance(made->loop, 0);
    assert_int_equal(made->answers, 2);
    /* From within the second one it goes on, too. */
    made->on_answer = ask_again;
    (void)ask(SUMMARY_CPU_AND_MEMORY);
    fake_loop_advance(made->loop, 0);
    fake_loop_advance(made->loop, 0);
    assert_int_equal(made->answers, 4);
    assert_int_equal(made->call_count, 3);
}

TEST_CASE(a_failure_is_told_to_all_with_what_failed)
{
    static const struct {
        enum runtime_method method;
        const char *want;
    } rows[] = {
        {RUNTIME_LIST_POD_SANDBOX,
         "failed to list pod stats: failed to list all pod sandboxes: no"},
        {RUNTIME_LIST_CONTAINERS, "failed to list pod stats: failed to list all containers: no"},
        {RUNTIME_LIST_CONTAINER_STATS,
         "failed to list pod stats: failed to list all container stats: no"},
        {IMAGE_IMAGE_FS_INFO, "failed to get imageFs stats: no"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bench) struct bench *made = bench_new();
        (void)ask(SUMMARY_FULL);
        (void)ask(SUMMARY_FULL);
        answer(rows[i].method, NULL, error_new(ERROR_UNAVAILABLE, "no"));
        assert_int_equal(made->answers, 2);
        assert_int_equal(made->errors, 2);
        assert_string_equal(made->message, rows[i].want);
        assert_int_equal(pending_calls(), 0);
        assert_int_equal(fake_loop_armed(made->loop), 0);
        /* It is not remembered. */
        (void)ask(SUMMARY_FULL);
        assert_int_equal(pending_calls(), 4);
    }
}

TEST_CASE(without_records_there_is_no_summary)
{
    AUTO(bench) struct bench *made = bench_new();
    (void)ask(SUMMARY_CPU_AND_MEMORY);
    answer_records(error_new(ERROR_UNAVAILABLE, "no"));
    assert_int_equal(made->errors, 1);
    assert_string_equal(made->message, "failed to get root cgroup stats: no");
    assert_int_equal(pending_calls(), 0);
}

TEST_CASE(a_cancelled_request_is_silent_and_the_last_one_ends_it)
{
    AUTO(bench) struct bench *made = bench_new();
    struct summary_request *first = ask(SUMMARY_FULL), *second = ask(SUMMARY_FULL);
    summary_collect_cancel(first);
    assert_int_equal(pending_calls(), 4);
    summary_collect_cancel(second);
    summary_collect_cancel(NULL);
    assert_int_equal(pending_calls(), 0);
    assert_null(made->ask);

    struct summary_request *third = ask(SUMMARY_FULL);
    answer_lists(SUMMARY_FULL);
    fake_work_run(); /* a worker is at it */
    summary_collect_cancel(third);
    fake_work_deliver();
    fake_loop_advance(made->loop, SUMMARY_VOLUME_LIMIT_NS);
    assert_int_equal(made->answers, 0);
}

TEST_CASE(freeing_it_in_the_middle_is_silent)
{
    AUTO(bench) struct bench *made = bench_new();
    (void)ask(SUMMARY_FULL);
    answer_lists(SUMMARY_FULL);
    summary_collector_free(TAKE(made->collector));
    fake_loop_advance(made->loop, SUMMARY_VOLUME_LIMIT_NS);
    assert_int_equal(made->answers, 0);
}

TEST_MAIN(TEST(a_full_summary_takes_the_lists_the_disk_and_the_volumes),
          TEST(a_short_summary_takes_the_lists_alone),
          TEST(volumes_that_take_too_long_are_done_without),
          TEST(pods_that_nobody_wants_have_no_volumes),
          TEST(those_who_ask_meanwhile_and_soon_after_share_a_summary),
          TEST(after_a_second_it_is_gone_and_made_anew), TEST(the_scopes_do_not_share),
          TEST(whoever_asks_from_its_callback_is_told_in_the_next_turn),
          TEST(a_failure_is_told_to_all_with_what_failed),
          TEST(without_records_there_is_no_summary),
          TEST(a_cancelled_request_is_silent_and_the_last_one_ends_it),
          TEST(freeing_it_in_the_middle_is_silent))
