#include "stats/summary_build.h"

#define DEFAULT_INTERFACE "eth0"

/* A kernel that measures no pressure, or a record without: upstream shows zeros. */
static const struct summary_psi no_pressure;

/* --- from records --- */

static struct summary_psi_line psi_line(const struct cgroup_pressure_line *line)
{
    return (struct summary_psi_line){.total = line->total_us,
                                     .avg10 = line->avg10,
                                     .avg60 = line->avg60,
                                     .avg300 = line->avg300};
}

static const struct summary_psi *psi_of(const struct stats_record *record,
                                        const struct cgroup_pressure *pressure, struct arena *arena)
{
    if (!record->figures.has_pressure)
        return &no_pressure;
    const struct summary_psi psi = {.full = psi_line(&pressure->full),
                                    .some = psi_line(&pressure->some)};
    return arena_memdup(arena, &psi, sizeof(psi));
}

static const struct summary_cpu *cpu_of(const struct stats_record *record, struct arena *arena)
{
    const struct cgroup_figures *figures = &record->figures;
    struct summary_cpu *cpu = arena_alloc(arena, sizeof(*cpu));
    cpu->time_ns = record->sample_ns;
    cpu->usage_nano_cores = summary_known(figures->has_cpu ? record->cpu_nanocores : 0);
    cpu->usage_core_nanos = summary_known(figures->has_cpu ? figures->cpu.total_ns : 0);
    if (figures->has_cpu)
        cpu->psi = psi_of(record, &figures->cpu_pressure, arena);
    return cpu;
}

static struct summary_figure difference(uint64_t whole, uint64_t part)
{
    return summary_known(whole > part ? whole - part : 0);
}

/* What is left of @limit; one beyond what the kernel could hold is none. */
static struct summary_figure left_of(uint64_t limit, uint64_t used)
{
    return limit > CGROUP_LIMIT_MAX ? (struct summary_figure){0} : difference(limit, used);
}

static const struct summary_memory *memory_of(const struct stats_record *record,
                                              struct arena *arena)
{
    const struct cgroup_memory_figures *from = &record->figures.memory;
    struct summary_memory *memory = arena_alloc(arena, sizeof(*memory));
    memory->time_ns = record->sample_ns;
    memory->working_set_bytes = summary_known(0);
    if (!record->figures.has_memory)
        return memory;
    memory->available_bytes = left_of(from->limit_bytes, from->working_set_bytes);
    memory->usage_bytes = summary_known(from->usage_bytes);
    memory->working_set_bytes = summary_known(from->working_set_bytes);
    memory->rss_bytes = summary_known(from->rss_bytes);
    memory->page_faults = summary_known(from->page_faults);
    memory->major_page_faults = summary_known(from->major_page_faults);
    memory->psi = psi_of(record, &record->figures.memory_pressure, arena);
    return memory;
}

/* NULL: there is no such controller. */
static const struct summary_io *io_of(const struct stats_record *record, struct arena *arena)
{
    if (!record->figures.has_io)
        return NULL;
    struct summary_io *io = arena_alloc(arena, sizeof(*io));
    io->time_ns = record->sample_ns;
    io->psi = psi_of(record, &record->figures.io_pressure, arena);
    return io;
}

static const struct summary_swap *swap_of(const struct stats_record *record, struct arena *arena)
{
    const struct cgroup_memory_figures *from = &record->figures.memory;
    if (!record->figures.has_memory)
        return NULL;
    struct summary_swap *swap = arena_alloc(arena, sizeof(*swap));
    swap->time_ns = record->sample_ns;
    swap->available_bytes = left_of(from->swap_limit_bytes, from->swap_bytes);
    swap->usage_bytes = summary_known(from->swap_bytes);
    return swap;
}

