#include "tests/lib/test.h"
#include "tests/unit/kube/doc_text.h"
#include "wire/doc_build.h"

#include <stdio.h>

TEST_CASE(a_builder_makes_the_tree_that_was_written)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    static const char text[] =
        "{'a':[1,-2,0.5,true,false,null,[],{}],'b':{'c':'x'},'':'empty key','big':1e+30}";
    struct doc_builder builder;
    const struct doc_node *node = NULL;
    doc_builder_init(&builder, arena);
    doc_write_node(&builder.base, doc_parse(text, arena));
    assert_no_error(doc_builder_finish(&builder, &node));
    assert_doc("tree", node, text, arena);
    assert_int_equal(doc_get(node, "a")->array.items[0]->kind, DOC_INTEGER);
    assert_int_equal(doc_count(doc_get(node, "a")), 8);
    assert_int_equal(doc_count(node), 0);
    assert_int_equal(doc_count(NULL), 0);
    assert_string_equal(doc_get_text(node, "a"), "");
    assert_string_equal(doc_get_text(node, "x"), "");
    assert_string_equal(doc_get_text(NULL, "x"), "");
    assert_string_equal(doc_get_text(node, ""), "empty key");
    assert_int_equal(doc_get(node, "a")->array.items[2]->kind, DOC_REAL);
}

TEST_CASE(a_builder_refuses_what_is_too_deep)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t depth = DOC_MAX_DEPTH; depth <= DOC_MAX_DEPTH + 1; depth++) {
        struct doc_builder builder;
        const struct doc_node *node = NULL;
        doc_builder_init(&builder, arena);
        for (size_t i = 0; i < depth; i++)
            builder.base.ops->begin_array(&builder.base);
        for (size_t i = 0; i < depth; i++)
            builder.base.ops->end_array(&builder.base);
        AUTO(error) struct error *err = doc_builder_finish(&builder, &node);
        assert_int_equal(error_is(err, ERROR_RESOURCE_EXHAUSTED), depth > DOC_MAX_DEPTH);
    }
}

TEST_CASE(a_builder_refuses_what_is_too_large)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct doc_builder builder;
    const struct doc_node *node = NULL;
    doc_builder_init(&builder, arena);
    builder.base.ops->begin_array(&builder.base);
    for (size_t i = 0; i < DOC_MAX_NODES; i++)
        doc_write_bool(&builder.base, true);
    builder.base.ops->end_array(&builder.base);
    assert_error_code(doc_builder_finish(&builder, &node), ERROR_RESOURCE_EXHAUSTED);
}

TEST_CASE(members_are_set_and_removed_in_copies)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *object = doc_parse("{'a':1,'b':2}", arena);
    const struct doc_node *word = doc_new_text(arena, STR_LITERAL("x"));
    assert_doc("set", doc_with_member(object, "a", word, arena), "{'a':'x','b':2}", arena);
    assert_doc("add", doc_with_member(object, "c", word, arena), "{'a':1,'b':2,'c':'x'}", arena);
    assert_doc("make", doc_with_member(NULL, "c", word, arena), "{'c':'x'}", arena);
    assert_doc("remove", doc_without_member(object, "a", arena), "{'b':2}", arena);
    assert_ptr_equal(doc_without_member(object, "z", arena), object);
    assert_doc("original", object, "{'a':1,'b':2}", arena);
}

TEST_CASE(equal_values_are_equal_in_any_order)
{
    static const struct {
        const char *a, *b;
        bool want;
    } rows[] = {
        {"{'a':1,'b':[1,2]}", "{'b':[1,2],'a':1}", true},
        {"{'a':1}", "{'a':1.0}", true},
        {"{'a':1}", "{'b':1}", false},
        {"{'a':1}", "{'a':1,'b':1}", false},
        {"[1,2]", "[2,1]", false},
        {"'1'", "1", false},
        {"null", "false", false},
        {"0", "false", false},
        {"{'a':null}", "{}", false},
        {"[[]]", "[{}]", false},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct doc_node *a = doc_parse(rows[i].a, arena), *b = doc_parse(rows[i].b, arena);
        assert_int_equal(doc_equal(a, b), rows[i].want);
        assert_int_equal(doc_equal(b, a), rows[i].want);
    }
}

TEST_CASE(sorting_reaches_all_objects)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *node = doc_parse("{'b':[{'d':1,'c':2}],'a':{'$z':1,'A':2}}", arena);
    assert_doc("sorted", doc_sorted(node, arena), "{'a':{'$z':1,'A':2},'b':[{'c':2,'d':1}]}",
               arena);
}

TEST_CASE(measuring_counts_values_and_levels)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct doc_extent extent = doc_measure(doc_parse("{'a':[1,2,{}]}", arena), 100);
    assert_int_equal(extent.nodes, 5);
    assert_int_equal(extent.depth, 3);
    assert_int_equal(doc_measure(doc_parse("'x'", arena), 100).depth, 0);
    assert_no_error(doc_check_extent(doc_parse("[[]]", arena), "it"));
}

/* A chain of lists that each hold the one before twice: few nodes, 2^60 values. */
TEST_CASE(measuring_a_tree_of_shared_nodes_ends)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *node = doc_null();
    for (size_t i = 0; i < 60; i++) {
        const struct doc_node *both[] = {node, node};
        node = doc_new_array(arena, both, 2);
    }
    assert_error_message(doc_check_extent(node, "the patch"),
                         "the patch has more than 1048576 values");
}

TEST_CASE(an_edited_object_finds_its_members_however_many)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(doc_edit) struct doc_edit edit;
    char key[32];
    doc_edit_init(&edit, doc_parse("{'k3':true,'other':1}", arena));
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        doc_edit_set(&edit, str_from(arena_strdup(arena, key)), doc_new_integer(arena, i));
    }
    for (int i = 0; i < 1000; i += 2) {
        snprintf(key, sizeof(key), "k%d", i);
        doc_edit_remove(&edit, str_from(key));
        doc_edit_remove(&edit, str_from(key));
    }
    doc_edit_remove(&edit, STR_LITERAL("never there"));
    assert_int_equal(edit.live, 501);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        const struct doc_node *node = doc_edit_get(&edit, str_from(key));
        assert_int_equal(node != NULL, i % 2 == 1);
        assert_true(!node || node->integer == i);
    }
    doc_edit_set(&edit, STR_LITERAL("k2"), doc_null());
    const struct doc_node *node = doc_edit_node(&edit, arena);
    assert_int_equal(node->object.count, 502);
    assert_true(str_eq_c(node->object.members[0].key, "k3"));
    assert_true(str_eq_c(node->object.members[1].key, "other"));
    assert_non_null(doc_get(node, "k2"));

    AUTO(doc_edit) struct doc_edit again;
    doc_edit_init(&again, node);
    assert_int_equal(again.live, 502);
    assert_non_null(doc_edit_get(&again, STR_LITERAL("k999")));
    assert_null(doc_edit_get(&again, STR_LITERAL("k998")));
}

TEST_MAIN(TEST(a_builder_makes_the_tree_that_was_written), TEST(a_builder_refuses_what_is_too_deep),
          TEST(a_builder_refuses_what_is_too_large), TEST(members_are_set_and_removed_in_copies),
          TEST(equal_values_are_equal_in_any_order), TEST(sorting_reaches_all_objects),
          TEST(measuring_counts_values_and_levels), TEST(measuring_a_tree_of_shared_nodes_ends),
          TEST(an_edited_object_finds_its_members_however_many))
