#include "container_fixture.h"

static const Cri__LinuxContainerSecurityContext *security_of(const char *spec,
                                                             const char *container,
                                                             const struct node_facts *node,
                                                             struct arena *arena)
{
    struct container_config_input input =
        container_input(pod_with("", spec, container, arena), node);
    return container_built(&input, arena)->linux->security_context;
}

TEST_CASE(the_container_overrides_the_pod_field_by_field)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    const Cri__LinuxContainerSecurityContext *got = security_of(
        "securityContext: {runAsUser: 1, runAsGroup: 2, seLinuxOptions: {user: u, level: s0}}",
        "securityContext: {runAsUser: 0, seLinuxOptions: {role: r}}", &node, arena);
    assert_int_equal(got->run_as_user->value, 0);
    assert_int_equal(got->run_as_group->value, 2);
    assert_string_equal(got->selinux_options->role, "r");
    assert_string_equal(got->selinux_options->user, "");

    got = security_of("securityContext: {runAsUser: 1}", "", &node, arena);
    assert_int_equal(got->run_as_user->value, 1);
    assert_null(got->run_as_group);
    assert_null(got->selinux_options);
}

TEST_CASE(what_only_the_container_says)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    const Cri__LinuxContainerSecurityContext *got =
        security_of("",
                    "securityContext: {privileged: true, readOnlyRootFilesystem: true, "
                    "capabilities: {add: [A, B], drop: [ALL]}}",
                    &node, arena);
    assert_true(got->privileged);
    assert_true(got->readonly_rootfs);
    assert_false(got->no_new_privs);
    assert_int_equal(got->capabilities->n_add_capabilities, 2);
    assert_string_equal(got->capabilities->add_capabilities[1], "B");
    assert_string_equal(got->capabilities->drop_capabilities[0], "ALL");
    assert_true(security_of("", "securityContext: {allowPrivilegeEscalation: false}", &node, arena)
                    ->no_new_privs);
    assert_false(security_of("", "securityContext: {allowPrivilegeEscalation: true}", &node, arena)
                     ->no_new_privs);
    assert_null(security_of("", "", &node, arena)->capabilities);
}

TEST_CASE(groups_come_in_the_containers_order)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    static const int64_t extra[] = {100}, want[] = {7, 8, 9, 100};
    Core__Pod *pod =
        pod_with("", "securityContext: {fsGroup: 7, supplementalGroups: [8, 9]}", "", arena);
    struct container_config_input input = container_input(pod, &node);
    input.extra_groups = extra;
    input.n_extra_groups = 1;
    const Cri__LinuxContainerSecurityContext *got =
        container_built(&input, arena)->linux->security_context;
    assert_int_equal(got->n_supplemental_groups, ARRAY_SIZE(want));
    assert_memory_equal(got->supplemental_groups, want, sizeof(want));
    assert_int_equal(got->supplemental_groups_policy, CRI__SUPPLEMENTAL_GROUPS_POLICY__Merge);
}

TEST_CASE(namespaces_are_told_even_without_a_pod_context)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    Core__Pod *pod = pod_with("", "hostPID: true", "", arena);
    pod->spec->security_context = NULL;
    struct container_config_input input = container_input(pod, &node);
    const Cri__NamespaceOption *got =
        container_built(&input, arena)->linux->security_context->namespace_options;
    assert_int_equal(got->pid, CRI__NAMESPACE_MODE__NODE);
    assert_int_equal(got->network, CRI__NAMESPACE_MODE__POD);
    assert_int_equal(got->userns_options->mode, CRI__NAMESPACE_MODE__NODE);
}

TEST_CASE(a_target_is_aimed_at_where_processes_are_not_shared)
{
    static const struct {
        const char *spec;
        Cri__NamespaceMode pid;
        const char *target_id;
    } rows[] = {
        {"", CRI__NAMESPACE_MODE__TARGET, "abc"},
        {"shareProcessNamespace: true", CRI__NAMESPACE_MODE__POD, ""},
        {"hostPID: true", CRI__NAMESPACE_MODE__NODE, ""},
    };
    struct node_facts node = node_for_tests();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        Core__Pod *pod = pod_with("", rows[i].spec, "", arena);
        struct container_config_input input = container_input(pod, &node);
        input.target_id = "abc";
        const Cri__NamespaceOption *got =
            container_built(&input, arena)->linux->security_context->namespace_options;
        assert_int_equal(got->pid, rows[i].pid);
        assert_string_equal(got->target_id, rows[i].target_id);
    }
}

