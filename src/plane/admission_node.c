/*
 * NodeRestriction (plugin/pkg/admission/noderestriction): the Node authorizer let a node's write
 * through in kind; here its content is held to the node's own objects. The sentences are
 * upstream's, slips included, because people search for them.
 */
#include "plane/admission_internal.h"

#include "plane/csr.h"

#include "certificates.pb-c.h"
#include "coordination.pb-c.h"
#include "resource.pb-c.h"

#define LEASE_NAMESPACE "kube-node-lease"

static const char *const operation_names[] = {
    [ADMISSION_CREATE] = "CREATE",
    [ADMISSION_UPDATE] = "UPDATE",
    [ADMISSION_DELETE] = "DELETE",
    [ADMISSION_CONNECT] = "CONNECT",
};

bool node_write_is_for(const struct node_write *write, const char *subresource)
{
    return text_eq(admission_text(write->request->subresource), subresource);
}

const char *node_write_pod_node(const Core__Pod *pod)
{
    return pod->spec ? admission_text(pod->spec->node_name) : "";
}

const Core__Pod *node_write_pod(const struct node_write *write, const char *name)
{
    return (const Core__Pod *)admission_get(write->request, ADMISSION_POD,
                                            write->request->namespace_, name);
}

/* The name a creation is about stands in the object, where nothing generates it yet. */
const char *node_write_name(const struct node_write *write)
{
    const struct admission_request *request = write->request;
    const Meta__ObjectMeta *meta = request->object ? kube_object_meta(request->object) : NULL;
    if (admission_text(request->name)[0] || request->operation != ADMISSION_CREATE)
        return admission_text(request->name);
    return admission_text(meta ? meta->name : NULL);
}

static Meta__Status *unexpected_operation(const struct node_write *write)
{
    return admission_forbidden(write->request, "unexpected operation \"%s\"",
                               operation_names[write->request->operation]);
}

/* --- pods --- */

static Meta__Status *check_owner(const struct node_write *write, const Core__Pod *pod)
{
    const struct admission_request *request = write->request;
    size_t count = pod->metadata ? pod->metadata->n_owner_references : 0;
    if (count > 1)
        return admission_forbidden(
            request, "node \"%s\" can only create pods with a single owner reference set to itself",
            write->node);
    const Meta__OwnerReference *owner = count > 0 ? pod->metadata->owner_references[0] : NULL;
    if (!owner || !text_eq(owner->api_version, "v1") || !text_eq(owner->kind, "Node") ||
        !text_eq(owner->name, write->node))
        return admission_forbidden(
            request, "node \"%s\" can only create pods with an owner reference set to itself",
            write->node);
    if (!owner->has_controller || !owner->controller)
        return admission_forbidden(
            request,
            "node \"%s\" can only create pods with a controller owner reference set to itself",
            write->node);
    if (owner->has_block_owner_deletion && owner->block_owner_deletion)
        return admission_forbidden(
            request, "node \"%s\" must not set blockOwnerDeletion on an owner reference",
            write->node);
    const Core__Node *node =
        (const Core__Node *)admission_get(request, ADMISSION_NODE, NULL, write->node);
    if (!node)
        return admission_not_found(request, "nodes", write->node);
    const char *uid = admission_text(node->metadata ? node->metadata->uid : NULL);
    if (!text_eq(admission_text(owner->uid), uid))
        return admission_forbidden(request, "node %s UID mismatch: expected %s got %s", write->node,
                                   admission_text(owner->uid), uid);
    return NULL;
}

static Meta__Status *check_pod_create(const struct node_write *write)
{
    const struct admission_request *request = write->request;
    const Core__Pod *pod = (const Core__Pod *)request->object;
    if (!admission_is_mirror(pod))
        return admission_forbidden(request,
                                   "pod does not have \"" ADMISSION_MIRROR_ANNOTATION
                                   "\" annotation, node \"%s\" can only create mirror pods",
                                   write->node);
    if (!text_eq(node_write_pod_node(pod), write->node))
        return admission_forbidden(
            request, "node \"%s\" can only create pods with spec.nodeName set to itself",
            write->node);
    Meta__Status *failure = check_owner(write, pod);
    if (failure)
        return failure;
    const char *reference = pod_static_reference_error(pod);
    const char *what = reference ? strstr(reference, "reference ") : NULL;
    return what ? admission_forbidden(request, "node \"%s\" can not create pods that %s",
                                      write->node, what)
                : NULL;
}

static Meta__Status *check_pod_delete(const struct node_write *write)
{
    const struct admission_request *request = write->request;
    const Core__Pod *pod = request->old ? (const Core__Pod *)request->old
                                        : node_write_pod(write, admission_text(request->name));
    if (!pod)
        return admission_not_found(request, "pods", admission_text(request->name));
    return text_eq(node_write_pod_node(pod), write->node)
               ? NULL
               : admission_forbidden(
                     request, "node \"%s\" can only delete pods with spec.nodeName set to itself",
                     write->node);
}

