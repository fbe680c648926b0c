#include "stats/gzip.h"

#include <zlib.h>

/* Pages of figures repeat themselves within a few lines, so that a small window finds nearly all
 * there is, in 64 KiB of memory for the time rather than 256. */
#define WINDOW_BITS 13
#define GZIP_FORMAT 16 /* added to the window's bits: with gzip's header, not zlib's */
#define MEMORY_LEVEL 6
#define CHUNK_BYTES ((uInt)(8 * KiB))
#define MAX_INPUT_BYTES ((size_t)1 << 30) /* at a time: zlib counts in unsigned int */

/* Compresses what the stream has into @out, chunk by chunk. */
static int deflate_into(z_stream *stream, int flush, struct buf *out)
{
    int result;
    do {
        unsigned char chunk[CHUNK_BYTES];
        stream->next_out = chunk;
        stream->avail_out = CHUNK_BYTES;
        result = deflate(stream, flush);
        buf_add(out, chunk, CHUNK_BYTES - stream->avail_out);
    } while (result == Z_OK && stream->avail_out == 0 && !out->overflowed);
    return result;
}

struct error *gzip_add(struct buf *out, struct str text)
{
    size_t start = out->len;
    z_stream stream = {0};
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS + GZIP_FORMAT,
                     MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        base_die("zlib: %s", stream.msg ? stream.msg : "out of memory");

    int result = Z_OK;
    for (size_t done = 0; result == Z_OK && !out->overflowed;) {
        size_t len = min_size(text.len - done, MAX_INPUT_BYTES);
        stream.next_in = (z_const Bytef *)text.ptr + done;
        stream.avail_in = (uInt)len;
        done += len;
        result = deflate_into(&stream, done == text.len ? Z_FINISH : Z_NO_FLUSH, out);
    }
    (void)deflateEnd(&stream);
    if (out->overflowed) {
        buf_truncate(out, start);
        return buf_error(out, "the compressed page");
    }
    ASSERT(result == Z_STREAM_END);
    return NULL;
}
