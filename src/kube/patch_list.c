/*
 * Lists in strategic merge patches: found by merge key through an index, so that long lists cost
 * n log n; put into order by two other lists.
 */
#include "kube/patch_internal.h"

static int compare_places(const void *a, const void *b)
{
    const struct patch_place *x = a, *y = b;
    int order = doc_compare_scalars(x->key, y->key);
    return order ? order : x->at < y->at ? -1 : x->at > y->at;
}

const struct doc_node *patch_key_of(const struct doc_node *element, const char *merge_key)
{
    return merge_key[0] ? doc_get(element, merge_key) : element;
}

void patch_index_init(struct patch_index *index, const struct doc_node *list, const char *merge_key)
{
    *index = (struct patch_index){0};
    if (!list || list->array.count == 0)
        return;
    index->places = xcalloc(list->array.count, sizeof(*index->places));
    for (size_t i = 0; i < list->array.count; i++) {
        const struct doc_node *key = patch_key_of(list->array.items[i], merge_key);
        if (key)
            index->places[index->count++] = (struct patch_place){.key = key, .at = i};
    }
    qsort(index->places, index->count, sizeof(*index->places), compare_places);
}

void patch_index_done(struct patch_index *index)
{
    free(index->places);
    *index = (struct patch_index){0};
}

