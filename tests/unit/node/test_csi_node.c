#include "node/csi_node.h"

#include "base/buf.h"
#include "tests/lib/test.h"
#include "tests/unit/kube/fake_api_client.h"
#include "tests/unit/kube/fake_loop.h"

#include "storage.pb-c.h"

#define CSINODES "/apis/storage.k8s.io/v1/csinodes"
#define UID "285cb629-dd94-4cd8-9a24-0f959153238e"
#define PLUGINS_KEY "storage.alpha.kubernetes.io/migrated-plugins"
#define PLUGINS                                                                                    \
    "kubernetes.io/aws-ebs,kubernetes.io/azure-disk,kubernetes.io/azure-file,"                     \
    "kubernetes.io/cinder,kubernetes.io/gce-pd,kubernetes.io/portworx-volume,"                     \
    "kubernetes.io/vsphere-volume"
#define FAILED                                                                                     \
    "failed to initialize CSINode: error updating CSINode annotation: timed out waiting for the "  \
    "condition; caused by: "

struct bench {
    struct loop *loop;
    struct api_client *client;
    struct csi_node *node;
    struct arena *arena;
    unsigned changes;
    /* A server's memory. */
    const char *node_uid; /* NULL: no such node */
    Storage__CSINode *object;
};

static void on_changed(void *ctx)
{
    ((struct bench *)ctx)->changes++;
}

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){.arena = arena_new(0), .node_uid = UID};
    assert_no_error(loop_new(&bench->loop));
    bench->client = fake_api_client_new(bench->loop);
    bench->node = csi_node_new(bench->loop, bench->client, "node-a", on_changed, bench);
}

static void auto_release_bench(struct bench *bench)
{
    csi_node_free(bench->node);
    assert_int_equal(fake_pending(bench->client), 0);
    assert_int_equal(fake_loop_live(bench->loop), 0);
    api_client_free(bench->client);
    loop_free(bench->loop);
    arena_free(bench->arena);
}

static void answer_object(struct bench *bench, struct fake_exchange *request)
{
    bool is_create = request->verb == API_CREATE;
    if (is_create == (bench->object != NULL)) {
        if (is_create)
            fake_fail(request, 409, "AlreadyExists", "csinodes \"node-a\" already exists");
        else
            fake_fail(request, 404, "NotFound", "csinodes \"node-a\" not found");
        return;
    }
    if (request->verb == API_DELETE) {
        const Meta__DeleteOptions *options = (const Meta__DeleteOptions *)request->body;
        assert_string_equal(options->preconditions->uid, bench->object->metadata->uid);
        ProtobufCMessage *gone = &bench->object->base;
        bench->object = NULL;
        fake_reply(request, gone);
        return;
    }
    if (request->body) {
        bench->object = (Storage__CSINode *)kube_message_dup(request->body, bench->arena);
        bench->object->metadata->uid = arena_strdup(bench->arena, "csi-uid");
    }
    fake_reply(request, &bench->object->base);
}

static void answer(struct bench *bench)
{
    struct fake_exchange *request = fake_first(bench->client);
    assert_non_null(request);
    if (text_eq(request->kind->kind, "CSINode"))
        answer_object(bench, request);
    else if (bench->node_uid)
        fake_reply(request,
                   fake_object(request->kind, NULL, "node-a", bench->node_uid, "1", bench->arena));
    else
        fake_fail(request, 404, "NotFound", "nodes \"node-a\" not found");
}

static void settle(struct bench *bench)
{
    while (fake_pending(bench->client))
        answer(bench);
}

static void begin(struct bench *bench)
{
    csi_node_start(bench->node);
    csi_node_registered(bench->node, "");
}

/* All requests so far, one a line. */
static const char *requests(const struct bench *bench)
{
    char *all = arena_strdup(bench->arena, "");
    for (size_t i = 0; i < fake_started(bench->client); i++)
        all = arena_printf(bench->arena, "%s%s\n", all, fake_log(bench->client, i));
    return all;
}

