#include "plane/strategy_internal.h"

/* A reference is by name; what else a client says of the secret is dropped. */
static void clean_references(Core__ServiceAccount *account, struct arena *arena)
{
    for (size_t i = 0; i < account->n_secrets; i++) {
        Core__ObjectReference *clean =
            NEW_MESSAGE(arena, Core__ObjectReference, core__object_reference);
        clean->name = account->secrets[i]->name;
        account->secrets[i] = clean;
    }
}

static Meta__Status *prepare_create(const struct strategy_context *context,
                                    ProtobufCMessage *object)
{
    clean_references((Core__ServiceAccount *)object, context->arena);
    return NULL;
}

static Meta__Status *prepare_update(const struct strategy_context *context,
                                    ProtobufCMessage *object, const ProtobufCMessage *old)
{
    (void)old;
    clean_references((Core__ServiceAccount *)object, context->arena);
    return NULL;
}

static void validate(const struct strategy_context *context, const ProtobufCMessage *object,
                     const ProtobufCMessage *old, struct field_errors *errors)
{
    struct validation v = strategy_validation(context, errors);
    const Meta__ObjectMeta *meta = kube_object_meta(object);
    if (old)
        meta_validate_new_finalizers(&v, meta, kube_object_meta(old));
    meta_validate(&v, meta, META_NAMESPACED, name_rule_dns1123_subdomain);
}

const struct strategy strategy_service_account = {
    .prepare_create = prepare_create,
    .prepare_update = prepare_update,
    .validate = validate,
    .returns_deleted = true,
};
