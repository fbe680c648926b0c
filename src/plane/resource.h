/*
 * The resources nodeplane serves: one row each, tying a kind to its verbs, subresources, selectable
 * fields, table columns and strategy. Discovery, routing, REST and kubectl's tables all read this
 * one table. Pure. Any thread.
 */
#pragma once

#include "plane/failure.h"

#include "core.pb-c.h"

#include "base/text_list.h"

struct plane_user;    /* plane/authn.h */
struct authn;         /* plane/authn.h */
struct authn_context; /* plane/authn.h */
struct authz_policy;  /* plane/authz.h */
struct jwt_key;       /* plane/jwt.h */
struct store;         /* plane/store.h */
struct usage;         /* plane/usage.h */

enum plane_verb {
    VERB_GET = 1 << 0,
    VERB_LIST = 1 << 1,
    VERB_WATCH = 1 << 2,
    VERB_CREATE = 1 << 3,
    VERB_UPDATE = 1 << 4,
    VERB_PATCH = 1 << 5,
    VERB_DELETE = 1 << 6,
    VERB_DELETE_COLLECTION = 1 << 7,
};
#define VERBS_READ (VERB_GET | VERB_LIST | VERB_WATCH)
#define VERBS_ALL                                                                                  \
    (VERBS_READ | VERB_CREATE | VERB_UPDATE | VERB_PATCH | VERB_DELETE | VERB_DELETE_COLLECTION)

/** "get", "deletecollection". */
const char *plane_verb_text(enum plane_verb verb);

/** What the house knows that a strategy may need. Set once at start. */
struct plane_world {
    const char *node_name;           /* the machine's node: where pods go */
    const char *service_range;       /* "10.96.0.0/12", or two with a comma */
    const char *ca_pem;              /* for kube-root-ca.crt */
    const char *issuer;              /* of service-account tokens */
    const struct jwt_key *token_key; /* signs them */
    struct text_list audiences;      /* a token is for these unless it says otherwise */
    const struct authn *authn;       /* for TokenReview */
};

/** One attempt at a request, inside a batch of the store. */
struct strategy_context {
    const struct plane_world *world;
    const struct plane_user *user;
    struct store *store;
    struct arena *arena; /* of the request */
    int64_t now_wall_ns;
    bool is_dry_run;
    const char *subresource; /* NULL: the object itself */
    /* For reviews: what users may do, and where tokens' objects are looked up. Both are good for
     * this batch only. */
    const struct authz_policy *policy;
    const struct authn_context *authn_context;
};

/**
 * What is peculiar to a kind. Every function may be NULL: nothing to do. Objects are of the kind's
 * message type and may be changed in place; memory comes from the context's arena. @old is never
 * changed. Metadata (uid, times, generation, resourceVersion, generateName) is REST's affair.
 */
struct strategy {
    /** Fills what clients leave open (defaults, as kube-apiserver's) on create, update and patch.
     */
    void (*set_defaults)(ProtobufCMessage *object, struct arena *arena);
    /** Drops what a client may not say at creation (status) and puts in what the server decides
     * (cluster IP, phase, priority, …), admission included. */
    Meta__Status *(*prepare_create)(const struct strategy_context *context,
                                    ProtobufCMessage *object);
    /** Carries over from @old what an update through this subresource (context->subresource) may
     * not change; admission included. */
    Meta__Status *(*prepare_update)(const struct strategy_context *context,
                                    ProtobufCMessage *object, const ProtobufCMessage *old);
    /** @old NULL at creation. Errors with upstream's paths and words. */
    void (*validate)(const struct strategy_context *context, const ProtobufCMessage *object,
                     const ProtobufCMessage *old, struct field_errors *errors);
    /** True when the change from @old is one of the spec: generation grows. NULL: kinds without
     * generation. */
    bool (*has_new_generation)(const ProtobufCMessage *object, const ProtobufCMessage *old);
    /**
     * Decides how an object goes: *grace_s is what the client asked for (-1: nothing) and becomes
     * what holds; 0 means gone at once, more that it stays, with deletionTimestamp, until somebody
     * deletes it with 0. NULL: always at once.
     */
    Meta__Status *(*check_delete)(const struct strategy_context *context,
                                  const ProtobufCMessage *object, int64_t *grace_s);
    /** Before the object goes for good, inside the same batch: allocations to release, and the
     * like.
     */
    Meta__Status *(*before_removal)(const struct strategy_context *context,
                                    const ProtobufCMessage *object);
    /** True while something beside grace and metadata.finalizers keeps a deleted object (the
     * spec.finalizers of a namespace). NULL: nothing. */
    bool (*is_held)(const ProtobufCMessage *object);
    /** After a deletion that left @object there: says so in it (a namespace's phase). */
    void (*on_marked)(ProtobufCMessage *object, struct arena *arena);
    bool requires_resource_version; /* an update must say which state it is based on */
    bool creates_on_update;         /* PUT of what is not there creates it */
    bool returns_deleted;           /* DELETE answers with the object rather than with a Status */
};

