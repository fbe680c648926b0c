/*
 * A growable byte buffer with a maximum that is given at creation and has no default. The content
 * is always followed by a NUL that is not counted. Not thread-safe.
 */
#pragma once

#include "base/base.h"

#include <stdarg.h>

struct buf {
    char *data; /* owned; NULL while empty and unused, see buf_text() */
    size_t len;
    size_t capacity;
    size_t max_len;
    bool overflowed; /* an append did not fit and was dropped whole; sticky until buf_clear() */
};

/** An empty buffer in the caller's struct, for at most @max_len bytes. Takes no memory yet. */
void buf_init(struct buf *buf, size_t max_len);
/** Releases the memory; the buffer may be initialised again. A zeroed struct is fine. */
void buf_done(struct buf *buf);
/** Empties for reuse, keeps the memory. */
void buf_clear(struct buf *buf);

static inline UNUSED void auto_release_buf(struct buf *buf)
{
    buf_done(buf);
}

/*
 * Appending. What does not fit leaves the content as it was and sets `overflowed`; later appends
 * are dropped as well, so that the content stays a prefix of what was meant. A series of appends is
 * checked once at its end with buf_error().
 */
void buf_add(struct buf *buf, const void *bytes, size_t len);
void buf_add_text(struct buf *buf, const char *text);
void buf_add_str(struct buf *buf, struct str text);
void buf_add_char(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *buf, const char *format, va_list args) PRINTF_LIKE(2, 0);

/** Drops @count bytes from the front; at most all. */
void buf_consume(struct buf *buf, size_t count);
/** Cuts to @len bytes when longer. */
void buf_truncate(struct buf *buf, size_t len);

/** The content as a terminated text, never NULL; valid until the next change. */
const char *buf_text(const struct buf *buf);
struct str buf_str(const struct buf *buf);
/** Hands the content over (free() it; never NULL) and leaves an empty buffer. */
char *buf_take(struct buf *buf);

/** RESOURCE_EXHAUSTED "<what> is larger than <max> bytes" when something did not fit, else NULL. */
MUST_CHECK struct error *buf_error(const struct buf *buf, const char *what);
