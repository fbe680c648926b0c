#include "pod/why.h"
#include "pods_bench.h"

static const char *lines_of(const struct bench *bench, const char *uid)
{
    struct pod_wait *waits;
    size_t count = pods_why(bench->pods, uid, bench->arena, &waits);
    const char *lines = "";
    for (size_t i = 0; i < count; i++)
        lines = arena_printf(bench->arena, "%s%s%s | %s | %s", lines, i > 0 ? "\n" : "",
                             waits[i].container ? waits[i].container : "-", waits[i].reason,
                             waits[i].message);
    return lines;
}

/* The first thing the pod waits for. */
static struct pod_wait first_of(const struct bench *bench, const char *uid)
{
    struct pod_wait *waits;
    assert_true(pods_why(bench->pods, uid, bench->arena, &waits) > 0);
    return waits[0];
}

TEST_CASE(a_pod_that_is_as_wanted_waits_for_nothing)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", BENCH_WEB);
    assert_string_equal(lines_of(&bench, "u-web"), "");
    assert_string_equal(lines_of(&bench, "u-nobody"), "");
    bench_finish(&bench);
}

TEST_CASE(a_pull_says_what_it_pulls_or_how_many_come_before_it)
{
    struct bench bench;
    bench_init(&bench); /* one pull at a time */
    fake_runtime_hold(bench.fake, IMAGE_PULL_IMAGE, true);
    bench_start(&bench);
    bench_want(&bench, "one", "containers: [{name: c, image: 'other:1'}]");
    bench_want(&bench, "two", "containers: [{name: c, image: 'other:2'}]");
    bench_tell(&bench);
    const char *pulled = "c | PullImage | image \"other:1\" is being pulled";
    const char *queued =
        "c | PullImage | it waits for its turn to pull image \"other:2\": 1 pull is "
        "before it";
    bench_until(&bench, text_eq(lines_of(&bench, "u-one"), pulled));
    bench_until(&bench, text_eq(lines_of(&bench, "u-two"), queued));
    struct pod_wait wait = first_of(&bench, "u-two");
    assert_true(wait.since_ns > 0 && wait.since_ns <= loop_now_wall_ns(bench.loop));
    assert_int_equal(wait.until_ns, 0);
    fake_runtime_hold(bench.fake, IMAGE_PULL_IMAGE, false);
    bench_rest(&bench);
    assert_string_equal(lines_of(&bench, "u-two"), "");
    bench_finish(&bench);
}

TEST_CASE(a_container_that_cannot_start_says_why_and_when_it_is_tried_again)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", "containers: [{name: c, image: 'absent:1'}]");
    struct pod_wait wait = first_of(&bench, "u-web");
    assert_string_equal(wait.container, "c");
    assert_string_equal(wait.reason, "ImagePullBackOff");
    assert_string_equal(wait.message,
                        bench_container(&bench, "u-web", "c")->state->waiting->message);
    assert_true(wait.since_ns > 0 && wait.since_ns <= loop_now_wall_ns(bench.loop));
    assert_true(wait.until_ns > loop_now_wall_ns(bench.loop));
    bench_finish(&bench);
}

TEST_CASE(a_crash_loop_says_when_it_is_over)
{
    struct bench bench;
    bench_init(&bench);
    bench.env.backoff_max_ns = 60 * NS_PER_SEC;
    bench_begin(&bench, "web", BENCH_WEB);
    fake_runtime_exit(bench.fake, "web-n", "c", 3); /* the first restart is at once */
    bench_rest(&bench);
    fake_runtime_exit(bench.fake, "web-n", "c", 3);
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "CrashLoopBackOff"));
    struct pod_wait wait = first_of(&bench, "u-web");
    assert_string_equal(wait.reason, "CrashLoopBackOff");
    int64_t left_ns = wait.until_ns - loop_now_wall_ns(bench.loop);
    assert_true(left_ns > 0 && left_ns <= 10 * NS_PER_SEC);
    bench_finish(&bench);
}

