/*
 * storage.k8s.io: classes, drivers, what drivers a node has, and attachments.
 */
#include "plane/strategy_internal.h"

#include "storage.pb-c.h"

/* pkg/apis/storage/validation */
#define PARAMETERS_MAX 512
#define PARAMETERS_MAX_BYTES (256 * KiB)
#define DRIVER_NAME_MAX_BYTES 63
#define NODE_ID_MAX_BYTES 256

/* --- StorageClass --- */

static void default_class(ProtobufCMessage *object, struct arena *arena)
{
    Storage__StorageClass *class = (Storage__StorageClass *)object;
    strategy_default_text(&class->reclaim_policy, "Delete", arena);
    strategy_default_text(&class->volume_binding_mode, "Immediate", arena);
}

static bool same_parameters(const Storage__StorageClass *a, const Storage__StorageClass *b)
{
    Storage__StorageClass left = STORAGE__STORAGE_CLASS__INIT;
    Storage__StorageClass right = STORAGE__STORAGE_CLASS__INIT;
    left.n_parameters = a->n_parameters;
    left.parameters = a->parameters;
    right.n_parameters = b->n_parameters;
    right.parameters = b->parameters;
    return kube_message_eq(&left.base, &right.base);
}

static void check_class_change(struct validation *v, const Storage__StorageClass *class,
                               const Storage__StorageClass *old)
{
    if (!same_parameters(class, old))
        field_forbidden(v, FIELD(NULL, "parameters"), "updates to parameters are forbidden.");
    if (!text_eq(class->provisioner, old->provisioner))
        field_forbidden(v, FIELD(NULL, "provisioner"), "updates to provisioner are forbidden.");
    if (!text_eq(class->reclaim_policy, old->reclaim_policy))
        field_forbidden(v, FIELD(NULL, "reclaimPolicy"), "updates to reclaimPolicy are forbidden.");
    strategy_check_immutable_text(v, FIELD(NULL, "volumeBindingMode"), class->volume_binding_mode,
                                  old->volume_binding_mode);
}

static void check_parameters(struct validation *v, const Storage__StorageClass *class)
{
    const struct field_path *path = FIELD(NULL, "parameters");
    size_t total = 0;
    if (class->n_parameters > PARAMETERS_MAX) {
        field_too_long(v, path, PARAMETERS_MAX);
        return;
    }
    for (size_t i = 0; i < class->n_parameters; i++) {
        if (is_empty(class->parameters[i]->key))
            field_invalid(v, path, "", "field can not be empty.");
        total += strlen(or_empty(class->parameters[i]->key)) +
                 strlen(or_empty(class->parameters[i]->value));
    }
    if (total > PARAMETERS_MAX_BYTES)
        field_too_long(v, path, PARAMETERS_MAX_BYTES);
}

static void validate_class(const struct strategy_context *context, const ProtobufCMessage *object,
                           const ProtobufCMessage *old, struct field_errors *errors)
{
    static const char *const policies[] = {"Delete", "Retain", NULL};
    static const char *const modes[] = {"Immediate", "WaitForFirstConsumer", NULL};
    const Storage__StorageClass *class = (const Storage__StorageClass *)object;
    struct validation v = strategy_validation(context, errors);
    if (old) {
        meta_validate_update(&v, class->metadata, kube_object_meta(old));
        check_class_change(&v, class, (const Storage__StorageClass *)old);
        return;
    }
    meta_validate(&v, class->metadata, META_CLUSTER, name_rule_dns1123_subdomain);
    if (is_empty(class->provisioner))
        field_required(&v, FIELD(NULL, "provisioner"), NULL);
    else
        field_check_name_lowered(&v, FIELD(NULL, "provisioner"), class->provisioner,
                                 name_rule_qualified);
    check_parameters(&v, class);
    if (!is_one_of(class->reclaim_policy, policies))
        field_not_supported(&v, FIELD(NULL, "reclaimPolicy"), class->reclaim_policy, policies);
    if (!is_one_of(class->volume_binding_mode, modes))
        field_not_supported(&v, FIELD(NULL, "volumeBindingMode"), class->volume_binding_mode,
                            modes);
}

