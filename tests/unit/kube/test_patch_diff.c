#include "kube/patch.h"
#include "tests/unit/kube/doc_text.h"

#include "core.pb-c.h"

#include <stdio.h>

struct row {
    const char *name;
    const char *original;
    const char *modified;
    const char *want;
};

static const struct row rows[] = {
    {"nothing", "{'spec':{'nodeName':'a'}}", "{'spec':{'nodeName':'a'}}", "{}"},
    {"sorted keys", "{}", "{'status':{'phase':'Running','message':'m'},'spec':{}}",
     "{'spec':{},'status':{'message':'m','phase':'Running'}}"},
    {"a value", "{'spec':{'nodeName':'a','hostname':'h'}}",
     "{'spec':{'nodeName':'b','hostname':'h'}}", "{'spec':{'nodeName':'b'}}"},
    {"removal", "{'spec':{'nodeName':'a'},'metadata':{'labels':{'a':'1'}}}",
     "{'spec':{},'metadata':{'labels':{}}}",
     "{'metadata':{'labels':{'a':null}},'spec':{'nodeName':null}}"},
    {"another kind", "{'spec':{'hostname':1}}", "{'spec':{'hostname':'1'}}",
     "{'spec':{'hostname':'1'}}"},
    {"a list that is replaced", "{'spec':{'tolerations':[{'key':'a'}]}}",
     "{'spec':{'tolerations':[]}}", "{'spec':{'tolerations':[]}}"},
    {"a changed element", "{'spec':{'containers':[{'name':'a','image':'1'},{'name':'b'}]}}",
     "{'spec':{'containers':[{'name':'a','image':'2'},{'name':'b'}]}}",
     "{'spec':{'$setElementOrder/containers':[{'name':'a'},{'name':'b'}],'containers':[{'image':'2'"
     ",'name':'a'}]}}"},
    {"new and gone elements", "{'spec':{'containers':[{'name':'a'},{'name':'z'},{'name':'y'}]}}",
     "{'spec':{'containers':[{'name':'c'},{'name':'a'},{'name':'b'}]}}",
     "{'spec':{'$setElementOrder/containers':[{'name':'c'},{'name':'a'},{'name':'b'}],"
     "'containers':[{'name':'c'},{'name':'b'},{'$patch':'delete','name':'y'},{'$patch':'delete',"
     "'name':'z'}]}}"},
    {"another order", "{'spec':{'containers':[{'name':'a'},{'name':'b'}]}}",
     "{'spec':{'containers':[{'name':'b'},{'name':'a'}]}}",
     "{'spec':{'$setElementOrder/containers':[{'name':'b'},{'name':'a'}]}}"},
    {"all elements gone", "{'spec':{'containers':[{'name':'a'}]}}", "{'spec':{'containers':[]}}",
     "{'spec':{'containers':[{'$patch':'delete','name':'a'}]}}"},
    {"the first elements", "{'spec':{'containers':[]}}", "{'spec':{'containers':[{'name':'a'}]}}",
     "{'spec':{'containers':[{'name':'a'}]}}"},
    {"retained keys", "{'spec':{'volumes':[{'name':'v','emptyDir':{}}]}}",
     "{'spec':{'volumes':[{'name':'v','hostPath':{'path':'/'}}]}}",
     "{'spec':{'$setElementOrder/volumes':[{'name':'v'}],'volumes':[{'$retainKeys':['hostPath',"
     "'name'],'emptyDir':null,'hostPath':{'path':'/'},'name':'v'}]}}"},
    {"scalars", "{'metadata':{'finalizers':['c','a','b']}}",
     "{'metadata':{'finalizers':['d','a']}}",
     "{'metadata':{'$deleteFromPrimitiveList/finalizers':['b','c'],"
     "'$setElementOrder/finalizers':['d','a'],'finalizers':['d']}}"},
    {"scalars in another order", "{'metadata':{'finalizers':['a','b']}}",
     "{'metadata':{'finalizers':['b','a']}}",
     "{'metadata':{'$setElementOrder/finalizers':['b','a']}}"},
    {"the same scalars out of order", "{'metadata':{'finalizers':['b','a']}}",
     "{'metadata':{'finalizers':['b','a']}}", "{}"},
    {"elements that share a key",
     "{'spec':{'containers':[{'name':'a','ports':[{'containerPort':53,'protocol':'TCP'},{"
     "'containerPort':53,'protocol':'UDP'}]}]}}",
     "{'spec':{'containers':[{'name':'a','ports':[{'containerPort':53,'protocol':'UDP'},{"
     "'containerPort':53,'protocol':'TCP'}]}]}}",
     "{'spec':{'$setElementOrder/containers':[{'name':'a'}],'containers':[{'name':'a','ports':[{"
     "'$patch':'replace'},{'containerPort':53,'protocol':'UDP'},{'containerPort':53,'protocol':"
     "'TCP'}]}]}}"},
};

