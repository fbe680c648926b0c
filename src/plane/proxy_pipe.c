/*
 * An upgrade (exec, attach, port-forward) at the plane: what is passed on of it, and how a node
 * that cannot be had is told of. The rest is wire/upgrade_pipe.h's.
 */
#include "plane/proxy_internal.h"

#define REQUEST_MAX_BYTES (128 * KiB)

static bool is_upgrade_field(const char *name)
{
    return strcmp(name, "connection") == 0 || strcmp(name, "upgrade") == 0;
}

static void write_request(const struct http_request *request, const struct proxy_target *target,
                          struct buf *out)
{
    bool is_v6 = strchr(target->host, ':') != NULL;
    buf_printf(out, "%s %s HTTP/1.1\r\nhost: %s%s%s:%u\r\n", request->method, target->target,
               is_v6 ? "[" : "", target->host, is_v6 ? "]" : "", (unsigned)target->port);
    for (size_t i = 0; i < request->fields.count; i++) {
        const struct http_field *field = &request->fields.items[i];
        if (proxy_passes_field(&request->fields, field) || is_upgrade_field(field->name))
            buf_printf(out, "%s: %s\r\n", field->name, field->value);
    }
    buf_add_text(out, "\r\n");
}

static void write_failure(const char *message, struct buf *body)
{
    proxy_write_failure(500, message, body);
}

struct error *proxy_pipe_begin(struct upgrade_house *house, const struct proxy_target *target,
                               struct tls_context *tls, struct http_exchange *exchange)
{
    static const struct http_field type = {.name = "content-type", .value = "application/json"};
    static const struct http_fields fields = {.items = &type, .count = 1};
    AUTO(buf) struct buf request;
    buf_init(&request, REQUEST_MAX_BYTES);
    write_request(http_exchange_request(exchange), target, &request);
    struct error *err = buf_error(&request, "the request");
    if (err)
        return err;
    const struct upgrade_pipe_options options = {.request = {.host = target->host,
                                                             .port = target->port,
                                                             .tls = tls,
                                                             .head = buf_str(&request)},
                                                 .write_failure = write_failure,
                                                 .failure_fields = &fields};
    return upgrade_pipe_begin(house, &options, exchange);
}
