#include "pod/object.h"

#include "kube/object.h"

struct pod_object *pod_object_new(struct arena *arena_owned, const Core__Pod *pod,
                                  const char *origin)
{
    struct pod_object *object = xcalloc(1, sizeof(*object));
    *object = (struct pod_object){.pod = pod, .origin = origin, .arena = arena_owned, .refs = 1};
    return object;
}

struct pod_object *pod_object_ref(struct pod_object *object)
{
    object->refs++;
    return object;
}

void pod_object_unref(struct pod_object *object)
{
    if (!object || --object->refs > 0)
        return;
    kube_object_unref(object->api);
    arena_free(object->arena);
    free(object);
}
