/* The doors for text: parse, decode into scratch memory, and copy what is kept as one piece into
 * the caller's arena. */
#include "kube/codec_internal.h"

#include "wire/json.h"
#include "wire/yaml.h"

#define SCRATCH_BLOCK_BYTES (16 * KiB)

typedef struct error *(*parse_fn)(struct str text, const struct doc_parse_options *options,
                                  struct arena *arena, const struct doc_node **ret);

static struct error *parse_with(parse_fn parse, struct str text,
                                const struct kube_decode_options *options, struct arena *arena,
                                const struct doc_node **ret)
{
    const struct doc_parse_options parse_options = {
        .max_bytes = codec_max_bytes(options),
        .reject_duplicates = options->unknown == KUBE_UNKNOWN_STRICT,
        .file = options->file,
    };
    return parse(text, &parse_options, arena, ret);
}

size_t codec_max_bytes(const struct kube_decode_options *options)
{
    return options->max_bytes ? options->max_bytes : KUBE_OBJECT_MAX_BYTES;
}

struct error *codec_parse_json(struct str text, const struct kube_decode_options *options,
                               struct arena *arena, const struct doc_node **ret)
{
    return parse_with(json_parse, text, options, arena, ret);
}

/* JSON begins with '{' after white space, and no YAML that matters does. */
static parse_fn parser_of(struct str text)
{
    struct str trimmed = str_trim(text);
    return trimmed.len > 0 && trimmed.ptr[0] == '{' ? json_parse : yaml_parse;
}

static struct error *decode_with(parse_fn parse, struct str text,
                                 const ProtobufCMessageDescriptor *type,
                                 const struct kube_decode_options *options, struct arena *arena,
                                 ProtobufCMessage **ret)
{
    AUTO(arena) struct arena *scratch = arena_new(SCRATCH_BLOCK_BYTES);
    const struct doc_node *node = NULL;
    ProtobufCMessage *message = NULL;
    struct error *err = parse_with(parse, text, options, scratch, &node);
    if (!err)
        err = codec_decode_node(node, type, options, scratch, &message);
    if (!err)
        *ret = kube_message_dup(message, arena);
    return err;
}

struct error *kube_decode_json(struct str text, const ProtobufCMessageDescriptor *type,
                               const struct kube_decode_options *options, struct arena *arena,
                               ProtobufCMessage **ret)
{
    return decode_with(json_parse, text, type, options, arena, ret);
}

struct error *kube_decode_yaml(struct str text, const ProtobufCMessageDescriptor *type,
                               const struct kube_decode_options *options, struct arena *arena,
                               ProtobufCMessage **ret)
{
    return decode_with(yaml_parse, text, type, options, arena, ret);
}

struct error *kube_decode_text(struct str text, const ProtobufCMessageDescriptor *type,
                               const struct kube_decode_options *options, struct arena *arena,
                               ProtobufCMessage **ret)
{
    return decode_with(parser_of(text), text, type, options, arena, ret);
}

struct error *kube_parse_text(struct str text, const struct kube_decode_options *options,
                              struct arena *arena, const struct doc_node **ret)
{
    return parse_with(parser_of(text), text, options, arena, ret);
}

struct error *kube_decode_document(const struct doc_node *document,
                                   const ProtobufCMessageDescriptor *type,
                                   const struct kube_decode_options *options, struct arena *arena,
                                   ProtobufCMessage **ret)
{
    AUTO(arena) struct arena *scratch = arena_new(SCRATCH_BLOCK_BYTES);
    ProtobufCMessage *message = NULL;
    struct error *err = codec_decode_node(document, type, options, scratch, &message);
    if (!err)
        *ret = kube_message_dup(message, arena);
    return err;
}

static struct error *type_field(const struct doc_node *document, const char *name,
                                const struct kube_decode_options *options, struct arena *arena,
                                const char **ret)
{
    const struct doc_node *node = doc_get(document, name);
    if (!node || node->kind == DOC_NULL) {
        *ret = "";
        return NULL;
    }
    if (node->kind != DOC_STRING)
        return error_new(ERROR_INVALID_ARGUMENT, "%s%s: expected a string, found %s",
                         doc_location(options->file, node->line, arena), name,
                         doc_describe(node, arena));
    *ret = arena_strndup(arena, node->string.ptr, node->string.len);
    return NULL;
}

struct error *kube_document_type_meta(const struct doc_node *document,
                                      const struct kube_decode_options *options,
                                      struct arena *arena, struct kube_type_meta *ret)
{
    struct kube_type_meta meta;
    if (document->kind != DOC_OBJECT)
        return error_new(ERROR_INVALID_ARGUMENT, "%sexpected an object, found %s",
                         doc_location(options->file, document->line, arena),
                         doc_describe(document, arena));
    struct error *err = type_field(document, "apiVersion", options, arena, &meta.api_version);
    if (!err)
        err = type_field(document, "kind", options, arena, &meta.kind);
    if (!err)
        *ret = meta;
    return err;
}

struct error *kube_decode_type_meta(struct str text, const struct kube_decode_options *options,
                                    struct arena *arena, struct kube_type_meta *ret)
{
    AUTO(arena) struct arena *scratch = arena_new(SCRATCH_BLOCK_BYTES);
    const struct doc_node *document = NULL;
    struct error *err = kube_parse_text(text, options, scratch, &document);
    return err ? err : kube_document_type_meta(document, options, arena, ret);
}
