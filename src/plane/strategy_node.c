#include "plane/strategy_internal.h"

#include "plane/ip_text.h"
#include "plane/taints.h"

#include "kube/resources.h"

/* podCIDR is podCIDRs[0]; whoever says one of them says both, and where they differ podCIDR is
 * right. */
static void default_pod_cidrs(Core__NodeSpec *spec, struct arena *arena)
{
    bool differs = spec->n_pod_cidrs == 0 || !text_eq(spec->pod_cidr, spec->pod_cidrs[0]);
    if (!is_empty(spec->pod_cidr) && differs) {
        spec->pod_cidrs = arena_calloc(arena, 1, sizeof(*spec->pod_cidrs));
        spec->pod_cidrs[0] = spec->pod_cidr;
        spec->n_pod_cidrs = 1;
    } else if (spec->n_pod_cidrs > 0 && is_empty(spec->pod_cidr)) {
        spec->pod_cidr = spec->pod_cidrs[0];
    }
}

/* What a node can give is what it has, unless it says otherwise. */
static void default_allocatable(Core__NodeStatus *status, struct arena *arena)
{
    if (status->n_allocatable > 0 || status->n_capacity == 0)
        return;
    status->allocatable = arena_calloc(arena, status->n_capacity, sizeof(void *));
    for (size_t i = 0; i < status->n_capacity; i++) {
        Core__NodeStatus__AllocatableEntry *entry = NEW_MESSAGE(
            arena, Core__NodeStatus__AllocatableEntry, core__node_status__allocatable_entry);
        entry->key = status->capacity[i]->key;
        entry->value = status->capacity[i]->value;
        status->allocatable[status->n_allocatable++] = entry;
    }
}

static void set_defaults(ProtobufCMessage *object, struct arena *arena)
{
    Core__Node *node = (Core__Node *)object;
    if (!node->spec)
        node->spec = NEW_MESSAGE(arena, Core__NodeSpec, core__node_spec);
    if (!node->status)
        node->status = NEW_MESSAGE(arena, Core__NodeStatus, core__node_status);
    default_pod_cidrs(node->spec, arena);
    default_allocatable(node->status, arena);
}

/* TaintNodesByCondition: no pod comes before somebody has looked at the node's conditions. */
static Meta__Status *prepare_create(const struct strategy_context *context,
                                    ProtobufCMessage *object)
{
    taint_new_node((Core__Node *)object, context->arena);
    return NULL;
}

static Meta__Status *prepare_update(const struct strategy_context *context,
                                    ProtobufCMessage *object, const ProtobufCMessage *old_object)
{
    Core__Node *node = (Core__Node *)object;
    const Core__Node *old = (const Core__Node *)old_object;
    if (strategy_is_through(context, "status"))
        node->spec = old->spec;
    else
        node->status = old->status;
    return NULL;
}

/* --- validation --- */

/* Upstream's paths of taints begin at metadata. */
static void check_taints(struct validation *v, const Core__NodeSpec *spec)
{
    static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};
    const struct field_path *path = FIELD(FIELD(NULL, "metadata"), "taints");
    struct text_map seen = {.arena = v->scratch};
    for (size_t i = 0; i < spec->n_taints; i++) {
        const Core__Taint *taint = spec->taints[i];
        const struct field_path *at = FIELD_AT(path, i);
        field_check_name(v, FIELD(at, "key"), taint->key, name_rule_qualified);
        field_check_name(v, FIELD(at, "value"), taint->value, name_rule_label_value);
        field_check_enum(v, FIELD(at, "effect"), taint->effect, effects);
        const char *pair =
            arena_printf(v->scratch, "%s:%s", or_empty(taint->key), or_empty(taint->effect));
        if (!text_map_add(&seen, pair, i))
            field_invalid_message(v, at, &taint->base,
                                  "taints must be unique by key and effect pair");
    }
}

static void check_quantities(struct validation *v, const Core__NodeStatus *status)
{
    const struct field_path *path = FIELD(NULL, "status");
    for (size_t i = 0; i < status->n_capacity; i++)
        strategy_check_quantity(v,
                                FIELD(FIELD(path, "capacity"), or_empty(status->capacity[i]->key)),
                                status->capacity[i]->value);
    for (size_t i = 0; i < status->n_allocatable; i++)
        strategy_check_quantity(
            v, FIELD(FIELD(path, "allocatable"), or_empty(status->allocatable[i]->key)),
            status->allocatable[i]->value);
}

