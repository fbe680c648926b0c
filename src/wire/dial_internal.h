/*
 * What a dial needs of its proxy: where it is, and how to ask it. Loop thread.
 */
#pragma once

#include "wire/dial.h"

struct dial_proxy {
    char *host;
    uint16_t port;
    char *authorization; /* the value of `proxy-authorization`; NULL: none */
};

struct dial_tunnel; /* opaque: a proxy being asked */

/** @stream_owned leads to the target, or NULL and @err_owned says why the proxy refused. */
typedef void dial_tunnel_on_done(void *ctx, struct byte_stream *stream_owned,
                                 struct error *err_owned);

/**
 * Asks the proxy at the other end of @stream_owned to connect to @target ("host:port"). @on_done
 * runs exactly once, never from inside this call; not after dial_tunnel_cancel(), which closes the
 * stream. Has no deadline of its own.
 */
struct dial_tunnel *dial_tunnel_start(struct byte_stream *stream_owned,
                                      const struct dial_proxy *proxy, const char *target,
                                      dial_tunnel_on_done *on_done, void *ctx);
void dial_tunnel_cancel(struct dial_tunnel *tunnel); /* NULL is fine */

/** "127.0.0.1:80", "[::1]:80". The caller frees it. */
char *dial_join_host_port(const char *host, uint16_t port);
