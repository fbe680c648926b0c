/* Metrics and statistics as pages: what is asked of which collector, in which form it goes out, and
 * what becomes of it when there is none. */
#include "node_bench.h"

#define STARTED "1700000000"
#define TEXT "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"

static struct node_bench *start(void)
{
    struct node_bench *bench = node_bench_new();
    node_bench_start(bench);
    return bench;
}

static const struct summary_fs logs = {.used_bytes = {.known = true, .value = 4096}};
static const struct summary_cpu cpu = {
    .time_ns = 1700000005 * NS_PER_SEC,
    .usage_core_nanos = {.known = true, .value = 2 * NS_PER_SEC}};
static const struct summary_container containers[] = {{.name = "c", .logs = &logs}};
static const struct summary_pod pods[] = {
    {.name = "web", .namespace = "ns", .uid = "u", .container_count = 1, .containers = containers}};
static const struct summary full = {
    .node = {.name = "node-a", .cpu = &cpu}, .pod_count = 1, .pods = pods};

/* --- /stats/summary --- */

TEST_CASE(a_summary_is_short_when_that_is_said_exactly_once)
{
    static const struct {
        const char *line, *rest;
        bool is_short;
    } rows[] = {
        {"GET /stats/summary", "", false},
        {"GET /stats/summary?only_cpu_and_memory=true", "", true},
        {"GET /stats/summary?only_cpu_and_memory=True", "", false},
        {"GET /stats/summary?only_cpu_and_memory=1", "", false},
        {"GET /stats/summary?only_cpu_and_memory", "", false},
        {"GET /stats/summary?only_cpu_and_memory=true&only_cpu_and_memory=true", "", false},
        {"POST /stats/summary?only_cpu_and_memory=true", "", true},
        {"POST /stats/summary",
         "content-type: application/x-www-form-urlencoded\r\n\r\na=b&only_cpu_and_memory=true",
         true},
        {"POST /stats/summary?only_cpu_and_memory=true",
         "content-type: application/x-www-form-urlencoded; charset=x\r\n\r\n"
         "only_cpu_and_memory=true",
         false},
        {"POST /stats/summary", "content-type: text/plain\r\n\r\nonly_cpu_and_memory=true", false},
        /* The body of a GET says nothing. */
        {"GET /stats/summary",
         "content-type: application/x-www-form-urlencoded\r\n\r\nonly_cpu_and_memory=true", false},
    };
    AUTO(node_bench) struct node_bench *bench = start();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int fd = node_bench_send(bench, NODE_PORT_MAIN, rows[i].line, rows[i].rest);
        assert_int_equal(bench->summaries.asked, i + 1);
        if (rows[i].is_short != (bench->summaries.scope == SUMMARY_CPU_AND_MEMORY))
            fail_msg("%s %s", rows[i].line, rows[i].rest);
        node_bench_summary(bench, &full, NULL);
        const struct node_reply reply = node_bench_reply(bench, fd);
        assert_int_equal(reply.status, 200);
        assert_string_equal(node_reply_field(bench, &reply, "content-type"), "application/json");
        assert_true(text_has_prefix(reply.body, "{\n \"node\": {\n  \"nodeName\": \"node-a\""));
    }
}

TEST_CASE(a_summary_that_fails_says_why)
{
    AUTO(node_bench) struct node_bench *bench = start();
    int fd = node_bench_send(bench, NODE_PORT_MAIN, "GET /stats/summary", "");
    node_bench_summary(bench, NULL, error_new(ERROR_UNAVAILABLE, "failed to list pod stats: gone"));
    const struct node_reply reply = node_bench_reply(bench, fd);
    assert_int_equal(reply.status, 500);
    assert_string_equal(reply.body, "Internal Error: failed to list pod stats: gone");
}

/* --- pages --- */

static void check_page(struct node_bench *bench, const struct node_reply *reply)
{
    assert_int_equal(reply->status, 200);
    assert_string_equal(node_reply_field(bench, reply, "content-type"), TEXT);
    assert_string_equal(node_reply_field(bench, reply, "process-start-time-unix"), STARTED);
    assert_null(node_reply_field(bench, reply, "content-encoding"));
}

TEST_CASE(metrics_are_what_was_counted_and_what_a_full_summary_knows)
{
    static const struct metric_info info = {
        .name = "a_total", .help = "[ALPHA] What was counted", .type = METRIC_COUNTER};
    AUTO(node_bench) struct node_bench *bench = start();
    metric_add(metrics_family(bench->metrics, &info), 3, NULL);
    int fd = node_bench_send(bench, NODE_PORT_MAIN, "GET /metrics", "");
    assert_int_equal(bench->summaries.scope, SUMMARY_FULL);
    node_bench_summary(bench, &full, NULL);
    const struct node_reply reply = node_bench_reply(bench, fd);
    check_page(bench, &reply);
    assert_true(text_has_prefix(reply.body, "# HELP a_total [ALPHA] What was counted\n"
                                            "# TYPE a_total counter\na_total 3\n"));
    assert_non_null(strstr(reply.body, "kubelet_container_log_filesystem_used_bytes{container="
                                       "\"c\",namespace=\"ns\",pod=\"web\",uid=\"u\"} 4096\n"));
    assert_non_null(strstr(reply.body, "\nkubelet_http_inflight_requests{long_running=\"false\","
                                       "method=\"GET\",path=\"metrics\",server_type=\"readwrite\"}"
                                       " 1\n"));
}

