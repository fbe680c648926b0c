/*
 * An exec hook is one call of the runtime and a sleep one timer. An httpGet hook asks the runtime
 * for the pod's address unless it names a host, then the server; one that was to speak TLS and
 * meets a server that does not is sent once more without, as it always worked before certificates
 * were looked for. Its end is told through the operation's timer.
 */
#include "pod/hook.h"

#include "base/buf.h"
#include "base/go_quote.h"
#include "pod/cri_request.h"
#include "pod/expand.h"
#include "probe/http_get.h"
#include "probe/probe.h"
#include "probe/probe_net.h"

#define HOOK_OUTPUT_MAX_BYTES (10 * KiB)
/* pkg/probe/http/request.go; the version of the release whose behaviour is offered */
#define USER_AGENT "kube-lifecycle/1.36"

struct hook {
    struct pod_op *op;
    const Core__HTTPGetAction *http;
    struct runtime_call *call;
    struct http_get *get;
    const char *host;
    int32_t port;
    const char *first_error; /* of the request with TLS; set with the second one */
};

/* "web_default(uid)" */
static const char *pod_name_text(const struct pod_op *op)
{
    const struct pod_worker *worker = op->worker;
    return arena_printf(op->arena, "%s_%s(%s)", worker->name, worker->namespace, worker->uid);
}

static const char *container_text(const struct pod_op *op)
{
    return go_quote(op->arena, op->container && op->container->name ? op->container->name : "");
}

/* --- exec --- */

static void run_exec(struct pod_op *op, const Core__ExecAction *exec, const char *id)
{
    char **command = exec->command;
    op->err = op->container ? expand_command(op->container, exec, op->arena, &command) : NULL;
    if (op->err) {
        pod_op_wait(op, 0);
        return;
    }
    Cri__ExecSyncRequest request = CRI__EXEC_SYNC_REQUEST__INIT;
    request.container_id = cri_borrow(id);
    request.n_cmd = exec->n_command;
    request.cmd = command;
    pod_op_call(op, RUNTIME_EXEC_SYNC, &request.base, 0);
}

/* "sh -c exit 1"; as many words of it as there is room for. */
static const char *words_text(const struct pod_op *op, const Core__ExecAction *exec)
{
    AUTO(buf) struct buf text;
    buf_init(&text, HOOK_OUTPUT_MAX_BYTES);
    for (size_t i = 0; i < exec->n_command && !text.overflowed; i++)
        buf_printf(&text, "%s%s", i > 0 ? " " : "", exec->command[i]);
    return arena_strdup(op->arena, buf_text(&text));
}

static const char *output_text(const struct pod_op *op, const ProtobufCBinaryData *bytes)
{
    return arena_strndup(op->arena, bytes->data ? (const char *)bytes->data : "",
                         min_size(bytes->len, HOOK_OUTPUT_MAX_BYTES));
}

static struct error *exec_result(struct pod_op *op, const Core__ExecAction *exec)
{
    const Cri__ExecSyncResponse *reply = (const Cri__ExecSyncResponse *)op->reply;
    AUTO(error) struct error *err = TAKE(op->err);
    bool has_failed = reply && reply->exit_code != 0;
    if (!err && !has_failed)
        return NULL;
    const char *words = words_text(op, exec), *output = "";
    if (has_failed)
        err = error_new(ERROR_UNKNOWN, "command '%s' exited with %d: %s", words, reply->exit_code,
                        output_text(op, &reply->stderr));
    if (reply)
        output = arena_printf(op->arena, "%s%s", output_text(op, &reply->stdout),
                              output_text(op, &reply->stderr));
    return error_new(
        err->code,
        "Exec lifecycle hook ([%s]) for Container %s in Pod \"%s\" failed - error: %s, "
        "message: %s",
        words, container_text(op), pod_name_text(op), err->message, go_quote(op->arena, output));
}

/* --- httpGet --- */

void hook_cancel(struct hook *hook)
{
    if (!hook)
        return;
    runtime_call_cancel(hook->op->worker->pods->env.runtime, TAKE(hook->call));
    http_get_cancel(TAKE(hook->get));
}

static void http_ends(struct hook *hook, const char *error)
{
    struct pod_op *op = hook->op;
    if (error)
        op->err = error_new(ERROR_UNKNOWN,
                            "HTTP lifecycle hook (%s) for Container %s in Pod \"%s\" failed - "
                            "error: %s",
                            hook->http->path ? hook->http->path : "", container_text(op),
                            pod_name_text(op), error);
    pod_op_wait(op, 0);
}

static void get(struct hook *hook, bool is_fallback);

static void fell_back(const struct hook *hook)
{
    struct pod_worker *worker = hook->op->worker;
    bool is_v6 = strchr(hook->host, ':');
    metric_add(worker->pods->metrics.families[POD_METRIC_HOOK_FALLBACKS], 1, NULL);
    pod_worker_event(worker, TIMELINE_WARNING, "LifecycleHTTPFallback", NULL,
                     arena_printf(hook->op->arena,
                                  "request to HTTPS lifecycle hook %s%s%s:%d got HTTP response, "
                                  "retry with HTTP succeeded",
                                  is_v6 ? "[" : "", hook->host, is_v6 ? "]" : "", hook->port));
}

