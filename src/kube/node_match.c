#include "kube/node_match.h"

#include "base/num.h"
#include "kube/quantity.h"
#include "kube/resources.h"

static bool is_set(const char *text)
{
    return text && *text;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* --- taints --- */

/* Key, operator, value and effect. */
static bool covers(const Core__Toleration *toleration, const Core__Taint *taint)
{
    if (is_set(toleration->effect) && !text_eq(toleration->effect, taint->effect))
        return false;
    if (is_set(toleration->key) && !text_eq(toleration->key, taint->key))
        return false;
    if (text_eq(toleration->operator_, "Exists"))
        return true;
    if (is_set(toleration->operator_) && !text_eq(toleration->operator_, "Equal"))
        return false;
    return strcmp(or_empty(toleration->value), or_empty(taint->value)) == 0;
}

const Core__Toleration *pod_toleration_of(const Core__PodSpec *spec, const Core__Taint *taint)
{
    for (size_t i = 0; i < spec->n_tolerations; i++) {
        if (covers(spec->tolerations[i], taint))
            return spec->tolerations[i];
    }
    return NULL;
}

/* --- labels --- */

const char *node_label(const Core__Node *node, const char *key)
{
    for (size_t i = 0; node->metadata && i < node->metadata->n_labels; i++) {
        if (text_eq(node->metadata->labels[i]->key, key))
            return or_empty(node->metadata->labels[i]->value);
    }
    return NULL;
}

static bool is_listed(const Core__NodeSelectorRequirement *requirement, const char *value)
{
    for (size_t i = 0; i < requirement->n_values; i++) {
        if (strcmp(requirement->values[i], value) == 0)
            return true;
    }
    return false;
}

static bool compares(const Core__NodeSelectorRequirement *requirement, const char *value,
                     bool is_greater)
{
    int64_t have = 0, bound = 0;
    if (requirement->n_values != 1 || !parse_i64(value, INT64_MIN, INT64_MAX, &have) ||
        !parse_i64(requirement->values[0], INT64_MIN, INT64_MAX, &bound))
        return false;
    return is_greater ? have > bound : have < bound;
}

/* @value NULL: the node has no such label. */
static bool meets(const Core__NodeSelectorRequirement *requirement, const char *value)
{
    const char *operation = requirement->operator_;
    if (text_eq(operation, "In"))
        return value && is_listed(requirement, value);
    if (text_eq(operation, "NotIn"))
        return !value || !is_listed(requirement, value);
    if (text_eq(operation, "Exists"))
        return value != NULL;
    if (text_eq(operation, "DoesNotExist"))
        return !value;
    bool is_greater = text_eq(operation, "Gt");
    return value && (is_greater || text_eq(operation, "Lt")) &&
           compares(requirement, value, is_greater);
}

/* An empty term selects nothing. */
static bool meets_term(const Core__Node *node, const Core__NodeSelectorTerm *term)
{
    if (term->n_match_expressions == 0 && term->n_match_fields == 0)
        return false;
    for (size_t i = 0; i < term->n_match_expressions; i++) {
        if (!meets(term->match_expressions[i], node_label(node, term->match_expressions[i]->key)))
            return false;
    }
    for (size_t i = 0; i < term->n_match_fields; i++) {
        bool is_name = text_eq(term->match_fields[i]->key, "metadata.name");
        if (!is_name || !meets(term->match_fields[i], node->metadata->name))
            return false;
    }
    return true;
}

bool node_is_selected(const Core__Node *node, const Core__PodSpec *spec)
{
    for (size_t i = 0; i < spec->n_node_selector; i++) {
        const Core__PodSpec__NodeSelectorEntry *want = spec->node_selector[i];
        if (!text_eq(node_label(node, want->key), or_empty(want->value)))
            return false;
    }
    const Core__NodeAffinity *affinity = spec->affinity ? spec->affinity->node_affinity : NULL;
    const Core__NodeSelector *required =
        affinity ? affinity->required_during_scheduling_ignored_during_execution : NULL;
    bool is_match = !required;
    for (size_t i = 0; required && i < required->n_node_selector_terms && !is_match; i++)
        is_match = meets_term(node, required->node_selector_terms[i]);
    return is_match;
}

/* --- resources --- */

int64_t node_allocatable(const Core__Node *node, const char *name, bool *ret_present)
{
    for (size_t i = 0; node->status && i < node->status->n_allocatable; i++) {
        const Core__NodeStatus__AllocatableEntry *entry = node->status->allocatable[i];
        if (!text_eq(entry->key, name))
            continue;
        if (ret_present)
            *ret_present = true;
        return strcmp(name, RESOURCE_CPU) == 0 ? quantity_milli_value(entry->value)
                                               : quantity_value(entry->value);
    }
    if (ret_present)
        *ret_present = false;
    return 0;
}

void resource_amounts_add(struct resource_amounts *amounts, const char *name, int64_t amount,
                          struct arena *arena)
{
    for (size_t i = 0; i < amounts->count; i++) {
        if (strcmp(amounts->items[i].name, name) == 0) {
            amounts->items[i].amount = sat_add_i64(amounts->items[i].amount, amount);
            return;
        }
    }
    if (amounts->count == amounts->capacity) {
        amounts->capacity = amounts->capacity ? 2 * amounts->capacity : 8;
        struct resource_amount *grown = arena_calloc(arena, amounts->capacity, sizeof(*grown));
        for (size_t i = 0; i < amounts->count; i++)
            grown[i] = amounts->items[i];
        amounts->items = grown;
    }
    amounts->items[amounts->count++] =
        (struct resource_amount){.name = arena_strdup(arena, name), .amount = amount};
}

int64_t resource_amounts_of(const struct resource_amounts *amounts, const char *name)
{
    for (size_t i = 0; i < amounts->count; i++) {
        if (strcmp(amounts->items[i].name, name) == 0)
            return amounts->items[i].amount;
    }
    return 0;
}

static void name_requests(struct resource_amounts *amounts,
                          const Core__ResourceRequirements *resources, struct arena *arena)
{
    for (size_t i = 0; resources && i < resources->n_requests; i++)
        resource_amounts_add(amounts, resources->requests[i]->key, 0, arena);
}

int64_t pod_request_of(const Core__Pod *pod, const char *name)
{
    return strcmp(name, RESOURCE_CPU) == 0 ? pod_request_milli_cpu(pod, NULL, NULL)
                                           : pod_request_bytes(pod, NULL, name, NULL);
}

struct resource_amounts pod_requests_of(const Core__Pod *pod, struct arena *arena)
{
    static const char *const usual[] = {RESOURCE_CPU, RESOURCE_MEMORY, RESOURCE_EPHEMERAL_STORAGE};
    struct resource_amounts amounts = {.count = 0};
    const Core__PodSpec *spec = pod->spec;
    for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
        resource_amounts_add(&amounts, usual[i], 0, arena);
    for (size_t i = 0; i < spec->n_init_containers; i++)
        name_requests(&amounts, spec->init_containers[i]->resources, arena);
    for (size_t i = 0; i < spec->n_containers; i++)
        name_requests(&amounts, spec->containers[i]->resources, arena);
    name_requests(&amounts, spec->resources, arena);
    for (size_t i = 0; i < spec->n_overhead; i++)
        resource_amounts_add(&amounts, spec->overhead[i]->key, 0, arena);
    for (size_t i = 0; i < amounts.count; i++) {
        struct resource_amount *item = &amounts.items[i];
        item->amount = pod_request_of(pod, item->name);
    }
    return amounts;
}

/* --- ports --- */

static void add_port(struct host_ports *ports, const struct host_port *port, struct arena *arena)
{
    if (ports->count == ports->capacity) {
        ports->capacity = ports->capacity ? 2 * ports->capacity : 8;
        struct host_port *grown = arena_calloc(arena, ports->capacity, sizeof(*grown));
        for (size_t i = 0; i < ports->count; i++)
            grown[i] = ports->items[i];
        ports->items = grown;
    }
    ports->items[ports->count++] = *port;
}

static void add_container(struct host_ports *ports, const Core__Container *container,
                          struct arena *arena)
{
    for (size_t i = 0; i < container->n_ports; i++) {
        const Core__ContainerPort *port = container->ports[i];
        if (port->host_port <= 0)
            continue;
        bool is_all = !port->host_ip || text_eq(port->host_ip, "0.0.0.0");
        const struct host_port item = {
            .ip = is_all ? "" : arena_strdup(arena, port->host_ip),
            .protocol = is_set(port->protocol) ? arena_strdup(arena, port->protocol) : "TCP",
            .port = port->host_port};
        add_port(ports, &item, arena);
    }
}

/* Other init containers have ended when it matters. */
void host_ports_add(struct host_ports *ports, const Core__PodSpec *spec, struct arena *arena)
{
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        if (container_is_sidecar(spec->init_containers[i]))
            add_container(ports, spec->init_containers[i], arena);
    }
    for (size_t i = 0; i < spec->n_containers; i++)
        add_container(ports, spec->containers[i], arena);
}

bool host_ports_conflict(const struct host_ports *a, const struct host_ports *b)
{
    for (size_t i = 0; i < a->count; i++) {
        for (size_t k = 0; k < b->count; k++) {
            const struct host_port *left = &a->items[i], *right = &b->items[k];
            if (left->port == right->port && strcmp(left->protocol, right->protocol) == 0 &&
                (!*left->ip || !*right->ip || strcmp(left->ip, right->ip) == 0))
                return true;
        }
    }
    return false;
}
