#include "plane/references.h"

#define MIRROR_ANNOTATION "kubernetes.io/config.mirror"

struct wanted {
    enum authz_object kind; /* AUTHZ_SECRET or AUTHZ_CONFIG_MAP */
    const char *name;
};

static bool is_named(const Core__LocalObjectReference *reference, const char *name)
{
    return reference && reference->name && text_eq(reference->name, name);
}

/* --- containers --- */

static bool env_refers(Core__EnvVar *const *env, size_t count, const struct wanted *wanted)
{
    for (size_t i = 0; i < count; i++) {
        const Core__EnvVarSource *from = env[i]->value_from;
        if (!from)
            continue;
        const Core__LocalObjectReference *secret =
            from->secret_key_ref ? from->secret_key_ref->local_object_reference : NULL;
        const Core__LocalObjectReference *config_map =
            from->config_map_key_ref ? from->config_map_key_ref->local_object_reference : NULL;
        if (is_named(wanted->kind == AUTHZ_SECRET ? secret : config_map, wanted->name))
            return true;
    }
    return false;
}

static bool env_from_refers(Core__EnvFromSource *const *sources, size_t count,
                            const struct wanted *wanted)
{
    for (size_t i = 0; i < count; i++) {
        const Core__LocalObjectReference *secret =
            sources[i]->secret_ref ? sources[i]->secret_ref->local_object_reference : NULL;
        const Core__LocalObjectReference *config_map =
            sources[i]->config_map_ref ? sources[i]->config_map_ref->local_object_reference : NULL;
        if (is_named(wanted->kind == AUTHZ_SECRET ? secret : config_map, wanted->name))
            return true;
    }
    return false;
}

static bool containers_refer(Core__Container *const *containers, size_t count,
                             const struct wanted *wanted)
{
    for (size_t i = 0; i < count; i++) {
        const Core__Container *container = containers[i];
        if (env_refers(container->env, container->n_env, wanted) ||
            env_from_refers(container->env_from, container->n_env_from, wanted))
            return true;
    }
    return false;
}

static bool ephemeral_refer(const Core__PodSpec *spec, const struct wanted *wanted)
{
    for (size_t i = 0; i < spec->n_ephemeral_containers; i++) {
        const Core__EphemeralContainerCommon *container =
            spec->ephemeral_containers[i]->ephemeral_container_common;
        if (container && (env_refers(container->env, container->n_env, wanted) ||
                          env_from_refers(container->env_from, container->n_env_from, wanted)))
            return true;
    }
    return false;
}

/* --- volumes --- */

static bool projection_refers(const Core__ProjectedVolumeSource *projected,
                              const struct wanted *wanted)
{
    for (size_t i = 0; projected && i < projected->n_sources; i++) {
        const Core__VolumeProjection *source = projected->sources[i];
        const Core__LocalObjectReference *secret =
            source->secret ? source->secret->local_object_reference : NULL;
        const Core__LocalObjectReference *config_map =
            source->config_map ? source->config_map->local_object_reference : NULL;
        if (is_named(wanted->kind == AUTHZ_SECRET ? secret : config_map, wanted->name))
            return true;
    }
    return false;
}

static bool source_refers_to_secret(const Core__VolumeSource *source, const char *name)
{
    const Core__LocalObjectReference *const references[] = {
        source->cephfs ? source->cephfs->secret_ref : NULL,
        source->cinder ? source->cinder->secret_ref : NULL,
        source->flex_volume ? source->flex_volume->secret_ref : NULL,
        source->rbd ? source->rbd->secret_ref : NULL,
        source->scale_io ? source->scale_io->secret_ref : NULL,
        source->iscsi ? source->iscsi->secret_ref : NULL,
        source->storageos ? source->storageos->secret_ref : NULL,
        source->csi ? source->csi->node_publish_secret_ref : NULL,
    };
    for (size_t i = 0; i < ARRAY_SIZE(references); i++) {
        if (is_named(references[i], name))
            return true;
    }
    return (source->azure_file && text_eq(source->azure_file->secret_name, name)) ||
           (source->secret && text_eq(source->secret->secret_name, name));
}

static bool volumes_refer(const Core__PodSpec *spec, const struct wanted *wanted)
{
    for (size_t i = 0; i < spec->n_volumes; i++) {
        const Core__VolumeSource *source = spec->volumes[i]->volume_source;
        if (!source)
            continue;
        if (projection_refers(source->projected, wanted))
            return true;
        if (wanted->kind == AUTHZ_SECRET
                ? source_refers_to_secret(source, wanted->name)
                : source->config_map &&
                      is_named(source->config_map->local_object_reference, wanted->name))
            return true;
    }
    return false;
}

static bool refers_to_data(const Core__PodSpec *spec, const struct wanted *wanted)
{
    for (size_t i = 0; wanted->kind == AUTHZ_SECRET && i < spec->n_image_pull_secrets; i++) {
        if (is_named(spec->image_pull_secrets[i], wanted->name))
            return true;
    }
    return containers_refer(spec->init_containers, spec->n_init_containers, wanted) ||
           containers_refer(spec->containers, spec->n_containers, wanted) ||
           ephemeral_refer(spec, wanted) || volumes_refer(spec, wanted);
}

