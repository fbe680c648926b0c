/* Taints by a node's conditions, and the pods they drive away, on a clock of one's own. */
#include "plane/taints.h"
#include "tests/unit/plane/object_yaml.h"

#define NOW_NS (INT64_C(1795255200) * NS_PER_SEC) /* 2026-11-21T10:00:00Z */

static Core__Node *make_node(const char *conditions, const char *spec, struct arena *arena)
{
    const char *text = arena_printf(arena,
                                    "metadata: {name: one}\nspec: {%s}\n"
                                    "status: {conditions: [%s]}\n",
                                    spec, conditions);
    return (Core__Node *)object_parse(text, &core__node__descriptor, arena);
}

static const char *taints_of(const Core__Node *node, struct arena *arena)
{
    const char *text = "";
    for (size_t i = 0; i < node->spec->n_taints; i++)
        text = arena_printf(arena, "%s%s%s:%s", text, *text ? " " : "", node->spec->taints[i]->key,
                            node->spec->taints[i]->effect);
    return text;
}

#define READY "{type: Ready, status: 'True'}"
#define NK "node.kubernetes.io/"

TEST_CASE(taints_follow_conditions)
{
    static const struct {
        const char *name, *conditions, *spec, *taints;
        bool is_disrupted;
    } rows[] = {
        {"nothing is known", "", "", "", false},
        {"all is well", READY, "", "", false},
        {"not ready", "{type: Ready, status: 'False'}", "", NK "not-ready:NoSchedule", true},
        {"silent", "{type: Ready, status: Unknown}", "", NK "unreachable:NoSchedule", true},
        {"not ready, beside others that are", "{type: Ready, status: 'False'}", "",
         NK "not-ready:NoSchedule " NK "not-ready:NoExecute", false},
        {"silent, beside others that are well", "{type: Ready, status: Unknown}", "",
         NK "unreachable:NoSchedule " NK "unreachable:NoExecute", false},
        {"memory", READY ", {type: MemoryPressure, status: 'True'}", "",
         NK "memory-pressure:NoSchedule", false},
        {"memory is not known", READY ", {type: MemoryPressure, status: Unknown}", "", "", false},
        {"disk and pids",
         READY ", {type: DiskPressure, status: 'True'}, {type: PIDPressure, status: 'True'}", "",
         NK "disk-pressure:NoSchedule " NK "pid-pressure:NoSchedule", false},
        {"network", READY ", {type: NetworkUnavailable, status: 'True'}", "",
         NK "network-unavailable:NoSchedule", false},
        {"a cordon", READY, "unschedulable: true", NK "unschedulable:NoSchedule", false},
        {"what no longer holds goes", READY,
         "taints: [{key: " NK "not-ready, effect: NoSchedule}, {key: k, effect: NoSchedule}, "
         "{key: " NK "unreachable, effect: NoExecute}, "
         "{key: " NK "unschedulable, effect: NoSchedule}]",
         "k:NoSchedule", false},
        {"others' effects stay", READY,
         "taints: [{key: " NK "not-ready, effect: PreferNoSchedule}]",
         NK "not-ready:PreferNoSchedule", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        Core__Node *node = make_node(rows[i].conditions, rows[i].spec, arena);
        const struct taint_env env = {.now_wall_ns = NOW_NS, .is_disrupted = rows[i].is_disrupted};
        const char *before = taints_of(node, arena);
        bool has_changed = taint_by_conditions(node, &env, arena);
        const char *after = taints_of(node, arena);
        if (strcmp(after, rows[i].taints) != 0 || has_changed != (strcmp(before, after) != 0))
            fail_msg("%s: %s", rows[i].name, after);
        if (taint_by_conditions(node, &env, arena))
            fail_msg("%s: not at rest", rows[i].name);
    }
}

TEST_CASE(a_new_node_gets_its_taint_once)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Node *node = make_node("", "", arena);
    taint_new_node(node, arena);
    taint_new_node(node, arena);
    assert_string_equal(taints_of(node, arena), NK "not-ready:NoSchedule");
}

