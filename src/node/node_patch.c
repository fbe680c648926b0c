/*
 * What of the Node object is worth sending, and how it is said: as upstream, the difference of two
 * objects that share their spec (spec node.md §5.1-§5.2).
 */
#include "node/node_map.h"
#include "node/node_status_internal.h"

#include "kube/patch.h"
#include "kube/quantity.h"
#include "wire/json.h"

/* --- has it changed --- */

static bool maps_eq(const struct node_map *a, const struct node_map *b, bool is_amounts)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        Meta__Quantity left = META__QUANTITY__INIT, right = META__QUANTITY__INIT;
        left.string = node_text(a->pairs[i].value);
        right.string = node_text(b->pairs[i].value);
        if (!text_eq(a->pairs[i].key, b->pairs[i].key))
            return false;
        if (is_amounts ? quantity_compare(&left, &right) != 0 : !text_eq(left.string, right.string))
            return false;
    }
    return true;
}

static bool metadata_eq(const Core__Node *before, const Core__Node *after, struct arena *arena)
{
    struct node_map old_labels = {.arena = arena}, labels = {.arena = arena};
    struct node_map old_annotations = {.arena = arena}, annotations = {.arena = arena};
    node_map_load_labels(&old_labels, before->metadata);
    node_map_load_labels(&labels, after->metadata);
    node_map_load_annotations(&old_annotations, before->metadata);
    node_map_load_annotations(&annotations, after->metadata);
    return maps_eq(&old_labels, &labels, false) && maps_eq(&old_annotations, &annotations, false);
}

static bool amounts_eq(const Core__NodeStatus *before, const Core__NodeStatus *after,
                       struct arena *arena)
{
    struct node_map old_capacity = {.arena = arena}, capacity = {.arena = arena};
    struct node_map old_allocatable = {.arena = arena}, allocatable = {.arena = arena};
    node_map_load_capacity(&old_capacity, before);
    node_map_load_capacity(&capacity, after);
    node_map_load_allocatable(&old_allocatable, before);
    node_map_load_allocatable(&allocatable, after);
    return maps_eq(&old_capacity, &capacity, true) && maps_eq(&old_allocatable, &allocatable, true);
}

struct placed_condition {
    const Core__NodeCondition *condition;
    size_t at;
};

static int by_type(const void *a, const void *b)
{
    const struct placed_condition *left = a, *right = b;
    const char *left_type = left->condition->type, *right_type = right->condition->type;
    int order = strcmp(left_type ? left_type : "", right_type ? right_type : "");
    return order ? order : left->at < right->at ? -1 : 1;
}

static const struct placed_condition *sorted_conditions(const Core__NodeStatus *status,
                                                        struct arena *arena)
{
    size_t count = status->n_conditions;
    struct placed_condition *placed = arena_calloc(arena, count, sizeof(*placed));
    for (size_t i = 0; i < count; i++)
        placed[i] = (struct placed_condition){.condition = status->conditions[i], .at = i};
    if (count > 0)
        qsort(placed, count, sizeof(*placed), by_type);
    return placed;
}

static bool conditions_eq(const Core__NodeStatus *before, const Core__NodeStatus *after,
                          struct arena *arena)
{
    if (before->n_conditions != after->n_conditions)
        return false;
    const struct placed_condition *old = sorted_conditions(before, arena);
    const struct placed_condition *now = sorted_conditions(after, arena);
    for (size_t i = 0; i < before->n_conditions; i++) {
        Core__NodeCondition left = *old[i].condition, right = *now[i].condition;
        left.last_heartbeat_time = right.last_heartbeat_time = NULL;
        if (!kube_message_eq(&left.base, &right.base))
            return false;
    }
    return true;
}

/* All but what is compared in a way of its own. */
static bool rest_eq(const Core__NodeStatus *before, const Core__NodeStatus *after)
{
    Core__NodeStatus left = *before, right = *after;
    left.n_conditions = right.n_conditions = 0;
    left.n_capacity = right.n_capacity = 0;
    left.n_allocatable = right.n_allocatable = 0;
    return kube_message_eq(&left.base, &right.base);
}

bool node_status_has_changed(const Core__Node *before, const Core__Node *after)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    const Core__NodeStatus empty = CORE__NODE_STATUS__INIT;
    const Core__NodeStatus *old = before->status ? before->status : &empty;
    const Core__NodeStatus *now = after->status ? after->status : &empty;
    return !metadata_eq(before, after, scratch) || !rest_eq(old, now) ||
           !amounts_eq(old, now, scratch) || !conditions_eq(old, now, scratch);
}

