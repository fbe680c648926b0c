#include "agent.h"

#include "agent_cluster.h"
#include "agent_images.h"
#include "agent_journal.h"
#include "agent_machine.h"
#include "agent_server.h"
#include "base/log.h"
#include "base/resident.h"
#include "base/time.h"
#include "cri/cri_handshake.h"
#include "cri/cri_runtime.h"
#include "image/pull_records.h"
#include "loop/signal.h"
#include "loop/watchdog.h"
#include "node/facts.h"
#include "pod/downward.h"
#include "pod/file_source.h"
#include "pod/pods.h"
#include "server/local_server.h"
#include "stats/idle_metrics.h"
#include "stats/process_metrics.h"

#include <signal.h>

#define WORKER_THREADS 4
#define WORKER_END_LIMIT_NS (2 * NS_PER_SEC)
#define AUDIT_PERIOD_NS (60 * NS_PER_SEC) /* DESIGN §4 */
#define SETTLE_NS (3 * NS_PER_SEC)        /* then what only the start needed is let go */
#define QUIET_NS (30 * NS_PER_SEC)        /* the same of what only requests needed */
#define WATCHDOG_LIMIT_NS (120 * NS_PER_SEC)
#define PARALLEL_STARTS 16
#define ETC_HOSTS "/etc/hosts"
#define ALL_SOURCES ((1U << POD_SOURCE_COUNT) - 1)

struct agent {
    const struct config *config;
    struct arena *arena; /* facts that live as long as the process */
    struct loop *loop;
    struct loop_signals *signals;
    struct work_pool *pool;
    struct watchdog *watchdog;
    struct cri_runtime *runtime;
    struct cgroup_tree *cgroups;
    struct volume_manager *volumes;
    struct agent_images images;
    struct userns *userns;
    struct agent_journal journal;
    struct node_facts facts;
    bool is_limited; /* as in agent_node.h */
    const char *limit_failure;
    struct node_machine machine;
    struct agent_node node;
    struct agent_cluster *cluster; /* NULL: standalone */
    struct pods *pods;
    struct file_source *source;
    struct local_server *local;
    struct metrics *metrics, *probe_metrics;
    struct process_metrics *process_metrics;
    struct agent_server *server;
    struct loop_timer *settle;
    int64_t started_wall_ns;
    struct error *failure; /* found after the start: the agent gives up */

    const char *runtime_name, *runtime_version; /* from the handshake; in the arena */
    enum cri_cgroup_driver runtime_driver;
    bool connected;
    struct error *connect_err;
};

/* --- start-up: the runtime --- */

static void on_handshake(void *ctx, const struct cri_handshake *handshake, struct error *err_owned)
{
    struct agent *agent = ctx;
    agent->connected = true;
    agent->connect_err = err_owned;
    if (!err_owned) {
        agent->runtime_name = arena_strdup(agent->arena, handshake->runtime_name);
        agent->runtime_version = arena_strdup(agent->arena, handshake->runtime_version);
        agent->runtime_driver = handshake->cgroup_driver;
    }
    loop_stop(agent->loop);
}

static struct error *connect_runtime(struct agent *agent)
{
    const struct config *config = agent->config;
    struct cri_runtime_options options = {.runtime_endpoint = config->runtime_endpoint,
                                          .image_endpoint = config->image_endpoint,
                                          .request_timeout_ns = config->runtime_request_timeout_ns,
                                          .metrics = agent->metrics};
    struct error *err = cri_runtime_new(agent->loop, &options, &agent->runtime);
    if (err)
        return error_wrap(err, "containerRuntimeEndpoint \"%s\"", config->runtime_endpoint);
    struct cri_connect_options connect = {.runtime_endpoint = config->runtime_endpoint,
                                          .image_endpoint = config->image_endpoint};
    struct cri_connect *attempt = cri_connect_start(
        agent->loop, cri_runtime_as_pod_runtime(agent->runtime), &connect, on_handshake, agent);
    loop_run(agent->loop);
    if (!agent->connected) { /* a signal came first */
        cri_connect_cancel(attempt);
        return error_new(ERROR_CANCELLED, "stopped before the container runtime answered");
    }
    if (agent->connect_err)
        return error_wrap(
            TAKE(agent->connect_err),
            "the container runtime does not answer (is it running? "
            "containerRuntimeEndpoint or --container-runtime-endpoint names another)");
    log_info("Connected to the container runtime", LOG_STR("runtimeName", agent->runtime_name),
             LOG_STR("runtimeVersion", agent->runtime_version));
    return NULL;
}

