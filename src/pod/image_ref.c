/*
 * References to images, by the grammar of Docker's distribution (reference package):
 *
 *   reference = [domain "/"] path [":" tag] ["@" digest]
 *   domain    = (name *("." name) | "[" IPv6 "]") [":" port]     names: letters, digits, inner '-'
 *   path      = component *("/" component)
 *   component = 1*alnum *(separator 1*alnum)                     lower case; separator: "." | "_" |
 * "__" | 1*"-" tag       = word character, then up to 127 of word characters, '.' and '-' digest =
 * algorithm ":" 32*hex
 *
 * A short name is normalised as Docker does ("x" → "docker.io/library/x") before it is checked,
 * because the words of the errors depend on it; what goes to the runtime is the text of the pod,
 * with ":latest" where it says neither tag nor digest.
 */
#include "pod/cri_config.h"

#include "pod/go_text.h"

#define DEFAULT_DOMAIN "docker.io"
#define LEGACY_DOMAIN "index.docker.io"
#define OFFICIAL_PREFIX "library/"
#define DEFAULT_TAG "latest"
#define PATH_MAX_BYTES 255
#define TAG_MAX_BYTES 128
#define DIGEST_HEX_MIN 32
#define IDENTIFIER_LEN 64

/* str_from() without its branch for NULL: nothing here is. */
static struct str whole(const char *text)
{
    return (struct str){.ptr = text, .len = strlen(text)};
}

/* --- characters, ASCII whatever the locale --- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_lower_alnum(char c)
{
    return is_lower(c) || is_digit(c);
}

static bool is_alnum(char c)
{
    return is_lower_alnum(c) || is_upper(c);
}

static bool is_word(char c)
{
    return is_alnum(c) || c == '_';
}

static bool is_tag_char(char c)
{
    return is_word(c) || c == '.' || c == '-';
}

static bool is_lower_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool is_hex(char c)
{
    return is_lower_hex(c) || (c >= 'A' && c <= 'F');
}

static bool is_ipv6_char(char c)
{
    return is_hex(c) || c == ':';
}

static bool all_are(struct str text, bool (*is_kind)(char))
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_kind(text.ptr[i]))
            return false;
    }
    return true;
}

static bool has_upper(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (is_upper(text.ptr[i]))
            return true;
    }
    return false;
}

static struct str head(struct str text, size_t len)
{
    return (struct str){.ptr = text.ptr, .len = len};
}

static struct str behind(struct str text, size_t len)
{
    return (struct str){.ptr = text.ptr + len, .len = text.len - len};
}

/* --- the grammar --- */

static bool is_domain_name(struct str name)
{
    return name.len > 0 && is_alnum(name.ptr[0]) && is_alnum(name.ptr[name.len - 1]) &&
           str_find(name, '_') == name.len;
}

static bool is_name_or_dash(char c)
{
    return is_alnum(c) || c == '-';
}

/* host with an optional port; IPv6 only in brackets. */
static bool is_domain(struct str domain)
{
    if (domain.len > 0 && domain.ptr[0] == '[') {
        size_t close = str_find(domain, ']');
        if (close == domain.len || close == 1 ||
            !all_are(behind(head(domain, close), 1), is_ipv6_char))
            return false;
        struct str rest = behind(domain, close + 1);
        return rest.len == 0 ||
               (rest.ptr[0] == ':' && rest.len > 1 && all_are(behind(rest, 1), is_digit));
    }
    size_t colon = str_find(domain, ':');
    if (colon < domain.len &&
        (colon + 1 == domain.len || !all_are(behind(domain, colon + 1), is_digit)))
        return false;
    struct str host = head(domain, colon), name;
    while (str_split_next(&host, '.', &name)) {
        if (!is_domain_name(name) || !all_are(name, is_name_or_dash))
            return false;
    }
    return colon > 0;
}

/* How many bytes a separator at the start of @text takes; 0 when there is none. */
static size_t separator_len(struct str text)
{
    if (text.len == 0)
        return 0;
    if (text.ptr[0] == '.')
        return 1;
    if (text.ptr[0] == '_')
        return text.len > 1 && text.ptr[1] == '_' ? 2 : 1;
    size_t dashes = 0;
    while (dashes < text.len && text.ptr[dashes] == '-')
        dashes++;
    return dashes;
}

static bool is_path_component(struct str text)
{
    for (;;) {
        size_t len = 0;
        while (len < text.len && is_lower_alnum(text.ptr[len]))
            len++;
        if (len == 0)
            return false;
        text = behind(text, len);
        if (text.len == 0)
            return true;
        size_t separator = separator_len(text);
        if (separator == 0)
            return false;
        text = behind(text, separator);
    }
}

static bool is_path(struct str path)
{
    struct str component;
    while (str_split_next(&path, '/', &component)) {
        if (!is_path_component(component))
            return false;
    }
    return true;
}

static bool is_tag(struct str tag)
{
    return tag.len > 0 && tag.len <= TAG_MAX_BYTES && is_word(tag.ptr[0]) &&
           all_are(tag, is_tag_char);
}

/* Letters and digits in parts that begin with a letter, joined by single '-', '_', '+' or '.'. */
static bool is_digest_algorithm(struct str name)
{
    bool at_start = true;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (at_start && !is_lower(c) && !is_upper(c))
            return false;
        bool joint = c == '-' || c == '_' || c == '+' || c == '.';
        if (!joint && !is_alnum(c))
            return false;
        at_start = joint;
    }
    return !at_start;
}

