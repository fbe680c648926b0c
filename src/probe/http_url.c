/*
 * A reference is taken apart from its ends: '#' first, the scheme, '?', then what is left is an
 * authority behind "//" and a path (net/url/url.go).
 */
#include "probe/http_url.h"

#include "base/buf.h"
#include "base/go_quote.h"

struct parts {
    struct str scheme;    /* empty: none */
    struct str authority; /* without the user */
    struct str path;
    struct str query, fragment;
    bool has_authority, has_query, has_fragment, is_opaque;
};

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static struct str from(struct str text, size_t at)
{
    at = min_size(at, text.len);
    if (at == 0)
        return text; /* nothing may be added to NULL, not even nothing */
    return (struct str){.ptr = text.ptr + at, .len = text.len - at};
}

static struct str upto(struct str text, size_t at)
{
    return (struct str){.ptr = text.ptr, .len = min_size(at, text.len)};
}

/* The length of the scheme @text begins with; 0: none. */
static size_t scheme_length(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == ':')
            return i;
        bool is_later = is_digit(c) || c == '+' || c == '-' || c == '.';
        if (!is_alpha(c) && !(is_later && i > 0))
            return 0;
    }
    return 0;
}

bool http_url_is_absolute(const char *reference)
{
    return scheme_length(str_from(reference)) > 0;
}

static bool is_escape(struct str text, size_t at)
{
    return at + 2 < text.len && hex_digit_value(text.ptr[at + 1]) >= 0 &&
           hex_digit_value(text.ptr[at + 2]) >= 0;
}

/* --- refusals --- */

static struct error *check_characters(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return error_new(ERROR_INVALID_ARGUMENT, "net/url: invalid control character in URL");
    }
    return NULL;
}

static struct error *check_escapes(struct str text, struct arena *arena)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '%' || is_escape(text, i))
            continue;
        const char *shown = arena_strndup(arena, text.ptr + i, min_size(3, text.len - i));
        return error_new(ERROR_INVALID_ARGUMENT, "invalid URL escape %s", go_quote(arena, shown));
    }
    return NULL;
}

/* Where the port's colon is, or the end. */
static size_t port_at(struct str authority)
{
    if (authority.len > 0 && authority.ptr[0] == '[')
        return min_size(str_find(authority, ']') + 1, authority.len);
    return str_find(authority, ':');
}

static struct error *check_authority(struct str authority, struct arena *arena)
{
    if (authority.len > 0 && authority.ptr[0] == '[' && str_find(authority, ']') == authority.len)
        return error_new(ERROR_INVALID_ARGUMENT, "missing ']' in host");
    struct str port = from(authority, port_at(authority));
    for (size_t i = 0; i < port.len; i++) {
        if (i == 0 ? port.ptr[i] == ':' : is_digit(port.ptr[i]))
            continue;
        return error_new(ERROR_INVALID_ARGUMENT, "invalid port %s after host",
                         go_quote(arena, arena_strndup(arena, port.ptr, port.len)));
    }
    for (size_t i = 0; i < authority.len; i++) {
        char text[2] = {authority.ptr[i], '\0'};
        if (strchr(" \"<>\\^`{|}", text[0]))
            return error_new(ERROR_INVALID_ARGUMENT, "invalid character %s in host name",
                             go_quote(arena, text));
    }
    return NULL;
}

/* --- taking apart --- */

static void take_authority(struct parts *parts)
{
    struct str rest = from(parts->path, 2);
    size_t slash = str_find(rest, '/');
    parts->authority = upto(rest, slash);
    parts->path = from(rest, slash);
    parts->has_authority = true;
    for (size_t i = parts->authority.len; i > 0; i--) {
        if (parts->authority.ptr[i - 1] == '@') {
            parts->authority = from(parts->authority, i); /* nobody here needs the user */
            return;
        }
    }
}

static struct error *split(struct str text, struct arena *arena, struct parts *ret)
{
    struct error *err = check_characters(text);
    if (err)
        return err;
    struct parts parts = {0};
    size_t hash = str_find(text, '#');
    parts.has_fragment = hash < text.len;
    parts.fragment = from(text, hash + 1);
    text = upto(text, hash);
    if (text.len > 0 && text.ptr[0] == ':')
        return error_new(ERROR_INVALID_ARGUMENT, "missing protocol scheme");
    parts.scheme = upto(text, scheme_length(text));
    if (parts.scheme.len > 0)
        text = from(text, parts.scheme.len + 1);
    size_t mark = str_find(text, '?');
    parts.has_query = mark < text.len;
    parts.query = from(text, mark + 1);
    parts.path = upto(text, mark);
    bool is_rooted = parts.path.len > 0 && parts.path.ptr[0] == '/';
    parts.is_opaque = !is_rooted && parts.scheme.len > 0;
    if (!is_rooted && !parts.is_opaque &&
        str_find(upto(parts.path, str_find(parts.path, '/')), ':') < str_find(parts.path, '/'))
        return error_new(ERROR_INVALID_ARGUMENT, "first path segment in URL cannot contain colon");
    if (str_has_prefix(parts.path, "//") &&
        (parts.scheme.len > 0 || !str_has_prefix(parts.path, "///")))
        take_authority(&parts);
    err = check_authority(parts.authority, arena);
    if (!err)
        err = check_escapes(parts.path, arena);
    if (!err)
        *ret = parts;
    return err;
}

/* --- escaping --- */

/* As it may stand in a path unescaped, if everything else in there is fine too. */
static bool is_path_char(char c)
{
    return is_alpha(c) || is_digit(c) || (c != '\0' && strchr("-_.~!$&'()*+,;=:@[]/", c));
}

