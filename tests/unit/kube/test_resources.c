#include "kube/resources.h"
#include "tests/unit/kube/pod_yaml.h"

static Core__Pod *pod_of_spec(const char *spec, struct arena *arena)
{
    return pod_parse(arena_printf(arena, "spec: {%s}\n", spec), arena);
}

TEST_CASE(qos_class_follows_requests_and_limits)
{
    static const struct {
        const char *name, *spec, *want;
    } rows[] = {
        {"nothing asked", "containers: [{name: a}]", "BestEffort"},
        {"a request", "containers: [{name: a, resources: {requests: {cpu: 1m}}}]", "Burstable"},
        {"a zero request counts as none",
         "containers: [{name: a, resources: {requests: {cpu: '0'}, limits: {memory: '0'}}}]",
         "BestEffort"},
        {"equal requests and limits",
         "containers: [{name: a, resources: {requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1000m, "
         "memory: 1024Mi}}}]",
         "Guaranteed"},
        {"limits alone, not defaulted",
         "containers: [{name: a, resources: {limits: {cpu: 1, memory: 1Gi}}}]", "Burstable"},
        {"a limit above its request",
         "containers: [{name: a, resources: {requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 2, "
         "memory: 1Gi}}}]",
         "Burstable"},
        {"one container without limits",
         "containers: [{name: a, resources: {requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1, "
         "memory: 1Gi}}}, {name: b}]",
         "Burstable"},
        {"an init container without limits",
         "initContainers: [{name: i}], containers: [{name: a, resources: {requests: {cpu: 1, "
         "memory: 1Gi}, limits: {cpu: 1, memory: 1Gi}}}]",
         "Burstable"},
        {"other resources do not count",
         "containers: [{name: a, resources: {requests: {ephemeral-storage: 1Gi}}}]", "BestEffort"},
        {"the pod level decides alone",
         "resources: {requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1, memory: 1Gi}}, containers: "
         "[{name: a}]",
         "Guaranteed"},
        {"a pod level of requests only",
         "resources: {requests: {cpu: 1, memory: 1Gi}}, containers: [{name: a}]", "Burstable"},
        {"an empty pod level hides the containers",
         "resources: {}, containers: [{name: a, resources: {requests: {cpu: 1}}}]", "BestEffort"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const char *got = pod_qos_name(pod_qos_of(pod_of_spec(rows[i].spec, arena)));
        if (!text_eq(got, rows[i].want))
            fail_msg("%s: got %s", rows[i].name, got);
    }
}

TEST_CASE(a_given_qos_class_is_taken_as_it_is)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod =
        pod_parse("{spec: {containers: [{name: a}]}, status: {qosClass: Guaranteed}}", arena);
    assert_int_equal(pod_qos_of(pod), POD_QOS_GUARANTEED);
    pod = pod_parse("{spec: {containers: [{name: a}]}, status: {qosClass: Odd}}", arena);
    assert_int_equal(pod_qos_of(pod), POD_QOS_BESTEFFORT);
}

#define CPU(number) "resources: {requests: {cpu: " number "}, limits: {cpu: " number "}}"

TEST_CASE(requests_are_the_larger_of_steady_state_and_init_steps)
{
    static const struct {
        const char *name, *spec;
        int64_t want;
    } rows[] = {
        {"containers add up", "containers: [{name: a, " CPU("1") "}, {name: b, " CPU("250m") "}]",
         1250},
        {"a large init step wins",
         "initContainers: [{name: i, " CPU("3") "}], containers: [{name: a, " CPU("1") "}]", 3000},
        {"init steps do not add up",
         "initContainers: [{name: i, " CPU("3") "}, {name: j, " CPU("2") "}], containers: [{name: "
                                                                         "a, " CPU("1") "}]",
         3000},
        {"a sidecar joins the steady state",
         "initContainers: [{name: s, restartPolicy: Always, " CPU(
             "1") "}], containers: [{name: a, " CPU("1") "}]",
         2000},
        {"an init step runs beside earlier sidecars",
         "initContainers: [{name: s, restartPolicy: Always, " CPU("1") "}, {name: i, " CPU(
             "3") "}], containers: [{name: a, " CPU("1") "}]",
         4000},
        {"an init step does not see later sidecars",
         "initContainers: [{name: i, " CPU("3") "}, {name: s, restartPolicy: Always, " CPU(
             "1") "}], containers: [{name: a, " CPU("1") "}]",
         3000},
        {"overhead comes on top", "overhead: {cpu: 10m}, containers: [{name: a, " CPU("1") "}]",
         1010},
        {"the pod level replaces the sum",
         "resources: {requests: {cpu: 5}}, containers: [{name: a, " CPU("1") "}]", 5000},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        bool present = false;
        int64_t got = pod_request_milli_cpu(pod_of_spec(rows[i].spec, arena), NULL, &present);
        if (got != rows[i].want || !present)
            fail_msg("%s: got %ld", rows[i].name, (long)got);
    }
}

