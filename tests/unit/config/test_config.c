#include "load.h"

#include "kube/codec.h"

#include "kubeletconfig.pb-c.h"

static struct config *load_text(const char *yaml, const char *line)
{
    char *dir = make_dir();
    AUTO(free) char *text = xasprintf(LOAD_HEADER "%s\n", yaml);
    AUTO(free) char *all = xasprintf("--config=%%/c.yaml %s", line);
    write_file(dir, "c.yaml", text);
    struct config *config = load_config(line[0] ? all : "--config=%/c.yaml", dir);
    remove_dir(dir);
    return config;
}

static const Kubeletconfig__KubeletConfiguration *kubelet_of(const struct config *config)
{
    return (const Kubeletconfig__KubeletConfiguration *)config->kubelet_configuration;
}

static const char *eviction_of(const struct config *config, const char *signal)
{
    for (size_t i = 0; i < config->eviction_hard.count; i++) {
        if (text_eq(config->eviction_hard.pairs[i].key, signal))
            return config->eviction_hard.pairs[i].value;
    }
    return NULL;
}

static bool is_inert(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->inert_count; i++) {
        if (text_eq(config->inert[i].name, name))
            return true;
    }
    return false;
}

TEST_CASE(the_recorded_file_loads)
{
    AUTO(free)
    char *line = xasprintf("--config=%s/config/kubelet-config.yaml --hostname-override=node-a",
                           getenv("CUBELET_TEST_DATA"));
    AUTO(config) struct config *config = load_config(line, NULL);
    assert_string_equal(config->static_pod_path, "/etc/kubernetes/manifests");
    assert_false(config->fail_swap_on);
    assert_false(config->fail_cgroup_v1);
    assert_int_equal(config->max_pods, 250);
    assert_string_equal(config->cluster_domain, "cluster.local");
    assert_string_equal(config->cluster_dns.items[0], "10.0.0.10");
    assert_int_equal(config->eviction_hard.count, 4);
    assert_string_equal(eviction_of(config, "nodefs.available"), "1%");
    assert_false(is_inert(config, "authentication.x509.clientCAFile"));
    assert_false(is_inert(config, "authorization.mode"));
    assert_false(is_inert(config, "maxPods"));
    assert_false(is_inert(config, "staticPodPath"));
}

TEST_CASE(logs_and_garbage_are_looked_after)
{
    static const char *const names[] = {"containerLogMaxSize",
                                        "containerLogMaxFiles",
                                        "containerLogMaxWorkers",
                                        "containerLogMonitorInterval",
                                        "--minimum-container-ttl-duration",
                                        "--maximum-dead-containers",
                                        "--maximum-dead-containers-per-container"};
    AUTO(config)
    struct config *config =
        load_text("containerLogMaxSize: 1Mi\ncontainerLogMaxFiles: 3\ncontainerLogMaxWorkers: 2\n"
                  "containerLogMonitorInterval: 4s",
                  "--minimum-container-ttl-duration=1m --maximum-dead-containers=7 "
                  "--maximum-dead-containers-per-container=2");
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (is_inert(config, names[i]))
            fail_msg("%s is without effect", names[i]);
    }
    assert_int_equal(config->container_log_max_size_bytes, 1 * MiB);
    assert_int_equal(config->container_log_max_files, 3);
    assert_int_equal(config->container_log_max_workers, 2);
    assert_int_equal(config->container_log_monitor_interval_ns, 4 * NS_PER_SEC);
    assert_int_equal(config->minimum_container_ttl_ns, 60 * NS_PER_SEC);
    assert_int_equal(config->maximum_dead_containers, 7);
    assert_int_equal(config->maximum_dead_containers_per_container, 2);
}

/* What a running kubelet shows at /configz for the recorded file with -v=4, apart from what it
 * fills in at run time: the serving certificate it made for itself. */