TEST_CASE(a_running_container_that_is_not_ready_names_its_probe)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "c", .hook_exit_code = 1});
    fake_runtime_hold(bench.fake, RUNTIME_EXEC_SYNC, true);
    bench_start(&bench);
    bench_want(&bench, "web",
               "containers: [{name: c, image: 'img:1', "
               "readinessProbe: {exec: {command: [check]}}}]");
    bench_tell(&bench);
    bench_until(&bench, fake_runtime_count(bench.fake, RUNTIME_EXEC_SYNC) > 0);
    assert_string_equal(lines_of(&bench, "u-web"),
                        "c | ReadinessProbe | its readiness probe does not succeed");
    bench_idle(&bench);
    fake_runtime_hold(bench.fake, RUNTIME_EXEC_SYNC, false);
    bench_until(&bench, bench_events(&bench, "u-web", "Unhealthy") > 0);
    struct pod_wait wait = first_of(&bench, "u-web");
    assert_string_equal(wait.reason, "ReadinessProbe");
    assert_true(text_has_prefix(wait.message, "its readiness probe does not succeed: "
                                              "Readiness probe failed:"));
    bench_finish(&bench);
}

TEST_CASE(what_waits_for_an_init_container_names_it)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web",
                "initContainers: [{name: i, image: 'img:1'}], "
                "containers: [{name: c, image: 'img:1'}]");
    assert_string_equal(lines_of(&bench, "u-web"),
                        "i | Initializing | it runs, and what comes after it waits");
    bench_finish(&bench);
}

TEST_CASE(a_pod_whose_network_is_missing_says_so)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_set_network_ready(bench.fake, false);
    bench_start(&bench);
    bench_want(&bench, "web", BENCH_WEB);
    bench_tell(&bench);
    bench_until(&bench, bench_events(&bench, "u-web", "NetworkNotReady") > 0);
    assert_string_equal(first_of(&bench, "u-web").reason, "NetworkNotReady");
    bench_finish(&bench);
}

TEST_CASE(a_pod_that_ends_says_what_is_being_stopped)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", BENCH_WEB);
    fake_runtime_hold(bench.fake, RUNTIME_STOP_CONTAINER, true);
    bench_drop(&bench, "u-web");
    bench_tell(&bench);
    bench_until(&bench, text_eq(lines_of(&bench, "u-web"), "- | Terminating | it is to end\n"
                                                           "c | KillContainer | it is being "
                                                           "stopped"));
    assert_true(first_of(&bench, "u-web").since_ns > 0);
    fake_runtime_hold(bench.fake, RUNTIME_STOP_CONTAINER, false);
    bench_rest(&bench);
    bench_finish(&bench);
}

TEST_CASE(a_start_that_waits_for_others_says_so)
{
    struct bench bench;
    bench_init(&bench);
    bench.env.max_parallel_starts = 1;
    fake_runtime_hold(bench.fake, RUNTIME_RUN_POD_SANDBOX, true);
    bench_start(&bench);
    bench_want(&bench, "one", BENCH_WEB);
    bench_want(&bench, "two", BENCH_WEB);
    bench_tell(&bench);
    const char *making = "- | CreateSandbox | its sandbox is being made";
    const char *waiting = "- | StartSlot | 1 other pods are being started";
    bench_until(&bench, (text_eq(lines_of(&bench, "u-one"), making) &&
                         text_eq(lines_of(&bench, "u-two"), waiting)) ||
                            (text_eq(lines_of(&bench, "u-two"), making) &&
                             text_eq(lines_of(&bench, "u-one"), waiting)));
    fake_runtime_hold(bench.fake, RUNTIME_RUN_POD_SANDBOX, false);
    bench_rest(&bench);
    bench_finish(&bench);
}

TEST_MAIN(TEST(a_pod_that_is_as_wanted_waits_for_nothing),
          TEST(a_pull_says_what_it_pulls_or_how_many_come_before_it),
          TEST(a_container_that_cannot_start_says_why_and_when_it_is_tried_again),
          TEST(a_crash_loop_says_when_it_is_over),
          TEST(a_running_container_that_is_not_ready_names_its_probe),
          TEST(what_waits_for_an_init_container_names_it),
          TEST(a_pod_whose_network_is_missing_says_so),
          TEST(a_pod_that_ends_says_what_is_being_stopped),
          TEST(a_start_that_waits_for_others_says_so))
