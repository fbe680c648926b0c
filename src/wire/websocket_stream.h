/*
 * A byte stream that runs in the binary messages of a WebSocket, the server's side, after the
 * handshake: what tunnelled protocols run over. How messages are cut means nothing. The peer's
 * close is the end, after which nothing can be written; text, and what is no WebSocket, is an
 * error, of which the peer is told. Pings are answered. Loop thread.
 */
#pragma once

#include "base/str.h"
#include "wire/byte_stream.h"

/** Runs over @inner_owned. @first goes out before all else (the end of the handshake), @early is
 * what the peer has sent already; both are copied. Freed, it says goodbye if that fits at once. */
struct byte_stream *websocket_stream_new(struct loop *loop, struct byte_stream *inner_owned,
                                         struct str first, struct str early);
