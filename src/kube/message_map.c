#include "kube/message_map.h"

#include "kube/codec.h"
#include "kube/codec_internal.h"

#include "quantity.pb-c.h"

/* The two fields of every entry. */
enum { KEY = 1, VALUE = 2 };

static const ProtobufCFieldDescriptor *part_of(const ProtobufCFieldDescriptor *map, unsigned number)
{
    const ProtobufCMessageDescriptor *entry = map->descriptor;
    return protobuf_c_message_descriptor_get_field(entry, number);
}

static ProtobufCMessage *entry_new(const ProtobufCFieldDescriptor *map, const char *key,
                                   const char *value, struct arena *arena)
{
    ProtobufCMessage *entry = kube_message_new(map->descriptor, arena);
    const ProtobufCFieldDescriptor *field = part_of(map, VALUE);
    *(char **)codec_member(entry, part_of(map, KEY)) = arena_strdup(arena, key);
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        *(char **)codec_member(entry, field) = arena_strdup(arena, value);
        return entry;
    }
    ASSERT(field->descriptor == &meta__quantity__descriptor);
    Meta__Quantity *quantity = (Meta__Quantity *)kube_message_new(field->descriptor, arena);
    quantity->string = arena_strdup(arena, value);
    *(Meta__Quantity **)codec_member(entry, field) = quantity;
    return entry;
}

static bool has_key(const ProtobufCMessage *entry, const ProtobufCFieldDescriptor *map,
                    const char *key)
{
    return text_eq(*(char *const *)codec_member(entry, part_of(map, KEY)), key);
}

void message_map_set(ProtobufCMessage *message, const char *field, const char *key,
                     const char *value, struct arena *arena)
{
    const ProtobufCFieldDescriptor *map =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, field);
    ASSERT(map && codec_is_list(map) && map->descriptor && part_of(map, VALUE));
    ProtobufCMessage ***entries = codec_member(message, map);
    size_t *count = codec_quantifier(message, map);
    ProtobufCMessage **grown = arena_calloc(arena, *count + 1, sizeof(ProtobufCMessage *));
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        if (!has_key((*entries)[i], map, key))
            grown[kept++] = (*entries)[i];
    }
    grown[kept++] = entry_new(map, key, value, arena);
    *entries = grown;
    *count = kept;
}
