/*
 * Carrying a plain request to where it goes: it becomes a call of an HTTP client and its answer is
 * passed on as it comes; when the asker reads too slowly, the call is paused. A log is asked for in
 * our own words, and a node that refuses it is quoted in a Status. Upgrades are another matter
 * (proxy_pipe.c).
 */
#include "plane/proxy_internal.h"

#include "base/hash.h"
#include "wire/http_client.h"

#define BACKLOG_MAX_BYTES (256 * KiB)
#define FAILURE_MAX_BYTES (512 * KiB) /* a refusal, every byte of it escaped */
#define REFUSAL_MAX_BYTES 50000       /* of a node's words, as much as upstream quotes */
#define PIPES_MAX 256                 /* at once, each with two descriptors */

struct node_proxy {
    struct loop *loop;
    struct work_pool *pool;
    struct tls_context *node_tls;
    struct tls_context *pod_tls; /* without a certificate of ours; made when first needed */
    struct carried *carried;
    struct upgrade_house pipes;
};

/* A plain request under way. */
struct carried {
    struct node_proxy *proxy;
    struct http_exchange *exchange;
    const struct proxy_target *target; /* in the exchange's arena */
    struct http_client *client;        /* its own: it ends with the request */
    struct http_call *call;
    bool has_begun;
    bool is_paused;
    unsigned refused; /* the node's status when that is no log; 0: it is */
    struct buf refusal;
    struct carried *prev, *next;
};

struct node_proxy *node_proxy_new(struct loop *loop, struct work_pool *pool,
                                  struct tls_context *client_tls)
{
    struct node_proxy *proxy = xcalloc(1, sizeof(*proxy));
    proxy->loop = loop;
    proxy->pool = pool;
    proxy->node_tls = client_tls ? tls_context_ref(client_tls) : NULL;
    proxy->pipes = (struct upgrade_house){.loop = loop, .pool = pool};
    return proxy;
}

void node_proxy_set_tls(struct node_proxy *proxy, struct tls_context *client_tls)
{
    struct tls_context *old = proxy->node_tls;
    proxy->node_tls = tls_context_ref(client_tls);
    tls_context_unref(old);
}

/* --- failures before anything was answered --- */

static void write_status(const Meta__Status *failure, struct buf *out)
{
    kube_encode_any(&failure->base, kube_kind_find("v1", "Status"), KUBE_JSON, out);
}

void proxy_write_failure(unsigned code, const char *message, struct buf *out)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    write_status(failure_new(arena, code, "%s", message), out);
}

static void reply_status(struct http_exchange *exchange, const Meta__Status *failure)
{
    AUTO(buf) struct buf body;
    buf_init(&body, FAILURE_MAX_BYTES);
    write_status(failure, &body);
    const struct http_field field = {.name = "content-type", .value = "application/json"};
    http_exchange_reply(exchange, (unsigned)failure->code,
                        &(const struct http_fields){.items = &field, .count = 1}, buf_str(&body));
}

static void reply_failure(struct http_exchange *exchange, unsigned code, const char *message)
{
    reply_status(exchange, failure_new(http_exchange_arena(exchange), code, "%s", message));
}

/* In upstream's words. The client's error begins with `Get "https://…": `, which a log tells. */
static void reply_unreachable(const struct carried *carried, const char *why)
{
    if (carried->target->log_of) {
        reply_failure(carried->exchange, 500, why);
        return;
    }
    const char *cause = strstr(why, "\": ");
    reply_failure(carried->exchange, 503,
                  arena_printf(http_exchange_arena(carried->exchange),
                               "error trying to reach service: %s", cause ? cause + 3 : why));
}

/* What upstream makes of a status that is none of its API's. But for these, the node's own words
 * stay unsaid. */
static Meta__Status *generic_failure(unsigned code, const char *said, const char *about,
                                     struct arena *arena)
{
    static const struct {
        unsigned code;
        const char *text;
    } rows[] = {
        {401, "the server has asked for the client to provide credentials"},
        {404, "the server could not find the requested resource"},
        {405, "the server does not allow this method on the requested resource"},
        {422, "the server rejected our request due to an error in our request"},
        {429, "the server has received too many requests and has asked us to try again later"},
        {503, "the server is currently unable to handle the request"},
        {504, "the server was unable to return a response in the time allotted, but may still be "
              "processing the request"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].code == code)
            return failure_new(arena, code, "%s (%s)", rows[i].text, about);
    }
    if (code == 403)
        return failure_new(arena, code, "%s (%s)", said, about);
    bool is_server_s = code >= 500;
    Meta__Status *failure =
        is_server_s
            ? failure_new(arena, code,
                          "an error on the server (\"%s\") has prevented the request from "
                          "succeeding (%s)",
                          said, about)
            : failure_new(arena, code,
                          "the server responded with the status code %u but did not return more "
                          "information (%s)",
                          code, about);
    failure->reason = is_server_s ? arena_strdup(arena, "InternalError") : NULL;
    return failure;
}

