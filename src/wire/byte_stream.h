/*
 * An ordered stream of bytes to a peer, without blocking: what protocols run over. A unix socket
 * here; TLS is another implementation of the same six functions. Touches one descriptor. Loop
 * thread.
 */
#pragma once

#include "loop/loop.h"

struct byte_stream;

/** The stream may be read or written again; @events as in enum loop_io_events. */
typedef void byte_stream_on_ready(void *ctx, unsigned events);

struct byte_stream_vtable {
    /**
     * Reads what is there, at most @size bytes. *ret_len 0 without *ret_is_end: nothing is there
     * yet. Errors: the errno's of a broken connection.
     */
    struct error *(*read)(struct byte_stream *self, void *bytes, size_t size, size_t *ret_len,
                          bool *ret_is_end);
    /** Writes what fits now; *ret_len may be anything from 0 to @len. What was not taken must begin
     * the next write. */
    struct error *(*write)(struct byte_stream *self, const void *bytes, size_t len,
                           size_t *ret_len);
    /** Sets who is told of readiness. Nobody is told before. */
    void (*listen)(struct byte_stream *self, byte_stream_on_ready *on_ready, void *ctx);
    /** Replaces the set of events waited for. */
    void (*want)(struct byte_stream *self, unsigned events);
    /**
     * Ends what is written: the peer sees the end behind all it was sent, and can still be read.
     * Whoever frees a stream to which the peer still writes may take from it what is on its way.
     * False: not yet, to be called again when the stream can be written.
     */
    bool (*end)(struct byte_stream *self);
    /** Closes and frees; may be called from on_ready. */
    void (*free)(struct byte_stream *self);
};

struct byte_stream {
    const struct byte_stream_vtable *vtable;
};

/**
 * Connects to the unix socket at @path. A unix socket connects at once or not at all, so there is
 * no half-open state. The caller owns *ret. Errors: the errno's, UNAVAILABLE, with the message
 * "dial unix <path>: connect: <cause>"; a path too long for a socket address is INVALID_ARGUMENT.
 */
MUST_CHECK struct error *byte_stream_connect_unix(struct loop *loop, const char *path,
                                                  struct byte_stream **ret);

/** Wraps the connected, non-blocking stream socket @fd_owned. */
struct byte_stream *byte_stream_from_socket(struct loop *loop, int fd_owned);

/** Our end of the connected TCP socket @stream (one of byte_stream_from_socket()):
 * "10.0.0.1:4711". Owned by the caller. Not to be had any more once the peer has reset it. */
char *byte_stream_own_address(const struct byte_stream *stream);

/** Gives @err, which broke a connection, the code that protocols pass on: UNAUTHENTICATED stays
 * (the peer refused our certificate; trying again is of no use), everything else becomes
 * UNAVAILABLE. */
void byte_stream_classify(struct error *err);

void byte_stream_free(struct byte_stream *stream); /* NULL is fine */
DEFINE_AUTO(byte_stream, struct byte_stream *, byte_stream_free)
