/*
 *     node watch ─► pods watch ─► pods ─► status manager ─► API server
 *          │             └─► mirrors ◄─┘         ▲
 *          └─► node keeper ◄── runtime, images, CSI node
 *
 * Whoever hears of something wakes whoever may care; each of them compares what is with what the
 * server has.
 */
#include "agent_cluster.h"

#include "base/log.h"
#include "base/time.h"
#include "kube/lease_keeper.h"
#include "kube/object_watch.h"
#include "kube/token_cache.h"
#include "node/node_news.h"
#include "pod/api_source.h"
#include "pod/cri_request.h"
#include "pod/mirror.h"
#include "pod/status_manager.h"

#include "kube/resources.h"

#define EVENT_COMPONENT "kubelet" /* what people and tools filter by */
#define IDLE_SYNCS 5              /* kubelet.go: an object not read for 5 × syncFrequency … */
#define REREAD_SYNCS 3            /* less than those, with the jitter of half */
#define IDLE_FLOOR_NS (60 * NS_PER_SEC)

struct agent_cluster {
    struct agent_cluster_options options;
    struct arena *arena; /* of the kubeconfig */

    struct api_transport *transport;
    struct api_client *client, *events_client, *heartbeat;
    struct event_recorder *events;

    struct object_watch *config_maps, *secrets;
    struct token_cache *tokens;
    struct reflector *services, *runtime_classes;
    struct pods_api api;

    struct image_list *images;
    struct csi_node *csi;
    struct node_keeper *keeper;
    struct lease_keeper *lease;
    struct runtime_call *cidr_call;

    struct pods *pods;
    struct api_source *source;
    struct mirror_manager *mirrors;
    struct status_manager *statuses;
};

/* --- the node --- */

static void on_node_matters(void *ctx)
{
    const struct agent_cluster *cluster = ctx;
    node_keeper_wake(cluster->keeper);
}

static void on_node(void *ctx, const struct kube_object *node)
{
    struct agent_cluster *cluster = ctx;
    if (node)
        csi_node_registered(cluster->csi, kube_object_uid(node));
    else
        csi_node_gone(cluster->csi);
    if (cluster->mirrors)
        mirror_node_changed(cluster->mirrors);
    cluster->options.on_node(cluster->options.ctx, node ? (const Core__Node *)node->message : NULL);
}

static void on_addresses(void *ctx, const struct node_addresses *addresses)
{
    const struct agent_cluster *cluster = ctx;
    cluster->options.on_addresses(cluster->options.ctx, addresses);
}

static void on_node_synced(void *ctx)
{
    const struct agent_cluster *cluster = ctx;
    api_source_start(cluster->source);
}

static void on_cidr_told(void *ctx, UNUSED const ProtobufCMessage *reply, struct error *err_owned)
{
    struct agent_cluster *cluster = ctx;
    AUTO(error) struct error *err = err_owned;
    cluster->cidr_call = NULL;
    if (err)
        log_warning("Could not tell the runtime the pods' address range", LOG_ERR(err));
}

static void on_pod_cidr(void *ctx, const char *cidrs)
{
    struct agent_cluster *cluster = ctx;
    Cri__NetworkConfig network = CRI__NETWORK_CONFIG__INIT;
    network.pod_cidr = cri_borrow(cidrs);
    Cri__RuntimeConfig config = CRI__RUNTIME_CONFIG__INIT;
    config.network_config = &network;
    Cri__UpdateRuntimeConfigRequest request = CRI__UPDATE_RUNTIME_CONFIG_REQUEST__INIT;
    request.runtime_config = &config;
    runtime_call_cancel(cluster->options.runtime, cluster->cidr_call);
    cluster->cidr_call = runtime_call_start(cluster->options.runtime, RUNTIME_UPDATE_RUNTIME_CONFIG,
                                            &request.base, 0, on_cidr_told, cluster);
    log_info("Pods have a new address range", LOG_STR("podCIDR", cidrs));
}

static const char *node_uid(void *ctx)
{
    const struct agent_cluster *cluster = ctx;
    const struct kube_object *node = node_keeper_node(cluster->keeper);
    return node && !node->meta->deletion_timestamp ? kube_object_uid(node) : NULL;
}

