#include "pod/mirror_pod.h"

#include "kube/codec.h"
#include "kube/resources.h"
#include "pod/labels.h"

/* pkg/kubelet/types/pod_update.go */
#define ANNOTATION_CONFIG_MIRROR "kubernetes.io/config.mirror"

static void set_mirror_annotation(Meta__ObjectMeta *meta, const char *hash, struct arena *arena)
{
    Meta__ObjectMeta__AnnotationsEntry *const *theirs = meta->annotations;
    size_t count = meta->n_annotations;
    meta->annotations = arena_calloc(arena, count + 1, sizeof(void *));
    meta->n_annotations = 0;
    for (size_t i = 0; i < count; i++) {
        if (!text_eq(theirs[i]->key, ANNOTATION_CONFIG_MIRROR))
            meta->annotations[meta->n_annotations++] = theirs[i];
    }
    Meta__ObjectMeta__AnnotationsEntry *entry =
        (Meta__ObjectMeta__AnnotationsEntry *)kube_message_new(
            &meta__object_meta__annotations_entry__descriptor, arena);
    entry->key = arena_strdup(arena, ANNOTATION_CONFIG_MIRROR);
    entry->value = arena_strdup(arena, hash);
    meta->annotations[meta->n_annotations++] = entry;
}

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
    set_mirror_annotation(mirror->metadata, hash ? hash : "", arena);
    set_owner(mirror->metadata, node_name, node_uid, arena);
    return mirror;
}

bool mirror_pod_is_of(const Core__Pod *mirror, const Core__Pod *pod)
{
    const char *hash = pod_annotation(pod, ANNOTATION_CONFIG_HASH);
    const char *theirs = pod_annotation(mirror, ANNOTATION_CONFIG_MIRROR);
    return hash && theirs && text_eq(hash, theirs);
}
