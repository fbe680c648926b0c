/*
 * One pass from left to right with a stack of the open groups: no tree is built, because only the
 * errors are of interest. Of each group it is kept whether something stands in front that can be
 * repeated, and how often what stands there is repeated already.
 */
#include "server/go_regexp.h"

#include "base/buf.h"
#include "base/str.h"
#include "wire/doc.h"

struct group {
    bool has_item;    /* something can be repeated */
    int64_t repeats;  /* of that: counts multiplied, at least 1 */
    int64_t greatest; /* of what stands in the group */
};

struct check {
    const char *whole, *at;
    const char *last_repeat; /* where the operator right before begins; NULL: there is none */
    struct group *stack;
    size_t depth; /* of the current group; 0: outside */
    struct arena *arena;
    const char *problem; /* the first */
};

static bool fail(struct check *check, const char *code, const char *from, const char *to)
{
    size_t len = (size_t)(to - from);
    check->problem = arena_printf(check->arena, "error parsing regexp: %s: `%.*s`", code,
                                  STR_ARG(((struct str){.ptr = from, .len = len})));
    return false;
}

static const char *end_of(const char *text)
{
    return text + strlen(text);
}

/* The pattern is known to be UTF-8. */
static const char *next_char(const char *at)
{
    return at + doc_utf8_length((const unsigned char *)at, strlen(at));
}

static const char *decode_char(const char *at, uint32_t *ret)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07}; /* by length */
    const char *next = next_char(at);
    *ret = (unsigned char)*at & masks[next - at];
    for (at++; at < next; at++)
        *ret = *ret << 6 | ((unsigned char)*at & 0x3f);
    return next;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static struct group *top(struct check *check)
{
    return &check->stack[check->depth];
}

/* Something that can be repeated stands at the end now. */
static void add_item(struct check *check, int64_t repeats)
{
    struct group *group = top(check);
    group->has_item = true;
    group->repeats = max_i64(repeats, 1);
    group->greatest = max_i64(group->greatest, group->repeats);
    check->last_repeat = NULL;
}

/* --- escapes --- */

/* \x41 or \x{10FFFF}; @at is behind the x. Returns what follows, or NULL. */
static const char *parse_hex(const char *at, uint32_t *ret)
{
    uint32_t value = 0;
    if (*at != '{') {
        int high = hex_digit_value(at[0]), low = high < 0 ? -1 : hex_digit_value(at[1]);
        if (low < 0)
            return NULL;
        *ret = (uint32_t)(high * 16 + low);
        return at + 2;
    }
    const char *digits = ++at;
    for (; hex_digit_value(*at) >= 0 && value <= 0x10ffff; at++)
        value = value * 16 + (uint32_t)hex_digit_value(*at);
    if (at == digits || *at != '}' || value > 0x10ffff)
        return NULL;
    *ret = value;
    return at + 1;
}

/* One character behind a backslash. Returns what follows, or NULL when there is no such escape. */
static const char *parse_char_escape(const char *at, uint32_t *ret)
{
    static const char letters[] = "afnrtv", values[] = "\a\f\n\r\t\v";
    char c = *at;
    const char *letter = c ? strchr(letters, c) : NULL;
    if (letter) {
        *ret = (unsigned char)values[letter - letters];
        return at + 1;
    }
    if (c == 'x')
        return parse_hex(at + 1, ret);
    bool is_octal = c == '0' || (c > '0' && c <= '7' && at[1] >= '0' && at[1] <= '7');
    if (is_octal) { /* a single digit would be a reference to a group, which there is not */
        *ret = 0;
        for (size_t i = 0; i < 3 && *at >= '0' && *at <= '7'; i++, at++)
            *ret = *ret * 8 + (uint32_t)(*at - '0');
        return at;
    }
    if ((unsigned char)c >= 0x80 || is_alnum(c) || c == '\0')
        return NULL;
    *ret = (unsigned char)c;
    return at + 1;
}

/* \pL or \p{Greek}; @at is at the p. Returns what follows, or NULL. */
static const char *parse_unicode_class(const char *at)
{
    at++;
    if (*at != '{')
        return *at ? next_char(at) : NULL;
    const char *end = strchr(at, '}');
    return end && end > at + 1 ? end + 1 : NULL;
}

static bool is_class_letter(char c)
{
    return c && strchr("dDsSwW", c);
}

static bool fail_escape(struct check *check, const char *backslash, const char *at)
{
    if (*at == '\0')
        return fail(check, "trailing backslash at end of expression", at, at);
    return fail(check, "invalid escape sequence", backslash, next_char(at));
}

/* \Q…\E stands for itself. */
static void take_quoted(struct check *check)
{
    const char *text = check->at + 2, *end = strstr(text, "\\E");
    check->at = end ? end + 2 : end_of(text);
    if (*text && end != text)
        add_item(check, 1);
    check->last_repeat = NULL;
}

