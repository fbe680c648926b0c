/*
 * Objects whose kind is told by their own text or envelope. Text is parsed once into a tree; the
 * kind is looked up there and names the message the tree is decoded into.
 */
#include "kube/kinds.h"

#include "kube/codec_internal.h"

#define SCRATCH_BLOCK_BYTES (16 * KiB)

/* Upstream's words for an object that does not say what it is. */
static struct error *find_kind(struct kube_type_meta meta, const char *where,
                               const struct kube_kind **ret)
{
    if (meta.kind[0] == '\0')
        return error_new(ERROR_INVALID_ARGUMENT, "%sObject 'Kind' is missing", where);
    if (meta.api_version[0] == '\0')
        return error_new(ERROR_INVALID_ARGUMENT, "%sObject 'apiVersion' is missing", where);
    const struct kube_kind *kind = kube_kind_find(meta.api_version, meta.kind);
    if (!kind)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "%sno kind \"%s\" is registered for version \"%s\"", where, meta.kind,
                         meta.api_version);
    *ret = kind;
    return NULL;
}

struct error *kube_decode_any_document(const struct doc_node *document,
                                       const struct kube_decode_options *options,
                                       struct arena *arena, const struct kube_kind **ret_kind,
                                       ProtobufCMessage **ret_object)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    struct kube_type_meta meta;
    const struct kube_kind *kind = NULL;
    struct error *err = kube_document_type_meta(document, options, scratch, &meta);
    if (!err)
        err = find_kind(meta, doc_location(options->file, document->line, scratch), &kind);
    if (err)
        return err;
    ASSERT(kind);
    err = kube_decode_document(document, kind->type, options, arena, ret_object);
    if (!err)
        *ret_kind = kind;
    return err;
}

static struct error *parse_as(struct str text, enum kube_encoding encoding,
                              const struct kube_decode_options *options, struct arena *arena,
                              const struct doc_node **ret)
{
    return encoding == KUBE_JSON ? codec_parse_json(text, options, arena, ret)
                                 : kube_parse_text(text, options, arena, ret);
}

static struct error *decode_any_envelope(struct str bytes,
                                         const struct kube_decode_options *options,
                                         struct arena *arena, const struct kube_kind **ret_kind,
                                         ProtobufCMessage **ret_object)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    struct kube_type_meta meta;
    struct str raw;
    const struct kube_kind *kind = NULL;
    struct error *err = kube_decode_envelope(bytes, scratch, &meta, &raw);
    if (!err)
        err = find_kind(meta, doc_location(options->file, 0, scratch), &kind);
    if (err)
        return err;
    ASSERT(kind);
    err = codec_decode_protobuf(raw, kind->type, options, arena, ret_object);
    if (!err)
        *ret_kind = kind;
    return err;
}

struct error *kube_decode_any(struct str bytes, enum kube_encoding encoding,
                              const struct kube_decode_options *options, struct arena *arena,
                              const struct kube_kind **ret_kind, ProtobufCMessage **ret_object)
{
    if (encoding == KUBE_PROTOBUF)
        return decode_any_envelope(bytes, options, arena, ret_kind, ret_object);
    AUTO(arena) struct arena *scratch = arena_new(SCRATCH_BLOCK_BYTES);
    const struct doc_node *document = NULL;
    struct error *err = parse_as(bytes, encoding, options, scratch, &document);
    return err ? err : kube_decode_any_document(document, options, arena, ret_kind, ret_object);
}

void kube_encode_any(const ProtobufCMessage *object, const struct kube_kind *kind,
                     enum kube_encoding encoding, struct buf *out)
{
    const struct kube_type_meta meta = kube_kind_meta(kind);
    switch (encoding) {
    case KUBE_JSON:
        kube_encode_json(object, &meta, out);
        break;
    case KUBE_YAML:
        kube_encode_yaml(object, &meta, out);
        break;
    case KUBE_PROTOBUF:
        kube_encode_envelope(object, &meta, out);
        break;
    }
}
