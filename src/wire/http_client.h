/*
 * An HTTP client for one origin: HTTP/2 when the server agrees to it by ALPN, on one connection
 * that all calls share (on further ones when it is full), else HTTP/1.1 on a few that are kept
 * alive. It connects when there is something to send, notices a dead peer by pings, and never sends
 * a call twice: whether that is right only the caller knows. Loop thread.
 *
 * A call ends exactly once, by on_end, unless it was cancelled. Callbacks never run from inside a
 * function of this header.
 */
#pragma once

#include "loop/work.h"
#include "wire/http.h"
#include "wire/tls.h"

struct http_client; /* opaque */
struct http_call;   /* opaque */

/** All texts are copied. */
struct http_client_options {
    const char *host; /* name or address, without brackets */
    uint16_t port;
    struct tls_context *tls; /* borrowed (a reference is taken); NULL: plain HTTP/1.1 */
    const char *server_name; /* what the certificate must be for; NULL: host */
    const char *proxy_url;   /* "http://[user:password@]host:port", asked to CONNECT; NULL: none */
    int64_t connect_timeout_ns;   /* name look-up, connect, proxy and handshake. 0: 30 s */
    int64_t ping_after_ns;        /* silence on an HTTP/2 connection before a ping. 0: 15 s */
    int64_t ping_timeout_ns;      /* silence after the ping before it counts as dead. 0: 10 s */
    size_t max_http1_connections; /* 0: 8; further calls wait */
};

/** @pool looks names up. INVALID_ARGUMENT for a proxy_url that is none. The caller owns *ret. */
MUST_CHECK struct error *http_client_new(struct loop *loop, struct work_pool *pool,
                                         const struct http_client_options *options,
                                         struct http_client **ret);
/** Ends every call in silence. NULL is fine; may be called from a callback. */
void http_client_free(struct http_client *client);
DEFINE_AUTO(http_client, struct http_client *, http_client_free)

/** Calls from now on use @tls, on connections of their own; those under way end as they are. For
 * a renewed client certificate. */
void http_client_set_tls(struct http_client *client, struct tls_context *tls);
/** Closes what is idle and lets the rest finish, so that the next call connects anew. */
void http_client_reset(struct http_client *client);

struct http_call_options {
    const char *method;
    const char *target;        /* origin-form */
    struct http_fields fields; /* without host and content-length */
    struct str body;           /* copied */
    int64_t deadline_ns;       /* for the whole call, from now; 0: none (a watch) */
    int64_t idle_timeout_ns;   /* longest silence of the server once it has answered; 0: none */
};

struct http_call_end {
    const struct error *err; /* NULL: the response is complete. Borrowed. UNAVAILABLE for the
                                network, DEADLINE_EXCEEDED; messages name the origin */
    bool is_unsent;          /* the server has not looked at the request: safe to send again */
    bool is_reset;           /* this exchange alone went wrong, its HTTP/2 connection goes on */
};

struct http_call_events {
    void (*on_response)(void *ctx, unsigned status, const struct http_fields *fields);
    void (*on_data)(void *ctx, struct str bytes);
    void (*on_end)(void *ctx, const struct http_call_end *end); /* the call is gone on return */
};

/** @options is copied, @events borrowed until the end. The call may be cancelled from any of its
 * callbacks. Never fails at once. */
struct http_call *http_call_start(struct http_client *client,
                                  const struct http_call_options *options,
                                  const struct http_call_events *events, void *ctx);
/** Ends @call in silence. */
void http_call_cancel(struct http_call *call);

/**
 * Stops reading (so that flow control holds the server back) until resumed. For who passes data on
 * to somebody slower. On HTTP/2 the rest of a response that has arrived whole is told, paused or
 * not, when its connection breaks: rather that than lose it.
 */
void http_call_pause(struct http_call *call, bool is_paused);

/** Connections opened since the start, and open now. For metrics and tests. */
uint64_t http_client_connects(const struct http_client *client);
size_t http_client_connection_count(const struct http_client *client);
