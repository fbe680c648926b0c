#include "cli/text_table.h"
#include "tests/lib/test.h"

TEST_CASE(ages_read_like_kubectls)
{
    static const struct {
        int64_t seconds;
        const char *want;
    } rows[] = {
        {-2, "<invalid>"},
        {-1, "0s"},
        {0, "0s"},
        {119, "119s"},
        {120, "2m"},
        {121, "2m1s"},
        {599, "9m59s"},
        {600, "10m"},
        {3 * 3600 - 1, "179m"},
        {3 * 3600, "3h"},
        {3 * 3600 + 60, "3h1m"},
        {8 * 3600, "8h"},
        {48 * 3600 - 1, "47h"},
        {48 * 3600, "2d"},
        {51 * 3600, "2d3h"},
        {8 * 86400, "8d"},
        {INT64_C(730) * 86400 - 1, "729d"},
        {INT64_C(730) * 86400, "2y"},
        {INT64_C(731) * 86400, "2y1d"},
        {INT64_C(3650) * 86400, "10y"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(text_age(rows[i].seconds * NS_PER_SEC, arena), rows[i].want);
}

TEST_CASE(columns_line_up_and_the_last_is_not_padded)
{
    static const char *const rows[][3] = {
        {"NAME", "X", "LAST"}, {"a", "", "b"}, {"caf\xc3\xa9-long", "y", "\x1b[31m\n"}};
    struct text_table table = {.columns = 3};
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * KiB);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        text_table_measure(&table, rows[i]);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        text_table_add(&table, rows[i], &out);
    assert_string_equal(buf_text(&out), "NAME        X   LAST\n"
                                        "a               b\n"
                                        "caf\xc3\xa9-long   y    [31m \n");
}

TEST_CASE(a_terminal_gets_no_control_characters)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"a\tb\r\x7f", "a b  \n"},
        {"\x1b[2J", " [2J\n"},
        {"\xc2\x9b"
         "2J",
         " 2J\n"}, /* CSI in one character */
        {"\xc2\x80|\xc2\x9f|\xc2\xa0|\xc3\x9b", " | |\xc2\xa0|\xc3\x9b\n"},
        {"\xc2", "\xc2\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct text_table table = {.columns = 1};
        AUTO(buf) struct buf out;
        buf_init(&out, KiB);
        text_table_measure(&table, &rows[i].text);
        text_table_add(&table, &rows[i].text, &out);
        assert_string_equal(buf_text(&out), rows[i].want);
    }
}

TEST_MAIN(TEST(a_terminal_gets_no_control_characters), TEST(ages_read_like_kubectls),
          TEST(columns_line_up_and_the_last_is_not_padded))
