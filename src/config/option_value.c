#include "config/option_value.h"

#include "base/time.h"
#include "kube/quantity.h"
#include "kube/validate.h"

#include <arpa/inet.h>

#define VALUE_MAX_ELEMENTS 1024 /* of a list or map in one use of a flag */

static struct error *bad_syntax(const char *function, const char *text)
{
    return error_new(ERROR_INVALID_ARGUMENT, "strconv.%s: parsing \"%s\": invalid syntax", function,
                     text);
}

bool option_parse_bool(const char *text, bool *ret)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
    static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};
    for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
        if (text_eq(text, yes[i]) || text_eq(text, no[i])) {
            *ret = text_eq(text, yes[i]);
            return true;
        }
    }
    return false;
}

bool option_is_ip(const char *text)
{
    unsigned char address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET6, text, address) == 1)
        return true;
    struct str rest = str_from(text), part;
    int parts = 0;
    while (str_split_next(&rest, '.', &part)) {
        unsigned value = 0;
        if (part.len == 0 || ++parts > 4)
            return false;
        for (size_t i = 0; i < part.len; i++) {
            if (part.ptr[i] < '0' || part.ptr[i] > '9')
                return false;
            value = value * 10 + (unsigned)(part.ptr[i] - '0');
            if (value > 255)
                return false;
        }
    }
    return parts == 4;
}

static struct error *set_integer(const struct field *field, const char *text, int64_t low,
                                 int64_t high)
{
    int64_t value;
    if (parse_i64(text, low, high, &value)) {
        field_set_integer(field, value);
        return NULL;
    }
    const char *digits = text[0] == '-' ? text + 1 : text;
    if (digits[0] == '\0' || strspn(digits, "0123456789") != strlen(digits))
        return bad_syntax("ParseInt", text);
    return error_new(ERROR_INVALID_ARGUMENT, "strconv.ParseInt: parsing \"%s\": value out of range",
                     text);
}

static struct error *set_bool(const struct field *field, const char *text)
{
    bool value;
    if (!option_parse_bool(text, &value))
        return bad_syntax("ParseBool", text);
    field_set_bool(field, value);
    return NULL;
}

static struct error *set_ip(const struct field *field, const char *text, struct arena *arena)
{
    if (text[0] == '\0')
        return NULL; /* upstream: an empty address leaves the value as it is */
    if (!option_is_ip(text))
        return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is not a valid IP address", text);
    field_set_text(field, text, arena);
    return NULL;
}

static struct error *set_duration(const struct field *field, const char *text, struct arena *arena)
{
    int64_t duration_ns;
    struct error *err = time_parse_duration(str_from(text), &duration_ns);
    if (err)
        return err;
    field_set_duration(field, duration_ns, arena);
    return NULL;
}

static struct error *set_quantity(const struct field *field, const char *text, struct arena *arena)
{
    struct error *err = quantity_check(str_from(text));
    if (err)
        return err;
    struct field inner = field_of(field_make_message(field, arena), "string");
    field_set_text(&inner, text, arena);
    return NULL;
}

/* A quoted field; *at is behind the opening quote and ends behind the closing one. False when it is
 * not closed, or is followed by something else than a comma. */
static bool read_quoted(const char **at, char *item)
{
    size_t len = 0;
    for (; **at && !((*at)[0] == '"' && (*at)[1] != '"'); (*at)++) {
        if (**at == '"')
            (*at)++;
        item[len++] = **at;
    }
    if (**at != '"')
        return false;
    (*at)++;
    item[len] = '\0';
    return !**at || **at == ',';
}

/* A plain field, up to the comma. False when it holds a quote. */
static bool read_plain(const char **at, char *item)
{
    size_t len = strcspn(*at, ",");
    memcpy(item, *at, len);
    item[len] = '\0';
    *at += len;
    return !memchr(item, '"', len);
}

/* One record of comma-separated values as Go's encoding/csv reads it. */
static struct error *add_list(const struct field *field, const char *text, struct arena *arena)
{
    const char *at = text;
    AUTO(free) char *item = xcalloc(1, strlen(text) + 1);
    while (*at) {
        if (*at == '"') {
            at++;
            if (!read_quoted(&at, item))
                return error_new(ERROR_INVALID_ARGUMENT,
                                 "parse error on line 1: extraneous or missing \" in quoted-field");
        } else if (!read_plain(&at, item)) {
            return error_new(ERROR_INVALID_ARGUMENT,
                             "parse error on line 1: bare \" in non-quoted-field");
        }
        field_add_text(field, item, arena);
        if (*at != ',')
            break;
        at++;
        if (!*at)
            field_add_text(field, "", arena);
    }
    return NULL;
}

/* One key and its value, both trimmed; @value.ptr is NULL when @separator does not occur. */
struct pair {
    struct str key;
    struct str value;
};

