#include "wire/http_client_internal.h"

#include "base/hash.h"

#include <ctype.h>

/* --- ends --- */

static void release(void *object)
{
    struct http_call *call = object;
    error_free(call->failure);
    arena_free(call->arena);
    free(call);
}

/* From here on nobody hears of the call. Its memory stays until the end of the turn, for the frames
 * above us. */
static void retire(struct http_call *call)
{
    struct http_client *client = call->client;
    ASSERT(call->state != HTTP_CALL_OVER);
    if (call->state == HTTP_CALL_WAITING) {
        DL_DELETE(client->waiting, call);
        client->waiting_count--;
    } else {
        DL_DELETE(client->active, call);
    }
    call->state = HTTP_CALL_OVER;
    if (call->stream)
        http_h2_abandon(call);
    if (call->h1)
        http_h1_abandon(call->h1);
    loop_timer_free(TAKE(call->timer));
    loop_defer_free(client->loop, release, call);
}

void http_call_cancel(struct http_call *call)
{
    if (call && call->state != HTTP_CALL_OVER)
        retire(call);
}

void http_call_complete(struct http_call *call)
{
    const struct http_call_end end = {0};
    retire(call);
    call->events->on_end(call->ctx, &end);
}

/* As Go's url.Error: Get "https://10.0.0.1:6443/api": … */
static struct error *name_request(const struct http_call *call, struct error *err_owned)
{
    AUTO(free) char *verb = xstrdup(call->method);
    for (size_t i = 1; verb[0] != '\0' && verb[i] != '\0'; i++)
        verb[i] = (char)tolower((unsigned char)verb[i]);
    return error_wrap(err_owned, "%s \"%s%s\"", verb, call->client->origin, call->target);
}

static void fail(struct http_call *call, struct error *err_owned, struct http_call_end end)
{
    AUTO(error) struct error *err = name_request(call, err_owned);
    end.err = err;
    retire(call);
    call->events->on_end(call->ctx, &end);
}

void http_call_fail(struct http_call *call, struct error *err_owned, bool is_unsent)
{
    fail(call, err_owned, (struct http_call_end){.is_unsent = is_unsent});
}

void http_call_fail_reset(struct http_call *call, struct error *err_owned)
{
    fail(call, err_owned, (struct http_call_end){.is_reset = true});
}

/* --- time --- */

static int64_t idle_due_ns(const struct http_call *call)
{
    bool is_watched = call->idle_timeout_ns > 0 && call->has_response && !call->is_paused;
    return is_watched ? sat_add_i64(call->heard_mono_ns, call->idle_timeout_ns) : INT64_MAX;
}

static void on_timer(void *ctx);

static void arm(struct http_call *call)
{
    struct loop *loop = call->client->loop;
    int64_t due_ns = min_i64(call->deadline_mono_ns, idle_due_ns(call));
    if (due_ns == INT64_MAX)
        return; /* one that is armed needlessly does no harm */
    if (!call->timer)
        call->timer = loop_timer_new(loop, "http call", on_timer, call);
    loop_timer_start(call->timer, sat_sub_i64(due_ns, loop_now_mono_ns(loop)));
}

static void on_timer(void *ctx)
{
    struct http_call *call = ctx;
    int64_t now_ns = loop_now_mono_ns(call->client->loop);
    bool is_unsent = call->state == HTTP_CALL_WAITING || call->state == HTTP_CALL_FAILING;
    if (call->state == HTTP_CALL_FAILING)
        http_call_fail(call, TAKE(call->failure), is_unsent);
    else if (now_ns >= call->deadline_mono_ns)
        http_call_fail(call, error_new(ERROR_DEADLINE_EXCEEDED, "context deadline exceeded"),
                       is_unsent);
    else if (now_ns >= idle_due_ns(call))
        http_call_fail(call, error_new(ERROR_DEADLINE_EXCEEDED, "the server has fallen silent"),
                       false);
    else
        arm(call);
}

/* --- reports --- */

void http_call_take_response(struct http_call *call, unsigned status,
                             const struct http_fields *fields)
{
    call->has_response = true;
    call->heard_mono_ns = loop_now_mono_ns(call->client->loop);
    if (call->idle_timeout_ns > 0)
        arm(call);
    call->events->on_response(call->ctx, status, fields);
}

