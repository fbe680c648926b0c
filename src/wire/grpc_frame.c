#include "wire/grpc_frame.h"

void grpc_frame_prefix(uint32_t len, uint8_t prefix[static GRPC_FRAME_PREFIX_SIZE])
{
    prefix[0] = 0; /* not compressed */
    prefix[1] = (uint8_t)(len >> 24);
    prefix[2] = (uint8_t)(len >> 16);
    prefix[3] = (uint8_t)(len >> 8);
    prefix[4] = (uint8_t)len;
}

void grpc_frame_parser_init(struct grpc_frame_parser *parser, size_t max_bytes)
{
    *parser = (struct grpc_frame_parser){.max_bytes = max_bytes};
    buf_init(&parser->message, max_bytes);
}

void grpc_frame_parser_done(struct grpc_frame_parser *parser)
{
    buf_done(&parser->message);
    grpc_frame_parser_init(parser, parser->max_bytes);
}

static size_t take(struct str *input, size_t wanted)
{
    size_t len = min_size(wanted, input->len);
    input->ptr += len;
    input->len -= len;
    return len;
}

static struct error *read_prefix(struct grpc_frame_parser *parser)
{
    const uint8_t *prefix = parser->prefix;
    uint32_t len = (uint32_t)prefix[1] << 24 | (uint32_t)prefix[2] << 16 |
                   (uint32_t)prefix[3] << 8 | (uint32_t)prefix[4];
    if (prefix[0] == 1)
        return error_new(ERROR_INTERNAL,
                         "grpc: compressed flag set with identity or empty encoding");
    if (prefix[0] != 0)
        return error_new(ERROR_INTERNAL, "grpc: received unexpected payload format %u", prefix[0]);
    if (len > parser->max_bytes)
        return error_new(ERROR_RESOURCE_EXHAUSTED,
                         "grpc: received message larger than max (%u vs. %zu)", len,
                         parser->max_bytes);
    parser->message_len = len;
    return NULL;
}

struct error *grpc_frame_parser_next(struct grpc_frame_parser *parser, struct str *input,
                                     struct str *ret_message, bool *ret_is_message)
{
    *ret_is_message = false;
    if (input->len == 0)
        return NULL;
    if (parser->is_complete)
        grpc_frame_parser_done(parser);

    if (parser->prefix_len < GRPC_FRAME_PREFIX_SIZE) {
        const char *from = input->ptr;
        size_t len = take(input, GRPC_FRAME_PREFIX_SIZE - parser->prefix_len);
        memcpy(parser->prefix + parser->prefix_len, from, len);
        parser->prefix_len += len;
        if (parser->prefix_len < GRPC_FRAME_PREFIX_SIZE)
            return NULL;
        struct error *err = read_prefix(parser);
        if (err)
            return err;
    }

    const char *from = input->ptr;
    size_t len = take(input, parser->message_len - parser->message.len);
    buf_add(&parser->message, from, len);
    parser->is_complete = parser->message.len == parser->message_len;
    if (parser->is_complete)
        *ret_message = buf_str(&parser->message);
    *ret_is_message = parser->is_complete;
    return NULL;
}

bool grpc_frame_parser_is_inside(const struct grpc_frame_parser *parser)
{
    return parser->prefix_len > 0 && !parser->is_complete;
}
