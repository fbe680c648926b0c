/*
 * What is used now: the agent's summary of CPU and memory (the Summary API's), asked for twice. A
 * rate is that of the time between two readings, and between the last one and this command hours
 * may lie.
 */
#include "cli/cli_internal.h"
#include "cli/local_client.h"
#include "cli/text_table.h"

#include <stdio.h>

#define SUMMARY_TARGET "/stats/summary?only_cpu_and_memory=true"
#define BETWEEN_NS (1200 * NS_PER_MS) /* a summary is as good as a new one for a second */
#define TABLE_MAX_BYTES (16 * MiB)
#define UNKNOWN INT64_C(-1)
#define NANOS_PER_MILLI INT64_C(1000000)
#define MAX_COLUMNS 5

static int64_t figure_of(const struct doc_node *object, const char *section, const char *key)
{
    const struct doc_node *node = doc_get(doc_get(object, section), key);
    return node && node->kind == DOC_INTEGER ? node->integer : UNKNOWN;
}

/* --- rows --- */

struct usage {
    const char *namespace, *pod, *container; /* container NULL: the whole */
    int64_t nano_cores, memory_bytes;
};

struct usages {
    struct usage *items; /* in the arena */
    size_t count;
};

static struct usage usage_of(const struct doc_node *object)
{
    return (struct usage){.nano_cores = figure_of(object, "cpu", "usageNanoCores"),
                          .memory_bytes = figure_of(object, "memory", "workingSetBytes")};
}

static void add_pod(const struct doc_node *pod, bool by_container, struct usages *usages)
{
    const struct doc_node *reference = doc_get(pod, "podRef");
    const struct doc_node *containers = doc_get(pod, "containers");
    size_t count = by_container ? doc_count(containers) : 1;
    for (size_t i = 0; i < count; i++) {
        const struct doc_node *object = by_container ? containers->array.items[i] : pod;
        struct usage usage = usage_of(object);
        usage.namespace = doc_get_text(reference, "namespace");
        usage.pod = doc_get_text(reference, "name");
        usage.container = by_container ? doc_get_text(object, "name") : NULL;
        usages->items[usages->count++] = usage;
    }
}

static void collect(const struct doc_node *pods, const struct cli_options *options,
                    struct arena *arena, struct usages *ret)
{
    const char *namespace = cli_namespace_filter(options);
    size_t most = 0;
    for (size_t i = 0; i < doc_count(pods); i++)
        most += doc_count(doc_get(pods->array.items[i], "containers")) + 1;
    *ret = (struct usages){.items = arena_calloc(arena, most + 1, sizeof(*ret->items))};
    for (size_t i = 0; i < doc_count(pods); i++) {
        const struct doc_node *pod = pods->array.items[i];
        if (!namespace || text_eq(doc_get_text(doc_get(pod, "podRef"), "namespace"), namespace))
            add_pod(pod, options->containers, ret);
    }
}

static int by_name(const void *left, const void *right)
{
    const struct usage *a = left, *b = right;
    int order = strcmp(a->namespace, b->namespace);
    if (order == 0)
        order = strcmp(a->pod, b->pod);
    return order != 0 || !a->container ? order : strcmp(a->container, b->container);
}

static int by_cpu(const void *left, const void *right)
{
    const struct usage *a = left, *b = right;
    if (a->nano_cores != b->nano_cores)
        return a->nano_cores > b->nano_cores ? -1 : 1;
    return by_name(left, right);
}

static int by_memory(const void *left, const void *right)
{
    const struct usage *a = left, *b = right;
    if (a->memory_bytes != b->memory_bytes)
        return a->memory_bytes > b->memory_bytes ? -1 : 1;
    return by_name(left, right);
}

static void sort(struct usages *usages, const char *order)
{
    qsort(usages->items, usages->count, sizeof(*usages->items),
          text_eq(order, "cpu")      ? by_cpu
          : text_eq(order, "memory") ? by_memory
                                     : by_name);
}

/* --- tables --- */

/* Rounded up, so that what runs is not shown as nothing. */
static const char *cpu_text(int64_t nano_cores, struct arena *arena)
{
    if (nano_cores < 0)
        return "<unknown>";
    return arena_printf(
        arena, "%lldm",
        (long long)(sat_add_i64(nano_cores, NANOS_PER_MILLI - 1) / NANOS_PER_MILLI));
}

