#include "kube/jitter.h"
#include "tests/lib/test.h"

static const struct growing_wait_policy policy = {.initial_ns = 800 * NS_PER_MS,
                                                  .max_ns = 30 * NS_PER_SEC,
                                                  .jitter_permille = 1000,
                                                  .reset_ns = 120 * NS_PER_SEC};

TEST_CASE(a_share_lies_between_its_bounds)
{
    static const struct {
        const char *name;
        int64_t low, high;
        uint64_t random;
        int64_t want;
    } rows[] = {
        {"the lowest", 300, 600, 0, 300},
        {"the highest is below the upper bound", 300, 600, 299, 599},
        {"it wraps", 300, 600, 300, 300},
        {"an empty range", 300, 300, 77, 300},
        {"a range the wrong way round", 300, 200, 77, 300},
        {"all there is", INT64_MIN, INT64_MAX, UINT64_MAX, INT64_MIN},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].name);
        assert_int_equal(jitter_between(rows[i].low, rows[i].high, rows[i].random), rows[i].want);
    }
}

TEST_CASE(a_base_grows_by_at_most_its_share)
{
    assert_int_equal(jitter_above(10 * NS_PER_SEC, 40, 0), 10 * NS_PER_SEC);
    for (uint64_t random = 1; random < 5000; random++) {
        int64_t wait_ns = jitter_above(10 * NS_PER_SEC, 40, random * UINT64_C(0x9e3779b97f4a7c15));
        assert_in_range(wait_ns, 10 * NS_PER_SEC, 10400 * NS_PER_MS - 1);
    }
    assert_int_equal(jitter_above(INT64_MAX, 1000, UINT64_MAX), INT64_MAX);
}

TEST_CASE(waits_double_up_to_the_ceiling)
{
    static const int64_t want_ms[] = {800, 1600, 3200, 6400, 12800, 25600, 30000, 30000};
    struct growing_wait wait = {0};
    int64_t now_ns = 5;
    for (size_t i = 0; i < ARRAY_SIZE(want_ms); i++) {
        int64_t wait_ns = growing_wait_next(&wait, &policy, now_ns, 0);
        assert_int_equal(wait_ns, want_ms[i] * NS_PER_MS);
        now_ns += wait_ns;
    }
    assert_int_equal(growing_wait_next(&wait, &policy, now_ns, 29 * NS_PER_SEC), 59 * NS_PER_SEC);
}

TEST_CASE(a_wait_that_was_not_asked_for_starts_over)
{
    struct growing_wait wait = {0};
    (void)growing_wait_next(&wait, &policy, 0, 0);
    (void)growing_wait_next(&wait, &policy, 0, 0);
    assert_int_equal(growing_wait_next(&wait, &policy, 120 * NS_PER_SEC, 0), 3200 * NS_PER_MS);
    assert_int_equal(growing_wait_next(&wait, &policy, 240 * NS_PER_SEC + 1, 0), 800 * NS_PER_MS);
}

TEST_MAIN(TEST(a_share_lies_between_its_bounds), TEST(a_base_grows_by_at_most_its_share),
          TEST(waits_double_up_to_the_ceiling), TEST(a_wait_that_was_not_asked_for_starts_over))
