/* /pods, /runningpods and /checkpoint over the pod engine on its bench. */
#include "node_bench.h"

#define DONE "restartPolicy: Never, containers: [{name: d, image: 'img:1'}]"
#define INIT                                                                                       \
    "containers: [{name: c, image: 'img:1'}], "                                                    \
    "initContainers: [{name: i, image: 'img:1', restartPolicy: Always}]"

static struct node_bench *start(void)
{
    struct node_bench *bench = node_bench_new();
    node_bench_start(bench);
    return bench;
}

static void want(struct node_bench *bench, const char *name, const char *spec)
{
    bench_want(&bench->pods, name, spec);
    bench_tell(&bench->pods);
    bench_rest(&bench->pods);
}

static const char *get(struct node_bench *bench, const char *path)
{
    const char *line = arena_printf(bench->pods.arena, "GET %s", path);
    const struct node_reply reply = node_bench_ask(bench, NODE_PORT_MAIN, line, "");
    assert_int_equal(reply.status, 200);
    assert_string_equal(node_reply_field(bench, &reply, "content-type"), "application/json");
    return reply.body;
}

/* --- /pods --- */

#define NO_PODS "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":null}\n"

TEST_CASE(no_pods_are_null)
{
    AUTO(node_bench) struct node_bench *bench = start();
    assert_string_equal(get(bench, "/pods"), NO_PODS);
    assert_string_equal(get(bench, "/runningpods/"), NO_PODS);
}

TEST_CASE(pods_are_whole_and_have_their_newest_status)
{
    AUTO(node_bench) struct node_bench *bench = start();
    want(bench, "web", BENCH_WEB);
    const char *page = get(bench, "/pods");
    assert_true(text_has_prefix(page, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},"
                                      "\"items\":[{\"metadata\":{\"name\":\"web-n\""));
    assert_non_null(strstr(page, "\"kubernetes.io/config.source\":\"file\""));
    assert_non_null(strstr(page, "\"terminationGracePeriodSeconds\":30"));
    assert_non_null(strstr(page, "\"phase\":\"Running\""));
    assert_string_equal(page + strlen(page) - 3, "]}\n");
}

TEST_CASE(the_page_of_pods_is_kept_until_something_changes)
{
    AUTO(node_bench) struct node_bench *bench = start();
    want(bench, "web", BENCH_WEB);
    const char *first = get(bench, "/pods");
    assert_int_equal(bench->server->pods_page.len, strlen(first));
    const void *kept = bench->server->pods_page.data;
    assert_string_equal(get(bench, "/pods"), first);
    assert_ptr_equal(bench->server->pods_page.data, kept);

    want(bench, "two", BENCH_WEB); /* another pod */
    assert_int_equal(bench->server->pods_page.len, 0);
    assert_non_null(strstr(get(bench, "/pods"), "\"name\":\"two-n\""));

    fake_runtime_exit(bench->pods.fake, "two-n", "c", 7); /* another status */
    bench_rest(&bench->pods);
    assert_non_null(strstr(get(bench, "/pods"), "\"restartCount\":1"));

    bench_drop(&bench->pods, "u-two"); /* its object alone */
    want(bench, "two", BENCH_WEB ", terminationGracePeriodSeconds: 7");
    assert_non_null(strstr(get(bench, "/pods"), "\"terminationGracePeriodSeconds\":7"));

    bench_drop(&bench->pods, "u-two"); /* a pod less */
    bench_tell(&bench->pods);
    bench_rest(&bench->pods);
    assert_null(strstr(get(bench, "/pods"), "two-n"));
}

TEST_CASE(a_page_nobody_asks_for_again_goes_after_a_second)
{
    AUTO(node_bench) struct node_bench *bench = start();
    (void)get(bench, "/pods");
    assert_int_equal(bench->server->pods_page.len, strlen(NO_PODS));
    assert_true(loop_timer_is_armed(bench->server->pods_page_end));
    loop_timer_start(bench->server->pods_page_end, 0); /* it is over */
    node_bench_settle(bench);
    assert_int_equal(bench->server->pods_page.len, 0);
}

/* --- /runningpods --- */

TEST_CASE(running_pods_are_names_and_images)
{
    AUTO(node_bench) struct node_bench *bench = start();
    want(bench, "web", BENCH_WEB);
    const char *page = get(bench, "/runningpods/");
    const char *begin =
        "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[{\"metadata\":{"
        "\"name\":\"web-n\",\"namespace\":\"default\",\"uid\":\"u-web\"},"
        "\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"";
    assert_true(text_has_prefix(page, begin));
    const char *rest = strchr(page + strlen(begin), '"');
    assert_string_equal(rest, "\",\"resources\":{}}]},\"status\":{}}]}\n");
}

/* As recorded: a pod that has ended is not among them, one whose container does not run is. */
TEST_CASE(a_pod_runs_as_long_as_its_sandbox_does)
{
    AUTO(node_bench) struct node_bench *bench = start();
    want(bench, "web", BENCH_WEB);
    want(bench, "job", DONE);
    fake_runtime_exit(bench->pods.fake, "job-n", "d", 0);
    bench_rest(&bench->pods);
    assert_int_equal(fake_runtime_sandboxes(bench->pods.fake), 2); /* what ended is still there */
    const char *page = get(bench, "/runningpods/");
    assert_non_null(strstr(page, "web-n"));
    assert_null(strstr(page, "job-n"));

    bench_fault(&bench->pods, RUNTIME_CREATE_CONTAINER, FAKE_HUNG);
    fake_runtime_exit(bench->pods.fake, "web-n", "c", 1);
    bench_until(&bench->pods, strstr(get(bench, "/runningpods/"), "\"containers\":null"));
    assert_non_null(strstr(get(bench, "/runningpods/"), "web-n"));
}

