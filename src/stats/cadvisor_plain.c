/* Families that are one figure of every record: a row of a table each. */
#include "stats/cadvisor_rows.h"

#define NS 1e9
#define US 1e6
#define CONSTANT SIZE_MAX

/* A row of the table. */
struct plain_family {
    const char *name, *help;
    enum metric_type type;
    size_t offset; /* of a uint64_t in struct stats_record; CONSTANT: always @constant */
    double divisor;
    enum cadvisor_time time;
    bool (*applies)(const struct cadvisor *cadvisor, const struct stats_record *record);
    double (*value)(const struct cadvisor *cadvisor, const struct stats_record *record);
    double constant;
};

static bool has_quota(UNUSED const struct cadvisor *cadvisor, const struct stats_record *record)
{
    return record->figures.cpu.has_quota;
}

static bool has_cpu(UNUSED const struct cadvisor *cadvisor, const struct stats_record *record)
{
    return record->figures.has_cpu;
}

static bool has_memory(UNUSED const struct cadvisor *cadvisor, const struct stats_record *record)
{
    return record->figures.has_memory;
}

static bool has_pressure(const struct cadvisor *cadvisor, UNUSED const struct stats_record *record)
{
    return cadvisor->records->has_pressure;
}

static double limit_value(uint64_t limit)
{
    return limit > CGROUP_LIMIT_MAX ? 0 : (double)limit;
}

static double memory_limit(UNUSED const struct cadvisor *cadvisor,
                           const struct stats_record *record)
{
    return limit_value(record->figures.memory.limit_bytes);
}

static double memory_swap_limit(UNUSED const struct cadvisor *cadvisor,
                                const struct stats_record *record)
{
    return limit_value(record->figures.memory.swap_limit_bytes);
}

static double memory_reservation(UNUSED const struct cadvisor *cadvisor,
                                 const struct stats_record *record)
{
    return limit_value(record->figures.memory.reservation_bytes);
}

static double start_time(UNUSED const struct cadvisor *cadvisor, const struct stats_record *record)
{
    int64_t whole_s = record->figures.created_ns / NS_PER_SEC;
    return (double)whole_s;
}

static double last_seen(const struct cadvisor *cadvisor, UNUSED const struct stats_record *record)
{
    int64_t whole_s = cadvisor->now_ns / NS_PER_SEC;
    return (double)whole_s;
}

#define RECORD(member) offsetof(struct stats_record, member)
#define CPU(member) RECORD(figures.cpu.member)
#define MEMORY(member) RECORD(figures.memory.member)
/* The columns: what, unit, when it applies. */
#define COUNTER(name, help, offset, divisor, applies)                                              \
    {                                                                                              \
        name, help, METRIC_COUNTER, offset, divisor, CADVISOR_SAMPLE_TIME, applies, NULL, 0        \
    }
#define GAUGE(name, help, offset)                                                                  \
    {                                                                                              \
        name, help, METRIC_GAUGE, offset, 1, CADVISOR_SAMPLE_TIME, NULL, NULL, 0                   \
    }
#define CONSTANT_GAUGE(name, help, constant)                                                       \
    {                                                                                              \
        name, help, METRIC_GAUGE, CONSTANT, 1, CADVISOR_SAMPLE_TIME, NULL, NULL, constant          \
    }
#define SPEC(name, help, offset, applies, value)                                                   \
    {                                                                                              \
        name, help, METRIC_GAUGE, offset, 1, CADVISOR_NO_TIME, applies, value, 0                   \
    }
