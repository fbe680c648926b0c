#include "container_fixture.h"

TEST_CASE(identity_image_and_terminal_are_the_containers)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    Core__Pod *pod =
        pod_with("annotations: {a: b}, labels: {l: m}", "terminationGracePeriodSeconds: 7",
                 "workingDir: $(NOT), stdin: true, stdinOnce: true, tty: true, "
                 "lifecycle: {stopSignal: SIGUSR1, preStop: {exec: {command: [a, '>b']}}}, "
                 "ports: [{containerPort: 80}]",
                 arena);
    pod->metadata->has_deletion_grace_period_seconds = 1;
    pod->metadata->deletion_grace_period_seconds = 3;
    struct container_config_input input = container_input(pod, &node);
    input.restart_count = 4;
    const Cri__ContainerConfig *config = container_built(&input, arena);
    assert_string_equal(config->metadata->name, "c");
    assert_int_equal(config->metadata->attempt, 4);
    assert_string_equal(config->image->image, "sha256:abc");
    assert_string_equal(config->image->user_specified_image, "busybox");
    assert_string_equal(config->working_dir, "$(NOT)");
    assert_string_equal(config->log_path, "c/4.log");
    assert_true(config->stdin && config->stdin_once && config->tty);
    assert_int_equal(config->stop_signal, CRI__SIGNAL__RUNTIME_DEFAULT);
    assert_int_equal(config->n_labels, 4);
    static const char *const want[][2] = {
        {"io.kubernetes.container.hash", NULL}, /* its own test has the vectors */
        {"io.kubernetes.container.restartCount", "4"},
        {"io.kubernetes.container.terminationMessagePath", "/dev/termination-log"},
        {"io.kubernetes.container.terminationMessagePolicy", "File"},
        {"io.kubernetes.pod.deletionGracePeriod", "3"},
        {"io.kubernetes.pod.terminationGracePeriod", "7"},
        {"io.kubernetes.container.preStopHandler", "{\"exec\":{\"command\":[\"a\",\"\\u003eb\"]}}"},
        {"io.kubernetes.container.ports", "[{\"containerPort\":80,\"protocol\":\"TCP\"}]"},
    };
    assert_int_equal(config->n_annotations, ARRAY_SIZE(want));
    const char *hash = arena_printf(arena, "%x", container_hash("busybox", "c"));
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        assert_string_equal(config->annotations[i]->key, want[i][0]);
        assert_string_equal(config->annotations[i]->value, i == 0 ? hash : want[i][1]);
    }
}

TEST_CASE(commands_are_expanded_with_the_environment)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    Core__Pod *pod = pod_with("", "",
                              "command: [sh, $(A), $(NOPE)], args: [$$(A), $(A)$(B)], "
                              "env: [{name: A, value: x}, {name: B, value: $(A)y}]",
                              arena);
    struct container_config_input input = container_input(pod, &node);
    const Cri__ContainerConfig *config = container_built(&input, arena);
    assert_int_equal(config->n_command, 3);
    assert_string_equal(config->command[1], "x");
    assert_string_equal(config->command[2], "$(NOPE)");
    assert_int_equal(config->n_args, 2);
    assert_string_equal(config->args[0], "$(A)");
    assert_string_equal(config->args[1], "xxy");
    assert_int_equal(config->n_envs, 2);
    assert_string_equal(config->envs[1]->key, "B");
    assert_memory_equal(config->envs[1]->value.data, "xy", 2);
    assert_int_equal(config->envs[1]->value.len, 2);

    input = container_input(pod_with("", "", "", arena), &node);
    config = container_built(&input, arena);
    assert_null(config->command);
    assert_null(config->args);
    assert_null(config->envs);
}

/* --- mounts --- */

static const struct mounted_volume volumes[] = {
    {.name = "data", .inner_name = "pv-1", .host_path = "/pods/data"},
    {.name = "ro",
     .inner_name = "ro",
     .host_path = "/pods/ro",
     .read_only = true,
     .selinux_relabel = true},
    {.name = "img", .inner_name = "img", .image_ref = "sha256:img"},
};

static struct container_config_input mounting(const char *mounts, struct node_facts *node,
                                              struct arena *arena)
{
    Core__Pod *pod = pod_with(
        "annotations: {k: v}", "volumes: [{name: img, image: {reference: 'r.example/i:1'}}]",
        arena_printf(arena, "env: [{name: A, value: x}, {name: E, value: ''}], volumeMounts: [%s]",
                     mounts),
        arena);
    struct container_config_input input = container_input(pod, node);
    input.volumes = volumes;
    input.n_volumes = ARRAY_SIZE(volumes);
    return input;
}

