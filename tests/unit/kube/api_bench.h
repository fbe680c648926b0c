/*
 * An API server at 127.0.0.1 that follows a script, and a client of it, on one loop. Each request
 * takes the next step; when there is none left, the test fails. What was asked is kept.
 *
 *     AUTO(api_bench) struct api_bench bench;
 *     api_bench_init(&bench, API_BENCH_TLS);
 *     bench.steps[0] = (struct api_step){.status = 200, .body = "{…}"};
 *     api_bench_connect(&bench, NULL);
 */
#pragma once

#include "base/fd.h"
#include "kube/api_internal.h"
#include "tests/lib/loopback.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/tls_certs.h"
#include "wire/http_server.h"

#include "core.pb-c.h"

#include <fcntl.h>

#define API_BENCH_WAIT_NS (10 * NS_PER_SEC) /* how long a hang takes to be seen */
#define API_BENCH_MAX_TURNS 200000
#define API_BENCH_STEPS 32

enum api_bench_kind { API_BENCH_PLAIN, API_BENCH_TLS };

struct api_step {
    unsigned status;
    const char *content_type; /* NULL: application/json; "": none */
    const char *retry_after;  /* NULL: none */
    const char *body;         /* text; NULL: none */
    struct str bytes;         /* instead of body */
    enum {
        STEP_REPLY,
        STEP_HOLD,   /* says nothing; bench.held */
        STEP_ABORT,  /* breaks off before an answer */
        STEP_TRUNC,  /* breaks off after the body */
        STEP_STREAM, /* sends the body and stays open; bench.held */
    } what;
};

struct api_seen {
    char *line; /* "GET /api/v1/nodes/a" */
    char *accept, *content_type, *user_agent, *authorization, *impersonate_user;
    char *impersonate_group, *impersonate_extra;
    char *common_name;
    struct buf body;
    bool is_http2;
};

struct api_bench {
    struct loop *loop;
    struct work_pool *pool;
    int listener;
    uint16_t port;
    struct http_server *server;
    bool is_tls;
    struct test_cert ca, server_cert, client_cert;
    struct tls_context *tls;
    char *url;

    struct api_step steps[API_BENCH_STEPS];
    bool is_endless; /* the last step that was given goes on for ever */
    size_t last_step;
    struct api_seen seen[API_BENCH_STEPS];
    size_t requests;
    struct http_exchange *held; /* the last one that is */
    bool is_held_gone;

    struct api_timing timing;
    struct kubeconfig config; /* the server and its CA; a test may say more */
    struct api_transport *transport;
    struct api_client *client;
};

/* --- the server --- */

static inline UNUSED char *api_bench_field(const struct http_request *request, const char *name)
{
    return xstrdup(http_fields_get(&request->fields, name));
}

static inline UNUSED void api_bench_note(struct api_bench *bench,
                                         const struct http_request *request)
{
    assert_in_range(bench->requests, 0, API_BENCH_STEPS - 1);
    struct api_seen *seen = &bench->seen[bench->requests];
    *seen = (struct api_seen){
        .line = xasprintf("%s %s%s%s", request->method, request->target.raw_path,
                          *request->target.raw_query ? "?" : "", request->target.raw_query),
        .accept = api_bench_field(request, "accept"),
        .content_type = api_bench_field(request, "content-type"),
        .user_agent = api_bench_field(request, "user-agent"),
        .authorization = api_bench_field(request, "authorization"),
        .impersonate_user = api_bench_field(request, "impersonate-user"),
        .impersonate_group = api_bench_field(request, "impersonate-group"),
        .impersonate_extra = api_bench_field(request, "impersonate-extra-scopes"),
        .common_name = xstrdup(request->peer ? request->peer->common_name : NULL),
        .is_http2 = request->is_http2,
    };
    buf_init(&seen->body, MiB);
    buf_add_str(&seen->body, request->body);
}

static inline UNUSED void api_bench_on_gone(void *ctx)
{
    struct api_bench *bench = ctx;
    bench->held = NULL;
    bench->is_held_gone = true;
}

static inline UNUSED void api_bench_hold(struct api_bench *bench, struct http_exchange *exchange)
{
    bench->held = exchange;
    bench->is_held_gone = false;
    http_exchange_on_gone(exchange, api_bench_on_gone, bench);
}

