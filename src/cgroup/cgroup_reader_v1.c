#include "cgroup/cgroup_reader_internal.h"

#define MEMORY(member) offsetof(struct cgroup_memory_figures, member)
#define TICK_NS INT64_C(10000000) /* USER_HZ is 100 on every architecture Kubernetes has */

static void copy_throttling(const struct cgroup_cpu_figures *from, struct cgroup_cpu_figures *to)
{
    to->periods = from->periods;
    to->throttled_periods = from->throttled_periods;
    to->throttled_ns = from->throttled_ns;
    to->burst_periods = from->burst_periods;
    to->burst_ns = from->burst_ns;
}

static void read_cpu_limits_v1(struct cgroup_reader *reader, struct cgroup_cpu_figures *cpu)
{
    (void)!reader_read_number(reader, CGROUP_CPU, "cpu.shares", &cpu->shares);
    (void)!reader_read_number(reader, CGROUP_CPU, "cpu.cfs_period_us", &cpu->period_us);
    uint64_t quota;
    cpu->has_quota = reader_read_control(reader, CGROUP_CPU, "cpu.cfs_quota_us") &&
                     cgroup_parse_limit(reader_text(reader), &quota) && quota != UINT64_MAX;
    if (!cpu->has_quota)
        return;
    cpu->quota_us = quota;
    static const struct cgroup_key keys[] = {
        {"nr_periods", offsetof(struct cgroup_cpu_figures, periods)},
        {"nr_throttled", offsetof(struct cgroup_cpu_figures, throttled_periods)},
        {"throttled_time", offsetof(struct cgroup_cpu_figures, throttled_ns)},
        {"nr_bursts", offsetof(struct cgroup_cpu_figures, burst_periods)},
        {"burst_time", offsetof(struct cgroup_cpu_figures, burst_ns)},
    };
    if (reader->is_asleep && reader->before->cpu.has_quota)
        copy_throttling(&reader->before->cpu, cpu);
    else if (reader_read_control(reader, CGROUP_CPU, "cpu.stat"))
        (void)cgroup_parse_keys(reader_text(reader), keys, ARRAY_SIZE(keys), cpu);
}

static void read_cpu_v1(struct cgroup_reader *reader, struct cgroup_figures *ret)
{
    static const struct cgroup_key keys[] = {
        {"user", offsetof(struct cgroup_cpu_figures, user_ns)},
        {"system", offsetof(struct cgroup_cpu_figures, system_ns)},
    };
    ret->has_cpu = reader_read_number(reader, CGROUP_CPUACCT, "cpuacct.usage", &ret->cpu.total_ns);
    reader_note_cpu(reader, ret);
    if (reader->is_asleep) {
        ret->cpu.user_ns = reader->before->cpu.user_ns;
        ret->cpu.system_ns = reader->before->cpu.system_ns;
    } else if (ret->has_cpu && reader_read_control(reader, CGROUP_CPUACCT, "cpuacct.stat")) {
        (void)cgroup_parse_keys(reader_text(reader), keys, ARRAY_SIZE(keys), &ret->cpu);
        ret->cpu.user_ns = reader_sat_mul(ret->cpu.user_ns, TICK_NS);
        ret->cpu.system_ns = reader_sat_mul(ret->cpu.system_ns, TICK_NS);
    }
    read_cpu_limits_v1(reader, &ret->cpu);
}

static void read_memory_v1(struct cgroup_reader *reader, struct cgroup_figures *ret)
{
    static const struct cgroup_key keys[] = {
        {"pgfault", MEMORY(page_faults)},
        {"pgmajfault", MEMORY(major_page_faults)},
        {"total_cache", MEMORY(cache_bytes)},
        {"total_rss", MEMORY(rss_bytes)},
        {"total_mapped_file", MEMORY(mapped_file_bytes)},
        {"total_swap", MEMORY(swap_bytes)},
        {"total_pgfault", MEMORY(tree_page_faults)},
        {"total_pgmajfault", MEMORY(tree_major_page_faults)},
        {"total_inactive_file", MEMORY(inactive_file_bytes)},
        {"total_active_file", MEMORY(active_file_bytes)},
    };
    static const struct reader_number counters[] = {
        {"memory.max_usage_in_bytes", MEMORY(max_usage_bytes)},
        {"memory.failcnt", MEMORY(failcnt)},
        {"memory.kmem.usage_in_bytes", MEMORY(kernel_bytes)},
    };
    static const struct reader_number limits[] = {
        {"memory.limit_in_bytes", MEMORY(limit_bytes)},
        {"memory.memsw.limit_in_bytes", MEMORY(swap_limit_bytes)},
        {"memory.soft_limit_in_bytes", MEMORY(reservation_bytes)},
    };
    struct cgroup_memory_figures *memory = &ret->memory;
    ret->has_memory =
        reader_read_number(reader, CGROUP_MEMORY, "memory.usage_in_bytes", &memory->usage_bytes);
    if (!ret->has_memory)
        return;
    if (reader_is_memory_known(reader, memory->usage_bytes)) {
        *memory = reader->before->memory;
    } else {
        if (reader_read_control(reader, CGROUP_MEMORY, "memory.stat"))
            (void)cgroup_parse_keys(reader_text(reader), keys, ARRAY_SIZE(keys), memory);
        reader_read_numbers(reader, CGROUP_MEMORY, counters, ARRAY_SIZE(counters), memory);
    }
    reader_read_numbers(reader, CGROUP_MEMORY, limits, ARRAY_SIZE(limits), memory);
}

static void read_io_v1(struct cgroup_reader *reader, struct arena *arena,
                       struct cgroup_figures *ret)
{
    /* bfq counts instead of the throttling layer where it schedules the disk. */
    static const struct {
        const char *bytes, *operations;
        bool is_last; /* when it is there, even with nothing in it */
    } sources[] = {
        {"blkio.bfq.io_service_bytes_recursive", "blkio.bfq.io_serviced_recursive", false},
        {"blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_serviced_recursive", true},
        {"blkio.throttle.io_service_bytes", "blkio.throttle.io_serviced", true},
    };
    struct cgroup_io_list list = {0};
    for (size_t i = 0; i < ARRAY_SIZE(sources) && list.count == 0; i++) {
        if (!reader_read_control(reader, CGROUP_BLKIO, sources[i].bytes))
            continue;
        ret->has_io = true;
        cgroup_parse_blkio(reader_text(reader), true, arena, &list);
        if (list.count > 0 && reader_read_control(reader, CGROUP_BLKIO, sources[i].operations))
            cgroup_parse_blkio(reader_text(reader), false, arena, &list);
        if (sources[i].is_last)
            break;
    }
    ret->io_devices = list.items;
    ret->n_io_devices = list.count;
}

void reader_fill_v1(struct cgroup_reader *reader, struct arena *arena, struct cgroup_figures *ret)
{
    read_cpu_v1(reader, ret);
    read_memory_v1(reader, ret);
    read_io_v1(reader, arena, ret);
}
