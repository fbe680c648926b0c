#include "stats/exposition.h"
#include "tests/lib/test.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <zlib.h>

#define PAGE_MAX_BYTES (64 * KiB)

TEST_CASE(a_client_that_takes_text_gets_text)
{
    static const struct {
        const char *accept;
        enum exposition_format want;
    } cases[] = {
        {NULL, EXPOSITION_TEXT},
        {"", EXPOSITION_TEXT},
        {"*/*", EXPOSITION_TEXT},
        {"text/html", EXPOSITION_TEXT},
        {"application/openmetrics-text", EXPOSITION_OPENMETRICS},
        {"application/openmetrics-text; version=1.0.0; charset=utf-8", EXPOSITION_OPENMETRICS},
        {"Application/OpenMetrics-Text;Version=1.0.0;Q=0.1, text/html", EXPOSITION_OPENMETRICS},
        {"application/openmetrics-text;version=2.0.0", EXPOSITION_TEXT},
        {"application/openmetrics-text;q=0", EXPOSITION_TEXT},
        {"application/openmetrics-text;q=0.000,text/html", EXPOSITION_TEXT},
        {"application/openmetrics-text;q=0.001", EXPOSITION_OPENMETRICS},
        {"application/openmetrics-text,text/plain;q=0", EXPOSITION_OPENMETRICS},
        {"application/openmetrics-text,text/plain;version=1.0.0", EXPOSITION_OPENMETRICS},
        {"application/openmetrics-text,text/*;q=0.1", EXPOSITION_TEXT},
        /* as Prometheus asks */
        {"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/"
         "*;q=0.2",
         EXPOSITION_TEXT},
        {",;,=;q,;=", EXPOSITION_TEXT},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        if (exposition_negotiate(cases[i].accept) != cases[i].want)
            fail_msg("Accept: %s", cases[i].accept);
    }
}

