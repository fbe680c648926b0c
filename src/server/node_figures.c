/*
 * Metrics and statistics: what others count and collect, as pages. A page that needs figures of the
 * machine waits for its collector; a client that goes away ends the waiting.
 */
#include "server/node_server_internal.h"

#include "server/reply.h"
#include "stats/cadvisor.h"
#include "stats/collector.h"
#include "stats/gzip.h"
#include "stats/metrics_page.h"
#include "stats/resource_metrics.h"
#include "stats/summary_collector.h"
#include "stats/summary_json.h"

/* --- pages --- */

static enum exposition_format wanted_format(const struct node_request *request)
{
    return exposition_negotiate(http_fields_get(&request->http->fields, "accept"));
}

/* Sends what is in @page, smaller when the client takes that. */
static void reply_figures(struct node_request *request, enum exposition_format format,
                          const struct buf *page)
{
    const struct node_server *server = request->listener->server;
    AUTO(error) struct error *err = buf_error(page, "the page of metrics");
    if (err) {
        reply_plain_error(request->exchange, 500, err->message);
        return;
    }
    AUTO(buf) struct buf small;
    buf_init(&small, page->len);
    struct str body = buf_str(page);
    bool is_small = false;
    if (exposition_accepts_gzip(http_fields_get(&request->http->fields, "accept-encoding"))) {
        struct error *too_large = gzip_add(&small, body);
        is_small = !too_large;
        error_ignore(too_large, "then it goes out as it is");
    }
    const char *started = arena_printf(http_exchange_arena(request->exchange), "%lld",
                                       (long long)(server->options.started_wall_ns / NS_PER_SEC));
    const struct http_field items[] = {{"content-type", exposition_content_type(format)},
                                       {"process-start-time-unix", started},
                                       {"content-encoding", "gzip"}};
    const struct http_fields fields = {.items = items, .count = is_small ? 3 : 2};
    http_exchange_reply(request->exchange, 200, &fields, is_small ? buf_str(&small) : body);
}

/* What @metrics show, and after it what only @summary (NULL: nothing) knows. */
static void reply_registry(struct node_request *request, struct metrics *metrics,
                           const struct summary *summary)
{
    AUTO(buf) struct buf text;
    buf_init(&text, NODE_REPLY_MAX_BYTES);
    enum exposition_format format = wanted_format(request);
    struct exposition page;
    exposition_init(&page, &text, format);
    metrics_page_write(metrics, &page);
    if (summary)
        resource_metrics_write_storage(summary, &page);
    exposition_end(&page);
    reply_figures(request, format, &text);
}

void node_answer_probes(struct node_server *server, struct node_request *request)
{
    reply_registry(request, server->parts.probe_metrics, NULL);
}

void node_answer_slis(struct node_server *server, struct node_request *request)
{
    if (!text_eq(request->http->method, "DELETE")) {
        reply_registry(request, server->slis, NULL);
        return;
    }
    node_health_forget(server);
    reply_text(request->exchange, 200, "metrics reset\n");
}

/* --- summaries --- */

static void cancel_summary(void *wait)
{
    summary_collect_cancel(wait);
}

static void ask_summary(struct node_request *request, enum summary_scope scope,
                        summary_on_done *on_done)
{
    struct summary_collector *summaries = request->listener->server->parts.summaries;
    node_request_wait(request, summary_collect_start(summaries, scope, on_done, request),
                      cancel_summary);
}

static void on_json_summary(void *ctx, const struct summary *summary, struct error *err_owned)
{
    struct node_request *request = ctx;
    AUTO(error) struct error *err = err_owned;
    AUTO(buf) struct buf page;
    buf_init(&page, NODE_REPLY_MAX_BYTES);
    node_request_wait(request, NULL, NULL);
    if (!err) {
        summary_write_json(summary, &page);
        err = buf_error(&page, "the summary");
    }
    if (err)
        reply_text(request->exchange, 500,
                   arena_printf(http_exchange_arena(request->exchange), "Internal Error: %s",
                                err->message));
    else
        reply_json(request->exchange, 200, buf_str(&page));
}

