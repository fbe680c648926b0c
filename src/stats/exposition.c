#include "stats/exposition.h"

#include "wire/doc.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <strings.h>

#define TOTAL "_total"
#define PIECE_BYTES (64 * KiB) /* what is compressed at a time */

/* Negotiation. */

struct range {
    struct str name;    /* a media range or a content coding */
    struct str version; /* empty when there is none */
    bool is_refused;    /* q=0 */
};

static bool equals_ignoring_case(struct str text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.ptr, word, text.len) == 0;
}

/* A weight of 0 refuses: "0", "0.", "0.0", up to three digits; more are as good as any. */
static bool is_zero_weight(struct str value)
{
    if (value.len == 0 || value.ptr[0] != '0')
        return false;
    for (size_t i = 1; i < value.len; i++) {
        if (value.ptr[i] != '0' && value.ptr[i] != '.')
            return false;
    }
    return true;
}

/* Takes the next element off the comma-separated @rest. Quoted commas occur in no field of ours. */
static bool next_range(struct str *rest, struct range *ret)
{
    struct str element, part;
    if (!str_split_next(rest, ',', &element))
        return false;
    *ret = (struct range){0};
    if (str_split_next(&element, ';', &part))
        ret->name = str_trim(part);
    while (str_split_next(&element, ';', &part)) {
        struct str key = {0};
        if (!str_split_next(&part, '=', &key))
            continue;
        struct str value = str_trim(part);
        key = str_trim(key);
        if (equals_ignoring_case(key, "q"))
            ret->is_refused = is_zero_weight(value);
        else if (equals_ignoring_case(key, "version"))
            ret->version = value;
    }
    return true;
}

static bool is_text(const struct range *range)
{
    if (equals_ignoring_case(range->name, "text/plain"))
        return range->version.len == 0 || str_eq_c(range->version, "0.0.4");
    return equals_ignoring_case(range->name, "text/*") || equals_ignoring_case(range->name, "*/*");
}

static bool is_openmetrics(const struct range *range)
{
    return equals_ignoring_case(range->name, "application/openmetrics-text") &&
           (range->version.len == 0 || str_eq_c(range->version, "1.0.0"));
}

enum exposition_format exposition_negotiate(const char *accept)
{
    struct str rest = str_from(accept);
    struct range range;
    bool takes_openmetrics = false;
    while (next_range(&rest, &range)) {
        if (range.is_refused)
            continue;
        if (is_text(&range))
            return EXPOSITION_TEXT;
        takes_openmetrics |= is_openmetrics(&range);
    }
    return takes_openmetrics ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT;
}

const char *exposition_content_type(enum exposition_format format)
{
    switch (format) {
    case EXPOSITION_TEXT:
        return "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
    case EXPOSITION_OPENMETRICS:
        return "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores";
    }
    ASSERT(!"a format outside the enum");
    return NULL;
}

bool exposition_accepts_gzip(const char *accept_encoding)
{
    struct str rest = str_from(accept_encoding);
    struct range range;
    bool takes_any = false;
    while (next_range(&rest, &range)) {
        if (equals_ignoring_case(range.name, "gzip"))
            return !range.is_refused;
        if (equals_ignoring_case(range.name, "*"))
            takes_any = !range.is_refused;
    }
    return takes_any;
}

/* Numbers. */

/* The fewest digits after the first that read back as @value. Fifteen digits survive the way into a
 * double and back, so fewer need not be tried: they show as zeros at the end. Only subnormals have
 * less precision than that. */
static void shortest_digits(double value, char text[static 32])
{
    bool is_subnormal = fabs(value) < DBL_MIN;
    for (int digits = is_subnormal ? 0 : 14; digits <= 16; digits++) {
        (void)snprintf(text, 32, "%.*e", digits, value);
        if (strtod(text, NULL) == value)
            return;
    }
}

/* Takes "d.ddde±xx" apart: the digits without trailing zeros, their count and the exponent. */
static size_t take_apart(const char *text, char digits[static 32], int *ret_exponent)
{
    size_t count = 0;
    for (; *text != 'e'; text++) {
        if (*text != '.')
            digits[count++] = *text;
    }
    while (count > 1 && digits[count - 1] == '0')
        count--;
    int64_t exponent = 0;
    bool is_whole = parse_i64(text + 2, 0, 999, &exponent);
    ASSERT(is_whole);
    *ret_exponent = (int)(text[1] == '-' ? -exponent : exponent);
    return count;
}

/* Writes the digits of @number to the end of @text; returns where they begin. */
static size_t decimal(uint64_t number, char text[static 32])
{
    size_t at = 32;
    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return at;
}

/* Up to 2^53 every whole number is a double of its own, so that none of its digits can be spared
 * but zeros at the end. Nearly all figures are such numbers; this is far cheaper than trying. */
