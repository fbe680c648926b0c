#include "kube/reflector.h"

#include "base/buf.h"
#include "tests/lib/test.h"
#include "tests/unit/kube/fake_loop.h"
#include "tests/unit/kube/fake_server.h"

/* What a listener does in the middle of being told. */
enum mischief { NOTHING, STOPS, FREES, RESTARTS };

/* A reflector of Pods and all it has told, in short: "+n1@3 ~n1@4 -n1@4 synced ". */
struct bench {
    struct loop *loop;
    struct api_client *client;
    struct reflector *reflector;
    struct arena *arena;
    struct buf told;
    enum mischief mischief;
    size_t mischief_at; /* the how-many-eth callback */
    size_t callbacks;
};

static void count_callback(struct bench *bench)
{
    if (++bench->callbacks != bench->mischief_at)
        return;
    switch (bench->mischief) {
    case NOTHING:
        break;
    case STOPS:
        reflector_stop(bench->reflector);
        break;
    case FREES:
        reflector_free(TAKE(bench->reflector));
        break;
    case RESTARTS:
        reflector_stop(bench->reflector);
        reflector_start(bench->reflector);
        break;
    }
}

static void note(struct bench *bench, char sign, const struct kube_object *object)
{
    buf_printf(&bench->told, "%c%s@%s ", sign, kube_object_name(object),
               kube_object_version(object));
    count_callback(bench);
}

static void on_added(void *ctx, const struct kube_object *object)
{
    note(ctx, '+', object);
}

static void on_updated(void *ctx, const struct kube_object *old, const struct kube_object *object)
{
    assert_string_equal(kube_object_uid(old), kube_object_uid(object));
    assert_string_not_equal(kube_object_version(old), kube_object_version(object));
    note(ctx, '~', object);
}

static void on_deleted(void *ctx, const struct kube_object *object)
{
    note(ctx, '-', object);
}

static void on_synced(void *ctx)
{
    struct bench *bench = ctx;
    buf_add_text(&bench->told, "synced ");
    count_callback(bench);
}

static void on_failed(void *ctx, const struct error *err)
{
    struct bench *bench = ctx;
    assert_ptr_equal(err, reflector_error(bench->reflector));
    buf_add_text(&bench->told, "failed ");
    count_callback(bench);
}

static const struct reflector_listener listener = {.on_added = on_added,
                                                   .on_updated = on_updated,
                                                   .on_deleted = on_deleted,
                                                   .on_synced = on_synced,
                                                   .on_failed = on_failed};

static void bench_init(struct bench *bench, const struct reflector_options *options)
{
    *bench = (struct bench){0};
    assert_no_error(loop_new(&bench->loop));
    bench->client = fake_api_client_new(bench->loop);
    bench->arena = arena_new(0);
    buf_init(&bench->told, 64 * KiB);
    struct reflector_options full = *options;
    if (!full.kind)
        full.kind = kube_kind_find("v1", "Pod");
    bench->reflector = reflector_new(bench->loop, bench->client, &full, &listener, bench);
}

static void bench_done(struct bench *bench)
{
    reflector_free(bench->reflector);
    assert_int_equal(fake_pending(bench->client), 0);
    fake_loop_advance(bench->loop, 0);
    assert_int_equal(fake_loop_live(bench->loop), 0);
    api_client_free(bench->client);
    loop_free(bench->loop);
    arena_free(bench->arena);
    buf_done(&bench->told);
}

static void auto_release_bench(struct bench *bench)
{
    bench_done(bench);
}

static const struct reflector_options plain = {0};
static const struct reflector_options lists = {.is_streaming_off = true};

/* What was told since the last look. */
#define assert_told(bench, want)                                                                   \
    do {                                                                                           \
        assert_string_equal(buf_text(&(bench)->told), (want));                                     \
        buf_clear(&(bench)->told);                                                                 \
    } while (0)

static const ProtobufCMessage *pod(struct bench *bench, const char *name, const char *uid,
                                   const char *version)
{
    return fake_object(kube_kind_find("v1", "Pod"), "ns", name, uid, version, bench->arena);
}

