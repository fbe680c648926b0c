#include "pod_fixture.h"

static Cri__PodSandboxConfig *build(const Core__Pod *pod, const struct node_facts *node,
                                    struct config_notices *notices, struct arena *arena)
{
    static const char *const servers[] = {"192.0.2.53", NULL};
    static const char *const searches[] = {"host.example", "cluster.local", NULL};
    static const char *const options[] = {"rotate", "ndots:1", NULL};
    const struct resolv_conf resolv = {
        .servers = servers, .searches = searches, .options = options};
    const struct sandbox_config_input input = {
        .pod = pod, .node = node, .resolv = &resolv, .attempt = 2};
    struct config_notices unheard;
    Cri__PodSandboxConfig *config = NULL;
    assert_no_error(sandbox_config_build(&input, arena, notices ? notices : &unheard, &config));
    return config;
}

static void expect_error(const Core__Pod *pod, const struct node_facts *node, const char *want,
                         struct arena *arena)
{
    const struct sandbox_config_input input = {.pod = pod, .node = node};
    struct config_notices notices;
    Cri__PodSandboxConfig *config = NULL;
    assert_error_message(sandbox_config_build(&input, arena, &notices, &config), want);
    assert_null(config);
}

static const char *join(struct arena *arena, char **texts, size_t count)
{
    const char *all = "";
    for (size_t i = 0; i < count; i++)
        all = arena_printf(arena, "%s%s%s", all, i ? "," : "", texts[i]);
    return all;
}

TEST_CASE(the_host_name_follows_the_rules_of_the_pod)
{
    static const struct {
        const char *name, *spec, *want;
    } rows[] = {
        {"the pod's name", "", "web"},
        {"its own host name", "hostname: box", "box"},
        {"a subdomain alone changes nothing", "hostname: box, subdomain: sub", "box"},
        {"the full name on request", "subdomain: sub, setHostnameAsFQDN: true",
         "web.sub.default.svc.cluster.local"},
        {"no domain, no full name", "setHostnameAsFQDN: true", "web"},
        {"an override wins over everything",
         "hostnameOverride: a.b.example, hostname: box, subdomain: sub, setHostnameAsFQDN: true",
         "a.b.example"},
        {"none in the host's network", "hostNetwork: true", ""},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("  %s\n", rows[i].name);
        Core__Pod *pod = pod_with("", rows[i].spec, "", arena);
        assert_string_equal(build(pod, &node, NULL, arena)->hostname, rows[i].want);
    }
}

TEST_CASE(a_long_host_name_is_cut_before_its_dashes)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    Core__Pod *pod = pod_with("", "", "", arena);
    char name[80] = {0};
    memset(name, 'a', 60);
    memcpy(name + 60, "-.-tail", 8);
    pod->metadata->name = name;
    name[0] = 'b';
    const char *cut = arena_strndup(arena, name, 60);
    assert_string_equal(build(pod, &node, NULL, arena)->hostname, cut);
    memset(name, '-', 70);
    AUTO(error) struct error *err = NULL;
    struct pod_hostname hostname;
    err = pod_hostname_of(pod, "", arena, &hostname);
    assert_non_null(err);
    assert_non_null(strstr(err->message, "hostname for pod \""));
}

TEST_CASE(bad_host_names_are_refused)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    static const struct {
        const char *spec, *start;
    } rows[] = {
        {"hostname: Box", "pod Hostname \"Box\" is not a valid DNS label: "},
        {"subdomain: a.b", "pod Subdomain \"a.b\" is not a valid DNS label: "},
        {"hostnameOverride: ''", "pod HostnameOverride \"\" is not a valid DNS subdomain: "},
        {"hostnameOverride: a_b", "pod HostnameOverride \"a_b\" is not a valid DNS subdomain: "},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct sandbox_config_input input = {.pod = pod_with("", rows[i].spec, "", arena),
                                                   .node = &node};
        struct config_notices notices;
        Cri__PodSandboxConfig *config;
        AUTO(error) struct error *err = sandbox_config_build(&input, arena, &notices, &config);
        assert_non_null(err);
        assert_true(text_has_prefix(err->message, rows[i].start));
        assert_true(strlen(err->message) > strlen(rows[i].start));
    }
    expect_error(pod_with("",
                          "hostname: a123456789012345678901234567890123456789, subdomain: s, "
                          "setHostnameAsFQDN: true",
                          "", arena),
                 &node,
                 "failed to construct FQDN from pod hostname and cluster domain, FQDN "
                 "a123456789012345678901234567890123456789.s.default.svc.cluster.local is too long "
                 "(64 characters is "
                 "the max, 68 characters requested)",
                 arena);
}

