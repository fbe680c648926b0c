/*
 *     ASKING ── the backend agrees ──► COPYING ── the backend has ended ──► PARTING ──► over
 *        └── anything else ──► REFUSED ── its answer is delivered ───────────┘
 *
 * A refusal is read as HTTP, passed on with `connection: close`, and that is the end.
 *
 * Each direction holds about PIPE_MAX_BYTES; a full one stops reading. When one side has ended and
 * all it said is delivered, the conversation is over: nobody here speaks to who no longer speaks.
 * So it is when the side broke off: what it had said may be what matters, such as a command's exit
 * status. A backend that can no longer be written to may still have said it, too.
 *
 * Delivered is what the kernel has taken. If the connection were closed then, the next word of the
 * client, a ping or input that nobody wants any more, would be answered with a reset, and what was
 * still on its way to it would be lost. So a client sees an end first, and what it says until it
 * leaves is dropped; for PARTING_NS, since some never leave by themselves.
 *
 * What is left of a client that has gone the backend must take in LEAVING_NS, and so must a client
 * its refusal; else a client may read as slowly as it likes, for behind it is somebody in front of
 * a pager.
 */
#include "wire/upgrade_pipe.h"

#include "base/hash.h"
#include "wire/stream_end.h"

#define LEAVING_NS (30 * NS_PER_SEC)
#define PARTING_NS (5 * NS_PER_SEC)
#define PIPE_MAX_BYTES (64 * KiB)
#define HEAD_MAX_BYTES (128 * KiB) /* of an answer, as it is written here */
#define FAILURE_MAX_BYTES (64 * KiB)
/* Who says much that goes nowhere must not keep the other work of a turn waiting. */
#define READS_PER_TURN 4
/* Reading stops long before; what was kept, a chunk and a head come on top, and a queue moves up
 * only now and then. */
#define OUT_MAX_BYTES (8 * PIPE_MAX_BYTES)

enum pipe_state { PIPE_ASKING, PIPE_COPYING, PIPE_REFUSED, PIPE_PARTING };

struct upgrade_pipe {
    struct upgrade_house *house;
    struct arena *arena;                 /* of the exchange it was */
    struct upgrade_pipe_options options; /* without the request */
    struct upgrade_change change;
    enum pipe_state state;
    struct upgrade_ask *ask; /* NULL: over */
    bool is_ask_paused;
    struct loop_timer *limit;
    struct buf held;  /* what the client said before the backend agreed */
    bool is_answered; /* REFUSED: all of it is in client.out */
    bool has_parted;  /* PARTING: the client was sent the end */
    struct stream_end client, backend;
    struct upgrade_pipe *prev, *next;
};

static void pipe_free(void *object)
{
    struct upgrade_pipe *pipe = object;
    upgrade_ask_cancel(pipe->ask);
    loop_timer_free(pipe->limit);
    stream_end_done(&pipe->client);
    stream_end_done(&pipe->backend);
    buf_done(&pipe->held);
    arena_free(pipe->arena);
    free(pipe);
}

static void unlink_pipe(struct upgrade_pipe *pipe)
{
    DL_DELETE(pipe->house->pipes, pipe);
    pipe->house->count--;
}

/* Ends from within a callback of one of the streams. Both are freed at once, because the other one
 * may be due in the same turn. */
static void pipe_end(struct upgrade_pipe *pipe)
{
    unlink_pipe(pipe);
    upgrade_ask_cancel(TAKE(pipe->ask));
    loop_timer_cancel(pipe->limit);
    stream_end_done(&pipe->client);
    stream_end_done(&pipe->backend);
    loop_defer_free(pipe->house->loop, pipe_free, pipe);
}

/* --- moving bytes --- */

static bool has_room_for_client(const struct upgrade_pipe *pipe)
{
    switch (pipe->state) {
    case PIPE_ASKING:
        return pipe->held.len < PIPE_MAX_BYTES;
    case PIPE_COPYING:
        return stream_end_backlog(&pipe->backend) < PIPE_MAX_BYTES;
    case PIPE_REFUSED:
    case PIPE_PARTING:
        break;
    }
    return true; /* and is dropped */
}

static bool has_room_for_backend(const struct upgrade_pipe *pipe)
{
    return stream_end_backlog(&pipe->client) < PIPE_MAX_BYTES;
}

static void take_from_client(struct upgrade_pipe *pipe, struct str bytes)
{
    switch (pipe->state) {
    case PIPE_ASKING:
        buf_add_str(&pipe->held, bytes);
        break;
    case PIPE_COPYING:
        stream_end_put(&pipe->backend, bytes);
        break;
    case PIPE_REFUSED:
    case PIPE_PARTING:
        break;
    }
}

