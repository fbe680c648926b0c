#include "pod/service_env.h"

#include "base/str.h"

#include <inttypes.h>

/* pkg/kubelet/kubelet_pods.go: masterServices, in metav1.NamespaceDefault. Every container is told
 * where the API server is. */
#define MASTER_SERVICE "kubernetes"
#define MASTER_NAMESPACE "default"

/* pkg/kubelet/envvars/envvars.go, at most: the service's host, port and first link; of each port
 * its named form and four of its link. */
#define VARIABLES_PER_SERVICE 3
#define VARIABLES_PER_PORT 5

static bool has_cluster_ip(const Core__Service *service)
{
    const char *ip = service->spec ? service->spec->cluster_ip : NULL;
    return ip && *ip && strcmp(ip, "None") != 0;
}

static bool is_of_pod(const struct service_audience *audience, const Core__Service *service)
{
    return audience->has_links && text_eq(service->metadata->namespace_, audience->namespace_);
}

static bool is_master(const Core__Service *service)
{
    return text_eq(service->metadata->namespace_, MASTER_NAMESPACE) &&
           text_eq(service->metadata->name, MASTER_SERVICE);
}

bool service_env_tells(const struct service_audience *audience, const Core__Service *service)
{
    return service->metadata && service->metadata->name && has_cluster_ip(service) &&
           (is_of_pod(audience, service) || is_master(service));
}

/* --- choosing --- */

/* By name; of two namesakes the one of the pod's own namespace comes first. */
static int compare(const void *a, const void *b)
{
    const Core__Service *const *left = a, *const *right = b;
    int order = strcmp((*left)->metadata->name, (*right)->metadata->name);
    return order != 0 ? order : (int)is_master(*left) - (int)is_master(*right);
}

/* Those that count, each name once, sorted. */
static const Core__Service **choose(const struct service_audience *audience,
                                    const Core__Service *const *services, size_t count,
                                    struct arena *arena, size_t *ret_count)
{
    const Core__Service **chosen = arena_calloc(arena, count + 1, sizeof(const Core__Service *));
    size_t found = 0, kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (service_env_tells(audience, services[i]))
            chosen[found++] = services[i];
    }
    if (found > 1)
        qsort(chosen, found, sizeof(const Core__Service *), compare);
    for (size_t i = 0; i < found; i++) {
        if (kept == 0 || strcmp(chosen[kept - 1]->metadata->name, chosen[i]->metadata->name) != 0)
            chosen[kept++] = chosen[i];
    }
    *ret_count = kept;
    return chosen;
}

/* --- writing --- */

struct list {
    struct service_variable *items;
    size_t count;
    struct arena *arena;
};

static void add(struct list *list, const char *name, const char *value)
{
    list->items[list->count++] = (struct service_variable){.name = name, .value = value};
}

/* A copy of @text with the letters between @first and @last in the other case. */
static char *in_other_case(const char *text, char first, char last, struct arena *arena)
{
    char *copy = arena_strdup(arena, text);
    for (char *c = copy; *c; c++) {
        if (*c >= first && *c <= last)
            *c = (char)(*c ^ 0x20);
    }
    return copy;
}

/* "my-service" → "MY_SERVICE" */
static const char *variable_name(const char *text, struct arena *arena)
{
    char *name = in_other_case(text, 'a', 'z', arena);
    for (char *c = name; *c; c++) {
        if (*c == '-')
            *c = '_';
    }
    return name;
}

/* As Docker's links had them. */
static void add_links(struct list *list, const char *prefix, const Core__ServiceSpec *spec)
{
    struct arena *arena = list->arena;
    bool is_ipv6 = strchr(spec->cluster_ip, ':');
    for (size_t i = 0; i < spec->n_ports; i++) {
        const Core__ServicePort *port = spec->ports[i];
        const char *protocol = port->protocol && *port->protocol ? port->protocol : "TCP";
        const char *lower = in_other_case(protocol, 'A', 'Z', arena);
        const char *number = arena_printf(arena, "%" PRId32, port->port);
        const char *url = arena_printf(arena, "%s://%s%s%s:%s", lower, is_ipv6 ? "[" : "",
                                       spec->cluster_ip, is_ipv6 ? "]" : "", number);
        const char *name = arena_printf(arena, "%s_PORT_%s_%s", prefix, number,
                                        in_other_case(protocol, 'a', 'z', arena));
        if (i == 0)
            add(list, arena_printf(arena, "%s_PORT", prefix), url);
        add(list, name, url);
        add(list, arena_printf(arena, "%s_PROTO", name), lower);
        add(list, arena_printf(arena, "%s_PORT", name), number);
        add(list, arena_printf(arena, "%s_ADDR", name), spec->cluster_ip);
    }
}

static void add_service(struct list *list, const Core__Service *service)
{
    struct arena *arena = list->arena;
    const Core__ServiceSpec *spec = service->spec;
    const char *prefix = variable_name(service->metadata->name, arena);
    const char *port_name = arena_printf(arena, "%s_SERVICE_PORT", prefix);
    add(list, arena_printf(arena, "%s_SERVICE_HOST", prefix), spec->cluster_ip);
    for (size_t i = 0; i < spec->n_ports; i++) {
        const Core__ServicePort *port = spec->ports[i];
        const char *number = arena_printf(arena, "%" PRId32, port->port);
        if (i == 0)
            add(list, port_name, number);
        if (port->name && *port->name)
            add(list, arena_printf(arena, "%s_%s", port_name, variable_name(port->name, arena)),
                number);
    }
    add_links(list, prefix, spec);
}

void service_env_build(const struct service_audience *audience,
                       const Core__Service *const *services, size_t count, struct arena *arena,
                       const struct service_variable **ret, size_t *ret_count)
{
    size_t n_chosen, room = 0;
    const Core__Service **chosen = choose(audience, services, count, arena, &n_chosen);
    for (size_t i = 0; i < n_chosen; i++)
        room += VARIABLES_PER_SERVICE + chosen[i]->spec->n_ports * VARIABLES_PER_PORT;
    struct list list = {.items = arena_calloc(arena, room + 1, sizeof(*list.items)),
                        .arena = arena};
    for (size_t i = 0; i < n_chosen; i++)
        add_service(&list, chosen[i]);
    ASSERT(list.count <= room);
    *ret = list.items;
    *ret_count = list.count;
}
