/*
 * An HTTP/1.1 connection has one call at a time:
 *
 *     IDLE ──send──► BUSY ──response complete──► IDLE
 *      │              │
 *      │              ├── response complete, but `connection: close`, bytes left over, the request
 *      │              │   not yet sent, retired: CLOSED
 *      │              └── broken: the call fails, CLOSED
 *      └── the server closes or talks, nothing to do for a while, retired: CLOSED
 *
 * A server may answer before it has read the whole request, and then close: a failure to write is
 * kept, and told only when reading brings no answer either.
 *
 * Pausing: the parser is asked for events, so to pause is not to ask. What it had not been given of
 * the last read waits in `early`.
 */
#include "wire/http_client_internal.h"

#include "base/buf.h"
#include "base/hash.h"
#include "wire/http1.h"

#define READ_BYTES (16 * KiB)
/* A big response must not keep the other work of a turn waiting: the rest is read in the next. */
#define READS_PER_TURN 16
/* A method, a target and our fields. */
#define REQUEST_HEAD_MAX_BYTES (1 * MiB)

struct http_h1 {
    struct http_client *client;
    struct byte_stream *stream; /* NULL: closed */
    struct http1_parser *parser;
    struct http_call *call; /* NULL: idle */
    struct buf head;        /* what is left to send of the request's head */
    struct str body;        /* and of its body, which the call owns */
    struct buf early;       /* read, but not yet parsed, because of a pause */
    struct error *write_failure;
    bool has_written;      /* any byte of this request */
    bool is_keep_alive;    /* says the response */
    bool is_informational; /* the response that is being parsed */
    bool is_retired;
    struct loop_timer *timer; /* idle: the end; busy: `early` is looked at again */
    struct http_h1 *prev, *next;
};

/* --- closing --- */

static void release(void *object)
{
    struct http_h1 *conn = object;
    http1_parser_free(conn->parser);
    buf_done(&conn->head);
    buf_done(&conn->early);
    error_free(conn->write_failure);
    free(conn);
}

/* Without a call. The memory stays until the end of the turn, for the frames above us. */
static void close_now(struct http_h1 *conn)
{
    struct http_client *client = conn->client;
    DL_DELETE(client->h1s, conn);
    client->h1_count--;
    client->h1_retired_count -= conn->is_retired;
    byte_stream_free(TAKE(conn->stream));
    loop_timer_free(TAKE(conn->timer));
    loop_defer_free(client->loop, release, conn);
    http_client_wake(client);
}

static struct http_call *let_go(struct http_h1 *conn)
{
    struct http_call *call = TAKE(conn->call);
    call->h1 = NULL;
    conn->body = (struct str){0};
    return call;
}

void http_h1_abandon(struct http_h1 *conn)
{
    (void)let_go(conn);
    close_now(conn);
}

static void fail(struct http_h1 *conn, struct error *err_owned)
{
    bool is_unsent = !conn->has_written;
    if (conn->write_failure) {
        error_ignore(err_owned, "writing failed first");
        err_owned = TAKE(conn->write_failure);
    }
    byte_stream_classify(err_owned);
    struct http_call *call = let_go(conn);
    close_now(conn);
    http_call_fail(call, err_owned, is_unsent);
}

void http_h1_close_all(struct http_client *client)
{
    while (client->h1s)
        close_now(client->h1s);
}

static void retire(struct http_h1 *conn)
{
    if (!conn->is_retired)
        conn->client->h1_retired_count++;
    conn->is_retired = true;
    if (!conn->call)
        close_now(conn);
}

void http_h1_retire_all(struct http_client *client)
{
    struct http_h1 *conn, *next;
    DL_FOREACH_SAFE(client->h1s, conn, next)
        retire(conn);
}

/* --- writing --- */

static bool is_sending(const struct http_h1 *conn)
{
    return !conn->write_failure && (conn->head.len > 0 || conn->body.len > 0);
}

static void update_wants(struct http_h1 *conn)
{
    unsigned events = conn->call && conn->call->is_paused ? 0 : LOOP_IO_READ;
    if (is_sending(conn))
        events |= LOOP_IO_WRITE;
    conn->stream->vtable->want(conn->stream, events);
}