/* --- pods from the server --- */

static void look_for_orphans(struct agent_cluster *cluster)
{
    if (pods_sources_are_ready(cluster->pods))
        mirror_ready(cluster->mirrors);
}

static void on_api_pod(void *ctx, struct pod_object *object, UNUSED bool is_new)
{
    struct agent_cluster *cluster = ctx;
    pods_put(cluster->pods, object);
    status_manager_wake(cluster->statuses, object->pod->metadata->uid);
}

static void on_api_pod_gone(void *ctx, const char *uid)
{
    struct agent_cluster *cluster = ctx;
    status_manager_forget(cluster->statuses, uid);
    token_cache_forget_pod(cluster->tokens, uid);
    pods_drop(cluster->pods, POD_SOURCE_API, uid);
}

static void on_api_mirror(void *ctx, const struct kube_object *mirror)
{
    mirror_seen(((struct agent_cluster *)ctx)->mirrors, mirror);
}

static void on_api_mirror_gone(void *ctx, const struct kube_object *mirror)
{
    mirror_vanished(((struct agent_cluster *)ctx)->mirrors, mirror);
}

static void on_api_ready(void *ctx)
{
    struct agent_cluster *cluster = ctx;
    log_info("The API server has told this node's pods");
    pods_source_ready(cluster->pods, POD_SOURCE_API);
    look_for_orphans(cluster);
}

static const struct api_source_listener source_listener = {.on_pod = on_api_pod,
                                                           .on_pod_gone = on_api_pod_gone,
                                                           .on_mirror = on_api_mirror,
                                                           .on_mirror_gone = on_api_mirror_gone,
                                                           .on_ready = on_api_ready};

static void on_mirror(void *ctx, const char *static_uid, const struct kube_object *mirror)
{
    struct agent_cluster *cluster = ctx;
    const Core__Pod *pod = mirror ? (const Core__Pod *)mirror->message : NULL;
    if (pod && pod->status)
        pods_recover_status(cluster->pods, static_uid, pod->status);
    status_manager_wake(cluster->statuses, static_uid);
}

void agent_cluster_on_static_pods(struct agent_cluster *cluster)
{
    look_for_orphans(cluster);
}

/* --- what the pods tell --- */

static void on_pod_changed(void *ctx, const struct pod_view *view)
{
    const struct agent_cluster *cluster = ctx;
    if (pod_object_is_static(view->object) && view->removed)
        mirror_unwant(cluster->mirrors, view->uid, true);
    else if (pod_object_is_static(view->object))
        mirror_want(cluster->mirrors, view->object);
    status_manager_wake(cluster->statuses, view->uid);
}

static void on_pod_ended(void *ctx, const struct pod_view *view)
{
    const struct agent_cluster *cluster = ctx;
    mirror_gone(cluster->mirrors, view->uid);
    status_manager_forget(cluster->statuses, view->uid);
}

static void on_image(void *ctx)
{
    image_list_refresh(((struct agent_cluster *)ctx)->images);
}

static bool report(void *ctx, const char *uid, struct status_report *ret)
{
    const struct agent_cluster *cluster = ctx;
    struct pod_view view;
    if (!pods_view(cluster->pods, uid, &view) || !view.object)
        return false;
    bool is_static = pod_object_is_static(view.object);
    if (view.removed && !is_static) /* a static pod's mirror stays until the pod has ended */
        return false;
    *ret = (struct status_report){
        .namespace_ = view.namespace,
        .name = view.name,
        .status = view.status,
        .api = is_static ? mirror_of(cluster->mirrors, uid) : view.object->api,
        .is_static = is_static,
        .is_critical = pod_is_critical(view.pod),
        .could_run = view.could_run,
        .finished = view.finished,
    };
    return true;
}

/* --- what pods are made of --- */

static void on_config_map(void *ctx, const char *namespace_, const char *name)
{
    const struct agent_cluster *cluster = ctx;
    if (cluster->pods)
        pods_object_changed(cluster->pods, false, namespace_, name);
}

