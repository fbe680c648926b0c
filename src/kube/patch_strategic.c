/*
 * Strategic merge patch. A merge of two objects goes in four steps: a `$patch` directive decides
 * the whole; `$retainKeys` drops what it does not name; each `$setElementOrder/<list>` merges its
 * list and puts it into order; then the other members follow one by one, null removing, objects and
 * merged lists being merged, all else replacing. What a patch brings in that the document lacks is
 * cleaned of directives first. Upstream leaves `$setElementOrder/…` and `$retainKeys` in such
 * parts, where a strict decoder then trips over them; we do not.
 */
#include "kube/patch_internal.h"

struct merge_state {
    const struct kube_value_type *type;
    struct arena *arena;
    struct doc_edit result;
    struct doc_edit patch; /* what of the patch is left to do */
};

static bool is_directive(struct str key)
{
    return str_eq_c(key, PATCH_DIRECTIVE) || str_eq_c(key, PATCH_RETAIN_KEYS) ||
           str_has_prefix(key, PATCH_SET_ORDER "/") ||
           str_has_prefix(key, PATCH_DELETE_SCALARS "/");
}

/* NOLINTBEGIN(misc-no-recursion): trees are at most DOC_MAX_DEPTH deep */
static const struct doc_node *clean_array(const struct doc_node *array, bool drop_nulls,
                                          struct arena *arena)
{
    AUTO(free)
    const struct doc_node **items = xcalloc(array->array.count + 1, sizeof(struct doc_node *));
    size_t count = 0;
    for (size_t i = 0; i < array->array.count; i++) {
        items[count] = patch_without_directives(array->array.items[i], drop_nulls, arena);
        count += items[count] ? 1 : 0;
    }
    return doc_new_array(arena, items, count);
}

const struct doc_node *patch_without_directives(const struct doc_node *node, bool drop_nulls,
                                                struct arena *arena)
{
    if (node->kind == DOC_ARRAY)
        return clean_array(node, drop_nulls, arena);
    if (node->kind != DOC_OBJECT)
        return node;
    if (doc_get(node, PATCH_DIRECTIVE))
        return NULL;
    AUTO(free)
    struct doc_member *members = xcalloc(node->object.count + 1, sizeof(*members));
    size_t count = 0;
    for (size_t i = 0; i < node->object.count; i++) {
        const struct doc_member *member = &node->object.members[i];
        if (is_directive(member->key) || (drop_nulls && member->value->kind == DOC_NULL))
            continue;
        members[count] = *member;
        members[count].value = patch_without_directives(member->value, drop_nulls, arena);
        count += members[count].value ? 1 : 0;
    }
    return doc_new_object(arena, members, count);
}

/* The whole object by its directive. */
static struct error *apply_directive(const struct doc_node *directive, const struct doc_node *patch,
                                     struct arena *arena, const struct doc_node **ret)
{
    struct str name = directive->kind == DOC_STRING ? directive->string : str_from("");
    if (str_eq_c(name, "replace")) {
        *ret = patch_without_directives(doc_without_member(patch, PATCH_DIRECTIVE, arena), false,
                                        arena);
        return NULL;
    }
    if (str_eq_c(name, "delete")) {
        *ret = doc_new_object(arena, NULL, 0);
        return NULL;
    }
    return patch_does_not_fit("unknown patch type: %s in map: %s", patch_go_text(directive, arena),
                              patch_go_text(patch, arena));
}

static struct error *bad_retain_keys(void)
{
    return patch_bad_request("invalid patch format of retainKeys");
}

static struct error *apply_retain_keys(struct merge_state *state)
{
    const struct doc_node *keys = doc_edit_get(&state->patch, STR_LITERAL(PATCH_RETAIN_KEYS));
    if (!keys)
        return NULL;
    doc_edit_remove(&state->patch, STR_LITERAL(PATCH_RETAIN_KEYS));
    if (keys->kind != DOC_ARRAY)
        return bad_retain_keys();
    AUTO(doc_edit) struct doc_edit retained;
    doc_edit_init(&retained, NULL);
    for (size_t i = 0; i < keys->array.count; i++) {
        if (keys->array.items[i]->kind == DOC_STRING)
            doc_edit_set(&retained, keys->array.items[i]->string, keys);
    }
    for (size_t i = 0; i < state->patch.count; i++) {
        const struct doc_member *member = &state->patch.members[i];
        if (member->value && member->value->kind != DOC_NULL && !is_directive(member->key) &&
            !doc_edit_get(&retained, member->key))
            return bad_retain_keys();
    }
    for (size_t i = 0; i < state->result.count; i++) {
        struct str key = state->result.members[i].key;
        if (!doc_edit_get(&retained, key))
            doc_edit_remove(&state->result, key);
    }
    return NULL;
}

