/*
 * What the files of server-side apply share: values walked by their type. For apply*.c and
 * field_set_document.c only.
 */
#pragma once

#include "kube/apply.h"

/** The members of a list that is merged, each with the element that names it. */
struct apply_items {
    struct apply_item *items;   /* owned; in the list's order */
    struct apply_item **sorted; /* owned; by element, then by place */
    size_t count;
};
struct apply_item {
    struct field_element element;
    const struct doc_node *node;
    size_t at;
    bool is_duplicate; /* another item has the same element */
};

/** Names the items of @list (NULL or null: none) of @type. Elements live in @arena. */
MUST_CHECK struct error *apply_items_init(struct apply_items *items, const struct doc_node *list,
                                          const struct kube_value_type *type, struct arena *arena);
void apply_items_done(struct apply_items *items);
/** The first item named @element, or NULL. */
const struct apply_item *apply_items_find(const struct apply_items *items,
                                          const struct field_element *element);
static inline UNUSED void auto_release_apply_items(struct apply_items *items)
{
    apply_items_done(items);
}

/** What a value of @type is taken for: an extension (raw JSON) by what it holds. */
enum apply_shape { APPLY_LEAF, APPLY_OBJECT, APPLY_ITEMS };
enum apply_shape apply_shape_of(const struct kube_value_type *type, const struct doc_node *value);
/** True for absent, null, and containers without content. */
bool apply_is_empty(const struct doc_node *value);
/** The type of member @name; a scalar when there is no such field. */
struct kube_value_type apply_member_type(const struct kube_value_type *type, struct str name);

/** The fields of @document; see field_set_of_document(). */
MUST_CHECK struct error *apply_fields_of(const struct doc_node *document,
                                         const struct kube_value_type *type, bool allow_duplicates,
                                         struct arena *arena, const struct field_set **ret);
/**
 * @live with what @config says in it; nothing is removed. Items that both have keep the order of
 * @live unless @config has another one. @live may be NULL.
 */
MUST_CHECK struct error *apply_merge(const struct doc_node *live, const struct doc_node *config,
                                     const struct kube_value_type *type, struct arena *arena,
                                     const struct doc_node **ret);
/** @value without the fields and items in @set; NULL when nothing is left of what was not empty. */
MUST_CHECK struct error *apply_remove(const struct doc_node *value, const struct field_set *set,
                                      const struct kube_value_type *type, struct arena *arena,
                                      const struct doc_node **ret);

/** The difference of two objects; no field is in two of the sets. */
struct apply_comparison {
    const struct field_set *added;
    const struct field_set *removed;
    const struct field_set *modified;
};
MUST_CHECK struct error *apply_compare(const struct doc_node *old_value,
                                       const struct doc_node *new_value,
                                       const struct kube_value_type *type, struct arena *arena,
                                       struct apply_comparison *ret);

/** @set in which each named field of a struct that has members below it is a member as well. */
const struct field_set *apply_with_named_fields(const struct field_set *set,
                                                const struct kube_value_type *type,
                                                struct arena *arena);
/** @set in which what is atomic by its type is owned as a whole. */
const struct field_set *apply_with_whole_atoms(const struct field_set *set,
                                               const struct kube_value_type *type,
                                               struct arena *arena);

/* Managers (apply_managers.c). */

/** The manager with this identity (appliers have no version), or NULL. */
struct kube_manager *apply_find_manager(const struct kube_managers *managers,
                                        const struct kube_manager *like);
/** A copy with room for two more. */
struct kube_managers apply_copy_managers(const struct kube_managers *managers, struct arena *arena);
/** Sets the fields of the manager, appends it when new, drops it when @fields is empty (then NULL).
 * Keeps the time. @managers has room. */
struct kube_manager *apply_set_manager(struct kube_managers *managers,
                                       const struct kube_manager *like,
                                       const struct field_set *fields);
/** Merges the oldest updaters while there are more than upstream keeps (10). */
void apply_cap_updaters(struct kube_managers *managers, struct arena *arena);
