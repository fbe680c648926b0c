/*
 * Services: defaults, and what of the former state an update keeps when the client leaves it out or
 * when the type changes.
 */
#include "plane/strategy_service.h"

#include "plane/service_ip.h"

/* pkg/apis/core/v1/defaults.go */
#define CLIENT_IP_TIMEOUT_S 10800

bool service_is_headless(const Core__Service *service)
{
    return service->spec->n_cluster_ips == 1 &&
           text_eq(service->spec->cluster_ips[0], SERVICE_IP_NONE);
}

bool service_has_type(const Core__Service *service, const char *type)
{
    return text_eq(service->spec->type, type);
}

bool service_needs_node_ports(const Core__Service *service)
{
    return service_has_type(service, "NodePort") || service_has_type(service, "LoadBalancer");
}

bool service_needs_health_check(const Core__Service *service)
{
    return service_has_type(service, "LoadBalancer") &&
           text_eq(service->spec->external_traffic_policy, "Local");
}

bool service_is_externally_accessible(const Core__Service *service)
{
    return service_needs_node_ports(service) ||
           (service_has_type(service, "ClusterIP") && service->spec->n_external_ips > 0);
}

const char *service_family_of(const char *ip)
{
    return strchr(ip, ':') ? "IPv6" : "IPv4";
}

/* --- defaults --- */

static void default_port(Core__ServicePort *port, struct arena *arena)
{
    strategy_default_text(&port->protocol, "TCP", arena);
    Meta__IntOrString *target = port->target_port;
    bool is_text = target && target->type == 1;
    if (target && (is_text ? !is_empty(target->str_val) : target->int_val != 0))
        return;
    target = NEW_MESSAGE(arena, Meta__IntOrString, meta__int_or_string);
    target->has_type = true;
    target->has_int_val = true;
    target->int_val = port->port;
    port->target_port = target;
}

static void default_affinity(Core__ServiceSpec *spec, struct arena *arena)
{
    strategy_default_text(&spec->session_affinity, "None", arena);
    if (text_eq(spec->session_affinity, "None"))
        spec->session_affinity_config = NULL;
    if (!text_eq(spec->session_affinity, "ClientIP"))
        return;
    if (!spec->session_affinity_config)
        spec->session_affinity_config =
            NEW_MESSAGE(arena, Core__SessionAffinityConfig, core__session_affinity_config);
    Core__SessionAffinityConfig *config = spec->session_affinity_config;
    if (!config->client_ip)
        config->client_ip = NEW_MESSAGE(arena, Core__ClientIPConfig, core__client_ipconfig);
    if (!config->client_ip->has_timeout_seconds) {
        config->client_ip->has_timeout_seconds = true;
        config->client_ip->timeout_seconds = CLIENT_IP_TIMEOUT_S;
    }
}

static void set_defaults(ProtobufCMessage *object, struct arena *arena)
{
    Core__Service *service = (Core__Service *)object;
    if (!service->spec)
        service->spec = NEW_MESSAGE(arena, Core__ServiceSpec, core__service_spec);
    Core__ServiceSpec *spec = service->spec;
    default_affinity(spec, arena);
    strategy_default_text(&spec->type, "ClusterIP", arena);
    for (size_t i = 0; i < spec->n_ports; i++)
        default_port(spec->ports[i], arena);
    if (service_is_externally_accessible(service))
        strategy_default_text(&spec->external_traffic_policy, "Cluster", arena);
    if (!service_has_type(service, "ExternalName") && !spec->internal_traffic_policy)
        spec->internal_traffic_policy = arena_strdup(arena, "Cluster");
    if (service_has_type(service, "LoadBalancer") && !spec->has_allocate_load_balancer_node_ports) {
        spec->has_allocate_load_balancer_node_ports = true;
        spec->allocate_load_balancer_node_ports = true;
    }
}

/* --- clusterIP and clusterIPs --- */

static void set_only_ip(Core__ServiceSpec *spec, struct arena *arena)
{
    spec->n_cluster_ips = 0;
    if (is_empty(spec->cluster_ip))
        return;
    spec->cluster_ips = arena_calloc(arena, 1, sizeof(*spec->cluster_ips));
    spec->cluster_ips[spec->n_cluster_ips++] = spec->cluster_ip;
}

static bool same_ips(const Core__ServiceSpec *a, const Core__ServiceSpec *b)
{
    bool is_same = a->n_cluster_ips == b->n_cluster_ips;
    for (size_t i = 0; is_same && i < a->n_cluster_ips; i++)
        is_same = text_eq(a->cluster_ips[i], b->cluster_ips[i]);
    return is_same;
}

static bool same_families(const Core__ServiceSpec *a, const Core__ServiceSpec *b)
{
    bool is_same = a->n_ip_families == b->n_ip_families;
    for (size_t i = 0; is_same && i < a->n_ip_families; i++)
        is_same = text_eq(a->ip_families[i], b->ip_families[i]);
    return is_same;
}

/* Older clients know only the singular. */
static void sync_ips(Core__ServiceSpec *spec, const Core__ServiceSpec *old, struct arena *arena)
{
    if (!old) {
        if (!is_empty(spec->cluster_ip) && spec->n_cluster_ips == 0)
            set_only_ip(spec, arena);
        return;
    }
    bool is_same = text_eq(or_empty(spec->cluster_ip), or_empty(old->cluster_ip));
    if (is_same && spec->n_cluster_ips == 0) {
        spec->n_cluster_ips = old->n_cluster_ips;
        spec->cluster_ips = old->cluster_ips;
    } else if (!is_same && same_ips(spec, old)) {
        set_only_ip(spec, arena);
    }
}

/* --- what an update keeps --- */

