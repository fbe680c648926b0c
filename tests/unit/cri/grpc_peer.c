#include "tests/unit/cri/grpc_peer.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/path.h"
#include "wire/grpc_frame.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BODY_MAX (64 * MiB)
#define READ_BYTES (64 * KiB)

struct conn;

struct grpc_peer_stream {
    struct conn *conn;
    struct grpc_peer_stream *prev, *next;
    int32_t id;
    struct buf headers; /* "name\0value\0…" */
    struct buf request;
    struct buf response; /* not yet sent */
    bool is_whole, was_told, has_headers, is_ended;
    char *status, *message; /* trailers; NULL: none */
};

struct conn {
    struct grpc_peer *peer;
    struct conn *prev, *next;
    int fd;
    struct loop_io *io;
    struct loop_timer *flush_soon;
    nghttp2_session *session;
    struct grpc_peer_stream *streams;
    struct buf out;
    bool is_closed;
};

struct grpc_peer {
    struct loop *loop;
    char *dir, *path;
    int fd;
    struct loop_io *io;
    struct conn *conns;
    grpc_peer_on_request *on_request;
    void *ctx;
    uint32_t stream_limit;
    bool is_mute;
    struct grpc_peer_seen seen;
};

static void check(int code)
{
    if (code != 0)
        base_die("peer: %s", nghttp2_strerror(code));
}

/* --- streams --- */

static struct grpc_peer_stream *stream_find(struct conn *conn, int32_t id)
{
    struct grpc_peer_stream *stream;
    DL_SEARCH_SCALAR(conn->streams, stream, id, id);
    return stream;
}

static struct grpc_peer_stream *stream_new(struct conn *conn, int32_t id)
{
    struct grpc_peer_stream *stream = xcalloc(1, sizeof(*stream));
    stream->conn = conn;
    stream->id = id;
    buf_init(&stream->headers, BODY_MAX);
    buf_init(&stream->request, BODY_MAX);
    buf_init(&stream->response, BODY_MAX);
    DL_APPEND(conn->streams, stream);
    size_t count = 0;
    struct grpc_peer_stream *at;
    DL_COUNT(conn->streams, at, count);
    if (count > conn->peer->seen.open_streams_max)
        conn->peer->seen.open_streams_max = count;
    return stream;
}

static void stream_free(struct grpc_peer_stream *stream)
{
    DL_DELETE(stream->conn->streams, stream);
    buf_done(&stream->headers);
    buf_done(&stream->request);
    buf_done(&stream->response);
    free(stream->status);
    free(stream->message);
    free(stream);
}

static nghttp2_nv nv(const char *name, const char *value)
{
    nghttp2_nv field = {.namelen = strlen(name), .valuelen = strlen(value)};
    memcpy(&field.name, &name, sizeof(field.name));
    memcpy(&field.value, &value, sizeof(field.value));
    return field;
}

static ssize_t read_response(nghttp2_session *session, int32_t stream_id, uint8_t *out, size_t size,
                             uint32_t *flags, UNUSED nghttp2_data_source *source, void *user_data)
{
    struct grpc_peer_stream *stream = stream_find(user_data, stream_id);
    if (stream->response.len == 0 && !stream->is_ended)
        return NGHTTP2_ERR_DEFERRED;
    size_t len = min_size(size, stream->response.len);
    if (len > 0)
        memcpy(out, stream->response.data, len);
    buf_consume(&stream->response, len);
    if (stream->response.len == 0 && stream->is_ended) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (stream->status) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            const nghttp2_nv trailers[] = {nv("grpc-status", stream->status),
                                           nv("grpc-message", stream->message)};
            check(nghttp2_submit_trailer(session, stream_id, trailers, 2));
        }
    }
    return (ssize_t)len;
}

static void flush_soon(struct conn *conn)
{
    if (!loop_timer_is_armed(conn->flush_soon))
        loop_timer_start(conn->flush_soon, -1);
}

static void push(struct grpc_peer_stream *stream, const char *http_status)
{
    const nghttp2_nv headers[] = {nv(":status", http_status),
                                  nv("content-type", "application/grpc")};
    const nghttp2_data_provider body = {.read_callback = read_response};
    if (!stream->has_headers)
        check(nghttp2_submit_response(stream->conn->session, stream->id, headers, 2, &body));
    else
        (void)nghttp2_session_resume_data(stream->conn->session, stream->id);
    stream->has_headers = true;
    flush_soon(stream->conn);
}

void grpc_peer_send_raw(struct grpc_peer_stream *stream, struct str bytes)
{
    buf_add_str(&stream->response, bytes);
    push(stream, "200");
}

void grpc_peer_send(struct grpc_peer_stream *stream, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    AUTO(free) uint8_t *bytes = xcalloc(1, len + GRPC_FRAME_PREFIX_SIZE);
    grpc_frame_prefix((uint32_t)len, bytes);
    protobuf_c_message_pack(message, bytes + GRPC_FRAME_PREFIX_SIZE);
    grpc_peer_send_raw(
        stream, (struct str){.ptr = (const char *)bytes, .len = len + GRPC_FRAME_PREFIX_SIZE});
}

