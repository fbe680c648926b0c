#include "kube/kinds.h"

#include "kube/codec_internal.h"

#include "authentication.pb-c.h"
#include "authorization.pb-c.h"
#include "certificates.pb-c.h"
#include "coordination.pb-c.h"
#include "core.pb-c.h"
#include "discovery.pb-c.h"
#include "events.pb-c.h"
#include "metrics.pb-c.h"
#include "node.pb-c.h"
#include "policy.pb-c.h"
#include "resource.pb-c.h"
#include "storage.pb-c.h"

#define CORE .group = "", .version = "v1", .api_version = "v1"
#define GROUP(name) .group = (name), .version = "v1", .api_version = name "/v1"

/* A kind that can be listed: its row and, always right after it, that of its list. */
#define LISTED(where, kind_name, plural, singular_name, shorts, category, namespaced, message)     \
    {where,                                                                                        \
     .kind = (kind_name),                                                                          \
     .resource = (plural),                                                                         \
     .singular = (singular_name),                                                                  \
     .short_names = (shorts),                                                                      \
     .categories = (category),                                                                     \
     .is_namespaced = (namespaced),                                                                \
     .type = &message##__descriptor},                                                              \
    {                                                                                              \
        where, .kind = kind_name "List", .singular = "", .short_names = "", .categories = "",      \
               .is_namespaced = (namespaced), .is_list = true, .type = &message##_list__descriptor \
    }

/* A kind that is only created, such as a review; nothing keeps it. */
#define REQUEST(where, kind_name, plural, singular_name, namespaced, message)                      \
    {                                                                                              \
        where, .kind = (kind_name), .resource = (plural), .singular = (singular_name),             \
               .short_names = "", .categories = "", .is_namespaced = (namespaced),                 \
               .type = &message##__descriptor                                                      \
    }

/* What has no URL of its own. */
#define PLAIN(where, kind_name, message)                                                           \
    {                                                                                              \
        where, .kind = (kind_name), .singular = "", .short_names = "", .categories = "",           \
               .type = &message##__descriptor                                                      \
    }

#define AUTHENTICATION GROUP("authentication.k8s.io")
#define AUTHORIZATION GROUP("authorization.k8s.io")
#define CERTIFICATES GROUP("certificates.k8s.io")
#define COORDINATION GROUP("coordination.k8s.io")
#define DISCOVERY GROUP("discovery.k8s.io")
#define EVENTS GROUP("events.k8s.io")
#define META GROUP("meta.k8s.io")
#define METRICS                                                                                    \
    .group = "metrics.k8s.io", .version = "v1beta1", .api_version = "metrics.k8s.io/v1beta1"
#define NODE GROUP("node.k8s.io")
#define POLICY GROUP("policy")
#define RESOURCE GROUP("resource.k8s.io")
#define STORAGE GROUP("storage.k8s.io")

/* clang-format off */
static const struct kube_kind kinds[] = {
    LISTED(CORE, "ConfigMap", "configmaps", "configmap", "cm", "", true, core__config_map),
    LISTED(CORE, "Endpoints", "endpoints", "endpoints", "ep", "", true, core__endpoints),
    LISTED(CORE, "Event", "events", "event", "ev", "", true, core__event),
    LISTED(CORE, "Namespace", "namespaces", "namespace", "ns", "", false, core__namespace),
    LISTED(CORE, "Node", "nodes", "node", "no", "", false, core__node),
    LISTED(CORE, "PersistentVolume", "persistentvolumes", "persistentvolume", "pv", "", false,
           core__persistent_volume),
    LISTED(CORE, "PersistentVolumeClaim", "persistentvolumeclaims", "persistentvolumeclaim", "pvc",
           "", true, core__persistent_volume_claim),
    LISTED(CORE, "Pod", "pods", "pod", "po", "all", true, core__pod),
    LISTED(CORE, "Secret", "secrets", "secret", "", "", true, core__secret),
    LISTED(CORE, "Service", "services", "service", "svc", "all", true, core__service),
    LISTED(CORE, "ServiceAccount", "serviceaccounts", "serviceaccount", "sa", "", true,
           core__service_account),
    REQUEST(CORE, "Binding", "bindings", "binding", true, core__binding),
    PLAIN(CORE, "PodStatusResult", core__pod_status_result),
    PLAIN(CORE, "Status", meta__status),
    PLAIN(CORE, "DeleteOptions", meta__delete_options),
    PLAIN(CORE, "APIVersions", meta__apiversions),
    PLAIN(CORE, "APIGroup", meta__apigroup),
    PLAIN(CORE, "APIGroupList", meta__apigroup_list),
    PLAIN(CORE, "APIResourceList", meta__apiresource_list),
    REQUEST(AUTHENTICATION, "SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview", false,
            authentication__self_subject_review),
    REQUEST(AUTHENTICATION, "TokenReview", "tokenreviews", "tokenreview", false,
            authentication__token_review),
    PLAIN(AUTHENTICATION, "TokenRequest", authentication__token_request),
    REQUEST(AUTHORIZATION, "LocalSubjectAccessReview", "localsubjectaccessreviews",
            "localsubjectaccessreview", true, authorization__local_subject_access_review),
    REQUEST(AUTHORIZATION, "SelfSubjectAccessReview", "selfsubjectaccessreviews",
            "selfsubjectaccessreview", false, authorization__self_subject_access_review),
    REQUEST(AUTHORIZATION, "SelfSubjectRulesReview", "selfsubjectrulesreviews",
            "selfsubjectrulesreview", false, authorization__self_subject_rules_review),
    REQUEST(AUTHORIZATION, "SubjectAccessReview", "subjectaccessreviews", "subjectaccessreview",
            false, authorization__subject_access_review),
    LISTED(CERTIFICATES, "CertificateSigningRequest", "certificatesigningrequests",
           "certificatesigningrequest", "csr", "", false, certificates__certificate_signing_request),
    LISTED(COORDINATION, "Lease", "leases", "lease", "", "", true, coordination__lease),
    LISTED(DISCOVERY, "EndpointSlice", "endpointslices", "endpointslice", "", "", true,
           discovery__endpoint_slice),
    LISTED(EVENTS, "Event", "events", "event", "ev", "", true, events__event),
    LISTED(META, "PartialObjectMetadata", NULL, "", "", "", false, meta__partial_object_metadata),
    LISTED(METRICS, "NodeMetrics", "nodes", "", "", "", false, metrics__node_metrics),
    LISTED(METRICS, "PodMetrics", "pods", "", "", "", true, metrics__pod_metrics),
    LISTED(NODE, "RuntimeClass", "runtimeclasses", "runtimeclass", "", "", false,
           node__runtime_class),
    PLAIN(POLICY, "Eviction", policy__eviction),
    LISTED(RESOURCE, "DeviceClass", "deviceclasses", "deviceclass", "", "", false,
           resource__device_class),
    LISTED(RESOURCE, "ResourceClaim", "resourceclaims", "resourceclaim", "", "", true,
           resource__resource_claim),
    LISTED(RESOURCE, "ResourceClaimTemplate", "resourceclaimtemplates", "resourceclaimtemplate",
           "", "", true, resource__resource_claim_template),
    LISTED(RESOURCE, "ResourceSlice", "resourceslices", "resourceslice", "", "", false,
           resource__resource_slice),
    LISTED(STORAGE, "CSIDriver", "csidrivers", "csidriver", "", "", false, storage__csidriver),
    LISTED(STORAGE, "CSINode", "csinodes", "csinode", "", "", false, storage__csinode),
    LISTED(STORAGE, "StorageClass", "storageclasses", "storageclass", "sc", "", false,
           storage__storage_class),
    LISTED(STORAGE, "VolumeAttachment", "volumeattachments", "volumeattachment", "", "", false,
           storage__volume_attachment),
};
/* clang-format on */

const struct kube_kind *kube_kinds(size_t *ret_count)
{
    *ret_count = ARRAY_SIZE(kinds);
    return kinds;
}

static bool is_known_version(const char *api_version)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (text_eq(kinds[i].api_version, api_version))
            return true;
    }
    return false;
}

