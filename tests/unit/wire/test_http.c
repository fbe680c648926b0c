/* Fields, status texts and request targets. */
#include "wire/http.h"

#include "base/buf.h"
#include "tests/lib/test.h"

TEST_CASE(fields_are_found_by_name_and_token)
{
    static const struct http_field items[] = {{"host", "a"},
                                              {"connection", "keep-alive, Upgrade"},
                                              {"connection", "X-Y"},
                                              {"host", "b"},
                                              {"empty", ""}};
    const struct http_fields fields = {.items = items, .count = ARRAY_SIZE(items)};
    assert_string_equal(http_fields_get(&fields, "host"), "a");
    assert_string_equal(http_fields_get(&fields, "empty"), "");
    assert_null(http_fields_get(&fields, "Host"));
    assert_true(http_fields_has_token(&fields, "connection", "upgrade"));
    assert_true(http_fields_has_token(&fields, "connection", "keep-alive"));
    assert_true(http_fields_has_token(&fields, "connection", "x-y"));
    assert_false(http_fields_has_token(&fields, "connection", "keep"));
    assert_false(http_fields_has_token(&fields, "connection", ""));
    assert_false(http_fields_has_token(&fields, "empty", ""));
    assert_false(http_fields_has_token(&(struct http_fields){0}, "connection", "close"));
}

TEST_CASE(status_texts_are_those_of_the_registry)
{
    assert_string_equal(http_status_text(200), "OK");
    assert_string_equal(http_status_text(404), "Not Found");
    assert_string_equal(http_status_text(429), "Too Many Requests");
    assert_string_equal(http_status_text(101), "Switching Protocols");
    assert_string_equal(http_status_text(0), "Unknown");
    assert_string_equal(http_status_text(799), "Unknown");
}

static void render(const struct http_target *target, struct buf *out)
{
    buf_printf(out, "%s", target->path);
    for (size_t i = 0; i < target->segment_count; i++)
        buf_printf(out, " [%s]", target->segments[i]);
    buf_printf(out, " ?%s", target->raw_query);
    for (size_t i = 0; i < target->param_count; i++)
        buf_printf(out, " {%s}={%s}", target->params[i].name, target->params[i].value);
}

TEST_CASE(targets_are_taken_apart)
{
    static const struct {
        const char *name, *raw, *wanted;
    } cases[] = {
        {"root", "/", "/ ?"},
        {"segments", "/api/v1/pods", "/api/v1/pods [api] [v1] [pods] ?"},
        {"empty segments", "//a///b/", "//a///b/ [a] [b] ?"},
        {"an escaped slash stays in its segment", "/a%2fb/c", "/a/b/c [a/b] [c] ?"},
        {"plus is itself in a path", "/a+b%20c", "/a+b c [a+b c] ?"},
        {"dots are names here", "/../a/.", "/../a/. [..] [a] [.] ?"},
        {"a query", "/a?watch=1&x", "/a [a] ?watch=1&x {watch}={1} {x}={}"},
        {"a query's escapes", "/a?l=a%3Db+c%2B%26&%61=%C3%A9",
         "/a [a] ?l=a%3Db+c%2B%26&%61=%C3%A9 {l}={a=b c+&} {a}={\xc3\xa9}"},
        {"empty pieces of a query", "/a?&&b=&=c&", "/a [a] ?&&b=&=c& {b}={} {}={c}"},
        {"a second question mark", "/a?b=c?d=e", "/a [a] ?b=c?d=e {b}={c?d=e}"},
        {"an empty query", "/a?", "/a [a] ?"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        print_message("%s\n", cases[i].name);
        AUTO(arena) struct arena *arena = arena_new(0);
        AUTO(buf) struct buf out;
        buf_init(&out, KiB);
        struct http_target target;
        assert_no_error(http_target_parse(str_from(cases[i].raw), arena, &target));
        render(&target, &out);
        assert_string_equal(buf_text(&out), cases[i].wanted);
    }
}

TEST_CASE(malformed_targets_are_refused)
{
    static const char *const cases[] = {"",     "a",      "*",     "http://a/b", "/a%",  "/a%2",
                                        "/%zz", "/a?b=%", "/%00",  "/?a=%00",    "/a b", "/a\tb",
                                        "/a#b", "/\x7f",  "/a\nb", "?a",         "/%4",  "/a%2%41"};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct http_target target = {.path = "untouched"};
        assert_error_code(http_target_parse(str_from(cases[i]), arena, &target),
                          ERROR_INVALID_ARGUMENT);
        assert_string_equal(target.path, "untouched");
    }
    AUTO(free) char *text = xcalloc(1, HTTP_TARGET_MAX_BYTES + 1);
    memset(text, 'a', HTTP_TARGET_MAX_BYTES + 1);
    text[0] = '/';
    AUTO(arena) struct arena *arena = arena_new(0);
    struct http_target target;
    assert_no_error(http_target_parse((struct str){text, HTTP_TARGET_MAX_BYTES}, arena, &target));
    assert_error_code(
        http_target_parse((struct str){text, HTTP_TARGET_MAX_BYTES + 1}, arena, &target),
        ERROR_INVALID_ARGUMENT);
}