/* An object as a former life of the node left it. */
static void leave_object(struct bench *bench, const char *owner_uid, const char *plugins)
{
    Storage__CSINode *object =
        (Storage__CSINode *)fake_object(kube_kind_find("storage.k8s.io/v1", "CSINode"), NULL,
                                        "node-a", "old-csi-uid", "7", bench->arena);
    Meta__OwnerReference *owner =
        (Meta__OwnerReference *)kube_message_new(&meta__owner_reference__descriptor, bench->arena);
    owner->kind = arena_strdup(bench->arena, "Node");
    owner->name = arena_strdup(bench->arena, "node-a");
    owner->uid = arena_strdup(bench->arena, owner_uid);
    object->metadata->owner_references = arena_calloc(bench->arena, 1, sizeof(void *));
    object->metadata->owner_references[0] = owner;
    object->metadata->n_owner_references = owner_uid ? 1 : 0;
    static const char *const keys[] = {"mine", PLUGINS_KEY};
    const char *values[] = {"stays", plugins};
    object->metadata->annotations = arena_calloc(bench->arena, 2, sizeof(void *));
    for (size_t i = 0; i < ARRAY_SIZE(keys) && values[i]; i++) {
        Meta__ObjectMeta__AnnotationsEntry *entry =
            (Meta__ObjectMeta__AnnotationsEntry *)kube_message_new(
                &meta__object_meta__annotations_entry__descriptor, bench->arena);
        entry->key = arena_strdup(bench->arena, keys[i]);
        entry->value = arena_strdup(bench->arena, values[i]);
        object->metadata->annotations[object->metadata->n_annotations++] = entry;
    }
    bench->object = object;
}

static const char *annotation(const struct bench *bench, const char *key)
{
    const Meta__ObjectMeta *meta = bench->object->metadata;
    for (size_t i = 0; i < meta->n_annotations; i++) {
        if (text_eq(meta->annotations[i]->key, key))
            return meta->annotations[i]->value;
    }
    return NULL;
}

TEST_CASE(the_object_is_as_the_kubelet_makes_it)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    assert_string_equal(csi_node_pending(bench.node), "CSINode is not yet initialized");
    begin(&bench);
    answer(&bench);
    answer(&bench);
    AUTO(buf) struct buf text;
    buf_init(&text, 64 * KiB);
    kube_encode_any(fake_first(bench.client)->body, kube_kind_find("storage.k8s.io/v1", "CSINode"),
                    KUBE_JSON, &text);
    /* The kubelet's encoder writes `"drivers": null`, which is the same. */
    assert_string_equal(
        buf_text(&text),
        "{\"kind\":\"CSINode\",\"apiVersion\":\"storage.k8s.io/v1\",\"metadata\":{\"name\":"
        "\"node-a\",\"annotations\":{\"" PLUGINS_KEY "\":\"" PLUGINS "\"},\"ownerReferences\":[{"
        "\"kind\":\"Node\",\"name\":\"node-a\",\"uid\":\"" UID "\",\"apiVersion\":\"v1\"}]},"
        "\"spec\":{}}");
    answer(&bench);
    assert_null(csi_node_pending(bench.node));
    assert_int_equal(bench.changes, 1);
    assert_string_equal(requests(&bench),
                        "GET /api/v1/nodes/node-a\nGET " CSINODES "/node-a\nPOST " CSINODES "\n");
    assert_int_equal(fake_loop_next(bench.loop), -1);
}

TEST_CASE(nothing_is_asked_before_it_is_started_and_the_node_is_there)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    csi_node_registered(bench.node, "");
    assert_int_equal(fake_started(bench.client), 0);
    csi_node_start(bench.node);
    csi_node_start(bench.node);
    csi_node_registered(bench.node, "");
    assert_int_equal(fake_started(bench.client), 1);
    settle(&bench);
    csi_node_registered(bench.node, "");
    csi_node_start(bench.node);
    assert_int_equal(fake_started(bench.client), 3);
}

