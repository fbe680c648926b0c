/*
 * One request at a time per connection: libevent parses it, dispatch() checks who asks and how, the
 * route table says who answers. All answers but logs are made and sent in one go; log streams live
 * on their own (log_stream.c) and are ended with the server.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/log.h"
#include "server/local_internal.h"
#include "server/pod_list.h"
#include "server/route.h"

#define MAX_HEADER_BYTES (16 * KiB)
#define MAX_BODY_BYTES (4 * KiB) /* no route reads one */
#define IDLE_TIMEOUT_SECONDS 30

struct route {
    const char *pattern;
    struct error *(*answer)(struct local_server *server, struct evhttp_request *request,
                            const char *const params[ROUTE_MAX_PARAMS], const char *query);
};

/* --- answers --- */

static void release_text(UNUSED const void *data, UNUSED size_t len, void *text)
{
    free(text);
}

void local_reply_json(struct evhttp_request *request, int code, struct buf *content)
{
    size_t len = content->len;
    char *text = buf_take(content);
    struct evbuffer *body = evbuffer_new();
    if (!body || evbuffer_add_reference(body, text, len, release_text, text) < 0)
        base_die("out of memory");
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
                      "application/json");
    evhttp_send_reply(request, code, NULL, body);
    evbuffer_free(body);
}

void local_reply_error(struct evhttp_request *request, struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    AUTO(buf) struct buf content;
    buf_init(&content, LOCAL_REPLY_MAX_BYTES);
    int code = local_render_error(err, &content);
    local_reply_json(request, code, &content);
}

static struct error *finish_json(struct evhttp_request *request, struct buf *content)
{
    struct error *err = buf_error(content, "the reply");
    if (!err)
        local_reply_json(request, HTTP_OK, content);
    return err;
}

static struct error *answer_pods(struct local_server *server, struct evhttp_request *request,
                                 UNUSED const char *const params[ROUTE_MAX_PARAMS],
                                 const char *query)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *all;
    if (!route_query_get(query, "all", arena, &all))
        return error_new(ERROR_INVALID_ARGUMENT, "Unable to decode query.");
    AUTO(buf) struct buf content;
    buf_init(&content, LOCAL_REPLY_MAX_BYTES);
    unsigned flags = POD_LIST_LOCAL | (route_query_bool(all) ? POD_LIST_ORPHANS : 0);
    pod_list_write(server->pods, flags, loop_now_wall_ns(server->loop), &content);
    return finish_json(request, &content);
}

static struct error *answer_status(struct local_server *server, struct evhttp_request *request,
                                   UNUSED const char *const params[ROUTE_MAX_PARAMS],
                                   UNUSED const char *query)
{
    AUTO(buf) struct buf content;
    buf_init(&content, LOCAL_REPLY_MAX_BYTES);
    local_render_status(server, &content);
    return finish_json(request, &content);
}

static struct error *answer_events(struct local_server *server, struct evhttp_request *request,
                                   UNUSED const char *const params[ROUTE_MAX_PARAMS],
                                   const char *query)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *namespace, *pod;
    if (!route_query_get(query, "namespace", arena, &namespace) ||
        !route_query_get(query, "pod", arena, &pod))
        return error_new(ERROR_INVALID_ARGUMENT, "Unable to decode query.");
    AUTO(buf) struct buf content;
    buf_init(&content, LOCAL_REPLY_MAX_BYTES);
    local_render_events(server, namespace, pod, &content);
    return finish_json(request, &content);
}

static const struct route routes[] = {
    {"/pods", answer_pods},
    {"/status", answer_status},
    {"/events", answer_events},
    {"/logs/:namespace/:pod/:container", log_route_start},
    {"/logs/:namespace/:pod", log_route_start},
};

/* --- requests --- */

static bool is_trusted(struct evhttp_request *request)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(request);
    return local_socket_is_trusted(
        bufferevent_getfd(evhttp_connection_get_bufferevent(connection)));
}

static struct error *dispatch(struct local_server *server, struct evhttp_request *request)
{
    if (!is_trusted(request))
        return error_new(ERROR_PERMISSION_DENIED, "only root may use the local socket");
    if (evhttp_request_get_command(request) != EVHTTP_REQ_GET)
        return error_new(ERROR_UNIMPLEMENTED, "the local socket is read-only: use GET");
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
    const char *query = uri ? evhttp_uri_get_query(uri) : NULL;
    if (query && strlen(query) > ROUTE_MAX_QUERY_BYTES)
        return error_new(ERROR_INVALID_ARGUMENT, "Unable to decode query.");

    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; path && i < ARRAY_SIZE(routes); i++) {
        const char *params[ROUTE_MAX_PARAMS] = {"", "", ""};
        if (route_match(routes[i].pattern, str_from(path), arena, params))
            return routes[i].answer(server, request, params, query);
    }
    return error_new(ERROR_NOT_FOUND, "the local socket has no path %s", path ? path : "");
}

