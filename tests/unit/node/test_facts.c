#include "node/facts.h"

#include "tests/lib/test.h"

TEST_CASE(a_given_name_is_taken_as_it_is)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct config config = {.hostname_override = "Node-A"};
    const char *name = NULL;
    assert_no_error(node_name_of(&config, arena, &name));
    assert_string_equal(name, "Node-A");
}

TEST_CASE(what_is_reserved_is_taken_off_the_limits)
{
    static const struct config_pair system[] = {{"cpu", "250m"}, {"memory", "1Gi"}, {"pid", "10"}},
                                    kube[] = {{"memory", "512Mi"}, {"cpu", "1"}, {"pid", "7"}},
                                    huge[] = {{"cpu", "9E"}, {"memory", "9E"}, {"pid", "9E"}};
    static const struct {
        const char *name;
        struct config_map system, kube;
        struct cgroup_node_limits want;
    } rows[] = {
        {"nothing reserved",
         {0},
         {0},
         {.cpu_millis = 4000, .memory_bytes = INT64_C(4294967296), .pids = 1000}},
        {"for the system",
         {.count = 3, .pairs = system},
         {0},
         {.cpu_millis = 3750, .memory_bytes = INT64_C(3221225472), .pids = 990}},
        {"for both",
         {.count = 3, .pairs = system},
         {.count = 3, .pairs = kube},
         {.cpu_millis = 2750, .memory_bytes = INT64_C(2684354560), .pids = 983}},
        {"one resource alone",
         {0},
         {.count = 1, .pairs = kube},
         {.cpu_millis = 4000, .memory_bytes = INT64_C(3758096384), .pids = 1000}},
        {"more than there can be", {.count = 3, .pairs = huge}, {.count = 3, .pairs = huge}, {0}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct config config = {.system_reserved = rows[i].system,
                                      .kube_reserved = rows[i].kube};
        struct cgroup_node_limits have = {
            .cpu_millis = 4000, .memory_bytes = INT64_C(4294967296), .pids = 1000};
        node_subtract_reserved(&config, &have);
        if (have.cpu_millis != rows[i].want.cpu_millis ||
            have.memory_bytes != rows[i].want.memory_bytes || have.pids != rows[i].want.pids)
            fail_msg("%s: %lld %lld %lld", rows[i].name, (long long)have.cpu_millis,
                     (long long)have.memory_bytes, (long long)have.pids);
    }
}

TEST_MAIN(TEST(a_given_name_is_taken_as_it_is), TEST(what_is_reserved_is_taken_off_the_limits))
