/*
 * What nodes and the containers of pods use, taken from the summaries of their nodes (spec
 * server.md §4, GET /stats/summary). Pure. Any thread.
 */
#pragma once

#include "base/arena.h"

/* A node with 1,000 containers says 0.5 MB. */
#define USAGE_SUMMARY_MAX_BYTES (16 * MiB)

struct usage; /* opaque */

/** Time and window are those of CPU: a mean over @window_ns that ends at @taken_wall_ns. */
struct usage_figures {
    int64_t nano_cores; /* never negative, as all of these */
    int64_t bytes;      /* of memory: the working set */
    int64_t taken_wall_ns;
    int64_t window_ns;
};

struct usage_container {
    const char *name;
    struct usage_figures figures;
};

/** Nothing is known in it. It lives in @arena, as all that it gives. */
struct usage *usage_new(struct arena *arena);
/**
 * Takes in what the node called @node says of itself and its pods; @window_ns is the time over
 * which it has taken the mean. What lacks a figure is left out. INVALID_ARGUMENT for a text that is
 * no summary, of which nothing is taken in then, RESOURCE_EXHAUSTED for a longer one than the limit
 * above.
 */
MUST_CHECK struct error *usage_add_summary(struct usage *usage, const char *node, struct str text,
                                           int64_t window_ns);

/** False when nothing is known of the node. */
MUST_CHECK bool usage_of_node(const struct usage *usage, const char *node,
                              struct usage_figures *ret);
/** The containers of a pod, in the node's order, and how many there are; 0: nothing is known. */
size_t usage_of_pod(const struct usage *usage, const char *namespace_, const char *name,
                    const struct usage_container **ret);
