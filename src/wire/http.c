#include "wire/http.h"

#include "base/buf.h"

#include <http_parser.h>
#include <strings.h>
#include <time.h>

const char *http_fields_get(const struct http_fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (text_eq(fields->items[i].name, name))
            return fields->items[i].value;
    }
    return NULL;
}

static bool value_has_token(const char *value, const char *token)
{
    struct str rest = str_from(value), piece = {0};
    size_t len = strlen(token);
    while (str_split_next(&rest, ',', &piece)) {
        piece = str_trim(piece);
        if (piece.len == len && len > 0 && strncasecmp(piece.ptr, token, len) == 0)
            return true;
    }
    return false;
}

bool http_fields_has_token(const struct http_fields *fields, const char *name, const char *token)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (text_eq(fields->items[i].name, name) && value_has_token(fields->items[i].value, token))
            return true;
    }
    return false;
}

const char *http_status_text(unsigned status)
{
    switch (status) {
#define STATUS_CASE(number, name, text)                                                            \
    case number:                                                                                   \
        return #text;
        HTTP_STATUS_MAP(STATUS_CASE)
#undef STATUS_CASE
    default:
        return "Unknown";
    }
}

bool http_is_token_char(char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

/* --- targets --- */

/* The byte that the escape at the front of @text stands for, or -1. */
static int escaped_byte(struct str text)
{
    if (text.len < 3)
        return -1;
    int high = hex_digit_value(text.ptr[1]), low = hex_digit_value(text.ptr[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Checked once for the whole target, so that what takes its parts apart cannot fail. */
static struct error *check(struct str raw)
{
    if (raw.len > HTTP_TARGET_MAX_BYTES)
        return error_new(ERROR_INVALID_ARGUMENT, "the request target is longer than %zu bytes",
                         HTTP_TARGET_MAX_BYTES);
    if (raw.len == 0 || raw.ptr[0] != '/')
        return error_new(ERROR_INVALID_ARGUMENT, "the request target does not begin with '/'");
    for (size_t i = 0; i < raw.len; i++) {
        unsigned char c = (unsigned char)raw.ptr[i];
        if (c <= ' ' || c == 0x7f || c == '#')
            return error_new(ERROR_INVALID_ARGUMENT,
                             "the request target holds the byte 0x%02x at position %zu", c, i);
        if (c != '%')
            continue;
        int byte = escaped_byte((struct str){.ptr = raw.ptr + i, .len = raw.len - i});
        if (byte < 0)
            return error_new(ERROR_INVALID_ARGUMENT,
                             "the request target has a broken escape at position %zu", i);
        if (byte == 0)
            return error_new(ERROR_INVALID_ARGUMENT,
                             "the request target holds an escaped NUL at position %zu", i);
    }
    return NULL;
}

/* @text has been checked; '+' is a space where @is_query. */
static const char *decode(struct str text, bool is_query, struct arena *arena)
{
    char *decoded = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            c = (char)escaped_byte((struct str){.ptr = text.ptr + i, .len = text.len - i});
            i += 2;
        } else if (c == '+' && is_query) {
            c = ' ';
        }
        decoded[len++] = c;
    }
    decoded[len] = '\0';
    return decoded;
}

static size_t count_pieces(struct str text, char separator)
{
    size_t count = 1;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == separator;
    return count;
}

static void parse_segments(struct str path, struct arena *arena, struct http_target *target)
{
    const char **segments = arena_calloc(arena, count_pieces(path, '/'), sizeof(*target->segments));
    struct str rest = path, piece = {0};
    while (str_split_next(&rest, '/', &piece)) {
        if (piece.len > 0)
            segments[target->segment_count++] = decode(piece, false, arena);
    }
    target->segments = segments;
}

static void parse_params(struct str query, struct arena *arena, struct http_target *target)
{
    struct http_query_param *params =
        arena_calloc(arena, count_pieces(query, '&'), sizeof(*params));
    struct str rest = query, piece = {0};
    while (str_split_next(&rest, '&', &piece)) {
        if (piece.len == 0)
            continue;
        size_t name_len = str_find(piece, '=');
        struct str value = {0};
        if (name_len < piece.len)
            value = (struct str){.ptr = piece.ptr + name_len + 1, .len = piece.len - name_len - 1};
        params[target->param_count++] = (struct http_query_param){
            .name = decode((struct str){.ptr = piece.ptr, .len = name_len}, true, arena),
            .value = decode(value, true, arena)};
    }
    target->params = params;
}

struct error *http_target_parse(struct str raw, struct arena *arena, struct http_target *ret)
{
    struct error *err = check(raw);
    if (err)
        return err;
    struct str path = {.ptr = raw.ptr, .len = str_find(raw, '?')}, query = {0};
    if (path.len < raw.len)
        query = (struct str){.ptr = raw.ptr + path.len + 1, .len = raw.len - path.len - 1};
    if (count_pieces(query, '&') > HTTP_TARGET_MAX_PARAMS)
        return error_new(ERROR_INVALID_ARGUMENT, "the request has more than %d parameters",
                         HTTP_TARGET_MAX_PARAMS);
    struct http_target target = {
        .raw_path = arena_strndup(arena, path.ptr, path.len),
        .path = decode(path, false, arena),
        .raw_query = query.len > 0 ? arena_strndup(arena, query.ptr, query.len) : "",
    };
    parse_segments(path, arena, &target);
    parse_params(query, arena, &target);
    *ret = target;
    return NULL;
}

const char *http_target_param(const struct http_target *target, const char *name)
{
    for (size_t i = 0; i < target->param_count; i++) {
        if (text_eq(target->params[i].name, name))
            return target->params[i].value;
    }
    return NULL;
}

/* RFC 3986 §2.3: what never needs an escape. */
static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void http_escape(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (is_unreserved(text.ptr[i]))
            buf_add_char(out, text.ptr[i]);
        else
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)text.ptr[i]);
    }
}

void http_escape_html(struct buf *out, struct str text)
{
    static const struct {
        char c;
        const char *escape;
    } escapes[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&#34;"}, {'\'', "&#39;"}};
    for (size_t i = 0; i < text.len; i++) {
        size_t row = 0;
        while (row < ARRAY_SIZE(escapes) && escapes[row].c != text.ptr[i])
            row++;
        if (row < ARRAY_SIZE(escapes))
            buf_add_text(out, escapes[row].escape);
        else
            buf_add_char(out, text.ptr[i]);
    }
}

/* --- dates --- */

char *http_date(int64_t wall_ns, char text[static HTTP_DATE_SIZE])
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(wall_ns / NS_PER_SEC);
    struct tm tm = {.tm_mday = 1};
    (void)gmtime_r(&seconds, &tm);
    (void)snprintf(text, HTTP_DATE_SIZE, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday],
                   tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
                   tm.tm_sec);
    return text;
}

bool http_date_parse(const char *text, int64_t *ret_wall_sec)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %e %H:%M:%S %Y"};
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        if (end && *end == '\0') {
            *ret_wall_sec = timegm(&tm);
            return true;
        }
    }
    return false;
}
