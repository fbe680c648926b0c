/* From a message to JSON or YAML, by the one writer both have. */
#include "kube/codec_plan.h"

#include "kube/codec_base64.h"
#include "wire/json.h"
#include "wire/yaml.h"

#include "base/time.h"

#include <math.h>

#include "intstr.pb-c.h"
#include "meta.pb-c.h"
#include "quantity.pb-c.h"

struct encoder {
    struct doc_writer *writer;
    struct codec_plan plan;
};

/* NOLINTBEGIN(misc-no-recursion): no message type contains itself */
static void encode_message(struct encoder *encoder, const ProtobufCMessage *message);

static void encode_bytes(struct doc_writer *writer, const ProtobufCBinaryData *bytes)
{
    AUTO(free) char *text = base64_encode(bytes->data, bytes->len);
    doc_write_text(writer, text);
}

static void encode_real(struct doc_writer *writer, double real)
{
    char text[DOC_REAL_SIZE];
    /* JSON has no word for the others. */
    writer->ops->literal(writer, isfinite(real) ? doc_format_real(real, text) : "null");
}

static void encode_element(struct encoder *encoder, const void *element, enum codec_storage storage)
{
    struct doc_writer *writer = encoder->writer;
    union {
        int32_t i32;
        uint32_t u32;
        int64_t i64;
        uint64_t u64;
        float single;
        double real;
        protobuf_c_boolean boolean;
        ProtobufCBinaryData bytes;
        const char *text;
        const ProtobufCMessage *message;
    } value;
    memcpy(&value, element, codec_storage_size(storage));
    switch (storage) {
    case CODEC_STORE_I32:
        doc_write_integer(writer, value.i32);
        break;
    case CODEC_STORE_U32:
        doc_write_unsigned(writer, value.u32);
        break;
    case CODEC_STORE_I64:
        doc_write_integer(writer, value.i64);
        break;
    case CODEC_STORE_U64:
        doc_write_unsigned(writer, value.u64);
        break;
    case CODEC_STORE_FLOAT:
        encode_real(writer, (double)value.single);
        break;
    case CODEC_STORE_DOUBLE:
        encode_real(writer, value.real);
        break;
    case CODEC_STORE_BOOL:
        doc_write_bool(writer, value.boolean != 0);
        break;
    case CODEC_STORE_TEXT:
        doc_write_text(writer, value.text ? value.text : "");
        break;
    case CODEC_STORE_BYTES:
        encode_bytes(writer, &value.bytes);
        break;
    case CODEC_STORE_MESSAGE:
        if (value.message)
            encode_message(encoder, value.message);
        else
            writer->ops->literal(writer, "null");
        break;
    }
}

static void encode_list(struct encoder *encoder, const ProtobufCMessage *message,
                        const ProtobufCFieldDescriptor *field)
{
    struct doc_writer *writer = encoder->writer;
    enum codec_storage storage = codec_storage_of(field);
    size_t count = codec_count(message, field);
    writer->ops->begin_array(writer);
    for (size_t i = 0; i < count; i++)
        encode_element(encoder, codec_element(message, field, i), storage);
    writer->ops->end_array(writer);
}

static void encode_map(struct encoder *encoder, const ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field)
{
    struct doc_writer *writer = encoder->writer;
    AUTO(free) ProtobufCMessage **owned = NULL;
    ProtobufCMessage **sorted = codec_map_sorted(message, field, &owned);
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    const ProtobufCFieldDescriptor *value = &entry->fields[1];
    size_t count = codec_count(message, field);
    writer->ops->begin_object(writer);
    for (size_t i = 0; i < count; i++) {
        doc_write_key(writer, codec_map_key(sorted[i]));
        encode_element(encoder, codec_member(sorted[i], value), codec_storage_of(value));
    }
    writer->ops->end_object(writer);
}

static bool shows_absent(const ProtobufCMessageDescriptor *type,
                         const ProtobufCFieldDescriptor *field)
{
    bool is_time =
        field->type == PROTOBUF_C_TYPE_MESSAGE && field->descriptor == &meta__time__descriptor;
    return (is_time || codec_is_list(field)) && codec_is_shown_empty(type, field);
}

static void encode_fields(struct encoder *encoder, const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    struct codec_type_plan *type_plan = codec_plan_type(&encoder->plan, type);
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if (codec_count(message, field) == 0 && !shows_absent(type, field))
            continue;
        const struct codec_field_plan *plan = codec_plan_field(&encoder->plan, type_plan, i);
        if (plan->is_inline) {
            encode_fields(encoder, codec_message_at(codec_member(message, field)));
            continue;
        }
        encoder->writer->ops->key(encoder->writer, plan->json_name);
        if (plan->is_map)
            encode_map(encoder, message, field);
        else if (codec_is_list(field))
            encode_list(encoder, message, field);
        else
            encode_element(encoder, codec_member(message, field), plan->storage);
    }
}

