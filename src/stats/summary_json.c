#include "stats/summary_json.h"

#include "base/time.h"
#include "wire/json.h"

/* --- small things --- */

static void begin(struct doc_writer *to, const char *key)
{
    if (key)
        doc_write_key(to, key);
    to->ops->begin_object(to);
}

static void end(struct doc_writer *to)
{
    to->ops->end_object(to);
}

static void begin_list(struct doc_writer *to, const char *key)
{
    doc_write_key(to, key);
    to->ops->begin_array(to);
}

static void end_list(struct doc_writer *to)
{
    to->ops->end_array(to);
}

static void write_text(struct doc_writer *to, const char *key, const char *text)
{
    doc_write_key(to, key);
    doc_write_text(to, text ? text : "");
}

static void write_time(struct doc_writer *to, const char *key, int64_t wall_ns)
{
    char text[TIME_TEXT_SIZE];
    doc_write_key(to, key);
    if (wall_ns == 0)
        to->ops->literal(to, "null");
    else
        doc_write_text(to, time_format_rfc3339(wall_ns, text));
}

static void write_unsigned(struct doc_writer *to, const char *key, uint64_t value)
{
    doc_write_key(to, key);
    doc_write_unsigned(to, value);
}

static void write_figure(struct doc_writer *to, const char *key, struct summary_figure figure)
{
    if (figure.known)
        write_unsigned(to, key, figure.value);
}

static void write_real(struct doc_writer *to, const char *key, double value)
{
    char text[DOC_REAL_SIZE];
    doc_write_key(to, key);
    to->ops->literal(to, doc_format_real(value, text));
}

/* --- what nodes, pods and containers have in common --- */

static void write_psi_line(struct doc_writer *to, const char *key,
                           const struct summary_psi_line *line)
{
    begin(to, key);
    write_unsigned(to, "total", line->total);
    write_real(to, "avg10", line->avg10);
    write_real(to, "avg60", line->avg60);
    write_real(to, "avg300", line->avg300);
    end(to);
}

static void write_psi(struct doc_writer *to, const struct summary_psi *psi)
{
    if (!psi)
        return;
    begin(to, "psi");
    write_psi_line(to, "full", &psi->full);
    write_psi_line(to, "some", &psi->some);
    end(to);
}

static void write_cpu(struct doc_writer *to, const struct summary_cpu *cpu)
{
    if (!cpu)
        return;
    begin(to, "cpu");
    write_time(to, "time", cpu->time_ns);
    write_figure(to, "usageNanoCores", cpu->usage_nano_cores);
    write_figure(to, "usageCoreNanoSeconds", cpu->usage_core_nanos);
    write_psi(to, cpu->psi);
    end(to);
}

static void write_memory(struct doc_writer *to, const struct summary_memory *memory)
{
    if (!memory)
        return;
    begin(to, "memory");
    write_time(to, "time", memory->time_ns);
    write_figure(to, "availableBytes", memory->available_bytes);
    write_figure(to, "usageBytes", memory->usage_bytes);
    write_figure(to, "workingSetBytes", memory->working_set_bytes);
    write_figure(to, "rssBytes", memory->rss_bytes);
    write_figure(to, "pageFaults", memory->page_faults);
    write_figure(to, "majorPageFaults", memory->major_page_faults);
    write_psi(to, memory->psi);
    end(to);
}

static void write_io(struct doc_writer *to, const struct summary_io *io)
{
    if (!io)
        return;
    begin(to, "io");
    write_time(to, "time", io->time_ns);
    write_psi(to, io->psi);
    end(to);
}

static void write_swap(struct doc_writer *to, const struct summary_swap *swap)
{
    if (!swap)
        return;
    begin(to, "swap");
    write_time(to, "time", swap->time_ns);
    write_figure(to, "swapAvailableBytes", swap->available_bytes);
    write_figure(to, "swapUsageBytes", swap->usage_bytes);
    end(to);
}

static void write_interface(struct doc_writer *to, const struct summary_interface *interface)
{
    write_text(to, "name", interface->name);
    write_figure(to, "rxBytes", interface->rx_bytes);
    write_figure(to, "rxErrors", interface->rx_errors);
    write_figure(to, "txBytes", interface->tx_bytes);
    write_figure(to, "txErrors", interface->tx_errors);
}

/* The default interface's figures stand beside the list, an empty name where there is none. */
static void write_network(struct doc_writer *to, const struct summary_network *network)
{
    static const struct summary_interface none = {.name = ""};
    if (!network)
        return;
    begin(to, "network");
    write_time(to, "time", network->time_ns);
    write_interface(to, network->default_interface ? network->default_interface : &none);
    if (network->count > 0) {
        begin_list(to, "interfaces");
        for (size_t i = 0; i < network->count; i++) {
            begin(to, NULL);
            write_interface(to, &network->interfaces[i]);
            end(to);
        }
        end_list(to);
    }
    end(to);
}

