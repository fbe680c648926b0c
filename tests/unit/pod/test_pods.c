#include "pods_bench.h"

#define WEB "containers: [{name: c, image: 'img:1'}]"

static const char *transcript(const struct bench *bench)
{
    return fake_runtime_transcript(bench->fake);
}

static void begin(struct bench *bench, const char *name, const char *spec)
{
    bench_start(bench);
    bench_want(bench, name, spec);
    bench_tell(bench);
    bench_rest(bench);
}

/* Every scenario ends without a request that no agent should make. */
static void finish(struct bench *bench)
{
    assert_string_equal(fake_runtime_violations(bench->fake), "");
    bench_done(bench);
}

TEST_CASE(a_wanted_pod_comes_to_run_and_says_so)
{
    struct bench bench;
    bench_init(&bench);
    begin(&bench, "web", WEB);
    assert_string_equal(transcript(&bench), "RunPodSandbox web-n/0\n"
                                            "CreateContainer web-n.c/0\n"
                                            "StartContainer web-n.c/0\n");
    assert_string_equal(bench_phase(&bench, "u-web"), "Running");
    assert_string_equal(bench_state(&bench, "u-web", "c"), "running");
    assert_string_equal(bench_look(&bench, "u-web").view.status->pod_ip, "10.1.0.7");
    AUTO(free) char *log = pods_log_path(bench.pods, "u-web", "c", false);
    assert_int_equal(access(log, F_OK), 0);
    finish(&bench);
}

TEST_CASE(init_containers_run_in_order_before_the_regular_ones)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "one", .exits = SIZE_MAX});
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "two", .exits = SIZE_MAX});
    begin(
        &bench, "web",
        "initContainers: [{name: one, image: 'img:1'}, "
        "{name: side, image: 'img:1', restartPolicy: Always}, {name: two, image: 'img:1'}], " WEB);
    assert_string_equal(transcript(&bench),
                        "RunPodSandbox web-n/0\n"
                        "CreateContainer web-n.one/0\nStartContainer web-n.one/0\n"
                        "CreateContainer web-n.side/0\nStartContainer web-n.side/0\n"
                        "CreateContainer web-n.two/0\nStartContainer web-n.two/0\n"
                        "CreateContainer web-n.c/0\nStartContainer web-n.c/0\n");
    assert_string_equal(bench_state(&bench, "u-web", "one"), "exited 0 Completed");
    assert_string_equal(bench_state(&bench, "u-web", "side"), "running");
    finish(&bench);
}

TEST_CASE(a_container_that_exits_restarts_at_once_and_then_backs_off)
{
    struct bench bench;
    bench_init(&bench);
    bench.env.backoff_max_ns = 300 * NS_PER_SEC;
    begin(&bench, "web", WEB);
    fake_runtime_exit(bench.fake, "web-n", "c", 3);
    bench_rest(&bench);
    assert_string_equal(bench_state(&bench, "u-web", "c"), "running");
    assert_int_equal(bench_container(&bench, "u-web", "c")->restart_count, 1);
    fake_runtime_exit(bench.fake, "web-n", "c", 3);
    bench_rest(&bench);
    const Core__ContainerStatus *status = bench_container(&bench, "u-web", "c");
    assert_string_equal(bench_state(&bench, "u-web", "c"), "CrashLoopBackOff");
    assert_string_equal(status->state->waiting->message,
                        "back-off 10s restarting failed container=c "
                        "pod=web-n_default(u-web)");
    assert_int_equal(status->last_state->terminated->exit_code, 3);
    assert_int_equal(bench_events(&bench, "u-web", "BackOff"), 1);
    assert_int_equal(fake_runtime_containers(bench.fake), 1);
    finish(&bench);
}

TEST_CASE(an_absent_image_with_policy_never_is_not_pulled)
{
    struct bench bench;
    bench_init(&bench);
    bench_start(&bench);
    bench_want(&bench, "web", "containers: [{name: c, image: 'other:1', imagePullPolicy: Never}]");
    bench_tell(&bench);
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "ErrImageNeverPull"));
    assert_int_equal(fake_runtime_count(bench.fake, IMAGE_PULL_IMAGE), 0);
    finish(&bench);
}

