/*
 * Exec, attach, port-forward and run on a bench: the pod engine over its fake runtime with one pod
 * "web-n" (containers "a" and, with a terminal, "t"), our HTTP server on one end of a socket pair,
 * the case on the other, and behind it all a runtime whose streaming calls are played: it answers
 * in the next turn with the URL of a listener on loopback, where the case is the runtime's
 * streaming server.
 */
#pragma once

#include "server/endpoint.h"
#include "server/streaming.h"
#include "tests/lib/loopback.h"
#include "tests/unit/pod/pods_bench.h"
#include "wire/http_server_internal.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define DESK_TURNS_MAX 20000
#define DESK_UID "u-web"
#define DESK_API_UID "u-of-the-mirror"
#define DESK_SPEC                                                                                  \
    "containers: [{name: a, image: 'img:1'}, {name: t, image: 'img:1', tty: true, stdin: true}], " \
    "terminationGracePeriodSeconds: 1"

/* What the played runtime says; texts borrowed. */
struct desk_script {
    const char *url;   /* NULL: of the listener */
    const char *error; /* NULL: none */
    enum error_code code;
    const char *output, *errors; /* of ExecSync */
    int32_t exit_code;
    bool is_held; /* the answer waits until it is not */
};

struct desk {
    struct bench bench;
    struct pod_runtime runtime; /* the played one, for streams */
    struct runtime_call *call;  /* under way */
    struct desk_script script;
    char *asked; /* the last call, in one line */
    size_t cancelled;
    struct metrics *metrics;
    struct streaming *streaming;
    struct http_server *server;
    int listener;
    uint16_t port;
    int client, backend; /* the case's ends; -1: none */
    struct buf client_got, backend_got;
    bool is_client_ended, is_backend_ended;
    bool is_client_paused, is_backend_paused; /* does not read */
};

struct runtime_call {
    struct desk *desk;
    enum runtime_method method;
    runtime_on_reply *on_reply;
    void *ctx;
    struct loop_timer *soon;
};

/* --- the played runtime --- */

static inline void desk_note(struct desk *desk, const char *format, ...) PRINTF_LIKE(2, 3);
static inline void desk_note(struct desk *desk, const char *format, ...)
{
    va_list args;
    AUTO(buf) struct buf text;
    buf_init(&text, 64 * KiB);
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    free(desk->asked);
    desk->asked = buf_take(&text);
}

static inline char *desk_words(char **words, size_t count)
{
    AUTO(buf) struct buf text;
    buf_init(&text, 64 * KiB);
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, " [%s]", words[i]);
    return buf_take(&text);
}

static inline void desk_note_call(struct desk *desk, enum runtime_method method,
                                  const void *message)
{
    if (method == RUNTIME_EXEC) {
        const Cri__ExecRequest *request = message;
        AUTO(free) char *words = desk_words(request->cmd, request->n_cmd);
        desk_note(desk, "Exec tty=%d stdin=%d stdout=%d stderr=%d%s", request->tty, request->stdin,
                  request->stdout, request->stderr, words);
    } else if (method == RUNTIME_ATTACH) {
        const Cri__AttachRequest *request = message;
        desk_note(desk, "Attach tty=%d stdin=%d stdout=%d stderr=%d", request->tty, request->stdin,
                  request->stdout, request->stderr);
    } else if (method == RUNTIME_PORT_FORWARD) {
        const Cri__PortForwardRequest *request = message;
        AUTO(buf) struct buf ports;
        buf_init(&ports, KiB);
        for (size_t i = 0; i < request->n_port; i++)
            buf_printf(&ports, " %d", request->port[i]);
        desk_note(desk, "PortForward%s", buf_text(&ports));
    } else {
        const Cri__ExecSyncRequest *request = message;
        AUTO(free) char *words = desk_words(request->cmd, request->n_cmd);
        desk_note(desk, "ExecSync timeout=%lld%s", (long long)request->timeout, words);
    }
}

static inline void desk_call_end(struct runtime_call *call)
{
    call->desk->call = NULL;
    loop_timer_free(call->soon);
    free(call);
}

static inline ProtobufCBinaryData desk_bytes(const char *text, char **ret_copy)
{
    *ret_copy = xstrdup(text ? text : "");
    return (ProtobufCBinaryData){.data = (uint8_t *)*ret_copy, .len = strlen(*ret_copy)};
}