static bool is_kept(char c)
{
    return is_alpha(c) || is_digit(c) || (c != '\0' && strchr("-_.~$&+,/:;=@", c));
}

static const char *escape_path(struct str path, bool has_escapes, struct arena *arena)
{
    bool is_fine = has_escapes;
    for (size_t i = 0; is_fine && i < path.len; i++)
        is_fine = is_path_char(path.ptr[i]) || path.ptr[i] == '%';
    if (is_fine)
        return arena_strndup(arena, path.ptr ? path.ptr : "", path.len);
    AUTO(buf) struct buf out;
    buf_init(&out, 3 * path.len + 1);
    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i];
        if (has_escapes && c == '%' && is_escape(path, i)) {
            c = (char)(hex_digit_value(path.ptr[i + 1]) << 4 | hex_digit_value(path.ptr[i + 2]));
            i += 2;
        }
        if (is_kept(c))
            buf_add_char(&out, c);
        else
            buf_printf(&out, "%%%02X", (unsigned char)c);
    }
    return arena_strndup(arena, buf_text(&out), out.len);
}

static const char *copy(struct str text, struct arena *arena)
{
    return arena_strndup(arena, text.ptr ? text.ptr : "", text.len);
}

static void set_authority(struct http_url *url, struct str authority, struct arena *arena)
{
    size_t at = port_at(authority);
    struct str name = upto(authority, at), port = from(authority, at + 1);
    if (name.len > 1 && name.ptr[0] == '[')
        name = (struct str){.ptr = name.ptr + 1, .len = name.len - 2};
    url->host = copy(port.len > 0 ? authority : upto(authority, at), arena);
    url->hostname = copy(name, arena);
    url->port = copy(port, arena);
}

/* --- joining --- */

/* "/a/./b/../c" becomes "/a/c". */
static const char *remove_dots(const char *full, struct arena *arena)
{
    if (full[0] == '\0')
        return "";
    size_t len = strlen(full);
    char *out = arena_alloc(arena, len + 2);
    size_t used = 0;
    bool is_dots = false;
    struct str rest = str_from(full[0] == '/' ? full + 1 : full), segment;
    while (str_split_next(&rest, '/', &segment)) {
        bool is_up = str_eq_c(segment, "..");
        is_dots = is_up || str_eq_c(segment, ".");
        while (is_up && used > 0 && out[--used] != '/')
            continue;
        if (is_dots)
            continue;
        out[used++] = '/';
        memcpy(out + used, segment.ptr, segment.len);
        used += segment.len;
    }
    if (is_dots || used == 0)
        out[used++] = '/';
    out[used] = '\0';
    return out;
}

static const char *join_paths(const char *base, const char *path, struct arena *arena)
{
    if (path[0] == '\0')
        return remove_dots(base, arena);
    if (path[0] == '/')
        return remove_dots(path, arena);
    const char *slash = strrchr(base, '/');
    int kept = slash ? (int)min_size((size_t)(slash - base) + 1, INT32_MAX) : 0;
    return remove_dots(arena_printf(arena, "%.*s%s", kept, base, path), arena);
}

struct error *http_url_resolve(const struct http_url *base, const char *reference,
                               struct arena *arena, struct http_url *ret)
{
    struct parts parts = {0};
    struct error *err = split(str_from(reference), arena, &parts);
    if (err)
        return error_wrap(err, "parse %s", go_quote(arena, reference));
    struct http_url url = *base;
    url.fragment = parts.has_fragment ? copy(parts.fragment, arena) : NULL;
    bool is_own = parts.scheme.len > 0 || parts.has_authority;
    if (parts.scheme.len > 0)
        url.scheme = arena_strlower(arena, parts.scheme);
    if (is_own)
        set_authority(&url, parts.authority, arena);
    const char *path = parts.is_opaque ? "" : escape_path(parts.path, true, arena);
    url.path = join_paths(is_own ? "" : base->path, path, arena);
    bool is_query_kept = !is_own && path[0] == '\0' && !parts.has_query;
    if (!is_query_kept)
        url.query = parts.has_query ? copy(parts.query, arena) : NULL;
    *ret = url;
    return NULL;
}

struct http_url http_url_of(const char *scheme, const char *host, int32_t port, const char *path,
                            struct arena *arena)
{
    bool is_v6 = strchr(host, ':') || strchr(host, '%');
    struct http_url url = {.scheme = scheme,
                           .hostname = arena_strdup(arena, host),
                           .port = arena_printf(arena, "%d", port)};
    url.host = arena_printf(arena, "%s%s%s:%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "", url.port);
    struct parts parts = {0};
    AUTO(error) struct error *err = split(str_from(path), arena, &parts);
    if (err || parts.is_opaque) {
        url.path = escape_path(str_from(path), false, arena);
        return url;
    }
    url.path = escape_path(parts.path, true, arena);
    url.query = parts.has_query ? copy(parts.query, arena) : NULL;
    url.fragment = parts.has_fragment ? copy(parts.fragment, arena) : NULL;
    return url;
}

/* --- texts --- */

static const char *slash_for(const struct http_url *url)
{
    return url->path[0] != '\0' && url->path[0] != '/' ? "/" : "";
}

const char *http_url_text(const struct http_url *url, struct arena *arena)
{
    return arena_printf(arena, "%s://%s%s%s%s%s%s%s", url->scheme, url->host, slash_for(url),
                        url->path, url->query ? "?" : "", url->query ? url->query : "",
                        url->fragment ? "#" : "", url->fragment ? url->fragment : "");
}

const char *http_url_target(const struct http_url *url, struct arena *arena)
{
    return arena_printf(arena, "%s%s%s%s", url->path[0] == '\0' ? "/" : slash_for(url), url->path,
                        url->query ? "?" : "", url->query ? url->query : "");
}
