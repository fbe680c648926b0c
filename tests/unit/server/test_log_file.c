#include "server/log_file.h"
#include "tests/lib/tempdir.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What is to happen right after the end of a file was seen; once. */
static struct {
    void (*run)(void *ctx);
    void *ctx;
} at_end;

/* In place of the C library's. */
ssize_t pread(int fd, void *bytes, size_t size, off_t offset)
{
    ssize_t got = syscall(SYS_pread64, fd, bytes, size, offset);
    if (got == 0 && at_end.run) {
        void (*run)(void *ctx) = at_end.run;
        at_end.run = NULL;
        run(at_end.ctx);
    }
    return got;
}

static int file_of(const char *text, size_t len)
{
    int fd = memfd_create("log", MFD_CLOEXEC);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    return fd;
}

TEST_CASE(the_tail_begins_where_so_many_lines_are_left)
{
    static const struct {
        const char *text;
        int64_t lines, want;
    } rows[] = {
        {"", 3, 0},          {"a\n", 0, 2},       {"a\n", 1, 0},        {"a\nb\nc\n", 1, 4},
        {"a\nb\nc\n", 2, 2}, {"a\nb\nc\n", 3, 0}, {"a\nb\nc\n", 99, 0}, {"a\nb\nc", 1, 2},
        {"a\nb\nc", 0, 4},   {"a", 0, 0},         {"\n\n\n", 2, 1},     {"\n\n\n", INT64_MAX, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(fd) int fd = file_of(rows[i].text, strlen(rows[i].text));
        int64_t offset = -1;
        assert_no_error(log_tail_start_blocking(fd, rows[i].lines, &offset));
        assert_int_equal(offset, rows[i].want);
    }
}

TEST_CASE(the_tail_is_found_across_blocks)
{
    enum { LINES = 5000, WIDTH = 11 };
    AUTO(buf) struct buf text;
    buf_init(&text, 1 * MiB);
    for (int i = 0; i < LINES; i++)
        buf_printf(&text, "%010d\n", i);
    AUTO(fd) int fd = file_of(text.data, text.len);
    for (int64_t lines = 0; lines <= LINES; lines += 7) {
        int64_t offset = -1;
        assert_no_error(log_tail_start_blocking(fd, lines, &offset));
        assert_int_equal(offset, (LINES - lines) * WIDTH);
    }
}

static void write_log(const char *dir, const char *name, const char *text)
{
    AUTO(free) char *path = path_join(dir, name);
    assert_no_error(fd_write_file_blocking(path, str_from(text), 0600));
}

static void assert_piece(struct log_piece *piece, const char *want, bool reopened)
{
    log_piece_read_blocking(piece);
    if (piece->err)
        fail_msg("%s", piece->err->message);
    assert_int_equal(piece->len, strlen(want));
    assert_memory_equal(piece->data, want, piece->len);
    assert_int_equal(piece->reopened, reopened);
}

TEST_CASE(a_rotated_log_goes_on_in_the_new_file)
{
    AUTO(tempdir) char *dir = tempdir_new();
    write_log(dir, "0.log", "one\ntwo\n");
    AUTO(log_piece) struct log_piece *piece = log_piece_new(dir, "0.log", 1);
    piece->reopens = true;
    assert_piece(piece, "two\n", false);
    assert_piece(piece, "", false);
    log_piece_drop_data(piece);

    AUTO(free) char *path = path_join(dir, "0.log");
    AUTO(free) char *rotated = path_join(dir, "0.log.1");
    AUTO(fd) int old = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(rename(path, rotated), 0);
    assert_piece(piece, "", false);
    assert_int_equal(write(old, "late\n", 5), 5);
    write_log(dir, "0.log", "new\n");
    assert_piece(piece, "late\n", false);
    assert_piece(piece, "new\n", true);
    assert_int_equal(truncate(path, 0), 0);
    assert_piece(piece, "", true);
}

static void write_more_and_rotate(void *ctx)
{
    const char *dir = ctx;
    AUTO(free) char *path = path_join(dir, "0.log");
    AUTO(free) char *rotated = path_join(dir, "0.log.1");
    AUTO(fd) int old = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(old, "late\n", 5), 5);
    assert_int_equal(rename(path, rotated), 0);
    write_log(dir, "0.log", "new\n");
}

TEST_CASE(what_is_written_between_the_end_and_the_rotation_is_not_lost)
{
    AUTO(tempdir) char *dir = tempdir_new();
    write_log(dir, "0.log", "one\n");
    AUTO(log_piece) struct log_piece *piece = log_piece_new(dir, "0.log", -1);
    piece->reopens = true;
    assert_piece(piece, "one\n", false);
    at_end.run = write_more_and_rotate;
    at_end.ctx = dir;
    assert_piece(piece, "late\n", false);
    assert_piece(piece, "new\n", true);
}

TEST_CASE(a_missing_log_is_told_of_in_upstreams_words)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(log_piece) struct log_piece *piece = log_piece_new(dir, "a/0.log", -1);
    log_piece_read_blocking(piece);
    AUTO(free)
    char *want = xasprintf("failed to try resolving symlinks in path \"%s/a/0.log\": lstat "
                           "%s/a/0.log: no such file or directory",
                           dir, dir);
    assert_error_message(TAKE(piece->err), want);
}

TEST_CASE(what_is_no_log_below_the_folder_is_refused)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *link = path_join(dir, "link.log");
    AUTO(free) char *fifo = path_join(dir, "fifo.log");
    assert_int_equal(symlink("/etc/passwd", link), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    static const char *const names[] = {"link.log", "fifo.log", "missing.log", "../x", "."};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        AUTO(log_piece) struct log_piece *piece = log_piece_new(dir, names[i], -1);
        log_piece_read_blocking(piece);
        if (!piece->err)
            fail_msg("%s was read", names[i]);
    }
}

TEST_MAIN(TEST(the_tail_begins_where_so_many_lines_are_left), TEST(the_tail_is_found_across_blocks),
          TEST(a_rotated_log_goes_on_in_the_new_file),
          TEST(what_is_written_between_the_end_and_the_rotation_is_not_lost),
          TEST(a_missing_log_is_told_of_in_upstreams_words),
          TEST(what_is_no_log_below_the_folder_is_refused))