#define MAX_EXACT_WHOLE 9007199254740992.0
static size_t whole_digits(uint64_t number, char digits[static 32], int *ret_exponent)
{
    char text[32];
    size_t at = decimal(number, text), count = sizeof(text) - at;
    memcpy(digits, text + at, count);
    *ret_exponent = (int)count - 1;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    return count;
}

static size_t fewest_digits(double size, char digits[static 32], int *ret_exponent)
{
    if (size < MAX_EXACT_WHOLE && size == (double)(uint64_t)size)
        return whole_digits((uint64_t)size, digits, ret_exponent);
    char text[32];
    shortest_digits(size, text);
    return take_apart(text, digits, ret_exponent);
}

/* Go's %g with the shortest precision: an exponent, of two digits at least, from 10^6 on and below
 * 10^-4. */
static void add_finite(struct buf *out, double value)
{
    char digits[32];
    int exponent;
    size_t count = fewest_digits(fabs(value), digits, &exponent);

    if (signbit(value))
        buf_add_char(out, '-');
    if (exponent < -4 || exponent >= 6) {
        buf_add(out, digits, 1);
        if (count > 1) {
            buf_add_char(out, '.');
            buf_add(out, digits + 1, count - 1);
        }
        buf_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (exponent < 0) {
        buf_add(out, "0.000", (size_t)(1 - exponent));
        buf_add(out, digits, count);
        return;
    }
    size_t whole = (size_t)exponent + 1;
    for (size_t i = count; i < whole; i++)
        digits[i] = '0';
    buf_add(out, digits, whole);
    if (count > whole) {
        buf_add_char(out, '.');
        buf_add(out, digits + whole, count - whole);
    }
}

void exposition_number(struct buf *out, double value)
{
    if (isnan(value))
        buf_add_text(out, "NaN");
    else if (isinf(value))
        buf_add_text(out, value < 0 ? "-Inf" : "+Inf");
    else
        add_finite(out, value);
}

/* Families and samples. */

/* How many bytes from @at on are written as they are, whatever the format: nearly all. */
static size_t plain_length(const unsigned char *at, size_t left)
{
    size_t len = 0;
    while (len < left && at[len] >= ' ' && at[len] < 0x7f && at[len] != '\\' && at[len] != '"')
        len++;
    return len;
}

static void add_escaped(struct buf *out, const char *text, bool escapes_quotes)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t left = strlen(text);
    while (left > 0) {
        size_t len = plain_length(at, left);
        if (len == 0)
            len = doc_utf8_length(at, left);
        if (len == 0)
            buf_add_text(out, "\uFFFD");
        else if (*at == '\\')
            buf_add_text(out, "\\\\");
        else if (*at == '\n')
            buf_add_text(out, "\\n");
        else if (*at == '"' && escapes_quotes)
            buf_add_text(out, "\\\"");
        else
            buf_add(out, at, len);
        len = len ? len : 1;
        at += len;
        left -= len;
    }
}

static bool is_openmetrics_page(const struct exposition *page)
{
    return page->format == EXPOSITION_OPENMETRICS;
}

void exposition_init(struct exposition *page, struct buf *out, enum exposition_format format)
{
    *page = (struct exposition){.out = out, .format = format};
}

void exposition_init_gzip(struct exposition *page, struct buf *out, struct buf *packed,
                          enum exposition_format format)
{
    exposition_init(page, out, format);
    page->gzip = gzip_stream_new();
    page->packed = packed;
}

/* At the begin of a line. */
static void pack(struct exposition *page)
{
    if (page->out->overflowed)
        return;
    gzip_stream_add(page->gzip, buf_str(page->out), page->packed);
    buf_clear(page->out);
}

/* OpenMetrics wants counters to end in _total and names their family without it; a counter of
 * another name keeps that as one of unknown type. */
static const char *type_name(const struct exposition *page)
{
    switch (page->type) {
    case METRIC_COUNTER:
        return is_openmetrics_page(page) && !text_has_suffix(page->name, TOTAL) ? "unknown"
                                                                                : "counter";
    case METRIC_GAUGE:
        return "gauge";
    case METRIC_HISTOGRAM:
        return "histogram";
    }
    ASSERT(!"a type outside the enum");
    return NULL;
}

static void add_comment(struct exposition *page, const char *keyword, struct str family)
{
    buf_printf(page->out, "# %s ", keyword);
    buf_add_str(page->out, family);
    buf_add_char(page->out, ' ');
}

static const char *const units[] = {"seconds", "milliseconds", "bytes"};

