/*
 * Removes the dead containers that are too many on the node, with every audit, which is as often as
 * a kubelet does; and tells when what there is to be collected cannot be read. Nothing is read for
 * it: all is known.
 */
#include "pod/cri_request.h"
#include "pod/gc.h"
#include "pod/pods_internal.h"

#include "kube/event_recorder.h"

/* A living pod reads from the newest instance whether its container starts again; without it,
 * what has done its work would do it again. */
static bool is_needed(const struct pod_worker *worker, const struct container_observed *container)
{
    return worker->want.life == POD_LIFE_SYNC &&
           pod_observed_newest(&worker->have, container->name) == container;
}

static size_t count_dead(const struct pods *pods)
{
    size_t count = 0;
    const struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next) {
        for (const struct container_observed *c = worker->have.containers; c; c = c->next)
            count += c->state == CONTAINER_RUNNING ? 0 : 1;
    }
    return count;
}

static void collect_dead(const struct pods *pods, struct gc_container *dead)
{
    const struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next) {
        for (const struct container_observed *c = worker->have.containers; c; c = c->next) {
            if (c->state != CONTAINER_RUNNING)
                *dead++ = (struct gc_container){.pod_uid = worker->uid,
                                                .name = c->name,
                                                .id = c->id,
                                                .created_ns = c->created_ns,
                                                .is_needed = is_needed(worker, c)};
        }
    }
}

void pods_collect_garbage(struct pods *pods)
{
    size_t count = pods->listed && pods_sources_are_ready(pods) ? count_dead(pods) : 0;
    if (count == 0)
        return;
    const struct gc_policy policy = {.now_ns = loop_now_wall_ns(pods->env.loop),
                                     .min_age_ns = pods->env.min_dead_age_ns,
                                     .max_per_container = pods->env.max_dead_per_container,
                                     .max_containers = pods->env.max_dead_containers};
    AUTO(free) struct gc_container *dead = xcalloc(count, sizeof(*dead));
    collect_dead(pods, dead);
    gc_plan(dead, count, &policy);
    for (size_t i = 0; i < count; i++) {
        if (dead[i].is_surplus)
            pod_worker_remove_container(pods_find(pods, dead[i].pod_uid), dead[i].id);
    }
}

void pods_tell_gc_failed(const struct pods *pods, const char *message)
{
    const struct pods_api *api = pods->env.api;
    if (!api || !api->events)
        return;
    Core__ObjectReference node = CORE__OBJECT_REFERENCE__INIT;
    node.api_version = cri_borrow("v1");
    node.kind = cri_borrow("Node");
    node.name = cri_borrow(pods->env.node->node_name);
    event_record(api->events, &node, EVENT_WARNING, "ContainerGCFailed", "%s", message);
}
