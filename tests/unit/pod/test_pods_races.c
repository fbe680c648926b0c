/* What happens to a pod while something else is under way for it. */
#include "pods_bench.h"

#define OTHER "containers: [{name: c, image: 'other:1'}]" /* an image that must be pulled */

/* Tells what is wanted until the call of @method that goes wrong has been made. */
static void tell_until_hit(struct bench *bench, enum runtime_method method, enum fake_effect effect)
{
    bench_fault(bench, method, effect);
    bench_tell(bench);
    bench_until(bench, fake_runtime_was_hit(bench->fake, NULL));
}

static void end_pod(struct bench *bench, const char *name)
{
    const char *uid = arena_printf(bench->arena, "u-%s", name);
    bench_drop(bench, uid);
    bench_tell(bench);
    bench_rest(bench);
    bench_assert_gone(bench, arena_printf(bench->arena, "%s-n", name), uid);
}

/* Pods a, b and z with room for one at a time; the first makes its sandbox. */
static void begin_with_one_slot(struct bench *bench, const char *spec_of_z)
{
    bench_init(bench);
    bench->env.max_parallel_starts = 1;
    bench_start(bench);
    bench_want(bench, "a", BENCH_WEB);
    bench_want(bench, "b", BENCH_WEB);
    bench_want(bench, "z", spec_of_z);
    tell_until_hit(bench, RUNTIME_RUN_POD_SANDBOX, FAKE_HELD);
}

TEST_CASE(only_so_many_pods_start_at_the_same_time)
{
    struct bench bench;
    begin_with_one_slot(&bench, BENCH_WEB);
    bench_idle(&bench);
    assert_int_equal(fake_runtime_count(bench.fake, RUNTIME_RUN_POD_SANDBOX), 1);
    fake_runtime_release(bench.fake);
    bench_rest(&bench);
    assert_int_equal(fake_runtime_running(bench.fake, NULL, "c"), 3);
    bench_finish(&bench);
}

TEST_CASE(a_slot_goes_to_the_next_pod_when_the_first_in_line_cannot_use_it)
{
    struct bench bench;
    begin_with_one_slot(&bench, "hostNetwork: true, " BENCH_WEB);
    fake_runtime_set_network_ready(bench.fake, false);
    fake_runtime_restart(bench.fake, false);
    bench_until(&bench, fake_runtime_count(bench.fake, RUNTIME_STATUS) == 2);
    bench_idle(&bench);
    fake_runtime_release(bench.fake);
    bench_rest(&bench);
    assert_int_equal(fake_runtime_running(bench.fake, "b-n", "c"), 0);
    assert_int_equal(fake_runtime_running(bench.fake, "z-n", "c"), 1);
    bench_finish(&bench);
}

TEST_CASE(a_pod_that_comes_back_while_it_is_ended_starts_anew)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", BENCH_WEB);
    struct pod_object *object = pod_object_ref(bench.wanted[0]);
    bench_drop(&bench, "u-web");
    fake_runtime_clear_transcript(bench.fake);
    tell_until_hit(&bench, RUNTIME_STOP_CONTAINER, FAKE_HELD);
    bench.wanted[bench.n_wanted++] = object;
    bench_tell(&bench);
    fake_runtime_release(bench.fake);
    bench_until(&bench, !bench_look(&bench, "u-web").view.terminating);
    bench_rest(&bench);
    assert_string_equal(bench_transcript(&bench), "StopContainer web-n.c/0 30\n"
                                                  "StopPodSandbox web-n/0\n"
                                                  "RemoveContainer web-n.c/0\n"
                                                  "StopPodSandbox web-n/0\n"
                                                  "RemovePodSandbox web-n/0\n"
                                                  "RunPodSandbox web-n/0\n"
                                                  "CreateContainer web-n.c/0\n"
                                                  "StartContainer web-n.c/0\n");
    bench_finish(&bench);
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
    bench_want(&bench, "one", OTHER);
    bench_want(&bench, "two", "containers: [{name: c, image: 'other:2'}]");
    bench_want(&bench, "web", BENCH_WEB);
    bench_tell(&bench);
    /* Neither the pull nor the wait for its turn keeps others from starting. */
    bench_until(&bench, fake_runtime_running(bench.fake, "web-n", "c") == 1);
    bench_until(&bench, bench_events(&bench, "u-two", "Pulling") == 1);
    bench_drop(&bench, "u-one");
    end_pod(&bench, "two");
    bench_assert_gone(&bench, "one-n", "u-one");
    bench_finish(&bench);
}

TEST_CASE(a_pod_can_go_while_its_post_start_hook_hangs)
{
    struct bench bench;
    bench_init(&bench);
    bench_start(&bench);
    bench_want(&bench, "web",
               "containers: [{name: c, image: 'img:1', "
               "lifecycle: {postStart: {exec: {command: [hang]}}}}]");
    tell_until_hit(&bench, RUNTIME_EXEC_SYNC, FAKE_HUNG);
    end_pod(&bench, "web");
    assert_non_null(strstr(bench_transcript(&bench), "StopContainer web-n.c/0 30\n"));
    bench_finish(&bench);
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
    bench_start(&bench);
    bench_want(&bench, "web", OTHER);
    tell_until_hit(&bench, IMAGE_PULL_IMAGE, FAKE_HUNG);
    bench_until(&bench, text_eq(condition(&bench, "u-web", "PodReadyToStartContainers"), "True"));
    fake_runtime_kill_sandbox(bench.fake, "web-n");
    bench_until(&bench, text_eq(condition(&bench, "u-web", "PodReadyToStartContainers"), "False"));
    bench_finish(&bench);
}