static inline void desk_answer(void *ctx)
{
    struct runtime_call call = *(struct runtime_call *)ctx;
    const struct desk_script *script = &call.desk->script;
    if (script->is_held)
        return;
    desk_call_end(ctx);
    AUTO(free)
    char *url = script->url
                    ? xstrdup(script->url)
                    : xasprintf("http://127.0.0.1:%u/exec/TOKEN", (unsigned)call.desk->port);
    AUTO(free) char *out = NULL, *err = NULL;
    Cri__ExecResponse exec = CRI__EXEC_RESPONSE__INIT;
    Cri__AttachResponse attach = CRI__ATTACH_RESPONSE__INIT;
    Cri__PortForwardResponse forward = CRI__PORT_FORWARD_RESPONSE__INIT;
    Cri__ExecSyncResponse sync = CRI__EXEC_SYNC_RESPONSE__INIT;
    exec.url = attach.url = forward.url = url;
    sync.stdout = desk_bytes(script->output, &out);
    sync.stderr = desk_bytes(script->errors, &err);
    sync.exit_code = script->exit_code;
    const ProtobufCMessage *reply = call.method == RUNTIME_EXEC           ? &exec.base
                                    : call.method == RUNTIME_ATTACH       ? &attach.base
                                    : call.method == RUNTIME_PORT_FORWARD ? &forward.base
                                                                          : &sync.base;
    if (script->error)
        call.on_reply(call.ctx, NULL, error_new(script->code, "%s", script->error));
    else
        call.on_reply(call.ctx, reply, NULL);
}

static inline struct runtime_call *desk_call(struct pod_runtime *self, enum runtime_method method,
                                             const ProtobufCMessage *request,
                                             UNUSED int64_t extra_ns, runtime_on_reply *on_reply,
                                             void *ctx)
{
    struct desk *desk = CONTAINER_OF(self, struct desk, runtime);
    struct runtime_call *call = xcalloc(1, sizeof(*call));
    assert_null(desk->call);
    *call = (struct runtime_call){.desk = desk, .method = method, .on_reply = on_reply, .ctx = ctx};
    call->soon = loop_timer_new(desk->bench.loop, "played call", desk_answer, call);
    loop_timer_start(call->soon, 0);
    desk_note_call(desk, method, request);
    desk->call = call;
    return call;
}

static inline void desk_cancel(struct pod_runtime *self, struct runtime_call *call)
{
    if (!call)
        return;
    CONTAINER_OF(self, struct desk, runtime)->cancelled++;
    desk_call_end(call);
}

/* --- our server --- */

static inline void desk_on_request(void *ctx, struct http_exchange *exchange)
{
    struct desk *desk = ctx;
    const struct http_request *request = http_exchange_request(exchange);
    struct endpoint_match match;
    endpoint_find(ENDPOINT_PORT_MAIN, request, http_exchange_arena(exchange), &match);
    assert_int_equal(match.outcome, ENDPOINT_FOUND);
    const struct streaming_params params = {.namespace_ = match.params[0],
                                            .pod = match.params[1],
                                            .container = match.params[2],
                                            .uid = match.params[3]};
    if (match.endpoint == ENDPOINT_EXEC)
        streaming_exec(desk->streaming, exchange, &params, &request->fields);
    else if (match.endpoint == ENDPOINT_ATTACH)
        streaming_attach(desk->streaming, exchange, &params, &request->fields);
    else if (match.endpoint == ENDPOINT_PORT_FORWARD)
        streaming_port_forward(desk->streaming, exchange, &params, &request->fields);
    else
        streaming_run(desk->streaming, exchange, &params);
}

static inline const char *desk_api_uid(UNUSED void *ctx, const char *uid)
{
    return strcmp(uid, DESK_UID) == 0 ? DESK_API_UID : NULL;
}

/* Of @limits the numbers and switches count. */
static inline UNUSED struct desk *desk_make(const struct streaming_options *limits)
{
    static const struct pod_runtime_vtable vtable = {.call = desk_call, .cancel = desk_cancel};
    static const struct http_server_options server_options = {0};
    struct desk *desk = xcalloc(1, sizeof(*desk));
    bench_init(&desk->bench);
    bench_begin(&desk->bench, "web", DESK_SPEC);
    desk->runtime.vtable = &vtable;
    desk->client = desk->backend = -1;
    desk->listener = loopback_listen(4, &desk->port);
    buf_init(&desk->client_got, 64 * MiB);
    buf_init(&desk->backend_got, 64 * MiB);
    desk->metrics = metrics_new();
    const struct streaming_options options = {.loop = desk->bench.loop,
                                              .pool = desk->bench.pool,
                                              .runtime = &desk->runtime,
                                              .pods = desk->bench.pods,
                                              .metrics = desk->metrics,
                                              .max_sessions = limits->max_sessions,
                                              .passes_all_on = limits->passes_all_on,
                                              .api_uid = desk_api_uid};
    desk->streaming = streaming_new(&options);
    desk->server = http_server_new(desk->bench.loop, &server_options, desk_on_request, desk);
    return desk;
}

