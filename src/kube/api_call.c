/*
 * A call:
 *
 *     QUEUED ──token──► SENT ──answer──► (done)
 *        ▲                │
 *        │                │ may be tried again
 *        └──── RESTING ◄──┘
 *
 * What may be tried again is client-go's: 429 and 5xx with a Retry-After, and reads whose
 * connection was lost (not those whose HTTP/2 stream was reset: that is an answer of a kind), up to
 * MAX_RETRIES times; in addition what the server has not seen, for a short while. Every retry takes
 * a token like a new call. The deadline runs from the start through all of it; a rest that would
 * outlast it is not begun, and what is known is told at once. A request that cannot be made at all
 * is FAILING: told in the next turn.
 */
#include "base/hash.h"
#include "base/time.h"
#include "kube/api_internal.h"

#define MAX_RETRIES 10 /* client-go's rest package */
#define HTTP_TOO_MANY_REQUESTS 429
#define HTTP_SERVER_ERRORS 500

/* --- ending --- */

static void call_release(struct api_call *call)
{
    buf_done(&call->body);
    arena_free(call->arena);
    error_free(call->failure);
    free(call);
}

/* Takes the call out of everything. */
static void call_detach(struct api_call *call)
{
    switch (call->state) {
    case API_CALL_QUEUED:
        api_client_withdraw(call->client, call);
        break;
    case API_CALL_SENT:
        api_attempt_cancel(TAKE(call->attempt));
        break;
    case API_CALL_RESTING:
    case API_CALL_FAILING:
        break;
    }
    loop_timer_free(TAKE(call->timer));
    loop_timer_free(TAKE(call->deadline));
    DL_DELETE(call->client->calls, call);
}

/* Tells, and frees. @result's error is ours. */
static void call_finish(struct api_call *call, struct api_result *result)
{
    const struct api_transport *transport = call->client->transport;
    if (call->state != API_CALL_FAILING)
        api_metrics_time(&transport->metrics, API_REQUEST_SECONDS, call->request.method,
                         loop_now_mono_ns(transport->loop) - call->started_ns);
    call_detach(call);
    call->on_done(call->ctx, result);
    arena_free(result->arena);
    call_release(call);
}

static void call_fail(struct api_call *call, struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    struct api_result result = {.err = err, .arena = arena_new(0)};
    call_finish(call, &result);
}

void api_call_cancel(struct api_call *call)
{
    if (!call)
        return;
    call_detach(call);
    call_release(call);
}

/* --- trying again --- */

/* Whether, and after how long, @outcome is reason to try again. */
static bool may_retry(const struct api_call *call, const struct api_outcome *outcome,
                      int64_t *ret_pause_ns)
{
    const struct api_timing *timing = call->client->transport->timing;
    int64_t now_ns = loop_now_mono_ns(call->client->transport->loop);
    *ret_pause_ns = 0;
    if (call->retries >= MAX_RETRIES)
        return false;
    if (outcome->err && outcome->err->code != ERROR_UNAVAILABLE)
        return false;
    if (outcome->err && outcome->is_unsent)
        return now_ns - call->started_ns < timing->unsent_limit_ns;
    if (outcome->err) {
        *ret_pause_ns = timing->lost_pause_ns;
        return api_verb_is_read(call->verb) && !outcome->is_reset;
    }
    bool is_busy = outcome->http_status == HTTP_TOO_MANY_REQUESTS ||
                   outcome->http_status >= HTTP_SERVER_ERRORS;
    *ret_pause_ns = outcome->retry_after_ns;
    return is_busy && outcome->has_retry_after &&
           outcome->retry_after_ns <= timing->retry_after_max_ns;
}

static bool fits_deadline(const struct api_call *call, int64_t pause_ns)
{
    int64_t now_ns = loop_now_mono_ns(call->client->transport->loop);
    return !call->deadline || sat_add_i64(now_ns, pause_ns) < call->deadline_ns;
}

static void retry(struct api_call *call, int64_t pause_ns)
{
    call->retries++;
    call->state = API_CALL_RESTING;
    if (pause_ns > 0)
        loop_timer_start(call->timer, pause_ns);
    else
        api_client_submit(call->client, call);
}

static struct api_expectation expectation_of(const struct api_call *call)
{
    struct api_expectation expected = {.method = call->request.method,
                                       .name = call->name,
                                       .kind = call->kind,
                                       .kinds = {call->kind}};
    if (call->verb == API_LIST)
        expected.kinds[0] = kube_kind_list(call->kind);
    else if (call->verb == API_DELETE_COLLECTION)
        expected.kinds[1] = kube_kind_list(call->kind);
    else if (call->verb == API_CREATE || call->verb == API_UPDATE)
        expected.kinds[1] = call->body_kind;
    expected.may_be_status = call->verb == API_DELETE || call->verb == API_DELETE_COLLECTION ||
                             (call->verb == API_CREATE && call->has_subresource);
    return expected;
}

static void on_attempt_end(void *ctx, const struct api_outcome *outcome)
{
    struct api_call *call = ctx;
    const struct api_metrics *metrics = &call->client->transport->metrics;
    int64_t pause_ns;
    call->attempt = NULL;
    if (!outcome->err)
        api_metrics_size(metrics, API_RESPONSE_BYTES, call->request.method, outcome->body.len);
    if (may_retry(call, outcome, &pause_ns) && fits_deadline(call, pause_ns)) {
        api_metrics_retry(metrics, call->request.method, outcome->http_status);
        error_free(call->failure);
        call->failure = error_dup(outcome->err);
        retry(call, pause_ns);
        return;
    }
    if (outcome->err) {
        call_fail(call, error_dup(outcome->err));
        return;
    }
    struct api_result result;
    struct error *owned = NULL;
    const struct api_expectation expected = expectation_of(call);
    api_result_read(outcome, &expected, &result, &owned);
    AUTO(error) struct error *err = owned;
    call_finish(call, &result);
}

