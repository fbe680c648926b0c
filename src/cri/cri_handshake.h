/*
 * The first words with a runtime, before anything else is asked of it (spec runtime.md §1.2): does
 * it speak CRI v1 on both endpoints, who is it, and which cgroup driver does it want. One attempt;
 * the caller decides about more. Loop thread.
 */
#pragma once

#include "pod/runtime.h"

#include "loop/loop.h"

struct cri_connect; /* opaque: an attempt under way */

enum cri_cgroup_driver {
    CRI_CGROUP_DRIVER_UNSAID, /* the runtime does not say: keep the configured one */
    CRI_CGROUP_DRIVER_SYSTEMD,
    CRI_CGROUP_DRIVER_CGROUPFS,
};

/** What the runtime said of itself. */
struct cri_handshake {
    const char *runtime_name; /* the scheme of container ids: "containerd" */
    const char *runtime_version;
    enum cri_cgroup_driver cgroup_driver;
    bool lacks_runtime_config; /* it does not know the RPC: kubelet counts these as "losing support"
                                */
};

/** Ends an attempt: exactly once, never from inside cri_connect_start(). @handshake is valid until
 * this returns. */
typedef void cri_on_handshake(void *ctx, const struct cri_handshake *handshake,
                              struct error *err_owned);

struct cri_connect_options {
    const char *runtime_endpoint; /* as configured, for error texts */
    const char *image_endpoint;   /* NULL or "": the runtime's */
};

/** Starts an attempt on @runtime (borrowed). The handle is valid until @on_done or
 * cri_connect_cancel(). */
struct cri_connect *cri_connect_start(struct loop *loop, struct pod_runtime *runtime,
                                      const struct cri_connect_options *options,
                                      cri_on_handshake *on_done, void *ctx);
/** Silence. NULL is fine. */
void cri_connect_cancel(struct cri_connect *connect);
