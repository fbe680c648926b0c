/*
 * Claims on persistent volumes. Their spec stays as it was made but for three things: the volume
 * they are bound to may be filled in once, and a bound claim may ask for more storage or for other
 * volume attributes.
 */
#include "plane/strategy_internal.h"

#include "kube/quantity.h"
#include "plane/strategy_volume.h"

#define STORAGE "storage"

static Core__VolumeResourceRequirements__RequestsEntry *storage_request(
    const Core__PersistentVolumeClaimSpec *spec)
{
    for (size_t i = 0; spec->resources && i < spec->resources->n_requests; i++) {
        if (text_eq(spec->resources->requests[i]->key, STORAGE))
            return spec->resources->requests[i];
    }
    return NULL;
}

/* dataSource and dataSourceRef say the same, as long as that is in this namespace. */
static void default_data_source(Core__PersistentVolumeClaimSpec *spec, struct arena *arena)
{
    if (spec->data_source && !spec->data_source_ref) {
        Core__TypedObjectReference *ref =
            NEW_MESSAGE(arena, Core__TypedObjectReference, core__typed_object_reference);
        ref->api_group = spec->data_source->api_group;
        ref->kind = spec->data_source->kind;
        ref->name = spec->data_source->name;
        spec->data_source_ref = ref;
    } else if (spec->data_source_ref && !spec->data_source &&
               is_empty(spec->data_source_ref->namespace_)) {
        Core__TypedLocalObjectReference *source =
            NEW_MESSAGE(arena, Core__TypedLocalObjectReference, core__typed_local_object_reference);
        source->api_group = spec->data_source_ref->api_group;
        source->kind = spec->data_source_ref->kind;
        source->name = spec->data_source_ref->name;
        spec->data_source = source;
    }
}

static void set_defaults(ProtobufCMessage *object, struct arena *arena)
{
    Core__PersistentVolumeClaim *claim = (Core__PersistentVolumeClaim *)object;
    if (!claim->spec)
        claim->spec =
            NEW_MESSAGE(arena, Core__PersistentVolumeClaimSpec, core__persistent_volume_claim_spec);
    if (!claim->spec->resources)
        claim->spec->resources = NEW_MESSAGE(arena, Core__VolumeResourceRequirements,
                                             core__volume_resource_requirements);
    if (!claim->spec->volume_mode)
        claim->spec->volume_mode = arena_strdup(arena, "Filesystem");
    default_data_source(claim->spec, arena);
}

static Meta__Status *prepare_create(const struct strategy_context *context,
                                    ProtobufCMessage *object)
{
    Core__PersistentVolumeClaim *claim = (Core__PersistentVolumeClaim *)object;
    claim->status = NEW_MESSAGE(context->arena, Core__PersistentVolumeClaimStatus,
                                core__persistent_volume_claim_status);
    claim->status->phase = arena_strdup(context->arena, "Pending");
    return NULL;
}

static Meta__Status *prepare_update(const struct strategy_context *context,
                                    ProtobufCMessage *object, const ProtobufCMessage *old_object)
{
    Core__PersistentVolumeClaim *claim = (Core__PersistentVolumeClaim *)object;
    const Core__PersistentVolumeClaim *old = (const Core__PersistentVolumeClaim *)old_object;
    if (strategy_is_through(context, "status"))
        claim->spec = old->spec;
    else
        claim->status = old->status;
    return NULL;
}

/* --- validation --- */

