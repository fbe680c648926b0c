#include "base/fd.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

static void make_file(const char *dir, const char *name)
{
    AUTO(free) char *path = path_join(dir, name);
    assert_no_error(fd_write_file_blocking(path, STR_LITERAL("x"), 0600));
}

TEST_CASE(missing_parents_are_made_and_existing_ones_keep_their_mode)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *first = path_join(dir, "a");
    AUTO(free) char *all = xasprintf("%s/a//b/./c/", dir);
    mode_t old_mask = umask(022);
    assert_int_equal(mkdir(first, 0700), 0);
    assert_no_error(fd_mkdir_all(all, 0777));
    assert_no_error(fd_mkdir_all(all, 0700));
    (void)umask(old_mask);
    struct stat info;
    assert_int_equal(stat(first, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    assert_int_equal(stat(all, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0755);
    assert_no_error(fd_mkdir_all("/", 0755));
    assert_no_error(fd_mkdir_all(".", 0755));
}

TEST_CASE(a_file_in_the_way_of_a_directory_is_an_error)
{
    AUTO(tempdir) char *dir = tempdir_new();
    make_file(dir, "f");
    AUTO(free) char *at = path_join(dir, "f");
    AUTO(free) char *below = path_join(dir, "f/g");
    assert_error_code(fd_mkdir_all(at, 0755), ERROR_FAILED_PRECONDITION);
    assert_error_code(fd_mkdir_all(below, 0755), ERROR_FAILED_PRECONDITION);
}

TEST_CASE(a_link_to_a_directory_counts_as_one)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *real = path_join(dir, "real");
    AUTO(free) char *link = path_join(dir, "link");
    AUTO(free) char *below = path_join(dir, "link/x");
    assert_no_error(fd_mkdir_all(real, 0755));
    assert_int_equal(symlink("real", link), 0);
    assert_no_error(fd_mkdir_all(link, 0755));
    assert_no_error(fd_mkdir_all(below, 0755));
}

TEST_CASE(what_is_missing_counts_as_removed)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *missing = path_join(dir, "missing");
    AUTO(free) char *deeper = path_join(dir, "missing/too");
    assert_no_error(fd_remove_tree_blocking(missing));
    assert_no_error(fd_remove_tree_blocking(deeper));
}

TEST_CASE(names_that_are_no_entries_are_refused)
{
    static const char *const rows[] = {"", ".", "..", "/", "a/..", "../..", "//"};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_error_code(fd_remove_tree_blocking(rows[i]), ERROR_INVALID_ARGUMENT);
}

TEST_CASE(a_single_file_is_removed)
{
    AUTO(tempdir) char *dir = tempdir_new();
    make_file(dir, "f");
    AUTO(free) char *path = path_join(dir, "f");
    assert_no_error(fd_remove_tree_blocking(path));
    assert_false(exists(path));
}

TEST_CASE(a_wide_tree_is_removed_whole)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *tree = path_join(dir, "tree");
    for (int i = 0; i < 30; i++) {
        AUTO(free) char *sub = xasprintf("%s/d%d/e", tree, i);
        assert_no_error(fd_mkdir_all(sub, 0755));
        for (int j = 0; j < 10; j++) {
            AUTO(free) char *name = xasprintf("f%d", j);
            make_file(sub, name);
        }
    }
    AUTO(free) char *fifo = path_join(tree, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    AUTO(free) char *slashed = xasprintf("%s//", tree);
    assert_no_error(fd_remove_tree_blocking(slashed));
    assert_false(exists(tree));
}

TEST_CASE(links_are_removed_and_never_followed)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *keep = path_join(dir, "keep");
    AUTO(free) char *tree = path_join(dir, "tree");
    assert_no_error(fd_mkdir_all(keep, 0755));
    assert_no_error(fd_mkdir_all(tree, 0755));
    make_file(keep, "f");
    AUTO(free) char *in_tree = path_join(tree, "link");
    AUTO(free) char *loop_link = path_join(tree, "loop");
    AUTO(free) char *itself = path_join(dir, "itself");
    AUTO(free) char *kept = path_join(keep, "f");
    assert_int_equal(symlink(keep, in_tree), 0);
    assert_int_equal(symlink("..", loop_link), 0);
    assert_int_equal(symlink("keep", itself), 0);
    assert_no_error(fd_remove_tree_blocking(tree));
    assert_no_error(fd_remove_tree_blocking(itself));
    assert_false(exists(tree));
    assert_false(exists(itself));
    assert_true(exists(kept));
}

