/*
 * Figures of the running process: counters, gauges and histograms with labels, in families. A
 * family is described once, as a constant, where it is counted; whoever has no registry counts
 * nothing (NULL is fine everywhere). A family with labels shows a series from its first value on,
 * one without shows 0 from the start. Memory is bounded: a family that has METRICS_MAX_SERIES label
 * combinations, or as many as its description allows, drops further ones, and values longer than
 * METRICS_MAX_VALUES_BYTES together. No text format here: stats/metrics_page.h writes it. Loop
 * thread.
 */
#pragma once

#include "base/base.h"

#define METRICS_MAX_LABELS 9
#define METRICS_MAX_SERIES 2048
#define METRICS_MAX_VALUES_BYTES (4 * KiB)

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/** What a family is; constant and borrowed for ever. */
struct metric_info {
    const char *name;
    const char *help; /* as shown, with "[ALPHA] " and the like */
    enum metric_type type;
    const char *labels[METRICS_MAX_LABELS + 1]; /* names, NULL-terminated, in alphabetical order */
    const double *bounds; /* METRIC_HISTOGRAM: upper bounds, ascending, without +Inf */
    size_t bound_count;
    size_t max_series; /* 0: METRICS_MAX_SERIES; more for those of things that are few themselves */
};

struct metrics;       /* opaque: the registry, one per process */
struct metric_family; /* opaque; belongs to its registry */

/** Buckets that Prometheus' clients have by default: .005 to 10 s. */
#define METRICS_DEFAULT_BOUND_COUNT 11
extern const double metrics_default_bounds[METRICS_DEFAULT_BOUND_COUNT];
/** For the description of a histogram: those buckets, or an array's. */
#define METRIC_DEFAULT_BOUNDS                                                                      \
    .bounds = metrics_default_bounds, .bound_count = METRICS_DEFAULT_BOUND_COUNT
#define METRIC_BOUNDS(array) .bounds = (array), .bound_count = ARRAY_SIZE(array)

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics); /* NULL is fine */
DEFINE_AUTO(metrics, struct metrics *, metrics_free)

/**
 * The family called @info->name, made from @info when it is not there yet. NULL when @metrics is
 * NULL. Lives as long as the registry.
 */
struct metric_family *metrics_family(struct metrics *metrics, const struct metric_info *info);
/** The same for each of the @count @infos, in their order. */
void metrics_families(struct metrics *metrics, const struct metric_info *infos, size_t count,
                      struct metric_family **ret);
/** Calls @each for every family, by name, also for one that shows nothing. */
void metrics_each_family(const struct metrics *metrics,
                         void (*each)(void *ctx, const struct metric_info *info), void *ctx);

/*
 * Counting. @values are the labels' values in the order of the family's labels (one that is NULL
 * counts as ""); copied. The macros below spell them as arguments. A NULL @family counts nothing.
 */
void metric_add_values(struct metric_family *family, double by, const char *const *values);
void metric_set_values(struct metric_family *family, double value, const char *const *values);
void metric_observe_values(struct metric_family *family, double value, const char *const *values);
/** Forgets one series. */
void metric_forget_values(struct metric_family *family, const char *const *values);
/** Forgets every series, e.g. before all are set anew; a family without labels is back at 0. */
void metric_clear(struct metric_family *family);

#define METRIC_VALUES(...) ((const char *const[METRICS_MAX_LABELS + 1]){__VA_ARGS__})
/** metric_add(family, 1, "create_container"): the label values follow; NULL for none. */
#define metric_add(family, by, ...) metric_add_values(family, by, METRIC_VALUES(__VA_ARGS__))
#define metric_set(family, value, ...) metric_set_values(family, value, METRIC_VALUES(__VA_ARGS__))
#define metric_observe(family, value, ...)                                                         \
    metric_observe_values(family, value, METRIC_VALUES(__VA_ARGS__))

/** One series as a visitor sees it; borrowed for the visit. */
struct metric_series {
    const char *const *values;     /* of the labels, as many as the family has */
    double value;                  /* counter, gauge */
    const uint64_t *bucket_counts; /* histogram: not cumulative, bound_count + 1 of them */
    double sum;
    uint64_t count;
};

/** Runs before each visit: sets what is only known when asked. */
typedef void metrics_collect(void *ctx, struct metrics *metrics);
/** Adds a collector, to be run in the order added; taken away with metrics_remove_collector(). */
void metrics_add_collector(struct metrics *metrics, metrics_collect *collect, void *ctx);
void metrics_remove_collector(struct metrics *metrics, void *ctx);

/** Values that were dropped because their family or its labels had grown too large. */
uint64_t metrics_dropped(const struct metrics *metrics);

struct metrics_visitor {
    void (*family)(void *ctx, const struct metric_info *info);
    void (*series)(void *ctx, const struct metric_info *info, const struct metric_series *series);
    void *ctx;
};
/**
 * Collects, then shows every family that has series, by name; its series by label values. A NULL
 * @metrics shows nothing. The visitor changes no figure.
 */
void metrics_visit(struct metrics *metrics, const struct metrics_visitor *visitor);
