#include "server/channel_bridge.h"

#include "server/command_status.h"
#include "wire/channels.h"
#include "wire/spdy.h"

/* What the channels are called as streams. */
static const char *const stream_names[CHANNEL_COUNT] = {[CHANNEL_STDIN] = "stdin",
                                                        [CHANNEL_STDOUT] = "stdout",
                                                        [CHANNEL_STDERR] = "stderr",
                                                        [CHANNEL_STATUS] = "error",
                                                        [CHANNEL_RESIZE] = "resize"};

/* The order in which streams are asked for. */
static const enum channel stream_order[] = {CHANNEL_STATUS, CHANNEL_STDIN, CHANNEL_STDOUT,
                                            CHANNEL_STDERR, CHANNEL_RESIZE};

/* What the runtime may have agreed to. */
static const struct protocol {
    const char *name;
    bool has_resize, has_status; /* else a failure is told as a text */
} protocols[] = {
    {CHANNELS_PROTOCOL, true, true},    {"v4.channel.k8s.io", true, true},
    {"v3.channel.k8s.io", true, false}, {"v2.channel.k8s.io", false, false},
    {"channel.k8s.io", false, false}, /* the last: also what an answer without a name means */
};

struct stream {
    uint32_t id;      /* 0: not asked for */
    bool has_replied; /* the runtime has it */
    bool has_ended;   /* it says no more on it */
    bool is_closed;   /* we say no more on it */
};

struct channel_bridge {
    struct streaming_switches switches;
    struct byte_queue *to_client, *to_runtime;
    const struct protocol *protocol; /* NULL: the runtime has not agreed yet */
    struct spdy *spdy;
    uint32_t next_ping;
    struct stream streams[CHANNEL_COUNT];
    struct buf status; /* what the runtime has written to the error stream */

    struct websocket_parser websocket;
    bool has_channel; /* of the client's message under way */
    uint8_t channel;
    size_t named_count; /* CHANNEL_CLOSE: bytes of that message */
    uint8_t named;      /* the first of them */
    bool has_pong;      /* one is owed */
    char pong[WEBSOCKET_CONTROL_MAX_BYTES];
    size_t pong_len;

    bool has_begun, has_finished, has_client_left;
    size_t tail_bytes;
    uint64_t traffic;
};

/* --- to the client --- */

static void tell_channel(struct channel_bridge *bridge, enum channel channel, struct str bytes)
{
    struct buf *out = byte_queue_end(bridge->to_client);
    bridge->traffic += bytes.len;
    const char number = (char)channel;
    websocket_add_head(out, WEBSOCKET_BINARY, bytes.len + 1);
    buf_add(out, &number, 1);
    buf_add_str(out, bytes);
}

/* The last word. */
static void finish(struct channel_bridge *bridge, const struct buf *status)
{
    if (bridge->has_finished)
        return;
    bridge->has_finished = true;
    if (bridge->has_client_left)
        return;
    size_t before = byte_queue_len(bridge->to_client);
    tell_channel(bridge, CHANNEL_STATUS, buf_str(status));
    websocket_add_close(byte_queue_end(bridge->to_client), WEBSOCKET_NORMAL);
    bridge->tail_bytes = byte_queue_len(bridge->to_client) - before;
}

void channel_bridge_fail(struct channel_bridge *bridge, const char *message)
{
    AUTO(buf) struct buf status;
    buf_init(&status, COMMAND_STATUS_ANSWER_MAX_BYTES);
    command_status_add_failure(&status, message);
    finish(bridge, &status);
}

static bool is_full(const struct byte_queue *queue)
{
    return byte_queue_len(queue) >= CHANNEL_BRIDGE_ROOM_BYTES;
}

/* Of several pings the last is answered, once there is room: who sends them and reads nothing does
 * not fill our memory. */
static void pay_pong(struct channel_bridge *bridge)
{
    if (!bridge->has_pong || is_full(bridge->to_client) || bridge->has_finished ||
        bridge->has_client_left)
        return;
    bridge->has_pong = false;
    websocket_add_frame(byte_queue_end(bridge->to_client), WEBSOCKET_PONG,
                        (struct str){.ptr = bridge->pong, .len = bridge->pong_len});
}

/* --- to the runtime --- */

static void tell_stream(struct channel_bridge *bridge, enum channel channel, struct str bytes,
                        bool is_last)
{
    struct stream *stream = &bridge->streams[channel];
    if (!bridge->has_begun || bridge->has_finished || stream->id == 0 || stream->is_closed)
        return;
    stream->is_closed = is_last;
    spdy_add_data(byte_queue_end(bridge->to_runtime), stream->id, bytes, is_last);
}

