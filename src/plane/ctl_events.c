/*
 * Events that nodeplane's own controllers tell, as upstream's do: the scheduler's in the style of
 * events.k8s.io (an eventTime, and a series for repetitions), the others' in core's (first and last
 * time, and a count). An event's name follows from what it says and about whom, so that a
 * repetition finds the one before: told once in 5 min at most, however often it happens.
 */
#include "plane/controllers_internal.h"

#include "base/hash.h"

#define TELL_AGAIN_NS (300 * NS_PER_SEC)
/* client-go's NoteLengthLimit, and how it shows that there was more. */
#define MESSAGE_MAX_BYTES 1024
#define CUT_MARK " ..."
/* Of a name of 253 bytes: what the dot and 16 digits leave. */
#define NAME_PREFIX_MAX_BYTES 236

static Meta__MicroTime *micro_time(int64_t wall_ns, struct arena *arena)
{
    Meta__MicroTime *time =
        (Meta__MicroTime *)kube_message_new(&meta__micro_time__descriptor, arena);
    time->has_seconds = time->has_nanos = true;
    time->seconds = wall_ns / NS_PER_SEC;
    time->nanos = (int32_t)(wall_ns % NS_PER_SEC / NS_PER_US * NS_PER_US);
    return time;
}

static int64_t micro_time_ns(const Meta__MicroTime *time)
{
    return time ? sat_add_i64(sat_mul_i64(time->seconds, NS_PER_SEC), time->nanos) : 0;
}

/* What is cut must not end where a name cannot. */
static int name_prefix_len(const char *name)
{
    size_t len = strnlen(name, NAME_PREFIX_MAX_BYTES);
    while (len > 0 && (name[len - 1] == '.' || name[len - 1] == '-'))
        len--;
    return (int)len;
}

static char *event_name(const Core__ObjectReference *about, const struct ctl_event *event,
                        struct arena *arena)
{
    const char *said = arena_printf(arena, "%s|%s|%s|%s|%s", about->kind, about->uid,
                                    event->controller, event->reason, event->message);
    return arena_printf(arena, "%.*s.%016llx", name_prefix_len(about->name), about->name,
                        (unsigned long long)hash_fnv1a_64(said, strlen(said)));
}

static char *cut(const char *message, struct arena *arena)
{
    size_t kept = MESSAGE_MAX_BYTES - strlen(CUT_MARK);
    return strlen(message) <= MESSAGE_MAX_BYTES
               ? arena_strdup(arena, message)
               : arena_printf(arena, "%.*s" CUT_MARK, (int)kept, message);
}

static Core__ObjectReference *refer_to(const char *kind, const ProtobufCMessage *object,
                                       struct arena *arena)
{
    const Meta__ObjectMeta *meta = kube_object_meta(object);
    Core__ObjectReference *about =
        (Core__ObjectReference *)kube_message_new(&core__object_reference__descriptor, arena);
    about->api_version = arena_strdup(arena, "v1");
    about->kind = arena_strdup(arena, kind);
    about->namespace_ = meta->namespace_;
    about->name = meta->name;
    about->uid = meta->uid;
    about->resource_version = meta->resource_version;
    return about;
}

static Core__Event *event_new(const struct ctl_run *run, Core__ObjectReference *about,
                              const struct ctl_event *event)
{
    struct arena *arena = run->env->arena;
    Core__Event *stored = (Core__Event *)kube_message_new(&core__event__descriptor, arena);
    bool is_namespaced = about->namespace_ && *about->namespace_;
    ctl_name(&stored->base, is_namespaced ? about->namespace_ : "default",
             event_name(about, event, arena), arena);
    stored->involved_object = about;
    stored->type = arena_strdup(arena, event->type);
    stored->reason = arena_strdup(arena, event->reason);
    stored->message = cut(event->message, arena);
    stored->reporting_component = arena_strdup(arena, event->controller);
    stored->source = (Core__EventSource *)kube_message_new(&core__event_source__descriptor, arena);
    if (event->action) {
        stored->action = arena_strdup(arena, event->action);
        stored->event_time = micro_time(run->env->now_wall_ns, arena);
        stored->reporting_instance =
            arena_printf(arena, "%s-%s", event->controller, run->env->world->node_name);
        return stored;
    }
    stored->source->component = stored->reporting_component;
    stored->first_timestamp = stored->last_timestamp = object_time(run->env->now_wall_ns, arena);
    stored->has_count = true;
    stored->count = 1;
    return stored;
}

static int64_t last_told_ns(const Core__Event *event)
{
    int64_t told_ns =
        max_i64(object_time_ns(event->last_timestamp), micro_time_ns(event->event_time));
    return event->series ? max_i64(told_ns, micro_time_ns(event->series->last_observed_time))
                         : told_ns;
}

static Meta__Status *count_again(const struct ctl_run *run, Core__Event *there)
{
    struct arena *arena = run->env->arena;
    int64_t silent_ns = sat_sub_i64(run->env->now_wall_ns, last_told_ns(there));
    /* One from the future: the clock was set back, and waiting for it may take for ever. */
    if (silent_ns >= 0 && silent_ns < TELL_AGAIN_NS)
        return NULL;
    if (!there->event_time) {
        there->count = there->count < INT32_MAX ? there->count + 1 : INT32_MAX;
        there->last_timestamp = object_time(run->env->now_wall_ns, arena);
        return ctl_update(run, "events", NULL, &there->base);
    }
    if (!there->series) {
        there->series =
            (Core__EventSeries *)kube_message_new(&core__event_series__descriptor, arena);
        there->series->count = 1;
    }
    there->series->has_count = true;
    there->series->count = there->series->count < INT32_MAX ? there->series->count + 1 : INT32_MAX;
    there->series->last_observed_time = micro_time(run->env->now_wall_ns, arena);
    return ctl_update(run, "events", NULL, &there->base);
}

void ctl_tell(const struct ctl_run *run, const char *kind, const ProtobufCMessage *object,
              const struct ctl_event *event)
{
    Core__Event *stored = event_new(run, refer_to(kind, object, run->env->arena), event);
    const Meta__ObjectMeta *meta = stored->metadata;
    ProtobufCMessage *there = NULL;
    Meta__Status *failure = ctl_read(run, "", "events", meta->namespace_, meta->name, &there);
    if (!failure && there)
        failure = count_again(run, (Core__Event *)there);
    else if (!failure)
        failure = rest_create(run->env, run->user, resource_find("", "v1", "events"), &stored->base,
                              NULL);
    (void)failure; /* as the contract says: an event is no reason to leave the rest undone */
}
