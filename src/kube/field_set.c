/* Algebra on sets of field paths: both sides are sorted, so each operation is one walk along both.
 */
#include "kube/field_set.h"

static const struct field_set empty_set;

const struct field_set *field_set_empty(void)
{
    return &empty_set;
}

void field_set_add(struct field_set_builder *builder, const struct field_element *element,
                   bool is_member, const struct field_set *children)
{
    if (children && children->count == 0)
        children = NULL;
    if (!is_member && !children)
        return;
    if (builder->count == builder->capacity) {
        builder->capacity = builder->capacity ? 2 * builder->capacity : 8;
        builder->entries =
            xrealloc(builder->entries, builder->capacity * sizeof(*builder->entries));
    }
    builder->entries[builder->count++] =
        (struct field_entry){.element = *element, .is_member = is_member, .children = children};
}

static int compare_entries(const void *a, const void *b)
{
    const struct field_entry *x = a, *y = b;
    return field_element_compare(&x->element, &y->element);
}

static bool is_sorted(const struct field_set_builder *builder)
{
    for (size_t i = 1; i < builder->count; i++) {
        if (compare_entries(&builder->entries[i - 1], &builder->entries[i]) >= 0)
            return false;
    }
    return true;
}

/* NOLINTBEGIN(misc-no-recursion): paths are no longer than documents are deep */
/* Entries of the same element become one. */
static void unite_neighbours(struct field_set_builder *builder, struct arena *arena)
{
    size_t kept = 0;
    for (size_t i = 0; i < builder->count; i++) {
        struct field_entry *entry = &builder->entries[i];
        struct field_entry *last = kept ? &builder->entries[kept - 1] : NULL;
        if (!last || compare_entries(last, entry) != 0) {
            builder->entries[kept++] = *entry;
            continue;
        }
        last->is_member = last->is_member || entry->is_member;
        if (last->children && entry->children)
            last->children = field_set_union(last->children, entry->children, arena);
        else if (entry->children)
            last->children = entry->children;
    }
    builder->count = kept;
}

const struct field_set *field_set_finish(struct field_set_builder *builder, struct arena *arena)
{
    const struct field_set *set = &empty_set;
    if (builder->count > 1 && !is_sorted(builder)) {
        qsort(builder->entries, builder->count, sizeof(*builder->entries), compare_entries);
        unite_neighbours(builder, arena);
    }
    if (builder->count) {
        struct field_set *made = arena_alloc(arena, sizeof(*made));
        made->entries =
            arena_memdup(arena, builder->entries, builder->count * sizeof(*builder->entries));
        made->count = builder->count;
        set = made;
    }
    free(builder->entries);
    *builder = (struct field_set_builder){0};
    return set;
}

/* NOLINTEND(misc-no-recursion) */

