/*
 * Kubernetes objects as text and back: one codec that walks protobuf-c descriptors. The special
 * cases (quantity, time, int-or-string, maps, bytes, inlined fields, names) sit in the table of
 * codec_types.c. Pure. Any thread. Nothing recurses on input depth beyond a fixed cap.
 *
 * A message is the same whether it came from JSON, YAML or protobuf. Where Kubernetes' own types
 * cannot tell zero from absent, zero is absent (codec_zero.c); where they can (a pointer in Go),
 * absent, zero and empty are kept apart. Quantities are canonical, times without the digits
 * Kubernetes drops, a decoded message is one piece of memory.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

#include <protobuf-c/protobuf-c.h>

#define KUBE_OBJECT_MAX_BYTES (10 * MiB) /* a manifest or API object; upstream's manifest limit */

enum kube_unknown_fields {
    KUBE_UNKNOWN_STRICT, /* an unknown or duplicate field is an error that names its path: files */
    KUBE_UNKNOWN_TOLERANT, /* unknown fields are dropped: what comes from a server */
};

struct kube_decode_options {
    enum kube_unknown_fields unknown;
    const char *file; /* names the source in errors; NULL leaves it out */
    size_t max_bytes; /* of the text or bytes; 0: KUBE_OBJECT_MAX_BYTES. More is for lists */
};

/**
 * Decodes @text (one JSON or YAML document; YAML: only the first document of a stream) into a
 * message of @type that lives in @arena. A field that is null is absent. `apiVersion` and `kind` at
 * the top are accepted and ignored here (see kube_type_meta).
 *
 * INVALID_ARGUMENT with line (YAML), field path and what was found:
 *
 *     web.yaml:12: spec.containers[0].ports[1].containerPort: expected an integer, found string "a"
 *     web.yaml:12: unknown field "spec.containers[0].imagee"
 *
 * RESOURCE_EXHAUSTED when @text is beyond options->max_bytes, nested deeper than the cap, or
 * stands for too much memory.
 */
MUST_CHECK struct error *kube_decode_json(struct str text, const ProtobufCMessageDescriptor *type,
                                          const struct kube_decode_options *options,
                                          struct arena *arena, ProtobufCMessage **ret);
MUST_CHECK struct error *kube_decode_yaml(struct str text, const ProtobufCMessageDescriptor *type,
                                          const struct kube_decode_options *options,
                                          struct arena *arena, ProtobufCMessage **ret);
/** JSON when the first byte that is no white space is '{', else YAML. */
MUST_CHECK struct error *kube_decode_text(struct str text, const ProtobufCMessageDescriptor *type,
                                          const struct kube_decode_options *options,
                                          struct arena *arena, ProtobufCMessage **ret);
/**
 * The bare message, without the "k8s\0" envelope. Unknown fields are dropped.
 * INVALID_ARGUMENT for what is no such message or holds a quantity that is none, RESOURCE_EXHAUSTED
 * as above.
 */
MUST_CHECK struct error *kube_decode_protobuf(struct str bytes,
                                              const ProtobufCMessageDescriptor *type,
                                              struct arena *arena, ProtobufCMessage **ret);

/*
 * In two steps, for who must know the kind first or wants a part of the document. The document
 * lives in @arena, which should be another one than that of the message.
 */
struct doc_node; /* wire/doc.h */
MUST_CHECK struct error *kube_parse_text(struct str text, const struct kube_decode_options *options,
                                         struct arena *arena, const struct doc_node **ret);
MUST_CHECK struct error *kube_decode_document(const struct doc_node *document,
                                              const ProtobufCMessageDescriptor *type,
                                              const struct kube_decode_options *options,
                                              struct arena *arena, ProtobufCMessage **ret);

/** `apiVersion` and `kind` of a document ("" when absent), borrowed from @arena. */
struct kube_type_meta {
    const char *api_version;
    const char *kind;
};
MUST_CHECK struct error *kube_decode_type_meta(struct str text,
                                               const struct kube_decode_options *options,
                                               struct arena *arena, struct kube_type_meta *ret);

MUST_CHECK struct error *kube_document_type_meta(const struct doc_node *document,
                                                 const struct kube_decode_options *options,
                                                 struct arena *arena, struct kube_type_meta *ret);

/** The Kubernetes protobuf envelope: "k8s\0" and runtime.Unknown around a message. *ret_raw borrows
 * from @bytes or @arena. */
MUST_CHECK struct error *kube_decode_envelope(struct str bytes, struct arena *arena,
                                              struct kube_type_meta *ret_type, struct str *ret_raw);
void kube_encode_envelope(const ProtobufCMessage *message, const struct kube_type_meta *type,
                          struct buf *out);

/**
 * Appends @message as compact JSON, fields in the order of the .proto file, absent fields left out,
 * map keys sorted. @type (may be NULL) puts `kind` and `apiVersion` first. Overflow is seen through
 * buf_error().
 */
void kube_encode_json(const ProtobufCMessage *message, const struct kube_type_meta *type,
                      struct buf *out);
/** The same, indented by two blanks. */
void kube_encode_json_pretty(const ProtobufCMessage *message, const struct kube_type_meta *type,
                             struct buf *out);
void kube_encode_yaml(const ProtobufCMessage *message, const struct kube_type_meta *type,
                      struct buf *out);
void kube_encode_protobuf(const ProtobufCMessage *message, struct buf *out);

/**
 * A deep copy in @arena, which it takes as one piece; it borrows nothing from @message. Empty texts
 * of proto3 become protobuf_c_empty_string, as in a message that was just made. Unknown fields are
 * left out.
 */
ProtobufCMessage *kube_message_dup(const ProtobufCMessage *message, struct arena *arena);
/** True when both hold the same fields with the same values; repeated fields in order, maps in any
 * order. */
bool kube_message_eq(const ProtobufCMessage *a, const ProtobufCMessage *b);

/** The JSON name of a snake_case field ("pod_ips" → "podIPs"); borrowed from @arena or static. */
const char *kube_json_name(const char *proto_name, struct arena *arena);

/** A fresh, empty message of @type in @arena. */
ProtobufCMessage *kube_message_new(const ProtobufCMessageDescriptor *type, struct arena *arena);

/** The allocator that makes protobuf_c_message_unpack() put everything into @arena. */
ProtobufCAllocator kube_arena_allocator(struct arena *arena);
