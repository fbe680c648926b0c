/*
 * What the files of the API client know of each other: the transport, one attempt at a request,
 * and the client's queue. Room-private. Loop thread.
 *
 *     api_client  ──  api_call   ──┐
 *                     api_watch  ──┴─►  api_attempt  ──►  api_transport  (http_client, api_auth)
 */
#pragma once

#include "base/buf.h"
#include "kube/api_auth.h"
#include "kube/api_client.h"
#include "kube/api_metrics.h"
#include "kube/api_request.h"
#include "kube/rate_limit.h"
#include "wire/http_client.h"

#define API_REPLY_MAX_BYTES (64 * MiB)

/** The times of a transport. Values and their sources: api_transport.c. */
struct api_timing {
    int64_t attempt_limit_ns;   /* for an answer to one request */
    int64_t watch_grace_ns;     /* on top of what was asked of the server, to end a watch itself */
    int64_t lost_pause_ns;      /* before a GET is sent again whose connection was lost */
    int64_t retry_after_max_ns; /* a server that wants more waits for the caller instead */
    int64_t unsent_limit_ns;    /* how long a request that cannot be delivered is tried */
    int64_t reconnect_base_ns;  /* the first pause between connections that fail */
    int64_t reconnect_max_ns;   /* the longest */
    struct api_auth_timing auth;
};

struct api_transport {
    struct loop *loop;
    struct arena *arena; /* of the texts */
    const struct api_timing *timing;
    struct api_origin origin;
    const char *server; /* as in the kubeconfig */
    const char *user_agent;
    struct http_client *http;
    struct api_auth *auth;
    bool has_plugin; /* for credentials */
    struct api_metrics metrics;
    struct api_attempt *streams; /* attempts that have become streams */
    size_t client_count;
    unsigned failures;       /* connections in a row that could not be made */
    uint64_t all_failures;   /* ever */
    int64_t closed_until_ns; /* mono; nothing is sent before */
};

/** As api_transport_new(), with other times; @timing is borrowed for the transport's life. */
MUST_CHECK struct error *api_transport_new_timed(struct loop *loop, struct work_pool *pool,
                                                 const struct kubeconfig *config,
                                                 const char *user_agent,
                                                 const struct api_timing *timing,
                                                 struct api_transport **ret);
extern const struct api_timing api_timing_default;

/** How long nothing may be sent because connections have failed; 0: it may. */
int64_t api_transport_pause(const struct api_transport *transport);
/** Notes that the server has answered. */
void api_transport_note_reached(struct api_transport *transport);
/** Notes that a request was not answered for want of a connection; it was sent when so many
 * connections had failed. */
void api_transport_note_failure(struct api_transport *transport, uint64_t sent_after);

/* --- one attempt: sent once, but for a 401 that fresh credentials may heal --- */

struct api_attempt; /* opaque */

struct api_attempt_request {
    const char *method;
    const char *target; /* behind the server's base path */
    const char *accept;
    const char *content_type; /* of the body; NULL: none */
    struct str body;
    int64_t deadline_ns; /* for this attempt, from when it is sent; 0: none */
};

/** How an attempt ended. Everything is borrowed for the callback. */
struct api_outcome {
    const struct error *err;  /* NULL: there is a whole answer, or the stream ended in order */
    bool is_unsent;           /* with err: the server has not seen the request */
    bool is_reset;            /* with err: the exchange failed alone, not its connection */
    unsigned http_status;     /* 0: no answer */
    const char *content_type; /* "" when the server did not say */
    bool has_retry_after;
    int64_t retry_after_ns;
    struct str body; /* of an answer that was no stream */
};

struct api_attempt_events {
    /** The answer is good and what follows is a stream. NULL: answers are collected. */
    void (*on_open)(void *ctx, const char *content_type);
    void (*on_data)(void *ctx, struct str bytes);
    /** The attempt is gone when this returns. Not after api_attempt_cancel(). */
    void (*on_end)(void *ctx, const struct api_outcome *outcome);
};

/** @request's texts and @events are borrowed until the end. */
struct api_attempt *api_attempt_start(struct api_transport *transport,
                                      const struct api_attempt_request *request,
                                      const struct api_attempt_events *events, void *ctx);
/** Silence. From any callback but on_end. NULL is fine. */
void api_attempt_cancel(struct api_attempt *attempt);
/** Ends every stream in order, in the next turn: its reader starts anew on a new connection. */
void api_attempt_end_streams(struct api_transport *transport);

/* --- the client --- */

struct api_client {
    struct api_transport *transport;
    struct api_client_options options;
    struct rate_limit limit;
    struct loop_timer *timer; /* the next token; NULL when unlimited */
    struct api_call *queue;   /* calls that wait for a token, in order */
    struct api_call *calls;   /* all */
    struct api_watch *watches;
};

struct api_call {
    struct api_client *client;
    struct api_call *prev, *next;             /* in client->calls */
    struct api_call *queue_prev, *queue_next; /* in client->queue */
    enum api_call_state {
        API_CALL_QUEUED,  /* waits for a token */
        API_CALL_SENT,    /* an attempt is under way */
        API_CALL_RESTING, /* waits before the next attempt */
        API_CALL_FAILING, /* ends with `failure` in the next turn */
    } state;
    enum api_verb verb;
    const struct kube_kind *kind, *body_kind;
    bool has_subresource;
    const char *name;
    struct arena *arena; /* of the texts */
    struct api_attempt_request request;
    struct buf body;
    struct api_attempt *attempt;                /* SENT */
    struct loop_timer *timer;                   /* RESTING, FAILING */
    struct loop_timer *deadline;                /* NULL: none */
    int64_t started_ns, queued_ns, deadline_ns; /* mono */
    unsigned retries;
    struct error *failure; /* FAILING; else the last attempt's, for a deadline's message */
    api_on_done *on_done;
    void *ctx;
};

/** Sends @call now (SENT) or queues it (QUEUED). Runs no callback. */
void api_client_submit(struct api_client *client, struct api_call *call);
/** Takes a call out of the queue. */
void api_client_withdraw(struct api_client *client, struct api_call *call);
/** The token is there: sends. */
void api_call_send(struct api_call *call);

/** What a client's requests accept, and what its bodies are. */
const char *api_client_accept(const struct api_client *client);

/* --- answers --- */

/** What an answer may hold. */
struct api_expectation {
    const char *method;
    const char *name;
    const struct kube_kind *kind;     /* of the resource, for messages */
    const struct kube_kind *kinds[3]; /* any of these; NULL: no further ones */
    bool may_be_status;               /* a Status of success is fine */
};

/**
 * Fills @result, whose arena is made here, from an outcome that has an HTTP status: the object, or
 * *ret_err (owned) by status and body. The result borrows the error.
 */
void api_result_read(const struct api_outcome *outcome, const struct api_expectation *expected,
                     struct api_result *result, struct error **ret_err);
/** The encoding named by a content type ("": by the first bytes of @body); false: neither. */
bool api_encoding_of(const char *content_type, struct str body, enum kube_encoding *ret);