TEST_CASE(dns_follows_the_policy)
{
    static const struct {
        const char *spec, *servers, *searches, *options;
    } rows[] = {
        {"dnsPolicy: ClusterFirst", "10.0.0.10",
         "default.svc.cluster.local,svc.cluster.local,cluster.local,host.example", "ndots:5"},
        {"dnsPolicy: Default", "192.0.2.53", "host.example,cluster.local", "rotate,ndots:1"},
        {"dnsPolicy: ClusterFirst, hostNetwork: true", "192.0.2.53", "host.example,cluster.local",
         "rotate,ndots:1"},
        {"dnsPolicy: ClusterFirstWithHostNet, hostNetwork: true", "10.0.0.10",
         "default.svc.cluster.local,svc.cluster.local,cluster.local,host.example", "ndots:5"},
        {"dnsPolicy: None", "", "", ""},
        {"dnsPolicy: Odd, hostNetwork: true", "10.0.0.10",
         "default.svc.cluster.local,svc.cluster.local,cluster.local,host.example", "ndots:5"},
        {"dnsPolicy: None, dnsConfig: {nameservers: [1.1.1.1, 1.1.1.1], searches: [a, b, a], "
         "options: [{name: ndots, value: '2'}, {name: edns0}]}",
         "1.1.1.1", "a,b", "ndots:2,edns0"},
        {"dnsPolicy: Default, dnsConfig: {nameservers: [1.1.1.1], searches: [host.example, x], "
         "options: [{name: ndots, value: '7'}, {name: rotate}, {name: debug, value: ''}]}",
         "192.0.2.53,1.1.1.1", "host.example,cluster.local,x", "rotate,ndots:7,debug"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct config_notices notices;
        const Cri__DNSConfig *dns =
            build(pod_with("", rows[i].spec, "", arena), &node, &notices, arena)->dns_config;
        print_message("  %s\n", rows[i].spec);
        assert_string_equal(join(arena, dns->servers, dns->n_servers), rows[i].servers);
        assert_string_equal(join(arena, dns->searches, dns->n_searches), rows[i].searches);
        assert_string_equal(join(arena, dns->options, dns->n_options), rows[i].options);
        assert_int_equal(notices.count, 0);
    }
}

TEST_CASE(without_cluster_dns_the_host_answers_and_people_hear_of_it)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    node.cluster_dns = NULL;
    struct config_notices notices;
    Core__Pod *pod = pod_with("", "", "", arena);
    const Cri__DNSConfig *dns = build(pod, &node, &notices, arena)->dns_config;
    assert_string_equal(join(arena, dns->servers, dns->n_servers), "192.0.2.53");
    assert_int_equal(notices.count, 1);
    assert_string_equal(notices.items[0].reason, "MissingClusterDNS");
    assert_string_equal(notices.items[0].message,
                        "pod: \"web_default(u-1)\". kubelet does not have ClusterDNS IP configured "
                        "and cannot create "
                        "Pod using \"ClusterFirst\" policy. Falling back to \"Default\" policy.");
    assert_string_equal(notices.items[0].node_message,
                        "kubelet does not have ClusterDNS IP configured and cannot create Pod "
                        "using \"ClusterFirst\" "
                        "policy. Falling back to \"Default\" policy.");
}

