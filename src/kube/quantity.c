/*
 * A quantity is sign × magnitude × 10^scale with a magnitude of up to 576 decimal digits, so that
 * nothing is lost: 256 digits of input, 19 more by the largest binary suffix, and as many again to
 * bring two numbers to one scale.
 */
#include "kube/quantity.h"

#include <stdio.h>

#define LIMB_BASE UINT32_C(1000000000)
#define LIMB_DIGITS 9
#define LIMBS_MAX 64
#define INPUT_DIGITS_MAX 256
#define EXPONENT_DIGITS_MAX 8
#define NANO (-9) /* the smallest scale a quantity keeps */

/* The words of apimachinery's errors. */
#define ERR_FORMAT                                                                                 \
    "quantities must match the regular expression "                                                \
    "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
#define ERR_NUMERIC "unable to parse numeric part of quantity"
#define ERR_SUFFIX "unable to parse quantity's suffix"

enum quantity_format { FORMAT_DECIMAL_SI, FORMAT_BINARY_SI, FORMAT_DECIMAL_EXPONENT };

/* Little-endian limbs of nine digits; no leading zero limbs, so zero has none. */
struct magnitude {
    size_t count;
    uint32_t limbs[LIMBS_MAX];
};

struct amount {
    enum quantity_format format;
    bool is_negative;
    bool keeps_text; /* upstream reuses the text as the canonical form */
    int64_t scale;
    struct magnitude magnitude;
};

struct suffix {
    char text[3];
    int exponent; /* of 10, or of 2 for binary ones */
};

static const struct suffix decimal_suffixes[] = {
    {"n", -9}, {"u", -6}, {"m", -3}, {"", 0},   {"k", 3},
    {"M", 6},  {"G", 9},  {"T", 12}, {"P", 15}, {"E", 18},
};
static const struct suffix binary_suffixes[] = {
    {"Ki", 10}, {"Mi", 20}, {"Gi", 30}, {"Ti", 40}, {"Pi", 50}, {"Ei", 60},
};
#define DECIMAL_EXPONENT_MAX 18

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void magnitude_mul_add(struct magnitude *m, uint32_t factor, uint32_t addend)
{
    uint64_t carry = addend;
    for (size_t i = 0; i < m->count; i++) {
        carry += (uint64_t)m->limbs[i] * factor;
        m->limbs[i] = (uint32_t)(carry % LIMB_BASE);
        carry /= LIMB_BASE;
    }
    while (carry > 0) {
        ASSERT(m->count < LIMBS_MAX);
        m->limbs[m->count++] = (uint32_t)(carry % LIMB_BASE);
        carry /= LIMB_BASE;
    }
}

/* Divides in place and returns the remainder. */
static uint32_t magnitude_div(struct magnitude *m, uint32_t divisor)
{
    uint64_t remainder = 0;
    for (size_t i = m->count; i > 0; i--) {
        uint64_t part = remainder * LIMB_BASE + m->limbs[i - 1];
        m->limbs[i - 1] = (uint32_t)(part / divisor);
        remainder = part % divisor;
    }
    while (m->count > 0 && m->limbs[m->count - 1] == 0)
        m->count--;
    return (uint32_t)remainder;
}

static uint32_t magnitude_mod(const struct magnitude *m, uint32_t divisor)
{
    uint64_t remainder = 0;
    for (size_t i = m->count; i > 0; i--)
        remainder = (remainder * LIMB_BASE + m->limbs[i - 1]) % divisor;
    return (uint32_t)remainder;
}

static uint32_t power_of_10(int64_t exponent)
{
    uint32_t power = 1;
    while (exponent-- > 0)
        power *= 10;
    return power;
}

static void magnitude_shift_up(struct magnitude *m, int64_t digits)
{
    for (; digits > 0; digits -= LIMB_DIGITS)
        magnitude_mul_add(m, power_of_10(min_i64(digits, LIMB_DIGITS)), 0);
}