#define PRESSURE(kind, line, which, did)                                                           \
    COUNTER("container_pressure_" #kind "_" which "_seconds_total",                                \
            "Time the container's tasks have " did " for lack of " #kind ".",                      \
            RECORD(figures.kind##_pressure.line.total_us), US, has_pressure)

static const struct plain_family families[] = {
    COUNTER("container_cpu_cfs_burst_periods_total", "Number of periods when burst occurs.",
            CPU(burst_periods), 1, has_quota),
    COUNTER("container_cpu_cfs_burst_seconds_total",
            "Total time duration the container has been bursted.", CPU(burst_ns), NS, has_quota),
    COUNTER("container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals.",
            CPU(periods), 1, has_quota),
    COUNTER("container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals.",
            CPU(throttled_periods), 1, has_quota),
    COUNTER("container_cpu_cfs_throttled_seconds_total",
            "Total time duration the container has been throttled.", CPU(throttled_ns), NS,
            has_quota),
    CONSTANT_GAUGE("container_cpu_load_average_10s",
                   "Value of container cpu load average over the last 10 seconds.", 0),
    CONSTANT_GAUGE("container_cpu_load_d_average_10s",
                   "Value of container cpu load.d average over the last 10 seconds.", 0),
    COUNTER("container_cpu_system_seconds_total", "Cumulative system cpu time consumed in seconds.",
            CPU(system_ns), NS, NULL),
    COUNTER("container_cpu_user_seconds_total", "Cumulative user cpu time consumed in seconds.",
            CPU(user_ns), NS, NULL),
    GAUGE("container_file_descriptors", "Number of open file descriptors for the container.",
          RECORD(figures.descriptors)),
    CONSTANT_GAUGE("container_health_state", "The result of the container's health check", -1),
    {"container_last_seen", "Last time a container was seen by the exporter", METRIC_GAUGE,
     CONSTANT, 1, CADVISOR_NOW, NULL, last_seen, 0},
    GAUGE("container_memory_cache", "Number of bytes of page cache memory.", MEMORY(cache_bytes)),
    COUNTER("container_memory_failcnt", "Number of memory usage hits limits", MEMORY(failcnt), 1,
            NULL),
    GAUGE("container_memory_kernel_usage", "Size of kernel memory allocated in bytes.",
          MEMORY(kernel_bytes)),
    GAUGE("container_memory_mapped_file", "Size of memory mapped files in bytes.",
          MEMORY(mapped_file_bytes)),
    GAUGE("container_memory_max_usage_bytes", "Maximum memory usage recorded in bytes",
          MEMORY(max_usage_bytes)),
    GAUGE("container_memory_rss", "Size of RSS in bytes.", MEMORY(rss_bytes)),
    GAUGE("container_memory_swap", "Container swap usage in bytes.", MEMORY(swap_bytes)),
    GAUGE("container_memory_total_active_file_bytes", "Current total active file in bytes.",
          MEMORY(active_file_bytes)),
    GAUGE("container_memory_total_inactive_file_bytes", "Current total inactive file in bytes.",
          MEMORY(inactive_file_bytes)),
    GAUGE("container_memory_usage_bytes",
          "Current memory usage in bytes, including all memory regardless of when it was accessed",
          MEMORY(usage_bytes)),
    GAUGE("container_memory_working_set_bytes", "Current working set in bytes.",
          MEMORY(working_set_bytes)),
    COUNTER("container_oom_events_total",
            "Count of out of memory events observed for the container", RECORD(oom_kills), 1, NULL),
    PRESSURE(cpu, full, "stalled", "stalled"),
    PRESSURE(cpu, some, "waiting", "waited"),
    PRESSURE(io, full, "stalled", "stalled"),
    PRESSURE(io, some, "waiting", "waited"),
    PRESSURE(memory, full, "stalled", "stalled"),
    PRESSURE(memory, some, "waiting", "waited"),
    GAUGE("container_processes", "Number of processes running inside the container.",
          RECORD(figures.processes)),
    GAUGE("container_sockets", "Number of open sockets for the container.",
          RECORD(figures.sockets)),
    SPEC("container_spec_cpu_period", "CPU period of the container.", CPU(period_us), has_cpu,
         NULL),
    SPEC("container_spec_cpu_quota", "CPU quota of the container.", CPU(quota_us), has_quota, NULL),
    SPEC("container_spec_cpu_shares", "CPU share of the container.", CPU(shares), has_cpu, NULL),
    SPEC("container_spec_memory_limit_bytes", "Memory limit for the container.", CONSTANT,
         has_memory, memory_limit),
    SPEC("container_spec_memory_reservation_limit_bytes",
         "Memory reservation limit for the container.", CONSTANT, has_memory, memory_reservation),
    SPEC("container_spec_memory_swap_limit_bytes", "Memory swap limit for the container.", CONSTANT,
         has_memory, memory_swap_limit),
    SPEC("container_start_time_seconds", "Start time of the container since unix epoch in seconds.",
         CONSTANT, NULL, start_time),
    GAUGE("container_threads", "Number of threads running inside the container",
          RECORD(figures.tasks)),
    GAUGE("container_threads_max",
          "Maximum number of threads allowed inside the container, infinity if value is zero",
          RECORD(figures.tasks_max)),
};

static double plain_value(const struct cadvisor *cadvisor, const struct plain_family *family,
                          const struct stats_record *record)
{
    if (family->value)
        return family->value(cadvisor, record);
    if (family->offset == CONSTANT)
        return family->constant;
    uint64_t number;
    memcpy(&number, (const char *)record + family->offset, sizeof(number));
    return (double)number / family->divisor;
}

static void write_plain(struct cadvisor *cadvisor, const void *row_of_table)
{
    const struct plain_family *family = row_of_table;
    static const struct cadvisor_labels no_labels = {0};
    bool has_begun = false;
    for (size_t i = 0; i < cadvisor->records->count; i++) {
        const struct stats_record *record = cadvisor->order[i];
        if (family->applies && !family->applies(cadvisor, record))
            continue;
        if (!has_begun)
            exposition_family(cadvisor->page, family->name, family->help, family->type);
        has_begun = true;
        const struct cadvisor_row row = {.record = record,
                                         .value = plain_value(cadvisor, family, record)};
        cadvisor_write_row(cadvisor, &no_labels, &row, family->time);
    }
}

void cadvisor_plain_list(struct cadvisor_list *list)
{
    for (size_t i = 0; i < ARRAY_SIZE(families); i++)
        cadvisor_list_add(list, families[i].name, write_plain, &families[i]);
}
