/*
 * A byte stream that makes trouble: it stands before another one, hands over little at a time, and
 * can end after a number of bytes as if somebody had cut the cable. For tests of whoever reads and
 * writes streams.
 */
#pragma once

#include "base/base.h"
#include "wire/byte_stream.h"

#define CHOPPY_NO_LIMIT SIZE_MAX

struct choppy_stream {
    struct byte_stream base;
    struct byte_stream *inner; /* owned */
    size_t piece_bytes;        /* at most so many bytes a call */
    size_t read_left;          /* the end comes after so many */
    size_t write_left;         /* an error comes after so many */
};

static inline UNUSED struct error *choppy_read(struct byte_stream *self, void *bytes, size_t size,
                                               size_t *ret_len, bool *ret_is_end)
{
    struct choppy_stream *choppy = CONTAINER_OF(self, struct choppy_stream, base);
    *ret_len = 0;
    *ret_is_end = choppy->read_left == 0;
    if (*ret_is_end)
        return NULL;
    size = min_size(min_size(size, choppy->piece_bytes), choppy->read_left);
    struct error *err =
        choppy->inner->vtable->read(choppy->inner, bytes, size, ret_len, ret_is_end);
    if (!err && choppy->read_left != CHOPPY_NO_LIMIT)
        choppy->read_left -= *ret_len;
    return err;
}

static inline UNUSED struct error *choppy_write(struct byte_stream *self, const void *bytes,
                                                size_t len, size_t *ret_len)
{
    struct choppy_stream *choppy = CONTAINER_OF(self, struct choppy_stream, base);
    if (choppy->write_left == 0)
        return error_new(ERROR_UNAVAILABLE, "write: cable cut");
    len = min_size(min_size(len, choppy->piece_bytes), choppy->write_left);
    struct error *err = choppy->inner->vtable->write(choppy->inner, bytes, len, ret_len);
    if (!err && choppy->write_left != CHOPPY_NO_LIMIT)
        choppy->write_left -= *ret_len;
    return err;
}

static inline UNUSED void choppy_listen(struct byte_stream *self, byte_stream_on_ready *on_ready,
                                        void *ctx)
{
    struct choppy_stream *choppy = CONTAINER_OF(self, struct choppy_stream, base);
    choppy->inner->vtable->listen(choppy->inner, on_ready, ctx);
}

static inline UNUSED void choppy_want(struct byte_stream *self, unsigned events)
{
    struct choppy_stream *choppy = CONTAINER_OF(self, struct choppy_stream, base);
    choppy->inner->vtable->want(choppy->inner, events);
}

static inline UNUSED bool choppy_end(struct byte_stream *self)
{
    struct choppy_stream *choppy = CONTAINER_OF(self, struct choppy_stream, base);
    return choppy->inner->vtable->end(choppy->inner);
}

static inline UNUSED void choppy_free(struct byte_stream *self)
{
    struct choppy_stream *choppy = CONTAINER_OF(self, struct choppy_stream, base);
    byte_stream_free(choppy->inner);
    free(choppy);
}

static const struct byte_stream_vtable choppy_vtable = {.read = choppy_read,
                                                        .write = choppy_write,
                                                        .listen = choppy_listen,
                                                        .want = choppy_want,
                                                        .end = choppy_end,
                                                        .free = choppy_free};

/** Stands before @inner_owned, with no limit but the size of a piece. */
static inline UNUSED struct choppy_stream *choppy_stream_new(struct byte_stream *inner_owned,
                                                             size_t piece_bytes)
{
    struct choppy_stream *choppy = xcalloc(1, sizeof(*choppy));
    choppy->base.vtable = &choppy_vtable;
    choppy->inner = inner_owned;
    choppy->piece_bytes = piece_bytes;
    choppy->read_left = choppy->write_left = CHOPPY_NO_LIMIT;
    return choppy;
}
