/*
 *     owner ⇄ frames ⇄ inner
 *
 * Reading goes straight into the owner's memory, where frames are unmasked and their payloads moved
 * together: they are shorter than what was read. A frame that was begun but did not fit leaves
 * write() with 0 bytes taken, so that its owner knows when all has left; it goes out with the next
 * write(), which must offer the same bytes again.
 */
#include "wire/websocket_stream.h"

#include "wire/byte_queue.h"
#include "wire/websocket.h"

#define FRAME_MAX_BYTES (16 * KiB)
#define HEAD_MAX_BYTES (64 * KiB) /* of the handshake */
#define OUT_MAX_BYTES (4 * HEAD_MAX_BYTES)
/* Frames may come that hold nothing for the owner: they must not keep the other work of a turn
 * waiting. */
#define READS_PER_CALL 4

struct websocket_stream {
    struct byte_stream base;
    struct byte_stream *inner; /* owned */
    struct loop_timer *soon;
    byte_stream_on_ready *on_ready;
    void *ctx;
    unsigned wanted; /* by the owner */
    struct websocket_parser parser;
    struct buf early; /* what the peer had sent before */
    struct byte_queue out;
    size_t begun_bytes; /* of the owner's, in `out` and not told as taken */
    bool has_ended;     /* the peer closed, or is gone */
    bool has_said_goodbye;
    bool has_pong; /* one is owed */
    char pong[WEBSOCKET_CONTROL_MAX_BYTES];
    size_t pong_len;
    struct error *broken; /* why nothing can be read any more */
};

static struct websocket_stream *as_websocket(struct byte_stream *stream)
{
    return CONTAINER_OF(stream, struct websocket_stream, base);
}

/* --- waiting --- */

static bool can_read_without_inner(const struct websocket_stream *stream)
{
    return stream->early.len > 0 || stream->has_ended || stream->broken;
}

static void update_wants(struct websocket_stream *stream)
{
    unsigned events = stream->wanted;
    if (byte_queue_len(&stream->out) > 0)
        events |= LOOP_IO_WRITE;
    bool is_ready = (stream->wanted & LOOP_IO_READ) && can_read_without_inner(stream);
    if (stream->has_ended || stream->broken)
        events &= ~(unsigned)LOOP_IO_READ;
    stream->inner->vtable->want(stream->inner, events);
    if (is_ready && !loop_timer_is_armed(stream->soon))
        loop_timer_start(stream->soon, -1);
}

static void tell(struct websocket_stream *stream, unsigned events)
{
    if (events != 0 && stream->on_ready)
        stream->on_ready(stream->ctx, events); /* may free the stream */
}

static void on_soon(void *ctx)
{
    struct websocket_stream *stream = ctx;
    tell(stream, stream->wanted & LOOP_IO_READ);
}

/* --- writing --- */

/* Of several pings the last must be answered. It is once nothing else waits, so that who sends
 * them and reads nothing does not fill our memory. */
static void pay_pong(struct websocket_stream *stream)
{
    if (!stream->has_pong || stream->has_said_goodbye || byte_queue_len(&stream->out) > 0)
        return;
    stream->has_pong = false;
    websocket_add_frame(byte_queue_end(&stream->out), WEBSOCKET_PONG,
                        (struct str){.ptr = stream->pong, .len = stream->pong_len});
}

static struct error *flush(struct websocket_stream *stream)
{
    pay_pong(stream);
    while (byte_queue_len(&stream->out) > 0) {
        struct str front = byte_queue_front(&stream->out);
        size_t len = 0;
        struct error *err = stream->inner->vtable->write(stream->inner, front.ptr, front.len, &len);
        if (err)
            return err;
        if (len == 0)
            break;
        byte_queue_take(&stream->out, len);
        pay_pong(stream);
    }
    return NULL;
}

static void on_inner_ready(void *ctx, unsigned events)
{
    struct websocket_stream *stream = ctx;
    error_ignore(flush(stream), "the owner meets it with the next write");
    update_wants(stream);
    tell(stream, events & stream->wanted);
}

static struct error *stream_write(struct byte_stream *self, const void *bytes, size_t len,
                                  size_t *ret_len)
{
    struct websocket_stream *stream = as_websocket(self);
    if (stream->has_said_goodbye)
        return error_new(ERROR_UNAVAILABLE, "websocket: it is closed");
    bool was_empty = byte_queue_len(&stream->out) == 0;
    pay_pong(stream);
    if (stream->begun_bytes == 0 && was_empty && len > 0) {
        stream->begun_bytes = min_size(len, FRAME_MAX_BYTES);
        websocket_add_frame(byte_queue_end(&stream->out), WEBSOCKET_BINARY,
                            (struct str){.ptr = bytes, .len = stream->begun_bytes});
    }
    struct error *err = flush(stream);
    if (err)
        return err;
    *ret_len = 0;
    if (byte_queue_len(&stream->out) == 0) {
        *ret_len = stream->begun_bytes;
        stream->begun_bytes = 0;
    }
    return NULL;
}

/* --- reading --- */

static void say_goodbye(struct websocket_stream *stream, enum websocket_status status)
{
    if (!stream->has_said_goodbye)
        websocket_add_close(byte_queue_end(&stream->out), status);
    stream->has_said_goodbye = true;
}

