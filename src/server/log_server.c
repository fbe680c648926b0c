/*
 * From a request to a log: what is asked, of which pod, of which instance of its container, where
 * that log lies. The order of these questions and the words of their refusals are upstream's.
 */
#include "base/path.h"
#include "server/local_internal.h"
#include "server/log_internal.h"
#include "server/pod_lookup.h"
#include "server/reply.h"

/* pkg/kubelet/server/server.go: the write timeout of the node's own API. */
#define KUBELET_PATIENCE_NS (INT64_C(4) * 3600 * NS_PER_SEC)

/* --- forms --- */

static unsigned kubelet_status_of(const struct error *err)
{
    if (err->code == ERROR_NOT_FOUND)
        return 404;
    return err->code == ERROR_OUT_OF_RANGE ? 422 : 400;
}

static void kubelet_refuse(struct http_exchange *exchange, struct error *err_owned)
{
    if (error_is(err_owned, ERROR_RESOURCE_EXHAUSTED)) {
        reply_error(exchange, err_owned);
        return;
    }
    AUTO(error) struct error *err = err_owned;
    const char *text = err->message;
    bool is_about_query = err->code == ERROR_INVALID_ARGUMENT || err->code == ERROR_OUT_OF_RANGE;
    if (is_about_query) /* the one place where upstream answers in JSON, though not by its type */
        text = arena_printf(http_exchange_arena(exchange), "{\"message\": \"%s\"}", text);
    reply_text(exchange, kubelet_status_of(err), text);
}

/* Upstream has decided to send chunks by then, and so sends no type. */
static void kubelet_refuse_state(struct http_exchange *exchange, struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    http_exchange_begin(exchange, 400, NULL);
    http_exchange_write(exchange, str_from(err->message));
    http_exchange_finish(exchange);
}

static const struct http_field local_fields[] = {{"content-type", "text/plain; charset=utf-8"},
                                                 {"connection", "close"}};

static const struct log_form_rules forms[] = {
    [LOG_FORM_KUBELET] = {.commits_first = true,
                          .patience_ns = KUBELET_PATIENCE_NS,
                          .refuse = kubelet_refuse,
                          .refuse_state = kubelet_refuse_state},
    [LOG_FORM_LOCAL] = {.fields = {.items = local_fields, .count = ARRAY_SIZE(local_fields)},
                        .patience_ns = INT64_MAX, /* somebody may sit in front of a pager */
                        .refuse = local_reply_error,
                        .refuse_state = local_reply_error},
};

/* --- finding --- */

/* The log's place below the directory of pod logs, or NULL when it lies elsewhere. Borrowed from
 * @path. */
static const char *below(const char *path, const char *root)
{
    size_t len = strlen(root);
    while (len > 0 && root[len - 1] == '/')
        len--;
    if (strncmp(path, root, len) != 0 || path[len] != '/')
        return NULL;
    const char *relative = path + len;
    while (*relative == '/')
        relative++;
    return *relative != '\0' && !path_has_dotdot(relative) ? relative : NULL;
}

/* The parts of a request that are there. */
struct request {
    struct log_query query;
    struct pod_view view;
    const char *container;
};

static struct error *read_request(const struct log_server *server,
                                  const struct http_target *http_target,
                                  const struct log_name *name, enum log_form form,
                                  struct request *ret)
{
    struct error *err = log_query_parse(http_target, loop_now_wall_ns(server->loop), &ret->query);
    if (err)
        return err;
    if (!pod_lookup(server->pods, name->namespace, name->pod, &ret->view))
        return error_new(ERROR_NOT_FOUND, "pod \"%s\" does not exist", name->pod);
    ret->container = form == LOG_FORM_LOCAL ? log_container_or_first(ret->view.pod, name->container)
                                            : name->container;
    err = log_container_check(ret->view.pod, ret->container);
    if (!err)
        err = log_query_check_stream(&ret->query, server->has_split_streams);
    if (!err && server->n_streams >= server->max_streams)
        err = error_new(ERROR_RESOURCE_EXHAUSTED, "%zu logs are being read already",
                        server->max_streams);
    return err;
}

static struct error *start_stream(struct log_server *server, struct http_exchange *exchange,
                                  const struct request *request,
                                  const struct log_instance *instance,
                                  const struct log_form_rules *form)
{
    AUTO(free)
    char *path =
        pods_log_path(server->pods, request->view.uid, request->container, instance->before_newest);
    if (!path)
        return error_new(ERROR_FAILED_PRECONDITION, "unable to retrieve container logs for %s",
                         instance->container_id);
    struct log_stream_target target = {.path = below(path, server->pod_logs_dir),
                                       .uid = request->view.uid,
                                       .container = request->container,
                                       .container_id = instance->container_id,
                                       .query = request->query};
    if (!target.path)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "unable to retrieve container logs for %s: %s is not below %s",
                         instance->container_id, path, server->pod_logs_dir);
    target.query.follow = target.query.follow && instance->running;
    log_stream_start(server, exchange, &target, form);
    return NULL;
}

void log_server_serve(struct log_server *server, struct http_exchange *exchange,
                      const struct log_name *name, enum log_form form)
{
    const struct log_form_rules *rules = &forms[form];
    struct request request;
    struct error *err =
        read_request(server, &http_exchange_request(exchange)->target, name, form, &request);
    if (err) {
        rules->refuse(exchange, err);
        return;
    }
    struct log_instance instance;
    err = log_choose_instance(request.view.status, name->pod, request.container,
                              request.query.previous, &instance);
    if (err) {
        rules->refuse_state(exchange, err);
        return;
    }
    err = start_stream(server, exchange, &request, &instance, rules);
    if (!err)
        return;
    if (!rules->commits_first) {
        rules->refuse_state(exchange, err);
        return;
    }
    http_exchange_begin(exchange, 200, &rules->fields);
    http_exchange_write(exchange, str_from(err->message));
    http_exchange_finish(exchange);
    error_free(err);
}

/* --- life --- */

static void on_pod(void *ctx, const struct pod_view *view)
{
    log_stream_wake_pod(ctx, view->uid);
}

struct log_server *log_server_new(struct loop *loop, struct work_pool *pool, struct pods *pods,
                                  const struct log_server_options *options)
{
    struct log_server *server = xcalloc(1, sizeof(*server));
    *server = (struct log_server){.loop = loop,
                                  .pool = pool,
                                  .pods = pods,
                                  .pod_logs_dir = xstrdup(options->pod_logs_dir),
                                  .has_split_streams = options->has_split_streams,
                                  .max_streams = options->max_streams,
                                  .hub = inotify_hub_new(loop)};
    const struct pods_listener listener = {.on_change = on_pod, .on_gone = on_pod, .ctx = server};
    pods_listen(pods, &listener);
    return server;
}

void log_server_free(struct log_server *server)
{
    if (!server)
        return;
    pods_unlisten(server->pods, server);
    log_stream_abort_all(server);
    inotify_hub_free(server->hub);
    free(server->pod_logs_dir);
    free(server);
}

size_t log_server_stream_count(const struct log_server *server)
{
    return server->n_streams;
}
