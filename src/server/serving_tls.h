/*
 * With what the node's own API is served over TLS (spec server.md §1.3): the certificate and where
 * it comes from, the settings, whose client certificates are asked for. Three sources, the first
 * that is configured:
 *
 *     serverTLSBootstrap                 asked of the cluster, kept and replaced in time
 *     tlsCertFile, tlsPrivateKeyFile     files, read again when they change
 *     otherwise                          CERTDIR/kubelet.crt and .key, made when they are missing
 *
 * Until there is a certificate, handshakes end with the alert internal_error: clients of a node
 * whose request is not approved yet know why. Loop thread; keys are made, and files read and
 * written, on workers.
 */
#pragma once

#include "base/metrics.h"
#include "config/config.h"
#include "kube/api_client.h"
#include "wire/tls.h"

#include "core.pb-c.h"

struct serving_tls; /* opaque */

struct serving_tls_options {
    struct loop *loop; /* borrowed, as the next three */
    struct work_pool *pool;
    struct api_client *client;   /* whom to ask for a certificate; NULL: nobody */
    struct metrics *metrics;     /* NULL: nobody counts */
    const struct config *config; /* read during the call only */
    const char *node_name;       /* copied */
    /* How client certificates are asked for when there is a clientCAFile; else they are not. */
    enum tls_client_auth client_auth;
};

/** None of them may free the serving_tls; each may be NULL. Nothing is told from inside a function
 * of this header, but for serving_tls_node(). */
struct serving_tls_listener {
    /** Connections from now on should use @context (borrowed; a reference keeps it). Told first
     * when all has been read, and then it has a certificate, unless serverTLSBootstrap has none
     * yet. */
    void (*on_context)(void *ctx, struct tls_context *context);
    /** The clientCAFile holds @ca_pem (borrowed) now; told before the context that names them. */
    void (*on_client_ca)(void *ctx, const char *ca_pem);
    /** A file that the configuration names was of no use at its first reading, or a certificate of
     * our own could not be made: a reason for the agent not to start, as upstream has it. Later
     * failures leave what was in use and are only logged. */
    void (*on_failed)(void *ctx, const struct error *err);
};

/**
 * Begins. @listener is borrowed for its life. Errors are those of the settings: `tlsCipherSuites:
 * …`, `tlsCurvePreferences: curve 4588 (X25519MLKEM768) is not supported by OpenSSL …`. The caller
 * owns *ret.
 */
MUST_CHECK struct error *serving_tls_new(const struct serving_tls_options *options,
                                         const struct serving_tls_listener *listener, void *ctx,
                                         struct serving_tls **ret);
void serving_tls_free(struct serving_tls *serving); /* silence; NULL is fine */
DEFINE_AUTO(serving_tls, struct serving_tls *, serving_tls_free)

/** The context for connections now, borrowed; never NULL. */
struct tls_context *serving_tls_context(const struct serving_tls *serving);

/** The node as the API server has it (borrowed; NULL: gone, nothing changes): its addresses are
 * what a certificate is asked for. Cheap when they have not changed. */
void serving_tls_node(struct serving_tls *serving, const Core__Node *node);
