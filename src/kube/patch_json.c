/*
 * JSON patch. The document is copied once into containers of our own that may be altered (scalars
 * are shared), the operations alter them in order, and the root is the result. So an operation
 * costs what it touches, not a copy of the document, and a failed patch just forgets its copy.
 *
 * Two counters keep hostile patches away: nodes made (a copy of a copy of a copy …) and steps taken
 * (ten thousand insertions at the front of a long list). A value is measured before it is put in
 * place, so the tree never grows deeper than DOC_MAX_DEPTH and recursion over it is safe.
 */
#include "kube/patch_internal.h"

#define MAX_MADE_NODES (2 * DOC_MAX_NODES)
#define MAX_STEPS ((size_t)256 << 20)

/* A container of ours: every container below our root is one. */
struct box {
    struct doc_node node; /* DOC_OBJECT or DOC_ARRAY */
    size_t capacity;
};

struct json_patch {
    struct arena *arena;
    const struct doc_node *root;
    size_t made_nodes;
    size_t steps;
};

struct pointer {
    const char *text;
    struct str *tokens; /* decoded */
    size_t count;
    bool is_valid; /* false: names nothing */
};

struct operation {
    const char *name;
    struct pointer path;
    struct pointer from;
    const struct doc_node *value; /* NULL when absent */
};

/* Where a pointer leads: the container and the last token. A NULL container is no place. */
struct place {
    struct box *box;
    struct str key;
};

static struct error *take_steps(struct json_patch *patch, size_t steps)
{
    patch->steps += steps;
    if (patch->steps <= MAX_STEPS)
        return NULL;
    return error_with_reason(
        error_new(ERROR_RESOURCE_EXHAUSTED, "the JSON patch takes too many steps"),
        "RequestEntityTooLarge");
}

static struct box *box_of(const struct doc_node *node)
{
    if (!node || (node->kind != DOC_OBJECT && node->kind != DOC_ARRAY))
        return NULL;
    return CONTAINER_OF(node, struct box, node);
}

static size_t box_count(const struct box *box)
{
    return box->node.kind == DOC_OBJECT ? box->node.object.count : box->node.array.count;
}

/* NOLINTBEGIN(misc-no-recursion): what is thawed was measured, it is at most DOC_MAX_DEPTH deep */
static const struct doc_node *thaw(struct json_patch *patch, const struct doc_node *node)
{
    patch->made_nodes++;
    if (node->kind != DOC_OBJECT && node->kind != DOC_ARRAY)
        return node;
    struct box *box = arena_alloc(patch->arena, sizeof(*box));
    box->node.kind = node->kind;
    if (node->kind == DOC_OBJECT) {
        box->capacity = box->node.object.count = node->object.count;
        box->node.object.members = arena_memdup(patch->arena, node->object.members,
                                                node->object.count * sizeof(*node->object.members));
        for (size_t i = 0; i < node->object.count; i++)
            box->node.object.members[i].value = thaw(patch, node->object.members[i].value);
        return &box->node;
    }
    box->capacity = box->node.array.count = node->array.count;
    box->node.array.items =
        arena_calloc(patch->arena, node->array.count, sizeof(const struct doc_node *));
    for (size_t i = 0; i < node->array.count; i++)
        box->node.array.items[i] = thaw(patch, node->array.items[i]);
    return &box->node;
}
/* NOLINTEND(misc-no-recursion) */

/* Checks that @value may stand below @depth containers. */
static struct error *check_value(struct json_patch *patch, const struct doc_node *value,
                                 size_t depth)
{
    struct doc_extent extent = doc_measure(value, DOC_MAX_NODES);
    struct error *err = take_steps(patch, extent.nodes);
    if (err)
        return err;
    if (depth + extent.depth > DOC_MAX_DEPTH || extent.nodes > MAX_MADE_NODES - patch->made_nodes)
        return error_with_reason(
            error_new(ERROR_RESOURCE_EXHAUSTED,
                      "the JSON patch makes the document too deep or too large"),
            "RequestEntityTooLarge");
    return NULL;
}

