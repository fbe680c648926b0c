/*
 * An HTTP/2 server over TLS at 127.0.0.1 for tests of clients, on the client's own loop. It does
 * what a request's path asks for:
 *
 *     /ok        200, x-test: yes, "hello"        /hang     nothing
 *     /count     200, the request body's length   /half     200, "part", and no end
 *     /big       200, big_bytes bytes             /early    103, then as /ok
 *     /trailers  as /ok, with trailers            /rst      RST_STREAM(INTERNAL_ERROR)
 *     /refuse    RST_STREAM(REFUSED_STREAM)       /goaway   GOAWAY that denies having seen it
 *     /drain     GOAWAY that has seen it, "hello" /close    closes the connection
 *     /whoami    200, the client's common name
 */
#pragma once

#include "tests/lib/choppy_stream.h"
#include "tests/lib/http_calls.h"
#include "tests/lib/loopback.h"
#include "tests/lib/tls_certs.h"

#include <nghttp2/nghttp2.h>

#define H2_PEER_MAX_CONNECTIONS 16

struct h2_peer;

struct h2_peer_conn {
    struct h2_peer *peer;
    struct byte_stream *stream; /* NULL: closed */
    struct choppy_stream *wire;
    nghttp2_session *ng; /* NULL: the handshake is not over */
    struct buf out;
    bool is_closing;
    size_t streams, requests, pings;
    size_t sent_bytes; /* of /big */
};

/** Zeroed, then what the test needs, then h2_peer_start(). */
struct h2_peer {
    const char *alpn;      /* NULL: "h2" */
    size_t big_bytes;      /* of /big */
    uint32_t max_streams;  /* 0: many */
    bool is_mute;          /* reads and answers nothing any more */
    bool is_slow_to_shake; /* the handshake never begins */
    size_t cut_after;      /* writes so many bytes a connection, then closes; 0: no cut */
    const char *cert_pem, *key_pem, *ca_pem;

    struct loop *loop;
    struct tls_context *tls;
    int listener;
    struct loop_io *io;
    uint16_t port;
    struct h2_peer_conn conns[H2_PEER_MAX_CONNECTIONS];
    size_t count;
    size_t most_streams; /* at a time, on one connection */
    char last_authority[64], last_path[64], last_field[64], last_length[32];
};

/* A request, as the session's user data of its stream. */
struct h2_peer_request {
    char path[64];
    char answer[64];
    size_t body_bytes, left;
};

static inline UNUSED nghttp2_nv h2_peer_nv(const char *name, const char *value)
{
    nghttp2_nv nv = {.namelen = strlen(name), .valuelen = strlen(value)};
    memcpy(&nv.name, &name, sizeof(nv.name));
    memcpy(&nv.value, &value, sizeof(nv.value));
    return nv;
}

static inline UNUSED int h2_peer_on_begin(nghttp2_session *ng, const nghttp2_frame *frame,
                                          void *user_data)
{
    struct h2_peer_conn *conn = user_data;
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    conn->requests++;
    conn->streams++;
    if (conn->streams > conn->peer->most_streams)
        conn->peer->most_streams = conn->streams;
    struct h2_peer_request *request = xcalloc(1, sizeof(*request));
    return nghttp2_session_set_stream_user_data(ng, frame->hd.stream_id, request);
}

static inline UNUSED void h2_peer_copy(char *out, size_t size, const uint8_t *text, size_t len)
{
    len = min_size(len, size - 1);
    memcpy(out, text, len);
    out[len] = '\0';
}

static inline UNUSED int h2_peer_on_header(nghttp2_session *ng, const nghttp2_frame *frame,
                                           const uint8_t *name, size_t name_len,
                                           const uint8_t *value, size_t value_len,
                                           UNUSED uint8_t flags, void *user_data)
{
    struct h2_peer *peer = ((struct h2_peer_conn *)user_data)->peer;
    struct h2_peer_request *request = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
    struct str key = {.ptr = (const char *)name, .len = name_len};
    if (str_eq_c(key, ":path")) {
        h2_peer_copy(request->path, sizeof(request->path), value, value_len);
        h2_peer_copy(peer->last_path, sizeof(peer->last_path), value, value_len);
    }
    if (str_eq_c(key, ":authority"))
        h2_peer_copy(peer->last_authority, sizeof(peer->last_authority), value, value_len);
    if (str_eq_c(key, "x-test"))
        h2_peer_copy(peer->last_field, sizeof(peer->last_field), value, value_len);
    if (str_eq_c(key, "content-length"))
        h2_peer_copy(peer->last_length, sizeof(peer->last_length), value, value_len);
    return 0;
}

static inline UNUSED int h2_peer_on_data(nghttp2_session *ng, UNUSED uint8_t flags,
                                         int32_t stream_id, UNUSED const uint8_t *data, size_t len,
                                         UNUSED void *user_data)
{
    struct h2_peer_request *request = nghttp2_session_get_stream_user_data(ng, stream_id);
    if (request)
        request->body_bytes += len;
    return 0;
}

