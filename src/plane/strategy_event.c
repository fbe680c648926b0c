/*
 * Events, in their two forms. They are stored as core's; what comes in or goes out through
 * events.k8s.io is converted field by field, and nothing is lost on the way.
 */
#include "plane/strategy_internal.h"

#include "events.pb-c.h"

/* pkg/apis/core/validation/events.go */
#define SHORT_FIELD_MAX_BYTES 128
#define MESSAGE_MAX_BYTES 1024

/* --- the two forms --- */

static ProtobufCMessage *to_stored(const ProtobufCMessage *object, struct arena *arena)
{
    const Events__Event *event = (const Events__Event *)object;
    Core__Event *stored = NEW_MESSAGE(arena, Core__Event, core__event);
    stored->metadata = event->metadata;
    stored->involved_object = event->regarding;
    stored->reason = event->reason;
    stored->message = event->note;
    stored->source = event->deprecated_source;
    stored->first_timestamp = event->deprecated_first_timestamp;
    stored->last_timestamp = event->deprecated_last_timestamp;
    stored->has_count = event->has_deprecated_count;
    stored->count = event->deprecated_count;
    stored->type = event->type;
    stored->event_time = event->event_time;
    stored->action = event->action;
    stored->related = event->related;
    /* The old form always shows these two. */
    stored->reporting_component = arena_strdup(arena, or_empty(event->reporting_controller));
    stored->reporting_instance = arena_strdup(arena, or_empty(event->reporting_instance));
    if (event->series) {
        stored->series = NEW_MESSAGE(arena, Core__EventSeries, core__event_series);
        stored->series->has_count = event->series->has_count;
        stored->series->count = event->series->count;
        stored->series->last_observed_time = event->series->last_observed_time;
    }
    return &stored->base;
}

static ProtobufCMessage *from_stored(const ProtobufCMessage *object, struct arena *arena)
{
    const Core__Event *stored = (const Core__Event *)object;
    Events__Event *event = NEW_MESSAGE(arena, Events__Event, events__event);
    event->metadata = stored->metadata;
    event->regarding = stored->involved_object;
    event->reason = stored->reason;
    event->note = stored->message;
    event->deprecated_source = stored->source;
    event->deprecated_first_timestamp = stored->first_timestamp;
    event->deprecated_last_timestamp = stored->last_timestamp;
    event->has_deprecated_count = stored->has_count;
    event->deprecated_count = stored->count;
    event->type = stored->type;
    event->event_time = stored->event_time;
    event->action = stored->action;
    event->related = stored->related;
    if (!is_empty(stored->reporting_component))
        event->reporting_controller = stored->reporting_component;
    if (!is_empty(stored->reporting_instance))
        event->reporting_instance = stored->reporting_instance;
    if (stored->series) {
        event->series = NEW_MESSAGE(arena, Events__EventSeries, events__event_series);
        event->series->has_count = stored->series->has_count;
        event->series->count = stored->series->count;
        event->series->last_observed_time = stored->series->last_observed_time;
    }
    return &event->base;
}

const struct resource_storage event_v1_storage = {
    .type = &core__event__descriptor,
    .to_stored = to_stored,
    .from_stored = from_stored,
};

/* --- validation --- */

static const char *event_namespace(const Core__Event *event)
{
    return or_empty(event->metadata->namespace_);
}

static void check_text(struct validation *v, const char *field, const char *text)
{
    const struct field_path *path = FIELD(NULL, field);
    if (is_empty(text))
        field_required(v, path, NULL);
    else if (strlen(text) > SHORT_FIELD_MAX_BYTES)
        field_invalid(v, path, "", "can have at most 128 characters");
}

static void check_new_style(struct validation *v, const Core__Event *event,
                            const char *controller_field)
{
    const struct field_path *controller = FIELD(NULL, controller_field);
    if (is_empty(event->reporting_component))
        field_required(v, controller, NULL);
    field_check_name(v, controller, event->reporting_component, name_rule_qualified);
    check_text(v, "reportingInstance", event->reporting_instance);
    check_text(v, "action", event->action);
    check_text(v, "reason", event->reason);
    if (strlen(or_empty(event->message)) > MESSAGE_MAX_BYTES)
        field_invalid(v, FIELD(NULL, "message"), "", "can have at most 1024 characters");
}

/* The rules of both forms, which call the controller by different names. Events about what has no
 * namespace are in "default". */
