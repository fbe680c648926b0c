/*
 * The predicates of the scheduler that a node repeats for itself (spec pods.md §4.2): resources
 * first, then labels, name, host ports and taints. All failures are found; which one is told is the
 * caller's business.
 */
#include "pod/admission_internal.h"

#include "base/num.h"
#include "kube/resources.h"

#define RESOURCE_PODS "pods"

/* --- resources --- */

static void short_of(struct fit *fit, const struct shortage *shortage)
{
    fit->shortages[fit->n_shortages++] = *shortage;
}

static int64_t used_by_others(const struct admission_input *input, const char *name)
{
    int64_t used = 0;
    for (size_t i = 0; i < input->n_others; i++)
        used = sat_add_i64(used, pod_request_of(input->others[i], name));
    return used;
}

static void fit_resources(const struct admission_input *input, struct arena *arena, struct fit *fit)
{
    const Core__Node *node = input->node->node;
    const struct resource_amounts asked = pod_requests_of(input->pod, arena);
    fit->shortages = arena_calloc(arena, asked.count + 1, sizeof(*fit->shortages));

    bool is_known = false;
    int64_t pods = node_allocatable(node, RESOURCE_PODS, &is_known);
    if (is_known && (int64_t)input->n_others + 1 > pods)
        short_of(fit, &(struct shortage){.name = RESOURCE_PODS,
                                         .requested = 1,
                                         .used = (int64_t)input->n_others,
                                         .capacity = pods});
    for (size_t i = 0; i < asked.count; i++) {
        const struct resource_amount *item = &asked.items[i];
        int64_t capacity = node_allocatable(node, item->name, &is_known);
        /* What no plugin has brought to the node is not asked of it (§4.2). */
        if (item->amount <= 0 || (!is_known && resource_is_extended(item->name)))
            continue;
        int64_t in_use = used_by_others(input, item->name);
        if (item->amount > sat_sub_i64(capacity, in_use))
            short_of(fit, &(struct shortage){.name = item->name,
                                             .requested = item->amount,
                                             .used = in_use,
                                             .capacity = capacity});
    }
}

/* --- the others --- */

static void fail(struct fit *fit, const char *reason, const char *message)
{
    fit->reasons[fit->n_failures] = reason;
    fit->messages[fit->n_failures++] = message;
}

static bool has_free_ports(const struct admission_input *input, struct arena *arena)
{
    struct host_ports wanted = {0}, taken = {0};
    host_ports_add(&wanted, input->pod->spec, arena);
    for (size_t i = 0; wanted.count > 0 && i < input->n_others; i++)
        host_ports_add(&taken, input->others[i]->spec, arena);
    return !host_ports_conflict(&wanted, &taken);
}

static bool is_driven_away(const struct admission_input *input)
{
    const Core__NodeSpec *node = input->node->node->spec;
    for (size_t i = 0; node && !input->is_static && i < node->n_taints; i++) {
        if (text_eq(node->taints[i]->effect, "NoExecute") &&
            !pod_toleration_of(input->pod->spec, node->taints[i]))
            return true;
    }
    return false;
}

void admission_fit(const struct admission_input *input, struct arena *arena, struct fit *ret)
{
    const Core__PodSpec *spec = input->pod->spec;
    *ret = (struct fit){0};
    fit_resources(input, arena, ret);
    bool is_selected = node_is_selected(input->node->node, spec);
    if (!is_selected)
        fail(ret, "NodeAffinity",
             "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector");
    if (spec->node_name && *spec->node_name && !text_eq(spec->node_name, input->node->node_name))
        fail(ret, "NodeName",
             "Predicate NodeName failed: node(s) didn't match the requested node name");
    if (!has_free_ports(input, arena))
        fail(ret, "NodePorts",
             "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod "
             "ports");
    if (is_driven_away(input))
        fail(ret, "TaintToleration",
             "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate");
    ret->only_labels = !is_selected && ret->n_failures == 1 && ret->n_shortages == 0;
}
