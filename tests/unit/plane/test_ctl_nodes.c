/* Scheduling, the life of nodes, and what becomes of their pods, on times of one's own. */
#include "tests/unit/plane/controllers_bed.h"

/* --- scheduling --- */

static const char *why_pending(struct bed *bed, const char *name)
{
    rest_must(bed->rest, "GET", arena_printf(bed->rest->arena, PODS "/%s", name), NULL);
    return rest_field(bed->rest, "status conditions 0 message");
}

static const char *node_of(struct bed *bed, const char *name)
{
    return field(bed, arena_printf(bed->rest->arena, PODS "/%s", name), "spec nodeName");
}

TEST_CASE(pods_get_the_node_that_will_have_them)
{
    AUTO(bed) struct bed *bed = begun_bed();
    make_pod(bed, "any", "");
    make_pod(bed, "tolerant", "\"tolerations\":[{\"key\":\"k\",\"operator\":\"Exists\"}],");
    make_pod(bed, "gated", "\"schedulingGates\":[{\"name\":\"me/wait\"}],");
    make_pod(bed, "foreign", "\"schedulerName\":\"mine\",");
    assert_string_equal(why_pending(bed, "any"), "no nodes available to schedule pods");
    must(bed, "POST", "/api/v1/nodes",
         "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"unschedulable\":true,\"taints\":[{"
         "\"key\":\"k\",\"value\":\"v\",\"effect\":\"NoSchedule\"}]}}");
    assert_string_equal(why_pending(bed, "any"),
                        "0/1 nodes are available: 1 node(s) were unschedulable.");
    assert_string_equal(rest_field(bed->rest, "status conditions 0 reason"), "Unschedulable");
    assert_int_equal(rest_patch_with(bed->rest, "merge", "/api/v1/nodes/n",
                                     "{\"spec\":{\"unschedulable\":null}}"),
                     200);
    settle(bed);
    assert_string_equal(node_of(bed, "tolerant"), "n");
    assert_string_equal(rest_field(bed->rest, "status conditions 0 status"), "True");
    assert_string_equal(why_pending(bed, "any"),
                        "0/1 nodes are available: 1 node(s) had untolerated taint(s).");
    assert_int_equal(
        rest_patch_with(bed->rest, "merge", "/api/v1/nodes/n", "{\"spec\":{\"taints\":null}}"),
        200);
    settle(bed);
    assert_string_equal(node_of(bed, "any"), "n");
    assert_string_equal(node_of(bed, "gated"), "");
    assert_string_equal(node_of(bed, "foreign"), "");
    assert_int_equal(
        rest_patch_with(bed->rest, "merge", PODS "/gated", "{\"spec\":{\"schedulingGates\":null}}"),
        200);
    settle(bed);
    assert_string_equal(node_of(bed, "gated"), "n");
}

/* The events told in "default", in the order of their names; NULL: none of that number. */
static const char *event_field(struct bed *bed, const char *reason, const char *path)
{
    struct arena *arena = bed->rest->arena;
    rest_must(
        bed->rest, "GET",
        arena_printf(arena, "/api/v1/namespaces/default/events?fieldSelector=reason=%s", reason),
        NULL);
    return arena_strdup(arena, rest_field(bed->rest, arena_printf(arena, "items %s", path)));
}

static void rename_node_labels(struct bed *bed, const char *labels)
{
    const char *patch = arena_printf(bed->rest->arena, "{\"metadata\":{\"labels\":%s}}", labels);
    assert_int_equal(rest_patch_with(bed->rest, "merge", "/api/v1/nodes/n", patch), 200);
    settle(bed);
}

