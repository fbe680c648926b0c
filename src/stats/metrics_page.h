/*
 * A registry as a page for a scraper. Loop thread.
 */
#pragma once

#include "stats/exposition.h"

/** Writes what @metrics (NULL: nothing) shows, after having it collect, on @page, which the caller
 * begins and ends. */
void metrics_page_write(struct metrics *metrics, struct exposition *page);
