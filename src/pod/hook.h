/*
 * Life-cycle hooks as a step of an operation: exec through the runtime, sleep by a timer. httpGet
 * and tcpSocket hooks are refused with a message until probes bring their client. Inside the pod
 * room; loop thread.
 */
#pragma once

#include "pod/op.h"

/** Runs @handler for instance @id; ends with advance(). @limit_ns bounds it; 0: no limit. */
void hook_start(struct pod_op *op, const Core__LifecycleHandler *handler, const char *id,
                int64_t limit_ns);
/** Why the hook failed, owned by the caller; NULL when it succeeded. Inside advance() only. */
struct error *hook_result(struct pod_op *op);
