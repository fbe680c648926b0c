/*
 * One attempt at a request:
 *
 *     GATE ──► CREDENTIALS ──► SENT ──► (end)
 *                  ▲             │ 401, and the credentials can be renewed
 *                  └─ REFRESHING ┘ once
 *
 * GATE waits while connections fail, CREDENTIALS for a token or plugin. An answer is collected; one
 * that is good and asked for as a stream is handed on as it comes. A 401 is kept while the
 * credentials are renewed: when they turn out to be the same, it is the answer after all.
 *
 * FAILING is how an attempt ends that could not be sent: in the next turn, as the contract of
 * callbacks wants it.
 */
#include "base/hash.h"
#include "kube/api_internal.h"

#define HTTP_UNAUTHORIZED 401
#define RETRY_AFTER_MAX_S (INT64_C(365) * 86400)

enum attempt_state { AT_GATE, AT_CREDENTIALS, AT_SENT, AT_REFRESHING, AT_FAILING };

struct api_attempt {
    struct api_transport *transport;
    struct api_attempt *prev, *next; /* in transport->streams when is_stream */
    struct api_attempt_request request;
    const struct api_attempt_events *events;
    void *ctx;
    enum attempt_state state;
    struct loop_timer *timer;
    struct api_auth_waiter waiter;
    struct http_call *call; /* SENT */
    char *target;           /* with the base path */
    uint64_t generation;    /* of the credentials sent */
    uint64_t sent_after;    /* so many failures of the transport */
    bool is_answered;       /* what was sent last */
    bool was_refreshed, is_stream;

    bool is_reset; /* how it ends */
    unsigned http_status;
    char *content_type;
    bool has_retry_after;
    int64_t retry_after_ns;
    struct buf body;
    struct error *failure; /* FAILING; NULL is a stream's end in order */
};

static bool is_good(unsigned http_status)
{
    return http_status >= 200 && http_status < 300;
}

/* --- ending --- */

/* Cuts every tie to the world, so that a callback may free whatever it likes. */
static void detach(struct api_attempt *attempt)
{
    if (attempt->call)
        http_call_cancel(TAKE(attempt->call));
    api_auth_cancel(&attempt->waiter);
    loop_timer_free(TAKE(attempt->timer));
    if (attempt->is_stream)
        DL_DELETE(attempt->transport->streams, attempt);
    attempt->is_stream = false;
}

static void release(struct api_attempt *attempt)
{
    free(attempt->target);
    free(attempt->content_type);
    buf_done(&attempt->body);
    error_free(attempt->failure);
    free(attempt);
}

/* Our own failures in Go's words, as wire/http_client.h has them: `Get "https://…": <cause>`. */
static struct error *own_failure(const struct api_attempt *attempt, struct error *err_owned)
{
    return error_wrap(err_owned, "%s \"%s%s\"", api_method_title(attempt->request.method),
                      attempt->transport->origin.text, attempt->target);
}

/* Tells, and frees. */
static void finish(struct api_attempt *attempt, struct error *err_owned, bool is_unsent)
{
    detach(attempt);
    AUTO(error) struct error *err = err_owned;
    const struct api_outcome outcome = {
        .err = err,
        .is_unsent = is_unsent,
        .is_reset = attempt->is_reset,
        .http_status = attempt->http_status,
        .content_type = attempt->content_type ? attempt->content_type : "",
        .has_retry_after = attempt->has_retry_after,
        .retry_after_ns = attempt->retry_after_ns,
        .body = buf_str(&attempt->body),
    };
    attempt->events->on_end(attempt->ctx, &outcome);
    release(attempt);
}

static void end_soon(struct api_attempt *attempt, struct error *err_owned)
{
    attempt->state = AT_FAILING;
    attempt->failure = err_owned;
    loop_timer_start(attempt->timer, 0);
}

/* --- the answer --- */

static void read_retry_after(struct api_attempt *attempt, const struct http_fields *fields)
{
    int64_t seconds;
    const char *text = http_fields_get(fields, "retry-after");
    attempt->has_retry_after = text && parse_i64(text, 0, RETRY_AFTER_MAX_S, &seconds);
    attempt->retry_after_ns = attempt->has_retry_after ? seconds * NS_PER_SEC : 0;
}

static void finish_too_large(struct api_attempt *attempt)
{
    struct error *err = error_new(ERROR_RESOURCE_EXHAUSTED, "the answer is larger than %zu bytes",
                                  API_REPLY_MAX_BYTES);
    finish(attempt, own_failure(attempt, err), false);
}

static void on_response(void *ctx, unsigned status, const struct http_fields *fields)
{
    struct api_attempt *attempt = ctx;
    const char *content_type = http_fields_get(fields, "content-type");
    const char *length = http_fields_get(fields, "content-length");
    int64_t bytes = 0;
    api_transport_note_reached(attempt->transport);
    api_metrics_answer(&attempt->transport->metrics, attempt->request.method, status);
    attempt->is_answered = true;
    attempt->http_status = status;
    free(attempt->content_type);
    attempt->content_type = xstrdup(content_type);
    read_retry_after(attempt, fields);
    buf_clear(&attempt->body);
    if (attempt->events->on_open && is_good(status)) {
        attempt->is_stream = true;
        DL_APPEND(attempt->transport->streams, attempt);
        attempt->events->on_open(attempt->ctx, content_type ? content_type : "");
    } else if (length && parse_i64(length, 0, INT64_MAX, &bytes) &&
               (uint64_t)bytes > API_REPLY_MAX_BYTES) {
        finish_too_large(attempt);
    }
}

