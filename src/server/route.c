#include "server/route.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

const char *route_decode(struct str text, bool is_query, struct arena *arena)
{
    char *decoded = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '+' && is_query) {
            c = ' ';
        } else if (c == '%') {
            int high = text.len - i > 2 ? hex_digit(text.ptr[i + 1]) : -1;
            int low = text.len - i > 2 ? hex_digit(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0))
                return NULL;
            c = (char)(high * 16 + low);
            i += 2;
        }
        decoded[len++] = c;
    }
    decoded[len] = '\0';
    return decoded;
}

bool route_match(const char *pattern, struct str path, struct arena *arena,
                 const char *ret_params[static ROUTE_MAX_PARAMS])
{
    struct str want = str_from(pattern), want_part, part;
    if (strchr(pattern, ':') == NULL && path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    size_t n_params = 0;
    while (str_split_next(&want, '/', &want_part)) {
        if (!str_split_next(&path, '/', &part))
            return false;
        const char *decoded = route_decode(part, false, arena);
        if (!decoded)
            return false;
        if (!str_has_prefix(want_part, ":")) {
            if (!str_eq_c(want_part, decoded))
                return false;
            continue;
        }
        if (n_params == ROUTE_MAX_PARAMS)
            return false;
        ret_params[n_params++] = decoded;
    }
    return !str_split_next(&path, '/', &part);
}

bool route_query_get(const char *query, const char *key, struct arena *arena, const char **ret)
{
    struct str rest = str_from(query), pair, name;
    *ret = NULL;
    while (str_split_next(&rest, '&', &pair)) {
        size_t equals = str_find(pair, '=');
        name = (struct str){.ptr = pair.ptr, .len = equals};
        const char *decoded = route_decode(name, true, arena);
        if (!decoded || strcmp(decoded, key) != 0)
            continue;
        struct str value = {.ptr = "", .len = 0};
        if (equals < pair.len)
            value = (struct str){.ptr = pair.ptr + equals + 1, .len = pair.len - equals - 1};
        *ret = route_decode(value, true, arena);
        return *ret != NULL;
    }
    return true;
}

bool route_query_bool(const char *value)
{
    return value && strcmp(value, "false") != 0 && strcmp(value, "0") != 0;
}
