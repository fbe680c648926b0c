/*
 * HTTP/2 on a connection: the session (wire/http2_server.h) does the protocol, an exchange stands
 * for each of its streams that was handed out.
 */
#include "wire/http_server_internal.h"

/* Frames are gathered up to this before a write; more wait in their streams, where a peer's
 * priorities and resets still reach them. */
#define WRITE_GATHER_BYTES (64 * KiB)

/* What arrives is held by the session; the server's budget covers it too. */
static void charge(struct http_conn *conn)
{
    struct http2_link *link = &conn->h2;
    size_t held = http2_server_held_bytes(link->session);
    conn->server->request_bytes += held - link->charged_bytes; /* modulo: may be less */
    link->charged_bytes = held;
}

/* --- answers --- */

static void begin(struct http_exchange *exchange, unsigned status, const struct http_fields *fields,
                  int64_t body_length)
{
    struct arena *arena = exchange->arena;
    struct http2_field *all = arena_calloc(arena, fields->count + 3, sizeof(*all));
    char *date = arena_alloc(arena, HTTP_DATE_SIZE);
    size_t count = 0;
    all[count++] = (struct http2_field){":status", arena_printf(arena, "%u", status)};
    all[count++] = (struct http2_field){"date", http_date(loop_now_wall_ns(exchange->loop), date)};
    if (body_length >= 0 && !http_is_bodiless_status(status))
        all[count++] = (struct http2_field){"content-length",
                                            arena_printf(arena, "%lld", (long long)body_length)};
    for (size_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->items[i];
        if (http_is_own_field(field->name) || text_eq(field->name, "upgrade"))
            continue;
        char *value = arena_strdup(arena, field->value);
        for (char *c = value; *c; c++) {
            if (http_is_control(*c))
                *c = ' ';
        }
        all[count++] = (struct http2_field){field->name, value};
    }
    http2_server_stream_begin(exchange->stream, all, count,
                              !exchange->is_bodiless && body_length != 0);
}

static void write_body(struct http_exchange *exchange, struct str bytes)
{
    http2_server_stream_write(exchange->stream, loop_now_mono_ns(exchange->loop), bytes);
}

static size_t backlog(const struct http_exchange *exchange)
{
    return http2_server_stream_backlog(exchange->stream);
}

static void finish(struct http_exchange *exchange)
{
    http2_server_stream_finish(exchange->stream);
}

static void abort_exchange(struct http_exchange *exchange)
{
    http2_server_stream_reset(exchange->stream, HTTP2_INTERNAL_ERROR);
    http_conn_flush_soon(exchange->conn);
}

/* --- requests --- */

struct request_parts {
    const char *method, *path, *authority;
    struct http_fields fields;
};

static void take_apart(struct http2_fields block, struct arena *arena, struct request_parts *ret)
{
    *ret = (struct request_parts){0};
    size_t texts = 0;
    for (size_t i = 0; i < block.len; i++)
        texts += block.bytes[i] == '\0';
    struct http_field *items = arena_calloc(arena, texts / 2 + 1, sizeof(*items));
    size_t count = 0;
    const char *at = block.bytes, *end = block.bytes + block.len;
    while (at < end) {
        const char *name = at, *value = at + strlen(at) + 1;
        at = value + strlen(value) + 1;
        if (text_eq(name, ":method"))
            ret->method = value;
        else if (text_eq(name, ":path"))
            ret->path = value;
        else if (text_eq(name, ":authority"))
            ret->authority = value;
        else if (name[0] != ':')
            items[count++] = (struct http_field){.name = name, .value = value};
    }
    ret->fields = (struct http_fields){.items = items, .count = count};
    if (ret->authority && !http_fields_get(&ret->fields, "host"))
        items[count++] = (struct http_field){.name = "host", .value = ret->authority};
    ret->fields.count = count;
}

static void refuse(struct http_exchange *exchange, unsigned status, const char *problem)
{
    static const struct http_field type = {"content-type", "text/plain; charset=utf-8"};
    AUTO(free)
    char *body = xasprintf("%u %s: %s\n", status, http_status_text(status), problem);
    http_exchange_reply(exchange, status, &(struct http_fields){.items = &type, .count = 1},
                        str_from(body));
}

static const char *problem_text(unsigned refusal)
{
    static const struct {
        unsigned status;
        const char *text;
    } rows[] = {{408, "the request did not arrive in time"},
                {413, "the body is too large"},
                {431, "the header fields are too large"},
                {503, HTTP_NO_ROOM}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].status == refusal)
            return rows[i].text;
    }
    return "refused";
}

