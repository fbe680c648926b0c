/*
 * gRPC's message framing: one byte of flags, four of length (big endian), the message. Pure, no
 * I/O. Any thread.
 */
#pragma once

#include "base/buf.h"

#define GRPC_FRAME_PREFIX_SIZE 5

/** Writes the prefix of an uncompressed message of @len bytes. */
void grpc_frame_prefix(uint32_t len, uint8_t prefix[static GRPC_FRAME_PREFIX_SIZE]);

/** Cuts a stream of bytes, which may arrive in any pieces, into messages. In the caller's memory.
 */
struct grpc_frame_parser {
    size_t max_bytes; /* of one message */
    uint8_t prefix[GRPC_FRAME_PREFIX_SIZE];
    size_t prefix_len;  /* bytes of the prefix seen so far */
    size_t message_len; /* announced by the prefix */
    struct buf message;
    bool is_complete; /* `message` holds a whole one: the next byte starts another */
};

/** Takes no memory yet. */
void grpc_frame_parser_init(struct grpc_frame_parser *parser, size_t max_bytes);
void grpc_frame_parser_done(struct grpc_frame_parser *parser);

/**
 * Takes bytes off the front of @input until a message is complete or @input is empty. On completion
 * *ret_is_message is true and *ret_message borrows the message until the next call; call again for
 * what is left of @input. Errors, after which the parser is of no more use: RESOURCE_EXHAUSTED when
 * a message is announced that is larger than the maximum; INTERNAL when it claims to be compressed,
 * which nobody asked for.
 */
MUST_CHECK struct error *grpc_frame_parser_next(struct grpc_frame_parser *parser, struct str *input,
                                                struct str *ret_message, bool *ret_is_message);

/** True when the bytes so far end inside a message. */
bool grpc_frame_parser_is_inside(const struct grpc_frame_parser *parser);
