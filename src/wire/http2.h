/*
 * An HTTP/2 client session: bytes in, bytes out, streams in between. Protocol only, no I/O and no
 * clock, over nghttp2. Callbacks never run inside nghttp2: it only records, and what was recorded
 * is handed out once it has returned. wire/http2_conn.h puts a session on a socket. Not
 * thread-safe: belongs to one loop thread.
 */
#pragma once

#include "base/base.h"

struct http2_session; /* opaque */
struct http2_stream;  /* opaque: one request and its response */

/** A block of header fields, as a series of "name\0value\0". Borrowed. */
struct http2_fields {
    const char *bytes;
    size_t len;
};

/** The value of the first field called @name (lower case), or NULL. */
const char *http2_fields_get(const struct http2_fields *fields, const char *name);

enum http2_end_kind {
    HTTP2_END_COMPLETE, /* the peer has sent all of its response */
    HTTP2_END_RESET,   /* the stream was reset, by RST_STREAM or a protocol error: see error_code */
    HTTP2_END_REFUSED, /* the peer promises that it did not look at the request: it is safe to send
                          it again */
    HTTP2_END_LOST,    /* the connection broke: see cause */
};

struct http2_end {
    enum http2_end_kind kind;
    uint32_t error_code;       /* HTTP2_END_RESET: HTTP/2's number */
    const struct error *cause; /* HTTP2_END_LOST: borrowed */
    bool is_unsent;            /* HTTP2_END_LOST: nothing of the request has left */
};

/** The error codes of RFC 9113 §7 that are used outside the session. */
enum http2_error_code {
    HTTP2_NO_ERROR = 0,
    HTTP2_PROTOCOL_ERROR = 1,
    HTTP2_INTERNAL_ERROR = 2,
    HTTP2_REFUSED_STREAM = 7,
    HTTP2_CANCEL = 8,
    HTTP2_ENHANCE_YOUR_CALM = 11,
    HTTP2_INADEQUATE_SECURITY = 12,
};

/** What becomes of one stream. Everything is borrowed for the call. The stream may be reset from
 * any of them. */
struct http2_stream_events {
    /** The response's header block (informational ones are skipped), or its trailer block. */
    void (*on_fields)(void *ctx, const struct http2_fields *fields, bool is_trailer);
    void (*on_data)(void *ctx, struct str bytes);
    /** Last, exactly once; the stream is gone when it returns. Not after http2_stream_reset(). */
    void (*on_end)(void *ctx, const struct http2_end *end);
};

/** What becomes of the session. */
struct http2_session_events {
    /** The peer's first SETTINGS arrived: it speaks HTTP/2. */
    void (*on_settings)(void *ctx);
    /** SETTINGS again: http2_session_stream_limit() may be another. NULL: nobody asks. */
    void (*on_new_limit)(void *ctx);
    /** The peer takes no new streams (GOAWAY); those it has accepted go on. */
    void (*on_goaway)(void *ctx);
};

struct http2_field {
    const char *name, *value;
};

/** Makes a client session; its preface and SETTINGS are the first bytes it wants to send. The
 * caller owns it. */
struct http2_session *http2_session_new(const struct http2_session_events *events, void *ctx);
/** Streams that are left end in silence. Not from a callback of this session. */
void http2_session_free(struct http2_session *session);
DEFINE_AUTO(http2_session, struct http2_session *, http2_session_free)

/**
 * Takes bytes from the peer, then runs the callbacks they cause. UNAVAILABLE when the peer broke
 * the protocol beyond repair: call http2_session_fail() then.
 */
MUST_CHECK struct error *http2_session_receive(struct http2_session *session, const void *bytes,
                                               size_t len);
/**
 * The next bytes for the peer, valid until the next call into the session; len 0 when there is
 * nothing to send. All of them must be sent. Not from a callback.
 */
MUST_CHECK struct error *http2_session_send(struct http2_session *session, struct str *ret_bytes);

/**
 * Runs the callbacks that sending caused (a refused stream ends when its request's turn comes).
 * True when there were any: they may have more to send.
 */
bool http2_session_dispatch(struct http2_session *session);

/** False once neither side has anything more to say: close the connection. */
bool http2_session_is_alive(const struct http2_session *session);
/** False after GOAWAY, a failure, or when stream numbers have run out. */
bool http2_session_can_start(const struct http2_session *session);
size_t http2_session_stream_count(const struct http2_session *session);
/** How many streams the peer takes at a time: 1 until its SETTINGS have said so. */
size_t http2_session_stream_limit(const struct http2_session *session);

/** Ends the session: streams end as HTTP2_END_LOST with @cause (borrowed), except for those whose
 * response has arrived whole; pauses end with it. Later calls find it dead. */
void http2_session_fail(struct http2_session *session, const struct error *cause);

/** No callback of this session runs from now on. For an owner that goes away inside one of them. */
void http2_session_silence(struct http2_session *session);

/** Queues a PING. Its answer brings bytes, which is all that anybody wants of it. */
void http2_session_ping(struct http2_session *session);

#define HTTP2_REQUEST_MAX_FIELDS 64 /* pseudo-header fields among them */

/** What a request says: its fields, pseudo-header fields first, and its body. */
struct http2_request {
    const struct http2_field *fields;
    size_t field_count;
    struct str body;
};

/**
 * Starts a request: the fields are copied, the body is borrowed until the stream ends or is reset.
 * Streams beyond what the peer allows at a time wait their turn. UNAVAILABLE when the session
 * cannot start streams.
 */
MUST_CHECK struct error *http2_stream_start(struct http2_session *session,
                                            const struct http2_request *request,
                                            const struct http2_stream_events *events, void *ctx,
                                            struct http2_stream **ret);

/** Silence: RST_STREAM with @error_code is queued, no callback will run, the handle is gone. */
void http2_stream_reset(struct http2_stream *stream, uint32_t error_code);

/**
 * While a stream is paused nothing of it is told and flow control holds the peer back; what arrives
 * until then is kept, and told by http2_session_dispatch() when the stream is resumed.
 */
void http2_stream_pause(struct http2_stream *stream, bool is_paused);
