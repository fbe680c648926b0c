/*
 * A command's channels on a WebSocket that ends here. The client is welcomed at once; whatever goes
 * wrong from then on it is told in a status.
 *
 *     ASKING ──► OPENING ──► OPEN ──► LEAVING ──► over
 *        └─────────┴───────────────────┘
 *
 * The bridge decides what is said; this moves the bytes, and minds the time: for the runtime's
 * streams, for a client that does not take its status, for one that has left while the runtime
 * still takes its input, and for a session in which nothing happens at all.
 */
#include "base/hash.h"
#include "server/channel_bridge.h"
#include "server/reply.h"
#include "server/streaming_internal.h"
#include "wire/stream_end.h"

#define STREAMS_TIMEOUT_NS (30 * NS_PER_SEC)
#define PING_NS (5 * NS_PER_SEC)
#define IDLE_TIMEOUT_NS (INT64_C(4) * 3600 * NS_PER_SEC)
#define STATUS_TIMEOUT_NS (10 * NS_PER_SEC) /* for the client to take it, and to say goodbye */
#define LEAVING_NS (30 * NS_PER_SEC)        /* for the runtime to take what was said */
#define REFUSAL_MAX_BYTES (4 * KiB)         /* of the runtime's words, to be quoted */
#define HEAD_MAX_BYTES (16 * KiB)
/* Who says much that goes nowhere must not keep the other work of a turn waiting. */
#define READS_PER_TURN 4
/* Far above CHANNEL_BRIDGE_ROOM_BYTES: a status comes on top, and queues move up now and then. */
#define OUT_MAX_BYTES (2 * MiB)

struct streaming_bridge {
    struct streaming *streaming;
    struct arena *arena; /* of the exchange it was */
    const char *url;
    struct upgrade_ask *ask; /* NULL: over */
    unsigned refused;        /* the status of an answer that is no agreement */
    struct buf refusal;      /* the beginning of its body */
    const char *protocol;    /* agreed to */
    struct channel_bridge *channels;
    struct stream_end client, runtime;
    struct buf client_said, runtime_said; /* what there was no room for */
    struct loop_timer *limit, *ping, *idle, *again;
    bool is_leaving; /* the limit is about its end */
    struct streaming_bridge *prev, *next;
};

static void bridge_free(void *object)
{
    struct streaming_bridge *bridge = object;
    upgrade_ask_cancel(bridge->ask);
    loop_timer_free(bridge->limit);
    loop_timer_free(bridge->ping);
    loop_timer_free(bridge->idle);
    loop_timer_free(bridge->again);
    stream_end_done(&bridge->client);
    stream_end_done(&bridge->runtime);
    channel_bridge_free(bridge->channels);
    buf_done(&bridge->refusal);
    buf_done(&bridge->client_said);
    buf_done(&bridge->runtime_said);
    arena_free(bridge->arena);
    free(bridge);
}

static void unlink_bridge(struct streaming_bridge *bridge)
{
    DL_DELETE(bridge->streaming->bridges, bridge);
    bridge->streaming->bridge_count--;
}

/* Ends from within a callback of one of the streams; both may be due in the same turn. */
static void end(struct streaming_bridge *bridge)
{
    unlink_bridge(bridge);
    upgrade_ask_cancel(TAKE(bridge->ask));
    loop_timer_cancel(bridge->limit);
    loop_timer_cancel(bridge->ping);
    loop_timer_cancel(bridge->idle);
    loop_timer_cancel(bridge->again);
    byte_stream_free(TAKE(bridge->client.stream));
    byte_stream_free(TAKE(bridge->runtime.stream));
    loop_defer_free(bridge->streaming->options.loop, bridge_free, bridge);
}

/* --- moving bytes --- */

/* Reads once into @said, if that is empty. False: there is nothing to hear. */
static bool listen_to(struct stream_end *from, struct buf *said)
{
    char chunk[STREAM_END_CHUNK_BYTES];
    struct str bytes;
    if (said->len > 0)
        return true;
    if (!from->stream || !stream_end_read(from, chunk, &bytes))
        return false;
    buf_add_str(said, bytes);
    return true;
}

/* Drops what was taken off the front, so that @left bytes are left. */
static void keep_rest(struct buf *said, size_t left)
{
    buf_consume(said, said->len - left);
    if (left == 0)
        buf_done(said);
}

static void hear_client(struct streaming_bridge *bridge)
{
    for (int i = 0; i < READS_PER_TURN; i++) {
        if (!listen_to(&bridge->client, &bridge->client_said))
            break;
        struct websocket_input input = {.ptr = bridge->client_said.data,
                                        .len = bridge->client_said.len};
        channel_bridge_hear_client(bridge->channels, &input);
        keep_rest(&bridge->client_said, input.len);
        if (input.len > 0)
            break; /* there is no room */
    }
    if (bridge->client.is_cut || (bridge->client.is_read_out && bridge->client_said.len == 0))
        channel_bridge_lose_client(bridge->channels);
}

