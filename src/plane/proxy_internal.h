/*
 * Shared by the files of the node proxy only: where a request goes, what is passed on of it, and
 * the pipes that upgrades become. Loop thread.
 */
#pragma once

#include "base/buf.h"
#include "plane/node_proxy.h"
#include "wire/http_client.h"
#include "wire/upgrade_pipe.h"

struct proxy_target {
    const char *host;
    uint16_t port;
    bool is_tls;
    bool is_node;       /* ours to speak to with the plane's certificate; else a pod */
    bool is_stream;     /* exec, attach, port-forward: nothing without an upgrade */
    const char *log_of; /* a log, of the pod that is called so; NULL: something else */
    const char *target; /* path and query there */
};

/** True unless @field, one of @fields, is about the connection, or for the API server alone
 * (credentials and impersonation). */
bool proxy_passes_field(const struct http_fields *fields, const struct http_field *field);
/** Appends a Status, as JSON. */
void proxy_write_failure(unsigned code, const char *message, struct buf *out);

/** A client for @target alone, spoken to as the plane speaks to it; the caller's. */
MUST_CHECK struct error *proxy_client_new(struct node_proxy *proxy,
                                          const struct proxy_target *target,
                                          struct http_client **ret);
struct loop *proxy_loop(const struct node_proxy *proxy);

/* --- proxy_target.c --- */

/** Where @node's server is; the host is borrowed from @node. The path stays as it is. False for one
 * without an address. */
MUST_CHECK bool proxy_target_of_node(const Core__Node *node, struct proxy_target *ret);

/* --- proxy_pipe.c --- */

/**
 * Asks @target for the upgrade that @exchange asks for, and once it agrees joins the two
 * connections. @tls NULL: without. INVALID_ARGUMENT for HTTP/2, which has no upgrades: @exchange is
 * still the caller's then.
 */
MUST_CHECK struct error *proxy_pipe_begin(struct upgrade_house *house,
                                          const struct proxy_target *target,
                                          struct tls_context *tls, struct http_exchange *exchange);