static void write_fs_members(struct doc_writer *to, const struct summary_fs *fs)
{
    write_time(to, "time", fs->time_ns);
    write_figure(to, "availableBytes", fs->available_bytes);
    write_figure(to, "capacityBytes", fs->capacity_bytes);
    write_figure(to, "usedBytes", fs->used_bytes);
    write_figure(to, "inodesFree", fs->inodes_free);
    write_figure(to, "inodes", fs->inodes);
    write_figure(to, "inodesUsed", fs->inodes_used);
}

static void write_fs(struct doc_writer *to, const char *key, const struct summary_fs *fs)
{
    if (!fs)
        return;
    begin(to, key);
    write_fs_members(to, fs);
    end(to);
}

static void write_containers(struct doc_writer *to, const char *key, size_t count,
                             const struct summary_container *containers)
{
    begin_list(to, key);
    for (size_t i = 0; i < count; i++) {
        const struct summary_container *container = &containers[i];
        begin(to, NULL);
        write_text(to, "name", container->name);
        write_time(to, "startTime", container->start_time_ns);
        write_cpu(to, container->cpu);
        write_memory(to, container->memory);
        write_io(to, container->io);
        write_fs(to, "rootfs", container->rootfs);
        write_fs(to, "logs", container->logs);
        write_swap(to, container->swap);
        end(to);
    }
    end_list(to);
}

/* --- the node --- */

static void write_runtime(struct doc_writer *to, const struct summary_node *node)
{
    if (!node->image_fs)
        return;
    begin(to, "runtime");
    write_fs(to, "imageFs", node->image_fs);
    write_fs(to, "containerFs", node->container_fs);
    end(to);
}

static void write_rlimit(struct doc_writer *to, const struct summary_rlimit *rlimit)
{
    if (!rlimit)
        return;
    begin(to, "rlimit");
    write_time(to, "time", rlimit->time_ns);
    doc_write_key(to, "maxpid");
    doc_write_integer(to, rlimit->max_pid);
    doc_write_key(to, "curproc");
    doc_write_integer(to, rlimit->current_processes);
    end(to);
}

static void write_node(struct doc_writer *to, const struct summary_node *node)
{
    begin(to, "node");
    write_text(to, "nodeName", node->name);
    if (node->system_container_count > 0)
        write_containers(to, "systemContainers", node->system_container_count,
                         node->system_containers);
    write_time(to, "startTime", node->start_time_ns);
    write_cpu(to, node->cpu);
    write_memory(to, node->memory);
    write_io(to, node->io);
    write_network(to, node->network);
    write_fs(to, "fs", node->fs);
    write_runtime(to, node);
    write_rlimit(to, node->rlimit);
    write_swap(to, node->swap);
    end(to);
}

/* --- pods --- */

static void write_volumes(struct doc_writer *to, const struct summary_pod *pod)
{
    if (pod->volume_count == 0)
        return;
    begin_list(to, "volume");
    for (size_t i = 0; i < pod->volume_count; i++) {
        const struct summary_volume *volume = &pod->volumes[i];
        begin(to, NULL);
        write_fs_members(to, &volume->fs);
        write_text(to, "name", volume->name);
        if (volume->claim_name) {
            begin(to, "pvcRef");
            write_text(to, "name", volume->claim_name);
            write_text(to, "namespace", volume->claim_namespace);
            end(to);
        }
        if (volume->abnormal.known) {
            begin(to, "volumeHealthStats");
            doc_write_key(to, "abnormal");
            doc_write_bool(to, volume->abnormal.value);
            end(to);
        }
        end(to);
    }
    end_list(to);
}

static void write_pod(struct doc_writer *to, const struct summary_pod *pod)
{
    begin(to, NULL);
    begin(to, "podRef");
    write_text(to, "name", pod->name);
    write_text(to, "namespace", pod->namespace);
    write_text(to, "uid", pod->uid);
    end(to);
    write_time(to, "startTime", pod->start_time_ns);
    write_containers(to, "containers", pod->container_count, pod->containers);
    write_cpu(to, pod->cpu);
    write_memory(to, pod->memory);
    write_io(to, pod->io);
    write_network(to, pod->network);
    write_volumes(to, pod);
    write_fs(to, "ephemeral-storage", pod->ephemeral_storage);
    if (pod->process_count.known) {
        begin(to, "process_stats");
        write_figure(to, "process_count", pod->process_count);
        end(to);
    }
    write_swap(to, pod->swap);
    end(to);
}

void summary_write_json(const struct summary *summary, struct buf *out)
{
    struct json_writer json;
    json_writer_init_indented(&json, out, 1);
    struct doc_writer *to = &json.base;
    begin(to, NULL);
    write_node(to, &summary->node);
    begin_list(to, "pods");
    for (size_t i = 0; i < summary->pod_count; i++)
        write_pod(to, &summary->pods[i]);
    end_list(to);
    end(to);
}
