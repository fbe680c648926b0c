/* The other half of option_value.h: reading values back, and defaults. */
#include "config/option_value.h"

#include "base/buf.h"
#include "base/time.h"

#include <stdio.h>

#define VALUE_TEXT_MAX_BYTES                                                                       \
    (64 * KiB) /* a value as text; the kernel caps one argument at 128 KiB */

void option_value_set_default(ProtobufCMessage *root, const struct option *option,
                              struct arena *arena)
{
    if (!option->by_default)
        return;
    struct error *err = option_value_set(root, option, option->by_default, true, arena);
    if (err)
        base_die("the default of %s does not fit its type: %s", option->path, err->message);
}

bool option_value_is_given(ProtobufCMessage *root, const struct option *option)
{
    struct field field = field_find(root, option->path);
    return option->traits & OPTION_NULLABLE ? field_is_present(&field) : !field_is_zero(&field);
}

/* What stands between key and value of a map-like type. */
static const char *separator_of(enum option_type type)
{
    return type == OPTION_SIGNALS ? "<" : type == OPTION_HEADERS ? ":" : "=";
}

static void add_entry(struct buf *out, const struct option *option, ProtobufCMessage *entry)
{
    struct field key = field_of(entry, "key"), value = field_of(entry, "value");
    buf_printf(out, "%s%s", field_text(&key), separator_of(option->type));
    if (option->type == OPTION_GATES)
        buf_add_text(out, field_bool(&value) ? "true" : "false");
    else if (option->type == OPTION_HEADERS)
        buf_add_text(out, "<masked>"); /* headers carry credentials */
    else
        buf_add_text(out, field_text(&value));
}

static void add_taint(struct buf *out, ProtobufCMessage *taint)
{
    struct field key = field_of(taint, "key"), value = field_of(taint, "value"),
                 effect = field_of(taint, "effect");
    buf_add_text(out, field_text(&key));
    if (field_text(&value)[0])
        buf_printf(out, "=%s", field_text(&value));
    if (field_text(&effect)[0])
        buf_printf(out, ":%s", field_text(&effect));
}

static void add_reservation(struct buf *out, ProtobufCMessage *reservation)
{
    struct field numa = field_of(reservation, "numa_node"),
                 limits = field_of(reservation, "limits");
    buf_printf(out, "%lld:", (long long)field_integer(&numa));
    for (size_t i = 0; i < field_count(&limits); i++) {
        struct field key = field_of(field_message_at(&limits, i), "key"),
                     value = field_of(field_message_at(&limits, i), "value");
        struct field text = field_inner(&value, "string");
        buf_printf(out, "%s%s=%s", i ? "," : "", field_text(&key), field_text(&text));
    }
}

static void add_vmodule(struct buf *out, ProtobufCMessage *item)
{
    struct field pattern = field_of(item, "file_pattern"), level = field_of(item, "verbosity");
    buf_printf(out, "%s=%lld", field_text(&pattern), (long long)field_integer(&level));
}

static void add_elements(struct buf *out, const struct option *option, const struct field *field)
{
    bool is_list = option->type == OPTION_LIST;
    buf_add_text(out, is_list ? "[" : "");
    for (size_t i = 0; i < field_count(field); i++) {
        buf_add_text(out, i == 0 ? "" : option->type == OPTION_MEMORY ? ";" : ",");
        if (is_list)
            buf_add_text(out, field_text_at(field, i));
        else if (option->type == OPTION_TAINTS)
            add_taint(out, field_message_at(field, i));
        else if (option->type == OPTION_MEMORY)
            add_reservation(out, field_message_at(field, i));
        else if (option->type == OPTION_VMODULE)
            add_vmodule(out, field_message_at(field, i));
        else
            add_entry(out, option, field_message_at(field, i));
    }
    buf_add_text(out, is_list ? "]" : "");
}

static void add_duration(struct buf *out, const struct field *field)
{
    char text[TIME_TEXT_SIZE];
    buf_add_text(out, time_format_duration(field_duration(field), text));
}

static void add_quantity(struct buf *out, const struct field *field)
{
    struct field inner = field_inner(field, "string");
    buf_add_text(out, field_text(&inner));
}

static void add_value(struct buf *out, const struct option *option, const struct field *field)
{
    switch (option->type) {
    case OPTION_BOOL:
        buf_add_text(out, field_bool(field) ? "true" : "false");
        return;
    case OPTION_INT32:
    case OPTION_INT64:
    case OPTION_LEVEL:
        buf_printf(out, "%lld", (long long)field_integer(field));
        return;
    case OPTION_TEXT:
    case OPTION_IP:
    case OPTION_VERSION:
        buf_add_text(out, field_text(field));
        return;
    case OPTION_DURATION:
        add_duration(out, field);
        return;
    case OPTION_QUANTITY:
        add_quantity(out, field);
        return;
    case OPTION_LIST:
    case OPTION_MAP:
    case OPTION_SIGNALS:
    case OPTION_PAIR:
    case OPTION_LABELS:
    case OPTION_GATES:
    case OPTION_HEADERS:
    case OPTION_TAINTS:
    case OPTION_MEMORY:
    case OPTION_VMODULE:
        add_elements(out, option, field);
        return;
    case OPTION_FILE_ONLY:
    case OPTION_TYPE_COUNT:
        return;
    }
}

const char *option_value_text(ProtobufCMessage *root, const struct option *option,
                              struct arena *arena)
{
    AUTO(buf) struct buf out;
    buf_init(&out, VALUE_TEXT_MAX_BYTES);
    struct field field = field_find(root, option->path);
    add_value(&out, option, &field);
    return arena_strdup(arena, buf_text(&out));
}