const struct strategy strategy_storage_class = {
    .set_defaults = default_class,
    .validate = validate_class,
};

/* --- CSIDriver --- */

static void default_bool(protobuf_c_boolean *has, protobuf_c_boolean *field, bool value)
{
    if (*has)
        return;
    *has = true;
    *field = value;
}

static void default_driver(ProtobufCMessage *object, struct arena *arena)
{
    Storage__CSIDriver *driver = (Storage__CSIDriver *)object;
    if (!driver->spec)
        driver->spec = NEW_MESSAGE(arena, Storage__CSIDriverSpec, storage__csidriver_spec);
    Storage__CSIDriverSpec *spec = driver->spec;
    default_bool(&spec->has_attach_required, &spec->attach_required, true);
    default_bool(&spec->has_pod_info_on_mount, &spec->pod_info_on_mount, false);
    default_bool(&spec->has_storage_capacity, &spec->storage_capacity, false);
    default_bool(&spec->has_requires_republish, &spec->requires_republish, false);
    default_bool(&spec->has_se_linux_mount, &spec->se_linux_mount, false);
    strategy_default_text(&spec->fs_group_policy, "ReadWriteOnceWithFSType", arena);
    if (spec->n_volume_lifecycle_modes == 0) {
        spec->volume_lifecycle_modes = arena_calloc(arena, 1, sizeof(char *));
        spec->volume_lifecycle_modes[spec->n_volume_lifecycle_modes++] =
            arena_strdup(arena, "Persistent");
    }
}

static void check_driver_name(struct validation *v, const struct field_path *path, const char *name)
{
    if (is_empty(name)) {
        field_required(v, path, NULL);
        return;
    }
    if (strlen(name) > DRIVER_NAME_MAX_BYTES)
        field_too_long(v, path, DRIVER_NAME_MAX_BYTES);
    field_check_name_lowered(v, path, name, name_rule_dns1123_subdomain);
}

static void check_driver_spec(struct validation *v, const Storage__CSIDriverSpec *spec)
{
    static const char *const modes[] = {"Ephemeral", "Persistent", NULL};
    static const char *const policies[] = {"ReadWriteOnceWithFSType", "File", "None", NULL};
    const struct field_path *path = FIELD(NULL, "spec");
    for (size_t i = 0; i < spec->n_volume_lifecycle_modes; i++) {
        if (!is_one_of(spec->volume_lifecycle_modes[i], modes))
            field_not_supported(v, FIELD(path, "volumeLifecycleModes"),
                                spec->volume_lifecycle_modes[i], modes);
    }
    if (!is_one_of(spec->fs_group_policy, policies))
        field_not_supported(v, FIELD(path, "fsGroupPolicy"), spec->fs_group_policy, policies);
    struct text_map audiences = {.arena = v->scratch};
    for (size_t i = 0; i < spec->n_token_requests; i++) {
        const struct field_path *at = FIELD_AT(FIELD(path, "tokenRequests"), i);
        const Storage__TokenRequest *request = spec->token_requests[i];
        if (!text_map_add(&audiences, or_empty(request->audience), i))
            field_duplicate(v, FIELD(at, "audience"), request->audience);
        if (request->has_expiration_seconds && request->expiration_seconds < 600)
            field_invalid_number(v, FIELD(at, "expirationSeconds"), request->expiration_seconds,
                                 "may not specify a duration less than 10 minutes");
    }
}

static bool same_lifecycle_modes(const Storage__CSIDriverSpec *a, const Storage__CSIDriverSpec *b)
{
    bool is_same = a->n_volume_lifecycle_modes == b->n_volume_lifecycle_modes;
    for (size_t i = 0; is_same && i < a->n_volume_lifecycle_modes; i++)
        is_same = text_eq(a->volume_lifecycle_modes[i], b->volume_lifecycle_modes[i]);
    return is_same;
}

