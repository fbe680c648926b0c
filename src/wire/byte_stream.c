#include "wire/byte_stream.h"

#include "base/fd.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct socket_stream {
    struct byte_stream base;
    int fd;
    struct loop_io *io;
    byte_stream_on_ready *on_ready;
    void *ctx;
};

static struct socket_stream *as_socket(struct byte_stream *stream)
{
    return CONTAINER_OF(stream, struct socket_stream, base);
}

static bool is_later(int os_errno)
{
    return os_errno == EAGAIN || os_errno == EWOULDBLOCK;
}

static struct error *socket_read(struct byte_stream *self, void *bytes, size_t size,
                                 size_t *ret_len, bool *ret_is_end)
{
    ssize_t got;
    do {
        got = recv(as_socket(self)->fd, bytes, size, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && !is_later(errno))
        return error_from_errno(errno, "read");
    *ret_len = got > 0 ? (size_t)got : 0;
    *ret_is_end = got == 0;
    return NULL;
}

static struct error *socket_write(struct byte_stream *self, const void *bytes, size_t len,
                                  size_t *ret_len)
{
    ssize_t sent;
    do {
        sent = send(as_socket(self)->fd, bytes, len, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && !is_later(errno))
        return error_from_errno(errno, "write");
    *ret_len = sent > 0 ? (size_t)sent : 0;
    return NULL;
}

static void on_io(void *ctx, unsigned events)
{
    struct socket_stream *socket_stream = ctx;
    if (socket_stream->on_ready)
        socket_stream->on_ready(socket_stream->ctx, events);
}

static void socket_listen(struct byte_stream *self, byte_stream_on_ready *on_ready, void *ctx)
{
    struct socket_stream *stream = as_socket(self);
    stream->on_ready = on_ready;
    stream->ctx = ctx;
}

static void socket_want(struct byte_stream *self, unsigned events)
{
    loop_io_want(as_socket(self)->io, events);
}

static bool socket_end(struct byte_stream *self)
{
    (void)shutdown(as_socket(self)->fd, SHUT_WR); /* a peer that is gone needs no end */
    return true;
}

static void socket_free(struct byte_stream *self)
{
    struct socket_stream *stream = as_socket(self);
    loop_io_free(stream->io);
    fd_close(&stream->fd);
    free(stream);
}

static const struct byte_stream_vtable socket_vtable = {.read = socket_read,
                                                        .write = socket_write,
                                                        .listen = socket_listen,
                                                        .want = socket_want,
                                                        .end = socket_end,
                                                        .free = socket_free};

struct byte_stream *byte_stream_from_socket(struct loop *loop, int fd_owned)
{
    struct socket_stream *stream = xcalloc(1, sizeof(*stream));
    stream->base.vtable = &socket_vtable;
    stream->fd = fd_owned;
    stream->io = loop_io_new(loop, "byte stream", fd_owned, on_io, stream);
    return &stream->base;
}

char *byte_stream_own_address(const struct byte_stream *stream)
{
    ASSERT(stream->vtable == &socket_vtable);
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);
    char host[INET6_ADDRSTRLEN] = "", port[8] = "";
    if (getsockname(CONTAINER_OF(stream, const struct socket_stream, base)->fd,
                    (struct sockaddr *)&address, &len) != 0 ||
        getnameinfo((const struct sockaddr *)&address, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return xstrdup("");
    bool is_v6 = address.ss_family == AF_INET6;
    return xasprintf("%s%s%s:%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "", port);
}

/* Other agents on the node write this text in lower case, and people search logs for it. */
static struct error *dial_error(const char *path, const char *call, int os_errno)
{
    AUTO(free) char *cause = xstrdup(strerrordesc_np(os_errno));
    if (cause)
        cause[0] = (char)tolower((unsigned char)cause[0]);
    struct error *err = error_new(ERROR_UNAVAILABLE, "dial unix %s: %s: %s", path, call,
                                  cause ? cause : "unknown error");
    err->os_errno = os_errno;
    return err;
}

struct error *byte_stream_connect_unix(struct loop *loop, const char *path,
                                       struct byte_stream **ret)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof(address.sun_path))
        return error_new(ERROR_INVALID_ARGUMENT, "dial unix %s: the path is longer than %zu bytes",
                         path, sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, len);

    AUTO(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return dial_error(path, "socket", errno);
    /* EAGAIN means that the listener's queue is full, and poll() cannot tell when it no longer is.
     */
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return dial_error(path, "connect", errno);
    *ret = byte_stream_from_socket(loop, fd);
    fd = -1;
    return NULL;
}

void byte_stream_classify(struct error *err)
{
    if (!error_is(err, ERROR_UNAUTHENTICATED))
        err->code = ERROR_UNAVAILABLE;
}

void byte_stream_free(struct byte_stream *stream)
{
    if (stream)
        stream->vtable->free(stream);
}