TEST_CASE(an_image_is_pulled_once_for_if_not_present)
{
    struct bench bench;
    bench_init(&bench);
    begin(&bench, "web", "containers: [{name: c, image: 'other:1'}]");
    fake_runtime_exit(bench.fake, "web-n", "c", 3);
    bench_rest(&bench);
    assert_int_equal(bench_container(&bench, "u-web", "c")->restart_count, 1);
    assert_int_equal(fake_runtime_count(bench.fake, IMAGE_PULL_IMAGE), 1);
    assert_int_equal(bench_events(&bench, "u-web", "Pulling"), 1);
    finish(&bench);
}

TEST_CASE(a_failed_pull_says_why_and_backs_off)
{
    struct bench bench;
    bench_init(&bench);
    begin(&bench, "web", "containers: [{name: c, image: 'absent:1'}]");
    assert_string_equal(bench_state(&bench, "u-web", "c"), "ImagePullBackOff");
    assert_string_equal(
        bench_container(&bench, "u-web", "c")->state->waiting->message,
        "Back-off pulling image \"absent:1\": ErrImagePull: failed to resolve reference "
        "\"absent:1\": not found");
    assert_int_equal(fake_runtime_count(bench.fake, IMAGE_PULL_IMAGE), 1);
    assert_string_equal(bench_phase(&bench, "u-web"), "Pending");
    assert_int_equal(bench_events(&bench, "u-web", "BackOff"), 1);
    finish(&bench);
}

TEST_CASE(a_removed_pod_leaves_nothing_behind)
{
    struct bench bench;
    bench_init(&bench);
    begin(&bench, "web",
          "volumes: [{name: v, emptyDir: {}}], containers: [{name: c, image: 'img:1', "
          "volumeMounts: [{name: v, mountPath: /v}]}]");
    const char *link = arena_printf(bench.arena, "links/web-n_default_c-%s.log",
                                    fake_runtime_newest(bench.fake, "web-n", "c"));
    assert_true(bench_exists(&bench, link));
    assert_true(bench_exists(&bench, "root/pods/u-web/volumes/kubernetes.io~empty-dir/v"));
    bench_drop(&bench, "u-web");
    fake_runtime_clear_transcript(bench.fake);
    bench_tell(&bench);
    bench_rest(&bench);
    assert_string_equal(transcript(&bench), "StopContainer web-n.c/0 30\n"
                                            "StopPodSandbox web-n/0\n"
                                            "RemoveContainer web-n.c/0\n"
                                            "StopPodSandbox web-n/0\n"
                                            "RemovePodSandbox web-n/0\n");
    bench_assert_gone(&bench, "web-n", "u-web");
    assert_false(bench_exists(&bench, link));
    finish(&bench);
}

TEST_CASE(a_changed_image_under_the_same_uid_restarts_that_container_only)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_add_image(bench.fake, "img:2");
    begin(&bench, "web", "containers: [{name: c, image: 'img:1'}, {name: other, image: 'img:1'}]");
    fake_runtime_clear_transcript(bench.fake);
    bench_drop(&bench, "u-web");
    bench_want(&bench, "web",
               "containers: [{name: c, image: 'img:2'}, {name: other, image: 'img:1'}]");
    bench_tell(&bench);
    bench_rest(&bench);
    assert_string_equal(transcript(&bench), "StopContainer web-n.c/0 30\n"
                                            "CreateContainer web-n.c/1\n"
                                            "StartContainer web-n.c/1\n");
    assert_string_equal(bench_state(&bench, "u-web", "c"), "running");
    assert_int_equal(bench_container(&bench, "u-web", "c")->restart_count, 1);
    finish(&bench);
}

