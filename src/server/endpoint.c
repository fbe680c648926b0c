#include "server/endpoint.h"

#include "base/path.h"
#include "wire/accept.h"

#define ON(port) (1U << (port))
#define MAIN ON(ENDPOINT_PORT_MAIN)
#define NO_DEBUG ON(ENDPOINT_PORT_MAIN_NO_DEBUG)
#define HEALTHZ ON(ENDPOINT_PORT_HEALTHZ)

/* --- what is there --- */

/* Any method, exactly this path. */
static const struct plain {
    const char *path;
    enum endpoint endpoint;
    unsigned ports;
    const char *param;
} plains[] = {
    {"/healthz", ENDPOINT_HEALTHZ, MAIN | NO_DEBUG | HEALTHZ, ""},
    {"/healthz/ping", ENDPOINT_HEALTHZ, MAIN | NO_DEBUG | HEALTHZ, "ping"},
    {"/healthz/log", ENDPOINT_HEALTHZ, MAIN | NO_DEBUG, "log"},
    {"/healthz/syncloop", ENDPOINT_HEALTHZ, MAIN | NO_DEBUG, "syncloop"},
    {"/metrics", ENDPOINT_METRICS, MAIN | NO_DEBUG, NULL},
    {"/metrics/cadvisor", ENDPOINT_METRICS_CADVISOR, MAIN | NO_DEBUG, NULL},
    {"/metrics/resource", ENDPOINT_METRICS_RESOURCE, MAIN | NO_DEBUG, NULL},
    {"/metrics/probes", ENDPOINT_METRICS_PROBES, MAIN | NO_DEBUG, NULL},
    {"/metrics/slis", ENDPOINT_METRICS_SLIS, MAIN | NO_DEBUG, NULL},
    {"/debug/flags/v", ENDPOINT_DEBUG_FLAGS, MAIN, NULL},
    {"/configz", ENDPOINT_CONFIGZ, MAIN, NULL},
    {"/flagz", ENDPOINT_FLAGZ, MAIN, NULL},
    {"/statusz", ENDPOINT_STATUSZ, MAIN, NULL},
};

/* A service has everything below its root; with a slash at its end, a request for the bare root is
 * redirected. */
enum service_id {
    SERVICE_PODS,
    SERVICE_STATS,
    SERVICE_RUN,
    SERVICE_EXEC,
    SERVICE_ATTACH,
    SERVICE_PORT_FORWARD,
    SERVICE_CONTAINER_LOGS,
    SERVICE_CHECKPOINT,
    SERVICE_RUNNING_PODS,
    SERVICE_LOGS,
    SERVICE_PPROF,
    SERVICE_DISABLED,
};

static const struct service {
    const char *root;
    enum service_id id;
    unsigned ports;
} services[] = {
    {"/pods", SERVICE_PODS, MAIN | NO_DEBUG},
    {"/stats/", SERVICE_STATS, MAIN | NO_DEBUG},
    {"/run", SERVICE_RUN, MAIN},
    {"/exec", SERVICE_EXEC, MAIN},
    {"/attach", SERVICE_ATTACH, MAIN},
    {"/portForward", SERVICE_PORT_FORWARD, MAIN},
    {"/containerLogs", SERVICE_CONTAINER_LOGS, MAIN},
    {"/checkpoint/", SERVICE_CHECKPOINT, MAIN},
    {"/runningpods/", SERVICE_RUNNING_PODS, MAIN},
    {"/logs/", SERVICE_LOGS, MAIN},
    {"/debug/pprof/", SERVICE_PPROF, MAIN},
    {"/run/", SERVICE_DISABLED, NO_DEBUG},
    {"/exec/", SERVICE_DISABLED, NO_DEBUG},
    {"/attach/", SERVICE_DISABLED, NO_DEBUG},
    {"/portForward/", SERVICE_DISABLED, NO_DEBUG},
    {"/containerLogs/", SERVICE_DISABLED, NO_DEBUG},
    {"/runningpods/", SERVICE_DISABLED, NO_DEBUG},
    {"/debug/pprof/", SERVICE_DISABLED, NO_DEBUG},
    {"/logs/", SERVICE_DISABLED, NO_DEBUG},
};

enum methods { METHOD_GET = 1, METHOD_POST = 2, METHOD_ANY = 4 };

/* What follows the root: each letter takes a segment into the parameter of its place in "npcu",
 * another text is itself, "*" is all that is left, as sent, "+" the same when it is something. */
