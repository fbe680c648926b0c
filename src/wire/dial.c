/*
 * A dial: LOOKUP → RACE → TUNNEL → done, of which the first and the last step are often left out.
 *
 * The race (RFC 8305 in short): the addresses of both families take turns; the next one joins when
 * the ones before have failed, or have been silent for a quarter of a second; who is connected
 * first wins. When all have failed, the first one's error is told, for it is about the address that
 * was thought the best.
 *
 * Everything is told from a timer or a descriptor, as the last thing that a function does, so that
 * the owner may do as it likes.
 */
#include "wire/dial_internal.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/hash.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define STAGGER_NS (250 * NS_PER_MS)
/* A name with more is a mistake, or somebody's game. */
#define MAX_ADDRESSES 16

/* A silent peer is asked after 15 s, and again, and is dead after 25 s: within the 30 s in which
 * its loss must be noticed. */
#define KEEPALIVE_IDLE_S 15
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_COUNT 2
#define UNANSWERED_MS 25000

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } to;
    socklen_t len;
};

/* One address that is being tried. */
struct racer {
    struct dial *dial;
    const struct address *address;
    int fd;
    struct loop_io *io;
    struct racer *prev, *next;
};

struct dial {
    struct loop *loop;
    char *target;    /* "host:port", as the proxy is told */
    char *dial_host; /* whom we connect to: the host, or the proxy */
    const struct dial_proxy *proxy;
    bool resets_on_close;
    dial_on_done *on_done;
    void *ctx;

    struct work *lookup;
    struct address addresses[MAX_ADDRESSES];
    size_t count, next;   /* how many there are; who joins next */
    struct racer *racers; /* list head; owned */
    struct loop_timer *join, *deadline;
    struct error *failure; /* the first one */
    struct dial_tunnel *tunnel;
};

/* --- ends --- */

static void racer_free(struct racer *racer)
{
    DL_DELETE(racer->dial->racers, racer);
    loop_io_free(racer->io);
    fd_close(&racer->fd);
    free(racer);
}

static void racers_free(struct dial *dial)
{
    struct racer *racer, *next;
    DL_FOREACH_SAFE(dial->racers, racer, next)
        racer_free(racer);
}

void dial_cancel(struct dial *dial)
{
    if (!dial)
        return;
    work_cancel(dial->lookup);
    racers_free(dial);
    dial_tunnel_cancel(dial->tunnel);
    loop_timer_free(dial->join);
    loop_timer_free(dial->deadline);
    error_free(dial->failure);
    free(dial->dial_host);
    free(dial->target);
    free(dial);
}

static void finish(struct dial *dial, struct byte_stream *stream_owned, struct error *err_owned)
{
    dial_on_done *on_done = dial->on_done;
    void *ctx = dial->ctx;
    if (err_owned && dial->proxy)
        (void)error_wrap(err_owned, "proxyconnect tcp");
    dial_cancel(dial);
    on_done(ctx, stream_owned, err_owned);
}

static char *address_text(const struct address *address)
{
    char host[INET6_ADDRSTRLEN] = "";
    bool is_v6 = address->to.any.sa_family == AF_INET6;
    const void *bytes =
        is_v6 ? (const void *)&address->to.v6.sin6_addr : (const void *)&address->to.v4.sin_addr;
    (void)inet_ntop(address->to.any.sa_family, bytes, host, sizeof(host));
    return dial_join_host_port(host,
                               ntohs(is_v6 ? address->to.v6.sin6_port : address->to.v4.sin_port));
}

/* Go writes the kernel's words in lower case, and people search logs for them. */
static struct error *dial_error(const struct address *address, const char *call, int os_errno)
{
    AUTO(free) char *text = address_text(address);
    AUTO(free) char *cause = xstrdup(strerrordesc_np(os_errno));
    if (cause)
        cause[0] = (char)tolower((unsigned char)cause[0]);
    struct error *err = error_new(ERROR_UNAVAILABLE, "dial tcp %s: %s: %s", text, call,
                                  cause ? cause : "unknown error");
    err->os_errno = os_errno;
    return err;
}

static struct error *lookup_error(const struct dial *dial, const char *cause)
{
    return error_new(ERROR_UNAVAILABLE, "dial tcp: lookup %s: %s", dial->dial_host, cause);
}

