#include "kube/object_watch.h"

#include "base/buf.h"
#include "tests/lib/test.h"
#include "tests/unit/kube/fake_api_client.h"
#include "tests/unit/kube/fake_loop.h"

#include "core.pb-c.h"

/* A manager and what its gets have brought, in short: "cm@3 " or "!the message ". */
struct bench {
    struct loop *loop;
    struct api_client *client;
    struct object_watch *watch;
    struct arena *arena;
    struct buf got;
    struct buf changed;
    bool frees; /* the next get's callback frees the manager */
    bool has_node_ttl;
    int64_t node_ttl_ns;
};

static void on_got(void *ctx, const struct kube_object *object, struct error *err_owned)
{
    struct bench *bench = ctx;
    AUTO(error) struct error *err = err_owned;
    assert_true(!object == !!err);
    if (object)
        buf_printf(&bench->got, "%s@%s ", kube_object_name(object), kube_object_version(object));
    else
        buf_printf(&bench->got, "!%s ", err->message);
    if (bench->frees)
        object_watch_free(TAKE(bench->watch));
}

static void on_changed(void *ctx, const char *namespace_, const char *name)
{
    struct bench *bench = ctx;
    buf_printf(&bench->changed, "%s/%s ", namespace_, name);
}

static bool ttl_of_node(void *ctx, int64_t *ret_ttl_ns)
{
    const struct bench *bench = ctx;
    *ret_ttl_ns = bench->node_ttl_ns;
    return bench->has_node_ttl;
}

static void bench_init(struct bench *bench, enum object_strategy strategy)
{
    *bench = (struct bench){.arena = arena_new(0)};
    buf_init(&bench->got, 64 * KiB);
    buf_init(&bench->changed, 64 * KiB);
    assert_no_error(loop_new(&bench->loop));
    bench->client = fake_api_client_new(bench->loop);
    bench->watch =
        object_watch_new(bench->loop, bench->client,
                         &(struct object_watch_options){.kind = kube_kind_find("v1", "ConfigMap"),
                                                        .strategy = strategy,
                                                        .ttl_of_node = ttl_of_node,
                                                        .on_changed = on_changed,
                                                        .ctx = bench});
}

static void auto_release_bench(struct bench *bench)
{
    object_watch_free(bench->watch);
    assert_int_equal(fake_pending(bench->client), 0);
    fake_loop_advance(bench->loop, 0);
    assert_int_equal(fake_loop_live(bench->loop), 0);
    api_client_free(bench->client);
    loop_free(bench->loop);
    arena_free(bench->arena);
    buf_done(&bench->got);
    buf_done(&bench->changed);
}

#define assert_text(buf, want)                                                                     \
    do {                                                                                           \
        assert_string_equal(buf_text(buf), (want));                                                \
        buf_clear(buf);                                                                            \
    } while (0)

#define REGISTER(bench, pod, ...)                                                                  \
    do {                                                                                           \
        const char *const list[] = {__VA_ARGS__};                                                  \
        object_watch_register((bench)->watch, (pod), "ns", list, ARRAY_SIZE(list));                \
    } while (0)

static void get(struct bench *bench, const char *name)
{
    (void)object_watch_get(bench->watch, "ns", name, on_got, bench);
}

static ProtobufCMessage *config_map(struct bench *bench, const char *name, const char *version)
{
    return fake_object(kube_kind_find("v1", "ConfigMap"), "ns", name, "u", version, bench->arena);
}

/* The watch of @name has all its objects: one of @version, or none. */
static struct fake_exchange *sync_item(struct bench *bench, const char *name, const char *version)
{
    AUTO(free) char *selector = xasprintf("metadata.name%%3D%s&", name);
    struct fake_exchange *watch = fake_find(bench->client, selector);
    assert_non_null(watch);
    if (version)
        watch = fake_send(watch, WATCH_ADDED, config_map(bench, name, version));
    return fake_send_bookmark(watch, version ? version : "1", true);
}

/* --- strategy Watch --- */

