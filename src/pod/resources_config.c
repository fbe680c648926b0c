/*
 * Linux resources of sandboxes and containers: the pod's quantities in the kernel's terms (spec
 * runtime.md §3.14).
 */
#include "pod/cri_config_internal.h"

#include "pod/cri_message.h"

#include "cgroup/cgroup.h"
#include "kube/quantity.h"
#include "kube/resources.h"

#define HUGEPAGES_PREFIX "hugepages-"

static Cri__LinuxContainerResources__UnifiedEntry *unified_entry(struct arena *arena,
                                                                 const char *key, const char *value)
{
    return cri_map_entry(arena, &cri__linux_container_resources__unified_entry__descriptor, key,
                         value);
}

#define UNIFIED_MAX 2 /* memory.oom.group and memory.swap.max */

static void add_unified(Cri__LinuxContainerResources *resources, struct arena *arena,
                        const char *key, const char *value)
{
    if (!resources->unified)
        resources->unified = cri_array(arena, UNIFIED_MAX);
    ASSERT(resources->n_unified < UNIFIED_MAX);
    resources->unified[resources->n_unified++] = unified_entry(arena, key, value);
}

/* What the shares, quota and memory limit are computed from. */
struct amounts {
    bool has_cpu_request;
    int64_t cpu_request_millis;
    int64_t cpu_limit_millis;
    int64_t memory_limit_bytes;
};

static Cri__LinuxContainerResources *resources_from(const struct amounts *amounts,
                                                    const struct node_facts *node,
                                                    struct arena *arena)
{
    Cri__LinuxContainerResources *resources =
        cri_new(arena, &cri__linux_container_resources__descriptor);
    /* A request that is not there defaults to the limit; one that is there and zero does not. */
    int64_t cpu_millis =
        amounts->has_cpu_request ? amounts->cpu_request_millis : amounts->cpu_limit_millis;
    resources->cpu_shares = cgroup_shares_from_millis(cpu_millis);
    resources->memory_limit_in_bytes = amounts->memory_limit_bytes;
    if (node->cpu_cfs_quota) {
        resources->cpu_period = node->cpu_cfs_period_us;
        resources->cpu_quota =
            cgroup_quota_from_millis(amounts->cpu_limit_millis, node->cpu_cfs_period_us);
    }
    if (node->cgroup_v2 && !node->single_process_oom_kill)
        add_unified(resources, arena, "memory.oom.group", "1");
    return resources;
}

Cri__LinuxContainerResources *sandbox_resources_build(const Core__Pod *pod,
                                                      const struct node_facts *node,
                                                      struct arena *arena)
{
    const struct pod_resource_options options = {.exclude_overhead = true};
    struct amounts amounts = {0};
    bool present;
    amounts.cpu_request_millis = pod_request_milli_cpu(pod, &options, &amounts.has_cpu_request);
    amounts.cpu_limit_millis = pod_limit_milli_cpu(pod, &options, &present);
    amounts.memory_limit_bytes = pod_limit_bytes(pod, &options, "memory", &present);
    return resources_from(&amounts, node, arena);
}

static const Meta__Quantity *overhead_of(const Core__PodSpec *spec, const char *resource)
{
    for (size_t i = 0; i < spec->n_overhead; i++) {
        if (text_eq(spec->overhead[i]->key, resource))
            return spec->overhead[i]->value;
    }
    return NULL;
}

Cri__LinuxContainerResources *sandbox_overhead_build(const Core__Pod *pod,
                                                     const struct node_facts *node,
                                                     struct arena *arena)
{
    if (pod->spec->n_overhead == 0)
        return cri_new(arena, &cri__linux_container_resources__descriptor);
    int64_t cpu_millis = quantity_milli_value(overhead_of(pod->spec, "cpu"));
    const struct amounts amounts = {
        .has_cpu_request = true,
        .cpu_request_millis = cpu_millis,
        .cpu_limit_millis = cpu_millis,
        .memory_limit_bytes = quantity_value(overhead_of(pod->spec, "memory")),
    };
    return resources_from(&amounts, node, arena);
}

/* The container's own limit, or the pod's where the container has none. NULL when neither has one.
 */
static const Meta__Quantity *effective_limit(const Core__Pod *pod, const Core__Container *container,
                                             const char *resource)
{
    const Meta__Quantity *own = resource_get_limit(container->resources, resource);
    return quantity_is_zero(own) ? resource_get_limit(pod->spec->resources, resource) : own;
}

/*
 * The kernel's name of a page size: whole in the largest unit that divides it ("2MB", "1GB"). Sizes
 * such as 1536 kB, which are more than 1024 of a unit and no whole number of the next, have none:
 * NULL.
 */
