#include "volume/subpath.h"
#include "volume/volume.h"

#include "volume_test.h"

#include <pthread.h>
#include <stdatomic.h>

static struct error *prepare(const struct scratch *scratch, const char *sub_path, char **ret_target)
{
    const struct volume_subpath request = {.pod_uid = "uid",
                                           .volume_path = at(scratch, "volume"),
                                           .inner_name = "data",
                                           .container = "web",
                                           .mount_index = 3,
                                           .sub_path = sub_path};
    return volume_subpath_prepare_blocking(at(scratch, "root"), &request, ret_target);
}

static void clean(const struct scratch *scratch)
{
    assert_no_error(subpath_clean_blocking(at(scratch, "root/pods/uid")));
    assert_false(is_there(at(scratch, "root/pods/uid/volume-subpaths")));
}

static struct scratch *volume_new(void)
{
    struct scratch *scratch = scratch_new();
    (void)make_dir_at(scratch, "volume");
    (void)make_dir_at(scratch, "root/pods/uid");
    return scratch;
}

TEST_CASE(requests_that_no_api_server_lets_through_are_refused)
{
    static const struct {
        const char *sub_path, *message;
    } rows[] = {
        {"/etc", "error SubPath `/etc` must not be an absolute path"},
        {"a/../../b", "unable to provision SubPath `a/../../b`: must not contain '..'"},
        {"..", "unable to provision SubPath `..`: must not contain '..'"},
    };
    AUTO(scratch) struct scratch *scratch = volume_new();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char *target = NULL;
        assert_error_message(prepare(scratch, rows[i].sub_path, &target), rows[i].message);
        assert_null(target);
    }
    const struct volume_subpath climbing = {.pod_uid = "uid",
                                            .volume_path = at(scratch, "volume"),
                                            .inner_name = "..",
                                            .container = "web",
                                            .sub_path = "a"};
    char *target = NULL;
    assert_error_code(volume_subpath_prepare_blocking(at(scratch, "root"), &climbing, &target),
                      ERROR_INVALID_ARGUMENT);
}

TEST_CASE(paths_that_leave_the_volume_are_refused_without_saying_why)
{
    static const char vague[] =
        "failed to prepare subPath for volumeMount \"data\" of container \"web\"";
    static const char vague_create[] =
        "failed to create subPath directory for volumeMount \"data\" of container \"web\"";
    static const struct {
        const char *link, *destination, *sub_path, *message;
    } rows[] = {
        {"volume/up", "../outside", "up", vague},
        {"volume/up", "../outside", "up/file", vague},
        {"volume/up", "../outside", "up/new/deep", vague_create},
        {"volume/etc", "/etc", "etc", vague},
        {"volume/etc", "/etc", "etc/passwd", vague},
        {"volume/etc", "/etc", "etc/cubelet-test-must-not-appear", vague_create},
        {"volume/dangling", "/nowhere/at/all", "dangling", vague_create},
        {"volume/dangling", "nowhere", "dangling", vague_create},
        {"volume/self", "self", "self", vague},
        {"volume/magic", "/proc/self/cwd", "magic", vague},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(scratch) struct scratch *scratch = volume_new();
        (void)make_dir_at(scratch, "outside");
        (void)make_file_at(scratch, "outside/file", "secret");
        (void)make_link_at(scratch, rows[i].link, rows[i].destination);
        char *target = NULL;
        AUTO(error) struct error *err = prepare(scratch, rows[i].sub_path, &target);
        if (!err)
            fail_msg("%s -> %s, subPath %s: accepted", rows[i].link, rows[i].destination,
                     rows[i].sub_path);
        assert_string_equal(err->message, rows[i].message);
        assert_null(target);
        assert_false(is_there(at(scratch, "outside/new")));
        assert_false(is_there(at(scratch, "root/pods/uid/volume-subpaths")));
    }
    assert_false(is_there("/etc/cubelet-test-must-not-appear"));
}

TEST_CASE(a_file_where_a_directory_must_be_is_refused)
{
    AUTO(scratch) struct scratch *scratch = volume_new();
    (void)make_file_at(scratch, "volume/file", "");
    char *target = NULL;
    AUTO(error) struct error *err = prepare(scratch, "file/below", &target);
    assert_non_null(err);
    assert_content(at(scratch, "volume/file"), "");
}

TEST_CASE(a_missing_directory_is_made_with_the_volumes_mode)
{
    enter_own_mounts();
    AUTO(scratch) struct scratch *scratch = volume_new();
    assert_int_equal(chmod(at(scratch, "volume"), 02770), 0);
    (void)make_dir_at(scratch, "volume/there");
    AUTO(free) char *target = NULL;
    assert_no_error(prepare(scratch, "there//a/./b", &target));
    assert_string_equal(target, at(scratch, "root/pods/uid/volume-subpaths/data/web/3"));
    assert_int_equal(mode_of(at(scratch, "volume/there/a")), 02770);
    assert_int_equal(mode_of(at(scratch, "volume/there/a/b")), 02770);
    assert_int_equal(mode_of(at(scratch, "root/pods/uid/volume-subpaths")), 0750);
    (void)make_file_at(scratch, "volume/there/a/b/f", "hello");
    assert_content(at(scratch, "root/pods/uid/volume-subpaths/data/web/3/f"), "hello");
    clean(scratch);
    assert_content(at(scratch, "volume/there/a/b/f"), "hello");
}

