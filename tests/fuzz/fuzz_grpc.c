/*
 * gRPC frames and messages: the first byte chooses how the rest is cut. However it is cut, the
 * parser brings the same messages as when all comes at once, none beyond the maximum, and the same
 * verdict. Read as a grpc-message, the rest decodes to something no longer, which is the text
 * itself when there is no '%' in it.
 */
#include "wire/grpc_frame.h"
#include "wire/grpc_status.h"

#define MAX_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came out: every message with its length before it. */
static enum error_code parse(struct str all, size_t piece, struct buf *out, bool *ret_is_inside)
{
    struct grpc_frame_parser parser;
    grpc_frame_parser_init(&parser, MAX_BYTES);
    enum error_code code = 0;
    for (size_t at = 0; code == 0 && at < all.len; at += piece) {
        struct str input = {.ptr = all.ptr + at, .len = min_size(piece, all.len - at)};
        while (code == 0 && input.len > 0) {
            struct str message = {0};
            bool is_message = false;
            AUTO(error)
            struct error *err = grpc_frame_parser_next(&parser, &input, &message, &is_message);
            code = err ? err->code : 0;
            ASSERT(!err || !is_message);
            if (is_message) {
                ASSERT(message.len <= MAX_BYTES);
                buf_printf(out, "%zu:", message.len);
                buf_add_str(out, message);
            }
        }
    }
    *ret_is_inside = code == 0 && grpc_frame_parser_is_inside(&parser);
    grpc_frame_parser_done(&parser);
    return code;
}

static void check_frames(struct str all, size_t piece)
{
    struct buf whole, cut;
    buf_init(&whole, 64 * MiB);
    buf_init(&cut, 64 * MiB);
    bool whole_is_inside = false, cut_is_inside = false;
    enum error_code whole_code = parse(all, all.len > 0 ? all.len : 1, &whole, &whole_is_inside);
    enum error_code cut_code = parse(all, piece, &cut, &cut_is_inside);
    ASSERT(whole_code == cut_code);
    ASSERT(whole_is_inside == cut_is_inside);
    ASSERT(str_eq(buf_str(&whole), buf_str(&cut)));
    buf_done(&whole);
    buf_done(&cut);
}

static void check_message(struct str all)
{
    AUTO(free) char *text = str_dup(all);
    AUTO(free) char *decoded = grpc_message_decode(text);
    ASSERT(strlen(decoded) <= strlen(text));
    ASSERT(strchr(text, '%') || text_eq(decoded, text));
    AUTO(error) struct error *err = grpc_status_to_error("2", text);
    ASSERT(err && text_eq(err->message, decoded));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str rest = {.ptr = (const char *)data + 1, .len = size - 1};
    check_frames(rest, (size_t)data[0] % 19 + 1);
    check_message(rest);
    return 0;
}
