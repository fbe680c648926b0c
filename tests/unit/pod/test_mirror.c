#include "pod/mirror.h"

#include "base/buf.h"
#include "kube/jitter.h"
#include "kube/resources.h"
#include "pod/mirror_pod.h"
#include "tests/unit/kube/fake_api_client.h"
#include "tests/unit/kube/fake_loop.h"
#include "tests/unit/kube/pod_yaml.h"

#include <stdio.h>

/*
 * A manager, what it is told by a script of words, and what it does, in short: "create", "delete
 * m1", and "a=m1" or "a=none" for what on_mirror says of static pod a.
 */
struct bench {
    struct loop *loop;
    struct api_client *client;
    struct mirror_manager *manager;
    struct arena *arena;
    struct buf done;
    const char *node_uid;
    unsigned versions;
    bool frees_when_told, unwants_when_told;
    struct pod_object *wants_when_told; /* or NULL */
};

static const char *node_uid(void *ctx)
{
    const struct bench *bench = ctx;
    return bench->node_uid;
}

static void on_mirror(void *ctx, const char *static_uid, const struct kube_object *mirror)
{
    struct bench *bench = ctx;
    if (!bench->frees_when_told)
        assert_ptr_equal(mirror, mirror_of(bench->manager, static_uid));
    if (bench->frees_when_told)
        mirror_manager_free(TAKE(bench->manager));
    if (bench->wants_when_told)
        mirror_want(bench->manager, bench->wants_when_told);
    if (bench->unwants_when_told) {
        if (mirror)
            mirror_vanished(bench->manager, mirror);
        mirror_gone(bench->manager, static_uid);
    }
    buf_printf(&bench->done, "%s=%s ", static_uid, mirror ? kube_object_uid(mirror) : "none");
}

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){0};
    assert_no_error(loop_new(&bench->loop));
    bench->client = fake_api_client_new(bench->loop);
    bench->arena = arena_new(0);
    buf_init(&bench->done, 64 * KiB);
    struct mirror_options options = {.loop = bench->loop,
                                     .client = bench->client,
                                     .node_uid = node_uid,
                                     .on_mirror = on_mirror,
                                     .ctx = bench,
                                     .node_name = "node-a"};
    bench->manager = mirror_manager_new(&options);
}

static void auto_release_bench(struct bench *bench)
{
    mirror_manager_free(bench->manager);
    assert_int_equal(fake_pending(bench->client), 0);
    fake_loop_advance(bench->loop, 0);
    assert_int_equal(fake_loop_live(bench->loop), 0);
    api_client_free(bench->client);
    loop_free(bench->loop);
    arena_free(bench->arena);
    buf_done(&bench->done);
}

/* --- the things of a script --- */

/* "uid" or "uid@name"; the name is otherwise "s". */
static struct pod_object *static_pod(const char *what, struct arena *scratch)
{
    const char *at = strchr(what, '@');
    const char *uid = at ? arena_strndup(scratch, what, (size_t)(at - what)) : what;
    struct arena *arena = arena_new(0);
    struct pod_text text = {
        .metadata = arena_printf(arena,
                                 "name: %s, namespace: ns, uid: %s, annotations: "
                                 "{kubernetes.io/config.hash: %s, kubernetes.io/config.source: "
                                 "file}",
                                 at ? at + 1 : "s", uid, uid)};
    return pod_object_new(arena, pod_build(&text, arena), "s.yaml");
}

/* "uid:hash" or "uid:hash@name". */
static struct kube_object *mirror(struct bench *bench, const char *what, bool is_dying)
{
    char uid[16], hash[16], name[16] = "s";
    assert_true(sscanf(what, "%15[^:]:%15[^@]@%15s", uid, hash, name) >= 2);
    struct pod_text text = {
        .metadata =
            arena_printf(bench->arena,
                         "name: %s, namespace: ns, uid: %s, resourceVersion: \"%u\", annotations: "
                         "{kubernetes.io/config.mirror: %s}%s",
                         name, uid, ++bench->versions, hash,
                         is_dying ? ", deletionTimestamp: \"2026-11-21T03:00:09Z\"" : "")};
    return kube_object_new(kube_kind_find("v1", "Pod"), &pod_build(&text, bench->arena)->base);
}