static void hear_runtime(struct streaming_bridge *bridge)
{
    if (!bridge->protocol)
        return;
    for (int i = 0; i < READS_PER_TURN && channel_bridge_hears_runtime(bridge->channels); i++) {
        if (!listen_to(&bridge->runtime, &bridge->runtime_said))
            break;
        struct str input = buf_str(&bridge->runtime_said);
        channel_bridge_hear_runtime(bridge->channels, &input);
        keep_rest(&bridge->runtime_said, input.len);
    }
    if (bridge->runtime.is_read_out && bridge->runtime_said.len == 0)
        channel_bridge_lose_runtime(bridge->channels);
}

static bool is_written(const struct stream_end *to)
{
    return !to->stream || stream_end_backlog(to) == 0;
}

static bool is_over(const struct streaming_bridge *bridge)
{
    bool has_left = channel_bridge_has_client_left(bridge->channels);
    if (!has_left || !is_written(&bridge->client))
        return false;
    /* What it had said is for a command that still runs, if there is one. */
    return channel_bridge_has_finished(bridge->channels) || !bridge->protocol ||
           is_written(&bridge->runtime) || bridge->runtime.is_read_out;
}

/* Once it is ending, somebody has only so long to take what is left. */
static void limit_leaving(struct streaming_bridge *bridge)
{
    bool is_told =
        channel_bridge_has_finished(bridge->channels) &&
        stream_end_backlog(&bridge->client) <= channel_bridge_tail_bytes(bridge->channels);
    bool has_left = channel_bridge_has_client_left(bridge->channels);
    if (bridge->is_leaving || (!is_told && !has_left))
        return;
    bridge->is_leaving = true;
    loop_timer_start(bridge->limit, is_told ? STATUS_TIMEOUT_NS : LEAVING_NS);
}

/* What was kept for want of room is heard in the next turn if there is some now: no descriptor
 * tells of it. */
static void wait_for_more(struct streaming_bridge *bridge)
{
    if ((bridge->client_said.len > 0 && channel_bridge_hears_client(bridge->channels)) ||
        (bridge->runtime_said.len > 0 && channel_bridge_hears_runtime(bridge->channels)))
        loop_timer_start(bridge->again, -1);
    stream_end_wait(&bridge->client, bridge->client_said.len == 0);
    if (bridge->runtime.stream)
        stream_end_wait(&bridge->runtime, channel_bridge_hears_runtime(bridge->channels));
}

/* Does all that can be done now. */
static void pump(struct streaming_bridge *bridge)
{
    bool has_begun = channel_bridge_has_begun(bridge->channels);
    uint64_t traffic = channel_bridge_traffic(bridge->channels);
    hear_runtime(bridge);
    hear_client(bridge);
    if (bridge->runtime.stream)
        stream_end_flush(&bridge->runtime);
    stream_end_flush(&bridge->client);
    if (!has_begun && channel_bridge_has_begun(bridge->channels) && !bridge->is_leaving)
        loop_timer_cancel(bridge->limit);
    if (channel_bridge_has_finished(bridge->channels)) {
        byte_stream_free(TAKE(bridge->runtime.stream));
        upgrade_ask_cancel(TAKE(bridge->ask));
    }
    if (is_over(bridge)) {
        end(bridge);
        return;
    }
    limit_leaving(bridge);
    if (channel_bridge_traffic(bridge->channels) != traffic)
        loop_timer_start(bridge->idle, IDLE_TIMEOUT_NS);
    wait_for_more(bridge);
}

static void on_ready(void *ctx, UNUSED unsigned events)
{
    pump(ctx);
}

/* --- time --- */

static void fail(struct streaming_bridge *bridge, const char *message)
{
    channel_bridge_fail(bridge->channels, message);
    pump(bridge);
}

static void on_limit(void *ctx)
{
    struct streaming_bridge *bridge = ctx;
    if (bridge->is_leaving)
        end(bridge);
    else
        fail(bridge, "timed out waiting for the runtime to create streams");
}

static void on_again(void *ctx)
{
    pump(ctx);
}

static void on_idle(void *ctx)
{
    end(ctx);
}

static void on_ping(void *ctx)
{
    struct streaming_bridge *bridge = ctx;
    loop_timer_start(bridge->ping, PING_NS);
    channel_bridge_ping(bridge->channels);
    pump(bridge);
}

/* --- the runtime's answer --- */

static void on_head(void *ctx, const struct http1_head *head)
{
    struct streaming_bridge *bridge = ctx;
    const char *protocol = http_fields_get(&head->fields, "x-stream-protocol-version");
    if (head->is_upgrade)
        bridge->protocol = arena_strdup(bridge->arena, protocol ? protocol : "");
    else
        bridge->refused = head->status;
}

static void on_body(void *ctx, struct str bytes)
{
    struct streaming_bridge *bridge = ctx;
    bytes.len = min_size(bytes.len, REFUSAL_MAX_BYTES - bridge->refusal.len);
    buf_add_str(&bridge->refusal, bytes);
}