/* @digits of the fraction; an unset time is null. */
static void encode_time(struct doc_writer *writer, const ProtobufCMessage *message, int digits)
{
    const Meta__Time *time = (const Meta__Time *)message;
    char text[TIME_TEXT_SIZE];
    int32_t nanos = (int32_t)clamp_i64(time->nanos, 0, NS_PER_SEC - 1);
    if (time->has_seconds)
        doc_write_text(writer, time_format_parts(time->seconds, nanos, digits, text));
    else
        writer->ops->literal(writer, "null");
}

/* Checked or written anew from its tree, so that what is no JSON cannot spoil the document: it
 * becomes null. */
static void encode_raw(struct doc_writer *writer, const ProtobufCMessage *message)
{
    const struct doc_parse_options options = {.max_bytes = KUBE_OBJECT_MAX_BYTES};
    ProtobufCBinaryData bytes;
    const struct doc_node *node = NULL;
    memcpy(&bytes, codec_member(message, &message->descriptor->fields[0]), sizeof(bytes));
    const struct str text = {.ptr = (const char *)bytes.data, .len = bytes.len};
    if (writer->ops->json && writer->ops->json(writer, text))
        return;
    AUTO(arena) struct arena *scratch = arena_new(0);
    struct error *err = json_parse(text, &options, scratch, &node);
    if (err) {
        error_ignore(err, "raw bytes that are no JSON have no place in JSON");
        writer->ops->literal(writer, "null");
        return;
    }
    doc_write_node(writer, node);
}

static void encode_message(struct encoder *encoder, const ProtobufCMessage *message)
{
    struct doc_writer *writer = encoder->writer;
    char duration[TIME_TEXT_SIZE];
    switch (codec_plan_type(&encoder->plan, message->descriptor)->special) {
    case CODEC_OBJECT:
        writer->ops->begin_object(writer);
        encode_fields(encoder, message);
        writer->ops->end_object(writer);
        break;
    case CODEC_TIME:
        encode_time(writer, message, 0);
        break;
    case CODEC_MICRO_TIME:
        encode_time(writer, message, 6);
        break;
    case CODEC_DURATION:
        doc_write_text(writer,
                       time_format_duration(((const Meta__Duration *)message)->duration, duration));
        break;
    case CODEC_QUANTITY: {
        const char *text = ((const Meta__Quantity *)message)->string;
        doc_write_text(writer, text ? text : "0");
        break;
    }
    case CODEC_INT_OR_STRING: {
        const Meta__IntOrString *value = (const Meta__IntOrString *)message;
        if (value->type == 1)
            doc_write_text(writer, value->str_val ? value->str_val : "");
        else
            doc_write_integer(writer, value->int_val);
        break;
    }
    case CODEC_RAW_JSON:
        encode_raw(writer, message);
        break;
    case CODEC_STRING_LIST:
        encode_list(encoder, message, &message->descriptor->fields[0]);
        break;
    }
}
/* NOLINTEND(misc-no-recursion) */

void codec_write_object(struct doc_writer *writer, const ProtobufCMessage *message,
                        const struct kube_type_meta *type)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct encoder encoder = {.writer = writer, .plan = {.arena = arena}};
    if (!type || codec_special_of(message->descriptor) != CODEC_OBJECT) {
        encode_message(&encoder, message);
        return;
    }
    writer->ops->begin_object(writer);
    doc_write_key(writer, "kind");
    doc_write_text(writer, type->kind);
    doc_write_key(writer, "apiVersion");
    doc_write_text(writer, type->api_version);
    encode_fields(&encoder, message);
    writer->ops->end_object(writer);
}

void kube_encode_json(const ProtobufCMessage *message, const struct kube_type_meta *type,
                      struct buf *out)
{
    struct json_writer writer;
    json_writer_init(&writer, out, false);
    codec_write_object(&writer.base, message, type);
}

void kube_encode_json_pretty(const ProtobufCMessage *message, const struct kube_type_meta *type,
                             struct buf *out)
{
    struct json_writer writer;
    json_writer_init(&writer, out, true);
    codec_write_object(&writer.base, message, type);
}

void kube_encode_yaml(const ProtobufCMessage *message, const struct kube_type_meta *type,
                      struct buf *out)
{
    struct yaml_writer writer;
    yaml_writer_init(&writer, out);
    codec_write_object(&writer.base, message, type);
    yaml_writer_done(&writer);
}
