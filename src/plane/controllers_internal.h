/*
 * Shared by the files of the controllers only: what a concern is, and what it may do. Loop thread.
 */
#pragma once

#include "plane/authz.h"
#include "plane/controllers.h"
#include "plane/object_meta.h"

/** One look at one key, inside a task of the store. */
struct ctl_run {
    struct controllers *controllers;
    const struct rest_env *env;
    const struct plane_user *user; /* system:masters */
    const struct controllers_options *options;
    int64_t again_after_ns; /* set by a concern that must look again after a while; 0: no */
};

/**
 * A concern: one thing that is kept in order. on_change() decides cheaply which keys it wants to
 * look at; reconcile() reads what is there and sets it right. A failure takes back what it wrote
 * and is tried again, later each time.
 */
struct concern {
    const char *name;
    /** A row has changed; also called for every row at the start, as STORE_CREATED. */
    void (*on_change)(struct controllers *controllers, const struct store_change *change);
    Meta__Status *(*reconcile)(struct ctl_run *run, const struct store_key *key);
};

extern const struct concern concern_namespaces, concern_scheduling, concern_dependents,
    concern_nodes, concern_pods, concern_signing, concern_expiry;

/* Who depends on whom (ctl_dependents.c): from owners' uids to the keys of their dependents. */
struct dependents; /* opaque */
struct dependents *dependents_new(void);
void dependents_free(struct dependents *index);
struct dependents *ctl_dependents(struct controllers *controllers);

/** Queues a look at @key (copied), unless one is queued already. */
void ctl_enqueue(struct controllers *controllers, const struct concern *concern,
                 const struct store_key *key);
/** The same after @delay_ns; replaces an earlier appointment only by an earlier one. */
void ctl_enqueue_after(struct controllers *controllers, const struct concern *concern,
                       const struct store_key *key, int64_t delay_ns);

/** The object of @bytes in @arena, or NULL when it does not decode. */
ProtobufCMessage *ctl_decode(const struct store_change *change, struct str bytes,
                             struct arena *arena);

/** Reads an object that may be gone: *ret NULL then. */
MUST_CHECK Meta__Status *ctl_read(const struct ctl_run *run, const char *group,
                                  const char *resource, const char *namespace_, const char *name,
                                  ProtobufCMessage **ret);
/** Gives a new object its name. */
void ctl_name(ProtobufCMessage *object, const char *namespace_, const char *name,
              struct arena *arena);
/** Creates unless it is there. */
MUST_CHECK Meta__Status *ctl_ensure(const struct ctl_run *run, const char *group,
                                    const char *resource, ProtobufCMessage *object);
/** Deletes unless it is gone. */
MUST_CHECK Meta__Status *ctl_delete(const struct ctl_run *run, const struct resource *resource,
                                    const char *namespace_, const char *name, int64_t grace_s);
