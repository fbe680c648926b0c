/*
 * Families are rows: what they are called and how their value is got of one thing (the node, a pod,
 * a container, a volume). Things are sorted once by what will be their labels, as a page must be;
 * of things with equal labels (two pods of one name while the old one ends) the younger one shows.
 */
#include "stats/resource_metrics.h"

struct sample {
    bool known;
    double value;
    int64_t time_ns;
    bool timeless; /* shown without its time */
};

/* One thing that has samples; what it is not stays NULL. */
struct thing {
    const struct summary_node *node;
    const struct summary_pod *pod;
    const struct summary_container *container;
    const struct summary_volume *volume;
};

struct things {
    size_t count;
    struct thing *items; /* owned */
};

struct family {
    const char *name, *help;
    enum metric_type type;
    struct sample (*sample)(const struct thing *thing);
};

/* --- values --- */

static struct sample sample_of(struct summary_figure figure, double unit, int64_t time_ns)
{
    return (struct sample){
        .known = figure.known, .value = (double)figure.value / unit, .time_ns = time_ns};
}

static struct sample cpu_sample(const struct summary_cpu *cpu)
{
    return cpu ? sample_of(cpu->usage_core_nanos, (double)NS_PER_SEC, cpu->time_ns)
               : (struct sample){0};
}

static struct sample memory_sample(const struct summary_memory *memory)
{
    return memory ? sample_of(memory->working_set_bytes, 1, memory->time_ns) : (struct sample){0};
}

static struct sample swap_sample(const struct summary_swap *swap)
{
    return swap ? sample_of(swap->usage_bytes, 1, swap->time_ns) : (struct sample){0};
}

static struct sample container_cpu(const struct thing *thing)
{
    return cpu_sample(thing->container->cpu);
}

static struct sample container_memory(const struct thing *thing)
{
    return memory_sample(thing->container->memory);
}

static struct sample container_start(const struct thing *thing)
{
    int64_t start_ns = thing->container->start_time_ns;
    return (struct sample){
        .known = start_ns > 0, .value = (double)start_ns / (double)NS_PER_SEC, .timeless = true};
}

static struct sample container_swap_limit(const struct thing *thing)
{
    const struct summary_swap *swap = thing->container->swap;
    if (!swap || !swap->available_bytes.known || !swap->usage_bytes.known)
        return (struct sample){0};
    return (struct sample){.known = true,
                           .value = (double)(swap->available_bytes.value + swap->usage_bytes.value),
                           .time_ns = swap->time_ns};
}

static struct sample container_swap(const struct thing *thing)
{
    return swap_sample(thing->container->swap);
}

static struct sample node_cpu(const struct thing *thing)
{
    return cpu_sample(thing->node->cpu);
}

static struct sample node_memory(const struct thing *thing)
{
    return memory_sample(thing->node->memory);
}

static struct sample node_swap(const struct thing *thing)
{
    return swap_sample(thing->node->swap);
}

static struct sample pod_cpu(const struct thing *thing)
{
    return cpu_sample(thing->pod->cpu);
}

static struct sample pod_memory(const struct thing *thing)
{
    return memory_sample(thing->pod->memory);
}

static struct sample pod_swap(const struct thing *thing)
{
    return swap_sample(thing->pod->swap);
}

static struct sample timeless_sample(struct summary_figure figure)
{
    return (struct sample){.known = figure.known, .value = (double)figure.value, .timeless = true};
}

static struct sample log_used(const struct thing *thing)
{
    const struct summary_fs *logs = thing->container->logs;
    return logs ? timeless_sample(logs->used_bytes) : (struct sample){0};
}

static struct sample volume_available(const struct thing *thing)
{
    return timeless_sample(thing->volume->fs.available_bytes);
}

static struct sample volume_capacity(const struct thing *thing)
{
    return timeless_sample(thing->volume->fs.capacity_bytes);
}

static struct sample volume_abnormal(const struct thing *thing)
{
    return (struct sample){.known = thing->volume->abnormal.known,
                           .value = thing->volume->abnormal.value ? 1 : 0,
                           .timeless = true};
}