TEST_CASE(one_watch_for_an_object_however_many_pods_name_it)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, OBJECT_STRATEGY_WATCH);
    REGISTER(&bench, "pod-1", "a", "b", "a");
    REGISTER(&bench, "pod-2", "b", "c");
    assert_int_equal(object_watch_count(bench.watch), 3);
    assert_int_equal(fake_pending(bench.client), 3);
    assert_string_equal(
        fake_log(bench.client, 0),
        "WATCH /api/v1/namespaces/ns/configmaps?allowWatchBookmarks=true&"
        "fieldSelector=metadata.name%3Da&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&"
        "timeout=30m0s&timeoutSeconds=1800&watch=true");

    REGISTER(&bench, "pod-1", "b", "d");
    assert_int_equal(fake_started(bench.client), 4);
    assert_null(fake_find(bench.client, "metadata.name%3Da&"));
    object_watch_unregister(bench.watch, "pod-2");
    assert_null(fake_find(bench.client, "metadata.name%3Dc&"));
    assert_non_null(fake_find(bench.client, "metadata.name%3Db&"));
    object_watch_register(bench.watch, "pod-1", "ns", NULL, 0);
    object_watch_unregister(bench.watch, "pod-1");
    object_watch_unregister(bench.watch, "nobody");
    assert_int_equal(object_watch_count(bench.watch), 0);
    assert_int_equal(fake_pending(bench.client), 0);
}

TEST_CASE(a_get_waits_for_the_first_sync)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, OBJECT_STRATEGY_WATCH);
    REGISTER(&bench, "pod", "a", "missing");
    get(&bench, "a");
    get(&bench, "missing");
    fake_loop_advance(bench.loop, 999 * NS_PER_MS);
    (void)sync_item(&bench, "a", "7");
    (void)sync_item(&bench, "missing", NULL);
    assert_text(&bench.got, "");
    fake_loop_advance(bench.loop, 0);
    assert_text(&bench.got, "a@7 !configmap \"missing\" not found ");
    get(&bench, "a");
    assert_text(&bench.got, "");
    fake_loop_advance(bench.loop, 0);
    assert_text(&bench.got, "a@7 ");
    assert_int_equal(fake_started(bench.client), 2);
}

TEST_CASE(a_get_waits_for_a_second)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, OBJECT_STRATEGY_WATCH);
    REGISTER(&bench, "pod", "a");
    get(&bench, "a");
    fake_fail(fake_first(bench.client), 403, "Forbidden", "no");
    fake_loop_advance(bench.loop, NS_PER_SEC);
    assert_text(&bench.got,
                "!failed to sync configmap cache: timed out waiting for the condition ");
}

TEST_CASE(a_get_of_what_nobody_registered_fails)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, OBJECT_STRATEGY_WATCH);
    get(&bench, "a");
    assert_text(&bench.got, "");
    fake_loop_advance(bench.loop, 0);
    assert_text(&bench.got, "!object \"ns\"/\"a\" not registered ");
    /* Also when the last pod goes in the meantime. */
    REGISTER(&bench, "pod", "a");
    get(&bench, "a");
    object_watch_unregister(bench.watch, "pod");
    fake_loop_advance(bench.loop, 0);
    assert_text(&bench.got, "!object \"ns\"/\"a\" not registered ");
}

TEST_CASE(changes_are_told_and_seen)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, OBJECT_STRATEGY_WATCH);
    REGISTER(&bench, "pod", "a");
    assert_null(object_watch_peek(bench.watch, "ns", "a"));
    struct fake_exchange *watch = sync_item(&bench, "a", "7");
    assert_text(&bench.changed, "");
    watch = fake_send(watch, WATCH_MODIFIED, config_map(&bench, "a", "8"));
    assert_text(&bench.changed, "ns/a ");
    assert_string_equal(kube_object_version(object_watch_peek(bench.watch, "ns", "a")), "8");
    watch = fake_send(watch, WATCH_DELETED, config_map(&bench, "a", "9"));
    (void)fake_send(watch, WATCH_ADDED, config_map(&bench, "other", "10"));
    assert_text(&bench.changed, "ns/a ");
    get(&bench, "a");
    fake_loop_advance(bench.loop, 0);
    assert_text(&bench.got, "!configmap \"a\" not found ");
}