static inline UNUSED void api_bench_on_request(void *ctx, struct http_exchange *exchange)
{
    struct api_bench *bench = ctx;
    size_t index = bench->requests;
    api_bench_note(bench, http_exchange_request(exchange));
    bench->requests++;
    if (bench->is_endless && index > bench->last_step)
        index = bench->last_step;
    const struct api_step *step = &bench->steps[index];
    struct http_field items[2];
    struct http_fields fields = {.items = items};
    const char *type = step->content_type ? step->content_type : "application/json";
    if (*type)
        items[fields.count++] = (struct http_field){"content-type", type};
    if (step->retry_after)
        items[fields.count++] = (struct http_field){"retry-after", step->retry_after};
    struct str body = step->bytes.ptr ? step->bytes : str_from(step->body);
    switch (step->what) {
    case STEP_REPLY:
        if (step->status == 0)
            fail_msg("request %zu was not expected: %s", index, bench->seen[index].line);
        http_exchange_reply(exchange, step->status, &fields, body);
        break;
    case STEP_HOLD:
        api_bench_hold(bench, exchange);
        break;
    case STEP_ABORT:
        http_exchange_abort(exchange);
        break;
    case STEP_TRUNC:
    case STEP_STREAM:
        http_exchange_begin(exchange, step->status, &fields);
        http_exchange_write(exchange, body);
        if (step->what == STEP_TRUNC)
            http_exchange_abort(exchange);
        else
            api_bench_hold(bench, exchange);
        break;
    }
}

static inline UNUSED struct tls_context *api_bench_context(const struct api_bench *bench,
                                                           const struct test_cert *cert)
{
    const struct tls_options options = {.ca_pem = bench->ca.cert_pem,
                                        .cert_pem = cert->cert_pem,
                                        .key_pem = cert->key_pem,
                                        .alpn = "h2,http/1.1",
                                        .client_auth = TLS_CLIENT_AUTH_OPTIONAL};
    struct tls_context *context = NULL;
    assert_no_error(tls_context_new_server(&options, &context));
    return context;
}

/* A server at the same address as before; the listening socket is the bench's. */
static inline UNUSED void api_bench_serve(struct api_bench *bench)
{
    int fd = fcntl(bench->listener, F_DUPFD_CLOEXEC, 0);
    assert_true(fd >= 0);
    bench->server =
        http_server_new(bench->loop, &(struct http_server_options){0}, api_bench_on_request, bench);
    http_server_listen_fd(bench->server, fd, bench->tls);
}

static inline UNUSED void api_bench_init(struct api_bench *bench, enum api_bench_kind kind)
{
    *bench = (struct api_bench){.is_tls = kind == API_BENCH_TLS, .timing = api_timing_default};
    assert_no_error(loop_new(&bench->loop));
    bench->pool = work_pool_new(bench->loop, 0);
    bench->listener = loopback_listen(64, &bench->port);
    if (bench->is_tls) {
        bench->ca =
            test_cert_new(&(struct test_cert_options){.common_name = "ca", .is_ca = true}, NULL);
        bench->server_cert = test_cert_new(
            &(struct test_cert_options){.common_name = "api", .names = "IP:127.0.0.1"}, &bench->ca);
        bench->client_cert =
            test_cert_new(&(struct test_cert_options){.common_name = "system:node:a"}, &bench->ca);
        bench->tls = api_bench_context(bench, &bench->server_cert);
    }
    bench->url = xasprintf("http%s://127.0.0.1:%u", bench->is_tls ? "s" : "", bench->port);
    bench->config = (struct kubeconfig){.server = bench->url, .ca_data = bench->ca.cert_pem};
    bench->timing.lost_pause_ns = NS_PER_MS;
    bench->timing.reconnect_base_ns = NS_PER_MS;
    bench->timing.reconnect_max_ns = 2 * NS_PER_MS;
    bench->timing.unsent_limit_ns = 20 * NS_PER_MS;
    api_bench_serve(bench);
}

/* Makes the transport and one client, unlimited unless @options says else. */
static inline UNUSED void api_bench_connect(struct api_bench *bench,
                                            const struct api_client_options *options)
{
    static const struct api_client_options unlimited = {.is_unlimited = true};
    assert_no_error(api_transport_new_timed(bench->loop, bench->pool, &bench->config, "test/1.0",
                                            &bench->timing, &bench->transport));
    bench->client = api_client_new(bench->transport, options ? options : &unlimited);
}

static inline UNUSED void auto_release_api_bench(struct api_bench *bench)
{
    api_client_free(TAKE(bench->client));
    api_transport_free(TAKE(bench->transport));
    http_server_free(TAKE(bench->server));
    fd_close(&bench->listener);
    for (size_t i = 0; i < bench->requests; i++) {
        struct api_seen *seen = &bench->seen[i];
        char *const texts[] = {seen->line,
                               seen->accept,
                               seen->content_type,
                               seen->user_agent,
                               seen->authorization,
                               seen->impersonate_user,
                               seen->common_name,
                               seen->impersonate_group,
                               seen->impersonate_extra};
        for (size_t k = 0; k < ARRAY_SIZE(texts); k++)
            free(texts[k]);
        buf_done(&seen->body);
    }
    tls_context_unref(TAKE(bench->tls));
    test_cert_free(&bench->ca);
    test_cert_free(&bench->server_cert);
    test_cert_free(&bench->client_cert);
    free(bench->url);
    work_pool_free(bench->pool, API_BENCH_WAIT_NS);
    loop_free(TAKE(bench->loop));
}

