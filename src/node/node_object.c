/*
 * The Node object beside its status: what it is registered with, and how one that is there already
 * is reconciled (spec node.md §4.2-§4.3).
 */
#include "node/node_map.h"
#include "node/node_status_internal.h"

#include "kube/codec.h"

#define OS "linux"
#define LABEL_HOSTNAME "kubernetes.io/hostname"
#define LABEL_OS "kubernetes.io/os"
#define LABEL_ARCH "kubernetes.io/arch"
#define LABEL_BETA_OS "beta.kubernetes.io/os"
#define LABEL_BETA_ARCH "beta.kubernetes.io/arch"
#define ANNOTATION_ATTACH_DETACH "volumes.kubernetes.io/controller-managed-attach-detach"
#define TAINT_UNINITIALIZED "node.cloudprovider.kubernetes.io/uninitialized"

/* The labels that are set right on a node that is there already; others are left alone. */
static const char *const default_labels[] = {
    LABEL_HOSTNAME,
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "node.kubernetes.io/instance-type",
    "beta.kubernetes.io/instance-type",
    LABEL_OS,
    LABEL_ARCH,
    "node.kubernetes.io/windows-build",
    LABEL_BETA_OS,
    LABEL_BETA_ARCH,
};

Core__Node *node_branch(const Core__Node *node, struct arena *arena)
{
    Core__Node *branch = arena_memdup(arena, node, sizeof(*node));
    branch->metadata = arena_alloc(arena, sizeof(*branch->metadata));
    meta__object_meta__init(branch->metadata);
    branch->spec = arena_alloc(arena, sizeof(*branch->spec));
    core__node_spec__init(branch->spec);
    branch->status = arena_alloc(arena, sizeof(*branch->status));
    core__node_status__init(branch->status);
    if (node->metadata)
        *branch->metadata = *node->metadata;
    if (node->spec)
        *branch->spec = *node->spec;
    if (node->status)
        *branch->status = *node->status;
    return branch;
}

Core__Node *node_object_copy(const Core__Node *node, struct arena *arena)
{
    return (Core__Node *)kube_message_dup(&node->base, arena);
}

/* --- registration --- */

static void initial_labels(const struct node_status_input *input, struct node_map *labels)
{
    const struct config_map *given = &input->config->cluster.node_labels;
    node_map_set(labels, LABEL_HOSTNAME, input->machine->hostname);
    node_map_set(labels, LABEL_OS, OS);
    node_map_set(labels, LABEL_ARCH, input->machine->architecture);
    node_map_set(labels, LABEL_BETA_OS, OS);
    node_map_set(labels, LABEL_BETA_ARCH, input->machine->architecture);
    for (size_t i = 0; i < given->count; i++)
        node_map_set(labels, given->pairs[i].key, given->pairs[i].value);
}

static void initial_taints(const struct config_cluster *cluster, Core__NodeSpec *spec,
                           struct arena *arena)
{
    size_t count = cluster->n_register_with_taints;
    spec->taints = arena_calloc(arena, count + 1, sizeof(Core__Taint *));
    for (size_t i = 0; i < count; i++)
        spec->taints[i] = cluster->register_with_taints[i];
    if (cluster->is_cloud_external) {
        Core__Taint *taint = arena_alloc(arena, sizeof(*taint));
        core__taint__init(taint);
        taint->key = node_text(TAINT_UNINITIALIZED);
        taint->value = node_text("true");
        taint->effect = node_text("NoSchedule");
        spec->taints[count++] = taint;
    }
    spec->n_taints = count;
}

Core__Node *node_object_initial(const struct node_status_input *input, struct arena *arena)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    const struct config_cluster *cluster = &input->config->cluster;
    const Core__Node empty = CORE__NODE__INIT;
    Core__Node *node = node_branch(&empty, scratch);
    struct node_map labels = {.arena = scratch}, annotations = {.arena = scratch};
    node->metadata->name = node_text(input->facts->node_name);
    initial_labels(input, &labels);
    node_map_store_labels(&labels, node->metadata);
    if (cluster->enable_controller_attach_detach)
        node_map_set(&annotations, ANNOTATION_ATTACH_DETACH, "true");
    node_map_store_annotations(&annotations, node->metadata);
    initial_taints(cluster, node->spec, scratch);
    if (cluster->provider_id && cluster->provider_id[0] != '\0')
        node->spec->provider_id = node_text(cluster->provider_id);
    node_status_fill(input, node, scratch);
    return node_object_copy(node, arena);
}

/* --- a node that is there already --- */

/* A label that is to be empty is not there at all. */
static void reconcile_labels(const Core__Node *initial, Core__Node *node, struct arena *arena)
{
    struct node_map wanted = {.arena = arena}, labels = {.arena = arena};
    node_map_load_labels(&wanted, initial->metadata);
    node_map_load_labels(&labels, node->metadata);
    for (size_t i = 0; i < ARRAY_SIZE(default_labels); i++) {
        const char *value = node_map_get(&wanted, default_labels[i]);
        if (value && value[0] != '\0')
            node_map_set(&labels, default_labels[i], value);
        else if (value)
            node_map_remove(&labels, default_labels[i]);
    }
    node_map_store_labels(&labels, node->metadata);
}

static void reconcile_annotation(const struct config_cluster *cluster, Core__Node *node,
                                 struct arena *arena)
{
    struct node_map annotations = {.arena = arena};
    node_map_load_annotations(&annotations, node->metadata);
    if (cluster->enable_controller_attach_detach)
        node_map_set(&annotations, ANNOTATION_ATTACH_DETACH, "true");
    else
        node_map_remove(&annotations, ANNOTATION_ATTACH_DETACH);
    node_map_store_annotations(&annotations, node->metadata);
}

Core__Node *node_object_reconcile(const struct node_status_input *input, const Core__Node *existing,
                                  struct arena *arena)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    const Core__Node *initial = node_object_initial(input, scratch);
    Core__Node *node = node_branch(existing, scratch);
    reconcile_labels(initial, node, scratch);
    reconcile_annotation(&input->config->cluster, node, scratch);
    node_capacity_reconcile(initial->status, node->status, scratch);
    return node_object_copy(node, arena);
}

Core__Node *node_status_update(const struct node_status_input *input, const Core__Node *node,
                               struct arena *arena)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    Core__Node *now = node_branch(node, scratch);
    struct node_map labels = {.arena = scratch};
    node_map_load_labels(&labels, now->metadata);
    node_map_set(&labels, LABEL_OS, OS);
    node_map_set(&labels, LABEL_ARCH, input->machine->architecture);
    node_map_store_labels(&labels, now->metadata);
    node_status_fill(input, now, scratch);
    return node_object_copy(now, arena);
}