static bool is_wanted(const struct channel_bridge *bridge, enum channel channel)
{
    switch (channel) {
    case CHANNEL_STDIN:
        return bridge->switches.input;
    case CHANNEL_STDOUT:
        return bridge->switches.output;
    case CHANNEL_STDERR:
        return bridge->switches.error && !bridge->switches.tty;
    case CHANNEL_STATUS:
        return true;
    case CHANNEL_RESIZE:
        return bridge->switches.tty && bridge->protocol->has_resize;
    case CHANNEL_COUNT:
    case CHANNEL_CLOSE:
        break;
    }
    return false;
}

void channel_bridge_open(struct channel_bridge *bridge, const char *protocol)
{
    size_t chosen = 0;
    while (chosen + 1 < ARRAY_SIZE(protocols) && !text_eq(protocols[chosen].name, protocol))
        chosen++;
    bridge->protocol = &protocols[chosen];
    bridge->spdy = spdy_new();
    uint32_t next_id = 1; /* a client's are odd */
    for (size_t i = 0; i < ARRAY_SIZE(stream_order); i++) {
        enum channel channel = stream_order[i];
        if (!is_wanted(bridge, channel))
            continue;
        const struct http_field field = {.name = "streamtype", .value = stream_names[channel]};
        bridge->streams[channel].id = next_id;
        spdy_add_headers(bridge->spdy, byte_queue_end(bridge->to_runtime), SPDY_SYN_STREAM, next_id,
                         &(const struct http_fields){.items = &field, .count = 1});
        next_id += 2;
    }
}

void channel_bridge_ping(struct channel_bridge *bridge)
{
    if (!bridge->protocol || bridge->has_finished || byte_queue_len(bridge->to_runtime) > 0)
        return; /* what waits there says the same */
    spdy_add_control(byte_queue_end(bridge->to_runtime), SPDY_PING, &bridge->next_ping, 1);
    bridge->next_ping += 2;
}

/* --- what the runtime says --- */

static struct stream *find_stream(struct channel_bridge *bridge, uint32_t id,
                                  enum channel *ret_channel)
{
    for (size_t i = 0; i < CHANNEL_COUNT; i++) {
        if (bridge->streams[i].id == id && id != 0) {
            *ret_channel = (enum channel)i;
            return &bridge->streams[i];
        }
    }
    return NULL;
}

/* True when nothing more is to come on @channel. */
static bool is_done(const struct channel_bridge *bridge, enum channel channel)
{
    return bridge->streams[channel].id == 0 || bridge->streams[channel].has_ended;
}

static void finish_if_done(struct channel_bridge *bridge)
{
    /* A status may come instead of the streams. */
    bool is_told = bridge->has_begun || bridge->status.len > 0;
    if (bridge->has_finished || !is_told || !is_done(bridge, CHANNEL_STDOUT) ||
        !is_done(bridge, CHANNEL_STDERR) || !is_done(bridge, CHANNEL_STATUS))
        return;
    if (bridge->status.overflowed) {
        channel_bridge_fail(bridge, "error reading from error stream: the status is too large");
        return;
    }
    AUTO(buf) struct buf status;
    buf_init(&status, COMMAND_STATUS_ANSWER_MAX_BYTES);
    command_status_add(&status, buf_str(&bridge->status), bridge->protocol->has_status);
    finish(bridge, &status);
}

static void take_reply(struct channel_bridge *bridge, struct stream *stream)
{
    stream->has_replied = true;
    bridge->has_begun = true;
    for (size_t i = 0; i < CHANNEL_COUNT; i++) {
        if (bridge->streams[i].id != 0 && !bridge->streams[i].has_replied)
            bridge->has_begun = false;
    }
}

static void take_data(struct channel_bridge *bridge, enum channel channel, struct str bytes)
{
    if (bytes.len == 0)
        return;
    if (channel == CHANNEL_STATUS)
        buf_add_str(&bridge->status, bytes);
    else if ((channel == CHANNEL_STDOUT || channel == CHANNEL_STDERR) && !bridge->has_client_left)
        tell_channel(bridge, channel, bytes);
}

