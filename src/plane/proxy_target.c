/*
 * Where a proxied request goes. The node's server has its own names for what the API calls log,
 * exec, attach and portforward; a proxied pod or node is asked for the path behind the subresource.
 */
#include "plane/proxy_internal.h"

#include "base/buf.h"

#include "core.pb-c.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define KUBELET_PORT 10250
#define TARGET_MAX_BYTES (64 * KiB)

/* --- the node --- */

static const char *node_address(const Core__Node *node)
{
    /* Names last: they need a server that knows them. */
    static const char *const preferred[] = {"InternalIP", "ExternalIP", "InternalDNS",
                                            "ExternalDNS", "Hostname"};
    for (size_t p = 0; p < ARRAY_SIZE(preferred); p++) {
        for (size_t i = 0; node->status && i < node->status->n_addresses; i++) {
            const Core__NodeAddress *address = node->status->addresses[i];
            if (text_eq(address->type, preferred[p]) && address->address && *address->address)
                return address->address;
        }
    }
    return NULL;
}

static uint16_t node_port(const Core__Node *node)
{
    const Core__NodeDaemonEndpoints *endpoints =
        node->status ? node->status->daemon_endpoints : NULL;
    if (!endpoints || !endpoints->kubelet_endpoint || endpoints->kubelet_endpoint->port <= 0 ||
        endpoints->kubelet_endpoint->port > UINT16_MAX)
        return KUBELET_PORT;
    return (uint16_t)endpoints->kubelet_endpoint->port;
}

bool proxy_target_of_node(const Core__Node *node, struct proxy_target *ret)
{
    ret->host = node_address(node);
    ret->port = node_port(node);
    ret->is_node = true;
    ret->is_tls = true;
    return ret->host != NULL;
}

static Meta__Status *find_node(const struct rest_env *env, const char *name,
                               struct proxy_target *target)
{
    ProtobufCMessage *object = NULL;
    Meta__Status *failure = rest_read(env, resource_find("", "v1", "nodes"), NULL, name, &object);
    if (failure)
        return failure;
    if (!proxy_target_of_node((const Core__Node *)object, target))
        return failure_new(env->arena, 500, "no preferred addresses found; known addresses: []");
    return NULL;
}

/* --- pods --- */

static const char *only_container(const Core__PodSpec *spec)
{
    return spec && spec->n_containers == 1 ? spec->containers[0]->name : NULL;
}

static bool has_container(const Core__PodSpec *spec, const char *name)
{
    for (size_t i = 0; spec && i < spec->n_containers; i++) {
        if (text_eq(spec->containers[i]->name, name))
            return true;
    }
    for (size_t i = 0; spec && i < spec->n_init_containers; i++) {
        if (text_eq(spec->init_containers[i]->name, name))
            return true;
    }
    for (size_t i = 0; spec && i < spec->n_ephemeral_containers; i++) {
        const Core__EphemeralContainerCommon *common =
            spec->ephemeral_containers[i]->ephemeral_container_common;
        if (common && text_eq(common->name, name))
            return true;
    }
    return false;
}

/* In the order in which upstream visits them. */
static const char *container_names(const Core__PodSpec *spec, struct arena *arena)
{
    AUTO(buf) struct buf text;
    buf_init(&text, TARGET_MAX_BYTES);
    if (!spec)
        return "";
    for (size_t i = 0; i < spec->n_init_containers; i++)
        buf_printf(&text, " %s", spec->init_containers[i]->name);
    for (size_t i = 0; i < spec->n_containers; i++)
        buf_printf(&text, " %s", spec->containers[i]->name);
    for (size_t i = 0; i < spec->n_ephemeral_containers; i++) {
        const Core__EphemeralContainerCommon *common =
            spec->ephemeral_containers[i]->ephemeral_container_common;
        if (common && common->name)
            buf_printf(&text, " %s", common->name);
    }
    return arena_strdup(arena, buf_text(&text) + (text.len > 0));
}

static Meta__Status *choose_container(const struct rest_env *env, const Core__Pod *pod,
                                      const struct http_target *from, const char **ret)
{
    const char *name = http_target_param(from, "container");
    const char *pod_name = pod->metadata->name;
    if (!name || !*name) {
        *ret = only_container(pod->spec);
        if (*ret)
            return NULL;
        return failure_bad_request(
            env->arena, "a container name must be specified for pod %s, choose one of: [%s]",
            pod_name, container_names(pod->spec, env->arena));
    }
    if (!has_container(pod->spec, name))
        return failure_bad_request(env->arena, "container %s is not valid for pod %s", name,
                                   pod_name);
    *ret = name;
    return NULL;
}