/* As kube-apiserver checks what a node answers when it is asked for a log. */
static void reply_refusal(const struct carried *carried)
{
    struct arena *arena = http_exchange_arena(carried->exchange);
    const char *said = buf_text(&carried->refusal);
    Meta__Status *failure = NULL;
    if (carried->refused == 400)
        failure = failure_bad_request(arena, "%s", said);
    else if (carried->refused == 500)
        failure = failure_from_error(arena, error_new(ERROR_INTERNAL, "%s", said));
    else
        failure =
            generic_failure(carried->refused, said,
                            arena_printf(arena, " pods/log %s", carried->target->log_of), arena);
    reply_status(carried->exchange, failure);
}

static struct error *tls_of(struct node_proxy *proxy, const struct proxy_target *target,
                            struct tls_context **ret)
{
    *ret = NULL;
    if (!target->is_tls)
        return NULL;
    struct error *err = NULL;
    if (!target->is_node && !proxy->pod_tls) {
        const struct tls_options options = {.alpn = "http/1.1", .insecure_skip_verify = true};
        err = tls_context_new_client(&options, &proxy->pod_tls);
    }
    if (!err)
        *ret = target->is_node ? proxy->node_tls : proxy->pod_tls;
    return err;
}

/* --- plain requests --- */

static void carried_free(void *object)
{
    struct carried *carried = object;
    http_client_free(carried->client);
    buf_done(&carried->refusal);
    free(carried);
}

static void carried_end(struct carried *carried)
{
    DL_DELETE(carried->proxy->carried, carried);
    loop_defer_free(carried->proxy->loop, carried_free, carried);
}

/* Fields about the connection are each side's own affair. */
bool proxy_passes_field(const struct http_fields *fields, const struct http_field *field)
{
    static const char *const own[] = {"connection",
                                      "keep-alive",
                                      "proxy-authenticate",
                                      "te",
                                      "trailer",
                                      "transfer-encoding",
                                      "proxy-connection",
                                      "upgrade",
                                      "content-length",
                                      "authorization",
                                      "host",
                                      "date",
                                      "proxy-authorization"};
    for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
        if (strcmp(own[i], field->name) == 0)
            return false;
    }
    return !text_has_prefix(field->name, "impersonate-") &&
           !http_fields_has_token(fields, "connection", field->name);
}

static struct http_fields passed_fields(const struct http_fields *fields, struct arena *arena)
{
    struct http_field *kept = arena_alloc(arena, (fields->count + 1) * sizeof(*kept));
    size_t count = 0;
    for (size_t i = 0; i < fields->count; i++) {
        if (proxy_passes_field(fields, &fields->items[i]))
            kept[count++] = fields->items[i];
    }
    return (struct http_fields){.items = kept, .count = count};
}

static void begin_log(struct carried *carried, unsigned status)
{
    static const struct http_field field = {.name = "content-type", .value = "text/plain"};
    if (status < 200 || status > 206) {
        carried->refused = status;
        return;
    }
    carried->has_begun = true;
    http_exchange_begin(carried->exchange, status,
                        &(const struct http_fields){.items = &field, .count = 1});
}

static void on_response(void *ctx, unsigned status, const struct http_fields *fields)
{
    struct carried *carried = ctx;
    if (carried->target->log_of) {
        begin_log(carried, status);
        return;
    }
    const struct http_fields kept = passed_fields(fields, http_exchange_arena(carried->exchange));
    carried->has_begun = true;
    http_exchange_begin(carried->exchange, status, &kept);
}

static void on_data(void *ctx, struct str bytes)
{
    struct carried *carried = ctx;
    if (carried->refused != 0) {
        bytes.len = min_size(bytes.len, REFUSAL_MAX_BYTES - carried->refusal.len);
        buf_add_str(&carried->refusal, bytes);
        return;
    }
    http_exchange_write(carried->exchange, bytes);
    if (!carried->is_paused && http_exchange_backlog(carried->exchange) > BACKLOG_MAX_BYTES) {
        carried->is_paused = true;
        http_call_pause(carried->call, true);
    }
}