/* --- claims --- */

/* An ephemeral volume's claim is called "<pod>-<volume>". */
static bool is_ephemeral_claim(const char *pod, const char *volume, const char *name)
{
    size_t len = pod ? strlen(pod) : 0;
    return len > 0 && volume && strncmp(name, pod, len) == 0 && name[len] == '-' &&
           text_eq(name + len + 1, volume);
}

static bool refers_to_claim(const Core__Pod *pod, const char *name)
{
    const Core__PodSpec *spec = pod->spec;
    for (size_t i = 0; i < spec->n_volumes; i++) {
        const Core__Volume *volume = spec->volumes[i];
        const Core__VolumeSource *source = volume->volume_source;
        if (!source)
            continue;
        if (source->persistent_volume_claim &&
            text_eq(source->persistent_volume_claim->claim_name, name))
            return true;
        if (source->ephemeral &&
            is_ephemeral_claim(pod->metadata ? pod->metadata->name : NULL, volume->name, name))
            return true;
    }
    return false;
}

/* Claims made from a template have their names in the status. */
static bool refers_to_resource_claim(const Core__Pod *pod, const char *name)
{
    for (size_t i = 0; i < pod->spec->n_resource_claims; i++) {
        if (text_eq(pod->spec->resource_claims[i]->resource_claim_name, name))
            return true;
    }
    for (size_t i = 0; pod->status && i < pod->status->n_resource_claim_statuses; i++) {
        if (text_eq(pod->status->resource_claim_statuses[i]->resource_claim_name, name))
            return true;
    }
    return pod->status && pod->status->extended_resource_claim_status &&
           text_eq(pod->status->extended_resource_claim_status->resource_claim_name, name);
}

/* --- the whole --- */

static bool is_mirror(const Core__Pod *pod)
{
    for (size_t i = 0; pod->metadata && i < pod->metadata->n_annotations; i++) {
        if (text_eq(pod->metadata->annotations[i]->key, MIRROR_ANNOTATION))
            return true;
    }
    return false;
}

bool pod_refers_to(const Core__Pod *pod, enum authz_object kind, const char *name)
{
    if (kind == AUTHZ_POD)
        return pod->metadata && text_eq(pod->metadata->name, name);
    if (!pod->spec || is_mirror(pod) || !name[0])
        return false;
    switch (kind) {
    case AUTHZ_SECRET:
    case AUTHZ_CONFIG_MAP:
        return refers_to_data(pod->spec, &(struct wanted){.kind = kind, .name = name});
    case AUTHZ_CLAIM:
        return refers_to_claim(pod, name);
    case AUTHZ_RESOURCE_CLAIM:
        return refers_to_resource_claim(pod, name);
    case AUTHZ_SERVICE_ACCOUNT:
        return text_eq(pod->spec->service_account_name, name);
    case AUTHZ_VOLUME:
    case AUTHZ_ATTACHMENT:
    case AUTHZ_POD:
    case AUTHZ_RESOURCE_SLICE:
        return false;
    }
    return false;
}

static bool is_secret(const Core__SecretReference *reference, const char *claim_namespace,
                      const char *namespace_, const char *name)
{
    if (!reference || !text_eq(reference->name, name))
        return false;
    const char *in =
        reference->namespace_ && reference->namespace_[0] ? reference->namespace_ : claim_namespace;
    return text_eq(in, namespace_);
}

bool volume_refers_to_secret(const Core__PersistentVolume *volume, const char *namespace_,
                             const char *name)
{
    const Core__PersistentVolumeSource *source =
        volume->spec ? volume->spec->persistent_volume_source : NULL;
    if (!source || !name[0])
        return false;
    const char *claimed = volume->spec->claim_ref ? volume->spec->claim_ref->namespace_ : NULL;
    const Core__SecretReference *const references[] = {
        source->rbd ? source->rbd->secret_ref : NULL,
        source->iscsi ? source->iscsi->secret_ref : NULL,
        source->cinder ? source->cinder->secret_ref : NULL,
        source->cephfs ? source->cephfs->secret_ref : NULL,
        source->flex_volume ? source->flex_volume->secret_ref : NULL,
        source->scale_io ? source->scale_io->secret_ref : NULL,
        source->csi ? source->csi->node_stage_secret_ref : NULL,
        source->csi ? source->csi->node_publish_secret_ref : NULL,
        source->csi ? source->csi->node_expand_secret_ref : NULL,
    };
    for (size_t i = 0; i < ARRAY_SIZE(references); i++) {
        if (is_secret(references[i], claimed, namespace_, name))
            return true;
    }
    const Core__AzureFilePersistentVolumeSource *azure = source->azure_file;
    return azure && text_eq(azure->secret_name, name) &&
           text_eq(azure->secret_namespace ? azure->secret_namespace : claimed, namespace_);
}
