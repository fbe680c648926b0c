#include "config/field.h"

#include "base/time.h"

#include "meta.pb-c.h"

/* Where protobuf-c keeps a member, and its quantifier: the has_ bit or the count of a list. */
static void *member(const struct field *field)
{
    return (char *)field->message + field->type->offset;
}

static void *quantifier(const struct field *field)
{
    return (char *)field->message + field->type->quantifier_offset;
}

static bool is_list(const struct field *field)
{
    return field->type->label == PROTOBUF_C_LABEL_REPEATED;
}

static bool is_pointer(const struct field *field)
{
    return field->type->type == PROTOBUF_C_TYPE_STRING ||
           field->type->type == PROTOBUF_C_TYPE_MESSAGE;
}

ProtobufCMessage *field_new_message(const ProtobufCMessageDescriptor *type, struct arena *arena)
{
    ProtobufCMessage *message = arena_alloc(arena, type->sizeof_message);
    type->message_init(message);
    return message;
}

/* Walks to the message that holds the last name of @path; without @arena it stops at what is
 * absent. */
static struct field walk(ProtobufCMessage *root, const char *path, struct arena *arena)
{
    const ProtobufCMessageDescriptor *type = root->descriptor;
    struct str rest = str_from(path), name;
    struct field field = {.message = root};
    bool first = true;
    while (str_split_next(&rest, '.', &name)) {
        char text[80];
        ASSERT(name.len < sizeof(text));
        memcpy(text, name.ptr, name.len);
        text[name.len] = '\0';
        if (!first && field.message)
            field.message =
                arena ? field_make_message(&field, arena) : *(ProtobufCMessage **)member(&field);
        field.type = protobuf_c_message_descriptor_get_field_by_name(type, text);
        ASSERT(field.type);
        if (field.type->type == PROTOBUF_C_TYPE_MESSAGE)
            type = field.type->descriptor;
        first = false;
    }
    return field;
}

struct field field_find(ProtobufCMessage *root, const char *path)
{
    return walk(root, path, NULL);
}

struct field field_make(ProtobufCMessage *root, const char *path, struct arena *arena)
{
    return walk(root, path, arena);
}

struct field field_of(ProtobufCMessage *message, const char *name)
{
    struct field field = {
        .message = message,
        .type = protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name)};
    ASSERT(field.type);
    return field;
}

bool field_is_present(const struct field *field)
{
    if (!field->message)
        return false;
    if (is_list(field))
        return *(size_t *)quantifier(field) > 0;
    if (is_pointer(field))
        return *(void **)member(field) != NULL;
    return *(protobuf_c_boolean *)quantifier(field) != 0;
}

static bool is_zero_scalar(const struct field *field)
{
    switch ((int)field->type->type) {
    case PROTOBUF_C_TYPE_STRING:
        return field_text(field)[0] == '\0';
    case PROTOBUF_C_TYPE_BOOL:
        return !field_bool(field);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_INT64:
        return field_integer(field) == 0;
    case PROTOBUF_C_TYPE_DOUBLE:
        return !(*(double *)member(field) < 0 || *(double *)member(field) > 0);
    }
    return false;
}

/* Of a message that is one value, such as a duration; a message inside it counts as something. */
static bool is_zero_message(const struct field *field)
{
    ProtobufCMessage *inner = *(ProtobufCMessage **)member(field);
    if (inner->descriptor == &meta__fields_v1__descriptor)
        return field_duration(field) == 0;
    for (unsigned i = 0; i < inner->descriptor->n_fields; i++) {
        struct field part = {.message = inner, .type = &inner->descriptor->fields[i]};
        if (field_is_present(&part) && !is_zero_scalar(&part))
            return false;
    }
    return true;
}

bool field_is_zero(const struct field *field)
{
    if (!field_is_present(field))
        return true;
    if (is_list(field))
        return false;
    return field->type->type == PROTOBUF_C_TYPE_MESSAGE ? is_zero_message(field)
                                                        : is_zero_scalar(field);
}

void field_clear(const struct field *field)
{
    if (!field->message)
        return;
    if (is_list(field))
        *(size_t *)quantifier(field) = 0;
    else if (is_pointer(field))
        *(void **)member(field) = NULL;
    else
        *(protobuf_c_boolean *)quantifier(field) = 0;
}

void field_set_bool(const struct field *field, bool value)
{
    ASSERT(field->type->type == PROTOBUF_C_TYPE_BOOL && !is_list(field));
    *(protobuf_c_boolean *)quantifier(field) = 1;
    *(protobuf_c_boolean *)member(field) = value;
}

bool field_bool(const struct field *field)
{
    return field_is_present(field) && *(protobuf_c_boolean *)member(field) != 0;
}

void field_set_integer(const struct field *field, int64_t value)
{
    ASSERT(!is_list(field));
    *(protobuf_c_boolean *)quantifier(field) = 1;
    if (field->type->type == PROTOBUF_C_TYPE_INT64) {
        *(int64_t *)member(field) = value;
        return;
    }
    int32_t narrow = 0;
    ASSERT(field->type->type == PROTOBUF_C_TYPE_INT32 && to_i32_checked(value, &narrow));
    *(int32_t *)member(field) = narrow;
}

int64_t field_integer(const struct field *field)
{
    if (!field_is_present(field))
        return 0;
    if (field->type->type == PROTOBUF_C_TYPE_INT64)
        return *(int64_t *)member(field);
    ASSERT(field->type->type == PROTOBUF_C_TYPE_INT32);
    return *(int32_t *)member(field);
}

