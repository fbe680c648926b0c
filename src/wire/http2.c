/*
 * nghttp2 forbids calling it from most of its callbacks, and ours lead to code that starts and
 * resets streams. So the callbacks below only append to a list of records, in the order of arrival,
 * and http2_session_dispatch() hands the records out once nghttp2 has returned:
 *
 *     bytes → nghttp2_session_mem_recv() → records → on_fields, on_data, on_end → (new streams,
 * resets)
 *
 * A record names its stream by number, never by pointer: the stream may be gone by the time it is
 * handed out. Records of a paused stream change over to a list of its own until it is resumed.
 * After a fatal code from nghttp2 only nghttp2_session_del() is called: `ng` becomes NULL and the
 * session is dead.
 */
#include "wire/http2.h"

#include "base/buf.h"
#include "base/hash.h"
#include "wire/http2_internal.h"

#include <nghttp2/nghttp2.h>

/* What the peer may send ahead of our reading. We read at once and take the connection's window as
 * used, so only what is held for a paused stream piles up, to at most the stream's window. */
#define STREAM_WINDOW_BYTES (1024 * 1024)
#define CONNECTION_WINDOW_BYTES (4 * 1024 * 1024)
/* A header block carries an error message at most, and some runtimes put a program's output into
 * it. */
#define FIELD_BLOCK_MAX_BYTES (256 * KiB)
/* Until the peer has said how many streams it takes at a time: one too many would be refused. */
#define ASSUMED_STREAM_LIMIT 1

_Static_assert((int)HTTP2_NO_ERROR == (int)NGHTTP2_NO_ERROR, "RFC 9113");
_Static_assert((int)HTTP2_REFUSED_STREAM == (int)NGHTTP2_REFUSED_STREAM, "RFC 9113");
_Static_assert((int)HTTP2_CANCEL == (int)NGHTTP2_CANCEL, "RFC 9113");

enum record_kind {
    RECORD_SETTINGS,
    RECORD_NEW_LIMIT,
    RECORD_GOAWAY,
    RECORD_FIELDS,
    RECORD_TRAILERS,
    RECORD_DATA,
    RECORD_COMPLETE, /* the peer's END_STREAM */
    RECORD_CLOSED,   /* nghttp2 closed the stream */
};

struct record {
    struct record *next;
    enum record_kind kind;
    int32_t stream_id;
    uint32_t error_code; /* RECORD_CLOSED */
    size_t len;
    char bytes[];
};

struct record_list {
    struct record *first, *last; /* oldest first */
};

struct http2_stream {
    struct http2_session *session;
    const struct http2_stream_events *events;
    void *ctx;
    int32_t id;
    bool has_fields; /* the final response's header block was recorded */
    bool is_sent;    /* the request's header block has left */
    bool is_paused;
    struct record_list held; /* while it is paused */
    struct str body;         /* what is left to send */
    UT_hash_handle hh;
};

struct http2_session {
    nghttp2_session *ng; /* NULL: dead */
    const struct http2_session_events *events;
    void *ctx;
    struct http2_stream *streams; /* hash head, by id; the session owns every stream */
    struct record_list records;
    struct buf block;     /* the header block that is arriving */
    size_t arrived_bytes; /* of bodies, not yet given back to the connection's window */
    bool has_settings, is_draining, is_silent;
};

