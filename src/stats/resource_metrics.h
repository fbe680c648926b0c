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
 * Writes the families of /metrics that come from a summary of SUMMARY_FULL (spec server.md §5.2):
 * kubelet_container_log_filesystem_used_bytes, and kubelet_volume_stats_* for the volumes that have
 * a claim, of which each shows once. The caller starts and ends the page.
 */
void resource_metrics_write_storage(const struct summary *summary, struct exposition *page);
