/*
 * JSON merge patch, with one thing that RFC 7386 does not have but the API server's patches do: an
 * array is taken whole, yet the members that are null in objects inside of it are left out, as they
 * are in objects outside of arrays. Otherwise `"requests":{"cpu":null}` in a new list of containers
 * would ask for "0" of it.
 */
#include "kube/patch_internal.h"

/* NOLINTBEGIN(misc-no-recursion): trees are at most DOC_MAX_DEPTH deep */
static const struct doc_node *merge(const struct doc_node *document, const struct doc_node *patch,
                                    struct arena *arena);

static const struct doc_node *without_null_members(const struct doc_node *array,
                                                   struct arena *arena)
{
    size_t count = array->array.count;
    AUTO(free) const struct doc_node **items = xcalloc(count + 1, sizeof(struct doc_node *));
    for (size_t i = 0; i < count; i++)
        items[i] = merge(NULL, array->array.items[i], arena);
    return doc_new_array(arena, items, count);
}

/* @document may be NULL. */
static const struct doc_node *merge(const struct doc_node *document, const struct doc_node *patch,
                                    struct arena *arena)
{
    if (patch->kind == DOC_ARRAY)
        return without_null_members(patch, arena);
    if (patch->kind != DOC_OBJECT)
        return patch;
    AUTO(doc_edit) struct doc_edit result;
    doc_edit_init(&result, document);
    for (size_t i = 0; i < patch->object.count; i++) {
        const struct doc_member *member = &patch->object.members[i];
        if (member->value->kind == DOC_NULL)
            doc_edit_remove(&result, member->key);
        else
            doc_edit_set(&result, member->key,
                         merge(doc_edit_get(&result, member->key), member->value, arena));
    }
    return doc_edit_node(&result, arena);
}
/* NOLINTEND(misc-no-recursion) */

struct error *kube_patch_merge(const struct doc_node *document, const struct doc_node *patch,
                               struct arena *arena, const struct doc_node **ret)
{
    struct error *err = patch_check_extent(document, "the document");
    if (!err)
        err = patch_check_extent(patch, "the patch");
    if (err)
        return err;
    const struct doc_node *merged = merge(document, patch, arena);
    err = patch_check_extent(merged, "the patched document");
    if (!err)
        *ret = merged;
    return err;
}
