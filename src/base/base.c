#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* Nothing here may allocate: one caller is the allocator itself. */
static void write_line(const char *text, size_t len)
{
    while (len > 0) {
        ssize_t done = write(STDERR_FILENO, text, len);
        if (done <= 0)
            return; /* there is nobody left to tell */
        text += done;
        len -= (size_t)done;
    }
}

void base_die(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text) - 1, format, args);
    va_end(args);
    size_t used = len < 0 ? 0 : min_size((size_t)len, sizeof(text) - 2);
    text[used] = '\n';
    write_line(text, used + 1);
    abort();
}

void base_assert_failed(const char *expr, const char *file, int line)
{
    base_die("%s:%d: assertion failed: %s", file, line, expr);
}

void *xcalloc(size_t count, size_t size)
{
    if (count == 0 || size == 0)
        count = size = 1;
    void *memory = calloc(count, size);
    if (!memory)
        base_die("out of memory: cannot allocate %zu objects of %zu bytes", count, size);
    return memory;
}

void *xrealloc(void *memory, size_t size)
{
    void *grown = realloc(memory, size ? size : 1);
    if (!grown)
        base_die("out of memory: cannot allocate %zu bytes", size);
    return grown;
}

static char *copy_text(const char *text, size_t len)
{
    char *copy = xrealloc(NULL, len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *xstrdup(const char *text)
{
    return text ? copy_text(text, strlen(text)) : NULL;
}

char *xstrndup(const char *text, size_t max_len)
{
    return copy_text(text, strnlen(text, max_len));
}

char *xasprintf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = xvasprintf(format, args);
    va_end(args);
    return text;
}

char *xvasprintf(const char *format, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        base_die("out of memory: cannot format a text");
    return text;
}