static void on_secret(void *ctx, const char *namespace_, const char *name)
{
    const struct agent_cluster *cluster = ctx;
    if (cluster->pods)
        pods_object_changed(cluster->pods, true, namespace_, name);
}

/* Services or runtime classes are there for the first time. */
static void on_cluster_objects(void *ctx)
{
    const struct agent_cluster *cluster = ctx;
    if (cluster->pods)
        pods_retry(cluster->pods);
}

static const struct reflector_listener objects_listener = {.on_synced = on_cluster_objects};

static bool ttl_of_node(void *ctx, int64_t *ret_ttl_ns)
{
    const struct agent_cluster *cluster = ctx;
    const struct kube_object *node = node_keeper_node(cluster->keeper);
    for (size_t i = 0; node && i < node->meta->n_annotations; i++) {
        int64_t seconds;
        if (!text_eq(node->meta->annotations[i]->key, "node.alpha.kubernetes.io/ttl") ||
            !parse_i64(node->meta->annotations[i]->value, 0, INT32_MAX, &seconds))
            continue;
        *ret_ttl_ns = seconds * NS_PER_SEC;
        return true;
    }
    return false;
}

static struct object_watch *make_cache(struct agent_cluster *cluster, const char *kind,
                                       void (*on_changed)(void *ctx, const char *namespace_,
                                                          const char *name))
{
    static const enum object_strategy strategies[] = {
        [CONFIG_OBJECTS_WATCH] = OBJECT_STRATEGY_WATCH,
        [CONFIG_OBJECTS_CACHE] = OBJECT_STRATEGY_CACHE,
        [CONFIG_OBJECTS_GET] = OBJECT_STRATEGY_GET,
    };
    const struct config *config = cluster->options.node->config;
    struct object_watch_options options = {
        .kind = kube_kind_find("v1", kind),
        .strategy = strategies[config->cluster.object_strategy],
        .idle_ns = max_i64(sat_mul_i64(config->sync_frequency_ns, IDLE_SYNCS), IDLE_FLOOR_NS),
        .ttl_of_node = ttl_of_node,
        .on_changed = on_changed,
        .ctx = cluster};
    return object_watch_new(cluster->options.loop, cluster->client, &options);
}

static void make_caches(struct agent_cluster *cluster)
{
    struct loop *loop = cluster->options.loop;
    cluster->config_maps = make_cache(cluster, "ConfigMap", on_config_map);
    cluster->secrets = make_cache(cluster, "Secret", on_secret);
    cluster->tokens = token_cache_new(loop, cluster->client);
    struct reflector_options options = {.kind = kube_kind_find("v1", "Service"),
                                        .field_selector = "spec.clusterIP!=None",
                                        .drops_managed_fields = true};
    cluster->services = reflector_new(loop, cluster->client, &options, &objects_listener, cluster);
    options = (struct reflector_options){.kind = kube_kind_find("node.k8s.io/v1", "RuntimeClass"),
                                         .drops_managed_fields = true};
    cluster->runtime_classes =
        reflector_new(loop, cluster->client, &options, &objects_listener, cluster);
    cluster->api = (struct pods_api){.config_maps = cluster->config_maps,
                                     .secrets = cluster->secrets,
                                     .tokens = cluster->tokens,
                                     .services = cluster->services,
                                     .runtime_classes = cluster->runtime_classes,
                                     .events = cluster->events};
}

/* --- life --- */

static struct error *connect(struct agent_cluster *cluster)
{
    const struct config *config = cluster->options.node->config;
    struct kubeconfig kubeconfig = {0};
    struct error *err =
        kubeconfig_load(config->cluster.kubeconfig, NULL, cluster->arena, &kubeconfig);
    if (err)
        return error_wrap(err, "invalid kubeconfig");
    const char *agent =
        arena_printf(cluster->arena, "cubelet/%s (linux/%s)", CONFIG_KUBERNETES_VERSION,
                     cluster->options.node->machine->architecture);
    err = api_transport_new(cluster->options.loop, cluster->options.pool, &kubeconfig, agent,
                            &cluster->transport);
    if (!err)
        api_transport_count(cluster->transport, cluster->options.metrics);
    return err;
}

