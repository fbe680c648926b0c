/*
 * Field selectors. Which fields a kind can be selected by is a short list upstream too, because the
 * server looks at nothing else; the lists here are its own, as are the words for other fields.
 */
#include "kube/selector.h"

#include "kube/codec_internal.h"

struct field_term {
    const char *path;
    const char *value;
    bool is_negated;
};

struct field_selector {
    struct field_term *terms; /* sorted as they were written */
    size_t count;
};

/* --- parsing --- */

static struct str unescaped_until(struct str text, char end)
{
    bool after_backslash = false;
    for (size_t i = 0; i < text.len; i++) {
        if (!after_backslash && text.ptr[i] == end)
            return (struct str){.ptr = text.ptr, .len = i};
        after_backslash = !after_backslash && text.ptr[i] == '\\';
    }
    return text;
}

static struct error *bad_escape(struct str escaped)
{
    const unsigned char *bytes = (const unsigned char *)escaped.ptr;
    size_t len = escaped.len ? doc_utf8_length(bytes, escaped.len) : 0;
    return error_new(ERROR_INVALID_ARGUMENT,
                     "invalid field selector: invalid escape sequence: \\%.*s", (int)len,
                     escaped.ptr);
}

static struct error *unescape(struct str text, struct arena *arena, const char **ret)
{
    char *value = arena_strndup(arena, text.ptr, text.len);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == ',' || text.ptr[i] == '=')
            /* Upstream prints the number of the character. */
            return error_new(ERROR_INVALID_ARGUMENT,
                             "invalid field selector: unescaped character in value: %d",
                             text.ptr[i]);
        if (text.ptr[i] == '\\') {
            struct str rest = {.ptr = text.ptr + i + 1, .len = text.len - i - 1};
            if (rest.len == 0 || !strchr("\\,=", rest.ptr[0]))
                return bad_escape(rest);
            i++;
        }
        value[len++] = text.ptr[i];
    }
    value[len] = '\0';
    *ret = value;
    return NULL;
}

/* Splits at the first operator; false when there is none. */
static bool split_term(struct str text, struct str *ret_path, struct str *ret_value,
                       bool *ret_is_negated)
{
    for (size_t i = 0; i < text.len; i++) {
        struct str rest = {.ptr = text.ptr + i, .len = text.len - i};
        bool is_negated = str_has_prefix(rest, "!=");
        size_t len = is_negated || str_has_prefix(rest, "==") ? 2 : 1;
        if (!is_negated && rest.ptr[0] != '=')
            continue;
        *ret_path = (struct str){.ptr = text.ptr, .len = i};
        *ret_value = (struct str){.ptr = rest.ptr + len, .len = rest.len - len};
        *ret_is_negated = is_negated;
        return true;
    }
    return false;
}

static int compare_parts(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    int order = memcmp(x->ptr, y->ptr, min_size(x->len, y->len));
    return order ? order : x->len < y->len ? -1 : x->len > y->len;
}

/* The parts between commas, without empty ones, sorted. */
static struct str *split_parts(struct str text, struct arena *arena, size_t *ret_count)
{
    size_t most = 1, count = 0;
    for (size_t i = 0; i < text.len; i++)
        most += text.ptr[i] == ',';
    struct str *parts = arena_calloc(arena, most, sizeof(*parts));
    while (text.len > 0) {
        struct str part = unescaped_until(text, ',');
        size_t used = min_size(part.len + 1, text.len);
        if (part.len > 0)
            parts[count++] = part;
        text = (struct str){.ptr = text.ptr + used, .len = text.len - used};
    }
    if (count > 1)
        qsort(parts, count, sizeof(*parts), compare_parts);
    *ret_count = count;
    return parts;
}

struct error *field_selector_parse(const char *text, struct arena *arena,
                                   const struct field_selector **ret)
{
    struct field_selector *selector = arena_alloc(arena, sizeof(*selector));
    const struct str *parts = split_parts(str_from(text), arena, &selector->count);
    selector->terms = arena_calloc(arena, selector->count, sizeof(*selector->terms));
    for (size_t i = 0; i < selector->count; i++) {
        struct field_term *term = &selector->terms[i];
        struct str path, value;
        if (!split_term(parts[i], &path, &value, &term->is_negated))
            return error_new(ERROR_INVALID_ARGUMENT,
                             "invalid selector: '%s'; can't understand '%.*s'", text,
                             STR_ARG(parts[i]));
        term->path = arena_strndup(arena, path.ptr, path.len);
        struct error *err = unescape(value, arena, &term->value);
        if (err)
            return err;
    }
    *ret = selector;
    return NULL;
}

/* --- which fields there are --- */

#define PATHS_MAX 14

struct kind_paths {
    const char *api_version;
    const char *kind;
    const char *paths[PATHS_MAX]; /* ended by NULL */
};

/* pkg/apis/<group>/v1/conversion.go of Kubernetes 1.36 */
static const struct kind_paths kind_paths[] = {
    {"v1",
     "Pod",
     {"metadata.name", "metadata.namespace", "spec.nodeName", "spec.restartPolicy",
      "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork", "status.phase",
      "status.podIP", "status.podIPs", "status.nominatedNodeName", "spec.host"}},
    {"v1", "Node", {"metadata.name", "spec.unschedulable"}},
    {"v1", "Namespace", {"status.phase", "metadata.name"}},
    {"v1", "Secret", {"type", "metadata.namespace", "metadata.name"}},
    {"v1", "Service", {"metadata.namespace", "metadata.name", "spec.clusterIP", "spec.type"}},
    {"v1",
     "Event",
     {"involvedObject.kind", "involvedObject.namespace", "involvedObject.name",
      "involvedObject.uid", "involvedObject.apiVersion", "involvedObject.resourceVersion",
      "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type",
      "metadata.namespace", "metadata.name"}},
    {"events.k8s.io/v1",
     "Event",
     {"reason", "regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid",
      "regarding.apiVersion", "regarding.resourceVersion", "regarding.fieldPath",
      "reportingController", "source", "type", "metadata.namespace", "metadata.name"}},
    {"certificates.k8s.io/v1", "CertificateSigningRequest", {"metadata.name", "spec.signerName"}},
    {"resource.k8s.io/v1", "ResourceSlice", {"metadata.name", "spec.nodeName", "spec.driver"}},
};