TEST_CASE(pods_go_when_their_time_is_over)
{
    static const struct {
        const char *name, *taints, *pod;
        int64_t after_s; /* -1: never */
    } rows[] = {
        {"no taint", "", "", -1},
        {"not to be placed is not to go", "{key: k, effect: NoSchedule, timeAdded: T}", "", -1},
        {"untolerated", "{key: k, effect: NoExecute, timeAdded: T}", "", 0},
        {"tolerated for ever", "{key: k, effect: NoExecute, timeAdded: T}",
         "tolerations: [{key: k, operator: Exists, effect: NoExecute}]", -1},
        {"a daemon", "{key: k, effect: NoExecute, timeAdded: T}",
         "tolerations: [{operator: Exists}]", -1},
        {"another value", "{key: k, value: v, effect: NoExecute, timeAdded: T}",
         "tolerations: [{key: k, value: w}]", 0},
        {"for a time", "{key: k, effect: NoExecute, timeAdded: T}",
         "tolerations: [{key: k, operator: Exists, tolerationSeconds: 300}]", 300},
        {"for less than none", "{key: k, effect: NoExecute, timeAdded: T}",
         "tolerations: [{key: k, operator: Exists, tolerationSeconds: -5}]", 0},
        {"the first that covers counts", "{key: k, effect: NoExecute, timeAdded: T}",
         "tolerations: [{key: k, operator: Exists, tolerationSeconds: 20}, {operator: Exists}]",
         20},
        {"the shortest of several taints",
         "{key: k, effect: NoExecute, timeAdded: T}, {key: l, effect: NoExecute, timeAdded: T}",
         "tolerations: [{key: k, operator: Exists, tolerationSeconds: 20}, "
         "{key: l, operator: Exists, tolerationSeconds: 10}]",
         10},
        {"not before the taint is dated", "{key: k, effect: NoExecute}", "", -1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const char *spec = arena_printf(arena, "taints: [%s]", rows[i].taints);
        AUTO(buf) struct buf dated;
        buf_init(&dated, 4 * KiB);
        for (const char *at = spec; *at; at++)
            buf_printf(&dated, *at == 'T' && at[1] == '}' ? "'2026-11-21T10:00:00Z'" : "%c", *at);
        const Core__Node *node = make_node("", buf_text(&dated), arena);
        const char *text = arena_printf(arena,
                                        "metadata: {name: p, creationTimestamp: "
                                        "'2026-11-20T10:00:00Z'}\nspec: {%s}\n",
                                        rows[i].pod);
        const Core__Pod *pod = (const Core__Pod *)object_parse(text, &core__pod__descriptor, arena);
        int64_t want_ns = rows[i].after_s < 0 ? INT64_MAX : NOW_NS + rows[i].after_s * NS_PER_SEC;
        if (taint_eviction_ns(node, pod) != want_ns)
            fail_msg("%s", rows[i].name);
    }
}

TEST_CASE(a_pod_that_comes_later_has_its_time_from_then_on)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Node *node = make_node(
        "", "taints: [{key: k, effect: NoExecute, timeAdded: '2026-11-21T09:00:00Z'}]", arena);
    const Core__Pod *pod = (const Core__Pod *)object_parse(
        "metadata: {name: p}\nspec: {tolerations: [{operator: Exists, tolerationSeconds: 60}]}\n"
        "status: {conditions: [{type: PodScheduled, status: 'True', "
        "lastTransitionTime: '2026-11-21T10:00:00Z'}]}\n",
        &core__pod__descriptor, arena);
    assert_int_equal(taint_eviction_ns(node, pod), NOW_NS + 60 * NS_PER_SEC);
}

TEST_CASE(mirror_pods_stay)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Node *node = make_node(
        "", "taints: [{key: k, effect: NoExecute, timeAdded: '2026-11-21T09:00:00Z'}]", arena);
    const Core__Pod *pod = (const Core__Pod *)object_parse(
        "metadata: {name: p, annotations: {kubernetes.io/config.mirror: x}}\nspec: {}\n",
        &core__pod__descriptor, arena);
    assert_int_equal(taint_eviction_ns(node, pod), INT64_MAX);
}

TEST_MAIN(TEST(taints_follow_conditions), TEST(a_new_node_gets_its_taint_once),
          TEST(pods_go_when_their_time_is_over),
          TEST(a_pod_that_comes_later_has_its_time_from_then_on), TEST(mirror_pods_stay))
