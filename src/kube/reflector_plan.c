/*
 * A cycle begins with all objects, by a stream or by a list, and goes on with watches; when one of
 * them fails for good the cycle is over, and after a rest the next one begins. The happy path is
 * one cycle for ever: a watch that the server ends in its time is followed by another.
 *
 * How it goes wrong:
 * - Streaming is not offered (400, 422, …): this cycle lists instead.
 * - The version is unknown (410) or from the future: all is asked for again, of whatever version
 *   there is, at once when beginning, and with the next cycle when watching.
 * - Nobody answers, or 429: the same again after a rest, a short one when nobody answers: then
 *   there is nobody to spare, and the transport sees to it that connections are tried one by one.
 * - A watch that ends at once without an event is a failure, so that a server which cannot watch is
 *   not asked in a loop. One that ends at once with events rests as well, but goes on after it.
 */
#include "kube/reflector_plan.h"

#include "base/buf.h"
#include "wire/http.h"

/* client-go's reflector: its back-off manager and its very short watch. */
static const struct growing_wait_policy backoff_policy = {
    .initial_ns = 800 * NS_PER_MS,
    .max_ns = 30 * NS_PER_SEC,
    .jitter_permille = 1000,
    .reset_ns = 120 * NS_PER_SEC,
};
#define VERY_SHORT_NS NS_PER_SEC
#define RETRY_AFTER_MAX_NS (120 * NS_PER_SEC) /* a server that wants more gets no more */

#define HTTP_GONE 410
#define HTTP_TOO_MANY_REQUESTS 429
#define HTTP_GATEWAY_TIMEOUT 504

static void set_text(char **place, const char *text)
{
    char *copy = xstrdup(text); /* first: @text may be the old one */
    free(*place);
    *place = copy;
}

void reflector_plan_init(struct reflector_plan *plan, int64_t min_ns, int64_t max_ns)
{
    *plan = (struct reflector_plan){.min_watch_ns = min_ns,
                                    .max_watch_ns = max_ns,
                                    .max_unreached_ns = REFLECTOR_UNREACHED_MAX_NS};
}

void reflector_plan_done(struct reflector_plan *plan)
{
    set_text(&plan->version, NULL);
    set_text(&plan->next_page, NULL);
    set_text(&plan->list_version, NULL);
}

void reflector_plan_stop(struct reflector_plan *plan)
{
    plan->phase = REFLECTOR_IDLE;
}

/* --- what comes next --- */

static const struct reflector_step go_on = {.action = REFLECTOR_GO_ON};

static int64_t watch_timeout(const struct reflector_plan *plan, uint64_t random)
{
    int64_t low_s = plan->min_watch_ns / NS_PER_SEC, high_s = plan->max_watch_ns / NS_PER_SEC;
    return jitter_between(low_s, high_s, random) * NS_PER_SEC;
}

static struct reflector_step stream(struct reflector_plan *plan, int64_t now_ns, uint64_t random)
{
    plan->phase = REFLECTOR_STREAMING;
    plan->event_count = 0;
    plan->opened_ns = now_ns;
    return (struct reflector_step){.action = REFLECTOR_STREAM,
                                   .begins_collect = true,
                                   .timeout_ns = watch_timeout(plan, random)};
}

static bool is_from_cache(const char *version)
{
    return text_eq(version, "0");
}

static struct reflector_step list(struct reflector_plan *plan, bool is_again)
{
    bool is_known = plan->version && *plan->version;
    const char *version = is_known ? plan->version : "0";
    plan->phase = REFLECTOR_LISTING;
    plan->was_relisted = is_again;
    set_text(&plan->list_version, plan->is_version_lost ? "" : version);
    set_text(&plan->next_page, NULL);
    /* A list of a given version comes from the server's cache, which makes no pages anyway. */
    bool is_exact = *plan->list_version && !is_from_cache(plan->list_version);
    plan->is_unpaged = is_exact && !plan->server_pages;
    return (struct reflector_step){.action = REFLECTOR_LIST, .begins_collect = true};
}

static void begin_watching(struct reflector_plan *plan, int64_t now_ns)
{
    plan->phase = REFLECTOR_WATCHING;
    plan->event_count = 0;
    plan->opened_ns = now_ns;
}

static bool has_position(const struct reflector_plan *plan)
{
    return plan->version && *plan->version && !is_from_cache(plan->version);
}

