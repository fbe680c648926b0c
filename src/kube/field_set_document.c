/* The fields that a document sets, and how items of a list are named. */
#include "kube/apply_internal.h"

#define KEY_MAX_FIELDS 8

/* Key fields that Kubernetes' types give a default other than "". */
struct key_default {
    const char *field;
    bool is_absent; /* a pointer in Go: not part of the key unless it is set */
    struct doc_node value;
};
static const struct key_default key_defaults[] = {
    {"protocol", false, {.kind = DOC_STRING, .string = {.ptr = "TCP", .len = 3}}},
    {"containerPort", false, {.kind = DOC_INTEGER, .integer = 0}},
    {"port", false, {.kind = DOC_INTEGER, .integer = 0}},
    {"shareID", true, {.kind = DOC_NULL}},
};
static const struct doc_node empty_text = {.kind = DOC_STRING, .string = {.ptr = "", .len = 0}};

static const struct doc_node *key_default(struct str field)
{
    for (size_t i = 0; i < ARRAY_SIZE(key_defaults); i++) {
        if (str_eq_c(field, key_defaults[i].field))
            return key_defaults[i].is_absent ? NULL : &key_defaults[i].value;
    }
    return &empty_text;
}

static int compare_keys(const void *a, const void *b)
{
    const struct field_key *x = a, *y = b;
    return doc_compare_keys(x->name, y->name);
}

static struct error *key_of_item(const struct kube_value_type *type, const struct doc_node *item,
                                 struct arena *arena, struct field_element *ret)
{
    struct field_key *keys = arena_calloc(arena, KEY_MAX_FIELDS, sizeof(*keys));
    struct str rest = str_from(type->rule.apply_keys), name;
    size_t count = 0;
    if (item->kind != DOC_OBJECT)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "associative list with keys may not have non-map elements");
    while (str_split_next(&rest, ' ', &name) && count < KEY_MAX_FIELDS) {
        keys[count].name =
            (struct str){.ptr = arena_strndup(arena, name.ptr, name.len), .len = name.len};
        const struct doc_node *value = doc_get(item, keys[count].name.ptr);
        if (!value)
            value = key_default(name);
        if (value && (value->kind == DOC_ARRAY || value->kind == DOC_OBJECT))
            return error_new(ERROR_INVALID_ARGUMENT, "the key field \"%.*s\" is no scalar",
                             STR_ARG(name));
        keys[count].value = value;
        count += value ? 1 : 0;
    }
    qsort(keys, count, sizeof(*keys), compare_keys);
    *ret = (struct field_element){.kind = FIELD_KEY, .key = {.items = keys, .count = count}};
    return NULL;
}

struct error *field_element_of_item(const struct kube_value_type *type, const struct doc_node *item,
                                    struct arena *arena, struct field_element *ret)
{
    if (type->rule.apply_keys[0])
        return key_of_item(type, item, arena, ret);
    if (item->kind == DOC_OBJECT || item->kind == DOC_ARRAY || item->kind == DOC_NULL)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "associative list without keys has an element that is no scalar");
    *ret = (struct field_element){.kind = FIELD_VALUE, .value = item};
    return NULL;
}

static int compare_items(const void *a, const void *b)
{
    const struct apply_item *x = *(const struct apply_item *const *)a;
    const struct apply_item *y = *(const struct apply_item *const *)b;
    int order = field_element_compare(&x->element, &y->element);
    return order ? order : x->at < y->at ? -1 : x->at > y->at;
}

struct error *apply_items_init(struct apply_items *items, const struct doc_node *list,
                               const struct kube_value_type *type, struct arena *arena)
{
    *items = (struct apply_items){0};
    if (!list || list->kind != DOC_ARRAY || list->array.count == 0)
        return NULL;
    items->count = list->array.count;
    items->items = xcalloc(items->count, sizeof(*items->items));
    items->sorted = xcalloc(items->count, sizeof(struct apply_item *));
    for (size_t i = 0; i < items->count; i++) {
        struct apply_item *item = &items->items[i];
        item->node = list->array.items[i];
        item->at = i;
        items->sorted[i] = item;
        struct error *err = field_element_of_item(type, item->node, arena, &item->element);
        if (err) {
            apply_items_done(items);
            return error_wrap(err, "element %zu", i);
        }
    }
    qsort(items->sorted, items->count, sizeof(struct apply_item *), compare_items);
    for (size_t i = 1; i < items->count; i++) {
        if (field_element_compare(&items->sorted[i - 1]->element, &items->sorted[i]->element) == 0)
            items->sorted[i - 1]->is_duplicate = items->sorted[i]->is_duplicate = true;
    }
    return NULL;
}

void apply_items_done(struct apply_items *items)
{
    free(items->items);
    free(items->sorted);
    *items = (struct apply_items){0};
}

const struct apply_item *apply_items_find(const struct apply_items *items,
                                          const struct field_element *element)
{
    size_t low = 0, high = items->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (field_element_compare(&items->sorted[middle]->element, element) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == items->count || field_element_compare(&items->sorted[low]->element, element) != 0)
        return NULL;
    return items->sorted[low];
}