static bool is_port_used(const Core__ServiceSpec *spec, int32_t node_port)
{
    for (size_t i = 0; i < spec->n_ports; i++) {
        if (spec->ports[i]->node_port == node_port)
            return true;
    }
    return false;
}

/* By name: the client may have changed everything else. */
static void keep_node_ports(Core__ServiceSpec *spec, const Core__ServiceSpec *old)
{
    for (size_t i = 0; i < spec->n_ports; i++) {
        Core__ServicePort *port = spec->ports[i];
        for (size_t k = 0; k < old->n_ports && port->node_port == 0; k++) {
            if (!text_eq(or_empty(old->ports[k]->name), or_empty(port->name)) ||
                is_port_used(spec, old->ports[k]->node_port))
                continue;
            port->has_node_port = old->ports[k]->has_node_port;
            port->node_port = old->ports[k]->node_port;
        }
    }
}

static void keep_allocated(Core__Service *service, const Core__Service *old)
{
    bool has_ips =
        !service_has_type(old, "ExternalName") && !service_has_type(service, "ExternalName");
    if (has_ips && is_empty(service->spec->cluster_ip) && service->spec->n_cluster_ips == 0) {
        service->spec->cluster_ip = old->spec->cluster_ip;
        service->spec->n_cluster_ips = old->spec->n_cluster_ips;
        service->spec->cluster_ips = old->spec->cluster_ips;
    }
    if (service_needs_node_ports(old) && service_needs_node_ports(service))
        keep_node_ports(service->spec, old->spec);
    if (service_needs_health_check(old) && service_needs_health_check(service) &&
        service->spec->health_check_node_port == 0) {
        service->spec->has_health_check_node_port = true;
        service->spec->health_check_node_port = old->spec->health_check_node_port;
    }
}

/* --- what a change of type drops, unless the client changed it too --- */

static void drop_ips(Core__ServiceSpec *spec, const Core__ServiceSpec *old)
{
    if (same_ips(spec, old)) {
        spec->cluster_ip = NULL;
        spec->n_cluster_ips = 0;
    }
    if (same_families(spec, old))
        spec->n_ip_families = 0;
    if (text_eq(spec->ip_family_policy, old->ip_family_policy))
        spec->ip_family_policy = NULL;
}

static void drop_node_ports(Core__ServiceSpec *spec, const Core__ServiceSpec *old)
{
    for (size_t i = 0; i < spec->n_ports; i++) {
        if (spec->ports[i]->node_port != 0 && is_port_used(old, spec->ports[i]->node_port)) {
            spec->ports[i]->has_node_port = false;
            spec->ports[i]->node_port = 0;
        }
    }
}

static void drop_load_balancer(Core__ServiceSpec *spec, const Core__ServiceSpec *old)
{
    if (spec->allocate_load_balancer_node_ports == old->allocate_load_balancer_node_ports) {
        spec->has_allocate_load_balancer_node_ports = false;
        spec->allocate_load_balancer_node_ports = false;
    }
    if (text_eq(spec->load_balancer_class, old->load_balancer_class))
        spec->load_balancer_class = NULL;
}

static void drop_dependent(Core__Service *service, const Core__Service *old)
{
    Core__ServiceSpec *spec = service->spec;
    bool was_name = service_has_type(old, "ExternalName");
    bool is_name = service_has_type(service, "ExternalName");
    if (!was_name && is_name)
        drop_ips(spec, old->spec);
    if (was_name && !is_name && text_eq(spec->external_name, old->spec->external_name))
        spec->external_name = NULL;
    if (service_needs_node_ports(old) && !service_needs_node_ports(service))
        drop_node_ports(spec, old->spec);
    if (service_needs_health_check(old) && !service_needs_health_check(service) &&
        spec->health_check_node_port == old->spec->health_check_node_port) {
        spec->has_health_check_node_port = false;
        spec->health_check_node_port = 0;
    }
    if (service_has_type(old, "LoadBalancer") && !service_has_type(service, "LoadBalancer"))
        drop_load_balancer(spec, old->spec);
    if (service_is_externally_accessible(old) && !service_is_externally_accessible(service) &&
        text_eq(spec->external_traffic_policy, old->spec->external_traffic_policy))
        spec->external_traffic_policy = NULL;
}

/* --- the strategy --- */

static void empty_status(Core__Service *service, struct arena *arena)
{
    service->status = NEW_MESSAGE(arena, Core__ServiceStatus, core__service_status);
    service->status->load_balancer =
        NEW_MESSAGE(arena, Core__LoadBalancerStatus, core__load_balancer_status);
}

static Meta__Status *prepare_create(const struct strategy_context *context,
                                    ProtobufCMessage *object)
{
    Core__Service *service = (Core__Service *)object;
    empty_status(service, context->arena);
    sync_ips(service->spec, NULL, context->arena);
    return service_ip_assign(context, service, NULL);
}

static Meta__Status *prepare_update(const struct strategy_context *context,
                                    ProtobufCMessage *object, const ProtobufCMessage *old_object)
{
    Core__Service *service = (Core__Service *)object;
    const Core__Service *old = (const Core__Service *)old_object;
    if (strategy_is_through(context, "status")) {
        service->spec = old->spec;
        return NULL;
    }
    service->status = old->status;
    if (!old->spec)
        return service_ip_assign(context, service, NULL);
    keep_allocated(service, old);
    sync_ips(service->spec, old->spec, context->arena);
    drop_dependent(service, old);
    return service_ip_assign(context, service, old);
}

const struct strategy strategy_service = {
    .set_defaults = set_defaults,
    .prepare_create = prepare_create,
    .prepare_update = prepare_update,
    .validate = service_validate,
    .creates_on_update = true,
    .returns_deleted = true,
};