/* Makes a copy of @value of our own, to stand below @depth containers. */
static struct error *take_in(struct json_patch *patch, const struct doc_node *value, size_t depth,
                             const struct doc_node **ret)
{
    struct error *err = check_value(patch, value, depth);
    if (!err)
        *ret = thaw(patch, value);
    return err;
}

static struct str decode_token(struct str token, struct arena *arena)
{
    char *text = arena_strndup(arena, token.ptr, token.len);
    size_t len = 0;
    for (size_t i = 0; i < token.len; i++) {
        text[len] = token.ptr[i];
        if (token.ptr[i] == '~' && i + 1 < token.len) {
            bool is_slash = token.ptr[i + 1] == '1';
            if (is_slash)
                text[len] = '/';
            i += is_slash || token.ptr[i + 1] == '0' ? 1 : 0;
        }
        len++;
    }
    text[len] = '\0';
    return (struct str){.ptr = text, .len = len};
}

/* More tokens than the tree can be deep name nothing, like a pointer that does not begin with '/'.
 */
static struct pointer parse_pointer(struct str text, struct arena *arena)
{
    struct pointer pointer = {.text = text.ptr, .is_valid = text.len == 0};
    if (text.len == 0 || text.ptr[0] != '/')
        return pointer;
    struct str rest = {.ptr = text.ptr + 1, .len = text.len - 1}, token;
    size_t slashes = 0;
    for (size_t i = 0; i < text.len; i++)
        slashes += text.ptr[i] == '/' ? 1 : 0;
    pointer.tokens = arena_calloc(arena, min_size(slashes, DOC_MAX_DEPTH), sizeof(struct str));
    while (str_split_next(&rest, '/', &token)) {
        if (pointer.count == DOC_MAX_DEPTH)
            return pointer;
        pointer.tokens[pointer.count++] = decode_token(token, arena);
    }
    pointer.is_valid = true;
    return pointer;
}

static struct doc_member *find_member(const struct box *box, struct str key)
{
    for (size_t i = 0; i < box->node.object.count; i++) {
        if (str_eq(box->node.object.members[i].key, key))
            return &box->node.object.members[i];
    }
    return NULL;
}

/* The index that @key means in a list where indices up to @limit - 1 may be named. Read as upstream
 * does, with a sign and leading zeros, which RFC 6901 does not have. */
static struct error *parse_index(struct str key, size_t limit, size_t *ret)
{
    int64_t index = 0;
    bool has_plus = key.len > 1 && key.ptr[0] == '+' && key.ptr[1] != '-';
    if (!parse_i64(key.ptr + (has_plus ? 1 : 0), INT32_MIN, INT32_MAX, &index))
        return patch_invalid("strconv.Atoi: parsing \"%.*s\": invalid syntax", STR_ARG(key));
    int64_t at = index < 0 ? index + (int64_t)limit : index;
    if (at < 0 || at >= (int64_t)limit)
        return patch_invalid("Unable to access invalid index: %lld: invalid index referenced",
                             (long long)index);
    *ret = (size_t)at;
    return NULL;
}

/* The value at @place. A member that is missing reads as null, as upstream has it: so it can be
 * tested for, copied and replaced. */
static struct error *get(struct json_patch *patch, const struct place *place,
                         const struct doc_node **ret)
{
    size_t at = 0;
    struct error *err = take_steps(patch, box_count(place->box));
    if (err)
        return err;
    if (place->box->node.kind == DOC_OBJECT) {
        const struct doc_member *member = find_member(place->box, place->key);
        *ret = member ? member->value : doc_null();
        return NULL;
    }
    err = parse_index(place->key, place->box->node.array.count, &at);
    if (!err)
        *ret = place->box->node.array.items[at];
    return err;
}

/* Finds the container that @pointer names a child of. *ret_place->box is NULL when there is none.
 */
static struct error *resolve(struct json_patch *patch, const struct pointer *pointer,
                             struct place *ret_place)
{
    struct place place = {.box = pointer->is_valid ? box_of(patch->root) : NULL};
    for (size_t i = 0; i + 1 < pointer->count && place.box; i++) {
        const struct doc_node *next = NULL;
        place.key = pointer->tokens[i];
        struct error *err = get(patch, &place, &next);
        if (error_is(err, ERROR_RESOURCE_EXHAUSTED))
            return err;
        error_ignore(err, "a step that leads nowhere is told with the whole path");
        place.box = box_of(next);
    }
    if (pointer->count)
        place.key = pointer->tokens[pointer->count - 1];
    *ret_place = place;
    return NULL;
}