TEST_CASE(a_replacement_of_the_same_name_waits_for_the_old_pod)
{
    struct bench bench;
    bench_init(&bench);
    begin(&bench, "web", WEB);
    bench_drop(&bench, "u-web");
    bench_want_uid(&bench, "web", "u-new", WEB);
    fake_runtime_clear_transcript(bench.fake);
    fake_runtime_fail(bench.fake, &(struct fake_fault){.of_method = true,
                                                       .method = RUNTIME_STOP_POD_SANDBOX,
                                                       .effect = FAKE_HELD});
    bench_tell(&bench);
    bench_until(&bench, fake_runtime_was_hit(bench.fake, NULL));
    for (size_t i = 0; i < BENCH_QUIET_TURNS; i++)
        loop_turn(bench.loop, BENCH_WAIT_NS);
    assert_string_equal(transcript(&bench), "StopContainer web-n.c/0 30\nStopPodSandbox web-n/0\n");
    fake_runtime_release(bench.fake);
    bench_rest(&bench);
    bench_assert_gone(&bench, "nobody", "u-web");
    assert_int_equal(fake_runtime_sandboxes(bench.fake), 1);
    assert_string_equal(bench_state(&bench, "u-new", "c"), "running");
    finish(&bench);
}

TEST_CASE(two_pods_live_side_by_side)
{
    struct bench bench;
    bench_init(&bench);
    bench_want(&bench, "a", WEB);
    begin(&bench, "b", WEB);
    struct pods_summary summary;
    pods_summarize(bench.pods, &summary);
    assert_int_equal(summary.desired, 2);
    assert_int_equal(summary.running, 2);
    bench_drop(&bench, "u-a");
    bench_tell(&bench);
    bench_rest(&bench);
    bench_assert_gone(&bench, "a-n", "u-a");
    assert_int_equal(fake_runtime_running(bench.fake, "b-n", "c"), 1);
    finish(&bench);
}

TEST_CASE(orphans_are_ended_with_their_own_grace_and_leftovers_swept)
{
    struct bench bench;
    bench_init(&bench);
    begin(&bench, "web", "terminationGracePeriodSeconds: 7, " WEB);
    bench_stop(&bench);
    bench_drop(&bench, "u-web");
    assert_no_error(fd_mkdir_all(bench_path(&bench, "root/pods/u-old/volumes"), 0755));
    assert_no_error(fd_mkdir_all(bench_path(&bench, "logs/default_old_u-old2/c"), 0755));
    assert_no_error(fd_mkdir_all(bench_path(&bench, "logs/something"), 0755));
    fake_runtime_clear_transcript(bench.fake);

    bench_start(&bench);
    for (size_t i = 0; i < BENCH_QUIET_TURNS; i++)
        loop_turn(bench.loop, BENCH_WAIT_NS);
    assert_string_equal(transcript(&bench), ""); /* the sources have not spoken */
    bench_tell(&bench);
    bench_rest(&bench);
    assert_string_equal(transcript(&bench), "StopContainer web-n.c/0 7\n"
                                            "StopPodSandbox web-n/0\n"
                                            "RemoveContainer web-n.c/0\n"
                                            "StopPodSandbox web-n/0\n"
                                            "RemovePodSandbox web-n/0\n");
    bench_assert_gone(&bench, "web-n", "u-web");
    assert_false(bench_exists(&bench, "root/pods/u-old"));
    assert_false(bench_exists(&bench, "logs/default_old_u-old2"));
    assert_true(bench_exists(&bench, "logs/something"));
    finish(&bench);
}

TEST_CASE(an_agent_that_restarts_touches_no_container)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "one", .exits = SIZE_MAX});
    begin(&bench, "web", "initContainers: [{name: one, image: 'img:1'}], " WEB);
    fake_runtime_exit(bench.fake, "web-n", "c", 3);
    bench_rest(&bench);
    fake_runtime_clear_transcript(bench.fake);
    bench_stop(&bench);
    bench_start(&bench);
    bench_tell(&bench);
    bench_rest(&bench);
    assert_string_equal(transcript(&bench), "");
    const Core__ContainerStatus *status = bench_container(&bench, "u-web", "c");
    assert_int_equal(status->restart_count, 1);
    assert_non_null(status->state->running);
    assert_int_equal(status->last_state->terminated->exit_code, 3);

    fake_runtime_exit(bench.fake, "web-n", "c", 4); /* it is watched again */
    bench_rest(&bench);
    assert_int_equal(bench_container(&bench, "u-web", "c")->restart_count, 2);
    finish(&bench);
}