static bool is_digest(struct str digest)
{
    size_t colon = str_find(digest, ':');
    return colon < digest.len && digest.len - colon - 1 >= DIGEST_HEX_MIN &&
           all_are(behind(digest, colon + 1), is_hex) && is_digest_algorithm(head(digest, colon));
}

/* A reference taken apart; what is not there has length 0. */
struct image_parts {
    struct str path; /* without the domain */
    struct str tag;
    struct str digest;
};

/*
 * Takes @text apart. The digest stands behind the only '@'; the tag behind the last ':' of the
 * rest, unless a '/' follows, which makes it a port.
 */
static bool parse(struct str text, struct image_parts *ret)
{
    struct image_parts parts = {0};
    size_t at = str_find(text, '@');
    struct str name = head(text, at);
    if (at < text.len) {
        parts.digest = behind(text, at + 1);
        if (!is_digest(parts.digest))
            return false;
    }
    size_t colon = name.len;
    while (colon > 0 && name.ptr[colon - 1] != ':' && name.ptr[colon - 1] != '/')
        colon--;
    if (colon > 0 && name.ptr[colon - 1] == ':') {
        parts.tag = behind(name, colon);
        if (!is_tag(parts.tag))
            return false;
        name = head(name, colon - 1);
    }
    size_t slash = str_find(name, '/');
    if (slash < name.len && is_domain(head(name, slash)) && is_path(behind(name, slash + 1)))
        parts.path = behind(name, slash + 1);
    else if (is_path(name))
        parts.path = name;
    else
        return false;
    *ret = parts;
    return true;
}

/* --- normalisation --- */

/* Whether the part before the first '/' is a registry and not a namespace of the default one. */
static bool looks_like_domain(struct str first)
{
    return str_eq_c(first, "localhost") || has_upper(first) || str_find(first, '.') < first.len ||
           str_find(first, ':') < first.len;
}

/* "x" → docker.io, library/x; "a/x" → docker.io, a/x; "r.example/x" → itself. */
static void split_domain(const char *image, struct arena *arena, const char **ret_domain,
                         const char **ret_rest)
{
    struct str text = whole(image);
    size_t slash = str_find(text, '/');
    struct str first = head(text, slash);
    if (slash < text.len && looks_like_domain(first)) {
        *ret_domain = str_eq_c(first, LEGACY_DOMAIN) ? DEFAULT_DOMAIN
                                                     : arena_strndup(arena, first.ptr, first.len);
        *ret_rest = image + slash + 1;
    } else {
        *ret_domain = DEFAULT_DOMAIN;
        *ret_rest = image;
    }
    if (text_eq(*ret_domain, DEFAULT_DOMAIN) && !strchr(*ret_rest, '/'))
        *ret_rest = arena_printf(arena, "%s%s", OFFICIAL_PREFIX, *ret_rest);
}

/* Why the digest cannot be used, although it is well formed; NULL when it can. */
static const char *digest_problem(struct str digest)
{
    static const struct {
        const char *name;
        size_t hex_len;
    } algorithms[] = {{"sha256", 64}, {"sha384", 96}, {"sha512", 128}};
    size_t colon = str_find(digest, ':');
    for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++) {
        if (!str_eq_c(head(digest, colon), algorithms[i].name))
            continue;
        struct str hex = behind(digest, colon + 1);
        if (hex.len != algorithms[i].hex_len)
            return "invalid checksum digest length";
        return all_are(hex, is_lower_hex) ? NULL : "invalid checksum digest format";
    }
    return "unsupported digest algorithm";
}

static const char *lower_case(const char *text, struct arena *arena)
{
    char *lower = arena_strdup(arena, text);
    for (char *c = lower; *c; c++) {
        if (is_upper(*c))
            *c = (char)(*c | 0x20);
    }
    return lower;
}

/* What is wrong with @image, in the words of the reference package; NULL and the parts when nothing
 * is. */
static const char *find_problem(const char *image, struct arena *arena, struct image_parts *ret)
{
    struct str text = whole(image);
    if (text.len == IDENTIFIER_LEN && all_are(text, is_lower_hex))
        return arena_printf(
            arena, "invalid repository name (%s), cannot specify 64-byte hexadecimal strings",
            image);
    const char *domain, *rest;
    split_domain(image, arena, &domain, &rest);
    struct str remote = head(whole(rest), str_find(whole(rest), ':'));
    if (has_upper(remote))
        return arena_printf(arena,
                            "invalid reference format: repository name (%.*s) must be lowercase",
                            STR_ARG(remote));
    const char *full = arena_printf(arena, "%s/%s", domain, rest);
    if (!parse(whole(full), ret))
        return parse(whole(lower_case(full, arena)), ret) ? "repository name must be lowercase"
                                                          : "invalid reference format";
    if (ret->path.len > PATH_MAX_BYTES)
        return arena_printf(arena, "repository name must not be more than %d characters",
                            PATH_MAX_BYTES);
    return ret->digest.len > 0 ? digest_problem(ret->digest) : NULL;
}

struct error *image_with_default_tag(const char *image, struct arena *arena, const char **ret)
{
    struct image_parts parts = {0};
    const char *problem = find_problem(image ? image : "", arena, &parts);
    if (problem) {
        struct error *err = error_new(ERROR_INVALID_ARGUMENT, "couldn't parse image name %s: %s",
                                      go_quote(arena, image), problem);
        return error_with_reason(err, "InvalidImageName");
    }
    bool complete = parts.tag.len > 0 || parts.digest.len > 0;
    *ret = complete ? arena_strdup(arena, image) : arena_printf(arena, "%s:%s", image, DEFAULT_TAG);
    return NULL;
}