static const char *page_size_name(int64_t bytes, struct arena *arena)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;
    while (bytes > 0 && bytes % 1024 == 0 && unit + 1 < ARRAY_SIZE(units)) {
        bytes /= 1024;
        unit++;
    }
    if (bytes > 1024 && unit + 1 < ARRAY_SIZE(units))
        return NULL;
    return arena_printf(arena, "%lld%s", (long long)bytes, units[unit]);
}

/* Puts the hugepage limits of @resources over what @limits already says; sizes this node lacks have
 * no place. */
static void apply_hugepages(const Core__ResourceRequirements *resources,
                            Cri__LinuxContainerResources *target, struct arena *arena)
{
    for (size_t i = 0; resources && i < resources->n_limits; i++) {
        const Core__ResourceRequirements__LimitsEntry *limit = resources->limits[i];
        if (!text_has_prefix(limit->key, HUGEPAGES_PREFIX))
            continue;
        Meta__Quantity size = META__QUANTITY__INIT;
        size.string = limit->key + strlen(HUGEPAGES_PREFIX);
        const char *name = page_size_name(quantity_value(&size), arena);
        for (size_t k = 0; name && k < target->n_hugepage_limits; k++) {
            if (text_eq(target->hugepage_limits[k]->page_size, name))
                target->hugepage_limits[k]->limit = (uint64_t)quantity_value(limit->value);
        }
    }
}

static void set_hugepages(const Core__Pod *pod, const Core__Container *container,
                          const struct node_facts *node, Cri__LinuxContainerResources *resources,
                          struct arena *arena)
{
    size_t count = 0;
    while (node->hugepage_sizes && node->hugepage_sizes[count])
        count++;
    if (count == 0)
        return;
    resources->hugepage_limits = cri_array(arena, count);
    for (size_t i = 0; i < count; i++) {
        Cri__HugepageLimit *limit = cri_new(arena, &cri__hugepage_limit__descriptor);
        limit->page_size = cri_text(arena, node->hugepage_sizes[i]);
        resources->hugepage_limits[i] = limit;
    }
    resources->n_hugepage_limits = count;
    apply_hugepages(pod->spec->resources, resources, arena);
    apply_hugepages(container->resources, resources, arena);
}

/* Whether LimitedSwap gives this container any swap; everything else runs without. */
static bool may_swap(const Core__Pod *pod, const Core__Container *container,
                     const struct node_facts *node)
{
    int64_t request = quantity_value(resource_get_request(container->resources, "memory"));
    int64_t limit = quantity_value(resource_get_limit(container->resources, "memory"));
    return node->limited_swap && node->cgroup_v2 && !pod_is_critical(pod) &&
           pod_qos_of(pod) == POD_QOS_BURSTABLE && request != limit &&
           node->memory_capacity_bytes > 0 && request <= node->memory_capacity_bytes;
}

static void set_swap(const Core__Pod *pod, const Core__Container *container,
                     const struct node_facts *node, Cri__LinuxContainerResources *resources,
                     struct arena *arena)
{
    if (!node->swap_controller)
        return;
    if (!node->cgroup_v2) { /* memory plus swap; the same as memory alone means no swap */
        resources->memory_swap_limit_in_bytes = resources->memory_limit_in_bytes;
        return;
    }
    int64_t swap_bytes = 0;
    if (may_swap(pod, container, node)) {
        /* Doubles and truncation as upstream, so that both agents write the same number. */
        double request =
            (double)quantity_value(resource_get_request(container->resources, "memory"));
        double share = request / (double)node->memory_capacity_bytes;
        swap_bytes = (int64_t)(share * (double)node->swap_capacity_bytes);
    }
    add_unified(resources, arena, "memory.swap.max",
                arena_printf(arena, "%lld", (long long)swap_bytes));
}

Cri__LinuxContainerResources *container_resources_build(const Core__Pod *pod,
                                                        const Core__Container *container,
                                                        const struct node_facts *node,
                                                        struct arena *arena)
{
    const Meta__Quantity *cpu_request = resource_get_request(container->resources, "cpu");
    const struct amounts amounts = {
        .has_cpu_request = cpu_request != NULL,
        .cpu_request_millis = quantity_milli_value(cpu_request),
        .cpu_limit_millis = quantity_milli_value(effective_limit(pod, container, "cpu")),
        .memory_limit_bytes = quantity_value(effective_limit(pod, container, "memory")),
    };
    Cri__LinuxContainerResources *resources = resources_from(&amounts, node, arena);
    resources->oom_score_adj = container_oom_score_adj(pod, container, node->memory_capacity_bytes);
    set_hugepages(pod, container, node, resources, arena);
    set_swap(pod, container, node, resources, arena);
    return resources;
}
