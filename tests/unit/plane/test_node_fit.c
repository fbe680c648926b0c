/* Which pods fit on which nodes, and what is said of those that do not. */
#include "plane/node_fit.h"
#include "tests/unit/plane/object_yaml.h"

static const char node_text[] = "metadata:\n  name: one\n  labels: {disk: fast, cores: '8'}\n"
                                "status:\n  allocatable: {pods: '3', cpu: '2', memory: 1Gi,"
                                " ephemeral-storage: 1Gi, example.com/gpu: '1'}\n";

/* What is on the node in every row. */
static const char there_text[] =
    "metadata: {name: there}\nspec:\n  containers:\n"
    "  - name: c\n    image: i\n"
    "    ports: [{containerPort: 80, hostPort: 80, hostIP: 10.0.0.1}]\n"
    "    resources: {requests: {cpu: 1500m, memory: 512Mi}}\n";

static const struct {
    const char *name;
    const char *node; /* spec of the node */
    const char *pod;  /* spec of the pod, beside its container */
    const char *container;
    const char *reasons; /* "": it fits */
} rows[] = {
    {"anything", "", "", "", ""},
    {"a cordon", "unschedulable: true", "", "", "1 node(s) were unschedulable"},
    {"a cordon that is tolerated", "unschedulable: true",
     "tolerations: [{key: node.kubernetes.io/unschedulable, operator: Exists}]", "", ""},
    {"a taint", "taints: [{key: k, value: v, effect: NoExecute}]",
     "tolerations: [{key: k, value: w}]", "", "1 node(s) had untolerated taint(s)"},
    {"a taint that is only preferred", "taints: [{key: k, effect: PreferNoSchedule}]", "", "", ""},
    {"a selector", "", "nodeSelector: {disk: fast}", "", ""},
    {"a selector of another value", "", "nodeSelector: {disk: slow}", "",
     "1 node(s) didn't match Pod's node affinity/selector"},
    {"a selector of no label", "", "nodeSelector: {none: ''}", "",
     "1 node(s) didn't match Pod's node affinity/selector"},
    {"terms are alternatives", "",
     "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
     "{nodeSelectorTerms: [{matchExpressions: [{key: disk, operator: In, values: [slow]}]}, "
     "{matchExpressions: [{key: cores, operator: Gt, values: ['4']}, "
     "{key: none, operator: DoesNotExist}, {key: disk, operator: Exists}, "
     "{key: none, operator: NotIn, values: [x]}]}]}}}",
     "", ""},
    {"all of a term must be met", "",
     "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
     "{nodeSelectorTerms: [{matchExpressions: [{key: disk, operator: In, values: [fast]}, "
     "{key: cores, operator: Lt, values: ['8']}]}]}}}",
     "", "1 node(s) didn't match Pod's node affinity/selector"},
    {"an empty term is met by nothing", "",
     "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
     "{nodeSelectorTerms: [{}]}}}",
     "", "1 node(s) didn't match Pod's node affinity/selector"},
    {"a field", "",
     "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
     "{nodeSelectorTerms: [{matchFields: [{key: metadata.name, operator: In, values: [one]}]}]}}}",
     "", ""},
    {"a port that is taken", "", "", "ports: [{containerPort: 1, hostPort: 80}]",
     "1 node(s) didn't have free ports for the requested pod ports"},
    {"the same port of another address", "", "",
     "ports: [{containerPort: 1, hostPort: 80, hostIP: 10.0.0.2}]", ""},
    {"the same port of another protocol", "", "",
     "ports: [{containerPort: 1, hostPort: 80, protocol: UDP}]", ""},
    {"what is left of cpu and memory", "", "", "resources: {requests: {cpu: 500m, memory: 512Mi}}",
     ""},
    {"more than is left", "", "",
     "resources: {requests: {cpu: 501m, memory: 513Mi, ephemeral-storage: 2Gi}}",
     "1 Insufficient cpu, 1 Insufficient ephemeral-storage, 1 Insufficient memory"},
    {"an extended resource", "", "", "resources: {requests: {example.com/gpu: '1'}}", ""},
    {"one that the node has not", "", "", "resources: {requests: {example.com/tpu: '1'}}",
     "1 Insufficient example.com/tpu"},
    {"overhead counts", "", "overhead: {cpu: 600m}", "", "1 Insufficient cpu"},
    {"the first filter alone speaks", "unschedulable: true", "nodeSelector: {disk: slow}",
     "resources: {requests: {cpu: '9'}}", "1 node(s) were unschedulable"},
};

