/*
 * How probes and hooks reach pods: the loop, the workers that look names up, and the TLS context of
 * all, which trusts anybody. Loop thread.
 */
#pragma once

#include "loop/work.h"
#include "wire/dial.h"
#include "wire/tls.h"

struct probe_net; /* opaque */

/** @loop and @pool are borrowed. The caller owns it; nothing may be under way when it is freed. */
struct probe_net *probe_net_new(struct loop *loop, struct work_pool *pool);
void probe_net_free(struct probe_net *net); /* NULL is fine */
DEFINE_AUTO(probe_net, struct probe_net *, probe_net_free)

struct loop *probe_net_loop(const struct probe_net *net);

/**
 * As dial_start(). Closing such a connection before the peer does resets it: a kubelet lets its
 * probes linger for a second in close(), which would hold the loop, and nothing may stay behind.
 */
struct dial *probe_net_dial(struct probe_net *net, const char *host, int32_t port,
                            int64_t timeout_ns, dial_on_done *on_done, void *ctx);
/** The context for HTTPS, borrowed; made when first needed. INTERNAL when OpenSSL cannot. */
MUST_CHECK struct error *probe_net_tls(struct probe_net *net, struct tls_context **ret);
