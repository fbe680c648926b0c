/* What differs between two objects, as sets of fields. */
#include "kube/apply_internal.h"

struct builders {
    struct field_set_builder added, removed, modified;
};

static void discard(struct builders *builders)
{
    free(builders->added.entries);
    free(builders->removed.entries);
    free(builders->modified.entries);
    *builders = (struct builders){0};
}

static void finish(struct builders *builders, struct arena *arena, struct apply_comparison *ret)
{
    ret->added = field_set_finish(&builders->added, arena);
    ret->removed = field_set_finish(&builders->removed, arena);
    ret->modified = field_set_finish(&builders->modified, arena);
}

/* NOLINTBEGIN(misc-no-recursion): trees are at most DOC_MAX_DEPTH deep */
static struct error *compare_below(const struct doc_node *old_value,
                                   const struct doc_node *new_value,
                                   const struct kube_value_type *type, struct arena *arena,
                                   struct apply_comparison *ret);

/* One member or item that either side may lack; notes it with what is below. */
static struct error *compare_child(const struct field_element *element,
                                   const struct doc_node *old_value,
                                   const struct doc_node *new_value,
                                   const struct kube_value_type *type, struct arena *arena,
                                   struct builders *out)
{
    struct apply_comparison below = {field_set_empty(), field_set_empty(), field_set_empty()};
    const struct doc_node *known = new_value ? new_value : old_value;
    bool is_leaf = apply_shape_of(type, known) == APPLY_LEAF ||
                   (apply_is_empty(old_value) && apply_is_empty(new_value));
    if (old_value && new_value && apply_shape_of(type, old_value) == APPLY_LEAF)
        is_leaf = true;
    if (!is_leaf) {
        struct error *err = compare_below(old_value, new_value, type, arena, &below);
        if (err)
            return err;
    }
    bool is_modified = is_leaf && old_value && new_value && !doc_equal(old_value, new_value);
    field_set_add(&out->added, element, !old_value, below.added);
    field_set_add(&out->removed, element, !new_value, below.removed);
    field_set_add(&out->modified, element, is_modified, below.modified);
    return NULL;
}

/* `metadata`, `spec` and `status` are there in every object, if only empty: nobody adds or removes
 * them. */
static const struct doc_node *present(const struct doc_node *value,
                                      const struct kube_value_type *owner,
                                      const struct kube_value_type *field)
{
    static const struct doc_node empty = {.kind = DOC_OBJECT};
    return !value && owner->is_object && field->shape == KUBE_SHAPE_STRUCT ? &empty : value;
}

static struct error *compare_members(const struct doc_node *old_value,
                                     const struct doc_node *new_value,
                                     const struct kube_value_type *type, struct arena *arena,
                                     struct builders *out)
{
    AUTO(doc_edit) struct doc_edit before;
    AUTO(doc_edit) struct doc_edit after;
    doc_edit_init(&before, old_value);
    doc_edit_init(&after, new_value);
    for (size_t i = 0; i < before.count; i++) {
        const struct doc_member *member = &before.members[i];
        const struct field_element element = {.kind = FIELD_NAME, .name = member->key};
        struct kube_value_type field = apply_member_type(type, member->key);
        const struct doc_node *now = present(doc_edit_get(&after, member->key), type, &field);
        struct error *err = compare_child(&element, member->value, now, &field, arena, out);
        if (err)
            return err;
    }
    for (size_t i = 0; i < after.count; i++) {
        const struct doc_member *member = &after.members[i];
        const struct field_element element = {.kind = FIELD_NAME, .name = member->key};
        struct kube_value_type field = apply_member_type(type, member->key);
        if (doc_edit_get(&before, member->key))
            continue;
        const struct doc_node *was = present(NULL, type, &field);
        struct error *err = compare_child(&element, was, member->value, &field, arena, out);
        if (err)
            return err;
    }
    return NULL;
}

/* Items of one list that share their element; mostly one. */
struct item_run {
    struct apply_item *const *items;
    size_t count;
};