static Meta__Status *require_node(const struct rest_env *env, const Core__Pod *pod,
                                  struct proxy_target *target)
{
    const char *node = pod->spec ? pod->spec->node_name : NULL;
    if (!node || !*node)
        return failure_bad_request(env->arena, "pod %s does not have a host assigned",
                                   pod->metadata->name);
    return find_node(env, node, target);
}

/* --- the path there --- */

static void add_param(struct buf *out, const char *name, const char *value)
{
    bool has_query = memchr(buf_text(out), '?', out->len) != NULL;
    buf_add_char(out, has_query ? '&' : '?');
    buf_add_text(out, name);
    buf_add_char(out, '=');
    http_escape(out, str_from(value));
}

static void add_log_params(struct buf *out, const struct http_target *from)
{
    static const char *const names[] = {"follow",    "previous",  "timestamps", "sinceSeconds",
                                        "sinceTime", "tailLines", "limitBytes", "stream"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *value = http_target_param(from, names[i]);
        if (value && *value)
            add_param(out, names[i], value);
    }
}

static void add_stream_params(struct buf *out, const struct http_target *from, bool with_command)
{
    static const struct {
        const char *api, *node;
    } switches[] = {{"stdin", "input"}, {"stdout", "output"}, {"stderr", "error"}, {"tty", "tty"}};
    for (size_t i = 0; i < ARRAY_SIZE(switches); i++) {
        if (route_param_is_on(from, switches[i].api))
            add_param(out, switches[i].node, "1");
    }
    for (size_t i = 0; with_command && i < from->param_count; i++) {
        if (strcmp(from->params[i].name, "command") == 0)
            add_param(out, "command", from->params[i].value);
    }
}

/* `ports=80&ports=81` of the API is `port=80,81` at the node. */
static void add_ports(struct buf *out, const struct http_target *from)
{
    const char *before = "?port=";
    for (size_t i = 0; i < from->param_count; i++) {
        if (strcmp(from->params[i].name, "ports") != 0)
            continue;
        buf_add_text(out, before);
        http_escape(out, str_from(from->params[i].value));
        before = "%2C";
    }
}

static void add_path(struct buf *out, const char *first, const Core__Pod *pod,
                     const char *container)
{
    buf_printf(out, "/%s/%s/%s", first, pod->metadata->namespace_, pod->metadata->name);
    if (container)
        buf_printf(out, "/%s", container);
}

static Meta__Status *pod_path(const struct rest_env *env, const Core__Pod *pod, const char *part,
                              const struct http_target *from, struct buf *out)
{
    const char *container = NULL;
    if (strcmp(part, "portforward") == 0) {
        add_path(out, "portForward", pod, NULL);
        add_ports(out, from);
        return NULL;
    }
    Meta__Status *failure = choose_container(env, pod, from, &container);
    if (failure)
        return failure;
    if (strcmp(part, "log") == 0) {
        add_path(out, "containerLogs", pod, container);
        add_log_params(out, from);
    } else {
        bool is_exec = strcmp(part, "exec") == 0;
        add_path(out, is_exec ? "exec" : "attach", pod, container);
        add_stream_params(out, from, is_exec);
    }
    return NULL;
}

static void rest_path(const struct route *route, const struct http_target *from, struct buf *out)
{
    buf_add_text(out, *route->rest ? route->rest : "/");
    if (*from->raw_query)
        buf_printf(out, "?%s", from->raw_query);
}

/* The name in a proxied path: "web", "web:8080", "https:web:8443". */
struct proxied_name {
    const char *name;
    bool is_tls;
    uint16_t port; /* 0: not said */
};

static Meta__Status *parse_name(const struct rest_env *env, const struct route *route,
                                struct proxied_name *ret)
{
    const char *name = route->name;
    *ret = (struct proxied_name){.is_tls = text_has_prefix(name, "https:")};
    if (ret->is_tls || text_has_prefix(name, "http:"))
        name = strchr(name, ':') + 1;
    size_t len = strcspn(name, ":");
    int64_t port = 0;
    ret->name = arena_strndup(env->arena, name, len);
    if (len == 0 || (name[len] == ':' && name[len + 1] != '\0' &&
                     !parse_i64(name + len + 1, 1, UINT16_MAX, &port)))
        return failure_bad_request(env->arena, "invalid %s request \"%s\"",
                                   route->resource->kind->singular, route->name);
    ret->port = (uint16_t)port;
    return NULL;
}

