#include "tests/unit/plane/rest_bed.h"

#define PODS "/api/v1/namespaces/default/pods"
#define WEB PODS "/web"

static const char web[] = "{\"metadata\":{\"name\":\"web\",\"labels\":{\"app\":\"web\"}},"
                          "\"spec\":{\"automountServiceAccountToken\":false,"
                          "\"containers\":[{\"name\":\"c\",\"image\":\"i:1\","
                          "\"resources\":{\"requests\":{\"cpu\":\"100m\"}},"
                          "\"ports\":[{\"containerPort\":80}]}]}}";

static void make_web(struct rest_bed *bed)
{
    rest_must(bed, "POST", PODS, web);
}

static void bind(struct rest_bed *bed)
{
    rest_must(bed, "POST", WEB "/binding",
              "{\"metadata\":{\"name\":\"web\"},\"target\":{\"kind\":\"Node\",\"name\":\"n\"}}");
}

TEST_CASE(a_new_pod_is_defaulted_and_pending)
{
    static const struct {
        const char *path, *value;
    } rows[] = {
        {"status", "{\"phase\":\"Pending\",\"qosClass\":\"Burstable\"}"},
        {"metadata generation", "1"},
        {"spec restartPolicy", "Always"},
        {"spec dnsPolicy", "ClusterFirst"},
        {"spec schedulerName", "default-scheduler"},
        {"spec terminationGracePeriodSeconds", "30"},
        {"spec enableServiceLinks", "true"},
        {"spec securityContext", "{}"},
        {"spec serviceAccountName", "default"},
        {"spec serviceAccount", "default"},
        {"spec priority", "0"},
        {"spec preemptionPolicy", "PreemptLowerPriority"},
        {"spec containers 0 imagePullPolicy", "IfNotPresent"},
        {"spec containers 0 terminationMessagePath", "/dev/termination-log"},
        {"spec containers 0 terminationMessagePolicy", "File"},
        {"spec containers 0 ports 0 protocol", "TCP"},
        {"spec tolerations 0 key", "node.kubernetes.io/not-ready"},
        {"spec tolerations 1 tolerationSeconds", "300"},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_web(bed);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(rest_field(bed, rows[i].path), rows[i].value);
}

TEST_CASE(a_client_cannot_say_the_status_of_a_new_pod)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    rest_must(bed, "POST", PODS,
              "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\","
              "\"image\":\"i\"}]},\"status\":{\"phase\":\"Running\",\"podIP\":\"10.0.0.1\"}}");
    assert_string_equal(rest_field(bed, "status"),
                        "{\"phase\":\"Pending\",\"qosClass\":\"BestEffort\"}");
    assert_string_equal(rest_field(bed, "spec containers 0 resources"), "{}");
}

TEST_CASE(a_divisor_that_is_not_said_is_shown_as_zero)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    rest_must(bed, "POST", PODS,
              "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\","
              "\"image\":\"i\",\"env\":[{\"name\":\"A\",\"valueFrom\":{\"resourceFieldRef\":{"
              "\"resource\":\"limits.cpu\"}}}]}],\"volumes\":[{\"name\":\"v\",\"downwardAPI\":{"
              "\"items\":[{\"path\":\"p\",\"resourceFieldRef\":{\"containerName\":\"c\","
              "\"resource\":\"limits.cpu\"}}]}}]}}");
    assert_string_equal(
        rest_field(bed, "spec containers 0 env 0 valueFrom resourceFieldRef divisor"), "0");
    assert_string_equal(
        rest_field(bed, "spec volumes 0 downwardAPI items 0 resourceFieldRef divisor"), "0");
}

TEST_CASE(a_wrong_pod_is_refused_in_known_words)
{
    static const struct {
        const char *body, *message;
    } rows[] = {
        {"{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[]}}",
         "Pod \"p\" is invalid: spec.containers: Required value"},
        {"{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\"}]}}",
         "Pod \"p\" is invalid: spec.containers[0].image: Required value"},
        {"{\"metadata\":{\"name\":\"p\"},\"spec\":{\"restartPolicy\":\"Often\","
         "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}",
         "Pod \"p\" is invalid: spec.restartPolicy: Unsupported value: \"Often\": supported "
         "values: "
         "\"Always\", \"OnFailure\", \"Never\""},
        {"{\"metadata\":{\"name\":\"p\"},\"spec\":{\"serviceAccountName\":\"none\","
         "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}",
         "pods \"p\" is forbidden: error looking up service account default/none: serviceaccount "
         "\"none\" not found"},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_true(rest_ask(bed, "POST", PODS, rows[i].body) >= 400);
        assert_string_equal(rest_field(bed, "message"), rows[i].message);
    }
}

