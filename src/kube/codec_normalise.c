#include "kube/codec_internal.h"

#include "kube/quantity.h"

#include "base/time.h"

#include "intstr.pb-c.h"
#include "meta.pb-c.h"
#include "quantity.pb-c.h"

static bool is_empty(const ProtobufCMessage *message)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        if (codec_count(message, &message->descriptor->fields[i]) > 0)
            return false;
    }
    return true;
}

static struct error *normalise_quantity(Meta__Quantity *quantity, struct arena *arena)
{
    struct str text = str_trim(str_from(quantity->string));
    if (text.len == 0) {
        quantity->string = arena_strdup(arena, "0");
        return NULL;
    }
    struct error *err = quantity_check(text);
    if (err)
        return error_wrap(err, "quantity \"%.*s\"", STR_ARG(text));
    const char *canonical = quantity_canonical(arena_strndup(arena, text.ptr, text.len), arena);
    quantity->string = arena_strdup(arena, canonical);
    return NULL;
}

/* Go writes all three fields, the one that does not count as zero. */
static void normalise_int_or_string(Meta__IntOrString *value, struct arena *arena)
{
    bool is_string = value->has_type && value->type == 1;
    value->type = is_string ? 1 : 0;
    value->int_val = !is_string && value->has_int_val ? value->int_val : 0;
    value->has_type = value->has_int_val = true;
    if (!is_string || !value->str_val)
        value->str_val = arena_alloc(arena, 1);
}

/* Go marshals its zero time as nothing; an API time has whole seconds. False when the time is
 * unset. */
static bool normalise_time(protobuf_c_boolean *has_seconds, const int64_t *seconds,
                           protobuf_c_boolean *has_nanos, int32_t *nanos, int32_t keep_multiple_of)
{
    if (!*has_seconds || *seconds == TIME_GO_ZERO_SEC)
        return false;
    *nanos = *has_nanos && keep_multiple_of ? *nanos - *nanos % keep_multiple_of : 0;
    *has_nanos = true;
    return true;
}

/* False when the message says nothing and its field is to be dropped. */
static struct error *normalise_special(ProtobufCMessage *message, enum codec_special special,
                                       struct arena *arena, bool *ret_says_something)
{
    *ret_says_something = true;
    switch (special) {
    case CODEC_TIME: {
        Meta__Time *time = (Meta__Time *)message;
        *ret_says_something =
            normalise_time(&time->has_seconds, &time->seconds, &time->has_nanos, &time->nanos, 0);
        break;
    }
    case CODEC_MICRO_TIME: {
        Meta__MicroTime *time = (Meta__MicroTime *)message;
        *ret_says_something = normalise_time(&time->has_seconds, &time->seconds, &time->has_nanos,
                                             &time->nanos, (int32_t)NS_PER_US);
        break;
    }
    case CODEC_QUANTITY:
        return normalise_quantity((Meta__Quantity *)message, arena);
    case CODEC_INT_OR_STRING:
        normalise_int_or_string((Meta__IntOrString *)message, arena);
        break;
    case CODEC_RAW_JSON: {
        const ProtobufCFieldDescriptor *raw = &message->descriptor->fields[0];
        *ret_says_something = !codec_is_zero(codec_member(message, raw), CODEC_STORE_BYTES);
        break;
    }
    case CODEC_OBJECT:
    case CODEC_DURATION:
    case CODEC_STRING_LIST:
        break;
    }
    return NULL;
}

/* A key or value of a map is never absent: JSON cannot say so. */
static void complete_entry(ProtobufCMessage *entry, struct arena *arena)
{
    for (unsigned i = 0; i < entry->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &entry->descriptor->fields[i];
        if (codec_count(entry, field) > 0)
            continue;
        void *empty = NULL;
        if (field->type == PROTOBUF_C_TYPE_STRING)
            empty = arena_alloc(arena, 1);
        else if (field->type == PROTOBUF_C_TYPE_MESSAGE)
            empty = kube_message_new(field->descriptor, arena);
        if (empty)
            codec_set_pointer(codec_member(entry, field), empty);
        codec_set_present(entry, field, true);
    }
}

