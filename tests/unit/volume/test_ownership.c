#include "volume/ownership.h"

#include "volume_test.h"

/* Only root may give files to any group; anybody may give them to his own. */
static gid_t some_group(void)
{
    return geteuid() == 0 ? 2000 : getegid();
}

static gid_t group_of(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_gid;
}

static void chmod_at(const char *path, mode_t mode)
{
    assert_int_equal(chmod(path, mode), 0);
}

TEST_CASE(everything_goes_to_the_group_and_links_are_not_followed)
{
    static const struct {
        bool read_only;
        mode_t file, script, dir, root;
    } rows[] = {{false, 0660, 0770, 02770, 02777}, {true, 0640, 0750, 02750, 02777}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(scratch) struct scratch *scratch = scratch_new();
        const char *volume = make_dir_at(scratch, "v");
        const char *dir = make_dir_at(scratch, "v/d/e");
        const char *file = make_file_at(scratch, "v/d/e/f", "");
        const char *script = make_file_at(scratch, "v/script", "");
        const char *outside = make_file_at(scratch, "outside", "");
        (void)make_link_at(scratch, "v/link", outside);
        (void)make_link_at(scratch, "v/loop", "loop");
        chmod_at(volume, 0777);
        chmod_at(dir, 0700);
        chmod_at(file, 0600);
        chmod_at(script, 0710);
        chmod_at(outside, 0600);
        const struct volume_ownership ownership = {.fs_group = some_group(),
                                                   .read_only = rows[i].read_only};
        assert_no_error(volume_ownership_apply_blocking(volume, &ownership));
        assert_int_equal(mode_of(file), rows[i].file);
        assert_int_equal(mode_of(script), rows[i].script);
        assert_int_equal(mode_of(dir), rows[i].dir);
        assert_int_equal(mode_of(volume), rows[i].root);
        assert_int_equal(mode_of(outside), 0600);
        assert_int_equal(group_of(file), some_group());
        assert_int_equal(group_of(volume), some_group());
        assert_int_equal(group_of(at(scratch, "v/link")), some_group());
        if (geteuid() == 0)
            assert_int_equal(group_of(outside), 0);
    }
}

TEST_CASE(on_root_mismatch_a_root_that_is_right_ends_the_work)
{
    AUTO(scratch) struct scratch *scratch = scratch_new();
    const char *volume = make_dir_at(scratch, "v");
    const struct volume_ownership ownership = {.fs_group = some_group(), .on_root_mismatch = true};
    chmod_at(volume, 0700);
    assert_no_error(volume_ownership_apply_blocking(volume, &ownership));
    assert_int_equal(mode_of(volume), 02770);

    const char *late = make_file_at(scratch, "v/late", "");
    chmod_at(late, 0600);
    assert_no_error(volume_ownership_apply_blocking(volume, &ownership));
    assert_int_equal(mode_of(late), 0600);

    chmod_at(volume, 0770);
    assert_no_error(volume_ownership_apply_blocking(volume, &ownership));
    assert_int_equal(mode_of(late), 0660);
}

TEST_CASE(a_group_out_of_range_and_a_missing_volume_are_errors)
{
    AUTO(scratch) struct scratch *scratch = scratch_new();
    static const int64_t groups[] = {-1, INT64_C(0xffffffff), INT64_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        const struct volume_ownership ownership = {.fs_group = groups[i]};
        assert_error_code(volume_ownership_apply_blocking(scratch->dir, &ownership),
                          ERROR_INVALID_ARGUMENT);
    }
    const struct volume_ownership ownership = {.fs_group = some_group()};
    assert_error_code(volume_ownership_apply_blocking(at(scratch, "gone"), &ownership),
                      ERROR_NOT_FOUND);
}

TEST_CASE(an_absurdly_deep_tree_is_an_error_not_a_crash)
{
    AUTO(scratch) struct scratch *scratch = scratch_new();
    int fd = open(scratch->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(mkdirat(fd, "d", 0755), 0);
        int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fd_close(&fd);
        fd = next;
    }
    fd_close(&fd);
    const struct volume_ownership ownership = {.fs_group = some_group()};
    assert_error_code(volume_ownership_apply_blocking(scratch->dir, &ownership),
                      ERROR_RESOURCE_EXHAUSTED);
}

TEST_MAIN(TEST(everything_goes_to_the_group_and_links_are_not_followed),
          TEST(on_root_mismatch_a_root_that_is_right_ends_the_work),
          TEST(a_group_out_of_range_and_a_missing_volume_are_errors),
          TEST(an_absurdly_deep_tree_is_an_error_not_a_crash))
