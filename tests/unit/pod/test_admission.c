/* Who may run here, and in whose place: a row for each reason there is. */
#include "pod/admission.h"

#include "kube/codec.h"
#include "tests/lib/test.h"

#define NODE_TEXT                                                                                  \
    "metadata: {name: one, labels: {disk: fast, kubernetes.io/os: linux}}\n"                       \
    "status: {allocatable: {pods: '3', cpu: '2', memory: 1Gi, ephemeral-storage: 1Gi}}\n"

static ProtobufCMessage *parse(const char *text, const ProtobufCMessageDescriptor *type,
                               struct arena *arena)
{
    ProtobufCMessage *message = NULL;
    struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT, .file = "test"};
    assert_no_error(kube_decode_text(str_from(text), type, &options, arena, &message));
    return message;
}

static const Core__Pod *pod_of(const char *spec, const char *container, struct arena *arena)
{
    const char *text =
        arena_printf(arena,
                     "metadata: {name: p, namespace: d, uid: u}\n"
                     "spec:\n  %s\n  containers:\n  - name: c\n    image: i\n    %s\n",
                     spec, container);
    return (const Core__Pod *)parse(text, &core__pod__descriptor, arena);
}

struct world {
    struct arena *arena;
    struct admission_node node;
    const Core__Pod *others[8];
    bool others_static[8];
    size_t n_others;
    struct admission_result result;
};

static void world_init(struct world *world, const char *node_spec)
{
    *world = (struct world){.arena = arena_new(0)};
    const char *text = arena_printf(world->arena, "%sspec: {%s}\n", NODE_TEXT, node_spec);
    world->node = (struct admission_node){
        .node = (const Core__Node *)parse(text, &core__node__descriptor, world->arena),
        .node_name = "one",
        .kernel_major = 6,
        .kernel_minor = 1,
    };
}

static void world_add(struct world *world, const char *spec, const char *container, bool is_static)
{
    world->others[world->n_others] = pod_of(spec, container, world->arena);
    world->others_static[world->n_others++] = is_static;
}

static const struct admission_result *decide(struct world *world, const Core__Pod *pod,
                                             bool is_static)
{
    const struct admission_input input = {.pod = pod,
                                          .is_static = is_static,
                                          .others = world->others,
                                          .others_static = world->others_static,
                                          .n_others = world->n_others,
                                          .node = &world->node};
    admission_decide(&input, world->arena, &world->result);
    return &world->result;
}

#define AFFINITY "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"

