#include "base/fd.h"
#include "tests/unit/kube/validate_rows.h"

TEST_CASE(good_pods_pass)
{
    static const struct validate_row rows[] = {
        {"the least", {.metadata = NULL}, NULL},
        {"names and labels",
         {.metadata = "labels: {app: web, example.com/tier: ''}, annotations: {Example.COM/x: z}, "
                      "generateName: web-, finalizers: [foregroundDeletion, example.com/f]"},
         NULL},
        {"an owner",
         {.metadata = "ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: a, uid: b, "
                      "controller: true}]"},
         NULL},
        {"host namespaces",
         {.spec = "hostNetwork: true, hostPID: true, hostIPC: true, dnsPolicy: "
                  "ClusterFirstWithHostNet"},
         NULL},
        {"a user namespace", {.spec = "hostUsers: false"}, NULL},
        {"names of things",
         {.spec = "serviceAccountName: robot, nodeName: node-a, hostname: h, subdomain: s, "
                  "priorityClassName: system-node-critical, runtimeClassName: kata, "
                  "preemptionPolicy: Never, schedulerName: mine"},
         NULL},
        {"its own DNS",
         {.spec = "dnsPolicy: None, dnsConfig: {nameservers: [10.0.0.10, '2001:db8::1'], searches: "
                  "[a.b, _tcp.c., '.'], options: [{name: ndots, value: '5'}]}"},
         NULL},
        {"aliases", {.spec = "hostAliases: [{ip: 127.0.0.1, hostnames: [a, b.c]}]"}, NULL},
        {"a negative grace period, which the node takes for one second",
         {.spec = "terminationGracePeriodSeconds: -1"},
         NULL},
        {"an operating system", {.spec = "os: {name: linux}"}, NULL},
        {"resource claims",
         {.spec = "resourceClaims: [{name: gpu, resourceClaimName: g}]",
          .container = "resources: {claims: [{name: gpu, request: a}, {name: gpu, request: b}]}"},
         NULL},
        {"a claim by template",
         {.spec = "resourceClaims: [{name: gpu, resourceClaimTemplateName: g}]",
          .container = "resources: {claims: [{name: gpu}]}"},
         NULL},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(metadata_is_checked)
{
    static const struct validate_row rows[] = {
        {"no name",
         {.metadata = "name: '', namespace: default"},
         "metadata.name: Required value: name or generateName is required"},
        {"a bad name",
         {.metadata = "name: Web, namespace: default"},
         "metadata.name: Invalid value: \"Web\": " NOT_A_SUBDOMAIN},
        {"no namespace", {.metadata = "name: web"}, "metadata.namespace: Required value"},
        {"a namespace with dots",
         {.metadata = "name: web, namespace: a.b"},
         "metadata.namespace: Invalid value: \"a.b\": must not contain dots"},
        {"a label key",
         {.metadata = "labels: {a b: c}"},
         "metadata.labels: Invalid value: \"a b\": " NOT_A_KEY_NAME},
        {"a label value",
         {.metadata = "labels: {a: b c}"},
         "metadata.labels: Invalid value: \"b c\": " NOT_A_LABEL_VALUE},
        {"an annotation key, shown as it is written",
         {.metadata = "annotations: {-A: ''}"},
         "metadata.annotations: Invalid value: \"-A\": " NOT_A_KEY_NAME},
        {"a generation",
         {.metadata = "generation: -1"},
         "metadata.generation: Invalid value: -1: must be greater than or equal to 0"},
        {"a finalizer",
         {.metadata = "finalizers: [mine]"},
         "metadata.finalizers[0]: Invalid value: \"mine\": name is neither a standard finalizer "
         "name nor is it fully qualified"},
        {"finalizers that contradict",
         {.metadata = "finalizers: [orphan, foregroundDeletion]"},
         "metadata.finalizers: Invalid value: [\"orphan\",\"foregroundDeletion\"]: finalizer "
         "orphan and foregroundDeletion cannot be both set"},
        {"an empty owner",
         {.metadata = "ownerReferences: [{}]"},
         "metadata.ownerReferences.apiVersion: Invalid value: \"\": version must not be empty\n"
         "metadata.ownerReferences.kind: Invalid value: \"\": must not be empty\n"
         "metadata.ownerReferences.name: Invalid value: \"\": must not be empty\n"
         "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty"},
        {"the cost of a deletion",
         {.metadata = "annotations: {controller.kubernetes.io/pod-deletion-cost: '+5'}"},
         "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: "
         "\"+5\": must be a 32bit integer"},
        {"a mirror without a node",
         {.metadata = "annotations: {kubernetes.io/config.mirror: x}"},
         "metadata.annotations[kubernetes.io/config.mirror]: Invalid value: \"x\": must set "
         "spec.nodeName if mirror pod annotation is set"},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(annotations_have_a_total_size)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod = pod_build(&(struct pod_text){.metadata = "annotations: {a: b}"}, arena);
    char *value = arena_alloc(arena, 256 * KiB);
    memset(value, 'x', 256 * KiB - 1);
    pod->metadata->annotations[0]->value = value;
    assert_string_equal(validate_text(pod, arena), "");
    pod->metadata->annotations[0]->key = arena_strdup(arena, "ab");
    assert_string_equal(validate_text(pod, arena),
                        "metadata.annotations: Too long: may not be more than 262144 bytes");
}

TEST_CASE(fields_of_the_spec_are_checked)
{
    static const struct validate_row rows[] = {
        {"a restart policy",
         {.spec = "restartPolicy: Sometimes"},
         "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", "
         "\"OnFailure\", \"Never\""},
        {"a DNS policy",
         {.spec = "dnsPolicy: Mine"},
         "spec.dnsPolicy: Unsupported value: \"Mine\": supported values: "
         "\"ClusterFirstWithHostNet\", \"ClusterFirst\", \"Default\", \"None\""},
        {"a node selector",
         {.spec = "nodeSelector: {/a: 'b c'}"},
         "spec.nodeSelector: Invalid value: \"/a\": prefix part must be non-empty\n"
         "spec.nodeSelector: Invalid value: \"b c\": " NOT_A_LABEL_VALUE},
        {"a node name",
         {.spec = "nodeName: Node"},
         "spec.nodeName: Invalid value: \"Node\": " NOT_A_SUBDOMAIN},
        {"a service account",
         {.spec = "serviceAccountName: A"},
         "spec.serviceAccountName: Invalid value: \"A\": " NOT_A_SUBDOMAIN},
        {"a deadline of nothing",
         {.spec = "activeDeadlineSeconds: 0"},
         "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, "
         "inclusive"},
        {"a deadline too far",
         {.spec = "activeDeadlineSeconds: 2147483648"},
         "spec.activeDeadlineSeconds: Invalid value: 2147483648: must be between 1 and "
         "2147483647, inclusive"},
        {"a hostname",
         {.spec = "hostname: a.b"},
         "spec.hostname: Invalid value: \"a.b\": must not contain dots"},
        {"a subdomain",
         {.spec = "subdomain: A"},
         "spec.subdomain: Invalid value: \"A\": " NOT_A_LABEL},
        {"an alias",
         {.spec = "hostAliases: [{ip: 127.0.0.01, hostnames: [A]}]"},
         "spec.hostAliases[0].ip: Invalid value: \"127.0.0.01\": must not have leading 0s\n"
         "spec.hostAliases[0].hostnames[0]: Invalid value: \"A\": " NOT_A_SUBDOMAIN},
        {"a priority class",
         {.spec = "priorityClassName: A"},
         "spec.priorityClassName: Invalid value: \"A\": " NOT_A_SUBDOMAIN},
        {"a runtime class",
         {.spec = "runtimeClassName: ''"},
         "spec.runtimeClassName: Invalid value: \"\": " NOT_A_SUBDOMAIN},
        {"a preemption policy",
         {.spec = "preemptionPolicy: Always"},
         "spec.preemptionPolicy: Unsupported value: \"Always\": supported values: "
         "\"PreemptLowerPriority\", \"Never\""},
        {"a readiness gate",
         {.spec = "readinessGates: [{conditionType: '-'}]"},
         "spec.readinessGates[0].conditionType: Invalid value: \"-\": " NOT_A_KEY_NAME},
        {"an overhead",
         {.spec = "overhead: {cpu: -1}"},
         "spec.overhead.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0"},
        {"an ephemeral container",
         {.spec = "ephemeralContainers: [{name: d, image: a}]"},
         "spec.ephemeralContainers: Forbidden: cannot be set on create"},
        {"a gated pod on a node",
         {.spec = "nodeName: a, schedulingGates: [{name: g}]"},
         "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"},
        {"a token without an account",
         {.spec = "volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: t}}]}}]"},
         "spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be "
         "specified when serviceAccountName is not set"},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(host_namespaces_are_checked)
{
    static const struct validate_row rows[] = {
        {"another host port on the host network",
         {.spec = "hostNetwork: true", .container = "ports: [{containerPort: 80, hostPort: 81}]"},
         "spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` "
         "when `hostNetwork` is true"},
        {"a user namespace with the host's others",
         {.spec = "hostUsers: false, hostNetwork: true, hostPID: true, hostIPC: true"},
         "spec.hostNetwork: Forbidden: when `hostUsers` is false\n"
         "spec.HostPID: Forbidden: when `hostUsers` is false\n"
         "spec.HostIPC: Forbidden: when `hostUsers` is false"},
        {"a user namespace with a block device",
         {.spec = "hostUsers: false, volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]",
          .container = "volumeDevices: [{name: v, devicePath: /dev/x}]"},
         "spec.containers[0].volumeDevices: Forbidden: when `hostUsers` is false"},
        {"one process namespace too many",
         {.spec = "shareProcessNamespace: true, hostPID: true"},
         "spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace "
         "and HostPID cannot both be enabled"},
        {"a hostname override where there is none to override",
         {.spec = "hostnameOverride: a.b, hostNetwork: true, setHostnameAsFQDN: true"},
         "spec.hostnameOverride: Forbidden: may not be specified when setHostnameAsFQDN is true\n"
         "spec.hostnameOverride: Forbidden: may not be specified when hostNetwork is true"},
        {"a hostname override too long",
         {.spec = "hostnameOverride: "
                  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
         "spec.hostnameOverride: Too long: may not be more than 64 bytes"},
        {"an empty hostname override",
         {.spec = "hostnameOverride: ''"},
         "spec.hostnameOverride: Invalid value: \"\": " NOT_A_SUBDOMAIN},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(dns_configuration_is_checked)
{
    static const struct validate_row rows[] = {
        {"None without anything",
         {.spec = "dnsPolicy: None"},
         "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"},
        {"None without a nameserver",
         {.spec = "dnsPolicy: None, dnsConfig: {searches: [a]}"},
         "spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver "
         "when `dnsPolicy` is None"},
        {"too many nameservers",
         {.spec = "dnsConfig: {nameservers: [1.1.1.1, 2.2.2.2, 3.3.3.3, 4.4.4.4]}"},
         "spec.dnsConfig.nameservers: Invalid value: "
         "[\"1.1.1.1\",\"2.2.2.2\",\"3.3.3.3\",\"4.4.4.4\"]: must not have more than 3 "
         "nameservers"},
        {"a nameserver by name",
         {.spec = "dnsConfig: {nameservers: [dns]}"},
         "spec.dnsConfig.nameservers[0]: Invalid value: \"dns\": must be a valid IP address, "
         "(e.g. 10.9.8.7 or 2001:db8::ffff)"},
        {"a search path",
         {.spec = "dnsConfig: {searches: ['A.']}"},
         "spec.dnsConfig.searches[0]: Invalid value: \"A\": a lowercase RFC 1123 subdomain must "
         "consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end "
         "with an alphanumeric character (e.g. 'example.com', regex used for validation is "
         "'_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')"},
        {"an option without a name",
         {.spec = "dnsConfig: {options: [{value: a}]}"},
         "spec.dnsConfig.options[0]: Required value: must not be empty"},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(resource_claims_are_checked)
{
    static const struct validate_row rows[] = {
        {"names",
         {.spec =
              "resourceClaims: [{resourceClaimName: a}, {name: b, resourceClaimName: a}, {name: "
              "b, resourceClaimName: a}, {name: A, resourceClaimName: a}]"},
         "spec.resourceClaims[0].name: Required value\n"
         "spec.resourceClaims[2].name: Duplicate value: \"b\"\n"
         "spec.resourceClaims[3].name: Invalid value: \"A\": " NOT_A_LABEL},
        {"neither source",
         {.spec = "resourceClaims: [{name: b}]"},
         "spec.resourceClaims[0]: Invalid value: {\"name\":\"b\"}: must specify one of: "
         "`resourceClaimName`, `resourceClaimTemplateName`"},
        {"both sources",
         {.spec =
              "resourceClaims: [{name: b, resourceClaimName: c, resourceClaimTemplateName: d}]"},
         "spec.resourceClaims[0]: Invalid value: "
         "{\"name\":\"b\",\"resourceClaimName\":\"c\",\"resourceClaimTemplateName\":\"d\"}: at "
         "most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"},
        {"a claim that is not there",
         {.container = "resources: {claims: [{name: a}]}"},
         "spec.containers[0].resources.claims[0]: Not found: \"a\": must be one of the names in "
         "pod.spec.resourceClaims which is empty"},
        {"a claim that is another",
         {.spec = "resourceClaims: [{name: c, resourceClaimName: x}, {name: b, resourceClaimName: "
                  "x}]",
          .container = "resources: {claims: [{name: a}]}"},
         "spec.containers[0].resources.claims[0]: Not found: \"a\": must be one of the names in "
         "pod.spec.resourceClaims: b, c"},
        {"a claim twice",
         {.spec = "resourceClaims: [{name: c, resourceClaimName: x}]",
          .container = "resources: {claims: [{name: c, request: a}, {name: c}, {name: c, request: "
                       "b}]}"},
         "spec.containers[0].resources.claims[1]: Duplicate value: \"c\"\n"
         "spec.containers[0].resources.claims[2]: Duplicate value: \"c\""},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(errors_beyond_the_cap_are_counted)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *gates = "{conditionType: '-'}";
    for (size_t i = 1; i < FIELD_ERRORS_MAX + 10; i++)
        gates = arena_printf(arena, "%s, {conditionType: '-'}", gates);
    const struct pod_text text = {.spec = arena_printf(arena, "readinessGates: [%s]", gates)};
    Core__Pod *pod = pod_build(&text, arena);
    pod_set_defaults(pod, arena);
    struct field_errors *errors = arena_alloc(arena, sizeof(*errors));
    errors->arena = arena;
    pod_validate_create(pod, errors);
    assert_int_equal(errors->count, FIELD_ERRORS_MAX);
    assert_int_equal(errors->omitted, 10);
    assert_true(text_has_suffix(field_errors_text(errors, arena), ", and 10 more]"));
}

TEST_CASE(errors_become_one_text)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct field_errors *errors = arena_alloc(arena, sizeof(*errors));
    errors->arena = arena;
    assert_null(field_errors_text(errors, arena));
    Core__Pod *pod = pod_build(&(struct pod_text){.metadata = "name: '', namespace: ''"}, arena);
    pod_set_defaults(pod, arena);
    pod_validate_create(pod, errors);
    assert_string_equal(field_errors_text(errors, arena),
                        "invalid pod: [metadata.name: Required value: name or generateName is "
                        "required, metadata.namespace: Required value]");
}

TEST_CASE(values_are_quoted_and_cut)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod = pod_build(&(struct pod_text){.spec = "nodeName: \"a\\\"\\n\\x01b\""}, arena);
    assert_string_equal(validate_text(pod, arena), "spec.nodeName: Invalid value: "
                                                   "\"a\\\"\\n\\x01b\": " NOT_A_SUBDOMAIN);
    char *name = arena_alloc(arena, 1 * MiB);
    memset(name, 'A', 1 * MiB - 1);
    pod->spec->node_name = name;
    assert_true(strlen(validate_text(pod, arena)) < 4 * KiB);
}

TEST_CASE(a_pod_without_parts_is_refused)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct field_errors *errors = arena_alloc(arena, sizeof(*errors));
    errors->arena = arena;
    pod_validate_create(pod_parse("{}", arena), errors);
    assert_int_equal(errors->count, 1);
    assert_string_equal(errors->errors[0].path, "metadata");
}

/* Every pod that a real API server accepted while the golden data was recorded is accepted here. */
TEST_CASE(recorded_pods_pass)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *data = getenv("CUBELET_TEST_DATA");
    assert_non_null(data);
    AUTO(buf) struct buf text;
    buf_init(&text, 1 * MiB);
    assert_no_error(
        fd_read_file_blocking(arena_printf(arena, "%s/recorded/input/pods.yaml", data), &text));
    size_t pods = 0;
    for (char *document = text.data; document;) {
        char *end = strstr(document, "\n---\n");
        if (end)
            *end = '\0';
        if (strstr(document, "kind: Pod\n")) {
            const char *got = validate_text(pod_parse(document, arena), arena);
            if (*got)
                fail_msg("%s\nin: %s", got, document);
            pods++;
        }
        document = end ? end + strlen("\n---\n") : NULL;
    }
    assert_in_range(pods, 15, 100);
}

TEST_MAIN(TEST(good_pods_pass), TEST(metadata_is_checked), TEST(annotations_have_a_total_size),
          TEST(fields_of_the_spec_are_checked), TEST(host_namespaces_are_checked),
          TEST(dns_configuration_is_checked), TEST(resource_claims_are_checked),
          TEST(errors_beyond_the_cap_are_counted), TEST(errors_become_one_text),
          TEST(values_are_quoted_and_cut), TEST(a_pod_without_parts_is_refused),
          TEST(recorded_pods_pass))
