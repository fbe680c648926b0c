#include "base/num.h"

#include "tests/lib/test.h"

TEST_CASE(checked_arithmetic_reports_overflow_and_stores_nothing)
{
    size_t size = 7;
    assert_true(add_size(1, 2, &size));
    assert_int_equal(size, 3);
    assert_true(add_size(SIZE_MAX, 0, &size));
    assert_false(add_size(SIZE_MAX, 1, &size));
    assert_true(size == SIZE_MAX);
    assert_true(mul_size(SIZE_MAX, 1, &size));
    assert_false(mul_size(SIZE_MAX / 2 + 1, 2, &size));

    int64_t number = 7;
    assert_true(add_i64(INT64_MAX, INT64_MIN, &number));
    assert_int_equal(number, -1);
    assert_false(add_i64(INT64_MAX, 1, &number));
    assert_false(add_i64(INT64_MIN, -1, &number));
    assert_false(sub_i64(INT64_MIN, 1, &number));
    assert_false(sub_i64(0, INT64_MIN, &number));
    assert_false(mul_i64(INT64_MIN, -1, &number));
    assert_int_equal(number, -1);
    assert_true(mul_i64(-3, 5, &number));
    assert_int_equal(number, -15);
    assert_true(sub_i64(-3, 5, &number));
    assert_int_equal(number, -8);
}

TEST_CASE(saturating_arithmetic_stops_at_the_ends)
{
    static const struct {
        const char *name;
        int64_t (*f)(int64_t, int64_t);
        int64_t a, b, want;
    } rows[] = {
        {"sum", sat_add_i64, 1, 2, 3},
        {"sum too large", sat_add_i64, INT64_MAX, 1, INT64_MAX},
        {"sum too small", sat_add_i64, INT64_MIN, -1, INT64_MIN},
        {"difference", sat_sub_i64, 1, 2, -1},
        {"difference too large", sat_sub_i64, 0, INT64_MIN, INT64_MAX},
        {"difference too small", sat_sub_i64, INT64_MIN, 1, INT64_MIN},
        {"minus one less the smallest", sat_sub_i64, -1, INT64_MIN, INT64_MAX},
        {"product", sat_mul_i64, -2, 3, -6},
        {"both large", sat_mul_i64, INT64_MAX, 2, INT64_MAX},
        {"both negative", sat_mul_i64, INT64_MIN, -1, INT64_MAX},
        {"one negative", sat_mul_i64, INT64_MIN, 2, INT64_MIN},
        {"other negative", sat_mul_i64, INT64_MAX, -2, INT64_MIN},
        {"zero", sat_mul_i64, INT64_MIN, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].f(rows[i].a, rows[i].b) != rows[i].want)
            fail_msg("%s", rows[i].name);
    }
    assert_int_equal(clamp_i64(5, 1, 3), 3);
    assert_int_equal(clamp_i64(-5, 1, 3), 1);
    assert_int_equal(clamp_i64(2, 1, 3), 2);
}

TEST_CASE(narrowing_reports_what_does_not_fit)
{
    uint32_t u = 7;
    int32_t s = 7;
    assert_true(to_u32_checked(UINT32_MAX, &u));
    assert_true(u == UINT32_MAX);
    assert_false(to_u32_checked((int64_t)UINT32_MAX + 1, &u));
    assert_false(to_u32_checked(-1, &u));
    assert_true(u == UINT32_MAX);
    assert_true(to_i32_checked(INT32_MIN, &s));
    assert_int_equal(s, INT32_MIN);
    assert_false(to_i32_checked((int64_t)INT32_MAX + 1, &s));
    assert_false(to_i32_checked((int64_t)INT32_MIN - 1, &s));
}

TEST_CASE(numbers_are_parsed_whole_and_within_their_range)
{
    static const struct {
        const char *text;
        int64_t low, high;
        bool ok;
        int64_t want;
    } rows[] = {
        {"0", 0, 10, true, 0},
        {"-0", 0, 10, true, 0},
        {"10", 0, 10, true, 10},
        {"007", 0, 10, true, 7},
        {"11", 0, 10, false, 0},
        {"-1", 0, 10, false, 0},
        {"9223372036854775807", INT64_MIN, INT64_MAX, true, INT64_MAX},
        {"-9223372036854775808", INT64_MIN, INT64_MAX, true, INT64_MIN},
        {"9223372036854775808", INT64_MIN, INT64_MAX, false, 0},
        {"-9223372036854775809", INT64_MIN, INT64_MAX, false, 0},
        {"99999999999999999999999", INT64_MIN, INT64_MAX, false, 0},
        {"", INT64_MIN, INT64_MAX, false, 0},
        {"-", INT64_MIN, INT64_MAX, false, 0},
        {"--1", INT64_MIN, INT64_MAX, false, 0},
        {"+1", INT64_MIN, INT64_MAX, false, 0},
        {" 1", INT64_MIN, INT64_MAX, false, 0},
        {"1 ", INT64_MIN, INT64_MAX, false, 0},
        {"1x", INT64_MIN, INT64_MAX, false, 0},
        {"0x1", INT64_MIN, INT64_MAX, false, 0},
        {"1.0", INT64_MIN, INT64_MAX, false, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t number = 77;
        bool ok = parse_i64(rows[i].text, rows[i].low, rows[i].high, &number);
        if (ok != rows[i].ok || number != (ok ? rows[i].want : 77))
            fail_msg("\"%s\"", rows[i].text);
    }
}

TEST_CASE(unsigned_numbers_reach_to_their_end)
{
    uint64_t number = 7;
    assert_true(parse_u64("18446744073709551615", &number));
    assert_true(number == UINT64_MAX);
    static const char *const refused[] = {
        "18446744073709551616", "99999999999999999999", "", "-1", "+1", " 1", "1 "};
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        assert_false(parse_u64(refused[i], &number));
    assert_true(number == UINT64_MAX);
}

TEST_CASE(hexadecimal_digits_are_told_from_the_rest)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    for (int i = 0; i < 256; i++) {
        const char *found = i != 0 ? strchr(digits, i) : NULL;
        int want = found ? (int)(found - digits) : -1;
        assert_int_equal(hex_digit_value((char)i), want > 15 ? want - 6 : want);
    }
}

TEST_MAIN(TEST(hexadecimal_digits_are_told_from_the_rest),
          TEST(checked_arithmetic_reports_overflow_and_stores_nothing),
          TEST(saturating_arithmetic_stops_at_the_ends), TEST(narrowing_reports_what_does_not_fit),
          TEST(numbers_are_parsed_whole_and_within_their_range),
          TEST(unsigned_numbers_reach_to_their_end))
