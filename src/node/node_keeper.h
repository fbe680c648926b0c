/*
 * This node's Node object in the API server: registers it, keeps its status true, says what
 * happened to it as events. The status is computed when something it is made of has changed (a
 * wake) and at each nodeStatusUpdateFrequency, and sent when it differs or when the report is due
 * (node/node_plan.h has the rules). Loop thread; what blocks (looking up an address) runs on the
 * pool.
 */
#pragma once

#include "kube/event_recorder.h"
#include "kube/reflector.h"
#include "loop/work.h"
#include "node/node_status.h"

struct metrics;     /* base/metrics.h */
struct node_keeper; /* opaque */

struct node_keeper_options {
    struct loop *loop;
    struct work_pool *pool;
    struct api_transport *transport; /* reset when heartbeats fail */
    struct api_client *client;       /* registration, the watch */
    struct api_client *heartbeat;    /* status: no rate limit, a deadline of its own */
    struct event_recorder *events;
    /** Fills in what the status is made of now, but addresses, config, facts and machine, which the
     * keeper has; now_ns is set already. Borrowed until the next turn of the loop. */
    void (*fill)(void *fill_ctx, struct node_status_input *input);
    void *fill_ctx;
    /* None of the three may free the keeper. */
    /** The object was seen by the watch for the first time, has changed, or is gone (NULL). */
    void (*on_node)(void *ctx, const struct kube_object *node);
    /** The watch has told what there is, even if it is nothing: once. */
    void (*on_synced)(void *ctx);
    /** The node's addresses are not those of before; borrowed for the call. May be NULL. */
    void (*on_addresses)(void *ctx, const struct node_addresses *addresses);
    /** spec.podCIDRs, joined by ",", is another; not for none. */
    void (*on_pod_cidr)(void *ctx, const char *cidrs);
    void *ctx;
    const struct config *config;
    const struct node_facts *facts;
    const struct node_machine *machine;
    struct metrics *metrics;  /* borrowed; NULL: nothing is counted */
    int64_t process_began_ns; /* mono; when this process was started, for those */
};

/** Nothing is asked before node_keeper_start(). Options are copied, what they refer to is borrowed.
 */
struct node_keeper *node_keeper_new(const struct node_keeper_options *options);
void node_keeper_free(struct node_keeper *keeper); /* silence; NULL is fine */
DEFINE_AUTO(node_keeper, struct node_keeper *, node_keeper_free)
/** Begins, with the event "Starting"; nothing when it has. */
void node_keeper_start(struct node_keeper *keeper);

/** Something the status is made of may have changed. Cheap; looked at in the next turn. A condition
 * that flips is told at once (of many, one a second), the rest with the next period. */
void node_keeper_wake(struct node_keeper *keeper);

/** The node as the watch saw it last, borrowed; NULL: not there (yet). */
const struct kube_object *node_keeper_node(const struct node_keeper *keeper);
/** True once the watch has said what there is, even nothing: pods may be asked for from then on. */
bool node_keeper_has_synced(const struct node_keeper *keeper);
/** The node as admission sees it: the newest of the one watched and what the server answered, or
 * the one that would be registered. Borrowed until the next turn. */
const Core__Node *node_keeper_best(struct node_keeper *keeper);
/** Reads the node from the server past the watch, for admission (pods.md §4.2); @on_reread runs
 * once, not before this returns, whether it could be read or not. node_keeper_best() knows what was
 * read. */
void node_keeper_reread(struct node_keeper *keeper, void (*on_reread)(void *ctx), void *ctx);

/** True while the server has the object as far as is known. */
bool node_keeper_is_registered(const struct node_keeper *keeper);
/** When the server last took a status (wall); 0: never. */
int64_t node_keeper_reported_ns(const struct node_keeper *keeper);
/** Why the last request failed; NULL when it did not. */
const struct error *node_keeper_error(const struct node_keeper *keeper);