/* One write; false when the stream takes no more, or there is no more. */
static bool write_once(struct http_h1 *conn)
{
    bool is_head = conn->head.len > 0;
    struct str piece = is_head ? buf_str(&conn->head) : conn->body;
    size_t written = 0;
    conn->write_failure = conn->stream->vtable->write(conn->stream, piece.ptr, piece.len, &written);
    if (conn->write_failure)
        return false;
    conn->has_written = conn->has_written || written > 0;
    if (is_head) {
        buf_consume(&conn->head, written);
    } else {
        conn->body.ptr += written;
        conn->body.len -= written;
    }
    return written == piece.len && is_sending(conn);
}

static void write_some(struct http_h1 *conn)
{
    while (write_once(conn))
        continue;
    if (conn->head.len == 0)
        buf_done(&conn->head);
}

/* --- reading --- */

static void complete(struct http_h1 *conn, bool is_clean)
{
    bool is_reusable = is_clean && conn->is_keep_alive && !conn->is_retired &&
                       !conn->write_failure && !is_sending(conn);
    struct http_call *call = let_go(conn);
    if (is_reusable) {
        update_wants(conn);
        loop_timer_start(conn->timer, HTTP_CLIENT_IDLE_NS);
        DL_DELETE(conn->client->h1s, conn);
        DL_PREPEND(conn->client->h1s, conn);
        http_client_wake(conn->client);
    } else {
        close_now(conn);
    }
    http_call_complete(call);
}

static void take_head(struct http_h1 *conn, const struct http1_head *head)
{
    conn->is_informational = head->status < 200 && !head->is_upgrade;
    if (conn->is_informational)
        return;
    if (head->is_upgrade) {
        fail(conn, error_new(ERROR_UNAVAILABLE, "unexpected response: %u %s", head->status,
                             http_status_text(head->status)));
        return;
    }
    conn->is_keep_alive = head->is_keep_alive;
    http_call_take_response(conn->call, head->status, &head->fields);
}

static bool is_listening(const struct http_h1 *conn)
{
    return conn->stream && conn->call && !conn->call->is_paused;
}

/* Takes events out of @input until it is used up, or nobody listens any more; returns the rest. */
static struct str parse(struct http_h1 *conn, struct str input)
{
    while (input.len > 0 && is_listening(conn)) {
        struct http1_event event = {0};
        struct error *err = http1_parser_next(conn->parser, &input, &event);
        if (err) {
            fail(conn, err);
            break;
        }
        switch (event.kind) {
        case HTTP1_NONE:
            return (struct str){0};
        case HTTP1_HEAD:
            take_head(conn, event.head);
            break;
        case HTTP1_BODY:
            http_call_take_data(conn->call, event.bytes);
            break;
        case HTTP1_COMPLETE:
            if (!conn->is_informational)
                complete(conn, input.len == 0);
            break;
        }
    }
    return input;
}

/* What a pause left of a read. */
static void keep_early(struct http_h1 *conn, struct str rest)
{
    if (rest.len == 0 || !conn->stream || !conn->call)
        return;
    buf_init(&conn->early, READ_BYTES);
    buf_add_str(&conn->early, rest);
}

/* True when nothing is left that comes before what the stream has. */
static bool parse_early(struct http_h1 *conn)
{
    if (conn->early.len == 0)
        return true;
    if (!is_listening(conn))
        return false;
    AUTO(buf) struct buf early = conn->early;
    conn->early = (struct buf){0};
    keep_early(conn, parse(conn, buf_str(&early)));
    return conn->early.len == 0;
}

static void on_end_of_stream(struct http_h1 *conn)
{
    struct http1_event event = {0};
    struct error *err = http1_parser_end(conn->parser, &event);
    if (err)
        fail(conn, err);
    else if (event.kind == HTTP1_COMPLETE && !conn->is_informational)
        complete(conn, false);
    else
        fail(conn, error_new(ERROR_UNAVAILABLE, "EOF"));
}

/* True when there may be more to be read at once. */
static bool read_once(struct http_h1 *conn)
{
    char bytes[READ_BYTES];
    size_t len = 0;
    bool is_end = false;
    struct error *err =
        conn->stream->vtable->read(conn->stream, bytes, sizeof(bytes), &len, &is_end);
    if (err) {
        fail(conn, err);
        return false;
    }
    if (is_end) {
        on_end_of_stream(conn);
        return false;
    }
    keep_early(conn, parse(conn, (struct str){.ptr = bytes, .len = len}));
    return len == sizeof(bytes);
}

