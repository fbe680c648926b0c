#include "tests/lib/test.h"
#include "wire/json_compact.h"

TEST_CASE(only_what_would_be_written_just_so_is_compact)
{
    static const struct {
        const char *text;
        bool want;
    } rows[] = {
        {"{}", true},
        {"[]", true},
        {"{\"a\":1}", true},
        {"{\"a\":{\"b\":[1,true,false,null,\"x\"]},\"c\":[]}", true},
        {"[[],{},[{}]]", true},
        {"\"text\"", true},
        {"{\"k:{\\\"name\\\":\\\"c\\\"}\":{\".\":{}}}", true},
        {"\"\xC3\xA4\"", true},
        {"-12", true},
        {"0", true},
        {"", false},
        {" {}", false},
        {"{} ", false},
        {"{\"a\": 1}", false},
        {"{\"a\":1,}", false},
        {"{,}", false},
        {"{\"a\"}", false},
        {"{1:2}", false},
        {"[1 2]", false},
        {"[1,]", false},
        {"[", false},
        {"{\"a\":", false},
        {"]", false},
        {"{}}", false},
        {"[}", false},
        {"\"a", false},
        {"\"\\n\"", false},
        {"\"\\", false},
        {"\"\x01\"", false},
        {"\"\xFF\"", false},
        {"\"\xE2\x80\xA8\"", false},
        {"01", false},
        {"-0", false},
        {"-", false},
        {"1.5", false},
        {"1e3", false},
        {"1234567890123456789", false},
        {"tru", false},
        {"nul", false},
        {"x", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (json_is_compact(str_from(rows[i].text)) != rows[i].want)
            fail_msg("%s", rows[i].text);
    }
}

TEST_CASE(depth_has_its_limit)
{
    char deep[2 * 70];
    for (size_t depth = 1; depth <= 70; depth++) {
        memset(deep, '[', depth);
        memset(deep + depth, ']', depth);
        /* The innermost one is empty and costs no level. */
        assert_int_equal(json_is_compact((struct str){.ptr = deep, .len = 2 * depth}), depth <= 65);
    }
}

TEST_MAIN(TEST(only_what_would_be_written_just_so_is_compact), TEST(depth_has_its_limit))
