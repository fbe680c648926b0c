/*
 * A server of one word at 127.0.0.1, on the loop of the test: to whatever is asked it says what
 * the test wants said, byte for byte, with or without TLS, and closes or not.
 */
#pragma once

#include "base/buf.h"
#include "tests/lib/loopback.h"
#include "tests/lib/tls_certs.h"
#include "wire/byte_stream.h"
#include "wire/tls.h"

#define PLAYED_MAX_CONNECTIONS 16

struct played_server;

struct played_conn {
    struct played_server *server;
    struct byte_stream *stream; /* NULL: closed */
    struct buf in;
};

/** Zeroed, then what the test needs, then played_start(). */
struct played_server {
    const char *answers[PLAYED_MAX_CONNECTIONS]; /* by connection; NULL: as the one before */
    bool is_open;                                /* does not close behind its answer */
    bool is_mute;                                /* reads, and says nothing */
    bool resets;                                 /* closes so that the peer sees a reset */
    struct tls_context *tls;                     /* NULL: without */

    struct loop *loop;
    int listener;
    struct loop_io *io;
    uint16_t port;
    struct played_conn conns[PLAYED_MAX_CONNECTIONS];
    size_t count;
    size_t ends; /* clients that closed in good order */
    size_t cuts; /* and those that did not */
};

static inline UNUSED void played_close(struct played_conn *conn)
{
    byte_stream_free(TAKE(conn->stream));
}

static inline UNUSED void played_answer(struct played_conn *conn)
{
    const struct played_server *server = conn->server;
    size_t index = (size_t)(conn - server->conns), written = 0;
    while (index > 0 && !server->answers[index])
        index--;
    const char *answer = server->answers[index] ? server->answers[index] : "";
    AUTO(error)
    struct error *err = conn->stream->vtable->write(conn->stream, answer, strlen(answer), &written);
    assert_null(err);
    assert_int_equal(written, strlen(answer));
    if (!server->is_open)
        (void)conn->stream->vtable->end(conn->stream);
}

static inline UNUSED void played_on_ready(void *ctx, UNUSED unsigned events)
{
    struct played_conn *conn = ctx;
    struct played_server *server = conn->server;
    char bytes[4096];
    size_t len = 0;
    bool is_end = false;
    AUTO(error)
    struct error *err =
        conn->stream->vtable->read(conn->stream, bytes, sizeof(bytes), &len, &is_end);
    if (err || is_end) {
        server->ends += is_end;
        server->cuts += err != NULL;
        played_close(conn);
        return;
    }
    bool was_asked = strstr(buf_text(&conn->in), "\r\n\r\n");
    buf_add(&conn->in, bytes, len);
    if (server->resets && len > 0)
        played_close(conn); /* SO_LINGER 0, below */
    else if (!server->is_mute && !was_asked && strstr(buf_text(&conn->in), "\r\n\r\n"))
        played_answer(conn);
}

static inline UNUSED void played_listen_to(struct played_conn *conn)
{
    conn->stream->vtable->listen(conn->stream, played_on_ready, conn);
    conn->stream->vtable->want(conn->stream, LOOP_IO_READ);
}

static inline UNUSED void played_on_handshake(void *ctx, const struct error *err)
{
    struct played_conn *conn = ctx;
    if (err)
        played_close(conn);
    else
        played_listen_to(conn);
}

static inline UNUSED void played_on_connection(void *ctx, UNUSED unsigned events)
{
    struct played_server *server = ctx;
    int fd = loopback_accept(server->listener);
    if (fd < 0)
        return;
    assert_true(server->count < PLAYED_MAX_CONNECTIONS);
    struct played_conn *conn = &server->conns[server->count++];
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    if (server->resets)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    conn->server = server;
    buf_init(&conn->in, 64 * KiB);
    conn->stream = byte_stream_from_socket(server->loop, fd);
    if (server->tls)
        conn->stream = tls_stream_new_server(server->loop, server->tls, conn->stream,
                                             played_on_handshake, conn);
    else
        played_listen_to(conn);
}

static inline UNUSED void played_start(struct played_server *server, struct loop *loop)
{
    server->loop = loop;
    server->listener = loopback_listen(16, &server->port);
    server->io = loop_io_new(loop, "played server", server->listener, played_on_connection, server);
    loop_io_want(server->io, LOOP_IO_READ);
}

static inline UNUSED void played_stop(struct played_server *server)
{
    for (size_t i = 0; i < server->count; i++) {
        played_close(&server->conns[i]);
        buf_done(&server->conns[i].in);
    }
    loop_io_free(TAKE(server->io));
    assert_int_equal(close(server->listener), 0);
    tls_context_unref(TAKE(server->tls));
}

/** What client number @index asked. */
static inline UNUSED const char *played_request(const struct played_server *server, size_t index)
{
    assert_true(index < server->count);
    return buf_text(&server->conns[index].in);
}

/** TLS with a certificate that nobody trusts. */
static inline UNUSED struct tls_context *played_tls(const char *alpn)
{
    AUTO(test_cert)
    struct test_cert cert =
        test_cert_new(&(struct test_cert_options){.common_name = "nobody"}, NULL);
    const struct tls_options options = {
        .cert_pem = cert.cert_pem, .key_pem = cert.key_pem, .alpn = alpn};
    struct tls_context *tls = NULL;
    assert_no_error(tls_context_new_server(&options, &tls));
    return tls;
}
