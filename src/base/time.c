/*
 * Calendar arithmetic by hand: no time zone files, no locale, no mktime(), and the whole range of
 * years that RFC 3339 can write. Days are counted in the proleptic Gregorian calendar from
 * 1970-01-01.
 */
#include "base/time.h"

#include <stdio.h>
#include <time.h>

#define SEC_PER_DAY INT64_C(86400)
#define DAYS_PER_ERA INT64_C(146097) /* 400 years */
/* From 0000-03-01 to 1970-01-01; years that begin in March put the leap day at their end. */
#define DAYS_BEFORE_1970 INT64_C(719468)

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) < 0)
        base_die("clock %d cannot be read", (int)clock);
    return sat_add_i64(sat_mul_i64(now.tv_sec, NS_PER_SEC), now.tv_nsec);
}

int64_t time_wall_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

int64_t time_mono_ns(void)
{
    return clock_ns(CLOCK_BOOTTIME);
}

static int64_t floor_div(int64_t value, int64_t divisor)
{
    return value / divisor - (value % divisor < 0 ? 1 : 0);
}

struct civil {
    int64_t year;
    int month, day; /* from 1 */
};

static int64_t days_from_civil(struct civil date)
{
    int64_t year = date.month <= 2 ? date.year - 1 : date.year;
    int64_t era = floor_div(year, 400);
    int64_t year_of_era = year - era * 400;
    int64_t month = (date.month + 9) % 12; /* March is 0 */
    int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_BEFORE_1970;
}

static struct civil civil_from_days(int64_t days)
{
    days += DAYS_BEFORE_1970;
    int64_t era = floor_div(days, DAYS_PER_ERA);
    int64_t day_of_era = days - era * DAYS_PER_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    struct civil date = {.year = year_of_era + era * 400,
                         .month = (int)(month < 10 ? month + 3 : month - 9),
                         .day = (int)(day_of_year - (153 * month + 2) / 5 + 1)};
    if (date.month <= 2)
        date.year++;
    return date;
}

char *time_format_parts(int64_t wall_sec, int32_t nanos, int digits,
                        char text[static TIME_TEXT_SIZE])
{
    wall_sec = clamp_i64(wall_sec, TIME_MIN_SEC, TIME_MAX_SEC);
    int64_t days = floor_div(wall_sec, SEC_PER_DAY);
    int second = (int)(wall_sec - days * SEC_PER_DAY);
    struct civil date = civil_from_days(days);
    int len = snprintf(text, TIME_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d", (int)date.year,
                       date.month, date.day, second / 3600, second / 60 % 60, second % 60);
    char *at = text + len;
    if (digits > 0) {
        char fraction[16];
        (void)snprintf(fraction, sizeof(fraction), "%09d", (int)nanos);
        *at++ = '.';
        at = mempcpy(at, fraction, (size_t)min_i64(digits, 9));
    }
    *at++ = 'Z';
    *at = '\0';
    return text;
}

static char *format_ns(int64_t wall_ns, int digits, char text[static TIME_TEXT_SIZE])
{
    int64_t sec = floor_div(wall_ns, NS_PER_SEC);
    int64_t nanos = wall_ns % NS_PER_SEC;
    return time_format_parts(sec, (int32_t)(nanos < 0 ? nanos + NS_PER_SEC : nanos), digits, text);
}

char *time_format_rfc3339(int64_t wall_ns, char text[static TIME_TEXT_SIZE])
{
    return format_ns(wall_ns, 0, text);
}

char *time_format_rfc3339_micro(int64_t wall_ns, char text[static TIME_TEXT_SIZE])
{
    return format_ns(wall_ns, 6, text);
}

char *time_format_rfc3339_nano(int64_t wall_ns, char text[static TIME_TEXT_SIZE])
{
    return format_ns(wall_ns, 9, text);
}

