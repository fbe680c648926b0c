#include "wire/stream_end.h"

void stream_end_init(struct stream_end *end, size_t max_bytes)
{
    *end = (struct stream_end){0};
    byte_queue_init(&end->out, max_bytes);
}

void stream_end_done(struct stream_end *end)
{
    byte_stream_free(TAKE(end->stream));
    byte_queue_done(&end->out);
}

bool stream_end_read(struct stream_end *end, char bytes[static STREAM_END_CHUNK_BYTES],
                     struct str *ret)
{
    if (end->is_read_out)
        return false;
    size_t len = 0;
    AUTO(error)
    struct error *err = end->stream->vtable->read(end->stream, bytes, STREAM_END_CHUNK_BYTES, &len,
                                                  &end->is_read_out);
    if (err)
        end->is_read_out = true;
    if (err || len == 0)
        return false;
    *ret = (struct str){.ptr = bytes, .len = len};
    return true;
}

void stream_end_put(struct stream_end *end, struct str bytes)
{
    if (!end->is_cut)
        buf_add_str(byte_queue_end(&end->out), bytes);
}

void stream_end_flush(struct stream_end *end)
{
    while (byte_queue_len(&end->out) > 0) {
        struct str front = byte_queue_front(&end->out);
        size_t len = 0;
        AUTO(error)
        struct error *err = end->stream->vtable->write(end->stream, front.ptr, front.len, &len);
        if (err) {
            end->is_cut = true;
            byte_queue_take(&end->out, front.len);
        }
        if (err || len == 0)
            break;
        byte_queue_take(&end->out, len);
    }
}

size_t stream_end_backlog(const struct stream_end *end)
{
    return byte_queue_len(&end->out);
}

void stream_end_wait(const struct stream_end *end, bool is_wanted)
{
    unsigned events = 0;
    if (is_wanted && !end->is_read_out)
        events |= LOOP_IO_READ;
    if (byte_queue_len(&end->out) > 0)
        events |= LOOP_IO_WRITE;
    end->stream->vtable->want(end->stream, events);
}
