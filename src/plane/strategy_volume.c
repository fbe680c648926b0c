/*
 * Persistent volumes: what may be said of one, and what stays as it was made.
 */
#include "plane/strategy_internal.h"

#include "kube/quantity.h"
#include "plane/strategy_volume.h"

const char *const volume_access_modes[] = {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce",
                                           "ReadWriteOncePod", NULL};
const char *const volume_modes[] = {"Block", "Filesystem", NULL};

void volume_check_access_modes(struct validation *v, const struct field_path *path,
                               char *const *modes, size_t count)
{
    bool has_single_pod = false, has_other = false;
    for (size_t i = 0; i < count; i++) {
        bool is_known = is_one_of(modes[i], volume_access_modes);
        if (!is_known)
            field_not_supported(v, path, modes[i], volume_access_modes);
        bool is_single_pod = text_eq(modes[i], "ReadWriteOncePod");
        has_single_pod = has_single_pod || is_single_pod;
        has_other = has_other || (is_known && !is_single_pod);
    }
    if (has_single_pod && has_other)
        field_forbidden(v, path, "may not use ReadWriteOncePod with other access modes");
}

void volume_check_positive(struct validation *v, const struct field_path *path,
                           const Meta__Quantity *quantity)
{
    static const Meta__Quantity zero = META__QUANTITY__INIT;
    if (quantity_compare(quantity, &zero) <= 0)
        field_invalid(v, path, quantity ? quantity->string : "", "must be greater than zero");
}

/* --- defaults --- */

static void default_source(Core__PersistentVolumeSource *source, struct arena *arena)
{
    if (source->host_path && !source->host_path->type)
        source->host_path->type = arena_strdup(arena, "");
    if (source->iscsi)
        strategy_default_text(&source->iscsi->iscsi_interface, "default", arena);
}

static void set_phase(Core__PersistentVolume *volume, const char *phase,
                      const struct strategy_context *context)
{
    Core__PersistentVolumeStatus *status =
        NEW_MESSAGE(context->arena, Core__PersistentVolumeStatus, core__persistent_volume_status);
    status->phase = arena_strdup(context->arena, phase);
    status->last_phase_transition_time = object_time(context->now_wall_ns, context->arena);
    volume->status = status;
}

static void set_defaults(ProtobufCMessage *object, struct arena *arena)
{
    Core__PersistentVolume *volume = (Core__PersistentVolume *)object;
    if (!volume->spec)
        volume->spec = NEW_MESSAGE(arena, Core__PersistentVolumeSpec, core__persistent_volume_spec);
    Core__PersistentVolumeSpec *spec = volume->spec;
    strategy_default_text(&spec->persistent_volume_reclaim_policy, "Retain", arena);
    if (!spec->volume_mode)
        spec->volume_mode = arena_strdup(arena, "Filesystem");
    if (spec->persistent_volume_source)
        default_source(spec->persistent_volume_source, arena);
}

static Meta__Status *prepare_create(const struct strategy_context *context,
                                    ProtobufCMessage *object)
{
    set_phase((Core__PersistentVolume *)object, "Pending", context);
    return NULL;
}

static Meta__Status *prepare_update(const struct strategy_context *context,
                                    ProtobufCMessage *object, const ProtobufCMessage *old_object)
{
    Core__PersistentVolume *volume = (Core__PersistentVolume *)object;
    const Core__PersistentVolume *old = (const Core__PersistentVolume *)old_object;
    if (!strategy_is_through(context, "status")) {
        volume->status = old->status;
        return NULL;
    }
    volume->spec = old->spec;
    const char *phase = volume->status ? volume->status->phase : NULL;
    const char *before = old->status ? old->status->phase : NULL;
    if (volume->status && !text_eq(or_empty(phase), or_empty(before)))
        volume->status->last_phase_transition_time =
            object_time(context->now_wall_ns, context->arena);
    return NULL;
}

/* --- validation --- */

/* The name JSON gives to what sort of volume it is; NULL at the end. Only pointers follow the
 * header of the message. */
static const char *next_source(const Core__PersistentVolumeSource *source, unsigned *at,
                               struct arena *arena)
{
    const ProtobufCMessageDescriptor *type = source->base.descriptor;
    while (*at < type->n_fields) {
        const ProtobufCFieldDescriptor *field = &type->fields[(*at)++];
        const void *member;
        memcpy(&member, (const char *)source + field->offset, sizeof(member));
        if (member)
            return kube_json_name(field->name, arena);
    }
    return NULL;
}

static void check_known_sources(struct validation *v, const struct field_path *path,
                                const Core__PersistentVolumeSource *source)
{
    if (source->host_path) {
        field_check_present(v, FIELD(FIELD(path, "hostPath"), "path"), source->host_path->path);
        field_check_no_backsteps(v, FIELD(FIELD(path, "hostPath"), "path"),
                                 or_empty(source->host_path->path));
    }
    if (source->nfs) {
        field_check_present(v, FIELD(FIELD(path, "nfs"), "server"), source->nfs->server);
        field_check_present(v, FIELD(FIELD(path, "nfs"), "path"), source->nfs->path);
    }
    if (source->local)
        field_check_present(v, FIELD(FIELD(path, "local"), "path"), source->local->path);
    if (source->csi) {
        field_check_present(v, FIELD(FIELD(path, "csi"), "driver"), source->csi->driver);
        field_check_present(v, FIELD(FIELD(path, "csi"), "volumeHandle"),
                            source->csi->volume_handle);
    }
}

