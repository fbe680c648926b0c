#include "wire/http_client_internal.h"

#include "base/hash.h"

#include <nghttp2/nghttp2.h>

struct http_h2 {
    struct http_client *client;
    struct http2_conn *conn; /* not ours any more once it is lost */
    bool is_lost;
    bool has_settings; /* how many calls it takes is known */
    bool is_proven;    /* an answer has come */
    bool is_retired;   /* takes none any more */
    struct loop_timer *idle;
    struct http_h2 *prev, *next;
};

static void release(void *object)
{
    free(object);
}

/* The connection is gone, or has been freed. Both stay in memory until the end of the turn, for the
 * streams that end in it. */
static void forget(struct http_h2 *link)
{
    struct http_client *client = link->client;
    link->is_lost = true;
    DL_DELETE(client->h2s, link);
    client->h2_count--;
    loop_timer_free(TAKE(link->idle));
    loop_defer_free(client->loop, release, link);
}

/* --- the connection --- */

static struct error *refused_error(void)
{
    return error_new(ERROR_UNAVAILABLE, "http2: the server takes no more requests on this "
                                        "connection");
}

static struct error *lost_error(const struct error *cause)
{
    if (text_eq(cause->reason, HTTP2_CONN_EOF))
        return error_new(ERROR_UNAVAILABLE, "unexpected EOF");
    return error_dup(cause);
}

/* Who waits would find out the same on a further connection, each on one of its own. */
static void fail_waiting_unless_proven(const struct http_h2 *link, const struct error *cause)
{
    if (!link->is_proven && !link->is_retired)
        http_client_fail_waiting(link->client, cause);
}

static void on_settings(void *ctx)
{
    struct http_h2 *link = ctx;
    link->has_settings = true;
    http_client_wake(link->client);
}

static void on_new_limit(void *ctx)
{
    struct http_h2 *link = ctx;
    http_client_wake(link->client);
}

static void on_draining(void *ctx)
{
    struct http_h2 *link = ctx;
    AUTO(error) struct error *err = refused_error();
    fail_waiting_unless_proven(link, err);
    link->is_retired = true;
    http_client_wake(link->client);
}

static void on_lost(void *ctx, const struct error *cause)
{
    struct http_h2 *link = ctx;
    struct http_client *client = link->client;
    AUTO(error) struct error *err = lost_error(cause);
    forget(link);
    fail_waiting_unless_proven(link, err);
    http_client_wake(client);
}

static const struct http2_conn_events conn_events = {.on_settings = on_settings,
                                                     .on_new_limit = on_new_limit,
                                                     .on_draining = on_draining,
                                                     .on_lost = on_lost};

static void retire(struct http_h2 *link)
{
    link->is_retired = true;
    http2_conn_drain(link->conn);
}

static void on_idle(void *ctx)
{
    struct http_h2 *link = ctx;
    if (http2_conn_stream_count(link->conn) == 0)
        retire(link);
}

/* A call has left: there is room, and the last one's going starts the clock. */
static void note_departure(struct http_h2 *link)
{
    if (link->is_lost)
        return;
    if (http2_conn_stream_count(link->conn) == 0)
        loop_timer_start(link->idle, HTTP_CLIENT_IDLE_NS);
    if (link->client->waiting)
        http_client_wake(link->client);
}

struct http_h2 *http_h2_open(struct http_client *client, struct byte_stream *stream_owned)
{
    struct http_h2 *link = xcalloc(1, sizeof(*link));
    link->client = client;
    link->conn = http2_conn_new(client->loop, stream_owned, &conn_events, link);
    http2_conn_keep_alive(link->conn, client->ping_after_ns, client->ping_timeout_ns);
    link->idle = loop_timer_new(client->loop, "http idle", on_idle, link);
    loop_timer_start(link->idle, HTTP_CLIENT_IDLE_NS);
    DL_APPEND(client->h2s, link);
    client->h2_count++;
    return link;
}

static bool is_full(const struct http_h2 *link)
{
    return http2_conn_stream_count(link->conn) >= http2_conn_stream_limit(link->conn);
}

struct http_h2 *http_h2_find(struct http_client *client)
{
    struct http_h2 *link;
    DL_FOREACH(client->h2s, link) {
        if (link->is_retired)
            continue;
        bool can_start = http2_conn_can_start(link->conn);
        if (can_start && !is_full(link))
            return link;
        /* Stream numbers ran out, or it broke in this turn; who broke at once is about to be lost,
         * and that is to be told to those who wait. */
        if (!can_start && link->is_proven)
            retire(link);
    }
    return NULL;
}

