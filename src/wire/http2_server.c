/*
 * As in the client session, nghttp2's callbacks only record, here in flags of the stream, which
 * then waits in a queue until nghttp2 has returned:
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
 * breaking rules: beyond a burst and a rate the session ends with ENHANCE_YOUR_CALM.
 */
#include "wire/http2_server.h"

#include "base/hash.h"
#include "wire/byte_queue.h"
#include "wire/http2_internal.h"

#include <nghttp2/nghttp2.h>

/* What a peer may send ahead of our reading. Bodies are held back by max_body_bytes, not by these:
 * we read at once. */
#define STREAM_WINDOW_BYTES (256 * 1024)
#define CONNECTION_WINDOW_BYTES (1024 * 1024)
/* Answers to PING and SETTINGS that may wait for a peer who does not read. */
#define MAX_OUTBOUND_ACKS 128
/* A client may give up everything it has under way at once, and now and then something more. */
#define RESET_BURST HTTP2_SERVER_MAX_STREAMS
#define RESETS_PER_SECOND 25
/* No answer is larger; a bug that writes without end is cut off before it takes the node down. */
#define MAX_BACKLOG_BYTES (512 * MiB)

struct http2_server_stream {
    struct http2_server *session;
    int32_t id;
    void *ctx;
    struct buf block; /* the request's fields */
    struct buf body;
    unsigned refusal;
    int64_t began_ns;
    bool has_fields, is_whole, is_handed, wants_continue;       /* the request */
    bool is_begun, is_finished, is_deferred, has_sent, is_left; /* the response */
    bool is_reset;                                              /* by us */
    bool is_closed;                                             /* nghttp2 does not know it */
    bool is_queued;
    struct byte_queue out;
    int64_t progress_ns; /* when out was not empty and last shrank, or began */
    struct http2_server_stream *prev, *next;
    struct http2_server_stream *queue_next;
};

struct http2_server {
    nghttp2_session *ng; /* NULL: dead */
    struct http2_server_limits limits;
    const struct http2_server_events *events;
    void *ctx;
    struct http2_server_stream *streams; /* owned, the oldest first */
    struct http2_server_stream *queue, *queue_last;
    size_t stream_count, body_bytes;
    int64_t now_ns;
    int64_t reset_tokens_ns; /* a token bucket, in time: see count_reset() */
    bool is_abusive, is_terminated, is_draining, is_silent;
};

_Static_assert((int)HTTP2_ENHANCE_YOUR_CALM == (int)NGHTTP2_ENHANCE_YOUR_CALM, "RFC 9113");

/* --- recording: inside nghttp2 --- */

static struct http2_server_stream *find(nghttp2_session *ng, int32_t id)
{
    return nghttp2_session_get_stream_user_data(ng, id);
}

static void enqueue(struct http2_server_stream *stream)
{
    struct http2_server *session = stream->session;
    if (stream->is_queued)
        return;
    stream->is_queued = true;
    if (session->queue_last)
        session->queue_last->queue_next = stream;
    else
        session->queue = stream;
    session->queue_last = stream;
}

static void drop_body(struct http2_server_stream *stream)
{
    stream->session->body_bytes -= stream->body.len;
    buf_done(&stream->body);
}

static void refuse(struct http2_server_stream *stream, unsigned status)
{
    stream->refusal = status;
    drop_body(stream);
    if (stream->has_fields)
        enqueue(stream);
}

/*
 * The bucket is kept as the time at which it was, or would have been, full: a reset moves that time
 * ahead, and the session is abusive when it lies too far ahead of now.
 */
static void count_reset(struct http2_server *session)
{
    session->reset_tokens_ns =
        max_i64(session->reset_tokens_ns, session->now_ns) + NS_PER_SEC / RESETS_PER_SECOND;
    if (session->reset_tokens_ns - session->now_ns > RESET_BURST * (NS_PER_SEC / RESETS_PER_SECOND))
        session->is_abusive = true;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user_data)
{
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct http2_server *session = user_data;
    struct http2_server_stream *stream = xcalloc(1, sizeof(*stream));
    stream->session = session;
    stream->id = frame->hd.stream_id;
    stream->began_ns = session->now_ns;
    buf_init(&stream->block, session->limits.max_header_bytes);
    buf_init(&stream->body, session->limits.max_body_bytes);
    byte_queue_init(&stream->out, MAX_BACKLOG_BYTES);
    DL_APPEND(session->streams, stream);
    session->stream_count++;
    http2_die_on(nghttp2_session_set_stream_user_data(ng, stream->id, stream), "stream");
    return 0;
}

/* NOLINTNEXTLINE(readability-function-size): the signature is nghttp2's */
static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, UNUSED uint8_t flags,
                     UNUSED void *user_data)
{
    struct http2_server_stream *stream = find(ng, frame->hd.stream_id);
    if (!stream || stream->has_fields || stream->refusal != 0)
        return 0; /* a trailer, or of no interest any more */
    /* nghttp2 refuses NUL inside names and values, so it can end them here. */
    buf_add(&stream->block, name, name_len);
    buf_add_char(&stream->block, '\0');
    buf_add(&stream->block, value, value_len);
    buf_add_char(&stream->block, '\0');
    if (stream->block.overflowed) {
        buf_clear(&stream->block); /* it may end in the middle of a field */
        refuse(stream, 431);
    }
    return 0;
}