static void check_pod_cidrs(struct validation *v, const Core__NodeSpec *spec)
{
    const struct field_path *path = FIELD(FIELD(NULL, "spec"), "podCIDRs");
    for (size_t i = 0; i < spec->n_pod_cidrs; i++)
        field_check_cidr(v, FIELD_AT(path, i), spec->pod_cidrs[i]);
    struct ip_range first, second;
    bool is_dual = spec->n_pod_cidrs == 2 && ip_range_parse(str_from(spec->pod_cidrs[0]), &first) &&
                   ip_range_parse(str_from(spec->pod_cidrs[1]), &second) &&
                   first.base.is_v6 != second.base.is_v6;
    if (spec->n_pod_cidrs > 1 && !is_dual)
        field_invalid_list(v, path, spec->pod_cidrs, spec->n_pod_cidrs,
                           "may specify no more than one CIDR for each IP family");
}

static void check_addresses(struct validation *v, const Core__NodeStatus *status)
{
    const struct field_path *path = FIELD(FIELD(NULL, "status"), "addresses");
    for (size_t i = 0; i < status->n_addresses; i++) {
        for (size_t k = 0; k < i; k++) {
            if (!kube_message_eq(&status->addresses[i]->base, &status->addresses[k]->base))
                continue;
            AUTO(buf) struct buf json;
            buf_init(&json, 1 * KiB);
            kube_encode_json(&status->addresses[i]->base, NULL, &json);
            field_duplicate(v, FIELD_AT(path, i), buf_text(&json));
            break;
        }
    }
}

static bool same_pod_cidrs(const Core__NodeSpec *a, const Core__NodeSpec *b)
{
    bool is_same = a->n_pod_cidrs == b->n_pod_cidrs;
    for (size_t i = 0; is_same && i < a->n_pod_cidrs; i++)
        is_same = text_eq(a->pod_cidrs[i], b->pod_cidrs[i]);
    return is_same;
}

static void check_spec_change(struct validation *v, const Core__NodeSpec *spec,
                              const Core__NodeSpec *old)
{
    const struct field_path *path = FIELD(NULL, "spec");
    if (old->n_pod_cidrs > 0 && !same_pod_cidrs(spec, old))
        field_forbidden(v, FIELD(path, "podCIDRs"),
                        "node updates may not change podCIDR except from \"\" to valid");
    if (!is_empty(old->provider_id) && !text_eq(spec->provider_id, old->provider_id))
        field_forbidden(v, FIELD(path, "providerID"),
                        "node updates may not change providerID except from \"\" to valid");
    if (!text_eq(or_empty(spec->external_id), or_empty(old->external_id)))
        field_forbidden(v, FIELD(path, "externalID"), "may not be updated");
}

static void validate(const struct strategy_context *context, const ProtobufCMessage *object,
                     const ProtobufCMessage *old_object, struct field_errors *errors)
{
    const Core__Node *node = (const Core__Node *)object;
    const Core__Node *old = (const Core__Node *)old_object;
    static const Core__NodeSpec no_spec = CORE__NODE_SPEC__INIT;
    struct validation v = strategy_validation(context, errors);
    if (old)
        meta_validate_update(&v, node->metadata, old->metadata);
    else
        meta_validate(&v, node->metadata, META_CLUSTER, name_rule_dns1123_subdomain);
    const Core__NodeSpec *spec = node->spec ? node->spec : &no_spec;
    check_taints(&v, spec);
    if (node->status)
        check_quantities(&v, node->status);
    if (old && node->status)
        check_addresses(&v, node->status);
    if (old)
        check_spec_change(&v, spec, old->spec ? old->spec : &no_spec);
    if (!old || !old->spec || old->spec->n_pod_cidrs == 0)
        check_pod_cidrs(&v, spec);
}

const struct strategy strategy_node = {
    .set_defaults = set_defaults,
    .prepare_create = prepare_create,
    .prepare_update = prepare_update,
    .validate = validate,
};
