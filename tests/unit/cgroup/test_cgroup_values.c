#include "cgroup/cgroup_internal.h"

#include "fake_cgroup.h"

TEST_CASE(shares_follow_the_request_within_the_kernels_range)
{
    static const struct {
        int64_t millis, shares;
    } rows[] = {{0, 2},
                {-5, 2},
                {1, 2},
                {2, 2},
                {10, 10},
                {150, 153},
                {1000, 1024},
                {2000, 2048},
                {256000, 262144},
                {999999999, 262144},
                {INT64_MAX, 262144}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(cgroup_shares_from_millis(rows[i].millis), rows[i].shares);
}

TEST_CASE(quota_follows_the_limit_and_is_never_below_a_millisecond)
{
    static const struct {
        int64_t millis, period, quota;
    } rows[] = {{0, 100000, 0},       {-1, 100000, 0},
                {1, 100000, 1000},    {9, 100000, 1000},
                {10, 100000, 1000},   {11, 100000, 1100},
                {150, 100000, 15000}, {2500, 100000, 250000},
                {500, 10000, 5000},   {INT64_MAX, 100000, INT64_MAX / 1000}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(cgroup_quota_from_millis(rows[i].millis, rows[i].period), rows[i].quota);
}

TEST_CASE(weight_is_linear_in_shares)
{
    static const struct {
        int64_t shares, weight;
    } rows[] = {{INT64_MIN, 1}, {0, 1},     {2, 1},         {10, 1},         {29, 2},
                {1024, 39},     {2048, 79}, {262143, 9999}, {262144, 10000}, {INT64_MAX, 10000}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(cgroup_weight_from_shares(rows[i].shares), rows[i].weight);
}

TEST_CASE(a_pods_values_follow_its_qos_class)
{
    static const struct {
        const char *name;
        struct test_amounts amounts;
        struct cgroup_values want;
    } rows[] = {
        {"best effort", {0}, {.cpu_shares = 2}},
        {"guaranteed",
         {"150m", "48Mi", "150m", "48Mi"},
         {.cpu_shares = 153,
          .cpu_quota_us = 15000,
          .cpu_period_us = 100000,
          .memory_bytes = 50331648}},
        {"burstable without limits", {.cpu_request = "10m"}, {.cpu_shares = 10}},
        {"burstable with a cpu limit",
         {.cpu_request = "1", .cpu_limit = "2"},
         {.cpu_shares = 1024, .cpu_quota_us = 200000, .cpu_period_us = 100000}},
        {"burstable with a memory limit only",
         {.memory_request = "1Mi", .memory_limit = "2Mi"},
         {.cpu_shares = 2, .memory_bytes = 2097152}},
    };
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct test_pod it = {0};
        struct cgroup_values have =
            cgroup_values_of_pod(tree, test_pod_init(&it, "u", &rows[i].amounts));
        if (memcmp(&have, &rows[i].want, sizeof(have)) != 0)
            fail_msg("%s: shares %lld, quota %lld, period %lld, memory %lld, pids %lld",
                     rows[i].name, (long long)have.cpu_shares, (long long)have.cpu_quota_us,
                     (long long)have.cpu_period_us, (long long)have.memory_bytes,
                     (long long)have.pids);
    }
}

TEST_CASE(without_cfs_quota_a_limit_is_lifted_and_a_pids_limit_is_passed_on)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    const struct cgroup_options options = {.cgroups_per_qos = true, .pids_limit = 77};
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, &options);
    static const struct test_amounts amounts = {"1", "1Mi", "1", "1Mi"};
    struct test_pod it = {0};
    struct cgroup_values have = cgroup_values_of_pod(tree, test_pod_init(&it, "u", &amounts));
    assert_int_equal(have.cpu_quota_us, CGROUP_UNLIMITED);
    assert_int_equal(have.cpu_period_us, 100000);
    assert_int_equal(have.pids, 77);
}

TEST_CASE(values_become_control_files_of_the_version)
{
    static const struct {
        const char *name;
        struct cgroup_values values;
        const char *v1_shares, *v1_quota, *v1_memory, *v1_pids;
        const char *v2_weight, *v2_max, *v2_memory, *v2_pids;
    } rows[] = {
        {"nothing",
         {0},
         "1024",
         "-1",
         "9223372036854771712",
         "max",
         "100",
         "max 100000",
         "max",
         "max"},
        {"all",
         {.memory_bytes = 4096,
          .cpu_shares = 2,
          .cpu_quota_us = 5000,
          .cpu_period_us = 10000,
          .pids = 3},
         "2",
         "5000",
         "4096",
         "3",
         "1",
         "5000 10000",
         "4096",
         "3"},
        {"unlimited",
         {.memory_bytes = CGROUP_UNLIMITED,
          .cpu_quota_us = CGROUP_UNLIMITED,
          .cpu_period_us = 100000},
         "1024",
         "-1",
         "-1",
         "max",
         "100",
         "max 100000",
         "max",
         "max"},
        {"quota without a period",
         {.cpu_quota_us = 7000},
         "1024",
         "7000",
         "9223372036854771712",
         "max",
         "100",
         "7000 100000",
         "max",
         "max"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(fake_cgroup) struct fake_cgroup *v1 = fake_cgroup_new(CGROUP_V1);
        AUTO(cgroup_tree) struct cgroup_tree *v1_tree = fake_tree(v1, NULL);
        assert_no_error(cgroup_dir_make(v1_tree, "/g"));
        assert_no_error(cgroup_values_apply(v1_tree, "/g", &rows[i].values));
        assert_control(v1, "cpu/g/cpu.shares", rows[i].v1_shares);
        assert_control(v1, "cpu/g/cpu.cfs_quota_us", rows[i].v1_quota);
        assert_control(v1, "memory/g/memory.limit_in_bytes", rows[i].v1_memory);
        assert_control(v1, "pids/g/pids.max", rows[i].v1_pids);

        AUTO(fake_cgroup) struct fake_cgroup *v2 = fake_cgroup_new(CGROUP_V2);
        AUTO(cgroup_tree) struct cgroup_tree *v2_tree = fake_tree(v2, NULL);
        assert_no_error(cgroup_dir_make(v2_tree, "/g"));
        assert_no_error(cgroup_values_apply(v2_tree, "/g", &rows[i].values));
        assert_control(v2, "g/cpu.weight", rows[i].v2_weight);
        assert_control(v2, "g/cpu.max", rows[i].v2_max);
        assert_control(v2, "g/memory.max", rows[i].v2_memory);
        assert_control(v2, "g/pids.max", rows[i].v2_pids);
    }
}

TEST_CASE(a_controller_that_is_not_mounted_is_named)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    fake->missing = 1u << CGROUP_PIDS;
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
    assert_no_error(cgroup_dir_make(tree, "/g"));
    const struct cgroup_values values = {.pids = 5};
    assert_error_message(cgroup_values_apply(tree, "/g", &values),
                         "cannot write pids.max of cgroup /g: cgroup controller \"pids\" is not "
                         "mounted");
}

TEST_MAIN(TEST(shares_follow_the_request_within_the_kernels_range),
          TEST(quota_follows_the_limit_and_is_never_below_a_millisecond),
          TEST(weight_is_linear_in_shares), TEST(a_pods_values_follow_its_qos_class),
          TEST(without_cfs_quota_a_limit_is_lifted_and_a_pids_limit_is_passed_on),
          TEST(values_become_control_files_of_the_version),
          TEST(a_controller_that_is_not_mounted_is_named))
