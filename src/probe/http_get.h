/*
 * One HTTP or HTTPS GET with its redirects, as a kubelet's probes and httpGet hooks make it: no
 * proxy, no reuse of connections, any certificate will do, redirects are followed on the same host
 * only. HTTP/2 when a TLS server chooses it. Loop thread.
 */
#pragma once

#include "probe/probe_net.h"

#include "core.pb-c.h"

/* http.Client: so many requests in all */
#define HTTP_GET_MAX_REQUESTS 10

struct http_get; /* opaque: under way */

/** All texts are copied. */
struct http_get_options {
    const char *scheme; /* "http" or "https" */
    const char *host;   /* name or address, without brackets */
    int32_t port;       /* 1 to 65535 */
    const char *path;   /* with its query */
    Core__HTTPHeader *const *headers;
    size_t n_headers;
    const char *user_agent; /* unless the headers have one */
    int64_t timeout_ns;     /* for everything, the body too; 0: none */
    bool leaves_authorization_out;
};

/** How it ended; borrowed for the call. */
struct http_get_end {
    unsigned status;   /* of the last response; 0: there is none, error says why */
    struct str body;   /* at most HTTP_REPLY_BODY_MAX_BYTES of it */
    const char *error; /* NULL: none. In the words of Go's client; with a status: why its body
                          could not be read */
    bool has_met_http; /* the error: an HTTPS request got an answer without TLS */
};
typedef void http_get_on_done(void *ctx, const struct http_get_end *end);

/** Begins. @on_done runs exactly once, never from inside this; not after http_get_cancel(). */
struct http_get *http_get_start(struct probe_net *net, const struct http_get_options *options,
                                http_get_on_done *on_done, void *ctx);
void http_get_cancel(struct http_get *get); /* silence; NULL is fine */
