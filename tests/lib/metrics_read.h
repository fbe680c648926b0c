/*
 * What a registry shows, for tests: one series by its family and the values of its labels.
 */
#pragma once

#include "base/buf.h"
#include "base/metrics.h"

struct metrics_read {
    const char *name, *values;
    bool has_series;
    struct metric_series series;
};

static void metrics_read_family(UNUSED void *ctx, UNUSED const struct metric_info *info) {}

static void metrics_read_series(void *ctx, const struct metric_info *info,
                                const struct metric_series *series)
{
    struct metrics_read *read = ctx;
    AUTO(buf) struct buf values;
    buf_init(&values, 4 * KiB);
    for (size_t i = 0; info->labels[i]; i++) {
        buf_add_text(&values, i > 0 ? "," : "");
        buf_add_text(&values, series->values[i]);
    }
    if (!text_eq(info->name, read->name) || !text_eq(buf_text(&values), read->values))
        return;
    read->has_series = true;
    read->series = *series;
}

static inline struct metrics_read metrics_read(struct metrics *metrics, const char *name,
                                               const char *values)
{
    struct metrics_read read = {.name = name, .values = values};
    const struct metrics_visitor visitor = {
        .family = metrics_read_family, .series = metrics_read_series, .ctx = &read};
    metrics_visit(metrics, &visitor);
    return read;
}

/** The value of the series of counter or gauge @name whose labels' values are @values, joined by
 * commas ("" without labels); -1 when there is none. */
static inline double metrics_value(struct metrics *metrics, const char *name, const char *values)
{
    struct metrics_read read = metrics_read(metrics, name, values);
    return read.has_series ? read.series.value : -1;
}

/** How often histogram @name was observed, likewise. */
static inline int64_t metrics_count(struct metrics *metrics, const char *name, const char *values)
{
    struct metrics_read read = metrics_read(metrics, name, values);
    return read.has_series ? (int64_t)read.series.count : -1;
}

/** The sum of what was observed, likewise. */
static inline double metrics_sum(struct metrics *metrics, const char *name, const char *values)
{
    struct metrics_read read = metrics_read(metrics, name, values);
    return read.has_series ? read.series.sum : -1;
}