const char *http2_fields_get(const struct http2_fields *fields, const char *name)
{
    const char *at = fields->bytes, *end = fields->bytes + fields->len;
    while (at < end) {
        const char *value = at + strlen(at) + 1;
        if (text_eq(at, name))
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

static struct http2_stream *find_stream(const struct http2_session *session, int32_t id)
{
    struct http2_stream *stream;
    HASH_FIND(hh, session->streams, &id, sizeof(id), stream);
    return stream;
}

static void list_append(struct record_list *list, struct record *record)
{
    record->next = NULL;
    if (list->last)
        list->last->next = record;
    else
        list->first = record;
    list->last = record;
}

static struct record *list_take(struct record_list *list)
{
    struct record *record = list->first;
    list->first = record->next;
    if (!list->first)
        list->last = NULL;
    return record;
}

static void list_drop(struct record_list *list)
{
    while (list->first)
        free(list_take(list));
}

static void stream_free(struct http2_stream *stream)
{
    list_drop(&stream->held);
    HASH_DEL(stream->session->streams, stream);
    free(stream);
}

/* --- recording: inside nghttp2 --- */

static struct record *record_add(struct http2_session *session, enum record_kind kind,
                                 int32_t stream_id, struct str bytes)
{
    struct record *record = xcalloc(1, sizeof(*record) + bytes.len);
    record->kind = kind;
    record->stream_id = stream_id;
    record->len = bytes.len;
    if (bytes.len > 0)
        memcpy(record->bytes, bytes.ptr, bytes.len);
    list_append(&session->records, record);
    return record;
}

/* Most are small, and a session that waits for the next should not keep what a large one took. */
static void clear_block(struct http2_session *session)
{
    buf_done(&session->block);
    buf_init(&session->block, FIELD_BLOCK_MAX_BYTES);
}

static int on_begin_headers(UNUSED nghttp2_session *ng, UNUSED const nghttp2_frame *frame,
                            void *user_data)
{
    clear_block(user_data);
    return 0;
}

/* NOLINTNEXTLINE(readability-function-size): the signature is nghttp2's */
static int on_header(UNUSED nghttp2_session *ng, UNUSED const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_len, const uint8_t *value, size_t value_len,
                     UNUSED uint8_t flags, void *user_data)
{
    struct buf *block = &((struct http2_session *)user_data)->block;
    /* nghttp2 refuses NUL inside names and values, so it can end them here. */
    buf_add(block, name, name_len);
    buf_add_char(block, '\0');
    buf_add(block, value, value_len);
    buf_add_char(block, '\0');
    return block->overflowed ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
}

static void record_fields(struct http2_session *session, const nghttp2_frame *frame)
{
    struct http2_stream *stream = find_stream(session, frame->hd.stream_id);
    if (!stream)
        return;
    struct http2_fields fields = {.bytes = buf_text(&session->block), .len = session->block.len};
    const char *status = http2_fields_get(&fields, ":status");
    if (status && status[0] == '1')
        return; /* informational: the response is still to come */
    record_add(session, stream->has_fields ? RECORD_TRAILERS : RECORD_FIELDS, stream->id,
               buf_str(&session->block));
    stream->has_fields = true;
}

static int on_frame_recv(UNUSED nghttp2_session *ng, const nghttp2_frame *frame, void *user_data)
{
    struct http2_session *session = user_data;
    bool is_ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
    bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame->hd.type == NGHTTP2_SETTINGS && !is_ack) {
        record_add(session, session->has_settings ? RECORD_NEW_LIMIT : RECORD_SETTINGS, 0,
                   (struct str){0});
        session->has_settings = true;
    } else if (frame->hd.type == NGHTTP2_GOAWAY && !session->is_draining) {
        session->is_draining = true;
        record_add(session, RECORD_GOAWAY, 0, (struct str){0});
    } else if (frame->hd.type == NGHTTP2_HEADERS) {
        record_fields(session, frame);
        clear_block(session);
    }
    if (is_end && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA))
        record_add(session, RECORD_COMPLETE, frame->hd.stream_id, (struct str){0});
    return 0;
}

static int on_data_chunk(UNUSED nghttp2_session *ng, UNUSED uint8_t flags, int32_t stream_id,
                         const uint8_t *data, size_t len, void *user_data)
{
    struct http2_session *session = user_data;
    session->arrived_bytes += len;
    if (find_stream(session, stream_id))
        record_add(session, RECORD_DATA, stream_id,
                   (struct str){.ptr = (const char *)data, .len = len});
    return 0;
}

static int on_frame_send(UNUSED nghttp2_session *ng, const nghttp2_frame *frame, void *user_data)
{
    struct http2_stream *stream =
        frame->hd.type == NGHTTP2_HEADERS ? find_stream(user_data, frame->hd.stream_id) : NULL;
    if (stream)
        stream->is_sent = true;
    return 0;
}