static void grow(struct json_patch *patch, struct box *box)
{
    if (box_count(box) < box->capacity)
        return;
    size_t capacity = box->capacity < 4 ? 8 : 2 * box->capacity;
    if (box->node.kind == DOC_OBJECT) {
        struct doc_member *members = arena_calloc(patch->arena, capacity, sizeof(*members));
        if (box->capacity)
            memcpy(members, box->node.object.members, box->capacity * sizeof(*members));
        box->node.object.members = members;
    } else {
        const struct doc_node **items =
            arena_calloc(patch->arena, capacity, sizeof(const struct doc_node *));
        if (box->capacity)
            memcpy(items, box->node.array.items, box->capacity * sizeof(const struct doc_node *));
        box->node.array.items = items;
    }
    box->capacity = capacity;
}

/* Sets a member, or inserts into a list; @value is ours. */
static struct error *put(struct json_patch *patch, const struct place *place,
                         const struct doc_node *value)
{
    struct box *box = place->box;
    size_t count = box_count(box), at = count;
    struct error *err = take_steps(patch, count);
    if (err)
        return err;
    if (box->node.kind == DOC_OBJECT) {
        struct doc_member *member = find_member(box, place->key);
        if (!member) {
            grow(patch, box);
            member = &box->node.object.members[box->node.object.count++];
            *member = (struct doc_member){.key = place->key};
        }
        member->value = value;
        return NULL;
    }
    if (!str_eq_c(place->key, "-")) {
        err = parse_index(place->key, count + 1, &at);
        if (err)
            return error_wrap(err, "value was not a proper array index: '%.*s'",
                              STR_ARG(place->key));
    }
    grow(patch, box);
    const struct doc_node **items = box->node.array.items;
    memmove(&items[at + 1], &items[at], (count - at) * sizeof(const struct doc_node *));
    items[at] = value;
    box->node.array.count++;
    return NULL;
}

static struct error *take_out(struct json_patch *patch, const struct place *place)
{
    struct box *box = place->box;
    size_t at = 0;
    struct error *err = take_steps(patch, box_count(box));
    if (err)
        return err;
    if (box->node.kind == DOC_OBJECT) {
        struct doc_member *member = find_member(box, place->key);
        if (!member)
            return patch_invalid("Unable to remove nonexistent key: %.*s: missing value",
                                 STR_ARG(place->key));
        const struct doc_member *end = &box->node.object.members[box->node.object.count--];
        memmove(member, member + 1, (size_t)(end - (member + 1)) * sizeof(*member));
        return NULL;
    }
    err = parse_index(place->key, box->node.array.count, &at);
    if (err)
        return err;
    const struct doc_node **items = box->node.array.items;
    size_t after = --box->node.array.count - at;
    memmove(&items[at], &items[at + 1], after * sizeof(const struct doc_node *));
    return NULL;
}

static bool is_root(const struct pointer *pointer)
{
    return pointer->is_valid && pointer->count == 0;
}

/* Puts @value, which is ours, at @path; @ret_found tells whether there was a container for it. */
static struct error *put_at(struct json_patch *patch, const struct pointer *path,
                            const struct doc_node *value, bool *ret_found)
{
    struct place place = {.box = NULL};
    *ret_found = true;
    if (is_root(path)) {
        patch->root = value;
        return NULL;
    }
    struct error *err = resolve(patch, path, &place);
    if (err)
        return err;
    *ret_found = place.box != NULL;
    return place.box ? put(patch, &place, value) : NULL;
}

/* The same with a copy of @value. */
static struct error *put_copy(struct json_patch *patch, const struct pointer *path,
                              const struct doc_node *value, bool *ret_found)
{
    const struct doc_node *ours = NULL;
    *ret_found = true;
    struct error *err = take_in(patch, value, path->count, &ours);
    return err ? err : put_at(patch, path, ours, ret_found);
}

