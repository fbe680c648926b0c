/* Who answers which endpoint; what other rooms answer is handed on here. */
#include "server/node_server_internal.h"

#include "server/log_server.h"
#include "server/node_logs.h"
#include "server/reply.h"
#include "server/streaming.h"

static struct streaming_params streaming_params(const struct node_request *request)
{
    const char *const *params = request->match.params;
    return (struct streaming_params){
        .namespace_ = params[0], .pod = params[1], .container = params[2], .uid = params[3]};
}

static void answer_exec(struct node_server *server, struct node_request *request)
{
    struct streaming_params params = streaming_params(request);
    streaming_exec(server->parts.streaming, request->exchange, &params, &request->fields);
}

static void answer_attach(struct node_server *server, struct node_request *request)
{
    struct streaming_params params = streaming_params(request);
    streaming_attach(server->parts.streaming, request->exchange, &params, &request->fields);
}

static void answer_port_forward(struct node_server *server, struct node_request *request)
{
    struct streaming_params params = streaming_params(request);
    streaming_port_forward(server->parts.streaming, request->exchange, &params, &request->fields);
}

static void answer_run(struct node_server *server, struct node_request *request)
{
    struct streaming_params params = streaming_params(request);
    streaming_run(server->parts.streaming, request->exchange, &params);
}

static void answer_container_logs(struct node_server *server, struct node_request *request)
{
    const char *const *params = request->match.params;
    const struct log_name name = {.namespace = params[0], .pod = params[1], .container = params[2]};
    log_server_serve(server->parts.logs, request->exchange, &name, LOG_FORM_KUBELET);
}

static void answer_logs(struct node_server *server, struct node_request *request)
{
    if (server->options.config->enable_system_log_handler)
        node_logs_serve(server->parts.node_logs, request->exchange);
    else
        reply_plain_error(request->exchange, 405, "logs endpoint is disabled.");
}

static void answer_disabled(UNUSED struct node_server *server, struct node_request *request)
{
    reply_plain_error(request->exchange, 405, "Debug endpoints are disabled.");
}

node_handler *const node_handlers[ENDPOINT_COUNT] = {
    [ENDPOINT_HEALTHZ] = node_answer_healthz,
    [ENDPOINT_METRICS] = node_answer_metrics,
    [ENDPOINT_METRICS_CADVISOR] = node_answer_cadvisor,
    [ENDPOINT_METRICS_RESOURCE] = node_answer_resource,
    [ENDPOINT_METRICS_PROBES] = node_answer_probes,
    [ENDPOINT_METRICS_SLIS] = node_answer_slis,
    [ENDPOINT_PODS] = node_answer_pods,
    [ENDPOINT_STATS_SUMMARY] = node_answer_summary,
    [ENDPOINT_RUN] = answer_run,
    [ENDPOINT_EXEC] = answer_exec,
    [ENDPOINT_ATTACH] = answer_attach,
    [ENDPOINT_PORT_FORWARD] = answer_port_forward,
    [ENDPOINT_CONTAINER_LOGS] = answer_container_logs,
    [ENDPOINT_CHECKPOINT] = node_answer_checkpoint,
    [ENDPOINT_RUNNING_PODS] = node_answer_running_pods,
    [ENDPOINT_LOGS] = answer_logs,
    [ENDPOINT_PPROF] = node_answer_pprof,
    [ENDPOINT_DEBUG_FLAGS] = node_answer_debug_flags,
    [ENDPOINT_CONFIGZ] = node_answer_configz,
    [ENDPOINT_FLAGZ] = node_answer_flagz,
    [ENDPOINT_STATUSZ] = node_answer_statusz,
    [ENDPOINT_DISABLED] = answer_disabled,
};
