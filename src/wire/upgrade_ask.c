/*
 *     dialling ──► shaking hands ──► asking ──┬─ 101 ──► the asker's
 *         │              │             │      └─ other answer ──► its body ──┐
 *         └──────────────┴─────────────┴──────────────────────────────────────┴──► over
 *
 * Callbacks may cancel: so an ask that is over is freed at the end of the turn, and every loop that
 * calls one looks at is_over afterwards.
 */
#include "wire/upgrade_ask.h"

#include "wire/dial.h"
#include "wire/stream_end.h"

#define DIAL_TIMEOUT_NS (30 * NS_PER_SEC)
/* For everything: a node asks its runtime before it answers. */
#define ANSWER_TIMEOUT_NS (180 * NS_PER_SEC)
#define HEAD_MAX_BYTES (64 * KiB)
#define REQUEST_MAX_BYTES (128 * KiB)

struct upgrade_ask {
    struct loop *loop;
    char *host;
    struct tls_context *tls; /* NULL: without */
    const struct upgrade_events *events;
    void *ctx;
    struct dial *dial;
    struct stream_end server;
    struct loop_timer *limit, *resume;
    struct http1_parser *parser;
    struct buf answer; /* what the parser has not taken yet */
    bool has_answered; /* its head was handed out */
    bool has_agreed;   /* only the end of the head is missing */
    bool is_paused;
    bool is_over;
};

static void ask_free(void *object)
{
    struct upgrade_ask *ask = object;
    loop_timer_free(ask->limit);
    loop_timer_free(ask->resume);
    http1_parser_free(ask->parser);
    tls_context_unref(ask->tls);
    buf_done(&ask->answer);
    free(ask->host);
    free(ask);
}

void upgrade_ask_cancel(struct upgrade_ask *ask)
{
    if (!ask || ask->is_over)
        return;
    ask->is_over = true;
    dial_cancel(TAKE(ask->dial));
    loop_timer_cancel(ask->limit);
    loop_timer_cancel(ask->resume);
    stream_end_done(&ask->server);
    loop_defer_free(ask->loop, ask_free, ask);
}

static void finish(struct upgrade_ask *ask, struct error *err_owned)
{
    upgrade_ask_cancel(ask);
    ask->events->on_end(ask->ctx, err_owned);
}

/* --- the answer --- */

static void hand_over(struct upgrade_ask *ask, struct str early)
{
    struct byte_stream *stream = TAKE(ask->server.stream);
    stream->vtable->want(stream, 0);
    upgrade_ask_cancel(ask);
    ask->events->on_agreed(ask->ctx, stream, early); /* the bytes go with the ask, a turn later */
}

static void take_head(struct upgrade_ask *ask, const struct http1_head *head)
{
    if (head->status < 200 && !head->is_upgrade)
        return;
    ask->has_answered = true;
    ask->has_agreed = head->is_upgrade;
    ask->events->on_head(ask->ctx, head);
}

/* @rest: what lies behind the event. */
static void take_event(struct upgrade_ask *ask, const struct http1_event *event, struct str rest)
{
    switch (event->kind) {
    case HTTP1_NONE:
        break;
    case HTTP1_HEAD:
        take_head(ask, event->head);
        break;
    case HTTP1_BODY:
        ask->events->on_body(ask->ctx, event->bytes);
        break;
    case HTTP1_COMPLETE:
        if (ask->has_agreed)
            hand_over(ask, rest);
        else if (ask->has_answered)
            finish(ask, NULL);
        break;
    }
}

static void take_answer(struct upgrade_ask *ask)
{
    struct str rest = buf_str(&ask->answer);
    struct http1_event event = {.kind = HTTP1_BODY};
    while (event.kind != HTTP1_NONE && !ask->is_paused) {
        struct error *err = http1_parser_next(ask->parser, &rest, &event);
        if (err) {
            finish(ask, err);
            return;
        }
        take_event(ask, &event, rest);
        if (ask->is_over)
            return;
    }
    buf_consume(&ask->answer, ask->answer.len - rest.len);
}

