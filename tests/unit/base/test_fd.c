#include "base/fd.h"

#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char *file_new(const char *dir, const char *name, const char *text)
{
    char *path = path_join(dir, name);
    assert_no_error(fd_write_file_blocking(path, str_from(text), 0644));
    return path;
}

static void assert_file(const char *path, const char *want)
{
    AUTO(buf) struct buf buf;
    buf_init(&buf, 1 * MiB);
    assert_no_error(fd_read_file_blocking(path, &buf));
    assert_string_equal(buf_text(&buf), want);
}

static size_t entries_in(const char *path)
{
    DIR *dir = opendir(path);
    assert_non_null(dir);
    size_t count = 0;
    while (readdir(dir))
        count++;
    (void)closedir(dir);
    return count - 2;
}

TEST_CASE(closing_marks_the_descriptor_closed)
{
    int fd = open("/", O_RDONLY | O_CLOEXEC), number = fd;
    fd_close(&fd);
    assert_int_equal(fd, -1);
    assert_int_equal(fcntl(number, F_GETFD), -1);
    fd_close(&fd);
}

TEST_CASE(a_file_is_read_whole_up_to_the_cap)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *text = xcalloc(1, 20001);
    memset(text, 'x', 20000);
    AUTO(free) char *path = file_new(dir, "f", text);
    static const struct {
        const char *name;
        size_t cap;
        bool ok;
    } rows[] = {{"room", 30000, true},
                {"exact", 20000, true},
                {"one less", 19999, false},
                {"none", 0, false}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(buf) struct buf buf;
        buf_init(&buf, rows[i].cap);
        AUTO(error) struct error *err = fd_read_file_blocking(path, &buf);
        assert_int_equal(err == NULL, rows[i].ok);
        assert_int_equal(buf.len, rows[i].ok ? 20000 : 0);
        if (err)
            assert_int_equal(err->code, ERROR_RESOURCE_EXHAUSTED);
    }
}

TEST_CASE(reading_appends_and_a_failure_leaves_what_was_there)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *path = file_new(dir, "f", "abcdef");
    AUTO(buf) struct buf buf;
    buf_init(&buf, 10);
    buf_add_text(&buf, "01");
    assert_no_error(fd_read_file_blocking(path, &buf));
    assert_string_equal(buf_text(&buf), "01abcdef");
    assert_error_code(fd_read_file_blocking(path, &buf), ERROR_RESOURCE_EXHAUSTED);
    assert_string_equal(buf_text(&buf), "01abcdef");
}

TEST_CASE(an_empty_file_reads_as_an_empty_text)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *path = file_new(dir, "f", "");
    assert_file(path, "");
}

TEST_CASE(files_whose_size_the_kernel_does_not_tell_are_read)
{
    AUTO(buf) struct buf buf;
    buf_init(&buf, 1 * MiB);
    assert_no_error(fd_read_file_blocking("/proc/self/status", &buf));
    assert_non_null(strstr(buf_text(&buf), "Name:"));
}

TEST_CASE(what_is_no_regular_file_is_refused_without_waiting)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *fifo = path_join(dir, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    AUTO(free) char *missing = path_join(dir, "missing");
    AUTO(buf) struct buf buf;
    buf_init(&buf, 100);
    assert_error_code(fd_read_file_blocking(fifo, &buf), ERROR_INVALID_ARGUMENT);
    assert_error_code(fd_read_file_blocking(dir, &buf), ERROR_INVALID_ARGUMENT);
    assert_error_code(fd_read_file_blocking("/dev/zero", &buf), ERROR_INVALID_ARGUMENT);
    assert_error_code(fd_read_file_blocking(missing, &buf), ERROR_NOT_FOUND);
    assert_error_code(fd_read_tail_blocking(fifo, 10, &buf), ERROR_INVALID_ARGUMENT);
}

TEST_CASE(a_file_is_read_by_its_name_in_a_directory)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *path = file_new(dir, "f", "abc");
    AUTO(fd) int dir_fd = open(dir, O_PATH | O_CLOEXEC);
    AUTO(buf) struct buf buf;
    buf_init(&buf, 100);
    assert_no_error(fd_read_file_at_blocking(dir_fd, "f", &buf));
    assert_string_equal(buf_text(&buf), "abc");
}

TEST_CASE(the_tail_of_a_file_is_its_last_bytes)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *path = file_new(dir, "f", "0123456789");
    static const struct {
        size_t max;
        const char *want;
    } rows[] = {
        {3, "789"}, {10, "0123456789"}, {11, "0123456789"}, {0, ""}, {SIZE_MAX, "0123456789"}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(buf) struct buf buf;
        buf_init(&buf, 100);
        assert_no_error(fd_read_tail_blocking(path, rows[i].max, &buf));
        assert_string_equal(buf_text(&buf), rows[i].want);
    }
    AUTO(buf) struct buf small;
    buf_init(&small, 4);
    assert_no_error(fd_read_tail_blocking(path, 4, &small));
    assert_string_equal(buf_text(&small), "6789");
    assert_error_code(fd_read_tail_blocking(path, 5, &small), ERROR_RESOURCE_EXHAUSTED);
}

TEST_CASE(a_control_file_is_written_but_never_made)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *path = file_new(dir, "cpu.max", "max 100000\n");
    assert_no_error(fd_write_control_file(path, STR_LITERAL("5 10")));
    assert_file(path, "5 10");
    AUTO(free) char *missing = path_join(dir, "missing");
    assert_error_code(fd_write_control_file(missing, STR_LITERAL("1")), ERROR_NOT_FOUND);
    assert_int_equal(entries_in(dir), 1);
}