static const struct kind_paths default_paths = {"", "", {"metadata.name", "metadata.namespace"}};

static const struct kind_paths *paths_of(const struct kube_kind *kind)
{
    for (size_t i = 0; i < ARRAY_SIZE(kind_paths); i++) {
        if (text_eq(kind_paths[i].kind, kind->kind) &&
            text_eq(kind_paths[i].api_version, kind->api_version))
            return &kind_paths[i];
    }
    return &default_paths;
}

const char *const *field_selector_paths(const struct kube_kind *kind, size_t *ret_count)
{
    const struct kind_paths *row = paths_of(kind);
    size_t count = 0;
    while (count < PATHS_MAX && row->paths[count])
        count++;
    *ret_count = count;
    return row->paths;
}

static struct error *unsupported(const char *path, const struct kube_kind *kind)
{
    if (paths_of(kind) == &default_paths)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "\"%s\" is not a known field selector: only \"metadata.name\", "
                         "\"metadata.namespace\"",
                         path);
    if (text_eq(kind->kind, "ResourceSlice"))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "field label not supported for %s, Kind=ResourceSlice: %s",
                         kind->api_version, path);
    return error_new(ERROR_INVALID_ARGUMENT, "field label not supported: %s", path);
}

struct error *field_selector_check(const struct field_selector *selector,
                                   const struct kube_kind *kind)
{
    size_t count;
    const char *const *paths = field_selector_paths(kind, &count);
    for (size_t i = 0; i < selector->count; i++) {
        bool is_supported = false;
        for (size_t k = 0; k < count && !is_supported; k++)
            is_supported = text_eq(paths[k], selector->terms[i].path);
        if (!is_supported)
            return unsupported(selector->terms[i].path, kind);
    }
    return NULL;
}

/* --- matching --- */

bool field_selector_matches(const struct field_selector *selector, field_value_of *value_of,
                            void *ctx)
{
    for (size_t i = 0; i < selector->count; i++) {
        const struct field_term *term = &selector->terms[i];
        const char *value = value_of(ctx, term->path);
        if (text_eq(value ? value : "", term->value) == term->is_negated)
            return false;
    }
    return true;
}

/* The text or boolean at @path, by JSON names. What is absent has Go's zero value: "" or "false".
 */
static const char *value_at(const ProtobufCMessage *message, const char *path)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    struct str rest = str_from(path), name;
    while (str_split_next(&rest, '.', &name)) {
        const ProtobufCFieldDescriptor *field = codec_find_field(type, name);
        const void *member = NULL;
        if (!field || codec_is_list(field))
            break;
        if (message && codec_count(message, field) > 0)
            member = codec_member(message, field);
        if (field->type == PROTOBUF_C_TYPE_STRING && member)
            return codec_text_at(member);
        if (field->type == PROTOBUF_C_TYPE_BOOL)
            return member && !codec_is_zero(member, CODEC_STORE_BOOL) ? "true" : "false";
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            break;
        message = member ? codec_message_at(member) : NULL;
        type = field->descriptor;
    }
    return "";
}

struct object_of_kind {
    const struct kube_kind *kind;
    const ProtobufCMessage *object;
};

static const char *value_of_object(void *ctx, const char *path)
{
    const struct object_of_kind *of = ctx;
    if (text_eq(path, "spec.host"))
        path = "spec.nodeName"; /* what very old clients call it */
    if (!text_eq(path, "source"))
        return value_at(of->object, path);
    /* The component of an event is in one field or, newer, in the other. */
    bool is_core = text_eq(of->kind->group, "");
    const char *component =
        value_at(of->object, is_core ? "source.component" : "deprecatedSource.component");
    if (component[0])
        return component;
    return value_at(of->object, is_core ? "reportingComponent" : "reportingController");
}

bool field_selector_matches_object(const struct field_selector *selector,
                                   const struct kube_kind *kind, const ProtobufCMessage *object)
{
    struct object_of_kind of = {.kind = kind, .object = object};
    return field_selector_matches(selector, value_of_object, &of);
}

bool field_selector_is_empty(const struct field_selector *selector)
{
    return selector->count == 0;
}

const char *field_selector_exact(const struct field_selector *selector, const char *path)
{
    for (size_t i = 0; i < selector->count; i++) {
        const struct field_term *term = &selector->terms[i];
        if (!term->is_negated && text_eq(term->path, path))
            return term->value;
    }
    return NULL;
}

void field_selector_write(const struct field_selector *selector, struct buf *out)
{
    for (size_t i = 0; i < selector->count; i++) {
        const struct field_term *term = &selector->terms[i];
        buf_printf(out, "%s%s%s", i ? "," : "", term->path, term->is_negated ? "!=" : "=");
        for (const char *c = term->value; *c; c++) {
            if (*c == '\\' || *c == ',' || *c == '=')
                buf_add_char(out, '\\');
            buf_add_char(out, *c);
        }
    }
}
