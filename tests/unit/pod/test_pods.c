#include "pods_bench.h"

TEST_CASE(a_wanted_pod_comes_to_run_and_says_so)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", BENCH_WEB);
    assert_string_equal(bench_transcript(&bench), "RunPodSandbox web-n/0\n"
                                                  "CreateContainer web-n.c/0\n"
                                                  "StartContainer web-n.c/0\n");
    assert_string_equal(bench_phase(&bench, "u-web"), "Running");
    assert_string_equal(bench_state(&bench, "u-web", "c"), "running");
    assert_string_equal(bench_look(&bench, "u-web").view.status->pod_ip, "10.1.0.7");
    AUTO(free) char *log = pods_log_path(bench.pods, "u-web", "c", false);
    assert_int_equal(access(log, F_OK), 0);
    bench_finish(&bench);
}

TEST_CASE(init_containers_run_in_order_before_the_regular_ones)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "one", .exits = SIZE_MAX});
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "two", .exits = SIZE_MAX});
    bench_begin(&bench, "web",
                "initContainers: [{name: one, image: 'img:1'}, "
                "{name: side, image: 'img:1', restartPolicy: Always}, {name: two, image: "
                "'img:1'}], " BENCH_WEB);
    assert_string_equal(bench_transcript(&bench),
                        "RunPodSandbox web-n/0\n"
                        "CreateContainer web-n.one/0\nStartContainer web-n.one/0\n"
                        "CreateContainer web-n.side/0\nStartContainer web-n.side/0\n"
                        "CreateContainer web-n.two/0\nStartContainer web-n.two/0\n"
                        "CreateContainer web-n.c/0\nStartContainer web-n.c/0\n");
    assert_string_equal(bench_state(&bench, "u-web", "one"), "exited 0 Completed");
    assert_string_equal(bench_state(&bench, "u-web", "side"), "running");
    bench_finish(&bench);
}

TEST_CASE(a_container_that_exits_restarts_at_once_and_then_backs_off)
{
    struct bench bench;
    bench_init(&bench);
    bench.env.backoff_max_ns = 300 * NS_PER_SEC;
    bench_begin(&bench, "web", BENCH_WEB);
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
    bench_finish(&bench);
}

TEST_CASE(a_removed_pod_leaves_nothing_behind)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web",
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
    assert_string_equal(bench_transcript(&bench), "StopContainer web-n.c/0 30\n"
                                                  "StopPodSandbox web-n/0\n"
                                                  "RemoveContainer web-n.c/0\n"
                                                  "StopPodSandbox web-n/0\n"
                                                  "RemovePodSandbox web-n/0\n");
    bench_assert_gone(&bench, "web-n", "u-web");
    assert_false(bench_exists(&bench, link));
    bench_finish(&bench);
}

TEST_CASE(a_changed_image_under_the_same_uid_restarts_that_container_only)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_add_image(bench.fake, "img:2");
    bench_begin(&bench, "web",
                "containers: [{name: c, image: 'img:1'}, {name: other, image: 'img:1'}]");
    fake_runtime_clear_transcript(bench.fake);
    bench_drop(&bench, "u-web");
    bench_want(&bench, "web",
               "containers: [{name: c, image: 'img:2'}, {name: other, image: 'img:1'}]");
    bench_tell(&bench);
    bench_rest(&bench);
    assert_string_equal(bench_transcript(&bench), "StopContainer web-n.c/0 30\n"
                                                  "CreateContainer web-n.c/1\n"
                                                  "StartContainer web-n.c/1\n");
    assert_string_equal(bench_state(&bench, "u-web", "c"), "running");
    assert_int_equal(bench_container(&bench, "u-web", "c")->restart_count, 1);
    bench_finish(&bench);
}

TEST_CASE(a_replacement_of_the_same_name_waits_for_the_old_pod)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", BENCH_WEB);
    bench_drop(&bench, "u-web");
    bench_want_uid(&bench, "web", "u-new", BENCH_WEB);
    fake_runtime_clear_transcript(bench.fake);
    bench_fault(&bench, RUNTIME_STOP_POD_SANDBOX, FAKE_HELD);
    bench_tell(&bench);
    bench_until(&bench, fake_runtime_was_hit(bench.fake, NULL));
    bench_idle(&bench);
    assert_string_equal(bench_transcript(&bench),
                        "StopContainer web-n.c/0 30\nStopPodSandbox web-n/0\n");
    fake_runtime_release(bench.fake);
    bench_rest(&bench);
    bench_assert_gone(&bench, "nobody", "u-web");
    assert_int_equal(fake_runtime_sandboxes(bench.fake), 1);
    assert_string_equal(bench_state(&bench, "u-new", "c"), "running");
    bench_finish(&bench);
}