static void note_requests(struct bench *bench, size_t from)
{
    for (size_t i = from; i < fake_started(bench->client); i++) {
        const char *asked = fake_log(bench->client, i);
        if (text_eq(asked, "POST /api/v1/namespaces/ns/pods")) {
            buf_add_text(&bench->done, "create ");
            continue;
        }
        assert_true(text_has_prefix(asked, "DELETE /api/v1/namespaces/ns/pods/"));
        const struct fake_exchange *asking = fake_first(bench->client);
        while (asking && asking->serial != i)
            asking = asking->next;
        assert_non_null(asking);
        const Meta__DeleteOptions *options = (const Meta__DeleteOptions *)asking->body;
        assert_true(options->has_grace_period_seconds);
        assert_int_equal(options->grace_period_seconds, 0);
        buf_printf(&bench->done, "delete %s ", options->preconditions->uid);
    }
}

static void seen(struct bench *bench, const char *what, bool is_dying, bool is_gone)
{
    AUTO(kube_object) const struct kube_object *object = mirror(bench, what, is_dying);
    if (is_gone)
        mirror_vanished(bench->manager, object);
    else
        mirror_seen(bench->manager, object);
}

static void answer(struct bench *bench, const char *word)
{
    struct fake_exchange *asking = fake_first(bench->client);
    if (!asking)
        fail_msg("nothing was asked that \"%s\" could answer; done: %s", word,
                 buf_text(&bench->done));
    if (text_eq(word, "ok")) /* any object will do: what is there is told by the source */
        fake_reply(asking,
                   fake_object(kube_kind_find("v1", "Pod"), "ns", "s", "x", "1", bench->arena));
    else if (text_eq(word, "lost"))
        fake_lose(asking);
    else if (text_eq(word, "exists"))
        fake_fail(asking, 409, "AlreadyExists", "pods \"s\" already exists");
    else if (text_eq(word, "conflict"))
        fake_fail(asking, 409, "Conflict", "the UID in the precondition does not match");
    else if (text_eq(word, "notfound"))
        fake_fail(asking, 404, "NotFound", "pods \"s\" not found");
    else if (text_eq(word, "forbidden"))
        fake_fail(asking, 403, "Forbidden", "no");
    else
        fail_msg("the word %s", word);
}

static void set_node(struct bench *bench, const char *uid)
{
    bench->node_uid = *uid ? arena_strdup(bench->arena, uid) : NULL;
    mirror_node_changed(bench->manager);
}

/* "verb" or "verb=object". */
static void play_word(struct bench *bench, char *word)
{
    char *object = strchr(word, '=');
    if (object)
        *object++ = '\0';
    AUTO(pod_object)
    struct pod_object *wanted = text_eq(word, "want") ? static_pod(object, bench->arena) : NULL;
    if (wanted)
        mirror_want(bench->manager, wanted);
    else if (text_eq(word, "ends") || text_eq(word, "unwant"))
        mirror_unwant(bench->manager, object, text_eq(word, "ends"));
    else if (text_eq(word, "gone"))
        mirror_gone(bench->manager, object);
    else if (text_eq(word, "ready"))
        mirror_ready(bench->manager);
    else if (text_eq(word, "node"))
        set_node(bench, object);
    else if (text_eq(word, "seen") || text_eq(word, "dying") || text_eq(word, "vanished"))
        seen(bench, object, text_eq(word, "dying"), text_eq(word, "vanished"));
    else if (text_eq(word, "ms"))
        fake_loop_advance(bench->loop, strtol(object, NULL, 10) * NS_PER_MS);
    else if (!text_eq(word, "|"))
        answer(bench, word);
}

/* Plays the words; a turn of the loop is after each, but for those that end with a comma. */
static void play(struct bench *bench, const char *script)
{
    AUTO(free) char *copy = xstrdup(script);
    char *rest = copy;
    while (*rest) {
        size_t len = strcspn(rest, " ");
        char *word = rest;
        bool is_last = word[len] == '\0';
        word[len] = '\0';
        rest = is_last ? word + len : word + len + 1;
        bool is_together = len > 0 && word[len - 1] == ',';
        if (is_together)
            word[len - 1] = '\0';
        size_t started = fake_started(bench->client);
        play_word(bench, word);
        if (!is_together)
            fake_loop_advance(bench->loop, 0);
        note_requests(bench, started);
    }
}

