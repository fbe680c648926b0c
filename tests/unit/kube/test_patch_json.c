#include "kube/patch.h"
#include "tests/unit/kube/doc_text.h"

struct row {
    const char *name;
    const char *document;
    const char *patch;
    const char *want; /* NULL: an error */
    const char *error;
    const char *reason;
};

/* The first rows are the cases of RFC 6902, appendix A. */
static const struct row rows[] = {
    {"add a member", "{'foo':'bar'}", "[{'op':'add','path':'/baz','value':'qux'}]",
     "{'foo':'bar','baz':'qux'}", NULL, NULL},
    {"add an element", "{'foo':['bar','baz']}", "[{'op':'add','path':'/foo/1','value':'qux'}]",
     "{'foo':['bar','qux','baz']}", NULL, NULL},
    {"remove a member", "{'baz':'qux','foo':'bar'}", "[{'op':'remove','path':'/baz'}]",
     "{'foo':'bar'}", NULL, NULL},
    {"remove an element", "{'foo':['bar','qux','baz']}", "[{'op':'remove','path':'/foo/1'}]",
     "{'foo':['bar','baz']}", NULL, NULL},
    {"replace a value", "{'baz':'qux','foo':'bar'}",
     "[{'op':'replace','path':'/baz','value':'boo'}]", "{'baz':'boo','foo':'bar'}", NULL, NULL},
    {"move a value", "{'foo':{'bar':'baz','waldo':'fred'},'qux':{'corge':'grault'}}",
     "[{'op':'move','from':'/foo/waldo','path':'/qux/thud'}]",
     "{'foo':{'bar':'baz'},'qux':{'corge':'grault','thud':'fred'}}", NULL, NULL},
    {"move an element", "{'foo':['all','grass','cows','eat']}",
     "[{'op':'move','from':'/foo/1','path':'/foo/3'}]", "{'foo':['all','cows','eat','grass']}",
     NULL, NULL},
    {"test that holds", "{'baz':'qux','foo':['a',2,'c']}",
     "[{'op':'test','path':'/baz','value':'qux'},{'op':'test','path':'/foo/1','value':2}]",
     "{'baz':'qux','foo':['a',2,'c']}", NULL, NULL},
    {"test that fails", "{'baz':'qux'}", "[{'op':'test','path':'/baz','value':'bar'}]", NULL,
     "testing value /baz failed: test failed", "Invalid"},
    {"add a nested object", "{'foo':'bar'}",
     "[{'op':'add','path':'/child','value':{'grandchild':{}}}]",
     "{'foo':'bar','child':{'grandchild':{}}}", NULL, NULL},
    {"ignore what is unknown", "{'foo':'bar'}",
     "[{'op':'add','path':'/baz','value':'qux','xyz':123}]", "{'foo':'bar','baz':'qux'}", NULL,
     NULL},
    {"add below what is missing", "{'foo':'bar'}", "[{'op':'add','path':'/baz/bat','value':'q'}]",
     NULL, "add operation does not apply: doc is missing path: \"/baz/bat\": missing value",
     "Invalid"},
    {"escaped tokens", "{'/':9,'~1':10}", "[{'op':'test','path':'/~01','value':10}]",
     "{'/':9,'~1':10}", NULL, NULL},
    {"escaped slash", "{'metadata':{'annotations':{'a/b':1}}}",
     "[{'op':'remove','path':'/metadata/annotations/a~1b'}]", "{'metadata':{'annotations':{}}}",
     NULL, NULL},
    {"a number is no text", "{'/':9,'~1':10}", "[{'op':'test','path':'/~01','value':'10'}]", NULL,
     "testing value /~01 failed: test failed", "Invalid"},
    {"append", "{'foo':['bar']}", "[{'op':'add','path':'/foo/-','value':['abc','def']}]",
     "{'foo':['bar',['abc','def']]}", NULL, NULL},

    {"no operation", "{'a':1}", "[]", "{'a':1}", NULL, NULL},
    {"add replaces a member", "{'a':1}", "[{'op':'add','path':'/a','value':null}]", "{'a':null}",
     NULL, NULL},
    {"add at the end", "[1]", "[{'op':'add','path':'/1','value':2}]", "[1,2]", NULL, NULL},
    {"add beyond the end", "[1]", "[{'op':'add','path':'/2','value':2}]", NULL,
     "error in add for path: '/2': value was not a proper array index: '2': Unable to access "
     "invalid index: 2: invalid index referenced",
     "Invalid"},
    {"add at no index", "[1]", "[{'op':'add','path':'/x','value':2}]", NULL,
     "error in add for path: '/x': value was not a proper array index: 'x': strconv.Atoi: parsing "
     "\"x\": invalid syntax",
     "Invalid"},
    {"an index with a leading zero", "[1,2]", "[{'op':'remove','path':'/01'}]", "[1]", NULL, NULL},
    {"an index with a sign", "[1,2]", "[{'op':'remove','path':'/+1'}]", "[1]", NULL, NULL},
    {"an index with two signs", "[1,2]", "[{'op':'remove','path':'/+-1'}]", NULL,
     "error in remove for path: '/+-1': strconv.Atoi: parsing \"+-1\": invalid syntax", "Invalid"},
    {"the last element", "[1,2]", "[{'op':'replace','path':'/-1','value':3}]", "[1,3]", NULL, NULL},
    {"remove what is missing", "{'a':{}}", "[{'op':'remove','path':'/a/b'}]", NULL,
     "error in remove for path: '/a/b': Unable to remove nonexistent key: b: missing value",
     "Invalid"},
    {"remove below a scalar", "{'a':1}", "[{'op':'remove','path':'/a/b'}]", NULL,
     "remove operation does not apply: doc is missing path: \"/a/b\": missing value", "Invalid"},
    {"replace what is missing", "{'a':1}", "[{'op':'replace','path':'/b','value':2}]",
     "{'a':1,'b':2}", NULL, NULL},
    {"replace an element that is missing", "[1]", "[{'op':'replace','path':'/1','value':2}]", NULL,
     "replace operation does not apply: doc is missing key: /1: missing value", "Invalid"},
    {"copy what is missing", "{'a':1}", "[{'op':'copy','from':'/b','path':'/c'}]",
     "{'a':1,'c':null}", NULL, NULL},
    {"copy from below what is missing", "{'a':1}", "[{'op':'copy','from':'/b/c','path':'/c'}]",
     NULL, "copy operation does not apply: doc is missing from path: /b/c: missing value",
     "Invalid"},
    {"move from below what is missing", "{'a':1}", "[{'op':'move','from':'/b/c','path':'/c'}]",
     NULL, "move operation does not apply: doc is missing from path: /b/c: missing value",
     "Invalid"},
    {"replace below what is missing", "{'a':1}", "[{'op':'replace','path':'/b/c','value':2}]", NULL,
     "replace operation does not apply: doc is missing path: /b/c: missing value", "Invalid"},
    {"replace an element", "{'a':[1,2,3]}", "[{'op':'replace','path':'/a/1','value':{'x':1}}]",
     "{'a':[1,{'x':1},3]}", NULL, NULL},
    {"replace all", "{'a':1}", "[{'op':'replace','path':'','value':{'b':2}}]", "{'b':2}", NULL,
     NULL},
    {"move over itself", "{'a':1,'b':2}", "[{'op':'move','from':'/a','path':'/a'}]",
     "{'b':2,'a':1}", NULL, NULL},
    {"move into itself", "{'a':{'b':1}}", "[{'op':'move','from':'/a','path':'/a/c'}]", NULL,
     "move operation does not apply: doc is missing destination path: /a/c: missing value",
     "Invalid"},
    {"move what is missing", "{'a':1}", "[{'op':'move','from':'/b','path':'/c'}]", NULL,
     "error in move for path: 'b': Unable to remove nonexistent key: b: missing value", "Invalid"},
    {"copy is a copy", "{'a':{'x':1}}",
     "[{'op':'copy','from':'/a','path':'/b'},{'op':'add','path':'/b/x','value':2}]",
     "{'a':{'x':1},'b':{'x':2}}", NULL, NULL},
    {"copy into itself", "{'a':{'x':1}}", "[{'op':'copy','from':'/a','path':'/a/y'}]",
     "{'a':{'x':1,'y':{'x':1}}}", NULL, NULL},
    {"a value is not shared between operations", "{}",
     "[{'op':'add','path':'/a','value':{'l':[]}},{'op':'copy','from':'/a','path':'/b'},"
     "{'op':'add','path':'/b/l/-','value':1}]",
     "{'a':{'l':[]},'b':{'l':[1]}}", NULL, NULL},
    {"test what is missing against null", "{'a':1}", "[{'op':'test','path':'/b','value':null}]",
     "{'a':1}", NULL, NULL},
    {"test what is missing", "{'a':1}", "[{'op':'test','path':'/b','value':1}]", NULL,
     "testing value /b failed: test failed", "Invalid"},
    {"test objects in any order", "{'a':{'x':1,'y':[1,2]}}",
     "[{'op':'test','path':'/a','value':{'y':[1,2],'x':1}}]", "{'a':{'x':1,'y':[1,2]}}", NULL,
     NULL},
    {"a failure undoes all", "{'a':1}",
     "[{'op':'remove','path':'/a'},{'op':'test','path':'/a','value':1}]", NULL,
     "testing value /a failed: test failed", "Invalid"},
    {"unknown operation", "{}", "[{'op':'spam','path':'/a'}]", NULL, "Unexpected kind: spam",
     "Invalid"},
    {"no operation name", "{}", "[{'path':'/a'}]", NULL, "Unexpected kind: unknown", "Invalid"},
    {"no path", "{}", "[{'op':'remove'}]", NULL,
     "remove operation failed to decode path: missing value", "Invalid"},
    {"no from", "{}", "[{'op':'move','path':'/a'}]", NULL,
     "move operation failed to decode from: missing value", "Invalid"},
    {"no value", "{}", "[{'op':'add','path':'/a'}]", NULL,
     "add operation failed to decode value: missing value", "Invalid"},
    {"a pointer without slash", "{'a':1}", "[{'op':'remove','path':'a'}]", NULL,
     "remove operation does not apply: doc is missing path: \"a\": missing value", "Invalid"},
    {"no array", "{}", "{'op':'add'}", NULL,
     "error decoding patch: expected an array of operations", "BadRequest"},
    {"no objects", "{}", "[1]", NULL, "error decoding patch: an operation is no object",
     "BadRequest"},
};

