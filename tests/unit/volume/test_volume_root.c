#include "volume/volume.h"

#include "volume/mountinfo.h"
#include "volume_test.h"

static const struct mountinfo_entry *mount_of(struct arena *arena, const char *path)
{
    struct mountinfo_table table;
    assert_no_error(mountinfo_read_blocking(arena, &table));
    return mountinfo_find_containing(&table, path);
}

TEST_CASE(a_root_that_is_not_clean_is_refused)
{
    AUTO(scratch) struct scratch *scratch = scratch_new();
    const char *doubled = arena_printf(scratch->arena, "%s//x/", scratch->dir);
    const char *want = arena_printf(
        scratch->arena, "rootDirectory not in canonical form: expected %s/x, was %s//x/",
        scratch->dir, scratch->dir);
    assert_error_message(volume_root_prepare_blocking(doubled), want);
    assert_false(is_there(at(scratch, "x")));
    assert_error_code(volume_root_prepare_blocking("relative"), ERROR_INVALID_ARGUMENT);
}

TEST_CASE(the_root_gets_its_directories_and_a_shared_mount_once)
{
    enter_own_mounts();
    AUTO(scratch) struct scratch *scratch = scratch_new();
    const char *root = at(scratch, "kubelet");
    mode_t old = umask(022);
    assert_no_error(volume_root_prepare_blocking(root));
    (void)umask(old);
    static const char *const dirs[] = {"kubelet", "kubelet/pods", "kubelet/plugins",
                                       "kubelet/plugins_registry"};
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
        assert_int_equal(mode_of(at(scratch, dirs[i])), 0750);
    const struct mountinfo_entry *entry = mount_of(scratch->arena, root);
    assert_string_equal(entry->mount_point, root);
    assert_true(entry->shared);
    int64_t id = entry->id;
    assert_no_error(volume_root_prepare_blocking(root));
    assert_int_equal(mount_of(scratch->arena, root)->id, id);
    assert_int_equal(umount2(root, 0), 0);
    assert_string_not_equal(mount_of(scratch->arena, root)->mount_point, root);
}

TEST_CASE(a_root_that_is_a_mount_already_is_shared_in_place)
{
    enter_own_mounts();
    AUTO(scratch) struct scratch *scratch = scratch_new();
    const char *root = make_dir_at(scratch, "kubelet");
    assert_int_equal(mount("tmpfs", root, "tmpfs", 0, "mode=0755"), 0);
    int64_t id = mount_of(scratch->arena, root)->id;
    assert_no_error(volume_root_prepare_blocking(root));
    assert_int_equal(mount_of(scratch->arena, root)->id, id);
    assert_true(mount_of(scratch->arena, root)->shared);
    assert_int_equal(mode_of(root), 0755);
    assert_int_equal(umount2(root, 0), 0);
}

TEST_CASE(noswap_detection_leaves_nothing_behind)
{
    enter_own_mounts();
    AUTO(scratch) struct scratch *scratch = scratch_new();
    const char *plugins = make_dir_at(scratch, "plugins");
    (void)volume_detect_tmpfs_noswap_blocking(scratch->dir);
    assert_int_equal(rmdir(plugins), 0);
}

TEST_MAIN(TEST(a_root_that_is_not_clean_is_refused),
          TEST(the_root_gets_its_directories_and_a_shared_mount_once),
          TEST(a_root_that_is_a_mount_already_is_shared_in_place),
          TEST(noswap_detection_leaves_nothing_behind))