static const struct script_row {
    const char *name;
    const char *script;
    const char *want;
} script_rows[] = {
    /* creating */
    {"a static pod gets a mirror", "node=n ready want=a", "create "},
    {"whatever comes last", "want=a ready node=n", "create "},
    {"not before the mirrors there are have been told", "node=n want=a ms=60000", ""},
    {"not without the node's uid", "ready want=a ms=60000", ""},
    {"not while the node is being deleted", "node=n node= ready want=a ms=60000 node=n2",
     "create "},
    {"the source tells the mirror", "node=n ready want=a ok seen=m1:a", "create a=m1 "},
    {"one of before the start is taken", "node=n want=a seen=m1:a ready ms=60000", "a=m1 "},
    {"one told before its pod as well", "node=n seen=m1:a want=a ready ms=60000", "a=m1 "},
    {"a change of the mirror is told", "node=n ready want=a ok seen=m1:a seen=m1:a",
     "create a=m1 a=m1 "},
    {"a change of the pod without one of the hash is none",
     "node=n ready want=a ok seen=m1:a want=a want=a ms=60000", "create a=m1 "},
    {"two pods, two mirrors", "node=n ready want=a want=b@t ok ok seen=m1:a seen=m2:b@t",
     "create create a=m1 b=m2 "},

    /* failures */
    {"failures are tried again after a second and more",
     "node=n ready want=a forbidden ms=999 | ms=1 forbidden ms=1999 | ms=1 forbidden ms=3999 | "
     "ms=1",
     "create create create create "},
    {"waits grow up to ten seconds",
     "node=n ready want=a forbidden ms=1000 forbidden ms=2000 forbidden ms=4000 forbidden ms=8000 "
     "forbidden ms=9999 | ms=1 forbidden ms=9999 | ms=1",
     "create create create create create create create "},
    {"not up to more than three when nobody answers",
     "node=n ready want=a lost ms=1000 lost ms=2000 lost ms=2999 | ms=1 lost ms=2999 | ms=1",
     "create create create create create "},
    {"a change of the pod does not hurry", "node=n ready want=a forbidden want=a ms=999",
     "create "},
    {"the node's uid does",
     "node=n ready want=a forbidden ms=1000 forbidden node=n2 forbidden ms=1000",
     "create create create create "},
    {"the same uid does not", "node=n ready want=a forbidden node=n ms=999", "create "},
    {"AlreadyExists is no success", "node=n ready want=a exists ms=1000 exists ms=2000",
     "create create create "},
    {"but it is settled by the mirror", "node=n ready want=a exists seen=m1:a ms=60000",
     "create a=m1 "},
    {"or by another pod's", "node=n ready want=a exists seen=m1:z ms=1000 ok ok",
     "create delete m1 create "},
    {"a mirror that nobody tells is made again", "node=n ready want=a ok ms=9999 | ms=1",
     "create create "},
    {"a mirror that nobody tells is waited for", "node=n ready want=a ok ms=9999", "create "},

    /* deleted by others */
    {"a mirror that is gone is made again",
     "node=n ready want=a ok seen=m1:a ms=1000 vanished=m1:a", "create a=m1 a=none create "},
    {"a mirror that is being deleted is replaced",
     "node=n ready want=a ok seen=m1:a ms=1000 dying=m1:a ok vanished=m1:a ok seen=m2:a",
     "create a=m1 a=m1 delete m1 a=none create a=m2 "},
    {"its end may be told late",
     "node=n ready want=a ok seen=m1:a ms=1000 dying=m1:a ok ok dying=m1:a vanished=m1:a seen=m2:a "
     "ms=60000",
     "create a=m1 a=m1 delete m1 a=none create a=m2 "},
    {"or early",
     "node=n ready want=a ok seen=m1:a ms=1000 dying=m1:a vanished=m1:a ok ok seen=m2:a ms=60000",
     "create a=m1 a=m1 delete m1 a=none create a=m2 "},
    {"who deletes at once does not make it spin",
     "node=n ready want=a ok seen=m1:a vanished=m1:a ms=999 | ms=1 ok seen=m2:a vanished=m2:a "
     "ms=999",
     "create a=m1 a=none create a=m2 a=none "},
    {"a mirror that came and went in one turn",
     "node=n ready want=a ok ms=1000 seen=m1:a, vanished=m1:a", "create create "},
    {"one that a finalizer keeps is tried again",
     "node=n ready want=a ok seen=m1:a ms=1000 dying=m1:a ok exists ms=1000 exists ms=2000 "
     "vanished=m1:a ok seen=m2:a ms=60000",
     "create a=m1 a=m1 delete m1 a=none create create create a=m2 "},
    {"it was gone already", "node=n want=a dying=m1:a ready notfound ok seen=m2:a",
     "a=m1 delete m1 a=none create a=m2 "},

    /* another manifest */
    {"a mirror of another manifest is replaced", "node=n seen=m1:z want=a ready ok ok seen=m2:a",
     "delete m1 create a=m2 "},
    {"a mirror with an odd hash is not the pod's", "node=n seen=m1:zz ready want=a", "delete m1 "},
    {"the mirror stays while the pod before ends",
     "node=n ready want=a ok seen=m1:a ms=1000 ends=a want=b ms=60000 gone=a ok ok seen=m2:b",
     "create a=m1 delete m1 create b=m2 "},
    {"also when the new pod comes first",
     "node=n ready want=a ok seen=m1:a ms=1000 want=b, ends=a ms=60000 gone=a ok",
     "create a=m1 delete m1 create "},
    {"two changes while the pod ends: the last one counts",
     "node=n ready want=a ok seen=m1:a ms=1000 ends=a want=b unwant=b want=c gone=a ok ok "
     "seen=m2:c",
     "create a=m1 delete m1 create c=m2 "},
    {"back to the first manifest while its pod ends",
     "node=n ready want=a ok seen=m1:a ms=1000 ends=a want=b unwant=b want=a ms=60000",
     "create a=m1 a=m1 "},
    {"back to it while the second is still wanted",
     "node=n ready want=a ok seen=m1:a ms=1000 ends=a want=b want=a ms=60000", "create a=m1 a=m1 "},
    {"a delete that fails is tried again",
     "node=n seen=m1:z want=a ready forbidden ms=999 | ms=1 lost ms=1999 | ms=1 ok",
     "delete m1 delete m1 delete m1 create "},
    {"a conflict leaves it to the source",
     "node=n seen=m1:z want=a ready conflict seen=m2:a ms=60000", "delete m1 a=m2 "},

    /* orphans */
    {"a mirror without a pod is deleted", "seen=m1:a ready ok vanished=m1:a ms=60000",
     "delete m1 "},
    {"not before all is told", "seen=m1:a ms=60000", ""},
    {"one that comes later too", "ready seen=m1:a", "delete m1 "},
    {"a pod that ends keeps its mirror", "node=n ready want=a ok seen=m1:a ms=1000 ends=a ms=60000",
     "create a=m1 "},
    {"even a dying one", "node=n ready want=a ok seen=m1:a ms=1000 ends=a dying=m1:a ms=60000",
     "create a=m1 "},
    {"until it has ended",
     "node=n ready want=a ok seen=m1:a ms=1000 ends=a gone=a ok vanished=m1:a",
     "create a=m1 delete m1 "},
    {"a pod that has ended takes its mirror along",
     "node=n ready want=a ok seen=m1:a ms=1000 gone=a", "create a=m1 delete m1 "},
    {"a pod that goes while its mirror is made",
     "node=n ready want=a gone=a ok seen=m1:a ms=1000 ok", "create delete m1 "},
    {"a pod that leaves before it was asked for", "node=n ready want=a, gone=a ms=60000", ""},
    {"another of the same name has gone, this one stays",
     "node=n ready want=a ok seen=m1:a want=b@s, gone=b ms=60000", "create a=m1 "},
    {"what nobody knows", "node=n ready gone=x unwant=x ends=x vanished=m1:x ms=60000", ""},
    {"a pod that is renamed", "node=n ready want=a ok seen=m1:a ms=1000 want=a@t ok ok seen=m2:a@t",
     "create a=m1 delete m1 create a=m2 "},
};

