#include "kube/token_cache.h"

#include "base/buf.h"
#include "tests/lib/test.h"
#include "tests/unit/kube/fake_api_client.h"
#include "tests/unit/kube/fake_loop.h"

#include "authentication.pb-c.h"

#define HOUR_NS (3600 * NS_PER_SEC)

struct bench {
    struct loop *loop;
    struct api_client *client;
    struct token_cache *cache;
    struct arena *arena;
    struct buf got;
    bool frees;
};

static const struct token_request of_web = {.namespace_ = "rec",
                                            .service_account = "default",
                                            .has_expiration = true,
                                            .expiration_seconds = 3600,
                                            .pod_name = "web",
                                            .pod_uid = "b3eb81ca"};

static void on_got(void *ctx, const struct token *token, struct error *err_owned)
{
    struct bench *bench = ctx;
    AUTO(error) struct error *err = err_owned;
    assert_true(!token == !!err);
    buf_printf(&bench->got, "%s%s ", token ? "" : "!", token ? token->text : err->message);
    if (bench->frees)
        token_cache_free(TAKE(bench->cache));
}

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){.arena = arena_new(0)};
    buf_init(&bench->got, 64 * KiB);
    assert_no_error(loop_new(&bench->loop));
    bench->client = fake_api_client_new(bench->loop);
    bench->cache = token_cache_new(bench->loop, bench->client);
}

static void auto_release_bench(struct bench *bench)
{
    token_cache_free(bench->cache);
    assert_int_equal(fake_pending(bench->client), 0);
    fake_loop_advance(bench->loop, 0);
    assert_int_equal(fake_loop_live(bench->loop), 0);
    api_client_free(bench->client);
    loop_free(bench->loop);
    arena_free(bench->arena);
    buf_done(&bench->got);
}

#define assert_got(bench, want)                                                                    \
    do {                                                                                           \
        fake_loop_advance((bench)->loop, 0);                                                       \
        assert_string_equal(buf_text(&(bench)->got), (want));                                      \
        buf_clear(&(bench)->got);                                                                  \
    } while (0)

static struct token_get *get(struct bench *bench, const struct token_request *request)
{
    return token_cache_get(bench->cache, request, on_got, bench);
}

/* The server grants what the first request asks for. */
static void grant(struct bench *bench, const char *text)
{
    Authentication__TokenRequest *message = (Authentication__TokenRequest *)kube_message_dup(
        fake_first(bench->client)->body, bench->arena);
    Authentication__TokenRequestStatus status = AUTHENTICATION__TOKEN_REQUEST_STATUS__INIT;
    Meta__Time expires = META__TIME__INIT;
    expires.has_seconds = true;
    expires.seconds =
        loop_now_wall_ns(bench->loop) / NS_PER_SEC + message->spec->expiration_seconds;
    status.token = (char *)text;
    status.expiration_timestamp = &expires;
    message->status = &status;
    fake_reply(fake_first(bench->client), &message->base);
}

TEST_CASE(the_request_is_as_the_kubelet_makes_it)
{
    static const char *const audiences[] = {"vault"};
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    (void)get(&bench, &of_web);
    struct token_request plain = {.namespace_ = "rec",
                                  .service_account = "sa",
                                  .audiences = audiences,
                                  .audience_count = 1,
                                  .request_uid = "r"};
    (void)get(&bench, &plain);
    assert_string_equal(fake_log(bench.client, 0),
                        "POST /api/v1/namespaces/rec/serviceaccounts/default/token");
    static const char *const want[] = {
        "{\"kind\":\"TokenRequest\",\"apiVersion\":\"authentication.k8s.io/v1\",\"metadata\":{},"
        "\"spec\":{\"boundObjectRef\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\","
        "\"name\":\"web\",\"uid\":\"b3eb81ca\"},\"expirationSeconds\":3600}}",
        "{\"kind\":\"TokenRequest\",\"apiVersion\":\"authentication.k8s.io/v1\",\"metadata\":"
        "{\"uid\":\"r\"},\"spec\":{\"audiences\":[\"vault\"]}}"};
    const struct fake_exchange *request = fake_first(bench.client);
    for (size_t i = 0; i < ARRAY_SIZE(want); i++, request = request->next) {
        AUTO(buf) struct buf text;
        buf_init(&text, 64 * KiB);
        kube_encode_any(request->body, kube_kind_find("authentication.k8s.io/v1", "TokenRequest"),
                        KUBE_JSON, &text);
        assert_string_equal(buf_text(&text), want[i]);
    }
}