static void add_unit(struct exposition *page, struct str family)
{
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        size_t len = strlen(units[i]);
        if (family.len > len && str_has_suffix(family, units[i]) &&
            family.ptr[family.len - len - 1] == '_') {
            add_comment(page, "UNIT", family);
            buf_add_text(page->out, units[i]);
            buf_add_char(page->out, '\n');
            return;
        }
    }
}

void exposition_family(struct exposition *page, const char *name, const char *help,
                       enum metric_type type)
{
    page->name = name;
    page->type = type;
    struct str family = str_from(name);
    bool is_open = is_openmetrics_page(page);
    if (is_open && type == METRIC_COUNTER && str_has_suffix(family, TOTAL))
        family.len -= strlen(TOTAL);
    add_comment(page, "HELP", family);
    add_escaped(page->out, help, is_open);
    buf_add_char(page->out, '\n');
    add_comment(page, "TYPE", family);
    buf_add_text(page->out, type_name(page));
    buf_add_char(page->out, '\n');
    if (is_open)
        add_unit(page, family);
}

/* OpenMetrics tells a whole number that is no integer by ".0". */
static void add_bound(struct exposition *page, double bound)
{
    size_t start = page->out->len;
    exposition_number(page->out, bound);
    if (is_openmetrics_page(page) && isfinite(bound) && page->out->len > start &&
        strpbrk(page->out->data + start, ".e") == NULL)
        buf_add_text(page->out, ".0");
}

/* The name with @suffix and the labels in braces; @bound, unless NULL, is one more label. */
static void add_series(struct exposition *page, const char *suffix,
                       const struct exposition_label *labels, size_t label_count,
                       const double *bound)
{
    struct buf *out = page->out;
    if (page->gzip && out->len >= PIECE_BYTES)
        pack(page);
    buf_add_text(out, page->name);
    buf_add_text(out, suffix);
    char separator = '{';
    for (size_t i = 0; i < label_count; i++) {
        buf_add_char(out, separator);
        buf_add_text(out, labels[i].name);
        buf_add_text(out, "=\"");
        add_escaped(out, labels[i].value ? labels[i].value : "", true);
        buf_add_char(out, '"');
        separator = ',';
    }
    if (bound) {
        buf_add_char(out, separator);
        buf_add_text(out, "le=\"");
        add_bound(page, *bound);
        buf_add_char(out, '"');
    }
    if (label_count > 0 || bound)
        buf_add_char(out, '}');
    buf_add_char(out, ' ');
}

static void add_decimal(struct buf *out, uint64_t number)
{
    char text[32];
    size_t at = decimal(number, text);
    buf_add(out, text + at, sizeof(text) - at);
}

static void add_timestamp(struct exposition *page, int64_t timestamp_ms)
{
    if (timestamp_ms == EXPOSITION_NO_TIMESTAMP)
        return;
    uint64_t size = timestamp_ms < 0 ? 0 - (uint64_t)timestamp_ms : (uint64_t)timestamp_ms;
    if (!is_openmetrics_page(page)) {
        buf_add_text(page->out, timestamp_ms < 0 ? " -" : " ");
        add_decimal(page->out, size);
        return;
    }
    buf_printf(page->out, " %s%" PRIu64 ".%03u", timestamp_ms < 0 ? "-" : "", size / 1000,
               (unsigned)(size % 1000));
}

void exposition_sample(struct exposition *page, const struct exposition_label *labels,
                       size_t label_count, double value, int64_t timestamp_ms)
{
    add_series(page, "", labels, label_count, NULL);
    exposition_number(page->out, value);
    add_timestamp(page, timestamp_ms);
    buf_add_char(page->out, '\n');
}

static void add_count(struct exposition *page, uint64_t count)
{
    if (is_openmetrics_page(page))
        buf_printf(page->out, "%" PRIu64, count);
    else
        exposition_number(page->out, (double)count);
    buf_add_char(page->out, '\n');
}

void exposition_histogram(struct exposition *page, const struct exposition_label *labels,
                          size_t label_count, const struct exposition_histogram *histogram)
{
    uint64_t below = 0;
    for (size_t i = 0; i <= histogram->bound_count; i++) {
        double bound = i < histogram->bound_count ? histogram->bounds[i] : (double)INFINITY;
        below += histogram->counts[i];
        add_series(page, "_bucket", labels, label_count, &bound);
        add_count(page, below);
    }
    add_series(page, "_sum", labels, label_count, NULL);
    exposition_number(page->out, histogram->sum);
    buf_add_char(page->out, '\n');
    add_series(page, "_count", labels, label_count, NULL);
    add_count(page, histogram->count);
}

void exposition_end(struct exposition *page)
{
    if (is_openmetrics_page(page))
        buf_add_text(page->out, "# EOF\n");
    if (!page->gzip)
        return;
    pack(page);
    gzip_stream_finish(page->gzip, page->packed);
    gzip_stream_free(TAKE(page->gzip));
}