TEST_CASE(what_is_there_is_made_ours)
{
    static const struct {
        const char *name, *owner_uid, *plugins;
        const char *requests; /* after the two GETs */
        bool keeps_others;
    } rows[] = {
        {"all is well", UID, PLUGINS, "", true},
        {"no owner is no other owner", NULL, PLUGINS, "", true},
        {"an order of its own", UID,
         "kubernetes.io/vsphere-volume,kubernetes.io/aws-ebs,kubernetes.io/azure-disk,"
         "kubernetes.io/azure-file,kubernetes.io/cinder,kubernetes.io/gce-pd,"
         "kubernetes.io/portworx-volume",
         "", true},
        {"no list", UID, NULL, "PUT " CSINODES "/node-a\n", true},
        {"an empty list", UID, "", "PUT " CSINODES "/node-a\n", true},
        {"a shorter list", UID, "kubernetes.io/aws-ebs", "PUT " CSINODES "/node-a\n", true},
        {"a longer list", UID, PLUGINS ",kubernetes.io/rbd", "PUT " CSINODES "/node-a\n", true},
        {"of a former node", "other", PLUGINS, "DELETE " CSINODES "/node-a\nPOST " CSINODES "\n",
         false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        leave_object(&bench, rows[i].owner_uid, rows[i].plugins);
        begin(&bench);
        settle(&bench);
        const char *wanted = arena_printf(
            bench.arena, "GET /api/v1/nodes/node-a\nGET " CSINODES "/node-a\n%s", rows[i].requests);
        if (!text_eq(requests(&bench), wanted))
            fail_msg("%s: %s", rows[i].name, requests(&bench));
        assert_null(csi_node_pending(bench.node));
        assert_int_equal(text_eq(annotation(&bench, "mine"), "stays"), rows[i].keeps_others);
        assert_int_equal(strlen(annotation(&bench, PLUGINS_KEY)), strlen(PLUGINS));
        if (!rows[i].keeps_others)
            assert_string_equal(bench.object->metadata->owner_references[0]->uid, UID);
    }
}

TEST_CASE(a_uid_that_was_told_is_not_asked_for)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    csi_node_start(bench.node);
    csi_node_registered(bench.node, UID);
    csi_node_registered(bench.node, UID);
    csi_node_registered(bench.node, "");
    settle(&bench);
    assert_null(csi_node_pending(bench.node));
    assert_string_equal(requests(&bench), "GET " CSINODES "/node-a\n"
                                          "POST " CSINODES "\n");
    assert_string_equal(bench.object->metadata->owner_references[0]->uid, UID);
    csi_node_registered(bench.node, UID);
    assert_int_equal(fake_started(bench.client), 2);
    /* Another Node of the name. */
    csi_node_registered(bench.node, "another-uid");
    settle(&bench);
    assert_string_equal(bench.object->metadata->owner_references[0]->uid, "another-uid");
    assert_int_equal(fake_started(bench.client), 5);
    /* Gone and back. */
    csi_node_gone(bench.node);
    csi_node_registered(bench.node, UID);
    settle(&bench);
    assert_string_equal(bench.object->metadata->owner_references[0]->uid, UID);
    assert_int_equal(fake_started(bench.client), 8);
}

TEST_CASE(a_uid_that_leads_nowhere_is_asked_for_and_one_told_meanwhile_counts)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    csi_node_start(bench.node);
    csi_node_registered(bench.node, "stale");
    fake_fail(fake_first(bench.client), 403, "Forbidden", "no");
    fake_loop_advance(bench.loop, 10 * NS_PER_MS);
    assert_string_equal(fake_log(bench.client, 1), "GET /api/v1/nodes/node-a");
    csi_node_registered(bench.node, UID);
    fake_fail(fake_first(bench.client), 500, "InternalError", "no");
    settle(&bench);
    assert_null(csi_node_pending(bench.node));
    assert_string_equal(fake_log(bench.client, 2), "GET " CSINODES "/node-a");
    assert_string_equal(bench.object->metadata->owner_references[0]->uid, UID);
    assert_int_equal(fake_started(bench.client), 4);
}

TEST_CASE(a_round_of_four_says_why_it_failed_and_others_follow_for_ever)
{
    static const int64_t pauses_ms[] = {30, 240, 1920, 10000, 10000, 10000, 10000};
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    bench.node_uid = NULL;
    begin(&bench);
    for (size_t round = 0; round < ARRAY_SIZE(pauses_ms); round++) {
        static const int64_t tries_ms[] = {10, 50, 250};
        for (size_t i = 0; i < ARRAY_SIZE(tries_ms); i++) {
            answer(&bench);
            assert_int_equal(fake_loop_next(bench.loop), tries_ms[i] * NS_PER_MS);
            assert_int_equal(bench.changes, round > 0);
            fake_loop_advance(bench.loop, tries_ms[i] * NS_PER_MS);
        }
        answer(&bench);
        assert_string_equal(csi_node_pending(bench.node), FAILED "nodes \"node-a\" not found");
        assert_int_equal(bench.changes, 1);
        assert_int_equal(fake_loop_next(bench.loop), pauses_ms[round] * NS_PER_MS);
        fake_loop_advance(bench.loop, pauses_ms[round] * NS_PER_MS);
    }
    bench.node_uid = UID;
    settle(&bench);
    assert_null(csi_node_pending(bench.node));
    assert_int_equal(bench.changes, 2);
}