/* Nests @depth directories, each with a file, without ever using a path that is too long. */
static void make_deep(const char *path, int depth)
{
    assert_int_equal(mkdir(path, 0755), 0);
    AUTO(fd) int at = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < depth; i++) {
        AUTO(fd) int file = openat(at, "f", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(file >= 0);
        assert_int_equal(mkdirat(at, "a-rather-long-directory-name", 0755), 0);
        int below = openat(at, "a-rather-long-directory-name", O_RDONLY | O_CLOEXEC);
        assert_true(below >= 0);
        fd_close(&at);
        at = below;
    }
}

TEST_CASE(a_tree_of_any_depth_is_removed)
{
    static const int depths[] = {1, 14, 15, 16, 17, 31, 32, 33, 1000};
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *tree = path_join(dir, "tree");
    for (size_t i = 0; i < ARRAY_SIZE(depths); i++) {
        make_deep(tree, depths[i]);
        assert_no_error(fd_remove_tree_blocking(tree));
        assert_false(exists(tree));
    }
}

TEST_CASE(names_used_for_moving_deep_directories_may_be_taken)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *tree = path_join(dir, "tree");
    make_deep(tree, 40);
    for (int i = 0; i < 3; i++) {
        AUTO(free) char *name = xasprintf(".cubelet-removing-%d", i);
        make_file(tree, name);
    }
    assert_no_error(fd_remove_tree_blocking(tree));
    assert_false(exists(tree));
}

enum { CHILD_OK, CHILD_CANNOT_MOUNT, CHILD_WRONG };

/* In a mount namespace of its own: binds @source to @target and removes @tree, which must fail. */
static int remove_with_mount(const char *source, const char *target, const char *tree)
{
    if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return CHILD_CANNOT_MOUNT;
    if (mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount(source, target, "none", MS_BIND, NULL) < 0)
        return CHILD_CANNOT_MOUNT;
    AUTO(error) struct error *err = fd_remove_tree_blocking(tree);
    return error_is(err, ERROR_FAILED_PRECONDITION) ? CHILD_OK : CHILD_WRONG;
}

TEST_CASE(a_mount_point_is_neither_entered_nor_removed)
{
    static const struct {
        const char *name, *source, *target, *tree;
    } rows[] = {
        {"a directory below", "keep", "tree/mnt/dir", "tree"},
        {"a file below", "keep/f", "tree/mnt/file", "tree"},
        {"the tree itself", "keep", "tree/mnt/dir", "tree/mnt/dir"},
        {"the file itself", "keep/f", "tree/mnt/file", "tree/mnt/file"},
    };
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *keep = path_join(dir, "keep");
    assert_no_error(fd_mkdir_all(keep, 0755));
    make_file(keep, "f");
    AUTO(free) char *kept = path_join(keep, "f");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(free) char *mnt = path_join(dir, "tree/mnt/dir");
        assert_no_error(fd_mkdir_all(mnt, 0755));
        make_file(dir, "tree/mnt/file");
        AUTO(free) char *source = path_join(dir, rows[i].source);
        AUTO(free) char *target = path_join(dir, rows[i].target);
        AUTO(free) char *tree = path_join(dir, rows[i].tree);
        pid_t child = fork();
        if (child == 0)
            _exit(remove_with_mount(source, target, tree));
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_CANNOT_MOUNT) {
            print_message("mounting is not permitted here\n");
            skip();
        }
        if (!WIFEXITED(status) || WEXITSTATUS(status) != CHILD_OK)
            fail_msg("%s", rows[i].name);
        assert_true(exists(kept));
    }
}

TEST_MAIN(TEST(missing_parents_are_made_and_existing_ones_keep_their_mode),
          TEST(a_file_in_the_way_of_a_directory_is_an_error),
          TEST(a_link_to_a_directory_counts_as_one), TEST(what_is_missing_counts_as_removed),
          TEST(names_that_are_no_entries_are_refused), TEST(a_single_file_is_removed),
          TEST(a_wide_tree_is_removed_whole), TEST(links_are_removed_and_never_followed),
          TEST(a_tree_of_any_depth_is_removed),
          TEST(names_used_for_moving_deep_directories_may_be_taken),
          TEST(a_mount_point_is_neither_entered_nor_removed))
