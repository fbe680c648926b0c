/*
 * The way of a request: it is counted; its path finds an endpoint, a redirect or nothing, which is
 * said to anybody; then the guard judges who asks; then what does not fit is refused, and the
 * handler answers. On the read-only and health ports there is no guard.
 */
#include "server/node_server_internal.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/time.h"
#include "kube/jitter.h"
#include "server/guard.h"
#include "server/reply.h"

#define HEALTHZ_RETRY_NS (5 * NS_PER_SEC) /* spec server.md §1.1 */
#define ACCESS_LOG_LEVEL 3
#define MAX_CONNECTIONS 1024
#define HEALTHZ_MAX_CONNECTIONS 64
/* No request of this API has a body to speak of, and it arrives before anybody is known. Large
 * heads are charged to the same account (wire/http_server_exchange.c), hence more than bodies need.
 */
#define BODY_MAX_BYTES (256 * KiB)

/* --- figures --- */

static const char *const request_labels[] = {"long_running", "method", "path", "server_type"};

static const struct metric_info requests_info = {
    .name = "kubelet_http_requests_total",
    .help = "[ALPHA] Number of the http requests received since the server started",
    .type = METRIC_COUNTER,
    .labels = {"long_running", "method", "path", "server_type"}};
static const struct metric_info durations_info = {
    .name = "kubelet_http_requests_duration_seconds",
    .help = "[ALPHA] Duration in seconds to serve http requests",
    .type = METRIC_HISTOGRAM,
    .labels = {"long_running", "method", "path", "server_type"},
    .bounds = metrics_default_bounds,
    .bound_count = METRICS_DEFAULT_BOUND_COUNT};
static const struct metric_info in_flight_info = {
    .name = "kubelet_http_inflight_requests",
    .help = "[ALPHA] Number of the inflight http requests",
    .type = METRIC_GAUGE,
    .labels = {"long_running", "method", "path", "server_type"}};

static const char *method_label(const char *method)
{
    static const char *const known[] = {"OPTIONS", "GET",    "HEAD",  "POST",
                                        "PUT",     "DELETE", "TRACE", "CONNECT"};
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (text_eq(known[i], method))
            return known[i];
    }
    return "other";
}

static void count(struct node_request *request, struct metric_family *family,
                  void (*with)(struct metric_family *family, double value,
                               const char *const *values),
                  double value)
{
    const char *const values[ARRAY_SIZE(request_labels)] = {
        endpoint_is_long_running(request->bucket) ? "true" : "false",
        method_label(request->http->method), request->bucket, request->listener->type};
    if (request->listener->type)
        with(family, value, values);
}

/* As it was asked for. */
static const char *uri_of(const struct node_request *request)
{
    const struct http_target *target = &request->http->target;
    if (target->raw_query[0] == '\0')
        return target->raw_path;
    return arena_printf(request->arena, "%s?%s", target->raw_path, target->raw_query);
}

static void on_end(void *ctx, unsigned status)
{
    struct node_request *request = ctx;
    struct node_server *server = request->listener->server;
    int64_t took_ns = time_mono_ns() - request->started_ns; /* most end in the turn they began in */
    count(request, server->metrics.in_flight, metric_add_values, -1);
    count(request, server->metrics.durations, metric_observe_values,
          (double)took_ns / (double)NS_PER_SEC);
    const char *agent = http_fields_get(&request->http->fields, "user-agent");
    log_v(ACCESS_LOG_LEVEL, "HTTP", LOG_STR("verb", request->http->method),
          LOG_STR("URI", uri_of(request)), LOG_INT("latencyMicroseconds", took_ns / NS_PER_US),
          LOG_STR("userAgent", agent ? agent : ""), LOG_STR("srcIP", request->http->remote_address),
          LOG_INT("resp", status));
    if (server->options.on_work && request->listener->port != NODE_PORT_HEALTHZ)
        server->options.on_work(server->options.ctx);
}

/* --- waiting --- */

static void on_gone(void *ctx)
{
    struct node_request *request = ctx;
    void (*cancel)(void *wait) = request->cancel;
    void *wait = request->wait;
    node_request_wait(request, NULL, NULL);
    cancel(wait);
}

void node_request_wait(struct node_request *request, void *wait, void (*cancel)(void *wait))
{
    struct node_server *server = request->listener->server;
    if (request->wait)
        DL_DELETE(server->waiting, request);
    if (wait)
        DL_APPEND(server->waiting, request);
    request->wait = wait;
    request->cancel = cancel;
    http_exchange_on_gone(request->exchange, wait ? on_gone : NULL, request);
}

/* --- the way --- */

static void redirect(const struct node_request *request)
{
    const char *location = request->match.location;
    const struct http_field items[] = {{"content-type", "text/html; charset=utf-8"},
                                       {"location", location}};
    bool has_body = text_eq(request->http->method, "GET") || text_eq(request->http->method, "HEAD");
    const char *page = "";
    if (has_body) {
        AUTO(buf) struct buf escaped;
        buf_init(&escaped, 8 * HTTP_TARGET_MAX_BYTES);
        http_escape_html(&escaped, str_from(location));
        page = arena_printf(request->arena, "<a href=\"%s\">Temporary Redirect</a>.\n\n",
                            buf_text(&escaped));
    }
    const struct http_fields fields = {.items = has_body ? items : items + 1,
                                       .count = has_body ? 2 : 1};
    http_exchange_reply(request->exchange, 307, &fields, str_from(page));
}