static void on_deadline(void *ctx)
{
    struct dial *dial = ctx;
    struct error *err = NULL;
    if (dial->lookup) {
        err = lookup_error(dial, "i/o timeout");
    } else if (dial->tunnel || dial->count == 0) {
        err = error_new(ERROR_UNAVAILABLE, "dial tcp %s: i/o timeout", dial->target);
    } else if (dial->failure) {
        err = TAKE(dial->failure);
    } else {
        AUTO(free) char *text = address_text(&dial->addresses[0]);
        err = error_new(ERROR_UNAVAILABLE, "dial tcp %s: i/o timeout", text);
    }
    finish(dial, NULL, err);
}

/* --- the race --- */

static void set_option(int fd, int level, int name, int value)
{
    /* A kernel that lacks one of them still connects. */
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

static void set_options(int fd)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, UNANSWERED_MS);
}

static void note_failure(struct dial *dial, struct error *err_owned)
{
    if (dial->failure)
        error_ignore(err_owned, "the first one is told");
    else
        dial->failure = err_owned;
}

static void on_tunnel_done(void *ctx, struct byte_stream *stream_owned, struct error *err_owned)
{
    struct dial *dial = ctx;
    dial->tunnel = NULL;
    finish(dial, stream_owned, err_owned);
}

static void win(struct racer *racer)
{
    struct dial *dial = racer->dial;
    loop_io_free(racer->io);
    racer->io = NULL;
    int fd = racer->fd;
    racer->fd = -1;
    racers_free(dial);
    loop_timer_cancel(dial->join);
    struct byte_stream *stream = byte_stream_from_socket(dial->loop, fd);
    if (dial->proxy)
        dial->tunnel = dial_tunnel_start(stream, dial->proxy, dial->target, on_tunnel_done, dial);
    else
        finish(dial, stream, NULL);
}

/* A socket whose own port happens to be the target's can connect to itself: nobody listens there.
 */
static bool is_self_connected(int fd)
{
    struct address own = {.len = sizeof(own.to)}, peer = {.len = sizeof(peer.to)};
    return getsockname(fd, &own.to.any, &own.len) == 0 &&
           getpeername(fd, &peer.to.any, &peer.len) == 0 && own.len == peer.len &&
           memcmp(&own.to, &peer.to, own.len) == 0;
}

static void on_racer_ready(void *ctx, UNUSED unsigned events)
{
    struct racer *racer = ctx;
    struct dial *dial = racer->dial;
    int cause = 0;
    socklen_t len = sizeof(cause);
    if (getsockopt(racer->fd, SOL_SOCKET, SO_ERROR, &cause, &len) != 0)
        cause = errno;
    if (cause == 0 && is_self_connected(racer->fd))
        cause = ECONNREFUSED;
    if (cause == 0) {
        win(racer);
        return;
    }
    note_failure(dial, dial_error(racer->address, "connect", cause));
    racer_free(racer);
    if (!dial->racers)
        loop_timer_start(dial->join, -1);
}

/* False: it has failed at once. */
static bool enter(struct dial *dial, const struct address *address)
{
    AUTO(fd)
    int fd = socket(address->to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        note_failure(dial, dial_error(address, "socket", errno));
        return false;
    }
    set_options(fd);
    if (dial->resets_on_close) {
        const struct linger linger = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    if (connect(fd, &address->to.any, address->len) < 0 && errno != EINPROGRESS) {
        note_failure(dial, dial_error(address, "connect", errno));
        return false;
    }
    struct racer *racer = xcalloc(1, sizeof(*racer));
    racer->dial = dial;
    racer->address = address;
    racer->fd = fd;
    racer->io = loop_io_new(dial->loop, "dial", fd, on_racer_ready, racer);
    loop_io_want(racer->io, LOOP_IO_WRITE);
    DL_APPEND(dial->racers, racer);
    fd = -1;
    return true;
}

/* The next one joins the race. */
static void on_join(void *ctx)
{
    struct dial *dial = ctx;
    bool has_joined = false;
    while (!has_joined && dial->next < dial->count)
        has_joined = enter(dial, &dial->addresses[dial->next++]);
    if (dial->next < dial->count)
        loop_timer_start(dial->join, STAGGER_NS);
    else if (!dial->racers)
        finish(dial, NULL,
               dial->failure ? TAKE(dial->failure) : lookup_error(dial, "no such host"));
}

/* --- looking up --- */

struct lookup {
    char *host;
    char port[8];
    int result; /* of getaddrinfo() */
    int os_errno;
    struct addrinfo *found;
};

static int resolve(const char *host, const char *port, int flags, struct addrinfo **ret)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};
    return getaddrinfo(host, port, &hints, ret);
}

