/*
 * An object under alteration (wire/doc_build.h). Small objects are searched from front to back;
 * from SMALL_OBJECT members on, an open-addressed table of indices leads to the member. Indices
 * only grow between rebuilds: a removed member keeps its slot and gets its value back when it is
 * set again.
 */
#include "wire/doc_build.h"

#include "base/hash.h"

#define SMALL_OBJECT ((size_t)12)

/* The slot of @key, or the free slot where it belongs. */
static size_t find_slot(const struct doc_edit *edit, struct str key)
{
    size_t mask = edit->slot_count - 1;
    size_t slot = hash_bytes(key.ptr, key.len) & mask;
    while (edit->slots[slot] && !str_eq(edit->members[edit->slots[slot] - 1].key, key))
        slot = (slot + 1) & mask;
    return slot;
}

static void rebuild_slots(struct doc_edit *edit)
{
    size_t slot_count = 64;
    while (slot_count < 2 * edit->capacity) /* at most half full */
        slot_count *= 2;
    free(edit->slots);
    edit->slots = xcalloc(slot_count, sizeof(*edit->slots));
    edit->slot_count = slot_count;
    for (size_t i = 0; i < edit->count; i++)
        edit->slots[find_slot(edit, edit->members[i].key)] = (uint32_t)i + 1;
}

/* NULL when @key was never a member. */
static struct doc_member *find_member(const struct doc_edit *edit, struct str key)
{
    if (edit->slots) {
        uint32_t at = edit->slots[find_slot(edit, key)];
        return at ? &edit->members[at - 1] : NULL;
    }
    for (size_t i = 0; i < edit->count; i++) {
        if (str_eq(edit->members[i].key, key))
            return &edit->members[i];
    }
    return NULL;
}

void doc_edit_init(struct doc_edit *edit, const struct doc_node *object)
{
    *edit = (struct doc_edit){0};
    if (!object || object->kind != DOC_OBJECT || object->object.count == 0)
        return;
    edit->capacity = object->object.count;
    edit->members = xcalloc(edit->capacity, sizeof(*edit->members));
    /* One by one only where a key may be there twice. */
    if (edit->capacity <= SMALL_OBJECT) {
        edit->count = edit->live = object->object.count;
        memcpy(edit->members, object->object.members, edit->count * sizeof(*edit->members));
        return;
    }
    rebuild_slots(edit);
    for (size_t i = 0; i < object->object.count; i++)
        doc_edit_set(edit, object->object.members[i].key, object->object.members[i].value);
}

void doc_edit_done(struct doc_edit *edit)
{
    free(edit->members);
    free(edit->slots);
    *edit = (struct doc_edit){0};
}

const struct doc_node *doc_edit_get(const struct doc_edit *edit, struct str key)
{
    const struct doc_member *member = find_member(edit, key);
    return member ? member->value : NULL;
}

void doc_edit_set(struct doc_edit *edit, struct str key, const struct doc_node *value)
{
    struct doc_member *member = find_member(edit, key);
    if (member) {
        edit->live += member->value ? 0 : 1;
        member->value = value;
        return;
    }
    ASSERT(edit->count < UINT32_MAX);
    if (!edit->members || edit->count == edit->capacity) {
        edit->capacity = edit->capacity ? 2 * edit->capacity : 8;
        edit->members = xrealloc(edit->members, edit->capacity * sizeof(*edit->members));
        if (edit->capacity > SMALL_OBJECT)
            rebuild_slots(edit);
    }
    edit->members[edit->count++] = (struct doc_member){.key = key, .value = value};
    edit->live++;
    if (edit->slots)
        edit->slots[find_slot(edit, key)] = (uint32_t)edit->count;
}

void doc_edit_remove(struct doc_edit *edit, struct str key)
{
    struct doc_member *member = find_member(edit, key);
    if (!member || !member->value)
        return;
    member->value = NULL;
    edit->live--;
}

const struct doc_node *doc_edit_node(const struct doc_edit *edit, struct arena *arena)
{
    struct doc_node *node = arena_alloc(arena, sizeof(*node));
    node->kind = DOC_OBJECT;
    if (edit->live)
        node->object.members = arena_calloc(arena, edit->live, sizeof(struct doc_member));
    for (size_t i = 0; i < edit->count; i++) {
        if (edit->members[i].value)
            node->object.members[node->object.count++] = edit->members[i];
    }
    return node;
}

const struct doc_node *doc_with_member(const struct doc_node *object, const char *key,
                                       const struct doc_node *value, struct arena *arena)
{
    AUTO(doc_edit) struct doc_edit edit;
    doc_edit_init(&edit, object);
    doc_edit_set(&edit, (struct str){.ptr = arena_strdup(arena, key), .len = strlen(key)}, value);
    return doc_edit_node(&edit, arena);
}

const struct doc_node *doc_without_member(const struct doc_node *object, const char *key,
                                          struct arena *arena)
{
    if (!doc_get(object, key))
        return object;
    AUTO(doc_edit) struct doc_edit edit;
    doc_edit_init(&edit, object);
    doc_edit_remove(&edit, str_from(key));
    return doc_edit_node(&edit, arena);
}