TEST_CASE(a_lost_event_is_found_by_the_audit_and_counted)
{
    struct bench bench;
    bench_init(&bench);
    bench.env.audit_period_ns = 200 * NS_PER_MS;
    begin(&bench, "web", WEB);
    fake_runtime_lose_events(bench.fake, true);
    fake_runtime_exit(bench.fake, "web-n", "c", 3);
    bench_until(&bench, bench_container(&bench, "u-web", "c")->restart_count == 1);
    struct pods_summary summary;
    pods_summarize(bench.pods, &summary);
    assert_int_equal(summary.missed_changes, 1);
    assert_int_equal(fake_runtime_running(bench.fake, "web-n", "c"), 1);
    finish(&bench);
}

TEST_CASE(a_runtime_that_forgot_everything_gets_its_pods_again)
{
    struct bench bench;
    bench_init(&bench);
    begin(&bench, "web", WEB);
    fake_runtime_clear_transcript(bench.fake);
    fake_runtime_restart(bench.fake, false);
    bench_rest(&bench);
    assert_string_equal(transcript(&bench), "");
    fake_runtime_restart(bench.fake, true);
    bench_rest(&bench);
    /* The log of the first instance is still there, so the count goes on. */
    assert_string_equal(transcript(&bench), "RunPodSandbox web-n/0\n"
                                            "CreateContainer web-n.c/1\n"
                                            "StartContainer web-n.c/1\n");
    finish(&bench);
}

TEST_CASE(a_dead_sandbox_is_replaced)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "one", .exits = SIZE_MAX});
    begin(&bench, "web", "initContainers: [{name: one, image: 'img:1'}], " WEB);
    fake_runtime_clear_transcript(bench.fake);
    fake_runtime_kill_sandbox(bench.fake, "web-n");
    bench_rest(&bench);
    assert_int_equal(bench_events(&bench, "u-web", "SandboxChanged"), 1);
    assert_int_equal(fake_runtime_running(bench.fake, "web-n", "c"), 1);
    assert_int_equal(fake_runtime_count(bench.fake, RUNTIME_RUN_POD_SANDBOX), 2);
    assert_non_null(strstr(transcript(&bench), "RunPodSandbox web-n/1\n"));
    assert_non_null(strstr(transcript(&bench), "StartContainer web-n.one/"));
    assert_string_equal(bench_state(&bench, "u-web", "c"), "running");
    finish(&bench);
}

TEST_CASE(pods_wait_for_the_network_unless_they_use_the_host_s)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_set_network_ready(bench.fake, false);
    bench_want(&bench, "host", "hostNetwork: true, " WEB);
    begin(&bench, "web", WEB);
    assert_int_equal(fake_runtime_running(bench.fake, "host-n", "c"), 1);
    assert_int_equal(fake_runtime_running(bench.fake, "web-n", "c"), 0);
    struct pods_summary summary;
    pods_summarize(bench.pods, &summary);
    assert_false(summary.network_ready);
    assert_string_equal(summary.runtime_message,
                        "container runtime network not ready: NetworkReady=false "
                        "reason:NetworkPluginNotReady message:no network yet");
    fake_runtime_set_network_ready(bench.fake, true);
    fake_runtime_restart(bench.fake, false);
    bench_rest(&bench);
    assert_int_equal(fake_runtime_running(bench.fake, "web-n", "c"), 1);
    finish(&bench);
}

