/*
 * Endpoints and EndpointSlices: who serves a service.
 */
#include "plane/strategy_internal.h"

#include "plane/ip_text.h"

#include "discovery.pb-c.h"

#define PORT_MAX 65535
/* pkg/apis/discovery/validation */
#define SLICE_ENDPOINTS_MAX 1000
#define SLICE_ADDRESSES_MAX 100
#define SLICE_PORTS_MAX 20000

static void check_protocol(struct validation *v, const struct field_path *path,
                           const char *protocol)
{
    field_check_enum(v, path, protocol, strategy_protocols);
}

/* --- Endpoints --- */

static void default_endpoints(ProtobufCMessage *object, struct arena *arena)
{
    Core__Endpoints *endpoints = (Core__Endpoints *)object;
    for (size_t i = 0; i < endpoints->n_subsets; i++) {
        Core__EndpointSubset *subset = endpoints->subsets[i];
        for (size_t k = 0; k < subset->n_ports; k++)
            strategy_default_text(&subset->ports[k]->protocol, "TCP", arena);
    }
}

static void check_address(struct validation *v, const struct field_path *path,
                          const Core__EndpointAddress *address)
{
    field_check_name(v, FIELD(path, "ip"), address->ip, name_rule_ip);
    if (!is_empty(address->hostname))
        field_check_name(v, FIELD(path, "hostname"), address->hostname, name_rule_dns1123_label);
    if (address->node_name)
        field_check_name(v, FIELD(path, "nodeName"), address->node_name,
                         name_rule_dns1123_subdomain);
    struct ip ip;
    if (ip_parse(or_empty(address->ip), &ip))
        field_check_non_special_ip(v, FIELD(path, "ip"), address->ip);
}

static void check_port(struct validation *v, const struct field_path *path,
                       const Core__EndpointPort *port, bool needs_name)
{
    if (!is_empty(port->name))
        field_check_name(v, FIELD(path, "name"), port->name, name_rule_dns1123_label);
    else if (needs_name)
        field_required(v, FIELD(path, "name"), NULL);
    field_check_range(v, FIELD(path, "port"), port->port, 1, PORT_MAX);
    check_protocol(v, FIELD(path, "protocol"), port->protocol);
    if (port->app_protocol)
        field_check_name(v, FIELD(path, "appProtocol"), port->app_protocol, name_rule_qualified);
}

static void check_subset(struct validation *v, const struct field_path *path,
                         const Core__EndpointSubset *subset)
{
    if (subset->n_addresses == 0 && subset->n_not_ready_addresses == 0)
        field_required(v, path, "must specify `addresses` or `notReadyAddresses`");
    for (size_t i = 0; i < subset->n_addresses; i++)
        check_address(v, FIELD_AT(FIELD(path, "addresses"), i), subset->addresses[i]);
    for (size_t i = 0; i < subset->n_not_ready_addresses; i++)
        check_address(v, FIELD_AT(FIELD(path, "notReadyAddresses"), i),
                      subset->not_ready_addresses[i]);
    for (size_t i = 0; i < subset->n_ports; i++)
        check_port(v, FIELD_AT(FIELD(path, "ports"), i), subset->ports[i], subset->n_ports > 1);
}

static void validate_endpoints(const struct strategy_context *context,
                               const ProtobufCMessage *object, const ProtobufCMessage *old,
                               struct field_errors *errors)
{
    const Core__Endpoints *endpoints = (const Core__Endpoints *)object;
    struct validation v = strategy_validation(context, errors);
    if (old)
        meta_validate_new_finalizers(&v, endpoints->metadata, kube_object_meta(old));
    meta_validate(&v, endpoints->metadata, META_NAMESPACED, name_rule_dns1123_subdomain);
    for (size_t i = 0; i < endpoints->n_subsets; i++)
        check_subset(&v, FIELD_AT(FIELD(NULL, "subsets"), i), endpoints->subsets[i]);
}

const struct strategy strategy_endpoints = {
    .set_defaults = default_endpoints,
    .validate = validate_endpoints,
    .creates_on_update = true,
};

/* --- EndpointSlice --- */

static void default_slice(ProtobufCMessage *object, struct arena *arena)
{
    Discovery__EndpointSlice *slice = (Discovery__EndpointSlice *)object;
    for (size_t i = 0; i < slice->n_ports; i++) {
        if (!slice->ports[i]->name)
            slice->ports[i]->name = arena_strdup(arena, "");
        strategy_default_text(&slice->ports[i]->protocol, "TCP", arena);
    }
}

