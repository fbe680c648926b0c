/*
 * A registry as a page for a scraper. Loop thread.
 */
#pragma once

#include "stats/exposition.h"

/** Appends what @metrics (NULL: nothing) shows to @out as a whole page in @format, after having it
 * collect; the caller checks for overflow. */
void metrics_page_write(struct metrics *metrics, enum exposition_format format, struct buf *out);
