/*
 * What an unquoted YAML scalar means. The rules are those of the reader Kubernetes uses (YAML 1.1
 * with Go's number syntax), because a manifest must mean the same here and there.
 */
#include "wire/yaml.h"

#include <math.h>

#define NUMBER_MAX_LEN 512 /* longer texts are strings */

struct word {
    char text[8];
    enum doc_kind kind;
    bool boolean;
};

static const struct word words[] = {
    {"", DOC_NULL, false},      {"~", DOC_NULL, false},     {"null", DOC_NULL, false},
    {"Null", DOC_NULL, false},  {"NULL", DOC_NULL, false},  {"true", DOC_BOOL, true},
    {"True", DOC_BOOL, true},   {"TRUE", DOC_BOOL, true},   {"yes", DOC_BOOL, true},
    {"Yes", DOC_BOOL, true},    {"YES", DOC_BOOL, true},    {"on", DOC_BOOL, true},
    {"On", DOC_BOOL, true},     {"ON", DOC_BOOL, true},     {"y", DOC_BOOL, true},
    {"Y", DOC_BOOL, true},      {"false", DOC_BOOL, false}, {"False", DOC_BOOL, false},
    {"FALSE", DOC_BOOL, false}, {"no", DOC_BOOL, false},    {"No", DOC_BOOL, false},
    {"NO", DOC_BOOL, false},    {"off", DOC_BOOL, false},   {"Off", DOC_BOOL, false},
    {"OFF", DOC_BOOL, false},   {"n", DOC_BOOL, false},     {"N", DOC_BOOL, false},
};

static bool resolve_word(struct str text, struct doc_node *node)
{
    if (text.len >= sizeof(words[0].text))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (!str_eq_c(text, words[i].text))
            continue;
        node->kind = words[i].kind;
        if (node->kind == DOC_BOOL)
            node->boolean = words[i].boolean;
        return true;
    }
    return false;
}

/* .inf and .nan: kept as such, for the caller to refuse. */
static bool resolve_special_real(struct str text, struct doc_node *node)
{
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    struct str rest = text;
    if (text.len > 0 && (is_negative || text.ptr[0] == '+'))
        rest = (struct str){.ptr = text.ptr + 1, .len = text.len - 1};
    bool is_nan = str_eq_c(text, ".nan") || str_eq_c(text, ".NaN") || str_eq_c(text, ".NAN");
    bool is_inf = str_eq_c(rest, ".inf") || str_eq_c(rest, ".Inf") || str_eq_c(rest, ".INF");
    if (!is_nan && !is_inf)
        return false;
    node->kind = DOC_REAL;
    node->real = is_nan ? (double)NAN : is_negative ? -(double)INFINITY : (double)INFINITY;
    return true;
}

static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    return 99;
}

/* Go's ParseInt with base 0: 0x, 0o, 0b, and a bare leading 0 for octal. */
static bool resolve_integer(const char *text, struct doc_node *node)
{
    bool is_negative = *text == '-';
    if (*text == '-' || *text == '+')
        text++;
    unsigned base = 10;
    if (text[0] == '0' && text[1] != '\0') {
        char mark = (char)(text[1] | 0x20);
        base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
        text += mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1;
    }
    if (*text == '\0')
        return false;
    uint64_t magnitude = 0;
    for (; *text; text++) {
        unsigned digit = digit_value(*text);
        if (digit >= base || __builtin_mul_overflow(magnitude, (uint64_t)base, &magnitude) ||
            __builtin_add_overflow(magnitude, (uint64_t)digit, &magnitude))
            return false;
    }
    if (magnitude > (uint64_t)INT64_MAX + (is_negative ? 1 : 0))
        return false;
    node->kind = DOC_INTEGER;
    node->integer = is_negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

static const char *skip_digits(const char *text)
{
    while (*text >= '0' && *text <= '9')
        text++;
    return text;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? ; a whole number is an integer, as JSON would
 * print it. */
static bool resolve_real(const char *text, struct doc_node *node)
{
    const char *at = text;
    if (*at == '-' || *at == '+')
        at++;
    const char *whole_end = skip_digits(at);
    const char *fraction_end = whole_end;
    if (*whole_end == '.')
        fraction_end = skip_digits(whole_end + 1);
    bool has_whole = whole_end > at;
    if (!has_whole && fraction_end < whole_end + 2)
        return false;
    at = fraction_end;
    if (*at == 'e' || *at == 'E') {
        at++;
        if (*at == '-' || *at == '+')
            at++;
        const char *exponent_end = skip_digits(at);
        if (exponent_end == at)
            return false;
        at = exponent_end;
    }
    if (*at != '\0')
        return false;
    double real = strtod(text, NULL);
    if (!isfinite(real))
        return false;
    if (fabs(real) < 9.2e18 && (double)(int64_t)real == real) {
        node->kind = DOC_INTEGER;
        node->integer = (int64_t)real;
        return true;
    }
    node->kind = DOC_REAL;
    node->real = real;
    return true;
}

static bool resolve_number(struct str text, struct doc_node *node)
{
    char digits[NUMBER_MAX_LEN + 1];
    size_t len = 0;
    char first = text.ptr[0];
    if (text.len > NUMBER_MAX_LEN ||
        !(first == '+' || first == '-' || first == '.' || (first >= '0' && first <= '9')))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '_')
            digits[len++] = text.ptr[i];
    }
    digits[len] = '\0';
    return resolve_integer(digits, node) || resolve_real(digits, node);
}

void yaml_resolve_plain(struct str text, struct doc_node *ret_node)
{
    if (resolve_word(text, ret_node) || resolve_special_real(text, ret_node) ||
        resolve_number(text, ret_node))
        return;
    ret_node->kind = DOC_STRING;
    ret_node->string = text;
}
