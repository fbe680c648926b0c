/*
 * What the pod room needs from a container runtime: asynchronous calls, and word that something
 * changed. The vocabulary is CRI v1 itself (proto/cri.proto): requests and replies are its
 * messages, because they are the contract on the other side and a second set of structs would say
 * the same twice. src/cri implements this over gRPC; tests implement it with a simulated node. Loop
 * thread.
 */
#pragma once

#include "base/base.h"

#include "cri.pb-c.h"

/** Calls in the order of spec runtime.md §1.3-1.4. The request and reply messages are those of the
 * CRI RPC. */
enum runtime_method {
    RUNTIME_VERSION,
    RUNTIME_RUNTIME_CONFIG,
    RUNTIME_STATUS,
    RUNTIME_UPDATE_RUNTIME_CONFIG,
    RUNTIME_RUN_POD_SANDBOX,
    RUNTIME_STOP_POD_SANDBOX,
    RUNTIME_REMOVE_POD_SANDBOX,
    RUNTIME_POD_SANDBOX_STATUS,
    RUNTIME_LIST_POD_SANDBOX,
    RUNTIME_CREATE_CONTAINER,
    RUNTIME_START_CONTAINER,
    RUNTIME_STOP_CONTAINER,
    RUNTIME_REMOVE_CONTAINER,
    RUNTIME_LIST_CONTAINERS,
    RUNTIME_CONTAINER_STATUS,
    RUNTIME_UPDATE_CONTAINER_RESOURCES,
    RUNTIME_UPDATE_POD_SANDBOX_RESOURCES,
    RUNTIME_REOPEN_CONTAINER_LOG,
    RUNTIME_EXEC_SYNC,
    RUNTIME_EXEC,
    RUNTIME_ATTACH,
    RUNTIME_PORT_FORWARD,
    RUNTIME_CONTAINER_STATS,
    RUNTIME_LIST_CONTAINER_STATS,
    RUNTIME_POD_SANDBOX_STATS,
    RUNTIME_LIST_POD_SANDBOX_STATS,
    RUNTIME_LIST_METRIC_DESCRIPTORS,
    RUNTIME_LIST_POD_SANDBOX_METRICS,
    RUNTIME_CHECKPOINT_CONTAINER,
    IMAGE_LIST_IMAGES,
    IMAGE_IMAGE_STATUS,
    IMAGE_PULL_IMAGE,
    IMAGE_REMOVE_IMAGE,
    IMAGE_IMAGE_FS_INFO,
    RUNTIME_METHOD_COUNT
};

struct pod_runtime;
struct runtime_call; /* opaque: a call under way */

/**
 * Ends a call: exactly once, on the loop, never from inside call(). Either @reply (valid until this
 * returns, all fields checked as spec runtime.md §1.3 "Response checks" asks) or @err_owned. An
 * error's code is the gRPC code and its message is the gRPC status message without any prefix,
 * because it is shown to people as it is.
 */
typedef void runtime_on_reply(void *ctx, const ProtobufCMessage *reply, struct error *err_owned);

/** Who is told about changes nobody asked for. Any member may be NULL. */
struct runtime_listener {
    /**
     * Something of pod @pod_uid changed (an exit, a start, a removal), as seen by the event stream
     * or a pidfd.
     * @container_id may be NULL. Look at the runtime's state; the event itself carries no truth.
     */
    void (*on_changed)(void *ctx, const char *pod_uid, const char *container_id);
    /** The event stream broke or was just (re)opened, or the runtime restarted: everything may have
     * changed. */
    void (*on_lost)(void *ctx);
    /** The connection is gone; another is being tried for. */
    void (*on_disconnected)(void *ctx);
    void *ctx;
};

struct pod_runtime_vtable {
    /**
     * Starts a call. @request (borrowed, encoded before this returns) must be the message of
     * @method. The deadline is the method's own (runtimeRequestTimeout T, 2T, none, …) plus
     * @extra_ns (the grace period of StopContainer, the timeout of ExecSync). Returns a handle for
     * cancel(); never NULL: what fails at once is reported through @on_reply in the next turn.
     */
    struct runtime_call *(*call)(struct pod_runtime *self, enum runtime_method method,
                                 const ProtobufCMessage *request, int64_t extra_ns,
                                 runtime_on_reply *on_reply, void *ctx);
    /** Silence: @on_reply will not run. NULL is fine. */
    void (*cancel)(struct pod_runtime *self, struct runtime_call *call);
    /** Sets the one listener (copied). */
    void (*listen)(struct pod_runtime *self, const struct runtime_listener *listener);
    /**
     * Asks to be told (on_changed) when container @container_id of @pod_uid (both copied) has
     * exited and the runtime's own status says so. Idempotent. Where an event stream is up this
     * adds a pidfd all the same.
     */
    void (*watch_exit)(struct pod_runtime *self, const char *pod_uid, const char *container_id);
    void (*unwatch_exit)(struct pod_runtime *self, const char *container_id);
};

struct pod_runtime {
    const struct pod_runtime_vtable *vtable;
};

/* Short forms. */
static inline struct runtime_call *runtime_call_start(struct pod_runtime *runtime,
                                                      enum runtime_method method,
                                                      const ProtobufCMessage *request,
                                                      int64_t extra_ns, runtime_on_reply *on_reply,
                                                      void *ctx)
{
    return runtime->vtable->call(runtime, method, request, extra_ns, on_reply, ctx);
}

static inline void runtime_call_cancel(struct pod_runtime *runtime, struct runtime_call *call)
{
    runtime->vtable->cancel(runtime, call);
}