/* The first entry that is not below @key; may be the end. */
static size_t lower_bound(const struct patch_index *index, const struct doc_node *key)
{
    size_t low = 0, high = index->places ? index->count : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (doc_compare_scalars(index->places[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t patch_index_find(const struct patch_index *index, const struct doc_node *key)
{
    size_t at = lower_bound(index, key);
    if (!index->places || at == index->count ||
        doc_compare_scalars(index->places[at].key, key) != 0)
        return PATCH_NOWHERE;
    return index->places[at].at;
}

bool patch_index_has_duplicates(const struct patch_index *index)
{
    for (size_t i = 1; i < index->count; i++) {
        if (doc_compare_scalars(index->places[i - 1].key, index->places[i].key) == 0)
            return true;
    }
    return false;
}

static struct error *check_kind(const struct doc_node *list, const struct doc_node **first)
{
    for (size_t i = 0; list && i < list->array.count; i++) {
        const struct doc_node *element = list->array.items[i];
        if (element->kind == DOC_ARRAY)
            return error_with_reason(
                error_new(ERROR_INVALID_ARGUMENT, "lists of lists are not supported"), "Invalid");
        if (!*first)
            *first = element;
        if (element->kind != (*first)->kind || element->kind == DOC_NULL) {
            AUTO(arena) struct arena *scratch = arena_new(0);
            return patch_does_not_fit("list element types are not identical: [%s]",
                                      patch_go_text(list, scratch));
        }
    }
    return NULL;
}

struct error *patch_check_elements(const struct doc_node *a, const struct doc_node *b,
                                   bool *ret_is_objects)
{
    const struct doc_node *first = NULL;
    struct error *err = check_kind(a, &first);
    if (!err)
        err = check_kind(b, &first);
    if (!err)
        *ret_is_objects = first && first->kind == DOC_OBJECT;
    return err;
}

struct error *patch_check_merge_keys(const struct doc_node *list, const char *merge_key)
{
    for (size_t i = 0; list && i < list->array.count; i++) {
        const struct doc_node *element = list->array.items[i];
        if (element->kind != DOC_OBJECT)
            return patch_bad_type("map[string]interface {}", element);
        if (!doc_get(element, merge_key))
            return patch_no_merge_key(element, merge_key);
    }
    return NULL;
}

struct placed {
    const struct doc_node *element;
    size_t place; /* in the order that sorts it */
    size_t server_place;
    size_t at; /* keeps the sort stable */
};

static int compare_placed(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* Weaves both runs together, each in its order. */
static const struct doc_node *weave(const struct placed *server, size_t server_count,
                                    const struct placed *patch, size_t patch_count,
                                    struct arena *arena)
{
    size_t count = server_count + patch_count, i = 0, k = 0;
    AUTO(free) const struct doc_node **items = xcalloc(count + 1, sizeof(struct doc_node *));
    for (size_t at = 0; at < count; at++) {
        bool is_server = i < server_count;
        if (is_server && k < patch_count)
            is_server = server[i].server_place != PATCH_NOWHERE &&
                        patch[k].server_place != PATCH_NOWHERE &&
                        server[i].server_place < patch[k].server_place;
        items[at] = is_server ? server[i++].element : patch[k++].element;
    }
    return doc_new_array(arena, items, count);
}

const struct doc_node *patch_order_list(const struct doc_node *merged, const char *merge_key,
                                        const struct doc_node *patch_order,
                                        const struct doc_node *server_order, struct arena *arena)
{
    AUTO(patch_index) struct patch_index patch_index;
    AUTO(patch_index) struct patch_index server_index;
    size_t count = merged->array.count, patch_count = 0, server_count = 0;
    patch_index_init(&patch_index, patch_order, merge_key);
    patch_index_init(&server_index, server_order, merge_key);
    AUTO(free) struct placed *patch = xcalloc(count + 1, sizeof(*patch));
    AUTO(free) struct placed *server = xcalloc(count + 1, sizeof(*server));
    for (size_t i = 0; i < count; i++) {
        const struct doc_node *key = patch_key_of(merged->array.items[i], merge_key);
        struct placed placed = {.element = merged->array.items[i], .at = i};
        size_t place = patch_index_find(&patch_index, key);
        placed.server_place = patch_index_find(&server_index, key);
        placed.place = place == PATCH_NOWHERE ? placed.server_place : place;
        if (place == PATCH_NOWHERE)
            server[server_count++] = placed;
        else
            patch[patch_count++] = placed;
    }
    qsort(patch, patch_count, sizeof(*patch), compare_placed);
    qsort(server, server_count, sizeof(*server), compare_placed);
    return weave(server, server_count, patch, patch_count, arena);
}

struct error *patch_delete_scalars(const struct doc_node *original, const struct doc_node *patch,
                                   struct arena *arena, const struct doc_node **ret)
{
    bool is_objects = false;
    struct error *err = patch_check_elements(original, patch, &is_objects);
    if (!err && is_objects)
        err = error_with_reason(
            error_new(ERROR_INVALID_ARGUMENT, "invalid patch format of primitive list"),
            "BadRequest");
    if (err)
        return err;
    AUTO(patch_index) struct patch_index index;
    patch_index_init(&index, patch, "");
    AUTO(free)
    const struct doc_node **kept = xcalloc(original->array.count + 1, sizeof(struct doc_node *));
    size_t count = 0;
    for (size_t i = 0; i < original->array.count; i++) {
        if (patch_index_find(&index, original->array.items[i]) == PATCH_NOWHERE)
            kept[count++] = original->array.items[i];
    }
    *ret = doc_new_array(arena, kept, count);
    return NULL;
}

/* Both lists one after the other, each scalar once. */
static const struct doc_node *unite_scalars(const struct doc_node *original,
                                            const struct doc_node *patch, struct arena *arena)
{
    size_t count = original->array.count + patch->array.count, kept = 0;
    AUTO(free) const struct doc_node **all = xcalloc(count + 1, sizeof(struct doc_node *));
    for (size_t i = 0; i < count; i++)
        all[i] = i < original->array.count ? original->array.items[i]
                                           : patch->array.items[i - original->array.count];
    const struct doc_node *both = doc_new_array(arena, all, count);
    AUTO(patch_index) struct patch_index index;
    patch_index_init(&index, both, "");
    for (size_t i = 0; i < count; i++) {
        if (patch_index_find(&index, both->array.items[i]) == i)
            all[kept++] = both->array.items[i];
    }
    return doc_new_array(arena, all, kept);
}

/* A merge of two lists of objects under way. */
struct list_merge {
    const char *merge_key;
    const struct doc_node **merged; /* the original's elements, then new ones */
    size_t merged_count;
    const struct doc_node **plain; /* the patch's elements that are no directives */
    size_t plain_count;
    bool *is_deleted; /* by place in the original */
    bool replaces;
};

static struct error *note_directive(struct list_merge *merge, const struct doc_node *element,
                                    const struct doc_node *directive,
                                    const struct patch_index *original)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    struct str name = directive->kind == DOC_STRING ? directive->string : str_from("");
    if (str_eq_c(name, "replace")) {
        merge->replaces = true;
        return NULL;
    }
    if (str_eq_c(name, "merge"))
        return patch_does_not_fit("merging lists cannot yet be specified in the patch");
    if (!str_eq_c(name, "delete"))
        return patch_does_not_fit("unknown patch type: %s in map: %s",
                                  patch_go_text(directive, scratch),
                                  patch_go_text(element, scratch));
    const struct doc_node *key = doc_get(element, merge->merge_key);
    if (!key)
        return patch_no_merge_key(element, merge->merge_key);
    for (size_t i = lower_bound(original, key);
         i < original->count && doc_compare_scalars(original->places[i].key, key) == 0; i++)
        merge->is_deleted[original->places[i].at] = true;
    return NULL;
}

/* Sorts the patch's elements into directives and plain ones. */
static struct error *sort_out(struct list_merge *merge, const struct doc_node *patch,
                              const struct patch_index *original)
{
    for (size_t i = 0; i < patch->array.count; i++) {
        const struct doc_node *element = patch->array.items[i];
        const struct doc_node *directive = doc_get(element, PATCH_DIRECTIVE);
        if (!directive) {
            merge->plain[merge->plain_count++] = element;
            continue;
        }
        struct error *err = note_directive(merge, element, directive, original);
        if (err)
            return err;
    }
    return NULL;
}

/* NOLINTBEGIN(misc-no-recursion): trees are at most DOC_MAX_DEPTH deep */
/* Merges the plain elements into merge->merged, which holds what is left of the original. */
static struct error *merge_plain(struct list_merge *merge, const struct doc_node *left,
                                 const struct doc_node *plain,
                                 const struct kube_value_type *element, struct arena *arena)
{
    AUTO(patch_index) struct patch_index left_index;
    AUTO(patch_index) struct patch_index plain_index;
    patch_index_init(&left_index, left, merge->merge_key);
    patch_index_init(&plain_index, plain, merge->merge_key);
    /* Where a plain element that is new has gone: a second one with its key is merged into it. */
    AUTO(free) size_t *places = xcalloc(plain->array.count + 1, sizeof(*places));
    for (size_t i = 0; i < plain->array.count; i++) {
        const struct doc_node *item = plain->array.items[i];
        const struct doc_node *key = doc_get(item, merge->merge_key);
        if (!key)
            return patch_no_merge_key(item, merge->merge_key);
        size_t at = patch_index_find(&left_index, key);
        size_t first = patch_index_find(&plain_index, key);
        if (at == PATCH_NOWHERE && first < i)
            at = places[first];
        if (at == PATCH_NOWHERE) {
            places[i] = merge->merged_count;
            merge->merged[merge->merged_count++] = patch_without_directives(item, false, arena);
            continue;
        }
        struct error *err =
            patch_merge_object(merge->merged[at], item, element, arena, &merge->merged[at]);
        if (err)
            return err;
    }
    return NULL;
}

static struct error *merge_objects(struct list_merge *merge, const struct doc_node *original,
                                   const struct doc_node *patch, const struct kube_value_type *type,
                                   struct arena *arena, const struct doc_node **ret)
{
    AUTO(patch_index) struct patch_index index;
    patch_index_init(&index, original, merge->merge_key);
    struct error *err = sort_out(merge, patch, &index);
    if (err)
        return err;
    const struct doc_node *plain = doc_new_array(arena, merge->plain, merge->plain_count);
    if (merge->replaces) {
        *ret = patch_without_directives(plain, false, arena);
        return patch_check_merge_keys(*ret, merge->merge_key);
    }
    for (size_t i = 0; i < original->array.count; i++) {
        if (!merge->is_deleted[i])
            merge->merged[merge->merged_count++] = original->array.items[i];
    }
    const struct doc_node *left = doc_new_array(arena, merge->merged, merge->merged_count);
    struct kube_value_type element = kube_type_of_element(type);
    err = merge_plain(merge, left, plain, &element, arena);
    if (err)
        return err;
    const struct doc_node *merged = doc_new_array(arena, merge->merged, merge->merged_count);
    err = patch_check_merge_keys(merged, merge->merge_key);
    if (!err)
        *ret = patch_order_list(merged, merge->merge_key, plain, left, arena);
    return err;
}

struct error *patch_merge_list(const struct doc_node *original, const struct doc_node *patch,
                               const struct kube_value_type *type, struct arena *arena,
                               const struct doc_node **ret)
{
    bool is_objects = false;
    struct error *err = patch_check_elements(original, patch, &is_objects);
    if (err)
        return err;
    if (!is_objects) {
        *ret = patch_order_list(unite_scalars(original, patch, arena), "", patch, original, arena);
        return NULL;
    }
    struct list_merge merge = {.merge_key = type->rule.merge_key};
    if (merge.merge_key[0] == '\0')
        return patch_does_not_fit("cannot merge lists without merge key for struct");
    size_t count = original->array.count + patch->array.count;
    AUTO(free) const struct doc_node **merged = xcalloc(count, sizeof(struct doc_node *));
    AUTO(free) const struct doc_node **plain = xcalloc(count, sizeof(struct doc_node *));
    AUTO(free) bool *is_deleted = xcalloc(count, sizeof(bool));
    merge.merged = merged;
    merge.plain = plain;
    merge.is_deleted = is_deleted;
    return merge_objects(&merge, original, patch, type, arena, ret);
}
/* NOLINTEND(misc-no-recursion) */
