/*
 * SPDY/3.1 frames, both ways, as Kubernetes' streams use them: framing and header compression of
 * one connection. Protocol only: no I/O, no clock, no callbacks; the owner asks for the next event
 * and knows its streams itself. Data is handed out as it comes, so a frame may be of any length.
 *
 * There is no flow control here, because there is none between Kubernetes' peers: the library they
 * all use neither waits for windows nor opens them, so whoever waited for one would wait for ever,
 * and a window update sent to it is an error in its log. The connection's own back-pressure bounds
 * what is in memory. Not thread-safe.
 */
#pragma once

#include "base/buf.h"
#include "wire/http.h"

/** Frames, with the numbers of the control frames on the wire. */
enum spdy_frame {
    SPDY_NONE = 0, /* as an event: the input is used up, more bytes are needed */
    SPDY_SYN_STREAM = 1,
    SPDY_SYN_REPLY = 2,
    SPDY_RST_STREAM = 3,
    SPDY_SETTINGS = 4,
    SPDY_PING = 6,
    SPDY_GOAWAY = 7,
    SPDY_HEADERS = 8,
    SPDY_WINDOW_UPDATE = 9,
    SPDY_DATA = 0x10000, /* no control frame: no number */
};

/** Why a stream is reset. */
enum spdy_status {
    SPDY_PROTOCOL_ERROR = 1,
    SPDY_INVALID_STREAM = 2,
    SPDY_REFUSED_STREAM = 3,
    SPDY_CANCEL = 5,
};

struct spdy; /* opaque: one connection */

/** The caller owns it. About 50 KiB, most of it the window of what the peer compresses. */
struct spdy *spdy_new(void);
void spdy_free(struct spdy *spdy); /* NULL is fine */
DEFINE_AUTO(spdy, struct spdy *, spdy_free)

struct spdy_event {
    enum spdy_frame frame;
    uint32_t stream; /* of which one; 0 for those about the connection */
    bool is_last;    /* SYN_STREAM, SYN_REPLY, HEADERS, DATA: the peer says no more on it */
    /* SYN_STREAM, SYN_REPLY, HEADERS: names in lower case; one with several values comes as often.
     * Borrowed until the next call. */
    struct http_fields fields;
    struct str bytes; /* DATA: a piece; empty only when is_last. Points into the input */
    uint32_t value;   /* RST_STREAM, GOAWAY: status; PING: id; WINDOW_UPDATE: delta */
};

/**
 * Takes bytes off the front of @input up to the next event; all of them are kept or looked at.
 * Unknown control frames are passed over. INVALID_ARGUMENT for what is no SPDY/3, or whose headers
 * are larger than 64 KiB; nothing more can be read then.
 */
MUST_CHECK struct error *spdy_next(struct spdy *spdy, struct str *input, struct spdy_event *ret);

/** Appends a SYN_STREAM, SYN_REPLY or HEADERS frame (@frame) with @fields. They must leave in the
 * order in which they were made. */
void spdy_add_headers(struct spdy *spdy, struct buf *out, enum spdy_frame frame, uint32_t stream,
                      const struct http_fields *fields);
/** Appends data, at most 16 MiB - 1; @is_last: nothing more will be said on the stream. */
void spdy_add_data(struct buf *out, uint32_t stream, struct str bytes, bool is_last);
/** Appends a control frame that is @count numbers: RST_STREAM (stream, status), PING (id), GOAWAY
 * (last stream, status), WINDOW_UPDATE (stream, delta), SETTINGS (0). */
void spdy_add_control(struct buf *out, enum spdy_frame frame, const uint32_t *numbers,
                      size_t count);