static void refuse_method(const struct node_request *request)
{
    const struct http_field items[] = {{"allow", request->match.allow},
                                       {"content-type", "text/plain; charset=utf-8"}};
    const struct http_fields fields = {.items = items, .count = ARRAY_SIZE(items)};
    http_exchange_reply(request->exchange, 405, &fields, STR_LITERAL("405: Method Not Allowed"));
}

/* Says to anybody what is no secret. False: who asks has to be known first. */
static bool answer_unguarded(const struct node_request *request)
{
    switch (request->match.outcome) {
    case ENDPOINT_UNKNOWN:
        reply_plain_error(request->exchange, 404, "404 page not found");
        return true;
    case ENDPOINT_REDIRECT:
        redirect(request);
        return true;
    case ENDPOINT_FOUND:
    case ENDPOINT_NO_ROUTE:
    case ENDPOINT_NO_METHOD:
    case ENDPOINT_NOT_ACCEPTABLE:
        break;
    }
    return false;
}

static void answer(struct node_request *request)
{
    switch (request->match.outcome) {
    case ENDPOINT_FOUND:
        node_handlers[request->match.endpoint](request->listener->server, request);
        break;
    case ENDPOINT_NO_METHOD:
        refuse_method(request);
        break;
    case ENDPOINT_NOT_ACCEPTABLE:
        reply_text(request->exchange, 406,
                   "406: Not Acceptable\n\nAvailable representations: application/json");
        break;
    case ENDPOINT_NO_ROUTE:
    case ENDPOINT_UNKNOWN:
    case ENDPOINT_REDIRECT:
        reply_text(request->exchange, 404, "404: Page Not Found");
        break;
    }
}

static void judge(struct node_request *request, const struct guard_verdict *verdict)
{
    if (verdict->status != 0)
        reply_text(request->exchange, verdict->status, verdict->text);
    else
        answer(request);
}

static void on_verdict(void *ctx, const struct guard_verdict *verdict)
{
    struct node_request *request = ctx;
    node_request_wait(request, NULL, NULL);
    judge(request, verdict);
}

static void cancel_guard(void *wait)
{
    guard_cancel(wait);
}

static void pass_guard(struct node_request *request)
{
    struct arena *arena = request->arena;
    struct guard_verdict verdict = {0};
    request->fields = guard_clean_fields(&request->http->fields, arena);
    struct guard_call *call = guard_start(request->listener->server->parts.guard, request->http,
                                          arena, &verdict, on_verdict, request);
    if (call)
        node_request_wait(request, call, cancel_guard);
    else
        judge(request, &verdict);
}

/* A connection that is taken over outlives its exchange, and of that the arena alone is left when
 * it is told to have ended. */
static const struct http_request *keep(struct http_exchange *exchange)
{
    struct arena *arena = http_exchange_arena(exchange);
    struct http_request *http =
        arena_memdup(arena, http_exchange_request(exchange), sizeof(struct http_request));
    http->remote_address = arena_strdup(arena, http->remote_address);
    return http;
}

static void on_request(void *ctx, struct http_exchange *exchange)
{
    struct node_listener *listener = ctx;
    struct node_server *server = listener->server;
    struct arena *arena = http_exchange_arena(exchange);
    struct node_request *request = arena_calloc(arena, 1, sizeof(*request));
    request->listener = listener;
    request->exchange = exchange;
    request->arena = arena;
    request->http = keep(exchange);
    request->fields = request->http->fields;
    request->bucket = endpoint_bucket(listener->endpoints, request->http->target.path);
    request->started_ns = time_mono_ns();
    count(request, server->metrics.requests, metric_add_values, 1);
    count(request, server->metrics.in_flight, metric_add_values, 1);
    http_exchange_on_end(exchange, on_end, request);

    endpoint_find(listener->endpoints, request->http, arena, &request->match);
    if (answer_unguarded(request))
        return;
    if (listener->port == NODE_PORT_MAIN)
        pass_guard(request);
    else
        answer(request);
}

/* --- listening --- */

static const struct port_row {
    const char *name; /* for messages */
    const char *type;
} port_rows[NODE_PORT_COUNT] = {
    {"port", "readwrite"}, {"readOnlyPort", "readonly"}, {"healthzPort", NULL}};

