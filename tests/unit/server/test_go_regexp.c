#include "server/go_regexp.h"

#include "base/str.h"
#include "tests/lib/test.h"

#define P "error parsing regexp: "

TEST_CASE(what_go_takes_is_taken)
{
    static const char *const rows[] = {
        "",
        "error",
        "^a.*b+?c??$",
        "a|b||c",
        "(a)(?:b)(?i)c(?s-m:d)(?P<n_1>e)(?<x>f)",
        "a{2}b{2,}c{2,3}?d{e{,3}f{02}",
        "[a-z][^]]+[]a][a-][[:alpha:]\\d\\pL-]",
        "\\A\\b\\B\\z\\d\\pN\\p{Greek}\\P{^Lu}\\.\\_\\x41\\x{10FFFF}\\0\\12\\a\\n",
        "\\Q(*[\\E*",
        "\\Q(",
        "a*(?i)*",
        "(a{10}){100}",
        "\xc3\xa9[\xc3\xa9-\xc3\xaf][\xc3\xa9-\\x{ffff}]",
        "}]",
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *problem = go_regexp_check(rows[i], arena);
        if (problem)
            fail_msg("%s: %s", rows[i], problem);
    }
}

TEST_CASE(what_go_refuses_is_refused_in_its_words)
{
    static const char *const rows[][2] = {
        {"(a", P "missing closing ): `(a`"},
        {"a)b", P "unexpected ): `a)b`"},
        {"[a", P "missing closing ]: `[a`"},
        {"x[]", P "missing closing ]: `[]`"},
        {"[z-a]", P "invalid character class range: `z-a`"},
        {"[[:foo:]]", P "invalid character class range: `[:foo:]`"},
        {"[a-\\d]", P "invalid escape sequence: `\\d`"},
        {"*", P "missing argument to repetition operator: `*`"},
        {"a|+?", P "missing argument to repetition operator: `+?`"},
        {"(?i)*", P "missing argument to repetition operator: `*`"},
        {"(+)", P "missing argument to repetition operator: `+`"},
        {"a**", P "invalid nested repetition operator: `**`"},
        {"a+?{2}", P "invalid nested repetition operator: `+?{2}`"},
        {"a{1001}", P "invalid repeat count: `{1001}`"},
        {"a{3,2}", P "invalid repeat count: `{3,2}`"},
        {"(a{100}){11}", P "invalid repeat count: `{11}`"},
        {"(?=a)", P "invalid or unsupported Perl syntax: `(?=`"},
        {"(?i", P "invalid or unsupported Perl syntax: `(?i`"},
        {"(?i-)", P "invalid or unsupported Perl syntax: `(?i-)`"},
        {"(?<=a)", P "invalid named capture: `(?<=a)`"},
        {"(?P<a-b>c)", P "invalid named capture: `(?P<a-b>`"},
        {"\\", P "trailing backslash at end of expression: ``"},
        {"\\y", P "invalid escape sequence: `\\y`"},
        {"\\1", P "invalid escape sequence: `\\1`"},
        {"\\pX{", NULL}, /* a class that nobody knows, and a brace */
        {"\\p{Greek", P "invalid character class range: `\\p{Greek`"},
        {"a\xff", P "invalid UTF-8: `a\xff`"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *problem = go_regexp_check(rows[i][0], arena);
        if (!text_eq(problem, rows[i][1]))
            fail_msg("%s: %s", rows[i][0], problem);
    }
}

TEST_CASE(depth_is_limited)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    char deep[2 * (GO_REGEXP_MAX_DEPTH + 1) + 1] = "";
    for (size_t depth = GO_REGEXP_MAX_DEPTH; depth <= GO_REGEXP_MAX_DEPTH + 1; depth++) {
        memset(deep, '(', depth);
        memset(deep + depth, ')', depth);
        deep[2 * depth] = '\0';
        const char *problem = go_regexp_check(deep, arena);
        assert_int_equal(problem != NULL, depth > GO_REGEXP_MAX_DEPTH);
    }
}

TEST_MAIN(TEST(what_go_takes_is_taken), TEST(what_go_refuses_is_refused_in_its_words),
          TEST(depth_is_limited))