static void on_request(struct evhttp_request *request, void *ctx)
{
    struct error *err = dispatch(ctx, request);
    if (err)
        local_reply_error(request, err);
}

/* --- pods by name --- */

struct search {
    const char *namespace, *name, *uid; /* NULL: any */
    struct pod_view *found;
    bool is_found;
};

/* Of two pods with one name the one that stays is meant, not the one that still ends. */
static void search_pod(void *ctx, const struct pod_view *view)
{
    struct search *search = ctx;
    if (!view->pod || (search->is_found && view->terminating))
        return;
    if ((search->uid && !text_eq(search->uid, view->uid)) ||
        (search->namespace && !text_eq(search->namespace, view->namespace)) ||
        (search->name && !text_eq(search->name, view->name)))
        return;
    *search->found = *view;
    search->is_found = true;
}

bool local_find_pod(const struct pods *pods, const char *namespace, const char *name,
                    struct pod_view *ret)
{
    struct search search = {.namespace = namespace, .name = name, .found = ret};
    pods_visit(pods, search_pod, &search);
    return search.is_found;
}

bool local_find_pod_uid(const struct pods *pods, const char *uid, struct pod_view *ret)
{
    struct search search = {.uid = uid, .found = ret};
    pods_visit(pods, search_pod, &search);
    return search.is_found;
}

/* --- life --- */

static struct error *listen_http(struct local_server *server)
{
    AUTO(fd) int fd = -1;
    struct error *err = local_socket_listen(server->socket_path, &fd, &server->socket_inode);
    if (err)
        return err;
    struct event_base *base = loop_event_base(server->loop);
    server->http = evhttp_new(base);
    struct evconnlistener *listener =
        evconnlistener_new(base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (!server->http || !listener || !evhttp_bind_listener(server->http, listener))
        base_die("out of memory");
    fd = -1; /* the listener owns it, and the HTTP server the listener */
    evhttp_set_max_headers_size(server->http, MAX_HEADER_BYTES);
    evhttp_set_max_body_size(server->http, MAX_BODY_BYTES);
    evhttp_set_timeout(server->http, IDLE_TIMEOUT_SECONDS);
    /* All of them come here, so that the answer is ours. */
    evhttp_set_allowed_methods(server->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
                                                 EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                                                 EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
    evhttp_set_gencb(server->http, on_request, server);
    return NULL;
}

struct error *local_server_new(struct loop *loop, struct work_pool *pool, struct pods *pods,
                               const struct file_source *source,
                               const struct local_server_options *options,
                               struct local_server **ret)
{
    AUTO(local_server) struct local_server *server = xcalloc(1, sizeof(*server));
    *server = (struct local_server){.loop = loop,
                                    .pool = pool,
                                    .pods = pods,
                                    .source = source,
                                    .socket_path = xstrdup(options->socket_path),
                                    .node_name = xstrdup(options->node_name),
                                    .version = xstrdup(options->version),
                                    .runtime_name = xstrdup(options->runtime_name),
                                    .runtime_version = xstrdup(options->runtime_version),
                                    .pod_logs_dir = xstrdup(options->pod_logs_dir),
                                    .started_wall_ns = options->started_wall_ns};
    struct error *err = listen_http(server);
    if (err)
        return err;
    log_info("Serving the local API", LOG_STR("socket", server->socket_path));
    *ret = TAKE(server);
    return NULL;
}

void local_server_free(struct local_server *server)
{
    if (!server)
        return;
    log_stream_free_all(server);
    if (server->http) {
        evhttp_free(TAKE(server->http));
        local_socket_remove(server->socket_path, server->socket_inode);
    }
    free(server->socket_path);
    free(server->node_name);
    free(server->version);
    free(server->runtime_name);
    free(server->runtime_version);
    free(server->pod_logs_dir);
    free(server);
}

void local_server_set_runtime(struct local_server *server, const char *name, const char *version)
{
    free(server->runtime_name);
    free(server->runtime_version);
    server->runtime_name = xstrdup(name);
    server->runtime_version = xstrdup(version);
}
