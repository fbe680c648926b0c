#include "kube/quantity.h"
#include "tests/lib/test.h"

static Meta__Quantity quantity_of(const char *text)
{
    Meta__Quantity quantity = META__QUANTITY__INIT;
    quantity.string = (char *)(uintptr_t)text;
    return quantity;
}

TEST_CASE(canonical_text_is_that_of_the_api_server)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"0", "0"},
        {"0.0", "0"},
        {"00Mi", "0"},
        {"-0", "0"},
        {"+", "0"}, /* upstream reads it so */
        {"1", "1"},
        {"100m", "100m"},
        {"0.5", "500m"},
        {".5", "500m"},
        {"5.", "5."},
        {"1.5", "1500m"},
        {"0.1", "100m"},
        {"1000m", "1"},
        {"1000", "1k"},
        {"1024", "1024"},
        {"10000", "10k"},
        {"1234567", "1234567"},
        {"1024Mi", "1Gi"},
        {"1536Mi", "1536Mi"},
        {"1.5Gi", "1536Mi"},
        {"1.1Gi", "1181116006400m"},
        {"0.5Ki", "512"},
        {"0.5Mi", "512Ki"},
        {"1023", "1023"},
        {"0.01Ki", "10240m"},
        {"8Mi", "8Mi"},
        {"-1.5", "-1500m"},
        {"-1024Ki", "-1Mi"},
        {"1e3", "1e3"},
        {"1E3", "1E3"},
        {"1e4", "10e3"},
        {"100e1", "1e3"},
        {"1000e0", "1e3"},
        {"12e6", "12e6"},
        {"1e-3", "1e-3"},
        {"1E", "1E"},
        {"1000E", "1000E"},
        {"12E18", "12E18"},
        {"0.1n", "1n"},
        {"1.0000000001", "1000000001n"},
        {"1e-100", "1e-9"},
        {"1e100", "10e99"},
        {"5u", "5u"},
        {"1.500", "1.500"}, /* upstream keeps these texts */
        {"+1", "+1"},
        {"010", "010"},
        {"2.000", "2"},
        {"9223372036854775807", "9223372036854775807"},
        {"9223372036854775808", "9223372036854775808"},
        {"123456789012345678901234567890", "123456789012345678901234567890"},
        {"8Ei", "9223372036854775807"}, /* the binary cap */
        {"7Ei", "7Ei"},
        {"1Pi", "1Pi"},
        {"1024Pi", "1Ei"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *have = quantity_canonical(rows[i].text, arena);
        if (!text_eq(have, rows[i].want))
            fail_msg("%s: want %s, have %s", rows[i].text, rows[i].want, have);
        assert_string_equal(quantity_canonical(have, arena), have);
    }
}

TEST_CASE(text_that_is_no_quantity_is_refused_in_upstream_words)
{
    static const char format[] = "quantities must match the regular expression "
                                 "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
    static const char suffix[] = "unable to parse quantity's suffix";
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", format},        {" 1", format},    {"1 ", format},     {"1 0", format},
        {"aoeu", format},    {"1.1.M", format}, {"1+1.0M", format}, {"0.1mi", suffix},
        {"0.1am", format},   {".5i", suffix},   {"1i", suffix},     {"-3.01i", suffix},
        {"-3.01e-", suffix}, {"1b", format},    {"1Kii", suffix},   {"1e999999999", suffix},
        {"--1", suffix},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_error_message(quantity_check(str_from(rows[i].text)), rows[i].want);

    char digits[300];
    memset(digits, '1', sizeof(digits));
    assert_error_message(quantity_check((struct str){.ptr = digits, .len = sizeof(digits)}),
                         "unable to parse numeric part of quantity");
    AUTO(arena) struct arena *arena = arena_new(0);
    assert_null(quantity_canonical("five", arena));
    assert_null(quantity_canonical(NULL, arena));
}

