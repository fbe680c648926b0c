/*
 * What grpc_channel.c (connections) and grpc_call.c (calls) know of each other. Room-private. Loop
 * thread.
 */
#pragma once

#include "wire/grpc.h"
#include "wire/grpc_frame.h"
#include "wire/http2_conn.h"

enum grpc_call_state {
    GRPC_CALL_WAITING, /* for a connection */
    GRPC_CALL_SENT,
    GRPC_CALL_FAILING, /* ends with `failure` in the next turn */
    GRPC_CALL_OVER, /* its end was told, or it was cancelled; the memory goes at the end of the turn
                     */
};

struct grpc_call {
    struct grpc_channel *channel;
    struct grpc_call *prev, *next; /* in the channel's list until OVER */
    enum grpc_call_state state;
    const struct grpc_method *method;

    /* Exactly one of the two is set. */
    grpc_on_reply *on_reply;                 /* unary */
    const struct grpc_stream_events *events; /* server stream */
    void *ctx;

    char *request; /* framed; kept until the end because a refused call is sent once more */
    size_t request_len;
    int64_t deadline_mono_ns; /* INT64_MAX: none */
    struct loop_timer *timer; /* NULL until needed */
    struct error *failure;    /* GRPC_CALL_FAILING */

    struct http2_conn *conn;     /* set with `stream` */
    struct http2_stream *stream; /* NULL: none */
    struct grpc_frame_parser parser;
    struct str message; /* unary: the reply, in the parser's memory */
    bool has_fields, has_message, was_refused;
    bool has_status;           /* a grpc-status arrived: */
    struct error *status;      /* NULL is OK */
    struct error *http_status; /* what the response's header block says against it, if anything */
};

/** Sends @call on @conn, which is ready. What goes wrong at once is told in the next turn. */
void grpc_call_send(struct grpc_call *call, struct http2_conn *conn);
/** Ends @call with @err_owned in the next turn. */
void grpc_call_fail_soon(struct grpc_call *call, struct error *err_owned);
/** Ends @call with @err_owned now. */
void grpc_call_fail(struct grpc_call *call, struct error *err_owned);

/** Whom calls are for, and who makes them, as their fields say. */
const char *grpc_channel_authority(const struct grpc_channel *channel);
const char *grpc_channel_user_agent(const struct grpc_channel *channel);
/** What a message may at most measure. */
size_t grpc_channel_receive_max(const struct grpc_channel *channel);
struct loop *grpc_channel_loop(const struct grpc_channel *channel);
/** Links @call into the channel's list. */
void grpc_channel_add(struct grpc_channel *channel, struct grpc_call *call);
void grpc_channel_remove(struct grpc_channel *channel, struct grpc_call *call);
/** Sends @call (WAITING), lets it wait for a connection, or makes it fail soon. Runs no callback.
 */
void grpc_channel_route(struct grpc_channel *channel, struct grpc_call *call);
