/*
 * Asking nodes what is used on them. Nothing is asked before somebody wants to know, and nothing is
 * kept: each node is asked for its summary twice, a little apart, as a rate is that of the time
 * between two readings. Loop thread.
 */
#pragma once

#include "plane/node_proxy.h"
#include "plane/usage.h"

struct usage_asking; /* opaque */

/**
 * Finds the nodes there are, to be asked; those without an address are passed over. Only from a
 * store task's run(). *ret lives in the request's arena and needs no end until it is asked.
 */
MUST_CHECK Meta__Status *usage_prepare(const struct rest_env *env, struct usage_asking **ret);
/** Between the readings: a node's summary is as good as a new one for a second. */
#define USAGE_PAUSE_NS (1200 * NS_PER_MS)

/**
 * Calls @done with what the nodes have said, never from inside: @pause_ns after the first reading
 * and the time of both. A reading takes at most five seconds; nothing is known of a node that did
 * not answer. *usage lives in the arena that @asking was made in; @asking has ended by then.
 */
void usage_ask(struct usage_asking *asking, struct node_proxy *proxy, int64_t pause_ns,
               void (*done)(void *ctx, const struct usage *usage), void *ctx);
/** Ends in silence what usage_ask() began. */
void usage_asking_end(struct usage_asking *asking);
