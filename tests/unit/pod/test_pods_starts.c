/*
 * The steps of a container's start that only some containers have, in real time: files for the
 * environment, the link to the log; and pods that end in the middle of it.
 */
#include "pods_bench.h"

#include <sys/stat.h>
#include <unistd.h>

#define VOLUME "root/pods/u-web/volumes/kubernetes.io~empty-dir/v"
#define LINK "links/web-n_default_c-container-2.log"

/* A container whose variable A is key K of @path in the volume "v". */
#define READS(path, more)                                                                          \
    "volumes: [{name: v, emptyDir: {}}], containers: [{name: c, image: 'img:1', " more             \
    "env: [{name: A, valueFrom: {fileKeyRef: {volumeName: v, path: '" path                         \
    "', key: K, optional: true}}}]}]"

#define MOUNTS "volumeMounts: [{name: v, mountPath: /v}], "

/* A=… of the running container. */
static const char *value_of(const struct bench *bench)
{
    const Cri__ContainerConfig *config = fake_runtime_config(bench->fake, "web-n", "c");
    assert_non_null(config);
    if (config->n_envs == 0)
        return "nothing";
    assert_int_equal(config->n_envs, 1);
    return arena_strndup(bench->arena, (const char *)config->envs[0]->value.data,
                         config->envs[0]->value.len);
}

static const char *waiting_message(const struct bench *bench)
{
    const Core__ContainerStatus *status = bench_container(bench, "u-web", "c");
    bool waits = status && status->state && status->state->waiting;
    return waits && status->state->waiting->message ? status->state->waiting->message : "";
}

/* The volume is there and the container's start has failed for want of its file. */
static void begin_without_file(struct bench *bench, const char *spec)
{
    bench_init(bench);
    bench_start(bench);
    bench_want(bench, "web", spec);
    bench_tell(bench);
    bench_until(bench, text_eq(bench_state(bench, "u-web", "c"), "CreateContainerConfigError"));
    assert_string_equal(waiting_message(bench), "couldn't parse env file");
    assert_int_equal(fake_runtime_count(bench->fake, RUNTIME_CREATE_CONTAINER), 0);
}

TEST_CASE(a_file_in_a_volume_gives_a_variable)
{
    static const struct {
        const char *name, *content, *want;
    } rows[] = {
        {"a value", "# mine\nB='b'\nK='two\nlines'\n", "two\nlines"},
        {"an empty one that may miss", "K=\n", "nothing"},
        {"an empty file", "", "nothing"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct bench bench;
        begin_without_file(&bench, READS("f", MOUNTS));
        bench_write(bench_path(&bench, VOLUME "/f"), rows[i].content);
        bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "running"));
        assert_string_equal(value_of(&bench), rows[i].want);
        bench_finish(&bench);
    }
}

TEST_CASE(a_file_may_be_reached_by_a_link_that_stays_in_its_volume)
{
    struct bench bench;
    begin_without_file(&bench, READS("d/f", MOUNTS));
    assert_no_error(fd_mkdir_all(bench_path(&bench, VOLUME "/real"), 0755));
    bench_write(bench_path(&bench, VOLUME "/real/g"), "K='v'");
    assert_int_equal(symlink("g", bench_path(&bench, VOLUME "/real/f")), 0);
    assert_int_equal(symlink("real", bench_path(&bench, VOLUME "/d")), 0);
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "running"));
    assert_string_equal(value_of(&bench), "v");
    bench_finish(&bench);
}

/* Makes at @path what a container could make of its file. */
static void make_link_out(const struct bench *bench, const char *path)
{
    bench_write(bench_path(bench, "root/outside"), "K='secret'");
    assert_int_equal(symlink("../../../../outside", path), 0);
}

static void make_absolute_link(const struct bench *bench, const char *path)
{
    bench_write(bench_path(bench, "root/outside"), "K='secret'");
    assert_int_equal(symlink(bench_path(bench, "root/outside"), path), 0);
}

static void make_fifo(const struct bench *bench, const char *path)
{
    (void)bench;
    assert_int_equal(mkfifo(path, 0666), 0);
}

static void make_folder(const struct bench *bench, const char *path)
{
    (void)bench;
    assert_int_equal(mkdir(path, 0755), 0);
}

/* The key is there, right at its beginning. */
static void make_huge(const struct bench *bench, const char *path)
{
    bench_write(path, "K='v'\n");
    assert_int_equal(truncate(path, 2 * MiB), 0);
    (void)bench;
}

static void make_malformed(const struct bench *bench, const char *path)
{
    (void)bench;
    bench_write(path, "K=v\n");
}

