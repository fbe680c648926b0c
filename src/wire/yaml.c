/*
 * libyaml delivers events; a stack of at most DOC_MAX_DEPTH frames turns them into nodes without
 * recursion. Each open container collects its items in a list that becomes an array when it closes.
 * An alias shares the node of its anchor, so memory does not grow with it; but whoever walks the
 * tree pays for it, therefore every anchor knows what walking it costs, and aliases together may
 * not cost more than the largest allowed document.
 */
#include "wire/yaml.h"

#include "base/hash.h"

#include <math.h>
#include <yaml.h>

#define NODE_COST ((size_t)16) /* bytes a node counts in addition to its text */
#define ANCHORS_MAX 1000
#define ANCHOR_BUCKETS 256 /* aliases may be many, and look for the same anchor among all */

#define TAG_PREFIX "tag:yaml.org,2002:"

struct item {
    struct item *next;
    struct doc_member member; /* without a key in arrays */
    bool is_merge;
};

struct anchor {
    struct anchor *next;
    const char *name;
    struct doc_node *node;
    size_t cost;
    unsigned height;
    bool is_complete;
};

struct frame {
    struct doc_node *node;
    struct anchor *anchor; /* of the container, or NULL */
    struct item *first, *last;
    size_t count;
    bool has_key; /* objects: `pending` holds the key whose value comes next */
    struct doc_member pending;
    bool pending_is_merge;
    size_t cost;
    unsigned height; /* containers below and including this one */
};

struct builder {
    const struct doc_parse_options *options;
    struct arena *arena;
    struct frame frames[DOC_MAX_DEPTH];
    size_t depth;
    struct anchor *anchors[ANCHOR_BUCKETS]; /* by name; the newest first */
    size_t anchor_count;
    size_t alias_cost;
    const struct doc_node *root;
    bool is_done;
};

static struct error *fail_at(const struct builder *builder, enum error_code code, unsigned line,
                             const char *what)
{
    return error_new(code, "%s%s", doc_location(builder->options->file, line, builder->arena),
                     what);
}

static struct error *refuse(const struct builder *builder, unsigned line, const char *what)
{
    return fail_at(builder, ERROR_INVALID_ARGUMENT, line, what);
}

/* A scalar as a JSON key: numbers and booleans become their text. */
static struct error *key_text(const struct builder *builder, const struct doc_node *node,
                              struct str *ret)
{
    char real[DOC_REAL_SIZE];
    switch (node->kind) {
    case DOC_STRING:
        *ret = node->string;
        return NULL;
    case DOC_BOOL:
        *ret = str_from(node->boolean ? "true" : "false");
        return NULL;
    case DOC_INTEGER:
        *ret = str_from(arena_printf(builder->arena, "%lld", (long long)node->integer));
        return NULL;
    case DOC_REAL:
        *ret = str_from(arena_strdup(builder->arena, doc_format_real(node->real, real)));
        return NULL;
    case DOC_NULL:
    case DOC_ARRAY:
    case DOC_OBJECT:
        break;
    }
    return refuse(builder, node->line, "a key must be a string, a number or a boolean");
}

/* Puts a finished value (or a key) into the innermost open container, or makes it the root. */
static struct error *add_value(struct builder *builder, const struct doc_node *node, size_t cost,
                               unsigned height, bool is_merge_key)
{
    if (builder->depth == 0) {
        builder->root = node;
        builder->is_done = true;
        return NULL;
    }
    struct frame *frame = &builder->frames[builder->depth - 1];
    frame->cost += cost;
    frame->height = height + 1 > frame->height ? height + 1 : frame->height;
    if (frame->node->kind == DOC_OBJECT && !frame->has_key) {
        frame->has_key = true;
        frame->pending_is_merge = is_merge_key;
        frame->pending = (struct doc_member){.line = node->line};
        return key_text(builder, node, &frame->pending.key);
    }
    struct item *item = arena_alloc(builder->arena, sizeof(*item));
    if (frame->has_key) {
        item->member = frame->pending;
        item->is_merge = frame->pending_is_merge;
        frame->has_key = false;
    }
    item->member.value = node;
    if (frame->last)
        frame->last->next = item;
    else
        frame->first = item;
    frame->last = item;
    frame->count++;
    return NULL;
}

