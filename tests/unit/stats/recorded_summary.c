#include "recorded_summary.h"

#include "base/fd.h"
#include "base/time.h"
#include "tests/lib/test.h"
#include "wire/json.h"

#define RECORDING_MAX_BYTES (4 * MiB)

struct str recorded_http(const char *name, struct arena *arena)
{
    AUTO(buf) struct buf text;
    buf_init(&text, RECORDING_MAX_BYTES);
    assert_no_error(fd_read_file_blocking(
        arena_printf(arena, "%s/recorded/http/%s", getenv("CUBELET_TEST_DATA"), name), &text));
    return (struct str){.ptr = arena_strndup(arena, text.data, text.len), .len = text.len};
}

const struct doc_node *recorded_summary_tree(struct arena *arena)
{
    const struct doc_parse_options options = {.max_bytes = RECORDING_MAX_BYTES};
    const struct doc_node *root = NULL;
    assert_no_error(json_parse(recorded_http("stats_summary.txt", arena), &options, arena, &root));
    return root;
}

static const char *text_of(const struct doc_node *object, const char *key)
{
    const struct doc_node *node = doc_get(object, key);
    return node ? node->string.ptr : NULL;
}

static int64_t time_of(const struct doc_node *object, const char *key)
{
    const struct doc_node *node = doc_get(object, key);
    int64_t wall_ns = 0;
    if (node && node->kind == DOC_STRING)
        assert_no_error(time_parse_rfc3339(node->string, &wall_ns));
    return wall_ns;
}

static struct summary_figure figure_of(const struct doc_node *object, const char *key)
{
    const struct doc_node *node = doc_get(object, key);
    return node ? summary_known((uint64_t)node->integer) : (struct summary_figure){0};
}

static double real_of(const struct doc_node *object, const char *key)
{
    const struct doc_node *node = doc_get(object, key);
    return node->kind == DOC_REAL ? node->real : (double)node->integer;
}

static struct summary_psi_line psi_line_of(const struct doc_node *node)
{
    return (struct summary_psi_line){.total = figure_of(node, "total").value,
                                     .avg10 = real_of(node, "avg10"),
                                     .avg60 = real_of(node, "avg60"),
                                     .avg300 = real_of(node, "avg300")};
}

static const struct summary_psi *psi_of(const struct doc_node *object, struct arena *arena)
{
    const struct doc_node *node = doc_get(object, "psi");
    if (!node)
        return NULL;
    const struct summary_psi psi = {.full = psi_line_of(doc_get(node, "full")),
                                    .some = psi_line_of(doc_get(node, "some"))};
    return arena_memdup(arena, &psi, sizeof(psi));
}

static const struct summary_cpu *cpu_of(const struct doc_node *object, struct arena *arena)
{
    const struct doc_node *node = doc_get(object, "cpu");
    if (!node)
        return NULL;
    const struct summary_cpu cpu = {
        .time_ns = time_of(node, "time"),
        .usage_nano_cores = figure_of(node, "usageNanoCores"),
        .usage_core_nanos = figure_of(node, "usageCoreNanoSeconds"),
        .psi = psi_of(node, arena),
    };
    return arena_memdup(arena, &cpu, sizeof(cpu));
}

static const struct summary_memory *memory_of(const struct doc_node *object, struct arena *arena)
{
    const struct doc_node *node = doc_get(object, "memory");
    if (!node)
        return NULL;
    const struct summary_memory memory = {
        .time_ns = time_of(node, "time"),
        .available_bytes = figure_of(node, "availableBytes"),
        .usage_bytes = figure_of(node, "usageBytes"),
        .working_set_bytes = figure_of(node, "workingSetBytes"),
        .rss_bytes = figure_of(node, "rssBytes"),
        .page_faults = figure_of(node, "pageFaults"),
        .major_page_faults = figure_of(node, "majorPageFaults"),
        .psi = psi_of(node, arena),
    };
    return arena_memdup(arena, &memory, sizeof(memory));
}

static const struct summary_io *io_of(const struct doc_node *object, struct arena *arena)
{
    const struct doc_node *node = doc_get(object, "io");
    if (!node)
        return NULL;
    const struct summary_io io = {.time_ns = time_of(node, "time"), .psi = psi_of(node, arena)};
    return arena_memdup(arena, &io, sizeof(io));
}

static const struct summary_swap *swap_of(const struct doc_node *object, struct arena *arena)
{
    const struct doc_node *node = doc_get(object, "swap");
    if (!node)
        return NULL;
    const struct summary_swap swap = {.time_ns = time_of(node, "time"),
                                      .available_bytes = figure_of(node, "swapAvailableBytes"),
                                      .usage_bytes = figure_of(node, "swapUsageBytes")};
    return arena_memdup(arena, &swap, sizeof(swap));
}

static struct summary_interface interface_of(const struct doc_node *node)
{
    return (struct summary_interface){.name = text_of(node, "name"),
                                      .rx_bytes = figure_of(node, "rxBytes"),
                                      .rx_errors = figure_of(node, "rxErrors"),
                                      .tx_bytes = figure_of(node, "txBytes"),
                                      .tx_errors = figure_of(node, "txErrors")};
}

