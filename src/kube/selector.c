/*
 * Label selectors. The text is cut into words one at a time, with one word to look ahead:
 *
 *     selector    = [ requirement { "," requirement } ]
 *     requirement = [ "!" ] key | key ( "=" | "==" | "!=" | ">" | "<" ) [ value ]
 *                 | key ( "in" | "notin" ) "(" [ value { "," value } ] ")"
 *
 * `in` and `notin` are operators only where one is expected, so a key or value may be called that.
 * A value may be empty, also between two commas. Errors have the API server's words.
 */
#include "kube/selector.h"

#include "kube/selector_words.h"
#include "kube/validate_internal.h"

#define ERROR_MAX_BYTES (8 * KiB)

enum selector_operator {
    SELECTOR_EQUALS,
    SELECTOR_DOUBLE_EQUALS,
    SELECTOR_NOT_EQUALS,
    SELECTOR_IN,
    SELECTOR_NOT_IN,
    SELECTOR_EXISTS,
    SELECTOR_DOES_NOT_EXIST,
    SELECTOR_GREATER,
    SELECTOR_LESS,
    SELECTOR_OPERATOR_COUNT,
};

/* How each is written between a key and its values. */
static const char *const operator_texts[] = {
    [SELECTOR_EQUALS] = "=",  [SELECTOR_DOUBLE_EQUALS] = "==", [SELECTOR_NOT_EQUALS] = "!=",
    [SELECTOR_IN] = " in ",   [SELECTOR_NOT_IN] = " notin ",   [SELECTOR_EXISTS] = "",
    [SELECTOR_GREATER] = ">", [SELECTOR_LESS] = "<",           [SELECTOR_DOES_NOT_EXIST] = "",
};
_Static_assert(ARRAY_SIZE(operator_texts) == SELECTOR_OPERATOR_COUNT, "write every operator");

struct requirement {
    const char *key;
    enum selector_operator op;
    const char **values; /* sorted, each once */
    size_t value_count;
    size_t place; /* in the text */
};

struct label_selector {
    bool selects_nothing;
    struct requirement *requirements; /* sorted by key */
    size_t count;
};

/* --- words --- */

struct parser {
    const char *rest; /* after @next */
    struct word next;
    struct arena *arena;
};

static struct word take_word(struct parser *parser)
{
    struct word word = parser->next;
    parser->next = selector_read_word(&parser->rest);
    return word;
}

/* Where keys and values stand, "in" is a name like any other. */
static bool is_name(struct word word)
{
    return word.kind == WORD_IDENTIFIER || word.kind == WORD_IN || word.kind == WORD_NOT_IN;
}

static struct error *found(struct word word, const char *expected)
{
    return error_new(ERROR_INVALID_ARGUMENT, "found '%.*s', expected: %s", STR_ARG(word.text),
                     expected);
}

/* --- requirements --- */

struct value_list {
    const char **values;
    size_t count, capacity;
    struct arena *arena;
};

static void add_value(struct value_list *list, struct str value)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 4;
        const char **values = arena_calloc(list->arena, capacity, sizeof(*values));
        if (list->count)
            memcpy(values, list->values, list->count * sizeof(*values));
        list->values = values;
        list->capacity = capacity;
    }
    list->values[list->count++] = arena_strndup(list->arena, value.ptr, value.len);
}

static void sort_values(struct value_list *list)
{
    size_t kept = 0;
    if (list->count > 1)
        qsort(list->values, list->count, sizeof(*list->values), text_compare);
    for (size_t i = 0; i < list->count; i++) {
        if (kept == 0 || strcmp(list->values[kept - 1], list->values[i]) != 0)
            list->values[kept++] = list->values[i];
    }
    list->count = kept;
}