static const char *last_request(const struct bench *bench)
{
    return fake_log(bench->client, fake_started(bench->client) - 1);
}

/* Starts and syncs with n1@1 by a stream at version 5. */
static struct fake_exchange *sync_one(struct bench *bench)
{
    reflector_start(bench->reflector);
    struct fake_exchange *watch = fake_first(bench->client);
    watch = fake_send(watch, WATCH_ADDED, pod(bench, "n1", "a", "1"));
    watch = fake_send_bookmark(watch, "5", true);
    assert_told(bench, "+n1@1 synced ");
    return watch;
}

/* --- requests --- */

TEST_CASE(requests_are_those_a_kubelet_makes)
{
    static const struct {
        const char *api_version, *kind, *namespace_, *field_selector;
        int64_t min_s, max_s;
        uint64_t random;
        const char *want;
    } rows[] = {
        {"v1", "Node", NULL, "metadata.name=node-a", 0, 0, 187,
         "WATCH /api/v1/nodes?allowWatchBookmarks=true&fieldSelector=metadata.name%3Dnode-a&"
         "resourceVersionMatch=NotOlderThan&sendInitialEvents=true&timeout=8m7s&timeoutSeconds=487&"
         "watch=true"},
        {"v1", "Service", NULL, "spec.clusterIP!=None", 0, 0, 153,
         "WATCH /api/v1/services?allowWatchBookmarks=true&"
         "fieldSelector=spec.clusterIP%21%3DNone&resourceVersionMatch=NotOlderThan&"
         "sendInitialEvents=true&timeout=7m33s&timeoutSeconds=453&watch=true"},
        {"storage.k8s.io/v1", "CSIDriver", NULL, NULL, 0, 0, 292,
         "WATCH /apis/storage.k8s.io/v1/csidrivers?allowWatchBookmarks=true&"
         "resourceVersionMatch=NotOlderThan&sendInitialEvents=true&timeout=9m52s&"
         "timeoutSeconds=592&watch=true"},
        {"v1", "ConfigMap", "rec", "metadata.name=cm", 1800, 3600, 804,
         "WATCH /api/v1/namespaces/rec/configmaps?allowWatchBookmarks=true&"
         "fieldSelector=metadata.name%3Dcm&resourceVersionMatch=NotOlderThan&"
         "sendInitialEvents=true&timeout=43m24s&timeoutSeconds=2604&watch=true"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench, &(struct reflector_options){
                               .kind = kube_kind_find(rows[i].api_version, rows[i].kind),
                               .namespace_ = rows[i].namespace_,
                               .field_selector = rows[i].field_selector,
                               .min_watch_ns = rows[i].min_s * NS_PER_SEC,
                               .max_watch_ns = rows[i].max_s * NS_PER_SEC});
        fake_random_set(rows[i].random);
        reflector_start(bench.reflector);
        assert_string_equal(last_request(&bench), rows[i].want);
    }
}

TEST_CASE(a_refused_stream_is_a_list_and_a_watch)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, &(struct reflector_options){.kind = kube_kind_find("v1", "Secret"),
                                                   .namespace_ = "rec",
                                                   .field_selector = "metadata.name=sec",
                                                   .min_watch_ns = 1800 * NS_PER_SEC,
                                                   .max_watch_ns = 3600 * NS_PER_SEC});
    fake_random_set(180);
    reflector_start(bench.reflector);
    fake_fail(fake_first(bench.client), 403, "Forbidden", "no relationship found");
    assert_string_equal(last_request(&bench),
                        "GET /api/v1/namespaces/rec/secrets?fieldSelector=metadata.name%3Dsec&"
                        "limit=500&resourceVersion=0");
    const ProtobufCMessage *secret =
        fake_object(kube_kind_find("v1", "Secret"), "rec", "sec", "u", "200", bench.arena);
    fake_reply_list(fake_first(bench.client), &secret, 1, "271", NULL);
    assert_string_equal(last_request(&bench),
                        "WATCH /api/v1/namespaces/rec/secrets?allowWatchBookmarks=true&"
                        "fieldSelector=metadata.name%3Dsec&resourceVersion=271&timeout=33m0s&"
                        "timeoutSeconds=1980&watch=true");
    assert_told(&bench, "+sec@200 synced ");
    assert_int_equal(fake_started(bench.client), 3);
}