/* Fewer than a hundred rows, most told apart by the first letter: no index is worth its code. */
const struct kube_kind *kube_kind_find(const char *api_version, const char *kind)
{
    /* Upstream registers these in every group, and clients name the group of what they delete. */
    if (text_eq(kind, "DeleteOptions") && is_known_version(api_version))
        api_version = "v1";
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        const struct kube_kind *row = &kinds[i];
        if (row->kind[0] == kind[0] && text_eq(row->kind, kind) &&
            text_eq(row->api_version, api_version))
            return row;
    }
    return NULL;
}

const struct kube_kind *kube_kind_of_resource(const char *group, const char *version,
                                              const char *resource)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        const struct kube_kind *row = &kinds[i];
        if (text_eq(row->resource, resource) && text_eq(row->group, group) &&
            text_eq(row->version, version) && resource)
            return row;
    }
    return NULL;
}

const struct kube_kind *kube_kind_list(const struct kube_kind *item)
{
    const struct kube_kind *next = item + 1;
    return !item->is_list && next < kinds + ARRAY_SIZE(kinds) && next->is_list ? next : NULL;
}

const struct kube_kind *kube_kind_item(const struct kube_kind *list)
{
    return list->is_list ? list - 1 : NULL;
}

struct kube_type_meta kube_kind_meta(const struct kube_kind *kind)
{
    return (struct kube_type_meta){.api_version = kind->api_version, .kind = kind->kind};
}

/* Field 1 of all objects and lists; protobuf-c sorts fields by number. */
static Meta__ObjectMeta **meta_member(const ProtobufCMessage *object)
{
    const ProtobufCMessageDescriptor *type = object->descriptor;
    if (type->n_fields == 0 || type->fields[0].descriptor != &meta__object_meta__descriptor ||
        type->fields[0].label == PROTOBUF_C_LABEL_REPEATED)
        return NULL;
    return (Meta__ObjectMeta **)codec_member(object, &type->fields[0]);
}

Meta__ObjectMeta *kube_object_meta(const ProtobufCMessage *object)
{
    Meta__ObjectMeta **member = meta_member(object);
    return member ? *member : NULL;
}

Meta__ObjectMeta *kube_object_ensure_meta(ProtobufCMessage *object, struct arena *arena)
{
    Meta__ObjectMeta **member = meta_member(object);
    if (!member)
        return NULL;
    if (!*member)
        *member = (Meta__ObjectMeta *)kube_message_new(&meta__object_meta__descriptor, arena);
    return *member;
}

Meta__ListMeta *kube_list_meta(const ProtobufCMessage *list)
{
    const ProtobufCFieldDescriptor *items = codec_list_items(list->descriptor);
    if (!items)
        return NULL;
    return (Meta__ListMeta *)codec_message_at(codec_member(list, &list->descriptor->fields[0]));
}

ProtobufCMessage *const *kube_list_items(const ProtobufCMessage *list, size_t *ret_count)
{
    const ProtobufCFieldDescriptor *items = codec_list_items(list->descriptor);
    *ret_count = items ? codec_count(list, items) : 0;
    return *ret_count ? codec_element(list, items, 0) : NULL;
}