static const struct api_attempt_events attempt_events = {.on_end = on_attempt_end};

void api_call_send(struct api_call *call)
{
    struct api_transport *transport = call->client->transport;
    call->state = API_CALL_SENT;
    call->request.deadline_ns = transport->timing->attempt_limit_ns;
    api_metrics_size(&transport->metrics, API_REQUEST_BYTES, call->request.method,
                     call->request.body.len);
    call->attempt = api_attempt_start(transport, &call->request, &attempt_events, call);
}

/* --- time --- */

static void on_timer(void *ctx)
{
    struct api_call *call = ctx;
    if (call->state == API_CALL_FAILING)
        call_fail(call, TAKE(call->failure));
    else
        api_client_submit(call->client, call);
}

static void on_deadline(void *ctx)
{
    struct api_call *call = ctx;
    const struct api_origin *origin = &call->client->transport->origin;
    struct error *err;
    if (call->failure)
        err = error_new(ERROR_DEADLINE_EXCEEDED, "%s (context deadline exceeded)",
                        call->failure->message);
    else if (call->state == API_CALL_QUEUED)
        err = error_new(ERROR_DEADLINE_EXCEEDED,
                        "client rate limiter Wait returned an error: context deadline exceeded");
    else
        err = error_new(ERROR_DEADLINE_EXCEEDED, "%s \"%s%s%s\": context deadline exceeded",
                        api_method_title(call->request.method), origin->text, origin->base_path,
                        call->request.target);
    call_fail(call, err);
}

/* --- starting --- */

static struct error *encode_body(struct api_call *call, const struct api_request *request)
{
    const char *patch_type = api_verb_patch_type(request->verb);
    buf_init(&call->body, KUBE_OBJECT_MAX_BYTES);
    if (patch_type) {
        buf_add_str(&call->body, request->patch);
        call->request.content_type = patch_type;
    } else if (request->body) {
        bool is_delete = request->verb == API_DELETE || request->verb == API_DELETE_COLLECTION;
        const struct kube_kind *kind = request->body_kind ? request->body_kind : request->kind;
        if (!request->body_kind && is_delete)
            kind = kube_kind_find(request->kind->api_version, "DeleteOptions");
        if (!kind || kind->type != request->body->descriptor)
            return error_new(ERROR_INVALID_ARGUMENT, "the body of the request is no %s",
                             kind ? kind->kind : "DeleteOptions");
        bool is_json = call->client->options.is_json;
        kube_encode_any(request->body, kind, is_json ? KUBE_JSON : KUBE_PROTOBUF, &call->body);
        call->request.content_type =
            is_json ? "application/json" : "application/vnd.kubernetes.protobuf";
    }
    call->request.body = buf_str(&call->body);
    return buf_error(&call->body, "the body of the request");
}

static struct error *build_request(struct api_call *call, const struct api_request *request,
                                   int64_t timeout_ns)
{
    const char *path = NULL;
    char timeout[TIME_TEXT_SIZE];
    struct error *err = api_request_path(request, call->arena, &path);
    if (err)
        return err;
    if (request->verb == API_LIST && !kube_kind_list(request->kind))
        return error_new(ERROR_INVALID_ARGUMENT, "%s have no list", request->kind->resource);
    const struct api_param params[] = {
        {"timeout", timeout_ns > 0 ? time_format_duration(timeout_ns, timeout) : NULL},
    };
    call->request.target =
        api_target(path, request->query, params, ARRAY_SIZE(params), call->arena);
    call->request.method = api_verb_method(request->verb);
    call->request.accept = api_client_accept(call->client);
    return encode_body(call, request);
}

struct api_call *api_call_start(struct api_client *client, const struct api_request *request,
                                api_on_done *on_done, void *ctx)
{
    struct loop *loop = client->transport->loop;
    struct api_call *call = xcalloc(1, sizeof(*call));
    int64_t timeout_ns = request->timeout_ns ? request->timeout_ns : client->options.timeout_ns;
    *call = (struct api_call){.client = client,
                              .state = API_CALL_FAILING,
                              .verb = request->verb,
                              .kind = request->kind,
                              .body_kind = request->body_kind,
                              .has_subresource = request->subresource != NULL,
                              .arena = arena_new(0),
                              .started_ns = loop_now_mono_ns(loop),
                              .on_done = on_done,
                              .ctx = ctx};
    call->name = arena_strdup(call->arena, request->name);
    call->timer = loop_timer_new(loop, "API call", on_timer, call);
    DL_APPEND(client->calls, call);
    call->failure = build_request(call, request, timeout_ns);
    if (call->failure) {
        loop_timer_start(call->timer, 0);
        return call;
    }
    if (timeout_ns > 0) {
        call->deadline = loop_timer_new(loop, "API call's deadline", on_deadline, call);
        call->deadline_ns = sat_add_i64(call->started_ns, timeout_ns);
        loop_timer_start(call->deadline, timeout_ns);
    }
    api_client_submit(client, call);
    return call;
}