TEST_CASE(an_immutable_object_is_read_once)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, OBJECT_STRATEGY_WATCH);
    REGISTER(&bench, "pod", "a");
    ProtobufCMessage *message = config_map(&bench, "a", "7");
    ((Core__ConfigMap *)message)->has_immutable = true;
    ((Core__ConfigMap *)message)->immutable = true;
    struct fake_exchange *watch = fake_send(fake_first(bench.client), WATCH_ADDED, message);
    (void)fake_send_bookmark(watch, "7", true);
    assert_int_equal(object_watch_running(bench.watch), 1);
    get(&bench, "a");
    fake_loop_advance(bench.loop, 0);
    assert_int_equal(object_watch_running(bench.watch), 0);
    fake_loop_advance(bench.loop, 7200 * NS_PER_SEC);
    get(&bench, "a");
    fake_loop_advance(bench.loop, 0);
    assert_text(&bench.got, "a@7 a@7 ");
    assert_int_equal(fake_started(bench.client), 1);
    assert_int_equal(fake_loop_armed(bench.loop), 0);
}

TEST_CASE(what_nobody_reads_is_not_watched)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, OBJECT_STRATEGY_WATCH);
    REGISTER(&bench, "pod", "a", "slow");
    (void)sync_item(&bench, "a", "7");
    fake_loop_advance(bench.loop, 200 * NS_PER_SEC);
    get(&bench, "a");
    fake_loop_advance(bench.loop, 250 * NS_PER_SEC);
    assert_int_equal(object_watch_running(bench.watch), 2);
    fake_loop_advance(bench.loop, 110 * NS_PER_SEC);
    /* The one that has not synced goes on. */
    assert_int_equal(object_watch_running(bench.watch), 1);
    assert_non_null(fake_find(bench.client, "slow"));
    assert_text(&bench.got, "a@7 ");

    get(&bench, "a");
    assert_int_equal(object_watch_running(bench.watch), 2);
    fake_loop_advance(bench.loop, 500 * NS_PER_MS);
    assert_text(&bench.got, "");
    assert_non_null(fake_find(bench.client, "metadata.name%3Da&resourceVersion=7&"));
    struct fake_exchange *watch =
        fake_send(fake_find(bench.client, "%3Da&"), WATCH_ADDED, config_map(&bench, "a", "9"));
    (void)fake_send_bookmark(watch, "9", true);
    fake_loop_advance(bench.loop, 0);
    assert_text(&bench.got, "a@9 ");
    assert_text(&bench.changed, "ns/a ");
}

/* Nobody answers: containers that start again take what was known before. */
TEST_CASE(a_server_that_is_away_leaves_what_was_known)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, OBJECT_STRATEGY_WATCH);
    REGISTER(&bench, "pod", "a", "none", "never");
    (void)sync_item(&bench, "a", "7");
    (void)sync_item(&bench, "none", NULL);
    fake_loop_advance(bench.loop, 400 * NS_PER_SEC); /* both are idle */
    assert_int_equal(object_watch_running(bench.watch), 1);
    fake_lose(fake_find(bench.client, "never"));
    get(&bench, "a");
    get(&bench, "none");
    get(&bench, "never"); /* is asked for at once, not after the rest */
    fake_loop_advance(bench.loop, 0);
    assert_int_equal(fake_pending(bench.client), 3);
    while (fake_first(bench.client))
        fake_lose(fake_first(bench.client));
    fake_loop_advance(bench.loop, 999 * NS_PER_MS);
    while (fake_first(bench.client))
        fake_lose(fake_first(bench.client));
    assert_text(&bench.got, "");
    fake_loop_advance(bench.loop, NS_PER_MS);
    assert_text(&bench.got,
                "a@7 !configmap \"none\" not found "
                "!failed to sync configmap cache: timed out waiting for the condition ");

    get(&bench, "a");
    fake_loop_advance(bench.loop, 0);
    (void)sync_item(&bench, "a", "9");
    fake_loop_advance(bench.loop, 0);
    assert_text(&bench.got, "a@9 ");
}

/* Only what the server says now ends a watch for good. */
TEST_CASE(an_immutable_object_from_before_goes_on_being_watched)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, OBJECT_STRATEGY_WATCH);
    REGISTER(&bench, "pod", "a");
    Core__ConfigMap *map = (Core__ConfigMap *)config_map(&bench, "a", "7");
    map->has_immutable = map->immutable = true;
    (void)fake_send_bookmark(fake_send(fake_first(bench.client), WATCH_ADDED, &map->base), "7",
                             true);
    fake_loop_advance(bench.loop, 400 * NS_PER_SEC); /* never read, idle */
    get(&bench, "a");
    fake_lose(fake_first(bench.client));
    fake_loop_advance(bench.loop, 900 * NS_PER_MS);
    fake_lose(fake_first(bench.client));
    fake_loop_advance(bench.loop, 100 * NS_PER_MS);
    assert_text(&bench.got, "a@7 ");
    assert_int_equal(object_watch_running(bench.watch), 1);
}

