/*
 * A request's way:
 *
 *     TOKENS ──► ACCESS ──► DECIDED
 *        └─────────────────────┘   nobody, or nothing to ask
 *
 * TOKENS tries the tokens one after the other until one is somebody's; a client certificate was
 * looked at before, and whoever is known by it skips this. A credential that is no good does not
 * end the way, another one may be; but it rules anonymous out. ACCESS tries the subresources until
 * one is allowed. Both go on without a pause as long as the answers are known; the first one that
 * is not moves the call from the stack to the heap, and it waits.
 */
#include "server/guard.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"
#include "kube/rate_limit.h"
#include "server/bearer.h"
#include "server/guard_internal.h"

#define HTTP_UNAUTHORIZED 401
#define HTTP_FORBIDDEN 403
#define HTTP_INTERNAL_ERROR 500

/* Users may come with many groups; 0.1 KiB is usual. */
#define TOKENS_KEPT 4096
#define TOKENS_KEPT_BYTES (1 * MiB)
#define ACCESSES_KEPT 8192 /* upstream's */
#define REVIEWS_UNDER_WAY 128

/* Anybody can make requests fail, nobody shall fill the log with it. */
#define LOG_BURST 10
#define LOG_PER_SECOND 0.2

enum guard_state { GUARD_TOKENS, GUARD_ACCESS, GUARD_DECIDED };

struct guard_call {
    struct guard_call *prev, *next;
    struct guard *guard;
    const struct http_request *request;
    struct arena *arena;
    enum guard_state state;

    struct bearer_tokens tokens;
    size_t token;          /* tried next */
    struct error *refusal; /* of the last credential that was no good */
    const struct server_user *user;

    struct access access;
    size_t subresource; /* tried next */

    struct answer_key key; /* of what is not known */
    struct review_waiter waiter;
    struct guard_verdict verdict; /* DECIDED */
    guard_on_done *on_done;
    void *ctx;
};

struct guard {
    struct loop *loop;
    bool is_anonymous_allowed;
    char *node_name;
    struct tls_authorities *authorities; /* NULL: certificates are not looked at */
    struct reviews *tokens;              /* NULL: neither are tokens */
    struct reviews *accesses;            /* NULL: everything is allowed */
    struct guard_call *calls;            /* those that wait */
    struct rate_limit log_limit;
    int64_t unlogged;
    struct metric_family *certificate_expiration;
};

static const double expiration_bounds[] = {0,      1800,   3600,   7200,    21600,   43200,   86400,
                                           172800, 345600, 604800, 2592000, 7776000, 15552000};

static const struct metric_info certificate_expiration = {
    .name = "apiserver_client_certificate_expiration_seconds",
    .help = "[ALPHA] Distribution of the remaining lifetime on the certificate used to "
            "authenticate a request.",
    .type = METRIC_HISTOGRAM,
    .bounds = expiration_bounds,
    .bound_count = ARRAY_SIZE(expiration_bounds)};

/* --- life --- */

struct error *guard_check_config(const struct config_server *config, bool has_client)
{
    const char *what = NULL;
    if (config->is_token_webhook && !has_client)
        what = "authentication";
    else if (config->is_authorization_webhook && !has_client)
        what = "authorization";
    return what ? error_new(ERROR_FAILED_PRECONDITION, "no client provided, cannot use webhook %s",
                            what)
                : NULL;
}

struct guard *guard_new(struct loop *loop, const struct guard_options *options)
{
    const struct reviews_options tokens = {
        .type = &guard_token_review,
        .limits = {.max_entries = TOKENS_KEPT, .max_bytes = TOKENS_KEPT_BYTES},
        .max_under_way = REVIEWS_UNDER_WAY,
        .yes_ttl_ns = options->token_cache_ttl_ns,
        .no_ttl_ns = options->token_cache_ttl_ns,
    };
    const struct reviews_options accesses = {
        .type = &guard_access_review,
        .limits = {.max_entries = ACCESSES_KEPT},
        .max_under_way = REVIEWS_UNDER_WAY,
        .yes_ttl_ns = options->authorized_cache_ttl_ns,
        .no_ttl_ns = options->unauthorized_cache_ttl_ns,
    };
    struct guard *guard = xcalloc(1, sizeof(*guard));
    guard->loop = loop;
    guard->is_anonymous_allowed = options->is_anonymous_allowed;
    guard->node_name = xstrdup(options->node_name);
    rate_limit_init(&guard->log_limit, LOG_PER_SECOND, LOG_BURST);
    guard->certificate_expiration = metrics_family(options->metrics, &certificate_expiration);
    ASSERT(options->client || !(options->is_token_webhook || options->is_authorization_webhook));
    if (options->is_token_webhook)
        guard->tokens = reviews_new(loop, options->client, options->metrics, &tokens);
    if (options->is_authorization_webhook)
        guard->accesses = reviews_new(loop, options->client, options->metrics, &accesses);
    return guard;
}

