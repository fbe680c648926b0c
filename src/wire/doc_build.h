/*
 * Making and altering document trees (wire/doc.h): a writer that builds a tree instead of text, new
 * nodes, and an object under alteration. Trees stay immutable: what is altered is a copy that
 * shares the parts that did not change, so the arenas of both must live as long as the result.
 * Pure. Any thread.
 */
#pragma once

#include "wire/doc.h"

/** Nodes that one tree may have before it is refused; 10 MiB of JSON that means something have far
 * fewer. */
#define DOC_MAX_NODES ((size_t)1 << 20)

struct doc_frame; /* an open object or array */

/** A doc_writer whose output is a tree. Lives in the caller's memory. */
struct doc_builder {
    struct doc_writer base;
    struct arena *arena;
    struct doc_frame *frames; /* owned; DOC_MAX_DEPTH of them */
    size_t depth;
    size_t node_count;
    const struct doc_node *root;
    bool is_refused; /* too deep or too many nodes; sticky, later calls do nothing */
};

/** Starts a tree in @arena. doc_builder_finish() must follow. */
void doc_builder_init(struct doc_builder *builder, struct arena *arena);
/**
 * Ends the tree and releases what building took. Exactly one value must have been written, all that
 * was begun ended. RESOURCE_EXHAUSTED: deeper than DOC_MAX_DEPTH or more than DOC_MAX_NODES.
 */
MUST_CHECK struct error *doc_builder_finish(struct doc_builder *builder,
                                            const struct doc_node **ret);

/* Constant nodes. */
const struct doc_node *doc_null(void);
const struct doc_node *doc_bool(bool value);

/* New nodes in @arena. */
const struct doc_node *doc_new_integer(struct arena *arena, int64_t value);
/** A copy of @text, which holds no NUL. */
const struct doc_node *doc_new_text(struct arena *arena, struct str text);
/** Shares the items; the array of pointers is copied. */
const struct doc_node *doc_new_array(struct arena *arena, const struct doc_node *const *items,
                                     size_t count);
/** Shares keys and values; the array of members is copied. */
const struct doc_node *doc_new_object(struct arena *arena, const struct doc_member *members,
                                      size_t count);

/** @object (NULL: none yet) with member @key set, in its old place or at the end. @key is copied.
 */
const struct doc_node *doc_with_member(const struct doc_node *object, const char *key,
                                       const struct doc_node *value, struct arena *arena);
/** @object without member @key; @object itself when it has none. */
const struct doc_node *doc_without_member(const struct doc_node *object, const char *key,
                                          struct arena *arena);
/** @node with the members of all its objects in the order of their keys, as Go writes a map. */
const struct doc_node *doc_sorted(const struct doc_node *node, struct arena *arena);

/** True for the same value: members in any order, 1 equals 1.0. */
bool doc_equal(const struct doc_node *a, const struct doc_node *b);
/** Orders scalars: by kind, then by value; arrays and objects by address, so equal only to
 * themselves. */
int doc_compare_scalars(const struct doc_node *a, const struct doc_node *b);
/** Byte order, as strcmp(). */
int doc_compare_keys(struct str a, struct str b);

/** How large @node is, read as a tree (a shared node counts each time); counting ends beyond
 * @max_nodes. */
struct doc_extent {
    size_t nodes;
    size_t depth; /* of containers; a scalar has 0 */
};
struct doc_extent doc_measure(const struct doc_node *node, size_t max_nodes);
/** RESOURCE_EXHAUSTED "<what> …" when @node is deeper than DOC_MAX_DEPTH or has more than
 * DOC_MAX_NODES. */
MUST_CHECK struct error *doc_check_extent(const struct doc_node *node, const char *what);

/*
 * An object under alteration, in the caller's memory: finding, setting and removing members costs
 * the same however many there are. A removed member keeps its place with a NULL value until
 * doc_edit_node(); iterate over members[0 … count) and skip these.
 */
struct doc_edit {
    struct doc_member *members; /* owned */
    size_t count;
    size_t capacity;
    size_t live;     /* members that are not removed */
    uint32_t *slots; /* owned; hash from key to index + 1; NULL while the object is small */
    size_t slot_count;
};

/** Starts with the members of @object, or with none when it is NULL or no object. */
void doc_edit_init(struct doc_edit *edit, const struct doc_node *object);
void doc_edit_done(struct doc_edit *edit);
/** The value of @key, or NULL. */
const struct doc_node *doc_edit_get(const struct doc_edit *edit, struct str key);
/** Sets @key (borrowed as long as the result lives, terminated) in its old place or at the end. */
void doc_edit_set(struct doc_edit *edit, struct str key, const struct doc_node *value);
/** Removes @key; one that is not there is fine. */
void doc_edit_remove(struct doc_edit *edit, struct str key);
/** The object as it is now, in @arena. */
const struct doc_node *doc_edit_node(const struct doc_edit *edit, struct arena *arena);

static inline UNUSED void auto_release_doc_edit(struct doc_edit *edit)
{
    doc_edit_done(edit);
}
