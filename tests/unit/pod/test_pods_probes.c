/* The rules of spec pods.md §7.1 that need more than one probe: instances, restarts of the agent,
 * the order of the three types, the end of a pod. */
#include "pods_bench.h"

#define EXEC(word) "{exec: {command: [" word "]}, periodSeconds: 1, failureThreshold: "
#define ALL_THREE                                                                                  \
    "containers: [{name: c, image: 'img:1', startupProbe: " EXEC(                                  \
        "begin") "9}, livenessProbe: " EXEC("live") "99}, readinessProbe: " EXEC("ready") "1}}]"
#define READY_ONLY "containers: [{name: c, image: 'img:1', readinessProbe: " EXEC("ready") "1}}]"

static bool was_probed(const struct bench *bench, const char *word)
{
    return strstr(bench_transcript(bench),
                  arena_printf(bench->arena, "ExecSync web-n.c/0 %s\n", word));
}

static void answer(const struct bench *bench, int32_t exit_code)
{
    fake_runtime_script(bench->fake,
                        &(struct fake_script){.name = "c", .hook_exit_code = exit_code});
}

static bool is_ready(const struct bench *bench)
{
    const Core__ContainerStatus *status = bench_container(bench, "u-web", "c");
    return status && status->ready;
}

static bool is_started(const struct bench *bench)
{
    const Core__ContainerStatus *status = bench_container(bench, "u-web", "c");
    return status && status->has_started && status->started;
}

/* Another agent, which finds the pod as it is and, if there is one, its status. */
static void restart(struct bench *bench, const Core__PodStatus *status)
{
    bench_stop(bench);
    fake_runtime_clear_transcript(bench->fake);
    bench_start(bench);
    bench_tell(bench);
    if (status)
        pods_recover_status(bench->pods, "u-web", status);
}

static const Core__PodStatus *keep_status(const struct bench *bench)
{
    return (const Core__PodStatus *)kube_message_dup(&bench_look(bench, "u-web").view.status->base,
                                                     bench->arena);
}

TEST_CASE(liveness_and_readiness_wait_until_the_container_has_started)
{
    struct bench bench;
    bench_init(&bench);
    answer(&bench, 1);
    bench_begin(&bench, "web", ALL_THREE);
    bench_until(&bench, was_probed(&bench, "begin"));
    bench_idle(&bench);
    assert_false(was_probed(&bench, "live") || was_probed(&bench, "ready"));
    assert_false(is_started(&bench) || is_ready(&bench));
    answer(&bench, 0);
    bench_until(&bench, is_ready(&bench));
    assert_true(is_started(&bench));
    bench_until(&bench, was_probed(&bench, "live"));
    fake_runtime_clear_transcript(bench.fake);
    bench_until(&bench, was_probed(&bench, "live"));
    assert_false(was_probed(&bench, "begin")); /* it has had its say */
    bench_finish(&bench);
}

TEST_CASE(a_startup_probe_that_fails_has_its_container_killed)
{
    struct bench bench;
    bench_init(&bench);
    answer(&bench, 1);
    bench_start(&bench);
    bench_want(&bench, "web",
               "containers: [{name: c, image: 'img:1', startupProbe: " EXEC("begin") "1}}]");
    bench_tell(&bench);
    bench_until(&bench, strstr(bench_transcript(&bench), "StartContainer web-n.c/1"));
    assert_non_null(strstr(bench_transcript(&bench), "StopContainer web-n.c/0 30"));
    bench_finish(&bench);
}

TEST_CASE(another_instance_proves_itself_anew)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", READY_ONLY);
    bench_until(&bench, is_ready(&bench));
    answer(&bench, 1);
    fake_runtime_exit(bench.fake, "web-n", "c", 0);
    bench_until(&bench, strstr(bench_transcript(&bench), "ExecSync web-n.c/1 ready"));
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "running"));
    assert_false(is_ready(&bench));
    bench_finish(&bench);
}

