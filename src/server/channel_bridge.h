/*
 * A command's streams, between a client that speaks v5.channel.k8s.io in a WebSocket and a runtime
 * that speaks SPDY (spec server.md §2.7): what one says becomes what the other is told, up to the
 * command's status, which is the last word to the client. Pure: bytes in, bytes out; no I/O, no
 * clock. Not thread-safe.
 *
 *     new ──► open (the runtime has agreed) ──► begun (it has all streams) ──► finished
 *       └────────────────────────┴──── failed, the client left ────────────────────┘
 */
#pragma once

#include "server/streaming_request.h"
#include "wire/byte_queue.h"
#include "wire/websocket.h"

struct channel_bridge; /* opaque: one session */

/** What may wait in a queue before the other side is no longer heard. */
#define CHANNEL_BRIDGE_ROOM_BYTES (64 * KiB)

/** Says the first word to the client, which tells it that the session is there. The queues are
 * borrowed as long as the bridge lives. */
struct channel_bridge *channel_bridge_new(const struct streaming_switches *switches,
                                          struct byte_queue *to_client,
                                          struct byte_queue *to_runtime);
void channel_bridge_free(struct channel_bridge *bridge); /* NULL is fine */
DEFINE_AUTO(channel_bridge, struct channel_bridge *, channel_bridge_free)

/** The runtime has agreed to @protocol ("" or NULL: to the oldest): asks it for the streams. */
void channel_bridge_open(struct channel_bridge *bridge, const char *protocol);

/**
 * Takes what the client says off the front of @input, as long as there is room in the queues; what
 * is left is to be offered again. What is no WebSocket ends the session.
 */
void channel_bridge_hear_client(struct channel_bridge *bridge, struct websocket_input *input);
/** The same of the runtime; what is no SPDY fails the session. */
void channel_bridge_hear_runtime(struct channel_bridge *bridge, struct str *input);
/** True when the client, or the runtime, would be heard now. */
bool channel_bridge_hears_client(const struct channel_bridge *bridge);
bool channel_bridge_hears_runtime(const struct channel_bridge *bridge);

/** The client's connection has ended: its input does, too. */
void channel_bridge_lose_client(struct channel_bridge *bridge);
/** The runtime's has: without a status from it that is a failure. */
void channel_bridge_lose_runtime(struct channel_bridge *bridge);
/** Ends the session: the client is told @message. Without effect on one that has ended. */
void channel_bridge_fail(struct channel_bridge *bridge, const char *message);
/** Lets the runtime's server know that somebody is there. */
void channel_bridge_ping(struct channel_bridge *bridge);

/** True once the runtime has all streams. */
bool channel_bridge_has_begun(const struct channel_bridge *bridge);
/** True once the client has been told how it ended: nothing of the runtime's matters any more. */
bool channel_bridge_has_finished(const struct channel_bridge *bridge);
/** True once the client has said goodbye, or nonsense, or is gone. */
bool channel_bridge_has_client_left(const struct channel_bridge *bridge);
/** Grows with each byte that a channel carries either way. Pings are no traffic: both sides send
 * them as long as they live. */
uint64_t channel_bridge_traffic(const struct channel_bridge *bridge);
/** How many bytes at the end of the client's queue are the status and the goodbye; 0 before. */
size_t channel_bridge_tail_bytes(const struct channel_bridge *bridge);
