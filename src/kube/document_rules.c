/*
 * What Kubernetes' Go types say about merging, as tables: the patchStrategy and patchMergeKey tags
 * (strategic merge patch), and the listType, listMapKey, mapType and structType markers
 * (server-side apply). A list without a row is replaced by a patch and atomic for apply.
 */
#include "kube/codec_internal.h"
#include "kube/document.h"

static const struct kube_patch_row patch_rows[] = {
    {"meta.ObjectMeta", "ownerReferences", "merge", "uid"},
    {"meta.ObjectMeta", "finalizers", "merge", ""},
    {"core.PersistentVolumeClaimStatus", "conditions", "merge", "type"},
    {"core.Container", "ports", "merge", "containerPort"},
    {"core.Container", "env", "merge", "name"},
    {"core.Container", "volumeMounts", "merge", "mountPath"},
    {"core.Container", "volumeDevices", "merge", "devicePath"},
    {"core.ContainerStatus", "volumeMounts", "merge", "mountPath"},
    {"core.ContainerStatus", "allocatedResourcesStatus", "merge", "name"},
    {"core.PodSpec", "volumes", "merge,retainKeys", "name"},
    {"core.PodSpec", "initContainers", "merge", "name"},
    {"core.PodSpec", "containers", "merge", "name"},
    {"core.PodSpec", "ephemeralContainers", "merge", "name"},
    {"core.PodSpec", "imagePullSecrets", "merge", "name"},
    {"core.PodSpec", "hostAliases", "merge", "ip"},
    {"core.PodSpec", "topologySpreadConstraints", "merge", "topologyKey"},
    {"core.PodSpec", "schedulingGates", "merge", "name"},
    {"core.PodSpec", "resourceClaims", "merge,retainKeys", "name"},
    {"core.EphemeralContainerCommon", "ports", "merge", "containerPort"},
    {"core.EphemeralContainerCommon", "env", "merge", "name"},
    {"core.EphemeralContainerCommon", "volumeMounts", "merge", "mountPath"},
    {"core.EphemeralContainerCommon", "volumeDevices", "merge", "devicePath"},
    {"core.PodStatus", "conditions", "merge", "type"},
    {"core.PodStatus", "hostIPs", "merge", "ip"},
    {"core.PodStatus", "podIPs", "merge", "ip"},
    {"core.PodStatus", "resourceClaimStatuses", "merge,retainKeys", "name"},
    {"core.ReplicationControllerStatus", "conditions", "merge", "type"},
    {"core.ServiceStatus", "conditions", "merge", "type"},
    {"core.ServiceSpec", "ports", "merge", "port"},
    {"core.ServiceAccount", "secrets", "merge", "name"},
    {"core.NodeSpec", "podCIDRs", "merge", ""},
    {"core.NodeStatus", "conditions", "merge", "type"},
    {"core.NodeStatus", "addresses", "merge", "type"},
    {"core.NamespaceStatus", "conditions", "merge", "type"},
    {"core.ComponentStatus", "conditions", "merge", "type"},
    {"certificates.PodCertificateRequestStatus", "conditions", "merge", "type"},
    {"storage.CSINodeSpec", "drivers", "merge", "name"},
    {"resource.ResourceClaimStatus", "reservedFor", "merge", "uid"},
    {"apps.StatefulSetStatus", "conditions", "merge", "type"},
    {"apps.DeploymentSpec", "strategy", "retainKeys", ""},
    {"apps.DeploymentStatus", "conditions", "merge", "type"},
    {"apps.DaemonSetStatus", "conditions", "merge", "type"},
    {"apps.ReplicaSetStatus", "conditions", "merge", "type"},
};

struct apply_row {
    const char *message;
    const char *field;
    const char *keys; /* "" for a set */
};

