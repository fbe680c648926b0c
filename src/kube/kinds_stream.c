/*
 * Several objects in one input come in four shapes: a stream of documents, a typed list, a `v1`
 * `List` whose items name their own kinds, and streams of those. A stream is cut into documents
 * before it is parsed: YAML at the lines that begin with "---", JSON where an object ends.
 */
#include "kube/kinds.h"

#include "kube/codec_internal.h"
#include "kube/json_scan.h"
#include "wire/json.h"
#include "wire/yaml.h"

#include "core.pb-c.h"
#include "runtime.pb-c.h"

#define SCRATCH_BLOCK_BYTES (16 * KiB)

static const struct kube_type_meta plain_list = {.api_version = "v1", .kind = "List"};

struct reader {
    const struct kube_decode_options *options;
    struct arena *arena;
    kube_each_document *each;
    void *ctx;
};

static bool is_plain_list(struct kube_type_meta meta)
{
    return text_eq(meta.kind, plain_list.kind) && text_eq(meta.api_version, plain_list.api_version);
}

static struct error *read_plain_list(const struct reader *reader, const struct doc_node *list)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    const struct doc_node *items = doc_get(list, "items");
    struct kube_document document = {.count = 0};
    if (items && items->kind != DOC_NULL && items->kind != DOC_ARRAY)
        return error_new(ERROR_INVALID_ARGUMENT, "%sitems: expected a list, found %s",
                         doc_location(reader->options->file, items->line, scratch),
                         doc_describe(items, scratch));
    if (items && items->kind == DOC_ARRAY)
        document.count = items->array.count;
    struct kube_any *objects = arena_calloc(reader->arena, document.count, sizeof(*objects));
    for (size_t i = 0; i < document.count; i++) {
        struct error *err =
            kube_decode_any_document(items->array.items[i], reader->options, reader->arena,
                                     &objects[i].kind, &objects[i].object);
        if (err)
            return error_wrap(err, "items[%zu]", i);
    }
    document.items = objects;
    return reader->each(reader->ctx, &document);
}

static struct error *read_tree(const struct reader *reader, const struct doc_node *tree)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    struct kube_type_meta meta;
    struct kube_document document = {.count = 0};
    if (tree->kind == DOC_NULL)
        return NULL; /* only comments between two separators */
    struct error *err = kube_document_type_meta(tree, reader->options, scratch, &meta);
    if (err)
        return err;
    if (is_plain_list(meta))
        return read_plain_list(reader, tree);
    err = kube_decode_any_document(tree, reader->options, reader->arena, &document.any.kind,
                                   &document.any.object);
    return err ? err : reader->each(reader->ctx, &document);
}

static struct error *read_text(const struct reader *reader, struct str text,
                               enum kube_encoding encoding)
{
    AUTO(arena) struct arena *scratch = arena_new(SCRATCH_BLOCK_BYTES);
    const struct doc_node *tree = NULL;
    struct error *err = encoding == KUBE_JSON
                            ? codec_parse_json(text, reader->options, scratch, &tree)
                            : kube_parse_text(text, reader->options, scratch, &tree);
    return err ? err : read_tree(reader, tree);
}

static struct error *read_json_stream(const struct reader *reader, struct str text)
{
    struct json_scan scan = {0};
    size_t max_bytes = codec_max_bytes(reader->options);
    do {
        size_t used = 0;
        enum json_scan_end end = json_scan_next(&scan, text, &used);
        /* What is no whole object is left to the parser, whose words are better. */
        size_t len = end == JSON_SCAN_OBJECT ? used : text.len;
        if (len > max_bytes)
            return error_new(ERROR_RESOURCE_EXHAUSTED, "a document is larger than %zu bytes",
                             max_bytes);
        struct error *err = read_text(reader, (struct str){.ptr = text.ptr, .len = len}, KUBE_JSON);
        if (err)
            return err;
        text = (struct str){.ptr = text.ptr + len, .len = text.len - len};
    } while (str_trim(text).len > 0);
    return NULL;
}

/* A line that begins with "---" and ends there or goes on after a blank. */
static bool is_separator(struct str line)
{
    return str_has_prefix(line, "---") &&
           (line.len == 3 || line.ptr[3] == ' ' || line.ptr[3] == '\t' || line.ptr[3] == '\r');
}

