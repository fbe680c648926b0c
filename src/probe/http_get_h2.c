/* A GET over HTTP/2: the same request, the same reply, another way there. */
#include "probe/http_get_internal.h"

#include <nghttp2/nghttp2.h>

/* Fields that speak of an HTTP/1.1 connection have no place here (RFC 9113 §8.2.2). */
static bool is_of_connection(const char *name)
{
    static const char *const names[] = {"Connection", "Keep-Alive", "Proxy-Connection", "Upgrade",
                                        "Te"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static void on_fields(void *ctx, const struct http2_fields *fields, bool is_trailer)
{
    struct http_get *get = ctx;
    const char *status = http2_fields_get(fields, ":status");
    const char *location = http2_fields_get(fields, "location");
    int64_t number = 0;
    if (is_trailer || get->is_over)
        return;
    if (!status || !parse_i64(status, 200, 999, &number)) {
        http_get_broken(get, "malformed response from server: malformed non-numeric status pseudo "
                             "header");
        return;
    }
    get->reply.status = (unsigned)number;
    get->reply.state = HTTP_REPLY_BODY;
    get->reply.location = xstrdup(location);
    http_get_look(get);
}

static void on_data(void *ctx, struct str bytes)
{
    struct http_get *get = ctx;
    struct buf *body = &get->reply.body;
    if (get->is_over)
        return;
    buf_add(body, bytes.ptr, min_size(bytes.len, HTTP_REPLY_BODY_MAX_BYTES - body->len));
    if (body->len == HTTP_REPLY_BODY_MAX_BYTES)
        get->reply.state = HTTP_REPLY_DONE;
    http_get_look(get);
}

static void on_end(void *ctx, const struct http2_end *end)
{
    struct http_get *get = ctx;
    get->h2_stream = NULL;
    switch (end->kind) {
    case HTTP2_END_COMPLETE:
        get->reply.state = HTTP_REPLY_DONE;
        http_get_look(get);
        break;
    case HTTP2_END_RESET:
    case HTTP2_END_REFUSED:
        http_get_broken(get, arena_printf(get->arena,
                                          "stream error: stream ID 1; %s; received from peer",
                                          nghttp2_http2_strerror(end->kind == HTTP2_END_RESET
                                                                     ? end->error_code
                                                                     : HTTP2_REFUSED_STREAM)));
        break;
    case HTTP2_END_LOST:
        http_get_broken(get, arena_strdup(get->arena, end->cause->message));
        break;
    }
}

static const struct http2_stream_events stream_events = {
    .on_fields = on_fields, .on_data = on_data, .on_end = on_end};

static void on_settings(UNUSED void *ctx)
{
    /* The request has left already. */
}

static void on_draining(UNUSED void *ctx)
{
    /* The one stream goes on, or ends by itself. */
}

static void on_lost(void *ctx, UNUSED const struct error *cause)
{
    ((struct http_get *)ctx)->h2 = NULL; /* frees itself, and ends the stream next */
}

static const struct http2_conn_events conn_events = {
    .on_settings = on_settings, .on_draining = on_draining, .on_lost = on_lost};

void http_get_h2_begin(struct http_get *get, struct byte_stream *stream_owned)
{
    struct http2_field fields[HTTP2_REQUEST_MAX_FIELDS];
    size_t count = 0;
    fields[count++] = (struct http2_field){":method", "GET"};
    fields[count++] = (struct http2_field){":scheme", get->url.scheme};
    fields[count++] = (struct http2_field){":path", http_url_target(&get->url, get->arena)};
    fields[count++] =
        (struct http2_field){":authority", get->request.host ? get->request.host : get->url.host};
    if (get->request.user_agent)
        fields[count++] = (struct http2_field){"user-agent", get->request.user_agent};
    if (get->referer && !http_request_has(&get->request, "Referer"))
        fields[count++] = (struct http2_field){"referer", get->referer};
    get->h2 = http2_conn_new(probe_net_loop(get->net), stream_owned, &conn_events, get);
    for (size_t i = 0; i < get->request.count; i++) {
        const struct http_request_field *field = &get->request.fields[i];
        if (is_of_connection(field->name))
            continue;
        if (count == HTTP2_REQUEST_MAX_FIELDS) {
            http_get_broken(get, "more header fields than cubelet sends over HTTP/2");
            return;
        }
        fields[count++] =
            (struct http2_field){arena_strlower(get->arena, str_from(field->name)), field->value};
    }
    const struct http2_request request = {.fields = fields, .field_count = count};
    AUTO(error)
    struct error *err =
        http2_conn_start_stream(get->h2, &request, &stream_events, get, &get->h2_stream);
    if (err)
        http_get_broken(get, err->message);
}

void http_get_h2_drop(struct http_get *get)
{
    get->h2_stream = NULL;
    http2_conn_free(TAKE(get->h2));
}