TEST_CASE(both_selectors_are_said)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, &(struct reflector_options){.field_selector = "spec.nodeName=a",
                                                   .label_selector = "app in (x,y)",
                                                   .is_streaming_off = true});
    reflector_start(bench.reflector);
    assert_string_equal(last_request(&bench),
                        "GET /api/v1/pods?fieldSelector=spec.nodeName%3Da&"
                        "labelSelector=app%20in%20%28x%2Cy%29&limit=500&resourceVersion=0");
}

/* --- telling --- */

TEST_CASE(every_change_is_told_once)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, &plain);
    reflector_start(bench.reflector);
    struct fake_exchange *watch = fake_first(bench.client);
    watch = fake_send(watch, WATCH_ADDED, pod(&bench, "n1", "a", "1"));
    watch = fake_send(watch, WATCH_ADDED, pod(&bench, "n2", "b", "2"));
    watch = fake_send(watch, WATCH_MODIFIED, pod(&bench, "n2", "b", "4"));
    watch = fake_send(watch, WATCH_ADDED, pod(&bench, "n3", "c", "3"));
    watch = fake_send(watch, WATCH_DELETED, pod(&bench, "n3", "c", "5"));
    assert_false(reflector_has_synced(bench.reflector));
    assert_int_equal(reflector_count(bench.reflector), 0);
    assert_told(&bench, "");
    watch = fake_send_bookmark(watch, "5", true);
    assert_told(&bench, "+n1@1 +n2@4 synced ");
    assert_true(reflector_has_synced(bench.reflector));

    watch = fake_send(watch, WATCH_ADDED, pod(&bench, "n4", "d", "6"));
    watch = fake_send(watch, WATCH_MODIFIED, pod(&bench, "n1", "a", "7"));
    watch = fake_send(watch, WATCH_MODIFIED, pod(&bench, "n1", "a", "7"));
    watch = fake_send(watch, WATCH_DELETED, pod(&bench, "n2", "b", "8"));
    watch = fake_send(watch, WATCH_DELETED, pod(&bench, "n2", "b", "8"));
    watch = fake_send(watch, WATCH_ADDED, pod(&bench, "n4", "e", "9"));
    watch = fake_send_bookmark(watch, "12", false);
    assert_told(&bench, "+n4@6 ~n1@7 -n2@8 -n4@6 +n4@9 ");
    assert_string_equal(reflector_version(bench.reflector), "12");
    assert_int_equal(reflector_count(bench.reflector), 2);
    assert_non_null(watch);
    assert_int_equal(fake_started(bench.client), 1);
}

TEST_CASE(an_object_can_be_kept_for_longer)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, &plain);
    struct fake_exchange *watch = sync_one(&bench);
    AUTO(kube_object)
    const struct kube_object *kept = kube_object_ref(reflector_find(bench.reflector, "ns", "n1"));
    (void)fake_send(watch, WATCH_DELETED, pod(&bench, "n1", "a", "6"));
    assert_null(reflector_find(bench.reflector, "ns", "n1"));
    assert_string_equal(kube_object_version(kept), "1");
}

