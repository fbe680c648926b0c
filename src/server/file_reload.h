/*
 * A few small files that belong together, read at the start and again whenever one of them changes:
 * written, replaced, swapped through a symbolic link anywhere in its path (as in the volume of a
 * Secret), or gone and back. Nothing polls. Not noticed is only that a directory above the one that
 * holds a file is moved away whole; any later change is.
 *
 * Loop thread; the files are a worker's.
 */
#pragma once

#include "loop/work.h"

struct file_reload; /* opaque */

#define FILE_RELOAD_MAX 2

/** Copied. */
struct file_reload_options {
    const char *paths[FILE_RELOAD_MAX]; /* absolute */
    size_t count;
    size_t max_bytes; /* of each */
};

/**
 * What was read: @contents, as many as there are paths, borrowed; or @err (borrowed), the first
 * file's that could not be read. Told for the first reading, then whenever that differs from what
 * was told last. May free the file_reload.
 */
typedef void file_reload_on_read(void *ctx, const struct str *contents, const struct error *err);

/** Begins to read; nothing is told from inside this call. */
struct file_reload *file_reload_new(struct loop *loop, struct work_pool *pool,
                                    const struct file_reload_options *options,
                                    file_reload_on_read *on_read, void *ctx);
void file_reload_free(struct file_reload *reload); /* silence; NULL is fine */
DEFINE_AUTO(file_reload, struct file_reload *, file_reload_free)
