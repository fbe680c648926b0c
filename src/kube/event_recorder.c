/*
 *     IDLE ──event──► SENDING ──done──► IDLE, or the next
 *                      ▲    │ no answer
 *                      │    ▼
 *                      └─ PAUSED   MAX_TRIES tries in all
 *
 * One event is on its way at a time, so that a repeat finds the event it repeats. A repeat is a
 * PATCH; when the event it is for is gone (404) it is created anew. What the server refuses is not
 * tried again.
 *
 * An event is named by the time it was recorded at. Several within one turn of the loop get times a
 * nanosecond apart, as two names that are the same would make one event of two.
 */
#include "kube/event_recorder.h"

#include "base/hash.h"
#include "base/log.h"
#include "kube/event_correlator.h"
#include "kube/jitter.h"
#include "kube/validate.h"

#include <stdio.h>

/* client-go's maxQueuedEvents, maxTriesPerEvent and defaultSleepDuration. */
#define MAX_QUEUED 1000
#define MAX_TRIES 12
#define PAUSE_NS (10 * NS_PER_SEC)

#define MAX_QUEUED_BYTES (2 * MiB) /* of all events that wait */
#define EVENT_BLOCK_BYTES 512
#define DEFAULT_NAMESPACE "default"

struct queued {
    struct queued *prev, *next;
    struct arena *arena; /* of the event */
    Core__Event *event;
    size_t bytes;
};

enum recorder_state { RECORDER_IDLE, RECORDER_SENDING, RECORDER_PAUSED };

struct event_recorder {
    struct loop *loop;
    struct api_client *client; /* NULL: only log */
    const struct kube_kind *kind;
    char *component, *host;
    struct event_correlator *correlator;
    int64_t last_wall_ns; /* of the newest event */
    struct queued *queue; /* the first is being sent, unless IDLE */
    size_t queued, queued_bytes;
    uint64_t lost;

    enum recorder_state state;
    struct event_verdict verdict; /* of the first */
    bool is_recreated;            /* the patch's event was gone */
    unsigned tries;
    struct api_call *call;
    struct loop_timer *timer; /* made when first needed */
};

static void send_next(struct event_recorder *recorder);

struct event_recorder *event_recorder_new(struct loop *loop, struct api_client *client,
                                          const char *component, const char *host)
{
    struct event_recorder *recorder = xcalloc(1, sizeof(*recorder));
    *recorder = (struct event_recorder){.loop = loop,
                                        .client = client,
                                        .kind = kube_kind_find("v1", "Event"),
                                        .component = xstrdup(component),
                                        .host = xstrdup(host),
                                        .correlator = event_correlator_new(0)};
    return recorder;
}

static void drop_first(struct event_recorder *recorder)
{
    struct queued *first = recorder->queue;
    DL_DELETE(recorder->queue, first);
    recorder->queued--;
    recorder->queued_bytes -= first->bytes;
    arena_free(first->arena);
    free(first);
}

void event_recorder_free(struct event_recorder *recorder)
{
    if (!recorder)
        return;
    api_call_cancel(recorder->call);
    loop_timer_free(recorder->timer);
    while (recorder->queue)
        drop_first(recorder);
    event_correlator_free(recorder->correlator);
    free(recorder->component);
    free(recorder->host);
    free(recorder);
}

/* --- making an event --- */

static int64_t unique_wall_ns(struct event_recorder *recorder)
{
    int64_t now_ns = loop_now_wall_ns(recorder->loop);
    recorder->last_wall_ns = max_i64(now_ns, sat_add_i64(recorder->last_wall_ns, 1));
    /* A clock that was set back by more than a queue's worth is followed. */
    if (recorder->last_wall_ns - now_ns > NS_PER_SEC)
        recorder->last_wall_ns = now_ns;
    return recorder->last_wall_ns;
}

static char *random_uid(struct arena *arena)
{
    uint64_t high = jitter_draw(), low = jitter_draw();
    /* RFC 9562: version 4, and the variant in the first two bits of the second half. */
    return arena_printf(arena, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(high >> 32),
                        (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xfff),
                        (unsigned)(0x8000 | (low >> 48 & 0x3fff)),
                        (unsigned long long)(low & UINT64_C(0xffffffffffff)));
}

