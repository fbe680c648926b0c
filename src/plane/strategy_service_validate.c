/*
 * The rules of services (ValidateService and its kin). They are asked after addresses and ports
 * were assigned.
 */
#include "plane/strategy_service.h"

#include "plane/ip_text.h"

#define PORT_MAX 65535
#define AFFINITY_TIMEOUT_MAX_S 86400

/* --- addresses --- */

static void check_families(struct validation *v, const Core__ServiceSpec *spec)
{
    static const char *const families[] = {"IPv4", "IPv6", NULL};
    static const char *const policies[] = {"PreferDualStack", "RequireDualStack", "SingleStack",
                                           NULL};
    const struct field_path *path = FIELD(FIELD(NULL, "spec"), "ipFamilies");
    for (size_t i = 0; i < spec->n_ip_families; i++) {
        if (!is_one_of(spec->ip_families[i], families))
            field_not_supported(v, FIELD_AT(path, i), spec->ip_families[i], families);
        for (size_t k = 0; k < i; k++) {
            if (text_eq(spec->ip_families[i], spec->ip_families[k]))
                field_duplicate(v, FIELD_AT(path, i), spec->ip_families[i]);
        }
    }
    if (spec->ip_family_policy && !is_one_of(spec->ip_family_policy, policies))
        field_not_supported(v, FIELD(FIELD(NULL, "spec"), "ipFamilyPolicy"), spec->ip_family_policy,
                            policies);
}

static void bad_ips(struct validation *v, const Core__ServiceSpec *spec, const char *why)
{
    field_invalid_list(v, FIELD(FIELD(NULL, "spec"), "clusterIPs"), spec->cluster_ips,
                       spec->n_cluster_ips, why);
}

/* clusterIP is the first of clusterIPs. */
static void check_singular(struct validation *v, const Core__ServiceSpec *spec)
{
    if (is_empty(spec->cluster_ip)) {
        if (spec->n_cluster_ips > 0)
            bad_ips(v, spec, "must be empty when `clusterIP` is not specified");
    } else if (spec->n_cluster_ips == 0) {
        field_required(v, FIELD(FIELD(NULL, "spec"), "clusterIPs"), NULL);
    } else if (!text_eq(spec->cluster_ips[0], spec->cluster_ip)) {
        bad_ips(v, spec, "first value must match `clusterIP`");
    }
}

/* False when there is one that is no address. */
static bool check_each_ip(struct validation *v, const Core__ServiceSpec *spec)
{
    const struct field_path *path = FIELD(FIELD(NULL, "spec"), "clusterIPs");
    size_t before = v->errors->count + v->errors->omitted;
    for (size_t i = 0; i < spec->n_cluster_ips; i++) {
        const char *ip = spec->cluster_ips[i];
        if (i > 0 || !text_eq(ip, SERVICE_IP_NONE))
            field_check_name(v, FIELD_AT(path, i), ip, name_rule_ip);
        else if (spec->n_cluster_ips > 1)
            bad_ips(v, spec, "'None' must be the first and only value");
    }
    return v->errors->count + v->errors->omitted == before;
}

static void check_ip_family(struct validation *v, const Core__ServiceSpec *spec, size_t i)
{
    const char *ip = spec->cluster_ips[i], *want = spec->ip_families[i];
    if (text_eq(ip, SERVICE_IP_NONE) || text_eq(service_family_of(ip), want))
        return;
    field_invalid(v, FIELD_AT(FIELD(FIELD(NULL, "spec"), "clusterIPs"), i), ip,
                  arena_printf(v->scratch, "expected an %s value as indicated by `ipFamilies[%zu]`",
                               want, i));
}

void service_validate_ips(struct validation *v, const Core__ServiceSpec *spec)
{
    check_singular(v, spec);
    check_families(v, spec);
    bool are_ips = check_each_ip(v, spec);
    if (spec->n_cluster_ips > 2)
        bad_ips(v, spec, "may only hold up to 2 values");
    if (!are_ips)
        return;
    if (spec->n_cluster_ips == 2 &&
        text_eq(service_family_of(spec->cluster_ips[0]), service_family_of(spec->cluster_ips[1])))
        bad_ips(v, spec, "may specify no more than one IP for each IP family");
    for (size_t i = 0; i < spec->n_cluster_ips && i < spec->n_ip_families; i++)
        check_ip_family(v, spec, i);
}

