/* /healthz, and what it did as figures: /metrics/slis. */
#include "server/node_server_internal.h"

#include "server/health.h"
#include "server/reply.h"
#include "stats/process_metrics.h"

static const struct metric_info check_info = {
    .name = "kubernetes_healthcheck",
    .help = "[STABLE] This metric records the result of a single healthcheck.",
    .type = METRIC_GAUGE,
    .labels = {"name", "type"}};
static const struct metric_info check_runs_info = {
    .name = "kubernetes_healthchecks_total",
    .help = "[STABLE] This metric records the results of all healthcheck.",
    .type = METRIC_COUNTER,
    .labels = {"name", "status", "type"}};

void node_health_init(struct node_server *server)
{
    server->slis = metrics_new();
    process_metrics_add_start(server->slis);
    server->metrics.checks = metrics_family(server->slis, &check_info);
    server->metrics.check_runs = metrics_family(server->slis, &check_runs_info);
}

void node_health_done(struct node_server *server)
{
    metrics_free(server->slis);
}

void node_health_forget(struct node_server *server)
{
    metric_clear(server->metrics.checks);
    metric_clear(server->metrics.check_runs);
}

static void count_results(struct node_server *server, const struct health_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct health_result *result = &report->results[i];
        if (result->is_excluded)
            continue;
        metric_set(server->metrics.checks, result->failure ? 0 : 1, result->name, "healthz");
        metric_add(server->metrics.check_runs, 1, result->name,
                   result->failure ? "error" : "success", "healthz");
    }
}

void node_answer_healthz(struct node_server *server, struct node_request *request)
{
    bool is_health_port = request->listener->port == NODE_PORT_HEALTHZ;
    const struct health_facts facts = {.is_ping_only = is_health_port,
                                       .now_ns = loop_now_mono_ns(server->parts.loop),
                                       .is_runtime_lost = server->is_runtime_lost,
                                       .runtime_lost_ns = server->runtime_lost_ns,
                                       .sync_frequency_ns = server->options.sync_frequency_ns};
    AUTO(buf) struct buf body;
    buf_init(&body, 2 * HTTP_TARGET_MAX_BYTES);
    struct health_report report;
    health_answer(&facts, request->match.params[0], &request->http->target, &body, &report);
    if (!is_health_port)
        count_results(server, &report);
    if (report.is_plain_error)
        reply_plain_error(request->exchange, report.status, buf_text(&body));
    else
        reply_plain(request->exchange, report.status, buf_str(&body));
}
