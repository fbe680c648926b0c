/*
 * Recording field errors: a path and a message become text in the caller's arena, until the cap is
 * reached; what comes later is only counted, so that a hostile manifest cannot make us write
 * megabytes about it.
 */
#include "kube/validate_internal.h"

#include "base/buf.h"
#include "base/hash.h"
#include "kube/codec.h"

#include <inttypes.h>

#define MESSAGE_MAX_BYTES (8 * KiB)
/* A value is quoted up to here and then cut; upstream prints it whole. */
#define VALUE_MAX_BYTES ((size_t)1024)
/* The deepest path of a Pod's schema has half as many links. */
#define PATH_MAX_LINKS 32

static void add_path(struct buf *out, const struct field_path *path)
{
    const struct field_path *links[PATH_MAX_LINKS];
    size_t count = 0;
    for (const struct field_path *link = path; link; link = link->parent) {
        ASSERT(count < PATH_MAX_LINKS);
        links[count++] = link;
    }
    for (size_t i = count; i > 0; i--) {
        const struct field_path *link = links[i - 1];
        if (link->name) {
            if (i < count)
                buf_add_char(out, '.');
            buf_add_text(out, link->name);
        } else if (link->key) {
            buf_printf(out, "[%.*s]", str_printf_len(str_from(link->key)), link->key);
        } else {
            buf_printf(out, "[%zu]", link->index);
        }
    }
}

/* Go's strconv.Quote for what text may hold here: printable ASCII and UTF-8 stay, the rest is
 * escaped. */
static void add_quoted(struct buf *out, const char *text)
{
    size_t len = text ? strlen(text) : 0;
    bool cut = len > VALUE_MAX_BYTES;
    if (cut)
        len = VALUE_MAX_BYTES;
    buf_add_char(out, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c == '\n')
            buf_add_text(out, "\\n");
        else if (c == '\t')
            buf_add_text(out, "\\t");
        else if (c == '\r')
            buf_add_text(out, "\\r");
        else if (c < 0x20 || c == 0x7f)
            buf_printf(out, "\\x%02x", c);
        else
            buf_add_char(out, (char)c);
    }
    buf_add_text(out, cut ? "…\"" : "\"");
}

static const char *keep(struct arena *arena, const struct buf *text)
{
    return arena_strndup(arena, buf_text(text), text->len);
}

/* The slot for an error at @path with the path filled in, or NULL beyond the cap. */
static struct field_error *next_error(struct validation *v, const struct field_path *path)
{
    struct field_errors *errors = v->errors;
    if (errors->count >= FIELD_ERRORS_MAX) {
        errors->omitted++;
        return NULL;
    }
    AUTO(buf) struct buf text;
    buf_init(&text, MESSAGE_MAX_BYTES);
    add_path(&text, path);
    struct field_error *error = &errors->errors[errors->count++];
    error->path = keep(errors->arena, &text);
    return error;
}

enum value_form { VALUE_NONE, VALUE_QUOTED, VALUE_RAW };

static void record(struct validation *v, const struct field_path *path, const char *type,
                   enum value_form form, const char *value, const char *detail)
{
    struct field_error *error = next_error(v, path);
    if (!error)
        return;
    AUTO(buf) struct buf text;
    buf_init(&text, MESSAGE_MAX_BYTES);
    buf_add_text(&text, type);
    switch (form) {
    case VALUE_NONE:
        break;
    case VALUE_QUOTED:
        buf_add_text(&text, ": ");
        add_quoted(&text, value);
        break;
    case VALUE_RAW:
        buf_add_text(&text, ": ");
        buf_add_text(&text, value);
        break;
    }
    if (!is_empty(detail)) {
        buf_add_text(&text, ": ");
        buf_add_text(&text, detail);
    }
    error->message = keep(v->errors->arena, &text);
}

void field_required(struct validation *v, const struct field_path *path, const char *detail)
{
    record(v, path, "Required value", VALUE_NONE, NULL, detail);
}

