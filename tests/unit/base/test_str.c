#include "base/str.h"

#include "tests/lib/test.h"

#include <limits.h>
#include <stdio.h>

TEST_CASE(equality_looks_at_every_byte)
{
    struct str nothing = {0};
    assert_true(str_eq(nothing, STR_LITERAL("")));
    assert_true(str_eq_c(nothing, ""));
    assert_true(str_eq_c(STR_LITERAL("abc"), "abc"));
    assert_false(str_eq_c(STR_LITERAL("abc"), "ab"));
    assert_false(str_eq_c(STR_LITERAL("ab"), "abc"));
    assert_true(str_eq(STR_LITERAL("a\0b"), STR_LITERAL("a\0b")));
    assert_false(str_eq(STR_LITERAL("a\0b"), STR_LITERAL("a\0c")));
    assert_false(str_eq_c(STR_LITERAL("a\0b"), "a"));
    assert_true(text_eq(NULL, NULL));
    assert_false(text_eq(NULL, ""));
    assert_false(text_eq("a", NULL));
    assert_true(text_eq("a", "a"));
}

TEST_CASE(prefixes_and_suffixes_include_the_empty_and_the_whole)
{
    struct str nothing = {0};
    assert_true(str_has_prefix(nothing, ""));
    assert_true(str_has_suffix(nothing, ""));
    assert_false(str_has_prefix(nothing, "a"));
    assert_true(str_has_prefix(STR_LITERAL("abc"), "abc"));
    assert_true(str_has_prefix(STR_LITERAL("abc"), "ab"));
    assert_false(str_has_prefix(STR_LITERAL("abc"), "abcd"));
    assert_true(str_has_suffix(STR_LITERAL("abc"), "bc"));
    assert_true(str_has_suffix(STR_LITERAL("abc"), ""));
    assert_false(str_has_suffix(STR_LITERAL("abc"), "ab"));
    assert_false(str_has_suffix(STR_LITERAL("c"), "bc"));
    assert_true(text_has_prefix("abc", "a"));
    assert_false(text_has_prefix(NULL, ""));
    assert_true(text_has_suffix("abc", "c"));
    assert_false(text_has_suffix(NULL, "c"));
}

TEST_CASE(trimming_takes_ascii_white_space_only)
{
    assert_true(str_eq_c(str_trim(STR_LITERAL(" \t\r\n\v\f a b \n")), "a b"));
    assert_true(str_eq_c(str_trim(STR_LITERAL("   ")), ""));
    assert_true(str_eq_c(str_trim(STR_LITERAL("\xc2\xa0x")), "\xc2\xa0x"));
    assert_int_equal(str_trim((struct str){0}).len, 0);
}

TEST_CASE(words_come_one_by_one)
{
    struct str rest = STR_LITERAL(" \tone two\r\n\xc2\xa0x \v"), word;
    static const char *const words[] = {"one", "two", "\xc2\xa0x"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        assert_true(str_next_word(&rest, &word));
        assert_true(str_eq_c(word, words[i]));
    }
    assert_false(str_next_word(&rest, &word));
    assert_true(str_eq_c(word, words[2]));
    rest = (struct str){0};
    assert_false(str_next_word(&rest, &word));
}

TEST_CASE(splitting_yields_every_piece_once)
{
    static const struct {
        struct str text;
        const char *pieces[5];
    } rows[] = {
        {STR_LITERAL("a,b,c"), {"a", "b", "c"}}, {STR_LITERAL("a"), {"a"}},
        {STR_LITERAL("a,"), {"a", ""}},          {STR_LITERAL(",a"), {"", "a"}},
        {STR_LITERAL(",,"), {"", "", ""}},       {STR_LITERAL(""), {""}},
        {{.ptr = NULL, .len = 0}, {NULL}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct str rest = rows[i].text, piece;
        size_t count = 0;
        while (str_split_next(&rest, ',', &piece)) {
            assert_non_null(rows[i].pieces[count]);
            assert_true(str_eq_c(piece, rows[i].pieces[count++]));
        }
        assert_null(rows[i].pieces[count]);
        assert_null(rest.ptr);
    }
}

TEST_CASE(a_text_that_is_not_terminated_stays_within_its_length)
{
    const char bytes[3] = {'a', 'b', ','};
    struct str text = {.ptr = bytes, .len = 3};
    assert_int_equal(str_find(text, ','), 2);
    assert_int_equal(str_find(text, 'x'), 3);
    assert_int_equal(str_find((struct str){0}, 'x'), 0);
    AUTO(free) char *copy = str_dup(text);
    assert_string_equal(copy, "ab,");
    AUTO(free) char *empty = str_dup((struct str){0});
    assert_string_equal(empty, "");
    char printed[16];
    (void)snprintf(printed, sizeof(printed), "[%.*s]", STR_ARG(text));
    assert_string_equal(printed, "[ab,]");
    struct str huge = {.ptr = bytes, .len = SIZE_MAX};
    assert_int_equal(str_printf_len(huge), INT_MAX);
    assert_int_equal(str_from(NULL).len, 0);
}

TEST_CASE(bytes_are_told_in_two_digits_each)
{
    static const unsigned char bytes[] = {0x00, 0x0f, 0xa5, 0xff};
    char text[2 * sizeof(bytes) + 1];
    assert_string_equal(str_hex(bytes, sizeof(bytes), text), "000fa5ff");
    assert_string_equal(str_hex(bytes, 0, text), "");
}

TEST_CASE(texts_are_sorted_by_their_bytes)
{
    const char *texts[] = {"b", "", "a", "B"};
    qsort(texts, ARRAY_SIZE(texts), sizeof(*texts), text_compare);
    static const char *const want[] = {"", "B", "a", "b"};
    for (size_t i = 0; i < ARRAY_SIZE(want); i++)
        assert_string_equal(texts[i], want[i]);
}

TEST_MAIN(TEST(bytes_are_told_in_two_digits_each), TEST(texts_are_sorted_by_their_bytes),
          TEST(equality_looks_at_every_byte),
          TEST(prefixes_and_suffixes_include_the_empty_and_the_whole),
          TEST(trimming_takes_ascii_white_space_only), TEST(words_come_one_by_one),
          TEST(splitting_yields_every_piece_once),
          TEST(a_text_that_is_not_terminated_stays_within_its_length))
