#include "plane/object_meta.h"
#include "tests/lib/test.h"
#include "tests/unit/plane/object_yaml.h"

#include "core.pb-c.h"

static Meta__ObjectMeta *meta_of(const char *yaml, struct arena *arena)
{
    return (Meta__ObjectMeta *)object_parse(yaml, &meta__object_meta__descriptor, arena);
}

TEST_CASE(uids_are_random_and_well_formed)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *first = object_uid_new(arena), *second = object_uid_new(arena);
    assert_string_not_equal(first, second);
    assert_int_equal(strlen(first), 36);
    assert_int_equal(first[14], '4');
    assert_non_null(strchr("89ab", first[19]));
    for (size_t i = 0; i < 36; i++)
        assert_non_null(
            strchr(i == 8 || i == 13 || i == 18 || i == 23 ? "-" : "0123456789abcdef", first[i]));
}

TEST_CASE(generated_names_stay_within_a_label)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *name = object_name_generate("web-", arena);
    assert_int_equal(strlen(name), 9);
    assert_true(text_has_prefix(name, "web-"));
    assert_int_equal(strspn(name + 4, "bcdfghjklmnpqrstvwxz2456789"), 5);
    char prefix[101] = "";
    memset(prefix, 'a', sizeof(prefix) - 1);
    assert_int_equal(strlen(object_name_generate(prefix, arena)), 63);
}

struct taken {
    int left; /* how many more names are in use */
    int asked;
    const char *last;
};

static bool is_taken(void *ctx, const char *name)
{
    struct taken *taken = ctx;
    if (taken->last)
        assert_string_not_equal(taken->last, name);
    taken->last = name;
    taken->asked++;
    return taken->left-- > 0;
}

TEST_CASE(a_name_in_use_is_not_generated)
{
    static const struct {
        const char *name;
        int taken, asked;
    } rows[] = {
        {"the first is free", 0, 1},
        {"the third is free", 2, 3},
        {"the eighth is free", 7, 7},
        {"none is free", 100, 7}, /* the eighth is given out untried: storing it will tell */
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].name);
        struct taken taken = {.left = rows[i].taken};
        const char *name = object_name_pick("web-", is_taken, &taken, arena);
        assert_int_equal(taken.asked, rows[i].asked);
        assert_true(text_has_prefix(name, "web-"));
        if (rows[i].taken < 7)
            assert_string_equal(name, taken.last);
        else
            assert_string_not_equal(name, taken.last);
    }
}

TEST_CASE(a_new_object_has_nothing_that_only_the_server_says)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Meta__ObjectMeta *meta = meta_of("{generateName: a-, uid: mine, resourceVersion: '7',"
                                     " generation: 3, selfLink: /x, deletionGracePeriodSeconds: 5,"
                                     " deletionTimestamp: '2020-01-01T00:00:00Z',"
                                     " creationTimestamp: '2020-01-01T00:00:00Z'}",
                                     arena);
    object_meta_create(meta, 1500 * NS_PER_SEC + 999, arena);
    assert_string_not_equal(meta->uid, "mine");
    assert_null(meta->resource_version);
    assert_null(meta->self_link);
    assert_false(meta->has_generation);
    assert_null(meta->deletion_timestamp);
    assert_false(meta->has_deletion_grace_period_seconds);
    assert_int_equal(object_time_ns(meta->creation_timestamp), 1500 * NS_PER_SEC);
    assert_int_equal(object_time_ns(NULL), 0);
}

TEST_CASE(an_update_keeps_what_is_the_server_s)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Meta__ObjectMeta *old =
        meta_of("{name: a, namespace: space, uid: u, generation: 3, resourceVersion: '7',"
                " creationTimestamp: '2020-01-01T00:00:00Z', labels: {x: old}}",
                arena);
    Meta__ObjectMeta *meta =
        meta_of("{name: a, uid: forged, generation: 9, resourceVersion: '8',"
                " deletionTimestamp: '2020-01-01T00:00:00Z', labels: {x: new}}",
                arena);
    object_meta_carry_over(meta, old);
    assert_string_equal(meta->namespace_, "space");
    assert_string_equal(meta->uid, "u");
    assert_int_equal(meta->generation, 3);
    assert_string_equal(meta->resource_version, "8");
    assert_null(meta->deletion_timestamp);
    assert_string_equal(meta->labels[0]->value, "new");
}

TEST_CASE(finalizers_are_a_set)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Meta__ObjectMeta *meta = meta_of("{finalizers: [a/a, b/b, a/a]}", arena);
    assert_true(object_has_finalizer(meta, "b/b"));
    object_add_finalizer(meta, "b/b", arena);
    assert_int_equal(meta->n_finalizers, 3);
    object_remove_finalizer(meta, "a/a");
    assert_int_equal(meta->n_finalizers, 1);
    object_add_finalizer(meta, "c/c", arena);
    assert_string_equal(meta->finalizers[1], "c/c");
    object_remove_finalizer(meta, "none");
    assert_int_equal(meta->n_finalizers, 2);
    assert_string_equal(object_json(&meta->base, arena), "{\"finalizers\":[\"b/b\",\"c/c\"]}");
}

TEST_MAIN(TEST(uids_are_random_and_well_formed), TEST(generated_names_stay_within_a_label),
          TEST(a_name_in_use_is_not_generated),
          TEST(a_new_object_has_nothing_that_only_the_server_says),
          TEST(an_update_keeps_what_is_the_server_s), TEST(finalizers_are_a_set))
