#include "tests/lib/test.h"
#include "wire/json.h"

static const struct doc_parse_options lenient = {.max_bytes = KiB};
static const struct doc_parse_options strict = {
    .max_bytes = KiB, .reject_duplicates = true, .file = "a.json"};

static const struct doc_node *parse(const char *text, struct arena *arena)
{
    const struct doc_node *node = NULL;
    assert_no_error(json_parse(str_from(text), &lenient, arena, &node));
    return node;
}

TEST_CASE(every_kind_of_value_is_read)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *node = parse("{\"n\":null,\"t\":true,\"i\":-9223372036854775808,\"r\":1."
                                        "5,\"s\":\"ä\\u0001\",\"a\":[1,[]],"
                                        "\"o\":{}}",
                                        arena);
    assert_int_equal(node->kind, DOC_OBJECT);
    assert_int_equal(node->object.count, 7);
    assert_int_equal(doc_get(node, "n")->kind, DOC_NULL);
    assert_true(doc_get(node, "t")->boolean);
    assert_true(doc_get(node, "i")->integer == INT64_MIN);
    assert_true(doc_get(node, "r")->real == 1.5);
    assert_string_equal(doc_get(node, "s")->string.ptr, "ä\x01");
    assert_int_equal(doc_get(node, "a")->array.count, 2);
    assert_int_equal(doc_get(node, "o")->object.count, 0);
    assert_null(doc_get(node, "x"));
    assert_null(doc_get(doc_get(node, "a"), "x"));
    assert_null(doc_get(NULL, "x"));
}

TEST_CASE(what_is_no_json_is_refused_with_its_line)
{
    static const char *const texts[] = {
        "",    "{",        "[1,]",    "{\"a\":1,}",  "nul",   "1 2",      "\"\\u0000\"",
        "'a'", "\"\xff\"", "[1e999]", "\"\\ud800\"", "{1:2}", "[\n\t1\n", "01",
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *node = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_error_code(json_parse(str_from(texts[i]), &lenient, arena, &node),
                          ERROR_INVALID_ARGUMENT);
    assert_null(node);
    assert_error_message(json_parse(STR_LITERAL("[\n1,\n}"), &strict, arena, &node),
                         "a.json:3: invalid JSON: unexpected token near '}'");
    assert_error_code(json_parse((struct str){.ptr = NULL}, &strict, arena, &node),
                      ERROR_INVALID_ARGUMENT);
}

TEST_CASE(duplicates_are_refused_or_the_last_one_wins)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *node = NULL;
    assert_error_code(json_parse(STR_LITERAL("{\"a\":1,\"a\":2}"), &strict, arena, &node),
                      ERROR_INVALID_ARGUMENT);
    node = parse("{\"a\":1,\"b\":3,\"a\":2}", arena);
    assert_int_equal(node->object.count, 2);
    assert_int_equal(doc_get(node, "a")->integer, 2);
}

TEST_CASE(a_nul_in_a_string_is_kept_for_who_can_bear_it)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_parse_options options = {.max_bytes = 1 * KiB, .allow_nul = true};
    const struct doc_node *node = NULL;
    assert_no_error(json_parse(STR_LITERAL("\"a\\u0000b\""), &options, arena, &node));
    assert_true(str_eq(node->string, (struct str){.ptr = "a\0b", .len = 3}));
    assert_error_code(json_parse(STR_LITERAL("{\"a\\u0000b\":1}"), &options, arena, &node),
                      ERROR_INVALID_ARGUMENT);
}

TEST_CASE(size_and_depth_are_capped)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *node = NULL;
    char text[2 * KiB];
    memset(text, ' ', sizeof(text));
    assert_error_message(
        json_parse((struct str){.ptr = text, .len = KiB + 1}, &strict, arena, &node),
        "a.json: larger than 1024 bytes");
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    assert_no_error(json_parse((struct str){.ptr = text, .len = 128}, &strict, arena, &node));
    memset(text, '[', 66);
    memset(text + 66, ']', 66);
    assert_error_message(json_parse((struct str){.ptr = text, .len = 132}, &strict, arena, &node),
                         "a.json: nested deeper than 64 levels");
}

TEST_CASE(a_tree_is_written_as_it_was_read)
{
    static const char compact[] =
        "{\"b\":[1,2.5,true,null,\"x\\n\"],\"a\":{\"c\":{},\"d\":[]},\"e\":-1e-7}";
    static const char pretty[] = "{\n  \"b\": [\n    1,\n    {}\n  ],\n  \"a\": []\n}";
    static const char narrow[] = "{\n \"b\": [\n  1,\n  {}\n ],\n \"a\": []\n}";
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf out;
    struct json_writer writer;
    buf_init(&out, KiB);
    json_writer_init(&writer, &out, false);
    doc_write_node(&writer.base, parse(compact, arena));
    assert_string_equal(buf_text(&out), compact);
    buf_clear(&out);
    json_writer_init(&writer, &out, true);
    doc_write_node(&writer.base, parse(pretty, arena));
    assert_string_equal(buf_text(&out), pretty);
    buf_clear(&out);
    json_writer_init_indented(&writer, &out, 1);
    doc_write_node(&writer.base, parse(pretty, arena));
    assert_string_equal(buf_text(&out), narrow);
}

TEST_CASE(reals_are_as_short_as_go_writes_them)
{
    static const struct {
        double real;
        const char *want;
    } rows[] = {
        {0.5, "0.5"},
        {0.1, "0.1"},
        {1e21, "1e+21"},
        {1e20, "1e+20"},
        {9e18, "9000000000000000000"},
        {1.5e300, "1.5e+300"},
        {1e-6, "0.000001"},
        {1e-7, "1e-7"},
        {1.25e-10, "1.25e-10"},
        {-2.5, "-2.5"},
        {123456789.125, "123456789.125"},
        {0.30000000000000004, "0.30000000000000004"},
        {100, "100"},
        {0, "0"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
    };
    char text[DOC_REAL_SIZE];
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(doc_format_real(rows[i].real, text), rows[i].want);
}

TEST_CASE(values_are_described_for_error_messages)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    char long_text[200];
    memset(long_text, 'x', sizeof(long_text));
    long_text[0] = long_text[198] = '"';
    long_text[199] = '\0';
    assert_string_equal(doc_describe(parse("null", arena), arena), "null");
    assert_string_equal(doc_describe(parse("false", arena), arena), "boolean false");
    assert_string_equal(doc_describe(parse("7", arena), arena), "number 7");
    assert_string_equal(doc_describe(parse("0.25", arena), arena), "number 0.25");
    assert_string_equal(doc_describe(parse("\"a\"", arena), arena), "string \"a\"");
    assert_string_equal(doc_describe(parse("[]", arena), arena), "an array");
    assert_string_equal(doc_describe(parse("{}", arena), arena), "an object");
    assert_int_equal(strlen(doc_describe(parse(long_text, arena), arena)), 64 + 12);
}

TEST_MAIN(TEST(a_nul_in_a_string_is_kept_for_who_can_bear_it), TEST(every_kind_of_value_is_read),
          TEST(what_is_no_json_is_refused_with_its_line),
          TEST(duplicates_are_refused_or_the_last_one_wins), TEST(size_and_depth_are_capped),
          TEST(a_tree_is_written_as_it_was_read), TEST(reals_are_as_short_as_go_writes_them),
          TEST(values_are_described_for_error_messages))