/* Takes exactly @count digits off the front of @rest; @ret is within [@low, @high] on success. */
static bool take_digits(struct str *rest, size_t count, int low, int high, int *ret)
{
    int value = 0;
    if (rest->len < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        char c = rest->ptr[i];
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    if (value < low || value > high)
        return false;
    rest->ptr += count;
    rest->len -= count;
    *ret = value;
    return true;
}

static bool take_char(struct str *rest, char c)
{
    if (rest->len == 0 || rest->ptr[0] != c)
        return false;
    rest->ptr++;
    rest->len--;
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static bool take_fraction(struct str *rest, int32_t *ret_nanos)
{
    int32_t nanos = 0;
    if (take_char(rest, '.')) {
        int32_t scale = 100000000;
        int digit;
        if (!take_digits(rest, 1, 0, 9, &digit))
            return false;
        do {
            nanos += digit * scale;
            scale /= 10;
        } while (scale > 0 && take_digits(rest, 1, 0, 9, &digit));
    }
    *ret_nanos = nanos;
    return true;
}

static bool take_offset(struct str *rest, int64_t *ret_sec)
{
    if (take_char(rest, 'Z')) {
        *ret_sec = 0;
        return true;
    }
    bool west = take_char(rest, '-');
    int hours, minutes;
    if (!west && !take_char(rest, '+'))
        return false;
    if (!take_digits(rest, 2, 0, 23, &hours) || !take_char(rest, ':') ||
        !take_digits(rest, 2, 0, 59, &minutes))
        return false;
    int64_t sec = (int64_t)hours * 3600 + (int64_t)minutes * 60;
    *ret_sec = west ? -sec : sec;
    return true;
}

static bool parse_parts(struct str text, int64_t *ret_sec, int32_t *ret_nanos)
{
    int year, month, day, hour, minute, second;
    if (!take_digits(&text, 4, 0, 9999, &year) || !take_char(&text, '-') ||
        !take_digits(&text, 2, 1, 12, &month) || !take_char(&text, '-') ||
        !take_digits(&text, 2, 1, days_in_month(year, month), &day) || !take_char(&text, 'T'))
        return false;
    if (!take_digits(&text, 2, 0, 23, &hour) || !take_char(&text, ':') ||
        !take_digits(&text, 2, 0, 59, &minute) || !take_char(&text, ':') ||
        !take_digits(&text, 2, 0, 59, &second))
        return false;
    int32_t nanos;
    int64_t offset;
    if (!take_fraction(&text, &nanos) || !take_offset(&text, &offset) || text.len > 0)
        return false;
    int64_t days = days_from_civil((struct civil){.year = year, .month = month, .day = day});
    *ret_sec = days * SEC_PER_DAY + INT64_C(3600) * hour + INT64_C(60) * minute + second - offset;
    *ret_nanos = nanos;
    return true;
}

struct error *time_parse_parts(struct str text, int64_t *ret_wall_sec, int32_t *ret_nanos)
{
    if (!parse_parts(text, ret_wall_sec, ret_nanos))
        return error_new(ERROR_INVALID_ARGUMENT, "\"%.*s\" is not an RFC 3339 time", STR_ARG(text));
    return NULL;
}

struct error *time_parse_rfc3339(struct str text, int64_t *ret_wall_ns)
{
    int64_t sec = 0, ns = 0;
    int32_t nanos = 0;
    struct error *err = time_parse_parts(text, &sec, &nanos);
    if (err)
        return err;
    /* Below zero the product alone may not fit where the sum does: count from the next second. */
    bool back = sec < 0 && nanos > 0;
    if (!mul_i64(back ? sec + 1 : sec, NS_PER_SEC, &ns) ||
        !add_i64(ns, back ? nanos - NS_PER_SEC : nanos, &ns))
        return error_new(ERROR_INVALID_ARGUMENT, "\"%.*s\" is outside the years 1678 to 2261",
                         STR_ARG(text));
    *ret_wall_ns = ns;
    return NULL;
}
