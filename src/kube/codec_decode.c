/*
 * From a document tree to a message. The recursion follows the message types, none of which
 * contains itself, and the document, whose depth the parsers cap. Where we are is kept as a chain
 * of path steps on the stack, which costs nothing until an error needs its text.
 */
#include "kube/codec_internal.h"

#include "kube/codec_base64.h"
#include "kube/quantity.h"
#include "wire/json.h"

#include "base/time.h"

#include "intstr.pb-c.h"
#include "meta.pb-c.h"
#include "quantity.pb-c.h"
#include "runtime.pb-c.h"

struct path {
    const struct path *parent;
    struct str name; /* of a field, or a map key */
    size_t index;
    enum { PATH_FIELD, PATH_KEY, PATH_INDEX } kind;
};

struct decoder {
    const struct kube_decode_options *options;
    struct arena *arena;
};

static const char *path_text(const struct path *path, struct arena *arena)
{
    const char *text = "";
    for (; path; path = path->parent) {
        const char *dot = text[0] && text[0] != '[' ? "." : "";
        switch (path->kind) {
        case PATH_FIELD:
            text = arena_printf(arena, "%.*s%s%s", STR_ARG(path->name), dot, text);
            break;
        case PATH_KEY:
            text = arena_printf(arena, "[%.*s]%s%s", STR_ARG(path->name), dot, text);
            break;
        case PATH_INDEX:
            text = arena_printf(arena, "[%zu]%s%s", path->index, dot, text);
            break;
        }
    }
    return text;
}

static struct error *fail(const struct decoder *decoder, const struct path *path,
                          const struct doc_node *node, const char *what)
{
    const char *where = path_text(path, decoder->arena);
    return error_new(ERROR_INVALID_ARGUMENT, "%s%s%s%s",
                     doc_location(decoder->options->file, node->line, decoder->arena), where,
                     where[0] ? ": " : "", what);
}

static struct error *expected(const struct decoder *decoder, const struct path *path,
                              const struct doc_node *node, const char *want)
{
    return fail(decoder, path, node,
                arena_printf(decoder->arena, "expected %s, found %s", want,
                             doc_describe(node, decoder->arena)));
}

/* NOLINTBEGIN(misc-no-recursion): no message type contains itself */
static struct error *decode_message(const struct decoder *decoder, const struct path *path,
                                    const struct doc_node *node,
                                    const ProtobufCMessageDescriptor *type, bool is_object,
                                    ProtobufCMessage **ret);

static struct error *decode_text(const struct decoder *decoder, const struct path *path,
                                 const struct doc_node *node, char **ret)
{
    if (node->kind != DOC_STRING)
        return expected(decoder, path, node, "a string");
    *ret = arena_strndup(decoder->arena, node->string.ptr, node->string.len);
    return NULL;
}

static struct error *decode_integer(const struct decoder *decoder, const struct path *path,
                                    const struct doc_node *node, int64_t low, int64_t high,
                                    int64_t *ret)
{
    if (node->kind != DOC_INTEGER)
        return expected(decoder, path, node, "an integer");
    if (node->integer < low || node->integer > high)
        return expected(decoder, path, node,
                        arena_printf(decoder->arena, "an integer from %lld to %lld", (long long)low,
                                     (long long)high));
    *ret = node->integer;
    return NULL;
}

static struct error *decode_real(const struct decoder *decoder, const struct path *path,
                                 const struct doc_node *node, double *ret)
{
    if (node->kind != DOC_REAL && node->kind != DOC_INTEGER)
        return expected(decoder, path, node, "a number");
    *ret = node->kind == DOC_REAL ? node->real : (double)node->integer;
    return NULL;
}

static struct error *decode_bytes(const struct decoder *decoder, const struct path *path,
                                  const struct doc_node *node, ProtobufCBinaryData *ret)
{
    if (node->kind != DOC_STRING)
        return expected(decoder, path, node, "a base64 string");
    if (!base64_decode(node->string, decoder->arena, &ret->data, &ret->len))
        return fail(decoder, path, node, "expected a base64 string, found other characters");
    return NULL;
}

