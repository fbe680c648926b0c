#include "kube/apply.h"
#include "tests/unit/kube/doc_text.h"

#include "core.pb-c.h"

#define ANNOTATION "kubectl.kubernetes.io/last-applied-configuration"

/* An object that is written to time and again; each write is a second later. */
struct store {
    struct arena *arena;
    const ProtobufCMessageDescriptor *type;
    const struct doc_node *live; /* NULL: none yet */
    int64_t now_s;
    struct kube_apply_result result;
};

static struct kube_apply_request request_of(struct store *store, const char *manager,
                                            const char *text)
{
    return (struct kube_apply_request){.type = store->type,
                                       .api_version = "v1",
                                       .manager = manager,
                                       .live = store->live,
                                       .object = doc_parse(text, store->arena),
                                       .now_s = ++store->now_s};
}

static struct error *try_apply(struct store *store, const char *manager, bool is_forced,
                               const char *text)
{
    struct kube_apply_request request = request_of(store, manager, text);
    request.is_forced = is_forced;
    struct error *err = kube_apply(&request, store->arena, &store->result);
    if (!err)
        store->live = store->result.object;
    return err;
}

static void apply(struct store *store, const char *manager, const char *text)
{
    AUTO(error) struct error *err = try_apply(store, manager, false, text);
    if (err)
        fail_msg("%s applies %s: %s", manager, text, err->message);
}

static void update(struct store *store, const char *manager, const char *text)
{
    struct kube_apply_request request = request_of(store, manager, text);
    AUTO(error) struct error *err = kube_update_managers(&request, store->arena, &store->live);
    if (err)
        fail_msg("%s updates %s: %s", manager, text, err->message);
}

static const struct doc_node *without_metadata(const struct store *store)
{
    return doc_without_member(
        doc_without_member(doc_without_member(store->live, "metadata", store->arena), "kind",
                           store->arena),
        "apiVersion", store->arena);
}

/* "manager Operation second fields; …" in the order of managedFields. */
static const char *managers_text(const struct store *store)
{
    struct kube_managers managers = {0};
    const char *text = "";
    assert_no_error(kube_managers_of(store->live, store->type, store->arena, &managers));
    for (size_t i = 0; i < managers.count; i++) {
        const struct kube_manager *manager = &managers.items[i];
        text = arena_printf(
            store->arena, "%s%s%s%s%s %s %lld %s", text, i ? "; " : "", manager->name,
            manager->subresource[0] ? "/" : "", manager->subresource,
            manager->operation == KUBE_MANAGER_APPLY ? "Apply" : "Update",
            manager->has_time ? (long long)manager->time_s : -1LL,
            doc_print(field_set_document(manager->fields, store->arena), store->arena));
    }
    return text;
}

#define assert_store(name, store, want_object, want_managers)                                      \
    do {                                                                                           \
        assert_doc((name), without_metadata(store), (want_object), (store)->arena);                \
        assert_string_equal(managers_text(store), (want_managers));                                \
    } while (0)

#define MAP(data) "{'apiVersion':'v1','kind':'ConfigMap','data':" data "}"

TEST_CASE(applying_creates_merges_and_removes)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct store store = {.arena = arena, .type = &core__config_map__descriptor};
    apply(&store, "a", MAP("{'x':'1','y':'1'}"));
    assert_store("created", &store, "{'data':{'x':'1','y':'1'}}",
                 "a Apply 1 {'f:data':{'f:x':{},'f:y':{}}}");
    assert_true(store.result.is_changed);

    apply(&store, "b", MAP("{'y':'1','z':'1'}"));
    assert_store("shared", &store, "{'data':{'x':'1','y':'1','z':'1'}}",
                 "a Apply 1 {'f:data':{'f:x':{},'f:y':{}}}; b Apply 2 "
                 "{'f:data':{'f:y':{},'f:z':{}}}");

    apply(&store, "a", MAP("{'w':'1'}"));
    assert_store("dropped: x was a's alone, y is b's too", &store,
                 "{'data':{'y':'1','z':'1','w':'1'}}",
                 "b Apply 2 {'f:data':{'f:y':{},'f:z':{}}}; a Apply 3 {'f:data':{'f:w':{}}}");

    apply(&store, "a", MAP("{'w':'1'}"));
    assert_false(store.result.is_changed);
    assert_store("nothing new keeps its time", &store, "{'data':{'y':'1','z':'1','w':'1'}}",
                 "b Apply 2 {'f:data':{'f:y':{},'f:z':{}}}; a Apply 3 {'f:data':{'f:w':{}}}");

    apply(&store, "b", "{'apiVersion':'v1','kind':'ConfigMap'}");
    assert_store("b owns nothing any more", &store, "{'data':{'w':'1'}}",
                 "a Apply 3 {'f:data':{'f:w':{}}}");
}