/* Drops @digits decimal digits; what is cut off rounds up. True when nothing but zeros were cut. */
static bool magnitude_shift_down(struct magnitude *m, int64_t digits)
{
    bool is_exact = true;
    for (; digits > 0 && m->count > 0; digits -= LIMB_DIGITS)
        is_exact &= magnitude_div(m, power_of_10(min_i64(digits, LIMB_DIGITS))) == 0;
    if (!is_exact)
        magnitude_mul_add(m, 1, 1);
    return is_exact;
}

static int64_t magnitude_digits(const struct magnitude *m)
{
    if (m->count == 0)
        return 0;
    int64_t digits = (int64_t)(m->count - 1) * LIMB_DIGITS;
    for (uint32_t top = m->limbs[m->count - 1]; top > 0; top /= 10)
        digits++;
    return digits;
}

static int magnitude_compare(const struct magnitude *a, const struct magnitude *b)
{
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    for (size_t i = a->count; i > 0; i--) {
        if (a->limbs[i - 1] != b->limbs[i - 1])
            return a->limbs[i - 1] < b->limbs[i - 1] ? -1 : 1;
    }
    return 0;
}

static struct magnitude magnitude_from_u64(uint64_t value)
{
    struct magnitude m = {.count = 0};
    for (; value > 0; value /= LIMB_BASE)
        m.limbs[m.count++] = (uint32_t)(value % LIMB_BASE);
    return m;
}

static int64_t magnitude_to_i64(const struct magnitude *m, bool is_negative)
{
    uint64_t value = 0;
    for (size_t i = m->count; i > 0; i--) {
        if (__builtin_mul_overflow(value, (uint64_t)LIMB_BASE, &value) ||
            __builtin_add_overflow(value, (uint64_t)m->limbs[i - 1], &value))
            return is_negative ? INT64_MIN : INT64_MAX;
    }
    if (value > (uint64_t)INT64_MAX)
        return is_negative ? INT64_MIN : INT64_MAX;
    return is_negative ? -(int64_t)value : (int64_t)value;
}

/* The pieces of a quantity's text; all borrow from it. */
struct pieces {
    bool is_negative;
    struct str whole;    /* without leading zeros */
    struct str fraction; /* after the point */
    struct str suffix;
};

static struct str take_digits(struct str *rest)
{
    size_t len = 0;
    while (len < rest->len && is_digit(rest->ptr[len]))
        len++;
    struct str digits = {.ptr = rest->ptr, .len = len};
    rest->ptr += len;
    rest->len -= len;
    return digits;
}

static void drop_first(struct str *rest)
{
    rest->ptr++;
    rest->len--;
}

/* As lenient as upstream, to which a bare sign, point or suffix is a zero. */
static const char *split(struct str text, struct pieces *ret)
{
    struct str rest = text;
    *ret = (struct pieces){.is_negative = rest.len > 0 && rest.ptr[0] == '-'};
    if (rest.len > 0 && (rest.ptr[0] == '-' || rest.ptr[0] == '+'))
        drop_first(&rest);
    while (rest.len > 0 && rest.ptr[0] == '0')
        drop_first(&rest);
    ret->whole = take_digits(&rest);
    if (rest.len > 0 && rest.ptr[0] == '.') {
        drop_first(&rest);
        ret->fraction = take_digits(&rest);
    }

    ret->suffix = rest;
    while (rest.len > 0 && rest.ptr[0] != '\0' && strchr("eEinumkKMGTP", rest.ptr[0]))
        drop_first(&rest);
    if (rest.len > 0 && (rest.ptr[0] == '-' || rest.ptr[0] == '+'))
        drop_first(&rest);
    take_digits(&rest);
    return rest.len == 0 ? NULL : ERR_FORMAT;
}

