#include "kube/field_set.h"
#include "tests/unit/kube/doc_text.h"

#include "core.pb-c.h"

static const struct field_set *parse(const char *text, struct arena *arena)
{
    const struct field_set *set = NULL;
    AUTO(error) struct error *err = field_set_parse(doc_parse(text, arena), arena, &set);
    if (err)
        fail_msg("%s: %s", text, err->message);
    return set;
}

#define assert_set(name, set, want, arena)                                                         \
    assert_doc((name), field_set_document((set), (arena)), (want), (arena))

TEST_CASE(a_set_reads_and_writes_fields_v1)
{
    static const struct {
        const char *name, *text, *want; /* want NULL: as it came */
    } rows[] = {
        {"empty", "{}", NULL},
        {"fields", "{'f:metadata':{'f:labels':{'.':{},'f:app':{}},'f:name':{}}}", NULL},
        {"order",
         "{'i:1':{},'i:0':{},'v:true':{},'v:\\'b\\'':{},'v:1':{},'v:\\'a\\'':{},'f:b':{},'f:a':{},"
         "'k:{\\'name\\':\\'z\\'}':{},'k:{\\'name\\':\\'a\\'}':{}}",
         "{'f:a':{},'f:b':{},'k:{\\'name\\':\\'a\\'}':{},'k:{\\'name\\':\\'z\\'}':{},'v:1':{},'v:"
         "\\'a\\'':{},'v:\\'b\\'':{},'v:true':{},'i:0':{},'i:1':{}}"},
        {"keys are sorted", "{'k:{\\'protocol\\':\\'TCP\\',\\'containerPort\\':80}':{'f:name':{}}}",
         "{'k:{\\'containerPort\\':80,\\'protocol\\':\\'TCP\\'}':{'f:name':{}}}"},
        {"unknown kinds are dropped", "{'x:a':{},'f:a':{'y:':{'f:b':{}}}}", "{'f:a':{}}"},
        {"twice", "{'k:{\\'a\\':1}':{'f:x':{}},'k:{\\'a\\':1.0}':{'.':{},'f:y':{}}}",
         "{'k:{\\'a\\':1}':{'.':{},'f:x':{},'f:y':{}}}"},
        {"a name with a colon", "{'f:a:b':{}}", NULL},
        {"an empty name", "{'f:':{}}", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        assert_set(rows[i].name, parse(rows[i].text, arena),
                   rows[i].want ? rows[i].want : rows[i].text, arena);
    }
}

TEST_CASE(what_is_no_set_is_refused)
{
    static const char *const rows[] = {"[]",
                                       "{'f':{}}",
                                       "{'':{}}",
                                       "{'f:a':1}",
                                       "{'k:[]':{}}",
                                       "{'k:{':{}}",
                                       "{'v:x':{}}",
                                       "{'v:{}':{}}",
                                       "{'i:x':{}}",
                                       "{'.x':{}}",
                                       "{'k:{\\'a\\':[]}':{}}"};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct field_set *set = NULL;
        AUTO(error) struct error *err = field_set_parse(doc_parse(rows[i], arena), arena, &set);
        if (!error_is(err, ERROR_INVALID_ARGUMENT))
            fail_msg("%s was read", rows[i]);
    }
}

TEST_CASE(sets_unite_intersect_and_subtract)
{
    static const struct {
        const char *a, *b, *united, *common, *rest, *without;
    } rows[] = {
        {"{}", "{}", "{}", "{}", "{}", "{}"},
        {"{'f:a':{}}", "{}", "{'f:a':{}}", "{}", "{'f:a':{}}", "{'f:a':{}}"},
        {"{}", "{'f:a':{}}", "{'f:a':{}}", "{}", "{}", "{}"},
        {"{'f:a':{},'f:b':{}}", "{'f:b':{},'f:c':{}}", "{'f:a':{},'f:b':{},'f:c':{}}", "{'f:b':{}}",
         "{'f:a':{}}", "{'f:a':{}}"},
        /* A path and what is below it do not touch, but for field_set_without(). */
        {"{'f:a':{'f:b':{}}}", "{'f:a':{}}", "{'f:a':{'.':{},'f:b':{}}}", "{}",
         "{'f:a':{'f:b':{}}}", "{}"},
        {"{'f:a':{}}", "{'f:a':{'f:b':{}}}", "{'f:a':{'.':{},'f:b':{}}}", "{}", "{'f:a':{}}",
         "{'f:a':{}}"},
        {"{'f:a':{'.':{},'f:b':{},'f:c':{}}}", "{'f:a':{'.':{},'f:b':{}}}",
         "{'f:a':{'.':{},'f:b':{},'f:c':{}}}", "{'f:a':{'.':{},'f:b':{}}}", "{'f:a':{'f:c':{}}}",
         "{}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct field_set *a = parse(rows[i].a, arena), *b = parse(rows[i].b, arena);
        assert_set("union", field_set_union(a, b, arena), rows[i].united, arena);
        assert_set("union", field_set_union(b, a, arena), rows[i].united, arena);
        assert_set("intersection", field_set_intersection(a, b, arena), rows[i].common, arena);
        assert_set("difference", field_set_difference(a, b, arena), rows[i].rest, arena);
        assert_set("without", field_set_without(a, b, arena), rows[i].without, arena);
        assert_true(field_set_equal(a, parse(rows[i].a, arena)));
        assert_int_equal(field_set_equal(a, b), text_eq(rows[i].a, rows[i].b));
    }
}

struct path_list {
    struct arena *arena;
    const char *text;
};

static void add_path(void *ctx, const struct field_element *path, size_t count)
{
    struct path_list *list = ctx;
    list->text =
        arena_printf(list->arena, "%s%s ", list->text, field_path_text(path, count, list->arena));
}

TEST_CASE(paths_are_told_level_by_level)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct path_list list = {.arena = arena, .text = ""};
    field_set_each(
        parse("{'f:spec':{'f:ports':{'k:{\\'port\\':80,\\'protocol\\':\\'TCP\\'}':{'.':{},'f:name':"
              "{}}},'f:finalizers':{'v:\\'x\\'':{}},'f:type':{}},'f:zeta':{},'f:old':{'i:3':{}}}",
              arena),
        add_path, &list);
    assert_string_equal(list.text, ".zeta .old[3] .spec.type .spec.finalizers[=\"x\"] "
                                   ".spec.ports[port=80,protocol=\"TCP\"] "
                                   ".spec.ports[port=80,protocol=\"TCP\"].name ");
}

