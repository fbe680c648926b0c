/*
 * WebSocket frames: the first byte says how the rest is cut, and whose it is. However it is cut,
 * the same messages come out, with the same verdict; pieces of a message stand in order, and
 * nothing comes after a close.
 */
#include "wire/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct story {
    struct buf text;
    bool is_in_message, is_closed;
};

static void note(const struct websocket_event *event, struct story *story)
{
    ASSERT(!story->is_closed || event->kind == WEBSOCKET_EVENT_NONE);
    switch (event->kind) {
    case WEBSOCKET_EVENT_NONE:
        break;
    case WEBSOCKET_EVENT_PIECE:
        ASSERT(event->is_first == !story->is_in_message);
        ASSERT(event->bytes.len > 0 || event->is_last);
        if (event->is_first)
            buf_printf(&story->text, "\nmessage %d\n", event->is_text);
        buf_add_str(&story->text, event->bytes);
        if (event->is_last)
            buf_add_text(&story->text, "\nend\n");
        story->is_in_message = !event->is_last;
        break;
    case WEBSOCKET_EVENT_PING:
    case WEBSOCKET_EVENT_PONG:
        ASSERT(event->bytes.len <= WEBSOCKET_CONTROL_MAX_BYTES);
        buf_printf(&story->text, "\ncontrol %d\n", (int)event->kind);
        buf_add_str(&story->text, event->bytes);
        break;
    case WEBSOCKET_EVENT_CLOSE:
        buf_printf(&story->text, "\nclose %u\n", event->status);
        story->is_closed = true;
        break;
    }
}

/* False when it was refused. */
static bool parse(const uint8_t *data, size_t size, size_t piece, bool is_client,
                  struct story *story)
{
    struct websocket_parser parser = {.is_client = is_client};
    char *copy = xcalloc(1, size + 1);
    memcpy(copy, data, size);
    struct websocket_input input = {.ptr = copy};
    bool is_fine = true;
    for (size_t offered = 0; offered < size && is_fine;) {
        size_t more = min_size(piece, size - offered);
        offered += more;
        input.len += more;
        struct websocket_event event = {.kind = WEBSOCKET_EVENT_PING};
        while (event.kind != WEBSOCKET_EVENT_NONE && is_fine) {
            AUTO(error) struct error *err = websocket_next(&parser, &input, &event);
            is_fine = !err;
            if (is_fine)
                note(&event, story);
        }
        ASSERT(!is_fine || input.len == 0);
    }
    free(copy);
    return is_fine;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct story whole = {0}, cut = {0};
    buf_init(&whole.text, 64 * MiB);
    buf_init(&cut.text, 64 * MiB);
    bool is_client = data[0] & 16;
    bool whole_is_fine = parse(data + 1, size - 1, size, is_client, &whole);
    bool cut_is_fine = parse(data + 1, size - 1, (size_t)(data[0] & 15) + 1, is_client, &cut);
    ASSERT(whole_is_fine == cut_is_fine);
    ASSERT(str_eq(buf_str(&whole.text), buf_str(&cut.text)));
    buf_done(&whole.text);
    buf_done(&cut.text);
    return 0;
}