static const Core__Pod *make_pod(const char *spec, const char *container, struct arena *arena)
{
    const char *text = arena_printf(arena,
                                    "metadata: {name: p}\nspec:\n  %s\n  containers:\n"
                                    "  - name: c\n    image: i\n    %s\n",
                                    spec, container);
    return (const Core__Pod *)object_parse(text, &core__pod__descriptor, arena);
}

static struct node_room *make_room(const char *spec, struct arena *arena)
{
    const char *text = arena_printf(arena, "%s%s%s\n", node_text, *spec ? "spec:\n  " : "", spec);
    return node_room_new((const Core__Node *)object_parse(text, &core__node__descriptor, arena),
                         arena);
}

TEST_CASE(pods_fit_or_are_told_why_not)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct node_room *room = make_room(rows[i].node, arena);
        node_room_add(room,
                      (const Core__Pod *)object_parse(there_text, &core__pod__descriptor, arena));
        struct fit_reasons reasons = {.arena = arena};
        const Core__Pod *pod = make_pod(rows[i].pod, rows[i].container, arena);
        bool fits = node_room_fits(room, pod, &reasons);
        const char *want =
            arena_printf(arena, "0/1 nodes are available:%s%s%s", *rows[i].reasons ? " " : "",
                         rows[i].reasons, *rows[i].reasons ? "." : "");
        const char *have = fit_reasons_text(&reasons, 1);
        if (fits != !*rows[i].reasons || strcmp(have, want) != 0)
            fail_msg("%s: %s", rows[i].name, have);
    }
}

TEST_CASE(a_node_is_full_when_its_pods_are_counted)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_room *room = make_room("", arena);
    struct fit_reasons reasons = {.arena = arena};
    const Core__Pod *pod = make_pod("", "", arena);
    for (int i = 0; i < 3; i++) {
        assert_true(node_room_fits(room, pod, &reasons));
        node_room_add(room, pod);
    }
    assert_false(node_room_fits(room, pod, &reasons));
    assert_string_equal(fit_reasons_text(&reasons, 1), "0/1 nodes are available: 1 Too many pods.");
}

TEST_CASE(what_has_finished_takes_no_room)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_room *room = make_room("", arena);
    struct fit_reasons reasons = {.arena = arena};
    const char *text = arena_printf(arena, "%sstatus: {phase: Failed}\n", there_text);
    for (int i = 0; i < 5; i++)
        node_room_add(room, (const Core__Pod *)object_parse(text, &core__pod__descriptor, arena));
    assert_true(
        node_room_fits(room, make_pod("", "resources: {requests: {cpu: '2'}}", arena), &reasons));
}

TEST_CASE(a_node_that_has_not_said_what_it_has_takes_what_comes)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const ProtobufCMessage *node =
        object_parse("metadata: {name: one}\n", &core__node__descriptor, arena);
    struct node_room *room = node_room_new((const Core__Node *)node, arena);
    struct fit_reasons reasons = {.arena = arena};
    assert_true(
        node_room_fits(room, make_pod("", "resources: {requests: {cpu: '200'}}", arena), &reasons));
}

TEST_CASE(reasons_are_counted_over_all_nodes)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct fit_reasons reasons = {.arena = arena};
    const Core__Pod *pod = make_pod("nodeSelector: {disk: slow}", "", arena);
    assert_string_equal(fit_reasons_text(&reasons, 0), "no nodes available to schedule pods");
    assert_false(node_room_fits(make_room("", arena), pod, &reasons));
    assert_false(node_room_fits(make_room("unschedulable: true", arena), pod, &reasons));
    assert_false(node_room_fits(make_room("", arena), pod, &reasons));
    assert_string_equal(fit_reasons_text(&reasons, 3),
                        "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't "
                        "match Pod's node affinity/selector.");
}

TEST_MAIN(TEST(pods_fit_or_are_told_why_not), TEST(a_node_is_full_when_its_pods_are_counted),
          TEST(what_has_finished_takes_no_room),
          TEST(a_node_that_has_not_said_what_it_has_takes_what_comes),
          TEST(reasons_are_counted_over_all_nodes))
