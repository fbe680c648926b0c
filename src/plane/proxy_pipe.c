/*
 * An upgrade (exec, attach, port-forward) on a connection of its own:
 *
 *     DIALLING ── connected, TLS done, request sent ──► ASKING ── 101 ──► COPYING
 *         │                                               │
 *         └── no connection ──► REFUSED ◄── other answer ─┘
 *
 * Only when the node has agreed to another protocol are the two connections bytes to each other.
 * Until then nothing the client says is passed on, and after a refusal never: on a connection that
 * still speaks HTTP a client could ask the node for anything, with the plane's own certificate. A
 * refusal is read as HTTP, passed on with `connection: close`, and that is the end.
 *
 * Each direction holds about PIPE_MAX_BYTES; a full one stops reading. When one side has ended and
 * all it said is delivered, the conversation is over, because a byte stream closes as a whole. So
 * it is when the side broke off: what it had said may be what matters, such as a command's exit
 * status. A node that can no longer be written to may still have said it, too. What is left of a
 * client that has gone the node must take in LEAVING_NS; a client may read as slowly as it likes,
 * for behind it is somebody in front of a pager.
 */
#include "plane/proxy_internal.h"

#include "base/hash.h"
#include "wire/dial.h"
#include "wire/http1.h"

#define DIAL_TIMEOUT_NS (30 * NS_PER_SEC)
/* From the beginning to the node's agreement, and for a refusal: the node asks its runtime. */
#define ANSWER_TIMEOUT_NS (180 * NS_PER_SEC)
#define LEAVING_NS (30 * NS_PER_SEC)
#define PIPE_MAX_BYTES (64 * KiB)
#define HEAD_MAX_BYTES (64 * KiB)
#define REQUEST_MAX_BYTES (128 * KiB)
#define READ_CHUNK_BYTES (16 * KiB)

enum pipe_state { PIPE_DIALLING, PIPE_ASKING, PIPE_COPYING, PIPE_REFUSED };

/* One of the two connections, with what is to be written to it. */
struct end {
    struct byte_stream *stream; /* NULL: not yet */
    struct buf to_write;
    bool is_read_out; /* it will say nothing more */
    bool is_cut;      /* it takes nothing any more */
};

struct pipe {
    struct pipe_house *house;
    struct arena *arena; /* of the exchange it was */
    const char *host;
    struct tls_context *tls; /* NULL: without */
    enum pipe_state state;
    struct dial *dial;
    bool is_shaking_hands;
    struct loop_timer *limit;
    struct http1_parser *parser; /* of the node's answer */
    struct buf answer;           /* what it has not taken yet */
    struct buf held;             /* what the client said before the node agreed */
    bool has_agreed;             /* ASKING: only the end of the answer's head is missing */
    bool is_answered;            /* REFUSED: all of the answer is in client.to_write */
    struct end client, node;
    struct pipe *prev, *next;
};

static void pipe_free(void *object)
{
    struct pipe *pipe = object;
    dial_cancel(pipe->dial);
    loop_timer_free(pipe->limit);
    byte_stream_free(pipe->client.stream);
    byte_stream_free(pipe->node.stream);
    tls_context_unref(pipe->tls);
    http1_parser_free(pipe->parser);
    buf_done(&pipe->answer);
    buf_done(&pipe->held);
    buf_done(&pipe->client.to_write);
    buf_done(&pipe->node.to_write);
    arena_free(pipe->arena);
    free(pipe);
}

static void unlink_pipe(struct pipe *pipe)
{
    DL_DELETE(pipe->house->pipes, pipe);
    pipe->house->count--;
}

/* Ends from within a callback of one of the streams. Both are freed at once, because the other one
 * may be due in the same turn, and a handshake ends whether or not anybody wants to read. */
static void pipe_end(struct pipe *pipe)
{
    unlink_pipe(pipe);
    dial_cancel(TAKE(pipe->dial));
    loop_timer_cancel(pipe->limit);
    byte_stream_free(TAKE(pipe->client.stream));
    byte_stream_free(TAKE(pipe->node.stream));
    loop_defer_free(pipe->house->loop, pipe_free, pipe);
}

static void put(struct end *end, struct str bytes)
{
    if (!end->is_cut)
        buf_add_str(&end->to_write, bytes);
}

/* --- the node's answer --- */

/* The head as the client shall see it. What the node says about its own connection goes, but for
 * an agreement, where it is the point. */