static const struct summary_network *network_of(const struct doc_node *object, struct arena *arena)
{
    const struct doc_node *node = doc_get(object, "network");
    if (!node)
        return NULL;
    struct summary_network *network = arena_alloc(arena, sizeof(*network));
    network->time_ns = time_of(node, "time");
    const struct doc_node *list = doc_get(node, "interfaces");
    struct summary_interface *interfaces =
        arena_calloc(arena, list->array.count, sizeof(*interfaces));
    for (size_t i = 0; i < list->array.count; i++) {
        interfaces[i] = interface_of(list->array.items[i]);
        if (text_eq(interfaces[i].name, text_of(node, "name")))
            network->default_interface = &interfaces[i];
    }
    network->count = list->array.count;
    network->interfaces = interfaces;
    return network;
}

static struct summary_fs fs_members_of(const struct doc_node *node)
{
    return (struct summary_fs){.time_ns = time_of(node, "time"),
                               .available_bytes = figure_of(node, "availableBytes"),
                               .capacity_bytes = figure_of(node, "capacityBytes"),
                               .used_bytes = figure_of(node, "usedBytes"),
                               .inodes_free = figure_of(node, "inodesFree"),
                               .inodes = figure_of(node, "inodes"),
                               .inodes_used = figure_of(node, "inodesUsed")};
}

static const struct summary_fs *fs_of(const struct doc_node *object, const char *key,
                                      struct arena *arena)
{
    const struct doc_node *node = doc_get(object, key);
    if (!node)
        return NULL;
    const struct summary_fs fs = fs_members_of(node);
    return arena_memdup(arena, &fs, sizeof(fs));
}

static const struct summary_container *containers_of(const struct doc_node *object, const char *key,
                                                     size_t *ret_count, struct arena *arena)
{
    const struct doc_node *list = doc_get(object, key);
    struct summary_container *containers =
        arena_calloc(arena, list->array.count, sizeof(*containers));
    for (size_t i = 0; i < list->array.count; i++) {
        const struct doc_node *node = list->array.items[i];
        containers[i] = (struct summary_container){.name = text_of(node, "name"),
                                                   .start_time_ns = time_of(node, "startTime"),
                                                   .cpu = cpu_of(node, arena),
                                                   .memory = memory_of(node, arena),
                                                   .io = io_of(node, arena),
                                                   .rootfs = fs_of(node, "rootfs", arena),
                                                   .logs = fs_of(node, "logs", arena),
                                                   .swap = swap_of(node, arena)};
    }
    *ret_count = list->array.count;
    return containers;
}

static const struct summary_volume *volumes_of(const struct doc_node *object, size_t *ret_count,
                                               struct arena *arena)
{
    const struct doc_node *list = doc_get(object, "volume");
    size_t count = list ? list->array.count : 0;
    struct summary_volume *volumes = arena_calloc(arena, count, sizeof(*volumes));
    for (size_t i = 0; i < count; i++)
        volumes[i] = (struct summary_volume){.name = text_of(list->array.items[i], "name"),
                                             .fs = fs_members_of(list->array.items[i])};
    *ret_count = count;
    return volumes;
}

static struct summary_node node_of(const struct doc_node *from, struct arena *arena)
{
    struct summary_node node = {
        .name = text_of(from, "nodeName"),
        .start_time_ns = time_of(from, "startTime"),
        .cpu = cpu_of(from, arena),
        .memory = memory_of(from, arena),
        .io = io_of(from, arena),
        .network = network_of(from, arena),
        .fs = fs_of(from, "fs", arena),
        .image_fs = fs_of(doc_get(from, "runtime"), "imageFs", arena),
        .container_fs = fs_of(doc_get(from, "runtime"), "containerFs", arena),
        .swap = swap_of(from, arena),
    };
    node.system_containers =
        containers_of(from, "systemContainers", &node.system_container_count, arena);
    const struct doc_node *limits = doc_get(from, "rlimit");
    const struct summary_rlimit rlimit = {.time_ns = time_of(limits, "time"),
                                          .max_pid = doc_get(limits, "maxpid")->integer,
                                          .current_processes = doc_get(limits, "curproc")->integer};
    node.rlimit = arena_memdup(arena, &rlimit, sizeof(rlimit));
    return node;
}

static struct summary_pod pod_of(const struct doc_node *from, struct arena *arena)
{
    const struct doc_node *ref = doc_get(from, "podRef");
    struct summary_pod pod = {
        .name = text_of(ref, "name"),
        .namespace = text_of(ref, "namespace"),
        .uid = text_of(ref, "uid"),
        .start_time_ns = time_of(from, "startTime"),
        .cpu = cpu_of(from, arena),
        .memory = memory_of(from, arena),
        .io = io_of(from, arena),
        .network = network_of(from, arena),
        .ephemeral_storage = fs_of(from, "ephemeral-storage", arena),
        .process_count = figure_of(doc_get(from, "process_stats"), "process_count"),
        .swap = swap_of(from, arena),
    };
    pod.containers = containers_of(from, "containers", &pod.container_count, arena);
    pod.volumes = volumes_of(from, &pod.volume_count, arena);
    return pod;
}

const struct summary *recorded_summary(struct arena *arena)
{
    const struct doc_node *root = recorded_summary_tree(arena);
    const struct doc_node *list = doc_get(root, "pods");
    struct summary *summary = arena_alloc(arena, sizeof(*summary));
    struct summary_pod *pods = arena_calloc(arena, list->array.count, sizeof(*pods));
    for (size_t i = 0; i < list->array.count; i++)
        pods[i] = pod_of(list->array.items[i], arena);
    summary->node = node_of(doc_get(root, "node"), arena);
    summary->pod_count = list->array.count;
    summary->pods = pods;
    return summary;
}
