/*
 * Which definitions a document has: from the kinds of the resources along all fields, by a list of
 * work, as types may refer to themselves.
 */
#include "kube/document.h"
#include "plane/openapi_internal.h"

#include "meta.pb-c.h"
#include "quantity.pb-c.h"
#include "runtime.pb-c.h"

/* There are some 400 types in all of Kubernetes' v1 groups; a program that has more must say so
 * here. */
#define TYPES_MAX 1024

static const struct name_row {
    const char *message, *name;
} name_rows[] = {
    {"meta.IntOrString", "io.k8s.apimachinery.pkg.util.intstr.IntOrString"},
    {"meta.Quantity", "io.k8s.apimachinery.pkg.api.resource.Quantity"},
    {"runtime.RawExtension", "io.k8s.apimachinery.pkg.runtime.RawExtension"},
};

const char *openapi_name(const ProtobufCMessageDescriptor *type, struct arena *arena)
{
    for (size_t i = 0; i < ARRAY_SIZE(name_rows); i++) {
        if (text_eq(type->name, name_rows[i].message))
            return name_rows[i].name;
    }
    if (text_eq(type->package_name, "meta"))
        return arena_printf(arena, "io.k8s.apimachinery.pkg.apis.meta.v1.%s", type->short_name);
    if (text_eq(type->package_name, "metrics"))
        return arena_printf(arena, "io.k8s.metrics.pkg.apis.metrics.v1beta1.%s", type->short_name);
    return arena_printf(arena, "io.k8s.api.%s.v1.%s", type->package_name, type->short_name);
}

bool openapi_is_text_list(const ProtobufCMessageDescriptor *message)
{
    struct kube_value_type type = kube_type_of_object(message);
    return type.shape == KUBE_SHAPE_LIST;
}

/* --- fields --- */

struct fields {
    struct openapi_field *items;
    size_t count, capacity;
    struct arena *arena;
};

static void add_field(struct fields *fields, const struct openapi_field *field)
{
    if (fields->count == fields->capacity) {
        size_t capacity = fields->capacity == 0 ? 16 : fields->capacity * 2;
        struct openapi_field *items =
            arena_calloc(fields->arena, capacity, sizeof(struct openapi_field));
        if (fields->count > 0)
            memcpy(items, fields->items, fields->count * sizeof(struct openapi_field));
        fields->items = items;
        fields->capacity = capacity;
    }
    fields->items[fields->count++] = *field;
}

/* False for a message that JSON shows in its owner: it has no member of its own. */
static bool find_member(const ProtobufCMessageDescriptor *owner,
                        const ProtobufCFieldDescriptor *field, struct arena *arena,
                        struct openapi_field *ret)
{
    struct kube_value_type type = kube_type_of_object(owner);
    char *name = arena_strdup(arena, kube_json_name(field->name, arena));
    *ret = (struct openapi_field){.owner = owner, .field = field, .name = name};
    if (kube_type_of_member(&type, str_from(name), &ret->type))
        return true;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return false;
    /* The one field that begins with a capital: DaemonEndpoint's Port. */
    name[0] = (char)(name[0] - 'a' + 'A');
    bool is_found = kube_type_of_member(&type, str_from(name), &ret->type);
    ASSERT(is_found);
    return true;
}

const struct openapi_field *openapi_fields(const ProtobufCMessageDescriptor *message,
                                           struct arena *arena, size_t *ret_count)
{
    struct fields fields = {.arena = arena};
    struct openapi_field field;
    for (unsigned i = 0; i < message->n_fields; i++) {
        if (find_member(message, &message->fields[i], arena, &field)) {
            add_field(&fields, &field);
            continue;
        }
        /* What is shown in its owner shows nothing in itself in turn. */
        const ProtobufCMessageDescriptor *inner = message->fields[i].descriptor;
        for (unsigned n = 0; n < inner->n_fields; n++) {
            if (find_member(inner, &inner->fields[n], arena, &field))
                add_field(&fields, &field);
        }
    }
    *ret_count = fields.count;
    return fields.items;
}

/* --- the closure --- */

struct closure {
    const ProtobufCMessageDescriptor **types;
    size_t count;
};

static void add_type(struct closure *closure, const ProtobufCMessageDescriptor *type)
{
    if (!type || openapi_is_text_list(type))
        return;
    for (size_t i = 0; i < closure->count; i++) {
        if (closure->types[i] == type)
            return;
    }
    ASSERT(closure->count < TYPES_MAX);
    closure->types[closure->count++] = type;
}

static void add_kind(struct closure *closure, const struct kube_kind *kind)
{
    if (kind)
        add_type(closure, kind->type);
}

static void add_fields_of(struct closure *closure, const ProtobufCMessageDescriptor *type,
                          struct arena *arena)
{
    if (kube_type_of_object(type).shape != KUBE_SHAPE_STRUCT)
        return;
    size_t count;
    const struct openapi_field *fields = openapi_fields(type, arena, &count);
    for (size_t i = 0; i < count; i++) {
        if (fields[i].type.shape == KUBE_SHAPE_MAP || fields[i].type.shape == KUBE_SHAPE_LIST)
            add_type(closure, fields[i].type.message);
        else if (fields[i].field->type == PROTOBUF_C_TYPE_MESSAGE)
            add_type(closure, fields[i].field->descriptor);
    }
}

static int compare_types(const void *a, const void *b)
{
    const struct openapi_type *left = a;
    const struct openapi_type *right = b;
    return strcmp(left->name, right->name);
}

struct openapi_types openapi_collect(const char *group, const char *version, struct arena *arena)
{
    size_t rows;
    const struct resource *table = resource_table(&rows);
    struct closure closure = {
        .types = arena_calloc(arena, TYPES_MAX, sizeof(const ProtobufCMessageDescriptor *))};
    add_type(&closure, &meta__status__descriptor);
    add_type(&closure, &meta__delete_options__descriptor);
    for (size_t i = 0; i < rows; i++) {
        const struct kube_kind *kind = table[i].kind;
        if (group && !(text_eq(kind->group, group) && text_eq(kind->version, version)))
            continue;
        add_kind(&closure, kind);
        add_kind(&closure, kube_kind_list(kind));
        for (size_t s = 0; s < table[i].subresource_count; s++)
            add_kind(&closure, table[i].subresources[s].kind);
    }
    for (size_t i = 0; i < closure.count; i++)
        add_fields_of(&closure, closure.types[i], arena);

    struct openapi_type *types = arena_calloc(arena, closure.count + 1, sizeof(*types));
    types[0] = (struct openapi_type){.message = NULL, .name = OPENAPI_PATCH_NAME};
    for (size_t i = 0; i < closure.count; i++)
        types[i + 1] = (struct openapi_type){.message = closure.types[i],
                                             .name = openapi_name(closure.types[i], arena)};
    qsort(types, closure.count + 1, sizeof(*types), compare_types);
    return (struct openapi_types){.items = types, .count = closure.count + 1};
}