/* A scalar, a text or bytes into the memory at @element. */
static struct error *decode_scalar(const struct decoder *decoder, const struct path *path,
                                   const struct doc_node *node, enum codec_storage storage,
                                   void *element)
{
    struct error *err;
    int64_t integer = 0;
    double real = 0;
    switch (storage) {
    case CODEC_STORE_I32:
    case CODEC_STORE_U32: {
        bool is_signed = storage == CODEC_STORE_I32;
        err = decode_integer(decoder, path, node, is_signed ? INT32_MIN : 0,
                             is_signed ? INT32_MAX : UINT32_MAX, &integer);
        uint32_t narrow = (uint32_t)integer;
        memcpy(element, &narrow, sizeof(narrow));
        return err;
    }
    case CODEC_STORE_I64:
    case CODEC_STORE_U64:
        err = decode_integer(decoder, path, node, storage == CODEC_STORE_I64 ? INT64_MIN : 0,
                             INT64_MAX, &integer);
        memcpy(element, &integer, sizeof(integer));
        return err;
    case CODEC_STORE_FLOAT: {
        err = decode_real(decoder, path, node, &real);
        float single = (float)real;
        memcpy(element, &single, sizeof(single));
        return err;
    }
    case CODEC_STORE_DOUBLE:
        err = decode_real(decoder, path, node, &real);
        memcpy(element, &real, sizeof(real));
        return err;
    case CODEC_STORE_BOOL: {
        if (node->kind != DOC_BOOL)
            return expected(decoder, path, node, "a boolean");
        protobuf_c_boolean boolean = node->boolean;
        memcpy(element, &boolean, sizeof(boolean));
        return NULL;
    }
    case CODEC_STORE_TEXT:
        return decode_text(decoder, path, node, element);
    case CODEC_STORE_BYTES:
        return decode_bytes(decoder, path, node, element);
    case CODEC_STORE_MESSAGE:
        break;
    }
    return error_new(ERROR_INTERNAL, "a message is no scalar");
}

static struct error *decode_element(const struct decoder *decoder, const struct path *path,
                                    const struct doc_node *node,
                                    const ProtobufCFieldDescriptor *field, void *element)
{
    enum codec_storage storage = codec_storage_of(field);
    if (storage != CODEC_STORE_MESSAGE)
        return decode_scalar(decoder, path, node, storage, element);
    /* The items of a list object are objects with a kind of their own. */
    bool is_object = text_eq(field->name, "items") &&
                     codec_find_field(field->descriptor, STR_LITERAL("metadata")) != NULL;
    return decode_message(decoder, path, node, field->descriptor, is_object, element);
}

static void set_list(const struct decoder *decoder, ProtobufCMessage *message,
                     const ProtobufCFieldDescriptor *field, size_t count)
{
    void *array = arena_calloc(decoder->arena, count, codec_storage_size(codec_storage_of(field)));
    codec_set_pointer(codec_member(message, field), array);
    memcpy(codec_quantifier(message, field), &count, sizeof(count));
}

/* A null in a list (in YAML a dash with nothing behind it) is the zero value, as it is to Go. */
static void set_zero_element(const struct decoder *decoder, const ProtobufCFieldDescriptor *field,
                             void *element)
{
    if (field->type == PROTOBUF_C_TYPE_STRING)
        codec_set_pointer(element, arena_alloc(decoder->arena, 1));
    else if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        codec_set_pointer(element, kube_message_new(field->descriptor, decoder->arena));
}

static struct error *decode_list(const struct decoder *decoder, const struct path *path,
                                 const struct doc_node *node, ProtobufCMessage *message,
                                 const ProtobufCFieldDescriptor *field)
{
    if (node->kind != DOC_ARRAY)
        return expected(decoder, path, node, "an array");
    if (node->array.count == 0)
        return NULL;
    set_list(decoder, message, field, node->array.count);
    for (size_t i = 0; i < node->array.count; i++) {
        const struct doc_node *item = node->array.items[i];
        struct path here = {.parent = path, .index = i, .kind = PATH_INDEX};
        void *element = codec_element(message, field, i);
        struct error *err = NULL;
        if (item->kind == DOC_NULL)
            set_zero_element(decoder, field, element);
        else
            err = decode_element(decoder, &here, item, field, element);
        if (err)
            return err;
    }
    return NULL;
}

static struct error *decode_map(const struct decoder *decoder, const struct path *path,
                                const struct doc_node *node, ProtobufCMessage *message,
                                const ProtobufCFieldDescriptor *field)
{
    if (node->kind != DOC_OBJECT)
        return expected(decoder, path, node, "an object");
    if (node->object.count == 0)
        return NULL;
    const ProtobufCMessageDescriptor *entry_type = field->descriptor;
    const ProtobufCFieldDescriptor *key = &entry_type->fields[0], *value = &entry_type->fields[1];
    set_list(decoder, message, field, node->object.count);
    for (size_t i = 0; i < node->object.count; i++) {
        const struct doc_member *member = &node->object.members[i];
        struct path here = {.parent = path, .name = member->key, .kind = PATH_KEY};
        ProtobufCMessage *entry = kube_message_new(entry_type, decoder->arena);
        char *text = arena_strndup(decoder->arena, member->key.ptr, member->key.len);
        codec_set_pointer(codec_member(entry, key), text);
        codec_set_pointer(codec_element(message, field, i), entry);
        /* A null value stays absent here; normalising makes it the zero value, as Go does. */
        if (member->value->kind == DOC_NULL)
            continue;
        struct error *err =
            decode_element(decoder, &here, member->value, value, codec_member(entry, value));
        if (err)
            return err;
        codec_set_present(entry, value, true);
    }
    return NULL;
}

