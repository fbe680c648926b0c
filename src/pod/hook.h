/*
 * Life-cycle hooks as a step of an operation: exec through the runtime, httpGet with the client of
 * probes, sleep by a timer; there are no tcpSocket hooks (spec pods.md §5.10). Inside the pod room;
 * loop thread.
 */
#pragma once

#include "pod/op.h"

struct hook; /* an httpGet hook under way; in its operation's arena */

/** Runs @handler for instance @id; ends with advance(). @limit_ns bounds it; 0: no limit. */
void hook_start(struct pod_op *op, const Core__LifecycleHandler *handler, const char *id,
                int64_t limit_ns);
/** Why the hook failed, owned by the caller; NULL when it succeeded or was cut short. Inside
 * advance() only. */
struct error *hook_result(struct pod_op *op);
void hook_cancel(struct hook *hook); /* silence; NULL is fine */
