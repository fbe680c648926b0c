#include "tests/unit/kube/validate_rows.h"

#define C0 "spec.containers[0]."
#define I0 "spec.initContainers[0]."

TEST_CASE(good_containers_pass)
{
    static const struct validate_row rows[] = {
        {"everything",
         {.spec = "volumes: [{name: v}, {name: p, persistentVolumeClaim: {claimName: c}}]",
          .container =
              "ports: [{name: http, containerPort: 80, hostPort: 8080}, {containerPort: 80, "
              "protocol: "
              "UDP, hostPort: 8080}], env: [{name: A, value: b}, {name: ' x', valueFrom: "
              "{fieldRef: "
              "{fieldPath: \"metadata.labels['app']\"}}}, {name: R, valueFrom: {resourceFieldRef: "
              "{resource: limits.cpu, divisor: 1m}}}], envFrom: [{prefix: P_, configMapRef: {name: "
              "c}}], volumeMounts: [{name: v, mountPath: /a, subPath: b/c}, {name: v, mountPath: "
              "/ro, readOnly: true, recursiveReadOnly: Enabled, mountPropagation: None}], "
              "volumeDevices: [{name: p, devicePath: /dev/x}], lifecycle: {preStop: {sleep: "
              "{seconds: 5}}}, livenessProbe: {httpGet: {port: http, httpHeaders: [{name: X-A, "
              "value: b}]}}, readinessProbe: {tcpSocket: {port: 80}, successThreshold: 2}, "
              "startupProbe: {grpc: {port: 80}, terminationGracePeriodSeconds: 1}, restartPolicy: "
              "Never, restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: "
              "[1]}}], resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}]"},
         NULL},
        {"a sidecar with a probe",
         {.spec = "initContainers: [{name: s, image: a, restartPolicy: Always, livenessProbe: "
                  "{exec: {command: [a]}}, lifecycle: {preStop: {exec: {command: [b]}}}}]"},
         NULL},
        {"an init container that may fail",
         {.spec = "initContainers: [{name: s, image: a, restartPolicy: OnFailure}]"},
         NULL},
        {"a privileged mount",
         {.spec = "volumes: [{name: v}]",
          .container = "securityContext: {privileged: true}, volumeMounts: [{name: v, mountPath: "
                       "/a, mountPropagation: Bidirectional}]"},
         NULL},
        {"a colon in a mount path", /* upstream lets it pass */
         {.spec = "volumes: [{name: v}]",
          .container = "volumeMounts: [{name: v, mountPath: '/a:b'}]"},
         NULL},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(names_and_images_are_checked)
{
    static const struct validate_row rows[] = {
        {"no containers", {.containers = "[]"}, "spec.containers: Required value"},
        {"no name", {.containers = "[{image: a}]"}, C0 "name: Required value"},
        {"a bad name",
         {.containers = "[{name: A, image: a}]"},
         C0 "name: Invalid value: \"A\": " NOT_A_LABEL},
        {"no image", {.containers = "[{name: a}]"}, C0 "image: Required value"},
        {"an image in blanks",
         {.containers = "[{name: a, image: ' a'}]"},
         C0 "image: Invalid value: \" a\": must not have leading or trailing whitespace"},
        {"twins",
         {.containers = "[{name: a, image: a}, {name: a, image: a}]"},
         "spec.containers[1].name: Duplicate value: \"a\""},
        {"an init container named as another",
         {.spec = "initContainers: [{name: c, image: a}]"},
         I0 "name: Duplicate value: \"c\""},
        {"a pull policy",
         {.container = "imagePullPolicy: Maybe"},
         C0 "imagePullPolicy: Unsupported value: \"Maybe\": supported values: \"Always\", "
            "\"IfNotPresent\", \"Never\""},
        {"a message policy",
         {.container = "terminationMessagePolicy: Maybe"},
         C0 "terminationMessagePolicy: Unsupported value: \"Maybe\": supported values: \"File\", "
            "\"FallbackToLogsOnError\""},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(ports_are_checked)
{
    static const struct validate_row rows[] = {
        {"no number",
         {.container = "ports: [{name: a}]"},
         C0 "ports[0].containerPort: Required value"},
        {"a number too large",
         {.container = "ports: [{containerPort: 1}, {containerPort: 70000, hostPort: -1}]"},
         C0
         "ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive\n" C0
         "ports[1].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive"},
        {"a name",
         {.container = "ports: [{name: Http, containerPort: 1}]"},
         C0 "ports[0].name: Invalid value: \"Http\": must contain only alpha-numeric characters "
            "(a-z, 0-9), and hyphens (-)"},
        {"a name twice",
         {.container = "ports: [{name: a, containerPort: 1}, {name: a, containerPort: 2}]"},
         C0 "ports[1].name: Duplicate value: \"a\""},
        {"a protocol",
         {.container = "ports: [{containerPort: 1, protocol: tcp}]"},
         C0 "ports[0].protocol: Unsupported value: \"tcp\": supported values: \"SCTP\", \"TCP\", "
            "\"UDP\""},
        {"a host port twice",
         {.containers = "[{name: a, image: a, ports: [{containerPort: 1, hostPort: 5}]}, {name: b, "
                        "image: a, ports: [{containerPort: 2, hostPort: 5}, {containerPort: 3, "
                        "hostPort: 5, hostIP: 127.0.0.1}]}]"},
         "spec.containers[1].ports[0].hostPort: Duplicate value: \"TCP//5\""},
        {"a host port twice in one init container",
         {.spec = "initContainers: [{name: i, image: a, ports: [{containerPort: 1, hostPort: 5}, "
                  "{containerPort: 2, hostPort: 5}]}, {name: j, image: a, ports: [{containerPort: "
                  "1, hostPort: 5}]}]"},
         I0 "ports[1].hostPort: Duplicate value: \"TCP//5\""},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(environment_is_checked)
{
    static const struct validate_row rows[] = {
        {"no name", {.container = "env: [{value: a}]"}, C0 "env[0].name: Required value"},
        {"an equals sign",
         {.container = "env: [{name: a=b}]"},
         C0 "env[0].name: Invalid value: \"a=b\": a valid environment variable name must consist "
            "only of printable ASCII characters other than '='"},
        {"a value from nowhere",
         {.container = "env: [{name: a, valueFrom: {}}]"},
         C0 "env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, "
            "`resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"},
        {"two values",
         {.container = "env: [{name: a, value: b, valueFrom: {fieldRef: {fieldPath: "
                       "metadata.name}}}]"},
         C0
         "env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty"},
        {"two sources",
         {.container = "env: [{name: a, valueFrom: {fieldRef: {fieldPath: metadata.name}, "
                       "secretKeyRef: {name: s, key: k}}}]"},
         C0 "env[0].valueFrom: Invalid value: \"\": may not have more than one field specified at "
            "a time"},
        {"an unknown field",
         {.container = "env: [{name: a, valueFrom: {fieldRef: {fieldPath: metadata.foo}}}]"},
         C0
         "env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"metadata.foo\": error converting "
         "fieldPath: field label not supported: metadata.foo"},
        {"a field that env cannot hold",
         {.container = "env: [{name: a, valueFrom: {fieldRef: {fieldPath: metadata.labels}}}]"},
         C0
         "env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"metadata.labels\": supported "
         "values: \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", "
         "\"spec.nodeName\", \"spec.serviceAccountName\", \"status.hostIP\", "
         "\"status.hostIPs\", \"status.podIP\", \"status.podIPs\""},
        {"a subscript where there is none",
         {.container =
              "env: [{name: a, valueFrom: {fieldRef: {fieldPath: \"metadata.name['a']\"}}}]"},
         C0 "env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"metadata.name['a']\": error "
            "converting fieldPath: field label does not support subscript: metadata.name['a']"},
        {"a subscript that is no key",
         {.container = "env: [{name: a, valueFrom: {fieldRef: {fieldPath: "
                       "\"metadata.labels['a b']\"}}}]"},
         C0 "env[0].valueFrom.fieldRef: Invalid value: \"a b\": " NOT_A_KEY_NAME},
        {"an API version",
         {.container = "env: [{name: a, valueFrom: {fieldRef: {apiVersion: v2, fieldPath: "
                       "metadata.name}}}]"},
         C0 "env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"metadata.name\": error "
            "converting fieldPath: unsupported pod version: v2"},
        {"an unknown resource",
         {.container = "env: [{name: a, valueFrom: {resourceFieldRef: {resource: limits.gpu}}}]"},
         C0 "env[0].valueFrom.resourceFieldRef.resource: Unsupported value: \"limits.gpu\": "
            "supported values: \"limits.cpu\", \"limits.ephemeral-storage\", \"limits.memory\", "
            "\"requests.cpu\", \"requests.ephemeral-storage\", \"requests.memory\""},
        {"a divisor",
         {.container = "env: [{name: a, valueFrom: {resourceFieldRef: {resource: limits.cpu, "
                       "divisor: 2}}}]"},
         C0 "env[0].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.cpu\": only "
            "divisor's values 1m and 1 are supported with the cpu resource"},
        {"a divisor of bytes",
         {.container = "env: [{name: a, valueFrom: {resourceFieldRef: {resource: requests.memory, "
                       "divisor: 2Mi}}}]"},
         C0 "env[0].valueFrom.resourceFieldRef.divisor: Invalid value: \"requests.memory\": only "
            "divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are "
            "supported with the memory resource"},
        {"a key without a name",
         {.container = "env: [{name: a, valueFrom: {configMapKeyRef: {key: ..}}}]"},
         C0 "env[0].valueFrom.configMapKeyRef.name: Invalid value: \"\": " NOT_A_SUBDOMAIN "\n" C0
            "env[0].valueFrom.configMapKeyRef.key: Invalid value: \"..\": must not be '..'"},
        {"a file in a volume that is no emptyDir",
         {.spec = "volumes: [{name: v, hostPath: {path: /a}}]",
          .container = "env: [{name: a, valueFrom: {fileKeyRef: {volumeName: v, path: ../a, key: "
                       "k}}}, {name: b, valueFrom: {fileKeyRef: {volumeName: w, path: a, key: "
                       "k}}}]"},
         C0 "env[0].valueFrom.fileKeyRef.path: Invalid value: \"../a\": must not contain '..'\n" C0
            "env[0].valueFrom.fileKeyRef.volumeName: Invalid value: \"v\": referenced volume must "
            "be of type emptyDir\n" C0 "env[1].valueFrom.fileKeyRef.volumeName: Not found: \"w\""},
        {"an empty source",
         {.container = "envFrom: [{prefix: 'a='}]"},
         C0 "envFrom[0].prefix: Invalid value: \"a=\": a valid environment variable name must "
            "consist only of printable ASCII characters other than '='\n" C0
            "envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`"},
        {"two sources of many",
         {.container = "envFrom: [{configMapRef: {}, secretRef: {name: a}}]"},
         C0 "envFrom[0].configMapRef.name: Required value\n" C0
            "envFrom: Invalid value: \"\": may not have more than one field specified at a time"},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

#define WITH_VOLUME(mount)                                                                         \
    {                                                                                              \
        .spec = "volumes: [{name: v}]", .container = "volumeMounts: [" mount "]"                   \
    }
TEST_CASE(mounts_are_checked)
{
    static const struct validate_row rows[] = {
        {"no volume",
         {.container = "volumeMounts: [{name: x, mountPath: /a}]"},
         C0 "volumeMounts[0].name: Not found: \"x\""},
        {"no name", WITH_VOLUME("{mountPath: /a}"),
         C0 "volumeMounts[0].name: Required value\n" C0 "volumeMounts[0].name: Not found: \"\""},
        {"no path", WITH_VOLUME("{name: v}"), C0 "volumeMounts[0].mountPath: Required value"},
        {"a path twice", WITH_VOLUME("{name: v, mountPath: /a}, {name: v, mountPath: /a}"),
         C0 "volumeMounts[1].mountPath: Invalid value: \"/a\": must be unique"},
        {"a sub-path from the root", WITH_VOLUME("{name: v, mountPath: /a, subPath: /b}"),
         C0 "volumeMounts.subPath: Invalid value: \"/b\": must be a relative path"},
        {"a sub-path upwards", WITH_VOLUME("{name: v, mountPath: /a, subPath: b/../c}"),
         C0 "volumeMounts.subPath: Invalid value: \"b/../c\": must not contain '..'"},
        {"two sub-paths", WITH_VOLUME("{name: v, mountPath: /a, subPath: b, subPathExpr: ../$(C)}"),
         C0 "volumeMounts[0].subPathExpr: Invalid value: \"../$(C)\": subPathExpr and subPath are "
            "mutually exclusive\n" C0
            "volumeMounts.subPathExpr: Invalid value: \"../$(C)\": must not contain '..'"},
        {"an unknown propagation", WITH_VOLUME("{name: v, mountPath: /a, mountPropagation: Both}"),
         C0 "volumeMounts.mountPropagation: Unsupported value: \"Both\": supported values: "
            "\"Bidirectional\", \"HostToContainer\", \"None\""},
        {"a propagation that needs privilege",
         WITH_VOLUME("{name: v, mountPath: /a, mountPropagation: Bidirectional}"),
         C0 "volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is "
            "available only to privileged containers"},
        {"recursively read-only but not read-only",
         WITH_VOLUME("{name: v, mountPath: /a, recursiveReadOnly: IfPossible, mountPropagation: "
                     "HostToContainer}"),
         C0 "volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is "
            "true\n" C0 "volumeMounts.recursiveReadOnly: Forbidden: may only be specified when "
            "mountPropagation is None or not specified"},
        {"an unknown recursion", WITH_VOLUME("{name: v, mountPath: /a, recursiveReadOnly: Always}"),
         C0 "volumeMounts.recursiveReadOnly: Unsupported value: \"Always\": supported values: "
            "\"Disabled\", \"Enabled\", \"IfPossible\""},
        {"a device of a directory",
         {.spec = "volumes: [{name: v}]",
          .container = "volumeDevices: [{name: v, devicePath: /a}]"},
         C0 "volumeDevices[0].name: Invalid value: \"v\": can only use volume source type of "
            "PersistentVolumeClaim or Ephemeral for block mode"},
        {"a device of nothing, upwards",
         {.container = "volumeDevices: [{name: w, devicePath: /a/../b}, {}]"},
         C0 "volumeDevices[0].name: Not found: \"w\"\n" C0
            "volumeDevices[0].devicePath: Invalid value: \"/a/../b\": can not contain backsteps "
            "('..')\n" C0 "volumeDevices[1].name: Required value\n" C0
            "volumeDevices[1].name: Not found: \"\"\n" C0
            "volumeDevices[1].devicePath: Required value"},
        {"a claim as device and directory",
         {.spec = "volumes: [{name: p, persistentVolumeClaim: {claimName: c}}]",
          .container = "volumeDevices: [{name: p, devicePath: /a}], volumeMounts: [{name: p, "
                       "mountPath: /a}]"},
         C0
         "volumeMounts[0].name: Invalid value: \"p\": must not already exist in volumeDevices\n" C0
         "volumeMounts[0].mountPath: Invalid value: \"/a\": must not already exist as a path in "
         "volumeDevices\n" C0
         "volumeDevices[0].name: Invalid value: \"p\": must not already exist in volumeMounts\n" C0
         "volumeDevices[0].devicePath: Invalid value: \"/a\": must not already exist as a path "
         "in volumeMounts"},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(probes_and_hooks_are_checked)
{
    static const struct validate_row rows[] = {
        {"no handler",
         {.container = "livenessProbe: {}"},
         C0 "livenessProbe: Required value: must specify a handler type"},
        {"two handlers",
         {.container = "readinessProbe: {exec: {command: [a]}, tcpSocket: {port: 1}}"},
         C0 "readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type"},
        {"an empty command",
         {.container = "startupProbe: {exec: {}}"},
         C0 "startupProbe.exec.command: Required value"},
        {"a port of nothing",
         {.container = "livenessProbe: {httpGet: {}}"},
         C0 "livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive"},
        {"a port by a bad name",
         {.container = "livenessProbe: {tcpSocket: {port: a_b}}"},
         C0 "livenessProbe.tcpSocket.port: Invalid value: \"a_b\": must contain only alpha-numeric "
            "characters (a-z, 0-9), and hyphens (-)"},
        {"a gRPC port",
         {.container = "livenessProbe: {grpc: {port: 65536}}"},
         C0
         "livenessProbe.grpc.port: Invalid value: 65536: must be between 1 and 65535, inclusive"},
        {"a scheme and a header",
         {.container = "livenessProbe: {httpGet: {port: 1, scheme: FTP, httpHeaders: [{name: 'X "
                       "Y'}]}}"},
         C0 "livenessProbe.httpGet.scheme: Unsupported value: \"FTP\": supported values: \"HTTP\", "
            "\"HTTPS\"\n" C0
            "livenessProbe.httpGet.httpHeaders: Invalid value: \"X Y\": a valid HTTP header must "
            "consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for "
            "validation is '[-A-Za-z0-9]+')"},
        {"more than one success of liveness",
         {.container = "livenessProbe: {tcpSocket: {port: 1}, successThreshold: 2}"},
         C0 "livenessProbe.successThreshold: Invalid value: 2: must be 1"},
        {"negative numbers",
         {.container = "readinessProbe: {tcpSocket: {port: 1}, initialDelaySeconds: -1, "
                       "timeoutSeconds: -1, periodSeconds: -1, successThreshold: -1, "
                       "failureThreshold: -1}"},
         C0
         "readinessProbe.initialDelaySeconds: Invalid value: -1: must be greater than or equal "
         "to 0\n" C0
         "readinessProbe.timeoutSeconds: Invalid value: -1: must be greater than or equal to 0\n" C0
         "readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0\n" C0
         "readinessProbe.successThreshold: Invalid value: -1: must be greater than or equal to "
         "0\n" C0
         "readinessProbe.failureThreshold: Invalid value: -1: must be greater than or equal to 0"},
        {"a grace period of nothing",
         {.container = "livenessProbe: {tcpSocket: {port: 1}, terminationGracePeriodSeconds: 0}"},
         C0
         "livenessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0"},
        {"a grace period of readiness",
         {.container = "readinessProbe: {tcpSocket: {port: 1}, terminationGracePeriodSeconds: 5}"},
         C0 "readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for "
            "readinessProbes"},
        {"a hook of nothing",
         {.container = "lifecycle: {postStart: {}}"},
         C0 "lifecycle.postStart: Required value: must specify a handler type"},
        {"a sleep beyond the grace period",
         {.container = "lifecycle: {preStop: {sleep: {seconds: 31}}}"},
         C0 "lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than "
            "terminationGracePeriodSeconds (30)"},
        {"a stop signal without an operating system",
         {.container = "lifecycle: {stopSignal: SIGUSR1}"},
         C0 "lifecycle.stopSignal: Forbidden: may not be set for containers with empty "
            "`spec.os.name`"},
        {"hooks and probes of an init container",
         {.spec = "initContainers: [{name: i, image: a, lifecycle: {}, livenessProbe: {}, "
                  "readinessProbe: {}, startupProbe: {}}]"},
         I0 "lifecycle: Forbidden: may not be set for init containers without "
            "restartPolicy=Always\n" I0
            "livenessProbe: Forbidden: may not be set for init containers without "
            "restartPolicy=Always\n" I0
            "readinessProbe: Forbidden: may not be set for init containers without "
            "restartPolicy=Always\n" I0
            "startupProbe: Forbidden: may not be set for init containers without "
            "restartPolicy=Always"},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(restart_rules_are_checked)
{
    static const struct validate_row rows[] = {
        {"a policy",
         {.container = "restartPolicy: Sometimes"},
         C0 "restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", "
            "\"Never\", \"OnFailure\""},
        {"rules without a policy",
         {.container = "restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: "
                       "[1]}}]"},
         C0
         "restartPolicy: Required value: must specify restartPolicy when restart rules are used"},
        {"a rule",
         {.container = "restartPolicy: Never, restartPolicyRules: [{action: Reboot, exitCodes: "
                       "{operator: Is}}, {action: RestartAllContainers}]"},
         C0 "restartPolicyRules[0].action: Unsupported value: \"Reboot\": supported values: "
            "\"Restart\", \"RestartAllContainers\"\n" C0
            "restartPolicyRules[0].exitCodes.operator: Unsupported value: \"Is\": supported "
            "values: \"In\", \"NotIn\"\n" C0
            "restartPolicyRules[1].exitCodes: Required value: must be specified"},
        {"resize policies",
         {.spec = "restartPolicy: Never",
          .container = "resizePolicy: [{resourceName: cpu, restartPolicy: RestartContainer}, "
                       "{resourceName: cpu, restartPolicy: NotRequired}, {resourceName: gpu, "
                       "restartPolicy: NotRequired}]"},
         C0 "resizePolicy: Invalid value: \"RestartContainer\": must be 'NotRequired' when pod "
            "`restartPolicy` is 'Never'\n" C0 "resizePolicy[1]: Duplicate value: \"cpu\"\n" C0
            "resizePolicy: Unsupported value: \"gpu\": supported values: \"cpu\", \"memory\""},
        {"a resize policy of an init container",
         {.spec = "initContainers: [{name: i, image: a, resizePolicy: [{resourceName: cpu, "
                  "restartPolicy: RestartContainer}]}]"},
         I0
         "resizePolicy[0].restartPolicy: Invalid value: \"RestartContainer\": must not be set to "
         "'RestartContainer' for non-sidecar initContainers"},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(restart_rules_have_a_number)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *rule = "{action: Restart, exitCodes: {operator: In, values: [1]}}";
    const char *rules = rule;
    for (size_t i = 1; i < 21; i++)
        rules = arena_printf(arena, "%s, %s", rules, rule);
    const struct pod_text text = {
        .container = arena_printf(arena, "restartPolicy: Never, restartPolicyRules: [%s]", rules)};
    assert_string_equal(validate_text(pod_build(&text, arena), arena),
                        C0 "restartPolicyRules: Too many: 21: must have at most 20 items");
}

TEST_MAIN(TEST(good_containers_pass), TEST(names_and_images_are_checked), TEST(ports_are_checked),
          TEST(environment_is_checked), TEST(mounts_are_checked),
          TEST(probes_and_hooks_are_checked), TEST(restart_rules_are_checked),
          TEST(restart_rules_have_a_number))
