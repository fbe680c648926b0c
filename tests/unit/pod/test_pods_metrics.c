#include "pods_bench.h"

/* One series and what it should be: the value, or of a histogram how often it was observed. -1:
 * none. */
struct want {
    const char *name, *values;
    double value;
};

static void check(struct metrics *metrics, const struct want *wants, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct metrics_read read = metrics_read(metrics, wants[i].name, wants[i].values);
        double value = !read.has_series            ? -1
                       : read.series.bucket_counts ? (double)read.series.count
                                                   : read.series.value;
        if (value != wants[i].value)
            fail_msg("%s{%s} is %g, not %g", wants[i].name, wants[i].values, value, wants[i].value);
    }
}

#define assert_figures(bench, ...)                                                                 \
    do {                                                                                           \
        static const struct want wants[] = {__VA_ARGS__};                                          \
        check((bench).metrics, wants, ARRAY_SIZE(wants));                                          \
    } while (0)

#define POD_WITH_VOLUMES                                                                           \
    "volumes: [{name: v, emptyDir: {}}, {name: h, hostPath: {path: /}}], "                         \
    "initContainers: [{name: one, image: 'img:1'}], "                                              \
    "containers: [{name: c, image: 'img:1', volumeMounts: [{name: v, mountPath: /v}]}, "           \
    "{name: d, image: 'img:1'}]"

TEST_CASE(a_pod_that_comes_to_run_is_counted_all_along)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "one", .exits = SIZE_MAX});
    bench_begin(&bench, "web", POD_WITH_VOLUMES);
    assert_figures(
        bench, {"kubelet_started_pods_total", "", 1}, {"kubelet_started_pods_errors_total", "", 0},
        {"kubelet_started_user_namespaced_pods_total", "", 0},
        {"kubelet_started_containers_total", "container", 2},
        {"kubelet_started_containers_total", "init_container", 1},
        {"kubelet_started_containers_errors_total", "CreateContainerError,container", -1},
        {"kubelet_terminated_containers_total", "init_container,0,Completed", 1},
        {"kubelet_containers_per_pod_count", "", 1},
        {"kubelet_pod_worker_start_duration_seconds", "", 1},
        {"kubelet_pod_worker_duration_seconds", "create", 1},
        {"kubelet_pod_worker_duration_seconds", "kill", -1},
        {"kubelet_pod_start_duration_seconds", "", 1},
        {"kubelet_pod_start_sli_duration_seconds", "", 0}, /* static ones have no such promise */
        {"kubelet_image_manager_ensure_image_requests_total", "true,ifnotpresent,false", 3},
        {"kubelet_cgroup_manager_duration_seconds", "create", 1},
        {"kubelet_pleg_relist_duration_seconds", "", 1},
        {"kubelet_pleg_relist_interval_seconds", "", 0});
    assert_int_equal(metrics_sum(bench.metrics, "kubelet_containers_per_pod_count", ""), 2);
    assert_true(metrics_value(bench.metrics, "kubelet_pleg_last_seen_seconds", "") > 1e9);
    bench_finish(&bench);
}

TEST_CASE(gauges_show_the_pods_as_they_are)
{
    struct bench bench;
    bench_init(&bench);
    bench_start(&bench);
    assert_figures(
        bench, {"kubelet_running_pods", "", 0}, {"kubelet_desired_pods", "", 0},
        {"kubelet_desired_pods", "true", 0}, {"kubelet_working_pods", "desired,sync,true", 0},
        {"kubelet_working_pods", "runtime_only,terminated,unknown", 0},
        {"kubelet_running_containers", "running", -1}, {"kubelet_restarted_pods_total", "", 0},
        {"kubelet_restarted_pods_total", "true", 0});
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "one", .exits = SIZE_MAX});
    bench_want(&bench, "web", POD_WITH_VOLUMES);
    bench_want(&bench, "job", "restartPolicy: Never, containers: [{name: one, image: 'img:1'}]");
    bench_tell(&bench);
    bench_rest(&bench);
    assert_figures(
        bench, {"kubelet_running_pods", "", 1}, {"kubelet_running_containers", "running", 2},
        {"kubelet_running_containers", "exited", 2}, {"kubelet_running_containers", "created", -1},
        {"kubelet_desired_pods", "", 0}, {"kubelet_desired_pods", "true", 2},
        {"kubelet_active_pods", "true", 1}, {"kubelet_mirror_pods", "", 2},
        {"kubelet_working_pods", "desired,sync,true", 1},
        {"kubelet_working_pods", "desired,terminated,true", 1},
        {"kubelet_pod_worker_duration_seconds", "terminated", 1},
        {"kubelet_managed_ephemeral_containers", "", 0},
        {"volume_manager_total_volumes", "kubernetes.io/empty-dir,desired_state_of_world", 1},
        {"volume_manager_total_volumes", "kubernetes.io/empty-dir,actual_state_of_world", 1},
        {"volume_manager_total_volumes", "kubernetes.io/host-path,desired_state_of_world", -1});
    bench_finish(&bench);
}