TEST_CASE(gzip_is_for_those_who_ask)
{
    static const struct {
        const char *accept_encoding;
        bool want;
    } cases[] = {
        {NULL, false},         {"", false},
        {"gzip", true},        {"deflate, GZIP;q=0.5", true},
        {"gzip;q=0", false},   {"gzip;q=0.0, *", false},
        {"*", true},           {"*;q=0", false},
        {"identity", false},   {"gzipped", false},
        {"*;q=0, gzip", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        if (exposition_accepts_gzip(cases[i].accept_encoding) != cases[i].want)
            fail_msg("Accept-Encoding: %s", cases[i].accept_encoding);
    }
}

static void assert_number(double value, const char *want)
{
    AUTO(buf) struct buf out;
    buf_init(&out, KiB);
    exposition_number(&out, value);
    assert_string_equal(buf_text(&out), want);
}

TEST_CASE(numbers_read_as_go_writes_them)
{
    static const struct {
        double value;
        const char *want;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {-1, "-1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {0.0001, "0.0001"},
        {0.00001, "1e-05"},
        {-0.00012, "-0.00012"},
        {999999, "999999"},
        {999999.5, "999999.5"},
        {-999999, "-999999"},
        {1000000, "1e+06"},
        {1234567, "1.234567e+06"},
        {1500000, "1.5e+06"},
        {500000, "500000"},
        {9007199254740991.0, "9.007199254740991e+15"}, /* 2^53 - 1, the last exact one */
        {9007199254740992.0, "9.007199254740992e+15"},
        {9007199254740994.0, "9.007199254740994e+15"},
        {9223372036854775807.0, "9.223372036854776e+18"},
        {1795230413.74, "1.79523041374e+09"},
        {100000.5, "100000.5"},
        {120, "120"},
        {1e100, "1e+100"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {5e-324, "5e-324"},
        {(double)INFINITY, "+Inf"},
        {-(double)INFINITY, "-Inf"},
        {(double)NAN, "NaN"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_number(cases[i].value, cases[i].want);
}

/* Every value and bucket that a kubelet was seen to show. */
TEST_CASE(recorded_numbers_survive_being_read_and_written)
{
    AUTO(free)
    char *path = xasprintf("%s/recorded/http/metrics.txt", getenv("CUBELET_TEST_DATA"));
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    char line[4096];
    size_t numbers = 0;
    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        char *value = strrchr(line, ' ');
        if (line[0] == '#' || !value)
            continue;
        assert_number(strtod(value + 1, NULL), value + 1);
        numbers++;
        char *bound = strstr(line, "_bucket{") ? strstr(line, ",le=\"") : NULL;
        if (!bound)
            continue;
        bound += strlen(",le=\"");
        bound[strcspn(bound, "\"")] = '\0';
        assert_number(strtod(bound, NULL), bound);
    }
    (void)fclose(file);
    assert_true(numbers > 2000);
}

static const double bounds[] = {0.005, 1, 2.5, 1e6};
static const uint64_t counts[] = {2, 0, 1, 0, 3};
static const struct exposition_label labels[] = {{"namespace", "default"},
                                                 {"pod", "a\\b\"c\nd\xff\xc3\xa9"}};

/* A page with one of each. */
static void write_page(struct buf *out, enum exposition_format format)
{
    buf_init(out, PAGE_MAX_BYTES);
    struct exposition page;
    exposition_init(&page, out, format);
    exposition_family(&page, "kubelet_evictions", "[ALPHA] Not \"total\"\\\n.", METRIC_COUNTER);
    exposition_sample(&page, labels, 1, 3, EXPOSITION_NO_TIMESTAMP);
    exposition_family(&page, "node_cpu_usage_seconds_total", "CPU.", METRIC_COUNTER);
    exposition_sample(&page, NULL, 0, 0.5, INT64_C(1795230482982));
    exposition_family(&page, "queue_depth", "Depth.", METRIC_GAUGE);
    exposition_sample(&page, labels, 2, -7, -1005);
    exposition_family(&page, "wait_seconds", "Wait.", METRIC_HISTOGRAM);
    const struct exposition_histogram histogram = {
        .bounds = bounds,
        .bound_count = ARRAY_SIZE(bounds),
        .counts = counts,
        .sum = 4000001.25,
        .count = 6,
    };
    exposition_histogram(&page, labels, 1, &histogram);
    exposition_family(&page, "empty_bytes", "Empty.", METRIC_HISTOGRAM);
    const struct exposition_histogram empty = {.bounds = NULL, .counts = counts + 1};
    exposition_histogram(&page, NULL, 0, &empty);
    exposition_end(&page);
    assert_no_error(buf_error(out, "the page"));
}

TEST_CASE(a_page_of_text)
{
    AUTO(buf) struct buf out;
    write_page(&out, EXPOSITION_TEXT);
    assert_string_equal(
        buf_text(&out),
        "# HELP kubelet_evictions [ALPHA] Not \"total\"\\\\\\n.\n"
        "# TYPE kubelet_evictions counter\n"
        "kubelet_evictions{namespace=\"default\"} 3\n"
        "# HELP node_cpu_usage_seconds_total CPU.\n"
        "# TYPE node_cpu_usage_seconds_total counter\n"
        "node_cpu_usage_seconds_total 0.5 1795230482982\n"
        "# HELP queue_depth Depth.\n"
        "# TYPE queue_depth gauge\n"
        "queue_depth{namespace=\"default\",pod=\"a\\\\b\\\"c\\nd\uFFFDé\"} -7 -1005\n"
        "# HELP wait_seconds Wait.\n"
        "# TYPE wait_seconds histogram\n"
        "wait_seconds_bucket{namespace=\"default\",le=\"0.005\"} 2\n"
        "wait_seconds_bucket{namespace=\"default\",le=\"1\"} 2\n"
        "wait_seconds_bucket{namespace=\"default\",le=\"2.5\"} 3\n"
        "wait_seconds_bucket{namespace=\"default\",le=\"1e+06\"} 3\n"
        "wait_seconds_bucket{namespace=\"default\",le=\"+Inf\"} 6\n"
        "wait_seconds_sum{namespace=\"default\"} 4.00000125e+06\n"
        "wait_seconds_count{namespace=\"default\"} 6\n"
        "# HELP empty_bytes Empty.\n"
        "# TYPE empty_bytes histogram\n"
        "empty_bytes_bucket{le=\"+Inf\"} 0\n"
        "empty_bytes_sum 0\n"
        "empty_bytes_count 0\n");
}

TEST_CASE(a_page_of_openmetrics)
{
    AUTO(buf) struct buf out;
    write_page(&out, EXPOSITION_OPENMETRICS);
    assert_string_equal(
        buf_text(&out),
        "# HELP kubelet_evictions [ALPHA] Not \\\"total\\\"\\\\\\n.\n"
        "# TYPE kubelet_evictions unknown\n"
        "kubelet_evictions{namespace=\"default\"} 3\n"
        "# HELP node_cpu_usage_seconds CPU.\n"
        "# TYPE node_cpu_usage_seconds counter\n"
        "# UNIT node_cpu_usage_seconds seconds\n"
        "node_cpu_usage_seconds_total 0.5 1795230482.982\n"
        "# HELP queue_depth Depth.\n"
        "# TYPE queue_depth gauge\n"
        "queue_depth{namespace=\"default\",pod=\"a\\\\b\\\"c\\nd\uFFFDé\"} -7 -1.005\n"
        "# HELP wait_seconds Wait.\n"
        "# TYPE wait_seconds histogram\n"
        "# UNIT wait_seconds seconds\n"
        "wait_seconds_bucket{namespace=\"default\",le=\"0.005\"} 2\n"
        "wait_seconds_bucket{namespace=\"default\",le=\"1.0\"} 2\n"
        "wait_seconds_bucket{namespace=\"default\",le=\"2.5\"} 3\n"
        "wait_seconds_bucket{namespace=\"default\",le=\"1e+06\"} 3\n"
        "wait_seconds_bucket{namespace=\"default\",le=\"+Inf\"} 6\n"
        "wait_seconds_sum{namespace=\"default\"} 4.00000125e+06\n"
        "wait_seconds_count{namespace=\"default\"} 6\n"
        "# HELP empty_bytes Empty.\n"
        "# TYPE empty_bytes histogram\n"
        "# UNIT empty_bytes bytes\n"
        "empty_bytes_bucket{le=\"+Inf\"} 0\n"
        "empty_bytes_sum 0\n"
        "empty_bytes_count 0\n"
        "# EOF\n");
}

TEST_CASE(each_format_has_its_content_type)
{
    assert_string_equal(exposition_content_type(EXPOSITION_TEXT),
                        "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
    assert_string_equal(
        exposition_content_type(EXPOSITION_OPENMETRICS),
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores");
}

static void write_many(struct exposition *page)
{
    exposition_family(page, "many", "More than a piece.", METRIC_GAUGE);
    for (int i = 0; i < 6000; i++)
        exposition_sample(page, labels, 2, i, EXPOSITION_NO_TIMESTAMP);
    exposition_end(page);
}

static void unzip(const struct buf *packed, struct buf *out)
{
    z_stream stream = {.next_in = (unsigned char *)packed->data, .avail_in = (unsigned)packed->len};
    unsigned char piece[4096];
    int result = inflateInit2(&stream, 15 + 16);
    while (result == Z_OK) {
        stream.next_out = piece;
        stream.avail_out = sizeof(piece);
        result = inflate(&stream, Z_NO_FLUSH);
        buf_add(out, piece, sizeof(piece) - stream.avail_out);
    }
    assert_int_equal(result, Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    assert_int_equal(inflateEnd(&stream), Z_OK);
}

TEST_CASE(a_compressed_page_reads_back_and_is_never_whole)
{
    static const enum exposition_format formats[] = {EXPOSITION_TEXT, EXPOSITION_OPENMETRICS};
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        AUTO(buf) struct buf want, text, packed, back;
        struct buf *const all[] = {&want, &text, &packed, &back};
        for (size_t k = 0; k < ARRAY_SIZE(all); k++)
            buf_init(all[k], MiB);
        struct exposition page;
        exposition_init(&page, &want, formats[i]);
        write_many(&page);
        exposition_init_gzip(&page, &text, &packed, formats[i]);
        write_many(&page);
        assert_no_error(buf_error(&packed, "the page"));
        unzip(&packed, &back);
        assert_true(str_eq(buf_str(&back), buf_str(&want)));
        assert_true(text.capacity < want.len / 2);
    }
}

TEST_CASE(a_compressed_page_too_large_is_told)
{
    static const size_t most[][2] = {{20, MiB}, {MiB, 20}}; /* of the piece, of the page */
    for (size_t i = 0; i < ARRAY_SIZE(most); i++) {
        AUTO(buf) struct buf text, packed;
        buf_init(&text, most[i][0]);
        buf_init(&packed, most[i][1]);
        struct exposition page;
        exposition_init_gzip(&page, &text, &packed, EXPOSITION_TEXT);
        write_many(&page);
        assert_int_equal(text.overflowed, i == 0);
        assert_int_equal(packed.overflowed, i == 1);
    }
}

TEST_CASE(a_page_too_large_is_told)
{
    AUTO(buf) struct buf out;
    buf_init(&out, 20);
    struct exposition page;
    exposition_init(&page, &out, EXPOSITION_OPENMETRICS);
    exposition_family(&page, "wait_seconds", "Wait.", METRIC_HISTOGRAM);
    const struct exposition_histogram histogram = {
        .bounds = bounds, .bound_count = ARRAY_SIZE(bounds), .counts = counts};
    exposition_histogram(&page, labels, 2, &histogram);
    exposition_end(&page);
    assert_error_code(buf_error(&out, "the page"), ERROR_RESOURCE_EXHAUSTED);
}

TEST_MAIN(TEST(a_client_that_takes_text_gets_text), TEST(gzip_is_for_those_who_ask),
          TEST(numbers_read_as_go_writes_them),
          TEST(recorded_numbers_survive_being_read_and_written), TEST(a_page_of_text),
          TEST(a_page_of_openmetrics), TEST(each_format_has_its_content_type),
          TEST(a_compressed_page_reads_back_and_is_never_whole),
          TEST(a_compressed_page_too_large_is_told), TEST(a_page_too_large_is_told))
