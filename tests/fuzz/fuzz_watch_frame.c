/*
 * Any bytes as the body of a watch. The first byte chooses the encoding and the size of the pieces.
 * Properties: no crash; the pieces in which bytes arrive make no difference; an event that was
 * decoded is the same after encoding it as protobuf and as JSON.
 */
#include "kube/watch_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUTPUT_MAX_BYTES (16 * MiB)

/* Texts of protobuf need not be UTF-8, which changes them in JSON: only the shape is compared. */
static void check_event(const struct watch_event *event, enum kube_encoding encoding,
                        struct arena *arena)
{
    AUTO(watch_decoder) struct watch_decoder *decoder = watch_decoder_new(encoding);
    AUTO(buf) struct buf frame;
    struct watch_event back;
    bool has = false;
    buf_init(&frame, OUTPUT_MAX_BYTES);
    watch_frame_encode(event, encoding, &frame);
    if (frame.overflowed || frame.len > WATCH_FRAME_MAX_BYTES)
        return;
    struct error *err = watch_decoder_feed(decoder, buf_str(&frame));
    ASSERT(!err);
    err = watch_decoder_next(decoder, arena, &has, &back);
    ASSERT(!err);
    ASSERT(has && back.type == event->type && back.kind == event->kind);
    ASSERT(encoding == KUBE_JSON || kube_message_eq(back.object, event->object));
    ASSERT(!watch_decoder_is_partial(decoder));
}

/* Everything that comes out of @bytes, fed in pieces of @step, as text. */
static void collect(struct str bytes, enum kube_encoding encoding, size_t step, bool with_checks,
                    struct buf *out)
{
    AUTO(watch_decoder) struct watch_decoder *decoder = watch_decoder_new(encoding);
    for (size_t at = 0; at < bytes.len; at += step) {
        struct str piece = {.ptr = bytes.ptr + at, .len = min_size(step, bytes.len - at)};
        struct error *err = watch_decoder_feed(decoder, piece);
        bool is_broken = err != NULL;
        error_ignore(err, "the stream ends here");
        for (bool has = true; has;) {
            AUTO(arena) struct arena *arena = arena_new(0);
            struct watch_event event;
            err = watch_decoder_next(decoder, arena, &has, &event);
            if (has)
                watch_frame_encode(&event, KUBE_JSON, out);
            if (has && with_checks) {
                check_event(&event, KUBE_PROTOBUF, arena);
                check_event(&event, KUBE_JSON, arena);
            }
            buf_add_text(out, err ? err->message : "");
            has = has || err;
            error_ignore(err, "that frame is skipped");
        }
        if (is_broken) {
            buf_add_text(out, "broken");
            return;
        }
    }
    buf_add_text(out, watch_decoder_is_partial(decoder) ? "partial" : "whole");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    AUTO(buf) struct buf whole, pieces;
    enum kube_encoding encoding = data[0] & 1 ? KUBE_PROTOBUF : KUBE_JSON;
    struct str bytes = {.ptr = (const char *)data + 1, .len = size - 1};
    buf_init(&whole, OUTPUT_MAX_BYTES);
    buf_init(&pieces, OUTPUT_MAX_BYTES);
    collect(bytes, encoding, size, true, &whole);
    collect(bytes, encoding, 1 + (data[0] >> 1), false, &pieces);
    ASSERT(str_eq(buf_str(&whole), buf_str(&pieces)));
    return 0;
}
