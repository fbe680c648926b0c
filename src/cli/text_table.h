/* Columns of text, aligned as kubectl does: left, three blanks between. Pure. Any thread. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

#define TEXT_TABLE_MAX_COLUMNS 12

/** Zeroed at first; widths only grow, so rows added later still line up. */
struct text_table {
    size_t columns;
    size_t widths[TEXT_TABLE_MAX_COLUMNS];
};

/** Makes room for @cells of one row; call for all rows before the first is added. */
void text_table_measure(struct text_table *table, const char *const *cells);
/** Appends one row and a newline. */
void text_table_add(const struct text_table *table, const char *const *cells, struct buf *out);

/**
 * "73s", "5m10s", "3h2m", "47h", "3d4h", "2y": the age kubectl prints. "<invalid>" for more than a
 * second into the future. Lives in @arena.
 */
const char *text_age(int64_t age_ns, struct arena *arena);