static bool is_over(const struct upgrade_pipe *pipe)
{
    switch (pipe->state) {
    case PIPE_ASKING:
    case PIPE_REFUSED:
        break;
    case PIPE_COPYING:
        return pipe->client.is_read_out && stream_end_backlog(&pipe->backend) == 0;
    case PIPE_PARTING:
        return pipe->client.is_read_out || pipe->client.is_cut;
    }
    return pipe->client.is_read_out;
}

/* Once all that there will ever be for the client is delivered. */
static void part(struct upgrade_pipe *pipe)
{
    bool is_said = pipe->state == PIPE_COPYING ? pipe->backend.is_read_out : pipe->is_answered;
    if (is_said && stream_end_backlog(&pipe->client) == 0 && pipe->state != PIPE_PARTING) {
        pipe->state = PIPE_PARTING;
        stream_end_done(&pipe->backend);
        loop_timer_start(pipe->limit, PARTING_NS);
    }
    if (pipe->state == PIPE_PARTING && !pipe->has_parted)
        pipe->has_parted = pipe->client.stream->vtable->end(pipe->client.stream);
}

static void limit_leaving(struct upgrade_pipe *pipe)
{
    bool is_leaving = pipe->state == PIPE_COPYING ? pipe->client.is_read_out || pipe->client.is_cut
                                                  : pipe->is_answered;
    if (is_leaving && !loop_timer_is_armed(pipe->limit))
        loop_timer_start(pipe->limit, LEAVING_NS);
}

static void set_pause(struct upgrade_pipe *pipe)
{
    bool is_paused = pipe->state == PIPE_REFUSED && !has_room_for_backend(pipe);
    if (pipe->ask && pipe->is_ask_paused != is_paused)
        upgrade_ask_pause(pipe->ask, is_paused);
    pipe->is_ask_paused = is_paused;
}

/* Does all that can be done now. */
static void pump(struct upgrade_pipe *pipe)
{
    char chunk[STREAM_END_CHUNK_BYTES];
    struct str bytes;
    for (int i = 0; i < READS_PER_TURN && has_room_for_client(pipe); i++) {
        if (!stream_end_read(&pipe->client, chunk, &bytes))
            break;
        take_from_client(pipe, bytes);
    }
    if (pipe->state == PIPE_COPYING) {
        for (int i = 0; i < READS_PER_TURN && has_room_for_backend(pipe); i++) {
            if (!stream_end_read(&pipe->backend, chunk, &bytes))
                break;
            stream_end_put(&pipe->client, bytes);
        }
        stream_end_flush(&pipe->backend);
    }
    stream_end_flush(&pipe->client);
    part(pipe);
    if (is_over(pipe)) {
        pipe_end(pipe);
        return;
    }
    limit_leaving(pipe);
    set_pause(pipe);
    stream_end_wait(&pipe->client, has_room_for_client(pipe));
    if (pipe->state == PIPE_PARTING && !pipe->has_parted)
        pipe->client.stream->vtable->want(pipe->client.stream, LOOP_IO_READ | LOOP_IO_WRITE);
    if (pipe->state == PIPE_COPYING)
        stream_end_wait(&pipe->backend, has_room_for_backend(pipe));
}

static void on_ready(void *ctx, UNUSED unsigned events)
{
    pump(ctx);
}

static void on_limit(void *ctx)
{
    pipe_end(ctx);
}

/* --- the backend's answer --- */

/* Fields about a connection are each side's own affair. */
static bool is_about_connection(const struct http_fields *fields, const char *name)
{
    static const char *const own[] = {"connection",        "keep-alive", "proxy-authenticate",
                                      "proxy-connection",  "te",         "trailer",
                                      "transfer-encoding", "upgrade",    "content-length"};
    for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
        if (strcmp(own[i], name) == 0)
            return true;
    }
    return http_fields_has_token(fields, "connection", name);
}

/* The head as the client shall see it. What the backend says about its own connection goes, but for
 * an agreement, where it is the point. */
static void write_head(const struct http1_head *head, struct buf *out)
{
    buf_printf(out, "HTTP/1.1 %u %s\r\n", head->status, http_status_text(head->status));
    for (size_t i = 0; i < head->fields.count; i++) {
        const struct http_field *field = &head->fields.items[i];
        if (head->is_upgrade || !is_about_connection(&head->fields, field->name))
            buf_printf(out, "%s: %s\r\n", field->name, field->value);
    }
    if (!head->is_upgrade) {
        if (head->body_length >= 0)
            buf_printf(out, "content-length: %lld\r\n", (long long)head->body_length);
        buf_add_text(out, "connection: close\r\n");
    }
    buf_add_text(out, "\r\n");
}