TEST_CASE(without_a_host_file_names_are_asked_of_the_machine_itself)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    const struct sandbox_config_input input = {.pod = pod_with("", "dnsPolicy: Default", "", arena),
                                               .node = &node};
    struct config_notices notices;
    Cri__PodSandboxConfig *config;
    assert_no_error(sandbox_config_build(&input, arena, &notices, &config));
    assert_string_equal(join(arena, config->dns_config->servers, config->dns_config->n_servers),
                        "127.0.0.1,::1");
    assert_string_equal(join(arena, config->dns_config->searches, config->dns_config->n_searches),
                        ".");
    node.node_ips = NULL;
    assert_no_error(sandbox_config_build(&input, arena, &notices, &config));
    assert_string_equal(join(arena, config->dns_config->servers, config->dns_config->n_servers),
                        "127.0.0.1");
}

TEST_CASE(no_cluster_domain_leaves_the_host_searches)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    node.cluster_domain = "";
    const Cri__DNSConfig *dns = build(pod_with("", "", "", arena), &node, NULL, arena)->dns_config;
    assert_string_equal(join(arena, dns->searches, dns->n_searches), "host.example,cluster.local");
    assert_string_equal(join(arena, dns->options, dns->n_options), "ndots:5");
}

static const struct config_notice *cut_by(const struct resolv_conf *resolv, struct arena *arena,
                                          Cri__DNSConfig **ret_dns)
{
    struct node_facts node = node_for_tests();
    const struct sandbox_config_input input = {
        .pod = pod_with("", "dnsPolicy: Default", "", arena), .node = &node, .resolv = resolv};
    struct config_notices *notices = arena_alloc(arena, sizeof(*notices));
    Cri__PodSandboxConfig *config;
    assert_no_error(sandbox_config_build(&input, arena, notices, &config));
    *ret_dns = config->dns_config;
    assert_true(notices->count <= 1);
    return notices->count ? &notices->items[0] : NULL;
}

TEST_CASE(servers_beyond_three_are_cut)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    static const char *const servers[] = {"1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4", NULL};
    const struct resolv_conf resolv = {.servers = servers};
    Cri__DNSConfig *dns;
    const struct config_notice *notice = cut_by(&resolv, arena, &dns);
    assert_non_null(notice);
    assert_int_equal(dns->n_servers, 3);
    assert_string_equal(notice->reason, "DNSConfigForming");
    assert_string_equal(notice->message, "Nameserver limits were exceeded, some nameservers have "
                                         "been omitted, the applied nameserver "
                                         "line is: 1.1.1.1 2.2.2.2 3.3.3.3");
}

TEST_CASE(search_paths_are_cut_to_number_path_and_line)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *paths[40] = {0};
    struct resolv_conf resolv = {.searches = paths};
    Cri__DNSConfig *dns;
    for (size_t i = 0; i < 32; i++)
        paths[i] = arena_printf(arena, "s%zu", i);
    assert_null(cut_by(&resolv, arena, &dns));
    paths[32] = "one-more";
    assert_non_null(cut_by(&resolv, arena, &dns));
    assert_int_equal(dns->n_searches, 32);

    char long_path[260] = {0};
    memset(long_path, 'x', 254);
    paths[0] = long_path;
    paths[1] = "kept";
    paths[2] = NULL;
    const struct config_notice *notice = cut_by(&resolv, arena, &dns);
    assert_non_null(notice);
    assert_string_equal(
        notice->message,
        "Search Line limits were exceeded, some search paths have been omitted, the applied search "
        "line is: kept");
    long_path[253] = '\0'; /* 253 bytes are fine */
    assert_null(cut_by(&resolv, arena, &dns));

    /* Eight paths of 253 and their seven blanks are 2031 bytes; 16 more and a blank make exactly
     * 2048. */
    for (size_t i = 0; i < 8; i++)
        paths[i] = arena_printf(arena, "%zu%s", i, long_path + 1);
    paths[8] = "0123456789abcdef";
    paths[9] = NULL;
    assert_null(cut_by(&resolv, arena, &dns));
    paths[8] = "0123456789abcdefg";
    assert_non_null(cut_by(&resolv, arena, &dns));
    assert_int_equal(dns->n_searches, 8);
}

