/*
 * Metrics and statistics: what others count and collect, as pages. A page that needs figures of the
 * machine waits for its collector; a client that goes away ends the waiting.
 */
#include "server/node_server_internal.h"

#include "server/reply.h"
#include "stats/cadvisor.h"
#include "stats/collector.h"
#include "stats/metrics_page.h"
#include "stats/resource_metrics.h"
#include "stats/summary_collector.h"
#include "stats/summary_json.h"

/* --- pages --- */

/* A page of figures as its client takes it. */
struct figures_page {
    struct exposition exposition; /* to write on */
    enum exposition_format format;
    bool is_packed;
    struct buf text, packed;
};

static void auto_release_figures_page(struct figures_page *page)
{
    buf_done(&page->text);
    buf_done(&page->packed);
}

static struct figures_page wanted_page(const struct node_request *request)
{
    const struct http_fields *fields = &request->http->fields;
    return (struct figures_page){
        .format = exposition_negotiate(http_fields_get(fields, "accept")),
        .is_packed = exposition_accepts_gzip(http_fields_get(fields, "accept-encoding"))};
}

/* From here on the page stays where it is until it is ended. */
static struct exposition *begin_page(struct figures_page *page)
{
    buf_init(&page->text, NODE_REPLY_MAX_BYTES);
    buf_init(&page->packed, NODE_REPLY_MAX_BYTES);
    if (page->is_packed)
        exposition_init_gzip(&page->exposition, &page->text, &page->packed, page->format);
    else
        exposition_init(&page->exposition, &page->text, page->format);
    return &page->exposition;
}

/* The page has been ended. */
static void reply_figures(struct node_request *request, const struct figures_page *page)
{
    const struct node_server *server = request->listener->server;
    static const char what[] = "the page of metrics";
    AUTO(error) struct error *err = buf_error(&page->text, what);
    if (!err)
        err = buf_error(&page->packed, what);
    if (err) {
        reply_plain_error(request->exchange, 500, err->message);
        return;
    }
    const char *started = arena_printf(request->arena, "%lld",
                                       (long long)(server->options.started_wall_ns / NS_PER_SEC));
    const struct http_field items[] = {{"content-type", exposition_content_type(page->format)},
                                       {"process-start-time-unix", started},
                                       {"content-encoding", "gzip"}};
    const struct http_fields fields = {.items = items, .count = page->is_packed ? 3 : 2};
    http_exchange_reply(request->exchange, 200, &fields,
                        buf_str(page->is_packed ? &page->packed : &page->text));
}

/* What @metrics show, and among it what only @summary (NULL: nothing) knows. */
static void reply_registry(struct node_request *request, struct metrics *metrics,
                           const struct summary *summary)
{
    AUTO(figures_page) struct figures_page page = wanted_page(request);
    struct exposition *exposition = begin_page(&page);
    AUTO(storage_families)
    struct storage_families *storage = summary ? storage_families_new(summary) : NULL;
    const struct metrics_page_more more = {.write_before = storage_families_write_before,
                                           .ctx = storage};
    metrics_page_write(metrics, storage ? &more : NULL, exposition);
    exposition_end(exposition);
    reply_figures(request, &page);
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
                   arena_printf(request->arena, "Internal Error: %s", err->message));
    else
        reply_json(request->exchange, 200, buf_str(&page));
}

/* Query and form count together; the switch is on only when it was given once. */
static bool wants_cpu_and_memory(const struct node_request *request)
{
    static const char name[] = "only_cpu_and_memory";
    struct arena *arena = request->arena;
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
    node_request_wait(request, NULL, NULL);
    error_ignore(err_owned, "the page tells that there is none");
    AUTO(figures_page) struct figures_page page = wanted_page(request);
    struct exposition *exposition = begin_page(&page);
    resource_metrics_write(summary, exposition);
    exposition_end(exposition);
    reply_figures(request, &page);
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

/* The page has 40 KiB a pod: a worker writes it, from records that nobody changes. */
struct cadvisor_job {
    struct stats_records *records; /* a reference; NULL: there are none */
    int64_t now_ns;                /* wall */
    struct figures_page page;
};

static void write_cadvisor_blocking(void *job)
{
    struct cadvisor_job *mine = job;
    struct exposition *exposition = begin_page(&mine->page);
    cadvisor_write(exposition, mine->records, mine->now_ns);
    exposition_end(exposition);
}

static void on_cadvisor_written(void *ctx, void *job)
{
    struct node_request *request = ctx;
    const struct cadvisor_job *mine = job;
    node_request_wait(request, NULL, NULL);
    reply_figures(request, &mine->page);
}

static void release_cadvisor(void *job)
{
    struct cadvisor_job *mine = job;
    stats_records_unref(mine->records);
    auto_release_figures_page(&mine->page);
    free(mine);
}

static const struct work_vtable cadvisor_work = {
    .name = "cadvisor page",
    .class = WORK_NORMAL,
    .run_blocking = write_cadvisor_blocking,
    .on_done = on_cadvisor_written,
    .release = release_cadvisor,
};

static void cancel_work(void *wait)
{
    work_cancel(wait);
}

static void on_records(void *ctx, const struct stats_records *records, struct error *err_owned)
{
    struct node_request *request = ctx;
    const struct node_server_parts *parts = &request->listener->server->parts;
    error_ignore(err_owned, "the page tells that there are none");
    struct cadvisor_job *job = xcalloc(1, sizeof(*job));
    job->records = records ? stats_records_ref(records) : NULL;
    job->now_ns = loop_now_wall_ns(parts->loop);
    job->page = wanted_page(request);
    node_request_wait(request, work_start(parts->pool, &cadvisor_work, job, request), cancel_work);
}

static void cancel_records(void *wait)
{
    stats_collect_cancel(wait);
}

void node_answer_cadvisor(struct node_server *server, struct node_request *request)
{
    struct stats_ask *ask = stats_collect_start(server->parts.records, on_records, request);
    node_request_wait(request, ask, cancel_records);
}
