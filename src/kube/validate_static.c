/*
 * What a static pod may not refer to: anything that only an API server could hand out. Upstream
 * looks for names of secrets and config maps everywhere first and for volume types after that, so
 * the first two hide some of the later texts.
 */
#include "kube/validate_internal.h"

#define MAY_NOT "static pods may not reference "

/* --- names of secrets and config maps --- */

static bool has_name(const Core__LocalObjectReference *reference)
{
    return reference && !is_empty(reference->name);
}

enum object { OBJECT_SECRET, OBJECT_CONFIG_MAP };

static bool env_refers(Core__EnvVar *const *env, size_t count, enum object object)
{
    for (size_t i = 0; i < count; i++) {
        const Core__EnvVarSource *from = env[i]->value_from;
        if (!from)
            continue;
        if (object == OBJECT_SECRET && from->secret_key_ref &&
            has_name(from->secret_key_ref->local_object_reference))
            return true;
        if (object == OBJECT_CONFIG_MAP && from->config_map_key_ref &&
            has_name(from->config_map_key_ref->local_object_reference))
            return true;
    }
    return false;
}

static bool env_from_refers(Core__EnvFromSource *const *sources, size_t count, enum object object)
{
    for (size_t i = 0; i < count; i++) {
        if (object == OBJECT_SECRET && sources[i]->secret_ref &&
            has_name(sources[i]->secret_ref->local_object_reference))
            return true;
        if (object == OBJECT_CONFIG_MAP && sources[i]->config_map_ref &&
            has_name(sources[i]->config_map_ref->local_object_reference))
            return true;
    }
    return false;
}

static bool containers_refer(const Core__PodSpec *spec, enum object object)
{
    struct container_place place;
    for (size_t i = 0; container_at(spec, i, &place); i++) {
        const Core__Container *container = place.container;
        if (env_refers(container->env, container->n_env, object) ||
            env_from_refers(container->env_from, container->n_env_from, object))
            return true;
    }
    for (size_t i = 0; i < spec->n_ephemeral_containers; i++) {
        const Core__EphemeralContainerCommon *common =
            spec->ephemeral_containers[i]->ephemeral_container_common;
        if (common && (env_refers(common->env, common->n_env, object) ||
                       env_from_refers(common->env_from, common->n_env_from, object)))
            return true;
    }
    return false;
}

static bool projection_refers(const Core__ProjectedVolumeSource *projected, enum object object)
{
    for (size_t i = 0; projected && i < projected->n_sources; i++) {
        const Core__VolumeProjection *source = projected->sources[i];
        if (object == OBJECT_SECRET && source->secret &&
            has_name(source->secret->local_object_reference))
            return true;
        if (object == OBJECT_CONFIG_MAP && source->config_map &&
            has_name(source->config_map->local_object_reference))
            return true;
    }
    return false;
}

static bool volume_refers_to_secret(const Core__VolumeSource *source)
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
        if (has_name(references[i]))
            return true;
    }
    return (source->azure_file && !is_empty(source->azure_file->secret_name)) ||
           (source->secret && !is_empty(source->secret->secret_name)) ||
           projection_refers(source->projected, OBJECT_SECRET);
}

static bool refers_to_secrets(const Core__PodSpec *spec)
{
    for (size_t i = 0; i < spec->n_image_pull_secrets; i++) {
        if (has_name(spec->image_pull_secrets[i]))
            return true;
    }
    if (containers_refer(spec, OBJECT_SECRET))
        return true;
    for (size_t i = 0; i < spec->n_volumes; i++) {
        const Core__VolumeSource *source = spec->volumes[i]->volume_source;
        if (source && volume_refers_to_secret(source))
            return true;
    }
    return false;
}

static bool refers_to_config_maps(const Core__PodSpec *spec)
{
    if (containers_refer(spec, OBJECT_CONFIG_MAP))
        return true;
    for (size_t i = 0; i < spec->n_volumes; i++) {
        const Core__VolumeSource *source = spec->volumes[i]->volume_source;
        if (!source)
            continue;
        if ((source->config_map && has_name(source->config_map->local_object_reference)) ||
            projection_refers(source->projected, OBJECT_CONFIG_MAP))
            return true;
    }
    return false;
}

/* --- kinds of volumes --- */

static const char *projection_error(const Core__ProjectedVolumeSource *projected)
{
    for (size_t i = 0; i < projected->n_sources; i++) {
        const Core__VolumeProjection *source = projected->sources[i];
        if (source->config_map)
            return MAY_NOT "configmaps (via projected volumes)";
        if (source->secret)
            return MAY_NOT "secrets (via projected volumes)";
        if (source->service_account_token)
            return MAY_NOT "serviceaccounts (via projected volumes)";
        if (source->cluster_trust_bundle)
            return MAY_NOT "clustertrustbundles";
        if (source->pod_certificate)
            return MAY_NOT "podcertificates";
    }
    return NULL;
}

static const char *volume_error(const Core__VolumeSource *source)
{
    if (source->config_map)
        return MAY_NOT "configmaps (via configmap volumes)";
    if (source->secret)
        return MAY_NOT "secrets (via secret volumes)";
    if (source->csi)
        return MAY_NOT "csidrivers (via CSI volumes)";
    if (source->glusterfs)
        return MAY_NOT "endpoints (via glusterFS volumes)";
    if (source->persistent_volume_claim)
        return MAY_NOT "persistentvolumeclaims";
    if (source->ephemeral)
        return MAY_NOT "persistentvolumeclaims (via ephemeral volumes)";
    if (source->azure_file)
        return MAY_NOT "secrets (via azureFile volumes)";
    return source->projected ? projection_error(source->projected) : NULL;
}

const char *pod_static_reference_error(const Core__Pod *pod)
{
    const Core__PodSpec *spec = pod->spec;
    if (!spec)
        return NULL;
    if (!is_empty(spec->service_account_name))
        return MAY_NOT "serviceaccounts";
    if (refers_to_secrets(spec))
        return MAY_NOT "secrets";
    if (refers_to_config_maps(spec))
        return MAY_NOT "configmaps";
    if (spec->n_resource_claims > 0)
        return MAY_NOT "resourceclaims";
    for (size_t i = 0; i < spec->n_volumes; i++) {
        const Core__VolumeSource *source = spec->volumes[i]->volume_source;
        const char *error = source ? volume_error(source) : NULL;
        if (error)
            return error;
    }
    return NULL;
}
