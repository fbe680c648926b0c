/*
 * Exchanges: what is the same for both protocols. `conn` is NULL once an exchange has ended; then
 * every function does nothing, so that an owner's callback may end what is being ended.
 */
#include "wire/http_server_internal.h"

#include "base/hash.h"

/* Bodies of this many requests of full size may be in memory at once, over all connections. */
#define BODY_BUDGET_REQUESTS 24
/* Taken apart, a head may be many times what it was on the wire. Beyond this, which an ordinary one
 * does not reach, it counts as a body does; so who asks for little is served when others have used
 * the budget up. */
#define FREE_HEAD_BYTES (4 * KiB)

size_t http_server_request_budget(const struct http_server *server)
{
    size_t budget;
    return mul_size(server->options.max_body_bytes, BODY_BUDGET_REQUESTS, &budget) ? budget
                                                                                   : SIZE_MAX;
}

struct http_exchange *http_exchange_new(struct http_conn *conn)
{
    struct http_exchange *exchange = xcalloc(1, sizeof(*exchange));
    exchange->conn = conn;
    exchange->loop = conn->loop;
    exchange->arena = arena_new(0);
    buf_init(&exchange->body, conn->server->options.max_body_bytes);
    return exchange;
}

bool http_exchange_charge(struct http_exchange *exchange, size_t len)
{
    struct http_server *server = exchange->conn->server;
    size_t budget = http_server_request_budget(server);
    if (server->request_bytes > budget || len > budget - server->request_bytes)
        return false;
    server->request_bytes += len;
    exchange->charged_bytes += len;
    return true;
}

/* `GET http://host/path`, which a server must understand (RFC 9112 §3.2.2): the path of it. */
static struct str origin_form(const char *target)
{
    struct str raw = str_from(target);
    if (!str_has_prefix(raw, "http://") && !str_has_prefix(raw, "https://"))
        return raw;
    const char *authority = strstr(target, "//") + 2;
    const char *path = authority + strcspn(authority, "/?");
    return path[0] == '/' ? str_from(path) : STR_LITERAL("/");
}

unsigned http_exchange_set_request(struct http_exchange *exchange, const char *method,
                                   const char *target, const struct http_fields *fields,
                                   const char **ret_problem)
{
    struct http_request *request = &exchange->request;
    struct http_field *items = arena_calloc(exchange->arena, fields->count, sizeof(*items));
    for (size_t i = 0; i < fields->count; i++)
        items[i] =
            (struct http_field){.name = arena_strdup(exchange->arena, fields->items[i].name),
                                .value = arena_strdup(exchange->arena, fields->items[i].value)};
    request->fields = (struct http_fields){.items = items, .count = fields->count};
    request->method = arena_strdup(exchange->arena, method ? method : "");
    request->peer = exchange->conn->peer;
    request->remote_address = exchange->conn->remote_address;
    request->has_peer_uid = exchange->conn->has_peer_uid;
    request->peer_uid = exchange->conn->peer_uid;
    exchange->is_bodiless = text_eq(request->method, "HEAD");

    *ret_problem = "malformed request target";
    if (!method || !target)
        return 400;
    if (strlen(target) > HTTP_TARGET_MAX_BYTES)
        return 414;
    AUTO(error)
    struct error *err = http_target_parse(origin_form(target), exchange->arena, &request->target);
    if (err)
        return 400;
    size_t head_bytes = arena_used(exchange->arena);
    *ret_problem = HTTP_NO_ROOM;
    return head_bytes <= FREE_HEAD_BYTES || http_exchange_charge(exchange, head_bytes) ? 0 : 503;
}

void http_exchange_hand_over(struct http_exchange *exchange)
{
    struct http_conn *conn = exchange->conn;
    exchange->is_handed = true;
    exchange->request.body = buf_str(&exchange->body);
    DL_APPEND(conn->exchanges, exchange);
    conn->server->on_request(conn->server->ctx, exchange);
}

static void release(void *object)
{
    struct http_exchange *exchange = object;
    buf_done(&exchange->body);
    arena_free(exchange->arena);
    free(exchange);
}

void http_exchange_end(struct http_exchange *exchange)
{
    if (!exchange || !exchange->conn)
        return;
    struct http_conn *conn = exchange->conn;
    conn->server->request_bytes -= exchange->charged_bytes;
    exchange->charged_bytes = 0;
    if (exchange->is_handed)
        DL_DELETE(conn->exchanges, exchange);
    exchange->conn = NULL;
    loop_defer_free(exchange->loop, release, exchange);
    if (exchange->on_end)
        exchange->on_end(exchange->end_ctx, exchange->status);
}

void http_exchange_end_gone(struct http_exchange *exchange)
{
    void (*on_gone)(void *ctx) = exchange->on_gone;
    http_exchange_end(exchange);
    if (on_gone)
        on_gone(exchange->gone_ctx);
}

/* --- the owner's side --- */

const struct http_request *http_exchange_request(const struct http_exchange *exchange)
{
    return &exchange->request;
}

struct arena *http_exchange_arena(struct http_exchange *exchange)
{
    return exchange->arena;
}

