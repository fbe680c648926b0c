/*
 * A get finds a cached token, or joins the request under way for an equal one, or starts it. The
 * answer of a get is settled when it is known and told by the get's own timer in the next turn, so
 * that a callback finds the cache in a quiet state and may do with it what it likes.
 */
#include "kube/token_cache.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"
#include "kube/jitter.h"
#include "wire/json.h"

#include "authentication.pb-c.h"

/* The kubelet's token manager: maxTTL, 80 % of the life, maxJitter, gcPeriod. */
#define MAX_TTL_S (INT64_C(24) * 3600)
#define LAST_PERCENT 20
#define MAX_JITTER_S 10
#define PURGE_NS (60 * NS_PER_SEC)

#define MAX_TOKENS 4096 /* the oldest goes first */
#define KEY_MAX_BYTES (64 * KiB)

struct entry {
    UT_hash_handle hh;
    char *key;
    char *pod_uid; /* NULL: not bound */
    char *text;
    struct token_times times;
};

/* A request under way and the gets that wait for it. */
struct flight {
    struct flight *prev, *next;
    struct token_cache *cache;
    char *key;
    char *pod_uid;
    bool is_forgotten; /* its pod is gone: the token is told but not kept */
    struct api_call *call;
};

struct token_get {
    struct token_get *prev, *next;
    struct token_cache *cache;
    const struct flight *flight; /* waited for; NULL: settled */
    struct loop_timer *timer;
    char *text; /* settled: the token, or … */
    int64_t expires_ns;
    struct error *error; /* … this */
    token_on_got *on_got;
    void *ctx;
};

struct token_cache {
    struct loop *loop;
    struct api_client *client; /* NULL: standalone */
    const struct kube_kind *account_kind, *request_kind;
    struct entry *entries; /* hash head; in the order in which they came */
    struct flight *flights;
    struct token_get *gets;
    struct loop_timer *purge; /* armed while there are tokens */
};

/* --- the rule --- */

bool token_needs_refresh(const struct token_times *times, int64_t now_ns, uint64_t random)
{
    if (!times->has_lifetime) /* when it was issued is not known */
        return now_ns > times->expires_ns;
    int64_t jitter_ns = jitter_between(0, MAX_JITTER_S, random) * NS_PER_SEC;
    int64_t lifetime_ns = sat_mul_i64(times->lifetime_s, NS_PER_SEC);
    int64_t issued_ns = sat_sub_i64(times->expires_ns, lifetime_ns);
    int64_t old_ns = sat_add_i64(issued_ns, MAX_TTL_S * NS_PER_SEC - jitter_ns);
    int64_t last_s = sat_mul_i64(times->lifetime_s, LAST_PERCENT) / 100;
    int64_t late_ns =
        sat_sub_i64(times->expires_ns, sat_add_i64(sat_mul_i64(last_s, NS_PER_SEC), jitter_ns));
    return now_ns > old_ns || now_ns > late_ns;
}

/* --- entries --- */

static struct entry *find(const struct token_cache *cache, const char *key)
{
    struct entry *entry;
    HASH_FIND_STR(cache->entries, key, entry);
    return entry;
}

static void entry_free(struct token_cache *cache, struct entry *entry)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash unlinks it, unseen */
    HASH_DEL(cache->entries, entry);
    free(entry->key);
    free(entry->pod_uid);
    explicit_bzero(entry->text, strlen(entry->text));
    free(entry->text);
    free(entry);
}

static void on_purge(void *ctx)
{
    struct token_cache *cache = ctx;
    int64_t now_ns = loop_now_wall_ns(cache->loop);
    struct entry *entry, *next;
    HASH_ITER(hh, cache->entries, entry, next) {
        if (now_ns > entry->times.expires_ns)
            entry_free(cache, entry);
    }
    if (cache->entries)
        loop_timer_start(cache->purge, PURGE_NS);
}