TEST_CASE(different_reasons_are_all_told)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    begin(&bench);
    fake_fail(fake_first(bench.client), 403, "Forbidden", "no");
    for (int i = 0; i < 2; i++) {
        fake_loop_advance(bench.loop, NS_PER_SEC);
        fake_fail(fake_first(bench.client), 500, "InternalError", "oh");
    }
    fake_loop_advance(bench.loop, NS_PER_SEC);
    fake_reply(fake_first(bench.client),
               fake_object(kube_kind_find("v1", "Node"), NULL, "node-a", NULL, "1", bench.arena));
    assert_string_equal(csi_node_pending(bench.node),
                        FAILED "[no, oh, node \"node-a\" has no uid]");
}

TEST_CASE(a_node_made_anew_gets_another)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    begin(&bench);
    settle(&bench);
    csi_node_gone(bench.node);
    bench.node_uid = "new-uid";
    fake_loop_advance(bench.loop, 60 * NS_PER_SEC);
    assert_int_equal(fake_started(bench.client), 3);
    csi_node_registered(bench.node, "");
    settle(&bench);
    assert_string_equal(bench.object->metadata->owner_references[0]->uid, "new-uid");
    assert_null(csi_node_pending(bench.node));
    assert_int_equal(bench.changes, 1);
}

/* The node goes and comes while a request is under way: what it finds is not to be the last. */
TEST_CASE(a_node_made_anew_meanwhile_is_looked_at_again)
{
    for (size_t at = 0; at < 3; at++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        begin(&bench);
        for (size_t i = 0; i < at; i++)
            answer(&bench);
        csi_node_gone(bench.node);
        bench.node_uid = "new-uid";
        csi_node_registered(bench.node, "");
        settle(&bench);
        fake_loop_advance(bench.loop, NS_PER_SEC);
        settle(&bench);
        assert_string_equal(bench.object->metadata->owner_references[0]->uid, "new-uid");
        assert_null(csi_node_pending(bench.node));
    }
}

TEST_CASE(without_its_node_it_rests)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    begin(&bench);
    csi_node_gone(bench.node);
    fake_fail(fake_first(bench.client), 404, "NotFound", "nodes \"node-a\" not found");
    fake_loop_advance(bench.loop, 60 * NS_PER_SEC);
    assert_int_equal(fake_started(bench.client), 1);
    csi_node_registered(bench.node, "");
    fake_lose(fake_first(bench.client));
    csi_node_gone(bench.node);
    fake_loop_advance(bench.loop, 60 * NS_PER_SEC);
    assert_int_equal(fake_started(bench.client), 2);
    csi_node_registered(bench.node, "");
    settle(&bench);
    assert_null(csi_node_pending(bench.node));
}

/* Each request of each life fails once, in each way: the object is there in the end. */
static size_t sweep_once(const char *owner_uid, int fault, size_t fault_at)
{
    AUTO(bench) struct bench bench;
    size_t steps = 0;
    bench_init(&bench);
    if (owner_uid)
        leave_object(&bench, owner_uid, "");
    begin(&bench);
    for (int second = 0; second < 5; second++) {
        while (fake_pending(bench.client)) {
            struct fake_exchange *first = fake_first(bench.client);
            if (steps++ != fault_at)
                answer(&bench);
            else if (fault == 0)
                fake_lose(first);
            else if (fault == 1)
                fake_fail(first, 409, "Conflict", "x");
            else
                fake_fail(first, 500, "InternalError", "x");
        }
        fake_loop_advance(bench.loop, NS_PER_SEC);
    }
    assert_non_null(bench.object);
    assert_string_equal(bench.object->metadata->owner_references[0]->uid, UID);
    assert_string_equal(annotation(&bench, PLUGINS_KEY), PLUGINS);
    assert_null(csi_node_pending(bench.node));
    return steps;
}

TEST_CASE(every_single_failure_heals)
{
    static const char *const owners[] = {NULL, UID, "other"};
    for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
        size_t steps = sweep_once(owners[i], 0, SIZE_MAX);
        for (size_t at = 0; at < steps; at++) {
            for (int fault = 0; fault < 3; fault++)
                (void)sweep_once(owners[i], fault, at);
        }
    }
}

TEST_MAIN(TEST(the_object_is_as_the_kubelet_makes_it),
          TEST(nothing_is_asked_before_it_is_started_and_the_node_is_there),
          TEST(what_is_there_is_made_ours), TEST(a_uid_that_was_told_is_not_asked_for),
          TEST(a_uid_that_leads_nowhere_is_asked_for_and_one_told_meanwhile_counts),
          TEST(a_round_of_four_says_why_it_failed_and_others_follow_for_ever),
          TEST(different_reasons_are_all_told), TEST(a_node_made_anew_gets_another),
          TEST(a_node_made_anew_meanwhile_is_looked_at_again), TEST(without_its_node_it_rests),
          TEST(every_single_failure_heals))
