#include "node/node_map.h"
#include "tests/lib/test.h"

static const char *text_of(const struct node_map *map)
{
    const char *text = "";
    for (size_t i = 0; i < map->count; i++)
        text = arena_printf(map->arena, "%s%s=%s ", text, map->pairs[i].key, map->pairs[i].value);
    return text;
}

TEST_CASE(keys_are_sorted_and_unique)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_map map = {.arena = arena};
    assert_null(node_map_get(&map, "a"));
    node_map_remove(&map, "a");
    node_map_set(&map, "b", "1");
    node_map_set(&map, "a", "2");
    node_map_set(&map, "c", "3");
    node_map_set(&map, "b", "4");
    assert_string_equal(text_of(&map), "a=2 b=4 c=3 ");
    assert_string_equal(node_map_get(&map, "c"), "3");
    node_map_remove(&map, "b");
    node_map_remove(&map, "b");
    assert_string_equal(text_of(&map), "a=2 c=3 ");
    node_map_remove(&map, "c");
    node_map_remove(&map, "a");
    assert_int_equal(map.count, 0);
}

TEST_CASE(it_grows)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_map map = {.arena = arena};
    for (int i = 99; i >= 0; i--)
        node_map_set(&map, arena_printf(arena, "%02d", i), "x");
    assert_int_equal(map.count, 100);
    for (size_t i = 1; i < map.count; i++)
        assert_true(strcmp(map.pairs[i - 1].key, map.pairs[i].key) < 0);
}

TEST_CASE(what_is_stored_is_loaded_again)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_map map = {.arena = arena}, labels = {.arena = arena},
                    annotations = {.arena = arena};
    struct node_map capacity = {.arena = arena}, allocatable = {.arena = arena};
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    Core__NodeStatus status = CORE__NODE_STATUS__INIT;
    node_map_set(&map, "b", "1");
    node_map_set(&map, "a", "2");
    node_map_store_labels(&map, &meta);
    node_map_store_annotations(&map, &meta);
    node_map_store_capacity(&map, &status);
    node_map_store_allocatable(&map, &status);
    node_map_load_labels(&labels, &meta);
    node_map_load_annotations(&annotations, &meta);
    node_map_load_capacity(&capacity, &status);
    node_map_load_allocatable(&allocatable, &status);
    assert_string_equal(text_of(&labels), "a=2 b=1 ");
    assert_string_equal(text_of(&annotations), "a=2 b=1 ");
    assert_string_equal(text_of(&capacity), "a=2 b=1 ");
    assert_string_equal(text_of(&allocatable), "a=2 b=1 ");
}

TEST_MAIN(TEST(keys_are_sorted_and_unique), TEST(it_grows), TEST(what_is_stored_is_loaded_again))
