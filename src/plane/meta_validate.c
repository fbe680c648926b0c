#include "plane/meta_validate.h"

#include "plane/object_meta.h"

#include "base/buf.h"

/* apimachinery/pkg/api/validation: TotalAnnotationSizeLimitB. */
#define ANNOTATIONS_MAX_BYTES (256 * KiB)
/* RFC 1035; upstream's DNS1035LabelMaxLength. */
#define DNS1035_LABEL_MAX_BYTES 63
#define LIST_TEXT_MAX_BYTES (4 * KiB)

#define DNS1035_LABEL_FAULT                                                                        \
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "   \
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123'," \
    " regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_lower_or_digit(char c)
{
    return is_lower(c) || (c >= '0' && c <= '9');
}

static void add_fault(struct name_faults *faults, const char *message)
{
    ASSERT(faults->count < NAME_FAULTS_MAX);
    faults->messages[faults->count++] = message;
}

void name_rule_dns1035_label(struct str name, struct name_faults *faults)
{
    if (name.len > DNS1035_LABEL_MAX_BYTES)
        add_fault(faults, "must be no more than 63 bytes");
    bool is_label =
        name.len > 0 && is_lower(name.ptr[0]) && is_lower_or_digit(name.ptr[name.len - 1]);
    for (size_t i = 0; i < name.len && is_label; i++)
        is_label = is_lower_or_digit(name.ptr[i]) || name.ptr[i] == '-';
    if (!is_label)
        add_fault(faults, DNS1035_LABEL_FAULT);
}

void name_rule_path_segment(struct str name, struct name_faults *faults)
{
    if (str_eq_c(name, "."))
        add_fault(faults, "may not be '.'");
    if (str_eq_c(name, ".."))
        add_fault(faults, "may not be '..'");
    if (str_find(name, '/') < name.len)
        add_fault(faults, "may not contain '/'");
    if (str_find(name, '%') < name.len)
        add_fault(faults, "may not contain '%'");
}

/* As upstream: what ends in a dash is judged with its last two bytes replaced by a letter. */
static const char *without_trailing_dash(struct validation *v, const char *prefix)
{
    size_t len = strlen(prefix);
    if (len < 2 || prefix[len - 1] != '-')
        return prefix;
    char *masked = arena_strndup(v->scratch, prefix, len - 1);
    masked[len - 2] = 'a';
    return masked;
}

static void check_generate_name(struct validation *v, const struct field_path *path,
                                const char *prefix, name_rule *rule)
{
    struct name_faults faults = {.count = 0};
    rule(str_from(without_trailing_dash(v, prefix)), &faults);
    for (size_t i = 0; i < faults.count; i++)
        field_invalid(v, path, prefix, faults.messages[i]);
}

static void check_names(struct validation *v, const Meta__ObjectMeta *meta, enum meta_scope scope,
                        name_rule *rule)
{
    const struct field_path *path = FIELD(NULL, "metadata");
    if (!is_empty(meta->generate_name))
        check_generate_name(v, FIELD(path, "generateName"), meta->generate_name, rule);
    if (is_empty(meta->name))
        field_required(v, FIELD(path, "name"), "name or generateName is required");
    else
        field_check_name(v, FIELD(path, "name"), meta->name, rule);
    if (scope == META_CLUSTER) {
        if (!is_empty(meta->namespace_))
            field_forbidden(v, FIELD(path, "namespace"), "not allowed on this type");
    } else if (is_empty(meta->namespace_)) {
        field_required(v, FIELD(path, "namespace"), NULL);
    } else {
        field_check_name(v, FIELD(path, "namespace"), meta->namespace_, name_rule_dns1123_label);
    }
}

static void check_labels(struct validation *v, const Meta__ObjectMeta *meta)
{
    const struct field_path *labels = FIELD(FIELD(NULL, "metadata"), "labels");
    for (size_t i = 0; i < meta->n_labels; i++) {
        field_check_name(v, labels, meta->labels[i]->key, name_rule_qualified);
        field_check_name(v, labels, meta->labels[i]->value, name_rule_label_value);
    }
}