TEST_CASE(replacing_sets_content_and_exact_mode_and_leaves_nothing_behind)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *path = path_join(dir, "state");
    mode_t old_mask = umask(077);
    assert_no_error(fd_replace_file_blocking(path, STR_LITERAL("one"), 0644));
    (void)umask(old_mask);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0644);
    assert_file(path, "one");

    assert_no_error(fd_replace_file_blocking(path, STR_LITERAL("a\0b"), 0600));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(info.st_size, 3);
    assert_int_equal(entries_in(dir), 1);
}

TEST_CASE(a_name_as_long_as_the_file_system_allows_can_be_replaced)
{
    AUTO(tempdir) char *dir = tempdir_new();
    char name[256] = {0};
    memset(name, 'n', 255);
    AUTO(free) char *path = path_join(dir, name);
    assert_no_error(fd_replace_file_blocking(path, STR_LITERAL("x"), 0600));
    assert_file(path, "x");
}

TEST_CASE(a_replacement_that_fails_leaves_all_as_it_was)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *taken = path_join(dir, "d");
    AUTO(free) char *inside = path_join(dir, "d/f");
    assert_no_error(fd_mkdir_all(taken, 0755));
    assert_no_error(fd_write_file_blocking(inside, STR_LITERAL("x"), 0600));
    assert_error_code(fd_replace_file_blocking(taken, STR_LITERAL("y"), 0600),
                      ERROR_FAILED_PRECONDITION);
    assert_int_equal(entries_in(dir), 1);
    assert_file(inside, "x");

    AUTO(free) char *nowhere = path_join(dir, "missing/f");
    assert_error_code(fd_replace_file_blocking(nowhere, STR_LITERAL("y"), 0600), ERROR_NOT_FOUND);
    assert_error_code(fd_replace_file_blocking("/", STR_LITERAL("y"), 0600),
                      ERROR_INVALID_ARGUMENT);
}

TEST_CASE(replacing_a_link_does_not_write_through_it)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *target = file_new(dir, "target", "old");
    AUTO(free) char *link = path_join(dir, "link");
    assert_int_equal(symlink("target", link), 0);
    assert_no_error(fd_replace_file_blocking(link, STR_LITERAL("new"), 0600));
    assert_file(target, "old");
    assert_file(link, "new");
}

TEST_CASE(opening_beneath_never_leaves_the_directory)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *inner = path_join(dir, "inner/sub");
    assert_no_error(fd_mkdir_all(inner, 0755));
    AUTO(free) char *outside = file_new(dir, "outside", "secret");
    AUTO(free) char *inside = file_new(dir, "inner/file", "text");
    AUTO(free) char *up = path_join(dir, "inner/up");
    AUTO(free) char *absolute = path_join(dir, "inner/absolute");
    AUTO(free) char *near = path_join(dir, "inner/near");
    AUTO(free) char *magic = path_join(dir, "inner/magic");
    assert_int_equal(symlink("../outside", up), 0);
    assert_int_equal(symlink(outside, absolute), 0);
    assert_int_equal(symlink("sub/../file", near), 0);
    assert_int_equal(symlink("/proc/self/root", magic), 0);
    AUTO(free) char *root = path_join(dir, "inner");
    AUTO(fd) int dir_fd = open(root, O_PATH | O_CLOEXEC);

    static const struct {
        const char *relative;
        bool no_symlinks, ok;
    } rows[] = {
        {"file", true, true},
        {"sub/../file", true, true},
        {"near", false, true},
        {"near", true, false},
        {"up", false, false},
        {"absolute", false, false},
        {"../outside", false, false},
        {"/etc", false, false},
        {"magic", false, false},
        {"missing", false, false},
        {"sub/../../outside", false, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(fd) int fd = -1;
        AUTO(error)
        struct error *err =
            fd_open_beneath(dir_fd, rows[i].relative, O_RDONLY, 0, rows[i].no_symlinks, &fd);
        if ((err == NULL) != rows[i].ok || (fd >= 0) != rows[i].ok)
            fail_msg("%s", rows[i].relative);
        if (fd >= 0)
            assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    }
}

TEST_CASE(a_file_can_be_made_beneath_with_its_mode)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(fd) int dir_fd = open(dir, O_PATH | O_CLOEXEC);
    AUTO(fd) int fd = -1;
    assert_no_error(fd_open_beneath(dir_fd, "new", O_WRONLY | O_CREAT | O_EXCL, 0600, true, &fd));
    struct stat info;
    assert_int_equal(fstat(fd, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    int again = -1;
    assert_error_code(
        fd_open_beneath(dir_fd, "new", O_WRONLY | O_CREAT | O_EXCL, 0600, true, &again),
        ERROR_ALREADY_EXISTS);
}

TEST_MAIN(TEST(closing_marks_the_descriptor_closed), TEST(a_file_is_read_whole_up_to_the_cap),
          TEST(reading_appends_and_a_failure_leaves_what_was_there),
          TEST(an_empty_file_reads_as_an_empty_text),
          TEST(files_whose_size_the_kernel_does_not_tell_are_read),
          TEST(what_is_no_regular_file_is_refused_without_waiting),
          TEST(a_file_is_read_by_its_name_in_a_directory),
          TEST(the_tail_of_a_file_is_its_last_bytes),
          TEST(a_control_file_is_written_but_never_made),
          TEST(replacing_sets_content_and_exact_mode_and_leaves_nothing_behind),
          TEST(a_name_as_long_as_the_file_system_allows_can_be_replaced),
          TEST(a_replacement_that_fails_leaves_all_as_it_was),
          TEST(replacing_a_link_does_not_write_through_it),
          TEST(opening_beneath_never_leaves_the_directory),
          TEST(a_file_can_be_made_beneath_with_its_mode))