static struct sample volume_inodes(const struct thing *thing)
{
    return timeless_sample(thing->volume->fs.inodes);
}

static struct sample volume_inodes_free(const struct thing *thing)
{
    return timeless_sample(thing->volume->fs.inodes_free);
}

static struct sample volume_inodes_used(const struct thing *thing)
{
    return timeless_sample(thing->volume->fs.inodes_used);
}

static struct sample volume_used(const struct thing *thing)
{
    return timeless_sample(thing->volume->fs.used_bytes);
}

/* --- families, by name --- */

#define NOT_ON_WINDOWS ". Reported only on non-windows systems"

static const struct family container_families[] = {
    {"container_cpu_usage_seconds_total",
     "[STABLE] Cumulative cpu time consumed by the container in core-seconds", METRIC_COUNTER,
     container_cpu},
    {"container_memory_working_set_bytes", "[STABLE] Current working set of the container in bytes",
     METRIC_GAUGE, container_memory},
    {"container_start_time_seconds",
     "[STABLE] Start time of the container since unix epoch in seconds", METRIC_GAUGE,
     container_start},
    {"container_swap_limit_bytes",
     "[ALPHA] Current amount of the container swap limit in bytes" NOT_ON_WINDOWS, METRIC_GAUGE,
     container_swap_limit},
    {"container_swap_usage_bytes",
     "[ALPHA] Current amount of the container swap usage in bytes" NOT_ON_WINDOWS, METRIC_GAUGE,
     container_swap},
};

static const struct family node_families[] = {
    {"node_cpu_usage_seconds_total",
     "[STABLE] Cumulative cpu time consumed by the node in core-seconds", METRIC_COUNTER, node_cpu},
    {"node_memory_working_set_bytes", "[STABLE] Current working set of the node in bytes",
     METRIC_GAUGE, node_memory},
    {"node_swap_usage_bytes", "[ALPHA] Current swap usage of the node in bytes" NOT_ON_WINDOWS,
     METRIC_GAUGE, node_swap},
};

static const struct family pod_families[] = {
    {"pod_cpu_usage_seconds_total",
     "[STABLE] Cumulative cpu time consumed by the pod in core-seconds", METRIC_COUNTER, pod_cpu},
    {"pod_memory_working_set_bytes", "[STABLE] Current working set of the pod in bytes",
     METRIC_GAUGE, pod_memory},
    {"pod_swap_usage_bytes", "[ALPHA] Current amount of the pod swap usage in bytes" NOT_ON_WINDOWS,
     METRIC_GAUGE, pod_swap},
};

static const struct family log_families[] = {
    {"kubelet_container_log_filesystem_used_bytes",
     "[ALPHA] Bytes used by the container's logs on the filesystem.", METRIC_GAUGE, log_used},
};

static const struct family volume_families[] = {
    {"kubelet_volume_stats_available_bytes", "[ALPHA] Number of available bytes in the volume",
     METRIC_GAUGE, volume_available},
    {"kubelet_volume_stats_capacity_bytes", "[ALPHA] Capacity in bytes of the volume", METRIC_GAUGE,
     volume_capacity},
    {"kubelet_volume_stats_health_status_abnormal",
     "[ALPHA] Abnormal volume health status. The count is either 1 or 0. 1 indicates the volume is "
     "unhealthy, 0 indicates volume is healthy",
     METRIC_GAUGE, volume_abnormal},
    {"kubelet_volume_stats_inodes", "[ALPHA] Maximum number of inodes in the volume", METRIC_GAUGE,
     volume_inodes},
    {"kubelet_volume_stats_inodes_free", "[ALPHA] Number of free inodes in the volume",
     METRIC_GAUGE, volume_inodes_free},
    {"kubelet_volume_stats_inodes_used", "[ALPHA] Number of used inodes in the volume",
     METRIC_GAUGE, volume_inodes_used},
    {"kubelet_volume_stats_used_bytes", "[ALPHA] Number of used bytes in the volume", METRIC_GAUGE,
     volume_used},
};

/* --- labels --- */

