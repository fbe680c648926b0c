/*
 * As in the client session, nghttp2's callbacks only record (http2_server_record.c), here in flags
 * of the stream, which then waits in a queue until nghttp2 has returned:
 *
 *     bytes → nghttp2_session_mem_recv(), _mem_send() → flags, queue
 *           → http2_server_dispatch() → on_request, on_sent, on_gone
 *
 * A stream's life:
 *
 *     ARRIVING ──► whole or refused: on_request ──► begin, write… finish ──► closed: freed
 *         └─────────── reset by the peer ──► closed: on_gone if somebody cares; freed
 *
 * A stream's memory goes only in dispatch, or with the session, so a recorded pointer never
 * dangles. Refused requests are answered early; once the answer has left, what remains of the
 * request is stopped with RST_STREAM(NO_ERROR), as RFC 9113 §8.1 allows.
 *
 * Against hostile peers: nghttp2 (as Debian ships it) bounds CONTINUATION frames and the answers to
 * PING and SETTINGS. Resets are counted here, the peer's own (rapid reset) and those it provokes by
 * breaking rules: beyond a burst and a rate the session ends with ENHANCE_YOUR_CALM. Those that it
 * provokes and does not read are bounded by the number of frames that may wait. Fields count as
 * large as they are when they are unpacked, for a few bytes of the wire may stand for many.
 */
#include "base/hash.h"
#include "wire/http2_internal.h"
#include "wire/http2_server_internal.h"

#include <nghttp2/nghttp2.h>

/* Frames of any kind that may wait: some for each stream, and what a client sends before it knows
 * our limits. nghttp2 itself answers what goes against the rules without counting. */
#define MAX_OUTBOUND_FRAMES ((size_t)8 * HTTP2_SERVER_MAX_STREAMS)

/* --- life --- */

struct http2_server *http2_server_new(const struct http2_server_limits *limits,
                                      const struct http2_server_events *events, void *ctx)
{
    struct http2_server *session = xcalloc(1, sizeof(*session));
    session->limits = *limits;
    session->events = events;
    session->ctx = ctx;
    session->ng = http2_server_make_ng(session);
    return session;
}

/* Not while it is queued. */
static void stream_free(struct http2_server_stream *stream)
{
    struct http2_server *session = stream->session;
    DL_DELETE(session->streams, stream);
    session->stream_count--;
    http2_server_drop_body(stream);
    http2_server_drop_block(stream);
    byte_queue_done(&stream->out);
    free(stream);
}

static void kill_ng(struct http2_server *session)
{
    nghttp2_session_del(session->ng);
    session->ng = NULL;
    session->queue = session->queue_last = NULL;
}

void http2_server_free(struct http2_server *session)
{
    if (!session)
        return;
    kill_ng(session);
    while (session->streams)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): utlist unlinks it, unseen */
        stream_free(session->streams);
    free(session);
}

void http2_server_silence(struct http2_server *session)
{
    session->is_silent = true;
}

/* --- handing out --- */

static void send_continue(struct http2_server_stream *stream)
{
    static const struct http2_field field = {":status", "100"};
    AUTO(free) void *nvs = http2_make_nvs(&field, 1);
    stream->wants_continue = false;
    http2_die_on(nghttp2_submit_headers(stream->session->ng, NGHTTP2_FLAG_NONE, stream->id, NULL,
                                        nvs, 1, NULL),
                 "100 Continue");
}

static void hand_out_closed(struct http2_server_stream *stream)
{
    struct http2_server *session = stream->session;
    void *stream_ctx = stream->ctx;
    stream_free(stream);
    if (stream_ctx)
        session->events->on_gone(stream_ctx);
}

