#include "base/time.h"
#include "cli/cli_internal.h"
#include "cli/local_client.h"
#include "cli/seen.h"
#include "cli/text_table.h"
#include "kube/codec.h"

#include <stdio.h>

#define TABLE_MAX_BYTES (32 * MiB)

static const char *const titles[] = {"NAMESPACE", "LAST SEEN", "TYPE",
                                     "REASON",    "OBJECT",    "MESSAGE"};
#define COLUMNS ARRAY_SIZE(titles)

static int64_t last_seen_s(const Core__Event *event)
{
    return event->last_timestamp ? event->last_timestamp->seconds : 0;
}

/* Events of one second stay in the order in which they came. */
struct ordered {
    const Core__Event *event;
    size_t index;
};

static int by_last_seen(const void *left, const void *right)
{
    const struct ordered *a = left, *b = right;
    int64_t a_s = last_seen_s(a->event), b_s = last_seen_s(b->event);
    if (a_s != b_s)
        return a_s < b_s ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

static const char *age(const Meta__Time *time, int64_t now_ns, struct arena *arena)
{
    if (!time)
        return "<unknown>";
    return text_age(sat_sub_i64(now_ns, sat_mul_i64(time->seconds, NS_PER_SEC)), arena);
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static void make_cells(const Core__Event *event, int64_t now_ns, struct arena *arena,
                       const char *ret_cells[static COLUMNS])
{
    const char *seen = age(event->last_timestamp, now_ns, arena);
    if (event->count > 1)
        seen = arena_printf(arena, "%s (x%d over %s)", seen, event->count,
                            age(event->first_timestamp, now_ns, arena));
    const Core__ObjectReference *object = event->involved_object;
    ret_cells[0] = object ? or_empty(object->namespace_) : "";
    ret_cells[1] = seen;
    ret_cells[2] = or_empty(event->type);
    ret_cells[3] = or_empty(event->reason);
    ret_cells[4] = arena_printf(arena, "pod/%s", object ? or_empty(object->name) : "");
    ret_cells[5] = or_empty(event->message);
}

/* The events of @list that are news to @seen (NULL: all), oldest first. */
static size_t sort_news(const Core__EventList *list, struct seen *seen, struct arena *arena,
                        struct ordered *order)
{
    size_t count = 0;
    for (size_t i = 0; i < list->n_items; i++) {
        const Core__Event *event = list->items[i];
        const Meta__ObjectMeta *metadata = event->metadata;
        const char *key =
            arena_printf(arena, "%s|%s|%s|%s", metadata ? or_empty(metadata->namespace_) : "",
                         metadata ? or_empty(metadata->name) : "", or_empty(event->reason),
                         or_empty(event->message));
        const char *state =
            arena_printf(arena, "%lld|%d", (long long)last_seen_s(event), event->count);
        if (!seen || seen_note(seen, key, state))
            order[count++] = (struct ordered){.event = event, .index = i};
    }
    qsort(order, count, sizeof(*order), by_last_seen);
    return count;
}

/* Titles unless @is_later. */
static void render(const Core__EventList *list, struct seen *seen, struct text_table *table,
                   bool is_later, int64_t now_wall_ns, struct buf *out)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    size_t skip = COLUMNS - table->columns;
    struct ordered *order = arena_calloc(arena, list->n_items + 1, sizeof(*order));
    size_t count = sort_news(list, seen, arena, order);
    const char *(*rows)[COLUMNS] = arena_calloc(arena, count + 1, sizeof(*rows));
    text_table_measure(table, titles + skip);
    for (size_t i = 0; i < count; i++) {
        make_cells(order[i].event, now_wall_ns, arena, rows[i]);
        text_table_measure(table, rows[i] + skip);
    }
    if (!is_later)
        text_table_add(table, titles + skip, out);
    for (size_t i = 0; i < count; i++)
        text_table_add(table, rows[i] + skip, out);
}

void cli_render_events(const Core__EventList *list, bool with_namespace, int64_t now_wall_ns,
                       struct buf *out)
{
    struct text_table table = {.columns = COLUMNS - (with_namespace ? 0 : 1)};
    render(list, NULL, &table, false, now_wall_ns, out);
}

struct error *cli_get_events(const struct cli_options *options, const char *target,
                             struct arena *arena, const Core__EventList **ret)
{
    const struct kube_decode_options decode = {.unknown = KUBE_UNKNOWN_TOLERANT,
                                               .file = "the node agent's reply"};
    ProtobufCMessage *message = NULL;
    AUTO(buf) struct buf reply;
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    struct error *err = local_client_get(options->socket_path, target, &reply);
    if (!err)
        err = kube_decode_json(buf_str(&reply), &core__event_list__descriptor, &decode, arena,
                               &message);
    if (!err)
        *ret = (const Core__EventList *)message;
    return err;
}

static struct error *print_table(const struct cli_options *options, const char *target)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__EventList *list = NULL;
    struct error *err = cli_get_events(options, target, arena, &list);
    if (err)
        return err;
    if (list->n_items == 0) {
        (void)fprintf(stderr, "No events found.\n");
        return NULL;
    }
    AUTO(buf) struct buf out;
    buf_init(&out, TABLE_MAX_BYTES);
    cli_render_events(list, !cli_namespace_filter(options), time_wall_ns(), &out);
    err = buf_error(&out, "the table");
    return err ? err : cli_print(buf_str(&out));
}

/* The client asks each second; the agent does nothing while nobody watches. */
static struct error *watch_events(const struct cli_options *options, const char *target)
{
    AUTO(seen) struct seen *seen = seen_new();
    struct text_table table = {.columns = COLUMNS - (cli_namespace_filter(options) ? 1 : 0)};
    for (bool is_later = false;; is_later = true) {
        AUTO(arena) struct arena *arena = arena_new(0);
        AUTO(buf) struct buf out;
        buf_init(&out, TABLE_MAX_BYTES);
        const Core__EventList *list = NULL;
        struct error *err = cli_get_events(options, target, arena, &list);
        if (err)
            return err;
        render(list, seen, &table, is_later, time_wall_ns(), &out);
        seen_end_round(seen);
        err = buf_error(&out, "the table");
        if (!err)
            err = cli_print(buf_str(&out));
        if (err)
            return err;
        cli_pause(NS_PER_SEC);
    }
}

struct error *cmd_events(const struct cli_options *options)
{
    AUTO(buf) struct buf target;
    buf_init(&target, 4 * KiB);
    struct error *err = cli_add_choice(options, "/events", &target);
    if (err)
        return err;
    if (options->watch)
        return watch_events(options, buf_text(&target));
    return options->output ? cli_print_reply(options, buf_text(&target))
                           : print_table(options, buf_text(&target));
}