static struct error *op_add(struct json_patch *patch, const struct operation *op)
{
    bool is_found = false;
    struct error *err = put_copy(patch, &op->path, op->value, &is_found);
    if (!is_found)
        return patch_invalid(
            "add operation does not apply: doc is missing path: \"%s\": missing value",
            op->path.text);
    return error_wrap(err, "error in add for path: '%s'", op->path.text);
}

static struct error *op_remove(struct json_patch *patch, const struct operation *op)
{
    struct place place = {.box = NULL};
    struct error *err = resolve(patch, &op->path, &place);
    if (err)
        return err;
    if (!place.box || is_root(&op->path))
        return patch_invalid(
            "remove operation does not apply: doc is missing path: \"%s\": missing value",
            op->path.text);
    return error_wrap(take_out(patch, &place), "error in remove for path: '%s'", op->path.text);
}

static struct error *op_replace(struct json_patch *patch, const struct operation *op)
{
    struct place place = {.box = NULL};
    const struct doc_node *old = NULL, *ours = NULL;
    bool is_found = false;
    if (is_root(&op->path))
        return put_copy(patch, &op->path, op->value, &is_found);
    struct error *err = resolve(patch, &op->path, &place);
    if (err)
        return err;
    if (!place.box)
        return patch_invalid(
            "replace operation does not apply: doc is missing path: %s: missing value",
            op->path.text);
    err = get(patch, &place, &old);
    if (err && err->code != ERROR_RESOURCE_EXHAUSTED) {
        error_ignore(err, "told with the whole path");
        return patch_invalid(
            "replace operation does not apply: doc is missing key: %s: missing value",
            op->path.text);
    }
    if (!err)
        err = take_in(patch, op->value, op->path.count, &ours);
    /* In a list: out with the old one, in with the new. */
    if (!err && place.box->node.kind == DOC_ARRAY)
        err = take_out(patch, &place);
    return err ? err : put(patch, &place, ours);
}

/* The value that move and copy begin with; *ret_place is where it stands. */
static struct error *get_from(struct json_patch *patch, const struct operation *op,
                              struct place *ret_place, const struct doc_node **ret)
{
    if (is_root(&op->from)) {
        *ret_place = (struct place){.box = NULL};
        *ret = patch->root;
        return NULL;
    }
    struct error *err = resolve(patch, &op->from, ret_place);
    if (err)
        return err;
    if (!ret_place->box)
        return patch_invalid("%s operation does not apply: doc is missing from path: %s: missing "
                             "value",
                             op->name, op->from.text);
    return get(patch, ret_place, ret);
}

static struct error *missing_destination(const struct operation *op)
{
    return patch_invalid(
        "%s operation does not apply: doc is missing destination path: %s: missing value", op->name,
        op->path.text);
}

/* Upstream tells the last token only where it cannot take the value out. */
static const char *last_token(const struct pointer *pointer)
{
    return pointer->count ? pointer->tokens[pointer->count - 1].ptr : "";
}

/* The value is taken out first, so a place inside itself is missing. */
static struct error *op_move(struct json_patch *patch, const struct operation *op)
{
    struct place place = {.box = NULL};
    const struct doc_node *value = NULL;
    bool is_found = true;
    struct error *err = get_from(patch, op, &place, &value);
    if (!err && !place.box)
        return is_root(&op->path) ? NULL : missing_destination(op);
    if (!err)
        err = take_out(patch, &place);
    if (err && place.box)
        err = error_wrap(err, "error in move for path: '%s'", last_token(&op->from));
    if (err)
        return err;
    err = check_value(patch, value, op->path.count);
    if (!err)
        err = put_at(patch, &op->path, value, &is_found);
    if (!is_found)
        return missing_destination(op);
    return error_wrap(err, "error in move for path: '%s'", op->path.text);
}

static struct error *op_copy(struct json_patch *patch, const struct operation *op)
{
    struct place place = {.box = NULL};
    const struct doc_node *value = NULL;
    bool is_found = true;
    struct error *err = get_from(patch, op, &place, &value);
    if (err && place.box)
        err = error_wrap(err, "error in copy for from: '%s'", op->from.text);
    if (err)
        return err;
    err = put_copy(patch, &op->path, value, &is_found);
    if (!is_found)
        return missing_destination(op);
    return error_wrap(err, "error while adding value during copy");
}

