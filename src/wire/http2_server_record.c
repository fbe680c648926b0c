/*
 * The half of an HTTP/2 server session that runs inside nghttp2: callbacks that only record, in
 * flags of the stream, and queue it for http2_server_dispatch().
 */
#include "base/hash.h"
#include "wire/http2_internal.h"
#include "wire/http2_server_internal.h"

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

_Static_assert((int)HTTP2_ENHANCE_YOUR_CALM == (int)NGHTTP2_ENHANCE_YOUR_CALM, "RFC 9113");

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

void http2_server_drop_block(struct http2_server_stream *stream)
{
    stream->session->held_bytes -= stream->block.len;
    buf_done(&stream->block);
}

void http2_server_drop_body(struct http2_server_stream *stream)
{
    stream->session->held_bytes -= stream->body.len;
    buf_done(&stream->body);
}

void http2_server_refuse(struct http2_server_stream *stream, unsigned status)
{
    stream->refusal = status;
    http2_server_drop_body(stream);
    if (!stream->has_fields)
        http2_server_drop_block(stream); /* it may end in the middle of a field */
    else
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
    if (session->is_draining)
        return 0; /* our GOAWAY, which may not have left yet, says that it is not looked at */
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
    size_t len = stream->block.len;
    /* nghttp2 refuses NUL inside names and values, so it can end them here. */
    buf_add(&stream->block, name, name_len);
    buf_add_char(&stream->block, '\0');
    buf_add(&stream->block, value, value_len);
    buf_add_char(&stream->block, '\0');
    stream->session->held_bytes += stream->block.len - len;
    if (stream->block.overflowed)
        http2_server_refuse(stream, 431);
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
        http2_server_refuse(stream, 413);
    else
        session->held_bytes += len;
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

void http2_server_submit_response(struct http2_server_stream *stream,
                                  const struct http2_field *fields, size_t field_count,
                                  bool has_body)
{
    AUTO(free) void *nvs = http2_make_nvs(fields, field_count);
    const nghttp2_data_provider body = {.source = {.ptr = stream}, .read_callback = read_body};
    http2_die_on(nghttp2_submit_response(stream->session->ng, stream->id, nvs, field_count,
                                         has_body ? &body : NULL),
                 "response");
}

/* --- what makes it call --- */

static nghttp2_option *make_option(void)
{
    nghttp2_option *option = NULL;
    http2_die_on(nghttp2_option_new(&option), "options");
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, MAX_OUTBOUND_ACKS);
    return option;
}

nghttp2_session *http2_server_make_ng(struct http2_server *session)
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