/* The field of a list that a directive names behind its prefix. */
static struct error *list_type(const struct merge_state *state, struct str key,
                               struct kube_value_type *ret)
{
    struct kube_value_type type = {.shape = KUBE_SHAPE_SCALAR};
    if (!kube_type_of_member(state->type, key, &type))
        return patch_no_field(state->type, key);
    if (type.shape != KUBE_SHAPE_LIST && type.shape != KUBE_SHAPE_ANY)
        return patch_does_not_fit("expected slice or array type, but got: struct");
    *ret = type;
    return NULL;
}

/* The elements of the patch must come in the order of the directive, and all be in it. */
static struct error *check_order(const struct doc_node *list, const struct doc_node *order,
                                 const char *merge_key)
{
    if (!list || list->array.count == 0 || order->array.count == 0)
        return NULL;
    size_t at = 0, in_order = 0;
    while (at < list->array.count) {
        const struct doc_node *element = list->array.items[at];
        if (doc_get(element, PATCH_DIRECTIVE)) {
            at++;
            continue;
        }
        const struct doc_node *key = patch_key_of(element, merge_key);
        if (!key)
            return patch_no_merge_key(element, merge_key);
        if (in_order == order->array.count)
            break;
        if (doc_compare_scalars(key, patch_key_of(order->array.items[in_order], merge_key)) == 0)
            at++;
        in_order++;
    }
    if (at == list->array.count)
        return NULL;
    AUTO(arena) struct arena *scratch = arena_new(0);
    return patch_does_not_fit("The order in patch list:\n%s\n doesn't match %s list:\n%s\n",
                              patch_go_text(list, scratch), PATCH_SET_ORDER,
                              patch_go_text(order, scratch));
}

/* @list (NULL: none yet) with the patch's list @patch (NULL: unchanged) in it. */
static struct error *merge_any_list(const struct doc_node *list, const struct doc_node *patch,
                                    const struct kube_value_type *type, struct arena *arena,
                                    const struct doc_node **ret)
{
    if (list && patch && type->rule.is_merged)
        return patch_merge_list(list, patch, type, arena, ret);
    *ret = patch ? patch_without_directives(patch, false, arena) : list;
    return NULL;
}

static struct error *check_lists(const struct doc_node *list, const struct doc_node *patch,
                                 const struct doc_node *order, const char *merge_key)
{
    bool is_objects = false;
    if (list && list->kind != DOC_ARRAY)
        return patch_bad_type("[]interface {}", list);
    if (patch && patch->kind != DOC_ARRAY)
        return patch_bad_type("[]interface {}", patch);
    struct error *err = patch_check_elements(list, patch, &is_objects);
    if (err)
        return err;
    if (is_objects && merge_key[0] == '\0')
        return patch_does_not_fit("cannot merge lists without merge key for struct");
    /* Without elements nothing tells what the order should hold. */
    return is_objects ? patch_check_merge_keys(order, merge_key) : NULL;
}

/* One `$setElementOrder/<list>` with its list. */
static struct error *apply_order(struct merge_state *state, const struct doc_member *directive)
{
    const struct doc_node *order = directive->value, *merged = NULL;
    struct str key = directive->key;
    size_t prefix = strlen(PATCH_SET_ORDER "/");
    struct kube_value_type type = {.shape = KUBE_SHAPE_SCALAR};
    if (order->kind != DOC_ARRAY)
        return patch_bad_type("[]interface {}", order);
    if (key.len < prefix || key.ptr[prefix - 1] != '/')
        return patch_bad_request("invalid patch format of setElementOrder list");
    key = (struct str){.ptr = key.ptr + prefix, .len = key.len - prefix};
    struct error *err = list_type(state, key, &type);
    if (err)
        return err;
    const struct doc_node *list = doc_edit_get(&state->result, key);
    const struct doc_node *patch = doc_edit_get(&state->patch, key);
    const char *merge_key = type.rule.merge_key;
    err = check_lists(list, patch, order, merge_key);
    if (!err)
        err = check_order(patch, order, merge_key);
    if (!err && (list || patch))
        err = merge_any_list(list, patch, &type, state->arena, &merged);
    if (!err && merged)
        err = merge_key[0] ? patch_check_merge_keys(merged, merge_key) : NULL;
    if (err || !merged)
        return err;
    merged = patch_order_list(merged, merge_key, order, list, state->arena);
    doc_edit_set(&state->result, key, merged);
    doc_edit_remove(&state->patch, key);
    return NULL;
}

