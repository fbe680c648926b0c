#include "wire/base64url.h"

#include "tests/lib/test.h"

TEST_CASE(encoding_agrees_with_the_vectors_of_rfc_4648)
{
    static const struct {
        const char *bytes;
        const char *text;
    } rows[] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"}};
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(buf) struct buf out = {0};
        buf_init(&out, 64);
        base64url_encode(str_from(rows[i].bytes), &out);
        assert_string_equal(buf_text(&out), rows[i].text);
        struct str back;
        assert_true(base64url_decode(str_from(rows[i].text), arena, &back));
        assert_true(str_eq_c(back, rows[i].bytes));
    }
}

TEST_CASE(there_is_one_text_for_each_value)
{
    static const char *const bad[] = {"Zg==", "Z", "Zm9v\n", "Zm 8", "Zm+v", "Zm/v", "Zh", "Zm9"};
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct str back;
        if (base64url_decode(str_from(bad[i]), arena, &back))
            fail_msg("\"%s\" was taken", bad[i]);
    }
}

TEST_MAIN(TEST(encoding_agrees_with_the_vectors_of_rfc_4648),
          TEST(there_is_one_text_for_each_value))
