#include "stats/metrics_page.h"
#include "tests/lib/test.h"

#define PAGE_MAX_BYTES (64 * KiB)

static const double bounds[] = {0.5, 1};
static const struct metric_info calls = {.name = "calls_total",
                                         .help = "[ALPHA] Calls.",
                                         .type = METRIC_COUNTER,
                                         .labels = {"code", "verb"}};
static const struct metric_info depth = {.name = "depth", .help = "Depth.", .type = METRIC_GAUGE};
static const struct metric_info waits = {.name = "wait_seconds",
                                         .help = "Waits.",
                                         .type = METRIC_HISTOGRAM,
                                         .labels = {"queue"},
                                         .bounds = bounds,
                                         .bound_count = ARRAY_SIZE(bounds)};

static void set_depth(UNUSED void *ctx, struct metrics *metrics)
{
    metric_set(metrics_family(metrics, &depth), 7, NULL);
}

static struct metrics *example(void)
{
    struct metrics *metrics = metrics_new();
    metrics_add_collector(metrics, set_depth, metrics);
    metric_observe(metrics_family(metrics, &waits), 0.75, "q");
    metric_observe(metrics_family(metrics, &waits), 2, "q");
    metric_add(metrics_family(metrics, &calls), 3, "200", "PUT");
    metric_add(metrics_family(metrics, &calls), 1, "<error>", "GET");
    return metrics;
}

static void write_page(struct metrics *metrics, enum exposition_format format, struct buf *out)
{
    struct exposition page;
    exposition_init(&page, out, format);
    metrics_page_write(metrics, NULL, &page);
    exposition_end(&page);
}

TEST_CASE(a_registry_as_text)
{
    AUTO(metrics) struct metrics *metrics = example();
    AUTO(buf) struct buf out;
    buf_init(&out, PAGE_MAX_BYTES);
    write_page(metrics, EXPOSITION_TEXT, &out);
    assert_string_equal(buf_text(&out), "# HELP calls_total [ALPHA] Calls.\n"
                                        "# TYPE calls_total counter\n"
                                        "calls_total{code=\"200\",verb=\"PUT\"} 3\n"
                                        "calls_total{code=\"<error>\",verb=\"GET\"} 1\n"
                                        "# HELP depth Depth.\n"
                                        "# TYPE depth gauge\n"
                                        "depth 7\n"
                                        "# HELP wait_seconds Waits.\n"
                                        "# TYPE wait_seconds histogram\n"
                                        "wait_seconds_bucket{queue=\"q\",le=\"0.5\"} 0\n"
                                        "wait_seconds_bucket{queue=\"q\",le=\"1\"} 1\n"
                                        "wait_seconds_bucket{queue=\"q\",le=\"+Inf\"} 2\n"
                                        "wait_seconds_sum{queue=\"q\"} 2.75\n"
                                        "wait_seconds_count{queue=\"q\"} 2\n");
}

TEST_CASE(a_registry_as_openmetrics)
{
    AUTO(metrics) struct metrics *metrics = example();
    metric_clear(metrics_family(metrics, &waits));
    AUTO(buf) struct buf out;
    buf_init(&out, PAGE_MAX_BYTES);
    write_page(metrics, EXPOSITION_OPENMETRICS, &out);
    assert_string_equal(buf_text(&out), "# HELP calls [ALPHA] Calls.\n"
                                        "# TYPE calls counter\n"
                                        "calls_total{code=\"200\",verb=\"PUT\"} 3\n"
                                        "calls_total{code=\"<error>\",verb=\"GET\"} 1\n"
                                        "# HELP depth Depth.\n"
                                        "# TYPE depth gauge\n"
                                        "depth 7\n"
                                        "# EOF\n");
}

/* Families of another source, written one by one. */
static void write_another(void *ctx, const char *name, struct exposition *page)
{
    static const char *const names[] = {"a", "deep", "depth_of_others", "z", "zz"};
    size_t *written = ctx;
    while (*written < ARRAY_SIZE(names) && (!name || strcmp(names[*written], name) < 0))
        exposition_family(page, names[(*written)++], "h", METRIC_GAUGE);
}

TEST_CASE(families_of_another_source_have_their_place)
{
    AUTO(metrics) struct metrics *metrics = example();
    AUTO(buf) struct buf out;
    buf_init(&out, PAGE_MAX_BYTES);
    size_t written = 0;
    const struct metrics_page_more more = {.write_before = write_another, .ctx = &written};
    struct exposition page;
    exposition_init(&page, &out, EXPOSITION_TEXT);
    metrics_page_write(metrics, &more, &page);
    exposition_end(&page);
    AUTO(buf) struct buf names;
    buf_init(&names, PAGE_MAX_BYTES);
    struct str rest = buf_str(&out), line;
    while (str_split_next(&rest, '\n', &line)) {
        if (str_has_prefix(line, "# TYPE "))
            buf_printf(&names, "%.*s\n", STR_ARG(line));
    }
    assert_string_equal(buf_text(&names), "# TYPE a gauge\n"
                                          "# TYPE calls_total counter\n"
                                          "# TYPE deep gauge\n"
                                          "# TYPE depth gauge\n"
                                          "# TYPE depth_of_others gauge\n"
                                          "# TYPE wait_seconds histogram\n"
                                          "# TYPE z gauge\n"
                                          "# TYPE zz gauge\n");
}

TEST_CASE(without_a_registry_the_page_is_empty)
{
    AUTO(buf) struct buf out;
    buf_init(&out, PAGE_MAX_BYTES);
    write_page(NULL, EXPOSITION_TEXT, &out);
    assert_string_equal(buf_text(&out), "");
}

TEST_MAIN(TEST(a_registry_as_text), TEST(a_registry_as_openmetrics),
          TEST(families_of_another_source_have_their_place),
          TEST(without_a_registry_the_page_is_empty))