static void on_data(void *ctx, struct str bytes)
{
    struct api_attempt *attempt = ctx;
    if (attempt->is_stream) {
        attempt->events->on_data(attempt->ctx, bytes);
        return;
    }
    buf_add_str(&attempt->body, bytes);
    if (attempt->body.overflowed)
        finish_too_large(attempt);
}

static void send_request(struct api_attempt *attempt);

static void on_refreshed(struct api_attempt *attempt)
{
    if (api_auth_generation(attempt->transport->auth) != attempt->generation)
        send_request(attempt);
    else
        finish(attempt, NULL, false);
}

/* Without an answer nothing tells a server that cuts each connection off from one that is away. */
static bool was_unreached(const struct api_attempt *attempt, const struct http_call_end *end)
{
    if (end->is_unsent)
        return end->err->code != ERROR_DEADLINE_EXCEEDED;
    return end->err->code == ERROR_UNAVAILABLE && !end->is_reset && attempt->http_status == 0;
}

static void on_call_end(void *ctx, const struct http_call_end *end)
{
    struct api_attempt *attempt = ctx;
    attempt->call = NULL;
    if (end->err) {
        if (!attempt->is_answered)
            api_metrics_answer(&attempt->transport->metrics, attempt->request.method, 0);
        if (was_unreached(attempt, end))
            api_transport_note_failure(attempt->transport, attempt->sent_after);
        if (!attempt->is_stream)
            attempt->http_status = 0; /* half an answer is none */
        attempt->is_reset = end->is_reset;
        finish(attempt, error_dup(end->err), end->is_unsent);
        return;
    }
    if (attempt->http_status != HTTP_UNAUTHORIZED || attempt->was_refreshed) {
        finish(attempt, NULL, false);
        return;
    }
    attempt->was_refreshed = true;
    attempt->state = AT_REFRESHING;
    if (!api_auth_refresh(attempt->transport->auth, attempt->generation, &attempt->waiter))
        on_refreshed(attempt);
}

static const struct http_call_events call_events = {
    .on_response = on_response, .on_data = on_data, .on_end = on_call_end};

/* --- sending --- */

#define OWN_FIELDS 3 /* user-agent, accept, content-type */

static void send_request(struct api_attempt *attempt)
{
    const struct api_attempt_request *request = &attempt->request;
    const struct http_fields *auth = api_auth_fields(attempt->transport->auth);
    AUTO(free) struct http_field *fields = xcalloc(auth->count + OWN_FIELDS, sizeof(*fields));
    size_t count = 0;
    fields[count++] = (struct http_field){"user-agent", attempt->transport->user_agent};
    fields[count++] = (struct http_field){"accept", request->accept};
    if (request->content_type)
        fields[count++] = (struct http_field){"content-type", request->content_type};
    for (size_t i = 0; i < auth->count; i++)
        fields[count++] = auth->items[i];
    const struct http_call_options options = {.method = request->method,
                                              .target = attempt->target,
                                              .fields = {.items = fields, .count = count},
                                              .body = request->body,
                                              .deadline_ns = request->deadline_ns};
    attempt->state = AT_SENT;
    attempt->is_answered = false;
    attempt->sent_after = attempt->transport->all_failures;
    attempt->generation = api_auth_generation(attempt->transport->auth);
    attempt->call = http_call_start(attempt->transport->http, &options, &call_events, attempt);
}

/* Goes on from GATE or CREDENTIALS as far as it gets. Runs no callback. */
static void advance(struct api_attempt *attempt)
{
    int64_t pause_ns = api_transport_pause(attempt->transport);
    if (pause_ns > 0) {
        attempt->state = AT_GATE;
        loop_timer_start(attempt->timer, pause_ns);
        return;
    }
    const struct error *err = NULL;
    attempt->state = AT_CREDENTIALS;
    if (api_auth_prepare(attempt->transport->auth, &attempt->waiter, &err))
        return;
    if (err)
        end_soon(attempt, own_failure(attempt, error_dup(err)));
    else
        send_request(attempt);
}

static void on_timer(void *ctx)
{
    struct api_attempt *attempt = ctx;
    if (attempt->state == AT_FAILING)
        finish(attempt, TAKE(attempt->failure), false);
    else
        advance(attempt);
}

static void on_ready(void *ctx, const struct error *err)
{
    struct api_attempt *attempt = ctx;
    if (attempt->state == AT_REFRESHING)
        on_refreshed(attempt);
    else if (err)
        finish(attempt, own_failure(attempt, error_dup(err)), false);
    else
        send_request(attempt);
}

/* --- the door --- */

struct api_attempt *api_attempt_start(struct api_transport *transport,
                                      const struct api_attempt_request *request,
                                      const struct api_attempt_events *events, void *ctx)
{
    struct api_attempt *attempt = xcalloc(1, sizeof(*attempt));
    *attempt = (struct api_attempt){
        .transport = transport, .request = *request, .events = events, .ctx = ctx};
    attempt->waiter = (struct api_auth_waiter){.on_ready = on_ready, .ctx = attempt};
    attempt->target = xasprintf("%s%s", transport->origin.base_path, request->target);
    attempt->timer = loop_timer_new(transport->loop, "API request", on_timer, attempt);
    buf_init(&attempt->body, API_REPLY_MAX_BYTES);
    advance(attempt);
    return attempt;
}

void api_attempt_cancel(struct api_attempt *attempt)
{
    if (!attempt)
        return;
    detach(attempt);
    release(attempt);
}

void api_attempt_end_streams(struct api_transport *transport)
{
    struct api_attempt *attempt;
    DL_FOREACH(transport->streams, attempt) {
        if (attempt->call)
            http_call_cancel(TAKE(attempt->call));
        end_soon(attempt, NULL);
    }
}
