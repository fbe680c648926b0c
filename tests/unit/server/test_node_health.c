/* /healthz on the wire, and what its checks leave on /metrics/slis. */
#include "node_bench.h"
#include "pod/pods_internal.h"

#define PLAIN "text/plain; charset=utf-8"

static struct node_bench *start(void)
{
    struct node_bench *bench = node_bench_new();
    node_bench_start(bench);
    return bench;
}

/* The runtime has been away for six minutes. */
static void lose_runtime(struct node_bench *bench)
{
    bench->server->is_runtime_lost = true;
    bench->server->runtime_lost_ns = loop_now_mono_ns(bench->pods.loop) - 360 * NS_PER_SEC;
}

TEST_CASE(health_is_told_word_for_word)
{
    static const struct {
        const char *line;
        unsigned status;
        const char *body;
        bool is_lost;
    } rows[] = {
        {"GET /healthz", 200, "ok", false},
        {"GET /healthz?verbose", 200,
         "[+]ping ok\n[+]log ok\n[+]syncloop ok\nhealthz check passed\n", false},
        {"GET /healthz?verbose=0&exclude=log&exclude=x", 200,
         "[+]ping ok\n[+]log excluded: ok\n[+]syncloop ok\n"
         "warn: some health checks cannot be excluded: no matches for \"x\"\n"
         "healthz check passed\n",
         false},
        {"POST /healthz/syncloop", 200, "ok", false},
        {"GET /healthz", 500,
         "[+]ping ok\n[+]log ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n",
         true},
        {"GET /healthz/syncloop", 500,
         "internal server error: sync Loop took longer than expected\n", true},
        {"GET /healthz/ping", 200, "ok", true},
        {"GET /healthz?exclude=syncloop", 200, "ok", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(node_bench) struct node_bench *bench = start();
        if (rows[i].is_lost)
            lose_runtime(bench);
        const struct node_reply reply = node_bench_ask(bench, NODE_PORT_MAIN, rows[i].line, "");
        assert_int_equal(reply.status, rows[i].status);
        assert_string_equal(reply.body, rows[i].body);
        assert_string_equal(node_reply_field(bench, &reply, "content-type"), PLAIN);
        assert_string_equal(node_reply_field(bench, &reply, "x-content-type-options"), "nosniff");
    }
}

static void tell_runtime(struct node_bench *bench, bool is_ready)
{
    bench->pods.pods->runtime_ready = is_ready;
    pods_tell_runtime(bench->pods.pods);
}

static unsigned health_of(struct node_bench *bench)
{
    return node_bench_ask(bench, NODE_PORT_MAIN, "GET /healthz", "").status;
}

TEST_CASE(only_a_runtime_that_was_there_can_be_lost_and_its_return_makes_it_well)
{
    AUTO(node_bench) struct node_bench *bench = node_bench_new();
    bench->options.sync_frequency_ns = 0;
    tell_runtime(bench, false);
    node_bench_start(bench);
    tell_runtime(bench, false);
    assert_false(bench->server->is_runtime_lost);
    tell_runtime(bench, true);
    int64_t before_ns = loop_now_mono_ns(bench->pods.loop);
    tell_runtime(bench, false);
    assert_true(bench->server->is_runtime_lost);
    assert_true(bench->server->runtime_lost_ns >= before_ns);
    assert_int_equal(health_of(bench), 200); /* not for long enough to be a reason */
    bench->server->runtime_lost_ns = before_ns - 301 * NS_PER_SEC;
    tell_runtime(bench, false);
    assert_int_equal(health_of(bench), 500);
    tell_runtime(bench, true);
    assert_int_equal(health_of(bench), 200);
}

/* --- /metrics/slis --- */

static const char *slis(struct node_bench *bench)
{
    return node_bench_ask(bench, NODE_PORT_MAIN, "GET /metrics/slis", "").body;
}

static bool has(const char *page, const char *line)
{
    return strstr(page, line) != NULL;
}

TEST_CASE(only_the_whole_check_is_counted_and_only_what_was_made)
{
    AUTO(node_bench) struct node_bench *bench = start();
    (void)node_bench_ask(bench, NODE_PORT_MAIN, "GET /healthz/ping", "");
    assert_false(has(slis(bench), "kubernetes_healthcheck"));
    (void)node_bench_ask(bench, NODE_PORT_MAIN, "GET /healthz?exclude=log", "");
    lose_runtime(bench);
    (void)node_bench_ask(bench, NODE_PORT_MAIN, "GET /healthz?exclude=log", "");
    const char *page = slis(bench);
    assert_true(has(page, "kubernetes_healthcheck{name=\"ping\",type=\"healthz\"} 1\n"));
    assert_true(has(page, "kubernetes_healthcheck{name=\"syncloop\",type=\"healthz\"} 0\n"));
    assert_true(has(page, "kubernetes_healthchecks_total{name=\"ping\",status=\"success\","
                          "type=\"healthz\"} 2\n"));
    assert_true(has(page, "kubernetes_healthchecks_total{name=\"syncloop\",status=\"error\","
                          "type=\"healthz\"} 1\n"));
    assert_true(has(page, "kubernetes_healthchecks_total{name=\"syncloop\",status=\"success\","
                          "type=\"healthz\"} 1\n"));
    assert_false(has(page, "name=\"log\""));
}

TEST_CASE(a_delete_forgets_what_was_counted)
{
    AUTO(node_bench) struct node_bench *bench = start();
    (void)node_bench_ask(bench, NODE_PORT_MAIN, "GET /healthz", "");
    assert_true(has(slis(bench), "kubernetes_healthchecks_total"));
    const struct node_reply reply =
        node_bench_ask(bench, NODE_PORT_MAIN, "DELETE /metrics/slis", "");
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "metrics reset\n");
    assert_string_equal(bench->guard.wish, "delete metrics");
    assert_false(has(slis(bench), "kubernetes_healthcheck"));
    assert_true(has(slis(bench), "process_start_time_seconds"));
}

TEST_MAIN(TEST(health_is_told_word_for_word),
          TEST(only_a_runtime_that_was_there_can_be_lost_and_its_return_makes_it_well),
          TEST(only_the_whole_check_is_counted_and_only_what_was_made),
          TEST(a_delete_forgets_what_was_counted))
