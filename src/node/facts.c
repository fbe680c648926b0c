#include "node/facts.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "kube/quantity.h"
#include "node/addresses.h"
#include "node/facts_parse.h"

#include <ctype.h>
#include <dirent.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#define MAX_CPUS 4096

/* --- names and numbers --- */

struct error *node_name_of(const struct config *config, struct arena *arena, const char **ret)
{
    if (config->hostname_override[0] != '\0') {
        *ret = config->hostname_override;
        return NULL;
    }
    struct utsname system;
    if (uname(&system) < 0)
        return error_new(ERROR_INTERNAL, "reading the host's name failed");
    struct str name = str_trim(str_from(system.nodename));
    if (name.len == 0)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "the host has no name: set one, or give --hostname-override");
    char *lower = arena_strndup(arena, name.ptr, name.len);
    for (char *c = lower; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    *ret = lower;
    return NULL;
}

static struct error *read_proc(const char *path, size_t max_bytes, struct buf *text)
{
    buf_init(text, max_bytes);
    return fd_read_file_blocking(path, text);
}

static struct error *meminfo_bytes(const char *key, int64_t *ret)
{
    AUTO(buf) struct buf text = {0};
    struct error *err = read_proc("/proc/meminfo", FACTS_FILE_MAX_BYTES, &text);
    if (!err && !facts_parse_meminfo(buf_str(&text), key, ret))
        err = error_new(ERROR_INTERNAL, "/proc/meminfo has no %s", key);
    return err;
}

struct error *node_memory_bytes(int64_t *ret)
{
    return meminfo_bytes("MemTotal:", ret);
}

int64_t node_cpu_count(void)
{
    return max_i64(sysconf(_SC_NPROCESSORS_ONLN), 1);
}

int64_t node_read_number(const char *path)
{
    AUTO(buf) struct buf text = {0};
    AUTO(error) struct error *err = read_proc(path, FACTS_FILE_MAX_BYTES, &text);
    int64_t value = 0;
    return !err && facts_parse_number(buf_str(&text), &value) ? value : 0;
}

int64_t node_max_pids(void)
{
    return facts_max_pids(node_read_number("/proc/sys/kernel/pid_max"),
                          node_read_number("/proc/sys/kernel/threads-max"));
}

bool node_has_swap(void)
{
    AUTO(buf) struct buf text = {0};
    AUTO(error) struct error *err = read_proc("/proc/swaps", FACTS_FILE_MAX_BYTES, &text);
    return !err && facts_has_swap(buf_str(&text));
}

bool node_has_cgroup_v1(void)
{
    struct statfs info;
    return statfs("/sys/fs/cgroup", &info) < 0 || info.f_type != CGROUP2_SUPER_MAGIC;
}

/* --- addresses --- */

static const char *const *list_of(const struct config_list *list, struct arena *arena)
{
    const char **items = arena_calloc(arena, list->count + 1, sizeof(*items));
    for (size_t i = 0; i < list->count; i++)
        items[i] = list->items[i];
    return items;
}

/* The node's InternalIPs. A machine without any address still runs pods; its list is empty then. */
static const char *const *find_ips(const struct config *config, const char *node_name,
                                   struct arena *arena)
{
    const char **ips = arena_calloc(arena, NODE_MAX_ADDRESSES, sizeof(*ips));
    struct node_addresses_input input = {.node_ips = list_of(&config->node_ips, arena),
                                         .hostname = node_name,
                                         .node_name = node_name,
                                         .is_quick = true}; /* a start does not wait for DNS */
    struct node_addresses found = {0};
    AUTO(error) struct error *err = node_addresses_find_blocking(&input, arena, &found);
    if (err)
        log_warning("The node has no address", LOG_ERR(err));
    for (size_t i = 0; i + 1 < found.count; i++) /* the last one is the host's name */
        ips[i] = found.items[i].address;
    return ips;
}

/* --- what container configurations need --- */

size_t node_hugepage_sizes(int64_t ret_kib[static NODE_MAX_HUGEPAGES])
{
    size_t count = 0;
    DIR *entries = opendir("/sys/kernel/mm/hugepages");
    const struct dirent *entry;
    while (entries && count < NODE_MAX_HUGEPAGES &&
           (entry = readdir(entries))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        int64_t kib = facts_hugepage_kib(entry->d_name);
        if (kib > 0)
            ret_kib[count++] = kib;
    }
    if (entries)
        closedir(entries);
    return count;
}

static const char *const *find_hugepages(struct arena *arena)
{
    int64_t found[NODE_MAX_HUGEPAGES];
    size_t count = node_hugepage_sizes(found);
    return facts_hugepage_texts(found, count, arena);
}

static const char *const *find_thermal_paths(struct arena *arena)
{
    int64_t cpus = min_i64(sysconf(_SC_NPROCESSORS_CONF), MAX_CPUS);
    const char **paths = arena_calloc(arena, (size_t)max_i64(cpus, 0) + 1, sizeof(*paths));
    size_t count = 0;
    for (int64_t i = 0; i < cpus; i++) {
        const char *path =
            arena_printf(arena, "/sys/devices/system/cpu/cpu%lld/thermal_throttle", (long long)i);
        if (access(path, F_OK) == 0)
            paths[count++] = path;
    }
    return paths;
}

