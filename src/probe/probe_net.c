/*
 * connect → (send request → read head and up to 10 KiB of body → perhaps follow a redirect and
 * connect again) → done. One timer covers the whole attempt. Whatever happens on the way is an
 * outcome with a text, never an error object: a refused connection is a failed probe.
 */
#include "probe/probe_net.h"

#include "base/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define TEXT_MAX_BYTES (16 * KiB)
#define REQUEST_MAX_BYTES (64 * KiB)

struct probe_net {
    struct loop *loop;
    char *host, *path;
    int32_t port;
    const Core__HTTPGetAction *http;
    void (*on_done)(void *ctx, enum probe_outcome outcome, const char *output);
    void *ctx;
    struct loop_timer *deadline;
    struct loop_timer *start; /* the first turn, so that nothing ends inside probe_net_start() */
    struct loop_io *io;
    int fd;
    bool connected;
    size_t sent;
    unsigned redirects;
    struct buf request, reply, output;
};

static void net_free(void *object)
{
    struct probe_net *net = object;
    buf_done(&net->request);
    buf_done(&net->reply);
    buf_done(&net->output);
    free(net->host);
    free(net->path);
    free(net);
}

static void drop_connection(struct probe_net *net)
{
    loop_io_free(TAKE(net->io));
    fd_close(&net->fd);
    net->connected = false;
    net->sent = 0;
}

void probe_net_cancel(struct probe_net *net)
{
    if (!net)
        return;
    drop_connection(net);
    loop_timer_free(TAKE(net->deadline));
    loop_timer_free(TAKE(net->start));
    loop_defer_free(net->loop, net_free, net);
}

static void finish(struct probe_net *net, enum probe_outcome outcome)
{
    void (*on_done)(void *, enum probe_outcome, const char *) = net->on_done;
    void *ctx = net->ctx;
    probe_net_cancel(net); /* the memory, and so the text, lives to the end of the turn */
    on_done(ctx, outcome, buf_text(&net->output));
}

/* "Get "http://10.0.0.5:8080/": dial tcp 10.0.0.5:8080: connect: connection refused" */
static void say(struct probe_net *net, const char *what, const char *why)
{
    bool v6 = strchr(net->host, ':');
    AUTO(free)
    char *address = xasprintf("%s%s%s:%d", v6 ? "[" : "", net->host, v6 ? "]" : "", net->port);
    buf_clear(&net->output);
    if (net->http)
        buf_printf(&net->output, "Get \"http://%s%s\": ", address, net->path);
    if (what[0] != '\0')
        buf_printf(&net->output, "dial tcp %s: %s: ", address, what);
    buf_add_text(&net->output, why);
}

/* Go's names for what connect() reports. */
static const char *errno_text(int number)
{
    static const struct {
        int number;
        const char *text;
    } rows[] = {{ECONNREFUSED, "connection refused"},
                {EHOSTUNREACH, "no route to host"},
                {ENETUNREACH, "network is unreachable"},
                {ECONNRESET, "connection reset by peer"},
                {ETIMEDOUT, "connection timed out"}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].number == number)
            return rows[i].text;
    }
    return "input/output error";
}

static void fail_errno(struct probe_net *net, const char *what, int number)
{
    say(net, what, errno_text(number));
    finish(net, PROBE_OUTCOME_FAILURE);
}

static void on_deadline(void *ctx)
{
    struct probe_net *net = ctx;
    if (net->http)
        say(net, "",
            net->connected
                ? "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
                : "context deadline exceeded");
    else
        say(net, "i/o", "timeout");
    finish(net, PROBE_OUTCOME_FAILURE);
}

static void connect_to(struct probe_net *net);

/* --- HTTP --- */

static void follow(struct probe_net *net, struct str location)
{
    char *path = NULL;
    if (!probe_http_redirect(location, net->host, &net->port, &path)) {
        buf_clear(&net->output);
        buf_add_text(&net->output, "Probe terminated redirects, Response body: ");
        size_t head =
            (size_t)((const char *)memmem(net->reply.data, net->reply.len, "\r\n\r\n", 4) -
                     net->reply.data) +
            4;
        buf_add(&net->output, net->reply.data + head, net->reply.len - head);
        finish(net, PROBE_OUTCOME_WARNING);
        return;
    }
    free(net->path);
    net->path = path;
    if (++net->redirects > PROBE_MAX_REDIRECTS) {
        say(net, "", "stopped after 10 redirects");
        finish(net, PROBE_OUTCOME_FAILURE);
        return;
    }
    drop_connection(net);
    buf_clear(&net->reply);
    connect_to(net);
}

static void judge(struct probe_net *net, const struct probe_http_reply *reply)
{
    buf_clear(&net->output);
    bool redirect = reply->status >= 300 && reply->status < 400 && reply->location.len > 0 &&
                    reply->status != 304;
    if (redirect) {
        follow(net, reply->location);
    } else if (reply->status >= 200 && reply->status < 400) {
        finish(net, PROBE_OUTCOME_SUCCESS);
    } else {
        buf_printf(&net->output, "HTTP probe failed with statuscode: %d", reply->status);
        finish(net, PROBE_OUTCOME_FAILURE);
    }
}

