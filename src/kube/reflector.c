/*
 * The hands of reflector_plan: it says what to ask, here it is asked, and what comes is put into
 * the store or, while it is incomplete, into `collected`. One thing is under way at a time: a call,
 * a watch, or the timer.
 *
 * What a listener does in a callback may stop or free the reflector. Every callback is therefore
 * the last thing done with the reflector but for a look at `generation`, which changes with each
 * stop, and the memory goes at the end of the turn.
 */
#include "kube/reflector.h"

#include "base/buf.h"
#include "base/log.h"
#include "kube/api_error.h"
#include "kube/object_mirror.h"
#include "kube/reflector_plan.h"
#include "wire/http.h"

/* client-go's reflector: minWatchTimeout, and twice as much. */
#define MIN_WATCH_NS (300 * NS_PER_SEC)
#define MAX_WATCH_NS (600 * NS_PER_SEC)
/* client-go warns of a stream that says nothing while its beginning is awaited. */
#define SILENT_STREAM_NS (10 * NS_PER_SEC)
/* What a server makes up and we say again; tokens and versions are short texts. */
#define TOKEN_MAX_BYTES (8 * KiB)
#define SELECTION_MAX_BYTES (16 * KiB)
#define QUERY_MAX_BYTES (64 * KiB) /* a selection and one of the others, escaped */

struct reflector {
    struct loop *loop;
    struct api_client *client;
    const struct kube_kind *kind;
    char *namespace_;
    char *selection; /* escaped, as reflector_plan_query() wants it */
    const struct reflector_listener *listener;
    void *ctx;

    struct reflector_plan plan;
    struct object_mirror mirror;
    struct api_call *call;
    struct api_watch *watch;
    struct loop_timer *timer; /* made when first needed */
    bool is_open;             /* the watch */
    bool has_synced;
    unsigned generation;
    struct error *error;
};

static void carry_out(struct reflector *reflector, const struct reflector_step *step);

/* --- making and freeing --- */

static void add_selector(struct buf *out, const char *name, const char *selector)
{
    if (!selector || !*selector)
        return;
    if (out->len > 0)
        buf_add_char(out, '&');
    buf_add_text(out, name);
    buf_add_char(out, '=');
    http_escape(out, str_from(selector));
}

static char *selection_of(const struct reflector_options *options)
{
    AUTO(buf) struct buf text;
    buf_init(&text, SELECTION_MAX_BYTES);
    add_selector(&text, "fieldSelector", options->field_selector);
    add_selector(&text, "labelSelector", options->label_selector);
    ASSERT(!text.overflowed); /* selectors are ours, not input */
    return buf_take(&text);
}

struct reflector *reflector_new(struct loop *loop, struct api_client *client,
                                const struct reflector_options *options,
                                const struct reflector_listener *listener, void *ctx)
{
    struct reflector *reflector = xcalloc(1, sizeof(*reflector));
    *reflector = (struct reflector){
        .loop = loop,
        .client = client,
        .kind = options->kind,
        .namespace_ = xstrdup(options->namespace_),
        .selection = selection_of(options),
        .listener = listener,
        .ctx = ctx,
        .mirror = {
            .kind = options->kind,
            .limits = {.max_objects =
                           options->max_objects ? options->max_objects : REFLECTOR_MAX_OBJECTS,
                       .max_bytes = options->max_bytes ? options->max_bytes : REFLECTOR_MAX_BYTES},
            .drops_managed_fields = options->drops_managed_fields,
            .listener = listener,
            .ctx = ctx}};
    reflector_plan_init(&reflector->plan,
                        options->min_watch_ns ? options->min_watch_ns : MIN_WATCH_NS,
                        options->max_watch_ns ? options->max_watch_ns : MAX_WATCH_NS);
    reflector->plan.is_streaming_off = options->is_streaming_off;
    if (options->max_unreached_ns)
        reflector->plan.max_unreached_ns = options->max_unreached_ns;
    object_mirror_init(&reflector->mirror);
    return reflector;
}