TEST_CASE(conflicts_name_manager_and_path)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct store store = {.arena = arena, .type = &core__config_map__descriptor};
    update(&store, "kubectl-client-side-apply", MAP("{'key':'1','other':'1'}"));
    assert_store("created", &store, "{'data':{'key':'1','other':'1'}}",
                 "kubectl-client-side-apply Update 1 {'f:data':{'.':{},'f:key':{},'f:other':{}}}");

    const struct doc_node *before = store.live;
    assert_error_message(try_apply(&store, "b", false, MAP("{'key':'2'}")),
                         "Apply failed with 1 conflict: conflict with "
                         "\"kubectl-client-side-apply\" using v1: .data.key");
    assert_int_equal(store.result.conflict_count, 1);
    assert_string_equal(store.result.conflicts[0].path, ".data.key");
    assert_string_equal(store.result.conflicts[0].manager,
                        "\"kubectl-client-side-apply\" using v1");
    assert_ptr_equal(store.live, before);

    apply(&store, "a", MAP("{'key':'1'}"));
    AUTO(error)
    struct error *err = try_apply(&store, "b", false, MAP("{'key':'2','other':'2','new':'2'}"));
    assert_true(error_is(err, ERROR_ABORTED));
    assert_string_equal(err->reason, "Conflict");
    assert_string_equal(err->message,
                        "Apply failed with 3 conflicts: conflicts with \"a\":\n- .data.key\n"
                        "conflicts with \"kubectl-client-side-apply\" using v1:\n- .data.key\n"
                        "- .data.other");

    assert_no_error(try_apply(&store, "b", true, MAP("{'key':'2'}")));
    assert_store("forced", &store, "{'data':{'key':'2','other':'1'}}",
                 "b Apply 5 {'f:data':{'f:key':{}}}; kubectl-client-side-apply Update 1 "
                 "{'f:data':{'.':{},'f:other':{}}}");
}

TEST_CASE(updates_take_what_they_change)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct store store = {.arena = arena, .type = &core__config_map__descriptor};
    apply(&store, "a", MAP("{'x':'1','y':'1','z':'1'}"));
    update(&store, "u", MAP("{'x':'2','y':'1','w':'1'}"));
    assert_store("x changed, z went, w came", &store, "{'data':{'x':'2','y':'1','w':'1'}}",
                 "a Apply 1 {'f:data':{'f:y':{}}}; u Update 2 {'f:data':{'f:w':{},'f:x':{}}}");
    update(&store, "u", MAP("{'x':'2','y':'2','w':'1'}"));
    assert_store("more for the same manager", &store, "{'data':{'x':'2','y':'2','w':'1'}}",
                 "u Update 3 {'f:data':{'f:w':{},'f:x':{},'f:y':{}}}");
    update(&store, NULL, MAP("{'x':'2','y':'2'}"));
    assert_store("only removing owns nothing", &store, "{'data':{'x':'2','y':'2'}}",
                 "u Update 3 {'f:data':{'f:x':{},'f:y':{}}}");
    update(&store, NULL, MAP("{'x':'2','y':'3'}"));
    assert_store("a manager without name", &store, "{'data':{'x':'2','y':'3'}}",
                 "u Update 3 {'f:data':{'f:x':{}}}; unknown Update 5 {'f:data':{'f:y':{}}}");
    apply(&store, "a", MAP("{'x':'2'}"));
    assert_store("same name, other operation", &store, "{'data':{'x':'2','y':'3'}}",
                 "a Apply -1 {'f:data':{'f:x':{}}}; u Update 3 {'f:data':{'f:x':{}}}; unknown "
                 "Update 5 {'f:data':{'f:y':{}}}");
}

#define POD(spec) "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'p'},'spec':" spec "}"

