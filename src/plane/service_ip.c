/*
 * In the order of kube-apiserver: first the families and the policy, inferred from each other and
 * from the addresses asked for; then the addresses; then the ports. Free ones are looked for from a
 * random place in the upper part of a range and, when that is full, in the lower part, which is
 * kept for those that people choose.
 */
#include "plane/service_ip.h"

#include "plane/ip_text.h"
#include "plane/strategy_service.h"

#include <sys/random.h>

#define FAMILIES_MAX ((size_t)2)
#define PORT_COUNT (SERVICE_NODE_PORT_MAX - SERVICE_NODE_PORT_MIN + 1)
/* pkg/registry/core/service: the lower part of each range, for choices of people. */
#define PORT_STATIC_COUNT 86
#define IP_STATIC_MIN 16
#define IP_STATIC_MAX 256
/* More addresses than services will ever be; upstream's limit for IPv6 ranges. */
#define V6_ADDRESSES_MAX 65536
/* The first address is the API server's own service. */
#define FIRST_FREE_OFFSET 2

struct taken {
    struct ip *ips;
    size_t ip_count, ip_capacity;
    bool ports[PORT_COUNT];
};

/* One service on its way. */
struct assignment {
    const struct strategy_context *context;
    Core__Service *service;
    Core__ServiceSpec *spec; /* of service */
    const Core__Service *old;
    struct ip_range ranges[FAMILIES_MAX];
    size_t range_count;
    struct taken *taken; /* by other services */
    struct field_errors *errors;
    struct validation v;
};

static Meta__Status *invalid(const struct assignment *a)
{
    return failure_invalid(a->context->arena, kube_kind_find("v1", "Service"),
                           a->service->metadata->name, a->errors);
}

static const char *family_of_range(const struct ip_range *range)
{
    return range->base.is_v6 ? "IPv6" : "IPv4";
}

static const struct ip_range *range_of(const struct assignment *a, const char *family)
{
    for (size_t i = 0; i < a->range_count; i++) {
        if (text_eq(family_of_range(&a->ranges[i]), family))
            return &a->ranges[i];
    }
    return NULL;
}

static Meta__Status *read_ranges(struct assignment *a)
{
    struct str rest = str_from(a->context->world->service_range), part;
    bool is_fine = true;
    while (rest.ptr && a->range_count < FAMILIES_MAX && str_split_next(&rest, ',', &part))
        is_fine = ip_range_parse(str_trim(part), &a->ranges[a->range_count++]) && is_fine;
    if (is_fine && a->range_count > 0)
        return NULL;
    return failure_new(a->context->arena, 500,
                       "Internal error occurred: the service range \"%s\" is no range",
                       a->context->world->service_range);
}

/* --- what other services have --- */

static void take_ip(struct assignment *a, const char *text)
{
    struct taken *taken = a->taken;
    struct ip ip;
    if (!ip_parse(or_empty(text), &ip))
        return;
    if (taken->ip_count == taken->ip_capacity) {
        size_t capacity = taken->ip_capacity ? taken->ip_capacity * 2 : 32;
        struct ip *ips = arena_alloc(a->context->arena, capacity * sizeof(*ips));
        if (taken->ip_count > 0)
            memcpy(ips, taken->ips, taken->ip_count * sizeof(*ips));
        taken->ips = ips;
        taken->ip_capacity = capacity;
    }
    taken->ips[taken->ip_count++] = ip;
}

static void take_port(struct assignment *a, int64_t port)
{
    if (port >= SERVICE_NODE_PORT_MIN && port <= SERVICE_NODE_PORT_MAX)
        a->taken->ports[port - SERVICE_NODE_PORT_MIN] = true;
}

static Meta__Status *take_service(void *ctx, ProtobufCMessage *object)
{
    struct assignment *a = ctx;
    const Core__Service *other = (const Core__Service *)object;
    const Meta__ObjectMeta *own = a->service->metadata;
    if (!other->spec || (text_eq(other->metadata->name, own->name) &&
                         text_eq(other->metadata->namespace_, own->namespace_)))
        return NULL;
    for (size_t i = 0; i < other->spec->n_cluster_ips; i++)
        take_ip(a, other->spec->cluster_ips[i]);
    for (size_t i = 0; i < other->spec->n_ports; i++)
        take_port(a, other->spec->ports[i]->node_port);
    take_port(a, other->spec->health_check_node_port);
    return NULL;
}

