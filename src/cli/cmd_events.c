#include "base/time.h"
#include "cli/cli_internal.h"
#include "cli/local_client.h"
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

void cli_render_events(const Core__EventList *list, bool with_namespace, int64_t now_wall_ns,
                       struct buf *out)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    size_t count = list->n_items, skip = with_namespace ? 0 : 1;
    struct ordered *order = arena_calloc(arena, count + 1, sizeof(*order));
    const char *(*rows)[COLUMNS] = arena_calloc(arena, count + 1, sizeof(*rows));
    struct text_table table = {.columns = COLUMNS - skip};
    for (size_t i = 0; i < count; i++)
        order[i] = (struct ordered){.event = list->items[i], .index = i};
    qsort(order, count, sizeof(*order), by_last_seen);
    text_table_measure(&table, titles + skip);
    for (size_t i = 0; i < count; i++) {
        make_cells(order[i].event, now_wall_ns, arena, rows[i]);
        text_table_measure(&table, rows[i] + skip);
    }
    text_table_add(&table, titles + skip, out);
    for (size_t i = 0; i < count; i++)
        text_table_add(&table, rows[i] + skip, out);
}

static struct error *make_target(const struct cli_options *options, struct buf *out)
{
    const char *namespace = cli_namespace_filter(options);
    buf_add_text(out, "/events?");
    if (namespace) {
        buf_add_text(out, "namespace=");
        local_client_add_encoded(out, namespace);
    }
    if (!options->pod)
        return NULL;
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__PodList *pods = NULL;
    struct error *err = cli_get_pods(options, arena, &pods);
    if (err)
        return err;
    buf_add_text(out, "&pod=");
    local_client_add_encoded(out, cli_full_pod_name(pods, namespace, options->pod));
    return NULL;
}

static struct error *print_table(struct str reply, const char *namespace)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct kube_decode_options decode = {.unknown = KUBE_UNKNOWN_TOLERANT,
                                               .file = "the node agent's reply"};
    ProtobufCMessage *message = NULL;
    struct error *err =
        kube_decode_json(reply, &core__event_list__descriptor, &decode, arena, &message);
    if (err)
        return err;
    const Core__EventList *list = (const Core__EventList *)message;
    if (list->n_items == 0) {
        (void)fprintf(stderr, "No events found.\n");
        return NULL;
    }
    AUTO(buf) struct buf out;
    buf_init(&out, TABLE_MAX_BYTES);
    cli_render_events(list, !namespace, time_wall_ns(), &out);
    err = buf_error(&out, "the table");
    return err ? err : cli_print(buf_str(&out));
}

struct error *cmd_events(const struct cli_options *options)
{
    AUTO(buf) struct buf target, reply;
    buf_init(&target, 4 * KiB);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    struct error *err = make_target(options, &target);
    if (!err)
        err = buf_error(&target, "the request");
    if (!err)
        err = local_client_get(options->socket_path, buf_text(&target), &reply);
    if (err)
        return err;
    if (options->output)
        return cli_print_json(buf_str(&reply), NULL);
    return print_table(buf_str(&reply), cli_namespace_filter(options));
}