TEST_CASE(a_hostile_file_is_not_read)
{
    static const struct {
        const char *name;
        void (*make)(const struct bench *bench, const char *path);
    } rows[] = {
        {"a link out of the volume", make_link_out},
        {"an absolute link", make_absolute_link},
        {"a fifo", make_fifo},
        {"a folder", make_folder},
        {"one beyond any environment", make_huge},
        {"one that is malformed", make_malformed},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct bench bench;
        begin_without_file(&bench, READS("f", MOUNTS));
        rows[i].make(&bench, bench_path(&bench, VOLUME "/f"));
        size_t tries = bench_events(&bench, "u-web", "Failed");
        bench_until(&bench, bench_events(&bench, "u-web", "Failed") > tries + 1);
        if (!text_eq(waiting_message(&bench), "couldn't parse env file"))
            fail_msg("%s: %s", rows[i].name, waiting_message(&bench));
        assert_int_equal(fake_runtime_count(bench.fake, RUNTIME_CREATE_CONTAINER), 0);
        bench_finish(&bench);
    }
}

TEST_CASE(a_sub_path_may_come_from_a_file)
{
    struct bench bench;
    begin_without_file(&bench,
                       READS("f", "volumeMounts: [{name: v, mountPath: /v, subPathExpr: $(A)}], "));
    bench_write(bench_path(&bench, VOLUME "/f"), "K='../..'");
    bench_until(&bench, strstr(waiting_message(&bench), ".."));
    assert_int_equal(fake_runtime_count(bench.fake, RUNTIME_CREATE_CONTAINER), 0);
    bench_finish(&bench);
}

/* Whoever collects logs shall not miss those of a container whose hook takes its time. */
TEST_CASE(the_log_is_linked_before_the_post_start_hook)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_hold(bench.fake, RUNTIME_START_CONTAINER, true);
    fake_runtime_hold(bench.fake, RUNTIME_EXEC_SYNC, true);
    bench_start(&bench);
    bench_want(&bench, "web",
               "containers: [{name: c, image: 'img:1', "
               "lifecycle: {postStart: {exec: {command: [hang]}}}}]");
    bench_tell(&bench);
    bench_until(&bench, fake_runtime_count(bench.fake, RUNTIME_START_CONTAINER) == 1);
    bench_write(bench_path(&bench, "logs/default_web-n_u-web/c/0.log"), "");
    fake_runtime_hold(bench.fake, RUNTIME_START_CONTAINER, false);
    bench_until(&bench, fake_runtime_count(bench.fake, RUNTIME_EXEC_SYNC) == 1);
    assert_true(bench_exists(&bench, LINK));
    fake_runtime_hold(bench.fake, RUNTIME_EXEC_SYNC, false);
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "running"));
    bench_finish(&bench);
}

TEST_CASE(a_failed_start_names_the_container_and_not_its_instance)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_fail(bench.fake,
                      &(struct fake_fault){.of_method = true,
                                           .method = RUNTIME_START_CONTAINER,
                                           .code = ERROR_UNKNOWN,
                                           .message = "container-2: no task container-2!"});
    bench_begin(&bench, "web", "containers: [{name: c, image: 'img:1'}]");
    struct bench_look look = bench_look(&bench, "u-web");
    const char *message = "";
    for (size_t i = 0; i < look.view.timeline->count; i++) {
        const struct timeline_entry *entry = timeline_at(look.view.timeline, i);
        if (text_eq(entry->reason, "Failed"))
            message = entry->message;
    }
    assert_string_equal(message, "Error: c: no task c!");
    assert_string_equal(bench_state(&bench, "u-web", "c"), "running");
    bench_finish(&bench);
}

TEST_CASE(a_pod_may_end_at_any_moment_of_a_start)
{
    for (size_t turns = 0; turns < 40; turns++) {
        struct bench bench;
        begin_without_file(
            &bench, READS("f", "lifecycle: {postStart: {exec: {command: [go]}}}, volumeMounts: "
                               "[{name: v, mountPath: /v, subPath: s}], "));
        bench_write(bench_path(&bench, VOLUME "/f"), "K='v'");
        for (size_t i = 0; i < turns; i++)
            loop_turn(bench.loop, 0);
        bench_drop(&bench, "u-web");
        bench_tell(&bench);
        bench_until(&bench, !bench_has_pod(&bench, "u-web"));
        bench_rest(&bench);
        bench_assert_gone(&bench, "web-n", "u-web");
        bench_finish(&bench);
    }
}

TEST_MAIN(TEST(a_file_in_a_volume_gives_a_variable),
          TEST(a_file_may_be_reached_by_a_link_that_stays_in_its_volume),
          TEST(a_hostile_file_is_not_read), TEST(a_sub_path_may_come_from_a_file),
          TEST(the_log_is_linked_before_the_post_start_hook),
          TEST(a_failed_start_names_the_container_and_not_its_instance),
          TEST(a_pod_may_end_at_any_moment_of_a_start))
