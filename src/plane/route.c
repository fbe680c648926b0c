#include "plane/route.h"

#include <strings.h>

/* A walk along the segments of a path. */
struct cursor {
    const struct http_target *target;
    size_t at;
};

static const char *peek(const struct cursor *cursor, size_t ahead)
{
    size_t at = cursor->at + ahead;
    return at < cursor->target->segment_count ? cursor->target->segments[at] : NULL;
}

static const char *next(struct cursor *cursor)
{
    const char *segment = peek(cursor, 0);
    if (segment)
        cursor->at++;
    return segment;
}

bool route_param_is_on(const struct http_target *target, const char *name)
{
    const char *value = http_target_param(target, name);
    return value && strcmp(value, "0") != 0 && strcasecmp(value, "false") != 0;
}

/* The verb of @method on an object or a collection; 0 when there is none. */
static unsigned verb_of(const char *method, const struct http_target *target, bool has_name)
{
    static const struct {
        const char *method;
        unsigned on_object, on_collection;
    } rows[] = {
        {"GET", VERB_GET, VERB_LIST},       {"HEAD", VERB_GET, VERB_LIST},
        {"POST", VERB_CREATE, VERB_CREATE}, {"PUT", VERB_UPDATE, VERB_UPDATE},
        {"PATCH", VERB_PATCH, VERB_PATCH},  {"DELETE", VERB_DELETE, VERB_DELETE_COLLECTION},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (strcmp(rows[i].method, method) != 0)
            continue;
        unsigned verb = has_name ? rows[i].on_object : rows[i].on_collection;
        return verb == VERB_LIST && route_param_is_on(target, "watch") ? VERB_WATCH : verb;
    }
    return 0;
}

/* The part of the raw path behind the cursor's segments: a proxied path is passed on as it was
 * sent, because decoding it would change what it means. */
static const char *raw_rest(const struct cursor *cursor)
{
    const char *at = cursor->target->raw_path;
    for (size_t i = 0; i < cursor->at; i++) {
        at += strspn(at, "/");
        at += strcspn(at, "/");
    }
    return at;
}

/* /namespaces/<name>/status and /finalize are parts of the namespace, everything else behind a
 * namespace's name is a resource in it. */
static bool is_namespace_part(const char *segment)
{
    return strcmp(segment, "status") == 0 || strcmp(segment, "finalize") == 0;
}

static void parse_resource(struct cursor *cursor, const char *method, struct route *route)
{
    const char *first = next(cursor);
    if (strcmp(first, "namespaces") == 0 && peek(cursor, 1) &&
        !is_namespace_part(peek(cursor, 1))) {
        route->namespace_ = next(cursor);
        first = next(cursor);
    }
    route->resource_name = first;
    route->name = next(cursor);
    route->subresource_name = next(cursor);
    route->resource = resource_find(route->group, route->version, route->resource_name);
    if (route->resource && route->subresource_name)
        route->subresource = resource_subresource(route->resource, route->subresource_name);

    bool is_proxied = route->subresource && route->subresource->is_proxied;
    if (peek(cursor, 0) && !is_proxied)
        return;
    route->rest = is_proxied ? raw_rest(cursor) : "";
    unsigned verb = verb_of(method, cursor->target, route->name != NULL);
    if (verb == 0)
        return;
    route->verb = (enum plane_verb)verb;
    route->kind = ROUTE_RESOURCE;
}

static void parse_api(struct cursor *cursor, const char *method, struct route *route)
{
    bool is_core = strcmp(next(cursor), "api") == 0;
    bool is_get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    route->group = is_core ? "" : next(cursor);
    route->version = route->group ? next(cursor) : NULL;
    if (route->version && peek(cursor, 0)) {
        parse_resource(cursor, method, route);
    } else if (is_get) {
        route->kind = ROUTE_DISCOVERY;
        route->verb = VERB_GET;
    }
}

static enum route_kind other_kind(const struct http_target *target)
{
    static const struct {
        const char *path;
        enum route_kind kind;
        bool with_below;
    } rows[] = {
        {"/version", ROUTE_VERSION, false},
        {"/healthz", ROUTE_HEALTH, true},
        {"/livez", ROUTE_HEALTH, true},
        {"/readyz", ROUTE_HEALTH, true},
        {"/openapi/v2", ROUTE_OPENAPI, false},
        {"/openapi/v3", ROUTE_OPENAPI, true},
        {"/.well-known/openid-configuration", ROUTE_OIDC, false},
        {"/openid/v1/jwks", ROUTE_OIDC, false},
    };
    if (target->segment_count == 0)
        return ROUTE_ROOT;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        size_t len = strlen(rows[i].path);
        if (strncmp(target->path, rows[i].path, len) != 0)
            continue;
        const char *below = target->path + len;
        if (*below == '\0' || strcmp(below, "/") == 0 || (*below == '/' && rows[i].with_below))
            return rows[i].kind;
    }
    return ROUTE_UNKNOWN;
}

void route_parse(const char *method, const struct http_target *target, struct route *ret)
{
    *ret = (struct route){.kind = ROUTE_UNKNOWN, .verb = VERB_GET, .rest = ""};
    struct cursor cursor = {.target = target};
    const char *first = peek(&cursor, 0);
    if (first && (strcmp(first, "api") == 0 || strcmp(first, "apis") == 0)) {
        parse_api(&cursor, method, ret);
        return;
    }
    unsigned verb = verb_of(method, target, true);
    if (verb == 0)
        return;
    ret->verb = (enum plane_verb)verb;
    ret->kind = other_kind(target);
}
