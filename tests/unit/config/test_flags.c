#include "load.h"

TEST_CASE(without_arguments_the_defaults_hold)
{
    AUTO(config) struct config *config = load_config("", NULL);
    assert_string_equal(config->root_dir, "/var/lib/kubelet");
    assert_string_equal(config->cert_dir, "/var/lib/kubelet/pki");
    assert_string_equal(config->pod_logs_dir, "/var/log/pods");
    assert_string_equal(config->local_socket_path, "/run/cubelet/cubelet.sock");
    assert_string_equal(config->runtime_endpoint, "unix:///run/containerd/containerd.sock");
    assert_string_equal(config->image_endpoint, config->runtime_endpoint);
    assert_string_equal(config->static_pod_path, "");
    assert_string_equal(config->resolv_conf, "/etc/resolv.conf");
    assert_string_equal(config->cgroup_root, "/");
    assert_string_equal(config->server.healthz_bind_address, "127.0.0.1");
    assert_int_equal(config->server.healthz_port, 10248);
    assert_int_equal(config->sync_frequency_ns, 60 * NS_PER_SEC);
    assert_int_equal(config->file_check_frequency_ns, 20 * NS_PER_SEC);
    assert_int_equal(config->runtime_request_timeout_ns, 120 * NS_PER_SEC);
    assert_int_equal(config->crash_loop_max_ns, 300 * NS_PER_SEC);
    assert_int_equal(config->cpu_cfs_quota_period_us, 100000);
    assert_int_equal(config->container_log_max_size_bytes, 10 * 1024 * 1024);
    assert_int_equal(config->container_log_max_files, 5);
    assert_int_equal(config->max_pods, 110);
    assert_int_equal(config->pod_pids_limit, -1);
    assert_int_equal(config->oom_score_adj, -999);
    assert_int_equal(config->maximum_dead_containers, -1);
    assert_int_equal(config->maximum_dead_containers_per_container, 1);
    assert_int_equal(config->enforce_node_allocatable, CONFIG_ENFORCE_PODS);
    assert_int_equal(config->image_pull_credentials_verification_policy,
                     CONFIG_PULL_NEVER_VERIFY_PRELOADED_IMAGES);
    assert_true(config->fail_cgroup_v1);
    assert_true(config->fail_swap_on);
    assert_true(config->serialize_image_pulls);
    assert_false(config->has_max_parallel_image_pulls);
    assert_false(config->has_single_process_oom_kill);
    assert_int_equal(config->eviction_hard.count, 0); /* only a file brings the default signals */
    assert_int_equal(config->inert_count, 0);
    assert_int_equal(config->deprecated.count, 0);
}

TEST_CASE(every_way_to_write_a_flag_is_understood)
{
    static const struct {
        const char *name, *line;
        int verbosity, max_pods;
        bool fail_swap_on;
    } rows[] = {
        {"equals", "--v=3 --max-pods=7", 3, 7, true},
        {"separate words", "--v 3 --max-pods 7", 3, 7, true},
        {"shorthand", "-v 3", 3, 110, true},
        {"shorthand with equals", "-v=3", 3, 110, true},
        {"shorthand joined", "-v3", 3, 110, true},
        {"underscores", "--max_pods=7", 0, 7, true},
        {"bare boolean", "--fail-swap-on", 0, 110, true},
        {"boolean with value", "--fail-swap-on=false", 0, 110, false},
        {"boolean spelled F", "--fail-swap-on=F", 0, 110, false},
        {"the last use wins", "--max-pods=1 --max-pods=2", 0, 2, true},
        {"nothing after dashes", "--max-pods=2 --", 0, 2, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].name);
        AUTO(config) struct config *config = load_config(rows[i].line, NULL);
        assert_int_equal(config->log_verbosity, rows[i].verbosity);
        assert_int_equal(config->max_pods, rows[i].max_pods);
        assert_int_equal(config->fail_swap_on, rows[i].fail_swap_on);
    }
}

