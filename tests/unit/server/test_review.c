#include "server/review.h"

#include "base/arena.h"
#include "base/buf.h"
#include "tests/lib/metrics_text.h"
#include "tests/lib/test.h"
#include "tests/unit/kube/fake_api_client.h"
#include "tests/unit/kube/fake_loop.h"

#include "authentication.pb-c.h"

#define REVIEWS "POST /apis/authentication.k8s.io/v1/tokenreviews?timeout=30s"
#define YES_TTL_NS (120 * NS_PER_SEC)
#define NO_TTL_NS (30 * NS_PER_SEC)
#define MAX_UNDER_WAY 3
#define WAITERS 4

/* --- a type of our own: the user's name is the answer, "broken" is none --- */

static struct error *read_reply(const ProtobufCMessage *reply, struct arena *arena,
                                struct answer *ret)
{
    const Authentication__TokenReviewStatus *status =
        ((const Authentication__TokenReview *)reply)->status;
    if (text_eq(status->error, "broken"))
        return error_new(ERROR_INTERNAL, "the reply is broken");
    *ret = (struct answer){.is_yes = status->authenticated,
                           .text = str_from(arena_strdup(arena, status->error))};
    return NULL;
}

static const double bounds[] = {1, 10};
static const struct metric_info request_total = {
    .name = "requests", .type = METRIC_COUNTER, .labels = {"code"}};
static const struct metric_info request_duration = {.name = "request_seconds",
                                                    .type = METRIC_HISTOGRAM,
                                                    .labels = {"code"},
                                                    .bounds = bounds,
                                                    .bound_count = ARRAY_SIZE(bounds)};
static const struct metric_info cache_total = {
    .name = "asked", .type = METRIC_COUNTER, .labels = {"status"}};
static const struct metric_info cache_duration = {.name = "asked_seconds",
                                                  .type = METRIC_HISTOGRAM,
                                                  .labels = {"status"},
                                                  .bounds = bounds,
                                                  .bound_count = ARRAY_SIZE(bounds)};
static const struct metric_info fetch_total = {
    .name = "fetched", .type = METRIC_COUNTER, .labels = {"status"}};
static const struct metric_info fetch_active = {
    .name = "fetching", .type = METRIC_GAUGE, .labels = {"status"}};

static const struct review_type type = {.api_version = "authentication.k8s.io/v1",
                                        .kind = "TokenReview",
                                        .read = read_reply,
                                        .request_total = &request_total,
                                        .request_duration = &request_duration,
                                        .cache_total = &cache_total,
                                        .cache_duration = &cache_duration,
                                        .fetch_total = &fetch_total,
                                        .fetch_active = &fetch_active};

/* --- the bench --- */

struct bench {
    struct loop *loop;
    struct api_client *client;
    struct metrics *metrics;
    struct reviews *reviews;
    struct review_waiter waiters[WAITERS];
    size_t cancelled_by_next;  /* a waiter that the next answer cancels; WAITERS: none */
    const char *asked_by_next; /* a question that the next answer asks again */
    struct buf got;
};

static void on_answer(void *ctx, const struct answer *answer, const struct error *err);

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){.cancelled_by_next = WAITERS, .metrics = metrics_new()};
    assert_no_error(loop_new(&bench->loop));
    bench->client = fake_api_client_new(bench->loop);
    const struct reviews_options options = {
        .type = &type,
        .limits = {.max_entries = 3, .max_bytes = 1 * KiB},
        .max_under_way = MAX_UNDER_WAY,
        .yes_ttl_ns = YES_TTL_NS,
        .no_ttl_ns = NO_TTL_NS,
    };
    bench->reviews = reviews_new(bench->loop, bench->client, bench->metrics, &options);
    buf_init(&bench->got, 4 * KiB);
    for (size_t i = 0; i < WAITERS; i++)
        bench->waiters[i] = (struct review_waiter){.on_answer = on_answer, .ctx = bench};
}

static void auto_release_bench(struct bench *bench)
{
    reviews_free(bench->reviews);
    assert_int_equal(fake_pending(bench->client), 0);
    assert_int_equal(fake_loop_live(bench->loop), 0);
    metrics_free(bench->metrics);
    api_client_free(bench->client);
    loop_free(bench->loop);
    buf_done(&bench->got);
}