static void write_head(const struct http1_head *head, struct buf *out)
{
    buf_printf(out, "HTTP/1.1 %u %s\r\n", head->status, http_status_text(head->status));
    for (size_t i = 0; i < head->fields.count; i++) {
        const struct http_field *field = &head->fields.items[i];
        if (head->is_upgrade || proxy_passes_field(&head->fields, field))
            buf_printf(out, "%s: %s\r\n", field->name, field->value);
    }
    if (!head->is_upgrade) {
        if (head->body_length >= 0)
            buf_printf(out, "content-length: %lld\r\n", (long long)head->body_length);
        buf_add_text(out, "connection: close\r\n");
    }
    buf_add_text(out, "\r\n");
}

static void agree(struct pipe *pipe, struct str rest)
{
    pipe->state = PIPE_COPYING;
    loop_timer_cancel(pipe->limit);
    http1_parser_free(TAKE(pipe->parser));
    put(&pipe->client, rest);
    put(&pipe->node, buf_str(&pipe->held));
    buf_done(&pipe->held);
    buf_done(&pipe->answer);
}

static bool is_informational(const struct http1_head *head)
{
    return head->status < 200 && !head->is_upgrade;
}

/* Tells the client in HTTP why there will be nothing. */
static void refuse(struct pipe *pipe, const char *message)
{
    AUTO(buf) struct buf body;
    buf_init(&body, HEAD_MAX_BYTES);
    proxy_write_failure(500, message, &body);
    buf_printf(&pipe->client.to_write,
               "HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json\r\n"
               "content-length: %zu\r\nconnection: close\r\n\r\n",
               body.len);
    buf_add_str(&pipe->client.to_write, buf_str(&body));
    buf_clear(&pipe->node.to_write);
    pipe->state = PIPE_REFUSED;
    pipe->is_answered = true;
    pipe->node.is_read_out = true;
}

static void take_answer_head(struct pipe *pipe, const struct http1_head *head)
{
    if (is_informational(head))
        return;
    pipe->has_agreed = head->is_upgrade;
    if (!pipe->has_agreed)
        pipe->state = PIPE_REFUSED;
    write_head(head, &pipe->client.to_write);
}

static bool can_take_answer(const struct pipe *pipe)
{
    return !pipe->is_answered && (pipe->has_agreed || pipe->client.to_write.len < PIPE_MAX_BYTES);
}

/* Takes what there is of the answer. */
static void read_answer(struct pipe *pipe)
{
    struct str rest = buf_str(&pipe->answer);
    struct http1_event event = {.kind = HTTP1_BODY};
    while (event.kind != HTTP1_NONE && can_take_answer(pipe)) {
        AUTO(error) struct error *err = http1_parser_next(pipe->parser, &rest, &event);
        if (err && pipe->state == PIPE_ASKING)
            refuse(pipe, "error dialing backend: the node's answer is no HTTP");
        if (err) {
            pipe->is_answered = true; /* what is left cannot be told from what is not */
            break;
        }
        switch (event.kind) {
        case HTTP1_NONE:
            break;
        case HTTP1_HEAD:
            take_answer_head(pipe, event.head);
            break;
        case HTTP1_BODY:
            put(&pipe->client, event.bytes);
            break;
        case HTTP1_COMPLETE:
            if (pipe->has_agreed) {
                agree(pipe, rest);
                return;
            }
            pipe->is_answered = pipe->state == PIPE_REFUSED;
            break;
        }
    }
    buf_consume(&pipe->answer, pipe->answer.len - rest.len);
}

/* --- moving bytes --- */

static bool has_room(const struct pipe *pipe, const struct end *from)
{
    if (from == &pipe->node)
        return !pipe->is_answered && pipe->client.to_write.len < PIPE_MAX_BYTES &&
               pipe->answer.len < HEAD_MAX_BYTES;
    switch (pipe->state) {
    case PIPE_DIALLING:
    case PIPE_ASKING:
        return pipe->held.len < PIPE_MAX_BYTES;
    case PIPE_COPYING:
        return pipe->node.to_write.len < PIPE_MAX_BYTES;
    case PIPE_REFUSED:
        break;
    }
    return true; /* and is dropped */
}

static void take_from_client(struct pipe *pipe, struct str bytes)
{
    switch (pipe->state) {
    case PIPE_DIALLING:
    case PIPE_ASKING:
        buf_add_str(&pipe->held, bytes);
        break;
    case PIPE_COPYING:
        put(&pipe->node, bytes);
        break;
    case PIPE_REFUSED:
        break;
    }
}

