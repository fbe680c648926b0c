/* Go's text form of a duration, both ways: Duration.String() and ParseDuration(), to the digit. */
#include "base/time.h"

#include <stdio.h>

#define NS_PER_MIN (60 * UINT64_C(1000000000))
#define NS_PER_HOUR (60 * NS_PER_MIN)
/* The magnitude of INT64_MIN: durations are read unsigned and get their sign last, as in Go. */
#define MAX_MAGNITUDE (UINT64_C(1) << 63)

static const struct {
    const char *name;
    uint64_t ns;
} units[] = {
    {"ns", 1},
    {"us", 1000},
    {"\xc2\xb5s", 1000}, /* U+00B5 micro sign */
    {"\xce\xbcs", 1000} /* U+03BC Greek mu */,
    {"ms", 1000000},
    {"s", 1000000000},
    {"m", NS_PER_MIN},
    {"h", NS_PER_HOUR},
};

/* Appends @value / @unit with as many decimals as needed, and @suffix. */
static char *put_decimal(char *at, const char *end, uint64_t value, uint64_t unit,
                         const char *suffix)
{
    at += snprintf(at, (size_t)(end - at), "%llu", (unsigned long long)(value / unit));
    uint64_t rest = value % unit;
    if (rest) {
        *at++ = '.';
        for (uint64_t digit = unit / 10; rest; digit /= 10) {
            *at++ = (char)('0' + rest / digit);
            rest %= digit;
        }
    }
    return stpcpy(at, suffix);
}

char *time_format_duration(int64_t duration_ns, char text[static TIME_TEXT_SIZE])
{
    char *at = text;
    const char *end = text + TIME_TEXT_SIZE;
    uint64_t ns = duration_ns < 0 ? -(uint64_t)duration_ns : (uint64_t)duration_ns;
    if (duration_ns < 0)
        *at++ = '-';
    if (ns == 0)
        (void)stpcpy(at, "0s");
    else if (ns < 1000)
        (void)put_decimal(at, end, ns, 1, "ns");
    else if (ns < 1000000)
        (void)put_decimal(at, end, ns, 1000, "\xc2\xb5s");
    else if (ns < 1000000000)
        (void)put_decimal(at, end, ns, 1000000, "ms");
    else {
        if (ns >= NS_PER_HOUR)
            at += snprintf(at, (size_t)(end - at), "%lluh", (unsigned long long)(ns / NS_PER_HOUR));
        if (ns >= NS_PER_MIN)
            at += snprintf(at, (size_t)(end - at), "%llum",
                           (unsigned long long)(ns / NS_PER_MIN % 60));
        (void)put_decimal(at, end, ns % NS_PER_MIN, 1000000000, "s");
    }
    return text;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

struct number {
    uint64_t whole;
    uint64_t fraction;
    double scale; /* 10 to the number of fraction digits that counted */
    bool any_digit;
};

/* Takes "12", "12.", ".5" or "1.25" off the front of @rest. False on overflow of the whole part. */
static bool take_number(struct str *rest, struct number *ret)
{
    *ret = (struct number){.scale = 1};
    size_t i = 0;
    for (; i < rest->len && is_digit(rest->ptr[i]); i++) {
        ret->any_digit = true;
        if (__builtin_mul_overflow(ret->whole, UINT64_C(10), &ret->whole) ||
            __builtin_add_overflow(ret->whole, (uint64_t)(rest->ptr[i] - '0'), &ret->whole) ||
            ret->whole > MAX_MAGNITUDE)
            return false;
    }
    if (i < rest->len && rest->ptr[i] == '.') {
        bool full = false; /* digits beyond what 63 bits hold are read and dropped */
        for (i++; i < rest->len && is_digit(rest->ptr[i]); i++) {
            ret->any_digit = true;
            uint64_t more = ret->fraction;
            full = full || __builtin_mul_overflow(more, UINT64_C(10), &more) ||
                   __builtin_add_overflow(more, (uint64_t)(rest->ptr[i] - '0'), &more) ||
                   more > MAX_MAGNITUDE - 1;
            if (full)
                continue;
            ret->fraction = more;
            ret->scale *= 10;
        }
    }
    rest->ptr += i;
    rest->len -= i;
    return true;
}

/* Takes the unit, which ends at the next digit or point, off the front. 0: there is none, or
 * unknown. */
static struct str take_unit(struct str *rest, uint64_t *ret_ns)
{
    size_t len = 0;
    while (len < rest->len && rest->ptr[len] != '.' && !is_digit(rest->ptr[len]))
        len++;
    struct str name = {.ptr = rest->ptr, .len = len};
    *ret_ns = 0;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (str_eq_c(name, units[i].name))
            *ret_ns = units[i].ns;
    }
    rest->ptr += len;
    rest->len -= len;
    return name;
}

static bool add_part(uint64_t *total, const struct number *number, uint64_t unit_ns)
{
    uint64_t part;
    if (__builtin_mul_overflow(number->whole, unit_ns, &part))
        return false;
    if (number->fraction > 0)
        part += (uint64_t)((double)number->fraction * ((double)unit_ns / number->scale));
    if (part > MAX_MAGNITUDE || __builtin_add_overflow(*total, part, total))
        return false;
    return *total <= MAX_MAGNITUDE;
}

static struct error *invalid(struct str text)
{
    return error_new(ERROR_INVALID_ARGUMENT, "time: invalid duration \"%.*s\"", STR_ARG(text));
}

struct error *time_parse_duration(struct str text, int64_t *ret_ns)
{
    struct str rest = text;
    uint64_t total = 0;
    bool negative = rest.len > 0 && rest.ptr[0] == '-';
    if (negative || (rest.len > 0 && rest.ptr[0] == '+')) {
        rest.ptr++;
        rest.len--;
    }
    if (rest.len == 0)
        return invalid(text);
    if (str_eq_c(rest, "0"))
        rest.len = 0;
    while (rest.len > 0) {
        struct number number;
        uint64_t unit_ns;
        if (!take_number(&rest, &number) || !number.any_digit)
            return invalid(text);
        struct str unit = take_unit(&rest, &unit_ns);
        if (unit.len == 0)
            return error_new(ERROR_INVALID_ARGUMENT, "time: missing unit in duration \"%.*s\"",
                             STR_ARG(text));
        if (!unit_ns)
            return error_new(ERROR_INVALID_ARGUMENT,
                             "time: unknown unit \"%.*s\" in duration \"%.*s\"", STR_ARG(unit),
                             STR_ARG(text));
        if (!add_part(&total, &number, unit_ns))
            return invalid(text);
    }
    if (!negative && total > MAX_MAGNITUDE - 1)
        return invalid(text);
    *ret_ns = total == MAX_MAGNITUDE ? INT64_MIN : negative ? -(int64_t)total : (int64_t)total;
    return NULL;
}
