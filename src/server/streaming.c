/*
 *     query ─► pod ─► container ─► room ─► the runtime is asked ─► joined, or answered
 *       └─ 400   └─ 404   └─ 500     └─ 429        └─ 404, 429, 500
 *
 * The order is a kubelet's: what is asked for without an upgrade is refused only when the runtime
 * has it ready. A client that goes away meanwhile takes its call of the runtime with it.
 */
#include "base/hash.h"
#include "cri/cri_methods.h"
#include "pod/cri_request.h"
#include "server/pod_lookup.h"
#include "server/reply.h"
#include "server/streaming_internal.h"
#include "wire/websocket.h"

#include <sys/resource.h>

#define SESSIONS_MAX 1024
#define DESCRIPTORS_PER_SESSION 8 /* two it has; the rest of the process needs more than those */
#define OUTPUT_MAX_BYTES (64 * MiB)

enum call_kind { CALL_EXEC, CALL_ATTACH, CALL_PORT_FORWARD, CALL_RUN };

static const struct call_type {
    enum runtime_method method;
    const char *subresource;
} call_types[] = {
    [CALL_EXEC] = {RUNTIME_EXEC, "exec"},
    [CALL_ATTACH] = {RUNTIME_ATTACH, "attach"},
    [CALL_PORT_FORWARD] = {RUNTIME_PORT_FORWARD, "portforward"},
    [CALL_RUN] = {RUNTIME_EXEC_SYNC, "run"},
};

struct streaming_call {
    struct streaming *streaming;
    struct http_exchange *exchange;
    enum call_kind kind;
    const struct http_fields *fields; /* these three in the exchange's arena */
    struct streaming_switches switches;
    struct streaming_command command;
    struct runtime_call *call;
    struct streaming_call *prev, *next;
};

/* --- what is asked for --- */

static void refuse(struct http_exchange *exchange, struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    if (err->code == ERROR_INVALID_ARGUMENT)
        reply_text(exchange, 400, err->message);
    else
        reply_error(exchange, TAKE(err));
}

static struct error *find_pod(const struct streaming *streaming,
                              const struct streaming_params *params, struct pod_view *ret)
{
    if (!pod_lookup(streaming->options.pods, params->namespace_, params->pod, ret))
        return error_new(ERROR_NOT_FOUND, "pod does not exist");
    return NULL;
}

/* A static pod has two UIDs: its own, and that of what the API shows of it. */
static bool is_meant(const struct streaming *streaming, const struct streaming_params *params,
                     const struct pod_view *view)
{
    const struct streaming_options *options = &streaming->options;
    if (!params->uid || !*params->uid || text_eq(params->uid, view->uid))
        return true;
    return options->api_uid && text_eq(params->uid, options->api_uid(options->ctx, view->uid));
}

static struct error *find_container(const struct streaming *streaming,
                                    const struct streaming_params *params, struct pod_view *view,
                                    const char **ret)
{
    struct error *err = find_pod(streaming, params, view);
    if (err)
        return err;
    *ret = is_meant(streaming, params, view)
               ? pods_running_container(streaming->options.pods, view->uid, params->container)
               : NULL;
    return *ret ? NULL
                : error_new(ERROR_INTERNAL, "container not found (\"%s\")", params->container);
}

/* Whether the spec gives @name a terminal; false when it does not name it. */
/* --- calls of the runtime --- */

static struct streaming_call *call_new(struct streaming *streaming, struct http_exchange *exchange,
                                       enum call_kind kind, const struct http_fields *fields)
{
    struct streaming_call *call = xcalloc(1, sizeof(*call));
    *call = (struct streaming_call){
        .streaming = streaming, .exchange = exchange, .kind = kind, .fields = fields};
    DL_APPEND(streaming->calls, call);
    streaming->call_count++;
    return call;
}

static void call_end(struct streaming_call *call)
{
    DL_DELETE(call->streaming->calls, call);
    call->streaming->call_count--;
    free(call);
}

static void on_gone(void *ctx)
{
    struct streaming_call *call = ctx;
    runtime_call_cancel(call->streaming->options.runtime, call->call);
    call_end(call);
}

static void call_start(struct streaming_call *call, const ProtobufCMessage *request,
                       runtime_on_reply *on_reply)
{
    http_exchange_on_gone(call->exchange, on_gone, call);
    call->call = runtime_call_start(call->streaming->options.runtime, call_types[call->kind].method,
                                    request, 0, on_reply, call);
}

