/*
 * status.addresses of this node (spec node.md §4.4): --node-ip, the host's name, its default route.
 * Blocking: kernel files, and for a host name that resolves, the resolver. On a worker or at
 * start-up.
 */
#pragma once

#include "base/arena.h"

#define NODE_MAX_ADDRESSES 3

struct node_address {
    const char *type; /* "InternalIP", "Hostname" */
    const char *address;
};
struct node_addresses {
    size_t count;
    struct node_address items[NODE_MAX_ADDRESSES]; /* in the order of the status */
    bool is_certain; /* found without the resolver, which could not say anything else */
};

struct node_addresses_input {
    const char *const *node_ips; /* --node-ip, checked; NULL-terminated */
    const char *hostname;        /* as the status shows it */
    const char *node_name;       /* what is looked up */
    bool is_quick; /* the resolver, which may wait for a network, is left out; then this never
                      blocks */
};

/** Texts live in @arena. Errors are upstream's: "failed to validate nodeIP: …", "can't get ip
 * address of node X. error: …"; the addresses stay as they were then. */
MUST_CHECK struct error *node_addresses_find_blocking(const struct node_addresses_input *input,
                                                      struct arena *arena,
                                                      struct node_addresses *ret);
