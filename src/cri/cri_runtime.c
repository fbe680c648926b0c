/*
 * Three things share the runtime's connection: calls, the event stream (cri_events.c) and the
 * statuses that watches of processes ask for (exit_watch.c). Once there is a listener the
 * connection is kept: when the runtime restarts, it is found again without anybody calling, and the
 * listener is told that it may have missed something.
 */
#include "cri/cri_runtime.h"

#include "base/hash.h"
#include "base/log.h"
#include "cri/cri_events.h"
#include "cri/cri_methods.h"
#include "cri/cri_metrics.h"
#include "cri/exit_watch.h"

struct runtime_call {
    struct cri_runtime *runtime;
    struct runtime_call *prev, *next;
    enum runtime_method method;
    struct grpc_call *grpc;    /* NULL: a request that was not sent, see `refusal` */
    struct loop_timer *refuse; /* tells `refusal` in the next turn */
    struct error *refusal;
    char *subject;         /* never NULL */
    char *runtime_handler; /* of a sandbox to be made; else NULL */
    int64_t began_ns;      /* mono */
    int64_t extra_ns;
    runtime_on_reply *on_reply;
    void *ctx;
};

struct cri_runtime {
    struct pod_runtime base;
    struct loop *loop;
    struct grpc_channel *channels[CRI_SERVICE_COUNT];
    int64_t request_timeout_ns;
    struct runtime_call *calls; /* list head; the runtime owns every call */
    struct cri_metrics metrics;
    struct runtime_listener listener;
    struct cri_events *events; /* NULL before listen() */
    struct exit_watcher *watcher;
};

static struct cri_runtime *as_cri(struct pod_runtime *self)
{
    return CONTAINER_OF(self, struct cri_runtime, base);
}

/* --- calls --- */

static void call_free(struct runtime_call *call)
{
    DL_DELETE(call->runtime->calls, call);
    grpc_call_cancel(call->grpc);
    loop_timer_free(call->refuse);
    error_free(call->refusal);
    free(call->subject);
    free(call->runtime_handler);
    free(call);
}

static void count_call(const struct runtime_call *call, bool has_failed)
{
    const struct cri_metrics *metrics = &call->runtime->metrics;
    int64_t took_ns = loop_now_mono_ns(call->runtime->loop) - call->began_ns;
    cri_metrics_call(metrics, call->method, took_ns, has_failed);
    if (call->runtime_handler)
        cri_metrics_sandbox(metrics, call->runtime_handler, took_ns, has_failed);
}

/* The call is gone before its owner hears of it, who may start the next or free us all. */
static void finish(struct runtime_call *call, const ProtobufCMessage *reply,
                   struct error *err_owned)
{
    runtime_on_reply *on_reply = call->on_reply;
    void *ctx = call->ctx;
    count_call(call, err_owned != NULL);
    struct error *err = cri_method_error(call->method, call->subject, call->extra_ns, err_owned);
    call->grpc = NULL;
    call_free(call);
    on_reply(ctx, reply, err);
}

static void on_grpc_reply(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    struct runtime_call *call = ctx;
    cri_check *check = cri_method(call->method)->check;
    struct error *err = err_owned;
    if (reply && check)
        err = check(reply, call->subject);
    finish(call, err ? NULL : reply, err);
}

static void on_refuse_due(void *ctx)
{
    struct runtime_call *call = ctx;
    finish(call, NULL, TAKE(call->refusal));
}

static struct runtime_call *start_call(struct pod_runtime *self, enum runtime_method method_id,
                                       const ProtobufCMessage *request, int64_t extra_ns,
                                       runtime_on_reply *on_reply, void *ctx)
{
    struct cri_runtime *runtime = as_cri(self);
    const struct cri_method *method = cri_method(method_id);
    struct runtime_call *call = xcalloc(1, sizeof(*call));
    call->runtime = runtime;
    call->method = method_id;
    call->subject = method->subject ? method->subject(request) : NULL;
    if (!call->subject)
        call->subject = xstrdup("");
    if (method_id == RUNTIME_RUN_POD_SANDBOX)
        call->runtime_handler =
            xstrdup(((const Cri__RunPodSandboxRequest *)(const void *)request)->runtime_handler);
    call->began_ns = loop_now_mono_ns(runtime->loop);
    call->extra_ns = extra_ns;
    call->on_reply = on_reply;
    call->ctx = ctx;
    DL_APPEND(runtime->calls, call);

    call->refusal = cri_request_check(method_id, request);
    if (call->refusal) {
        call->refuse = loop_timer_new(runtime->loop, "cri call", on_refuse_due, call);
        loop_timer_start(call->refuse, -1);
        return call;
    }
    int64_t timeout_ns =
        cri_method_timeout_ns(method_id, request, runtime->request_timeout_ns, extra_ns);
    call->grpc = grpc_unary_start(runtime->channels[method->service], &method->grpc, request,
                                  timeout_ns, on_grpc_reply, call);
    return call;
}

static void cancel_call(UNUSED struct pod_runtime *self, struct runtime_call *call)
{
    if (call)
        call_free(call);
}

/* --- changes --- */

static void on_changed(void *ctx, const char *pod_uid, const char *container_id)
{
    struct cri_runtime *runtime = ctx;
    if (runtime->listener.on_changed)
        runtime->listener.on_changed(runtime->listener.ctx, pod_uid, container_id);
}

