/*
 * What keeps the objects in order without being asked: namespaces get their default service account
 * and kube-root-ca.crt and are emptied when they go; dependents go with their owners; pods without
 * a node get one that has room for them; pods of a node that has gone, and finished pods beyond a
 * limit, are collected; nodes that no longer renew their lease become Unknown, their taints follow
 * their conditions, and pods leave nodes whose taints they do not tolerate; CSRs are approved and
 * signed; expired events and old CSRs go. Each looks at the state when something changed that
 * concerns it, and again after a while: an event only wakes. Loop thread; reads and writes by store
 * tasks.
 */
#pragma once

#include "loop/loop.h"
#include "plane/rest.h"

struct controllers; /* opaque */
struct pki;         /* plane/pki.h */

struct controllers_options {
    const struct plane_world *world; /* borrowed for the controllers' life */
    struct pki *pki;                 /* borrowed */
    int64_t event_ttl_ns;            /* 0: 1 h */
    int64_t node_grace_ns;           /* a lease older than this makes its node Unknown. 0: 50 s */
    size_t finished_pods_max;        /* the oldest ones beyond go. 0: 12500, as upstream */
};

struct controllers *controllers_new(struct loop *loop, struct store *store,
                                    const struct controllers_options *options);
/** Stops all in silence. NULL is fine. */
void controllers_free(struct controllers *controllers);
DEFINE_AUTO(controllers, struct controllers *, controllers_free)
