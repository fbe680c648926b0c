#include "pod/backoff.h"
#include "tests/lib/test.h"

static const struct backoff_policy policy = {.initial_ns = 10 * NS_PER_SEC,
                                             .max_ns = 300 * NS_PER_SEC,
                                             .reset_ns = 600 * NS_PER_SEC,
                                             .max_entries = 1};

TEST_CASE(wait_doubles_up_to_the_ceiling)
{
    static const int64_t want_s[] = {0, 10, 20, 40, 80, 160, 300, 300};
    AUTO(backoff) struct backoff *table = backoff_new(&policy);
    int64_t now = 0;
    for (size_t i = 0; i < ARRAY_SIZE(want_s); i++) {
        int64_t ended = now;
        assert_int_equal(backoff_remaining(table, "web", ended, now), want_s[i] * NS_PER_SEC);
        assert_int_equal(backoff_wait(table, "web"), want_s[i] * NS_PER_SEC);
        now += want_s[i] * NS_PER_SEC;
        assert_int_equal(backoff_remaining(table, "web", ended, now), 0);
        assert_null(backoff_note_restart(table, "web", ended, now));
    }
}

TEST_CASE(a_long_run_starts_over)
{
    AUTO(backoff) struct backoff *table = backoff_new(&policy);
    int64_t start = 5 * NS_PER_SEC, edge = start + 600 * NS_PER_SEC;
    assert_null(backoff_note_restart(table, "web", 0, start));
    assert_int_equal(backoff_remaining(table, "web", edge, edge), 10 * NS_PER_SEC);
    assert_int_equal(backoff_remaining(table, "web", edge + 1, edge + 1), 0);
    assert_null(backoff_note_restart(table, "web", edge + 1, edge + 1));
    assert_int_equal(backoff_remaining(table, "web", edge + 1, edge + 1), 10 * NS_PER_SEC);
}

TEST_CASE(odd_clocks_and_a_full_table_do_no_harm)
{
    AUTO(backoff) struct backoff *table = backoff_new(&policy);
    assert_null(backoff_note_restart(table, "web", 0, 0));
    assert_int_equal(backoff_remaining(table, "web", 0, INT64_MIN), 10 * NS_PER_SEC);
    assert_int_equal(backoff_remaining(table, "web", 0, INT64_MAX), 0);

    AUTO(error) struct error *err = backoff_note_restart(table, "db", 0, 0);
    assert_int_equal(err->code, ERROR_RESOURCE_EXHAUSTED);
}

TEST_CASE(a_low_ceiling_lowers_the_first_wait)
{
    struct backoff_policy low = policy;
    low.max_ns = 3 * NS_PER_SEC;
    AUTO(backoff) struct backoff *table = backoff_new(&low);
    assert_null(backoff_note_restart(table, "web", 0, 0));
    assert_int_equal(backoff_wait(table, "web"), 3 * NS_PER_SEC);
}

static void note_forgotten(void *ctx, const char *key)
{
    char **last = ctx;
    free(*last);
    *last = xstrdup(key);
}

TEST_CASE(entries_are_restored_and_read_back)
{
    AUTO(backoff) struct backoff *table = backoff_new(&policy);
    int64_t wait_ns, restarted_ns;
    assert_false(backoff_get(table, "u1/web/1", &wait_ns, &restarted_ns));
    backoff_restore(table, "u1/web/1", 40 * NS_PER_SEC, 7);
    assert_true(backoff_get(table, "u1/web/1", &wait_ns, &restarted_ns));
    assert_int_equal(wait_ns, 40 * NS_PER_SEC);
    assert_int_equal(restarted_ns, 7);
}

TEST_CASE(what_has_not_restarted_for_long_is_forgotten)
{
    struct backoff_policy two = policy;
    two.max_entries = 2;
    AUTO(backoff) struct backoff *table = backoff_new(&two);
    backoff_restore(table, "old", 40 * NS_PER_SEC, 0);
    backoff_restore(table, "new", 40 * NS_PER_SEC, NS_PER_SEC);
    AUTO(free) char *forgotten = NULL;
    backoff_prune(table, 601 * NS_PER_SEC, note_forgotten, &forgotten);
    assert_string_equal(forgotten, "old");
    assert_int_equal(backoff_wait(table, "old"), 0);
    assert_int_equal(backoff_wait(table, "new"), 40 * NS_PER_SEC);
}

TEST_MAIN(TEST(wait_doubles_up_to_the_ceiling), TEST(a_long_run_starts_over),
          TEST(odd_clocks_and_a_full_table_do_no_harm), TEST(a_low_ceiling_lowers_the_first_wait),
          TEST(entries_are_restored_and_read_back),
          TEST(what_has_not_restarted_for_long_is_forgotten))
