#include "stats/resource_metrics.h"

#include "recorded_summary.h"
#include "tests/lib/test.h"

#define PAGE_MAX_BYTES (256 * KiB)
#define MAX_PODS 32

/* --- the recorded page, read back into a summary --- */

struct reading {
    struct arena *arena;
    struct summary *summary;
    struct summary_pod *pods;
    struct summary_container *containers[MAX_PODS];
};

/* The value of label @name in the series of @line; in the arena, "" when it has none. */
static const char *label_of(const struct reading *reading, const char *line, const char *name)
{
    const char *from = strstr(line, arena_printf(reading->arena, "%s=\"", name));
    if (!from)
        return "";
    from += strlen(name) + 2;
    return arena_strndup(reading->arena, from, strcspn(from, "\""));
}

static struct summary_pod *pod_of(struct reading *reading, const char *line, size_t *ret_index)
{
    const char *namespace = label_of(reading, line, "namespace");
    const char *name = label_of(reading, line, "pod");
    size_t i = 0;
    while (i < reading->summary->pod_count && !(text_eq(reading->pods[i].namespace, namespace) &&
                                                text_eq(reading->pods[i].name, name)))
        i++;
    assert_true(i < MAX_PODS);
    if (i == reading->summary->pod_count) {
        reading->summary->pod_count++;
        reading->containers[i] =
            arena_calloc(reading->arena, MAX_PODS, sizeof(*reading->containers[i]));
        reading->pods[i] = (struct summary_pod){
            .name = name, .namespace = namespace, .uid = "", .containers = reading->containers[i]};
    }
    *ret_index = i;
    return &reading->pods[i];
}

static struct summary_container *container_of(struct reading *reading, const char *line)
{
    size_t index;
    struct summary_pod *pod = pod_of(reading, line, &index);
    struct summary_container *containers = reading->containers[index];
    const char *name = label_of(reading, line, "container");
    size_t i = 0;
    while (i < pod->container_count && !text_eq(containers[i].name, name))
        i++;
    if (i == pod->container_count)
        containers[pod->container_count++].name = name;
    return &containers[i];
}

/* Where the figures of a line's thing are. */
struct sections {
    const struct summary_cpu **cpu;
    const struct summary_memory **memory;
    const struct summary_swap **swap;
};

static struct summary_swap *swap_of(const struct reading *reading, const struct sections *at)
{
    if (!*at->swap)
        *at->swap = arena_alloc(reading->arena, sizeof(**at->swap));
    return (struct summary_swap *)(uintptr_t)*at->swap;
}

static void read_sample(struct reading *reading, const char *line, const struct sections *at)
{
    char *end;
    double value = strtod(strrchr(line, '}') ? strrchr(line, '}') + 1 : strchr(line, ' '), &end);
    int64_t time_ns = strtoll(end, NULL, 10) * NS_PER_MS;
    struct summary_cpu cpu = {.time_ns = time_ns,
                              .usage_core_nanos = summary_known((uint64_t)(value * 1e9 + 0.5))};
    struct summary_memory memory = {.time_ns = time_ns,
                                    .working_set_bytes = summary_known((uint64_t)value)};
    if (strstr(line, "_cpu_usage_seconds_total")) {
        *at->cpu = arena_memdup(reading->arena, &cpu, sizeof(cpu));
    } else if (strstr(line, "_memory_working_set_bytes")) {
        *at->memory = arena_memdup(reading->arena, &memory, sizeof(memory));
    } else if (strstr(line, "_swap_usage_bytes")) {
        swap_of(reading, at)->time_ns = time_ns;
        swap_of(reading, at)->usage_bytes = summary_known((uint64_t)value);
    } else {
        assert_non_null(strstr(line, "container_swap_limit_bytes"));
        swap_of(reading, at)->available_bytes = summary_known((uint64_t)value);
    }
}

