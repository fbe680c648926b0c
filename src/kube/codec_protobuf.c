/*
 * Protobuf on the API wire: "k8s\0", then a runtime.Unknown whose `raw` is the object. The envelope
 * is read by hand, because protobuf-c would copy the raw bytes, which are nearly all of it.
 */
#include "kube/codec_internal.h"

#include "runtime.pb-c.h"

#define SCRATCH_BLOCK_BYTES (16 * KiB)

static const char magic[4] = {'k', '8', 's', '\0'};
#define PROTOBUF_CONTENT_TYPE "application/vnd.kubernetes.protobuf"

/* Fields of runtime.Unknown */
enum { UNKNOWN_TYPE_META = 1, UNKNOWN_RAW = 2, UNKNOWN_ENCODING = 3, UNKNOWN_CONTENT_TYPE = 4 };
enum { WIRE_VARINT = 0, WIRE_64BIT = 1, WIRE_BYTES = 2, WIRE_32BIT = 5 };

static void *alloc_in_arena(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

struct capped_arena {
    struct arena *arena;
    size_t max_bytes;
    bool is_exhausted;
};

static void *alloc_capped(void *context, size_t size)
{
    struct capped_arena *capped = context;
    capped->is_exhausted = arena_used(capped->arena) + size > capped->max_bytes;
    if (capped->is_exhausted)
        return NULL;
    return arena_alloc(capped->arena, size);
}

static void free_nothing(UNUSED void *context, UNUSED void *memory) {}

ProtobufCAllocator kube_arena_allocator(struct arena *arena)
{
    return (ProtobufCAllocator){
        .alloc = alloc_in_arena, .free = free_nothing, .allocator_data = arena};
}

struct error *kube_decode_protobuf(struct str bytes, const ProtobufCMessageDescriptor *type,
                                   struct arena *arena, ProtobufCMessage **ret)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_TOLERANT};
    return codec_decode_protobuf(bytes, type, &options, arena, ret);
}

struct error *codec_decode_protobuf(struct str bytes, const ProtobufCMessageDescriptor *type,
                                    const struct kube_decode_options *options, struct arena *arena,
                                    ProtobufCMessage **ret)
{
    size_t max_bytes = codec_max_bytes(options);
    if (bytes.len > max_bytes)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "%s is larger than %zu bytes", type->name,
                         max_bytes);
    AUTO(arena) struct arena *scratch = arena_new(SCRATCH_BLOCK_BYTES);
    struct capped_arena capped = {.arena = scratch,
                                  .max_bytes = CODEC_DECODED_MAX_FACTOR * max_bytes};
    ProtobufCAllocator allocator = {
        .alloc = alloc_capped, .free = free_nothing, .allocator_data = &capped};
    ProtobufCMessage *message =
        protobuf_c_message_unpack(type, &allocator, bytes.len, (const uint8_t *)bytes.ptr);
    if (!message && capped.is_exhausted)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "%s takes too much memory when decoded",
                         type->name);
    if (!message)
        return error_new(ERROR_INVALID_ARGUMENT, "not a valid protobuf %s", type->name);
    struct error *err = codec_normalise(message, scratch);
    if (err)
        return error_wrap(err, "%s", type->name);
    *ret = kube_message_dup(message, arena);
    return NULL;
}

static bool read_varint(struct str *rest, uint64_t *ret)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && rest->len > 0; shift += 7) {
        uint8_t byte = (uint8_t)rest->ptr[0];
        rest->ptr++;
        rest->len--;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

static bool skip_bytes(struct str *rest, uint64_t count, struct str *ret)
{
    if (count > rest->len)
        return false;
    *ret = (struct str){.ptr = rest->ptr, .len = (size_t)count};
    rest->ptr += count;
    rest->len -= (size_t)count;
    return true;
}

bool codec_read_field(struct str *rest, uint64_t *ret_number, struct str *ret_content)
{
    uint64_t tag, value;
    struct str skipped;
    *ret_content = (struct str){.ptr = rest->ptr};
    if (!read_varint(rest, &tag))
        return false;
    *ret_number = tag >> 3;
    switch (tag & 7) {
    case WIRE_VARINT:
        return read_varint(rest, &value);
    case WIRE_64BIT:
        return skip_bytes(rest, 8, &skipped);
    case WIRE_32BIT:
        return skip_bytes(rest, 4, &skipped);
    case WIRE_BYTES:
        return read_varint(rest, &value) && skip_bytes(rest, value, ret_content);
    }
    return false;
}

static const char *type_text(const char *text, struct arena *arena)
{
    return text ? arena_strdup(arena, text) : "";
}

static struct error *decode_envelope_type(struct str bytes, struct arena *arena,
                                          struct kube_type_meta *ret)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    ProtobufCAllocator allocator = kube_arena_allocator(scratch);
    Runtime__TypeMeta *meta =
        runtime__type_meta__unpack(&allocator, bytes.len, (const uint8_t *)bytes.ptr);
    if (!meta)
        return error_new(ERROR_INVALID_ARGUMENT, "malformed type in a protobuf envelope");
    *ret = (struct kube_type_meta){.api_version = type_text(meta->api_version, arena),
                                   .kind = type_text(meta->kind, arena)};
    return NULL;
}

