/*
 * Any bytes as a Pod and as any object that names its kind: as text, as a stream of documents, as
 * protobuf, and in the envelope. Properties: no crash, and whatever is decoded survives JSON, YAML,
 * protobuf and copying unchanged.
 */
#include "kube/kinds.h"

#include "core.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct kube_decode_options strict = {.unknown = KUBE_UNKNOWN_STRICT};
static const struct kube_decode_options tolerant = {.unknown = KUBE_UNKNOWN_TOLERANT};

typedef struct error *(*decode_fn)(struct str text, const ProtobufCMessageDescriptor *type,
                                   const struct kube_decode_options *options, struct arena *arena,
                                   ProtobufCMessage **ret);
typedef void (*encode_fn)(const ProtobufCMessage *message, const struct kube_type_meta *type,
                          struct buf *out);

static void check_text(const ProtobufCMessage *message, encode_fn encode, decode_fn decode,
                       struct arena *arena)
{
    AUTO(buf) struct buf text;
    ProtobufCMessage *back = NULL;
    buf_init(&text, KUBE_OBJECT_MAX_BYTES);
    encode(message, NULL, &text);
    if (text.overflowed)
        return;
    struct error *err = decode(buf_str(&text), message->descriptor, &strict, arena, &back);
    ASSERT(!err);
    ASSERT(kube_message_eq(message, back));
}

/* Texts of a protobuf message need not be UTF-8, which no text format can hold. */
static void check_message(const ProtobufCMessage *message, bool is_utf8, struct arena *arena)
{
    AUTO(buf) struct buf pb;
    ProtobufCMessage *back = NULL;
    buf_init(&pb, KUBE_OBJECT_MAX_BYTES);
    ASSERT(kube_message_eq(message, kube_message_dup(message, arena)));
    kube_encode_protobuf(message, &pb);
    if (!pb.overflowed) {
        struct error *err = kube_decode_protobuf(buf_str(&pb), message->descriptor, arena, &back);
        ASSERT(!err);
        ASSERT(kube_message_eq(message, back));
    }
    if (is_utf8) {
        check_text(message, kube_encode_json, kube_decode_json, arena);
        check_text(message, kube_encode_json_pretty, kube_decode_text, arena);
        check_text(message, kube_encode_yaml, kube_decode_yaml, arena);
        return;
    }
    pb.overflowed = false;
    buf_clear(&pb);
    kube_encode_json(message, NULL, &pb);
    buf_clear(&pb);
    kube_encode_yaml(message, NULL, &pb);
}

static struct error *check_text_object(void *ctx, UNUSED const struct kube_kind *kind,
                                       ProtobufCMessage *object)
{
    check_message(object, true, ctx);
    return NULL;
}

static void check_any(struct str bytes, struct arena *arena)
{
    const struct kube_kind *kind;
    ProtobufCMessage *object;
    struct error *err =
        kube_decode_items(bytes, KUBE_YAML, &tolerant, arena, check_text_object, arena);
    error_ignore(err, "most inputs are no text");
    err = kube_decode_items(bytes, KUBE_JSON, &tolerant, arena, check_text_object, arena);
    error_ignore(err, "as above");
    err = kube_decode_any(bytes, KUBE_PROTOBUF, &tolerant, arena, &kind, &object);
    if (!err)
        check_message(object, false, arena);
    error_ignore(err, "most inputs are no envelope");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct str bytes = {.ptr = (const char *)data, .len = size};
    ProtobufCMessage *message = NULL;
    struct kube_type_meta type;
    struct str raw = bytes;

    struct error *err = kube_decode_text(bytes, &core__pod__descriptor, &tolerant, arena, &message);
    if (!err)
        check_message(message, true, arena);
    error_ignore(err, "most inputs are no text");

    err = kube_decode_envelope(bytes, arena, &type, &raw);
    error_ignore(err, "then it is taken as the bare message");
    err = kube_decode_protobuf(raw, &core__pod__descriptor, arena, &message);
    if (!err)
        check_message(message, false, arena);
    error_ignore(err, "most inputs are no protobuf");
    check_any(bytes, arena);
    return 0;
}