TEST_CASE(mirrors_follow_the_static_pods)
{
    for (size_t i = 0; i < ARRAY_SIZE(script_rows); i++) {
        const struct script_row *row = &script_rows[i];
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        print_message("%s\n", row->name);
        play(&bench, row->script);
        if (!text_eq(buf_text(&bench.done), row->want))
            fail_msg("%s: did \"%s\", not \"%s\"", row->name, buf_text(&bench.done), row->want);
    }
}

TEST_CASE(waits_have_jitter)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    fake_random_set((uint64_t)(NS_PER_SEC / 2 - 1));
    play(&bench, "node=n ready want=a forbidden ms=1499");
    assert_string_equal(buf_text(&bench.done), "create ");
    play(&bench, "ms=1");
    assert_string_equal(buf_text(&bench.done), "create create ");
}

TEST_CASE(nothing_is_armed_while_nothing_is_wanted)
{
    static const char *const scripts[] = {
        "",
        "node=n ready want=a ok seen=m1:a",
        "node=n ready want=a ok seen=m1:a ms=1000 gone=a ok vanished=m1:a",
        "ready want=a",
        "seen=m1:a",
        "ready seen=m1:a ok",
        "node=n ready want=a ok seen=m1:a ends=a",
    };
    for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        play(&bench, scripts[i]);
        if (fake_loop_armed(bench.loop) != 0)
            fail_msg("a timer is armed after \"%s\"", scripts[i]);
    }
}

