/* The stream of a connection that was taken over, which tells when its new owner closes it. */
#include "wire/http_server_internal.h"

struct taken_stream {
    struct byte_stream base;
    struct byte_stream *inner; /* owned */
    void (*on_end)(void *ctx, unsigned status);
    void *ctx;
};

static struct taken_stream *as_taken(struct byte_stream *stream)
{
    return CONTAINER_OF(stream, struct taken_stream, base);
}

static struct error *taken_read(struct byte_stream *self, void *bytes, size_t size, size_t *ret_len,
                                bool *ret_is_end)
{
    struct byte_stream *inner = as_taken(self)->inner;
    return inner->vtable->read(inner, bytes, size, ret_len, ret_is_end);
}

static struct error *taken_write(struct byte_stream *self, const void *bytes, size_t len,
                                 size_t *ret_len)
{
    struct byte_stream *inner = as_taken(self)->inner;
    return inner->vtable->write(inner, bytes, len, ret_len);
}

static void taken_listen(struct byte_stream *self, byte_stream_on_ready *on_ready, void *ctx)
{
    struct byte_stream *inner = as_taken(self)->inner;
    inner->vtable->listen(inner, on_ready, ctx);
}

static void taken_want(struct byte_stream *self, unsigned events)
{
    struct byte_stream *inner = as_taken(self)->inner;
    inner->vtable->want(inner, events);
}

static bool taken_end(struct byte_stream *self)
{
    struct byte_stream *inner = as_taken(self)->inner;
    return inner->vtable->end(inner);
}

static void taken_free(struct byte_stream *self)
{
    struct taken_stream *stream = as_taken(self);
    byte_stream_free(stream->inner);
    stream->on_end(stream->ctx, 101);
    free(stream);
}

static const struct byte_stream_vtable taken_vtable = {.read = taken_read,
                                                       .write = taken_write,
                                                       .listen = taken_listen,
                                                       .want = taken_want,
                                                       .end = taken_end,
                                                       .free = taken_free};

struct byte_stream *http_taken_stream(struct byte_stream *inner_owned,
                                      void (*on_end)(void *ctx, unsigned status), void *ctx)
{
    struct taken_stream *stream = xcalloc(1, sizeof(*stream));
    *stream = (struct taken_stream){
        .base.vtable = &taken_vtable, .inner = inner_owned, .on_end = on_end, .ctx = ctx};
    return &stream->base;
}
