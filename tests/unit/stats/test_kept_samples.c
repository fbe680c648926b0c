#include "stats/kept_samples.h"

#include "tests/lib/test.h"

static uint64_t note(struct stats_kept *kept, uint64_t inode, int64_t read_s, uint64_t total_ns)
{
    const struct cgroup_figures figures = {
        .inode = inode, .has_cpu = true, .cpu = {.total_ns = total_ns}};
    return stats_kept_note(kept, "/a", read_s * NS_PER_SEC, &figures);
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
    struct cgroup_figures figures = {.inode = 1};
    assert_int_equal(stats_kept_note(kept, "/a", NS_PER_SEC, &figures), 0);
    figures.has_cpu = true;
    figures.cpu.total_ns = 1000;
    assert_int_equal(stats_kept_note(kept, "/a", 2 * NS_PER_SEC, &figures), 0);
}

TEST_CASE(what_was_read_last_is_found_but_for_what_others_own)
{
    AUTO(stats_kept) struct stats_kept *kept = stats_kept_new();
    const struct cgroup_io_device device = {.major = 1};
    struct cgroup_figures figures = {
        .inode = 1, .created_ns = 100, .n_io_devices = 1, .io_devices = &device};
    assert_null(stats_kept_find(kept, "/a"));
    (void)stats_kept_note(kept, "/a", 0, &figures);
    assert_int_equal(stats_kept_find(kept, "/a")->created_ns, 100);
    assert_null(stats_kept_find(kept, "/a")->io_devices);
    assert_int_equal(stats_kept_find(kept, "/a")->n_io_devices, 0);
    figures.inode = 2;
    (void)stats_kept_note(kept, "/a", 0, &figures);
    assert_int_equal(stats_kept_find(kept, "/a")->inode, 2);
}

TEST_CASE(what_a_pass_does_not_note_is_forgotten)
{
    AUTO(stats_kept) struct stats_kept *kept = stats_kept_new();
    const struct cgroup_figures a = {.inode = 1}, b = {.inode = 2};
    (void)stats_kept_note(kept, "/a", 0, &a);
    (void)stats_kept_note(kept, "/b", 0, &b);
    stats_kept_end(kept);
    assert_int_equal(stats_kept_count(kept), 2);
    (void)stats_kept_note(kept, "/b", 0, &b);
    stats_kept_end(kept);
    assert_int_equal(stats_kept_count(kept), 1);
    assert_null(stats_kept_find(kept, "/a"));
    stats_kept_end(kept);
    assert_int_equal(stats_kept_count(kept), 0);
}

TEST_MAIN(TEST(a_rate_takes_two_samples_of_the_same_cgroup),
          TEST(without_a_cpu_figure_there_is_no_rate),
          TEST(what_was_read_last_is_found_but_for_what_others_own),
          TEST(what_a_pass_does_not_note_is_forgotten))