TEST_CASE(parameters_are_as_many_as_somebody_could_mean)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf text;
    buf_init(&text, HTTP_TARGET_MAX_BYTES);
    buf_add_text(&text, "/a?x");
    for (size_t i = 1; i < HTTP_TARGET_MAX_PARAMS; i++)
        buf_add_text(&text, "&x");
    struct http_target target;
    assert_no_error(http_target_parse(buf_str(&text), arena, &target));
    assert_int_equal(target.param_count, HTTP_TARGET_MAX_PARAMS);
    buf_add_char(&text, '&');
    assert_error_code(http_target_parse(buf_str(&text), arena, &target), ERROR_INVALID_ARGUMENT);
}

TEST_CASE(params_are_found_by_name)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct http_target target;
    assert_no_error(http_target_parse(STR_LITERAL("/a?x=1&x=2&y"), arena, &target));
    assert_string_equal(http_target_param(&target, "x"), "1");
    assert_string_equal(http_target_param(&target, "y"), "");
    assert_null(http_target_param(&target, "z"));
}

TEST_CASE(what_is_escaped_comes_back)
{
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * KiB);
    char all[256];
    for (size_t i = 1; i < sizeof(all); i++)
        all[i - 1] = (char)i;
    buf_add_char(&out, '/');
    http_escape(&out, (struct str){.ptr = all, .len = 255});
    AUTO(arena) struct arena *arena = arena_new(0);
    struct http_target target;
    assert_no_error(http_target_parse(buf_str(&out), arena, &target));
    assert_int_equal(target.segment_count, 1);
    assert_true(str_eq(str_from(target.segments[0]), (struct str){.ptr = all, .len = 255}));

    buf_clear(&out);
    http_escape(&out, STR_LITERAL("a-b_c.d~e/f=g h"));
    assert_string_equal(buf_text(&out), "a-b_c.d~e%2Ff%3Dg%20h");
}

TEST_CASE(dates_are_written_in_one_form_and_read_in_three)
{
    enum { THEN_S = 784111777 };
    char text[HTTP_DATE_SIZE];
    assert_string_equal(http_date((int64_t)THEN_S * NS_PER_SEC + 5, text),
                        "Sun, 06 Nov 1994 08:49:37 GMT");
    static const char *const good[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                       "Sunday, 06-Nov-94 08:49:37 GMT",
                                       "Sun Nov  6 08:49:37 1994"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        int64_t seconds = 0;
        assert_true(http_date_parse(good[i], &seconds));
        assert_int_equal(seconds, THEN_S);
    }
    static const char *const bad[] = {"", "yesterday", "Sun, 06 Nov 1994 08:49:37 GMT+1",
                                      "1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 25:49:37 GMT"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        int64_t seconds = 7;
        assert_false(http_date_parse(bad[i], &seconds));
        assert_int_equal(seconds, 7);
    }
}

TEST_CASE(html_cannot_be_made_of_what_is_escaped_for_it)
{
    AUTO(buf) struct buf out;
    buf_init(&out, KiB);
    http_escape_html(&out, STR_LITERAL("<a href=\"x\" id='y'>R&D \xc3\xa9</a>"));
    assert_string_equal(buf_text(&out), "&lt;a href=&#34;x&#34; id=&#39;y&#39;&gt;R&amp;D "
                                        "\xc3\xa9&lt;/a&gt;");
}

TEST_MAIN(TEST(dates_are_written_in_one_form_and_read_in_three),
          TEST(fields_are_found_by_name_and_token), TEST(status_texts_are_those_of_the_registry),
          TEST(targets_are_taken_apart), TEST(malformed_targets_are_refused),
          TEST(parameters_are_as_many_as_somebody_could_mean), TEST(params_are_found_by_name),
          TEST(what_is_escaped_comes_back), TEST(html_cannot_be_made_of_what_is_escaped_for_it))