static const struct apply_row apply_rows[] = {
    {"certificates.CertificateSigningRequestStatus", "conditions", "type"},
    {"core.ComponentStatus", "conditions", "type"},
    {"core.Container", "env", "name"},
    {"core.Container", "ports", "containerPort protocol"},
    {"core.Container", "volumeDevices", "devicePath"},
    {"core.Container", "volumeMounts", "mountPath"},
    {"core.ContainerRestartRuleOnExitCodes", "values", ""},
    {"core.ContainerStatus", "allocatedResourcesStatus", "name"},
    {"core.ContainerStatus", "volumeMounts", "mountPath"},
    {"core.EphemeralContainerCommon", "env", "name"},
    {"core.EphemeralContainerCommon", "ports", "containerPort protocol"},
    {"core.EphemeralContainerCommon", "volumeDevices", "devicePath"},
    {"core.EphemeralContainerCommon", "volumeMounts", "mountPath"},
    {"core.NamespaceStatus", "conditions", "type"},
    {"core.NodeAllocatableResourceClaimStatus", "containers", ""},
    {"core.NodeSpec", "podCIDRs", ""},
    {"core.NodeStatus", "addresses", "type"},
    {"core.NodeStatus", "conditions", "type"},
    {"core.PersistentVolumeClaimStatus", "conditions", "type"},
    {"core.PodSpec", "containers", "name"},
    {"core.PodSpec", "ephemeralContainers", "name"},
    {"core.PodSpec", "hostAliases", "ip"},
    {"core.PodSpec", "imagePullSecrets", "name"},
    {"core.PodSpec", "initContainers", "name"},
    {"core.PodSpec", "resourceClaims", "name"},
    {"core.PodSpec", "schedulingGates", "name"},
    {"core.PodSpec", "topologySpreadConstraints", "topologyKey whenUnsatisfiable"},
    {"core.PodSpec", "volumes", "name"},
    {"core.PodStatus", "conditions", "type"},
    {"core.PodStatus", "podIPs", "ip"},
    {"core.PodStatus", "resourceClaimStatuses", "name"},
    {"core.ReplicationControllerStatus", "conditions", "type"},
    {"core.ResourceRequirements", "claims", "name"},
    {"core.ResourceStatus", "resources", "resourceID"},
    {"core.ServiceAccount", "secrets", "name"},
    {"core.ServiceSpec", "ports", "port protocol"},
    {"core.ServiceStatus", "conditions", "type"},
    {"meta.ObjectMeta", "finalizers", ""},
    {"meta.ObjectMeta", "ownerReferences", "uid"},
    {"resource.AllocatedDeviceStatus", "conditions", "type"},
    {"resource.ResourceClaimStatus", "devices", "driver device pool shareID"},
    {"resource.ResourceClaimStatus", "reservedFor", "uid"},
    {"storage.CSIDriverSpec", "volumeLifecycleModes", ""},
    {"storage.CSINodeSpec", "drivers", "name"},
};

static const char *const atomic_structs[] = {
    "core.ConfigMapKeySelector",  "core.EndpointAddress",      "core.EndpointPort",
    "core.FileKeySelector",       "core.LocalObjectReference", "core.NodeSelector",
    "core.NodeSelectorTerm",      "core.ObjectFieldSelector",  "core.ObjectReference",
    "core.ResourceFieldSelector", "core.ScopeSelector",        "core.SecretKeySelector",
    "core.SecretReference",       "core.TopologySelectorTerm", "core.TypedLocalObjectReference",
    "meta.LabelSelector",         "meta.OwnerReference",
};

struct field_row {
    const char *message;
    const char *field;
};

static const struct field_row atomic_maps[] = {
    {"core.PodSpec", "nodeSelector"},
    {"core.ReplicationControllerSpec", "selector"},
    {"core.ServiceSpec", "selector"},
    {"node.Scheduling", "nodeSelector"},
};

/* The one reference to an atomic struct that is not atomic itself. */
static const struct field_row separable_structs[] = {
    {"core.PersistentVolumeSpec", "claimRef"},
};

const struct kube_patch_row *kube_patch_rows(size_t *ret_count)
{
    *ret_count = ARRAY_SIZE(patch_rows);
    return patch_rows;
}

static bool has_row(const struct field_row *rows, size_t count, const char *message,
                    struct str field)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq_c(field, rows[i].field) && text_eq(message, rows[i].message))
            return true;
    }
    return false;
}

static bool is_atomic_struct(const ProtobufCMessageDescriptor *message)
{
    for (size_t i = 0; i < ARRAY_SIZE(atomic_structs); i++) {
        if (text_eq(message->name, atomic_structs[i]))
            return true;
    }
    return false;
}

static struct kube_list_rule list_rule(const char *message, struct str field)
{
    struct kube_list_rule rule = {.merge_key = "", .apply_keys = ""};
    for (size_t i = 0; i < ARRAY_SIZE(patch_rows); i++) {
        const struct kube_patch_row *row = &patch_rows[i];
        if (!str_eq_c(field, row->field) || !text_eq(message, row->message))
            continue;
        rule.is_merged = text_has_prefix(row->strategy, "merge");
        rule.retains_keys = text_has_suffix(row->strategy, "retainKeys");
        rule.merge_key = row->merge_key;
    }
    for (size_t i = 0; i < ARRAY_SIZE(apply_rows); i++) {
        const struct apply_row *row = &apply_rows[i];
        if (!str_eq_c(field, row->field) || !text_eq(message, row->message))
            continue;
        rule.apply_keys = row->keys;
        rule.is_set = row->keys[0] == '\0';
    }
    return rule;
}