TEST_CASE(a_token_is_kept_until_a_fifth_of_its_life_is_left)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    (void)get(&bench, &of_web);
    grant(&bench, "one");
    assert_got(&bench, "one ");
    fake_loop_advance(bench.loop, 2880 * NS_PER_SEC);
    (void)get(&bench, &of_web);
    assert_got(&bench, "one ");
    fake_loop_advance(bench.loop, 1);
    (void)get(&bench, &of_web);
    assert_got(&bench, "");
    grant(&bench, "two");
    assert_got(&bench, "two ");
    assert_int_equal(fake_started(bench.client), 2);
    assert_int_equal(token_cache_count(bench.cache), 1);
}

TEST_CASE(the_time_for_a_new_one)
{
    static const struct {
        const char *name;
        struct token_times times;
        int64_t now_s;
        uint64_t random;
        bool want;
    } rows[] = {
        {"at four fifths", {3600 * NS_PER_SEC, true, 3600}, 2880, 0, false},
        {"just beyond", {3600 * NS_PER_SEC, true, 3600}, 2881, 0, true},
        {"nine seconds earlier", {3600 * NS_PER_SEC, true, 3600}, 2872, 9, true},
        {"but not ten", {3600 * NS_PER_SEC, true, 3600}, 2871, 9, false},
        {"ten is none", {3600 * NS_PER_SEC, true, 3600}, 2880, 10, false},
        {"whole seconds of a fifth", {607 * NS_PER_SEC, true, 607}, 486, 0, false},
        {"whole seconds of a fifth, beyond", {607 * NS_PER_SEC, true, 607}, 487, 0, true},
        {"a day old", {1000000 * NS_PER_SEC, true, 1000000}, 86400, 0, false},
        {"more than a day old", {1000000 * NS_PER_SEC, true, 1000000}, 86401, 0, true},
        {"a day old, jittered", {1000000 * NS_PER_SEC, true, 1000000}, 86392, 9, true},
        {"of a life nobody said", {3600 * NS_PER_SEC, false, 0}, 3600, 9, false},
        {"of a life nobody said, expired", {3600 * NS_PER_SEC, false, 0}, 3601, 0, true},
        {"of an absurd life", {INT64_MAX, true, INT64_MAX}, 5, 0, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].name);
        assert_int_equal(
            token_needs_refresh(&rows[i].times, rows[i].now_s * NS_PER_SEC, rows[i].random),
            rows[i].want);
    }
}

TEST_CASE(what_differs_is_another_token)
{
    static const char *const a[] = {"a"}, *const ab[] = {"a", "b"}, *const a_b[] = {"a\", \"b"};
    struct token_request rows[9];
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        rows[i] = of_web;
    rows[1].namespace_ = "other";
    rows[2].service_account = "other";
    rows[3].expiration_seconds = 3607;
    rows[4].pod_uid = "other";
    rows[5].request_uid = "other";
    rows[6].audiences = a, rows[6].audience_count = 1;
    rows[7].audiences = ab, rows[7].audience_count = 2;
    rows[8].audiences = a_b, rows[8].audience_count = 1;
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        (void)get(&bench, &rows[i]);
    assert_int_equal(fake_started(bench.client), ARRAY_SIZE(rows));
}

TEST_CASE(equal_requests_share_a_call)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct token_get *first = get(&bench, &of_web);
    struct token_get *second = get(&bench, &of_web);
    (void)get(&bench, &of_web);
    assert_int_equal(fake_pending(bench.client), 1);
    token_get_cancel(first);
    assert_int_equal(fake_pending(bench.client), 1);
    grant(&bench, "one");
    token_get_cancel(second); /* settled, but not told */
    assert_got(&bench, "one ");
    assert_int_equal(fake_started(bench.client), 1);
}

TEST_CASE(a_request_nobody_waits_for_is_cancelled)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct token_get *first = get(&bench, &of_web), *second = get(&bench, &of_web);
    token_get_cancel(first);
    token_get_cancel(second);
    token_get_cancel(NULL);
    assert_int_equal(fake_pending(bench.client), 0);
    assert_int_equal(fake_loop_armed(bench.loop), 0);
}