TEST_CASE(a_new_list_finds_what_was_missed)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, &lists);
    reflector_start(bench.reflector);
    const ProtobufCMessage *before[] = {pod(&bench, "n1", "a", "1"), pod(&bench, "n2", "b", "2"),
                                        pod(&bench, "n3", "c", "3"), pod(&bench, "n4", "d", "4")};
    fake_reply_list(fake_first(bench.client), before, 4, "4", NULL);
    assert_told(&bench, "+n1@1 +n2@2 +n3@3 +n4@4 synced ");
    const struct kube_object *same = reflector_find(bench.reflector, "ns", "n1");
    (void)fake_send_error(fake_first(bench.client), 410, "Expired", "too old resource version");
    assert_told(&bench, "failed ");
    assert_true(reflector_has_synced(bench.reflector));
    fake_loop_advance(bench.loop, 800 * NS_PER_MS);

    /* The same, changed, gone, made anew under the same name, and one that is new. */
    const ProtobufCMessage *after[] = {pod(&bench, "n1", "a", "1"), pod(&bench, "n2", "b", "9"),
                                       pod(&bench, "n4", "e", "8"), pod(&bench, "n5", "f", "7")};
    fake_reply_list(fake_first(bench.client), after, 4, "9", NULL);
    assert_told(&bench, "-n3@3 ~n2@9 -n4@4 +n4@8 +n5@7 ");
    assert_ptr_equal(reflector_find(bench.reflector, "ns", "n1"), same);
    assert_null(reflector_error(bench.reflector));
}

TEST_CASE(pages_are_one_list)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, &lists);
    reflector_start(bench.reflector);
    const ProtobufCMessage *one = pod(&bench, "n1", "a", "1"), *two = pod(&bench, "n2", "b", "2");
    fake_reply_list(fake_first(bench.client), &one, 1, "4", "token");
    assert_told(&bench, "");
    assert_string_equal(last_request(&bench), "GET /api/v1/pods?continue=token&limit=500");
    fake_reply_list(fake_first(bench.client), &two, 1, "4", NULL);
    assert_told(&bench, "+n1@1 +n2@2 synced ");
}

TEST_CASE(what_does_not_decode_is_skipped)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, &plain);
    struct fake_exchange *watch = sync_one(&bench);
    watch = fake_send_garbage(watch);
    watch = fake_send(watch, WATCH_ADDED, pod(&bench, NULL, "x", "8"));
    watch = fake_send(watch, WATCH_ADDED, pod(&bench, "n2", "b", "9"));
    assert_non_null(watch);
    assert_told(&bench, "+n2@9 ");
    assert_string_equal(reflector_version(bench.reflector), "9");
}

TEST_CASE(managed_fields_are_dropped_where_told_so)
{
    for (int drops = 0; drops < 2; drops++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench, &(struct reflector_options){.drops_managed_fields = drops == 1});
        Meta__ManagedFieldsEntry entry = META__MANAGED_FIELDS_ENTRY__INIT;
        Meta__ManagedFieldsEntry *entries[] = {&entry};
        ProtobufCMessage *message =
            fake_object(kube_kind_find("v1", "Pod"), "ns", "n1", "a", "1", bench.arena);
        kube_object_meta(message)->n_managed_fields = 1;
        kube_object_meta(message)->managed_fields = entries;
        reflector_start(bench.reflector);
        struct fake_exchange *watch = fake_send(fake_first(bench.client), WATCH_ADDED, message);
        (void)fake_send_bookmark(watch, "1", true);
        assert_int_equal(reflector_find(bench.reflector, "ns", "n1")->meta->n_managed_fields,
                         drops ? 0 : 1);
    }
}

/* --- failures --- */

TEST_CASE(a_lost_connection_costs_one_more_watch)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, &plain);
    struct fake_exchange *watch = sync_one(&bench);
    watch = fake_send(watch, WATCH_MODIFIED, pod(&bench, "n1", "a", "6"));
    fake_loop_advance(bench.loop, 60 * NS_PER_SEC);
    fake_lose(watch);
    assert_string_equal(
        last_request(&bench),
        "WATCH /api/v1/pods?allowWatchBookmarks=true&resourceVersion=6&timeout=5m0s&"
        "timeoutSeconds=300&watch=true");
    /* Nobody there: the same again, later and later, and never a list. */
    for (int i = 0; i < 6; i++) {
        fake_lose(fake_first(bench.client));
        assert_int_equal(fake_pending(bench.client), 0);
        assert_int_equal(fake_loop_next(bench.loop), i == 0 ? 800 * NS_PER_MS : NS_PER_SEC);
        fake_loop_advance(bench.loop, fake_loop_next(bench.loop));
        assert_int_equal(fake_pending(bench.client), 1);
    }
    assert_non_null(reflector_error(bench.reflector));
    (void)fake_open(fake_first(bench.client));
    assert_null(reflector_error(bench.reflector));
    assert_int_equal(fake_started(bench.client), 8);
    assert_told(&bench, "~n1@6 failed failed failed failed failed failed ");
}