/* A server that answers has the last word. */
TEST_CASE(what_the_server_refuses_is_not_known_from_before)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, OBJECT_STRATEGY_WATCH);
    REGISTER(&bench, "pod", "a");
    (void)sync_item(&bench, "a", "7");
    fake_loop_advance(bench.loop, 400 * NS_PER_SEC);
    get(&bench, "a");
    fake_fail(fake_first(bench.client), 403, "Forbidden", "no");
    fake_fail(fake_first(bench.client), 403, "Forbidden", "no");
    fake_loop_advance(bench.loop, NS_PER_SEC);
    assert_text(&bench.got,
                "!failed to sync configmap cache: timed out waiting for the condition ");
}

TEST_CASE(who_could_not_wait_is_told_when_it_is_there)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, OBJECT_STRATEGY_WATCH);
    REGISTER(&bench, "pod", "a", "quick");
    get(&bench, "a");
    fake_loop_advance(bench.loop, NS_PER_SEC);
    assert_text(&bench.got,
                "!failed to sync configmap cache: timed out waiting for the condition ");
    (void)sync_item(&bench, "a", "7");
    (void)sync_item(&bench, "quick", "8");
    assert_text(&bench.changed, "ns/a ");
    (void)fake_send(fake_find(bench.client, "%3Da&"), WATCH_MODIFIED, config_map(&bench, "a", "9"));
    assert_text(&bench.changed, "ns/a ");
}

/* The server lets a pod refer to anything. */
TEST_CASE(a_name_no_object_can_have_is_not_asked_for)
{
    AUTO(bench) struct bench bench;
    AUTO(free) char *endless = xcalloc(1, 100 * KiB);
    memset(endless, '%', 100 * KiB - 1);
    bench_init(&bench, OBJECT_STRATEGY_WATCH);
    REGISTER(&bench, "pod", endless, "a,metadata.namespace=kube-system");
    assert_int_equal(fake_started(bench.client), 0);
    assert_int_equal(object_watch_count(bench.watch), 2);
    assert_int_equal(object_watch_running(bench.watch), 0);
    get(&bench, "a,metadata.namespace=kube-system");
    fake_loop_advance(bench.loop, 0);
    assert_text(&bench.got, "!configmap \"a,metadata.namespace=kube-system\" not found ");
    REGISTER(&bench, "pod", "b");
    fake_loop_advance(bench.loop, 3600 * NS_PER_SEC);
    assert_int_equal(object_watch_count(bench.watch), 1);
}

TEST_CASE(nothing_is_idle_within_a_minute)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, OBJECT_STRATEGY_WATCH);
    object_watch_free(bench.watch);
    bench.watch =
        object_watch_new(bench.loop, bench.client,
                         &(struct object_watch_options){.kind = kube_kind_find("v1", "ConfigMap"),
                                                        .idle_ns = 5 * NS_PER_SEC});
    REGISTER(&bench, "pod", "a");
    (void)sync_item(&bench, "a", "7");
    fake_loop_advance(bench.loop, 30 * NS_PER_SEC);
    get(&bench, "a");
    fake_loop_advance(bench.loop, 50 * NS_PER_SEC);
    assert_int_equal(object_watch_running(bench.watch), 1);
    fake_loop_advance(bench.loop, 60 * NS_PER_SEC);
    assert_int_equal(object_watch_running(bench.watch), 0);
}

/* Time grows with the number of names, not with its square. */
TEST_CASE(a_pod_may_name_very_many)
{
    enum { COUNT = 20000 };
    AUTO(bench) struct bench bench;
    const char **names = xcalloc(2 * COUNT, sizeof(*names));
    bench_init(&bench, OBJECT_STRATEGY_CACHE);
    for (size_t i = 0; i < COUNT; i++)
        names[i] = names[COUNT + i] = arena_printf(bench.arena, "n%zu", i);
    for (int i = 0; i < 3; i++)
        object_watch_register(bench.watch, "pod", "ns", names, 2 * COUNT);
    assert_int_equal(object_watch_count(bench.watch), COUNT);
    object_watch_unregister(bench.watch, "pod");
    assert_int_equal(object_watch_count(bench.watch), 0);
    free(names);
}

