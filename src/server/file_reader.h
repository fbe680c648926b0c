/*
 * Reading an open file piece by piece on the worker pool, at the pace of whoever asks. Loop thread.
 */
#pragma once

#include "base/str.h"
#include "loop/work.h"

#define FILE_READER_PIECE_BYTES (64 * KiB)

struct file_reader; /* opaque */

/** @bytes are borrowed for the call and empty at the end of the file; @err_owned says why there are
 * none. */
typedef void file_reader_on_piece(void *ctx, struct str bytes, struct error *err_owned);

/** Reads the regular file @fd_owned from @offset on. Never fails. */
struct file_reader *file_reader_new(struct work_pool *pool, int fd_owned, int64_t offset,
                                    file_reader_on_piece *on_piece, void *ctx);
/** Closes the file, in silence. NULL is fine; may be called from on_piece. */
void file_reader_free(struct file_reader *reader);
DEFINE_AUTO(file_reader, struct file_reader *, file_reader_free)

/** Reads on: at most a piece, and at most @max_bytes (> 0). on_piece runs later, once; no further
 * call before that. */
void file_reader_next(struct file_reader *reader, uint64_t max_bytes);
