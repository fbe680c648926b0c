/*
 * The patches of the Kubernetes API, on document trees (kube/document.h): JSON patch (RFC 6902),
 * JSON merge patch (RFC 7386), strategic merge patch, and the difference of two objects as a
 * strategic merge patch. Nothing is altered in place: a result lives in the arena given, shares
 * nodes with the document and the patch, and all of them must live as long as it does. A patch that
 * fails leaves nothing behind but memory in the arena. Pure. Any thread.
 *
 * The reason of an error is the one the API server answers with:
 *
 *     BadRequest             400  INVALID_ARGUMENT    the patch is no such patch
 *     Invalid                422  INVALID_ARGUMENT    a JSON patch that does not fit the document
 *     InternalError          500  INVALID_ARGUMENT    a strategic patch that does not fit (upstream
 *                                                     has no better answer for it)
 *     RequestEntityTooLarge  413  RESOURCE_EXHAUSTED  beyond a cap: document, patch or result
 */
#pragma once

#include "kube/document.h"

/** Operations in one JSON patch; upstream's number. */
#define KUBE_JSON_PATCH_MAX_OPERATIONS 10000

/**
 * Applies the operations in @patch, an array of `{"op": …, "path": …}`, to @document one after the
 * other; when one fails none counts. As upstream, an index may be negative (-1 is the last
 * element), and a missing member of an object reads as null (a test for null holds, a replacement
 * adds). Beyond upstream, the empty pointer names the whole document. The texts are upstream's,
 * e.g.
 *
 *     testing value /metadata/name failed: test failed
 *     error in remove for path: '/a/b': Unable to remove nonexistent key: b: missing value
 *
 * RESOURCE_EXHAUSTED: more than KUBE_JSON_PATCH_MAX_OPERATIONS, a result beyond DOC_MAX_NODES or
 * DOC_MAX_DEPTH, or far more steps than such a patch needs.
 */
MUST_CHECK struct error *kube_patch_json(const struct doc_node *document,
                                         const struct doc_node *patch, struct arena *arena,
                                         const struct doc_node **ret);

/** Members of @patch replace those of @document, objects are merged, null removes. What is no
 * object replaces the whole; as upstream, members that are null in objects of an array are left
 * out. */
MUST_CHECK struct error *kube_patch_merge(const struct doc_node *document,
                                          const struct doc_node *patch, struct arena *arena,
                                          const struct doc_node **ret);

/**
 * Merges @patch into @document, an object of @type. Lists with a merge key are merged by it, lists
 * of scalars that are merged become a set, others are replaced. Directives: `$patch` (replace,
 * delete), `$setElementOrder/<list>`, `$retainKeys`, `$deleteFromPrimitiveList/<list>`; none of
 * them is ever part of the result. New elements come before those they are not ordered against, as
 * upstream has it.
 */
MUST_CHECK struct error *kube_patch_strategic(const struct doc_node *document,
                                              const struct doc_node *patch,
                                              const ProtobufCMessageDescriptor *type,
                                              struct arena *arena, const struct doc_node **ret);

/**
 * The strategic merge patch that makes @modified of @original, both objects of @type; `{}` when
 * they are equal. Keys are sorted, so that its text is that of a real kubelet. Where elements of a
 * merged list share their merge key, which no strategic patch can tell apart, the list is replaced
 * whole. A null is taken for what it is in a patch: absent. Not expressible, and so not restored by
 * applying the patch: the same scalar twice in a merged list (finalizers), a null inside an object.
 */
MUST_CHECK struct error *kube_patch_diff(const struct doc_node *original,
                                         const struct doc_node *modified,
                                         const ProtobufCMessageDescriptor *type,
                                         struct arena *arena, const struct doc_node **ret);