enum apply_shape apply_shape_of(const struct kube_value_type *type, const struct doc_node *value)
{
    if (type->is_atomic)
        return APPLY_LEAF;
    switch (type->shape) {
    case KUBE_SHAPE_STRUCT:
    case KUBE_SHAPE_MAP:
        return APPLY_OBJECT;
    case KUBE_SHAPE_LIST:
        return APPLY_ITEMS;
    case KUBE_SHAPE_ANY:
        return value && value->kind == DOC_OBJECT ? APPLY_OBJECT : APPLY_LEAF;
    case KUBE_SHAPE_SCALAR:
        break;
    }
    return APPLY_LEAF;
}

bool apply_is_empty(const struct doc_node *value)
{
    if (!value || value->kind == DOC_NULL)
        return true;
    return (value->kind == DOC_ARRAY && value->array.count == 0) ||
           (value->kind == DOC_OBJECT && value->object.count == 0);
}

struct kube_value_type apply_member_type(const struct kube_value_type *type, struct str name)
{
    struct kube_value_type member = {.shape = KUBE_SHAPE_SCALAR,
                                     .rule = {.merge_key = "", .apply_keys = ""}};
    if (!kube_type_of_member(type, name, &member))
        member.shape = KUBE_SHAPE_SCALAR;
    return member;
}

/* Puts one step in front of a message, which begins with its path. */
static struct error *below(const char *step, struct error *err_owned)
{
    AUTO(error) struct error *inner = err_owned;
    return error_new(inner->code, "%s%s", step, inner->message);
}

/* NOLINTBEGIN(misc-no-recursion): trees are at most DOC_MAX_DEPTH deep */
static struct error *fields_of_items(const struct doc_node *list,
                                     const struct kube_value_type *type, bool allow_duplicates,
                                     struct arena *arena, const struct field_set **ret)
{
    AUTO(apply_items) struct apply_items items;
    AUTO(field_set_builder) struct field_set_builder builder = {0};
    struct kube_value_type element = kube_type_of_element(type);
    struct error *err = apply_items_init(&items, list, type, arena);
    if (err)
        return below(": ", err);
    for (size_t i = 0; i < items.count; i++) {
        const struct apply_item *item = &items.items[i];
        const struct field_set *children = NULL;
        if (item->is_duplicate && !allow_duplicates)
            return error_new(ERROR_INVALID_ARGUMENT, ": duplicate entries for key %s",
                             field_path_text(&item->element, 1, arena));
        /* Duplicates are owned together. */
        if (!item->is_duplicate) {
            err = apply_fields_of(item->node, &element, allow_duplicates, arena, &children);
            if (err)
                return below(field_path_text(&item->element, 1, arena), err);
        }
        field_set_add(&builder, &item->element, true, children);
    }
    *ret = field_set_finish(&builder, arena);
    return NULL;
}

static struct error *fields_of_object(const struct doc_node *object,
                                      const struct kube_value_type *type, bool allow_duplicates,
                                      struct arena *arena, const struct field_set **ret)
{
    AUTO(field_set_builder) struct field_set_builder builder = {0};
    for (size_t i = 0; i < object->object.count; i++) {
        const struct doc_member *member = &object->object.members[i];
        struct field_element element = {.kind = FIELD_NAME, .name = member->key};
        struct kube_value_type field;
        const struct field_set *children = NULL;
        if (!kube_type_of_member(type, member->key, &field))
            return error_new(ERROR_INVALID_ARGUMENT, ".%.*s: field not declared in schema",
                             STR_ARG(member->key));
        struct error *err =
            apply_fields_of(member->value, &field, allow_duplicates, arena, &children);
        if (err)
            return below(field_path_text(&element, 1, arena), err);
        bool is_leaf = apply_shape_of(&field, member->value) == APPLY_LEAF;
        bool is_blank = member->value->kind == DOC_NULL ||
                        (member->value->kind == DOC_OBJECT && member->value->object.count == 0);
        bool is_map_entry = type->shape != KUBE_SHAPE_STRUCT;
        field_set_add(&builder, &element, is_leaf || is_blank || is_map_entry, children);
    }
    *ret = field_set_finish(&builder, arena);
    return NULL;
}

struct error *apply_fields_of(const struct doc_node *document, const struct kube_value_type *type,
                              bool allow_duplicates, struct arena *arena,
                              const struct field_set **ret)
{
    enum apply_shape shape = apply_shape_of(type, document);
    *ret = field_set_empty();
    if (shape == APPLY_OBJECT && document->kind == DOC_OBJECT)
        return fields_of_object(document, type, allow_duplicates, arena, ret);
    if (shape == APPLY_ITEMS && document->kind == DOC_ARRAY)
        return fields_of_items(document, type, allow_duplicates, arena, ret);
    return NULL;
}
/* NOLINTEND(misc-no-recursion) */

struct error *field_set_of_document(const struct doc_node *document,
                                    const ProtobufCMessageDescriptor *type, bool allow_duplicates,
                                    struct arena *arena, const struct field_set **ret)
{
    struct kube_value_type root = kube_type_of_object(type);
    struct error *err = doc_check_extent(document, "the object");
    return err ? err : apply_fields_of(document, &root, allow_duplicates, arena, ret);
}
