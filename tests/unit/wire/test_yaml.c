#include "tests/lib/test.h"
#include "wire/json.h"
#include "wire/yaml.h"

static const struct doc_parse_options lenient = {.max_bytes = 64 * KiB};
static const struct doc_parse_options strict = {
    .max_bytes = 64 * KiB, .reject_duplicates = true, .file = "a.yaml"};

/* What @text means, as JSON. */
static const char *as_json(const char *text, struct buf *out)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *node = NULL;
    struct json_writer writer;
    assert_no_error(yaml_parse(str_from(text), &lenient, arena, &node));
    buf_clear(out);
    json_writer_init(&writer, out, false);
    doc_write_node(&writer.base, node);
    return buf_text(out);
}

TEST_CASE(scalars_mean_what_they_mean_to_kubernetes)
{
    static const struct {
        const char *yaml, *json;
    } rows[] = {
        {"true", "true"},
        {"Yes", "true"},
        {"on", "true"},
        {"y", "true"},
        {"off", "false"},
        {"N", "false"},
        {"nO", "\"nO\""},
        {"~", "null"},
        {"NULL", "null"},
        {"\"\"", "\"\""},
        {"'true'", "\"true\""},
        {"\"8080\"", "\"8080\""},
        {"8080", "8080"},
        {"-1", "-1"},
        {"+1", "1"},
        {"0644", "420"},
        {"0o644", "420"},
        {"0x1F", "31"},
        {"0b101", "5"},
        {"-0b101", "-5"},
        {"1_000", "1000"},
        {"08", "8"},
        {"0.5", "0.5"},
        {".5", "0.5"},
        {"5.", "5"},
        {"1e3", "1000"},
        {"1.5e-7", "1.5e-7"},
        {"1.0", "1"},
        {"1.2.3", "\"1.2.3\""},
        {"1e", "\"1e\""},
        {"0x", "\"0x\""},
        {"-", "[null]"},
        {"1:30", "\"1:30\""},
        {"+.", "\"+.\""},
        {"100m", "\"100m\""},
        {"64Mi", "\"64Mi\""},
        {"2001-01-01", "\"2001-01-01\""},
        {"!!str 12", "\"12\""},
        {"!!int \"12\"", "12"},
        {"!!float 1", "1"},
        {"! 12", "\"12\""},
        {"9223372036854775807", "9223372036854775807"},
        {"1e400", "\"1e400\""},
        {"|\n  a\n  b\n", "\"a\\nb\\n\""},
        {">-\n  a\n  b\n", "\"a b\""},
        {"", "null"},
        {"# only\n", "null"},
        {"---\n", "null"},
        {"a: {b: [1, x]}", "{\"a\":{\"b\":[1,\"x\"]}}"},
        {"- a\n- b: 1\n", "[\"a\",{\"b\":1}]"},
        {"{1: a, true: b, 1.5: c, 0x10: d}",
         "{\"1\":\"a\",\"true\":\"b\",\"1.5\":\"c\",\"16\":\"d\"}"},
    };
    AUTO(buf) struct buf out;
    buf_init(&out, KiB);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (!text_eq(as_json(rows[i].yaml, &out), rows[i].json))
            fail_msg("%s: want %s, have %s", rows[i].yaml, rows[i].json, buf_text(&out));
    }
}

TEST_CASE(anchors_aliases_and_merge_keys_are_resolved)
{
    static const struct {
        const char *yaml, *json;
    } rows[] = {
        {"a: &x [1]\nb: *x\n", "{\"a\":[1],\"b\":[1]}"},
        {"a: &x 1\n*x : b\n", "{\"a\":1,\"1\":\"b\"}"},
        {"a: &x 1\nb: &x 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":2}"},
        {"a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\n",
         "{\"a\":{\"p\":1,\"q\":2},\"b\":{\"p\":1,\"q\":3}}"},
        {"b:\n  q: 3\n  <<: {p: 1, q: 2}\n", "{\"b\":{\"p\":1,\"q\":3}}"},
        {"b:\n  <<: [{p: 1}, {p: 2, q: 2}]\n  r: 3\n", "{\"b\":{\"q\":2,\"p\":1,\"r\":3}}"},
        {"\"<<\": 1", "{\"<<\":1}"},
        {"<<: {}", "{}"},
    };
    AUTO(buf) struct buf out;
    buf_init(&out, KiB);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (!text_eq(as_json(rows[i].yaml, &out), rows[i].json))
            fail_msg("%s: want %s, have %s", rows[i].yaml, rows[i].json, buf_text(&out));
    }
}

TEST_CASE(errors_name_file_and_line)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"a: 1\nb: 2\na: 3\n", "a.yaml:3: duplicate key \"a\""},
        {"a:\n\tb: 1\n", "a.yaml:2: invalid YAML: found character that cannot start any token "
                         "(while scanning for the next token from line 2)"},
        {"a: [1\n", "a.yaml:2: invalid YAML: did not find expected ',' or ']' (while parsing a "
                    "flow sequence from line 1)"},
        {"a: *x\n", "a.yaml:1: unknown anchor \"x\""},
        {"a: &x [*x]\n", "a.yaml:1: anchor \"x\" contains itself"},
        {"\n[a]: 1\n", "a.yaml:2: a key must be a string, a number or a boolean"},
        {"~: 1\n", "a.yaml:1: a key must be a string, a number or a boolean"},
        {"<<: 1\n", "a.yaml:1: a merge key needs a mapping or a list of mappings"},
        {"<<: [1]\n", "a.yaml:1: a merge key needs a mapping or a list of mappings"},
        {"a: .inf\n", "a.yaml:1: infinity and NaN are no values here"},
        {"a: .NaN\n", "a.yaml:1: infinity and NaN are no values here"},
        {"a: \"\\0\"\n", "a.yaml:1: a NUL character inside a string"},
        {"a: !!int x\n", "a.yaml:1: cannot read \"x\" as int"},
        {"a: !!binary aGk=\n", "a.yaml:1: unsupported tag \"tag:yaml.org,2002:binary\""},
        {"a: !local b\n", "a.yaml:1: unsupported tag \"!local\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct doc_node *node = NULL;
        assert_error_message(yaml_parse(str_from(rows[i].text), &strict, arena, &node),
                             rows[i].want);
        assert_null(node);
    }
}