TEST_CASE(values_round_away_from_zero_and_saturate)
{
    static const struct {
        const char *text;
        int64_t value, millis;
    } rows[] = {
        {"0", 0, 0},
        {"1", 1, 1000},
        {"100m", 1, 100},
        {"1500m", 2, 1500},
        {"-1500m", -2, -1500},
        {"1u", 1, 1},
        {"1n", 1, 1},
        {"-1n", -1, -1},
        {"1001u", 1, 2},
        {"64Mi", 67108864, 67108864000},
        {"1.1Gi", 1181116007, 1181116006400},
        {"1k", 1000, 1000000},
        {"8Ei", INT64_MAX, INT64_MAX},
        {"1e30", INT64_MAX, INT64_MAX},
        {"-1e30", INT64_MIN, INT64_MIN},
        {"9223372036854775807", INT64_MAX, INT64_MAX},
        {"9223372036854775", 9223372036854775, 9223372036854775000},
        {"9223372036854776", 9223372036854776, INT64_MAX},
        {"1e99999999", INT64_MAX, INT64_MAX},
        {"rubbish", 0, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        Meta__Quantity quantity = quantity_of(rows[i].text);
        if (quantity_value(&quantity) != rows[i].value ||
            quantity_milli_value(&quantity) != rows[i].millis)
            fail_msg("%s: value %lld, millis %lld", rows[i].text,
                     (long long)quantity_value(&quantity),
                     (long long)quantity_milli_value(&quantity));
    }
    assert_int_equal(quantity_value(NULL), 0);
    assert_int_equal(quantity_milli_value(NULL), 0);
}

TEST_CASE(comparison_is_exact_beyond_int64)
{
    static const struct {
        const char *a, *b;
        int want;
    } rows[] = {
        {"1", "1000m", 0},
        {"1Ki", "1024", 0},
        {"1Gi", "1G", 1},
        {"0", "-0", 0},
        {"-1", "0", -1},
        {"-2", "-1", -1},
        {"1n", "0", 1},
        {"1e40", "1e41", -1},
        {"1e99999999", "1e99999998", 1},
        {"10000000000000000000000000000000000000001", "1e40", 1},
        {"9223372036854775807", "9223372036854775808", -1},
        {"0.000000001", "1n", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        Meta__Quantity a = quantity_of(rows[i].a), b = quantity_of(rows[i].b);
        if (quantity_compare(&a, &b) != rows[i].want || quantity_compare(&b, &a) != -rows[i].want)
            fail_msg("%s against %s", rows[i].a, rows[i].b);
    }
    Meta__Quantity zero = quantity_of("0"), one = quantity_of("1");
    assert_int_equal(quantity_compare(NULL, &zero), 0);
    assert_int_equal(quantity_compare(NULL, &one), -1);
    assert_true(quantity_is_zero(NULL));
    assert_true(quantity_is_zero(&zero));
    assert_false(quantity_is_zero(&one));
}

TEST_CASE(whole_numbers_become_the_shortest_text)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    assert_string_equal(quantity_from_milli(250, arena), "250m");
    assert_string_equal(quantity_from_milli(1000, arena), "1");
    assert_string_equal(quantity_from_milli(0, arena), "0");
    assert_string_equal(quantity_from_milli(-1500, arena), "-1500m");
    assert_string_equal(quantity_from_value(67108864, true, arena), "64Mi");
    assert_string_equal(quantity_from_value(1000, true, arena), "1k");
    assert_string_equal(quantity_from_value(16290896, true, arena), "16290896");
    assert_string_equal(quantity_from_value(110, false, arena), "110");
    assert_string_equal(quantity_from_value(INT64_MIN, false, arena), "-9223372036854775808");
}

TEST_MAIN(TEST(canonical_text_is_that_of_the_api_server),
          TEST(text_that_is_no_quantity_is_refused_in_upstream_words),
          TEST(values_round_away_from_zero_and_saturate), TEST(comparison_is_exact_beyond_int64),
          TEST(whole_numbers_become_the_shortest_text))
