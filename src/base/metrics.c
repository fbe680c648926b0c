/*
 * Families are few and looked up once by whoever counts: a sorted array. All series of all
 * families share one hash table, since a table for each would take more memory than most
 * families' figures. A series' key is its family's number and the values of its labels, each with
 * its NUL, one behind the other; they lie behind its figures in the same allocation.
 */
#include "base/metrics.h"

#include "base/buf.h"
#include "base/hash.h"

const double metrics_default_bounds[METRICS_DEFAULT_BOUND_COUNT] = {
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

struct series {
    UT_hash_handle hh;   /* in metrics.series, by `key` */
    struct series *next; /* of the family, newest first */
    char *key;           /* behind `buckets` */
    double value;        /* a histogram's is the sum of what was observed */
    uint64_t buckets[];  /* a histogram's, bound_count + 1 of them */
};

struct metric_family {
    const struct metric_info *info;
    struct metrics *metrics; /* whose it is */
    struct series *series;   /* list; owned */
    uint32_t number;
    uint32_t series_count;
};

struct collector {
    metrics_collect *collect;
    void *ctx;
    struct collector *next;
};

struct metrics {
    struct metric_family **families; /* owned, by name */
    size_t family_count;
    struct series *series;        /* hash head; the families own the series */
    struct collector *collectors; /* owned, in the order added */
    struct buf key;               /* scratch */
    uint64_t dropped;
};

struct metrics *metrics_new(void)
{
    struct metrics *metrics = xcalloc(1, sizeof(*metrics));
    buf_init(&metrics->key, METRICS_MAX_VALUES_BYTES + sizeof(uint32_t));
    return metrics;
}

static size_t label_count(const struct metric_info *info)
{
    size_t count = 0;
    while (info->labels[count])
        count++;
    return count;
}

static size_t bucket_count(const struct metric_info *info)
{
    return info->type == METRIC_HISTOGRAM ? info->bound_count + 1 : 0;
}

/* Takes @series, which is at *@link, out of its family and the table. */
static void drop_series(struct metric_family *family, struct series **link)
{
    struct series *series = *link;
    *link = series->next;
    family->series_count--;
    ASSERT(family->metrics->series); /* it holds every family's */
    HASH_DEL(family->metrics->series, series);
    free(series);
}

static void drop_all_series(struct metric_family *family)
{
    while (family->series)
        drop_series(family, &family->series);
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    for (size_t i = 0; i < metrics->family_count; i++) {
        drop_all_series(metrics->families[i]);
        free(metrics->families[i]);
    }
    free(metrics->families);
    while (metrics->collectors) {
        struct collector *collector = metrics->collectors;
        metrics->collectors = collector->next;
        free(collector);
    }
    buf_done(&metrics->key);
    free(metrics);
}

/* Writes the key of the series with @values into the registry's scratch. False when too long. */
static bool write_key(struct metric_family *family, const char *const *values)
{
    struct buf *key = &family->metrics->key;
    buf_clear(key);
    buf_add(key, &family->number, sizeof(family->number));
    for (size_t i = 0; family->info->labels[i]; i++) {
        const char *value = values[i] ? values[i] : "";
        buf_add(key, value, strlen(value) + 1);
    }
    return !key->overflowed;
}

static struct series *find_series(struct metric_family *family, const char *const *values)
{
    struct series *series = NULL;
    const struct buf *key = &family->metrics->key;
    if (write_key(family, values))
        HASH_FIND(hh, family->metrics->series, key->data, key->len, series);
    return series;
}

/* Adds the series whose key is in the scratch. */
static struct series *add_series(struct metric_family *family)
{
    const struct buf *key = &family->metrics->key;
    size_t buckets = bucket_count(family->info) * sizeof(uint64_t);
    struct series *series = xcalloc(1, sizeof(*series) + buckets + key->len);
    series->key = (char *)series->buckets + buckets;
    memcpy(series->key, key->data, key->len);
    HASH_ADD_KEYPTR(hh, family->metrics->series, series->key, key->len, series);
    LL_PREPEND(family->series, series);
    family->series_count++;
    return series;
}

/* The series with @values, made when it is not there yet; NULL when there is no room for it. */
static struct series *have_series(struct metric_family *family, const char *const *values)
{
    if (!family)
        return NULL;
    struct series *series = find_series(family, values);
    if (series)
        return series;
    size_t limit = family->info->max_series ? family->info->max_series : METRICS_MAX_SERIES;
    if (family->metrics->key.overflowed || family->series_count >= limit) {
        family->metrics->dropped++;
        return NULL;
    }
    return add_series(family);
}

/* Where the family called @name is, or would be. */
static size_t find_family(const struct metrics *metrics, const char *name)
{
    size_t low = 0, high = metrics->family_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(metrics->families[middle]->info->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct metric_family *metrics_family(struct metrics *metrics, const struct metric_info *info)
{
    if (!metrics)
        return NULL;
    size_t at = find_family(metrics, info->name);
    if (at < metrics->family_count && text_eq(metrics->families[at]->info->name, info->name))
        return metrics->families[at];

    struct metric_family *family = xcalloc(1, sizeof(*family));
    *family = (struct metric_family){
        .info = info, .metrics = metrics, .number = (uint32_t)metrics->family_count};
    size_t after = metrics->family_count - at;
    metrics->family_count++;
    metrics->families =
        xrealloc(metrics->families, metrics->family_count * sizeof(struct metric_family *));
    memmove(metrics->families + at + 1, metrics->families + at,
            after * sizeof(struct metric_family *));
    metrics->families[at] = family;
    if (label_count(info) == 0)
        (void)have_series(family, METRIC_VALUES(NULL));
    return family;
}

void metrics_families(struct metrics *metrics, const struct metric_info *infos, size_t count,
                      struct metric_family **ret)
{
    for (size_t i = 0; i < count; i++)
        ret[i] = metrics_family(metrics, &infos[i]);
}

void metrics_each_family(const struct metrics *metrics,
                         void (*each)(void *ctx, const struct metric_info *info), void *ctx)
{
    for (size_t i = 0; metrics && i < metrics->family_count; i++)
        each(ctx, metrics->families[i]->info);
}

void metric_add_values(struct metric_family *family, double by, const char *const *values)
{
    struct series *series = have_series(family, values);
    if (series)
        series->value += by;
}

void metric_set_values(struct metric_family *family, double value, const char *const *values)
{
    struct series *series = have_series(family, values);
    if (series)
        series->value = value;
}

void metric_observe_values(struct metric_family *family, double value, const char *const *values)
{
    struct series *series = have_series(family, values);
    if (!series)
        return;
    const struct metric_info *info = family->info;
    ASSERT(info->type == METRIC_HISTOGRAM);
    size_t bucket = 0;
    /* A value that is no number belongs to no bound. */
    while (bucket < info->bound_count && !(value <= info->bounds[bucket]))
        bucket++;
    series->buckets[bucket]++;
    series->value += value;
}

void metric_forget_values(struct metric_family *family, const char *const *values)
{
    const struct series *series = family ? find_series(family, values) : NULL;
    if (!series)
        return;
    struct series **link = &family->series;
    while (*link != series)
        link = &(*link)->next;
    drop_series(family, link);
}

void metric_clear(struct metric_family *family)
{
    if (!family)
        return;
    drop_all_series(family);
    if (label_count(family->info) == 0)
        (void)have_series(family, METRIC_VALUES(NULL));
}

void metrics_add_collector(struct metrics *metrics, metrics_collect *collect, void *ctx)
{
    if (!metrics)
        return;
    struct collector *collector = xcalloc(1, sizeof(*collector));
    *collector = (struct collector){.collect = collect, .ctx = ctx};
    LL_APPEND(metrics->collectors, collector);
}

void metrics_remove_collector(struct metrics *metrics, void *ctx)
{
    if (!metrics)
        return;
    struct collector **link = &metrics->collectors;
    while (*link) {
        struct collector *collector = *link;
        if (collector->ctx != ctx) {
            link = &collector->next;
            continue;
        }
        *link = collector->next;
        free(collector);
    }
}

uint64_t metrics_dropped(const struct metrics *metrics)
{
    return metrics ? metrics->dropped : 0;
}

/* Behind the family's number, which sorts nothing here, texts with their NULs sort like the list of
 * them. */
static int compare_series(const void *a, const void *b)
{
    const struct series *left = *(struct series *const *)a;
    const struct series *right = *(struct series *const *)b;
    size_t len = min_size(left->hh.keylen, right->hh.keylen);
    int order = memcmp(left->key, right->key, len);
    return order ? order
                 : (left->hh.keylen > right->hh.keylen) - (left->hh.keylen < right->hh.keylen);
}

static void show_series(const struct metric_info *info, const struct series *series,
                        const struct metrics_visitor *visitor)
{
    const char *values[METRICS_MAX_LABELS + 1] = {NULL};
    const char *value = series->key + sizeof(uint32_t);
    for (size_t i = 0; info->labels[i]; i++) {
        values[i] = value;
        value += strlen(value) + 1;
    }
    struct metric_series shown = {.values = values};
    if (info->type == METRIC_HISTOGRAM) {
        shown.bucket_counts = series->buckets;
        shown.sum = series->value;
        for (size_t i = 0; i < bucket_count(info); i++)
            shown.count += series->buckets[i];
    } else {
        shown.value = series->value;
    }
    visitor->series(visitor->ctx, info, &shown);
}

static void show_family(const struct metric_family *family, const struct metrics_visitor *visitor)
{
    if (!family->series)
        return;
    visitor->family(visitor->ctx, family->info);
    AUTO(free)
    struct series **sorted = xcalloc(family->series_count, sizeof(struct series *));
    size_t count = 0;
    for (struct series *series = family->series; series; series = series->next)
        sorted[count++] = series;
    qsort(sorted, count, sizeof(struct series *), compare_series);
    for (size_t i = 0; i < count; i++)
        show_series(family->info, sorted[i], visitor);
}

void metrics_visit(struct metrics *metrics, const struct metrics_visitor *visitor)
{
    if (!metrics)
        return;
    for (struct collector *collector = metrics->collectors; collector; collector = collector->next)
        collector->collect(collector->ctx, metrics);
    for (size_t i = 0; i < metrics->family_count; i++)
        show_family(metrics->families[i], visitor);
}