static void check_external_ips(struct validation *v, const Core__ServiceSpec *spec)
{
    const struct field_path *path = FIELD(FIELD(NULL, "spec"), "externalIPs");
    for (size_t i = 0; i < spec->n_external_ips; i++) {
        struct ip ip;
        if (ip_parse(spec->external_ips[i], &ip))
            field_check_non_special_ip(v, FIELD_AT(path, i), spec->external_ips[i]);
        else
            field_check_name(v, FIELD_AT(path, i), spec->external_ips[i], name_rule_ip);
    }
}

/* --- ports --- */

static void check_target_port(struct validation *v, const struct field_path *path,
                              const Meta__IntOrString *target)
{
    if (!target)
        return;
    if (target->type == 1)
        field_check_name(v, path, target->str_val, name_rule_port_name);
    else
        field_check_range(v, path, target->int_val, 1, PORT_MAX);
}

static void check_port(struct validation *v, const struct field_path *path,
                       const Core__ServicePort *port)
{
    field_check_range(v, FIELD(path, "port"), port->port, 1, PORT_MAX);
    field_check_enum(v, FIELD(path, "protocol"), port->protocol, strategy_protocols);
    check_target_port(v, FIELD(path, "targetPort"), port->target_port);
    if (port->app_protocol)
        field_check_name(v, FIELD(path, "appProtocol"), port->app_protocol, name_rule_qualified);
}

static void check_duplicates(struct validation *v, const Core__ServiceSpec *spec)
{
    const struct field_path *path = FIELD(FIELD(NULL, "spec"), "ports");
    struct text_map node_ports = {.arena = v->scratch}, ports = {.arena = v->scratch};
    for (size_t i = 0; i < spec->n_ports; i++) {
        const Core__ServicePort *port = spec->ports[i];
        const char *protocol = or_empty(port->protocol);
        if (port->node_port != 0 &&
            !text_map_add(&node_ports, arena_printf(v->scratch, "%s/%d", protocol, port->node_port),
                          i))
            field_duplicate(v, FIELD(FIELD_AT(path, i), "nodePort"),
                            arena_printf(v->scratch, "%d", port->node_port));
        if (!text_map_add(&ports, arena_printf(v->scratch, "%s/%d", protocol, port->port), i))
            field_duplicate(v, FIELD_AT(path, i),
                            arena_printf(v->scratch, "{\"port\":%d,\"protocol\":\"%s\"}",
                                         port->port, protocol));
    }
}

static void check_ports(struct validation *v, const Core__Service *service)
{
    const Core__ServiceSpec *spec = service->spec;
    const struct field_path *path = FIELD(FIELD(NULL, "spec"), "ports");
    struct text_map names = {.arena = v->scratch};
    if (spec->n_ports == 0 && !service_is_headless(service) &&
        !service_has_type(service, "ExternalName"))
        field_required(v, path, NULL);
    for (size_t i = 0; i < spec->n_ports; i++) {
        const Core__ServicePort *port = spec->ports[i];
        const struct field_path *at = FIELD_AT(path, i);
        if (is_empty(port->name) && spec->n_ports > 1)
            field_required(v, FIELD(at, "name"), NULL);
        if (!is_empty(port->name)) {
            field_check_name(v, FIELD(at, "name"), port->name, name_rule_dns1123_label);
            if (!text_map_add(&names, port->name, i))
                field_duplicate(v, FIELD(at, "name"), port->name);
        }
        check_port(v, at, port);
        if (service_has_type(service, "ClusterIP") && port->node_port != 0)
            field_forbidden(v, FIELD(at, "nodePort"), "may not be used when `type` is 'ClusterIP'");
    }
    check_duplicates(v, spec);
}

/* --- the rest --- */

static void check_external_name(struct validation *v, const Core__ServiceSpec *spec)
{
    const struct field_path *path = FIELD(NULL, "spec");
    if (spec->n_cluster_ips > 0)
        field_forbidden(v, FIELD(path, "clusterIPs"), "may not be set for ExternalName services");
    if (spec->n_ip_families > 0)
        field_forbidden(v, FIELD(path, "ipFamilies"), "may not be set for ExternalName services");
    if (spec->ip_family_policy)
        field_forbidden(v, FIELD(path, "ipFamilyPolicy"),
                        "may not be set for ExternalName services");
    const char *name = or_empty(spec->external_name);
    size_t len = strlen(name);
    if (len > 0 && name[len - 1] == '.') /* fully qualified */
        len--;
    if (len == 0)
        field_required(v, FIELD(path, "externalName"), NULL);
    else
        field_check_name(v, FIELD(path, "externalName"), arena_strndup(v->scratch, name, len),
                         name_rule_dns1123_subdomain);
}