void guard_free(struct guard *guard)
{
    if (!guard)
        return;
    while (guard->calls)
        guard_cancel(guard->calls);
    reviews_free(guard->tokens);
    reviews_free(guard->accesses);
    tls_authorities_unref(guard->authorities);
    free(guard->node_name);
    free(guard);
}

struct error *guard_set_client_ca(struct guard *guard, const char *ca_pem)
{
    struct tls_authorities *authorities = NULL;
    struct error *err = ca_pem ? tls_authorities_new(ca_pem, &authorities) : NULL;
    if (err)
        return err;
    tls_authorities_unref(guard->authorities);
    guard->authorities = authorities;
    return NULL;
}

/* --- verdicts --- */

static void log_failure(struct guard_call *call, const char *message, const struct error *err)
{
    struct guard *guard = call->guard;
    int64_t wait_ns;
    if (!rate_limit_take(&guard->log_limit, loop_now_mono_ns(guard->loop), &wait_ns)) {
        guard->unlogged++;
        return;
    }
    log_error(message, LOG_STR("remoteAddr", call->request->remote_address),
              LOG_STR("user", call->user ? call->user->name : ""), LOG_ERR(err),
              LOG_INT("unlogged", guard->unlogged));
    guard->unlogged = 0;
}

static void decide(struct guard_call *call, unsigned status, const char *text)
{
    call->state = GUARD_DECIDED;
    call->verdict = (struct guard_verdict){
        .status = status, .text = text, .user = status == HTTP_UNAUTHORIZED ? NULL : call->user};
}

static void forbid(struct guard_call *call)
{
    const struct access *access = &call->access;
    const char *second = access->count > 1 ? access->subresources[1] : "";
    log_v(2, "Forbidden", LOG_STR("user", call->user->name), LOG_STR("verb", access->verb),
          LOG_STR("resource", ACCESS_RESOURCE), LOG_STR("subresource", access->subresources[0]));
    decide(call, HTTP_FORBIDDEN,
           arena_printf(call->arena,
                        "Forbidden (user=%s, verb=%s, resource=%s, subresource(s)=[%s%s%s])\n",
                        call->user->name, access->verb, ACCESS_RESOURCE, access->subresources[0],
                        *second ? " " : "", second));
}

/* --- who asks --- */

static void refuse(struct guard_call *call, struct error *err_owned)
{
    error_free(call->refusal);
    call->refusal = err_owned;
}

/* The user known by a certificate, or NULL: there is none, it names nobody, or it was refused. */
static const struct server_user *look_at_certificate(struct guard_call *call)
{
    struct guard *guard = call->guard;
    const struct tls_peer *peer = call->request->peer;
    const struct tls_subject *subject = NULL;
    if (!guard->authorities || !peer || !peer->certificate)
        return NULL;
    int64_t now_ns = loop_now_wall_ns(guard->loop);
    int64_t left_s =
        sat_sub_i64(tls_certificate_not_after_s(peer->certificate), now_ns / NS_PER_SEC);
    metric_observe(guard->certificate_expiration, (double)left_s, NULL);
    struct error *err =
        tls_certificate_verify(peer->certificate, guard->authorities, now_ns, &subject);
    if (err)
        refuse(call, err);
    return err ? NULL : guard_user_of_subject(subject, call->arena);
}

/* All credentials were looked at. */
static void conclude_who(struct guard_call *call)
{
    if (!call->user && call->tokens.refusal && call->guard->tokens)
        refuse(call, error_new(ERROR_UNAUTHENTICATED, "%s", call->tokens.refusal));
    if (!call->user && call->refusal)
        log_failure(call, "Unable to authenticate the request due to an error", call->refusal);
    else if (!call->user && call->guard->is_anonymous_allowed)
        call->user = &guard_anonymous;

    if (!call->user)
        decide(call, HTTP_UNAUTHORIZED, "Unauthorized");
    else if (!call->guard->accesses)
        decide(call, 0, NULL);
    else
        call->state = GUARD_ACCESS;
}

static void take_token(struct guard_call *call, const struct answer *answer,
                       const struct error *err)
{
    call->token++;
    if (err)
        refuse(call, error_dup(err));
    else if (!answer->is_yes)
        refuse(call, error_new(ERROR_UNAUTHENTICATED, "invalid bearer token"));
    else
        refuse(call, guard_user_of_answer(answer, call->arena, &call->user));
}

/* Tries the next token; false: its answer is not known. */
static bool step_token(struct guard_call *call)
{
    struct reviews *reviews = call->guard->tokens;
    struct answer answer;
    if (call->user || !reviews || call->token >= call->tokens.count) {
        conclude_who(call);
        return true;
    }
    reviews_key(reviews, str_from(call->tokens.texts[call->token]), &call->key);
    if (!reviews_find(reviews, &call->key, &answer))
        return false;
    take_token(call, &answer, NULL);
    return true;
}

/* --- what they may --- */

