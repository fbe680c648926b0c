/*
 * Passing requests on to a node's server: logs, exec, attach, port-forward and /proxy of pods,
 * services and nodes. The answer to a plain request, which has arrived whole, is streamed through
 * with back-pressure; an upgrade becomes a pipe, with back-pressure both ways. The node is reached
 * at its InternalIP and kubelet port with the plane's client certificate; its certificate is not
 * verified, as kube-apiserver does without
 * --kubelet-certificate-authority. Loop thread.
 */
#pragma once

#include "loop/work.h"
#include "plane/failure.h"
#include "plane/rest.h"
#include "plane/route.h"
#include "wire/http_server.h"

struct node_proxy; /* opaque */

/** A reference to @client_tls is taken; NULL: nodes are spoken to in plain HTTP. */
struct node_proxy *node_proxy_new(struct loop *loop, struct work_pool *pool,
                                  struct tls_context *client_tls);
/** Requests from now on use @client_tls, of which a reference is taken. */
void node_proxy_set_tls(struct node_proxy *proxy, struct tls_context *client_tls);
/** Cuts everything off. NULL is fine. */
void node_proxy_free(struct node_proxy *proxy);
DEFINE_AUTO(node_proxy, struct node_proxy *, node_proxy_free)

/** Where a proxied request goes; in the request's arena. */
struct proxy_target; /* opaque */

/**
 * Finds the node's address and the path there for pods/log, pods/exec, pods/attach,
 * pods/portforward, pods/proxy, services/proxy, nodes/proxy; *ret stays as it was for the log of a
 * pod that has no node yet, which is empty. Only from a store task's run(). The
 * failures are upstream's: 404 without pod, 400 for a container that is not there or must be chosen
 * (`a container name must be specified for pod web, choose one of: [a b]`), 500 or 503 while no
 * node can be reached.
 */
MUST_CHECK Meta__Status *proxy_prepare(const struct rest_env *env, const struct route *route,
                                       const struct http_target *target, struct proxy_target **ret);
/** Answers @exchange from there; it is the proxy's from here on. */
void proxy_begin(struct node_proxy *proxy, const struct proxy_target *target,
                 struct http_exchange *exchange);