static inline UNUSED struct desk *desk_new(size_t max_sessions)
{
    return desk_make(&(struct streaming_options){.max_sessions = max_sessions});
}

static inline UNUSED void desk_free(struct desk *desk)
{
    streaming_free(desk->streaming);
    http_server_free(desk->server);
    metrics_free(desk->metrics);
    fd_close(&desk->listener);
    fd_close(&desk->client);
    fd_close(&desk->backend);
    buf_done(&desk->client_got);
    buf_done(&desk->backend_got);
    free(desk->asked);
    bench_done(&desk->bench);
    free(desk);
}
DEFINE_AUTO(desk, struct desk *, desk_free)

/* --- the case's two ends --- */

static inline bool desk_read(int fd, struct buf *got, bool *is_ended)
{
    char bytes[16 * 1024];
    bool is_any = false;
    while (fd >= 0 && !*is_ended) {
        ssize_t len = recv(fd, bytes, sizeof(bytes), 0);
        if (len < 0 && errno == EAGAIN)
            break;
        if (len <= 0)
            *is_ended = true;
        else
            buf_add(got, bytes, (size_t)len);
        is_any = true;
    }
    return is_any;
}

/* Turns until nothing moves any more. */
static inline UNUSED void desk_settle(struct desk *desk)
{
    for (int quiet = 0; quiet < 8; quiet++) {
        loop_turn(desk->bench.loop, 0);
        if (desk->backend < 0 && desk->listener >= 0)
            desk->backend = loopback_accept(desk->listener);
        if ((!desk->is_client_paused &&
             desk_read(desk->client, &desk->client_got, &desk->is_client_ended)) ||
            (!desk->is_backend_paused &&
             desk_read(desk->backend, &desk->backend_got, &desk->is_backend_ended)))
            quiet = 0;
    }
}

#define DESK_UNTIL(desk, condition)                                                                \
    do {                                                                                           \
        for (int turns = 0; !(condition); turns++) {                                               \
            if (turns >= DESK_TURNS_MAX)                                                           \
                fail_msg("never: %s\nclient: %s\nbackend: %s", #condition,                         \
                         buf_text(&(desk)->client_got), buf_text(&(desk)->backend_got));           \
            desk_settle(desk);                                                                     \
            if (turns > 4) /* TCP has timers of its own */                                         \
                loop_turn((desk)->bench.loop, NS_PER_MS);                                          \
        }                                                                                          \
    } while (0)

static inline UNUSED void desk_send(struct desk *desk, int fd, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent < 0)
            assert_int_equal(errno, EAGAIN);
        else
            bytes = (struct str){.ptr = bytes.ptr + sent, .len = bytes.len - (size_t)sent};
        desk_settle(desk);
    }
}

static inline UNUSED void client_says(struct desk *desk, const char *text)
{
    desk_send(desk, desk->client, str_from(text));
}

static inline UNUSED void backend_says(struct desk *desk, const char *text)
{
    desk_send(desk, desk->backend, str_from(text));
}

static inline UNUSED bool client_has(const struct desk *desk, const char *text)
{
    return strstr(buf_text(&desk->client_got), text) != NULL;
}

static inline UNUSED bool backend_has(const struct desk *desk, const char *text)
{
    return strstr(buf_text(&desk->backend_got), text) != NULL;
}

/** A new client, whose request (@fields: lines that end in CRLF) is its first word. */
static inline UNUSED void client_asks(struct desk *desk, const char *line, const char *fields)
{
    int fds[2];
    fd_close(&desk->client);
    buf_clear(&desk->client_got);
    desk->is_client_ended = false;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    http_server_serve_fd(desk->server, fds[0], NULL);
    desk->client = fds[1];
    AUTO(free)
    char *text = xasprintf("%s HTTP/1.1\r\nHost: node:10250\r\n%s\r\n", line, fields);
    client_says(desk, text);
}

/** The client sends what the kernel keeps, all at once. True when one turn does not hear it all, so
 * that there is something left for others. */
static inline UNUSED bool client_is_heard_in_turns(struct desk *desk)
{
    static const char bytes[1024];
    int left = 0;
    while (send(desk->client, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0)
        continue;
    loop_turn(desk->bench.loop, 0);
    assert_int_equal(ioctl(desk->client, SIOCOUTQ, &left), 0);
    return left > 0;
}

static inline UNUSED void client_leaves(struct desk *desk)
{
    fd_close(&desk->client);
    desk->client = -1;
    desk_settle(desk);
}

static inline UNUSED void backend_leaves(struct desk *desk)
{
    fd_close(&desk->backend);
    desk->backend = -1;
    fd_close(&desk->listener);
    desk->listener = -1;
    desk_settle(desk);
}