static struct anchor **bucket_of(struct builder *builder, const char *name)
{
    return &builder->anchors[hash_bytes(name, strlen(name)) % ANCHOR_BUCKETS];
}

static struct error *add_anchor(struct builder *builder, const yaml_char_t *name,
                                struct doc_node *node, struct anchor **ret)
{
    *ret = NULL;
    if (!name)
        return NULL;
    if (++builder->anchor_count > ANCHORS_MAX)
        return fail_at(builder, ERROR_RESOURCE_EXHAUSTED, node->line, "more than 1000 anchors");
    struct anchor *anchor = arena_alloc(builder->arena, sizeof(*anchor));
    anchor->name = arena_strdup(builder->arena, (const char *)name);
    anchor->node = node;
    struct anchor **bucket = bucket_of(builder, anchor->name);
    anchor->next = *bucket;
    *bucket = anchor;
    *ret = anchor;
    return NULL;
}

static struct error *on_alias(struct builder *builder, const yaml_char_t *name, unsigned line)
{
    struct anchor *anchor = *bucket_of(builder, (const char *)name);
    while (anchor && !text_eq(anchor->name, (const char *)name))
        anchor = anchor->next;
    if (!anchor)
        return refuse(builder, line,
                      arena_printf(builder->arena, "unknown anchor \"%s\"", (const char *)name));
    if (!anchor->is_complete)
        return refuse(
            builder, line,
            arena_printf(builder->arena, "anchor \"%s\" contains itself", (const char *)name));
    builder->alias_cost += anchor->cost;
    if (builder->alias_cost > builder->options->max_bytes)
        return fail_at(builder, ERROR_RESOURCE_EXHAUSTED, line,
                       "aliases make the document too large");
    if (builder->depth + anchor->height > DOC_MAX_DEPTH)
        return fail_at(builder, ERROR_RESOURCE_EXHAUSTED, line, "nested too deep by an alias");
    return add_value(builder, anchor->node, anchor->cost, anchor->height, false);
}

/* The tag decides for quoted scalars too; without one, only plain scalars are more than strings. */
static struct error *resolve_scalar(const struct builder *builder, const yaml_event_t *event,
                                    struct doc_node *node)
{
    const char *tag = (const char *)event->data.scalar.tag;
    bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    struct str text = node->string;
    if (!tag) {
        if (is_plain)
            yaml_resolve_plain(text, node);
    } else if (text_eq(tag, TAG_PREFIX "int") || text_eq(tag, TAG_PREFIX "float") ||
               text_eq(tag, TAG_PREFIX "bool") || text_eq(tag, TAG_PREFIX "null")) {
        enum doc_kind want = text_eq(tag, TAG_PREFIX "bool")   ? DOC_BOOL
                             : text_eq(tag, TAG_PREFIX "null") ? DOC_NULL
                                                               : DOC_INTEGER;
        yaml_resolve_plain(text, node);
        if (node->kind != want && !(want == DOC_INTEGER && node->kind == DOC_REAL))
            return refuse(builder, node->line,
                          arena_printf(builder->arena, "cannot read \"%.*s\" as %s", STR_ARG(text),
                                       tag + strlen(TAG_PREFIX)));
    } else if (!text_eq(tag, "!") && !text_eq(tag, TAG_PREFIX "str") &&
               !text_eq(tag, TAG_PREFIX "timestamp") && !text_eq(tag, TAG_PREFIX "merge")) {
        return refuse(builder, node->line,
                      arena_printf(builder->arena, "unsupported tag \"%s\"", tag));
    }
    if (node->kind == DOC_REAL && !isfinite(node->real))
        return refuse(builder, node->line, "infinity and NaN are no values here");
    return NULL;
}

