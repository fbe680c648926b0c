/*
 * Who may do what on the node's own API: every request that is routed passes here first. Who asks
 * is found out from the client certificate, a bearer token (TokenReview) or nothing (anonymous);
 * what they may from the API server (SubjectAccessReview) or from nobody, when everything is
 * allowed. The rules and words are the kubelet's (spec server.md §3). Loop thread.
 */
#pragma once

#include "base/metrics.h"
#include "config/config_server.h"
#include "kube/api_client.h"
#include "server/user.h"
#include "wire/http_server.h"

struct guard;      /* opaque */
struct guard_call; /* opaque: a request whose verdict is not known yet */

/** By value; texts are copied. */
struct guard_options {
    bool is_anonymous_allowed;
    bool is_token_webhook; /* else bearer tokens are not looked at */
    int64_t token_cache_ttl_ns;
    bool is_authorization_webhook; /* else everybody known may do everything */
    int64_t authorized_cache_ttl_ns, unauthorized_cache_ttl_ns;
    const char *node_name;
    struct api_client *client; /* kept; NULL: standalone, no webhook then */
    struct metrics *metrics;   /* kept; NULL: nobody counts */
};

/**
 * What upstream finds when it starts: FAILED_PRECONDITION `no client provided, cannot use webhook
 * authentication`, `… authorization`.
 */
MUST_CHECK struct error *guard_check_config(const struct config_server *config, bool has_client);

/** @options as guard_check_config() has them. The caller owns it. */
struct guard *guard_new(struct loop *loop, const struct guard_options *options);
/** Cancels every call. NULL is fine. */
void guard_free(struct guard *guard);
DEFINE_AUTO(guard, struct guard *, guard_free)

/**
 * From now on client certificates are verified by the authorities of @ca_pem (borrowed), on open
 * connections too; NULL, as at the start: nobody is known by a certificate.
 * INVALID_ARGUMENT: it holds none; the authorities stay those they were.
 */
MUST_CHECK struct error *guard_set_client_ca(struct guard *guard, const char *ca_pem);

/** The answer to a request, or leave to go on. Lives in the arena given to guard_start(). */
struct guard_verdict {
    unsigned status;                /* 0: go on; else 401, 403 or 500 with … */
    const char *text;               /* … this body, as plain text */
    const struct server_user *user; /* NULL with 401 */
};

typedef void guard_on_done(void *ctx, const struct guard_verdict *verdict);

/**
 * Judges @request (borrowed, like @arena, until the end). Known at once, as with a certificate and
 * answers that are kept: returns NULL and fills *ret, and @on_done never runs. Else @on_done runs
 * once, after this has returned, unless the call is cancelled.
 */
MUST_CHECK struct guard_call *guard_start(struct guard *guard, const struct http_request *request,
                                          struct arena *arena, struct guard_verdict *ret,
                                          guard_on_done *on_done, void *ctx);
/** Silence, e.g. because the client has gone; NULL is fine. What has been asked of the API server
 * goes on: its answer is worth keeping. */
void guard_cancel(struct guard_call *call);

/** @fields without what a client authenticates by (`authorization`, tokens among WebSocket
 * subprotocols), for passing them on; in @arena, texts borrowed. Pure. */
struct http_fields guard_clean_fields(const struct http_fields *fields, struct arena *arena);