static const struct kube_list_rule no_rule = {.merge_key = "", .apply_keys = ""};

/* Of a value that is one message. */
static struct kube_value_type type_of_message(const ProtobufCMessageDescriptor *message)
{
    struct kube_value_type type = {.shape = KUBE_SHAPE_SCALAR, .rule = no_rule};
    switch (codec_special_of(message)) {
    case CODEC_OBJECT:
        type.shape = KUBE_SHAPE_STRUCT;
        type.message = message;
        type.is_atomic = is_atomic_struct(message);
        break;
    case CODEC_RAW_JSON:
        type.shape = KUBE_SHAPE_ANY;
        break;
    case CODEC_STRING_LIST:
        type.shape = KUBE_SHAPE_LIST;
        type.is_atomic = true;
        break;
    case CODEC_TIME:
    case CODEC_MICRO_TIME:
    case CODEC_DURATION:
    case CODEC_QUANTITY:
    case CODEC_INT_OR_STRING:
        break;
    }
    return type;
}

static bool is_message(const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_MESSAGE;
}

static struct kube_value_type type_of_field(const ProtobufCMessageDescriptor *owner,
                                            const ProtobufCFieldDescriptor *field, struct str name)
{
    struct kube_value_type type = {.shape = KUBE_SHAPE_SCALAR, .rule = no_rule};
    if (codec_is_map(owner, field)) {
        const ProtobufCMessageDescriptor *entry = field->descriptor;
        const ProtobufCFieldDescriptor *value = &entry->fields[1];
        type.shape = KUBE_SHAPE_MAP;
        type.message = is_message(value) ? value->descriptor : NULL;
        type.is_atomic = has_row(atomic_maps, ARRAY_SIZE(atomic_maps), owner->name, name);
    } else if (codec_is_list(field)) {
        type.shape = KUBE_SHAPE_LIST;
        type.message = is_message(field) ? field->descriptor : NULL;
        type.rule = list_rule(owner->name, name);
        type.is_atomic = !type.rule.is_set && type.rule.apply_keys[0] == '\0';
    } else if (is_message(field)) {
        type = type_of_message(field->descriptor);
        if (has_row(separable_structs, ARRAY_SIZE(separable_structs), owner->name, name))
            type.is_atomic = false;
    }
    return type;
}

/* Also in the messages that JSON shows in @message itself. */
static bool find_field(const ProtobufCMessageDescriptor *message, struct str name,
                       struct kube_value_type *ret)
{
    const ProtobufCFieldDescriptor *field = codec_find_field(message, name);
    if (field) {
        *ret = type_of_field(message, field, name);
        return true;
    }
    for (unsigned i = 0; i < message->n_fields; i++) {
        if (!codec_is_inline(message, &message->fields[i]))
            continue;
        const ProtobufCMessageDescriptor *inner = message->fields[i].descriptor;
        field = codec_find_field(inner, name);
        if (field) {
            *ret = type_of_field(inner, field, name);
            return true;
        }
    }
    return false;
}

struct kube_value_type kube_type_of_object(const ProtobufCMessageDescriptor *message)
{
    struct kube_value_type type = type_of_message(message);
    type.is_object = true;
    return type;
}

bool kube_type_of_member(const struct kube_value_type *type, struct str name,
                         struct kube_value_type *ret)
{
    switch (type->shape) {
    case KUBE_SHAPE_STRUCT:
        if (find_field(type->message, name, ret))
            return true;
        *ret = (struct kube_value_type){.shape = KUBE_SHAPE_SCALAR, .rule = no_rule};
        return type->is_object && (str_eq_c(name, "kind") || str_eq_c(name, "apiVersion"));
    case KUBE_SHAPE_MAP:
    case KUBE_SHAPE_ANY:
        *ret = kube_type_of_element(type);
        return true;
    case KUBE_SHAPE_SCALAR:
    case KUBE_SHAPE_LIST:
        break;
    }
    return false;
}

struct kube_value_type kube_type_of_element(const struct kube_value_type *type)
{
    if (type->shape == KUBE_SHAPE_ANY)
        return (struct kube_value_type){.shape = KUBE_SHAPE_ANY, .rule = no_rule};
    if (!type->message)
        return (struct kube_value_type){.shape = KUBE_SHAPE_SCALAR, .rule = no_rule};
    return type_of_message(type->message);
}
