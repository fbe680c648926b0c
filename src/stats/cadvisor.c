/*
 * The page is a list of families in the order of their names. Most are one figure of every record
 * (cadvisor_plain.c); those with labels of their own gather rows (cadvisor_labelled.c,
 * cadvisor_disk.c); the machine's and the page's own are here.
 */
#include "stats/cadvisor_rows.h"

static void write_version(struct cadvisor *cadvisor, UNUSED const void *unused)
{
    struct exposition *page = cadvisor->page;
    const struct stats_machine *machine = &cadvisor->records->machine;
    const struct exposition_label labels[] = {
        {"cadvisorRevision", ""},
        {"cadvisorVersion", ""},
        {"dockerVersion", ""},
        {"kernelVersion", machine->kernel_version},
        {"osVersion", machine->os_version},
    };
    exposition_family(page, "cadvisor_version_info",
                      "A metric with a constant '1' value labeled by kernel version, OS version, "
                      "docker version, cadvisor version & cadvisor revision.",
                      METRIC_GAUGE);
    exposition_sample(page, labels, ARRAY_SIZE(labels), 1, EXPOSITION_NO_TIMESTAMP);
}

/* A family without labels, which is 0 as long as there are records. */
struct scrape_error {
    const char *name, *help;
};
static const struct scrape_error scrape_errors[] = {
    {"container_scrape_error",
     "1 if there was an error while getting container metrics, 0 otherwise"},
    {"machine_scrape_error", "1 if there was an error while getting machine metrics, 0 otherwise."},
};

static void write_scrape_error(struct exposition *page, const struct scrape_error *family,
                               bool failed)
{
    exposition_family(page, family->name, family->help, METRIC_GAUGE);
    exposition_sample(page, NULL, 0, failed ? 1 : 0, EXPOSITION_NO_TIMESTAMP);
}

static void write_no_error(struct cadvisor *cadvisor, const void *family)
{
    write_scrape_error(cadvisor->page, family, false);
}

static void write_machine_figure(struct exposition *page, const struct stats_machine *machine,
                                 const char *mode, double value)
{
    const struct exposition_label labels[] = {
        {"boot_id", machine->boot_id},
        {"machine_id", machine->machine_id},
        {mode ? "mode" : "system_uuid", mode ? mode : machine->system_uuid},
        {"system_uuid", machine->system_uuid},
    };
    exposition_sample(page, labels, mode ? ARRAY_SIZE(labels) : ARRAY_SIZE(labels) - 1, value,
                      EXPOSITION_NO_TIMESTAMP);
}

/* A figure of the machine. */
struct machine_family {
    const char *name, *help;
    size_t offset; /* of a uint64_t in struct stats_machine; NO_OFFSET: 0, as on most machines */
    const char *modes[2];
};
#define NO_OFFSET SIZE_MAX
static const struct machine_family machine_families[] = {
    {"machine_cpu_books", "Number of CPU books.", NO_OFFSET, {0}},
    {"machine_cpu_cores",
     "Number of logical CPU cores.",
     offsetof(struct stats_machine, cpu_cores),
     {0}},
    {"machine_cpu_drawers", "Number of CPU drawers.", NO_OFFSET, {0}},
    {"machine_cpu_physical_cores",
     "Number of physical CPU cores.",
     offsetof(struct stats_machine, cpu_physical_cores),
     {0}},
    {"machine_cpu_sockets",
     "Number of CPU sockets.",
     offsetof(struct stats_machine, cpu_sockets),
     {0}},
    {"machine_memory_bytes",
     "Amount of memory installed on the machine.",
     offsetof(struct stats_machine, memory_bytes),
     {0}},
    {"machine_nvm_avg_power_budget_watts", "NVM power budget.", NO_OFFSET, {0}},
    {"machine_nvm_capacity",
     "NVM capacity value labeled by NVM mode (memory mode or app direct mode).",
     NO_OFFSET,
     {"app_direct_mode", "memory_mode"}},
    {"machine_swap_bytes",
     "Amount of swap memory available on the machine.",
     offsetof(struct stats_machine, swap_bytes),
     {0}},
};

static void write_machine(struct cadvisor *cadvisor, const void *row)
{
    const struct machine_family *family = row;
    const struct stats_machine *machine = &cadvisor->records->machine;
    uint64_t value = 0;
    if (family->offset != NO_OFFSET)
        memcpy(&value, (const char *)machine + family->offset, sizeof(value));
    exposition_family(cadvisor->page, family->name, family->help, METRIC_GAUGE);
    write_machine_figure(cadvisor->page, machine, family->modes[0], (double)value);
    if (family->modes[1])
        write_machine_figure(cadvisor->page, machine, family->modes[1], (double)value);
}

/* --- the page --- */

void cadvisor_list_add(struct cadvisor_list *list, const char *name, cadvisor_write_family *write,
                       const void *family)
{
    ASSERT(list->count < ARRAY_SIZE(list->items));
    list->items[list->count++] =
        (struct cadvisor_item){.name = name, .write = write, .family = family};
}

static void list_families(struct cadvisor_list *list)
{
    cadvisor_list_add(list, "cadvisor_version_info", write_version, NULL);
    cadvisor_plain_list(list);
    cadvisor_labelled_list(list);
    cadvisor_disk_list(list);
    for (size_t i = 0; i < ARRAY_SIZE(scrape_errors); i++)
        cadvisor_list_add(list, scrape_errors[i].name, write_no_error, &scrape_errors[i]);
    for (size_t i = 0; i < ARRAY_SIZE(machine_families); i++)
        cadvisor_list_add(list, machine_families[i].name, write_machine, &machine_families[i]);
}

static int compare_items(const void *a, const void *b)
{
    const struct cadvisor_item *left = a, *right = b;
    return strcmp(left->name, right->name);
}

/* The order of the labels: the container's name comes before the cgroup. */
static int compare_order(const void *a, const void *b)
{
    const struct stats_record *const *left = a, *const *right = b;
    int order = strcmp((*left)->container, (*right)->container);
    return order ? order : strcmp((*left)->path, (*right)->path);
}

void cadvisor_write(struct exposition *page, const struct stats_records *records, int64_t now_ns)
{
    if (!records) {
        for (size_t i = 0; i < ARRAY_SIZE(scrape_errors); i++)
            write_scrape_error(page, &scrape_errors[i], true);
        return;
    }
    AUTO(arena) struct arena *arena = arena_new(256 * KiB);
    struct cadvisor cadvisor = {
        .page = page,
        .records = records,
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
        .order = arena_calloc(arena, records->count, sizeof(*cadvisor.order)),
        .now_ns = now_ns,
        .arena = arena,
    };
    for (size_t i = 0; i < records->count; i++)
        cadvisor.order[i] = &records->items[i];
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    qsort(cadvisor.order, records->count, sizeof(*cadvisor.order), compare_order);
    struct cadvisor_list *list = arena_alloc(arena, sizeof(*list));
    list_families(list);
    qsort(list->items, list->count, sizeof(*list->items), compare_items);
    for (size_t i = 0; i < list->count; i++)
        list->items[i].write(&cadvisor, list->items[i].family);
}