static const struct doc_node *diff(const char *name, const struct doc_node *original,
                                   const struct doc_node *modified, struct arena *arena)
{
    const struct doc_node *patch = NULL;
    AUTO(error)
    struct error *err = kube_patch_diff(original, modified, &core__pod__descriptor, arena, &patch);
    if (err)
        fail_msg("%s: %s", name, err->message);
    return patch;
}

static void assert_applies(const char *name, const struct doc_node *original,
                           const struct doc_node *modified, const struct doc_node *patch,
                           struct arena *arena)
{
    const struct doc_node *got = NULL;
    AUTO(error)
    struct error *err = kube_patch_strategic(original, patch, &core__pod__descriptor, arena, &got);
    if (err)
        fail_msg("%s: %s\n%s", name, err->message, doc_print(patch, arena));
    if (!doc_equal(got, modified))
        fail_msg("%s: %s\nmade of\n%s\n%s\nwant\n%s", name, doc_print(patch, arena),
                 doc_print(original, arena), doc_print(got, arena), doc_print(modified, arena));
}

TEST_CASE(a_difference_says_what_changed)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct doc_node *original = doc_parse(rows[i].original, arena);
        const struct doc_node *modified = doc_parse(rows[i].modified, arena);
        const struct doc_node *patch = diff(rows[i].name, original, modified, arena);
        assert_doc(rows[i].name, patch, rows[i].want, arena);
        assert_applies(rows[i].name, original, modified, patch, arena);
    }
}

TEST_CASE(what_cannot_be_compared_is_an_error)
{
    static const struct row bad[] = {
        {"no merge key", "{'spec':{'containers':[{'name':'a'}]}}",
         "{'spec':{'containers':[{'image':'a'}]}}",
         "map: map[image:a] does not contain declared merge key: name"},
        {"unknown field", "{'x':[1]}", "{'x':[2]}",
         "unable to find api field in struct Pod for the json field \"x\""},
        {"no object", "{}", "[]", "invalid JSON document"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct doc_node *patch = NULL;
        assert_error_message(kube_patch_diff(doc_parse(bad[i].original, arena),
                                             doc_parse(bad[i].modified, arena),
                                             &core__pod__descriptor, arena, &patch),
                             bad[i].want);
    }
}

/* As Pods, since a patch cannot bring the nulls that the API server writes. */
static void assert_applies_as_pod(const char *name, const struct doc_node *original,
                                  const struct doc_node *modified, const struct doc_node *patch,
                                  struct arena *arena)
{
    const struct kube_decode_options strict = {.unknown = KUBE_UNKNOWN_STRICT};
    const struct doc_node *got = NULL;
    ProtobufCMessage *got_pod = NULL, *want_pod = NULL;
    assert_no_error(kube_patch_strategic(original, patch, &core__pod__descriptor, arena, &got));
    assert_no_error(kube_decode_document(got, &core__pod__descriptor, &strict, arena, &got_pod));
    assert_no_error(
        kube_decode_document(modified, &core__pod__descriptor, &strict, arena, &want_pod));
    if (!kube_message_eq(got_pod, want_pod))
        fail_msg("%s: got\n%s\nwant\n%s", name, doc_print(got, arena), doc_print(modified, arena));
}

/* The objects the kubelet compares: the old status alone, the new one with the pod's UID. */
static const struct doc_node *status_object(const struct doc_node *status,
                                            const struct doc_node *metadata, struct arena *arena)
{
    const struct doc_node *object = doc_with_member(NULL, "status", status, arena);
    return metadata ? doc_with_member(object, "metadata", metadata, arena)
                    : doc_with_member(object, "metadata", doc_parse("{}", arena), arena);
}

TEST_CASE(status_patches_are_those_a_real_kubelet_sent)
{
    const char *data = getenv("CUBELET_TEST_DATA");
    assert_non_null(data);
    AUTO(free) char *path = xasprintf("%s/recorded/api/status-patches.jsonl", data);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    char *line = NULL;
    size_t size = 0, count = 0;
    while (getline(&line, &size, file) > 0) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct doc_parse_options options = {.max_bytes = MiB};
        const struct doc_node *record = NULL;
        assert_no_error(json_parse(str_from(line), &options, arena, &record));
        const struct doc_node *want = doc_get(record, "patch");
        const struct doc_node *before = status_object(doc_get(record, "before"), NULL, arena);
        const struct doc_node *after =
            status_object(doc_get(record, "after"), doc_get(want, "metadata"), arena);
        const char *name = doc_get(record, "name")->string.ptr;
        const struct doc_node *patch = diff(name, before, after, arena);
        assert_doc(name, patch, doc_print(want, arena), arena);
        assert_applies_as_pod(name, before, after, patch, arena);
        count++;
    }
    free(line);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(count, 41);
}

