/* The limits of dead containers on a node, one rule a case. */
#include "pod/gc.h"

#include "base/arena.h"
#include "tests/lib/test.h"

#define MAX_DEAD 12

/* Containers "<pod>/<name>@<created>", with "!" those that are needed; at time 100. Returns what is
 * surplus in the same words, by age. */
static const char *surplus(const char *dead, struct gc_policy policy, struct arena *arena)
{
    struct gc_container items[MAX_DEAD];
    size_t count = 0;
    struct str rest = str_from(dead), item, pod, name;
    while (str_split_next(&rest, ' ', &item)) {
        bool needed = item.ptr[item.len - 1] == '!';
        const char *id = arena_strndup(arena, item.ptr, item.len - (needed ? 1 : 0));
        item = str_from(id);
        assert_true(str_split_next(&item, '/', &pod) && str_split_next(&item, '@', &name));
        items[count++] = (struct gc_container){.id = id,
                                               .pod_uid = arena_strndup(arena, pod.ptr, pod.len),
                                               .name = arena_strndup(arena, name.ptr, name.len),
                                               .created_ns = strtoll(strchr(id, '@') + 1, NULL, 10),
                                               .is_needed = needed};
    }
    policy.now_ns = 100;
    gc_plan(items, count, &policy);
    const char *text = "";
    for (int64_t at = 0; at <= policy.now_ns; at++) {
        for (size_t i = 0; i < count; i++) {
            if (items[i].created_ns == at && items[i].is_surplus)
                text = arena_printf(arena, "%s%s%s", text, *text ? " " : "", items[i].id);
        }
    }
    return text;
}

static void assert_surplus(const char *dead, struct gc_policy policy, const char *want)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    assert_string_equal(surplus(dead, policy, arena), want);
}

TEST_CASE(of_each_container_the_newest_stay)
{
    struct gc_policy policy = {.max_per_container = 1, .max_containers = -1};
    assert_surplus("p/a@1 p/a@3 p/a@2 p/b@1 q/a@1", policy, "p/a@1 p/a@2");
    policy.max_per_container = 2;
    assert_surplus("p/a@1 p/a@3 p/a@2 p/b@1 q/a@1", policy, "p/a@1");
    policy.max_per_container = 0;
    assert_surplus("p/a@1 q/b@2", policy, "p/a@1 q/b@2");
}

TEST_CASE(negative_limits_are_none)
{
    struct gc_policy policy = {.max_per_container = -1, .max_containers = -1};
    assert_surplus("p/a@1 p/a@3 p/a@2 q/a@1", policy, "");
}

TEST_CASE(what_is_younger_than_the_least_age_is_left_alone_and_not_counted)
{
    struct gc_policy policy = {.max_per_container = 1, .max_containers = -1, .min_age_ns = 10};
    assert_surplus("p/a@88 p/a@89 p/a@90 p/a@91 p/a@92", policy, "p/a@88 p/a@89");
    policy.max_containers = 0;
    assert_surplus("p/a@95 q/a@90", policy, "q/a@90");
}

TEST_CASE(a_limit_of_the_node_is_shared_evenly)
{
    struct gc_policy policy = {.max_per_container = 4, .max_containers = 4};
    assert_surplus("p/a@1 p/a@2 p/a@3 p/a@4 q/b@5", policy, "p/a@1 p/a@2");
    assert_surplus("p/a@1 p/a@2 p/a@3 q/b@5", policy, "");
}

TEST_CASE(each_container_keeps_one_before_the_oldest_of_all_go)
{
    struct gc_policy policy = {.max_per_container = 4, .max_containers = 2};
    assert_surplus("p/a@5 p/a@6 q/b@1 q/b@2 r/c@3 r/c@4", policy, "q/b@1 q/b@2 r/c@3 p/a@5");
    policy.max_containers = 0;
    assert_surplus("p/a@5 q/b@1", policy, "q/b@1 p/a@5");
}

TEST_CASE(what_is_needed_counts_but_stays)
{
    struct gc_policy policy = {.max_per_container = 0, .max_containers = -1};
    assert_surplus("p/a@1 p/a@2! q/b@3", policy, "p/a@1 q/b@3");
    policy = (struct gc_policy){.max_per_container = 1, .max_containers = 1};
    assert_surplus("p/a@1! q/b@2 r/c@3!", policy, "q/b@2");
}

TEST_MAIN(TEST(of_each_container_the_newest_stay), TEST(negative_limits_are_none),
          TEST(what_is_younger_than_the_least_age_is_left_alone_and_not_counted),
          TEST(a_limit_of_the_node_is_shared_evenly),
          TEST(each_container_keeps_one_before_the_oldest_of_all_go),
          TEST(what_is_needed_counts_but_stays))
