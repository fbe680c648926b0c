#include "plane/negotiate.h"

#include "wire/accept.h"

#define JSON_TYPE "application/json"
#define YAML_TYPE "application/yaml"
#define PROTOBUF_TYPE "application/vnd.kubernetes.protobuf"

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

/* A wildcard is given what comes first. */
static const struct offer *find_offer(const struct accept_clause *clause)
{
    for (size_t i = 0; i < ARRAY_SIZE(offers); i++) {
        if (accept_is(clause, offers[i].type))
            return &offers[i];
    }
    return NULL;
}

/* False when this clause asks for a form that is not offered. */
static bool find_form(const struct accept_clause *clause, const struct offer *offer,
                      enum reply_form *ret)
{
    struct str as = accept_param(clause, "as");
    *ret = REPLY_OBJECT;
    if (as.len == 0)
        return true;
    if (!str_eq_c(accept_param(clause, "g"), "meta.k8s.io") ||
        !str_eq_c(accept_param(clause, "v"), "v1"))
        return false;
    if (str_eq_c(as, "Table") && offer->encoding == KUBE_JSON) {
        *ret = REPLY_TABLE;
        return true;
    }
    *ret = REPLY_PARTIAL;
    return str_eq_c(as, "PartialObjectMetadata") || str_eq_c(as, "PartialObjectMetadataList");
}

/* How much of each object goes along with its row. */
static Meta__Status *read_include(const struct http_target *target, struct arena *arena,
                                  enum table_include *ret)
{
    static const struct {
        const char *text;
        enum table_include include;
    } rows[] = {
        {"", TABLE_INCLUDE_METADATA},
        {"Metadata", TABLE_INCLUDE_METADATA},
        {"Object", TABLE_INCLUDE_OBJECT},
        {"None", TABLE_INCLUDE_NONE},
    };
    const char *include = http_target_param(target, "includeObject");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (strcmp(include ? include : "", rows[i].text) == 0) {
            *ret = rows[i].include;
            return NULL;
        }
    }
    return failure_bad_request(arena,
                               "Unable to convert to Table as requested: includeObject: Invalid"
                               " value: \"%s\": must be 'Metadata', 'Object', 'None', or empty",
                               include);
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
    struct accept wanted;
    accept_parse(accept, &wanted);
    for (size_t i = 0; i < wanted.count; i++) {
        const struct offer *offer = find_offer(&wanted.clauses[i]);
        enum reply_form form;
        if (!offer || !find_form(&wanted.clauses[i], offer, &form))
            continue;
        *ret = (struct negotiated){
            .encoding = offer->encoding,
            .form = form,
            .is_pretty = offer->encoding == KUBE_JSON && wants_pretty(target, user_agent),
            .content_type = offer->type,
            .watch_content_type = offer->watch_type,
        };
        return form == REPLY_TABLE ? read_include(target, arena, &ret->include) : NULL;
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