static Meta__Status *check_pod_object(const struct node_write *write)
{
    switch (write->request->operation) {
    case ADMISSION_CREATE:
        return check_pod_create(write);
    case ADMISSION_DELETE:
        return check_pod_delete(write);
    case ADMISSION_UPDATE:
    case ADMISSION_CONNECT:
        break;
    }
    return admission_forbidden(
        write->request,
        "unexpected operation \"%s\", node \"%s\" can only create and delete mirror pods",
        operation_names[write->request->operation], write->node);
}

/* Compares the parts alone, as objects that have nothing else. */
static bool have_equal_labels(const Core__Pod *a, const Core__Pod *b)
{
    Meta__ObjectMeta left = META__OBJECT_META__INIT, right = META__OBJECT_META__INIT;
    left.labels = a->metadata ? a->metadata->labels : NULL;
    left.n_labels = a->metadata ? a->metadata->n_labels : 0;
    right.labels = b->metadata ? b->metadata->labels : NULL;
    right.n_labels = b->metadata ? b->metadata->n_labels : 0;
    return kube_message_eq(&left.base, &right.base);
}

static bool have_equal_claims(const Core__PodStatus *a, const Core__PodStatus *b)
{
    Core__PodStatus left = CORE__POD_STATUS__INIT, right = CORE__POD_STATUS__INIT;
    left.resource_claim_statuses = a ? a->resource_claim_statuses : NULL;
    left.n_resource_claim_statuses = a ? a->n_resource_claim_statuses : 0;
    right.resource_claim_statuses = b ? b->resource_claim_statuses : NULL;
    right.n_resource_claim_statuses = b ? b->n_resource_claim_statuses : 0;
    return kube_message_eq(&left.base, &right.base);
}

static bool have_equal_extended_claims(const Core__PodStatus *a, const Core__PodStatus *b)
{
    Core__PodStatus left = CORE__POD_STATUS__INIT, right = CORE__POD_STATUS__INIT;
    left.extended_resource_claim_status = a ? a->extended_resource_claim_status : NULL;
    right.extended_resource_claim_status = b ? b->extended_resource_claim_status : NULL;
    return kube_message_eq(&left.base, &right.base);
}

static Meta__Status *check_pod_status(const struct node_write *write)
{
    const struct admission_request *request = write->request;
    if (request->operation != ADMISSION_UPDATE)
        return unexpected_operation(write);
    const Core__Pod *old = (const Core__Pod *)request->old;
    const Core__Pod *pod = (const Core__Pod *)request->object;
    if (!text_eq(node_write_pod_node(old), write->node))
        return admission_forbidden(
            request,
            "node \"%s\" can only update pod status for pods with spec.nodeName set to itself",
            write->node);
    if (!have_equal_labels(old, pod))
        return admission_forbidden(request, "node \"%s\" cannot update labels through pod status",
                                   write->node);
    if (!have_equal_claims(old->status, pod->status))
        return admission_forbidden(request, "node \"%s\" cannot update resource claim statues",
                                   write->node);
    if (!have_equal_extended_claims(old->status, pod->status))
        return admission_forbidden(
            request, "node \"%s\" cannot update extended resource claim status", write->node);
    return NULL;
}

static Meta__Status *check_pod_eviction(const struct node_write *write)
{
    const struct admission_request *request = write->request;
    if (request->operation != ADMISSION_CREATE)
        return admission_forbidden(request, "unexpected operation %s",
                                   operation_names[request->operation]);
    const Meta__ObjectMeta *meta = request->object ? kube_object_meta(request->object) : NULL;
    const char *name = admission_text(request->name);
    if (!name[0])
        name = admission_text(meta ? meta->name : NULL);
    if (!name[0])
        return admission_forbidden(request, "could not determine pod from request data");
    const Core__Pod *pod = node_write_pod(write, name);
    if (!pod)
        return admission_not_found(request, "pods", name);
    return text_eq(node_write_pod_node(pod), write->node)
               ? NULL
               : admission_forbidden(request,
                                     "node %s can only evict pods with spec.nodeName set to itself",
                                     write->node);
}

static Meta__Status *check_pod(const struct node_write *write)
{
    if (node_write_is_for(write, ""))
        return check_pod_object(write);
    if (node_write_is_for(write, "status"))
        return check_pod_status(write);
    if (node_write_is_for(write, "eviction"))
        return check_pod_eviction(write);
    return admission_forbidden(
        write->request,
        "unexpected pod subresource \"%s\", only 'status' and 'eviction' are allowed",
        write->request->subresource);
}

/* --- claims --- */

