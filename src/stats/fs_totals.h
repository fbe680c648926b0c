/*
 * What a whole file system holds, as statfs tells it. On a worker: a dead server may let it wait.
 */
#pragma once

#include "base/base.h"

struct fs_totals {
    uint64_t capacity_bytes;
    uint64_t free_bytes;      /* for root */
    uint64_t available_bytes; /* for everybody else */
    uint64_t inodes, inodes_free;
};

/** Of the file system that @path lies on. Errors are the errno's. */
MUST_CHECK struct error *fs_totals_read_blocking(const char *path, struct fs_totals *ret);