static const struct summary_network *network_of(const struct stats_record *record,
                                                struct arena *arena)
{
    if (!record || !record->has_network)
        return NULL;
    struct summary_network *network = arena_alloc(arena, sizeof(*network));
    struct summary_interface *interfaces =
        arena_calloc(arena, record->n_interfaces + 1, sizeof(*interfaces));
    network->time_ns = record->sample_ns;
    network->count = record->n_interfaces;
    network->interfaces = interfaces;
    for (size_t i = 0; i < record->n_interfaces; i++) {
        const struct stats_interface *from = &record->interfaces[i];
        interfaces[i] = (struct summary_interface){.name = arena_strdup(arena, from->name),
                                                   .rx_bytes = summary_known(from->rx_bytes),
                                                   .rx_errors = summary_known(from->rx_errors),
                                                   .tx_bytes = summary_known(from->tx_bytes),
                                                   .tx_errors = summary_known(from->tx_errors)};
        if (text_eq(from->name, DEFAULT_INTERFACE))
            network->default_interface = &interfaces[i];
    }
    return network;
}

/* --- from the disk --- */

static void set_totals(struct summary_fs *fs, const struct fs_totals *totals)
{
    fs->available_bytes = summary_known(totals->available_bytes);
    fs->capacity_bytes = summary_known(totals->capacity_bytes);
    fs->inodes_free = summary_known(totals->inodes_free);
    fs->inodes = summary_known(totals->inodes);
}

static void add_figure(struct summary_figure *sum, struct summary_figure part)
{
    if (part.known)
        *sum = summary_known(summary_value(*sum) + part.value);
}

static void add_usage(struct summary_fs *fs, const struct disk_answer *answer, int64_t now_ns)
{
    if (!answer->known)
        return;
    add_figure(&fs->used_bytes, summary_known(answer->usage.bytes));
    add_figure(&fs->inodes_used, summary_known(answer->usage.inodes));
    fs->time_ns = max_i64(fs->time_ns, now_ns);
}

static void add_fs(struct summary_fs *sum, const struct summary_fs *part)
{
    add_figure(&sum->used_bytes, part->used_bytes);
    add_figure(&sum->inodes_used, part->inodes_used);
    sum->time_ns = max_i64(sum->time_ns, part->time_ns);
}

/*
 * The questions, in this order: the root directory's file system; each mount point of the listing;
 * then for each pod its own log files, its hosts file, and the log files of each container.
 */
enum { QUESTION_ROOT, QUESTION_MOUNTS };

struct summary_disk *summary_build_questions(const struct summary_listing *listing,
                                             const struct summary_paths *paths)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct summary_disk *disk = summary_disk_new(paths->proc_root);
    (void)summary_disk_ask(disk, DISK_TOTALS, paths->root_dir);
    for (size_t i = 0; i < listing->mount_count; i++)
        (void)summary_disk_ask(disk, DISK_TOTALS, listing->mounts[i]);
    for (size_t i = 0; i < listing->pod_count; i++) {
        const struct listed_pod *pod = &listing->pods[i];
        const char *logs = arena_printf(arena, "%s/%s_%s_%s", paths->pod_logs_dir, pod->namespace,
                                        pod->name, pod->uid);
        (void)summary_disk_ask(disk, DISK_FILES, logs);
        (void)summary_disk_ask(
            disk, DISK_FILE,
            arena_printf(arena, "%s/pods/%s/etc-hosts", paths->root_dir, pod->uid));
        for (size_t k = 0; k < pod->container_count; k++)
            (void)summary_disk_ask(disk, DISK_FILES,
                                   arena_printf(arena, "%s/%s", logs, pod->containers[k].name));
    }
    return disk;
}

/* --- a summary being made --- */

struct build {
    const struct summary_parts *parts;
    struct arena *arena;
    const struct stats_record *root;
    struct fs_totals root_totals; /* with the disk */
    size_t question;              /* the next one to be read */
};

static const struct disk_answer *next_answer(struct build *build)
{
    return summary_disk_answer(build->parts->disk, build->question++);
}

