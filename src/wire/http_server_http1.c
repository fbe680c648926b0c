/*
 * HTTP/1.1 (and 1.0) on a connection: one request at a time, in the order they came.
 *
 *     waiting ──► head ──► body ──► answering ──► on its way out ──► waiting
 *                  │         │                           └─────────► closed
 *                  └─────────┴──► refused ──► lingering ──► closed
 *
 * The next request is not looked at before the answer to the last has left: a client that sends
 * much and reads nothing gets nothing more, and a connection that is taken over has no old bytes in
 * front. What arrives in between is kept up to EARLY_BYTES, then no longer read; so a client that
 * goes away is still noticed.
 *
 * A refused request may have a body under way. Closing at once would answer it with a reset, which
 * can overtake our answer: so the rest is read and thrown away for a moment (lingering).
 *
 * A client that ends its side is gone (as Go's server sees it), except that what was answered by
 * then still goes out, and what was asked is answered if the owner does it at once.
 */
#include "wire/http_server_internal.h"

/* Read ahead of the request under way; a little more by what one read brings. */
#define EARLY_BYTES (64 * KiB)
#define LINGER_NS NS_PER_SEC

static int64_t from_now(const struct http_conn *conn, int64_t delay_ns)
{
    return sat_add_i64(loop_now_mono_ns(conn->loop), delay_ns);
}

static void start(struct http_conn *conn)
{
    struct http1_link *link = &conn->h1;
    link->parser = http1_parser_new(HTTP1_REQUESTS, conn->server->options.max_header_bytes);
    link->due_ns = conn->start_due_ns;
    buf_init(&link->early, 4 * EARLY_BYTES);
}

static void release(struct http_conn *conn)
{
    http1_parser_free(conn->h1.parser);
    buf_done(&conn->h1.early);
}

/* --- answers --- */

/* Values come from data, too: what could end the field becomes a blank. */
static void add_field(struct buf *out, const char *name, const char *value)
{
    buf_add_text(out, name);
    buf_add_text(out, ": ");
    for (const char *c = value; *c; c++)
        buf_add(out, http_is_control(*c) ? " " : c, 1);
    buf_add_text(out, "\r\n");
}

static void add_start(struct buf *out, unsigned status, int64_t wall_ns)
{
    char date[HTTP_DATE_SIZE];
    buf_printf(out, "HTTP/1.1 %u %s\r\n", status, http_status_text(status));
    add_field(out, "date", http_date(wall_ns, date));
}

static void begin(struct http_exchange *exchange, unsigned status, const struct http_fields *fields,
                  int64_t body_length)
{
    struct http_conn *conn = exchange->conn;
    struct http1_link *link = &conn->h1;
    struct buf *out = byte_queue_end(&conn->out);
    add_start(out, status, loop_now_wall_ns(conn->loop));
    for (size_t i = 0; i < fields->count; i++) {
        if (!http_is_own_field(fields->items[i].name))
            add_field(out, fields->items[i].name, fields->items[i].value);
    }
    if (http_fields_has_token(fields, "connection", "close") || conn->server->is_draining)
        link->is_last = true;

    if (body_length >= 0 && !http_is_bodiless_status(status)) {
        buf_printf(out, "content-length: %lld\r\n", (long long)body_length);
    } else if (!exchange->is_bodiless && !exchange->is_http10) {
        exchange->is_chunked = true;
        add_field(out, "transfer-encoding", "chunked");
    } else if (!exchange->is_bodiless) {
        link->is_last = true; /* HTTP/1.0 knows no other end */
    }
    if (link->is_last)
        add_field(out, "connection", "close");
    else if (exchange->is_http10)
        add_field(out, "connection", "keep-alive");
    buf_add_text(out, "\r\n");
}

static void write_body(struct http_exchange *exchange, struct str bytes)
{
    struct buf *out = byte_queue_end(&exchange->conn->out);
    if (exchange->is_chunked)
        buf_printf(out, "%zx\r\n", bytes.len);
    buf_add_str(out, bytes);
    if (exchange->is_chunked)
        buf_add_text(out, "\r\n");
}

static size_t backlog(const struct http_exchange *exchange)
{
    return byte_queue_len(&exchange->conn->out);
}