static void take_from_node(struct pipe *pipe, struct str bytes)
{
    if (pipe->state == PIPE_COPYING) {
        put(&pipe->client, bytes);
        return;
    }
    buf_add_str(&pipe->answer, bytes);
    read_answer(pipe);
}

static void read_end(struct pipe *pipe, struct end *end,
                     void (*take)(struct pipe *pipe, struct str bytes))
{
    char chunk[READ_CHUNK_BYTES];
    while (!end->is_read_out && has_room(pipe, end)) {
        size_t len = 0;
        AUTO(error)
        struct error *err =
            end->stream->vtable->read(end->stream, chunk, sizeof(chunk), &len, &end->is_read_out);
        if (err)
            end->is_read_out = true;
        if (err || len == 0)
            break;
        take(pipe, (struct str){.ptr = chunk, .len = len});
    }
}

static void write_end(struct end *end)
{
    while (end->to_write.len > 0) {
        size_t len = 0;
        AUTO(error)
        struct error *err = end->stream->vtable->write(end->stream, buf_text(&end->to_write),
                                                       end->to_write.len, &len);
        if (err) {
            end->is_cut = true;
            buf_clear(&end->to_write);
        }
        if (err || len == 0)
            break;
        buf_consume(&end->to_write, len);
    }
}

static void set_wants(const struct pipe *pipe, const struct end *end)
{
    unsigned events = 0;
    if (!end->is_read_out && has_room(pipe, end))
        events |= LOOP_IO_READ;
    if (end->to_write.len > 0)
        events |= LOOP_IO_WRITE;
    end->stream->vtable->want(end->stream, events);
}

static bool is_over(const struct pipe *pipe)
{
    switch (pipe->state) {
    case PIPE_DIALLING:
    case PIPE_ASKING:
        return pipe->client.is_read_out;
    case PIPE_COPYING:
        return (pipe->client.is_read_out && pipe->node.to_write.len == 0) ||
               (pipe->node.is_read_out && pipe->client.to_write.len == 0);
    case PIPE_REFUSED:
        break;
    }
    return pipe->client.is_read_out || (pipe->is_answered && pipe->client.to_write.len == 0);
}

/* The node has closed: that ends an answer without a length, and any other one early. */
static void settle_answer(struct pipe *pipe)
{
    if (!pipe->node.is_read_out || pipe->is_answered || pipe->state == PIPE_COPYING)
        return;
    if (pipe->state == PIPE_REFUSED)
        /* Else more of it may lie here, for which there is no room yet. */
        pipe->is_answered = can_take_answer(pipe);
    else
        refuse(pipe, "error dialing backend: EOF");
}

static void pump_node(struct pipe *pipe)
{
    if (!pipe->node.stream || pipe->is_shaking_hands)
        return;
    if (pipe->answer.len > 0) /* what did not fit the last time */
        read_answer(pipe);
    read_end(pipe, &pipe->node, take_from_node);
    write_end(&pipe->node);
}

static void limit_leaving(struct pipe *pipe)
{
    bool is_leaving = pipe->client.is_read_out || pipe->client.is_cut;
    if (pipe->state == PIPE_COPYING && is_leaving && !loop_timer_is_armed(pipe->limit))
        loop_timer_start(pipe->limit, LEAVING_NS);
}

/* Does all that can be done now. */
static void pump(struct pipe *pipe)
{
    read_end(pipe, &pipe->client, take_from_client);
    pump_node(pipe);
    settle_answer(pipe);
    write_end(&pipe->client);
    if (is_over(pipe)) {
        pipe_end(pipe);
        return;
    }
    limit_leaving(pipe);
    set_wants(pipe, &pipe->client);
    if (pipe->node.stream && !pipe->is_shaking_hands)
        set_wants(pipe, &pipe->node);
}

static void on_ready(void *ctx, unsigned events)
{
    (void)events;
    pump(ctx);
}

/* --- beginning --- */

static void begin_asking(struct pipe *pipe)
{
    pipe->state = PIPE_ASKING;
    pipe->node.stream->vtable->listen(pipe->node.stream, on_ready, pipe);
    pump(pipe);
}

static void refuse_now(struct pipe *pipe, const struct error *err)
{
    refuse(pipe, arena_printf(pipe->arena, "error dialing backend: %s", err->message));
    pump(pipe);
}

static void on_handshake(void *ctx, const struct error *err)
{
    struct pipe *pipe = ctx;
    if (err) {
        refuse_now(pipe, err);
        return;
    }
    pipe->is_shaking_hands = false;
    begin_asking(pipe);
}