/* What may stand before the separator that opens a document: comments, directives, blank lines. */
static bool is_prologue(struct str line)
{
    struct str content = str_trim(line);
    return content.len == 0 || content.ptr[0] == '#' || content.ptr[0] == '%';
}

/* Takes the first document off @rest, with the separator before it but not the one after it. */
static struct str next_yaml_document(struct str *rest, size_t *ret_lines)
{
    struct str document = {.ptr = rest->ptr};
    struct str left = *rest, line;
    size_t lines = 0;
    bool has_begun = false, has_ended = false;
    while (!has_ended && str_split_next(&left, '\n', &line)) {
        if (has_begun && is_separator(line))
            break;
        has_begun = has_begun || is_separator(line) || !is_prologue(line);
        has_ended = str_eq_c(line, "...");
        document.len = left.ptr ? (size_t)(left.ptr - document.ptr) : rest->len;
        lines++;
    }
    *rest = (struct str){.ptr = rest->ptr + document.len, .len = rest->len - document.len};
    *ret_lines = lines;
    return document;
}

/* What is left of @document without its prologue and a separator that stands alone. */
static struct str content_of(struct str document)
{
    struct str rest = document, line;
    while (rest.ptr && str_split_next(&rest, '\n', &line)) {
        if (!is_prologue(line) && !str_eq_c(str_trim(line), "---"))
            return (struct str){.ptr = line.ptr,
                                .len = document.len - (size_t)(line.ptr - document.ptr)};
    }
    return (struct str){.ptr = ""};
}

static struct error *read_yaml_stream(const struct reader *reader, struct str text)
{
    size_t first_line = 1;
    for (size_t number = 1; text.len > 0; number++) {
        size_t lines;
        struct str document = next_yaml_document(&text, &lines);
        struct str content = str_trim(content_of(document));
        bool is_json = content.len > 0 && content.ptr[0] == '{';
        struct error *err =
            is_json ? read_json_stream(reader, content) : read_text(reader, document, KUBE_YAML);
        if (err)
            return number == 1 ? err
                               : error_wrap(err, "document %zu, which begins in line %zu", number,
                                            first_line);
        first_line += lines;
    }
    return NULL;
}

/* The items of a `v1` `List` in protobuf are raw bytes: an envelope each, or JSON. */
static struct error *read_enveloped_list(const struct reader *reader, struct str raw)
{
    AUTO(arena) struct arena *scratch = arena_new(SCRATCH_BLOCK_BYTES);
    ProtobufCMessage *message = NULL;
    struct error *err =
        codec_decode_protobuf(raw, &core__list__descriptor, reader->options, scratch, &message);
    if (err)
        return err;
    const Core__List *list = (const Core__List *)message;
    struct kube_any *objects = arena_calloc(reader->arena, list->n_items, sizeof(*objects));
    for (size_t i = 0; i < list->n_items; i++) {
        const ProtobufCBinaryData *bytes = &list->items[i]->raw;
        struct str item = {.ptr = (const char *)bytes->data, .len = bytes->len};
        bool is_json = item.len > 0 && item.ptr[0] == '{';
        err = kube_decode_any(item, is_json ? KUBE_JSON : KUBE_PROTOBUF, reader->options,
                              reader->arena, &objects[i].kind, &objects[i].object);
        if (err)
            return error_wrap(err, "items[%zu]", i);
    }
    const struct kube_document document = {.items = objects, .count = list->n_items};
    return reader->each(reader->ctx, &document);
}

static struct error *read_protobuf(const struct reader *reader, struct str bytes)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    struct kube_type_meta meta;
    struct kube_document document = {.count = 0};
    struct str raw;
    struct error *err = kube_decode_envelope(bytes, scratch, &meta, &raw);
    if (err)
        return err;
    if (is_plain_list(meta))
        return read_enveloped_list(reader, raw);
    err = kube_decode_any(bytes, KUBE_PROTOBUF, reader->options, reader->arena, &document.any.kind,
                          &document.any.object);
    return err ? err : reader->each(reader->ctx, &document);
}

