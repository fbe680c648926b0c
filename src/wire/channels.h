/*
 * v5.channel.k8s.io: a command's streams in the binary messages of a WebSocket (spec server.md
 * §2.7). A message's first byte says which channel the rest is about.
 */
#pragma once

#define CHANNELS_PROTOCOL "v5.channel.k8s.io"

/** With their numbers on the wire. */
enum channel {
    CHANNEL_STDIN = 0,
    CHANNEL_STDOUT = 1,
    CHANNEL_STDERR = 2,
    CHANNEL_STATUS = 3, /* the command's end: a v1 Status */
    CHANNEL_RESIZE = 4, /* {"Width":80,"Height":24} */
    CHANNEL_COUNT,
    CHANNEL_CLOSE = 255, /* no channel: its message names one that the client closes */
};