static struct error *listen_at(struct node_listener *listener, const char *address, int32_t port)
{
    struct node_server *server = listener->server;
    const struct http_server_options options = {
        .max_connections =
            listener->port == NODE_PORT_HEALTHZ ? HEALTHZ_MAX_CONNECTIONS : MAX_CONNECTIONS,
        .max_body_bytes = BODY_MAX_BYTES,
        .waits_for_tls = listener->port == NODE_PORT_MAIN};
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(tls_context) struct tls_context *tls = NULL;
    const char *bound = NULL;
    struct error *err = NULL;
    if (listener->port == NODE_PORT_MAIN) {
        const struct tls_options pending = {.is_certificate_pending = true, .alpn = "http/1.1"};
        err = tls_context_new_server(&pending, &tls);
    }
    if (err)
        return err;
    if (!listener->http)
        listener->http = http_server_new(server->parts.loop, &options, on_request, listener);
    const char *text =
        arena_printf(arena, strchr(address, ':') ? "[%s]:%d" : "%s:%d", address, (int)port);
    err = http_server_listen(listener->http, text, tls, arena, &bound);
    if (err)
        return error_wrap(err, "%s", port_rows[listener->port].name);
    log_info("Serving the node's API", LOG_STR("address", bound));
    return NULL;
}

static void listen_healthz(void *ctx)
{
    struct node_server *server = ctx;
    const struct config_server *config = server->options.config;
    AUTO(error)
    struct error *err = listen_at(&server->listeners[NODE_PORT_HEALTHZ],
                                  config->healthz_bind_address, config->healthz_port);
    if (!err)
        return;
    log_error("Could not serve healthz", LOG_ERR(err));
    loop_timer_start(server->healthz_retry, HEALTHZ_RETRY_NS);
}

static struct error *listen_all(struct node_server *server)
{
    const struct config_server *config = server->options.config;
    struct error *err = NULL;
    if (server->options.is_main_served)
        err = listen_at(&server->listeners[NODE_PORT_MAIN], config->address, config->port);
    if (!err && config->read_only_port > 0)
        err = listen_at(&server->listeners[NODE_PORT_READ_ONLY], config->address,
                        config->read_only_port);
    if (!err && config->healthz_port > 0)
        listen_healthz(server);
    return err;
}

/* --- life --- */

static void on_pod_changed(void *ctx, UNUSED const struct pod_view *view)
{
    node_pods_changed(ctx);
}

static void on_runtime(void *ctx)
{
    struct node_server *server = ctx;
    struct pods_summary summary;
    pods_summarize(server->parts.pods, &summary);
    if (server->is_runtime_ready && !summary.runtime_ready) {
        server->is_runtime_lost = true;
        server->runtime_lost_ns = loop_now_mono_ns(server->parts.loop);
    } else if (summary.runtime_ready) {
        server->is_runtime_lost = false;
    }
    server->is_runtime_ready = summary.runtime_ready;
}

static void make_metrics(struct node_server *server)
{
    struct metrics *metrics = server->parts.metrics;
    server->metrics.requests = metrics_family(metrics, &requests_info);
    server->metrics.durations = metrics_family(metrics, &durations_info);
    server->metrics.in_flight = metrics_family(metrics, &in_flight_info);
}

struct error *node_server_new(const struct node_server_parts *parts,
                              const struct node_server_options *options, struct node_server **ret)
{
    static const char *const delimiters[] = {":", ": ", "=", " "};
    AUTO(node_server) struct node_server *server = xcalloc(1, sizeof(*server));
    server->parts = *parts;
    server->options = *options;
    server->flagz_delimiter = delimiters[jitter_draw() % ARRAY_SIZE(delimiters)];
    for (unsigned i = 0; i < NODE_PORT_COUNT; i++) {
        enum endpoint_port endpoints = ENDPOINT_PORT_MAIN_NO_DEBUG;
        if (i == NODE_PORT_HEALTHZ)
            endpoints = ENDPOINT_PORT_HEALTHZ;
        else if (i == NODE_PORT_MAIN && options->config->enable_debugging_handlers)
            endpoints = ENDPOINT_PORT_MAIN;
        server->listeners[i] = (struct node_listener){.server = server,
                                                      .port = (enum node_port)i,
                                                      .endpoints = endpoints,
                                                      .type = port_rows[i].type};
    }
    server->healthz_retry = loop_timer_new(parts->loop, "healthz-listen", listen_healthz, server);
    make_metrics(server);
    node_health_init(server);
    node_pods_init(server);
    const struct pods_listener listener = {.on_change = on_pod_changed,
                                           .on_gone = on_pod_changed,
                                           .on_runtime = on_runtime,
                                           .ctx = server};
    pods_listen(parts->pods, &listener);
    on_runtime(server);
    struct error *err = listen_all(server);
    if (err)
        return err;
    *ret = TAKE(server);
    return NULL;
}

void node_server_free(struct node_server *server)
{
    if (!server)
        return;
    while (server->waiting)
        on_gone(server->waiting);
    for (size_t i = 0; i < NODE_PORT_COUNT; i++)
        http_server_free(server->listeners[i].http);
    pods_unlisten(server->parts.pods, server);
    loop_timer_free(server->healthz_retry);
    node_pods_done(server);
    node_health_done(server);
    free(server);
}

void node_server_set_tls(struct node_server *server, struct tls_context *tls)
{
    if (server->listeners[NODE_PORT_MAIN].http)
        http_server_set_tls(server->listeners[NODE_PORT_MAIN].http, tls);
}
