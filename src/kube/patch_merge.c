/* JSON merge patch. */
#include "kube/patch_internal.h"

/* NOLINTBEGIN(misc-no-recursion): trees are at most DOC_MAX_DEPTH deep */
static const struct doc_node *merge(const struct doc_node *document, const struct doc_node *patch,
                                    struct arena *arena)
{
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