/* Tells the client in HTTP why there will be nothing. */
static void fail(struct upgrade_pipe *pipe, const char *message)
{
    const struct http_fields *fields = pipe->options.failure_fields;
    struct buf *out = byte_queue_end(&pipe->client.out);
    AUTO(buf) struct buf body;
    buf_init(&body, FAILURE_MAX_BYTES);
    pipe->options.write_failure(message, &body);
    buf_add_text(out, "HTTP/1.1 500 Internal Server Error\r\n");
    for (size_t i = 0; i < fields->count; i++)
        buf_printf(out, "%s: %s\r\n", fields->items[i].name, fields->items[i].value);
    buf_printf(out, "content-length: %zu\r\nconnection: close\r\n\r\n", body.len);
    buf_add_str(out, buf_str(&body));
    pipe->state = PIPE_REFUSED;
    pipe->is_answered = true;
}

static void on_head(void *ctx, const struct http1_head *head)
{
    struct upgrade_pipe *pipe = ctx;
    struct buf *out = byte_queue_end(&pipe->client.out);
    if (!head->is_upgrade && head->status < 400 && pipe->options.refuses_success) {
        upgrade_ask_cancel(TAKE(pipe->ask));
        fail(pipe,
             arena_printf(pipe->arena, "invalid upgrade response: status code %u", head->status));
    } else if (!head->is_upgrade) {
        pipe->state = PIPE_REFUSED;
        write_head(head, out);
    } else if (pipe->change.wrap) {
        pipe->change.write_head(pipe->change.ctx, head, out);
        return;
    } else {
        write_head(head, out);
        return;
    }
    pump(pipe);
}

static void on_body(void *ctx, struct str bytes)
{
    struct upgrade_pipe *pipe = ctx;
    stream_end_put(&pipe->client, bytes);
    pump(pipe);
}

static void change_client(struct upgrade_pipe *pipe)
{
    struct byte_stream *client = TAKE(pipe->client.stream);
    struct str first = byte_queue_front(&pipe->client.out);
    client->vtable->want(client, 0);
    pipe->client.stream =
        pipe->change.wrap(pipe->change.ctx, pipe->house->loop, client, first, buf_str(&pipe->held));
    pipe->client.stream->vtable->listen(pipe->client.stream, on_ready, pipe);
    byte_queue_take(&pipe->client.out, first.len);
    buf_clear(&pipe->held);
}

static void on_agreed(void *ctx, struct byte_stream *stream_owned, struct str early)
{
    struct upgrade_pipe *pipe = ctx;
    pipe->ask = NULL;
    pipe->state = PIPE_COPYING;
    pipe->backend.stream = stream_owned;
    stream_owned->vtable->listen(stream_owned, on_ready, pipe);
    if (pipe->change.wrap)
        change_client(pipe);
    stream_end_put(&pipe->client, early);
    stream_end_put(&pipe->backend, buf_str(&pipe->held));
    buf_done(&pipe->held);
    pump(pipe);
}

static void on_end(void *ctx, struct error *err_owned)
{
    struct upgrade_pipe *pipe = ctx;
    AUTO(error) struct error *err = err_owned;
    pipe->ask = NULL;
    if (pipe->state == PIPE_REFUSED)
        pipe->is_answered = true; /* or broken off */
    else
        fail(pipe, arena_printf(pipe->arena, "error dialing backend: %s", err->message));
    pump(pipe);
}

/* --- beginning --- */

struct error *upgrade_pipe_begin(struct upgrade_house *house,
                                 const struct upgrade_pipe_options *options,
                                 struct http_exchange *exchange)
{
    static const struct upgrade_events events = {
        .on_head = on_head, .on_body = on_body, .on_agreed = on_agreed, .on_end = on_end};
    struct str early = {0};
    struct byte_stream *stream = NULL;
    struct arena *arena = NULL;
    struct error *err = http_exchange_take(exchange, &stream, &early, &arena);
    if (err)
        return err;
    struct upgrade_pipe *pipe = xcalloc(1, sizeof(*pipe));
    pipe->house = house;
    pipe->arena = arena;
    pipe->options = *options;
    pipe->options.request = (struct upgrade_request){0};
    if (options->change)
        pipe->change = *options->change;
    stream_end_init(&pipe->client, OUT_MAX_BYTES + HEAD_MAX_BYTES + FAILURE_MAX_BYTES);
    stream_end_init(&pipe->backend, OUT_MAX_BYTES + early.len);
    buf_init(&pipe->held, PIPE_MAX_BYTES + STREAM_END_CHUNK_BYTES + early.len);
    buf_add_str(&pipe->held, early);
    pipe->client.stream = stream;
    DL_APPEND(house->pipes, pipe);
    house->count++;
    pipe->ask = upgrade_ask_start(house->loop, house->pool, &options->request, &events, pipe);
    pipe->limit = loop_timer_new(house->loop, "upgrade pipe", on_limit, pipe);
    stream->vtable->listen(stream, on_ready, pipe);
    stream_end_wait(&pipe->client, true);
    return NULL;
}

void upgrade_pipe_free_all(struct upgrade_house *house)
{
    struct upgrade_pipe *pipe, *next;
    DL_FOREACH_SAFE(house->pipes, pipe, next) {
        unlink_pipe(pipe);
        pipe_free(pipe);
    }
}
