#include "stats/volume_stats.h"

#include "stats/fs_totals.h"
#include "tests/lib/metrics_read.h"
#include "tests/unit/kube/fake_loop.h"
#include "tests/unit/volume/fake_work.h"
#include "tests/unit/volume/volume_test.h"

#define PERIOD_NS (60 * NS_PER_SEC)
#define LIMIT_NS (2 * NS_PER_SEC)

struct bench {
    struct scratch *scratch;
    struct loop *loop;
    struct metrics *metrics;
    struct volume_stats *stats;
    size_t answers;
};

static void bench_init(struct bench *bench, int64_t period_ns)
{
    *bench = (struct bench){.scratch = scratch_new()};
    assert_no_error(loop_new(&bench->loop));
    bench->metrics = metrics_new();
    const struct volume_stats_options options = {.loop = bench->loop,
                                                 .root_dir = bench->scratch->dir,
                                                 .period_ns = period_ns,
                                                 .metrics = bench->metrics};
    bench->stats = volume_stats_new(&options);
}

static void auto_release_bench(struct bench *bench)
{
    volume_stats_free(bench->stats);
    while (fake_work_count() > 0)
        fake_work_deliver();
    assert_int_equal(fake_loop_live(bench->loop), 0);
    loop_free(bench->loop);
    metrics_free(bench->metrics);
    scratch_free(bench->scratch);
}

static void on_done(void *ctx)
{
    ((struct bench *)ctx)->answers++;
}

static struct volume_stats_ask *ask(struct bench *bench, const Core__Pod *const *pods, size_t count)
{
    return volume_stats_ask_start(bench->stats, pods, count, LIMIT_NS, on_done, bench);
}

/* One job measured and told; then those who waited for it hear of it. */
static void measure_one(struct bench *bench)
{
    assert_int_equal(fake_work_count(), 1);
    fake_work_run();
    fake_work_deliver();
    fake_loop_advance(bench->loop, 0);
}

/* A pod with a volume of each kind that differs, with a file of @size bytes in each. */
static const Core__Pod *make_pod(struct bench *bench, const char *uid, size_t size)
{
    struct arena *arena = bench->scratch->arena;
    Core__Pod *pod = pod_new(arena, uid);
    Core__Container *container = pod_add_container(arena, pod);
    Core__VolumeSource *secret = pod_add_volume(arena, pod, "secret");
    secret->secret = arena_alloc(arena, sizeof(*secret->secret));
    core__secret_volume_source__init(secret->secret);
    (void)pod_add_empty_dir(arena, pod, "work", "");
    static const char *const dirs[] = {"kubernetes.io~secret/secret",
                                       "kubernetes.io~empty-dir/work"};
    char *content = arena_alloc(arena, size + 1);
    memset(content, 'x', size);
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        const char *dir = arena_printf(arena, "pods/%s/volumes/%s", uid, dirs[i]);
        (void)make_dir_at(bench->scratch, dir);
        (void)make_file_at(bench->scratch, arena_printf(arena, "%s/file", dir), content);
    }
    container_mount(arena, container, "secret");
    container_mount(arena, container, "work");
    return pod;
}

static const struct volume_stats_pod *get(struct bench *bench, const char *uid)
{
    return volume_stats_get(bench->stats, uid, bench->scratch->arena);
}

TEST_CASE(volumes_are_measured_when_asked_for)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, PERIOD_NS);
    const Core__Pod *pod = make_pod(&bench, "a", 100000);
    int64_t began_ns = loop_now_wall_ns(bench.loop);
    (void)ask(&bench, &pod, 1);
    assert_null(get(&bench, "a"));
    fake_loop_advance(bench.loop, NS_PER_SEC);
    assert_int_equal(bench.answers, 0);
    measure_one(&bench);
    assert_int_equal(bench.answers, 1);

    const struct volume_stats_pod *figures = get(&bench, "a");
    assert_int_equal(figures->count, 2);
    assert_int_equal(figures->local_count, 1);
    assert_string_equal(figures->volumes[0].name, "work");
    assert_string_equal(figures->volumes[1].name, "secret");
    struct fs_totals totals;
    assert_no_error(fs_totals_read_blocking(bench.scratch->dir, &totals));
    const struct summary_fs *fs = &figures->volumes[0].fs;
    assert_true(fs->used_bytes.known && fs->used_bytes.value >= 100000);
    assert_true(fs->used_bytes.value < 200000);
    assert_int_equal(fs->inodes_used.value, 2);
    assert_int_equal(fs->capacity_bytes.value, totals.capacity_bytes);
    assert_int_equal(fs->inodes.value, totals.inodes);
    assert_true(fs->available_bytes.known && fs->inodes_free.known);
    assert_int_equal(fs->time_ns, began_ns);
}