static inline UNUSED int h2_peer_on_close(nghttp2_session *ng, int32_t stream_id,
                                          UNUSED uint32_t code, void *user_data)
{
    ((struct h2_peer_conn *)user_data)->streams--;
    free(nghttp2_session_get_stream_user_data(ng, stream_id));
    return 0;
}

static inline UNUSED ssize_t h2_peer_read_answer(nghttp2_session *ng, int32_t stream_id,
                                                 uint8_t *out, size_t size, uint32_t *flags,
                                                 nghttp2_data_source *source, void *user_data)
{
    struct h2_peer_conn *conn = user_data;
    struct h2_peer_request *request = source->ptr;
    if (text_has_prefix(request->path, "/big")) {
        size_t len = min_size(size, request->left);
        memset(out, 'b', len);
        request->left -= len;
        conn->sent_bytes += len;
        *flags |= request->left == 0 ? NGHTTP2_DATA_FLAG_EOF : 0U;
        return (ssize_t)len;
    }
    size_t len = strlen(request->answer);
    if (len == 0 && text_eq(request->path, "/half"))
        return NGHTTP2_ERR_DEFERRED;
    memcpy(out, request->answer, len);
    request->answer[0] = '\0';
    if (!text_eq(request->path, "/half"))
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (text_eq(request->path, "/trailers")) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        const nghttp2_nv trailer = h2_peer_nv("x-sum", "1");
        (void)nghttp2_submit_trailer(ng, stream_id, &trailer, 1);
    }
    return (ssize_t)len;
}

static inline UNUSED void h2_peer_respond(struct h2_peer_conn *conn, int32_t id,
                                          struct h2_peer_request *request)
{
    const nghttp2_nv fields[] = {h2_peer_nv(":status", "200"), h2_peer_nv("x-test", "yes")};
    const nghttp2_data_provider body = {.source = {.ptr = request},
                                        .read_callback = h2_peer_read_answer};
    (void)nghttp2_submit_response(conn->ng, id, fields, 2, &body);
}

static inline UNUSED void h2_peer_answer(struct h2_peer_conn *conn, int32_t id,
                                         struct h2_peer_request *request)
{
    const char *path = request->path;
    const char *answer = text_eq(path, "/half") ? "part" : "hello";
    const struct tls_peer *tls_peer = tls_stream_peer(conn->stream);
    if (text_eq(path, "/whoami"))
        answer = tls_peer->common_name ? tls_peer->common_name : "nobody";
    (void)snprintf(request->answer, sizeof(request->answer), "%s", answer);
    if (text_eq(path, "/count"))
        (void)snprintf(request->answer, sizeof(request->answer), "%zu", request->body_bytes);
    request->left = conn->peer->big_bytes;
    if (text_eq(path, "/hang"))
        return;
    if (text_eq(path, "/rst") || text_eq(path, "/refuse")) {
        uint32_t code = text_eq(path, "/rst") ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_REFUSED_STREAM;
        (void)nghttp2_submit_rst_stream(conn->ng, NGHTTP2_FLAG_NONE, id, code);
        return;
    }
    if (text_eq(path, "/close")) {
        conn->is_closing = true;
        return;
    }
    if (text_eq(path, "/goaway")) {
        (void)nghttp2_submit_goaway(conn->ng, NGHTTP2_FLAG_NONE, id > 2 ? id - 2 : 0,
                                    NGHTTP2_NO_ERROR, NULL, 0);
        return;
    }
    if (text_eq(path, "/drain"))
        (void)nghttp2_submit_goaway(conn->ng, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR, NULL, 0);
    if (text_eq(path, "/early")) {
        const nghttp2_nv early = h2_peer_nv(":status", "103");
        (void)nghttp2_submit_headers(conn->ng, NGHTTP2_FLAG_NONE, id, NULL, &early, 1, NULL);
    }
    h2_peer_respond(conn, id, request);
}

static inline UNUSED int h2_peer_on_frame(nghttp2_session *ng, const nghttp2_frame *frame,
                                          void *user_data)
{
    struct h2_peer_conn *conn = user_data;
    if (frame->hd.type == NGHTTP2_PING && !(frame->hd.flags & NGHTTP2_FLAG_ACK))
        conn->pings++;
    bool is_message = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    struct h2_peer_request *request =
        is_message ? nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id) : NULL;
    if (request && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        h2_peer_answer(conn, frame->hd.stream_id, request);
    return 0;
}

static inline UNUSED void h2_peer_make_session(struct h2_peer_conn *conn)
{
    nghttp2_session_callbacks *callbacks = NULL;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, h2_peer_on_begin);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, h2_peer_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, h2_peer_on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, h2_peer_on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, h2_peer_on_frame);
    assert_int_equal(nghttp2_session_server_new(&conn->ng, callbacks, conn), 0);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry limit = {.settings_id = NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
                                          .value = conn->peer->max_streams};
    assert_int_equal(nghttp2_submit_settings(conn->ng, NGHTTP2_FLAG_NONE, &limit,
                                             conn->peer->max_streams > 0 ? 1 : 0),
                     0);
}