struct placed_entry {
    ProtobufCMessage *entry;
    size_t at;
};

static int compare_placed(const void *a, const void *b)
{
    const struct placed_entry *x = a, *y = b;
    int order = strcmp(codec_map_key(x->entry), codec_map_key(y->entry));
    return order ? order : x->at < y->at ? -1 : x->at > y->at;
}

/* Protobuf may bring one key of a map many times; then the last one counts, as in JSON. */
static void keep_last_of_each_key(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                                  struct arena *arena)
{
    size_t count = codec_count(message, field), kept = 0;
    ProtobufCMessage **entries = count ? codec_element(message, field, 0) : NULL;
    bool is_ascending = true;
    for (size_t i = 1; i < count && is_ascending; i++)
        is_ascending = strcmp(codec_map_key(entries[i - 1]), codec_map_key(entries[i])) < 0;
    if (is_ascending)
        return;
    struct placed_entry *placed = arena_calloc(arena, count, sizeof(*placed));
    for (size_t i = 0; i < count; i++)
        placed[i] = (struct placed_entry){.entry = entries[i], .at = i};
    qsort(placed, count, sizeof(*placed), compare_placed);
    for (size_t i = 0; i + 1 < count; i++) {
        if (strcmp(codec_map_key(placed[i].entry), codec_map_key(placed[i + 1].entry)) == 0)
            entries[placed[i].at] = NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (entries[i])
            entries[kept++] = entries[i];
    }
    memcpy(codec_quantifier(message, field), &kept, sizeof(kept));
}

/* NOLINTBEGIN(misc-no-recursion): no message type contains itself */
static struct error *normalise_fields(ProtobufCMessage *message, struct arena *arena,
                                      bool keeps_zeros);

static struct error *normalise_messages(ProtobufCMessage *message,
                                        const ProtobufCFieldDescriptor *field, struct arena *arena)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    bool is_map = codec_is_map(type, field);
    if (is_map)
        keep_last_of_each_key(message, field, arena);
    size_t count = codec_count(message, field);
    for (size_t i = 0; i < count; i++) {
        ProtobufCMessage *inner = codec_message_at(codec_element(message, field, i));
        enum codec_special special = codec_special_of(inner->descriptor);
        bool says_something = true;
        if (is_map)
            complete_entry(inner, arena);
        struct error *err = special == CODEC_OBJECT
                                ? normalise_fields(inner, arena, is_map)
                                : normalise_special(inner, special, arena, &says_something);
        if (err)
            return err;
        if (codec_is_inline(type, field) && is_empty(inner))
            says_something = false;
        if (!says_something && !codec_is_list(field))
            codec_set_present(message, field, false);
    }
    return NULL;
}

static struct error *normalise_fields(ProtobufCMessage *message, struct arena *arena,
                                      bool keeps_zeros)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        enum codec_storage storage = codec_storage_of(field);
        if (storage == CODEC_STORE_MESSAGE) {
            struct error *err = normalise_messages(message, field, arena);
            if (err)
                return error_wrap(err, "%s", field->name);
        } else if (!keeps_zeros && !codec_is_list(field) && codec_count(message, field) > 0 &&
                   codec_is_zero(codec_member(message, field), storage) &&
                   !codec_keeps_zero(type, field->name)) {
            codec_set_present(message, field, false);
        }
    }
    return NULL;
}
/* NOLINTEND(misc-no-recursion) */

struct error *codec_normalise(ProtobufCMessage *message, struct arena *arena)
{
    enum codec_special special = codec_special_of(message->descriptor);
    bool ignored;
    if (special != CODEC_OBJECT)
        return normalise_special(message, special, arena, &ignored);
    return normalise_fields(message, arena, false);
}
