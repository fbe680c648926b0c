/*
 * Server-side apply and who owns which field: what an API server does with metadata.managedFields.
 * Works on document trees (kube/document.h); results live in the arena given and borrow from all
 * that went in. Only one version of each type is known, so sets of any version are read as of this
 * one. Pure: the time comes in. Any thread.
 */
#pragma once

#include "kube/field_set.h"

enum kube_manager_operation { KUBE_MANAGER_APPLY, KUBE_MANAGER_UPDATE };

/** One entry of metadata.managedFields. */
struct kube_manager {
    const char *name;
    const char *api_version;
    const char *subresource; /* "" for none */
    enum kube_manager_operation operation;
    bool has_time;
    int64_t time_s; /* wall clock */
    const struct field_set *fields;
};

struct kube_managers {
    struct kube_manager *items;
    size_t count;
};

/**
 * Reads metadata.managedFields of @object. None, or no metadata, gives none. INVALID_ARGUMENT for
 * an entry without operation or version, of another fieldsType, or whose fields are no field set.
 */
MUST_CHECK struct error *kube_managers_of(const struct doc_node *object,
                                          const ProtobufCMessageDescriptor *type,
                                          struct arena *arena, struct kube_managers *ret);
/** @object with @managers as its metadata.managedFields, in upstream's order; without the field
 * when there are none. */
const struct doc_node *kube_set_managers(const struct doc_node *object,
                                         const struct kube_managers *managers, struct arena *arena);

struct kube_apply_request {
    const ProtobufCMessageDescriptor *type;
    const char *api_version;         /* of the endpoint */
    const char *subresource;         /* "status"; "" or NULL for none */
    const char *manager;             /* fieldManager; NULL or "" becomes "unknown" */
    const struct doc_node *live;     /* NULL: the object does not exist yet */
    const struct doc_node *object;   /* apply: the configuration; update: the object to be stored */
    const struct field_set *ignored; /* fields this endpoint resets (status, …); NULL for none */
    bool is_forced;                  /* apply: takes fields from others instead of failing */
    int64_t now_s;                   /* wall clock */
};

struct kube_conflict {
    const char *manager; /* as messages print it: `"kubectl" using v1` */
    const char *path;    /* ".data.key" */
};

struct kube_apply_result {
    const struct doc_node *object; /* what is to be defaulted, validated and stored */
    bool is_changed;               /* more than managedFields differs from the live object */
    struct kube_conflict *conflicts;
    size_t conflict_count;
};

/**
 * Applies request->object: merges it into the live object, removes what its manager applied before,
 * does not apply any more and nobody else owns, and takes note of the ownership. An object that had
 * no managers before gets "before-first-apply"; for the manager "kubectl" what
 * `kubectl apply` noted in its last-applied annotation gives way without force, and that annotation
 * is kept up to date.
 *
 * ABORTED with reason Conflict when other managers own fields with other values and the request is
 * not forced; *ret then holds the conflicts:
 *
 *     Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using v1: .data.key
 *
 * INVALID_ARGUMENT with reason BadRequest: the configuration is no object of the type, has
 * managedFields, is of another version, or has two items of the same key. RESOURCE_EXHAUSTED as
 * doc_check_extent().
 */
MUST_CHECK struct error *kube_apply(const struct kube_apply_request *request, struct arena *arena,
                                    struct kube_apply_result *ret);

/**
 * Keeps managedFields when an object is created, updated or patched: the manager becomes owner of
 * what differs from the live object, others lose it. request->object is the object about to be
 * stored; *ret is it with its new managedFields. A client may edit managedFields (not through a
 * subresource), and resets them with an empty list; an object without managers stays without until
 * the first apply, but a new one is tracked at once. managedFields that cannot be read are taken
 * for none, as upstream does. INVALID_ARGUMENT: an element of a list that is merged is no object,
 * or its key no scalar (no decoded object has such); RESOURCE_EXHAUSTED as doc_check_extent().
 */
MUST_CHECK struct error *kube_update_managers(const struct kube_apply_request *request,
                                              struct arena *arena, const struct doc_node **ret);
