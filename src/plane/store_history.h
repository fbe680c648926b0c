/*
 * The last changes of the store, in order, for watches that come back: a bounded queue whose
 * entries have numbers that never repeat. Bookkeeping only. Loop thread.
 */
#pragma once

#include "plane/store.h"

struct store_history; /* opaque */

/** Remembers nothing from before revision @floor. */
struct store_history *store_history_new(size_t max_events, size_t max_bytes, int64_t floor);
void store_history_free(struct store_history *history); /* NULL is fine */
DEFINE_AUTO(store_history, struct store_history *, store_history_free)

/** Appends a copy of @change, whose revision is beyond all there are. Nothing is dropped yet. */
void store_history_add(struct store_history *history, const struct store_change *change);
/** Drops the oldest entries beyond the limits. */
void store_history_trim(struct store_history *history);

/** Every change after this revision is still there. */
int64_t store_history_floor(const struct store_history *history);
/** The number of the first entry with a revision beyond @since, or of the next one to come. */
uint64_t store_history_seek(const struct store_history *history, int64_t since);
/** The entry of @number, which store_history_seek() gave or follows one that was; NULL: not there
 * yet. */
const struct store_change *store_history_at(const struct store_history *history, uint64_t number);
