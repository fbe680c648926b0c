#include "tests/unit/kube/validate_rows.h"

#define C0 "spec.containers[0]."
#define PS "spec.securityContext."
#define CS C0 "securityContext."
#define POD(fields)                                                                                \
    {                                                                                              \
        .spec = "securityContext: {" fields "}"                                                    \
    }
#define CONTAINER(fields)                                                                          \
    {                                                                                              \
        .container = "securityContext: {" fields "}"                                               \
    }

TEST_CASE(good_contexts_pass)
{
    static const struct validate_row rows[] = {
        {"a pod's",
         POD("runAsUser: 0, runAsGroup: 4294967295, fsGroup: 1, supplementalGroups: [1, 2], "
             "supplementalGroupsPolicy: Strict, fsGroupChangePolicy: OnRootMismatch, "
             "seLinuxChangePolicy: Recursive, seccompProfile: {type: Localhost, localhostProfile: "
             "a/b.json}, appArmorProfile: {type: RuntimeDefault}, sysctls: [{name: "
             "net.ipv4.ip_forward, value: '1'}]"),
         NULL},
        {"a container's",
         CONTAINER("runAsUser: 1, privileged: false, allowPrivilegeEscalation: false, "
                   "capabilities: {add: [SYS_ADMIN], drop: [ALL]}, procMount: Default, "
                   "seccompProfile: {type: RuntimeDefault}, appArmorProfile: {type: Localhost, "
                   "localhostProfile: a}"),
         NULL},
        {"an unmasked /proc in a user namespace",
         {.spec = "hostUsers: false", .container = "securityContext: {procMount: Unmasked}"},
         NULL},
        {"options of Windows where nobody said Linux",
         CONTAINER("windowsOptions: {runAsUserName: 'DOMAIN\\user'}"), NULL},
        {"annotations that agree",
         {.metadata = "annotations: {seccomp.security.alpha.kubernetes.io/pod: localhost/a, "
                      "container.apparmor.security.beta.kubernetes.io/c: runtime/default}",
          .spec = "securityContext: {seccompProfile: {type: Localhost, localhostProfile: a}, "
                  "appArmorProfile: {type: RuntimeDefault}}"},
         NULL},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(contexts_of_pods_are_checked)
{
    static const struct validate_row rows[] = {
        {"ids",
         POD("fsGroup: -1, runAsUser: 4294967296, runAsGroup: -5, supplementalGroups: [0, -1]"),
         PS
         "fsGroup: Invalid value: -1: must be between 0 and 4294967295, inclusive\n" PS
         "runAsUser: Invalid value: 4294967296: must be between 0 and 4294967295, inclusive\n" PS
         "runAsGroup: Invalid value: -5: must be between 0 and 4294967295, inclusive\n" PS
         "supplementalGroups[1]: Invalid value: -1: must be between 0 and 4294967295, inclusive"},
        {"policies",
         POD("fsGroupChangePolicy: Never, supplementalGroupsPolicy: None, seLinuxChangePolicy: "
             "Odd"),
         PS "fsGroupChangePolicy: Unsupported value: \"Never\": supported values: \"Always\", "
            "\"OnRootMismatch\"\n" PS
            "supplementalGroupsPolicy: Unsupported value: \"None\": supported values: \"Merge\", "
            "\"Strict\"\n" PS
            "seLinuxChangePolicy: Unsupported value: \"Odd\": supported values: \"MountOption\", "
            "\"Recursive\""},
        {"seccomp without a type", POD("seccompProfile: {}"),
         PS "seccompProfile.type: Required value: type is required when seccompProfile is set"},
        {"seccomp of an unknown type", POD("seccompProfile: {type: Mine}"),
         PS "seccompProfile.type: Unsupported value: \"Mine\": supported values: \"Localhost\", "
            "\"RuntimeDefault\", \"Unconfined\""},
        {"a local profile of nothing",
         POD("seccompProfile: {type: Localhost}, appArmorProfile: {type: Localhost}"),
         PS "seccompProfile.localhostProfile: Required value: must be set when seccomp type is "
            "Localhost\n" PS
            "appArmorProfile.localhostProfile: Required value: must be set when AppArmor type is "
            "Localhost"},
        {"a local profile elsewhere",
         POD("seccompProfile: {type: Localhost, localhostProfile: /a}, appArmorProfile: {type: "
             "Localhost, localhostProfile: ' a'}"),
         PS "seccompProfile.localhostProfile: Invalid value: \"/a\": must be a relative path\n" PS
            "appArmorProfile.localhostProfile: Invalid value: \" a\": must not be padded with "
            "whitespace"},
        {"a profile where none belongs",
         POD("seccompProfile: {type: Unconfined, localhostProfile: a}, appArmorProfile: {type: "
             "Unconfined, localhostProfile: a}"),
         PS "seccompProfile.localhostProfile: Invalid value: "
            "{\"type\":\"Unconfined\",\"localhostProfile\":\"a\"}: can only be set when seccomp "
            "type is Localhost\n" PS
            "appArmorProfile.localhostProfile: Invalid value: \"a\": can only be set when AppArmor "
            "type is Localhost"},
        {"sysctls", POD("sysctls: [{}, {name: A}, {name: a.b}, {name: a.b}]"),
         PS "sysctls[0].name: Required value\n" PS
            "sysctls[1].name: Invalid value: \"A\": must have at most 253 characters and match "
            "regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$\n" PS
            "sysctls[3].name: Duplicate value: \"a.b\""},
        {"sysctls of the host",
         {.spec = "hostNetwork: true, hostIPC: true, securityContext: {sysctls: [{name: "
                  "net/ipv4/ip_forward}, {name: kernel.shmmax}, {name: kernel.sem}, {name: "
                  "vm.max_map_count}]}"},
         PS "sysctls[0].name: Invalid value: \"net/ipv4/ip_forward\": may not be specified when "
            "'hostNetwork' is true\n" PS
            "sysctls[1].name: Invalid value: \"kernel.shmmax\": may not be specified when "
            "'hostIPC' is true\n" PS
            "sysctls[2].name: Invalid value: \"kernel.sem\": may not be specified when 'hostIPC' "
            "is true"},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(contexts_of_containers_are_checked)
{
    static const struct validate_row rows[] = {
        {"ids", CONTAINER("runAsUser: -1, runAsGroup: -1"),
         CS "runAsUser: Invalid value: -1: must be between 0 and 4294967295, inclusive\n" CS
            "runAsGroup: Invalid value: -1: must be between 0 and 4294967295, inclusive"},
        {"an unknown /proc", CONTAINER("procMount: Bare"),
         CS "procMount: Unsupported value: \"Bare\": supported values: \"Default\", \"Unmasked\""},
        {"an unmasked /proc of the host's users", CONTAINER("procMount: Unmasked"),
         CS "procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`"},
        {"privileged without escalation",
         CONTAINER("privileged: true, allowPrivilegeEscalation: false"),
         C0 "securityContext: Invalid value: "
            "{\"privileged\":true,\"allowPrivilegeEscalation\":false}: cannot set "
            "`allowPrivilegeEscalation` to false and `privileged` to true"},
        {"administrator without escalation",
         CONTAINER("capabilities: {add: [CAP_SYS_ADMIN]}, allowPrivilegeEscalation: false"),
         C0 "securityContext: Invalid value: "
            "{\"capabilities\":{\"add\":[\"CAP_SYS_ADMIN\"]},\"allowPrivilegeEscalation\":false}: "
            "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"},
        {"an init container's",
         {.spec = "initContainers: [{name: i, image: a, securityContext: {runAsUser: -1}}]"},
         "spec.initContainers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 "
         "and 4294967295, inclusive"},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_CASE(annotations_must_agree_with_fields)
{
    static const struct validate_row rows[] = {
        {"an unknown seccomp profile",
         {.metadata = "annotations: {seccomp.security.alpha.kubernetes.io/pod: mine}"},
         "metadata.annotations.seccomp.security.alpha.kubernetes.io/pod: Invalid value: \"mine\": "
         "must be a valid seccomp profile"},
        {"another seccomp profile",
         {.metadata = "annotations: {container.seccomp.security.alpha.kubernetes.io/c: unconfined}",
          .container = "securityContext: {seccompProfile: {type: RuntimeDefault}}"},
         CS "seccompProfile.type: Forbidden: seccomp type in annotation and field must match"},
        {"another AppArmor profile",
         {.metadata = "annotations: {container.apparmor.security.beta.kubernetes.io/c: "
                      "localhost/a}",
          .spec = "securityContext: {appArmorProfile: {type: Localhost, localhostProfile: b}}"},
         CS "appArmorProfile.localhostProfile: Forbidden: apparmor profile in annotation and field "
            "must match"},
        {"a profile for nobody",
         {.metadata = "annotations: {container.apparmor.security.beta.kubernetes.io/x: mine}"},
         "metadata.annotations[container.apparmor.security.beta.kubernetes.io/x]: Invalid value: "
         "\"x\": container not found\n"
         "metadata.annotations[container.apparmor.security.beta.kubernetes.io/x]: Invalid value: "
         "\"mine\": invalid AppArmor profile name: \"mine\""},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

#define USER(name) CONTAINER("windowsOptions: {runAsUserName: \"" name "\"}")
#define USER_PATH CS "windowsOptions.runAsUserName: Invalid value: "
TEST_CASE(operating_systems_are_checked)
{
    static const struct validate_row rows[] = {
        {"no name", {.spec = "os: {}"}, "spec.os.name: Required value: cannot be empty"},
        {"another",
         {.spec = "os: {name: plan9}"},
         "spec.os: Unsupported value: \"plan9\": supported values: \"linux\", \"windows\""},
        {"options of Windows in a Linux pod",
         {.spec = "os: {name: linux}, securityContext: {windowsOptions: {}}",
          .container = "securityContext: {windowsOptions: {}}"},
         PS "windowsOptions: Forbidden: windows options cannot be set for a linux pod\n" CS
            "windowsOptions: Forbidden: windows options cannot be set for a linux pod"},
        {"Linux in a Windows pod",
         {.spec = "os: {name: windows}, hostPID: true, shareProcessNamespace: false, "
                  "securityContext: {fsGroup: 1, runAsUser: 1}",
          .container = "securityContext: {privileged: false, capabilities: {}}"},
         "spec.hostPID: Forbidden: cannot be set for a windows pod\n" PS
         "fsGroup: Forbidden: cannot be set for a windows pod\n"
         "spec.shareProcessNamespace: Forbidden: cannot be set for a windows pod\n" PS
         "runAsUser: Forbidden: cannot be set for a windows pod\n" CS
         "capabilities: Forbidden: cannot be set for a windows pod\n" CS
         "privileged: Forbidden: cannot be set for a windows pod"},
        {"pod level resources in a Windows pod",
         {.spec = "os: {name: windows}, resources: {requests: {cpu: 1}}"},
         "spec.resources: Forbidden: may not be set for a windows pod"},
        {"users", USER(""), USER_PATH "\"\": runAsUserName cannot be an empty string"},
        {"a user with two domains", USER("a\\\\b\\\\c"),
         USER_PATH "\"a\\\\b\\\\c\": runAsUserName cannot contain more than one backslash"},
        {"a user of dots", USER(". ."),
         USER_PATH "\". .\": runAsUserName's User cannot contain only periods or spaces"},
        {"a domain without a user", USER("D\\\\"),
         USER_PATH "\"D\\\\\": runAsUserName's User cannot be empty"},
        {"a bad domain", USER("a?b\\\\c"),
         USER_PATH "\"a?b\\\\c\": runAsUserName's Domain doesn't match the NetBios nor the DNS "
                   "format"},
        {"host processes that disagree",
         {.spec = "hostNetwork: true, securityContext: {windowsOptions: {hostProcess: true}}",
          .container = "securityContext: {windowsOptions: {hostProcess: false}}"},
         CS "windowsOptions.hostProcess: Invalid value: false: pod hostProcess value must be "
            "identical if both are specified, was true"},
        {"a host process among others",
         {.containers = "[{name: a, image: a, securityContext: {windowsOptions: {hostProcess: "
                        "true}}}, {name: b, image: b}]"},
         "spec: Invalid value: \"\": If pod contains any hostProcess containers then all "
         "containers "
         "must be HostProcess containers\n"
         "spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any "
         "hostProcess containers"},
    };
    validate_rows(rows, ARRAY_SIZE(rows));
}

TEST_MAIN(TEST(good_contexts_pass), TEST(contexts_of_pods_are_checked),
          TEST(contexts_of_containers_are_checked), TEST(annotations_must_agree_with_fields),
          TEST(operating_systems_are_checked))