static struct reflector_step watch(struct reflector_plan *plan, int64_t now_ns, uint64_t random)
{
    begin_watching(plan, now_ns);
    /* A watch from nowhere begins with the objects there are, in any order: to go on from the
     * version of one of them could miss others. */
    plan->follows_added = has_position(plan);
    return (struct reflector_step){.action = REFLECTOR_WATCH,
                                   .timeout_ns = watch_timeout(plan, random)};
}

static struct reflector_step begin_cycle(struct reflector_plan *plan, int64_t now_ns,
                                         uint64_t random)
{
    return plan->is_streaming_off ? list(plan, false) : stream(plan, now_ns, random);
}

static struct reflector_step begin_rest(struct reflector_plan *plan, enum reflector_action after,
                                        int64_t wait_ns)
{
    plan->phase = REFLECTOR_RESTING;
    plan->after_rest = after;
    plan->is_unreached = false;
    return (struct reflector_step){.action = REFLECTOR_WAIT, .wait_ns = wait_ns};
}

static struct reflector_step rest(struct reflector_plan *plan, enum reflector_action after,
                                  int64_t now_ns, uint64_t random)
{
    return begin_rest(plan, after,
                      growing_wait_next(&plan->backoff, &backoff_policy, now_ns, random));
}

static struct reflector_step rest_unreached(struct reflector_plan *plan,
                                            enum reflector_action after, int64_t now_ns,
                                            uint64_t random)
{
    struct growing_wait_policy policy = backoff_policy;
    policy.max_ns = plan->max_unreached_ns;
    struct reflector_step step =
        begin_rest(plan, after, growing_wait_next(&plan->unreached, &policy, now_ns, random));
    plan->is_unreached = true;
    return step;
}

static struct reflector_step end_cycle(struct reflector_plan *plan, int64_t now_ns, uint64_t random)
{
    /* GO_ON after a rest: a new cycle, by whatever it begins with. */
    return rest(plan, REFLECTOR_GO_ON, now_ns, random);
}

static struct reflector_step after_rest(struct reflector_plan *plan, int64_t now_ns,
                                        uint64_t random)
{
    switch (plan->after_rest) {
    case REFLECTOR_STREAM:
        return stream(plan, now_ns, random);
    case REFLECTOR_WATCH:
        if (has_position(plan)) /* else what was deleted meanwhile would never be told */
            return watch(plan, now_ns, random);
        break;
    case REFLECTOR_GO_ON:
    case REFLECTOR_LIST:
    case REFLECTOR_WAIT:
        break;
    }
    return begin_cycle(plan, now_ns, random);
}

/* --- lists --- */

static struct reflector_step on_page(struct reflector_plan *plan,
                                     const struct reflector_event *event, int64_t now_ns,
                                     uint64_t random)
{
    if (event->next_page && *event->next_page) {
        set_text(&plan->next_page, event->next_page);
        plan->server_pages |= is_from_cache(plan->list_version);
        return (struct reflector_step){.action = REFLECTOR_LIST};
    }
    plan->is_version_lost = false;
    set_text(&plan->version, event->version ? event->version : "");
    struct reflector_step step = watch(plan, now_ns, random);
    step.is_complete = true;
    return step;
}

static struct reflector_step on_list_failed(struct reflector_plan *plan,
                                            enum reflector_failure failure, int64_t now_ns,
                                            uint64_t random)
{
    if (failure == REFLECTOR_EXPIRED && plan->next_page) {
        /* Objects have changed for too long between pages. */
        set_text(&plan->next_page, NULL);
        plan->is_unpaged = true;
        return (struct reflector_step){.action = REFLECTOR_LIST, .begins_collect = true};
    }
    if (failure == REFLECTOR_EXPIRED && !plan->was_relisted) {
        plan->is_version_lost = true;
        return list(plan, true);
    }
    if (failure == REFLECTOR_UNREACHED)
        return rest_unreached(plan, REFLECTOR_GO_ON, now_ns, random);
    return end_cycle(plan, now_ns, random);
}

/* --- watches --- */

static struct reflector_step on_stream_failed(struct reflector_plan *plan,
                                              enum reflector_failure failure, int64_t now_ns,
                                              uint64_t random)
{
    switch (failure) {
    case REFLECTOR_UNREACHED:
        return rest_unreached(plan, REFLECTOR_STREAM, now_ns, random);
    case REFLECTOR_THROTTLED:
        return rest(plan, REFLECTOR_STREAM, now_ns, random);
    case REFLECTOR_EXPIRED:
        /* The second time it is about no version at all, which no other version heals. */
        if (plan->is_version_lost || !plan->version)
            return rest(plan, REFLECTOR_STREAM, now_ns, random);
        plan->is_version_lost = true;
        return stream(plan, now_ns, random);
    case REFLECTOR_REFUSED:
        break;
    }
    return list(plan, false);
}