static const char *map_get(const struct config_map *map, const char *key)
{
    for (size_t i = 0; i < map->count; i++) {
        if (strcmp(map->pairs[i].key, key) == 0)
            return map->pairs[i].value;
    }
    return NULL;
}

static Meta__Quantity as_quantity(const char *text)
{
    Meta__Quantity quantity = META__QUANTITY__INIT;
    quantity.string = (char *)(uintptr_t)text;
    return quantity;
}

static int64_t reserved_bytes(const struct config *config, const char *resource)
{
    Meta__Quantity system = as_quantity(map_get(&config->system_reserved, resource));
    Meta__Quantity kube = as_quantity(map_get(&config->kube_reserved, resource));
    return sat_add_i64(quantity_value(&system), quantity_value(&kube));
}

static int64_t reserved_millis(const struct config *config)
{
    Meta__Quantity system = as_quantity(map_get(&config->system_reserved, "cpu"));
    Meta__Quantity kube = as_quantity(map_get(&config->kube_reserved, "cpu"));
    return sat_add_i64(quantity_milli_value(&system), quantity_milli_value(&kube));
}

static int64_t threshold(const struct config *config, const char *signal, int64_t capacity)
{
    if (config->allocatable_ignores_eviction)
        return 0;
    return facts_threshold(map_get(&config->eviction_hard, signal), capacity);
}

void node_subtract_reserved(const struct config *config, struct cgroup_node_limits *limits)
{
    limits->cpu_millis = facts_allocatable(limits->cpu_millis, reserved_millis(config), 0);
    limits->memory_bytes =
        facts_allocatable(limits->memory_bytes, reserved_bytes(config, "memory"), 0);
    limits->pids = facts_allocatable(limits->pids, reserved_bytes(config, "pid"), 0);
}

int64_t node_filesystem_bytes(const char *path)
{
    struct statfs info;
    if (statfs(path, &info) < 0)
        return 0;
    int64_t bytes;
    return mul_i64((int64_t)info.f_blocks, (int64_t)info.f_bsize, &bytes) ? bytes : INT64_MAX;
}

static void fill_amounts(const struct config *config, struct node_facts *facts)
{
    facts->cpu_capacity_millis = node_cpu_count() * 1000;
    facts->allocatable_cpu_millis =
        facts_allocatable(facts->cpu_capacity_millis, reserved_millis(config), 0);
    int64_t memory = facts->memory_capacity_bytes;
    facts->allocatable_memory_bytes = facts_allocatable(
        memory, reserved_bytes(config, "memory"), threshold(config, "memory.available", memory));
    int64_t disk = node_filesystem_bytes(config->root_dir);
    facts->allocatable_ephemeral_bytes =
        facts_allocatable(disk, reserved_bytes(config, "ephemeral-storage"),
                          threshold(config, "nodefs.available", disk));
}

/* As upstream's library: the file system is mounted and a policy is loaded, so that we have a label
 * of our own. */
static bool is_selinux_enabled(void)
{
    struct statfs info;
    if (statfs("/sys/fs/selinux", &info) != 0 || (unsigned long)info.f_type != SELINUX_MAGIC)
        return false;
    AUTO(buf) struct buf label = {0};
    AUTO(error)
    struct error *err = read_proc("/proc/self/attr/current", FACTS_FILE_MAX_BYTES, &label);
    return !err && facts_is_selinux_label(buf_str(&label));
}

struct error *node_facts_read(const struct config *config, const struct cgroup_tree *cgroups,
                              bool systemd_driver, const char *node_name, struct arena *arena,
                              struct node_facts *ret)
{
    bool v2 = cgroup_tree_version(cgroups) == CGROUP_V2;
    struct node_facts facts = {
        .node_name = node_name,
        .root_dir = config->root_dir,
        .pod_logs_dir = config->pod_logs_dir,
        .cluster_domain = config->cluster_domain,
        .cluster_dns = list_of(&config->cluster_dns, arena),
        .node_ips = find_ips(config, node_name, arena),
        .cgroup_v2 = v2,
        .cgroups_per_qos = config->cgroups_per_qos,
        .cgroup_systemd_driver = systemd_driver,
        .cgroup_root = config->cgroup_root,
        .swap_controller = cgroup_tree_has_swap(cgroups),
        .limited_swap = config->memory_swap_behavior == CONFIG_SWAP_LIMITED_SWAP,
        .cpu_cfs_quota = config->cpu_cfs_quota,
        .cpu_cfs_period_us = config->cpu_cfs_quota_period_us,
        .single_process_oom_kill =
            config->has_single_process_oom_kill ? config->single_process_oom_kill : !v2,
        .seccomp_default = config->seccomp_default,
        .stop_signals = gate_is_enabled(&config->gates, GATE_ContainerStopSignals),
        .selinux_enabled = is_selinux_enabled(),
        .hugepage_sizes = find_hugepages(arena),
        .masked_paths_extra = find_thermal_paths(arena),
        .pids_limit = config->pod_pids_limit,
    };
    struct error *err = node_memory_bytes(&facts.memory_capacity_bytes);
    if (!err)
        err = meminfo_bytes("SwapTotal:", &facts.swap_capacity_bytes);
    if (err)
        return err;
    fill_amounts(config, &facts);
    *ret = facts;
    return NULL;
}
