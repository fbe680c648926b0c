/*
 * What the files of patching share: errors with upstream's texts, and lists by merge key. For
 * patch*.c only.
 */
#pragma once

#include "kube/patch.h"

#define PATCH_DIRECTIVE "$patch"
#define PATCH_RETAIN_KEYS "$retainKeys"
#define PATCH_SET_ORDER "$setElementOrder"
#define PATCH_DELETE_SCALARS "$deleteFromPrimitiveList"

/** A value as Go's %v prints it (map[a:1 b:[x y]]), cut when long; for error texts and for sorting
 * as Go does. In @arena. */
const char *patch_go_text(const struct doc_node *node, struct arena *arena);

/* 400: the patch is malformed; 422: it does not apply; 500: as in kube/patch.h. */
struct error *patch_bad_request(const char *text);
struct error *patch_invalid(const char *format, ...) PRINTF_LIKE(1, 2);
struct error *patch_does_not_fit(const char *format, ...) PRINTF_LIKE(1, 2);
/** "expected a []interface {}, but received a string" */
struct error *patch_bad_type(const char *expected, const struct doc_node *actual);
/** "map: map[…] does not contain declared merge key: name" */
struct error *patch_no_merge_key(const struct doc_node *element, const char *merge_key);
/** "unable to find api field in struct Pod for the json field "x"" */
struct error *patch_no_field(const struct kube_value_type *type, struct str name);
/** As doc_check_extent(), with the reason of a request that is too large. */
MUST_CHECK struct error *patch_check_extent(const struct doc_node *node, const char *what);

/** The value of @merge_key in @element, or @element itself when @merge_key is "". NULL when it has
 * none. */
const struct doc_node *patch_key_of(const struct doc_node *element, const char *merge_key);

/** Finds the places of a key in a list. */
struct patch_index {
    struct patch_place *places; /* owned, sorted by key, then by place */
    size_t count;
};
struct patch_place {
    const struct doc_node *key;
    size_t at;
};
#define PATCH_NOWHERE SIZE_MAX

/** Indexes @list (NULL: empty); elements without @merge_key are not in it. */
void patch_index_init(struct patch_index *index, const struct doc_node *list,
                      const char *merge_key);
void patch_index_done(struct patch_index *index);
/** The first place of @key, or PATCH_NOWHERE. */
size_t patch_index_find(const struct patch_index *index, const struct doc_node *key);
bool patch_index_has_duplicates(const struct patch_index *index);

static inline UNUSED void auto_release_patch_index(struct patch_index *index)
{
    patch_index_done(index);
}

/**
 * Checks that all elements of both lists (NULL: empty) are objects, or all are scalars of the same
 * kind. *ret_is_objects is false for no element at all.
 */
MUST_CHECK struct error *patch_check_elements(const struct doc_node *a, const struct doc_node *b,
                                              bool *ret_is_objects);
/** Checks that each element of @list is an object with @merge_key. */
MUST_CHECK struct error *patch_check_merge_keys(const struct doc_node *list, const char *merge_key);

/**
 * Puts @merged into order: elements that @patch_order names as it has them, the others as
 * @server_order has them, and both woven together by their places in @server_order. An element that
 * has no place there goes first.
 */
const struct doc_node *patch_order_list(const struct doc_node *merged, const char *merge_key,
                                        const struct doc_node *patch_order,
                                        const struct doc_node *server_order, struct arena *arena);

/** Merges two objects by strategic merge patch; @original may be NULL. Recursion of patch_list.c
 * into patch_strategic.c. */
MUST_CHECK struct error *patch_merge_object(const struct doc_node *original,
                                            const struct doc_node *patch,
                                            const struct kube_value_type *type, struct arena *arena,
                                            const struct doc_node **ret);
/** Merges list @patch into list @original, both of @type, which is a merged list. */
MUST_CHECK struct error *patch_merge_list(const struct doc_node *original,
                                          const struct doc_node *patch,
                                          const struct kube_value_type *type, struct arena *arena,
                                          const struct doc_node **ret);
/** @original without the scalars in @patch. */
MUST_CHECK struct error *patch_delete_scalars(const struct doc_node *original,
                                              const struct doc_node *patch, struct arena *arena,
                                              const struct doc_node **ret);
/**
 * @node without directives: objects that carry `$patch` vanish (NULL when @node itself does), the
 * other directives are dropped. @drop_nulls also drops members that are null.
 */
const struct doc_node *patch_without_directives(const struct doc_node *node, bool drop_nulls,
                                                struct arena *arena);
