#include "plane/accept.h"

#include "tests/lib/test.h"

TEST_CASE(a_field_is_taken_apart_in_the_order_written)
{
    struct str rest = str_from(" application/json;g=x; V = \"1\" ;q=0.5, ,text/plain ,*/*");
    struct accept_clause clause;
    assert_true(accept_next(&rest, &clause));
    assert_true(str_eq_c(clause.type, "application/json"));
    assert_true(str_eq_c(accept_param(&clause, "g"), "x"));
    assert_true(str_eq_c(accept_param(&clause, "v"), "\"1\""));
    assert_true(str_eq_c(accept_param(&clause, "q"), "0.5"));
    assert_int_equal(accept_param(&clause, "as").len, 0);
    assert_true(accept_next(&rest, &clause));
    assert_true(str_eq_c(clause.type, "text/plain"));
    assert_int_equal(accept_param(&clause, "g").len, 0);
    assert_true(accept_next(&rest, &clause));
    assert_true(str_eq_c(clause.type, "*/*"));
    assert_false(accept_next(&rest, &clause));
}

TEST_CASE(nothing_has_no_clauses)
{
    static const char *const fields[] = {"", " ", ",", " , ;a=b, "};
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        struct str rest = str_from(fields[i]);
        struct accept_clause clause;
        assert_false(accept_next(&rest, &clause));
    }
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
        {"application/*", "text/plain", false},
        {"text/*", "application/json", false},
        {"application/jso", "application/json", false},
        {"application/jsonp", "application/json", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct str rest = str_from(rows[i].accept);
        struct accept_clause clause;
        assert_true(accept_next(&rest, &clause));
        assert_int_equal(accept_is(&clause, rows[i].type), rows[i].want);
    }
}

TEST_MAIN(TEST(a_field_is_taken_apart_in_the_order_written), TEST(nothing_has_no_clauses),
          TEST(wildcards_match_what_they_stand_for))