TEST_CASE(the_scheduler_tells_what_it_did)
{
    static const struct {
        const char *path, *value;
    } failed[] =
        {
            {"0 type", "Warning"},
            {"0 message",
             "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."},
            {"0 action", "Scheduling"},
            {"0 reportingComponent", "default-scheduler"},
            {"0 reportingInstance", "default-scheduler-node-a"},
            {"0 involvedObject kind", "Pod"},
            {"0 involvedObject name", "picky"},
            {"0 source", "{}"},
            {"0 series", ""},
            {"1", ""},
        },
      scheduled[] = {
          {"0 type", "Normal"},
          {"0 message", "Successfully assigned default/picky to n"},
          {"0 action", "Binding"},
          {"1", ""},
      };
    AUTO(bed) struct bed *bed = begun_bed();
    must(bed, "POST", "/api/v1/nodes", "{\"metadata\":{\"name\":\"n\"}}");
    make_pod(bed, "picky", "\"nodeSelector\":{\"disk\":\"fast\"},");
    /* What changes nothing for the pod tells nothing again. */
    rename_node_labels(bed, "{\"disk\":\"slow\"}");
    for (size_t i = 0; i < ARRAY_SIZE(failed); i++)
        assert_string_equal(event_field(bed, "FailedScheduling", failed[i].path), failed[i].value);
    assert_string_not_equal(event_field(bed, "FailedScheduling", "0 eventTime"), "");
    rename_node_labels(bed, "{\"disk\":\"fast\"}");
    assert_string_equal(node_of(bed, "picky"), "n");
    for (size_t i = 0; i < ARRAY_SIZE(scheduled); i++)
        assert_string_equal(event_field(bed, "Scheduled", scheduled[i].path), scheduled[i].value);
}

TEST_CASE(a_pod_that_still_fits_nowhere_is_told_of_again_in_a_while)
{
    AUTO(bed) struct bed *bed = begun_bed();
    make_pod(bed, "a", "");
    int64_t told_ns = loop_now_wall_ns(bed->rest->loop);
    bed->rest->now_ns = told_ns + 299 * NS_PER_SEC;
    assert_int_equal(look_at(bed, &concern_scheduling, "pods", ""), 300 * NS_PER_SEC);
    assert_string_equal(event_field(bed, "FailedScheduling", "0 series"), "");
    bed->rest->now_ns = told_ns + 301 * NS_PER_SEC;
    look_at(bed, &concern_scheduling, "pods", "");
    assert_string_equal(event_field(bed, "FailedScheduling", "0 series count"), "2");
    bed->rest->now_ns += 301 * NS_PER_SEC;
    look_at(bed, &concern_scheduling, "pods", "");
    assert_string_equal(event_field(bed, "FailedScheduling", "0 series count"), "3");
    assert_string_equal(event_field(bed, "FailedScheduling", "1"), "");
}

TEST_CASE(room_that_becomes_free_is_given_to_who_waits)
{
    AUTO(bed) struct bed *bed = begun_bed();
    must(bed, "POST", "/api/v1/nodes",
         "{\"metadata\":{\"name\":\"n\"},\"status\":{\"allocatable\":{\"pods\":\"2\","
         "\"cpu\":\"1\",\"memory\":\"1Gi\"}}}");
    make_pod(bed, "first", "");
    make_pod(bed, "second", "");
    make_pod(bed, "third", "");
    make_pod(bed, "chief", "\"priorityClassName\":\"system-node-critical\",");
    assert_string_equal(why_pending(bed, "third"), "0/1 nodes are available: 1 Too many pods.");
    must(bed, "DELETE", PODS "/first?gracePeriodSeconds=0", NULL);
    assert_string_equal(node_of(bed, "third"), "");
    assert_string_equal(node_of(bed, "chief"), "n");
    assert_int_equal(rest_patch_with(bed->rest, "merge", PODS "/second/status",
                                     "{\"status\":{\"phase\":\"Succeeded\"}}"),
                     200);
    settle(bed);
    assert_string_equal(node_of(bed, "third"), "n");
}

TEST_CASE(what_was_there_before_is_seen_to_at_the_start)
{
    AUTO(bed) struct bed *bed = bed_new();
    make_pod(bed, "a", "");
    must(bed, "POST", "/api/v1/nodes", "{\"metadata\":{\"name\":\"n\"}}");
    begin(bed);
    assert_string_equal(node_of(bed, "a"), "n");
}

/* --- nodes and their pods --- */

static void make_node(struct bed *bed)
{
    must(bed, "POST", "/api/v1/nodes",
         "{\"metadata\":{\"name\":\"n\"},\"status\":{\"conditions\":[{\"type\":\"Ready\","
         "\"status\":\"True\"},{\"type\":\"DiskPressure\",\"status\":\"False\"},"
         "{\"type\":\"Mine\",\"status\":\"True\"}]}}");
}

#define LEASES "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"

static void make_lease(struct bed *bed)
{
    must(bed, "POST", LEASES,
         "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"renewTime\":"
         "\"2026-11-21T10:00:00.000000Z\"}}");
}