TEST_CASE(figures_are_remembered_for_a_period_and_renewed_by_an_ask_after_it)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, PERIOD_NS);
    const Core__Pod *pod = make_pod(&bench, "a", 1);
    (void)ask(&bench, &pod, 1);
    measure_one(&bench);
    uint64_t first = get(&bench, "a")->volumes[0].fs.inodes_used.value;
    (void)make_file_at(bench.scratch, "pods/a/volumes/kubernetes.io~empty-dir/work/more", "");
    (void)make_file_at(bench.scratch, "pods/a/volumes/kubernetes.io~secret/secret/more", "");

    fake_loop_advance(bench.loop, PERIOD_NS - 1);
    (void)ask(&bench, &pod, 1);
    fake_loop_advance(bench.loop, 0);
    assert_int_equal(bench.answers, 2);
    assert_int_equal(fake_work_count(), 0);

    /* Old enough to be renewed, not too old to be shown. */
    fake_loop_advance(bench.loop, 1);
    (void)ask(&bench, &pod, 1);
    fake_loop_advance(bench.loop, 0);
    assert_int_equal(bench.answers, 3);
    assert_int_equal(get(&bench, "a")->volumes[0].fs.inodes_used.value, first);
    measure_one(&bench);
    assert_int_equal(get(&bench, "a")->volumes[0].fs.inodes_used.value, first + 1);
    /* A Secret's volume is measured once. */
    assert_int_equal(get(&bench, "a")->volumes[1].fs.inodes_used.value, first);
    assert_int_equal(bench.answers, 3);
}

static size_t timed(struct bench *bench)
{
    return metrics_read(bench->metrics, "kubelet_volume_metric_collection_duration_seconds", "du")
        .series.count;
}

TEST_CASE(each_walk_is_timed_and_what_stays_as_it_was_is_not_walked_again)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, PERIOD_NS);
    const Core__Pod *pod = make_pod(&bench, "a", 10);
    (void)ask(&bench, &pod, 1);
    measure_one(&bench);
    assert_int_equal(timed(&bench), 2);
    fake_loop_advance(bench.loop, 2 * PERIOD_NS);
    (void)ask(&bench, &pod, 1);
    measure_one(&bench);
    assert_int_equal(timed(&bench), 3); /* the secret does not change */
}

TEST_CASE(nothing_runs_while_nobody_asks)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, PERIOD_NS);
    const Core__Pod *pod = make_pod(&bench, "a", 1);
    (void)ask(&bench, &pod, 1);
    measure_one(&bench);
    assert_int_equal(fake_loop_armed(bench.loop), 0);
    fake_loop_advance(bench.loop, 100 * PERIOD_NS);
    assert_int_equal(fake_work_count(), 0);
    /* What is that old is not shown, but waited for. */
    assert_null(get(&bench, "a"));
    (void)ask(&bench, &pod, 1);
    fake_loop_advance(bench.loop, 0);
    assert_int_equal(bench.answers, 1);
    measure_one(&bench);
    assert_int_equal(bench.answers, 2);
    assert_non_null(get(&bench, "a"));
}

TEST_CASE(an_ask_waits_no_longer_than_its_limit)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, PERIOD_NS);
    const Core__Pod *pod = make_pod(&bench, "a", 1);
    (void)ask(&bench, &pod, 1);
    fake_loop_advance(bench.loop, LIMIT_NS - 1);
    assert_int_equal(bench.answers, 0);
    fake_loop_advance(bench.loop, 1);
    assert_int_equal(bench.answers, 1);
    assert_null(get(&bench, "a"));
    measure_one(&bench);
    assert_non_null(get(&bench, "a"));
    assert_int_equal(bench.answers, 1);
}

TEST_CASE(pods_are_measured_one_after_the_other)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, PERIOD_NS);
    const Core__Pod *const pods[] = {make_pod(&bench, "a", 1), make_pod(&bench, "b", 1),
                                     make_pod(&bench, "c", 1)};
    (void)ask(&bench, pods, 3);
    (void)ask(&bench, pods, 3);
    measure_one(&bench);
    measure_one(&bench);
    assert_int_equal(bench.answers, 0);
    measure_one(&bench);
    assert_int_equal(bench.answers, 2);
    assert_int_equal(fake_work_count(), 0);
    assert_non_null(get(&bench, "a"));
    assert_non_null(get(&bench, "b"));
    assert_non_null(get(&bench, "c"));
}

