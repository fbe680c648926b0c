/*
 * jansson reads the text into its own heap tree, which is copied into the arena and dropped. Its
 * parser recurses itself (capped by it at 2048 levels); ours stops at DOC_MAX_DEPTH.
 */
#include "wire/json.h"

#include "wire/json_compact.h"

#include <jansson.h>

struct json_build {
    const struct doc_parse_options *options;
    struct arena *arena;
};

/* NOLINTBEGIN(misc-no-recursion): ends at DOC_MAX_DEPTH */
static struct error *build_node(const struct json_build *build, json_t *from, unsigned depth,
                                struct doc_node *to);

static struct error *build_array(const struct json_build *build, json_t *from, unsigned depth,
                                 struct doc_node *to)
{
    size_t count = json_array_size(from);
    struct doc_node *nodes = arena_calloc(build->arena, count, sizeof(*nodes));
    to->array.items = arena_calloc(build->arena, count, sizeof(struct doc_node *));
    to->array.count = count;
    for (size_t i = 0; i < count; i++) {
        to->array.items[i] = &nodes[i];
        struct error *err = build_node(build, json_array_get(from, i), depth + 1, &nodes[i]);
        if (err)
            return err;
    }
    return NULL;
}

static struct error *build_object(const struct json_build *build, json_t *from, unsigned depth,
                                  struct doc_node *to)
{
    size_t count = json_object_size(from), i = 0;
    struct doc_node *nodes = arena_calloc(build->arena, count, sizeof(*nodes));
    to->object.members = arena_calloc(build->arena, count, sizeof(*to->object.members));
    to->object.count = count;
    for (void *iter = json_object_iter(from); iter; iter = json_object_iter_next(from, iter), i++) {
        const char *key = json_object_iter_key(iter);
        size_t len = strlen(key);
        to->object.members[i].key =
            (struct str){.ptr = arena_strndup(build->arena, key, len), .len = len};
        to->object.members[i].value = &nodes[i];
        struct error *err = build_node(build, json_object_iter_value(iter), depth + 1, &nodes[i]);
        if (err)
            return err;
    }
    return NULL;
}

static struct error *build_node(const struct json_build *build, json_t *from, unsigned depth,
                                struct doc_node *to)
{
    if (depth > DOC_MAX_DEPTH)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "%snested deeper than %d levels",
                         doc_location(build->options->file, 0, build->arena), DOC_MAX_DEPTH);
    switch (json_typeof(from)) {
    case JSON_NULL:
        to->kind = DOC_NULL;
        return NULL;
    case JSON_TRUE:
    case JSON_FALSE:
        to->kind = DOC_BOOL;
        to->boolean = json_is_true(from);
        return NULL;
    case JSON_INTEGER:
        to->kind = DOC_INTEGER;
        to->integer = json_integer_value(from);
        return NULL;
    case JSON_REAL:
        to->kind = DOC_REAL;
        to->real = json_real_value(from);
        return NULL;
    case JSON_STRING:
        to->kind = DOC_STRING;
        to->string.len = json_string_length(from);
        /* jansson's NUL behind it comes along. */
        to->string.ptr = arena_memdup(build->arena, json_string_value(from), to->string.len + 1);
        return NULL;
    case JSON_ARRAY:
        to->kind = DOC_ARRAY;
        return build_array(build, from, depth, to);
    case JSON_OBJECT:
        to->kind = DOC_OBJECT;
        return build_object(build, from, depth, to);
    }
    return error_new(ERROR_INTERNAL, "jansson knows a type that we do not");
}
/* NOLINTEND(misc-no-recursion) */

struct error *json_parse(struct str text, const struct doc_parse_options *options,
                         struct arena *arena, const struct doc_node **ret)
{
    if (text.len > options->max_bytes)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "%slarger than %zu bytes",
                         doc_location(options->file, 0, arena), options->max_bytes);
    size_t flags = JSON_DECODE_ANY | (options->reject_duplicates ? JSON_REJECT_DUPLICATES : 0) |
                   (options->allow_nul ? JSON_ALLOW_NUL : 0);
    json_error_t failure;
    json_t *root = json_loadb(text.ptr ? text.ptr : "", text.len, flags, &failure);
    if (!root)
        return error_new(
            ERROR_INVALID_ARGUMENT, "%sinvalid JSON: %s",
            doc_location(options->file, failure.line > 0 ? (unsigned)failure.line : 0, arena),
            failure.text);

    struct doc_node *node = arena_alloc(arena, sizeof(*node));
    struct error *err =
        build_node(&(struct json_build){.options = options, .arena = arena}, root, 0, node);
    json_decref(root);
    if (!err)
        *ret = node;
    return err;
}