static void on_request(void *ctx, struct http2_server_stream *stream)
{
    struct http_conn *conn = ctx;
    struct http_exchange *exchange = http_exchange_new(conn);
    exchange->stream = stream;
    exchange->request.is_http2 = true;
    conn->h2.had_request = true;
    conn->h2.idle_since_ns = INT64_MAX;
    struct request_parts parts;
    take_apart(http2_server_stream_fields(stream), exchange->arena, &parts);
    const char *problem = NULL;
    unsigned invalid =
        http_exchange_set_request(exchange, parts.method, parts.path, &parts.fields, &problem);
    unsigned refusal = http2_server_stream_refusal(stream);
    if (refusal != 0)
        problem = problem_text(refusal);
    else
        refusal = invalid;
    if (refusal != 0) {
        refuse(exchange, refusal, problem);
        return;
    }
    http2_server_stream_take_body(stream, &exchange->body);
    charge(conn);
    exchange->charged_bytes += exchange->body.len;
    conn->server->request_bytes += exchange->body.len;
    http2_server_stream_set_ctx(stream, exchange);
    http_exchange_hand_over(exchange);
}

static void on_sent(void *stream_ctx)
{
    http_exchange_check_drain(stream_ctx);
}

static void on_gone(void *stream_ctx)
{
    http_exchange_end_gone(stream_ctx);
}

static const struct http2_server_events session_events = {
    .on_request = on_request, .on_sent = on_sent, .on_gone = on_gone};

/* --- the connection --- */

static void start(struct http_conn *conn)
{
    const struct http2_server_limits limits = {
        .max_header_bytes = conn->server->options.max_header_bytes,
        .max_body_bytes = conn->server->options.max_body_bytes};
    conn->h2.session = http2_server_new(&limits, &session_events, conn);
    conn->h2.idle_since_ns = loop_now_mono_ns(conn->loop);
}

static void release(struct http_conn *conn)
{
    http2_server_free(conn->h2.session);
}

static void receive(struct http_conn *conn, struct str bytes)
{
    struct error *err = http2_server_receive(conn->h2.session, loop_now_mono_ns(conn->loop), bytes);
    if (err) {
        error_ignore(err, "the peer broke the protocol, which its exchanges are told as its end");
        http_conn_lose(conn);
        return;
    }
    charge(conn);
    if (conn->server->request_bytes > http_server_request_budget(conn->server))
        http2_server_refuse_requests(conn->h2.session, INT64_MAX, 503);
    (void)http2_server_dispatch(conn->h2.session);
    if (conn->stream)
        charge(conn);
}

static void on_end(struct http_conn *conn)
{
    http_conn_lose(conn);
}

static struct error *gather(struct http_conn *conn)
{
    int64_t now_ns = loop_now_mono_ns(conn->loop);
    while (byte_queue_len(&conn->out) < WRITE_GATHER_BYTES) {
        struct str bytes = {0};
        struct error *err = http2_server_send(conn->h2.session, now_ns, &bytes);
        if (err || bytes.len == 0)
            return err;
        buf_add_str(byte_queue_end(&conn->out), bytes);
    }
    return NULL;
}

static void note_idle(struct http_conn *conn)
{
    struct http2_link *link = &conn->h2;
    if (link->idle_since_ns == INT64_MAX && http2_server_stream_count(link->session) == 0)
        link->idle_since_ns = loop_now_mono_ns(conn->loop);
}

static bool after_write(struct http_conn *conn)
{
    bool is_more = http2_server_dispatch(conn->h2.session);
    if (!conn->stream)
        return false;
    charge(conn);
    note_idle(conn);
    if (!is_more && byte_queue_len(&conn->out) == 0 && !http2_server_is_alive(conn->h2.session))
        http_conn_lose(conn);
    return is_more && conn->stream && !conn->is_blocked;
}

/* --- time --- */

static int64_t idle_due_ns(const struct http_conn *conn)
{
    const struct http2_link *link = &conn->h2;
    if (link->is_closing || http2_server_stream_count(link->session) > 0)
        return INT64_MAX;
    return link->had_request
               ? sat_add_i64(link->idle_since_ns, conn->server->options.idle_timeout_ns)
               : conn->start_due_ns;
}

static int64_t due_ns(const struct http_conn *conn)
{
    const struct http_server_options *options = &conn->server->options;
    int64_t due = idle_due_ns(conn);
    due = min_i64(due, sat_add_i64(http2_server_oldest_request_ns(conn->h2.session),
                                   options->body_timeout_ns));
    return min_i64(
        due, sat_add_i64(http2_server_oldest_backlog_ns(conn->h2.session), conn->write_timeout_ns));
}

static void on_due(struct http_conn *conn, int64_t now_ns)
{
    const struct http_server_options *options = &conn->server->options;
    struct http2_server *session = conn->h2.session;
    http2_server_refuse_requests(session, sat_sub_i64(now_ns, options->body_timeout_ns), 408);
    http2_server_reset_stalled(session, sat_sub_i64(now_ns, conn->write_timeout_ns));
    if (idle_due_ns(conn) <= now_ns) {
        conn->h2.is_closing = true;
        http2_server_drain(session);
    }
    (void)http2_server_dispatch(session);
}

static void drain(struct http_conn *conn)
{
    http2_server_drain(conn->h2.session);
    http_conn_flush_soon(conn);
}

const struct http_protocol http_protocol_2 = {.start = start,
                                              .receive = receive,
                                              .on_end = on_end,
                                              .gather = gather,
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