static struct reflector_step on_watch_failed(struct reflector_plan *plan,
                                             enum reflector_failure failure, int64_t now_ns,
                                             uint64_t random)
{
    switch (failure) {
    case REFLECTOR_UNREACHED:
        return rest_unreached(plan, REFLECTOR_WATCH, now_ns, random);
    case REFLECTOR_THROTTLED:
        return rest(plan, REFLECTOR_WATCH, now_ns, random);
    case REFLECTOR_EXPIRED:
    case REFLECTOR_REFUSED:
        break;
    }
    return end_cycle(plan, now_ns, random);
}

static bool is_short(const struct reflector_plan *plan, int64_t now_ns)
{
    return sat_sub_i64(now_ns, plan->opened_ns) < VERY_SHORT_NS;
}

static struct reflector_step on_closed(struct reflector_plan *plan, int64_t now_ns, uint64_t random)
{
    bool was_stream = plan->phase == REFLECTOR_STREAMING;
    bool was_short = is_short(plan, now_ns);
    if (was_short && plan->event_count == 0) {
        struct reflector_step step =
            was_stream ? list(plan, false) : end_cycle(plan, now_ns, random);
        step.is_very_short = true;
        return step;
    }
    if (was_stream) /* without its end; more haste would make it no better */
        return rest(plan, REFLECTOR_STREAM, now_ns, random);
    bool may_go_on = !was_short && has_position(plan);
    return may_go_on ? watch(plan, now_ns, random) : rest(plan, REFLECTOR_WATCH, now_ns, random);
}

static struct reflector_step on_heard(struct reflector_plan *plan,
                                      const struct reflector_event *event, int64_t now_ns)
{
    plan->event_count++;
    if (plan->phase == REFLECTOR_STREAMING && event->ends_initial) {
        plan->is_version_lost = false;
        set_text(&plan->version, event->version ? event->version : "");
        plan->follows_added = true;
        begin_watching(plan, now_ns);
        return (struct reflector_step){.action = REFLECTOR_GO_ON, .is_complete = true};
    }
    if (plan->phase != REFLECTOR_WATCHING || event->type == REFLECTOR_SKIPPED)
        return go_on;
    plan->follows_added |= !event->is_added;
    if (plan->follows_added && event->version && *event->version)
        set_text(&plan->version, event->version);
    return go_on;
}

/* --- the step --- */

static bool is_open(const struct reflector_plan *plan)
{
    return plan->phase == REFLECTOR_STREAMING || plan->phase == REFLECTOR_WATCHING;
}

/* Which events can happen in the phase there is; a late one of an earlier phase is nobody's. */
static bool fits(const struct reflector_plan *plan, enum reflector_event_type type)
{
    switch (type) {
    case REFLECTOR_START:
        return plan->phase == REFLECTOR_IDLE;
    case REFLECTOR_TIMER:
        return plan->phase == REFLECTOR_RESTING;
    case REFLECTOR_PAGE:
    case REFLECTOR_LIST_FAILED:
        return plan->phase == REFLECTOR_LISTING;
    case REFLECTOR_OBJECT:
    case REFLECTOR_BOOKMARK:
    case REFLECTOR_SKIPPED:
    case REFLECTOR_CLOSED:
    case REFLECTOR_WATCH_FAILED:
        return is_open(plan);
    case REFLECTOR_OVERFULL:
        return is_open(plan) || plan->phase == REFLECTOR_LISTING;
    }
    return false;
}

static struct reflector_step take(struct reflector_plan *plan, const struct reflector_event *event,
                                  int64_t now_ns, uint64_t random)
{
    switch (event->type) {
    case REFLECTOR_START:
        return begin_cycle(plan, now_ns, random);
    case REFLECTOR_TIMER:
        return after_rest(plan, now_ns, random);
    case REFLECTOR_PAGE:
        return on_page(plan, event, now_ns, random);
    case REFLECTOR_LIST_FAILED:
        return on_list_failed(plan, event->failure, now_ns, random);
    case REFLECTOR_OBJECT:
    case REFLECTOR_BOOKMARK:
    case REFLECTOR_SKIPPED:
        return on_heard(plan, event, now_ns);
    case REFLECTOR_CLOSED:
        return on_closed(plan, now_ns, random);
    case REFLECTOR_WATCH_FAILED:
        return plan->phase == REFLECTOR_STREAMING
                   ? on_stream_failed(plan, event->failure, now_ns, random)
                   : on_watch_failed(plan, event->failure, now_ns, random);
    case REFLECTOR_OVERFULL:
        break;
    }
    return end_cycle(plan, now_ns, random);
}