static void validate_driver(const struct strategy_context *context, const ProtobufCMessage *object,
                            const ProtobufCMessage *old_object, struct field_errors *errors)
{
    const Storage__CSIDriver *driver = (const Storage__CSIDriver *)object;
    const Storage__CSIDriver *old = (const Storage__CSIDriver *)old_object;
    const struct field_path *spec = FIELD(NULL, "spec");
    struct validation v = strategy_validation(context, errors);
    if (!old) {
        meta_validate(&v, driver->metadata, META_CLUSTER, name_rule_dns1123_subdomain);
        check_driver_name(&v, FIELD(FIELD(NULL, "metadata"), "name"), driver->metadata->name);
    } else {
        meta_validate_update(&v, driver->metadata, old->metadata);
        if (old->spec && driver->spec->attach_required != old->spec->attach_required)
            field_invalid_raw(&v, FIELD(spec, "attachedRequired"),
                              driver->spec->attach_required ? "true" : "false",
                              "field is immutable");
        if (old->spec && !same_lifecycle_modes(driver->spec, old->spec))
            field_invalid_list(&v, FIELD(spec, "volumeLifecycleModes"),
                               driver->spec->volume_lifecycle_modes,
                               driver->spec->n_volume_lifecycle_modes, "field is immutable");
    }
    check_driver_spec(&v, driver->spec);
}

const struct strategy strategy_csi_driver = {
    .set_defaults = default_driver,
    .validate = validate_driver,
    .requires_resource_version = true,
};

/* --- CSINode --- */

static const Storage__CSINodeDriver *find_driver(const Storage__CSINode *node, const char *name)
{
    for (size_t i = 0; node->spec && i < node->spec->n_drivers; i++) {
        if (text_eq(node->spec->drivers[i]->name, name))
            return node->spec->drivers[i];
    }
    return NULL;
}

/* How many volumes fit may change, nothing else. */
static bool is_same_driver(const Storage__CSINodeDriver *a, const Storage__CSINodeDriver *b)
{
    Storage__CSINodeDriver left = *a, right = *b;
    left.allocatable = right.allocatable = NULL;
    return kube_message_eq(&left.base, &right.base);
}

static void check_node_driver(struct validation *v, const struct field_path *path,
                              const Storage__CSINodeDriver *driver)
{
    check_driver_name(v, FIELD(path, "name"), driver->name);
    if (is_empty(driver->node_id))
        field_required(v, FIELD(path, "nodeID"), NULL);
    else if (strlen(driver->node_id) > NODE_ID_MAX_BYTES)
        field_invalid(v, FIELD(path, "nodeID"), driver->node_id, "must be 256 characters or less");
    if (driver->allocatable && driver->allocatable->has_count && driver->allocatable->count < 0)
        field_invalid_number(v, FIELD(FIELD(path, "allocatable"), "count"),
                             driver->allocatable->count, "must be greater than or equal to 0");
    for (size_t i = 0; i < driver->n_topology_keys; i++)
        field_check_name(v, FIELD(path, "topologyKeys"), driver->topology_keys[i],
                         name_rule_qualified);
}

static void validate_csi_node(const struct strategy_context *context,
                              const ProtobufCMessage *object, const ProtobufCMessage *old_object,
                              struct field_errors *errors)
{
    const Storage__CSINode *node = (const Storage__CSINode *)object;
    const Storage__CSINode *old = (const Storage__CSINode *)old_object;
    const struct field_path *path = FIELD(FIELD(NULL, "spec"), "drivers");
    struct validation v = strategy_validation(context, errors);
    if (old)
        meta_validate_update(&v, node->metadata, old->metadata);
    else
        meta_validate(&v, node->metadata, META_CLUSTER, name_rule_dns1123_subdomain);
    struct text_map names = {.arena = v.scratch};
    for (size_t i = 0; node->spec && i < node->spec->n_drivers; i++) {
        const Storage__CSINodeDriver *driver = node->spec->drivers[i];
        const struct field_path *at = FIELD_AT(path, i);
        check_node_driver(&v, at, driver);
        if (!text_map_add(&names, or_empty(driver->name), i))
            field_duplicate(&v, FIELD(at, "name"), driver->name);
        const Storage__CSINodeDriver *before = old ? find_driver(old, driver->name) : NULL;
        if (before && !is_same_driver(before, driver))
            field_invalid_message(&v, FIELD(NULL, "CSINodeDriver"), &driver->base,
                                  "field is immutable");
    }
}