static int on_stream_close(UNUSED nghttp2_session *ng, int32_t stream_id, uint32_t error_code,
                           void *user_data)
{
    struct http2_session *session = user_data;
    if (find_stream(session, stream_id))
        record_add(session, RECORD_CLOSED, stream_id, (struct str){0})->error_code = error_code;
    return 0;
}

/* NOLINTNEXTLINE(readability-function-size): the signature is nghttp2's */
static ssize_t read_body(UNUSED nghttp2_session *ng, int32_t stream_id, uint8_t *out, size_t size,
                         uint32_t *data_flags, UNUSED nghttp2_data_source *source, void *user_data)
{
    struct http2_stream *stream = find_stream(user_data, stream_id);
    if (!stream)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    size_t len = min_size(size, stream->body.len);
    if (len > 0)
        memcpy(out, stream->body.ptr, len);
    stream->body.ptr += len;
    stream->body.len -= len;
    if (stream->body.len == 0)
        *data_flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)len;
}

/* --- life --- */

static nghttp2_session *make_ng(struct http2_session *session)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    nghttp2_session *ng = NULL;
    http2_die_on(nghttp2_session_callbacks_new(&callbacks), "callbacks");
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    http2_die_on(nghttp2_option_new(&option), "options");
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_peer_max_concurrent_streams(option, ASSUMED_STREAM_LIMIT);
    http2_die_on(nghttp2_session_client_new2(&ng, callbacks, session, option), "session");
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);

    const nghttp2_settings_entry settings[] = {
        {.settings_id = NGHTTP2_SETTINGS_ENABLE_PUSH, .value = 0},
        {.settings_id = NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, .value = STREAM_WINDOW_BYTES},
        {.settings_id = NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, .value = FIELD_BLOCK_MAX_BYTES},
    };
    http2_die_on(nghttp2_submit_settings(ng, NGHTTP2_FLAG_NONE, settings, ARRAY_SIZE(settings)),
                 "settings");
    http2_die_on(
        nghttp2_session_set_local_window_size(ng, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES),
        "window");
    return ng;
}

struct http2_session *http2_session_new(const struct http2_session_events *events, void *ctx)
{
    struct http2_session *session = xcalloc(1, sizeof(*session));
    session->events = events;
    session->ctx = ctx;
    buf_init(&session->block, FIELD_BLOCK_MAX_BYTES);
    session->ng = make_ng(session);
    return session;
}

static void kill_ng(struct http2_session *session)
{
    nghttp2_session_del(session->ng);
    session->ng = NULL;
}

void http2_session_free(struct http2_session *session)
{
    if (!session)
        return;
    kill_ng(session);
    list_drop(&session->records);
    while (session->streams)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash unlinks it, unseen */
        stream_free(session->streams);
    buf_done(&session->block);
    free(session);
}

void http2_session_silence(struct http2_session *session)
{
    session->is_silent = true;
}

static bool holds_end(const struct http2_stream *stream)
{
    const struct record *record = stream->held.first;
    while (record && record->kind != RECORD_COMPLETE)
        record = record->next;
    return record != NULL;
}

void http2_session_fail(struct http2_session *session, const struct error *cause)
{
    /* What is complete is no loss: a pause only puts it off, and that is over now. */
    struct http2_stream *ended, *next;
    HASH_ITER(hh, session->streams, ended, next) {
        if (holds_end(ended))
            http2_stream_pause(ended, false);
    }
    kill_ng(session);
    (void)http2_session_dispatch(session);
    while (session->streams && !session->is_silent) {
        struct http2_stream *stream = session->streams;
        struct http2_end end = {.kind = HTTP2_END_LOST, .cause = cause};
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash unlinks it, unseen */
        end.is_unsent = !stream->is_sent;
        const struct http2_stream_events *events = stream->events;
        void *ctx = stream->ctx;
        stream_free(stream);
        events->on_end(ctx, &end);
    }
}