static void check_name(struct validation *v, const struct field_path *path, const char *name,
                       name_rule *rule)
{
    struct name_faults faults = {0};
    AUTO(buf) struct buf detail;
    buf_init(&detail, ERROR_MAX_BYTES);
    rule(str_from(name), &faults);
    for (size_t i = 0; i < faults.count; i++) {
        buf_add_text(&detail, i ? "; " : "");
        buf_add_text(&detail, faults.messages[i]);
    }
    if (faults.count > 0)
        field_invalid(v, path, name, buf_text(&detail));
}

/* All errors as Kubernetes joins them: the one, or "[the one, the other]". */
static struct error *joined(const struct field_errors *errors)
{
    AUTO(buf) struct buf text;
    buf_init(&text, ERROR_MAX_BYTES);
    if (errors->count == 0)
        return NULL;
    for (size_t i = 0; i < errors->count; i++)
        buf_printf(&text, "%s%s: %s", i ? ", " : "", errors->errors[i].path,
                   errors->errors[i].message);
    bool is_one = errors->count == 1;
    return error_new(ERROR_INVALID_ARGUMENT, "%s%s%s", is_one ? "" : "[", buf_text(&text),
                     is_one ? "" : "]");
}

static bool is_number(const char *text)
{
    int64_t ignored;
    /* Go's ParseInt takes a plus sign. */
    return parse_i64(text[0] == '+' && text[1] != '-' ? text + 1 : text, INT64_MIN, INT64_MAX,
                     &ignored);
}

static void check_values(struct validation *v, const struct requirement *requirement)
{
    const struct field_path *path = FIELD(NULL, "values");
    size_t count = requirement->value_count;
    const char *fault = NULL;
    switch (requirement->op) {
    case SELECTOR_IN:
    case SELECTOR_NOT_IN:
        fault = count ? NULL : "for 'in', 'notin' operators, values set can't be empty";
        break;
    case SELECTOR_EXISTS:
    case SELECTOR_DOES_NOT_EXIST:
        fault = count ? "values set must be empty for exists and does not exist" : NULL;
        break;
    case SELECTOR_GREATER:
    case SELECTOR_LESS:
        if (!is_number(requirement->values[0]))
            field_invalid(v, FIELD_AT(path, 0), requirement->values[0],
                          "for 'Gt', 'Lt' operators, the value must be an integer");
        break;
    case SELECTOR_EQUALS:
    case SELECTOR_DOUBLE_EQUALS:
    case SELECTOR_NOT_EQUALS:
    case SELECTOR_OPERATOR_COUNT:
        break;
    }
    if (fault)
        field_invalid_list(v, path, (char *const *)(uintptr_t)requirement->values, count, fault);
    for (size_t i = 0; i < count; i++)
        check_name(v, FIELD_KEY(FIELD_AT(path, i), requirement->key), requirement->values[i],
                   name_rule_label_value);
}

static struct error *check_at(const char *key_place, const struct requirement *requirement)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    struct field_errors *errors = arena_alloc(scratch, sizeof(*errors));
    struct validation v = {.errors = errors, .scratch = scratch};
    errors->arena = scratch;
    check_name(&v, FIELD(NULL, key_place), requirement->key, name_rule_qualified);
    check_values(&v, requirement);
    return joined(errors);
}

static struct error *check_requirement(const struct requirement *requirement)
{
    return check_at("key", requirement);
}

/* While parsing, a bad key is seen before its values, at a place without a name. */
static struct error *check_key(const char *key)
{
    return check_at("<nil>", &(const struct requirement){.key = key, .op = SELECTOR_EXISTS});
}

static int compare_requirements(const void *a, const void *b)
{
    const struct requirement *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : x->place < y->place ? -1 : x->place > y->place;
}

struct selector_builder {
    struct requirement *requirements;
    size_t count;
    struct arena *arena;
};

/* @most: requirements there can be. */
static struct selector_builder builder_of(size_t most, struct arena *arena)
{
    struct requirement *requirements = arena_calloc(arena, most, sizeof(*requirements));
    return (struct selector_builder){.requirements = requirements, .arena = arena};
}