/* Whatever was answered, the hook has been heard. */
static void on_got(void *ctx, const struct http_get_end *end)
{
    struct hook *hook = ctx;
    bool has_failed = end->error && end->status == 0;
    hook->get = NULL;
    if (has_failed && end->has_met_http && !hook->first_error) {
        hook->first_error = arena_strdup(hook->op->arena, end->error);
        get(hook, true);
        return;
    }
    if (hook->first_error && !has_failed)
        fell_back(hook);
    http_ends(hook, !has_failed ? NULL : hook->first_error ? hook->first_error : end->error);
}

static void get(struct hook *hook, bool is_fallback)
{
    const Core__HTTPGetAction *http = hook->http;
    const struct http_get_options options = {
        .scheme = text_eq(http->scheme, "HTTPS") && !is_fallback ? "https" : "http",
        .host = hook->host,
        .port = hook->port,
        .path = http->path,
        .headers = http->http_headers,
        .n_headers = http->n_http_headers,
        .user_agent = USER_AGENT,
        .leaves_authorization_out = is_fallback,
    };
    hook->get = http_get_start(hook->op->worker->pods->probe_net, &options, on_got, hook);
}

static void on_sandbox(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    struct hook *hook = ctx;
    AUTO(error) struct error *err = err_owned;
    const Cri__PodSandboxStatusResponse *response = (const Cri__PodSandboxStatusResponse *)reply;
    hook->call = NULL;
    if (err) {
        http_ends(hook, err->message);
        return;
    }
    const Cri__PodSandboxNetworkStatus *network =
        response->status ? response->status->network : NULL;
    if (!network || !network->ip || network->ip[0] == '\0') {
        http_ends(hook, "failed to find networking container: the runtime shows no address of the "
                        "pod");
        return;
    }
    hook->host = arena_strdup(hook->op->arena, network->ip);
    get(hook, false);
}

static void run_http(struct pod_op *op, const Core__HTTPGetAction *http)
{
    struct hook *hook = arena_alloc(op->arena, sizeof(*hook));
    *hook = (struct hook){.op = op, .http = http};
    op->hook = hook;
    static const Core__Container no_container = CORE__CONTAINER__INIT;
    AUTO(error)
    struct error *err =
        probe_resolve_port(http->port, op->container ? op->container : &no_container, &hook->port);
    if (err) {
        http_ends(hook, err->message);
        return;
    }
    if (http->host && http->host[0] != '\0') {
        hook->host = http->host;
        get(hook, false);
        return;
    }
    const struct sandbox_observed *sandbox = pod_observed_active_sandbox(&op->worker->have);
    if (!sandbox) {
        http_ends(hook, "failed to find networking container: the pod has no sandbox");
        return;
    }
    Cri__PodSandboxStatusRequest request = CRI__POD_SANDBOX_STATUS_REQUEST__INIT;
    request.pod_sandbox_id = cri_borrow(sandbox->id);
    hook->call = runtime_call_start(op->worker->pods->env.runtime, RUNTIME_POD_SANDBOX_STATUS,
                                    &request.base, 0, on_sandbox, hook);
}

/* --- all --- */

/* What Go prints for a handler of which only the tcpSocket is set. */
static struct error *refuse_tcp(const struct pod_op *op, const Core__TCPSocketAction *tcp)
{
    const Meta__IntOrString *port = tcp ? tcp->port : NULL;
    const char *action =
        tcp ? arena_printf(op->arena, "&TCPSocketAction{Port:{%d %d %s},Host:%s,}",
                           port ? (int)port->type : 0, port ? port->int_val : 0,
                           port && port->str_val ? port->str_val : "", tcp->host ? tcp->host : "")
            : "nil";
    return error_new(ERROR_UNIMPLEMENTED,
                     "Cannot run handler: invalid handler: &LifecycleHandler{Exec:nil,HTTPGet:nil,"
                     "TCPSocket:%s,Sleep:nil,}",
                     action);
}

static void run_sleep(struct pod_op *op, const Core__SleepAction *sleep, int64_t limit_ns)
{
    int64_t sleep_ns = sat_mul_i64(max_i64(sleep->seconds, 0), NS_PER_SEC);
    if (limit_ns > 0 && limit_ns < sleep_ns)
        metric_add(op->worker->pods->metrics.families[POD_METRIC_SLEEPS_CUT], 1, NULL);
    pod_op_wait(op, limit_ns > 0 ? min_i64(sleep_ns, limit_ns) : sleep_ns);
}

void hook_start(struct pod_op *op, const Core__LifecycleHandler *handler, const char *id,
                int64_t limit_ns)
{
    op->reply = NULL;
    op->handler = handler;
    if (handler->sleep) {
        run_sleep(op, handler->sleep, limit_ns);
        return;
    }
    if (handler->exec) {
        run_exec(op, handler->exec, id);
    } else if (handler->http_get) {
        run_http(op, handler->http_get);
    } else {
        op->err = refuse_tcp(op, handler->tcp_socket);
        pod_op_wait(op, 0);
    }
    bool is_pending = op->call || (op->hook && (op->hook->call || op->hook->get));
    if (limit_ns > 0 && is_pending)
        pod_op_wait(op, limit_ns);
}

struct error *hook_result(struct pod_op *op)
{
    struct pod_runtime *runtime = op->worker->pods->env.runtime;
    runtime_call_cancel(runtime, TAKE(op->call)); /* the limit came first: the hook is abandoned */
    hook_cancel(TAKE(op->hook));
    if (op->timer)
        loop_timer_cancel(op->timer);
    const Core__LifecycleHandler *handler = TAKE(op->handler);
    return handler->exec ? exec_result(op, handler->exec) : TAKE(op->err);
}