bool http_h2_may_add(const struct http_client *client)
{
    const struct http_h2 *link;
    size_t count = 0;
    DL_FOREACH(client->h2s, link) {
        if (link->is_retired)
            continue;
        /* One that takes no calls at all says that the server wants none now. */
        if (!link->has_settings || http2_conn_stream_limit(link->conn) == 0)
            return false;
        count++;
    }
    return count < HTTP_CLIENT_MAX_HTTP2_CONNECTIONS;
}

void http_h2_retire_all(struct http_client *client)
{
    struct http_h2 *link;
    DL_FOREACH(client->h2s, link)
        retire(link);
}

void http_h2_close_all(struct http_client *client)
{
    while (client->h2s) {
        http2_conn_free(client->h2s->conn);
        forget(client->h2s);
    }
}

/* --- calls --- */

static bool is_pseudo(const char *name)
{
    return name[0] == ':';
}

/* The block's fields but for the pseudo ones, in @arena. */
static struct http_fields list_fields(const struct http2_fields *block, struct arena *arena)
{
    size_t texts = 0;
    for (size_t i = 0; i < block->len; i++)
        texts += block->bytes[i] == '\0';
    struct http_field *items = arena_calloc(arena, texts / 2 + 1, sizeof(*items));
    struct http_fields fields = {.items = items};
    const char *at = block->bytes, *end = block->bytes + block->len;
    while (at < end) {
        const char *value = at + strlen(at) + 1;
        if (!is_pseudo(at))
            items[fields.count++] = (struct http_field){.name = at, .value = value};
        at = value + strlen(value) + 1;
    }
    return fields;
}

static void on_fields(void *ctx, const struct http2_fields *block, bool is_trailer)
{
    struct http_call *call = ctx;
    if (is_trailer)
        return;
    call->h2->is_proven = true;
    /* nghttp2 lets no other status through than three digits. */
    const char *text = http2_fields_get(block, ":status");
    uint64_t status = 0;
    if (!text || !parse_u64(text, &status))
        status = 0;
    AUTO(arena) struct arena *arena = arena_new(0);
    struct http_fields fields = list_fields(block, arena);
    http_call_take_response(call, (unsigned)status, &fields);
}

static void on_data(void *ctx, struct str bytes)
{
    http_call_take_data(ctx, bytes);
}

static struct error *end_error(const struct http2_end *end)
{
    switch (end->kind) {
    case HTTP2_END_COMPLETE:
        break;
    case HTTP2_END_RESET:
        return error_new(ERROR_UNAVAILABLE, "stream error: %s",
                         nghttp2_http2_strerror(end->error_code));
    case HTTP2_END_REFUSED:
        return refused_error();
    case HTTP2_END_LOST:
        return lost_error(end->cause);
    }
    return NULL;
}

static void on_end(void *ctx, const struct http2_end *end)
{
    struct http_call *call = ctx;
    call->stream = NULL;
    note_departure(call->h2);
    struct error *err = end_error(end);
    if (end->kind == HTTP2_END_RESET)
        http_call_fail_reset(call, err);
    else if (err)
        http_call_fail(call, err, end->kind == HTTP2_END_REFUSED || end->is_unsent);
    else
        http_call_complete(call);
}

static const struct http2_stream_events stream_events = {
    .on_fields = on_fields, .on_data = on_data, .on_end = on_end};

void http_h2_send(struct http_h2 *link, struct http_call *call)
{
    struct http2_field fields[HTTP2_REQUEST_MAX_FIELDS];
    size_t count = 0;
    fields[count++] = (struct http2_field){":method", call->method};
    fields[count++] = (struct http2_field){":scheme", "https"};
    fields[count++] = (struct http2_field){":authority", call->client->authority};
    fields[count++] = (struct http2_field){":path", call->target};
    for (size_t i = 0; i < call->fields.count; i++)
        fields[count++] =
            (struct http2_field){call->fields.items[i].name, call->fields.items[i].value};
    if (http_call_tells_length(call))
        fields[count++] = (struct http2_field){"content-length",
                                               arena_printf(call->arena, "%zu", call->body.len)};

    const struct http2_request request = {
        .fields = fields, .field_count = count, .body = call->body};
    loop_timer_cancel(link->idle);
    call->h2 = link;
    call->state = HTTP_CALL_ON_H2;
    struct error *err =
        http2_conn_start_stream(link->conn, &request, &stream_events, call, &call->stream);
    if (err) {
        http_call_fail(call, err, true);
        return;
    }
    if (call->is_paused)
        http2_conn_pause_stream(link->conn, call->stream, true);
}

void http_h2_abandon(struct http_call *call)
{
    /* On a lost one too, whose other streams are being ended right now. */
    http2_conn_reset_stream(call->h2->conn, call->stream, HTTP2_CANCEL);
    call->stream = NULL;
    note_departure(call->h2);
}

void http_h2_update_pause(struct http_call *call)
{
    if (!call->h2->is_lost)
        http2_conn_pause_stream(call->h2->conn, call->stream, call->is_paused);
}