/* On the node in every row: one pod with 1500m of cpu, 512Mi and a port. */
static const struct {
    const char *name, *node, *pod, *container;
    const char *reason; /* NULL: admitted */
    const char *message;
    bool wants_fresh_node;
} rows[] = {
    {"nothing special", "", "", "", NULL, NULL, false},
    {"cpu that is there", "", "", "resources: {requests: {cpu: 500m}}", NULL, NULL, false},
    {"cpu that is not", "", "", "resources: {requests: {cpu: 501m}}", "OutOfcpu",
     "Node didn't have enough resource: cpu, requested: 501, used: 1500, capacity: 2000", false},
    {"memory that is not", "", "", "resources: {requests: {memory: 600Mi}}", "OutOfmemory",
     "Node didn't have enough resource: memory, requested: 629145600, used: 536870912, capacity: "
     "1073741824",
     false},
    {"storage", "", "", "resources: {requests: {ephemeral-storage: 2Gi}}", "OutOfephemeral-storage",
     "Node didn't have enough resource: ephemeral-storage, requested: 2147483648, used: 0, "
     "capacity: 1073741824",
     false},
    {"cpu is told before memory", "", "", "resources: {requests: {cpu: '3', memory: 3Gi}}",
     "OutOfcpu",
     "Node didn't have enough resource: cpu, requested: 3000, used: 1500, capacity: 2000", false},
    {"a resource the node does not know of", "", "",
     "resources: {requests: {example.com/gpu: '1'}, limits: {example.com/gpu: '1'}}", NULL, NULL,
     false},
    {"a selector that holds", "", "nodeSelector: {disk: fast}", "", NULL, NULL, false},
    {"a selector that does not", "", "nodeSelector: {disk: slow}", "", "NodeAffinity", AFFINITY,
     true},
    {"resources come before the selector", "", "nodeSelector: {disk: slow}",
     "resources: {requests: {cpu: '3'}}", "OutOfcpu",
     "Node didn't have enough resource: cpu, requested: 3000, used: 1500, capacity: 2000", false},
    {"another node's name", "", "nodeName: m", "", "NodeName",
     "Predicate NodeName failed: node(s) didn't match the requested node name", false},
    {"a port that is taken", "", "", "ports: [{containerPort: 1, hostPort: 80}]", "NodePorts",
     "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
     false},
    {"a taint that drives away", "taints: [{key: k, effect: NoExecute}]", "", "", "TaintToleration",
     "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate", false},
    {"a taint that is tolerated", "taints: [{key: k, effect: NoExecute}]",
     "tolerations: [{key: k, operator: Exists}]", "", NULL, NULL, false},
    {"a taint for the scheduler", "taints: [{key: k, effect: NoSchedule}]", "", "", NULL, NULL,
     false},
    {"another system", "", "os: {name: windows}", "", "PodOSNotSupported",
     "Failed to admit pod as the OS field doesn't match node OS", false},
    {"strict groups", "", "securityContext: {supplementalGroupsPolicy: Strict}", "",
     "SupplementalGroupsPolicyNotSupported",
     "SupplementalGroupsPolicy=Strict is not supported in this node", false},
    {"a safe sysctl", "",
     "securityContext: {sysctls: [{name: net.ipv4.tcp_syncookies, value: '1'}]}", "", NULL, NULL,
     false},
    {"a sysctl of newer kernels", "",
     "securityContext: {sysctls: [{name: net.ipv4.tcp_rmem, value: '1'}]}", "", NULL, NULL, false},
    {"an unsafe sysctl", "", "securityContext: {sysctls: [{name: kernel.msgmax, value: '1'}]}", "",
     "SysctlForbidden", "forbidden sysctl: \"kernel.msgmax\" not allowlisted", false},
    {"slashes are dots", "", "securityContext: {sysctls: [{name: kernel/msgmax, value: '1'}]}", "",
     "SysctlForbidden", "forbidden sysctl: \"kernel.msgmax\" not allowlisted", false},
    {"a safe one in the host's network", "",
     "hostNetwork: true\n"
     "  securityContext: {sysctls: [{name: net.ipv4.tcp_syncookies, value: '1'}]}",
     "", "SysctlForbidden",
     "forbidden sysctl: \"net.ipv4.tcp_syncookies\" not allowed with host Net enabled", false},
    {"AppArmor where there is none", "",
     "securityContext: {appArmorProfile: {type: RuntimeDefault}}", "", "AppArmor",
     "Cannot enforce AppArmor: AppArmor is not enabled on the host", false},
    {"no AppArmor wanted", "", "securityContext: {appArmorProfile: {type: Unconfined}}", "", NULL,
     NULL, false},
    {"a feature the node has not declared", "", "restartPolicy: Never",
     "restartPolicy: Never\n    restartPolicyRules: [{action: RestartAllContainers, exitCodes: "
     "{operator: In, values: [1]}}]",
     "PodFeatureUnsupported",
     "Pod requires node features that are not available: RestartAllContainersOnContainerExits",
     false},
};

TEST_CASE(each_handler_refuses_in_its_own_words)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct world world;
        world_init(&world, rows[i].node);
        world_add(&world, "",
                  "ports: [{containerPort: 80, hostPort: 80}]\n"
                  "    resources: {requests: {cpu: 1500m, memory: 512Mi}}",
                  false);
        const Core__Pod *pod = pod_of(rows[i].pod, rows[i].container, world.arena);
        const struct admission_result *result = decide(&world, pod, false);
        if (!text_eq(result->reason, rows[i].reason) ||
            !text_eq(result->message, rows[i].message) ||
            result->wants_fresh_node != rows[i].wants_fresh_node)
            fail_msg("%s: %s: %s", rows[i].name, result->reason, result->message);
        assert_int_equal(result->verdict, rows[i].reason ? ADMISSION_REJECTED : ADMISSION_ADMITTED);
        arena_free(world.arena);
    }
}

