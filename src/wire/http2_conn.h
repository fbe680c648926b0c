/*
 * An HTTP/2 client connection: a session (wire/http2.h) on a byte stream (wire/byte_stream.h).
 * Reads when the stream is readable, writes once at the end of a turn, and ends everything when the
 * stream breaks. Loop thread.
 */
#pragma once

#include "wire/byte_stream.h"
#include "wire/http2.h"

struct http2_conn; /* opaque */

#define HTTP2_CONN_EOF "EOF"

/** Who is told what becomes of the connection; never from inside a function of this header. */
struct http2_conn_events {
    /** The peer speaks HTTP/2 (its SETTINGS arrived). */
    void (*on_settings)(void *ctx);
    /** http2_conn_stream_limit() may be another. NULL: nobody asks. */
    void (*on_new_limit)(void *ctx);
    /** The peer takes no new streams. Those under way go on; the connection closes after the last.
     */
    void (*on_draining)(void *ctx);
    /**
     * The connection is broken, or drained and closed: forget it, it frees itself, do not call
     * http2_conn_free(). Streams that are left end with HTTP2_END_LOST right after this returns.
     * @cause (borrowed) is UNAVAILABLE; its reason is HTTP2_CONN_EOF when the peer has closed.
     */
    void (*on_lost)(void *ctx, const struct error *cause);
};

/** Starts speaking HTTP/2 over @stream_owned. @events is borrowed and must outlive the connection.
 */
struct http2_conn *http2_conn_new(struct loop *loop, struct byte_stream *stream_owned,
                                  const struct http2_conn_events *events, void *ctx);

/** Closes at once and in silence: no callback of it or its streams runs any more. May be called
 * from any callback. */
void http2_conn_free(struct http2_conn *conn); /* NULL is fine */

/** Closes after the last stream under way, as if the peer had said GOAWAY; on_lost tells when. */
void http2_conn_drain(struct http2_conn *conn);

/**
 * From now on, while there are streams: after @after_ns without a byte from the peer it is sent a
 * PING, and @timeout_ns of further silence make the connection lost: `http2: client connection
 * lost`.
 */
void http2_conn_keep_alive(struct http2_conn *conn, int64_t after_ns, int64_t timeout_ns);

/** As http2_session_can_start(). */
bool http2_conn_can_start(const struct http2_conn *conn);

/** As http2_stream_start(); the bytes leave at the end of this turn. */
MUST_CHECK struct error *http2_conn_start_stream(struct http2_conn *conn,
                                                 const struct http2_request *request,
                                                 const struct http2_stream_events *events,
                                                 void *ctx, struct http2_stream **ret);
/** As http2_stream_reset(). @stream must be one of @conn, and still there. */
void http2_conn_reset_stream(struct http2_conn *conn, struct http2_stream *stream,
                             uint32_t error_code);
/** As http2_session_stream_count(). */
size_t http2_conn_stream_count(const struct http2_conn *conn);
/** As http2_session_stream_limit(). */
size_t http2_conn_stream_limit(const struct http2_conn *conn);
/** As http2_stream_pause(); what was held is told later in this turn or in the next. */
void http2_conn_pause_stream(struct http2_conn *conn, struct http2_stream *stream, bool is_paused);
