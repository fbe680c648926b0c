#include "plane/strategy_internal.h"

#include "kube/message_map.h"
#include "plane/pod_condition.h"

static Meta__Status *validate(const struct strategy_context *context, const Core__Binding *binding)
{
    const Core__ObjectReference *target = binding->target;
    struct field_error error = {0};
    if (target && !is_empty(target->kind) && !text_eq(target->kind, "Node"))
        error = (struct field_error){
            .path = "target.kind",
            .message = arena_printf(context->arena,
                                    "Unsupported value: \"%s\": supported values: \"Node\", "
                                    "\"<empty>\"",
                                    target->kind)};
    else if (!target || is_empty(target->name))
        error = (struct field_error){.path = "target.name", .message = "Required value"};
    return error.path ? strategy_invalid(context, "v1", &binding->base, &error) : NULL;
}

static Meta__Status *conflict(const struct strategy_context *context, const char *name,
                              const char *why)
{
    const struct failure_target target = {.group = "", .resource = "pods/binding", .name = name};
    return failure_conflict(context->arena, &target, why);
}

/* Why @pod cannot be given to a node, or NULL. */
static const char *refusal(const Core__Pod *pod, struct arena *arena)
{
    const char *name = pod->metadata->name;
    if (pod->metadata->deletion_timestamp)
        return arena_printf(arena, "pod %s is being deleted, cannot be assigned to a host", name);
    if (!is_empty(pod->spec->node_name))
        return arena_printf(arena, "pod %s is already assigned to node \"%s\"", name,
                            pod->spec->node_name);
    if (pod->spec->n_scheduling_gates > 0)
        return arena_printf(arena, "pod %s has non-empty .spec.schedulingGates", name);
    return NULL;
}

static void assign(const struct strategy_context *context, Core__Pod *pod,
                   const Core__Binding *binding)
{
    struct arena *arena = context->arena;
    pod->spec->node_name = arena_strdup(arena, binding->target->name);
    if (binding->metadata) {
        for (size_t i = 0; i < binding->metadata->n_annotations; i++)
            message_map_set(&pod->metadata->base, "annotations",
                            binding->metadata->annotations[i]->key,
                            or_empty(binding->metadata->annotations[i]->value), arena);
    }
    static const struct pod_condition scheduled = {.type = "PodScheduled", .status = "True"};
    pod_set_condition(pod, &scheduled, context->now_wall_ns, arena);
    pod->status->nominated_node_name = NULL;
}

static Meta__Status *bind_pod(const struct strategy_context *context, const char *namespace_,
                              const char *name, const Core__Binding *binding)
{
    const struct resource *pods = resource_find("", "v1", "pods");
    const struct rest_env env = strategy_rest_env(context);
    ProtobufCMessage *object = NULL;
    Meta__Status *failure = validate(context, binding);
    if (!failure)
        failure = rest_read(&env, pods, namespace_, name, &object);
    if (failure)
        return failure;
    Core__Pod *pod = (Core__Pod *)object;
    const char *why = refusal(pod, context->arena);
    if (why)
        return conflict(context, name, why);
    const Meta__ObjectMeta *meta = binding->metadata;
    if (meta && !is_empty(meta->uid) && !text_eq(meta->uid, pod->metadata->uid))
        return conflict(context, name,
                        arena_printf(context->arena,
                                     "Precondition failed: UID in precondition: %s, UID in object "
                                     "meta: %s",
                                     meta->uid, pod->metadata->uid));
    assign(context, pod, binding);
    return rest_update(&env, context->user, pods, "binding", object, NULL);
}

Meta__Status *pod_binding_create(const struct strategy_context *context, const char *namespace_,
                                 const char *name, ProtobufCMessage *body,
                                 ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind)
{
    const Core__Binding *binding = (const Core__Binding *)body;
    if (binding->metadata && !is_empty(binding->metadata->name) &&
        !text_eq(binding->metadata->name, name))
        return failure_bad_request(context->arena,
                                   "name in URL does not match name in Binding object");
    Meta__Status *failure = bind_pod(context, namespace_, name, binding);
    if (failure)
        return failure;
    *ret_reply = strategy_success(context->arena);
    *ret_kind = kube_kind_find("v1", "Status");
    return NULL;
}

Meta__Status *review_binding(const struct strategy_context *context, ProtobufCMessage *object,
                             ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind)
{
    const Core__Binding *binding = (const Core__Binding *)object;
    const char *name = binding->metadata ? or_empty(binding->metadata->name) : "";
    const char *namespace_ = binding->metadata ? binding->metadata->namespace_ : NULL;
    Meta__Status *failure = bind_pod(context, namespace_, name, binding);
    if (failure)
        return failure;
    *ret_reply = strategy_success(context->arena);
    *ret_kind = kube_kind_find("v1", "Status");
    return NULL;
}
