#include "api_bench.h"
#include "tests/lib/metrics_read.h"

#include <math.h>

static const struct api_step good = {.status = 200, .body = NODE_JSON};

/* A bench that counts; the transport goes before the registry. */
struct count_bench {
    struct metrics *metrics;
    struct api_bench api;
};

static void count_bench_init(struct count_bench *bench, const struct api_client_options *options)
{
    bench->metrics = metrics_new();
    api_bench_init(&bench->api, API_BENCH_PLAIN);
    api_bench_connect(&bench->api, options);
    api_transport_count(bench->api.transport, bench->metrics);
}

static void auto_release_count_bench(struct count_bench *bench)
{
    auto_release_api_bench(&bench->api);
    metrics_free(bench->metrics);
}

/* "127.0.0.1:1234" between @before and @after, joined by commas. */
static char *labels(const struct count_bench *bench, const char *before, const char *after)
{
    return xasprintf("%s%s127.0.0.1:%u,%s", before, *before ? "," : "", bench->api.port, after);
}

static void assert_value(const struct count_bench *bench, const char *name, const char *code,
                         const char *method, double want)
{
    AUTO(free) char *values = labels(bench, code, method);
    double value = metrics_value(bench->metrics, name, values);
    if (value != want)
        fail_msg("%s{%s} is %g, not %g", name, values, value, want);
}

static void assert_count(const struct count_bench *bench, const char *name, const char *method,
                         int64_t want, double want_sum)
{
    AUTO(free) char *values = labels(bench, "", method);
    int64_t count = metrics_count(bench->metrics, name, values);
    if (count != want)
        fail_msg("%s{%s} was observed %lld times", name, values, (long long)count);
    if (want_sum >= 0)
        assert_true(metrics_sum(bench->metrics, name, values) == want_sum);
}

TEST_CASE(each_answer_is_counted_and_each_call_timed)
{
    AUTO(count_bench) struct count_bench bench;
    count_bench_init(&bench, NULL);
    bench.api.steps[0] = (struct api_step){.status = 429, .retry_after = "0"};
    bench.api.steps[1] = (struct api_step){.what = STEP_ABORT};
    bench.api.steps[2] = good;
    AUTO(api_record) struct api_record record = {0};
    api_record_run_get(&bench.api, &record);
    assert_null(record.message);
    assert_value(&bench, "rest_client_requests_total", "429", "GET", 1);
    assert_value(&bench, "rest_client_requests_total", "<error>", "GET", 1);
    assert_value(&bench, "rest_client_requests_total", "200", "GET", 1);
    assert_value(&bench, "rest_client_request_retries_total", "429", "GET", 1);
    assert_value(&bench, "rest_client_request_retries_total", "<error>", "GET", 1);
    assert_count(&bench, "rest_client_request_duration_seconds", "GET", 1, -1);
    assert_count(&bench, "rest_client_request_size_bytes", "GET", 3, 0);
    assert_count(&bench, "rest_client_response_size_bytes", "GET", 2, strlen(NODE_JSON));
    assert_count(&bench, "rest_client_rate_limiter_duration_seconds", "GET", -1, -1);
}

TEST_CASE(a_body_counts_with_its_size)
{
    AUTO(count_bench) struct count_bench bench;
    count_bench_init(&bench, NULL);
    bench.api.steps[0] = good;
    AUTO(api_record) struct api_record record = {0};
    const struct api_request request = {.verb = API_PATCH_MERGE,
                                        .kind = kind_of("v1", "Node"),
                                        .name = "a",
                                        .patch = STR_LITERAL("{\"a\":1}")};
    api_record_run(&bench.api, &record, &request);
    assert_count(&bench, "rest_client_request_size_bytes", "PATCH", 1, 7);
    assert_value(&bench, "rest_client_requests_total", "200", "PATCH", 1);
}

TEST_CASE(waits_for_the_limiter_are_timed)
{
    AUTO(count_bench) struct count_bench bench;
    count_bench_init(&bench, &(struct api_client_options){.qps = 100, .burst = 1});
    bench.api.steps[0] = bench.api.steps[1] = good;
    for (int i = 0; i < 2; i++) {
        AUTO(api_record) struct api_record record = {0};
        api_record_run_get(&bench.api, &record);
    }
    assert_count(&bench, "rest_client_rate_limiter_duration_seconds", "GET", 2, -1);
}

TEST_CASE(what_cannot_be_asked_is_not_counted)
{
    AUTO(count_bench) struct count_bench bench;
    count_bench_init(&bench, NULL);
    AUTO(api_record) struct api_record record = {0};
    const struct api_request request = {
        .verb = API_GET, .kind = kind_of("v1", "Node"), .name = "a/b"};
    api_record_run(&bench.api, &record, &request);
    assert_non_null(record.message);
    assert_count(&bench, "rest_client_request_duration_seconds", "GET", -1, -1);
}

TEST_CASE(without_a_plugin_no_certificate_of_one_ends)
{
    AUTO(count_bench) struct count_bench bench;
    count_bench_init(&bench, NULL);
    assert_true(isinf(metrics_value(bench.metrics, "rest_client_exec_plugin_ttl_seconds", "")));
    assert_int_equal(
        metrics_count(bench.metrics, "rest_client_exec_plugin_certificate_rotation_age", ""), 0);
}

TEST_MAIN(TEST(each_answer_is_counted_and_each_call_timed), TEST(a_body_counts_with_its_size),
          TEST(waits_for_the_limiter_are_timed), TEST(what_cannot_be_asked_is_not_counted),
          TEST(without_a_plugin_no_certificate_of_one_ends))
