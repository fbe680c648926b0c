#include "server/log_file.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_BLOCK_BYTES (8 * KiB)

struct log_piece *log_piece_new(const char *root, const char *path, int64_t tail_lines)
{
    struct log_piece *piece = xcalloc(1, sizeof(*piece));
    piece->root = xstrdup(root);
    piece->path = xstrdup(path);
    piece->tail_lines = tail_lines;
    piece->fd = -1;
    return piece;
}

void log_piece_free(struct log_piece *piece)
{
    if (!piece)
        return;
    error_free(TAKE(piece->err));
    fd_close(&piece->fd);
    free(piece->data);
    free(piece->root);
    free(piece->path);
    free(piece);
}

void log_piece_drop_data(struct log_piece *piece)
{
    free(TAKE(piece->data));
    piece->len = 0;
}

/* Counts back over the newlines of @block, of @len bytes. True when the one before the wanted lines
 * is in it. */
static bool find_before(const char *block, size_t len, int64_t *lines, size_t *ret_index)
{
    for (size_t i = len; i-- > 0;) {
        if (block[i] != '\n')
            continue;
        if (*lines == 0) {
            *ret_index = i;
            return true;
        }
        (*lines)--;
    }
    return false;
}

struct error *log_tail_start_blocking(int fd, int64_t lines, int64_t *ret_offset)
{
    struct stat file;
    if (fstat(fd, &file) < 0)
        return error_from_errno(errno, "reading the size of the log");
    char block[TAIL_BLOCK_BYTES];
    int64_t right = file.st_size;
    while (right > 0) {
        int64_t left = max_i64(0, right - (int64_t)sizeof(block));
        ssize_t got = pread(fd, block, (size_t)(right - left), left);
        if (got < 0)
            return error_from_errno(errno, "seeking the end of the log");
        size_t index;
        if (find_before(block, (size_t)got, &lines, &index)) {
            *ret_offset = left + (int64_t)index + 1;
            return NULL;
        }
        right = left;
    }
    *ret_offset = 0;
    return NULL;
}

/* In upstream's words, which clients may search for: a missing file is noticed while links are
 * resolved, anything else when it is opened. */
static struct error *open_failure(const struct log_piece *piece, struct error *err_owned)
{
    if (error_is(err_owned, ERROR_NOT_FOUND)) {
        error_ignore(err_owned, "said in other words");
        return error_new(ERROR_NOT_FOUND,
                         "failed to try resolving symlinks in path \"%s/%s\": lstat %s/%s: no such "
                         "file or directory",
                         piece->root, piece->path, piece->root, piece->path);
    }
    return error_wrap(err_owned, "failed to open log file \"%s/%s\"", piece->root, piece->path);
}

static struct error *open_log(const struct log_piece *piece, int *ret_fd)
{
    AUTO(fd) int root = open(piece->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return open_failure(piece, error_from_errno(errno, "open %s", piece->root));
    AUTO(fd) int fd = -1;
    struct error *err = fd_open_beneath(root, piece->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0,
                                        /* no_symlinks= */ true, &fd);
    if (err)
        return open_failure(piece, err);
    struct stat file;
    if (fstat(fd, &file) < 0)
        return open_failure(piece, error_from_errno(errno, "fstat"));
    if (!S_ISREG(file.st_mode))
        return open_failure(piece, error_new(ERROR_FAILED_PRECONDITION, "it is no regular file"));
    *ret_fd = fd;
    fd = -1; /* the caller owns it now */
    return NULL;
}

static struct error *read_piece(struct log_piece *piece)
{
    if (!piece->data)
        piece->data = xrealloc(NULL, LOG_PIECE_BYTES);
    ssize_t got = pread(piece->fd, piece->data, LOG_PIECE_BYTES, piece->offset);
    if (got < 0)
        return error_from_errno(errno, "failed to read log file \"%s/%s\"", piece->root,
                                piece->path);
    piece->len = (size_t)got;
    piece->offset += got;
    return NULL;
}

/* At the end of the file: was it cut, or is there another one by this name? Missing is a rotation
 * under way. */
static struct error *look_for_new_file(struct log_piece *piece)
{
    struct stat have, there;
    if (fstat(piece->fd, &have) < 0)
        return error_from_errno(errno, "reading %s/%s", piece->root, piece->path);
    bool is_new = have.st_size < piece->offset;
    AUTO(fd) int fd = -1;
    struct error *err = open_log(piece, &fd);
    if (err) {
        error_ignore(err, "there will be a new file, or the container ends");
    } else if (fstat(fd, &there) == 0 &&
               (there.st_ino != have.st_ino || there.st_dev != have.st_dev)) {
        /* Only now is the old file complete: it may have grown since its end was seen. */
        err = read_piece(piece);
        if (err || piece->len > 0)
            return err;
        fd_close(&piece->fd);
        piece->fd = fd;
        fd = -1;
        is_new = true;
    }
    if (!is_new)
        return NULL;
    piece->reopened = true;
    piece->offset = 0;
    return read_piece(piece);
}

void log_piece_read_blocking(struct log_piece *piece)
{
    piece->len = 0;
    piece->reopened = false;
    struct error *err = NULL;
    if (piece->fd < 0) {
        err = open_log(piece, &piece->fd);
        if (!err && piece->tail_lines >= 0)
            err = log_tail_start_blocking(piece->fd, piece->tail_lines, &piece->offset);
    }
    if (!err)
        err = read_piece(piece);
    if (!err && piece->len == 0 && piece->reopens)
        err = look_for_new_file(piece);
    error_free(TAKE(piece->err));
    piece->err = err;
}
