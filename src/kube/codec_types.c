/* The table of special cases, and how protobuf-c lays out what is not special. */
#include "kube/codec_internal.h"

#include "kube/names.h"

#include "core.pb-c.h"
#include "intstr.pb-c.h"
#include "meta.pb-c.h"
#include "quantity.pb-c.h"
#include "resource.pb-c.h"
#include "runtime.pb-c.h"

/* Types are told apart by the address of their descriptor: this is asked for every value. */
struct special_row {
    const ProtobufCMessageDescriptor *type;
    enum codec_special special;
};

static const struct special_row special_rows[] = {
    {&meta__time__descriptor, CODEC_TIME},
    {&meta__micro_time__descriptor, CODEC_MICRO_TIME},
    {&meta__duration__descriptor, CODEC_DURATION},
    {&meta__quantity__descriptor, CODEC_QUANTITY},
    {&meta__int_or_string__descriptor, CODEC_INT_OR_STRING},
    {&meta__fields_v1__descriptor, CODEC_RAW_JSON},
    {&runtime__raw_extension__descriptor, CODEC_RAW_JSON},
};

struct field_row {
    const ProtobufCMessageDescriptor *type;
    const char *field;
};

/* wire/inline.tsv */
static const struct field_row inline_rows[] = {
    {&core__config_map_env_source__descriptor, "local_object_reference"},
    {&core__config_map_key_selector__descriptor, "local_object_reference"},
    {&core__config_map_projection__descriptor, "local_object_reference"},
    {&core__config_map_volume_source__descriptor, "local_object_reference"},
    {&core__ephemeral_container__descriptor, "ephemeral_container_common"},
    {&core__persistent_volume_spec__descriptor, "persistent_volume_source"},
    {&core__probe__descriptor, "handler"},
    {&core__secret_env_source__descriptor, "local_object_reference"},
    {&core__secret_key_selector__descriptor, "local_object_reference"},
    {&core__secret_projection__descriptor, "local_object_reference"},
    {&core__volume__descriptor, "volume_source"},
    {&resource__device_allocation_configuration__descriptor, "device_configuration"},
    {&resource__device_claim_configuration__descriptor, "device_configuration"},
    {&resource__device_class_configuration__descriptor, "device_configuration"},
};

/* Shown when there is nothing: lists as [], because clients ask for them (the `items` of lists come
 * on top), and as null the times that Go cannot leave out, since its type is no pointer. Of those
 * only what every pod shows. */
static const struct field_row shown_rows[] = {
    {&core__pod_condition__descriptor, "last_probe_time"},
    {&core__pod_condition__descriptor, "last_transition_time"},
    {&meta__apigroup__descriptor, "versions"},
    {&meta__apigroup_list__descriptor, "groups"},
    {&meta__apiresource__descriptor, "verbs"},
    {&meta__apiresource_list__descriptor, "resources"},
    {&meta__apiversions__descriptor, "server_address_by_client_cidrs"},
    {&meta__apiversions__descriptor, "versions"},
};

enum codec_special codec_special_of(const ProtobufCMessageDescriptor *type)
{
    /* No special message has more than three fields, which spares most the search. */
    if (type->n_fields > 3)
        return CODEC_OBJECT;
    if (type->n_fields == 1 && type->fields[0].type == PROTOBUF_C_TYPE_STRING &&
        codec_is_list(&type->fields[0]) && text_eq(type->fields[0].name, "items"))
        return CODEC_STRING_LIST;
    for (size_t i = 0; i < ARRAY_SIZE(special_rows); i++) {
        if (type == special_rows[i].type)
            return special_rows[i].special;
    }
    return CODEC_OBJECT;
}

bool codec_is_inline(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field)
{
    if (field->type != PROTOBUF_C_TYPE_MESSAGE || codec_is_list(field))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(inline_rows); i++) {
        if (type == inline_rows[i].type && text_eq(field->name, inline_rows[i].field))
            return true;
    }
    return false;
}

bool codec_is_shown_empty(const ProtobufCMessageDescriptor *type,
                          const ProtobufCFieldDescriptor *field)
{
    for (size_t i = 0; i < ARRAY_SIZE(shown_rows); i++) {
        if (type == shown_rows[i].type && text_eq(field->name, shown_rows[i].field))
            return true;
    }
    return codec_list_items(type) == field;
}

/* protoc nests the entries of a map in the message that holds it; nothing else in our files is
 * nested. */
bool codec_is_map(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field)
{
    if (field->type != PROTOBUF_C_TYPE_MESSAGE || !codec_is_list(field))
        return false;
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    if (entry->n_fields != 2)
        return false;
    size_t len = strlen(type->name);
    return strncmp(entry->name, type->name, len) == 0 && entry->name[len] == '.' &&
           text_has_suffix(entry->name, "Entry");
}

static size_t json_name_of(const ProtobufCMessageDescriptor *type,
                           const ProtobufCFieldDescriptor *field,
                           char json_name[static FIELD_NAME_SIZE])
{
    size_t len = field_name_to_json(field->name, json_name);
    /* The one field that begins with a capital. */
    if (type == &core__daemon_endpoint__descriptor && text_eq(field->name, "port"))
        json_name[0] = 'P';
    return len;
}

