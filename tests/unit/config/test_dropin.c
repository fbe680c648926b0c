#include "load.h"

#include "kubeletconfig.pb-c.h"

static const Kubeletconfig__KubeletConfiguration *kubelet_of(const struct config *config)
{
    return (const Kubeletconfig__KubeletConfiguration *)config->kubelet_configuration;
}

TEST_CASE(later_files_win_and_flags_win_over_all)
{
    char *dir = make_dir();
    write_file(dir, "c.yaml", LOAD_HEADER "maxPods: 1\npodsPerCore: 1\nclusterDomain: a\n");
    write_file(dir, "d/20-b.conf", LOAD_HEADER "maxPods: 3\npodsPerCore: 3\n");
    write_file(dir, "d/10-a.conf", LOAD_HEADER "maxPods: 2\nclusterDomain: b\n");
    write_file(dir, "d/15-sub/x.conf", LOAD_HEADER "clusterDomain: c\nmaxPods: 9\n");
    write_file(dir, "d/99.yaml", "this is skipped");
    AUTO(config)
    struct config *config =
        load_config("--config=%/c.yaml --config-dir=%/d --pods-per-core=5", dir);
    assert_int_equal(config->max_pods, 3);
    assert_int_equal(config->pods_per_core, 5);
    assert_string_equal(config->cluster_domain, "c");
    remove_dir(dir);
}

TEST_CASE(objects_merge_lists_replace_and_null_deletes)
{
    char *dir = make_dir();
    write_file(dir, "c.yaml",
               LOAD_HEADER
               "clusterDNS: [1.1.1.1, 2.2.2.2]\nsystemReserved: {cpu: \"1\", memory: 1Gi}\n"
               "registerWithTaints: [{key: a, effect: NoSchedule}]\nmaxPods: 5\n"
               "healthzPort: 0\nlogging: {verbosity: 3, flushFrequency: 7000000000}\n"
               "featureGates: {EventedPLEG: true}\n"
               "staticPodURLHeader: {a: [b, c]}\n");
    write_file(dir, "d/a.conf",
               LOAD_HEADER "clusterDNS: [3.3.3.3]\nsystemReserved: {cpu: null, pid: \"5\"}\n"
                           "registerWithTaints: []\nmaxPods: null\nlogging: {format: json}\n"
                           "evictionHard: {memory.available: 1Gi}\n"
                           "featureGates: {MemoryQoS: true}\n");
    AUTO(config) struct config *config = load_config("--config=%/c.yaml --config-dir=%/d", dir);
    assert_int_equal(config->cluster_dns.count, 1);
    assert_string_equal(config->cluster_dns.items[0], "3.3.3.3");
    assert_int_equal(config->system_reserved.count, 2);
    assert_string_equal(config->system_reserved.pairs[0].key, "memory");
    assert_string_equal(config->system_reserved.pairs[1].key, "pid");
    assert_int_equal(kubelet_of(config)->n_register_with_taints, 0);
    assert_int_equal(config->max_pods, 110);
    assert_int_equal(config->server.healthz_port, 0);
    assert_int_equal(config->log_verbosity, 3);
    assert_int_equal(config->log_format, CONFIG_LOG_JSON);
    assert_int_equal(config->eviction_hard.count, 5);
    assert_true(gate_is_enabled(&config->gates, GATE_EventedPLEG));
    assert_true(gate_is_enabled(&config->gates, GATE_MemoryQoS));
    assert_int_equal(kubelet_of(config)->static_pod_url_header[0]->value->n_items, 2);
    remove_dir(dir);
}

TEST_CASE(without_a_main_file_the_old_defaults_stay)
{
    char *dir = make_dir();
    write_file(dir, "d/a.conf",
               LOAD_HEADER "maxPods: 5\nserializeImagePulls: false\n"
                           "maxParallelImagePulls: 4\n");
    AUTO(config) struct config *config = load_config("--config-dir=%/d --pods-per-core=2", dir);
    assert_int_equal(config->max_pods, 5);
    assert_int_equal(config->pods_per_core, 2);
    assert_int_equal(config->eviction_hard.count, 0);
    assert_int_equal(kubelet_of(config)->read_only_port, 10255);
    assert_true(kubelet_of(config)->authentication->anonymous->enabled);
    assert_int_equal(config->inert_count, 0);
    remove_dir(dir);
}

TEST_CASE(fields_without_effect_name_their_file)
{
    char *dir = make_dir();
    write_file(dir, "d/a.conf", LOAD_HEADER "tracing: {samplingRatePerMillion: 5}\n");
    AUTO(config) struct config *config = load_config("--config-dir=%/d", dir);
    assert_int_equal(config->inert_count, 1);
    assert_string_equal(config->inert[0].name, "tracing.samplingRatePerMillion");
    assert_true(text_has_suffix(config->inert[0].source, "/d/a.conf"));
    assert_string_equal(kubelet_of(config)->tracing->endpoint, "localhost:4317");
    remove_dir(dir);
}

TEST_CASE(bad_directories_and_files_are_refused)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "was empty"},
        {"maxPods: 1\n", "no apiVersion/kind"},
        {"apiVersion: v1\nkind: Pod\n", "unknown apiVersion/kind"},
        {LOAD_HEADER "maxPodz: 1\n", "/d/a.conf:3: "},
        {LOAD_HEADER "maxPods: 1\nmaxPods: 1\n", "maxPods"},
        {LOAD_HEADER "podLogsDir: logs\n", "pod logs path \"logs\" must be absolute path"},
        {LOAD_HEADER "maxParallelImagePulls: 4\n", "maxParallelImagePulls cannot be larger than 1"},
    };
    char *dir = make_dir();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        write_file(dir, "d/a.conf", rows[i].text);
        assert_load_fails("--config-dir=%/d", dir, rows[i].want);
    }
    assert_load_fails("--config-dir=%/none", dir,
                      "failed to walk through kubelet dropin directory \"");
    remove_dir(dir);
}

TEST_MAIN(TEST(later_files_win_and_flags_win_over_all),
          TEST(objects_merge_lists_replace_and_null_deletes),
          TEST(without_a_main_file_the_old_defaults_stay),
          TEST(fields_without_effect_name_their_file), TEST(bad_directories_and_files_are_refused))
