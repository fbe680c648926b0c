/*
 * The Node object of this node: what it is registered with, how an existing one is reconciled, and
 * its status as of now, field by field in upstream's order (spec node.md §4.2-§4.3, §5). Objects
 * that are made are in one piece and borrow nothing. Pure: no clock, no I/O. Any thread.
 */
#pragma once

#include "base/buf.h"
#include "node/addresses.h"
#include "node/machine.h"

#include "core.pb-c.h"
#include "cri.pb-c.h"

/** An image the runtime has. */
struct node_image {
    const char *id;
    const char *const *names; /* digests, then tags */
    size_t n_names;
    int64_t size_bytes;
};

/** Everything the object is made of; borrowed. */
struct node_status_input {
    const struct config *config;
    const struct node_facts *facts;
    const struct node_machine *machine;
    const struct node_addresses *addresses; /* NULL: could not be found, the old ones stay */
    const char *runtime_name, *runtime_version;
    const Cri__StatusResponse *runtime; /* NULL: not known yet, handlers and features stay */
    const struct node_image *images;    /* unordered; NULL: not known yet, the old ones stay */
    size_t n_images;
    /** Ready: the texts of what keeps the node from it, in upstream's order (§7): runtime, network,
     * storage; none: ready, unless the node shuts down or has no capacity to tell. */
    const char *const *not_ready;
    size_t n_not_ready;
    bool memory_pressure, disk_pressure, pid_pressure;
    bool is_shutting_down;
    int64_t now_ns; /* wall clock */
};

/** The object that is sent to register the node, status included. In @arena. */
Core__Node *node_object_initial(const struct node_status_input *input, struct arena *arena);

/**
 * @existing as it should be when a node of this name is there already (§4.3): default labels, the
 * attach-detach annotation, extended resources zeroed (there are no device plugins whose devices
 * could be handed out), huge pages. Its status is otherwise that of @existing. A new object in
 * @arena; whether it must be sent tells node_status_has_changed().
 */
Core__Node *node_object_reconcile(const struct node_status_input *input, const Core__Node *existing,
                                  struct arena *arena);

/**
 * @node with the status as of now (and the os and architecture labels if they are wrong, and the
 * annotation with the addresses for a cloud provider). volumesInUse and what belongs to others
 * stays. A new object in @arena.
 */
Core__Node *node_status_update(const struct node_status_input *input, const Core__Node *node,
                               struct arena *arena);

/**
 * True when the two differ in labels, annotations, or more of the status than the heartbeat times:
 * it is worth sending (§5.1). As upstream, quantities are compared by value, conditions in any
 * order, nothing and an empty list are the same.
 */
bool node_status_has_changed(const Core__Node *before, const Core__Node *after);

/**
 * Appends the strategic merge patch for nodes/<name>/status that makes labels, annotations and
 * status of @after of those of @before (§5.2); "{}" when there is nothing to say. It never has a
 * resourceVersion. INVALID_ARGUMENT or RESOURCE_EXHAUSTED: an object cannot be made into a
 * document, or @out is too small.
 */
MUST_CHECK struct error *node_status_patch(const Core__Node *before, const Core__Node *after,
                                           struct buf *out);

/**
 * What happened between the two, as events on the node, in upstream's order:
 * NodeHasSufficientMemory, …, NodeReady, NodeSchedulable (§8). @before NULL: there was none, so the
 * pressure conditions are new, each of which is an event, Ready is none, and the node counts as
 * schedulable until now. An update alters no spec: who wants to know that the node was cordoned
 * compares with the object that was told of last. At most NODE_MAX_EVENTS; texts are static.
 */
#define NODE_MAX_EVENTS 8
struct node_event {
    const char *reason; /* the message is "Node <name> status is now: <reason>" */
};
size_t node_status_events(const Core__Node *before, const Core__Node *after,
                          struct node_event ret[static NODE_MAX_EVENTS]);

/** The messages of what is not ready as one: bare, or "[a, b]" without repeats. In @arena. */
const char *node_not_ready_text(const char *const *texts, size_t count, struct arena *arena);