#define MAX_LABELS 4

typedef size_t labels_of(const struct thing *thing,
                         struct exposition_label labels[static MAX_LABELS]);

static size_t no_labels(UNUSED const struct thing *thing,
                        UNUSED struct exposition_label labels[static MAX_LABELS])
{
    return 0;
}

static size_t container_labels(const struct thing *thing,
                               struct exposition_label labels[static MAX_LABELS])
{
    labels[0] = (struct exposition_label){"container", thing->container->name};
    labels[1] = (struct exposition_label){"namespace", thing->pod->namespace};
    labels[2] = (struct exposition_label){"pod", thing->pod->name};
    return 3;
}

static size_t log_labels(const struct thing *thing,
                         struct exposition_label labels[static MAX_LABELS])
{
    size_t count = container_labels(thing, labels);
    labels[count++] = (struct exposition_label){"uid", thing->pod->uid};
    return count;
}

static size_t pod_labels(const struct thing *thing,
                         struct exposition_label labels[static MAX_LABELS])
{
    labels[0] = (struct exposition_label){"namespace", thing->pod->namespace};
    labels[1] = (struct exposition_label){"pod", thing->pod->name};
    return 2;
}

static size_t volume_labels(const struct thing *thing,
                            struct exposition_label labels[static MAX_LABELS])
{
    labels[0] = (struct exposition_label){"namespace", thing->volume->claim_namespace};
    labels[1] = (struct exposition_label){"persistentvolumeclaim", thing->volume->claim_name};
    return 2;
}

/* --- things in order --- */

static inline UNUSED void auto_release_things(struct things *things)
{
    free(TAKE(things->items));
}

static int compare_labels(const struct thing *a, const struct thing *b, labels_of *labels)
{
    struct exposition_label left[MAX_LABELS] = {0}, right[MAX_LABELS] = {0};
    size_t count = labels(a, left);
    (void)labels(b, right);
    int order = 0;
    for (size_t i = 0; order == 0 && i < count; i++)
        order = strcmp(left[i].value, right[i].value);
    return order;
}

/* The younger pod first. */
static int compare_age(const struct thing *a, const struct thing *b)
{
    int64_t left = a->pod ? a->pod->start_time_ns : 0, right = b->pod ? b->pod->start_time_ns : 0;
    return left > right ? -1 : left < right;
}

static int compare_containers(const void *a, const void *b)
{
    int order = compare_labels(a, b, container_labels);
    return order != 0 ? order : compare_age(a, b);
}

static int compare_pods(const void *a, const void *b)
{
    int order = compare_labels(a, b, pod_labels);
    return order != 0 ? order : compare_age(a, b);
}

static int compare_volumes(const void *a, const void *b)
{
    int order = compare_labels(a, b, volume_labels);
    return order != 0 ? order : compare_age(a, b);
}

static void sort(struct things *things, int (*compare)(const void *a, const void *b))
{
    if (things->count > 1)
        qsort(things->items, things->count, sizeof(*things->items), compare);
}

static struct things containers_of(const struct summary *summary)
{
    struct things things = {0};
    for (size_t i = 0; i < summary->pod_count; i++)
        things.count += summary->pods[i].container_count;
    things.items = xcalloc(things.count + 1, sizeof(*things.items));
    struct thing *next = things.items;
    for (size_t i = 0; i < summary->pod_count; i++) {
        const struct summary_pod *pod = &summary->pods[i];
        for (size_t k = 0; k < pod->container_count; k++)
            *next++ = (struct thing){.pod = pod, .container = &pod->containers[k]};
    }
    sort(&things, compare_containers);
    return things;
}

static struct things pods_of(const struct summary *summary)
{
    struct things things = {
        .count = summary->pod_count,
        .items = xcalloc(summary->pod_count + 1, sizeof(*things.items)),
    };
    for (size_t i = 0; i < summary->pod_count; i++)
        things.items[i].pod = &summary->pods[i];
    sort(&things, compare_pods);
    return things;
}