/* An idle connection has nothing to read: whatever comes, an end most of all, is its end. */
static bool is_still_idle(struct http_h1 *conn)
{
    char byte;
    size_t len = 0;
    bool is_end = false;
    AUTO(error)
    struct error *err = conn->stream->vtable->read(conn->stream, &byte, 1, &len, &is_end);
    return !err && len == 0 && !is_end;
}

static void on_ready(void *ctx, unsigned events)
{
    struct http_h1 *conn = ctx;
    if (!conn->call) {
        if (!is_still_idle(conn))
            close_now(conn);
        return;
    }
    if ((events & LOOP_IO_WRITE) && is_sending(conn))
        write_some(conn);
    bool is_more = (events & LOOP_IO_READ) != 0 && parse_early(conn);
    for (size_t i = 0; is_more && is_listening(conn) && i < READS_PER_TURN; i++)
        is_more = read_once(conn);
    if (conn->stream)
        update_wants(conn);
}

/* --- pausing --- */

static void on_timer(void *ctx)
{
    struct http_h1 *conn = ctx;
    if (!conn->call) {
        close_now(conn); /* nobody has needed it for long */
        return;
    }
    (void)parse_early(conn);
    if (conn->stream)
        update_wants(conn);
}

void http_h1_update_pause(struct http_h1 *conn)
{
    if (conn->call->is_paused) {
        update_wants(conn);
        return;
    }
    /* Reading goes on when what was read already has been told, which must not be done here. */
    loop_timer_start(conn->timer, -1);
}

/* --- beginning --- */

struct http_h1 *http_h1_open(struct http_client *client, struct byte_stream *stream_owned)
{
    struct http_h1 *conn = xcalloc(1, sizeof(*conn));
    conn->client = client;
    conn->stream = stream_owned;
    conn->parser = http1_parser_new(HTTP1_RESPONSES, HTTP_CLIENT_MAX_HEAD_BYTES);
    conn->timer = loop_timer_new(client->loop, "http connection", on_timer, conn);
    loop_timer_start(conn->timer, HTTP_CLIENT_IDLE_NS);
    DL_PREPEND(client->h1s, conn);
    client->h1_count++;
    stream_owned->vtable->listen(stream_owned, on_ready, conn);
    update_wants(conn);
    return conn;
}

struct http_h1 *http_h1_find_idle(struct http_client *client)
{
    struct http_h1 *conn, *next;
    DL_FOREACH_SAFE(client->h1s, conn, next) {
        if (conn->call)
            continue;
        if (is_still_idle(conn))
            return conn;
        close_now(conn);
    }
    return NULL;
}

static void format_head(struct buf *out, const struct http_call *call)
{
    buf_printf(out, "%s %s HTTP/1.1\r\nHost: %s\r\n", call->method, call->target,
               call->client->authority);
    for (size_t i = 0; i < call->fields.count; i++)
        buf_printf(out, "%s: %s\r\n", call->fields.items[i].name, call->fields.items[i].value);
    if (http_call_tells_length(call))
        buf_printf(out, "Content-Length: %zu\r\n", call->body.len);
    buf_add_text(out, "\r\n");
}

void http_h1_send(struct http_h1 *conn, struct http_call *call)
{
    loop_timer_cancel(conn->timer);
    buf_done(&conn->head);
    buf_init(&conn->head, REQUEST_HEAD_MAX_BYTES);
    format_head(&conn->head, call);
    conn->body = call->body;
    conn->has_written = conn->is_informational = false;
    conn->call = call;
    call->h1 = conn;
    call->state = HTTP_CALL_ON_H1;
    struct error *err = buf_error(&conn->head, "the request's head");
    if (err) {
        struct http_call *refused = let_go(conn);
        close_now(conn);
        http_call_fail(refused, err, true);
        return;
    }
    http1_parser_expect(conn->parser, text_eq(call->method, "HEAD") ? HTTP1_ANSWERS_HEAD
                                                                    : HTTP1_ANSWERS_ORDINARY);
    write_some(conn);
    update_wants(conn);
}
