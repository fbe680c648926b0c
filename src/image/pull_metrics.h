/*
 * What is counted of pull records (spec server.md §5). For pull_records.c only. Loop thread.
 */
#pragma once

#include "base/metrics.h"

enum pull_metric {
    PULL_METRIC_CHECKS,
    PULL_METRIC_RECORDS_USAGE,
    PULL_METRIC_INTENTS_USAGE,
    PULL_METRIC_RECORDS_ON_DISK,
    PULL_METRIC_INTENTS_ON_DISK,
    PULL_METRIC_COUNT
};

struct pull_metrics {
    struct metric_family *families[PULL_METRIC_COUNT]; /* all NULL: nothing is counted */
};

/** @metrics may be NULL. */
void pull_metrics_init(struct pull_metrics *ret, struct metrics *metrics);