TEST_CASE(two_pods_live_side_by_side)
{
    struct bench bench;
    bench_init(&bench);
    bench_want(&bench, "a", BENCH_WEB);
    bench_begin(&bench, "b", BENCH_WEB);
    struct pods_summary summary;
    pods_summarize(bench.pods, &summary);
    assert_int_equal(summary.desired, 2);
    assert_int_equal(summary.running, 2);
    bench_drop(&bench, "u-a");
    bench_tell(&bench);
    bench_rest(&bench);
    bench_assert_gone(&bench, "a-n", "u-a");
    assert_int_equal(fake_runtime_running(bench.fake, "b-n", "c"), 1);
    bench_finish(&bench);
}

TEST_CASE(orphans_are_ended_with_their_own_grace_and_leftovers_swept)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", "terminationGracePeriodSeconds: 7, " BENCH_WEB);
    bench_stop(&bench);
    bench_drop(&bench, "u-web");
    assert_no_error(fd_mkdir_all(bench_path(&bench, "root/pods/u-old/volumes"), 0755));
    assert_no_error(fd_mkdir_all(bench_path(&bench, "logs/default_old_u-old2/c"), 0755));
    assert_no_error(fd_mkdir_all(bench_path(&bench, "logs/something"), 0755));
    fake_runtime_clear_transcript(bench.fake);

    bench_start(&bench);
    bench_idle(&bench);
    assert_string_equal(bench_transcript(&bench), ""); /* the sources have not spoken */
    bench_tell(&bench);
    bench_rest(&bench);
    assert_string_equal(bench_transcript(&bench), "StopContainer web-n.c/0 7\n"
                                                  "StopPodSandbox web-n/0\n"
                                                  "RemoveContainer web-n.c/0\n"
                                                  "StopPodSandbox web-n/0\n"
                                                  "RemovePodSandbox web-n/0\n");
    bench_assert_gone(&bench, "web-n", "u-web");
    assert_false(bench_exists(&bench, "root/pods/u-old"));
    assert_false(bench_exists(&bench, "logs/default_old_u-old2"));
    assert_true(bench_exists(&bench, "logs/something"));
    bench_finish(&bench);
}

TEST_CASE(an_agent_that_restarts_touches_no_container)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "one", .exits = SIZE_MAX});
    bench_begin(&bench, "web", "initContainers: [{name: one, image: 'img:1'}], " BENCH_WEB);
    fake_runtime_exit(bench.fake, "web-n", "c", 3);
    bench_rest(&bench);
    fake_runtime_clear_transcript(bench.fake);
    bench_stop(&bench);
    bench_start(&bench);
    bench_tell(&bench);
    bench_rest(&bench);
    assert_string_equal(bench_transcript(&bench), "");
    const Core__ContainerStatus *status = bench_container(&bench, "u-web", "c");
    assert_int_equal(status->restart_count, 1);
    assert_non_null(status->state->running);
    assert_int_equal(status->last_state->terminated->exit_code, 3);

    fake_runtime_exit(bench.fake, "web-n", "c", 4); /* it is watched again */
    bench_rest(&bench);
    assert_int_equal(bench_container(&bench, "u-web", "c")->restart_count, 2);
    bench_finish(&bench);
}

TEST_CASE(a_lost_event_is_found_by_the_audit_and_counted)
{
    struct bench bench;
    bench_init(&bench);
    bench.env.audit_period_ns = 200 * NS_PER_MS;
    bench_begin(&bench, "web", BENCH_WEB);
    fake_runtime_lose_events(bench.fake, true);
    fake_runtime_exit(bench.fake, "web-n", "c", 3);
    bench_until(&bench, bench_container(&bench, "u-web", "c")->restart_count == 1);
    struct pods_summary summary;
    pods_summarize(bench.pods, &summary);
    assert_int_equal(summary.missed_changes, 1);
    assert_int_equal(fake_runtime_running(bench.fake, "web-n", "c"), 1);
    bench_finish(&bench);
}

struct kept_backoffs {
    struct pods_journal base;
    int64_t restarted_ns; /* of "u-old/c/0"; that of "u-web/c/0" is now */
    int64_t now_ns;
    const char *forgotten;
};

static void load_backoffs(struct pods_journal *self,
                          void (*each)(void *ctx, const char *key, int64_t wait_ns,
                                       int64_t restarted_ns),
                          void *ctx)
{
    const struct kept_backoffs *kept = CONTAINER_OF(self, struct kept_backoffs, base);
    each(ctx, "u-old/c/0", NS_PER_SEC, kept->restarted_ns);
    each(ctx, "u-web/c/0", NS_PER_SEC, kept->now_ns);
}

