/*
 * A namespace that is deleted stays, as Terminating, until its spec.finalizers are empty: whoever
 * has emptied it of objects says so through its finalize subresource, and with the last finalizer
 * the namespace goes.
 */
#include "plane/strategy_internal.h"

#define KUBERNETES_FINALIZER "kubernetes"
#define NAME_LABEL "kubernetes.io/metadata.name"

/* Every namespace can be selected by its name. */
static void label_with_name(Meta__ObjectMeta *meta, struct arena *arena)
{
    for (size_t i = 0; i < meta->n_labels; i++) {
        if (text_eq(meta->labels[i]->key, NAME_LABEL)) {
            meta->labels[i]->value = meta->name;
            return;
        }
    }
    Meta__ObjectMeta__LabelsEntry **labels =
        arena_calloc(arena, meta->n_labels + 1, sizeof(void *));
    for (size_t i = 0; i < meta->n_labels; i++)
        labels[i] = meta->labels[i];
    Meta__ObjectMeta__LabelsEntry *label =
        NEW_MESSAGE(arena, Meta__ObjectMeta__LabelsEntry, meta__object_meta__labels_entry);
    label->key = arena_strdup(arena, NAME_LABEL);
    label->value = meta->name;
    labels[meta->n_labels++] = label;
    meta->labels = labels;
}

static void set_phase(Core__Namespace *namespace, const char *phase, struct arena *arena)
{
    if (!namespace->status)
    namespace->status = NEW_MESSAGE(arena, Core__NamespaceStatus, core__namespace_status);
    namespace->status->phase = arena_strdup(arena, phase);
}

static void add_finalizer(Core__NamespaceSpec *spec, struct arena *arena)
{
    char **finalizers = arena_calloc(arena, spec->n_finalizers + 1, sizeof(*finalizers));
    for (size_t i = 0; i < spec->n_finalizers; i++) {
        if (text_eq(spec->finalizers[i], KUBERNETES_FINALIZER))
            return;
        finalizers[i] = spec->finalizers[i];
    }
    finalizers[spec->n_finalizers++] = arena_strdup(arena, KUBERNETES_FINALIZER);
    spec->finalizers = finalizers;
}

static Meta__Status *prepare_create(const struct strategy_context *context,
                                    ProtobufCMessage *object)
{
    Core__Namespace *namespace = (Core__Namespace *)object;
    namespace->status = NULL;
    set_phase(namespace, "Active", context->arena);
    if (!namespace->spec)
    namespace->spec = NEW_MESSAGE(context->arena, Core__NamespaceSpec, core__namespace_spec);
    add_finalizer(namespace->spec, context->arena);
    label_with_name(namespace->metadata, context->arena);
    return NULL;
}

static Meta__Status *prepare_update(const struct strategy_context *context,
                                    ProtobufCMessage *object, const ProtobufCMessage *old_object)
{
    Core__Namespace *namespace = (Core__Namespace *)object;
    const Core__Namespace *old = (const Core__Namespace *)old_object;
    if (!strategy_is_through(context, "finalize"))
    namespace->spec = old->spec;
    if (!strategy_is_through(context, "status"))
    namespace->status = old->status;
    else if (!namespace->status || is_empty(namespace->status->phase))
        set_phase(namespace, "Active", context->arena);
    label_with_name(namespace->metadata, context->arena);
    return NULL;
}

static void check_spec_finalizers(struct validation *v, const Core__Namespace *namespace)
{
    static const char *const standard[] = {KUBERNETES_FINALIZER, "orphan", "foregroundDeletion",
                                           NULL};
    const struct field_path *path = FIELD(FIELD(NULL, "spec"), "finalizers");
    for (size_t i = 0; namespace->spec && i < namespace->spec->n_finalizers; i++) {
        const char *finalizer = namespace->spec->finalizers[i];
        field_check_name(v, path, finalizer, name_rule_qualified);
        if (!strchr(finalizer, '/') && !is_one_of(finalizer, standard))
            field_invalid(v, path, finalizer,
                          "name is neither a standard finalizer name nor is it fully qualified");
    }
}

static void check_phase(struct validation *v, const Core__Namespace *namespace)
{
    const struct field_path *path = FIELD(FIELD(NULL, "status"), "Phase");
    const char *phase = namespace->status ? namespace->status->phase : NULL;
    if (!namespace->metadata->deletion_timestamp && !text_eq(phase, "Active"))
        field_invalid(v, path, phase, "may only be 'Active' if `deletionTimestamp` is empty");
    if (namespace->metadata->deletion_timestamp && !text_eq(phase, "Terminating"))
        field_invalid(v, path, phase,
                      "may only be 'Terminating' if `deletionTimestamp` is not empty");
}

static void validate(const struct strategy_context *context, const ProtobufCMessage *object,
                     const ProtobufCMessage *old, struct field_errors *errors)
{
    const Core__Namespace *namespace = (const Core__Namespace *)object;
    struct validation v = strategy_validation(context, errors);
    if (old)
        meta_validate_update(&v, namespace->metadata, kube_object_meta(old));
    else
        meta_validate(&v, namespace->metadata, META_CLUSTER, name_rule_dns1123_label);
    if (!old || strategy_is_through(context, "finalize"))
        check_spec_finalizers(&v, namespace);
    if (strategy_is_through(context, "status"))
        check_phase(&v, namespace);
}

static bool is_held(const ProtobufCMessage *object)
{
    const Core__Namespace *namespace = (const Core__Namespace *)object;
    return namespace->spec && namespace->spec->n_finalizers > 0;
}

static void on_marked(ProtobufCMessage *object, struct arena *arena)
{
    Core__Namespace *namespace = (Core__Namespace *)object;
    set_phase(namespace, "Terminating", arena);
    namespace->metadata->has_deletion_grace_period_seconds = false;
}

const struct strategy strategy_namespace = {
    .prepare_create = prepare_create,
    .prepare_update = prepare_update,
    .validate = validate,
    .is_held = is_held,
    .on_marked = on_marked,
};
