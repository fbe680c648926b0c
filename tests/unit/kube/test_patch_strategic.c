#include "kube/patch.h"
#include "tests/unit/kube/doc_text.h"

#include "core.pb-c.h"

struct row {
    const char *name;
    const char *document;
    const char *patch;
    const char *want;
};

/* Pods, of which only what matters is written. */
static const struct row rows[] = {
    {"set and add", "{'spec':{'nodeName':'a'}}", "{'spec':{'nodeName':'b','hostname':'h'}}",
     "{'spec':{'nodeName':'b','hostname':'h'}}"},
    {"null removes", "{'spec':{'nodeName':'a','hostname':'h'}}", "{'spec':{'hostname':null}}",
     "{'spec':{'nodeName':'a'}}"},
    {"null for what is missing", "{'spec':{}}", "{'spec':{'hostname':null}}", "{'spec':{}}"},
    {"nulls in what is new are dropped", "{}", "{'spec':{'hostname':null,'nodeName':'a'}}",
     "{'spec':{'nodeName':'a'}}"},
    {"maps are merged", "{'metadata':{'labels':{'a':'1','b':'2'}}}",
     "{'metadata':{'labels':{'b':null,'c':'3'}}}", "{'metadata':{'labels':{'a':'1','c':'3'}}}"},
    {"kind and apiVersion", "{'kind':'Pod','apiVersion':'v1'}", "{'kind':'Pod','apiVersion':'v1'}",
     "{'kind':'Pod','apiVersion':'v1'}"},
    {"another kind of value replaces", "{'metadata':{'labels':'x'}}",
     "{'metadata':{'labels':{'a':null,'b':'1'}}}", "{'metadata':{'labels':{'b':'1'}}}"},

    {"$patch replace of an object", "{'metadata':{'name':'n','labels':{'a':'1'}}}",
     "{'metadata':{'labels':{'$patch':'replace','b':'2'}}}",
     "{'metadata':{'name':'n','labels':{'b':'2'}}}"},
    {"$patch delete of an object", "{'metadata':{'name':'n','labels':{'a':'1'}}}",
     "{'metadata':{'labels':{'$patch':'delete'}}}", "{'metadata':{'name':'n','labels':{}}}"},
    {"$patch delete of what is missing", "{'metadata':{'name':'n'}}",
     "{'metadata':{'labels':{'$patch':'delete'}}}", "{'metadata':{'name':'n'}}"},

    {"containers merge by name",
     "{'spec':{'containers':[{'name':'a','image':'1'},{'name':'b','image':'1'}]}}",
     "{'spec':{'containers':[{'name':'b','image':'2'}]}}",
     "{'spec':{'containers':[{'name':'a','image':'1'},{'name':'b','image':'2'}]}}"},
    {"a new container goes first", "{'spec':{'containers':[{'name':'a'},{'name':'b'}]}}",
     "{'spec':{'containers':[{'name':'c'}]}}",
     "{'spec':{'containers':[{'name':'c'},{'name':'a'},{'name':'b'}]}}"},
    {"the patch's order wins", "{'spec':{'containers':[{'name':'a'},{'name':'b'},{'name':'c'}]}}",
     "{'spec':{'containers':[{'name':'c','image':'x'},{'name':'a','image':'y'}]}}",
     "{'spec':{'containers':[{'name':'b'},{'name':'c','image':'x'},{'name':'a','image':'y'}]}}"},
    {"$patch delete of an element", "{'spec':{'containers':[{'name':'a'},{'name':'b'}]}}",
     "{'spec':{'containers':[{'$patch':'delete','name':'a'}]}}",
     "{'spec':{'containers':[{'name':'b'}]}}"},
    {"$patch delete takes all with the key",
     "{'spec':{'containers':[{'name':'a'},{'name':'b'},{'name':'a'}]}}",
     "{'spec':{'containers':[{'$patch':'delete','name':'a'}]}}",
     "{'spec':{'containers':[{'name':'b'}]}}"},
    {"$patch delete of an element that is missing", "{'spec':{'containers':[{'name':'b'}]}}",
     "{'spec':{'containers':[{'$patch':'delete','name':'a'}]}}",
     "{'spec':{'containers':[{'name':'b'}]}}"},
    {"$patch delete in a list that is new", "{'spec':{}}",
     "{'spec':{'containers':[{'$patch':'delete','name':'a'},{'name':'b'}]}}",
     "{'spec':{'containers':[{'name':'b'}]}}"},
    {"$patch replace of a list", "{'spec':{'containers':[{'name':'a'},{'name':'b'}]}}",
     "{'spec':{'containers':[{'name':'c'},{'$patch':'replace'},{'name':'a','image':'x'}]}}",
     "{'spec':{'containers':[{'name':'c'},{'name':'a','image':'x'}]}}"},
    {"$patch replace empties a list", "{'spec':{'containers':[{'name':'a'}]}}",
     "{'spec':{'containers':[{'$patch':'replace'}]}}", "{'spec':{'containers':[]}}"},
    {"an element twice in the patch", "{'spec':{'containers':[]}}",
     "{'spec':{'containers':[{'name':'a','image':'1'},{'name':'a','workingDir':'/'}]}}",
     "{'spec':{'containers':[{'name':'a','image':'1','workingDir':'/'}]}}"},
    {"nested lists", "{'spec':{'containers':[{'name':'a','env':[{'name':'X','value':'1'}]}]}}",
     "{'spec':{'containers':[{'name':'a','env':[{'name':'X','value':'2'}]}]}}",
     "{'spec':{'containers':[{'name':'a','env':[{'name':'X','value':'2'}]}]}}"},
    {"numbers as keys",
     "{'spec':{'containers':[{'name':'a','ports':[{'containerPort':80},{'containerPort':443}]}]}}",
     "{'spec':{'containers':[{'name':'a','ports':[{'containerPort':443,'name':'s'}]}]}}",
     "{'spec':{'containers':[{'name':'a','ports':[{'containerPort':80},{'containerPort':443,"
     "'name':'s'}]}]}}"},
    {"inlined fields have their keys too",
     "{'spec':{'ephemeralContainers':[{'name':'d','env':[{'name':'X','value':'1'},{'name':'Y'}]}]}"
     "}",
     "{'spec':{'ephemeralContainers':[{'name':'d','env':[{'name':'X','value':'2'}]}]}}",
     "{'spec':{'ephemeralContainers':[{'name':'d','env':[{'name':'X','value':'2'},{'name':'Y'}]}]}"
     "}"},
    {"a list without key is replaced", "{'spec':{'containers':[{'name':'a','args':['1','2']}]}}",
     "{'spec':{'containers':[{'name':'a','args':['3']}]}}",
     "{'spec':{'containers':[{'name':'a','args':['3']}]}}"},
    {"tolerations are replaced", "{'spec':{'tolerations':[{'key':'a'},{'key':'b'}]}}",
     "{'spec':{'tolerations':[{'key':'c'}]}}", "{'spec':{'tolerations':[{'key':'c'}]}}"},
    {"an inlined probe",
     "{'spec':{'containers':[{'name':'a','livenessProbe':{'exec':{'command':["
     "'x']},'periodSeconds':1}}]}}",
     "{'spec':{'containers':[{'name':'a','livenessProbe':{'exec':null,'tcpSocket':{'port':1}}}]}}",
     "{'spec':{'containers':[{'name':'a','livenessProbe':{'periodSeconds':1,'tcpSocket':{'port':1}"
     "}}]}}"},

    {"$retainKeys drops the old source", "{'spec':{'volumes':[{'name':'v','emptyDir':{}}]}}",
     "{'spec':{'volumes':[{'$retainKeys':['name','hostPath'],'name':'v','hostPath':{'path':'/'}}]}"
     "}",
     "{'spec':{'volumes':[{'name':'v','hostPath':{'path':'/'}}]}}"},
    {"$retainKeys in what is new", "{'spec':{'volumes':[]}}",
     "{'spec':{'volumes':[{'$retainKeys':['name','hostPath'],'name':'v','hostPath':{'path':'/'}}]}"
     "}",
     "{'spec':{'volumes':[{'name':'v','hostPath':{'path':'/'}}]}}"},
    {"$retainKeys may name more than the patch has",
     "{'spec':{'volumes':[{'name':'v','emptyDir':{'medium':'Memory'},'hostPath':{'path':'/'}}]}}",
     "{'spec':{'volumes':[{'$retainKeys':['name','emptyDir'],'name':'v'}]}}",
     "{'spec':{'volumes':[{'name':'v','emptyDir':{'medium':'Memory'}}]}}"},

    {"scalars are added in front", "{'metadata':{'finalizers':['a','b']}}",
     "{'metadata':{'finalizers':['c']}}", "{'metadata':{'finalizers':['c','a','b']}}"},
    {"scalars are added once", "{'metadata':{'finalizers':['a','b']}}",
     "{'metadata':{'finalizers':['b','b']}}", "{'metadata':{'finalizers':['a','b']}}"},
    {"$deleteFromPrimitiveList", "{'metadata':{'finalizers':['a','b','c']}}",
     "{'metadata':{'$deleteFromPrimitiveList/finalizers':['b','x']}}",
     "{'metadata':{'finalizers':['a','c']}}"},
    {"$deleteFromPrimitiveList of what is missing", "{'metadata':{}}",
     "{'metadata':{'$deleteFromPrimitiveList/finalizers':['b']}}", "{'metadata':{}}"},
    {"$deleteFromPrimitiveList null", "{'metadata':{'finalizers':['a']}}",
     "{'metadata':{'$deleteFromPrimitiveList/finalizers':null}}", "{'metadata':{}}"},
    {"add, delete and order", "{'metadata':{'finalizers':['a','b','c']}}",
     "{'metadata':{'$setElementOrder/finalizers':['d','c','a'],"
     "'$deleteFromPrimitiveList/finalizers':['b'],'finalizers':['d']}}",
     "{'metadata':{'finalizers':['d','c','a']}}"},

    {"$setElementOrder alone", "{'spec':{'containers':[{'name':'a'},{'name':'b'},{'name':'c'}]}}",
     "{'spec':{'$setElementOrder/containers':[{'name':'c'},{'name':'b'},{'name':'a'}]}}",
     "{'spec':{'containers':[{'name':'c'},{'name':'b'},{'name':'a'}]}}"},
    {"$setElementOrder keeps what it does not name",
     "{'spec':{'containers':[{'name':'a'},{'name':'x'},{'name':'b'}]}}",
     "{'spec':{'$setElementOrder/containers':[{'name':'b'},{'name':'n'},{'name':'a'}],"
     "'containers':[{'name':'n'}]}}",
     "{'spec':{'containers':[{'name':'x'},{'name':'b'},{'name':'n'},{'name':'a'}]}}"},
    {"$setElementOrder with deletions",
     "{'spec':{'containers':[{'name':'a'},{'name':'b'},{'name':'c'}]}}",
     "{'spec':{'$setElementOrder/containers':[{'name':'c'},{'name':'a'}],"
     "'containers':[{'$patch':'delete','name':'b'}]}}",
     "{'spec':{'containers':[{'name':'c'},{'name':'a'}]}}"},
    {"$setElementOrder for a list that is new", "{'spec':{}}",
     "{'spec':{'$setElementOrder/containers':[{'name':'b'},{'name':'a'}],"
     "'containers':[{'name':'b'},{'name':'a'}]}}",
     "{'spec':{'containers':[{'name':'b'},{'name':'a'}]}}"},
    {"$setElementOrder for nothing", "{'spec':{}}",
     "{'spec':{'$setElementOrder/containers':[{'name':'b'}]}}", "{'spec':{}}"},
    {"directives in what is new vanish", "{}",
     "{'spec':{'$setElementOrder/containers':[{'name':'a'}],'containers':[{'name':'a'}],"
     "'$retainKeys':['containers']}}",
     "{'spec':{'containers':[{'name':'a'}]}}"},
};

