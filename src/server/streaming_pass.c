/* Upgrades that are passed on: the client's own request, asked of the runtime's server. */
#include "server/reply.h"
#include "server/streaming_internal.h"

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
                           const struct buf *head, struct http_exchange *exchange)
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
                                                 .refuses_success = true};
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
    AUTO(error) struct error *err = begin(streaming, session, &head, exchange);
    if (err)
        reply_plain_error(exchange, 500, err->message);
}