/* --- start-up: the node --- */

static bool wants_systemd_driver(const struct agent *agent)
{
    if (agent->runtime_driver == CRI_CGROUP_DRIVER_UNSAID)
        return agent->config->cgroup_driver == CONFIG_CGROUP_DRIVER_SYSTEMD;
    return agent->runtime_driver == CRI_CGROUP_DRIVER_SYSTEMD;
}

static struct error *set_up_cgroups(struct agent *agent)
{
    const struct config *config = agent->config;
    struct cgroup_options options = {.driver = wants_systemd_driver(agent) ? CGROUP_DRIVER_SYSTEMD
                                                                           : CGROUP_DRIVER_CGROUPFS,
                                     .mount_root = "/sys/fs/cgroup",
                                     .cgroup_root = config->cgroup_root,
                                     .cgroups_per_qos = config->cgroups_per_qos,
                                     .cpu_cfs_quota = config->cpu_cfs_quota,
                                     .cpu_cfs_period_us = config->cpu_cfs_quota_period_us,
                                     .pids_limit = config->pod_pids_limit};
    return cgroup_tree_new(&options, &agent->cgroups);
}

/* kubepods is limited to what is not reserved; eviction thresholds are not subtracted here (spec
 * resources.md §2.10). */
static struct error *limit_node(struct agent *agent)
{
    struct cgroup_node_limits limits = {.memory_bytes = agent->facts.memory_capacity_bytes,
                                        .cpu_millis = agent->facts.cpu_capacity_millis,
                                        .pids = node_max_pids()};
    bool is_wanted = agent->config->enforce_node_allocatable & CONFIG_ENFORCE_PODS;
    if (is_wanted)
        node_subtract_reserved(agent->config, &limits);
    struct error *err = cgroup_setup_node(agent->cgroups, &limits);
    agent->is_limited = is_wanted && agent->config->cgroups_per_qos && !err;
    if (err && text_eq(err->reason, "FailedNodeAllocatableEnforcement")) {
        log_warning("Could not limit pods to the node's allocatable resources", LOG_ERR(err));
        agent->limit_failure = arena_strdup(agent->arena, err->message);
        error_ignore(err, "the tiers exist, so pods can run");
        return NULL;
    }
    return error_wrap(err, "setting up cgroups");
}

static struct error *set_up_node(struct agent *agent)
{
    const struct config *config = agent->config;
    const char *name = NULL;
    struct error *err = set_up_cgroups(agent);
    if (!err)
        err = node_name_of(config, agent->arena, &name);
    if (!err)
        err = agent_machine_make_folders_blocking(config);
    if (!err)
        err = node_facts_read(config, agent->cgroups, wants_systemd_driver(agent), name,
                              agent->arena, &agent->facts);
    return err ? err : limit_node(agent);
}

/* Rare: so the old texts may stay where they are, in the arena. */
static void on_addresses(void *ctx, const struct node_addresses *addresses)
{
    struct agent *agent = ctx;
    const char **ips = arena_calloc(agent->arena, NODE_MAX_ADDRESSES + 1, sizeof(*ips));
    size_t count = 0;
    for (size_t i = 0; i < addresses->count; i++) {
        if (text_eq(addresses->items[i].type, "InternalIP"))
            ips[count++] = arena_strdup(agent->arena, addresses->items[i].address);
    }
    agent->facts.node_ips = ips;
    pods_set_host_ips(agent->pods, ips);
}

static void on_node(void *ctx, const Core__Node *node)
{
    const struct agent *agent = ctx;
    agent_server_on_node(agent->server, node);
}