TEST_CASE(nodes_know_their_place)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *node = NULL;
    assert_no_error(yaml_parse(STR_LITERAL("a:\n- b: x\n"), &strict, arena, &node));
    const struct doc_node *list = doc_get(node, "a");
    assert_int_equal(list->line, 2);
    assert_int_equal(doc_get(list->array.items[0], "b")->line, 2);
    assert_int_equal(doc_get(list->array.items[0], "b")->column, 6);
    assert_int_equal(list->array.items[0]->object.members[0].line, 2);
}

/* Nine levels of nine aliases are 9^9 nodes; the caps stop it after a few. */
TEST_CASE(a_document_that_explodes_is_refused)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf text;
    const struct doc_node *node = NULL;
    buf_init(&text, 64 * KiB);
    buf_add_text(&text, "a0: &a0 [lol,lol,lol,lol,lol,lol,lol,lol,lol]\n");
    for (int i = 1; i < 10; i++) {
        buf_printf(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < 9; k++)
            buf_printf(&text, "%s*a%d", k ? "," : "", i - 1);
        buf_add_text(&text, "]\n");
    }
    assert_error_message(yaml_parse(buf_str(&text), &strict, arena, &node),
                         "a.yaml:4: aliases make the document too large");
    buf_clear(&text);
    for (int i = 0; i < 1001; i++)
        buf_printf(&text, "- &a%d x\n", i);
    assert_error_code(yaml_parse(buf_str(&text), &strict, arena, &node), ERROR_RESOURCE_EXHAUSTED);
    buf_clear(&text);
    for (int i = 0; i < 65; i++)
        buf_add_char(&text, '[');
    assert_error_message(yaml_parse(buf_str(&text), &strict, arena, &node),
                         "a.yaml:1: nested deeper than 64 levels");
    buf_clear(&text);
    buf_add_text(&text, "- &a [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n"
                        "- [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[*a]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n");
    assert_error_message(yaml_parse(buf_str(&text), &strict, arena, &node),
                         "a.yaml:2: nested too deep by an alias");
}

TEST_CASE(what_is_written_reads_back_the_same)
{
    static const char *const rows[] = {
        "{\"a\":\"true\",\"b\":\"\",\"c\":\"12\",\"d\":\" x \",\"e\":\"a: b\",\"f\":\"#\"}",
        "{\"a\":\"line\\nline\\n\",\"b\":\"\\n\",\"c\":\"  x\\ny\",\"d\":\"x\\n\\n\",\"e\":\"x "
        "\\ny\"}",
        "{\"a\":\"\\u0001\\t\",\"b\":\"ä€😀\",\"c\":\"\\u2028\",\"d\":\"\xc2\x85\",\"e\":"
        "\"\xef\xbb\xbf\"}",
        "{\"a\":\"<<\",\"b\":\"=\",\"c\":\"~\",\"d\":\"- "
        "x\",\"e\":\"---\",\"f\":\"*a\",\"g\":\"&a\"}",
        "{\"12\":1,\"true\":2,\"\":3,\"<<\":4,\"a\\nb\":5}",
        "[[],{},[[1]],null,false,1.5,-7]",
        "\"just text\"",
        "{\"a\":\"0644\",\"b\":\"0x1\",\"c\":\"1e3\",\"d\":\".inf\",\"e\":\"1_0\",\"f\":\"y\"}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        AUTO(buf) struct buf yaml, json;
        const struct doc_node *node = NULL;
        struct yaml_writer writer;
        buf_init(&yaml, KiB);
        buf_init(&json, KiB);
        assert_no_error(json_parse(str_from(rows[i]), &lenient, arena, &node));
        yaml_writer_init(&writer, &yaml);
        doc_write_node(&writer.base, node);
        yaml_writer_done(&writer);
        if (!text_eq(as_json(buf_text(&yaml), &json), rows[i]))
            fail_msg("%s: have %s by way of\n%s", rows[i], buf_text(&json), buf_text(&yaml));
    }
}

TEST_CASE(bytes_that_are_no_utf8_are_replaced)
{
    AUTO(buf) struct buf out;
    struct yaml_writer writer;
    buf_init(&out, KiB);
    yaml_writer_init(&writer, &out);
    writer.base.ops->string(&writer.base, STR_LITERAL("a\xff"
                                                      "b"));
    yaml_writer_done(&writer);
    assert_string_equal(buf_text(&out), "a\xef\xbf\xbd"
                                        "b\n");
}

TEST_MAIN(TEST(scalars_mean_what_they_mean_to_kubernetes),
          TEST(anchors_aliases_and_merge_keys_are_resolved), TEST(errors_name_file_and_line),
          TEST(nodes_know_their_place), TEST(a_document_that_explodes_is_refused),
          TEST(what_is_written_reads_back_the_same), TEST(bytes_that_are_no_utf8_are_replaced))