#define FORBIDDEN                                                                                  \
    "Pod \"web\" is invalid: spec: Forbidden: pod updates may not change fields other than "       \
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"      \
    "`spec.tolerations` (only additions to existing tolerations),"                                 \
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"

TEST_CASE(only_a_few_fields_of_a_pod_may_change)
{
    static const struct {
        const char *patch;
        unsigned code;
        const char *message;
    } rows[] = {
        {"{\"metadata\":{\"labels\":{\"x\":\"y\"},\"annotations\":{\"a\":\"b\"}}}", 200, NULL},
        {"{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i:2\"}]}}", 200, NULL},
        {"{\"spec\":{\"activeDeadlineSeconds\":60}}", 200, NULL},
        {"{\"spec\":{\"activeDeadlineSeconds\":30}}", 200, NULL},
        {"{\"spec\":{\"activeDeadlineSeconds\":90}}", 422,
         "Pod \"web\" is invalid: spec.activeDeadlineSeconds: Invalid value: 90: must be less than "
         "or equal to previous value"},
        {"{\"spec\":{\"activeDeadlineSeconds\":null}}", 422,
         "Pod \"web\" is invalid: spec.activeDeadlineSeconds: Invalid value: null: must not update "
         "from a positive integer to nil value"},
        {"{\"spec\":{\"restartPolicy\":\"Never\"}}", 422, FORBIDDEN},
        {"{\"spec\":{\"nodeName\":\"n\"}}", 422, FORBIDDEN},
        {"{\"spec\":{\"hostNetwork\":true}}", 422, NULL},
        {"{\"spec\":{\"terminationGracePeriodSeconds\":1}}", 422, FORBIDDEN},
        {"{\"spec\":{\"containers\":[{\"name\":\"c\",\"command\":[\"x\"]}]}}", 422, FORBIDDEN},
        {"{\"spec\":{\"containers\":[{\"name\":\"d\",\"image\":\"i\"}]}}", 422,
         "Pod \"web\" is invalid: spec.containers: Forbidden: pod updates may not add or remove "
         "containers"},
        {"{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"\"}]}}", 422, NULL},
        {"{\"metadata\":{\"annotations\":{\"kubernetes.io/config.mirror\":\"x\"}}}", 422, NULL},
        {"{\"status\":{\"phase\":\"Failed\"}}", 200, NULL},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_web(bed);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned code = rest_patch_with(bed, "strategic-merge", WEB, rows[i].patch);
        rest_expect(bed, code, rows[i].code, rows[i].message);
    }
    rest_must(bed, "GET", WEB, NULL);
    assert_string_equal(rest_field(bed, "metadata generation"),
                        "4"); /* three changes of the spec */
    assert_string_equal(rest_field(bed, "spec containers 0 image"), "i:2");
    assert_string_equal(rest_field(bed, "status phase"), "Pending");
}

TEST_CASE(tolerations_may_only_be_added)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_web(bed);
    unsigned code = rest_patch_with(bed, "json", WEB,
                                    "[{\"op\":\"add\",\"path\":\"/spec/tolerations/-\",\"value\":"
                                    "{\"key\":\"x\",\"operator\":\"Exists\"}}]");
    rest_expect(bed, code, 200, NULL);
    code = rest_patch_with(
        bed, "json", WEB,
        "[{\"op\":\"replace\",\"path\":\"/spec/tolerations/0/tolerationSeconds\",\"value\":5}]");
    rest_expect(bed, code, 200, NULL);
    code =
        rest_patch_with(bed, "json", WEB, "[{\"op\":\"remove\",\"path\":\"/spec/tolerations/2\"}]");
    rest_expect(bed, code, 422,
                "Pod \"web\" is invalid: spec.tolerations: Forbidden: existing toleration can not "
                "be modified except its tolerationSeconds");
}

