/*
 * kubectl get of services, endpoints and endpoint slices.
 */
#include "plane/table_cells.h"

#include "discovery.pb-c.h"

/* How many addresses or ports a cell names; the rest is counted. */
#define SHOWN_MAX 3

/* --- services --- */

static const struct table_column service_columns[] = {
    COLUMN_NAME,
    COLUMN("Type", "string", "How the service is reached."),
    COLUMN("Cluster-IP", "string", "Its address inside the cluster."),
    COLUMN("External-IP", "string", "Its addresses for the outside."),
    COLUMN("Port(s)", "string", "Its ports, with those of the nodes, and their protocols."),
    COLUMN_AGE,
    COLUMN_WIDE("Selector", "string", "The labels of the pods it leads to."),
};

static const char *balancer_addresses(const Core__Service *service, struct arena *arena)
{
    const Core__LoadBalancerStatus *status =
        service->status ? service->status->load_balancer : NULL;
    size_t count = 0;
    const char **items =
        arena_calloc(arena, status ? status->n_ingress + 1 : 1, sizeof(const char *));
    for (size_t i = 0; status && i < status->n_ingress; i++) {
        const char *address = cell_or(status->ingress[i]->ip, status->ingress[i]->hostname);
        if (cell_is_set(address))
            items[count++] = address;
    }
    return cell_sorted_list(items, count, arena);
}

static const char *external_addresses(const Core__Service *service, struct arena *arena)
{
    const Core__ServiceSpec *spec = service->spec;
    if (!spec)
        return "<unknown>";
    if (text_eq(spec->type, "ExternalName"))
        return spec->external_name;
    bool is_balanced = text_eq(spec->type, "LoadBalancer");
    if (!is_balanced && !text_eq(spec->type, "ClusterIP") && !text_eq(spec->type, "NodePort"))
        return "<unknown>";
    AUTO(buf) struct buf list;
    buf_init(&list, CELL_MAX_BYTES);
    if (is_balanced)
        buf_add_text(&list, balancer_addresses(service, arena));
    for (size_t i = 0; i < spec->n_external_ips; i++)
        cell_list_add(&list, spec->external_ips[i]);
    if (list.len == 0)
        return is_balanced ? "<pending>" : "<none>";
    return arena_strdup(arena, buf_text(&list));
}

static const char *service_ports(const Core__ServiceSpec *spec, struct arena *arena)
{
    AUTO(buf) struct buf list;
    buf_init(&list, CELL_MAX_BYTES);
    for (size_t i = 0; i < spec->n_ports; i++) {
        const Core__ServicePort *port = spec->ports[i];
        buf_printf(&list, "%s%d", i > 0 ? "," : "", port->port);
        if (port->node_port > 0)
            buf_printf(&list, ":%d", port->node_port);
        buf_printf(&list, "/%s", cell_or(port->protocol, ""));
    }
    return list.len > 0 ? arena_strdup(arena, buf_text(&list)) : "<none>";
}

static const char *selector_text(const Core__ServiceSpec *spec, struct arena *arena)
{
    const char **pairs = arena_calloc(arena, spec->n_selector + 1, sizeof(*pairs));
    for (size_t i = 0; i < spec->n_selector; i++)
        pairs[i] = arena_printf(arena, "%s=%s", cell_or(spec->selector[i]->key, ""),
                                cell_or(spec->selector[i]->value, ""));
    return cell_or(cell_sorted_list(pairs, spec->n_selector, arena), "<none>");
}

static void write_service(const struct cell_row *row)
{
    static const Core__ServiceSpec no_spec = CORE__SERVICE_SPEC__INIT;
    const Core__Service *service = (const Core__Service *)row->object;
    const Core__ServiceSpec *spec = service->spec ? service->spec : &no_spec;
    cell_write_name(row);
    cell_write(row, spec->type);
    cell_write(row, spec->n_cluster_ips > 0 ? spec->cluster_ips[0] : "<none>");
    cell_write(row, external_addresses(service, row->arena));
    cell_write(row, service_ports(spec, row->arena));
    cell_write_age(row);
    cell_write(row, selector_text(spec, row->arena));
}

const struct table_cells table_services = TABLE_CELLS(service_columns, write_service);