TEST_CASE(lists_are_merged_by_their_keys)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct store store = {.arena = arena, .type = &core__pod__descriptor};
    apply(&store, "a", POD("{'containers':[{'name':'c','image':'1'},{'name':'d','image':'1'}]}"));
    assert_store("created", &store,
                 "{'spec':{'containers':[{'name':'c','image':'1'},{'name':'d','image':'1'}]}}",
                 "a Apply 1 {'f:spec':{'f:containers':{'k:{\\'name\\':\\'c\\'}':{'.':{},'f:image':{"
                 "},'f:name':{}},'k:{\\'name\\':\\'d\\'}':{'.':{},'f:image':{},'f:name':{}}}}}");
    apply(&store, "b",
          POD("{'containers':[{'name':'d','workingDir':'/'},{'name':'e','image':'1'}],"
              "'nodeSelector':{'x':'1'}}"));
    assert_doc("b adds", without_metadata(&store),
               "{'spec':{'containers':[{'name':'c','image':'1'},{'name':'d','image':'1',"
               "'workingDir':'/'},{'name':'e','image':'1'}],'nodeSelector':{'x':'1'}}}",
               arena);
    assert_error_message(
        try_apply(&store, "a", false,
                  POD("{'containers':[{'name':'e','image':'2'}],'nodeSelector':{'y':'1'}}")),
        "Apply failed with 2 conflicts: conflicts with \"b\":\n- .spec.nodeSelector\n"
        "- .spec.containers[name=\"e\"].image");
    apply(&store, "a", POD("{'containers':[{'name':'c','image':'2'}]}"));
    assert_doc("a's part of d goes, b's stays", without_metadata(&store),
               "{'spec':{'containers':[{'name':'c','image':'2'},{'name':'d','workingDir':'/'},{"
               "'name':'e','image':'1'}],'nodeSelector':{'x':'1'}}}",
               arena);
    apply(&store, "b", POD("{}"));
    assert_doc("b's items go", without_metadata(&store),
               "{'spec':{'containers':[{'name':'c','image':'2'}]}}", arena);
}

/* A ConfigMap whose finalizers are the letters of @text. */
static const char *with_finalizers(const char *text, struct arena *arena)
{
    const char *list = "";
    for (const char *c = text; *c; c++)
        list = arena_printf(arena, "%s%s'%c'", list, c == text ? "" : ",", *c);
    return arena_printf(arena,
                        "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'finalizers':[%s]"
                        "}}",
                        list);
}

TEST_CASE(items_keep_the_order_of_the_live_list_unless_told)
{
    static const struct {
        const char *live, *config, *want;
    } rows[] = {
        {"abc", "b", "abc"},   {"abc", "cb", "acb"},  {"abc", "d", "abcd"},
        {"abc", "da", "dabc"}, {"abc", "ad", "abcd"}, {"abc", "cab", "cab"},
        {"", "ab", "ab"},      {"ab", "", "ab"},      {"abcd", "dxb", "acdxb"},
        {"ab", "ba", "ba"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct store store = {.arena = arena, .type = &core__config_map__descriptor};
        update(&store, "u", with_finalizers(rows[i].live, arena));
        apply(&store, "a", with_finalizers(rows[i].config, arena));
        const struct doc_node *got = doc_get(doc_get(store.live, "metadata"), "finalizers");
        const struct doc_node *want =
            doc_get(doc_get(doc_parse(with_finalizers(rows[i].want, arena), arena), "metadata"),
                    "finalizers");
        assert_doc(rows[i].config, got, doc_print(want, arena), arena);
    }
}

TEST_CASE(an_object_without_managers_gets_one_before_the_first_apply)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct store store = {.arena = arena, .type = &core__config_map__descriptor};
    store.live = doc_parse(MAP("{'x':'1'}"), arena);
    update(&store, "u", MAP("{'x':'2'}"));
    assert_store("an update leaves it untracked", &store, "{'data':{'x':'2'}}", "");
    assert_error_message(try_apply(&store, "a", false, MAP("{'x':'3'}")),
                         "Apply failed with 1 conflict: conflict with \"before-first-apply\" using "
                         "v1: .data.x");
    apply(&store, "a", MAP("{'y':'3'}"));
    assert_store("tracked", &store, "{'data':{'x':'2','y':'3'}}",
                 "a Apply 3 {'f:data':{'f:y':{}}}; before-first-apply Update 3 "
                 "{'f:data':{'.':{},'f:x':{}}}");
}