/* The head decides; a body is not needed for that. */
static void read_reply(struct probe_net *net)
{
    char bytes[4096];
    ssize_t got = read(net->fd, bytes, sizeof(bytes));
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0) {
        say(net, "",
            errno == ECONNRESET ? "read: connection reset by peer" : "read: input/output error");
        finish(net, PROBE_OUTCOME_FAILURE);
        return;
    }
    buf_add(&net->reply, bytes, (size_t)got);
    struct probe_http_reply reply = probe_http_parse(buf_str(&net->reply));
    if (reply.status >= 200) {
        judge(net, &reply);
    } else if (reply.malformed || net->reply.overflowed) {
        say(net, "", "net/http: HTTP/1.x transport connection broken: malformed HTTP response");
        finish(net, PROBE_OUTCOME_FAILURE);
    } else if (got == 0) {
        say(net, "", "EOF");
        finish(net, PROBE_OUTCOME_FAILURE);
    }
}

static void send_request(struct probe_net *net)
{
    ssize_t sent =
        send(net->fd, net->request.data + net->sent, net->request.len - net->sent, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        say(net, "", "write: broken pipe");
        finish(net, PROBE_OUTCOME_FAILURE);
        return;
    }
    net->sent += sent > 0 ? (size_t)sent : 0;
    if (net->sent == net->request.len)
        loop_io_want(net->io, LOOP_IO_READ);
}

/* --- connecting --- */

static void connected(struct probe_net *net)
{
    int number = 0;
    socklen_t len = sizeof(number);
    if (getsockopt(net->fd, SOL_SOCKET, SO_ERROR, &number, &len) < 0 || number != 0) {
        fail_errno(net, "connect", number);
        return;
    }
    net->connected = true;
    if (!net->http) {
        finish(net, PROBE_OUTCOME_SUCCESS);
        return;
    }
    buf_clear(&net->request);
    probe_http_request(net->http, net->host, net->port, net->path, &net->request);
    send_request(net);
}

static void on_ready(void *ctx, unsigned events)
{
    struct probe_net *net = ctx;
    if (!net->connected)
        connected(net);
    else if (events & LOOP_IO_READ)
        read_reply(net);
    else
        send_request(net);
}

/* Addresses only: a name would need a resolver, which may block the loop; the hosts file's
 * localhost is known. */
static bool resolve(const struct probe_net *net, struct sockaddr_storage *ret, socklen_t *ret_len)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)ret;
    const char *host = strcmp(net->host, "localhost") == 0 ? "127.0.0.1" : net->host;
    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)net->port);
        *ret_len = sizeof(*v4);
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)net->port);
        *ret_len = sizeof(*v6);
        return true;
    }
    return false;
}

static void connect_to(struct probe_net *net)
{
    struct sockaddr_storage address;
    socklen_t len = 0;
    if (!resolve(net, &address, &len)) {
        buf_printf(&net->output, "cubelet probes addresses only, \"%s\" is a name", net->host);
        finish(net, PROBE_OUTCOME_ERROR);
        return;
    }
    net->fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (net->fd < 0) {
        buf_add_text(&net->output, "no socket can be made");
        finish(net, PROBE_OUTCOME_ERROR);
        return;
    }
    /* Closing resets: no TIME_WAIT, and close() never waits. */
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(net->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    if (connect(net->fd, (const struct sockaddr *)&address, len) < 0 && errno != EINPROGRESS) {
        fail_errno(net, "connect", errno);
        return;
    }
    net->io = loop_io_new(net->loop, "probe", net->fd, on_ready, net);
    loop_io_want(net->io, LOOP_IO_WRITE);
}

static void on_start(void *ctx)
{
    connect_to(ctx);
}

struct probe_net *probe_net_start(struct loop *loop, const struct probe_net_options *options,
                                  void (*on_done)(void *ctx, enum probe_outcome outcome,
                                                  const char *output),
                                  void *ctx)
{
    struct probe_net *net = xcalloc(1, sizeof(*net));
    *net = (struct probe_net){.loop = loop,
                              .host = xstrdup(options->host),
                              .port = options->port,
                              .http = options->http,
                              .on_done = on_done,
                              .ctx = ctx,
                              .fd = -1};
    net->path = xstrdup(options->http && options->http->path && options->http->path[0] != '\0'
                            ? options->http->path
                            : "/");
    buf_init(&net->request, REQUEST_MAX_BYTES);
    buf_init(&net->reply, TEXT_MAX_BYTES);
    buf_init(&net->output, TEXT_MAX_BYTES);
    net->deadline = loop_timer_new(loop, "probe deadline", on_deadline, net);
    net->start = loop_timer_new(loop, "probe start", on_start, net);
    loop_timer_start(net->deadline, options->timeout_ns);
    loop_timer_start(net->start, 0);
    return net;
}
