#include "plane/negotiate.h"

#include <stdio.h>

#define JSON_TYPE "application/json"
#define YAML_TYPE "application/yaml"
#define PROTOBUF_TYPE "application/vnd.kubernetes.protobuf"

#define CLAUSES_MAX 32

/* One media type of an Accept field. */
struct clause {
    struct str type;
    struct str params; /* what follows, from its first ';' */
    int quality;       /* thousandths */
};

static bool equals_ignoring_case(struct str text, const char *want)
{
    return text.len == strlen(want) && strncasecmp(text.ptr, want, text.len) == 0;
}

/* The value of @name among the parameters of a clause; empty when it is not there. */
static struct str parameter(struct str params, const char *name)
{
    while (params.len > 0) {
        const char *end = memchr(params.ptr, ';', params.len);
        size_t len = end ? (size_t)(end - params.ptr) : params.len;
        struct str one = str_trim((struct str){.ptr = params.ptr, .len = len});
        const char *equals = one.len > 0 ? memchr(one.ptr, '=', one.len) : NULL;
        if (equals) {
            struct str key = {.ptr = one.ptr, .len = (size_t)(equals - one.ptr)};
            if (equals_ignoring_case(str_trim(key), name))
                return str_trim((struct str){.ptr = equals + 1, .len = one.len - key.len - 1});
        }
        size_t skip = end ? len + 1 : len;
        params = (struct str){.ptr = params.ptr + skip, .len = params.len - skip};
    }
    return (struct str){.ptr = ""};
}

/* "0.8" as 800; 1000 for nothing or nonsense. */
static int quality_of(struct str text)
{
    if (text.len == 0 || (text.ptr[0] != '0' && text.ptr[0] != '1'))
        return 1000;
    int value = (text.ptr[0] - '0') * 1000;
    int scale = 100;
    for (size_t i = 2; i < text.len && i < 5; i++, scale /= 10) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return 1000;
        value += (text.ptr[i] - '0') * scale;
    }
    return value > 1000 ? 1000 : value;
}

/* Takes the field apart, best quality first, in the order written among equals. */
static size_t parse_clauses(const char *accept, struct clause clauses[static CLAUSES_MAX])
{
    size_t count = 0;
    while (*accept && count < CLAUSES_MAX) {
        size_t len = strcspn(accept, ",");
        struct str whole = str_trim((struct str){.ptr = accept, .len = len});
        const char *semicolon = whole.len > 0 ? memchr(whole.ptr, ';', whole.len) : NULL;
        size_t type_len = semicolon ? (size_t)(semicolon - whole.ptr) : whole.len;
        struct clause clause = {
            .type = str_trim((struct str){.ptr = whole.ptr, .len = type_len}),
            .params = {.ptr = semicolon ? semicolon + 1 : "",
                       .len = semicolon ? whole.len - type_len - 1 : 0},
        };
        clause.quality = quality_of(parameter(clause.params, "q"));
        accept += len + (accept[len] == ',');
        if (clause.type.len == 0 || clause.quality == 0)
            continue;
        size_t at = count++;
        for (; at > 0 && clauses[at - 1].quality < clause.quality; at--)
            clauses[at] = clauses[at - 1];
        clauses[at] = clause;
    }
    return count;
}

struct offer {
    const char *type;
    enum kube_encoding encoding;
    const char *watch_type;
};

static const struct offer offers[] = {
    {JSON_TYPE, KUBE_JSON, JSON_TYPE},
    {YAML_TYPE, KUBE_YAML, JSON_TYPE}, /* YAML is not made for streams */
    {PROTOBUF_TYPE, KUBE_PROTOBUF, PROTOBUF_TYPE ";stream=watch"},
};

static const struct offer *find_offer(struct str type)
{
    if (equals_ignoring_case(type, "*/*") || equals_ignoring_case(type, "application/*"))
        return &offers[0];
    for (size_t i = 0; i < ARRAY_SIZE(offers); i++) {
        if (equals_ignoring_case(type, offers[i].type))
            return &offers[i];
    }
    return NULL;
}

/* False when this clause asks for a form that is not offered. */
static bool find_form(const struct clause *clause, const struct offer *offer, enum reply_form *ret)
{
    struct str as = parameter(clause->params, "as");
    *ret = REPLY_OBJECT;
    if (as.len == 0)
        return true;
    if (!str_eq_c(parameter(clause->params, "g"), "meta.k8s.io") ||
        !str_eq_c(parameter(clause->params, "v"), "v1"))
        return false;
    if (str_eq_c(as, "Table") && offer->encoding == KUBE_JSON) {
        *ret = REPLY_TABLE;
        return true;
    }
    *ret = REPLY_PARTIAL;
    return str_eq_c(as, "PartialObjectMetadata") || str_eq_c(as, "PartialObjectMetadataList");
}

static bool wants_pretty(const struct http_target *target, const char *user_agent)
{
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    const char *pretty = http_target_param(target, "pretty");
    if (pretty && *pretty) {
        for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
            if (strcmp(pretty, yes[i]) == 0)
                return true;
        }
        return false;
    }
    return text_has_prefix(user_agent, "curl/") || text_has_prefix(user_agent, "Wget/") ||
           text_has_prefix(user_agent, "Mozilla/");
}

Meta__Status *negotiate(const char *accept, const struct http_target *target,
                        const char *user_agent, struct arena *arena, struct negotiated *ret)
{
    struct clause clauses[CLAUSES_MAX];
    size_t count = parse_clauses(*accept ? accept : "*/*", clauses);
    for (size_t i = 0; i < count; i++) {
        const struct offer *offer = find_offer(clauses[i].type);
        enum reply_form form;
        if (!offer || !find_form(&clauses[i], offer, &form))
            continue;
        *ret = (struct negotiated){
            .encoding = offer->encoding,
            .form = form,
            .is_pretty = offer->encoding == KUBE_JSON && wants_pretty(target, user_agent),
            .content_type = offer->type,
            .watch_content_type = offer->watch_type,
        };
        return NULL;
    }
    return failure_new(arena, 406,
                       "only the following media types are accepted: " JSON_TYPE ", " YAML_TYPE
                       ", " PROTOBUF_TYPE);
}

const char *media_type(const char *content_type, struct arena *arena)
{
    size_t len = strcspn(content_type, ";");
    struct str type = str_trim((struct str){.ptr = content_type, .len = len});
    char *text = arena_strndup(arena, type.ptr, type.len);
    for (char *at = text; *at; at++)
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
    return text;
}

Meta__Status *negotiate_body(const char *content_type, struct arena *arena, enum kube_encoding *ret)
{
    const char *type = media_type(*content_type ? content_type : JSON_TYPE, arena);
    for (size_t i = 0; i < ARRAY_SIZE(offers); i++) {
        if (strcmp(type, offers[i].type) == 0) {
            *ret = offers[i].encoding;
            return NULL;
        }
    }
    return failure_new(arena, 415,
                       "the body of the request was in an unknown format - accepted media types"
                       " include: " JSON_TYPE ", " YAML_TYPE ", " PROTOBUF_TYPE);
}