static const char *memory_text(int64_t bytes, struct arena *arena)
{
    return bytes < 0 ? "<unknown>"
                     : arena_printf(arena, "%lldMi", (long long)(bytes / (int64_t)MiB));
}

static void render_pods(const struct usages *usages, bool by_container, struct arena *arena,
                        struct buf *out)
{
    static const char *const titles[2][MAX_COLUMNS] = {
        {"NAMESPACE", "NAME", "CPU(cores)", "MEMORY(bytes)"},
        {"NAMESPACE", "POD", "NAME", "CPU(cores)", "MEMORY(bytes)"}};
    struct text_table table = {.columns = by_container ? 5 : 4};
    const char *(*rows)[MAX_COLUMNS] = arena_calloc(arena, usages->count + 1, sizeof(*rows));
    text_table_measure(&table, titles[by_container]);
    for (size_t i = 0; i < usages->count; i++) {
        const struct usage *usage = &usages->items[i];
        size_t at = 0;
        rows[i][at++] = usage->namespace;
        rows[i][at++] = usage->pod;
        if (by_container)
            rows[i][at++] = usage->container;
        rows[i][at++] = cpu_text(usage->nano_cores, arena);
        rows[i][at++] = memory_text(usage->memory_bytes, arena);
        text_table_measure(&table, rows[i]);
    }
    text_table_add(&table, titles[by_container], out);
    for (size_t i = 0; i < usages->count; i++)
        text_table_add(&table, rows[i], out);
}

/* The share of the machine's memory, which is what is used and what could be. */
static const char *share_text(int64_t used, int64_t available, struct arena *arena)
{
    if (used < 0 || available < 0 || sat_add_i64(used, available) == 0)
        return "<unknown>";
    return arena_printf(arena, "%.0f%%",
                        100.0 * (double)used / (double)sat_add_i64(used, available));
}

static void render_node(const struct doc_node *node, struct arena *arena, struct buf *out)
{
    static const char *const titles[] = {"NAME", "CPU(cores)", "MEMORY(bytes)", "MEMORY(%)"};
    struct usage usage = usage_of(node);
    const char *const cells[] = {
        doc_get_text(node, "nodeName"), cpu_text(usage.nano_cores, arena),
        memory_text(usage.memory_bytes, arena),
        share_text(usage.memory_bytes, figure_of(node, "memory", "availableBytes"), arena)};
    struct text_table table = {.columns = ARRAY_SIZE(titles)};
    text_table_measure(&table, titles);
    text_table_measure(&table, cells);
    text_table_add(&table, titles, out);
    text_table_add(&table, cells, out);
}

void cli_render_top(const struct doc_node *summary, const struct cli_options *options,
                    struct buf *out)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    if (options->is_node) {
        render_node(doc_get(summary, "node"), arena, out);
        return;
    }
    struct usages usages;
    collect(doc_get(summary, "pods"), options, arena, &usages);
    if (usages.count == 0)
        return;
    sort(&usages, options->sort_by);
    render_pods(&usages, options->containers, arena, out);
}

/* --- the command --- */

static struct error *get_summary(const struct cli_options *options, struct buf *ret)
{
    struct error *err = local_client_get(options->socket_path, SUMMARY_TARGET, ret);
    if (err)
        return err;
    buf_clear(ret);
    cli_pause(BETWEEN_NS);
    return local_client_get(options->socket_path, SUMMARY_TARGET, ret);
}

struct error *cmd_top(const struct cli_options *options)
{
    AUTO(buf) struct buf reply, out;
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_init(&out, TABLE_MAX_BYTES);
    struct error *err = get_summary(options, &reply);
    if (err)
        return err;
    if (options->output)
        return cli_print_json(buf_str(&reply), NULL);
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *summary = NULL;
    err = cli_parse_reply(buf_str(&reply), arena, &summary);
    if (err)
        return err;
    cli_render_top(summary, options, &out);
    const char *namespace = cli_namespace_filter(options);
    if (out.len == 0 && !out.overflowed)
        (void)fprintf(stderr, "No pods found%s%s.\n", namespace ? " in namespace " : "",
                      namespace ? namespace : "");
    err = buf_error(&out, "the table");
    return err ? err : cli_print(buf_str(&out));
}
