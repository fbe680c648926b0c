#include "tests/unit/node/node_bed.h"

/* What differs from the recorded node. */
struct given {
    struct config_pair system[2], kube[2], eviction[2]; /* those with a key count */
    int64_t hugepages_2mi_bytes;
    int64_t cpus;
    int64_t memory_bytes;
    int32_t max_pods, pods_per_core;
    bool ignores_eviction, no_disk;
};

static const struct row {
    const char *name;
    struct given given;
    const char *existing; /* of the status; NULL: a new node */
    const char *path;
    const char *want;
} rows[] = {
    {"nothing reserved", {.cpus = 0}, NULL, "status.allocatable.memory", "'24684092Ki'"},
    {"reserved twice",
     {.system = {{"memory", "100Mi"}}, .kube = {{"memory", "200Mi"}}},
     NULL,
     "status.allocatable.memory",
     "'24376892Ki'"},
    {"reserved and a threshold",
     {.system = {{"memory", "100Mi"}}, .eviction = {{"memory.available", "100Mi"}}},
     NULL,
     "status.allocatable.memory",
     "'24479292Ki'"},
    {"the threshold is left out",
     {.eviction = {{"memory.available", "100Mi"}}, .ignores_eviction = true},
     NULL,
     "status.allocatable.memory",
     "'24684092Ki'"},
    {"a share is a float32: 10% is 0.100000001",
     {.eviction = {{"nodefs.available", "10%"}}},
     NULL,
     "status.allocatable.ephemeral-storage",
     "'243497856212'"},
    {"0% is no threshold",
     {.eviction = {{"nodefs.available", "0%"}}},
     NULL,
     "status.allocatable.ephemeral-storage",
     "'264212084Ki'"},
    {"no multiple of 1024 is plain bytes",
     {.system = {{"memory", "1"}}},
     NULL,
     "status.allocatable.memory",
     "'25276510207'"},
    {"suffixes are the largest that fit",
     {.memory_bytes = INT64_C(4) << 30, .system = {{"memory", "1Gi"}}},
     NULL,
     "status.allocatable.memory",
     "'3Gi'"},
    {"cpu in thousandths",
     {.system = {{"cpu", "90m"}}, .kube = {{"cpu", "0.5"}}},
     NULL,
     "status.allocatable.cpu",
     "'1410m'"},
    {"whole cpus", {.system = {{"cpu", "1"}}}, NULL, "status.allocatable.cpu", "'1'"},
    {"more reserved than there is",
     {.kube = {{"cpu", "3"}}},
     NULL,
     "status.allocatable.cpu",
     "'0'"},
    {"memory too", {.kube = {{"memory", "100Gi"}}}, NULL, "status.allocatable.memory", "'0'"},
    {"disk",
     {.kube = {{"ephemeral-storage", "1Gi"}}},
     NULL,
     "status.allocatable.ephemeral-storage",
     "'263163508Ki'"},
    {"pids are no resource of a node",
     {.kube = {{"pid", "5"}}},
     NULL,
     "status.allocatable.pid",
     "absent"},
    {"huge pages are no memory",
     {.hugepages_2mi_bytes = INT64_C(1) << 30},
     NULL,
     "status.allocatable",
     "{'cpu':'2','ephemeral-storage':'264212084Ki','hugepages-1Gi':'0','hugepages-2Mi':'1Gi','"
     "memory':'23635516Ki','pods':'250'}"},
    {"nothing but huge pages",
     {.hugepages_2mi_bytes = INT64_C(1) << 40},
     NULL,
     "status.allocatable.memory",
     "'0'"},
    {"disk is not isolated",
     {.no_disk = true},
     NULL,
     "status.capacity.ephemeral-storage",
     "absent"},
    {"pods per core", {.pods_per_core = 10}, NULL, "status.capacity.pods", "'20'"},
    {"pods per core, limited",
     {.pods_per_core = 10, .max_pods = 15},
     NULL,
     "status.capacity.pods",
     "'15'"},
    {"many cpus", {.cpus = 1000}, NULL, "status.capacity.cpu", "'1k'"},
    {"many pods", {.max_pods = 2000}, NULL, "status.capacity.pods", "'2k'"},
    {"amounts of others stay and may be had",
     {.cpus = 0},
     "{'capacity':{'vendor.com/gpu':'4','odd':'-1'},'allocatable':{'vendor.com/gpu':'1'}}",
     "status.allocatable",
     "{'cpu':'2','ephemeral-storage':'264212084Ki','hugepages-1Gi':'0','hugepages-2Mi':'0','memory'"
     ":'24684092Ki','odd':'0','pods':'250','vendor.com/gpu':'4'}"},
    {"an extended resource without capacity goes",
     {.cpus = 0},
     "{'capacity':{'cpu':'2'},'allocatable':{'vendor.com/gpu':'1','plain':'2'}}",
     "status.allocatable",
     "{'cpu':'2','ephemeral-storage':'264212084Ki','hugepages-1Gi':'0','hugepages-2Mi':'0','memory'"
     ":'24684092Ki','plain':'2','pods':'250'}"},
    {"huge pages of a size that is gone still are no memory",
     {.cpus = 0},
     "{'capacity':{'hugepages-64Ki':'92Ki'}}",
     "status.allocatable.memory",
     "'24684000Ki'"},
    {"amounts of before are those of now",
     {.cpus = 0},
     "{'capacity':{'cpu':'8','memory':'1Ki','pods':'1'},'allocatable':{'cpu':'7'}}",
     "status.capacity",
     "{'cpu':'2','ephemeral-storage':'264212084Ki','hugepages-1Gi':'0','hugepages-2Mi':'0','memory'"
     ":'24684092Ki','pods':'250'}"},
};

static struct config_map map_of(const struct config_pair pairs[static 2])
{
    return (struct config_map){.count = (pairs[0].key ? 1U : 0U) + (pairs[1].key ? 1U : 0U),
                               .pairs = pairs};
}

static void apply_given(struct node_bed *bed, const struct given *given)
{
    bed->config.system_reserved = map_of(given->system);
    bed->config.kube_reserved = map_of(given->kube);
    bed->config.eviction_hard = map_of(given->eviction);
    bed->config.allocatable_ignores_eviction = given->ignores_eviction;
    bed->config.local_storage_capacity_isolation = !given->no_disk;
    bed->config.pods_per_core = given->pods_per_core;
    bed->machine.hugepages[0].capacity_bytes = given->hugepages_2mi_bytes;
    if (given->max_pods)
        bed->config.max_pods = given->max_pods;
    if (given->cpus)
        bed->machine.cpus = given->cpus;
    if (given->memory_bytes)
        bed->machine.memory_bytes = given->memory_bytes;
}

TEST_CASE(amounts_are_those_of_the_machine_less_what_is_reserved)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *row = &rows[i];
        AUTO(bed) struct node_bed bed;
        bed_init(&bed);
        apply_given(&bed, &row->given);
        const char *status = row->existing ? row->existing : "{}";
        const Core__Node *before = bed_node(&bed, arena_printf(bed.arena, "{'status':%s}", status));
        const char *got =
            bed_part(&bed, node_status_update(&bed.input, before, bed.arena), row->path);
        if (strcmp(got, row->want) != 0)
            fail_msg("%s: got\n%s\nwant\n%s", row->name, got, row->want);
    }
}

TEST_MAIN(TEST(amounts_are_those_of_the_machine_less_what_is_reserved))