TEST_CASE(kubectl_gives_up_what_its_annotation_noted)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct store store = {.arena = arena, .type = &core__config_map__descriptor};
    static const char noted[] = "{\\'apiVersion\\':\\'v1\\',\\'kind\\':\\'ConfigMap\\',\\'data\\':{"
                                "\\'x\\':\\'1\\',\\'y\\':\\'1\\'}}";
    update(&store, "kubectl-client-side-apply",
           arena_printf(arena,
                        "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'annotations':{"
                        "'" ANNOTATION "':'%s'}},'data':{'x':'1','y':'1','z':'1'}}",
                        noted));
    update(&store, "other",
           arena_printf(arena,
                        "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'annotations':{"
                        "'" ANNOTATION "':'%s'}},'data':{'x':'1','y':'2','z':'1'}}",
                        noted));
    assert_error_message(try_apply(&store, "kubectl", false, MAP("{'x':'3','y':'3','z':'3'}")),
                         "Apply failed with 2 conflicts: conflicts with "
                         "\"kubectl-client-side-apply\" using v1:\n- .data.z\nconflicts with "
                         "\"other\" using v1:\n- .data.y");
    assert_error_code(try_apply(&store, "else", false, MAP("{'x':'3'}")), ERROR_ABORTED);
    apply(&store, "kubectl", MAP("{'x':'3'}"));
    assert_doc("taken", without_metadata(&store), "{'data':{'x':'3','y':'2','z':'1'}}", arena);
    const struct doc_node *annotations = doc_get(doc_get(store.live, "metadata"), "annotations");
    assert_string_equal(doc_get(annotations, ANNOTATION)->string.ptr,
                        "{\"apiVersion\":\"v1\",\"data\":{\"x\":\"3\"},\"kind\":\"ConfigMap\"}\n");
}

TEST_CASE(subresources_have_managers_of_their_own)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct store store = {.arena = arena, .type = &core__pod__descriptor};
    const struct field_set *spec = NULL, *status = NULL;
    assert_no_error(field_set_parse(doc_parse("{'f:spec':{}}", arena), arena, &spec));
    assert_no_error(field_set_parse(doc_parse("{'f:status':{}}", arena), arena, &status));

    struct kube_apply_request request =
        request_of(&store, "kubelet",
                   "{'metadata':{'uid':'u'},'spec':{'nodeName':'n'},'status':{"
                   "'phase':'Pending'}}");
    request.ignored = status;
    assert_no_error(kube_update_managers(&request, arena, &store.live));
    assert_string_equal(managers_text(&store), "kubelet Update 1 {'f:spec':{'f:nodeName':{}}}");

    request = request_of(&store, "kubelet",
                         "{'metadata':{'uid':'u','managedFields':[{}]},'spec':{'nodeName':'m'},"
                         "'status':{'phase':'Running'}}");
    request.ignored = spec;
    request.subresource = "status";
    assert_no_error(kube_update_managers(&request, arena, &store.live));
    assert_string_equal(managers_text(&store),
                        "kubelet Update 1 {'f:spec':{'f:nodeName':{}}}; kubelet/status Update 2 "
                        "{'f:status':{'f:phase':{}}}");
    assert_error_message(
        try_apply(&store, "a", false,
                  "{'apiVersion':'v1','kind':'Pod','status':{'phase':'Failed'}}"),
        "Apply failed with 1 conflict: conflict with \"kubelet\" with subresource \"status\" using "
        "v1: .status.phase");
}

TEST_CASE(clients_may_edit_and_reset_managed_fields)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct store store = {.arena = arena, .type = &core__config_map__descriptor};
    update(&store, "u", MAP("{'x':'1'}"));
    update(&store, "u",
           "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'managedFields':[{'manager':'z',"
           "'operation':'Apply','apiVersion':'v1','fieldsType':'FieldsV1','fieldsV1':{'f:data':{"
           "'f:x':{}}}}]},'data':{'x':'1'}}");
    assert_string_equal(managers_text(&store), "z Apply -1 {'f:data':{'f:x':{}}}");
    update(&store, "u",
           "{'metadata':{'managedFields':[{'manager':'bad'}]},'data':{'x':'1','y':'1'}}");
    assert_string_equal(managers_text(&store), "z Apply -1 {'f:data':{'f:x':{}}}; u Update 3 "
                                               "{'f:data':{'f:y':{}}}");
    update(&store, "u", "{'metadata':{'managedFields':[{}]},'data':{'x':'2'}}");
    assert_string_equal(managers_text(&store), "");
    assert_null(doc_get(doc_get(store.live, "metadata"), "managedFields"));
}