static void on_dialled(void *ctx, struct byte_stream *stream_owned, struct error *err_owned)
{
    struct pipe *pipe = ctx;
    AUTO(error) struct error *err = err_owned;
    pipe->dial = NULL;
    if (err) {
        refuse_now(pipe, err);
        return;
    }
    if (!pipe->tls) {
        pipe->node.stream = stream_owned;
        begin_asking(pipe);
        return;
    }
    pipe->is_shaking_hands = true;
    pipe->node.stream = tls_stream_new_client(pipe->house->loop, pipe->tls, pipe->host,
                                              stream_owned, on_handshake, pipe);
}

static void on_limit(void *ctx)
{
    struct pipe *pipe = ctx;
    if (pipe->state == PIPE_REFUSED || pipe->state == PIPE_COPYING) {
        pipe_end(pipe);
        return;
    }
    refuse(pipe, "error dialing backend: the node did not answer in time");
    pump(pipe);
}

static bool is_upgrade_field(const char *name)
{
    return strcmp(name, "connection") == 0 || strcmp(name, "upgrade") == 0;
}

static void write_request(const struct http_request *request, const struct proxy_target *target,
                          struct buf *out)
{
    bool is_v6 = strchr(target->host, ':') != NULL;
    buf_printf(out, "%s %s HTTP/1.1\r\nhost: %s%s%s:%u\r\n", request->method, target->target,
               is_v6 ? "[" : "", target->host, is_v6 ? "]" : "", (unsigned)target->port);
    for (size_t i = 0; i < request->fields.count; i++) {
        const struct http_field *field = &request->fields.items[i];
        if (proxy_passes_field(&request->fields, field) || is_upgrade_field(field->name))
            buf_printf(out, "%s: %s\r\n", field->name, field->value);
    }
    buf_add_text(out, "\r\n");
}

struct error *proxy_pipe_begin(struct pipe_house *house, const struct proxy_target *target,
                               struct tls_context *tls, struct http_exchange *exchange)
{
    AUTO(buf) struct buf request;
    buf_init(&request, REQUEST_MAX_BYTES);
    write_request(http_exchange_request(exchange), target, &request);
    struct error *err = buf_error(&request, "the request");
    struct str early = {0};
    struct byte_stream *stream = NULL;
    struct arena *arena = NULL;
    if (!err)
        err = http_exchange_take(exchange, &stream, &early, &arena);
    if (err)
        return err;
    struct pipe *pipe = xcalloc(1, sizeof(*pipe));
    pipe->house = house;
    pipe->arena = arena;
    pipe->tls = tls ? tls_context_ref(tls) : NULL;
    pipe->client.stream = stream;
    pipe->parser = http1_parser_new(HTTP1_RESPONSES, HEAD_MAX_BYTES);
    /* Reading stops at the limit; a chunk, what was held and the request may come on top. */
    buf_init(&pipe->held, PIPE_MAX_BYTES + READ_CHUNK_BYTES + early.len);
    buf_init(&pipe->answer, HEAD_MAX_BYTES + READ_CHUNK_BYTES);
    buf_init(&pipe->client.to_write, 2 * (PIPE_MAX_BYTES + HEAD_MAX_BYTES + READ_CHUNK_BYTES));
    buf_init(&pipe->node.to_write,
             2 * PIPE_MAX_BYTES + 2 * READ_CHUNK_BYTES + REQUEST_MAX_BYTES + early.len);
    buf_add_str(&pipe->node.to_write, buf_str(&request));
    buf_add_str(&pipe->held, early);
    pipe->host = arena_strdup(pipe->arena, target->host);
    DL_APPEND(house->pipes, pipe);
    house->count++;
    const struct dial_options options = {
        .host = pipe->host, .port = target->port, .timeout_ns = DIAL_TIMEOUT_NS};
    pipe->dial = dial_start(house->loop, house->pool, &options, on_dialled, pipe);
    pipe->limit = loop_timer_new(house->loop, "upgrade", on_limit, pipe);
    loop_timer_start(pipe->limit, ANSWER_TIMEOUT_NS);
    stream->vtable->listen(stream, on_ready, pipe);
    set_wants(pipe, &pipe->client);
    return NULL;
}

void proxy_pipe_free_all(struct pipe_house *house)
{
    struct pipe *pipe, *next;
    DL_FOREACH_SAFE(house->pipes, pipe, next) {
        unlink_pipe(pipe);
        pipe_free(pipe);
    }
}