TEST_CASE(a_pod_that_completes_keeps_its_containers_but_not_its_volumes)
{
    struct bench bench;
    bench_init(&bench);
    begin(&bench, "web",
          "restartPolicy: Never, volumes: [{name: v, emptyDir: {}}], containers: [{name: c, image: "
          "'img:1', volumeMounts: [{name: v, mountPath: /v}]}]");
    fake_runtime_exit(bench.fake, "web-n", "c", 0);
    bench_rest(&bench);
    assert_string_equal(bench_phase(&bench, "u-web"), "Succeeded");
    assert_string_equal(bench_state(&bench, "u-web", "c"), "exited 0 Completed");
    assert_int_equal(fake_runtime_containers(bench.fake), 1);
    assert_int_equal(fake_runtime_sandboxes(bench.fake), 1);
    assert_false(bench_exists(&bench, "root/pods/u-web/volumes/kubernetes.io~empty-dir/v"));
    assert_true(bench_exists(&bench, "logs/default_web-n_u-web"));
    bench_drop(&bench, "u-web");
    bench_tell(&bench);
    bench_rest(&bench);
    bench_assert_gone(&bench, "web-n", "u-web");
    finish(&bench);
}

TEST_CASE(a_failed_post_start_hook_kills_its_container)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "c", .hook_exit_code = 5});
    begin(&bench, "web",
          "restartPolicy: Never, containers: [{name: c, image: 'img:1', "
          "lifecycle: {postStart: {exec: {command: [prepare, it]}}}}]");
    assert_string_equal(transcript(&bench), "RunPodSandbox web-n/0\n"
                                            "CreateContainer web-n.c/0\n"
                                            "StartContainer web-n.c/0\n"
                                            "ExecSync web-n.c/0 prepare it\n"
                                            "StopContainer web-n.c/0 30\n"
                                            "StopPodSandbox web-n/0\n");
    assert_int_equal(bench_events(&bench, "u-web", "FailedPostStartHook"), 1);
    assert_string_equal(bench_phase(&bench, "u-web"), "Failed");
    finish(&bench);
}

TEST_CASE(a_pre_stop_hook_runs_before_the_stop)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "c", .hook_exit_code = 5});
    begin(&bench, "web",
          "containers: [{name: c, image: 'img:1', "
          "lifecycle: {preStop: {exec: {command: [say, goodbye]}}}}]");
    fake_runtime_clear_transcript(bench.fake);
    bench_drop(&bench, "u-web");
    bench_tell(&bench);
    bench_until(&bench, bench_events(&bench, "u-web", "FailedPreStopHook") == 1);
    bench_rest(&bench);
    assert_true(text_has_prefix(transcript(&bench),
                                "ExecSync web-n.c/0 say goodbye\nStopContainer web-n.c/0 30\n"));
    bench_assert_gone(&bench, "web-n", "u-web");
    finish(&bench);
}

TEST_CASE(a_hung_pre_stop_hook_is_given_up_after_the_grace_period)
{
    struct bench bench;
    bench_init(&bench);
    begin(&bench, "web",
          "terminationGracePeriodSeconds: 1, containers: [{name: c, image: 'img:1', "
          "lifecycle: {preStop: {exec: {command: [hang]}}}}]");
    fake_runtime_clear_transcript(bench.fake);
    fake_runtime_fail(
        bench.fake,
        &(struct fake_fault){.of_method = true, .method = RUNTIME_EXEC_SYNC, .effect = FAKE_HUNG});
    bench_drop(&bench, "u-web");
    bench_tell(&bench);
    bench_until(&bench, !bench_has_pod(&bench, "u-web"));
    assert_true(text_has_prefix(transcript(&bench), "StopContainer web-n.c/0 2\n"));
    finish(&bench);
}

TEST_CASE(the_termination_message_comes_from_its_file)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_script(bench.fake, &(struct fake_script){
                                        .name = "c", .exits = 1, .exit_code = 3, .message = "bye"});
    begin(&bench, "web", "restartPolicy: Never, " WEB);
    assert_string_equal(bench_state(&bench, "u-web", "c"), "exited 3 Error");
    assert_string_equal(bench_container(&bench, "u-web", "c")->state->terminated->message, "bye");
    finish(&bench);
}