void field_forbidden(struct validation *v, const struct field_path *path, const char *detail)
{
    record(v, path, "Forbidden", VALUE_NONE, NULL, detail);
}

void field_duplicate(struct validation *v, const struct field_path *path, const char *value)
{
    record(v, path, "Duplicate value", VALUE_QUOTED, value, NULL);
}

void field_not_found(struct validation *v, const struct field_path *path, const char *value,
                     const char *detail)
{
    record(v, path, "Not found", VALUE_QUOTED, value, detail);
}

void field_invalid(struct validation *v, const struct field_path *path, const char *value,
                   const char *detail)
{
    record(v, path, "Invalid value", VALUE_QUOTED, value, detail);
}

void field_invalid_raw(struct validation *v, const struct field_path *path, const char *raw,
                       const char *detail)
{
    record(v, path, "Invalid value", VALUE_RAW, raw, detail);
}

void field_invalid_number(struct validation *v, const struct field_path *path, int64_t value,
                          const char *detail)
{
    field_invalid_raw(v, path, arena_printf(v->scratch, "%" PRId64, value), detail);
}

void field_invalid_message(struct validation *v, const struct field_path *path,
                           const ProtobufCMessage *value, const char *detail)
{
    AUTO(buf) struct buf json;
    buf_init(&json, MESSAGE_MAX_BYTES / 2);
    kube_encode_json(value, NULL, &json);
    field_invalid_raw(v, path, json.overflowed ? "{…}" : buf_text(&json), detail);
}

void field_invalid_list(struct validation *v, const struct field_path *path, char *const *values,
                        size_t count, const char *detail)
{
    AUTO(buf) struct buf json;
    buf_init(&json, MESSAGE_MAX_BYTES / 2);
    buf_add_char(&json, '[');
    for (size_t i = 0; i < count && !json.overflowed; i++) {
        if (i > 0)
            buf_add_char(&json, ',');
        add_quoted(&json, values[i]);
    }
    buf_add_char(&json, ']');
    field_invalid_raw(v, path, json.overflowed ? "[…]" : buf_text(&json), detail);
}

void field_not_supported(struct validation *v, const struct field_path *path, const char *value,
                         const char *const *supported)
{
    AUTO(buf) struct buf detail;
    buf_init(&detail, MESSAGE_MAX_BYTES / 2);
    buf_add_text(&detail, "supported values: ");
    for (size_t i = 0; supported[i]; i++) {
        if (i > 0)
            buf_add_text(&detail, ", ");
        add_quoted(&detail, supported[i]);
    }
    record(v, path, "Unsupported value", VALUE_QUOTED, value, buf_text(&detail));
}

void field_too_long(struct validation *v, const struct field_path *path, size_t max_bytes)
{
    record(v, path, "Too long", VALUE_NONE, NULL,
           arena_printf(v->scratch, "may not be more than %zu bytes", max_bytes));
}

void field_too_many(struct validation *v, const struct field_path *path, size_t count, size_t max)
{
    record(v, path, "Too many", VALUE_RAW, arena_printf(v->scratch, "%zu", count),
           arena_printf(v->scratch, "must have at most %zu items", max));
}

/* --- small checks --- */

bool is_one_of(const char *value, const char *const *list)
{
    for (size_t i = 0; list[i]; i++) {
        if (text_eq(or_empty(value), list[i]))
            return true;
    }
    return false;
}

void field_check_enum(struct validation *v, const struct field_path *path, const char *value,
                      const char *const *supported)
{
    if (is_empty(value))
        field_required(v, path, NULL);
    else if (!is_one_of(value, supported))
        field_not_supported(v, path, value, supported);
}

void field_check_nonnegative(struct validation *v, const struct field_path *path, int64_t value)
{
    if (value < 0)
        field_invalid_number(v, path, value, "must be greater than or equal to 0");
}

