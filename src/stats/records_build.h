/*
 * Making records (stats/records.h): for the collector, and for tests that make them up.
 */
#pragma once

#include "base/arena.h"
#include "stats/records.h"

/**
 * A snapshot with one holder. @content tells all but the items; @items (@content->count of them,
 * put in order here) and every text live in @arena_owned, which the snapshot takes over.
 */
struct stats_records *stats_records_build(const struct stats_records *content,
                                          struct stats_record *items, struct arena *arena_owned);
