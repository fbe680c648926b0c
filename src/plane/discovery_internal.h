/*
 * What the two forms of discovery share. Pure. Any thread.
 */
#pragma once

#include "plane/discovery.h"

bool discovery_is_of_group(const struct resource *resource, const char *group);
bool discovery_is_of(const struct resource *resource, const char *group, const char *version);
/** True when no earlier row has this group (@by_version: this group and version). */
bool discovery_is_first(const struct resource *rows, size_t index, bool by_version);

/** The next of the verbs @among, in the order upstream shows them; NULL at the end. Begin with *at
 * 0. */
const char *discovery_next_verb(unsigned among, size_t *at);

/* --- the aggregated form (discovery_aggregated.c) --- */

/** A version of the aggregated form. */
struct discovery_aggregated {
    const char *version;      /* as the client asks for it: "v2" */
    const char *api_version;  /* as it calls itself */
    const char *content_type; /* static */
};

/** The aggregated form when the client prefers it to any plain one; else NULL. */
const struct discovery_aggregated *discovery_find_aggregated(const char *accept);
/** Appends it for the core group, or for all the others. */
void discovery_write_aggregated(struct buf *out, const struct discovery_aggregated *form,
                                bool is_core);