void grpc_peer_end(struct grpc_peer_stream *stream, int status, const char *message)
{
    stream->is_ended = true;
    stream->status = xasprintf("%d", status);
    stream->message = xstrdup(message);
    if (stream->has_headers) {
        push(stream, "200");
        return;
    }
    const nghttp2_nv headers[] = {nv(":status", "200"), nv("content-type", "application/grpc"),
                                  nv("grpc-status", stream->status),
                                  nv("grpc-message", stream->message)};
    check(nghttp2_submit_response(stream->conn->session, stream->id, headers, 4, NULL));
    stream->has_headers = true;
    flush_soon(stream->conn);
}

void grpc_peer_reply(struct grpc_peer_stream *stream, const ProtobufCMessage *message)
{
    grpc_peer_send(stream, message);
    grpc_peer_end(stream, 0, "");
}

void grpc_peer_end_http(struct grpc_peer_stream *stream, const char *http_status)
{
    stream->is_ended = true;
    push(stream, http_status);
}

void grpc_peer_reset(struct grpc_peer_stream *stream, uint32_t error_code)
{
    check(nghttp2_submit_rst_stream(stream->conn->session, 0, stream->id, error_code));
    flush_soon(stream->conn);
}

const char *grpc_peer_header(const struct grpc_peer_stream *stream, const char *name)
{
    const char *at = stream->headers.data, *end = at + stream->headers.len;
    while (at < end) {
        const char *value = at + strlen(at) + 1;
        if (text_eq(at, name))
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

int32_t grpc_peer_stream_id(const struct grpc_peer_stream *stream)
{
    return stream->id;
}

/* --- nghttp2 --- */

static int on_begin_headers(UNUSED nghttp2_session *session, const nghttp2_frame *frame,
                            void *user_data)
{
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        (void)stream_new(user_data, frame->hd.stream_id);
    return 0;
}

static int on_header(UNUSED nghttp2_session *session, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_len, const uint8_t *value, size_t value_len,
                     UNUSED uint8_t flags, void *user_data)
{
    struct grpc_peer_stream *stream = stream_find(user_data, frame->hd.stream_id);
    buf_add(&stream->headers, name, name_len);
    buf_add_char(&stream->headers, '\0');
    buf_add(&stream->headers, value, value_len);
    buf_add_char(&stream->headers, '\0');
    return 0;
}

static int on_data(UNUSED nghttp2_session *session, UNUSED uint8_t flags, int32_t stream_id,
                   const uint8_t *data, size_t len, void *user_data)
{
    buf_add(&stream_find(user_data, stream_id)->request, data, len);
    return 0;
}

static int on_frame(UNUSED nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct conn *conn = user_data;
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        conn->peer->seen.resets++;
        conn->peer->seen.last_reset = frame->rst_stream.error_code;
    }
    struct grpc_peer_stream *stream = stream_find(conn, frame->hd.stream_id);
    if (stream && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
        (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS))
        stream->is_whole = true;
    return 0;
}

static int on_close(UNUSED nghttp2_session *session, int32_t stream_id, UNUSED uint32_t error_code,
                    void *user_data)
{
    struct grpc_peer_stream *stream = stream_find(user_data, stream_id);
    if (stream)
        stream_free(stream);
    return 0;
}

static nghttp2_session *session_new(struct conn *conn)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_session *session = NULL;
    check(nghttp2_session_callbacks_new(&callbacks));
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    check(nghttp2_session_server_new(&session, callbacks, conn));
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry limit = {.settings_id = NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
                                          .value = conn->peer->stream_limit};
    check(nghttp2_submit_settings(session, 0, &limit, conn->peer->stream_limit > 0 ? 1 : 0));
    return session;
}

/* --- connections --- */

static void conn_release(void *object)
{
    struct conn *conn = object;
    nghttp2_session_del(conn->session);
    while (conn->streams)
        stream_free(conn->streams);
    buf_done(&conn->out);
    free(conn);
}

static void conn_close(struct conn *conn)
{
    if (conn->is_closed)
        return;
    conn->is_closed = true;
    DL_DELETE(conn->peer->conns, conn);
    loop_io_free(conn->io);
    loop_timer_free(conn->flush_soon);
    fd_close(&conn->fd);
    loop_defer_free(conn->peer->loop, conn_release, conn);
}

static void flush(void *ctx)
{
    struct conn *conn = ctx;
    for (;;) {
        const uint8_t *bytes = NULL;
        ssize_t len = 0;
        while (conn->out.len < MiB && (len = nghttp2_session_mem_send(conn->session, &bytes)) > 0)
            buf_add(&conn->out, bytes, (size_t)len);
        if (conn->out.len == 0)
            break;
        ssize_t sent = send(conn->fd, conn->out.data, conn->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent <= 0) {
            loop_io_want(conn->io, LOOP_IO_READ | LOOP_IO_WRITE);
            return;
        }
        buf_consume(&conn->out, (size_t)sent);
    }
    loop_io_want(conn->io, LOOP_IO_READ);
    if (!nghttp2_session_want_read(conn->session) && !nghttp2_session_want_write(conn->session))
        conn_close(conn);
}

