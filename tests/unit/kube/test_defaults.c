#include "kube/defaults.h"
#include "kube/validate.h"
#include "tests/unit/kube/pod_yaml.h"

/* Defaults @pod and returns its JSON, in @arena. */
static const char *defaulted_json(Core__Pod *pod, struct arena *arena)
{
    AUTO(buf) struct buf json;
    buf_init(&json, 64 * KiB);
    pod_set_defaults(pod, arena);
    kube_encode_json(&pod->base, NULL, &json);
    assert_false(json.overflowed);
    return arena_strdup(arena, buf_text(&json));
}

TEST_CASE(a_minimal_pod_gets_what_the_api_server_would_store)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod = pod_parse("metadata: {name: web}\n"
                               "spec: {containers: [{name: c, image: busybox}]}\n",
                               arena);
    Core__Pod *want =
        pod_parse("metadata: {name: web}\n"
                  "spec:\n"
                  "  containers:\n"
                  "  - {name: c, image: busybox, terminationMessagePath: /dev/termination-log,\n"
                  "     terminationMessagePolicy: File, imagePullPolicy: Always}\n"
                  "  restartPolicy: Always\n"
                  "  terminationGracePeriodSeconds: 30\n"
                  "  dnsPolicy: ClusterFirst\n"
                  "  securityContext: {}\n"
                  "  schedulerName: default-scheduler\n"
                  "  enableServiceLinks: true\n",
                  arena);
    pod_set_defaults(pod, arena);
    assert_true(kube_message_eq(&pod->base, &want->base));
}

TEST_CASE(defaulting_twice_changes_nothing_more)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct pod_text text = {
        .spec =
            "hostNetwork: true, serviceAccount: robot, overhead: {cpu: '0.1'}, volumes: [{name: "
            "v}, {name: t, projected: {sources: [{serviceAccountToken: {path: t}}]}}], "
            "resources: {limits: {cpu: 2, memory: 1Gi}}",
        .container = "ports: [{containerPort: 80}], resources: {limits: {cpu: '0.5'}}, "
                     "livenessProbe: {grpc: {port: 1}}, env: [{name: A, valueFrom: {fieldRef: "
                     "{fieldPath: metadata.name}}}]"};
    Core__Pod *pod = pod_build(&text, arena);
    const char *once = defaulted_json(pod, arena);
    assert_string_equal(defaulted_json(pod, arena), once);
}

TEST_CASE(a_pod_without_anything_gets_its_parts)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod = pod_parse("{}", arena);
    pod_set_defaults(pod, arena);
    assert_non_null(pod->metadata);
    assert_non_null(pod->spec);
    assert_non_null(pod->spec->security_context);
}