TEST_CASE(the_fields_of_a_pod_follow_its_type)
{
    static const struct {
        const char *name, *document, *want;
    } rows[] = {
        {"scalars and structs", "{'apiVersion':'v1','spec':{'nodeName':'a','hostNetwork':false}}",
         "{'f:apiVersion':{},'f:spec':{'f:hostNetwork':{},'f:nodeName':{}}}"},
        {"a map", "{'metadata':{'labels':{'b':'1','a':'2'}}}",
         "{'f:metadata':{'f:labels':{'f:a':{},'f:b':{}}}}"},
        {"an empty map", "{'metadata':{'labels':{}}}", "{'f:metadata':{'f:labels':{}}}"},
        {"an atomic map", "{'spec':{'nodeSelector':{'a':'1'}}}",
         "{'f:spec':{'f:nodeSelector':{}}}"},
        {"an atomic list", "{'spec':{'tolerations':[{'key':'a'}]}}",
         "{'f:spec':{'f:tolerations':{}}}"},
        {"an empty list that is merged", "{'spec':{'containers':[]}}", "{}"},
        {"a set", "{'metadata':{'finalizers':['b','a']}}",
         "{'f:metadata':{'f:finalizers':{'v:\\'a\\'':{},'v:\\'b\\'':{}}}}"},
        {"keys and their defaults",
         "{'spec':{'containers':[{'name':'c','ports':[{'containerPort':80,'name':'w'},{"
         "'containerPort':53,'protocol':'UDP'}]}]}}",
         "{'f:spec':{'f:containers':{'k:{\\'name\\':\\'c\\'}':{'.':{},'f:name':{},'f:ports':{'k:{"
         "\\'containerPort\\':53,\\'protocol\\':\\'UDP\\'}':{'.':{},'f:containerPort':{},"
         "'f:protocol':{}},'k:{\\'containerPort\\':80,\\'protocol\\':\\'TCP\\'}':{'.':{},"
         "'f:containerPort':{},'f:name':{}}}}}}}"},
        {"an atomic struct", "{'spec':{'imagePullSecrets':[{'name':'s'}]}}",
         "{'f:spec':{'f:imagePullSecrets':{'k:{\\'name\\':\\'s\\'}':{}}}}"},
        {"quantities and times",
         "{'metadata':{'deletionTimestamp':'x'},'spec':{'overhead':{'cpu':'1'}}}",
         "{'f:metadata':{'f:deletionTimestamp':{}},'f:spec':{'f:overhead':{'f:cpu':{}}}}"},
        {"null", "{'metadata':{'labels':null,'name':null}}",
         "{'f:metadata':{'f:labels':{},'f:name':{}}}"},
        {"duplicates count once",
         "{'spec':{'containers':[{'name':'c','image':'a'},{'name':'c','image':'b'}]}}",
         "{'f:spec':{'f:containers':{'k:{\\'name\\':\\'c\\'}':{}}}}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct field_set *set = NULL;
        assert_no_error(field_set_of_document(doc_parse(rows[i].document, arena),
                                              &core__pod__descriptor, true, arena, &set));
        assert_set(rows[i].name, set, rows[i].want, arena);
        /* What is written is read as the same set. */
        const struct field_set *back = NULL;
        assert_no_error(field_set_parse(field_set_document(set, arena), arena, &back));
        assert_true(field_set_equal(set, back));
    }
}

TEST_CASE(documents_without_fields_of_their_type_are_refused)
{
    static const struct {
        const char *document, *error;
    } rows[] = {
        {"{'spec':{'x':1}}", ".spec.x: field not declared in schema"},
        {"{'spec':{'containers':[{'name':'a'},{'name':'a'}]}}",
         ".spec.containers: duplicate entries for key [name=\"a\"]"},
        {"{'spec':{'containers':[{'name':'a','env':['x']}]}}",
         ".spec.containers[name=\"a\"].env: element 0: associative list with keys may not have "
         "non-map elements"},
        {"{'metadata':{'finalizers':[{}]}}",
         ".metadata.finalizers: element 0: associative list without keys has an element that is no "
         "scalar"},
        {"{'spec':{'containers':[{'name':{}}]}}",
         ".spec.containers: element 0: the key field \"name\" is no scalar"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct field_set *set = NULL;
        assert_error_message(field_set_of_document(doc_parse(rows[i].document, arena),
                                                   &core__pod__descriptor, false, arena, &set),
                             rows[i].error);
    }
}

TEST_MAIN(TEST(a_set_reads_and_writes_fields_v1), TEST(what_is_no_set_is_refused),
          TEST(sets_unite_intersect_and_subtract), TEST(paths_are_told_level_by_level),
          TEST(the_fields_of_a_pod_follow_its_type),
          TEST(documents_without_fields_of_their_type_are_refused))
