/*
 * Values walked by their type: merging, removing, and sets brought in line with a type. A leaf (a
 * scalar, or what is atomic) is taken whole.
 */
#include "kube/apply_internal.h"

/* NOLINTBEGIN(misc-no-recursion): trees are at most DOC_MAX_DEPTH deep */

static struct error *merge_members(const struct doc_node *live, const struct doc_node *config,
                                   const struct kube_value_type *type, struct arena *arena,
                                   const struct doc_node **ret)
{
    AUTO(doc_edit) struct doc_edit merged;
    doc_edit_init(&merged, live);
    for (size_t i = 0; config && config->kind == DOC_OBJECT && i < config->object.count; i++) {
        const struct doc_member *member = &config->object.members[i];
        const struct doc_node *old = doc_edit_get(&merged, member->key), *value = NULL;
        struct kube_value_type field = apply_member_type(type, member->key);
        struct error *err = apply_merge(old, member->value, &field, arena, &value);
        if (err)
            return err;
        doc_edit_set(&merged, member->key, value);
    }
    *ret = doc_edit_node(&merged, arena);
    return NULL;
}

/* Two lists of items becoming one. */
struct item_merge {
    const struct kube_value_type *type;
    struct apply_items live;
    struct apply_items config;
    bool *is_merged; /* by place in the configuration */
    const struct doc_node **out;
    size_t out_count;
    struct arena *arena;
};

/* The live item of the same name goes in, unless several share it. */
static struct error *take_config_item(struct item_merge *merge, size_t at)
{
    struct kube_value_type element = kube_type_of_element(merge->type);
    const struct apply_item *item = &merge->config.items[at];
    const struct apply_item *live = apply_items_find(&merge->live, &item->element);
    const struct doc_node *old = live && !live->is_duplicate ? live->node : NULL;
    merge->is_merged[at] = true;
    return apply_merge(old, item->node, &element, merge->arena, &merge->out[merge->out_count++]);
}

/* The place of the first item from @from on that the live list has too; config.count when none. */
static size_t next_shared(const struct item_merge *merge, size_t from)
{
    while (from < merge->config.count &&
           !apply_items_find(&merge->live, &merge->config.items[from].element))
        from++;
    return from;
}

/* What becomes of the next live item. */
enum live_step {
    LIVE_PLACE, /* it is in the live list alone: its turn */
    LIVE_SKIP,  /* the configuration brings it later */
    LIVE_DONE,  /* the configuration brings it now, or has brought it */
    LIVE_WAIT,  /* the configuration's next items come first */
};

static enum live_step step_of(const struct item_merge *merge, size_t live, size_t config,
                              size_t shared)
{
    const struct apply_item *same =
        apply_items_find(&merge->config, &merge->live.items[live].element);
    if (!same)
        return LIVE_PLACE;
    if (same->at == config)
        return LIVE_DONE;
    if (config < merge->config.count && shared < merge->config.count && same->at != shared)
        return LIVE_SKIP;
    return merge->is_merged[same->at] ? LIVE_DONE : LIVE_WAIT;
}

/*
 * Walks both lists. Items of both are placed as the configuration orders them, items of the live
 * list alone keep their place among those around them, new items follow their predecessor in the
 * configuration.
 */
static struct error *weave_items(struct item_merge *merge)
{
    size_t l = 0, c = 0, shared = next_shared(merge, 0);
    while (l < merge->live.count || c < merge->config.count) {
        if (l < merge->live.count) {
            enum live_step step = step_of(merge, l, c, shared);
            if (step == LIVE_PLACE)
                merge->out[merge->out_count++] = merge->live.items[l].node;
            l += step == LIVE_WAIT ? 0 : 1;
            if (step == LIVE_PLACE || step == LIVE_SKIP)
                continue;
        }
        if (c == merge->config.count)
            continue;
        struct error *err = take_config_item(merge, c++);
        if (err)
            return err;
        if (shared < c)
            shared = next_shared(merge, c);
    }
    return NULL;
}

static struct error *merge_items(const struct doc_node *live, const struct doc_node *config,
                                 const struct kube_value_type *type, struct arena *arena,
                                 const struct doc_node **ret)
{
    struct item_merge merge = {.type = type, .arena = arena};
    struct error *err = apply_items_init(&merge.live, live, type, arena);
    if (!err)
        err = apply_items_init(&merge.config, config, type, arena);
    AUTO(free) bool *is_merged = xcalloc(merge.config.count + 1, sizeof(bool));
    AUTO(free)
    const struct doc_node **out =
        xcalloc(merge.live.count + merge.config.count + 1, sizeof(struct doc_node *));
    merge.is_merged = is_merged;
    merge.out = out;
    if (!err)
        err = weave_items(&merge);
    apply_items_done(&merge.live);
    apply_items_done(&merge.config);
    if (!err)
        *ret = doc_new_array(arena, out, merge.out_count);
    return err;
}