static void add_requirement(struct selector_builder *builder, struct requirement requirement)
{
    requirement.place = builder->count;
    builder->requirements[builder->count++] = requirement;
}

static const struct label_selector *build(const struct selector_builder *builder)
{
    struct label_selector *selector = arena_alloc(builder->arena, sizeof(*selector));
    selector->requirements = builder->requirements;
    selector->count = builder->count;
    if (selector->count > 1)
        qsort(selector->requirements, selector->count, sizeof(*selector->requirements),
              compare_requirements);
    return selector;
}

/* --- parsing --- */

static struct error *parse_operator(struct parser *parser, enum selector_operator *ret)
{
    struct word word = take_word(parser);
    switch (word.kind) {
    case WORD_IN:
        *ret = SELECTOR_IN;
        return NULL;
    case WORD_NOT_IN:
        *ret = SELECTOR_NOT_IN;
        return NULL;
    case WORD_EQUALS:
        *ret = SELECTOR_EQUALS;
        return NULL;
    case WORD_DOUBLE_EQUALS:
        *ret = SELECTOR_DOUBLE_EQUALS;
        return NULL;
    case WORD_NOT_EQUALS:
        *ret = SELECTOR_NOT_EQUALS;
        return NULL;
    case WORD_GREATER:
        *ret = SELECTOR_GREATER;
        return NULL;
    case WORD_LESS:
        *ret = SELECTOR_LESS;
        return NULL;
    case WORD_END:
    case WORD_CLOSE:
    case WORD_COMMA:
    case WORD_NOT:
    case WORD_IDENTIFIER:
    case WORD_OPEN:
        break;
    }
    return found(word, "in, notin, =, ==, !=, gt, lt");
}

/* What stands between the brackets; leaves the closing one. */
static struct error *parse_value_names(struct parser *parser, struct value_list *list)
{
    for (;;) {
        struct word word = take_word(parser);
        if (is_name(word)) {
            add_value(list, word.text);
            if (parser->next.kind == WORD_CLOSE)
                return NULL;
            if (parser->next.kind != WORD_COMMA)
                return found(parser->next, "',' or ')'");
        } else if (word.kind == WORD_COMMA) {
            if (list->count == 0)
                add_value(list, (struct str){.ptr = ""});
            if (parser->next.kind == WORD_CLOSE) {
                add_value(list, (struct str){.ptr = ""});
                return NULL;
            }
            if (parser->next.kind == WORD_COMMA) {
                take_word(parser);
                add_value(list, (struct str){.ptr = ""});
            }
        } else {
            return found(word, "',', or identifier");
        }
    }
}

static struct error *parse_value_set(struct parser *parser, struct value_list *list)
{
    struct word word = take_word(parser);
    if (word.kind != WORD_OPEN)
        return error_new(ERROR_INVALID_ARGUMENT, "found '%.*s' expected: '('", STR_ARG(word.text));
    if (parser->next.kind == WORD_CLOSE) {
        add_value(list, (struct str){.ptr = ""});
    } else if (is_name(parser->next) || parser->next.kind == WORD_COMMA) {
        struct error *err = parse_value_names(parser, list);
        if (err)
            return err;
    } else {
        return found(parser->next, "',', ')' or identifier");
    }
    take_word(parser);
    return NULL;
}

static struct error *parse_one_value(struct parser *parser, struct value_list *list)
{
    if (parser->next.kind == WORD_END || parser->next.kind == WORD_COMMA) {
        add_value(list, (struct str){.ptr = ""});
        return NULL;
    }
    struct word word = take_word(parser);
    if (!is_name(word))
        return found(word, "identifier");
    add_value(list, word.text);
    return NULL;
}

