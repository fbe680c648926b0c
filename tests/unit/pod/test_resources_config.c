#include "container_fixture.h"

static const Cri__LinuxContainerResources *resources_of(const char *spec, const char *container,
                                                        const struct node_facts *node,
                                                        struct arena *arena)
{
    struct container_config_input input =
        container_input(pod_with("", spec, container, arena), node);
    return container_built(&input, arena)->linux->resources;
}

TEST_CASE(cpu_and_memory_follow_the_formulas)
{
    static const struct {
        const char *name, *spec, *container;
        int64_t shares, quota, memory;
    } rows[] = {
        {"nothing", "", "", 2, 0, 0},
        {"a request", "", "requests: {cpu: 1500m}", 1536, 0, 0},
        {"a tiny request", "", "requests: {cpu: 1m}", 2, 0, 0},
        {"a huge request", "", "requests: {cpu: '1000'}", 262144, 0, 0},
        {"a limit is the request", "", "limits: {cpu: 500m, memory: 1Mi}", 512, 50000, 1048576},
        {"a zero request is not", "", "requests: {cpu: '0'}, limits: {cpu: 500m}", 2, 50000, 0},
        {"the smallest quota", "", "limits: {cpu: 1m}", 2, 1000, 0},
        {"the pod's limits where there are none", "resources: {limits: {cpu: 300m, memory: 2Mi}}",
         "requests: {cpu: 100m}", 102, 30000, 2097152},
        {"its own before the pod's", "resources: {limits: {cpu: 300m, memory: 2Mi}}",
         "limits: {cpu: 200m, memory: 1Mi}", 204, 20000, 1048576},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *container = arena_printf(arena, "resources: {%s}", rows[i].container);
        const Cri__LinuxContainerResources *got =
            resources_of(rows[i].spec, container, &node, arena);
        if (got->cpu_shares != rows[i].shares || got->cpu_quota != rows[i].quota ||
            got->memory_limit_in_bytes != rows[i].memory)
            fail_msg("%s: shares %lld, quota %lld, memory %lld", rows[i].name,
                     (long long)got->cpu_shares, (long long)got->cpu_quota,
                     (long long)got->memory_limit_in_bytes);
        assert_int_equal(got->cpu_period, 100000);
        assert_int_equal(got->memory_swap_limit_in_bytes, 0);
    }
}

TEST_CASE(every_page_size_of_the_node_has_a_limit)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    const Cri__LinuxContainerResources *got = resources_of(
        "resources: {limits: {hugepages-2Mi: 6Mi, hugepages-1Gi: 1Gi}}",
        "resources: {limits: {hugepages-2Mi: 4Mi, hugepages-1536Ki: 3Mi, hugepages-64Ki: 64Ki}}",
        &node, arena);
    assert_int_equal(got->n_hugepage_limits, 2);
    assert_string_equal(got->hugepage_limits[0]->page_size, "2MB");
    assert_int_equal(got->hugepage_limits[0]->limit, 4 * MiB);
    assert_string_equal(got->hugepage_limits[1]->page_size, "1GB");
    assert_int_equal(got->hugepage_limits[1]->limit, GiB);
    node.hugepage_sizes = NULL;
    assert_int_equal(resources_of("", "", &node, arena)->n_hugepage_limits, 0);
}

static const char *unified(const Cri__LinuxContainerResources *resources, const char *key)
{
    for (size_t i = 0; i < resources->n_unified; i++) {
        if (text_eq(resources->unified[i]->key, key))
            return resources->unified[i]->value;
    }
    return NULL;
}

