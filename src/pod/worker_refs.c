#include "pod/pods_internal.h"

#include "kube/object_watch.h"
#include "kube/pod_references.h"

void pod_refs_register(struct pod_worker *worker)
{
    const struct pods_api *api = worker->pods->env.api;
    if (!api || !api->config_maps || pod_object_is_static(worker->object))
        return;
    AUTO(arena) struct arena *arena = arena_new(0);
    struct pod_references references;
    pod_references_of(worker->object->pod, arena, &references);
    object_watch_register(api->config_maps, worker->uid, worker->namespace, references.config_maps,
                          references.config_map_count);
    object_watch_register(api->secrets, worker->uid, worker->namespace, references.secrets,
                          references.secret_count);
    worker->is_registered = true;
}

void pod_refs_unregister(struct pod_worker *worker)
{
    if (!worker->is_registered)
        return;
    const struct pods_api *api = worker->pods->env.api;
    object_watch_unregister(api->config_maps, worker->uid);
    object_watch_unregister(api->secrets, worker->uid);
    worker->is_registered = false;
}
