#include "tests/unit/plane/rest_bed.h"

#define DEFAULT "/api/v1/namespaces/default/"

/* Requests that follow each other on one bed. */
struct exchange {
    const char *method, *target, *body; /* method "MERGE": a merge patch */
    unsigned code;
    const char *message;     /* NULL: not looked at */
    const char *path, *want; /* NULL: not looked at */
};

/* A request whose answer has this message, or NULL for any; and one whose answer shows this value.
 */
#define SAYS(method_, target_, body_, code_, message_)                                             \
    {                                                                                              \
        .method = (method_), .target = (target_), .body = (body_), .code = (code_),                \
        .message = (message_)                                                                      \
    }
#define SHOWS(method_, target_, body_, code_, path_, want_)                                        \
    {                                                                                              \
        .method = (method_), .target = (target_), .body = (body_), .code = (code_),                \
        .path = (path_), .want = (want_)                                                           \
    }

static void run(struct rest_bed *bed, const struct exchange *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct exchange *row = &rows[i];
        unsigned code = strcmp(row->method, "MERGE") == 0
                            ? rest_patch_with(bed, "merge", row->target, row->body)
                            : rest_ask(bed, row->method, row->target, row->body);
        if (code != row->code)
            fail_msg("row %zu, %s %s: %u %s", i, row->method, row->target, code,
                     rest_field(bed, "message"));
        rest_expect(bed, code, row->code, row->message);
        if (row->path)
            assert_string_equal(rest_field(bed, row->path), row->want);
    }
}

#define RUN(bed, rows) run(bed, rows, ARRAY_SIZE(rows))

/* --- namespaces --- */

