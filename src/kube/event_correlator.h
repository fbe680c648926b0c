/*
 * What becomes of an event before it is sent: a repeat changes the event that was sent before, one
 * of many similar ones is combined with them, one too many is dropped. Keeps a bounded memory of
 * what it has seen, as digests. No I/O; time is an argument. Loop thread.
 *
 * The rules and numbers are those of client-go's record package.
 */
#pragma once

#include "base/arena.h"
#include "base/base.h"

#include "core.pb-c.h"

#define EVENT_CACHE_ENTRIES 4096 /* of each kind of memory */

struct event_correlator; /* opaque */

/** @max_entries 0: EVENT_CACHE_ENTRIES. */
struct event_correlator *event_correlator_new(size_t max_entries);
void event_correlator_free(struct event_correlator *correlator); /* NULL is fine */
DEFINE_AUTO(event_correlator, struct event_correlator *, event_correlator_free)

struct event_clock {
    int64_t wall_ns; /* names combined events: should not be the same twice */
    int64_t mono_ns;
};

struct event_verdict {
    bool is_dropped;
    /* To be created; or, when there is a patch, the whole event as it is with it, to be created
     * when the one that `patch` is for is gone. Borrows from the event given. */
    const Core__Event *event;
    struct str patch; /* strategic merge patch in JSON; len 0: none */
    uint64_t key[2];  /* for event_correlator_note_stored() */
};

/** Decides about @event, whose count is 1 and whose times are now, and remembers it. The result
 * lives in @arena. */
void event_correlate(struct event_correlator *correlator, const Core__Event *event,
                     const struct event_clock *now, struct arena *arena, struct event_verdict *ret);
/** The server has @stored after what @verdict said was done: the next repeat goes on from it. */
void event_correlator_note_stored(struct event_correlator *correlator,
                                  const struct event_verdict *verdict, const Core__Event *stored);
/** Entries in memory, of all kinds. */
size_t event_correlator_entries(const struct event_correlator *correlator);