static const char *taints(struct bed *bed)
{
    rest_must(bed->rest, "GET", "/api/v1/nodes/n", NULL);
    struct arena *arena = bed->rest->arena;
    const char *text = "";
    for (int i = 0;; i++) {
        const char *key = arena_strdup(
            arena, rest_field(bed->rest, arena_printf(arena, "spec taints %d key", i)));
        const char *effect = rest_field(bed->rest, arena_printf(arena, "spec taints %d effect", i));
        if (!*key)
            return text;
        text = arena_printf(arena, "%s%s%s:%s", text, *text ? " " : "", key, effect);
    }
}

static void post_ready(struct bed *bed, const char *node, const char *status)
{
    const char *target = arena_printf(bed->rest->arena, "/api/v1/nodes/%s/status", node);
    const char *patch = arena_printf(
        bed->rest->arena, "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\"}]}}",
        status);
    assert_int_equal(rest_patch_with(bed->rest, "strategic-merge", target, patch), 200);
    settle(bed);
}

TEST_CASE(a_node_that_is_silent_is_unknown)
{
    static const struct {
        const char *path, *value;
    } rows[] = {
        {"status conditions 0 status", "Unknown"},
        {"status conditions 0 reason", "NodeStatusUnknown"},
        {"status conditions 0 message", "Kubelet stopped posting node status."},
        {"status conditions 1 status", "Unknown"},
        {"status conditions 2 status", "True"},
        {"status conditions 3 type", "MemoryPressure"},
        {"status conditions 3 status", "Unknown"},
        {"status conditions 3 reason", "NodeStatusNeverUpdated"},
        {"status conditions 4 type", "PIDPressure"},
    };
    AUTO(bed) struct bed *bed = begun_bed();
    bed->options.node_grace_ns = 50 * NS_PER_SEC;
    make_node(bed);
    assert_int_equal(look_at(bed, &concern_nodes, "nodes", "n"), 0); /* no lease: no judgement */
    make_lease(bed);
    bed->rest->now_ns = REST_BED_NOW_NS + 20 * NS_PER_SEC;
    assert_int_equal(look_at(bed, &concern_nodes, "nodes", "n"), 30 * NS_PER_SEC);
    bed->rest->now_ns = REST_BED_NOW_NS - 3600 * NS_PER_SEC;
    assert_int_equal(look_at(bed, &concern_nodes, "nodes", "n"), 50 * NS_PER_SEC);
    assert_string_equal(field(bed, "/api/v1/nodes/n", "status conditions 0 status"), "True");
    bed->rest->now_ns = REST_BED_NOW_NS + 50 * NS_PER_SEC;
    assert_int_equal(look_at(bed, &concern_nodes, "nodes", "n"), 0);
    rest_must(bed->rest, "GET", "/api/v1/nodes/n", NULL);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(rest_field(bed->rest, rows[i].path), rows[i].value);
    assert_string_equal(event_field(bed, "NodeNotReady", "0 message"),
                        "Node n status is now: NodeNotReady");
    assert_string_equal(event_field(bed, "NodeNotReady", "0 source component"), "node-controller");
    assert_string_equal(event_field(bed, "NodeNotReady", "0 count"), "1");
}

TEST_CASE(a_status_is_a_sign_of_life_too)
{
    AUTO(bed) struct bed *bed = begun_bed();
    bed->options.node_grace_ns = 50 * NS_PER_SEC;
    make_node(bed);
    make_lease(bed);
    const char *status = "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\","
                         "\"lastHeartbeatTime\":\"2026-11-21T10:00:40Z\"}]}}";
    assert_int_equal(
        rest_patch_with(bed->rest, "strategic-merge", "/api/v1/nodes/n/status", status), 200);
    bed->rest->now_ns = REST_BED_NOW_NS + 60 * NS_PER_SEC;
    assert_int_equal(look_at(bed, &concern_nodes, "nodes", "n"), 30 * NS_PER_SEC);
}