static char *name_of(const Core__ObjectReference *object, int64_t wall_ns, struct arena *arena)
{
    char *name = arena_printf(arena, "%s.%llx", object->name ? object->name : "",
                              (unsigned long long)wall_ns);
    return name_check_dns1123_subdomain(str_from(name)) ? random_uid(arena) : name;
}

static Core__Event *event_new(struct event_recorder *recorder, const Core__ObjectReference *object,
                              struct arena *arena)
{
    int64_t wall_ns = unique_wall_ns(recorder);
    Core__Event *event = (Core__Event *)kube_message_new(&core__event__descriptor, arena);
    Meta__ObjectMeta *meta = kube_object_ensure_meta(&event->base, arena);
    bool has_namespace = object->namespace_ && *object->namespace_;
    meta->name = name_of(object, wall_ns, arena);
    meta->namespace_ = arena_strdup(arena, has_namespace ? object->namespace_ : DEFAULT_NAMESPACE);
    event->involved_object = (Core__ObjectReference *)kube_message_dup(&object->base, arena);
    event->source = (Core__EventSource *)kube_message_new(&core__event_source__descriptor, arena);
    event->source->component = arena_strdup(arena, recorder->component);
    event->source->host = arena_strdup(arena, recorder->host);
    event->reporting_component = event->source->component;
    event->reporting_instance = event->source->host;
    event->first_timestamp = (Meta__Time *)kube_message_new(&meta__time__descriptor, arena);
    event->first_timestamp->has_seconds = true;
    event->first_timestamp->seconds = wall_ns / NS_PER_SEC;
    event->last_timestamp = event->first_timestamp;
    event->has_count = true;
    event->count = 1;
    return event;
}

static const char *type_text(enum event_type type)
{
    switch (type) {
    case EVENT_NORMAL:
        return "Normal";
    case EVENT_WARNING:
        return "Warning";
    }
    return "Warning";
}

static void enqueue(struct event_recorder *recorder, Core__Event *event, struct arena *arena_owned)
{
    size_t bytes = arena_held(arena_owned);
    if (recorder->queued >= MAX_QUEUED || bytes > MAX_QUEUED_BYTES - recorder->queued_bytes) {
        recorder->lost++;
        arena_free(arena_owned);
        return;
    }
    struct queued *queued = xcalloc(1, sizeof(*queued));
    *queued = (struct queued){.arena = arena_owned, .event = event, .bytes = bytes};
    DL_APPEND(recorder->queue, queued);
    recorder->queued++;
    recorder->queued_bytes += bytes;
    if (recorder->state == RECORDER_IDLE)
        send_next(recorder);
}

void event_record(struct event_recorder *recorder, const Core__ObjectReference *object,
                  enum event_type type, const char *reason, const char *format, ...)
{
    va_list args;
    struct arena *arena = arena_new(EVENT_BLOCK_BYTES);
    Core__Event *event = event_new(recorder, object, arena);
    va_start(args, format);
    event->message = arena_vprintf(arena, format, args);
    va_end(args);
    event->type = arena_strdup(arena, type_text(type));
    event->reason = arena_strdup(arena, reason);
    log_v(3, "Event occurred", LOG_STR("kind", object->kind), LOG_STR("object", object->name),
          LOG_STR("namespace", object->namespace_), LOG_STR("fieldPath", object->field_path),
          LOG_STR("type", event->type), LOG_STR("reason", reason),
          LOG_STR("message", event->message));
    if (recorder->client)
        enqueue(recorder, event, arena);
    else
        arena_free(arena);
}

/* --- sending --- */

static void on_done(void *ctx, struct api_result *result);

static void send(struct event_recorder *recorder)
{
    const struct event_verdict *verdict = &recorder->verdict;
    const Meta__ObjectMeta *meta = verdict->event->metadata;
    bool is_patch = verdict->patch.len > 0 && !recorder->is_recreated;
    struct api_request request = {.kind = recorder->kind, .namespace_ = meta->namespace_};
    if (is_patch) {
        request.verb = API_PATCH_STRATEGIC;
        request.name = meta->name;
        request.patch = verdict->patch;
    } else {
        request.verb = API_CREATE;
        request.body = &verdict->event->base;
    }
    recorder->state = RECORDER_SENDING;
    recorder->call = api_call_start(recorder->client, &request, on_done, recorder);
}

