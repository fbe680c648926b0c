#include "kube/validation.h"

/* apimachinery/pkg/api/validation: TotalAnnotationSizeLimitB. */
#define ANNOTATIONS_MAX_BYTES (256 * KiB)

static void validate_owners(struct validation *v, const Meta__ObjectMeta *meta,
                            const struct field_path *path)
{
    const char *controller = NULL;
    for (size_t i = 0; i < meta->n_owner_references; i++) {
        const Meta__OwnerReference *owner = meta->owner_references[i];
        const char *api_version = or_empty(owner->api_version);
        if (is_empty(api_version) || text_has_suffix(api_version, "/"))
            field_invalid(v, FIELD(path, "apiVersion"), api_version, "version must not be empty");
        if (is_empty(owner->kind))
            field_invalid(v, FIELD(path, "kind"), owner->kind, "must not be empty");
        if (is_empty(owner->name))
            field_invalid(v, FIELD(path, "name"), owner->name, "must not be empty");
        if (is_empty(owner->uid))
            field_invalid(v, FIELD(path, "uid"), owner->uid, "must not be empty");
        if (text_eq(api_version, "v1") && text_eq(owner->kind, "Event"))
            field_invalid_message(v, path, &owner->base,
                                  "/v1, Kind=Event is disallowed from being an owner");
        if (!owner->has_controller || !owner->controller)
            continue;
        const char *name =
            arena_printf(v->scratch, "%s/%s", or_empty(owner->kind), or_empty(owner->name));
        if (controller)
            field_invalid_message(
                v, path, &owner->base,
                arena_printf(v->scratch,
                             "Only one reference can have Controller set to true. Found \"true\" "
                             "in references for %s and %s",
                             controller, name));
        else
            controller = name;
    }
}

static void validate_finalizers(struct validation *v, const Meta__ObjectMeta *meta,
                                const struct field_path *path)
{
    static const char *const standard[] = {"kubernetes", "orphan", "foregroundDeletion", NULL};
    bool orphan = false, foreground = false;
    for (size_t i = 0; i < meta->n_finalizers; i++) {
        const char *finalizer = meta->finalizers[i];
        field_check_name(v, path, finalizer, name_rule_qualified);
        orphan = orphan || text_eq(finalizer, "orphan");
        foreground = foreground || text_eq(finalizer, "foregroundDeletion");
    }
    if (orphan && foreground)
        field_invalid_list(v, path, meta->finalizers, meta->n_finalizers,
                           "finalizer orphan and foregroundDeletion cannot be both set");
    for (size_t i = 0; i < meta->n_finalizers; i++) {
        if (!strchr(meta->finalizers[i], '/') && !is_one_of(meta->finalizers[i], standard))
            field_invalid(v, FIELD_AT(path, i), meta->finalizers[i],
                          "name is neither a standard finalizer name nor is it fully qualified");
    }
}

static void validate_labels_and_annotations(struct validation *v, const Meta__ObjectMeta *meta,
                                            const struct field_path *path)
{
    const struct field_path *labels = FIELD(path, "labels");
    for (size_t i = 0; i < meta->n_labels; i++) {
        field_check_name(v, labels, meta->labels[i]->key, name_rule_qualified);
        field_check_name(v, labels, meta->labels[i]->value, name_rule_label_value);
    }
    const struct field_path *annotations = FIELD(path, "annotations");
    size_t total = 0;
    for (size_t i = 0; i < meta->n_annotations; i++) {
        const char *key = or_empty(meta->annotations[i]->key);
        field_check_name_lowered(v, annotations, key, name_rule_qualified);
        total += strlen(key) + strlen(or_empty(meta->annotations[i]->value));
    }
    if (total > ANNOTATIONS_MAX_BYTES)
        field_too_long(v, annotations, ANNOTATIONS_MAX_BYTES);
}

void validate_common_metadata(struct validation *v, const Meta__ObjectMeta *meta,
                              const struct field_path *path)
{
    validate_labels_and_annotations(v, meta, path);
    validate_owners(v, meta, FIELD(path, "ownerReferences"));
    validate_finalizers(v, meta, FIELD(path, "finalizers"));
}