void field_check_range(struct validation *v, const struct field_path *path, int64_t value,
                       int64_t low, int64_t high)
{
    if (value < low || value > high)
        field_invalid_number(v, path, value,
                             arena_printf(v->scratch,
                                          "must be between %" PRId64 " and %" PRId64 ", inclusive",
                                          low, high));
}

void field_check_mode(struct validation *v, const struct field_path *path, bool has_mode,
                      int32_t mode)
{
    if (has_mode && (mode < 0 || mode > 0777))
        field_invalid_number(v, path, mode,
                             "must be a number between 0 and 0777 (octal), both inclusive");
}

void field_check_present(struct validation *v, const struct field_path *path, const char *value)
{
    if (is_empty(value))
        field_required(v, path, NULL);
}

static void check_faults(struct validation *v, const struct field_path *path, const char *value,
                         const struct name_faults *faults)
{
    for (size_t i = 0; i < faults->count; i++)
        field_invalid(v, path, value, faults->messages[i]);
}

void field_check_name(struct validation *v, const struct field_path *path, const char *value,
                      name_rule *rule)
{
    struct name_faults faults = {.count = 0};
    rule(str_from(or_empty(value)), &faults);
    check_faults(v, path, value, &faults);
}

void field_check_name_lowered(struct validation *v, const struct field_path *path,
                              const char *value, name_rule *rule)
{
    char *lowered = arena_strdup(v->scratch, or_empty(value));
    for (char *c = lowered; *c; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    }
    struct name_faults faults = {.count = 0};
    rule(str_from(lowered), &faults);
    check_faults(v, path, value, &faults);
}

const char *field_errors_text(const struct field_errors *errors, struct arena *arena)
{
    if (errors->count == 0)
        return NULL;
    AUTO(buf) struct buf text;
    buf_init(&text, 2 * MESSAGE_MAX_BYTES * (FIELD_ERRORS_MAX + 1));
    buf_add_text(&text, "invalid pod: [");
    for (size_t i = 0; i < errors->count; i++) {
        if (i > 0)
            buf_add_text(&text, ", ");
        buf_add_text(&text, errors->errors[i].path);
        buf_add_text(&text, ": ");
        buf_add_text(&text, errors->errors[i].message);
    }
    if (errors->omitted > 0)
        buf_printf(&text, ", and %zu more", errors->omitted);
    buf_add_char(&text, ']');
    return keep(arena, &text);
}

/* --- text_map --- */

struct text_map_slot {
    const char *text; /* NULL: free */
    size_t value;
};

static struct text_map_slot *find_slot(struct text_map_slot *slots, size_t capacity,
                                       const char *text)
{
    size_t i = hash_bytes(text, strlen(text)) & (capacity - 1);
    while (slots[i].text && strcmp(slots[i].text, text) != 0)
        i = (i + 1) & (capacity - 1);
    return &slots[i];
}

bool text_map_add(struct text_map *map, const char *text, size_t value)
{
    if ((map->count + 1) * 2 > map->capacity) {
        size_t capacity = map->capacity ? map->capacity * 2 : 16;
        struct text_map_slot *slots = arena_calloc(map->arena, capacity, sizeof(*slots));
        for (size_t i = 0; i < map->capacity; i++) {
            if (map->slots[i].text)
                *find_slot(slots, capacity, map->slots[i].text) = map->slots[i];
        }
        map->slots = slots;
        map->capacity = capacity;
    }
    struct text_map_slot *slot = find_slot(map->slots, map->capacity, or_empty(text));
    if (slot->text)
        return false;
    *slot = (struct text_map_slot){.text = or_empty(text), .value = value};
    map->count++;
    return true;
}

bool text_map_find(const struct text_map *map, const char *text, size_t *ret_value)
{
    if (map->count == 0)
        return false;
    const struct text_map_slot *slot = find_slot(map->slots, map->capacity, or_empty(text));
    if (!slot->text)
        return false;
    if (ret_value)
        *ret_value = slot->value;
    return true;
}