static struct answer_key key_of(const struct bench *bench, const char *token)
{
    struct answer_key key;
    reviews_key(bench->reviews, str_from(token), &key);
    return key;
}

static struct error *ask_kept(struct bench *bench, size_t waiter, const char *token, bool is_kept)
{
    Authentication__TokenReview review = AUTHENTICATION__TOKEN_REVIEW__INIT;
    Authentication__TokenReviewSpec spec = AUTHENTICATION__TOKEN_REVIEW_SPEC__INIT;
    spec.token = (char *)token;
    review.spec = &spec;
    const struct review_question question = {
        .key = key_of(bench, token), .body = &review.base, .is_kept = is_kept};
    size_t before = bench->got.len;
    struct error *err = reviews_ask(bench->reviews, &question, &bench->waiters[waiter]);
    assert_int_equal(bench->got.len, before);
    return err;
}

static void ask(struct bench *bench, size_t waiter, const char *token)
{
    assert_no_error(ask_kept(bench, waiter, token, true));
}

static const char *find(struct bench *bench, const char *token)
{
    struct answer answer;
    const struct answer_key key = key_of(bench, token);
    if (!reviews_find(bench->reviews, &key, &answer))
        return "unknown";
    return answer.is_yes ? "yes" : "no";
}

static void on_answer(void *ctx, const struct answer *answer, const struct error *err)
{
    struct bench *bench = ctx;
    assert_int_equal(answer == NULL, err != NULL);
    if (err)
        buf_printf(&bench->got, "(%s)", err->message);
    else
        buf_printf(&bench->got, "(%s %.*s)", answer->is_yes ? "yes" : "no", STR_ARG(answer->text));
    size_t cancelled = bench->cancelled_by_next;
    bench->cancelled_by_next = WAITERS;
    if (cancelled < WAITERS)
        review_waiter_cancel(&bench->waiters[cancelled]);
    const char *asked = TAKE(bench->asked_by_next);
    if (asked)
        buf_add_text(&bench->got, find(bench, asked));
}

/* The server answers the first request. */
static void answer(struct bench *bench, bool is_yes, const char *text)
{
    Authentication__TokenReview review = AUTHENTICATION__TOKEN_REVIEW__INIT;
    Authentication__TokenReviewStatus status = AUTHENTICATION__TOKEN_REVIEW_STATUS__INIT;
    status.authenticated = status.has_authenticated = is_yes;
    status.error = (char *)text;
    review.status = &status;
    fake_reply(fake_first(bench->client), &review.base);
}

#define assert_got(bench, want)                                                                    \
    do {                                                                                           \
        assert_string_equal(buf_text(&(bench)->got), (want));                                      \
        buf_clear(&(bench)->got);                                                                  \
    } while (0)

/* --- answers --- */

TEST_CASE(an_answer_is_told_and_kept)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    assert_string_equal(find(&bench, "a"), "unknown");
    ask(&bench, 0, "a");
    assert_string_equal(fake_log(bench.client, 0), REVIEWS);
    const Authentication__TokenReview *sent =
        (const Authentication__TokenReview *)fake_first(bench.client)->body;
    assert_string_equal(sent->spec->token, "a");
    bench.asked_by_next = "a"; /* kept before it is told */
    answer(&bench, true, "bob");
    assert_got(&bench, "(yes bob)yes");
    ask(&bench, 0, "b");
    answer(&bench, false, "eve");
    assert_got(&bench, "(no eve)");
    assert_string_equal(find(&bench, "a"), "yes");
    assert_string_equal(find(&bench, "b"), "no");
    assert_int_equal(reviews_count(bench.reviews), 2);
    assert_int_equal(fake_started(bench.client), 2);
}

TEST_CASE(both_outcomes_have_their_time)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    ask(&bench, 0, "a");
    answer(&bench, true, "");
    ask(&bench, 0, "b");
    answer(&bench, false, "");
    fake_loop_advance(bench.loop, NO_TTL_NS - 1);
    assert_string_equal(find(&bench, "b"), "no");
    fake_loop_advance(bench.loop, 1);
    assert_string_equal(find(&bench, "b"), "unknown");
    fake_loop_advance(bench.loop, YES_TTL_NS - NO_TTL_NS - 1);
    assert_string_equal(find(&bench, "a"), "yes");
    fake_loop_advance(bench.loop, 1);
    assert_string_equal(find(&bench, "a"), "unknown");
}