TEST_CASE(the_status_has_a_path_of_its_own)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_web(bed);
    unsigned code = rest_patch_with(bed, "strategic-merge", WEB "/status",
                                    "{\"spec\":{\"nodeName\":\"n\"},\"metadata\":{\"labels\":"
                                    "{\"by\":\"node\"}},\"status\":{\"phase\":\"Running\","
                                    "\"podIP\":\"10.0.0.1\",\"conditions\":[{\"type\":\"Ready\","
                                    "\"status\":\"True\",\"observedGeneration\":1}]}}");
    rest_expect(bed, code, 200, NULL);
    assert_string_equal(rest_field(bed, "spec nodeName"), "");
    assert_string_equal(rest_field(bed, "metadata labels by"), "node");
    assert_string_equal(rest_field(bed, "metadata generation"), "1");
    assert_string_equal(rest_field(bed, "status phase"), "Running");
    assert_string_equal(rest_field(bed, "status qosClass"), "Burstable");
    assert_string_equal(rest_field(bed, "status podIPs"), "[{\"ip\":\"10.0.0.1\"}]");
    code = rest_patch_with(bed, "strategic-merge", WEB "/status",
                           "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\","
                           "\"observedGeneration\":0}]}}");
    rest_expect(bed, code, 200, NULL);
    assert_string_equal(rest_field(bed, "status conditions 0 status"), "False");
    assert_string_equal(rest_field(bed, "status conditions 0 observedGeneration"), "1");
    code =
        rest_patch_with(bed, "merge", WEB "/status", "{\"status\":{\"qosClass\":\"Guaranteed\"}}");
    rest_expect(bed, code, 422,
                "Pod \"web\" is invalid: status.qosClass: Invalid value: \"Guaranteed\": field is "
                "immutable");
    rest_must(bed, "GET", WEB "/status", NULL);
    assert_string_equal(rest_field(bed, "kind"), "Pod");
}

TEST_CASE(a_container_that_ended_for_good_does_not_come_back)
{
    static const struct {
        const char *name;
        const char *policy;    /* of the pod */
        const char *container; /* beside name and image */
        int exit_code;
        bool may_restart;
    } rows[] = {
        {"never", "Never", "", 1, false},
        {"on failure, which it was", "OnFailure", "", 1, true},
        {"on failure, which it was not", "OnFailure", "", 0, false},
        {"always", "Always", "", 0, true},
        {"its own policy: always", "Never", ",\"restartPolicy\":\"Always\"", 0, true},
        {"its own policy: on failure", "Never", ",\"restartPolicy\":\"OnFailure\"", 1, true},
        {"its own policy: never", "OnFailure", ",\"restartPolicy\":\"Never\"", 1, false},
        {"a rule for its exit code", "Never",
         ",\"restartPolicy\":\"Never\",\"restartPolicyRules\":[{\"action\":\"Restart\","
         "\"exitCodes\":{\"operator\":\"In\",\"values\":[42]}}]",
         42, true},
        {"a rule for others", "Never",
         ",\"restartPolicy\":\"Never\",\"restartPolicyRules\":[{\"action\":\"Restart\","
         "\"exitCodes\":{\"operator\":\"NotIn\",\"values\":[42]}}]",
         42, false},
        {"a rule that restarts all", "Never",
         ",\"restartPolicy\":\"Never\",\"restartPolicyRules\":[{\"action\":"
         "\"RestartAllContainers\",\"exitCodes\":{\"operator\":\"In\",\"values\":[42]}}]",
         0, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
        const char *pod =
            arena_printf(bed->arena,
                         "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"restartPolicy\":\"%s\","
                         "\"containers\":[{\"name\":\"c\",\"image\":\"i\"%s}]}}",
                         rows[i].policy, rows[i].container);
        rest_must(bed, "POST", PODS, pod);
        const char *ended = arena_printf(
            bed->arena,
            "{\"status\":{\"containerStatuses\":[{\"name\":\"c\",\"state\":{\"terminated\":{"
            "\"exitCode\":%d}}}]}}",
            rows[i].exit_code);
        unsigned code = rest_patch_with(bed, "merge", WEB "/status", ended);
        rest_expect(bed, code, 200, NULL);
        code = rest_patch_with(bed, "merge", WEB "/status",
                               "{\"status\":{\"containerStatuses\":[{\"name\":\"c\",\"state\":{"
                               "\"running\":{}}}]}}");
        if ((code == 200) != rows[i].may_restart)
            fail_msg("%s: %u", rows[i].name, code);
        if (!rows[i].may_restart)
            rest_expect(bed, code, 422,
                        "Pod \"web\" is invalid: status.containerStatuses[0].state: Forbidden: may "
                        "not be transitioned to non-terminated state");
    }
}

TEST_CASE(binding_gives_a_pod_to_a_node_once)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_web(bed);
    unsigned code = rest_ask(bed, "POST", WEB "/binding", "{\"target\":{\"kind\":\"Pod\"}}");
    rest_expect(bed, code, 422,
                "Binding \"\" is invalid: target.kind: Unsupported value: \"Pod\": supported "
                "values: \"Node\", \"<empty>\"");
    code = rest_ask(bed, "POST", WEB "/binding", "{\"target\":{\"kind\":\"Node\"}}");
    rest_expect(bed, code, 422, "Binding \"\" is invalid: target.name: Required value");
    code = rest_ask(bed, "POST", WEB "/binding",
                    "{\"metadata\":{\"name\":\"web\",\"annotations\":{\"by\":\"me\"}},\"target\":"
                    "{\"kind\":\"Node\",\"name\":\"n\"}}");
    rest_expect(bed, code, 201, NULL);
    assert_string_equal(rest_field(bed, "kind"), "Status");
    assert_string_equal(rest_field(bed, "status"), "Success");
    assert_string_equal(rest_field(bed, "code"), "201");
    rest_must(bed, "GET", WEB, NULL);
    assert_string_equal(rest_field(bed, "spec nodeName"), "n");
    assert_string_equal(rest_field(bed, "metadata annotations by"), "me");
    assert_string_equal(rest_field(bed, "metadata generation"), "1");
    assert_string_equal(rest_field(bed, "status conditions 0 type"), "PodScheduled");
    assert_string_equal(rest_field(bed, "status conditions 0 status"), "True");
    assert_string_equal(rest_field(bed, "status conditions 0 lastTransitionTime"),
                        "2026-11-21T10:00:00Z");

    code = rest_ask(bed, "POST", "/api/v1/namespaces/default/bindings",
                    "{\"metadata\":{\"name\":\"web\"},\"target\":{\"name\":\"m\"}}");
    rest_expect(
        bed, code, 409,
        "Operation cannot be fulfilled on pods/binding \"web\": pod web is already assigned "
        "to node \"n\"");
    code = rest_ask(bed, "POST", "/api/v1/namespaces/default/bindings",
                    "{\"metadata\":{\"name\":\"none\"},\"target\":{\"name\":\"m\"}}");
    rest_expect(bed, code, 404, "pods \"none\" not found");
}