struct error *apply_merge(const struct doc_node *live, const struct doc_node *config,
                          const struct kube_value_type *type, struct arena *arena,
                          const struct doc_node **ret)
{
    enum apply_shape shape = apply_shape_of(type, config);
    bool is_blank = apply_is_empty(live) && apply_is_empty(config);
    if (!live || is_blank || shape == APPLY_LEAF) {
        *ret = config;
        return NULL;
    }
    if (shape == APPLY_OBJECT)
        return merge_members(live, config, type, arena, ret);
    return merge_items(live, config, type, arena, ret);
}

static struct error *remove_members(const struct doc_node *object, const struct field_set *set,
                                    const struct kube_value_type *type, struct arena *arena,
                                    const struct doc_node **ret)
{
    AUTO(doc_edit) struct doc_edit left;
    doc_edit_init(&left, NULL);
    for (size_t i = 0; i < object->object.count; i++) {
        const struct doc_member *member = &object->object.members[i];
        const struct field_element element = {.kind = FIELD_NAME, .name = member->key};
        const struct field_entry *entry = field_set_find(set, &element);
        const struct doc_node *value = entry && entry->is_member ? NULL : member->value;
        if (value && entry && entry->children) {
            struct kube_value_type field = apply_member_type(type, member->key);
            struct error *err = apply_remove(member->value, entry->children, &field, arena, &value);
            if (err)
                return err;
        }
        if (value)
            doc_edit_set(&left, member->key, value);
    }
    *ret = left.live ? doc_edit_node(&left, arena) : NULL;
    return NULL;
}

static struct error *remove_items(const struct doc_node *list, const struct field_set *set,
                                  const struct kube_value_type *type, struct arena *arena,
                                  const struct doc_node **ret)
{
    struct kube_value_type element = kube_type_of_element(type);
    AUTO(apply_items) struct apply_items items;
    struct error *err = apply_items_init(&items, list, type, arena);
    if (err)
        return err;
    AUTO(free) const struct doc_node **left = xcalloc(items.count + 1, sizeof(struct doc_node *));
    size_t count = 0;
    for (size_t i = 0; i < items.count; i++) {
        const struct field_entry *entry = field_set_find(set, &items.items[i].element);
        const struct doc_node *value = entry && entry->is_member ? NULL : items.items[i].node;
        if (value && entry && entry->children)
            err = apply_remove(value, entry->children, &element, arena, &value);
        if (err)
            return err;
        if (value)
            left[count++] = value;
    }
    *ret = count ? doc_new_array(arena, left, count) : NULL;
    return NULL;
}

struct error *apply_remove(const struct doc_node *value, const struct field_set *set,
                           const struct kube_value_type *type, struct arena *arena,
                           const struct doc_node **ret)
{
    enum apply_shape shape = apply_shape_of(type, value);
    *ret = value;
    if (apply_is_empty(value) || field_set_is_empty(set))
        return NULL;
    if (shape == APPLY_OBJECT && value->kind == DOC_OBJECT)
        return remove_members(value, set, type, arena, ret);
    if (shape == APPLY_ITEMS && value->kind == DOC_ARRAY)
        return remove_items(value, set, type, arena, ret);
    return NULL;
}

/* The type of what @element names in a value of @type. */
static struct kube_value_type type_below(const struct kube_value_type *type,
                                         const struct field_element *element)
{
    if (element->kind == FIELD_NAME)
        return apply_member_type(type, element->name);
    return kube_type_of_element(type);
}

const struct field_set *apply_with_named_fields(const struct field_set *set,
                                                const struct kube_value_type *type,
                                                struct arena *arena)
{
    AUTO(field_set_builder) struct field_set_builder builder = {0};
    for (size_t i = 0; i < set->count; i++) {
        const struct field_entry *entry = &set->entries[i];
        struct kube_value_type below = type_below(type, &entry->element), unused;
        bool is_named = type->shape == KUBE_SHAPE_STRUCT && entry->element.kind == FIELD_NAME &&
                        kube_type_of_member(type, entry->element.name, &unused);
        const struct field_set *children = entry->children;
        if (children)
            children = apply_with_named_fields(children, &below, arena);
        field_set_add(&builder, &entry->element, entry->is_member || (is_named && children),
                      children);
    }
    return field_set_finish(&builder, arena);
}

const struct field_set *apply_with_whole_atoms(const struct field_set *set,
                                               const struct kube_value_type *type,
                                               struct arena *arena)
{
    AUTO(field_set_builder) struct field_set_builder builder = {0};
    for (size_t i = 0; i < set->count; i++) {
        const struct field_entry *entry = &set->entries[i];
        struct kube_value_type below = type_below(type, &entry->element);
        bool is_whole = entry->children && below.is_atomic;
        const struct field_set *children = is_whole ? NULL : entry->children;
        if (children)
            children = apply_with_whole_atoms(children, &below, arena);
        field_set_add(&builder, &entry->element, entry->is_member || is_whole, children);
    }
    return field_set_finish(&builder, arena);
}
/* NOLINTEND(misc-no-recursion) */