static Meta__Status *read_taken(struct assignment *a)
{
    const struct rest_env env = strategy_rest_env(a->context);
    a->taken = arena_calloc(a->context->arena, 1, sizeof(*a->taken));
    return rest_each_object(&env, resource_find("", "v1", "services"), NULL, take_service, a);
}

/* --- families --- */

static void set_policy(struct assignment *a, const char *policy)
{
    a->spec->ip_family_policy = arena_strdup(a->context->arena, policy);
}

static void add_family(struct assignment *a, const char *family)
{
    char **families = arena_calloc(a->context->arena, a->spec->n_ip_families + 1, sizeof(char *));
    for (size_t i = 0; i < a->spec->n_ip_families; i++)
        families[i] = a->spec->ip_families[i];
    families[a->spec->n_ip_families++] = arena_strdup(a->context->arena, family);
    a->spec->ip_families = families;
}

static void add_other_family(struct assignment *a)
{
    add_family(a, text_eq(a->spec->ip_families[0], "IPv4") ? "IPv6" : "IPv4");
}

static bool is_single(const struct assignment *a)
{
    return text_eq(a->spec->ip_family_policy, "SingleStack");
}

static bool same_texts(char *const *a, size_t a_count, char *const *b, size_t b_count)
{
    bool is_same = a_count == b_count;
    for (size_t i = 0; is_same && i < a_count; i++)
        is_same = text_eq(a[i], b[i]);
    return is_same;
}

static bool has_same_ips(const struct assignment *a)
{
    const Core__ServiceSpec *old = a->old->spec;
    return same_texts(a->spec->cluster_ips, a->spec->n_cluster_ips, old->cluster_ips,
                      old->n_cluster_ips);
}

static bool has_same_families(const struct assignment *a)
{
    const Core__ServiceSpec *old = a->old->spec;
    return same_texts(a->spec->ip_families, a->spec->n_ip_families, old->ip_families,
                      old->n_ip_families);
}

/* A service that prefers two families is not changed when the machine's ranges have. */
static bool is_settled(const struct assignment *a)
{
    return a->old && !service_has_type(a->old, "ExternalName") &&
           text_eq(a->spec->ip_family_policy, "PreferDualStack") &&
           text_eq(a->old->spec->ip_family_policy, "PreferDualStack") && has_same_ips(a) &&
           has_same_families(a);
}

static void infer_policy(struct assignment *a)
{
    if (a->spec->ip_family_policy)
        return;
    if (a->old && a->old->spec->ip_family_policy)
        set_policy(a, a->old->spec->ip_family_policy);
    else if (text_eq(a->spec->cluster_ip, SERVICE_IP_NONE) && a->spec->n_selector == 0)
        set_policy(a, "RequireDualStack");
    else
        set_policy(a, "SingleStack");
}

static void check_policy(struct assignment *a, bool is_wrong, const char *why)
{
    if (is_wrong)
        field_invalid(&a->v, FIELD(FIELD(NULL, "spec"), "ipFamilyPolicy"),
                      a->spec->ip_family_policy, why);
}

/* To go back to one family the policy must say so; then what is too much is dropped. */
static void reduce(struct assignment *a)
{
    if (!a->old)
        return;
    if (is_single(a)) {
        if (has_same_ips(a) && a->spec->n_cluster_ips > 1)
            a->spec->n_cluster_ips = 1;
        if (has_same_families(a) && a->spec->n_ip_families > 1)
            a->spec->n_ip_families = 1;
        return;
    }
    check_policy(a, a->spec->n_cluster_ips == 1 && a->old->spec->n_cluster_ips == 2,
                 "must be 'SingleStack' to release the secondary cluster IP");
    check_policy(a, a->spec->n_ip_families == 1 && a->old->spec->n_ip_families == 2,
                 "must be 'SingleStack' to release the secondary IP family");
}

