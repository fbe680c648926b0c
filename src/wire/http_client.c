/*
 * Calls wait in one queue. Whenever something has changed, the pump goes through it: a call leaves
 * for an HTTP/2 connection with room, or an idle HTTP/1.1 one; for those that stay, connections are
 * made, as many as can be of use:
 *
 *     what the origin speaks      connections being made at a time
 *     not known                   one, for everybody
 *     HTTP/2                      one, when every other is full, up to the limit
 *     HTTP/1.1                    one a waiting call, up to the limit
 *
 * A full HTTP/2 connection is an ordinary thing: watches stay for long, and kube-apiserver takes
 * 100 streams on each. How many a new one takes is not known until its SETTINGS have come; until
 * then it has one call, and the others wait for it.
 *
 * An attempt that fails is told to those who waited for it: everybody, or with HTTP/1.1 one of
 * them. So is the end of an HTTP/2 connection that has not answered anything, else it would be
 * tried again with each of them. There is no second attempt without a new call, and thus no
 * back-off here.
 */
#include "wire/http_client_internal.h"

#include "base/hash.h"

#define CONNECT_TIMEOUT_NS (30 * NS_PER_SEC)
#define PING_AFTER_NS (15 * NS_PER_SEC)
#define PING_TIMEOUT_NS (10 * NS_PER_SEC)
#define MAX_HTTP1_CONNECTIONS 8

struct http_attempt {
    struct http_client *client;
    int64_t deadline_mono_ns;
    struct dial *dial;          /* NULL: connected */
    struct byte_stream *stream; /* shakes hands; owned */
    struct loop_timer *limit;   /* for the handshake; a dial has its own */
    struct http_attempt *prev, *next;
};

static void pump(struct http_client *client);

void http_client_wake(struct http_client *client)
{
    if (client->pump && !loop_timer_is_armed(client->pump))
        loop_timer_start(client->pump, -1);
}

/* --- connecting --- */

static void attempt_free(struct http_attempt *attempt)
{
    struct http_client *client = attempt->client;
    DL_DELETE(client->attempts, attempt);
    client->attempt_count--;
    dial_cancel(attempt->dial);
    byte_stream_free(attempt->stream);
    loop_timer_free(attempt->limit);
    free(attempt);
}

static void attempts_free(struct http_client *client)
{
    struct http_attempt *attempt, *next;
    DL_FOREACH_SAFE(client->attempts, attempt, next)
        attempt_free(attempt);
}

void http_client_fail_waiting(struct http_client *client, const struct error *cause)
{
    /* New calls that the callbacks make have not waited for this attempt. */
    client->round++;
    bool is_one = client->protocol == HTTP_PROTOCOL_1;
    while (!client->is_closed && client->waiting && client->waiting->round < client->round) {
        if (is_one && client->waiting_count <= client->attempt_count)
            break;
        http_call_fail(client->waiting, error_dup(cause), true);
        if (is_one)
            break;
    }
}

static void attempt_failed(struct http_attempt *attempt, struct error *err_owned)
{
    struct http_client *client = attempt->client;
    AUTO(error) struct error *err = err_owned;
    attempt_free(attempt);
    http_client_fail_waiting(client, err);
    pump(client);
}

static void attempt_succeeded(struct http_attempt *attempt, bool is_h2)
{
    struct http_client *client = attempt->client;
    struct byte_stream *stream = TAKE(attempt->stream);
    attempt_free(attempt);
    client->connects++;
    client->protocol = is_h2 ? HTTP_PROTOCOL_2 : HTTP_PROTOCOL_1;
    if (!is_h2)
        (void)http_h1_open(client, stream);
    else if (http_h2_find(client))
        byte_stream_free(stream); /* there is room again, or the origin has changed its mind */
    else
        (void)http_h2_open(client, stream);
    pump(client);
}

static void on_handshake(void *ctx, const struct error *err)
{
    struct http_attempt *attempt = ctx;
    if (err)
        attempt_failed(attempt, error_dup(err));
    else
        attempt_succeeded(attempt, text_eq(tls_stream_protocol(attempt->stream), "h2"));
}

static void on_handshake_limit(void *ctx)
{
    attempt_failed(ctx, error_new(ERROR_UNAVAILABLE, "net/http: TLS handshake timeout"));
}

static void on_dialed(void *ctx, struct byte_stream *stream_owned, struct error *err_owned)
{
    struct http_attempt *attempt = ctx;
    struct http_client *client = attempt->client;
    attempt->dial = NULL;
    if (err_owned) {
        attempt_failed(attempt, err_owned);
        return;
    }
    if (!client->tls) {
        attempt->stream = stream_owned;
        attempt_succeeded(attempt, false);
        return;
    }
    attempt->stream = tls_stream_new_client(client->loop, client->tls, client->server_name,
                                            stream_owned, on_handshake, attempt);
    attempt->limit = loop_timer_new(client->loop, "tls handshake", on_handshake_limit, attempt);
    loop_timer_start(attempt->limit,
                     sat_sub_i64(attempt->deadline_mono_ns, loop_now_mono_ns(client->loop)));
}