static void keep(struct token_cache *cache, const struct flight *flight, const char *text,
                 const struct token_times *times)
{
    struct entry *entry = find(cache, flight->key);
    if (entry)
        entry_free(cache, entry);
    else if (HASH_COUNT(cache->entries) >= MAX_TOKENS)
        entry_free(cache, cache->entries);
    entry = xcalloc(1, sizeof(*entry));
    *entry = (struct entry){.key = xstrdup(flight->key),
                            .pod_uid = xstrdup(flight->pod_uid),
                            .text = xstrdup(text),
                            .times = *times};
    HASH_ADD_KEYPTR(hh, cache->entries, entry->key, strlen(entry->key), entry);
    if (!loop_timer_is_armed(cache->purge))
        loop_timer_start(cache->purge, PURGE_NS);
}

/* --- gets --- */

static void get_free(struct token_get *get)
{
    DL_DELETE(get->cache->gets, get);
    loop_timer_free(get->timer);
    if (get->text)
        explicit_bzero(get->text, strlen(get->text));
    free(get->text);
    error_free(get->error);
    free(get);
}

static void on_get_due(void *ctx)
{
    struct token_get *get = ctx;
    token_on_got *on_got = get->on_got;
    void *get_ctx = get->ctx;
    AUTO(free) char *text = TAKE(get->text);
    const struct token token = {.text = text, .expires_ns = get->expires_ns};
    struct error *err = TAKE(get->error);
    get_free(get);
    on_got(get_ctx, err ? NULL : &token, err);
    if (text)
        explicit_bzero(text, strlen(text));
}

static void settle(struct token_get *get, const struct entry *entry, const struct error *err)
{
    get->flight = NULL;
    if (entry) {
        get->text = xstrdup(entry->text);
        get->expires_ns = entry->times.expires_ns;
    } else {
        get->error = error_dup(err);
    }
    loop_timer_start(get->timer, 0);
}

static void settle_flight(const struct flight *flight, const struct entry *entry,
                          const struct error *err)
{
    struct token_get *get;
    DL_FOREACH(flight->cache->gets, get) {
        if (get->flight == flight)
            settle(get, entry, err);
    }
}

static void flight_free(struct flight *flight)
{
    DL_DELETE(flight->cache->flights, flight);
    api_call_cancel(flight->call);
    free(flight->key);
    free(flight->pod_uid);
    free(flight);
}

void token_get_cancel(struct token_get *get)
{
    struct flight *flight, *next;
    if (!get)
        return;
    struct token_cache *cache = get->cache;
    get_free(get);
    /* A request nobody waits for is not worth an answer. */
    DL_FOREACH_SAFE(cache->flights, flight, next) {
        const struct token_get *other;
        DL_SEARCH_SCALAR(cache->gets, other, flight, flight);
        if (!other)
            flight_free(flight);
    }
}

/* --- keys --- */

/* Keys are as upstream prints them, since they stand in messages. */
static void add_quoted(struct buf *out, const char *text)
{
    json_add_string(out, str_from(text ? text : ""));
}

static char *key_of(const struct token_request *request)
{
    AUTO(buf) struct buf key;
    buf_init(&key, KEY_MAX_BYTES);
    add_quoted(&key, request->service_account);
    buf_add_char(&key, '/');
    add_quoted(&key, request->namespace_);
    buf_add_text(&key, "/[]string");
    buf_add_text(&key, request->audience_count ? "{" : "(nil)");
    for (size_t i = 0; i < request->audience_count; i++) {
        buf_add_text(&key, i ? ", " : "");
        add_quoted(&key, request->audiences[i]);
    }
    buf_add_text(&key, request->audience_count ? "}" : "");
    buf_printf(&key, "/%lld/v1.BoundObjectReference{Kind:",
               (long long)(request->has_expiration ? request->expiration_seconds : 0));
    add_quoted(&key, request->pod_uid ? "Pod" : "");
    buf_add_text(&key, ", APIVersion:");
    add_quoted(&key, request->pod_uid ? "v1" : "");
    buf_add_text(&key, ", Name:");
    add_quoted(&key, request->pod_uid ? request->pod_name : "");
    buf_add_text(&key, ", UID:");
    add_quoted(&key, request->pod_uid);
    buf_add_text(&key, "}/");
    add_quoted(&key, request->request_uid);
    return key.overflowed ? NULL : buf_take(&key);
}

