#include "kube/node_match.h"

#include "kube/resources.h"
#include "tests/unit/kube/pod_yaml.h"

static Core__PodSpec *spec_of(const char *spec, struct arena *arena)
{
    const struct pod_text text = {.spec = spec};
    return pod_build(&text, arena)->spec;
}

static Core__Node *node_of(const char *yaml, struct arena *arena)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *message = NULL;
    assert_no_error(
        kube_decode_yaml(str_from(yaml), &core__node__descriptor, &options, arena, &message));
    return (Core__Node *)message;
}

TEST_CASE(a_toleration_covers_key_operator_value_and_effect)
{
    static const struct {
        const char *toleration;
        bool want;
    } rows[] = {
        {"{key: k, value: v, effect: NoSchedule}", true},
        {"{key: k, operator: Equal, value: v}", true},
        {"{key: k, operator: Exists}", true},
        {"{operator: Exists}", true},
        {"{operator: Exists, effect: NoSchedule}", true},
        {"{key: k, value: w}", false},
        {"{key: k}", false},
        {"{key: other, operator: Exists}", false},
        {"{key: k, operator: Exists, effect: NoExecute}", false},
        {"{key: k, operator: Near, value: v}", false},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Taint taint = CORE__TAINT__INIT;
    taint.key = arena_strdup(arena, "k");
    taint.value = arena_strdup(arena, "v");
    taint.effect = arena_strdup(arena, "NoSchedule");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *list = arena_printf(arena, "tolerations: [{key: z}, %s]", rows[i].toleration);
        const Core__PodSpec *spec = spec_of(list, arena);
        if (pod_toleration_of(spec, &taint) != (rows[i].want ? spec->tolerations[1] : NULL))
            fail_msg("%s", rows[i].toleration);
    }
}

#define REQUIRED(terms)                                                                            \
    "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "                   \
    "{nodeSelectorTerms: [" terms "]}}}"
#define EXPRESSION(text) REQUIRED("{matchExpressions: [{" text "}]}")

TEST_CASE(labels_and_name_select_a_node)
{
    static const struct {
        const char *spec;
        bool want;
    } rows[] = {
        {"", true},
        {"nodeSelector: {zone: a}", true},
        {"nodeSelector: {zone: a, bare: ''}", true},
        {"nodeSelector: {zone: b}", false},
        {"nodeSelector: {zone: a, missing: ''}", false},
        {EXPRESSION("key: zone, operator: In, values: [b, a]"), true},
        {EXPRESSION("key: missing, operator: In, values: ['']"), false},
        {EXPRESSION("key: zone, operator: NotIn, values: [a]"), false},
        {EXPRESSION("key: missing, operator: NotIn, values: [a]"), true},
        {EXPRESSION("key: bare, operator: Exists"), true},
        {EXPRESSION("key: bare, operator: DoesNotExist"), false},
        {EXPRESSION("key: size, operator: Gt, values: ['9']"), true},
        {EXPRESSION("key: size, operator: Gt, values: ['10']"), false},
        {EXPRESSION("key: size, operator: Lt, values: ['11']"), true},
        {EXPRESSION("key: zone, operator: Lt, values: ['11']"), false},
        {EXPRESSION("key: missing, operator: Lt, values: ['11']"), false},
        {EXPRESSION("key: zone, operator: Like, values: [a]"), false},
        {REQUIRED("{}"), false},
        {REQUIRED("{}, {matchExpressions: [{key: zone, operator: Exists}]}"), true},
        {REQUIRED("{matchFields: [{key: metadata.name, operator: In, values: [n1]}]}"), true},
        {REQUIRED("{matchFields: [{key: metadata.name, operator: In, values: [n2]}]}"), false},
        {REQUIRED("{matchFields: [{key: metadata.uid, operator: Exists}]}"), false},
        {REQUIRED("{matchExpressions: [{key: zone, operator: Exists}], "
                  "matchFields: [{key: metadata.name, operator: In, values: [n2]}]}"),
         false},
        {"nodeSelector: {zone: b}, " EXPRESSION("key: zone, operator: Exists"), false},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Node *node =
        node_of("metadata: {name: n1, labels: {zone: a, bare: '', size: '10'}}\n", arena);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (node_is_selected(node, spec_of(rows[i].spec, arena)) != rows[i].want)
            fail_msg("%s", rows[i].spec);
    }
    assert_string_equal(node_label(node, "bare"), "");
    assert_null(node_label(node, "missing"));
}

TEST_CASE(cpu_counts_in_millis_and_all_else_in_units)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    bool is_present = false;
    const Core__Node *node =
        node_of("status: {allocatable: {cpu: 1500m, memory: 1Gi, pods: '0'}}\n", arena);
    assert_int_equal(node_allocatable(node, "cpu", NULL), 1500);
    assert_int_equal(node_allocatable(node, "memory", NULL), 1 << 30);
    assert_int_equal(node_allocatable(node, "pods", &is_present), 0);
    assert_true(is_present);
    assert_int_equal(node_allocatable(node, "vendor.com/gpu", &is_present), 0);
    assert_false(is_present);
}