/* The server has closed: that ends an answer without a length, and any other one early. */
static void take_end(struct upgrade_ask *ask)
{
    struct http1_event event = {.kind = HTTP1_NONE};
    struct error *err = http1_parser_end(ask->parser, &event);
    if (!err && event.kind == HTTP1_COMPLETE)
        finish(ask, NULL);
    else
        finish(ask, err ? err : error_new(ERROR_UNAVAILABLE, "EOF"));
}

static bool can_read(const struct upgrade_ask *ask)
{
    return !ask->is_paused && !ask->server.is_read_out;
}

static void pump(struct upgrade_ask *ask)
{
    char chunk[STREAM_END_CHUNK_BYTES];
    struct str bytes;
    stream_end_flush(&ask->server);
    if (ask->answer.len > 0)
        take_answer(ask);
    while (!ask->is_over && can_read(ask) && stream_end_read(&ask->server, chunk, &bytes)) {
        buf_add_str(&ask->answer, bytes);
        take_answer(ask);
    }
    if (ask->is_over)
        return;
    if (ask->server.is_read_out && !ask->is_paused)
        take_end(ask);
    else
        stream_end_wait(&ask->server, can_read(ask));
}

static void on_ready(void *ctx, UNUSED unsigned events)
{
    pump(ctx);
}

static void on_resume(void *ctx)
{
    pump(ctx);
}

void upgrade_ask_pause(struct upgrade_ask *ask, bool is_paused)
{
    if (ask->is_over || ask->is_paused == is_paused)
        return;
    ask->is_paused = is_paused;
    if (!is_paused)
        loop_timer_start(ask->resume, 0);
    else
        loop_timer_cancel(ask->resume);
}

/* --- beginning --- */

static void begin_asking(struct upgrade_ask *ask)
{
    ask->server.stream->vtable->listen(ask->server.stream, on_ready, ask);
    pump(ask);
}

static void on_handshake(void *ctx, const struct error *err)
{
    struct upgrade_ask *ask = ctx;
    if (err)
        finish(ask, error_dup(err));
    else
        begin_asking(ask);
}

static void on_dialled(void *ctx, struct byte_stream *stream_owned, struct error *err_owned)
{
    struct upgrade_ask *ask = ctx;
    ask->dial = NULL;
    if (err_owned) {
        finish(ask, err_owned);
        return;
    }
    if (!ask->tls) {
        ask->server.stream = stream_owned;
        begin_asking(ask);
        return;
    }
    ask->server.stream =
        tls_stream_new_client(ask->loop, ask->tls, ask->host, stream_owned, on_handshake, ask);
}

static void on_limit(void *ctx)
{
    finish(ctx, error_new(ERROR_DEADLINE_EXCEEDED, "no answer in time"));
}

struct upgrade_ask *upgrade_ask_start(struct loop *loop, struct work_pool *pool,
                                      const struct upgrade_request *request,
                                      const struct upgrade_events *events, void *ctx)
{
    struct upgrade_ask *ask = xcalloc(1, sizeof(*ask));
    ask->loop = loop;
    ask->host = xstrdup(request->host);
    ask->tls = request->tls ? tls_context_ref(request->tls) : NULL;
    ask->events = events;
    ask->ctx = ctx;
    ask->parser = http1_parser_new(HTTP1_RESPONSES, HEAD_MAX_BYTES);
    /* The parser leaves at most a head; a chunk comes on top. */
    buf_init(&ask->answer, 2 * HEAD_MAX_BYTES);
    stream_end_init(&ask->server, REQUEST_MAX_BYTES);
    stream_end_put(&ask->server, request->head);
    const struct dial_options options = {
        .host = ask->host, .port = request->port, .timeout_ns = DIAL_TIMEOUT_NS};
    ask->dial = dial_start(loop, pool, &options, on_dialled, ask);
    ask->resume = loop_timer_new(loop, "upgrade resumed", on_resume, ask);
    ask->limit = loop_timer_new(loop, "upgrade", on_limit, ask);
    loop_timer_start(ask->limit, ANSWER_TIMEOUT_NS);
    return ask;
}