/* --- requests --- */

static Authentication__TokenRequest *message_of(const struct token_request *request,
                                                struct arena *arena)
{
    Authentication__TokenRequest *message = (Authentication__TokenRequest *)kube_message_new(
        &authentication__token_request__descriptor, arena);
    Authentication__TokenRequestSpec *spec = (Authentication__TokenRequestSpec *)kube_message_new(
        &authentication__token_request_spec__descriptor, arena);
    Meta__ObjectMeta *meta = kube_object_ensure_meta(&message->base, arena);
    meta->uid = arena_strdup(arena, request->request_uid);
    message->spec = spec;
    spec->n_audiences = request->audience_count;
    spec->audiences = arena_calloc(arena, request->audience_count + 1, sizeof(char *));
    for (size_t i = 0; i < request->audience_count; i++)
        spec->audiences[i] = arena_strdup(arena, request->audiences[i]);
    spec->has_expiration_seconds = request->has_expiration;
    spec->expiration_seconds = request->expiration_seconds;
    if (request->pod_uid) {
        spec->bound_object_ref = (Authentication__BoundObjectReference *)kube_message_new(
            &authentication__bound_object_reference__descriptor, arena);
        spec->bound_object_ref->api_version = arena_strdup(arena, "v1");
        spec->bound_object_ref->kind = arena_strdup(arena, "Pod");
        spec->bound_object_ref->name = arena_strdup(arena, request->pod_name);
        spec->bound_object_ref->uid = arena_strdup(arena, request->pod_uid);
    }
    return message;
}

/* A server that has no such endpoint answers 404 without saying which object is missing: upstream
 * asks its discovery to tell the two apart. */
static bool is_endpoint_missing(const struct api_result *result)
{
    const Meta__Status *status = result->status;
    return result->http_status == 404 && !(status && status->details && status->details->kind);
}

/* Reads the token of a good answer. */
static struct error *read_token(const struct api_result *result, const char **ret_text,
                                struct token_times *ret_times)
{
    if (!result->object || result->object->descriptor != &authentication__token_request__descriptor)
        return error_new(ERROR_INTERNAL, "the server did not answer with a TokenRequest");
    const Authentication__TokenRequest *message =
        (const Authentication__TokenRequest *)result->object;
    const Authentication__TokenRequestStatus *status = message->status;
    if (!status || !status->token || !*status->token || !status->expiration_timestamp)
        return error_new(ERROR_INTERNAL, "the server's TokenRequest has no token");
    *ret_text = status->token;
    *ret_times = (struct token_times){
        .expires_ns = sat_mul_i64(status->expiration_timestamp->seconds, NS_PER_SEC),
        .has_lifetime = message->spec && message->spec->has_expiration_seconds,
        .lifetime_s = message->spec ? message->spec->expiration_seconds : 0};
    return NULL;
}

static void take_failure(struct token_cache *cache, const struct flight *flight,
                         struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    const struct entry *entry = find(cache, flight->key);
    if (!entry) {
        err = error_wrap(err, "failed to fetch token");
    } else if (loop_now_wall_ns(cache->loop) > entry->times.expires_ns) {
        err = error_wrap(err, "token %s expired and refresh failed", flight->key);
        entry = NULL;
    } else {
        log_error("Couldn't update token", LOG_STR("cacheKey", flight->key), LOG_ERR(err));
    }
    settle_flight(flight, entry, err);
}

static void on_done(void *ctx, struct api_result *result)
{
    struct flight *flight = ctx;
    struct token_cache *cache = flight->cache;
    const char *text = NULL;
    struct token_times times = {0};
    flight->call = NULL;
    struct error *err = NULL;
    if (!result->err)
        err = read_token(result, &text, &times);
    else if (is_endpoint_missing(result))
        err = error_new(ERROR_UNIMPLEMENTED,
                        "the API server does not have TokenRequest endpoints enabled");
    else
        err = error_dup(result->err);
    if (err) {
        take_failure(cache, flight, err);
    } else {
        keep(cache, flight, text, &times);
        struct entry *entry = find(cache, flight->key);
        settle_flight(flight, entry, NULL);
        if (flight->is_forgotten)
            entry_free(cache, entry);
    }
    flight_free(flight);
}

