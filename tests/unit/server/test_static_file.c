#include "server/static_file.h"

#include "tests/lib/test.h"

#define THEN "Sun, 06 Nov 1994 08:49:37 GMT"
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define THEN_S 784111777

TEST_CASE(conditions_and_ranges_decide_what_is_sent)
{
    static const struct {
        const char *name, *value, *range;
        struct static_answer want;
    } rows[] = {
        {"accept", "*/*", NULL, {STATIC_WHOLE, 0, 10, false}},
        {"if-modified-since", THEN, NULL, {.outcome = STATIC_NOT_MODIFIED}},
        {"if-modified-since", THEN, "bytes=0-1", {.outcome = STATIC_NOT_MODIFIED}},
        {"if-modified-since", BEFORE, NULL, {STATIC_WHOLE, 0, 10, false}},
        {"if-modified-since", "never", NULL, {STATIC_WHOLE, 0, 10, false}},
        {"if-unmodified-since", THEN, NULL, {STATIC_WHOLE, 0, 10, false}},
        {"if-unmodified-since", BEFORE, NULL, {.outcome = STATIC_FAILED}},
        {"if-match", "\"x\"", NULL, {.outcome = STATIC_FAILED}},
        {"if-match", "*", NULL, {STATIC_WHOLE, 0, 10, false}},
        {"if-none-match", "*", NULL, {.outcome = STATIC_NOT_MODIFIED}},
        {"if-none-match", "\"x\"", NULL, {STATIC_WHOLE, 0, 10, false}},
        {"range", "bytes=2-4", NULL, {STATIC_PART, 2, 3, false}},
        {"range", "bytes=2-", NULL, {STATIC_PART, 2, 8, false}},
        {"range", "bytes= 2 - 99 ", NULL, {STATIC_PART, 2, 8, false}},
        {"range", "bytes=-3", NULL, {STATIC_PART, 7, 3, false}},
        {"range", "bytes=-99", NULL, {STATIC_PART, 0, 10, false}},
        {"range", "bytes=0-1,,99-100", NULL, {STATIC_PART, 0, 2, false}},
        {"range", "bytes=0-1,3-4", NULL, {STATIC_WHOLE, 0, 10, false}},
        {"range", "bytes=10-", NULL, {.outcome = STATIC_OUT_OF_RANGE, .has_no_overlap = true}},
        {"range", "bytes=4-2", NULL, {.outcome = STATIC_OUT_OF_RANGE}},
        {"range", "bytes=--2", NULL, {.outcome = STATIC_OUT_OF_RANGE}},
        {"range", "bytes=a-", NULL, {.outcome = STATIC_OUT_OF_RANGE}},
        {"range", "bytes=4", NULL, {.outcome = STATIC_OUT_OF_RANGE}},
        {"range", "lines=0-1", NULL, {.outcome = STATIC_OUT_OF_RANGE}},
        {"range", "bytes=99999999999999999999-", NULL, {.outcome = STATIC_OUT_OF_RANGE}},
        {"if-range", THEN, "bytes=0-1", {STATIC_PART, 0, 2, false}},
        {"if-range", BEFORE, "bytes=0-1", {STATIC_WHOLE, 0, 10, false}},
        {"if-range", "\"x\"", "bytes=0-1", {STATIC_WHOLE, 0, 10, false}},
    };
    static const struct static_file file = {.size = 10, .modified_s = THEN_S};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct http_field items[] = {{rows[i].name, rows[i].value}, {"range", rows[i].range}};
        const struct http_fields fields = {.items = items, .count = rows[i].range ? 2 : 1};
        struct static_answer got;
        static_file_decide(&fields, &file, &got);
        const struct static_answer *want = &rows[i].want;
        bool is_sent = want->outcome == STATIC_WHOLE || want->outcome == STATIC_PART;
        if (got.outcome != want->outcome || got.has_no_overlap != want->has_no_overlap ||
            (is_sent && (got.from != want->from || got.length != want->length)))
            fail_msg("%s: %s (%s): %d, %lld+%lld", rows[i].name, rows[i].value,
                     rows[i].range ? rows[i].range : "", got.outcome, (long long)got.from,
                     (long long)got.length);
    }
}

TEST_CASE(an_empty_file_is_sent_whatever_part_is_wanted)
{
    static const struct static_file file = {0};
    static const struct http_field items[] = {{"range", "bytes=0-1"}, {"if-modified-since", THEN}};
    const struct http_fields fields = {.items = items, .count = ARRAY_SIZE(items)};
    struct static_answer got;
    static_file_decide(&fields, &file, &got); /* and a time of 0 is none */
    assert_int_equal(got.outcome, STATIC_WHOLE);
    assert_int_equal(got.length, 0);
    assert_false(static_folder_is_unchanged(&fields, 0));
    assert_true(static_folder_is_unchanged(&fields, THEN_S));
    assert_false(static_folder_is_unchanged(&fields, THEN_S + 1));
}

TEST_CASE(a_folder_is_a_sorted_page_of_links)
{
    struct static_entry entries[] = {{"pods", true},
                                     {"a&b", false},
                                     {"<x> y\"'", false},
                                     {"README", false},
                                     {"a:b?#%\xc3\xa9", true}};
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * KiB);
    static_folder_write(entries, ARRAY_SIZE(entries), &out);
    assert_string_equal(buf_text(&out), "<!doctype html>\n"
                                        "<meta name=\"viewport\" content=\"width=device-width\">\n"
                                        "<pre>\n"
                                        "<a href=\"%3Cx%3E%20y%22%27\">&lt;x&gt; y&#34;&#39;</a>\n"
                                        "<a href=\"README\">README</a>\n"
                                        "<a href=\"a&b\">a&amp;b</a>\n"
                                        "<a href=\"./a:b%3F%23%25%C3%A9/\">a:b?#%\xc3\xa9/</a>\n"
                                        "<a href=\"pods/\">pods/</a>\n"
                                        "</pre>\n");
    buf_clear(&out);
    static_folder_write(NULL, 0, &out);
    assert_string_equal(buf_text(&out), "<!doctype html>\n"
                                        "<meta name=\"viewport\" content=\"width=device-width\">\n"
                                        "<pre>\n</pre>\n");
}

TEST_MAIN(TEST(conditions_and_ranges_decide_what_is_sent),
          TEST(an_empty_file_is_sent_whatever_part_is_wanted),
          TEST(a_folder_is_a_sorted_page_of_links))
