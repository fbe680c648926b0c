#include "pod/timeline.h"
#include "tests/lib/test.h"

TEST_CASE(repeats_are_counted_and_keep_their_first_time)
{
    struct timeline timeline = {0};
    timeline_add(&timeline, 1, TIMELINE_NORMAL, "Started", "web", "Container started");
    timeline_add(&timeline, 2, TIMELINE_WARNING, "BackOff", "web", "Back-off");
    timeline_add(&timeline, 3, TIMELINE_NORMAL, "Started", "web", "Container started");
    timeline_add(&timeline, 4, TIMELINE_NORMAL, "Started", NULL, "Container started");
    assert_int_equal(timeline.count, 3);
    const struct timeline_entry *first = timeline_at(&timeline, 0);
    assert_int_equal(first->count, 2);
    assert_int_equal(first->first_ns, 1);
    assert_int_equal(first->last_ns, 3);
    timeline_done(&timeline);
}

TEST_CASE(only_the_newest_entries_stay)
{
    struct timeline timeline = {0};
    for (int i = 0; i < 3 * TIMELINE_MAX_ENTRIES; i++) {
        AUTO(free) char *text = xasprintf("%d", i);
        timeline_add(&timeline, i, TIMELINE_NORMAL, "Step", NULL, text);
    }
    assert_int_equal(timeline.count, TIMELINE_MAX_ENTRIES);
    assert_string_equal(timeline_at(&timeline, 0)->message, "128");
    assert_string_equal(timeline_at(&timeline, TIMELINE_MAX_ENTRIES - 1)->message, "191");
    timeline_done(&timeline);
}

TEST_MAIN(TEST(repeats_are_counted_and_keep_their_first_time), TEST(only_the_newest_entries_stay))
