/* Families of cpu, memory, network and processes that have a label of their own. */
#include "stats/cadvisor_rows.h"

#define NS 1e9

static void gather_cpu(UNUSED const struct cadvisor *cadvisor, const struct stats_record *record,
                       UNUSED size_t which, struct cadvisor_rows *rows)
{
    uint64_t total_ns = record->figures.cpu.total_ns;
    const struct cadvisor_row row = {
        .record = record, .after_container = "total", .value = (double)total_ns / NS};
    if (total_ns > 0)
        cadvisor_rows_add(rows, &row);
}

static void gather_failures(UNUSED const struct cadvisor *cadvisor,
                            const struct stats_record *record, UNUSED size_t which,
                            struct cadvisor_rows *rows)
{
    const struct cgroup_memory_figures *memory = &record->figures.memory;
    const struct {
        const char *type, *scope;
        uint64_t count;
    } failures[] = {
        {"pgfault", "container", memory->page_faults},
        {"pgfault", "hierarchy", memory->tree_page_faults},
        {"pgmajfault", "container", memory->major_page_faults},
        {"pgmajfault", "hierarchy", memory->tree_major_page_faults},
    };
    for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
        const struct cadvisor_row row = {.record = record,
                                         .after_container = failures[i].type,
                                         .last = failures[i].scope,
                                         .value = (double)failures[i].count};
        cadvisor_rows_add(rows, &row);
    }
}

/* @which is an offset in struct stats_interface. */
static void gather_network(UNUSED const struct cadvisor *cadvisor,
                           const struct stats_record *record, size_t which,
                           struct cadvisor_rows *rows)
{
    for (size_t i = 0; i < record->n_interfaces; i++) {
        uint64_t number;
        memcpy(&number, (const char *)&record->interfaces[i] + which, sizeof(number));
        const struct cadvisor_row row = {
            .record = record, .before_name = {record->interfaces[i].name}, .value = (double)number};
        cadvisor_rows_add(rows, &row);
    }
}

static void gather_states(UNUSED const struct cadvisor *cadvisor, const struct stats_record *record,
                          UNUSED size_t which, struct cadvisor_rows *rows)
{
    static const char *const states[] = {"iowaiting", "running", "sleeping", "stopped",
                                         "uninterruptible"};
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        const struct cadvisor_row row = {.record = record, .last = states[i]};
        cadvisor_rows_add(rows, &row);
    }
}

static void gather_ulimits(UNUSED const struct cadvisor *cadvisor,
                           const struct stats_record *record, UNUSED size_t which,
                           struct cadvisor_rows *rows)
{
    const struct cadvisor_row row = {.record = record,
                                     .last = "max_open_files",
                                     .value = (double)record->figures.open_files_limit};
    if (record->figures.has_ulimit)
        cadvisor_rows_add(rows, &row);
}

#define NETWORK(name, help, member)                                                                \
    {                                                                                              \
        name, help, METRIC_COUNTER, {.before_name = {"interface"}}, gather_network,                \
            offsetof(struct stats_interface, member)                                               \
    }

static const struct cadvisor_family families[] = {
    {"container_cpu_usage_seconds_total",
     "Cumulative cpu time consumed in seconds.",
     METRIC_COUNTER,
     {.after_container = "cpu"},
     gather_cpu,
     0},
    {"container_memory_failures_total",
     "Cumulative count of memory allocation failures.",
     METRIC_COUNTER,
     {.after_container = "failure_type", .last = "scope"},
     gather_failures,
     0},
    NETWORK("container_network_receive_bytes_total", "Cumulative count of bytes received",
            rx_bytes),
    NETWORK("container_network_receive_errors_total",
            "Cumulative count of errors encountered while receiving", rx_errors),
    NETWORK("container_network_receive_packets_dropped_total",
            "Cumulative count of packets dropped while receiving", rx_dropped),
    NETWORK("container_network_receive_packets_total", "Cumulative count of packets received",
            rx_packets),
    NETWORK("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted",
            tx_bytes),
    NETWORK("container_network_transmit_errors_total",
            "Cumulative count of errors encountered while transmitting", tx_errors),
    NETWORK("container_network_transmit_packets_dropped_total",
            "Cumulative count of packets dropped while transmitting", tx_dropped),
    NETWORK("container_network_transmit_packets_total", "Cumulative count of packets transmitted",
            tx_packets),
    {"container_tasks_state",
     "Number of tasks in given state",
     METRIC_GAUGE,
     {.last = "state"},
     gather_states,
     0},
    {"container_ulimits_soft",
     "Soft ulimit values for the container root process. Unlimited if -1, except priority and nice",
     METRIC_GAUGE,
     {.last = "ulimit"},
     gather_ulimits,
     0},
};

void cadvisor_labelled_list(struct cadvisor_list *list)
{
    for (size_t i = 0; i < ARRAY_SIZE(families); i++)
        cadvisor_list_add(list, families[i].name, cadvisor_write_rows, &families[i]);
}
