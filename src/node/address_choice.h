/*
 * Which of its addresses a node goes by (spec node.md §4.4), decided from what is known of the
 * machine's network. Pure but for the two questions of struct node_network, each asked only when
 * the answer matters: looking a name up may take seconds. Any thread.
 */
#pragma once

#include "node/addresses.h"

#include "base/str.h"

#include <net/if.h>
#include <netinet/in.h>

#define NODE_MAX_IPS 2 /* one of each family */
#define NODE_V4_ROUTES "/proc/net/route"
#define NODE_V6_ROUTES "/proc/net/ipv6_route"

/** An address of an interface. IPv4 ones are IPv4-mapped, here and everywhere in this header. */
struct node_local_address {
    char interface[IF_NAMESIZE];
    unsigned flags; /* IFF_UP, IFF_LOOPBACK, … */
    struct in6_addr address;
};

/** @v4 as an address of this header. */
struct in6_addr node_ip_of_v4(struct in_addr v4);

struct node_network;

struct node_network_vtable {
    /** Addresses of @name in the resolver's order, in @arena; 0: none, for whatever reason. */
    size_t (*lookup)(const struct node_network *self, const char *name, struct arena *arena,
                     const struct in6_addr **ret);
    /** The text of NODE_V4_ROUTES or NODE_V6_ROUTES, in @arena; false: it cannot be read. */
    bool (*routes)(const struct node_network *self, bool v6, struct arena *arena, struct str *ret);
};

/** What is known of the network; borrowed. */
struct node_network {
    const struct node_network_vtable *vtable;
    const struct node_local_address *locals; /* in the kernel's order */
    size_t n_locals;
};

/** As node_addresses_find_blocking() says. */
MUST_CHECK struct error *node_addresses_choose(const struct node_addresses_input *input,
                                               const struct node_network *network,
                                               struct arena *arena, struct node_addresses *ret);

/**
 * Takes the interface of the next default route off the front of @rest into @name. Lines that are
 * malformed, and IPv6 routes without a gateway, are passed over. False, and @name untouched, when
 * there is none left.
 */
MUST_CHECK bool node_next_default_route(struct str *rest, bool v6, char name[static IF_NAMESIZE]);