TEST_CASE(paths_are_masked_unless_unmasked)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    static const char *const extra[] = {"/sys/devices/system/cpu/cpu0/thermal_throttle", NULL};
    node.masked_paths_extra = extra;
    const Cri__LinuxContainerSecurityContext *got = security_of("", "", &node, arena);
    assert_int_equal(got->n_masked_paths, 13);
    assert_string_equal(got->masked_paths[0], "/proc/asound");
    assert_string_equal(got->masked_paths[12], extra[0]);
    assert_int_equal(got->n_readonly_paths, 5);
    got = security_of("hostUsers: true", "securityContext: {procMount: Unmasked}", &node, arena);
    assert_int_equal(got->n_masked_paths, 0);
    assert_int_equal(got->n_readonly_paths, 0);
}

TEST_CASE(seccomp_is_the_nearest_profile)
{
    static const struct {
        const char *spec, *container;
        bool by_default;
        Cri__SecurityProfileProfileType type;
        const char *ref;
    } rows[] = {
        {"", "", false, CRI__SECURITY_PROFILE__PROFILE_TYPE__Unconfined, ""},
        {"", "", true, CRI__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault, ""},
        {"securityContext: {seccompProfile: {type: RuntimeDefault}}", "", false,
         CRI__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault, ""},
        {"securityContext: {seccompProfile: {type: RuntimeDefault}}",
         "securityContext: {seccompProfile: {type: Unconfined}}", true,
         CRI__SECURITY_PROFILE__PROFILE_TYPE__Unconfined, ""},
        {"", "securityContext: {seccompProfile: {type: Localhost, localhostProfile: a/./p.json}}",
         false, CRI__SECURITY_PROFILE__PROFILE_TYPE__Localhost,
         "/var/lib/kubelet/seccomp/a/p.json"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        node.seccomp_default = rows[i].by_default;
        const Cri__SecurityProfile *got =
            security_of(rows[i].spec, rows[i].container, &node, arena)->seccomp;
        assert_int_equal(got->profile_type, rows[i].type);
        assert_string_equal(got->localhost_ref, rows[i].ref);
    }
    struct container_config_input input = container_input(
        pod_with("", "", "securityContext: {seccompProfile: {type: Localhost}}", arena), &node);
    assert_string_equal(container_refusal(&input, arena),
                        "localhostProfile must be set if seccompProfile type is Localhost.");
}

TEST_CASE(apparmor_is_field_then_annotation_then_pod)
{
#define ANNOTATED(value)                                                                           \
    "annotations: {container.apparmor.security.beta.kubernetes.io/c: " value "}"
#define POD_PROFILE "securityContext: {appArmorProfile: {type: Localhost, localhostProfile: pod}}"
    static const struct {
        const char *metadata, *spec, *container;
        const char *old_form; /* NULL: no profile */
        const char *ref;
    } rows[] = {
        {"", "", "", NULL, NULL},
        {"", POD_PROFILE, "", "localhost/pod", "pod"},
        {ANNOTATED("unconfined"), POD_PROFILE, "", "unconfined", ""},
        {ANNOTATED("runtime/default"), "", "", "runtime/default", ""},
        {ANNOTATED("localhost/own"), "", "", "localhost/own", "own"},
        {ANNOTATED("localhost/"), POD_PROFILE, "", "localhost/pod", "pod"},
        {ANNOTATED("odd"), "", "", NULL, NULL},
        {ANNOTATED("unconfined"), POD_PROFILE,
         "securityContext: {appArmorProfile: {type: RuntimeDefault}}", "runtime/default", ""},
        {"", "", "securityContext: {appArmorProfile: {type: Unconfined}}", "unconfined", ""},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        Core__Pod *pod = pod_with(rows[i].metadata, rows[i].spec, rows[i].container, arena);
        struct container_config_input input = container_input(pod, &node);
        const Cri__LinuxContainerSecurityContext *got =
            container_built(&input, arena)->linux->security_context;
        assert_string_equal(got->apparmor_profile, rows[i].old_form ? rows[i].old_form : "");
        assert_int_equal(got->apparmor != NULL, rows[i].old_form != NULL);
        if (got->apparmor)
            assert_string_equal(got->apparmor->localhost_ref, rows[i].ref);
    }
    struct container_config_input input = container_input(
        pod_with("", "", "securityContext: {appArmorProfile: {type: Localhost}}", arena), &node);
    assert_string_equal(container_refusal(&input, arena),
                        "missing localhost apparmor profile name");
}

TEST_CASE(the_user_is_the_specs_or_the_images)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    struct container_config_input input = container_input(pod_with("", "", "", arena), &node);
    assert_int_equal(container_built(&input, arena)->linux->security_context->run_as_user->value,
                     0);
    input.image_username = "nobody";
    const Cri__LinuxContainerSecurityContext *got =
        container_built(&input, arena)->linux->security_context;
    assert_null(got->run_as_user);
    assert_string_equal(got->run_as_username, "nobody");
    input.image_has_uid = true;
    input.image_uid = 65534;
    got = container_built(&input, arena)->linux->security_context;
    assert_int_equal(got->run_as_user->value, 65534);
    assert_string_equal(got->run_as_username, "");
    input = container_input(pod_with("", "", "securityContext: {runAsUser: 5}", arena), &node);
    input.image_username = "nobody";
    got = container_built(&input, arena)->linux->security_context;
    assert_int_equal(got->run_as_user->value, 5);
    assert_string_equal(got->run_as_username, "");
}

