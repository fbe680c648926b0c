#include "plane/references.h"

#include "kube/pod_references.h"
#include "kube/resources.h"

/* --- secrets and config maps --- */

struct wanted {
    bool is_secret;
    const char *name;
};

/* False, and with it the end of the visit, when the name is met. */
static bool differs(void *ctx, bool is_secret, const char *name)
{
    const struct wanted *wanted = ctx;
    return is_secret != wanted->is_secret || strcmp(name, wanted->name) != 0;
}

static bool refers_to_data(const Core__PodSpec *spec, enum authz_object kind, const char *name)
{
    struct wanted wanted = {.is_secret = kind == AUTHZ_SECRET, .name = name};
    return !pod_references_visit(spec, differs, &wanted);
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

bool pod_refers_to(const Core__Pod *pod, enum authz_object kind, const char *name)
{
    if (kind == AUTHZ_POD)
        return pod->metadata && text_eq(pod->metadata->name, name);
    if (!pod->spec || pod_is_mirror(pod) || !name[0])
        return false;
    switch (kind) {
    case AUTHZ_SECRET:
    case AUTHZ_CONFIG_MAP:
        return refers_to_data(pod->spec, kind, name);
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
