/*
 * A gRPC server without TLS at 127.0.0.1, on the loop of the test: to the first call of each
 * connection it gives the answer the test wants, or none.
 */
#pragma once

#include "base/buf.h"
#include "tests/lib/loopback.h"
#include "wire/byte_stream.h"

#include <nghttp2/nghttp2.h>

#define PLAYED_GRPC_MAX_CONNECTIONS 8

struct played_grpc;

struct played_grpc_conn {
    struct played_grpc *server;
    struct byte_stream *stream;
    nghttp2_session *ng;
};

/** Zeroed, then what the test needs, then played_grpc_start(). */
struct played_grpc {
    const char *status, *message; /* grpc-status and grpc-message */
    int reply;                    /* the serving status of the reply; < 0: no message */
    bool is_mute;                 /* speaks HTTP/2, and answers nothing */
    bool is_deaf;                 /* accepts, and does not even do that */

    struct loop *loop;
    int listener;
    struct loop_io *io;
    uint16_t port;
    struct played_grpc_conn conns[PLAYED_GRPC_MAX_CONNECTIONS];
    size_t count;
    char path[64], user_agent[64], authority[64], timeout[32];
    char request[64]; /* the message, with its prefix */
    size_t request_len;
};

static inline UNUSED nghttp2_nv played_grpc_nv(const char *name, const char *value)
{
    nghttp2_nv nv = {.namelen = strlen(name), .valuelen = strlen(value)};
    memcpy(&nv.name, &name, sizeof(nv.name));
    memcpy(&nv.value, &value, sizeof(nv.value));
    return nv;
}

static inline UNUSED int played_grpc_on_header(UNUSED nghttp2_session *ng,
                                               UNUSED const nghttp2_frame *frame,
                                               const uint8_t *name, size_t name_len,
                                               const uint8_t *value, size_t value_len,
                                               UNUSED uint8_t flags, void *user_data)
{
    struct played_grpc *server = ((struct played_grpc_conn *)user_data)->server;
    const struct {
        const char *name;
        char *text;
        size_t size;
    } noted[] = {{":path", server->path, sizeof(server->path)},
                 {"user-agent", server->user_agent, sizeof(server->user_agent)},
                 {":authority", server->authority, sizeof(server->authority)},
                 {"grpc-timeout", server->timeout, sizeof(server->timeout)}};
    for (size_t i = 0; i < ARRAY_SIZE(noted); i++) {
        struct str key = {.ptr = (const char *)name, .len = name_len};
        if (str_eq_c(key, noted[i].name))
            (void)snprintf(noted[i].text, noted[i].size, "%.*s", (int)value_len,
                           (const char *)value);
    }
    return 0;
}

static inline UNUSED int played_grpc_on_data(UNUSED nghttp2_session *ng, UNUSED uint8_t flags,
                                             UNUSED int32_t id, const uint8_t *data, size_t len,
                                             void *user_data)
{
    struct played_grpc *server = ((struct played_grpc_conn *)user_data)->server;
    server->request_len = min_size(len, sizeof(server->request));
    memcpy(server->request, data, server->request_len);
    return 0;
}

static inline UNUSED ssize_t played_grpc_read(nghttp2_session *ng, int32_t id, uint8_t *out,
                                              UNUSED size_t size, uint32_t *flags,
                                              nghttp2_data_source *source, UNUSED void *user_data)
{
    const struct played_grpc *server = source->ptr;
    const nghttp2_nv trailers[] = {
        played_grpc_nv("grpc-status", server->status),
        played_grpc_nv("grpc-message", server->message ? server->message : "")};
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    (void)nghttp2_submit_trailer(ng, id, trailers, server->message ? 2 : 1);
    if (server->reply < 0)
        return 0;
    const uint8_t message[] = {0, 0, 0, 0, 2, 8, (uint8_t)server->reply};
    memcpy(out, message, sizeof(message));
    return sizeof(message);
}

static inline UNUSED int played_grpc_on_frame(nghttp2_session *ng, const nghttp2_frame *frame,
                                              void *user_data)
{
    struct played_grpc_conn *conn = user_data;
    struct played_grpc *server = conn->server;
    if (frame->hd.type != NGHTTP2_DATA || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
        server->is_mute)
        return 0;
    const nghttp2_nv fields[] = {played_grpc_nv(":status", "200"),
                                 played_grpc_nv("content-type", "application/grpc")};
    const nghttp2_data_provider body = {.source = {.ptr = server},
                                        .read_callback = played_grpc_read};
    return nghttp2_submit_response(ng, frame->hd.stream_id, fields, 2, &body);
}

static inline UNUSED void played_grpc_close(struct played_grpc_conn *conn)
{
    byte_stream_free(TAKE(conn->stream));
    nghttp2_session_del(conn->ng);
    conn->ng = NULL;
}

static inline UNUSED void played_grpc_flush(struct played_grpc_conn *conn)
{
    const uint8_t *bytes = NULL;
    ssize_t len;
    while ((len = nghttp2_session_mem_send(conn->ng, &bytes)) > 0) {
        size_t written = 0;
        AUTO(error)
        struct error *err = conn->stream->vtable->write(conn->stream, bytes, (size_t)len, &written);
        assert_null(err);
        assert_int_equal(written, len);
    }
}

static inline UNUSED void played_grpc_on_ready(void *ctx, UNUSED unsigned events)
{
    struct played_grpc_conn *conn = ctx;
    char bytes[4096];
    size_t len = 0;
    bool is_end = false;
    AUTO(error)
    struct error *err =
        conn->stream->vtable->read(conn->stream, bytes, sizeof(bytes), &len, &is_end);
    if (err || is_end) {
        played_grpc_close(conn);
        return;
    }
    if (nghttp2_session_mem_recv(conn->ng, (const uint8_t *)bytes, len) < 0)
        played_grpc_close(conn);
    else
        played_grpc_flush(conn);
}

static inline UNUSED void played_grpc_on_connection(void *ctx, UNUSED unsigned events)
{
    struct played_grpc *server = ctx;
    int fd = loopback_accept(server->listener);
    if (fd < 0)
        return;
    assert_true(server->count < PLAYED_GRPC_MAX_CONNECTIONS);
    struct played_grpc_conn *conn = &server->conns[server->count++];
    conn->server = server;
    conn->stream = byte_stream_from_socket(server->loop, fd);
    if (server->is_deaf)
        return;
    nghttp2_session_callbacks *callbacks = NULL;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, played_grpc_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, played_grpc_on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, played_grpc_on_frame);
    assert_int_equal(nghttp2_session_server_new(&conn->ng, callbacks, conn), 0);
    nghttp2_session_callbacks_del(callbacks);
    assert_int_equal(nghttp2_submit_settings(conn->ng, NGHTTP2_FLAG_NONE, NULL, 0), 0);
    played_grpc_flush(conn);
    conn->stream->vtable->listen(conn->stream, played_grpc_on_ready, conn);
    conn->stream->vtable->want(conn->stream, LOOP_IO_READ);
}

static inline UNUSED void played_grpc_start(struct played_grpc *server, struct loop *loop)
{
    server->loop = loop;
    server->listener = loopback_listen(16, &server->port);
    server->io =
        loop_io_new(loop, "played grpc", server->listener, played_grpc_on_connection, server);
    loop_io_want(server->io, LOOP_IO_READ);
}

static inline UNUSED void played_grpc_stop(struct played_grpc *server)
{
    for (size_t i = 0; i < server->count; i++)
        played_grpc_close(&server->conns[i]);
    loop_io_free(TAKE(server->io));
    assert_int_equal(close(server->listener), 0);
}
