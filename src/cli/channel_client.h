/*
 * A command's streams as its client sees them: v5.channel.k8s.io in a WebSocket (wire/channels.h),
 * the client's side. Pure: bytes in, bytes out; no I/O. The client process only.
 */
#pragma once

#include "base/buf.h"
#include "cli/terminal.h"
#include "wire/websocket.h"

/** In the owner's struct. */
struct channel_client {
    struct websocket_parser parser;
    bool has_channel; /* of the message under way */
    unsigned char channel;
    struct buf status;
};

void channel_client_init(struct channel_client *client);
void channel_client_done(struct channel_client *client);
static inline UNUSED void auto_release_channel_client(struct channel_client *client)
{
    channel_client_done(client);
}

/* --- what is said; each appends to @out --- */

/** For the command's standard input; not empty. */
void channel_client_add_input(struct buf *out, struct str bytes);
/** Its end. */
void channel_client_end_input(struct buf *out);
/** The size of the terminal, at first and whenever it has changed. */
void channel_client_add_size(struct buf *out, struct terminal_size size);

/* --- what is heard --- */

enum channel_event_kind {
    CHANNEL_EVENT_NONE,   /* the input is used up: more bytes are needed */
    CHANNEL_EVENT_OUTPUT, /* of the command's standard output */
    CHANNEL_EVENT_ERRORS, /* of its standard error */
    CHANNEL_EVENT_END,    /* the last event */
};

struct channel_event {
    enum channel_event_kind kind;
    struct str bytes; /* not empty; until the next call */
};

/** Takes bytes off the front of @input up to the next event; what the agent is owed is appended to
 * @out. INVALID_ARGUMENT for what is no such protocol. */
MUST_CHECK struct error *channel_client_next(struct channel_client *client,
                                             struct websocket_input *input, struct buf *out,
                                             struct channel_event *ret);

/** Once there is nothing more to hear: the command's exit code; or in the agent's words what went
 * wrong instead (INTERNAL); UNAVAILABLE when nothing was said about its end. */
MUST_CHECK struct error *channel_client_result(const struct channel_client *client, int *ret_code);
