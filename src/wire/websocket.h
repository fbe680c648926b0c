/*
 * WebSocket frames (RFC 6455): a server's handshake, and what either side sends. No extensions.
 * Protocol only: no I/O, no clock, no callbacks; the owner asks for the next event. A message is
 * handed out in pieces as it comes, so it may be of any length. Text is not checked to be UTF-8:
 * nobody here reads it as such. Not thread-safe.
 */
#pragma once

#include "base/buf.h"
#include "wire/http.h"

/** Frames' kinds, with their numbers on the wire. */
enum websocket_opcode {
    WEBSOCKET_CONTINUATION = 0,
    WEBSOCKET_TEXT = 1,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10,
};

/** Why a connection is closed; RFC 6455 §7.4.1. */
enum websocket_status {
    WEBSOCKET_NORMAL = 1000,
    WEBSOCKET_GOING_AWAY = 1001,
    WEBSOCKET_PROTOCOL_ERROR = 1002,
    WEBSOCKET_UNSUPPORTED = 1003, /* a kind of message the receiver has no use for */
};

/* --- the handshake --- */

/** True when @fields ask for the protocol. */
bool websocket_is_asked_for(const struct http_fields *fields);
/** Checks version and key of a request for the protocol; INVALID_ARGUMENT is for the client.
 * *ret_key is borrowed from @fields. */
MUST_CHECK struct error *websocket_check_request(const struct http_fields *fields,
                                                 const char **ret_key);
/** Appends the server's answer to @key, which has been checked; @protocol NULL: none is chosen. */
void websocket_add_agreement(struct buf *out, const char *key, const char *protocol);

/* --- what is received --- */

#define WEBSOCKET_CONTROL_MAX_BYTES 125 /* of a ping, pong or close; RFC 6455 §5.5 */
#define WEBSOCKET_HEAD_MAX_BYTES 14

/** The state of one connection's input; in the owner's struct, zeroed to begin. */
struct websocket_parser {
    bool is_client; /* the owner's word: a server is heard, which masks nothing */
    unsigned char head[WEBSOCKET_HEAD_MAX_BYTES]; /* of the frame, as far as it has come */
    size_t head_len;
    bool is_in_payload;
    unsigned char opcode; /* of the frame */
    bool is_last_frame;   /* of its message */
    uint64_t left;        /* of its payload */
    unsigned mask_at;
    char control[WEBSOCKET_CONTROL_MAX_BYTES];
    size_t control_len;
    bool is_in_message, is_text, has_begun; /* begun: its first piece was handed out */
    bool is_closed;                         /* nothing counts after a close */
};

enum websocket_event_kind {
    WEBSOCKET_EVENT_NONE,  /* the input is used up: more bytes are needed */
    WEBSOCKET_EVENT_PIECE, /* of a message */
    WEBSOCKET_EVENT_PING,  /* to be answered with a pong of the same bytes */
    WEBSOCKET_EVENT_PONG,
    WEBSOCKET_EVENT_CLOSE, /* the last event */
};

struct websocket_event {
    enum websocket_event_kind kind;
    struct str bytes; /* PIECE (empty only when the message is, or its end), PING, PONG: until the
                         next call */
    bool is_first, is_last; /* PIECE: both for a message in one */
    bool is_text;           /* PIECE */
    unsigned status;        /* CLOSE; 0: none was given */
};

/** Bytes that are unmasked where they lie. */
struct websocket_input {
    char *ptr;
    size_t len;
};

/**
 * Takes bytes off the front of @input up to the next event. INVALID_ARGUMENT for what the peer must
 * not send; the connection is then to be closed with WEBSOCKET_PROTOCOL_ERROR.
 */
MUST_CHECK struct error *websocket_next(struct websocket_parser *parser,
                                        struct websocket_input *input, struct websocket_event *ret);

/* --- what is sent, by a server --- */

/** Appends the head of a frame that is a whole message (or control frame) of @len bytes, which
 * follow. */
void websocket_add_head(struct buf *out, enum websocket_opcode opcode, size_t len);
/** The head and the bytes. */
void websocket_add_frame(struct buf *out, enum websocket_opcode opcode, struct str bytes);
void websocket_add_close(struct buf *out, enum websocket_status status);

/* --- what is sent, by a client --- */

/**
 * Appends the head of a frame that is a whole message (or control frame) of @len bytes, which
 * follow as they are: they are masked with zeroes. So it is for a peer behind a unix socket only:
 * masks keep a page in a browser from choosing the bytes that a proxy sees.
 */
void websocket_add_client_head(struct buf *out, enum websocket_opcode opcode, size_t len);