TEST_CASE(a_pod_past_its_active_deadline_is_failed_and_stopped)
{
    struct bench bench;
    bench_init(&bench);
    begin(&bench, "web", "activeDeadlineSeconds: 1, " WEB);
    assert_string_equal(bench_phase(&bench, "u-web"), "Running");
    bench_until(&bench, text_eq(bench_phase(&bench, "u-web"), "Failed"));
    bench_rest(&bench);
    assert_string_equal(bench_look(&bench, "u-web").view.status->reason, "DeadlineExceeded");
    assert_int_equal(fake_runtime_running(bench.fake, "web-n", NULL), 0);
    finish(&bench);
}

TEST_CASE(only_so_many_pods_start_at_the_same_time)
{
    struct bench bench;
    bench_init(&bench);
    bench.env.max_parallel_starts = 1;
    fake_runtime_fail(bench.fake, &(struct fake_fault){.of_method = true,
                                                       .method = RUNTIME_RUN_POD_SANDBOX,
                                                       .effect = FAKE_HELD});
    bench_start(&bench);
    bench_want(&bench, "a", WEB);
    bench_want(&bench, "b", WEB);
    bench_want(&bench, "z", WEB);
    bench_tell(&bench);
    bench_until(&bench, fake_runtime_was_hit(bench.fake, NULL));
    for (size_t i = 0; i < BENCH_QUIET_TURNS; i++)
        loop_turn(bench.loop, BENCH_WAIT_NS);
    assert_int_equal(fake_runtime_count(bench.fake, RUNTIME_RUN_POD_SANDBOX), 1);
    fake_runtime_release(bench.fake);
    bench_rest(&bench);
    assert_int_equal(fake_runtime_running(bench.fake, NULL, "c"), 3);
    finish(&bench);
}

TEST_CASE(a_pod_that_comes_back_while_it_is_ended_starts_anew)
{
    struct bench bench;
    bench_init(&bench);
    begin(&bench, "web", WEB);
    struct pod_object *object = pod_object_ref(bench.wanted[0]);
    bench_drop(&bench, "u-web");
    fake_runtime_clear_transcript(bench.fake);
    fake_runtime_fail(bench.fake, &(struct fake_fault){.of_method = true,
                                                       .method = RUNTIME_STOP_CONTAINER,
                                                       .effect = FAKE_HELD});
    bench_tell(&bench);
    bench_until(&bench, fake_runtime_was_hit(bench.fake, NULL));
    bench.wanted[bench.n_wanted++] = object;
    bench_tell(&bench);
    fake_runtime_release(bench.fake);
    bench_until(&bench, !bench_look(&bench, "u-web").view.terminating);
    bench_rest(&bench);
    assert_string_equal(transcript(&bench), "StopContainer web-n.c/0 30\n"
                                            "StopPodSandbox web-n/0\n"
                                            "RemoveContainer web-n.c/0\n"
                                            "StopPodSandbox web-n/0\n"
                                            "RemovePodSandbox web-n/0\n"
                                            "RunPodSandbox web-n/0\n"
                                            "CreateContainer web-n.c/0\n"
                                            "StartContainer web-n.c/0\n");
    finish(&bench);
}

TEST_CASE(a_pod_can_go_while_its_image_is_pulled_for_ever)
{
    struct bench bench;
    bench_init(&bench);
    bench.env.max_parallel_starts = 1;
    fake_runtime_fail(bench.fake, &(struct fake_fault){.of_method = true,
                                                       .method = IMAGE_PULL_IMAGE,
                                                       .times = SIZE_MAX,
                                                       .effect = FAKE_HUNG});
    bench_start(&bench);
    bench_want(&bench, "one", "containers: [{name: c, image: 'other:1'}]");
    bench_want(&bench, "two", "containers: [{name: c, image: 'other:2'}]");
    bench_want(&bench, "web", WEB);
    bench_tell(&bench);
    /* Neither the pull nor the wait for its turn keeps others from starting. */
    bench_until(&bench, fake_runtime_running(bench.fake, "web-n", "c") == 1);
    bench_until(&bench, bench_events(&bench, "u-two", "Pulling") == 1);
    bench_drop(&bench, "u-one");
    bench_drop(&bench, "u-two");
    bench_tell(&bench);
    bench_rest(&bench);
    bench_assert_gone(&bench, "one-n", "u-one");
    bench_assert_gone(&bench, "two-n", "u-two");
    finish(&bench);
}