static struct pair split_pair(struct str text, char separator)
{
    size_t at = str_find(text, separator);
    struct pair pair = {.key = str_trim((struct str){.ptr = text.ptr, .len = at})};
    if (at < text.len)
        pair.value = str_trim((struct str){.ptr = text.ptr + at + 1, .len = text.len - at - 1});
    if (at < text.len && !pair.value.ptr)
        pair.value.ptr = "";
    return pair;
}

static const char *copy(struct str text, struct arena *arena)
{
    return arena_strndup(arena, text.ptr ? text.ptr : "", text.len);
}

static struct error *add_gate(const struct field *field, const struct pair *pair,
                              struct arena *arena)
{
    bool value;
    const char *text = copy(pair->value, arena);
    if (!option_parse_bool(text, &value))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "invalid value of %.*s=%s, err: strconv.ParseBool: parsing \"%s\": "
                         "invalid syntax",
                         STR_ARG(pair->key), text, text);
    struct field entry = field_of(field_map_make(field, copy(pair->key, arena), arena), "value");
    field_set_bool(&entry, value);
    return NULL;
}

static void add_header(const struct field *field, const struct pair *pair, struct arena *arena)
{
    struct field values = field_of(field_map_make(field, copy(pair->key, arena), arena), "value");
    struct field items = field_of(field_make_message(&values, arena), "items");
    field_add_text(&items, copy(pair->value, arena), arena);
}

static void add_text_entry(const struct field *field, const struct pair *pair, struct arena *arena)
{
    struct field entry = field_of(field_map_make(field, copy(pair->key, arena), arena), "value");
    field_set_text(&entry, copy(pair->value, arena), arena);
}

/* What separates key and value in the map-like types, and what an element is called in errors. */
static const struct map_syntax {
    enum option_type type;
    char separator;
    const char *wanted; /* NULL: the value may be missing */
} map_syntaxes[] = {
    {OPTION_MAP, '=', "string=string"},  {OPTION_SIGNALS, '<', "string<string"},
    {OPTION_PAIR, '=', "string=string"}, {OPTION_LABELS, '=', NULL},
    {OPTION_GATES, '=', "string=bool"},  {OPTION_HEADERS, ':', "string:string"},
};

static struct error *add_map(const struct field *field, enum option_type type, const char *text,
                             struct arena *arena)
{
    const struct map_syntax *syntax = map_syntaxes;
    while (syntax->type != type)
        syntax++;
    struct str rest = str_from(text), element;
    /* A pair value may hold commas; every other type is a list. */
    while (str_split_next(&rest, type == OPTION_PAIR ? '\0' : ',', &element)) {
        element = str_trim(element);
        if (element.len == 0)
            continue;
        struct pair pair = split_pair(element, syntax->separator);
        if (!pair.value.ptr && syntax->wanted)
            return error_new(ERROR_INVALID_ARGUMENT, "malformed pair, expect %s", syntax->wanted);
        if (type == OPTION_HEADERS) {
            add_header(field, &pair, arena);
        } else if (type == OPTION_GATES) {
            struct error *err = add_gate(field, &pair, arena);
            if (err)
                return err;
        } else {
            add_text_entry(field, &pair, arena);
        }
    }
    return NULL;
}

static struct error *add_taint(const struct field *field, struct str spec, struct arena *arena)
{
    static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute"};
    struct pair by_effect = split_pair(spec, ':');
    struct pair by_value = split_pair(by_effect.key, '=');
    bool is_known = !by_effect.value.ptr;
    for (size_t i = 0; i < ARRAY_SIZE(effects); i++)
        is_known = is_known || str_eq_c(by_effect.value, effects[i]);
    if (!is_known)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "invalid taint effect: %.*s, unsupported taint effect",
                         STR_ARG(by_effect.value));
    const char *reason = name_check_qualified(by_value.key);
    if (reason)
        return error_new(ERROR_INVALID_ARGUMENT, "invalid taint spec: %.*s, %s", STR_ARG(spec),
                         reason);
    ProtobufCMessage *taint = field_add_message(field, arena);
    struct field key = field_of(taint, "key"), value = field_of(taint, "value"),
                 effect = field_of(taint, "effect");
    field_set_text(&key, copy(by_value.key, arena), arena);
    field_set_text(&value, copy(by_value.value, arena), arena);
    field_set_text(&effect, copy(by_effect.value, arena), arena);
    return NULL;
}

static struct error *set_taints(const struct field *field, const char *text, struct arena *arena)
{
    field_clear(field); /* the last use wins */
    struct str rest = str_from(text), spec;
    while (text[0] && str_split_next(&rest, ',', &spec)) {
        struct error *err = add_taint(field, str_trim(spec), arena);
        if (err)
            return err;
    }
    return NULL;
}