static void lookup_run_blocking(void *job)
{
    struct lookup *lookup = job;
    lookup->result = resolve(lookup->host, lookup->port, 0, &lookup->found);
    lookup->os_errno = lookup->result == EAI_SYSTEM ? errno : 0;
}

static void lookup_release(void *job)
{
    struct lookup *lookup = job;
    if (lookup->found)
        freeaddrinfo(lookup->found);
    free(lookup->host);
    free(lookup);
}

static bool is_usable(const struct addrinfo *info)
{
    return (info->ai_family == AF_INET || info->ai_family == AF_INET6) &&
           info->ai_addrlen <= sizeof(((struct address *)NULL)->to);
}

static const struct addrinfo *next_of(const struct addrinfo *info, int family, bool is_same)
{
    while (info && (!is_usable(info) || (info->ai_family == family) != is_same))
        info = info->ai_next;
    return info;
}

/* The resolver's order within a family; the families by turns, the best address's first. */
static void take_addresses(struct dial *dial, const struct addrinfo *found)
{
    const struct addrinfo *best = found;
    while (best && !is_usable(best))
        best = best->ai_next;
    int family = best ? best->ai_family : AF_UNSPEC;
    const struct addrinfo *at[2] = {best, next_of(found, family, false)};
    for (size_t turn = 0; (at[0] || at[1]) && dial->count < MAX_ADDRESSES; turn++) {
        const struct addrinfo *info = at[turn % 2];
        if (!info)
            continue;
        struct address *address = &dial->addresses[dial->count++];
        memcpy(&address->to, info->ai_addr, info->ai_addrlen);
        address->len = info->ai_addrlen;
        at[turn % 2] = next_of(info->ai_next, family, turn % 2 == 0);
    }
}

static char *lookup_cause(const struct lookup *lookup)
{
    if (lookup->result == EAI_NONAME || lookup->result == EAI_NODATA)
        return xstrdup("no such host");
    const char *text = lookup->result == EAI_SYSTEM ? strerrordesc_np(lookup->os_errno)
                                                    : gai_strerror(lookup->result);
    char *cause = xstrdup(text ? text : "unknown error");
    cause[0] = (char)tolower((unsigned char)cause[0]);
    return cause;
}

static void on_looked_up(void *ctx, void *job)
{
    struct dial *dial = ctx;
    const struct lookup *lookup = job;
    dial->lookup = NULL;
    if (lookup->result != 0) {
        AUTO(free) char *cause = lookup_cause(lookup);
        finish(dial, NULL, lookup_error(dial, cause));
        return;
    }
    take_addresses(dial, lookup->found);
    on_join(dial);
}

static const struct work_vtable lookup_work = {.name = "lookup",
                                               .class = WORK_SLOW,
                                               .run_blocking = lookup_run_blocking,
                                               .on_done = on_looked_up,
                                               .release = lookup_release};

/* An address needs no resolver: getaddrinfo() only parses then. */
static bool take_numeric(struct dial *dial, const char *port)
{
    struct addrinfo *found = NULL;
    if (resolve(dial->dial_host, port, AI_NUMERICHOST, &found) != 0)
        return false;
    take_addresses(dial, found);
    freeaddrinfo(found);
    return true;
}

struct dial *dial_start(struct loop *loop, struct work_pool *pool,
                        const struct dial_options *options, dial_on_done *on_done, void *ctx)
{
    struct dial *dial = xcalloc(1, sizeof(*dial));
    dial->loop = loop;
    dial->proxy = options->proxy;
    dial->resets_on_close = options->resets_on_close;
    dial->target = dial_join_host_port(options->host, options->port);
    dial->dial_host = xstrdup(options->proxy ? options->proxy->host : options->host);
    dial->on_done = on_done;
    dial->ctx = ctx;
    dial->join = loop_timer_new(loop, "dial", on_join, dial);
    dial->deadline = loop_timer_new(loop, "dial deadline", on_deadline, dial);
    loop_timer_start(dial->deadline, options->timeout_ns);

    uint16_t port = options->proxy ? options->proxy->port : options->port;
    struct lookup *lookup = xcalloc(1, sizeof(*lookup));
    (void)snprintf(lookup->port, sizeof(lookup->port), "%u", port);
    if (take_numeric(dial, lookup->port)) {
        lookup_release(lookup);
        loop_timer_start(dial->join, -1);
    } else {
        lookup->host = xstrdup(dial->dial_host);
        dial->lookup = work_start(pool, &lookup_work, lookup, dial);
    }
    return dial;
}
