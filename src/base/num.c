#include "base/num.h"

bool add_size(size_t a, size_t b, size_t *ret)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *ret = sum;
    return true;
}

bool mul_size(size_t a, size_t b, size_t *ret)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *ret = product;
    return true;
}

bool add_i64(int64_t a, int64_t b, int64_t *ret)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *ret = sum;
    return true;
}

bool sub_i64(int64_t a, int64_t b, int64_t *ret)
{
    int64_t difference;
    if (__builtin_sub_overflow(a, b, &difference))
        return false;
    *ret = difference;
    return true;
}

bool mul_i64(int64_t a, int64_t b, int64_t *ret)
{
    int64_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *ret = product;
    return true;
}

int64_t sat_add_i64(int64_t a, int64_t b)
{
    int64_t sum;
    if (add_i64(a, b, &sum))
        return sum;
    return a < 0 ? INT64_MIN : INT64_MAX;
}

int64_t sat_sub_i64(int64_t a, int64_t b)
{
    int64_t difference;
    if (sub_i64(a, b, &difference))
        return difference;
    return a < 0 ? INT64_MIN : INT64_MAX;
}

int64_t sat_mul_i64(int64_t a, int64_t b)
{
    int64_t product;
    if (mul_i64(a, b, &product))
        return product;
    return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
}

bool to_u32_checked(int64_t value, uint32_t *ret)
{
    if (value < 0 || value > UINT32_MAX)
        return false;
    *ret = (uint32_t)value;
    return true;
}

bool to_i32_checked(int64_t value, int32_t *ret)
{
    if (value < INT32_MIN || value > INT32_MAX)
        return false;
    *ret = (int32_t)value;
    return true;
}

bool parse_i64(const char *text, int64_t low, int64_t high, int64_t *ret)
{
    bool negative = *text == '-';
    int64_t value = 0;
    const char *digit = text + (negative ? 1 : 0);
    if (!*digit)
        return false;
    /* Counts downwards, where there is room for INT64_MIN. */
    for (; *digit; digit++) {
        if (*digit < '0' || *digit > '9')
            return false;
        if (!mul_i64(value, 10, &value) || !sub_i64(value, *digit - '0', &value))
            return false;
    }
    if (!negative && !sub_i64(0, value, &value))
        return false;
    if (value < low || value > high)
        return false;
    *ret = value;
    return true;
}

bool parse_u64(const char *text, uint64_t *ret)
{
    uint64_t value = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return false;
    }
    *ret = value;
    return true;
}