/* The runtime says no more on the stream; @is_reset: and hears no more either. */
static void end_stream(struct channel_bridge *bridge, enum channel channel, bool is_reset)
{
    struct stream *stream = &bridge->streams[channel];
    if (is_reset && !stream->has_replied && !bridge->has_begun) {
        AUTO(free)
        char *message = xasprintf("the runtime refused the stream \"%s\"", stream_names[channel]);
        channel_bridge_fail(bridge, message);
        return;
    }
    /* A status says also that all went well, so none at all is no success. */
    if (is_reset && channel == CHANNEL_STATUS && bridge->status.len == 0 &&
        bridge->protocol->has_status) {
        channel_bridge_fail(bridge, "the runtime broke the error stream off");
        return;
    }
    stream->has_ended = true;
    if (is_reset)
        stream->is_closed = true;
    else if (channel == CHANNEL_STDIN || channel == CHANNEL_RESIZE)
        tell_stream(bridge, channel, (struct str){0}, true); /* nobody reads it any more */
}

static void take_stream_event(struct channel_bridge *bridge, const struct spdy_event *event)
{
    enum channel channel = CHANNEL_STATUS;
    struct stream *stream = find_stream(bridge, event->stream, &channel);
    if (!stream || stream->has_ended)
        return;
    if (event->frame == SPDY_SYN_REPLY)
        take_reply(bridge, stream);
    if (event->frame == SPDY_DATA)
        take_data(bridge, channel, event->bytes);
    if (event->is_last || event->frame == SPDY_RST_STREAM)
        end_stream(bridge, channel, event->frame == SPDY_RST_STREAM);
    finish_if_done(bridge);
}

/* It is heard also while it does not listen: the two may depend on each other. So what it does not
 * take is not said. */
static void answer_runtime(struct channel_bridge *bridge, enum spdy_frame frame,
                           const uint32_t *numbers, size_t count)
{
    if (!is_full(bridge->to_runtime))
        spdy_add_control(byte_queue_end(bridge->to_runtime), frame, numbers, count);
}

static void take_spdy_event(struct channel_bridge *bridge, const struct spdy_event *event)
{
    switch (event->frame) {
    case SPDY_SYN_REPLY:
    case SPDY_DATA:
    case SPDY_RST_STREAM:
    case SPDY_HEADERS:
        take_stream_event(bridge, event);
        break;
    case SPDY_SYN_STREAM: /* a server has no streams of its own here */
        answer_runtime(bridge, SPDY_RST_STREAM,
                       (const uint32_t[]){event->stream, SPDY_REFUSED_STREAM}, 2);
        break;
    case SPDY_PING:
        if (event->value % 2 == 0) /* else it answers ours */
            answer_runtime(bridge, SPDY_PING, &event->value, 1);
        break;
    case SPDY_NONE:
    case SPDY_SETTINGS:
    case SPDY_GOAWAY:
    case SPDY_WINDOW_UPDATE:
        break;
    }
}

bool channel_bridge_hears_runtime(const struct channel_bridge *bridge)
{
    return bridge->has_finished || !is_full(bridge->to_client);
}

void channel_bridge_hear_runtime(struct channel_bridge *bridge, struct str *input)
{
    struct spdy_event event = {.frame = SPDY_PING};
    while (event.frame != SPDY_NONE && !bridge->has_finished &&
           channel_bridge_hears_runtime(bridge)) {
        AUTO(error) struct error *err = spdy_next(bridge->spdy, input, &event);
        if (err) {
            channel_bridge_fail(bridge, err->message);
            break;
        }
        take_spdy_event(bridge, &event);
    }
    if (bridge->has_finished)
        *input = (struct str){0};
    pay_pong(bridge);
}

void channel_bridge_lose_runtime(struct channel_bridge *bridge)
{
    /* The older protocols have no other way to say that all went well. */
    bool may_be_success = bridge->has_begun && (!bridge->protocol->has_status ||
                                                bridge->streams[CHANNEL_STATUS].has_ended);
    bool has_said = bridge->status.len > 0;
    if (!may_be_success && !has_said) {
        channel_bridge_fail(bridge, "the connection to the runtime was lost");
        return;
    }
    for (size_t i = 0; i < CHANNEL_COUNT; i++)
        bridge->streams[i].has_ended = bridge->streams[i].is_closed = true;
    finish_if_done(bridge);
}

/* --- what the client says --- */

void channel_bridge_lose_client(struct channel_bridge *bridge)
{
    if (bridge->has_client_left)
        return;
    bridge->has_client_left = true;
    tell_stream(bridge, CHANNEL_STDIN, (struct str){0}, true);
    tell_stream(bridge, CHANNEL_RESIZE, (struct str){0}, true);
}

static bool may_be_told(enum channel channel)
{
    return channel == CHANNEL_STDIN || channel == CHANNEL_RESIZE;
}