static void on_drain(void *ctx)
{
    struct carried *carried = ctx;
    if (!carried->is_paused)
        return;
    carried->is_paused = false;
    http_call_pause(carried->call, false);
}

static void on_end(void *ctx, const struct http_call_end *end)
{
    struct carried *carried = ctx;
    if (!end->err && carried->refused != 0)
        reply_refusal(carried);
    else if (!end->err)
        http_exchange_finish(carried->exchange);
    else if (carried->has_begun)
        http_exchange_abort(carried->exchange);
    else
        reply_unreachable(carried, end->err->message);
    carried_end(carried);
}

static void on_gone(void *ctx)
{
    struct carried *carried = ctx;
    http_call_cancel(carried->call);
    carried_end(carried);
}

struct error *proxy_client_new(struct node_proxy *proxy, const struct proxy_target *target,
                               struct http_client **ret)
{
    struct http_client_options options = {.host = target->host, .port = target->port};
    struct error *err = tls_of(proxy, target, &options.tls);
    return err ? err : http_client_new(proxy->loop, proxy->pool, &options, ret);
}

struct loop *proxy_loop(const struct node_proxy *proxy)
{
    return proxy->loop;
}

static struct error *carry(struct node_proxy *proxy, const struct proxy_target *target,
                           struct http_exchange *exchange)
{
    static const struct http_call_events events = {
        .on_response = on_response, .on_data = on_data, .on_end = on_end};
    const struct http_request *request = http_exchange_request(exchange);
    struct http_client *client = NULL;
    struct error *err = proxy_client_new(proxy, target, &client);
    if (err)
        return err;
    struct http_call_options call = {.method = request->method, .target = target->target};
    if (!target->log_of) {
        call.fields = passed_fields(&request->fields, http_exchange_arena(exchange));
        call.body = request->body;
    }
    struct carried *carried = xcalloc(1, sizeof(*carried));
    carried->proxy = proxy;
    carried->exchange = exchange;
    carried->target = target;
    carried->client = client;
    buf_init(&carried->refusal, REFUSAL_MAX_BYTES);
    DL_APPEND(proxy->carried, carried);
    http_exchange_on_gone(exchange, on_gone, carried);
    http_exchange_on_drain(exchange, BACKLOG_MAX_BYTES, on_drain, carried);
    carried->call = http_call_start(client, &call, &events, carried);
    return NULL;
}

static struct error *join(struct node_proxy *proxy, const struct proxy_target *target,
                          struct http_exchange *exchange)
{
    struct tls_context *tls = NULL;
    struct error *err = tls_of(proxy, target, &tls);
    return err ? err : proxy_pipe_begin(&proxy->pipes, target, tls, exchange);
}

void proxy_begin(struct node_proxy *proxy, const struct proxy_target *target,
                 struct http_exchange *exchange)
{
    bool is_upgrade = http_exchange_request(exchange)->is_upgrade && !target->log_of;
    if (target->is_stream && !is_upgrade) {
        reply_failure(exchange, 400, "Upgrade request required");
        return;
    }
    if (is_upgrade && proxy->pipes.count >= PIPES_MAX) {
        reply_failure(exchange, 429, "too many streams at once, please try again later");
        return;
    }
    AUTO(error)
    struct error *err = is_upgrade ? join(proxy, target, exchange) : carry(proxy, target, exchange);
    if (err)
        reply_failure(exchange, 500, err->message);
}

void node_proxy_free(struct node_proxy *proxy)
{
    if (!proxy)
        return;
    struct carried *carried, *next;
    DL_FOREACH_SAFE(proxy->carried, carried, next) {
        http_call_cancel(carried->call);
        http_exchange_on_gone(carried->exchange, NULL, NULL);
        http_exchange_abort(carried->exchange);
        /* NOLINTNEXTLINE(clang-analyzer-*): utlist unlinks it, unseen */
        DL_DELETE(proxy->carried, carried);
        carried_free(carried);
    }
    upgrade_pipe_free_all(&proxy->pipes);
    tls_context_unref(proxy->node_tls);
    tls_context_unref(proxy->pod_tls);
    free(proxy);
}