/* That the runtime is gone is when they are wanted most; a kubelet shows them then, too. */
TEST_CASE(metrics_need_no_summary)
{
    AUTO(node_bench) struct node_bench *bench = start();
    int fd = node_bench_send(bench, NODE_PORT_MAIN, "GET /metrics", "");
    node_bench_summary(bench, NULL, error_new(ERROR_UNAVAILABLE, "gone"));
    const struct node_reply reply = node_bench_reply(bench, fd);
    check_page(bench, &reply);
    assert_non_null(strstr(reply.body, "kubelet_http_requests_total"));
    assert_null(strstr(reply.body, "kubelet_container_log_filesystem_used_bytes"));
}

TEST_CASE(figures_of_resources_come_from_a_short_summary)
{
    AUTO(node_bench) struct node_bench *bench = start();
    int fd = node_bench_send(bench, NODE_PORT_MAIN, "GET /metrics/resource", "");
    assert_int_equal(bench->summaries.scope, SUMMARY_CPU_AND_MEMORY);
    node_bench_summary(bench, &full, NULL);
    struct node_reply reply = node_bench_reply(bench, fd);
    check_page(bench, &reply);
    assert_non_null(strstr(reply.body, "\nnode_cpu_usage_seconds_total 2 1700000005000\n"));
    assert_non_null(strstr(reply.body, "\nresource_scrape_error 0\n"));

    fd = node_bench_send(bench, NODE_PORT_MAIN, "GET /metrics/resource", "");
    node_bench_summary(bench, NULL, error_new(ERROR_UNAVAILABLE, "gone"));
    reply = node_bench_reply(bench, fd);
    check_page(bench, &reply);
    assert_non_null(strstr(reply.body, "\nresource_scrape_error 1\n"));
    assert_null(strstr(reply.body, "node_cpu"));
}

TEST_CASE(records_of_cgroups_are_a_page_even_when_there_are_none)
{
    AUTO(node_bench) struct node_bench *bench = start();
    int fd = node_bench_send(bench, NODE_PORT_MAIN, "GET /metrics/cadvisor", "");
    node_bench_records(bench, NULL);
    struct node_reply reply = node_bench_reply(bench, fd);
    check_page(bench, &reply);
    assert_non_null(strstr(reply.body, "\ncontainer_scrape_error 0\n"));
    assert_non_null(strstr(reply.body, "container_last_seen{container=\"\",id=\"/\""));

    fd = node_bench_send(bench, NODE_PORT_MAIN, "GET /metrics/cadvisor", "");
    node_bench_records(bench, error_new(ERROR_UNAVAILABLE, "gone"));
    reply = node_bench_reply(bench, fd);
    check_page(bench, &reply);
    assert_non_null(strstr(reply.body, "\ncontainer_scrape_error 1\n"));
}

TEST_CASE(probes_have_a_page_of_their_own)
{
    static const struct metric_info info = {.name = "prober_probe_total",
                                            .help = "[BETA] Probes",
                                            .type = METRIC_COUNTER,
                                            .labels = {"pod"}};
    AUTO(node_bench) struct node_bench *bench = start();
    metric_add(metrics_family(bench->probe_metrics, &info), 1, "we\"b\n");
    const struct node_reply reply =
        node_bench_ask(bench, NODE_PORT_MAIN, "GET /metrics/probes", "");
    check_page(bench, &reply);
    assert_string_equal(reply.body, "# HELP prober_probe_total [BETA] Probes\n"
                                    "# TYPE prober_probe_total counter\n"
                                    "prober_probe_total{pod=\"we\\\"b\\n\"} 1\n");
}

/* --- forms --- */

TEST_CASE(a_page_is_made_smaller_for_who_takes_that)
{
    AUTO(node_bench) struct node_bench *bench = start();
    const struct node_reply plain = node_bench_ask(bench, NODE_PORT_MAIN, "GET /metrics/slis",
                                                   "accept-encoding: gzip;q=0, br\r\n");
    check_page(bench, &plain);
    const struct node_reply small =
        node_bench_ask(bench, NODE_PORT_MAIN, "GET /metrics/slis", "accept-encoding: br, gzip\r\n");
    assert_string_equal(node_reply_field(bench, &small, "content-encoding"), "gzip");
    int64_t len = 0;
    assert_true(parse_i64(node_reply_field(bench, &small, "content-length"), 1, 4096, &len));
    assert_true((size_t)len < strlen(plain.body));
    assert_int_equal((unsigned char)small.body[0], 0x1f);
    assert_int_equal((unsigned char)small.body[1], 0x8b);
}

TEST_CASE(openmetrics_is_for_who_takes_nothing_else)
{
    static const struct {
        const char *accept, *type, *end;
    } rows[] = {
        {"accept: application/openmetrics-text; version=1.0.0\r\n", "application/openmetrics-text",
         "# EOF\n"},
        {"accept: application/openmetrics-text; version=1.0.0, text/plain;q=0.1\r\n", TEXT, ""},
        {"accept: application/vnd.google.protobuf;encoding=delimited\r\n", TEXT, ""},
    };
    AUTO(node_bench) struct node_bench *bench = start();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct node_reply reply =
            node_bench_ask(bench, NODE_PORT_MAIN, "GET /metrics/slis", rows[i].accept);
        assert_true(text_has_prefix(node_reply_field(bench, &reply, "content-type"), rows[i].type));
        assert_true(strstr(reply.body, "# EOF\n") ? rows[i].end[0] != '\0' : !rows[i].end[0]);
    }
}

TEST_MAIN(TEST(a_summary_is_short_when_that_is_said_exactly_once),
          TEST(a_summary_that_fails_says_why),
          TEST(metrics_are_what_was_counted_and_what_a_full_summary_knows),
          TEST(metrics_need_no_summary), TEST(figures_of_resources_come_from_a_short_summary),
          TEST(records_of_cgroups_are_a_page_even_when_there_are_none),
          TEST(probes_have_a_page_of_their_own), TEST(a_page_is_made_smaller_for_who_takes_that),
          TEST(openmetrics_is_for_who_takes_nothing_else))
