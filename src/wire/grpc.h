/*
 * A gRPC client over HTTP/2: channels to a unix socket or over a given stream, unary calls and
 * server streams of protobuf-c messages. A channel connects when first used and again after
 * failures, with back-off; a call made while that back-off runs fails at once, one made during an
 * attempt waits for it. No keepalive, no retry (but what a server refused unseen is sent once
 * more), and nothing runs while a connection is idle. Does not log. Loop thread.
 */
#pragma once

#include "wire/byte_stream.h"

#include <protobuf-c/protobuf-c.h>

struct grpc_channel; /* opaque */
struct grpc_call;    /* opaque: a call or stream under way */

/** One RPC. Tables of them are static. */
struct grpc_method {
    const char *path;                          /* "/package.Service/Method" */
    const ProtobufCMessageDescriptor *request; /* NULL: a message without fields */
    const ProtobufCMessageDescriptor *reply;
};

/** What a message may at most measure when it is received; the limit Kubernetes sets for the CRI.
 */
#define GRPC_RECEIVE_MAX_BYTES (16 * MiB)
/** An attempt to connect that takes longer has failed. */
#define GRPC_CONNECT_TIMEOUT_NS (5 * NS_PER_SEC)

/** Word of the connection. Any member may be NULL. Never from inside a function of this header. */
struct grpc_channel_listener {
    void (*on_connected)(void *ctx);
    /** A working connection was lost, or the server said that it will close it. @cause is borrowed.
     */
    void (*on_disconnected)(void *ctx, const struct error *cause);
    void *ctx;
};

/** Makes a channel to the unix socket at @path (copied). Connects nothing yet. The caller owns it.
 */
struct grpc_channel *grpc_channel_new(struct loop *loop, const char *path);
/**
 * Makes a channel over @stream_owned, which is connected. It begins to speak with the first call,
 * and once it is lost calls fail. @authority ("10.0.0.5:80") and @user_agent, which stands before
 * our own, are copied. A message of more than @receive_max bytes ends its call.
 */
struct grpc_channel *grpc_channel_new_over(struct loop *loop, struct byte_stream *stream_owned,
                                           const char *authority, const char *user_agent,
                                           size_t receive_max);
/** Cancels all calls in silence and closes the connection. May be called from any callback. */
void grpc_channel_free(struct grpc_channel *channel); /* NULL is fine */
DEFINE_AUTO(grpc_channel, struct grpc_channel *, grpc_channel_free)

/** Sets the one listener (copied). */
void grpc_channel_listen(struct grpc_channel *channel,
                         const struct grpc_channel_listener *listener);
/** From now on connects, and connects again (with back-off), even when nobody calls. */
void grpc_channel_keep_connected(struct grpc_channel *channel);
bool grpc_channel_is_connected(const struct grpc_channel *channel);

/**
 * Ends a unary call: exactly once, never from inside grpc_unary_start(). Either @reply (valid until
 * this returns) or
 * @err_owned, whose code and message are the gRPC status's.
 */
typedef void grpc_on_reply(void *ctx, const ProtobufCMessage *reply, struct error *err_owned);

/** What a server stream brings. on_end comes last, exactly once. */
struct grpc_stream_events {
    void (*on_message)(void *ctx, const ProtobufCMessage *message); /* valid until this returns */
    /** NULL when the server ended the stream with status OK. */
    void (*on_end)(void *ctx, struct error *err_owned);
};

#define GRPC_NO_TIMEOUT INT64_MAX

/**
 * Starts a unary call. @request (borrowed, encoded before this returns; NULL for one without
 * fields) must be of the method's type. Without a reply after @timeout_ns it ends
 * DEADLINE_EXCEEDED. The handle is valid until @on_reply or grpc_call_cancel().
 */
struct grpc_call *grpc_unary_start(struct grpc_channel *channel, const struct grpc_method *method,
                                   const ProtobufCMessage *request, int64_t timeout_ns,
                                   grpc_on_reply *on_reply, void *ctx);

/** Starts a server stream, without a deadline. @events is borrowed and must outlive it. Else as
 * above. */
struct grpc_call *grpc_stream_start(struct grpc_channel *channel, const struct grpc_method *method,
                                    const ProtobufCMessage *request,
                                    const struct grpc_stream_events *events, void *ctx);

/** Silence: no callback will run; the server is told. NULL is fine. */
void grpc_call_cancel(struct grpc_call *call);