TEST_CASE(limits_ignore_overhead_when_there_is_no_limit)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod =
        pod_of_spec("overhead: {memory: 1Mi, cpu: 5m}, containers: [{name: a, resources: "
                    "{limits: {memory: 2Mi}}}]",
                    arena);
    bool present = true;
    assert_int_equal(pod_limit_milli_cpu(pod, NULL, &present), 0);
    assert_false(present);
    assert_int_equal(pod_limit_bytes(pod, NULL, "memory", &present), 3 << 20);
    assert_true(present);
    const struct pod_resource_options bare = {.exclude_overhead = true};
    assert_int_equal(pod_limit_bytes(pod, &bare, "memory", NULL), 2 << 20);
    assert_int_equal(pod_request_bytes(pod, NULL, "memory", NULL), 1 << 20);
}

TEST_CASE(options_leave_levels_out)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod = pod_of_spec("resources: {requests: {memory: 8Mi, hugepages-2Mi: 4Mi}}, "
                                 "containers: [{name: a, resources: "
                                 "{requests: {memory: 1Mi, vendor.com/gpu: 2}}}]",
                                 arena);
    const struct pod_resource_options no_pod_level = {.skip_pod_level = true};
    const struct pod_resource_options no_containers = {.skip_container_level = true};
    bool present;
    assert_int_equal(pod_request_bytes(pod, NULL, "memory", NULL), 8 << 20);
    assert_int_equal(pod_request_bytes(pod, &no_pod_level, "memory", NULL), 1 << 20);
    assert_int_equal(pod_request_bytes(pod, NULL, "hugepages-2Mi", NULL), 4 << 20);
    assert_int_equal(pod_request_bytes(pod, &no_containers, "vendor.com/gpu", &present), 0);
    assert_false(present);
    assert_int_equal(pod_request_bytes(pod, NULL, "vendor.com/gpu", &present), 2);
    assert_true(present);
    assert_true(pod_has_pod_level_resources(pod));
}

TEST_CASE(an_extended_resource_has_a_vendor)
{
    assert_true(resource_is_extended("vendor.com/gpu"));
    assert_false(resource_is_extended("cpu"));
    assert_false(resource_is_extended("node.kubernetes.io/thing"));
    assert_false(resource_is_extended("requests.vendor.com/gpu"));
    assert_false(resource_is_extended("vendor.com/not a name"));
    assert_true(resource_is_native("memory"));
    assert_false(resource_is_native("vendor.com/gpu"));
}

TEST_CASE(sums_saturate)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod = pod_of_spec("containers: [{name: a, resources: {requests: {memory: 8Ei}}}, "
                                 "{name: b, resources: {requests: {memory: 8Ei}}}]",
                                 arena);
    assert_true(pod_request_bytes(pod, NULL, "memory", NULL) == INT64_MAX);
}