void http_call_take_data(struct http_call *call, struct str bytes)
{
    /* The timer finds out for itself that there was something to hear. */
    call->heard_mono_ns = loop_now_mono_ns(call->client->loop);
    call->events->on_data(call->ctx, bytes);
}

void http_call_pause(struct http_call *call, bool is_paused)
{
    if (call->state == HTTP_CALL_OVER || call->is_paused == is_paused)
        return;
    call->is_paused = is_paused;
    call->heard_mono_ns = loop_now_mono_ns(call->client->loop);
    if (call->stream)
        http_h2_update_pause(call);
    if (call->h1)
        http_h1_update_pause(call->h1);
    if (!is_paused && call->idle_timeout_ns > 0 && call->has_response)
        arm(call);
}

bool http_call_tells_length(const struct http_call *call)
{
    /* Without it a server may take an empty POST for one that is still to come. */
    return call->body.len > 0 || text_eq(call->method, "POST") || text_eq(call->method, "PUT") ||
           text_eq(call->method, "PATCH");
}

/* --- beginning --- */

/* In lower case for field names, as HTTP/2 demands. */
static bool is_token(const char *text, bool is_lower)
{
    if (text[0] == '\0')
        return false;
    for (const char *c = text; *c != '\0'; c++) {
        if (!http_is_token_char(*c) || (is_lower && isupper((unsigned char)*c)))
            return false;
    }
    return true;
}

static bool is_value(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
            return false;
    }
    return true;
}

static bool is_target(const char *text)
{
    if (text[0] != '/' || strlen(text) > HTTP_TARGET_MAX_BYTES)
        return false;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c <= ' ' || *c >= 0x7f)
            return false;
    }
    return true;
}

/* A request that could be read as two must not leave the house. */
static struct error *check(const struct http_call *call)
{
    if (!is_token(call->method, false))
        return error_new(ERROR_INVALID_ARGUMENT, "invalid method");
    if (!is_target(call->target))
        return error_new(ERROR_INVALID_ARGUMENT, "invalid request target");
    if (call->fields.count > HTTP_CLIENT_MAX_FIELDS)
        return error_new(ERROR_INVALID_ARGUMENT, "more than %d header fields",
                         (int)HTTP_CLIENT_MAX_FIELDS);
    for (size_t i = 0; i < call->fields.count; i++) {
        const struct http_field *field = &call->fields.items[i];
        if (!is_token(field->name, true) || !is_value(field->value))
            return error_new(ERROR_INVALID_ARGUMENT, "invalid header field %zu", i);
    }
    return NULL;
}

static void copy_options(struct http_call *call, const struct http_call_options *options)
{
    call->arena = arena_new(0);
    call->method = arena_strdup(call->arena, options->method);
    call->target = arena_strdup(call->arena, options->target);
    struct http_field *fields =
        arena_calloc(call->arena, options->fields.count + 1, sizeof(*fields));
    for (size_t i = 0; i < options->fields.count; i++)
        fields[i] =
            (struct http_field){.name = arena_strdup(call->arena, options->fields.items[i].name),
                                .value = arena_strdup(call->arena, options->fields.items[i].value)};
    call->fields = (struct http_fields){.items = fields, .count = options->fields.count};
    if (options->body.len > 0)
        call->body =
            (struct str){.ptr = arena_memdup(call->arena, options->body.ptr, options->body.len),
                         .len = options->body.len};
}

struct http_call *http_call_start(struct http_client *client,
                                  const struct http_call_options *options,
                                  const struct http_call_events *events, void *ctx)
{
    ASSERT(!client->is_closed);
    struct http_call *call = xcalloc(1, sizeof(*call));
    call->client = client;
    call->events = events;
    call->ctx = ctx;
    call->round = client->round;
    copy_options(call, options);
    call->idle_timeout_ns = options->idle_timeout_ns;
    call->deadline_mono_ns = options->deadline_ns > 0
                                 ? sat_add_i64(loop_now_mono_ns(client->loop), options->deadline_ns)
                                 : INT64_MAX;
    call->failure = check(call);
    if (call->failure) {
        call->state = HTTP_CALL_FAILING;
        DL_APPEND(client->active, call);
        call->timer = loop_timer_new(client->loop, "http call", on_timer, call);
        loop_timer_start(call->timer, -1);
        return call;
    }
    DL_APPEND(client->waiting, call);
    client->waiting_count++;
    arm(call);
    http_client_wake(client);
    return call;
}
