/*
 * The kinds of objects cubelet and nodeplane know: one table from group, version and kind to
 * resource name, message and scope. Also what every object has (metadata), lists, and watch
 * events. Pure. Any thread.
 */
#pragma once

#include "kube/codec.h"

#include "meta.pb-c.h"

struct kube_kind {
    const char *group;       /* "" for core */
    const char *version;     /* "v1" */
    const char *kind;        /* "Pod" */
    const char *resource;    /* "pods"; NULL for what is no resource (Status, DeleteOptions, …) */
    const char *singular;    /* "pod" */
    const char *short_names; /* comma-separated; "" when there is none */
    const char *categories;  /* comma-separated: "all"; "" when there is none */
    bool is_namespaced;
    bool is_list; /* `items` holds objects of the kind without "List" */
    const ProtobufCMessageDescriptor *type;
    const char *api_version; /* "v1", "coordination.k8s.io/v1" */
};

/** All kinds, lists included, in a fixed order: core first. */
const struct kube_kind *kube_kinds(size_t *ret_count);
/** By `apiVersion` and `kind`, or NULL. DeleteOptions are found in every group's version. */
const struct kube_kind *kube_kind_find(const char *api_version, const char *kind);
/** By group, version and resource ("", "v1", "pods"), or NULL. */
const struct kube_kind *kube_kind_of_resource(const char *group, const char *version,
                                              const char *resource);
/** The list kind of @item ("PodList" for "Pod"), or the item kind of a list; NULL when none. */
const struct kube_kind *kube_kind_list(const struct kube_kind *item);
const struct kube_kind *kube_kind_item(const struct kube_kind *list);
struct kube_type_meta kube_kind_meta(const struct kube_kind *kind);

/** The object's metadata; NULL when it has none (yet). */
Meta__ObjectMeta *kube_object_meta(const ProtobufCMessage *object);
/** The same, made empty in @arena when it was missing; NULL when the type has no metadata. */
Meta__ObjectMeta *kube_object_ensure_meta(ProtobufCMessage *object, struct arena *arena);
/** A list's metadata and items; NULL and 0 for what is no list. */
Meta__ListMeta *kube_list_meta(const ProtobufCMessage *list);
ProtobufCMessage *const *kube_list_items(const ProtobufCMessage *list, size_t *ret_count);

enum kube_encoding { KUBE_JSON, KUBE_YAML, KUBE_PROTOBUF };

/**
 * An object of any known kind in any encoding: the kind is read from the text (or the protobuf
 * envelope). INVALID_ARGUMENT: no such kind, or as the decoders of kube/codec.h.
 */
MUST_CHECK struct error *kube_decode_any(struct str bytes, enum kube_encoding encoding,
                                         const struct kube_decode_options *options,
                                         struct arena *arena, const struct kube_kind **ret_kind,
                                         ProtobufCMessage **ret_object);
/** The same for a parsed document, which names its kind. */
struct doc_node; /* wire/doc.h */
MUST_CHECK struct error *kube_decode_any_document(const struct doc_node *document,
                                                  const struct kube_decode_options *options,
                                                  struct arena *arena,
                                                  const struct kube_kind **ret_kind,
                                                  ProtobufCMessage **ret_object);
/** Appends the object with its kind: JSON, YAML, or the protobuf envelope. */
void kube_encode_any(const ProtobufCMessage *object, const struct kube_kind *kind,
                     enum kube_encoding encoding, struct buf *out);

/*
 * Several objects in one input. A `v1` `List`, as kubectl makes, has items with kinds of their own
 * and is no message of ours: kube_decode_any() refuses it.
 */
struct kube_any {
    const struct kube_kind *kind;
    ProtobufCMessage *object;
};

struct kube_document {
    struct kube_any any;          /* kind NULL: a `v1` `List` of … */
    const struct kube_any *items; /* … these */
    size_t count;
};

/** Calls @each for each document of @bytes: one, or those of a stream of YAML or JSON; in protobuf
 * there is one. Empty YAML documents are left out. Stops at the first error, its own or of @each.
 */
typedef struct error *kube_each_document(void *ctx, const struct kube_document *document);
MUST_CHECK struct error *kube_decode_documents(struct str bytes, enum kube_encoding encoding,
                                               const struct kube_decode_options *options,
                                               struct arena *arena, kube_each_document *each,
                                               void *ctx);
/** Appends a document: as kube_encode_any(), or a `v1` `List`. */
void kube_encode_any_document(const struct kube_document *document, enum kube_encoding encoding,
                              struct buf *out);

/** The same without the shape: calls @each for each object, also those of typed and other lists. */
typedef struct error *kube_each_object(void *ctx, const struct kube_kind *kind,
                                       ProtobufCMessage *object);
MUST_CHECK struct error *kube_decode_items(struct str bytes, enum kube_encoding encoding,
                                           const struct kube_decode_options *options,
                                           struct arena *arena, kube_each_object *each, void *ctx);
