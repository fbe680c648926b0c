/*
 * Asking a server of the gRPC health checking protocol how a service is (grpc.health.v1.Health/
 * Check), over HTTP/2 without TLS, with the words of pkg/probe/grpc for all that may go wrong. A
 * connection that is refused is tried again until the time is up, as gRPC clients do. Loop thread.
 */
#pragma once

#include "probe/probe_net.h"

struct grpc_check; /* opaque: under way */

/** All texts are copied. */
struct grpc_check_options {
    const char *host; /* without brackets */
    int32_t port;
    const char *service;    /* "": the server as a whole */
    const char *user_agent; /* our library's own name follows it */
    int64_t timeout_ns;     /* for everything, > 0 */
};

/** Over. @failure (borrowed) NULL: the service is SERVING; else what a probe's event says. */
typedef void grpc_check_on_done(void *ctx, const char *failure);

/** Begins. @on_done runs exactly once, never from inside this; not after grpc_check_cancel(). */
struct grpc_check *grpc_check_start(struct probe_net *net, const struct grpc_check_options *options,
                                    grpc_check_on_done *on_done, void *ctx);
void grpc_check_cancel(struct grpc_check *check); /* silence; NULL is fine */

/** What @reply means: NULL, or an owned text. Pure. */
struct ProtobufCMessage;
char *grpc_check_judge(const struct ProtobufCMessage *reply);