static struct things claimed_volumes_of(const struct summary *summary)
{
    struct things things = {0};
    size_t room = 0;
    for (size_t i = 0; i < summary->pod_count; i++)
        room += summary->pods[i].volume_count;
    things.items = xcalloc(room + 1, sizeof(*things.items));
    for (size_t i = 0; i < summary->pod_count; i++) {
        const struct summary_pod *pod = &summary->pods[i];
        for (size_t k = 0; k < pod->volume_count; k++) {
            if (pod->volumes[k].claim_name)
                things.items[things.count++] =
                    (struct thing){.pod = pod, .volume = &pod->volumes[k]};
        }
    }
    sort(&things, compare_volumes);
    return things;
}

/* --- writing --- */

static void write_family(const struct family *family, const struct things *things,
                         labels_of *labels, struct exposition *page)
{
    const struct thing *shown = NULL;
    for (size_t i = 0; i < things->count; i++) {
        const struct thing *thing = &things->items[i];
        struct sample sample = family->sample(thing);
        if (!sample.known || (shown && compare_labels(shown, thing, labels) == 0))
            continue;
        if (!shown)
            exposition_family(page, family->name, family->help, family->type);
        struct exposition_label values[MAX_LABELS];
        size_t count = labels(thing, values);
        exposition_sample(page, values, count, sample.value,
                          sample.timeless ? EXPOSITION_NO_TIMESTAMP : sample.time_ns / NS_PER_MS);
        shown = thing;
    }
}

static void write_families(const struct family *families, size_t count, const struct things *things,
                           labels_of *labels, struct exposition *page)
{
    for (size_t i = 0; i < count; i++)
        write_family(&families[i], things, labels, page);
}

static void write_summary(const struct summary *summary, struct exposition *page)
{
    AUTO(things) struct things containers = containers_of(summary);
    write_families(container_families, ARRAY_SIZE(container_families), &containers,
                   container_labels, page);
    struct thing node = {.node = &summary->node};
    write_families(node_families, ARRAY_SIZE(node_families),
                   &(struct things){.count = 1, .items = &node}, no_labels, page);
    AUTO(things) struct things pods = pods_of(summary);
    write_families(pod_families, ARRAY_SIZE(pod_families), &pods, pod_labels, page);
}

void resource_metrics_write(const struct summary *summary, struct exposition *page)
{
    if (summary)
        write_summary(summary, page);
    exposition_family(page, "resource_scrape_error",
                      "[STABLE] 1 if there was an error while getting container metrics, 0 "
                      "otherwise",
                      METRIC_GAUGE);
    exposition_sample(page, NULL, 0, summary ? 0 : 1, EXPOSITION_NO_TIMESTAMP);
}

/* --- on /metrics --- */

/* Families whose names follow each other. */
struct run {
    const struct family *families;
    size_t count, written;
    struct things things; /* owned items */
    labels_of *labels;
};

struct storage_families {
    struct run logs, volumes; /* in the order of their names */
};

struct storage_families *storage_families_new(const struct summary *summary)
{
    struct storage_families *families = xcalloc(1, sizeof(*families));
    families->logs = (struct run){.families = log_families,
                                  .count = ARRAY_SIZE(log_families),
                                  .things = containers_of(summary),
                                  .labels = log_labels};
    families->volumes = (struct run){.families = volume_families,
                                     .count = ARRAY_SIZE(volume_families),
                                     .things = claimed_volumes_of(summary),
                                     .labels = volume_labels};
    return families;
}

void storage_families_free(struct storage_families *families)
{
    if (!families)
        return;
    free(families->logs.things.items);
    free(families->volumes.things.items);
    free(families);
}

static void write_run_before(struct run *run, const char *name, struct exposition *page)
{
    for (; run->written < run->count; run->written++) {
        const struct family *family = &run->families[run->written];
        if (name && strcmp(family->name, name) >= 0)
            return;
        write_family(family, &run->things, run->labels, page);
    }
}

void storage_families_write_before(void *families, const char *name, struct exposition *page)
{
    struct storage_families *storage = families;
    write_run_before(&storage->logs, name, page);
    write_run_before(&storage->volumes, name, page);
}