TEST_CASE(an_object_that_is_known_wakes_nobody)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    play(&bench, "node=n ready");
    AUTO(pod_object) struct pod_object *object = static_pod("a", bench.arena);
    mirror_want(bench.manager, object);
    fake_loop_advance(bench.loop, 0);
    play(&bench, "ok seen=m1:a");
    assert_int_equal(fake_loop_armed(bench.loop), 0);
    for (int i = 0; i < 3; i++)
        mirror_want(bench.manager, object);
    mirror_node_changed(bench.manager);
    mirror_ready(bench.manager);
    assert_int_equal(fake_loop_armed(bench.loop), 0);
    assert_int_equal(object->refs, 2);

    mirror_unwant(bench.manager, "a", true);
    mirror_want(bench.manager, object);
    play(&bench, "ms=1000 vanished=m1:a");
    assert_string_equal(buf_text(&bench.done), "a=m1 a=none create ");
}

TEST_CASE(a_node_that_is_known_from_the_start_will_do)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    bench.node_uid = "n";
    play(&bench, "want=a ready");
    assert_string_equal(buf_text(&bench.done), "create ");
}

TEST_CASE(only_the_pods_own_mirror_is_shown)
{
    static const struct {
        const char *script, *a, *b; /* NULL: none */
    } rows[] = {
        {"want=a", NULL, NULL},
        {"want=a seen=m1:a", "m1", NULL},
        {"want=a seen=m1:z", NULL, NULL},
        {"want=a seen=m1:a ends=a want=b", "m1", NULL},
        {"want=b seen=m1:a seen=m2:b", NULL, "m2"},
        {"want=a seen=m1:a dying=m1:a", "m1", NULL},
        {"ready want=a seen=m1:a dying=m1:a ok", NULL, NULL},
        {"want=a seen=m1:a vanished=m9:a", "m1", NULL},
        {"want=a seen=m1:a vanished=m1:a", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        play(&bench, rows[i].script);
        const struct kube_object *a = mirror_of(bench.manager, "a");
        const struct kube_object *b = mirror_of(bench.manager, "b");
        if (!text_eq(a ? kube_object_uid(a) : NULL, rows[i].a) ||
            !text_eq(b ? kube_object_uid(b) : NULL, rows[i].b))
            fail_msg("after \"%s\"", rows[i].script);
    }
}

TEST_CASE(the_listener_may_free_the_manager)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    bench.frees_when_told = true;
    play(&bench, "node=n ready want=b@t want=a want=c@u");
    assert_int_equal(fake_pending(bench.client), 3);
    play(&bench, "seen=m1:a, seen=m2:b@t, seen=m3:c@u");
    assert_null(bench.manager);
    assert_int_equal(fake_pending(bench.client), 0);
    assert_string_equal(buf_text(&bench.done), "create create create b=m2 ");
}

TEST_CASE(the_listener_may_let_the_pod_go)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    bench.unwants_when_told = true;
    play(&bench, "node=n ready seen=m2:b@t, seen=m1:a, want=a, want=b@t ms=60000");
    assert_string_equal(buf_text(&bench.done), "b=m2 a=m1 ");
}

TEST_CASE(the_listener_may_want_another_pod_while_one_waits)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    AUTO(pod_object) struct pod_object *other = static_pod("c@u", bench.arena);
    bench.wants_when_told = other;
    play(&bench, "node=n ready want=b@t forbidden want=a ok seen=m1:a");
    assert_string_equal(buf_text(&bench.done), "create create a=m1 create ");
}

