/*
 * Shared by the files of REST only. Loop thread.
 */
#pragma once

#include "plane/negotiate.h"
#include "plane/object_meta.h"
#include "plane/rest.h"

/* The largest object that may be stored: upstream's limit on a request. */
#define REST_OBJECT_MAX_BYTES (3 * MiB)
/* A reply is bounded by what a machine with a node on it can hold. */
#define REST_REPLY_MAX_BYTES (256 * MiB)

/** An object as it is stored. */
struct rest_stored {
    ProtobufCMessage *object; /* with its resourceVersion */
    Meta__ObjectMeta *meta;   /* of object */
    struct str bytes;
};

/** What a write is about and how it is to be done. */
struct rest_write {
    const struct rest_env *env;
    const struct plane_user *user;
    const struct resource *resource;
    const char *subresource; /* NULL: the object itself */
    const char *manager;     /* who shall own the fields that change */
    bool is_dry_run;
    bool is_tracked; /* the object's managedFields are as they shall be */
    bool is_upsert;  /* what shall be created was to be updated: its resourceVersion says nothing */
};

struct strategy_context rest_context(const struct rest_write *write);
/** Appends @object as it is stored: without resourceVersion, which is the row's revision. */
void rest_encode_row(const struct resource *resource, ProtobufCMessage *object, struct arena *arena,
                     struct buf *out);
struct failure_target rest_target(const struct resource *resource, const char *name);
struct store_key rest_key(const struct resource *resource, const Meta__ObjectMeta *meta);

/** Decodes a row to answer a request: *ret is NULL for what is measured and was not. */
MUST_CHECK struct error *rest_decode_shown(const struct rest_env *env,
                                           const struct resource *resource,
                                           const struct store_item *item, struct arena *arena,
                                           ProtobufCMessage **ret);
/** Reads one row; a failure 404 when it is not there, or not measured. */
MUST_CHECK Meta__Status *rest_load(const struct rest_env *env, const struct resource *resource,
                                   const char *namespace_, const char *name,
                                   struct rest_stored *ret);

enum rest_admission { REST_ADMIT_CREATE, REST_ADMIT_UPDATE, REST_ADMIT_DELETE };
/** Asks admission (plane/admission.h), which may change @object. @object is NULL for a deletion,
 * @old for a creation. */
MUST_CHECK Meta__Status *rest_admit(const struct rest_write *write, enum rest_admission operation,
                                    ProtobufCMessage *object, const ProtobufCMessage *old);
/** The same for a creation on a subresource of the object @request is about, with @body. */
MUST_CHECK Meta__Status *rest_admit_part(const struct rest_write *write,
                                         const struct plane_request *request,
                                         ProtobufCMessage *body);

/* Who manages which field (metadata.managedFields): set for a new object, kept for a changed one.
 */
MUST_CHECK Meta__Status *rest_track_create(const struct rest_write *write,
                                           ProtobufCMessage *object);
MUST_CHECK Meta__Status *rest_track_update(const struct rest_write *write,
                                           const struct rest_stored *old, ProtobufCMessage *object);

/** Fills metadata, admits, validates and stores a new object, which gets its resourceVersion. */
MUST_CHECK Meta__Status *rest_do_create(const struct rest_write *write, ProtobufCMessage *object);
/**
 * Carries over, admits, validates and stores @object over @old; a change of nothing writes nothing.
 * An object whose last reason to stay has gone is removed. *ret_code is 200.
 */
MUST_CHECK Meta__Status *rest_do_update(const struct rest_write *write,
                                        const struct rest_stored *old, ProtobufCMessage *object);

/** Failure 409 when @meta names a uid that is not @uid ("" for an object that is not there). */
MUST_CHECK Meta__Status *rest_check_uid(const struct rest_env *env, const struct resource *resource,
                                        const Meta__ObjectMeta *meta, const char *uid);

/** What a deletion asks for, from DeleteOptions and the query. */
struct rest_delete_options {
    int64_t grace_s; /* -1: not said */
    const char *uid; /* preconditions; NULL: none */
    const char *resource_version;
    const char *propagation; /* "Background", "Foreground", "Orphan"; NULL: the default */
    bool keeps_no_orphans;   /* said in the old way: answered with 202 while the object stays */
    bool is_dry_run;         /* nothing is written */
};
/** Reads them from query and body. Failure 400 for what makes no sense. */
MUST_CHECK Meta__Status *rest_read_delete_options(const struct rest_env *env,
                                                  const struct plane_request *request,
                                                  struct rest_delete_options *ret);
/** *ret_is_gone tells whether the row was removed. @stored->object shows the last state. */
MUST_CHECK Meta__Status *rest_do_delete(const struct rest_write *write, struct rest_stored *stored,
                                        const struct rest_delete_options *options,
                                        bool *ret_is_gone);
/** Removes the row of @object. */
MUST_CHECK Meta__Status *rest_remove(const struct rest_write *write, ProtobufCMessage *object);

