/*
 * HTTP/1.1 messages: the first byte chooses the side, what a response answers and how the rest is
 * cut. However it is cut, the parser takes the same messages out of it and comes to the same
 * verdict. Heads that it lets through hold nothing that another parser could read differently, and
 * bodies are as long as these say.
 */
#include "wire/http1.h"

#include "base/buf.h"

#define MAX_HEAD_BYTES 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_fields(const struct http_fields *fields, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < fields->count; i++)
        count += text_eq(fields->items[i].name, name);
    return count;
}

static void check_head(const struct http1_head *head)
{
    for (size_t i = 0; i < head->fields.count; i++) {
        const struct http_field *field = &head->fields.items[i];
        ASSERT(field->name[0] != '\0');
        for (const char *c = field->name; *c; c++)
            ASSERT((unsigned char)*c > ' ' && *c != ':' && *c != 0x7f && !(*c >= 'A' && *c <= 'Z'));
        for (const char *c = field->value; *c; c++)
            ASSERT((unsigned char)*c >= ' ' || *c == '\t');
        size_t len = strlen(field->value);
        ASSERT(len == 0 || (field->value[0] != ' ' && field->value[len - 1] != ' '));
    }
    ASSERT(count_fields(&head->fields, "content-length") +
               count_fields(&head->fields, "transfer-encoding") <=
           1);
    if (!head->method) {
        ASSERT(head->status >= 100 && head->status <= 999);
        return;
    }
    ASSERT(count_fields(&head->fields, "host") <= 1);
    ASSERT(!(head->is_upgrade && head->has_body));
    for (const char *c = head->target; *c; c++)
        ASSERT(*c > ' ' && *c < 0x7f);
}

/* @owed: what is still to come of a body of known length; -1 where it is not known. */
static void note(const struct http1_event *event, struct buf *out, int64_t *owed)
{
    switch (event->kind) {
    case HTTP1_NONE:
        break;
    case HTTP1_HEAD:
        check_head(event->head);
        *owed = event->head->has_body ? event->head->body_length : 0;
        buf_printf(out, "\nhead %s %u %zu %d%d%d\n",
                   event->head->method ? event->head->target : "-", event->head->status,
                   event->head->fields.count, event->head->is_keep_alive, event->head->is_upgrade,
                   event->head->has_body);
        break;
    case HTTP1_BODY:
        ASSERT(event->bytes.len > 0);
        ASSERT(*owed < 0 || event->bytes.len <= (uint64_t)*owed);
        *owed -= *owed < 0 ? 0 : (int64_t)event->bytes.len;
        buf_add_str(out, event->bytes);
        break;
    case HTTP1_COMPLETE:
        ASSERT(*owed <= 0);
        buf_add_text(out, "\nend\n");
        break;
    }
}

/* What came out; false when it was refused. */
static bool parse(uint8_t choice, struct str all, size_t piece, struct buf *out)
{
    AUTO(http1_parser)
    struct http1_parser *parser =
        http1_parser_new(choice & 1 ? HTTP1_RESPONSES : HTTP1_REQUESTS, MAX_HEAD_BYTES);
    http1_parser_expect(parser, (enum http1_answers)((choice >> 1) % 3));
    struct str input = {.ptr = all.ptr};
    struct http1_event event;
    size_t offered = 0;
    int64_t owed = 0;
    while (offered < all.len) {
        size_t more = min_size(piece, all.len - offered);
        offered += more;
        input.len += more;
        do {
            size_t before = input.len;
            AUTO(error) struct error *err = http1_parser_next(parser, &input, &event);
            if (err) {
                ASSERT(http1_parser_error_status(parser) >= 400);
                return false;
            }
            ASSERT(event.kind != HTTP1_NONE || input.len == 0 || input.len == before);
            note(&event, out, &owed);
        } while (event.kind != HTTP1_NONE);
    }
    buf_printf(out, "\nleft %zu\n", input.len);
    AUTO(error) struct error *err = http1_parser_end(parser, &event);
    if (!err)
        note(&event, out, &owed);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str all = {.ptr = (const char *)data + 1, .len = size - 1};
    struct buf whole, cut;
    buf_init(&whole, 64 * MiB);
    buf_init(&cut, 64 * MiB);
    bool whole_is_fine = parse(data[0], all, all.len, &whole);
    bool cut_is_fine = parse(data[0], all, (size_t)(data[0] >> 4) + 1, &cut);
    ASSERT(whole_is_fine == cut_is_fine);
    /* A body in pieces may be handed out further before something behind it is refused. */
    size_t len = min_size(whole.len, cut.len);
    ASSERT(memcmp(buf_text(&whole), buf_text(&cut), len) == 0);
    ASSERT(!whole_is_fine || whole.len == cut.len);
    buf_done(&whole);
    buf_done(&cut);
    return 0;
}
