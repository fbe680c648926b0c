#include "server/reply.h"

#define TEXT "text/plain; charset=utf-8"
#define RETRY_AFTER_S "60"

void reply_text(struct http_exchange *exchange, unsigned status, const char *text)
{
    static const struct http_field items[] = {{"content-type", TEXT}};
    const struct http_fields fields = {.items = items, .count = ARRAY_SIZE(items)};
    http_exchange_reply(exchange, status, &fields, str_from(text));
}

void reply_plain(struct http_exchange *exchange, unsigned status, struct str content)
{
    static const struct http_field items[] = {{"content-type", TEXT},
                                              {"x-content-type-options", "nosniff"}};
    const struct http_fields fields = {.items = items, .count = ARRAY_SIZE(items)};
    http_exchange_reply(exchange, status, &fields, content);
}

void reply_plain_error(struct http_exchange *exchange, unsigned status, const char *text)
{
    const char *line = arena_printf(http_exchange_arena(exchange), "%s\n", text);
    reply_plain(exchange, status, str_from(line));
}

void reply_json(struct http_exchange *exchange, unsigned status, struct str content)
{
    static const struct http_field items[] = {{"content-type", "application/json"}};
    const struct http_fields fields = {.items = items, .count = ARRAY_SIZE(items)};
    http_exchange_reply(exchange, status, &fields, content);
}

unsigned reply_status_of(const struct error *err)
{
    if (err->code == ERROR_NOT_FOUND)
        return 404;
    return err->code == ERROR_RESOURCE_EXHAUSTED ? 429 : 500;
}

void reply_error(struct http_exchange *exchange, struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    static const struct http_field items[] = {{"content-type", TEXT},
                                              {"retry-after", RETRY_AFTER_S}};
    unsigned status = reply_status_of(err);
    const struct http_fields fields = {.items = items,
                                       .count = status == 429 ? ARRAY_SIZE(items) : 1};
    http_exchange_reply(exchange, status, &fields, str_from(err->message));
}
