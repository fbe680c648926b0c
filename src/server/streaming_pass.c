/*
 * Upgrades that are passed on: the client's own request, asked of the runtime's server. A tunnel
 * (SPDY in a WebSocket) is asked for as what is in it, and the client's side is unwrapped.
 */
#include "server/reply.h"
#include "server/streaming_internal.h"
#include "wire/websocket.h"
#include "wire/websocket_stream.h"

#define REQUEST_MAX_BYTES (128 * KiB)

static void write_failure(const char *message, struct buf *body)
{
    buf_printf(body, "%s\n", message);
}

static const struct http_field failure_items[] = {{"content-type", "text/plain; charset=utf-8"},
                                                  {"x-content-type-options", "nosniff"}};
static const struct http_fields failure_fields = {.items = failure_items,
                                                  .count = ARRAY_SIZE(failure_items)};

/* Asks with @head, and joins. */
static struct error *begin(struct streaming *streaming, const struct streaming_session *session,
                           const struct buf *head, const struct upgrade_change *change,
                           struct http_exchange *exchange)
{
    struct error *err = buf_error(head, "the request");
    if (err)
        return err;
    const struct upgrade_pipe_options options = {.request = {.host = session->url.host,
                                                             .port = session->url.port,
                                                             .tls = session->tls,
                                                             .head = buf_str(head)},
                                                 .write_failure = write_failure,
                                                 .failure_fields = &failure_fields,
                                                 .refuses_success = true,
                                                 .change = change};
    return upgrade_pipe_begin(&streaming->pipes, &options, exchange);
}

void streaming_pass(struct streaming *streaming, const struct streaming_session *session,
                    struct http_exchange *exchange)
{
    const struct http_request *request = http_exchange_request(exchange);
    AUTO(buf) struct buf head;
    buf_init(&head, REQUEST_MAX_BYTES);
    streaming_write_passed_head(&head, request->method, session->fields, &session->url,
                                request->remote_address);
    AUTO(error) struct error *err = begin(streaming, session, &head, NULL, exchange);
    if (err)
        reply_plain_error(exchange, 500, err->message);
}

/* --- tunnels --- */

/* In the exchange's arena. */
struct tunnel {
    const char *key; /* of the WebSocket */
    struct streaming_protocols protocols;
};

static void write_agreement(void *ctx, const struct http1_head *head, struct buf *out)
{
    const struct tunnel *tunnel = ctx;
    const char *chosen = http_fields_get(&head->fields, "x-stream-protocol-version");
    AUTO(free)
    char *name =
        xasprintf(STREAMING_TUNNEL_PREFIX "%s", chosen ? chosen : tunnel->protocols.names[0]);
    websocket_add_agreement(out, tunnel->key, name);
}

static struct byte_stream *wrap(UNUSED void *ctx, struct loop *loop,
                                struct byte_stream *client_owned, struct str first,
                                struct str early)
{
    return websocket_stream_new(loop, client_owned, first, early);
}

void streaming_tunnel(struct streaming *streaming, const struct streaming_session *session,
                      struct http_exchange *exchange)
{
    const struct http_request *request = http_exchange_request(exchange);
    struct arena *arena = http_exchange_arena(exchange);
    struct tunnel *tunnel = arena_calloc(arena, 1, sizeof(*tunnel));
    AUTO(error) struct error *err = websocket_check_request(session->fields, &tunnel->key);
    streaming_tunnel_protocols(session->fields, arena, &tunnel->protocols);
    if (err || tunnel->protocols.count == 0) {
        reply_plain_error(exchange, 400,
                          err ? err->message
                              : "unable to upgrade: no tunneling spdy protocols provided");
        return;
    }
    AUTO(buf) struct buf head;
    buf_init(&head, REQUEST_MAX_BYTES);
    streaming_write_tunnel_head(&head, session->fields, &tunnel->protocols, &session->url,
                                request->remote_address);
    const struct upgrade_change change = {
        .write_head = write_agreement, .wrap = wrap, .ctx = tunnel};
    err = begin(streaming, session, &head, &change, exchange);
    if (err)
        reply_plain_error(exchange, 500, err->message);
}