TEST_CASE(a_pod_without_a_node_goes_at_once)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_web(bed);
    rest_must(bed, "DELETE", WEB, NULL);
    assert_string_equal(rest_field(bed, "kind"), "Pod");
    assert_string_equal(rest_field(bed, "metadata deletionGracePeriodSeconds"), "0");
    assert_int_equal(rest_ask(bed, "GET", WEB, NULL), 404);
}

TEST_CASE(a_pod_on_a_node_goes_with_grace)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_web(bed);
    bind(bed);
    rest_must(bed, "GET", WEB, NULL);
    const char *generation = rest_field(bed, "metadata generation");
    int64_t before = 0;
    assert_true(parse_i64(generation, 1, 9, &before));
    rest_must(bed, "DELETE", WEB, NULL);
    assert_string_equal(rest_field(bed, "metadata deletionTimestamp"), "2026-11-21T10:00:30Z");
    assert_string_equal(rest_field(bed, "metadata deletionGracePeriodSeconds"), "30");
    assert_string_equal(rest_field(bed, "metadata generation"),
                        arena_printf(bed->arena, "%lld", (long long)before + 1));
    /* A longer time changes nothing, nor does none. */
    bed->now_ns += 5 * NS_PER_SEC;
    rest_must(bed, "DELETE", WEB, "{\"gracePeriodSeconds\":60}");
    rest_must(bed, "DELETE", WEB, NULL);
    assert_string_equal(rest_field(bed, "metadata deletionTimestamp"), "2026-11-21T10:00:30Z");
    /* A shorter one does; it counts from the first deletion. */
    rest_must(bed, "DELETE", WEB, "{\"gracePeriodSeconds\":10}");
    assert_string_equal(rest_field(bed, "metadata deletionTimestamp"), "2026-11-21T10:00:10Z");
    assert_string_equal(rest_field(bed, "metadata deletionGracePeriodSeconds"), "10");
    /* What is over already leaves a second. */
    rest_must(bed, "DELETE", WEB "?gracePeriodSeconds=2", NULL);
    assert_string_equal(rest_field(bed, "metadata deletionTimestamp"), "2026-11-21T10:00:05Z");
    assert_string_equal(rest_field(bed, "metadata deletionGracePeriodSeconds"), "1");
    /* The node's last word. */
    rest_must(bed, "DELETE", WEB, "{\"gracePeriodSeconds\":0}");
    assert_int_equal(rest_ask(bed, "GET", WEB, NULL), 404);
}

