/*
 * A line with a pod, a line with a patch, a line with another pod, all JSON. Properties: no patch
 * of any kind crashes or alters its document; a JSON merge patch applied twice changes nothing
 * more; the difference of two pods makes the second of the first; what is applied from the server's
 * side is there, and the object stays one.
 */
#include "kube/apply.h"
#include "kube/patch.h"
#include "wire/json.h"

#include "core.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct kube_decode_options tolerant = {.unknown = KUBE_UNKNOWN_TOLERANT};

static const struct doc_node *parse(struct str text, struct arena *arena)
{
    const struct doc_parse_options options = {.max_bytes = MiB};
    const struct doc_node *node = NULL;
    struct error *err = json_parse(text, &options, arena, &node);
    error_ignore(err, "most inputs are no JSON");
    return node;
}

/* As a pod is stored: without nulls, in its canonical form. */
static const struct doc_node *as_pod(const struct doc_node *node, struct arena *arena)
{
    ProtobufCMessage *pod = NULL;
    const struct doc_node *document = NULL;
    struct error *err = kube_decode_document(node, &core__pod__descriptor, &tolerant, arena, &pod);
    if (!err)
        err = kube_message_to_document(pod, NULL, arena, &document);
    error_ignore(err, "most inputs are no pod");
    return document;
}

/* NOLINTBEGIN(misc-no-recursion): trees are at most DOC_MAX_DEPTH deep */
/* What a strategic patch cannot express: keys that are directives, a scalar twice in a list, nulls
 * (raw JSON holds them). */
static bool is_expressible(const struct doc_node *node)
{
    if (node->kind == DOC_NULL)
        return false;
    for (size_t i = 0; node->kind == DOC_OBJECT && i < node->object.count; i++) {
        if (str_has_prefix(node->object.members[i].key, "$") ||
            !is_expressible(node->object.members[i].value))
            return false;
    }
    for (size_t i = 0; node->kind == DOC_ARRAY && i < node->array.count; i++) {
        const struct doc_node *item = node->array.items[i];
        if (!is_expressible(item))
            return false;
        for (size_t k = 0; k < i && item->kind == DOC_STRING; k++) {
            if (doc_equal(item, node->array.items[k]))
                return false;
        }
    }
    return true;
}
/* NOLINTEND(misc-no-recursion) */

typedef struct error *(*patch_fn)(const struct doc_node *document, const struct doc_node *patch,
                                  struct arena *arena, const struct doc_node **ret);

static struct error *strategic(const struct doc_node *document, const struct doc_node *patch,
                               struct arena *arena, const struct doc_node **ret)
{
    return kube_patch_strategic(document, patch, &core__pod__descriptor, arena, ret);
}

static const struct doc_node *check_patch(patch_fn apply, const struct doc_node *document,
                                          const struct doc_node *patch, struct arena *arena)
{
    const struct doc_node *result = NULL, *again = NULL;
    const struct doc_node *before = doc_sorted(document, arena);
    struct error *err = apply(document, patch, arena, &result);
    ASSERT(!err == (result != NULL));
    ASSERT(!err || err->reason);
    error_ignore(err, "a patch may be wrong");
    ASSERT(doc_equal(before, document));
    if (!result)
        return NULL;
    err = doc_check_extent(result, "the result");
    ASSERT(!err);
    err = apply(document, patch, arena, &again);
    ASSERT(!err && doc_equal(result, again));
    return result;
}

static void check_difference(const struct doc_node *a, const struct doc_node *b,
                             struct arena *arena)
{
    const struct doc_node *patch = NULL, *back = NULL;
    struct error *err = kube_patch_diff(a, b, &core__pod__descriptor, arena, &patch);
    if (err) {
        error_ignore(err, "elements may lack their keys");
        return;
    }
    if (doc_equal(a, b))
        ASSERT(patch->object.count == 0);
    if (!is_expressible(a) || !is_expressible(b))
        return;
    err = strategic(a, patch, arena, &back);
    ASSERT(!err);
    ASSERT(doc_equal(back, b));
}

static void check_apply(const struct doc_node *live, const struct doc_node *config,
                        struct arena *arena)
{
    struct kube_apply_request request = {
        .type = &core__pod__descriptor,
        .api_version = "v1",
        .manager = "fuzz",
        .live = live,
        .object =
            doc_with_member(config, "apiVersion", doc_new_text(arena, STR_LITERAL("v1")), arena),
        .is_forced = true,
        .now_s = 1,
    };
    struct kube_apply_result result;
    const struct doc_node *updated = NULL;
    struct error *err = kube_apply(&request, arena, &result);
    if (!err) {
        const struct field_set *wanted = NULL, *owned = field_set_empty();
        struct kube_managers managers;
        ASSERT(as_pod(result.object, arena));
        err = kube_managers_of(result.object, request.type, arena, &managers);
        ASSERT(!err);
        for (size_t i = 0; i < managers.count; i++)
            owned = field_set_union(owned, managers.items[i].fields, arena);
        err = field_set_of_document(config, request.type, false, arena, &wanted);
        ASSERT(!err);
        /* All but identity is owned. */
        wanted = field_set_difference(wanted, owned, arena);
        for (size_t i = 0; i < wanted->count; i++)
            ASSERT(str_eq_c(wanted->entries[i].element.name, "metadata"));
    }
    error_ignore(err, "a configuration may be wrong");
    request.is_forced = false;
    err = kube_apply(&request, arena, &result);
    ASSERT(!err || err->code != ERROR_ABORTED || result.conflict_count);
    error_ignore(err, "conflicts are fine");
    err = kube_update_managers(&request, arena, &updated);
    error_ignore(err, "elements may lack their keys");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct str rest = {.ptr = (const char *)data, .len = size}, lines[3] = {{.ptr = NULL}};
    const struct doc_node *nodes[3] = {NULL};
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        if (str_split_next(&rest, '\n', &lines[i]))
            nodes[i] = parse(lines[i], arena);
    }
    if (!nodes[0] || !nodes[1])
        return 0;
    check_patch(kube_patch_json, nodes[0], nodes[1], arena);
    check_patch(strategic, nodes[0], nodes[1], arena);
    const struct doc_node *merged = check_patch(kube_patch_merge, nodes[0], nodes[1], arena);
    const struct doc_node *twice =
        merged ? check_patch(kube_patch_merge, merged, nodes[1], arena) : NULL;
    ASSERT(!twice || doc_equal(merged, twice));

    const struct doc_node *a = as_pod(nodes[0], arena);
    const struct doc_node *b = nodes[2] ? as_pod(nodes[2], arena) : as_pod(nodes[1], arena);
    if (!a || !b)
        return 0;
    check_difference(a, b, arena);
    check_apply(a, b, arena);
    return 0;
}