/* Ends what is under way. */
static void halt(struct reflector *reflector)
{
    api_call_cancel(TAKE(reflector->call));
    api_watch_cancel(TAKE(reflector->watch));
    loop_timer_free(TAKE(reflector->timer));
    reflector->is_open = false;
}

void reflector_stop(struct reflector *reflector)
{
    reflector->generation++;
    halt(reflector);
    object_mirror_abandon(&reflector->mirror);
    reflector_plan_stop(&reflector->plan);
}

static void release(void *memory)
{
    struct reflector *reflector = memory;
    object_mirror_done(&reflector->mirror);
    reflector_plan_done(&reflector->plan);
    error_free(reflector->error);
    free(reflector->namespace_);
    free(reflector->selection);
    free(reflector);
}

void reflector_free(struct reflector *reflector)
{
    if (!reflector)
        return;
    reflector_stop(reflector);
    reflector->mirror.is_silent = true;
    loop_defer_free(reflector->loop, release, reflector);
}

static bool is_stale(const struct reflector *reflector, unsigned generation)
{
    return reflector->generation != generation;
}

/* Only what has a name can be kept. */
static bool has_name(const ProtobufCMessage *message)
{
    const Meta__ObjectMeta *meta = kube_object_meta(message);
    return meta && meta->name && *meta->name;
}

/* --- steps --- */

static void take_step(struct reflector *reflector, const struct reflector_event *event)
{
    struct reflector_step step = reflector_plan_step(
        &reflector->plan, event, loop_now_mono_ns(reflector->loop), jitter_draw());
    carry_out(reflector, &step);
}

/* The same failure again and again is said once; its text may differ in times and ports. */
static void log_failure(const struct reflector *reflector, const struct error *err)
{
    if (error_is(reflector->error, err->code) && !log_is_verbose(4))
        return;
    log_warning("Listing or watching failed", LOG_STR("resource", reflector->kind->resource),
                LOG_STR("namespace", reflector->namespace_),
                LOG_STR("selection", reflector->selection), LOG_ERR(err));
}

/* @err_owned is why @step is what it is. When it is a rest, the cycle has failed: that is told. */
static void carry_out_failure(struct reflector *reflector, const struct reflector_step *step,
                              struct error *err_owned)
{
    unsigned generation = reflector->generation;
    if (step->action != REFLECTOR_WAIT) {
        log_v(4, "Trying another way", LOG_STR("resource", reflector->kind->resource),
              LOG_ERR(err_owned));
        error_ignore(err_owned, "another way of asking begins at once");
        carry_out(reflector, step);
        return;
    }
    log_failure(reflector, err_owned);
    error_free(reflector->error);
    reflector->error = err_owned;
    carry_out(reflector, step);
    if (reflector->listener->on_failed && !is_stale(reflector, generation))
        reflector->listener->on_failed(reflector->ctx, reflector->error);
}

static void take_failure(struct reflector *reflector, const struct reflector_event *event,
                         struct error *err_owned)
{
    const char *doing = reflector->plan.phase == REFLECTOR_LISTING ? "listing" : "watching";
    struct error *err = error_wrap(err_owned, "%s %s", doing, reflector->kind->resource);
    struct reflector_step step = reflector_plan_step(
        &reflector->plan, event, loop_now_mono_ns(reflector->loop), jitter_draw());
    carry_out_failure(reflector, &step, err);
}

static void note_success(struct reflector *reflector)
{
    error_free(reflector->error);
    reflector->error = NULL;
}

static void take_overfull(struct reflector *reflector, struct error *err_owned)
{
    take_failure(reflector, &(struct reflector_event){.type = REFLECTOR_OVERFULL}, err_owned);
}

/* --- lists --- */

