#include "stats/summary_build.h"

#include "recorded_summary.h"
#include "stats/records_build.h"
#include "stats/summary_json.h"
#include "tests/lib/tempdir.h"
#include "wire/json.h"

#define SAMPLE_NS (1000 * NS_PER_SEC)
#define CRI_NS (2000 * NS_PER_SEC)
#define NOW_NS (3000 * NS_PER_SEC)
#define NO_LIMIT UINT64_MAX
#define MAX_RECORDS 8

/* --- what a summary is made from --- */

struct bench {
    char *dir; /* owned; holds root/, logs/ and proc/ */
    struct arena *arena;
    struct stats_record records[MAX_RECORDS];
    size_t record_count;
    struct stats_records *snapshot;
    struct listed_container containers[4];
    struct listed_pod pod;
    struct summary_listing listing;
    const char *mounts[1];
    struct summary_disk *disk;
    struct volume_stats_pod volumes;
    const struct volume_stats_pod *pod_volumes[1];
    struct summary_parts parts;
};

static void write_at(const struct bench *bench, const char *name, const char *text)
{
    AUTO(free) char *path = path_join(bench->dir, name);
    AUTO(free) char *parent = path_dir(path);
    assert_no_error(fd_mkdir_all(parent, 0700));
    assert_no_error(fd_write_file_blocking(path, str_from(text), 0600));
}

static const char *at(const struct bench *bench, const char *name)
{
    return arena_printf(bench->arena, "%s/%s", bench->dir, name);
}

static struct stats_record *add_record(struct bench *bench, enum stats_kind kind, const char *path)
{
    static const struct stats_interface interfaces[] = {
        {.name = "cnib0", .rx_bytes = 1},
        {.name = "eth0", .rx_bytes = 5, .rx_errors = 6, .tx_bytes = 7, .tx_errors = 8},
    };
    struct stats_record *record = &bench->records[bench->record_count++];
    *record = (struct stats_record){.kind = kind,
                                    .path = path,
                                    .id = "",
                                    .pod_uid = "",
                                    .pod = "",
                                    .namespace = "",
                                    .container = "",
                                    .image = "",
                                    .name = "",
                                    .sample_ns = SAMPLE_NS,
                                    .cpu_nanocores = 11,
                                    .figures = {.created_ns = 500 * NS_PER_SEC,
                                                .has_cpu = true,
                                                .has_memory = true,
                                                .has_io = true,
                                                .cpu = {.total_ns = 12},
                                                .memory = {.usage_bytes = 13,
                                                           .working_set_bytes = 14,
                                                           .rss_bytes = 15,
                                                           .page_faults = 16,
                                                           .major_page_faults = 17,
                                                           .tree_page_faults = 99,
                                                           .swap_bytes = 18,
                                                           .limit_bytes = NO_LIMIT,
                                                           .swap_limit_bytes = NO_LIMIT},
                                                .has_processes = true,
                                                .processes = 2}};
    if (kind == STATS_ROOT || kind == STATS_SANDBOX) {
        record->has_network = true;
        record->n_interfaces = ARRAY_SIZE(interfaces);
        record->interfaces = interfaces;
    }
    return record;
}

static struct listed_container *add_container(struct bench *bench, const char *id, const char *name)
{
    static const struct summary_cpu cpu = {
        .time_ns = CRI_NS, .usage_nano_cores = {true, 21}, .usage_core_nanos = {true, 22}};
    static const struct summary_memory memory = {.time_ns = CRI_NS,
                                                 .available_bytes = {true, 0},
                                                 .usage_bytes = {true, 23},
                                                 .working_set_bytes = {true, 24},
                                                 .rss_bytes = {true, 25},
                                                 .page_faults = {true, 26},
                                                 .major_page_faults = {true, 27}};
    static const struct summary_io io = {.time_ns = CRI_NS};
    static const struct summary_swap swap = {
        .time_ns = CRI_NS, .available_bytes = {true, 28}, .usage_bytes = {true, 29}};
    static const struct summary_fs rootfs = {
        .time_ns = CRI_NS, .used_bytes = {true, 1000}, .inodes_used = {true, 10}};
    struct listed_container *container = &bench->containers[bench->pod.container_count++];
    *container = (struct listed_container){.id = id,
                                           .name = name,
                                           .created_ns = 700 * NS_PER_SEC,
                                           .cpu = &cpu,
                                           .memory = &memory,
                                           .io = &io,
                                           .swap = &swap,
                                           .rootfs = &rootfs,
                                           .mount = 0};
    return container;
}

