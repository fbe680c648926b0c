/*
 * The container runtime behind CRI v1: implements pod/runtime.h over two gRPC channels, one to the
 * runtime service and one to the image service (also when both have the same endpoint). Loop
 * thread.
 */
#pragma once

#include "pod/runtime.h"

#include "loop/loop.h"

struct metrics; /* base/metrics.h */

struct cri_runtime; /* opaque */

struct cri_runtime_options {
    const char *runtime_endpoint; /* containerRuntimeEndpoint: "unix:///path" or "/path" */
    const char *image_endpoint;   /* imageServiceEndpoint; NULL or "" means the runtime's */
    int64_t request_timeout_ns;   /* runtimeRequestTimeout: T of the method table */
    struct metrics *metrics;      /* borrowed, outlives the client; NULL: nothing is counted */
};

/**
 * Makes the client; connects nothing before the first call or listen(). @options are copied. The
 * caller owns it. INVALID_ARGUMENT when an endpoint is not a unix socket.
 */
MUST_CHECK struct error *cri_runtime_new(struct loop *loop,
                                         const struct cri_runtime_options *options,
                                         struct cri_runtime **ret);
/** Cancels all calls and watches in silence. NULL is fine. May be called from any callback. */
void cri_runtime_free(struct cri_runtime *runtime);
DEFINE_AUTO(cri_runtime, struct cri_runtime *, cri_runtime_free)

/** What the pod room sees; valid as long as @runtime. */
struct pod_runtime *cri_runtime_as_pod_runtime(struct cri_runtime *runtime);

/** True while the runtime service's connection is up. */
bool cri_runtime_is_connected(const struct cri_runtime *runtime);

/**
 * The path of a unix socket endpoint; *ret_path is owned by the caller. INVALID_ARGUMENT for every
 * other scheme, with the kubelet's text.
 */
MUST_CHECK struct error *cri_endpoint_path(const char *endpoint, char **ret_path);