const struct field_entry *field_set_find(const struct field_set *set,
                                         const struct field_element *element)
{
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = field_element_compare(&set->entries[middle].element, element);
        if (order == 0)
            return &set->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Two sets side by side; each step yields the next element with what either has of it. */
struct walk {
    const struct field_set *a, *b;
    size_t at_a, at_b;
    const struct field_entry *in_a, *in_b; /* NULL when that side lacks the element */
};

static bool walk_next(struct walk *walk)
{
    bool has_a = walk->at_a < walk->a->count, has_b = walk->at_b < walk->b->count;
    if (!has_a && !has_b)
        return false;
    const struct field_entry *a = has_a ? &walk->a->entries[walk->at_a] : NULL;
    const struct field_entry *b = has_b ? &walk->b->entries[walk->at_b] : NULL;
    int order = !a ? 1 : !b ? -1 : compare_entries(a, b);
    walk->in_a = order <= 0 ? a : NULL;
    walk->in_b = order >= 0 ? b : NULL;
    walk->at_a += order <= 0 ? 1 : 0;
    walk->at_b += order >= 0 ? 1 : 0;
    return true;
}

/* NOLINTBEGIN(misc-no-recursion): paths are no longer than documents are deep */
const struct field_set *field_set_union(const struct field_set *a, const struct field_set *b,
                                        struct arena *arena)
{
    struct field_set_builder builder = {0};
    struct walk walk = {.a = a, .b = b};
    if (a->count == 0 || b->count == 0)
        return a->count ? a : b;
    while (walk_next(&walk)) {
        const struct field_entry *x = walk.in_a ? walk.in_a : walk.in_b;
        const struct field_entry *y = walk.in_b ? walk.in_b : walk.in_a;
        ASSERT(x && y);
        const struct field_set *children = x->children ? x->children : y->children;
        if (x->children && y->children && x != y)
            children = field_set_union(x->children, y->children, arena);
        field_set_add(&builder, &x->element, x->is_member || y->is_member, children);
    }
    return field_set_finish(&builder, arena);
}

const struct field_set *field_set_intersection(const struct field_set *a, const struct field_set *b,
                                               struct arena *arena)
{
    struct field_set_builder builder = {0};
    struct walk walk = {.a = a, .b = b};
    while (walk_next(&walk)) {
        const struct field_entry *x = walk.in_a, *y = walk.in_b;
        if (!x || !y)
            continue;
        const struct field_set *children = NULL;
        if (x->children && y->children)
            children = field_set_intersection(x->children, y->children, arena);
        field_set_add(&builder, &x->element, x->is_member && y->is_member, children);
    }
    return field_set_finish(&builder, arena);
}

static const struct field_set *subtract(const struct field_set *a, const struct field_set *b,
                                        bool is_recursive, struct arena *arena)
{
    struct field_set_builder builder = {0};
    struct walk walk = {.a = a, .b = b};
    if (a->count == 0 || b->count == 0)
        return a;
    while (walk_next(&walk)) {
        const struct field_entry *x = walk.in_a, *y = walk.in_b;
        if (!x)
            continue;
        const struct field_set *children = x->children;
        if (y && y->is_member && is_recursive)
            children = NULL;
        else if (y && y->children && children)
            children = subtract(children, y->children, is_recursive, arena);
        field_set_add(&builder, &x->element, x->is_member && !(y && y->is_member), children);
    }
    return field_set_finish(&builder, arena);
}

bool field_set_equal(const struct field_set *a, const struct field_set *b)
{
    if (a == b)
        return true;
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct field_entry *x = &a->entries[i], *y = &b->entries[i];
        if (compare_entries(x, y) != 0 || x->is_member != y->is_member ||
            !x->children != !y->children)
            return false;
        if (x->children && !field_set_equal(x->children, y->children))
            return false;
    }
    return true;
}

static void each_below(const struct field_set *set, struct field_element *path, size_t depth,
                       field_set_each_fn *each, void *ctx)
{
    ASSERT(depth < DOC_MAX_DEPTH);
    for (size_t i = 0; i < set->count; i++) {
        path[depth] = set->entries[i].element;
        if (set->entries[i].is_member)
            each(ctx, path, depth + 1);
    }
    for (size_t i = 0; i < set->count; i++) {
        path[depth] = set->entries[i].element;
        if (set->entries[i].children)
            each_below(set->entries[i].children, path, depth + 1, each, ctx);
    }
}
/* NOLINTEND(misc-no-recursion) */

const struct field_set *field_set_difference(const struct field_set *a, const struct field_set *b,
                                             struct arena *arena)
{
    return subtract(a, b, false, arena);
}

const struct field_set *field_set_without(const struct field_set *a, const struct field_set *b,
                                          struct arena *arena)
{
    return subtract(a, b, true, arena);
}

void field_set_each(const struct field_set *set, field_set_each_fn *each, void *ctx)
{
    struct field_element path[DOC_MAX_DEPTH];
    each_below(set, path, 0, each, ctx);
}
