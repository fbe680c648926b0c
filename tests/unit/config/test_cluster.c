/* struct config_cluster: what of the flags and the file makes a node a member of a cluster. */
#include "load.h"

#include <stddef.h>

static bool is_inert(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->inert_count; i++) {
        if (text_eq(config->inert[i].name, name))
            return true;
    }
    return false;
}

/* @yaml: the fields of a file, or NULL for a start without one. */
static struct config *load(const char *yaml, const char *flags)
{
    if (!yaml)
        return load_config(flags, NULL);
    char *dir = make_dir();
    AUTO(free) char *text = xasprintf(LOAD_HEADER "%s\n", yaml);
    AUTO(free) char *line = xasprintf("--config=%%/c.yaml%s%s", flags[0] ? " " : "", flags);
    write_file(dir, "c.yaml", text);
    struct config *config = load_config(line, dir);
    remove_dir(dir);
    return config;
}

enum kind { KIND_BOOL, KIND_I32, KIND_I64, KIND_STRATEGY, KIND_TEXT };

#define MEMBER(kind, name) kind, offsetof(struct config_cluster, name), #name

struct row {
    enum kind kind;
    size_t offset;
    const char *name;
    const char *yaml, *flags;
    int64_t want;
    const char *want_text;
};

static int64_t number_of(const struct row *row, const char *member)
{
    switch (row->kind) {
    case KIND_BOOL:
        return *(const bool *)(const void *)member;
    case KIND_I32:
        return *(const int32_t *)(const void *)member;
    case KIND_I64:
        return *(const int64_t *)(const void *)member;
    case KIND_STRATEGY:
        return *(const enum config_object_strategy *)(const void *)member;
    case KIND_TEXT:
        return strcmp(*(const char *const *)(const void *)member, row->want_text);
    }
    return -1;
}

static void check(const struct row *row)
{
    AUTO(config) struct config *config = load(row->yaml, row->flags);
    int64_t have = number_of(row, (const char *)&config->cluster + row->offset);
    if (have != row->want)
        fail_msg("%s with \"%s\" %s: %lld", row->name, row->yaml ? row->yaml : "", row->flags,
                 (long long)have);
    if (config->inert_count > 0)
        fail_msg("%s is without effect", config->inert[0].name);
}

#define SECONDS(n) ((n)*NS_PER_SEC)

TEST_CASE(every_field_has_its_default)
{
    static const struct row rows[] = {
        {MEMBER(KIND_TEXT, kubeconfig), .want_text = ""},
        {MEMBER(KIND_BOOL, is_cloud_external), .want = false},
        {MEMBER(KIND_BOOL, register_node), .want = true},
        {MEMBER(KIND_TEXT, provider_id), .want_text = ""},
        {MEMBER(KIND_BOOL, enable_controller_attach_detach), .want = true},
        {MEMBER(KIND_I32, kubelet_port), .want = 10250},
        {MEMBER(KIND_I64, node_status_update_frequency_ns), .want = SECONDS(10)},
        {MEMBER(KIND_I64, node_status_report_frequency_ns), .want = SECONDS(300)},
        {MEMBER(KIND_I32, node_lease_duration_s), .want = 40},
        {MEMBER(KIND_I32, node_status_max_images), .want = 50},
        {MEMBER(KIND_I32, kube_api_qps), .want = 50},
        {MEMBER(KIND_I32, kube_api_burst), .want = 100},
        {MEMBER(KIND_I32, event_record_qps), .want = 50},
        {MEMBER(KIND_I32, event_burst), .want = 100},
        {MEMBER(KIND_BOOL, is_json), .want = false},
        {MEMBER(KIND_STRATEGY, object_strategy), .want = CONFIG_OBJECTS_WATCH},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct row row = rows[i];
        row.flags = "";
        check(&row);
        row.yaml = "";
        check(&row);
    }
    AUTO(config) struct config *config = load("", "");
    assert_int_equal(config->cluster.node_labels.count, 0);
    assert_int_equal(config->cluster.n_register_with_taints, 0);
}