/* A copy without what a node may change: the results of a resize. */
static const ProtobufCMessage *comparable_claim(const ProtobufCMessage *claim, struct arena *arena)
{
    Core__PersistentVolumeClaim *copy =
        (Core__PersistentVolumeClaim *)kube_message_dup(claim, arena);
    if (copy->metadata) {
        copy->metadata->resource_version = NULL;
        copy->metadata->n_managed_fields = 0;
    }
    if (!copy->status)
        copy->status = (Core__PersistentVolumeClaimStatus *)kube_message_new(
            &core__persistent_volume_claim_status__descriptor, arena);
    copy->status->n_capacity = 0;
    copy->status->n_conditions = 0;
    copy->status->n_allocated_resources = 0;
    copy->status->n_allocated_resource_statuses = 0;
    return &copy->base;
}

static Meta__Status *check_claim(const struct node_write *write)
{
    const struct admission_request *request = write->request;
    if (!node_write_is_for(write, "status"))
        return admission_forbidden(request, "may only update PVC status");
    if (request->operation != ADMISSION_UPDATE)
        return unexpected_operation(write);
    return kube_message_eq(comparable_claim(request->old, request->arena),
                           comparable_claim(request->object, request->arena))
               ? NULL
               : admission_forbidden(request,
                                     "node \"%s\" is not allowed to update fields other than "
                                     "status.quantity and status.conditions",
                                     write->node);
}

/* --- objects of the node's own name --- */

static Meta__Status *check_lease(const struct node_write *write)
{
    if (!text_eq(write->request->namespace_, LEASE_NAMESPACE))
        return admission_forbidden(write->request,
                                   "can only access leases in the \"" LEASE_NAMESPACE
                                   "\" system namespace");
    return text_eq(node_write_name(write), write->node)
               ? NULL
               : admission_forbidden(
                     write->request,
                     "can only access node lease with the same name as the requesting node");
}

static Meta__Status *check_csi_node(const struct node_write *write)
{
    return text_eq(node_write_name(write), write->node)
               ? NULL
               : admission_forbidden(
                     write->request,
                     "can only access CSINode with the same name as the requesting node");
}

static bool is_slice_of(const ProtobufCMessage *object, const char *node)
{
    const Resource__ResourceSlice *slice = (const Resource__ResourceSlice *)object;
    return slice && slice->spec && text_eq(slice->spec->node_name, node);
}

static Meta__Status *check_slice(const struct node_write *write)
{
    const struct admission_request *request = write->request;
    if (request->operation == ADMISSION_CREATE && !is_slice_of(request->object, write->node))
        return admission_forbidden(
            request, "can only create ResourceSlice with the same NodeName as the requesting node");
    if (request->operation == ADMISSION_DELETE && !is_slice_of(request->old, write->node))
        return admission_forbidden(
            request, "can only delete ResourceSlice with the same NodeName as the requesting node");
    return NULL;
}

static Meta__Status *check_csr(const struct node_write *write)
{
    const struct admission_request *request = write->request;
    if (request->operation != ADMISSION_CREATE)
        return NULL;
    const Certificates__CertificateSigningRequest *object =
        (const Certificates__CertificateSigningRequest *)request->object;
    enum csr_signer signer;
    if (!object->spec || !csr_signer_from_name(object->spec->signer_name, &signer) ||
        signer == CSR_SIGNER_CLIENT)
        return NULL;
    const struct str pem = {.ptr = (const char *)object->spec->request.data,
                            .len = object->spec->request.len};
    struct csr csr;
    struct error *err = csr_read(pem, request->arena, &csr);
    if (err) {
        Meta__Status *failure =
            admission_forbidden(request, "unable to parse csr: %s", err->message);
        error_free(err);
        return failure;
    }
    const char *name = arena_printf(request->arena, "system:node:%s", write->node);
    return text_eq(csr.common_name, name)
               ? NULL
               : admission_forbidden(request, "can only create a node CSR with CN=%s", name);
}

/* --- the whole --- */

static const struct {
    const char *group;
    const char *resource;
    Meta__Status *(*check)(const struct node_write *write);
} checks[] = {
    {"", "pods", check_pod},
    {"", "nodes", admission_check_node},
    {"", "persistentvolumeclaims", check_claim},
    {"", "serviceaccounts", admission_check_token},
    {"coordination.k8s.io", "leases", check_lease},
    {"storage.k8s.io", "csinodes", check_csi_node},
    {"resource.k8s.io", "resourceslices", check_slice},
    {"certificates.k8s.io", "certificatesigningrequests", check_csr},
};

Meta__Status *admission_node_restriction(const struct admission_request *request)
{
    const struct node_write write = {.request = request, .node = plane_user_node(request->user)};
    if (!write.node || request->operation == ADMISSION_CONNECT)
        return NULL;
    if (!write.node[0])
        return admission_forbidden(request, "could not determine node from user \"%s\"",
                                   request->user->name);
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        if (admission_is_for(request, checks[i].group, checks[i].resource))
            return checks[i].check(&write);
    }
    return NULL;
}