/** Decodes the body as an object of @kind. Unknown fields are dropped, told in reply->warning, or a
 * failure, as `fieldValidation` says. */
MUST_CHECK Meta__Status *rest_decode_body(const struct rest_env *env,
                                          const struct plane_request *request,
                                          const struct kube_kind *kind, ProtobufCMessage **ret,
                                          struct plane_reply *reply);
/** The same for options (DeleteOptions), whose apiVersion may be that of any group. */
MUST_CHECK Meta__Status *rest_decode_options(const struct rest_env *env,
                                             const struct plane_request *request,
                                             const struct kube_kind *kind, ProtobufCMessage **ret,
                                             struct plane_reply *reply);
struct doc_node;
/** The same for a document. NULL when all is well; otherwise why it is no such object. */
MUST_CHECK const char *rest_decode_document(const struct rest_env *env,
                                            const struct plane_request *request,
                                            const struct doc_node *document,
                                            const struct kube_kind *kind, ProtobufCMessage **ret,
                                            struct plane_reply *reply);
/** Failure 400 for a body that is no object of @kind. */
Meta__Status *rest_cannot_be_handled(const struct rest_env *env, const struct kube_kind *kind,
                                     const char *why);
/** The name in body and path must be the same; an empty one in the body is filled in. */
MUST_CHECK Meta__Status *rest_check_place(const struct rest_env *env,
                                          const struct plane_request *request,
                                          ProtobufCMessage *object);
/** The write that a request stands for, its manager taken from the query or the user agent. */
struct rest_write rest_write_of(const struct rest_env *env, const struct plane_request *request);

/* --- options (rest_options.c) --- */

#define REST_APPLY_TYPE "application/apply-patch+yaml"

bool rest_is_dry_run(const struct plane_request *request);
/** Failure 422 for options in the query that its verb does not know or that do not go together.
 * Those of a deletion: rest_read_delete_options(). */
MUST_CHECK Meta__Status *rest_check_options(const struct rest_env *env,
                                            const struct plane_request *request);
/** Records what is wrong with the option dryRun. */
struct validation;
void rest_check_dry_run(struct validation *v, const char *dry_run);
/** The resourceVersion a read is based on; 0 when nothing is said. Failure 400, or 504 for
 * one that lies in the future: who has seen a newer state than there is must not be given this one.
 */
MUST_CHECK Meta__Status *rest_read_version(const struct rest_env *env,
                                           const struct plane_request *request, int64_t *ret);

/** @status, a success or an answer, as the reply. */
MUST_CHECK Meta__Status *rest_reply_status(const struct rest_env *env,
                                           const struct plane_request *request, unsigned code,
                                           const Meta__Status *status, struct plane_reply *reply);

/** May the user, who may update, create as well? Asked when an update or an apply finds nothing. */
MUST_CHECK Meta__Status *rest_may_create(const struct rest_env *env,
                                         const struct plane_request *request);

/* The verbs, a file each. */
MUST_CHECK Meta__Status *rest_list(const struct rest_env *env, const struct plane_request *request,
                                   struct plane_reply *reply);
MUST_CHECK Meta__Status *rest_patch(const struct rest_env *env, const struct plane_request *request,
                                    struct plane_reply *reply);
/** Server-side apply; @old NULL makes the object. */
MUST_CHECK Meta__Status *rest_apply(const struct rest_env *env, const struct plane_request *request,
                                    const struct rest_stored *old, struct plane_reply *reply);
MUST_CHECK Meta__Status *rest_delete_request(const struct rest_env *env,
                                             const struct plane_request *request,
                                             struct plane_reply *reply);
MUST_CHECK Meta__Status *rest_delete_collection(const struct rest_env *env,
                                                const struct plane_request *request,
                                                struct plane_reply *reply);

/* --- selecting and encoding, also for watches --- */

/** The selectors of a list, watch or deletion. Lives in the request's arena. */
struct rest_selection {
    const struct resource *resource;
    const char *namespace_; /* NULL: all */
    const struct label_selector *labels;
    const struct field_selector *fields;
    bool is_all; /* no selector, and nothing that may not have been measured: nothing needs decoding
                    to be chosen */
    const char *exact_name; /* the one name that fields allow; NULL: any */
};
MUST_CHECK Meta__Status *rest_select(const struct rest_env *env,
                                     const struct plane_request *request,
                                     struct rest_selection *ret);
bool rest_selects(const struct rest_selection *selection, const ProtobufCMessage *object);
/** Whether the row can be chosen as far as its key tells. */
bool rest_selects_key(const struct rest_selection *selection, const struct store_key *key);

/** Appends one object in the form agreed on, with its kind. */
MUST_CHECK Meta__Status *rest_encode_object(const struct rest_env *env,
                                            const struct negotiated *how,
                                            const struct resource *resource,
                                            const struct kube_kind *kind,
                                            const ProtobufCMessage *object, struct buf *out);
