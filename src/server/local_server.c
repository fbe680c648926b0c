/*
 * A request comes whole from the HTTP server; on_request() checks who asks and how, the route table
 * says who answers. What the pod room knows is made and sent in one go; the rest belongs to others:
 * logs to the log server, commands to streaming, figures to their collector.
 */
#include "base/fd.h"
#include "base/log.h"
#include "server/local_internal.h"
#include "server/pod_list.h"
#include "server/query.h"
#include "server/reply.h"
#include "server/streaming.h"
#include "stats/summary_collector.h"
#include "stats/summary_json.h"

#include <unistd.h>

#define PATIENCE_NS (30 * NS_PER_SEC)

static const struct http_server_options http_options = {
    .max_connections = 128,
    .max_header_bytes = 2 * HTTP_TARGET_MAX_BYTES, /* which may hold the words of a command */
    .max_body_bytes = 4 * KiB,                     /* no route reads one */
    .header_timeout_ns = PATIENCE_NS,
    .body_timeout_ns = PATIENCE_NS,
    .idle_timeout_ns = PATIENCE_NS,
    .write_timeout_ns = PATIENCE_NS,
};

/* --- answers --- */

void local_reply_error(struct http_exchange *exchange, struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    AUTO(buf) struct buf content;
    buf_init(&content, LOCAL_REPLY_MAX_BYTES);
    int code = local_render_error(err, &content);
    reply_json(exchange, (unsigned)code, buf_str(&content));
}

static void finish_json(struct http_exchange *exchange, const struct buf *content)
{
    struct error *err = buf_error(content, "the reply");
    if (err)
        local_reply_error(exchange, err);
    else
        reply_json(exchange, 200, buf_str(content));
}

static void reply_no_path(struct http_exchange *exchange, const struct http_target *target)
{
    local_reply_error(
        exchange, error_new(ERROR_NOT_FOUND, "the local socket has no path %s", target->raw_path));
}

static void answer_pods(struct local_server *server, struct http_exchange *exchange,
                        const struct http_target *target)
{
    AUTO(buf) struct buf content;
    buf_init(&content, LOCAL_REPLY_MAX_BYTES);
    unsigned flags = POD_LIST_LOCAL | (query_flag(target, "all") ? POD_LIST_ORPHANS : 0);
    pod_list_write(server->pods, flags, loop_now_wall_ns(server->loop), &content);
    finish_json(exchange, &content);
}

static void answer_status(struct local_server *server, struct http_exchange *exchange,
                          UNUSED const struct http_target *target)
{
    AUTO(buf) struct buf content;
    buf_init(&content, LOCAL_REPLY_MAX_BYTES);
    local_render_status(server, &content);
    finish_json(exchange, &content);
}

/* What is told of the pods that the query chooses. */
static void answer_chosen(struct local_server *server, struct http_exchange *exchange,
                          const struct http_target *target, local_render *render)
{
    AUTO(buf) struct buf content;
    buf_init(&content, LOCAL_REPLY_MAX_BYTES);
    render(server, http_target_param(target, "namespace"), http_target_param(target, "pod"),
           &content);
    finish_json(exchange, &content);
}

static void answer_events(struct local_server *server, struct http_exchange *exchange,
                          const struct http_target *target)
{
    answer_chosen(server, exchange, target, local_render_events);
}

static void answer_why(struct local_server *server, struct http_exchange *exchange,
                       const struct http_target *target)
{
    answer_chosen(server, exchange, target, local_render_why);
}

/* /logs/<namespace>/<pod>[/<container>] */
static void answer_logs(struct local_server *server, struct http_exchange *exchange,
                        const struct http_target *target)
{
    const struct log_name name = {.namespace = target->segments[1],
                                  .pod = target->segments[2],
                                  .container =
                                      target->segment_count > 3 ? target->segments[3] : ""};
    log_server_serve(server->logs, exchange, &name, LOG_FORM_LOCAL);
}

/* --- commands: /exec/<namespace>/<pod>/<container>, /attach/… --- */

typedef void serve_stream(struct streaming *streaming, struct http_exchange *exchange,
                          const struct streaming_params *params, const struct http_fields *fields);

static void reply_not_yet(struct http_exchange *exchange)
{
    local_reply_error(exchange, error_new(ERROR_UNAVAILABLE, "the node agent is still starting"));
}

static void answer_stream(struct local_server *server, struct http_exchange *exchange,
                          const struct http_target *target, serve_stream *serve)
{
    const struct streaming_params params = {.namespace_ = target->segments[1],
                                            .pod = target->segments[2],
                                            .container = target->segments[3]};
    if (server->engines.streaming)
        serve(server->engines.streaming, exchange, &params,
              &http_exchange_request(exchange)->fields);
    else
        reply_not_yet(exchange);
}

static void answer_exec(struct local_server *server, struct http_exchange *exchange,
                        const struct http_target *target)
{
    answer_stream(server, exchange, target, streaming_exec);
}

static void answer_attach(struct local_server *server, struct http_exchange *exchange,
                          const struct http_target *target)
{
    answer_stream(server, exchange, target, streaming_attach);
}

/* --- figures: /stats/summary --- */

/* A request that waits, in its exchange's arena. */
struct summary_wait {
    struct http_exchange *exchange;
    struct summary_request *request;
};

