#include "pods_bench.h"

TEST_CASE(an_absent_image_with_policy_never_is_not_pulled)
{
    struct bench bench;
    bench_init(&bench);
    bench_start(&bench);
    bench_want(&bench, "web", "containers: [{name: c, image: 'other:1', imagePullPolicy: Never}]");
    bench_tell(&bench);
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "ErrImageNeverPull"));
    assert_int_equal(fake_runtime_count(bench.fake, IMAGE_PULL_IMAGE), 0);
    bench_finish(&bench);
}

TEST_CASE(an_image_is_pulled_once_for_if_not_present)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", "containers: [{name: c, image: 'other:1'}]");
    fake_runtime_exit(bench.fake, "web-n", "c", 3);
    bench_rest(&bench);
    assert_int_equal(bench_container(&bench, "u-web", "c")->restart_count, 1);
    assert_int_equal(fake_runtime_count(bench.fake, IMAGE_PULL_IMAGE), 1);
    assert_int_equal(bench_events(&bench, "u-web", "Pulling"), 1);
    bench_finish(&bench);
}

static void on_image(void *ctx)
{
    (*(size_t *)ctx)++;
}

TEST_CASE(a_pull_is_told_and_an_image_that_is_there_is_not)
{
    static const struct {
        const char *spec;
        size_t want;
    } rows[] = {{"containers: [{name: c, image: 'other:1'}]", 1},
                {"containers: [{name: c, image: 'img:1'}]", 0}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct bench bench;
        size_t images = 0;
        const struct pods_listener listener = {.on_image = on_image, .ctx = &images};
        bench_init(&bench);
        bench_start(&bench);
        pods_listen(bench.pods, &listener);
        bench_want(&bench, "web", rows[i].spec);
        bench_tell(&bench);
        bench_rest(&bench);
        assert_string_equal(bench_phase(&bench, "u-web"), "Running");
        assert_int_equal(images, rows[i].want);
        bench_finish(&bench);
    }
}

TEST_CASE(a_failed_pull_says_why_and_backs_off)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", "containers: [{name: c, image: 'absent:1'}]");
    assert_string_equal(bench_state(&bench, "u-web", "c"), "ImagePullBackOff");
    assert_string_equal(
        bench_container(&bench, "u-web", "c")->state->waiting->message,
        "Back-off pulling image \"absent:1\": ErrImagePull: rpc error: code = NotFound "
        "desc = failed to resolve reference \"absent:1\": not found");
    assert_int_equal(fake_runtime_count(bench.fake, IMAGE_PULL_IMAGE), 1);
    assert_string_equal(bench_phase(&bench, "u-web"), "Pending");
    assert_int_equal(bench_events(&bench, "u-web", "BackOff"), 1);
    bench_finish(&bench);
}

TEST_CASE(the_text_of_a_failed_pull_outlives_a_crash_loop_back_off)
{
    struct bench bench;
    bench_init(&bench);
    bench.env.backoff_max_ns = 60 * NS_PER_MS;
    bench_begin(&bench, "web", "containers: [{name: c, image: 'img:1', imagePullPolicy: Always}]");
    fake_runtime_fail(bench.fake, &(struct fake_fault){.of_method = true,
                                                       .method = IMAGE_PULL_IMAGE,
                                                       .times = SIZE_MAX,
                                                       .code = ERROR_UNAVAILABLE});
    fake_runtime_exit(bench.fake, "web-n", "c", 3);
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "CrashLoopBackOff"));
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "ImagePullBackOff"));
    assert_string_equal(
        bench_container(&bench, "u-web", "c")->state->waiting->message,
        "Back-off pulling image \"img:1\": ErrImagePull: rpc error: code = Unavailable "
        "desc = made to fail");
    bench_finish(&bench);
}

/* Nobody knows then whether it is meant to run as root. */
TEST_CASE(a_pulled_image_that_cannot_be_looked_at_is_not_run_as_root)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_fail(bench.fake, &(struct fake_fault){.of_method = true,
                                                       .method = IMAGE_IMAGE_STATUS,
                                                       .at = 2, /* after the pull */
                                                       .code = ERROR_UNAVAILABLE});
    bench_start(&bench);
    bench_want(&bench, "web", "containers: [{name: c, image: 'other:1'}]");
    bench_tell(&bench);
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "CreateContainerConfigError"));
    assert_int_equal(fake_runtime_count(bench.fake, IMAGE_PULL_IMAGE), 1);
    assert_int_equal(fake_runtime_count(bench.fake, RUNTIME_CREATE_CONTAINER), 0);
    bench_rest(&bench);
    assert_string_equal(bench_state(&bench, "u-web", "c"), "running");
    bench_finish(&bench);
}

TEST_MAIN(TEST(an_absent_image_with_policy_never_is_not_pulled),
          TEST(an_image_is_pulled_once_for_if_not_present),
          TEST(a_pull_is_told_and_an_image_that_is_there_is_not),
          TEST(a_failed_pull_says_why_and_backs_off),
          TEST(the_text_of_a_failed_pull_outlives_a_crash_loop_back_off),
          TEST(a_pulled_image_that_cannot_be_looked_at_is_not_run_as_root))