static const struct row errors[] = {
    {"no merge key in the patch", "{'spec':{'containers':[{'name':'a'}]}}",
     "{'spec':{'containers':[{'image':'x','args':['1',2]}]}}",
     "map: map[args:[1 2] image:x] does not contain declared merge key: name"},
    {"no merge key in a deletion", "{'spec':{'containers':[{'name':'a'}]}}",
     "{'spec':{'containers':[{'$patch':'delete'}]}}",
     "map: map[$patch:delete] does not contain declared merge key: name"},
    {"$patch merge in a list", "{'spec':{'containers':[{'name':'a'}]}}",
     "{'spec':{'containers':[{'$patch':'merge','name':'a'}]}}",
     "merging lists cannot yet be specified in the patch"},
    {"an unknown directive in a list", "{'spec':{'containers':[{'name':'a'}]}}",
     "{'spec':{'containers':[{'$patch':'x','name':'a'}]}}",
     "unknown patch type: x in map: map[$patch:x name:a]"},
    {"an unknown directive", "{'spec':{}}", "{'spec':{'$patch':'merge'}}",
     "unknown patch type: merge in map: map[$patch:merge]"},
    {"an unknown list", "{'spec':{'x':[1]}}", "{'spec':{'x':[2]}}",
     "unable to find api field in struct PodSpec for the json field \"x\""},
    {"an unknown object", "{'x':{}}", "{'x':{}}",
     "unable to find api field in struct Pod for the json field \"x\""},
    {"different elements", "{'spec':{'containers':[{'name':'a'}]}}",
     "{'spec':{'containers':['a']}}", "list element types are not identical: [[a]]"},
    {"lists in lists", "{'spec':{'containers':[{'name':'a'}]}}", "{'spec':{'containers':[[]]}}",
     "lists of lists are not supported"},
    {"$retainKeys without what it adds", "{'spec':{'volumes':[{'name':'v'}]}}",
     "{'spec':{'volumes':[{'$retainKeys':['name'],'name':'v','emptyDir':{}}]}}",
     "invalid patch format of retainKeys"},
    {"$retainKeys that is no list", "{'spec':{'volumes':[{'name':'v'}]}}",
     "{'spec':{'volumes':[{'$retainKeys':'name','name':'v'}]}}",
     "invalid patch format of retainKeys"},
    {"$setElementOrder that is no list", "{'spec':{}}",
     "{'spec':{'$setElementOrder/containers':'a'}}",
     "expected a []interface {}, but received a string"},
    {"$setElementOrder without a name", "{'spec':{}}", "{'spec':{'$setElementOrder':[]}}",
     "invalid patch format of setElementOrder list"},
    {"$setElementOrder without a key", "{'spec':{'containers':[{'name':'a'}]}}",
     "{'spec':{'$setElementOrder/containers':[{'x':'a'}]}}",
     "map: map[x:a] does not contain declared merge key: name"},
    {"$setElementOrder of what is no list", "{'spec':{}}",
     "{'spec':{'$setElementOrder/nodeName':[]}}", "expected slice or array type, but got: struct"},
    {"the patch does not follow its order", "{'spec':{'containers':[{'name':'a'}]}}",
     "{'spec':{'$setElementOrder/containers':[{'name':'a'}],'containers':[{'name':'b'}]}}",
     "The order in patch list:\n[map[name:b]]\n doesn't match $setElementOrder list:\n"
     "[map[name:a]]\n"},
    {"$deleteFromPrimitiveList without a name", "{'metadata':{}}",
     "{'metadata':{'$deleteFromPrimitiveList':[]}}", "invalid patch format of primitive list"},
    {"$deleteFromPrimitiveList of objects", "{'spec':{'containers':[{'name':'a'}]}}",
     "{'spec':{'$deleteFromPrimitiveList/containers':[{'name':'a'}]}}",
     "invalid patch format of primitive list"},
    {"no object", "{}", "[]", "invalid JSON document"},
};

