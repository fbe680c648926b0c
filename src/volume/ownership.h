/*
 * fsGroup: giving a volume's content to a group (spec volumes.md §5.1). The tree belongs to a pod
 * and may change while it is walked; no link in it is ever followed. On a worker.
 */
#pragma once

#include "base/base.h"

struct volume_ownership {
    int64_t fs_group;
    bool read_only;        /* the volume is mounted read-only: the group may read, not write */
    bool on_root_mismatch; /* fsGroupChangePolicy OnRootMismatch: skip when the root is right
                              already */
};

/**
 * Gives everything in directory @path to the group: children first, the root last, so that
 * OnRootMismatch is safe after an interruption. What cannot be changed is passed over, as upstream
 * does; what cannot be read is an error. INVALID_ARGUMENT: the group is out of range.
 * RESOURCE_EXHAUSTED: the tree is absurdly deep.
 */
MUST_CHECK struct error *volume_ownership_apply_blocking(const char *path,
                                                         const struct volume_ownership *ownership);