static void set_mount_totals(const struct build *build, struct summary_fs *fs, size_t mount)
{
    if (mount == LISTING_NO_MOUNT)
        return;
    const struct disk_answer *answer =
        summary_disk_answer(build->parts->disk, QUESTION_MOUNTS + mount);
    if (answer->known)
        set_totals(fs, &answer->totals);
}

/* --- containers --- */

/* A directory of logs that is not there has no figures. */
static const struct summary_fs *logs_of(struct build *build)
{
    const struct disk_answer *answer = next_answer(build);
    if (!answer->known)
        return NULL;
    struct summary_fs *logs = arena_alloc(build->arena, sizeof(*logs));
    set_totals(logs, &build->root_totals);
    add_usage(logs, answer, build->parts->now_ns);
    return logs;
}

static const struct summary_fs *rootfs_of(const struct build *build,
                                          const struct listed_container *from)
{
    struct summary_fs *rootfs = arena_memdup(build->arena, from->rootfs, sizeof(*rootfs));
    set_mount_totals(build, rootfs, from->mount);
    return rootfs;
}

/* The cgroup's record says more than the runtime, which fills in where there is none. */
static void set_usage(struct summary_container *to, const struct listed_container *from,
                      const struct stats_record *record, struct arena *arena)
{
    const struct summary_swap *swap = record ? swap_of(record, arena) : NULL;
    to->cpu = record ? cpu_of(record, arena) : from->cpu;
    to->memory = record ? memory_of(record, arena) : from->memory;
    to->swap = swap ? swap : from->swap;
}

static struct summary_container container_of(struct build *build,
                                             const struct listed_container *from,
                                             const struct stats_record *record)
{
    struct summary_container container = {.name = from->name, .start_time_ns = from->created_ns};
    set_usage(&container, from, record, build->arena);
    if (!build->parts->disk)
        return container;
    const struct summary_io *io = record ? io_of(record, build->arena) : NULL;
    container.io = io ? io : from->io;
    container.rootfs = rootfs_of(build, from);
    container.logs = logs_of(build);
    return container;
}

/* --- pods without a record of their own: what the runtime says of their containers --- */

static const struct summary_cpu *sum_cpu(const struct listed_pod *pod, struct arena *arena)
{
    struct summary_cpu *sum = arena_alloc(arena, sizeof(*sum));
    for (size_t i = 0; i < pod->container_count; i++) {
        const struct summary_cpu *part = pod->containers[i].cpu;
        sum->time_ns = max_i64(sum->time_ns, part->time_ns);
        add_figure(&sum->usage_nano_cores, part->usage_nano_cores);
        add_figure(&sum->usage_core_nanos, part->usage_core_nanos);
    }
    return sum;
}

static const struct summary_memory *sum_memory(const struct listed_pod *pod, struct arena *arena)
{
    struct summary_memory *sum = arena_alloc(arena, sizeof(*sum));
    for (size_t i = 0; i < pod->container_count; i++) {
        const struct summary_memory *part = pod->containers[i].memory;
        sum->time_ns = max_i64(sum->time_ns, part->time_ns);
        add_figure(&sum->available_bytes, part->available_bytes);
        add_figure(&sum->usage_bytes, part->usage_bytes);
        add_figure(&sum->working_set_bytes, part->working_set_bytes);
        add_figure(&sum->rss_bytes, part->rss_bytes);
        add_figure(&sum->page_faults, part->page_faults);
        add_figure(&sum->major_page_faults, part->major_page_faults);
    }
    return sum;
}

static const struct summary_swap *sum_swap(const struct listed_pod *pod, struct arena *arena)
{
    struct summary_swap *sum = arena_alloc(arena, sizeof(*sum));
    for (size_t i = 0; i < pod->container_count; i++) {
        const struct summary_swap *part = pod->containers[i].swap;
        sum->time_ns = max_i64(sum->time_ns, part->time_ns);
        add_figure(&sum->available_bytes, part->available_bytes);
        add_figure(&sum->usage_bytes, part->usage_bytes);
    }
    return sum;
}