static void make_metrics(struct agent *agent)
{
    const struct process_metrics_options process = {.node_name = agent->facts.node_name,
                                                    .version = CONFIG_VERSION,
                                                    .architecture = agent->machine.architecture,
                                                    .cgroup_version =
                                                        agent->facts.cgroup_v2 ? 2 : 1,
                                                    .gates = agent->config->gates};
    agent->process_metrics = process_metrics_new(agent->metrics, &process);
    process_metrics_add_start(agent->probe_metrics);
    idle_metrics_add(agent->metrics);
}

/* What is told of the node, and the cluster it is told to. */
static struct error *set_up_cluster(struct agent *agent)
{
    const struct config *config = agent->config;
    node_machine_read(config, &agent->facts, agent->arena, &agent->machine);
    make_metrics(agent);
    agent->node = (struct agent_node){.config = config,
                                      .facts = &agent->facts,
                                      .machine = &agent->machine,
                                      .runtime_name = agent->runtime_name,
                                      .runtime_version = agent->runtime_version,
                                      .is_limited = agent->is_limited,
                                      .limit_failure = agent->limit_failure};
    struct error *err = NULL;
    if (config->cluster.kubeconfig[0] != '\0') {
        struct agent_cluster_options options = {.loop = agent->loop,
                                                .pool = agent->pool,
                                                .metrics = agent->metrics,
                                                .runtime =
                                                    cri_runtime_as_pod_runtime(agent->runtime),
                                                .on_addresses = on_addresses,
                                                .on_node = on_node,
                                                .ctx = agent,
                                                .node = &agent->node};
        err = agent_cluster_new(&options, &agent->cluster);
    } else {
        log_info("Standalone mode, no API client");
    }
    agent_node_init(&agent->node);
    return err;
}

/* --- start-up: pods --- */

static void on_static_pods(void *ctx, struct pod_object *const *objects, size_t count)
{
    struct agent *agent = ctx;
    pods_set_desired(agent->pods, POD_SOURCE_FILE, objects, count);
    if (agent->cluster)
        agent_cluster_on_static_pods(agent->cluster);
}

static struct error *downward(void *ctx, const Core__ObjectFieldSelector *field,
                              const Core__Pod *pod, struct arena *arena, const char **ret)
{
    static const char *const no_ips[] = {NULL}; /* volumes are not offered addresses */
    const struct agent *agent = ctx;
    return downward_field(field, pod, &agent->facts, no_ips, arena, ret);
}

static struct error *downward_amount(void *ctx, const Core__ResourceFieldSelector *resource,
                                     const Core__Pod *pod, struct arena *arena, const char **ret)
{
    const struct agent *agent = ctx;
    return downward_resource(resource, pod, NULL, &agent->facts, arena, ret);
}

static struct volume_sources volume_sources(struct agent *agent)
{
    struct volume_sources sources = {.field = downward, .resource = downward_amount, .ctx = agent};
    if (agent->cluster)
        agent_cluster_give_sources(agent->cluster, &sources);
    return sources;
}

static struct error *set_up_userns(struct agent *agent)
{
    const struct config *config = agent->config;
    const struct userns_start start = {.root_dir = config->root_dir,
                                       .ids_per_pod = (uint32_t)config->user_namespace_ids_per_pod,
                                       .max_pods = (size_t)config->max_pods,
                                       .passwd = "/etc/passwd",
                                       .getsubids = "getsubids"};
    return userns_start_blocking(&start, &agent->userns);
}

static struct error *set_up_images(struct agent *agent)
{
    const struct agent_images_options options = {.config = agent->config,
                                                 .loop = agent->loop,
                                                 .pool = agent->pool,
                                                 .metrics = agent->metrics,
                                                 .cluster = agent->cluster,
                                                 .arena = agent->arena};
    return agent_images_open_blocking(&options, &agent->images);
}

static struct error *set_up_pods(struct agent *agent)
{
    const struct config *config = agent->config;
    struct error *err = set_up_userns(agent);
    if (!err)
        err = agent_journal_open_blocking(agent->pool, config->root_dir, &agent->journal);
    if (err)
        return err;