/* Query and form count together; the switch is on only when it was given once. */
static bool wants_cpu_and_memory(const struct node_request *request)
{
    static const char name[] = "only_cpu_and_memory";
    struct arena *arena = http_exchange_arena(request->exchange);
    const struct http_target *query = &request->http->target;
    struct http_target form = {.raw_query = ""};
    const char *type = http_fields_get(&request->http->fields, "content-type");
    bool has_form = text_eq(request->http->method, "POST") && type &&
                    text_has_prefix(type, "application/x-www-form-urlencoded");
    if (has_form) {
        const char *text = arena_printf(arena, "/?%.*s", STR_ARG(request->http->body));
        struct error *err = http_target_parse(str_from(text), arena, &form);
        if (err)
            form.param_count = 0;
        error_ignore(err, "a form that does not parse says nothing");
    }
    const struct http_target *both[] = {query, &form};
    size_t count = 0;
    bool is_true = false;
    for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
        for (size_t k = 0; k < both[i]->param_count; k++) {
            if (!text_eq(both[i]->params[k].name, name))
                continue;
            count++;
            is_true = text_eq(both[i]->params[k].value, "true");
        }
    }
    return count == 1 && is_true;
}

void node_answer_summary(UNUSED struct node_server *server, struct node_request *request)
{
    ask_summary(request, wants_cpu_and_memory(request) ? SUMMARY_CPU_AND_MEMORY : SUMMARY_FULL,
                on_json_summary);
}

static void on_resource_summary(void *ctx, const struct summary *summary, struct error *err_owned)
{
    struct node_request *request = ctx;
    AUTO(buf) struct buf text;
    buf_init(&text, NODE_REPLY_MAX_BYTES);
    node_request_wait(request, NULL, NULL);
    error_ignore(err_owned, "the page tells that there is none");
    enum exposition_format format = wanted_format(request);
    struct exposition page;
    exposition_init(&page, &text, format);
    resource_metrics_write(summary, &page);
    exposition_end(&page);
    reply_figures(request, format, &text);
}

void node_answer_resource(UNUSED struct node_server *server, struct node_request *request)
{
    ask_summary(request, SUMMARY_CPU_AND_MEMORY, on_resource_summary);
}

/* --- /metrics --- */

static void on_storage_summary(void *ctx, const struct summary *summary, struct error *err_owned)
{
    struct node_request *request = ctx;
    struct node_server *server = request->listener->server;
    node_request_wait(request, NULL, NULL);
    error_ignore(err_owned, "a runtime that is away is when the other figures are wanted most");
    reply_registry(request, server->parts.metrics, summary);
}

void node_answer_metrics(UNUSED struct node_server *server, struct node_request *request)
{
    ask_summary(request, SUMMARY_FULL, on_storage_summary);
}

/* --- /metrics/cadvisor --- */

static void cancel_records(void *wait)
{
    stats_collect_cancel(wait);
}

static void on_records(void *ctx, const struct stats_records *records, struct error *err_owned)
{
    struct node_request *request = ctx;
    AUTO(buf) struct buf text;
    buf_init(&text, NODE_REPLY_MAX_BYTES);
    node_request_wait(request, NULL, NULL);
    error_ignore(err_owned, "the page tells that there are none");
    enum exposition_format format = wanted_format(request);
    struct exposition page;
    exposition_init(&page, &text, format);
    cadvisor_write(&page, records, loop_now_wall_ns(request->listener->server->parts.loop));
    exposition_end(&page);
    reply_figures(request, format, &text);
}

void node_answer_cadvisor(struct node_server *server, struct node_request *request)
{
    struct stats_ask *ask = stats_collect_start(server->parts.records, on_records, request);
    node_request_wait(request, ask, cancel_records);
}