/* Random pods, made of few names so that they meet. A tiny generator keeps the runs the same. */
struct random {
    uint64_t state;
};

static unsigned pick(struct random *random, unsigned below)
{
    random->state = random->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random->state >> 33) % below;
}

static const struct doc_node *random_list(struct random *random, const char *const *texts,
                                          size_t text_count, const char *key, struct arena *arena)
{
    const struct doc_node *items[8];
    bool is_used[8] = {false};
    size_t count = 0;
    for (unsigned i = pick(random, 5); i > 0; i--) {
        unsigned at = pick(random, (unsigned)text_count);
        /* Now and then an element twice, which only lists of objects can bear. */
        if (is_used[at] && (!key || pick(random, 6) != 0))
            continue;
        is_used[at] = true;
        const struct doc_node *text = doc_new_text(arena, str_from(texts[at]));
        items[count] = text;
        if (key) {
            items[count] = doc_with_member(NULL, key, text, arena);
            if (pick(random, 2))
                items[count] = doc_with_member(items[count], pick(random, 2) ? "image" : "value",
                                               doc_new_integer(arena, pick(random, 2)), arena);
        }
        count++;
    }
    return doc_new_array(arena, items, count);
}

static const struct doc_node *random_volumes(struct random *random, struct arena *arena)
{
    static const char *const sources[] = {"emptyDir", "hostPath", "secret"};
    static const char *const names[] = {"v1", "v2", "v3", "v4"};
    const struct doc_node *list = random_list(random, names, 4, "name", arena);
    for (size_t i = 0; i < list->array.count; i++) {
        const struct doc_node *source = doc_parse(pick(random, 2) ? "{}" : "{'path':'x'}", arena);
        list->array.items[i] =
            doc_with_member(doc_without_member(list->array.items[i], "image", arena),
                            sources[pick(random, 3)], source, arena);
    }
    return list;
}

static const struct doc_node *random_pod(struct random *random, struct arena *arena)
{
    static const char *const names[] = {"a", "b", "c", "d", "10", "9"};
    const struct doc_node *spec = doc_parse("{}", arena), *metadata = spec;
    const struct doc_node *containers = random_list(random, names, 6, "name", arena);
    for (size_t i = 0; i < containers->array.count; i++) {
        if (pick(random, 2))
            containers->array.items[i] =
                doc_with_member(containers->array.items[i], "env",
                                random_list(random, names, 6, "name", arena), arena);
    }
    if (pick(random, 4))
        spec = doc_with_member(spec, "containers", containers, arena);
    if (pick(random, 2))
        spec = doc_with_member(spec, "volumes", random_volumes(random, arena), arena);
    if (pick(random, 2))
        spec = doc_with_member(spec, "tolerations", random_list(random, names, 6, "key", arena),
                               arena);
    if (pick(random, 2))
        metadata = doc_with_member(metadata, "finalizers",
                                   random_list(random, names, 6, NULL, arena), arena);
    const struct doc_node *labels = doc_parse("{}", arena);
    for (unsigned i = pick(random, 4); i > 0; i--)
        labels = doc_with_member(labels, names[pick(random, 6)], doc_bool(pick(random, 2)), arena);
    if (pick(random, 3))
        metadata = doc_with_member(metadata, "labels", labels, arena);
    return doc_with_member(doc_with_member(NULL, "spec", spec, arena), "metadata", metadata, arena);
}

TEST_CASE(applying_a_difference_gives_the_modified_object)
{
    struct random random = {.state = 1};
    for (size_t i = 0; i < 5000; i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct doc_node *a = random_pod(&random, arena), *b = random_pod(&random, arena);
        assert_applies("random", a, b, diff("random", a, b, arena), arena);
        assert_doc("same", diff("same", a, a, arena), "{}", arena);
    }
}

TEST_MAIN(TEST(a_difference_says_what_changed), TEST(what_cannot_be_compared_is_an_error),
          TEST(status_patches_are_those_a_real_kubelet_sent),
          TEST(applying_a_difference_gives_the_modified_object))
