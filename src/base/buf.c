#include "base/buf.h"

#include <stdio.h>

#define SMALLEST_BLOCK ((size_t)64)

void buf_init(struct buf *buf, size_t max_len)
{
    *buf = (struct buf){.max_len = max_len};
}

void buf_done(struct buf *buf)
{
    free(buf->data);
    buf_init(buf, buf->max_len);
}

void buf_clear(struct buf *buf)
{
    buf->overflowed = false;
    buf_truncate(buf, 0);
}

/* True when @len more bytes and the NUL fit as it is: by far the most frequent case. The capacity
 * is never more than the maximum and the NUL. */
static inline bool has_room(const struct buf *buf, size_t len)
{
    return len < buf->capacity - buf->len && !buf->overflowed;
}

/* Makes room for @len more bytes and the NUL. False, and overflowed, when that is beyond the
 * maximum. */
static bool reserve(struct buf *buf, size_t len)
{
    if (buf->overflowed || len > buf->max_len - buf->len) {
        buf->overflowed = true;
        return false;
    }
    size_t need;
    if (!add_size(buf->len, len, &need) || !add_size(need, 1, &need))
        base_die("out of memory: a buffer cannot hold %zu bytes more", len);
    if (need <= buf->capacity)
        return true;
    size_t grown = buf->capacity ? buf->capacity : SMALLEST_BLOCK;
    while (grown < need) {
        if (!mul_size(grown, 2, &grown))
            grown = need;
    }
    size_t most = buf->max_len == SIZE_MAX ? SIZE_MAX : buf->max_len + 1;
    if (grown > most)
        grown = most;
    buf->data = xrealloc(buf->data, grown);
    buf->capacity = grown;
    return true;
}

void buf_add(struct buf *buf, const void *bytes, size_t len)
{
    if (!has_room(buf, len) && !reserve(buf, len))
        return;
    if (len)
        memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void buf_add_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_add_str(struct buf *buf, struct str text)
{
    buf_add(buf, text.ptr, text.len);
}

void buf_add_char(struct buf *buf, char c)
{
    if (!has_room(buf, 1) && !reserve(buf, 1))
        return;
    buf->data[buf->len++] = c;
    buf->data[buf->len] = '\0';
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(buf, format, args);
    va_end(args);
}

void buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len < 0)
        base_die("cannot format \"%s\"", format);
    if (!reserve(buf, (size_t)len))
        return;
    (void)vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args); /* as long as just now */
    buf->len += (size_t)len;
}

void buf_consume(struct buf *buf, size_t count)
{
    if (count == 0)
        return;
    if (count >= buf->len) {
        buf_truncate(buf, 0);
        return;
    }
    memmove(buf->data, buf->data + count, buf->len - count + 1);
    buf->len -= count;
}

void buf_truncate(struct buf *buf, size_t len)
{
    if (len >= buf->len)
        return;
    buf->len = len;
    buf->data[len] = '\0';
}

const char *buf_text(const struct buf *buf)
{
    return buf->data ? buf->data : "";
}

struct str buf_str(const struct buf *buf)
{
    return (struct str){.ptr = buf_text(buf), .len = buf->len};
}

char *buf_take(struct buf *buf)
{
    char *text = xrealloc(TAKE(buf->data), buf->len + 1);
    text[buf->len] = '\0';
    buf_init(buf, buf->max_len);
    return text;
}

struct error *buf_error(const struct buf *buf, const char *what)
{
    if (!buf->overflowed)
        return NULL;
    return error_new(ERROR_RESOURCE_EXHAUSTED, "%s is larger than %zu bytes", what, buf->max_len);
}
