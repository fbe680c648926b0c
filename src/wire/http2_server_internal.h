/*
 * What the parts of the HTTP/2 server session share: the session and its streams as their owner
 * sees them (http2_server.c), and the part that runs inside nghttp2 (http2_server_record.c). Not
 * thread-safe: belongs to one loop thread.
 */
#pragma once

#include "wire/byte_queue.h"
#include "wire/http2_server.h"

struct nghttp2_session;

struct http2_server_stream {
    struct http2_server *session;
    int32_t id;
    void *ctx;
    struct buf block; /* the request's fields */
    struct buf body;
    unsigned refusal;
    int64_t began_ns;
    bool has_fields, is_whole, is_handed, wants_continue;       /* the request */
    bool is_begun, is_finished, is_deferred, has_sent, is_left; /* the response */
    bool is_reset;                                              /* by us */
    bool is_closed;                                             /* nghttp2 does not know it */
    bool is_queued;
    struct byte_queue out;
    int64_t progress_ns; /* when out was not empty and last shrank, or began */
    struct http2_server_stream *prev, *next;
    struct http2_server_stream *queue_next;
};

struct http2_server {
    struct nghttp2_session *ng; /* NULL: dead */
    struct http2_server_limits limits;
    const struct http2_server_events *events;
    void *ctx;
    struct http2_server_stream *streams; /* owned, the oldest first */
    struct http2_server_stream *queue, *queue_last;
    size_t stream_count;
    size_t held_bytes; /* of the blocks and bodies of all streams */
    int64_t now_ns;
    int64_t reset_tokens_ns; /* a token bucket, in time: see http2_server_record.c */
    bool is_abusive, is_terminated, is_draining, is_silent;
};

/** nghttp2's side of @session, whose limits are set, with our SETTINGS queued. Owned: delete it. */
struct nghttp2_session *http2_server_make_ng(struct http2_server *session);

/** Has @status answered instead of handing the request out; of one whose fields have not ended,
 * when they have. */
void http2_server_refuse(struct http2_server_stream *stream, unsigned status);
/** Releases the request's fields, or its body. */
void http2_server_drop_block(struct http2_server_stream *stream);
void http2_server_drop_body(struct http2_server_stream *stream);
/** Has nghttp2 send @fields (copied), and what is in stream->out with @has_body. */
void http2_server_submit_response(struct http2_server_stream *stream,
                                  const struct http2_field *fields, size_t field_count,
                                  bool has_body);
