#include "kube/rate_limit.h"

#include "tests/lib/test.h"

/* Takes what is there at @now_ns. */
static size_t take_all(struct rate_limit *limit, int64_t now_ns, int64_t *ret_wait_ns)
{
    size_t taken = 0;
    while (taken < 1000 && rate_limit_take(limit, now_ns, ret_wait_ns))
        taken++;
    return taken;
}

TEST_CASE(a_burst_goes_at_once_and_then_one_comes_each_interval)
{
    struct rate_limit limit;
    int64_t wait_ns = 0, now_ns = 77 * NS_PER_SEC;
    rate_limit_init(&limit, 50, 100);
    assert_int_equal(take_all(&limit, now_ns, &wait_ns), 100);
    assert_int_equal(wait_ns, 20 * NS_PER_MS);
    for (int i = 0; i < 50; i++) {
        assert_false(rate_limit_take(&limit, now_ns + wait_ns - 1, &wait_ns));
        assert_int_equal(wait_ns, 1);
        now_ns += 20 * NS_PER_MS;
        assert_int_equal(take_all(&limit, now_ns, &wait_ns), 1);
        assert_int_equal(wait_ns, 20 * NS_PER_MS);
    }
}

TEST_CASE(a_rest_fills_the_bucket_but_not_beyond_its_size)
{
    struct rate_limit limit;
    int64_t wait_ns;
    rate_limit_init(&limit, 5, 10);
    assert_int_equal(take_all(&limit, 0, &wait_ns), 10);
    assert_int_equal(take_all(&limit, NS_PER_SEC, &wait_ns), 5);
    assert_int_equal(take_all(&limit, 3600 * NS_PER_SEC, &wait_ns), 10);
}

TEST_CASE(odd_rates_and_clocks_do_no_harm)
{
    static const struct {
        const char *name;
        double qps;
        unsigned burst;
        size_t at_once;
    } rows[] = {
        {"one at a time", 1, 1, 1},
        {"no burst is one", 1, 0, 1},
        {"hardly ever", 1e-12, 3, 3},
        {"beyond the clock", 1e12, 1, 1},
        {"a large bucket", 1e-12, UINT32_MAX, 1000},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct rate_limit limit;
        int64_t wait_ns = 0;
        rate_limit_init(&limit, rows[i].qps, rows[i].burst);
        if (take_all(&limit, INT64_MAX / 2, &wait_ns) != rows[i].at_once)
            fail_msg("%s", rows[i].name);
        (void)take_all(&limit, INT64_MIN, &wait_ns); /* a clock that was set back */
        (void)take_all(&limit, INT64_MAX, &wait_ns);
        assert_true(wait_ns >= 0);
    }
}

TEST_MAIN(TEST(a_burst_goes_at_once_and_then_one_comes_each_interval),
          TEST(a_rest_fills_the_bucket_but_not_beyond_its_size),
          TEST(odd_rates_and_clocks_do_no_harm))
