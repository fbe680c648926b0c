/*
 * What a pod asks of a node, and whether a node has it: labels, taints, host ports, resources. The
 * questions that a scheduler and a node's own admission have in common (upstream's
 * component-helpers scheduling and pkg/scheduler). Pure. Any thread.
 */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

/** The first toleration of @spec for @taint; NULL: it does not tolerate it. */
const Core__Toleration *pod_toleration_of(const Core__PodSpec *spec, const Core__Taint *taint);

/** True when labels and name of @node meet nodeSelector and the required node affinity. */
bool node_is_selected(const Core__Node *node, const Core__PodSpec *spec);
/** metadata.labels[@key], or NULL. */
const char *node_label(const Core__Node *node, const char *key);
/** status.allocatable[@name]: millis for cpu, whole units for all else; 0 when it is not there. */
int64_t node_allocatable(const Core__Node *node, const char *name, bool *ret_present);

/** One resource a pod requests: millis for cpu, whole units for all else. */
struct resource_amount {
    const char *name;
    int64_t amount;
};
struct resource_amounts {
    struct resource_amount *items;
    size_t count, capacity;
};
/** What @pod requests of every resource it names; cpu, memory and ephemeral-storage come first and
 * are always there. Lives in @arena. */
struct resource_amounts pod_requests_of(const Core__Pod *pod, struct arena *arena);
/** What it requests of @name alone. */
int64_t pod_request_of(const Core__Pod *pod, const char *name);
/** Adds to the amount of @name, which is copied when it is new. */
void resource_amounts_add(struct resource_amounts *amounts, const char *name, int64_t amount,
                          struct arena *arena);
int64_t resource_amounts_of(const struct resource_amounts *amounts, const char *name);

/** A port of the host that a pod occupies. */
struct host_port {
    const char *ip; /* "": all of the node's */
    const char *protocol;
    int32_t port;
};
struct host_ports {
    struct host_port *items;
    size_t count, capacity;
};
/** Appends those of regular containers and sidecars; the texts are copied into @arena. */
void host_ports_add(struct host_ports *ports, const Core__PodSpec *spec, struct arena *arena);
/** True when some port of the one would be in the way of the other. */
bool host_ports_conflict(const struct host_ports *a, const struct host_ports *b);
