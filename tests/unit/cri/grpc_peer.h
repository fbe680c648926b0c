/*
 * A gRPC server for tests, in the test's own process and loop: nghttp2's server session behind a
 * unix socket in a temporary directory. It answers only when told to, so that a test decides what
 * happens when. Loop thread.
 */
#pragma once

#include "loop/loop.h"

#include <protobuf-c/protobuf-c.h>

struct grpc_peer;        /* opaque */
struct grpc_peer_stream; /* opaque: a request that arrived; gone when its stream closes */

/** A whole request arrived. @message is without its frame. Everything is borrowed for the call. */
typedef void grpc_peer_on_request(void *ctx, struct grpc_peer_stream *stream, const char *path,
                                  struct str message);

/** Listens in a directory of its own. The caller owns it. */
struct grpc_peer *grpc_peer_new(struct loop *loop, grpc_peer_on_request *on_request, void *ctx);
void grpc_peer_free(struct grpc_peer *peer);
const char *grpc_peer_path(const struct grpc_peer *peer);

/** What later connections are told about the streams they may have at a time; 0: no limit. */
void grpc_peer_limit_streams(struct grpc_peer *peer, uint32_t limit);
/** From now on connections are accepted but never spoken to. */
void grpc_peer_be_mute(struct grpc_peer *peer);

/** Closes every connection and, unless @keep_listening, removes the socket. */
void grpc_peer_drop(struct grpc_peer *peer, bool keep_listening);
/** Listens again after grpc_peer_drop(). */
void grpc_peer_listen(struct grpc_peer *peer);
/** Says GOAWAY on every connection: streams above @last_stream_id were never looked at. */
void grpc_peer_goaway(struct grpc_peer *peer, int32_t last_stream_id);

/** Response headers, then @message as one frame. May be repeated on a server stream. */
void grpc_peer_send(struct grpc_peer_stream *stream, const ProtobufCMessage *message);
/** Response headers, then @bytes as they are. */
void grpc_peer_send_raw(struct grpc_peer_stream *stream, struct str bytes);
/** Ends the response with a status; trailers only when nothing was sent before. @message is sent as
 * it is. */
void grpc_peer_end(struct grpc_peer_stream *stream, int status, const char *message);
/** grpc_peer_send() and an end with status OK. */
void grpc_peer_reply(struct grpc_peer_stream *stream, const ProtobufCMessage *message);
/** Ends the response without a grpc-status, with this HTTP status. */
void grpc_peer_end_http(struct grpc_peer_stream *stream, const char *http_status);
void grpc_peer_reset(struct grpc_peer_stream *stream, uint32_t error_code);

/** The value of a request header, or NULL. */
const char *grpc_peer_header(const struct grpc_peer_stream *stream, const char *name);
int32_t grpc_peer_stream_id(const struct grpc_peer_stream *stream);

/** What the peer has seen since it began. */
struct grpc_peer_seen {
    size_t connections;      /* accepted */
    size_t requests;         /* whole ones */
    size_t resets;           /* RST_STREAM frames */
    uint32_t last_reset;     /* the error code of the last */
    size_t open_streams_max; /* at one time, on one connection */
};
const struct grpc_peer_seen *grpc_peer_seen(const struct grpc_peer *peer);