TEST_CASE(the_pods_of_a_silent_node_are_not_ready_and_stay)
{
    AUTO(bed) struct bed *bed = begun_bed();
    bed->options.node_grace_ns = 50 * NS_PER_SEC;
    make_node(bed);
    make_lease(bed);
    make_pod(bed, "p", "");
    assert_string_equal(node_of(bed, "p"), "n");
    assert_int_equal(
        rest_patch_with(bed->rest, "merge", PODS "/p/status",
                        "{\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\","
                        "\"status\":\"True\"}]}}"),
        200);
    bed->rest->now_ns = REST_BED_NOW_NS + 50 * NS_PER_SEC;
    look_at(bed, &concern_nodes, "nodes", "n");
    assert_string_equal(field(bed, PODS "/p", "status conditions 0 status"), "False");
    /* The only node: pods have nowhere else to go, so nothing drives them away. */
    assert_string_equal(taints(bed), "node.kubernetes.io/unreachable:NoSchedule");
    make_pod(bed, "late", "");
    assert_string_equal(why_pending(bed, "late"),
                        "0/1 nodes are available: 1 node(s) had untolerated taint(s).");
    bed->rest->now_ns = REST_BED_NOW_NS + 3600 * NS_PER_SEC;
    assert_int_equal(look_at(bed, &concern_evictions, "nodes", "n"), 0);
    post_ready(bed, "n", "True");
    assert_string_equal(taints(bed), "");
    assert_string_equal(field(bed, PODS "/p", "metadata deletionTimestamp"), "");
    assert_string_equal(node_of(bed, "late"), "n");
}

TEST_CASE(a_new_node_is_tainted_until_its_conditions_were_looked_at)
{
    AUTO(bed) struct bed *bed = bed_new();
    must(bed, "POST", "/api/v1/nodes",
         "{\"metadata\":{\"name\":\"n\"},\"status\":{\"conditions\":[{\"type\":\"Ready\","
         "\"status\":\"False\"}]}}");
    assert_string_equal(taints(bed), "node.kubernetes.io/not-ready:NoSchedule");
    begin(bed);
    assert_string_equal(taints(bed), "node.kubernetes.io/not-ready:NoSchedule");
    post_ready(bed, "n", "True");
    assert_string_equal(taints(bed), "");
    assert_int_equal(rest_patch_with(bed->rest, "merge", "/api/v1/nodes/n",
                                     "{\"spec\":{\"unschedulable\":true}}"),
                     200);
    settle(bed);
    assert_string_equal(taints(bed), "node.kubernetes.io/unschedulable:NoSchedule");
}

TEST_CASE(where_another_node_is_well_pods_leave_in_time)
{
    AUTO(bed) struct bed *bed = begun_bed();
    make_node(bed);
    must(bed, "POST", "/api/v1/nodes",
         "{\"metadata\":{\"name\":\"well\"},\"status\":{\"conditions\":[{\"type\":\"Ready\","
         "\"status\":\"True\"}]}}");
    make_pod(bed, "plain", "\"nodeName\":\"n\",");
    make_pod(bed, "daemon", "\"nodeName\":\"n\",\"tolerations\":[{\"operator\":\"Exists\"}],");
    post_ready(bed, "n", "False");
    assert_string_equal(taints(bed), "node.kubernetes.io/not-ready:NoSchedule "
                                     "node.kubernetes.io/not-ready:NoExecute");
    int64_t tainted_ns = loop_now_wall_ns(bed->rest->loop);
    bed->rest->now_ns = tainted_ns + 290 * NS_PER_SEC;
    int64_t again_ns = look_at(bed, &concern_evictions, "nodes", "n");
    assert_true(again_ns > 0 && again_ns <= 10 * NS_PER_SEC);
    assert_string_equal(field(bed, PODS "/plain", "metadata deletionTimestamp"), "");
    bed->rest->now_ns = tainted_ns + 301 * NS_PER_SEC;
    look_at(bed, &concern_evictions, "nodes", "n");
    assert_string_not_equal(field(bed, PODS "/plain", "metadata deletionTimestamp"), "");
    assert_string_equal(rest_field(bed->rest, "status conditions 0 reason"),
                        "DeletionByTaintManager");
    assert_string_equal(field(bed, PODS "/daemon", "metadata deletionTimestamp"), "");
    assert_string_equal(event_field(bed, "TaintManagerEviction", "0 message"),
                        "Marking for deletion Pod default/plain");
    post_ready(bed, "n", "True");
    assert_string_equal(taints(bed), "");
}

