/*
 * Made-up records: a root with a disk and a tmpfs, the root of the pods, and one pod with its
 * sandbox and a container.
 */
#pragma once

#include "stats/records_build.h"
#include "tests/lib/test.h"

#define FIXTURE_SECOND INT64_C(1795230484)
#define FIXTURE_NOW_NS (FIXTURE_SECOND * NS_PER_SEC + 710 * NS_PER_MS)
#define FIXTURE_POD "/kubepods/pod1"
#define FIXTURE_CONTAINER FIXTURE_POD "/c1"
#define FIXTURE_SANDBOX FIXTURE_POD "/s1"
enum { FIXTURE_ROOT, FIXTURE_PODS, FIXTURE_POD_CGROUP, FIXTURE_C, FIXTURE_S, FIXTURE_COUNT };

struct records_fixture {
    struct arena *arena; /* owned by the records once they are built */
    struct stats_records content;
    struct stats_record *items; /* FIXTURE_COUNT of them, by the names above */
};

static const struct stats_disk fixture_disks[] = {
    {.major = 254, .name = "vda", .reads = 7, .read_ms = 134817, .sectors_read = 15, .write_ms = 1},
    {.major = 259, .name = "nvme0n1", .reads = 3, .io_ms = 1500},
};
static const struct stats_interface fixture_interfaces[] = {
    {.name = "eth0", .rx_bytes = 100, .tx_errors = 5},
    {.name = "cnib0", .rx_bytes = 1},
};

static inline struct stats_record fixture_record(enum stats_kind kind, const char *path)
{
    struct stats_record record = {.kind = kind,
                                  .path = path,
                                  .id = "",
                                  .pod_uid = "",
                                  .pod = "",
                                  .namespace = "",
                                  .container = "",
                                  .image = "",
                                  .name = "",
                                  .sample_ns = FIXTURE_NOW_NS,
                                  .figures = {.created_ns = FIXTURE_SECOND * NS_PER_SEC,
                                              .has_cpu = true,
                                              .has_memory = true,
                                              .cpu = {.total_ns = 1500000000,
                                                      .user_ns = 1000000000,
                                                      .shares = 1024,
                                                      .period_us = 100000},
                                              .memory = {.usage_bytes = 2000,
                                                         .limit_bytes = UINT64_MAX,
                                                         .reservation_bytes = UINT64_MAX,
                                                         .swap_limit_bytes = UINT64_MAX}}};
    if (kind == STATS_ROOT || kind == STATS_SLICE)
        return record;
    record.pod_uid = "1";
    record.pod = "web";
    record.namespace = "default";
    return record;
}

static inline void fixture_set_process(struct stats_record *record)
{
    record->figures.processes = 1;
    record->figures.has_open_files = record->figures.has_ulimit = true;
    record->figures.open_files_limit = 1024;
    record->figures.descriptors = 3;
}

static inline void fixture_set_network(struct stats_record *record)
{
    record->has_network = true;
    record->n_interfaces = ARRAY_SIZE(fixture_interfaces);
    record->interfaces = fixture_interfaces;
}

static inline void fixture_set_quota(struct stats_record *record)
{
    struct cgroup_cpu_figures *cpu = &record->figures.cpu;
    cpu->has_quota = true;
    cpu->quota_us = 15000;
    cpu->periods = 11;
    cpu->throttled_ns = 29486673;
    record->figures.memory.limit_bytes = 50331648;
}

static inline void records_fixture_init(struct records_fixture *fixture)
{
    static const struct stats_filesystem filesystems[] = {
        {.device = "/dev/shm", .capacity_bytes = 4096, .free_bytes = 4096},
        {.device = "/dev/vda",
         .disk = &fixture_disks[0],
         .capacity_bytes = 1000,
         .free_bytes = 400,
         .available_bytes = 300,
         .inodes = 50,
         .inodes_free = 20},
    };
    *fixture = (struct records_fixture){.arena = arena_new(0)};
    fixture->items = arena_calloc(fixture->arena, FIXTURE_COUNT, sizeof(*fixture->items));
    struct stats_record *items = fixture->items;
    items[FIXTURE_ROOT] = fixture_record(STATS_ROOT, "/");
    items[FIXTURE_ROOT].filesystems = filesystems;
    items[FIXTURE_ROOT].n_filesystems = ARRAY_SIZE(filesystems);
    items[FIXTURE_PODS] = fixture_record(STATS_SLICE, "/kubepods");
    items[FIXTURE_PODS].roles = 1U << STATS_ROLE_PODS;
    items[FIXTURE_POD_CGROUP] = fixture_record(STATS_POD, FIXTURE_POD);
    items[FIXTURE_C] = fixture_record(STATS_CONTAINER, FIXTURE_CONTAINER);
    items[FIXTURE_C].container = "c";
    items[FIXTURE_C].id = items[FIXTURE_C].name = "c1";
    items[FIXTURE_C].image = "docker.io/library/busybox:1.36";
    items[FIXTURE_S] = fixture_record(STATS_SANDBOX, FIXTURE_SANDBOX);
    items[FIXTURE_S].id = items[FIXTURE_S].name = "s1";
    items[FIXTURE_S].image = "registry.k8s.io/pause:3.10";
    static const int with_process[] = {FIXTURE_ROOT, FIXTURE_C, FIXTURE_S};
    for (size_t i = 0; i < ARRAY_SIZE(with_process); i++)
        fixture_set_process(&items[with_process[i]]);
    fixture_set_network(&items[FIXTURE_ROOT]);
    fixture_set_network(&items[FIXTURE_S]);
    fixture_set_quota(&items[FIXTURE_POD_CGROUP]);
    fixture_set_quota(&items[FIXTURE_C]);
    fixture->content = (struct stats_records){
        .taken_ns = FIXTURE_NOW_NS,
        .machine = {.machine_id = "m",
                    .system_uuid = "u",
                    .boot_id = "b",
                    .kernel_version = "6.18",
                    .os_version = "Debian",
                    .cpu_cores = 2,
                    .cpu_physical_cores = 2,
                    .cpu_sockets = 1,
                    .memory_bytes = 25276510208},
        .n_disks = ARRAY_SIZE(fixture_disks),
        .disks = fixture_disks,
        .count = FIXTURE_COUNT,
    };
}

static inline struct stats_records *records_fixture_build(struct records_fixture *fixture)
{
    return stats_records_build(&fixture->content, fixture->items, TAKE(fixture->arena));
}