static void check_slice_address(struct validation *v, const struct field_path *path,
                                const char *type, const char *address)
{
    struct ip ip;
    bool is_ip = ip_parse(or_empty(address), &ip);
    if (text_eq(type, "FQDN"))
        field_check_name(v, path, address, name_rule_dns1123_subdomain);
    else if (text_eq(type, "IPv4") && (!is_ip || ip.is_v6))
        field_invalid(v, path, address, "must be a valid IPv4 address");
    else if (text_eq(type, "IPv6") && (!is_ip || !ip.is_v6))
        field_invalid(v, path, address, "must be a valid IPv6 address");
    else
        field_check_non_special_ip(v, path, address);
}

static void check_slice_endpoint(struct validation *v, const struct field_path *path,
                                 const char *type, const Discovery__Endpoint *endpoint)
{
    const struct field_path *addresses = FIELD(path, "addresses");
    if (endpoint->n_addresses == 0)
        field_required(v, addresses, "must contain at least 1 address");
    else if (endpoint->n_addresses > SLICE_ADDRESSES_MAX)
        field_too_many(v, addresses, endpoint->n_addresses, SLICE_ADDRESSES_MAX);
    for (size_t i = 0; i < endpoint->n_addresses; i++)
        check_slice_address(v, FIELD_AT(addresses, i), type, endpoint->addresses[i]);
    if (endpoint->hostname)
        field_check_name(v, FIELD(path, "hostname"), endpoint->hostname, name_rule_dns1123_label);
    if (endpoint->node_name)
        field_check_name(v, FIELD(path, "nodeName"), endpoint->node_name,
                         name_rule_dns1123_subdomain);
}

static void check_slice_ports(struct validation *v, const Discovery__EndpointSlice *slice)
{
    const struct field_path *ports = FIELD(NULL, "ports");
    struct text_map names = {.arena = v->scratch};
    for (size_t i = 0; i < slice->n_ports; i++) {
        const Discovery__EndpointPort *port = slice->ports[i];
        const struct field_path *at = FIELD_AT(ports, i);
        if (!is_empty(port->name))
            field_check_name(v, FIELD(at, "name"), port->name, name_rule_dns1123_label);
        if (!text_map_add(&names, or_empty(port->name), i))
            field_duplicate(v, FIELD(at, "name"), port->name);
        check_protocol(v, FIELD(at, "protocol"), port->protocol);
        if (port->app_protocol)
            field_check_name(v, FIELD(at, "appProtocol"), port->app_protocol, name_rule_qualified);
    }
}

static void validate_slice(const struct strategy_context *context, const ProtobufCMessage *object,
                           const ProtobufCMessage *old, struct field_errors *errors)
{
    static const char *const types[] = {"FQDN", "IPv4", "IPv6", NULL};
    const Discovery__EndpointSlice *slice = (const Discovery__EndpointSlice *)object;
    struct validation v = strategy_validation(context, errors);
    if (old)
        meta_validate_new_finalizers(&v, slice->metadata, kube_object_meta(old));
    meta_validate(&v, slice->metadata, META_NAMESPACED, name_rule_dns1123_subdomain);
    field_check_enum(&v, FIELD(NULL, "addressType"), slice->address_type, types);
    if (slice->n_endpoints > SLICE_ENDPOINTS_MAX)
        field_too_many(&v, FIELD(NULL, "endpoints"), slice->n_endpoints, SLICE_ENDPOINTS_MAX);
    for (size_t i = 0; i < slice->n_endpoints && i < SLICE_ENDPOINTS_MAX; i++)
        check_slice_endpoint(&v, FIELD_AT(FIELD(NULL, "endpoints"), i), slice->address_type,
                             slice->endpoints[i]);
    if (slice->n_ports > SLICE_PORTS_MAX)
        field_too_many(&v, FIELD(NULL, "ports"), slice->n_ports, SLICE_PORTS_MAX);
    else
        check_slice_ports(&v, slice);
    if (old)
        strategy_check_immutable_text(&v, FIELD(NULL, "addressType"), slice->address_type,
                                      ((const Discovery__EndpointSlice *)old)->address_type);
}

/* What is not metadata counts as its spec. */
static bool has_new_slice_generation(const ProtobufCMessage *object,
                                     const ProtobufCMessage *old_object)
{
    Discovery__EndpointSlice slice = *(const Discovery__EndpointSlice *)object;
    Discovery__EndpointSlice old = *(const Discovery__EndpointSlice *)old_object;
    slice.metadata = old.metadata = NULL;
    return !kube_message_eq(&slice.base, &old.base);
}

const struct strategy strategy_endpoint_slice = {
    .set_defaults = default_slice,
    .validate = validate_slice,
    .has_new_generation = has_new_slice_generation,
};