static void infer_families(struct assignment *a)
{
    for (size_t i = a->spec->n_ip_families; i < a->spec->n_cluster_ips; i++) {
        const char *ip = a->spec->cluster_ips[i];
        if (text_eq(ip, SERVICE_IP_NONE))
            return;
        const char *family = service_family_of(ip);
        if (range_of(a, family))
            add_family(a, family);
        else
            field_invalid_list(
                &a->v, FIELD_AT(FIELD(FIELD(NULL, "spec"), "clusterIPs"), i), a->spec->cluster_ips,
                a->spec->n_cluster_ips,
                arena_printf(a->context->arena, "%s is not configured on this cluster", family));
    }
}

static void check_families(struct assignment *a)
{
    check_policy(a, text_eq(a->spec->ip_family_policy, "RequireDualStack") && a->range_count < 2,
                 "this cluster is not configured for dual-stack services");
    for (size_t i = 0; i < a->spec->n_ip_families; i++) {
        if (!range_of(a, a->spec->ip_families[i]))
            field_invalid(&a->v, FIELD_AT(FIELD(FIELD(NULL, "spec"), "ipFamilies"), i),
                          a->spec->ip_families[i], "not configured on this cluster");
    }
}

static Meta__Status *assign_families(struct assignment *a)
{
    if (service_has_type(a->service, "ExternalName") || is_settled(a))
        return NULL;
    infer_policy(a);
    service_validate_ips(&a->v, a->spec);
    if (a->errors->count > 0)
        return invalid(a);
    reduce(a);
    check_policy(a, is_single(a) && a->spec->n_cluster_ips == 2,
                 "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are "
                 "specified");
    check_policy(a, is_single(a) && a->spec->n_ip_families == 2,
                 "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are "
                 "specified");
    infer_families(a);
    if (a->errors->count > 0)
        return invalid(a);
    /* Without addresses and endpoints of our making any family will do. */
    bool is_free = text_eq(a->spec->cluster_ip, SERVICE_IP_NONE) && a->spec->n_selector == 0;
    if (!is_free)
        check_families(a);
    if (a->errors->count > 0)
        return invalid(a);
    if (a->spec->n_ip_families == 0)
        add_family(a, family_of_range(&a->ranges[0]));
    if (!is_single(a) && a->spec->n_ip_families == 1 && (is_free || a->range_count == 2))
        add_other_family(a);
    return NULL;
}

/* --- addresses --- */

static uint32_t random_below(uint32_t limit)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        base_die("the kernel gives no random numbers");
    return random % limit;
}

static bool is_ip_taken(const struct taken *taken, const struct ip *ip)
{
    for (size_t i = 0; i < taken->ip_count; i++) {
        if (ip_eq(&taken->ips[i], ip))
            return true;
    }
    return false;
}

/* The offset behind the last address that can be given: an IPv4 range ends in its broadcast. */
static uint32_t range_end(const struct ip_range *range)
{
    unsigned host_bits = (range->base.is_v6 ? 128 : 32) - range->prefix_bits;
    if (range->base.is_v6)
        return host_bits >= 16 ? V6_ADDRESSES_MAX : UINT32_C(1) << host_bits;
    uint32_t count = host_bits >= 32 ? UINT32_MAX : UINT32_C(1) << host_bits;
    return count > 0 ? count - 1 : 0;
}

/* Looks from @start to @end, then from @begin to @start. */
static bool find_ip(const struct assignment *a, const struct ip_range *range, uint32_t begin,
                    uint32_t end, struct ip *ret)
{
    if (begin >= end)
        return false;
    uint32_t start = random_below(end - begin);
    for (uint32_t i = 0; i < end - begin; i++) {
        struct ip ip = ip_add(&range->base, begin + (start + i) % (end - begin));
        if (!is_ip_taken(a->taken, &ip)) {
            *ret = ip;
            return true;
        }
    }
    return false;
}

static uint32_t static_part(uint32_t end)
{
    return (uint32_t)clamp_i64(end / IP_STATIC_MIN, IP_STATIC_MIN, IP_STATIC_MAX);
}