static void note_backoff(struct pods_journal *self, const char *key, int64_t wait_ns,
                         UNUSED int64_t restarted_ns)
{
    struct kept_backoffs *kept = CONTAINER_OF(self, struct kept_backoffs, base);
    assert_int_equal(wait_ns, 0);
    assert_null(kept->forgotten);
    kept->forgotten = strcmp(key, "u-old/c/0") == 0 ? "u-old/c/0" : "another";
}

TEST_CASE(a_back_off_that_is_long_over_leaves_the_journal)
{
    static const struct pods_journal_vtable vtable = {.note_backoff = note_backoff,
                                                      .load_backoffs = load_backoffs};
    struct bench bench;
    bench_init(&bench);
    int64_t now_ns = loop_now_wall_ns(bench.loop);
    struct kept_backoffs kept = {
        .base = {&vtable}, .now_ns = now_ns, .restarted_ns = now_ns - 3600 * NS_PER_SEC};
    bench.env.journal = &kept.base;
    bench_start(&bench);
    assert_string_equal(kept.forgotten, "u-old/c/0");
    bench_finish(&bench);
}

TEST_CASE(a_runtime_that_forgot_everything_gets_its_pods_again)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", BENCH_WEB);
    fake_runtime_clear_transcript(bench.fake);
    fake_runtime_restart(bench.fake, false);
    bench_rest(&bench);
    assert_string_equal(bench_transcript(&bench), "");
    fake_runtime_restart(bench.fake, true);
    bench_rest(&bench);
    /* The log of the first instance is still there, so the count goes on. */
    assert_string_equal(bench_transcript(&bench), "RunPodSandbox web-n/0\n"
                                                  "CreateContainer web-n.c/1\n"
                                                  "StartContainer web-n.c/1\n");
    bench_finish(&bench);
}

TEST_CASE(a_dead_sandbox_is_replaced)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "one", .exits = SIZE_MAX});
    bench_begin(&bench, "web", "initContainers: [{name: one, image: 'img:1'}], " BENCH_WEB);
    fake_runtime_clear_transcript(bench.fake);
    fake_runtime_kill_sandbox(bench.fake, "web-n");
    bench_rest(&bench);
    assert_int_equal(bench_events(&bench, "u-web", "SandboxChanged"), 1);
    assert_int_equal(fake_runtime_running(bench.fake, "web-n", "c"), 1);
    assert_int_equal(fake_runtime_count(bench.fake, RUNTIME_RUN_POD_SANDBOX), 2);
    assert_non_null(strstr(bench_transcript(&bench), "RunPodSandbox web-n/1\n"));
    assert_non_null(strstr(bench_transcript(&bench), "StartContainer web-n.one/"));
    assert_string_equal(bench_state(&bench, "u-web", "c"), "running");
    bench_finish(&bench);
}

TEST_CASE(a_container_that_stays_unknown_is_stopped_again_only_after_a_pause)
{
    struct bench bench;
    bench_init(&bench);
    bench.env.retry_ns = 3600 * NS_PER_SEC;
    bench_begin(&bench, "web", BENCH_WEB);
    fake_runtime_lose_container(bench.fake, "web-n", "c");
    bench_rest(&bench);
    assert_int_equal(fake_runtime_count(bench.fake, RUNTIME_STOP_CONTAINER), 1);
    bench_finish(&bench);
}

TEST_CASE(pods_wait_for_the_network_unless_they_use_the_host_s)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_set_network_ready(bench.fake, false);
    bench_want(&bench, "host", "hostNetwork: true, " BENCH_WEB);
    bench_begin(&bench, "web", BENCH_WEB);
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
    bench_finish(&bench);
}

TEST_CASE(a_pod_that_completes_keeps_its_containers_but_not_its_volumes)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(
        &bench, "web",
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
    bench_finish(&bench);
}

TEST_CASE(a_failed_post_start_hook_kills_its_container)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "c", .hook_exit_code = 5});
    bench_begin(&bench, "web",
                "restartPolicy: Never, containers: [{name: c, image: 'img:1', "
                "lifecycle: {postStart: {exec: {command: [prepare, it]}}}}]");
    assert_string_equal(bench_transcript(&bench), "RunPodSandbox web-n/0\n"
                                                  "CreateContainer web-n.c/0\n"
                                                  "StartContainer web-n.c/0\n"
                                                  "ExecSync web-n.c/0 prepare it\n"
                                                  "StopContainer web-n.c/0 30\n"
                                                  "StopPodSandbox web-n/0\n");
    assert_int_equal(bench_events(&bench, "u-web", "FailedPostStartHook"), 1);
    assert_string_equal(bench_phase(&bench, "u-web"), "Failed");
    bench_finish(&bench);
}