TEST_CASE(cgroup_parents_follow_qos_and_driver)
{
    static const struct {
        const char *container, *root;
        bool systemd;
        const char *want;
    } rows[] = {
        {"resources: {limits: {cpu: '1', memory: 1Mi}}", "/", false, "/kubepods/podu-1"},
        {"resources: {requests: {cpu: '1'}}", "/", false, "/kubepods/burstable/podu-1"},
        {"", "/", false, "/kubepods/besteffort/podu-1"},
        {"", "/my/root/", false, "/my/root/kubepods/besteffort/podu-1"},
        {"resources: {limits: {cpu: '1', memory: 1Mi}}", "/", true,
         "/kubepods.slice/kubepods-podu_1.slice"},
        {"", "/", true,
         "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podu_1.slice"},
        {"resources: {requests: {cpu: '1'}}", "/a-b", true,
         "/a_b.slice/a_b-kubepods.slice/a_b-kubepods-burstable.slice/"
         "a_b-kubepods-burstable-podu_1.slice"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        node.cgroup_root = rows[i].root;
        node.cgroup_systemd_driver = rows[i].systemd;
        Core__Pod *pod = pod_with("", "", rows[i].container, arena);
        assert_string_equal(pod_cgroup_parent(pod, &node, arena), rows[i].want);
    }
    node.cgroups_per_qos = false;
    assert_string_equal(pod_cgroup_parent(pod_with("", "", "", arena), &node, arena), "");
}

TEST_CASE(ports_are_listed_once_each)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    Core__Pod *pod = pod_with(
        "", "",
        "ports: [{containerPort: 80}, {containerPort: 80}, {containerPort: 80, protocol: UDP}, "
        "{containerPort: 80, hostIP: 10.0.0.1}, {containerPort: 80, hostIP: '::1'}, "
        "{name: a, containerPort: 81}, {name: a, containerPort: 82}, "
        "{containerPort: 90, hostPort: 900, protocol: SCTP}, "
        "{containerPort: 91, protocol: ODD}]",
        arena);
    const Cri__PodSandboxConfig *config = build(pod, &node, NULL, arena);
    static const struct {
        Cri__Protocol protocol;
        int container_port, host_port;
        const char *ip;
    } want[] = {
        {CRI__PROTOCOL__TCP, 80, 0, ""},         {CRI__PROTOCOL__UDP, 80, 0, ""},
        {CRI__PROTOCOL__TCP, 80, 0, "10.0.0.1"}, {CRI__PROTOCOL__TCP, 80, 0, "::1"},
        {CRI__PROTOCOL__TCP, 81, 0, ""},         {CRI__PROTOCOL__SCTP, 90, 900, ""},
        {CRI__PROTOCOL__TCP, 91, 0, ""},
    };
    assert_int_equal(config->n_port_mappings, ARRAY_SIZE(want));
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        assert_int_equal(config->port_mappings[i]->protocol, want[i].protocol);
        assert_int_equal(config->port_mappings[i]->container_port, want[i].container_port);
        assert_int_equal(config->port_mappings[i]->host_port, want[i].host_port);
        assert_string_equal(config->port_mappings[i]->host_ip, want[i].ip);
    }
}

TEST_CASE(identity_overrides_labels_of_the_same_name)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    Core__Pod *pod = pod_with("labels: {app: x, io.kubernetes.pod.name: liar}, annotations: {a: b}",
                              "", "", arena);
    const Cri__PodSandboxConfig *config = build(pod, &node, NULL, arena);
    assert_int_equal(config->n_labels, 4);
    for (size_t i = 0; i < config->n_labels; i++)
        assert_string_not_equal(config->labels[i]->value, "liar");
    assert_int_equal(config->n_annotations, 1);
    assert_int_equal(config->metadata->attempt, 2);
    assert_string_equal(config->log_directory, "/var/log/pods/default_web_u-1");
}

