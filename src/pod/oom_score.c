/*
 * oom_score_adj: whom the kernel kills first when memory runs out. The more of the node's memory a
 * Burstable container asked for, the safer it is. Integer arithmetic throughout, as upstream.
 */
#include "pod/cri_config_internal.h"

#include "kube/quantity.h"
#include "kube/resources.h"

/* pkg/kubelet/qos/policy.go */
#define GUARANTEED_ADJ (-997)
#define BEST_EFFORT_ADJ 1000

static int64_t memory_request(const Core__Container *container)
{
    return quantity_value(resource_get_request(container->resources, "memory"));
}

/* What the pod asks for beyond its containers, in equal parts; 0 without a memory request of its
 * own. */
static int64_t extra_per_container(const Core__Pod *pod)
{
    const Core__PodSpec *spec = pod->spec;
    int64_t pod_bytes = quantity_value(resource_get_request(spec->resources, "memory"));
    int64_t containers = (int64_t)(spec->n_containers + spec->n_init_containers);
    if (pod_bytes == 0 || containers == 0)
        return 0;
    const struct pod_resource_options options = {.exclude_overhead = true, .skip_pod_level = true};
    bool present;
    return sat_sub_i64(pod_bytes, pod_request_bytes(pod, &options, "memory", &present)) /
           containers;
}

static int64_t smallest_request(const Core__PodSpec *spec)
{
    int64_t smallest = spec->n_containers > 0 ? memory_request(spec->containers[0]) : 0;
    for (size_t i = 1; i < spec->n_containers; i++)
        smallest = min_i64(smallest, memory_request(spec->containers[i]));
    return smallest;
}

static bool is_init_container(const Core__PodSpec *spec, const Core__Container *container)
{
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        if (text_eq(spec->init_containers[i]->name, container->name))
            return true;
    }
    return false;
}

int64_t container_oom_score_adj(const Core__Pod *pod, const Core__Container *container,
                                int64_t memory_capacity_bytes)
{
    bool node_critical =
        pod_is_critical(pod) && text_eq(pod->spec->priority_class_name, "system-node-critical");
    enum pod_qos qos = pod_qos_of(pod);
    if (node_critical || qos == POD_QOS_GUARANTEED)
        return GUARANTEED_ADJ;
    if (qos == POD_QOS_BESTEFFORT)
        return BEST_EFFORT_ADJ;

    int64_t bytes = memory_request(container);
    /* A sidecar must not die before the containers it serves. */
    if (container_is_sidecar(container) && is_init_container(pod->spec, container))
        bytes = max_i64(bytes, smallest_request(pod->spec));
    bytes = sat_add_i64(bytes, extra_per_container(pod));
    int64_t capacity = max_i64(memory_capacity_bytes, 1);
    int64_t adj = BEST_EFFORT_ADJ - sat_mul_i64(BEST_EFFORT_ADJ, bytes) / capacity;
    /* Always worse off than Guaranteed, always better off than BestEffort. */
    return clamp_i64(adj, BEST_EFFORT_ADJ + GUARANTEED_ADJ, BEST_EFFORT_ADJ - 1);
}