TEST_CASE(ends_and_restarts_are_counted_by_reason)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", BENCH_WEB);
    fake_runtime_exit(bench.fake, "web-n", "c", 3);
    bench_rest(&bench);
    assert_figures(bench, {"kubelet_terminated_containers_total", "container,3,Error", 1},
                   {"kubelet_started_containers_total", "container", 2},
                   {"kubelet_started_pods_total", "", 1});
    /* The agent's own restart is nobody's end. */
    bench_stop(&bench);
    bench_start(&bench);
    bench_tell(&bench);
    bench_rest(&bench);
    assert_figures(bench, {"kubelet_terminated_containers_total", "container,3,Error", 1},
                   {"kubelet_started_containers_total", "container", 2},
                   {"kubelet_pleg_relist_duration_seconds", "", 2});
    bench_drop(&bench, "u-web");
    bench_tell(&bench);
    bench_rest(&bench);
    assert_figures(bench, {"kubelet_terminated_containers_total", "container,143,Error", 1},
                   {"kubelet_pod_worker_duration_seconds", "kill", 1},
                   {"kubelet_cgroup_manager_duration_seconds", "destroy", 1},
                   {"kubelet_running_pods", "", 0}, {"kubelet_orphaned_runtime_pods_total", "", 0});
    bench_finish(&bench);
}

TEST_CASE(a_uid_that_comes_back_is_a_restarted_pod)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", BENCH_WEB);
    bench_drop(&bench, "u-web");
    bench_tell(&bench);
    bench_want(&bench, "web", BENCH_WEB);
    bench_tell(&bench);
    bench_rest(&bench);
    assert_figures(bench, {"kubelet_restarted_pods_total", "true", 1},
                   {"kubelet_started_pods_total", "", 2},
                   {"kubelet_containers_per_pod_count", "", 2});
    bench_finish(&bench);
}

TEST_CASE(orphans_are_counted_once)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", BENCH_WEB);
    bench_stop(&bench);
    bench_drop(&bench, "u-web");
    assert_no_error(fd_mkdir_all(bench_path(&bench, "root/pods/u-old/volumes"), 0755));
    bench_start(&bench);
    bench_until(&bench, metrics_value(bench.metrics, "kubelet_working_pods",
                                      "runtime_only,sync,unknown") == 1);
    bench_tell(&bench);
    bench_rest(&bench);
    assert_figures(bench, {"kubelet_orphaned_runtime_pods_total", "", 1},
                   {"kubelet_orphan_pod_cleaned_volumes", "", 2},
                   {"kubelet_orphan_pod_cleaned_volumes_errors", "", 0});
    bench_finish(&bench);
}

