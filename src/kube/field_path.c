/* Elements of field paths: their order and their text. */
#include "kube/field_set.h"

#include "wire/json.h"

#define PATH_TEXT_MAX_BYTES (64 * KiB)

static int compare_sizes(size_t a, size_t b)
{
    return a < b ? -1 : a > b;
}

/* Kinds of values in upstream's order. */
static int rank_of(const struct doc_node *value)
{
    switch (value->kind) {
    case DOC_INTEGER:
    case DOC_REAL:
        return 0;
    case DOC_STRING:
        return 1;
    case DOC_BOOL:
        return 2;
    case DOC_ARRAY:
        return 3;
    case DOC_OBJECT:
        return 4;
    case DOC_NULL:
        break;
    }
    return 5;
}

static double number_of(const struct doc_node *value)
{
    return value->kind == DOC_INTEGER ? (double)value->integer : value->real;
}

static int compare_values(const struct doc_node *a, const struct doc_node *b)
{
    if (rank_of(a) != rank_of(b))
        return rank_of(a) < rank_of(b) ? -1 : 1;
    if (a->kind == b->kind)
        return doc_compare_scalars(a, b);
    return number_of(a) < number_of(b) ? -1 : number_of(a) > number_of(b);
}

static int compare_keys(const struct field_element *a, const struct field_element *b)
{
    for (size_t i = 0; i < a->key.count && i < b->key.count; i++) {
        const struct field_key *x = &a->key.items[i], *y = &b->key.items[i];
        int order = doc_compare_keys(x->name, y->name);
        if (order == 0)
            order = compare_values(x->value, y->value);
        if (order)
            return order;
    }
    return compare_sizes(a->key.count, b->key.count);
}

int field_element_compare(const struct field_element *a, const struct field_element *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    switch (a->kind) {
    case FIELD_NAME:
        return doc_compare_keys(a->name, b->name);
    case FIELD_KEY:
        return compare_keys(a, b);
    case FIELD_VALUE:
        return compare_values(a->value, b->value);
    case FIELD_INDEX:
        break;
    }
    return a->index < b->index ? -1 : a->index > b->index;
}

static void add_value(struct buf *out, const struct doc_node *value)
{
    struct json_writer writer;
    json_writer_init(&writer, out, false);
    doc_write_node(&writer.base, value);
}

const char *field_path_text(const struct field_element *path, size_t count, struct arena *arena)
{
    AUTO(buf) struct buf text;
    buf_init(&text, PATH_TEXT_MAX_BYTES);
    for (size_t i = 0; i < count; i++) {
        const struct field_element *element = &path[i];
        switch (element->kind) {
        case FIELD_NAME:
            buf_printf(&text, ".%.*s", STR_ARG(element->name));
            break;
        case FIELD_KEY:
            for (size_t k = 0; k < element->key.count; k++) {
                buf_printf(&text, "%s%.*s=", k ? "," : "[", STR_ARG(element->key.items[k].name));
                add_value(&text, element->key.items[k].value);
            }
            buf_add_text(&text, element->key.count ? "]" : "[]");
            break;
        case FIELD_VALUE:
            buf_add_text(&text, "[=");
            add_value(&text, element->value);
            buf_add_char(&text, ']');
            break;
        case FIELD_INDEX:
            buf_printf(&text, "[%lld]", (long long)element->index);
            break;
        }
    }
    return arena_strdup(arena, buf_text(&text));
}