static void check_annotations(struct validation *v, const Meta__ObjectMeta *meta)
{
    const struct field_path *annotations = FIELD(FIELD(NULL, "metadata"), "annotations");
    size_t total = 0;
    for (size_t i = 0; i < meta->n_annotations; i++) {
        const char *key = or_empty(meta->annotations[i]->key);
        field_check_name_lowered(v, annotations, key, name_rule_qualified);
        total += strlen(key) + strlen(or_empty(meta->annotations[i]->value));
    }
    if (total > ANNOTATIONS_MAX_BYTES)
        field_too_long(v, annotations, ANNOTATIONS_MAX_BYTES);
}

static void check_owner(struct validation *v, const struct field_path *path,
                        const Meta__OwnerReference *owner)
{
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
}

static void check_owners(struct validation *v, const Meta__ObjectMeta *meta)
{
    const struct field_path *path = FIELD(FIELD(NULL, "metadata"), "ownerReferences");
    const char *controller = NULL;
    for (size_t i = 0; i < meta->n_owner_references; i++) {
        const Meta__OwnerReference *owner = meta->owner_references[i];
        check_owner(v, path, owner);
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

static void check_finalizers(struct validation *v, const Meta__ObjectMeta *meta)
{
    static const char *const standard[] = {"kubernetes", "orphan", "foregroundDeletion", NULL};
    const struct field_path *path = FIELD(FIELD(NULL, "metadata"), "finalizers");
    for (size_t i = 0; i < meta->n_finalizers; i++)
        field_check_name(v, path, meta->finalizers[i], name_rule_qualified);
    if (object_has_finalizer(meta, "orphan") && object_has_finalizer(meta, "foregroundDeletion"))
        field_invalid_list(v, path, meta->finalizers, meta->n_finalizers,
                           "finalizer orphan and foregroundDeletion cannot be both set");
    for (size_t i = 0; i < meta->n_finalizers; i++) {
        if (!strchr(meta->finalizers[i], '/') && !is_one_of(meta->finalizers[i], standard))
            field_invalid(v, FIELD_AT(path, i), meta->finalizers[i],
                          "name is neither a standard finalizer name nor is it fully qualified");
    }
}

void meta_validate(struct validation *v, const Meta__ObjectMeta *meta, enum meta_scope scope,
                   name_rule *rule)
{
    check_names(v, meta, scope, rule);
    check_labels(v, meta);
    check_annotations(v, meta);
    check_owners(v, meta);
    check_finalizers(v, meta);
}

void meta_validate_new_finalizers(struct validation *v, const Meta__ObjectMeta *meta,
                                  const Meta__ObjectMeta *old)
{
    if (!old->deletion_timestamp)
        return;
    AUTO(buf) struct buf added;
    buf_init(&added, LIST_TEXT_MAX_BYTES);
    for (size_t i = 0; i < meta->n_finalizers; i++) {
        if (!object_has_finalizer(old, meta->finalizers[i]))
            buf_printf(&added, "%s\"%s\"", added.len > 0 ? ", " : "", meta->finalizers[i]);
    }
    if (added.len > 0 || added.overflowed)
        field_forbidden(
            v, FIELD(FIELD(NULL, "metadata"), "finalizers"),
            arena_printf(v->scratch,
                         "no new finalizers can be added if the object is being deleted, found new "
                         "finalizers []string{%s}",
                         buf_text(&added)));
}

void meta_validate_update(struct validation *v, const Meta__ObjectMeta *meta,
                          const Meta__ObjectMeta *old)
{
    meta_validate_new_finalizers(v, meta, old);
    check_labels(v, meta);
    check_annotations(v, meta);
    check_owners(v, meta);
    check_finalizers(v, meta);
}
