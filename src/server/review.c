/*
 * A flight is one question on its way:
 *
 *     CALLING ──answer──► (told, kept)
 *      │   ▲
 *      │   └──── RESTING
 *      └─ failed in passing ─┘   so often, and not beyond the limit
 *
 * A flight ends by leaving the table, keeping its answer and then telling those who wait one by
 * one: whatever a callback does finds the table in order.
 */
#include "server/review.h"

#include "base/arena.h"
#include "base/hash.h"
#include "kube/jitter.h"
#include "kube/object.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/random.h>

/* Upstream's DefaultAuthWebhookRetryBackoff(). */
#define MAX_ATTEMPTS 5
#define FIRST_REST_NS (500 * NS_PER_MS)
#define REST_GROWTH_PERCENT 150
#define REST_JITTER_PERMILLE 200

#define HTTP_TOO_MANY_REQUESTS 429
#define HTTP_INTERNAL_ERROR 500
#define HTTP_GATEWAY_TIMEOUT 504

#define SECRET_BYTES 32

struct review_flight {
    UT_hash_handle hh;
    struct answer_key key;
    struct reviews *reviews;
    struct review_waiter *waiters;
    struct arena *arena; /* of the body */
    const ProtobufCMessage *body;
    bool is_kept;
    unsigned attempts;
    int64_t rest_ns; /* the next, without jitter */
    int64_t deadline_ns, sent_ns;
    struct api_call *call;    /* CALLING */
    struct loop_timer *timer; /* armed: RESTING */
};

struct reviews {
    struct loop *loop;
    struct api_client *client;
    struct reviews_options options;
    const struct kube_kind *kind;
    struct answer_cache *answers;
    struct review_flight *flights; /* hash head */
    size_t flight_count, waiter_count;
    uint8_t secret[SECRET_BYTES];
    struct metric_family *request_total, *request_duration;
    struct metric_family *cache_total, *cache_duration, *fetch_total, *fetch_active;
};

/* --- life --- */

static struct metric_family *family_of(struct metrics *metrics, const struct metric_info *info)
{
    return info ? metrics_family(metrics, info) : NULL;
}

struct reviews *reviews_new(struct loop *loop, struct api_client *client, struct metrics *metrics,
                            const struct reviews_options *options)
{
    struct reviews *reviews = xcalloc(1, sizeof(*reviews));
    const struct review_type *type = options->type;
    *reviews = (struct reviews){.loop = loop, .client = client, .options = *options};
    reviews->kind = kube_kind_find(type->api_version, type->kind);
    ASSERT(reviews->kind && options->max_under_way > 0);
    reviews->answers = answer_cache_new(&options->limits);
    if (getrandom(reviews->secret, SECRET_BYTES, 0) != SECRET_BYTES)
        base_die("the system gives no random bytes");
    reviews->request_total = family_of(metrics, type->request_total);
    reviews->request_duration = family_of(metrics, type->request_duration);
    reviews->cache_total = family_of(metrics, type->cache_total);
    reviews->cache_duration = family_of(metrics, type->cache_duration);
    reviews->fetch_total = family_of(metrics, type->fetch_total);
    reviews->fetch_active = family_of(metrics, type->fetch_active);
    return reviews;
}

static void flight_free(struct review_flight *flight)
{
    api_call_cancel(flight->call);
    loop_timer_free(flight->timer);
    arena_free(flight->arena);
    free(flight);
}

void reviews_free(struct reviews *reviews)
{
    if (!reviews)
        return;
    struct review_flight *flight, *next;
    HASH_ITER(hh, reviews->flights, flight, next) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash unlinks it, unseen */
        HASH_DEL(reviews->flights, flight);
        while (flight->waiters)
            review_waiter_cancel(flight->waiters);
        flight_free(flight);
    }
    answer_cache_free(reviews->answers);
    explicit_bzero(reviews->secret, SECRET_BYTES);
    free(reviews);
}