/* A node with a pod of one container, each with a record, a volume and a log. */
static void bench_init(struct bench *bench)
{
    static const struct summary_volume volumes[] = {
        {.name = "local",
         .fs = {.time_ns = SAMPLE_NS, .used_bytes = {true, 400}, .inodes_used = {true, 4}}},
        {.name = "other",
         .fs = {.time_ns = SAMPLE_NS, .used_bytes = {true, 5}, .inodes_used = {true, 5}}},
    };
    *bench = (struct bench){.dir = tempdir_new(), .arena = arena_new(0)};
    bench->pod = (struct listed_pod){.sandbox_id = "s1",
                                     .uid = "u1",
                                     .namespace = "ns",
                                     .name = "p",
                                     .created_ns = 600 * NS_PER_SEC,
                                     .containers = bench->containers};
    bench->mounts[0] = bench->dir;
    bench->listing = (struct summary_listing){
        .pod_count = 1,
        .pods = &bench->pod,
        .has_image_fs = true,
        .image_fs = {.time_ns = CRI_NS, .used_bytes = {true, 31}, .inodes_used = {true, 32}},
        .mount_count = 1,
        .mounts = bench->mounts};
    bench->volumes = (struct volume_stats_pod){.count = 2, .local_count = 1, .volumes = volumes};
    bench->pod_volumes[0] = &bench->volumes;
    struct stats_record *root = add_record(bench, STATS_ROOT, "/");
    root->figures.memory.limit_bytes = 114;
    root->figures.memory.swap_limit_bytes = 18;
    struct stats_record *pods = add_record(bench, STATS_SLICE, "/kubepods");
    pods->roles = 1U << STATS_ROLE_PODS;
    pods->figures.memory.limit_bytes = 10; /* less than its working set */
    add_record(bench, STATS_POD, "/kubepods/podu1")->pod_uid = "u1";
    add_record(bench, STATS_SANDBOX, "/kubepods/podu1/s1")->id = "s1";
    add_record(bench, STATS_CONTAINER, "/kubepods/podu1/c1")->id = "c1";
    (void)add_container(bench, "c1", "c");
    write_at(bench, "proc/sys/kernel/pid_max", "32768\n");
    write_at(bench, "proc/sys/kernel/threads-max", "40000\n");
    write_at(bench, "proc/loadavg", "0.01 0.05 0.10 2/449 12345\n");
    write_at(bench, "proc/stat", "btime 100\n");
    write_at(bench, "root/pods/u1/etc-hosts", "x");
    write_at(bench, "logs/ns_p_u1/c/0.log", "x");
    write_at(bench, "logs/ns_p_u1/c/0.log.20261121", "x");
    write_at(bench, "logs/ns_p_u1/own.log", "x");
}

static void auto_release_bench(struct bench *bench)
{
    summary_disk_free(bench->disk);
    stats_records_unref(bench->snapshot);
    arena_free(bench->arena);
    tempdir_free(bench->dir);
}

static struct error *try_build(struct bench *bench, enum summary_scope scope,
                               const struct summary **ret)
{
    struct arena *arena = arena_new(0);
    struct stats_record *items = arena_memdup(arena, bench->records, sizeof(bench->records));
    const struct stats_records content = {.count = bench->record_count};
    bench->snapshot = stats_records_build(&content, items, arena);
    bench->parts = (struct summary_parts){.node_name = "node-a",
                                          .now_ns = NOW_NS,
                                          .listing = &bench->listing,
                                          .records = bench->snapshot,
                                          .volumes = bench->pod_volumes};
    if (scope == SUMMARY_FULL) {
        const struct summary_paths paths = {.root_dir = at(bench, "root"),
                                            .pod_logs_dir = at(bench, "logs"),
                                            .proc_root = at(bench, "proc")};
        bench->disk = summary_build_questions(&bench->listing, &paths);
        summary_disk_run_blocking(bench->disk);
        bench->parts.disk = bench->disk;
    }
    return summary_build(&bench->parts, bench->arena, ret);
}