/* Spec node.md §3.1. */
static void make_clients(struct agent_cluster *cluster)
{
    const struct config_cluster *config = &cluster->options.node->config->cluster;
    struct api_client_options options = {.qps = config->kube_api_qps,
                                         .burst = (unsigned)config->kube_api_burst,
                                         .is_json = config->is_json};
    cluster->client = api_client_new(cluster->transport, &options);
    options.qps = config->event_record_qps;
    options.burst = (unsigned)config->event_burst;
    cluster->events_client = api_client_new(cluster->transport, &options);
    int64_t timeout_ns = min_i64(config->node_status_update_frequency_ns,
                                 config->node_lease_duration_s * NS_PER_SEC);
    options = (struct api_client_options){
        .is_unlimited = true, .timeout_ns = timeout_ns, .is_json = config->is_json};
    cluster->heartbeat = api_client_new(cluster->transport, &options);
    cluster->events = event_recorder_new(cluster->options.loop, cluster->events_client,
                                         EVENT_COMPONENT, cluster->options.node->facts->node_name);
}

static void make_node(struct agent_cluster *cluster)
{
    const struct agent_cluster_options *options = &cluster->options;
    struct agent_node *node = options->node;
    cluster->images = image_list_new(options->loop, options->runtime, on_node_matters, cluster);
    cluster->csi = csi_node_new(options->loop, cluster->client, node->facts->node_name,
                                on_node_matters, cluster);
    struct node_keeper_options keeper = {.loop = options->loop,
                                         .metrics = options->metrics,
                                         .pool = options->pool,
                                         .transport = cluster->transport,
                                         .client = cluster->client,
                                         .heartbeat = cluster->heartbeat,
                                         .events = cluster->events,
                                         .fill = agent_node_fill,
                                         .on_node = on_node,
                                         .on_synced = on_node_synced,
                                         .on_addresses = on_addresses,
                                         .on_pod_cidr = on_pod_cidr,
                                         .fill_ctx = node,
                                         .ctx = cluster,
                                         .config = node->config,
                                         .facts = node->facts,
                                         .machine = node->machine};
    cluster->keeper = node_keeper_new(&keeper);
    struct lease_keeper_options lease = {.node_name = node->facts->node_name,
                                         .duration_s = node->config->cluster.node_lease_duration_s};
    cluster->lease =
        lease_keeper_new(options->loop, cluster->heartbeat, cluster->transport, &lease);
    node->images = cluster->images;
    node->csi = cluster->csi;
    node->keeper = cluster->keeper;
}

struct error *agent_cluster_new(const struct agent_cluster_options *options,
                                struct agent_cluster **ret)
{
    struct agent_cluster *cluster = xcalloc(1, sizeof(*cluster));
    cluster->options = *options;
    cluster->arena = arena_new(0);
    struct error *err = connect(cluster);
    if (err) {
        agent_cluster_free(cluster);
        return err;
    }
    make_clients(cluster);
    make_caches(cluster);
    make_node(cluster);
    *ret = cluster;
    return NULL;
}

const struct pods_api *agent_cluster_api(const struct agent_cluster *cluster)
{
    return &cluster->api;
}

struct api_client *agent_cluster_client(const struct agent_cluster *cluster)
{
    return cluster->client;
}

const char *agent_cluster_mirror_uid(const struct agent_cluster *cluster, const char *uid)
{
    const struct kube_object *mirror = cluster->mirrors ? mirror_of(cluster->mirrors, uid) : NULL;
    return mirror ? kube_object_uid(mirror) : NULL;
}

/* Content is read again now and then even if nobody tells of a change; under Watch often enough
 * that its objects do not count as idle. */
void agent_cluster_give_sources(const struct agent_cluster *cluster, struct volume_sources *ret)
{
    const struct config *config = cluster->options.node->config;
    bool is_watched = config->cluster.object_strategy == CONFIG_OBJECTS_WATCH;
    ret->reread_ns = sat_mul_i64(config->sync_frequency_ns, is_watched ? REREAD_SYNCS : 1);
    ret->config_maps = cluster->config_maps;
    ret->secrets = cluster->secrets;
    ret->tokens = cluster->tokens;
}

