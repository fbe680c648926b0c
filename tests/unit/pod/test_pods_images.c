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

/* --- what people are told (spec pods.md §6.3) --- */

/* The pod's events about its container so far, "<reason>: <message>" a line. */
static const char *events_of(const struct bench *bench, const char *uid)
{
    struct bench_look look = bench_look(bench, uid);
    const char *all = "";
    for (size_t i = 0; look.found && i < look.view.timeline->count; i++) {
        const struct timeline_entry *entry = timeline_at(look.view.timeline, i);
        if (text_eq(entry->container, "c"))
            all = arena_printf(bench->arena, "%s%s: %s\n", all, entry->reason, entry->message);
    }
    return all;
}

#define IMAGE(name, policy)                                                                        \
    "containers: [{name: c, image: '" name "', imagePullPolicy: " policy "}]"
#define PULL_FAILS(code_, text)                                                                    \
    {                                                                                              \
        .of_method = true, .method = IMAGE_PULL_IMAGE, .times = SIZE_MAX, .code = (code_),         \
        .message = (text)                                                                          \
    }

TEST_CASE(each_failure_has_its_reason_message_and_events)
{
    static const struct {
        const char *spec;
        struct fake_fault fault;
        const char *reason, *message, *events;
    } rows[] = {
        {IMAGE("UPPER:1", "IfNotPresent"),
         {0},
         "InvalidImageName",
         "Failed to apply default image tag \"UPPER:1\": couldn't parse image name \"UPPER:1\": "
         "invalid reference format: repository name (library/UPPER) must be lowercase",
         "InspectFailed: Failed to apply default image tag \"UPPER:1\": couldn't parse image name "
         "\"UPPER:1\": invalid reference format: repository name (library/UPPER) must be "
         "lowercase\nFailed: Error: InvalidImageName\n"},
        {IMAGE("img:1", "Never"),
         {.of_method = true,
          .method = IMAGE_IMAGE_STATUS,
          .times = SIZE_MAX,
          .code = ERROR_UNAVAILABLE,
          .message = "busy"},
         "ImageInspectError",
         "Failed to inspect image \"\": rpc error: code = Unavailable desc = busy",
         "InspectFailed: Failed to inspect image \"\": rpc error: code = Unavailable desc = "
         "busy\nFailed: Error: ImageInspectError\n"},
        {IMAGE("other:1", "Never"),
         {0},
         "ErrImageNeverPull",
         "Container image \"other:1\" is not present with pull policy of Never",
         "ErrImageNeverPull: Container image \"other:1\" is not present with pull policy of "
         "Never\nFailed: Error: ErrImageNeverPull\n"},
        {IMAGE("other:1", "IfNotPresent"), PULL_FAILS(ERROR_UNKNOWN, "no room"), "ErrImagePull",
         "no room",
         "Pulling: Pulling image \"other:1\"\nFailed: Failed to pull image \"other:1\": no "
         "room\nFailed: Error: ErrImagePull\n"},
        {IMAGE("other:1", "Always"), PULL_FAILS(ERROR_PERMISSION_DENIED, "no"), "ErrImagePull",
         "rpc error: code = PermissionDenied desc = no",
         "Pulling: Pulling image \"other:1\"\nFailed: Failed to pull image \"other:1\": rpc error: "
         "code = PermissionDenied desc = no\nFailed: Error: ErrImagePull\n"},
        {IMAGE("other:1", "Always"), PULL_FAILS(ERROR_UNKNOWN, "RegistryUnavailable: it is down"),
         "RegistryUnavailable",
         "image pull failed for other:1 because the registry is unavailable: it is down",
         "Pulling: Pulling image \"other:1\"\nFailed: Failed to pull image \"other:1\": "
         "RegistryUnavailable: it is down\nFailed: Error: RegistryUnavailable\n"},
        {IMAGE("other:1", "Always"), PULL_FAILS(ERROR_UNKNOWN, "SignatureValidationFailed: forged"),
         "SignatureValidationFailed",
         "image pull failed for other:1 because the signature validation failed: forged",
         "Pulling: Pulling image \"other:1\"\nFailed: Failed to pull image \"other:1\": "
         "SignatureValidationFailed: forged\nFailed: Error: SignatureValidationFailed\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct bench bench;
        bench_init(&bench);
        bench.env.retry_ns = 3600 * NS_PER_SEC; /* the first try is all there is */
        if (rows[i].fault.times > 0)
            fake_runtime_fail(bench.fake, &rows[i].fault);
        bench_begin(&bench, "web", rows[i].spec);
        assert_string_equal(bench_state(&bench, "u-web", "c"), rows[i].reason);
        assert_string_equal(bench_container(&bench, "u-web", "c")->state->waiting->message,
                            rows[i].message);
        assert_string_equal(events_of(&bench, "u-web"), rows[i].events);
        bench_finish(&bench);
    }
}

TEST_CASE(an_image_that_is_back_in_back_off_says_of_what)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_fail(bench.fake,
                      &(struct fake_fault)PULL_FAILS(ERROR_UNKNOWN, "RegistryUnavailable: down"));
    bench_begin(&bench, "web", IMAGE("other:1", "Always"));
    assert_string_equal(bench_state(&bench, "u-web", "c"), "ImagePullBackOff");
    assert_string_equal(bench_container(&bench, "u-web", "c")->state->waiting->message,
                        "Back-off pulling image \"other:1\": RegistryUnavailable: image pull "
                        "failed for other:1 because the registry is unavailable: down");
    assert_non_null(strstr(events_of(&bench, "u-web"),
                           "BackOff: Back-off pulling image \"other:1\"\nFailed: Error: "
                           "ImagePullBackOff\n"));
    bench_finish(&bench);
}