static const struct summary *build(struct bench *bench, enum summary_scope scope)
{
    const struct summary *summary = NULL;
    assert_no_error(try_build(bench, scope, &summary));
    return summary;
}

/* --- the recorded shape --- */

static bool is_number(const struct doc_node *node)
{
    return node->kind == DOC_INTEGER || node->kind == DOC_REAL;
}

/* The same members in the same order with the same kinds; of lists the first items. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the documents */
static void assert_same_shape(const struct doc_node *got, const struct doc_node *want,
                              const char *path, struct arena *arena)
{
    if (got->kind != want->kind && !(is_number(got) && is_number(want)))
        fail_msg("%s: %s instead of %s", path, doc_describe(got, arena), doc_describe(want, arena));
    if (want->kind == DOC_ARRAY && want->array.count > 0) {
        assert_true(got->array.count > 0);
        assert_same_shape(got->array.items[0], want->array.items[0],
                          arena_printf(arena, "%s[]", path), arena);
    }
    if (want->kind != DOC_OBJECT)
        return;
    for (size_t i = 0; i < want->object.count; i++) {
        const char *key = want->object.members[i].key.ptr;
        if (i >= got->object.count || !str_eq_c(got->object.members[i].key, key))
            fail_msg("%s: %s is missing or elsewhere", path, key);
        assert_same_shape(got->object.members[i].value, want->object.members[i].value,
                          arena_printf(arena, "%s.%s", path, key), arena);
    }
    if (got->object.count != want->object.count)
        fail_msg("%s: %s is too much", path, got->object.members[want->object.count].key.ptr);
}

static const struct doc_node *json_of(const struct summary *summary, struct arena *arena)
{
    AUTO(buf) struct buf out;
    buf_init(&out, MiB);
    summary_write_json(summary, &out);
    const struct doc_parse_options options = {.max_bytes = MiB};
    const struct doc_node *root = NULL;
    assert_no_error(json_parse(buf_str(&out), &options, arena, &root));
    return root;
}

TEST_CASE(a_summary_has_the_members_of_a_recorded_one)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    /* The fields of a volume come from volume_stats, which knows all of them. */
    struct summary_volume volumes[2] = {bench.volumes.volumes[0], bench.volumes.volumes[1]};
    for (size_t i = 0; i < ARRAY_SIZE(volumes); i++) {
        struct summary_fs *fs = &volumes[i].fs;
        fs->available_bytes = fs->capacity_bytes = fs->inodes_free = fs->inodes = summary_known(1);
    }
    bench.volumes.volumes = volumes;
    const struct doc_node *got = json_of(build(&bench, SUMMARY_FULL), bench.arena);
    const struct doc_node *want = recorded_summary_tree(bench.arena);
    assert_same_shape(got, want, "", bench.arena);
}

static const struct doc_node *recorded_pod(const char *name, struct arena *arena)
{
    const struct doc_node *pods = doc_get(recorded_summary_tree(arena), "pods");
    for (size_t i = 0; i < pods->array.count; i++) {
        const struct doc_node *pod = pods->array.items[i];
        if (str_eq_c(doc_get(doc_get(pod, "podRef"), "name")->string, name))
            return pod;
    }
    fail_msg("%s was not recorded", name);
    return NULL;
}

/* The recorded pod "unhealthy" had just restarted its container, which had no record yet. */
TEST_CASE(a_container_without_a_record_has_the_members_of_a_recorded_one)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    bench.containers[0].id = "new";
    const struct doc_node *got = json_of(build(&bench, SUMMARY_FULL), bench.arena);
    const struct doc_node *pod = doc_get(got, "pods")->array.items[0];
    const struct doc_node *want = recorded_pod("unhealthy", bench.arena);
    assert_same_shape(doc_get(pod, "containers"), doc_get(want, "containers"), "containers",
                      bench.arena);
    assert_null(doc_get(want, "process_stats"));
    assert_null(doc_get(pod, "process_stats"));
}

