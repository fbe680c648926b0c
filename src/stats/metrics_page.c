#include "stats/metrics_page.h"

static void write_family(void *ctx, const struct metric_info *info)
{
    exposition_family(ctx, info->name, info->help, info->type);
}

static void write_series(void *ctx, const struct metric_info *info,
                         const struct metric_series *series)
{
    struct exposition_label labels[METRICS_MAX_LABELS];
    size_t count = 0;
    for (; info->labels[count]; count++)
        labels[count] = (struct exposition_label){info->labels[count], series->values[count]};
    if (info->type != METRIC_HISTOGRAM) {
        exposition_sample(ctx, labels, count, series->value, EXPOSITION_NO_TIMESTAMP);
        return;
    }
    const struct exposition_histogram histogram = {
        .bounds = info->bounds,
        .bound_count = info->bound_count,
        .counts = series->bucket_counts,
        .sum = series->sum,
        .count = series->count,
    };
    exposition_histogram(ctx, labels, count, &histogram);
}

void metrics_page_write(struct metrics *metrics, struct exposition *page)
{
    const struct metrics_visitor visitor = {
        .family = write_family, .series = write_series, .ctx = page};
    metrics_visit(metrics, &visitor);
}