static struct error *decode_field(const struct decoder *decoder, const struct path *path,
                                  const struct doc_node *node, ProtobufCMessage *message,
                                  const ProtobufCFieldDescriptor *field)
{
    if (node->kind == DOC_NULL)
        return NULL;
    if (codec_is_map(message->descriptor, field))
        return decode_map(decoder, path, node, message, field);
    if (codec_is_list(field))
        return decode_list(decoder, path, node, message, field);
    struct error *err = decode_element(decoder, path, node, field, codec_member(message, field));
    if (!err)
        codec_set_present(message, field, true);
    return err;
}

/* Tries the inlined messages of @message; *ret_found tells whether one of them has the field. */
static struct error *decode_inlined(const struct decoder *decoder, const struct path *path,
                                    const struct doc_member *member, ProtobufCMessage *message,
                                    bool *ret_found)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    *ret_found = false;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *outer = &type->fields[i];
        if (!codec_is_inline(type, outer))
            continue;
        const ProtobufCFieldDescriptor *inner = codec_find_field(outer->descriptor, member->key);
        if (!inner)
            continue;
        *ret_found = true;
        ProtobufCMessage *holder = codec_message_at(codec_member(message, outer));
        if (!holder) {
            holder = kube_message_new(outer->descriptor, decoder->arena);
            codec_set_pointer(codec_member(message, outer), holder);
        }
        return decode_field(decoder, path, member->value, holder, inner);
    }
    return NULL;
}

static struct error *decode_member(const struct decoder *decoder, const struct path *parent,
                                   const struct doc_member *member, ProtobufCMessage *message,
                                   bool is_object)
{
    struct path path = {.parent = parent, .name = member->key, .kind = PATH_FIELD};
    const ProtobufCFieldDescriptor *field = codec_find_field(message->descriptor, member->key);
    if (field)
        return decode_field(decoder, &path, member->value, message, field);
    bool is_found = false;
    struct error *err = decode_inlined(decoder, &path, member, message, &is_found);
    if (err || is_found)
        return err;
    bool is_type_meta =
        is_object && (str_eq_c(member->key, "apiVersion") || str_eq_c(member->key, "kind"));
    if (is_type_meta || decoder->options->unknown == KUBE_UNKNOWN_TOLERANT)
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "%sunknown field \"%s\"",
                     doc_location(decoder->options->file, member->line, decoder->arena),
                     path_text(&path, decoder->arena));
}

static struct error *decode_time(const struct decoder *decoder, const struct path *path,
                                 const struct doc_node *node, ProtobufCMessage *message)
{
    int64_t seconds;
    int32_t nanos;
    AUTO(error) struct error *err = NULL;
    if (node->kind != DOC_STRING)
        return expected(decoder, path, node, "a time such as \"2006-01-02T15:04:05Z\"");
    err = time_parse_parts(node->string, &seconds, &nanos);
    if (err)
        return expected(decoder, path, node, "a time such as \"2006-01-02T15:04:05Z\"");
    /* Both kinds of time have the same two fields; normalising cuts the nanoseconds. */
    Meta__Time *time = (Meta__Time *)message;
    time->has_seconds = time->has_nanos = true;
    time->seconds = seconds;
    time->nanos = nanos;
    return NULL;
}

static struct error *decode_duration(const struct decoder *decoder, const struct path *path,
                                     const struct doc_node *node, Meta__Duration *duration)
{
    AUTO(error) struct error *err = NULL;
    int64_t value_ns = 0;
    if (node->kind == DOC_STRING)
        err = time_parse_duration(node->string, &value_ns);
    if (node->kind != DOC_STRING || err)
        return expected(decoder, path, node, "a duration such as \"1m30s\"");
    duration->has_duration = true;
    duration->duration = value_ns;
    return NULL;
}

static struct error *decode_quantity(const struct decoder *decoder, const struct path *path,
                                     const struct doc_node *node, Meta__Quantity *quantity)
{
    char real[DOC_REAL_SIZE];
    struct str text = {.ptr = NULL};
    if (node->kind == DOC_STRING)
        text = str_trim(node->string);
    else if (node->kind == DOC_INTEGER)
        text = str_from(arena_printf(decoder->arena, "%lld", (long long)node->integer));
    else if (node->kind == DOC_REAL)
        text = str_from(doc_format_real(node->real, real));
    else
        return expected(decoder, path, node, "a quantity such as \"500m\" or \"64Mi\"");
    AUTO(error) struct error *err = quantity_check(text);
    if (err)
        return fail(
            decoder, path, node,
            arena_printf(decoder->arena, "quantity \"%.*s\": %s", STR_ARG(text), err->message));
    quantity->string = arena_strndup(decoder->arena, text.ptr, text.len);
    return NULL;
}

