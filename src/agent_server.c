/*
 * What the node's own API is made of, from the bottom up: figures of the machine, who may ask,
 * streams, logs, the server itself; and the certificate, which may come later than all of it.
 */
#include "agent_server.h"

#include "base/log.h"
#include "server/guard.h"
#include "server/log_server.h"
#include "server/node_logs.h"
#include "server/node_server.h"
#include "server/serving_tls.h"
#include "server/streaming.h"
#include "stats/oom_log.h"
#include "stats/summary_collector.h"

#define SYSTEM_LOGS_DIR "/var/log"
#define KERNEL_LOG "/dev/kmsg"
#define MAX_LOG_STREAMS 512

struct agent_server {
    struct agent_server_options options;
    struct oom_log *ooms; /* NULL: the kernel's log cannot be read */
    struct stats_collector *records;
    struct volume_stats *volumes;
    struct summary_collector *summaries;
    struct guard *guard; /* NULL: 10250 is not served */
    struct streaming *streaming;
    struct log_server *logs;
    struct node_logs *node_logs;
    struct node_server *server;
    struct serving_tls *serving;
    bool has_main; /* 10250 is served */
};

/* --- figures --- */

static void make_figures(struct agent_server *server)
{
    const struct agent_server_options *options = &server->options;
    const struct agent_node *node = options->node;
    const struct config *config = node->config;
    AUTO(error) struct error *err = oom_log_new(options->loop, KERNEL_LOG, &server->ooms);
    if (err)
        log_info("Kills by the kernel for lack of memory are not counted", LOG_ERR(err));
    const struct stats_collector_options records = {
        .loop = options->loop,
        .pool = options->pool,
        .pods = options->pods,
        .runtime = options->runtime,
        .cgroups = options->cgroups,
        .kubelet_cgroup = config->server.kubelet_cgroups,
        .runtime_cgroup = config->server.runtime_cgroups,
        .system_cgroup = config->server.system_cgroups,
        .ooms = server->ooms,
        .machine = {.machine_id = node->machine->machine_id,
                    .system_uuid = node->machine->system_uuid,
                    .boot_id = node->machine->boot_id,
                    .kernel_version = node->machine->kernel_version,
                    .os_version = node->machine->os_image},
        .proc_root = "/proc",
        .sys_root = "/sys",
        .max_age_ns = STATS_MAX_AGE_NS};
    server->records = stats_collector_new(&records);
    const struct volume_stats_options volumes = {.loop = options->loop,
                                                 .pool = options->pool,
                                                 .root_dir = config->root_dir,
                                                 .period_ns = config->volume_stats_agg_period_ns,
                                                 .metrics = options->metrics};
    server->volumes = volume_stats_new(&volumes);
    const struct summary_collector_options summaries = {.loop = options->loop,
                                                        .pool = options->pool,
                                                        .runtime = options->runtime,
                                                        .pods = options->pods,
                                                        .stats = server->records,
                                                        .volumes = server->volumes,
                                                        .node_name = node->facts->node_name,
                                                        .root_dir = config->root_dir,
                                                        .pod_logs_dir = config->pod_logs_dir,
                                                        .proc_root = "/proc"};
    server->summaries = summary_collector_new(&summaries);
}

/* --- who may ask, and what answers --- */

static const char *api_uid(void *ctx, const char *uid)
{
    const struct agent_server *server = ctx;
    struct agent_cluster *cluster = server->options.cluster;
    return cluster ? agent_cluster_mirror_uid(cluster, uid) : NULL;
}

/* can_serve_main() has seen to it that there is somebody to ask. */
static void make_guard(struct agent_server *server)
{
    const struct agent_server_options *options = &server->options;
    const struct config_server *config = &options->node->config->server;
    struct api_client *client = options->cluster ? agent_cluster_client(options->cluster) : NULL;
    const struct guard_options guard = {
        .is_anonymous_allowed = config->is_anonymous_allowed,
        .is_token_webhook = config->is_token_webhook,
        .token_cache_ttl_ns = config->token_cache_ttl_ns,
        .is_authorization_webhook = config->is_authorization_webhook,
        .authorized_cache_ttl_ns = config->authorized_cache_ttl_ns,
        .unauthorized_cache_ttl_ns = config->unauthorized_cache_ttl_ns,
        .node_name = options->node->facts->node_name,
        .client = client,
        .metrics = options->metrics};
    server->guard = guard_new(options->loop, &guard);
}

static void make_parts(struct agent_server *server)
{
    const struct agent_server_options *options = &server->options;
    const struct config *config = options->node->config;
    const struct streaming_options streaming = {
        .loop = options->loop,
        .pool = options->pool,
        .runtime = options->runtime,
        .pods = options->pods,
        .metrics = options->metrics,
        .passes_all_on = !gate_is_enabled(&config->gates, GATE_ExtendWebSocketsToKubelet),
        .api_uid = api_uid,
        .ctx = server};
    server->streaming = streaming_new(&streaming);
    const struct log_server_options logs = {
        .pod_logs_dir = config->pod_logs_dir,
        .has_split_streams = gate_is_enabled(&config->gates, GATE_PodLogsQuerySplitStreams),
        .max_streams = MAX_LOG_STREAMS};
    server->logs = log_server_new(options->loop, options->pool, options->pods, &logs);
    const struct node_logs_options node_logs = {.root = SYSTEM_LOGS_DIR,
                                                .has_query = config->server.enable_system_log_query,
                                                .journalctl = "journalctl"};
    server->node_logs = node_logs_new(options->loop, options->pool, &node_logs);
}

