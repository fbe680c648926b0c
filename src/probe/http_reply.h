/*
 * The answer to one GET, out of bytes, read as forgivingly as Go's net/http does it: a bare LF ends
 * a line, fields may be folded. wire/http1.h is strict, which is right for a server and wrong here:
 * what a kubelet calls healthy must stay healthy. Only what a probe looks at is kept. No I/O, no
 * clock. Loop thread.
 */
#pragma once

#include "base/buf.h"

/* pkg/probe/http: maxRespBodyLength */
#define HTTP_REPLY_BODY_MAX_BYTES (10 * KiB)
/* Status line and fields of one message; Go's limit is 10 MB, which a pod must not make us hold. */
#define HTTP_REPLY_HEAD_MAX_BYTES (64 * KiB)

enum http_reply_state {
    HTTP_REPLY_HEAD, /* more bytes are needed; nothing is known yet */
    HTTP_REPLY_BODY, /* status and location are known; more bytes are needed */
    HTTP_REPLY_DONE, /* the body has ended, or as much of it has come as is looked at */
    HTTP_REPLY_BAD,  /* `problem` says why; with a status the body is what could not be read */
};

struct http_reply {
    enum http_reply_state state;
    unsigned status; /* 0: not known yet */
    char *location;  /* of a redirect; NULL: none. Owned */
    struct buf body; /* up to HTTP_REPLY_BODY_MAX_BYTES */
    char *problem;   /* HTTP_REPLY_BAD: in Go's words. Owned */

    /* What is below is the reader's own. */
    struct buf line;  /* of the head or of a chunk, as far as it is there */
    struct buf field; /* a header line that the next one may go on with */
    size_t head_bytes;
    unsigned informational; /* messages of 1xx that came before */
    int step;               /* enum step of http_reply.c */
    bool is_http10, is_chunked, has_length;
    uint64_t left; /* of a body of known length, or of a chunk */
};

/** In the caller's memory. */
void http_reply_init(struct http_reply *reply);
void http_reply_done(struct http_reply *reply); /* a zeroed struct is fine */

/** Takes @bytes, all of them unless it ends or breaks before. Returns the state. */
enum http_reply_state http_reply_take(struct http_reply *reply, struct str bytes);
/** The server has closed: that ends a body without a length, and everything else early. */
enum http_reply_state http_reply_take_end(struct http_reply *reply);