static struct error *decode_int_or_string(const struct decoder *decoder, const struct path *path,
                                          const struct doc_node *node, Meta__IntOrString *value)
{
    int64_t integer = 0;
    value->has_type = true;
    if (node->kind == DOC_STRING) {
        value->type = 1;
        return decode_text(decoder, path, node, &value->str_val);
    }
    if (node->kind != DOC_INTEGER)
        return expected(decoder, path, node, "an integer or a string");
    struct error *err = decode_integer(decoder, path, node, INT32_MIN, INT32_MAX, &integer);
    value->type = 0;
    value->has_int_val = true;
    value->int_val = (int32_t)integer;
    return err;
}

static struct error *decode_raw(const struct decoder *decoder, const struct doc_node *node,
                                ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *raw = &message->descriptor->fields[0];
    struct json_writer writer;
    AUTO(buf) struct buf text;
    buf_init(&text, 6 * KUBE_OBJECT_MAX_BYTES); /* the worst that escaping makes of it */
    json_writer_init(&writer, &text, false);
    doc_write_node(&writer.base, node);
    struct error *err = buf_error(&text, "a raw field");
    if (err)
        return err;
    ProtobufCBinaryData bytes = {.len = text.len};
    bytes.data = arena_memdup(decoder->arena, buf_text(&text), text.len);
    memcpy(codec_member(message, raw), &bytes, sizeof(bytes));
    codec_set_present(message, raw, true);
    return NULL;
}

static struct error *decode_object(const struct decoder *decoder, const struct path *path,
                                   const struct doc_node *node, ProtobufCMessage *message,
                                   bool is_object)
{
    if (node->kind != DOC_OBJECT)
        return expected(decoder, path, node, "an object");
    for (size_t i = 0; i < node->object.count; i++) {
        struct error *err =
            decode_member(decoder, path, &node->object.members[i], message, is_object);
        if (err)
            return err;
    }
    return NULL;
}

static struct error *decode_message(const struct decoder *decoder, const struct path *path,
                                    const struct doc_node *node,
                                    const ProtobufCMessageDescriptor *type, bool is_object,
                                    ProtobufCMessage **ret)
{
    if (arena_used(decoder->arena) > CODEC_DECODED_MAX_FACTOR * codec_max_bytes(decoder->options))
        return error_new(ERROR_RESOURCE_EXHAUSTED, "%stakes too much memory when decoded",
                         doc_location(decoder->options->file, node->line, decoder->arena));
    ProtobufCMessage *message = kube_message_new(type, decoder->arena);
    *ret = message;
    switch (codec_special_of(type)) {
    case CODEC_OBJECT:
        return decode_object(decoder, path, node, message, is_object);
    case CODEC_TIME:
    case CODEC_MICRO_TIME:
        return decode_time(decoder, path, node, message);
    case CODEC_DURATION:
        return decode_duration(decoder, path, node, (Meta__Duration *)message);
    case CODEC_QUANTITY:
        return decode_quantity(decoder, path, node, (Meta__Quantity *)message);
    case CODEC_INT_OR_STRING:
        return decode_int_or_string(decoder, path, node, (Meta__IntOrString *)message);
    case CODEC_RAW_JSON:
        return decode_raw(decoder, node, message);
    case CODEC_STRING_LIST:
        return decode_list(decoder, path, node, message, &type->fields[0]);
    }
    return error_new(ERROR_INTERNAL, "%s has no decoder", type->name);
}
/* NOLINTEND(misc-no-recursion) */

_Static_assert(sizeof(Meta__Time) == sizeof(Meta__MicroTime), "decode_time() serves both");
_Static_assert(offsetof(Meta__Time, nanos) == offsetof(Meta__MicroTime, nanos), "as above");

struct error *codec_decode_node(const struct doc_node *node, const ProtobufCMessageDescriptor *type,
                                const struct kube_decode_options *options, struct arena *scratch,
                                ProtobufCMessage **ret)
{
    struct decoder decoder = {.options = options, .arena = scratch};
    ProtobufCMessage *message = NULL;
    struct error *err = decode_message(&decoder, NULL, node, type, true, &message);
    if (!err)
        err = codec_normalise(message, scratch);
    if (!err)
        *ret = message;
    return err;
}
