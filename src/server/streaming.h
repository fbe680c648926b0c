/*
 * Exec, attach, port-forward and run of the node's own API (spec server.md §2.4-2.8): finds the
 * container, has the runtime prepare a stream, and joins the client with the runtime's streaming
 * server. What the client speaks is passed on as it is, but for two WebSocket protocols that end
 * here: v5.channel.k8s.io, whose channels become SPDY streams, and SPDY in a WebSocket, which is
 * unwrapped. Refusals have a kubelet's words and order. Loop thread.
 */
#pragma once

#include "base/metrics.h"
#include "loop/work.h"
#include "pod/pods.h"
#include "wire/http_server.h"

struct streaming; /* opaque: one per server */

struct streaming_options {
    struct loop *loop; /* these four borrowed */
    struct work_pool *pool;
    struct pod_runtime *runtime;
    const struct pods *pods;
    struct metrics *metrics; /* NULL: nothing is counted */
    /* Streams and runs at once; a further one is answered with 429. 0: an eighth of the descriptors
     * the process may have, of which each takes two, but no more than 1024. */
    size_t max_sessions;
    /* No WebSocket ends here, all are the runtime's affair (the gate ExtendWebSocketsToKubelet is
     * off). */
    bool passes_all_on;
    /** The UID by which the API knows static pod @uid, or NULL; may be NULL itself. */
    const char *(*api_uid)(void *ctx, const char *uid);
    void *ctx;
};

/** The decoded parts of a request's path. */
struct streaming_params {
    const char *namespace_, *pod;
    const char *uid;       /* NULL: not said */
    const char *container; /* not for port-forward */
};

struct streaming *streaming_new(const struct streaming_options *options);
/** Cuts everything off; requests not answered yet are broken off. NULL is fine. */
void streaming_free(struct streaming *streaming);
DEFINE_AUTO(streaming, struct streaming *, streaming_free)

/*
 * Each answers @exchange, which is its own from here on. @fields are those of the request without
 * credentials, valid as long as the exchange: they are passed on to the runtime. Who may do this
 * and with which method was decided before.
 */
void streaming_exec(struct streaming *streaming, struct http_exchange *exchange,
                    const struct streaming_params *params, const struct http_fields *fields);
void streaming_attach(struct streaming *streaming, struct http_exchange *exchange,
                      const struct streaming_params *params, const struct http_fields *fields);
void streaming_port_forward(struct streaming *streaming, struct http_exchange *exchange,
                            const struct streaming_params *params,
                            const struct http_fields *fields);
/** Runs a command to its end and answers with what it said. */
void streaming_run(struct streaming *streaming, struct http_exchange *exchange,
                   const struct streaming_params *params);

/** Requests and streams under way. */
size_t streaming_session_count(const struct streaming *streaming);