TEST_CASE(an_image_backs_off_for_each_pod_and_each_way_it_is_written)
{
    struct bench bench;
    bench_init(&bench);
    bench_want(&bench, "a", IMAGE("absent:1", "Always"));
    bench_want(&bench, "b", IMAGE("absent:1", "Always"));
    bench_begin(&bench, "c",
                "containers: [{name: c, image: 'absent:latest'}, {name: d, image: absent}, "
                "{name: e, image: absent}]");
    assert_int_equal(fake_runtime_count(bench.fake, IMAGE_PULL_IMAGE), 4);
    assert_string_equal(bench_state(&bench, "u-c", "e"), "ImagePullBackOff");
    bench_finish(&bench);
}

TEST_CASE(an_empty_token_bucket_fails_the_pull_at_once)
{
    struct bench bench;
    bench_init(&bench);
    pull_queue_free(bench.pulls);
    bench.pulls = pull_queue_new(&(struct pull_queue_options){.qps = 1, .burst = 1});
    bench.env.pulls = bench.pulls;
    bench.env.retry_ns = 3600 * NS_PER_SEC;
    bench_want(&bench, "a", IMAGE("one:1", "Always"));
    bench_begin(&bench, "b", IMAGE("two:1", "Always"));
    const char *a = bench_state(&bench, "u-a", "c"), *b = bench_state(&bench, "u-b", "c");
    bool a_runs = text_eq(a, "running");
    assert_string_equal(a_runs ? b : a, "ErrImagePull");
    const char *uid = a_runs ? "u-b" : "u-a", *image = a_runs ? "two:1" : "one:1";
    assert_string_equal(bench_container(&bench, uid, "c")->state->waiting->message,
                        "pull QPS exceeded");
    assert_non_null(strstr(events_of(&bench, uid),
                           arena_printf(bench.arena,
                                        "Pulling: Pulling image \"%s\"\nFailed: Failed to pull "
                                        "image \"%s\": pull QPS exceeded\n",
                                        image, image)));
    bench_finish(&bench);
}

TEST_CASE(an_image_that_is_there_does_not_queue_behind_a_pull)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_fail(bench.fake, &(struct fake_fault){.of_method = true,
                                                       .method = IMAGE_PULL_IMAGE,
                                                       .times = SIZE_MAX,
                                                       .effect = FAKE_HUNG});
    bench_start(&bench);
    bench_want(&bench, "slow", IMAGE("other:1", "IfNotPresent"));
    bench_want(&bench, "fast", IMAGE("img:1", "IfNotPresent"));
    bench_tell(&bench);
    bench_until(&bench, text_eq(bench_state(&bench, "u-fast", "c"), "running"));
    bench_until(&bench, pull_queue_running(bench.pulls) == 1);
    assert_string_equal(bench_state(&bench, "u-slow", "c"), "ContainerCreating");
    bench_done(&bench);
}

/* --- pull records --- */

static const char *intents(const struct bench *bench)
{
    const char *name =
        metrics_value(bench->metrics, "kubelet_imagemanager_ondisk_pullintents", "") > 0 ? "some"
                                                                                         : "none";
    return name;
}

static double checks(const struct bench *bench, const char *result)
{
    return metrics_value(bench->metrics, "kubelet_imagemanager_image_mustpull_checks_total",
                         result);
}