void http_exchange_on_gone(struct http_exchange *exchange, void (*on_gone)(void *ctx), void *ctx)
{
    exchange->on_gone = on_gone;
    exchange->gone_ctx = ctx;
}

void http_exchange_on_end(struct http_exchange *exchange,
                          void (*on_end)(void *ctx, unsigned status), void *ctx)
{
    exchange->on_end = on_end;
    exchange->end_ctx = ctx;
}

static void begin(struct http_exchange *exchange, unsigned status, const struct http_fields *fields,
                  int64_t body_length)
{
    ASSERT(!exchange->is_begun);
    exchange->is_begun = true;
    exchange->status = status;
    exchange->is_bodiless = exchange->is_bodiless || http_is_bodiless_status(status);
    static const struct http_fields none = {0};
    exchange->conn->protocol->begin(exchange, status, fields ? fields : &none, body_length);
}

void http_exchange_begin(struct http_exchange *exchange, unsigned status,
                         const struct http_fields *fields)
{
    if (!exchange->conn)
        return;
    begin(exchange, status, fields, -1);
    http_conn_flush_soon(exchange->conn);
}

void http_exchange_begin_sized(struct http_exchange *exchange, unsigned status,
                               const struct http_fields *fields, uint64_t length)
{
    if (!exchange->conn)
        return;
    begin(exchange, status, fields, (int64_t)length);
    http_conn_flush_soon(exchange->conn);
}

void http_exchange_set_patience(struct http_exchange *exchange, int64_t write_timeout_ns)
{
    if (exchange->conn)
        exchange->conn->write_timeout_ns = write_timeout_ns;
}

void http_exchange_write(struct http_exchange *exchange, struct str bytes)
{
    if (!exchange->conn || bytes.len == 0)
        return;
    ASSERT(exchange->is_begun);
    if (exchange->is_bodiless)
        return;
    exchange->conn->protocol->write(exchange, bytes);
    exchange->was_above =
        exchange->was_above || http_exchange_backlog(exchange) >= exchange->drain_below;
    http_conn_flush_soon(exchange->conn);
}

void http_exchange_reply(struct http_exchange *exchange, unsigned status,
                         const struct http_fields *fields, struct str body)
{
    if (!exchange->conn)
        return;
    begin(exchange, status, fields, (int64_t)body.len);
    http_exchange_write(exchange, body);
    http_exchange_finish(exchange);
}

void http_exchange_finish(struct http_exchange *exchange)
{
    struct http_conn *conn = exchange->conn;
    if (!conn)
        return;
    ASSERT(exchange->is_begun);
    conn->protocol->finish(exchange);
    http_exchange_end(exchange);
    http_conn_flush_soon(conn);
}

void http_exchange_abort(struct http_exchange *exchange)
{
    if (!exchange->conn)
        return;
    exchange->conn->protocol->abort(exchange);
    http_exchange_end(exchange);
}

size_t http_exchange_backlog(const struct http_exchange *exchange)
{
    return exchange->conn ? exchange->conn->protocol->backlog(exchange) : 0;
}

void http_exchange_on_drain(struct http_exchange *exchange, size_t limit_bytes,
                            void (*on_drain)(void *ctx), void *ctx)
{
    exchange->on_drain = on_drain;
    exchange->drain_ctx = ctx;
    /* A producer may stop below its limit, because the next piece would not fit: hence from the
     * half on it counts as waiting. */
    exchange->drain_below = limit_bytes < 2 ? 1 : limit_bytes / 2;
    exchange->was_above = http_exchange_backlog(exchange) >= exchange->drain_below;
}

void http_exchange_check_drain(struct http_exchange *exchange)
{
    if (!exchange->conn || !exchange->was_above || !exchange->on_drain ||
        http_exchange_backlog(exchange) >= exchange->drain_below)
        return;
    exchange->was_above = false;
    exchange->on_drain(exchange->drain_ctx);
}

struct error *http_exchange_take(struct http_exchange *exchange, struct byte_stream **ret_stream,
                                 struct str *ret_early, struct arena **ret_arena_owned)
{
    struct http_conn *conn = exchange->conn;
    if (!conn || exchange->is_begun || conn->protocol != &http_protocol_1)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "only an unanswered HTTP/1.1 request can be upgraded");
    struct str early = conn->h1.input;
    *ret_early =
        (struct str){.ptr = arena_memdup(exchange->arena, early.ptr, early.len), .len = early.len};
    *ret_arena_owned = TAKE(exchange->arena);
    exchange->status = 101;
    void (*on_end)(void *ctx, unsigned status) = TAKE(exchange->on_end);
    struct byte_stream *stream = http_conn_detach(conn);
    *ret_stream = on_end ? http_taken_stream(stream, on_end, exchange->end_ctx) : stream;
    return NULL;
}

/* --- responses --- */

bool http_is_own_field(const char *name)
{
    static const char *const names[] = {"date",       "content-length", "transfer-encoding",
                                        "connection", "keep-alive",     "proxy-connection"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (text_eq(name, names[i]))
            return true;
    }
    return false;
}

bool http_is_bodiless_status(unsigned status)
{
    return status < 200 || status == 204 || status == 304;
}
