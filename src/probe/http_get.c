/*
 *     begin ──► dialling ──► shaking hands (https) ──► asking ──► reading ──► over
 *       ▲                                                            │
 *       └───────────────── redirect to the same host ────────────────┘
 *
 * One timer covers everything. Whatever goes wrong before the head of an answer has come is told as
 * Go's client tells it, `Get "<url>": <cause>`; behind the head it is the body that could not be
 * read. A request that cannot be written to its end is not an error by itself: the server may have
 * answered already, and if it has not, reading tells why.
 */
#include "probe/http_get_internal.h"

#include "base/go_quote.h"

#include <ctype.h>

#define REQUEST_MAX_BYTES (1 * MiB)            /* the API server takes no larger object anyway */
#define DIAL_TIMEOUT_NS (30 * NS_PER_SEC)      /* net/http: DefaultTransport's dialer */
#define HANDSHAKE_TIMEOUT_NS (10 * NS_PER_SEC) /* net/http: TLSHandshakeTimeout */
#define READ_BYTES (4 * KiB)
#define BROKEN "net/http: HTTP/1.x transport connection broken: "

/* --- ends --- */

static void drop_connection(struct http_get *get)
{
    dial_cancel(TAKE(get->dial));
    http_get_h2_drop(get);
    byte_stream_free(TAKE(get->stream));
    free(TAKE(get->own_address));
    loop_timer_cancel(get->step);
    buf_done(&get->out);
    get->is_shaking = false;
}

static void release(void *object)
{
    struct http_get *get = object;
    http_reply_done(&get->reply);
    error_free(get->refusal);
    arena_free(get->arena);
    free(get);
}

void http_get_cancel(struct http_get *get)
{
    if (!get || get->is_over)
        return;
    get->is_over = true;
    drop_connection(get);
    loop_timer_free(TAKE(get->limit));
    loop_timer_free(TAKE(get->step));
    loop_defer_free(probe_net_loop(get->net), release, get);
}

static void finish(struct http_get *get, const struct http_get_end *end)
{
    http_get_cancel(get); /* the memory, and so the texts, live to the end of the turn */
    get->on_done(get->ctx, end);
}

static void fail_at(struct http_get *get, const char *url, const char *why)
{
    const char *text = arena_printf(get->arena, "Get %s: %s", go_quote(get->arena, url), why);
    finish(get, &(struct http_get_end){.error = text});
}

static void fail(struct http_get *get, const char *why)
{
    fail_at(get, http_url_text(&get->url, get->arena), why);
}

void http_get_broken(struct http_get *get, const char *why)
{
    if (get->reply.status == 0) {
        fail(get, why);
        return;
    }
    finish(get, &(struct http_get_end){.status = get->reply.status,
                                       .error = arena_strdup(get->arena, why)});
}

static void on_limit(void *ctx)
{
    struct http_get *get = ctx;
    http_get_broken(get,
                    get->reply.status == 0
                        ? "context deadline exceeded (Client.Timeout exceeded while awaiting "
                          "headers)"
                        : "context deadline exceeded (Client.Timeout or context cancellation while "
                          "reading body)");
}

/* --- the answer --- */