TEST_CASE(an_image_that_was_there_before_is_anybody_s)
{
    static const struct {
        bool has_records;
        const char *event;
    } rows[] = {
        {true, "Pulled: Container image \"img:1\" already present on machine and can be accessed "
               "by the pod\n"},
        {false, "Pulled: Container image \"img:1\" already present on machine\n"}, /* gate off */
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct bench bench;
        bench_init(&bench);
        if (!rows[i].has_records)
            bench.env.pull_records = NULL;
        bench_begin(&bench, "web", IMAGE("img:1", "IfNotPresent"));
        assert_string_equal(bench_state(&bench, "u-web", "c"), "running");
        assert_int_equal(strncmp(events_of(&bench, "u-web"), rows[i].event, strlen(rows[i].event)),
                         0);
        if (rows[i].has_records)
            assert_true(checks(&bench, "credentialPolicyAllowed") == 1);
        bench_finish(&bench);
    }
}

TEST_CASE(an_anonymous_pull_makes_an_image_anybody_s)
{
    struct bench bench;
    bench_init(&bench);
    bench_want(&bench, "a", IMAGE("other:1", "IfNotPresent"));
    bench_begin(&bench, "b", IMAGE("other:1", "IfNotPresent"));
    assert_string_equal(bench_state(&bench, "u-a", "c"), "running");
    assert_string_equal(bench_state(&bench, "u-b", "c"), "running");
    bench_want(&bench, "c", IMAGE("other:1", "Never"));
    bench_tell(&bench);
    bench_rest(&bench);
    assert_string_equal(bench_state(&bench, "u-c", "c"), "running");
    assert_true(checks(&bench, "credentialRecordFound") >= 1);
    assert_string_equal(intents(&bench), "none");
    bench_finish(&bench);
}

TEST_CASE(an_intent_is_on_disk_while_the_runtime_pulls)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_fail(bench.fake, &(struct fake_fault){.of_method = true,
                                                       .method = IMAGE_PULL_IMAGE,
                                                       .times = SIZE_MAX,
                                                       .effect = FAKE_HUNG});
    bench_start(&bench);
    bench_want(&bench, "web", IMAGE("other:1", "IfNotPresent"));
    bench_tell(&bench);
    bench_until(&bench, pull_queue_running(bench.pulls) == 1);
    assert_string_equal(intents(&bench), "some");
    bench_drop(&bench, "u-web"); /* and its pull is broken off */
    bench_tell(&bench);
    bench_until(&bench, text_eq(intents(&bench), "none"));
    bench_done(&bench);
}

TEST_CASE(a_failed_pull_leaves_no_intent)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", IMAGE("absent:1", "IfNotPresent"));
    assert_string_equal(bench_state(&bench, "u-web", "c"), "ImagePullBackOff");
    bench_until(&bench, text_eq(intents(&bench), "none"));
    bench_finish(&bench);
}

TEST_CASE(an_intent_that_cannot_be_written_keeps_the_image_from_being_pulled)
{
    struct bench bench;
    bench_init(&bench);
    for (size_t i = 0; i < 3; i++) /* what is there at the start is read */
        loop_turn(bench.loop, 0);
    assert_no_error(fd_remove_tree_blocking(bench_path(&bench, "root/image_manager/pulling")));
    bench.env.retry_ns = 3600 * NS_PER_SEC;
    bench_begin(&bench, "web", IMAGE("other:1", "IfNotPresent"));
    assert_non_null(
        strstr(bench_state(&bench, "u-web", "c"), "failed to record image pull intent: "));
    assert_non_null(strstr(bench_container(&bench, "u-web", "c")->state->waiting->message,
                           "Failed to record image pull intent for container image \"other:1\": "
                           "failed to record image pull intent: "));
    assert_int_equal(fake_runtime_count(bench.fake, IMAGE_PULL_IMAGE), 0);
    bench_finish(&bench);
}

TEST_MAIN(TEST(an_absent_image_with_policy_never_is_not_pulled),
          TEST(an_image_is_pulled_once_for_if_not_present),
          TEST(a_pull_is_told_and_an_image_that_is_there_is_not),
          TEST(a_failed_pull_says_why_and_backs_off),
          TEST(the_text_of_a_failed_pull_outlives_a_crash_loop_back_off),
          TEST(a_pulled_image_that_cannot_be_looked_at_is_not_run_as_root),
          TEST(each_failure_has_its_reason_message_and_events),
          TEST(an_image_that_is_back_in_back_off_says_of_what),
          TEST(an_image_backs_off_for_each_pod_and_each_way_it_is_written),
          TEST(an_empty_token_bucket_fails_the_pull_at_once),
          TEST(an_image_that_is_there_does_not_queue_behind_a_pull),
          TEST(an_image_that_was_there_before_is_anybody_s),
          TEST(an_anonymous_pull_makes_an_image_anybody_s),
          TEST(an_intent_is_on_disk_while_the_runtime_pulls), TEST(a_failed_pull_leaves_no_intent),
          TEST(an_intent_that_cannot_be_written_keeps_the_image_from_being_pulled))
