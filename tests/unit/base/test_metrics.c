#include "base/metrics.h"

#include "base/buf.h"
#include "tests/lib/test.h"

#include <inttypes.h>
#include <math.h>

#define SHOWN_MAX_BYTES (64 * KiB)

static const double bounds[] = {1, 2.5};

static const struct metric_info starts = {
    .name = "starts_total", .help = "Starts.", .type = METRIC_COUNTER};
static const struct metric_info calls = {
    .name = "calls_total", .help = "Calls.", .type = METRIC_COUNTER, .labels = {"code", "verb"}};
static const struct metric_info depth = {
    .name = "depth", .help = "Depth.", .type = METRIC_GAUGE, .labels = {"queue"}};
static const struct metric_info waits = {.name = "wait_seconds",
                                         .help = "Waits.",
                                         .type = METRIC_HISTOGRAM,
                                         .labels = {"queue"},
                                         .bounds = bounds,
                                         .bound_count = ARRAY_SIZE(bounds)};
static const struct metric_info plain_waits = {.name = "plain_seconds",
                                               .help = "Waits.",
                                               .type = METRIC_HISTOGRAM,
                                               .bounds = bounds,
                                               .bound_count = ARRAY_SIZE(bounds)};

/* What a visitor sees, a family or series a line. */
static void show_family(void *ctx, const struct metric_info *info)
{
    buf_printf(ctx, "%s:\n", info->name);
}

static void show_series(void *ctx, const struct metric_info *info,
                        const struct metric_series *series)
{
    for (size_t i = 0; info->labels[i]; i++)
        buf_printf(ctx, " %s=%s", info->labels[i], series->values[i]);
    if (info->type != METRIC_HISTOGRAM) {
        buf_printf(ctx, " %g\n", series->value);
        return;
    }
    for (size_t i = 0; i <= info->bound_count; i++)
        buf_printf(ctx, " %" PRIu64, series->bucket_counts[i]);
    buf_printf(ctx, " of %" PRIu64 " sum %g\n", series->count, series->sum);
}

static void assert_shown(struct metrics *metrics, const char *want)
{
    AUTO(buf) struct buf out;
    buf_init(&out, SHOWN_MAX_BYTES);
    const struct metrics_visitor visitor = {
        .family = show_family, .series = show_series, .ctx = &out};
    metrics_visit(metrics, &visitor);
    assert_string_equal(buf_text(&out), want);
}

TEST_CASE(without_labels_a_figure_is_there_from_the_start)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    struct metric_family *family = metrics_family(metrics, &starts);
    (void)metrics_family(metrics, &plain_waits);
    (void)metrics_family(metrics, &calls);
    assert_shown(metrics, "plain_seconds:\n 0 0 0 of 0 sum 0\nstarts_total:\n 0\n");
    metric_add(family, 1, NULL);
    metric_add(family, 2.5, NULL);
    assert_shown(metrics, "plain_seconds:\n 0 0 0 of 0 sum 0\nstarts_total:\n 3.5\n");
}

TEST_CASE(families_come_by_name_and_series_by_values)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    metric_set(metrics_family(metrics, &depth), 4, "q");
    struct metric_family *family = metrics_family(metrics, &calls);
    metric_add(family, 1, "200", "GET");
    metric_add(family, 1, "200", "DELETE");
    metric_add(family, 1, "20", "PUT");
    metric_add(family, 1, "200", "GET");
    metric_add(family, 1, "2", "00PUT");
    metric_add(family, 1, "", "");
    assert_shown(metrics, "calls_total:\n"
                          " code= verb= 1\n"
                          " code=2 verb=00PUT 1\n"
                          " code=20 verb=PUT 1\n"
                          " code=200 verb=DELETE 1\n"
                          " code=200 verb=GET 2\n"
                          "depth:\n queue=q 4\n");
}

TEST_CASE(a_family_is_made_once)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    static const struct metric_info again = {
        .name = "depth", .help = "Depth.", .type = METRIC_GAUGE, .labels = {"queue"}};
    struct metric_family *family = metrics_family(metrics, &depth);
    (void)metrics_family(metrics, &calls);
    (void)metrics_family(metrics, &waits);
    assert_ptr_equal(metrics_family(metrics, &depth), family);
    assert_ptr_equal(metrics_family(metrics, &again), family);
}

TEST_CASE(every_family_is_told_whether_it_shows_anything_or_not)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    const struct metric_info infos[] = {waits, starts, calls};
    struct metric_family *families[ARRAY_SIZE(infos)];
    metrics_families(metrics, infos, ARRAY_SIZE(infos), families);
    for (size_t i = 0; i < ARRAY_SIZE(infos); i++)
        assert_ptr_equal(families[i], metrics_family(metrics, &infos[i]));
    AUTO(buf) struct buf out;
    buf_init(&out, SHOWN_MAX_BYTES);
    metrics_each_family(metrics, show_family, &out);
    assert_string_equal(buf_text(&out), "calls_total:\nstarts_total:\nwait_seconds:\n");

    metrics_families(NULL, infos, ARRAY_SIZE(infos), families);
    for (size_t i = 0; i < ARRAY_SIZE(infos); i++)
        assert_null(families[i]);
    metrics_each_family(NULL, show_family, NULL);
}

TEST_CASE(a_gauge_goes_up_and_down)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    struct metric_family *family = metrics_family(metrics, &depth);
    metric_set(family, 4, "a");
    metric_add(family, -5, "a");
    metric_add(family, 1, "b");
    assert_shown(metrics, "depth:\n queue=a -1\n queue=b 1\n");
}