TEST_CASE(a_patient_reflector_can_be_hurried)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, &(struct reflector_options){.max_unreached_ns = 30 * NS_PER_SEC});
    reflector_hurry(bench.reflector); /* not started: nothing */
    reflector_start(bench.reflector);
    reflector_hurry(bench.reflector); /* nor does it rest */
    for (int i = 0; i < 8; i++) {
        assert_int_equal(fake_pending(bench.client), 1);
        fake_lose(fake_first(bench.client));
        assert_int_equal(fake_loop_next(bench.loop),
                         min_i64((800 * NS_PER_MS) << i, 30 * NS_PER_SEC));
        if (i % 2)
            reflector_hurry(bench.reflector);
        fake_loop_advance(bench.loop, fake_loop_next(bench.loop));
    }
    assert_int_equal(fake_started(bench.client), 9);
    /* A server that has answered is not asked sooner than it may. */
    (void)fake_open(fake_first(bench.client));
    (void)fake_send_error(fake_first(bench.client), 429, "TooManyRequests", "");
    reflector_hurry(bench.reflector);
    assert_int_equal(fake_loop_next(bench.loop), 800 * NS_PER_MS);
}

TEST_CASE(an_error_names_what_failed)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, &lists);
    reflector_start(bench.reflector);
    fake_fail(fake_first(bench.client), 403, "Forbidden", "pods is forbidden");
    assert_string_equal(reflector_error(bench.reflector)->message,
                        "listing pods: pods is forbidden");
    assert_int_equal(reflector_error(bench.reflector)->code, ERROR_PERMISSION_DENIED);
    assert_told(&bench, "failed ");
}

TEST_CASE(a_very_short_watch_says_so)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, &plain);
    fake_close(sync_one(&bench));
    assert_told(&bench, "failed ");
    assert_string_equal(reflector_error(bench.reflector)->message,
                        "very short watch: pods: Unexpected watch close - watch lasted less than a "
                        "second and no items received");
}

TEST_CASE(too_many_objects_are_an_error_and_not_an_end)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, &(struct reflector_options){.max_objects = 2});
    reflector_start(bench.reflector);
    struct fake_exchange *watch = fake_first(bench.client);
    for (unsigned i = 0; i < 3 && watch; i++)
        watch = fake_send(watch, WATCH_ADDED,
                          pod(&bench, (const char *[]){"n1", "n2", "n3"}[i], "u", "1"));
    assert_null(watch);
    assert_told(&bench, "failed ");
    assert_int_equal(reflector_error(bench.reflector)->code, ERROR_RESOURCE_EXHAUSTED);
    assert_string_equal(reflector_error(bench.reflector)->message,
                        "watching pods: more than 2 objects of kind Pod");
    assert_int_equal(fake_pending(bench.client), 0);

    fake_loop_advance(bench.loop, 800 * NS_PER_MS);
    watch = fake_send(fake_first(bench.client), WATCH_ADDED, pod(&bench, "n1", "u", "1"));
    watch = fake_send(watch, WATCH_ADDED, pod(&bench, "n2", "u", "2"));
    watch = fake_send_bookmark(watch, "2", true);
    assert_told(&bench, "+n1@1 +n2@2 synced ");
    watch = fake_send(watch, WATCH_ADDED, pod(&bench, "n3", "u", "3"));
    assert_null(watch);
    assert_told(&bench, "failed ");
    assert_int_equal(reflector_count(bench.reflector), 2);
}