static const struct shape {
    enum service_id service;
    const char *pattern;
    unsigned methods;
    enum endpoint endpoint;
    bool is_json; /* the answer is, and nothing else */
} shapes[] = {
    {SERVICE_PODS, "", METHOD_GET, ENDPOINT_PODS, true},
    {SERVICE_STATS, "summary", METHOD_GET | METHOD_POST, ENDPOINT_STATS_SUMMARY, true},
    {SERVICE_RUN, "npc", METHOD_POST, ENDPOINT_RUN, false},
    {SERVICE_RUN, "npuc", METHOD_POST, ENDPOINT_RUN, false},
    {SERVICE_EXEC, "npc", METHOD_GET | METHOD_POST, ENDPOINT_EXEC, false},
    {SERVICE_EXEC, "npuc", METHOD_GET | METHOD_POST, ENDPOINT_EXEC, false},
    {SERVICE_ATTACH, "npc", METHOD_GET | METHOD_POST, ENDPOINT_ATTACH, false},
    {SERVICE_ATTACH, "npuc", METHOD_GET | METHOD_POST, ENDPOINT_ATTACH, false},
    {SERVICE_PORT_FORWARD, "np", METHOD_GET | METHOD_POST, ENDPOINT_PORT_FORWARD, false},
    {SERVICE_PORT_FORWARD, "npu", METHOD_GET | METHOD_POST, ENDPOINT_PORT_FORWARD, false},
    {SERVICE_CONTAINER_LOGS, "npc", METHOD_GET, ENDPOINT_CONTAINER_LOGS, false},
    {SERVICE_CHECKPOINT, "npc", METHOD_POST, ENDPOINT_CHECKPOINT, true},
    {SERVICE_RUNNING_PODS, "", METHOD_GET, ENDPOINT_RUNNING_PODS, true},
    {SERVICE_LOGS, "*", METHOD_GET, ENDPOINT_LOGS, false},
    {SERVICE_PPROF, "+", METHOD_GET, ENDPOINT_PPROF, false},
    {SERVICE_DISABLED, "*", METHOD_ANY, ENDPOINT_DISABLED, false},
};

/* --- services --- */

static size_t root_segments(const struct service *service)
{
    size_t count = 0;
    for (const char *c = service->root; *c; c++)
        count += *c == '/' && c[1] != '\0';
    return count;
}

static bool takes_letters(const char *pattern)
{
    return pattern[0] != '\0' && pattern[strspn(pattern, "npcu")] == '\0';
}

/* What of the path as sent lies below the root: its roots hold nothing that is ever escaped, but a
 * client may escape what it likes. */
static const char *sent_rest(const struct service *service, const struct http_request *request)
{
    const char *rest = request->target.raw_path;
    for (size_t i = root_segments(service); i > 0; i--)
        rest += 1 + strcspn(rest + 1, "/");
    return *rest == '/' ? rest + 1 : rest;
}

static bool match_shape(const struct shape *shape, const struct service *service,
                        const struct http_request *request, struct endpoint_match *ret)
{
    size_t from = root_segments(service), count = request->target.segment_count - from;
    const char *const *segments = request->target.segments + from;
    const char *pattern = shape->pattern;
    if (text_eq(pattern, "*") || text_eq(pattern, "+")) {
        ret->params[0] = sent_rest(service, request);
        return pattern[0] == '*' || count > 0;
    }
    if (!takes_letters(pattern))
        return pattern[0] == '\0' ? count == 0 : count == 1 && text_eq(segments[0], pattern);
    if (count != strlen(pattern))
        return false;
    for (size_t i = 0; i < count; i++) {
        static const char slots[] = "npcu";
        ret->params[strchr(slots, pattern[i]) - slots] = segments[i];
    }
    return true;
}

static unsigned method_bit(const char *method)
{
    if (text_eq(method, "GET"))
        return METHOD_GET;
    return text_eq(method, "POST") ? METHOD_POST : 0;
}

static const char *allowed(unsigned methods)
{
    if (methods == METHOD_GET)
        return "GET";
    return methods == METHOD_POST ? "POST" : "GET, POST";
}

static bool wants_json(const struct http_request *request)
{
    const char *field = http_fields_get(&request->fields, "accept");
    struct accept accept;
    accept_parse(field ? field : "", &accept);
    for (size_t i = 0; i < accept.count; i++) {
        if (accept_is(&accept.clauses[i], "application/json"))
            return true;
    }
    return false;
}

static void match_service(const struct service *service, const struct http_request *request,
                          struct endpoint_match *ret)
{
    unsigned bit = method_bit(request->method), methods = 0;
    for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
        const struct shape *shape = &shapes[i];
        struct endpoint_match match = {.outcome = ENDPOINT_FOUND, .endpoint = shape->endpoint};
        if (shape->service != service->id || !match_shape(shape, service, request, &match))
            continue;
        methods |= shape->methods;
        if (!(shape->methods & (bit | METHOD_ANY)))
            continue;
        *ret = match;
        if (shape->is_json && !wants_json(request))
            ret->outcome = ENDPOINT_NOT_ACCEPTABLE;
        return;
    }
    ret->outcome = methods ? ENDPOINT_NO_METHOD : ENDPOINT_NO_ROUTE;
    ret->allow = methods ? allowed(methods) : NULL;
}

/* Segment by segment: a slash that a client escapes divides nothing. */
static bool is_below(const struct http_target *target, const char *root)
{
    struct str rest = str_from(root + 1), segment;
    for (size_t i = 0; rest.len > 0 && str_split_next(&rest, '/', &segment); i++) {
        if (i >= target->segment_count || !str_eq_c(segment, target->segments[i]))
            return false;
    }
    return true;
}