static void set_pod_usage(const struct build *build, struct summary_pod *pod,
                          const struct listed_pod *from)
{
    const struct stats_record *record = stats_records_pod(build->parts->records, from->uid);
    pod->cpu = record ? cpu_of(record, build->arena) : sum_cpu(from, build->arena);
    pod->memory = record ? memory_of(record, build->arena) : sum_memory(from, build->arena);
    pod->swap = record ? swap_of(record, build->arena) : sum_swap(from, build->arena);
    if (!build->parts->disk)
        return;
    /* Pressure cannot be summed; upstream shows the last container's. */
    pod->io = record ? io_of(record, build->arena) : from->containers[from->container_count - 1].io;
}

/* --- pods --- */

/* What counts against the pod's limit of local storage (spec §4.7). */
static const struct summary_fs *ephemeral_storage_of(const struct build *build,
                                                     const struct summary_pod *pod,
                                                     const struct volume_stats_pod *volumes,
                                                     const struct disk_answer own[static 2])
{
    struct summary_fs *sum = arena_alloc(build->arena, sizeof(*sum));
    sum->time_ns = build->root->sample_ns;
    set_totals(sum, &build->root_totals);
    for (size_t i = 0; i < pod->container_count; i++) {
        add_fs(sum, pod->containers[i].rootfs);
        if (pod->containers[i].logs)
            add_fs(sum, pod->containers[i].logs);
    }
    for (size_t i = 0; i < volumes->local_count; i++)
        add_fs(sum, &volumes->volumes[i].fs);
    for (size_t i = 0; i < 2; i++)
        add_usage(sum, &own[i], build->parts->now_ns);
    return sum;
}

static struct summary_pod pod_of(struct build *build, size_t index)
{
    const struct listed_pod *from = &build->parts->listing->pods[index];
    const struct stats_records *records = build->parts->records;
    bool is_full = build->parts->disk != NULL;
    struct disk_answer own[2] = {{0}}; /* log files and hosts file */
    for (size_t i = 0; is_full && i < ARRAY_SIZE(own); i++)
        own[i] = *next_answer(build);
    struct summary_pod pod = {.name = from->name,
                              .namespace = from->namespace,
                              .uid = from->uid,
                              .start_time_ns = from->created_ns,
                              .container_count = from->container_count};
    struct summary_container *containers =
        arena_calloc(build->arena, from->container_count, sizeof(*containers));
    pod.containers = containers;
    for (size_t i = 0; i < from->container_count; i++) {
        const struct stats_record *record = stats_records_by_id(records, from->containers[i].id);
        containers[i] = container_of(build, &from->containers[i], record);
        if (is_full && record && record->figures.has_processes)
            add_figure(&pod.process_count, summary_known(record->figures.processes));
    }
    set_pod_usage(build, &pod, from);
    if (!is_full)
        return pod;
    pod.network = network_of(stats_records_by_id(records, from->sandbox_id), build->arena);
    const struct volume_stats_pod *volumes = build->parts->volumes[index];
    if (volumes) {
        pod.volume_count = volumes->count;
        pod.volumes = volumes->volumes;
        pod.ephemeral_storage = ephemeral_storage_of(build, &pod, volumes, own);
    }
    return pod;
}

static const struct summary_pod *pods_of(struct build *build)
{
    size_t count = build->parts->listing->pod_count;
    struct summary_pod *pods = arena_calloc(build->arena, count + 1, sizeof(*pods));
    build->question = QUESTION_MOUNTS + build->parts->listing->mount_count;
    for (size_t i = 0; i < count; i++)
        pods[i] = pod_of(build, i);
    return pods;
}

/* --- the node --- */

