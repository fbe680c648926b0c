#include "node_bench.h"

#include "kube/codec.h"
#include "server/access.h"
#include "server/log_server.h"
#include "server/node_logs.h"
#include "server/streaming.h"
#include "stats/records_build.h"
#include "wire/http_server_internal.h"

#include "kubeletconfig.pb-c.h"

#include <errno.h>
#include <sys/socket.h>

#define REPLY_MAX_BYTES (64 * MiB)

/* --- the guard --- */

struct guard_call {
    struct guard *guard;
    guard_on_done *on_done;
    void *ctx;
};

static void note_wish(struct guard *guard, const struct http_request *request)
{
    const struct access access = access_of(request->method, request->target.path);
    AUTO(buf) struct buf text;
    buf_init(&text, KiB);
    buf_add_text(&text, access.verb);
    for (size_t i = 0; i < access.count; i++)
        buf_printf(&text, " %s", access.subresources[i]);
    free(guard->wish);
    guard->wish = buf_take(&text);
}

struct guard_call *guard_start(struct guard *guard, const struct http_request *request,
                               UNUSED struct arena *arena, struct guard_verdict *ret,
                               guard_on_done *on_done, void *ctx)
{
    guard->asked++;
    note_wish(guard, request);
    *ret = (struct guard_verdict){.status = guard->status, .text = guard->text};
    if (!guard->is_slow)
        return NULL;
    assert_null(guard->call);
    guard->call = xcalloc(1, sizeof(*guard->call));
    *guard->call = (struct guard_call){.guard = guard, .on_done = on_done, .ctx = ctx};
    return guard->call;
}

void guard_cancel(struct guard_call *call)
{
    if (!call)
        return;
    call->guard->cancelled++;
    call->guard->call = NULL;
    free(call);
}

struct http_fields guard_clean_fields(const struct http_fields *fields, struct arena *arena)
{
    struct http_field *kept = arena_calloc(arena, fields->count + 1, sizeof(*kept));
    size_t count = 0;
    for (size_t i = 0; i < fields->count; i++) {
        if (!text_eq(fields->items[i].name, "authorization"))
            kept[count++] = fields->items[i];
    }
    return (struct http_fields){.items = kept, .count = count};
}

void node_bench_judge(struct node_bench *bench)
{
    struct guard *guard = &bench->guard;
    const struct guard_verdict verdict = {.status = guard->status, .text = guard->text};
    const struct guard_call call = *guard->call;
    free(TAKE(guard->call));
    call.on_done(call.ctx, &verdict);
}

/* --- the collectors --- */

struct summary_request {
    struct summary_collector *collector;
    summary_on_done *on_done;
    void *ctx;
};

struct summary_request *summary_collect_start(struct summary_collector *collector,
                                              enum summary_scope scope, summary_on_done *on_done,
                                              void *ctx)
{
    assert_null(collector->request);
    collector->asked++;
    collector->scope = scope;
    collector->request = xcalloc(1, sizeof(*collector->request));
    *collector->request =
        (struct summary_request){.collector = collector, .on_done = on_done, .ctx = ctx};
    return collector->request;
}

void summary_collect_cancel(struct summary_request *request)
{
    if (!request)
        return;
    request->collector->cancelled++;
    request->collector->request = NULL;
    free(request);
}

void node_bench_summary(struct node_bench *bench, const struct summary *summary,
                        struct error *err_owned)
{
    const struct summary_request request = *bench->summaries.request;
    free(TAKE(bench->summaries.request));
    request.on_done(request.ctx, summary, err_owned);
}

struct stats_ask {
    struct stats_collector *collector;
    stats_on_records *on_done;
    void *ctx;
};

struct stats_ask *stats_collect_start(struct stats_collector *collector, stats_on_records *on_done,
                                      void *ctx)
{
    assert_null(collector->ask);
    collector->asked++;
    collector->ask = xcalloc(1, sizeof(*collector->ask));
    *collector->ask = (struct stats_ask){.collector = collector, .on_done = on_done, .ctx = ctx};
    return collector->ask;
}

void stats_collect_cancel(struct stats_ask *ask)
{
    if (!ask)
        return;
    ask->collector->cancelled++;
    ask->collector->ask = NULL;
    free(ask);
}

