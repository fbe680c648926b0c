/*
 * What metrics.k8s.io shows: a stored node or running pod with what it was found to use, as
 * metrics-server would show it. Pure.
 */
#include "kube/message_map.h"
#include "kube/quantity.h"
#include "kube/resources.h"
#include "plane/object_meta.h"
#include "plane/resource.h"
#include "plane/strategy.h"
#include "plane/usage.h"

#include "metrics.pb-c.h"

/* In the map "usage" of @message. */
static void set_usage(ProtobufCMessage *message, const struct usage_figures *figures,
                      struct arena *arena)
{
    const char *cores = arena_printf(arena, "%lldn", (long long)figures->nano_cores);
    message_map_set(message, "usage", RESOURCE_CPU, quantity_canonical(cores, arena), arena);
    message_map_set(message, "usage", RESOURCE_MEMORY,
                    quantity_from_value(figures->bytes, true, arena), arena);
}

static Meta__Duration *duration_new(int64_t duration_ns, struct arena *arena)
{
    Meta__Duration *duration =
        (Meta__Duration *)kube_message_new(&meta__duration__descriptor, arena);
    duration->has_duration = true;
    duration->duration = duration_ns;
    return duration;
}

/* Made of @meta for as long as the answer lives: it exists since it was measured. */
static Meta__ObjectMeta *meta_of(const Meta__ObjectMeta *meta, const struct usage_figures *figures,
                                 struct arena *arena)
{
    Meta__ObjectMeta *copy =
        (Meta__ObjectMeta *)kube_message_new(&meta__object_meta__descriptor, arena);
    copy->name = meta->name;
    copy->namespace_ = meta->namespace_;
    copy->n_labels = meta->n_labels;
    copy->labels = meta->labels;
    copy->creation_timestamp = object_time(figures->taken_wall_ns, arena);
    return copy;
}

/* --- nodes --- */

static ProtobufCMessage *measured_node(const ProtobufCMessage *stored, const struct usage *usage,
                                       struct arena *arena)
{
    const Meta__ObjectMeta *meta = ((const Core__Node *)stored)->metadata;
    struct usage_figures figures;
    if (!usage_of_node(usage, meta->name, &figures))
        return NULL;
    Metrics__NodeMetrics *metrics =
        (Metrics__NodeMetrics *)kube_message_new(&metrics__node_metrics__descriptor, arena);
    metrics->metadata = meta_of(meta, &figures, arena);
    metrics->timestamp = object_time(figures.taken_wall_ns, arena);
    metrics->window = duration_new(figures.window_ns, arena);
    set_usage(&metrics->base, &figures, arena);
    return &metrics->base;
}

const struct resource_storage node_measures = {.type = &core__node__descriptor,
                                               .measured = measured_node};

/* --- pods --- */

static Metrics__ContainerMetrics *container_of(const struct usage_container *from,
                                               struct arena *arena)
{
    Metrics__ContainerMetrics *container = (Metrics__ContainerMetrics *)kube_message_new(
        &metrics__container_metrics__descriptor, arena);
    container->name = arena_strdup(arena, from->name);
    set_usage(&container->base, &from->figures, arena);
    return container;
}

/* The time and the window are the same for all containers of a pod: those of the first. */
static ProtobufCMessage *measured_pod(const ProtobufCMessage *stored, const struct usage *usage,
                                      struct arena *arena)
{
    const Core__Pod *pod = (const Core__Pod *)stored;
    const struct usage_container *containers;
    size_t count = usage_of_pod(usage, pod->metadata->namespace_, pod->metadata->name, &containers);
    if (count == 0 || !pod->status || !text_eq(pod->status->phase, "Running"))
        return NULL;
    const struct usage_figures *first = &containers[0].figures;
    Metrics__PodMetrics *metrics =
        (Metrics__PodMetrics *)kube_message_new(&metrics__pod_metrics__descriptor, arena);
    metrics->metadata = meta_of(pod->metadata, first, arena);
    metrics->timestamp = object_time(first->taken_wall_ns, arena);
    metrics->window = duration_new(first->window_ns, arena);
    metrics->containers = arena_calloc(arena, count, sizeof(Metrics__ContainerMetrics *));
    for (size_t i = 0; i < count; i++)
        metrics->containers[metrics->n_containers++] = container_of(&containers[i], arena);
    return &metrics->base;
}

const struct resource_storage pod_measures = {.type = &core__pod__descriptor,
                                              .measured = measured_pod};