/* Whether all of a page could be collected; else the failure has been taken. */
static bool collect_page(struct reflector *reflector, const ProtobufCMessage *list)
{
    size_t count = 0;
    ProtobufCMessage *const *items = kube_list_items(list, &count);
    for (size_t i = 0; i < count; i++) {
        if (!has_name(items[i]))
            continue; /* no object */
        struct error *err = object_mirror_collect(&reflector->mirror, items[i], WATCH_ADDED);
        if (err) {
            take_overfull(reflector, err);
            return false;
        }
    }
    return true;
}

static bool is_sane(const char *token)
{
    return !token || strnlen(token, TOKEN_MAX_BYTES + 1) <= TOKEN_MAX_BYTES;
}

static void on_listed(void *ctx, struct api_result *result)
{
    struct reflector *reflector = ctx;
    reflector->call = NULL;
    if (result->err) {
        const struct reflector_event event = {
            .type = REFLECTOR_LIST_FAILED,
            .failure = reflector_failure_of(result->err, result->http_status, result->status),
            .retry_after_ns = result->retry_after_ns};
        take_failure(reflector, &event, error_dup(result->err));
        return;
    }
    const Meta__ListMeta *meta = kube_list_meta(result->object);
    if (meta && (!is_sane(meta->resource_version) || !is_sane(meta->continue_))) {
        take_failure(
            reflector,
            &(struct reflector_event){.type = REFLECTOR_LIST_FAILED, .failure = REFLECTOR_REFUSED},
            error_new(ERROR_INVALID_ARGUMENT,
                      "the list's resourceVersion or continue is longer than %zu bytes",
                      TOKEN_MAX_BYTES));
        return;
    }
    if (!collect_page(reflector, result->object))
        return;
    take_step(reflector, &(struct reflector_event){.type = REFLECTOR_PAGE,
                                                   .version = meta ? meta->resource_version : NULL,
                                                   .next_page = meta ? meta->continue_ : NULL});
}

static void list(struct reflector *reflector, const char *query)
{
    reflector->call = api_call_start(reflector->client,
                                     &(struct api_request){.verb = API_LIST,
                                                           .kind = reflector->kind,
                                                           .namespace_ = reflector->namespace_,
                                                           .query = query},
                                     on_listed, reflector);
}

/* --- watches --- */

static void arm(struct reflector *reflector, int64_t delay_ns);

static void on_open(void *ctx)
{
    struct reflector *reflector = ctx;
    reflector->is_open = true;
    if (reflector->plan.phase == REFLECTOR_WATCHING)
        note_success(reflector);
}

static void on_error_event(struct reflector *reflector, const Meta__Status *status)
{
    struct error *err = api_error_from_status(status, 0);
    const struct reflector_event event = {.type = REFLECTOR_WATCH_FAILED,
                                          .failure = reflector_failure_of(err, 0, status)};
    take_failure(reflector, &event, err);
}

#define ANNOTATION_INITIAL_END "k8s.io/initial-events-end"

static bool ends_initial(const Meta__ObjectMeta *meta)
{
    for (size_t i = 0; meta && i < meta->n_annotations; i++) {
        if (text_eq(meta->annotations[i]->key, ANNOTATION_INITIAL_END))
            return text_eq(meta->annotations[i]->value, "true");
    }
    return false;
}

static void on_object(struct reflector *reflector, const struct watch_event *watch_event)
{
    unsigned generation = reflector->generation;
    const Meta__ObjectMeta *meta = kube_object_meta(watch_event->object);
    if (!has_name(watch_event->object) || !is_sane(meta->resource_version)) {
        take_step(reflector, &(struct reflector_event){.type = REFLECTOR_SKIPPED});
        return;
    }
    bool is_collecting = reflector->plan.phase == REFLECTOR_STREAMING;
    struct error *err =
        is_collecting
            ? object_mirror_collect(&reflector->mirror, watch_event->object, watch_event->type)
            : object_mirror_apply(&reflector->mirror, watch_event->object, watch_event->type);
    if (is_stale(reflector, generation)) {
        error_ignore(err, "the listener has ended it");
        return;
    }
    if (err) {
        take_overfull(reflector, err);
        return;
    }
    take_step(reflector, &(struct reflector_event){.type = REFLECTOR_OBJECT,
                                                   .version = meta->resource_version,
                                                   .is_added = watch_event->type == WATCH_ADDED});
}