TEST_CASE(the_least_used_answer_goes_when_there_are_too_many)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    static const char *const tokens[] = {"a", "b", "c"};
    for (size_t i = 0; i < ARRAY_SIZE(tokens); i++) {
        ask(&bench, 0, tokens[i]);
        answer(&bench, true, "");
    }
    assert_string_equal(find(&bench, "a"), "yes");
    ask(&bench, 0, "d");
    answer(&bench, true, "");
    assert_string_equal(find(&bench, "b"), "unknown");
    assert_string_equal(find(&bench, "a"), "yes");
    assert_int_equal(reviews_count(bench.reviews), 3);
}

TEST_CASE(what_is_not_to_be_kept_is_told_only)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    assert_no_error(ask_kept(&bench, 0, "a", false));
    answer(&bench, true, "bob");
    assert_got(&bench, "(yes bob)");
    assert_string_equal(find(&bench, "a"), "unknown");
}

TEST_CASE(no_answer_is_a_failure_and_not_kept)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    ask(&bench, 0, "a");
    fake_lose(fake_first(bench.client));
    assert_got(&bench, "(dial tcp 10.0.0.1:6443: connect: connection refused)");
    ask(&bench, 0, "a");
    fake_fail(fake_first(bench.client), 403, "Forbidden", "you may not");
    assert_got(&bench, "(you may not)");
    ask(&bench, 0, "a");
    answer(&bench, true, "broken");
    assert_got(&bench, "(the reply is broken)");
    ask(&bench, 0, "a");
    Authentication__TokenRequest other = AUTHENTICATION__TOKEN_REQUEST__INIT;
    fake_reply(fake_first(bench.client), &other.base);
    assert_got(&bench, "(the server did not answer with a TokenReview)");
    assert_string_equal(find(&bench, "a"), "unknown");
    assert_int_equal(reviews_count(bench.reviews), 0);
}

/* --- trying again --- */

TEST_CASE(what_fails_in_passing_is_tried_again)
{
    static const struct {
        const char *name;
        unsigned http_status;
        bool is_tried_again;
    } rows[] = {{"too many requests", 429, true}, {"internal error", 500, true},
                {"timeout", 504, true},           {"unavailable", 503, false},
                {"unauthorized", 401, false},     {"not found", 404, false},
                {"no connection", 0, false}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        ask(&bench, 0, "a");
        if (rows[i].http_status)
            fake_fail_bare(fake_first(bench.client), rows[i].http_status);
        else
            fake_lose(fake_first(bench.client));
        if (rows[i].is_tried_again != (bench.got.len == 0))
            fail_msg("%s: %s", rows[i].name, buf_text(&bench.got));
        if (!rows[i].is_tried_again)
            continue;
        fake_loop_advance(bench.loop, 500 * NS_PER_MS);
        assert_int_equal(fake_started(bench.client), 2);
        assert_string_equal(fake_log(bench.client, 1),
                            "POST /apis/authentication.k8s.io/v1/tokenreviews?timeout=29s");
        answer(&bench, true, "bob");
        assert_got(&bench, "(yes bob)");
    }
}

TEST_CASE(a_connection_that_was_reset_is_tried_again)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    ask(&bench, 0, "a");
    fake_reset(fake_first(bench.client));
    assert_got(&bench, "");
    fake_loop_advance(bench.loop, 500 * NS_PER_MS);
    answer(&bench, true, "bob");
    assert_got(&bench, "(yes bob)");
}

TEST_CASE(rests_grow_and_attempts_end)
{
    static const int64_t rests_ms[] = {500, 750, 1125, 1687};
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    ask(&bench, 0, "a");
    for (size_t i = 0; i < ARRAY_SIZE(rests_ms); i++) {
        fake_fail_bare(fake_first(bench.client), 500);
        assert_int_equal(fake_loop_next(bench.loop) / NS_PER_MS, rests_ms[i]);
        fake_loop_advance(bench.loop, fake_loop_next(bench.loop));
    }
    assert_got(&bench, "");
    fake_fail(fake_first(bench.client), 500, "InternalError", "still broken");
    assert_got(&bench, "(still broken)");
    assert_int_equal(fake_started(bench.client), 5);
}

