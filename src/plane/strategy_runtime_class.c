#include "plane/strategy_internal.h"

#include "node.pb-c.h"

static void check_overhead(struct validation *v, const Node__Overhead *overhead)
{
    const struct field_path *path = FIELD(FIELD(NULL, "overhead"), "podFixed");
    for (size_t i = 0; i < overhead->n_pod_fixed; i++) {
        const char *name = or_empty(overhead->pod_fixed[i]->key);
        field_check_name(v, FIELD_KEY(path, name), name, name_rule_qualified);
        strategy_check_quantity(v, FIELD_KEY(path, name), overhead->pod_fixed[i]->value);
    }
}

static void check_scheduling(struct validation *v, const Node__Scheduling *scheduling)
{
    const struct field_path *path = FIELD(FIELD(NULL, "scheduling"), "nodeSelector");
    for (size_t i = 0; i < scheduling->n_node_selector; i++) {
        field_check_name(v, path, scheduling->node_selector[i]->key, name_rule_qualified);
        field_check_name(v, path, scheduling->node_selector[i]->value, name_rule_label_value);
    }
}

static void validate(const struct strategy_context *context, const ProtobufCMessage *object,
                     const ProtobufCMessage *old, struct field_errors *errors)
{
    const Node__RuntimeClass *class = (const Node__RuntimeClass *)object;
    struct validation v = strategy_validation(context, errors);
    const struct field_path *handler = FIELD(NULL, "handler");
    if (old) {
        meta_validate_update(&v, class->metadata, kube_object_meta(old));
        strategy_check_immutable_text(&v, handler, class->handler,
                                      ((const Node__RuntimeClass *)old)->handler);
        return;
    }
    meta_validate(&v, class->metadata, META_CLUSTER, name_rule_dns1123_subdomain);
    field_check_name(&v, handler, class->handler, name_rule_dns1123_label);
    if (class->overhead)
        check_overhead(&v, class->overhead);
    if (class->scheduling)
        check_scheduling(&v, class->scheduling);
}

const struct strategy strategy_runtime_class = {
    .validate = validate,
    .requires_resource_version = true,
};
