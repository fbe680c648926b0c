#include "node/node_status_internal.h"
#include "tests/unit/node/node_bed.h"

static const struct version_row {
    const char *version;
    const char *want;
} version_rows[] = {
    {"2.1.9+unknown", "containerd://2.1.9+unknown"},
    {"v1.7.22", "containerd://1.7.22"},
    {"  v2.0.0", "containerd://2.0.0"},
    {"1.30.0-dev", "containerd://1.30.0-dev"},
    {"1.2.3-rc.1+build.5", "containerd://1.2.3-rc.1+build.5"},
    {"1.2.3+a-b \n", "containerd://1.2.3+a-b"},
    {"1.6.20~ds1", "containerd://1.6.20"},
    {"1.2.3-rc..1", "containerd://1.2.3"},
    {"1.2.3-01", "containerd://1.2.3"},
    {"1.2.3-0", "containerd://1.2.3-0"},
    {"1.2.3-", "containerd://1.2.3"},
    {"1.2.3+", "containerd://1.2.3"},
    {"1.2.3.4-rc1", "containerd://1.2.3.4"},
    {"1.2", "containerd://1.2"},
    {"20.010.1", "containerd://20.10.1"},
    {"1.2.", "containerd://1.2"},
    {"01.2.3", "containerd://Unknown"},
    {"1", "containerd://Unknown"},
    {"", "containerd://Unknown"},
    {"a1.2.3", "containerd://Unknown"},
    {"1.99999999999999999999.3", "containerd://Unknown"},
    {NULL, "containerd://Unknown"},
};

TEST_CASE(the_runtime_is_shown_by_name_and_version)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(version_rows); i++) {
        const struct version_row *row = &version_rows[i];
        const char *got = node_runtime_version("containerd", row->version, arena);
        if (strcmp(got, row->want) != 0)
            fail_msg("%s: got %s, want %s", row->version, got, row->want);
    }
    assert_string_equal(node_runtime_version(NULL, "1.2.3", arena), "://1.2.3");
}

TEST_CASE(swap_is_told_when_there_is_any)
{
    AUTO(bed) struct node_bed bed;
    bed_init(&bed);
    const Core__Node *node = node_object_initial(&bed.input, bed.arena);
    assert_string_equal(bed_part(&bed, node, "status.nodeInfo.swap"), "absent");
    bed.machine.swap_bytes = 4096;
    node = node_status_update(&bed.input, node, bed.arena);
    assert_string_equal(bed_part(&bed, node, "status.nodeInfo.swap"), "{'capacity':4096}");
    bed.machine.swap_bytes = 0;
    node = node_status_update(&bed.input, node, bed.arena);
    assert_string_equal(bed_part(&bed, node, "status.nodeInfo.swap"), "absent");
}

TEST_CASE(what_is_unknown_is_empty)
{
    AUTO(bed) struct node_bed bed;
    bed_init(&bed);
    bed.machine.machine_id = bed.machine.system_uuid = bed.machine.boot_id = "";
    bed.machine.architecture = "arm64";
    bed.input.runtime_version = NULL;
    const Core__Node *node = node_object_initial(&bed.input, bed.arena);
    assert_string_equal(
        bed_part(&bed, node, "status.nodeInfo"),
        "{'architecture':'arm64','bootID':'','containerRuntimeVersion':'containerd://Unknown','"
        "kernelVersion':'6.18.44-fc-v657','kubeProxyVersion':'','kubeletVersion':'" CONFIG_VERSION
        "','"
        "machineID':'','operatingSystem':'linux','osImage':'Debian GNU/Linux 12 "
        "(bookworm)','systemUUID':''}");
}

TEST_MAIN(TEST(the_runtime_is_shown_by_name_and_version), TEST(swap_is_told_when_there_is_any),
          TEST(what_is_unknown_is_empty))