static bool take_escape(struct check *check)
{
    const char *backslash = check->at, *at = backslash + 1;
    uint32_t value = 0;
    if (*at == 'Q') {
        take_quoted(check);
        return true;
    }
    if ((*at && strchr("AbBz", *at)) || is_class_letter(*at)) {
        check->at = at + 1;
    } else if (*at == 'p' || *at == 'P') {
        const char *next = parse_unicode_class(at);
        if (!next)
            return fail(check, "invalid character class range", backslash, end_of(at));
        check->at = next;
    } else {
        const char *next = parse_char_escape(at, &value);
        if (!next)
            return fail_escape(check, backslash, at);
        check->at = next;
    }
    add_item(check, 1);
    return true;
}

/* --- classes --- */

static bool is_class_name(struct str name)
{
    static const char *const names[] = {"alnum", "alpha", "ascii", "blank", "cntrl",
                                        "digit", "graph", "lower", "print", "punct",
                                        "space", "upper", "word",  "xdigit"};
    if (name.len > 0 && name.ptr[0] == '^')
        name = (struct str){.ptr = name.ptr + 1, .len = name.len - 1};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (str_eq_c(name, names[i]))
            return true;
    }
    return false;
}

/* A single character of a class. Returns what follows, or NULL after fail(). */
static const char *parse_class_char(struct check *check, const char *at, const char *class,
                                    uint32_t *ret)
{
    if (*at == '\0') {
        fail(check, "missing closing ]", class, at);
        return NULL;
    }
    if (*at == '\\') {
        const char *next = parse_char_escape(at + 1, ret);
        if (!next)
            fail_escape(check, at, at + 1);
        return next;
    }
    return decode_char(at, ret);
}

/* [:alpha:], \d, \pL: a class in a class. Returns what follows, @at when there is none, or NULL
 * after fail(). */
static const char *parse_inner_class(struct check *check, const char *at)
{
    if (at[0] == '[' && at[1] == ':') {
        const char *end = strstr(at + 2, ":]");
        if (!end)
            return at;
        if (is_class_name((struct str){.ptr = at + 2, .len = (size_t)(end - at - 2)}))
            return end + 2;
        fail(check, "invalid character class range", at, end + 2);
        return NULL;
    }
    if (at[0] != '\\')
        return at;
    if (is_class_letter(at[1]))
        return at + 2;
    if (at[1] != 'p' && at[1] != 'P')
        return at;
    const char *next = parse_unicode_class(at + 1);
    if (!next)
        fail(check, "invalid character class range", at, end_of(at));
    return next;
}

/* `a` or `a-z`. Returns what follows, or NULL after fail(). */
static const char *parse_range(struct check *check, const char *at, const char *class)
{
    uint32_t low = 0, high = 0;
    const char *next = parse_class_char(check, at, class, &low);
    if (!next || next[0] != '-' || next[1] == '\0' || next[1] == ']')
        return next;
    next = parse_class_char(check, next + 1, class, &high);
    if (next && high < low) {
        fail(check, "invalid character class range", at, next);
        return NULL;
    }
    return next;
}

static bool take_class(struct check *check)
{
    const char *class = check->at, *at = class + 1;
    at += *at == '^';
    for (bool is_first = true; *at != ']' || is_first; is_first = false) {
        const char *next = *at ? parse_inner_class(check, at) : at;
        if (next == at)
            next = parse_range(check, at, class);
        if (!next)
            return false;
        at = next;
    }
    check->at = at + 1;
    add_item(check, 1);
    return true;
}

/* --- repetition --- */

/* {2}, {2,} or {2,3}. False: it is none, and the brace stands for itself. */
static bool parse_counts(const char **at, int64_t *ret_low, int64_t *ret_high)
{
    const char *c = *at + 1;
    int64_t counts[2] = {0, -1};
    for (size_t i = 0; i < 2; i++) {
        const char *digits = c;
        int64_t value = 0;
        for (; is_digit(*c); c++)
            value = min_i64(value * 10 + (*c - '0'), GO_REGEXP_MAX_REPEAT + 1);
        bool has_leading_zero = c - digits > 1 && digits[0] == '0';
        if (has_leading_zero || (c == digits && i == 0))
            return false;
        if (c > digits)
            counts[i] = value;
        if (i == 0 && *c != ',') {
            counts[1] = value;
            break;
        }
        c += i == 0;
    }
    if (*c != '}')
        return false;
    *at = c + 1;
    *ret_low = counts[0];
    *ret_high = counts[1];
    return true;
}

/* The operator from @from to check->at repeats what stands before it @times (-1: any number of
 * times). */
