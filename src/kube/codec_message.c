/*
 * Whole messages: new, copied, compared. A copy takes a single piece of the arena: structs and
 * arrays first, then all texts without gaps, so a kept object costs little more than its content.
 */
#include "kube/codec_internal.h"

#define COPY_ALIGN ((size_t)8) /* no member needs more */

ProtobufCMessage *kube_message_new(const ProtobufCMessageDescriptor *type, struct arena *arena)
{
    ProtobufCMessage *message = arena_alloc(arena, type->sizeof_message);
    protobuf_c_message_init(type, message);
    return message;
}

struct copy_size {
    size_t structs;
    size_t texts;
};

struct copy_cursor {
    char *structs;
    char *texts;
};

static size_t aligned(size_t size)
{
    return (size + COPY_ALIGN - 1) & ~(COPY_ALIGN - 1);
}

/* NOLINTBEGIN(misc-no-recursion): no message type contains itself */
static void measure(const ProtobufCMessage *message, struct copy_size *size);

static void measure_element(const void *element, enum codec_storage storage, struct copy_size *size)
{
    ProtobufCBinaryData bytes;
    if (storage == CODEC_STORE_TEXT && codec_text_at(element)) {
        size->texts += strlen(codec_text_at(element)) + 1;
    } else if (storage == CODEC_STORE_MESSAGE && codec_message_at(element)) {
        measure(codec_message_at(element), size);
    } else if (storage == CODEC_STORE_BYTES) {
        memcpy(&bytes, element, sizeof(bytes));
        size->texts += bytes.len;
    }
}

static void measure(const ProtobufCMessage *message, struct copy_size *size)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    size->structs += aligned(type->sizeof_message);
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        enum codec_storage storage = codec_storage_of(field);
        size_t count = codec_count(message, field);
        if (codec_is_list(field))
            size->structs += aligned(count * codec_storage_size(storage));
        for (size_t k = 0; k < count; k++)
            measure_element(codec_element(message, field, k), storage, size);
    }
}

static void *take(char **cursor, size_t size)
{
    void *taken = *cursor;
    *cursor += size;
    return taken;
}

static ProtobufCMessage *copy(const ProtobufCMessage *from, struct copy_cursor *cursor);

/* @element already holds the bytes of the original; what it points to is replaced by a copy. */
static void copy_element(void *element, enum codec_storage storage, struct copy_cursor *cursor)
{
    ProtobufCBinaryData bytes;
    const char *text = codec_text_at(element);
    if (storage == CODEC_STORE_TEXT && text) {
        size_t size = strlen(text) + 1;
        char *to = take(&cursor->texts, size);
        memcpy(to, text, size);
        codec_set_pointer(element, to);
    } else if (storage == CODEC_STORE_MESSAGE && text) {
        codec_set_pointer(element, copy(codec_message_at(element), cursor));
    } else if (storage == CODEC_STORE_BYTES) {
        memcpy(&bytes, element, sizeof(bytes));
        uint8_t *to = take(&cursor->texts, bytes.len);
        if (bytes.len)
            memcpy(to, bytes.data, bytes.len);
        bytes.data = to;
        memcpy(element, &bytes, sizeof(bytes));
    }
}

static bool owns_memory(enum codec_storage storage)
{
    return storage == CODEC_STORE_TEXT || storage == CODEC_STORE_MESSAGE ||
           storage == CODEC_STORE_BYTES;
}

/*
 * What an absent member of the copy holds must not lead back to the original: NULL for a proto2
 * text, the shared empty string for a proto3 one, nothing for bytes. A oneof has its member in use
 * at the same place.
 */
