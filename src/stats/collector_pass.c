#include "stats/collector_pass.h"

#include "base/time.h"
#include "stats/host_parse.h"

#define MAX_CHILDREN 1024 /* cgroups below one pod's */
/* How CRI-O names its cgroups, and after it its containers. */
#define CRIO_PREFIX "crio-"
#define CRIO_SANDBOX "POD"

struct walk {
    struct stats_pass *pass;
    struct cgroup_reader *reader;
};

/* --- one record --- */

/* Reads @record->path. False: it is not there. */
static bool read_record(struct walk *walk, struct stats_record *record)
{
    struct stats_pass *pass = walk->pass;
    const struct cgroup_read read = {.path = record->path,
                                     .wants = CGROUP_WANT_OPEN_FILES | CGROUP_WANT_CREATED,
                                     .before = stats_kept_find(pass->kept, record->path)};
    record->sample_ns = time_wall_ns();
    const int64_t read_ns = time_mono_ns();
    struct cgroup_figures *figures = &record->figures;
    if (!cgroup_reader_read_blocking(walk->reader, &read, pass->arena, figures))
        return false;
    record->cpu_nanocores = stats_kept_note(pass->kept, record->path, read_ns, figures);
    return true;
}

static void read_network(struct walk *walk, struct stats_record *record, int64_t pid)
{
    struct str text;
    struct stats_interface *interfaces;
    if (!cgroup_reader_process_file_blocking(walk->reader, pid, "net/dev", &text))
        return;
    record->n_interfaces = stats_parse_net_dev(text, walk->pass->arena, &interfaces);
    record->interfaces = interfaces;
    record->has_network = true;
}

/* The process may have ended, and its number may be another's by now: what was read only counts if
 * it is still in the sandbox afterwards. */
static void read_sandbox_network(struct walk *walk, struct stats_record *record)
{
    int64_t pid = record->figures.first_pid;
    if (pid <= 0)
        return;
    read_network(walk, record, pid);
    if (record->has_network && cgroup_reader_has_process_blocking(walk->reader, record->path, pid))
        return;
    record->has_network = false;
    record->interfaces = NULL;
    record->n_interfaces = 0;
}

static struct stats_record blank_record(const struct stats_target *target, const char *path)
{
    return (struct stats_record){.kind = target->kind,
                                 .roles = target->roles,
                                 .path = path,
                                 .id = "",
                                 .pod_uid = target->pod_uid,
                                 .pod = target->pod,
                                 .namespace = target->namespace,
                                 .container = "",
                                 .image = "",
                                 .name = ""};
}

/* --- below a pod --- */

static const struct stats_member *member_of(const struct stats_target *target, const char *child)
{
    for (size_t i = 0; i < target->n_members; i++) {
        if (stats_cgroup_is_of(child, target->members[i].id))
            return &target->members[i];
    }
    return NULL;
}

static void name_record(struct stats_record *record, const struct stats_member *member,
                        const char *child, struct arena *arena)
{
    bool is_crio = text_has_prefix(child, CRIO_PREFIX);
    record->kind = member->is_sandbox ? STATS_SANDBOX : STATS_CONTAINER;
    record->id = member->id;
    record->image = member->image;
    record->container = member->container;
    record->name = member->id;
    if (!is_crio)
        return;
    if (member->is_sandbox)
        record->container = CRIO_SANDBOX;
    record->name = arena_printf(arena, "k8s_%s_%s_%s_%s_%u", record->container, record->pod,
                                record->namespace, record->pod_uid, member->attempt);
}

static void read_members(struct walk *walk, const struct stats_target *target, const char *pod_path)
{
    struct stats_pass *pass = walk->pass;
    const char **children;
    size_t count = cgroup_reader_children_blocking(walk->reader, pod_path, MAX_CHILDREN,
                                                   pass->arena, &children);
    size_t taken = 0;
    for (size_t i = 0; i < count && taken < target->n_members; i++) {
        const struct stats_member *member = member_of(target, children[i]);
        if (!member)
            continue;
        const char *path = arena_printf(pass->arena, "%s/%s", pod_path, children[i]);
        struct stats_record *record = &pass->items[pass->content.count];
        *record = blank_record(target, path);
        name_record(record, member, children[i], pass->arena);
        if (!read_record(walk, record))
            continue;
        if (member->is_sandbox)
            read_sandbox_network(walk, record);
        pass->content.count++;
        taken++;
    }
}

/* --- the pass --- */

static bool read_target(struct walk *walk, const struct stats_target *target)
{
    struct stats_pass *pass = walk->pass;
    for (size_t i = 0; i < target->n_paths; i++) {
        struct stats_record *record = &pass->items[pass->content.count];
        *record = blank_record(target, target->paths[i]);
        if (!read_record(walk, record))
            continue;
        pass->content.count++;
        if (target->kind == STATS_POD)
            read_members(walk, target, target->paths[i]);
        return true;
    }
    return false;
}

static void read_root_extras(struct walk *walk, struct stats_record *root)
{
    struct stats_pass *pass = walk->pass;
    read_network(walk, root, 1);
    root->n_filesystems = stats_read_filesystems_blocking(
        pass->content.disks, pass->content.n_disks, pass->arena, &root->filesystems);
}

static void read_machine(struct walk *walk)
{
    struct stats_pass *pass = walk->pass;
    const struct cgroup_meminfo *memory = cgroup_reader_meminfo(walk->reader);
    if (pass->topology.cores == 0)
        stats_read_topology_blocking(pass->sys_root, &pass->topology);
    struct stats_machine *machine = &pass->content.machine;
    machine->cpu_cores = pass->topology.cores;
    machine->cpu_physical_cores = pass->topology.physical_cores;
    machine->cpu_sockets = pass->topology.sockets;
    machine->memory_bytes = memory->total_bytes;
    machine->swap_bytes = memory->swap_total_bytes;
    pass->content.has_pressure = cgroup_reader_has_pressure(walk->reader);
    pass->content.n_disks =
        stats_read_disks_blocking(pass->proc_root, pass->arena, &pass->content.disks);
}

static struct error *run(struct stats_pass *pass)
{
    AUTO(cgroup_reader) struct cgroup_reader *reader = NULL;
    struct error *err = cgroup_reader_new_blocking(&pass->layout, pass->proc_root, &reader);
    if (err)
        return err;
    struct walk walk = {.pass = pass, .reader = reader};
    read_machine(&walk);
    size_t most = 0;
    for (size_t i = 0; i < pass->n_targets; i++)
        most += 1 + pass->targets[i].n_members;
    pass->items = arena_calloc(pass->arena, most, sizeof(*pass->items));
    for (size_t i = 0; i < pass->n_targets; i++) {
        const struct stats_target *target = &pass->targets[i];
        size_t index = pass->content.count;
        bool is_there = read_target(&walk, target);
        if (target->kind != STATS_ROOT)
            continue;
        if (!is_there)
            return error_new(ERROR_UNAVAILABLE, "the root cgroup cannot be read");
        read_root_extras(&walk, &pass->items[index]);
    }
    stats_kept_end(pass->kept);
    return NULL;
}

void stats_pass_run_blocking(struct stats_pass *pass)
{
    pass->err = run(pass);
}

void stats_pass_free(struct stats_pass *pass)
{
    if (!pass)
        return;
    error_free(pass->err);
    stats_kept_free(pass->kept);
    arena_free(pass->arena); /* holds the pass itself */
}
