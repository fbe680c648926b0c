#include "pod/env_file.h"
#include "tests/lib/test.h"

TEST_CASE(keys_are_found_and_the_first_counts)
{
    static const struct {
        const char *name, *text, *want; /* of key K; NULL: not there */
    } rows[] = {
        {"a value", "K='v'", "v"},
        {"another key", "J='v'\n", NULL},
        {"an empty file", "", NULL},
        {"blank lines and comments", "\n  \n# K='x'\n \t K='v'\n", "v"},
        {"the first wins", "K='1'\nK='2'", "1"},
        {"what follows is not looked at", "K='1'\nbroken", "1"},
        {"over lines", "K='a\n b\nc'", "a\n b\nc"},
        {"quotes within another value", "J='x\nK=\ny'\nK='z'", "z"},
        {"a comment behind", "K='v'  # why", "v"},
        {"nothing behind the sign", "K=\n", ""},
        {"a blank behind the sign", "K= 'v'\n", ""},
        {"no escapes", "K='a\\n\"b'", "a\\n\"b"},
        {"an equals sign inside", "K='a=b'", "a=b"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *got = "?";
        assert_no_error(env_file_get(str_from(rows[i].text), "K", arena, &got));
        if (!text_eq(got, rows[i].want))
            fail_msg("%s: got \"%s\"", rows[i].name, got ? got : "(none)");
    }
}

TEST_CASE(malformed_lines_before_the_key_fail)
{
    static const char *const rows[] = {"K",    "K =''", "K=v",     "K=\"v\"",
                                       "='v'", "K='v",  "K='v' x", "export K='v'x"};
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *got;
        assert_error_code(env_file_get(str_from(rows[i]), "K", arena, &got),
                          ERROR_INVALID_ARGUMENT);
    }
    AUTO(free) char *text = xcalloc(1, ENV_FILE_LINE_MAX + 10);
    memset(text, '#', ENV_FILE_LINE_MAX + 1);
    const char *got;
    assert_error_code(env_file_get(str_from(text), "K", arena, &got), ERROR_INVALID_ARGUMENT);
}

TEST_MAIN(TEST(keys_are_found_and_the_first_counts), TEST(malformed_lines_before_the_key_fail))
