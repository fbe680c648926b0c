/*
 * fieldsV1 and back. An object's names are path elements with their kind before a colon; an empty
 * object is a member, "." among others says that the element itself is one too.
 */
#include "kube/field_set.h"

#include "wire/json.h"

#define ELEMENT_MAX_BYTES (KUBE_OBJECT_MAX_BYTES)

enum element_status { ELEMENT_READ, ELEMENT_UNKNOWN, ELEMENT_BAD };

static struct error *bad_element(struct str text)
{
    return error_new(ERROR_INVALID_ARGUMENT, "parsing key as path element: \"%.*s\"",
                     STR_ARG(text));
}

static bool is_scalar(const struct doc_node *node)
{
    return node->kind != DOC_ARRAY && node->kind != DOC_OBJECT;
}

static int compare_keys(const void *a, const void *b)
{
    const struct field_key *x = a, *y = b;
    return doc_compare_keys(x->name, y->name);
}

/* The JSON behind "k:" and "v:". NULL when it is none. */
static const struct doc_node *parse_json(struct str text, struct arena *arena)
{
    const struct doc_parse_options options = {.max_bytes = KUBE_OBJECT_MAX_BYTES,
                                              .reject_duplicates = true};
    const struct doc_node *node = NULL;
    struct error *err = json_parse(text, &options, arena, &node);
    error_ignore(err, "the caller tells the whole element");
    return node;
}

static bool parse_key(const struct doc_node *node, struct arena *arena, struct field_element *ret)
{
    if (!node || node->kind != DOC_OBJECT)
        return false;
    size_t count = node->object.count;
    struct field_key *items = arena_calloc(arena, count + 1, sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        const struct doc_member *member = &node->object.members[i];
        if (!is_scalar(member->value))
            return false;
        items[i] = (struct field_key){.name = member->key, .value = member->value};
    }
    qsort(items, count, sizeof(*items), compare_keys);
    ret->key.items = items;
    ret->key.count = count;
    return true;
}

static enum element_status parse_element(struct str text, struct arena *arena,
                                         struct field_element *ret)
{
    struct field_element element = {.kind = FIELD_NAME};
    bool is_good = true;
    if (text.len < 2 || text.ptr[1] != ':')
        return ELEMENT_BAD;
    struct str rest = {.ptr = text.ptr + 2, .len = text.len - 2};
    switch (text.ptr[0]) {
    case 'f':
        element.name = rest;
        break;
    case 'k':
        element.kind = FIELD_KEY;
        is_good = parse_key(parse_json(rest, arena), arena, &element);
        break;
    case 'v':
        element.kind = FIELD_VALUE;
        element.value = parse_json(rest, arena);
        is_good = element.value && is_scalar(element.value);
        break;
    case 'i':
        element.kind = FIELD_INDEX;
        is_good = parse_i64(rest.ptr, INT32_MIN, INT32_MAX, &element.index);
        break;
    default:
        return ELEMENT_UNKNOWN;
    }
    *ret = element;
    return is_good ? ELEMENT_READ : ELEMENT_BAD;
}

/* NOLINTBEGIN(misc-no-recursion): trees are at most DOC_MAX_DEPTH deep */
static struct error *parse_set(const struct doc_node *node, struct arena *arena,
                               bool *ret_is_member, const struct field_set **ret)
{
    AUTO(field_set_builder) struct field_set_builder builder = {0};
    bool is_member = false;
    if (node->kind != DOC_OBJECT)
        return error_new(ERROR_INVALID_ARGUMENT, "fieldsV1: expected an object, found %s",
                         doc_describe(node, arena));
    for (size_t i = 0; i < node->object.count; i++) {
        const struct doc_member *member = &node->object.members[i];
        struct field_element element;
        const struct field_set *children = NULL;
        bool is_child_member = false;
        if (str_eq_c(member->key, ".")) {
            is_member = true;
            continue;
        }
        enum element_status status = parse_element(member->key, arena, &element);
        if (status == ELEMENT_UNKNOWN)
            continue;
        if (status == ELEMENT_BAD)
            return bad_element(member->key);
        struct error *err = parse_set(member->value, arena, &is_child_member, &children);
        if (err)
            return err;
        field_set_add(&builder, &element, is_child_member, children);
    }
    *ret = field_set_finish(&builder, arena);
    *ret_is_member = is_member || field_set_is_empty(*ret);
    return NULL;
}

static struct str element_name(const struct field_element *element, struct arena *arena)
{
    AUTO(buf) struct buf text;
    struct json_writer writer;
    buf_init(&text, ELEMENT_MAX_BYTES);
    json_writer_init(&writer, &text, false);
    switch (element->kind) {
    case FIELD_NAME:
        return str_from(arena_printf(arena, "f:%.*s", STR_ARG(element->name)));
    case FIELD_KEY:
        buf_add_text(&text, "k:");
        writer.base.ops->begin_object(&writer.base);
        for (size_t i = 0; i < element->key.count; i++) {
            writer.base.ops->key(&writer.base, element->key.items[i].name);
            doc_write_node(&writer.base, element->key.items[i].value);
        }
        writer.base.ops->end_object(&writer.base);
        break;
    case FIELD_VALUE:
        buf_add_text(&text, "v:");
        doc_write_node(&writer.base, element->value);
        break;
    case FIELD_INDEX:
        buf_printf(&text, "i:%lld", (long long)element->index);
        break;
    }
    return (struct str){.ptr = arena_strdup(arena, buf_text(&text)), .len = text.len};
}

static const struct doc_node *document_of(const struct field_set *set, bool with_self,
                                          struct arena *arena)
{
    AUTO(free)
    struct doc_member *members = xcalloc(set->count + 1, sizeof(*members));
    size_t count = 0;
    if (with_self)
        members[count++] =
            (struct doc_member){.key = STR_LITERAL("."), .value = doc_new_object(arena, NULL, 0)};
    for (size_t i = 0; i < set->count; i++) {
        const struct field_entry *entry = &set->entries[i];
        const struct field_set *children = entry->children ? entry->children : field_set_empty();
        members[count++] = (struct doc_member){
            .key = element_name(&entry->element, arena),
            .value = document_of(children, entry->children && entry->is_member, arena)};
    }
    return doc_new_object(arena, members, count);
}
/* NOLINTEND(misc-no-recursion) */

struct error *field_set_parse(const struct doc_node *fields, struct arena *arena,
                              const struct field_set **ret)
{
    bool is_member = false;
    struct error *err = doc_check_extent(fields, "fieldsV1");
    return err ? err : parse_set(fields, arena, &is_member, ret);
}

const struct doc_node *field_set_document(const struct field_set *set, struct arena *arena)
{
    return document_of(set, false, arena);
}