static void attempt_start(struct http_client *client)
{
    struct http_attempt *attempt = xcalloc(1, sizeof(*attempt));
    attempt->client = client;
    attempt->deadline_mono_ns =
        sat_add_i64(loop_now_mono_ns(client->loop), client->connect_timeout_ns);
    DL_APPEND(client->attempts, attempt);
    client->attempt_count++;
    const struct dial_options options = {.host = client->host,
                                         .port = client->port,
                                         .timeout_ns = client->connect_timeout_ns,
                                         .proxy = client->proxy};
    attempt->dial = dial_start(client->loop, client->pool, &options, on_dialed, attempt);
}

/* --- the pump --- */

/* Takes @call off the queue, for a connection. */
static void leave_queue(struct http_call *call)
{
    struct http_client *client = call->client;
    DL_DELETE(client->waiting, call);
    client->waiting_count--;
    DL_APPEND(client->active, call);
}

static bool send_first(struct http_client *client)
{
    struct http_call *call = client->waiting;
    struct http_h2 *link = http_h2_find(client);
    struct http_h1 *idle = link ? NULL : http_h1_find_idle(client);
    if (!link && !idle)
        return false;
    leave_queue(call);
    if (link)
        http_h2_send(link, call);
    else
        http_h1_send(idle, call);
    return true;
}

static size_t wanted_attempts(const struct http_client *client)
{
    if (client->waiting_count == 0)
        return 0;
    if (client->protocol != HTTP_PROTOCOL_1)
        return http_h2_may_add(client) ? 1 : 0;
    size_t used = client->h1_count - client->h1_retired_count;
    size_t room = client->max_http1_connections - min_size(used, client->max_http1_connections);
    return min_size(client->waiting_count, room);
}

static void pump(struct http_client *client)
{
    if (client->is_closed)
        return;
    while (client->waiting && send_first(client))
        continue;
    while (client->attempt_count < wanted_attempts(client))
        attempt_start(client);
}

static void on_pump(void *ctx)
{
    pump(ctx);
}

/* --- life --- */

static char *name_origin(const struct http_client *client, bool is_short)
{
    uint16_t usual = client->tls ? 443 : 80;
    const char *scheme = client->tls ? "https://" : "http://";
    bool is_v6 = strchr(client->host, ':') != NULL;
    AUTO(free) char *host = xasprintf(is_v6 ? "[%s]" : "%s", client->host);
    if (is_short)
        return client->port == usual ? TAKE(host) : xasprintf("%s:%u", host, client->port);
    return xasprintf("%s%s:%u", scheme, host, client->port);
}

static int64_t or_else(int64_t value_ns, int64_t usual_ns)
{
    return value_ns > 0 ? value_ns : usual_ns;
}

struct error *http_client_new(struct loop *loop, struct work_pool *pool,
                              const struct http_client_options *options, struct http_client **ret)
{
    struct dial_proxy *proxy = NULL;
    if (options->proxy_url) {
        struct error *err = dial_proxy_parse(options->proxy_url, &proxy);
        if (err)
            return err;
    }
    struct http_client *client = xcalloc(1, sizeof(*client));
    client->loop = loop;
    client->pool = pool;
    client->host = xstrdup(options->host);
    client->port = options->port;
    client->server_name = xstrdup(options->server_name ? options->server_name : options->host);
    client->tls = options->tls ? tls_context_ref(options->tls) : NULL;
    client->authority = name_origin(client, true);
    client->origin = name_origin(client, false);
    client->proxy = proxy;
    client->connect_timeout_ns = or_else(options->connect_timeout_ns, CONNECT_TIMEOUT_NS);
    client->ping_after_ns = or_else(options->ping_after_ns, PING_AFTER_NS);
    client->ping_timeout_ns = or_else(options->ping_timeout_ns, PING_TIMEOUT_NS);
    client->max_http1_connections =
        options->max_http1_connections > 0 ? options->max_http1_connections : MAX_HTTP1_CONNECTIONS;
    client->protocol = client->tls ? HTTP_PROTOCOL_UNKNOWN : HTTP_PROTOCOL_1;
    client->pump = loop_timer_new(loop, "http client", on_pump, client);
    *ret = client;
    return NULL;
}

static void release(void *object)
{
    struct http_client *client = object;
    tls_context_unref(client->tls);
    dial_proxy_free(client->proxy);
    free(client->host);
    free(client->server_name);
    free(client->authority);
    free(client->origin);
    free(client);
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    ASSERT(!client->is_closed);
    client->is_closed = true;
    while (client->waiting)
        http_call_cancel(client->waiting);
    while (client->active)
        http_call_cancel(client->active);
    attempts_free(client);
    http_h1_close_all(client);
    http_h2_close_all(client);
    loop_timer_free(TAKE(client->pump));
    loop_defer_free(client->loop, release, client);
}

void http_client_reset(struct http_client *client)
{
    attempts_free(client);
    http_h2_retire_all(client);
    http_h1_retire_all(client);
    client->protocol = client->tls ? HTTP_PROTOCOL_UNKNOWN : HTTP_PROTOCOL_1;
    http_client_wake(client);
}

void http_client_set_tls(struct http_client *client, struct tls_context *tls)
{
    ASSERT((client->tls != NULL) == (tls != NULL)); /* the origin stays what it is */
    struct tls_context *old = client->tls;
    client->tls = tls ? tls_context_ref(tls) : NULL;
    tls_context_unref(old);
    http_client_reset(client);
}

uint64_t http_client_connects(const struct http_client *client)
{
    return client->connects;
}

size_t http_client_connection_count(const struct http_client *client)
{
    return client->h1_count + client->h2_count;
}