/* The runtime has answered: the exchange is answered next, in whatever way. */
static struct streaming_call call_take(struct streaming_call *call)
{
    struct streaming_call taken = *call;
    http_exchange_on_gone(taken.exchange, NULL, NULL);
    call_end(call);
    return taken;
}

static struct error *check_room(const struct streaming *streaming)
{
    if (streaming_session_count(streaming) < streaming->options.max_sessions)
        return NULL;
    return error_new(ERROR_RESOURCE_EXHAUSTED,
                     "too many streams at once (%zu), please try again later",
                     streaming->options.max_sessions);
}

/* --- streams --- */

static const char *url_of(enum call_kind kind, const ProtobufCMessage *reply)
{
    const void *message = reply;
    if (kind == CALL_EXEC)
        return ((const Cri__ExecResponse *)message)->url;
    if (kind == CALL_ATTACH)
        return ((const Cri__AttachResponse *)message)->url;
    return ((const Cri__PortForwardResponse *)message)->url;
}

static struct error *choose_tls(struct streaming *streaming, struct streaming_session *session)
{
    static const struct tls_options options = {.alpn = "http/1.1"};
    if (!session->url.is_tls)
        return NULL;
    struct error *err = streaming->tls ? NULL : tls_context_new_client(&options, &streaming->tls);
    session->tls = streaming->tls;
    return err;
}

static struct error *prepare(struct streaming *streaming, const struct streaming_call *call,
                             const char *url, struct streaming_session **ret)
{
    struct arena *arena = http_exchange_arena(call->exchange);
    struct streaming_session *session = arena_calloc(arena, 1, sizeof(*session));
    *session = (struct streaming_session){.subresource = call_types[call->kind].subresource,
                                          .fields = call->fields,
                                          .switches = call->switches};
    struct error *err = streaming_url_parse(url, arena, &session->url);
    if (!err)
        err = choose_tls(streaming, session);
    *ret = session;
    return err;
}

static enum streaming_manner manner_of(const struct streaming *streaming,
                                       const struct http_fields *fields, bool is_port_forward)
{
    return streaming->options.passes_all_on ? STREAMING_PASSED_ON
                                            : streaming_manner_of(fields, is_port_forward);
}

static void join(const struct streaming_call *call, const struct streaming_session *session)
{
    struct streaming *streaming = call->streaming;
    enum streaming_manner manner =
        manner_of(streaming, session->fields, call->kind == CALL_PORT_FORWARD);
    if (manner != STREAMING_PASSED_ON)
        metric_add(streaming->websocket_requests, 1, session->subresource);
    switch (manner) {
    case STREAMING_PASSED_ON:
        streaming_pass(streaming, session, call->exchange);
        break;
    case STREAMING_CHANNELS:
        streaming_channels(streaming, session, call->exchange);
        break;
    case STREAMING_TUNNEL:
        streaming_tunnel(streaming, session, call->exchange);
        break;
    }
}

static void begin_stream(const struct streaming_call *call, const char *url)
{
    struct streaming_session *session = NULL;
    struct error *err = prepare(call->streaming, call, url, &session);
    if (err)
        reply_error(call->exchange, err);
    else if (!http_exchange_request(call->exchange)->is_upgrade)
        reply_plain_error(call->exchange, 500, "Upgrade request required");
    else
        join(call, session);
}

static void on_stream_ready(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    struct streaming_call call = call_take(ctx);
    if (err_owned)
        reply_error(call.exchange, cri_error_as_rpc(err_owned));
    else
        begin_stream(&call, url_of(call.kind, reply));
}

/* --- the handlers --- */

static char **borrow_words(const struct streaming_command *command, struct arena *arena)
{
    char **words = arena_calloc(arena, command->count + 1, sizeof(*words));
    for (size_t i = 0; i < command->count; i++)
        words[i] = cri_borrow(command->words[i]);
    return words;
}

static struct error *start_exec(struct streaming *streaming, struct http_exchange *exchange,
                                const struct streaming_params *params,
                                const struct http_fields *fields)
{
    const struct http_target *target = &http_exchange_request(exchange)->target;
    struct arena *arena = http_exchange_arena(exchange);
    struct streaming_switches switches;
    struct pod_view view;
    const char *id = NULL;
    struct error *err = streaming_parse_switches(target, &switches);
    if (!err)
        err = find_container(streaming, params, &view, &id);
    if (!err)
        err = check_room(streaming);
    if (err)
        return err;
    struct streaming_call *call = call_new(streaming, exchange, CALL_EXEC, fields);
    call->switches = switches;
    streaming_parse_command(target, arena, &call->command);
    Cri__ExecRequest request = CRI__EXEC_REQUEST__INIT;
    request.container_id = cri_borrow(id);
    request.n_cmd = call->command.count;
    request.cmd = borrow_words(&call->command, arena);
    request.tty = switches.tty;
    request.stdin = switches.input;
    request.stdout = switches.output;
    request.stderr = switches.error;
    call_start(call, &request.base, on_stream_ready);
    return NULL;
}