static bool is_redirect(unsigned status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Goes where the answer points. False: it leaves the host, so this answer is the last. */
static bool follow(struct http_get *get)
{
    struct arena *arena = get->arena;
    const char *location = arena_strdup(arena, get->reply.location);
    struct http_url next;
    AUTO(error) struct error *err = http_url_resolve(&get->url, location, arena, &next);
    if (err) {
        fail(get, arena_printf(arena, "failed to parse Location header %s: %s",
                               go_quote(arena, location), err->message));
        return true;
    }
    if (strcmp(next.hostname, get->hostname) != 0)
        return false;
    if (get->requests >= HTTP_GET_MAX_REQUESTS) {
        fail_at(get, location, "stopped after 10 redirects");
        return true;
    }
    bool is_downgrade = strcmp(get->url.scheme, "https") == 0 && strcmp(next.scheme, "http") == 0;
    get->referer = is_downgrade ? NULL : http_url_text(&get->url, arena);
    if (http_url_is_absolute(location))
        get->request.host = NULL;
    get->url = next;
    drop_connection(get);
    loop_timer_start(get->step, -1);
    return true;
}

void http_get_look(struct http_get *get)
{
    const struct http_reply *reply = &get->reply;
    if (reply->state == HTTP_REPLY_BAD) {
        http_get_broken(get, arena_strdup(get->arena, reply->problem));
        return;
    }
    if (reply->state == HTTP_REPLY_HEAD)
        return;
    if (!get->stays && is_redirect(reply->status) && reply->location && reply->location[0]) {
        if (follow(get))
            return;
        get->stays = true;
    }
    if (reply->state == HTTP_REPLY_DONE)
        finish(get, &(struct http_get_end){.status = reply->status, .body = buf_str(&reply->body)});
}

/* "read tcp 10.0.0.1:4711->10.0.0.5:80: read: connection reset by peer" */
static const char *read_problem(const struct http_get *get, const struct error *err)
{
    const char *text = err->message;
    if (err->os_errno != 0) {
        AUTO(free) char *cause = xstrdup(strerrordesc_np(err->os_errno));
        if (cause)
            cause[0] = (char)tolower((unsigned char)cause[0]);
        text = arena_printf(get->arena, "read tcp %s->%s: read: %s", get->own_address,
                            get->url.host, cause ? cause : "unknown error");
    }
    bool is_in_head = get->reply.state == HTTP_REPLY_HEAD && get->reply.head_bytes > 0;
    return is_in_head ? arena_printf(get->arena, BROKEN "%s", text) : text;
}

/* True when there may be more to be read at once. */
static bool read_once(struct http_get *get)
{
    char bytes[READ_BYTES];
    size_t len = 0;
    bool is_end = false;
    AUTO(error)
    struct error *err = get->stream->vtable->read(get->stream, bytes, sizeof(bytes), &len, &is_end);
    if (err && !text_eq(err->reason, TLS_CUT_OFF)) {
        http_get_broken(get, read_problem(get, err));
        return false;
    }
    if (err || is_end) {
        (void)get->stream->vtable->end(get->stream); /* so that closing does not reset */
        (void)http_reply_take_end(&get->reply);
        http_get_look(get);
        return false;
    }
    (void)http_reply_take(&get->reply, (struct str){.ptr = bytes, .len = len});
    bool is_last = get->reply.state == HTTP_REPLY_DONE;
    if (is_last) { /* a server that has closed by now is left in peace too */
        size_t more = 0;
        AUTO(error)
        struct error *late =
            get->stream->vtable->read(get->stream, bytes, sizeof(bytes), &more, &is_end);
        error_ignore(TAKE(late), "the answer is there");
        if (is_end)
            (void)get->stream->vtable->end(get->stream);
    }
    http_get_look(get);
    return len == sizeof(bytes) && !is_last;
}

static void send_some(struct http_get *get)
{
    size_t written = 0;
    AUTO(error)
    struct error *err =
        get->stream->vtable->write(get->stream, get->out.data, get->out.len, &written);
    if (err)
        buf_clear(&get->out); /* reading tells more */
    else
        buf_consume(&get->out, written);
}

static void wait(struct http_get *get)
{
    get->stream->vtable->want(get->stream,
                              LOOP_IO_READ | (get->out.len > 0 ? (unsigned)LOOP_IO_WRITE : 0U));
}

static void on_ready(void *ctx, unsigned events)
{
    struct http_get *get = ctx;
    const struct byte_stream *stream = get->stream;
    if (get->out.len > 0 && (events & LOOP_IO_WRITE))
        send_some(get);
    bool is_more = (events & LOOP_IO_READ) != 0;
    while (is_more)
        is_more = read_once(get) && get->stream == stream && !get->is_over;
    if (!get->is_over && get->stream)
        wait(get);
}

/* --- the question --- */

static void ask(struct http_get *get)
{
    buf_init(&get->out, REQUEST_MAX_BYTES);
    http_request_format(&get->request, &get->url, get->referer, get->arena, &get->out);
    AUTO(error) struct error *err = buf_error(&get->out, "the request");
    if (err) {
        fail(get, err->message);
        return;
    }
    get->stream->vtable->listen(get->stream, on_ready, get);
    send_some(get);
    wait(get);
}

static void on_handshake(void *ctx, const struct error *err)
{
    struct http_get *get = ctx;
    get->is_shaking = false;
    loop_timer_cancel(get->step);
    if (err && tls_stream_has_met_http(get->stream)) {
        const char *url = go_quote(get->arena, http_url_text(&get->url, get->arena));
        const char *text = arena_printf(
            get->arena, "Get %s: http: server gave HTTP response to HTTPS client", url);
        finish(get, &(struct http_get_end){.error = text, .has_met_http = true});
    } else if (err) {
        fail(get, read_problem(get, err));
    } else if (strcmp(tls_stream_protocol(get->stream), "h2") == 0) {
        http_get_h2_begin(get, TAKE(get->stream));
    } else {
        ask(get);
    }
}

static void on_dialled(void *ctx, struct byte_stream *stream_owned, struct error *err_owned)
{
    struct http_get *get = ctx;
    AUTO(error) struct error *err = err_owned;
    get->dial = NULL;
    if (err) {
        fail(get, err->message);
        return;
    }
    get->own_address = byte_stream_own_address(stream_owned);
    get->stream = stream_owned;
    if (strcmp(get->url.scheme, "http") == 0) {
        ask(get);
        return;
    }
    struct tls_context *tls = NULL;
    err = probe_net_tls(get->net, &tls);
    if (err) {
        fail(get, err->message);
        return;
    }
    get->is_shaking = true;
    get->stream = tls_stream_new_client(probe_net_loop(get->net), tls, get->url.hostname,
                                        stream_owned, on_handshake, get);
    loop_timer_start(get->step, HANDSHAKE_TIMEOUT_NS);
}

static void begin(struct http_get *get)
{
    bool is_https = strcmp(get->url.scheme, "https") == 0;
    int64_t port = is_https ? 443 : 80;
    if (get->refusal) {
        fail(get, get->refusal->message);
    } else if (!is_https && strcmp(get->url.scheme, "http") != 0) {
        fail(get, arena_printf(get->arena, "unsupported protocol scheme %s",
                               go_quote(get->arena, get->url.scheme)));
    } else if (get->url.port[0] != '\0' && !parse_i64(get->url.port, 1, UINT16_MAX, &port)) {
        fail(get, arena_printf(get->arena, "dial tcp: address %s: invalid port", get->url.port));
    } else {
        get->requests++;
        http_reply_done(&get->reply);
        http_reply_init(&get->reply);
        get->dial = probe_net_dial(get->net, get->url.hostname, (int32_t)port, DIAL_TIMEOUT_NS,
                                   on_dialled, get);
    }
}

static void on_step(void *ctx)
{
    struct http_get *get = ctx;
    if (get->is_shaking)
        fail(get, "net/http: TLS handshake timeout");
    else
        begin(get);
}

struct http_get *http_get_start(struct probe_net *net, const struct http_get_options *options,
                                http_get_on_done *on_done, void *ctx)
{
    struct http_get *get = xcalloc(1, sizeof(*get));
    struct loop *loop = probe_net_loop(net);
    get->net = net;
    get->on_done = on_done;
    get->ctx = ctx;
    get->arena = arena_new(0);
    get->url = http_url_of(arena_strdup(get->arena, options->scheme), options->host, options->port,
                           options->path ? options->path : "", get->arena);
    get->hostname = get->url.hostname;
    get->refusal =
        http_request_of(options->headers, options->n_headers,
                        arena_strdup(get->arena, options->user_agent), get->arena, &get->request);
    if (options->leaves_authorization_out && !get->refusal)
        http_request_drop(&get->request, "Authorization");
    http_reply_init(&get->reply);
    get->limit = loop_timer_new(loop, "http get", on_limit, get);
    get->step = loop_timer_new(loop, "http get step", on_step, get);
    if (options->timeout_ns > 0)
        loop_timer_start(get->limit, options->timeout_ns);
    loop_timer_start(get->step, -1);
    return get;
}
