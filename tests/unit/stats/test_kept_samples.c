#include "stats/kept_samples.h"

#include "tests/lib/test.h"

static uint64_t note(struct stats_kept *kept, uint64_t inode, int64_t read_s, uint64_t total_ns)
{
    int64_t created_ns;
    const struct stats_sample sample = {.path = "/a",
                                        .inode = inode,
                                        .created_ns = 5,
                                        .read_ns = read_s * NS_PER_SEC,
                                        .has_cpu = true,
                                        .cpu_total_ns = total_ns};
    uint64_t rate = stats_kept_note(kept, &sample, &created_ns);
    assert_int_equal(created_ns, 5);
    return rate;
}

TEST_CASE(a_rate_takes_two_samples_of_the_same_cgroup)
{
    static const struct {
        const char *name;
        uint64_t inode;
        int64_t read_s;
        uint64_t total_ns, rate;
    } steps[] = {
        {"the first", 1, 10, 1000, 0},
        {"half a core for four seconds", 1, 14, 2000001000, 500000000},
        {"at rest", 1, 15, 2000001000, 0},
        {"the counter went back", 1, 16, 500, 0},
        {"and goes on from there", 1, 17, 1500, 1000},
        {"time stands still", 1, 17, 2500, 0},
        {"time went back", 1, 12, 3500, 0},
        {"another cgroup of the same name", 2, 20, 900000000000, 0},
        {"years later", 2, 300000000, 900000000000, 0},
        {"many cores", 2, 300000001, UINT64_C(1080000000000), UINT64_C(180000000000)},
    };
    AUTO(stats_kept) struct stats_kept *kept = stats_kept_new();
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        uint64_t rate = note(kept, steps[i].inode, steps[i].read_s, steps[i].total_ns);
        if (rate != steps[i].rate)
            fail_msg("%s: %llu", steps[i].name, (unsigned long long)rate);
    }
}

TEST_CASE(without_a_cpu_figure_there_is_no_rate)
{
    AUTO(stats_kept) struct stats_kept *kept = stats_kept_new();
    int64_t created_ns;
    struct stats_sample sample = {.path = "/a", .inode = 1, .read_ns = NS_PER_SEC};
    assert_int_equal(stats_kept_note(kept, &sample, &created_ns), 0);
    sample.has_cpu = true;
    sample.cpu_total_ns = 1000;
    sample.read_ns = 2 * NS_PER_SEC;
    assert_int_equal(stats_kept_note(kept, &sample, &created_ns), 0);
}

TEST_CASE(when_it_was_made_is_kept_for_the_same_cgroup)
{
    AUTO(stats_kept) struct stats_kept *kept = stats_kept_new();
    int64_t created_ns;
    struct stats_sample sample = {.path = "/a", .inode = 1, .created_ns = 100};
    assert_int_equal(stats_kept_inode(kept, "/a"), 0);
    (void)stats_kept_note(kept, &sample, &created_ns);
    assert_int_equal(stats_kept_inode(kept, "/a"), 1);
    sample.created_ns = 0; /* not read again */
    (void)stats_kept_note(kept, &sample, &created_ns);
    assert_int_equal(created_ns, 100);
    sample.inode = 2;
    sample.created_ns = 300;
    (void)stats_kept_note(kept, &sample, &created_ns);
    assert_int_equal(created_ns, 300);
}

TEST_CASE(what_a_pass_does_not_note_is_forgotten)
{
    AUTO(stats_kept) struct stats_kept *kept = stats_kept_new();
    int64_t created_ns;
    struct stats_sample a = {.path = "/a", .inode = 1}, b = {.path = "/b", .inode = 2};
    (void)stats_kept_note(kept, &a, &created_ns);
    (void)stats_kept_note(kept, &b, &created_ns);
    stats_kept_end(kept);
    assert_int_equal(stats_kept_count(kept), 2);
    (void)stats_kept_note(kept, &b, &created_ns);
    stats_kept_end(kept);
    assert_int_equal(stats_kept_count(kept), 1);
    assert_int_equal(stats_kept_inode(kept, "/a"), 0);
    stats_kept_end(kept);
    assert_int_equal(stats_kept_count(kept), 0);
}

TEST_MAIN(TEST(a_rate_takes_two_samples_of_the_same_cgroup),
          TEST(without_a_cpu_figure_there_is_no_rate),
          TEST(when_it_was_made_is_kept_for_the_same_cgroup),
          TEST(what_a_pass_does_not_note_is_forgotten))