static void check_type(struct validation *v, const Core__Service *service)
{
    static const char *const types[] = {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort",
                                        NULL};
    const struct field_path *path = FIELD(NULL, "spec");
    field_check_enum(v, FIELD(path, "type"), service->spec->type, types);
    if (service_has_type(service, "ExternalName"))
        check_external_name(v, service->spec);
    if (service_needs_node_ports(service) && service_is_headless(service))
        field_invalid(v, FIELD_AT(FIELD(path, "clusterIPs"), 0), SERVICE_IP_NONE,
                      arena_printf(v->scratch, "may not be set to 'None' for %s services",
                                   service->spec->type));
}

static void check_affinity(struct validation *v, const Core__ServiceSpec *spec)
{
    static const char *const affinities[] = {"ClientIP", "None", NULL};
    const struct field_path *path = FIELD(NULL, "spec");
    const struct field_path *config = FIELD(path, "sessionAffinityConfig");
    field_check_enum(v, FIELD(path, "sessionAffinity"), spec->session_affinity, affinities);
    if (!text_eq(spec->session_affinity, "ClientIP"))
        return;
    const Core__ClientIPConfig *client =
        spec->session_affinity_config ? spec->session_affinity_config->client_ip : NULL;
    if (!client || !client->has_timeout_seconds) {
        field_required(v, FIELD(config, "clientIP"), NULL);
        return;
    }
    if (client->timeout_seconds <= 0 || client->timeout_seconds > AFFINITY_TIMEOUT_MAX_S)
        field_invalid_number(v, FIELD(FIELD(config, "clientIP"), "timeoutSeconds"),
                             client->timeout_seconds, "must be greater than 0 and less than 86400");
}

static void check_load_balancer(struct validation *v, const Core__Service *service)
{
    const Core__ServiceSpec *spec = service->spec;
    const struct field_path *path = FIELD(NULL, "spec");
    bool is_balanced = service_has_type(service, "LoadBalancer");
    static const char only[] = "may only be used when `type` is 'LoadBalancer'";
    if (spec->n_load_balancer_source_ranges > 0 && !is_balanced)
        field_forbidden(v, FIELD(path, "LoadBalancerSourceRanges"), only);
    for (size_t i = 0; i < spec->n_load_balancer_source_ranges; i++) {
        struct str range = str_trim(str_from(spec->load_balancer_source_ranges[i]));
        field_check_cidr(v, FIELD_AT(FIELD(path, "LoadBalancerSourceRanges"), i),
                         arena_strndup(v->scratch, range.ptr, range.len));
    }
    if (spec->has_allocate_load_balancer_node_ports && !is_balanced)
        field_forbidden(v, FIELD(path, "allocateLoadBalancerNodePorts"), only);
    if (spec->load_balancer_class && !is_balanced)
        field_forbidden(v, FIELD(path, "loadBalancerClass"), only);
    if (spec->load_balancer_class && is_balanced)
        field_check_name(v, FIELD(path, "loadBalancerClass"), spec->load_balancer_class,
                         name_rule_qualified);
}

static void check_traffic(struct validation *v, const Core__Service *service)
{
    static const char *const policies[] = {"Cluster", "Local", NULL};
    static const char *const distributions[] = {"PreferClose", "PreferSameNode", "PreferSameZone",
                                                NULL};
    const Core__ServiceSpec *spec = service->spec;
    const struct field_path *path = FIELD(NULL, "spec");
    const struct field_path *external = FIELD(path, "externalTrafficPolicy");
    if (service_is_externally_accessible(service))
        field_check_enum(v, external, spec->external_traffic_policy, policies);
    else if (!is_empty(spec->external_traffic_policy))
        field_invalid(v, external, spec->external_traffic_policy,
                      "may only be set for externally-accessible services");
    if (!service_needs_health_check(service) && spec->health_check_node_port != 0)
        field_invalid_number(v, FIELD(path, "healthCheckNodePort"), spec->health_check_node_port,
                             "may only be set when `type` is 'LoadBalancer' and "
                             "`externalTrafficPolicy` is 'Local'");
    if (spec->internal_traffic_policy && !is_one_of(spec->internal_traffic_policy, policies))
        field_not_supported(v, FIELD(path, "internalTrafficPolicy"), spec->internal_traffic_policy,
                            policies);
    if (spec->traffic_distribution && !is_one_of(spec->traffic_distribution, distributions))
        field_not_supported(v, FIELD(path, "trafficDistribution"), spec->traffic_distribution,
                            distributions);
}

