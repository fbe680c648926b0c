#include "wire/accept.h"

#include "base/buf.h"
#include "tests/lib/test.h"

TEST_CASE(a_field_is_taken_apart_in_the_order_written)
{
    struct accept accept;
    accept_parse(" application/json;g=x; V = \"1\" ;q=1, ,text/plain ,*/*", &accept);
    assert_int_equal(accept.count, 3);
    const struct accept_clause *clause = &accept.clauses[0];
    assert_true(str_eq_c(clause->type, "application/json"));
    assert_true(str_eq_c(accept_param(clause, "g"), "x"));
    assert_true(str_eq_c(accept_param(clause, "v"), "\"1\""));
    assert_true(str_eq_c(accept_param(clause, "q"), "1"));
    assert_int_equal(accept_param(clause, "as").len, 0);
    assert_true(str_eq_c(accept.clauses[1].type, "text/plain"));
    assert_int_equal(accept_param(&accept.clauses[1], "g").len, 0);
    assert_true(str_eq_c(accept.clauses[2].type, "*/*"));
}

TEST_CASE(what_is_wanted_most_comes_first)
{
    static const struct {
        const char *field, *want;
    } rows[] = {
        {"", "*/*"},
        {" ", ""},
        {",", ""},
        {" , ;a=b, ", ""},
        {"a;q=0.5,b,c;q=0.9,d", "b d c a"},
        {"a;q=0,b;q=0.000,c;q=0.001", "c"},
        {"a;q=x,b;q=7,c;q=0.x,d;q=1.5", "a b c d"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(buf) struct buf got;
        buf_init(&got, 256);
        struct accept accept;
        accept_parse(rows[i].field, &accept);
        for (size_t k = 0; k < accept.count; k++) {
            buf_add_text(&got, k > 0 ? " " : "");
            buf_add_str(&got, accept.clauses[k].type);
        }
        assert_string_equal(buf_text(&got), rows[i].want);
    }
}

TEST_CASE(a_field_without_end_is_cut)
{
    AUTO(buf) struct buf field;
    buf_init(&field, 64 * KiB);
    for (int i = 0; i < 10000; i++)
        buf_add_text(&field, "a/b,");
    struct accept accept;
    accept_parse(buf_text(&field), &accept);
    assert_int_equal(accept.count, ACCEPT_CLAUSES_MAX);
}

TEST_CASE(wildcards_match_what_they_stand_for)
{
    static const struct {
        const char *accept, *type;
        bool want;
    } rows[] = {
        {"application/json", "application/json", true},
        {"APPLICATION/Json", "application/json", true},
        {"*/*", "application/json", true},
        {"*/*", "text/plain", true},
        {"application/*", "application/json", true},
        {"Application/*", "application/json", true},
        {"application/*", "text/plain", false},
        {"text/*", "application/json", false},
        {"application/jso", "application/json", false},
        {"application/jsonp", "application/json", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct accept accept;
        accept_parse(rows[i].accept, &accept);
        assert_int_equal(accept.count, 1);
        assert_int_equal(accept_is(&accept.clauses[0], rows[i].type), rows[i].want);
    }
}

TEST_MAIN(TEST(a_field_is_taken_apart_in_the_order_written), TEST(what_is_wanted_most_comes_first),
          TEST(a_field_without_end_is_cut), TEST(wildcards_match_what_they_stand_for))
