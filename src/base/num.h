/*
 * Numbers from outside: arithmetic that reports overflow, saturating forms for durations and
 * counters, checked narrowing, whole-string parsing with a range. Pure. Any thread.
 */
#pragma once

#include "base/base.h"

/* Each stores its result in @ret and returns true; on overflow it is false and stores nothing. */
MUST_CHECK bool add_size(size_t a, size_t b, size_t *ret);
MUST_CHECK bool mul_size(size_t a, size_t b, size_t *ret);
MUST_CHECK bool add_i64(int64_t a, int64_t b, int64_t *ret);
MUST_CHECK bool sub_i64(int64_t a, int64_t b, int64_t *ret);
MUST_CHECK bool mul_i64(int64_t a, int64_t b, int64_t *ret);

/* Saturating at INT64_MIN and INT64_MAX. */
int64_t sat_add_i64(int64_t a, int64_t b);
int64_t sat_sub_i64(int64_t a, int64_t b);
int64_t sat_mul_i64(int64_t a, int64_t b);

static inline int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline int64_t clamp_i64(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/** Narrowing that reports what does not fit: false, and @ret untouched. */
MUST_CHECK bool to_u32_checked(int64_t value, uint32_t *ret);
MUST_CHECK bool to_i32_checked(int64_t value, int32_t *ret);

/**
 * Parses all of @text as a decimal integer (optional leading '-', no blanks, no '+') within [@low,
 * @high]. False when it is not one or out of range; @ret is untouched then.
 */
MUST_CHECK bool parse_i64(const char *text, int64_t low, int64_t high, int64_t *ret);
MUST_CHECK bool parse_u64(const char *text, uint64_t *ret);

/** 0 to 15 for a hexadecimal digit of either case, -1 for anything else. */
static inline int hex_digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}