TEST_CASE(gets_can_be_cancelled)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, OBJECT_STRATEGY_WATCH);
    REGISTER(&bench, "pod", "a");
    object_watch_get_cancel(object_watch_get(bench.watch, "ns", "a", on_got, &bench));
    object_watch_get_cancel(object_watch_get(bench.watch, "ns", "nobody", on_got, &bench));
    object_watch_get_cancel(NULL);
    (void)sync_item(&bench, "a", "7");
    object_watch_get_cancel(object_watch_get(bench.watch, "ns", "a", on_got, &bench));
    fake_loop_advance(bench.loop, 5 * NS_PER_SEC);
    assert_text(&bench.got, "");
}

TEST_CASE(a_get_may_be_the_end_of_the_manager)
{
    for (int strategy = OBJECT_STRATEGY_WATCH; strategy <= OBJECT_STRATEGY_GET; strategy++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench, (enum object_strategy)strategy);
        REGISTER(&bench, "pod", "a");
        get(&bench, "a");
        get(&bench, "a");
        bench.frees = true;
        if (strategy == OBJECT_STRATEGY_WATCH)
            (void)sync_item(&bench, "a", "7");
        else
            fake_reply(fake_first(bench.client), config_map(&bench, "a", "7"));
        fake_loop_advance(bench.loop, 5 * NS_PER_SEC);
        assert_text(&bench.got, "a@7 ");
    }
}

/* --- strategy Cache --- */

TEST_CASE(a_cached_object_is_read_again_when_it_is_old)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, OBJECT_STRATEGY_CACHE);
    REGISTER(&bench, "pod", "a");
    assert_int_equal(fake_started(bench.client), 0);
    get(&bench, "a");
    get(&bench, "a");
    assert_int_equal(fake_pending(bench.client), 1);
    assert_string_equal(fake_log(bench.client, 0), "GET /api/v1/namespaces/ns/configmaps/a");
    fake_reply(fake_first(bench.client), config_map(&bench, "a", "7"));
    fake_loop_advance(bench.loop, 59 * NS_PER_SEC);
    get(&bench, "a");
    fake_loop_advance(bench.loop, 0);
    assert_text(&bench.got, "a@7 a@7 a@7 ");
    assert_int_equal(fake_started(bench.client), 1);

    fake_loop_advance(bench.loop, NS_PER_SEC);
    get(&bench, "a");
    assert_string_equal(fake_log(bench.client, 1),
                        "GET /api/v1/namespaces/ns/configmaps/a?resourceVersion=0");
    /* The server's cache is behind. */
    fake_reply(fake_first(bench.client), config_map(&bench, "a", "6"));
    fake_loop_advance(bench.loop, 0);
    assert_text(&bench.got, "a@7 ");
    assert_string_equal(kube_object_version(object_watch_peek(bench.watch, "ns", "a")), "7");
}

TEST_CASE(the_node_says_how_long_a_cached_object_lives)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, OBJECT_STRATEGY_CACHE);
    bench.has_node_ttl = true;
    REGISTER(&bench, "pod", "a");
    get(&bench, "a");
    fake_reply(fake_first(bench.client), config_map(&bench, "a", "7"));
    get(&bench, "a"); /* 0: never fresh */
    assert_int_equal(fake_started(bench.client), 2);
    fake_reply(fake_first(bench.client), config_map(&bench, "a", "7"));
    bench.node_ttl_ns = 300 * NS_PER_SEC;
    fake_loop_advance(bench.loop, 299 * NS_PER_SEC);
    get(&bench, "a");
    assert_int_equal(fake_started(bench.client), 2);
}

TEST_CASE(a_new_pod_makes_a_cached_object_old)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, OBJECT_STRATEGY_CACHE);
    REGISTER(&bench, "pod-1", "a");
    get(&bench, "a");
    fake_reply(fake_first(bench.client), config_map(&bench, "a", "7"));
    fake_loop_advance(bench.loop, 0);
    REGISTER(&bench, "pod-1", "a"); /* names it already */
    get(&bench, "a");
    assert_int_equal(fake_started(bench.client), 1);
    REGISTER(&bench, "pod-2", "a");
    get(&bench, "a");
    assert_string_equal(fake_log(bench.client, 1), "GET /api/v1/namespaces/ns/configmaps/a");
    /* A read that was under way before does not count. */
    REGISTER(&bench, "pod-3", "a");
    assert_int_equal(fake_started(bench.client), 3);
    assert_int_equal(fake_pending(bench.client), 1);
    fake_reply(fake_first(bench.client), config_map(&bench, "a", "8"));
    fake_loop_advance(bench.loop, 0);
    assert_text(&bench.got, "a@7 a@7 a@8 ");
}