TEST_CASE(a_histogram_counts_up_to_each_bound)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    struct metric_family *family = metrics_family(metrics, &waits);
    static const double seen[] = {-1, 1, 1.5, 2.5, 2.75};
    for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
        metric_observe(family, seen[i], "a");
    metric_observe(family, (double)INFINITY, "b");
    metric_observe(family, (double)NAN, "c");
    assert_shown(metrics, "wait_seconds:\n"
                          " queue=a 2 2 1 of 5 sum 6.75\n"
                          " queue=b 0 0 1 of 1 sum inf\n"
                          " queue=c 0 0 1 of 1 sum nan\n");
}

TEST_CASE(what_is_forgotten_is_not_shown)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    struct metric_family *family = metrics_family(metrics, &depth);
    metric_set(family, 1, "a");
    metric_set(family, 2, "b");
    metric_set(family, 3, "c");
    metric_forget_values(family, METRIC_VALUES("b"));
    metric_forget_values(family, METRIC_VALUES("unknown"));
    assert_shown(metrics, "depth:\n queue=a 1\n queue=c 3\n");
    metric_clear(family);
    assert_shown(metrics, "");
    metric_add(family, 1, "a");
    assert_shown(metrics, "depth:\n queue=a 1\n");

    struct metric_family *plain = metrics_family(metrics, &starts);
    metric_add(plain, 7, NULL);
    metric_clear(plain);
    assert_shown(metrics, "depth:\n queue=a 1\nstarts_total:\n 0\n");
}

TEST_CASE(a_family_has_a_limit_and_tells_of_it)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    struct metric_family *family = metrics_family(metrics, &depth);
    for (int i = 0; i < METRICS_MAX_SERIES; i++) {
        AUTO(free) char *value = xasprintf("%d", i);
        metric_set(family, i, value);
    }
    assert_int_equal(metrics_dropped(metrics), 0);
    metric_set(family, 1, "one more");
    metric_add(family, 1, "0");
    assert_int_equal(metrics_dropped(metrics), 1);
    metric_forget_values(family, METRIC_VALUES("1"));
    metric_set(family, 1, "one more");
    assert_int_equal(metrics_dropped(metrics), 1);

    static const struct metric_info small = {
        .name = "small", .help = "Few", .type = METRIC_GAUGE, .labels = {"a"}, .max_series = 2};
    struct metric_family *few = metrics_family(metrics, &small);
    metric_set(few, 1, "x");
    metric_set(few, 1, "y");
    assert_int_equal(metrics_dropped(metrics), 1);
    metric_set(few, 1, "z");
    assert_int_equal(metrics_dropped(metrics), 2);
    metric_clear(few);

    AUTO(free) char *longest = xcalloc(1, METRICS_MAX_VALUES_BYTES + 1);
    memset(longest, 'x', METRICS_MAX_VALUES_BYTES - 1);
    metric_clear(family);
    metric_set(family, 1, longest);
    assert_int_equal(metrics_dropped(metrics), 2);
    longest[METRICS_MAX_VALUES_BYTES - 1] = 'x';
    metric_set(family, 1, longest);
    assert_int_equal(metrics_dropped(metrics), 3);
}

static void set_depth(void *ctx, struct metrics *metrics)
{
    metric_set(metrics_family(metrics, &depth), ++*(int *)ctx, "a");
}

static void add_call(UNUSED void *ctx, struct metrics *metrics)
{
    metric_add(metrics_family(metrics, &calls), 1, "200", "GET");
}

TEST_CASE(collectors_run_before_each_visit)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    int runs = 0, other = 0;
    metrics_add_collector(metrics, set_depth, &runs);
    metrics_add_collector(metrics, add_call, &other);
    assert_shown(metrics, "calls_total:\n code=200 verb=GET 1\ndepth:\n queue=a 1\n");
    assert_shown(metrics, "calls_total:\n code=200 verb=GET 2\ndepth:\n queue=a 2\n");
    metrics_remove_collector(metrics, &other);
    assert_shown(metrics, "calls_total:\n code=200 verb=GET 2\ndepth:\n queue=a 3\n");
    metrics_remove_collector(metrics, &runs);
    assert_shown(metrics, "calls_total:\n code=200 verb=GET 2\ndepth:\n queue=a 3\n");
}

TEST_CASE(who_has_no_registry_counts_nothing)
{
    assert_null(metrics_family(NULL, &depth));
    metric_add(NULL, 1, "a");
    metric_set(NULL, 1, "a");
    metric_observe(NULL, 1, "a");
    metric_forget_values(NULL, METRIC_VALUES("a"));
    metric_clear(NULL);
    metrics_add_collector(NULL, add_call, NULL);
    metrics_remove_collector(NULL, NULL);
    assert_int_equal(metrics_dropped(NULL), 0);
    assert_shown(NULL, "");
    metrics_free(NULL);
}

TEST_MAIN(TEST(without_labels_a_figure_is_there_from_the_start),
          TEST(families_come_by_name_and_series_by_values), TEST(a_family_is_made_once),
          TEST(every_family_is_told_whether_it_shows_anything_or_not),
          TEST(a_gauge_goes_up_and_down), TEST(a_histogram_counts_up_to_each_bound),
          TEST(what_is_forgotten_is_not_shown), TEST(a_family_has_a_limit_and_tells_of_it),
          TEST(collectors_run_before_each_visit), TEST(who_has_no_registry_counts_nothing))