TEST_CASE(many_updaters_are_merged_into_one)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct store store = {.arena = arena, .type = &core__config_map__descriptor};
    const char *data = "";
    for (int i = 0; i < 14; i++) {
        data = arena_printf(arena, "%s%s'k%d':'1'", data, i ? "," : "", i);
        update(&store, arena_printf(arena, "m%02d", i),
               arena_printf(arena, "{'apiVersion':'v1','data':{%s}}", data));
    }
    struct kube_managers managers = {0};
    assert_no_error(kube_managers_of(store.live, store.type, arena, &managers));
    assert_int_equal(managers.count, 10);
    assert_string_equal(managers.items[0].name, "ancient-changes");
    assert_int_equal(managers.items[0].time_s, 5);
    assert_doc("fields", field_set_document(managers.items[0].fields, arena),
               "{'f:data':{'.':{},'f:k0':{},'f:k1':{},'f:k2':{},'f:k3':{},'f:k4':{}}}", arena);
    assert_string_equal(managers.items[1].name, "m05");
}

TEST_CASE(configurations_that_cannot_be_applied_are_refused)
{
    static const struct {
        const char *config, *error;
    } rows[] = {
        {"{'apiVersion':'v2','kind':'Pod'}",
         "Incorrect version specified in apply patch. Specified patch version: v2, expected: v1"},
        {"{'kind':'Pod'}",
         "Incorrect version specified in apply patch. Specified patch version: , expected: v1"},
        {"{'apiVersion':'v1','metadata':{'managedFields':[]}}",
         "metadata.managedFields must be nil"},
        {"{'apiVersion':'v1','spec':{'x':1}}", "unknown field \"spec.x\""},
        {"{'apiVersion':'v1','spec':{'containers':[{'name':'a'},{'name':'a'}]}}",
         "failed to create typed patch object: .spec.containers: duplicate entries for key "
         "[name=\"a\"]"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct store store = {.arena = arena, .type = &core__pod__descriptor};
        AUTO(error) struct error *err = try_apply(&store, "a", true, rows[i].config);
        if (!err)
            fail_msg("%s was applied", rows[i].config);
        assert_string_equal(err->message, rows[i].error);
        assert_string_equal(err->reason, "BadRequest");
        assert_int_equal(err->code, ERROR_INVALID_ARGUMENT);
    }
}

TEST_CASE(managed_fields_that_cannot_be_read_say_why)
{
    static const struct {
        const char *entry, *error;
    } rows[] = {
        {"{'operation':'Patch'}", "operation must be `Apply` or `Update`"},
        {"{'operation':'Apply'}", "apiVersion must not be empty"},
        {"{'operation':'Apply','apiVersion':'v1'}", "missing fieldsType in managed fields entry 0"},
        {"{'operation':'Apply','apiVersion':'v1','fieldsType':'X'}",
         "invalid fieldsType \"X\" in managed fields entry 0"},
        {"{'operation':'Apply','apiVersion':'v1','fieldsType':'FieldsV1','fieldsV1':{'q':{}}}",
         "managed fields entry 0: parsing key as path element: \"q\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct kube_managers managers;
        const struct doc_node *object = doc_parse(
            arena_printf(arena, "{'metadata':{'managedFields':[%s]}}", rows[i].entry), arena);
        assert_error_message(kube_managers_of(object, &core__pod__descriptor, arena, &managers),
                             rows[i].error);
    }
}

/* What is atomic by its type is owned as a whole, whatever an old entry says. */
TEST_CASE(parts_of_what_is_atomic_are_owned_as_a_whole)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct kube_managers managers;
    const struct doc_node *object = doc_parse(
        "{'metadata':{'managedFields':[{'manager':'a','operation':'Apply','apiVersion':'v1',"
        "'fieldsType':'FieldsV1','fieldsV1':{'f:spec':{'f:nodeSelector':{'f:x':{}},'f:containers':{"
        "'k:{\\'name\\':\\'c\\'}':{'f:args':{'i:0':{}}}}}}}]}}",
        arena);
    assert_no_error(kube_managers_of(object, &core__pod__descriptor, arena, &managers));
    assert_doc("whole", field_set_document(managers.items[0].fields, arena),
               "{'f:spec':{'f:containers':{'k:{\\'name\\':\\'c\\'}':{'f:args':{}}},"
               "'f:nodeSelector':{}}}",
               arena);
}

/* The random pods of two managers: after each apply the object holds what was applied, and who
 * applies nothing leaves only the other's. */
struct random {
    uint64_t state;
};

static unsigned pick(struct random *random, unsigned below)
{
    random->state = random->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random->state >> 33) % below;
}