struct error *kube_decode_envelope(struct str bytes, struct arena *arena,
                                   struct kube_type_meta *ret_type, struct str *ret_raw)
{
    if (bytes.len < sizeof(magic) || memcmp(bytes.ptr, magic, sizeof(magic)) != 0)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "no protobuf envelope: the bytes do not begin with \"k8s\\0\"");
    struct str rest = {.ptr = bytes.ptr + sizeof(magic), .len = bytes.len - sizeof(magic)};
    struct kube_type_meta type = {.api_version = "", .kind = ""};
    struct str raw = {.ptr = rest.ptr};
    while (rest.len > 0) {
        uint64_t number;
        struct str content;
        struct error *err = NULL;
        if (!codec_read_field(&rest, &number, &content))
            return error_new(ERROR_INVALID_ARGUMENT, "a protobuf envelope is cut short");
        if (number == UNKNOWN_TYPE_META)
            err = decode_envelope_type(content, arena, &type);
        else if (number == UNKNOWN_RAW)
            raw = content;
        else if (number == UNKNOWN_ENCODING && content.len > 0)
            err = error_new(ERROR_UNIMPLEMENTED, "protobuf envelope with content encoding \"%.*s\"",
                            STR_ARG(content));
        else if (number == UNKNOWN_CONTENT_TYPE && content.len > 0 &&
                 !str_eq_c(content, PROTOBUF_CONTENT_TYPE))
            err = error_new(ERROR_UNIMPLEMENTED, "protobuf envelope around content type \"%.*s\"",
                            STR_ARG(content));
        if (err)
            return err;
    }
    *ret_type = type;
    *ret_raw = raw;
    return NULL;
}

/* In one piece: protobuf-c's other way, piece by piece, measures each message once a level. */
void kube_encode_protobuf(const ProtobufCMessage *message, struct buf *out)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (out->overflowed || size > out->max_len - out->len) {
        out->overflowed = true;
        return;
    }
    AUTO(free) uint8_t *bytes = xcalloc(1, size);
    buf_add(out, bytes, protobuf_c_message_pack(message, bytes));
}

void codec_add_tag_and_length(struct buf *out, unsigned number, size_t len)
{
    buf_add_char(out, (char)(number << 3 | WIRE_BYTES));
    for (; len >= 0x80; len >>= 7)
        buf_add_char(out, (char)(len | 0x80));
    buf_add_char(out, (char)len);
}

/* Like the API server's, with the two empty texts that Go always writes. */
void kube_encode_envelope(const ProtobufCMessage *message, const struct kube_type_meta *type,
                          struct buf *out)
{
    Runtime__TypeMeta meta = RUNTIME__TYPE_META__INIT;
    meta.api_version = (char *)(uintptr_t)type->api_version;
    meta.kind = (char *)(uintptr_t)type->kind;
    buf_add(out, magic, sizeof(magic));
    codec_add_tag_and_length(out, UNKNOWN_TYPE_META,
                             protobuf_c_message_get_packed_size(&meta.base));
    kube_encode_protobuf(&meta.base, out);
    codec_add_tag_and_length(out, UNKNOWN_RAW, protobuf_c_message_get_packed_size(message));
    kube_encode_protobuf(message, out);
    codec_add_tag_and_length(out, UNKNOWN_ENCODING, 0);
    codec_add_tag_and_length(out, UNKNOWN_CONTENT_TYPE, 0);
}
