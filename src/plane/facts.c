#include "plane/facts.h"

#include "plane/object_meta.h"
#include "plane/references.h"

#include "storage.pb-c.h"

static ProtobufCMessage *read_object(const struct rest_env *env, const char *group,
                                     const char *resource_name, const char *namespace_,
                                     const char *name)
{
    const struct resource *resource = resource_find(group, "v1", resource_name);
    ProtobufCMessage *object = NULL;
    /* What cannot be read counts as not there: the answer is then the stricter one. */
    if (!resource || rest_read(env, resource, namespace_, name, &object))
        return NULL;
    return object;
}

static bool find_object(void *ctx, enum authn_object_kind kind, const char *namespace_,
                        const char *name, struct authn_object *ret)
{
    static const char *const resources[] = {
        [AUTHN_SERVICE_ACCOUNT] = "serviceaccounts",
        [AUTHN_POD] = "pods",
        [AUTHN_SECRET] = "secrets",
        [AUTHN_NODE] = "nodes",
    };
    const ProtobufCMessage *object = read_object(ctx, "", resources[kind], namespace_, name);
    if (!object)
        return false;
    const Meta__ObjectMeta *meta = kube_object_meta(object);
    ret->uid = meta->uid;
    ret->is_deleting = meta->deletion_timestamp != NULL;
    ret->deletion_s = object_time_ns(meta->deletion_timestamp) / NS_PER_SEC;
    return true;
}

const struct authn_objects plane_authn_objects = {.find = find_object};

/* --- a node's objects --- */

struct search {
    const struct rest_env *env;
    enum authz_object kind;
    const char *namespace_;
    const char *name;
    const char *node;
    bool is_found;
};

static Meta__Status *stop(const struct search *search)
{
    return search->is_found ? failure_new(search->env->arena, 500, "found") : NULL;
}

static void each_pod(struct search *search, const char *namespace_, rest_each *each)
{
    /* The failure only ends the walk; a pod that cannot be read gives access to nothing. */
    Meta__Status *ended =
        rest_each_object(search->env, resource_find("", "v1", "pods"), namespace_, each, search);
    (void)ended;
}

static Meta__Status *ask_pod(void *ctx, ProtobufCMessage *object)
{
    struct search *search = ctx;
    const Core__Pod *pod = (const Core__Pod *)object;
    if (pod->spec && text_eq(pod->spec->node_name, search->node) &&
        pod_refers_to(pod, search->kind, search->name))
        search->is_found = true;
    return stop(search);
}

static bool pods_refer(struct search *search)
{
    each_pod(search, search->namespace_, ask_pod);
    return search->is_found;
}

/* A volume has to do with a node when the claim it is bound to has. */
static bool volume_is_used(const struct search *search, const Core__PersistentVolume *volume)
{
    const Core__ObjectReference *claim = volume->spec ? volume->spec->claim_ref : NULL;
    if (!claim || !claim->namespace_ || !claim->name)
        return false;
    struct search inner = {.env = search->env,
                           .kind = AUTHZ_CLAIM,
                           .namespace_ = claim->namespace_,
                           .name = claim->name,
                           .node = search->node};
    return pods_refer(&inner);
}

static Meta__Status *ask_volume(void *ctx, ProtobufCMessage *object)
{
    struct search *search = ctx;
    const Core__PersistentVolume *volume = (const Core__PersistentVolume *)object;
    if (volume_refers_to_secret(volume, search->namespace_, search->name) &&
        volume_is_used(search, volume))
        search->is_found = true;
    return stop(search);
}

static bool volumes_refer(struct search *search)
{
    Meta__Status *ended = rest_each_object(
        search->env, resource_find("", "v1", "persistentvolumes"), NULL, ask_volume, search);
    (void)ended; /* as for pods */
    return search->is_found;
}

static bool attachment_is_for(const struct search *search)
{
    const Storage__VolumeAttachment *attachment = (const Storage__VolumeAttachment *)read_object(
        search->env, "storage.k8s.io", "volumeattachments", NULL, search->name);
    return attachment && attachment->spec && text_eq(attachment->spec->node_name, search->node);
}

static bool is_referenced(void *ctx, enum authz_object kind, const char *namespace_,
                          const char *name, const char *node)
{
    struct search search = {
        .env = ctx, .kind = kind, .namespace_ = namespace_, .name = name, .node = node};
    switch (kind) {
    case AUTHZ_SECRET:
        return pods_refer(&search) || volumes_refer(&search);
    case AUTHZ_CONFIG_MAP:
    case AUTHZ_CLAIM:
    case AUTHZ_RESOURCE_CLAIM:
    case AUTHZ_SERVICE_ACCOUNT:
    case AUTHZ_POD:
        return pods_refer(&search);
    case AUTHZ_VOLUME: {
        const ProtobufCMessage *volume =
            read_object(search.env, "", "persistentvolumes", NULL, name);
        return volume && volume_is_used(&search, (const Core__PersistentVolume *)volume);
    }
    case AUTHZ_ATTACHMENT:
        return attachment_is_for(&search);
    case AUTHZ_RESOURCE_SLICE:
        return false; /* not served */
    }
    return false;
}

const struct authz_facts plane_authz_facts = {.is_referenced = is_referenced};