void streaming_exec(struct streaming *streaming, struct http_exchange *exchange,
                    const struct streaming_params *params, const struct http_fields *fields)
{
    struct error *err = start_exec(streaming, exchange, params, fields);
    if (err)
        refuse(exchange, err);
}

/* The process has a terminal or has none, whatever the client thinks: the spec says which. */
static struct error *find_attached(const struct streaming *streaming,
                                   const struct streaming_params *params,
                                   struct streaming_switches *switches, const char **ret_id)
{
    struct pod_view view;
    struct error *err = find_pod(streaming, params, &view);
    if (!err && is_meant(streaming, params, &view) &&
        !container_lookup(view.pod->spec, params->container, &switches->tty))
        err = error_new(ERROR_INTERNAL, "container %s not found in pod %s_%s", params->container,
                        view.name, view.namespace);
    return err ? err : find_container(streaming, params, &view, ret_id);
}

static struct error *start_attach(struct streaming *streaming, struct http_exchange *exchange,
                                  const struct streaming_params *params,
                                  const struct http_fields *fields)
{
    struct streaming_switches switches;
    const char *id = NULL;
    struct error *err =
        streaming_parse_switches(&http_exchange_request(exchange)->target, &switches);
    if (!err)
        err = find_attached(streaming, params, &switches, &id);
    if (!err)
        err = check_room(streaming);
    if (err)
        return err;
    struct streaming_call *call = call_new(streaming, exchange, CALL_ATTACH, fields);
    call->switches = switches;
    Cri__AttachRequest request = CRI__ATTACH_REQUEST__INIT;
    request.container_id = cri_borrow(id);
    request.tty = switches.tty;
    request.stdin = switches.input;
    request.stdout = switches.output;
    request.stderr = switches.error;
    call_start(call, &request.base, on_stream_ready);
    return NULL;
}

void streaming_attach(struct streaming *streaming, struct http_exchange *exchange,
                      const struct streaming_params *params, const struct http_fields *fields)
{
    struct error *err = start_attach(streaming, exchange, params, fields);
    if (err)
        refuse(exchange, err);
}

static struct error *find_sandbox(const struct streaming *streaming,
                                  const struct streaming_params *params, const char **ret)
{
    struct pod_view view;
    struct error *err = find_pod(streaming, params, &view);
    if (err)
        return err;
    if (!is_meant(streaming, params, &view))
        return error_new(ERROR_NOT_FOUND, "pod not found");
    *ret = pods_ready_sandbox(streaming->options.pods, view.uid);
    return *ret ? NULL
                : error_new(ERROR_INTERNAL, "pod not found (\"%s_%s\")", view.name, view.namespace);
}

static struct error *start_port_forward(struct streaming *streaming, struct http_exchange *exchange,
                                        const struct streaming_params *params,
                                        const struct http_fields *fields)
{
    struct streaming_ports ports = {0};
    const char *id = NULL;
    struct error *err = NULL;
    /* In SPDY each stream names its port, also in a tunnel. */
    if (websocket_is_asked_for(fields) && manner_of(streaming, fields, true) != STREAMING_TUNNEL)
        err = streaming_parse_ports(&http_exchange_request(exchange)->target,
                                    http_exchange_arena(exchange), &ports);
    if (!err)
        err = find_sandbox(streaming, params, &id);
    if (!err)
        err = check_room(streaming);
    if (err)
        return err;
    struct streaming_call *call = call_new(streaming, exchange, CALL_PORT_FORWARD, fields);
    Cri__PortForwardRequest request = CRI__PORT_FORWARD_REQUEST__INIT;
    request.pod_sandbox_id = cri_borrow(id);
    request.n_port = ports.count;
    request.port = ports.items;
    call_start(call, &request.base, on_stream_ready);
    return NULL;
}