/* The escape for the sequence at @text, written to @escape, or NULL when it stands for itself. */
static const char *escape_of(const unsigned char *text, size_t sequence, char escape[static 8])
{
    static const char hex[] = "0123456789abcdef";
    switch (text[0]) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\b':
        return "\\b";
    case '\f':
        return "\\f";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    }
    if (sequence == 0)
        return "\\ufffd";
    if (text[0] < 0x20) {
        memcpy(escape, "\\u00", 4);
        escape[4] = hex[text[0] >> 4];
        escape[5] = hex[text[0] & 0xf];
        escape[6] = '\0';
        return escape;
    }
    if (sequence == 3 && text[0] == 0xe2 && text[1] == 0x80 && (text[2] | 1) == 0xa9)
        return text[2] == 0xa8 ? "\\u2028" : "\\u2029";
    return NULL;
}

void json_add_string(struct buf *out, struct str text)
{
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    size_t plain_from = 0;
    buf_add_char(out, '"');
    for (size_t i = 0; i < text.len;) {
        char scratch[8];
        if (bytes[i] >= 0x20 && bytes[i] < 0x80 && bytes[i] != '"' && bytes[i] != '\\') {
            i++;
            continue;
        }
        size_t sequence = doc_utf8_length(bytes + i, text.len - i);
        const char *escape = escape_of(bytes + i, sequence, scratch);
        size_t step = sequence ? sequence : 1;
        if (escape) {
            buf_add(out, text.ptr + plain_from, i - plain_from);
            buf_add_text(out, escape);
            plain_from = i + step;
        }
        i += step;
    }
    if (plain_from < text.len)
        buf_add(out, text.ptr + plain_from, text.len - plain_from);
    buf_add_char(out, '"');
}

static struct json_writer *json_writer_of(struct doc_writer *base)
{
    return CONTAINER_OF(base, struct json_writer, base);
}

static void new_line(struct json_writer *writer)
{
    if (writer->indent == 0)
        return;
    buf_add_char(writer->base.out, '\n');
    for (unsigned i = 0; i < writer->depth * writer->indent; i++)
        buf_add_char(writer->base.out, ' ');
}

/* What stands between the previous item and the next key or value. */
static void separate(struct json_writer *writer)
{
    if (writer->after_key) {
        writer->after_key = false;
        return;
    }
    if (writer->needs_comma)
        buf_add_char(writer->base.out, ',');
    if (writer->depth > 0)
        new_line(writer);
}

static void begin(struct doc_writer *base, char bracket)
{
    struct json_writer *writer = json_writer_of(base);
    separate(writer);
    buf_add_char(base->out, bracket);
    writer->depth++;
    writer->needs_comma = false;
}

static void end(struct doc_writer *base, char bracket)
{
    struct json_writer *writer = json_writer_of(base);
    bool is_empty = !writer->needs_comma;
    writer->depth--;
    if (!is_empty)
        new_line(writer);
    buf_add_char(base->out, bracket);
    writer->needs_comma = true;
}

static void write_begin_object(struct doc_writer *base)
{
    begin(base, '{');
}

static void write_end_object(struct doc_writer *base)
{
    end(base, '}');
}

static void write_begin_array(struct doc_writer *base)
{
    begin(base, '[');
}

static void write_end_array(struct doc_writer *base)
{
    end(base, ']');
}

static void write_key(struct doc_writer *base, struct str key)
{
    struct json_writer *writer = json_writer_of(base);
    separate(writer);
    json_add_string(base->out, key);
    buf_add_text(base->out, writer->indent > 0 ? ": " : ":");
    writer->after_key = true;
}

static void write_string(struct doc_writer *base, struct str text)
{
    struct json_writer *writer = json_writer_of(base);
    separate(writer);
    json_add_string(base->out, text);
    writer->needs_comma = true;
}

static void write_literal(struct doc_writer *base, const char *text)
{
    struct json_writer *writer = json_writer_of(base);
    separate(writer);
    buf_add_text(base->out, text);
    writer->needs_comma = true;
}

static bool write_json(struct doc_writer *base, struct str text)
{
    struct json_writer *writer = json_writer_of(base);
    if (writer->indent > 0 || !json_is_compact(text))
        return false;
    separate(writer);
    buf_add_str(base->out, text);
    writer->needs_comma = true;
    return true;
}

static const struct doc_writer_ops json_writer_ops = {
    .begin_object = write_begin_object,
    .end_object = write_end_object,
    .begin_array = write_begin_array,
    .end_array = write_end_array,
    .key = write_key,
    .string = write_string,
    .literal = write_literal,
    .json = write_json,
};

void json_writer_init(struct json_writer *writer, struct buf *out, bool pretty)
{
    json_writer_init_indented(writer, out, pretty ? 2 : 0);
}

void json_writer_init_indented(struct json_writer *writer, struct buf *out, unsigned indent)
{
    *writer = (struct json_writer){.base = {.ops = &json_writer_ops, .out = out}, .indent = indent};
}