TEST_CASE(there_is_room_for_so_many_pods)
{
    struct world world;
    world_init(&world, "");
    const Core__Pod *pod = pod_of("", "", world.arena);
    for (size_t i = 0; i < 2; i++)
        world_add(&world, "", "", false);
    assert_int_equal(decide(&world, pod, false)->verdict, ADMISSION_ADMITTED);
    world_add(&world, "", "", false);
    assert_string_equal(decide(&world, pod, false)->reason, "OutOfpods");
    assert_string_equal(
        world.result.message,
        "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3");
    arena_free(world.arena);
}

static const struct {
    const char *name;
    bool memory, disk, pid, shutdown;
    const char *pod, *container;
    bool is_static;
    const char *message; /* NULL: admitted */
} pressures[] = {
    {"no pressure", false, false, false, false, "", "", false, NULL},
    {"memory, best effort", true, false, false, false, "", "", false,
     "The node had condition: [MemoryPressure]. "},
    {"memory, burstable", true, false, false, false, "", "resources: {requests: {cpu: 1m}}", false,
     NULL},
    {"memory, tolerated", true, false, false, false,
     "tolerations: [{key: node.kubernetes.io/memory-pressure, operator: Exists}]", "", false, NULL},
    {"disk, burstable", false, true, false, false, "", "resources: {requests: {cpu: 1m}}", false,
     "The node had condition: [DiskPressure]. "},
    {"all", true, true, true, false, "", "", false,
     "The node had condition: [DiskPressure MemoryPressure PIDPressure]. "},
    {"a static pod", true, true, true, false, "", "", true, NULL},
    {"a critical pod", true, true, true, false, "priority: 2000000000", "", false, NULL},
    {"a shutdown", false, false, false, true, "", "", false,
     "Pod was rejected as the node is shutting down."},
};

TEST_CASE(pressure_and_shutdown_keep_pods_away)
{
    for (size_t i = 0; i < ARRAY_SIZE(pressures); i++) {
        struct world world;
        world_init(&world, "");
        world.node.memory_pressure = pressures[i].memory;
        world.node.disk_pressure = pressures[i].disk;
        world.node.pid_pressure = pressures[i].pid;
        world.node.is_shutting_down = pressures[i].shutdown;
        const Core__Pod *pod = pod_of(pressures[i].pod, pressures[i].container, world.arena);
        const struct admission_result *result = decide(&world, pod, pressures[i].is_static);
        if (!text_eq(result->message, pressures[i].message))
            fail_msg("%s: %s", pressures[i].name, result->message);
        arena_free(world.arena);
    }
}

TEST_CASE(without_a_node_there_is_nothing_to_compare_with)
{
    struct world world;
    world_init(&world, "");
    world.node.node = NULL;
    assert_string_equal(decide(&world, pod_of("", "", world.arena), false)->reason,
                        "InvalidNodeInfo");
    arena_free(world.arena);
}

/* --- preemption --- */

#define CPU(amount) "resources: {requests: {cpu: " amount "}, limits: {cpu: " amount "}}"
#define SURE(amount)                                                                               \
    "resources: {requests: {cpu: " amount ", memory: 1Mi}, limits: {cpu: " amount ", memory: "     \
    "1Mi}}"

TEST_CASE(what_is_missing_in_spite_of_all_victims_is_told)
{
    struct world world;
    world_init(&world, "");
    world_add(&world, "", "resources: {requests: {cpu: 500m, memory: 1Gi}}", false);
    world_add(&world, "", CPU("1500m"), true);
    decide(&world, pod_of("", "resources: {requests: {cpu: '1', memory: 1Mi}}", world.arena), true);
    assert_string_equal(world.result.message,
                        "Unexpected error while attempting to recover from admission failure: "
                        "preemption: error finding a set of pods to preempt: no set of running "
                        "pods found to reclaim resources: [(res: cpu, q: 500), ]");
    arena_free(world.arena);
}