struct reflector_step reflector_plan_step(struct reflector_plan *plan,
                                          const struct reflector_event *event, int64_t now_ns,
                                          uint64_t random)
{
    if (!fits(plan, event->type))
        return go_on;
    struct reflector_step step = take(plan, event, now_ns, random);
    int64_t asked_ns = min_i64(event->retry_after_ns, RETRY_AFTER_MAX_NS);
    if (step.action == REFLECTOR_WAIT)
        step.wait_ns = max_i64(step.wait_ns, asked_ns);
    return step;
}

/* --- queries --- */

static void add_param(struct buf *out, size_t start, const char *name, const char *value)
{
    if (out->len > start)
        buf_add_char(out, '&');
    buf_add_text(out, name);
    buf_add_char(out, '=');
    http_escape(out, str_from(value));
}

static void add_selection(struct buf *out, size_t start, const char *selection)
{
    if (*selection && out->len > start)
        buf_add_char(out, '&');
    buf_add_text(out, selection);
}

static void add_list(const struct reflector_plan *plan, const char *selection, struct buf *out)
{
    size_t start = out->len;
    if (plan->next_page)
        add_param(out, start, "continue", plan->next_page);
    add_selection(out, start, selection);
    if (!plan->is_unpaged) {
        if (out->len > start)
            buf_add_char(out, '&');
        buf_printf(out, "limit=%d", REFLECTOR_PAGE_SIZE);
    }
    /* The version is in the page's token, and may not be said again. */
    if (!plan->next_page && *plan->list_version)
        add_param(out, start, "resourceVersion", plan->list_version);
}

static void add_watch(const struct reflector_plan *plan, const char *selection, struct buf *out)
{
    size_t start = out->len;
    bool is_stream = plan->phase == REFLECTOR_STREAMING;
    bool is_known = plan->version && *plan->version && !(is_stream && plan->is_version_lost);
    add_param(out, start, "allowWatchBookmarks", "true");
    add_selection(out, start, selection);
    if (is_known)
        add_param(out, start, "resourceVersion", plan->version);
    if (is_stream) {
        add_param(out, start, "resourceVersionMatch", "NotOlderThan");
        add_param(out, start, "sendInitialEvents", "true");
    }
}

void reflector_plan_query(const struct reflector_plan *plan, const char *selection, struct buf *out)
{
    if (plan->phase == REFLECTOR_LISTING)
        add_list(plan, selection, out);
    else
        add_watch(plan, selection, out);
}

/* --- failures --- */

#define REASON_TOO_LARGE "ResourceVersionTooLarge"
#define TEXT_TOO_LARGE "Too large resource version"

/* A server that is behind the version asked for answers 504 and says so in one of these ways. */
static bool is_too_large(const Meta__Status *status, unsigned http_status)
{
    const Meta__StatusDetails *details = status->details;
    for (size_t i = 0; details && i < details->n_causes; i++) {
        if (text_eq(details->causes[i]->reason, REASON_TOO_LARGE) ||
            text_eq(details->causes[i]->message, TEXT_TOO_LARGE))
            return true;
    }
    bool is_timeout = http_status == HTTP_GATEWAY_TIMEOUT || text_eq(status->reason, "Timeout");
    return is_timeout && status->message && strstr(status->message, TEXT_TOO_LARGE);
}

enum reflector_failure reflector_failure_of(const struct error *err, unsigned http_status,
                                            const Meta__Status *status)
{
    if (http_status == HTTP_GONE || err->code == ERROR_OUT_OF_RANGE)
        return REFLECTOR_EXPIRED;
    if (status && is_too_large(status, http_status))
        return REFLECTOR_EXPIRED;
    if (http_status == 0 && !status &&
        (err->code == ERROR_UNAVAILABLE || err->code == ERROR_DEADLINE_EXCEEDED))
        return REFLECTOR_UNREACHED;
    if (http_status == HTTP_TOO_MANY_REQUESTS || (status && err->code == ERROR_RESOURCE_EXHAUSTED))
        return REFLECTOR_THROTTLED;
    return REFLECTOR_REFUSED;
}