void node_bench_records(struct node_bench *bench, struct error *err_owned)
{
    const struct stats_ask ask = *bench->records.ask;
    free(TAKE(bench->records.ask));
    if (err_owned) {
        ask.on_done(ask.ctx, NULL, err_owned);
        return;
    }
    struct arena *arena = arena_new(0);
    struct stats_record *root = arena_alloc(arena, sizeof(*root));
    *root = (struct stats_record){.kind = STATS_ROOT, .path = "/", .id = "", .pod_uid = ""};
    AUTO(stats_records)
    struct stats_records *records =
        stats_records_build(&(struct stats_records){.count = 1}, root, arena);
    ask.on_done(ask.ctx, records, NULL);
}

/* --- the runtime --- */

struct runtime_call {
    struct played_runtime *runtime;
    runtime_on_reply *on_reply;
    void *ctx;
};

static struct runtime_call *call(struct pod_runtime *self, enum runtime_method method,
                                 const ProtobufCMessage *request, int64_t extra_ns,
                                 runtime_on_reply *on_reply, void *ctx)
{
    struct played_runtime *runtime = CONTAINER_OF(self, struct played_runtime, base);
    assert_null(runtime->call);
    free(TAKE(runtime->asked));
    if (method == RUNTIME_CHECKPOINT_CONTAINER) {
        const Cri__CheckpointContainerRequest *message =
            (const Cri__CheckpointContainerRequest *)request;
        runtime->asked =
            xasprintf("%s %s timeout %lld extra %lld", message->container_id, message->location,
                      (long long)message->timeout, (long long)extra_ns);
    }
    runtime->call = xcalloc(1, sizeof(*runtime->call));
    *runtime->call = (struct runtime_call){.runtime = runtime, .on_reply = on_reply, .ctx = ctx};
    return runtime->call;
}

static void cancel(struct pod_runtime *self, struct runtime_call *made)
{
    struct played_runtime *runtime = CONTAINER_OF(self, struct played_runtime, base);
    if (!made)
        return;
    runtime->cancelled++;
    runtime->call = NULL;
    free(made);
}

static const struct pod_runtime_vtable runtime_vtable = {.call = call, .cancel = cancel};

void node_bench_runtime(struct node_bench *bench, const ProtobufCMessage *reply,
                        struct error *err_owned)
{
    const struct runtime_call made = *bench->runtime.call;
    free(TAKE(bench->runtime.call));
    made.on_reply(made.ctx, reply, err_owned);
}

/* --- the bench --- */

static void make_parts(struct node_bench *bench)
{
    struct bench *pods = &bench->pods;
    const struct streaming_options streaming = {.loop = pods->loop,
                                                .pool = pods->pool,
                                                .runtime = &bench->runtime.base,
                                                .pods = pods->pods};
    bench->streaming = streaming_new(&streaming);
    const struct log_server_options logs = {.pod_logs_dir = bench_path(pods, "logs"),
                                            .max_streams = 8};
    bench->logs = log_server_new(pods->loop, pods->pool, pods->pods, &logs);
    assert_no_error(fd_mkdir_all(bench_path(pods, "var-log"), 0755));
    const struct node_logs_options node_logs = {.root = bench_path(pods, "var-log")};
    bench->node_logs = node_logs_new(pods->loop, pods->pool, &node_logs);
}

struct node_bench *node_bench_new(void)
{
    static const char *const flag_texts[] = {"--node-ip=\"\"", "--v=\"2\""};
    static const struct config_list flags = {.count = ARRAY_SIZE(flag_texts), .items = flag_texts};
    static const Kubeletconfig__KubeletConfiguration configuration =
        KUBELETCONFIG__KUBELET_CONFIGURATION__INIT;
    struct node_bench *bench = xcalloc(1, sizeof(*bench));
    bench_init(&bench->pods);
    bench_start(&bench->pods);
    bench_tell(&bench->pods);
    bench_rest(&bench->pods);
    bench->guard.loop = bench->pods.loop;
    bench->runtime.base.vtable = &runtime_vtable;
    bench->metrics = metrics_new();
    bench->probe_metrics = metrics_new();
    make_parts(bench);
    bench->config = (struct config_server){.enable_server = true,
                                           .address = "127.0.0.1",
                                           .healthz_bind_address = "127.0.0.1",
                                           .enable_debugging_handlers = true,
                                           .enable_system_log_handler = true,
                                           .enable_profiling_handler = true,
                                           .enable_debug_flags_handler = true};
    bench->options = (struct node_server_options){
        .config = &bench->config,
        .flag_values = &flags,
        .kubelet_configuration = &configuration.base,
        .root_dir = "/var/lib/kubelet",
        .sync_frequency_ns = 60 * NS_PER_SEC,
        .version = "v1.36.2+cubelet.0.1.0",
        .kubernetes_version = "v1.36.2",
        .started_wall_ns = NODE_BENCH_STARTED_S * NS_PER_SEC,
        .is_main_served = true,
    };
    return bench;
}

