#include "server/bearer.h"

#include "base/buf.h"
#include "wire/base64url.h"
#include "wire/doc.h"
#include "wire/websocket.h"

#include <strings.h>

#define AUTHORIZATION "authorization"
#define SUBPROTOCOL "sec-websocket-protocol"
#define TOKEN_PREFIX "base64url.bearer.authorization.k8s.io."

/* --- Authorization --- */

/* "Bearer TOKEN", in any case; what follows behind another blank is not looked at. NULL: another
 * scheme, or no token. */
static const char *read_authorization(const struct http_fields *fields, struct arena *arena)
{
    const char *value = http_fields_get(fields, AUTHORIZATION);
    struct str rest = str_trim(str_from(value)), scheme = {0}, token = {0};
    if (!str_split_next(&rest, ' ', &scheme) || scheme.len != strlen("bearer") ||
        strncasecmp(scheme.ptr, "bearer", scheme.len) != 0 || !str_split_next(&rest, ' ', &token) ||
        token.len == 0)
        return NULL;
    return arena_strndup(arena, token.ptr, token.len);
}

/* --- subprotocols --- */

static bool is_token(struct str protocol)
{
    return str_has_prefix(protocol, TOKEN_PREFIX);
}

/* The next subprotocol of those in *rest. */
static bool next_protocol(struct str *rest, struct str *ret)
{
    struct str piece = {0};
    if (!str_split_next(rest, ',', &piece))
        return false;
    *ret = str_trim(piece);
    return true;
}

/* A token with a NUL in it could pass for a shorter one here and not there. */
static bool is_text(struct str bytes)
{
    size_t step;
    for (size_t at = 0; at < bytes.len; at += step) {
        step = doc_utf8_length((const unsigned char *)bytes.ptr + at, bytes.len - at);
        if (step == 0 || bytes.ptr[at] == '\0')
            return false;
    }
    return true;
}

/* The token of @protocol; "" when it is empty. NULL with *ret_refusal. */
static const char *decode_token(struct str protocol, struct arena *arena, const char **ret_refusal)
{
    const size_t prefix_len = strlen(TOKEN_PREFIX);
    const struct str encoded = {protocol.ptr + prefix_len, protocol.len - prefix_len};
    struct str bytes = {0};
    if (!base64url_decode(encoded, arena, &bytes)) {
        *ret_refusal = "invalid base64.bearer.authorization token encoding";
        return NULL;
    }
    if (!is_text(bytes)) {
        *ret_refusal = "invalid base64.bearer.authorization token";
        return NULL;
    }
    return arena_strndup(arena, bytes.ptr, bytes.len);
}

/* The token among the subprotocols; NULL: there is none, or *ret_refusal says what is wrong. */
static const char *read_subprotocols(const struct http_fields *fields, struct arena *arena,
                                     const char **ret_refusal)
{
    const char *token = NULL;
    size_t others = 0;
    for (size_t i = 0; i < fields->count; i++) {
        if (!text_eq(fields->items[i].name, SUBPROTOCOL))
            continue;
        struct str rest = str_from(fields->items[i].value), protocol;
        while (next_protocol(&rest, &protocol)) {
            if (!is_token(protocol)) {
                others++;
                continue;
            }
            if (token) {
                *ret_refusal = "multiple base64.bearer.authorization tokens specified";
                return NULL;
            }
            token = decode_token(protocol, arena, ret_refusal);
            if (!token)
                return NULL;
        }
    }
    /* There must be one to answer with when the token has been taken out. */
    if (token && *token && others == 0)
        *ret_refusal = "missing additional subprotocol";
    return token && *token && others > 0 ? token : NULL;
}

void bearer_read(const struct http_fields *fields, struct arena *arena, struct bearer_tokens *ret)
{
    struct bearer_tokens tokens = {0};
    const char *authorization = read_authorization(fields, arena);
    if (authorization)
        tokens.texts[tokens.count++] = authorization;
    const char *hidden =
        websocket_is_asked_for(fields) ? read_subprotocols(fields, arena, &tokens.refusal) : NULL;
    if (hidden)
        tokens.texts[tokens.count++] = hidden;
    *ret = tokens;
}

/* --- passing on --- */

/* @value without tokens: itself when there are none, NULL when there is nothing else. */
static const char *strip_protocols(const char *value, struct arena *arena)
{
    struct str rest = str_from(value), protocol;
    AUTO(buf) struct buf kept = {0};
    size_t kept_count = 0, token_count = 0;
    buf_init(&kept, rest.len + 1);
    while (next_protocol(&rest, &protocol)) {
        if (is_token(protocol)) {
            token_count++;
            continue;
        }
        if (kept_count++ > 0)
            buf_add_char(&kept, ',');
        buf_add_str(&kept, protocol);
    }
    if (token_count == 0)
        return value;
    return kept_count > 0 ? arena_strdup(arena, buf_text(&kept)) : NULL;
}

struct http_fields bearer_strip(const struct http_fields *fields, struct arena *arena)
{
    struct http_field *items = arena_calloc(arena, fields->count + 1, sizeof(*items));
    size_t count = 0;
    for (size_t i = 0; i < fields->count; i++) {
        struct http_field field = fields->items[i];
        if (text_eq(field.name, AUTHORIZATION))
            continue;
        if (text_eq(field.name, SUBPROTOCOL))
            field.value = strip_protocols(field.value, arena);
        if (field.value)
            items[count++] = field;
    }
    return (struct http_fields){.items = items, .count = count};
}