/* What the start has found out about the node, as events (spec node.md §8). */
static void tell_findings(const struct agent_cluster *cluster)
{
    static const char cgroup_v1[] =
        "cgroup v1 detected. cgroup v1 support is deprecated and will be removed in a future "
        "release. Please migrate to cgroup v2. More information at "
        "https://git.k8s.io/enhancements/keps/sig-node/5573-remove-cgroup-v1";
    const struct agent_node *node = cluster->options.node;
    const char *name = node->facts->node_name;
    if (!node->facts->cgroup_v2)
        node_event_record(cluster->events, name, EVENT_WARNING, "CgroupV1", cgroup_v1);
    if (node->is_limited)
        node_event_record(cluster->events, name, EVENT_NORMAL, "NodeAllocatableEnforced",
                          "Updated Node Allocatable limit across pods");
    if (!node->limit_failure)
        return;
    AUTO(free)
    char *text = xasprintf("Failed to update Node Allocatable Limits [\"kubepods\"]: %s",
                           node->limit_failure);
    node_event_record(cluster->events, name, EVENT_WARNING, "FailedNodeAllocatableEnforcement",
                      text);
}

void agent_cluster_start(struct agent_cluster *cluster, struct pods *pods)
{
    const struct agent_cluster_options *options = &cluster->options;
    const char *node_name = options->node->facts->node_name;
    cluster->pods = pods;
    struct status_manager_options statuses = {.loop = options->loop,
                                              .metrics = options->metrics,
                                              .client = cluster->client,
                                              .report = report,
                                              .ctx = cluster};
    cluster->statuses = status_manager_new(&statuses);
    struct mirror_options mirrors = {.loop = options->loop,
                                     .client = cluster->client,
                                     .node_uid = node_uid,
                                     .on_mirror = on_mirror,
                                     .ctx = cluster,
                                     .node_name = node_name};
    cluster->mirrors = mirror_manager_new(&mirrors);
    cluster->source =
        api_source_new(options->loop, cluster->client, node_name, &source_listener, cluster);
    const struct pods_listener listener = {.on_change = on_pod_changed,
                                           .on_gone = on_pod_ended,
                                           .on_runtime = on_node_matters,
                                           .on_image = on_image,
                                           .ctx = cluster};
    pods_listen(pods, &listener);
    log_info("Joining the cluster", LOG_STR("server", api_transport_server(cluster->transport)));
    lease_keeper_start(cluster->lease);
    node_keeper_start(cluster->keeper);
    tell_findings(cluster);
    csi_node_start(cluster->csi);
    reflector_start(cluster->services);
    reflector_start(cluster->runtime_classes);
    image_list_refresh(cluster->images);
}

void agent_cluster_halt(struct agent_cluster *cluster)
{
    if (!cluster || !cluster->pods)
        return;
    pods_unlisten(TAKE(cluster->pods), cluster); /* they end before we do */
    api_source_free(TAKE(cluster->source));
    status_manager_free(TAKE(cluster->statuses));
    mirror_manager_free(TAKE(cluster->mirrors));
    lease_keeper_free(TAKE(cluster->lease));
}

void agent_cluster_free(struct agent_cluster *cluster)
{
    if (!cluster)
        return;
    agent_cluster_halt(cluster);
    lease_keeper_free(cluster->lease);
    node_keeper_free(cluster->keeper);
    csi_node_free(cluster->csi);
    image_list_free(cluster->images);
    if (cluster->cidr_call)
        runtime_call_cancel(cluster->options.runtime, cluster->cidr_call);
    reflector_free(cluster->services);
    reflector_free(cluster->runtime_classes);
    object_watch_free(cluster->config_maps);
    object_watch_free(cluster->secrets);
    token_cache_free(cluster->tokens);
    event_recorder_free(cluster->events);
    api_client_free(cluster->client);
    api_client_free(cluster->events_client);
    api_client_free(cluster->heartbeat);
    api_transport_free(cluster->transport);
    arena_free(cluster->arena);
    free(cluster);
}
