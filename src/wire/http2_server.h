/*
 * An HTTP/2 server session: bytes in, bytes out, requests in between. The counterpart of
 * wire/http2.h and like it protocol only: no I/O and no clock, and callbacks never run inside
 * nghttp2. It collects a request whole before it hands it out, keeps what a slow peer does not
 * take, and bounds what a hostile one can make it do. Not thread-safe: belongs to one loop thread.
 */
#pragma once

#include "base/buf.h"
#include "wire/http2.h"

/* At a time, advertised; as Go's server and kube-apiserver. */
#define HTTP2_SERVER_MAX_STREAMS 250

struct http2_server;        /* opaque */
struct http2_server_stream; /* opaque: one request and its response */

struct http2_server_limits {
    size_t max_header_bytes, max_body_bytes;
};

/** What the session says. @stream_ctx is what http2_server_stream_set_ctx() was given; nothing is
 * said of a stream that has none. */
struct http2_server_events {
    /** A request is whole, or is refused: see http2_server_stream_refusal(). */
    void (*on_request)(void *ctx, struct http2_server_stream *stream);
    /** Bytes of the response have left: http2_server_stream_backlog() has shrunk. */
    void (*on_sent)(void *stream_ctx);
    /** The peer reset the stream; it is gone when this returns. Not after
     * http2_server_stream_finish() or _reset(). */
    void (*on_gone)(void *stream_ctx);
};

/** @events is borrowed. The caller owns the session. */
struct http2_server *http2_server_new(const struct http2_server_limits *limits,
                                      const struct http2_server_events *events, void *ctx);
/** In silence. Not from a callback. NULL is fine. */
void http2_server_free(struct http2_server *session);
DEFINE_AUTO(http2_server, struct http2_server *, http2_server_free)

/**
 * Takes bytes from the peer, the client preface first, without running callbacks: call
 * http2_server_dispatch() next. UNAVAILABLE when the peer broke the protocol beyond repair: the
 * session is dead then, its streams hang until it is freed.
 */
MUST_CHECK struct error *http2_server_receive(struct http2_server *session, int64_t now_ns,
                                              struct str bytes);
/** The next bytes for the peer, valid until the next call into the session; len 0 when there is
 * nothing to send. All of them must be sent. Not from a callback. */
MUST_CHECK struct error *http2_server_send(struct http2_server *session, int64_t now_ns,
                                           struct str *ret_bytes);
/** Runs the callbacks that receiving and sending caused. True when there were any: they may have
 * more to send. */
bool http2_server_dispatch(struct http2_server *session);

/** False once neither side has anything more to say: close the connection. */
bool http2_server_is_alive(const struct http2_server *session);
/** Streams not closed yet, among them answered ones whose bytes have not left. */
size_t http2_server_stream_count(const struct http2_server *session);
/** Bytes of fields and bodies held for requests that have not been handed out and taken. */
size_t http2_server_held_bytes(const struct http2_server *session);

/** GOAWAY: no new requests; those under way go on. */
void http2_server_drain(struct http2_server *session);
/** No callback of this session runs from now on. */
void http2_server_silence(struct http2_server *session);

/** When the oldest request that is not whole began; when the longest waiting backlog last shrank.
 * INT64_MAX: there is none. */
int64_t http2_server_oldest_request_ns(const struct http2_server *session);
int64_t http2_server_oldest_backlog_ns(const struct http2_server *session);
/** Refuses with @status what began at @before_ns or earlier and is not whole. With 408 the session
 * ends when the fields of one are not even there, because nothing can come in front of the rest. */
void http2_server_refuse_requests(struct http2_server *session, int64_t before_ns, unsigned status);
/** Resets what has not been able to send since @before_ns; on_gone tells at the next dispatch. */
void http2_server_reset_stalled(struct http2_server *session, int64_t before_ns);

/* --- streams: valid from on_request until finish, reset or on_gone --- */

void http2_server_stream_set_ctx(struct http2_server_stream *stream, void *stream_ctx);
/** The request's fields, pseudo-header fields among them. Until on_request returns. */
struct http2_fields http2_server_stream_fields(const struct http2_server_stream *stream);
/** Hands the body over into @ret, which must be empty and not initialised. */
void http2_server_stream_take_body(struct http2_server_stream *stream, struct buf *ret);
/** 0, or the status to answer with: 408, 413, 431, 503. */
unsigned http2_server_stream_refusal(const struct http2_server_stream *stream);

/** Begins the response: @fields (copied), ":status" first. Without @has_body it is over, but
 * http2_server_stream_finish() must still be called. */
void http2_server_stream_begin(struct http2_server_stream *stream, const struct http2_field *fields,
                               size_t field_count, bool has_body);
/** Appends to the response's body (copied). Too much for any memory breaks the stream. */
void http2_server_stream_write(struct http2_server_stream *stream, int64_t now_ns,
                               struct str bytes);
/** Bytes that flow control or the connection have not let out. */
size_t http2_server_stream_backlog(const struct http2_server_stream *stream);
/** The response ends behind what was written. Silence from now on, the handle is gone. */
void http2_server_stream_finish(struct http2_server_stream *stream);
/** RST_STREAM with @error_code; what was not sent is dropped. Silence, the handle is gone. */
void http2_server_stream_reset(struct http2_server_stream *stream, uint32_t error_code);