TEST_CASE(the_stop_signal_waits_for_its_gate)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    Core__Pod *pod =
        pod_with("", "os: {name: linux}", "lifecycle: {stopSignal: SIGRTMIN+3}", arena);
    struct container_config_input input = container_input(pod, &node);
    assert_int_equal(container_built(&input, arena)->stop_signal, CRI__SIGNAL__RUNTIME_DEFAULT);
    node.stop_signals = true;
    assert_int_equal(container_built(&input, arena)->stop_signal, CRI__SIGNAL__SIGRTMINPLUS3);
    input = container_input(pod_with("", "", "", arena), &node);
    assert_int_equal(container_built(&input, arena)->stop_signal, CRI__SIGNAL__RUNTIME_DEFAULT);
}

TEST_CASE(every_mount_has_the_ids_of_the_user_namespace)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    static const struct mounted_volume one[] = {{.name = "v", .host_path = "/host/v"}};
    Core__Pod *pod = pod_with("", "hostUsers: false, volumes: [{name: v, emptyDir: {}}]",
                              "volumeMounts: [{name: v, mountPath: /v}]", arena);
    struct container_config_input input = container_input(pod, &node);
    input.volumes = one;
    input.n_volumes = ARRAY_SIZE(one);
    input.handler.user_namespaces = true;
    input.userns = (struct userns_range){.host_id = 131072, .length = 65536};
    const Cri__ContainerConfig *got = container_built(&input, arena);
    assert_int_equal(got->n_mounts, 3); /* the volume, /etc/hosts, the termination log */
    for (size_t i = 0; i < got->n_mounts; i++) {
        assert_int_equal(got->mounts[i]->n_uidmappings, 1);
        assert_int_equal(got->mounts[i]->n_gidmappings, 1);
        assert_int_equal(got->mounts[i]->uidmappings[0]->host_id, 131072);
        assert_int_equal(got->mounts[i]->uidmappings[0]->container_id, 0);
        assert_int_equal(got->mounts[i]->gidmappings[0]->length, 65536);
    }
}

TEST_CASE(mounts_come_in_order_and_own_files_last)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    node.selinux_enabled = true;
    struct container_config_input input =
        mounting("{name: ro, mountPath: rel/path, mountPropagation: HostToContainer}, "
                 "{name: data, mountPath: /b, mountPropagation: Bidirectional}, "
                 "{name: data, mountPath: /c, readOnly: true, recursiveReadOnly: IfPossible}, "
                 "{name: img, mountPath: /i, subPath: a/b}",
                 &node, arena);
    input.handler = (struct runtime_handler){.name = "kata", .recursive_read_only = true};
    const Cri__ContainerConfig *config = container_built(&input, arena);
    static const struct {
        const char *path, *host;
        bool readonly, recursive, relabel;
        Cri__MountPropagation propagation;
    } want[] = {
        {"/rel/path", "/pods/ro", true, false, true,
         CRI__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER},
        {"/b", "/pods/data", false, false, false,
         CRI__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL},
        {"/c", "/pods/data", true, true, false, CRI__MOUNT_PROPAGATION__PROPAGATION_PRIVATE},
        {"/i", "", false, false, false, CRI__MOUNT_PROPAGATION__PROPAGATION_PRIVATE},
        {"/etc/hosts", "/var/lib/kubelet/pods/u-1/etc-hosts", false, false, true,
         CRI__MOUNT_PROPAGATION__PROPAGATION_PRIVATE},
        {"/dev/termination-log", "/var/lib/kubelet/pods/u-1/containers/c/00000abc", false, false,
         true, CRI__MOUNT_PROPAGATION__PROPAGATION_PRIVATE},
    };
    assert_int_equal(config->n_mounts, ARRAY_SIZE(want));
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        const Cri__Mount *got = config->mounts[i];
        assert_string_equal(got->container_path, want[i].path);
        assert_string_equal(got->host_path, want[i].host);
        assert_int_equal(got->readonly, want[i].readonly);
        assert_int_equal(got->recursive_read_only, want[i].recursive);
        assert_int_equal(got->selinux_relabel, want[i].relabel);
        assert_int_equal(got->propagation, want[i].propagation);
        assert_int_equal(got->image != NULL, i == 3);
    }
    assert_string_equal(config->mounts[3]->image->image, "sha256:img");
    assert_string_equal(config->mounts[3]->image->user_specified_image, "r.example/i:1");
    assert_string_equal(config->mounts[3]->image->runtime_handler, "");
    assert_int_equal(config->mounts[3]->image->n_annotations, 1);
    assert_string_equal(config->mounts[3]->image_sub_path, "a/b");
}