/* --- the node --- */

TEST_CASE(the_node_is_the_root_cgroup_and_its_file_systems)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const struct summary_node *node = &build(&bench, SUMMARY_FULL)->node;
    assert_string_equal(node->name, "node-a");
    assert_int_equal(node->start_time_ns, 100 * NS_PER_SEC);
    assert_int_equal(node->cpu->usage_nano_cores.value, 11);
    assert_int_equal(node->cpu->usage_core_nanos.value, 12);
    assert_int_equal(node->memory->available_bytes.value, 100);
    assert_int_equal(node->memory->page_faults.value, 16);
    assert_int_equal(node->swap->available_bytes.value, 0);
    assert_int_equal(node->swap->usage_bytes.value, 18);
    assert_int_equal(node->network->count, 2);
    assert_ptr_equal(node->network->default_interface, &node->network->interfaces[1]);
    assert_int_equal(node->network->default_interface->tx_errors.value, 8);
    const struct fs_totals *totals = &summary_disk_answer(bench.disk, 0)->totals;
    assert_int_equal(node->fs->used_bytes.value, totals->capacity_bytes - totals->free_bytes);
    assert_int_equal(node->fs->inodes_used.value, totals->inodes - totals->inodes_free);
    assert_int_equal(node->fs->available_bytes.value, totals->available_bytes);
    assert_int_equal(node->fs->time_ns, SAMPLE_NS);
    assert_int_equal(node->image_fs->used_bytes.value, 31);
    assert_int_equal(node->image_fs->capacity_bytes.value, totals->capacity_bytes);
    assert_int_equal(node->image_fs->time_ns, CRI_NS);
    assert_ptr_equal(node->container_fs, node->image_fs);
    assert_int_equal(node->rlimit->max_pid, 32768);
    assert_int_equal(node->rlimit->current_processes, 449);
    assert_int_equal(node->rlimit->time_ns, NOW_NS);
}

TEST_CASE(system_containers_are_those_that_are_known)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct stats_record *kubelet = add_record(&bench, STATS_SLICE, "/system/agent");
    kubelet->roles = 1U << STATS_ROLE_KUBELET | 1U << STATS_ROLE_MISC;
    kubelet->figures.has_memory = kubelet->figures.has_io = false;
    const struct summary_node *node = &build(&bench, SUMMARY_FULL)->node;
    assert_int_equal(node->system_container_count, 3);
    const struct summary_container *containers = node->system_containers;
    assert_string_equal(containers[0].name, "kubelet");
    assert_string_equal(containers[1].name, "misc");
    assert_string_equal(containers[2].name, "pods");
    assert_int_equal(containers[2].start_time_ns, 500 * NS_PER_SEC);
    /* What is over its limit has nothing left. */
    assert_true(containers[2].memory->available_bytes.known);
    assert_int_equal(containers[2].memory->available_bytes.value, 0);
    assert_false(containers[2].swap->available_bytes.known);
    /* Without the controllers there is little to say. */
    assert_int_equal(containers[0].memory->working_set_bytes.value, 0);
    assert_true(containers[0].memory->working_set_bytes.known);
    assert_false(containers[0].memory->usage_bytes.known);
    assert_null(containers[0].swap);
    assert_null(containers[0].io);
}

/* --- pods --- */