TEST_CASE(what_has_started_before_the_agent_is_not_asked_whether_it_has)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", ALL_THREE);
    bench_until(&bench, is_ready(&bench));
    fake_runtime_age(bench.fake, "web-n", "c", 60 * NS_PER_SEC);
    restart(&bench, keep_status(&bench));
    bench_until(&bench, was_probed(&bench, "live") && was_probed(&bench, "ready"));
    assert_false(was_probed(&bench, "begin"));
    assert_true(is_started(&bench) && is_ready(&bench));
    bench_finish(&bench);
}

TEST_CASE(what_has_started_just_before_the_agent_proves_itself_anew)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", ALL_THREE);
    bench_until(&bench, is_ready(&bench));
    answer(&bench, 1);
    restart(&bench, keep_status(&bench));
    bench_until(&bench, was_probed(&bench, "begin"));
    bench_idle(&bench);
    assert_false(is_started(&bench) || is_ready(&bench));
    assert_false(was_probed(&bench, "live") || was_probed(&bench, "ready"));
    bench_finish(&bench);
}

TEST_CASE(what_was_ready_before_the_agent_is_so_until_its_probe_fails)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", READY_ONLY);
    bench_until(&bench, is_ready(&bench));
    fake_runtime_age(bench.fake, "web-n", "c", 60 * NS_PER_SEC);
    answer(&bench, 1);
    fake_runtime_hold(bench.fake, RUNTIME_EXEC_SYNC, true);
    restart(&bench, keep_status(&bench));
    bench_until(&bench, was_probed(&bench, "ready"));
    assert_true(is_ready(&bench));
    fake_runtime_hold(bench.fake, RUNTIME_EXEC_SYNC, false);
    bench_until(&bench, !is_ready(&bench)); /* though nothing was known that could have changed */
    bench_finish(&bench);
}

TEST_CASE(who_is_not_ready_is_asked_again_whenever_a_status_is_made)
{
    struct bench bench;
    bench_init(&bench);
    answer(&bench, 1);
    bench_begin(&bench, "web",
                "containers: [{name: c, image: 'img:1', readinessProbe: {exec: {command: [ready]}, "
                "periodSeconds: 3600}}]");
    bench_until(&bench, was_probed(&bench, "ready"));
    answer(&bench, 0);
    for (size_t i = 0; i < BENCH_TURNS && !is_ready(&bench); i++) {
        fake_runtime_poke(bench.fake, "web-n");
        bench_idle(&bench);
    }
    assert_true(is_ready(&bench));
    fake_runtime_clear_transcript(bench.fake);
    for (size_t i = 0; i < 5; i++) {
        fake_runtime_poke(bench.fake, "web-n");
        bench_idle(&bench);
    }
    assert_false(was_probed(&bench, "ready")); /* it is ready */
    bench_finish(&bench);
}

TEST_CASE(a_pod_that_ends_is_asked_whether_it_is_ready_and_nothing_else)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", ALL_THREE);
    bench_until(&bench, is_ready(&bench));
    bench_fault(&bench, RUNTIME_STOP_CONTAINER, FAKE_HUNG);
    bench_drop(&bench, "u-web");
    bench_tell(&bench);
    bench_until(&bench, fake_runtime_count(bench.fake, RUNTIME_STOP_CONTAINER) == 1);
    fake_runtime_clear_transcript(bench.fake);
    bench_until(&bench, was_probed(&bench, "ready"));
    fake_runtime_clear_transcript(bench.fake);
    bench_until(&bench, was_probed(&bench, "ready"));
    assert_false(was_probed(&bench, "live") || was_probed(&bench, "begin"));
    bench_done(&bench);
}

TEST_MAIN(TEST(liveness_and_readiness_wait_until_the_container_has_started),
          TEST(a_startup_probe_that_fails_has_its_container_killed),
          TEST(another_instance_proves_itself_anew),
          TEST(what_has_started_before_the_agent_is_not_asked_whether_it_has),
          TEST(what_has_started_just_before_the_agent_proves_itself_anew),
          TEST(what_was_ready_before_the_agent_is_so_until_its_probe_fails),
          TEST(who_is_not_ready_is_asked_again_whenever_a_status_is_made),
          TEST(a_pod_that_ends_is_asked_whether_it_is_ready_and_nothing_else))