TEST_CASE(sysctls_are_written_with_dots)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    Core__Pod *pod =
        pod_with("",
                 "securityContext: {sysctls: [{name: kernel/msg.max, value: '1'}, "
                 "{name: net.ipv4.conf.eth0/1.forwarding, value: '2'}, {name: plain, value: '3'}, "
                 "{name: kernel.msg/max, value: '4'}]}",
                 "", arena);
    const Cri__LinuxPodSandboxConfig *got = build(pod, &node, NULL, arena)->linux;
    static const char *const want[][2] = {
        {"net.ipv4.conf.eth0/1.forwarding", "2"}, {"plain", "3"}, {"kernel.msg/max", "4"}};
    assert_int_equal(got->n_sysctls, ARRAY_SIZE(want));
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        assert_string_equal(got->sysctls[i]->key, want[i][0]);
        assert_string_equal(got->sysctls[i]->value, want[i][1]);
    }
}

TEST_CASE(overhead_and_resources_stand_apart)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    node.cgroup_v2 = true;
    node.single_process_oom_kill = false;
    Core__Pod *pod =
        pod_with("", "overhead: {cpu: 250m, memory: 16Mi}",
                 "resources: {requests: {cpu: 100m}, limits: {cpu: 500m, memory: 64Mi}}", arena);
    const Cri__LinuxPodSandboxConfig *got = build(pod, &node, NULL, arena)->linux;
    assert_int_equal(got->resources->cpu_shares, 102);
    assert_int_equal(got->resources->cpu_quota, 50000);
    assert_int_equal(got->resources->cpu_period, 100000);
    assert_int_equal(got->resources->memory_limit_in_bytes, 64 * MiB);
    assert_int_equal(got->resources->n_unified, 1);
    assert_string_equal(got->resources->unified[0]->key, "memory.oom.group");
    assert_int_equal(got->resources->n_hugepage_limits, 0);
    assert_int_equal(got->overhead->cpu_shares, 256);
    assert_int_equal(got->overhead->cpu_quota, 25000);
    assert_int_equal(got->overhead->memory_limit_in_bytes, 16 * MiB);

    node.cpu_cfs_quota = false;
    got = build(pod_with("", "", "", arena), &node, NULL, arena)->linux;
    assert_int_equal(got->resources->cpu_period, 0);
    assert_int_equal(got->resources->cpu_shares, 2);
    assert_int_equal(got->overhead->cpu_shares, 0);
    assert_int_equal(got->overhead->n_unified, 0);
}

TEST_CASE(the_security_context_is_the_pods)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    Core__Pod *pod =
        pod_with("",
                 "hostIPC: true, shareProcessNamespace: true, securityContext: {runAsUser: 0, "
                 "runAsGroup: 5, fsGroup: 7, supplementalGroups: [8, 9], supplementalGroupsPolicy: "
                 "Strict, seLinuxOptions: {level: s0}, seccompProfile: {type: Unconfined}}, "
                 "initContainers: [{name: i, image: x, securityContext: {privileged: true}}]",
                 "", arena);
    static const int64_t extra[] = {100};
    const struct sandbox_config_input input = {
        .pod = pod, .node = &node, .extra_groups = extra, .n_extra_groups = 1};
    struct config_notices notices;
    Cri__PodSandboxConfig *config;
    assert_no_error(sandbox_config_build(&input, arena, &notices, &config));
    const Cri__LinuxSandboxSecurityContext *got = config->linux->security_context;
    assert_true(got->privileged);
    assert_int_equal(got->run_as_user->value, 0);
    assert_int_equal(got->run_as_group->value, 5);
    static const int64_t groups[] = {7, 100, 8, 9};
    assert_int_equal(got->n_supplemental_groups, ARRAY_SIZE(groups));
    assert_memory_equal(got->supplemental_groups, groups, sizeof(groups));
    assert_int_equal(got->supplemental_groups_policy, CRI__SUPPLEMENTAL_GROUPS_POLICY__Strict);
    assert_string_equal(got->selinux_options->level, "s0");
    assert_string_equal(got->selinux_options->user, "");
    assert_int_equal(got->seccomp->profile_type,
                     CRI__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault);
    assert_int_equal(got->namespace_options->ipc, CRI__NAMESPACE_MODE__NODE);
    assert_int_equal(got->namespace_options->pid, CRI__NAMESPACE_MODE__POD);
    assert_int_equal(got->namespace_options->network, CRI__NAMESPACE_MODE__POD);

    pod->spec->security_context = NULL;
    assert_no_error(sandbox_config_build(&input, arena, &notices, &config));
    assert_null(config->linux->security_context->namespace_options);
    assert_int_equal(config->linux->security_context->n_supplemental_groups, 0);
}

