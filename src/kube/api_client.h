/*
 * Requests to an API server: from kind, namespace and name to a decoded object or a Status. A
 * transport is the connection with its credentials, shared by all; a client is a way of using it: a
 * rate limit, a deadline, an encoding. Loop thread.
 *
 * A call ends exactly once, by on_done, unless it was cancelled; never from inside a function of
 * this header. The retry rules and default rates are those of client-go's rest package.
 */
#pragma once

#include "kube/kinds.h"
#include "kube/kubeconfig.h"
#include "kube/watch_frame.h"
#include "loop/work.h"

struct metrics;       /* base/metrics.h */
struct api_transport; /* opaque */
struct api_client;    /* opaque */
struct api_call;      /* opaque */

/**
 * Takes the credentials of @config (borrowed for the call) and is ready to connect; nothing is sent
 * yet. Files named in @config are read again when they change (@pool reads them). INVALID_ARGUMENT
 * or NOT_FOUND for certificates, keys and files that are no use, naming them. The caller owns *ret.
 */
MUST_CHECK struct error *api_transport_new(struct loop *loop, struct work_pool *pool,
                                           const struct kubeconfig *config, const char *user_agent,
                                           struct api_transport **ret);
/** From now on counts requests in @metrics (borrowed, outlives the transport): rest_client_*. */
void api_transport_count(struct api_transport *transport, struct metrics *metrics);
/** All clients must have been freed. NULL is fine. */
void api_transport_free(struct api_transport *transport);
DEFINE_AUTO(api_transport, struct api_transport *, api_transport_free)
/** Later calls go over new connections: for a heartbeat that failed twice. */
void api_transport_reset(struct api_transport *transport);
/** The server's URL, for messages. */
const char *api_transport_server(const struct api_transport *transport);

struct api_client_options {
    bool is_unlimited; /* no rate limit: heartbeats */
    double qps;        /* requests a second over time; 0: 5 */
    unsigned burst;    /* requests at once; 0: 10 */
    int64_t
        timeout_ns; /* of every call that has none of its own; also sent as `timeout`. 0: none */
    bool is_json;   /* bodies in JSON, for servers without protobuf */
};

struct api_client *api_client_new(struct api_transport *transport,
                                  const struct api_client_options *options);
/** Cancels its calls. NULL is fine. */
void api_client_free(struct api_client *client);
DEFINE_AUTO(api_client, struct api_client *, api_client_free)

enum api_verb {
    API_GET, /* one object */
    API_LIST,
    API_CREATE,
    API_UPDATE,
    API_PATCH_STRATEGIC,
    API_PATCH_MERGE,
    API_PATCH_JSON,
    API_PATCH_APPLY,
    API_DELETE, /* body: DeleteOptions or none */
    API_DELETE_COLLECTION,
};

/** What to ask for. Copied by api_call_start(). */
struct api_request {
    enum api_verb verb;
    const struct kube_kind *kind;      /* of the resource in the path */
    const char *namespace_;            /* NULL: none, or all of them */
    const char *name;                  /* NULL for LIST, CREATE, DELETE_COLLECTION */
    const char *subresource;           /* "status", "token"; NULL: none */
    const char *query;                 /* escaped, without '?'; NULL: none */
    const ProtobufCMessage *body;      /* CREATE, UPDATE, DELETE */
    const struct kube_kind *body_kind; /* NULL: kind */
    struct str patch;                  /* PATCH: JSON */
    int64_t timeout_ns;                /* 0: the client's */
};

/** How a call ended. Everything is borrowed for the callback; api_result_take_arena() keeps it. */
struct api_result {
    /* NULL: `object` is there. Else: a code by the HTTP status (NOT_FOUND for 404, ABORTED for 409
     * Conflict, ALREADY_EXISTS for 409 AlreadyExists, OUT_OF_RANGE for 410, RESOURCE_EXHAUSTED for
     * 429, …), the Status' message, and its reason where it is one of the known ones; or
     * UNAVAILABLE and DEADLINE_EXCEEDED when there was no answer, with Go's words. */
    const struct error *err;
    unsigned http_status;       /* 0: no answer */
    const Meta__Status *status; /* what the server said of the failure; NULL: nothing readable */
    int64_t retry_after_ns;     /* 0: not said */
    const struct kube_kind *kind;
    ProtobufCMessage *object; /* NULL with err; DELETE may give a Status */
    struct arena *arena;      /* where status and object live */
};

typedef void api_on_done(void *ctx, struct api_result *result);

/**
 * Sends @request when the rate limit allows. Retries by itself where upstream does: 429 and 5xx
 * with Retry-After, up to 10 times; GET and LIST after a lost connection; anything when the request
 * was not seen by the server.
 */
struct api_call *api_call_start(struct api_client *client, const struct api_request *request,
                                api_on_done *on_done, void *ctx);
void api_call_cancel(struct api_call *call); /* silence */

/** Keeps the arena (with object and status) of a result beyond its callback. */
struct arena *api_result_take_arena(struct api_result *result);

/* --- watches: a call whose answer does not end --- */

struct api_watch_request {
    const struct kube_kind *kind;
    const char *namespace_; /* NULL: all, or none */
    const char *query;      /* without `watch`; escaped */
    int64_t timeout_ns;     /* asked of the server as timeoutSeconds; the client gives 30 s more */
};

struct api_watch; /* opaque */

struct api_watch_events {
    void (*on_open)(void *ctx); /* the server has accepted */
    /** An event; @event lives in @arena until the callback returns. An object that does not decode
     * is told by @err instead (borrowed), and the watch goes on. */
    void (*on_event)(void *ctx, const struct watch_event *event, const struct error *err,
                     struct arena *arena);
    /** Ended: result->err NULL when the server closed it in order. Not after api_watch_cancel(). */
    void (*on_end)(void *ctx, struct api_result *result);
};

/** Not rate limited, not retried: the reflector decides. @events is borrowed until the end. */
struct api_watch *api_watch_start(struct api_client *client,
                                  const struct api_watch_request *request,
                                  const struct api_watch_events *events, void *ctx);
void api_watch_cancel(struct api_watch *watch);
