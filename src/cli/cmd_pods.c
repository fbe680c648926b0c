#include "base/time.h"
#include "cli/cli_internal.h"
#include "cli/local_client.h"
#include "cli/pod_row.h"
#include "cli/seen.h"
#include "cli/text_table.h"

#include <stdio.h>

#define TABLE_MAX_BYTES (16 * MiB)

static const char *const titles[] = {"NAMESPACE", "NAME", "READY", "STATUS",
                                     "RESTARTS",  "AGE",  "IP",    "NODE"};
#define WIDE_COLUMNS ARRAY_SIZE(titles)
#define COLUMNS (WIDE_COLUMNS - 2)

struct cells {
    const char *texts[WIDE_COLUMNS];
};

static struct cells cells_of(const struct pod_row *row)
{
    return (struct cells){{row->namespace, row->name, row->ready, row->status, row->restarts,
                           row->age, row->ip, row->node}};
}

static bool is_shown(const Core__Pod *pod, const char *namespace)
{
    return !namespace || (pod->metadata && text_eq(pod->metadata->namespace_, namespace));
}

void cli_render_pods(const Core__PodList *list, const char *namespace, bool wide,
                     int64_t now_wall_ns, struct buf *out)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct text_table table = {.columns = wide ? WIDE_COLUMNS : COLUMNS};
    struct cells *rows = arena_calloc(arena, list->n_items + 1, sizeof(*rows));
    size_t count = 0;
    text_table_measure(&table, titles);
    for (size_t i = 0; i < list->n_items; i++) {
        if (!is_shown(list->items[i], namespace))
            continue;
        struct pod_row row = pod_row_make(list->items[i], now_wall_ns, arena);
        rows[count] = cells_of(&row);
        text_table_measure(&table, rows[count++].texts);
    }
    text_table_add(&table, titles, out);
    for (size_t i = 0; i < count; i++)
        text_table_add(&table, rows[i].texts, out);
}

void cli_render_pod_names(const Core__PodList *list, const char *namespace, struct buf *out)
{
    for (size_t i = 0; i < list->n_items; i++) {
        if (is_shown(list->items[i], namespace) && list->items[i]->metadata)
            buf_printf(out, "pod/%s\n", list->items[i]->metadata->name);
    }
}

/* --- watching --- */

struct watch {
    struct text_table table;
    struct seen *seen; /* pods, without what changes by itself as time passes */
    bool has_begun;
};

/* True when the pod was not seen before in this state. */
static bool is_news(struct watch *watch, const struct pod_row *row, struct arena *arena)
{
    const char *state = arena_printf(arena, "%s|%s|%lld|%s|%s", row->ready, row->status,
                                     (long long)row->restart_count, row->ip, row->node);
    return seen_note(watch->seen, arena_printf(arena, "%s/%s", row->namespace, row->name), state);
}

static void watch_round(struct watch *watch, const Core__PodList *list, const char *namespace,
                        struct buf *out)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct cells *rows = arena_calloc(arena, list->n_items + 1, sizeof(*rows));
    size_t count = 0;
    int64_t now_ns = time_wall_ns();
    for (size_t i = 0; i < list->n_items; i++) {
        if (!is_shown(list->items[i], namespace))
            continue;
        struct pod_row row = pod_row_make(list->items[i], now_ns, arena);
        if (!is_news(watch, &row, arena))
            continue;
        rows[count] = cells_of(&row);
        text_table_measure(&watch->table, rows[count++].texts);
    }
    if (!watch->has_begun)
        text_table_add(&watch->table, titles, out);
    watch->has_begun = true;
    for (size_t i = 0; i < count; i++)
        text_table_add(&watch->table, rows[i].texts, out);
    seen_end_round(watch->seen);
}

static struct error *watch_once(struct watch *watch, const struct cli_options *options)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__PodList *list = NULL;
    struct error *err = cli_get_pods(options, arena, &list);
    if (err)
        return err;
    AUTO(buf) struct buf out;
    buf_init(&out, TABLE_MAX_BYTES);
    watch_round(watch, list, cli_namespace_filter(options), &out);
    return cli_print(buf_str(&out));
}

/* The client asks each second; the agent does nothing while nobody watches. */
static struct error *watch_pods(const struct cli_options *options)
{
    struct watch watch = {.seen = seen_new(),
                          .table.columns =
                              text_eq(options->output, "wide") ? WIDE_COLUMNS : COLUMNS};
    text_table_measure(&watch.table, titles);
    struct error *err = NULL;
    while (!err) {
        err = watch_once(&watch, options);
        if (!err)
            cli_pause(NS_PER_SEC);
    }
    seen_free(watch.seen);
    return err;
}

/* --- the command --- */

static struct error *print_json(const struct cli_options *options)
{
    AUTO(buf) struct buf reply;
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    struct error *err = local_client_get(options->socket_path, "/pods", &reply);
    return err ? err : cli_print_json(buf_str(&reply), cli_namespace_filter(options));
}

static bool has_any(const Core__PodList *list, const char *namespace)
{
    for (size_t i = 0; i < list->n_items; i++) {
        if (is_shown(list->items[i], namespace))
            return true;
    }
    return false;
}

struct error *cmd_pods(const struct cli_options *options)
{
    if (options->watch)
        return watch_pods(options);
    if (text_eq(options->output, "json"))
        return print_json(options);
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__PodList *list = NULL;
    struct error *err = cli_get_pods(options, arena, &list);
    if (err)
        return err;
    const char *namespace = cli_namespace_filter(options);
    AUTO(buf) struct buf out;
    buf_init(&out, TABLE_MAX_BYTES);
    if (text_eq(options->output, "name")) {
        cli_render_pod_names(list, namespace, &out);
    } else if (!has_any(list, namespace)) {
        (void)fprintf(stderr, "No pods found%s%s.\n", namespace ? " in namespace " : "",
                      namespace ? namespace : "");
    } else {
        cli_render_pods(list, namespace, text_eq(options->output, "wide"), time_wall_ns(), &out);
    }
    err = buf_error(&out, "the table");
    return err ? err : cli_print(buf_str(&out));
}
