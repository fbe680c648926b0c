/*
 * The status field by field, in upstream's order (spec node.md §5.3). A field whose source is not
 * known keeps what the object has: a restarted agent must not take away what it will tell again a
 * moment later.
 */
#include "node/node_status_internal.h"

#include "node/node_map.h"

#include <arpa/inet.h>

#define ANNOTATION_PROVIDED_NODE_IP "alpha.kubernetes.io/provided-node-ip"
#define ADDRESS_HOSTNAME "Hostname"
#define ADDRESS_INTERNAL_IP "InternalIP"
#define MAX_NAMES_PER_IMAGE 5 /* upstream's MaxNamesPerImageInNodeStatus */

/* --- addresses (§4.4) --- */

/* --node-ip with an address of its own: 0.0.0.0 and :: only choose a family. */
static bool has_specified_ip(const struct config *config)
{
    if (config->node_ips.count == 0)
        return false;
    const char *text = config->node_ips.items[0];
    struct in6_addr address = IN6ADDR_ANY_INIT;
    if (inet_pton(AF_INET6, text, &address) == 1)
        return !IN6_IS_ADDR_UNSPECIFIED(&address);
    return strcmp(text, "0.0.0.0") != 0;
}

/* The specified addresses, as they were found to be good. */
static const char *provided_ips(const struct node_addresses *addresses, struct arena *arena)
{
    const char *text = "";
    for (size_t i = 0; i < addresses->count; i++) {
        if (strcmp(addresses->items[i].type, ADDRESS_INTERNAL_IP) == 0)
            text = arena_printf(arena, "%s%s%s", text, text[0] ? "," : "",
                                addresses->items[i].address);
    }
    return text;
}

static void update_provided_ips(const struct node_status_input *input, Meta__ObjectMeta *meta,
                                struct arena *arena)
{
    bool is_specified = has_specified_ip(input->config);
    if (is_specified && !input->addresses)
        return; /* upstream stops at an address that is not the node's */
    struct node_map annotations = {.arena = arena};
    node_map_load_annotations(&annotations, meta);
    if (input->config->cluster.is_cloud_external && is_specified)
        node_map_set(&annotations, ANNOTATION_PROVIDED_NODE_IP,
                     provided_ips(input->addresses, arena));
    else
        node_map_remove(&annotations, ANNOTATION_PROVIDED_NODE_IP);
    node_map_store_annotations(&annotations, meta);
}

static Core__NodeAddress *address_new(const char *type, const char *address, struct arena *arena)
{
    Core__NodeAddress *item = arena_alloc(arena, sizeof(*item));
    core__node_address__init(item);
    item->type = node_text(type);
    item->address = node_text(address);
    return item;
}

static void update_addresses(const struct node_status_input *input, Core__NodeStatus *status,
                             struct arena *arena)
{
    const struct node_addresses *found = input->addresses;
    bool is_cloud = input->config->cluster.is_cloud_external;
    if (is_cloud && status->n_addresses > 0)
        return; /* the cloud provider's */
    const struct node_addresses hostname = {
        .count = 1, .items = {{.type = ADDRESS_HOSTNAME, .address = input->machine->hostname}}};
    if (is_cloud && input->config->node_ips.count == 0)
        found = &hostname; /* all there is until the cloud provider tells more */
    if (!found)
        return;
    status->n_addresses = found->count;
    status->addresses = arena_calloc(arena, found->count, sizeof(Core__NodeAddress *));
    for (size_t i = 0; i < found->count; i++)
        status->addresses[i] = address_new(found->items[i].type, found->items[i].address, arena);
}

/* --- what the agent serves and has --- */

static void update_endpoints(const struct config *config, Core__NodeStatus *status,
                             struct arena *arena)
{
    Core__NodeDaemonEndpoints *endpoints = arena_alloc(arena, sizeof(*endpoints));
    core__node_daemon_endpoints__init(endpoints);
    endpoints->kubelet_endpoint = arena_alloc(arena, sizeof(*endpoints->kubelet_endpoint));
    core__daemon_endpoint__init(endpoints->kubelet_endpoint);
    endpoints->kubelet_endpoint->has_port = true;
    endpoints->kubelet_endpoint->port = config->cluster.kubelet_port;
    status->daemon_endpoints = endpoints;
}

/* The largest first; of equal ones the greater id. */
static int by_size(const void *a, const void *b)
{
    const struct node_image *const *left = a, *const *right = b;
    if ((*left)->size_bytes != (*right)->size_bytes)
        return (*left)->size_bytes > (*right)->size_bytes ? -1 : 1;
    return strcmp((*right)->id, (*left)->id);
}