/* Upstream's choice when the path names no port. */
static uint16_t first_port(const Core__PodSpec *spec, bool is_tls)
{
    for (size_t i = 0; spec && i < spec->n_containers; i++) {
        if (spec->containers[i]->n_ports > 0)
            return (uint16_t)spec->containers[i]->ports[0]->container_port;
    }
    return is_tls ? 443 : 80;
}

/* A pod's address is what its node says it is; the machine's own and its neighbours' are no pod's.
 */
static bool is_pod_address(const char *text)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, text, &v4) == 1) {
        uint32_t host = ntohl(v4.s_addr);
        return host >> 24 != IN_LOOPBACKNET && !IN_MULTICAST(host) && host != INADDR_ANY &&
               host != INADDR_BROADCAST && (host & 0xffff0000) != 0xa9fe0000; /* 169.254/16 */
    }
    return inet_pton(AF_INET6, text, &v6) == 1 && !IN6_IS_ADDR_LOOPBACK(&v6) &&
           !IN6_IS_ADDR_MULTICAST(&v6) && !IN6_IS_ADDR_UNSPECIFIED(&v6) &&
           !IN6_IS_ADDR_LINKLOCAL(&v6) && !IN6_IS_ADDR_V4MAPPED(&v6);
}

static Meta__Status *proxied_pod(const struct rest_env *env, const struct route *route,
                                 struct proxy_target *target)
{
    struct proxied_name name;
    ProtobufCMessage *object = NULL;
    Meta__Status *failure = parse_name(env, route, &name);
    if (!failure)
        failure = rest_read(env, route->resource, route->namespace_, name.name, &object);
    if (failure)
        return failure;
    const Core__Pod *pod = (const Core__Pod *)object;
    target->is_tls = name.is_tls;
    target->port = name.port ? name.port : first_port(pod->spec, name.is_tls);
    target->host = pod->status ? pod->status->pod_ip : NULL;
    if (!target->host || !is_pod_address(target->host))
        return failure_bad_request(env->arena, "address not allowed");
    return NULL;
}

/* Another port than the kubelet's is no business of the plane's certificate. */
static Meta__Status *proxied_node(const struct rest_env *env, const struct route *route,
                                  struct proxy_target *target)
{
    struct proxied_name name;
    Meta__Status *failure = parse_name(env, route, &name);
    if (!failure)
        failure = find_node(env, name.name, target);
    if (failure || name.port == 0 || name.port == target->port)
        return failure;
    target->port = name.port;
    target->is_tls = name.is_tls;
    target->is_node = false;
    return NULL;
}

static Meta__Status *prepare_pod(const struct rest_env *env, const struct route *route,
                                 const struct http_target *from, struct proxy_target *target,
                                 struct buf *out)
{
    if (strcmp(route->subresource_name, "proxy") == 0) {
        rest_path(route, from, out);
        return proxied_pod(env, route, target);
    }
    ProtobufCMessage *object = NULL;
    Meta__Status *failure =
        rest_read(env, route->resource, route->namespace_, route->name, &object);
    const Core__Pod *pod = (const Core__Pod *)object;
    if (!failure)
        failure = pod_path(env, pod, route->subresource_name, from, out);
    if (failure)
        return failure;
    bool is_log = strcmp(route->subresource_name, "log") == 0;
    bool has_node = pod->spec && pod->spec->node_name && *pod->spec->node_name;
    if (is_log && !has_node)
        return NULL;
    target->is_stream = !is_log;
    target->log_of = is_log ? route->name : NULL;
    return require_node(env, pod, target);
}

Meta__Status *proxy_prepare(const struct rest_env *env, const struct route *route,
                            const struct http_target *target, struct proxy_target **ret)
{
    struct proxy_target *made = arena_calloc(env->arena, 1, sizeof(*made));
    AUTO(buf) struct buf path;
    buf_init(&path, TARGET_MAX_BYTES);
    Meta__Status *failure = NULL;
    if (strcmp(route->resource_name, "pods") == 0) {
        failure = prepare_pod(env, route, target, made, &path);
    } else if (strcmp(route->resource_name, "nodes") == 0) {
        rest_path(route, target, &path);
        failure = proxied_node(env, route, made);
    } else {
        failure =
            failure_new(env->arena, 503, "no endpoints available for service \"%s\"", route->name);
    }
    struct error *err = failure ? NULL : buf_error(&path, "the path");
    if (err)
        failure = failure_from_error(env->arena, err);
    if (failure || !made->host)
        return failure;
    made->target = arena_strndup(env->arena, buf_text(&path), path.len);
    *ret = made;
    return NULL;
}