/* A piece of a message: its first byte says what the rest is about. */
static void take_piece(struct channel_bridge *bridge, const struct websocket_event *event)
{
    struct str bytes = event->bytes;
    bridge->traffic += bytes.len;
    if (!bridge->has_channel && bytes.len > 0) {
        bridge->has_channel = true;
        bridge->channel = (uint8_t)bytes.ptr[0];
        bridge->named_count = 0;
        bytes = (struct str){.ptr = bytes.ptr + 1, .len = bytes.len - 1};
    }
    if (bridge->has_channel && bridge->channel == CHANNEL_CLOSE && bytes.len > 0) {
        if (bridge->named_count == 0)
            bridge->named = (uint8_t)bytes.ptr[0];
        bridge->named_count += min_size(bytes.len, 2); /* more than one is one too many */
    } else if (bridge->has_channel && may_be_told(bridge->channel) && bytes.len > 0) {
        tell_stream(bridge, (enum channel)bridge->channel, bytes, false);
    }
    if (!event->is_last)
        return;
    if (bridge->has_channel && bridge->channel == CHANNEL_CLOSE && bridge->named_count == 1 &&
        may_be_told(bridge->named))
        tell_stream(bridge, (enum channel)bridge->named, (struct str){0}, true);
    bridge->has_channel = false;
}

static void say_goodbye(struct channel_bridge *bridge, enum websocket_status status)
{
    if (!bridge->has_finished)
        websocket_add_close(byte_queue_end(bridge->to_client), status);
    channel_bridge_lose_client(bridge);
}

static void take_websocket_event(struct channel_bridge *bridge, const struct websocket_event *event)
{
    switch (event->kind) {
    case WEBSOCKET_EVENT_NONE:
    case WEBSOCKET_EVENT_PONG:
        break;
    case WEBSOCKET_EVENT_PIECE:
        take_piece(bridge, event);
        break;
    case WEBSOCKET_EVENT_PING:
        bridge->has_pong = true;
        bridge->pong_len = event->bytes.len;
        memcpy(bridge->pong, event->bytes.ptr, event->bytes.len);
        break;
    case WEBSOCKET_EVENT_CLOSE:
        say_goodbye(bridge, WEBSOCKET_NORMAL);
        break;
    }
}

/* Before the streams are there what it says must wait, and after its leaving it says nothing. */
bool channel_bridge_hears_client(const struct channel_bridge *bridge)
{
    return bridge->has_finished || bridge->has_client_left ||
           (bridge->has_begun && !is_full(bridge->to_runtime));
}

void channel_bridge_hear_client(struct channel_bridge *bridge, struct websocket_input *input)
{
    struct websocket_event event = {.kind = WEBSOCKET_EVENT_PONG};
    while (event.kind != WEBSOCKET_EVENT_NONE && !bridge->has_client_left &&
           channel_bridge_hears_client(bridge)) {
        AUTO(error) struct error *err = websocket_next(&bridge->websocket, input, &event);
        if (err) {
            say_goodbye(bridge, WEBSOCKET_PROTOCOL_ERROR);
            break;
        }
        take_websocket_event(bridge, &event);
    }
    if (bridge->has_client_left)
        *input = (struct websocket_input){0};
    pay_pong(bridge);
}

/* --- life --- */

struct channel_bridge *channel_bridge_new(const struct streaming_switches *switches,
                                          struct byte_queue *to_client,
                                          struct byte_queue *to_runtime)
{
    struct channel_bridge *bridge = xcalloc(1, sizeof(*bridge));
    bridge->switches = *switches;
    bridge->to_client = to_client;
    bridge->to_runtime = to_runtime;
    bridge->next_ping = 1;
    buf_init(&bridge->status, COMMAND_STATUS_MAX_BYTES);
    bool has_error_output = switches->error && !switches->tty;
    tell_channel(bridge,
                 switches->output   ? CHANNEL_STDOUT
                 : has_error_output ? CHANNEL_STDERR
                                    : CHANNEL_STATUS,
                 (struct str){0});
    return bridge;
}

void channel_bridge_free(struct channel_bridge *bridge)
{
    if (!bridge)
        return;
    spdy_free(bridge->spdy);
    buf_done(&bridge->status);
    free(bridge);
}

bool channel_bridge_has_begun(const struct channel_bridge *bridge)
{
    return bridge->has_begun;
}

bool channel_bridge_has_finished(const struct channel_bridge *bridge)
{
    return bridge->has_finished;
}

bool channel_bridge_has_client_left(const struct channel_bridge *bridge)
{
    return bridge->has_client_left;
}

uint64_t channel_bridge_traffic(const struct channel_bridge *bridge)
{
    return bridge->traffic;
}

size_t channel_bridge_tail_bytes(const struct channel_bridge *bridge)
{
    return bridge->tail_bytes;
}
