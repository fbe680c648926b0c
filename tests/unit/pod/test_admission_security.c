/* Which security settings keep a pod off a node: a row for each rule, named after it. */
#include "pod/admission.h"

#include "kube/codec.h"
#include "pod_fixture.h"

#define NODE_TEXT                                                                                  \
    "{metadata: {name: one, labels: {kubernetes.io/os: linux}}, "                                  \
    "status: {allocatable: {pods: '9'}, features: {supplementalGroupsPolicy: %s}}}"

static const char *const allowed[] = {"kernel.msg*", "net/core/somaxconn", "fs.mqueue.msg_max"};

struct rule {
    const char *name;
    bool has_apparmor, has_groups_policy;
    const char *metadata, *spec, *container;
    const char *reason; /* NULL: admitted */
    const char *message;
};

static void expect(const struct rule *rule, const Core__Pod *pod, struct arena *arena)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *node = NULL;
    const char *text = arena_printf(arena, NODE_TEXT, rule->has_groups_policy ? "true" : "false");
    assert_no_error(
        kube_decode_yaml(str_from(text), &core__node__descriptor, &options, arena, &node));
    const struct admission_node admission = {.node = (const Core__Node *)node,
                                             .node_name = "one",
                                             .has_apparmor = rule->has_apparmor,
                                             .allowed_unsafe_sysctls = allowed,
                                             .n_allowed_unsafe_sysctls = ARRAY_SIZE(allowed),
                                             .kernel_major = 6,
                                             .kernel_minor = 1};
    const struct admission_input input = {.pod = pod, .node = &admission};
    struct admission_result result;
    admission_decide(&input, arena, &result);
    if (!text_eq(result.reason, rule->reason) || !text_eq(result.message, rule->message))
        fail_msg("%s: %s: %s", rule->name, result.reason, result.message);
}

static void expect_rules(const struct rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        expect(&rules[i], pod_with(rules[i].metadata, rules[i].spec, rules[i].container, arena),
               arena);
    }
}

#define NO_APPARMOR "AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host"
#define NAMELESS "AppArmor", "Cannot enforce AppArmor: invalid empty AppArmor profile name: \"\""
#define CONFINED "securityContext: {appArmorProfile: {type: RuntimeDefault}}"
#define UNCONFINED "securityContext: {appArmorProfile: {type: Unconfined}}"
#define LOCAL(name)                                                                                \
    "securityContext: {appArmorProfile: {type: Localhost, localhostProfile: " name "}}"
#define ANNOTATED(value)                                                                           \
    "annotations: {container.apparmor.security.beta.kubernetes.io/c: " value "}"

TEST_CASE(apparmor_is_needed_by_any_profile)
{
    static const struct rule rules[] = {
        {"no profile", false, false, "", "", "", NULL, NULL},
        {"pod profile RuntimeDefault", false, false, "", CONFINED, "", NO_APPARMOR},
        {"pod profile Unconfined", false, false, "", UNCONFINED, "", NULL, NULL},
        {"pod profile that the container overrides", false, false, "", CONFINED, UNCONFINED,
         NO_APPARMOR},
        {"container profile Localhost", false, false, "", "", LOCAL("mine"), NO_APPARMOR},
        {"container profile Unconfined", false, false, "", "", UNCONFINED, NULL, NULL},
        {"init container", false, false, "",
         "initContainers: [{name: i, image: busybox, " CONFINED "}]", "", NO_APPARMOR},
        {"ephemeral container", false, false, "",
         "ephemeralContainers: [{name: e, image: busybox, " CONFINED "}]", "", NO_APPARMOR},
        {"annotation runtime/default", false, false, ANNOTATED("runtime/default"), "", "",
         NO_APPARMOR},
        {"annotation unconfined", false, false, ANNOTATED("unconfined"), "", "", NULL, NULL},
        {"a node with AppArmor", true, false, "", CONFINED, LOCAL("mine"), NULL, NULL},
        {"a profile without a name", true, false, "", "", LOCAL("' '"), NAMELESS},
        {"a pod's profile without a name", true, false, "", LOCAL("''"), "", NAMELESS},
        {"a nameless one that is overridden", true, false, "", LOCAL("''"), UNCONFINED, NULL, NULL},
    };
    expect_rules(rules, ARRAY_SIZE(rules));
}

TEST_CASE(apparmor_is_asked_of_pending_pods_only)
{
    static const struct {
        char phase[16];
        bool is_asked;
    } rows[] = {{"", true}, {"Pending", true}, {"Running", false}};
    static const struct rule refused = {"asked", false, false, "", "", "", NO_APPARMOR};
    static const struct rule admitted = {"not asked", false, false, "", "", "", NULL, NULL};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        Core__Pod *pod = pod_with("", CONFINED, "", arena);
        Core__PodStatus status = CORE__POD_STATUS__INIT;
        status.phase = arena_strdup(arena, rows[i].phase);
        pod->status = &status;
        expect(rows[i].is_asked ? &refused : &admitted, pod, arena);
    }
}

#define SYSCTL(name) "securityContext: {sysctls: [{name: " name ", value: '1'}]}"
#define FORBIDDEN(text) "SysctlForbidden", "forbidden sysctl: " text

