#include "pod/mirror_pod.h"

#include "kube/codec.h"
#include "kube/message_map.h"
#include "kube/resources.h"
#include "pod/labels.h"

/* pkg/kubelet/types/pod_update.go */
#define ANNOTATION_CONFIG_MIRROR "kubernetes.io/config.mirror"

/* The one owner, by which the mirror goes when the node does. */
static void set_owner(Meta__ObjectMeta *meta, const char *node_name, const char *node_uid,
                      struct arena *arena)
{
    Meta__OwnerReference *owner =
        (Meta__OwnerReference *)kube_message_new(&meta__owner_reference__descriptor, arena);
    owner->api_version = arena_strdup(arena, "v1");
    owner->kind = arena_strdup(arena, "Node");
    owner->name = arena_strdup(arena, node_name);
    owner->uid = arena_strdup(arena, node_uid);
    owner->has_controller = true;
    owner->controller = true;
    meta->owner_references = arena_alloc(arena, sizeof(void *));
    meta->owner_references[0] = owner;
    meta->n_owner_references = 1;
}

const Core__Pod *mirror_pod_of(const Core__Pod *pod, const char *node_name, const char *node_uid,
                               struct arena *arena)
{
    Core__Pod *mirror = arena_memdup(arena, pod, sizeof(*pod));
    mirror->metadata = arena_memdup(arena, pod->metadata, sizeof(*pod->metadata));
    const char *hash = pod_annotation(pod, ANNOTATION_CONFIG_HASH);
    message_map_set(&mirror->metadata->base, "annotations", ANNOTATION_CONFIG_MIRROR,
                    hash ? hash : "", arena);
    set_owner(mirror->metadata, node_name, node_uid, arena);
    return mirror;
}

bool mirror_pod_is_of(const Core__Pod *mirror, const Core__Pod *pod)
{
    const char *hash = pod_annotation(pod, ANNOTATION_CONFIG_HASH);
    const char *theirs = pod_annotation(mirror, ANNOTATION_CONFIG_MIRROR);
    return hash && theirs && text_eq(hash, theirs);
}