TEST_CASE(a_token_without_end_is_refused)
{
    AUTO(bench) struct bench bench;
    AUTO(free) char *token = xcalloc(1, 9 * KiB);
    memset(token, 'x', 9 * KiB - 1);
    bench_init(&bench, &lists);
    reflector_start(bench.reflector);
    fake_reply_list(fake_first(bench.client), NULL, 0, "4", token);
    assert_told(&bench, "failed ");
    assert_int_equal(reflector_error(bench.reflector)->code, ERROR_INVALID_ARGUMENT);
}

TEST_CASE(a_silent_stream_is_only_complained_about)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, &plain);
    reflector_start(bench.reflector);
    struct fake_exchange *watch = fake_open(fake_first(bench.client));
    fake_loop_advance(bench.loop, 35 * NS_PER_SEC);
    assert_int_equal(fake_started(bench.client), 1);
    (void)fake_send_bookmark(watch, "5", true);
    assert_told(&bench, "synced ");
    assert_int_equal(fake_loop_armed(bench.loop), 0); /* nothing polls */
}

/* --- stopping --- */

TEST_CASE(a_restart_compares_with_what_was_known)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, &plain);
    (void)sync_one(&bench);
    reflector_stop(bench.reflector);
    assert_int_equal(fake_pending(bench.client), 0);
    assert_false(reflector_is_running(bench.reflector));
    assert_non_null(reflector_find(bench.reflector, "ns", "n1"));
    fake_loop_advance(bench.loop, 3600 * NS_PER_SEC);
    reflector_start(bench.reflector);
    reflector_start(bench.reflector);
    assert_int_equal(fake_pending(bench.client), 1);
    assert_false(reflector_has_synced(bench.reflector));
    struct fake_exchange *watch = fake_first(bench.client);
    watch = fake_send(watch, WATCH_ADDED, pod(&bench, "n2", "b", "8"));
    (void)fake_send_bookmark(watch, "9", true);
    assert_told(&bench, "-n1@1 +n2@8 synced ");
}

/* A life with every kind of callback; what the listener does in one of them must end well. */
static size_t live(enum mischief mischief, size_t mischief_at)
{
    AUTO(bench) struct bench bench;
    struct fake_server server;
    bench_init(&bench, &plain);
    bench.mischief = mischief;
    bench.mischief_at = mischief_at;
    fake_server_init(&server, bench.client);
    for (unsigned i = 0; i < 4; i++)
        fake_server_put(&server, i);
    reflector_start(bench.reflector);
    for (int round = 0; round < 3; round++) {
        fake_server_answer(&server);
        fake_server_put(&server, 0);
        fake_server_delete(&server, 1);
        fake_server_put(&server, 5);
        fake_server_answer(&server);
        fake_server_delete(&server, 5);
        fake_server_put(&server, 1);
        fake_server_compact(&server);
        if (fake_first(bench.client))
            (void)fake_send_error(fake_first(bench.client), 410, "Expired", "too old");
        fake_loop_advance(bench.loop, 60 * NS_PER_SEC);
    }
    fake_server_answer(&server);
    bool is_true = bench.reflector && reflector_is_running(bench.reflector);
    if (is_true) {
        assert_int_equal(reflector_count(bench.reflector), fake_server_count(&server));
        const struct kube_object *object = NULL;
        while ((object = reflector_next(bench.reflector, object)) != NULL)
            assert_true(fake_server_has(&server, object));
    }
    assert_true(is_true || mischief == STOPS || mischief == FREES);
    fake_server_done(&server);
    return bench.callbacks;
}

TEST_CASE(a_listener_may_stop_restart_or_free_in_every_callback)
{
    size_t callbacks = live(NOTHING, 0);
    assert_true(callbacks > 20);
    for (size_t at = 1; at <= callbacks; at++) {
        (void)live(STOPS, at);
        (void)live(FREES, at);
        (void)live(RESTARTS, at);
    }
}

/* --- the sweep: every request fails once, in every way --- */

enum fault { LOSE, FAIL_500, FAIL_429, FAIL_410, CLOSE, GARBAGE, FAULTS };