    struct volume_options volumes = {
        .metrics = agent->metrics,
        .sources = volume_sources(agent),
        .root_dir = config->root_dir,
        .selinux_enabled = agent->facts.selinux_enabled,
        .tmpfs_noswap = volume_detect_tmpfs_noswap_blocking(config->root_dir),
        .allocatable_memory_bytes = agent->facts.allocatable_memory_bytes};
    agent->volumes = volume_manager_new(agent->loop, agent->pool, &volumes);

    struct pods_environment environment = {
        .api = agent->cluster ? agent_cluster_api(agent->cluster) : NULL,
        .gate = &agent->node.gate,
        .sources = agent->cluster ? ALL_SOURCES : 1U << POD_SOURCE_FILE,
        .loop = agent->loop,
        .pool = agent->pool,
        .metrics = agent->metrics,
        .probe_metrics = agent->probe_metrics,
        .runtime = cri_runtime_as_pod_runtime(agent->runtime),
        .volumes = agent->volumes,
        .cgroups = agent->cgroups,
        .pulls = agent->images.pulls,
        .pull_records = agent->images.records,
        .credential_providers = agent->images.credentials,
        .node = &agent->facts,
        .userns = agent->userns,
        .runtime_name = agent->runtime_name,
        .resolv_conf = config->resolv_conf,
        .etc_hosts = ETC_HOSTS,
        .container_links = AGENT_CONTAINER_LINKS_DIR,
        .backoff_max_ns = config->crash_loop_max_ns,
        .retry_ns = PODS_RETRY_NS,
        .max_dead_per_container = config->maximum_dead_containers_per_container,
        .max_dead_containers = config->maximum_dead_containers,
        .min_dead_age_ns = config->minimum_container_ttl_ns,
        .logs = {.max_bytes = config->container_log_max_size_bytes,
                 .max_files = config->container_log_max_files,
                 .max_workers = config->container_log_max_workers,
                 .period_ns = config->container_log_monitor_interval_ns},
        .audit_period_ns = AUDIT_PERIOD_NS,
        .max_parallel_starts = PARALLEL_STARTS,
        .host_ips = agent->facts.node_ips,
        .journal = &agent->journal.pods};
    agent->pods = pods_new(&environment);
    agent->node.pods = agent->pods;
    return NULL;
}

static void start_pods(struct agent *agent)
{
    const struct config *config = agent->config;
    if (agent->cluster)
        agent_cluster_start(agent->cluster, agent->pods);
    pods_start(agent->pods);
    if (config->static_pod_path[0] == '\0') {
        if (!agent->cluster)
            log_info("No staticPodPath is configured, so there are no pods to run");
        on_static_pods(agent, NULL, 0);
        return;
    }
    struct file_source_options source = {.path = config->static_pod_path,
                                         .node_name = agent->facts.node_name,
                                         .resync_ns = config->file_check_frequency_ns,
                                         .store = &agent->journal.manifests};
    agent->source = file_source_new(agent->loop, agent->pool, &source, on_static_pods, agent);
}

static void on_server_failed(void *ctx, const struct error *err)
{
    struct agent *agent = ctx;
    if (!agent->failure)
        agent->failure = error_new(err->code, "%s", err->message);
    loop_stop(agent->loop);
}

static void on_settled(UNUSED void *ctx)
{
    resident_trim();
}

static void on_work(void *ctx)
{
    const struct agent *agent = ctx;
    loop_timer_start(agent->settle, QUIET_NS);
}

static struct error *start_server(struct agent *agent)
{
    const struct agent_server_options options = {.loop = agent->loop,
                                                 .pool = agent->pool,
                                                 .runtime =
                                                     cri_runtime_as_pod_runtime(agent->runtime),
                                                 .pods = agent->pods,
                                                 .cgroups = agent->cgroups,
                                                 .cluster = agent->cluster,
                                                 .node = &agent->node,
                                                 .metrics = agent->metrics,
                                                 .probe_metrics = agent->probe_metrics,
                                                 .started_wall_ns = agent->started_wall_ns,
                                                 .on_failed = on_server_failed,
                                                 .on_work = on_work,
                                                 .ctx = agent};
    return agent_server_new(&options, &agent->server);
}