TEST_CASE(failures_are_told_in_the_kubelets_words)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    (void)get(&bench, &of_web);
    fake_fail(fake_first(bench.client), 403, "Forbidden", "no relationship found");
    assert_got(&bench, "!failed to fetch token: no relationship found ");
    assert_int_equal(token_cache_count(bench.cache), 0);

    (void)get(&bench, &of_web);
    fake_fail_bare(fake_first(bench.client), 404);
    assert_got(&bench, "!failed to fetch token: the API server does not have TokenRequest "
                       "endpoints enabled ");

    (void)get(&bench, &of_web);
    Authentication__TokenRequest empty = AUTHENTICATION__TOKEN_REQUEST__INIT;
    fake_reply(fake_first(bench.client), &empty.base);
    assert_got(&bench, "!failed to fetch token: the server's TokenRequest has no token ");
}

TEST_CASE(an_old_token_serves_while_it_is_valid)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    (void)get(&bench, &of_web);
    grant(&bench, "one");
    fake_loop_advance(bench.loop, 3500 * NS_PER_SEC);
    buf_clear(&bench.got);
    (void)get(&bench, &of_web);
    fake_lose(fake_first(bench.client));
    assert_got(&bench, "one ");
    /* It runs out while the request is under way. */
    (void)get(&bench, &of_web);
    fake_loop_advance(bench.loop, 101 * NS_PER_SEC);
    fake_fail(fake_first(bench.client), 500, "InternalError", "etcd");
    assert_got(&bench, "!token \"default\"/\"rec\"/[]string(nil)/3600/v1.BoundObjectReference{"
                       "Kind:\"Pod\", APIVersion:\"v1\", Name:\"web\", UID:\"b3eb81ca\"}/\"\" "
                       "expired and refresh failed: etcd ");
}

TEST_CASE(what_has_expired_is_purged)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    (void)get(&bench, &of_web);
    assert_int_equal(fake_loop_armed(bench.loop), 0);
    grant(&bench, "one");
    assert_got(&bench, "one ");
    fake_loop_advance(bench.loop, HOUR_NS);
    assert_int_equal(token_cache_count(bench.cache), 1);
    fake_loop_advance(bench.loop, 60 * NS_PER_SEC);
    assert_int_equal(token_cache_count(bench.cache), 0);
    assert_int_equal(fake_loop_armed(bench.loop), 0); /* nothing polls */
}

TEST_CASE(a_pod_that_is_gone_has_no_tokens)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct token_request longer = of_web, other = of_web;
    longer.expiration_seconds = 7200;
    other.pod_uid = "other";
    (void)get(&bench, &of_web);
    grant(&bench, "one");
    (void)get(&bench, &other);
    grant(&bench, "two");
    (void)get(&bench, &longer);
    token_cache_forget_pod(bench.cache, "b3eb81ca");
    assert_int_equal(token_cache_count(bench.cache), 1);
    grant(&bench, "three"); /* was under way: told, not kept */
    assert_got(&bench, "one two three ");
    assert_int_equal(token_cache_count(bench.cache), 1);
}

TEST_CASE(a_standalone_node_has_no_tokens)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    token_cache_free(bench.cache);
    bench.cache = token_cache_new(bench.loop, NULL);
    (void)get(&bench, &of_web);
    assert_got(&bench, "!failed to fetch token: cannot use TokenManager when kubelet is in "
                       "standalone mode ");
}

TEST_CASE(a_get_may_be_the_end_of_the_cache)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    (void)get(&bench, &of_web);
    (void)get(&bench, &of_web);
    bench.frees = true;
    grant(&bench, "one");
    assert_got(&bench, "one ");
}

TEST_MAIN(TEST(the_request_is_as_the_kubelet_makes_it),
          TEST(a_token_is_kept_until_a_fifth_of_its_life_is_left), TEST(the_time_for_a_new_one),
          TEST(what_differs_is_another_token), TEST(equal_requests_share_a_call),
          TEST(a_request_nobody_waits_for_is_cancelled),
          TEST(failures_are_told_in_the_kubelets_words),
          TEST(an_old_token_serves_while_it_is_valid), TEST(what_has_expired_is_purged),
          TEST(a_pod_that_is_gone_has_no_tokens), TEST(a_standalone_node_has_no_tokens),
          TEST(a_get_may_be_the_end_of_the_cache))
