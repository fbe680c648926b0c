#include "node/machine.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/path.h"
#include "cgroup/cgroup_fs.h"
#include "node/facts_parse.h"

#include <sys/utsname.h>
#include <unistd.h>

#define CGROUP_ROOT "/sys/fs/cgroup"

/* As Go names what this was built for. */
#if defined(__x86_64__)
#define ARCHITECTURE "amd64"
#elif defined(__aarch64__)
#define ARCHITECTURE "arm64"
#elif defined(__arm__)
#define ARCHITECTURE "arm"
#elif defined(__i386__)
#define ARCHITECTURE "386"
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define ARCHITECTURE "ppc64le"
#elif defined(__s390x__)
#define ARCHITECTURE "s390x"
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE "riscv64"
#elif defined(__loongarch64)
#define ARCHITECTURE "loong64"
#else
#error "name this architecture as Go does"
#endif

static bool read_text(const char *path, struct buf *text)
{
    buf_init(text, FACTS_FILE_MAX_BYTES);
    AUTO(error) struct error *err = fd_read_file_blocking(path, text);
    return !err;
}

/* The id in the first of @paths that can be read; "" without one. */
static const char *first_id(const char *const *paths, size_t count, struct arena *arena)
{
    for (size_t i = 0; i < count; i++) {
        AUTO(buf) struct buf text = {0};
        if (!read_text(paths[i], &text))
            continue;
        struct str id = facts_parse_id(buf_str(&text));
        return arena_strndup(arena, id.ptr, id.len);
    }
    return "";
}

static const char *system_uuid(struct arena *arena)
{
    /* The first is there with firmware of PCs and servers, the next two on POWER. The last is meant
     * for mainframes, and in effect what every machine without the others has. */
    static const char *const paths[] = {
        "/sys/class/dmi/id/product_uuid",
        "/proc/device-tree/system-id",
        "/proc/device-tree/vm,uuid",
        "/etc/machine-id",
    };
    return first_id(paths, ARRAY_SIZE(paths), arena);
}

static const char *os_image(struct arena *arena)
{
    AUTO(buf) struct buf text = {0};
    const char *path = "/etc/os-release";
    if (access(path, F_OK) < 0)
        path = "/usr/lib/os-release";
    return read_text(path, &text) ? facts_parse_os_name(buf_str(&text), arena) : "Unknown";
}

static int by_size(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static void read_hugepages(struct arena *arena, struct node_machine *machine)
{
    int64_t sizes_kib[NODE_MAX_HUGEPAGES];
    machine->n_hugepages = node_hugepage_sizes(sizes_kib);
    if (machine->n_hugepages > 0)
        qsort(sizes_kib, machine->n_hugepages, sizeof(sizes_kib[0]), by_size);
    for (size_t i = 0; i < machine->n_hugepages; i++) {
        AUTO(free)
        char *path = xasprintf("/sys/kernel/mm/hugepages/hugepages-%lldkB/nr_hugepages",
                               (long long)sizes_kib[i]);
        machine->hugepages[i] = (struct node_hugepages){
            .resource = facts_hugepage_resource(sizes_kib[i], arena),
            .capacity_bytes = sat_mul_i64(sat_mul_i64(sizes_kib[i], KiB), node_read_number(path))};
    }
}

/* A kernel built without bandwidth control has cpu cgroups that lack these files. */
static bool has_cpu_quota(void)
{
    static const char *const files[] = {"cpu.cfs_period_us", "cpu.cfs_quota_us"};
    struct cgroup_facts facts = {0};
    AUTO(error)
    struct error *err = cgroup_fs_kernel.look(cgroup_fs_kernel.ctx, CGROUP_ROOT, &facts);
    if (err)
        return false;
    bool has_all = true;
    for (size_t i = 0; i < ARRAY_SIZE(files) && facts.version == CGROUP_V1; i++) {
        const char *mount = facts.mounts[CGROUP_CPU];
        AUTO(free) char *path = path_join(mount ? mount : CGROUP_ROOT, files[i]);
        has_all = has_all && access(path, F_OK) == 0;
    }
    cgroup_facts_done(&facts);
    return has_all;
}

static bool has_apparmor(void)
{
    AUTO(buf) struct buf text = {0};
    return access("/sys/kernel/security/apparmor", F_OK) == 0 &&
           read_text("/sys/module/apparmor/parameters/enabled", &text) &&
           str_has_prefix(buf_str(&text), "Y");
}

void node_machine_read(const struct config *config, const struct node_facts *facts,
                       struct arena *arena, struct node_machine *ret)
{
    struct utsname system = {0};
    if (uname(&system) < 0)
        system.release[0] = '\0';
    struct node_machine machine = {
        .machine_id =
            first_id(config->machine_id_files.items, config->machine_id_files.count, arena),
        .system_uuid = system_uuid(arena),
        .boot_id = first_id(config->boot_id_files.items, config->boot_id_files.count, arena),
        .kernel_version = arena_strdup(arena, system.release),
        .os_image = os_image(arena),
        .architecture = ARCHITECTURE,
        .hostname = facts->node_name,
        .swap_bytes = facts->swap_capacity_bytes,
        .cpus = facts->cpu_capacity_millis / 1000,
        .memory_bytes = facts->memory_capacity_bytes,
        .root_fs_bytes = node_filesystem_bytes(config->root_dir),
        .has_cpu_quota = has_cpu_quota(),
        .has_apparmor = has_apparmor(),
    };
    read_hugepages(arena, &machine);
    if (!facts_parse_kernel(str_from(system.release), &machine.kernel_major, &machine.kernel_minor))
        machine.kernel_major = 0;
    *ret = machine;
}