static void check_selector(struct validation *v, const Core__ServiceSpec *spec)
{
    const struct field_path *path = FIELD(FIELD(NULL, "spec"), "selector");
    for (size_t i = 0; i < spec->n_selector; i++) {
        field_check_name(v, path, spec->selector[i]->key, name_rule_qualified);
        field_check_name(v, path, spec->selector[i]->value, name_rule_label_value);
    }
}

/* --- changes --- */

static void check_ip_change(struct validation *v, const Core__ServiceSpec *spec,
                            const Core__ServiceSpec *old)
{
    const struct field_path *path = FIELD(FIELD(NULL, "spec"), "clusterIPs");
    if (old->n_cluster_ips > 0 && spec->n_cluster_ips == 0)
        field_invalid_list(v, FIELD_AT(path, 0), spec->cluster_ips, spec->n_cluster_ips,
                           "primary clusterIP can not be unset");
    for (size_t i = 0; i < spec->n_cluster_ips && i < old->n_cluster_ips; i++) {
        if (!text_eq(spec->cluster_ips[i], old->cluster_ips[i]))
            field_invalid_list(v, FIELD_AT(path, i), spec->cluster_ips, spec->n_cluster_ips,
                               "may not change once set");
    }
}

static void check_family_change(struct validation *v, const Core__ServiceSpec *spec,
                                const Core__ServiceSpec *old)
{
    const struct field_path *path = FIELD(FIELD(NULL, "spec"), "ipFamilies");
    for (size_t i = 0; i < spec->n_ip_families && i < old->n_ip_families; i++) {
        if (!text_eq(spec->ip_families[i], old->ip_families[i]))
            field_invalid_list(v, FIELD_AT(path, 0), spec->ip_families, spec->n_ip_families,
                               "may not change once set");
    }
}

static void check_change(struct validation *v, const Core__Service *service,
                         const Core__Service *old)
{
    bool has_name =
        service_has_type(service, "ExternalName") || service_has_type(old, "ExternalName");
    bool is_headless = service_is_headless(service), was_headless = service_is_headless(old);
    if (!has_name && !(is_headless && was_headless))
        check_ip_change(v, service->spec, old->spec);
    if (!has_name && !is_headless && !was_headless)
        check_family_change(v, service->spec, old->spec);
    if (service_has_type(service, "LoadBalancer") && service_has_type(old, "LoadBalancer") &&
        !text_eq(service->spec->load_balancer_class, old->spec->load_balancer_class))
        field_invalid(v, FIELD(FIELD(NULL, "spec"), "loadBalancerClass"),
                      service->spec->load_balancer_class, "may not change once set");
    if (service_needs_health_check(service) && service_needs_health_check(old) &&
        service->spec->health_check_node_port != old->spec->health_check_node_port)
        field_forbidden(v, FIELD(FIELD(NULL, "spec"), "healthCheckNodePort"), "field is immutable");
}

void service_validate(const struct strategy_context *context, const ProtobufCMessage *object,
                      const ProtobufCMessage *old_object, struct field_errors *errors)
{
    const Core__Service *service = (const Core__Service *)object;
    const Core__Service *old = (const Core__Service *)old_object;
    struct validation v = strategy_validation(context, errors);
    if (old && strategy_is_through(context, "status")) {
        meta_validate_update(&v, service->metadata, old->metadata);
        return;
    }
    if (old) {
        meta_validate_new_finalizers(&v, service->metadata, old->metadata);
        if (old->spec)
            check_change(&v, service, old);
    }
    meta_validate(&v, service->metadata, META_NAMESPACED, name_rule_dns1035_label);
    check_type(&v, service);
    check_ports(&v, service);
    check_selector(&v, service->spec);
    check_affinity(&v, service->spec);
    if (!service_has_type(service, "ExternalName"))
        service_validate_ips(&v, service->spec);
    check_external_ips(&v, service->spec);
    check_load_balancer(&v, service);
    check_traffic(&v, service);
}