static void on_event(void *ctx, const struct watch_event *event, const struct error *err,
                     UNUSED struct arena *arena)
{
    struct reflector *reflector = ctx;
    const Meta__ObjectMeta *meta = NULL;
    if (reflector->plan.phase == REFLECTOR_STREAMING)
        arm(reflector, SILENT_STREAM_NS);
    if (err) {
        log_warning("Skipping a watch event", LOG_STR("resource", reflector->kind->resource),
                    LOG_ERR(err));
        take_step(reflector, &(struct reflector_event){.type = REFLECTOR_SKIPPED});
        return;
    }
    switch (event->type) {
    case WATCH_ADDED:
    case WATCH_MODIFIED:
    case WATCH_DELETED:
        on_object(reflector, event);
        return;
    case WATCH_BOOKMARK:
        meta = kube_object_meta(event->object);
        if (meta && !is_sane(meta->resource_version))
            return;
        take_step(reflector,
                  &(struct reflector_event){.type = REFLECTOR_BOOKMARK,
                                            .version = meta ? meta->resource_version : NULL,
                                            .ends_initial = ends_initial(meta)});
        return;
    case WATCH_ERROR:
        on_error_event(reflector, (const Meta__Status *)event->object);
        return;
    }
}

/* A connection that is lost while a watch is open is an end like any other: nothing is wrong with
 * what the watch has said. */
static bool is_plain_end(const struct reflector *reflector, const struct api_result *result)
{
    return !result->err || (reflector->is_open && (result->err->code == ERROR_UNAVAILABLE ||
                                                   result->err->code == ERROR_DEADLINE_EXCEEDED));
}

static void take_plain_end(struct reflector *reflector)
{
    struct reflector_step step =
        reflector_plan_step(&reflector->plan, &(struct reflector_event){.type = REFLECTOR_CLOSED},
                            loop_now_mono_ns(reflector->loop), jitter_draw());
    if (!step.is_very_short) {
        carry_out(reflector, &step);
        return;
    }
    struct error *err = error_new(ERROR_UNAVAILABLE,
                                  "very short watch: %s: Unexpected watch close - watch lasted "
                                  "less than a second and no items received",
                                  reflector->kind->resource);
    carry_out_failure(reflector, &step, err);
}

static void on_end(void *ctx, struct api_result *result)
{
    struct reflector *reflector = ctx;
    reflector->watch = NULL;
    if (is_plain_end(reflector, result)) {
        take_plain_end(reflector);
        return;
    }
    const struct reflector_event event = {
        .type = REFLECTOR_WATCH_FAILED,
        .failure = reflector_failure_of(result->err, result->http_status, result->status),
        .retry_after_ns = result->retry_after_ns};
    take_failure(reflector, &event, error_dup(result->err));
}

static const struct api_watch_events watch_events = {
    .on_open = on_open, .on_event = on_event, .on_end = on_end};

static void watch(struct reflector *reflector, const char *query, int64_t timeout_ns)
{
    reflector->is_open = false;
    reflector->watch =
        api_watch_start(reflector->client,
                        &(struct api_watch_request){.kind = reflector->kind,
                                                    .namespace_ = reflector->namespace_,
                                                    .query = query,
                                                    .timeout_ns = timeout_ns},
                        &watch_events, reflector);
}

/* --- time --- */