size_t reviews_count(const struct reviews *reviews)
{
    return answer_cache_count(reviews->answers);
}

/* --- counting --- */

static double seconds_since(const struct reviews *reviews, int64_t since_ns)
{
    return (double)sat_sub_i64(loop_now_mono_ns(reviews->loop), since_ns) / (double)NS_PER_SEC;
}

static void count_active(const struct reviews *reviews)
{
    metric_set(reviews->fetch_active, (double)reviews->flight_count, "in_flight");
    metric_set(reviews->fetch_active, (double)reviews->waiter_count, "blocked");
}

static void count_asked(const struct reviews *reviews, const char *status, int64_t since_ns)
{
    metric_add(reviews->cache_total, 1, status);
    metric_observe(reviews->cache_duration, seconds_since(reviews, since_ns), status);
}

static void count_request(const struct review_flight *flight, const struct api_result *result)
{
    const struct reviews *reviews = flight->reviews;
    AUTO(free)
    char *code = result->http_status ? xasprintf("%u", result->http_status) : xstrdup("<error>");
    metric_add(reviews->request_total, 1, code);
    metric_observe(reviews->request_duration, seconds_since(reviews, flight->sent_ns), code);
}

/* --- known answers --- */

void reviews_key(const struct reviews *reviews, struct str text, struct answer_key *ret)
{
    _Static_assert(ANSWER_KEY_BYTES == 32, "a SHA-256 fills a key");
    const unsigned char *bytes = (const unsigned char *)(text.ptr ? text.ptr : "");
    if (!HMAC(EVP_sha256(), reviews->secret, SECRET_BYTES, bytes, text.len, ret->bytes, NULL))
        base_die("openssl: HMAC failed");
}

bool reviews_find(struct reviews *reviews, const struct answer_key *key, struct answer *ret)
{
    int64_t now_ns = loop_now_mono_ns(reviews->loop);
    if (!answer_cache_get(reviews->answers, key, now_ns, ret))
        return false;
    count_asked(reviews, "hit", now_ns);
    return true;
}

/* --- waiting --- */

static void leave(struct review_flight *flight, struct review_waiter *waiter)
{
    struct reviews *reviews = flight->reviews;
    DL_DELETE(flight->waiters, waiter);
    waiter->flight = NULL;
    reviews->waiter_count--;
    count_asked(reviews, "miss", waiter->since_ns);
    count_active(reviews);
}

void review_waiter_cancel(struct review_waiter *waiter)
{
    if (waiter->flight)
        leave(waiter->flight, waiter);
}

static void join(struct review_flight *flight, struct review_waiter *waiter)
{
    struct reviews *reviews = flight->reviews;
    waiter->flight = flight;
    waiter->since_ns = loop_now_mono_ns(reviews->loop);
    DL_APPEND(flight->waiters, waiter);
    reviews->waiter_count++;
    count_active(reviews);
}

/* --- flights --- */

static void keep(const struct review_flight *flight, const struct answer *answer)
{
    const struct reviews *reviews = flight->reviews;
    int64_t now_ns = loop_now_mono_ns(reviews->loop);
    int64_t ttl_ns = answer->is_yes ? reviews->options.yes_ttl_ns : reviews->options.no_ttl_ns;
    answer_cache_put(reviews->answers, &flight->key, answer, now_ns, sat_add_i64(now_ns, ttl_ns));
}

/* Ends @flight. A callback may even free what the flight belonged to. */
static void finish(struct review_flight *flight, const struct answer *answer,
                   const struct error *err)
{
    struct reviews *reviews = flight->reviews;
    HASH_DEL(reviews->flights, flight);
    reviews->flight_count--;
    metric_add(reviews->fetch_total, 1, err ? "error" : "ok");
    if (answer && flight->is_kept)
        keep(flight, answer);
    if (!flight->waiters)
        count_active(reviews);
    while (flight->waiters) {
        struct review_waiter *waiter = flight->waiters;
        leave(flight, waiter);
        waiter->on_answer(waiter->ctx, answer, err);
    }
    flight_free(flight);
}

