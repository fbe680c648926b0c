/*
 * A registry is named by a URL whose scheme does not matter; its host, port and path make the key
 * that images are matched against:
 *
 *   "https://r[0-9].example.com:5000/v2/team"  →  r[0-9].example.com:5000/team
 *
 * An image matches when its port is the key's, each label of its host matches the key's label as a
 * file name matches a pattern, and its path begins with the key's.
 *
 * Upstream: pkg/credentialprovider/keyring.go.
 */
#include "image/image_match.h"

#define DEFAULT_REGISTRY "docker.io"
#define OFFICIAL_PREFIX "library/"

/* str_from() without its branch for NULL: nothing here is. */
static struct str whole(const char *text)
{
    return (struct str){.ptr = text, .len = strlen(text)};
}

static struct str head(struct str text, size_t len)
{
    return (struct str){.ptr = text.ptr, .len = len};
}

static struct str behind(struct str text, size_t len)
{
    return (struct str){.ptr = text.ptr + len, .len = text.len - len};
}

/* Index of the last @c, or text.len. */
static size_t find_last(struct str text, char c)
{
    for (size_t i = text.len; i > 0; i--) {
        if (text.ptr[i - 1] == c)
            return i - 1;
    }
    return text.len;
}

static bool all_digits(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    }
    return true;
}

/* --- keys --- */

/* What Go's net/url takes in a host as it stands; percent signs, which zones of IPv6 addresses
 * need, are of no use in an image. */
static bool is_host_char(char c)
{
    unsigned char byte = (unsigned char)c;
    bool is_alnum =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || byte >= 0x80;
    return is_alnum || (c != '\0' && strchr("-._~!$&'()*+,;=:[]<>\"", c));
}

static bool is_host(struct str host)
{
    for (size_t i = 0; i < host.len; i++) {
        if (!is_host_char(host.ptr[i]))
            return false;
    }
    struct str port = {0};
    if (host.len > 0 && host.ptr[0] == '[') {
        size_t close = find_last(host, ']');
        if (close == host.len)
            return false;
        port = behind(host, close + 1);
    } else {
        port = behind(host, find_last(host, ':'));
    }
    return port.len == 0 || (port.ptr[0] == ':' && all_digits(behind(port, 1)));
}

/* *ret_text with its %XX resolved, terminated; false when there is a broken one, or a zero byte. */
static bool unescape(struct str text, struct arena *arena, struct str *ret)
{
    char *plain = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '%') {
            plain[len++] = text.ptr[i];
            continue;
        }
        int high = i + 2 < text.len ? hex_digit_value(text.ptr[i + 1]) : -1;
        int low = i + 2 < text.len ? hex_digit_value(text.ptr[i + 2]) : -1;
        if (high < 0 || low < 0 || high + low == 0)
            return false;
        plain[len++] = (char)(high << 4 | low);
        i += 2;
    }
    *ret = (struct str){.ptr = plain, .len = len};
    return true;
}

static struct str without_scheme(struct str url)
{
    static const char *const schemes[] = {"https://", "http://"};
    for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
        if (str_has_prefix(url, schemes[i]))
            return behind(url, strlen(schemes[i]));
    }
    return url;
}

/* Host with port, and path; false when @url, without a scheme, is none. */
static bool split_url(struct str url, struct arena *arena, struct str *ret_host,
                      struct str *ret_path)
{
    for (size_t i = 0; i < url.len; i++) {
        if ((unsigned char)url.ptr[i] < ' ' || url.ptr[i] == 0x7f)
            return false;
    }
    url = head(url, str_find(url, '#'));
    url = head(url, str_find(url, '?'));
    size_t slash = str_find(url, '/');
    struct str host = head(url, slash);
    size_t user = find_last(host, '@');
    if (user < host.len)
        host = behind(host, user + 1);
    *ret_host = host;
    return is_host(host) && unescape(behind(url, slash), arena, ret_path);
}

const char *image_pattern_key(struct str pattern, struct arena *arena)
{
    struct str host, path;
    if (!split_url(pattern, arena, &host, &path))
        return NULL;
    return arena_printf(arena, "%.*s%.*s", STR_ARG(host), STR_ARG(path));
}

const char *registry_key(struct str location, struct arena *arena)
{
    struct str host, path;
    if (!split_url(without_scheme(location), arena, &host, &path))
        return NULL;
    /* Docker takes these for the host itself. */
    if (str_has_prefix(path, "/v1/") || str_has_prefix(path, "/v2/"))
        path = behind(path, 3);
    if (path.len == 1)
        path.len = 0;
    return arena_printf(arena, "%.*s%.*s", STR_ARG(host), STR_ARG(path));
}

/* --- matching --- */

