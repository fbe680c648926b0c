#include "wire/gzip_stream.h"

#include <zlib.h>

/* Logs and pages of figures repeat themselves within a few lines, so that a small window finds
 * nearly all there is. Higher levels take twice the time for a tenth less. */
#define WINDOW_BITS (13 + 16) /* with gzip's head and tail */
#define MEMORY_LEVEL 6
/* What deflate may hold back, on top of what it is given: its window, its pending output, the tail.
 */
#define HELD_BYTES (128 * KiB)

struct gzip_stream {
    z_stream z;
};

struct gzip_stream *gzip_stream_new(void)
{
    struct gzip_stream *stream = xcalloc(1, sizeof(*stream));
    int result = deflateInit2(&stream->z, Z_BEST_SPEED, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL,
                              Z_DEFAULT_STRATEGY);
    if (result != Z_OK)
        base_die("out of memory");
    return stream;
}

void gzip_stream_free(struct gzip_stream *stream)
{
    if (!stream)
        return;
    (void)deflateEnd(&stream->z);
    free(stream);
}

size_t gzip_stream_max_output(size_t len)
{
    return len + len / 8 + HELD_BYTES;
}

static void run(struct gzip_stream *stream, struct str bytes, int flush, struct buf *out)
{
    unsigned char piece[8 * KiB];
    /* zlib's prototype is older than const. */
    stream->z.next_in = (unsigned char *)(uintptr_t)bytes.ptr;
    stream->z.avail_in = (unsigned)bytes.len;
    do {
        stream->z.next_out = piece;
        stream->z.avail_out = sizeof(piece);
        (void)deflate(&stream->z, flush); /* fails only when nothing is left to do */
        buf_add(out, piece, sizeof(piece) - stream->z.avail_out);
    } while (stream->z.avail_out == 0);
}

void gzip_stream_add(struct gzip_stream *stream, struct str bytes, struct buf *out)
{
    static const size_t most = 1 * MiB; /* what fits zlib's counters with ease */
    while (bytes.len > 0) {
        struct str part = {.ptr = bytes.ptr, .len = min_size(bytes.len, most)};
        run(stream, part, Z_NO_FLUSH, out);
        bytes = (struct str){.ptr = bytes.ptr + part.len, .len = bytes.len - part.len};
    }
}

void gzip_stream_finish(struct gzip_stream *stream, struct buf *out)
{
    run(stream, (struct str){.ptr = "", .len = 0}, Z_FINISH, out);
}