struct error *kube_decode_documents(struct str bytes, enum kube_encoding encoding,
                                    const struct kube_decode_options *options, struct arena *arena,
                                    kube_each_document *each, void *ctx)
{
    const struct reader reader = {.options = options, .arena = arena, .each = each, .ctx = ctx};
    switch (encoding) {
    case KUBE_JSON:
        return read_json_stream(&reader, bytes);
    case KUBE_YAML:
        return read_yaml_stream(&reader, bytes);
    case KUBE_PROTOBUF:
        break;
    }
    return read_protobuf(&reader, bytes);
}

struct object_reader {
    kube_each_object *each;
    void *ctx;
};

static struct error *hand_out(const struct object_reader *reader, struct kube_any any)
{
    if (!any.kind->is_list)
        return reader->each(reader->ctx, any.kind, any.object);
    size_t count;
    ProtobufCMessage *const *items = kube_list_items(any.object, &count);
    for (size_t i = 0; i < count; i++) {
        struct error *err = reader->each(reader->ctx, kube_kind_item(any.kind), items[i]);
        if (err)
            return err;
    }
    return NULL;
}

static struct error *hand_out_document(void *ctx, const struct kube_document *document)
{
    const struct object_reader *reader = ctx;
    if (document->any.kind)
        return hand_out(reader, document->any);
    for (size_t i = 0; i < document->count; i++) {
        struct error *err = hand_out(reader, document->items[i]);
        if (err)
            return err;
    }
    return NULL;
}

struct error *kube_decode_items(struct str bytes, enum kube_encoding encoding,
                                const struct kube_decode_options *options, struct arena *arena,
                                kube_each_object *each, void *ctx)
{
    struct object_reader reader = {.each = each, .ctx = ctx};
    return kube_decode_documents(bytes, encoding, options, arena, hand_out_document, &reader);
}

/* --- writing --- */

static void write_plain_list(struct doc_writer *writer, const struct kube_document *document)
{
    writer->ops->begin_object(writer);
    doc_write_key(writer, "kind");
    doc_write_text(writer, plain_list.kind);
    doc_write_key(writer, "apiVersion");
    doc_write_text(writer, plain_list.api_version);
    doc_write_key(writer, "metadata");
    writer->ops->begin_object(writer);
    writer->ops->end_object(writer);
    doc_write_key(writer, "items");
    writer->ops->begin_array(writer);
    for (size_t i = 0; i < document->count; i++) {
        const struct kube_type_meta meta = kube_kind_meta(document->items[i].kind);
        codec_write_object(writer, document->items[i].object, &meta);
    }
    writer->ops->end_array(writer);
    writer->ops->end_object(writer);
}

static void encode_enveloped_list(const struct kube_document *document, struct buf *out)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    Core__List list = CORE__LIST__INIT;
    list.n_items = document->count;
    list.items = arena_calloc(scratch, document->count, sizeof(Runtime__RawExtension *));
    for (size_t i = 0; i < document->count; i++) {
        AUTO(buf) struct buf bytes;
        buf_init(&bytes, out->max_len);
        kube_encode_any(document->items[i].object, document->items[i].kind, KUBE_PROTOBUF, &bytes);
        if (bytes.overflowed)
            out->overflowed = true;
        Runtime__RawExtension *item = arena_alloc(scratch, sizeof(*item));
        runtime__raw_extension__init(item);
        item->has_raw = true;
        item->raw.data = arena_memdup(scratch, buf_text(&bytes), bytes.len);
        item->raw.len = bytes.len;
        list.items[i] = item;
    }
    kube_encode_envelope(&list.base, &plain_list, out);
}

void kube_encode_any_document(const struct kube_document *document, enum kube_encoding encoding,
                              struct buf *out)
{
    struct json_writer json;
    struct yaml_writer yaml;
    if (document->any.kind) {
        kube_encode_any(document->any.object, document->any.kind, encoding, out);
        return;
    }
    switch (encoding) {
    case KUBE_JSON:
        json_writer_init(&json, out, false);
        write_plain_list(&json.base, document);
        break;
    case KUBE_YAML:
        yaml_writer_init(&yaml, out);
        write_plain_list(&yaml.base, document);
        yaml_writer_done(&yaml);
        break;
    case KUBE_PROTOBUF:
        encode_enveloped_list(document, out);
        break;
    }
}
