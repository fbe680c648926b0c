/*
 * A connection: a byte stream, one protocol over it, and the timers of both.
 *
 *     accept ──► handshake (TLS) ──► first bytes ──► HTTP/1.1 or HTTP/2 ──► closed
 *
 * Over TLS the protocol is what ALPN agreed on; without, the first bytes tell: only HTTP/2's
 * preface begins with "PRI ". Bytes are read when the stream is readable, and written by flush(),
 * at the end of that callback or at the end of a turn in which an answer was written. A stream that
 * takes nothing for write_timeout_ns while there is something for it is cut off.
 */
#include "wire/http_server_internal.h"

#include "base/hash.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#define READ_BYTES (16 * KiB)
/* A big request must not keep the other work of a turn waiting: the rest is read in the next. */
#define READS_PER_TURN 16
/* Nor does a big answer, or one whose production goes on while it is written. */
#define FLUSHES_PER_TURN 16
#define WRITE_BYTES_PER_TURN (1 * MiB)
/* More than an answer of any size that makes sense: what is beyond breaks the connection. */
#define OUT_MAX_BYTES (512 * MiB)
/* A peer that vanished without a word is noticed after about this, as Go's listeners do it. */
#define KEEP_ALIVE_S 15

/* As Go's server says it. */
#define NO_TLS_REPLY                                                                               \
    "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"

/* RFC 9113 §3.4 */
static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* --- life --- */

static void release(void *object)
{
    struct http_conn *conn = object;
    if (conn->protocol)
        conn->protocol->release(conn);
    byte_stream_free(conn->closed_stream);
    byte_queue_done(&conn->out);
    buf_done(&conn->first);
    free(conn->remote_address);
    free(conn);
}

/* What is left of the protocol's own charges; those of exchanges go with these. */
static void drop_charges(struct http_conn *conn)
{
    http_exchange_end(TAKE(conn->h1.arriving));
    conn->h1.answering = NULL;
    conn->server->request_bytes -= conn->h2.charged_bytes;
    conn->h2.charged_bytes = 0;
    if (conn->h2.session)
        http2_server_silence(conn->h2.session);
}

static struct byte_stream *shut(struct http_conn *conn)
{
    struct byte_stream *stream = TAKE(conn->stream);
    stream->vtable->want(stream, 0);
    drop_charges(conn);
    loop_timer_free(TAKE(conn->flush_soon));
    loop_timer_free(TAKE(conn->due));
    loop_defer_free(conn->loop, release, conn);
    return stream;
}

static void end_greeting(struct http_conn *conn)
{
    conn->server->greeting_count -= conn->is_greeting;
    conn->is_greeting = false;
}

static void end_exchanges(struct http_conn *conn)
{
    while (conn->exchanges)
        http_exchange_end(conn->exchanges);
    if (!conn->server)
        return;
    end_greeting(conn);
    DL_DELETE(conn->server->conns, conn);
    conn->server->conn_count--;
    http_server_note_end(conn->server);
    conn->server = NULL;
}

void http_conn_close(struct http_conn *conn)
{
    if (conn->stream)
        conn->closed_stream = shut(conn);
    end_exchanges(conn);
}

void http_conn_lose(struct http_conn *conn)
{
    if (!conn->stream)
        return;
    conn->closed_stream = shut(conn);
    /* The owner may end further ones, or free the server, in on_gone: that empties the list. */
    while (conn->exchanges)
        http_exchange_end_gone(conn->exchanges);
    end_exchanges(conn);
}

bool http_conn_is_dispensable(const struct http_conn *conn)
{
    bool has_backlog =
        byte_queue_len(&conn->out) > 0 ||
        (conn->h2.session && http2_server_oldest_backlog_ns(conn->h2.session) != INT64_MAX);
    return !conn->exchanges && !has_backlog;
}

struct byte_stream *http_conn_detach(struct http_conn *conn)
{
    struct byte_stream *stream = shut(conn);
    end_exchanges(conn);
    return stream;
}

/* --- waiting --- */

static int64_t due_ns(const struct http_conn *conn)
{
    int64_t due = conn->protocol ? conn->protocol->due_ns(conn) : conn->start_due_ns;
    if (conn->is_blocked)
        due = min_i64(due, sat_add_i64(conn->progress_ns, conn->write_timeout_ns));
    return due;
}

/* The timer may be armed for an earlier time than is needed now: it is looked at when it rings. */
static void update_timer(struct http_conn *conn)
{
    int64_t due = due_ns(conn);
    if (due == INT64_MAX) {
        loop_timer_cancel(conn->due);
    } else if (!loop_timer_is_armed(conn->due) || due < conn->timer_due_ns) {
        conn->timer_due_ns = due;
        loop_timer_start(conn->due, sat_sub_i64(due, loop_now_mono_ns(conn->loop)));
    }
}

