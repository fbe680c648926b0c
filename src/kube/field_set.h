/*
 * Sets of field paths: which fields of an object a manager owns, as metadata.managedFields keeps
 * them. A path leads through fields (f:), elements of a list by their keys (k:), elements of a set
 * by their value (v:) and, in old entries, by index (i:). A set is a tree in an arena: each entry
 * is a path element that may be a member itself, hold longer paths below it, or both. Sets are
 * immutable and share what they are made of. Pure. Any thread.
 */
#pragma once

#include "kube/document.h"

enum field_element_kind { FIELD_NAME, FIELD_KEY, FIELD_VALUE, FIELD_INDEX };

/* One `name=value` of a key. */
struct field_key {
    struct str name;
    const struct doc_node *value; /* a scalar */
};

struct field_element {
    enum field_element_kind kind;
    union {
        struct str name;
        struct {
            const struct field_key *items; /* sorted by name, none twice */
            size_t count;
        } key;
        const struct doc_node *value; /* a scalar */
        int64_t index;
    };
};

struct field_set;

struct field_entry {
    struct field_element element;
    bool is_member;
    const struct field_set *children; /* NULL when there are none */
};

struct field_set {
    const struct field_entry *entries; /* sorted, none twice, none without member or children */
    size_t count;
};

/** Orders elements as upstream: fields, keys, values, indices. */
int field_element_compare(const struct field_element *a, const struct field_element *b);
/** ".spec.containers[name="c"].ports[containerPort=80,protocol="TCP"]"; in @arena. */
const char *field_path_text(const struct field_element *path, size_t count, struct arena *arena);

const struct field_set *field_set_empty(void);
static inline bool field_set_is_empty(const struct field_set *set)
{
    return set->count == 0;
}
bool field_set_equal(const struct field_set *a, const struct field_set *b);
/** The entry of @element, or NULL. */
const struct field_entry *field_set_find(const struct field_set *set,
                                         const struct field_element *element);

/* New sets in @arena. A path and the longer paths below it are independent members. */
const struct field_set *field_set_union(const struct field_set *a, const struct field_set *b,
                                        struct arena *arena);
const struct field_set *field_set_intersection(const struct field_set *a, const struct field_set *b,
                                               struct arena *arena);
/** What is in @a and not in @b. */
const struct field_set *field_set_difference(const struct field_set *a, const struct field_set *b,
                                             struct arena *arena);
/** What is in @a and neither in @b nor below a member of @b. */
const struct field_set *field_set_without(const struct field_set *a, const struct field_set *b,
                                          struct arena *arena);

/** Calls @each for every member: those of a level first, then level by level below, in order. */
typedef void field_set_each_fn(void *ctx, const struct field_element *path, size_t count);
void field_set_each(const struct field_set *set, field_set_each_fn *each, void *ctx);

/**
 * Reads fieldsV1: `{"f:metadata":{"f:labels":{".":{},"f:app":{}}}}`. Elements of unknown kinds are
 * left out. The set borrows from @fields. INVALID_ARGUMENT for what is no such tree.
 */
MUST_CHECK struct error *field_set_parse(const struct doc_node *fields, struct arena *arena,
                                         const struct field_set **ret);
/** The fieldsV1 tree of @set; borrows from it. */
const struct doc_node *field_set_document(const struct field_set *set, struct arena *arena);

/**
 * The fields that @document, an object of @type, sets: every scalar, every atomic list, struct or
 * map as a whole, and the elements of lists that are merged. Borrows from @document.
 * INVALID_ARGUMENT ".spec.containers: element 0: …" for an element without its keys,
 * ".spec.containers: duplicate entries for key [name="a"]" unless @allow_duplicates, ".spec.x:
 * field not declared in schema".
 */
MUST_CHECK struct error *field_set_of_document(const struct doc_node *document,
                                               const ProtobufCMessageDescriptor *type,
                                               bool allow_duplicates, struct arena *arena,
                                               const struct field_set **ret);
/** The element that names @item of a list of @type that is no atomic one; @item is an object or a
 * scalar. INVALID_ARGUMENT when it has no key. */
MUST_CHECK struct error *field_element_of_item(const struct kube_value_type *type,
                                               const struct doc_node *item, struct arena *arena,
                                               struct field_element *ret);

/** Collects entries in any order, in the caller's memory; the same element twice becomes one. */
struct field_set_builder {
    struct field_entry *entries; /* owned */
    size_t count;
    size_t capacity;
};
/** Adds @element when it is a member or has @children (NULL: none). */
void field_set_add(struct field_set_builder *builder, const struct field_element *element,
                   bool is_member, const struct field_set *children);
/** The set in @arena; the builder is released and empty. */
const struct field_set *field_set_finish(struct field_set_builder *builder, struct arena *arena);
static inline UNUSED void auto_release_field_set_builder(struct field_set_builder *builder)
{
    free(builder->entries);
    builder->entries = NULL;
}