static void set_system_containers(const struct build *build, struct summary_node *node)
{
    struct summary_container *containers =
        arena_calloc(build->arena, STATS_ROLE_COUNT, sizeof(*containers));
    node->system_containers = containers;
    for (size_t i = 0; i < STATS_ROLE_COUNT; i++) {
        enum stats_role role = (enum stats_role)i;
        const struct stats_record *record = stats_records_role(build->parts->records, role);
        if (!record)
            continue;
        containers[node->system_container_count++] = (struct summary_container){
            .name = stats_role_name(role),
            .start_time_ns = record->figures.created_ns,
            .cpu = cpu_of(record, build->arena),
            .memory = memory_of(record, build->arena),
            .io = build->parts->disk ? io_of(record, build->arena) : NULL,
            .swap = swap_of(record, build->arena)};
    }
}

static const struct summary_fs *root_fs_of(const struct build *build)
{
    const struct fs_totals *totals = &build->root_totals;
    struct summary_fs *fs = arena_alloc(build->arena, sizeof(*fs));
    fs->time_ns = build->root->sample_ns;
    set_totals(fs, totals);
    fs->used_bytes = difference(totals->capacity_bytes, totals->free_bytes);
    fs->inodes_used = difference(totals->inodes, totals->inodes_free);
    return fs;
}

static struct error *set_image_fs(const struct build *build, struct summary_node *node)
{
    const struct summary_listing *listing = build->parts->listing;
    if (!listing->has_image_fs)
        return error_new(ERROR_UNAVAILABLE,
                         "failed to get imageFs stats: imageFs information is unavailable");
    struct summary_fs *fs =
        arena_memdup(build->arena, &listing->image_fs, sizeof(listing->image_fs));
    set_mount_totals(build, fs, listing->image_mount);
    node->image_fs = node->container_fs = fs;
    return NULL;
}

static struct error *set_kernel_figures(const struct build *build, struct summary_node *node)
{
    struct disk_kernel kernel;
    struct error *err = summary_disk_kernel(build->parts->disk, &kernel);
    if (err)
        return error_wrap(err, "failed to get rlimit stats");
    const struct summary_rlimit rlimit = {.time_ns = build->parts->now_ns,
                                          .max_pid = kernel.max_pid,
                                          .current_processes = kernel.current_processes};
    node->rlimit = arena_memdup(build->arena, &rlimit, sizeof(rlimit));
    node->start_time_ns = kernel.boot_ns;
    return NULL;
}

static struct error *node_of(const struct build *build, struct summary_node *ret)
{
    *ret = (struct summary_node){.name = arena_strdup(build->arena, build->parts->node_name),
                                 .start_time_ns = build->root->figures.created_ns,
                                 .cpu = cpu_of(build->root, build->arena),
                                 .memory = memory_of(build->root, build->arena),
                                 .swap = swap_of(build->root, build->arena)};
    set_system_containers(build, ret);
    if (!build->parts->disk)
        return NULL;
    ret->io = io_of(build->root, build->arena);
    ret->network = network_of(build->root, build->arena);
    ret->fs = root_fs_of(build);
    struct error *err = set_image_fs(build, ret);
    return err ? err : set_kernel_figures(build, ret);
}

struct error *summary_build(const struct summary_parts *parts, struct arena *arena,
                            const struct summary **ret)
{
    struct build build = {
        .parts = parts, .arena = arena, .root = stats_records_root(parts->records)};
    if (!build.root)
        return error_new(ERROR_UNAVAILABLE,
                         "failed to get root cgroup stats: the root cgroup has no record");
    if (parts->disk) {
        const struct disk_answer *answer = summary_disk_answer(parts->disk, QUESTION_ROOT);
        if (!answer->known)
            return error_new(ERROR_UNAVAILABLE, "failed to get rootFs stats: %s",
                             summary_disk_failure(parts->disk, QUESTION_ROOT));
        build.root_totals = answer->totals;
    }
    struct summary *summary = arena_alloc(arena, sizeof(*summary));
    struct error *err = node_of(&build, &summary->node);
    if (err)
        return err;
    summary->pods = pods_of(&build);
    summary->pod_count = parts->listing->pod_count;
    *ret = summary;
    return NULL;
}