static void update_wants(struct http_conn *conn)
{
    if (conn->is_open)
        conn->stream->vtable->want(conn->stream, (conn->is_reading ? LOOP_IO_READ : 0U) |
                                                     (conn->is_blocked ? LOOP_IO_WRITE : 0U));
}

/* --- writing --- */

/* Writes until there is nothing left, the stream takes no more, or the turn's share is used up. */
static struct error *write_out(struct http_conn *conn, size_t *total)
{
    int64_t now_ns = loop_now_mono_ns(conn->loop);
    if (!conn->is_blocked)
        conn->progress_ns = now_ns;
    for (;;) {
        struct error *err =
            conn->protocol && conn->protocol->gather ? conn->protocol->gather(conn) : NULL;
        struct str front = byte_queue_front(&conn->out);
        size_t written = 0;
        conn->is_blocked = front.len > 0;
        if (err || front.len == 0)
            return err;
        if (byte_queue_has_overflowed(&conn->out))
            return error_new(ERROR_RESOURCE_EXHAUSTED, "the answer is too large");
        err = conn->stream->vtable->write(conn->stream, front.ptr, front.len, &written);
        if (err || written == 0)
            return err;
        byte_queue_take(&conn->out, written);
        conn->progress_ns = now_ns;
        *total += written;
        if (written < front.len)
            return NULL;
        conn->is_blocked = false;
        if (*total >= WRITE_BYTES_PER_TURN)
            return NULL;
    }
}

static void flush(struct http_conn *conn)
{
    bool is_more = conn->is_open;
    size_t total = 0;
    for (size_t i = 0; conn->stream && is_more && i < FLUSHES_PER_TURN; i++) {
        struct error *err = write_out(conn, &total);
        if (err) {
            error_ignore(err, "the peer went away, which its exchanges are told");
            http_conn_lose(conn);
            return;
        }
        is_more = conn->protocol && conn->protocol->after_write(conn);
        if (total >= WRITE_BYTES_PER_TURN)
            break;
    }
    if (!conn->stream)
        return;
    if (is_more || total >= WRITE_BYTES_PER_TURN)
        http_conn_flush_soon(conn);
    update_wants(conn);
    update_timer(conn);
}

static void on_flush_due(void *ctx)
{
    flush(ctx);
}

void http_conn_flush_soon(struct http_conn *conn)
{
    if (conn->stream && !loop_timer_is_armed(conn->flush_soon))
        loop_timer_start(conn->flush_soon, -1);
}

/* --- reading --- */

static void set_protocol(struct http_conn *conn, const struct http_protocol *protocol)
{
    conn->protocol = protocol;
    protocol->start(conn);
    struct buf first = conn->first;
    buf_init(&conn->first, 0);
    if (first.len > 0)
        protocol->receive(conn, buf_str(&first));
    buf_done(&first);
}

/* Without TLS: the first bytes tell. */
static void sniff(struct http_conn *conn, struct str bytes)
{
    buf_add_str(&conn->first, bytes);
    size_t len = min_size(conn->first.len, sizeof(preface) - 1);
    if (memcmp(buf_text(&conn->first), preface, len) != 0)
        set_protocol(conn, &http_protocol_1);
    else if (len == sizeof(preface) - 1)
        set_protocol(conn, &http_protocol_2);
}

static void receive(struct http_conn *conn, struct str bytes)
{
    if (conn->protocol)
        conn->protocol->receive(conn, bytes);
    else
        sniff(conn, bytes);
}

static bool read_once(struct http_conn *conn)
{
    char bytes[READ_BYTES];
    size_t len = 0;
    bool is_end = false;
    struct error *err =
        conn->stream->vtable->read(conn->stream, bytes, sizeof(bytes), &len, &is_end);
    if (err || (is_end && !conn->protocol)) {
        error_ignore(err, "the peer went away, which its exchanges are told");
        http_conn_lose(conn);
        return false;
    }
    if (len > 0)
        receive(conn, (struct str){.ptr = bytes, .len = len});
    else if (is_end)
        conn->protocol->on_end(conn);
    return len == sizeof(bytes);
}

static void on_ready(void *ctx, unsigned events)
{
    struct http_conn *conn = ctx;
    bool is_more = (events & LOOP_IO_READ) != 0;
    for (size_t i = 0; conn->stream && conn->is_reading && is_more && i < READS_PER_TURN; i++)
        is_more = read_once(conn);
    if (conn->stream)
        flush(conn);
}

/* --- timers --- */

