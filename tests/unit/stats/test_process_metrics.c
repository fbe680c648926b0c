#include "stats/metrics_page.h"
#include "stats/process_metrics.h"
#include "stats/process_stat.h"
#include "tests/lib/test.h"

#define PAGE_MAX_BYTES MiB

static struct process_metrics_options options(void)
{
    struct process_metrics_options options = {.node_name = "node-a",
                                              .version = "v1.36.2+cubelet.0.1.0",
                                              .architecture = "amd64",
                                              .cgroup_version = 2};
    assert_no_error(gate_set_make(NULL, 0, &options.gates));
    return options;
}

static void write_page(struct metrics *metrics, struct buf *out)
{
    buf_init(out, PAGE_MAX_BYTES);
    struct exposition page;
    exposition_init(&page, out, EXPOSITION_TEXT);
    metrics_page_write(metrics, NULL, &page);
    exposition_end(&page);
    assert_no_error(buf_error(out, "the page"));
}

static void assert_has_line(const struct buf *page, const char *line)
{
    AUTO(free) char *whole = xasprintf("\n%s\n", line);
    if (!strstr(buf_text(page), whole))
        fail_msg("no line %s", line);
}

/* The value of the series @name. */
static double value_of(const struct buf *page, const char *name)
{
    AUTO(free) char *start = xasprintf("\n%s ", name);
    const char *at = strstr(buf_text(page), start);
    assert_non_null(at);
    return strtod(at + strlen(start), NULL);
}

TEST_CASE(the_agent_tells_who_it_is)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    const struct process_metrics_options o = options();
    AUTO(process_metrics) struct process_metrics *process = process_metrics_new(metrics, &o);
    AUTO(buf) struct buf page;
    write_page(metrics, &page);
    assert_has_line(&page, "kubelet_node_name{node=\"node-a\"} 1");
    assert_has_line(&page, "kubelet_cgroup_version 2");
    assert_has_line(&page, "go_info{version=\"none\"} 1");
    assert_non_null(strstr(buf_text(&page),
                           ",git_commit=\"\",git_tree_state=\"\",git_version=\"v1.36.2+cubelet."
                           "0.1.0\",go_version=\"none\",major=\"1\",minor=\"36\",platform="
                           "\"linux/amd64\"} 1\n"));
    assert_has_line(&page, "kubernetes_feature_enabled{name=\"APIServerTracing\",stage=\"\"} 1");
    assert_has_line(&page,
                    "kubernetes_feature_enabled{name=\"APIServingWithRoutine\",stage=\"ALPHA\"} 0");
}

TEST_CASE(the_process_is_measured_at_each_scrape)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    const struct process_metrics_options o = options();
    AUTO(process_metrics) struct process_metrics *process = process_metrics_new(metrics, &o);
    AUTO(buf) struct buf page;
    write_page(metrics, &page);
    assert_true(value_of(&page, "process_resident_memory_bytes") > 100000);
    assert_true(value_of(&page, "process_virtual_memory_bytes") >=
                value_of(&page, "process_resident_memory_bytes"));
    assert_true(value_of(&page, "process_open_fds") >= 3);
    assert_true(value_of(&page, "process_max_fds") >= value_of(&page, "process_open_fds"));
    assert_true(value_of(&page, "go_threads") >= 1);
    assert_true(value_of(&page, "process_start_time_seconds") == process_start_seconds());

    static const struct metric_info more = {
        .name = "more", .help = "[STABLE] More.", .type = METRIC_GAUGE, .labels = {"of"}};
    assert_null(strstr(buf_text(&page), "stability_level=\"STABLE\""));
    (void)metrics_family(metrics, &more);
    AUTO(buf) struct buf again;
    write_page(metrics, &again);
    assert_has_line(
        &again, "registered_metrics_total{deprecated_version=\"\",stability_level=\"STABLE\"} 1");
    assert_has_line(
        &again, "registered_metrics_total{deprecated_version=\"\",stability_level=\"ALPHA\"} 3");
}

TEST_CASE(dropped_figures_are_told)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    const struct process_metrics_options o = options();
    AUTO(process_metrics) struct process_metrics *process = process_metrics_new(metrics, &o);
    static const struct metric_info info = {
        .name = "x", .help = "X.", .type = METRIC_GAUGE, .labels = {"l"}};
    AUTO(free) char *longest = xcalloc(1, METRICS_MAX_VALUES_BYTES + 1);
    memset(longest, 'x', METRICS_MAX_VALUES_BYTES);
    metric_add(metrics_family(metrics, &info), 1, longest);
    AUTO(buf) struct buf page;
    write_page(metrics, &page);
    assert_has_line(&page, "cardinality_enforcement_unexpected_categorizations_total 1");
}

TEST_CASE(a_page_of_its_own_can_have_the_start_alone)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    process_metrics_add_start(metrics);
    AUTO(buf) struct buf page, want;
    write_page(metrics, &page);
    buf_init(&want, PAGE_MAX_BYTES);
    buf_add_text(&want, "# HELP process_start_time_seconds [ALPHA] Start time of the process since "
                        "unix epoch in seconds.\n"
                        "# TYPE process_start_time_seconds gauge\n"
                        "process_start_time_seconds ");
    exposition_number(&want, process_start_seconds());
    buf_add_text(&want, "\n");
    assert_string_equal(buf_text(&page), buf_text(&want));
}

TEST_MAIN(TEST(the_agent_tells_who_it_is), TEST(the_process_is_measured_at_each_scrape),
          TEST(dropped_figures_are_told), TEST(a_page_of_its_own_can_have_the_start_alone))