static bool parse_exponent(struct str text, int64_t *ret)
{
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    if (text.len > 0 && (is_negative || text.ptr[0] == '+'))
        drop_first(&text);
    if (text.len == 0 || text.len > EXPONENT_DIGITS_MAX)
        return false;
    int64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.ptr[i]))
            return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    *ret = is_negative ? -value : value;
    return true;
}

static bool interpret_suffix(struct str suffix, enum quantity_format *format, int64_t *exponent)
{
    for (size_t i = 0; i < ARRAY_SIZE(decimal_suffixes); i++) {
        if (str_eq_c(suffix, decimal_suffixes[i].text)) {
            *format = FORMAT_DECIMAL_SI;
            *exponent = decimal_suffixes[i].exponent;
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(binary_suffixes); i++) {
        if (str_eq_c(suffix, binary_suffixes[i].text)) {
            *format = FORMAT_BINARY_SI;
            *exponent = binary_suffixes[i].exponent;
            return true;
        }
    }
    *format = FORMAT_DECIMAL_EXPONENT;
    return suffix.len > 1 && (suffix.ptr[0] == 'e' || suffix.ptr[0] == 'E') &&
           parse_exponent((struct str){.ptr = suffix.ptr + 1, .len = suffix.len - 1}, exponent);
}

static void append_digits(struct magnitude *m, struct str digits)
{
    for (size_t i = 0; i < digits.len; i++)
        magnitude_mul_add(m, 10, (uint32_t)(digits.ptr[i] - '0'));
}

/* "000" at the end of the digits of whole and fraction together. */
static bool ends_in_three_zeros(const struct pieces *pieces)
{
    struct str whole = pieces->whole, fraction = pieces->fraction;
    for (size_t i = 1; i <= 3; i++) {
        bool in_fraction = i <= fraction.len;
        if (i > whole.len + fraction.len)
            return false;
        const char *end =
            in_fraction ? fraction.ptr + fraction.len : whole.ptr + whole.len + fraction.len;
        if (end[-(ptrdiff_t)i] != '0')
            return false;
    }
    return true;
}

/*
 * Upstream has a fast path for numbers that fit int64 and keeps the text of most of them. What it
 * keeps is visible in stored objects, so the same conditions stand here: the counts of digits, then
 * "looks canonical".
 */
static bool keeps_text(const struct pieces *pieces, enum quantity_format format, int64_t exponent,
                       const struct magnitude *unscaled)
{
    int64_t whole_len = pieces->whole.len > 0 ? (int64_t)pieces->whole.len : 1;
    if (format == FORMAT_BINARY_SI) {
        int64_t digits_left = 15 - whole_len - exponent * 3 / 10 - 1;
        return pieces->fraction.len == 0 && digits_left >= 0 && magnitude_mod(unscaled, 8) != 0;
    }
    int64_t scale = exponent - (int64_t)pieces->fraction.len;
    return whole_len + (int64_t)pieces->fraction.len <= 18 && scale >= NANO && scale % 3 == 0 &&
           pieces->whole.len > 0 && !ends_in_three_zeros(pieces);
}

static void round_and_cap(struct amount *amount)
{
    if (amount->magnitude.count == 0) {
        amount->scale = 0;
        return;
    }
    if (amount->scale < NANO) {
        /* The least a quantity can be is 1n: asking for something never gives nothing. */
        magnitude_shift_down(&amount->magnitude, NANO - amount->scale);
        amount->scale = NANO;
    }
    if (amount->format != FORMAT_BINARY_SI || magnitude_digits(&amount->magnitude) < 19)
        return;
    struct magnitude limit = magnitude_from_u64(INT64_MAX);
    magnitude_shift_up(&limit, -amount->scale);
    if (magnitude_compare(&amount->magnitude, &limit) > 0) {
        amount->magnitude = magnitude_from_u64(INT64_MAX);
        amount->scale = 0;
    }
}

/* Counts the up to two zeros that the canonical form may add, so that it can be read again. */
static bool has_room(const struct pieces *pieces, enum quantity_format format, int64_t exponent)
{
    int64_t scale = (format == FORMAT_BINARY_SI ? 0 : exponent) - (int64_t)pieces->fraction.len;
    int64_t added = ((scale % 3) + 3) % 3;
    return (int64_t)(pieces->whole.len + pieces->fraction.len) + added <= INPUT_DIGITS_MAX;
}

/* NULL, or the message of an error. */
static const char *parse(struct str text, struct amount *ret)
{
    struct pieces pieces;
    int64_t exponent = 0;
    if (text.len == 0)
        return ERR_FORMAT;
    const char *problem = split(text, &pieces);
    if (problem)
        return problem;
    ret->magnitude.count = 0;
    if (!interpret_suffix(pieces.suffix, &ret->format, &exponent))
        return ERR_SUFFIX;
    if (!has_room(&pieces, ret->format, exponent))
        return ERR_NUMERIC;
    append_digits(&ret->magnitude, pieces.whole);
    append_digits(&ret->magnitude, pieces.fraction);

    ret->is_negative = pieces.is_negative && ret->magnitude.count > 0;
    ret->keeps_text = keeps_text(&pieces, ret->format, exponent, &ret->magnitude);
    ret->scale = -(int64_t)pieces.fraction.len;
    if (ret->format == FORMAT_BINARY_SI) {
        for (int64_t i = 0; i < exponent; i += 10)
            magnitude_mul_add(&ret->magnitude, 1024, 0);
    } else {
        ret->scale += exponent;
    }
    round_and_cap(ret);
    return NULL;
}

struct error *quantity_check(struct str text)
{
    struct amount amount;
    const char *problem = parse(text, &amount);
    return problem ? error_new(ERROR_INVALID_ARGUMENT, "%s", problem) : NULL;
}

/* Zero for what is absent or no quantity. */
static void load(const Meta__Quantity *quantity, struct amount *ret)
{
    if (!quantity || !quantity->string || parse(str_from(quantity->string), ret))
        *ret = (struct amount){.format = FORMAT_DECIMAL_SI};
}

static int64_t scaled_value(const Meta__Quantity *quantity, int64_t scale)
{
    struct amount amount;
    load(quantity, &amount);
    if (amount.magnitude.count == 0)
        return 0;
    if (amount.scale - scale > 19)
        return amount.is_negative ? INT64_MIN : INT64_MAX;
    magnitude_shift_up(&amount.magnitude, amount.scale - scale);
    magnitude_shift_down(&amount.magnitude, scale - amount.scale);
    return magnitude_to_i64(&amount.magnitude, amount.is_negative);
}

int64_t quantity_value(const Meta__Quantity *quantity)
{
    return scaled_value(quantity, 0);
}

int64_t quantity_milli_value(const Meta__Quantity *quantity)
{
    return scaled_value(quantity, -3);
}

bool quantity_is_zero(const Meta__Quantity *quantity)
{
    struct amount amount;
    load(quantity, &amount);
    return amount.magnitude.count == 0;
}

/* By size alone; neither is zero. */
static int compare_sizes(struct amount *a, struct amount *b)
{
    int64_t top_a = magnitude_digits(&a->magnitude) + a->scale;
    int64_t top_b = magnitude_digits(&b->magnitude) + b->scale;
    if (top_a != top_b)
        return top_a < top_b ? -1 : 1;
    magnitude_shift_up(&a->magnitude, a->scale - b->scale);
    magnitude_shift_up(&b->magnitude, b->scale - a->scale);
    return magnitude_compare(&a->magnitude, &b->magnitude);
}

int quantity_compare(const Meta__Quantity *a, const Meta__Quantity *b)
{
    struct amount x, y;
    load(a, &x);
    load(b, &y);
    int sign_x = x.magnitude.count == 0 ? 0 : x.is_negative ? -1 : 1;
    int sign_y = y.magnitude.count == 0 ? 0 : y.is_negative ? -1 : 1;
    if (sign_x != sign_y)
        return sign_x < sign_y ? -1 : 1;
    return sign_x == 0 ? 0 : sign_x * compare_sizes(&x, &y);
}

static const char *magnitude_text(const struct amount *amount, const char *suffix,
                                  struct arena *arena)
{
    const struct magnitude *m = &amount->magnitude;
    char digits[LIMBS_MAX * LIMB_DIGITS + 1];
    size_t len = 0;
    for (size_t i = m->count; i > 0; i--) {
        int wrote = snprintf(digits + len, sizeof(digits) - len, i == m->count ? "%u" : "%09u",
                             m->limbs[i - 1]);
        len += (size_t)wrote;
    }
    return arena_printf(arena, "%s%s%s", amount->is_negative ? "-" : "", digits, suffix);
}

static const char *binary_text(struct amount *amount, struct arena *arena)
{
    size_t power = 0;
    while (power < ARRAY_SIZE(binary_suffixes) && magnitude_mod(&amount->magnitude, 1024) == 0) {
        magnitude_div(&amount->magnitude, 1024);
        power++;
    }
    return magnitude_text(amount, power == 0 ? "" : binary_suffixes[power - 1].text, arena);
}

static const char *decimal_text(struct amount *amount, struct arena *arena)
{
    char exponent[24] = "";
    while (magnitude_mod(&amount->magnitude, 10) == 0) {
        magnitude_div(&amount->magnitude, 10);
        amount->scale++;
    }
    int64_t scale = amount->scale - ((amount->scale % 3) + 3) % 3;
    if (amount->format != FORMAT_DECIMAL_EXPONENT)
        scale = min_i64(scale, DECIMAL_EXPONENT_MAX);
    magnitude_shift_up(&amount->magnitude, amount->scale - scale);
    if (amount->format != FORMAT_DECIMAL_EXPONENT)
        return magnitude_text(amount, decimal_suffixes[(scale - NANO) / 3].text, arena);
    if (scale != 0)
        snprintf(exponent, sizeof(exponent), "e%lld", (long long)scale);
    return magnitude_text(amount, exponent, arena);
}

static const char *format_amount(struct amount *amount, struct arena *arena)
{
    if (amount->magnitude.count == 0)
        return "0";
    if (amount->format == FORMAT_BINARY_SI) {
        struct amount whole = *amount;
        bool is_whole = magnitude_shift_down(&whole.magnitude, -whole.scale);
        whole.scale = 0;
        struct magnitude ki = magnitude_from_u64(1024);
        /* Small and broken amounts are shown in decimal, which loses nothing. */
        if (is_whole && magnitude_compare(&whole.magnitude, &ki) >= 0)
            return binary_text(&whole, arena);
        amount->format = FORMAT_DECIMAL_SI;
    }
    return decimal_text(amount, arena);
}

const char *quantity_canonical(const char *text, struct arena *arena)
{
    struct amount amount;
    if (!text || parse(str_from(text), &amount))
        return NULL;
    return amount.keeps_text ? arena_strdup(arena, text) : format_amount(&amount, arena);
}

static struct amount amount_from(int64_t value, int64_t scale, enum quantity_format format)
{
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    return (struct amount){.format = format,
                           .is_negative = value < 0,
                           .scale = scale,
                           .magnitude = magnitude_from_u64(size)};
}

const char *quantity_from_milli(int64_t millis, struct arena *arena)
{
    struct amount amount = amount_from(millis, -3, FORMAT_DECIMAL_SI);
    return format_amount(&amount, arena);
}

const char *quantity_from_value(int64_t value, bool binary, struct arena *arena)
{
    struct amount amount = amount_from(value, 0, binary ? FORMAT_BINARY_SI : FORMAT_DECIMAL_SI);
    return format_amount(&amount, arena);
}
