#include "base/str.h"

#include <limits.h>

int str_printf_len(struct str text)
{
    return text.len > INT_MAX ? INT_MAX : (int)text.len;
}

static bool same_bytes(const char *a, const char *b, size_t len)
{
    return len == 0 || memcmp(a, b, len) == 0; /* memcmp() may not see NULL, even for no bytes */
}

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && same_bytes(a.ptr, b.ptr, a.len);
}

bool str_eq_c(struct str a, const char *b)
{
    return str_eq(a, str_from(b));
}

bool str_has_prefix(struct str text, const char *prefix)
{
    size_t len = strlen(prefix);
    return text.len >= len && same_bytes(text.ptr, prefix, len);
}

bool str_has_suffix(struct str text, const char *suffix)
{
    size_t len = strlen(suffix);
    if (text.len < len)
        return false;
    return len == 0 || same_bytes(text.ptr + (text.len - len), suffix, len);
}

bool text_eq(const char *a, const char *b)
{
    if (!a || !b)
        return a == b;
    return strcmp(a, b) == 0;
}

int text_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool text_has_prefix(const char *text, const char *prefix)
{
    return text && str_has_prefix(str_from(text), prefix);
}

bool text_has_suffix(const char *text, const char *suffix)
{
    return text && str_has_suffix(str_from(text), suffix);
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str text)
{
    while (text.len > 0 && is_blank(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && is_blank(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

bool str_split_next(struct str *rest, char separator, struct str *ret)
{
    if (!rest->ptr)
        return false;
    size_t end = str_find(*rest, separator);
    *ret = (struct str){.ptr = rest->ptr, .len = end};
    if (end == rest->len)
        *rest = (struct str){.ptr = NULL, .len = 0};
    else
        *rest = (struct str){.ptr = rest->ptr + end + 1, .len = rest->len - end - 1};
    return true;
}

bool str_next_word(struct str *rest, struct str *ret)
{
    struct str text = str_trim(*rest);
    if (text.len == 0)
        return false;
    size_t len = 0;
    while (len < text.len && !is_blank(text.ptr[len]))
        len++;
    *ret = (struct str){.ptr = text.ptr, .len = len};
    *rest = (struct str){.ptr = text.ptr + len, .len = text.len - len};
    return true;
}

size_t str_find(struct str text, char c)
{
    const char *found = text.len ? memchr(text.ptr, c, text.len) : NULL;
    return found ? (size_t)(found - text.ptr) : text.len;
}

char *str_hex(const void *bytes, size_t len, char *ret)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *from = bytes;
    for (size_t i = 0; i < len; i++) {
        ret[2 * i] = digits[from[i] >> 4];
        ret[2 * i + 1] = digits[from[i] & 0xf];
    }
    ret[2 * len] = '\0';
    return ret;
}

char *str_dup(struct str text)
{
    char *copy = xrealloc(NULL, text.len + 1);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}