/* --- the patch --- */

/*
 * The part of the object that a status patch may alter. The name is there so that metadata is never
 * without members, which would be told as its removal.
 */
static Core__Node *sendable(const Core__Node *node, const char *name, struct arena *arena)
{
    const Core__Node empty = CORE__NODE__INIT;
    Core__Node *part = node_branch(&empty, arena);
    part->spec = NULL;
    part->metadata->name = node_text(name);
    if (node->metadata) {
        part->metadata->n_labels = node->metadata->n_labels;
        part->metadata->labels = node->metadata->labels;
        part->metadata->n_annotations = node->metadata->n_annotations;
        part->metadata->annotations = node->metadata->annotations;
    }
    if (node->status)
        *part->status = *node->status;
    return part;
}

static bool addresses_eq(const Core__NodeStatus *before, const Core__NodeStatus *after)
{
    Core__NodeStatus left = CORE__NODE_STATUS__INIT, right = CORE__NODE_STATUS__INIT;
    left.n_addresses = before->n_addresses;
    left.addresses = before->addresses;
    right.n_addresses = after->n_addresses;
    right.addresses = after->addresses;
    return kube_message_eq(&left.base, &right.base);
}

/*
 * The list of addresses is declared to be merged by type, of which there may be two alike: a patch
 * that merges would lose one. So it is replaced whole.
 */
static const struct doc_node *with_addresses(const struct doc_node *patch,
                                             const struct doc_node *addresses, struct arena *arena)
{
    size_t count = addresses ? addresses->array.count : 0;
    const struct doc_node **items = arena_calloc(arena, count + 1, sizeof(struct doc_node *));
    for (size_t i = 0; i < count; i++)
        items[i] = addresses->array.items[i];
    items[count] =
        doc_with_member(NULL, "$patch", doc_new_text(arena, STR_LITERAL("replace")), arena);
    const struct doc_node *list = doc_new_array(arena, items, count + 1);
    const struct doc_node *status =
        doc_with_member(doc_get(patch, "status"), "addresses", list, arena);
    return doc_sorted(doc_with_member(patch, "status", status, arena), arena);
}

static struct error *addresses_document(const Core__NodeStatus *status, struct arena *arena,
                                        const struct doc_node **ret)
{
    Core__NodeStatus only = CORE__NODE_STATUS__INIT;
    only.n_addresses = status->n_addresses;
    only.addresses = status->addresses;
    const struct doc_node *tree = NULL;
    struct error *err = kube_message_to_document(&only.base, NULL, arena, &tree);
    *ret = err ? NULL : doc_get(tree, "addresses");
    return err;
}

static struct error *make_patch(const Core__Node *before, const Core__Node *after,
                                struct arena *arena, const struct doc_node **ret)
{
    const char *name = before->metadata && before->metadata->name ? before->metadata->name : "node";
    const Core__Node *old = sendable(before, name, arena);
    Core__Node *now = sendable(after, name, arena);
    const struct doc_node *old_tree = NULL, *now_tree = NULL, *addresses = NULL;
    struct error *err = NULL;
    bool is_replaced = old->status->n_addresses > 0 && !addresses_eq(old->status, now->status);
    if (is_replaced) {
        err = addresses_document(now->status, arena, &addresses);
        now->status->n_addresses = old->status->n_addresses;
        now->status->addresses = old->status->addresses;
    }
    err = err ? err : kube_message_to_document(&old->base, NULL, arena, &old_tree);
    err = err ? err : kube_message_to_document(&now->base, NULL, arena, &now_tree);
    err = err ? err : kube_patch_diff(old_tree, now_tree, &core__node__descriptor, arena, ret);
    if (!err && is_replaced)
        *ret = with_addresses(*ret, addresses, arena);
    return err;
}

struct error *node_status_patch(const Core__Node *before, const Core__Node *after, struct buf *out)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    const struct doc_node *patch = NULL;
    struct error *err = make_patch(before, after, scratch, &patch);
    if (err)
        return error_wrap(err, "making the patch of the node's status");
    struct json_writer writer;
    json_writer_init(&writer, out, false);
    doc_write_node(&writer.base, patch);
    return buf_error(out, "the patch of the node's status");
}
