#include "base/path.h"

#include <stdarg.h>

char *path_join(const char *first, const char *second)
{
    return path_join_all(first, second, NULL);
}

char *path_join_all(const char *first, ...)
{
    va_list args;
    size_t len = strlen(first);
    va_start(args, first);
    for (const char *part = va_arg(args, const char *); part; part = va_arg(args, const char *))
        len += strlen(part) + 1;
    va_end(args);

    AUTO(free) char *joined = xcalloc(1, len + 1);
    char *end = mempcpy(joined, first, strlen(first));
    va_start(args, first);
    for (const char *part = va_arg(args, const char *); part; part = va_arg(args, const char *)) {
        if (end != joined)
            *end++ = '/'; /* an empty beginning must not make the path absolute */
        end = mempcpy(end, part, strlen(part));
    }
    va_end(args);
    return path_clean(joined);
}

static bool is_element(const char *element, size_t len, const char *name)
{
    return strlen(name) == len && memcmp(element, name, len) == 0;
}

/*
 * Where the last element of @out (the slash before it included) begins, so that ".." can drop it;
 * @len itself when there is nothing to drop: at the root, at the start, and behind a ".." that had
 * to stay.
 */
static size_t parent_len(const char *out, size_t root_len, size_t len)
{
    size_t at = len;
    while (at > root_len && out[at - 1] != '/')
        at--;
    if (is_element(out + at, len - at, ".."))
        return len;
    return at > root_len ? at - 1 : at;
}

char *path_clean(const char *path)
{
    char *out = xcalloc(1, strlen(path) + 2);
    size_t root_len = *path == '/' ? 1 : 0;
    size_t len = root_len;
    if (root_len)
        out[0] = '/';
    for (const char *at = path; *at;) {
        size_t skip = strspn(at, "/");
        const char *element = at + skip;
        size_t element_len = strcspn(element, "/");
        at = element + element_len;
        if (element_len == 0 || is_element(element, element_len, "."))
            continue;
        if (is_element(element, element_len, "..")) {
            size_t parent = parent_len(out, root_len, len);
            bool dropped = parent != len;
            len = parent;
            if (dropped || root_len)
                continue;
        }
        if (len > root_len)
            out[len++] = '/';
        memcpy(out + len, element, element_len);
        len += element_len;
    }
    if (len == 0)
        out[len++] = '.';
    out[len] = '\0';
    return out;
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *path_dir(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return xstrdup(".");
    AUTO(free) char *before = xstrndup(path, (size_t)(slash - path) + 1);
    return path_clean(before);
}

bool path_is_absolute(const char *path)
{
    return *path == '/';
}

bool path_has_dotdot(const char *path)
{
    struct str rest = str_from(path), element;
    while (str_split_next(&rest, '/', &element)) {
        if (str_eq_c(element, ".."))
            return true;
    }
    return false;
}

bool path_is_below(const char *path, const char *root)
{
    size_t len = strlen(root);
    if (text_eq(root, "/"))
        return path_is_absolute(path);
    return text_has_prefix(path, root) && (path[len] == '\0' || path[len] == '/');
}
