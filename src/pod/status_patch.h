/*
 * What is sent to the API server about a pod's status: the merge of what the node knows with what
 * the server has, and its difference as a strategic merge patch (spec pods.md §8.9). Pure. Any
 * thread.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

#include "core.pb-c.h"

struct status_patch_input {
    const Core__Pod *api; /* as the server has it: the pod, or the mirror of a static one */
    const Core__PodStatus *status; /* as the node has it */
    bool could_run;                /* containers may still run: no terminal phase may be told */
    int64_t now_ns;                /* wall clock */
};

/**
 * The status to be sent, in @arena; borrows from both. Equal to the server's when there is nothing
 * to tell: a condition that is as it was keeps the server's transition time.
 */
Core__PodStatus *status_merge(const struct status_patch_input *input, struct arena *arena);

/**
 * Appends the patch body (JSON) to @out, metadata.uid as its precondition included; *ret_empty: the
 * server has all of it already, nothing was appended and nothing need be sent. INVALID_ARGUMENT or
 * RESOURCE_EXHAUSTED: the server's object cannot be made into a document, or the patch does not fit
 * @out.
 */
MUST_CHECK struct error *status_patch(const struct status_patch_input *input, struct buf *out,
                                      bool *ret_empty);