TEST_CASE(pods_that_are_not_asked_for_any_more_are_forgotten)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, PERIOD_NS);
    const Core__Pod *const pods[] = {make_pod(&bench, "a", 1), make_pod(&bench, "b", 1),
                                     make_pod(&bench, "c", 1)};
    (void)ask(&bench, pods, 3);
    measure_one(&bench);
    /* b is under way, c in line. */
    (void)ask(&bench, pods, 1);
    fake_loop_advance(bench.loop, 0);
    assert_int_equal(bench.answers, 2);
    assert_int_equal(fake_work_count(), 0);
    assert_non_null(get(&bench, "a"));
    assert_null(get(&bench, "b"));
    (void)ask(&bench, NULL, 0);
    fake_loop_advance(bench.loop, 0);
    assert_null(get(&bench, "a"));
}

TEST_CASE(a_pod_forgotten_while_it_is_measured_does_no_harm)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, PERIOD_NS);
    const Core__Pod *const pods[] = {make_pod(&bench, "a", 1), make_pod(&bench, "b", 1)};
    (void)ask(&bench, pods, 2);
    fake_work_run();
    (void)ask(&bench, pods + 1, 1);
    fake_work_deliver();
    measure_one(&bench);
    assert_null(get(&bench, "a"));
    assert_non_null(get(&bench, "b"));
    assert_int_equal(bench.answers, 2);
}

TEST_CASE(a_volume_that_cannot_be_measured_is_left_out_until_it_can)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, PERIOD_NS);
    const Core__Pod *pod = make_pod(&bench, "a", 1);
    assert_no_error(
        fd_remove_tree_blocking(at(bench.scratch, "pods/a/volumes/kubernetes.io~secret")));
    (void)ask(&bench, &pod, 1);
    measure_one(&bench);
    assert_int_equal(get(&bench, "a")->count, 1);
    assert_string_equal(get(&bench, "a")->volumes[0].name, "work");
    (void)make_pod(&bench, "a", 1);
    fake_loop_advance(bench.loop, PERIOD_NS);
    (void)ask(&bench, &pod, 1);
    measure_one(&bench);
    assert_int_equal(get(&bench, "a")->count, 2);
}

TEST_CASE(a_cancelled_ask_is_silent)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, PERIOD_NS);
    const Core__Pod *pod = make_pod(&bench, "a", 1);
    volume_stats_ask_cancel(ask(&bench, &pod, 1));
    volume_stats_ask_cancel(NULL);
    measure_one(&bench);
    assert_int_equal(bench.answers, 0);
    assert_non_null(get(&bench, "a"));
}

TEST_CASE(without_a_period_no_volume_has_figures)
{
    static const int64_t periods[] = {0, -PERIOD_NS};
    for (size_t i = 0; i < ARRAY_SIZE(periods); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench, periods[i]);
        const Core__Pod *pod = make_pod(&bench, "a", 1);
        (void)ask(&bench, &pod, 1);
        fake_loop_advance(bench.loop, 0);
        assert_int_equal(bench.answers, 1);
        assert_int_equal(fake_work_count(), 0);
        assert_null(get(&bench, "a"));
    }
}

TEST_CASE(freeing_it_in_the_middle_is_silent)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, PERIOD_NS);
    const Core__Pod *const pods[] = {make_pod(&bench, "a", 1), make_pod(&bench, "b", 1)};
    (void)ask(&bench, pods, 2);
    fake_work_run();
    volume_stats_free(TAKE(bench.stats));
    fake_work_deliver();
    fake_loop_advance(bench.loop, LIMIT_NS);
    assert_int_equal(bench.answers, 0);
}

TEST_MAIN(TEST(volumes_are_measured_when_asked_for),
          TEST(figures_are_remembered_for_a_period_and_renewed_by_an_ask_after_it),
          TEST(each_walk_is_timed_and_what_stays_as_it_was_is_not_walked_again),
          TEST(nothing_runs_while_nobody_asks), TEST(an_ask_waits_no_longer_than_its_limit),
          TEST(pods_are_measured_one_after_the_other),
          TEST(pods_that_are_not_asked_for_any_more_are_forgotten),
          TEST(a_pod_forgotten_while_it_is_measured_does_no_harm),
          TEST(a_volume_that_cannot_be_measured_is_left_out_until_it_can),
          TEST(a_cancelled_ask_is_silent), TEST(without_a_period_no_volume_has_figures),
          TEST(freeing_it_in_the_middle_is_silent))