static void finish(struct http_exchange *exchange)
{
    struct http_conn *conn = exchange->conn;
    if (exchange->is_chunked)
        buf_add_text(byte_queue_end(&conn->out), "0\r\n\r\n");
    conn->h1.answering = NULL;
    conn->h1.is_answered = true;
}

static void abort_exchange(struct http_exchange *exchange)
{
    http_conn_close(exchange->conn);
}

/* An answer of ours, after which the connection closes. */
static void refuse(struct http_conn *conn, unsigned status, const char *problem)
{
    struct http1_link *link = &conn->h1;
    struct buf *out = byte_queue_end(&conn->out);
    http_exchange_end(TAKE(link->arriving));
    AUTO(free)
    char *body = xasprintf("%u %s: %s\n", status, http_status_text(status), problem);
    add_start(out, status, loop_now_wall_ns(conn->loop));
    add_field(out, "content-type", "text/plain; charset=utf-8");
    buf_printf(out, "content-length: %zu\r\nconnection: close\r\n\r\n%s", strlen(body), body);
    link->is_refused = true;
    link->due_ns = from_now(conn, LINGER_NS);
    link->input = (struct str){0};
}

/* --- requests --- */

static void on_head(struct http_conn *conn, const struct http1_head *head)
{
    struct http1_link *link = &conn->h1;
    struct http_exchange *exchange = http_exchange_new(conn);
    const char *problem = NULL;
    link->arriving = exchange;
    link->is_last = !head->is_keep_alive;
    exchange->is_http10 = head->is_http10;
    exchange->request.is_upgrade = head->is_upgrade;
    unsigned status =
        http_exchange_set_request(exchange, head->method, head->target, &head->fields, &problem);
    if (status != 0) {
        refuse(conn, status, problem);
        return;
    }
    if (head->body_length > 0 &&
        (uint64_t)head->body_length > conn->server->options.max_body_bytes) {
        refuse(conn, 413, "the body is too large");
        return;
    }
    link->due_ns = from_now(conn, conn->server->options.body_timeout_ns);
    if (head->is_continue_wanted)
        buf_add_text(byte_queue_end(&conn->out), "HTTP/1.1 100 Continue\r\n\r\n");
}

static void on_body(struct http_conn *conn, struct str bytes)
{
    struct http_exchange *exchange = conn->h1.arriving;
    if (!http_exchange_charge(exchange, bytes.len)) {
        refuse(conn, 503, HTTP_NO_ROOM);
        return;
    }
    buf_add_str(&exchange->body, bytes);
    if (exchange->body.overflowed)
        refuse(conn, 413, "the body is too large");
}

static void on_complete(struct http_conn *conn)
{
    struct http1_link *link = &conn->h1;
    link->answering = TAKE(link->arriving);
    link->due_ns = INT64_MAX;
    http_exchange_hand_over(link->answering);
}

static void handle(struct http_conn *conn, const struct http1_event *event)
{
    switch (event->kind) {
    case HTTP1_NONE:
        break;
    case HTTP1_HEAD:
        on_head(conn, event->head);
        break;
    case HTTP1_BODY:
        on_body(conn, event->bytes);
        break;
    case HTTP1_COMPLETE:
        on_complete(conn);
        break;
    }
}

static bool can_parse(const struct http_conn *conn)
{
    const struct http1_link *link = &conn->h1;
    if (!conn->stream || link->answering || link->is_refused || link->is_answered)
        return false;
    return http1_parser_is_inside(link->parser) || byte_queue_len(&conn->out) == 0;
}

/* The time for a head begins with its first byte; for the first head it began at accept. */
static void note_first_byte(struct http_conn *conn, bool was_inside)
{
    struct http1_link *link = &conn->h1;
    bool is_first = link->due_ns == conn->start_due_ns;
    if (!was_inside && http1_parser_is_inside(link->parser) && !is_first)
        link->due_ns = from_now(conn, conn->server->options.header_timeout_ns);
}

