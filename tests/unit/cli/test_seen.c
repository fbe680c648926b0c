#include "cli/seen.h"
#include "tests/lib/test.h"

TEST_CASE(only_what_has_changed_is_news)
{
    AUTO(seen) struct seen *seen = seen_new();
    assert_true(seen_note(seen, "a", "1"));
    assert_true(seen_note(seen, "b", "1"));
    assert_false(seen_note(seen, "a", "1"));
    seen_end_round(seen);
    assert_false(seen_note(seen, "a", "1"));
    assert_true(seen_note(seen, "b", "2"));
    assert_false(seen_note(seen, "b", "2"));
}

TEST_CASE(what_was_gone_is_news_when_it_comes_back)
{
    AUTO(seen) struct seen *seen = seen_new();
    assert_true(seen_note(seen, "a", "1"));
    assert_true(seen_note(seen, "b", "1"));
    seen_end_round(seen);
    assert_false(seen_note(seen, "a", "1"));
    seen_end_round(seen);
    assert_false(seen_note(seen, "a", "1"));
    assert_true(seen_note(seen, "b", "1"));
}

TEST_MAIN(TEST(only_what_has_changed_is_news), TEST(what_was_gone_is_news_when_it_comes_back))