#define TURN_UNTIL(bench, condition)                                                               \
    do {                                                                                           \
        size_t turns = 0;                                                                          \
        while (!(condition)) {                                                                     \
            assert_true(turns++ < API_BENCH_MAX_TURNS);                                            \
            loop_turn((bench)->loop, API_BENCH_WAIT_NS);                                           \
        }                                                                                          \
    } while (0)

/* A few turns, for what must not happen. */
static inline UNUSED void api_bench_settle(struct api_bench *bench)
{
    for (int i = 0; i < 50; i++)
        loop_turn(bench->loop, 0);
}

/* --- calls --- */

enum api_record_act {
    ACT_NOTHING,
    ACT_CANCEL_OTHER,
    ACT_FREE_CLIENT,
    ACT_FREE_ALL,
    ACT_CALL_AGAIN,
};

struct api_record {
    struct api_bench *bench;
    struct api_call *call; /* NULL: over */
    size_t ends;
    size_t order;         /* the how manieth end of the bench's records this was */
    enum error_code code; /* 0: good */
    char *message;
    char *reason;
    unsigned http_status;
    int64_t retry_after_ns;
    bool has_status;
    const struct kube_kind *kind;
    ProtobufCMessage *object;
    struct arena *arena; /* of the object */
    enum api_record_act act;
    struct api_record *other;
    size_t *counter;
};

static inline UNUSED void api_record_done(struct api_record *record)
{
    free(TAKE(record->message));
    arena_free(TAKE(record->arena));
}

static inline UNUSED void auto_release_api_record(struct api_record *record)
{
    api_record_done(record);
}

static inline UNUSED void api_record_on_done(void *ctx, struct api_result *result);

static inline UNUSED void api_record_start(struct api_bench *bench, struct api_record *record,
                                           const struct api_request *request)
{
    record->bench = bench;
    record->call = api_call_start(bench->client, request, api_record_on_done, record);
    assert_non_null(record->call);
}

static inline UNUSED const struct kube_kind *kind_of(const char *api_version, const char *kind)
{
    const struct kube_kind *found = kube_kind_find(api_version, kind);
    assert_non_null(found);
    return found;
}

static inline UNUSED void api_record_get_node(struct api_bench *bench, struct api_record *record)
{
    const struct api_request request = {
        .verb = API_GET, .kind = kind_of("v1", "Node"), .name = "a"};
    api_record_start(bench, record, &request);
}

static inline UNUSED void api_record_on_done(void *ctx, struct api_result *result)
{
    struct api_record *record = ctx;
    struct api_bench *bench = record->bench;
    api_record_done(record);
    record->call = NULL;
    record->ends++;
    record->order = record->counter ? ++*record->counter : 0;
    record->code = result->err ? result->err->code : 0;
    record->message = xstrdup(result->err ? result->err->message : NULL);
    /* Static, so it may be kept. */
    const char *reason = result->err ? result->err->reason : NULL;
    memcpy(&record->reason, &reason, sizeof(reason));
    record->http_status = result->http_status;
    record->retry_after_ns = result->retry_after_ns;
    record->has_status = result->status != NULL;
    record->kind = result->kind;
    record->object = result->object;
    assert_true((result->object == NULL) == (result->err != NULL));
    record->arena = api_result_take_arena(result);
    assert_null(result->arena);
    switch (record->act) {
    case ACT_NOTHING:
        break;
    case ACT_CANCEL_OTHER:
        api_call_cancel(TAKE(record->other->call));
        break;
    case ACT_FREE_CLIENT:
        api_client_free(TAKE(bench->client));
        break;
    case ACT_FREE_ALL:
        api_client_free(TAKE(bench->client));
        api_transport_free(TAKE(bench->transport));
        break;
    case ACT_CALL_AGAIN:
        record->act = ACT_NOTHING;
        api_record_get_node(bench, record);
        break;
    }
}

/* Until @record has ended once more. */
static inline UNUSED void api_record_wait(struct api_record *record)
{
    size_t before = record->ends;
    TURN_UNTIL(record->bench, record->ends > before);
    assert_int_equal(record->ends, before + 1);
}

static inline UNUSED void api_record_run(struct api_bench *bench, struct api_record *record,
                                         const struct api_request *request)
{
    api_record_start(bench, record, request);
    api_record_wait(record);
}

static inline UNUSED void api_record_run_get(struct api_bench *bench, struct api_record *record)
{
    api_record_get_node(bench, record);
    api_record_wait(record);
}

#define NODE_JSON "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\"}}"
