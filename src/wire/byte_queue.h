/*
 * Bytes on their way out: appended at the end, taken from the front, in time proportional to their
 * number however large the queue is. Empty, it holds no memory. Not thread-safe.
 */
#pragma once

#include "base/buf.h"

struct byte_queue {
    struct buf buf;
    size_t taken; /* of buf's front */
};

/** In the caller's struct, for at most @max_bytes. What does not fit makes it overflow for good. */
void byte_queue_init(struct byte_queue *queue, size_t max_bytes);
void byte_queue_done(struct byte_queue *queue); /* a zeroed struct is fine */

/** The buffer to append to; what is in front of it is none of the caller's business. */
struct buf *byte_queue_end(struct byte_queue *queue);
/** What is there, valid until the next change. */
struct str byte_queue_front(const struct byte_queue *queue);
/** Drops @len bytes, at most all, from the front. */
void byte_queue_take(struct byte_queue *queue, size_t len);
size_t byte_queue_len(const struct byte_queue *queue);
bool byte_queue_has_overflowed(const struct byte_queue *queue);