TEST_CASE(nothing_is_tried_again_beyond_the_limit)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    ask(&bench, 0, "a");
    fake_loop_advance(bench.loop, REVIEW_LIMIT_NS - 500 * NS_PER_MS);
    fake_fail(fake_first(bench.client), 500, "InternalError", "too late");
    assert_got(&bench, "(too late)");
}

/* --- many --- */

TEST_CASE(equal_questions_share_a_request)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    for (size_t i = 0; i < 3; i++)
        ask(&bench, i, "a");
    assert_int_equal(fake_started(bench.client), 1);
    bench.cancelled_by_next = 1;
    answer(&bench, true, "bob");
    assert_got(&bench, "(yes bob)(yes bob)");
    assert_null(bench.waiters[1].flight);
}

TEST_CASE(a_request_goes_on_when_nobody_waits_any_more)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    ask(&bench, 0, "a");
    review_waiter_cancel(&bench.waiters[0]);
    review_waiter_cancel(&bench.waiters[0]);
    ask(&bench, 1, "a");
    review_waiter_cancel(&bench.waiters[1]);
    assert_int_equal(fake_started(bench.client), 1);
    answer(&bench, true, "bob");
    assert_got(&bench, "");
    assert_string_equal(find(&bench, "a"), "yes");
}

TEST_CASE(so_many_requests_are_under_way_and_no_more)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    ask(&bench, 0, "a");
    ask(&bench, 1, "b");
    ask(&bench, 2, "c");
    assert_error_message(ask_kept(&bench, 3, "d", true),
                         "3 requests for a TokenReview are under way already");
    assert_null(bench.waiters[3].flight);
    ask(&bench, 3, "c"); /* is no further one */
    answer(&bench, true, "");
    review_waiter_cancel(&bench.waiters[3]);
    ask(&bench, 3, "d");
    assert_int_equal(fake_pending(bench.client), 3);
    /* Freed with all of them under way. */
}

TEST_CASE(keys_differ_by_question_and_by_process)
{
    AUTO(bench) struct bench one;
    AUTO(bench) struct bench other;
    bench_init(&one);
    bench_init(&other);
    struct answer_key a = key_of(&one, "a"), again = key_of(&one, "a"), b = key_of(&one, "b"),
                      elsewhere = key_of(&other, "a");
    assert_memory_equal(&a, &again, sizeof(a));
    assert_memory_not_equal(&a, &b, sizeof(a));
    assert_memory_not_equal(&a, &elsewhere, sizeof(a));
}

TEST_CASE(everything_is_counted)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    ask(&bench, 0, "a");
    ask(&bench, 1, "a");
    ask(&bench, 2, "b");
    AUTO(free) char *during = metrics_text(bench.metrics);
    assert_string_equal(during, "fetching{status=blocked} 3\nfetching{status=in_flight} 2\n");
    fake_loop_advance(bench.loop, 2 * NS_PER_SEC);
    answer(&bench, true, "");
    fake_lose(fake_first(bench.client));
    (void)find(&bench, "a");
    AUTO(free) char *after = metrics_text(bench.metrics);
    assert_string_equal(after, "asked{status=hit} 1\n"
                               "asked{status=miss} 3\n"
                               "asked_seconds{status=hit} 1 sum 0\n"
                               "asked_seconds{status=miss} 3 sum 6\n"
                               "fetched{status=error} 1\n"
                               "fetched{status=ok} 1\n"
                               "fetching{status=blocked} 0\n"
                               "fetching{status=in_flight} 0\n"
                               "request_seconds{code=200} 1 sum 2\n"
                               "request_seconds{code=<error>} 1 sum 2\n"
                               "requests{code=200} 1\n"
                               "requests{code=<error>} 1\n");
}

TEST_MAIN(TEST(an_answer_is_told_and_kept), TEST(both_outcomes_have_their_time),
          TEST(the_least_used_answer_goes_when_there_are_too_many),
          TEST(what_is_not_to_be_kept_is_told_only), TEST(no_answer_is_a_failure_and_not_kept),
          TEST(what_fails_in_passing_is_tried_again),
          TEST(a_connection_that_was_reset_is_tried_again), TEST(rests_grow_and_attempts_end),
          TEST(nothing_is_tried_again_beyond_the_limit), TEST(equal_questions_share_a_request),
          TEST(a_request_goes_on_when_nobody_waits_any_more),
          TEST(so_many_requests_are_under_way_and_no_more),
          TEST(keys_differ_by_question_and_by_process), TEST(everything_is_counted))