TEST_CASE(who_must_not_be_root_is_checked)
{
#define WHERE " (pod: \"web_default(u-1)\", container: c)"
    static const struct {
        const char *spec, *container;
        bool has_uid;
        int64_t uid;
        const char *username;
        const char *want; /* NULL: fine */
    } rows[] = {
        {"", "securityContext: {runAsUser: 0}", false, 0, NULL, NULL},
        {"", "securityContext: {runAsNonRoot: true, runAsUser: 0}", true, 5, NULL,
         "container's runAsUser breaks non-root policy" WHERE},
        {"securityContext: {runAsNonRoot: true, runAsUser: 9}", "", false, 0, "root", NULL},
        {"securityContext: {runAsNonRoot: true}", "securityContext: {runAsNonRoot: false}", false,
         0, NULL, NULL},
        {"securityContext: {runAsNonRoot: true}", "", false, 0, "app",
         "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is "
         "non-root" WHERE},
        {"securityContext: {runAsNonRoot: true}", "", false, 0, NULL,
         "container has runAsNonRoot and image will run as root" WHERE},
        {"securityContext: {runAsNonRoot: true}", "", true, 0, "app",
         "container has runAsNonRoot and image will run as root" WHERE},
        {"securityContext: {runAsNonRoot: true}", "", true, 1000, NULL, NULL},
        {"securityContext: {runAsNonRoot: true}", "", true, INT64_C(2147483647), NULL, NULL},
        {"securityContext: {runAsNonRoot: true}", "", true, INT64_C(2147483648), NULL,
         "container has runAsNonRoot and image has an invalid user id (2147483648). (Must be "
         "1-(2147483647)): must "
         "be between 0 and 2147483647, inclusive" WHERE},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct container_config_input input =
            container_input(pod_with("", rows[i].spec, rows[i].container, arena), &node);
        input.image_has_uid = rows[i].has_uid;
        input.image_uid = rows[i].uid;
        input.image_username = rows[i].username;
        if (rows[i].want)
            assert_string_equal(container_refusal(&input, arena), rows[i].want);
        else
            container_built(&input, arena);
    }
}

TEST_CASE(an_unknown_groups_policy_is_refused)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    struct container_config_input input = container_input(
        pod_with("", "securityContext: {supplementalGroupsPolicy: Odd}", "", arena), &node);
    assert_string_equal(container_refusal(&input, arena),
                        "unsupported supplementalGroupsPolicy: Odd");
}

TEST_MAIN(TEST(the_container_overrides_the_pod_field_by_field), TEST(what_only_the_container_says),
          TEST(groups_come_in_the_containers_order),
          TEST(namespaces_are_told_even_without_a_pod_context),
          TEST(a_target_is_aimed_at_where_processes_are_not_shared),
          TEST(paths_are_masked_unless_unmasked), TEST(seccomp_is_the_nearest_profile),
          TEST(apparmor_is_field_then_annotation_then_pod),
          TEST(the_user_is_the_specs_or_the_images), TEST(who_must_not_be_root_is_checked),
          TEST(an_unknown_groups_policy_is_refused))
