/*
 * A registry as a page for a scraper. Loop thread.
 */
#pragma once

#include "stats/exposition.h"

/** Families of a page that its registry does not hold. */
struct metrics_page_more {
    /** Writes those that sort before @name and were not written yet; NULL: all that are left. */
    void (*write_before)(void *ctx, const char *name, struct exposition *page);
    void *ctx;
};

/**
 * Writes what @metrics (NULL: nothing) shows, after having it collect, on @page, which the caller
 * begins and ends; what @more (NULL: nothing) has in its place among it, by name.
 */
void metrics_page_write(struct metrics *metrics, const struct metrics_page_more *more,
                        struct exposition *page);
