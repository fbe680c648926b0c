#include "base/time.h"
#include "tests/lib/test.h"

#define US NS_PER_US
#define MS NS_PER_MS
#define S NS_PER_SEC
#define M (60 * S)
#define H (60 * M)

static const struct {
    int64_t ns;
    const char *text;
} canonical[] = {
    {0, "0s"},
    {1, "1ns"},
    {999, "999ns"},
    {1000, "1\xc2\xb5s"},
    {1100, "1.1\xc2\xb5s"},
    {999999, "999.999\xc2\xb5s"},
    {2200 * US, "2.2ms"},
    {100 * MS, "100ms"},
    {999999999, "999.999999ms"},
    {1 * S, "1s"},
    {1500 * MS, "1.5s"},
    {3300 * MS, "3.3s"},
    {59 * S + 999999999, "59.999999999s"},
    {80 * S, "1m20s"},
    {5 * M, "5m0s"},
    {4 * M + 5 * S + 1 * MS, "4m5.001s"},
    {1 * H, "1h0m0s"},
    {5 * H + 6 * M + 7 * S + 1 * MS, "5h6m7.001s"},
    {24 * H, "24h0m0s"},
    {8 * M + 1, "8m0.000000001s"},
    {-1, "-1ns"},
    {-1500 * MS, "-1.5s"},
    {-1 * H, "-1h0m0s"},
    {INT64_MAX, "2562047h47m16.854775807s"},
    {INT64_MIN, "-2562047h47m16.854775808s"},
};

TEST_CASE(durations_read_as_go_writes_them)
{
    char text[TIME_TEXT_SIZE];
    for (size_t i = 0; i < ARRAY_SIZE(canonical); i++)
        assert_string_equal(time_format_duration(canonical[i].ns, text), canonical[i].text);
}

TEST_CASE(what_is_written_is_read_back)
{
    for (size_t i = 0; i < ARRAY_SIZE(canonical); i++) {
        int64_t ns = 7;
        assert_no_error(time_parse_duration(str_from(canonical[i].text), &ns));
        assert_int_equal(ns, canonical[i].ns);
    }
}

TEST_CASE(every_form_that_go_reads_is_read)
{
    static const struct {
        const char *text;
        int64_t ns;
    } rows[] = {
        {"0", 0},
        {"+0", 0},
        {"-0", 0},
        {"5s", 5 * S},
        {"+5s", 5 * S},
        {"-5s", -5 * S},
        {"5.0s", 5 * S},
        {"5.s", 5 * S},
        {".5s", 500 * MS},
        {"1.004s", 1004 * MS},
        {"1.00400s", 1004 * MS},
        {"100.00100s", 100001 * MS},
        {"10us", 10 * US},
        {"11\xc2\xb5s", 11 * US},
        {"11\xce\xbcs", 11 * US},
        {"3h30m", 3 * H + 30 * M},
        {"1h15m30.918s", 1 * H + 15 * M + 30918 * MS},
        {"-1.5h", -90 * M},
        {"10.5s4m", 4 * M + 10500 * MS},
        {"1h1h", 2 * H},
        {"52763797000ns", INT64_C(52763797000)},
        {"0.3333333333333333333h", 20 * M},
        {"0.100000000000000000000h", 6 * M},
        {"0.830103483285477580700h", 49 * M + 48 * S + 372539827},
        {"9007199254740993ns", INT64_C(9007199254740993)},
        {"9223372036854775807ns", INT64_MAX},
        {"9223372036854775.807us", INT64_MAX},
        {"9223372036s854ms775us807ns", INT64_MAX},
        {"-9223372036854775808ns", INT64_MIN},
        {"-9223372036854775.808us", INT64_MIN},
        {"0000000000000000000000001s", S},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t ns = 7;
        assert_no_error(time_parse_duration(str_from(rows[i].text), &ns));
        assert_int_equal(ns, rows[i].ns);
    }
}

TEST_CASE(what_go_refuses_is_refused_with_its_words)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "time: invalid duration \"\""},
        {"-", "time: invalid duration \"-\""},
        {"+", "time: invalid duration \"+\""},
        {"s", "time: invalid duration \"s\""},
        {".", "time: invalid duration \".\""},
        {"-.", "time: invalid duration \"-.\""},
        {".s", "time: invalid duration \".s\""},
        {"+.s", "time: invalid duration \"+.s\""},
        {" 1s", "time: invalid duration \" 1s\""},
        {"--1s", "time: invalid duration \"--1s\""},
        {"3", "time: missing unit in duration \"3\""},
        {"00", "time: missing unit in duration \"00\""},
        {"1s2", "time: missing unit in duration \"1s2\""},
        {"1x", "time: unknown unit \"x\" in duration \"1x\""},
        {"1d", "time: unknown unit \"d\" in duration \"1d\""},
        {"1s ", "time: unknown unit \"s \" in duration \"1s \""},
        {"1S", "time: unknown unit \"S\" in duration \"1S\""},
        {"3000000h", "time: invalid duration \"3000000h\""},
        {"9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""},
        {"9223372036854775.808us", "time: invalid duration \"9223372036854775.808us\""},
        {"-9223372036854775809ns", "time: invalid duration \"-9223372036854775809ns\""},
        {"9223372036s854ms775us808ns", "time: invalid duration \"9223372036s854ms775us808ns\""},
        {"99999999999999999999999s", "time: invalid duration \"99999999999999999999999s\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t ns = 7;
        assert_error_message(time_parse_duration(str_from(rows[i].text), &ns), rows[i].message);
        assert_int_equal(ns, 7);
    }
    int64_t ns = 7;
    assert_error_code(time_parse_duration((struct str){.ptr = "1s\0", .len = 3}, &ns),
                      ERROR_INVALID_ARGUMENT);
    assert_error_code(time_parse_duration((struct str){0}, &ns), ERROR_INVALID_ARGUMENT);
}

TEST_MAIN(TEST(durations_read_as_go_writes_them), TEST(what_is_written_is_read_back),
          TEST(every_form_that_go_reads_is_read), TEST(what_go_refuses_is_refused_with_its_words))
