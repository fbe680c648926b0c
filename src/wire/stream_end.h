/*
 * One of two connections whose bytes are passed to each other: the stream with what is still to be
 * written to it. Whoever joins two of them stops reading one while the other has too much to take;
 * so memory stays bounded without either being told. Loop thread.
 */
#pragma once

#include "wire/byte_queue.h"
#include "wire/byte_stream.h"

#define STREAM_END_CHUNK_BYTES (16 * KiB) /* what is read at once */

struct stream_end {
    struct byte_stream *stream; /* owned; NULL: not yet */
    struct byte_queue out;
    bool is_read_out; /* it will say nothing more, or has broken */
    bool is_cut;      /* it takes nothing any more */
};

/** In the caller's struct; @max_bytes is far above where the caller stops reading the other end. */
void stream_end_init(struct stream_end *end, size_t max_bytes);
/** Frees the stream as well; a zeroed struct is fine. */
void stream_end_done(struct stream_end *end);

/**
 * Reads once into @bytes. False when nothing came: there is nothing yet, or (is_read_out) never
 * will be.
 */
bool stream_end_read(struct stream_end *end, char bytes[static STREAM_END_CHUNK_BYTES],
                     struct str *ret);
/** Appends to what is to be written; dropped when it is cut. */
void stream_end_put(struct stream_end *end, struct str bytes);
/** Writes what the stream takes now. A stream that breaks is cut and what waited for it is gone. */
void stream_end_flush(struct stream_end *end);
size_t stream_end_backlog(const struct stream_end *end);
/** Waits until it can be written if there is something to write, and until it can be read if that
 * @is_wanted and of use. */
void stream_end_wait(const struct stream_end *end, bool is_wanted);