static void check_data_source(struct validation *v, const struct field_path *path,
                              const Core__TypedObjectReference *source)
{
    field_check_present(v, FIELD(path, "name"), source->name);
    field_check_present(v, FIELD(path, "kind"), source->kind);
    if (is_empty(source->api_group) && !text_eq(source->kind, "PersistentVolumeClaim"))
        field_invalid(v, path, source->kind,
                      "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
    if (!is_empty(source->api_group))
        field_check_name(v, FIELD(path, "apiGroup"), source->api_group,
                         name_rule_dns1123_subdomain);
}

static void check_spec(struct validation *v, const Core__PersistentVolumeClaimSpec *spec)
{
    const struct field_path *path = FIELD(NULL, "spec");
    const struct field_path *storage = FIELD_KEY(FIELD(path, "resources"), STORAGE);
    if (spec->n_access_modes == 0)
        field_required(v, FIELD(path, "accessModes"), "at least 1 access mode is required");
    volume_check_access_modes(v, FIELD(path, "accessModes"), spec->access_modes,
                              spec->n_access_modes);
    const Core__VolumeResourceRequirements__RequestsEntry *request = storage_request(spec);
    if (!request)
        field_required(v, storage, NULL);
    else
        volume_check_positive(v, storage, request->value);
    if (!is_empty(spec->storage_class_name))
        field_check_name(v, FIELD(path, "storageClassName"), spec->storage_class_name,
                         name_rule_dns1123_subdomain);
    if (!is_one_of(spec->volume_mode, volume_modes))
        field_not_supported(v, FIELD(path, "volumeMode"), spec->volume_mode, volume_modes);
    if (spec->data_source_ref)
        check_data_source(v, FIELD(path, "dataSourceRef"), spec->data_source_ref);
}

static const Meta__Quantity *bound_capacity(const Core__PersistentVolumeClaim *claim)
{
    for (size_t i = 0; claim->status && i < claim->status->n_capacity; i++) {
        if (text_eq(claim->status->capacity[i]->key, STORAGE))
            return claim->status->capacity[i]->value;
    }
    return NULL;
}

/* @claim's spec with what may change taken from @old. */
static const ProtobufCMessage *comparable_spec(const Core__PersistentVolumeClaim *claim,
                                               const Core__PersistentVolumeClaim *old,
                                               struct arena *arena)
{
    Core__PersistentVolumeClaimSpec *spec =
        (Core__PersistentVolumeClaimSpec *)kube_message_dup(&claim->spec->base, arena);
    if (is_empty(old->spec->volume_name))
        spec->volume_name = NULL;
    if (!old->spec->storage_class_name)
        spec->storage_class_name = NULL;
    if (!old->status || !text_eq(old->status->phase, "Bound"))
        return &spec->base;
    Core__VolumeResourceRequirements__RequestsEntry *request = storage_request(spec);
    const Core__VolumeResourceRequirements__RequestsEntry *before = storage_request(old->spec);
    if (request && before)
        request->value = before->value;
    if (spec->volume_attributes_class_name)
        spec->volume_attributes_class_name = old->spec->volume_attributes_class_name;
    return &spec->base;
}

static void check_change(struct validation *v, const Core__PersistentVolumeClaim *claim,
                         const Core__PersistentVolumeClaim *old)
{
    if (!kube_message_eq(comparable_spec(claim, old, v->scratch),
                         comparable_spec(old, old, v->scratch)))
        field_forbidden(v, FIELD(NULL, "spec"),
                        "spec is immutable after creation except resources.requests and "
                        "volumeAttributesClassName for bound claims");
    const Core__VolumeResourceRequirements__RequestsEntry *request = storage_request(claim->spec);
    const Core__VolumeResourceRequirements__RequestsEntry *before = storage_request(old->spec);
    if (request && before && quantity_compare(request->value, before->value) < 0 &&
        quantity_compare(request->value, bound_capacity(old)) <= 0)
        field_forbidden(v,
                        FIELD(FIELD(FIELD(FIELD(NULL, "spec"), "resources"), "requests"), STORAGE),
                        "field can not be less than status.capacity");
    strategy_check_immutable_text(v, FIELD(NULL, "volumeMode"), claim->spec->volume_mode,
                                  old->spec->volume_mode);
}

static void validate(const struct strategy_context *context, const ProtobufCMessage *object,
                     const ProtobufCMessage *old_object, struct field_errors *errors)
{
    const Core__PersistentVolumeClaim *claim = (const Core__PersistentVolumeClaim *)object;
    const Core__PersistentVolumeClaim *old = (const Core__PersistentVolumeClaim *)old_object;
    struct validation v = strategy_validation(context, errors);
    if (old && strategy_is_through(context, "status")) {
        meta_validate_update(&v, claim->metadata, old->metadata);
        return;
    }
    if (old)
        meta_validate_new_finalizers(&v, claim->metadata, old->metadata);
    meta_validate(&v, claim->metadata, META_NAMESPACED, name_rule_dns1123_subdomain);
    check_spec(&v, claim->spec);
    if (old && old->spec)
        check_change(&v, claim, old);
}

const struct strategy strategy_persistent_volume_claim = {
    .set_defaults = set_defaults,
    .prepare_create = prepare_create,
    .prepare_update = prepare_update,
    .validate = validate,
    .returns_deleted = true,
};