TEST_CASE(sysctls_are_safe_or_allowed_and_the_pods_own)
{
    static const struct rule rules[] = {
        {"safe: kernel.shm_rmid_forced", false, false, "", SYSCTL("kernel.shm_rmid_forced"), "",
         NULL, NULL},
        {"safe: net.ipv4.ip_local_port_range", false, false, "",
         SYSCTL("net.ipv4.ip_local_port_range"), "", NULL, NULL},
        {"safe: net.ipv4.tcp_syncookies", false, false, "", SYSCTL("net.ipv4.tcp_syncookies"), "",
         NULL, NULL},
        {"safe: net.ipv4.ping_group_range", false, false, "", SYSCTL("net.ipv4.ping_group_range"),
         "", NULL, NULL},
        {"safe: net.ipv4.ip_unprivileged_port_start", false, false, "",
         SYSCTL("net.ipv4.ip_unprivileged_port_start"), "", NULL, NULL},
        {"safe: net.ipv4.ip_local_reserved_ports", false, false, "",
         SYSCTL("net.ipv4.ip_local_reserved_ports"), "", NULL, NULL},
        {"safe: net.ipv4.tcp_keepalive_time", false, false, "",
         SYSCTL("net.ipv4.tcp_keepalive_time"), "", NULL, NULL},
        {"safe: net.ipv4.tcp_keepalive_intvl", false, false, "",
         SYSCTL("net.ipv4.tcp_keepalive_intvl"), "", NULL, NULL},
        {"safe: net.ipv4.tcp_keepalive_probes", false, false, "",
         SYSCTL("net.ipv4.tcp_keepalive_probes"), "", NULL, NULL},
        {"safe: net.ipv4.tcp_fin_timeout", false, false, "", SYSCTL("net.ipv4.tcp_fin_timeout"), "",
         NULL, NULL},
        {"safe: net.ipv4.tcp_rmem", false, false, "", SYSCTL("net.ipv4.tcp_rmem"), "", NULL, NULL},
        {"safe: net.ipv4.tcp_wmem", false, false, "", SYSCTL("net.ipv4.tcp_wmem"), "", NULL, NULL},
        {"unsafe", false, false, "", SYSCTL("kernel.sem"), "",
         FORBIDDEN("\"kernel.sem\" not allowlisted")},
        {"no namespace of its own", false, false, "", SYSCTL("vm.swappiness"), "",
         FORBIDDEN("\"vm.swappiness\" not allowlisted")},
        {"allowed by a pattern", false, false, "", SYSCTL("kernel.msgmax"), "", NULL, NULL},
        {"allowed by a name with slashes", false, false, "", SYSCTL("net.core.somaxconn"), "", NULL,
         NULL},
        {"a name is no pattern", false, false, "", SYSCTL("net.core.somaxconn2"), "",
         FORBIDDEN("\"net.core.somaxconn2\" not allowlisted")},
        {"written with slashes", false, false, "", SYSCTL("kernel/msgmax"), "", NULL, NULL},
        {"forbidden with slashes is told with dots", false, false, "", SYSCTL("kernel/sem"), "",
         FORBIDDEN("\"kernel.sem\" not allowlisted")},
        {"IPC in the host's", false, false, "", "hostIPC: true, " SYSCTL("kernel.msgmax"), "",
         FORBIDDEN("\"kernel.msgmax\" not allowed with host IPC enabled")},
        {"message queues in the host's IPC", false, false, "",
         "hostIPC: true, " SYSCTL("fs.mqueue.msg_max"), "",
         FORBIDDEN("\"fs.mqueue.msg_max\" not allowed with host IPC enabled")},
        {"network in the host's", false, false, "",
         "hostNetwork: true, " SYSCTL("net.ipv4.tcp_rmem"), "",
         FORBIDDEN("\"net.ipv4.tcp_rmem\" not allowed with host Net enabled")},
        {"IPC beside the host's network", false, false, "",
         "hostNetwork: true, " SYSCTL("kernel.msgmax"), "", NULL, NULL},
        {"network beside the host's IPC", false, false, "",
         "hostIPC: true, " SYSCTL("net.ipv4.tcp_rmem"), "", NULL, NULL},
    };
    expect_rules(rules, ARRAY_SIZE(rules));
}

TEST_CASE(the_node_must_be_what_the_pod_says)
{
    static const struct rule rules[] = {
        {"os.name windows", false, false, "", "os: {name: windows}", "", "PodOSNotSupported",
         "Failed to admit pod as the OS field doesn't match node OS"},
        {"os.name linux", false, false, "", "os: {name: linux}", "", NULL, NULL},
        {"label kubernetes.io/os windows", false, false, "labels: {kubernetes.io/os: windows}", "",
         "", "PodOSSelectorNodeLabelDoesNotMatch",
         "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"},
        {"label kubernetes.io/os linux", false, false, "labels: {kubernetes.io/os: linux}", "", "",
         NULL, NULL},
        {"supplementalGroupsPolicy Strict", false, false, "",
         "securityContext: {supplementalGroupsPolicy: Strict}", "",
         "SupplementalGroupsPolicyNotSupported",
         "SupplementalGroupsPolicy=Strict is not supported in this node"},
        {"supplementalGroupsPolicy Strict where it is supported", false, true, "",
         "securityContext: {supplementalGroupsPolicy: Strict}", "", NULL, NULL},
        {"supplementalGroupsPolicy Merge", false, false, "",
         "securityContext: {supplementalGroupsPolicy: Merge}", "", NULL, NULL},
        {"windowsOptions of a pod that names no system", false, false, "",
         "securityContext: {windowsOptions: {runAsUserName: x}}", "", NULL, NULL},
    };
    expect_rules(rules, ARRAY_SIZE(rules));
}

TEST_MAIN(TEST(apparmor_is_needed_by_any_profile), TEST(apparmor_is_asked_of_pending_pods_only),
          TEST(sysctls_are_safe_or_allowed_and_the_pods_own),
          TEST(the_node_must_be_what_the_pod_says))