static void check_event(struct validation *v, const Core__Event *event,
                        const char *controller_field)
{
    const char *namespace = event_namespace(event);
    const char *involved =
        event->involved_object ? or_empty(event->involved_object->namespace_) : "";
    bool is_new_style = event->event_time != NULL;
    bool is_fine = text_eq(namespace, involved);
    if (is_empty(involved))
        is_fine =
            text_eq(namespace, "default") || (is_new_style && text_eq(namespace, "kube-system"));
    else if (is_new_style)
        is_fine = true;
    if (!is_fine)
        field_invalid(v, FIELD(FIELD(NULL, "involvedObject"), "namespace"), involved,
                      "does not match event.namespace");
    if (is_new_style)
        check_new_style(v, event, controller_field);
    field_check_name(v, FIELD(NULL, "namespace"), namespace, name_rule_dns1123_subdomain);
}

static void validate(const struct strategy_context *context, const ProtobufCMessage *object,
                     const ProtobufCMessage *old, struct field_errors *errors)
{
    struct validation v = strategy_validation(context, errors);
    const Meta__ObjectMeta *meta = kube_object_meta(object);
    check_event(&v, (const Core__Event *)object, "reportingComponent");
    if (is_empty(meta->name))
        field_required(&v, FIELD(FIELD(NULL, "metadata"), "name"),
                       "name or generateName is required");
    if (old)
        meta_validate_update(&v, meta, kube_object_meta(old));
}

/* The old form always shows these two. */
static void set_defaults(ProtobufCMessage *object, struct arena *arena)
{
    Core__Event *event = (Core__Event *)object;
    if (!event->reporting_component)
        event->reporting_component = arena_strdup(arena, "");
    if (!event->reporting_instance)
        event->reporting_instance = arena_strdup(arena, "");
}

const struct strategy strategy_event = {
    .set_defaults = set_defaults,
    .validate = validate,
    .creates_on_update = true,
};

/* --- events.k8s.io --- */

static void check_series(struct validation *v, const Core__EventSeries *series)
{
    if (series->count < 2)
        field_invalid(v, FIELD(NULL, "series.count"), "", "should be at least 2");
    if (!series->last_observed_time)
        field_required(v, FIELD(NULL, "series.lastObservedTime"), NULL);
}

static void check_unset(struct validation *v, const char *field, bool is_set)
{
    if (is_set)
        field_invalid(v, FIELD(NULL, field), "", "needs to be unset");
}

static void check_created(struct validation *v, const Core__Event *event)
{
    meta_validate(v, event->metadata, META_NAMESPACED, name_rule_dns1123_subdomain);
    if (event->series)
        check_series(v, event->series);
    if (!event->event_time)
        field_required(v, FIELD(NULL, "eventTime"), NULL);
    if (!text_eq(event->type, "Normal") && !text_eq(event->type, "Warning"))
        field_invalid(v, FIELD(NULL, "type"), "",
                      arena_printf(v->scratch, "has invalid value: %s", or_empty(event->type)));
    check_unset(v, "firstTimestamp", event->first_timestamp != NULL);
    check_unset(v, "lastTimestamp", event->last_timestamp != NULL);
    check_unset(v, "count", event->count != 0);
    check_unset(v, "source", event->source && (event->source->component || event->source->host));
}

/* Only the series of an event goes on. */
static void check_changed(struct validation *v, const Core__Event *event, const Core__Event *old)
{
    const struct {
        const char *field;
        const char *value, *old;
    } texts[] = {
        {"reason", event->reason, old->reason},
        {"message", event->message, old->message},
        {"type", event->type, old->type},
        {"action", event->action, old->action},
        {"reportingController", event->reporting_component, old->reporting_component},
        {"reportingInstance", event->reporting_instance, old->reporting_instance},
    };
    meta_validate_update(v, event->metadata, old->metadata);
    bool is_same_series = strategy_same(event->series ? &event->series->base : NULL,
                                        old->series ? &old->series->base : NULL);
    if (event->series && !is_same_series)
        check_series(v, event->series);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        strategy_check_immutable_text(v, FIELD(NULL, texts[i].field), texts[i].value, texts[i].old);
    if (!strategy_same(event->involved_object ? &event->involved_object->base : NULL,
                       old->involved_object ? &old->involved_object->base : NULL))
        field_forbidden(v, FIELD(NULL, "involvedObject"), "field is immutable");
    if (!strategy_same(event->event_time ? &event->event_time->base : NULL,
                       old->event_time ? &old->event_time->base : NULL))
        field_forbidden(v, FIELD(NULL, "eventTime"), "field is immutable");
}

static void validate_v1(const struct strategy_context *context, const ProtobufCMessage *object,
                        const ProtobufCMessage *old, struct field_errors *errors)
{
    struct validation v = strategy_validation(context, errors);
    const Core__Event *event = (const Core__Event *)to_stored(object, context->arena);
    check_event(&v, event, "reportingController");
    if (old)
        check_changed(&v, event, (const Core__Event *)to_stored(old, context->arena));
    else
        check_created(&v, event);
}

const struct strategy strategy_event_v1 = {
    .validate = validate_v1,
    .creates_on_update = true,
};