static void on_lost(void *ctx)
{
    struct cri_runtime *runtime = ctx;
    if (runtime->listener.on_lost)
        runtime->listener.on_lost(runtime->listener.ctx);
}

static void on_connected(void *ctx)
{
    struct cri_runtime *runtime = ctx;
    log_v(2, "Connected to the container runtime");
    exit_watcher_reconnected(runtime->watcher);
    if (runtime->events)
        cri_events_connected(runtime->events); /* last: its listener may free us */
}

static void on_disconnected(void *ctx, const struct error *cause)
{
    struct cri_runtime *runtime = ctx;
    log_warning("Lost the connection to the container runtime", LOG_ERR(cause));
    if (runtime->events)
        cri_events_disconnected(runtime->events);
    if (runtime->listener.on_disconnected)
        runtime->listener.on_disconnected(runtime->listener.ctx);
}

static void set_listener(struct pod_runtime *self, const struct runtime_listener *listener)
{
    struct cri_runtime *runtime = as_cri(self);
    runtime->listener = *listener;
    if (runtime->events)
        return;
    const struct runtime_listener own = {
        .on_changed = on_changed, .on_lost = on_lost, .ctx = runtime};
    struct grpc_channel *channel = runtime->channels[CRI_SERVICE_RUNTIME];
    runtime->events = cri_events_new(runtime->loop, channel, &own, &runtime->metrics);
    grpc_channel_keep_connected(channel);
    if (grpc_channel_is_connected(channel))
        cri_events_connected(runtime->events);
}

static void watch_exit(struct pod_runtime *self, const char *pod_uid, const char *container_id)
{
    exit_watcher_watch(as_cri(self)->watcher, pod_uid, container_id);
}

static void unwatch_exit(struct pod_runtime *self, const char *container_id)
{
    exit_watcher_unwatch(as_cri(self)->watcher, container_id);
}

static const struct pod_runtime_vtable vtable = {.call = start_call,
                                                 .cancel = cancel_call,
                                                 .listen = set_listener,
                                                 .watch_exit = watch_exit,
                                                 .unwatch_exit = unwatch_exit};

/* --- life --- */

struct error *cri_endpoint_path(const char *endpoint, char **ret_path)
{
    const char *path = endpoint;
    if (text_has_prefix(endpoint, "unix://"))
        path = endpoint + strlen("unix://");
    else if (text_has_prefix(endpoint, "unix:"))
        path = endpoint + strlen("unix:");
    /* What is left of any other scheme, of a host and of a relative path does not begin with a
     * slash. */
    if (path[0] != '/' || path[1] == '\0')
        return error_new(ERROR_INVALID_ARGUMENT, "only support unix socket endpoint");
    *ret_path = xstrdup(path);
    return NULL;
}

struct error *cri_runtime_new(struct loop *loop, const struct cri_runtime_options *options,
                              struct cri_runtime **ret)
{
    AUTO(free) char *runtime_path = NULL;
    AUTO(free) char *image_path = NULL;
    bool has_image_endpoint = options->image_endpoint && *options->image_endpoint;
    const char *image_endpoint =
        has_image_endpoint ? options->image_endpoint : options->runtime_endpoint;
    struct error *err = cri_endpoint_path(options->runtime_endpoint, &runtime_path);
    if (err)
        return err;
    err = cri_endpoint_path(image_endpoint, &image_path);
    if (err)
        return err;

    struct cri_runtime *runtime = xcalloc(1, sizeof(*runtime));
    runtime->base.vtable = &vtable;
    runtime->loop = loop;
    runtime->request_timeout_ns = options->request_timeout_ns;
    cri_metrics_init(&runtime->metrics, options->metrics);
    runtime->channels[CRI_SERVICE_RUNTIME] = grpc_channel_new(loop, runtime_path);
    runtime->channels[CRI_SERVICE_IMAGE] = grpc_channel_new(loop, image_path);
    const struct grpc_channel_listener listener = {
        .on_connected = on_connected, .on_disconnected = on_disconnected, .ctx = runtime};
    grpc_channel_listen(runtime->channels[CRI_SERVICE_RUNTIME], &listener);
    runtime->watcher = exit_watcher_new(loop, &runtime->base, on_changed, runtime);
    *ret = runtime;
    return NULL;
}

static void release(void *object)
{
    free(object);
}

void cri_runtime_free(struct cri_runtime *runtime)
{
    if (!runtime)
        return;
    runtime->listener = (struct runtime_listener){0};
    exit_watcher_free(runtime->watcher);
    runtime->watcher = NULL;
    cri_events_free(runtime->events);
    runtime->events = NULL;
    struct runtime_call *call, *next;
    DL_FOREACH_SAFE(runtime->calls, call, next)
        call_free(call);
    for (size_t i = 0; i < ARRAY_SIZE(runtime->channels); i++) {
        grpc_channel_free(runtime->channels[i]);
        runtime->channels[i] = NULL;
    }
    loop_defer_free(runtime->loop, release, runtime);
}

struct pod_runtime *cri_runtime_as_pod_runtime(struct cri_runtime *runtime)
{
    return &runtime->base;
}

bool cri_runtime_is_connected(const struct cri_runtime *runtime)
{
    return grpc_channel_is_connected(runtime->channels[CRI_SERVICE_RUNTIME]);
}
