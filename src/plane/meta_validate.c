#include "plane/meta_validate.h"

#include "plane/object_meta.h"

#include "base/buf.h"

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

void meta_validate(struct validation *v, const Meta__ObjectMeta *meta, enum meta_scope scope,
                   name_rule *rule)
{
    check_names(v, meta, scope, rule);
    validate_common_metadata(v, meta, FIELD(NULL, "metadata"));
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
    validate_common_metadata(v, meta, FIELD(NULL, "metadata"));
}
