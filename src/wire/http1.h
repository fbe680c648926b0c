/*
 * HTTP/1.1 messages out of bytes, for both sides: requests at a server, responses at a client.
 * Protocol only: no I/O, no clock, no callbacks; the owner asks for the next event. Strict, because
 * whoever reads a message differently than the peer before it can be made to read two (request
 * smuggling): no bare CR or LF, no folded lines, no blank before a colon, one Content-Length or one
 * `Transfer-Encoding: chunked` and never both. Not thread-safe.
 */
#pragma once

#include "wire/http.h"

struct http1_parser; /* opaque: one direction of one connection */

enum http1_side { HTTP1_REQUESTS, HTTP1_RESPONSES };

/** What the next response answers, which its head alone does not tell. */
enum http1_answers {
    HTTP1_ANSWERS_ORDINARY,
    HTTP1_ANSWERS_HEAD,    /* no body, whatever the head says */
    HTTP1_ANSWERS_CONNECT, /* after a 2xx the bytes are no HTTP any more */
};

/** A start line with its fields. Everything borrowed from the parser until its next call. */
struct http1_head {
    const char *method;        /* requests; upper case */
    const char *target;        /* requests; as sent, printable ASCII, not parsed */
    unsigned status;           /* responses */
    struct http_fields fields; /* names in lower case, values trimmed */
    bool is_http10;            /* else 1.1 */
    bool is_keep_alive;        /* another message may follow on this connection */
    /* Another protocol begins behind this message if the server agrees (requests, which then have
     * no body), or does begin (responses: 101, or 2xx to CONNECT). */
    bool is_upgrade;
    bool is_continue_wanted; /* requests: `expect: 100-continue`, and there is a body */
    bool has_body;           /* HTTP1_BODY may follow */
    int64_t body_length;     /* of Content-Length; -1: chunked, or until the connection closes */
};

enum http1_event_kind {
    HTTP1_NONE,     /* the input is used up: more bytes are needed */
    HTTP1_HEAD,     /* informational responses (100, 103) come as messages of their own */
    HTTP1_BODY,     /* a piece of the body, not empty */
    HTTP1_COMPLETE, /* the message has ended; trailers were checked and dropped */
};

struct http1_event {
    enum http1_event_kind kind;
    const struct http1_head *head; /* HTTP1_HEAD */
    struct str bytes;              /* HTTP1_BODY; points into the input */
};

/**
 * @max_head_bytes bounds the start line and fields together (at most 80 KiB), likewise a trailer
 * and one chunk's size line. The caller owns it. A parser that waits for a message holds no buffer.
 */
struct http1_parser *http1_parser_new(enum http1_side side, size_t max_head_bytes);
void http1_parser_free(struct http1_parser *parser); /* NULL is fine */
DEFINE_AUTO(http1_parser, struct http1_parser *, http1_parser_free)

/** For a client, before each response's first byte; HTTP1_ANSWERS_ORDINARY unless told. Holds for
 * one final response: informational ones do not count. */
void http1_parser_expect(struct http1_parser *parser, enum http1_answers answers);

/**
 * Takes bytes off the front of @input up to the next event. What is left is the caller's to keep
 * and to offer again, with what followed, in the next call: a byte may be looked at twice. To pause
 * is not to call. After HTTP1_COMPLETE of a message with is_upgrade nothing more is taken from the
 * input by responses; a server that refuses to upgrade just goes on.
 * INVALID_ARGUMENT for what is no HTTP/1.1 or too large; the parser is dead then.
 */
MUST_CHECK struct error *http1_parser_next(struct http1_parser *parser, struct str *input,
                                           struct http1_event *ret);

/**
 * The peer has closed. HTTP1_COMPLETE when that ends a response's body, HTTP1_NONE between
 * messages; UNAVAILABLE "unexpected EOF" inside of one. Call after the input is used up.
 */
MUST_CHECK struct error *http1_parser_end(struct http1_parser *parser, struct http1_event *ret);

/** After an error: the status a server answers with (400, 414, 417, 431, 501, 505). */
unsigned http1_parser_error_status(const struct http1_parser *parser);
/** True from a message's first byte until its HTTP1_COMPLETE. */
bool http1_parser_is_inside(const struct http1_parser *parser);