static void on_timer(void *ctx)
{
    struct reflector *reflector = ctx;
    if (reflector->plan.phase == REFLECTOR_STREAMING) {
        log_warning("Awaiting the end of the initial events",
                    LOG_STR("resource", reflector->kind->resource),
                    LOG_INT("silentSeconds", SILENT_STREAM_NS / NS_PER_SEC));
        arm(reflector, SILENT_STREAM_NS);
        return;
    }
    take_step(reflector, &(struct reflector_event){.type = REFLECTOR_TIMER});
}

static void arm(struct reflector *reflector, int64_t delay_ns)
{
    if (!reflector->timer)
        reflector->timer = loop_timer_new(reflector->loop, "reflector", on_timer, reflector);
    loop_timer_start(reflector->timer, delay_ns);
}

void reflector_hurry(struct reflector *reflector)
{
    if (reflector->plan.phase == REFLECTOR_RESTING && reflector->plan.is_unreached)
        arm(reflector, 0);
}

/* --- carrying out --- */

/* The store is true from here on; false when a listener has ended the reflector. */
static bool complete(struct reflector *reflector)
{
    unsigned generation = reflector->generation;
    bool is_first = !reflector->has_synced;
    loop_timer_free(TAKE(reflector->timer)); /* of a silent stream */
    note_success(reflector);
    reflector->has_synced = true;
    object_mirror_replace(&reflector->mirror);
    if (is_stale(reflector, generation))
        return false;
    if (is_first && reflector->listener->on_synced)
        reflector->listener->on_synced(reflector->ctx);
    return !is_stale(reflector, generation);
}

static void ask(struct reflector *reflector, const struct reflector_step *step)
{
    AUTO(buf) struct buf query;
    buf_init(&query, QUERY_MAX_BYTES);
    reflector_plan_query(&reflector->plan, reflector->selection, &query);
    ASSERT(!query.overflowed); /* is_sane() has seen to it */
    if (step->action == REFLECTOR_LIST)
        list(reflector, buf_text(&query));
    else
        watch(reflector, buf_text(&query), step->timeout_ns);
}

static void carry_out(struct reflector *reflector, const struct reflector_step *step)
{
    if (step->action != REFLECTOR_GO_ON)
        halt(reflector);
    if (step->is_complete && !complete(reflector))
        return;
    if (step->begins_collect)
        object_mirror_begin(&reflector->mirror);
    switch (step->action) {
    case REFLECTOR_GO_ON:
        break;
    case REFLECTOR_STREAM:
        arm(reflector, SILENT_STREAM_NS);
        ask(reflector, step);
        break;
    case REFLECTOR_LIST:
    case REFLECTOR_WATCH:
        ask(reflector, step);
        break;
    case REFLECTOR_WAIT:
        object_mirror_abandon(&reflector->mirror);
        arm(reflector, step->wait_ns);
        break;
    }
}

void reflector_start(struct reflector *reflector)
{
    if (reflector_is_running(reflector))
        return;
    reflector->has_synced = false;
    take_step(reflector, &(struct reflector_event){.type = REFLECTOR_START});
}

/* --- reading --- */

bool reflector_is_running(const struct reflector *reflector)
{
    return reflector->plan.phase != REFLECTOR_IDLE;
}

bool reflector_has_synced(const struct reflector *reflector)
{
    return reflector->has_synced;
}

const struct kube_object *reflector_find(const struct reflector *reflector, const char *namespace_,
                                         const char *name)
{
    return object_store_find(reflector->mirror.store, namespace_, name);
}

const struct kube_object *reflector_next(const struct reflector *reflector,
                                         const struct kube_object *after)
{
    return object_store_next(reflector->mirror.store, after);
}

size_t reflector_count(const struct reflector *reflector)
{
    return object_store_count(reflector->mirror.store);
}

const char *reflector_version(const struct reflector *reflector)
{
    return reflector->plan.version ? reflector->plan.version : "";
}

const struct error *reflector_error(const struct reflector *reflector)
{
    return reflector->error;
}
