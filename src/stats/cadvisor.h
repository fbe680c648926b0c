/*
 * /metrics/cadvisor (spec server.md §5.6): the records of a moment as Prometheus families, with the
 * names, labels and times a kubelet gives them. Disk times are seconds, and every disk has its
 * figures: a kubelet divides milliseconds by 10^9 and passes NVMe disks over, which nobody can
 * want. Pure; any thread that holds the records.
 */
#pragma once

#include "stats/exposition.h"
#include "stats/records.h"

/** The size @out of cadvisor_write() needs at most for @records of a usual node. */
#define CADVISOR_MAX_BYTES (64 * MiB)

/**
 * Appends the families of @records to @page, which the caller begins and ends. @now_ns (wall clock)
 * is the time of container_last_seen. @records NULL: they could not be read, which the families
 * container_scrape_error and machine_scrape_error tell.
 */
void cadvisor_write(struct exposition *page, const struct stats_records *records, int64_t now_ns);
