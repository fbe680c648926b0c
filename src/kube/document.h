/*
 * A Kubernetes object as a document tree: what patching and apply work on. The way back is
 * kube_decode_document() (kube/codec.h). Pure. Any thread.
 */
#pragma once

#include "kube/codec.h"

#include "wire/doc_build.h"

/**
 * The tree of @message, as its JSON would be read: fields in the order of the .proto file, absent
 * fields left out, map keys sorted, `kind` and `apiVersion` first when @type is not NULL. It lives
 * in @arena and borrows nothing from @message.
 * RESOURCE_EXHAUSTED: deeper than DOC_MAX_DEPTH or more than DOC_MAX_NODES.
 */
MUST_CHECK struct error *kube_message_to_document(const ProtobufCMessage *message,
                                                  const struct kube_type_meta *type,
                                                  struct arena *arena, const struct doc_node **ret);

/* What the type of a message says about a value inside its document. */
enum kube_shape {
    KUBE_SHAPE_SCALAR, /* text, number, boolean; also time, quantity, duration, int-or-string */
    KUBE_SHAPE_STRUCT, /* an object with known fields */
    KUBE_SHAPE_MAP,    /* an object with any keys */
    KUBE_SHAPE_LIST,
    KUBE_SHAPE_ANY, /* raw JSON: an extension */
};

/** How patches and apply treat a list or an object; the rows are in document_rules.c. */
struct kube_list_rule {
    bool is_merged;         /* strategic merge patch merges it; otherwise it is replaced */
    bool retains_keys;      /* a diff names the keys that stay */
    bool is_set;            /* apply: scalars with owners of their own */
    const char *merge_key;  /* of a merged list of objects, else "" */
    const char *apply_keys; /* apply: blank-separated names of the keys; "" for atomic and sets */
};

/** Describes one value; a value struct. */
struct kube_value_type {
    enum kube_shape shape;
    bool is_object; /* a struct with `kind` and `apiVersion` */
    bool is_atomic; /* apply: a struct or map with one owner; a list when the rule says no more */
    /* Of a struct: itself. Of a list or map: of the elements that are messages, else NULL. */
    const ProtobufCMessageDescriptor *message;
    struct kube_list_rule rule;
};

/** The type of a whole object. */
struct kube_value_type kube_type_of_object(const ProtobufCMessageDescriptor *message);
/** The type of member @name of an object of @type; false when there is no such field. */
bool kube_type_of_member(const struct kube_value_type *type, struct str name,
                         struct kube_value_type *ret);
/** The type of the elements of a list or the values of a map. */
struct kube_value_type kube_type_of_element(const struct kube_value_type *type);

/** One row of wire facts about lists: message and JSON field with the strategic merge rule. */
struct kube_patch_row {
    const char *message;   /* "core.PodSpec" */
    const char *field;     /* "containers" */
    const char *strategy;  /* "merge", "merge,retainKeys", "retainKeys" */
    const char *merge_key; /* "" for scalars */
};
/** The table, for the test that checks it against the recorded facts. */
const struct kube_patch_row *kube_patch_rows(size_t *ret_count);