static void hand_out(struct http2_server_stream *stream)
{
    struct http2_server *session = stream->session;
    if (stream->is_closed) {
        hand_out_closed(stream);
    } else if (stream->is_left && !stream->is_reset) {
        stream->is_reset = true;
        http2_die_on(
            nghttp2_submit_rst_stream(session->ng, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR),
            "reset");
    } else if (!stream->is_handed && !stream->is_reset &&
               (stream->is_whole || stream->refusal != 0)) {
        stream->is_handed = true;
        stream->wants_continue = false; /* the rest is here, or not wanted */
        session->events->on_request(session->ctx, stream);
        http2_server_drop_block(stream);
    } else if (stream->wants_continue && !stream->is_reset) {
        send_continue(stream);
    } else if (stream->has_sent) {
        stream->has_sent = false;
        if (stream->ctx)
            session->events->on_sent(stream->ctx);
    }
}

bool http2_server_dispatch(struct http2_server *session)
{
    bool had_any = session->queue != NULL;
    if (session->ng && session->is_abusive) {
        session->is_abusive = false;
        session->is_terminated = true;
        http2_die_on(nghttp2_session_terminate_session(session->ng, NGHTTP2_ENHANCE_YOUR_CALM),
                     "goaway");
        had_any = true;
    }
    while (session->queue && !session->is_silent) {
        struct http2_server_stream *stream = session->queue;
        session->queue = stream->queue_next;
        if (!session->queue)
            session->queue_last = NULL;
        stream->queue_next = NULL;
        stream->is_queued = false;
        hand_out(stream);
    }
    return had_any;
}

/* --- bytes --- */

/* After a code like this nghttp2 allows nothing but nghttp2_session_del(). */
static struct error *die(struct http2_server *session, int code)
{
    kill_ng(session);
    return error_new(ERROR_UNAVAILABLE, "http2: %s", nghttp2_strerror(code));
}

struct error *http2_server_receive(struct http2_server *session, int64_t now_ns, struct str bytes)
{
    if (!session->ng)
        return error_new(ERROR_UNAVAILABLE, "http2: the session has ended");
    session->now_ns = now_ns;
    ssize_t used = nghttp2_session_mem_recv(session->ng, (const uint8_t *)bytes.ptr, bytes.len);
    if (used >= 0 && nghttp2_session_get_outbound_queue_size(session->ng) > MAX_OUTBOUND_FRAMES)
        used = NGHTTP2_ERR_FLOODED;
    return used < 0 ? die(session, (int)used) : NULL;
}

struct error *http2_server_send(struct http2_server *session, int64_t now_ns, struct str *ret_bytes)
{
    if (!session->ng)
        return error_new(ERROR_UNAVAILABLE, "http2: the session has ended");
    session->now_ns = now_ns;
    const uint8_t *bytes = NULL;
    ssize_t len = nghttp2_session_mem_send(session->ng, &bytes);
    if (len < 0)
        return die(session, (int)len);
    *ret_bytes = (struct str){.ptr = (const char *)bytes, .len = (size_t)len};
    return NULL;
}

bool http2_server_is_alive(const struct http2_server *session)
{
    if (!session->ng)
        return false;
    bool is_done = session->is_draining && session->stream_count == 0;
    return nghttp2_session_want_write(session->ng) != 0 ||
           (!is_done && nghttp2_session_want_read(session->ng) != 0);
}

size_t http2_server_stream_count(const struct http2_server *session)
{
    return session->stream_count;
}

size_t http2_server_held_bytes(const struct http2_server *session)
{
    return session->held_bytes;
}

void http2_server_drain(struct http2_server *session)
{
    if (!session->ng || session->is_draining)
        return;
    session->is_draining = true;
    http2_die_on(nghttp2_submit_goaway(session->ng, NGHTTP2_FLAG_NONE,
                                       nghttp2_session_get_last_proc_stream_id(session->ng),
                                       NGHTTP2_NO_ERROR, NULL, 0),
                 "goaway");
}

/* --- what waits too long --- */

/* A refused one is answered at once, but not before its fields have ended. */
static bool is_arriving(const struct http2_server_stream *stream)
{
    return !stream->is_whole && !stream->is_handed && !stream->is_closed && !stream->is_reset &&
           (stream->refusal == 0 || !stream->has_fields);
}

/* Nothing can be said to the peer about it any more. */
static bool is_mute(const struct http2_server_stream *stream)
{
    return stream->is_closed || stream->is_reset || !stream->session->ng;
}