TEST_CASE(the_pull_policy_follows_the_tag)
{
    static const struct {
        const char *image, *want;
    } rows[] = {
        {"busybox", "Always"},
        {"busybox:latest", "Always"},
        {"busybox:1.36", "IfNotPresent"},
        {"docker.io/library/busybox", "Always"},
        {"localhost:5000/busybox", "Always"},
        {"localhost:5000/busybox:1", "IfNotPresent"},
        {"registry.k8s.io/a/b__c-d.e:v1", "IfNotPresent"},
        {"busybox@sha256:0123456789012345678901234567890123456789012345678901234567890123",
         "IfNotPresent"},
        {"busybox:latest@sha256:0123456789012345678901234567890123456789012345678901234567890123",
         "Always"},
        {"Busybox", "IfNotPresent"},
        {"Example.com/busybox", "Always"},
        {"a//b", "IfNotPresent"},
        {"a..b", "IfNotPresent"},
        {"a___b", "IfNotPresent"},
        {"a---b", "Always"},
        {"-a", "IfNotPresent"},
        {"a-", "IfNotPresent"},
        {"busybox/", "IfNotPresent"},
        {"", "IfNotPresent"},
        {":latest", "IfNotPresent"},
        {"@", "IfNotPresent"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *got = image_default_pull_policy(rows[i].image);
        if (!text_eq(got, rows[i].want))
            fail_msg("%s: got %s", rows[i].image, got);
    }
    assert_string_equal(image_default_pull_policy(NULL), "IfNotPresent");
}

/* Each row: a container's fields before, and as they must be after; the common defaults are added
 * to both. */
TEST_CASE(container_fields_are_filled)
{
    static const struct {
        const char *name, *before, *after;
    } rows[] = {
        {"liveness over http", "livenessProbe: {httpGet: {port: 80}}",
         "livenessProbe: {httpGet: {path: /, port: 80, scheme: HTTP}, timeoutSeconds: 1, "
         "periodSeconds: 10, successThreshold: 1, failureThreshold: 3}"},
        {"readiness keeps its numbers",
         "readinessProbe: {exec: {command: [a]}, timeoutSeconds: 5, failureThreshold: 0}",
         "readinessProbe: {exec: {command: [a]}, timeoutSeconds: 5, periodSeconds: 10, "
         "successThreshold: 1, failureThreshold: 3}"},
        {"startup over grpc", "startupProbe: {grpc: {port: 80}}",
         "startupProbe: {grpc: {port: 80, service: ''}, timeoutSeconds: 1, periodSeconds: 10, "
         "successThreshold: 1, failureThreshold: 3}"},
        {"hooks over http",
         "lifecycle: {postStart: {httpGet: {port: 1}}, preStop: {httpGet: {port: 2, path: /x}}}",
         "lifecycle: {postStart: {httpGet: {port: 1, path: /, scheme: HTTP}}, preStop: {httpGet: "
         "{port: 2, path: /x, scheme: HTTP}}}"},
        {"ports", "ports: [{containerPort: 80}, {containerPort: 53, protocol: UDP}]",
         "ports: [{containerPort: 80, protocol: TCP}, {containerPort: 53, protocol: UDP}]"},
        {"field references",
         "env: [{name: A, valueFrom: {fieldRef: {fieldPath: status.podIP}}}, {name: B, value: x}]",
         "env: [{name: A, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: status.podIP}}}, "
         "{name: B, value: x}]"},
        {"requests from limits",
         "resources: {limits: {cpu: 1, memory: 2Gi}, requests: {cpu: 500m}}",
         "resources: {limits: {cpu: 1, memory: 2Gi}, requests: {cpu: 500m, memory: 2Gi}}"},
        {"canonical quantities",
         "resources: {limits: {cpu: '0.5', memory: 1024Mi}, requests: {cpu: '0.0001', memory: "
         "'1000000'}}",
         "resources: {limits: {cpu: 500m, memory: 1Gi}, requests: {cpu: 1m, memory: 1M}}"},
        {"given policies stay", "stdin: true", "stdin: true"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct pod_text before = {.container = rows[i].before};
        const struct pod_text after = {
            .container = arena_printf(arena,
                                      "terminationMessagePath: /dev/termination-log, "
                                      "terminationMessagePolicy: File, imagePullPolicy: Always, %s",
                                      rows[i].after)};
        Core__Pod *pod = pod_build(&before, arena), *want = pod_build(&after, arena);
        pod_set_defaults(pod, arena);
        AUTO(buf) struct buf got;
        buf_init(&got, 64 * KiB);
        kube_encode_json(&pod->spec->containers[0]->base, NULL, &got);
        if (!kube_message_eq(&pod->spec->containers[0]->base, &want->spec->containers[0]->base))
            fail_msg("%s: got %s", rows[i].name, buf_text(&got));
    }
}

/* The text codecs refuse it; a message from elsewhere may hold it. */
TEST_CASE(a_quantity_that_is_none_stays_for_validation)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod =
        pod_build(&(struct pod_text){.container = "resources: {requests: {cpu: 1}}"}, arena);
    Meta__Quantity *cpu = pod->spec->containers[0]->resources->requests[0]->value;
    cpu->string = arena_strdup(arena, "lots");
    pod_set_defaults(pod, arena);
    assert_string_equal(cpu->string, "lots");
}

TEST_CASE(volumes_are_filled)
{
    static const struct {
        const char *name, *before, *after;
    } rows[] = {
        {"no source", "{name: v}", "{name: v, emptyDir: {}}"},
        {"an emptyDir", "{name: v, emptyDir: {sizeLimit: 1024Mi}}",
         "{name: v, emptyDir: {sizeLimit: 1Gi}}"},
        {"a host path", "{name: v, hostPath: {path: /a}}",
         "{name: v, hostPath: {path: /a, type: ''}}"},
        {"a secret", "{name: v, secret: {secretName: s}}",
         "{name: v, secret: {secretName: s, defaultMode: 420}}"},
        {"a config map with a mode", "{name: v, configMap: {name: s, defaultMode: 0}}",
         "{name: v, configMap: {name: s, defaultMode: 0}}"},
        {"the downward API",
         "{name: v, downwardAPI: {items: [{path: a, fieldRef: {fieldPath: metadata.name}}]}}",
         "{name: v, downwardAPI: {defaultMode: 420, items: [{path: a, fieldRef: {apiVersion: v1, "
         "fieldPath: metadata.name}}]}}"},
        {"a projection",
         "{name: v, projected: {sources: [{serviceAccountToken: {path: t}}, {downwardAPI: {items: "
         "[{path: a, fieldRef: {fieldPath: metadata.name}}]}}]}}",
         "{name: v, projected: {defaultMode: 420, sources: [{serviceAccountToken: {path: t, "
         "expirationSeconds: 3600}}, {downwardAPI: {items: [{path: a, fieldRef: {apiVersion: v1, "
         "fieldPath: metadata.name}}]}}]}}"},
        {"an image", "{name: v, image: {reference: 'a:1'}}",
         "{name: v, image: {reference: 'a:1', pullPolicy: IfNotPresent}}"},
        {"iscsi", "{name: v, iscsi: {iqn: x}}",
         "{name: v, iscsi: {iqn: x, iscsiInterface: default}}"},
        {"rbd", "{name: v, rbd: {image: x, user: me}}",
         "{name: v, rbd: {image: x, user: me, pool: rbd, keyring: /etc/ceph/keyring}}"},
        {"an azure disk", "{name: v, azureDisk: {diskName: d}}",
         "{name: v, azureDisk: {diskName: d, cachingMode: ReadWrite, kind: Shared, fsType: ext4, "
         "readOnly: false}}"},
        {"scaleIO", "{name: v, scaleIO: {gateway: g}}",
         "{name: v, scaleIO: {gateway: g, storageMode: ThinProvisioned, fsType: xfs}}"},
        {"an ephemeral claim", "{name: v, ephemeral: {volumeClaimTemplate: {spec: {}}}}",
         "{name: v, ephemeral: {volumeClaimTemplate: {spec: {volumeMode: Filesystem}}}}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        Core__Pod *pod =
            pod_parse(arena_printf(arena, "spec: {volumes: [%s]}", rows[i].before), arena);
        Core__Pod *want =
            pod_parse(arena_printf(arena, "spec: {volumes: [%s]}", rows[i].after), arena);
        pod_set_defaults(pod, arena);
        AUTO(buf) struct buf got;
        buf_init(&got, 64 * KiB);
        kube_encode_json(&pod->spec->volumes[0]->base, NULL, &got);
        if (!kube_message_eq(&pod->spec->volumes[0]->base, &want->spec->volumes[0]->base))
            fail_msg("%s: got %s", rows[i].name, buf_text(&got));
    }
}

TEST_CASE(host_network_takes_container_ports_as_host_ports)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod = pod_parse("spec: {hostNetwork: true, containers: [{name: a, ports: "
                               "[{containerPort: 80}, {containerPort: 81, hostPort: 8081}]}], "
                               "initContainers: [{name: i, ports: [{containerPort: 90}]}]}",
                               arena);
    pod_set_defaults(pod, arena);
    assert_int_equal(pod->spec->containers[0]->ports[0]->host_port, 80);
    assert_int_equal(pod->spec->containers[0]->ports[1]->host_port, 8081);
    assert_int_equal(pod->spec->init_containers[0]->ports[0]->host_port, 90);
}

TEST_CASE(the_pod_level_is_filled_from_containers_then_from_its_limits)
{
    static const struct {
        const char *name, *spec, *want;
    } rows[] = {
        {"requests from containers",
         "resources: {limits: {cpu: 4, memory: 4Gi}}, containers: [{name: a, resources: {requests: "
         "{cpu: 1}}}, {name: b, resources: {requests: {cpu: 500m}}}]",
         "{\"limits\":{\"cpu\":\"4\",\"memory\":\"4Gi\"},\"requests\":{\"cpu\":\"1500m\","
         "\"memory\":\"4Gi\"}}"},
        {"given requests stay",
         "resources: {limits: {cpu: 4}, requests: {cpu: 3}}, containers: [{name: a, resources: "
         "{requests: {cpu: 1, memory: 1Gi}}}]",
         "{\"limits\":{\"cpu\":\"4\"},\"requests\":{\"cpu\":\"3\",\"memory\":\"1Gi\"}}"},
        {"no limits, no requests",
         "resources: {requests: {cpu: 3}}, containers: [{name: a, resources: {requests: {memory: "
         "1Gi}}}]",
         "{\"requests\":{\"cpu\":\"3\"}}"},
        {"hugepages become a limit",
         "resources: {requests: {cpu: 3}}, containers: [{name: a, resources: {limits: "
         "{hugepages-2Mi: 4Mi}}}, {name: b, resources: {limits: {hugepages-2Mi: 2Mi}}}]",
         "{\"limits\":{\"hugepages-2Mi\":\"6Mi\"},\"requests\":{\"cpu\":\"3\",\"hugepages-2Mi\":"
         "\"6Mi\"}}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        Core__Pod *pod = pod_parse(arena_printf(arena, "spec: {%s}", rows[i].spec), arena);
        pod_set_defaults(pod, arena);
        AUTO(buf) struct buf got;
        buf_init(&got, 64 * KiB);
        kube_encode_json(&pod->spec->resources->base, NULL, &got);
        if (!text_eq(buf_text(&got), rows[i].want))
            fail_msg("%s: got %s", rows[i].name, buf_text(&got));
    }
}

TEST_CASE(service_account_is_an_alias)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod = pod_parse("spec: {serviceAccount: robot}", arena);
    pod_set_defaults(pod, arena);
    assert_string_equal(pod->spec->service_account_name, "robot");
    pod = pod_parse("spec: {serviceAccount: robot, serviceAccountName: human}", arena);
    pod_set_defaults(pod, arena);
    assert_string_equal(pod->spec->service_account, "human");
}

TEST_CASE(ephemeral_containers_are_filled_too)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod = pod_parse("spec: {ephemeralContainers: [{name: d, image: 'a:1', resources: "
                               "{limits: {cpu: 1}}}]}",
                               arena);
    pod_set_defaults(pod, arena);
    const Core__EphemeralContainerCommon *common =
        pod->spec->ephemeral_containers[0]->ephemeral_container_common;
    assert_string_equal(common->image_pull_policy, "IfNotPresent");
    assert_string_equal(common->termination_message_path, "/dev/termination-log");
    assert_int_equal(common->resources->n_requests, 0);
}

TEST_MAIN(TEST(a_minimal_pod_gets_what_the_api_server_would_store),
          TEST(defaulting_twice_changes_nothing_more), TEST(a_pod_without_anything_gets_its_parts),
          TEST(the_pull_policy_follows_the_tag), TEST(container_fields_are_filled),
          TEST(a_quantity_that_is_none_stays_for_validation), TEST(volumes_are_filled),
          TEST(host_network_takes_container_ports_as_host_ports),
          TEST(the_pod_level_is_filled_from_containers_then_from_its_limits),
          TEST(service_account_is_an_alias), TEST(ephemeral_containers_are_filled_too))