/* --- handing out --- */

static void end_stream(struct http2_stream *stream, const struct http2_end *end)
{
    const struct http2_stream_events *events = stream->events;
    void *ctx = stream->ctx;
    /* The peer is done; when we are not, what is left of the request interests nobody. */
    if (end->kind == HTTP2_END_COMPLETE && stream->body.len > 0)
        http2_stream_reset(stream, HTTP2_CANCEL);
    else
        stream_free(stream);
    events->on_end(ctx, end);
}

/* The session's window was given back when the bytes arrived, the stream's is now. */
static void hand_out_data(struct http2_stream *stream, const struct record *record)
{
    nghttp2_session *ng = stream->session->ng;
    if (ng)
        http2_die_on(nghttp2_session_consume_stream(ng, stream->id, record->len), "consume");
    stream->events->on_data(stream->ctx, (struct str){.ptr = record->bytes, .len = record->len});
}

static void hand_out_stream_record(struct http2_stream *stream, const struct record *record)
{
    struct http2_fields fields = {.bytes = record->bytes, .len = record->len};
    struct http2_end end = {.kind = HTTP2_END_COMPLETE};
    switch (record->kind) {
    case RECORD_FIELDS:
    case RECORD_TRAILERS:
        stream->events->on_fields(stream->ctx, &fields, record->kind == RECORD_TRAILERS);
        break;
    case RECORD_DATA:
        hand_out_data(stream, record);
        break;
    case RECORD_COMPLETE:
        end_stream(stream, &end);
        break;
    case RECORD_CLOSED:
        /* Who has begun to answer has looked, whatever is said afterwards. */
        end.kind = record->error_code == NGHTTP2_REFUSED_STREAM && !stream->has_fields
                       ? HTTP2_END_REFUSED
                       : HTTP2_END_RESET;
        end.error_code = record->error_code;
        end_stream(stream, &end);
        break;
    case RECORD_SETTINGS:
    case RECORD_NEW_LIMIT:
    case RECORD_GOAWAY:
        break;
    }
}

static struct http2_stream *find_unsent(const struct http2_session *session)
{
    struct http2_stream *stream = session->streams;
    while (stream && stream->is_sent)
        stream = stream->hh.next;
    return stream;
}

/* Requests that still waited for their turn will never have one. */
static void hand_out_goaway(struct http2_session *session)
{
    const struct http2_end end = {
        .kind = HTTP2_END_REFUSED, .error_code = HTTP2_REFUSED_STREAM, .is_unsent = true};
    session->events->on_goaway(session->ctx);
    struct http2_stream *stream = NULL;
    while (!session->is_silent && (stream = find_unsent(session))) {
        const struct http2_stream_events *events = stream->events;
        void *ctx = stream->ctx;
        http2_stream_reset(stream, HTTP2_CANCEL);
        events->on_end(ctx, &end);
    }
}

static void hand_out_session_record(struct http2_session *session, enum record_kind kind)
{
    if (kind == RECORD_SETTINGS)
        session->events->on_settings(session->ctx);
    else if (kind == RECORD_GOAWAY)
        hand_out_goaway(session);
    else if (session->events->on_new_limit)
        session->events->on_new_limit(session->ctx);
}

static void hand_out(struct http2_session *session, struct record *record_owned)
{
    AUTO(free) struct record *record = record_owned;
    if (record->stream_id == 0) {
        if (session->ng) /* of a dead one only the streams are heard */
            hand_out_session_record(session, record->kind);
        return;
    }
    struct http2_stream *stream = find_stream(session, record->stream_id);
    if (stream && stream->is_paused)
        list_append(&stream->held, TAKE(record));
    else if (stream)
        hand_out_stream_record(stream, record);
}

bool http2_session_dispatch(struct http2_session *session)
{
    bool had_records = session->records.first != NULL;
    while (session->records.first && !session->is_silent)
        hand_out(session, list_take(&session->records));
    return had_records;
}

/* --- bytes --- */