TEST_CASE(sub_paths_are_asked_for_and_bound)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    struct container_config_input input =
        mounting("{name: data, mountPath: /a}, "
                 "{name: data, mountPath: /b, subPath: d/e}, "
                 "{name: ro, mountPath: /c, subPathExpr: 'p-$(A)'}",
                 &node, arena);
    struct subpath_request *requests;
    size_t count;
    assert_no_error(container_subpaths(&input, arena, &requests, &count));
    assert_int_equal(count, 2);
    assert_int_equal(requests[0].mount_index, 1);
    assert_string_equal(requests[0].sub_path, "d/e");
    assert_string_equal(requests[0].inner_name, "pv-1");
    assert_string_equal(requests[0].volume_path, "/pods/data");
    assert_int_equal(requests[1].mount_index, 2);
    assert_string_equal(requests[1].sub_path, "p-x");
    assert_true(requests[1].read_only);

    const char *targets[] = {NULL, "/bind/1", "/bind/2"};
    input.subpath_targets = targets;
    const Cri__ContainerConfig *config = container_built(&input, arena);
    assert_string_equal(config->mounts[0]->host_path, "/pods/data");
    assert_string_equal(config->mounts[1]->host_path, "/bind/1");
    assert_string_equal(config->mounts[2]->host_path, "/bind/2");
    targets[1] = NULL;
    assert_string_equal(container_refusal(&input, arena),
                        "failed to prepare subPath for volumeMount \"data\" of container \"c\"");
}

TEST_CASE(mounts_that_cannot_be_are_refused)
{
    static const struct {
        const char *mounts, *want;
    } rows[] = {
        {"{name: nope, mountPath: /a}",
         "cannot find volume \"nope\" to mount into container \"c\""},
        {"{name: data, mountPath: /a, subPath: /abs}",
         "error SubPath `/abs` must not be an absolute path"},
        {"{name: data, mountPath: /a, subPath: a/../b}",
         "unable to provision SubPath `a/../b`: must not contain '..'"},
        {"{name: data, mountPath: /a, subPathExpr: $(Z)$(A)$(B)$(Z)}", "missing value for B, Z"},
        {"{name: data, mountPath: /a, subPathExpr: x$(E)}", "missing value for E"},
        {"{name: data, mountPath: /a, mountPropagation: Odd}",
         "invalid MountPropagation mode: \"Odd\""},
        {"{name: data, mountPath: /a, recursiveReadOnly: Enabled}",
         "failed to resolve recursive read-only mode: volume \"data\" requested recursive "
         "read-only mode, but it is "
         "not read-only"},
        {"{name: data, mountPath: /a, readOnly: true, recursiveReadOnly: IfPossible, "
         "mountPropagation: "
         "HostToContainer}",
         "failed to resolve recursive read-only mode: volume \"data\" requested recursive "
         "read-only mode, but it is "
         "not compatible with propagation \"HostToContainer\""},
        {"{name: data, mountPath: /a, readOnly: true, recursiveReadOnly: Enabled, "
         "mountPropagation: None}",
         "failed to resolve recursive read-only mode: volume \"data\" requested recursive "
         "read-only mode, but it is "
         "not supported by the runtime"},
        {"{name: data, mountPath: /a, readOnly: true, recursiveReadOnly: Odd}",
         "failed to resolve recursive read-only mode: unknown recursive read-only mode \"Odd\""},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct container_config_input input = mounting(rows[i].mounts, &node, arena);
        assert_string_equal(container_refusal(&input, arena), rows[i].want);
        struct subpath_request *requests;
        size_t count;
        assert_error_message(container_subpaths(&input, arena, &requests, &count), rows[i].want);
    }
}

TEST_CASE(block_devices_are_refused_by_name)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    Core__Pod *pod = pod_with("", "", "volumeDevices: [{name: d, devicePath: /dev/x}]", arena);
    struct container_config_input input = container_input(pod, &node);
    assert_string_equal(container_refusal(&input, arena),
                        "cubelet does not support raw block volumes (volumeDevices) yet");
}

/* --- files --- */

static struct container_files files_of(const struct container_config_input *input,
                                       struct arena *arena)
{
    struct container_files files;
    Cri__ContainerConfig *config;
    assert_no_error(container_config_build(input, arena, &files, &config));
    return files;
}

#define HOSTS_HEAD                                                                                 \
    "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost "        \
    "ip6-loopback\n"                                                                               \
    "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-"        \
    "allrouters\n"