TEST_CASE(swap_is_off_unless_limited_and_deserved)
{
    static const struct {
        const char *name, *spec, *resources;
        bool limited;
        const char *want;
    } rows[] = {
        {"a share of the swap", "", "requests: {memory: 100Mi}", true, "52428800"},
        {"truncated", "", "requests: {memory: 1Mi}", true, "524288"},
        {"not asked for", "", "requests: {memory: 100Mi}", false, "0"},
        {"best effort", "", "", true, "0"},
        {"guaranteed", "", "limits: {cpu: '1', memory: 100Mi}", true, "0"},
        {"request equals limit", "", "requests: {cpu: 1m}, limits: {memory: 100Mi}", true, "0"},
        {"neither request nor limit", "", "requests: {cpu: 1m}", true, "0"},
        {"critical", "priority: 2000000000", "requests: {memory: 100Mi}", true, "0"},
        {"more than the node has", "", "requests: {memory: 2000Mi}", true, "0"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    node.cgroup_v2 = true;
    node.swap_controller = true;
    node.swap_capacity_bytes = 500 * (int64_t)MiB;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        node.limited_swap = rows[i].limited;
        const char *container = arena_printf(arena, "resources: {%s}", rows[i].resources);
        const Cri__LinuxContainerResources *got =
            resources_of(rows[i].spec, container, &node, arena);
        if (!text_eq(unified(got, "memory.swap.max"), rows[i].want))
            fail_msg("%s: %s", rows[i].name, unified(got, "memory.swap.max"));
        assert_int_equal(got->memory_swap_limit_in_bytes, 0);
        assert_null(unified(got, "memory.oom.group"));
    }
    node.single_process_oom_kill = false;
    assert_string_equal(unified(resources_of("", "", &node, arena), "memory.oom.group"), "1");
    node.swap_controller = false;
    assert_null(unified(resources_of("", "", &node, arena), "memory.swap.max"));

    node.cgroup_v2 = false;
    node.swap_controller = true;
    const Cri__LinuxContainerResources *got = resources_of(
        "", "resources: {requests: {memory: 1Mi}, limits: {memory: 4Mi}}", &node, arena);
    assert_int_equal(got->memory_swap_limit_in_bytes, 4 * MiB);
    assert_int_equal(got->n_unified, 0);
}

static int64_t score(const char *spec, const char *resources, struct arena *arena)
{
    struct node_facts node = node_for_tests();
    return resources_of(spec, arena_printf(arena, "resources: {%s}", resources), &node, arena)
        ->oom_score_adj;
}

TEST_CASE(the_oom_score_follows_class_and_request)
{
    static const struct {
        const char *name, *spec, *resources;
        int64_t want;
    } rows[] = {
        {"guaranteed", "", "limits: {cpu: '1', memory: 1Mi}", -997},
        {"best effort", "", "", 1000},
        {"a tenth of the node", "", "requests: {memory: 100Mi}", 900},
        {"nothing asked for", "", "requests: {cpu: 1m}", 999},
        {"the whole node", "", "requests: {memory: 1000Mi}", 3},
        {"more than the node", "", "requests: {memory: 9000Mi}", 3},
        {"node critical", "priority: 2000001000, priorityClassName: system-node-critical", "",
         -997},
        {"cluster critical is not",
         "priority: 2000000000, priorityClassName: system-cluster-critical", "", 1000},
        {"the pod's rest is shared",
         "resources: {requests: {memory: 300Mi}}, initContainers: [{name: i, image: x}]",
         "requests: {memory: 100Mi}", 800},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t got = score(rows[i].spec, rows[i].resources, arena);
        if (got != rows[i].want)
            fail_msg("%s: %lld, want %lld", rows[i].name, (long long)got, (long long)rows[i].want);
    }
}

TEST_CASE(a_sidecar_is_no_worse_off_than_the_smallest_container)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    Core__Pod *pod = pod_with(
        "",
        "initContainers: [{name: s, image: x, restartPolicy: Always, resources: {requests: "
        "{memory: 10Mi}}}]",
        "resources: {requests: {memory: 100Mi}}", arena);
    struct container_config_input input = container_input(pod, &node);
    input.container = pod->spec->init_containers[0];
    assert_int_equal(container_built(&input, arena)->linux->resources->oom_score_adj, 900);
    pod->spec->init_containers[0]->restart_policy = NULL;
    assert_int_equal(container_built(&input, arena)->linux->resources->oom_score_adj, 990);
}

TEST_MAIN(TEST(cpu_and_memory_follow_the_formulas), TEST(every_page_size_of_the_node_has_a_limit),
          TEST(swap_is_off_unless_limited_and_deserved),
          TEST(the_oom_score_follows_class_and_request),
          TEST(a_sidecar_is_no_worse_off_than_the_smallest_container))