static bool is_backlogged(const struct http2_server_stream *stream)
{
    return !is_mute(stream) && byte_queue_len(&stream->out) > 0;
}

int64_t http2_server_oldest_request_ns(const struct http2_server *session)
{
    const struct http2_server_stream *stream;
    DL_FOREACH(session->streams, stream) {
        if (is_arriving(stream) && !session->is_terminated)
            return stream->began_ns;
    }
    return INT64_MAX;
}

int64_t http2_server_oldest_backlog_ns(const struct http2_server *session)
{
    int64_t oldest_ns = INT64_MAX;
    const struct http2_server_stream *stream;
    DL_FOREACH(session->streams, stream) {
        if (is_backlogged(stream))
            oldest_ns = min_i64(oldest_ns, stream->progress_ns);
    }
    return oldest_ns;
}

void http2_server_refuse_requests(struct http2_server *session, int64_t before_ns, unsigned status)
{
    struct http2_server_stream *stream;
    DL_FOREACH(session->streams, stream) {
        if (!is_arriving(stream) || stream->began_ns > before_ns)
            continue;
        if (!stream->has_fields && status == 408)
            session->is_abusive = true; /* nothing else can come before the rest of its fields */
        http2_server_refuse(stream, status);
    }
}

void http2_server_reset_stalled(struct http2_server *session, int64_t before_ns)
{
    struct http2_server_stream *stream;
    DL_FOREACH(session->streams, stream) {
        if (!is_backlogged(stream) || stream->progress_ns > before_ns)
            continue;
        void *stream_ctx = stream->ctx;
        http2_server_stream_reset(stream, HTTP2_CANCEL);
        stream->ctx = stream_ctx; /* on_gone is still to be told */
    }
}

/* --- streams --- */

void http2_server_stream_set_ctx(struct http2_server_stream *stream, void *stream_ctx)
{
    stream->ctx = stream_ctx;
}

struct http2_fields http2_server_stream_fields(const struct http2_server_stream *stream)
{
    return (struct http2_fields){.bytes = buf_text(&stream->block), .len = stream->block.len};
}

void http2_server_stream_take_body(struct http2_server_stream *stream, struct buf *ret)
{
    stream->session->held_bytes -= stream->body.len;
    *ret = stream->body;
    buf_init(&stream->body, stream->session->limits.max_body_bytes);
}

unsigned http2_server_stream_refusal(const struct http2_server_stream *stream)
{
    return stream->refusal;
}

void http2_server_stream_begin(struct http2_server_stream *stream, const struct http2_field *fields,
                               size_t field_count, bool has_body)
{
    ASSERT(!stream->is_begun);
    stream->is_begun = true;
    if (is_mute(stream))
        return;
    http2_server_submit_response(stream, fields, field_count, has_body);
}

static void resume(struct http2_server_stream *stream)
{
    if (!stream->is_deferred || is_mute(stream))
        return;
    stream->is_deferred = false;
    http2_die_on(nghttp2_session_resume_data(stream->session->ng, stream->id), "resume");
}

void http2_server_stream_write(struct http2_server_stream *stream, int64_t now_ns, struct str bytes)
{
    if (bytes.len == 0 || is_mute(stream))
        return;
    if (byte_queue_len(&stream->out) == 0)
        stream->progress_ns = now_ns;
    buf_add_str(byte_queue_end(&stream->out), bytes);
    resume(stream);
}

size_t http2_server_stream_backlog(const struct http2_server_stream *stream)
{
    return byte_queue_len(&stream->out);
}

void http2_server_stream_finish(struct http2_server_stream *stream)
{
    ASSERT(stream->is_begun);
    stream->ctx = NULL;
    stream->is_finished = true;
    resume(stream);
}

void http2_server_stream_reset(struct http2_server_stream *stream, uint32_t error_code)
{
    stream->ctx = NULL;
    byte_queue_done(&stream->out);
    if (is_mute(stream))
        return;
    stream->is_reset = true;
    http2_die_on(
        nghttp2_submit_rst_stream(stream->session->ng, NGHTTP2_FLAG_NONE, stream->id, error_code),
        "reset");
}