TEST_CASE(failed_starts_are_counted_by_what_failed)
{
    struct bench bench;
    bench_init(&bench);
    bench_fault(&bench, RUNTIME_RUN_POD_SANDBOX, FAKE_REFUSED);
    bench_begin(&bench, "web", BENCH_WEB);
    assert_figures(bench, {"kubelet_started_pods_total", "", 2},
                   {"kubelet_started_pods_errors_total", "", 1},
                   {"kubelet_started_user_namespaced_pods_errors_total", "", 0});
    bench_fault(&bench, RUNTIME_START_CONTAINER, FAKE_REFUSED);
    fake_runtime_exit(bench.fake, "web-n", "c", 0);
    bench_rest(&bench);
    bench_want(&bench, "never", "containers: [{name: c, image: 'gone:1', imagePullPolicy: Never}]");
    bench_tell(&bench);
    bench_until(&bench, bench_events(&bench, "u-never", "ErrImageNeverPull") > 0);
    bench_stop(&bench);
    static const char errors[] = "kubelet_started_containers_errors_total";
    assert_float_equal(metrics_value(bench.metrics, errors, "RunContainerError,container"), 1, 0);
    assert_true(metrics_value(bench.metrics, errors, "ErrImageNeverPull,container") >= 1);
    assert_true(metrics_value(bench.metrics, "kubelet_image_manager_ensure_image_requests_total",
                              "false,never,unknown") >= 1);
    bench_finish(&bench);
}

TEST_CASE(pulls_are_timed_by_the_image_s_size)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", "containers: [{name: c, image: 'new:1', imagePullPolicy: Always}]");
    assert_string_equal(bench_state(&bench, "u-web", "c"), "running");
    assert_figures(bench,
                   {"kubelet_image_manager_ensure_image_requests_total", "unknown,always,true", 1});
    static const char *const sizes[] = {"N/A", "0-10MB", "10MB-100MB", "100MB-500MB"};
    int64_t pulls = 0;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        pulls += max_i64(
            metrics_count(bench.metrics, "kubelet_image_pull_duration_seconds", sizes[i]), 0);
    assert_int_equal(pulls, 1);
    bench_finish(&bench);
}

TEST_CASE(a_sleep_that_the_grace_period_cuts_is_counted)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(
        &bench, "web",
        "containers: [{name: c, image: 'img:1', lifecycle: {preStop: {sleep: {seconds: 20}}}}]");
    static const struct pod_kill kill = {
        .has_grace = true, .grace_s = 1, .reason = "Evicted", .message = "no room"};
    pods_kill(bench.pods, "u-web", &kill);
    bench_until(&bench, fake_runtime_running(bench.fake, "web-n", "c") == 0);
    assert_figures(bench, {"kubelet_sleep_action_terminated_early_total", "", 1});
    bench_finish(&bench);
}

#define PROBED                                                                                     \
    "containers: [{name: c, image: 'img:1', readinessProbe: {exec: {command: [ready]}}, "          \
    "livenessProbe: {exec: {command: [live]}, failureThreshold: 100}}]"

TEST_CASE(probes_are_counted_until_their_pod_goes)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", PROBED);
    static const char total[] = "prober_probe_total", took[] = "prober_probe_duration_seconds",
                      good[] = "c,default,web-n,u-web,Readiness,successful",
                      labels[] = "c,default,web-n,Readiness";
    bench_until(&bench, metrics_value(bench.probe_metrics, total, good) >= 1);
    assert_int_equal(metrics_count(bench.probe_metrics, took, labels), 1);
    assert_float_equal(metrics_value(bench.metrics, total, good), -1, 0);
    bench_drop(&bench, "u-web");
    bench_tell(&bench);
    bench_until(&bench, !bench_has_pod(&bench, "u-web"));
    assert_float_equal(metrics_value(bench.probe_metrics, total, good), -1, 0);
    assert_int_equal(metrics_count(bench.probe_metrics, took, labels), -1);
    bench_finish(&bench);
}

TEST_MAIN(TEST(a_pod_that_comes_to_run_is_counted_all_along),
          TEST(gauges_show_the_pods_as_they_are), TEST(ends_and_restarts_are_counted_by_reason),
          TEST(a_uid_that_comes_back_is_a_restarted_pod), TEST(orphans_are_counted_once),
          TEST(failed_starts_are_counted_by_what_failed), TEST(pulls_are_timed_by_the_image_s_size),
          TEST(a_sleep_that_the_grace_period_cuts_is_counted),
          TEST(probes_are_counted_until_their_pod_goes))