/** A part of an object with a path of its own. */
struct subresource {
    const char *name; /* "status" */
    unsigned verbs;
    const struct kube_kind *kind; /* of its body, when not the resource's; NULL: the same */
    /** Does a CREATE on it (binding, eviction, token). NULL: update and patch write through the
     * strategy, CREATE is refused. *ret_reply is the answer, an object of *ret_kind. */
    Meta__Status *(*create)(const struct strategy_context *context, const char *namespace_,
                            const char *name, ProtobufCMessage *body, ProtobufCMessage **ret_reply,
                            const struct kube_kind **ret_kind);
    bool is_proxied; /* log, exec, attach, portforward, proxy: passed on to the node */
};

/** A column of kubectl's tables. */
struct table_column {
    const char *name;
    const char *type;   /* "string", "integer", "date" */
    const char *format; /* "name" or "" */
    const char *description;
    int priority; /* 0: always; 1: -o wide */
};

struct cell_row; /* plane/table_cells.h */
struct table_cells {
    const struct table_column *columns;
    size_t column_count;
    /** Writes a row's cells, a value per column. */
    void (*write)(const struct cell_row *row);
};

/** How a resource is stored that shares its rows with another one (events.k8s.io and metrics.k8s.io
 * with core). What the functions give shares memory with their argument. */
struct resource_storage {
    const ProtobufCMessageDescriptor *type;
    ProtobufCMessage *(*to_stored)(const ProtobufCMessage *object, struct arena *arena);
    ProtobufCMessage *(*from_stored)(const ProtobufCMessage *stored, struct arena *arena);
    /** Instead of both, for what is measured anew for every request: the object that @usage makes
     * of @stored, NULL when it was not measured. */
    ProtobufCMessage *(*measured)(const ProtobufCMessage *stored, const struct usage *usage,
                                  struct arena *arena);
};

struct resource {
    const struct kube_kind *kind;
    const char *key; /* "pods", "leases.coordination.k8s.io": the store's name for it */
    const struct resource_storage *storage; /* NULL: rows are objects of the kind */
    unsigned verbs;
    const struct strategy *strategy; /* NULL: plain data */
    const struct subresource *subresources;
    size_t subresource_count;
    const struct table_cells *table; /* NULL: name and age */
    /** Reviews (TokenReview, SubjectAccessReview, …) are answered and not stored. NULL: stored.
     * *ret_reply and *ret_kind are preset to @object and its kind. */
    Meta__Status *(*review)(const struct strategy_context *context, ProtobufCMessage *object,
                            ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind);
};

/** True when its objects are those of another resource, with what was measured of them. */
bool resource_is_measured(const struct resource *resource);
/** All rows, ordered by group and resource as discovery shows them; made at the first call. */
const struct resource *resource_table(size_t *ret_count);
/** NULL when there is none. */
const struct resource *resource_find(const char *group, const char *version, const char *resource);
const struct resource *resource_by_key(const char *key);
const struct subresource *resource_subresource(const struct resource *resource, const char *name);
