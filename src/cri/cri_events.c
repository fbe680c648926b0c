/*
 * States of the stream:
 *
 *     CLOSED ──connected──► OPEN ──ended──► PAUSED ──back-off over──► OPEN
 *        ▲                   └──ended UNIMPLEMENTED──► UNSUPPORTED
 *        └──disconnected── from all of them
 *
 * A server sends nothing when it accepts a stream, so "open" means that the request was sent.
 * Events only wake their listener; what was missed between two streams is made good by on_lost,
 * which is told after the new one is open.
 */
#include "cri/cri_events.h"

#include "base/log.h"
#include "base/time.h"
#include "cri/cri_methods.h"

/* A runtime that ends every stream at once is asked again ever more rarely. */
#define REOPEN_FIRST_NS (100 * NS_PER_MS)
#define REOPEN_MAX_NS (60 * NS_PER_SEC)
/* A stream that lived this long, or brought an event, was a good one. */
#define GOOD_LIFE_NS (10 * NS_PER_SEC)

enum events_state { EVENTS_CLOSED, EVENTS_OPEN, EVENTS_PAUSED, EVENTS_UNSUPPORTED };

struct cri_events {
    struct loop *loop;
    struct grpc_channel *channel;
    struct runtime_listener listener;
    const struct cri_metrics *metrics;
    enum events_state state;
    struct grpc_call *stream; /* OPEN */
    struct loop_timer *reopen;
    int64_t opened_mono_ns;
    int64_t pause_ns; /* the next back-off */
    bool had_connection, is_good;
};

static void tell_lost(struct cri_events *events)
{
    if (events->listener.on_lost)
        events->listener.on_lost(events->listener.ctx);
}

static void on_message(void *ctx, const ProtobufCMessage *message)
{
    struct cri_events *events = ctx;
    const Cri__ContainerEventResponse *event =
        (const Cri__ContainerEventResponse *)(const void *)message;
    events->is_good = true;
    if (event->created_at > 0)
        metric_observe(events->metrics->families[CRI_EVENT_SECONDS],
                       time_seconds(loop_now_wall_ns(events->loop) - event->created_at), NULL);
    const Cri__PodSandboxStatus *sandbox = event->pod_sandbox_status;
    /* Without a sandbox nobody knows whose event it is; a runtime sends such ones when the pod is
     * gone already. */
    if (!sandbox || !sandbox->metadata || !sandbox->metadata->uid || !*sandbox->metadata->uid)
        return;
    const char *container_id =
        event->container_id && *event->container_id ? event->container_id : NULL;
    if (events->listener.on_changed)
        events->listener.on_changed(events->listener.ctx, sandbox->metadata->uid, container_id);
}

static void on_end(void *ctx, struct error *err_owned)
{
    struct cri_events *events = ctx;
    AUTO(error) struct error *err = err_owned;
    events->stream = NULL;
    if (events->state != EVENTS_OPEN)
        return; /* the connection went first: cri_events_connected() goes on from there */
    int64_t lived_ns = sat_sub_i64(loop_now_mono_ns(events->loop), events->opened_mono_ns);
    events->is_good = events->is_good || lived_ns >= GOOD_LIFE_NS;
    if (err && !events->is_good)
        metric_add(events->metrics->families[CRI_EVENT_STREAM_ERRORS], 1, NULL);
    if (error_is(err, ERROR_UNIMPLEMENTED)) {
        events->state = EVENTS_UNSUPPORTED;
        log_v(2, "The container runtime has no event stream, watching processes instead");
        return;
    }
    if (events->is_good)
        events->pause_ns = REOPEN_FIRST_NS;
    log_v(2, "The container runtime ended the event stream", LOG_ERR(err));
    events->state = EVENTS_PAUSED;
    loop_timer_start(events->reopen, events->pause_ns);
    events->pause_ns = min_i64(sat_mul_i64(events->pause_ns, 2), REOPEN_MAX_NS);
    if (events->is_good)
        tell_lost(events);
}

static const struct grpc_stream_events stream_events = {.on_message = on_message, .on_end = on_end};

static void open_stream(struct cri_events *events)
{
    events->state = EVENTS_OPEN;
    events->is_good = false;
    events->opened_mono_ns = loop_now_mono_ns(events->loop);
    events->stream =
        grpc_stream_start(events->channel, &cri_get_container_events, NULL, &stream_events, events);
    metric_add(events->metrics->families[CRI_EVENT_STREAMS], 1, NULL);
}

static void on_reopen_due(void *ctx)
{
    struct cri_events *events = ctx;
    open_stream(events);
    tell_lost(events);
}

static void close_stream(struct cri_events *events)
{
    grpc_call_cancel(events->stream);
    events->stream = NULL;
    loop_timer_cancel(events->reopen);
    events->state = EVENTS_CLOSED;
}

void cri_events_connected(struct cri_events *events)
{
    close_stream(events); /* one may still live on a connection that drains */
    events->pause_ns = REOPEN_FIRST_NS;
    open_stream(events);
    bool had_connection = events->had_connection;
    events->had_connection = true;
    if (had_connection)
        tell_lost(events);
}

void cri_events_disconnected(struct cri_events *events)
{
    close_stream(events);
}

struct cri_events *cri_events_new(struct loop *loop, struct grpc_channel *channel,
                                  const struct runtime_listener *listener,
                                  const struct cri_metrics *metrics)
{
    struct cri_events *events = xcalloc(1, sizeof(*events));
    events->loop = loop;
    events->channel = channel;
    events->listener = *listener;
    events->metrics = metrics;
    events->reopen = loop_timer_new(loop, "cri events", on_reopen_due, events);
    return events;
}

void cri_events_free(struct cri_events *events)
{
    if (!events)
        return;
    close_stream(events);
    loop_timer_free(events->reopen);
    free(events);
}
