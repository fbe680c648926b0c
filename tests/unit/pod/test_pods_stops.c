/* How containers of one pod stop together: the hook of a sidecar runs while the others stop, its
 * own stop comes after theirs (spec pods.md §5.9). */
#include "pods_bench.h"

#define HOOK(word) "lifecycle: {preStop: {exec: {command: [" word "]}}}"
#define TWO(grace)                                                                                 \
    "terminationGracePeriodSeconds: " grace ", initContainers: [{name: side, image: 'img:1', "     \
    "restartPolicy: Always, " HOOK("farewell") "}], containers: [{name: main, image: 'img:1'}]"

static bool said(const struct bench *bench, const char *line)
{
    return strstr(bench_transcript(bench), line);
}

static void begin(struct bench *bench, const char *spec)
{
    bench_init(bench);
    bench_begin(bench, "web", spec);
    fake_runtime_clear_transcript(bench->fake);
}

static void remove_pod(struct bench *bench)
{
    bench_drop(bench, "u-web");
    bench_tell(bench);
}

TEST_CASE(a_sidecar_s_hook_runs_while_the_others_stop)
{
    struct bench bench;
    begin(&bench, TWO("30"));
    fake_runtime_hold(bench.fake, RUNTIME_STOP_CONTAINER, true);
    remove_pod(&bench);
    bench_until(&bench, said(&bench, "ExecSync web-n.side/0 farewell\n"));
    bench_idle(&bench);
    assert_int_equal(fake_runtime_count(bench.fake, RUNTIME_STOP_CONTAINER), 1);
    assert_int_equal(bench_events(&bench, "u-web", "Killing"), 2);
    fake_runtime_hold(bench.fake, RUNTIME_STOP_CONTAINER, false);
    bench_rest(&bench);
    assert_true(said(&bench, "StopContainer web-n.side/0"));
    assert_int_equal(fake_runtime_count(bench.fake, RUNTIME_EXEC_SYNC), 1);
    bench_assert_gone(&bench, "web-n", "u-web");
    bench_finish(&bench);
}

TEST_CASE(its_stop_waits_for_its_hook)
{
    struct bench bench;
    begin(&bench, TWO("30"));
    fake_runtime_hold(bench.fake, RUNTIME_EXEC_SYNC, true);
    remove_pod(&bench);
    bench_until(&bench, said(&bench, "ExecSync web-n.side/0 farewell\n") &&
                            said(&bench, "StopContainer web-n.main/0"));
    bench_idle(&bench);
    assert_false(said(&bench, "StopContainer web-n.side/0"));
    fake_runtime_hold(bench.fake, RUNTIME_EXEC_SYNC, false);
    bench_rest(&bench);
    assert_true(said(&bench, "StopContainer web-n.side/0"));
    assert_int_equal(fake_runtime_count(bench.fake, RUNTIME_EXEC_SYNC), 1);
    bench_finish(&bench);
}

TEST_CASE(a_hook_that_hangs_is_given_up_after_the_grace_period)
{
    struct bench bench;
    begin(&bench, TWO("1"));
    bench_fault(&bench, RUNTIME_EXEC_SYNC, FAKE_HUNG);
    remove_pod(&bench);
    bench_until(&bench, !bench_has_pod(&bench, "u-web"));
    assert_true(said(&bench, "StopContainer web-n.side/0 2\n"));
    bench_finish(&bench);
}

TEST_CASE(less_time_ends_a_hook_that_has_more)
{
    static const struct pod_kill kill = {
        .has_grace = true, .grace_s = 1, .reason = "Evicted", .message = "no room"};
    struct bench bench;
    begin(&bench, TWO("600"));
    fake_runtime_fail(bench.fake, &(struct fake_fault){.of_method = true,
                                                       .method = RUNTIME_EXEC_SYNC,
                                                       .effect = FAKE_HUNG,
                                                       .at = 1,
                                                       .times = SIZE_MAX});
    remove_pod(&bench);
    bench_until(&bench, fake_runtime_count(bench.fake, RUNTIME_EXEC_SYNC) == 1);
    pods_kill(bench.pods, "u-web", &kill);
    bench_until(&bench, !bench_has_pod(&bench, "u-web"));
    bench_finish(&bench);
}

TEST_CASE(a_hook_that_fails_is_told_of_and_hinders_nothing)
{
    struct bench bench;
    begin(&bench, TWO("30"));
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "side", .hook_exit_code = 3});
    fake_runtime_hold(bench.fake, RUNTIME_STOP_CONTAINER, true);
    remove_pod(&bench);
    bench_until(&bench, bench_events(&bench, "u-web", "FailedPreStopHook") == 1);
    fake_runtime_hold(bench.fake, RUNTIME_STOP_CONTAINER, false);
    bench_rest(&bench);
    bench_assert_gone(&bench, "web-n", "u-web");
    bench_finish(&bench);
}

TEST_MAIN(TEST(a_sidecar_s_hook_runs_while_the_others_stop), TEST(its_stop_waits_for_its_hook),
          TEST(a_hook_that_hangs_is_given_up_after_the_grace_period),
          TEST(less_time_ends_a_hook_that_has_more),
          TEST(a_hook_that_fails_is_told_of_and_hinders_nothing))
