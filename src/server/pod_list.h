/*
 * The node's pods as v1 PodLists in JSON: as they are wanted, with the newest status, and as the
 * runtime holds them. Overflow is seen through buf_error(). Loop thread.
 */
#pragma once

#include "base/buf.h"
#include "pod/pods.h"

enum pod_list_flags {
    POD_LIST_ORPHANS = 1 << 0, /* also pods that are only known from the runtime */
    /* The local API's form: a pod that ends has a deletionTimestamp whoever ends it, and no pods
     * are an empty list, where a kubelet has null. */
    POD_LIST_LOCAL = 1 << 1,
};

/** The pods that are wanted; @flags as above. */
void pod_list_write(const struct pods *pods, unsigned flags, int64_t now_wall_ns, struct buf *out);

/** The pods of which the runtime runs something, their sandbox if nothing else: metadata and the
 * names and images of the containers that run (spec server.md §2.2). */
void pod_list_write_running(const struct pods *pods, struct buf *out);
