/*
 * Shared by the files of streaming only: what a stream needs once the runtime has prepared it.
 *
 *   streaming.c            requests, from the query to the runtime's answer
 *   streaming_request.c    what is asked for, and how the runtime's server is asked (pure)
 *   streaming_pass.c       passed on as it is, or unwrapped from a WebSocket
 *   streaming_channels.c   a command's channels, ended here (channel_bridge.h, pure)
 */
#pragma once

#include "server/streaming.h"
#include "server/streaming_request.h"
#include "wire/upgrade_pipe.h"

struct streaming_call;   /* streaming.c */
struct streaming_bridge; /* streaming_channels.c */

struct streaming {
    struct streaming_options options; /* no zeroes */
    struct streaming_call *calls;     /* requests that wait for the runtime */
    size_t call_count;
    struct upgrade_house pipes;
    struct streaming_bridge *bridges; /* streaming_channels.c */
    size_t bridge_count;
    struct tls_context *tls; /* for a runtime that serves https; made when first needed */
    struct metric_family *websocket_requests;
};

/** What the client has asked for, and where the runtime has it ready. In the exchange's arena. */
struct streaming_session {
    const char *subresource; /* "exec", "attach", "portforward" */
    const struct http_fields *fields;
    struct streaming_switches switches; /* as the runtime was told; port-forward: none */
    struct streaming_url url;
    struct tls_context *tls; /* NULL: without */
};

/** Passes the upgrade on as it is. The exchange is answered in any case. */
void streaming_pass(struct streaming *streaming, const struct streaming_session *session,
                    struct http_exchange *exchange);
/** The same of SPDY that is spoken in a WebSocket. */
void streaming_tunnel(struct streaming *streaming, const struct streaming_session *session,
                      struct http_exchange *exchange);
/** Ends the client's WebSocket here and asks the runtime for SPDY streams. */
void streaming_channels(struct streaming *streaming, const struct streaming_session *session,
                        struct http_exchange *exchange);
/** Cuts all of these off. */
void streaming_channels_free_all(struct streaming *streaming);
