#include "pod/expand.h"
#include "tests/lib/test.h"

static const char *lookup(UNUSED const void *ctx, struct str name)
{
    static const char *const table[][2] = {{"A", "x"},      {"EMPTY", ""},       {"REF", "$(A)"},
                                           {"MONEY", "$$"}, {"with space", "s"}, {"", "nameless"}};
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (str_eq_c(name, table[i][0]))
            return table[i][1];
    }
    return NULL;
}

TEST_CASE(references_become_values_and_the_rest_stays)
{
    static const struct {
        const char *name, *text, *want;
    } rows[] = {
        {"nothing", "", ""},
        {"plain text", "echo hello", "echo hello"},
        {"a value", "$(A)", "x"},
        {"in the middle", "a-$(A)-b", "a-x-b"},
        {"twice", "$(A)$(A)", "xx"},
        {"an empty value", "a$(EMPTY)b", "ab"},
        {"an undefined name stays", "$(NOPE)!", "$(NOPE)!"},
        {"two dollars are one", "$$(A)", "$(A)"},
        {"escaped and not", "$$$(A)", "$x"},
        {"dollars in pairs", "$$$$", "$$"},
        {"a lone dollar at the end", "a$", "a$"},
        {"another character behind", "$A $5", "$A $5"},
        {"an open parenthesis", "$(A", "$(A"},
        {"open, then a reference", "$(A$(A)", "$(A$(A)"},
        {"values are not expanded again", "$(REF)$(MONEY)", "$(A)$$"},
        {"a name with blanks", "$(with space)", "s"},
        {"the empty name", "$()", "nameless"},
        {"the first parenthesis closes", "$(A))", "x)"},
        {"a dollar before a reference's bracket", "$x(A)", "$x(A)"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *got;
        assert_no_error(expand(rows[i].text, lookup, NULL, arena, &got));
        if (!text_eq(got, rows[i].want))
            fail_msg("%s: got \"%s\", want \"%s\"", rows[i].name, got, rows[i].want);
    }
}

static const char *long_value(const void *ctx, UNUSED struct str name)
{
    return ctx;
}

TEST_CASE(what_grows_beyond_the_cap_is_refused)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    size_t half = EXPAND_MAX_BYTES / 2;
    AUTO(free) char *value = xcalloc(1, half + 2);
    memset(value, 'v', half);
    const char *got;
    assert_no_error(expand("$(A)$(A)", long_value, value, arena, &got));
    assert_int_equal(strlen(got), 2 * half);
    value[half] = 'v';
    assert_error_code(expand("$(A)$(A)", long_value, value, arena, &got), ERROR_RESOURCE_EXHAUSTED);
}

TEST_MAIN(TEST(references_become_values_and_the_rest_stays),
          TEST(what_grows_beyond_the_cap_is_refused))