static struct grpc_peer_stream *first_untold(struct conn *conn)
{
    struct grpc_peer_stream *stream;
    DL_FOREACH(conn->streams, stream) {
        if (stream->is_whole && !stream->was_told)
            return stream;
    }
    return NULL;
}

static void tell_requests(struct conn *conn)
{
    struct grpc_peer *peer = conn->peer;
    struct grpc_peer_stream *stream;
    while (!conn->is_closed && (stream = first_untold(conn))) {
        stream->was_told = true;
        peer->seen.requests++;
        ASSERT(stream->request.len >= GRPC_FRAME_PREFIX_SIZE);
        struct str message = {.ptr = stream->request.data + GRPC_FRAME_PREFIX_SIZE,
                              .len = stream->request.len - GRPC_FRAME_PREFIX_SIZE};
        peer->on_request(peer->ctx, stream, grpc_peer_header(stream, ":path"), message);
    }
}

static void on_conn_ready(void *ctx, unsigned events)
{
    struct conn *conn = ctx;
    if (events & LOOP_IO_READ) {
        AUTO(free) uint8_t *bytes = xcalloc(1, READ_BYTES);
        ssize_t len = recv(conn->fd, bytes, READ_BYTES, MSG_DONTWAIT);
        if (len == 0 ||
            (len > 0 && nghttp2_session_mem_recv(conn->session, bytes, (size_t)len) < 0)) {
            conn_close(conn);
            return;
        }
        tell_requests(conn);
    }
    if (!conn->is_closed)
        flush(conn);
}

static void on_connection(void *ctx, UNUSED unsigned events)
{
    struct grpc_peer *peer = ctx;
    int fd = accept4(peer->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    peer->seen.connections++;
    struct conn *conn = xcalloc(1, sizeof(*conn));
    conn->peer = peer;
    conn->fd = fd;
    conn->io = loop_io_new(peer->loop, "peer", fd, on_conn_ready, conn);
    conn->flush_soon = loop_timer_new(peer->loop, "peer flush", flush, conn);
    conn->session = session_new(conn);
    buf_init(&conn->out, BODY_MAX);
    DL_APPEND(peer->conns, conn);
    if (peer->is_mute)
        return;
    loop_io_want(conn->io, LOOP_IO_READ);
    flush_soon(conn);
}

/* --- the peer --- */

void grpc_peer_listen(struct grpc_peer *peer)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ASSERT(strlen(peer->path) < sizeof(address.sun_path));
    memcpy(address.sun_path, peer->path, strlen(peer->path));
    peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int bound = bind(peer->fd, (const struct sockaddr *)&address, sizeof(address));
    int listening = listen(peer->fd, 16);
    ASSERT(bound == 0 && listening == 0);
    peer->io = loop_io_new(peer->loop, "peer listener", peer->fd, on_connection, peer);
    loop_io_want(peer->io, LOOP_IO_READ);
}

void grpc_peer_drop(struct grpc_peer *peer, bool keep_listening)
{
    while (peer->conns)
        conn_close(peer->conns);
    if (keep_listening || peer->fd < 0)
        return;
    loop_io_free(peer->io);
    peer->io = NULL;
    fd_close(&peer->fd);
    (void)unlink(peer->path);
}

void grpc_peer_goaway(struct grpc_peer *peer, int32_t last_stream_id)
{
    struct conn *conn;
    DL_FOREACH(peer->conns, conn) {
        check(nghttp2_submit_goaway(conn->session, 0, last_stream_id, NGHTTP2_NO_ERROR, NULL, 0));
        flush_soon(conn);
    }
}

struct grpc_peer *grpc_peer_new(struct loop *loop, grpc_peer_on_request *on_request, void *ctx)
{
    struct grpc_peer *peer = xcalloc(1, sizeof(*peer));
    char dir[] = "/tmp/cubelet-peer-XXXXXX";
    const char *made = mkdtemp(dir);
    ASSERT(made != NULL);
    peer->loop = loop;
    peer->dir = xstrdup(dir);
    peer->path = path_join(dir, "peer.sock");
    peer->on_request = on_request;
    peer->ctx = ctx;
    grpc_peer_listen(peer);
    return peer;
}

static void peer_release(void *object)
{
    struct grpc_peer *peer = object;
    free(peer->dir);
    free(peer->path);
    free(peer);
}

void grpc_peer_free(struct grpc_peer *peer)
{
    grpc_peer_drop(peer, false);
    (void)rmdir(peer->dir);
    loop_defer_free(peer->loop, peer_release, peer);
}

const char *grpc_peer_path(const struct grpc_peer *peer)
{
    return peer->path;
}

void grpc_peer_limit_streams(struct grpc_peer *peer, uint32_t limit)
{
    peer->stream_limit = limit;
}

void grpc_peer_be_mute(struct grpc_peer *peer)
{
    peer->is_mute = true;
}

const struct grpc_peer_seen *grpc_peer_seen(const struct grpc_peer *peer)
{
    return &peer->seen;
}