static struct error *parse_values(struct parser *parser, struct requirement *requirement)
{
    struct value_list list = {.arena = parser->arena};
    bool is_set = requirement->op == SELECTOR_IN || requirement->op == SELECTOR_NOT_IN;
    struct error *err = is_set ? parse_value_set(parser, &list) : parse_one_value(parser, &list);
    if (err)
        return err;
    sort_values(&list);
    requirement->values = list.values;
    requirement->value_count = list.count;
    return NULL;
}

static struct error *parse_requirement(struct parser *parser, struct requirement *ret)
{
    struct requirement requirement = {.op = SELECTOR_EXISTS};
    struct word word = take_word(parser);
    bool is_negated = word.kind == WORD_NOT;
    if (is_negated)
        word = take_word(parser);
    if (!is_name(word))
        return found(word, "identifier");
    requirement.key = arena_strndup(parser->arena, word.text.ptr, word.text.len);
    struct error *err = check_key(requirement.key);
    if (err)
        return err;
    /* As upstream: after "!key" an operator is not looked at, so what follows is an error. */
    if (is_negated) {
        requirement.op = SELECTOR_DOES_NOT_EXIST;
    } else if (parser->next.kind != WORD_END && parser->next.kind != WORD_COMMA) {
        err = parse_operator(parser, &requirement.op);
        if (!err)
            err = parse_values(parser, &requirement);
    }
    if (!err)
        err = check_requirement(&requirement);
    if (!err)
        *ret = requirement;
    return err;
}

struct error *label_selector_parse(const char *text, struct arena *arena,
                                   const struct label_selector **ret)
{
    struct parser parser = {.rest = text, .arena = arena};
    size_t most = 1;
    for (const char *c = text; *c; c++)
        most += *c == ',';
    struct selector_builder builder = builder_of(most, arena);
    parser.next = selector_read_word(&parser.rest);
    while (parser.next.kind != WORD_END) {
        struct requirement requirement = {0};
        if (!is_name(parser.next) && parser.next.kind != WORD_NOT)
            return found(parser.next, "!, identifier, or 'end of string'");
        struct error *err = parse_requirement(&parser, &requirement);
        if (err)
            return error_wrap(err, "unable to parse requirement");
        add_requirement(&builder, requirement);
        struct word word = take_word(&parser);
        if (word.kind == WORD_END)
            break;
        if (word.kind != WORD_COMMA)
            return found(word, "',' or 'end of string'");
        if (!is_name(parser.next) && parser.next.kind != WORD_NOT)
            return found(parser.next, "identifier after ','");
    }
    *ret = build(&builder);
    return NULL;
}

/* --- selectors of objects --- */

static struct error *operator_of(const char *text, enum selector_operator *ret)
{
    static const struct {
        const char *text;
        enum selector_operator op;
    } rows[] = {
        {"In", SELECTOR_IN},
        {"NotIn", SELECTOR_NOT_IN},
        {"Exists", SELECTOR_EXISTS},
        {"DoesNotExist", SELECTOR_DOES_NOT_EXIST},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (text_eq(rows[i].text, or_empty(text))) {
            *ret = rows[i].op;
            return NULL;
        }
    }
    return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is not a valid label selector operator",
                     or_empty(text));
}

static struct error *requirement_of(const char *key, enum selector_operator op, char *const *values,
                                    size_t value_count, struct selector_builder *builder)
{
    struct value_list list = {.arena = builder->arena};
    for (size_t i = 0; i < value_count; i++)
        add_value(&list, str_from(or_empty(values[i])));
    sort_values(&list);
    const struct requirement requirement = {
        .key = or_empty(key), .op = op, .values = list.values, .value_count = list.count};
    struct error *err = check_requirement(&requirement);
    if (!err)
        add_requirement(builder, requirement);
    return err;
}