static inline UNUSED void h2_peer_close(struct h2_peer_conn *conn)
{
    if (!conn->stream)
        return;
    byte_stream_free(TAKE(conn->stream));
    for (int32_t id = 1; conn->ng && id < 4000; id += 2)
        free(nghttp2_session_get_stream_user_data(conn->ng, id));
    nghttp2_session_del(conn->ng);
    conn->ng = NULL;
    buf_done(&conn->out);
}

/* What nghttp2 and then the stream let go. */
static inline UNUSED void h2_peer_flush(struct h2_peer_conn *conn)
{
    size_t written = 1;
    struct error *err = NULL;
    while (!err && written > 0) {
        const uint8_t *bytes = NULL;
        ssize_t len = conn->out.len < 64 * KiB ? nghttp2_session_mem_send(conn->ng, &bytes) : 0;
        if (len > 0)
            buf_add(&conn->out, bytes, (size_t)len);
        written = (size_t)max_i64(len, 0);
        if (len > 0 && conn->out.len < 16 * KiB)
            continue;
        if (conn->out.len > 0)
            err =
                conn->stream->vtable->write(conn->stream, conn->out.data, conn->out.len, &written);
        if (!err && conn->out.len > 0)
            buf_consume(&conn->out, written);
    }
    if (err || (conn->is_closing && conn->out.len == 0)) {
        error_free(err);
        h2_peer_close(conn);
        return;
    }
    conn->stream->vtable->want(conn->stream,
                               LOOP_IO_READ | (conn->out.len > 0 ? LOOP_IO_WRITE : 0U));
}

static inline UNUSED void h2_peer_on_ready(void *ctx, UNUSED unsigned events)
{
    struct h2_peer_conn *conn = ctx;
    if (conn->peer->is_mute) {
        conn->stream->vtable->want(conn->stream, 0);
        return;
    }
    char bytes[16 * 1024];
    size_t len = 0;
    bool is_end = false;
    struct error *err =
        conn->stream->vtable->read(conn->stream, bytes, sizeof(bytes), &len, &is_end);
    if (err || is_end ||
        (len > 0 && nghttp2_session_mem_recv(conn->ng, (const uint8_t *)bytes, len) < 0)) {
        error_free(err);
        h2_peer_close(conn);
        return;
    }
    h2_peer_flush(conn);
}

static inline UNUSED void h2_peer_on_handshake(void *ctx, const struct error *err)
{
    struct h2_peer_conn *conn = ctx;
    if (err) {
        byte_stream_free(TAKE(conn->stream));
        return;
    }
    h2_peer_make_session(conn);
    buf_init(&conn->out, MiB);
    conn->stream->vtable->listen(conn->stream, h2_peer_on_ready, conn);
    h2_peer_flush(conn);
}

static inline UNUSED void h2_peer_on_accept(void *ctx, UNUSED unsigned events)
{
    struct h2_peer *peer = ctx;
    int fd = loopback_accept(peer->listener);
    if (fd < 0)
        return;
    assert_true(peer->count < H2_PEER_MAX_CONNECTIONS);
    struct h2_peer_conn *conn = &peer->conns[peer->count++];
    conn->peer = peer;
    conn->wire = choppy_stream_new(byte_stream_from_socket(peer->loop, fd), SIZE_MAX);
    if (peer->cut_after > 0)
        conn->wire->write_left = peer->cut_after;
    conn->stream = peer->is_slow_to_shake
                       ? &conn->wire->base
                       : tls_stream_new_server(peer->loop, peer->tls, &conn->wire->base,
                                               h2_peer_on_handshake, conn);
}

static inline UNUSED void h2_peer_start(struct h2_peer *peer, struct loop *loop)
{
    const struct tls_options options = {.cert_pem = peer->cert_pem,
                                        .key_pem = peer->key_pem,
                                        .ca_pem = peer->ca_pem,
                                        .alpn = peer->alpn ? peer->alpn : "h2",
                                        .client_auth = TLS_CLIENT_AUTH_OPTIONAL};
    peer->loop = loop;
    assert_no_error(tls_context_new_server(&options, &peer->tls));
    peer->io = loop_io_new(loop, "peer", peer->listener, h2_peer_on_accept, peer);
    loop_io_want(peer->io, LOOP_IO_READ);
}

/** Closes every connection as it is; goes on accepting. */
static inline UNUSED void h2_peer_close_all(struct h2_peer *peer)
{
    for (size_t i = 0; i < peer->count; i++)
        h2_peer_close(&peer->conns[i]);
}

static inline UNUSED void h2_peer_stop(struct h2_peer *peer)
{
    h2_peer_close_all(peer);
    loop_io_free(TAKE(peer->io));
    tls_context_unref(TAKE(peer->tls));
    (void)close(peer->listener);
}