static const struct flight *start_flight(struct token_cache *cache, const char *key,
                                         const struct token_request *request)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct flight *flight = xcalloc(1, sizeof(*flight));
    *flight =
        (struct flight){.cache = cache, .key = xstrdup(key), .pod_uid = xstrdup(request->pod_uid)};
    DL_APPEND(cache->flights, flight);
    flight->call = api_call_start(cache->client,
                                  &(struct api_request){.verb = API_CREATE,
                                                        .kind = cache->account_kind,
                                                        .namespace_ = request->namespace_,
                                                        .name = request->service_account,
                                                        .subresource = "token",
                                                        .body = &message_of(request, arena)->base,
                                                        .body_kind = cache->request_kind},
                                  on_done, flight);
    return flight;
}

/* --- the door --- */

struct token_cache *token_cache_new(struct loop *loop, struct api_client *client)
{
    struct token_cache *cache = xcalloc(1, sizeof(*cache));
    *cache = (struct token_cache){.loop = loop,
                                  .client = client,
                                  .account_kind = kube_kind_find("v1", "ServiceAccount"),
                                  .request_kind =
                                      kube_kind_find("authentication.k8s.io/v1", "TokenRequest")};
    cache->purge = loop_timer_new(loop, "token cache", on_purge, cache);
    return cache;
}

void token_cache_free(struct token_cache *cache)
{
    if (!cache)
        return;
    while (cache->gets)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): utlist unlinks it, unseen */
        get_free(cache->gets);
    while (cache->flights)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the same */
        flight_free(cache->flights);
    struct entry *entry, *next;
    HASH_ITER(hh, cache->entries, entry, next) {
        entry_free(cache, entry);
    }
    loop_timer_free(cache->purge);
    free(cache);
}

static void begin(struct token_cache *cache, struct token_get *get,
                  const struct token_request *request)
{
    AUTO(free) char *key = key_of(request);
    if (!cache->client || !key) {
        AUTO(error)
        struct error *err =
            key ? error_new(ERROR_FAILED_PRECONDITION,
                            "cannot use TokenManager when kubelet is in standalone mode")
                : error_new(ERROR_INVALID_ARGUMENT, "the request for a token is too long");
        settle(get, NULL, error_wrap(err, "failed to fetch token"));
        return;
    }
    const struct entry *entry = find(cache, key);
    if (entry &&
        !token_needs_refresh(&entry->times, loop_now_wall_ns(cache->loop), jitter_draw())) {
        settle(get, entry, NULL);
        return;
    }
    const struct flight *flight;
    DL_FOREACH(cache->flights, flight) {
        if (strcmp(flight->key, key) == 0)
            break;
    }
    get->flight = flight ? flight : start_flight(cache, key, request);
}

struct token_get *token_cache_get(struct token_cache *cache, const struct token_request *request,
                                  token_on_got *on_got, void *ctx)
{
    struct token_get *get = xcalloc(1, sizeof(*get));
    *get = (struct token_get){.cache = cache, .on_got = on_got, .ctx = ctx};
    get->timer = loop_timer_new(cache->loop, "token", on_get_due, get);
    DL_APPEND(cache->gets, get);
    begin(cache, get, request);
    return get;
}

void token_cache_forget_pod(struct token_cache *cache, const char *pod_uid)
{
    struct entry *entry, *next;
    HASH_ITER(hh, cache->entries, entry, next) {
        if (text_eq(entry->pod_uid, pod_uid))
            entry_free(cache, entry);
    }
    struct flight *flight;
    DL_FOREACH(cache->flights, flight) {
        flight->is_forgotten |= text_eq(flight->pod_uid, pod_uid);
    }
}

size_t token_cache_count(const struct token_cache *cache)
{
    return HASH_COUNT(cache->entries);
}