void field_set_double(const struct field *field, double value)
{
    ASSERT(field->type->type == PROTOBUF_C_TYPE_DOUBLE && !is_list(field));
    *(protobuf_c_boolean *)quantifier(field) = 1;
    *(double *)member(field) = value;
}

void field_set_text(const struct field *field, const char *text, struct arena *arena)
{
    ASSERT(field->type->type == PROTOBUF_C_TYPE_STRING && !is_list(field));
    *(char **)member(field) = arena_strdup(arena, text);
}

const char *field_text(const struct field *field)
{
    const char *text = field->message ? *(char **)member(field) : NULL;
    return text ? text : "";
}

void field_set_duration(const struct field *field, int64_t duration_ns, struct arena *arena)
{
    ProtobufCMessage *message = field_make_message(field, arena);
    if (message->descriptor == &meta__duration__descriptor) {
        struct field inner = field_of(message, "duration");
        field_set_integer(&inner, duration_ns);
        return;
    }
    ASSERT(message->descriptor == &meta__fields_v1__descriptor);
    Meta__FieldsV1 *json = (Meta__FieldsV1 *)message;
    char text[TIME_TEXT_SIZE];
    char *quoted = arena_printf(arena, "\"%s\"", time_format_duration(duration_ns, text));
    json->has_raw = 1;
    json->raw = (ProtobufCBinaryData){.len = strlen(quoted), .data = (uint8_t *)quoted};
}

bool field_parse_duration(const struct field *field, int64_t *ret_ns)
{
    ProtobufCMessage *message =
        field_is_present(field) ? *(ProtobufCMessage **)member(field) : NULL;
    if (!message || message->descriptor == &meta__duration__descriptor) {
        *ret_ns = message ? ((const Meta__Duration *)message)->duration : 0;
        return true;
    }
    ASSERT(message->descriptor == &meta__fields_v1__descriptor);
    const Meta__FieldsV1 *json = (const Meta__FieldsV1 *)message;
    struct str text = {.ptr = (const char *)json->raw.data, .len = json->raw.len};
    if (text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"') {
        text = (struct str){.ptr = text.ptr + 1, .len = text.len - 2};
        AUTO(error) struct error *err = time_parse_duration(text, ret_ns);
        return !err;
    }
    AUTO(free) char *number = str_dup(text);
    return parse_i64(number, INT64_MIN, INT64_MAX, ret_ns);
}

int64_t field_duration(const struct field *field)
{
    int64_t duration_ns = 0;
    return field_parse_duration(field, &duration_ns) ? duration_ns : 0;
}

ProtobufCMessage *field_make_message(const struct field *field, struct arena *arena)
{
    ASSERT(field->type->type == PROTOBUF_C_TYPE_MESSAGE && !is_list(field));
    ProtobufCMessage **slot = member(field);
    if (!*slot)
        *slot = field_new_message(field->type->descriptor, arena);
    return *slot;
}

struct field field_inner(const struct field *field, const char *name)
{
    struct field inner = {
        .message = field_is_present(field) ? *(ProtobufCMessage **)member(field) : NULL,
        .type = protobuf_c_message_descriptor_get_field_by_name(field->type->descriptor, name)};
    ASSERT(inner.type);
    return inner;
}

size_t field_count(const struct field *field)
{
    return field->message ? *(size_t *)quantifier(field) : 0;
}

const char *field_text_at(const struct field *field, size_t index)
{
    ASSERT(index < field_count(field));
    return (*(char ***)member(field))[index];
}

ProtobufCMessage *field_message_at(const struct field *field, size_t index)
{
    ASSERT(index < field_count(field));
    return (*(ProtobufCMessage ***)member(field))[index];
}

/* Lists here are a handful of elements, so each one simply gets a fresh array. */
static void add_pointer(const struct field *field, void *element, struct arena *arena)
{
    ASSERT(is_list(field));
    size_t count = field_count(field);
    void **items = arena_calloc(arena, count + 1, sizeof(void *));
    if (count > 0)
        memcpy(items, *(void ***)member(field), count * sizeof(void *));
    items[count] = element;
    *(void ***)member(field) = items;
    *(size_t *)quantifier(field) = count + 1;
}

void field_add_text(const struct field *field, const char *text, struct arena *arena)
{
    ASSERT(field->type->type == PROTOBUF_C_TYPE_STRING);
    add_pointer(field, arena_strdup(arena, text), arena);
}

ProtobufCMessage *field_add_message(const struct field *field, struct arena *arena)
{
    ASSERT(field->type->type == PROTOBUF_C_TYPE_MESSAGE);
    ProtobufCMessage *message = field_new_message(field->type->descriptor, arena);
    add_pointer(field, message, arena);
    return message;
}

ProtobufCMessage *field_map_get(const struct field *field, const char *key)
{
    for (size_t i = 0; i < field_count(field); i++) {
        ProtobufCMessage *entry = field_message_at(field, i);
        struct field entry_key = field_of(entry, "key");
        if (text_eq(field_text(&entry_key), key))
            return entry;
    }
    return NULL;
}

ProtobufCMessage *field_map_make(const struct field *field, const char *key, struct arena *arena)
{
    ProtobufCMessage *entry = field_map_get(field, key);
    if (entry)
        return entry;
    entry = field_add_message(field, arena);
    struct field entry_key = field_of(entry, "key");
    field_set_text(&entry_key, key, arena);
    return entry;
}
