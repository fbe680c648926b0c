#include "kube/patch.h"
#include "tests/unit/kube/doc_text.h"

/* The cases of RFC 7386, appendix A, and a few more; nulls inside arrays as upstream has them. */
static const struct {
    const char *document, *patch, *want;
} rows[] = {
    {"{'a':'b'}", "{'a':'c'}", "{'a':'c'}"},
    {"{'a':'b'}", "{'b':'c'}", "{'a':'b','b':'c'}"},
    {"{'a':'b'}", "{'a':null}", "{}"},
    {"{'a':'b','b':'c'}", "{'a':null}", "{'b':'c'}"},
    {"{'a':['b']}", "{'a':'c'}", "{'a':'c'}"},
    {"{'a':'c'}", "{'a':['b']}", "{'a':['b']}"},
    {"{'a':{'b':'c'}}", "{'a':{'b':'d','c':null}}", "{'a':{'b':'d'}}"},
    {"{'a':[{'b':'c'}]}", "{'a':[1]}", "{'a':[1]}"},
    {"['a','b']", "['c','d']", "['c','d']"},
    {"{'a':'b'}", "['c']", "['c']"},
    {"{'a':'foo'}", "null", "null"},
    {"{'a':'foo'}", "'bar'", "'bar'"},
    {"{'e':null}", "{'a':1}", "{'e':null,'a':1}"},
    {"[1,2]", "{'a':'b','c':null}", "{'a':'b'}"},
    {"{}", "{'a':{'bb':{'ccc':null}}}", "{'a':{'bb':{}}}"},
    {"{'a':1}", "{}", "{'a':1}"},
    {"{'a':{'b':1}}", "{'a':{}}", "{'a':{'b':1}}"},
    {"{'a':1}", "{'a':[{'b':null},null,[{'c':null,'d':1}]]}", "{'a':[{},null,[{'d':1}]]}"},
    {"{}", "{'a':{'b':[{'c':null}]}}", "{'a':{'b':[{}]}}"},
};

TEST_CASE(a_merge_patch_replaces_merges_and_removes)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct doc_node *document = doc_parse(rows[i].document, arena), *got = NULL;
        assert_no_error(kube_patch_merge(document, doc_parse(rows[i].patch, arena), arena, &got));
        assert_doc(rows[i].patch, got, rows[i].want, arena);
        assert_doc(rows[i].patch, document, rows[i].document, arena);
    }
}

/* A tree whose nodes are shared, as a YAML alias makes it: few nodes, far too many values. */
TEST_CASE(a_patch_of_shared_nodes_is_refused)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *node = doc_null(), *got = NULL;
    for (size_t i = 0; i < 40; i++)
        node = doc_with_member(doc_with_member(NULL, "a", node, arena), "b", node, arena);
    AUTO(error) struct error *err = kube_patch_merge(doc_parse("{}", arena), node, arena, &got);
    assert_true(error_is(err, ERROR_RESOURCE_EXHAUSTED));
    assert_string_equal(err->reason, "RequestEntityTooLarge");
}

TEST_MAIN(TEST(a_merge_patch_replaces_merges_and_removes), TEST(a_patch_of_shared_nodes_is_refused))