TEST_CASE(every_flag_sets_its_field)
{
    static const struct row rows[] = {
        {MEMBER(KIND_TEXT, kubeconfig), .flags = "--kubeconfig=/a//b/../c", .want_text = "/a/c"},
        {MEMBER(KIND_TEXT, kubeconfig), .flags = "--kubeconfig=", .want_text = ""},
        {MEMBER(KIND_BOOL, is_cloud_external), .flags = "--cloud-provider=external", .want = true},
        {MEMBER(KIND_BOOL, is_cloud_external), .flags = "--cloud-provider=", .want = false},
        {MEMBER(KIND_BOOL, register_node), .flags = "--register-node=false", .want = false},
        {MEMBER(KIND_TEXT, provider_id), .flags = "--provider-id=a://b", .want_text = "a://b"},
        {MEMBER(KIND_BOOL, enable_controller_attach_detach),
         .flags = "--enable-controller-attach-detach=false"},
        {MEMBER(KIND_I32, kubelet_port), .flags = "--port=10260", .want = 10260},
        {MEMBER(KIND_I64, node_status_update_frequency_ns),
         .flags = "--node-status-update-frequency=4s", .want = SECONDS(4)},
        {MEMBER(KIND_I64, node_status_report_frequency_ns),
         .flags = "--node-status-update-frequency=4s", .want = SECONDS(300)},
        {MEMBER(KIND_I32, node_status_max_images), .flags = "--node-status-max-images=-1",
         .want = -1},
        {MEMBER(KIND_I32, node_status_max_images), .flags = "--node-status-max-images=0"},
        {MEMBER(KIND_I32, kube_api_qps), .flags = "--kube-api-qps=7", .want = 7},
        {MEMBER(KIND_I32, kube_api_qps), .flags = "--kube-api-qps=0"},
        {MEMBER(KIND_I32, kube_api_burst), .flags = "--kube-api-burst=7", .want = 7},
        {MEMBER(KIND_I32, kube_api_burst), .flags = "--kube-api-burst=0"},
        {MEMBER(KIND_I32, event_record_qps), .flags = "--event-qps=7", .want = 7},
        {MEMBER(KIND_I32, event_record_qps), .flags = "--event-qps=0"},
        {MEMBER(KIND_I32, event_burst), .flags = "--event-burst=7", .want = 7},
        {MEMBER(KIND_BOOL, is_json), .flags = "--kube-api-content-type=application/json",
         .want = true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        check(&rows[i]);
}

TEST_CASE(every_field_of_a_file_sets_its_own)
{
    static const struct row rows[] = {
        {MEMBER(KIND_BOOL, register_node), "registerNode: false", "", false, NULL},
        {MEMBER(KIND_BOOL, register_node), "registerNode: false", "--register-node", true, NULL},
        {MEMBER(KIND_TEXT, provider_id), "providerID: a://b", "", 0, "a://b"},
        {MEMBER(KIND_BOOL, enable_controller_attach_detach), "enableControllerAttachDetach: false",
         "", false, NULL},
        {MEMBER(KIND_I32, kubelet_port), "port: 10260", "", 10260, NULL},
        {MEMBER(KIND_I32, kubelet_port), "port: 0", "", 10250, NULL},
        {MEMBER(KIND_I64, node_status_update_frequency_ns), "nodeStatusUpdateFrequency: 4s", "",
         SECONDS(4), NULL},
        {MEMBER(KIND_I64, node_status_report_frequency_ns), "nodeStatusReportFrequency: 1m", "",
         SECONDS(60), NULL},
        {MEMBER(KIND_I64, node_status_update_frequency_ns), "nodeStatusReportFrequency: 1m", "",
         SECONDS(10), NULL},
        /* The report follows the update when that alone is set in the file; a flag comes late. */
        {MEMBER(KIND_I64, node_status_report_frequency_ns), "nodeStatusUpdateFrequency: 4s", "",
         SECONDS(4), NULL},
        {MEMBER(KIND_I64, node_status_report_frequency_ns),
         "nodeStatusUpdateFrequency: 4s\nnodeStatusReportFrequency: 1m", "", SECONDS(60), NULL},
        {MEMBER(KIND_I64, node_status_report_frequency_ns),
         "nodeStatusUpdateFrequency: 0s\nnodeStatusReportFrequency: 0s", "", SECONDS(300), NULL},
        {MEMBER(KIND_I64, node_status_report_frequency_ns), "", "--node-status-update-frequency=4s",
         SECONDS(300), NULL},
        {MEMBER(KIND_I32, node_lease_duration_s), "nodeLeaseDurationSeconds: 12", "", 12, NULL},
        {MEMBER(KIND_I32, node_lease_duration_s), "nodeLeaseDurationSeconds: 0", "", 40, NULL},
        {MEMBER(KIND_I32, node_status_max_images), "nodeStatusMaxImages: -1", "", -1, NULL},
        {MEMBER(KIND_I32, node_status_max_images), "nodeStatusMaxImages: 0", "", 0, NULL},
        {MEMBER(KIND_I32, kube_api_qps), "kubeAPIQPS: 0", "", 0, NULL},
        {MEMBER(KIND_I32, kube_api_qps), "kubeAPIQPS: 7", "--kube-api-qps=8", 8, NULL},
        {MEMBER(KIND_I32, kube_api_burst), "kubeAPIBurst: 7", "", 7, NULL},
        {MEMBER(KIND_I32, kube_api_burst), "kubeAPIBurst: 0", "", 100, NULL},
        {MEMBER(KIND_I32, event_record_qps), "eventRecordQPS: 0", "", 0, NULL},
        {MEMBER(KIND_I32, event_burst), "eventBurst: 0", "", 100, NULL},
        {MEMBER(KIND_BOOL, is_json), "contentType: application/json", "", true, NULL},
        {MEMBER(KIND_BOOL, is_json), "contentType: \"\"", "", false, NULL},
        {MEMBER(KIND_STRATEGY, object_strategy), "configMapAndSecretChangeDetectionStrategy: Cache",
         "", CONFIG_OBJECTS_CACHE, NULL},
        {MEMBER(KIND_STRATEGY, object_strategy), "configMapAndSecretChangeDetectionStrategy: Get",
         "", CONFIG_OBJECTS_GET, NULL},
        {MEMBER(KIND_STRATEGY, object_strategy), "configMapAndSecretChangeDetectionStrategy: \"\"",
         "", CONFIG_OBJECTS_WATCH, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        check(&rows[i]);
}

TEST_CASE(what_cannot_be_is_refused)
{
    static const struct {
        const char *yaml, *want;
    } rows[] = {
        {"nodeLeaseDurationSeconds: -1", "nodeLeaseDurationSeconds must be greater than 0"},
        {"nodeStatusMaxImages: -2", "nodeStatusMaxImages"},
        {"kubeAPIQPS: -1", "kubeAPIQPS"},
        {"kubeAPIBurst: -1", "kubeAPIBurst"},
        {"eventRecordQPS: -1", "eventRecordQPS"},
        {"eventBurst: -1", "eventBurst"},
        {"port: 70000", "port (--port) 70000 must be between 1 and 65535, inclusive"},
        {"configMapAndSecretChangeDetectionStrategy: List",
         "configMapAndSecretChangeDetectionStrategy must be Watch, Cache or Get"},
        {"registerWithTaints: [{key: a, effect: Never}]", "invalid taint: {a  Never <nil>}"},
        {"registerWithTaints: [{key: a, effect: NoSchedule, timeAdded: \"2026-01-02T03:04:05Z\"}]",
         "invalid configuration: taint.TimeAdded is not nil"},
    };
    char *dir = make_dir();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(free) char *text = xasprintf(LOAD_HEADER "%s\n", rows[i].yaml);
        write_file(dir, "c.yaml", text);
        assert_load_fails("--config=%/c.yaml", dir, rows[i].want);
    }
    remove_dir(dir);
}

TEST_CASE(labels_are_a_map)
{
    static const struct config_pair want[] = {{"a/b", "3"}, {"empty", ""}, {"zone", "east"}};
    AUTO(config)
    struct config *config =
        load(NULL, "--node-labels=zone=west,a/b=3 --node-labels=empty=,zone=east");
    const struct config_map *labels = &config->cluster.node_labels;
    assert_int_equal(labels->count, ARRAY_SIZE(want));
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        assert_string_equal(labels->pairs[i].key, want[i].key);
        assert_string_equal(labels->pairs[i].value, want[i].value);
    }
    assert_false(is_inert(config, "--node-labels"));
}

static void assert_taint(const Core__Taint *taint, const char *key, const char *value,
                         const char *effect)
{
    assert_string_equal(taint->key, key);
    assert_string_equal(taint->value ? taint->value : "", value);
    assert_string_equal(taint->effect, effect);
    assert_null(taint->time_added);
}

TEST_CASE(taints_keep_their_order)
{
    AUTO(config)
    struct config *flags =
        load(NULL, "--register-with-taints=z=1:NoExecute,a:NoSchedule,m=x:PreferNoSchedule");
    assert_int_equal(flags->cluster.n_register_with_taints, 3);
    assert_taint(flags->cluster.register_with_taints[0], "z", "1", "NoExecute");
    assert_taint(flags->cluster.register_with_taints[1], "a", "", "NoSchedule");
    assert_taint(flags->cluster.register_with_taints[2], "m", "x", "PreferNoSchedule");

    static const char yaml[] = "registerWithTaints: [{key: z, effect: NoExecute}, {key: a, value: "
                               "b, effect: NoSchedule}]";
    AUTO(config) struct config *file = load(yaml, "");
    assert_int_equal(file->cluster.n_register_with_taints, 2);
    assert_taint(file->cluster.register_with_taints[0], "z", "", "NoExecute");
    assert_taint(file->cluster.register_with_taints[1], "a", "b", "NoSchedule");

    AUTO(config) struct config *both = load(yaml, "--register-with-taints=q:NoSchedule");
    assert_int_equal(both->cluster.n_register_with_taints, 1);
    assert_taint(both->cluster.register_with_taints[0], "q", "", "NoSchedule");
    assert_int_equal(both->inert_count, 0);
}

TEST_CASE(a_kubeconfig_below_the_working_directory_becomes_absolute)
{
    AUTO(config) struct config *config = load(NULL, "--kubeconfig=a/../b.conf");
    assert_true(path_is_absolute(config->cluster.kubeconfig));
    assert_true(text_has_suffix(config->cluster.kubeconfig, "/b.conf"));
    assert_false(path_has_dotdot(config->cluster.kubeconfig));
}

TEST_CASE(bootstrap_needs_a_kubeconfig_that_is_there)
{
    char *dir = make_dir();
    static const char missing[] = "cannot yet ask for its first certificate with "
                                  "--bootstrap-kubeconfig \"/b\"";
    assert_load_fails("--bootstrap-kubeconfig=/b --kubeconfig=%/k", dir, missing);
    assert_load_fails("--bootstrap-kubeconfig=/b --kubeconfig=%/k", dir, "/k\" does not exist");
    assert_load_fails("--bootstrap-kubeconfig=/b", dir,
                      "--bootstrap-kubeconfig \"/b\" comes without --kubeconfig");
    write_file(dir, "k", "");
    AUTO(config)
    struct config *there = load_config("--bootstrap-kubeconfig=/b --kubeconfig=%/k", dir);
    assert_int_equal(there->inert_count, 1);
    assert_string_equal(there->inert[0].name, "--bootstrap-kubeconfig");
    AUTO(config) struct config *empty = load_config("--bootstrap-kubeconfig=", NULL);
    assert_string_equal(empty->cluster.kubeconfig, "");
    remove_dir(dir);
}

TEST_CASE(what_has_no_effect_yet_says_so)
{
    static const struct {
        const char *yaml, *flags, *name;
    } rows[] = {
        {"rotateCertificates: true", "", "rotateCertificates"},
        {"podCIDR: 10.1.0.0/24", "", "podCIDR"},
        {NULL, "--rotate-certificates", "--rotate-certificates"},
        {NULL, "--lock-file=/x", "--lock-file"},
        {NULL, "--exit-on-lock-contention --lock-file=/x", "--exit-on-lock-contention"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(config) struct config *config = load(rows[i].yaml, rows[i].flags);
        if (!is_inert(config, rows[i].name))
            fail_msg("%s", rows[i].name);
    }
}

TEST_MAIN(TEST(every_field_has_its_default), TEST(every_flag_sets_its_field),
          TEST(every_field_of_a_file_sets_its_own), TEST(what_cannot_be_is_refused),
          TEST(labels_are_a_map), TEST(taints_keep_their_order),
          TEST(a_kubeconfig_below_the_working_directory_becomes_absolute),
          TEST(bootstrap_needs_a_kubeconfig_that_is_there), TEST(what_has_no_effect_yet_says_so))