static Core__ContainerImage *image_new(const struct node_image *image, struct arena *arena)
{
    Core__ContainerImage *item = arena_alloc(arena, sizeof(*item));
    core__container_image__init(item);
    item->n_names = min_size(image->n_names, MAX_NAMES_PER_IMAGE);
    item->names = arena_calloc(arena, item->n_names, sizeof(char *));
    for (size_t i = 0; i < item->n_names; i++)
        item->names[i] = node_text(image->names[i]);
    item->has_size_bytes = image->size_bytes != 0;
    item->size_bytes = image->size_bytes;
    return item;
}

static void update_images(const struct node_status_input *input, Core__NodeStatus *status,
                          struct arena *arena)
{
    int32_t max = input->config->cluster.node_status_max_images;
    size_t count = input->n_images;
    if (!input->images)
        return;
    const struct node_image **sorted = arena_calloc(arena, count, sizeof(struct node_image *));
    for (size_t i = 0; i < count; i++)
        sorted[i] = &input->images[i];
    if (count > 0)
        qsort(sorted, count, sizeof(struct node_image *), by_size);
    if (max >= 0)
        count = min_size(count, (size_t)max);
    status->n_images = count;
    status->images = arena_calloc(arena, count, sizeof(Core__ContainerImage *));
    for (size_t i = 0; i < count; i++)
        status->images[i] = image_new(sorted[i], arena);
}

/* --- what the runtime can do --- */

static int by_name(const void *a, const void *b)
{
    const Core__NodeRuntimeHandler *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

static Core__NodeRuntimeHandler *handler_new(const Cri__RuntimeHandler *handler,
                                             struct arena *arena)
{
    const Cri__RuntimeHandlerFeatures *can = handler->features;
    Core__NodeRuntimeHandlerFeatures *features = arena_alloc(arena, sizeof(*features));
    core__node_runtime_handler_features__init(features);
    features->has_recursive_read_only_mounts = features->has_user_namespaces = true;
    features->recursive_read_only_mounts = can && can->recursive_read_only_mounts;
    features->user_namespaces = can && can->user_namespaces;
    Core__NodeRuntimeHandler *item = arena_alloc(arena, sizeof(*item));
    core__node_runtime_handler__init(item);
    item->name = node_text(handler->name ? handler->name : "");
    item->features = features;
    return item;
}

static void update_runtime(const Cri__StatusResponse *runtime, Core__NodeStatus *status,
                           struct arena *arena)
{
    if (!runtime)
        return;
    size_t count = runtime->n_runtime_handlers;
    Core__NodeRuntimeHandler **handlers =
        arena_calloc(arena, count, sizeof(Core__NodeRuntimeHandler *));
    for (size_t i = 0; i < count; i++)
        handlers[i] = handler_new(runtime->runtime_handlers[i], arena);
    if (count > 0)
        qsort(handlers, count, sizeof(Core__NodeRuntimeHandler *), by_name);
    status->n_runtime_handlers = count;
    status->runtime_handlers = handlers;
    if (!runtime->features)
        return;
    Core__NodeFeatures *features = arena_alloc(arena, sizeof(*features));
    core__node_features__init(features);
    features->has_supplemental_groups_policy = true;
    features->supplemental_groups_policy = runtime->features->supplemental_groups_policy;
    status->features = features;
}

/*
 * API server and scheduler act on what is declared, so only what is really implemented may be. What
 * an agent before this one declared is taken back. Sorted by name.
 */
static void update_declared_features(const struct config *config, Core__NodeStatus *status,
                                     struct arena *arena)
{
    static const struct {
        const char *name;
        enum feature_gate gate;
    } features[] = {
        {"ExtendWebSocketsToKubelet", GATE_ExtendWebSocketsToKubelet},
        {"RestartAllContainersOnContainerExits", GATE_RestartAllContainersOnContainerExits}};
    if (!gate_is_enabled(&config->gates, GATE_NodeDeclaredFeatures))
        return;
    status->n_declared_features = 0;
    status->declared_features = arena_calloc(arena, ARRAY_SIZE(features), sizeof(char *));
    for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
        if (gate_is_enabled(&config->gates, features[i].gate))
            status->declared_features[status->n_declared_features++] =
                arena_strdup(arena, features[i].name);
    }
}

void node_status_fill(const struct node_status_input *input, Core__Node *branch,
                      struct arena *arena)
{
    Core__NodeStatus *status = branch->status;
    update_provided_ips(input, branch->metadata, arena);
    update_addresses(input, status, arena);
    node_capacity_update(input, status, arena);
    node_info_update(input, status, arena);
    update_endpoints(input->config, status, arena);
    update_images(input, status, arena);
    update_runtime(input->runtime, status, arena);
    node_conditions_update(input, status, arena);
    update_declared_features(input->config, status, arena);
}