TEST_CASE(operations_apply_in_order_or_say_why_not)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *row = &rows[i];
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct doc_node *document = doc_parse(row->document, arena), *got = NULL;
        AUTO(error)
        struct error *err = kube_patch_json(document, doc_parse(row->patch, arena), arena, &got);
        if ((err != NULL) != (row->want == NULL))
            fail_msg("%s: %s", row->name, err ? err->message : "no error");
        if (err) {
            assert_null(got);
            assert_string_equal(err->message, row->error);
            assert_string_equal(err->reason, row->reason);
        } else {
            assert_doc(row->name, got, row->want, arena);
        }
        assert_doc(row->name, document, row->document, arena);
    }
}

static const struct doc_node *operations(const char *first, const char *each, size_t count,
                                         struct arena *arena)
{
    AUTO(buf) struct buf text;
    buf_init(&text, 64 * MiB);
    buf_printf(&text, "[%s", first);
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, ",%s", each);
    buf_add_text(&text, "]");
    return doc_parse(buf_text(&text), arena);
}

struct bomb {
    const char *name;
    const char *first, *each;
    size_t count;
    const char *error;
};

TEST_CASE(patches_that_blow_up_are_refused)
{
    static const struct bomb bombs[] = {
        {"too many operations", "{'op':'test','path':'','value':{'a':[]}}",
         "{'op':'test','path':'','value':{'a':[]}}", KUBE_JSON_PATCH_MAX_OPERATIONS,
         "The allowed maximum operations in a JSON patch is 10000, got 10001"},
        {"a copy of a copy", "{'op':'add','path':'/a','value':[1,2,3,4]}",
         "{'op':'copy','from':'','path':'/b'},{'op':'copy','from':'/b','path':'/a/-'}", 100,
         "error while adding value during copy: the JSON patch makes the document too deep or too "
         "large"},
        {"wide copies", "{'op':'add','path':'/a','value':[1,2,3,4]}",
         "{'op':'copy','from':'/a','path':'/b'},{'op':'copy','from':'/b','path':'/a/-'},"
         "{'op':'copy','from':'/b','path':'/a/-'},{'op':'copy','from':'/b','path':'/a/-'}",
         100,
         "error while adding value during copy: the JSON patch makes the document too deep or too "
         "large"},
        {"ever deeper", "{'op':'add','path':'/a','value':{}}",
         "{'op':'move','from':'/a','path':'/b'},{'op':'add','path':'/a','value':{}},"
         "{'op':'move','from':'/b','path':'/a/b'}",
         100,
         "error in move for path: '/a/b': the JSON patch makes the document too deep or too large"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bombs); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct doc_node *got = NULL;
        const struct doc_node *patch =
            operations(bombs[i].first, bombs[i].each, bombs[i].count, arena);
        AUTO(error)
        struct error *err = kube_patch_json(doc_parse("{'a':[]}", arena), patch, arena, &got);
        assert_true(error_is(err, ERROR_RESOURCE_EXHAUSTED));
        assert_string_equal(err->message, bombs[i].error);
        assert_string_equal(err->reason, "RequestEntityTooLarge");
        assert_true(arena_held(arena) < 600 * MiB);
    }
}

TEST_CASE(many_insertions_at_the_front_end_soon)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *got = NULL;
    const struct doc_node *patch = operations("{'op':'add','path':'/a/0','value':1}",
                                              "{'op':'add','path':'/a/0','value':1}", 9999, arena);
    assert_no_error(kube_patch_json(doc_parse("{'a':[]}", arena), patch, arena, &got));
    assert_int_equal(doc_get(got, "a")->array.count, 10000);
}

TEST_MAIN(TEST(operations_apply_in_order_or_say_why_not), TEST(patches_that_blow_up_are_refused),
          TEST(many_insertions_at_the_front_end_soon))
