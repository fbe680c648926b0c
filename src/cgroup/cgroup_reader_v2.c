#include "cgroup/cgroup_reader_internal.h"

#define MEMORY(member) offsetof(struct cgroup_memory_figures, member)
/* Weight 1..10000 to shares 2..262144, the inverse of what runtimes write. */
static uint64_t shares_from_weight(uint64_t weight)
{
    return weight < 1 ? 0 : 2 + reader_sat_mul(weight - 1, 262142) / 9999;
}

static void read_cpu_v2(struct cgroup_reader *reader, struct cgroup_figures *ret)
{
    static const struct cgroup_key keys[] = {
        {"usage_usec", offsetof(struct cgroup_cpu_figures, total_ns)},
        {"user_usec", offsetof(struct cgroup_cpu_figures, user_ns)},
        {"system_usec", offsetof(struct cgroup_cpu_figures, system_ns)},
        {"nr_periods", offsetof(struct cgroup_cpu_figures, periods)},
        {"nr_throttled", offsetof(struct cgroup_cpu_figures, throttled_periods)},
        {"throttled_usec", offsetof(struct cgroup_cpu_figures, throttled_ns)},
        {"nr_bursts", offsetof(struct cgroup_cpu_figures, burst_periods)},
        {"burst_usec", offsetof(struct cgroup_cpu_figures, burst_ns)},
    };
    struct cgroup_cpu_figures *cpu = &ret->cpu;
    ret->has_cpu = reader_read_control(reader, CGROUP_UNIFIED, "cpu.stat") &&
                   cgroup_parse_keys(reader_text(reader), keys, ARRAY_SIZE(keys), cpu) > 0;
    uint64_t *const micros[] = {&cpu->total_ns, &cpu->user_ns, &cpu->system_ns, &cpu->throttled_ns,
                                &cpu->burst_ns};
    for (size_t i = 0; i < ARRAY_SIZE(micros); i++)
        *micros[i] = reader_sat_mul(*micros[i], NS_PER_US);
    reader_note_cpu(reader, ret);
    uint64_t weight;
    if (reader_read_number(reader, CGROUP_UNIFIED, "cpu.weight", &weight))
        cpu->shares = shares_from_weight(weight);
    if (reader_read_control(reader, CGROUP_UNIFIED, "cpu.max"))
        cgroup_parse_cpu_max(reader_text(reader), cpu);
}

static void read_memory_v2(struct cgroup_reader *reader, struct cgroup_figures *ret)
{
    static const struct cgroup_key keys[] = {
        {"anon", MEMORY(rss_bytes)},
        {"file", MEMORY(cache_bytes)},
        {"file_mapped", MEMORY(mapped_file_bytes)},
        {"inactive_file", MEMORY(inactive_file_bytes)},
        {"active_file", MEMORY(active_file_bytes)},
        {"pgfault", MEMORY(page_faults)},
        {"pgmajfault", MEMORY(major_page_faults)},
    };
    static const struct reader_number counters[] = {
        {"memory.peak", MEMORY(max_usage_bytes)},
        {"memory.swap.current", MEMORY(swap_bytes)},
    };
    static const struct reader_number limits[] = {
        {"memory.max", MEMORY(limit_bytes)},
        {"memory.swap.max", MEMORY(swap_limit_bytes)},
        {"memory.min", MEMORY(reservation_bytes)},
    };
    struct cgroup_memory_figures *memory = &ret->memory;
    uint64_t usage_bytes = 0;
    bool has_usage = !reader->is_root &&
                     reader_read_number(reader, CGROUP_UNIFIED, "memory.current", &usage_bytes);
    if (has_usage && reader_is_memory_known(reader, usage_bytes)) {
        ret->has_memory = true;
        *memory = reader->before->memory;
    } else {
        ret->has_memory =
            reader_read_control(reader, CGROUP_UNIFIED, "memory.stat") &&
            cgroup_parse_keys(reader_text(reader), keys, ARRAY_SIZE(keys), memory) > 0;
        memory->usage_bytes = usage_bytes;
        memory->tree_page_faults = memory->page_faults;
        memory->tree_major_page_faults = memory->major_page_faults;
        if (ret->has_memory && !reader->is_root)
            reader_read_numbers(reader, CGROUP_UNIFIED, counters, ARRAY_SIZE(counters), memory);
    }
    if (ret->has_memory && !reader->is_root)
        reader_read_numbers(reader, CGROUP_UNIFIED, limits, ARRAY_SIZE(limits), memory);
}

static void read_pressure(struct cgroup_reader *reader, struct cgroup_figures *ret)
{
    const struct {
        const char *file;
        struct cgroup_pressure *pressure;
    } files[] = {{"cpu.pressure", &ret->cpu_pressure},
                 {"memory.pressure", &ret->memory_pressure},
                 {"io.pressure", &ret->io_pressure}};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        if (reader_read_control(reader, CGROUP_UNIFIED, files[i].file) &&
            cgroup_parse_pressure(reader_text(reader), files[i].pressure))
            ret->has_pressure = true;
    }
}

static void read_io_v2(struct cgroup_reader *reader, struct arena *arena,
                       struct cgroup_figures *ret)
{
    struct cgroup_io_list list = {0};
    ret->has_io = reader_read_control(reader, CGROUP_UNIFIED, "io.stat");
    if (ret->has_io)
        cgroup_parse_io_stat(reader_text(reader), arena, &list);
    ret->io_devices = list.items;
    ret->n_io_devices = list.count;
}

void reader_fill_v2(struct cgroup_reader *reader, struct arena *arena, struct cgroup_figures *ret)
{
    read_cpu_v2(reader, ret);
    read_memory_v2(reader, ret);
    read_io_v2(reader, arena, ret);
    if (reader->has_pressure)
        read_pressure(reader, ret);
}