/* --- endpoints --- */

/* The first of many, then how many more there are. */
struct shown {
    struct buf list;
    size_t count;
};

static void show(struct shown *shown, const char *text)
{
    if (shown->count++ < SHOWN_MAX)
        cell_list_add(&shown->list, text);
}

static const char *shown_text(struct shown *shown, const char *otherwise, struct arena *arena)
{
    if (shown->count > SHOWN_MAX)
        buf_printf(&shown->list, " + %zu more...", shown->count - SHOWN_MAX);
    const char *text = arena_strdup(arena, cell_or(buf_text(&shown->list), otherwise));
    buf_done(&shown->list);
    return text;
}

static const struct table_column endpoints_columns[] = {
    COLUMN_NAME,
    COLUMN("Endpoints", "string", "The addresses and ports behind the service."),
    COLUMN_AGE,
};

static const char *host_port(const char *host, int32_t port, struct arena *arena)
{
    host = cell_or(host, "");
    return arena_printf(arena, strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, port);
}

static void show_subset(struct shown *shown, const Core__EndpointSubset *subset,
                        struct arena *arena)
{
    for (size_t i = 0; i < subset->n_addresses && subset->n_ports == 0; i++)
        show(shown, cell_or(subset->addresses[i]->ip, ""));
    for (size_t p = 0; p < subset->n_ports; p++) {
        for (size_t i = 0; i < subset->n_addresses; i++)
            show(shown, shown->count < SHOWN_MAX
                            ? host_port(subset->addresses[i]->ip, subset->ports[p]->port, arena)
                            : "");
    }
}

static void write_endpoints(const struct cell_row *row)
{
    const Core__Endpoints *endpoints = (const Core__Endpoints *)row->object;
    struct shown shown = {.count = 0};
    buf_init(&shown.list, CELL_MAX_BYTES);
    for (size_t i = 0; i < endpoints->n_subsets; i++)
        show_subset(&shown, endpoints->subsets[i], row->arena);
    cell_write_name(row);
    cell_write(row, shown_text(&shown, endpoints->n_subsets == 0 ? "<none>" : "", row->arena));
    cell_write_age(row);
}

const struct table_cells table_endpoints = TABLE_CELLS(endpoints_columns, write_endpoints);

/* --- endpoint slices --- */

static const struct table_column slice_columns[] = {
    COLUMN_NAME,
    COLUMN("AddressType", "string", "What its addresses are: IPv4, IPv6 or FQDN."),
    COLUMN("Ports", "string", "The ports of each endpoint."),
    COLUMN("Endpoints", "string", "The addresses of the endpoints."),
    COLUMN_AGE,
};

static const char *slice_ports(const Discovery__EndpointSlice *slice, struct arena *arena)
{
    struct shown shown = {.count = 0};
    buf_init(&shown.list, CELL_MAX_BYTES);
    for (size_t i = 0; i < slice->n_ports; i++) {
        const Discovery__EndpointPort *port = slice->ports[i];
        const char *text = port->has_port ? arena_printf(arena, "%d", port->port)
                           : port->name   ? port->name
                                          : "*";
        show(&shown, text);
    }
    return shown_text(&shown, "<unset>", arena);
}

static const char *slice_addresses(const Discovery__EndpointSlice *slice, struct arena *arena)
{
    struct shown shown = {.count = 0};
    buf_init(&shown.list, CELL_MAX_BYTES);
    for (size_t i = 0; i < slice->n_endpoints; i++) {
        for (size_t a = 0; a < slice->endpoints[i]->n_addresses; a++)
            show(&shown, slice->endpoints[i]->addresses[a]);
    }
    return shown_text(&shown, "<unset>", arena);
}

static void write_slice(const struct cell_row *row)
{
    const Discovery__EndpointSlice *slice = (const Discovery__EndpointSlice *)row->object;
    cell_write_name(row);
    cell_write(row, slice->address_type);
    cell_write(row, slice_ports(slice, row->arena));
    cell_write(row, slice_addresses(slice, row->arena));
    cell_write_age(row);
}

const struct table_cells table_endpointslices = TABLE_CELLS(slice_columns, write_slice);