static bool repeat(struct check *check, const char *from, int64_t times)
{
    const char *before = check->last_repeat;
    check->at += *check->at == '?'; /* lazily */
    if (before)
        return fail(check, "invalid nested repetition operator", before, check->at);
    struct group *group = top(check);
    if (!group->has_item)
        return fail(check, "missing argument to repetition operator", from, check->at);
    int64_t repeats = group->repeats * max_i64(times, 1);
    if (times >= 0 && repeats > GO_REGEXP_MAX_REPEAT)
        return fail(check, "invalid repeat count", from, check->at);
    add_item(check, repeats);
    check->last_repeat = from;
    return true;
}

static bool take_counts(struct check *check)
{
    const char *from = check->at;
    int64_t low = 0, high = 0;
    if (!parse_counts(&check->at, &low, &high)) {
        check->at++;
        add_item(check, 1);
        return true;
    }
    if (low > GO_REGEXP_MAX_REPEAT || high > GO_REGEXP_MAX_REPEAT || (high >= 0 && low > high))
        return fail(check, "invalid repeat count", from, check->at);
    return repeat(check, from, max_i64(low, high));
}

/* --- groups --- */

static bool open_group(struct check *check, const char *behind)
{
    if (check->depth == GO_REGEXP_MAX_DEPTH)
        return fail(check, "expression nests too deeply", check->whole, end_of(check->whole));
    check->stack[++check->depth] = (struct group){.repeats = 1, .greatest = 1};
    check->at = behind;
    check->last_repeat = NULL;
    return true;
}

/* (?<name>…) or (?P<name>…); @name is behind the '<'. */
static bool open_named(struct check *check, const char *name)
{
    const char *from = check->at, *end = strchr(name, '>');
    if (!end)
        return fail(check, "invalid named capture", from, end_of(from));
    bool is_name = end > name;
    for (const char *c = name; c < end; c++)
        is_name = is_name && (is_alnum(*c) || *c == '_');
    if (!is_name)
        return fail(check, "invalid named capture", from, end + 1);
    return open_group(check, end + 1);
}

/* (?i) or (?i-s:…) */
static bool open_flags(struct check *check)
{
    const char *from = check->at, *at = from + 2;
    bool is_negated = false, has_flag = false;
    for (; *at && *at != ')' && *at != ':'; at++) {
        if (*at == '-' && !is_negated) {
            is_negated = true;
            has_flag = false;
        } else if (strchr("imsU", *at)) {
            has_flag = true;
        } else {
            return fail(check, "invalid or unsupported Perl syntax", from, next_char(at));
        }
    }
    if (*at == '\0' || (is_negated && !has_flag))
        return fail(check, "invalid or unsupported Perl syntax", from, *at ? at + 1 : at);
    if (*at == ':')
        return open_group(check, at + 1);
    check->at = at + 1;
    check->last_repeat = NULL;
    return true;
}

static bool take_open(struct check *check)
{
    const char *at = check->at;
    if (at[1] != '?')
        return open_group(check, at + 1);
    if (at[2] == 'P' && at[3] == '<' && at[4] != '\0')
        return open_named(check, at + 4);
    if (at[2] == '<' && at[3] != '\0')
        return open_named(check, at + 3);
    return open_flags(check);
}

static bool take_close(struct check *check)
{
    if (check->depth == 0)
        return fail(check, "unexpected )", check->whole, end_of(check->whole));
    int64_t repeats = top(check)->greatest;
    check->depth--;
    check->at++;
    add_item(check, repeats);
    return true;
}

/* --- all --- */

static bool take(struct check *check)
{
    const char *from = check->at;
    switch (*from) {
    case '(':
        return take_open(check);
    case ')':
        return take_close(check);
    case '[':
        return take_class(check);
    case '\\':
        return take_escape(check);
    case '{':
        return take_counts(check);
    case '*':
    case '+':
    case '?':
        check->at++;
        return repeat(check, from, -1);
    case '|':
        check->at++;
        top(check)->has_item = false;
        check->last_repeat = NULL;
        return true;
    default:
        check->at = next_char(from);
        add_item(check, 1);
        return true;
    }
}

static bool is_utf8(const char *text)
{
    while (*text) {
        size_t len = doc_utf8_length((const unsigned char *)text, strlen(text));
        if (len == 0)
            return false;
        text += len;
    }
    return true;
}

const char *go_regexp_check(const char *pattern, struct arena *arena)
{
    struct check check = {.whole = pattern, .at = pattern, .arena = arena};
    if (!is_utf8(pattern)) {
        fail(&check, "invalid UTF-8", pattern, end_of(pattern));
        return check.problem;
    }
    check.stack = arena_calloc(arena, GO_REGEXP_MAX_DEPTH + 1, sizeof(*check.stack));
    check.stack[0] = (struct group){.repeats = 1, .greatest = 1};
    bool is_good = true;
    while (is_good && *check.at)
        is_good = take(&check);
    if (is_good && check.depth > 0)
        fail(&check, "missing closing )", pattern, end_of(pattern));
    return check.problem;
}
