/*
 * Events live for a time. One appointment at a time, for the oldest.
 */
#include "plane/controllers_internal.h"

#include "core.pb-c.h"

/* So that events that expire one after the other cost one look a minute. */
#define PERIOD_MIN_NS (60 * NS_PER_SEC)

static void on_change(struct controllers *controllers, struct ctl_change *change)
{
    static const struct store_key key = {.resource = "events", .namespace_ = "", .name = ""};
    if (strcmp(change->row->key.resource, "events") == 0 && change->row->type == STORE_CREATED)
        ctl_enqueue_after(controllers, &concern_expiry, &key, PERIOD_MIN_NS);
}

static int64_t last_seen_ns(const Core__Event *event)
{
    int64_t seen_ns = object_time_ns(event->metadata->creation_timestamp);
    seen_ns = max_i64(seen_ns, object_time_ns(event->last_timestamp));
    if (event->series && event->series->last_observed_time)
        seen_ns =
            max_i64(seen_ns, sat_mul_i64(event->series->last_observed_time->seconds, NS_PER_SEC));
    return seen_ns;
}

struct sweep {
    const struct ctl_run *run;
    int64_t oldest_ns; /* of those that stay; INT64_MAX: none */
};

static Meta__Status *sweep_one(void *ctx, ProtobufCMessage *object)
{
    struct sweep *sweep = ctx;
    const Core__Event *event = (const Core__Event *)object;
    /* A time in the future says nothing about how old the event is. */
    int64_t seen_ns = min_i64(last_seen_ns(event), sweep->run->env->now_wall_ns);
    int64_t age_ns = sat_sub_i64(sweep->run->env->now_wall_ns, seen_ns);
    if (age_ns < sweep->run->options->event_ttl_ns) {
        sweep->oldest_ns = min_i64(sweep->oldest_ns, seen_ns);
        return NULL;
    }
    return ctl_delete(sweep->run, resource_find("", "v1", "events"), event->metadata->namespace_,
                      event->metadata->name, 0);
}

static Meta__Status *reconcile(struct ctl_run *run, const struct store_key *key)
{
    struct sweep sweep = {.run = run, .oldest_ns = INT64_MAX};
    (void)key;
    Meta__Status *failure =
        rest_each_object(run->env, resource_find("", "v1", "events"), NULL, sweep_one, &sweep);
    if (!failure && sweep.oldest_ns < INT64_MAX) {
        int64_t due_ns = sat_add_i64(sweep.oldest_ns, run->options->event_ttl_ns);
        run->again_after_ns = max_i64(sat_sub_i64(due_ns, run->env->now_wall_ns), PERIOD_MIN_NS);
    }
    return failure;
}

const struct concern concern_expiry = {
    .name = "expiry", .on_change = on_change, .reconcile = reconcile};