static const char *random_config(struct random *random, struct arena *arena)
{
    const char *containers = "", *labels = "", *finalizers = "";
    for (char c = 'a'; c < 'e'; c++) {
        if (pick(random, 2))
            labels = arena_printf(arena, "%s%s'%c':'%u'", labels, labels[0] ? "," : "", c,
                                  pick(random, 2));
        if (pick(random, 3) == 0)
            finalizers = arena_printf(arena, "%s%s'%c'", finalizers, finalizers[0] ? "," : "", c);
        if (pick(random, 2))
            containers = arena_printf(
                arena, "%s%s{'name':'%c'%s%s}", containers, containers[0] ? "," : "", c,
                pick(random, 2) ? arena_printf(arena, ",'image':'%u'", pick(random, 2)) : "",
                pick(random, 2) ? ",'ports':[{'containerPort':1},{'containerPort':1,'protocol':"
                                  "'UDP'}]"
                                : "");
    }
    return arena_printf(arena,
                        "{'apiVersion':'v1','kind':'Pod','metadata':{'labels':{%s},'finalizers':[%s"
                        "]},'spec':{'containers':[%s]%s}}",
                        labels, finalizers, containers,
                        pick(random, 2) ? ",'nodeSelector':{'x':'1'}" : "");
}

/* Every path in the fields of the configuration is in those of the object too. */
static void assert_holds(const struct store *store, const char *config)
{
    const struct field_set *wanted = NULL, *there = NULL;
    assert_no_error(field_set_of_document(doc_parse(config, store->arena), store->type, false,
                                          store->arena, &wanted));
    assert_no_error(field_set_of_document(store->live, store->type, false, store->arena, &there));
    const struct field_set *missing = field_set_difference(wanted, there, store->arena);
    /* `labels: {}` names the map itself, which is no field of its own once it has entries. */
    const struct field_set *maps = NULL;
    assert_no_error(field_set_parse(doc_parse("{'f:metadata':{'f:labels':{}}}", store->arena),
                                    store->arena, &maps));
    missing = field_set_difference(missing, maps, store->arena);
    if (!field_set_is_empty(missing))
        fail_msg("%s\nlacks %s\nin %s", doc_print(store->live, store->arena),
                 doc_print(field_set_document(missing, store->arena), store->arena), config);
}

TEST_CASE(what_is_applied_is_there_and_what_is_left_is_gone)
{
    struct random random = {.state = 7};
    for (size_t i = 0; i < 1000; i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct store store = {.arena = arena, .type = &core__pod__descriptor};
        for (size_t step = 0; step < 6; step++) {
            const char *config = random_config(&random, arena);
            assert_no_error(try_apply(&store, pick(&random, 2) ? "a" : "b", true, config));
            assert_holds(&store, config);
        }
        static const char nothing[] = "{'apiVersion':'v1','kind':'Pod'}";
        assert_no_error(try_apply(&store, "a", true, nothing));
        assert_no_error(try_apply(&store, "b", true, nothing));
        assert_string_equal(managers_text(&store), "");
        assert_doc("nothing is left", without_metadata(&store), "{}", arena);
        assert_int_equal(doc_measure(store.live, 8).nodes, doc_get(store.live, "metadata") ? 4 : 3);
    }
}

TEST_MAIN(TEST(applying_creates_merges_and_removes), TEST(conflicts_name_manager_and_path),
          TEST(updates_take_what_they_change), TEST(lists_are_merged_by_their_keys),
          TEST(items_keep_the_order_of_the_live_list_unless_told),
          TEST(an_object_without_managers_gets_one_before_the_first_apply),
          TEST(kubectl_gives_up_what_its_annotation_noted),
          TEST(subresources_have_managers_of_their_own),
          TEST(clients_may_edit_and_reset_managed_fields), TEST(many_updaters_are_merged_into_one),
          TEST(configurations_that_cannot_be_applied_are_refused),
          TEST(managed_fields_that_cannot_be_read_say_why),
          TEST(parts_of_what_is_atomic_are_owned_as_a_whole),
          TEST(what_is_applied_is_there_and_what_is_left_is_gone))
