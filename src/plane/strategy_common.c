#include "plane/strategy_internal.h"

#include "kube/quantity.h"

const char *const strategy_protocols[] = {"SCTP", "TCP", "UDP", NULL};

bool strategy_is_through(const struct strategy_context *context, const char *name)
{
    return text_eq(context->subresource, name);
}

struct validation strategy_validation(const struct strategy_context *context,
                                      struct field_errors *errors)
{
    return (struct validation){.errors = errors, .scratch = context->arena};
}

struct rest_env strategy_rest_env(const struct strategy_context *context)
{
    return (struct rest_env){
        .world = context->world,
        .store = context->store,
        .arena = context->arena,
        .now_wall_ns = context->now_wall_ns,
        .policy = context->policy,
        .authn_context = context->authn_context,
    };
}

bool strategy_same(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    if (!a && !b)
        return true;
    AUTO(arena) struct arena *scratch = arena_new(0);
    const ProtobufCMessageDescriptor *type = a ? a->descriptor : b->descriptor;
    const ProtobufCMessage *empty = kube_message_new(type, scratch);
    return kube_message_eq(a ? a : empty, b ? b : empty);
}

void strategy_keep_meta(Meta__ObjectMeta *meta, const Meta__ObjectMeta *old)
{
    meta->n_labels = old->n_labels;
    meta->labels = old->labels;
    meta->n_annotations = old->n_annotations;
    meta->annotations = old->annotations;
    meta->n_finalizers = old->n_finalizers;
    meta->finalizers = old->finalizers;
    meta->n_owner_references = old->n_owner_references;
    meta->owner_references = old->owner_references;
}

void strategy_default_text(char **field, const char *value, struct arena *arena)
{
    if (is_empty(*field))
        *field = arena_strdup(arena, value);
}

void strategy_check_immutable_text(struct validation *v, const struct field_path *path,
                                   const char *value, const char *old)
{
    if (!text_eq(or_empty(value), or_empty(old)))
        field_invalid(v, path, value, "field is immutable");
}

Meta__Status *strategy_invalid(const struct strategy_context *context, const char *api_version,
                               const ProtobufCMessage *object, const struct field_error *error)
{
    struct field_errors *errors = arena_calloc(context->arena, 1, sizeof(*errors));
    errors->arena = context->arena;
    errors->errors[errors->count++] = *error;
    const Meta__ObjectMeta *meta = kube_object_meta(object);
    const char *kind = object->descriptor->short_name;
    return failure_invalid(context->arena, kube_kind_find(api_version, kind),
                           meta ? meta->name : NULL, errors);
}

ProtobufCMessage *strategy_success(struct arena *arena)
{
    Meta__Status *status = NEW_MESSAGE(arena, Meta__Status, meta__status);
    status->metadata = NEW_MESSAGE(arena, Meta__ListMeta, meta__list_meta);
    status->status = arena_strdup(arena, "Success");
    status->has_code = true;
    status->code = 201;
    return &status->base;
}

void strategy_check_quantity(struct validation *v, const struct field_path *path,
                             const Meta__Quantity *quantity)
{
    static const Meta__Quantity zero = META__QUANTITY__INIT;
    if (quantity_compare(quantity, &zero) < 0)
        field_invalid(v, path, quantity->string, "must be greater than or equal to 0");
}
