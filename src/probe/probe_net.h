/*
 * One TCP or plain HTTP attempt over a non-blocking socket. Closing resets the connection, so that
 * probes leave no TIME_WAIT behind. Inside the probe room only; loop thread.
 */
#pragma once

#include "base/buf.h"
#include "probe/probe.h"

/* pkg/probe/http: maxRespBodyLength */
#define PROBE_BODY_MAX_BYTES (10 * KiB)
#define PROBE_MAX_REDIRECTS 10

struct probe_net; /* opaque: an attempt under way */

struct probe_net_options {
    const char *host; /* an address, or a name the hosts file may know; copied */
    int32_t port;
    const Core__HTTPGetAction *http; /* NULL: TCP; borrowed while the attempt lives */
    int64_t timeout_ns;
};

/** Starts; @on_done runs once, never from inside this, with @output borrowed. Ends itself. */
struct probe_net *probe_net_start(struct loop *loop, const struct probe_net_options *options,
                                  void (*on_done)(void *ctx, enum probe_outcome outcome,
                                                  const char *output),
                                  void *ctx);
void probe_net_cancel(struct probe_net *net); /* silence; NULL is fine */

/* --- pure parts --- */

/** The request text for @http to @host:@port with @path. */
void probe_http_request(const Core__HTTPGetAction *http, const char *host, int32_t port,
                        const char *path, struct buf *out);

struct probe_http_reply {
    int status;          /* 0: the head is not complete yet */
    struct str location; /* of a redirect; empty: none. Borrowed from the text */
    bool malformed;
};
/** Reads the head of a reply as far as it is there. */
struct probe_http_reply probe_http_parse(struct str text);

/**
 * Where a redirect leads: true and *ret_path (owned) when it stays on @host and plain HTTP, false
 * when it leaves. *ret_port is updated when the location names one.
 */
bool probe_http_redirect(struct str location, const char *host, int32_t *port, char **ret_path);
