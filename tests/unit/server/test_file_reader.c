#include "server/file_reader.h"

#include "base/buf.h"
#include "base/fd.h"
#include "tests/lib/test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

struct desk {
    struct loop *loop;
    struct work_pool *pool;
    struct file_reader *reader;
    struct buf got;
    size_t pieces;
    char *error;
    bool frees;
};

static void on_piece(void *ctx, struct str bytes, struct error *err_owned)
{
    struct desk *desk = ctx;
    AUTO(error) struct error *err = err_owned;
    desk->pieces++;
    buf_add_str(&desk->got, bytes);
    if (err)
        desk->error = xstrdup(err->message);
    if (desk->frees)
        file_reader_free(TAKE(desk->reader));
}

static void desk_init(struct desk *desk, int fd, int64_t offset)
{
    *desk = (struct desk){0};
    assert_no_error(loop_new(&desk->loop));
    desk->pool = work_pool_new(desk->loop, 0);
    buf_init(&desk->got, 4 * MiB);
    desk->reader = file_reader_new(desk->pool, fd, offset, on_piece, desk);
}

static void desk_done(struct desk *desk)
{
    file_reader_free(desk->reader);
    loop_turn(desk->loop, 0);
    work_pool_free(desk->pool, NS_PER_SEC);
    loop_free(desk->loop);
    buf_done(&desk->got);
    free(desk->error);
}

/* @len bytes, counting. */
static int file_of(size_t len)
{
    int fd = memfd_create("file", MFD_CLOEXEC);
    for (size_t i = 0; i < len; i++) {
        char c = (char)('a' + i % 26);
        assert_int_equal(write(fd, &c, 1), 1);
    }
    return fd;
}

static void read_one(struct desk *desk, uint64_t most)
{
    size_t before = desk->pieces;
    file_reader_next(desk->reader, most);
    assert_int_equal(desk->pieces, before); /* not from inside the call */
    for (int i = 0; i < 5 && desk->pieces == before; i++)
        loop_turn(desk->loop, 0);
    assert_int_equal(desk->pieces, before + 1);
}

TEST_CASE(a_file_is_read_piece_by_piece_to_its_end)
{
    struct desk desk;
    int fd = file_of(FILE_READER_PIECE_BYTES + 100);
    int other = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    desk_init(&desk, fd, 2);
    read_one(&desk, 3);
    assert_string_equal(buf_text(&desk.got), "cde");
    read_one(&desk, UINT64_MAX);
    assert_int_equal(desk.got.len, 3 + FILE_READER_PIECE_BYTES);
    read_one(&desk, UINT64_MAX);
    assert_int_equal(desk.got.len, FILE_READER_PIECE_BYTES + 98);
    read_one(&desk, UINT64_MAX); /* the end */
    assert_int_equal(desk.got.len, FILE_READER_PIECE_BYTES + 98);
    assert_int_equal(write(other, "more", 4), 4); /* which is not the end for ever */
    read_one(&desk, UINT64_MAX);
    assert_int_equal(desk.got.len, FILE_READER_PIECE_BYTES + 102);
    assert_null(desk.error);
    fd_close(&other);
    desk_done(&desk);
}

TEST_CASE(what_cannot_be_read_is_an_error)
{
    struct desk desk;
    desk_init(&desk, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0);
    read_one(&desk, 10);
    assert_string_equal(desk.error, "read: Is a directory");
    assert_int_equal(desk.got.len, 0);
    desk_done(&desk);
}

TEST_CASE(a_reader_may_go_at_any_time)
{
    struct desk desk;
    desk_init(&desk, file_of(10), 0);
    desk.frees = true;
    read_one(&desk, 4);
    assert_null(desk.reader);
    desk_done(&desk);

    desk_init(&desk, file_of(10), 0);
    file_reader_next(desk.reader, 4);
    file_reader_free(TAKE(desk.reader));
    for (int i = 0; i < 3; i++)
        loop_turn(desk.loop, 0);
    assert_int_equal(desk.pieces, 0);
    desk_done(&desk);
}

TEST_MAIN(TEST(a_file_is_read_piece_by_piece_to_its_end), TEST(what_cannot_be_read_is_an_error),
          TEST(a_reader_may_go_at_any_time))