/* --- /checkpoint --- */

static int checkpoint(struct node_bench *bench, const char *path)
{
    const char *line = arena_printf(bench->pods.arena, "POST /checkpoint/%s", path);
    return node_bench_send(bench, NODE_PORT_MAIN, line, "");
}

TEST_CASE(what_cannot_be_checkpointed_is_not_found)
{
    static const struct {
        const char *path, *body;
        unsigned status;
    } rows[] = {
        {"default/none/c", "pod does not exist", 404},
        {"other/web-n/c", "pod does not exist", 404},
        {"default/web-n/none", "container none does not exist", 404},
        {"default/web-n/c?timeout=x", "cannot parse value of timeout parameter", 404},
        {"default/web-n/c?timeout=1&timeout=2s", "cannot parse value of timeout parameter", 404},
        {"default/job-n/d", "checkpointing of default/job-n/d failed (container is not running)",
         500},
    };
    AUTO(node_bench) struct node_bench *bench = start();
    want(bench, "web", INIT);
    want(bench, "job", DONE);
    fake_runtime_exit(bench->pods.fake, "job-n", "d", 0);
    bench_rest(&bench->pods);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct node_reply reply = node_bench_reply(bench, checkpoint(bench, rows[i].path));
        assert_int_equal(reply.status, rows[i].status);
        assert_string_equal(reply.body, rows[i].body);
        assert_string_equal(node_reply_field(bench, &reply, "content-type"),
                            "text/plain; charset=utf-8");
    }
    assert_null(bench->runtime.asked);
}

TEST_CASE(a_checkpoint_is_written_by_the_runtime_and_named)
{
    static const struct {
        const char *container, *query;
        int64_t timeout_s;
    } rows[] = {{"c", "", 0}, {"i", "?timeout=5&timeout=7", 7}, {"c", "?timeout=-3", -3}};
    AUTO(node_bench) struct node_bench *bench = start();
    want(bench, "web", INIT);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct arena *arena = bench->pods.arena;
        int fd = checkpoint(
            bench, arena_printf(arena, "default/web-n/%s%s", rows[i].container, rows[i].query));
        const char *begin = arena_printf(
            arena, "%s /var/lib/kubelet/checkpoints/checkpoint-web-n_default-%s-2",
            fake_runtime_newest(bench->pods.fake, "web-n", rows[i].container), rows[i].container);
        assert_true(text_has_prefix(bench->runtime.asked, begin));
        const char *end =
            arena_printf(arena, ".tar timeout %lld extra %lld", (long long)rows[i].timeout_s,
                         (long long)(rows[i].timeout_s * NS_PER_SEC));
        assert_non_null(strstr(bench->runtime.asked, end));
        node_bench_runtime(bench, NULL, NULL);
        const struct node_reply reply = node_bench_reply(bench, fd);
        assert_int_equal(reply.status, 200);
        assert_true(text_has_prefix(reply.body, "{\"items\":[\"/var/lib/kubelet/checkpoints/"));
        assert_non_null(strstr(reply.body, ".tar\"]}"));
    }
}

TEST_CASE(the_runtimes_refusal_is_told)
{
    AUTO(node_bench) struct node_bench *bench = start();
    want(bench, "web", BENCH_WEB);
    int fd = checkpoint(bench, "default/web-n/c");
    node_bench_runtime(bench, NULL, error_new(ERROR_UNIMPLEMENTED, "not implemented"));
    const struct node_reply reply = node_bench_reply(bench, fd);
    assert_int_equal(reply.status, 500);
    assert_string_equal(reply.body, "checkpointing of default/web-n/c failed (not implemented)");
}

TEST_CASE(a_client_that_goes_ends_its_checkpoint)
{
    AUTO(node_bench) struct node_bench *bench = start();
    want(bench, "web", BENCH_WEB);
    fd_close(&(int){checkpoint(bench, "default/web-n/c")});
    node_bench_settle(bench);
    assert_int_equal(bench->runtime.cancelled, 1);
    AUTO(fd) int fd = checkpoint(bench, "default/web-n/c");
    node_server_free(TAKE(bench->server)); /* so does the server's end */
    assert_int_equal(bench->runtime.cancelled, 2);
}

TEST_MAIN(TEST(no_pods_are_null), TEST(pods_are_whole_and_have_their_newest_status),
          TEST(the_page_of_pods_is_kept_until_something_changes),
          TEST(a_page_nobody_asks_for_again_goes_after_a_second),
          TEST(running_pods_are_names_and_images), TEST(a_pod_runs_as_long_as_its_sandbox_does),
          TEST(what_cannot_be_checkpointed_is_not_found),
          TEST(a_checkpoint_is_written_by_the_runtime_and_named),
          TEST(the_runtimes_refusal_is_told), TEST(a_client_that_goes_ends_its_checkpoint))