TEST_CASE(records_come_before_what_the_runtime_says)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const struct summary_pod *pod = &build(&bench, SUMMARY_FULL)->pods[0];
    const struct summary_container *container = &pod->containers[0];
    assert_int_equal(container->start_time_ns, 700 * NS_PER_SEC);
    assert_int_equal(container->cpu->time_ns, SAMPLE_NS);
    assert_int_equal(container->memory->working_set_bytes.value, 14);
    assert_int_equal(container->io->time_ns, SAMPLE_NS);
    assert_int_equal(container->swap->usage_bytes.value, 18);
    assert_int_equal(container->rootfs->used_bytes.value, 1000);
    assert_true(container->rootfs->capacity_bytes.value > 0);
    assert_int_equal(container->rootfs->time_ns, CRI_NS);
    assert_int_equal(container->logs->inodes_used.value, 2);
    assert_int_equal(container->logs->time_ns, NOW_NS);
    assert_int_equal(pod->start_time_ns, 600 * NS_PER_SEC);
    assert_int_equal(pod->cpu->usage_core_nanos.value, 12);
    assert_int_equal(pod->network->default_interface->rx_bytes.value, 5);
    assert_int_equal(pod->process_count.value, 2);
    assert_int_equal(pod->volume_count, 2);
}

TEST_CASE(without_records_the_runtime_is_believed_and_the_pod_is_the_sum)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    bench.record_count = 2; /* the root and kubepods */
    (void)add_container(&bench, "c2", "d");
    const struct summary_pod *pod = &build(&bench, SUMMARY_FULL)->pods[0];
    assert_int_equal(pod->containers[0].cpu->usage_core_nanos.value, 22);
    assert_null(pod->containers[0].cpu->psi);
    assert_int_equal(pod->containers[1].swap->available_bytes.value, 28);
    assert_int_equal(pod->containers[1].io->time_ns, CRI_NS);
    assert_int_equal(pod->cpu->time_ns, CRI_NS);
    assert_int_equal(pod->cpu->usage_nano_cores.value, 42);
    assert_int_equal(pod->cpu->usage_core_nanos.value, 44);
    assert_int_equal(pod->memory->usage_bytes.value, 46);
    assert_int_equal(pod->memory->working_set_bytes.value, 48);
    assert_int_equal(pod->memory->major_page_faults.value, 54);
    assert_int_equal(pod->swap->usage_bytes.value, 58);
    assert_int_equal(pod->io->time_ns, CRI_NS);
    assert_null(pod->network);
    assert_false(pod->process_count.known);
}

static uint64_t file_bytes(const struct bench *bench, const char *name)
{
    struct dir_usage usage;
    assert_no_error(dir_usage_file_blocking(at(bench, name), &usage));
    return usage.bytes;
}

TEST_CASE(ephemeral_storage_is_all_that_counts_against_the_limit)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const struct summary_fs *fs = build(&bench, SUMMARY_FULL)->pods[0].ephemeral_storage;
    uint64_t files = file_bytes(&bench, "root/pods/u1/etc-hosts") +
                     file_bytes(&bench, "logs/ns_p_u1/own.log") +
                     file_bytes(&bench, "logs/ns_p_u1/c/0.log") +
                     file_bytes(&bench, "logs/ns_p_u1/c/0.log.20261121");
    assert_int_equal(fs->used_bytes.value, 1000 + 400 + files);
    assert_int_equal(fs->inodes_used.value, 10 + 4 + 4);
    assert_int_equal(fs->capacity_bytes.value,
                     summary_disk_answer(bench.disk, 0)->totals.capacity_bytes);
    assert_int_equal(fs->time_ns, NOW_NS);
}

TEST_CASE(a_pod_whose_volumes_are_not_measured_yet_has_no_ephemeral_storage)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    bench.pod_volumes[0] = NULL;
    const struct summary_pod *pod = &build(&bench, SUMMARY_FULL)->pods[0];
    assert_int_equal(pod->volume_count, 0);
    assert_null(pod->ephemeral_storage);
    assert_non_null(pod->containers[0].rootfs);
}

TEST_CASE(what_is_not_on_the_disk_has_no_figures)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    bench.containers[0].name = "other";
    bench.mounts[0] = "/nowhere/at/all";
    const struct summary_container *container = build(&bench, SUMMARY_FULL)->pods[0].containers;
    assert_null(container->logs);
    assert_int_equal(container->rootfs->used_bytes.value, 1000);
    assert_false(container->rootfs->capacity_bytes.known);
}