static void inject(struct fake_exchange *exchange, enum fault fault)
{
    switch (fault) {
    case LOSE:
        fake_lose(exchange);
        return;
    case FAIL_500:
    case FAIL_429:
    case FAIL_410: {
        static const struct {
            unsigned code;
            const char *reason;
        } failures[] = {[FAIL_500] = {500, "InternalError"},
                        [FAIL_429] = {429, "TooManyRequests"},
                        [FAIL_410] = {410, "Expired"}};
        if (exchange->is_open)
            (void)fake_send_error(exchange, (int32_t)failures[fault].code, failures[fault].reason,
                                  "");
        else
            fake_fail(exchange, failures[fault].code, failures[fault].reason, "");
        return;
    }
    case CLOSE:
    case GARBAGE:
        if (!exchange->is_watch) {
            fake_fail_bare(exchange, 502);
            return;
        }
        if (!exchange->is_open)
            exchange = fake_open(exchange);
        if (fault == CLOSE)
            fake_close(exchange);
        else
            (void)fake_send_garbage(exchange);
        return;
    case FAULTS:
        break;
    }
}

/* Runs a script, with @fault instead of the answer at step @fault_at. Returns the number of steps.
 */
static size_t sweep_once(bool offers_streams, enum fault fault, size_t fault_at)
{
    AUTO(bench) struct bench bench;
    struct fake_server server;
    size_t steps = 0;
    bench_init(&bench, &plain);
    fake_server_init(&server, bench.client);
    server.offers_streams = offers_streams;
    server.page_size = 2;
    for (unsigned i = 0; i < 5; i++)
        fake_server_put(&server, i);
    reflector_start(bench.reflector);
    for (unsigned change = 0; change < 6; change++) {
        do {
            struct fake_exchange *first = fake_first(bench.client);
            if (first && steps++ == fault_at)
                inject(first, fault);
            fake_loop_advance(bench.loop, 2 * NS_PER_SEC);
        } while (fake_server_answer_one(&server));
        if (change % 2)
            fake_server_delete(&server, change);
        else
            fake_server_put(&server, change + 1);
    }
    for (int i = 0; i < 20; i++) {
        fake_server_answer(&server);
        fake_loop_advance(bench.loop, 10 * NS_PER_SEC);
    }
    assert_true(reflector_has_synced(bench.reflector));
    assert_int_equal(reflector_count(bench.reflector), fake_server_count(&server));
    const struct kube_object *object = NULL;
    while ((object = reflector_next(bench.reflector, object)) != NULL)
        assert_true(fake_server_has(&server, object));
    assert_in_range(fake_started(bench.client), 1, 16); /* nothing spins */
    fake_server_done(&server);
    return steps;
}

TEST_CASE(every_single_failure_heals)
{
    for (int offers_streams = 0; offers_streams < 2; offers_streams++) {
        size_t steps = sweep_once(offers_streams, FAULTS, SIZE_MAX);
        assert_true(steps > 5);
        for (size_t at = 0; at < steps; at++) {
            for (enum fault fault = LOSE; fault < FAULTS; fault++)
                (void)sweep_once(offers_streams, fault, at);
        }
    }
}

TEST_MAIN(TEST(requests_are_those_a_kubelet_makes), TEST(a_refused_stream_is_a_list_and_a_watch),
          TEST(both_selectors_are_said), TEST(every_change_is_told_once),
          TEST(an_object_can_be_kept_for_longer), TEST(a_new_list_finds_what_was_missed),
          TEST(pages_are_one_list), TEST(what_does_not_decode_is_skipped),
          TEST(managed_fields_are_dropped_where_told_so),
          TEST(a_lost_connection_costs_one_more_watch), TEST(a_patient_reflector_can_be_hurried),
          TEST(an_error_names_what_failed), TEST(a_very_short_watch_says_so),
          TEST(too_many_objects_are_an_error_and_not_an_end), TEST(a_token_without_end_is_refused),
          TEST(a_silent_stream_is_only_complained_about),
          TEST(a_restart_compares_with_what_was_known),
          TEST(a_listener_may_stop_restart_or_free_in_every_callback),
          TEST(every_single_failure_heals))