static struct error *session_error(int code)
{
    return error_new(ERROR_UNAVAILABLE, "http2: %s", nghttp2_strerror(code));
}

struct error *http2_session_receive(struct http2_session *session, const void *bytes, size_t len)
{
    if (!session->ng)
        return error_new(ERROR_UNAVAILABLE, "http2: the session has ended");
    ssize_t used = nghttp2_session_mem_recv(session->ng, bytes, len);
    if (used < 0)
        return session_error((int)used);
    if (session->arrived_bytes > 0)
        http2_die_on(nghttp2_session_consume_connection(session->ng, session->arrived_bytes),
                     "consume");
    session->arrived_bytes = 0;
    (void)http2_session_dispatch(session);
    return NULL;
}

struct error *http2_session_send(struct http2_session *session, struct str *ret_bytes)
{
    if (!session->ng)
        return error_new(ERROR_UNAVAILABLE, "http2: the session has ended");
    const uint8_t *bytes = NULL;
    ssize_t len = nghttp2_session_mem_send(session->ng, &bytes);
    if (len < 0)
        return session_error((int)len);
    *ret_bytes = (struct str){.ptr = (const char *)bytes, .len = (size_t)len};
    return NULL;
}

bool http2_session_is_alive(const struct http2_session *session)
{
    return session->ng && (nghttp2_session_want_read(session->ng) != 0 ||
                           nghttp2_session_want_write(session->ng) != 0);
}

bool http2_session_can_start(const struct http2_session *session)
{
    return session->ng && !session->is_draining &&
           nghttp2_session_check_request_allowed(session->ng) != 0;
}

size_t http2_session_stream_count(const struct http2_session *session)
{
    return HASH_COUNT(session->streams);
}

size_t http2_session_stream_limit(const struct http2_session *session)
{
    if (!session->ng || !session->has_settings)
        return ASSUMED_STREAM_LIMIT;
    return nghttp2_session_get_remote_settings(session->ng,
                                               NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

/* --- streams --- */

struct error *http2_stream_start(struct http2_session *session, const struct http2_request *request,
                                 const struct http2_stream_events *events, void *ctx,
                                 struct http2_stream **ret)
{
    ASSERT(request->field_count <= HTTP2_REQUEST_MAX_FIELDS);
    if (!http2_session_can_start(session))
        return error_new(ERROR_UNAVAILABLE, "http2: the connection takes no new requests");
    AUTO(free) void *nvs = http2_make_nvs(request->fields, request->field_count);
    const nghttp2_data_provider body = {.read_callback = read_body};
    int32_t id = nghttp2_submit_request(session->ng, NULL, nvs, request->field_count,
                                        request->body.len > 0 ? &body : NULL, NULL);
    if (id < 0)
        return session_error(id);

    struct http2_stream *stream = xcalloc(1, sizeof(*stream));
    stream->session = session;
    stream->events = events;
    stream->ctx = ctx;
    stream->id = id;
    stream->body = request->body;
    HASH_ADD(hh, session->streams, id, sizeof(stream->id), stream);
    *ret = stream;
    return NULL;
}

void http2_stream_reset(struct http2_stream *stream, uint32_t error_code)
{
    nghttp2_session *ng = stream->session->ng;
    if (ng)
        http2_die_on(nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, stream->id, error_code),
                     "reset");
    stream_free(stream);
}

void http2_stream_pause(struct http2_stream *stream, bool is_paused)
{
    struct record_list *records = &stream->session->records;
    if (is_paused && !stream->session->ng)
        return; /* it is being ended */
    stream->is_paused = is_paused;
    if (is_paused || !stream->held.first)
        return;
    /* What was held comes before what has arrived since. */
    stream->held.last->next = records->first;
    records->first = stream->held.first;
    if (!records->last)
        records->last = stream->held.last;
    stream->held = (struct record_list){0};
}

void http2_session_ping(struct http2_session *session)
{
    if (session->ng)
        http2_die_on(nghttp2_submit_ping(session->ng, NGHTTP2_FLAG_NONE, NULL), "ping");
}