static struct error *on_scalar(struct builder *builder, const yaml_event_t *event, unsigned line)
{
    const char *value = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (len && memchr(value, '\0', len))
        return refuse(builder, line, "a NUL character inside a string");
    struct doc_node *node = arena_alloc(builder->arena, sizeof(*node));
    node->kind = DOC_STRING;
    node->line = line;
    node->column = (unsigned)event->start_mark.column + 1;
    node->string = (struct str){.ptr = arena_strndup(builder->arena, value, len), .len = len};
    bool is_merge = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                    !event->data.scalar.tag && str_eq_c(node->string, "<<");
    struct anchor *anchor;
    struct error *err = resolve_scalar(builder, event, node);
    if (!err)
        err = add_anchor(builder, event->data.scalar.anchor, node, &anchor);
    if (err)
        return err;
    if (anchor) {
        anchor->cost = NODE_COST + len;
        anchor->is_complete = true;
    }
    return add_value(builder, node, NODE_COST + len, 0, is_merge);
}

static struct error *on_begin(struct builder *builder, enum doc_kind kind,
                              const yaml_char_t *anchor_name, const yaml_mark_t *mark)
{
    unsigned line = (unsigned)mark->line + 1;
    if (builder->depth == DOC_MAX_DEPTH)
        return fail_at(builder, ERROR_RESOURCE_EXHAUSTED, line,
                       arena_printf(builder->arena, "nested deeper than %d levels", DOC_MAX_DEPTH));
    struct doc_node *node = arena_alloc(builder->arena, sizeof(*node));
    node->kind = kind;
    node->line = line;
    node->column = (unsigned)mark->column + 1;
    struct frame *frame = &builder->frames[builder->depth++];
    *frame = (struct frame){.node = node, .cost = NODE_COST, .height = 1};
    return add_anchor(builder, anchor_name, node, &frame->anchor);
}

static void close_array(struct builder *builder, const struct frame *frame)
{
    struct doc_node *node = frame->node;
    node->array.items = arena_calloc(builder->arena, frame->count, sizeof(struct doc_node *));
    for (struct item *item = frame->first; item; item = item->next)
        node->array.items[node->array.count++] = item->member.value;
}

/* Counts the members a merge value brings, or refuses it. */
static struct error *count_merged(const struct builder *builder, const struct doc_node *value,
                                  size_t *count)
{
    if (value->kind == DOC_OBJECT) {
        *count += value->object.count;
        return NULL;
    }
    bool is_good = value->kind == DOC_ARRAY;
    for (size_t i = 0; is_good && i < value->array.count; i++) {
        is_good = value->array.items[i]->kind == DOC_OBJECT;
        if (is_good)
            *count += value->array.items[i]->object.count;
    }
    if (!is_good)
        return refuse(builder, value->line, "a merge key needs a mapping or a list of mappings");
    return NULL;
}

static void append_members(struct doc_node *to, const struct doc_node *from)
{
    for (size_t i = 0; i < from->object.count; i++)
        to->object.members[to->object.count++] = from->object.members[i];
}

/*
 * Merged members yield to explicit ones, and those of later sources to earlier ones. Laid out from
 * weak to strong, the rule that the last of two equal keys wins does the rest.
 */
static struct error *apply_merges(const struct builder *builder, const struct frame *frame,
                                  size_t merged_count)
{
    struct doc_node all = {.kind = DOC_OBJECT};
    all.object.members = arena_calloc(builder->arena, merged_count + frame->node->object.count,
                                      sizeof(*all.object.members));
    for (struct item *item = frame->first; item; item = item->next) {
        if (!item->is_merge)
            continue;
        const struct doc_node *value = item->member.value;
        if (value->kind == DOC_OBJECT)
            append_members(&all, value);
        else
            for (size_t i = value->array.count; i > 0; i--)
                append_members(&all, value->array.items[i - 1]);
    }
    append_members(&all, frame->node);
    struct doc_parse_options last_wins = *builder->options;
    last_wins.reject_duplicates = false;
    struct error *err = doc_check_duplicates(&all, &last_wins);
    frame->node->object.members = all.object.members;
    frame->node->object.count = all.object.count;
    return err;
}