TEST_CASE(a_pod_can_go_while_its_post_start_hook_hangs)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_fail(
        bench.fake,
        &(struct fake_fault){.of_method = true, .method = RUNTIME_EXEC_SYNC, .effect = FAKE_HUNG});
    bench_start(&bench);
    bench_want(&bench, "web",
               "containers: [{name: c, image: 'img:1', "
               "lifecycle: {postStart: {exec: {command: [hang]}}}}]");
    bench_tell(&bench);
    bench_until(&bench, fake_runtime_was_hit(bench.fake, NULL));
    bench_drop(&bench, "u-web");
    bench_tell(&bench);
    bench_rest(&bench);
    assert_non_null(strstr(transcript(&bench), "StopContainer web-n.c/0 30\n"));
    bench_assert_gone(&bench, "web-n", "u-web");
    finish(&bench);
}

static const char *condition(const struct bench *bench, const char *uid, const char *type)
{
    const Core__PodStatus *status = bench_look(bench, uid).view.status;
    for (size_t i = 0; status && i < status->n_conditions; i++) {
        if (text_eq(status->conditions[i]->type, type))
            return status->conditions[i]->status;
    }
    return "";
}

TEST_CASE(a_sandbox_that_dies_during_a_pull_is_noticed)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_fail(
        bench.fake,
        &(struct fake_fault){.of_method = true, .method = IMAGE_PULL_IMAGE, .effect = FAKE_HUNG});
    bench_start(&bench);
    bench_want(&bench, "web", "containers: [{name: c, image: 'other:1'}]");
    bench_tell(&bench);
    bench_until(&bench, fake_runtime_was_hit(bench.fake, NULL));
    bench_until(&bench, text_eq(condition(&bench, "u-web", "PodReadyToStartContainers"), "True"));
    fake_runtime_kill_sandbox(bench.fake, "web-n");
    bench_until(&bench, text_eq(condition(&bench, "u-web", "PodReadyToStartContainers"), "False"));
    finish(&bench);
}

TEST_CASE(a_pod_whose_containers_vanished_can_be_removed)
{
    struct bench bench;
    bench_init(&bench);
    begin(&bench, "web", WEB);
    fake_runtime_forget(bench.fake);
    bench_drop(&bench, "u-web");
    bench_tell(&bench);
    bench_rest(&bench);
    bench_assert_gone(&bench, "web-n", "u-web");
    finish(&bench);
}

TEST_CASE(a_slot_goes_to_the_next_pod_when_the_first_in_line_cannot_use_it)
{
    struct bench bench;
    bench_init(&bench);
    bench.env.max_parallel_starts = 1;
    fake_runtime_fail(bench.fake, &(struct fake_fault){.of_method = true,
                                                       .method = RUNTIME_RUN_POD_SANDBOX,
                                                       .effect = FAKE_HELD});
    bench_start(&bench);
    bench_want(&bench, "a", WEB);
    bench_want(&bench, "b", WEB);
    bench_want(&bench, "z", "hostNetwork: true, " WEB);
    bench_tell(&bench);
    bench_until(&bench, fake_runtime_was_hit(bench.fake, NULL));
    fake_runtime_set_network_ready(bench.fake, false);
    fake_runtime_restart(bench.fake, false);
    bench_until(&bench, fake_runtime_count(bench.fake, RUNTIME_STATUS) == 2);
    for (size_t i = 0; i < BENCH_QUIET_TURNS; i++)
        loop_turn(bench.loop, BENCH_WAIT_NS);
    fake_runtime_release(bench.fake);
    bench_rest(&bench);
    assert_int_equal(fake_runtime_running(bench.fake, "b-n", "c"), 0);
    assert_int_equal(fake_runtime_running(bench.fake, "z-n", "c"), 1);
    finish(&bench);
}

