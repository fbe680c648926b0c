#include "kube/message_map.h"

#include "kube/codec.h"
#include "tests/lib/test.h"

#include "core.pb-c.h"

static Meta__ObjectMeta *meta_new(struct arena *arena)
{
    return (Meta__ObjectMeta *)kube_message_new(&meta__object_meta__descriptor, arena);
}

static void assert_annotation(const Meta__ObjectMeta *meta, size_t index, const char *key,
                              const char *value)
{
    assert_true(index < meta->n_annotations);
    assert_string_equal(meta->annotations[index]->key, key);
    assert_string_equal(meta->annotations[index]->value, value);
}

TEST_CASE(a_key_is_added_and_changed)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Meta__ObjectMeta *meta = meta_new(arena);
    message_map_set(&meta->base, "annotations", "b", "1", arena);
    message_map_set(&meta->base, "annotations", "a", "2", arena);
    assert_int_equal(meta->n_annotations, 2);
    assert_annotation(meta, 0, "b", "1");
    assert_annotation(meta, 1, "a", "2");
    message_map_set(&meta->base, "annotations", "b", "", arena);
    assert_int_equal(meta->n_annotations, 2);
    assert_annotation(meta, 1, "b", "");
    assert_int_equal(meta->n_labels, 0);
}

TEST_CASE(what_is_shared_stays_as_it_is)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Meta__ObjectMeta *meta = meta_new(arena);
    message_map_set(&meta->base, "annotations", "a", "1", arena);
    Meta__ObjectMeta other = *meta;
    message_map_set(&other.base, "annotations", "a", "2", arena);
    message_map_set(&other.base, "annotations", "b", "3", arena);
    assert_int_equal(meta->n_annotations, 1);
    assert_annotation(meta, 0, "a", "1");
    assert_annotation(&other, 0, "a", "2");
}

/* As a decoder may leave it that takes every entry. */
TEST_CASE(a_key_that_is_there_twice_is_there_once)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Meta__ObjectMeta *meta = meta_new(arena);
    message_map_set(&meta->base, "labels", "a", "1", arena);
    Meta__ObjectMeta__LabelsEntry *twice[] = {meta->labels[0], meta->labels[0]};
    meta->labels = twice;
    meta->n_labels = 2;
    message_map_set(&meta->base, "labels", "a", "2", arena);
    assert_int_equal(meta->n_labels, 1);
    assert_string_equal(meta->labels[0]->value, "2");
}

TEST_CASE(quantities_are_set_by_their_text)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__ResourceRequirements *resources = (Core__ResourceRequirements *)kube_message_new(
        &core__resource_requirements__descriptor, arena);
    message_map_set(&resources->base, "limits", "cpu", "250m", arena);
    message_map_set(&resources->base, "requests", "memory", "64Mi", arena);
    assert_int_equal(resources->n_limits, 1);
    assert_string_equal(resources->limits[0]->key, "cpu");
    assert_string_equal(resources->limits[0]->value->string, "250m");
    assert_string_equal(resources->requests[0]->value->string, "64Mi");
}

TEST_MAIN(TEST(a_key_is_added_and_changed), TEST(what_is_shared_stays_as_it_is),
          TEST(a_key_that_is_there_twice_is_there_once), TEST(quantities_are_set_by_their_text))
