/*
 * A watch: one attempt whose answer is a stream of frames. The happy path is open, events, the
 * server's end in order. It fails before it is open (an answer that is no stream: told like a
 * call's), by a cut connection or a frame that is cut off (UNAVAILABLE), by a frame that cannot be
 * one, or by a server that does not end it in time. Events may cancel the watch that tells them, so
 * its memory goes at the end of the turn.
 */
#include "base/hash.h"
#include "base/time.h"
#include "kube/api_internal.h"

#define EVENT_BLOCK_BYTES (4 * KiB)

struct api_watch {
    struct api_client *client;
    struct api_watch *prev, *next; /* in client->watches until it is over */
    const struct kube_kind *kind;
    const struct api_watch_events *events;
    void *ctx;
    struct arena *arena; /* of the texts */
    struct api_attempt_request request;
    struct api_attempt *attempt;
    struct loop_timer *timer;      /* of `failure` */
    struct watch_decoder *decoder; /* NULL until open */
    struct error *failure;         /* could not be sent: told in the next turn */
    bool is_over;
};

/* --- ending --- */

static void watch_release(void *memory)
{
    struct api_watch *watch = memory;
    watch_decoder_free(watch->decoder);
    arena_free(watch->arena);
    error_free(watch->failure);
    free(watch);
}

/* From here on nobody hears of it; the memory stays until the end of the turn. */
static void watch_close(struct api_watch *watch)
{
    watch->is_over = true;
    api_attempt_cancel(TAKE(watch->attempt));
    loop_timer_free(TAKE(watch->timer));
    DL_DELETE(watch->client->watches, watch);
    loop_defer_free(watch->client->transport->loop, watch_release, watch);
}

void api_watch_cancel(struct api_watch *watch)
{
    if (watch)
        watch_close(watch);
}

static void watch_finish(struct api_watch *watch, struct api_result *result)
{
    watch_close(watch);
    watch->events->on_end(watch->ctx, result);
    arena_free(result->arena);
}

static void watch_end(struct api_watch *watch, unsigned http_status, struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    struct api_result result = {.err = err, .http_status = http_status, .arena = arena_new(0)};
    watch_finish(watch, &result);
}

/* --- the stream --- */

#define HTTP_OK 200

static void on_open(void *ctx, const char *content_type)
{
    struct api_watch *watch = ctx;
    enum kube_encoding encoding = KUBE_JSON;
    if (!api_encoding_of(content_type, STR_LITERAL("{"), &encoding)) {
        watch_end(watch, HTTP_OK,
                  error_new(ERROR_INTERNAL,
                            "the answer is of type \"%s\", not a stream of watch events",
                            content_type));
        return;
    }
    watch->decoder = watch_decoder_new(encoding);
    if (watch->events->on_open)
        watch->events->on_open(watch->ctx);
}

/* Readers cast the object: only what was asked for may reach them. */
static struct error *check_event(const struct api_watch *watch, const struct watch_event *event)
{
    bool is_failure = event->type == WATCH_ERROR && event->kind->type == &meta__status__descriptor;
    if (is_failure || (event->type != WATCH_ERROR && event->kind == watch->kind))
        return NULL;
    return error_new(ERROR_INTERNAL, "the server sent a %s of %s in a watch of %s",
                     event->kind->kind, event->kind->api_version, watch->kind->resource);
}

static void on_data(void *ctx, struct str bytes)
{
    struct api_watch *watch = ctx;
    struct error *err = watch_decoder_feed(watch->decoder, bytes);
    if (err) {
        watch_end(watch, HTTP_OK, error_wrap(err, "reading watch events"));
        return;
    }
    bool has_event = true;
    while (has_event && !watch->is_over) {
        struct watch_event event = {0};
        AUTO(arena) struct arena *arena = arena_new(EVENT_BLOCK_BYTES);
        AUTO(error)
        struct error *undecoded = watch_decoder_next(watch->decoder, arena, &has_event, &event);
        if (undecoded)
            has_event = true; /* it was skipped; what follows may be good */
        else if (has_event)
            undecoded = check_event(watch, &event);
        if (has_event)
            watch->events->on_event(watch->ctx, undecoded ? NULL : &event, undecoded, arena);
    }
}

static void on_attempt_end(void *ctx, const struct api_outcome *outcome)
{
    struct api_watch *watch = ctx;
    watch->attempt = NULL;
    if (outcome->err) {
        watch_end(watch, outcome->http_status, error_dup(outcome->err));
    } else if (watch->decoder && watch_decoder_is_partial(watch->decoder)) {
        watch_end(watch, outcome->http_status,
                  error_new(ERROR_UNAVAILABLE, "reading watch events: unexpected EOF"));
    } else if (watch->decoder) {
        watch_end(watch, outcome->http_status, NULL);
    } else {
        const struct api_expectation expected = {
            .method = watch->request.method, .kind = watch->kind, .kinds = {watch->kind}};
        struct api_result result;
        struct error *owned = NULL;
        api_result_read(outcome, &expected, &result, &owned);
        AUTO(error) struct error *err = owned;
        watch_finish(watch, &result);
    }
}

static const struct api_attempt_events attempt_events = {
    .on_open = on_open, .on_data = on_data, .on_end = on_attempt_end};

/* --- starting --- */

static void on_timer(void *ctx)
{
    struct api_watch *watch = ctx;
    watch_end(watch, 0, TAKE(watch->failure));
}

/* Both `timeout` and `timeoutSeconds`, as client-go's typed clients send them. */
static struct error *build_request(struct api_watch *watch, const struct api_watch_request *request)
{
    const struct api_request list = {
        .verb = API_LIST, .kind = request->kind, .namespace_ = request->namespace_};
    const char *path = NULL;
    char timeout[TIME_TEXT_SIZE];
    struct error *err = api_request_path(&list, watch->arena, &path);
    if (err)
        return err;
    int64_t seconds = request->timeout_ns / NS_PER_SEC;
    const struct api_param params[] = {
        {"timeout", seconds > 0 ? time_format_duration(seconds * NS_PER_SEC, timeout) : NULL},
        {"timeoutSeconds",
         seconds > 0 ? arena_printf(watch->arena, "%lld", (long long)seconds) : NULL},
        {"watch", "true"},
    };
    watch->request = (struct api_attempt_request){
        .method = api_verb_method(list.verb),
        .target = api_target(path, request->query, params, ARRAY_SIZE(params), watch->arena),
        .accept = api_client_accept(watch->client),
        .deadline_ns =
            request->timeout_ns > 0
                ? sat_add_i64(request->timeout_ns, watch->client->transport->timing->watch_grace_ns)
                : 0,
    };
    return NULL;
}

struct api_watch *api_watch_start(struct api_client *client,
                                  const struct api_watch_request *request,
                                  const struct api_watch_events *events, void *ctx)
{
    struct api_watch *watch = xcalloc(1, sizeof(*watch));
    *watch = (struct api_watch){.client = client,
                                .kind = request->kind,
                                .events = events,
                                .ctx = ctx,
                                .arena = arena_new(0)};
    DL_APPEND(client->watches, watch);
    watch->failure = build_request(watch, request);
    if (watch->failure) {
        watch->timer = loop_timer_new(client->transport->loop, "API watch", on_timer, watch);
        loop_timer_start(watch->timer, 0);
    } else {
        watch->attempt =
            api_attempt_start(client->transport, &watch->request, &attempt_events, watch);
    }
    return watch;
}