static struct error *start_local(struct agent *agent)
{
    struct local_server_options options = {.socket_path = agent->config->local_socket_path,
                                           .node_name = agent->facts.node_name,
                                           .version = CONFIG_VERSION,
                                           .runtime_name = agent->runtime_name,
                                           .runtime_version = agent->runtime_version,
                                           .started_wall_ns = agent->started_wall_ns,
                                           .pod_logs_dir = agent->config->pod_logs_dir};
    return local_server_new(agent->loop, agent->pool, agent->pods, agent->source, &options,
                            &agent->local);
}

/* --- the whole --- */

static void on_signal(void *ctx, int number)
{
    struct agent *agent = ctx;
    log_info("Stopping; containers go on running", LOG_INT("signal", number));
    loop_stop(agent->loop);
}

static struct error *start(struct agent *agent)
{
    static const int stop_signals[] = {SIGTERM, SIGINT, 0};
    struct error *err = agent_machine_check(agent->config);
    if (!err)
        err = loop_new(&agent->loop);
    if (!err)
        err = loop_signals_new(agent->loop, stop_signals, on_signal, agent, &agent->signals);
    if (err)
        return err;
    agent->pool = work_pool_new(agent->loop, WORKER_THREADS);
    agent_machine_claim(agent->config);
    err = connect_runtime(agent);
    if (!err)
        err = set_up_node(agent);
    if (!err)
        err = set_up_cluster(agent);
    if (!err)
        err = set_up_images(agent);
    if (!err)
        err = set_up_pods(agent);
    if (!err)
        err = start_local(agent);
    if (err)
        return err;
    start_pods(agent);
    agent->settle = loop_timer_new(agent->loop, "settled", on_settled, NULL);
    err = start_server(agent);
    if (err)
        return err;
    agent_server_lend(agent->server, agent->local);
    agent->watchdog = watchdog_new(agent->loop, WATCHDOG_LIMIT_NS);
    loop_timer_start(agent->settle, SETTLE_NS);
    return NULL;
}

/* From the top down; everything tolerates that start() gave up half-way. */
static void stop(struct agent *agent)
{
    watchdog_free(agent->watchdog);
    local_server_free(agent->local);
    agent_server_free(TAKE(agent->server));
    loop_timer_free(agent->settle);
    file_source_free(agent->source);
    agent_cluster_halt(agent->cluster);
    pull_records_close(agent->images.records);
    pods_free(agent->pods);
    volume_manager_free(agent->volumes);
    agent_images_close(&agent->images);
    agent_cluster_free(agent->cluster);
    agent_node_done(&agent->node);
    userns_free(agent->userns);
    agent_journal_close(&agent->journal);
    cri_runtime_free(agent->runtime);
    cgroup_tree_free(agent->cgroups);
    process_metrics_free(agent->process_metrics);
    metrics_free(agent->metrics);
    metrics_free(agent->probe_metrics);
    if (agent->pool)
        work_pool_free(agent->pool, WORKER_END_LIMIT_NS);
    loop_signals_free(agent->signals);
    if (agent->loop)
        loop_free(agent->loop);
    error_free(agent->connect_err);
    arena_free(agent->arena);
}

struct error *agent_run(const struct config *config)
{
    struct agent agent = {.config = config,
                          .arena = arena_new(0),
                          .metrics = metrics_new(),
                          .probe_metrics = metrics_new(),
                          .started_wall_ns = time_wall_ns()};
    struct error *err = start(&agent);
    if (!err) {
        log_info("cubelet is running", LOG_STR("nodeName", agent.facts.node_name),
                 LOG_STR("version", CONFIG_VERSION));
        loop_run(agent.loop);
        err = TAKE(agent.failure);
    }
    stop(&agent);
    return err;
}