TEST_CASE(a_pod_whose_containers_vanished_can_be_removed)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", BENCH_WEB);
    fake_runtime_forget(bench.fake);
    end_pod(&bench, "web");
    bench_finish(&bench);
}

/* A list that was made before a container and comes after it says nothing about that container. */
TEST_CASE(a_list_that_was_overtaken_hides_no_container)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_hold(bench.fake, IMAGE_PULL_IMAGE, true);
    bench_start(&bench);
    bench_want(&bench, "web", OTHER);
    bench_tell(&bench);
    bench_until(&bench, fake_runtime_count(bench.fake, IMAGE_PULL_IMAGE) == 1);
    fake_runtime_hold(bench.fake, RUNTIME_LIST_CONTAINERS, true);
    size_t lists = fake_runtime_count(bench.fake, RUNTIME_LIST_CONTAINERS);
    fake_runtime_poke(bench.fake, "web-n");
    bench_until(&bench, fake_runtime_count(bench.fake, RUNTIME_LIST_CONTAINERS) == lists + 1);
    fake_runtime_hold(bench.fake, IMAGE_PULL_IMAGE, false);
    bench_until(&bench, bench_events(&bench, "u-web", "Started") == 1);
    bench_idle(&bench);
    fake_runtime_hold(bench.fake, RUNTIME_LIST_CONTAINERS, false);
    bench_rest(&bench);
    assert_int_equal(fake_runtime_count(bench.fake, RUNTIME_CREATE_CONTAINER), 1);
    assert_string_equal(bench_state(&bench, "u-web", "c"), "running");
    bench_finish(&bench);
}

/* --- another spec under the same uid --- */

#define WITH_VOLUME(name)                                                                          \
    "volumes: [{name: " name ", emptyDir: {}}], containers: [{name: c, image: 'img:1', "           \
    "volumeMounts: [{name: " name ", mountPath: /v}]}]"

static void want_instead(struct bench *bench, const char *spec)
{
    bench_drop(bench, "u-web");
    bench_want(bench, "web", spec);
    bench_tell(bench);
}

struct change_of_mind {
    struct bench *bench;
    struct loop_timer *timer;
    const char *spec; /* NULL: changed */
};

/* Looks between any two callbacks: volumes are mounted within one turn. */
static void change_mind(void *ctx)
{
    struct change_of_mind *mind = ctx;
    if (text_eq(bench_look(mind->bench, "u-web").view.doing, "EnsureVolumes"))
        want_instead(mind->bench, TAKE(mind->spec));
    else
        loop_timer_start(mind->timer, 0);
}

TEST_CASE(volumes_that_a_spec_asks_for_while_older_ones_are_mounted_are_mounted_too)
{
    struct bench bench;
    bench_init(&bench);
    bench_start(&bench);
    struct change_of_mind mind = {.bench = &bench, .spec = WITH_VOLUME("new")};
    mind.timer = loop_timer_new(bench.loop, "change of mind", change_mind, &mind);
    loop_timer_start(mind.timer, 0);
    bench_want(&bench, "web", WITH_VOLUME("old"));
    bench_tell(&bench);
    bench_until(&bench, !mind.spec);
    bench_rest(&bench);
    assert_string_equal(bench_state(&bench, "u-web", "c"), "running");
    assert_true(bench_exists(&bench, "root/pods/u-web/volumes/kubernetes.io~empty-dir/new"));
    loop_timer_free(mind.timer);
    bench_finish(&bench);
}

TEST_CASE(a_probe_that_failed_and_is_wanted_no_more_kills_no_more)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "c", .hook_exit_code = 5});
    bench_start(&bench);
    bench_want(&bench, "web",
               "containers: [{name: c, image: 'img:1', livenessProbe: {exec: {command: [check]}, "
               "periodSeconds: 1, failureThreshold: 1}}]");
    tell_until_hit(&bench, RUNTIME_STOP_CONTAINER, FAKE_HELD);
    want_instead(&bench, BENCH_WEB);
    fake_runtime_release(bench.fake);
    bench_rest(&bench);
    assert_string_equal(bench_state(&bench, "u-web", "c"), "running");
    assert_int_equal(fake_runtime_count(bench.fake, RUNTIME_STOP_CONTAINER), 1);
    bench_finish(&bench);
}

/* --- clean-up --- */

TEST_CASE(a_pod_that_is_removed_while_it_is_cleaned_up_leaves_nothing_behind)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", "restartPolicy: Never, " WITH_VOLUME("v"));
    fake_runtime_exit(bench.fake, "web-n", "c", 0);
    bench_until(&bench, text_eq(bench_look(&bench, "u-web").view.doing, "CleanDisk"));
    end_pod(&bench, "web");
    bench_finish(&bench);
}

TEST_MAIN(TEST(only_so_many_pods_start_at_the_same_time),
          TEST(a_slot_goes_to_the_next_pod_when_the_first_in_line_cannot_use_it),
          TEST(a_pod_that_comes_back_while_it_is_ended_starts_anew),
          TEST(a_pod_can_go_while_its_image_is_pulled_for_ever),
          TEST(a_pod_can_go_while_its_post_start_hook_hangs),
          TEST(a_sandbox_that_dies_during_a_pull_is_noticed),
          TEST(a_pod_whose_containers_vanished_can_be_removed),
          TEST(a_list_that_was_overtaken_hides_no_container),
          TEST(volumes_that_a_spec_asks_for_while_older_ones_are_mounted_are_mounted_too),
          TEST(a_probe_that_failed_and_is_wanted_no_more_kills_no_more),
          TEST(a_pod_that_is_removed_while_it_is_cleaned_up_leaves_nothing_behind))
