/*
 * A summary's figures as Prometheus' families: the page /metrics/resource, and those that /metrics
 * shows of volumes and logs. Pure. Any thread.
 */
#pragma once

#include "stats/exposition.h"
#include "stats/summary.h"

/**
 * Writes the families of /metrics/resource (spec server.md §5.3) from a summary of
 * SUMMARY_CPU_AND_MEMORY, each sample with the time it was taken at. @summary NULL: there is none,
 * which resource_scrape_error tells and nothing else. A figure that is missing has no sample. The
 * caller starts and ends the page.
 */
void resource_metrics_write(const struct summary *summary, struct exposition *page);

/**
 * The families of /metrics that come from a summary of SUMMARY_FULL (spec server.md §5.2), on their
 * way to a page: kubelet_container_log_filesystem_used_bytes, and kubelet_volume_stats_* for the
 * volumes that have a claim, of which each shows once.
 */
struct storage_families; /* opaque */

/** Those of @summary, borrowed. */
struct storage_families *storage_families_new(const struct summary *summary);
void storage_families_free(struct storage_families *families); /* NULL is fine */
DEFINE_AUTO(storage_families, struct storage_families *, storage_families_free)

/** As metrics_page_more.write_before, with the families for context. */
void storage_families_write_before(void *families, const char *name, struct exposition *page);