TEST_CASE(the_recorded_configz_is_reproduced)
{
    AUTO(free) char *path = path_join(getenv("CUBELET_TEST_DATA"), "recorded/http/configz.txt");
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf text = {0};
    buf_init(&text, MiB);
    assert_no_error(fd_read_file_blocking(path, &text));
    const char *start = strstr(buf_text(&text), "{\n  \"kind\"");
    assert_non_null(start);
    const char *end = strrchr(start, '}');
    struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *message = NULL;
    assert_no_error(kube_decode_json((struct str){.ptr = start, .len = (size_t)(end - start)},
                                     &kubeletconfig__kubelet_configuration__descriptor, &options,
                                     arena, &message));
    AUTO(free)
    char *line =
        xasprintf("--config=%s/config/kubelet-config.yaml -v=4", getenv("CUBELET_TEST_DATA"));
    AUTO(config) struct config *config = load_config(line, NULL);
    AUTO(buf) struct buf want = {0}, have = {0};
    buf_init(&want, MiB);
    buf_init(&have, MiB);
    kube_encode_json_pretty(message, NULL, &want);
    kube_encode_json_pretty(config->kubelet_configuration, NULL, &have);
    assert_string_equal(buf_text(&have), buf_text(&want));
}

/* A certificate of one's own, or one that is asked for, is named as it was given, or not at all. */
TEST_CASE(only_a_certificate_that_is_made_here_is_named_unasked)
{
    static const struct row {
        const char *yaml, *cert, *key;
    } rows[] = {
        {"", "/pki/kubelet.crt", "/pki/kubelet.key"},
        {"serverTLSBootstrap: true", NULL, NULL},
        {"tlsCertFile: /c.pem\ntlsPrivateKeyFile: /k.pem", "/c.pem", "/k.pem"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(config) struct config *config = load_text(rows[i].yaml, "--cert-dir=/pki");
        const char *cert = kubelet_of(config)->tls_cert_file;
        const char *key = kubelet_of(config)->tls_private_key_file;
        assert_string_equal(cert ? cert : "", rows[i].cert ? rows[i].cert : "");
        assert_string_equal(key ? key : "", rows[i].key ? rows[i].key : "");
    }
}

TEST_CASE(what_kubeadm_writes_means_the_defaults)
{
    AUTO(config)
    struct config *config =
        load_text("authentication: {anonymous: {enabled: false}, webhook: {cacheTTL: 0s, enabled: "
                  "true}, x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}}\n"
                  "authorization: {mode: Webhook, webhook: {cacheAuthorizedTTL: 0s, "
                  "cacheUnauthorizedTTL: 0s}}\n"
                  "cgroupDriver: systemd\ncontainerRuntimeEndpoint: \"\"\n"
                  "cpuManagerReconcilePeriod: 0s\ncrashLoopBackOff: {}\n"
                  "evictionPressureTransitionPeriod: 0s\nfileCheckFrequency: 0s\n"
                  "healthzBindAddress: 127.0.0.1\nhealthzPort: 10248\nhttpCheckFrequency: 0s\n"
                  "imageMaximumGCAge: 0s\nimageMinimumGCAge: 0s\n"
                  "logging: {flushFrequency: 0, options: {json: {infoBufferSize: \"0\"}, text: "
                  "{infoBufferSize: \"0\"}}, verbosity: 0}\n"
                  "memorySwap: {}\nnodeStatusReportFrequency: 0s\nnodeStatusUpdateFrequency: 0s\n"
                  "rotateCertificates: true\nruntimeRequestTimeout: 0s\nshutdownGracePeriod: 0s\n"
                  "shutdownGracePeriodCriticalPods: 0s\nstreamingConnectionIdleTimeout: 0s\n"
                  "syncFrequency: 0s\nvolumeStatsAggPeriod: 0s",
                  "");
    assert_int_equal(config->cgroup_driver, CONFIG_CGROUP_DRIVER_SYSTEMD);
    assert_int_equal(config->sync_frequency_ns, 60 * NS_PER_SEC);
    assert_int_equal(config->crash_loop_max_ns, 300 * NS_PER_SEC);
    assert_string_equal(config->runtime_endpoint, "unix:///run/containerd/containerd.sock");
    assert_int_equal(kubelet_of(config)->node_status_report_frequency->duration, 300 * NS_PER_SEC);
    assert_true(is_inert(config, "rotateCertificates"));
    assert_false(is_inert(config, "shutdownGracePeriod"));
    assert_false(is_inert(config, "logging.flushFrequency"));
}

TEST_CASE(zero_is_kept_only_where_absence_is_something_else)
{
    AUTO(config)
    struct config *config =
        load_text("healthzPort: 0\nregistryPullQPS: 0\nresolvConf: \"\"\nmaxPods: 0\n"
                  "eventBurst: 0\nkubeAPIQPS: 0\noomScoreAdj: 0\nfailSwapOn: false",
                  "");
    assert_int_equal(config->server.healthz_port, 0);
    assert_int_equal(config->registry_pull_qps, 0);
    assert_string_equal(config->resolv_conf, "");
    assert_int_equal(config->max_pods, 110);
    assert_int_equal(config->oom_score_adj, 0);
    assert_false(config->fail_swap_on);
    assert_int_equal(kubelet_of(config)->event_burst, 100);
    assert_int_equal(kubelet_of(config)->kube_api_qps, 0);
}

TEST_CASE(a_file_changes_the_defaults_of_the_old_days)
{
    AUTO(config) struct config *with = load_text("", "");
    AUTO(config) struct config *without = load_config("", NULL);
    assert_false(kubelet_of(with)->authentication->anonymous->enabled);
    assert_true(kubelet_of(without)->authentication->anonymous->enabled);
    assert_true(kubelet_of(with)->authentication->webhook->enabled);
    assert_false(kubelet_of(without)->authentication->webhook->enabled);
    assert_string_equal(kubelet_of(with)->authorization->mode, "Webhook");
    assert_string_equal(kubelet_of(without)->authorization->mode, "AlwaysAllow");
    assert_int_equal(kubelet_of(with)->read_only_port, 0);
    assert_int_equal(kubelet_of(without)->read_only_port, 10255);
    assert_int_equal(with->eviction_hard.count, 5);
    assert_int_equal(without->eviction_hard.count, 0);
}

TEST_CASE(eviction_thresholds_default_as_a_whole)
{
    AUTO(config) struct config *partial = load_text("evictionHard: {memory.available: 1Gi}", "");
    assert_int_equal(partial->eviction_hard.count, 1);
    AUTO(config) struct config *empty = load_text("evictionHard: {}", "");
    assert_int_equal(empty->eviction_hard.count, 0);
    AUTO(config)
    struct config *merged =
        load_text("evictionHard: {memory.available: 1Gi}\nmergeDefaultEvictionSettings: true", "");
    assert_int_equal(merged->eviction_hard.count, 5);
    assert_string_equal(eviction_of(merged, "memory.available"), "1Gi");
    assert_string_equal(eviction_of(merged, "nodefs.inodesFree"), "5%");
    AUTO(config) struct config *flag = load_text("", "--eviction-hard=memory.available<2Gi");
    assert_int_equal(flag->eviction_hard.count, 1);
}

TEST_CASE(flags_override_the_file_and_only_what_they_name)
{
    AUTO(config)
    struct config *config =
        load_text("maxPods: 50\npodsPerCore: 7\nclusterDNS: [1.1.1.1]\nfailSwapOn: false\n"
                  "featureGates: {EventedPLEG: true, MemoryQoS: true}\nlogging: {verbosity: 2}",
                  "--max-pods=60 --cluster-dns=2.2.2.2 --feature-gates=MemoryQoS=false");
    assert_int_equal(config->max_pods, 60);
    assert_int_equal(config->pods_per_core, 7);
    assert_int_equal(config->cluster_dns.count, 1);
    assert_string_equal(config->cluster_dns.items[0], "2.2.2.2");
    assert_false(config->fail_swap_on);
    assert_int_equal(config->log_verbosity, 2);
    assert_true(gate_is_enabled(&config->gates, GATE_EventedPLEG));
    assert_false(gate_is_enabled(&config->gates, GATE_MemoryQoS));
}

TEST_CASE(some_defaults_follow_other_fields)
{
    AUTO(config) struct config *report = load_text("nodeStatusUpdateFrequency: 20s", "");
    assert_int_equal(kubelet_of(report)->node_status_report_frequency->duration, 20 * NS_PER_SEC);
    AUTO(config) struct config *pulls = load_text("maxParallelImagePulls: 3", "");
    assert_false(pulls->serialize_image_pulls);
    assert_int_equal(pulls->max_parallel_image_pulls, 3);
    AUTO(config)
    struct config *ungated = load_text("featureGates: {KubeletCrashLoopBackOffMax: false}", "");
    assert_int_equal(ungated->crash_loop_max_ns, 300 * NS_PER_SEC);
    AUTO(config) struct config *nothing = load_text("enforceNodeAllocatable: []", "");
    assert_int_equal(nothing->enforce_node_allocatable, 0);
}

TEST_CASE(relative_paths_belong_to_the_file)
{
    char *dir = make_dir();
    write_file(dir, "etc/c.json",
               "{\"apiVersion\": \"kubelet.config.k8s.io/v1beta1\", \"kind\": "
               "\"KubeletConfiguration\", \"staticPodPath\": \"../manifests\", \"resolvConf\": "
               "\"\"}");
    AUTO(config) struct config *config = load_config("--config=%/etc/c.json", dir);
    AUTO(free) char *want = path_join(dir, "manifests");
    assert_string_equal(config->static_pod_path, want);
    assert_string_equal(config->resolv_conf, "");
    remove_dir(dir);
}

TEST_CASE(a_bad_file_is_refused_with_its_place)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "c.yaml\" was empty"},
        {"maxPods: 1\n", "no apiVersion/kind"},
        {"apiVersion: v1\nkind: Pod\n", "unknown apiVersion/kind: v1, Kind=Pod"},
        {LOAD_HEADER "maxPodz: 1\n", "c.yaml:3: "},
        {LOAD_HEADER "maxPodz: 1\n", "maxPodz"},
        {LOAD_HEADER "authentication:\n  x509: {clientCaFile: x}\n", "c.yaml:4: "},
        {LOAD_HEADER "authentication:\n  x509: {clientCaFile: x}\n",
         "authentication.x509.clientCaFile"},
        {LOAD_HEADER "maxPods: 1\nmaxPods: 2\n", "maxPods"},
        {LOAD_HEADER "maxPods: many\n", "c.yaml:3: maxPods: expected"},
        {LOAD_HEADER "syncFrequency: 10\n", "c.yaml:3: syncFrequency: expected a duration"},
        {LOAD_HEADER "featureGates: {Nothing: true}\n", "unrecognized feature gate: Nothing"},
        {LOAD_HEADER "a: [\n", "c.yaml:"},
    };
    char *dir = make_dir();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        write_file(dir, "c.yaml", rows[i].text);
        assert_load_fails("--config=%/c.yaml", dir, rows[i].want);
    }
    assert_load_fails("--config=%/none.yaml", dir, "failed to load kubelet config file, path: ");
    assert_load_fails("--config=%/none.yaml", dir, "No such file");
    remove_dir(dir);
}

TEST_MAIN(TEST(the_recorded_file_loads), TEST(logs_and_garbage_are_looked_after),
          TEST(the_recorded_configz_is_reproduced),
          TEST(only_a_certificate_that_is_made_here_is_named_unasked),
          TEST(what_kubeadm_writes_means_the_defaults),
          TEST(zero_is_kept_only_where_absence_is_something_else),
          TEST(a_file_changes_the_defaults_of_the_old_days),
          TEST(eviction_thresholds_default_as_a_whole),
          TEST(flags_override_the_file_and_only_what_they_name),
          TEST(some_defaults_follow_other_fields), TEST(relative_paths_belong_to_the_file),
          TEST(a_bad_file_is_refused_with_its_place))