static Meta__Status *next_ip(struct assignment *a, const struct ip_range *range, const char **ret)
{
    uint32_t end = range_end(range), part = static_part(end);
    struct ip ip;
    if (part >= end)
        part = FIRST_FREE_OFFSET;
    if (!find_ip(a, range, part, end, &ip) && !find_ip(a, range, FIRST_FREE_OFFSET, part, &ip))
        return failure_new(a->context->arena, 500,
                           "Internal error occurred: failed to allocate a serviceIP: range is "
                           "full");
    *ret = ip_text(&ip, a->context->arena);
    return NULL;
}

static Meta__Status *refuse_ip(struct assignment *a, const char *text, const char *why)
{
    field_invalid_list(&a->v, FIELD(FIELD(NULL, "spec"), "clusterIPs"), a->spec->cluster_ips,
                       a->spec->n_cluster_ips,
                       arena_printf(a->context->arena, "failed to allocate IP %s: %s", text, why));
    return invalid(a);
}

static Meta__Status *claim_ip(struct assignment *a, const struct ip_range *range, const char *text)
{
    struct ip ip, last = ip_add(&range->base, range_end(range));
    if (!ip_parse(text, &ip) || !ip_range_has(range, &ip) || ip_eq(&ip, &range->base) ||
        (!ip.is_v6 && ip_eq(&ip, &last)))
        return refuse_ip(a, text,
                         arena_printf(a->context->arena,
                                      "the provided IP (%s) is not in the valid range. The range "
                                      "of valid IPs is %s",
                                      text, ip_range_text(range, a->context->arena)));
    if (is_ip_taken(a->taken, &ip))
        return refuse_ip(a, text, "provided IP is already allocated");
    return NULL;
}

/* The first address that is to be given out now: all of a new service, the second one of a service
 * that gets a second family. */
static size_t first_new_ip(const struct assignment *a)
{
    if (!a->old || service_has_type(a->old, "ExternalName"))
        return 0;
    bool is_upgrade = a->old->spec->n_ip_families == 1 && a->spec->n_ip_families == 2;
    return is_upgrade && !service_is_headless(a->old) ? 1 : FAMILIES_MAX;
}

static Meta__Status *assign_ips(struct assignment *a)
{
    struct arena *arena = a->context->arena;
    size_t first = first_new_ip(a), count = a->spec->n_ip_families;
    if (service_has_type(a->service, "ExternalName") || service_is_headless(a->service) ||
        first >= count)
        return NULL;
    char **ips = arena_calloc(arena, count, sizeof(*ips));
    for (size_t i = 0; i < count && i < a->spec->n_cluster_ips; i++)
        ips[i] = a->spec->cluster_ips[i];
    for (size_t i = first; i < count; i++) {
        const struct ip_range *range = range_of(a, a->spec->ip_families[i]);
        const char *ip = ips[i];
        Meta__Status *failure = is_empty(ip) ? next_ip(a, range, &ip) : claim_ip(a, range, ip);
        if (failure)
            return failure;
        take_ip(a, ip);
        ips[i] = arena_strdup(arena, ip);
    }
    a->spec->cluster_ips = ips;
    a->spec->n_cluster_ips = count;
    a->spec->cluster_ip = ips[0];
    return NULL;
}

/* --- ports --- */

static bool has_port(const Core__Service *service, int32_t port)
{
    for (size_t i = 0; service && i < service->spec->n_ports; i++) {
        if (service->spec->ports[i]->node_port == port)
            return true;
    }
    return service && service->spec->health_check_node_port == port;
}

/* NULL when @port can be had. */
static const char *port_refusal(const struct assignment *a, int32_t port)
{
    if (has_port(a->old, port))
        return NULL;
    if (port < SERVICE_NODE_PORT_MIN || port > SERVICE_NODE_PORT_MAX)
        return arena_printf(a->context->arena,
                            "provided port is not in the valid range. The range of valid ports is "
                            "%d-%d",
                            SERVICE_NODE_PORT_MIN, SERVICE_NODE_PORT_MAX);
    return a->taken->ports[port - SERVICE_NODE_PORT_MIN] ? "provided port is already allocated"
                                                         : NULL;
}