static struct error *add_memory_of_node(const struct field *field, struct str text,
                                        struct arena *arena)
{
    struct pair of_node = split_pair(text, ':');
    int64_t numa_node;
    if (!of_node.value.ptr || of_node.value.len == 0)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "invalid reserved memory \"%.*s\": expected N:type=quantity",
                         STR_ARG(text));
    if (!parse_i64(copy(of_node.key, arena), 0, INT32_MAX, &numa_node))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "failed to convert the NUMA node ID \"%.*s\" to a number",
                         STR_ARG(of_node.key));
    ProtobufCMessage *reservation = field_add_message(field, arena);
    struct field numa = field_of(reservation, "numa_node"),
                 limits = field_of(reservation, "limits");
    field_set_integer(&numa, numa_node);
    struct str rest = of_node.value, element;
    while (str_split_next(&rest, ',', &element)) {
        struct pair limit = split_pair(element, '=');
        if (!limit.value.ptr)
            return error_new(ERROR_INVALID_ARGUMENT, "malformed pair, expect string=quantity");
        struct field value =
            field_of(field_map_make(&limits, copy(limit.key, arena), arena), "value");
        struct error *err = set_quantity(&value, copy(limit.value, arena), arena);
        if (err)
            return error_wrap(err, "failed to parse the quantity \"%.*s\" for the resource %.*s",
                              STR_ARG(limit.value), STR_ARG(limit.key));
    }
    return NULL;
}

static struct error *add_memory(const struct field *field, const char *text, struct arena *arena)
{
    struct str rest = str_from(text), of_node;
    while (str_split_next(&rest, ';', &of_node)) {
        if (str_trim(of_node).len == 0)
            continue;
        struct error *err = add_memory_of_node(field, str_trim(of_node), arena);
        if (err)
            return err;
    }
    return NULL;
}

static struct error *add_vmodule(const struct field *field, const char *text, struct arena *arena)
{
    struct str rest = str_from(text), element;
    while (str_split_next(&rest, ',', &element)) {
        if (element.len == 0)
            continue;
        struct pair pair = split_pair(element, '=');
        int64_t level;
        if (!pair.value.ptr || pair.key.len == 0)
            return error_new(ERROR_INVALID_ARGUMENT, "\"%.*s\" does not have the pattern=N format",
                             STR_ARG(element));
        if (!parse_i64(copy(pair.value, arena), 0, INT32_MAX, &level))
            return error_new(ERROR_INVALID_ARGUMENT,
                             "parsing verbosity in \"%.*s\": it must be a number >= 0",
                             STR_ARG(element));
        ProtobufCMessage *item = field_add_message(field, arena);
        struct field pattern = field_of(item, "file_pattern"),
                     verbosity = field_of(item, "verbosity");
        field_set_text(&pattern, copy(pair.key, arena), arena);
        field_set_integer(&verbosity, level);
    }
    return NULL;
}

static struct error *set_version(const struct field *field, const char *text, struct arena *arena)
{
    bool value;
    if (option_parse_bool(text, &value))
        text = value ? "true" : "false";
    else if (!text_eq(text, "raw") && text[0] != 'v')
        return bad_syntax("ParseBool", text);
    field_set_text(field, text, arena);
    return NULL;
}

/* The caps of lists: they grow by copying, and nobody means more. */
static struct error *check_size(const char *text)
{
    size_t separators = 0;
    for (const char *at = strpbrk(text, ",;"); at; at = strpbrk(at + 1, ",;"))
        separators++;
    if (separators < VALUE_MAX_ELEMENTS)
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "more than %d elements", VALUE_MAX_ELEMENTS);
}

struct error *option_value_set(ProtobufCMessage *root, const struct option *option,
                               const char *text, bool first, struct arena *arena)
{
    struct error *err = check_size(text);
    if (err)
        return err;
    struct field field = field_make(root, option->path, arena);
    if (first && field.type->label == PROTOBUF_C_LABEL_REPEATED)
        field_clear(&field);
    switch (option->type) {
    case OPTION_BOOL:
        return set_bool(&field, text);
    case OPTION_INT32:
        return set_integer(&field, text, INT32_MIN, INT32_MAX);
    case OPTION_INT64:
        return set_integer(&field, text, INT64_MIN, INT64_MAX);
    case OPTION_LEVEL:
        return set_integer(&field, text, 0, INT32_MAX);
    case OPTION_TEXT:
        field_set_text(&field, text, arena);
        return NULL;
    case OPTION_IP:
        return set_ip(&field, text, arena);
    case OPTION_DURATION:
        return set_duration(&field, text, arena);
    case OPTION_QUANTITY:
        return set_quantity(&field, text, arena);
    case OPTION_LIST:
        return add_list(&field, text, arena);
    case OPTION_MAP:
    case OPTION_SIGNALS:
    case OPTION_PAIR:
    case OPTION_LABELS:
    case OPTION_GATES:
    case OPTION_HEADERS:
        return add_map(&field, option->type, text, arena);
    case OPTION_TAINTS:
        return set_taints(&field, text, arena);
    case OPTION_MEMORY:
        return add_memory(&field, text, arena);
    case OPTION_VMODULE:
        return add_vmodule(&field, text, arena);
    case OPTION_VERSION:
        return set_version(&field, text, arena);
    case OPTION_FILE_ONLY:
    case OPTION_TYPE_COUNT:
        break;
    }
    return error_new(ERROR_INTERNAL, "--%s has a type that no flag can have", option->flag);
}