static struct error *apply_orders(struct merge_state *state)
{
    for (size_t i = 0; i < state->patch.count; i++) {
        struct doc_member member = state->patch.members[i];
        if (!member.value || !str_has_prefix(member.key, PATCH_SET_ORDER))
            continue;
        doc_edit_remove(&state->patch, member.key);
        struct error *err = apply_order(state, &member);
        if (err)
            return err;
    }
    return NULL;
}

static struct error *delete_scalars(struct merge_state *state, const struct doc_member *directive)
{
    struct str key = directive->key;
    size_t prefix = strlen(PATCH_DELETE_SCALARS "/");
    const struct doc_node *left = NULL;
    if (key.len < prefix || key.ptr[prefix - 1] != '/')
        return patch_bad_request("invalid patch format of primitive list");
    key = (struct str){.ptr = key.ptr + prefix, .len = key.len - prefix};
    const struct doc_node *list = doc_edit_get(&state->result, key);
    if (directive->value->kind == DOC_NULL)
        doc_edit_remove(&state->result, key);
    if (!list || list->kind != DOC_ARRAY || directive->value->kind != DOC_ARRAY)
        return NULL;
    struct error *err = patch_delete_scalars(list, directive->value, state->arena, &left);
    if (!err)
        doc_edit_set(&state->result, key, left);
    return err;
}

static struct error *merge_member(struct merge_state *state, const struct doc_member *member)
{
    const struct doc_node *old = doc_edit_get(&state->result, member->key);
    const struct doc_node *merged = NULL;
    struct kube_value_type type = {.shape = KUBE_SHAPE_SCALAR};
    struct error *err = NULL;
    bool is_object = member->value->kind == DOC_OBJECT;
    if (member->value->kind == DOC_NULL) {
        doc_edit_remove(&state->result, member->key);
        return NULL;
    }
    bool is_merged =
        old && old->kind == member->value->kind && (is_object || member->value->kind == DOC_ARRAY);
    if (!is_merged) {
        merged = patch_without_directives(member->value, true, state->arena);
    } else if (is_object) {
        if (!kube_type_of_member(state->type, member->key, &type) ||
            type.shape == KUBE_SHAPE_SCALAR || type.shape == KUBE_SHAPE_LIST)
            return patch_no_field(state->type, member->key);
        err = patch_merge_object(old, member->value, &type, state->arena, &merged);
    } else {
        err = list_type(state, member->key, &type);
        if (!err)
            err = merge_any_list(old, member->value, &type, state->arena, &merged);
    }
    if (!err && merged)
        doc_edit_set(&state->result, member->key, merged);
    if (!err && !merged)
        doc_edit_remove(&state->result, member->key);
    return err;
}

static struct error *merge_members(struct merge_state *state)
{
    struct error *err = apply_retain_keys(state);
    if (!err)
        err = apply_orders(state);
    for (size_t i = 0; !err && i < state->patch.count; i++) {
        struct doc_member member = state->patch.members[i];
        if (!member.value)
            continue;
        if (str_has_prefix(member.key, PATCH_DELETE_SCALARS))
            err = delete_scalars(state, &member);
        else
            err = merge_member(state, &member);
    }
    return err;
}

struct error *patch_merge_object(const struct doc_node *original, const struct doc_node *patch,
                                 const struct kube_value_type *type, struct arena *arena,
                                 const struct doc_node **ret)
{
    const struct doc_node *directive = doc_get(patch, PATCH_DIRECTIVE);
    if (directive)
        return apply_directive(directive, patch, arena, ret);
    struct merge_state state = {.type = type, .arena = arena};
    doc_edit_init(&state.result, original);
    doc_edit_init(&state.patch, patch);
    struct error *err = merge_members(&state);
    if (!err)
        *ret = doc_edit_node(&state.result, arena);
    doc_edit_done(&state.result);
    doc_edit_done(&state.patch);
    return err;
}
/* NOLINTEND(misc-no-recursion) */

struct error *kube_patch_strategic(const struct doc_node *document, const struct doc_node *patch,
                                   const ProtobufCMessageDescriptor *type, struct arena *arena,
                                   const struct doc_node **ret)
{
    struct kube_value_type root = kube_type_of_object(type);
    const struct doc_node *merged = NULL;
    if (document->kind != DOC_OBJECT || patch->kind != DOC_OBJECT)
        return patch_bad_request("invalid JSON document");
    struct error *err = patch_check_extent(document, "the document");
    if (!err)
        err = patch_check_extent(patch, "the patch");
    if (!err)
        err = patch_merge_object(document, patch, &root, arena, &merged);
    if (!err)
        err = patch_check_extent(merged, "the patched document");
    if (!err)
        *ret = merged;
    return err;
}
