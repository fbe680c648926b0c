/*
 * Connecting to host:port over TCP, without blocking: a name is looked up on a worker, its
 * addresses are tried in turn, a new one joining the race whenever the others take their time, and
 * a proxy may be asked to pass everything on. Touches sockets and the resolver. Loop thread.
 */
#pragma once

#include "loop/work.h"
#include "wire/byte_stream.h"

struct dial;       /* opaque: one connection being made */
struct dial_proxy; /* opaque */

/**
 * Takes "http://[user[:password]@]host[:port]" apart (user and password percent-encoded, port 80
 * unless given). INVALID_ARGUMENT for anything else; the text does not repeat the password. The
 * caller owns *ret.
 */
MUST_CHECK struct error *dial_proxy_parse(const char *url, struct dial_proxy **ret);
void dial_proxy_free(struct dial_proxy *proxy); /* NULL is fine */
DEFINE_AUTO(dial_proxy, struct dial_proxy *, dial_proxy_free)

struct dial_options {
    const char *host; /* name or address, without brackets; copied */
    uint16_t port;
    int64_t timeout_ns;             /* for everything, > 0 */
    const struct dial_proxy *proxy; /* NULL: none. Borrowed until the end */
    /* Closing before the peer does resets the connection, and nothing of it stays behind: for who
     * connects so often that TIME_WAIT would use the ports up. */
    bool resets_on_close;
};

/**
 * Over: @stream_owned is connected (to the target, through the proxy), or NULL and @err_owned says
 * why, UNAVAILABLE, in Go's words: `dial tcp 127.0.0.1:6443: connect: connection refused`, `dial
 * tcp: lookup nosuch: no such host`, `dial tcp 10.0.0.1:6443: i/o timeout`, `proxyconnect tcp: …`.
 */
typedef void dial_on_done(void *ctx, struct byte_stream *stream_owned, struct error *err_owned);

/**
 * Begins. @pool is for looking names up. The socket will have no delay for small writes, and the
 * kernel gives a peer up after 25 s without an answer. @on_done runs exactly once, never from
 * inside this call; not after dial_cancel().
 */
struct dial *dial_start(struct loop *loop, struct work_pool *pool,
                        const struct dial_options *options, dial_on_done *on_done, void *ctx);
void dial_cancel(struct dial *dial); /* NULL is fine */