static void clear_absent(ProtobufCMessage *to, const ProtobufCFieldDescriptor *field)
{
    enum codec_storage storage = codec_storage_of(field);
    if (codec_is_list(field) || (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
        return;
    if (storage == CODEC_STORE_TEXT)
        codec_set_pointer(codec_member(to, field), field->default_value);
    else if (storage == CODEC_STORE_BYTES)
        memset(codec_member(to, field), 0, sizeof(ProtobufCBinaryData));
}

static ProtobufCMessage *copy(const ProtobufCMessage *from, struct copy_cursor *cursor)
{
    const ProtobufCMessageDescriptor *type = from->descriptor;
    ProtobufCMessage *to = take(&cursor->structs, aligned(type->sizeof_message));
    memcpy(to, from, type->sizeof_message);
    to->n_unknown_fields = 0;
    to->unknown_fields = NULL;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        enum codec_storage storage = codec_storage_of(field);
        size_t count = codec_count(from, field);
        if (codec_is_list(field)) {
            size_t size = count * codec_storage_size(storage);
            void *array = count ? take(&cursor->structs, aligned(size)) : NULL;
            if (count)
                memcpy(array, codec_element(from, field, 0), size);
            codec_set_pointer(codec_member(to, field), array);
        }
        for (size_t k = 0; k < count && owns_memory(storage); k++)
            copy_element(codec_element(to, field, k), storage, cursor);
        if (count == 0)
            clear_absent(to, field);
    }
    return to;
}
/* NOLINTEND(misc-no-recursion) */

ProtobufCMessage *kube_message_dup(const ProtobufCMessage *message, struct arena *arena)
{
    struct copy_size size = {0};
    measure(message, &size);
    char *memory = arena_alloc(arena, size.structs + size.texts);
    struct copy_cursor cursor = {.structs = memory, .texts = memory + size.structs};
    return copy(message, &cursor);
}

const char *codec_map_key(const ProtobufCMessage *entry)
{
    const char *key = codec_text_at(codec_member(entry, &entry->descriptor->fields[0]));
    return key ? key : "";
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(codec_map_key(codec_message_at(a)), codec_map_key(codec_message_at(b)));
}

ProtobufCMessage **codec_map_sorted(const ProtobufCMessage *message,
                                    const ProtobufCFieldDescriptor *field,
                                    ProtobufCMessage ***ret_owned)
{
    size_t count = codec_count(message, field);
    ProtobufCMessage **entries = count ? codec_element(message, field, 0) : NULL;
    bool is_sorted = true;
    *ret_owned = NULL;
    for (size_t i = 1; i < count && is_sorted; i++)
        is_sorted = compare_entries(&entries[i - 1], &entries[i]) <= 0;
    if (is_sorted)
        return entries;
    *ret_owned = xcalloc(count, sizeof(ProtobufCMessage *));
    memcpy(*ret_owned, entries, count * sizeof(ProtobufCMessage *));
    qsort(*ret_owned, count, sizeof(ProtobufCMessage *), compare_entries);
    return *ret_owned;
}

/* NOLINTBEGIN(misc-no-recursion): no message type contains itself */
static bool map_eq(const ProtobufCMessage *a, const ProtobufCMessage *b,
                   const ProtobufCFieldDescriptor *field, size_t count)
{
    AUTO(free) ProtobufCMessage **owned_a = NULL;
    AUTO(free) ProtobufCMessage **owned_b = NULL;
    ProtobufCMessage **sorted_a = codec_map_sorted(a, field, &owned_a);
    ProtobufCMessage **sorted_b = codec_map_sorted(b, field, &owned_b);
    for (size_t i = 0; i < count; i++) {
        if (!kube_message_eq(sorted_a[i], sorted_b[i]))
            return false;
    }
    return true;
}

static bool element_eq(const void *a, const void *b, enum codec_storage storage)
{
    ProtobufCBinaryData bytes_a, bytes_b;
    if (storage == CODEC_STORE_TEXT)
        return text_eq(codec_text_at(a), codec_text_at(b));
    if (storage == CODEC_STORE_MESSAGE)
        return kube_message_eq(codec_message_at(a), codec_message_at(b));
    if (storage != CODEC_STORE_BYTES)
        return memcmp(a, b, codec_storage_size(storage)) == 0;
    memcpy(&bytes_a, a, sizeof(bytes_a));
    memcpy(&bytes_b, b, sizeof(bytes_b));
    return bytes_a.len == bytes_b.len &&
           (bytes_a.len == 0 || memcmp(bytes_a.data, bytes_b.data, bytes_a.len) == 0);
}

bool kube_message_eq(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    if (a == b)
        return true;
    if (!a || !b || a->descriptor != b->descriptor)
        return false;
    const ProtobufCMessageDescriptor *type = a->descriptor;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        size_t count = codec_count(a, field);
        if (count != codec_count(b, field))
            return false;
        if (codec_is_map(type, field)) {
            if (!map_eq(a, b, field, count))
                return false;
            continue;
        }
        for (size_t k = 0; k < count; k++) {
            if (!element_eq(codec_element(a, field, k), codec_element(b, field, k),
                            codec_storage_of(field)))
                return false;
        }
    }
    return true;
}
/* NOLINTEND(misc-no-recursion) */
