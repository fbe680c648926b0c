/*
 * Why a pod is not as it is wanted: what it waits for, and what happened to it. Without a pod all
 * that wait are listed.
 */
#include "base/time.h"
#include "cli/cli_internal.h"
#include "cli/local_client.h"
#include "cli/text_table.h"

#include <stdio.h>

#define TABLE_MAX_BYTES (16 * MiB)
#define TARGET_MAX_BYTES (4 * KiB)

static const char *const titles[] = {"NAMESPACE", "POD",      "CONTAINER", "REASON",
                                     "SINCE",     "NEXT TRY", "MESSAGE"};
#define COLUMNS ARRAY_SIZE(titles)

struct cells {
    const char *texts[COLUMNS];
};

/* How far away the RFC 3339 time @key of @wait is, in the past or in the future; "" when there is
 * none. */
static const char *distance(const struct doc_node *wait, const char *key, int64_t now_wall_ns,
                            bool is_ahead, struct arena *arena)
{
    int64_t time_ns;
    AUTO(error)
    struct error *err = time_parse_rfc3339(str_from(doc_get_text(wait, key)), &time_ns);
    if (err)
        return "";
    int64_t distance_ns = sat_sub_i64(now_wall_ns, time_ns);
    return text_age(max_i64(is_ahead ? -distance_ns : distance_ns, 0), arena);
}

static const char *or_dash(const char *text)
{
    return text[0] != '\0' ? text : "-";
}

static struct cells cells_of(const struct doc_node *pod, const struct doc_node *wait,
                             int64_t now_wall_ns, struct arena *arena)
{
    return (struct cells){{doc_get_text(pod, "namespace"), doc_get_text(pod, "name"),
                           or_dash(doc_get_text(wait, "container")), doc_get_text(wait, "reason"),
                           or_dash(distance(wait, "since", now_wall_ns, false, arena)),
                           or_dash(distance(wait, "until", now_wall_ns, true, arena)),
                           doc_get_text(wait, "message")}};
}

void cli_render_why(const struct doc_node *why, bool with_namespace, int64_t now_wall_ns,
                    struct buf *out)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    size_t skip = with_namespace ? 0 : 1, count = 0, most = 0;
    struct text_table table = {.columns = COLUMNS - skip};
    const struct doc_node *pods = doc_get(why, "pods");
    for (size_t i = 0; i < doc_count(pods); i++)
        most += doc_count(doc_get(pods->array.items[i], "waits"));
    if (most == 0)
        return;
    struct cells *rows = arena_calloc(arena, most, sizeof(*rows));
    text_table_measure(&table, titles + skip);
    for (size_t i = 0; i < doc_count(pods); i++) {
        const struct doc_node *pod = pods->array.items[i], *waits = doc_get(pod, "waits");
        for (size_t k = 0; k < doc_count(waits); k++) {
            rows[count] = cells_of(pod, waits->array.items[k], now_wall_ns, arena);
            text_table_measure(&table, rows[count++].texts + skip);
        }
    }
    text_table_add(&table, titles + skip, out);
    for (size_t i = 0; i < count; i++)
        text_table_add(&table, rows[i].texts + skip, out);
}

/* Nothing to wait for is an answer, too: what the pod is, or that all are as wanted. */
static void add_contentment(const struct doc_node *why, const char *pod_name, struct buf *out)
{
    const struct doc_node *pods = doc_get(why, "pods");
    if (!pod_name || doc_count(pods) != 1) {
        buf_add_text(out, "No pod waits for anything.\n");
        return;
    }
    const struct doc_node *pod = pods->array.items[0], *ready = doc_get(pod, "ready");
    bool is_ready = ready && ready->kind == DOC_BOOL && ready->boolean;
    buf_printf(out, "pod/%s waits for nothing: it is %s%s.\n", doc_get_text(pod, "name"),
               or_dash(doc_get_text(pod, "phase")), is_ready ? " and ready" : "");
}

static struct error *add_waits(const struct cli_options *options, struct buf *out)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf target, reply;
    buf_init(&target, TARGET_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    const struct doc_node *why = NULL;
    struct error *err = cli_add_choice(options, "/why", &target);
    if (!err)
        err = local_client_get(options->socket_path, buf_text(&target), &reply);
    if (!err)
        err = cli_parse_reply(buf_str(&reply), arena, &why);
    if (err)
        return err;
    cli_render_why(why, !cli_namespace_filter(options), time_wall_ns(), out);
    if (out->len == 0)
        add_contentment(why, options->pod, out);
    return NULL;
}

static struct error *add_events(const struct cli_options *options, struct buf *out)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf target;
    buf_init(&target, TARGET_MAX_BYTES);
    const Core__EventList *list = NULL;
    struct error *err = cli_add_choice(options, "/events", &target);
    if (!err)
        err = cli_get_events(options, buf_text(&target), arena, &list);
    if (err || list->n_items == 0)
        return err;
    buf_add_char(out, '\n');
    cli_render_events(list, !cli_namespace_filter(options), time_wall_ns(), out);
    return NULL;
}

struct error *cmd_why(const struct cli_options *options)
{
    if (options->output) {
        AUTO(buf) struct buf target;
        buf_init(&target, TARGET_MAX_BYTES);
        struct error *err = cli_add_choice(options, "/why", &target);
        return err ? err : cli_print_reply(options, buf_text(&target));
    }
    AUTO(buf) struct buf out;
    buf_init(&out, TABLE_MAX_BYTES);
    struct error *err = add_waits(options, &out);
    if (!err && options->pod)
        err = add_events(options, &out);
    if (!err)
        err = buf_error(&out, "the table");
    return err ? err : cli_print(buf_str(&out));
}
