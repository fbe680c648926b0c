#include "stats/metrics_page.h"

struct writing {
    struct exposition *page;
    const struct metrics_page_more *more;
};

static void write_more(const struct writing *writing, const char *name)
{
    if (writing->more)
        writing->more->write_before(writing->more->ctx, name, writing->page);
}

static void write_family(void *ctx, const struct metric_info *info)
{
    const struct writing *writing = ctx;
    write_more(writing, info->name);
    exposition_family(writing->page, info->name, info->help, info->type);
}

static void write_series(void *ctx, const struct metric_info *info,
                         const struct metric_series *series)
{
    const struct writing *writing = ctx;
    struct exposition_label labels[METRICS_MAX_LABELS];
    size_t count = 0;
    for (; info->labels[count]; count++)
        labels[count] = (struct exposition_label){info->labels[count], series->values[count]};
    if (info->type != METRIC_HISTOGRAM) {
        exposition_sample(writing->page, labels, count, series->value, EXPOSITION_NO_TIMESTAMP);
        return;
    }
    const struct exposition_histogram histogram = {
        .bounds = info->bounds,
        .bound_count = info->bound_count,
        .counts = series->bucket_counts,
        .sum = series->sum,
        .count = series->count,
    };
    exposition_histogram(writing->page, labels, count, &histogram);
}

void metrics_page_write(struct metrics *metrics, const struct metrics_page_more *more,
                        struct exposition *page)
{
    struct writing writing = {.page = page, .more = more};
    const struct metrics_visitor visitor = {
        .family = write_family, .series = write_series, .ctx = &writing};
    metrics_visit(metrics, &visitor);
    write_more(&writing, NULL);
}