TEST_CASE(mistakes_are_named)
{
    static const struct {
        const char *line, *want;
    } rows[] = {
        {"--x", "failed to parse kubelet flag: unknown flag: --x"},
        {"--pod-infra-container-image=x", "unknown flag: --pod-infra-container-image"},
        {"--max-pods-=1", "unknown flag: --max-pods-"},
        {"-x", "unknown shorthand flag: 'x' in -x"},
        {"-v", "flag needs an argument: 'v' in -v"},
        {"--max-pods", "flag needs an argument: --max-pods"},
        {"--=1", "bad flag syntax: --=1"},
        {"---v=1", "bad flag syntax: ---v=1"},
        {"pods", "unknown command pods"},
        {"--fail-swap-on false", "unknown command false"},
        {"-- x", "unknown command x"},
        {"--max-pods=x",
         "invalid argument \"x\" for \"--max-pods\" flag: strconv.ParseInt: parsing "
         "\"x\": invalid syntax"},
        {"--max-pods=99999999999", "value out of range"},
        {"--v=-1", "invalid argument \"-1\" for \"-v, --v\" flag: "},
        {"--fail-swap-on=yes", "strconv.ParseBool: parsing \"yes\": invalid syntax"},
        {"--sync-frequency=5", "for \"--sync-frequency\" flag: "},
        {"--address=host", "\"host\" is not a valid IP address"},
        {"--healthz-bind-address=1.2.3.999", "is not a valid IP address"},
        {"--system-reserved=cpu", "malformed pair, expect string=string"},
        {"--eviction-hard=memory.available=1Gi", "malformed pair, expect string<string"},
        {"--feature-gates=NodeSwap", "malformed pair, expect string=bool"},
        {"--feature-gates=NodeSwap=x", "invalid value of NodeSwap=x, err: strconv.ParseBool"},
        {"--feature-gates=Nothing=true", "unrecognized feature gate: Nothing"},
        {"--feature-gates=NodeSwap=false",
         "cannot set feature gate NodeSwap to false, feature is locked to true"},
        {"--register-with-taints=a=b:Never", "invalid taint effect: Never"},
        {"--reserved-memory=x", "invalid reserved memory"},
        {"--vmodule=x", "\"x\" does not have the pattern=N format"},
        {"--node-ip=1.2.3.4,5.6.7.8",
         "bad --node-ip \"1.2.3.4,5.6.7.8\": must contain either a single IP or a dual-stack pair "
         "of IPs"},
        {"--node-ip=fd00::1,fd00::2", "must contain either a single IP"},
        {"--node-ip=1.2.3.4,fd00::1,x,5.6.7.8", "must contain either a single IP"},
        {"--node-ip=0.0.0.0,fd00::1", "dual-stack node IP cannot include '0.0.0.0' or '::'"},
        {"--node-ip=1.2.3.4,::", "dual-stack node IP cannot include '0.0.0.0' or '::'"},
        {"--cloud-provider=aws", "unsupported value for --cloud-provider"},
        {"--root-dir=here", "--root-dir \"here\" must be an absolute path"},
        {"--node-labels=kubernetes.io/role=x",
         "unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels: "
         "[kubernetes.io/role]"},
        {"--node-labels=-x=1", "invalid node labels: '-x' - "},
        {"--runonce", "runOnce (--runonce) true"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_load_fails(rows[i].line, NULL, rows[i].want);
}

TEST_CASE(lists_and_maps_start_anew_and_then_grow)
{
    AUTO(config)
    struct config *config =
        load_config("--cluster-dns=10.0.0.10,10.0.0.11 --cluster-dns=fd00::10 "
                    "--system-reserved=memory=1Gi,cpu=100m --system-reserved=memory=2Gi "
                    "--enforce-node-allocatable=none --eviction-hard=memory.available<5% "
                    "--kube-reserved= --node-labels=a,b=c",
                    NULL);
    assert_int_equal(config->cluster_dns.count, 3);
    assert_string_equal(config->cluster_dns.items[2], "fd00::10");
    assert_int_equal(config->system_reserved.count, 2);
    assert_string_equal(config->system_reserved.pairs[0].key, "cpu");
    assert_string_equal(config->system_reserved.pairs[1].value, "2Gi");
    assert_int_equal(config->kube_reserved.count, 0);
    assert_int_equal(config->enforce_node_allocatable, 0);
    assert_int_equal(config->eviction_hard.count, 1);
    assert_string_equal(config->eviction_hard.pairs[0].key, "memory.available");
    assert_string_equal(config->eviction_hard.pairs[0].value, "5%");
}

TEST_CASE(lists_follow_the_rules_of_csv)
{
    static const struct {
        const char *value, *items; /* joined by "|"; NULL: refused */
    } rows[] = {
        {"", ""},
        {"a", "a"},
        {"a,b", "a|b"},
        {"a,", "a|"},
        {"\"a,b\",c", "a,b|c"},
        {"\"a\"\"b\"", "a\"b"},
        {"\"\"", ""},
        {"a\"b", NULL},
        {"\"a", NULL},
        {"\"a\"b", NULL},
        {",a", "|a"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(free) char *line = xasprintf("--cluster-dns=%s", rows[i].value);
        if (!rows[i].items) {
            assert_load_fails(line, NULL, "parse error on line 1");
            continue;
        }
        AUTO(config) struct config *config = load_config(line, NULL);
        AUTO(buf) struct buf joined = {0};
        buf_init(&joined, KiB);
        for (size_t k = 0; k < config->cluster_dns.count; k++)
            buf_printf(&joined, "%s%s", k ? "|" : "", config->cluster_dns.items[k]);
        assert_string_equal(buf_text(&joined), rows[i].items);
    }
    AUTO(free) char *commas = xcalloc(1, 2000);
    memset(commas, ',', 1999);
    AUTO(free) char *line = xasprintf("--cluster-dns=%s", commas);
    assert_load_fails(line, NULL, "more than 1024 elements");
}

TEST_CASE(values_are_brought_into_shape)
{
    AUTO(config)
    struct config *config = load_config(
        "--hostname-override=Node-A --node-ip=10.0.0.1,fd00::1 --root-dir=/a//b/ --resolv-conf= "
        "--pod-max-pids=-7 --cpu-cfs-quota-period=5ms --reserved-cpus=0-2,5 "
        "--system-reserved=cpu=9,memory=1Gi --kube-reserved=cpu=9 --seccomp-default "
        "--cgroups-per-qos=false --enforce-node-allocatable=none",
        NULL);
    assert_string_equal(config->hostname_override, "node-a");
    assert_int_equal(config->node_ips.count, 2);
    assert_string_equal(config->root_dir, "/a/b");
    assert_string_equal(config->resolv_conf, "");
    assert_int_equal(config->pod_pids_limit, -1);
    assert_int_equal(config->cpu_cfs_quota_period_us, 5000);
    assert_int_equal(config->system_reserved.count, 2);
    assert_string_equal(config->system_reserved.pairs[0].value, "4");
    assert_int_equal(config->kube_reserved.count, 0);
    assert_true(config->seccomp_default);
    assert_string_equal(config->cgroup_root, "");
}

TEST_CASE(node_ips_that_are_none_are_ignored_and_told)
{
    static const struct {
        const char *line, *first, *second, *ignored;
    } rows[] = {
        {"", NULL, NULL, NULL},
        {"--node-ip=", NULL, NULL, NULL},
        {"--node-ip=1.2.3.4", "1.2.3.4", NULL, NULL},
        {"--node-ip=fd00::1,1.2.3.4", "fd00::1", "1.2.3.4", NULL},
        {"--node-ip=::", "::", NULL, NULL},
        {"--node-ip=0.0.0.0", "0.0.0.0", NULL, NULL},
        {"--node-ip=1.2.3", NULL, NULL, "1.2.3"},
        {"--node-ip=1.2.3,1.2.3.4,eth0", "1.2.3.4", NULL, "1.2.3,eth0"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(config) struct config *config = load_config(rows[i].line, NULL);
        const struct config_list *ips = &config->node_ips;
        if (!text_eq(ips->count > 0 ? ips->items[0] : NULL, rows[i].first) ||
            !text_eq(ips->count > 1 ? ips->items[1] : NULL, rows[i].second) || ips->count > 2)
            fail_msg("%s: %zu addresses", rows[i].line, ips->count);
        assert_int_equal(config->warnings.count, rows[i].ignored ? 1 : 0);
        AUTO(free)
        char *want = xasprintf("Could not parse some node IP(s), ignoring them: %s",
                               rows[i].ignored ? rows[i].ignored : "");
        if (rows[i].ignored)
            assert_string_equal(config->warnings.items[0], want);
    }
}

TEST_CASE(relative_paths_start_at_the_working_directory)
{
    AUTO(config) struct config *config = load_config("--pod-manifest-path=a/../b", NULL);
    assert_true(path_is_absolute(config->static_pod_path));
    assert_true(text_has_suffix(config->static_pod_path, "/b"));
    assert_false(path_has_dotdot(config->static_pod_path));
}

TEST_CASE(flags_without_effect_and_deprecated_ones_are_told)
{
    AUTO(config)
    struct config *config =
        load_config("--sync-frequency=1m --lock-file=/x --pod-max-pids=5 --pod-max-pids=6", NULL);
    assert_int_equal(config->inert_count, 2);
    assert_string_equal(config->inert[0].name, "--lock-file");
    assert_string_equal(config->inert[1].name, "--sync-frequency");
    assert_string_equal(config->inert[1].source, "command line");
    assert_int_equal(config->deprecated.count, 3);
    assert_true(text_has_prefix(config->deprecated.items[0],
                                "Flag --sync-frequency has been deprecated, "));
}

TEST_CASE(help_and_version_come_first)
{
    struct config_result result;
    assert_no_error(load_result("--help --config=/nowhere", NULL, &result));
    assert_int_equal(result.outcome, CONFIG_HELP);
    assert_no_error(load_result("-h", NULL, &result));
    assert_int_equal(result.outcome, CONFIG_HELP);
    assert_no_error(load_result("--version", NULL, &result));
    assert_int_equal(result.outcome, CONFIG_VERSION_TEXT);
    assert_string_equal(result.version_text, "Kubernetes v1.36.2+cubelet." CUBELET_VERSION);
    free(result.version_text);
    assert_no_error(load_result("--version=raw", NULL, &result));
    assert_true(text_has_prefix(result.version_text, "version.Info{"));
    free(result.version_text);
    AUTO(config) struct config *off = load_config("--version=false", NULL);
    assert_int_equal(off->warnings.count, 0);
    AUTO(config) struct config *other = load_config("--version=v1.36.9", NULL);
    assert_int_equal(other->warnings.count, 1);
}

TEST_CASE(every_flag_value_can_be_logged)
{
    AUTO(config)
    struct config *config =
        load_config("--cluster-dns=1.1.1.1,2.2.2.2 --manifest-url-header=a:secret "
                    "--register-with-taints=k=v:NoSchedule,z --reserved-memory=0:memory=1Gi",
                    NULL);
    static const char *const want[] = {
        "--cluster-dns=\"[1.1.1.1,2.2.2.2]\"", "--manifest-url-header=\"a:<masked>\"",
        "--sync-frequency=\"1m0s\"",           "--eviction-hard=\"\"",
        "--read-only-port=\"10255\"",          "--register-with-taints=\"k=v:NoSchedule,z\"",
        "--log-flush-frequency=\"5s\"",        "--reserved-memory=\"0:memory=1Gi\"",
        "--anonymous-auth=\"true\"",           "--log-json-info-buffer-size=\"0\"",
    };
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        bool found = false;
        for (size_t k = 0; k < config->flag_values.count; k++)
            found = found || text_eq(config->flag_values.items[k], want[i]);
        if (!found)
            fail_msg("no %s", want[i]);
    }
}

TEST_MAIN(TEST(without_arguments_the_defaults_hold), TEST(every_way_to_write_a_flag_is_understood),
          TEST(mistakes_are_named), TEST(lists_and_maps_start_anew_and_then_grow),
          TEST(lists_follow_the_rules_of_csv), TEST(values_are_brought_into_shape),
          TEST(node_ips_that_are_none_are_ignored_and_told),
          TEST(relative_paths_start_at_the_working_directory),
          TEST(flags_without_effect_and_deprecated_ones_are_told),
          TEST(help_and_version_come_first), TEST(every_flag_value_can_be_logged))