static void serve(struct node_bench *bench, enum node_port port, int fd_owned)
{
    assert_non_null(bench->server->listeners[port].http);
    http_server_serve_fd(bench->server->listeners[port].http, fd_owned, NULL);
}

void node_bench_start(struct node_bench *bench)
{
    const struct node_server_parts parts = {.loop = bench->pods.loop,
                                            .pool = bench->pods.pool,
                                            .pods = bench->pods.pods,
                                            .runtime = &bench->runtime.base,
                                            .guard = &bench->guard,
                                            .streaming = bench->streaming,
                                            .logs = bench->logs,
                                            .node_logs = bench->node_logs,
                                            .records = &bench->records,
                                            .summaries = &bench->summaries,
                                            .metrics = bench->metrics,
                                            .probe_metrics = bench->probe_metrics};
    assert_no_error(node_server_new(&parts, &bench->options, &bench->server));
}

void node_bench_free(struct node_bench *bench)
{
    streaming_free(bench->streaming);
    node_server_free(bench->server);
    assert_null(bench->guard.call);
    assert_null(bench->summaries.request);
    assert_null(bench->records.ask);
    assert_null(bench->runtime.call);
    node_logs_free(bench->node_logs);
    log_server_free(bench->logs);
    metrics_free(bench->metrics);
    metrics_free(bench->probe_metrics);
    free(bench->guard.wish);
    free(bench->runtime.asked);
    bench_done(&bench->pods);
    free(bench);
}

/* --- requests --- */

int node_bench_send(struct node_bench *bench, enum node_port port, const char *line,
                    const char *rest)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    serve(bench, port, fds[0]);
    const char *body = strstr(rest, "\r\n\r\n");
    size_t length = body ? strlen(body + 4) : 0;
    AUTO(free)
    char *text = xasprintf("%s HTTP/1.1\r\nhost: node\r\nconnection: close\r\n"
                           "content-length: %zu\r\n%s%s",
                           line, length, rest, body ? "" : "\r\n");
    assert_int_equal(send(fds[1], text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    node_bench_settle(bench);
    return fds[1];
}

void node_bench_settle(struct node_bench *bench)
{
    for (size_t i = 0; i < 12; i++)
        loop_turn(bench->pods.loop, 0);
}

const char *node_bench_take(struct node_bench *bench, int fd_owned)
{
    AUTO(fd) int fd = fd_owned;
    AUTO(buf) struct buf text;
    buf_init(&text, REPLY_MAX_BYTES);
    for (size_t turns = 0;; turns++) {
        char bytes[16 * 1024];
        ssize_t len = recv(fd, bytes, sizeof(bytes), 0);
        if (len == 0)
            break;
        if (len > 0)
            buf_add(&text, bytes, (size_t)len);
        else
            assert_int_equal(errno, EAGAIN);
        if (turns >= NODE_BENCH_TURNS)
            fail_msg("no answer; so far: %s", buf_text(&text));
        loop_turn(bench->pods.loop, len > 0 ? 0 : BENCH_WAIT_NS);
    }
    return arena_strdup(bench->pods.arena, buf_text(&text));
}

struct node_reply node_bench_reply(struct node_bench *bench, int fd_owned)
{
    const char *text = node_bench_take(bench, fd_owned);
    const char *end = strstr(text, "\r\n\r\n");
    int64_t status = 0;
    if (!text_has_prefix(text, "HTTP/1.1 ") || !end)
        fail_msg("no reply: %s", text);
    assert_true(parse_i64(arena_strndup(bench->pods.arena, text + strlen("HTTP/1.1 "), 3), 100, 599,
                          &status));
    return (struct node_reply){.status = (unsigned)status,
                               .head =
                                   arena_strndup(bench->pods.arena, text, (size_t)(end + 2 - text)),
                               .body = end + 4};
}

struct node_reply node_bench_ask(struct node_bench *bench, enum node_port port, const char *line,
                                 const char *rest)
{
    return node_bench_reply(bench, node_bench_send(bench, port, line, rest));
}

const char *node_reply_field(struct node_bench *bench, const struct node_reply *reply,
                             const char *name)
{
    const char *key = arena_printf(bench->pods.arena, "\r\n%s: ", name);
    const char *found = strcasestr(reply->head, key);
    if (!found)
        return NULL;
    const char *value = found + strlen(key);
    return arena_strndup(bench->pods.arena, value, strcspn(value, "\r"));
}
