/*
 * Building follows the writer's calls: an open container collects its children in a frame on the
 * heap and moves them to the arena as one piece when it ends. A refused tree swallows the rest of
 * the calls, so that who writes needs no check in between.
 */
#include "wire/doc_build.h"

struct doc_frame {
    enum doc_kind kind; /* DOC_OBJECT or DOC_ARRAY */
    struct str key;     /* the next member's; ptr NULL when there is none */
    struct doc_member *children;
    size_t count;
    size_t capacity;
};

static const struct doc_node null_node = {.kind = DOC_NULL};
static const struct doc_node true_node = {.kind = DOC_BOOL, .boolean = true};
static const struct doc_node false_node = {.kind = DOC_BOOL, .boolean = false};

const struct doc_node *doc_null(void)
{
    return &null_node;
}

const struct doc_node *doc_bool(bool value)
{
    return value ? &true_node : &false_node;
}

static struct doc_node *new_node(struct arena *arena, enum doc_kind kind)
{
    struct doc_node *node = arena_alloc(arena, sizeof(*node));
    node->kind = kind;
    return node;
}

const struct doc_node *doc_new_integer(struct arena *arena, int64_t value)
{
    struct doc_node *node = new_node(arena, DOC_INTEGER);
    node->integer = value;
    return node;
}

const struct doc_node *doc_new_text(struct arena *arena, struct str text)
{
    struct doc_node *node = new_node(arena, DOC_STRING);
    node->string.ptr = arena_strndup(arena, text.ptr ? text.ptr : "", text.len);
    node->string.len = text.len;
    return node;
}

const struct doc_node *doc_new_array(struct arena *arena, const struct doc_node *const *items,
                                     size_t count)
{
    struct doc_node *node = new_node(arena, DOC_ARRAY);
    node->array.count = count;
    if (count)
        node->array.items = arena_memdup(arena, items, count * sizeof(const struct doc_node *));
    return node;
}

const struct doc_node *doc_new_object(struct arena *arena, const struct doc_member *members,
                                      size_t count)
{
    struct doc_node *node = new_node(arena, DOC_OBJECT);
    node->object.count = count;
    if (count)
        node->object.members = arena_memdup(arena, members, count * sizeof(*members));
    return node;
}

static struct doc_builder *builder_of(struct doc_writer *writer)
{
    return CONTAINER_OF(writer, struct doc_builder, base);
}

static bool may_add_node(struct doc_builder *builder)
{
    if (!builder->is_refused && ++builder->node_count > DOC_MAX_NODES)
        builder->is_refused = true;
    return !builder->is_refused;
}

static void add_value(struct doc_builder *builder, const struct doc_node *node)
{
    if (builder->depth == 0) {
        ASSERT(!builder->root);
        builder->root = node;
        return;
    }
    struct doc_frame *frame = &builder->frames[builder->depth - 1];
    if (frame->count == frame->capacity) {
        frame->capacity = frame->capacity ? 2 * frame->capacity : 8;
        frame->children = xrealloc(frame->children, frame->capacity * sizeof(*frame->children));
    }
    ASSERT(frame->kind == DOC_ARRAY || frame->key.ptr);
    frame->children[frame->count++] = (struct doc_member){.key = frame->key, .value = node};
    frame->key = (struct str){.ptr = NULL};
}

static void begin(struct doc_builder *builder, enum doc_kind kind)
{
    if (!may_add_node(builder))
        return;
    if (builder->depth == DOC_MAX_DEPTH) {
        builder->is_refused = true;
        return;
    }
    builder->frames[builder->depth++] = (struct doc_frame){.kind = kind};
}

static const struct doc_node *array_of(const struct doc_frame *frame, struct arena *arena)
{
    struct doc_node *node = new_node(arena, DOC_ARRAY);
    node->array.count = frame->count;
    if (frame->count)
        node->array.items = arena_calloc(arena, frame->count, sizeof(const struct doc_node *));
    for (size_t i = 0; i < frame->count; i++)
        node->array.items[i] = frame->children[i].value;
    return node;
}