TEST_CASE(grace_follows_the_pod_and_the_request)
{
    static const struct {
        const char *spec, *status, *options, *grace; /* grace "": gone */
    } rows[] = {
        {"\"terminationGracePeriodSeconds\":5", NULL, NULL, "5"},
        {"\"terminationGracePeriodSeconds\":0", NULL, NULL, ""},
        {"\"terminationGracePeriodSeconds\":5", NULL, "{\"gracePeriodSeconds\":9}", "9"},
        {"\"terminationGracePeriodSeconds\":5", NULL, "{\"gracePeriodSeconds\":0}", ""},
        {"\"terminationGracePeriodSeconds\":5", NULL, "{\"gracePeriodSeconds\":-7}", "1"},
        {"\"restartPolicy\":\"Never\"", "{\"status\":{\"phase\":\"Succeeded\"}}", NULL, ""},
        {"\"restartPolicy\":\"Never\"", "{\"status\":{\"phase\":\"Failed\"}}",
         "{\"gracePeriodSeconds\":9}", ""},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *body =
            arena_printf(bed->arena,
                         "{\"metadata\":{\"name\":\"web\"},\"spec\":{%s,\"nodeName\":\"n\","
                         "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}",
                         rows[i].spec);
        rest_must(bed, "POST", PODS, body);
        if (rows[i].status)
            assert_int_equal(rest_patch_with(bed, "merge", WEB "/status", rows[i].status), 200);
        rest_must(bed, "DELETE", WEB, rows[i].options);
        bool is_gone = rest_ask(bed, "GET", WEB, NULL) == 404;
        assert_int_equal(is_gone, !*rows[i].grace);
        if (is_gone)
            continue;
        assert_string_equal(rest_field(bed, "metadata deletionGracePeriodSeconds"), rows[i].grace);
        rest_must(bed, "DELETE", WEB, "{\"gracePeriodSeconds\":0}");
    }
}

TEST_CASE(a_pod_that_is_going_takes_no_binding)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    rest_must(bed, "POST", PODS,
              "{\"metadata\":{\"name\":\"web\",\"finalizers\":[\"example.com/x\"]},\"spec\":{"
              "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}");
    rest_must(bed, "DELETE", WEB, NULL);
    unsigned code = rest_ask(bed, "POST", WEB "/binding", "{\"target\":{\"name\":\"n\"}}");
    rest_expect(bed, code, 409,
                "Operation cannot be fulfilled on pods/binding \"web\": pod web is being deleted, "
                "cannot be assigned to a host");
}

TEST_CASE(eviction_deletes_with_grace)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_web(bed);
    bind(bed);
    unsigned code = rest_ask(bed, "POST", WEB "/eviction", "{\"metadata\":{\"name\":\"other\"}}");
    rest_expect(bed, code, 400, "name in URL does not match name in Eviction object");
    code = rest_ask(bed, "POST", WEB "/eviction",
                    "{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":"
                    "\"web\",\"namespace\":\"default\"},\"deleteOptions\":{\"dryRun\":[\"All\"]}}");
    rest_expect(bed, code, 201, NULL);
    rest_must(bed, "GET", WEB, NULL);
    assert_string_equal(rest_field(bed, "metadata deletionTimestamp"), "");
    assert_string_equal(rest_field(bed, "status conditions 1"), "");
    code = rest_ask(bed, "POST", WEB "/eviction",
                    "{\"metadata\":{\"name\":\"web\"},\"deleteOptions\":{\"preconditions\":{"
                    "\"resourceVersion\":\"1\"}}}");
    rest_expect(bed, code, 409, NULL);
    code = rest_ask(bed, "POST", WEB "/eviction",
                    "{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":"
                    "\"web\"},\"deleteOptions\":{\"gracePeriodSeconds\":7}}");
    rest_expect(bed, code, 201, NULL);
    assert_string_equal(rest_field(bed, "status"), "Success");
    rest_must(bed, "GET", WEB, NULL);
    assert_string_equal(rest_field(bed, "metadata deletionGracePeriodSeconds"), "7");
    assert_string_equal(rest_field(bed, "status conditions 1 type"), "DisruptionTarget");
    assert_string_equal(rest_field(bed, "status conditions 1 reason"), "EvictionByEvictionAPI");
    code = rest_ask(bed, "POST", PODS "/none/eviction", "{\"metadata\":{\"name\":\"none\"}}");
    rest_expect(bed, code, 404, "pods \"none\" not found");
}