/* A class of characters at the front of @pattern, behind its '['. Returns its length with the ']',
 * 0 when it is malformed. There is no '^', which no URL's host can have. */
static size_t match_class(struct str pattern, char c, bool *ret_matches)
{
    bool found = false;
    size_t i = 0;
    while (i < pattern.len && pattern.ptr[i] != '-') {
        if (pattern.ptr[i] == ']') {
            *ret_matches = found;
            return i > 0 ? i + 1 : 0;
        }
        char low = pattern.ptr[i++], high = low;
        if (i + 1 < pattern.len && pattern.ptr[i] == '-') {
            high = pattern.ptr[i + 1];
            if (high == ']' || high == '-')
                return 0;
            i += 2;
        }
        found = found || (c >= low && c <= high);
    }
    return 0;
}

/* One character of @pattern, not a '*', against @c. Returns how long it is in the pattern, 0: no
 * match. */
static size_t match_one(struct str pattern, char c)
{
    if (pattern.ptr[0] != '[')
        return pattern.ptr[0] == c ? 1 : 0;
    bool matches = false;
    size_t len = match_class(behind(pattern, 1), c, &matches);
    return len > 0 && matches ? 1 + len : 0;
}

/* As Go's filepath.Match() for what a host can hold: no slash, '?' or backslash. Each '*' that was
 * met makes those before it final, so that the time is a product of the lengths. */
static bool glob_matches(struct str pattern, struct str text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, star_text = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            star_text = t;
            continue;
        }
        size_t len = p < pattern.len ? match_one(behind(pattern, p), text.ptr[t]) : 0;
        if (len > 0) {
            p += len;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

/* A key or an image, taken apart. */
struct place {
    struct str host, port, path;
};

static struct place place_of(struct str text)
{
    struct place place = {.host = head(text, str_find(text, '/'))};
    place.path = behind(text, place.host.len);
    struct str host = place.host;
    size_t colon = find_last(host, ':');
    bool is_bracketed = host.len > 0 && host.ptr[0] == '[' && colon < host.len && colon > 0 &&
                        host.ptr[colon - 1] == ']';
    if (is_bracketed) {
        place.host = behind(head(host, colon - 1), 1);
        place.port = behind(host, colon + 1);
    } else if (colon < host.len && str_find(host, ':') == colon) {
        place.host = head(host, colon);
        place.port = behind(host, colon + 1);
    }
    return place;
}

static bool str_same(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static bool is_prefix(struct str prefix, struct str text)
{
    return prefix.len <= text.len && str_same(prefix, head(text, prefix.len));
}

bool registry_key_matches(const char *key, struct str repository)
{
    struct place wanted = place_of(whole(key)), image = place_of(repository);
    if (!str_same(wanted.port, image.port) || !is_prefix(wanted.path, image.path))
        return false;
    struct str patterns = wanted.host, labels = image.host, pattern, label;
    for (;;) {
        bool has_pattern = str_split_next(&patterns, '.', &pattern);
        bool has_label = str_split_next(&labels, '.', &label);
        if (!has_pattern || !has_label)
            return has_pattern == has_label;
        if (!glob_matches(pattern, label))
            return false;
    }
}

/* --- images --- */

static bool has_upper(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] >= 'A' && text.ptr[i] <= 'Z')
            return true;
    }
    return false;
}

struct str image_repository(const char *image, struct arena *arena)
{
    struct str name = head(whole(image), str_find(whole(image), '@'));
    size_t colon = find_last(name, ':'), slash = find_last(name, '/');
    if (colon < name.len && (slash == name.len || slash < colon))
        name = head(name, colon);
    struct str first = head(name, str_find(name, '/'));
    bool names_registry = first.len < name.len &&
                          (str_eq_c(first, "localhost") || has_upper(first) ||
                           str_find(first, '.') < first.len || str_find(first, ':') < first.len);
    bool is_default = !names_registry || str_eq_c(first, DEFAULT_REGISTRY) ||
                      str_eq_c(first, DEFAULT_REGISTRY_KEY);
    if (!is_default)
        return name;
    struct str rest = names_registry ? behind(name, first.len + 1) : name;
    const char *prefix = str_find(rest, '/') < rest.len ? "" : OFFICIAL_PREFIX;
    return whole(arena_printf(arena, "%s/%s%.*s", DEFAULT_REGISTRY, prefix, STR_ARG(rest)));
}

bool image_is_of_default_registry(struct str repository)
{
    struct str first = head(repository, str_find(repository, '/'));
    if (first.len == 0)
        return false;
    return str_eq_c(first, DEFAULT_REGISTRY) ||
           (str_find(first, '.') == first.len && str_find(first, ':') == first.len);
}