static struct guard_wish wish_of(const struct guard_call *call)
{
    return (struct guard_wish){.user = call->user,
                               .verb = call->access.verb,
                               .subresource = call->access.subresources[call->subresource],
                               .node_name = call->guard->node_name};
}

static void take_access(struct guard_call *call, const struct answer *answer,
                        const struct error *err)
{
    if (err) {
        log_failure(call, "Authorization error", err);
        decide(call, HTTP_INTERNAL_ERROR,
               arena_printf(call->arena,
                            "Authorization error (user=%s, verb=%s, resource=%s, subresource=%s)",
                            call->user->name, call->access.verb, ACCESS_RESOURCE,
                            call->access.subresources[call->subresource]));
        return;
    }
    call->subresource++;
    if (answer->is_yes)
        decide(call, 0, NULL);
    else if (call->subresource >= call->access.count)
        forbid(call);
}

/* Tries the next subresource; false: its answer is not known. */
static bool step_access(struct guard_call *call)
{
    struct reviews *reviews = call->guard->accesses;
    const struct guard_wish wish = wish_of(call);
    struct answer answer;
    AUTO(buf) struct buf text = {0};
    buf_init(&text, KUBE_OBJECT_MAX_BYTES);
    guard_access_text(&wish, &text);
    AUTO(error) struct error *err = buf_error(&text, "what is known of the user");
    if (err) {
        take_access(call, NULL, err);
        return true;
    }
    reviews_key(reviews, buf_str(&text), &call->key);
    if (!reviews_find(reviews, &call->key, &answer))
        return false;
    take_access(call, &answer, NULL);
    return true;
}

/* --- the way --- */

static void take_answer(struct guard_call *call, const struct answer *answer,
                        const struct error *err)
{
    if (call->state == GUARD_TOKENS)
        take_token(call, answer, err);
    else
        take_access(call, answer, err);
}

/* Goes as far as answers are known; true when it is decided. */
static bool advance(struct guard_call *call)
{
    for (;;) {
        switch (call->state) {
        case GUARD_TOKENS:
            if (!step_token(call))
                return false;
            break;
        case GUARD_ACCESS:
            if (!step_access(call))
                return false;
            break;
        case GUARD_DECIDED:
            return true;
        }
    }
}

/* Asks for the answer that is missing. */
static struct error *ask(struct guard_call *call)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct review_question question = {.key = call->key, .is_kept = true};
    if (call->state == GUARD_TOKENS) {
        question.body = guard_token_question(call->tokens.texts[call->token], arena);
        return reviews_ask(call->guard->tokens, &question, &call->waiter);
    }
    const struct guard_wish wish = wish_of(call);
    question.body = guard_access_question(&wish, arena);
    question.is_kept = guard_access_is_kept(&wish, call->request->target.path);
    return reviews_ask(call->guard->accesses, &question, &call->waiter);
}

/* Goes on until it is decided, true, or waits for an answer. */
static bool go_on(struct guard_call *call)
{
    while (!advance(call)) {
        AUTO(error) struct error *err = ask(call);
        if (!err)
            return false;
        take_answer(call, NULL, err);
    }
    return true;
}

static void on_answer(void *ctx, const struct answer *answer, const struct error *err)
{
    struct guard_call *call = ctx;
    take_answer(call, answer, err);
    if (!go_on(call))
        return;
    const struct guard_verdict verdict = call->verdict;
    guard_on_done *on_done = call->on_done;
    void *done_ctx = call->ctx;
    guard_cancel(call);
    on_done(done_ctx, &verdict);
}

struct guard_call *guard_start(struct guard *guard, const struct http_request *request,
                               struct arena *arena, struct guard_verdict *ret,
                               guard_on_done *on_done, void *ctx)
{
    struct guard_call now = {.guard = guard,
                             .request = request,
                             .arena = arena,
                             .access = access_of(request->method, request->target.path),
                             .on_done = on_done,
                             .ctx = ctx};
    now.user = look_at_certificate(&now);
    if (!now.user && guard->tokens)
        bearer_read(&request->fields, arena, &now.tokens);
    struct guard_call *call = NULL;
    bool is_decided = advance(&now);
    if (!is_decided) {
        call = xcalloc(1, sizeof(*call));
        *call = now;
        call->waiter.on_answer = on_answer;
        call->waiter.ctx = call;
        DL_APPEND(guard->calls, call);
        is_decided = go_on(call);
    }
    if (!is_decided)
        return call;
    *ret = call ? call->verdict : now.verdict;
    if (call)
        guard_cancel(call);
    else
        error_free(now.refusal);
    return NULL;
}

void guard_cancel(struct guard_call *call)
{
    if (!call)
        return;
    review_waiter_cancel(&call->waiter);
    DL_DELETE(call->guard->calls, call);
    error_free(call->refusal);
    free(call);
}

struct http_fields guard_clean_fields(const struct http_fields *fields, struct arena *arena)
{
    return bearer_strip(fields, arena);
}