static struct item_run run_at(const struct apply_items *items, size_t at)
{
    struct item_run run = {.items = &items->sorted[at]};
    while (at + run.count < items->count &&
           field_element_compare(&run.items[0]->element, &run.items[run.count]->element) == 0)
        run.count++;
    return run;
}

static bool runs_equal(const struct item_run *a, const struct item_run *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        if (!doc_equal(a->items[i]->node, b->items[i]->node))
            return false;
    }
    return a->count == b->count;
}

/* Several items of one name are one thing, owned together. */
static struct error *compare_runs(const struct item_run *before, const struct item_run *after,
                                  const struct kube_value_type *type, struct arena *arena,
                                  struct builders *out)
{
    ASSERT(before->count || after->count);
    const struct item_run *named = before->count ? before : after;
    ASSERT(named->items);
    const struct field_element *element = &named->items[0]->element;
    const struct doc_node *old_one = before->count == 1 ? before->items[0]->node : NULL;
    const struct doc_node *new_one = after->count == 1 ? after->items[0]->node : NULL;
    if (before->count <= 1 && after->count <= 1)
        return compare_child(element, old_one, new_one, type, arena, out);
    if (before->count >= 2 && after->count >= 2) {
        field_set_add(&out->modified, element, !runs_equal(before, after), NULL);
        return NULL;
    }
    field_set_add(before->count >= 2 ? &out->removed : &out->added, element, true, NULL);
    if (!old_one && !new_one)
        return NULL;
    return compare_child(element, old_one, new_one, type, arena, out);
}

static struct error *walk_items(const struct apply_items *before, const struct apply_items *after,
                                const struct kube_value_type *type, struct arena *arena,
                                struct builders *out)
{
    struct kube_value_type element = kube_type_of_element(type);
    size_t b = 0, a = 0;
    while (b < before->count || a < after->count) {
        struct item_run olds = {0}, news = {0};
        if (b < before->count)
            olds = run_at(before, b);
        if (a < after->count)
            news = run_at(after, a);
        int order = !olds.count ? 1
                    : !news.count
                        ? -1
                        : field_element_compare(&olds.items[0]->element, &news.items[0]->element);
        if (order > 0)
            olds.count = 0;
        if (order < 0)
            news.count = 0;
        struct error *err = compare_runs(&olds, &news, &element, arena, out);
        if (err)
            return err;
        b += olds.count;
        a += news.count;
    }
    return NULL;
}

static struct error *compare_lists(const struct doc_node *old_value,
                                   const struct doc_node *new_value,
                                   const struct kube_value_type *type, struct arena *arena,
                                   struct builders *out)
{
    AUTO(apply_items) struct apply_items before = {0};
    AUTO(apply_items) struct apply_items after = {0};
    struct error *err = apply_items_init(&before, old_value, type, arena);
    if (!err)
        err = apply_items_init(&after, new_value, type, arena);
    return err ? err : walk_items(&before, &after, type, arena, out);
}

static struct error *compare_below(const struct doc_node *old_value,
                                   const struct doc_node *new_value,
                                   const struct kube_value_type *type, struct arena *arena,
                                   struct apply_comparison *ret)
{
    struct builders out = {0};
    const struct doc_node *known = new_value ? new_value : old_value;
    bool is_list = apply_shape_of(type, known) == APPLY_ITEMS;
    struct error *err = is_list ? compare_lists(old_value, new_value, type, arena, &out)
                                : compare_members(old_value, new_value, type, arena, &out);
    if (err)
        discard(&out);
    else
        finish(&out, arena, ret);
    return err;
}
/* NOLINTEND(misc-no-recursion) */

struct error *apply_compare(const struct doc_node *old_value, const struct doc_node *new_value,
                            const struct kube_value_type *type, struct arena *arena,
                            struct apply_comparison *ret)
{
    return compare_below(old_value, new_value, type, arena, ret);
}