TEST_CASE(files_and_links_inside_the_volume_are_bound)
{
    enter_own_mounts();
    AUTO(scratch) struct scratch *scratch = volume_new();
    (void)make_dir_at(scratch, "volume/real");
    (void)make_file_at(scratch, "volume/real/f", "hello");
    (void)make_link_at(scratch, "volume/relative", "real/f");
    (void)make_link_at(scratch, "volume/absolute", at(scratch, "volume/real/f"));
    static const char *const paths[] = {"real/f", "relative", "absolute"};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        AUTO(free) char *target = NULL;
        assert_no_error(prepare(scratch, paths[i], &target));
        assert_content(target, "hello");
        clean(scratch);
    }
}

TEST_CASE(a_bind_is_reused_until_its_source_is_replaced)
{
    enter_own_mounts();
    AUTO(scratch) struct scratch *scratch = volume_new();
    (void)make_file_at(scratch, "volume/f", "one");
    AUTO(free) char *target = NULL, *again = NULL, *replaced = NULL, *directory = NULL;
    assert_no_error(prepare(scratch, "f", &target));
    assert_no_error(prepare(scratch, "f", &again));
    assert_content(again, "one");

    (void)make_file_at(scratch, "volume/g", "two");
    assert_int_equal(rename(at(scratch, "volume/g"), at(scratch, "volume/f")), 0);
    assert_content(target, "one");
    assert_no_error(prepare(scratch, "f", &replaced));
    assert_content(replaced, "two");

    assert_int_equal(unlink(at(scratch, "volume/f")), 0);
    assert_no_error(prepare(scratch, "f", &directory));
    (void)make_file_at(scratch, "volume/f/inside", "three");
    assert_content(at(scratch, "root/pods/uid/volume-subpaths/data/web/3/inside"), "three");
    clean(scratch);
}

TEST_CASE(cleaning_takes_stacked_and_unmounted_leftovers)
{
    enter_own_mounts();
    AUTO(scratch) struct scratch *scratch = volume_new();
    const char *dir = make_dir_at(scratch, "root/pods/uid/volume-subpaths/data/web/0");
    (void)make_dir_at(scratch, "root/pods/uid/volume-subpaths/data/web/2");
    (void)make_file_at(scratch, "root/pods/uid/volume-subpaths/data/web/1", "");
    assert_int_equal(mount(at(scratch, "volume"), dir, NULL, MS_BIND, NULL), 0);
    assert_int_equal(mount("tmpfs", dir, "tmpfs", 0, NULL), 0);
    clean(scratch);
    assert_no_error(subpath_clean_blocking(at(scratch, "root/pods/uid")));
}

/* --- a pod that keeps swapping a directory for a link --- */

struct swapper {
    const char *dir, *spare, *link;
    atomic_bool stop;
};

static void *swap_until_stopped(void *ctx)
{
    struct swapper *swapper = ctx;
    while (!atomic_load(&swapper->stop)) {
        (void)!rename(swapper->dir, swapper->spare);
        (void)!symlink(swapper->link, swapper->dir);
        (void)!unlink(swapper->dir);
        (void)!rename(swapper->spare, swapper->dir);
    }
    return NULL;
}

TEST_CASE(a_racing_swap_never_yields_anything_outside)
{
    enter_own_mounts();
    AUTO(scratch) struct scratch *scratch = volume_new();
    (void)make_dir_at(scratch, "volume/dir");
    (void)make_dir_at(scratch, "outside");
    (void)make_file_at(scratch, "volume/dir/f", "mine");
    (void)make_file_at(scratch, "outside/f", "secret");
    struct swapper swapper = {.dir = at(scratch, "volume/dir"),
                              .spare = at(scratch, "volume/spare"),
                              .link = at(scratch, "outside")};
    /* One subPath through the name that is swapped; failing is fine, binding the secret is not. */
    pthread_t thread;
    int log_to = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int saved = dup(2);
    assert_int_equal(dup2(log_to, 2), 2);
    assert_int_equal(pthread_create(&thread, NULL, swap_until_stopped, &swapper), 0);
    bool leaked = false;
    for (size_t i = 0; i < 500 && !leaked; i++) {
        AUTO(free) char *target = NULL;
        AUTO(error) struct error *err = prepare(scratch, "dir/f", &target);
        AUTO(buf) struct buf text = {0};
        buf_init(&text, 64);
        if (!err)
            error_ignore(fd_read_file_blocking(target, &text), "the pod may have made a directory");
        leaked = strstr(buf_text(&text), "secret") != NULL;
    }
    atomic_store(&swapper.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(dup2(saved, 2), 2);
    fd_close(&saved);
    fd_close(&log_to);
    assert_false(leaked);
    assert_no_error(subpath_clean_blocking(at(scratch, "root/pods/uid")));
    assert_content(at(scratch, "outside/f"), "secret");
}

TEST_MAIN(TEST(requests_that_no_api_server_lets_through_are_refused),
          TEST(paths_that_leave_the_volume_are_refused_without_saying_why),
          TEST(a_file_where_a_directory_must_be_is_refused),
          TEST(a_missing_directory_is_made_with_the_volumes_mode),
          TEST(files_and_links_inside_the_volume_are_bound),
          TEST(a_bind_is_reused_until_its_source_is_replaced),
          TEST(cleaning_takes_stacked_and_unmounted_leftovers),
          TEST(a_racing_swap_never_yields_anything_outside))