static void take_event(struct websocket_stream *stream, const struct websocket_event *event,
                       char *to, size_t *len)
{
    switch (event->kind) {
    case WEBSOCKET_EVENT_NONE:
    case WEBSOCKET_EVENT_PONG:
        break;
    case WEBSOCKET_EVENT_PIECE:
        if (event->is_text) {
            say_goodbye(stream, WEBSOCKET_UNSUPPORTED);
            stream->broken = error_new(ERROR_INVALID_ARGUMENT, "websocket: a text message");
            break;
        }
        memmove(to + *len, event->bytes.ptr, event->bytes.len);
        *len += event->bytes.len;
        break;
    case WEBSOCKET_EVENT_PING:
        stream->has_pong = true;
        stream->pong_len = event->bytes.len;
        memcpy(stream->pong, event->bytes.ptr, event->bytes.len);
        break;
    case WEBSOCKET_EVENT_CLOSE:
        say_goodbye(stream, WEBSOCKET_NORMAL);
        stream->has_ended = true;
        break;
    }
}

/* What lies in the first @input_len bytes at @bytes becomes payload at their front. */
static size_t unframe(struct websocket_stream *stream, char *bytes, size_t input_len)
{
    struct websocket_input input = {.ptr = bytes, .len = input_len};
    struct websocket_event event = {.kind = WEBSOCKET_EVENT_PONG};
    size_t len = 0;
    while (event.kind != WEBSOCKET_EVENT_NONE && !stream->broken) {
        struct error *err = websocket_next(&stream->parser, &input, &event);
        if (err) {
            say_goodbye(stream, WEBSOCKET_PROTOCOL_ERROR);
            stream->broken = err;
        } else {
            take_event(stream, &event, bytes, &len);
        }
    }
    return len;
}

/* What has come, still in frames; 0: nothing. */
static size_t read_frames(struct websocket_stream *stream, char *bytes, size_t size)
{
    size_t len = min_size(stream->early.len, size);
    if (len > 0) {
        memcpy(bytes, buf_text(&stream->early), len);
        buf_consume(&stream->early, len);
        if (stream->early.len == 0)
            buf_done(&stream->early);
        return len;
    }
    stream->broken =
        stream->inner->vtable->read(stream->inner, bytes, size, &len, &stream->has_ended);
    return stream->broken ? 0 : len;
}

static struct error *stream_read(struct byte_stream *self, void *bytes, size_t size,
                                 size_t *ret_len, bool *ret_is_end)
{
    struct websocket_stream *stream = as_websocket(self);
    size_t len = 0, framed = 1;
    for (int i = 0; i < READS_PER_CALL && len == 0 && framed > 0; i++) {
        if (stream->has_ended || stream->broken)
            break;
        framed = read_frames(stream, bytes, size);
        len = unframe(stream, bytes, framed);
    }
    error_ignore(flush(stream), "the owner meets it with the next write");
    update_wants(stream);
    if (len == 0 && stream->broken)
        return error_dup(stream->broken);
    *ret_len = len;
    *ret_is_end = len == 0 && stream->has_ended;
    return NULL;
}

/* --- the rest --- */

static void stream_listen(struct byte_stream *self, byte_stream_on_ready *on_ready, void *ctx)
{
    struct websocket_stream *stream = as_websocket(self);
    stream->on_ready = on_ready;
    stream->ctx = ctx;
}

static void stream_want(struct byte_stream *self, unsigned events)
{
    struct websocket_stream *stream = as_websocket(self);
    stream->wanted = events;
    update_wants(stream);
}

static bool stream_end(struct byte_stream *self)
{
    struct websocket_stream *stream = as_websocket(self);
    error_ignore(flush(stream), "who cannot be written to needs no goodbye");
    if (byte_queue_len(&stream->out) == 0)
        say_goodbye(stream, WEBSOCKET_NORMAL);
    error_ignore(flush(stream), "the same");
    return byte_queue_len(&stream->out) == 0 && stream->inner->vtable->end(stream->inner);
}

static void stream_free(struct byte_stream *self)
{
    struct websocket_stream *stream = as_websocket(self);
    if (byte_queue_len(&stream->out) == 0)
        say_goodbye(stream, WEBSOCKET_NORMAL);
    error_ignore(flush(stream), "it is over");
    loop_timer_free(stream->soon);
    byte_stream_free(stream->inner);
    buf_done(&stream->early);
    byte_queue_done(&stream->out);
    error_free(stream->broken);
    free(stream);
}

static const struct byte_stream_vtable websocket_vtable = {.read = stream_read,
                                                           .write = stream_write,
                                                           .listen = stream_listen,
                                                           .want = stream_want,
                                                           .end = stream_end,
                                                           .free = stream_free};

struct byte_stream *websocket_stream_new(struct loop *loop, struct byte_stream *inner_owned,
                                         struct str first, struct str early)
{
    struct websocket_stream *stream = xcalloc(1, sizeof(*stream));
    stream->base.vtable = &websocket_vtable;
    stream->inner = inner_owned;
    stream->soon = loop_timer_new(loop, "websocket", on_soon, stream);
    byte_queue_init(&stream->out, OUT_MAX_BYTES + first.len);
    buf_add_str(byte_queue_end(&stream->out), first);
    buf_init(&stream->early, early.len);
    buf_add_str(&stream->early, early);
    inner_owned->vtable->listen(inner_owned, on_inner_ready, stream);
    return &stream->base;
}
