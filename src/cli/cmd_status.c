#include "cli/cli_internal.h"
#include "cli/local_client.h"
#include "cli/text_table.h"

#include <inttypes.h>

#define TEXT_MAX_BYTES (1 * MiB)

static int64_t number_of(const struct doc_node *node, const char *key)
{
    const struct doc_node *value = doc_get(node, key);
    return value && value->kind == DOC_INTEGER ? value->integer : 0;
}

static bool flag_of(const struct doc_node *node, const char *key)
{
    const struct doc_node *value = doc_get(node, key);
    return value && value->kind == DOC_BOOL && value->boolean;
}

static void add_runtime(const struct doc_node *runtime, struct buf *out)
{
    const char *message = doc_get_text(runtime, "message");
    buf_printf(out, "Runtime:    %s %s, %s, network %s\n", doc_get_text(runtime, "name"),
               doc_get_text(runtime, "version"), flag_of(runtime, "ready") ? "ready" : "not ready",
               flag_of(runtime, "networkReady") ? "ready" : "not ready");
    if (message[0] != '\0')
        buf_printf(out, "            %s\n", message);
}

static void add_conditions(const struct doc_node *conditions, struct buf *out)
{
    for (size_t i = 0; i < doc_count(conditions); i++) {
        const struct doc_node *condition = conditions->array.items[i];
        AUTO(free) char *type = xasprintf("%s:", doc_get_text(condition, "type"));
        buf_printf(out, "%-12s%s (%s: %s)\n", type, doc_get_text(condition, "status"),
                   doc_get_text(condition, "reason"), doc_get_text(condition, "message"));
    }
}

static void add_problems(const struct doc_node *problems, struct buf *out)
{
    if (doc_count(problems) == 0)
        return;
    buf_add_text(out, "Manifests that cannot be used:\n");
    for (size_t i = 0; i < doc_count(problems); i++) {
        const struct doc_node *problem = problems->array.items[i];
        const char *file = doc_get_text(problem, "file"),
                   *message = doc_get_text(problem, "message");
        if (text_has_prefix(message, file)) /* most messages begin with file and line */
            buf_printf(out, "  %s\n", message);
        else
            buf_printf(out, "  %s: %s\n", file, message);
    }
}

void cli_render_status(const struct doc_node *status, struct buf *out)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *pods = doc_get(status, "pods");
    int64_t rss = number_of(doc_get(status, "memory"), "rssBytes");
    int64_t missed = number_of(status, "missedChanges");
    buf_printf(out, "Node:       %s\n", doc_get_text(status, "nodeName"));
    buf_printf(out, "Agent:      %s, pid %" PRId64 ", up %s", doc_get_text(status, "version"),
               number_of(status, "pid"),
               text_age(sat_mul_i64(number_of(status, "uptimeSeconds"), NS_PER_SEC), arena));
    if (rss > 0)
        buf_printf(out, ", %.1f MiB resident", (double)rss / (double)MiB);
    buf_add_char(out, '\n');
    add_runtime(doc_get(status, "runtime"), out);
    add_conditions(doc_get(status, "conditions"), out);
    buf_printf(out,
               "Pods:       %" PRId64 " desired, %" PRId64 " running, %" PRId64 " orphans; %s\n",
               number_of(pods, "desired"), number_of(pods, "running"), number_of(pods, "orphans"),
               flag_of(status, "settled") ? "settled" : "work is under way");
    if (missed > 0)
        buf_printf(out, "Missed:     %" PRId64 " changes were found by the audit alone\n", missed);
    add_problems(doc_get(status, "manifestProblems"), out);
}

struct error *cmd_status(const struct cli_options *options)
{
    AUTO(buf) struct buf reply, out;
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_init(&out, TEXT_MAX_BYTES);
    struct error *err = local_client_get(options->socket_path, "/status", &reply);
    if (err)
        return err;
    if (options->output)
        return cli_print_json(buf_str(&reply), NULL);
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *status = NULL;
    err = cli_parse_reply(buf_str(&reply), arena, &status);
    if (err)
        return err;
    cli_render_status(status, &out);
    err = buf_error(&out, "the text");
    return err ? err : cli_print(buf_str(&out));
}
