#include "wire/http_server_internal.h"

#include "base/fd.h"
#include "base/hash.h"
#include "base/resident.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define DEFAULT_MAX_CONNECTIONS 1024
#define DEFAULT_MAX_HEADER_BYTES (64 * KiB)
#define DEFAULT_MAX_BODY_BYTES (3 * MiB)
#define DEFAULT_HEADER_TIMEOUT_NS (32 * NS_PER_SEC)
#define DEFAULT_BODY_TIMEOUT_NS (60 * NS_PER_SEC)
#define DEFAULT_IDLE_TIMEOUT_NS (90 * NS_PER_SEC)
#define DEFAULT_WRITE_TIMEOUT_NS (60 * NS_PER_SEC)
/* A handshake under way costs many times what a connection does. One in so many may be at it; a
 * further one takes the place of the oldest, which has had its time. */
#define GREETING_SHARE 4
/* So many connections leave a heap of holes behind, which the allocator alone never gives back. */
#define RUSH_CONNECTIONS 64
#define CALM_NS NS_PER_SEC
/* A rush of new connections leaves room for the other work of a turn. */
#define ACCEPTS_PER_TURN 64
/* Descriptors have run out: somebody must close some before another try makes sense. */
#define ACCEPT_PAUSE_NS (100 * NS_PER_MS)

struct http_listener {
    struct http_server *server;
    int fd;
    struct loop_io *io;
    struct loop_timer *pause;
    struct tls_context *tls; /* a reference, or NULL */
    struct http_listener *next;
};

static void set_default_size(size_t *value, size_t fallback)
{
    if (*value == 0)
        *value = fallback;
}

static void set_default_ns(int64_t *value, int64_t fallback)
{
    if (*value == 0)
        *value = fallback;
}

static void on_calm(void *ctx)
{
    struct http_server *server = ctx;
    server->peak_count = server->conn_count;
    resident_trim_heap();
}

void http_server_note_end(struct http_server *server)
{
    bool was_rush = server->peak_count >= RUSH_CONNECTIONS;
    if (was_rush && server->conn_count <= server->peak_count / 4 &&
        !loop_timer_is_armed(server->calm))
        loop_timer_start(server->calm, CALM_NS);
}

struct http_server *http_server_new(struct loop *loop, const struct http_server_options *options,
                                    http_server_on_request *on_request, void *ctx)
{
    struct http_server *server = xcalloc(1, sizeof(*server));
    server->loop = loop;
    server->options = *options;
    server->on_request = on_request;
    server->ctx = ctx;
    server->calm = loop_timer_new(loop, "http server calm", on_calm, server);
    set_default_size(&server->options.max_connections, DEFAULT_MAX_CONNECTIONS);
    set_default_size(&server->options.max_header_bytes, DEFAULT_MAX_HEADER_BYTES);
    set_default_size(&server->options.max_body_bytes, DEFAULT_MAX_BODY_BYTES);
    set_default_ns(&server->options.header_timeout_ns, DEFAULT_HEADER_TIMEOUT_NS);
    set_default_ns(&server->options.body_timeout_ns, DEFAULT_BODY_TIMEOUT_NS);
    set_default_ns(&server->options.idle_timeout_ns, DEFAULT_IDLE_TIMEOUT_NS);
    set_default_ns(&server->options.write_timeout_ns, DEFAULT_WRITE_TIMEOUT_NS);
    return server;
}

static void close_listeners(struct http_server *server)
{
    while (server->listeners) {
        struct http_listener *listener = server->listeners;
        LL_DELETE(server->listeners, listener);
        loop_io_free(listener->io);
        loop_timer_free(listener->pause);
        tls_context_unref(listener->tls);
        fd_close(&listener->fd);
        loop_defer_free(server->loop, free, listener); /* on_accept may be below us */
    }
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    close_listeners(server);
    while (server->conns)
        http_conn_close(server->conns);
    tls_context_unref(server->tls);
    loop_timer_free(server->calm);
    loop_defer_free(server->loop, free, server);
}

static void accept_some(struct http_listener *listener)
{
    bool must_wait = listener->server->options.waits_for_tls && !listener->server->tls;
    loop_io_want(listener->io, must_wait ? 0 : LOOP_IO_READ);
}

void http_server_set_tls(struct http_server *server, struct tls_context *tls)
{
    struct tls_context *old = server->tls;
    server->tls = tls_context_ref(tls);
    tls_context_unref(old);
    struct http_listener *listener;
    LL_FOREACH(server->listeners, listener) {
        if (!loop_timer_is_armed(listener->pause))
            accept_some(listener);
    }
}

void http_server_drain(struct http_server *server)
{
    server->is_draining = true;
    close_listeners(server);
    struct http_conn *conn, *next;
    DL_FOREACH_SAFE(server->conns, conn, next) {
        http_conn_drain(conn);
    }
}

size_t http_server_connection_count(const struct http_server *server)
{
    return server->conn_count;
}

static bool is_greeting(const struct http_conn *conn)
{
    return conn->is_greeting;
}

static bool close_oldest(struct http_server *server, bool (*is_it)(const struct http_conn *conn))
{
    struct http_conn *conn;
    DL_FOREACH(server->conns, conn) {
        if (is_it(conn)) {
            http_conn_close(conn);
            return true;
        }
    }
    return false;
}

static bool make_room(struct http_server *server)
{
    if (server->greeting_count * GREETING_SHARE > server->options.max_connections)
        (void)close_oldest(server, is_greeting);
    return server->conn_count < server->options.max_connections ||
           close_oldest(server, http_conn_is_dispensable);
}