/* Upstream's DefaultShouldRetry(). */
static bool is_passing(const struct api_result *result)
{
    return result->http_status == HTTP_TOO_MANY_REQUESTS ||
           result->http_status == HTTP_INTERNAL_ERROR ||
           result->http_status == HTTP_GATEWAY_TIMEOUT || result->retry_after_ns > 0 ||
           result->err->os_errno == ECONNRESET;
}

/* Rests before the next attempt; false when there is none. */
static bool rest(struct review_flight *flight, const struct api_result *result)
{
    int64_t now_ns = loop_now_mono_ns(flight->reviews->loop);
    int64_t rest_ns = jitter_above(flight->rest_ns, REST_JITTER_PERMILLE, jitter_draw());
    if (flight->attempts >= MAX_ATTEMPTS || !is_passing(result) ||
        sat_add_i64(now_ns, rest_ns) >= flight->deadline_ns)
        return false;
    flight->rest_ns = flight->rest_ns * REST_GROWTH_PERCENT / 100;
    loop_timer_start(flight->timer, rest_ns);
    return true;
}

static void on_done(void *ctx, struct api_result *result)
{
    struct review_flight *flight = ctx;
    const struct reviews *reviews = flight->reviews;
    struct answer answer = {0};
    flight->call = NULL;
    count_request(flight, result);
    if (result->err) {
        if (!rest(flight, result))
            finish(flight, NULL, result->err);
        return;
    }
    AUTO(error) struct error *err = NULL;
    if (result->object && result->object->descriptor == reviews->kind->type)
        err = reviews->options.type->read(result->object, result->arena, &answer);
    else
        err = error_new(ERROR_INTERNAL, "the server did not answer with a %s", reviews->kind->kind);
    finish(flight, err ? NULL : &answer, err);
}

static void call(struct review_flight *flight)
{
    struct reviews *reviews = flight->reviews;
    flight->attempts++;
    flight->sent_ns = loop_now_mono_ns(reviews->loop);
    const struct api_request request = {
        .verb = API_CREATE,
        .kind = reviews->kind,
        .body = flight->body,
        .timeout_ns = sat_sub_i64(flight->deadline_ns, flight->sent_ns),
    };
    flight->call = api_call_start(reviews->client, &request, on_done, flight);
}

static void on_rested(void *ctx)
{
    call(ctx);
}

static struct review_flight *take_off(struct reviews *reviews,
                                      const struct review_question *question)
{
    struct review_flight *flight = xcalloc(1, sizeof(*flight));
    *flight = (struct review_flight){
        .key = question->key,
        .reviews = reviews,
        .arena = arena_new(0),
        .is_kept = question->is_kept,
        .rest_ns = FIRST_REST_NS,
        .deadline_ns = sat_add_i64(loop_now_mono_ns(reviews->loop), REVIEW_LIMIT_NS),
    };
    flight->body = kube_message_dup(question->body, flight->arena);
    flight->timer = loop_timer_new(reviews->loop, "review", on_rested, flight);
    HASH_ADD(hh, reviews->flights, key, sizeof(flight->key), flight);
    reviews->flight_count++;
    call(flight);
    return flight;
}

struct error *reviews_ask(struct reviews *reviews, const struct review_question *question,
                          struct review_waiter *waiter)
{
    struct review_flight *flight;
    HASH_FIND(hh, reviews->flights, &question->key, sizeof(question->key), flight);
    if (!flight && reviews->flight_count >= reviews->options.max_under_way)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "%zu requests for a %s are under way already",
                         reviews->options.max_under_way, reviews->kind->kind);
    if (!flight)
        flight = take_off(reviews, question);
    join(flight, waiter);
    return NULL;
}
