/*
 * The credentials of a transport: whom it trusts, and as whom it speaks. Files are read again while
 * there are requests, never by a timer of their own; a plugin runs when its credential is missing,
 * has expired or was refused. Reads files (on the pool), runs a process. Room-private. Loop thread.
 */
#pragma once

#include "kube/kubeconfig.h"
#include "loop/work.h"
#include "wire/http.h"
#include "wire/tls.h"

struct api_auth; /* opaque */

struct api_auth_timing {
    int64_t files_reread_ns; /* certificates, keys, CA */
    int64_t token_reread_ns; /* token file */
    int64_t plugin_limit_ns; /* for a plugin's run */
    int64_t plugin_pause_ns; /* after a run: a refused credential is not asked for again sooner */
};

struct api_auth_options {
    struct loop *loop;
    struct work_pool *pool;
    const struct kubeconfig *config;      /* borrowed for the call */
    bool is_tls;                          /* the server speaks TLS */
    const struct api_auth_timing *timing; /* borrowed for ever */
    /** Trust or certificate are others now: new connections are wanted. */
    void (*on_tls_changed)(void *ctx, struct tls_context *tls);
    void *ctx;
};

/**
 * Reads what @options->config names; blocks shortly. INVALID_ARGUMENT, or the errno's code, for
 * files that cannot be read or are no use, naming field and file. The caller owns *ret.
 */
MUST_CHECK struct error *api_auth_new(const struct api_auth_options *options,
                                      struct api_auth **ret);
/** Nobody may be waiting. NULL is fine; may be called from on_ready. */
void api_auth_free(struct api_auth *auth);
DEFINE_AUTO(api_auth, struct api_auth *, api_auth_free)

/** What connections are made with now; borrowed. NULL without TLS. */
struct tls_context *api_auth_tls(const struct api_auth *auth);
/** The header fields that say who speaks; valid until the end of the turn. */
const struct http_fields *api_auth_fields(const struct api_auth *auth);
/** Counts up whenever the two above change. */
uint64_t api_auth_generation(const struct api_auth *auth);

/** Who waits for credentials; in the waiter's own memory. */
struct api_auth_waiter {
    void (*on_ready)(void *ctx, const struct error *err); /* @err borrowed */
    void *ctx;
    struct api_auth_waiter *prev, *next;
    struct api_auth_waiter **list; /* NULL: does not wait */
};

/**
 * To be called before each request. False: the answer is there, *ret_err NULL when a request may be
 * sent, else (borrowed) why not. True: @waiter is told later, once.
 */
bool api_auth_prepare(struct api_auth *auth, struct api_auth_waiter *waiter,
                      const struct error **ret_err);
/**
 * To be called when the server refused the credentials of @generation (401). True: @waiter is told
 * when something has been done about it; then, and when it returns false, a generation that has
 * moved means that it is worth another try.
 */
bool api_auth_refresh(struct api_auth *auth, uint64_t generation, struct api_auth_waiter *waiter);
/** Stops waiting; one that does not wait is fine. */
void api_auth_cancel(struct api_auth_waiter *waiter);
