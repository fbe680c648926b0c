/*
 * SPDY/3.1 frames: the first byte says how the rest is cut. However it is cut, the same events come
 * out, with the same verdict; names of headers are what HTTP could have as names; and headers that
 * were read can be written and read again.
 */
#include "wire/spdy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_fields(struct buf *out, const struct http_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++)
        buf_printf(out, "%s=%s\n", fields->items[i].name, fields->items[i].value);
}

static void check_round_trip(const struct spdy_event *event)
{
    AUTO(spdy) struct spdy *spdy = spdy_new();
    struct buf wire, want, got;
    buf_init(&wire, MiB);
    buf_init(&want, MiB);
    buf_init(&got, MiB);
    spdy_add_headers(spdy, &wire, event->frame, event->stream, &event->fields);
    add_fields(&want, &event->fields);
    struct str input = buf_str(&wire);
    struct spdy_event again;
    /* One name with several values is written as often: it may become too large. */
    AUTO(error) struct error *err = spdy_next(spdy, &input, &again);
    if (!err) {
        ASSERT(again.frame == event->frame && again.stream == event->stream && input.len == 0);
        add_fields(&got, &again.fields);
        ASSERT(str_eq(buf_str(&want), buf_str(&got)));
    }
    buf_done(&wire);
    buf_done(&want);
    buf_done(&got);
}

static void note(const struct spdy_event *event, struct buf *out, uint32_t *data_of)
{
    if (event->frame == SPDY_NONE)
        return;
    if (event->frame == SPDY_DATA) {
        ASSERT(event->stream != 0 && (event->bytes.len > 0 || event->is_last));
        if (event->stream != *data_of)
            buf_printf(out, "\ndata %u\n", event->stream);
        buf_add_str(out, event->bytes);
        *data_of = event->is_last ? 0 : event->stream;
        return;
    }
    *data_of = 0;
    buf_printf(out, "\nframe %d %u %d %u\n", (int)event->frame, event->stream, event->is_last,
               event->value);
    add_fields(out, &event->fields);
    for (size_t i = 0; i < event->fields.count; i++) {
        const char *name = event->fields.items[i].name;
        ASSERT(name[0] != '\0' && name[strcspn(name, " ABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0');
    }
    if (event->fields.count > 0)
        check_round_trip(event);
}

/* False when it was refused. */
static bool parse(struct str all, size_t piece, struct buf *out)
{
    AUTO(spdy) struct spdy *spdy = spdy_new();
    struct str input = {.ptr = all.ptr};
    uint32_t data_of = 0;
    for (size_t offered = 0; offered < all.len;) {
        size_t more = min_size(piece, all.len - offered);
        offered += more;
        input.len += more;
        struct spdy_event event = {.frame = SPDY_PING};
        while (event.frame != SPDY_NONE) {
            AUTO(error) struct error *err = spdy_next(spdy, &input, &event);
            if (err)
                return false;
            note(&event, out, &data_of);
        }
        ASSERT(input.len == 0);
    }
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
    bool whole_is_fine = parse(all, size, &whole);
    bool cut_is_fine = parse(all, (size_t)(data[0] & 15) + 1, &cut);
    ASSERT(whole_is_fine == cut_is_fine);
    ASSERT(str_eq(buf_str(&whole), buf_str(&cut)));
    buf_done(&whole);
    buf_done(&cut);
    return 0;
}
