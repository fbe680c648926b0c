#include "stats/dir_usage.h"
#include "tests/lib/tempdir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

/* What the test has made, counted beside the walk. */
struct made {
    uint64_t bytes, inodes;
};

static void note(struct made *made, const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    made->bytes += (uint64_t)st.st_blocks * 512;
    made->inodes++;
}

static char *make_file(const char *dir, const char *name, size_t size)
{
    char *path = path_join(dir, name);
    AUTO(free) char *content = xcalloc(1, size + 1);
    memset(content, 'x', size);
    assert_no_error(fd_write_file_blocking(path, (struct str){.ptr = content, .len = size}, 0600));
    return path;
}

static void assert_usage(const char *path, const struct made *want)
{
    struct dir_usage usage = {0};
    assert_no_error(dir_usage_measure_blocking(path, &usage));
    assert_int_equal(usage.inodes, want->inodes);
    assert_int_equal(usage.bytes, want->bytes);
}

TEST_CASE(files_directories_and_links_count_by_their_blocks)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *big = make_file(dir, "big", 100000);
    AUTO(free) char *sub = path_join(dir, "sub");
    assert_int_equal(mkdir(sub, 0700), 0);
    AUTO(free) char *small = make_file(sub, "small", 1);
    AUTO(free) char *link = path_join(sub, "link");
    assert_int_equal(symlink("/usr", link), 0);
    struct made made = {0};
    const char *const paths[] = {dir, big, sub, small, link};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        note(&made, paths[i]);
    assert_true(made.bytes >= 100000);
    assert_usage(dir, &made);
}

TEST_CASE(an_inode_counts_once_however_many_links_it_has)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *file = make_file(dir, "file", 50000);
    struct made made = {0};
    for (int i = 0; i < 20; i++) {
        AUTO(free) char *other = xasprintf("%s/link%d", dir, i);
        assert_int_equal(link(file, other), 0);
    }
    note(&made, dir);
    note(&made, file);
    assert_usage(dir, &made);
}

/* More inodes with two links each than are remembered. */
TEST_CASE(links_of_more_inodes_than_are_remembered_count_in_shares)
{
    AUTO(tempdir) char *dir = tempdir_new();
    struct made made = {0};
    AUTO(fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < DIR_USAGE_MAX_LINKED + 100; i++) {
        AUTO(free) char *name = xasprintf("%s/a%d", dir, i);
        AUTO(free) char *second = xasprintf("%s/b%d", dir, i);
        AUTO(fd) int file = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(file >= 0);
        assert_int_equal(link(name, second), 0);
        note(&made, name);
    }
    note(&made, dir);
    assert_usage(dir, &made);
}

/* Each level has a file besides the next directory, so that each listing goes on after the walk has
 * come back to it. */
static void make_chain(const char *dir, size_t depth, struct made *made)
{
    AUTO(free) char *at = xstrdup(dir);
    note(made, at);
    for (size_t i = 0; i < depth; i++) {
        for (int k = 0; k < 3; k++) {
            AUTO(free) char *name = xasprintf("file%d", k);
            AUTO(free) char *file = make_file(at, name, 5000);
            note(made, file);
        }
        char *next = path_join(at, "next");
        free(at);
        at = next;
        assert_int_equal(mkdir(at, 0700), 0);
    }
}

TEST_CASE(a_deep_tree_is_counted_whole)
{
    AUTO(tempdir) char *dir = tempdir_new();
    struct made made = {0};
    make_chain(dir, 100, &made);
    /* The directories below the top, once they have all they will have. */
    AUTO(free) char *at = xstrdup(dir);
    for (int i = 0; i < 100; i++) {
        char *next = path_join(at, "next");
        free(at);
        at = next;
        note(&made, at);
    }
    assert_usage(dir, &made);
}

TEST_CASE(what_is_nested_deeper_than_a_path_can_say_is_an_error)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(fd) int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char name[201];
    memset(name, 'd', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (size_t len = 0; len <= PATH_MAX; len += sizeof(name)) {
        assert_int_equal(mkdirat(at, name, 0700), 0);
        int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        fd_close(&at);
        at = next;
    }
    struct dir_usage usage = {.bytes = 7};
    assert_error_code(dir_usage_measure_blocking(dir, &usage), ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(usage.bytes, 7);
}

TEST_CASE(a_link_is_not_followed_at_the_top)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *link = path_join(dir, "link");
    assert_int_equal(symlink(dir, link), 0);
    struct dir_usage usage;
    AUTO(error) struct error *err = dir_usage_measure_blocking(link, &usage);
    assert_non_null(err);
    assert_int_equal(err->os_errno, ELOOP);
    assert_error_code(dir_usage_file_blocking(link, &usage), err->code);
    assert_error_code(dir_usage_files_blocking(link, &usage), ERROR_FAILED_PRECONDITION);
}

TEST_CASE(what_is_not_there_is_not_found)
{
    struct dir_usage usage;
    assert_error_code(dir_usage_measure_blocking("/nowhere/at/all", &usage), ERROR_NOT_FOUND);
    assert_error_code(dir_usage_files_blocking("/nowhere/at/all", &usage), ERROR_NOT_FOUND);
    assert_error_code(dir_usage_file_blocking("/nowhere/at/all", &usage), ERROR_NOT_FOUND);
}

TEST_CASE(the_files_of_a_directory_count_without_it_and_what_is_below)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *first = make_file(dir, "0.log", 9000);
    AUTO(free) char *second = make_file(dir, "1.log", 1);
    AUTO(free) char *sub = path_join(dir, "sub");
    assert_int_equal(mkdir(sub, 0700), 0);
    AUTO(free) char *below = make_file(sub, "2.log", 1);
    struct made made = {0};
    note(&made, first);
    note(&made, second);
    struct dir_usage usage;
    assert_no_error(dir_usage_files_blocking(dir, &usage));
    assert_int_equal(usage.inodes, 2);
    assert_int_equal(usage.bytes, made.bytes);
    assert_no_error(dir_usage_file_blocking(second, &usage));
    assert_int_equal(usage.inodes, 1);
}

TEST_MAIN(TEST(files_directories_and_links_count_by_their_blocks),
          TEST(an_inode_counts_once_however_many_links_it_has),
          TEST(links_of_more_inodes_than_are_remembered_count_in_shares),
          TEST(a_deep_tree_is_counted_whole),
          TEST(what_is_nested_deeper_than_a_path_can_say_is_an_error),
          TEST(a_link_is_not_followed_at_the_top), TEST(what_is_not_there_is_not_found),
          TEST(the_files_of_a_directory_count_without_it_and_what_is_below))
