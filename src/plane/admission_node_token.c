/*
 * NodeRestriction on token requests: for a pod on the node, by its uid, and for an audience that
 * the pod's volumes or their drivers want.
 */
#include "plane/admission_internal.h"

#include "authentication.pb-c.h"
#include "storage.pb-c.h"

/* The driver behind a claim's volume, or NULL. */
static const char *driver_of_claim(const struct node_write *write, const char *name)
{
    const Core__PersistentVolumeClaim *claim = (const Core__PersistentVolumeClaim *)admission_get(
        write->request, ADMISSION_CLAIM, write->request->namespace_, name);
    if (!claim || !claim->spec || !admission_text(claim->spec->volume_name)[0])
        return NULL;
    const Core__PersistentVolume *volume = (const Core__PersistentVolume *)admission_get(
        write->request, ADMISSION_VOLUME, NULL, claim->spec->volume_name);
    const Core__PersistentVolumeSource *source =
        volume && volume->spec ? volume->spec->persistent_volume_source : NULL;
    return source && source->csi ? source->csi->driver : NULL;
}

static const char *driver_of_volume(const struct node_write *write, const Core__Pod *pod,
                                    const Core__Volume *volume)
{
    const Core__VolumeSource *source = volume->volume_source;
    if (!source)
        return NULL;
    if (source->csi)
        return source->csi->driver;
    if (source->persistent_volume_claim)
        return driver_of_claim(write, admission_text(source->persistent_volume_claim->claim_name));
    if (source->ephemeral)
        return driver_of_claim(write, arena_printf(write->request->arena, "%s-%s",
                                                   admission_text(pod->metadata->name),
                                                   admission_text(volume->name)));
    return NULL;
}

static bool driver_wants(const struct node_write *write, const char *driver, const char *audience)
{
    const Storage__CSIDriver *found = admission_text(driver)[0]
                                          ? (const Storage__CSIDriver *)admission_get(
                                                write->request, ADMISSION_CSI_DRIVER, NULL, driver)
                                          : NULL;
    for (size_t i = 0; found && found->spec && i < found->spec->n_token_requests; i++) {
        if (text_eq(admission_text(found->spec->token_requests[i]->audience), audience))
            return true;
    }
    return false;
}

static bool projects(const Core__Volume *volume, const char *audience)
{
    const Core__ProjectedVolumeSource *projected =
        volume->volume_source ? volume->volume_source->projected : NULL;
    for (size_t i = 0; projected && i < projected->n_sources; i++) {
        const Core__ServiceAccountTokenProjection *token =
            projected->sources[i]->service_account_token;
        if (token && text_eq(admission_text(token->audience), audience))
            return true;
    }
    return false;
}

static Meta__Status *check_audience(const struct node_write *write, const Core__Pod *pod,
                                    const Authentication__TokenRequestSpec *spec)
{
    const struct admission_request *request = write->request;
    if (spec->n_audiences > 1)
        return admission_forbidden(request, "node may only request 0 or 1 audiences");
    const char *audience = spec->n_audiences > 0 ? admission_text(spec->audiences[0]) : "";
    for (size_t i = 0; i < pod->spec->n_volumes; i++) {
        const Core__Volume *volume = pod->spec->volumes[i];
        if (projects(volume, audience) ||
            driver_wants(write, driver_of_volume(write, pod, volume), audience))
            return NULL;
    }
    return admission_forbidden(request,
                               "audience \"%s\" not found in pod spec volume, %s is not authorized "
                               "to request tokens for this audience",
                               audience, request->user->name);
}

Meta__Status *admission_check_token(const struct node_write *write)
{
    const struct admission_request *request = write->request;
    if (request->operation != ADMISSION_CREATE || !node_write_is_for(write, "token"))
        return NULL;
    const Authentication__TokenRequest *token =
        (const Authentication__TokenRequest *)request->object;
    const Authentication__BoundObjectReference *ref =
        token->spec ? token->spec->bound_object_ref : NULL;
    if (!ref || !text_eq(ref->api_version, "v1") || !text_eq(ref->kind, "Pod") ||
        !admission_text(ref->name)[0])
        return admission_forbidden(request, "node requested token not bound to a pod");
    if (!admission_text(ref->uid)[0])
        return admission_forbidden(request,
                                   "node requested token with a pod binding without a uid");
    const Core__Pod *pod = node_write_pod(write, ref->name);
    if (!pod)
        return admission_not_found(request, "pods", ref->name);
    if (!pod->metadata || !text_eq(pod->metadata->uid, ref->uid))
        return admission_forbidden(
            request,
            "the UID in the bound object reference (%s) does not match the UID in record. The "
            "object might have been deleted and then recreated",
            ref->uid);
    if (!text_eq(node_write_pod_node(pod), write->node))
        return admission_forbidden(
            request, "node requested token bound to a pod scheduled on a different node");
    return check_audience(write, pod, token->spec);
}
