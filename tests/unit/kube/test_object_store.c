#include "kube/object_store.h"
#include "tests/lib/test.h"

#include "core.pb-c.h"

static const struct object_store_limits generous = {.max_objects = 100, .max_bytes = 1 * MiB};

static struct kube_object *config_map(const char *namespace_, const char *name, const char *version)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct kube_kind *kind = kube_kind_find("v1", "ConfigMap");
    ProtobufCMessage *message = kube_message_new(kind->type, arena);
    Meta__ObjectMeta *meta = kube_object_ensure_meta(message, arena);
    meta->namespace_ = arena_strdup(arena, namespace_);
    meta->name = arena_strdup(arena, name);
    meta->uid = arena_strdup(arena, "u");
    meta->resource_version = arena_strdup(arena, version);
    return kube_object_new(kind, message);
}

TEST_CASE(an_object_lives_as_long_as_somebody_holds_it)
{
    struct kube_object *object = config_map("a", "b", "1");
    const struct kube_object *held = kube_object_ref(object);
    kube_object_unref(object);
    assert_string_equal(kube_object_name(held), "b");
    assert_string_equal(kube_object_namespace(held), "a");
    assert_true(held->bytes >= sizeof(Core__ConfigMap));
    kube_object_unref(held);
    kube_object_unref(NULL);
    assert_null(kube_object_ref(NULL));
}

TEST_CASE(an_object_without_metadata_gets_empty_ones)
{
    Core__ConfigMap bare = CORE__CONFIG_MAP__INIT;
    AUTO(kube_object)
    const struct kube_object *object =
        kube_object_new(kube_kind_find("v1", "ConfigMap"), &bare.base);
    assert_string_equal(kube_object_name(object), "");
    assert_string_equal(kube_object_uid(object), "");
    assert_false(kube_object_is_same(object, object->meta)); /* no version is no state */
}

TEST_CASE(a_state_is_uid_and_version)
{
    AUTO(kube_object) const struct kube_object *one = config_map("a", "b", "1");
    AUTO(kube_object) const struct kube_object *again = config_map("a", "b", "1");
    AUTO(kube_object) const struct kube_object *two = config_map("a", "b", "2");
    assert_true(kube_object_is_same(one, again->meta));
    assert_false(kube_object_is_same(one, two->meta));
}

TEST_CASE(objects_are_found_by_namespace_and_name)
{
    AUTO(object_store) struct object_store *store = object_store_new(&generous);
    static const struct {
        const char *namespace_, *name;
    } names[] = {{"a", "x"}, {"b", "x"}, {NULL, "x"}, {"a", "y"}};
    struct kube_object *old = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        AUTO(kube_object)
        const struct kube_object *object = config_map(names[i].namespace_, names[i].name, "1");
        assert_no_error(object_store_put(store, object, &old));
        assert_null(old);
    }
    assert_int_equal(object_store_count(store), 4);
    assert_string_equal(kube_object_namespace(object_store_find(store, "b", "x")), "b");
    assert_string_equal(kube_object_namespace(object_store_find(store, "", "x")), "");
    assert_ptr_equal(object_store_find(store, NULL, "x"), object_store_find(store, "", "x"));
    assert_null(object_store_find(store, "b", "y"));

    size_t seen = 0;
    for (const struct kube_object *object = object_store_next(store, NULL); object;
         object = object_store_next(store, object))
        assert_string_equal(kube_object_name(object), names[seen++].name);
    assert_int_equal(seen, 4);

    AUTO(kube_object) const struct kube_object *taken = object_store_take(store, "a", "x");
    assert_non_null(taken);
    assert_null(object_store_take(store, "a", "x"));
    assert_int_equal(object_store_count(store), 3);
    object_store_clear(store);
    assert_int_equal(object_store_bytes(store), 0);
    assert_null(object_store_next(store, NULL));
}

TEST_CASE(a_full_store_refuses_and_stays_as_it_was)
{
    AUTO(kube_object) const struct kube_object *one = config_map("a", "1", "1");
    AUTO(kube_object) const struct kube_object *newer = config_map("a", "1", "2");
    AUTO(kube_object) const struct kube_object *two = config_map("a", "2", "1");
    struct kube_object *old = NULL;
    const struct object_store_limits one_object = {.max_objects = 1, .max_bytes = 1 * MiB};
    AUTO(object_store) struct object_store *few = object_store_new(&one_object);
    assert_no_error(object_store_put(few, one, &old));
    assert_error_message(object_store_put(few, two, &old), "more than 1 objects of kind ConfigMap");
    assert_no_error(object_store_put(few, newer, &old));
    assert_ptr_equal(old, one);
    kube_object_unref(old);

    const struct object_store_limits few_bytes = {.max_objects = 9, .max_bytes = one->bytes};
    AUTO(object_store) struct object_store *small = object_store_new(&few_bytes);
    assert_no_error(object_store_put(small, one, &old));
    assert_error_code(object_store_put(small, two, &old), ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(object_store_bytes(small), one->bytes);
    assert_no_error(object_store_put(small, newer, &old));
    kube_object_unref(old);
    assert_int_equal(object_store_count(small), 1);
}

TEST_MAIN(TEST(an_object_lives_as_long_as_somebody_holds_it),
          TEST(an_object_without_metadata_gets_empty_ones), TEST(a_state_is_uid_and_version),
          TEST(objects_are_found_by_namespace_and_name),
          TEST(a_full_store_refuses_and_stays_as_it_was))