TEST_CASE(a_sysctl_is_safe_from_its_kernel_on)
{
    struct world world;
    world_init(&world, "");
    const Core__Pod *pod = pod_of("securityContext: {sysctls: [{name: "
                                  "net.ipv4.tcp_keepalive_time, value: '1'}]}",
                                  "", world.arena);
    world.node.kernel_major = 4;
    world.node.kernel_minor = 4;
    assert_string_equal(decide(&world, pod, false)->reason, "SysctlForbidden");
    world.node.kernel_minor = 5;
    assert_int_equal(decide(&world, pod, false)->verdict, ADMISSION_ADMITTED);
    arena_free(world.arena);
}

static void assert_victims(struct world *world, size_t count, const size_t *expected)
{
    assert_int_equal(world->result.verdict, ADMISSION_PREEMPTS);
    assert_int_equal(world->result.n_victims, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(world->result.victims[i], expected[i]);
}

TEST_CASE(a_critical_pod_takes_the_place_of_the_least)
{
    struct world world;
    world_init(&world, "");
    world_add(&world, "", SURE("800m"), false);                         /* guaranteed */
    world_add(&world, "", "resources: {requests: {cpu: 700m}}", false); /* burstable */
    world_add(&world, "", "resources: {requests: {cpu: 400m}}", false); /* burstable */
    const Core__Pod *pod = pod_of("", "resources: {requests: {cpu: 400m}}", world.arena);
    decide(&world, pod, true);
    /* pods: 3 of 3, and cpu: 300m are missing: one burstable pod makes up for both. */
    assert_victims(&world, 1, (const size_t[]){2});
    arena_free(world.arena);
}

TEST_CASE(a_pod_of_best_effort_makes_room_for_another_pod)
{
    struct world world;
    world_init(&world, "");
    world_add(&world, "", SURE("100m"), false);
    world_add(&world, "", "", false);
    world_add(&world, "", "resources: {requests: {cpu: 10m}}", false);
    decide(&world, pod_of("", "", world.arena), true);
    assert_victims(&world, 1, (const size_t[]){1});
    arena_free(world.arena);
}

TEST_CASE(critical_pods_do_not_make_room_for_their_equals)
{
    struct world world;
    world_init(&world, "");
    world_add(&world, "", CPU("1500m"), true);
    decide(&world, pod_of("", CPU("1"), world.arena), true);
    assert_string_equal(world.result.reason, "UnexpectedAdmissionError");
    assert_string_equal(world.result.message,
                        "Unexpected error while attempting to recover from admission failure: "
                        "preemption: error finding a set of pods to preempt: no set of running "
                        "pods found to reclaim resources: [(res: cpu, q: 500), ]");
    arena_free(world.arena);
}

TEST_CASE(what_no_preemption_helps_is_told)
{
    struct world world;
    world_init(&world, "");
    world_add(&world, "", CPU("1500m"), false);
    decide(&world, pod_of("nodeSelector: {disk: slow}", CPU("1"), world.arena), true);
    assert_string_equal(world.result.reason, "NodeAffinity");
    arena_free(world.arena);
}

TEST_MAIN(TEST(each_handler_refuses_in_its_own_words), TEST(there_is_room_for_so_many_pods),
          TEST(pressure_and_shutdown_keep_pods_away),
          TEST(without_a_node_there_is_nothing_to_compare_with),
          TEST(a_critical_pod_takes_the_place_of_the_least),
          TEST(a_pod_of_best_effort_makes_room_for_another_pod),
          TEST(critical_pods_do_not_make_room_for_their_equals),
          TEST(what_no_preemption_helps_is_told),
          TEST(what_is_missing_in_spite_of_all_victims_is_told),
          TEST(a_sysctl_is_safe_from_its_kernel_on))
