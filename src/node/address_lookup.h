/*
 * The addresses of this node: at first those the machine knows by itself, then what a look-up on
 * the pool says, which may ask the resolver and so take long; kept until the next says otherwise.
 * Loop thread.
 */
#pragma once

#include "config/config.h"
#include "loop/work.h"
#include "node/addresses.h"

struct address_lookup; /* opaque */

/** @on_done runs after each look-up; @is_other: there are addresses, and not those of before. It
 * may not free the object. All is borrowed. */
struct address_lookup *address_lookup_new(struct work_pool *pool, const struct config *config,
                                          const char *node_name, const char *hostname,
                                          void (*on_done)(void *ctx, bool is_other), void *ctx);
void address_lookup_free(struct address_lookup *lookup); /* silence; NULL is fine */
DEFINE_AUTO(address_lookup, struct address_lookup *, address_lookup_free)

/** Begins one (@now_ns, monotonic); nothing while one is under way. */
void address_lookup_start(struct address_lookup *lookup, int64_t now_ns);
/** Begins one when what the machine knows by itself has changed, an address is gone, or the last
 * was ADDRESS_LOOKUP_PERIOD_NS ago and the resolver could say anything. Cheap otherwise: the list
 * of local addresses and two kernel files. */
#define ADDRESS_LOOKUP_PERIOD_NS (300 * NS_PER_SEC)
void address_lookup_refresh(struct address_lookup *lookup, int64_t now_ns);
/** True when a look-up would find what address_lookup_get() says: the resolver has no choice. */
bool address_lookup_is_certain(const struct address_lookup *lookup);
/** What was found last, borrowed until the next on_done; NULL: the node has none. */
const struct node_addresses *address_lookup_get(const struct address_lookup *lookup);