TEST_CASE(a_taint_of_a_person_drives_pods_away_at_once)
{
    AUTO(bed) struct bed *bed = begun_bed();
    make_node(bed);
    make_pod(bed, "plain", "");
    make_pod(bed, "patient",
             "\"tolerations\":[{\"key\":\"k\",\"operator\":\"Exists\",\"effect\":\"NoExecute\","
             "\"tolerationSeconds\":60}],");
    assert_string_equal(node_of(bed, "plain"), "n");
    assert_int_equal(
        rest_patch_with(bed->rest, "merge", "/api/v1/nodes/n",
                        "{\"spec\":{\"taints\":[{\"key\":\"k\",\"effect\":\"NoExecute\"}]}}"),
        200);
    settle(bed);
    assert_string_not_equal(field(bed, PODS "/plain", "metadata deletionTimestamp"), "");
    assert_string_equal(field(bed, PODS "/patient", "metadata deletionTimestamp"), "");
    assert_string_not_equal(field(bed, "/api/v1/nodes/n", "spec taints 0 timeAdded"), "");
    bed->rest->now_ns = loop_now_wall_ns(bed->rest->loop) + 61 * NS_PER_SEC;
    look_at(bed, &concern_evictions, "nodes", "n");
    assert_string_not_equal(field(bed, PODS "/patient", "metadata deletionTimestamp"), "");
}

TEST_CASE(pods_of_a_node_that_has_gone_go)
{
    AUTO(bed) struct bed *bed = begun_bed();
    make_node(bed);
    make_pod(bed, "there", "\"nodeName\":\"n\",");
    make_pod(bed, "lost", "\"nodeName\":\"gone\",");
    make_pod(bed, "elsewhere", "\"nodeName\":\"other\",");
    look_at(bed, &concern_pods, "nodes", "n");
    look_at(bed, &concern_pods, "nodes", "gone");
    assert_true(is_there(bed, PODS "/lost")); /* its node has a while to come back */
    look_at(bed, &concern_pods, "quarantine", "n");
    look_at(bed, &concern_pods, "quarantine", "gone");
    assert_true(is_there(bed, PODS "/there"));
    assert_false(is_there(bed, PODS "/lost"));
    assert_true(is_there(bed, PODS "/elsewhere"));
}

TEST_CASE(the_oldest_finished_pods_beyond_the_limit_go)
{
    AUTO(bed) struct bed *bed = begun_bed();
    static const char *const names[] = {"d", "a", "c", "b", "runs"};
    bed->options.finished_pods_max = 2;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        make_pod(bed, names[i], "\"nodeName\":\"n\",");
        const char *status = arena_printf(bed->rest->arena, "{\"status\":{\"phase\":\"%s\"}}",
                                          i == 4  ? "Running"
                                          : i % 2 ? "Failed"
                                                  : "Succeeded");
        const char *target = arena_printf(bed->rest->arena, PODS "/%s/status", names[i]);
        assert_int_equal(rest_patch_with(bed->rest, "merge", target, status), 200);
        bed->rest->now_ns += NS_PER_SEC;
    }
    assert_int_equal(look_at(bed, &concern_pods, "pods", ""), 0);
    assert_false(is_there(bed, PODS "/d"));
    assert_false(is_there(bed, PODS "/a"));
    assert_true(is_there(bed, PODS "/c"));
    assert_true(is_there(bed, PODS "/b"));
    assert_true(is_there(bed, PODS "/runs"));
}

TEST_MAIN(TEST(pods_get_the_node_that_will_have_them), TEST(the_scheduler_tells_what_it_did),
          TEST(a_pod_that_still_fits_nowhere_is_told_of_again_in_a_while),
          TEST(room_that_becomes_free_is_given_to_who_waits),
          TEST(what_was_there_before_is_seen_to_at_the_start),
          TEST(a_node_that_is_silent_is_unknown), TEST(a_status_is_a_sign_of_life_too),
          TEST(the_pods_of_a_silent_node_are_not_ready_and_stay),
          TEST(a_new_node_is_tainted_until_its_conditions_were_looked_at),
          TEST(where_another_node_is_well_pods_leave_in_time),
          TEST(a_taint_of_a_person_drives_pods_away_at_once), TEST(pods_of_a_node_that_has_gone_go),
          TEST(the_oldest_finished_pods_beyond_the_limit_go))
