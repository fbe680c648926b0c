/* What a registry holds, for tests: a line a series, "name{label=value,…} figure". */
#pragma once

#include "base/buf.h"
#include "base/metrics.h"
#include "tests/lib/test.h"

static inline UNUSED void metrics_text_family(UNUSED void *ctx,
                                              UNUSED const struct metric_info *info)
{
}

static inline UNUSED void metrics_text_series(void *ctx, const struct metric_info *info,
                                              const struct metric_series *series)
{
    struct buf *out = ctx;
    buf_add_text(out, info->name);
    for (size_t i = 0; info->labels[i]; i++)
        buf_printf(out, "%s%s=%s", i == 0 ? "{" : ",", info->labels[i], series->values[i]);
    buf_add_text(out, info->labels[0] ? "} " : " ");
    if (info->type == METRIC_HISTOGRAM)
        buf_printf(out, "%zu sum %g\n", (size_t)series->count, series->sum);
    else
        buf_printf(out, "%g\n", series->value);
}

/** Owned by the caller. */
static inline UNUSED char *metrics_text(struct metrics *metrics)
{
    struct buf out;
    buf_init(&out, 1 * MiB);
    metrics_visit(metrics, &(struct metrics_visitor){.family = metrics_text_family,
                                                     .series = metrics_text_series,
                                                     .ctx = &out});
    return buf_take(&out);
}
