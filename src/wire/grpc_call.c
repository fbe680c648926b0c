/*
 * A call: WAITING for a connection → SENT → OVER. It may be FAILING in between, when something went
 * wrong inside a function that must not call back. A server that refuses a call unseen (GOAWAY,
 * REFUSED_STREAM) sends it back to WAITING, once.
 */
#include "wire/grpc_internal.h"

#include "base/arena.h"
#include "wire/grpc_status.h"

/* --- messages --- */

/* An arena grows by doubling; starting small keeps a big reply from being held several times over.
 */
#define ARENA_FIRST_BLOCK_MAX (64 * KiB)

static struct arena *arena_for(struct str message)
{
    return arena_new(min_size(2 * message.len, ARENA_FIRST_BLOCK_MAX));
}

static void *alloc_in_arena(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void free_in_arena(UNUSED void *arena, UNUSED void *memory)
{
    /* Goes with the arena. */
}

static struct error *unpack(const struct grpc_method *method, struct str bytes, struct arena *arena,
                            ProtobufCMessage **ret)
{
    ProtobufCAllocator allocator = {
        .alloc = alloc_in_arena, .free = free_in_arena, .allocator_data = arena};
    *ret = protobuf_c_message_unpack(method->reply, &allocator, bytes.len,
                                     (const uint8_t *)(bytes.ptr ? bytes.ptr : ""));
    if (*ret)
        return NULL;
    return error_new(ERROR_INTERNAL, "grpc: failed to unmarshal the received message: not a %s",
                     method->reply->name);
}

static struct error *frame_request(struct grpc_call *call, const ProtobufCMessage *request)
{
    size_t len = request ? protobuf_c_message_get_packed_size(request) : 0;
    if (len > UINT32_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "grpc: message too large (%zu bytes)", len);
    call->request_len = GRPC_FRAME_PREFIX_SIZE + len;
    call->request = xcalloc(1, call->request_len);
    uint8_t *bytes = (uint8_t *)call->request;
    grpc_frame_prefix((uint32_t)len, bytes);
    if (request)
        protobuf_c_message_pack(request, bytes + GRPC_FRAME_PREFIX_SIZE);
    return NULL;
}

/* --- ends --- */

static void release(void *object)
{
    struct grpc_call *call = object;
    grpc_frame_parser_done(&call->parser);
    error_free(call->failure);
    error_free(call->status);
    error_free(call->http_status);
    free(call->request);
    free(call);
}

/* From here on nobody hears of the call. Its memory stays until the end of the turn, for the frames
 * above us. */
static void retire(struct grpc_call *call)
{
    ASSERT(call->state != GRPC_CALL_OVER);
    if (call->stream)
        http2_conn_reset_stream(call->conn, call->stream, HTTP2_CANCEL);
    call->stream = NULL;
    call->conn = NULL;
    loop_timer_free(call->timer);
    call->timer = NULL;
    call->state = GRPC_CALL_OVER;
    grpc_channel_remove(call->channel, call);
    loop_defer_free(grpc_channel_loop(call->channel), release, call);
}

void grpc_call_cancel(struct grpc_call *call)
{
    if (call && call->state != GRPC_CALL_OVER)
        retire(call);
}

/* @err_owned NULL: the end of a stream with status OK. */
static void finish(struct grpc_call *call, struct error *err_owned)
{
    retire(call);
    if (call->on_reply)
        call->on_reply(call->ctx, NULL, err_owned);
    else
        call->events->on_end(call->ctx, err_owned);
}

void grpc_call_fail(struct grpc_call *call, struct error *err_owned)
{
    finish(call, err_owned);
}

static struct error *deadline_error(void)
{
    return error_new(ERROR_DEADLINE_EXCEEDED, "context deadline exceeded");
}

static void on_timer(void *ctx)
{
    struct grpc_call *call = ctx;
    finish(call, call->failure ? TAKE(call->failure) : deadline_error());
}

static void arm_timer(struct grpc_call *call, int64_t delay_ns)
{
    if (!call->timer)
        call->timer = loop_timer_new(grpc_channel_loop(call->channel), "grpc call", on_timer, call);
    loop_timer_start(call->timer, delay_ns);
}

void grpc_call_fail_soon(struct grpc_call *call, struct error *err_owned)
{
    call->state = GRPC_CALL_FAILING;
    call->failure = err_owned;
    arm_timer(call, -1);
}

static void finish_unary(struct grpc_call *call)
{
    if (!call->has_message) {
        finish(call, error_new(ERROR_INTERNAL, "cardinality violation: received no response "
                                               "message from non-server-streaming RPC"));
        return;
    }
    AUTO(arena) struct arena *arena = arena_for(call->message);
    ProtobufCMessage *reply = NULL;
    struct error *err = unpack(call->method, call->message, arena, &reply);
    grpc_frame_parser_done(&call->parser);
    if (err) {
        finish(call, err);
        return;
    }
    retire(call);
    call->on_reply(call->ctx, reply, NULL);
}

/* --- the response --- */

static void on_fields(void *ctx, const struct http2_fields *fields, bool is_trailer)
{
    struct grpc_call *call = ctx;
    call->has_fields = true;
    const char *status = http2_fields_get(fields, "grpc-status");
    if (status && !call->has_status) {
        call->has_status = true;
        call->status = grpc_status_to_error(status, http2_fields_get(fields, "grpc-message"));
    }
    const char *http_status = http2_fields_get(fields, ":status");
    if (!is_trailer && !text_eq(http_status, "200"))
        call->http_status = grpc_error_from_http_status(http_status);
    const char *type = http2_fields_get(fields, "content-type");
    if (!is_trailer && !call->http_status && type && !text_has_prefix(type, "application/grpc"))
        call->http_status =
            error_new(ERROR_UNKNOWN, "transport: received unexpected content-type \"%s\"", type);
}

static void take_message(struct grpc_call *call, struct str message)
{
    if (call->on_reply) {
        call->has_message = true;
        call->message = message;
        return;
    }
    AUTO(arena) struct arena *arena = arena_for(message);
    ProtobufCMessage *unpacked = NULL;
    struct error *err = unpack(call->method, message, arena, &unpacked);
    if (err)
        finish(call, err);
    else
        call->events->on_message(call->ctx, unpacked);
}

static void on_data(void *ctx, struct str bytes)
{
    struct grpc_call *call = ctx;
    while (bytes.len > 0 && !call->http_status && call->state != GRPC_CALL_OVER) {
        struct str message = {0};
        bool is_message = false;
        struct error *err =
            call->has_message
                ? error_new(ERROR_INTERNAL,
                            "cardinality violation: expected <EOF> for non server-streaming RPCs, "
                            "but received another message")
                : grpc_frame_parser_next(&call->parser, &bytes, &message, &is_message);
        if (err)
            finish(call, err);
        else if (is_message)
            take_message(call, message);
    }
}

static void on_complete(struct grpc_call *call)
{
    if (call->has_status && call->status)
        finish(call, TAKE(call->status));
    else if (!call->has_status && call->http_status)
        finish(call, TAKE(call->http_status));
    else if (!call->has_status)
        finish(call, grpc_error_from_http_status("200"));
    else if (grpc_frame_parser_is_inside(&call->parser))
        finish(call, error_new(ERROR_INTERNAL, "unexpected EOF"));
    else if (call->on_reply)
        finish_unary(call);
    else
        finish(call, NULL);
}

static void on_reset(struct grpc_call *call, uint32_t error_code)
{
    /* A server that gives up at the deadline may be a moment ahead of our own timer. */
    int64_t now_ns = loop_now_mono_ns(grpc_channel_loop(call->channel));
    bool is_late = error_code == HTTP2_CANCEL && now_ns >= call->deadline_mono_ns;
    finish(call, is_late ? deadline_error() : grpc_error_from_reset(error_code));
}

static void on_end(void *ctx, const struct http2_end *end)
{
    struct grpc_call *call = ctx;
    call->stream = NULL;
    call->conn = NULL;
    switch (end->kind) {
    case HTTP2_END_COMPLETE:
        on_complete(call);
        break;
    case HTTP2_END_RESET:
        on_reset(call, end->error_code);
        break;
    case HTTP2_END_REFUSED:
        if (call->was_refused || call->has_fields) {
            on_reset(call, HTTP2_REFUSED_STREAM);
            break;
        }
        call->was_refused = true;
        call->state = GRPC_CALL_WAITING;
        grpc_channel_route(call->channel, call);
        break;
    case HTTP2_END_LOST:
        finish(call, error_dup(end->cause));
        break;
    }
}

static const struct http2_stream_events stream_events = {
    .on_fields = on_fields, .on_data = on_data, .on_end = on_end};

/* --- start --- */

void grpc_call_send(struct grpc_call *call, struct http2_conn *conn)
{
    char timeout[GRPC_TIMEOUT_SIZE] = "";
    const bool has_deadline = call->deadline_mono_ns != INT64_MAX;
    if (has_deadline) {
        int64_t now_ns = loop_now_mono_ns(grpc_channel_loop(call->channel));
        grpc_timeout_format(sat_sub_i64(call->deadline_mono_ns, now_ns), timeout);
    }
    const struct http2_field fields[] = {
        {":method", "POST"},
        {":scheme", "http"},
        {":path", call->method->path},
        {":authority", grpc_channel_authority(call->channel)},
        {"content-type", "application/grpc"},
        {"user-agent", grpc_channel_user_agent(call->channel)},
        {"te", "trailers"},
        {"grpc-timeout", timeout}, /* last, so that it can be left out */
    };
    const struct http2_request request = {
        .fields = fields,
        .field_count = ARRAY_SIZE(fields) - (has_deadline ? 0 : 1),
        .body = {.ptr = call->request, .len = call->request_len},
    };
    struct error *err =
        http2_conn_start_stream(conn, &request, &stream_events, call, &call->stream);
    if (err) {
        grpc_call_fail_soon(call, err);
        return;
    }
    call->conn = conn;
    call->state = GRPC_CALL_SENT;
}

static struct grpc_call *call_new(struct grpc_channel *channel, const struct grpc_method *method,
                                  const ProtobufCMessage *request, int64_t timeout_ns)
{
    ASSERT(!request || request->descriptor == method->request);
    struct grpc_call *call = xcalloc(1, sizeof(*call));
    call->channel = channel;
    call->method = method;
    call->deadline_mono_ns = INT64_MAX;
    grpc_frame_parser_init(&call->parser, grpc_channel_receive_max(channel));
    grpc_channel_add(channel, call);
    struct error *err = frame_request(call, request);
    if (err) {
        grpc_call_fail_soon(call, err);
        return call;
    }
    if (timeout_ns != GRPC_NO_TIMEOUT) {
        call->deadline_mono_ns =
            sat_add_i64(loop_now_mono_ns(grpc_channel_loop(channel)), timeout_ns);
        arm_timer(call, timeout_ns);
    }
    grpc_channel_route(channel, call);
    return call;
}

struct grpc_call *grpc_unary_start(struct grpc_channel *channel, const struct grpc_method *method,
                                   const ProtobufCMessage *request, int64_t timeout_ns,
                                   grpc_on_reply *on_reply, void *ctx)
{
    struct grpc_call *call = call_new(channel, method, request, timeout_ns);
    call->on_reply = on_reply;
    call->ctx = ctx;
    return call;
}

struct grpc_call *grpc_stream_start(struct grpc_channel *channel, const struct grpc_method *method,
                                    const ProtobufCMessage *request,
                                    const struct grpc_stream_events *events, void *ctx)
{
    struct grpc_call *call = call_new(channel, method, request, GRPC_NO_TIMEOUT);
    call->events = events;
    call->ctx = ctx;
    return call;
}