static void read_line(struct reading *reading, const char *line)
{
    if (line[0] == '#' || text_has_prefix(line, "resource_scrape_error"))
        return;
    if (text_has_prefix(line, "container_start_time_seconds")) {
        container_of(reading, line)->start_time_ns =
            (int64_t)(strtod(strrchr(line, ' '), NULL) * 1e9);
    } else if (text_has_prefix(line, "container_")) {
        struct summary_container *container = container_of(reading, line);
        read_sample(reading, line,
                    &(struct sections){&container->cpu, &container->memory, &container->swap});
    } else if (text_has_prefix(line, "pod_")) {
        size_t index;
        struct summary_pod *pod = pod_of(reading, line, &index);
        read_sample(reading, line, &(struct sections){&pod->cpu, &pod->memory, &pod->swap});
    } else {
        struct summary_node *node = &reading->summary->node;
        read_sample(reading, line, &(struct sections){&node->cpu, &node->memory, &node->swap});
    }
}

static const struct summary *read_page(struct str text, struct arena *arena)
{
    struct reading reading = {.arena = arena};
    reading.summary = arena_alloc(arena, sizeof(*reading.summary));
    reading.summary->pods = reading.pods = arena_calloc(arena, MAX_PODS, sizeof(*reading.pods));
    struct str line;
    while (str_split_next(&text, '\n', &line)) {
        if (line.len > 0)
            read_line(&reading, arena_strndup(arena, line.ptr, line.len));
    }
    return reading.summary;
}

/* --- the tests --- */

enum page { RESOURCE, STORAGE };

static void assert_page(const struct summary *summary, enum page which, const char *want)
{
    AUTO(buf) struct buf out;
    buf_init(&out, PAGE_MAX_BYTES);
    struct exposition page;
    exposition_init(&page, &out, EXPOSITION_TEXT);
    AUTO(storage_families) struct storage_families *storage = NULL;
    if (which == RESOURCE) {
        resource_metrics_write(summary, &page);
    } else {
        storage = storage_families_new(summary);
        storage_families_write_before(storage, NULL, &page);
    }
    exposition_end(&page);
    assert_string_equal(buf_text(&out), want);
}

TEST_CASE(a_recorded_page_is_written_as_the_kubelet_wrote_it)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct str text = recorded_http("metrics_resource.txt", arena);
    const struct summary *summary = read_page(text, arena);
    assert_int_equal(summary->pod_count, 9);
    assert_page(summary, RESOURCE, text.ptr);
}

TEST_CASE(a_failed_summary_is_told_and_nothing_else)
{
    assert_page(NULL, RESOURCE,
                "# HELP resource_scrape_error [STABLE] 1 if there was an error while getting "
                "container metrics, 0 otherwise\n"
                "# TYPE resource_scrape_error gauge\n"
                "resource_scrape_error 1\n");
}

/* Lines of the recorded /metrics that begin with @prefix or are about it. */
static const char *recorded_family(const char *name, struct arena *arena)
{
    struct str text = recorded_http("metrics.txt", arena), line;
    AUTO(buf) struct buf out;
    buf_init(&out, PAGE_MAX_BYTES);
    while (str_split_next(&text, '\n', &line)) {
        const char *copy = arena_strndup(arena, line.ptr, line.len);
        if (strstr(copy, name))
            buf_printf(&out, "%s\n", copy);
    }
    return arena_strdup(arena, buf_text(&out));
}

TEST_CASE(the_logs_of_a_recorded_summary_are_shown_as_in_the_recorded_metrics)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *want = recorded_family("kubelet_container_log_filesystem_used_bytes", arena);
    assert_true(strlen(want) > 1000);
    assert_page(recorded_summary(arena), STORAGE, want);
}