void streaming_port_forward(struct streaming *streaming, struct http_exchange *exchange,
                            const struct streaming_params *params, const struct http_fields *fields)
{
    struct error *err = start_port_forward(streaming, exchange, params, fields);
    if (err)
        refuse(exchange, err);
}

/* --- run --- */

static void reply_output(const struct streaming_call *call, const Cri__ExecSyncResponse *reply)
{
    static const struct http_field json = {"content-type", "application/json"};
    static const struct http_field text = {"content-type", "text/plain; charset=utf-8"};
    AUTO(buf) struct buf body;
    buf_init(&body, OUTPUT_MAX_BYTES);
    if (reply->exit_code == 0) {
        buf_add(&body, reply->stdout.data, reply->stdout.len);
    } else {
        for (size_t i = 0; i < call->command.count; i++)
            buf_printf(&body, "%s%s", i == 0 ? "command '" : " ", call->command.words[i]);
        buf_printf(&body, "' exited with %d: ", reply->exit_code);
    }
    buf_add(&body, reply->stderr.data, reply->stderr.len);
    const struct http_fields fields = {.items = reply->exit_code == 0 ? &json : &text, .count = 1};
    http_exchange_reply(call->exchange, reply->exit_code == 0 ? 200 : 500, &fields, buf_str(&body));
}

static void on_run(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    struct streaming_call call = call_take(ctx);
    AUTO(error) struct error *err = err_owned ? cri_error_as_rpc(err_owned) : NULL;
    if (err)
        reply_text(call.exchange, 500, err->message);
    else
        reply_output(&call, (const Cri__ExecSyncResponse *)(const void *)reply);
}

static struct error *start_run(struct streaming *streaming, struct http_exchange *exchange,
                               const struct streaming_params *params)
{
    struct arena *arena = http_exchange_arena(exchange);
    struct pod_view view;
    const char *id = NULL;
    struct error *err = find_container(streaming, params, &view, &id);
    if (!err)
        err = check_room(streaming);
    if (err)
        return err;
    const char *cmd = http_target_param(&http_exchange_request(exchange)->target, "cmd");
    struct streaming_call *call = call_new(streaming, exchange, CALL_RUN, NULL);
    streaming_split_command(cmd ? cmd : "", arena, &call->command);
    Cri__ExecSyncRequest request = CRI__EXEC_SYNC_REQUEST__INIT;
    request.container_id = cri_borrow(id);
    request.n_cmd = call->command.count;
    request.cmd = borrow_words(&call->command, arena);
    call_start(call, &request.base, on_run);
    return NULL;
}

void streaming_run(struct streaming *streaming, struct http_exchange *exchange,
                   const struct streaming_params *params)
{
    struct error *err = start_run(streaming, exchange, params);
    if (err)
        refuse(exchange, err);
}

/* --- life --- */

static size_t default_sessions(void)
{
    struct rlimit limit = {0};
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
        limit.rlim_cur / DESCRIPTORS_PER_SESSION > SESSIONS_MAX)
        return SESSIONS_MAX;
    return (size_t)limit.rlim_cur / DESCRIPTORS_PER_SESSION;
}

struct streaming *streaming_new(const struct streaming_options *options)
{
    static const struct metric_info requests = {
        .name = "kubelet_websocket_streaming_requests_total",
        .help = "[ALPHA] Total number of WebSocket streaming requests received by kubelet.",
        .type = METRIC_COUNTER,
        .labels = {"subresource"}};
    struct streaming *streaming = xcalloc(1, sizeof(*streaming));
    streaming->options = *options;
    if (options->max_sessions == 0)
        streaming->options.max_sessions = default_sessions();
    streaming->pipes = (struct upgrade_house){.loop = options->loop, .pool = options->pool};
    streaming->websocket_requests =
        options->metrics ? metrics_family(options->metrics, &requests) : NULL;
    return streaming;
}

size_t streaming_session_count(const struct streaming *streaming)
{
    return streaming->call_count + streaming->pipes.count + streaming->bridge_count;
}

void streaming_free(struct streaming *streaming)
{
    if (!streaming)
        return;
    struct streaming_call *call, *next;
    DL_FOREACH_SAFE(streaming->calls, call, next) {
        struct http_exchange *exchange = call->exchange;
        http_exchange_on_gone(exchange, NULL, NULL);
        on_gone(call);
        http_exchange_abort(exchange);
    }
    upgrade_pipe_free_all(&streaming->pipes);
    streaming_channels_free_all(streaming);
    tls_context_unref(streaming->tls);
    free(streaming);
}
