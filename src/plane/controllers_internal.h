/*
 * Shared by the files of the controllers only: what a concern is, and what it may do. Loop thread.
 */
#pragma once

#include "plane/authz.h"
#include "plane/controllers.h"
#include "plane/object_meta.h"

#include "core.pb-c.h"

/** One look at one key, inside a task of the store. */
struct ctl_run {
    struct controllers *controllers;
    const struct rest_env *env;
    const struct plane_user *user; /* system:masters */
    const struct controllers_options *options;
    int64_t again_after_ns; /* set by a concern that must look again after a while; 0: no */
};

/** A change as concerns see it: its objects are decoded once for all of them, and only when one
 * asks. */
struct ctl_change {
    const struct store_change *row;
    struct arena *scratch; /* made by the first decoding */
    ProtobufCMessage *object, *before;
    bool is_object_decoded, is_before_decoded;
};
/** The object as it is now, or was last when it has gone. NULL when it does not decode. */
ProtobufCMessage *ctl_object(struct ctl_change *change);
/** The object that was replaced. NULL: there was none, or it does not decode. */
ProtobufCMessage *ctl_before(struct ctl_change *change);
bool ctl_is_about(const struct ctl_change *change, const char *resource);

/**
 * A concern: one thing that is kept in order. on_change() decides cheaply which keys it wants to
 * look at; reconcile() reads what is there and sets it right. A failure takes back what it wrote
 * and is tried again, later each time.
 */
struct concern {
    const char *name;
    /** A row has changed; also called for every row at the start, as STORE_CREATED. */
    void (*on_change)(struct controllers *controllers, struct ctl_change *change);
    Meta__Status *(*reconcile)(struct ctl_run *run, const struct store_key *key);
};

extern const struct concern concern_namespaces, concern_scheduling, concern_dependents,
    concern_nodes, concern_taints, concern_evictions, concern_pods, concern_signing, concern_expiry;

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

/** Looks now at what has an appointment or is under way; unknown keys are left alone. */
void ctl_hurry(struct controllers *controllers, const struct concern *concern,
               const struct store_key *key);

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
/** Calls @each with every pod of node @node; see rest_each_object(). */
MUST_CHECK Meta__Status *ctl_each_pod_on(const struct ctl_run *run, const char *node,
                                         rest_each *each, void *ctx);
/** Writes the object through @subresource (NULL: itself). */
MUST_CHECK Meta__Status *ctl_update(const struct ctl_run *run, const char *resource,
                                    const char *subresource, ProtobufCMessage *object);
/** Deletes unless it is gone. */
MUST_CHECK Meta__Status *ctl_delete(const struct ctl_run *run, const struct resource *resource,
                                    const char *namespace_, const char *name, int64_t grace_s);

/* --- events (ctl_events.c) --- */

struct ctl_event {
    const char *controller; /* "default-scheduler" */
    const char *action;     /* of events.k8s.io; NULL: told in core's old style */
    const char *type;       /* "Normal", "Warning" */
    const char *reason;
    const char *message;
};
/**
 * Tells @event about @object of core's kind @kind. What was told before is counted, at most once in
 * 5 min. What cannot be told (its namespace is going, say) is left untold.
 */
void ctl_tell(const struct ctl_run *run, const char *kind, const ProtobufCMessage *object,
              const struct ctl_event *event);