TEST_CASE(the_hosts_file_names_the_pod)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    struct container_config_input input = container_input(pod_with("", "", "", arena), &node);
    struct container_files files = files_of(&input, arena);
    assert_string_equal(files.hosts_content, HOSTS_HEAD "10.1.0.5\tweb\n2001:db8::5\tweb\n");
    assert_string_equal(files.hosts_path, "/var/lib/kubelet/pods/u-1/etc-hosts");
    assert_false(files.hosts_from_node);

    Core__Pod *pod = pod_with(
        "",
        "hostname: box, subdomain: sub, hostAliases: [{ip: 10.1.2.3, hostnames: [a.example, b]}, "
        "{ip: '::9', hostnames: [c]}]",
        "", arena);
    input = container_input(pod, &node);
    assert_string_equal(files_of(&input, arena).hosts_content, HOSTS_HEAD
                        "10.1.0.5\tbox.sub.default.svc.cluster.local\tbox\n"
                        "2001:db8::5\tbox.sub.default.svc.cluster.local\tbox\n"
                        "\n# Entries added by HostAliases.\n10.1.2.3\ta.example\tb\n::9\tc\n");
}

TEST_CASE(a_pod_in_the_hosts_network_gets_the_hosts_file_of_the_node)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    Core__Pod *pod =
        pod_with("", "hostNetwork: true, hostAliases: [{ip: 1.2.3.4, hostnames: [a]}]", "", arena);
    struct container_config_input input = container_input(pod, &node);
    input.pod_ips = NULL;
    struct container_files files = files_of(&input, arena);
    assert_true(files.hosts_from_node);
    assert_null(files.hosts_content);
    assert_string_equal(files.hosts_prefix, "# Kubernetes-managed hosts file (host network).\n");
    assert_string_equal(files.hosts_suffix, "\n# Entries added by HostAliases.\n1.2.3.4\ta\n");
}

TEST_CASE(the_hosts_file_is_left_alone_where_it_is_not_ours)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    struct container_config_input input =
        mounting("{name: data, mountPath: /etc/hosts}", &node, arena);
    assert_null(files_of(&input, arena).hosts_path);
    input = container_input(pod_with("", "", "", arena), &node);
    static const char *const none[] = {NULL};
    input.pod_ips = none;
    assert_null(files_of(&input, arena).hosts_path);
    assert_int_equal(container_built(&input, arena)->n_mounts, 1);
}

TEST_CASE(log_folder_and_termination_log_are_named)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    struct container_config_input input = container_input(pod_with("", "", "", arena), &node);
    struct container_files files = files_of(&input, arena);
    assert_string_equal(files.log_dir, "/var/log/pods/default_web_u-1/c");
    assert_string_equal(files.termination_dir, "/var/lib/kubelet/pods/u-1/containers/c");
    assert_string_equal(files.termination_log, "/var/lib/kubelet/pods/u-1/containers/c/00000abc");
    ((Core__Container *)input.pod->spec->containers[0])->termination_message_path = NULL;
    files = files_of(&input, arena);
    assert_null(files.termination_dir);
    assert_null(files.termination_log);
}

TEST_CASE(the_first_error_is_upstreams_first)
{
    static const char *const parts[][2] = {
        {"hostname: X, ", "pod Hostname "},
        {"env: [{name: A, valueFrom: {fieldRef: {fieldPath: odd}}}], ",
         "field label not supported: odd"},
        {"volumeMounts: [{name: nope, mountPath: /a}], ", "cannot find volume "},
        {"securityContext: {runAsNonRoot: true, seccompProfile: {type: Localhost}}",
         "container has runAsNonRoot"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    /* Each round leaves out one more of the faults, from the front. */
    for (size_t from = 0; from < ARRAY_SIZE(parts); from++) {
        const char *container = "";
        for (size_t i = from > 1 ? from : 1; i < ARRAY_SIZE(parts); i++)
            container = arena_printf(arena, "%s%s", container, parts[i][0]);
        const char *spec = from == 0 ? "hostname: X" : "";
        struct container_config_input input =
            container_input(pod_with("", spec, container, arena), &node);
        const char *message = container_refusal(&input, arena);
        if (!text_has_prefix(message, parts[from][1]))
            fail_msg("got %s, want %s", message, parts[from][1]);
    }
}

TEST_MAIN(TEST(the_stop_signal_waits_for_its_gate),
          TEST(every_mount_has_the_ids_of_the_user_namespace),
          TEST(identity_image_and_terminal_are_the_containers),
          TEST(commands_are_expanded_with_the_environment),
          TEST(mounts_come_in_order_and_own_files_last), TEST(sub_paths_are_asked_for_and_bound),
          TEST(mounts_that_cannot_be_are_refused), TEST(block_devices_are_refused_by_name),
          TEST(the_hosts_file_names_the_pod),
          TEST(a_pod_in_the_hosts_network_gets_the_hosts_file_of_the_node),
          TEST(the_hosts_file_is_left_alone_where_it_is_not_ours),
          TEST(log_folder_and_termination_log_are_named), TEST(the_first_error_is_upstreams_first))
