#include "server/file_reader.h"

#include "base/fd.h"

#include <errno.h>
#include <unistd.h>

/* What travels to the worker and back: the descriptor with it, so that a cancelled job closes it.
 */
struct job {
    int fd; /* owned */
    int64_t offset;
    size_t size, len;
    char *bytes; /* owned */
    int os_errno;
};

struct file_reader {
    struct work_pool *pool; /* borrowed */
    int fd;                 /* owned; -1 while a job has it */
    int64_t offset;
    struct work *work;
    file_reader_on_piece *on_piece;
    void *ctx;
};

struct file_reader *file_reader_new(struct work_pool *pool, int fd_owned, int64_t offset,
                                    file_reader_on_piece *on_piece, void *ctx)
{
    struct file_reader *reader = xcalloc(1, sizeof(*reader));
    *reader = (struct file_reader){
        .pool = pool, .fd = fd_owned, .offset = offset, .on_piece = on_piece, .ctx = ctx};
    return reader;
}

void file_reader_free(struct file_reader *reader)
{
    if (!reader)
        return;
    work_cancel(reader->work);
    fd_close(&reader->fd);
    free(reader);
}

static void read_blocking(void *object)
{
    struct job *job = object;
    job->bytes = xrealloc(NULL, job->size);
    ssize_t len;
    do {
        len = pread(job->fd, job->bytes, job->size, job->offset);
    } while (len < 0 && errno == EINTR);
    if (len < 0)
        job->os_errno = errno;
    else
        job->len = (size_t)len;
}

static void on_done(void *ctx, void *object)
{
    struct file_reader *reader = ctx;
    struct job *job = object;
    reader->work = NULL;
    reader->fd = job->fd;
    job->fd = -1;
    reader->offset += (int64_t)job->len;
    struct error *err = job->os_errno ? error_from_errno(job->os_errno, "read") : NULL;
    reader->on_piece(reader->ctx, (struct str){.ptr = job->bytes, .len = job->len}, err);
}

static void release(void *object)
{
    struct job *job = object;
    fd_close(&job->fd);
    free(job->bytes);
    free(job);
}

static const struct work_vtable read_work = {.name = "file-read",
                                             .class = WORK_SLOW,
                                             .run_blocking = read_blocking,
                                             .on_done = on_done,
                                             .release = release};

void file_reader_next(struct file_reader *reader, uint64_t max_bytes)
{
    ASSERT(!reader->work);
    struct job *job = xcalloc(1, sizeof(*job));
    *job = (struct job){.fd = reader->fd, .offset = reader->offset};
    job->size = max_bytes < FILE_READER_PIECE_BYTES ? (size_t)max_bytes : FILE_READER_PIECE_BYTES;
    reader->fd = -1;
    reader->work = work_start(reader->pool, &read_work, job, reader);
}
