/*
 * What the files of OpenAPI share. A document is written by a doc_writer, so that the same words
 * become JSON or, by way of a tree for each definition and path, protobuf. Pure. Any thread.
 */
#pragma once

#include "kube/document.h"
#include "plane/openapi.h"
#include "wire/doc.h"

enum openapi_dialect { OPENAPI_V2, OPENAPI_V3 };

/* --- names and what there is to define (openapi_names.c) --- */

/** "io.k8s.api.core.v1.Pod" for core.Pod. In @arena. */
const char *openapi_name(const ProtobufCMessageDescriptor *type, struct arena *arena);

#define OPENAPI_PATCH_NAME "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"

/** Message types with a definition, ordered by name. In an arena. */
struct openapi_types {
    const struct openapi_type {
        const ProtobufCMessageDescriptor *message; /* NULL: Patch, which is no message */
        const char *name;
    } * items;
    size_t count;
};

/** Everything that the resources of a group version need, themselves and their lists included;
 * @group NULL: those of all. */
struct openapi_types openapi_collect(const char *group, const char *version, struct arena *arena);

/** One field as JSON shows it. */
struct openapi_field {
    const ProtobufCMessageDescriptor *owner; /* where the field is declared */
    const ProtobufCFieldDescriptor *field;
    const char *name;
    struct kube_value_type type;
};

/** The fields of @message, with those of messages that JSON shows in it. *ret_count of them, in
 * @arena. */
const struct openapi_field *openapi_fields(const ProtobufCMessageDescriptor *message,
                                           struct arena *arena, size_t *ret_count);

/** True for a list of texts that is a message of its own: it has no definition. */
bool openapi_is_text_list(const ProtobufCMessageDescriptor *message);

/* --- schemas (openapi_schemas.c, openapi_required.c) --- */

/** Blank-separated names of the fields of "core.Container" that must be there; "" for none. */
const char *openapi_required(const char *message);

/** Writes the schema of a definition. */
void openapi_write_definition(struct doc_writer *writer, const struct openapi_type *type,
                              enum openapi_dialect dialect, struct arena *arena);
/** Writes {"$ref": …}. */
void openapi_write_ref(struct doc_writer *writer, const char *name, enum openapi_dialect dialect,
                       struct arena *arena);

/** Writes {"group": …, "kind": …, "version": …}. */
void openapi_write_kind(struct doc_writer *writer, const char *group, const char *version,
                        const char *kind);

/* --- paths (openapi_paths.c) --- */

/** Receives one path with what is at it; the texts are in the arena given. */
struct openapi_path {
    const char *path; /* "/api/v1/namespaces/{namespace}/pods/{name}/status" */
    const struct resource *resource;
    const struct subresource *subresource; /* NULL: the object, or the collection */
    bool is_item;                          /* has a name */
    bool is_in_namespace;                  /* has a namespace */
};
typedef void openapi_each_path(void *ctx, const struct openapi_path *path);

/** Calls @each for every path of the resources of a group version; @group NULL: of all. */
void openapi_paths(const char *group, const char *version, struct arena *arena,
                   openapi_each_path *each, void *ctx);
/** Writes the path item. */
void openapi_write_path(struct doc_writer *writer, const struct openapi_path *path,
                        enum openapi_dialect dialect, struct arena *arena);

/* --- protobuf (openapi_protobuf.c) --- */

/** Appends the v2 document as gnostic's openapi_v2.Document. */
MUST_CHECK struct error *openapi_write_protobuf(struct buf *out);