TEST_CASE(a_pre_stop_hook_runs_before_the_stop)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "c", .hook_exit_code = 5});
    bench_begin(&bench, "web",
                "containers: [{name: c, image: 'img:1', "
                "lifecycle: {preStop: {exec: {command: [say, goodbye]}}}}]");
    fake_runtime_clear_transcript(bench.fake);
    bench_drop(&bench, "u-web");
    bench_tell(&bench);
    bench_until(&bench, bench_events(&bench, "u-web", "FailedPreStopHook") == 1);
    bench_rest(&bench);
    assert_true(text_has_prefix(bench_transcript(&bench),
                                "ExecSync web-n.c/0 say goodbye\nStopContainer web-n.c/0 30\n"));
    bench_assert_gone(&bench, "web-n", "u-web");
    bench_finish(&bench);
}

TEST_CASE(a_hung_pre_stop_hook_is_given_up_after_the_grace_period)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web",
                "terminationGracePeriodSeconds: 1, containers: [{name: c, image: 'img:1', "
                "lifecycle: {preStop: {exec: {command: [hang]}}}}]");
    fake_runtime_clear_transcript(bench.fake);
    bench_fault(&bench, RUNTIME_EXEC_SYNC, FAKE_HUNG);
    bench_drop(&bench, "u-web");
    bench_tell(&bench);
    bench_until(&bench, !bench_has_pod(&bench, "u-web"));
    assert_true(text_has_prefix(bench_transcript(&bench), "StopContainer web-n.c/0 2\n"));
    bench_finish(&bench);
}

TEST_CASE(the_termination_message_comes_from_its_file)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_script(bench.fake, &(struct fake_script){
                                        .name = "c", .exits = 1, .exit_code = 3, .message = "bye"});
    bench_begin(&bench, "web", "restartPolicy: Never, " BENCH_WEB);
    assert_string_equal(bench_state(&bench, "u-web", "c"), "exited 3 Error");
    assert_string_equal(bench_container(&bench, "u-web", "c")->state->terminated->message, "bye");
    bench_finish(&bench);
}

TEST_CASE(a_container_starts_without_a_termination_log_that_cannot_be_made)
{
    struct bench bench;
    bench_init(&bench);
    assert_no_error(fd_mkdir_all(bench_path(&bench, "root/pods/u-web"), 0755));
    bench_write(bench_path(&bench, "root/pods/u-web/containers"), "in the way");
    bench_begin(&bench, "web", BENCH_WEB);
    assert_string_equal(bench_state(&bench, "u-web", "c"), "running");
    const Cri__ContainerConfig *config = fake_runtime_config(bench.fake, "web-n", "c");
    for (size_t i = 0; i < config->n_mounts; i++)
        assert_string_not_equal(config->mounts[i]->container_path, "/dev/termination-log");
    bench_finish(&bench);
}

TEST_CASE(a_pod_past_its_active_deadline_is_failed_and_stopped)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", "activeDeadlineSeconds: 1, " BENCH_WEB);
    assert_string_equal(bench_phase(&bench, "u-web"), "Running");
    bench_until(&bench, text_eq(bench_phase(&bench, "u-web"), "Failed"));
    bench_rest(&bench);
    assert_string_equal(bench_look(&bench, "u-web").view.status->reason, "DeadlineExceeded");
    assert_int_equal(fake_runtime_running(bench.fake, "web-n", NULL), 0);
    bench_finish(&bench);
}

TEST_MAIN(TEST(a_wanted_pod_comes_to_run_and_says_so),
          TEST(init_containers_run_in_order_before_the_regular_ones),
          TEST(a_container_that_exits_restarts_at_once_and_then_backs_off),
          TEST(a_removed_pod_leaves_nothing_behind),
          TEST(a_changed_image_under_the_same_uid_restarts_that_container_only),
          TEST(a_replacement_of_the_same_name_waits_for_the_old_pod),
          TEST(two_pods_live_side_by_side),
          TEST(orphans_are_ended_with_their_own_grace_and_leftovers_swept),
          TEST(an_agent_that_restarts_touches_no_container),
          TEST(a_lost_event_is_found_by_the_audit_and_counted),
          TEST(a_back_off_that_is_long_over_leaves_the_journal),
          TEST(a_runtime_that_forgot_everything_gets_its_pods_again),
          TEST(a_dead_sandbox_is_replaced),
          TEST(a_container_that_stays_unknown_is_stopped_again_only_after_a_pause),
          TEST(pods_wait_for_the_network_unless_they_use_the_host_s),
          TEST(a_pod_that_completes_keeps_its_containers_but_not_its_volumes),
          TEST(a_failed_post_start_hook_kills_its_container),
          TEST(a_pre_stop_hook_runs_before_the_stop),
          TEST(a_hung_pre_stop_hook_is_given_up_after_the_grace_period),
          TEST(the_termination_message_comes_from_its_file),
          TEST(a_container_starts_without_a_termination_log_that_cannot_be_made),
          TEST(a_pod_past_its_active_deadline_is_failed_and_stopped))