void http_server_serve_fd(struct http_server *server, int fd_owned, struct tls_context *tls)
{
    if (server->is_draining || !make_room(server)) {
        fd_close(&fd_owned);
        return;
    }
    http_conn_new(server, fd_owned, tls && server->tls ? server->tls : tls);
    if (server->conn_count > server->peak_count)
        server->peak_count = server->conn_count;
}

/* --- listening --- */

static bool is_out_of_room(int os_errno)
{
    return os_errno == EMFILE || os_errno == ENFILE || os_errno == ENOBUFS || os_errno == ENOMEM;
}

static void on_accept(void *ctx, UNUSED unsigned events)
{
    struct http_listener *listener = ctx;
    for (size_t i = 0; i < ACCEPTS_PER_TURN && listener->fd >= 0; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && is_out_of_room(errno)) {
            loop_io_want(listener->io, 0);
            loop_timer_start(listener->pause, ACCEPT_PAUSE_NS);
        }
        if (fd < 0)
            return; /* none waits, or the one that did is gone */
        http_server_serve_fd(listener->server, fd, listener->tls);
    }
}

static void on_pause_over(void *ctx)
{
    accept_some(ctx);
}

void http_server_listen_fd(struct http_server *server, int fd_owned, struct tls_context *tls)
{
    if (server->is_draining) {
        fd_close(&fd_owned);
        return;
    }
    struct http_listener *listener = xcalloc(1, sizeof(*listener));
    listener->server = server;
    listener->fd = fd_owned;
    listener->tls = tls ? tls_context_ref(tls) : NULL;
    listener->io = loop_io_new(server->loop, "http listener", fd_owned, on_accept, listener);
    listener->pause = loop_timer_new(server->loop, "http listener pause", on_pause_over, listener);
    LL_PREPEND(server->listeners, listener);
    accept_some(listener);
}

/* As Go writes it, which people search logs for. */
static struct error *listen_error(const char *address, const char *call, int os_errno)
{
    const char *text = strerrordesc_np(os_errno);
    AUTO(free) char *cause = xstrdup(text ? text : "unknown error");
    cause[0] = (char)tolower((unsigned char)cause[0]);
    struct error *err =
        error_new(error_code_from_errno(os_errno), "listen tcp %s: %s: %s", address, call, cause);
    err->os_errno = os_errno;
    return err;
}

struct endpoint {
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } address;
    socklen_t len;
    bool is_wildcard; /* both families */
};

static struct error *parse_endpoint(const char *address, struct endpoint *ret)
{
    const char *colon = strrchr(address, ':');
    int64_t port = 0;
    if (!colon || !parse_i64(colon + 1, 0, UINT16_MAX, &port) || colon[1] == '-')
        return error_new(ERROR_INVALID_ARGUMENT, "listen tcp %s: no port in the address", address);
    struct str host = {.ptr = address, .len = (size_t)(colon - address)};
    bool is_bracketed = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    AUTO(free)
    char *text = is_bracketed ? xstrndup(host.ptr + 1, host.len - 2) : xstrndup(host.ptr, host.len);

    *ret = (struct endpoint){.is_wildcard = host.len == 0};
    uint16_t net_port = htons((uint16_t)port);
    if (!is_bracketed && inet_pton(AF_INET, text, &ret->address.four.sin_addr) == 1) {
        ret->address.four.sin_family = AF_INET;
        ret->address.four.sin_port = net_port;
        ret->len = sizeof(ret->address.four);
        return NULL;
    }
    if (!ret->is_wildcard &&
        (!is_bracketed || inet_pton(AF_INET6, text, &ret->address.six.sin6_addr) != 1))
        return error_new(ERROR_INVALID_ARGUMENT, "listen tcp %s: the host is no IP address",
                         address);
    ret->address.six.sin6_family = AF_INET6;
    ret->address.six.sin6_port = net_port;
    ret->len = sizeof(ret->address.six);
    return NULL;
}

static struct error *bind_endpoint(const struct endpoint *endpoint, const char *address,
                                   int *ret_fd)
{
    AUTO(fd)
    int fd = socket(endpoint->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return listen_error(address, "socket", errno);
    static const int one = 1;
    const int is_six_only = !endpoint->is_wildcard;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
        return listen_error(address, "setsockopt", errno);
    if (endpoint->address.any.sa_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_six_only, sizeof(is_six_only)) < 0)
        return listen_error(address, "setsockopt", errno);
    if (bind(fd, &endpoint->address.any, endpoint->len) < 0)
        return listen_error(address, "bind", errno);
    if (listen(fd, SOMAXCONN) < 0)
        return listen_error(address, "listen", errno);
    *ret_fd = fd;
    fd = -1;
    return NULL;
}

struct error *http_server_listen(struct http_server *server, const char *address,
                                 struct tls_context *tls, struct arena *arena,
                                 const char **ret_address)
{
    struct endpoint endpoint = {0};
    struct error *err = parse_endpoint(address, &endpoint);
    if (err)
        return err;
    int fd = -1;
    err = bind_endpoint(&endpoint, address, &fd);
    /* A kernel without IPv6: every address is every IPv4 address. */
    if (endpoint.is_wildcard && (err ? err->os_errno : 0) == EAFNOSUPPORT) {
        error_ignore(err, "tried again with IPv4");
        endpoint.address.four =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_port = endpoint.address.six.sin6_port};
        endpoint.len = sizeof(endpoint.address.four);
        err = bind_endpoint(&endpoint, address, &fd);
    }
    if (err)
        return err;
    AUTO(free) char *bound = http_conn_address_text(fd, false);
    *ret_address = arena_strdup(arena, bound);
    http_server_listen_fd(server, fd, tls);
    return NULL;
}
