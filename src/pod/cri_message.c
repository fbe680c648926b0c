#include "pod/cri_message.h"

void *cri_new(struct arena *arena, const ProtobufCMessageDescriptor *type)
{
    void *message = arena_alloc(arena, type->sizeof_message);
    protobuf_c_message_init(type, message);
    return message;
}

void *cri_array(struct arena *arena, size_t count)
{
    return arena_calloc(arena, count, sizeof(void *));
}

char *cri_text(struct arena *arena, const char *text)
{
    return arena_strdup(arena, text ? text : "");
}

char **cri_texts(struct arena *arena, char *const *texts, size_t count)
{
    if (count == 0)
        return NULL;
    char **copy = cri_array(arena, count);
    for (size_t i = 0; i < count; i++)
        copy[i] = cri_text(arena, texts[i]);
    return copy;
}

char **cri_text_list(struct arena *arena, const char *const *texts, size_t *ret_count)
{
    size_t count = 0;
    while (texts && texts[count])
        count++;
    *ret_count = count;
    if (count == 0)
        return NULL;
    char **copy = cri_array(arena, count);
    for (size_t i = 0; i < count; i++)
        copy[i] = cri_text(arena, texts[i]);
    return copy;
}

/* Every map entry is a message of its own type with the fields 1 (key) and 2 (value). */
static void set_text_field(void *message, const ProtobufCFieldDescriptor *field, char *text)
{
    ASSERT(field && field->type == PROTOBUF_C_TYPE_STRING);
    char **slot = (char **)(void *)((char *)message + field->offset);
    *slot = text;
}

void *cri_map_entry(struct arena *arena, const ProtobufCMessageDescriptor *type, const char *key,
                    const char *value)
{
    void *entry = cri_new(arena, type);
    set_text_field(entry, protobuf_c_message_descriptor_get_field(type, 1), cri_text(arena, key));
    set_text_field(entry, protobuf_c_message_descriptor_get_field(type, 2), cri_text(arena, value));
    return entry;
}
