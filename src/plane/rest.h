/*
 * The verbs of the API on stored objects: what a request does to the store and what is answered. A
 * request is run whole inside one batch of the store, so it sees one state and needs no second
 * attempt. Knows objects and the store, not connections. Loop thread.
 */
#pragma once

#include "base/buf.h"
#include "plane/authn.h"
#include "plane/resource.h"
#include "plane/store.h"

#include "wire/http.h"

/** A request taken apart by plane/route.h. Borrowed from the exchange's arena. */
struct plane_request {
    enum plane_verb verb;
    const struct resource *resource;
    const struct subresource *subresource; /* NULL: the object */
    const char *namespace_;                /* NULL: none, or all */
    const char *name;                      /* NULL: the collection */
    const struct http_target *target;      /* for the query */
    const char *content_type;              /* of the body; "" when not said */
    const char *accept;
    struct str body;
    const struct plane_user *user;
    const char *user_agent; /* names the field manager when fieldManager does not */
};

/** What is answered: a status code and a body in the encoding that was asked for. */
struct plane_reply {
    unsigned code;
    const char *content_type; /* static */
    struct buf body;          /* owned by the reply */
    const char *warning;      /* for a `warning: 299` field; NULL: none */
};

struct rest_env {
    const struct plane_world *world;
    struct store *store;
    struct arena *arena; /* of the request */
    int64_t now_wall_ns;
    const struct authz_policy *policy;         /* as in struct strategy_context */
    const struct authn_context *authn_context; /* the same */
    const struct usage *usage;                 /* for what is measured; NULL: nothing was */
};

/** Puts the encoded failure into @reply. */
void rest_reply_failure(const struct plane_request *request, const Meta__Status *failure,
                        struct plane_reply *reply);
/** Puts an object of @kind into @reply: as JSON, YAML, protobuf, Table or PartialObjectMetadata, as
 * `accept` says. */
Meta__Status *rest_reply_object(const struct rest_env *env, const struct plane_request *request,
                                unsigned code, const struct kube_kind *kind,
                                const ProtobufCMessage *object, struct plane_reply *reply);

/**
 * Does everything but WATCH. Only from a store task's run(). A failure is not yet in @reply; the
 * caller makes the task fail with it so that its writes are taken back.
 */
MUST_CHECK Meta__Status *rest_handle(const struct rest_env *env,
                                     const struct plane_request *request,
                                     struct plane_reply *reply);

/* --- for controllers: the same rules, without a request --- */

/** Reads and decodes one object. Failure 404. */
MUST_CHECK Meta__Status *rest_read(const struct rest_env *env, const struct resource *resource,
                                   const char *namespace_, const char *name,
                                   ProtobufCMessage **ret);
/** Calls @each with every object of the resource (in @namespace_, NULL: all), which lives until it
 * returns: a walk takes no more memory than one object. */
typedef Meta__Status *rest_each(void *ctx, ProtobufCMessage *object);
MUST_CHECK Meta__Status *rest_each_object(const struct rest_env *env,
                                          const struct resource *resource, const char *namespace_,
                                          rest_each *each, void *ctx);
/** Creates, with defaulting, admission and validation, as the user of @user. *ret is what was
 * stored. */
MUST_CHECK Meta__Status *rest_create(const struct rest_env *env, const struct plane_user *user,
                                     const struct resource *resource, ProtobufCMessage *object,
                                     ProtobufCMessage **ret);
/** Replaces (through @subresource, NULL: the object). The object's resourceVersion, when it has
 * one, must be the stored one's. */
MUST_CHECK Meta__Status *rest_update(const struct rest_env *env, const struct plane_user *user,
                                     const struct resource *resource, const char *subresource,
                                     ProtobufCMessage *object, ProtobufCMessage **ret);
/** @grace_s -1: the kind's own. *ret (may be NULL) is the object's last state. */
MUST_CHECK Meta__Status *rest_delete(const struct rest_env *env, const struct plane_user *user,
                                     const struct resource *resource, const char *namespace_,
                                     const char *name, int64_t grace_s, ProtobufCMessage **ret);
/** The same with what a client says about it; @said may be NULL. */
MUST_CHECK Meta__Status *rest_delete_with(const struct rest_env *env, const struct plane_user *user,
                                          const struct resource *resource, const char *namespace_,
                                          const char *name, const Meta__DeleteOptions *said);

/** The stored bytes of a row as an object with its resourceVersion. DATA_LOSS when they do not
 * decode. */
MUST_CHECK struct error *rest_decode_item(const struct resource *resource,
                                          const struct store_item *item, struct arena *arena,
                                          ProtobufCMessage **ret);