static void end(struct doc_builder *builder)
{
    if (builder->is_refused)
        return;
    ASSERT(builder->depth > 0);
    struct doc_frame *frame = &builder->frames[--builder->depth];
    const struct doc_node *node =
        frame->kind == DOC_ARRAY ? array_of(frame, builder->arena)
                                 : doc_new_object(builder->arena, frame->children, frame->count);
    free(frame->children);
    frame->children = NULL;
    add_value(builder, node);
}

static void begin_object(struct doc_writer *writer)
{
    begin(builder_of(writer), DOC_OBJECT);
}

static void begin_array(struct doc_writer *writer)
{
    begin(builder_of(writer), DOC_ARRAY);
}

static void end_container(struct doc_writer *writer)
{
    end(builder_of(writer));
}

static void add_key(struct doc_writer *writer, struct str key)
{
    struct doc_builder *builder = builder_of(writer);
    if (builder->is_refused)
        return;
    ASSERT(builder->depth > 0);
    struct doc_frame *frame = &builder->frames[builder->depth - 1];
    frame->key.ptr = arena_strndup(builder->arena, key.ptr ? key.ptr : "", key.len);
    frame->key.len = key.len;
}

static void add_string(struct doc_writer *writer, struct str text)
{
    struct doc_builder *builder = builder_of(writer);
    if (may_add_node(builder))
        add_value(builder, doc_new_text(builder->arena, text));
}

static void add_literal(struct doc_writer *writer, const char *text)
{
    struct doc_builder *builder = builder_of(writer);
    int64_t integer = 0;
    if (!may_add_node(builder))
        return;
    if (text_eq(text, "null")) {
        add_value(builder, doc_null());
    } else if (text_eq(text, "true") || text_eq(text, "false")) {
        add_value(builder, doc_bool(text[0] == 't'));
    } else if (parse_i64(text, INT64_MIN, INT64_MAX, &integer)) {
        add_value(builder, doc_new_integer(builder->arena, integer));
    } else {
        struct doc_node *node = new_node(builder->arena, DOC_REAL);
        node->real = strtod(text, NULL);
        add_value(builder, node);
    }
}

static const struct doc_writer_ops builder_ops = {
    .begin_object = begin_object,
    .end_object = end_container,
    .begin_array = begin_array,
    .end_array = end_container,
    .key = add_key,
    .string = add_string,
    .literal = add_literal,
};

void doc_builder_init(struct doc_builder *builder, struct arena *arena)
{
    *builder = (struct doc_builder){
        .base = {.ops = &builder_ops},
        .arena = arena,
        .frames = xcalloc(DOC_MAX_DEPTH, sizeof(struct doc_frame)),
    };
}

struct error *doc_builder_finish(struct doc_builder *builder, const struct doc_node **ret)
{
    bool is_refused = builder->is_refused;
    for (size_t i = 0; i < builder->depth; i++)
        free(builder->frames[i].children);
    free(builder->frames);
    builder->frames = NULL;
    if (is_refused)
        return error_new(ERROR_RESOURCE_EXHAUSTED,
                         "a document is nested deeper than %d levels or has more than %zu values",
                         DOC_MAX_DEPTH, DOC_MAX_NODES);
    ASSERT(builder->depth == 0 && builder->root);
    *ret = builder->root;
    return NULL;
}

