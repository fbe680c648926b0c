/*
 * Renews the node's lease in kube-node-lease, by which the control plane knows that the node lives.
 * kube/lease_plan.h has the rules. Loop thread.
 */
#pragma once

#include "kube/api_client.h"

struct lease_keeper; /* opaque */

struct lease_keeper_options {
    const char *node_name;
    int64_t duration_s; /* nodeLeaseDurationSeconds; 0: 40 */
};

/** @client should have no rate limit and a deadline of its own; its @transport is reset when
 * renewals fail. Both are borrowed for the keeper's life. Nothing is asked yet. */
struct lease_keeper *lease_keeper_new(struct loop *loop, struct api_client *client,
                                      struct api_transport *transport,
                                      const struct lease_keeper_options *options);
/** Silence; the lease stays and runs out. NULL is fine. */
void lease_keeper_free(struct lease_keeper *keeper);
DEFINE_AUTO(lease_keeper, struct lease_keeper *, lease_keeper_free)

/** Begins, at once; nothing when it has. */
void lease_keeper_start(struct lease_keeper *keeper);

/** When the server last took a renewal (wall); 0: never. */
int64_t lease_keeper_renewed_ns(const struct lease_keeper *keeper);
/** Why the last request failed; NULL when it did not. */
const struct error *lease_keeper_error(const struct lease_keeper *keeper);