static void on_summary(void *ctx, const struct summary *summary, struct error *err_owned)
{
    const struct summary_wait *wait = ctx;
    AUTO(buf) struct buf content;
    buf_init(&content, LOCAL_REPLY_MAX_BYTES);
    http_exchange_on_gone(wait->exchange, NULL, NULL);
    if (err_owned) {
        local_reply_error(wait->exchange, err_owned);
        return;
    }
    summary_write_json(summary, &content);
    finish_json(wait->exchange, &content);
}

static void on_summary_gone(void *ctx)
{
    const struct summary_wait *wait = ctx;
    summary_collect_cancel(wait->request);
}

static void answer_stats(struct local_server *server, struct http_exchange *exchange,
                         const struct http_target *target)
{
    if (!text_eq(target->segments[1], "summary")) {
        reply_no_path(exchange, target);
        return;
    }
    if (!server->engines.summaries) {
        reply_not_yet(exchange);
        return;
    }
    enum summary_scope scope =
        query_flag(target, "only_cpu_and_memory") ? SUMMARY_CPU_AND_MEMORY : SUMMARY_FULL;
    struct summary_wait *wait = arena_calloc(http_exchange_arena(exchange), 1, sizeof(*wait));
    wait->exchange = exchange;
    wait->request = summary_collect_start(server->engines.summaries, scope, on_summary, wait);
    http_exchange_on_gone(exchange, on_summary_gone, wait);
}

static const struct route {
    const char *root;                  /* the first segment */
    size_t min_segments, max_segments; /* with it */
    void (*answer)(struct local_server *server, struct http_exchange *exchange,
                   const struct http_target *target);
} routes[] = {
    {"pods", 1, 1, answer_pods},   {"status", 1, 1, answer_status}, {"events", 1, 1, answer_events},
    {"logs", 3, 4, answer_logs},   {"exec", 4, 4, answer_exec},     {"attach", 4, 4, answer_attach},
    {"stats", 2, 2, answer_stats}, {"why", 1, 1, answer_why},
};

/* --- requests --- */

/* Root, and whom the agent itself runs as. */
static bool is_trusted(const struct http_request *request)
{
    return request->has_peer_uid && (request->peer_uid == 0 || request->peer_uid == geteuid());
}

static struct error *check_request(const struct http_request *request)
{
    if (!is_trusted(request))
        return error_new(ERROR_PERMISSION_DENIED, "only root may use the local socket");
    if (!text_eq(request->method, "GET"))
        return error_new(ERROR_UNIMPLEMENTED, "the local socket takes nothing but GET");
    return NULL;
}

static const struct route *find_route(const struct http_target *target)
{
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        if (target->segment_count >= routes[i].min_segments &&
            target->segment_count <= routes[i].max_segments &&
            text_eq(target->segments[0], routes[i].root))
            return &routes[i];
    }
    return NULL;
}

static void on_request(void *ctx, struct http_exchange *exchange)
{
    const struct http_request *request = http_exchange_request(exchange);
    const struct route *route = find_route(&request->target);
    struct error *err = check_request(request);
    if (!err && route) {
        route->answer(ctx, exchange, &request->target);
        return;
    }
    if (err)
        local_reply_error(exchange, err);
    else
        reply_no_path(exchange, &request->target);
}

/* --- life --- */

static struct error *listen_http(struct local_server *server)
{
    int fd = -1;
    struct error *err = local_socket_listen(server->socket_path, &fd, &server->socket_inode);
    if (err)
        return err;
    server->http = http_server_new(server->loop, &http_options, on_request, server);
    http_server_listen_fd(server->http, fd, NULL);
    return NULL;
}

struct error *local_server_new(struct loop *loop, struct work_pool *pool, struct pods *pods,
                               const struct file_source *source,
                               const struct local_server_options *options,
                               struct local_server **ret)
{
    AUTO(local_server) struct local_server *server = xcalloc(1, sizeof(*server));
    *server = (struct local_server){.loop = loop,
                                    .pods = pods,
                                    .source = source,
                                    .socket_path = xstrdup(options->socket_path),
                                    .node_name = xstrdup(options->node_name),
                                    .version = xstrdup(options->version),
                                    .runtime_name = xstrdup(options->runtime_name),
                                    .runtime_version = xstrdup(options->runtime_version),
                                    .started_wall_ns = options->started_wall_ns};
    struct error *err = listen_http(server);
    if (err)
        return err;
    const struct log_server_options logs = {.pod_logs_dir = options->pod_logs_dir,
                                            .has_split_streams = true,
                                            .max_streams = LOCAL_MAX_LOG_STREAMS};
    server->logs = log_server_new(loop, pool, pods, &logs);
    log_info("Serving the local API", LOG_STR("socket", server->socket_path));
    *ret = TAKE(server);
    return NULL;
}

void local_server_free(struct local_server *server)
{
    if (!server)
        return;
    log_server_free(server->logs);
    if (server->http) {
        http_server_free(server->http);
        local_socket_remove(server->socket_path, server->socket_inode);
    }
    free(server->socket_path);
    free(server->node_name);
    free(server->version);
    free(server->runtime_name);
    free(server->runtime_version);
    free(server);
}

void local_server_set_runtime(struct local_server *server, const char *name, const char *version)
{
    free(server->runtime_name);
    free(server->runtime_version);
    server->runtime_name = xstrdup(name);
    server->runtime_version = xstrdup(version);
}

void local_server_set_engines(struct local_server *server,
                              const struct local_server_engines *engines)
{
    server->engines = *engines;
}