int doc_compare_keys(struct str a, struct str b)
{
    size_t len = min_size(a.len, b.len);
    int order = len ? memcmp(a.ptr, b.ptr, len) : 0;
    return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

static int compare_members(const void *a, const void *b)
{
    const struct doc_member *x = a, *y = b;
    return doc_compare_keys(x->key, y->key);
}

/* NOLINTBEGIN(misc-no-recursion): trees are at most DOC_MAX_DEPTH deep */
const struct doc_node *doc_sorted(const struct doc_node *node, struct arena *arena)
{
    if (node->kind == DOC_ARRAY) {
        const struct doc_node *copy = doc_new_array(
            arena, (const struct doc_node *const *)node->array.items, node->array.count);
        for (size_t i = 0; i < copy->array.count; i++)
            copy->array.items[i] = doc_sorted(copy->array.items[i], arena);
        return copy;
    }
    if (node->kind != DOC_OBJECT)
        return node;
    const struct doc_node *copy = doc_new_object(arena, node->object.members, node->object.count);
    if (copy->object.count > 1)
        qsort(copy->object.members, copy->object.count, sizeof(struct doc_member), compare_members);
    for (size_t i = 0; i < copy->object.count; i++)
        copy->object.members[i].value = doc_sorted(copy->object.members[i].value, arena);
    return copy;
}

static bool object_equal(const struct doc_node *a, const struct doc_node *b)
{
    size_t count = a->object.count;
    if (count != b->object.count)
        return false;
    struct doc_edit index = {0};
    bool is_indexed = false, is_equal = true;
    for (size_t i = 0; i < count && is_equal; i++) {
        const struct doc_member *member = &a->object.members[i], *same = &b->object.members[i];
        const struct doc_node *other = same->value;
        /* Nearly always both are in the same order. */
        if (!str_eq(member->key, same->key)) {
            if (!is_indexed)
                doc_edit_init(&index, b);
            is_indexed = true;
            other = doc_edit_get(&index, member->key);
        }
        is_equal = other && doc_equal(member->value, other);
    }
    doc_edit_done(&index);
    return is_equal;
}

static bool is_number(const struct doc_node *node)
{
    return node->kind == DOC_INTEGER || node->kind == DOC_REAL;
}

static double number_of(const struct doc_node *node)
{
    return node->kind == DOC_INTEGER ? (double)node->integer : node->real;
}

bool doc_equal(const struct doc_node *a, const struct doc_node *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind)
        return is_number(a) && is_number(b) && number_of(a) == number_of(b);
    switch (a->kind) {
    case DOC_NULL:
        return true;
    case DOC_BOOL:
        return a->boolean == b->boolean;
    case DOC_INTEGER:
        return a->integer == b->integer;
    case DOC_REAL:
        return a->real == b->real;
    case DOC_STRING:
        return str_eq(a->string, b->string);
    case DOC_ARRAY:
        if (a->array.count != b->array.count)
            return false;
        for (size_t i = 0; i < a->array.count; i++) {
            if (!doc_equal(a->array.items[i], b->array.items[i]))
                return false;
        }
        return true;
    case DOC_OBJECT:
        return object_equal(a, b);
    }
    return false;
}

static void measure(const struct doc_node *node, size_t depth, size_t max_nodes,
                    struct doc_extent *extent)
{
    if (++extent->nodes > max_nodes || depth > DOC_MAX_DEPTH)
        return;
    if (node->kind != DOC_ARRAY && node->kind != DOC_OBJECT)
        return;
    extent->depth = extent->depth > depth + 1 ? extent->depth : depth + 1;
    bool is_array = node->kind == DOC_ARRAY;
    size_t count = is_array ? node->array.count : node->object.count;
    for (size_t i = 0; i < count && extent->nodes <= max_nodes; i++)
        measure(is_array ? node->array.items[i] : node->object.members[i].value, depth + 1,
                max_nodes, extent);
}
/* NOLINTEND(misc-no-recursion) */

struct doc_extent doc_measure(const struct doc_node *node, size_t max_nodes)
{
    struct doc_extent extent = {0};
    measure(node, 0, max_nodes, &extent);
    return extent;
}

struct error *doc_check_extent(const struct doc_node *node, const char *what)
{
    struct doc_extent extent = doc_measure(node, DOC_MAX_NODES);
    if (extent.nodes > DOC_MAX_NODES)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "%s has more than %zu values", what,
                         DOC_MAX_NODES);
    if (extent.depth > DOC_MAX_DEPTH)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "%s is nested deeper than %d levels", what,
                         DOC_MAX_DEPTH);
    return NULL;
}

int doc_compare_scalars(const struct doc_node *a, const struct doc_node *b)
{
    if (a == b)
        return 0;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    switch (a->kind) {
    case DOC_NULL:
        return 0;
    case DOC_BOOL:
        return (int)a->boolean - (int)b->boolean;
    case DOC_INTEGER:
        return a->integer < b->integer ? -1 : a->integer > b->integer;
    case DOC_REAL:
        return a->real < b->real ? -1 : a->real > b->real;
    case DOC_STRING:
        return doc_compare_keys(a->string, b->string);
    case DOC_ARRAY:
    case DOC_OBJECT:
        break;
    }
    return (uintptr_t)a < (uintptr_t)b ? -1 : 1;
}
