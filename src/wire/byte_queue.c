#include "wire/byte_queue.h"

/* Less than this in front is not worth moving the rest for. */
#define COMPACT_MIN_BYTES (64 * KiB)

void byte_queue_init(struct byte_queue *queue, size_t max_bytes)
{
    queue->taken = 0;
    buf_init(&queue->buf, max_bytes);
}

void byte_queue_done(struct byte_queue *queue)
{
    queue->taken = 0;
    buf_done(&queue->buf);
}

struct buf *byte_queue_end(struct byte_queue *queue)
{
    return &queue->buf;
}

struct str byte_queue_front(const struct byte_queue *queue)
{
    return (struct str){.ptr = buf_text(&queue->buf) + queue->taken,
                        .len = queue->buf.len - queue->taken};
}

void byte_queue_take(struct byte_queue *queue, size_t len)
{
    queue->taken += min_size(len, byte_queue_len(queue));
    bool has_overflowed = queue->buf.overflowed;
    if (queue->taken == queue->buf.len) {
        byte_queue_done(queue);
    } else if (queue->taken >= COMPACT_MIN_BYTES && queue->taken >= queue->buf.len / 2) {
        buf_consume(&queue->buf, queue->taken);
        queue->taken = 0;
    }
    queue->buf.overflowed = has_overflowed;
}

size_t byte_queue_len(const struct byte_queue *queue)
{
    return queue->buf.len - queue->taken;
}

bool byte_queue_has_overflowed(const struct byte_queue *queue)
{
    return queue->buf.overflowed;
}
