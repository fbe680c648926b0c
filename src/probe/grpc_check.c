/*
 *     dialling ──► speaking ──SETTINGS──► asking ──► over
 *        ▲            │
 *        └── waiting ◄┘  refused, or broken before the peer has spoken HTTP/2
 *
 * One timer ends it, whatever it is at.
 */
#include "probe/grpc_check.h"

#include "base/arena.h"
#include "base/go_quote.h"
#include "base/time.h"
#include "wire/grpc.h"

#include "health.pb-c.h"

/* google.golang.org/grpc/backoff: DefaultConfig */
#define RETRY_FIRST_NS NS_PER_SEC
#define RETRY_MAX_NS (120 * NS_PER_SEC)
#define RETRY_FACTOR_TENTHS 16
/* Two bytes are due; what a pod may make us hold is not for the pod to say. */
#define REPLY_MAX_BYTES (64 * KiB)

struct grpc_check {
    struct probe_net *net;
    struct arena *arena;
    const char *host, *service, *user_agent, *address;
    int32_t port;
    int64_t timeout_ns, deadline_mono_ns, retry_ns;
    grpc_check_on_done *on_done;
    void *ctx;
    struct loop_timer *limit, *retry;
    struct dial *dial;
    struct grpc_channel *channel;
    bool is_connected; /* the peer has spoken HTTP/2 */
};

static const struct grpc_method method = {.path = "/grpc.health.v1.Health/Check",
                                          .request = &health__health_check_request__descriptor,
                                          .reply = &health__health_check_response__descriptor};

static void release(void *object)
{
    struct grpc_check *check = object;
    arena_free(check->arena);
    free(check);
}

void grpc_check_cancel(struct grpc_check *check)
{
    if (!check)
        return;
    dial_cancel(TAKE(check->dial));
    grpc_channel_free(TAKE(check->channel));
    loop_timer_free(TAKE(check->limit));
    loop_timer_free(TAKE(check->retry));
    loop_defer_free(probe_net_loop(check->net), release, check);
}

static void finish(struct grpc_check *check, const char *failure)
{
    grpc_check_cancel(check); /* the memory, and so the texts, live to the end of the turn */
    check->on_done(check->ctx, failure);
}

static void time_is_up(struct grpc_check *check)
{
    char took[TIME_TEXT_SIZE];
    time_format_duration(check->timeout_ns, took);
    finish(check,
           check->is_connected
               ? arena_printf(check->arena, "timeout: health rpc did not complete within %s", took)
               : arena_printf(check->arena,
                              "timeout: failed to connect service %s within %s: context "
                              "deadline exceeded",
                              go_quote(check->arena, check->address), took));
}

static void on_limit(void *ctx)
{
    time_is_up(ctx);
}

/* --- the answer --- */

char *grpc_check_judge(const struct ProtobufCMessage *reply)
{
    Health__ServingStatus status = ((const Health__HealthCheckResponse *)reply)->status;
    if (status == HEALTH__SERVING_STATUS__SERVING)
        return NULL;
    const ProtobufCEnumValue *known =
        protobuf_c_enum_descriptor_get_value(&health__serving_status__descriptor, (int)status);
    return known ? xasprintf("service unhealthy (responded with \"%s\")", known->name)
                 : xasprintf("service unhealthy (responded with \"%d\")", (int)status);
}

static void on_failed(struct grpc_check *check, const struct error *err)
{
    if (err->code == ERROR_DEADLINE_EXCEEDED)
        time_is_up(check);
    else if (err->code == ERROR_UNIMPLEMENTED)
        finish(check, arena_printf(check->arena,
                                   "error: this server does not implement the grpc health "
                                   "protocol (grpc.health.v1.Health): %s",
                                   err->message));
    else
        finish(check,
               arena_printf(check->arena, "error: health rpc probe failed: %s", err->message));
}

/* --- the connection --- */

static void try_again_later(struct grpc_check *check)
{
    grpc_channel_free(TAKE(check->channel));
    loop_timer_start(check->retry, check->retry_ns);
    check->retry_ns = min_i64(sat_mul_i64(check->retry_ns, RETRY_FACTOR_TENTHS) / 10, RETRY_MAX_NS);
}

static void on_reply(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    struct grpc_check *check = ctx;
    AUTO(error) struct error *err = err_owned;
    if (err && !check->is_connected) {
        try_again_later(check);
    } else if (err) {
        on_failed(check, err);
    } else {
        AUTO(free) char *failure = grpc_check_judge(reply);
        finish(check, arena_strdup(check->arena, failure));
    }
}

static void on_connected(void *ctx)
{
    ((struct grpc_check *)ctx)->is_connected = true;
}

static void on_dialled(void *ctx, struct byte_stream *stream_owned, struct error *err_owned)
{
    struct grpc_check *check = ctx;
    check->dial = NULL;
    if (err_owned) {
        error_ignore(err_owned, "it is tried again, and only that it took too long is told");
        try_again_later(check);
        return;
    }
    struct loop *loop = probe_net_loop(check->net);
    const struct grpc_channel_listener listener = {.on_connected = on_connected, .ctx = check};
    check->channel = grpc_channel_new_over(loop, stream_owned, check->address, check->user_agent,
                                           REPLY_MAX_BYTES);
    grpc_channel_listen(check->channel, &listener);
    Health__HealthCheckRequest request = HEALTH__HEALTH_CHECK_REQUEST__INIT;
    AUTO(free) char *service = xstrdup(check->service);
    request.service = service;
    int64_t left_ns = sat_sub_i64(check->deadline_mono_ns, loop_now_mono_ns(loop));
    (void)grpc_unary_start(check->channel, &method, &request.base, left_ns, on_reply, check);
}

static void on_retry(void *ctx)
{
    struct grpc_check *check = ctx;
    check->dial =
        probe_net_dial(check->net, check->host, check->port, check->timeout_ns, on_dialled, check);
}

struct grpc_check *grpc_check_start(struct probe_net *net, const struct grpc_check_options *options,
                                    grpc_check_on_done *on_done, void *ctx)
{
    struct grpc_check *check = xcalloc(1, sizeof(*check));
    struct loop *loop = probe_net_loop(net);
    struct arena *arena = arena_new(0);
    bool is_v6 = strchr(options->host, ':');
    *check = (struct grpc_check){.net = net,
                                 .arena = arena,
                                 .host = arena_strdup(arena, options->host),
                                 .service = arena_strdup(arena, options->service),
                                 .user_agent = arena_strdup(arena, options->user_agent),
                                 .port = options->port,
                                 .timeout_ns = options->timeout_ns,
                                 .retry_ns = RETRY_FIRST_NS,
                                 .on_done = on_done,
                                 .ctx = ctx};
    check->address = arena_printf(arena, "%s%s%s:%d", is_v6 ? "[" : "", options->host,
                                  is_v6 ? "]" : "", options->port);
    check->deadline_mono_ns = sat_add_i64(loop_now_mono_ns(loop), options->timeout_ns);
    check->limit = loop_timer_new(loop, "grpc check", on_limit, check);
    check->retry = loop_timer_new(loop, "grpc check again", on_retry, check);
    loop_timer_start(check->limit, options->timeout_ns);
    loop_timer_start(check->retry, -1);
    return check;
}