const struct strategy strategy_csi_node = {
    .validate = validate_csi_node,
    .requires_resource_version = true,
};

/* --- VolumeAttachment --- */

static Meta__Status *prepare_attachment(const struct strategy_context *context,
                                        ProtobufCMessage *object)
{
    Storage__VolumeAttachment *attachment = (Storage__VolumeAttachment *)object;
    attachment->status = NEW_MESSAGE(context->arena, Storage__VolumeAttachmentStatus,
                                     storage__volume_attachment_status);
    attachment->status->has_attached = true; /* shown, also while it is false */
    return NULL;
}

static Meta__Status *update_attachment(const struct strategy_context *context,
                                       ProtobufCMessage *object, const ProtobufCMessage *old_object)
{
    Storage__VolumeAttachment *attachment = (Storage__VolumeAttachment *)object;
    const Storage__VolumeAttachment *old = (const Storage__VolumeAttachment *)old_object;
    if (strategy_is_through(context, "status")) {
        attachment->spec = old->spec;
        strategy_keep_meta(attachment->metadata, old->metadata);
    } else {
        attachment->status = old->status;
    }
    return NULL;
}

static void validate_attachment(const struct strategy_context *context,
                                const ProtobufCMessage *object, const ProtobufCMessage *old_object,
                                struct field_errors *errors)
{
    const Storage__VolumeAttachment *attachment = (const Storage__VolumeAttachment *)object;
    const Storage__VolumeAttachment *old = (const Storage__VolumeAttachment *)old_object;
    static const Storage__VolumeAttachmentSpec empty = STORAGE__VOLUME_ATTACHMENT_SPEC__INIT;
    const Storage__VolumeAttachmentSpec *spec = attachment->spec ? attachment->spec : &empty;
    const struct field_path *path = FIELD(NULL, "spec");
    struct validation v = strategy_validation(context, errors);
    if (old) {
        meta_validate_update(&v, attachment->metadata, old->metadata);
        if (!strategy_same(attachment->spec ? &attachment->spec->base : NULL,
                           old->spec ? &old->spec->base : NULL))
            field_invalid_message(&v, path, &spec->base, "field is immutable");
        return;
    }
    meta_validate(&v, attachment->metadata, META_CLUSTER, name_rule_dns1123_subdomain);
    check_driver_name(&v, FIELD(path, "attacher"), spec->attacher);
    field_check_present(&v, FIELD(path, "nodeName"), spec->node_name);
    bool has_name = spec->source && spec->source->persistent_volume_name;
    bool has_inline = spec->source && spec->source->inline_volume_spec;
    if (!has_name && !has_inline)
        field_required(&v, FIELD(path, "source"),
                       "must specify exactly one of inlineVolumeSpec and persistentVolumeName");
    if (has_name && has_inline)
        field_forbidden(&v, FIELD(path, "source"),
                        "must specify exactly one of inlineVolumeSpec and persistentVolumeName");
    if (has_name && is_empty(spec->source->persistent_volume_name))
        field_required(&v, FIELD(FIELD(path, "source"), "persistentVolumeName"),
                       "must specify non empty persistentVolumeName");
}

const struct strategy strategy_volume_attachment = {
    .prepare_create = prepare_attachment,
    .prepare_update = update_attachment,
    .validate = validate_attachment,
    .requires_resource_version = true,
};