static bool find_port(const struct assignment *a, uint32_t begin, uint32_t end, int32_t *ret)
{
    uint32_t start = random_below(end - begin);
    for (uint32_t i = 0; i < end - begin; i++) {
        uint32_t at = begin + (start + i) % (end - begin);
        int32_t port = SERVICE_NODE_PORT_MIN + (int32_t)at;
        if (!a->taken->ports[at] && !has_port(a->service, port)) {
            *ret = port;
            return true;
        }
    }
    return false;
}

static Meta__Status *next_port(const struct assignment *a, int32_t *ret)
{
    if (find_port(a, PORT_STATIC_COUNT, PORT_COUNT, ret) || find_port(a, 0, PORT_STATIC_COUNT, ret))
        return NULL;
    return failure_new(a->context->arena, 500,
                       "Internal error occurred: failed to allocate a nodePort: range is full");
}

/* The node port of another of the service's ports with the same number: TCP and UDP share it. */
static int32_t shared_port(const Core__ServiceSpec *spec, const Core__ServicePort *port)
{
    for (size_t i = 0; i < spec->n_ports; i++) {
        const Core__ServicePort *other = spec->ports[i];
        if (other != port && other->port == port->port && other->node_port != 0 &&
            !text_eq(other->protocol, port->protocol))
            return other->node_port;
    }
    return 0;
}

static Meta__Status *assign_port(struct assignment *a, size_t index)
{
    Core__ServicePort *port = a->spec->ports[index];
    if (port->node_port != 0) {
        const char *why = port_refusal(a, port->node_port);
        if (!why)
            return NULL;
        field_invalid_number(
            &a->v, FIELD(FIELD_AT(FIELD(FIELD(NULL, "spec"), "ports"), index), "nodePort"),
            port->node_port, why);
        return invalid(a);
    }
    if (a->spec->has_allocate_load_balancer_node_ports &&
        !a->spec->allocate_load_balancer_node_ports)
        return NULL;
    int32_t number = shared_port(a->spec, port);
    Meta__Status *failure = number ? NULL : next_port(a, &number);
    if (failure)
        return failure;
    port->has_node_port = true;
    port->node_port = number;
    return NULL;
}

static Meta__Status *assign_health_check(struct assignment *a)
{
    if (!service_needs_health_check(a->service))
        return NULL;
    if (a->spec->health_check_node_port == 0) {
        a->spec->has_health_check_node_port = true;
        return next_port(a, &a->spec->health_check_node_port);
    }
    const char *why = port_refusal(a, a->spec->health_check_node_port);
    if (!why)
        return NULL;
    return failure_new(a->context->arena, 500,
                       "Internal error occurred: failed to allocate requested HealthCheck NodePort "
                       "%d: %s",
                       a->spec->health_check_node_port, why);
}

static Meta__Status *assign_ports(struct assignment *a)
{
    if (!service_needs_node_ports(a->service))
        return NULL;
    /* Those asked for come first, so that no other port of the service is given one of them. */
    for (int is_new = 0; is_new < 2; is_new++) {
        for (size_t i = 0; i < a->spec->n_ports; i++) {
            bool is_open = a->spec->ports[i]->node_port == 0;
            Meta__Status *failure = is_open == (is_new == 1) ? assign_port(a, i) : NULL;
            if (failure)
                return failure;
        }
    }
    return assign_health_check(a);
}

Meta__Status *service_ip_assign(const struct strategy_context *context, Core__Service *service,
                                const Core__Service *old)
{
    struct assignment *a = arena_calloc(context->arena, 1, sizeof(*a));
    a->context = context;
    a->service = service;
    a->spec = service->spec;
    a->old = old && old->spec ? old : NULL;
    a->errors = arena_calloc(context->arena, 1, sizeof(*a->errors));
    a->errors->arena = context->arena;
    a->v = strategy_validation(context, a->errors);
    Meta__Status *failure = read_ranges(a);
    if (!failure)
        failure = assign_families(a);
    if (!failure)
        failure = read_taken(a);
    if (!failure)
        failure = assign_ips(a);
    return failure ? failure : assign_ports(a);
}