static struct error *close_object(struct builder *builder, const struct frame *frame)
{
    struct doc_node *node = frame->node;
    size_t merged_count = 0;
    bool has_merge = false;
    node->object.members = arena_calloc(builder->arena, frame->count, sizeof(struct doc_member));
    for (struct item *item = frame->first; item; item = item->next) {
        if (!item->is_merge) {
            node->object.members[node->object.count++] = item->member;
            continue;
        }
        has_merge = true;
        struct error *err = count_merged(builder, item->member.value, &merged_count);
        if (err)
            return err;
    }
    struct error *err = doc_check_duplicates(node, builder->options);
    if (!err && has_merge)
        err = apply_merges(builder, frame, merged_count);
    return err;
}

static struct error *on_end(struct builder *builder)
{
    struct frame *frame = &builder->frames[builder->depth - 1];
    if (frame->node->kind == DOC_ARRAY) {
        close_array(builder, frame);
    } else {
        struct error *err = close_object(builder, frame);
        if (err)
            return err;
    }
    if (frame->anchor) {
        frame->anchor->cost = frame->cost;
        frame->anchor->height = frame->height;
        frame->anchor->is_complete = true;
    }
    builder->depth--;
    return add_value(builder, frame->node, frame->cost, frame->height, false);
}

static struct error *on_event(struct builder *builder, const yaml_event_t *event)
{
    unsigned line = (unsigned)event->start_mark.line + 1;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(builder, event, line);
    case YAML_ALIAS_EVENT:
        return on_alias(builder, event->data.alias.anchor, line);
    case YAML_MAPPING_START_EVENT:
        return on_begin(builder, DOC_OBJECT, event->data.mapping_start.anchor, &event->start_mark);
    case YAML_SEQUENCE_START_EVENT:
        return on_begin(builder, DOC_ARRAY, event->data.sequence_start.anchor, &event->start_mark);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        return on_end(builder);
    case YAML_DOCUMENT_END_EVENT:
    case YAML_STREAM_END_EVENT:
        builder->is_done = true;
        return NULL;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_START_EVENT:
        break;
    }
    return NULL;
}

static struct error *syntax_error(const struct builder *builder, const yaml_parser_t *parser)
{
    bool has_mark = parser->error == YAML_SCANNER_ERROR || parser->error == YAML_PARSER_ERROR;
    unsigned line = has_mark ? (unsigned)parser->problem_mark.line + 1 : 0;
    const char *context = parser->context
                              ? arena_printf(builder->arena, " (%s from line %zu)", parser->context,
                                             parser->context_mark.line + 1)
                              : "";
    return refuse(builder, line,
                  arena_printf(builder->arena, "invalid YAML: %s%s",
                               parser->problem ? parser->problem : "unreadable", context));
}

struct error *yaml_parse(struct str text, const struct doc_parse_options *options,
                         struct arena *arena, const struct doc_node **ret)
{
    struct builder *builder = arena_alloc(arena, sizeof(*builder));
    builder->options = options;
    builder->arena = arena;
    if (text.len > options->max_bytes)
        return fail_at(builder, ERROR_RESOURCE_EXHAUSTED, 0,
                       arena_printf(arena, "larger than %zu bytes", options->max_bytes));
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        base_die("out of memory for a YAML parser");
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.ptr ? text.ptr : ""),
                                 text.len);
    struct error *err = NULL;
    while (!err && !builder->is_done) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            err = syntax_error(builder, &parser);
            break;
        }
        err = on_event(builder, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (err)
        return err;
    if (!builder->root) {
        struct doc_node *null_node = arena_alloc(arena, sizeof(*null_node));
        null_node->line = 1;
        builder->root = null_node;
    }
    *ret = builder->root;
    return NULL;
}