const ProtobufCFieldDescriptor *codec_find_field(const ProtobufCMessageDescriptor *type,
                                                 struct str json_name)
{
    char name[FIELD_NAME_SIZE];
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        /* The first letters decide nearly always; Port may only differ in case. */
        if (json_name.len == 0 || (json_name.ptr[0] | 0x20) != (field->name[0] | 0x20))
            continue;
        size_t len = json_name_of(type, field, name);
        if (len == json_name.len && memcmp(name, json_name.ptr, len) == 0)
            return codec_is_inline(type, field) ? NULL : field;
    }
    return NULL;
}

struct str codec_json_name(const ProtobufCMessageDescriptor *type,
                           const ProtobufCFieldDescriptor *field,
                           char json_name[static FIELD_NAME_SIZE])
{
    size_t len = json_name_of(type, field, json_name);
    return (struct str){.ptr = json_name, .len = len};
}

const ProtobufCFieldDescriptor *codec_list_items(const ProtobufCMessageDescriptor *type)
{
    if (type->n_fields < 2 || type->fields[0].descriptor != &meta__list_meta__descriptor)
        return NULL;
    const ProtobufCFieldDescriptor *items = &type->fields[1];
    return codec_is_list(items) && text_eq(items->name, "items") ? items : NULL;
}

const char *kube_json_name(const char *proto_name, struct arena *arena)
{
    char name[FIELD_NAME_SIZE];
    size_t len = field_name_to_json(proto_name, name);
    return arena_strndup(arena, name, len);
}

enum codec_storage codec_storage_of(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_ENUM:
        return CODEC_STORE_I32;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return CODEC_STORE_U32;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return CODEC_STORE_I64;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return CODEC_STORE_U64;
    case PROTOBUF_C_TYPE_FLOAT:
        return CODEC_STORE_FLOAT;
    case PROTOBUF_C_TYPE_DOUBLE:
        return CODEC_STORE_DOUBLE;
    case PROTOBUF_C_TYPE_BOOL:
        return CODEC_STORE_BOOL;
    case PROTOBUF_C_TYPE_STRING:
        return CODEC_STORE_TEXT;
    case PROTOBUF_C_TYPE_BYTES:
        return CODEC_STORE_BYTES;
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    return CODEC_STORE_MESSAGE;
}

size_t codec_storage_size(enum codec_storage storage)
{
    switch (storage) {
    case CODEC_STORE_I32:
    case CODEC_STORE_U32:
        return sizeof(int32_t);
    case CODEC_STORE_I64:
    case CODEC_STORE_U64:
        return sizeof(int64_t);
    case CODEC_STORE_FLOAT:
        return sizeof(float);
    case CODEC_STORE_DOUBLE:
        return sizeof(double);
    case CODEC_STORE_BOOL:
        return sizeof(protobuf_c_boolean);
    case CODEC_STORE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case CODEC_STORE_TEXT:
    case CODEC_STORE_MESSAGE:
        break;
    }
    return sizeof(void *);
}

bool codec_is_zero(const void *element, enum codec_storage storage)
{
    static const char zeros[sizeof(ProtobufCBinaryData)];
    ProtobufCBinaryData bytes;
    switch (storage) {
    case CODEC_STORE_TEXT:
        return !codec_text_at(element) || codec_text_at(element)[0] == '\0';
    case CODEC_STORE_BYTES:
        memcpy(&bytes, element, sizeof(bytes));
        return bytes.len == 0;
    case CODEC_STORE_I32:
    case CODEC_STORE_U32:
    case CODEC_STORE_I64:
    case CODEC_STORE_U64:
    case CODEC_STORE_FLOAT:
    case CODEC_STORE_DOUBLE:
    case CODEC_STORE_BOOL:
    case CODEC_STORE_MESSAGE:
        break;
    }
    return memcmp(element, zeros, codec_storage_size(storage)) == 0;
}

size_t codec_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const void *member = codec_member(message, field);
    enum codec_storage storage = codec_storage_of(field);
    bool is_pointer = storage == CODEC_STORE_TEXT || storage == CODEC_STORE_MESSAGE;
    if (codec_is_list(field)) {
        size_t count;
        memcpy(&count, codec_quantifier(message, field), sizeof(count));
        return count;
    }
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        uint32_t selected;
        memcpy(&selected, codec_quantifier(message, field), sizeof(selected));
        return selected == field->id && (!is_pointer || codec_text_at(member)) ? 1 : 0;
    }
    if (field->label == PROTOBUF_C_LABEL_NONE)
        return codec_is_zero(member, storage) ? 0 : 1;
    if (is_pointer)
        return codec_text_at(member) ? 1 : 0;
    if (field->label == PROTOBUF_C_LABEL_REQUIRED)
        return 1;
    protobuf_c_boolean has;
    memcpy(&has, codec_quantifier(message, field), sizeof(has));
    return has ? 1 : 0;
}

void *codec_element(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                    size_t index)
{
    char *member = codec_member(message, field);
    if (!codec_is_list(field))
        return member;
    char *array = codec_text_at(member);
    return array + index * codec_storage_size(codec_storage_of(field));
}

void codec_set_present(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                       bool is_present)
{
    enum codec_storage storage = codec_storage_of(field);
    if (storage == CODEC_STORE_TEXT || storage == CODEC_STORE_MESSAGE) {
        if (!is_present)
            memset(codec_member(message, field), 0, sizeof(void *));
    } else if (field->label == PROTOBUF_C_LABEL_OPTIONAL) {
        protobuf_c_boolean has = is_present;
        memcpy(codec_quantifier(message, field), &has, sizeof(has));
    }
}