TEST_CASE(a_pod_requests_what_any_level_of_it_names)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct pod_text text = {
        .spec = "overhead: {memory: 1Mi, vendor.com/fan: 1}, initContainers: [{name: i, image: b, "
                "resources: {requests: {cpu: 2, vendor.com/key: 3}}}]",
        .container = "resources: {requests: {cpu: 250m, memory: 2Mi, vendor.com/gpu: 4}}"};
    Core__Pod *pod = pod_build(&text, arena);
    struct resource_amounts amounts = pod_requests_of(pod, arena);
    assert_int_equal(amounts.count, 6);
    assert_string_equal(amounts.items[0].name, RESOURCE_CPU);
    assert_string_equal(amounts.items[1].name, RESOURCE_MEMORY);
    assert_string_equal(amounts.items[2].name, RESOURCE_EPHEMERAL_STORAGE);
    assert_int_equal(resource_amounts_of(&amounts, RESOURCE_CPU), 2000);
    assert_int_equal(resource_amounts_of(&amounts, RESOURCE_MEMORY), 3 << 20);
    assert_int_equal(resource_amounts_of(&amounts, RESOURCE_EPHEMERAL_STORAGE), 0);
    assert_int_equal(resource_amounts_of(&amounts, "vendor.com/key"), 3);
    assert_int_equal(resource_amounts_of(&amounts, "vendor.com/gpu"), 4);
    assert_int_equal(resource_amounts_of(&amounts, "vendor.com/fan"), 1);
    assert_int_equal(resource_amounts_of(&amounts, "vendor.com/none"), 0);
    assert_int_equal(pod_request_of(pod, RESOURCE_CPU), 2000);
}

TEST_CASE(amounts_add_up_and_saturate)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct resource_amounts amounts = {.count = 0};
    for (int i = 0; i < 20; i++)
        resource_amounts_add(&amounts, arena_printf(arena, "vendor.com/%d", i), i, arena);
    resource_amounts_add(&amounts, "vendor.com/7", 1, arena);
    resource_amounts_add(&amounts, "vendor.com/8", INT64_MAX, arena);
    assert_int_equal(amounts.count, 20);
    assert_int_equal(resource_amounts_of(&amounts, "vendor.com/7"), 8);
    assert_int_equal(resource_amounts_of(&amounts, "vendor.com/8"), INT64_MAX);
    assert_int_equal(resource_amounts_of(&amounts, "vendor.com/19"), 19);
}

TEST_CASE(host_ports_are_in_the_way_of_one_another)
{
    static const struct {
        const char *a, *b;
        bool want;
    } rows[] = {
        {"hostPort: 80", "hostPort: 80", true},
        {"hostPort: 80", "hostPort: 81", false},
        {"hostPort: 80, protocol: UDP", "hostPort: 80, protocol: TCP", false},
        {"hostPort: 80", "hostPort: 80, protocol: TCP", true},
        {"hostPort: 80, hostIP: 127.0.0.1", "hostPort: 80, hostIP: 127.0.0.2", false},
        {"hostPort: 80, hostIP: 127.0.0.1", "hostPort: 80, hostIP: 127.0.0.1", true},
        {"hostPort: 80, hostIP: 127.0.0.1", "hostPort: 80, hostIP: 0.0.0.0", true},
        {"hostPort: 80", "hostPort: 80, hostIP: 127.0.0.1", true},
        {"hostPort: 0", "hostPort: 0", false},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct host_ports a = {.count = 0}, b = {.count = 0};
        const struct pod_text left = {
            .container = arena_printf(arena, "ports: [{containerPort: 1, %s}]", rows[i].a)};
        const struct pod_text right = {
            .container = arena_printf(arena, "ports: [{containerPort: 1, %s}]", rows[i].b)};
        host_ports_add(&a, pod_build(&left, arena)->spec, arena);
        host_ports_add(&b, pod_build(&right, arena)->spec, arena);
        if (host_ports_conflict(&a, &b) != rows[i].want ||
            host_ports_conflict(&b, &a) != rows[i].want)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
    }
}

TEST_CASE(sidecars_hold_their_ports_and_other_init_containers_do_not)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct host_ports ports = {.count = 0};
    const Core__PodSpec *spec = spec_of(
        "initContainers: [{name: i, image: b, ports: [{containerPort: 1, hostPort: 1}]}, {name: s, "
        "image: b, restartPolicy: Always, ports: [{containerPort: 2, hostPort: 2}]}]",
        arena);
    host_ports_add(&ports, spec, arena);
    assert_int_equal(ports.count, 1);
    assert_int_equal(ports.items[0].port, 2);
}

TEST_MAIN(TEST(a_toleration_covers_key_operator_value_and_effect),
          TEST(labels_and_name_select_a_node), TEST(cpu_counts_in_millis_and_all_else_in_units),
          TEST(a_pod_requests_what_any_level_of_it_names), TEST(amounts_add_up_and_saturate),
          TEST(host_ports_are_in_the_way_of_one_another),
          TEST(sidecars_hold_their_ports_and_other_init_containers_do_not))