static bool ends_with_slash(const char *path)
{
    return path[strlen(path) - 1] == '/';
}

static bool is_bare_root(const struct service *service, const struct http_target *target)
{
    return ends_with_slash(service->root) && is_below(target, service->root) &&
           target->segment_count == root_segments(service) && !ends_with_slash(target->path);
}

/* --- the way there --- */

static const char *with_query(const char *path, const struct http_target *target,
                              struct arena *arena)
{
    if (target->raw_query[0] == '\0')
        return arena_strdup(arena, path);
    return arena_printf(arena, "%s?%s", path, target->raw_query);
}

/* The path without double slashes and dots, when it has such; else NULL. */
static const char *cleaned(const char *path, struct arena *arena)
{
    AUTO(free) char *clean = path_clean(path);
    size_t len = strlen(path);
    bool has_slash = len > 1 && path[len - 1] == '/' && !text_eq(clean, "/");
    const char *result = arena_printf(arena, "%s%s", clean, has_slash ? "/" : "");
    return text_eq(result, path) ? NULL : result;
}

static bool redirect(const char *path, const struct http_target *target, struct arena *arena,
                     struct endpoint_match *ret)
{
    if (!path)
        return false;
    ret->outcome = ENDPOINT_REDIRECT;
    ret->location = with_query(path, target, arena);
    return true;
}

void endpoint_find(enum endpoint_port port, const struct http_request *request, struct arena *arena,
                   struct endpoint_match *ret)
{
    const struct http_target *target = &request->target;
    *ret = (struct endpoint_match){.outcome = ENDPOINT_UNKNOWN};
    if (!text_eq(request->method, "CONNECT") &&
        redirect(cleaned(target->raw_path, arena), target, arena, ret))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(plains); i++) {
        if (!(plains[i].ports & ON(port)) || !text_eq(plains[i].path, target->path) ||
            !is_below(target, plains[i].path))
            continue;
        *ret = (struct endpoint_match){
            .outcome = ENDPOINT_FOUND, .endpoint = plains[i].endpoint, .params = {plains[i].param}};
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(services); i++) {
        if (!(services[i].ports & ON(port)))
            continue;
        if (is_bare_root(&services[i], target)) {
            (void)redirect(services[i].root, target, arena, ret);
            return;
        }
        if (is_below(target, services[i].root)) {
            match_service(&services[i], request, ret);
            return;
        }
    }
}

/* --- names for figures --- */

/* pkg/kubelet/server/server.go: the buckets of the HTTP metrics. */
static const struct bucket {
    const char *name;
    unsigned ports;
} buckets[] = {
    {"attach", MAIN | NO_DEBUG},
    {"checkpoint", MAIN},
    {"configz", MAIN},
    {"containerLogs", MAIN | NO_DEBUG},
    {"debug", MAIN},
    {"exec", MAIN | NO_DEBUG},
    {"flagz", MAIN},
    {"healthz", MAIN | NO_DEBUG},
    {"logs", MAIN | NO_DEBUG},
    {"metrics", MAIN | NO_DEBUG},
    {"metrics/cadvisor", MAIN | NO_DEBUG},
    {"metrics/probes", MAIN | NO_DEBUG},
    {"metrics/resource", MAIN | NO_DEBUG},
    {"pods", MAIN | NO_DEBUG},
    {"portForward", MAIN | NO_DEBUG},
    {"pprof", NO_DEBUG},
    {"run", MAIN | NO_DEBUG},
    {"runningpods", MAIN | NO_DEBUG},
    {"stats", MAIN | NO_DEBUG},
    {"statusz", MAIN},
};

const char *endpoint_bucket(enum endpoint_port port, const char *path)
{
    struct str text = str_from(path[0] == '/' ? path + 1 : path);
    size_t first = str_find(text, '/'), len = first;
    if (str_eq_c((struct str){.ptr = text.ptr, .len = first}, "metrics") && first < text.len) {
        struct str rest = {.ptr = text.ptr + first + 1, .len = text.len - first - 1};
        len = first + 1 + str_find(rest, '/');
    }
    for (size_t i = 0; i < ARRAY_SIZE(buckets); i++) {
        if ((buckets[i].ports & ON(port)) &&
            str_eq_c((struct str){.ptr = text.ptr, .len = len}, buckets[i].name))
            return buckets[i].name;
    }
    return "other";
}

bool endpoint_is_long_running(const char *bucket)
{
    return text_eq(bucket, "exec") || text_eq(bucket, "attach") || text_eq(bucket, "debug");
}

const char *const *endpoint_plain_roots(enum endpoint_port port)
{
    static const char *const all[] = {"/configz", "/debug", "/flagz", "/healthz", "/metrics", NULL};
    static const char *const few[] = {"/healthz", "/metrics", NULL};
    return port == ENDPOINT_PORT_MAIN ? all : few;
}