TEST_CASE(a_namespace_goes_when_its_last_finalizer_does)
{
    static const struct exchange rows[] = {
        SHOWS("POST", "/api/v1/namespaces", "{\"metadata\":{\"name\":\"a\"}}", 201, "spec",
              "{\"finalizers\":[\"kubernetes\"]}"),
        SHOWS("GET", "/api/v1/namespaces/a", NULL, 200, "status", "{\"phase\":\"Active\"}"),
        SHOWS("GET", "/api/v1/namespaces/a", NULL, 200,
              "metadata labels kubernetes.io/metadata.name", "a"),
        SHOWS(
            "MERGE", "/api/v1/namespaces/a",
            "{\"metadata\":{\"labels\":null},\"spec\":{\"finalizers\":null},\"status\":{\"phase\":"
            "\"x\"}}",
            200, "metadata labels kubernetes.io/metadata.name", "a"),
        SHOWS("DELETE", "/api/v1/namespaces/a", NULL, 200, "status phase", "Terminating"),
        SHOWS("GET", "/api/v1/namespaces/a", NULL, 200, "metadata deletionTimestamp",
              "2026-11-21T10:00:00Z"),
        SHOWS("GET", "/api/v1/namespaces/a", NULL, 200, "metadata deletionGracePeriodSeconds", ""),
        SAYS("POST", "/api/v1/namespaces/a/configmaps", "{\"metadata\":{\"name\":\"m\"}}", 403,
             "configmaps \"m\" is forbidden: unable to create new content in namespace a because "
             "it is "
             "being terminated"),
        SHOWS("DELETE", "/api/v1/namespaces/a", NULL, 200, "status phase", "Terminating"),
        SHOWS("MERGE", "/api/v1/namespaces/a/status",
              "{\"status\":{\"conditions\":[{\"type\":\"NamespaceContentRemaining\",\"status\":"
              "\"False\"}]}}",
              200, "status phase", "Terminating"),
        SAYS("PUT", "/api/v1/namespaces/a/finalize",
             "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"finalizers\":[\"bad\"]}}", 422,
             "Namespace \"a\" is invalid: spec.finalizers: Invalid value: \"bad\": name is neither "
             "a "
             "standard finalizer name nor is it fully qualified"),
        SAYS("PUT", "/api/v1/namespaces/a/finalize", "{\"metadata\":{\"name\":\"a\"},\"spec\":{}}",
             200, NULL),
        SAYS("GET", "/api/v1/namespaces/a", NULL, 404, "namespaces \"a\" not found"),
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    RUN(bed, rows);
}

TEST_CASE(a_namespace_has_a_plain_name)
{
    static const struct exchange rows[] = {
        SAYS(
            "POST", "/api/v1/namespaces", "{\"metadata\":{\"name\":\"a.b\"}}", 422,
            "Namespace \"a.b\" is invalid: metadata.name: Invalid value: \"a.b\": must not contain "
            "dots"),
        SAYS("DELETE", "/api/v1/namespaces/default", NULL, 403,
             "namespaces \"default\" is forbidden: this namespace may not be deleted"),
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    RUN(bed, rows);
}

/* --- nodes --- */

TEST_CASE(a_node_has_spec_and_status_apart)
{
    static const struct exchange rows[] = {
        SHOWS("POST", "/api/v1/nodes",
              "{\"metadata\":{\"name\":\"n\",\"labels\":{\"a\":\"b\"}},\"status\":{\"capacity\":{"
              "\"cpu\":\"2\"}}}",
              201, "status allocatable cpu", "2"),
        SHOWS("GET", "/api/v1/nodes/n", NULL, 200, "spec taints",
              "[{\"key\":\"node.kubernetes.io/not-ready\",\"effect\":\"NoSchedule\"}]"),
        SHOWS("MERGE", "/api/v1/nodes/n",
              "{\"spec\":{\"unschedulable\":true},\"status\":{\"capacity\":{\"cpu\":\"4\"}}}", 200,
              "status capacity cpu", "2"),
        SHOWS("MERGE", "/api/v1/nodes/n/status",
              "{\"spec\":{\"unschedulable\":false},\"status\":{\"capacity\":{\"cpu\":\"4\"}}}", 200,
              "status capacity cpu", "4"),
        SHOWS("GET", "/api/v1/nodes/n", NULL, 200, "spec unschedulable", "true"),
        SHOWS("MERGE", "/api/v1/nodes/n", "{\"spec\":{\"podCIDR\":\"10.1.0.0/24\"}}", 200,
              "spec podCIDRs", "[\"10.1.0.0/24\"]"),
        SAYS("MERGE", "/api/v1/nodes/n", "{\"spec\":{\"podCIDR\":\"10.2.0.0/24\"}}", 422, NULL),
        SAYS("MERGE", "/api/v1/nodes/n",
             "{\"spec\":{\"podCIDR\":\"10.2.0.0/24\",\"podCIDRs\":[\"10.2.0.0/24\"]}}", 422,
             "Node \"n\" is invalid: spec.podCIDRs: Forbidden: node updates may not change podCIDR "
             "except from \"\" to valid"),
        SAYS("MERGE", "/api/v1/nodes/n", "{\"spec\":{\"providerID\":\"x://1\"}}", 200, NULL),
        SAYS("MERGE", "/api/v1/nodes/n", "{\"spec\":{\"providerID\":\"x://2\"}}", 422,
             "Node \"n\" is invalid: spec.providerID: Forbidden: node updates may not change "
             "providerID "
             "except from \"\" to valid"),
        SAYS("MERGE", "/api/v1/nodes/n",
             "{\"spec\":{\"taints\":[{\"key\":\"k\",\"effect\":\"Sometimes\"}]}}", 422,
             "Node \"n\" is invalid: metadata.taints[0].effect: Unsupported value: \"Sometimes\": "
             "supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\""),
        SHOWS("MERGE", "/api/v1/nodes/n",
              "{\"spec\":{\"taints\":[{\"key\":\"k\",\"effect\":\"NoSchedule\"}]}}", 200,
              "spec taints 0 key", "k"),
        SAYS("POST", "/api/v1/nodes",
             "{\"metadata\":{\"name\":\"m\"},\"spec\":{\"podCIDRs\":[\"10.1.0.1/24\"]}}", 422,
             "Node \"m\" is invalid: spec.podCIDRs[0]: Invalid value: \"10.1.0.1/24\": must not "
             "have "
             "bits set beyond the prefix length"),
        SAYS("POST", "/api/v1/nodes",
             "{\"metadata\":{\"name\":\"m\"},\"status\":{\"capacity\":{\"cpu\":\"-1\"}}}", 422,
             NULL),
        SHOWS("DELETE", "/api/v1/nodes/n", NULL, 200, "kind", "Status"),
        SAYS("GET", "/api/v1/nodes/n", NULL, 404, NULL),
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    RUN(bed, rows);
}

/* --- secrets and config maps --- */

#define SECRETS DEFAULT "secrets"

TEST_CASE(secrets_follow_their_type)
{
    static const struct exchange rows[] = {
        SHOWS("POST", SECRETS,
              "{\"metadata\":{\"name\":\"s\"},\"stringData\":{\"a\":\"x\",\"b\":\"y\"},\"data\":{"
              "\"a\":"
              "\"b2xk\"}}",
              201, "data", "{\"a\":\"eA==\",\"b\":\"eQ==\"}"),
        SHOWS("GET", SECRETS "/s", NULL, 200, "type", "Opaque"),
        SHOWS("GET", SECRETS "/s", NULL, 200, "stringData", ""),
        SHOWS("MERGE", SECRETS "/s", "{\"stringData\":{\"c\":\"z\"}}", 200, "data c", "eg=="),
        SAYS("MERGE", SECRETS "/s", "{\"type\":\"x\"}", 422,
             "Secret \"s\" is invalid: type: Invalid value: \"x\": field is immutable"),
        SAYS("MERGE", SECRETS "/s", "{\"data\":{\"a b\":\"\"}}", 422, NULL),
        SAYS("MERGE", SECRETS "/s", "{\"immutable\":true}", 200, NULL),
        SAYS(
            "MERGE", SECRETS "/s", "{\"immutable\":false}", 422,
            "Secret \"s\" is invalid: immutable: Forbidden: field is immutable when `immutable` is "
            "set"),
        SAYS(
            "MERGE", SECRETS "/s", "{\"data\":{\"a\":null}}", 422,
            "Secret \"s\" is invalid: data: Forbidden: field is immutable when `immutable` is set"),
        SAYS("MERGE", SECRETS "/s", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}", 200, NULL),
        SAYS("POST", SECRETS, "{\"metadata\":{\"name\":\"t\"},\"type\":\"kubernetes.io/tls\"}", 422,
             "Secret \"t\" is invalid: [data[tls.crt]: Required value, data[tls.key]: Required "
             "value]"),
        SAYS("POST", SECRETS,
             "{\"metadata\":{\"name\":\"t\"},\"type\":\"kubernetes.io/dockerconfigjson\"}", 422,
             "Secret \"t\" is invalid: data[.dockerconfigjson]: Required value"),
        SAYS("POST", SECRETS,
             "{\"metadata\":{\"name\":\"t\"},\"type\":\"kubernetes.io/dockerconfigjson\","
             "\"stringData\":{\".dockerconfigjson\":\"no\"}}",
             422, NULL),
        SAYS("POST", SECRETS,
             "{\"metadata\":{\"name\":\"t\"},\"type\":\"kubernetes.io/dockerconfigjson\","
             "\"stringData\":{\".dockerconfigjson\":\"{}\"}}",
             201, NULL),
        SAYS("POST", SECRETS,
             "{\"metadata\":{\"name\":\"u\"},\"type\":\"kubernetes.io/service-account-token\"}",
             422,
             "Secret \"u\" is invalid: metadata.annotations[kubernetes.io/service-account.name]: "
             "Required value"),
        SAYS("POST", SECRETS,
             "{\"metadata\":{\"name\":\"u\"},\"type\":\"kubernetes.io/basic-auth\"}", 422,
             "Secret \"u\" is invalid: [data[username]: Required value, data[password]: Required "
             "value]"),
        SAYS("POST", SECRETS, "{\"metadata\":{\"name\":\"u\"},\"type\":\"kubernetes.io/ssh-auth\"}",
             422, "Secret \"u\" is invalid: data[ssh-privatekey]: Required value"),
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    RUN(bed, rows);
}

TEST_CASE(config_maps_check_keys_and_immutability)
{
    static const struct exchange rows[] = {
        SAYS("POST", DEFAULT "configmaps",
             "{\"metadata\":{\"name\":\"m\"},\"data\":{\"a\":\"1\"},\"binaryData\":{\"a\":\"eA==\"}"
             "}",
             422,
             "ConfigMap \"m\" is invalid: data[a]: Invalid value: \"a\": duplicate of key present "
             "in "
             "binaryData"),
        SAYS("POST", DEFAULT "configmaps",
             "{\"metadata\":{\"name\":\"m\"},\"data\":{\"..\":\"1\"}}", 422,
             "ConfigMap \"m\" is invalid: data[..]: Invalid value: \"..\": must not be '..'"),
        SAYS("POST", DEFAULT "configmaps",
             "{\"metadata\":{\"name\":\"m\"},\"immutable\":true,\"data\":{\"a\":\"1\"}}", 201,
             NULL),
        SAYS("MERGE", DEFAULT "configmaps/m", "{\"data\":{\"a\":\"2\"}}", 422,
             "ConfigMap \"m\" is invalid: data: Forbidden: field is immutable when `immutable` is "
             "set"),
        SAYS("MERGE", DEFAULT "configmaps/m", "{\"binaryData\":{\"b\":\"eA==\"}}", 422,
             "ConfigMap \"m\" is invalid: binaryData: Forbidden: field is immutable when "
             "`immutable` "
             "is "
             "set"),
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    RUN(bed, rows);
}

TEST_CASE(too_much_data_is_refused)
{
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    AUTO(buf) struct buf body;
    buf_init(&body, 3 * MiB);
    buf_add_text(&body, "{\"metadata\":{\"name\":\"m\"},\"data\":{\"a\":\"");
    for (size_t i = 0; i < 1 * MiB + 1; i++)
        buf_add_char(&body, 'x');
    buf_add_text(&body, "\"}}");
    unsigned code = rest_ask(bed, "POST", DEFAULT "configmaps", buf_text(&body));
    rest_expect(bed, code, 422,
                "ConfigMap \"m\" is invalid: : Too long: may not be more than 1048576 bytes");
}

TEST_CASE(metadata_is_checked_for_all_kinds)
{
    static const struct {
        const char *meta, *message;
    } rows[] = {
        {"\"labels\":{\"a b\":\"\"}",
         "metadata.labels: Invalid value: \"a b\": name part must consist of alphanumeric "
         "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. "
         "'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
         "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"},
        {"\"annotations\":{\"/x\":\"\"}",
         "metadata.annotations: Invalid value: \"/x\": prefix part must be non-empty"},
        {"\"finalizers\":[\"x\"]",
         "metadata.finalizers[0]: Invalid value: \"x\": name is neither a standard finalizer name "
         "nor is it fully qualified"},
        {"\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"p\"}]",
         "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty"},
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *body =
            arena_printf(bed->arena, "{\"metadata\":{\"name\":\"m\",%s}}", rows[i].meta);
        unsigned code = rest_ask(bed, "POST", DEFAULT "configmaps", body);
        rest_expect(bed, code, 422,
                    arena_printf(bed->arena, "ConfigMap \"m\" is invalid: %s", rows[i].message));
    }
}

/* --- events --- */

TEST_CASE(an_event_is_one_in_both_groups)
{
    static const struct exchange rows[] = {
        SHOWS("POST", DEFAULT "events",
              "{\"metadata\":{\"name\":\"e\"},\"involvedObject\":{\"kind\":\"Pod\",\"name\":\"p\","
              "\"namespace\":\"default\"},\"reason\":\"Started\",\"message\":\"hello\",\"source\":{"
              "\"component\":\"me\"},\"type\":\"Normal\",\"count\":2,\"firstTimestamp\":"
              "\"2026-11-21T09:00:00Z\"}",
              201, "reportingComponent", ""),
        SHOWS("GET", "/apis/events.k8s.io/v1/namespaces/default/events/e", NULL, 200, "note",
              "hello"),
        SHOWS("GET", "/apis/events.k8s.io/v1/namespaces/default/events/e", NULL, 200,
              "regarding name", "p"),
        SHOWS("GET", "/apis/events.k8s.io/v1/namespaces/default/events/e", NULL, 200,
              "deprecatedCount", "2"),
        SHOWS("GET", "/apis/events.k8s.io/v1/namespaces/default/events/e", NULL, 200, "kind",
              "Event"),
        SHOWS("GET", "/apis/events.k8s.io/v1/events?fieldSelector=regarding.name%3Dp", NULL, 200,
              "items 0 deprecatedSource component", "me"),
        SHOWS(
            "POST", "/apis/events.k8s.io/v1/namespaces/default/events",
            "{\"metadata\":{\"name\":\"f\"},\"regarding\":{\"kind\":\"Pod\",\"name\":\"q\","
            "\"namespace\":\"default\"},\"reason\":\"R\",\"action\":\"A\",\"type\":\"Normal\","
            "\"note\":\"n\",\"reportingController\":\"example.com/c\",\"reportingInstance\":\"i\","
            "\"eventTime\":\"2026-11-21T09:00:00.123456Z\"}",
            201, "apiVersion", "events.k8s.io/v1"),
        SAYS("POST", DEFAULT "events",
             "{\"metadata\":{\"name\":\"g\"},\"involvedObject\":{\"namespace\":\"default\"},"
             "\"reason\":\"R\",\"action\":\"A\",\"reportingComponent\":\"a b\","
             "\"reportingInstance\":\"i\",\"eventTime\":\"2026-11-21T09:00:00.123456Z\"}",
             422,
             "Event \"g\" is invalid: reportingComponent: Invalid value: \"a b\": name part must "
             "consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
             "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
             "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"),
        SHOWS("GET", DEFAULT "events/f", NULL, 200, "message", "n"),
        SHOWS("GET", DEFAULT "events/f", NULL, 200, "eventTime", "2026-11-21T09:00:00.123456Z"),
        SHOWS("GET", DEFAULT "events/f", NULL, 200, "reportingComponent", "example.com/c"),
        SHOWS("GET", DEFAULT "events?fieldSelector=involvedObject.name%3Dq", NULL, 200,
              "items 0 metadata name", "f"),
        SHOWS("MERGE", "/apis/events.k8s.io/v1/namespaces/default/events/f",
              "{\"series\":{\"count\":3,\"lastObservedTime\":\"2026-11-21T09:00:01.000000Z\"}}",
              200, "series count", "3"),
        SAYS("MERGE", "/apis/events.k8s.io/v1/namespaces/default/events/f", "{\"note\":\"other\"}",
             422,
             "Event.events.k8s.io \"f\" is invalid: message: Invalid value: \"other\": field is "
             "immutable"),
        SAYS("POST", DEFAULT "events",
             "{\"metadata\":{\"name\":\"g\"},\"involvedObject\":{\"namespace\":\"other\"}}", 422,
             "Event \"g\" is invalid: involvedObject.namespace: Invalid value: \"other\": does not "
             "match event.namespace"),
        SAYS("POST", "/apis/events.k8s.io/v1/namespaces/default/events",
             "{\"metadata\":{\"name\":\"g\"},\"regarding\":{\"namespace\":\"default\"},\"type\":"
             "\"Normal\"}",
             422, "Event.events.k8s.io \"g\" is invalid: eventTime: Required value"),
        SHOWS("MERGE", DEFAULT "events/e", "{\"count\":3}", 200, "count", "3"),
        SAYS("DELETE", "/apis/events.k8s.io/v1/namespaces/default/events/e", NULL, 200, NULL),
        SAYS("GET", DEFAULT "events/e", NULL, 404, NULL),
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    RUN(bed, rows);
}

/* --- leases, runtime classes --- */

#define LEASES "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"

TEST_CASE(a_lease_is_renewed_on_what_is_there)
{
    static const struct exchange rows[] = {
        SHOWS("PUT", LEASES "/n",
              "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"holderIdentity\":\"n\","
              "\"leaseDurationSeconds\":40}}",
              201, "spec leaseDurationSeconds", "40"),
        SAYS("PUT", LEASES "/n", "{\"metadata\":{\"name\":\"n\"},\"spec\":{}}", 422,
             "leases.coordination.k8s.io \"n\" is invalid: metadata.resourceVersion: Invalid "
             "value: 0: "
             "must be specified for an update"),
        SAYS("MERGE", LEASES "/n", "{\"spec\":{\"leaseDurationSeconds\":0}}", 422,
             "Lease.coordination.k8s.io \"n\" is invalid: spec.leaseDurationSeconds: Invalid "
             "value: 0: "
             "must be greater than 0"),
        SHOWS("MERGE", LEASES "/n", "{\"spec\":{\"renewTime\":\"2026-11-21T10:00:00.000001Z\"}}",
              200, "spec renewTime", "2026-11-21T10:00:00.000001Z"),
        SAYS("GET", LEASES "/none", NULL, 404, "leases.coordination.k8s.io \"none\" not found"),
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    RUN(bed, rows);
}

#define CLASSES "/apis/node.k8s.io/v1/runtimeclasses"

TEST_CASE(the_handler_of_a_runtime_class_stays)
{
    static const struct exchange rows[] = {
        SAYS("POST", CLASSES, "{\"metadata\":{\"name\":\"r\"},\"handler\":\"Runc\"}", 422, NULL),
        SAYS("POST", CLASSES, "{\"metadata\":{\"name\":\"r\"},\"handler\":\"runc\"}", 201, NULL),
        SAYS(
            "MERGE", CLASSES "/r", "{\"handler\":\"crun\"}", 422,
            "RuntimeClass.node.k8s.io \"r\" is invalid: handler: Invalid value: \"crun\": field is "
            "immutable"),
        SAYS("MERGE", CLASSES "/r", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}", 200, NULL),
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    RUN(bed, rows);
}

/* --- volumes --- */

#define VOLUMES "/api/v1/persistentvolumes"
#define CLAIMS DEFAULT "persistentvolumeclaims"

TEST_CASE(a_volume_keeps_its_source)
{
    static const struct exchange rows[] = {
        SAYS("POST", VOLUMES, "{\"metadata\":{\"name\":\"v\"},\"spec\":{}}", 422,
             "PersistentVolume \"v\" is invalid: [spec.accessModes: Required value, spec.capacity: "
             "Required value, spec: Required value: must specify a volume type]"),
        SAYS(
            "POST", VOLUMES,
            "{\"metadata\":{\"name\":\"v\"},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],"
            "\"capacity\":{\"storage\":\"1Gi\"},\"hostPath\":{\"path\":\"/a\"},\"nfs\":{\"server\":"
            "\"s\",\"path\":\"/\"}}}",
            422,
            "PersistentVolume \"v\" is invalid: spec.nfs: Forbidden: may not specify more than 1 "
            "volume type"),
        SAYS("POST", VOLUMES,
             "{\"metadata\":{\"name\":\"v\"},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],"
             "\"capacity\":{\"storage\":\"1Gi\"},\"local\":{\"path\":\"/a\"}}}",
             422,
             "PersistentVolume \"v\" is invalid: spec.nodeAffinity: Required value: Local volume "
             "requires node affinity"),
        SHOWS("POST", VOLUMES,
              "{\"metadata\":{\"name\":\"v\"},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],"
              "\"capacity\":{\"storage\":\"1Gi\"},\"hostPath\":{\"path\":\"/a\"}}}",
              201, "spec persistentVolumeReclaimPolicy", "Retain"),
        SHOWS("GET", VOLUMES "/v", NULL, 200, "status phase", "Pending"),
        SAYS("MERGE", VOLUMES "/v", "{\"spec\":{\"hostPath\":{\"path\":\"/b\"}}}", 422,
             "PersistentVolume \"v\" is invalid: spec.persistentvolumesource: Forbidden: "
             "spec.persistentvolumesource is immutable after creation"),
        SAYS("MERGE", VOLUMES "/v", "{\"spec\":{\"capacity\":{\"storage\":\"2Gi\"}}}", 200, NULL),
        SHOWS("MERGE", VOLUMES "/v/status", "{\"status\":{\"phase\":\"Bound\"}}", 200,
              "status phase", "Bound"),
        SHOWS("DELETE", VOLUMES "/v", NULL, 200, "kind", "PersistentVolume"),
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    RUN(bed, rows);
}

#define IMMUTABLE_CLAIM                                                                            \
    "PersistentVolumeClaim \"c\" is invalid: spec: Forbidden: spec is immutable after creation "   \
    "except resources.requests and volumeAttributesClassName for bound claims"

TEST_CASE(a_claim_keeps_its_spec_until_it_is_bound)
{
    static const struct exchange rows[] = {
        SAYS(
            "POST", CLAIMS, "{\"metadata\":{\"name\":\"c\"},\"spec\":{}}", 422,
            "PersistentVolumeClaim \"c\" is invalid: [spec.accessModes: Required value: at least 1 "
            "access mode is required, spec.resources[storage]: Required value]"),
        SHOWS("POST", CLAIMS,
              "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"accessModes\":[\"ReadWriteOnce\"],"
              "\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}",
              201, "status", "{\"phase\":\"Pending\"}"),
        SHOWS("GET", CLAIMS "/c", NULL, 200, "spec volumeMode", "Filesystem"),
        SAYS("MERGE", CLAIMS "/c",
             "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"2Gi\"}}}}", 422,
             IMMUTABLE_CLAIM),
        SAYS("MERGE", CLAIMS "/c", "{\"spec\":{\"volumeName\":\"v\"}}", 200, NULL),
        SAYS("MERGE", CLAIMS "/c", "{\"spec\":{\"volumeName\":\"w\"}}", 422, IMMUTABLE_CLAIM),
        SHOWS("MERGE", CLAIMS "/c/status",
              "{\"status\":{\"phase\":\"Bound\",\"capacity\":{\"storage\":\"1Gi\"}}}", 200,
              "status phase", "Bound"),
        SAYS("MERGE", CLAIMS "/c",
             "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"2Gi\"}}}}", 200, NULL),
        SAYS("MERGE", CLAIMS "/c",
             "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"500Mi\"}}}}", 422,
             "PersistentVolumeClaim \"c\" is invalid: spec.resources.requests.storage: Forbidden: "
             "field "
             "can not be less than status.capacity"),
        SAYS("MERGE", CLAIMS "/c", "{\"spec\":{\"accessModes\":[\"ReadOnlyMany\"]}}", 422,
             IMMUTABLE_CLAIM),
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    RUN(bed, rows);
}

#define STORAGE "/apis/storage.k8s.io/v1/"

TEST_CASE(the_storage_group_is_defaulted_and_kept)
{
    static const struct exchange rows[] = {
        SAYS("POST", STORAGE "storageclasses", "{\"metadata\":{\"name\":\"s\"}}", 422,
             "StorageClass.storage.k8s.io \"s\" is invalid: provisioner: Required value"),
        SHOWS("POST", STORAGE "storageclasses",
              "{\"metadata\":{\"name\":\"s\"},\"provisioner\":\"x.y/z\"}", 201, "volumeBindingMode",
              "Immediate"),
        SAYS("MERGE", STORAGE "storageclasses/s", "{\"parameters\":{\"a\":\"b\"}}", 422,
             "StorageClass.storage.k8s.io \"s\" is invalid: parameters: Forbidden: updates to "
             "parameters are forbidden."),
        SHOWS("POST", STORAGE "csidrivers", "{\"metadata\":{\"name\":\"d.io\"},\"spec\":{}}", 201,
              "spec",
              "{\"attachRequired\":true,\"podInfoOnMount\":false,\"volumeLifecycleModes\":["
              "\"Persistent\"],\"storageCapacity\":false,\"fsGroupPolicy\":"
              "\"ReadWriteOnceWithFSType\","
              "\"requiresRepublish\":false,\"seLinuxMount\":false}"),
        SAYS("MERGE", STORAGE "csidrivers/d.io", "{\"spec\":{\"attachRequired\":false}}", 422,
             NULL),
        SAYS("POST", STORAGE "csinodes",
             "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"drivers\":[{\"name\":\"d.io\",\"nodeID\":"
             "\"1\"}]}}",
             201, NULL),
        SAYS("MERGE", STORAGE "csinodes/n",
             "{\"spec\":{\"drivers\":[{\"name\":\"d.io\",\"nodeID\":\"2\"}]}}", 422, NULL),
        SAYS("MERGE", STORAGE "csinodes/n",
             "{\"spec\":{\"drivers\":[{\"name\":\"d.io\",\"nodeID\":\"1\",\"topologyKeys\":["
             "\"zone\"]}]}}",
             422, NULL),
        SAYS("MERGE", STORAGE "csinodes/n",
             "{\"spec\":{\"drivers\":[{\"name\":\"d.io\",\"nodeID\":\"1\",\"allocatable\":{"
             "\"count\":3}}]}}",
             200, NULL),
        SHOWS("POST", STORAGE "volumeattachments",
              "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"attacher\":\"d.io\",\"nodeName\":\"n\","
              "\"source\":{\"persistentVolumeName\":\"v\"}},\"status\":{\"attached\":true}}",
              201, "status attached", "false"),
        SHOWS("MERGE", STORAGE "volumeattachments/a/status",
              "{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"status\":{\"attached\":true}}", 200,
              "status attached", "true"),
        SHOWS("GET", STORAGE "volumeattachments/a", NULL, 200, "metadata labels", ""),
        SAYS("MERGE", STORAGE "volumeattachments/a", "{\"spec\":{\"nodeName\":\"m\"}}", 422, NULL),
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    RUN(bed, rows);
}

/* --- endpoints --- */

TEST_CASE(endpoints_are_checked)
{
    static const struct exchange rows[] = {
        SHOWS("PUT", DEFAULT "endpoints/e",
              "{\"metadata\":{\"name\":\"e\"},\"subsets\":[{\"addresses\":[{\"ip\":\"10.0.0.1\"}],"
              "\"ports\":[{\"port\":80}]}]}",
              201, "subsets 0 ports 0 protocol", "TCP"),
        SAYS("MERGE", DEFAULT "endpoints/e", "{\"subsets\":[{\"ports\":[{\"port\":80}]}]}", 422,
             "Endpoints \"e\" is invalid: subsets[0]: Required value: must specify `addresses` or "
             "`notReadyAddresses`"),
        SAYS(
            "MERGE", DEFAULT "endpoints/e",
            "{\"subsets\":[{\"addresses\":[{\"ip\":\"127.0.0.1\"}]}]}", 422,
            "Endpoints \"e\" is invalid: subsets[0].addresses[0].ip: Invalid value: \"127.0.0.1\": "
            "may "
            "not be in the loopback range (127.0.0.0/8, ::1/128)"),
        SHOWS("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
              "{\"metadata\":{\"name\":\"s\"},\"addressType\":\"IPv4\",\"endpoints\":[{"
              "\"addresses\":["
              "\"10.0.0.1\"]}],\"ports\":[{\"port\":80}]}",
              201, "metadata generation", "1"),
        SAYS("MERGE", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/s",
             "{\"addressType\":\"IPv6\"}", 422, NULL),
        SHOWS("MERGE", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/s",
              "{\"endpoints\":[]}", 200, "metadata generation", "2"),
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    RUN(bed, rows);
}

TEST_CASE(a_service_account_names_its_secrets)
{
    static const struct exchange rows[] = {
        SHOWS("POST", DEFAULT "serviceaccounts",
              "{\"metadata\":{\"name\":\"a\"},\"secrets\":[{\"name\":\"s\",\"namespace\":\"x\"}]}",
              201, "secrets", "[{\"name\":\"s\"}]"),
        SHOWS("DELETE", DEFAULT "serviceaccounts/a", NULL, 200, "kind", "ServiceAccount"),
    };
    AUTO(rest_bed) struct rest_bed *bed = rest_bed_new();
    RUN(bed, rows);
}

TEST_MAIN(TEST(a_namespace_goes_when_its_last_finalizer_does), TEST(a_namespace_has_a_plain_name),
          TEST(a_node_has_spec_and_status_apart), TEST(secrets_follow_their_type),
          TEST(config_maps_check_keys_and_immutability), TEST(too_much_data_is_refused),
          TEST(metadata_is_checked_for_all_kinds), TEST(an_event_is_one_in_both_groups),
          TEST(a_lease_is_renewed_on_what_is_there), TEST(the_handler_of_a_runtime_class_stays),
          TEST(a_volume_keeps_its_source), TEST(a_claim_keeps_its_spec_until_it_is_bound),
          TEST(the_storage_group_is_defaulted_and_kept), TEST(endpoints_are_checked),
          TEST(a_service_account_names_its_secrets))
