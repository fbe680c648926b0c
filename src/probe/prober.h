/*
 * One attempt of a probe's handler that goes over the network: httpGet, tcpSocket or grpc. Inside
 * the probe room only; loop thread.
 */
#pragma once

#include "probe/probe.h"
#include "probe/probe_net.h"

struct prober; /* opaque: under way */

struct prober_options {
    struct probe_net *net;
    const Core__ProbeHandler *handler; /* with one of the three; borrowed for the call */
    const char *pod_ip;                /* asked unless the handler names a host */
    int32_t port;                      /* resolved; 1 to 65535 */
    int64_t timeout_ns;
};

struct prober_result {
    enum probe_outcome outcome;
    const char *output;   /* why not, or of what to warn; borrowed */
    const char *resulted; /* PROBE_OUTCOME_ERROR: the state it "resulted in" */
};
typedef void prober_on_done(void *ctx, const struct prober_result *result);

/** Begins. @on_done runs exactly once, never from inside this; not after prober_cancel(). */
struct prober *prober_start(const struct prober_options *options, prober_on_done *on_done,
                            void *ctx);
void prober_cancel(struct prober *prober); /* silence; NULL is fine */