static struct error *make_server(struct agent_server *server)
{
    const struct agent_server_options *options = &server->options;
    const struct config *config = options->node->config;
    const struct node_server_parts parts = {.loop = options->loop,
                                            .pool = options->pool,
                                            .pods = options->pods,
                                            .runtime = options->runtime,
                                            .guard = server->guard,
                                            .streaming = server->streaming,
                                            .logs = server->logs,
                                            .node_logs = server->node_logs,
                                            .records = server->records,
                                            .summaries = server->summaries,
                                            .metrics = options->metrics,
                                            .probe_metrics = options->probe_metrics};
    const struct node_server_options served = {.config = &config->server,
                                               .flag_values = &config->flag_values,
                                               .kubelet_configuration =
                                                   config->kubelet_configuration,
                                               .root_dir = config->root_dir,
                                               .sync_frequency_ns = config->sync_frequency_ns,
                                               .version = CONFIG_VERSION,
                                               .kubernetes_version = CONFIG_KUBERNETES_VERSION,
                                               .started_wall_ns = options->started_wall_ns,
                                               .is_main_served = server->has_main,
                                               .on_work = options->on_work,
                                               .ctx = options->ctx};
    return node_server_new(&parts, &served, &server->server);
}

/* --- the certificate --- */

static void on_context(void *ctx, struct tls_context *context)
{
    struct agent_server *server = ctx;
    node_server_set_tls(server->server, context);
}

static void on_client_ca(void *ctx, const char *ca_pem)
{
    struct agent_server *server = ctx;
    AUTO(error) struct error *err = guard_set_client_ca(server->guard, ca_pem);
    if (err)
        log_error("The client CA file is of no use; the one before stays in use", LOG_ERR(err));
}

static void on_failed(void *ctx, const struct error *err)
{
    const struct agent_server *server = ctx;
    server->options.on_failed(server->options.ctx, err);
}

static struct error *make_serving(struct agent_server *server)
{
    static const struct serving_tls_listener listener = {
        .on_context = on_context, .on_client_ca = on_client_ca, .on_failed = on_failed};
    const struct agent_server_options *options = &server->options;
    const struct serving_tls_options serving = {
        .loop = options->loop,
        .pool = options->pool,
        .client = options->cluster ? agent_cluster_client(options->cluster) : NULL,
        .metrics = options->metrics,
        .config = options->node->config,
        .node_name = options->node->facts->node_name,
        .client_auth = TLS_CLIENT_AUTH_UNVERIFIED};
    return serving_tls_new(&serving, &listener, server, &server->serving);
}

void agent_server_on_node(struct agent_server *server, const Core__Node *node)
{
    if (server && server->serving)
        serving_tls_node(server->serving, node);
}

/* --- life --- */

/* Asking an API server is the default. A node that has none serves nobody rather than anybody. */
static bool can_serve_main(const struct agent_server_options *options)
{
    const struct config_server *config = &options->node->config->server;
    AUTO(error) struct error *err = guard_check_config(config, options->cluster);
    if (!config->enable_server)
        return false;
    if (err)
        log_warning("The node's own API is not served without an API server to ask who may use "
                    "it: set authentication.webhook.enabled to false and authorization.mode to "
                    "AlwaysAllow, or give a kubeconfig",
                    LOG_INT("port", config->port), LOG_ERR(err));
    return !err;
}

struct error *agent_server_new(const struct agent_server_options *options,
                               struct agent_server **ret)
{
    struct agent_server *server = xcalloc(1, sizeof(*server));
    server->options = *options;
    server->has_main = can_serve_main(options);
    make_figures(server);
    if (server->has_main)
        make_guard(server);
    make_parts(server);
    struct error *err = make_server(server);
    if (!err && server->has_main)
        err = make_serving(server);
    if (err) {
        agent_server_free(server);
        return err;
    }
    *ret = server;
    return NULL;
}

void agent_server_free(struct agent_server *server)
{
    if (!server)
        return;
    serving_tls_free(server->serving);
    streaming_free(server->streaming);
    node_server_free(server->server);
    node_logs_free(server->node_logs);
    log_server_free(server->logs);
    guard_free(server->guard);
    summary_collector_free(server->summaries);
    volume_stats_free(server->volumes);
    stats_collector_free(server->records);
    oom_log_free(server->ooms);
    free(server);
}

void agent_server_lend(const struct agent_server *server, struct local_server *local)
{
    const struct local_server_engines engines = {.streaming = server->streaming,
                                                 .summaries = server->summaries};
    local_server_set_engines(local, &engines);
}
