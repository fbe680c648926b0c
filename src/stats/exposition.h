/*
 * Writes figures in Prometheus' text format 0.0.4 or in OpenMetrics 1.0. Knows no registry: whoever
 * has figures of its own, with times of its own, writes them family by family; a registry's page is
 * metrics_page.h. Byte for byte what Prometheus' Go client writes (spec server.md §5.0). Pure. Any
 * thread.
 */
#pragma once

#include "base/buf.h"
#include "base/metrics.h"
#include "wire/gzip_stream.h"

enum exposition_format { EXPOSITION_TEXT, EXPOSITION_OPENMETRICS };

/**
 * The format for a client that sent the Accept field @accept (NULL: none). A kubelet knows the text
 * form only, and in OpenMetrics some buckets and counters have other names; so a client that takes
 * both, as Prometheus does, gets text whatever it likes better, and OpenMetrics is for one that
 * takes no text. One that takes neither gets text, as from a kubelet.
 */
enum exposition_format exposition_negotiate(const char *accept);
/** The Content-Type. Static. */
const char *exposition_content_type(enum exposition_format format);
/** True when the Accept-Encoding field (NULL: none) has gzip, or *, and does not refuse it. */
bool exposition_accepts_gzip(const char *accept_encoding);

/** A page being written; in the caller's memory, released by exposition_end(). */
struct exposition {
    struct buf *out; /* borrowed; the caller checks for overflow at the end */
    enum exposition_format format;
    const char *name; /* of the family under way */
    enum metric_type type;
    struct gzip_stream *gzip; /* owned; NULL: the page stays as it is */
    struct buf *packed;       /* borrowed like @out */
};

/** Starts a page at the end of @out. */
void exposition_init(struct exposition *page, struct buf *out, enum exposition_format format);
/** The same, but the page ends up in @packed, compressed piece by piece, so that it is never there
 * as a whole; @out is empty and holds the piece under way. */
void exposition_init_gzip(struct exposition *page, struct buf *out, struct buf *packed,
                          enum exposition_format format);

/**
 * Begins the family @name (borrowed until the next one); its samples follow. Families come in the
 * order of their names, each once. @name is the whole name, for counters with "_total"; @help is
 * shown as it is, with "[ALPHA] " and the like.
 */
void exposition_family(struct exposition *page, const char *name, const char *help,
                       enum metric_type type);

/** A label. The value may be any bytes: what is no UTF-8 is shown as U+FFFD. NULL counts as "". */
struct exposition_label {
    const char *name;
    const char *value;
};

#define EXPOSITION_NO_TIMESTAMP INT64_MIN

/** A sample of a counter or gauge; @labels in alphabetical order, NULL when @label_count is 0. */
void exposition_sample(struct exposition *page, const struct exposition_label *labels,
                       size_t label_count, double value, int64_t timestamp_ms);

struct exposition_histogram {
    const double *bounds; /* upper, ascending, without +Inf */
    size_t bound_count;
    const uint64_t *counts; /* a bucket each, not cumulative: bound_count + 1 of them */
    double sum;
    uint64_t count;
};
/** All samples of one histogram: buckets, sum, count. */
void exposition_histogram(struct exposition *page, const struct exposition_label *labels,
                          size_t label_count, const struct exposition_histogram *histogram);

/** Ends the page; every page must be ended once. One that overflowed is not whole. */
void exposition_end(struct exposition *page);

/** Appends @value as the text form has it: shortest digits that read back the same, "+Inf". */
void exposition_number(struct buf *out, double value);
