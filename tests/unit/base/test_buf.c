#include "base/buf.h"

#include "tests/lib/test.h"

TEST_CASE(an_unused_buffer_is_an_empty_text)
{
    AUTO(buf) struct buf buf;
    buf_init(&buf, 10);
    assert_null(buf.data);
    assert_string_equal(buf_text(&buf), "");
    assert_int_equal(buf_str(&buf).len, 0);
    AUTO(free) char *taken = buf_take(&buf);
    assert_string_equal(taken, "");
}

TEST_CASE(appends_of_every_kind_follow_each_other)
{
    AUTO(buf) struct buf buf;
    buf_init(&buf, 1000);
    buf_add(&buf, "ab", 2);
    buf_add_text(&buf, "cd");
    buf_add_str(&buf, STR_LITERAL("ef"));
    buf_add_str(&buf, (struct str){0});
    buf_add_char(&buf, 'g');
    buf_printf(&buf, "%d%s", 12, "h");
    assert_string_equal(buf_text(&buf), "abcdefg12h");
    assert_int_equal(buf.len, 10);
    assert_no_error(buf_error(&buf, "text"));
}

TEST_CASE(an_embedded_nul_is_content)
{
    AUTO(buf) struct buf buf;
    buf_init(&buf, 10);
    buf_add(&buf, "a\0b", 3);
    buf_add_char(&buf, '\0');
    assert_int_equal(buf.len, 4);
    assert_memory_equal(buf.data, "a\0b\0", 5);
}

TEST_CASE(the_maximum_itself_fits_and_one_more_does_not)
{
    static const size_t maxima[] = {0, 1, 63, 64, 65, 127, 128, 1000};
    for (size_t i = 0; i < ARRAY_SIZE(maxima); i++) {
        AUTO(buf) struct buf buf;
        buf_init(&buf, maxima[i]);
        for (size_t j = 0; j < maxima[i]; j++)
            buf_add_char(&buf, 'x');
        assert_false(buf.overflowed);
        assert_int_equal(buf.len, maxima[i]);
        assert_int_equal(strlen(buf_text(&buf)), maxima[i]);
        assert_true(buf.capacity <= maxima[i] + 1);
        buf_add_char(&buf, 'y');
        assert_true(buf.overflowed);
        assert_int_equal(buf.len, maxima[i]);
    }
}

TEST_CASE(what_does_not_fit_is_dropped_whole_and_all_that_follows)
{
    AUTO(buf) struct buf buf;
    buf_init(&buf, 5);
    buf_add_text(&buf, "abc");
    buf_add_text(&buf, "def");
    buf_add_text(&buf, "g");
    buf_printf(&buf, "%d", 1);
    assert_string_equal(buf_text(&buf), "abc");
    assert_error_message(buf_error(&buf, "the reply"), "the reply is larger than 5 bytes");
    buf_truncate(&buf, 0);
    assert_true(buf.overflowed);
    buf_clear(&buf);
    assert_no_error(buf_error(&buf, "the reply"));
    buf_add_text(&buf, "12345");
    assert_string_equal(buf_text(&buf), "12345");
}

TEST_CASE(a_formatted_text_that_does_not_fit_is_dropped)
{
    AUTO(buf) struct buf buf;
    buf_init(&buf, 5);
    buf_printf(&buf, "%s", "123456");
    assert_int_equal(buf.len, 0);
    assert_error_code(buf_error(&buf, "x"), ERROR_RESOURCE_EXHAUSTED);
}

TEST_CASE(a_length_near_the_end_of_size_t_does_not_wrap)
{
    AUTO(buf) struct buf buf;
    buf_init(&buf, 100);
    buf_add_char(&buf, 'x');
    buf_add(&buf, "y", SIZE_MAX);
    assert_true(buf.overflowed);
    assert_string_equal(buf_text(&buf), "x");
}

TEST_CASE(no_maximum_works_as_well)
{
    AUTO(buf) struct buf buf;
    buf_init(&buf, SIZE_MAX);
    for (int i = 0; i < 1000; i++)
        buf_add_text(&buf, "0123456789");
    assert_int_equal(buf.len, 10000);
}

TEST_CASE(consuming_moves_the_rest_to_the_front)
{
    static const struct {
        const char *name;
        size_t count;
        const char *want;
    } rows[] = {{"nothing", 0, "abcdef"},
                {"some", 2, "cdef"},
                {"all", 6, ""},
                {"more than there is", 7, ""}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(buf) struct buf buf;
        buf_init(&buf, 100);
        buf_add_text(&buf, "abcdef");
        buf_consume(&buf, rows[i].count);
        assert_string_equal(buf_text(&buf), rows[i].want);
        assert_int_equal(buf.len, strlen(rows[i].want));
    }
    struct buf empty = {0};
    buf_consume(&empty, 5);
    buf_truncate(&empty, 0);
    buf_clear(&empty);
    buf_done(&empty);
}

TEST_CASE(taking_leaves_an_empty_buffer_with_the_same_maximum)
{
    AUTO(buf) struct buf buf;
    buf_init(&buf, 5);
    buf_add_text(&buf, "abc");
    AUTO(free) char *taken = buf_take(&buf);
    assert_string_equal(taken, "abc");
    assert_int_equal(buf.len, 0);
    buf_add_text(&buf, "12345");
    buf_add_text(&buf, "6");
    assert_string_equal(buf_text(&buf), "12345");
}

TEST_CASE(clearing_keeps_the_memory)
{
    AUTO(buf) struct buf buf;
    buf_init(&buf, 100);
    buf_add_text(&buf, "abc");
    const char *memory = buf.data;
    buf_clear(&buf);
    assert_string_equal(buf_text(&buf), "");
    buf_add_text(&buf, "abc");
    assert_ptr_equal(buf.data, memory);
}

TEST_MAIN(TEST(an_unused_buffer_is_an_empty_text), TEST(appends_of_every_kind_follow_each_other),
          TEST(an_embedded_nul_is_content), TEST(the_maximum_itself_fits_and_one_more_does_not),
          TEST(what_does_not_fit_is_dropped_whole_and_all_that_follows),
          TEST(a_formatted_text_that_does_not_fit_is_dropped),
          TEST(a_length_near_the_end_of_size_t_does_not_wrap), TEST(no_maximum_works_as_well),
          TEST(consuming_moves_the_rest_to_the_front),
          TEST(taking_leaves_an_empty_buffer_with_the_same_maximum),
          TEST(clearing_keeps_the_memory))