static struct error *op_test(struct json_patch *patch, const struct operation *op)
{
    struct place place = {.box = NULL};
    const struct doc_node *value = patch->root;
    struct error *err = NULL;
    if (!is_root(&op->path)) {
        err = resolve(patch, &op->path, &place);
        if (err)
            return err;
        if (!place.box)
            return patch_invalid(
                "test operation does not apply: is missing path: %s: missing value", op->path.text);
        err = get(patch, &place, &value);
        if (err)
            return error_wrap(err, "error in test for path: '%s'", op->path.text);
    }
    if (doc_equal(value, op->value))
        return NULL;
    return patch_invalid("testing value %s failed: test failed", op->path.text);
}

struct operation_row {
    const char *name;
    struct error *(*apply)(struct json_patch *patch, const struct operation *op);
    bool has_value;
    bool has_from;
};

static const struct operation_row operation_rows[] = {
    {"add", op_add, true, false},         {"remove", op_remove, false, false},
    {"replace", op_replace, true, false}, {"move", op_move, false, true},
    {"copy", op_copy, false, true},       {"test", op_test, true, false},
};

static struct error *read_pointer(const struct doc_node *object, const char *name, const char *op,
                                  struct arena *arena, struct pointer *ret)
{
    const struct doc_node *node = doc_get(object, name);
    if (!node || node->kind != DOC_STRING)
        return patch_invalid("%s operation failed to decode %s: missing value", op, name);
    *ret = parse_pointer(node->string, arena);
    return NULL;
}

static struct error *apply_operation(struct json_patch *patch, const struct doc_node *object)
{
    const struct doc_node *name = doc_get(object, "op");
    const struct operation_row *row = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(operation_rows) && name && name->kind == DOC_STRING; i++) {
        if (str_eq_c(name->string, operation_rows[i].name))
            row = &operation_rows[i];
    }
    if (!row)
        return patch_invalid("Unexpected kind: %s",
                             name && name->kind == DOC_STRING ? name->string.ptr : "unknown");

    struct operation op = {.name = row->name, .value = doc_get(object, "value")};
    struct error *err = read_pointer(object, "path", op.name, patch->arena, &op.path);
    if (!err && row->has_from)
        err = read_pointer(object, "from", op.name, patch->arena, &op.from);
    if (!err && row->has_value && !op.value)
        err = patch_invalid("%s operation failed to decode value: missing value", op.name);
    return err ? err : row->apply(patch, &op);
}

/* That @patch is a list of objects, and not too long. */
static struct error *check_operations(const struct doc_node *patch)
{
    if (patch->kind != DOC_ARRAY)
        return patch_bad_request("error decoding patch: expected an array of operations");
    if (patch->array.count > KUBE_JSON_PATCH_MAX_OPERATIONS)
        return error_with_reason(
            error_new(ERROR_RESOURCE_EXHAUSTED,
                      "The allowed maximum operations in a JSON patch is %d, got %zu",
                      KUBE_JSON_PATCH_MAX_OPERATIONS, patch->array.count),
            "RequestEntityTooLarge");
    for (size_t i = 0; i < patch->array.count; i++) {
        if (patch->array.items[i]->kind != DOC_OBJECT)
            return patch_bad_request("error decoding patch: an operation is no object");
    }
    return patch_check_extent(patch, "the patch");
}

struct error *kube_patch_json(const struct doc_node *document, const struct doc_node *patch,
                              struct arena *arena, const struct doc_node **ret)
{
    struct json_patch state = {.arena = arena};
    struct error *err = check_operations(patch);
    if (!err)
        err = patch_check_extent(document, "the document");
    if (!err)
        err = take_in(&state, document, 0, &state.root);
    for (size_t i = 0; !err && i < patch->array.count; i++)
        err = apply_operation(&state, patch->array.items[i]);
    if (!err)
        err = patch_check_extent(state.root, "the patched document");
    if (!err)
        *ret = state.root;
    return err;
}