static void on_due(void *ctx)
{
    struct http_conn *conn = ctx;
    int64_t now_ns = loop_now_mono_ns(conn->loop);
    if (conn->is_blocked && sat_sub_i64(now_ns, conn->progress_ns) >= conn->write_timeout_ns) {
        http_conn_lose(conn);
        return;
    }
    if (!conn->protocol) {
        if (now_ns >= conn->start_due_ns)
            http_conn_close(conn);
        else
            update_timer(conn);
        return;
    }
    if (conn->protocol->due_ns(conn) <= now_ns)
        conn->protocol->on_due(conn, now_ns);
    if (conn->stream)
        flush(conn);
}

void http_conn_drain(struct http_conn *conn)
{
    if (conn->protocol)
        conn->protocol->drain(conn);
    else
        http_conn_close(conn);
}

/* --- beginning --- */

static void open_stream(struct http_conn *conn)
{
    conn->is_open = true;
    conn->is_reading = true;
    conn->stream->vtable->listen(conn->stream, on_ready, conn);
    update_wants(conn);
}

static void on_handshake(void *ctx, const struct error *err)
{
    struct http_conn *conn = ctx;
    if (!conn->stream)
        return;
    if (err) {
        tls_stream_refuse_http(conn->stream, NO_TLS_REPLY);
        http_conn_close(conn);
        return;
    }
    end_greeting(conn);
    conn->peer = tls_stream_peer(conn->stream);
    open_stream(conn);
    bool is_http2 = text_eq(tls_stream_protocol(conn->stream), "h2");
    set_protocol(conn, is_http2 ? &http_protocol_2 : &http_protocol_1);
    flush(conn);
}

/* An idle watch sends nothing for long, and so does its client: only the kernel can tell whether
 * that is still there. Not all sockets are TCP, hence failures are fine. */
static void set_socket_options(int fd)
{
    static const int one = 1, keep_alive_s = KEEP_ALIVE_S;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keep_alive_s, sizeof(keep_alive_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &keep_alive_s, sizeof(keep_alive_s));
}

/* Only a unix socket knows the user at its other end. */
static void note_peer(struct http_conn *conn, int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t address_len = sizeof(address);
    struct ucred peer;
    socklen_t peer_len = sizeof(peer);
    if (getsockname(fd, (struct sockaddr *)&address, &address_len) < 0 ||
        address.ss_family != AF_UNIX ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) < 0)
        return;
    conn->has_peer_uid = true;
    conn->peer_uid = peer.uid;
}

void http_conn_new(struct http_server *server, int fd_owned, struct tls_context *tls)
{
    struct http_conn *conn = xcalloc(1, sizeof(*conn));
    conn->server = server;
    conn->loop = server->loop;
    conn->remote_address = http_conn_address_text(fd_owned, true);
    note_peer(conn, fd_owned);
    conn->write_timeout_ns = server->options.write_timeout_ns;
    conn->start_due_ns =
        sat_add_i64(loop_now_mono_ns(server->loop), server->options.header_timeout_ns);
    byte_queue_init(&conn->out, OUT_MAX_BYTES);
    buf_init(&conn->first, READ_BYTES + sizeof(preface));
    conn->flush_soon = loop_timer_new(conn->loop, "http server flush", on_flush_due, conn);
    conn->due = loop_timer_new(conn->loop, "http server timeout", on_due, conn);
    DL_APPEND(server->conns, conn);
    server->conn_count++;
    conn->is_greeting = tls != NULL;
    server->greeting_count += conn->is_greeting;

    set_socket_options(fd_owned);
    conn->stream = byte_stream_from_socket(conn->loop, fd_owned);
    if (tls)
        conn->stream = tls_stream_new_server(conn->loop, tls, conn->stream, on_handshake, conn);
    else
        open_stream(conn);
    update_timer(conn);
}

/* --- addresses --- */

static char *inet_text(int family, const void *address, uint16_t port)
{
    char text[INET6_ADDRSTRLEN] = "";
    const struct in6_addr *six = address;
    if (family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(six)) {
        family = AF_INET;
        address = &six->s6_addr[12];
    }
    if (!inet_ntop(family, address, text, sizeof(text)))
        return xstrdup("@");
    return xasprintf(family == AF_INET6 ? "[%s]:%u" : "%s:%u", text, (unsigned)ntohs(port));
}

char *http_conn_address_text(int fd, bool is_peer)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);
    struct sockaddr *any = (struct sockaddr *)&address;
    if ((is_peer ? getpeername(fd, any, &len) : getsockname(fd, any, &len)) < 0)
        return xstrdup("@");
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)&address;
        return inet_text(AF_INET, &four->sin_addr, four->sin_port);
    }
    if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address;
        return inet_text(AF_INET6, &six->sin6_addr, six->sin6_port);
    }
    return xstrdup("@");
}