static void on_agreed(void *ctx, struct byte_stream *stream_owned, struct str early)
{
    struct streaming_bridge *bridge = ctx;
    bridge->ask = NULL;
    bridge->runtime.stream = stream_owned;
    buf_add_str(&bridge->runtime_said, early);
    channel_bridge_open(bridge->channels, bridge->protocol);
    stream_owned->vtable->listen(stream_owned, on_ready, bridge);
    loop_timer_start(bridge->limit, STREAMS_TIMEOUT_NS);
    loop_timer_start(bridge->ping, PING_NS);
    pump(bridge);
}

static void on_end(void *ctx, struct error *err_owned)
{
    struct streaming_bridge *bridge = ctx;
    AUTO(error) struct error *err = err_owned;
    struct str said = str_trim(buf_str(&bridge->refusal));
    const char *why = err ? err->message : "redirect not allowed";
    const char *message =
        bridge->refused >= 400 || (bridge->refused != 0 && bridge->refused < 300)
            ? arena_printf(bridge->arena, "unable to upgrade connection: %.*s", STR_ARG(said))
            : arena_printf(bridge->arena, "error sending request: Post \"%s\": %s", bridge->url,
                           why);
    bridge->ask = NULL;
    fail(bridge, message);
}

/* --- beginning --- */

static struct upgrade_ask *ask_runtime(struct streaming_bridge *bridge,
                                       const struct streaming_session *session)
{
    static const struct upgrade_events events = {
        .on_head = on_head, .on_body = on_body, .on_agreed = on_agreed, .on_end = on_end};
    const struct streaming_options *options = &bridge->streaming->options;
    AUTO(buf) struct buf head;
    buf_init(&head, HEAD_MAX_BYTES + strlen(session->url.target));
    streaming_write_command_head(&head, &session->url);
    const struct upgrade_request request = {.host = session->url.host,
                                            .port = session->url.port,
                                            .tls = session->tls,
                                            .head = buf_str(&head)};
    return upgrade_ask_start(options->loop, options->pool, &request, &events, bridge);
}

static void make_timers(struct streaming_bridge *bridge, struct loop *loop)
{
    bridge->limit = loop_timer_new(loop, "command streams", on_limit, bridge);
    bridge->ping = loop_timer_new(loop, "command ping", on_ping, bridge);
    bridge->idle = loop_timer_new(loop, "command idle", on_idle, bridge);
    bridge->again = loop_timer_new(loop, "command room", on_again, bridge);
    loop_timer_start(bridge->idle, IDLE_TIMEOUT_NS);
}

static void begin(struct streaming *streaming, const struct streaming_session *session,
                  const char *key, struct http_exchange *exchange)
{
    struct str early = {0};
    struct byte_stream *stream = NULL;
    struct arena *arena = NULL;
    struct error *err = http_exchange_take(exchange, &stream, &early, &arena);
    if (err) {
        reply_error(exchange, err);
        return;
    }
    struct streaming_bridge *bridge = xcalloc(1, sizeof(*bridge));
    bridge->streaming = streaming;
    bridge->arena = arena;
    bridge->url = arena_printf(arena, "%s://%s%s", session->url.is_tls ? "https" : "http",
                               session->url.authority, session->url.target);
    buf_init(&bridge->refusal, REFUSAL_MAX_BYTES);
    buf_init(&bridge->client_said, STREAM_END_CHUNK_BYTES + early.len);
    buf_init(&bridge->runtime_said, 256 * KiB); /* as much as may come behind an answer */
    buf_add_str(&bridge->client_said, early);
    stream_end_init(&bridge->client, OUT_MAX_BYTES);
    stream_end_init(&bridge->runtime, OUT_MAX_BYTES);
    bridge->client.stream = stream;
    websocket_add_agreement(byte_queue_end(&bridge->client.out), key, CHANNELS_PROTOCOL);
    bridge->channels =
        channel_bridge_new(&session->switches, &bridge->client.out, &bridge->runtime.out);
    make_timers(bridge, streaming->options.loop);
    DL_APPEND(streaming->bridges, bridge);
    streaming->bridge_count++;
    bridge->ask = ask_runtime(bridge, session);
    stream->vtable->listen(stream, on_ready, bridge);
    stream_end_wait(&bridge->client, true);
}

void streaming_channels(struct streaming *streaming, const struct streaming_session *session,
                        struct http_exchange *exchange)
{
    const char *key = NULL;
    AUTO(error) struct error *err = websocket_check_request(session->fields, &key);
    if (err)
        reply_plain_error(exchange, 400, err->message);
    else
        begin(streaming, session, key, exchange);
}

void streaming_channels_free_all(struct streaming *streaming)
{
    struct streaming_bridge *bridge, *next;
    DL_FOREACH_SAFE(streaming->bridges, bridge, next) {
        unlink_bridge(bridge);
        bridge_free(bridge);
    }
}