static void note_fields(struct http2_server_stream *stream, bool is_whole)
{
    struct http2_fields fields = http2_server_stream_fields(stream);
    stream->has_fields = true;
    const char *length = http2_fields_get(&fields, "content-length");
    int64_t announced = 0;
    if (length && parse_i64(length, 0, INT64_MAX, &announced) &&
        (uint64_t)announced > stream->session->limits.max_body_bytes && stream->refusal == 0)
        stream->refusal = 413;
    const char *expect = http2_fields_get(&fields, "expect");
    stream->wants_continue =
        !is_whole && stream->refusal == 0 && expect && text_eq(expect, "100-continue");
    if (stream->refusal != 0 || stream->wants_continue)
        enqueue(stream);
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *user_data)
{
    bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        count_reset(user_data);
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct http2_server_stream *stream = find(ng, frame->hd.stream_id);
    if (!stream)
        return 0;
    if (!stream->has_fields)
        note_fields(stream, is_end);
    if (is_end) {
        stream->is_whole = true;
        enqueue(stream);
    }
    return 0;
}

static int on_data_chunk(nghttp2_session *ng, UNUSED uint8_t flags, int32_t stream_id,
                         const uint8_t *data, size_t len, void *user_data)
{
    struct http2_server *session = user_data;
    struct http2_server_stream *stream = find(ng, stream_id);
    if (!stream || stream->refusal != 0 || stream->is_handed)
        return 0;
    buf_add(&stream->body, data, len);
    if (stream->body.overflowed)
        refuse(stream, 413);
    else
        session->body_bytes += len;
    return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t stream_id, UNUSED uint32_t error_code,
                           UNUSED void *user_data)
{
    struct http2_server_stream *stream = find(ng, stream_id);
    if (stream) {
        stream->is_closed = true;
        enqueue(stream);
    }
    return 0;
}

static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *user_data)
{
    struct http2_server_stream *stream = find(ng, frame->hd.stream_id);
    bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame->hd.type == NGHTTP2_RST_STREAM && (!stream || !stream->is_reset))
        count_reset(user_data);
    if (stream && is_end && !stream->is_whole &&
        (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA)) {
        stream->is_left = true;
        enqueue(stream);
    }
    return 0;
}

/* NOLINTNEXTLINE(readability-function-size): the signature is nghttp2's */
static ssize_t read_body(UNUSED nghttp2_session *ng, UNUSED int32_t stream_id, uint8_t *out,
                         size_t size, uint32_t *data_flags, nghttp2_data_source *source,
                         UNUSED void *user_data)
{
    struct http2_server_stream *stream = source->ptr;
    if (byte_queue_has_overflowed(&stream->out))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    struct str front = byte_queue_front(&stream->out);
    size_t len = min_size(size, front.len);
    if (len > 0) {
        memcpy(out, front.ptr, len);
        byte_queue_take(&stream->out, len);
        stream->progress_ns = stream->session->now_ns;
        stream->has_sent = true;
        enqueue(stream);
    }
    if (stream->is_finished && byte_queue_len(&stream->out) == 0)
        *data_flags |= NGHTTP2_DATA_FLAG_EOF;
    else if (len == 0) {
        stream->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)len;
}

/* --- life --- */

static nghttp2_option *make_option(void)
{
    nghttp2_option *option = NULL;
    http2_die_on(nghttp2_option_new(&option), "options");
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, MAX_OUTBOUND_ACKS);
    return option;
}

static nghttp2_session *make_ng(struct http2_server *session)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_session *ng = NULL;
    http2_die_on(nghttp2_session_callbacks_new(&callbacks), "callbacks");
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_option *option = make_option();
    http2_die_on(nghttp2_session_server_new2(&ng, callbacks, session, option), "session");
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);

    uint32_t list_size = (uint32_t)min_size(session->limits.max_header_bytes, UINT32_MAX);
    const nghttp2_settings_entry settings[] = {
        {.settings_id = NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, .value = HTTP2_SERVER_MAX_STREAMS},
        {.settings_id = NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, .value = STREAM_WINDOW_BYTES},
        {.settings_id = NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, .value = list_size},
    };
    http2_die_on(nghttp2_submit_settings(ng, NGHTTP2_FLAG_NONE, settings, ARRAY_SIZE(settings)),
                 "settings");
    http2_die_on(
        nghttp2_session_set_local_window_size(ng, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES),
        "window");
    return ng;
}

struct http2_server *http2_server_new(const struct http2_server_limits *limits,
                                      const struct http2_server_events *events, void *ctx)
{
    struct http2_server *session = xcalloc(1, sizeof(*session));
    session->limits = *limits;
    session->events = events;
    session->ctx = ctx;
    session->ng = make_ng(session);
    return session;
}

/* Not while it is queued. */
static void stream_free(struct http2_server_stream *stream)
{
    struct http2_server *session = stream->session;
    DL_DELETE(session->streams, stream);
    session->stream_count--;
    drop_body(stream);
    buf_done(&stream->block);
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
        session->events->on_request(session->ctx, stream);
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

size_t http2_server_body_bytes(const struct http2_server *session)
{
    return session->body_bytes;
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
        if (!stream->has_fields)
            session->is_abusive = true; /* nothing else can come before the rest of its fields */
        refuse(stream, status);
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
    stream->session->body_bytes -= stream->body.len;
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
    buf_done(&stream->block);
    if (is_mute(stream))
        return;
    AUTO(free) void *nvs = http2_make_nvs(fields, field_count);
    const nghttp2_data_provider body = {.source = {.ptr = stream}, .read_callback = read_body};
    http2_die_on(nghttp2_submit_response(stream->session->ng, stream->id, nvs, field_count,
                                         has_body ? &body : NULL),
                 "response");
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
