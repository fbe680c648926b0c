/* Text on its way out, compressed as it goes (gzip, fastest level). Not thread-safe. */
#pragma once

#include "base/buf.h"

struct gzip_stream; /* opaque; 64 KiB */

/** Never fails. The caller owns it. */
struct gzip_stream *gzip_stream_new(void);
void gzip_stream_free(struct gzip_stream *stream); /* NULL is fine */
DEFINE_AUTO(gzip_stream, struct gzip_stream *, gzip_stream_free)

/** Appends to @out what @bytes let out, which may be nothing yet. */
void gzip_stream_add(struct gzip_stream *stream, struct str bytes, struct buf *out);
/** Appends the rest and the end. Nothing may be added after it. */
void gzip_stream_finish(struct gzip_stream *stream, struct buf *out);
/** What a call with @len bytes can at most append, or a finish after so many. */
size_t gzip_stream_max_output(size_t len);