/* The first of the queue goes out; those the correlator drops are passed over. */
static void send_next(struct event_recorder *recorder)
{
    recorder->state = RECORDER_IDLE;
    while (recorder->queue && recorder->state == RECORDER_IDLE) {
        struct queued *first = recorder->queue;
        const struct event_clock now = {.wall_ns = unique_wall_ns(recorder),
                                        .mono_ns = loop_now_mono_ns(recorder->loop)};
        recorder->tries = 0;
        recorder->is_recreated = false;
        event_correlate(recorder->correlator, first->event, &now, first->arena, &recorder->verdict);
        if (recorder->verdict.is_dropped)
            drop_first(recorder);
        else
            send(recorder);
    }
}

static void finish_first(struct event_recorder *recorder)
{
    drop_first(recorder);
    send_next(recorder);
}

static void on_timer(void *ctx)
{
    send(ctx);
}

static void pause_sending(struct event_recorder *recorder)
{
    /* The first pause is a share, so that many nodes do not come back at once. */
    int64_t pause_ns = recorder->tries == 1 ? jitter_between(0, PAUSE_NS, jitter_draw()) : PAUSE_NS;
    recorder->state = RECORDER_PAUSED;
    if (!recorder->timer)
        recorder->timer = loop_timer_new(recorder->loop, "event recorder", on_timer, recorder);
    loop_timer_start(recorder->timer, pause_ns);
}

/* Credentials and certificates may be mended meanwhile; a request that cannot be made, or is too
 * large, is not. */
static bool is_unanswered(const struct api_result *result)
{
    return result->http_status == 0 && !error_is(result->err, ERROR_INVALID_ARGUMENT) &&
           !error_is(result->err, ERROR_RESOURCE_EXHAUSTED);
}

/* Refusals that are to be expected: an event sent before, and a namespace that goes away. */
static bool is_expected(const struct api_result *result)
{
    const Meta__StatusDetails *details = result->status ? result->status->details : NULL;
    for (size_t i = 0; details && i < details->n_causes; i++) {
        if (text_eq(details->causes[i]->reason, "NamespaceTerminating"))
            return true;
    }
    return error_is(result->err, ERROR_ALREADY_EXISTS);
}

static void log_loss(const struct event_recorder *recorder, const struct api_result *result)
{
    const Core__Event *event = recorder->verdict.event;
    if (is_unanswered(result))
        log_error("Unable to write event (retry limit exceeded!)",
                  LOG_STR("event", event->metadata->name), LOG_STR("reason", event->reason),
                  LOG_ERR(result->err));
    else if (is_expected(result))
        log_v(5, "Server rejected event (will not retry!)", LOG_STR("event", event->metadata->name),
              LOG_STR("reason", event->reason), LOG_ERR(result->err));
    else
        log_error("Server rejected event (will not retry!)",
                  LOG_STR("event", event->metadata->name), LOG_STR("reason", event->reason),
                  LOG_ERR(result->err));
}

static void on_done(void *ctx, struct api_result *result)
{
    struct event_recorder *recorder = ctx;
    const struct event_verdict *verdict = &recorder->verdict;
    recorder->call = NULL;
    if (!result->err) {
        event_correlator_note_stored(recorder->correlator, verdict,
                                     (const Core__Event *)result->object);
        finish_first(recorder);
        return;
    }
    bool is_gone = result->http_status == 404 && verdict->patch.len > 0 && !recorder->is_recreated;
    if (is_gone) {
        recorder->is_recreated = true;
        send(recorder);
        return;
    }
    if (is_unanswered(result) && ++recorder->tries < MAX_TRIES) {
        log_v(2, "Unable to write event (may retry after sleeping)",
              LOG_STR("event", verdict->event->metadata->name), LOG_ERR(result->err));
        recorder->is_recreated = false;
        pause_sending(recorder);
        return;
    }
    recorder->lost++;
    log_loss(recorder, result);
    finish_first(recorder);
}

size_t event_recorder_queued(const struct event_recorder *recorder)
{
    return recorder->queued;
}

uint64_t event_recorder_lost(const struct event_recorder *recorder)
{
    return recorder->lost;
}