static unsigned add_ephemeral(struct rest_bed *bed, const char *container)
{
    return rest_patch_with(
        bed, "strategic-merge", WEB "/ephemeralcontainers",
        arena_printf(bed->arena, "{\"spec\":{\"ephemeralContainers\":[%s]}}", container));
}

TEST_CASE(ephemeral_containers_are_only_added)
{
    static const struct {
        const char *container, *message;
    } rows[] = {
        {"{\"name\":\"e\",\"image\":\"i\",\"ports\":[{\"containerPort\":1}]}",
         "Pod \"web\" is invalid: spec.ephemeralContainers[1].Ports: Forbidden: cannot be set for "
         "an Ephemeral Container"},
        {"{\"name\":\"c\",\"image\":\"i\"}",
         "Pod \"web\" is invalid: spec.ephemeralContainers[1].name: Duplicate value: \"c\""},
        {"{\"name\":\"e\"}",
         "Pod \"web\" is invalid: spec.ephemeralContainers[1].image: Required value"},
        {"{\"name\":\"e\",\"image\":\"i\",\"targetContainerName\":\"x\"}",
         "Pod \"web\" is invalid: spec.ephemeralContainers[1].targetContainerName: Not found: "
         "\"x\""},
        {"{\"name\":\"debug\",\"image\":\"other\"}",
         "Pod \"web\" is invalid: spec.ephemeralContainers: Forbidden: existing ephemeral "
         "containers \"debug\" may not be changed"},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_web(bed);
    unsigned code = add_ephemeral(bed, "{\"name\":\"debug\",\"image\":\"busybox\","
                                       "\"targetContainerName\":\"c\",\"stdin\":true}");
    rest_expect(bed, code, 200, NULL);
    assert_string_equal(rest_field(bed, "spec ephemeralContainers 0 terminationMessagePolicy"),
                        "File");
    assert_string_equal(rest_field(bed, "metadata generation"), "2");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        /* A patch puts new elements first; the order below is that of a PUT. */
        rest_must(bed, "GET", WEB, NULL);
        const char *old = rest_field(bed, "spec ephemeralContainers 0");
        const char *list = strstr(rows[i].container, "debug")
                               ? rows[i].container
                               : arena_printf(bed->arena, "%s,%s", old, rows[i].container);
        code = rest_patch_with(
            bed, "merge", WEB "/ephemeralcontainers",
            arena_printf(bed->arena, "{\"spec\":{\"ephemeralContainers\":[%s]}}", list));
        rest_expect(bed, code, 422, rows[i].message);
    }
    /* Nothing else goes through here, and they do not go through the pod itself. */
    code =
        rest_patch_with(bed, "merge", WEB "/ephemeralcontainers",
                        "{\"metadata\":{\"labels\":{\"x\":\"y\"}},\"spec\":{\"nodeName\":\"n\"}}");
    rest_expect(bed, code, 200, NULL);
    assert_string_equal(rest_field(bed, "spec nodeName"), "");
    assert_string_equal(rest_field(bed, "metadata labels x"), "");
    code = rest_patch_with(bed, "merge", WEB, "{\"spec\":{\"ephemeralContainers\":null}}");
    rest_expect(bed, code, 422, FORBIDDEN);
}

static unsigned resize(struct rest_bed *bed, const char *resources)
{
    return rest_patch_with(
        bed, "strategic-merge", WEB "/resize",
        arena_printf(bed->arena, "{\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":%s}]}}",
                     resources));
}

