#include "wire/doc.h"

#include <math.h>
#include <stdio.h>

#define DESCRIBE_MAX_BYTES 64 /* of a string's text in an error */

const struct doc_node *doc_get(const struct doc_node *node, const char *key)
{
    if (!node || node->kind != DOC_OBJECT)
        return NULL;
    for (size_t i = 0; i < node->object.count; i++) {
        if (str_eq_c(node->object.members[i].key, key))
            return node->object.members[i].value;
    }
    return NULL;
}

const char *doc_get_text(const struct doc_node *node, const char *key)
{
    const struct doc_node *value = doc_get(node, key);
    return value && value->kind == DOC_STRING ? value->string.ptr : "";
}

size_t doc_count(const struct doc_node *node)
{
    return node && node->kind == DOC_ARRAY ? node->array.count : 0;
}

const char *doc_describe(const struct doc_node *node, struct arena *arena)
{
    char real[DOC_REAL_SIZE];
    switch (node->kind) {
    case DOC_NULL:
        return "null";
    case DOC_BOOL:
        return node->boolean ? "boolean true" : "boolean false";
    case DOC_INTEGER:
        return arena_printf(arena, "number %lld", (long long)node->integer);
    case DOC_REAL:
        return arena_printf(arena, "number %s", doc_format_real(node->real, real));
    case DOC_STRING:
        if (node->string.len > DESCRIBE_MAX_BYTES)
            return arena_printf(arena, "string \"%.*s…\"", DESCRIBE_MAX_BYTES, node->string.ptr);
        return arena_printf(arena, "string \"%.*s\"", STR_ARG(node->string));
    case DOC_ARRAY:
        return "an array";
    case DOC_OBJECT:
        return "an object";
    }
    return "nothing";
}

const char *doc_location(const char *file, unsigned line, struct arena *arena)
{
    if (file && line)
        return arena_printf(arena, "%s:%u: ", file, line);
    if (file)
        return arena_printf(arena, "%s: ", file);
    if (line)
        return arena_printf(arena, "line %u: ", line);
    return "";
}

static int compare_str(struct str a, struct str b)
{
    size_t len = min_size(a.len, b.len);
    int order = len ? memcmp(a.ptr, b.ptr, len) : 0;
    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

/* By key, then by place in the document. */
static int compare_members(const void *a, const void *b)
{
    const struct doc_member *x = *(const struct doc_member *const *)a;
    const struct doc_member *y = *(const struct doc_member *const *)b;
    int order = compare_str(x->key, y->key);
    return order ? order : x < y ? -1 : x > y;
}

/* Sorting pointers keeps a hostile object of many keys at n log n. */
struct error *doc_check_duplicates(struct doc_node *object, const struct doc_parse_options *options)
{
    size_t count = object->object.count;
    struct doc_member *members = object->object.members;
    if (count < 2)
        return NULL;
    AUTO(free) struct doc_member **sorted = xcalloc(count, sizeof(struct doc_member *));
    for (size_t i = 0; i < count; i++)
        sorted[i] = &members[i];
    qsort(sorted, count, sizeof(struct doc_member *), compare_members);

    bool dropped = false;
    for (size_t i = 0; i + 1 < count; i++) {
        if (compare_str(sorted[i]->key, sorted[i + 1]->key) != 0)
            continue;
        if (options->reject_duplicates) {
            AUTO(arena) struct arena *scratch = arena_new(0);
            return error_new(ERROR_INVALID_ARGUMENT, "%sduplicate key \"%.*s\"",
                             doc_location(options->file, sorted[i + 1]->line, scratch),
                             STR_ARG(sorted[i]->key));
        }
        sorted[i]->value = NULL;
        dropped = true;
    }
    if (!dropped)
        return NULL;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (members[i].value)
            members[kept++] = members[i];
    }
    object->object.count = kept;
    return NULL;
}

/*
 * Go writes exponents below 1e-6 and from 1e21 on, without a leading zero in them. We do from 2^63
 * on already, because the digits alone would read back as an integer that does not fit.
 */
char *doc_format_real(double real, char text[static DOC_REAL_SIZE])
{
    int precision = 1;
    do
        snprintf(text, DOC_REAL_SIZE, "%.*e", precision - 1, real);
    while (strtod(text, NULL) != real && ++precision <= 17);

    double magnitude = fabs(real);
    if (magnitude != 0 && (magnitude < 1e-6 || magnitude >= 0x1p63)) {
        char *exponent = strchr(text, 'e') + 2;
        if (exponent[0] == '0' && exponent[1] != '\0')
            memmove(exponent, exponent + 1, strlen(exponent));
        return text;
    }
    char *exponent_mark = strchr(text, 'e');
    int64_t exponent = 0;
    bool negative = exponent_mark[1] == '-';
    if (!parse_i64(exponent_mark + 2, 0, 400, &exponent))
        return text;
    int64_t decimals = precision - 1 - (negative ? -exponent : exponent);
    snprintf(text, DOC_REAL_SIZE, "%.*f", (int)clamp_i64(decimals, 0, 30), real);
    return text;
}

/* The range of the second byte, which rules out overlong forms, surrogates and what is beyond
 * Unicode. */
static bool is_second_byte(unsigned char first, unsigned char second)
{
    unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high;
}

size_t doc_utf8_length(const unsigned char *text, size_t len)
{
    unsigned char first = text[0];
    size_t want = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (want == 0 || first > 0xf4 || want > len)
        return 0;
    if (want > 1 && !is_second_byte(first, text[1]))
        return 0;
    for (size_t i = 2; i < want; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    return want;
}

void doc_write_key(struct doc_writer *writer, const char *key)
{
    writer->ops->key(writer, str_from(key));
}

void doc_write_text(struct doc_writer *writer, const char *text)
{
    writer->ops->string(writer, str_from(text));
}

void doc_write_integer(struct doc_writer *writer, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    writer->ops->literal(writer, text);
}

void doc_write_unsigned(struct doc_writer *writer, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    writer->ops->literal(writer, text);
}

void doc_write_bool(struct doc_writer *writer, bool value)
{
    writer->ops->literal(writer, value ? "true" : "false");
}

/* NOLINTBEGIN(misc-no-recursion): trees are at most DOC_MAX_DEPTH deep */
void doc_write_node(struct doc_writer *writer, const struct doc_node *node)
{
    char real[DOC_REAL_SIZE];
    switch (node->kind) {
    case DOC_NULL:
        writer->ops->literal(writer, "null");
        break;
    case DOC_BOOL:
        doc_write_bool(writer, node->boolean);
        break;
    case DOC_INTEGER:
        doc_write_integer(writer, node->integer);
        break;
    case DOC_REAL:
        writer->ops->literal(writer, doc_format_real(node->real, real));
        break;
    case DOC_STRING:
        writer->ops->string(writer, node->string);
        break;
    case DOC_ARRAY:
        writer->ops->begin_array(writer);
        for (size_t i = 0; i < node->array.count; i++)
            doc_write_node(writer, node->array.items[i]);
        writer->ops->end_array(writer);
        break;
    case DOC_OBJECT:
        writer->ops->begin_object(writer);
        for (size_t i = 0; i < node->object.count; i++) {
            writer->ops->key(writer, node->object.members[i].key);
            doc_write_node(writer, node->object.members[i].value);
        }
        writer->ops->end_object(writer);
        break;
    }
}
/* NOLINTEND(misc-no-recursion) */