struct error *label_selector_from_message(const Meta__LabelSelector *message, struct arena *arena,
                                          const struct label_selector **ret)
{
    static const struct label_selector nothing = {.selects_nothing = true};
    struct error *err = NULL;
    if (!message) {
        *ret = &nothing;
        return NULL;
    }
    struct selector_builder builder =
        builder_of(message->n_match_labels + message->n_match_expressions, arena);
    for (size_t i = 0; i < message->n_match_labels && !err; i++)
        err = requirement_of(message->match_labels[i]->key, SELECTOR_EQUALS,
                             &message->match_labels[i]->value, 1, &builder);
    for (size_t i = 0; i < message->n_match_expressions && !err; i++) {
        const Meta__LabelSelectorRequirement *from = message->match_expressions[i];
        enum selector_operator op = SELECTOR_EQUALS;
        err = operator_of(from->operator_, &op);
        if (!err)
            err = requirement_of(from->key, op, from->values, from->n_values, &builder);
    }
    if (!err)
        *ret = build(&builder);
    return err;
}

/* --- matching --- */

static const char *label_of(const Meta__ObjectMeta *meta, const char *key)
{
    for (size_t i = 0; meta && i < meta->n_labels; i++) {
        if (text_eq(meta->labels[i]->key, key))
            return or_empty(meta->labels[i]->value);
    }
    return NULL;
}

static bool has_value(const struct requirement *requirement, const char *value)
{
    return requirement->value_count > 0 &&
           bsearch(&value, requirement->values, requirement->value_count,
                   sizeof(*requirement->values), text_compare) != NULL;
}

static bool parse_number(const char *text, int64_t *ret)
{
    return is_number(text) &&
           parse_i64(text[0] == '+' ? text + 1 : text, INT64_MIN, INT64_MAX, ret);
}

static bool requirement_matches(const struct requirement *requirement, const char *value)
{
    int64_t have, limit;
    bool are_numbers;
    switch (requirement->op) {
    case SELECTOR_EQUALS:
    case SELECTOR_DOUBLE_EQUALS:
    case SELECTOR_IN:
        return value && has_value(requirement, value);
    case SELECTOR_NOT_EQUALS:
    case SELECTOR_NOT_IN:
        return !value || !has_value(requirement, value);
    case SELECTOR_EXISTS:
        return value != NULL;
    case SELECTOR_DOES_NOT_EXIST:
        return value == NULL;
    case SELECTOR_GREATER:
    case SELECTOR_LESS:
        are_numbers =
            value && parse_number(value, &have) && parse_number(requirement->values[0], &limit);
        return are_numbers && (requirement->op == SELECTOR_GREATER ? have > limit : have < limit);
    case SELECTOR_OPERATOR_COUNT:
        break;
    }
    return false;
}

bool label_selector_matches(const struct label_selector *selector, const Meta__ObjectMeta *meta)
{
    for (size_t i = 0; i < selector->count; i++) {
        const struct requirement *requirement = &selector->requirements[i];
        if (!requirement_matches(requirement, label_of(meta, requirement->key)))
            return false;
    }
    return !selector->selects_nothing;
}

bool label_selector_is_empty(const struct label_selector *selector)
{
    return !selector->selects_nothing && selector->count == 0;
}

void label_selector_write(const struct label_selector *selector, struct buf *out)
{
    for (size_t i = 0; i < selector->count; i++) {
        const struct requirement *requirement = &selector->requirements[i];
        bool is_set = requirement->op == SELECTOR_IN || requirement->op == SELECTOR_NOT_IN;
        bool is_absence = requirement->op == SELECTOR_DOES_NOT_EXIST;
        buf_printf(out, "%s%s%s%s", i ? "," : "", is_absence ? "!" : "", requirement->key,
                   operator_texts[requirement->op]);
        buf_add_text(out, is_set ? "(" : "");
        for (size_t k = 0; k < requirement->value_count; k++) {
            buf_add_text(out, k ? "," : "");
            buf_add_text(out, requirement->values[k]);
        }
        buf_add_text(out, is_set ? ")" : "");
    }
}