/* A list that was made before a container and comes after it says nothing about that container. */
TEST_CASE(a_list_that_was_overtaken_hides_no_container)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_hold(bench.fake, IMAGE_PULL_IMAGE, true);
    bench_start(&bench);
    bench_want(&bench, "web", "containers: [{name: c, image: 'other:1'}]");
    bench_tell(&bench);
    bench_until(&bench, fake_runtime_count(bench.fake, IMAGE_PULL_IMAGE) == 1);
    fake_runtime_hold(bench.fake, RUNTIME_LIST_CONTAINERS, true);
    size_t lists = fake_runtime_count(bench.fake, RUNTIME_LIST_CONTAINERS);
    fake_runtime_poke(bench.fake, "web-n");
    bench_until(&bench, fake_runtime_count(bench.fake, RUNTIME_LIST_CONTAINERS) == lists + 1);
    fake_runtime_hold(bench.fake, IMAGE_PULL_IMAGE, false);
    bench_until(&bench, bench_events(&bench, "u-web", "Started") == 1);
    for (size_t i = 0; i < BENCH_QUIET_TURNS; i++)
        loop_turn(bench.loop, BENCH_WAIT_NS);
    fake_runtime_hold(bench.fake, RUNTIME_LIST_CONTAINERS, false);
    bench_rest(&bench);
    assert_int_equal(fake_runtime_count(bench.fake, RUNTIME_CREATE_CONTAINER), 1);
    assert_string_equal(bench_state(&bench, "u-web", "c"), "running");
    finish(&bench);
}

TEST_MAIN(TEST(a_wanted_pod_comes_to_run_and_says_so),
          TEST(init_containers_run_in_order_before_the_regular_ones),
          TEST(a_container_that_exits_restarts_at_once_and_then_backs_off),
          TEST(an_absent_image_with_policy_never_is_not_pulled),
          TEST(an_image_is_pulled_once_for_if_not_present),
          TEST(a_failed_pull_says_why_and_backs_off), TEST(a_removed_pod_leaves_nothing_behind),
          TEST(a_changed_image_under_the_same_uid_restarts_that_container_only),
          TEST(a_replacement_of_the_same_name_waits_for_the_old_pod),
          TEST(two_pods_live_side_by_side),
          TEST(orphans_are_ended_with_their_own_grace_and_leftovers_swept),
          TEST(an_agent_that_restarts_touches_no_container),
          TEST(a_lost_event_is_found_by_the_audit_and_counted),
          TEST(a_runtime_that_forgot_everything_gets_its_pods_again),
          TEST(a_dead_sandbox_is_replaced),
          TEST(pods_wait_for_the_network_unless_they_use_the_host_s),
          TEST(a_pod_that_completes_keeps_its_containers_but_not_its_volumes),
          TEST(a_failed_post_start_hook_kills_its_container),
          TEST(a_pre_stop_hook_runs_before_the_stop),
          TEST(a_hung_pre_stop_hook_is_given_up_after_the_grace_period),
          TEST(the_termination_message_comes_from_its_file),
          TEST(a_pod_past_its_active_deadline_is_failed_and_stopped),
          TEST(only_so_many_pods_start_at_the_same_time),
          TEST(a_pod_that_comes_back_while_it_is_ended_starts_anew),
          TEST(a_pod_can_go_while_its_image_is_pulled_for_ever),
          TEST(a_pod_can_go_while_its_post_start_hook_hangs),
          TEST(a_sandbox_that_dies_during_a_pull_is_noticed),
          TEST(a_pod_whose_containers_vanished_can_be_removed),
          TEST(a_list_that_was_overtaken_hides_no_container),
          TEST(a_slot_goes_to_the_next_pod_when_the_first_in_line_cannot_use_it))