static void check_source(struct validation *v, const struct field_path *path,
                         const Core__PersistentVolumeSpec *spec)
{
    const Core__PersistentVolumeSource *source = spec->persistent_volume_source;
    unsigned at = 0;
    if (!source || !next_source(source, &at, v->scratch)) {
        field_required(v, path, "must specify a volume type");
        return;
    }
    for (const char *more; (more = next_source(source, &at, v->scratch));)
        field_forbidden(v, FIELD(path, more), "may not specify more than 1 volume type");
    check_known_sources(v, path, source);
    if (source->local && !spec->node_affinity)
        field_required(v, FIELD(path, "nodeAffinity"), "Local volume requires node affinity");
    if (spec->node_affinity && !spec->node_affinity->required)
        field_required(v, FIELD(FIELD(path, "nodeAffinity"), "required"),
                       "must specify required node constraints");
    if (source->host_path && text_eq(source->host_path->path, "/") &&
        text_eq(spec->persistent_volume_reclaim_policy, "Recycle"))
        field_forbidden(v, FIELD(path, "persistentVolumeReclaimPolicy"),
                        "may not be 'recycle' for a hostPath mount of '/'");
}

static void check_capacity(struct validation *v, const struct field_path *path,
                           const Core__PersistentVolumeSpec *spec)
{
    static const char *const supported[] = {"storage", NULL};
    const struct field_path *capacity = FIELD(path, "capacity");
    if (spec->n_capacity == 0)
        field_required(v, capacity, NULL);
    for (size_t i = 0; i < spec->n_capacity; i++) {
        const char *name = or_empty(spec->capacity[i]->key);
        if (!is_one_of(name, supported))
            field_not_supported(v, capacity, name, supported);
        volume_check_positive(v, FIELD_KEY(capacity, name), spec->capacity[i]->value);
    }
}

static void check_spec(struct validation *v, const Core__PersistentVolumeSpec *spec)
{
    static const char *const policies[] = {"Delete", "Recycle", "Retain", NULL};
    const struct field_path *path = FIELD(NULL, "spec");
    if (spec->n_access_modes == 0)
        field_required(v, FIELD(path, "accessModes"), NULL);
    volume_check_access_modes(v, FIELD(path, "accessModes"), spec->access_modes,
                              spec->n_access_modes);
    check_capacity(v, path, spec);
    if (!is_one_of(spec->persistent_volume_reclaim_policy, policies))
        field_not_supported(v, FIELD(path, "persistentVolumeReclaimPolicy"),
                            spec->persistent_volume_reclaim_policy, policies);
    check_source(v, path, spec);
    if (!is_empty(spec->storage_class_name))
        field_check_name(v, FIELD(path, "storageClassName"), spec->storage_class_name,
                         name_rule_dns1123_subdomain);
    if (!is_one_of(spec->volume_mode, volume_modes))
        field_not_supported(v, FIELD(path, "volumeMode"), spec->volume_mode, volume_modes);
}

static void check_change(struct validation *v, const Core__PersistentVolumeSpec *spec,
                         const Core__PersistentVolumeSpec *old)
{
    const Core__PersistentVolumeSource *source = spec->persistent_volume_source;
    const Core__PersistentVolumeSource *before = old->persistent_volume_source;
    if (!strategy_same(source ? &source->base : NULL, before ? &before->base : NULL))
        field_forbidden(v, FIELD(FIELD(NULL, "spec"), "persistentvolumesource"),
                        "spec.persistentvolumesource is immutable after creation");
    strategy_check_immutable_text(v, FIELD(NULL, "volumeMode"), spec->volume_mode,
                                  old->volume_mode);
    if (old->node_affinity && (!spec->node_affinity || !kube_message_eq(&spec->node_affinity->base,
                                                                        &old->node_affinity->base)))
        field_invalid_message(v, FIELD(NULL, "nodeAffinity"), &old->node_affinity->base,
                              "field is immutable, except for updating from beta label to GA");
}

static void validate(const struct strategy_context *context, const ProtobufCMessage *object,
                     const ProtobufCMessage *old_object, struct field_errors *errors)
{
    const Core__PersistentVolume *volume = (const Core__PersistentVolume *)object;
    const Core__PersistentVolume *old = (const Core__PersistentVolume *)old_object;
    struct validation v = strategy_validation(context, errors);
    if (old && strategy_is_through(context, "status")) {
        meta_validate_update(&v, volume->metadata, old->metadata);
        return;
    }
    if (old)
        meta_validate_new_finalizers(&v, volume->metadata, old->metadata);
    meta_validate(&v, volume->metadata, META_CLUSTER, name_rule_dns1123_subdomain);
    check_spec(&v, volume->spec);
    if (old && old->spec)
        check_change(&v, volume->spec, old->spec);
}

const struct strategy strategy_persistent_volume = {
    .set_defaults = set_defaults,
    .prepare_create = prepare_create,
    .prepare_update = prepare_update,
    .validate = validate,
    .returns_deleted = true,
};