TEST_CASE(pressure_is_shown_when_the_kernel_measures_it)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct cgroup_figures *figures = &bench.records[0].figures;
    figures->has_pressure = true;
    figures->cpu_pressure.some = (struct cgroup_pressure_line){.avg10 = 1.5, .total_us = 7};
    figures->memory_pressure.full = (struct cgroup_pressure_line){.avg60 = 2.5};
    figures->io_pressure.full = (struct cgroup_pressure_line){.avg300 = 3.5};
    const struct summary *summary = build(&bench, SUMMARY_FULL);
    const struct summary_node *node = &summary->node;
    assert_true(node->cpu->psi->some.avg10 == 1.5);
    assert_int_equal(node->cpu->psi->some.total, 7);
    assert_int_equal(node->cpu->psi->full.total, 0);
    assert_true(node->memory->psi->full.avg60 == 2.5);
    assert_true(node->io->psi->full.avg300 == 3.5);
    assert_non_null(summary->pods[0].cpu->psi);
    assert_int_equal(summary->pods[0].cpu->psi->some.total, 0);
}

/* --- cpu and memory only --- */

TEST_CASE(a_short_summary_has_cpu_memory_and_swap)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    bench.listing.has_image_fs = false;
    const struct summary *summary = build(&bench, SUMMARY_CPU_AND_MEMORY);
    const struct summary_node *node = &summary->node;
    assert_int_equal(node->start_time_ns, 500 * NS_PER_SEC);
    assert_true(node->cpu && node->memory && node->swap);
    assert_false(node->io || node->network || node->fs || node->image_fs || node->rlimit);
    assert_int_equal(node->system_container_count, 1);
    assert_null(node->system_containers[0].io);
    const struct summary_pod *pod = &summary->pods[0];
    assert_true(pod->cpu && pod->memory && pod->swap);
    assert_false(pod->io || pod->network || pod->ephemeral_storage || pod->process_count.known);
    assert_int_equal(pod->volume_count, 0);
    const struct summary_container *container = &pod->containers[0];
    assert_true(container->cpu && container->memory && container->swap);
    assert_false(container->io || container->rootfs || container->logs);
}

/* --- failures --- */

TEST_CASE(what_upstream_cannot_do_without_fails_the_summary)
{
    const struct summary *summary = NULL;
    {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        bench.listing.has_image_fs = false;
        assert_error_message(try_build(&bench, SUMMARY_FULL, &summary),
                             "failed to get imageFs stats: imageFs information is unavailable");
    }
    {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        AUTO(free) char *root = path_join(bench.dir, "root");
        assert_no_error(fd_remove_tree_blocking(root));
        assert_error_code(try_build(&bench, SUMMARY_FULL, &summary), ERROR_UNAVAILABLE);
    }
    {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        write_at(&bench, "proc/stat", "");
        assert_error_code(try_build(&bench, SUMMARY_FULL, &summary), ERROR_INTERNAL);
    }
    {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        bench.record_count = 0;
        assert_error_code(try_build(&bench, SUMMARY_CPU_AND_MEMORY, &summary), ERROR_UNAVAILABLE);
    }
    assert_null(summary);
}

TEST_MAIN(TEST(a_summary_has_the_members_of_a_recorded_one),
          TEST(a_container_without_a_record_has_the_members_of_a_recorded_one),
          TEST(the_node_is_the_root_cgroup_and_its_file_systems),
          TEST(system_containers_are_those_that_are_known),
          TEST(records_come_before_what_the_runtime_says),
          TEST(without_records_the_runtime_is_believed_and_the_pod_is_the_sum),
          TEST(ephemeral_storage_is_all_that_counts_against_the_limit),
          TEST(a_pod_whose_volumes_are_not_measured_yet_has_no_ephemeral_storage),
          TEST(what_is_not_on_the_disk_has_no_figures),
          TEST(pressure_is_shown_when_the_kernel_measures_it),
          TEST(a_short_summary_has_cpu_memory_and_swap),
          TEST(what_upstream_cannot_do_without_fails_the_summary))