TEST_CASE(a_pod_is_limited_when_every_container_is)
{
    static const struct {
        const char *name, *spec;
        bool want;
    } rows[] = {
        {"all containers", "containers: [{name: a, " CPU("1") "}, {name: b, " CPU("1") "}]", true},
        {"one without", "containers: [{name: a, " CPU("1") "}, {name: b}]", false},
        {"an init container without",
         "initContainers: [{name: i}], containers: [{name: a, " CPU("1") "}]", false},
        {"a plain one after a limited sidecar",
         "initContainers: [{name: s, restartPolicy: Always, " CPU(
             "1") "}, {name: i}], containers: [{name: a, " CPU("1") "}]",
         true},
        {"the pod level", "resources: {limits: {cpu: 1}}, containers: [{name: a}]", true},
        {"a pod level of zero", "resources: {limits: {cpu: 0}}, containers: [{name: a}]", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        if (pod_limits_cover_all(pod_of_spec(rows[i].spec, arena), "cpu") != rows[i].want)
            fail_msg("%s", rows[i].name);
    }
}

TEST_CASE(static_mirror_and_important_pods_are_critical)
{
    static const struct {
        const char *name, *yaml;
        bool is_static, is_mirror, is_critical;
    } rows[] = {
        {"plain", "{metadata: {name: a}, spec: {}}", false, false, false},
        {"from a file", "{metadata: {annotations: {kubernetes.io/config.source: file}}}", true,
         false, true},
        {"from the API", "{metadata: {annotations: {kubernetes.io/config.source: api}}}", false,
         false, false},
        {"a mirror", "{metadata: {annotations: {kubernetes.io/config.mirror: x}}}", false, true,
         true},
        {"priority of the system", "{spec: {priority: 2000000000}}", false, false, true},
        {"priority below it", "{spec: {priority: 1999999999}}", false, false, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        Core__Pod *pod = pod_parse(rows[i].yaml, arena);
        if (pod_is_static(pod) != rows[i].is_static || pod_is_mirror(pod) != rows[i].is_mirror ||
            pod_is_critical(pod) != rows[i].is_critical)
            fail_msg("%s", rows[i].name);
    }
}

TEST_CASE(labels_and_annotations_are_found_by_key)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod =
        pod_parse("{metadata: {labels: {app: web, tier: x}, annotations: {app: other}}}", arena);
    assert_string_equal(pod_label(pod, "app"), "web");
    assert_string_equal(pod_annotation(pod, "app"), "other");
    assert_null(pod_label(pod, "App"));
    assert_null(pod_annotation(pod, "tier"));
    pod = pod_parse("{}", arena);
    assert_null(pod_label(pod, "app"));
    assert_null(pod_annotation(pod, "app"));
    assert_int_equal(pod_qos_of(pod), POD_QOS_BESTEFFORT);
}

TEST_CASE(containers_are_found_by_number_and_by_name)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Pod *pod =
        pod_parse("spec: {initContainers: [{name: i}], containers: [{name: a}, {name: b}], "
                  "ephemeralContainers: [{name: e}]}",
                  arena);
    static const struct {
        const char *name, *list;
        size_t index; /* of init and regular containers */
    } rows[] = {{"i", "initContainers", 0}, {"a", "containers", 1}, {"b", "containers", 2}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_string_equal(pod_container_at(pod->spec, rows[i].index)->name, rows[i].name);
        assert_ptr_equal(pod_container_find(pod->spec, rows[i].name),
                         pod_container_at(pod->spec, rows[i].index));
        assert_string_equal(pod_list_of_container(pod->spec, rows[i].name), rows[i].list);
    }
    assert_null(pod_container_at(pod->spec, ARRAY_SIZE(rows)));
    assert_null(pod_container_find(pod->spec, "e"));
    assert_string_equal(pod_list_of_container(pod->spec, "e"), "ephemeralContainers");
    assert_null(pod_list_of_container(pod->spec, "nobody"));
}

TEST_CASE(a_condition_is_true_when_it_is_there_and_says_so)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Pod *pod = pod_parse("status: {conditions: [{type: Ready, status: 'True'}, "
                                     "{type: Initialized, status: Unknown}]}",
                                     arena);
    assert_true(pod_condition_is_true(pod->status, "Ready"));
    assert_false(pod_condition_is_true(pod->status, "Initialized"));
    assert_string_equal(pod_condition_find(pod->status, "Initialized")->status, "Unknown");
    assert_null(pod_condition_find(pod->status, "PodScheduled"));
    assert_false(pod_condition_is_true(NULL, "Ready"));
}

TEST_MAIN(TEST(containers_are_found_by_number_and_by_name),
          TEST(a_condition_is_true_when_it_is_there_and_says_so),
          TEST(qos_class_follows_requests_and_limits), TEST(a_given_qos_class_is_taken_as_it_is),
          TEST(requests_are_the_larger_of_steady_state_and_init_steps),
          TEST(limits_ignore_overhead_when_there_is_no_limit), TEST(options_leave_levels_out),
          TEST(an_extended_resource_has_a_vendor), TEST(sums_saturate),
          TEST(a_pod_is_limited_when_every_container_is),
          TEST(static_mirror_and_important_pods_are_critical),
          TEST(labels_and_annotations_are_found_by_key))