TEST_CASE(resize_changes_cpu_and_memory)
{
    static const struct {
        const char *resources;
        unsigned code;
        const char *message;
    } rows[] = {
        {"{\"requests\":{\"cpu\":null}}", 422, NULL},
        {"{\"requests\":{\"cpu\":\"200m\"},\"limits\":{\"memory\":\"64Mi\"}}", 200, NULL},
        {"{\"requests\":{\"memory\":\"32Mi\"},\"limits\":{\"memory\":\"32Mi\"}}", 200, NULL},
        {"{\"limits\":{\"memory\":null}}", 422,
         "Pod \"web\" is invalid: spec.containers[0].resources.limits: Forbidden: resource limits "
         "cannot be removed"},
        {"{\"requests\":{\"cpu\":\"200m\",\"ephemeral-storage\":\"1Gi\"}}", 422,
         "Pod \"web\" is invalid: spec: Forbidden: only cpu and memory resources are mutable"},
        {"{\"requests\":{\"cpu\":\"1\"},\"limits\":{\"cpu\":\"500m\"}}", 422, NULL},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    make_web(bed);
    unsigned code = resize(bed, "{\"requests\":{\"cpu\":\"200m\"}}");
    rest_expect(bed, code, 200, NULL);
    assert_string_equal(rest_field(bed, "spec containers 0 resources requests cpu"), "200m");
    assert_string_equal(rest_field(bed, "metadata generation"), "2");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        code = resize(bed, rows[i].resources);
        rest_expect(bed, code, rows[i].code, rows[i].message);
    }
    code = rest_patch_with(bed, "merge", WEB "/resize",
                           "{\"spec\":{\"containers\":[{\"name\":\"d\",\"image\":\"i\"}]}}");
    rest_expect(bed, code, 422,
                "Pod \"web\" is invalid: spec: Forbidden: containers may not be renamed or "
                "reordered on resize");
    code = rest_patch_with(bed, "merge", WEB "/resize", "{\"spec\":{\"containers\":[]}}");
    assert_int_equal(code, 422);
}

TEST_CASE(a_mirror_pod_is_accepted_from_its_node)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    rest_must(bed, "POST", "/api/v1/nodes", "{\"metadata\":{\"name\":\"n\"}}");
    const char *uid = arena_strdup(bed->arena, rest_field(bed, "metadata uid"));
    rest_bed_become(bed, "system:node:n", GROUP_NODES);
    const char *body = arena_printf(
        bed->arena,
        "{\"metadata\":{\"name\":\"static-n\",\"annotations\":{\"kubernetes.io/config.mirror\":"
        "\"x\",\"kubernetes.io/config.source\":\"file\"},\"ownerReferences\":[{\"apiVersion\":"
        "\"v1\",\"kind\":\"Node\",\"name\":\"n\",\"uid\":\"%s\",\"controller\":true}]},\"spec\":{"
        "\"nodeName\":\"n\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}",
        uid);
    rest_must(bed, "POST", PODS, body);
    assert_string_equal(rest_field(bed, "spec serviceAccountName"), "");
    rest_bed_become_admin(bed);
    unsigned code =
        rest_patch_with(bed, "merge", PODS "/static-n",
                        "{\"metadata\":{\"annotations\":{\"kubernetes.io/config.mirror\":\"y\"}}}");
    rest_expect(bed, code, 422,
                "Pod \"static-n\" is invalid: metadata.annotations[kubernetes.io/config.mirror]: "
                "Forbidden: may not remove or update mirror pod annotation");
}

TEST_MAIN(TEST(a_new_pod_is_defaulted_and_pending),
          TEST(a_client_cannot_say_the_status_of_a_new_pod),
          TEST(a_divisor_that_is_not_said_is_shown_as_zero),
          TEST(a_wrong_pod_is_refused_in_known_words), TEST(only_a_few_fields_of_a_pod_may_change),
          TEST(tolerations_may_only_be_added), TEST(the_status_has_a_path_of_its_own),
          TEST(a_container_that_ended_for_good_does_not_come_back),
          TEST(binding_gives_a_pod_to_a_node_once), TEST(a_pod_without_a_node_goes_at_once),
          TEST(a_pod_on_a_node_goes_with_grace), TEST(grace_follows_the_pod_and_the_request),
          TEST(a_pod_that_is_going_takes_no_binding), TEST(eviction_deletes_with_grace),
          TEST(ephemeral_containers_are_only_added), TEST(resize_changes_cpu_and_memory),
          TEST(a_mirror_pod_is_accepted_from_its_node))
