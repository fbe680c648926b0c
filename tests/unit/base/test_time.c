#include "base/time.h"

#include "tests/lib/test.h"

#define S NS_PER_SEC

static const struct {
    const char *text;
    int64_t ns;
} moments[] = {
    {"1970-01-01T00:00:00.000000000Z", 0},
    {"1970-01-01T00:00:00.000000001Z", 1},
    {"1969-12-31T23:59:59.999999999Z", -1},
    {"1969-12-31T23:59:59.000000000Z", -S},
    {"2000-02-29T00:00:00.000000000Z", INT64_C(951782400) * S},
    {"2000-03-01T00:00:00.000000000Z", INT64_C(951868800) * S},
    {"1900-03-01T00:00:00.000000000Z", INT64_C(-2203891200) * S},
    {"2100-02-28T23:59:59.000000000Z", INT64_C(4107542399) * S},
    {"2100-03-01T00:00:00.000000000Z", INT64_C(4107542400) * S},
    {"2026-11-21T03:24:00.000123000Z", INT64_C(1795231440) * S + 123000},
    {"2262-04-11T23:47:16.854775807Z", INT64_MAX},
    {"1677-09-21T00:12:43.145224192Z", INT64_MIN},
};

TEST_CASE(moments_are_written_and_read_back)
{
    char text[TIME_TEXT_SIZE];
    for (size_t i = 0; i < ARRAY_SIZE(moments); i++) {
        assert_string_equal(time_format_rfc3339_nano(moments[i].ns, text), moments[i].text);
        int64_t ns = 7;
        assert_no_error(time_parse_rfc3339(str_from(moments[i].text), &ns));
        assert_int_equal(ns, moments[i].ns);
    }
}

TEST_CASE(every_day_of_the_calendar_round_trips)
{
    char text[TIME_TEXT_SIZE];
    for (int64_t day = -106000; day < 106000; day += 1) {
        int64_t ns = 7, want = day * 86400 * S + 12345 * S;
        assert_no_error(time_parse_rfc3339(str_from(time_format_rfc3339(want, text)), &ns));
        if (ns != want)
            fail_msg("%s", text);
    }
}

TEST_CASE(precision_is_cut_and_never_rounded)
{
    char text[TIME_TEXT_SIZE];
    int64_t ns = INT64_C(1795231440) * S + 999999999;
    assert_string_equal(time_format_rfc3339(ns, text), "2026-11-21T03:24:00Z");
    assert_string_equal(time_format_rfc3339_micro(ns, text), "2026-11-21T03:24:00.999999Z");
    assert_string_equal(time_format_rfc3339_micro(123000, text), "1970-01-01T00:00:00.000123Z");
    assert_string_equal(time_format_rfc3339(-1, text), "1969-12-31T23:59:59Z");
    assert_string_equal(time_format_parts(0, 120000000, 2, text), "1970-01-01T00:00:00.12Z");
}

TEST_CASE(offsets_and_short_fractions_are_understood)
{
    static const struct {
        const char *text;
        int64_t ns;
    } rows[] = {
        {"1970-01-01T01:00:00+01:00", 0},
        {"1969-12-31T18:30:00-05:30", 0},
        {"1970-01-01T00:00:00+00:00", 0},
        {"1970-01-01T00:00:00-00:00", 0},
        {"1970-01-01T00:00:00.5Z", S / 2},
        {"1970-01-01T00:00:00.000001Z", 1000},
        {"1970-01-01T00:00:00.1+00:01", -60 * S + S / 10},
        {"2026-11-21T03:24:00.25+23:59", INT64_C(1795231440) * S - 86340 * S + S / 4},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t ns = 7;
        assert_no_error(time_parse_rfc3339(str_from(rows[i].text), &ns));
        assert_int_equal(ns, rows[i].ns);
    }
}

TEST_CASE(what_is_no_moment_is_refused)
{
    static const char *const rows[] = {
        "",
        "Z",
        "2026-11-21",
        "2026-11-21T03:24:00",
        "2026-11-21 03:24:00Z",
        "2026-11-21t03:24:00Z",
        "2026-11-21T03:24:00z",
        "2026-11-21T03:24Z",
        "2026-11-21T3:24:00Z",
        "2026-13-21T03:24:00Z",
        "2026-00-21T03:24:00Z",
        "2026-11-31T03:24:00Z",
        "2026-11-00T03:24:00Z",
        "2026-02-29T03:24:00Z",
        "2100-02-29T03:24:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T03:60:00Z",
        "2026-11-21T03:24:60Z",
        "2026-11-21T03:24:00.Z",
        "2026-11-21T03:24:00.1234567890Z",
        "2026-11-21T03:24:00,5Z",
        "2026-11-21T03:24:00+0100",
        "2026-11-21T03:24:00+24:00",
        "2026-11-21T03:24:00+01:60",
        "2026-11-21T03:24:00+01",
        "2026-11-21T03:24:00Zx",
        "2026-11-21T03:24:00Z ",
        " 2026-11-21T03:24:00Z",
        "+026-11-21T03:24:00Z",
        "12026-11-21T03:24:00Z",
        "2262-04-11T23:47:16.854775808Z",
        "1677-09-21T00:12:43.145224191Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t ns = 7;
        AUTO(error) struct error *err = time_parse_rfc3339(str_from(rows[i]), &ns);
        if (!error_is(err, ERROR_INVALID_ARGUMENT) || ns != 7)
            fail_msg("\"%s\"", rows[i]);
    }
    int64_t ns;
    assert_error_message(time_parse_rfc3339(STR_LITERAL("soon"), &ns),
                         "\"soon\" is not an RFC 3339 time");
    assert_error_code(time_parse_rfc3339((struct str){0}, &ns), ERROR_INVALID_ARGUMENT);
}

TEST_CASE(seconds_apart_reach_over_all_years)
{
    static const struct {
        const char *text;
        int64_t sec;
    } rows[] = {{"0000-01-01T00:00:00Z", TIME_MIN_SEC},
                {"0001-01-01T00:00:00Z", TIME_GO_ZERO_SEC},
                {"1582-10-15T00:00:00Z", INT64_C(-12219292800)},
                {"9999-12-31T23:59:59Z", TIME_MAX_SEC}};
    char text[TIME_TEXT_SIZE];
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t sec;
        int32_t nanos;
        assert_no_error(time_parse_parts(str_from(rows[i].text), &sec, &nanos));
        assert_int_equal(sec, rows[i].sec);
        assert_int_equal(nanos, 0);
        assert_string_equal(time_format_parts(sec, 0, 0, text), rows[i].text);
    }
    assert_string_equal(time_format_parts(INT64_MAX, 0, 0, text), "9999-12-31T23:59:59Z");
    assert_string_equal(time_format_parts(INT64_MIN, 0, 9, text), "0000-01-01T00:00:00.000000000Z");
}

TEST_CASE(clocks_go_forward)
{
    assert_true(time_wall_ns() > INT64_C(1600000000) * S);
    int64_t before = time_mono_ns();
    assert_true(before > 0 && time_mono_ns() >= before);
}

TEST_MAIN(TEST(moments_are_written_and_read_back), TEST(every_day_of_the_calendar_round_trips),
          TEST(precision_is_cut_and_never_rounded),
          TEST(offsets_and_short_fractions_are_understood), TEST(what_is_no_moment_is_refused),
          TEST(seconds_apart_reach_over_all_years), TEST(clocks_go_forward))