static void parse(struct http_conn *conn)
{
    struct http1_link *link = &conn->h1;
    while (can_parse(conn) && link->input.len > 0) {
        struct http1_event event;
        bool was_inside = http1_parser_is_inside(link->parser);
        AUTO(error) struct error *err = http1_parser_next(link->parser, &link->input, &event);
        if (err) {
            refuse(conn, http1_parser_error_status(link->parser), err->message);
            return;
        }
        note_first_byte(conn, was_inside);
        handle(conn, &event);
    }
}

/* Parses what there is and keeps the rest, which @link->input views. */
static void parse_early(struct http_conn *conn)
{
    struct http1_link *link = &conn->h1;
    link->input = buf_str(&link->early);
    parse(conn);
    if (!conn->stream)
        return;
    buf_consume(&link->early, link->early.len - min_size(link->input.len, link->early.len));
    if (link->early.len == 0)
        buf_done(&link->early);
    link->input = buf_str(&link->early);
}

static void receive(struct http_conn *conn, struct str bytes)
{
    struct http1_link *link = &conn->h1;
    if (link->is_refused)
        return;
    if (link->early.len > 0) {
        buf_add_str(&link->early, bytes);
        parse_early(conn);
    } else {
        link->input = bytes;
        parse(conn);
        if (!conn->stream)
            return;
        buf_add_str(&link->early, link->input);
        link->input = buf_str(&link->early);
    }
    if (conn->stream && link->early.len >= EARLY_BYTES)
        conn->is_reading = false;
}

static void on_end(struct http_conn *conn)
{
    struct http1_link *link = &conn->h1;
    link->is_ended = true;
    conn->is_reading = false;
    bool is_busy = byte_queue_len(&conn->out) > 0 || link->is_answered;
    if (link->answering || !is_busy)
        http_conn_lose(conn);
}

/* --- after an answer --- */

static void wait_for_next(struct http_conn *conn)
{
    struct http1_link *link = &conn->h1;
    link->is_answered = false;
    conn->write_timeout_ns = conn->server->options.write_timeout_ns;
    link->due_ns = from_now(conn, conn->server->options.idle_timeout_ns);
    conn->is_reading = !link->is_ended;
    parse_early(conn);
}

static bool after_write(struct http_conn *conn)
{
    struct http1_link *link = &conn->h1;
    if (link->answering) {
        http_exchange_check_drain(link->answering);
        return conn->stream && byte_queue_len(&conn->out) > 0 && !conn->is_blocked;
    }
    if (byte_queue_len(&conn->out) > 0)
        return false; /* blocked */
    if (link->is_refused) {
        conn->is_reading = !link->is_ended;
        if (link->is_ended)
            http_conn_close(conn);
        return false;
    }
    if (link->is_answered && link->is_last) {
        http_conn_close(conn);
        return false;
    }
    bool was_answered = link->is_answered;
    if (was_answered)
        wait_for_next(conn);
    if (!conn->stream)
        return false;
    if (byte_queue_len(&conn->out) > 0 || link->is_answered)
        return true;
    bool is_idle = !link->answering && !http1_parser_is_inside(link->parser);
    if (link->is_ended || (conn->server->is_draining && was_answered && is_idle))
        http_conn_lose(conn);
    return false;
}

/* --- time --- */

static int64_t due_ns(const struct http_conn *conn)
{
    return conn->h1.due_ns;
}

static void on_due(struct http_conn *conn, UNUSED int64_t now_ns)
{
    struct http1_link *link = &conn->h1;
    if (!link->is_refused && http1_parser_is_inside(link->parser))
        refuse(conn, 408, "the request did not arrive in time");
    else
        http_conn_close(conn);
}

static void drain(struct http_conn *conn)
{
    struct http1_link *link = &conn->h1;
    bool is_idle = !link->answering && !link->is_answered && !link->is_refused &&
                   !http1_parser_is_inside(link->parser);
    if (is_idle)
        http_conn_close(conn);
    link->is_last = true;
}

const struct http_protocol http_protocol_1 = {.start = start,
                                              .receive = receive,
                                              .on_end = on_end,
                                              .gather = NULL,
                                              .after_write = after_write,
                                              .due_ns = due_ns,
                                              .on_due = on_due,
                                              .drain = drain,
                                              .release = release,
                                              .begin = begin,
                                              .write = write_body,
                                              .backlog = backlog,
                                              .finish = finish,
                                              .abort = abort_exchange};