TEST_CASE(what_cannot_be_done_is_said)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    expect_error(pod_with("", "securityContext: {supplementalGroupsPolicy: Odd}", "", arena), &node,
                 "unsupported supplementalGroupsPolicy: Odd", arena);
}

TEST_CASE(user_namespaces_are_refused)
{
#define REFUSED "can't set `spec.hostUsers: false`, "
    static const struct {
        struct runtime_handler handler;
        const char *want;
    } rows[] = {
        {{0}, REFUSED "runtime does not support user namespaces"},
        {{.name = ""}, REFUSED "runtime does not support user namespaces"},
        {{.name = "", .is_unknown = true},
         REFUSED "runtime does not support user namespaces: the handler \"\" is not known"},
        {{.name = "kata"},
         REFUSED "RuntimeClass handler \"kata\" does not support user namespaces"},
        {{.name = "kata", .is_unknown = true},
         REFUSED "RuntimeClass handler \"kata\" does not support user namespaces: the handler "
                 "\"kata\" is not known"},
        {{.name = "kata", .user_namespaces = true}, REFUSED "the pod was given no ids"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    Core__Pod *pod = pod_with("", "hostUsers: false", "", arena);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct sandbox_config_input input = {
            .pod = pod, .node = &node, .handler = rows[i].handler};
        struct config_notices notices;
        Cri__PodSandboxConfig *config;
        assert_error_message(sandbox_config_build(&input, arena, &notices, &config), rows[i].want);
    }
}

TEST_CASE(user_namespaces_map_the_pods_ids)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    Core__Pod *pod = pod_with("", "hostUsers: false", "", arena);
    const struct sandbox_config_input input = {.pod = pod,
                                               .node = &node,
                                               .handler = {.user_namespaces = true},
                                               .userns = {.host_id = 131072, .length = 65536}};
    struct config_notices notices;
    Cri__PodSandboxConfig *config = NULL;
    assert_no_error(sandbox_config_build(&input, arena, &notices, &config));
    const Cri__UserNamespace *got =
        config->linux->security_context->namespace_options->userns_options;
    assert_int_equal(got->mode, CRI__NAMESPACE_MODE__POD);
    assert_int_equal(got->n_uids, 1);
    assert_int_equal(got->n_gids, 1);
    assert_int_equal(got->uids[0]->host_id, 131072);
    assert_int_equal(got->uids[0]->container_id, 0);
    assert_int_equal(got->uids[0]->length, 65536);
    assert_int_equal(got->gids[0]->host_id, 131072);
    assert_int_equal(got->gids[0]->container_id, 0);
    assert_int_equal(got->gids[0]->length, 65536);
}

TEST_MAIN(TEST(the_host_name_follows_the_rules_of_the_pod),
          TEST(a_long_host_name_is_cut_before_its_dashes), TEST(bad_host_names_are_refused),
          TEST(dns_follows_the_policy),
          TEST(without_cluster_dns_the_host_answers_and_people_hear_of_it),
          TEST(without_a_host_file_names_are_asked_of_the_machine_itself),
          TEST(no_cluster_domain_leaves_the_host_searches), TEST(servers_beyond_three_are_cut),
          TEST(search_paths_are_cut_to_number_path_and_line),
          TEST(cgroup_parents_follow_qos_and_driver), TEST(ports_are_listed_once_each),
          TEST(identity_overrides_labels_of_the_same_name), TEST(sysctls_are_written_with_dots),
          TEST(overhead_and_resources_stand_apart), TEST(the_security_context_is_the_pods),
          TEST(what_cannot_be_done_is_said), TEST(user_namespaces_are_refused),
          TEST(user_namespaces_map_the_pods_ids))