TEST_CASE(a_claim_shows_once_and_what_is_missing_does_not)
{
    const struct summary_volume old_data = {.name = "data",
                                            .claim_namespace = "ns",
                                            .claim_name = "claim",
                                            .fs = {.used_bytes = {true, 1}}};
    const struct summary_volume volumes[] = {
        {.name = "scratch", .fs = {.used_bytes = {true, 4}}},
        {.name = "data",
         .claim_namespace = "ns",
         .claim_name = "claim",
         .fs = {.used_bytes = {true, 2}, .capacity_bytes = {true, 3}}},
        {.name = "more",
         .claim_namespace = "ns",
         .claim_name = "all",
         .fs = {.used_bytes = {true, 5}},
         .abnormal = {true, true}},
    };
    const struct summary_pod pods[] = {
        {.name = "a",
         .namespace = "ns",
         .uid = "1",
         .start_time_ns = 1,
         .volume_count = 1,
         .volumes = &old_data},
        {.name = "b",
         .namespace = "ns",
         .uid = "2",
         .start_time_ns = 2,
         .volume_count = ARRAY_SIZE(volumes),
         .volumes = volumes},
    };
    const struct summary summary = {.pod_count = ARRAY_SIZE(pods), .pods = pods};
    assert_page(
        &summary, STORAGE,
        "# HELP kubelet_volume_stats_capacity_bytes [ALPHA] Capacity in bytes of the volume\n"
        "# TYPE kubelet_volume_stats_capacity_bytes gauge\n"
        "kubelet_volume_stats_capacity_bytes{namespace=\"ns\",persistentvolumeclaim=\"claim\"} 3\n"
        "# HELP kubelet_volume_stats_health_status_abnormal [ALPHA] Abnormal volume health status. "
        "The count is either 1 or 0. 1 indicates the volume is unhealthy, 0 indicates volume is "
        "healthy\n"
        "# TYPE kubelet_volume_stats_health_status_abnormal gauge\n"
        "kubelet_volume_stats_health_status_abnormal{namespace=\"ns\","
        "persistentvolumeclaim=\"all\"} 1\n"
        "# HELP kubelet_volume_stats_used_bytes [ALPHA] Number of used bytes in the volume\n"
        "# TYPE kubelet_volume_stats_used_bytes gauge\n"
        "kubelet_volume_stats_used_bytes{namespace=\"ns\",persistentvolumeclaim=\"all\"} 5\n"
        "kubelet_volume_stats_used_bytes{namespace=\"ns\",persistentvolumeclaim=\"claim\"} 2\n");
}

TEST_CASE(of_two_pods_with_one_name_the_younger_shows)
{
    const struct summary_cpu old = {.time_ns = NS_PER_MS, .usage_core_nanos = {true, 1}};
    const struct summary_cpu young = {.time_ns = NS_PER_MS, .usage_core_nanos = {true, 500000000}};
    const struct summary_pod pods[] = {
        {.name = "p", .namespace = "ns", .uid = "1", .start_time_ns = 1, .cpu = &old},
        {.name = "p", .namespace = "ns", .uid = "2", .start_time_ns = 2, .cpu = &young},
    };
    const struct summary summary = {.pod_count = ARRAY_SIZE(pods), .pods = pods};
    assert_page(&summary, RESOURCE,
                "# HELP pod_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the "
                "pod in core-seconds\n"
                "# TYPE pod_cpu_usage_seconds_total counter\n"
                "pod_cpu_usage_seconds_total{namespace=\"ns\",pod=\"p\"} 0.5 1\n"
                "# HELP resource_scrape_error [STABLE] 1 if there was an error while getting "
                "container metrics, 0 otherwise\n"
                "# TYPE resource_scrape_error gauge\n"
                "resource_scrape_error 0\n");
}

TEST_MAIN(TEST(a_recorded_page_is_written_as_the_kubelet_wrote_it),
          TEST(a_failed_summary_is_told_and_nothing_else),
          TEST(the_logs_of_a_recorded_summary_are_shown_as_in_the_recorded_metrics),
          TEST(a_claim_shows_once_and_what_is_missing_does_not),
          TEST(of_two_pods_with_one_name_the_younger_shows))