TEST_CASE(a_failed_read_shows_only_when_nothing_is_known)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, OBJECT_STRATEGY_CACHE);
    REGISTER(&bench, "pod", "a");
    get(&bench, "a");
    fake_fail(fake_first(bench.client), 500, "InternalError", "etcd");
    fake_loop_advance(bench.loop, 0);
    assert_text(&bench.got, "!etcd ");
    get(&bench, "a");
    fake_reply(fake_first(bench.client), config_map(&bench, "a", "7"));
    fake_loop_advance(bench.loop, 60 * NS_PER_SEC);
    get(&bench, "a");
    fake_fail(fake_first(bench.client), 500, "InternalError", "etcd");
    fake_loop_advance(bench.loop, 0);
    assert_text(&bench.got, "a@7 a@7 ");
    get(&bench, "a");
    fake_fail(fake_first(bench.client), 404, "NotFound", "configmaps \"a\" not found");
    fake_loop_advance(bench.loop, 0);
    assert_text(&bench.got, "!configmaps \"a\" not found ");
    get(&bench, "a");
    assert_string_equal(fake_log(bench.client, 4), "GET /api/v1/namespaces/ns/configmaps/a");
    fake_fail(fake_first(bench.client), 500, "InternalError", "etcd");
    fake_loop_advance(bench.loop, 0);
    assert_text(&bench.got, "!configmaps \"a\" not found ");
}

TEST_CASE(a_cached_object_nobody_names_is_let_go)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, OBJECT_STRATEGY_CACHE);
    REGISTER(&bench, "pod", "a");
    get(&bench, "a");
    object_watch_unregister(bench.watch, "pod");
    assert_int_equal(fake_pending(bench.client), 0);
    fake_loop_advance(bench.loop, 0);
    assert_text(&bench.got, "!object \"ns\"/\"a\" not registered ");
    assert_int_equal(fake_loop_armed(bench.loop), 0);
}

/* --- strategy Get --- */

TEST_CASE(every_get_is_a_request)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench, OBJECT_STRATEGY_GET);
    REGISTER(&bench, "pod", "a");
    assert_int_equal(fake_started(bench.client), 0);
    get(&bench, "a");
    get(&bench, "a");
    assert_int_equal(fake_pending(bench.client), 2);
    fake_reply(fake_first(bench.client), config_map(&bench, "a", "7"));
    fake_fail(fake_first(bench.client), 404, "NotFound", "configmaps \"a\" not found");
    fake_loop_advance(bench.loop, 0);
    assert_text(&bench.got, "a@7 !configmaps \"a\" not found ");
    object_watch_get_cancel(object_watch_get(bench.watch, "ns", "a", on_got, &bench));
    assert_int_equal(fake_pending(bench.client), 0);
}

TEST_MAIN(TEST(one_watch_for_an_object_however_many_pods_name_it),
          TEST(a_get_waits_for_the_first_sync), TEST(a_get_waits_for_a_second),
          TEST(a_get_of_what_nobody_registered_fails), TEST(changes_are_told_and_seen),
          TEST(an_immutable_object_is_read_once), TEST(what_nobody_reads_is_not_watched),
          TEST(a_server_that_is_away_leaves_what_was_known),
          TEST(an_immutable_object_from_before_goes_on_being_watched),
          TEST(what_the_server_refuses_is_not_known_from_before),
          TEST(who_could_not_wait_is_told_when_it_is_there),
          TEST(a_name_no_object_can_have_is_not_asked_for), TEST(nothing_is_idle_within_a_minute),
          TEST(a_pod_may_name_very_many), TEST(gets_can_be_cancelled),
          TEST(a_get_may_be_the_end_of_the_manager),
          TEST(a_cached_object_is_read_again_when_it_is_old),
          TEST(the_node_says_how_long_a_cached_object_lives),
          TEST(a_new_pod_makes_a_cached_object_old),
          TEST(a_failed_read_shows_only_when_nothing_is_known),
          TEST(a_cached_object_nobody_names_is_let_go), TEST(every_get_is_a_request))