TEST_CASE(a_strategic_patch_merges_by_the_type)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct doc_node *document = doc_parse(rows[i].document, arena), *got = NULL;
        AUTO(error)
        struct error *err = kube_patch_strategic(document, doc_parse(rows[i].patch, arena),
                                                 &core__pod__descriptor, arena, &got);
        if (err)
            fail_msg("%s: %s", rows[i].name, err->message);
        assert_doc(rows[i].name, got, rows[i].want, arena);
        assert_doc(rows[i].name, document, rows[i].document, arena);
    }
}

TEST_CASE(a_strategic_patch_that_does_not_fit_says_why)
{
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct doc_node *got = NULL;
        AUTO(error)
        struct error *err = kube_patch_strategic(doc_parse(errors[i].document, arena),
                                                 doc_parse(errors[i].patch, arena),
                                                 &core__pod__descriptor, arena, &got);
        if (!err)
            fail_msg("%s: no error", errors[i].name);
        assert_string_equal(err->message, errors[i].want);
        assert_int_equal(err->code, ERROR_INVALID_ARGUMENT);
        assert_non_null(err->reason);
        assert_null(got);
    }
}

TEST_MAIN(TEST(a_strategic_patch_merges_by_the_type),
          TEST(a_strategic_patch_that_does_not_fit_says_why))