TEST_CASE(freeing_cancels_what_is_under_way)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    play(&bench, "node=n ready want=a want=b@t seen=m9:x@u");
    assert_int_equal(fake_pending(bench.client), 3);
    mirror_manager_free(TAKE(bench.manager));
    assert_int_equal(fake_pending(bench.client), 0);
    mirror_manager_free(NULL);
}

/* --- the mirror itself --- */

static Core__Pod *recorded_mirror(struct arena *arena)
{
    AUTO(free)
    char *path = xasprintf("%s/recorded/api/mirror-create.json", getenv("CUBELET_TEST_DATA"));
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    char *text = arena_alloc(arena, 16 * KiB);
    assert_true(fread(text, 1, 16 * KiB - 1, file) > 0);
    assert_int_equal(fclose(file), 0);
    return pod_parse(text, arena);
}

static char *json_of(const ProtobufCMessage *message)
{
    AUTO(buf) struct buf text;
    buf_init(&text, 64 * KiB);
    kube_encode_json(message, NULL, &text);
    return buf_take(&text);
}

TEST_CASE(a_mirror_is_made_as_a_kubelet_makes_it)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const Core__Pod *want = recorded_mirror(bench.arena);
    /* The static pod it was made of. */
    struct arena *arena = arena_new(0);
    Core__Pod *pod = (Core__Pod *)kube_message_dup(&want->base, arena);
    pod->metadata->n_owner_references = 0;
    size_t kept = 0;
    for (size_t i = 0; i < pod->metadata->n_annotations; i++) {
        if (!text_eq(pod->metadata->annotations[i]->key, "kubernetes.io/config.mirror"))
            pod->metadata->annotations[kept++] = pod->metadata->annotations[i];
    }
    pod->metadata->n_annotations = kept;
    assert_int_equal(kept, 3);
    AUTO(pod_object) struct pod_object *object = pod_object_new(arena, pod, "static-web.yaml");
    AUTO(free) char *before = json_of(&pod->base);

    play(&bench, "ready node=285cb629-dd94-4cd8-9a24-0f959153238e");
    mirror_want(bench.manager, object);
    fake_loop_advance(bench.loop, 0);
    const struct fake_exchange *asking = fake_first(bench.client);
    assert_non_null(asking);
    assert_string_equal(fake_log(bench.client, 0), "POST /api/v1/namespaces/default/pods");
    AUTO(free) char *is = json_of(asking->body);
    AUTO(free) char *should = json_of(&want->base);
    assert_string_equal(is, should);
    AUTO(free) char *after = json_of(&pod->base);
    assert_string_equal(before, after);
}

TEST_CASE(a_manifest_that_names_a_mirror_and_owners_is_overruled)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct pod_text text = {
        .metadata = "annotations: {kubernetes.io/config.mirror: x, kubernetes.io/config.hash: h}, "
                    "ownerReferences: [{apiVersion: v1, kind: Node, name: x, uid: z}, {apiVersion: "
                    "v1, kind: Node, name: q, uid: q, blockOwnerDeletion: true}]"};
    const Core__Pod *pod = pod_build(&text, arena);
    const Core__Pod *made = mirror_pod_of(pod, "node-a", "n", arena);
    assert_int_equal(made->metadata->n_annotations, 2);
    assert_string_equal(pod_annotation(made, "kubernetes.io/config.mirror"), "h");
    assert_int_equal(made->metadata->n_owner_references, 1);
    const Meta__OwnerReference *owner = made->metadata->owner_references[0];
    assert_string_equal(owner->name, "node-a");
    assert_string_equal(owner->uid, "n");
    assert_true(owner->controller);
    assert_false(owner->has_block_owner_deletion);
    assert_true(mirror_pod_is_of(made, pod));
    assert_false(mirror_pod_is_of(pod, pod));
}

TEST_MAIN(TEST(mirrors_follow_the_static_pods), TEST(waits_have_jitter),
          TEST(nothing_is_armed_while_nothing_is_wanted),
          TEST(an_object_that_is_known_wakes_nobody), TEST(only_the_pods_own_mirror_is_shown),
          TEST(the_listener_may_free_the_manager), TEST(the_listener_may_let_the_pod_go),
          TEST(a_node_that_is_known_from_the_start_will_do),
          TEST(the_listener_may_want_another_pod_while_one_waits),
          TEST(freeing_cancels_what_is_under_way), TEST(a_mirror_is_made_as_a_kubelet_makes_it),
          TEST(a_manifest_that_names_a_mirror_and_owners_is_overruled))
